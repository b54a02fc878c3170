//! Words that posts are found by.

use sea_orm::entity::prelude::*;

use crate::id::TagId;

/// One tag.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "tags")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: TagId,
    pub name: String,
    /// Folded; unique among the living.
    pub slug: String,
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
    #[sea_orm(has_many, via = "post_tag")]
    pub posts: HasMany<super::post::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}

plimsoll_records::record! {
    "tag", TagId,
    dependents: [super::post_tag::Entity => TagId],
}
