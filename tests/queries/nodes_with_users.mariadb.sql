SELECT
  `categories`.`id` AS `id`, `categories`.`name` AS `name`, `categories`.`slug` AS `slug`,
  `categories`.`parent_id` AS `parent_id`, `categories`.`lock_version` AS `lock_version`,
  `categories`.`deleted_at` AS `deleted_at`, `categories`.`deletion_id` AS `deletion_id`,
  `categories`.`created_at` AS `created_at`, `categories`.`updated_at` AS `updated_at`
FROM `categories`
WHERE `categories`.`deleted_at` IS NULL AND `categories`.`id` IN (?, ?);

SELECT
  `posts`.`id` AS `id`, `posts`.`title` AS `title`, `posts`.`slug` AS `slug`,
  `posts`.`published` AS `published`, `posts`.`published_at` AS `published_at`,
  `posts`.`listed_at` AS `listed_at`, `posts`.`author_id` AS `author_id`,
  `posts`.`category_id` AS `category_id`, `posts`.`lock_version` AS `lock_version`,
  `posts`.`deleted_at` AS `deleted_at`, `posts`.`deletion_id` AS `deletion_id`,
  `posts`.`created_at` AS `created_at`, `posts`.`updated_at` AS `updated_at`
FROM `posts`
WHERE
  `posts`.`published` = TRUE
  AND `posts`.`deleted_at` IS NULL
  AND `posts`.`id` IN (?, ?);

SELECT
  `profiles`.`id` AS `id`, `profiles`.`user_id` AS `user_id`, `profiles`.`bio` AS `bio`,
  `profiles`.`avatar_url` AS `avatar_url`, `profiles`.`metadata` AS `metadata`,
  `profiles`.`lock_version` AS `lock_version`, `profiles`.`deleted_at` AS `deleted_at`,
  `profiles`.`deletion_id` AS `deletion_id`, `profiles`.`created_at` AS `created_at`,
  `profiles`.`updated_at` AS `updated_at`
FROM `profiles`
WHERE `profiles`.`deleted_at` IS NULL AND `profiles`.`id` IN (?, ?);

SELECT
  `tags`.`id` AS `id`, `tags`.`name` AS `name`, `tags`.`slug` AS `slug`,
  `tags`.`lock_version` AS `lock_version`, `tags`.`deleted_at` AS `deleted_at`,
  `tags`.`deletion_id` AS `deletion_id`, `tags`.`created_at` AS `created_at`,
  `tags`.`updated_at` AS `updated_at`
FROM `tags`
WHERE `tags`.`deleted_at` IS NULL AND `tags`.`id` IN (?, ?);

SELECT
  `users`.`id` AS `id`, `users`.`email` AS `email`, `users`.`email_key` AS `email_key`,
  `users`.`name` AS `name`, `users`.`name_key` AS `name_key`, `users`.`role` AS `role`,
  `users`.`is_active` AS `is_active`, `users`.`lock_version` AS `lock_version`,
  `users`.`deleted_at` AS `deleted_at`, `users`.`deletion_id` AS `deletion_id`,
  `users`.`created_at` AS `created_at`, `users`.`updated_at` AS `updated_at`
FROM `users`
WHERE `users`.`deleted_at` IS NULL AND `users`.`id` IN (?, ?);

SELECT `users`.`id` AS `id`, `users`.`name` AS `name`
FROM `users`
WHERE `users`.`deleted_at` IS NULL AND `users`.`id` IN (?, ?);
