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

SELECT "users"."id"
FROM "users"
WHERE
  "users"."id" = $1
  AND "users"."is_active" = $2
  AND "users"."role" = $3
  AND "users"."deleted_at" IS NULL
LIMIT $4;

SELECT
  "users"."id" AS "id", "users"."email" AS "email", "users"."email_key" AS "email_key",
  "users"."name" AS "name", "users"."name_key" AS "name_key", "users"."role" AS "role",
  "users"."is_active" AS "is_active", "users"."lock_version" AS "lock_version",
  "users"."deleted_at" AS "deleted_at", "users"."deletion_id" AS "deletion_id",
  "users"."created_at" AS "created_at", "users"."updated_at" AS "updated_at"
FROM "users"
WHERE "users"."id" = $1 AND "users"."deleted_at" IS NULL
ORDER BY "users"."id" ASC
LIMIT $2
FOR NO KEY UPDATE;

UPDATE "users" SET
  "lock_version" = "lock_version" + $1, "updated_at" = $2, "deleted_at" = $3, "deletion_id" = $4
WHERE "id" = $5 AND "lock_version" = $6 AND "deleted_at" IS NULL
RETURNING
  "id", "email", "email_key", "name", "name_key", "role", "is_active", "lock_version", "deleted_at",
  "deletion_id", "created_at", "updated_at";

SELECT "id", "lock_version", "user_id" AS "of"
FROM "profiles"
WHERE "user_id" = ANY($1) AND "deleted_at" IS NULL
ORDER BY "id" ASC
LIMIT $2
FOR NO KEY UPDATE;

SELECT "id", "lock_version", "author_id" AS "of"
FROM "posts"
WHERE "author_id" = ANY($1) AND "deleted_at" IS NULL
ORDER BY "id" ASC
LIMIT $2
FOR NO KEY UPDATE;

UPDATE "posts" SET
  "lock_version" = "lock_version" + $1, "updated_at" = $2, "deleted_at" = $3, "deletion_id" = $4
WHERE "id" = ANY($5);

SELECT "id", "owner_id" AS "of"
FROM "accounts"
WHERE "owner_id" = ANY($1) AND "deleted_at" IS NULL
ORDER BY "id" ASC
LIMIT $2;

INSERT INTO
  "deletions" (
    "id", "created_at", "updated_at", "actor_id", "root_type", "root_id", "row_count",
    "restored_at", "purged_at"
  )
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

UPDATE "login_sessions" SET
  "revoked_at" = $1, "updated_at" = $2
WHERE "login_sessions"."user_id" = $3 AND "login_sessions"."revoked_at" IS NULL;

INSERT INTO
  "audit_log" (
    "id", "created_at", "actor_id", "action", "record_type", "record_id", "from_version",
    "to_version", "changes", "request_id"
  )
VALUES
  ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10), ($11, $12, $13, $14, $15, $16, $17, $18, $19, $20),
  ($21, $22, $23, $24, $25, $26, $27, $28, $29, $30);
