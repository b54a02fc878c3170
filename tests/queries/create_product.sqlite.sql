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

INSERT INTO
  "products" (
    "id", "sku", "sku_key", "name", "name_key", "price_amount", "currency", "lock_version",
    "created_at", "updated_at"
  )
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
RETURNING
  "id", "sku", "sku_key", "name", "name_key", "price_amount", "currency", "lock_version",
  "deleted_at", "deletion_id", "created_at", "updated_at";

INSERT INTO
  "inventories" ("id", "product_id", "quantity", "lock_version", "created_at", "updated_at")
VALUES (?, ?, ?, ?, ?, ?)
RETURNING
  "id", "product_id", "quantity", "lock_version", "deleted_at", "deletion_id", "created_at",
  "updated_at";

INSERT INTO
  "audit_log" (
    "id", "created_at", "actor_id", "action", "record_type", "record_id", "from_version",
    "to_version", "changes", "request_id"
  )
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

SELECT
  "inventories"."product_id" AS "product_id", "inventories"."quantity" AS "quantity"
FROM "inventories"
WHERE
  "inventories"."deleted_at" IS NULL
  AND "inventories"."product_id" IN (
    SELECT "k"."k"
    FROM (SELECT unhex("j"."value") AS "k" FROM json_each(?) AS "j") AS "k"
  );
