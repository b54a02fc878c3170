//! The walls: what must not happen to a record, or to the audit log, is refused by the database
//! itself, whoever asks. Whoever must go through opens `wall_gate` for one transaction.

use sea_orm_migration::prelude::*;

use crate::engine::{create_gate, drop_gate, drop_walls, wall_log, wall_record};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const RECORDS: [&str; 5] = ["users", "profiles", "categories", "tags", "posts"];

const LOG: &str = "audit_log";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create_gate(manager).await?;
        for table in RECORDS {
            wall_record(manager, table).await?;
        }
        wall_log(manager, LOG).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in RECORDS.into_iter().chain([LOG]) {
            drop_walls(manager, table).await?;
        }
        drop_gate(manager).await
    }
}
