//! Logins. The token itself is known to its holder alone.

use sea_orm::entity::prelude::*;

use crate::id::{LoginSessionId, UserId};

/// One login.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "login_sessions")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: LoginSessionId,
    pub user_id: UserId,
    /// The SHA-256 of the token, in hexadecimal.
    pub token_hash: String,
    pub expires_at: DateTimeUtc,
    pub revoked_at: Option<DateTimeUtc>,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    #[sea_orm(belongs_to, from = "user_id", to = "id")]
    pub user: BelongsTo<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}

plimsoll_records::fact!();
