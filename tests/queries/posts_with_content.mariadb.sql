SELECT
  `posts`.`id` AS `id`, `posts`.`title` AS `title`, `posts`.`listed_at` AS `listed_at`
FROM `posts`
WHERE `posts`.`published` = TRUE AND `posts`.`deleted_at` IS NULL
ORDER BY `posts`.`listed_at` DESC, `posts`.`id` DESC
LIMIT ?;

SELECT
  `posts`.`id` AS `id`, `posts`.`title` AS `title`, `posts`.`slug` AS `slug`,
  `posts`.`content` AS `content`, `posts`.`published` AS `published`,
  `posts`.`published_at` AS `published_at`, `posts`.`listed_at` AS `listed_at`,
  `posts`.`author_id` AS `author_id`, `posts`.`category_id` AS `category_id`,
  `posts`.`lock_version` AS `lock_version`, `posts`.`deleted_at` AS `deleted_at`,
  `posts`.`deletion_id` AS `deletion_id`, `posts`.`created_at` AS `created_at`,
  `posts`.`updated_at` AS `updated_at`
FROM `posts`
WHERE
  `posts`.`published` = TRUE
  AND `posts`.`deleted_at` IS NULL
  AND `posts`.`id` IN (?, ?);
