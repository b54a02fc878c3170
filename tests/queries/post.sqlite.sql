SELECT
  "posts"."id" AS "id", "posts"."title" AS "title", "posts"."author_id" AS "author_id",
  "users"."id" AS "beside_id", "users"."name" AS "beside_name"
FROM "posts"
LEFT JOIN "users" ON "users"."id" = "posts"."author_id" AND "users"."deleted_at" IS NULL
WHERE
  "posts"."published" = TRUE
  AND "posts"."deleted_at" IS NULL
  AND "posts"."id" IN (
    SELECT "k"."k"
    FROM (SELECT unhex("j"."value") AS "k" FROM json_each(?) AS "j") AS "k"
  );
