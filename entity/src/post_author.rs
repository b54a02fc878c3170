//! Who wrote a post beside its author: facts of the post.

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

plimsoll_records::link! {
    "co_authors", max: 20,
    owner: PostId => super::post::Entity,
    target: UserId => super::user::Entity,
}
