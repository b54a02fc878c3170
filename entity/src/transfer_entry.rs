//! What a transfer was to one account: the ledger, by double entry. Never changed.

use sea_orm::entity::prelude::*;

use crate::id::{AccountId, TransferEntryId, TransferId};

/// One side of a transfer.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "transfer_entries")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: TransferEntryId,
    pub created_at: DateTimeUtc,
    pub transfer_id: TransferId,
    pub account_id: AccountId,
    /// What the account has more since, in minor units of its currency; negative if it has less.
    pub amount: i64,
    /// What was in the account behind this entry.
    pub balance: i64,
    #[sea_orm(belongs_to, from = "transfer_id", to = "id")]
    pub transfer: BelongsTo<super::transfer::Entity>,
    #[sea_orm(belongs_to, from = "account_id", to = "id")]
    pub account: BelongsTo<super::account::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}

plimsoll_records::fact!();
