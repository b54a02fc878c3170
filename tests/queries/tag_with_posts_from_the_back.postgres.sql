SELECT "categories"."id" AS "id", "categories"."name" AS "name"
FROM "categories"
WHERE "categories"."deleted_at" IS NULL AND "categories"."id" = ANY($1);

SELECT
  "k"."k" AS "parent", "r"."id" AS "id", "r"."title" AS "title", "r"."listed_at" AS "listed_at",
  "r"."category_id" AS "category_id", "beside_0"."id" AS "id", "beside_0"."parent_id" AS "parent_id"
FROM unnest($1) AS "k"
LEFT JOIN
  LATERAL (
    SELECT
      "posts"."id" AS "id", "posts"."title" AS "title", "posts"."listed_at" AS "listed_at",
      "posts"."category_id" AS "category_id"
    FROM "posts"
    INNER JOIN "post_tags" ON "post_tags"."post_id" = "posts"."id"
    WHERE
      "posts"."published" = TRUE
      AND "posts"."deleted_at" IS NULL
      AND "post_tags"."tag_id" = "k"."k"
    ORDER BY "posts"."listed_at" ASC, "posts"."id" ASC
    LIMIT $2
  ) AS "r" ON TRUE
LEFT JOIN
  LATERAL (
    SELECT "named_ones"."id" AS "id", "named_ones"."parent_id" AS "parent_id"
    FROM (
      SELECT "categories"."id" AS "id", "categories"."parent_id" AS "parent_id"
      FROM "categories"
      WHERE "categories"."deleted_at" IS NULL
    ) AS "named_ones"
    WHERE "named_ones"."id" = "r"."category_id"
    LIMIT $3
  ) AS "beside_0" ON TRUE;

SELECT "post_authors"."post_id" AS "of_owner", "users"."name" AS "name"
FROM "users"
INNER JOIN "post_authors" ON "post_authors"."user_id" = "users"."id"
WHERE "users"."deleted_at" IS NULL AND "post_authors"."post_id" = ANY($1)
ORDER BY
  "post_authors"."post_id" ASC, "post_authors"."position" ASC, "post_authors"."user_id" ASC;

SELECT
  "tags"."id" AS "id", "tags"."name" AS "name", "tags"."slug" AS "slug",
  "tags"."lock_version" AS "lock_version", "tags"."deleted_at" AS "deleted_at",
  "tags"."deletion_id" AS "deletion_id", "tags"."created_at" AS "created_at",
  "tags"."updated_at" AS "updated_at"
FROM "tags"
WHERE "tags"."slug" = $1 AND "tags"."deleted_at" IS NULL
LIMIT $2;
