SELECT
  "categories"."id" AS "id", "categories"."name" AS "name", "categories"."slug" AS "slug",
  "categories"."parent_id" AS "parent_id", "categories"."lock_version" AS "lock_version",
  "categories"."deleted_at" AS "deleted_at", "categories"."deletion_id" AS "deletion_id",
  "categories"."created_at" AS "created_at", "categories"."updated_at" AS "updated_at"
FROM "categories"
WHERE "categories"."slug" = $1 AND "categories"."deleted_at" IS NULL
LIMIT $2;

SELECT "categories"."parent_id" AS "parent", COUNT("categories"."id") AS "n"
FROM "categories"
WHERE "categories"."deleted_at" IS NULL AND "categories"."parent_id" = ANY($1)
GROUP BY "categories"."parent_id";

SELECT
  "k"."k" AS "parent", "r"."id" AS "id", "r"."name" AS "name", "r"."slug" AS "slug"
FROM unnest($1) AS "k"
LEFT JOIN
  LATERAL (
    SELECT
      "categories"."id" AS "id", "categories"."name" AS "name", "categories"."slug" AS "slug"
    FROM "categories"
    WHERE "categories"."deleted_at" IS NULL
      AND "categories"."parent_id" = "k"."k"
    ORDER BY "categories"."slug" ASC, "categories"."id" ASC
    LIMIT $2
  ) AS "r" ON TRUE;

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
      AND "posts"."category_id" = "k"."k"
    ORDER BY "posts"."listed_at" DESC, "posts"."id" DESC
    LIMIT $2
  ) AS "r" ON TRUE;
