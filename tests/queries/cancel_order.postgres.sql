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
  "orders"."id" AS "id", "orders"."buyer_id" AS "buyer_id", "orders"."account_id" AS "account_id",
  "orders"."status" AS "status", "orders"."total_amount" AS "total_amount",
  "orders"."currency" AS "currency", "orders"."lock_version" AS "lock_version",
  "orders"."deleted_at" AS "deleted_at", "orders"."deletion_id" AS "deletion_id",
  "orders"."created_at" AS "created_at", "orders"."updated_at" AS "updated_at"
FROM "orders"
WHERE "orders"."id" = $1 AND "orders"."deleted_at" IS NULL
LIMIT $2;

SELECT
  "order_items"."id" AS "id", "order_items"."created_at" AS "created_at",
  "order_items"."order_id" AS "order_id", "order_items"."product_id" AS "product_id",
  "order_items"."position" AS "position", "order_items"."quantity" AS "quantity",
  "order_items"."unit_amount" AS "unit_amount"
FROM "order_items"
WHERE "order_items"."order_id" = $1
ORDER BY "order_items"."id" ASC
LIMIT $2;

SELECT
  "products"."id" AS "id", "products"."sku" AS "sku", "products"."sku_key" AS "sku_key",
  "products"."name" AS "name", "products"."name_key" AS "name_key",
  "products"."price_amount" AS "price_amount", "products"."currency" AS "currency",
  "products"."lock_version" AS "lock_version", "products"."deleted_at" AS "deleted_at",
  "products"."deletion_id" AS "deletion_id", "products"."created_at" AS "created_at",
  "products"."updated_at" AS "updated_at"
FROM "products"
WHERE "products"."id" IN ($1, $2)
ORDER BY "products"."id" ASC
LIMIT $3
FOR SHARE;

SELECT
  "inventories"."id" AS "id", "inventories"."product_id" AS "product_id",
  "inventories"."quantity" AS "quantity", "inventories"."lock_version" AS "lock_version",
  "inventories"."deleted_at" AS "deleted_at", "inventories"."deletion_id" AS "deletion_id",
  "inventories"."created_at" AS "created_at", "inventories"."updated_at" AS "updated_at"
FROM "inventories"
WHERE "inventories"."product_id" IN ($1, $2)
ORDER BY "inventories"."id" ASC
LIMIT $3
FOR NO KEY UPDATE;

SELECT
  "orders"."id" AS "id", "orders"."buyer_id" AS "buyer_id", "orders"."account_id" AS "account_id",
  "orders"."status" AS "status", "orders"."total_amount" AS "total_amount",
  "orders"."currency" AS "currency", "orders"."lock_version" AS "lock_version",
  "orders"."deleted_at" AS "deleted_at", "orders"."deletion_id" AS "deletion_id",
  "orders"."created_at" AS "created_at", "orders"."updated_at" AS "updated_at"
FROM "orders"
WHERE "orders"."id" = $1 AND "orders"."deleted_at" IS NULL
ORDER BY "orders"."id" ASC
LIMIT $2
FOR NO KEY UPDATE;

UPDATE "inventories" SET
  "lock_version" = "lock_version" + $1, "updated_at" = $2,
  "quantity" = (CASE WHEN ("id" = $3) THEN $4 WHEN ("id" = $5) THEN $6 ELSE "quantity" END)
WHERE "id" = ANY($7)
RETURNING
  "id", "product_id", "quantity", "lock_version", "deleted_at", "deletion_id", "created_at",
  "updated_at";

UPDATE "orders" SET
  "lock_version" = "lock_version" + $1, "updated_at" = $2, "status" = $3
WHERE "id" = $4 AND "lock_version" = $5 AND "deleted_at" IS NULL
RETURNING
  "id", "buyer_id", "account_id", "status", "total_amount", "currency", "lock_version",
  "deleted_at", "deletion_id", "created_at", "updated_at";

SELECT
  "accounts"."id" AS "id", "accounts"."owner_id" AS "owner_id", "accounts"."currency" AS "currency",
  "accounts"."balance" AS "balance", "accounts"."lock_version" AS "lock_version",
  "accounts"."deleted_at" AS "deleted_at", "accounts"."deletion_id" AS "deletion_id",
  "accounts"."created_at" AS "created_at", "accounts"."updated_at" AS "updated_at"
FROM "accounts"
WHERE "accounts"."id" = $1
ORDER BY "accounts"."id" ASC
LIMIT $2
FOR NO KEY UPDATE;

UPDATE "accounts" SET
  "lock_version" = "lock_version" + $1, "updated_at" = $2, "balance" = $3
WHERE "id" = $4 AND "lock_version" = $5 AND "deleted_at" IS NULL
RETURNING
  "id", "owner_id", "currency", "balance", "lock_version", "deleted_at", "deletion_id",
  "created_at", "updated_at";

INSERT INTO
  "transfers" (
    "id", "created_at", "kind", "from_account_id", "to_account_id", "amount", "currency",
    "order_id", "actor_id"
  )
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

INSERT INTO
  "transfer_entries" ("id", "created_at", "transfer_id", "account_id", "amount", "balance")
VALUES ($1, $2, $3, $4, $5, $6);

INSERT INTO
  "audit_log" (
    "id", "created_at", "actor_id", "action", "record_type", "record_id", "from_version",
    "to_version", "changes", "request_id"
  )
VALUES
  ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10), ($11, $12, $13, $14, $15, $16, $17, $18, $19, $20),
  ($21, $22, $23, $24, $25, $26, $27, $28, $29, $30),
  ($31, $32, $33, $34, $35, $36, $37, $38, $39, $40);

SELECT
  "order_items"."id" AS "id", "order_items"."created_at" AS "created_at",
  "order_items"."order_id" AS "order_id", "order_items"."product_id" AS "product_id",
  "order_items"."position" AS "position", "order_items"."quantity" AS "quantity",
  "order_items"."unit_amount" AS "unit_amount"
FROM "order_items"
WHERE "order_items"."order_id" IN ($1)
ORDER BY "order_items"."id" ASC
LIMIT $2;

SELECT "products"."id" AS "id", "products"."lock_version" AS "lock_version"
FROM "products"
WHERE "products"."id" = ANY($1);
