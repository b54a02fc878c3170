SELECT `profiles`.`user_id` AS `user_id`, `profiles`.`bio` AS `bio`
FROM `profiles`
WHERE `profiles`.`deleted_at` IS NULL AND `profiles`.`user_id` IN (?, ?);

SELECT
  `r`.`id` AS `id`, `r`.`title` AS `title`, `r`.`author_id` AS `author_id`,
  `r`.`updated_at` AS `updated_at`, `beside_0`.`id` AS `id`
FROM (
  SELECT
    `posts`.`id` AS `id`, `posts`.`title` AS `title`, `posts`.`author_id` AS `author_id`,
    `posts`.`updated_at` AS `updated_at`
  FROM `posts`
  WHERE
    `posts`.`published` = TRUE
    AND `posts`.`published` = TRUE
    AND `posts`.`deleted_at` IS NULL
  ORDER BY `posts`.`updated_at` DESC, `posts`.`id` DESC
  LIMIT ?
) AS `r`
LEFT JOIN
  (SELECT `users`.`id` AS `id` FROM `users` WHERE `users`.`deleted_at` IS NULL) AS `beside_0` ON `beside_0`.`id` = `r`.`author_id`
ORDER BY `r`.`updated_at` DESC, `r`.`id` DESC;
