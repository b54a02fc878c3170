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

INSERT INTO
  "products" (
    "id", "sku", "sku_key", "name", "name_key", "price_amount", "currency", "lock_version",
    "created_at", "updated_at"
  )
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
RETURNING
  "id", "sku", "sku_key", "name", "name_key", "price_amount", "currency", "lock_version",
  "deleted_at", "deletion_id", "created_at", "updated_at";

INSERT INTO
  "inventories" ("id", "product_id", "quantity", "lock_version", "created_at", "updated_at")
VALUES ($1, $2, $3, $4, $5, $6)
RETURNING
  "id", "product_id", "quantity", "lock_version", "deleted_at", "deletion_id", "created_at",
  "updated_at";

INSERT INTO
  "audit_log" (
    "id", "created_at", "actor_id", "action", "record_type", "record_id", "from_version",
    "to_version", "changes", "request_id"
  )
VALUES
  ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10), ($11, $12, $13, $14, $15, $16, $17, $18, $19, $20);

SELECT
  "inventories"."product_id" AS "product_id", "inventories"."quantity" AS "quantity"
FROM "inventories"
WHERE "inventories"."deleted_at" IS NULL AND "inventories"."product_id" = ANY($1);
