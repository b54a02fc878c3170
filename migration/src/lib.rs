//! How the schema got here, one file a step. A step is frozen once it is released.

use std::time::Duration;

use sea_orm_migration::{
    Migration, MigrationStatus,
    prelude::*,
    sea_orm::{ConnectOptions, Database, DatabaseConnection},
};

pub use sea_orm_migration::DbErr as MigrationError;

use lock::{PATIENCE, Run};

mod engine;
mod lock;
mod m20261122_000001_publishing;
mod m20261122_000002_walls;
mod m20261122_000003_shop_and_wallet;
mod m20261129_000004_deletions;

/// All steps, oldest first. Several instances may migrate one database at once: one does, the
/// others wait for it.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        Steps::migrations()
    }

    async fn get_migration_with_status<C>(db: &C) -> Result<Vec<Migration>, DbErr>
    where
        C: ConnectionTrait,
    {
        Steps::get_migration_with_status(db).await
    }

    async fn up<'c, C>(db: C, steps: Option<u32>) -> Result<(), DbErr>
    where
        C: IntoSchemaManagerConnection<'c>,
    {
        let run = Run::Up(steps);
        run.alone(db.into_database_executor(), PATIENCE).await
    }

    async fn down<'c, C>(db: C, steps: Option<u32>) -> Result<(), DbErr>
    where
        C: IntoSchemaManagerConnection<'c>,
    {
        let run = Run::Down(steps);
        run.alone(db.into_database_executor(), PATIENCE).await
    }

    async fn fresh<'c, C>(db: C) -> Result<(), DbErr>
    where
        C: IntoSchemaManagerConnection<'c>,
    {
        let run = Run::Fresh;
        run.alone(db.into_database_executor(), PATIENCE).await
    }

    async fn refresh<'c, C>(db: C) -> Result<(), DbErr>
    where
        C: IntoSchemaManagerConnection<'c>,
    {
        let run = Run::Refresh;
        run.alone(db.into_database_executor(), PATIENCE).await
    }

    async fn reset<'c, C>(db: C) -> Result<(), DbErr>
    where
        C: IntoSchemaManagerConnection<'c>,
    {
        let run = Run::Reset;
        run.alone(db.into_database_executor(), PATIENCE).await
    }
}

/// The steps themselves, for who has kept other runs away.
struct Steps;

#[async_trait::async_trait]
impl MigratorTrait for Steps {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261122_000001_publishing::Migration),
            Box::new(m20261122_000002_walls::Migration),
            Box::new(m20261122_000003_shop_and_wallet::Migration),
            Box::new(m20261129_000004_deletions::Migration),
        ]
    }

    /// Writes nothing, so that it can be asked of a database that must not be written.
    async fn get_migration_with_status<C>(db: &C) -> Result<Vec<Migration>, DbErr>
    where
        C: ConnectionTrait,
    {
        let found = Self::get_migration_with_status_read_only(db).await;
        match (found, unknown(db).await) {
            (Err(_), Ok(Some(name))) => Err(DbErr::Custom(format!(
                "the database has the step {name}, which this release of Plimsoll does not know: \
                 a newer release migrated it"
            ))),
            (found, _) => found,
        }
    }
}

/// The newest step that the database has and this program does not know.
async fn unknown<C: ConnectionTrait>(db: &C) -> Result<Option<String>, DbErr> {
    let known: Vec<String> = Steps::migrations()
        .iter()
        .map(|step| step.name().to_owned())
        .collect();
    let version = Alias::new("version");
    let query = Query::select()
        .column(version.clone())
        .from(Steps::migration_table_name())
        .and_where(Expr::col(version).is_not_in(known))
        .order_by(Alias::new("version"), Order::Desc)
        .limit(1)
        .to_owned();
    match db.query_one(&query).await? {
        Some(row) => Ok(Some(row.try_get("", "version")?)),
        None => Ok(None),
    }
}

/// What a failure says, without the words that the library puts before it.
pub fn explain(error: &DbErr) -> String {
    match error {
        DbErr::Custom(sentence) => sentence.clone(),
        other => other.to_string(),
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
pub struct Schema {
    connection: DatabaseConnection,
    patience: Duration,
}

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
            // One that holds the lock and one that works; SQLite needs no more than one.
            .max_connections(2)
            .min_connections(0)
            .sqlx_logging(false)
            .map_sqlx_sqlite_opts(move |sqlite| sqlite.create_if_missing(create));
        Ok(Self {
            connection: Database::connect(options).await?,
            patience: PATIENCE,
        })
    }

    /// The same, waiting so long for another program that changes the schema; a minute unless
    /// this is called.
    #[must_use]
    pub fn waiting(self, patience: Duration) -> Self {
        Self { patience, ..self }
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
        let steps = Migrator::get_migration_with_status(&self.connection).await?;
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
        self.run(Run::Up(None)).await
    }

    /// Takes the last `steps` back.
    ///
    /// # Errors
    ///
    /// The step that failed, and why.
    pub async fn down(&self, steps: u32) -> Result<(), DbErr> {
        self.run(Run::Down(Some(steps))).await
    }

    /// Drops every table and applies every step. All data is lost.
    ///
    /// # Errors
    ///
    /// The step that failed, and why.
    pub async fn fresh(&self) -> Result<(), DbErr> {
        self.run(Run::Fresh).await
    }

    /// Closes the connection; on SQLite what was written is then in the file itself.
    ///
    /// # Errors
    ///
    /// Whatever the database refuses.
    pub async fn close(self) -> Result<(), DbErr> {
        self.connection.close().await
    }

    async fn run(&self, run: Run) -> Result<(), DbErr> {
        run.alone((&self.connection).into(), self.patience).await
    }
}
