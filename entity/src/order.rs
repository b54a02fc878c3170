//! What buyers order.

use sea_orm::entity::prelude::*;

use crate::id::{AccountId, OrderId, UserId};

/// One order.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "orders")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: OrderId,
    pub buyer_id: UserId,
    /// The account that paid; none before.
    pub account_id: Option<AccountId>,
    pub status: Status,
    /// What all of it costs, in minor units of the currency.
    pub total_amount: i64,
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
    #[sea_orm(belongs_to, from = "buyer_id", to = "id")]
    pub buyer: BelongsTo<super::user::Entity>,
    #[sea_orm(belongs_to, from = "account_id", to = "id")]
    pub account: BelongsTo<Option<super::account::Entity>>,
}

/// How far an order has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum Status {
    /// The goods are set aside, and not paid for.
    #[sea_orm(string_value = "PENDING")]
    Pending,
    /// It is paid for.
    #[sea_orm(string_value = "PAID")]
    Paid,
    /// It is on its way: nothing of it comes back by itself.
    #[sea_orm(string_value = "SHIPPED")]
    Shipped,
    /// The goods are back on the shelf, and the money with the buyer.
    #[sea_orm(string_value = "CANCELLED")]
    Cancelled,
}

impl ActiveModelBehavior for ActiveModel {}

plimsoll_records::record! {
    "order", OrderId,
    // It is what happened, whoever goes.
    parents: [
        BuyerId => super::user::Entity, Leave;
        AccountId => super::account::Entity, Leave
    ],
}
