SELECT
  "b"."behind" AS "behind", "r"."id" AS "id", "r"."title" AS "title", "r"."slug" AS "slug",
  "r"."published" AS "published", "r"."published_at" AS "published_at",
  "r"."listed_at" AS "listed_at", "r"."author_id" AS "author_id",
  "r"."category_id" AS "category_id", "r"."lock_version" AS "lock_version",
  "r"."deleted_at" AS "deleted_at", "r"."deletion_id" AS "deletion_id",
  "r"."created_at" AS "created_at", "r"."updated_at" AS "updated_at"
FROM (
  SELECT
    EXISTS (
      SELECT $1
      FROM "posts"
      WHERE
        "posts"."published" = TRUE
        AND "posts"."deleted_at" IS NULL
        AND ("posts"."listed_at", "posts"."id") >= ($2, $3)
    ) AS "behind"
) AS "b"
LEFT JOIN (
  SELECT
    "posts"."id" AS "id", "posts"."title" AS "title", "posts"."slug" AS "slug",
    "posts"."published" AS "published", "posts"."published_at" AS "published_at",
    "posts"."listed_at" AS "listed_at", "posts"."author_id" AS "author_id",
    "posts"."category_id" AS "category_id", "posts"."lock_version" AS "lock_version",
    "posts"."deleted_at" AS "deleted_at", "posts"."deletion_id" AS "deletion_id",
    "posts"."created_at" AS "created_at", "posts"."updated_at" AS "updated_at"
  FROM "posts"
  WHERE
    "posts"."published" = TRUE
    AND "posts"."deleted_at" IS NULL
    AND ("posts"."listed_at", "posts"."id") < ($4, $5)
  ORDER BY "posts"."listed_at" DESC, "posts"."id" DESC
  LIMIT $6
) AS "r" ON $7 = $8
ORDER BY "r"."listed_at" DESC, "r"."id" DESC;
