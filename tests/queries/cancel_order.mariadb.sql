SELECT
  `users`.`id` AS `id`, `users`.`email` AS `email`, `users`.`email_key` AS `email_key`,
  `users`.`name` AS `name`, `users`.`name_key` AS `name_key`, `users`.`role` AS `role`,
  `users`.`is_active` AS `is_active`, `users`.`lock_version` AS `lock_version`,
  `users`.`deleted_at` AS `deleted_at`, `users`.`deletion_id` AS `deletion_id`,
  `users`.`created_at` AS `created_at`, `users`.`updated_at` AS `updated_at`
FROM `users`
WHERE
  `users`.`is_active` = ?
  AND `users`.`id` IN (
    SELECT `login_sessions`.`user_id` AS `r`
    FROM `login_sessions`
    WHERE
      `login_sessions`.`token_hash` = ?
      AND `login_sessions`.`revoked_at` IS NULL
      AND `login_sessions`.`expires_at` > ?
  )
  AND `users`.`deleted_at` IS NULL
LIMIT ?;

SELECT `users`.`id`
FROM `users`
WHERE
  `users`.`id` = ?
  AND `users`.`is_active` = ?
  AND `users`.`role` = ?
  AND `users`.`deleted_at` IS NULL
LIMIT ?;

SELECT
  `orders`.`id` AS `id`, `orders`.`buyer_id` AS `buyer_id`, `orders`.`account_id` AS `account_id`,
  `orders`.`status` AS `status`, `orders`.`total_amount` AS `total_amount`,
  `orders`.`currency` AS `currency`, `orders`.`lock_version` AS `lock_version`,
  `orders`.`deleted_at` AS `deleted_at`, `orders`.`deletion_id` AS `deletion_id`,
  `orders`.`created_at` AS `created_at`, `orders`.`updated_at` AS `updated_at`
FROM `orders`
WHERE `orders`.`id` = ? AND `orders`.`deleted_at` IS NULL
LIMIT ?;

SELECT
  `order_items`.`id` AS `id`, `order_items`.`created_at` AS `created_at`,
  `order_items`.`order_id` AS `order_id`, `order_items`.`product_id` AS `product_id`,
  `order_items`.`position` AS `position`, `order_items`.`quantity` AS `quantity`,
  `order_items`.`unit_amount` AS `unit_amount`
FROM `order_items`
WHERE `order_items`.`order_id` = ?
ORDER BY `order_items`.`id` ASC
LIMIT ?;

SELECT
  `products`.`id` AS `id`, `products`.`sku` AS `sku`, `products`.`sku_key` AS `sku_key`,
  `products`.`name` AS `name`, `products`.`name_key` AS `name_key`,
  `products`.`price_amount` AS `price_amount`, `products`.`currency` AS `currency`,
  `products`.`lock_version` AS `lock_version`, `products`.`deleted_at` AS `deleted_at`,
  `products`.`deletion_id` AS `deletion_id`, `products`.`created_at` AS `created_at`,
  `products`.`updated_at` AS `updated_at`
FROM `products`
WHERE `products`.`id` IN (?, ?)
ORDER BY `products`.`id` ASC
LIMIT ? LOCK IN SHARE MODE;

SELECT
  `inventories`.`id` AS `id`, `inventories`.`product_id` AS `product_id`,
  `inventories`.`quantity` AS `quantity`, `inventories`.`lock_version` AS `lock_version`,
  `inventories`.`deleted_at` AS `deleted_at`, `inventories`.`deletion_id` AS `deletion_id`,
  `inventories`.`created_at` AS `created_at`, `inventories`.`updated_at` AS `updated_at`
FROM `inventories`
WHERE `inventories`.`product_id` IN (?, ?)
ORDER BY `inventories`.`id` ASC
LIMIT ?
FOR UPDATE;

SELECT
  `orders`.`id` AS `id`, `orders`.`buyer_id` AS `buyer_id`, `orders`.`account_id` AS `account_id`,
  `orders`.`status` AS `status`, `orders`.`total_amount` AS `total_amount`,
  `orders`.`currency` AS `currency`, `orders`.`lock_version` AS `lock_version`,
  `orders`.`deleted_at` AS `deleted_at`, `orders`.`deletion_id` AS `deletion_id`,
  `orders`.`created_at` AS `created_at`, `orders`.`updated_at` AS `updated_at`
FROM `orders`
WHERE `orders`.`id` = ? AND `orders`.`deleted_at` IS NULL
ORDER BY `orders`.`id` ASC
LIMIT ?
FOR UPDATE;

UPDATE `inventories` SET
  `lock_version` = `lock_version` + ?, `updated_at` = ?,
  `quantity` = (CASE WHEN (`id` = ?) THEN ? WHEN (`id` = ?) THEN ? ELSE `quantity` END)
WHERE `id` IN (?, ?);

SELECT
  `inventories`.`id` AS `id`, `inventories`.`product_id` AS `product_id`,
  `inventories`.`quantity` AS `quantity`, `inventories`.`lock_version` AS `lock_version`,
  `inventories`.`deleted_at` AS `deleted_at`, `inventories`.`deletion_id` AS `deletion_id`,
  `inventories`.`created_at` AS `created_at`, `inventories`.`updated_at` AS `updated_at`
FROM `inventories`
WHERE `inventories`.`id` IN (?, ?);

UPDATE `orders` SET
  `lock_version` = `lock_version` + ?, `updated_at` = ?, `status` = ?
WHERE `id` = ? AND `lock_version` = ? AND `deleted_at` IS NULL;

SELECT
  `orders`.`id` AS `id`, `orders`.`buyer_id` AS `buyer_id`, `orders`.`account_id` AS `account_id`,
  `orders`.`status` AS `status`, `orders`.`total_amount` AS `total_amount`,
  `orders`.`currency` AS `currency`, `orders`.`lock_version` AS `lock_version`,
  `orders`.`deleted_at` AS `deleted_at`, `orders`.`deletion_id` AS `deletion_id`,
  `orders`.`created_at` AS `created_at`, `orders`.`updated_at` AS `updated_at`
FROM `orders`
WHERE `orders`.`id` = ?
LIMIT ?;

SELECT
  `accounts`.`id` AS `id`, `accounts`.`owner_id` AS `owner_id`, `accounts`.`currency` AS `currency`,
  `accounts`.`balance` AS `balance`, `accounts`.`lock_version` AS `lock_version`,
  `accounts`.`deleted_at` AS `deleted_at`, `accounts`.`deletion_id` AS `deletion_id`,
  `accounts`.`created_at` AS `created_at`, `accounts`.`updated_at` AS `updated_at`
FROM `accounts`
WHERE `accounts`.`id` = ?
ORDER BY `accounts`.`id` ASC
LIMIT ?
FOR UPDATE;

UPDATE `accounts` SET
  `lock_version` = `lock_version` + ?, `updated_at` = ?, `balance` = ?
WHERE `id` = ? AND `lock_version` = ? AND `deleted_at` IS NULL;

SELECT
  `accounts`.`id` AS `id`, `accounts`.`owner_id` AS `owner_id`, `accounts`.`currency` AS `currency`,
  `accounts`.`balance` AS `balance`, `accounts`.`lock_version` AS `lock_version`,
  `accounts`.`deleted_at` AS `deleted_at`, `accounts`.`deletion_id` AS `deletion_id`,
  `accounts`.`created_at` AS `created_at`, `accounts`.`updated_at` AS `updated_at`
FROM `accounts`
WHERE `accounts`.`id` = ?
LIMIT ?;

INSERT INTO
  `transfers` (
    `id`, `created_at`, `kind`, `from_account_id`, `to_account_id`, `amount`, `currency`,
    `order_id`, `actor_id`
  )
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

INSERT INTO
  `transfer_entries` (`id`, `created_at`, `transfer_id`, `account_id`, `amount`, `balance`)
VALUES (?, ?, ?, ?, ?, ?);

INSERT INTO
  `audit_log` (
    `id`, `created_at`, `actor_id`, `action`, `record_type`, `record_id`, `from_version`,
    `to_version`, `changes`, `request_id`
  )
VALUES
  (?, ?, ?, ?, ?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?, ?, ?, ?, ?),
  (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

SELECT
  `order_items`.`id` AS `id`, `order_items`.`created_at` AS `created_at`,
  `order_items`.`order_id` AS `order_id`, `order_items`.`product_id` AS `product_id`,
  `order_items`.`position` AS `position`, `order_items`.`quantity` AS `quantity`,
  `order_items`.`unit_amount` AS `unit_amount`
FROM `order_items`
WHERE `order_items`.`order_id` IN (?)
ORDER BY `order_items`.`id` ASC
LIMIT ?;

SELECT `products`.`id` AS `id`, `products`.`lock_version` AS `lock_version`
FROM `products`
WHERE `products`.`id` IN (?, ?);
