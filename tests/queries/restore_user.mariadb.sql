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
WHERE `users`.`id` = ? AND `users`.`deleted_at` IS NOT NULL
ORDER BY `users`.`id` ASC
LIMIT ?
FOR UPDATE;

SELECT
  `deletions`.`id` AS `id`, `deletions`.`created_at` AS `created_at`,
  `deletions`.`updated_at` AS `updated_at`, `deletions`.`actor_id` AS `actor_id`,
  `deletions`.`root_type` AS `root_type`, `deletions`.`root_id` AS `root_id`,
  `deletions`.`row_count` AS `row_count`, `deletions`.`restored_at` AS `restored_at`,
  `deletions`.`purged_at` AS `purged_at`
FROM `deletions`
WHERE `id` = ?
LIMIT ?;

UPDATE `users` SET
  `lock_version` = `lock_version` + ?, `updated_at` = ?, `deleted_at` = ?, `deletion_id` = ?
WHERE `id` = ? AND `lock_version` = ? AND `deleted_at` IS NOT NULL;

SELECT
  `users`.`id` AS `id`, `users`.`email` AS `email`, `users`.`email_key` AS `email_key`,
  `users`.`name` AS `name`, `users`.`name_key` AS `name_key`, `users`.`role` AS `role`,
  `users`.`is_active` AS `is_active`, `users`.`lock_version` AS `lock_version`,
  `users`.`deleted_at` AS `deleted_at`, `users`.`deletion_id` AS `deletion_id`,
  `users`.`created_at` AS `created_at`, `users`.`updated_at` AS `updated_at`
FROM `users`
WHERE `users`.`id` = ?
LIMIT ?;

SELECT `id`, `lock_version`, `deletion_id` AS `of`
FROM `users`
WHERE `deletion_id` IN (?)
ORDER BY `id` ASC
LIMIT ?
FOR UPDATE;

SELECT `id`, `lock_version`, `deletion_id` AS `of`
FROM `profiles`
WHERE `deletion_id` IN (?)
ORDER BY `id` ASC
LIMIT ?
FOR UPDATE;

SELECT `id`, `lock_version`, `deletion_id` AS `of`
FROM `posts`
WHERE `deletion_id` IN (?)
ORDER BY `id` ASC
LIMIT ?
FOR UPDATE;

UPDATE `posts` SET
  `lock_version` = `lock_version` + ?, `updated_at` = ?, `deleted_at` = ?, `deletion_id` = ?
WHERE `id` IN (?, ?);

SELECT `id`, `deleted_at` IS NOT NULL AS `gone`
FROM `users`
WHERE
  `id` IN (
    SELECT `author_id`
    FROM `posts`
    WHERE `id` IN (?, ?)
      AND `author_id` IS NOT NULL
  )
ORDER BY `id` ASC LOCK IN SHARE MODE;

SELECT `id`, `deleted_at` IS NOT NULL AS `gone`
FROM `categories`
WHERE
  `id` IN (
    SELECT `category_id`
    FROM `posts`
    WHERE `id` IN (?, ?)
      AND `category_id` IS NOT NULL
  )
ORDER BY `id` ASC LOCK IN SHARE MODE;

UPDATE `deletions` SET
  `restored_at` = ?, `updated_at` = ?
WHERE `id` IN (?);

INSERT INTO
  `audit_log` (
    `id`, `created_at`, `actor_id`, `action`, `record_type`, `record_id`, `from_version`,
    `to_version`, `changes`, `request_id`
  )
VALUES
  (?, ?, ?, ?, ?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?, ?, ?, ?, ?), (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);
