SELECT "post_authors"."post_id" AS "of_owner", "users"."name" AS "name"
FROM "users"
INNER JOIN "post_authors" ON "post_authors"."user_id" = "users"."id"
WHERE "users"."deleted_at" IS NULL AND "post_authors"."post_id" = ANY($1)
ORDER BY
  "post_authors"."post_id" ASC, "post_authors"."position" ASC, "post_authors"."user_id" ASC;

SELECT "post_tags"."post_id" AS "of_owner", "tags"."name" AS "name"
FROM "tags"
INNER JOIN "post_tags" ON "post_tags"."tag_id" = "tags"."id"
WHERE "tags"."deleted_at" IS NULL AND "post_tags"."post_id" = ANY($1)
ORDER BY "post_tags"."post_id" ASC, "post_tags"."position" ASC, "post_tags"."tag_id" ASC;

SELECT
  "r"."id" AS "id", "r"."title" AS "title", "r"."listed_at" AS "listed_at",
  "r"."author_id" AS "author_id", "r"."category_id" AS "category_id", "beside_0"."id" AS "id",
  "beside_0"."email" AS "email", "beside_0"."name" AS "name", "beside_1"."id" AS "id",
  "beside_1"."name" AS "name"
FROM (
  SELECT
    "posts"."id" AS "id", "posts"."title" AS "title", "posts"."listed_at" AS "listed_at",
    "posts"."author_id" AS "author_id", "posts"."category_id" AS "category_id"
  FROM "posts"
  WHERE "posts"."published" = TRUE
    AND "posts"."deleted_at" IS NULL
  ORDER BY "posts"."listed_at" DESC, "posts"."id" DESC
  LIMIT $1
) AS "r"
LEFT JOIN
  LATERAL (
    SELECT
      "named_ones"."id" AS "id", "named_ones"."email" AS "email", "named_ones"."name" AS "name"
    FROM (
      SELECT "users"."id" AS "id", "users"."email" AS "email", "users"."name" AS "name"
      FROM "users"
      WHERE "users"."deleted_at" IS NULL
    ) AS "named_ones"
    WHERE "named_ones"."id" = "r"."author_id"
    LIMIT $2
  ) AS "beside_0" ON TRUE
LEFT JOIN
  LATERAL (
    SELECT "named_ones"."id" AS "id", "named_ones"."name" AS "name"
    FROM (
      SELECT "categories"."id" AS "id", "categories"."name" AS "name"
      FROM "categories"
      WHERE "categories"."deleted_at" IS NULL
    ) AS "named_ones"
    WHERE "named_ones"."id" = "r"."category_id"
    LIMIT $3
  ) AS "beside_1" ON TRUE
ORDER BY "r"."listed_at" DESC, "r"."id" DESC;
