SELECT COUNT(`tags`.`id`) AS `n`
FROM `tags`
WHERE `tags`.`deleted_at` IS NOT NULL;

SELECT `k`.`k` AS `parent`, `r`.`id` AS `id`, `r`.`listed_at` AS `listed_at`
FROM (
  SELECT UNHEX(j.h) AS `k`
  FROM JSON_TABLE(?, '$[*]' COLUMNS (h CHAR(32) CHARACTER SET ascii PATH '$')) AS `j`
) AS `k`
LEFT JOIN (
  SELECT
    `posts`.`id` AS `id`, `posts`.`listed_at` AS `listed_at`, ROW_NUMBER() OVER (
      PARTITION BY `post_tags`.`tag_id`
      ORDER BY `posts`.`listed_at` DESC, `posts`.`id` DESC
    ) AS `rank_in_parent`, `post_tags`.`tag_id` AS `of_parent`
  FROM `posts`
  INNER JOIN `post_tags` ON `post_tags`.`post_id` = `posts`.`id`
  WHERE `posts`.`deleted_at` IS NULL
    AND `post_tags`.`tag_id` IN (?, ?)
) AS `r` ON `r`.`of_parent` = `k`.`k`
  AND `r`.`rank_in_parent` <= ?;

SELECT `post_tags`.`tag_id` AS `parent`, COUNT(`posts`.`id`) AS `n`
FROM `posts`
INNER JOIN `post_tags` ON `post_tags`.`post_id` = `posts`.`id`
WHERE `posts`.`deleted_at` IS NULL AND `post_tags`.`tag_id` IN (?, ?)
GROUP BY `post_tags`.`tag_id`;

SELECT `tags`.`id` AS `id`, `tags`.`name` AS `name`, `tags`.`slug` AS `slug`
FROM `tags`
WHERE `tags`.`deleted_at` IS NOT NULL
ORDER BY `tags`.`slug` ASC, `tags`.`id` ASC
LIMIT ?;

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
