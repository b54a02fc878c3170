//! The wallet: what a user has in one currency.

use sea_orm::entity::prelude::*;

use crate::id::{AccountId, UserId};

/// One account.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "accounts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: AccountId,
    /// Has one live account in each currency at most.
    pub owner_id: UserId,
    /// The code of ISO 4217.
    pub currency: String,
    /// In minor units of the currency; never negative. The sum of the account's entries.
    pub balance: i64,
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
    #[sea_orm(belongs_to, from = "owner_id", to = "id")]
    pub owner: BelongsTo<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}

plimsoll_records::record! {
    "account", AccountId,
    // A user goes only when nothing is in their accounts, and those are closed.
    parents: [OwnerId => super::user::Entity, Refuse],
}
