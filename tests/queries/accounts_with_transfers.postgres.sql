SELECT
  "accounts"."id" AS "id", "accounts"."owner_id" AS "owner_id", "accounts"."currency" AS "currency",
  "accounts"."balance" AS "balance", "accounts"."lock_version" AS "lock_version",
  "accounts"."deleted_at" AS "deleted_at", "accounts"."deletion_id" AS "deletion_id",
  "accounts"."created_at" AS "created_at", "accounts"."updated_at" AS "updated_at"
FROM "accounts"
WHERE "accounts"."deleted_at" IS NULL AND "accounts"."id" = ANY($1);

SELECT
  "k"."k" AS "parent", "r"."id" AS "id", "r"."created_at" AS "created_at",
  "r"."transfer_id" AS "transfer_id", "r"."account_id" AS "account_id", "r"."amount" AS "amount",
  "r"."balance" AS "balance"
FROM unnest($1) AS "k"
LEFT JOIN
  LATERAL (
    SELECT
      "transfer_entries"."id" AS "id", "transfer_entries"."created_at" AS "created_at",
      "transfer_entries"."transfer_id" AS "transfer_id",
      "transfer_entries"."account_id" AS "account_id", "transfer_entries"."amount" AS "amount",
      "transfer_entries"."balance" AS "balance"
    FROM "transfer_entries"
    WHERE "transfer_entries"."account_id" = "k"."k"
    ORDER BY "transfer_entries"."created_at" DESC, "transfer_entries"."id" DESC
    LIMIT $2
  ) AS "r" ON TRUE;

SELECT
  "r"."id" AS "id", "r"."owner_id" AS "owner_id", "r"."currency" AS "currency",
  "r"."balance" AS "balance", "r"."created_at" AS "created_at", "beside_0"."id" AS "id",
  "beside_0"."name" AS "name"
FROM (
  SELECT
    "accounts"."id" AS "id", "accounts"."owner_id" AS "owner_id",
    "accounts"."currency" AS "currency", "accounts"."balance" AS "balance",
    "accounts"."created_at" AS "created_at"
  FROM "accounts"
  WHERE "accounts"."deleted_at" IS NULL
  ORDER BY "accounts"."created_at" DESC, "accounts"."id" DESC
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
    WHERE "named_ones"."id" = "r"."owner_id"
    LIMIT $2
  ) AS "beside_0" ON TRUE
ORDER BY "r"."created_at" DESC, "r"."id" DESC;

SELECT
  "transfers"."id" AS "id", "transfers"."created_at" AS "created_at", "transfers"."kind" AS "kind",
  "transfers"."from_account_id" AS "from_account_id",
  "transfers"."to_account_id" AS "to_account_id", "transfers"."amount" AS "amount",
  "transfers"."currency" AS "currency", "transfers"."order_id" AS "order_id",
  "transfers"."actor_id" AS "actor_id"
FROM "transfers"
WHERE "transfers"."id" = ANY($1);

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
