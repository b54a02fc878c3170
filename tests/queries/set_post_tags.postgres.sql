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

SELECT "users"."id"
FROM "users"
WHERE
  "users"."id" = $1
  AND "users"."is_active" = $2
  AND "users"."role" = $3
  AND "users"."deleted_at" IS NULL
LIMIT $4;

SELECT
  "posts"."id" AS "id", "posts"."title" AS "title", "posts"."slug" AS "slug",
  "posts"."published" AS "published", "posts"."published_at" AS "published_at",
  "posts"."listed_at" AS "listed_at", "posts"."author_id" AS "author_id",
  "posts"."category_id" AS "category_id", "posts"."lock_version" AS "lock_version",
  "posts"."deleted_at" AS "deleted_at", "posts"."deletion_id" AS "deletion_id",
  "posts"."created_at" AS "created_at", "posts"."updated_at" AS "updated_at"
FROM "posts"
WHERE "posts"."id" = $1 AND "posts"."deleted_at" IS NULL
ORDER BY "posts"."id" ASC
LIMIT $2
FOR NO KEY UPDATE;

SELECT "tags"."id"
FROM "tags"
WHERE "tags"."deleted_at" IS NULL AND "tags"."id" = ANY($1)
ORDER BY "tags"."id" ASC
FOR SHARE;

SELECT "post_tags"."tag_id" AS "target"
FROM "post_tags"
INNER JOIN "tags" ON "post_tags"."tag_id" = "tags"."id"
WHERE "post_tags"."post_id" = $1 AND "tags"."deleted_at" IS NULL
ORDER BY "post_tags"."position" ASC, "post_tags"."tag_id" ASC;

UPDATE "posts" SET
  "lock_version" = "lock_version" + $1, "updated_at" = $2
WHERE "id" = $3 AND "lock_version" = $4 AND "deleted_at" IS NULL
RETURNING
  "id", "title", "slug", "published", "published_at", "listed_at", "author_id", "category_id",
  "lock_version", "deleted_at", "deletion_id", "created_at", "updated_at";

DELETE FROM "post_tags"
WHERE "post_id" = $1 AND "tag_id" = ANY($2);

INSERT INTO "post_tags" ("post_id", "tag_id", "position")
VALUES ($1, $2, $3), ($4, $5, $6);

INSERT INTO
  "audit_log" (
    "id", "created_at", "actor_id", "action", "record_type", "record_id", "from_version",
    "to_version", "changes", "request_id"
  )
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10);

SELECT "post_tags"."post_id" AS "of_owner", "tags"."name" AS "name"
FROM "tags"
INNER JOIN "post_tags" ON "post_tags"."tag_id" = "tags"."id"
WHERE "tags"."deleted_at" IS NULL AND "post_tags"."post_id" = ANY($1)
ORDER BY "post_tags"."post_id" ASC, "post_tags"."position" ASC, "post_tags"."tag_id" ASC;
