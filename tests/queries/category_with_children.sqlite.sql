SELECT
  "categories"."id" AS "id", "categories"."name" AS "name", "categories"."slug" AS "slug",
  "categories"."parent_id" AS "parent_id", "categories"."lock_version" AS "lock_version",
  "categories"."deleted_at" AS "deleted_at", "categories"."deletion_id" AS "deletion_id",
  "categories"."created_at" AS "created_at", "categories"."updated_at" AS "updated_at"
FROM "categories"
WHERE "categories"."slug" = ? AND "categories"."deleted_at" IS NULL
LIMIT ?;

SELECT "categories"."parent_id" AS "parent", COUNT("categories"."id") AS "n"
FROM "categories"
WHERE
  "categories"."deleted_at" IS NULL
  AND "categories"."parent_id" IN (
    SELECT "k"."k"
    FROM (SELECT unhex("j"."value") AS "k" FROM json_each(?) AS "j") AS "k"
  )
GROUP BY "categories"."parent_id";

SELECT
  "k"."k" AS "parent", "r"."id" AS "id", "r"."name" AS "name", "r"."slug" AS "slug"
FROM (SELECT unhex("j"."value") AS "k" FROM json_each(?) AS "j") AS "k"
LEFT JOIN (
  SELECT
    "categories"."id" AS "id", "categories"."name" AS "name", "categories"."slug" AS "slug",
    ROW_NUMBER() OVER (
      PARTITION BY "categories"."parent_id"
      ORDER BY "categories"."slug" ASC, "categories"."id" ASC
    ) AS "rank_in_parent", "categories"."parent_id" AS "of_parent"
  FROM "categories"
  WHERE
    "categories"."deleted_at" IS NULL
    AND "categories"."parent_id" IN (
      SELECT "k"."k"
      FROM (SELECT unhex("j"."value") AS "k" FROM json_each(?) AS "j") AS "k"
    )
) AS "r" ON "r"."of_parent" = "k"."k"
  AND "r"."rank_in_parent" <= ?;

SELECT
  "k"."k" AS "parent", "r"."id" AS "id", "r"."title" AS "title", "r"."listed_at" AS "listed_at"
FROM (SELECT unhex("j"."value") AS "k" FROM json_each(?) AS "j") AS "k"
LEFT JOIN (
  SELECT
    "posts"."id" AS "id", "posts"."title" AS "title", "posts"."listed_at" AS "listed_at",
    ROW_NUMBER() OVER (
      PARTITION BY "posts"."category_id"
      ORDER BY "posts"."listed_at" DESC, "posts"."id" DESC
    ) AS "rank_in_parent", "posts"."category_id" AS "of_parent"
  FROM "posts"
  WHERE
    "posts"."published" = TRUE
    AND "posts"."deleted_at" IS NULL
    AND "posts"."category_id" IN (
      SELECT "k"."k"
      FROM (SELECT unhex("j"."value") AS "k" FROM json_each(?) AS "j") AS "k"
    )
) AS "r" ON "r"."of_parent" = "k"."k"
  AND "r"."rank_in_parent" <= ?;
