SELECT "post_tags"."post_id" AS "of_owner", "tags"."name" AS "name"
FROM "tags"
INNER JOIN "post_tags" ON "post_tags"."tag_id" = "tags"."id"
WHERE "tags"."deleted_at" IS NULL AND "post_tags"."post_id" = ANY($1)
ORDER BY "post_tags"."post_id" ASC, "post_tags"."position" ASC, "post_tags"."tag_id" ASC;

SELECT
  "r"."id" AS "id", "r"."title" AS "title", "r"."listed_at" AS "listed_at",
  "r"."author_id" AS "author_id", "r"."deleted_at" AS "deleted_at", "beside_0"."id" AS "id",
  "beside_0"."name" AS "name"
FROM (
  SELECT
    "posts"."id" AS "id", "posts"."title" AS "title", "posts"."listed_at" AS "listed_at",
    "posts"."author_id" AS "author_id", "posts"."deleted_at" AS "deleted_at"
  FROM "posts"
  WHERE TRUE
  ORDER BY "posts"."listed_at" DESC, "posts"."id" DESC
  LIMIT $1
) AS "r"
LEFT JOIN
  LATERAL (
    SELECT "named_ones"."id" AS "id", "named_ones"."name" AS "name"
    FROM (
      SELECT "users"."id" AS "id", "users"."name" AS "name"
      FROM "users"
      WHERE "users"."deleted_at" IS NULL
    ) AS "named_ones"
    WHERE "named_ones"."id" = "r"."author_id"
    LIMIT $2
  ) AS "beside_0" ON TRUE
ORDER BY "r"."listed_at" DESC, "r"."id" DESC;

SELECT
  "users"."id" AS "id", "users"."email" AS "email", "users"."email_key" AS "email_key",
  "users"."name" AS "name", "users"."name_key" AS "name_key", "users"."role" AS "role",
  "users"."is_active" AS "is_active", "users"."lock_version" AS "lock_version",
  "users"."deleted_at" AS "deleted_at", "users"."deletion_id" AS "deletion_id",
  "users"."created_at" AS "created_at", "users"."updated_at" AS "updated_at"
FROM "users"
WHERE
  "users"."is_active" = $1
  AND "users"."id" IN (
    SELECT "login_sessions"."user_id" AS "r"
    FROM "login_sessions"
    WHERE
      "login_sessions"."token_hash" = $2
      AND "login_sessions"."revoked_at" IS NULL
      AND "login_sessions"."expires_at" > $3
  )
  AND "users"."deleted_at" IS NULL
LIMIT $4;
