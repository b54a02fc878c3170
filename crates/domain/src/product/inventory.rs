//! The stock of products.

use std::collections::HashMap;

use plimsoll_entity::{id::ProductId, inventory};
use plimsoll_records::{Adjustment, Refused, Rows, Shape};
use sea_orm::{ActiveValue::Set, ColumnTrait};
use uuid::Uuid;

use crate::{
    Error, Read, Result, Scope, Tx, Viewer,
    access::{among, scoped},
    error::path,
    policy::{Act, Relation, Subject, require},
    selection::selection,
};

/// The most of a product that there can be.
pub const MAX_QUANTITY: i32 = 1_000_000_000;

/// The stock of a product.
pub type Inventory = inventory::Model;

/// Its columns.
pub use inventory::Column;

/// Those columns of one that were read.
pub type View = plimsoll_records::View<inventory::Entity>;

/// Some of its columns.
pub type Columns = plimsoll_records::Columns<inventory::Entity>;

selection! {
    inventory::Entity {
        /// The columns of their products, deleted or not; `None` if they are not shown.
        product: super::Columns = (Column::ProductId, super::Column::Id)
            of |viewer| super::visible(viewer, Scope::WithDeleted);
    }
}

fn visible(viewer: &Viewer, scope: Scope) -> Rows<inventory::Entity> {
    scoped(viewer, Subject::Inventory, scope)
}

/// Those of the inventories that the viewer sees, by id.
///
/// # Errors
///
/// Whatever keeps the database from answering, as for every read.
pub async fn by_ids<S: Shape<inventory::Entity>>(
    read: &Read,
    shape: S,
    viewer: &Viewer,
    scope: Scope,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, S::Row>> {
    Ok(visible(viewer, scope).by_ids_as(shape, ids, read).await?)
}

/// The live inventory of each product.
///
/// # Errors
///
/// Whatever keeps the database from answering.
pub async fn of_products<S: Shape<inventory::Entity>>(
    read: &Read,
    shape: S,
    products: &[Uuid],
) -> Result<HashMap<Uuid, S::Row>> {
    Ok(Rows::<inventory::Entity>::live()
        .by_as(shape, inventory::Column::ProductId, products, read)
        .await?)
}

/// Adds to the stock of a product, or takes from it, whatever it is at this moment.
///
/// # Errors
///
/// [`Error::NotFound`], [`Error::Forbidden`], [`Error::InsufficientStock`] if there are not as
/// many to take, or [`Error::Invalid`] if there would be more than [`MAX_QUANTITY`].
pub async fn adjust(
    tx: &mut Tx,
    viewer: &Viewer,
    product: ProductId,
    by: i32,
) -> Result<Inventory> {
    let absent = || Error::not_found_at("productId");
    let stock = visible(viewer, Scope::Live)
        .filter(inventory::Column::ProductId.eq(product))
        .one(tx)
        .await?
        .ok_or_else(absent)?;
    require(viewer, Subject::Inventory, Act::Change, Relation::NONE)?;
    if by == 0 {
        return Err(Error::invalid("by", "It must not be 0."));
    }
    let by = i64::from(by);
    let quantity = inventory::Column::Quantity;
    let room = match by < 0 {
        true => quantity.gte(by.saturating_neg()),
        false => quantity.lte(i64::from(MAX_QUANTITY).saturating_sub(by)),
    };
    let adjusted = Adjustment::<inventory::Entity>::of(stock.id)
        .add(quantity, by)
        .only_if(room)
        .apply(tx)
        .await;
    adjusted.map_err(|refused| match refused {
        // It went along with its product.
        Refused::NotFound | Refused::Deleted(_) => absent(),
        Refused::Unmet(current) if by < 0 => Error::InsufficientStock {
            path: path("by"),
            product: product.into(),
            available: current.quantity,
        },
        Refused::Unmet(_) => Error::invalid("by", "There may be at most 1,000,000,000."),
        other => other.into(),
    })
}

/// The row of a new product's inventory.
pub(super) fn new_row(product: ProductId, quantity: i32) -> inventory::ActiveModel {
    inventory::ActiveModel {
        product_id: Set(product),
        quantity: Set(quantity),
        ..Default::default()
    }
}

/// Says how much there is of each of these products, which are locked.
pub(super) async fn set_all(tx: &mut Tx, quantities: &HashMap<ProductId, i32>) -> Result<()> {
    let products: Vec<Uuid> = quantities.keys().map(|id| (*id).into()).collect();
    let stock = Rows::<inventory::Entity>::live()
        .filter(among(inventory::Column::ProductId, &products))
        .lock_every(products.len(), tx)
        .await
        .map_err(|refused| Error::of_batch("products", refused))?;
    if stock.len() != products.len() {
        return Err(Error::Internal("a live product has no stock".into()));
    }
    let set = stock.update_each(tx, |stock| inventory::ActiveModel {
        quantity: quantities
            .get(&stock.product_id)
            .map_or_else(Default::default, |quantity| Set(*quantity)),
        ..Default::default()
    });
    set.await
        .map_err(|refused| Error::of_batch("products", refused))?;
    Ok(())
}
