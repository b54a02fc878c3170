SELECT
  "k"."k" AS "parent", "r"."id" AS "id", "r"."title" AS "title", "r"."listed_at" AS "listed_at",
  "r"."author_id" AS "author_id", "beside_0"."id" AS "id", "beside_0"."name" AS "name"
FROM unnest($1) AS "k"
LEFT JOIN
  LATERAL (
    SELECT
      "posts"."id" AS "id", "posts"."title" AS "title", "posts"."listed_at" AS "listed_at",
      "posts"."author_id" AS "author_id"
    FROM "posts"
    INNER JOIN "post_tags" ON "post_tags"."post_id" = "posts"."id"
    WHERE
      "posts"."published" = TRUE
      AND "posts"."deleted_at" IS NULL
      AND "post_tags"."tag_id" = "k"."k"
    ORDER BY "posts"."listed_at" DESC, "posts"."id" DESC
    LIMIT $2
  ) AS "r" ON TRUE
LEFT JOIN
  LATERAL (
    SELECT "named_ones"."id" AS "id", "named_ones"."name" AS "name"
    FROM (
      SELECT "users"."id" AS "id", "users"."name" AS "name"
      FROM "users"
      WHERE "users"."deleted_at" IS NULL
    ) AS "named_ones"
    WHERE "named_ones"."id" = "r"."author_id"
    LIMIT $3
  ) AS "beside_0" ON TRUE;

SELECT "post_tags"."tag_id" AS "parent", COUNT("posts"."id") AS "n"
FROM "posts"
INNER JOIN "post_tags" ON "post_tags"."post_id" = "posts"."id"
WHERE
  "posts"."published" = TRUE
  AND "posts"."deleted_at" IS NULL
  AND "post_tags"."tag_id" = ANY($1)
GROUP BY "post_tags"."tag_id";

SELECT "tags"."id" AS "id", "tags"."name" AS "name", "tags"."slug" AS "slug"
FROM "tags"
WHERE "tags"."deleted_at" IS NULL
ORDER BY "tags"."slug" ASC, "tags"."id" ASC
LIMIT $1;

SELECT COUNT("tags"."id") AS "n"
FROM "tags"
WHERE "tags"."deleted_at" IS NULL;
