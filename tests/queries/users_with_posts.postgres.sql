SELECT
  "k"."k" AS "parent", "r"."id" AS "id", "r"."title" AS "title", "r"."listed_at" AS "listed_at"
FROM unnest($1) AS "k"
LEFT JOIN
  LATERAL (
    SELECT
      "posts"."id" AS "id", "posts"."title" AS "title", "posts"."listed_at" AS "listed_at"
    FROM "posts"
    WHERE
      "posts"."published" = TRUE
      AND "posts"."deleted_at" IS NULL
      AND "posts"."author_id" = "k"."k"
    ORDER BY "posts"."listed_at" DESC, "posts"."id" DESC
    LIMIT $2
  ) AS "r" ON TRUE;

SELECT "post_tags"."post_id" AS "of_owner", "tags"."name" AS "name"
FROM "tags"
INNER JOIN "post_tags" ON "post_tags"."tag_id" = "tags"."id"
WHERE "tags"."deleted_at" IS NULL AND "post_tags"."post_id" = ANY($1)
ORDER BY "post_tags"."post_id" ASC, "post_tags"."position" ASC, "post_tags"."tag_id" ASC;

SELECT "profiles"."user_id" AS "user_id", "profiles"."bio" AS "bio"
FROM "profiles"
WHERE "profiles"."deleted_at" IS NULL AND "profiles"."user_id" = ANY($1);

SELECT "users"."id" AS "id", "users"."name" AS "name"
FROM "users"
WHERE "users"."deleted_at" IS NULL AND "users"."id" = ANY($1);

SELECT
  "users"."id" AS "id", "users"."name" AS "name", "users"."name_key" AS "name_key"
FROM "users"
WHERE "users"."deleted_at" IS NULL
ORDER BY "users"."name_key" DESC, "users"."id" DESC
LIMIT $1;
