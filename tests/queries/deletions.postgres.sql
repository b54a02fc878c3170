SELECT
  "deletions"."id" AS "id", "deletions"."created_at" AS "created_at",
  "deletions"."updated_at" AS "updated_at", "deletions"."actor_id" AS "actor_id",
  "deletions"."root_type" AS "root_type", "deletions"."root_id" AS "root_id",
  "deletions"."row_count" AS "row_count", "deletions"."restored_at" AS "restored_at",
  "deletions"."purged_at" AS "purged_at"
FROM "deletions"
WHERE TRUE
ORDER BY "deletions"."created_at" DESC, "deletions"."id" DESC
LIMIT $1;

SELECT
  "tags"."id" AS "id", "tags"."name" AS "name", "tags"."slug" AS "slug",
  "tags"."lock_version" AS "lock_version", "tags"."deleted_at" AS "deleted_at",
  "tags"."deletion_id" AS "deletion_id", "tags"."created_at" AS "created_at",
  "tags"."updated_at" AS "updated_at"
FROM "tags"
WHERE "tags"."id" = ANY($1);

SELECT
  "users"."id" AS "id", "users"."email" AS "email", "users"."email_key" AS "email_key",
  "users"."name" AS "name", "users"."name_key" AS "name_key", "users"."role" AS "role",
  "users"."is_active" AS "is_active", "users"."lock_version" AS "lock_version",
  "users"."deleted_at" AS "deleted_at", "users"."deletion_id" AS "deletion_id",
  "users"."created_at" AS "created_at", "users"."updated_at" AS "updated_at"
FROM "users"
WHERE
  "users"."is_active" = $1
  AND "users"."id" IN (
    SELECT "login_sessions"."user_id" AS "r"
    FROM "login_sessions"
    WHERE
      "login_sessions"."token_hash" = $2
      AND "login_sessions"."revoked_at" IS NULL
      AND "login_sessions"."expires_at" > $3
  )
  AND "users"."deleted_at" IS NULL
LIMIT $4;

SELECT "users"."id" AS "id", "users"."name" AS "name"
FROM "users"
WHERE "users"."deleted_at" IS NULL AND "users"."id" = ANY($1);
