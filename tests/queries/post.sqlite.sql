SELECT
  "posts"."id" AS "id", "posts"."title" AS "title", "posts"."author_id" AS "author_id",
  "beside_0"."id" AS "id", "beside_0"."name" AS "name"
FROM "posts"
LEFT JOIN (
  SELECT "users"."id" AS "id", "users"."name" AS "name"
  FROM "users"
  WHERE "users"."deleted_at" IS NULL
) AS "beside_0" ON "beside_0"."id" = "posts"."author_id"
WHERE
  "posts"."published" = TRUE
  AND "posts"."deleted_at" IS NULL
  AND "posts"."id" IN (
    SELECT "k"."k"
    FROM (SELECT unhex("j"."value") AS "k" FROM json_each(?) AS "j") AS "k"
  );
