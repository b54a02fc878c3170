//! Which file a post was imported from.

use sea_orm::entity::prelude::*;

use crate::id::{ImportSourceId, PostId};

/// One imported file.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "import_sources")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: ImportSourceId,
    /// The SHA-256 of the folder's name and the file's path in it, in hexadecimal: unique, and
    /// short enough for every engine's index.
    pub source_key: String,
    /// What the folder is called: its path, unless the import named it.
    pub source: String,
    /// The file's path in the folder.
    pub path: String,
    /// The SHA-256 of the file, in hexadecimal.
    pub hash: String,
    pub post_id: PostId,
    /// The version of the post that the import wrote: another one means that it was edited since.
    pub post_version: i32,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    #[sea_orm(belongs_to, from = "post_id", to = "id")]
    pub post: BelongsTo<super::post::Entity>,
}

impl ActiveModelBehavior for ActiveModel {}

plimsoll_records::fact!();
