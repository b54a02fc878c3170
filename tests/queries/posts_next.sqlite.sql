SELECT
  "posts"."id" AS "id", "posts"."title" AS "title", "posts"."listed_at" AS "listed_at"
FROM "posts"
WHERE
  "posts"."published" = TRUE
  AND "posts"."deleted_at" IS NULL
  AND ("posts"."listed_at", "posts"."id") < (?, ?)
ORDER BY "posts"."listed_at" DESC, "posts"."id" DESC
LIMIT ?;
