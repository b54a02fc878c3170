SELECT
  "users"."id" AS "id", "users"."email" AS "email", "users"."email_key" AS "email_key",
  "users"."name" AS "name", "users"."name_key" AS "name_key", "users"."role" AS "role",
  "users"."is_active" AS "is_active", "users"."lock_version" AS "lock_version",
  "users"."deleted_at" AS "deleted_at", "users"."deletion_id" AS "deletion_id",
  "users"."created_at" AS "created_at", "users"."updated_at" AS "updated_at"
FROM "users"
WHERE
  "users"."is_active" = ?
  AND "users"."id" IN (
    SELECT "login_sessions"."user_id" AS "r"
    FROM "login_sessions"
    WHERE
      "login_sessions"."token_hash" = ?
      AND "login_sessions"."revoked_at" IS NULL
      AND "login_sessions"."expires_at" > ?
  )
  AND "users"."deleted_at" IS NULL
LIMIT ?;

SELECT "users"."id"
FROM "users"
WHERE
  "users"."id" = ?
  AND "users"."is_active" = ?
  AND "users"."role" = ?
  AND "users"."deleted_at" IS NULL
LIMIT ?;

SELECT
  "orders"."id" AS "id", "orders"."buyer_id" AS "buyer_id", "orders"."account_id" AS "account_id",
  "orders"."status" AS "status", "orders"."total_amount" AS "total_amount",
  "orders"."currency" AS "currency", "orders"."lock_version" AS "lock_version",
  "orders"."deleted_at" AS "deleted_at", "orders"."deletion_id" AS "deletion_id",
  "orders"."created_at" AS "created_at", "orders"."updated_at" AS "updated_at"
FROM "orders"
WHERE "orders"."id" = ? AND "orders"."deleted_at" IS NULL
ORDER BY "orders"."id" ASC
LIMIT ?;

UPDATE "orders" SET
  "lock_version" = "lock_version" + ?, "updated_at" = ?, "status" = ?
WHERE "id" = ? AND "lock_version" = ? AND "deleted_at" IS NULL
RETURNING
  "id", "buyer_id", "account_id", "status", "total_amount", "currency", "lock_version",
  "deleted_at", "deletion_id", "created_at", "updated_at";

INSERT INTO
  "audit_log" (
    "id", "created_at", "actor_id", "action", "record_type", "record_id", "from_version",
    "to_version", "changes", "request_id"
  )
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

SELECT
  "order_items"."id" AS "id", "order_items"."created_at" AS "created_at",
  "order_items"."order_id" AS "order_id", "order_items"."product_id" AS "product_id",
  "order_items"."position" AS "position", "order_items"."quantity" AS "quantity",
  "order_items"."unit_amount" AS "unit_amount"
FROM "order_items"
WHERE "order_items"."order_id" IN (?)
ORDER BY "order_items"."id" ASC
LIMIT ?;

SELECT "products"."id" AS "id", "products"."lock_version" AS "lock_version"
FROM "products"
WHERE
  "products"."id" IN (
    SELECT "k"."k"
    FROM (SELECT unhex("j"."value") AS "k" FROM json_each(?) AS "j") AS "k"
  );
