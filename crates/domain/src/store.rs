//! The database with the settings that the business goes by.

use std::sync::Arc;

use futures::future::BoxFuture;
use plimsoll_entity::user;
use plimsoll_records::{Database, Fault, Options, Read, Retention, Rows, Tx};
use sea_orm::ColumnTrait as _;

use crate::{Error, Request, Result, Viewer, password::Passwords};

/// What an operator decides.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How long a deleted record is kept before it may be purged.
    pub retention: Retention,
    /// How long a login lasts.
    pub session_lifetime: chrono::Duration,
    /// How long a request with an idempotency key is known again.
    pub key_lifetime: chrono::Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            retention: Retention(chrono::Duration::days(30)),
            session_lifetime: chrono::Duration::days(14),
            key_lifetime: chrono::Duration::hours(24),
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

    /// Runs a command in a transaction of its own, to its end, whoever waits for it. The viewer
    /// is looked at again in it: who was deleted, deactivated or given another role since the
    /// request began changes nothing. What is passing is tried again, as [`Database::write`] says.
    ///
    /// # Errors
    ///
    /// What the command answers, or what kept it from committing; [`Error::Unauthenticated`]
    /// if nobody is logged in, without a look at the database, or not any longer.
    pub async fn write<T, F>(&self, request: &Request, command: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Clone + Send + 'static,
    {
        let viewer = request.viewer;
        if viewer == Viewer::Anonymous {
            return Err(Error::Unauthenticated("Log in to change anything.".into()));
        }
        self.database
            .write(request.writer(), move |tx| {
                Box::pin(async move {
                    still_there(tx, &viewer).await?;
                    command(tx).await
                })
            })
            .await
    }

    /// Runs the part of a login that writes; nobody is logged in yet.
    pub(crate) async fn write_login<T, F>(&self, request: &Request, command: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Clone + Send + 'static,
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

    /// Whether the database answers, and has its tables.
    ///
    /// # Errors
    ///
    /// Why it does not.
    pub async fn ping(&self) -> Result<(), Fault> {
        // A connection answers a ping even when its database was dropped or its file removed.
        Rows::<user::Entity>::with_deleted()
            .exists(&self.read())
            .await?;
        Ok(())
    }
}

async fn still_there(tx: &mut Tx, viewer: &Viewer) -> Result<()> {
    let Viewer::User { id, role } = *viewer else {
        return Ok(());
    };
    let there = Rows::<user::Entity>::live()
        .filter(user::Column::Id.eq(id))
        .filter(user::Column::IsActive.eq(true))
        .filter(user::Column::Role.eq(role))
        .exists(tx)
        .await?;
    if there {
        Ok(())
    } else {
        Err(Error::Unauthenticated("Your login has ended.".into()))
    }
}
