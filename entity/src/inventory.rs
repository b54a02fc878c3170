//! How much of a product there is. Apart from the product: a sale is no change of what buyers saw.

use sea_orm::entity::prelude::*;

use crate::id::{InventoryId, ProductId};

/// The stock of one product.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "inventories")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: InventoryId,
    /// Unique among the living.
    pub product_id: ProductId,
    /// How many are on hand; never negative.
    pub quantity: i32,
    /// How many changes the row has had.
    pub lock_version: i32,
    /// When it was deleted; null while it is live.
    pub deleted_at: Option<DateTimeUtc>,
    /// The deletion that took it.
    pub deletion_id: Option<Uuid>,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// When it was last changed.
    pub updated_at: DateTimeUtc,
    #[sea_orm(belongs_to, from = "product_id", to = "id")]
    pub product: BelongsTo<super::product::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}

plimsoll_records::record! {
    "inventory", InventoryId,
    parents: [ProductId => super::product::Entity, TakeAlong],
}
