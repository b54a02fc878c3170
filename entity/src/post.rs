//! What authors publish.

use plimsoll_records::Deferred;
use sea_orm::entity::prelude::*;

use crate::id::{CategoryId, PostId, UserId};

/// One post.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "posts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: PostId,
    pub title: String,
    /// Folded; unique among the living.
    pub slug: String,
    /// Markdown, as it was written.
    pub content: Deferred<String>,
    pub published: bool,
    /// When it was first published; kept when it is unpublished.
    pub published_at: Option<DateTimeUtc>,
    /// What lists are ordered by: `published_at`, or `created_at` before there is one. The
    /// database computes it.
    pub listed_at: DateTimeUtc,
    pub author_id: UserId,
    pub category_id: Option<CategoryId>,
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
    #[sea_orm(belongs_to, from = "author_id", to = "id")]
    pub author: BelongsTo<super::user::Entity>,
    #[sea_orm(belongs_to, from = "category_id", to = "id")]
    pub category: BelongsTo<Option<super::category::Entity>>,
    #[sea_orm(has_many, via = "post_tag")]
    pub tags: HasMany<super::tag::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}

plimsoll_records::record! {
    "post", PostId,
    heavy: [Content],
    computed: [ListedAt],
    parents: [
        AuthorId => super::user::Entity, TakeAlong;
        CategoryId => super::category::Entity, Refuse
    ],
    dependents: [
        super::post_tag::Entity => PostId,
        super::post_author::Entity => PostId,
        super::import_source::Entity => PostId
    ],
}
