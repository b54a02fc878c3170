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

SELECT "posts"."category_id" AS "parent", COUNT("posts"."id") AS "n"
FROM "posts"
WHERE
  "posts"."published" = TRUE
  AND "posts"."deleted_at" IS NULL
  AND "posts"."category_id" = ANY($1)
GROUP BY "posts"."category_id";

SELECT
  "posts"."id" AS "id", "posts"."title" AS "title", "posts"."slug" AS "slug",
  "posts"."content" AS "content", "posts"."published" AS "published",
  "posts"."published_at" AS "published_at", "posts"."listed_at" AS "listed_at",
  "posts"."author_id" AS "author_id", "posts"."category_id" AS "category_id",
  "posts"."lock_version" AS "lock_version", "posts"."deleted_at" AS "deleted_at",
  "posts"."deletion_id" AS "deletion_id", "posts"."created_at" AS "created_at",
  "posts"."updated_at" AS "updated_at"
FROM "posts"
WHERE
  "posts"."published" = TRUE
  AND "posts"."deleted_at" IS NULL
  AND "posts"."id" = ANY($1);

SELECT
  "r"."id" AS "id", "r"."name" AS "name", "r"."slug" AS "slug", "r"."parent_id" AS "parent_id",
  "beside_0"."id" AS "id", "beside_0"."name" AS "name"
FROM (
  SELECT
    "categories"."id" AS "id", "categories"."name" AS "name", "categories"."slug" AS "slug",
    "categories"."parent_id" AS "parent_id"
  FROM "categories"
  WHERE "categories"."deleted_at" IS NULL
  ORDER BY "categories"."slug" ASC, "categories"."id" ASC
  LIMIT $1
) AS "r"
LEFT JOIN
  LATERAL (
    SELECT "named_ones"."id" AS "id", "named_ones"."name" AS "name"
    FROM (
      SELECT "categories"."id" AS "id", "categories"."name" AS "name"
      FROM "categories"
      WHERE "categories"."deleted_at" IS NULL
    ) AS "named_ones"
    WHERE "named_ones"."id" = "r"."parent_id"
    LIMIT $2
  ) AS "beside_0" ON TRUE
ORDER BY "r"."slug" ASC, "r"."id" ASC;
