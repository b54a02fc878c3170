//! The connections to one database: who may use how many at once, and how a statement gets onto
//! one of them.
//!
//! sqlx's pool asks a connection whether it is still alive each time that it is lent, and again,
//! on a task of its own, each time that it comes back: three round trips for a statement that
//! needs one. So a connection is borrowed from the pool for [`LEASE`] and lent here meanwhile.
//! What was left in the middle of something is never lent again.

use std::{
    fmt,
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use futures::{TryStreamExt as _, stream::BoxStream};
use sea_orm::{DbBackend, QueryResult, Value, Values};
use sea_query_sqlx::SqlxValues;
use sqlx::{
    AssertSqlSafe, Connection as _, Either, Executor as _, MySql, Pool, Postgres, Sqlite,
    pool::PoolConnection,
};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{Fault, Isolation, Timing};

/// How long a connection stays out of sqlx's pool, which tests it, and renews it when it is old,
/// whenever it comes back.
const LEASE: Duration = Duration::from_secs(1);

/// Some connections to one database, of any engine. Cheap to clone.
#[derive(Clone)]
pub(crate) enum Connections {
    Sqlite(Arc<Lane<Sqlite>>),
    Postgres(Arc<Lane<Postgres>>),
    MySql(Arc<Lane<MySql>>),
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connections({:?})", self.backend())
    }
}

/// A statement that is prepared: its text, and the values that are bound to it.
pub(crate) struct Statement {
    pub(crate) sql: Arc<str>,
    pub(crate) values: Vec<Value>,
}

/// A connection for as long as it is held.
pub(crate) enum Lease {
    Sqlite(Borrowed<Sqlite>),
    Postgres(Borrowed<Postgres>),
    MySql(Borrowed<MySql>),
}

/// The connections of one pool.
pub(crate) struct Lane<DB: sqlx::Database> {
    pool: Pool<DB>,
    permits: Semaphore,
    patience: Duration,
    /// Those that nobody uses, each with the time at which it left the pool.
    idle: std::sync::Mutex<Vec<(PoolConnection<DB>, Instant)>>,
}

/// A connection that goes back to its lane when it is dropped.
pub(crate) struct Borrowed<DB: sqlx::Database> {
    lane: Arc<Lane<DB>>,
    /// There until it is dropped.
    connection: Option<(PoolConnection<DB>, Instant)>,
    state: State,
}

/// Which connection is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Any,
    /// One that has just been tested.
    Fresh,
}

/// What can be done with a connection that is given back.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// It can be lent again.
    Clean,
    /// A statement began and did not end: sqlx waits for its end.
    Busy,
    /// Something began that others must not find: it must be closed.
    Open,
    /// So must it, and nobody knows what it would answer next.
    OpenBusy,
}

impl<DB: sqlx::Database> Lane<DB> {
    pub(crate) fn new(pool: Pool<DB>) -> Arc<Self> {
        let options = pool.options();
        Arc::new(Self {
            permits: Semaphore::new(options.get_max_connections() as usize),
            patience: options.get_acquire_timeout(),
            idle: std::sync::Mutex::default(),
            pool,
        })
    }

    async fn borrow(self: &Arc<Self>, which: Which) -> Result<Borrowed<DB>, Fault> {
        self.permit().await?.forget();
        // From here on the permit goes back with the connection.
        let mut borrowed = Borrowed {
            lane: self.clone(),
            connection: None,
            state: State::Clean,
        };
        borrowed.connection = self.idle().pop();
        let lent = borrowed
            .connection
            .as_ref()
            .map(|(_, since)| since.elapsed());
        if which == Which::Fresh || lent.is_none_or(|lent| lent >= LEASE) {
            // In a box, once a second: it is large, and part of each statement's future.
            Box::pin(borrowed.renew()).await?;
        }
        Ok(borrowed)
    }

    async fn permit(&self) -> Result<SemaphorePermit<'_>, Fault> {
        if let Ok(permit) = self.permits.try_acquire() {
            return Ok(permit);
        }
        match tokio::time::timeout(self.patience, self.permits.acquire()).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(Fault::Transient(Timing::ConnectionLost)),
            Err(_) => Err(Fault::Transient(Timing::Timeout)),
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<(PoolConnection<DB>, Instant)>> {
        // A panic while the lock was held leaves nothing half done.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn close(&self) {
        self.permits.close();
        // Closed from this call on, before its future runs: nothing becomes idle after the clearing.
        let closing = self.pool.close();
        self.idle().clear();
        closing.await;
    }
}

impl<DB: sqlx::Database> Drop for Borrowed<DB> {
    fn drop(&mut self) {
        if let Some((mut connection, since)) = self.connection.take() {
            match self.state {
                State::Clean => {
                    let mut idle = self.lane.idle();
                    // Asked while nobody can clear them: see `Lane::close`.
                    if !self.lane.pool.is_closed() {
                        idle.push((connection, since));
                    }
                }
                State::Busy => {}
                State::Open | State::OpenBusy => connection.close_on_drop(),
            }
        }
        self.lane.permits.add_permits(1);
    }
}

impl<DB: sqlx::Database> Borrowed<DB> {
    /// Takes a connection from the pool, to which the one that is there goes back.
    async fn renew(&mut self) -> Result<(), Fault> {
        if let Some((connection, _)) = &mut self.connection {
            // Whoever gives up meanwhile leaves an answer behind, which sqlx does not wait for on
            // MariaDB and MySQL: the next statement would take it for its own.
            self.state = State::OpenBusy;
            // One that has fallen silent would keep its place in the pool for as long as the
            // network takes to notice.
            let answer = tokio::time::timeout(self.lane.patience / 2, connection.ping()).await;
            if !matches!(answer, Ok(Ok(()))) {
                connection.close_on_drop();
            }
            self.connection = None;
            self.state = State::Clean;
        }
        self.connection = Some((self.lane.pool.acquire().await?, Instant::now()));
        Ok(())
    }

    /// The connection, for one statement: until it has [ended](Self::end) it cannot be lent again.
    fn start(&mut self) -> Result<(State, &mut DB::Connection), Fault> {
        let before = self.state;
        self.state = match before {
            State::Clean | State::Busy => State::Busy,
            State::Open | State::OpenBusy => State::OpenBusy,
        };
        match &mut self.connection {
            Some((connection, _)) => Ok((before, connection)),
            None => Err(Fault::internal("a connection was used after its end")),
        }
    }

    fn end<T>(&mut self, before: State, done: Result<T, sqlx::Error>) -> Result<T, Fault> {
        // Of what else goes wrong, some of the answer may be left.
        let is_whole = matches!(done, Ok(_) | Err(sqlx::Error::Database(_)));
        let done = done.map_err(Fault::from);
        let is_lost = matches!(done, Err(Fault::Transient(Timing::ConnectionLost)));
        self.state = if is_whole && !is_lost {
            before
        } else {
            State::OpenBusy
        };
        done
    }
}

/// The same for each engine: what differs is the type of the connection.
macro_rules! each {
    ($value:expr, $type:ident, $it:ident => $body:expr) => {
        match $value {
            $type::Sqlite($it) => $body,
            $type::Postgres($it) => $body,
            $type::MySql($it) => $body,
        }
    };
}

impl Connections {
    pub(crate) fn backend(&self) -> DbBackend {
        match self {
            Self::Sqlite(_) => DbBackend::Sqlite,
            Self::Postgres(_) => DbBackend::Postgres,
            Self::MySql(_) => DbBackend::MySql,
        }
    }

    /// A connection, as soon as one is free. A fresh one comes from sqlx's pool, which has tested
    /// it: for another try after one that was lost.
    pub(crate) async fn lease(&self, which: Which) -> Result<Lease, Fault> {
        Ok(match self {
            Self::Sqlite(lane) => Lease::Sqlite(lane.borrow(which).await?),
            Self::Postgres(lane) => Lease::Postgres(lane.borrow(which).await?),
            Self::MySql(lane) => Lease::MySql(lane.borrow(which).await?),
        })
    }

    pub(crate) fn is_closed(&self) -> bool {
        each!(self, Connections, lane => lane.pool.is_closed())
    }

    /// Closes the connections, once nothing uses them any longer.
    pub(crate) async fn close(&self) {
        each!(self, Connections, lane => lane.close().await);
    }
}

impl Lease {
    /// Runs a statement that answers rows.
    pub(crate) async fn all(&mut self, statement: &Statement) -> Result<Vec<QueryResult>, Fault> {
        each!(self, Lease, borrowed => {
            let (before, connection) = borrowed.start()?;
            let done = collect(connection.fetch_many(query(statement))).await;
            borrowed.end(before, done)
        })
    }

    /// Runs a statement that answers no rows. Returns how many rows it touched.
    pub(crate) async fn execute(&mut self, statement: &Statement) -> Result<u64, Fault> {
        each!(self, Lease, borrowed => {
            let (before, connection) = borrowed.start()?;
            let done = query(statement).execute(connection).await;
            Ok(borrowed.end(before, done)?.rows_affected())
        })
    }

    /// Runs a statement as it is, without preparing it.
    pub(crate) async fn run(&mut self, sql: &str) -> Result<(), Fault> {
        each!(self, Lease, borrowed => {
            let (before, connection) = borrowed.start()?;
            let done = connection.execute(AssertSqlSafe(sql)).await;
            borrowed.end(before, done)?;
        });
        Ok(())
    }

    /// Begins a transaction: unless it ends, the connection is closed.
    pub(crate) async fn begin(&mut self, isolation: Isolation) -> Result<(), Fault> {
        let begin = match (&self, isolation) {
            // The write lock at once: one that is asked for later is refused at once. There is
            // one writer: what it reads, nobody else changes.
            (Self::Sqlite(_), _) => "BEGIN IMMEDIATE",
            (Self::Postgres(_), Isolation::ReadCommitted) => "BEGIN ISOLATION LEVEL READ COMMITTED",
            (Self::Postgres(_), Isolation::Serializable) => "BEGIN ISOLATION LEVEL SERIALIZABLE",
            (Self::MySql(_), Isolation::ReadCommitted) => "START TRANSACTION",
            // For this transaction alone; the connection's own level is READ COMMITTED.
            (Self::MySql(_), Isolation::Serializable) => {
                "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; START TRANSACTION"
            }
        };
        each!(self, Lease, borrowed => borrowed.state = State::Open);
        let begun = self.run(begin).await;
        if let (Self::Sqlite(borrowed), Err(_)) = (&mut *self, &begun) {
            // Others hold the lock, and there is nothing to end. Elsewhere no BEGIN is refused
            // that way, and the isolation level may be left over.
            borrowed.state = State::Clean;
        }
        begun
    }

    /// Commits the transaction, of which no statement was given up. A server that does not answer
    /// within `patience`, or nothing that can be understood, may have done so or not; SQLite's is
    /// a call, which always answers.
    pub(crate) async fn commit(&mut self, patience: Duration) -> Result<(), Fault> {
        if self.is_out_of_step() {
            return Err(Fault::internal("a transaction's connection is out of step"));
        }
        match self.end("COMMIT", patience).await {
            Some(Err(fault)) if !self.is_out_of_step() => Err(fault),
            Some(Ok(())) => Ok(()),
            _ => Err(Fault::OutcomeUnknown),
        }
    }

    /// Rolls the transaction back, or leaves that to the server, which does it once the connection
    /// is closed: where it does not answer within `patience`, and on MariaDB and MySQL where a
    /// statement was given up, of whose answer sqlx would take the rest for that of the ROLLBACK.
    pub(crate) async fn roll_back(&mut self, patience: Duration) -> Result<(), Fault> {
        if matches!(self, Self::MySql(_)) && self.is_out_of_step() {
            return Ok(());
        }
        self.end("ROLLBACK", patience)
            .await
            .unwrap_or(Err(Fault::Transient(Timing::Timeout)))
    }

    /// Whether nobody knows what the connection would answer next.
    fn is_out_of_step(&self) -> bool {
        each!(self, Lease, borrowed => borrowed.state == State::OpenBusy)
    }

    /// `None`: there was no answer in time.
    async fn end(&mut self, how: &str, patience: Duration) -> Option<Result<(), Fault>> {
        let is_remote = !matches!(self, Self::Sqlite(_));
        let run = self.run(how);
        let done = if is_remote {
            tokio::time::timeout(patience, run).await.ok()?
        } else {
            run.await
        };
        if done.is_ok() {
            each!(self, Lease, borrowed => borrowed.state = State::Clean);
        }
        Some(done)
    }
}

/// For how many rows there is room before the first one comes.
const ROWS: usize = 32;

/// The rows of what a statement answers. `Query::fetch_all` puts each through two streams more.
async fn collect<D, R: Into<QueryResult>>(
    mut answers: BoxStream<'_, Result<Either<D, R>, sqlx::Error>>,
) -> Result<Vec<QueryResult>, sqlx::Error> {
    // Most statements answer a page's rows, or their parents.
    let mut rows = Vec::with_capacity(ROWS);
    while let Some(answer) = answers.try_next().await? {
        if let Either::Right(row) = answer {
            rows.push(row.into());
        }
    }
    Ok(rows)
}

fn query<'q, DB>(statement: &Statement) -> sqlx::query::Query<'q, DB, SqlxValues>
where
    DB: sqlx::Database,
    SqlxValues: sqlx::IntoArguments<DB>,
{
    let values = SqlxValues(Values(statement.values.clone()));
    sqlx::query_with(AssertSqlSafe(statement.sql.clone()), values)
}
