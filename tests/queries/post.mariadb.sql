SELECT
  `posts`.`id` AS `id`, `posts`.`title` AS `title`, `posts`.`author_id` AS `author_id`
FROM `posts`
WHERE
  `posts`.`published` = TRUE
  AND `posts`.`deleted_at` IS NULL
  AND `posts`.`id` IN (?);

SELECT `users`.`id` AS `id`, `users`.`name` AS `name`
FROM `users`
WHERE `users`.`deleted_at` IS NULL AND `users`.`id` IN (?);
