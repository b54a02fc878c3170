SELECT "post_tags"."post_id" AS "of_owner", "tags"."name" AS "name"
FROM "tags"
INNER JOIN "post_tags" ON "post_tags"."tag_id" = "tags"."id"
WHERE
  "tags"."deleted_at" IS NULL
  AND "post_tags"."post_id" IN (
    SELECT "k"."k"
    FROM (SELECT unhex("j"."value") AS "k" FROM json_each(?) AS "j") AS "k"
  )
ORDER BY "post_tags"."post_id" ASC, "post_tags"."position" ASC, "post_tags"."tag_id" ASC;

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
  AND "posts"."id" IN (
    SELECT "k"."k"
    FROM (SELECT unhex("j"."value") AS "k" FROM json_each(?) AS "j") AS "k"
  );

SELECT "users"."id" AS "id", "users"."name" AS "name"
FROM "users"
WHERE
  "users"."deleted_at" IS NULL
  AND "users"."id" IN (
    SELECT "k"."k"
    FROM (SELECT unhex("j"."value") AS "k" FROM json_each(?) AS "j") AS "k"
  );
