SELECT
  "b"."behind" AS "behind", "r"."id" AS "id", "r"."title" AS "title", "r"."listed_at" AS "listed_at"
FROM (
  SELECT
    EXISTS (
      SELECT 1
      FROM "posts"
      WHERE
        "posts"."published" = TRUE
        AND "posts"."deleted_at" IS NULL
        AND ("posts"."listed_at", "posts"."id") >= ($1, $2)
    ) AS "behind"
) AS "b"
LEFT JOIN (
  SELECT
    "posts"."id" AS "id", "posts"."title" AS "title", "posts"."listed_at" AS "listed_at"
  FROM "posts"
  WHERE
    "posts"."published" = TRUE
    AND "posts"."deleted_at" IS NULL
    AND ("posts"."listed_at", "posts"."id") < ($3, $4)
  ORDER BY "posts"."listed_at" DESC, "posts"."id" DESC
  LIMIT $5
) AS "r" ON 1 = 1
ORDER BY "r"."listed_at" DESC, "r"."id" DESC;
