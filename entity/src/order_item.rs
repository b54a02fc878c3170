//! What an order is of. Written with the order, and never changed.

use sea_orm::entity::prelude::*;

use crate::id::{OrderId, OrderItemId, ProductId};

/// One line of an order.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "order_items")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: OrderItemId,
    pub created_at: DateTimeUtc,
    pub order_id: OrderId,
    /// Once in each order.
    pub product_id: ProductId,
    /// Its place in the order, from 0.
    pub position: i32,
    pub quantity: i32,
    /// What one cost when it was ordered, in minor units of the order's currency.
    pub unit_amount: i64,
    #[sea_orm(belongs_to, from = "order_id", to = "id")]
    pub order: BelongsTo<super::order::Entity>,
    #[sea_orm(belongs_to, from = "product_id", to = "id")]
    pub product: BelongsTo<super::product::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}

plimsoll_records::fact!();
