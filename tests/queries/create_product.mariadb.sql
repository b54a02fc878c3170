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

INSERT INTO
  `products` (
    `id`, `sku`, `sku_key`, `name`, `name_key`, `price_amount`, `currency`, `lock_version`,
    `created_at`, `updated_at`
  )
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

SELECT
  `products`.`id` AS `id`, `products`.`sku` AS `sku`, `products`.`sku_key` AS `sku_key`,
  `products`.`name` AS `name`, `products`.`name_key` AS `name_key`,
  `products`.`price_amount` AS `price_amount`, `products`.`currency` AS `currency`,
  `products`.`lock_version` AS `lock_version`, `products`.`deleted_at` AS `deleted_at`,
  `products`.`deletion_id` AS `deletion_id`, `products`.`created_at` AS `created_at`,
  `products`.`updated_at` AS `updated_at`
FROM `products`
WHERE `products`.`id` = ?
LIMIT ?;

INSERT INTO
  `inventories` (`id`, `product_id`, `quantity`, `lock_version`, `created_at`, `updated_at`)
VALUES (?, ?, ?, ?, ?, ?);

SELECT
  `inventories`.`id` AS `id`, `inventories`.`product_id` AS `product_id`,
  `inventories`.`quantity` AS `quantity`, `inventories`.`lock_version` AS `lock_version`,
  `inventories`.`deleted_at` AS `deleted_at`, `inventories`.`deletion_id` AS `deletion_id`,
  `inventories`.`created_at` AS `created_at`, `inventories`.`updated_at` AS `updated_at`
FROM `inventories`
WHERE `inventories`.`id` = ?
LIMIT ?;

INSERT INTO
  `audit_log` (
    `id`, `created_at`, `actor_id`, `action`, `record_type`, `record_id`, `from_version`,
    `to_version`, `changes`, `request_id`
  )
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

SELECT
  `inventories`.`product_id` AS `product_id`, `inventories`.`quantity` AS `quantity`
FROM `inventories`
WHERE `inventories`.`deleted_at` IS NULL AND `inventories`.`product_id` IN (?);
