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

SELECT "posts"."category_id" AS "parent", COUNT("posts"."id") AS "n"
FROM "posts"
WHERE
  "posts"."published" = TRUE
  AND "posts"."deleted_at" IS NULL
  AND "posts"."category_id" IN (
    SELECT "k"."k"
    FROM (SELECT unhex("j"."value") AS "k" FROM json_each(?) AS "j") AS "k"
  )
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
  AND "posts"."id" IN (
    SELECT "k"."k"
    FROM (SELECT unhex("j"."value") AS "k" FROM json_each(?) AS "j") AS "k"
  );

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
  LIMIT ?
) AS "r"
LEFT JOIN (
  SELECT "categories"."id" AS "id", "categories"."name" AS "name"
  FROM "categories"
  WHERE "categories"."deleted_at" IS NULL
) AS "beside_0" ON "beside_0"."id" = "r"."parent_id"
ORDER BY "r"."slug" ASC, "r"."id" ASC;
