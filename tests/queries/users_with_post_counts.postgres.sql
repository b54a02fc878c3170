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
      AND "posts"."author_id" = "k"."k"
    ORDER BY "posts"."listed_at" DESC, "posts"."id" DESC
    LIMIT $2
  ) AS "r" ON TRUE;

SELECT "posts"."author_id" AS "parent", COUNT("posts"."id") AS "n"
FROM "posts"
WHERE
  "posts"."published" = TRUE
  AND "posts"."deleted_at" IS NULL
  AND "posts"."author_id" = ANY($1)
GROUP BY "posts"."author_id";

SELECT "users"."id" AS "id", "users"."name_key" AS "name_key"
FROM "users"
WHERE "users"."deleted_at" IS NULL
ORDER BY "users"."name_key" DESC, "users"."id" DESC
LIMIT $1;
