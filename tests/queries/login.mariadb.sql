SELECT
  `users`.`id` AS `id`, `users`.`email` AS `email`, `users`.`email_key` AS `email_key`,
  `users`.`name` AS `name`, `users`.`name_key` AS `name_key`, `users`.`role` AS `role`,
  `users`.`password_hash` AS `password_hash`, `users`.`is_active` AS `is_active`,
  `users`.`lock_version` AS `lock_version`, `users`.`deleted_at` AS `deleted_at`,
  `users`.`deletion_id` AS `deletion_id`, `users`.`created_at` AS `created_at`,
  `users`.`updated_at` AS `updated_at`
FROM `users`
WHERE `users`.`email_key` = ? AND `users`.`deleted_at` IS NULL
LIMIT ?;

SELECT `users`.`id`
FROM `users`
WHERE `users`.`deleted_at` IS NULL AND `users`.`id` IN (?)
ORDER BY `users`.`id` ASC LOCK IN SHARE MODE;

SELECT
  `users`.`id` AS `id`, `users`.`email` AS `email`, `users`.`email_key` AS `email_key`,
  `users`.`name` AS `name`, `users`.`name_key` AS `name_key`, `users`.`role` AS `role`,
  `users`.`password_hash` AS `password_hash`, `users`.`is_active` AS `is_active`,
  `users`.`lock_version` AS `lock_version`, `users`.`deleted_at` AS `deleted_at`,
  `users`.`deletion_id` AS `deletion_id`, `users`.`created_at` AS `created_at`,
  `users`.`updated_at` AS `updated_at`
FROM `users`
WHERE `users`.`id` = ? AND `users`.`deleted_at` IS NULL
LIMIT ?;

DELETE FROM `login_sessions`
WHERE `login_sessions`.`user_id` = ? AND `login_sessions`.`expires_at` < ?;

INSERT INTO
  `login_sessions` (
    `id`, `user_id`, `token_hash`, `expires_at`, `revoked_at`, `created_at`, `updated_at`
  )
VALUES (?, ?, ?, ?, ?, ?, ?);
