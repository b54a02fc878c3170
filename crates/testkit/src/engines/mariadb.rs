//! MariaDB: a test database is a replayed dump, as there are no templates.
//!
//! The dump is text that the server itself wrote (`SHOW CREATE TABLE`, triggers
//! from the catalog, rows through `QUOTE`), kept in a table on the server, and
//! sent back in one go.

use anyhow::{Context as _, bail, ensure};
use sqlx::mysql::{MySqlConnectOptions, MySqlRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, MySqlConnection, Row as _};

use super::{ABANDONED_AFTER, TEMPLATE_KEPT, age, new_name, with_database};

/// The database that keeps the dumps.
const TEMPLATES: &str = "plimsoll_templates";

/// Seconds to wait while another process makes a template.
const PATIENCE: u32 = 300;

pub(super) async fn connect(url: &str) -> anyhow::Result<MySqlConnection> {
    let options: MySqlConnectOptions = url.parse()?;
    let connection = options.disable_statement_logging().connect().await;
    connection.context("connecting to MariaDB")
}

/// The name of a new database that holds what `prepare` makes.
pub(super) async fn copy<P, F>(server: &str, key: &str, prepare: P) -> anyhow::Result<String>
where
    P: FnOnce(String) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    let mut admin = connect(server).await?;
    let dump = match kept(&mut admin, key).await? {
        Some(dump) => dump,
        None => make(&mut admin, server, key, prepare).await?,
    };
    let name = new_name();
    run(
        &mut admin,
        format!("CREATE DATABASE {name}; USE {name}; {dump}"),
    )
    .await
    .context("replaying the template")?;
    admin.close().await?;
    Ok(name)
}

/// The name of a new empty database.
pub(super) async fn empty(server: &str) -> anyhow::Result<String> {
    let mut admin = connect(server).await?;
    let name = new_name();
    run(&mut admin, format!("CREATE DATABASE {name}")).await?;
    admin.close().await?;
    Ok(name)
}

/// Removes a database, and ends the connections to it: one of them may hold a
/// transaction open, and the removal would wait for that.
pub(super) async fn remove(server: &str, name: &str) -> anyhow::Result<()> {
    let mut admin = connect(server).await?;
    let users: Vec<u64> = sqlx::query_scalar(
        "SELECT CAST(id AS UNSIGNED) FROM information_schema.processlist WHERE db = ?",
    )
    .bind(name)
    .fetch_all(&mut admin)
    .await?;
    for user in users {
        // Refused when it is gone already.
        let _ = run(&mut admin, format!("KILL {user}")).await;
    }
    run(
        &mut admin,
        format!("SET lock_wait_timeout = 10; DROP DATABASE IF EXISTS {name}"),
    )
    .await?;
    admin.close().await?;
    Ok(())
}

/// The dump that goes by this key, if it was made.
async fn kept(admin: &mut MySqlConnection, key: &str) -> anyhow::Result<Option<String>> {
    let found = sqlx::query_scalar("SELECT dump FROM plimsoll_templates.dumps WHERE id = ?")
        .bind(key)
        .fetch_optional(admin)
        .await;
    match found {
        // Neither the database nor the table is there before the first template.
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some("42S02") => Ok(None),
        found => Ok(found?),
    }
}

/// Makes and keeps the dump, unless another process did so meanwhile.
async fn make<P, F>(
    admin: &mut MySqlConnection,
    server: &str,
    key: &str,
    prepare: P,
) -> anyhow::Result<String>
where
    P: FnOnce(String) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    // Held until the session ends, so a failure below needs no unlocking.
    let locked: Option<i64> = sqlx::query_scalar("SELECT GET_LOCK(?, ?)")
        .bind(TEMPLATES)
        .bind(PATIENCE)
        .fetch_one(&mut *admin)
        .await?;
    ensure!(
        locked == Some(1),
        "another process makes a template for more than {PATIENCE} seconds"
    );
    run(
        admin,
        format!(
            "CREATE DATABASE IF NOT EXISTS {TEMPLATES};
             CREATE TABLE IF NOT EXISTS {TEMPLATES}.dumps (
                 id CHAR(16) CHARACTER SET ascii PRIMARY KEY,
                 made DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
                 dump LONGTEXT CHARACTER SET utf8mb4 NOT NULL
             )"
        ),
    )
    .await?;
    if let Some(dump) = kept(admin, key).await? {
        return Ok(dump);
    }
    remove_abandoned(admin).await?;

    let name = new_name();
    run(admin, format!("CREATE DATABASE {name}")).await?;
    let url = with_database(server, &name);
    let dump = match prepare(url.clone()).await {
        Ok(()) => dump(&url, &name).await,
        Err(error) => Err(error),
    };
    remove(server, &name).await?;
    let dump = dump.context("preparing the template")?;
    sqlx::query("INSERT INTO plimsoll_templates.dumps (id, dump) VALUES (?, ?)")
        .bind(key)
        .bind(&dump)
        .execute(&mut *admin)
        .await?;
    run(admin, format!("DO RELEASE_LOCK('{TEMPLATES}')")).await?;
    Ok(dump)
}

/// The statements that make a database what the one called `name` is.
pub(super) async fn dump(url: &str, name: &str) -> anyhow::Result<String> {
    let mut source = connect(url).await?;
    refuse_what_is_not_carried(&mut source).await?;

    let mut statements = vec![
        // The settings of mysqldump: tables refer to tables that come later, and
        // a zero in a counting column is a zero.
        "SET NAMES utf8mb4".to_owned(),
        "SET foreign_key_checks = 0, unique_checks = 0, sql_mode = 'NO_AUTO_VALUE_ON_ZERO'"
            .to_owned(),
    ];
    let row = sqlx::query(
        "SELECT default_character_set_name, default_collation_name
           FROM information_schema.schemata WHERE schema_name = DATABASE()",
    )
    .fetch_one(&mut source)
    .await?;
    statements.push(format!(
        "ALTER DATABASE CHARACTER SET {} COLLATE {}",
        text(&row, 0)?,
        text(&row, 1)?
    ));

    let tables = sqlx::query(
        "SELECT table_name FROM information_schema.tables
          WHERE table_schema = DATABASE() ORDER BY table_name",
    )
    .fetch_all(&mut source)
    .await?;
    let mut rows = Vec::new();
    for table in &tables {
        let table = text(table, 0)?;
        let show = format!("SHOW CREATE TABLE {}", quoted(&table));
        let row = sqlx::raw_sql(AssertSqlSafe(show))
            .fetch_one(&mut source)
            .await?;
        statements.push(text(&row, 1)?);
        rows.extend(rows_of(&mut source, &table).await?);
    }
    // The rows come before the triggers, which would fire, or refuse them.
    statements.append(&mut rows);
    statements.append(&mut triggers(&mut source).await?);
    source.close().await?;

    let dump = statements.join(";\n");
    ensure!(
        !dump.contains(name),
        "the schema names its own database, so it cannot be replayed in another one"
    );
    Ok(dump)
}

/// The dump carries tables, their rows and their triggers.
async fn refuse_what_is_not_carried(source: &mut MySqlConnection) -> anyhow::Result<()> {
    let others = sqlx::query(
        "SELECT table_type, table_name FROM information_schema.tables
          WHERE table_schema = DATABASE() AND table_type <> 'BASE TABLE'
          UNION ALL
         SELECT routine_type, routine_name FROM information_schema.routines
          WHERE routine_schema = DATABASE()
          UNION ALL
         SELECT 'EVENT', event_name FROM information_schema.events
          WHERE event_schema = DATABASE()",
    )
    .fetch_all(source)
    .await?;
    if let Some(other) = others.first() {
        bail!(
            "the schema has a {} called {}, which the replayed dump does not carry",
            text(other, 0)?,
            text(other, 1)?
        );
    }
    Ok(())
}

/// One INSERT for each row of a table.
async fn rows_of(source: &mut MySqlConnection, table: &str) -> anyhow::Result<Vec<String>> {
    let columns = sqlx::query(
        "SELECT column_name, data_type FROM information_schema.columns
          WHERE table_schema = DATABASE() AND table_name = ?
            AND COALESCE(generation_expression, '') = ''
          ORDER BY ordinal_position",
    )
    .bind(table)
    .fetch_all(&mut *source)
    .await?;
    let mut names = Vec::new();
    let mut values = Vec::new();
    for column in &columns {
        let name = quoted(&text(column, 0)?);
        let kind = text(column, 1)?;
        let is_bytes = kind.contains("binary") || kind.contains("blob") || kind == "bit";
        values.push(if is_bytes {
            format!("IF({name} IS NULL, 'NULL', CONCAT('x''', HEX({name}), ''''))")
        } else {
            // Answers the word NULL to a null.
            format!("QUOTE({name})")
        });
        names.push(name);
    }
    let table = quoted(table);
    let select = format!("SELECT CONCAT_WS(', ', {}) FROM {table}", values.join(", "));
    let rows = sqlx::raw_sql(AssertSqlSafe(select))
        .fetch_all(source)
        .await?;
    let names = names.join(", ");
    rows.iter()
        .map(|row| {
            let values = text(row, 0)?;
            Ok(format!("INSERT INTO {table} ({names}) VALUES ({values})"))
        })
        .collect()
}

/// The triggers, each under the mode it was made in, in the order they fire.
async fn triggers(source: &mut MySqlConnection) -> anyhow::Result<Vec<String>> {
    let triggers = sqlx::query(
        "SELECT sql_mode, trigger_name, action_timing, event_manipulation,
                event_object_table, action_statement
           FROM information_schema.triggers WHERE trigger_schema = DATABASE()
          ORDER BY event_object_table, action_timing, event_manipulation, action_order",
    )
    .fetch_all(source)
    .await?;
    let mut statements = Vec::new();
    for trigger in &triggers {
        statements.push(format!("SET sql_mode = '{}'", text(trigger, 0)?));
        statements.push(format!(
            "CREATE TRIGGER {} {} {} ON {} FOR EACH ROW {}",
            quoted(&text(trigger, 1)?),
            text(trigger, 2)?,
            text(trigger, 3)?,
            quoted(&text(trigger, 4)?),
            text(trigger, 5)?,
        ));
    }
    Ok(statements)
}

/// Removes databases of tests that were killed, and dumps of old migrations.
pub(super) async fn remove_abandoned(admin: &mut MySqlConnection) -> anyhow::Result<()> {
    let names = sqlx::query("SELECT schema_name FROM information_schema.schemata")
        .fetch_all(&mut *admin)
        .await?;
    for name in &names {
        let name = text(name, 0)?;
        if age(&name, "plimsoll_test_").is_some_and(|age| age > ABANDONED_AFTER) {
            // One that is in use after all stays for the next time.
            let drop = format!("SET lock_wait_timeout = 1; DROP DATABASE IF EXISTS {name}");
            let _ = run(admin, drop).await;
        }
    }
    run(
        admin,
        format!(
            "DELETE FROM {TEMPLATES}.dumps WHERE made < CURRENT_TIMESTAMP - INTERVAL {} SECOND",
            TEMPLATE_KEPT.as_secs()
        ),
    )
    .await
}

/// A text column, also one that the catalog declares as bytes.
fn text(row: &MySqlRow, column: usize) -> anyhow::Result<String> {
    let bytes: Vec<u8> = row.try_get_unchecked(column)?;
    Ok(String::from_utf8(bytes)?)
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Runs statements that take no parameters; the names in them are our own, the
/// dump is the server's.
async fn run(admin: &mut MySqlConnection, statements: String) -> anyhow::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(statements))
        .execute(admin)
        .await?;
    Ok(())
}
