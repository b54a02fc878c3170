//! Keys by which a request that is sent twice is known again.

use sea_orm::entity::prelude::*;

use crate::id::{IdempotencyKeyId, UserId};

/// One key, and what came of the request that it named.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "idempotency_keys")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: IdempotencyKeyId,
    pub actor_id: UserId,
    /// What the client calls the request. Unique for each actor.
    pub idempotency_key: String,
    /// The SHA-256 of the mutation and its input, in hexadecimal.
    pub request_hash: String,
    /// The type of the records that it led to; none before it is committed.
    pub record_type: Option<String>,
    /// Those records: a list of pairs of an id and a version.
    pub results: Json,
    pub expires_at: DateTimeUtc,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

impl ActiveModelBehavior for ActiveModel {}

plimsoll_records::fact!();
