SELECT
  "r"."id" AS "id", "r"."sku" AS "sku", "r"."name" AS "name", "r"."name_key" AS "name_key",
  "r"."price_amount" AS "price_amount", "r"."currency" AS "currency", "beside_0"."id" AS "id",
  "beside_0"."product_id" AS "product_id", "beside_0"."quantity" AS "quantity"
FROM (
  SELECT
    "products"."id" AS "id", "products"."sku" AS "sku", "products"."name" AS "name",
    "products"."name_key" AS "name_key", "products"."price_amount" AS "price_amount",
    "products"."currency" AS "currency"
  FROM "products"
  WHERE "products"."deleted_at" IS NULL
  ORDER BY "products"."name_key" ASC, "products"."id" ASC
  LIMIT $1
) AS "r"
LEFT JOIN
  LATERAL (
    SELECT
      "named_ones"."id" AS "id", "named_ones"."product_id" AS "product_id",
      "named_ones"."quantity" AS "quantity"
    FROM (
      SELECT
        "inventories"."id" AS "id", "inventories"."product_id" AS "product_id",
        "inventories"."quantity" AS "quantity"
      FROM "inventories"
      WHERE "inventories"."deleted_at" IS NULL
    ) AS "named_ones"
    WHERE "named_ones"."product_id" = "r"."id"
    LIMIT $2
  ) AS "beside_0" ON TRUE
ORDER BY "r"."name_key" ASC, "r"."id" ASC;
