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
  `posts`.`id` AS `id`, `posts`.`title` AS `title`, `posts`.`slug` AS `slug`,
  `posts`.`published` AS `published`, `posts`.`published_at` AS `published_at`,
  `posts`.`listed_at` AS `listed_at`, `posts`.`author_id` AS `author_id`,
  `posts`.`category_id` AS `category_id`, `posts`.`lock_version` AS `lock_version`,
  `posts`.`deleted_at` AS `deleted_at`, `posts`.`deletion_id` AS `deletion_id`,
  `posts`.`created_at` AS `created_at`, `posts`.`updated_at` AS `updated_at`
FROM `posts`
WHERE `posts`.`id` = ? AND `posts`.`deleted_at` IS NULL
ORDER BY `posts`.`id` ASC
LIMIT ?
FOR UPDATE;

SELECT `tags`.`id`
FROM `tags`
WHERE `tags`.`deleted_at` IS NULL AND `tags`.`id` IN (?, ?)
ORDER BY `tags`.`id` ASC LOCK IN SHARE MODE;

SELECT `post_tags`.`tag_id` AS `target`
FROM `post_tags`
INNER JOIN `tags` ON `post_tags`.`tag_id` = `tags`.`id`
WHERE `post_tags`.`post_id` = ? AND `tags`.`deleted_at` IS NULL
ORDER BY `post_tags`.`position` ASC, `post_tags`.`tag_id` ASC;

UPDATE `posts` SET
  `lock_version` = `lock_version` + ?, `updated_at` = ?
WHERE `id` = ? AND `lock_version` = ? AND `deleted_at` IS NULL;

SELECT
  `posts`.`id` AS `id`, `posts`.`title` AS `title`, `posts`.`slug` AS `slug`,
  `posts`.`published` AS `published`, `posts`.`published_at` AS `published_at`,
  `posts`.`listed_at` AS `listed_at`, `posts`.`author_id` AS `author_id`,
  `posts`.`category_id` AS `category_id`, `posts`.`lock_version` AS `lock_version`,
  `posts`.`deleted_at` AS `deleted_at`, `posts`.`deletion_id` AS `deletion_id`,
  `posts`.`created_at` AS `created_at`, `posts`.`updated_at` AS `updated_at`
FROM `posts`
WHERE `posts`.`id` = ?
LIMIT ?;

DELETE FROM `post_tags`
WHERE `post_id` = ? AND `tag_id` IN (?, ?);

INSERT INTO `post_tags` (`post_id`, `tag_id`, `position`)
VALUES (?, ?, ?), (?, ?, ?);

INSERT INTO
  `audit_log` (
    `id`, `created_at`, `actor_id`, `action`, `record_type`, `record_id`, `from_version`,
    `to_version`, `changes`, `request_id`
  )
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

SELECT `post_tags`.`post_id` AS `of_owner`, `tags`.`name` AS `name`
FROM `tags`
INNER JOIN `post_tags` ON `post_tags`.`tag_id` = `tags`.`id`
WHERE `tags`.`deleted_at` IS NULL AND `post_tags`.`post_id` IN (?)
ORDER BY `post_tags`.`post_id` ASC, `post_tags`.`position` ASC, `post_tags`.`tag_id` ASC;
