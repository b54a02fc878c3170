SELECT
  "posts"."id" AS "id", "posts"."title" AS "title", "posts"."slug" AS "slug",
  "posts"."published" AS "published", "posts"."listed_at" AS "listed_at",
  "posts"."lock_version" AS "lock_version"
FROM "posts"
WHERE "posts"."published" = TRUE AND "posts"."deleted_at" IS NULL
ORDER BY "posts"."listed_at" DESC, "posts"."id" DESC
LIMIT $1;
