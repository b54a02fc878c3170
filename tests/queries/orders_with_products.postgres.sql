SELECT
  "accounts"."id" AS "id", "accounts"."owner_id" AS "owner_id", "accounts"."currency" AS "currency",
  "accounts"."balance" AS "balance", "accounts"."lock_version" AS "lock_version",
  "accounts"."deleted_at" AS "deleted_at", "accounts"."deletion_id" AS "deletion_id",
  "accounts"."created_at" AS "created_at", "accounts"."updated_at" AS "updated_at"
FROM "accounts"
WHERE "accounts"."deleted_at" IS NULL AND "accounts"."id" = ANY($1);

SELECT
  "order_items"."id" AS "id", "order_items"."created_at" AS "created_at",
  "order_items"."order_id" AS "order_id", "order_items"."product_id" AS "product_id",
  "order_items"."position" AS "position", "order_items"."quantity" AS "quantity",
  "order_items"."unit_amount" AS "unit_amount"
FROM "order_items"
WHERE "order_items"."order_id" IN ($1, $2)
ORDER BY "order_items"."id" ASC
LIMIT $3;

SELECT
  "products"."id" AS "id", "products"."sku" AS "sku", "beside_0"."id" AS "id",
  "beside_0"."product_id" AS "product_id", "beside_0"."quantity" AS "quantity"
FROM "products"
LEFT JOIN
  LATERAL (
    SELECT
      "named_ones"."id" AS "id", "named_ones"."product_id" AS "product_id",
      "named_ones"."quantity" AS "quantity"
    FROM (
      SELECT
        "inventories"."id" AS "id", "inventories"."product_id" AS "product_id",
        "inventories"."quantity" AS "quantity"
      FROM "inventories"
      WHERE "inventories"."deleted_at" IS NULL
    ) AS "named_ones"
    WHERE "named_ones"."product_id" = "products"."id"
    LIMIT $1
  ) AS "beside_0" ON TRUE
WHERE "products"."id" = ANY($2);

SELECT
  "r"."id" AS "id", "r"."buyer_id" AS "buyer_id", "r"."account_id" AS "account_id",
  "r"."status" AS "status", "r"."total_amount" AS "total_amount", "r"."currency" AS "currency",
  "r"."created_at" AS "created_at", "beside_0"."id" AS "id", "beside_0"."name" AS "name"
FROM (
  SELECT
    "orders"."id" AS "id", "orders"."buyer_id" AS "buyer_id", "orders"."account_id" AS "account_id",
    "orders"."status" AS "status", "orders"."total_amount" AS "total_amount",
    "orders"."currency" AS "currency", "orders"."created_at" AS "created_at"
  FROM "orders"
  WHERE "orders"."deleted_at" IS NULL
  ORDER BY "orders"."created_at" DESC, "orders"."id" DESC
  LIMIT $1
) AS "r"
LEFT JOIN
  LATERAL (
    SELECT "named_ones"."id" AS "id", "named_ones"."name" AS "name"
    FROM (
      SELECT "users"."id" AS "id", "users"."name" AS "name"
      FROM "users"
      WHERE "users"."deleted_at" IS NULL
    ) AS "named_ones"
    WHERE "named_ones"."id" = "r"."buyer_id"
    LIMIT $2
  ) AS "beside_0" ON TRUE
ORDER BY "r"."created_at" DESC, "r"."id" DESC;

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
