SELECT
  `k`.`k` AS `parent`, `r`.`id` AS `id`, `r`.`title` AS `title`, `r`.`listed_at` AS `listed_at`
FROM (
  SELECT UNHEX(j.h) AS `k`
  FROM JSON_TABLE(?, '$[*]' COLUMNS (h CHAR(32) CHARACTER SET ascii PATH '$')) AS `j`
) AS `k`
LEFT JOIN (
  SELECT
    `posts`.`id` AS `id`, `posts`.`title` AS `title`, `posts`.`listed_at` AS `listed_at`,
    ROW_NUMBER() OVER (
      PARTITION BY `posts`.`author_id`
      ORDER BY `posts`.`listed_at` DESC, `posts`.`id` DESC
    ) AS `rank_in_parent`, `posts`.`author_id` AS `of_parent`
  FROM `posts`
  WHERE
    `posts`.`published` = TRUE
    AND `posts`.`deleted_at` IS NULL
    AND `posts`.`author_id` IN (?, ?)
) AS `r` ON `r`.`of_parent` = `k`.`k`
  AND `r`.`rank_in_parent` <= ?;

SELECT
  `k`.`k` AS `parent`, `r`.`id` AS `id`, `r`.`title` AS `title`, `r`.`listed_at` AS `listed_at`
FROM (
  SELECT UNHEX(j.h) AS `k`
  FROM JSON_TABLE(?, '$[*]' COLUMNS (h CHAR(32) CHARACTER SET ascii PATH '$')) AS `j`
) AS `k`
LEFT JOIN (
  SELECT
    `posts`.`id` AS `id`, `posts`.`title` AS `title`, `posts`.`listed_at` AS `listed_at`,
    ROW_NUMBER() OVER (
      PARTITION BY `posts`.`author_id`
      ORDER BY `posts`.`listed_at` DESC, `posts`.`id` DESC
    ) AS `rank_in_parent`, `posts`.`author_id` AS `of_parent`
  FROM `posts`
  WHERE
    `posts`.`published` = TRUE
    AND `posts`.`deleted_at` IS NULL
    AND `posts`.`author_id` IN (?, ?)
) AS `r` ON `r`.`of_parent` = `k`.`k`
  AND `r`.`rank_in_parent` <= ?;

SELECT `users`.`id` AS `id`, `users`.`name_key` AS `name_key`
FROM `users`
WHERE `users`.`deleted_at` IS NULL
ORDER BY `users`.`name_key` DESC, `users`.`id` DESC
LIMIT ?;
