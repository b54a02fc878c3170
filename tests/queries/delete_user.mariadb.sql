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
  `users`.`id` AS `id`, `users`.`email` AS `email`, `users`.`email_key` AS `email_key`,
  `users`.`name` AS `name`, `users`.`name_key` AS `name_key`, `users`.`role` AS `role`,
  `users`.`is_active` AS `is_active`, `users`.`lock_version` AS `lock_version`,
  `users`.`deleted_at` AS `deleted_at`, `users`.`deletion_id` AS `deletion_id`,
  `users`.`created_at` AS `created_at`, `users`.`updated_at` AS `updated_at`
FROM `users`
WHERE `users`.`id` = ? AND `users`.`deleted_at` IS NULL
ORDER BY `users`.`id` ASC
LIMIT ?
FOR UPDATE;

UPDATE `users` SET
  `lock_version` = `lock_version` + ?, `updated_at` = ?, `deleted_at` = ?, `deletion_id` = ?
WHERE `id` = ? AND `lock_version` = ? AND `deleted_at` IS NULL;

SELECT
  `users`.`id` AS `id`, `users`.`email` AS `email`, `users`.`email_key` AS `email_key`,
  `users`.`name` AS `name`, `users`.`name_key` AS `name_key`, `users`.`role` AS `role`,
  `users`.`is_active` AS `is_active`, `users`.`lock_version` AS `lock_version`,
  `users`.`deleted_at` AS `deleted_at`, `users`.`deletion_id` AS `deletion_id`,
  `users`.`created_at` AS `created_at`, `users`.`updated_at` AS `updated_at`
FROM `users`
WHERE `users`.`id` = ?
LIMIT ?;

SELECT `id`, `lock_version`, `user_id` AS `of`
FROM `profiles`
WHERE `user_id` IN (?) AND `deleted_at` IS NULL
ORDER BY `id` ASC
LIMIT ?
FOR UPDATE;

SELECT `id`, `lock_version`, `author_id` AS `of`
FROM `posts`
WHERE `author_id` IN (?) AND `deleted_at` IS NULL
ORDER BY `id` ASC
LIMIT ?
FOR UPDATE;

UPDATE `posts` SET
  `lock_version` = `lock_version` + ?, `updated_at` = ?, `deleted_at` = ?, `deletion_id` = ?
WHERE `id` IN (?, ?);

SELECT `id`, `owner_id` AS `of`
FROM `accounts`
WHERE `owner_id` IN (?) AND `deleted_at` IS NULL
ORDER BY `id` ASC
LIMIT ?;

INSERT INTO
  `deletions` (
    `id`, `created_at`, `updated_at`, `actor_id`, `root_type`, `root_id`, `row_count`,
    `restored_at`, `purged_at`
  )
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?);

UPDATE `login_sessions` SET
  `revoked_at` = ?, `updated_at` = ?
WHERE `login_sessions`.`user_id` = ? AND `login_sessions`.`revoked_at` IS NULL;

INSERT INTO
  `audit_log` (
    `id`, `created_at`, `actor_id`, `action`, `record_type`, `record_id`, `from_version`,
    `to_version`, `changes`, `request_id`
  )
VALUES
  (?, ?, ?, ?, ?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);
