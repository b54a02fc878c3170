//! Money that moved. Written once, and never changed.

use sea_orm::entity::prelude::*;

use crate::id::{AccountId, OrderId, TransferId, UserId};

/// One movement of money.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "transfers")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: TransferId,
    pub created_at: DateTimeUtc,
    pub kind: Kind,
    /// The account that it left; none if it came from outside, or from the shop.
    pub from_account_id: Option<AccountId>,
    /// The account that it came to; none if it was paid to the shop.
    pub to_account_id: Option<AccountId>,
    /// In minor units of the currency; positive.
    pub amount: i64,
    /// The code of ISO 4217.
    pub currency: String,
    /// The order that was paid for, or cancelled.
    pub order_id: Option<OrderId>,
    /// Who moved it; none for the program itself.
    pub actor_id: Option<UserId>,
}

/// Why money moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum Kind {
    /// It came in from outside.
    #[sea_orm(string_value = "DEPOSIT")]
    Deposit,
    /// It went from one account to another.
    #[sea_orm(string_value = "TRANSFER")]
    Transfer,
    /// It was paid to the shop.
    #[sea_orm(string_value = "PAYMENT")]
    Payment,
    /// It came back from the shop.
    #[sea_orm(string_value = "REFUND")]
    Refund,
}

impl ActiveModelBehavior for ActiveModel {}

plimsoll_records::fact!();
