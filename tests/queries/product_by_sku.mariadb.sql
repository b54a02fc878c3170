SELECT
  `inventories`.`product_id` AS `product_id`, `inventories`.`quantity` AS `quantity`,
  `beside_0`.`id` AS `id`, `beside_0`.`sku` AS `sku`
FROM `inventories`
LEFT JOIN (
  SELECT `products`.`id` AS `id`, `products`.`sku` AS `sku`
  FROM `products`
  WHERE `products`.`deleted_at` IS NULL
) AS `beside_0` ON `beside_0`.`id` = `inventories`.`product_id`
WHERE `inventories`.`deleted_at` IS NULL AND `inventories`.`product_id` IN (?);

SELECT
  `products`.`id` AS `id`, `products`.`sku` AS `sku`, `products`.`sku_key` AS `sku_key`,
  `products`.`name` AS `name`, `products`.`name_key` AS `name_key`,
  `products`.`price_amount` AS `price_amount`, `products`.`currency` AS `currency`,
  `products`.`lock_version` AS `lock_version`, `products`.`deleted_at` AS `deleted_at`,
  `products`.`deletion_id` AS `deletion_id`, `products`.`created_at` AS `created_at`,
  `products`.`updated_at` AS `updated_at`
FROM `products`
WHERE `products`.`sku_key` = ? AND `products`.`deleted_at` IS NULL
LIMIT ?;
