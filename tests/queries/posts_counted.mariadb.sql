SELECT COUNT(`posts`.`id`) AS `n`
FROM `posts`
WHERE `posts`.`published` = TRUE AND `posts`.`deleted_at` IS NULL;

SELECT
  `posts`.`id` AS `id`, `posts`.`title` AS `title`, `posts`.`listed_at` AS `listed_at`
FROM `posts`
WHERE `posts`.`published` = TRUE AND `posts`.`deleted_at` IS NULL
ORDER BY `posts`.`listed_at` DESC, `posts`.`id` DESC
LIMIT ?;
