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

SELECT "post_tags"."post_id" AS "of_owner", "tags"."name" AS "name"
FROM "tags"
INNER JOIN "post_tags" ON "post_tags"."tag_id" = "tags"."id"
WHERE "tags"."deleted_at" IS NULL AND "post_tags"."post_id" = ANY($1)
ORDER BY "post_tags"."post_id" ASC, "post_tags"."position" ASC, "post_tags"."tag_id" ASC;

SELECT
  "r"."id" AS "id", "r"."name" AS "name", "r"."name_key" AS "name_key", "beside_0"."id" AS "id",
  "beside_0"."user_id" AS "user_id", "beside_0"."bio" AS "bio"
FROM (
  SELECT
    "users"."id" AS "id", "users"."name" AS "name", "users"."name_key" AS "name_key"
  FROM "users"
  WHERE "users"."deleted_at" IS NULL
  ORDER BY "users"."name_key" DESC, "users"."id" DESC
  LIMIT $1
) AS "r"
LEFT JOIN
  LATERAL (
    SELECT
      "named_ones"."id" AS "id", "named_ones"."user_id" AS "user_id", "named_ones"."bio" AS "bio"
    FROM (
      SELECT
        "profiles"."id" AS "id", "profiles"."user_id" AS "user_id", "profiles"."bio" AS "bio"
      FROM "profiles"
      WHERE "profiles"."deleted_at" IS NULL
    ) AS "named_ones"
    WHERE "named_ones"."user_id" = "r"."id"
    LIMIT $2
  ) AS "beside_0" ON TRUE
ORDER BY "r"."name_key" DESC, "r"."id" DESC;

SELECT "users"."id" AS "id", "users"."name" AS "name"
FROM "users"
WHERE "users"."deleted_at" IS NULL AND "users"."id" = ANY($1);
