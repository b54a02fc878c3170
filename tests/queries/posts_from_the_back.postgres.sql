SELECT "profiles"."user_id" AS "user_id", "profiles"."bio" AS "bio"
FROM "profiles"
WHERE "profiles"."deleted_at" IS NULL AND "profiles"."user_id" = ANY($1);

SELECT
  "r"."id" AS "id", "r"."title" AS "title", "r"."author_id" AS "author_id",
  "r"."updated_at" AS "updated_at", "beside_0"."id" AS "id"
FROM (
  SELECT
    "posts"."id" AS "id", "posts"."title" AS "title", "posts"."author_id" AS "author_id",
    "posts"."updated_at" AS "updated_at"
  FROM "posts"
  WHERE
    "posts"."published" = TRUE
    AND "posts"."published" = TRUE
    AND "posts"."deleted_at" IS NULL
  ORDER BY "posts"."updated_at" DESC, "posts"."id" DESC
  LIMIT $1
) AS "r"
LEFT JOIN
  LATERAL (
    SELECT "named_ones"."id" AS "id"
    FROM
      (SELECT "users"."id" AS "id" FROM "users" WHERE "users"."deleted_at" IS NULL) AS "named_ones"
    WHERE "named_ones"."id" = "r"."author_id"
    LIMIT $2
  ) AS "beside_0" ON TRUE
ORDER BY "r"."updated_at" DESC, "r"."id" DESC;
