//! Who wrote a post beside its author: facts of the post.

use plimsoll_records::Link;
use sea_orm::entity::prelude::*;

use crate::id::{PostId, UserId};

/// One co-author of one post.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "post_authors")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub post_id: PostId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    pub position: i32,
    #[sea_orm(belongs_to, from = "post_id", to = "id")]
    pub post: BelongsTo<super::post::Entity>,
    #[sea_orm(belongs_to, from = "user_id", to = "id")]
    pub user: BelongsTo<super::user::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}

impl Link for Entity {
    type Owner = super::post::Entity;
    type Target = super::user::Entity;
    const OWNER: Column = Column::PostId;
    const TARGET: Column = Column::UserId;
    const POSITION: Column = Column::Position;
    const NAME: &'static str = "co_authors";
    const MAX: usize = 20;
}
