SELECT
  "inventories"."product_id" AS "product_id", "inventories"."quantity" AS "quantity",
  "beside_0"."id" AS "id", "beside_0"."sku" AS "sku"
FROM "inventories"
LEFT JOIN
  LATERAL (
    SELECT "named_ones"."id" AS "id", "named_ones"."sku" AS "sku"
    FROM (
      SELECT "products"."id" AS "id", "products"."sku" AS "sku"
      FROM "products"
      WHERE "products"."deleted_at" IS NULL
    ) AS "named_ones"
    WHERE "named_ones"."id" = "inventories"."product_id"
    LIMIT $1
  ) AS "beside_0" ON TRUE
WHERE "inventories"."deleted_at" IS NULL AND "inventories"."product_id" = ANY($2);

SELECT
  "products"."id" AS "id", "products"."sku" AS "sku", "products"."sku_key" AS "sku_key",
  "products"."name" AS "name", "products"."name_key" AS "name_key",
  "products"."price_amount" AS "price_amount", "products"."currency" AS "currency",
  "products"."lock_version" AS "lock_version", "products"."deleted_at" AS "deleted_at",
  "products"."deletion_id" AS "deletion_id", "products"."created_at" AS "created_at",
  "products"."updated_at" AS "updated_at"
FROM "products"
WHERE "products"."sku_key" = $1 AND "products"."deleted_at" IS NULL
LIMIT $2;
