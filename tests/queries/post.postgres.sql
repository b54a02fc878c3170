SELECT
  "posts"."id" AS "id", "posts"."title" AS "title", "posts"."author_id" AS "author_id",
  "beside_0"."id" AS "id", "beside_0"."name" AS "name"
FROM "posts"
LEFT JOIN
  LATERAL (
    SELECT "named_ones"."id" AS "id", "named_ones"."name" AS "name"
    FROM (
      SELECT "users"."id" AS "id", "users"."name" AS "name"
      FROM "users"
      WHERE "users"."deleted_at" IS NULL
    ) AS "named_ones"
    WHERE "named_ones"."id" = "posts"."author_id"
    LIMIT $1
  ) AS "beside_0" ON TRUE
WHERE
  "posts"."published" = TRUE
  AND "posts"."deleted_at" IS NULL
  AND "posts"."id" = ANY($2);
