//! What a database's error codes mean. One table, [`CODES`], for every engine.

use std::fmt;

use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr};
use sqlx::{
    error::DatabaseError as _, mysql::MySqlDatabaseError, postgres::PgDatabaseError,
    sqlite::SqliteError,
};

/// Why a statement or a transaction failed, whatever engine it ran on.
///
/// Each variant says whether the same request may be tried again.
///
/// ```
/// # mod library {
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/library.rs"));
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// # let library::Stocked { database, .. } = library::stocked().await?;
/// use chrono::Utc;
/// use library::subject;
/// use plimsoll_records::{Fault, Writer};
/// use sea_orm::ActiveValue::Set;
///
/// let again = database.write(Writer::system(Utc::now()), |tx| {
///     Box::pin(async move {
///         let ships = subject::ActiveModel {
///             name: Set("Ships".into()),
///             ..Default::default()
///         };
///         tx.create::<subject::Entity>(ships).await
///     })
/// });
/// match again.await {
///     Err(Fault::Duplicate(taken)) => assert_eq!(taken.to_string(), "subjects.name"),
///     other => panic!("{other:?}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Fault {
    /// A unique value is taken. Tried again, it is refused again, until the value is free.
    #[error("the value of {0} is taken")]
    Duplicate(ColumnRef),
    /// A foreign key would point nowhere, or something still refers to what was to go. Tried
    /// again, it is refused again, until that has changed.
    #[error("a reference stands in the way: {0}")]
    Reference(ColumnRef),
    /// A check constraint or a NOT NULL column refused the value. Tried again, it is refused
    /// again.
    #[error("the database refuses the value of {0}")]
    Check(ColumnRef),
    /// The value does not fit its type or its column: too long, out of range, or text that the
    /// engine cannot hold; the SQL standard's "data exception". Tried again, it is refused again.
    #[error("the database cannot hold the value of {0}")]
    DataException(ColumnRef),
    /// A wall refused: a change without the next version, the removal of a record, or a change
    /// of the audit log. Says which, and what to do instead. Tried again, it is refused again.
    #[error("a wall of the database refuses: {0}")]
    Wall(String),
    /// Nothing is wrong with the request, and nothing was changed: the same may succeed if tried
    /// again.
    #[error("the database is busy ({0:?})")]
    Transient(Timing),
    /// The connection broke while committing: the change may or may not be there. It may be tried
    /// again only where making it twice does no harm.
    #[error("the connection was lost during COMMIT")]
    OutcomeUnknown,
    /// The database can be read but not written. Tried again, it is refused again, until an
    /// operator has changed that.
    #[error("the database is read-only")]
    ReadOnly,
    /// Anything else; for the log, never for a client. Trying again is not expected to help.
    #[error("{0}")]
    Internal(String),
}

/// Which kind of passing trouble a [`Fault::Transient`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// Two transactions waited for each other, or could not be put in an order.
    Contention,
    /// A lock, a statement, a transaction or a free connection took longer than its limit, or
    /// somebody stopped the statement.
    Timeout,
    /// The connection is gone, or none could be made.
    ConnectionLost,
    /// The database has no room: disk, memory, locks or connections.
    Exhausted,
}

/// The column that a [`Fault`] is about, as far as the engine tells it.
///
/// PostgreSQL, MariaDB and MySQL name constraints rather than columns. Those that are named
/// `uq_<table>__<column>`, `ck_<table>__<column>` and `fk_<table>__<column>` are read back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnRef {
    /// The table; empty if the engine does not tell.
    pub table: String,
    /// The column, or what the engine calls a constraint that is named after none; empty if it
    /// does not tell.
    pub column: String,
}

impl fmt::Display for ColumnRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.table.as_str(), self.column.as_str()) {
            ("", "") => f.write_str("a column"),
            ("", column) => f.write_str(column),
            (table, "") => write!(f, "a column of {table}"),
            (table, column) => write!(f, "{table}.{column}"),
        }
    }
}

/// The code that an engine gave an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code<'a> {
    /// PostgreSQL's SQLSTATE: five characters, of which the first two are its class.
    SqlState(&'a str),
    /// MariaDB's and MySQL's error number.
    Errno(u16),
    /// SQLite's extended result code. Its class is the primary code, which is its low byte.
    Sqlite(i32),
}

impl<'a> Code<'a> {
    /// The code of this error; `None` if it is the driver's own and no database's.
    pub fn of(error: &'a sqlx::Error) -> Option<Self> {
        let error = error.as_database_error()?;
        if let Some(error) = error.try_downcast_ref::<PgDatabaseError>() {
            Some(Self::SqlState(error.code()))
        } else if let Some(error) = error.try_downcast_ref::<MySqlDatabaseError>() {
            Some(Self::Errno(error.number()))
        } else {
            let error = error.try_downcast_ref::<SqliteError>()?;
            Some(Self::Sqlite(error.code()?.parse().ok()?))
        }
    }

    /// The code that stands for all of its class; `None` where the engine has no classes.
    fn class(self) -> Option<Self> {
        match self {
            Self::SqlState(code) => code.get(..2).map(Self::SqlState),
            Self::Errno(_) => None,
            Self::Sqlite(code) => Some(Self::Sqlite(code & 0xff)),
        }
    }
}

impl fmt::Display for Code<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SqlState(code) => f.write_str(code),
            Self::Errno(number) => number.fmt(f),
            Self::Sqlite(code) => code.fmt(f),
        }
    }
}

/// What a code means: the [`Fault`] that it becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// [`Fault::Duplicate`].
    Duplicate,
    /// [`Fault::Reference`].
    Reference,
    /// [`Fault::Check`].
    Check,
    /// [`Fault::DataException`].
    DataException,
    /// [`Fault::Wall`].
    Wall,
    /// [`Fault::Transient`].
    Transient(Timing),
    /// [`Fault::OutcomeUnknown`].
    OutcomeUnknown,
    /// [`Fault::ReadOnly`].
    ReadOnly,
    /// [`Fault::Internal`], on purpose: the code looks as if it meant more.
    Internal,
}

/// A row of [`CODES`].
#[derive(Clone, Copy, Debug)]
pub struct CodeRow {
    /// The code, or a class of codes.
    pub code: Code<'static>,
    /// What a message must have in it for the row to hold: some codes say two things.
    pub told_by: Option<&'static str>,
    /// What the vendor calls the code.
    pub name: &'static str,
    /// Where the code is documented.
    pub source: &'static str,
    /// What it becomes.
    pub meaning: Meaning,
}

impl CodeRow {
    /// The row of a code that came with this message: its own, or else that of its class. `None`
    /// means [`Fault::Internal`].
    pub fn of(code: Code<'_>, message: &str) -> Option<&'static Self> {
        let row_of = |code| {
            CODES.iter().find(|row| {
                row.code == code && row.told_by.is_none_or(|words| message.contains(words))
            })
        };
        row_of(code).or_else(|| row_of(code.class()?))
    }

    const fn told_by(mut self, words: &'static str) -> Self {
        self.told_by = Some(words);
        self
    }

    const fn documented_in(mut self, source: &'static str) -> Self {
        self.source = source;
        self
    }
}

const POSTGRES: &str = "PostgreSQL, appendix A, \"PostgreSQL Error Codes\"";
const COCKROACH: &str = "CockroachDB, \"Common Errors and Solutions\"";
const DSQL: &str = "Amazon Aurora DSQL User Guide, \"Concurrency control responses\"";
const MARIADB: &str = "MariaDB, \"MariaDB Error Code Reference\"";
const MYSQL: &str = "MySQL Error Reference, \"Server Error Message Reference\"";
const MYSQL_CLIENT: &str = "MySQL Error Reference, \"Client Error Message Reference\"";
const SQLITE: &str = "SQLite, \"Result and Error Codes\"";
const WALLS: &str = "the migration that builds the walls";

const CONTENTION: Meaning = Meaning::Transient(Timing::Contention);
const TIMEOUT: Meaning = Meaning::Transient(Timing::Timeout);
const CONNECTION_LOST: Meaning = Meaning::Transient(Timing::ConnectionLost);
const EXHAUSTED: Meaning = Meaning::Transient(Timing::Exhausted);

/// A code of PostgreSQL, or of another that speaks its protocol.
const fn pg(code: &'static str, name: &'static str, meaning: Meaning) -> CodeRow {
    row(Code::SqlState(code), name, POSTGRES, meaning)
}

/// A code of MariaDB. MySQL has the same, except where its own row says otherwise.
const fn maria(number: u16, name: &'static str, meaning: Meaning) -> CodeRow {
    row(Code::Errno(number), name, MARIADB, meaning)
}

/// A code that MySQL has and MariaDB has not.
const fn mysql(number: u16, name: &'static str, meaning: Meaning) -> CodeRow {
    row(Code::Errno(number), name, MYSQL, meaning)
}

const fn sqlite(code: i32, name: &'static str, meaning: Meaning) -> CodeRow {
    row(Code::Sqlite(code), name, SQLITE, meaning)
}

const fn row(
    code: Code<'static>,
    name: &'static str,
    source: &'static str,
    meaning: Meaning,
) -> CodeRow {
    CodeRow {
        code,
        told_by: None,
        name,
        source,
        meaning,
    }
}

/// What each code means. A code without a row of its own means what its class does; one without
/// either is [`Fault::Internal`].
#[rustfmt::skip] // One line a row.
pub const CODES: &[CodeRow] = &[
    pg("08", "connection_exception", CONNECTION_LOST),
    pg("08007", "transaction_resolution_unknown", Meaning::OutcomeUnknown),
    pg("22", "data_exception", Meaning::DataException),
    pg("23001", "restrict_violation", Meaning::Reference),
    pg("23502", "not_null_violation", Meaning::Check),
    pg("23503", "foreign_key_violation", Meaning::Reference),
    pg("23505", "unique_violation", Meaning::Duplicate),
    pg("23514", "check_violation", Meaning::Check),
    pg("23P01", "exclusion_violation", Meaning::Duplicate),
    pg("25006", "read_only_sql_transaction", Meaning::ReadOnly),
    pg("25P03", "idle_in_transaction_session_timeout", TIMEOUT),
    pg("25P04", "transaction_timeout", TIMEOUT),
    pg("40001", "serialization_failure", CONTENTION),
    pg("40003", "statement_completion_unknown", Meaning::OutcomeUnknown).documented_in(COCKROACH),
    pg("40P01", "deadlock_detected", CONTENTION),
    pg("53", "insufficient_resources", EXHAUSTED),
    // A value that is too long for an index: an entry takes at most a third of a page.
    pg("54000", "program_limit_exceeded", Meaning::DataException),
    pg("55P03", "lock_not_available", TIMEOUT),
    pg("57014", "query_canceled", TIMEOUT),
    pg("57P01", "admin_shutdown", CONNECTION_LOST),
    pg("57P02", "crash_shutdown", CONNECTION_LOST),
    pg("57P03", "cannot_connect_now", CONNECTION_LOST),
    pg("57P05", "idle_session_timeout", CONNECTION_LOST),
    pg("58030", "io_error", Meaning::Internal),
    pg("XX001", "data_corrupted", Meaning::Internal),
    pg("XX002", "index_corrupted", Meaning::Internal),
    // Aurora DSQL writes them into the message of a 40001; they are taken as codes as well.
    pg("OC000", "data conflict", CONTENTION).documented_in(DSQL),
    pg("OC001", "schema conflict", CONTENTION).documented_in(DSQL),
    // A class that the standard leaves to implementations.
    pg("WALL1", "a trigger's RAISE", Meaning::Wall).documented_in(WALLS),

    maria(1020, "ER_CHECKREAD", CONTENTION),
    maria(1021, "ER_DISK_FULL", EXHAUSTED),
    maria(1037, "ER_OUTOFMEMORY", EXHAUSTED),
    maria(1038, "ER_OUT_OF_SORTMEMORY", EXHAUSTED),
    maria(1040, "ER_CON_COUNT_ERROR", EXHAUSTED),
    maria(1041, "ER_OUT_OF_RESOURCES", EXHAUSTED),
    // A node of a Galera cluster that has lost the others, or has not joined them yet.
    maria(1047, "ER_UNKNOWN_COM_ERROR", CONNECTION_LOST).told_by("WSREP"),
    maria(1048, "ER_BAD_NULL_ERROR", Meaning::Check),
    maria(1053, "ER_SERVER_SHUTDOWN", CONNECTION_LOST),
    maria(1062, "ER_DUP_ENTRY", Meaning::Duplicate),
    maria(1114, "ER_RECORD_FILE_FULL", EXHAUSTED),
    maria(1118, "ER_TOO_BIG_ROWSIZE", Meaning::DataException),
    maria(1135, "ER_CANT_CREATE_THREAD", EXHAUSTED),
    maria(1153, "ER_NET_PACKET_TOO_LARGE", Meaning::DataException),
    maria(1158, "ER_NET_READ_ERROR", CONNECTION_LOST),
    maria(1159, "ER_NET_READ_INTERRUPTED", CONNECTION_LOST),
    maria(1160, "ER_NET_ERROR_ON_WRITE", CONNECTION_LOST),
    maria(1161, "ER_NET_WRITE_INTERRUPTED", CONNECTION_LOST),
    maria(1203, "ER_TOO_MANY_USER_CONNECTIONS", EXHAUSTED),
    maria(1205, "ER_LOCK_WAIT_TIMEOUT", TIMEOUT),
    maria(1206, "ER_LOCK_TABLE_FULL", EXHAUSTED),
    maria(1213, "ER_LOCK_DEADLOCK", CONTENTION),
    maria(1216, "ER_NO_REFERENCED_ROW", Meaning::Reference),
    maria(1217, "ER_ROW_IS_REFERENCED", Meaning::Reference),
    maria(1226, "ER_USER_LIMIT_REACHED", EXHAUSTED),
    maria(1264, "ER_WARN_DATA_OUT_OF_RANGE", Meaning::DataException),
    maria(1265, "WARN_DATA_TRUNCATED", Meaning::DataException),
    // --read-only and --super-read-only; other options have the same code.
    maria(1290, "ER_OPTION_PREVENTS_STATEMENT", Meaning::ReadOnly).told_by("read-only"),
    maria(1292, "ER_TRUNCATED_WRONG_VALUE", Meaning::DataException),
    maria(1300, "ER_INVALID_CHARACTER_STRING", Meaning::DataException),
    maria(1317, "ER_QUERY_INTERRUPTED", TIMEOUT),
    maria(1364, "ER_NO_DEFAULT_FOR_FIELD", Meaning::Check),
    maria(1366, "ER_TRUNCATED_WRONG_VALUE_FOR_FIELD", Meaning::DataException),
    maria(1406, "ER_DATA_TOO_LONG", Meaning::DataException),
    maria(1451, "ER_ROW_IS_REFERENCED_2", Meaning::Reference),
    maria(1452, "ER_NO_REFERENCED_ROW_2", Meaning::Reference),
    maria(1586, "ER_DUP_ENTRY_WITH_KEY_NAME", Meaning::Duplicate),
    maria(1637, "ER_TOO_MANY_CONCURRENT_TRXS", EXHAUSTED),
    // A trigger's SIGNAL.
    maria(1644, "ER_SIGNAL_EXCEPTION", Meaning::Wall),
    maria(1690, "ER_DATA_OUT_OF_RANGE", Meaning::DataException),
    maria(1792, "ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION", Meaning::ReadOnly),
    maria(1836, "ER_READ_ONLY_MODE", Meaning::ReadOnly),
    maria(1874, "ER_INNODB_READ_ONLY", Meaning::ReadOnly),
    maria(1927, "ER_CONNECTION_KILLED", CONNECTION_LOST),
    maria(1969, "ER_STATEMENT_TIMEOUT", TIMEOUT),
    // The client library's, which proxies pass on.
    mysql(2006, "CR_SERVER_GONE_ERROR", CONNECTION_LOST).documented_in(MYSQL_CLIENT),
    mysql(2013, "CR_SERVER_LOST", CONNECTION_LOST).documented_in(MYSQL_CLIENT),
    mysql(3024, "ER_QUERY_TIMEOUT", TIMEOUT),
    mysql(3101, "ER_TRANSACTION_ROLLBACK_DURING_COMMIT", CONTENTION),
    mysql(3140, "ER_INVALID_JSON_TEXT", Meaning::DataException),
    mysql(3572, "ER_LOCK_NOWAIT", TIMEOUT),
    mysql(3819, "ER_CHECK_CONSTRAINT_VIOLATED", Meaning::Check),
    maria(4025, "ER_CONSTRAINT_FAILED", Meaning::Check),

    sqlite(5, "SQLITE_BUSY", TIMEOUT),
    // A transaction that began by reading wants to write after somebody else did.
    sqlite(517, "SQLITE_BUSY_SNAPSHOT", CONTENTION),
    sqlite(6, "SQLITE_LOCKED", TIMEOUT),
    sqlite(7, "SQLITE_NOMEM", EXHAUSTED),
    sqlite(8, "SQLITE_READONLY", Meaning::ReadOnly),
    sqlite(9, "SQLITE_INTERRUPT", TIMEOUT),
    sqlite(10, "SQLITE_IOERR", Meaning::Internal),
    sqlite(3082, "SQLITE_IOERR_NOMEM", EXHAUSTED),
    sqlite(11, "SQLITE_CORRUPT", Meaning::Internal),
    sqlite(13, "SQLITE_FULL", EXHAUSTED),
    sqlite(14, "SQLITE_CANTOPEN", CONNECTION_LOST),
    // Connections that came and went kept this one from joining them.
    sqlite(15, "SQLITE_PROTOCOL", TIMEOUT),
    sqlite(18, "SQLITE_TOOBIG", Meaning::DataException),
    sqlite(275, "SQLITE_CONSTRAINT_CHECK", Meaning::Check),
    sqlite(787, "SQLITE_CONSTRAINT_FOREIGNKEY", Meaning::Reference),
    sqlite(1299, "SQLITE_CONSTRAINT_NOTNULL", Meaning::Check),
    sqlite(1555, "SQLITE_CONSTRAINT_PRIMARYKEY", Meaning::Duplicate),
    // ON DELETE RESTRICT, the wall that keeps a REPLACE from removing the row that has an id, and
    // any other trigger's RAISE.
    sqlite(1811, "SQLITE_CONSTRAINT_TRIGGER", Meaning::Reference).told_by("FOREIGN KEY"),
    sqlite(1811, "SQLITE_CONSTRAINT_TRIGGER", Meaning::Duplicate).told_by(ID_HAS_A_ROW),
    sqlite(1811, "SQLITE_CONSTRAINT_TRIGGER", Meaning::Wall),
    sqlite(2067, "SQLITE_CONSTRAINT_UNIQUE", Meaning::Duplicate),
    sqlite(2579, "SQLITE_CONSTRAINT_ROWID", Meaning::Duplicate),
    sqlite(3091, "SQLITE_CONSTRAINT_DATATYPE", Meaning::DataException),
    sqlite(20, "SQLITE_MISMATCH", Meaning::DataException),
    sqlite(26, "SQLITE_NOTADB", Meaning::Internal),
];

impl From<DbErr> for Fault {
    fn from(error: DbErr) -> Self {
        match &error {
            DbErr::ConnectionAcquire(ConnAcquireErr::Timeout) => Self::Transient(Timing::Timeout),
            DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed) => {
                Self::Transient(Timing::ConnectionLost)
            }
            DbErr::Conn(RuntimeErr::SqlxError(inner))
            | DbErr::Exec(RuntimeErr::SqlxError(inner))
            | DbErr::Query(RuntimeErr::SqlxError(inner)) => Self::of(inner),
            _ => Self::Internal(error.to_string()),
        }
    }
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::of(&error)
    }
}

impl Fault {
    /// What a code of an engine means that came with this message.
    ///
    /// PostgreSQL names the column beside the message: a fault made from a whole error knows it.
    pub fn of_code(code: Code<'_>, message: &str) -> Self {
        Self::meant(code, message, |meaning| match code {
            Code::SqlState(_) => ColumnRef::default(),
            Code::Errno(_) => mysql_column(meaning, message),
            Code::Sqlite(_) => sqlite_column(meaning, message),
        })
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::Internal(message.into())
    }

    pub(crate) fn of(error: &sqlx::Error) -> Self {
        match (error, Code::of(error)) {
            (sqlx::Error::Database(inner), Some(code)) => {
                match inner.try_downcast_ref::<PgDatabaseError>() {
                    Some(inner) => Self::meant(code, inner.message(), |_| postgres_column(inner)),
                    None => Self::of_code(code, inner.message()),
                }
            }
            (sqlx::Error::PoolTimedOut, _) => Self::Transient(Timing::Timeout),
            (
                sqlx::Error::Io(_)
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed
                | sqlx::Error::BeginFailed,
                _,
            ) => Self::Transient(Timing::ConnectionLost),
            _ => Self::Internal(error.to_string()),
        }
    }

    fn meant(code: Code<'_>, message: &str, column: impl FnOnce(Meaning) -> ColumnRef) -> Self {
        let meaning = CodeRow::of(code, message).map_or(Meaning::Internal, |row| row.meaning);
        match meaning {
            Meaning::Duplicate => Self::Duplicate(column(meaning)),
            Meaning::Reference => Self::Reference(column(meaning)),
            Meaning::Check => Self::Check(column(meaning)),
            Meaning::DataException => Self::DataException(column(meaning)),
            Meaning::Wall => Self::Wall(message.into()),
            Meaning::Transient(timing) => Self::Transient(timing),
            Meaning::OutcomeUnknown => Self::OutcomeUnknown,
            Meaning::ReadOnly => Self::ReadOnly,
            Meaning::Internal => Self::Internal(format!("{code}: {message}")),
        }
    }
}

fn postgres_column(error: &PgDatabaseError) -> ColumnRef {
    let table = error.table().unwrap_or_default();
    match error.constraint() {
        Some(constraint) => of_constraint(table, constraint),
        None => column_ref(table, error.column().unwrap_or_default()),
    }
}

/// MariaDB and MySQL tell it in the message alone, whose words depend on `lc_messages`; the
/// quotes do not.
fn mysql_column(meaning: Meaning, message: &str) -> ColumnRef {
    // InnoDB's part: "CONSTRAINT `fk_posts__author_id` FOREIGN KEY …"; 4025 begins like it, and
    // calls a column's own check `posts.lock_version`.
    let constraint = || message.split("CONSTRAINT `").nth(1)?.split('`').next();
    let name = match meaning {
        // "Duplicate entry 'x' for key 'name'": MySQL writes 'table.name'.
        Meaning::Duplicate => last_quoted(message),
        Meaning::Reference => constraint(),
        // "Column 'title' cannot be null", "Check constraint 'name' is violated."
        Meaning::Check => constraint().or_else(|| first_quoted(message)),
        // "Data too long for column 'title' at row 1", "… for column `db`.`posts`.`title` at row
        // 1", "… in value for column 'posts.title'." Whatever else is quoted is the value.
        Meaning::DataException => {
            let (_, rest) = message.rsplit_once(" column ").unwrap_or_default();
            let place = rest.split(" at ").next().unwrap_or_default();
            if !place.starts_with(['\'', '`']) {
                return ColumnRef::default();
            }
            return of_place(place.replace(['\'', '`'], "").trim_end_matches('.'));
        }
        _ => None,
    };
    name.map(|name| of_constraint("", name)).unwrap_or_default()
}

/// What the wall of SQLite says that stands before an INSERT: see `sql/sqlite/walls.sql`.
const ID_HAS_A_ROW: &str = "the id has a row";

/// SQLite names columns, except of a foreign key, and repeats an unnamed check's expression.
fn sqlite_column(meaning: Meaning, message: &str) -> ColumnRef {
    let (kind, told) = message
        .split_once(" constraint failed: ")
        .unwrap_or_default();
    match meaning {
        // "UNIQUE constraint failed: users.email_key, users.live", or "… failed: index 'name'"
        // where it is over an expression.
        Meaning::Duplicate => match first_quoted(told) {
            // The wall's words: "users: the id has a row, …"
            _ if kind.is_empty() => ColumnRef {
                table: message.split(':').next().unwrap_or_default().into(),
                column: "id".into(),
            },
            Some(index) => of_constraint("", index),
            None => of_place(told.split(',').next().unwrap_or_default()),
        },
        Meaning::Check if kind == "CHECK" => of_constraint("", told),
        // "NOT NULL constraint failed: posts.title"
        Meaning::Check => of_place(told),
        // "cannot store TEXT value in INTEGER column posts.title"
        Meaning::DataException => of_place(message.rsplit_once(" column ").unwrap_or_default().1),
        _ => ColumnRef::default(),
    }
}

fn first_quoted(message: &str) -> Option<&str> {
    message.split('\'').nth(1)
}

fn last_quoted(message: &str) -> Option<&str> {
    message.rsplit('\'').nth(1)
}

/// `users.email_key`, or a longer path.
fn of_place(place: &str) -> ColumnRef {
    let mut names = place.trim().rsplit('.');
    let column = names.next().unwrap_or_default();
    column_ref(names.next().unwrap_or_default(), column)
}

fn of_constraint(table: &str, name: &str) -> ColumnRef {
    // MySQL's `users.uq_users__email_key`, MariaDB's `users.role`.
    let (table, name) = name.split_once('.').unwrap_or((table, name));
    let (table, column) = ["uq_", "ck_", "fk_"]
        .iter()
        .find_map(|prefix| name.strip_prefix(prefix)?.split_once("__"))
        .unwrap_or((table, name));
    column_ref(table, column)
}

fn column_ref(table: &str, column: &str) -> ColumnRef {
    ColumnRef {
        table: table.into(),
        column: column.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column_of(fault: Fault) -> ColumnRef {
        match fault {
            Fault::Duplicate(column)
            | Fault::Reference(column)
            | Fault::Check(column)
            | Fault::DataException(column) => column,
            other => panic!("{other:?} is about no column"),
        }
    }

    #[test]
    fn no_code_has_two_meanings() {
        for (at, row) in CODES.iter().enumerate() {
            let same = CODES[..at].iter().find(|other| other.code == row.code);
            assert!(
                same.is_none_or(|other| other.told_by.is_some()),
                "{} is listed again after a row that takes every message",
                row.code
            );
        }
    }

    #[test]
    fn a_code_without_a_row_means_what_its_class_does() {
        let timeout = Fault::Transient(Timing::Timeout);
        // SQLITE_BUSY_RECOVERY
        assert_eq!(Fault::of_code(Code::Sqlite(261), ""), timeout);
        let too_many = Fault::of_code(Code::SqlState("53300"), "");
        assert_eq!(too_many, Fault::Transient(Timing::Exhausted));
        let unknown = Fault::of_code(Code::SqlState("42P01"), "no such table");
        assert_eq!(unknown, Fault::Internal("42P01: no such table".into()));
        let short = Fault::of_code(Code::SqlState("4"), "?");
        assert_eq!(short, Fault::Internal("4: ?".into()));
        let errno = Fault::of_code(Code::Errno(1146), "no such table");
        assert_eq!(errno, Fault::Internal("1146: no such table".into()));
    }

    #[test]
    fn an_error_of_the_driver_is_about_the_connection_or_internal() {
        let cut = std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        let lost = [
            sqlx::Error::Io(cut),
            sqlx::Error::PoolClosed,
            sqlx::Error::WorkerCrashed,
            sqlx::Error::BeginFailed,
        ];
        for error in lost {
            assert_eq!(Code::of(&error), None);
            let lost = Fault::Transient(Timing::ConnectionLost);
            assert_eq!(Fault::from(error), lost);
        }
        let none_free = Fault::from(sqlx::Error::PoolTimedOut);
        assert_eq!(none_free, Fault::Transient(Timing::Timeout));
        let other = Fault::from(sqlx::Error::RowNotFound);
        assert!(matches!(other, Fault::Internal(_)), "{other:?}");
    }

    #[test]
    fn a_code_that_says_two_things_is_told_by_its_message() {
        let option = "The MariaDB server is running with the --secure-file-priv option so it …";
        let other = Fault::of_code(Code::Errno(1290), option);
        assert!(matches!(other, Fault::Internal(_)), "{other:?}");
        let raised = Fault::of_code(Code::Sqlite(1811), "a trigger's words");
        assert_eq!(raised, Fault::Wall("a trigger's words".into()));
        let restricted = Fault::of_code(Code::Sqlite(1811), "FOREIGN KEY constraint failed");
        assert_eq!(restricted, Fault::Reference(ColumnRef::default()));
    }

    #[test]
    fn a_message_that_cannot_be_raised_in_a_test_names_its_column_too() {
        let places = [
            (
                1062,
                "Duplicate entry 'a' for key 'users.uq_users__email_key'",
                "users.email_key",
            ),
            (
                1062,
                "Duplicate entry 'it's' for key 'uq_users__email_key'",
                "users.email_key",
            ),
            (
                3819,
                "Check constraint 'ck_posts__published_at' is violated.",
                "posts.published_at",
            ),
            (
                1366,
                "Incorrect string value: 'x' for column 'title' at row 1",
                "title",
            ),
            (
                1217,
                "Cannot delete or update a parent row: a foreign key constraint fails",
                "a column",
            ),
            // A value is not taken for a name.
            (
                1292,
                "Truncated incorrect DOUBLE value: 'the column x'",
                "a column",
            ),
            (1300, "Invalid utf8mb4 character string: 'x'", "a column"),
        ];
        for (number, message, place) in places {
            let fault = Fault::of_code(Code::Errno(number), message);
            assert_eq!(column_of(fault).to_string(), place, "{message}");
        }
    }
}
