//! The database with the settings that the business goes by.

use std::sync::Arc;

use futures::future::BoxFuture;
use plimsoll_records::{Database, Fault, Options, Read, Retention, Tx};

use crate::{Request, Result, password::Passwords};

/// What an operator decides.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long a deleted record is kept before it may be purged.
    pub retention: Retention,
    /// How long a login lasts.
    pub session_lifetime: chrono::Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            retention: Retention(chrono::Duration::days(30)),
            session_lifetime: chrono::Duration::days(14),
        }
    }
}

/// Everything the domain needs to work. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    database: Database,
    settings: Settings,
    passwords: Arc<Passwords>,
}

impl Store {
    /// Connects to the database; its schema must be there.
    ///
    /// # Errors
    ///
    /// A sentence that says why no connection could be made.
    pub async fn connect(url: &str, options: Options, settings: Settings) -> Result<Self, String> {
        let database = Database::connect(url, plimsoll_entity::register(), options).await?;
        Ok(Self {
            database,
            settings,
            passwords: Arc::new(Passwords::new()),
        })
    }

    /// A handle to read with.
    pub fn read(&self) -> Read {
        self.database.read()
    }

    /// Runs a command in a transaction of its own, to its end, whoever waits for it.
    ///
    /// # Errors
    ///
    /// What the command answers, or what kept it from committing.
    pub async fn write<T, F>(&self, request: &Request, command: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Send + 'static,
    {
        self.database.write(request.writer(), command).await
    }

    /// What the operator decided.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Where passwords are hashed.
    pub fn passwords(&self) -> &Passwords {
        &self.passwords
    }

    /// The database itself, for tests and for the program's end.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Whether the database answers.
    ///
    /// # Errors
    ///
    /// Why it does not.
    pub async fn ping(&self) -> Result<(), Fault> {
        self.database.ping().await
    }
}
