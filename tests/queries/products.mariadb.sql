SELECT
  `inventories`.`product_id` AS `product_id`, `inventories`.`quantity` AS `quantity`
FROM `inventories`
WHERE `inventories`.`deleted_at` IS NULL AND `inventories`.`product_id` IN (?, ?);

SELECT
  `products`.`id` AS `id`, `products`.`sku` AS `sku`, `products`.`name` AS `name`,
  `products`.`name_key` AS `name_key`, `products`.`price_amount` AS `price_amount`,
  `products`.`currency` AS `currency`
FROM `products`
WHERE `products`.`deleted_at` IS NULL
ORDER BY `products`.`name_key` ASC, `products`.`id` ASC
LIMIT ?;
