//! Products: what the shop sells, and how much of it there is.

use std::collections::HashMap;

use plimsoll_entity::{id::ProductId, inventory as inventory_entity, product};
use plimsoll_records::{OnConflict, Order, PageRequest, Rows, Shape, Upserted, WhenDeleted};
use sea_orm::{ActiveValue::Set, ColumnTrait};
use uuid::Uuid;

use crate::{
    Direction, Error, Money, Page, PageArguments, Patch, Read, Result, Retention, Scope, Tx,
    Version, Viewer,
    access::{lock, lock_deleted, scoped},
    bulk,
    policy::{Act, Relation, Subject, require},
    selection::selection,
    text::{Check, fold, lookup_key},
};

pub mod inventory;

/// The most characters of a stock-keeping unit.
pub const MAX_SKU: usize = 100;

/// A product.
pub type Product = product::Model;

/// Its columns.
pub use product::Column;

/// Those columns of one that were read.
pub type View = plimsoll_records::View<product::Entity>;

/// Some of its columns.
pub type Columns = plimsoll_records::Columns<product::Entity>;

selection! {
    product::Entity {
        /// The columns of their live inventories; `None` if they are not shown.
        inventory: inventory::Columns = (Column::Id, inventory::Column::ProductId)
            of |_| Rows::live();
    }
}

/// What a new product is made of.
#[derive(Clone, Debug)]
pub struct CreateProduct {
    /// The stock-keeping unit: what it is found by.
    pub sku: String,
    /// What it is called.
    pub name: String,
    /// What one costs.
    pub price: Money,
    /// How many there are: 0 to [`inventory::MAX_QUANTITY`].
    pub quantity: i32,
}

/// What many new products are made of.
#[derive(Clone, Debug)]
pub struct ImportProducts {
    /// 1 to [`MAX_ITEMS`](bulk::MAX_ITEMS), each with a stock-keeping unit of its own.
    pub items: Vec<CreateProduct>,
    /// What is done about a stock-keeping unit that a live product has.
    pub on_conflict: OnConflict,
}

/// What changes of a product.
#[derive(Clone, Debug)]
pub struct UpdateProduct {
    /// Which product.
    pub id: ProductId,
    /// The version that the viewer saw.
    pub seen: Version,
    /// The stock-keeping unit: what it is found by.
    pub sku: Patch<String>,
    /// What it is called.
    pub name: Patch<String>,
    /// What one costs. Orders keep the price that they were made at.
    pub price: Patch<Money>,
}

/// What products can be ordered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ProductOrder {
    /// By folded name.
    #[default]
    Name,
    /// By folded stock-keeping unit.
    Sku,
    /// By when they were made.
    CreatedAt,
}

fn visible(viewer: &Viewer, scope: Scope) -> Rows<product::Entity> {
    scoped(viewer, Subject::Product, scope)
}

/// Those of the products that the viewer sees, by id.
///
/// # Errors
///
/// Whatever keeps the database from answering, as for every read.
pub async fn by_ids<S: Shape<product::Entity>>(
    read: &Read,
    shape: S,
    viewer: &Viewer,
    scope: Scope,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, S::Row>> {
    Ok(visible(viewer, scope).by_ids_as(shape, ids, read).await?)
}

/// The product with this stock-keeping unit, in any case, if the viewer sees one. Among several,
/// the live one, else the one that was deleted last.
///
/// # Errors
///
/// Whatever keeps the database from answering.
pub async fn by_sku(
    read: &Read,
    viewer: &Viewer,
    scope: Scope,
    sku: &str,
) -> Result<Option<Product>> {
    let Some(key) = lookup_key(sku) else {
        return Ok(None);
    };
    Ok(visible(viewer, scope)
        .filter(product::Column::SkuKey.eq(key))
        .latest(read)
        .await?)
}

/// One page of the products.
///
/// # Errors
///
/// [`Error::BadPage`] if the arguments do not fit.
pub async fn page<S: Shape<product::Entity>>(
    read: &Read,
    shape: S,
    viewer: &Viewer,
    scope: Scope,
    (order, direction): (ProductOrder, Direction),
    arguments: &PageArguments,
) -> Result<Page<S::Row>> {
    let column = match order {
        ProductOrder::Name => product::Column::NameKey,
        ProductOrder::Sku => product::Column::SkuKey,
        ProductOrder::CreatedAt => product::Column::CreatedAt,
    };
    let list = format!("products {scope:?}");
    let request = PageRequest::parse(&list, Order::by(column, direction), arguments)?;
    Ok(visible(viewer, scope)
        .page_as(shape, &request, read)
        .await?)
}

/// How many products there are.
///
/// # Errors
///
/// Whatever keeps the database from answering.
pub async fn count(read: &Read, viewer: &Viewer, scope: Scope) -> Result<u64> {
    Ok(visible(viewer, scope).count(read).await?)
}

/// Makes a product, with its inventory.
///
/// # Errors
///
/// [`Error::AlreadyExists`] if a live product has the stock-keeping
/// unit.
pub async fn create(tx: &mut Tx, viewer: &Viewer, command: CreateProduct) -> Result<Product> {
    require(viewer, Subject::Product, Act::Create, Relation::NONE)?;
    let mut check = Check::new();
    let row = new_row(&mut check, &command);
    let quantity = check.stock("quantity", command.quantity);
    check.done()?;
    let product = tx.create::<product::Entity>(row).await?;
    tx.create::<inventory_entity::Entity>(inventory::new_row(product.id, quantity))
        .await?;
    Ok(product)
}

/// Makes many products with their inventories, all or none of them, and does about the
/// stock-keeping units that live products have what the command says: [`OnConflict::Update`] makes
/// those products and what there is of them as their items say, and [`OnConflict::Skip`] leaves
/// both as they are. A deleted product stays deleted, and another is made beside it. Returns the
/// products in the order of the items; for [`OnConflict::Skip`], the one that is there.
///
/// # Errors
///
/// [`Error::Invalid`] with everything that is wrong with any of the items, if two have one
/// stock-keeping unit, or if there are none or more than [`MAX_ITEMS`](bulk::MAX_ITEMS);
/// [`Error::AlreadyExists`] of the first item whose stock-keeping unit a live product has, under
/// [`OnConflict::Fail`].
pub async fn import(
    tx: &mut Tx,
    viewer: &Viewer,
    ImportProducts { items, on_conflict }: ImportProducts,
) -> Result<Vec<Product>> {
    bulk::require_upsert(viewer, Subject::Product, on_conflict)?;
    if on_conflict == OnConflict::Update {
        require(viewer, Subject::Inventory, Act::Change, Relation::NONE)?;
    }
    let rows = bulk::checked("products", "sku", items, |check, command| {
        let quantity = check.stock("quantity", command.quantity);
        let row = new_row(check, &command);
        (fold(&command.sku), (row, quantity))
    })?;
    let (rows, quantities): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
    let products = tx
        .upsert_many::<product::Entity>(
            product::Column::SkuKey,
            rows,
            on_conflict,
            WhenDeleted::Create,
        )
        .await
        .map_err(|refused| Error::of_upsert("products", "sku", refused))?;
    let mut new = Vec::new();
    let mut there = HashMap::new();
    for (product, quantity) in products.iter().zip(quantities) {
        match product {
            Upserted::Created(product) => new.push(inventory::new_row(product.id, quantity)),
            Upserted::Updated(product) | Upserted::Revived(product) => {
                there.insert(product.id, quantity);
            }
            Upserted::Skipped(_) => {}
        }
    }
    if !there.is_empty() {
        inventory::set_all(tx, &there).await?;
    }
    if !new.is_empty() {
        tx.create_many::<inventory_entity::Entity>(new).await?;
    }
    Ok(products.into_iter().map(Upserted::into_inner).collect())
}

/// Changes a product.
///
/// # Errors
///
/// [`Error::NotFound`], [`Error::Conflict`], or
/// [`Error::AlreadyExists`].
pub async fn update(tx: &mut Tx, viewer: &Viewer, command: UpdateProduct) -> Result<Product> {
    let locked = lock(tx, visible(viewer, Scope::Live), command.id).await?;
    require(viewer, Subject::Product, Act::Change, Relation::NONE)?;
    let mut check = Check::new();
    let mut changes = product::ActiveModel::default();
    if let Some(sku) = check.required("sku", command.sku) {
        let sku = check.sku("sku", &sku);
        changes.sku_key = Set(fold(&sku));
        changes.sku = Set(sku);
    }
    if let Some(name) = check.required("name", command.name) {
        let name = check.line("name", &name);
        check.folded("name", &name);
        changes.name_key = Set(fold(&name));
        changes.name = Set(name);
    }
    if let Some(price) = check.required("price", command.price) {
        changes.price_amount = Set(check.amount("price", price.amount));
        changes.currency = Set(check.currency("price", &price.currency));
    }
    check.done()?;
    Ok(locked.update(tx, command.seen, changes).await?)
}

/// Deletes a product, with its inventory. Orders keep it.
///
/// # Errors
///
/// [`Error::NotFound`] or [`Error::Conflict`].
pub async fn delete(tx: &mut Tx, viewer: &Viewer, id: ProductId, seen: Version) -> Result<Product> {
    let locked = lock(tx, visible(viewer, Scope::Live), id).await?;
    require(viewer, Subject::Product, Act::Delete, Relation::NONE)?;
    Ok(locked.delete(tx, seen).await?)
}

/// Restores a deleted product, with its inventory: what was left, and what came back from orders
/// that were cancelled meanwhile.
///
/// # Errors
///
/// [`Error::NotFound`], [`Error::Conflict`], or
/// [`Error::AlreadyExists`] if its stock-keeping unit was taken
/// meanwhile.
pub async fn restore(
    tx: &mut Tx,
    viewer: &Viewer,
    id: ProductId,
    seen: Version,
) -> Result<Product> {
    let visible = |scope| visible(viewer, scope);
    let locked = lock_deleted(tx, visible, id, |_| {
        require(viewer, Subject::Product, Act::Restore, Relation::NONE)
    })
    .await?;
    Ok(locked.restore(tx, seen).await?)
}

/// Removes a deleted product for good, after the retention time.
///
/// # Errors
///
/// [`Error::NotFound`], [`Error::Conflict`],
/// [`Error::Invalid`] before the retention time is over, or
/// [`Error::StillReferenced`] if it was ever ordered.
pub async fn purge(
    tx: &mut Tx,
    viewer: &Viewer,
    id: ProductId,
    seen: Version,
    retention: Retention,
) -> Result<Product> {
    let visible = |scope| visible(viewer, scope);
    let locked = lock_deleted(tx, visible, id, |_| {
        require(viewer, Subject::Product, Act::Purge, Relation::NONE)
    })
    .await?;
    Ok(locked.purge(tx, seen, retention).await?)
}

/// The row of a new product.
fn new_row(check: &mut Check, command: &CreateProduct) -> product::ActiveModel {
    let sku = check.sku("sku", &command.sku);
    let name = check.line("name", &command.name);
    check.folded("name", &name);
    product::ActiveModel {
        sku_key: Set(fold(&sku)),
        sku: Set(sku),
        name_key: Set(fold(&name)),
        name: Set(name),
        price_amount: Set(check.amount("price", command.price.amount)),
        currency: Set(check.currency("price", &command.price.currency)),
        ..Default::default()
    }
}

impl Check {
    /// A stock-keeping unit.
    fn sku(&mut self, field: &str, text: &str) -> String {
        let sku = self.line_of(field, text, MAX_SKU);
        self.folded(field, &sku);
        sku
    }

    /// How much of a product there is.
    fn stock(&mut self, field: &str, quantity: i32) -> i32 {
        if !(0..=inventory::MAX_QUANTITY).contains(&quantity) {
            self.refuse(field, "It must be 0 to 1,000,000,000.");
        }
        quantity
    }
}
