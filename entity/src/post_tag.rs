//! Which tags a post has: facts of the post.

use plimsoll_records::Link;
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

impl Link for Entity {
    type Owner = super::post::Entity;
    type Target = super::tag::Entity;
    const OWNER: Column = Column::PostId;
    const TARGET: Column = Column::TagId;
    const POSITION: Column = Column::Position;
    const NAME: &'static str = "tags";
    const MAX: usize = 50;
}
