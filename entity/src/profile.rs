//! What a user tells about themselves. One for each user.

use sea_orm::entity::prelude::*;

use crate::id::{ProfileId, UserId};

/// One profile.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "profiles")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ProfileId,
    /// Unique among the living.
    pub user_id: UserId,
    pub bio: Option<String>,
    pub avatar_url: Option<String>,
    /// Whatever a client wants to keep: a JSON object.
    pub metadata: Json,
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
    #[sea_orm(belongs_to, from = "user_id", to = "id")]
    pub user: BelongsTo<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}

plimsoll_records::record! {
    "profile", ProfileId,
    parents: [UserId => super::user::Entity, TakeAlong],
}
