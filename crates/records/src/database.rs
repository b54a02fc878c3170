//! The connections, and the one place that opens, commits and rolls back a transaction.

use std::{
    collections::BTreeSet,
    fmt,
    future::Future,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use chrono::{DateTime, SubsecRound, Utc};
use futures::future::BoxFuture;
use sea_orm::{
    DatabaseConnection, DbBackend, QueryResult, StatementBuilder,
    sea_query::{IntoCondition, Query, SelectStatement},
};
use sqlx::{
    ConnectOptions as _, Executor as _,
    mysql::{MySqlConnectOptions, MySqlPoolOptions},
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{
        SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
    },
};
use tokio::sync::Mutex as AsyncMutex;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::{
    Counts, Fault, Isolation, Register, Retry, Timing,
    attempt::{Begun, Damage},
    audit::{self, Entry},
    change::Mint,
    connection::{self, Connections, Lane, Lease, Which},
    dialect,
    form::{Form, Text, Texts},
    note::Note,
    record::{Fact, insert_statement},
    retry::{Counters, Tries},
};

/// How to connect, and the limits of what runs.
#[derive(Clone)]
pub struct Options {
    /// The most connections that may be open at once, half of them for writing; on SQLite, the
    /// most that read. There each is a thread with a cache of its own, and never more of them are
    /// opened than two for each processor, or four.
    pub max_connections: u32,
    /// How long a statement may run on PostgreSQL, MariaDB and MySQL. SQLite has no such limit: a
    /// transaction's holds, and the caller's own.
    pub statement_timeout: Duration,
    /// How long a transaction's work may take, its audit rows included, before it is rolled back;
    /// and for how long its begin and its end are waited for.
    pub transaction_timeout: Duration,
    /// How long to wait for a free connection, or for SQLite's writer.
    pub acquire_timeout: Duration,
    /// How often and for how long a write is tried again that met passing trouble.
    pub retry: Retry,
    /// How the connections are named where the server lists them.
    pub application_name: String,
    /// Make the SQLite file when it is missing.
    pub create_missing: bool,
    /// Called after each statement, for telemetry and tests.
    pub on_statement: Option<Observer>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_connections: 10,
            statement_timeout: Duration::from_secs(10),
            transaction_timeout: Duration::from_secs(20),
            acquire_timeout: Duration::from_secs(5),
            retry: Retry::default(),
            application_name: "plimsoll".into(),
            create_missing: false,
            on_statement: None,
        }
    }
}

impl Options {
    /// How many connections write, and how many read: one each at the least.
    fn halves(&self) -> (u32, u32) {
        let writers = (self.max_connections / 2).max(1);
        (writers, self.max_connections.saturating_sub(writers).max(1))
    }

    /// How many connections read on SQLite: more than the processors can run answer nothing
    /// sooner.
    fn sqlite_readers(&self) -> u32 {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let most = u32::try_from(2 * processors).unwrap_or(u32::MAX).max(4);
        self.max_connections.clamp(1, most)
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("max_connections", &self.max_connections)
            .field("statement_timeout", &self.statement_timeout)
            .field("transaction_timeout", &self.transaction_timeout)
            .finish_non_exhaustive()
    }
}

/// What is called after each statement.
pub type Observer = Arc<dyn Fn(&Statement<'_>) + Send + Sync>;

/// A statement that ran.
#[derive(Debug)]
pub struct Statement<'a> {
    /// The SQL, with placeholders.
    pub sql: &'a str,
    /// How long it took.
    pub elapsed: Duration,
    /// Whether the database refused it.
    pub failed: bool,
    /// What it was made for, for each table of records that it touches; `None` if it went past
    /// this layer, by [`Database::unguarded`].
    pub notes: Option<&'a [Note]>,
}

/// The connections to one database, and the register of its record types.
///
/// Cheap to clone; all clones share the connections.
///
/// A program has one. What it does with records it does through the handles that it hands out.
///
/// ```
/// # mod library {
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/library.rs"));
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// use chrono::Utc;
/// use library::author;
/// use plimsoll_records::{Database, Fault, Options, Rows, Writer};
/// use sea_orm::ActiveValue::Set;
/// # let library::Stocked { folder, database, .. } = library::stocked().await?;
/// # database.close().await;
/// # let url = format!("sqlite:{}/library.db", folder.path().display());
///
/// let database = Database::connect(&url, library::register(), Options::default()).await?;
///
/// // The transaction commits, since the work answers `Ok`.
/// let write = Writer::system(Utc::now());
/// let grace = database.write(write, |tx| {
///     Box::pin(async move {
///         let grace = author::ActiveModel {
///             name: Set("Grace".into()),
///             ..Default::default()
///         };
///         tx.create::<author::Entity>(grace).await
///     })
/// });
/// let grace: Result<author::Model, Fault> = grace.await;
/// assert_eq!(grace?.lock_version, 0);
///
/// let authors = Rows::<author::Entity>::live().count(&database.read()).await?;
/// assert_eq!(authors, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Database {
    writer: Connections,
    reader: Connections,
    /// Past this layer; it connects when it is first used.
    way_out: DatabaseConnection,
    observer: Option<Observer>,
    register: Arc<Register>,
    transaction_timeout: Duration,
    retry: Retry,
    counters: Arc<Counters>,
    texts: Arc<Texts>,
    writes: TaskTracker,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("engine", &self.backend())
            .finish_non_exhaustive()
    }
}

impl Database {
    /// Connects. The URL's scheme picks the engine: `sqlite:`, `postgres:` or `mysql:`.
    ///
    /// On SQLite one connection writes and several read, with write-ahead log, foreign keys
    /// and full synchronization on.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong with the URL, or why no connection could be made.
    pub async fn connect(url: &str, register: Register, options: Options) -> Result<Self, String> {
        let scheme = url.split(':').next().unwrap_or_default();
        let Opened {
            writer,
            reader,
            mut way_out,
        } = match scheme {
            "sqlite" => sqlite(url, &options).await?,
            "postgres" | "postgresql" => {
                // Writers that wait for each other must not keep readers from a connection.
                let (writers, readers) = options.halves();
                let writers = postgres(url, &options, writers).await?;
                let readers = postgres(url, &options, readers).await?;
                Opened {
                    way_out: aside(&writers).into(),
                    writer: Connections::Postgres(Lane::new(writers)),
                    reader: Connections::Postgres(Lane::new(readers)),
                }
            }
            "mysql" | "mariadb" => {
                let (writers, readers) = options.halves();
                let writers = mysql(url, &options, writers).await?;
                let readers = mysql(url, &options, readers).await?;
                Opened {
                    way_out: aside(&writers).into(),
                    writer: Connections::MySql(Lane::new(writers)),
                    reader: Connections::MySql(Lane::new(readers)),
                }
            }
            _ => {
                return Err(
                    "the database URL must begin with sqlite:, postgres: or mysql:".to_owned(),
                );
            }
        };
        if let Some(observer) = options.on_statement.clone() {
            way_out.set_metric_callback(move |info| {
                observer(&Statement {
                    sql: &info.statement.sql,
                    elapsed: info.elapsed,
                    failed: info.failed,
                    notes: None,
                });
            });
        }
        Ok(Self {
            writer,
            reader,
            way_out,
            observer: options.on_statement,
            register: Arc::new(register),
            transaction_timeout: options.transaction_timeout,
            retry: options.retry,
            counters: Arc::default(),
            texts: Arc::default(),
            writes: TaskTracker::new(),
        })
    }

    /// A handle to read with.
    pub fn read(&self) -> Read {
        Read {
            connections: self.reader.clone(),
            observer: self.observer.clone(),
            texts: self.texts.clone(),
        }
    }

    /// Runs `work` in a transaction, on a task of its own: it runs to its end even if the
    /// caller goes away. The transaction commits when `work` answers `Ok` and rolls back when
    /// it answers `Err`, panics, or takes longer than the transaction timeout.
    ///
    /// What is passing is [tried again](Retry): a transaction of which a statement met
    /// [`Fault::Transient`], whatever `work` made of that, a COMMIT that the database refused
    /// since the transaction could not be put in an order, and a connection that could not be
    /// made. Each try has a transaction of its own, runs a clone of `work` from its beginning,
    /// and mints its ids anew, the same ones if the writer has a seed: what `work` does beside
    /// the database it does again. What `work` answers otherwise is never tried again, a version
    /// conflict for one; nor is what took longer than the transaction timeout, nor
    /// [`Fault::OutcomeUnknown`].
    ///
    /// # Errors
    ///
    /// What `work` answers, or the [`Fault`] that kept it from committing: those of the last try.
    pub async fn write<T, E, F>(&self, writer: Writer, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Fault> + Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Clone + Send + 'static,
    {
        let database = self.clone();
        self.writes
            .spawn(async move { database.try_to_write(writer, work).await })
            .await
            .unwrap_or_else(|_| Err(Fault::internal("a write panicked").into()))
    }

    /// How much was written through this handle and its clones.
    pub fn counts(&self) -> Counts {
        self.counters.now()
    }

    /// Waits until no write is running.
    pub fn writes_done(&self) -> impl Future<Output = ()> + '_ {
        self.writes.close();
        self.writes.wait()
    }

    /// Tells the planner what is in the tables, after many rows came in at once.
    ///
    /// # Errors
    ///
    /// The [`Fault`] of the statement.
    pub async fn analyze(&self) -> Result<(), Fault> {
        let statement = match self.backend() {
            DbBackend::MySql => {
                let records = self.register.records().iter();
                let tables: BTreeSet<&str> = records.flat_map(|info| info.tables()).collect();
                let tables: Vec<&str> = tables.into_iter().collect();
                format!("ANALYZE TABLE {}", tables.join(", "))
            }
            _ => "ANALYZE".to_owned(),
        };
        self.writer.lease(Which::Fresh).await?.run(&statement).await
    }

    /// Closes the connections, once nothing uses them any longer.
    pub async fn close(&self) {
        // A connection that is already closed is what was asked for.
        let _ = self.way_out.close_by_ref().await;
        self.reader.close().await;
        self.writer.close().await;
    }

    /// A connection for SeaORM's own calls, past every guarantee of this layer; `reason` says why.
    pub fn unguarded(&self, reason: &'static str) -> &DatabaseConnection {
        tracing::debug!(reason, "a connection is used past the record layer");
        &self.way_out
    }

    /// The record types of this database.
    pub fn register(&self) -> &Register {
        &self.register
    }

    fn backend(&self) -> DbBackend {
        self.writer.backend()
    }

    async fn try_to_write<T, E, F>(&self, writer: Writer, work: F) -> Result<T, E>
    where
        E: From<Fault>,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>> + Clone,
    {
        let mut tries = Tries::new(self.retry, self.counters.clone());
        loop {
            match self.transact(writer.clone(), work.clone()).await {
                Ok(value) => {
                    self.counters.written();
                    return Ok(value);
                }
                Err(Failed { error, passing }) => match passing {
                    Some(timing) if !self.writer.is_closed() && tries.next(timing).await => {}
                    _ => return Err(error),
                },
            }
        }
    }

    /// A connection with an open transaction. One that was lost while nobody used it gives way
    /// to a fresh one: nothing was done yet.
    async fn begin(&self, isolation: Isolation) -> Result<Lease, Fault> {
        let mut lease = self.writer.lease(Which::Any).await?;
        match lease.begin(isolation).await {
            Ok(()) => return Ok(lease),
            Err(Fault::Transient(Timing::ConnectionLost)) => drop(lease),
            Err(fault) => return Err(fault),
        }
        let mut lease = self.writer.lease(Which::Fresh).await?;
        lease.begin(isolation).await?;
        Ok(lease)
    }

    async fn transact<T, E, F>(&self, writer: Writer, work: F) -> Result<T, Failed<E>>
    where
        E: From<Fault>,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>>,
    {
        let begun = tokio::time::timeout(self.transaction_timeout, self.begin(writer.isolation));
        let lease = begun
            .await
            .unwrap_or(Err(Fault::Transient(Timing::Timeout)))?;
        let mint = Mint::new(writer.seed);
        let mut tx = Tx {
            lease: AsyncMutex::new(lease),
            backend: self.backend(),
            observer: self.observer.clone(),
            texts: self.texts.clone(),
            writer,
            register: self.register.clone(),
            entries: Vec::new(),
            attempts: 0,
            damage: Damage::default(),
            gate: None,
            ids: Mutex::new(mint),
        };
        let whole = async {
            let value = work(&mut tx).await?;
            tx.shut_gate().await?;
            audit::append(&mut tx).await?;
            Ok(value)
        };
        let worked = tokio::time::timeout(self.transaction_timeout, whole).await;
        let in_time = worked.is_ok();
        let outcome = match worked {
            Ok(outcome) => outcome,
            Err(_) => Err(Fault::Transient(Timing::Timeout).into()),
        };
        let (lease, patience) = (tx.lease.get_mut(), self.transaction_timeout);
        match outcome {
            Ok(value) => match lease.commit(patience).await {
                Ok(()) => Ok(value),
                // The one refusal that says for certain that nothing was committed.
                Err(fault @ Fault::Transient(Timing::Contention)) => Err(fault.into()),
                Err(fault) => Err(Failed::for_good(fault.into())),
            },
            Err(error) => {
                if let Err(fault) = lease.roll_back(patience).await {
                    // The database rolls back what it can no longer be told about.
                    tracing::warn!(%fault, "a rollback failed");
                }
                let passing = tx.damage.passing().filter(|_| in_time);
                Err(Failed { error, passing })
            }
        }
    }
}

/// A transaction of which nothing is left, unless its outcome is unknown.
struct Failed<E> {
    error: E,
    /// The trouble that it met, if it is of the kind that passes: the same may be tried again.
    passing: Option<Timing>,
}

impl<E> Failed<E> {
    fn for_good(error: E) -> Self {
        Self {
            error,
            passing: None,
        }
    }
}

/// For a fault after which nothing is left of the transaction.
impl<E: From<Fault>> From<Fault> for Failed<E> {
    fn from(fault: Fault) -> Self {
        let passing = match fault {
            Fault::Transient(timing) => Some(timing),
            _ => None,
        };
        Self {
            error: fault.into(),
            passing,
        }
    }
}

/// Who writes, when, and in which request: what the audit log will say.
#[derive(Clone, Debug)]
pub struct Writer {
    /// The user who asked for the change; none for the program itself.
    pub actor: Option<Uuid>,
    /// The time of the change, the same for all of its rows.
    pub now: DateTime<Utc>,
    /// The request that the change belongs to.
    pub request: Option<Uuid>,
    /// Whether changed records are answered with their heavy columns.
    pub heavy: bool,
    /// Draws the ids from this seed, so that they are the same each time; for test data.
    pub seed: Option<u64>,
    /// What the transaction sees of those beside it.
    pub isolation: Isolation,
}

impl Writer {
    /// The program itself, at `now`.
    pub fn system(now: DateTime<Utc>) -> Self {
        Self {
            actor: None,
            now,
            request: None,
            heavy: false,
            seed: None,
            isolation: Isolation::default(),
        }
    }
}

/// A handle that reads.
#[derive(Clone)]
pub struct Read {
    connections: Connections,
    observer: Option<Observer>,
    texts: Arc<Texts>,
}

impl fmt::Debug for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Read")
    }
}

/// An open transaction: it reads and writes, and ends with the function it was given to.
pub struct Tx {
    lease: AsyncMutex<Lease>,
    backend: DbBackend,
    observer: Option<Observer>,
    texts: Arc<Texts>,
    writer: Writer,
    pub(crate) register: Arc<Register>,
    /// The changes since the innermost attempt began.
    pub(crate) entries: Vec<Entry>,
    /// How many attempts are open.
    pub(crate) attempts: u32,
    pub(crate) damage: Damage,
    /// The row that holds the gate through the walls open.
    pub(crate) gate: Option<Uuid>,
    pub(crate) ids: Mutex<Mint>,
}

impl fmt::Debug for Tx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx")
            .field("writer", &self.writer)
            .finish_non_exhaustive()
    }
}

impl Tx {
    /// The time of this transaction's changes, in whole microseconds.
    pub fn now(&self) -> DateTime<Utc> {
        self.writer.now.trunc_subsecs(6)
    }

    /// Who writes.
    pub fn writer(&self) -> &Writer {
        &self.writer
    }

    /// Adds rows that are no records: neither versioned nor audited.
    ///
    /// # Errors
    ///
    /// [`Fault::Duplicate`] or [`Fault::Reference`] if a constraint refuses them.
    pub async fn insert_facts<E: Fact>(&mut self, rows: Vec<E::ActiveModel>) -> Result<(), Fault> {
        for chunk in rows.chunks(crate::dialect::INSERT_CHUNK) {
            let statement = insert_statement::<E>(chunk);
            self.conn().execute(&statement, &[]).await?;
        }
        Ok(())
    }

    /// Changes columns of the facts that meet `condition`. Returns how many there were.
    ///
    /// # Errors
    ///
    /// Whatever keeps the statement from running.
    pub async fn update_facts<E: Fact>(
        &mut self,
        condition: impl IntoCondition,
        values: impl IntoIterator<Item = (E::Column, sea_orm::Value)>,
    ) -> Result<u64, Fault> {
        let mut statement = Query::update();
        statement
            .table(E::default())
            .cond_where(condition.into_condition());
        for (column, value) in values {
            statement.value(column, value);
        }
        self.conn().execute(&statement, &[]).await
    }

    /// Removes the facts that meet `condition`. Returns how many there were.
    ///
    /// # Errors
    ///
    /// [`Fault::Reference`] if something still refers to one of them.
    pub async fn delete_facts<E: Fact>(
        &mut self,
        condition: impl IntoCondition,
    ) -> Result<u64, Fault> {
        let mut statement = Query::delete();
        statement
            .from_table(E::default())
            .cond_where(condition.into_condition());
        self.conn().execute(&statement, &[]).await
    }
}

/// What can read: a [`Read`] or a [`Tx`].
pub trait Reader: sealed::Connected {}
impl Reader for Read {}
impl Reader for Tx {}

use sealed::Connected as _;
pub(crate) use sealed::{Conn, On};

pub(crate) mod sealed {
    use super::*;

    /// Whatever holds a connection of this layer.
    pub trait Connected: Sync {
        /// The connection, for this crate alone.
        fn conn(&self) -> Conn<'_>;
    }

    /// A connection that only this crate can use.
    #[derive(Clone, Copy)]
    pub struct Conn<'a> {
        pub(super) on: On<'a>,
        pub(super) observer: Option<&'a Observer>,
        pub(super) texts: &'a Texts,
        /// Where a transaction's failures are remembered.
        pub(super) damage: Option<&'a Damage>,
    }

    /// What a statement runs on.
    #[derive(Clone, Copy)]
    pub(crate) enum On<'a> {
        /// One of the readers' connections.
        Pool(&'a Connections),
        /// The connection of an open transaction.
        Tx(&'a AsyncMutex<Lease>, DbBackend),
    }

    impl Connected for Read {
        fn conn(&self) -> Conn<'_> {
            Conn {
                on: On::Pool(&self.connections),
                observer: self.observer.as_ref(),
                texts: &self.texts,
                damage: None,
            }
        }
    }

    impl Connected for Tx {
        fn conn(&self) -> Conn<'_> {
            Conn {
                on: On::Tx(&self.lease, self.backend),
                observer: self.observer.as_ref(),
                texts: &self.texts,
                damage: Some(&self.damage),
            }
        }
    }
}

impl Conn<'_> {
    pub(crate) fn backend(&self) -> DbBackend {
        match self.on {
            On::Pool(connections) => connections.backend(),
            On::Tx(_, backend) => backend,
        }
    }

    fn statement(&self, query: &impl StatementBuilder) -> connection::Statement {
        let built = self.backend().build(query);
        connection::Statement {
            sql: built.sql.into(),
            values: built.values.map(|values| values.0).unwrap_or_default(),
        }
    }

    /// The text of a read of this form, made by `make` if there is none, and the values to bind.
    fn read_statement(
        &self,
        form: Form,
        make: impl FnOnce() -> (SelectStatement, Vec<Note>),
    ) -> (Arc<Text>, connection::Statement) {
        let known = self.texts.get(&form);
        if let Some(text) = &known
            && !cfg!(debug_assertions)
        {
            let (sql, values) = (text.sql.clone(), form.into_values());
            return (text.clone(), connection::Statement { sql, values });
        }
        let (select, notes) = make();
        let statement = self.statement(&select);
        let sql = statement.sql.clone();
        let made = Arc::new(Text { sql, notes });
        if let Some(known) = known {
            debug_assert_eq!(known, made, "two texts have one form");
        }
        self.texts.keep(form, &made, &statement.values);
        (made, statement)
    }

    /// Runs a statement, and tells whoever observes of it, with `notes` beside it.
    ///
    /// In a box of its own: otherwise it would be part of each future that might read something.
    fn run<'a>(
        &'a self,
        mut ask: Ask<'a>,
        notes: &'a [Note],
    ) -> BoxFuture<'a, Result<Answer, Fault>> {
        if let Ask::Rows(statement) | Ask::Touch(statement) = &mut ask {
            dialect::adapt_values(self.backend(), &mut statement.values);
        }
        Box::pin(self.run_now(ask, notes))
    }

    async fn run_now(&self, ask: Ask<'_>, notes: &[Note]) -> Result<Answer, Fault> {
        if let Some(damage) = self.damage {
            damage.may_run()?;
        }
        let begun = self.observer.map(|_| Instant::now());
        let done = match self.on {
            On::Pool(connections) => {
                let mut lease = connections.lease(Which::Any).await?;
                match ask.on(&mut lease).await {
                    // Perhaps before the statement began; reading twice harms nobody.
                    Err(Fault::Transient(Timing::ConnectionLost)) => {
                        drop(lease);
                        let mut lease = connections.lease(Which::Fresh).await?;
                        ask.on(&mut lease).await
                    }
                    done => done,
                }
            }
            On::Tx(lease, _) => {
                let begun = Begun::in_transaction(self.damage);
                let done = ask.on(&mut *lease.lock().await).await;
                begun.ends();
                done
            }
        };
        if let (Some(observer), Some(begun)) = (self.observer, begun) {
            observer(&Statement {
                sql: ask.sql(),
                elapsed: begun.elapsed(),
                failed: done.is_err(),
                notes: Some(notes),
            });
        }
        if let (Some(damage), Err(fault)) = (self.damage, &done) {
            damage.after(fault);
        }
        done
    }

    /// Runs a statement that steers the transaction: one that MySQL does not prepare.
    pub(crate) async fn control(&self, sql: &str) -> Result<(), Fault> {
        self.run(Ask::Control(sql), &[]).await?;
        Ok(())
    }

    /// Runs a read of this form; `make` says what statement that is, and what it was made for.
    pub(crate) async fn found(
        &self,
        form: Form,
        make: impl FnOnce() -> (SelectStatement, Vec<Note>),
    ) -> Result<Vec<QueryResult>, Fault> {
        let (text, statement) = self.read_statement(form, make);
        Ok(self.run(Ask::Rows(statement), &text.notes).await?.rows)
    }

    /// Runs a statement that answers rows. `notes` say what it was made for: one for each table
    /// of records that it touches.
    pub(crate) async fn all(
        &self,
        query: &impl StatementBuilder,
        notes: &[Note],
    ) -> Result<Vec<QueryResult>, Fault> {
        let statement = self.statement(query);
        Ok(self.run(Ask::Rows(statement), notes).await?.rows)
    }

    pub(crate) async fn one(
        &self,
        query: &impl StatementBuilder,
        notes: &[Note],
    ) -> Result<Option<QueryResult>, Fault> {
        Ok(self.all(query, notes).await?.into_iter().next())
    }

    /// Runs a statement that answers no rows. Returns how many rows it touched.
    pub(crate) async fn execute(
        &self,
        query: &impl StatementBuilder,
        notes: &[Note],
    ) -> Result<u64, Fault> {
        let statement = self.statement(query);
        Ok(self.run(Ask::Touch(statement), notes).await?.touched)
    }
}

/// What is asked of a connection.
enum Ask<'a> {
    /// The rows that a statement answers.
    Rows(connection::Statement),
    /// How many rows a statement touches.
    Touch(connection::Statement),
    /// A statement that is not prepared.
    Control(&'a str),
}

/// What a connection answers.
#[derive(Default)]
struct Answer {
    rows: Vec<QueryResult>,
    touched: u64,
}

impl Ask<'_> {
    fn sql(&self) -> &str {
        match self {
            Self::Rows(statement) | Self::Touch(statement) => &statement.sql,
            Self::Control(sql) => sql,
        }
    }

    async fn on(&self, lease: &mut Lease) -> Result<Answer, Fault> {
        let mut answer = Answer::default();
        match self {
            Self::Rows(statement) => answer.rows = lease.all(statement).await?,
            Self::Touch(statement) => answer.touched = lease.execute(statement).await?,
            Self::Control(sql) => lease.run(sql).await?,
        }
        Ok(answer)
    }
}

/// The connections that one URL gives.
struct Opened {
    writer: Connections,
    reader: Connections,
    way_out: DatabaseConnection,
}

/// A pool of one connection to the same database, opened when it is first used.
fn aside<DB: sqlx::Database>(pool: &sqlx::Pool<DB>) -> sqlx::Pool<DB> {
    pool.options()
        .clone()
        .max_connections(1)
        .connect_lazy_with(pool.connect_options().as_ref().clone())
}

/// How long to wait before a SQLite file is opened again that others are just opening.
const OPENING_PAUSE: Duration = Duration::from_millis(20);

async fn sqlite(url: &str, options: &Options) -> Result<Opened, String> {
    let base: SqliteConnectOptions = url
        .parse()
        .map_err(|e| format!("the SQLite URL cannot be read: {e}"))?;
    let path = PathBuf::from(base.get_filename());
    if path.as_os_str().is_empty() || url.contains(":memory:") {
        return Err(
            "SQLite needs a file: an in-memory database cannot be shared between the \
                    connections that read and the one that writes"
                .into(),
        );
    }
    if !options.create_missing && !path.exists() {
        return Err(format!("there is no SQLite database at {}", path.display()));
    }
    let base = base
        .create_if_missing(options.create_missing)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        // Or REPLACE would remove rows without asking the triggers that refuse it.
        .pragma("recursive_triggers", "ON")
        .busy_timeout(options.acquire_timeout)
        .optimize_on_close(true, None)
        .disable_statement_logging();
    let cannot = |e: sqlx::Error| match &e {
        sqlx::Error::Database(inner) => {
            format!(
                "cannot open the SQLite database {}: {}",
                path.display(),
                inner.message()
            )
        }
        _ => format!("cannot open the SQLite database {}: {e}", path.display()),
    };
    let begun = Instant::now();
    let writer: SqlitePool = loop {
        let opened = SqlitePoolOptions::new()
            .max_connections(1)
            .acquire_timeout(options.acquire_timeout)
            .connect_with(base.clone());
        match opened.await {
            // Of several that turn on the write-ahead log of a new file at once, SQLite refuses
            // some without a wait: each of them reads it already, and none could go first.
            Err(error)
                if matches!(Fault::of(&error), Fault::Transient(Timing::Timeout))
                    && begun.elapsed() < options.acquire_timeout =>
            {
                tokio::time::sleep(OPENING_PAUSE).await;
            }
            opened => break opened.map_err(cannot)?,
        }
    };
    may_be_written(&writer).await.map_err(cannot)?;
    let reader: SqlitePool = SqlitePoolOptions::new()
        .max_connections(options.sqlite_readers())
        .acquire_timeout(options.acquire_timeout)
        .connect_with(base.create_if_missing(false).pragma("query_only", "ON"))
        .await
        .map_err(cannot)?;
    Ok(Opened {
        way_out: aside(&writer).into(),
        writer: Connections::Sqlite(Lane::new(writer)),
        reader: Connections::Sqlite(Lane::new(reader)),
    })
}

/// Refuses a file that may be read only: where its write-ahead log was left behind, SQLite opens
/// it all the same.
async fn may_be_written(writer: &SqlitePool) -> Result<(), sqlx::Error> {
    // There, BEGIN IMMEDIATE alone begins to read. The version is nobody's, and stays as it is.
    let write = "BEGIN IMMEDIATE; PRAGMA user_version = 1; ROLLBACK";
    match writer.execute(write).await {
        // What passes, such as another one's write, says nothing of the file.
        Err(error) if matches!(Fault::of(&error), Fault::Transient(_)) => Ok(()),
        written => written.map(|_| ()),
    }
}

async fn postgres(url: &str, options: &Options, most: u32) -> Result<sqlx::PgPool, String> {
    let base: PgConnectOptions = url
        .parse()
        .map_err(|e| format!("the PostgreSQL URL cannot be read: {e}"))?;
    let timeout = options.statement_timeout.as_millis().to_string();
    let idle = options.transaction_timeout.as_millis().to_string();
    let base = base
        .application_name(&options.application_name)
        .options([
            ("statement_timeout", timeout.as_str()),
            ("lock_timeout", timeout.as_str()),
            ("idle_in_transaction_session_timeout", idle.as_str()),
            ("TimeZone", "UTC"),
            // Planning costs more than most statements: one plan serves all values. Each statement
            // is of a form that one index serves, whatever the values.
            ("plan_cache_mode", "force_generic_plan"),
            // Such a plan takes the unknown LIMIT of a page for a tenth of the table, which can
            // look costly enough to be compiled: for twenty rows, that takes longer than to read
            // them.
            ("jit", "off"),
        ])
        .disable_statement_logging();
    let place = format!("{}:{}", base.get_host(), base.get_port());
    let patience = options.statement_timeout + SLACK;
    PgPoolOptions::new()
        .max_connections(most)
        .acquire_timeout(options.acquire_timeout)
        .after_release(move |connection, _| Box::pin(answers(connection, patience)))
        .connect_with(base)
        .await
        .map_err(|e| unreachable_database("PostgreSQL", &place, &e))
}

async fn mysql(url: &str, options: &Options, most: u32) -> Result<sqlx::MySqlPool, String> {
    // sqlx knows the scheme of either by one name.
    let url = url.replacen("mariadb:", "mysql:", 1);
    let base: MySqlConnectOptions = url
        .parse()
        .map_err(|e| format!("the MariaDB or MySQL URL cannot be read: {e}"))?;
    let base = base.disable_statement_logging();
    let place = format!("{}:{}", base.get_host(), base.get_port());
    let timeout = options.statement_timeout;
    let seconds = timeout.as_secs().max(1);
    let patience = timeout + SLACK;
    MySqlPoolOptions::new()
        .max_connections(most)
        .acquire_timeout(options.acquire_timeout)
        .after_release(move |connection, _| Box::pin(answers(connection, patience)))
        .after_connect(move |connection, _| {
            Box::pin(async move {
                // READ COMMITTED, so that the read after a refused update sees what is there
                // now; strict, so that nothing is truncated without a word.
                connection
                    .execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
                    .await?;
                connection
                    .execute(sqlx::AssertSqlSafe(format!(
                        "SET SESSION sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES'), \
                         time_zone = '+00:00', innodb_lock_wait_timeout = {seconds}"
                    )))
                    .await?;
                let (version,): (String,) = sqlx::query_as("SELECT VERSION()")
                    .fetch_one(&mut *connection)
                    .await?;
                // MariaDB counts in seconds, MySQL in milliseconds.
                let limit = if version.contains("MariaDB") {
                    format!("SET SESSION max_statement_time = {}", timeout.as_secs_f64())
                } else {
                    format!("SET SESSION max_execution_time = {}", timeout.as_millis())
                };
                connection.execute(sqlx::AssertSqlSafe(limit)).await?;
                Ok(())
            })
        })
        .connect_with(base)
        .await
        .map_err(|e| unreachable_database("MariaDB or MySQL", &place, &e))
}

/// How much longer than a statement may run its answer is waited for.
const SLACK: Duration = Duration::from_secs(1);

/// Whether a connection that comes back to its pool can be used again. A statement that was given
/// up is waited for, and not for longer than it may run: sqlx waits until the network has noticed
/// that nobody is there, and the connection keeps its place in the pool for so long.
async fn answers<C: sqlx::Connection>(
    connection: &mut C,
    patience: Duration,
) -> Result<bool, sqlx::Error> {
    match tokio::time::timeout(patience, connection.ping()).await {
        Ok(answer) => answer.map(|()| true),
        Err(_) => Err(sqlx::Error::PoolTimedOut),
    }
}

fn unreachable_database(engine: &str, place: &str, error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(inner) => {
            format!(
                "{engine} at {place} refuses the connection: {}",
                inner.message()
            )
        }
        sqlx::Error::PoolTimedOut => {
            format!("{engine} at {place} did not answer in time")
        }
        other => format!("no connection to {engine} at {place}: {other}"),
    }
}
#[cfg(test)]
mod tests {
    use super::*;

    /// What a read's future has in it of each statement, in bytes: with those of the drivers' pools
    /// it was five times as much.
    const MOST: usize = 1_024;

    #[test]
    fn sqlite_is_not_read_on_more_threads_than_the_processors_can_use() {
        let readers = |max_connections| {
            let options = Options {
                max_connections,
                ..Options::default()
            };
            options.sqlite_readers()
        };
        let processors = std::thread::available_parallelism().expect("their number is known");
        let most = (2 * processors.get() as u32).max(4);
        assert_eq!([0, 1, 3].map(readers), [1, 1, 3]);
        assert_eq!([most, most + 1, 10_000].map(readers), [most; 3]);
    }

    #[tokio::test]
    async fn a_statement_is_a_small_future() {
        let folder = tempfile::tempdir().expect("a folder");
        let url = format!("sqlite:{}/empty.db", folder.path().display());
        let options = Options {
            create_missing: true,
            ..Options::default()
        };
        let database = Database::connect(&url, Register::new(), options);
        let read = database.await.expect("a database").read();
        let size = std::mem::size_of_val(&read.conn().run_now(Ask::Control(""), &[]));
        assert!(size <= MOST, "{size} bytes");
    }
}
