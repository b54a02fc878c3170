//! What differs between the engines' tables, behind one name each.
//!
//! A step is written as one text for all engines, in which a word in braces stands for what
//! each engine calls it:
//!
//! | word | SQLite | PostgreSQL | MariaDB and MySQL |
//! |---|---|---|---|
//! | `{uuid}` | 16 bytes | `uuid` | 16 bytes |
//! | `{time}` | text, RFC 3339 in UTC | `timestamptz` | `DATETIME(6)`: `TIMESTAMP` has whole seconds and ends in 2038 |
//! | `{key}` | text | text compared by code point | 320 characters compared by code point |
//! | `{text}` | text | text | `LONGTEXT`: `TEXT` ends at 65,535 bytes |
//! | `{json}` | text | `jsonb` | `JSON` |
//! | `{table}` | | | the options of a table |
//! | `{id}`, `{record}` | the columns that every table, every record has | | |

use sea_orm_migration::{
    prelude::*,
    sea_orm::{ConnectionTrait, DbBackend},
};

/// The columns of every record. `live` is 1 for a live row and NULL for a deleted one, so that
/// `UNIQUE (key, live)` holds among the living alone.
const RECORD: &str = "
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL,
    lock_version INTEGER NOT NULL DEFAULT 0 CHECK (lock_version >= 0),
    deleted_at {time} NULL,
    deletion_id {uuid} NULL,
    live SMALLINT GENERATED ALWAYS AS (CASE WHEN deleted_at IS NULL THEN 1 END) STORED";

const ID: &str = "
    id {uuid} NOT NULL PRIMARY KEY,
    created_at {time} NOT NULL,
    updated_at {time} NOT NULL";

/// Runs a step's statements, in which engine-dependent words stand in braces.
pub(crate) async fn run(manager: &SchemaManager<'_>, statements: &[&str]) -> Result<(), DbErr> {
    let backend = manager.get_database_backend();
    for statement in statements {
        manager
            .get_connection()
            .execute_unprepared(&spell(backend, statement))
            .await?;
    }
    Ok(())
}

/// An index over the live rows of a record's table.
///
/// PostgreSQL and SQLite keep live rows alone in it. MariaDB has no partial indexes: there
/// `deleted_at` comes first, which a search for live rows pins to NULL.
pub(crate) async fn live_index(
    manager: &SchemaManager<'_>,
    name: &str,
    table: &str,
    columns: &str,
    condition: Option<(&str, &str)>,
) -> Result<(), DbErr> {
    let statement = match (manager.get_database_backend(), condition) {
        (DbBackend::MySql, None) => {
            format!("CREATE INDEX {name} ON {table} (deleted_at, {columns})")
        }
        (DbBackend::MySql, Some((column, _))) => {
            format!("CREATE INDEX {name} ON {table} (deleted_at, {column}, {columns})")
        }
        (_, None) => {
            format!("CREATE INDEX {name} ON {table} ({columns}) WHERE deleted_at IS NULL")
        }
        (_, Some((column, value))) => format!(
            "CREATE INDEX {name} ON {table} ({columns}) \
             WHERE deleted_at IS NULL AND {column} = {value}"
        ),
    };
    manager
        .get_connection()
        .execute_unprepared(&statement)
        .await?;
    Ok(())
}

fn spell(backend: DbBackend, statement: &str) -> String {
    let words: [(&str, &str); 7] = match backend {
        DbBackend::Postgres => [
            ("{uuid}", "uuid"),
            ("{time}", "timestamptz"),
            ("{key}", "text COLLATE \"C\""),
            ("{text}", "text"),
            ("{json}", "jsonb"),
            ("{bool}", "boolean"),
            ("{table}", ""),
        ],
        DbBackend::Sqlite => [
            ("{uuid}", "BLOB"),
            ("{time}", "TEXT"),
            ("{key}", "TEXT"),
            ("{text}", "TEXT"),
            ("{json}", "TEXT"),
            ("{bool}", "BOOLEAN"),
            ("{table}", ""),
        ],
        _ => [
            ("{uuid}", "BINARY(16)"),
            ("{time}", "DATETIME(6)"),
            ("{key}", "VARCHAR(320)"),
            ("{text}", "LONGTEXT"),
            ("{json}", "JSON"),
            ("{bool}", "BOOLEAN"),
            (
                "{table}",
                "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin",
            ),
        ],
    };
    let statement = statement.replace("{record}", RECORD).replace("{id}", ID);
    words.iter().fold(statement, |text, (word, spelling)| {
        text.replace(word, spelling)
    })
}
