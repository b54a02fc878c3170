//! What a database's error codes mean. One table, for every engine.

use sea_orm::{DbErr, RuntimeErr};

/// Why a statement or a transaction failed, whatever engine it ran on.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Fault {
    /// A unique value is taken. Names the table and the column, where the engine tells them.
    #[error("the value of {table}.{column} is taken")]
    Duplicate {
        /// The table.
        table: String,
        /// The column that must be unique.
        column: String,
    },
    /// A foreign key would point nowhere, or something still refers to what was to go.
    #[error("a reference stands in the way: {constraint}")]
    Reference {
        /// The foreign key, where the engine tells it.
        constraint: String,
    },
    /// A check constraint or a NOT NULL column refused the value.
    #[error("the database refuses the value: {constraint}")]
    Check {
        /// The constraint, where the engine tells it.
        constraint: String,
    },
    /// Nothing is wrong with the request: the same may succeed if tried again.
    #[error("the database is busy ({0:?})")]
    Transient(Timing),
    /// The connection broke while committing: the change may or may not be there.
    #[error("the connection was lost during COMMIT")]
    OutcomeUnknown,
    /// The database can be read but not written.
    #[error("the database is read-only")]
    ReadOnly,
    /// Anything else; for the log, never for a client.
    #[error("{0}")]
    Internal(String),
}

/// Which kind of passing trouble a [`Fault::Transient`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timing {
    /// Two transactions waited for each other, or could not be put in an order.
    Contention,
    /// A lock, a statement, a transaction or a free connection took longer than its limit.
    Timeout,
    /// The connection is gone, or none could be made.
    ConnectionLost,
    /// The database has no room: disk, memory or connections.
    Exhausted,
}

impl Fault {
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::Internal(message.into())
    }
}

impl From<DbErr> for Fault {
    fn from(error: DbErr) -> Self {
        match &error {
            DbErr::ConnectionAcquire(_) => Self::Transient(Timing::Timeout),
            DbErr::Conn(RuntimeErr::SqlxError(inner))
            | DbErr::Exec(RuntimeErr::SqlxError(inner))
            | DbErr::Query(RuntimeErr::SqlxError(inner)) => Self::from_sqlx(inner),
            _ => Self::Internal(error.to_string()),
        }
    }
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        Self::from_sqlx(&error)
    }
}

impl Fault {
    fn from_sqlx(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(inner) => Self::from_database(inner.as_ref()),
            sqlx::Error::PoolTimedOut => Self::Transient(Timing::Timeout),
            sqlx::Error::Io(_)
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => Self::Transient(Timing::ConnectionLost),
            _ => Self::Internal(error.to_string()),
        }
    }

    fn from_database(error: &dyn sqlx::error::DatabaseError) -> Self {
        use sqlx::{mysql::MySqlDatabaseError, postgres::PgDatabaseError, sqlite::SqliteError};
        if let Some(error) = error.try_downcast_ref::<PgDatabaseError>() {
            return Self::from_sqlstate(
                error.code(),
                error.constraint().unwrap_or_default(),
                error.message(),
            );
        }
        if let Some(error) = error.try_downcast_ref::<MySqlDatabaseError>() {
            return Self::from_errno(error.number(), error.message());
        }
        if error.try_downcast_ref::<SqliteError>().is_some() {
            let code = error.code().and_then(|code| code.parse().ok());
            return Self::from_sqlite(code.unwrap_or_default(), error.message());
        }
        Self::Internal(error.to_string())
    }

    /// PostgreSQL's documentation, appendix A "PostgreSQL Error Codes"; OC000 and OC001 are
    /// Aurora DSQL's "Concurrency control" codes for data and schema conflicts.
    fn from_sqlstate(code: &str, constraint: &str, message: &str) -> Self {
        match code {
            "23505" => Self::duplicate(constraint),
            "23503" | "23001" => Self::Reference {
                constraint: constraint.into(),
            },
            "23514" | "23502" => Self::Check {
                constraint: constraint.into(),
            },
            "40001" | "40P01" | "OC000" | "OC001" => Self::Transient(Timing::Contention),
            "55P03" | "57014" | "25P03" | "25P04" => Self::Transient(Timing::Timeout),
            "57P01" | "57P02" | "57P03" | "57P05" => Self::Transient(Timing::ConnectionLost),
            "25006" => Self::ReadOnly,
            _ if code.starts_with("08") => Self::Transient(Timing::ConnectionLost),
            _ if code.starts_with("53") => Self::Transient(Timing::Exhausted),
            _ => Self::Internal(format!("{code}: {message}")),
        }
    }

    /// MariaDB's documentation, "MariaDB Error Code Reference"; MySQL shares the numbers but
    /// for 1969 (MariaDB's statement time) and 3024 (MySQL's).
    fn from_errno(number: u16, message: &str) -> Self {
        match number {
            // "Duplicate entry 'x' for key 'name'": MySQL writes 'table.name'.
            1062 | 1586 => Self::duplicate(last_quoted(message)),
            1451 | 1452 | 1216 | 1217 => {
                let constraint = message.split("CONSTRAINT `").nth(1).unwrap_or_default();
                let constraint = constraint.split('`').next().unwrap_or_default();
                Self::Reference {
                    constraint: constraint.into(),
                }
            }
            1048 | 1364 => Self::Check {
                constraint: first_quoted(message).into(),
            },
            4025 | 3819 => Self::Check {
                constraint: message.into(),
            },
            1213 | 1020 | 1637 => Self::Transient(Timing::Contention),
            1205 | 1969 | 3024 | 1317 => Self::Transient(Timing::Timeout),
            1053 | 1927 | 2006 | 2013 | 1077 | 1079 | 1152 => {
                Self::Transient(Timing::ConnectionLost)
            }
            1021 | 1037 | 1040 | 1041 | 1114 | 1203 | 1226 => Self::Transient(Timing::Exhausted),
            1290 | 1792 | 1836 => Self::ReadOnly,
            _ => Self::Internal(format!("{number}: {message}")),
        }
    }

    /// SQLite's documentation, "Result and Error Codes": the extended codes, whose low byte is
    /// the primary one.
    fn from_sqlite(code: i32, message: &str) -> Self {
        match (code, code & 0xff) {
            // "UNIQUE constraint failed: users.email_key, users.live"
            (2067 | 1555, _) => {
                let place = message.rsplit(": ").next().unwrap_or_default();
                let place = place.split(',').next().unwrap_or_default().trim();
                let (table, column) = place.split_once('.').unwrap_or(("", place));
                Self::Duplicate {
                    table: table.into(),
                    column: column.into(),
                }
            }
            (787, _) => Self::Reference {
                constraint: String::new(),
            },
            // A trigger's RAISE, and ON DELETE RESTRICT.
            (1811, _) if message.contains("FOREIGN KEY") => Self::Reference {
                constraint: String::new(),
            },
            (275 | 1299, _) => Self::Check {
                constraint: message.rsplit(": ").next().unwrap_or_default().into(),
            },
            // BUSY_SNAPSHOT: a reader wanted to write after somebody else had.
            (517, _) => Self::Transient(Timing::Contention),
            (_, 5 | 6) => Self::Transient(Timing::Timeout),
            (_, 9) => Self::Transient(Timing::Timeout),
            (_, 7 | 13) => Self::Transient(Timing::Exhausted),
            (_, 8) => Self::ReadOnly,
            _ => Self::Internal(format!("{code}: {message}")),
        }
    }

    /// Unique constraints are named `uq_<table>__<column>`; a primary key needs no name, since
    /// ids never collide by accident.
    fn duplicate(constraint: &str) -> Self {
        let name = constraint.rsplit('.').next().unwrap_or(constraint);
        let (table, column) = name
            .strip_prefix("uq_")
            .and_then(|rest| rest.split_once("__"))
            .unwrap_or(("", name));
        Self::Duplicate {
            table: table.into(),
            column: column.into(),
        }
    }
}

fn last_quoted(message: &str) -> &str {
    message
        .trim_end_matches('\'')
        .rsplit('\'')
        .next()
        .unwrap_or_default()
}

fn first_quoted(message: &str) -> &str {
    message.split('\'').nth(1).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duplicate_names_its_column_on_every_engine() {
        let expected = Fault::Duplicate {
            table: "users".into(),
            column: "email_key".into(),
        };
        assert_eq!(
            Fault::from_sqlstate("23505", "uq_users__email_key", ""),
            expected
        );
        let mariadb = "Duplicate entry 'it''s' for key 'uq_users__email_key'";
        assert_eq!(Fault::from_errno(1062, mariadb), expected);
        let mysql = "Duplicate entry 'a' for key 'users.uq_users__email_key'";
        assert_eq!(Fault::from_errno(1062, mysql), expected);
        let sqlite = "UNIQUE constraint failed: users.email_key, users.live";
        assert_eq!(Fault::from_sqlite(2067, sqlite), expected);
    }

    #[test]
    fn contention_is_transient_on_every_engine() {
        let expected = Fault::Transient(Timing::Contention);
        for code in ["40001", "40P01", "OC000", "OC001"] {
            assert_eq!(Fault::from_sqlstate(code, "", ""), expected, "{code}");
        }
        for number in [1213, 1020] {
            assert_eq!(Fault::from_errno(number, ""), expected, "{number}");
        }
        assert_eq!(Fault::from_sqlite(517, ""), expected);
    }
}
