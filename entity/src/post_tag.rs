//! Which tags a post has: facts of the post.

use sea_orm::entity::prelude::*;

use crate::id::{PostId, TagId};

/// One tag of one post.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "post_tags")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub post_id: PostId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub tag_id: TagId,
    pub position: i32,
    #[sea_orm(belongs_to, from = "post_id", to = "id")]
    pub post: BelongsTo<super::post::Entity>,
    #[sea_orm(belongs_to, from = "tag_id", to = "id")]
    pub tag: BelongsTo<super::tag::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}

plimsoll_records::link! {
    "tags", max: 50,
    owner: PostId => super::post::Entity,
    target: TagId => super::tag::Entity,
}
