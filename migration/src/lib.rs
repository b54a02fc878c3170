//! How the schema got here, one file a step. A step is frozen once it is released.

use sea_orm_migration::{
    MigrationStatus,
    prelude::*,
    sea_orm::{ConnectOptions, Database, DatabaseConnection},
};

mod engine;
mod m20261122_000001_publishing;

/// All steps, oldest first.
#[derive(Debug)]
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m20261122_000001_publishing::Migration)]
    }
}

/// A step and whether it has been applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The step's name.
    pub name: String,
    /// Whether the database has it.
    pub applied: bool,
}

/// A connection to migrate with.
#[derive(Debug)]
pub struct Schema(DatabaseConnection);

impl Schema {
    /// Connects; `create` makes the SQLite file when it is missing.
    ///
    /// # Errors
    ///
    /// Why no connection could be made.
    pub async fn connect(url: &str, create: bool) -> Result<Self, DbErr> {
        // sqlx knows MariaDB by MySQL's name.
        let mut options = ConnectOptions::new(url.replacen("mariadb:", "mysql:", 1));
        options
            .max_connections(1)
            .sqlx_logging(false)
            .map_sqlx_sqlite_opts(move |sqlite| sqlite.create_if_missing(create));
        Ok(Self(Database::connect(options).await?))
    }

    /// The steps that the database lacks.
    ///
    /// # Errors
    ///
    /// Whatever the database refuses; also when it has a step that this program does not know.
    pub async fn pending(&self) -> Result<Vec<String>, DbErr> {
        let steps = self.steps().await?;
        Ok(steps
            .into_iter()
            .filter(|step| !step.applied)
            .map(|step| step.name)
            .collect())
    }

    /// Every step, oldest first.
    ///
    /// # Errors
    ///
    /// As for [`pending`](Self::pending).
    pub async fn steps(&self) -> Result<Vec<Step>, DbErr> {
        let steps = Migrator::get_migration_with_status(&self.0).await?;
        Ok(steps
            .into_iter()
            .map(|step| Step {
                name: step.name().to_owned(),
                applied: step.status() == MigrationStatus::Applied,
            })
            .collect())
    }

    /// Applies every pending step.
    ///
    /// # Errors
    ///
    /// The step that failed, and why.
    pub async fn up(&self) -> Result<(), DbErr> {
        Migrator::up(&self.0, None).await
    }

    /// Takes the last `steps` back.
    ///
    /// # Errors
    ///
    /// The step that failed, and why.
    pub async fn down(&self, steps: u32) -> Result<(), DbErr> {
        Migrator::down(&self.0, Some(steps)).await
    }

    /// Drops every table and applies every step. All data is lost.
    ///
    /// # Errors
    ///
    /// The step that failed, and why.
    pub async fn fresh(&self) -> Result<(), DbErr> {
        Migrator::fresh(&self.0).await
    }

    /// Closes the connection; on SQLite what was written is then in the file itself.
    ///
    /// # Errors
    ///
    /// Whatever the database refuses.
    pub async fn close(self) -> Result<(), DbErr> {
        self.0.close().await
    }
}
