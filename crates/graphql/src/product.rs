//! Products and their stock.

use async_graphql::{Context, Enum, ID, InputObject, MaybeUndefined, Object};
use plimsoll_domain::{
    self as domain, Scope, Version,
    id::ProductId,
    product::{CreateProduct, ImportProducts, ProductOrder, UpdateProduct},
};

use crate::{
    Query, RequestScope,
    batch::{InventoryOfProduct, ProductById},
    bulk::OnConflict,
    connection::{OrderDirection, ScopeArgument, Total, connection, page_arguments},
    error::{Result, list_payload, payload},
    id::{Named, decode, named_by},
    money::{Money, MoneyInput},
    record::{by_id, patch, patch_as_is, read, record_fields, removal, write, write_keyed},
    root::{self, Asked},
    rows::{Below, One, Step},
    scope,
};

record_fields! {
    #[async_graphql::Object]
    /// What the shop sells.
    Product(Product of plimsoll_domain::product) {
        own {
            /// The stock-keeping unit: what it is found by. No other live product has it.
            sku: String = Sku;

            /// What it is called.
            name: String = Name;
        }
        one {
            /// How much of it there is; null while it is deleted.
            inventory: Inventory = InventoryOfProduct(Id);
        }
        needs {
            price: PriceAmount, Currency;
        }
        resolvers {
            /// What one costs.
            async fn price(&self) -> Result<Money> {
                let currency: String = self.get(Column::Currency)?;
                Ok(Money::new(self.get(Column::PriceAmount)?, &currency))
            }
        }
    }
}

record_fields! {
    #[async_graphql::Object]
    /// How much of a product there is. Each sale is a change of it, and none of the product.
    Inventory(Inventory of plimsoll_domain::product::inventory) {
        own {
            /// How many are on hand; never negative.
            quantity: i32 = Quantity;
        }
        one {
            /// The product; null if it is deleted and the viewer may not see that.
            product: Product = ProductById(ProductId);
        }

    }
}

connection!(
    ProductConnection,
    ProductEdge,
    Product,
    domain::product::View,
    "A page of products.",
    "A product at a place in a list."
);

/// What products are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum ProductOrderField {
    /// By name.
    Name,
    /// By stock-keeping unit.
    Sku,
    /// By when they were made.
    CreatedAt,
}

/// How products are ordered.
#[derive(Clone, Copy, Debug, InputObject)]
pub(crate) struct ProductOrderBy {
    /// What they are ordered by.
    field: ProductOrderField,
    /// Which way.
    direction: OrderDirection,
}

#[derive(Clone, Default)]
pub(crate) struct ProductQuery;

#[Object]
impl ProductQuery {
    /// The product with this id or this stock-keeping unit; null if there is none that the viewer
    /// sees.
    async fn product(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The product's id.")] id: Option<ID>,
        #[graphql(desc = "The product's stock-keeping unit, in any case.")] sku: Option<String>,
        #[graphql(default, name = "scope", desc = "A deleted one as well, or alone.")]
        which: ScopeArgument,
    ) -> Result<One<Product>> {
        let (scope, which) = (scope(ctx), which.into());
        Ok(One(match named_by::<ProductId>(id, sku, "sku")? {
            Named::Id(id) => by_id(scope, which, id.into()).await?,
            Named::Slug(sku) => by_sku(scope, which, sku).await?,
        }))
    }

    /// All products, ordered by name unless told otherwise.
    #[expect(clippy::too_many_arguments, reason = "a connection takes them all")]
    #[graphql(complexity = "crate::connection::cost(first, last, child_complexity)")]
    async fn products(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, from the front: 20 unless given, 200 at most.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Begin behind this cursor.")] after: Option<String>,
        #[graphql(desc = "How many, from the back.")] last: Option<i32>,
        #[graphql(desc = "End before this cursor.")] before: Option<String>,
        #[graphql(default, name = "scope", desc = "Deleted products as well, or alone.")]
        which: ScopeArgument,
        #[graphql(desc = "The order; by name, ascending, unless given.")] order_by: Option<
            ProductOrderBy,
        >,
    ) -> Result<ProductConnection> {
        let arguments = page_arguments(ctx, first, after, last, before);
        let asked = Asked::of(ctx, which, order_by, arguments);
        Ok(page(scope(ctx), asked).await?)
    }
}

/// One of the products, by its stock-keeping unit.
async fn by_sku(
    scope: &RequestScope,
    which: Scope,
    sku: String,
) -> domain::Result<Option<Product>> {
    let found = read(scope, move |read, viewer| async move {
        domain::product::by_sku(&read, &viewer, which, &sku).await
    });
    Ok(found.await?.map(Into::into))
}

/// A page of all products.
async fn page(
    scope: &RequestScope,
    asked: Asked<Product, Option<ProductOrderBy>>,
) -> domain::Result<ProductConnection> {
    let order = match asked.by {
        None => (ProductOrder::Name, domain::Direction::Ascending),
        Some(ProductOrderBy { field, direction }) => (
            match field {
                ProductOrderField::Name => ProductOrder::Name,
                ProductOrderField::Sku => ProductOrder::Sku,
                ProductOrderField::CreatedAt => ProductOrder::CreatedAt,
            },
            direction.into(),
        ),
    };
    let total = Total::Products(asked.which);
    let page = read(scope, move |read, viewer| async move {
        domain::product::page(
            &read,
            asked.columns.seen_by(&viewer),
            &viewer,
            asked.which,
            order,
            &asked.arguments,
        )
        .await
    });
    Ok(ProductConnection::new(page.await?, total))
}

/// How the query's fields about products are answered without their resolvers.
pub(crate) fn step<'a>(name: &str, below: Below<'a>) -> Option<Step<'a, Query>> {
    match name {
        "product" => root::one_named::<Product, ProductId, _>(below, "sku", |scope, which, sku| {
            Box::pin(by_sku(scope, which, sku))
        }),
        "products" => root::list(below, below.argument("orderBy")?, |scope, asked| {
            Box::pin(page(scope, asked))
        }),
        _ => None,
    }
}

/// A new product, with its stock.
#[derive(InputObject)]
pub(crate) struct CreateProductInput {
    /// The stock-keeping unit: what it is found by, 100 characters at most.
    sku: String,
    /// What it is called, 200 characters at most.
    name: String,
    /// What one costs.
    price: MoneyInput,
    /// How many there are: 0 to 1,000,000,000.
    quantity: i32,
}

impl From<CreateProductInput> for CreateProduct {
    fn from(input: CreateProductInput) -> Self {
        Self {
            sku: input.sku,
            name: input.name,
            price: input.price.into(),
            quantity: input.quantity,
        }
    }
}

/// Many products, each with its stock.
#[derive(InputObject)]
pub(crate) struct ImportProductsInput {
    /// The products, each with a stock-keeping unit of its own: 1 to 1,000.
    products: Vec<CreateProductInput>,
    /// What is done about a stock-keeping unit that a live product has. UPDATE sets its stock as
    /// well, and SKIP leaves that alone.
    #[graphql(default)]
    on_conflict: OnConflict,
}

/// What is to change of a product. An absent field is left alone.
#[derive(InputObject)]
pub(crate) struct UpdateProductInput {
    /// Which product.
    id: ID,
    /// The version that was seen: another one is a conflict.
    expected_version: i32,
    /// The stock-keeping unit: what it is found by, 100 characters at most.
    sku: MaybeUndefined<String>,
    /// What it is called, 200 characters at most.
    name: MaybeUndefined<String>,
    /// What one costs. Orders keep the price that they were made at.
    price: MaybeUndefined<MoneyInput>,
}

/// What is added to the stock of a product, or taken from it.
#[derive(InputObject)]
pub(crate) struct AdjustStockInput {
    /// Which product.
    product_id: ID,
    /// How many more there are; negative for fewer. Not 0.
    by: i32,
    /// What the client calls this request: the same one sent again, within 24 hours, is done once.
    idempotency_key: String,
}

payload! {
    /// The product that was made, or why there is none.
    CreateProductPayload {
        /// The new product.
        product: Product
    }
    /// The product as it is now, or why nothing was changed.
    UpdateProductPayload {
        /// The changed product.
        product: Product
    }
    /// The stock as it is now, or why nothing was changed.
    AdjustStockPayload {
        /// The changed stock.
        inventory: Inventory
    }
}

list_payload! {
    /// The products as they are now, or why nothing was made.
    ImportProductsPayload {
        /// The products, in the order of the input; under SKIP, those that were there as they are.
        products: [Product]
    }
}

#[derive(async_graphql::MergedObject, Default)]
pub(crate) struct ProductMutation(ProductEdit, ProductRemoval);

#[derive(Default)]
pub(crate) struct ProductEdit;

#[Object]
impl ProductEdit {
    /// Makes a product, with its stock. For moderators and administrators.
    async fn create_product(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new product.")] input: CreateProductInput,
    ) -> Result<Option<CreateProductPayload>> {
        let command = CreateProduct::from(input);
        CreateProductPayload::new(
            write(ctx, move |tx, viewer| {
                Box::pin(domain::product::create(tx, viewer, command))
            })
            .await,
        )
    }

    /// Makes many products with their stock, all or none of them. A deleted product stays deleted,
    /// and another is made beside it. For moderators and administrators.
    async fn import_products(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The products.")] input: ImportProductsInput,
    ) -> Result<Option<ImportProductsPayload>> {
        let command = ImportProducts {
            items: input.products.into_iter().map(Into::into).collect(),
            on_conflict: input.on_conflict.into(),
        };
        ImportProductsPayload::new(
            write(ctx, move |tx, viewer| {
                Box::pin(domain::product::import(tx, viewer, command))
            })
            .await,
        )
    }

    /// Changes a product. For moderators and administrators.
    async fn update_product(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is to change.")] input: UpdateProductInput,
    ) -> Result<Option<UpdateProductPayload>> {
        let command = UpdateProduct {
            id: decode(&input.id, "input.id")?,
            seen: Version(input.expected_version),
            sku: patch_as_is(input.sku),
            name: patch_as_is(input.name),
            price: patch(input.price, |price| Ok(price.into()))?,
        };
        UpdateProductPayload::new(
            write(ctx, move |tx, viewer| {
                Box::pin(domain::product::update(tx, viewer, command))
            })
            .await,
        )
    }

    /// Adds to the stock of a product, or takes from it, whatever it is at this moment. For
    /// moderators and administrators.
    async fn adjust_stock(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which product, and by how much.")] input: AdjustStockInput,
    ) -> Result<Option<AdjustStockPayload>> {
        let product: ProductId = decode(&input.product_id, "input.productId")?;
        let by = input.by;
        AdjustStockPayload::new(
            write_keyed(ctx, Some(input.idempotency_key), move |tx, viewer| {
                Box::pin(domain::product::inventory::adjust(tx, viewer, product, by))
            })
            .await,
        )
    }
}

removal! {
    product: Product, product, ProductId,
    delete_product(DeleteProductInput, DeleteProductPayload,
        "Deletes a product, with its stock. Orders keep it. For moderators and administrators."),
    restore_product(RestoreProductInput, RestoreProductPayload,
        "Restores a deleted product, with its stock. For moderators and administrators."),
    purge_product(PurgeProductInput, PurgeProductPayload,
        "Removes a deleted product that was never ordered for good, after the retention time. For administrators."),
    ProductRemoval, "product"
}
