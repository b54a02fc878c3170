//! No record is deleted by halves, and no deletion is lost, by whoever asks: a record that has one
//! of `deleted_at` and `deletion_id`, or whose deletion is gone, could not be brought back.

use sea_orm_migration::prelude::*;

use crate::engine::{drop_walls, wall_deletions, wall_record};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const RECORDS: [&str; 9] = [
    "users",
    "profiles",
    "categories",
    "tags",
    "posts",
    "products",
    "inventories",
    "accounts",
    "orders",
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // Once more, for databases that had walls before this step.
        for table in RECORDS {
            wall_record(manager, table).await?;
        }
        wall_deletions(manager).await
    }

    /// The walls of records stay as they are: they go with the steps that first made them.
    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_walls(manager, "deletions").await
    }
}
