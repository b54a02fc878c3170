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

INSERT
  IGNORE INTO `idempotency_keys` (
    `id`, `actor_id`, `idempotency_key`, `request_hash`, `record_type`, `results`, `expires_at`,
    `created_at`, `updated_at`
  )
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

SELECT
  `inventories`.`id` AS `id`, `inventories`.`product_id` AS `product_id`,
  `inventories`.`quantity` AS `quantity`, `inventories`.`lock_version` AS `lock_version`,
  `inventories`.`deleted_at` AS `deleted_at`, `inventories`.`deletion_id` AS `deletion_id`,
  `inventories`.`created_at` AS `created_at`, `inventories`.`updated_at` AS `updated_at`
FROM `inventories`
WHERE `inventories`.`product_id` = ? AND `inventories`.`deleted_at` IS NULL
LIMIT ?;

UPDATE `inventories` SET
  `lock_version` = `lock_version` + ?, `updated_at` = ?, `quantity` = `quantity` + ?
WHERE
  `id` = ?
  AND `deleted_at` IS NULL
  AND (`quantity` BETWEEN ? AND ?)
  AND `inventories`.`quantity` <= ?;

SELECT
  `inventories`.`id` AS `id`, `inventories`.`product_id` AS `product_id`,
  `inventories`.`quantity` AS `quantity`, `inventories`.`lock_version` AS `lock_version`,
  `inventories`.`deleted_at` AS `deleted_at`, `inventories`.`deletion_id` AS `deletion_id`,
  `inventories`.`created_at` AS `created_at`, `inventories`.`updated_at` AS `updated_at`
FROM `inventories`
WHERE `inventories`.`id` = ?
LIMIT ?;

UPDATE `idempotency_keys` SET
  `record_type` = ?, `results` = ?
WHERE `idempotency_keys`.`id` = ?;

INSERT INTO
  `audit_log` (
    `id`, `created_at`, `actor_id`, `action`, `record_type`, `record_id`, `from_version`,
    `to_version`, `changes`, `request_id`
  )
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

SELECT `products`.`id` AS `id`, `products`.`lock_version` AS `lock_version`
FROM `products`
WHERE `products`.`id` IN (?);
