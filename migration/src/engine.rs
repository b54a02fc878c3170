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
    sea_orm::{
        ConnectionTrait, DbBackend, RuntimeErr, Statement,
        sqlx::{self, mysql::MySqlDatabaseError},
    },
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

/// The environment variable by which an operator goes on without the walls where the server does
/// not let this account make triggers.
const WITHOUT_TRIGGERS: &str = "PLIMSOLL_WITHOUT_TRIGGERS";

/// What an UPDATE of a record must not do. A NULL is no next version. A row that has one of
/// `deleted_at` and `deletion_id` is neither live nor can it be restored.
const UNFIT_UPDATE: &str = "NOT COALESCE(NEW.lock_version = OLD.lock_version + 1 \
    AND NEW.id = OLD.id AND (NEW.deleted_at IS NULL) = (NEW.deletion_id IS NULL), FALSE)";

/// With the table's name before it, 128 characters at the most: MySQL takes no longer ones.
const NO_UPDATE: &str = "an UPDATE must set lock_version = lock_version + 1, keep the id, and deleted_at with deletion_id or neither";
const NO_DELETE: &str = "no row is removed by hand, since nothing could bring it back: the application deletes and purges";
const NO_REPLACE: &str =
    "the id has a row, which a REPLACE would remove for good: change that row by UPDATE";
const DELETION_STAYS: &str =
    "a deletion stays as it was made, since it is what restores and purges go by";
const LOG_ONLY_GROWS: &str =
    "the log is only added to: what is wrong in it is put right by a change with a row of its own";

/// Makes the gate: the table whose rows let the transaction that wrote them through the walls.
///
/// A row that is still there at COMMIT would open the walls for everybody. PostgreSQL and SQLite
/// refuse that COMMIT: `open` refers, by a foreign key that is looked at no sooner, to `shut`,
/// which is always NULL. (In SQLite this needs `PRAGMA foreign_keys`.) MariaDB and MySQL have no
/// such keys: there a row opens the walls for the connection that wrote it alone.
pub(crate) async fn create_gate(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let backend = manager.get_database_backend();
    let own = match backend {
        DbBackend::MySql => {
            "opened_by BIGINT UNSIGNED NOT NULL DEFAULT (CONNECTION_ID()),
             CONSTRAINT uq_wall_gate__opened_by UNIQUE (opened_by)"
        }
        _ => {
            "open SMALLINT NOT NULL DEFAULT 1 CHECK (open = 1),
             shut SMALLINT NULL CHECK (shut IS NULL),
             CONSTRAINT uq_wall_gate__shut UNIQUE (shut),
             CONSTRAINT wall_gate_is_shut_before_commit FOREIGN KEY (open)
                REFERENCES wall_gate (shut) ON DELETE RESTRICT DEFERRABLE INITIALLY DEFERRED"
        }
    };
    let table = format!(
        "CREATE TABLE IF NOT EXISTS wall_gate (
            id {{uuid}} NOT NULL PRIMARY KEY,
            reason {{text}} NOT NULL,
            {own}
        ) {{table}}"
    );
    run(manager, &[&table]).await?;
    if backend == DbBackend::Postgres {
        // The gate is the one beside the table, whatever the session's search path.
        run(
            manager,
            &[
                "CREATE OR REPLACE FUNCTION refuse_at_wall() RETURNS trigger LANGUAGE plpgsql AS $$
            DECLARE
                is_open boolean;
            BEGIN
                EXECUTE format('SELECT EXISTS (SELECT FROM %I.wall_gate)', TG_TABLE_SCHEMA)
                    INTO is_open;
                IF NOT is_open THEN
                    RAISE EXCEPTION USING ERRCODE = 'WALL1', MESSAGE = TG_ARGV[0],
                        SCHEMA = TG_TABLE_SCHEMA, TABLE = TG_TABLE_NAME;
                END IF;
                RETURN COALESCE(NEW, OLD);
            END $$",
            ],
        )
        .await?;
    }
    Ok(())
}

/// Removes the gate, after the walls.
pub(crate) async fn drop_gate(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    run(manager, &["DROP TABLE wall_gate"]).await?;
    if manager.get_database_backend() == DbBackend::Postgres {
        run(manager, &["DROP FUNCTION IF EXISTS refuse_at_wall()"]).await?;
    }
    Ok(())
}

/// Walls around a record's table: while the gate is shut, an UPDATE raises the version by one,
/// keeps the id and deletes nothing by halves, and nothing is removed. To be put up again when
/// SQLite rebuilds the table, which drops them without a word.
///
/// # Errors
///
/// A sentence, where MariaDB or MySQL lets only accounts with SUPER make triggers.
pub(crate) async fn wall_record(manager: &SchemaManager<'_>, table: &str) -> Result<(), DbErr> {
    wall(manager, table, "UPDATE", Some(UNFIT_UPDATE), NO_UPDATE).await?;
    wall_rows(manager, table, NO_DELETE).await
}

/// Walls around the table of deletions, without which what they deleted could neither be restored
/// nor purged: while the gate is shut, nothing is removed, and nothing changed but that one was
/// restored or purged.
///
/// # Errors
///
/// As for [`wall_record`].
pub(crate) async fn wall_deletions(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let (table, same) = ("deletions", same_in(manager.get_database_backend()));
    let kept = [
        "id",
        "created_at",
        "actor_id",
        "root_type",
        "root_id",
        "row_count",
    ];
    let kept = kept.map(|column| format!("NEW.{column} {same} OLD.{column}"));
    let changed = format!("NOT ({})", kept.join(" AND "));
    wall(manager, table, "UPDATE", Some(&changed), DELETION_STAYS).await?;
    wall_rows(manager, table, DELETION_STAYS).await
}

/// How two values are compared of which both can be NULL.
fn same_in(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Postgres => "IS NOT DISTINCT FROM",
        DbBackend::Sqlite => "IS",
        _ => "<=>",
    }
}

/// Walls around a table that is only added to: while the gate is shut, nothing in it is changed
/// or removed.
///
/// # Errors
///
/// As for [`wall_record`].
pub(crate) async fn wall_log(manager: &SchemaManager<'_>, table: &str) -> Result<(), DbErr> {
    wall(manager, table, "UPDATE", None, LOG_ONLY_GROWS).await?;
    wall_rows(manager, table, LOG_ONLY_GROWS).await
}

/// Takes a table's walls down.
pub(crate) async fn drop_walls(manager: &SchemaManager<'_>, table: &str) -> Result<(), DbErr> {
    for event in ["UPDATE", "DELETE", "TRUNCATE", "INSERT"] {
        drop_wall(manager, table, event).await?;
    }
    Ok(())
}

/// Nothing is removed from the table.
async fn wall_rows(manager: &SchemaManager<'_>, table: &str, message: &str) -> Result<(), DbErr> {
    wall(manager, table, "DELETE", None, message).await?;
    match manager.get_database_backend() {
        DbBackend::Postgres => wall(manager, table, "TRUNCATE", None, message).await,
        // A REPLACE fires no DELETE trigger unless `PRAGMA recursive_triggers` is on.
        DbBackend::Sqlite => {
            let is_there = format!("EXISTS (SELECT 1 FROM {table} WHERE id = NEW.id)");
            wall(manager, table, "INSERT", Some(&is_there), NO_REPLACE).await
        }
        _ => Ok(()),
    }
}

/// A trigger that refuses what meets `when`, or everything. It looks at the gate only when it is
/// about to refuse: what passes pays for the comparison alone. It can be made again after a run
/// that was cut short.
async fn wall(
    manager: &SchemaManager<'_>,
    table: &str,
    event: &str,
    when: Option<&str>,
    message: &str,
) -> Result<(), DbErr> {
    let name = wall_name(table, event);
    let message = format!("{table}: {message}");
    let trigger = match manager.get_database_backend() {
        DbBackend::Postgres => {
            // An UPDATE is looked at after it, since PostgreSQL locks a row once more for what
            // comes before; a removal before it, or a foreign key may refuse it first.
            let timing = if event == "UPDATE" { "AFTER" } else { "BEFORE" };
            let each = if event == "TRUNCATE" {
                "STATEMENT"
            } else {
                "ROW"
            };
            let when = when.map_or(String::new(), |when| format!("WHEN ({when})"));
            format!(
                "CREATE TRIGGER {name} {timing} {event} ON {table} FOR EACH {each} {when}
                    EXECUTE FUNCTION refuse_at_wall('{message}')"
            )
        }
        DbBackend::Sqlite => {
            let when = when.map_or(String::new(), |when| format!("{when} AND "));
            format!(
                "CREATE TRIGGER {name} BEFORE {event} ON {table}
                    WHEN {when}NOT EXISTS (SELECT 1 FROM wall_gate)
                 BEGIN
                    SELECT RAISE(ABORT, '{message}');
                 END"
            )
        }
        _ => {
            let refuse = format!(
                "IF NOT EXISTS (SELECT 1 FROM wall_gate WHERE opened_by = CONNECTION_ID()) THEN
                    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{message}';
                 END IF"
            );
            // One inside the other: a condition that names a table costs even where what stands
            // before it decides.
            let body = when.map_or(refuse.clone(), |when| {
                format!("IF {when} THEN {refuse}; END IF")
            });
            format!("CREATE TRIGGER {name} BEFORE {event} ON {table} FOR EACH ROW {body}")
        }
    };
    let made = async {
        drop_wall(manager, table, event).await?;
        run(manager, &[&trigger]).await
    };
    match made.await {
        // One that was there stays.
        Err(error) if is_for_super_alone(&error) => without_triggers(),
        made => made,
    }
}

async fn drop_wall(manager: &SchemaManager<'_>, table: &str, event: &str) -> Result<(), DbErr> {
    let name = wall_name(table, event);
    let drop = match manager.get_database_backend() {
        DbBackend::Postgres => format!("DROP TRIGGER IF EXISTS {name} ON {table}"),
        DbBackend::Sqlite => format!("DROP TRIGGER IF EXISTS {name}"),
        // What it takes to make a trigger it takes to drop one as well, even if there is none.
        backend => {
            let there = format!(
                "SELECT 1 FROM information_schema.triggers
                 WHERE trigger_schema = DATABASE() AND trigger_name = '{name}'"
            );
            let there = Statement::from_string(backend, there);
            if manager
                .get_connection()
                .query_one_raw(there)
                .await?
                .is_none()
            {
                return Ok(());
            }
            format!("DROP TRIGGER {name}")
        }
    };
    run(manager, &[&drop]).await
}

fn wall_name(table: &str, event: &str) -> String {
    format!("wall_{table}__{}", event.to_lowercase())
}

/// Errno 1419 of MariaDB and MySQL, ER_BINLOG_CREATE_ROUTINE_NEED_SUPER.
fn is_for_super_alone(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(inner)) | DbErr::Query(RuntimeErr::SqlxError(inner))) =
        error
    else {
        return false;
    };
    let sqlx::Error::Database(inner) = inner.as_ref() else {
        return false;
    };
    inner
        .try_downcast_ref::<MySqlDatabaseError>()
        .is_some_and(|error| error.number() == 1419)
}

/// Whether the operator goes on knowingly.
fn without_triggers() -> Result<(), DbErr> {
    match std::env::var(WITHOUT_TRIGGERS).as_deref() {
        Ok("1" | "true") => Ok(()),
        _ => Err(DbErr::Custom(format!(
            "this server writes a binary log and lets only accounts with SUPER make triggers: set \
             log_bin_trust_function_creators = 1 on the server, or set {WITHOUT_TRIGGERS}=1 to go \
             on without what keeps records from being changed or removed by hand"
        ))),
    }
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
