SELECT
  "posts"."id" AS "id", "posts"."title" AS "title", "posts"."author_id" AS "author_id",
  "posts"."updated_at" AS "updated_at"
FROM "posts"
WHERE
  "posts"."published" = TRUE
  AND "posts"."published" = TRUE
  AND "posts"."deleted_at" IS NULL
ORDER BY "posts"."updated_at" DESC, "posts"."id" DESC
LIMIT $1;

SELECT "profiles"."user_id" AS "user_id", "profiles"."bio" AS "bio"
FROM "profiles"
WHERE "profiles"."deleted_at" IS NULL AND "profiles"."user_id" = ANY($1);

SELECT "users"."id" AS "id"
FROM "users"
WHERE "users"."deleted_at" IS NULL AND "users"."id" = ANY($1);
