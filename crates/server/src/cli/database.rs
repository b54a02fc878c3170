//! Which database a command works on, and whether its schema is there.

use std::{path::Path, time::Duration};

use clap::{Args, value_parser};
use plimsoll_domain::{Options, Settings, Store};
use plimsoll_migration::{MigrationError, Schema};

use super::{Failure, Outcome, configuration, trouble};

/// The database of who names none.
pub(super) const DEMO_FILE: &str = "plimsoll.db";

#[derive(Clone, Debug, Args)]
pub(super) struct Database {
    /// sqlite:FILE, postgres://USER@HOST/NAME or mysql://USER@HOST/NAME (for MariaDB, too)
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: Option<String>,
    /// The most connections to the database, half of them for writing; on SQLite, the most that read:
    /// never more than two for each processor, or four
    #[arg(
        long,
        env = "PLIMSOLL_MAX_CONNECTIONS",
        value_parser = value_parser!(u32).range(1..=10_000),
        default_value_t = 10,
        value_name = "N"
    )]
    max_connections: u32,
    /// Seconds that one SQL statement may take
    #[arg(
        long,
        env = "PLIMSOLL_STATEMENT_TIMEOUT",
        value_parser = value_parser!(u32).range(1..=86_400),
        default_value_t = 10,
        value_name = "SECONDS"
    )]
    statement_timeout: u32,
    /// Seconds that one transaction may take
    #[arg(
        long,
        env = "PLIMSOLL_TRANSACTION_TIMEOUT",
        value_parser = value_parser!(u32).range(1..=86_400),
        default_value_t = 20,
        value_name = "SECONDS"
    )]
    transaction_timeout: u32,
}

impl Database {
    /// The URL that was given, if any was.
    pub(super) fn given(&self) -> Result<Option<String>, Failure> {
        match self.database_url.as_deref() {
            // Nobody who names a database in vain means the demo.
            Some("") => Err(configuration(
                "DATABASE_URL is empty; name a database with it, or do not set it",
            )),
            given => Ok(given.map(str::to_owned)),
        }
    }

    /// The URL that was given.
    pub(super) fn url(&self) -> Result<String, Failure> {
        self.given()?.ok_or_else(|| {
            configuration(
                "name a database with --database-url or DATABASE_URL: sqlite:FILE, \
                 postgres://USER@HOST/NAME or mysql://USER@HOST/NAME",
            )
        })
    }

    /// The URL that was given, or the demo's file if it is there.
    pub(super) fn url_or_demo(&self) -> Result<String, Failure> {
        if self.given()?.is_none() && Path::new(DEMO_FILE).exists() {
            return Ok(file_url(DEMO_FILE));
        }
        self.url()
    }

    pub(super) fn options(&self) -> Options {
        Options {
            max_connections: self.max_connections,
            statement_timeout: Duration::from_secs(self.statement_timeout.into()),
            transaction_timeout: Duration::from_secs(self.transaction_timeout.into()),
            ..Options::default()
        }
    }

    /// Connects to a database whose schema is up to date.
    pub(super) async fn store(&self, url: &str, settings: Settings) -> Result<Store, Failure> {
        let pending = check_schema(url).await?;
        if !pending.is_empty() {
            return Err(configuration(unmigrated(&pending)));
        }
        Store::connect(url, self.options(), settings)
            .await
            .map_err(configuration)
    }
}

pub(super) fn file_url(file: &str) -> String {
    format!("sqlite:{file}")
}

fn unmigrated(pending: &[String]) -> String {
    format!(
        "the database is not migrated, it lacks {}; run `plimsoll migrate up`, or serve with \
         --migrate",
        pending.join(", ")
    )
}

pub(super) fn migrating_failed(error: impl std::borrow::Borrow<MigrationError>) -> Failure {
    trouble(format!(
        "migrating failed: {}",
        plimsoll_migration::explain(error.borrow())
    ))
}

/// The steps that the database lacks.
async fn check_schema(url: &str) -> Result<Vec<String>, Failure> {
    let schema = connect_schema(url, false).await?;
    let pending = pending(&schema).await?;
    // Nothing was written: a failure to close loses nothing.
    let _ = schema.close().await;
    Ok(pending)
}

/// The steps that the database lacks; it must have none that this program does not know.
pub(super) async fn pending(schema: &Schema) -> Result<Vec<String>, Failure> {
    let pending = schema.pending().await;
    pending.map_err(|error| configuration(plimsoll_migration::explain(&error)))
}

/// Connects for migrating, once the URL is known to be good.
pub(super) async fn connect_schema(url: &str, create: bool) -> Result<Schema, Failure> {
    // MariaDB and MySQL connect without a database as well, and then know no table.
    if let Some((_, rest)) = url
        .split_once("://")
        .filter(|(scheme, _)| ["mysql", "mariadb"].contains(scheme))
    {
        let place = rest.split('?').next().unwrap_or_default();
        let name = place.split_once('/').map_or("", |(_, name)| name);
        if name.is_empty() {
            return Err(configuration(
                "the database URL names no database: mysql://USER@HOST/NAME",
            ));
        }
    }
    let options = Options {
        max_connections: 1,
        create_missing: create,
        ..Options::default()
    };
    // The record layer knows the better words for what is wrong with a URL or a server.
    let probe = Store::connect(url, options, Settings::default())
        .await
        .map_err(configuration)?;
    probe.database().close().await;
    Schema::connect(url, create)
        .await
        .map_err(|e| configuration(format!("no connection to the database: {e}")))
}

pub(super) async fn migrate_up(url: &str) -> Outcome {
    let schema = connect_schema(url, true).await?;
    pending(&schema).await?;
    schema.up().await.map_err(migrating_failed)?;
    schema.close().await.map_err(migrating_failed)
}
