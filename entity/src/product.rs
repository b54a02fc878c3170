//! What the shop sells.

use sea_orm::entity::prelude::*;

use crate::id::ProductId;

/// One product.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "products")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ProductId,
    /// The stock-keeping unit as it was written.
    pub sku: String,
    /// The stock-keeping unit folded: unique among the living.
    pub sku_key: String,
    pub name: String,
    /// The name folded: products are ordered by it.
    pub name_key: String,
    /// What one costs, in minor units of the currency.
    pub price_amount: i64,
    /// The code of ISO 4217.
    pub currency: String,
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
    #[sea_orm(has_one)]
    pub inventory: HasOne<super::inventory::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}

plimsoll_records::record! { "product", ProductId }
