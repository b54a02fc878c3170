//! One run of the migrations at a time, however many instances start at once.
//!
//! - PostgreSQL: an advisory lock of the transaction, on a connection of its own. It is asked
//!   for again and again, because a run that waits inside the database holds a snapshot, and
//!   `CREATE INDEX CONCURRENTLY` of the run that works would wait for it in turn.
//! - MariaDB and MySQL: `GET_LOCK`, on a connection of its own. Galera clusters do not share
//!   these locks between nodes: there, migrate from one place.
//! - SQLite: all steps of a run are one transaction that begins with the write lock.
//!
//! Each ends by itself when the process that holds it is killed.

use std::time::Duration;

use sea_orm_migration::{
    MigratorTrait, SchemaManagerConnection,
    sea_orm::{
        ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, RuntimeErr,
        SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait,
        sqlx::sqlite::SqlitePoolOptions,
    },
};

use crate::Steps;

/// How long a run waits for another one.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// How long a run waits before it asks again.
const PAUSE: Duration = Duration::from_millis(100);

/// Any number will do, as long as every release asks for the same: "plimsoll" in ASCII.
const KEY: i64 = 0x706c_696d_736f_6c6c;

/// What one run does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Run {
    Up(Option<u32>),
    Down(Option<u32>),
    Fresh,
    Refresh,
    Reset,
}

impl Run {
    /// Does it while no other run does anything.
    pub(crate) async fn alone(
        self,
        db: SchemaManagerConnection<'_>,
        patience: Duration,
    ) -> Result<(), DbErr> {
        match db {
            SchemaManagerConnection::Connection(pool)
                if pool.get_database_backend() == DbBackend::Sqlite =>
            {
                self.in_one_transaction(pool, patience).await
            }
            SchemaManagerConnection::Connection(pool) => {
                let lock = Lock::take(pool, patience).await?;
                let done = self.now(SchemaManagerConnection::Connection(pool)).await;
                done.and(lock.release().await)
            }
            // Whoever brings a transaction keeps others away with it.
            transaction => self.now(transaction).await,
        }
    }

    async fn now(self, db: SchemaManagerConnection<'_>) -> Result<(), DbErr> {
        match self {
            Self::Up(steps) => Steps::up(db, steps).await,
            Self::Down(steps) => Steps::down(db, steps).await,
            Self::Fresh => Steps::fresh(db).await,
            Self::Refresh => Steps::refresh(db).await,
            Self::Reset => Steps::reset(db).await,
        }
    }

    /// SQLite takes back a schema's changes as it does rows'. Foreign keys are off meanwhile, as
    /// "Making Other Kinds Of Table Schema Changes" in SQLite's documentation of ALTER TABLE
    /// wants it, and are checked at the end.
    async fn in_one_transaction(
        self,
        pool: &DatabaseConnection,
        patience: Duration,
    ) -> Result<(), DbErr> {
        let options = pool.get_sqlite_connection_pool().connect_options();
        let options = (*options)
            .clone()
            .foreign_keys(false)
            .busy_timeout(patience);
        let own = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options)
            .await
            .map_err(|e| DbErr::Conn(RuntimeErr::SqlxError(e.into())))?;
        let own = DatabaseConnection::from(own);
        let immediate = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        let done = async {
            let transaction = own
                .begin_with_options(immediate)
                .await
                .map_err(|error| busy(error, patience))?;
            self.now(SchemaManagerConnection::Transaction(&transaction))
                .await?;
            let check = Statement::from_string(DbBackend::Sqlite, "PRAGMA foreign_key_check");
            if transaction.query_one_raw(check).await?.is_some() {
                return Err(DbErr::Custom(
                    "the migration would leave references to rows that are gone; nothing was \
                     changed"
                        .into(),
                ));
            }
            transaction.commit().await
        };
        let done = done.await;
        done.and(own.close().await)
    }
}

/// The right to migrate, held by an open transaction.
struct Lock(DatabaseTransaction);

impl Lock {
    async fn take(pool: &DatabaseConnection, patience: Duration) -> Result<Self, DbErr> {
        let lock = Self(pool.begin().await?);
        if lock.0.get_database_backend() == DbBackend::Postgres {
            // The transaction has nothing to do while the steps run.
            lock.0
                .execute_unprepared("SET LOCAL idle_in_transaction_session_timeout = 0")
                .await?;
        }
        let begun = std::time::Instant::now();
        while !lock.asked().await? {
            if begun.elapsed() >= patience {
                return Err(waited(patience));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(lock)
    }

    /// Whether the lock is had now.
    async fn asked(&self) -> Result<bool, DbErr> {
        let backend = self.0.get_database_backend();
        let question = match backend {
            DbBackend::Postgres => {
                format!("SELECT CAST(pg_try_advisory_xact_lock({KEY}) AS int) AS had")
            }
            // The name is the server's, so the database's is part of it.
            _ => "SELECT CAST(COALESCE(GET_LOCK(CONCAT('plimsoll-', MD5(COALESCE(DATABASE(), ''))), 0), 0) \
                  AS SIGNED INTEGER) AS had"
                .to_owned(),
        };
        let answer = self
            .0
            .query_one_raw(Statement::from_string(backend, question))
            .await?;
        let Some(answer) = answer else {
            return Ok(false);
        };
        Ok(match backend {
            DbBackend::Postgres => answer.try_get::<i32>("", "had")? == 1,
            _ => answer.try_get::<i64>("", "had")? == 1,
        })
    }

    async fn release(self) -> Result<(), DbErr> {
        if self.0.get_database_backend() == DbBackend::MySql {
            self.0
                .execute_unprepared(
                    "DO RELEASE_LOCK(CONCAT('plimsoll-', MD5(COALESCE(DATABASE(), ''))))",
                )
                .await?;
        }
        self.0.rollback().await
    }
}

fn waited(patience: Duration) -> DbErr {
    DbErr::Custom(format!(
        "another program has been changing the schema of this database for {} seconds; try again \
         when it has finished",
        patience.as_secs()
    ))
}

/// SQLite's result code 5 is SQLITE_BUSY; the extended codes have it in their lowest byte.
fn busy(error: DbErr, patience: Duration) -> DbErr {
    let code = match &error {
        DbErr::Conn(RuntimeErr::SqlxError(inner))
        | DbErr::Exec(RuntimeErr::SqlxError(inner))
        | DbErr::Query(RuntimeErr::SqlxError(inner)) => inner
            .as_database_error()
            .and_then(|inner| inner.code()?.parse::<u32>().ok()),
        _ => None,
    };
    match code {
        Some(code) if code & 0xff == 5 => waited(patience),
        _ => error,
    }
}
