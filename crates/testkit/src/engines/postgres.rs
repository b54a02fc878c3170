//! PostgreSQL: a test database is made from a template.

use anyhow::Context as _;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};

use super::{ABANDONED_AFTER, TEMPLATE_KEPT, age, new_name, now, with_database};

/// Templates are called so, followed by when they were made and by their key.
const TEMPLATE: &str = "plimsoll_template_";

/// The advisory lock under which templates are made: "plimsoll" in ASCII.
const LOCK: i64 = 0x706c_696d_736f_6c6c;

pub(super) async fn connect(url: &str) -> anyhow::Result<PgConnection> {
    let options: PgConnectOptions = url.parse()?;
    let connection = options.disable_statement_logging().connect().await;
    connection.context("connecting to PostgreSQL")
}

/// The name of a new database that holds what `prepare` makes.
pub(super) async fn copy<P, F>(server: &str, key: &str, prepare: P) -> anyhow::Result<String>
where
    P: FnOnce(String) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    let mut admin = connect(server).await?;
    let template = match template(&mut admin, key).await? {
        Some(template) => template,
        None => make(&mut admin, server, key, prepare).await?,
    };
    let name = new_name();
    run(
        &mut admin,
        format!("CREATE DATABASE {name} TEMPLATE {template}"),
    )
    .await?;
    admin.close().await?;
    Ok(name)
}

/// The name of a new empty database.
pub(super) async fn empty(server: &str) -> anyhow::Result<String> {
    let mut admin = connect(server).await?;
    let name = new_empty(&mut admin).await?;
    admin.close().await?;
    Ok(name)
}

/// Removes a database, and ends the connections to it.
pub(super) async fn remove(server: &str, name: &str) -> anyhow::Result<()> {
    let mut admin = connect(server).await?;
    let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
    run(&mut admin, drop).await?;
    admin.close().await?;
    Ok(())
}

/// From `template0`, as an administrator may have put things into `template1`.
async fn new_empty(admin: &mut PgConnection) -> anyhow::Result<String> {
    let name = new_name();
    let create = format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'");
    run(admin, create).await?;
    Ok(name)
}

pub(super) async fn template(
    admin: &mut PgConnection,
    key: &str,
) -> anyhow::Result<Option<String>> {
    let names = sqlx::query_scalar("SELECT datname FROM pg_database WHERE datname LIKE $1 || '%'")
        .bind(TEMPLATE)
        .fetch_all(admin)
        .await?;
    Ok(names.into_iter().find(|name: &String| name.ends_with(key)))
}

/// Makes the template, unless another process did so meanwhile.
async fn make<P, F>(
    admin: &mut PgConnection,
    server: &str,
    key: &str,
    prepare: P,
) -> anyhow::Result<String>
where
    P: FnOnce(String) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    // Held until the session ends, so a failure below needs no unlocking.
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(LOCK)
        .execute(&mut *admin)
        .await?;
    if let Some(template) = template(admin, key).await? {
        return Ok(template);
    }
    remove_abandoned(admin).await?;

    let name = new_empty(admin).await?;
    if let Err(error) = prepare(with_database(server, &name)).await {
        run(admin, format!("DROP DATABASE {name} WITH (FORCE)")).await?;
        return Err(error.context("preparing the template"));
    }
    // A template takes its name when it is complete, and from then on nobody,
    // autovacuum included, connects to it: a connection would stop a copy.
    let template = format!("{TEMPLATE}{:x}_{key}", now().as_secs());
    for statement in [
        format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false"),
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"),
        format!("ALTER DATABASE {name} RENAME TO {template}"),
    ] {
        run(admin, statement).await?;
    }
    sqlx::query("SELECT pg_advisory_unlock($1)")
        .bind(LOCK)
        .execute(admin)
        .await?;
    Ok(template)
}

/// Removes databases of tests that were killed, and templates of old
/// migrations. One that is in use stays.
pub(super) async fn remove_abandoned(admin: &mut PgConnection) -> anyhow::Result<()> {
    let names: Vec<String> = sqlx::query_scalar("SELECT datname FROM pg_database")
        .fetch_all(&mut *admin)
        .await?;
    for name in names {
        let test = age(&name, "plimsoll_test_").is_some_and(|age| age > ABANDONED_AFTER);
        let template = age(&name, TEMPLATE).is_some_and(|age| age > TEMPLATE_KEPT);
        if test || template {
            // Refused while somebody is connected, which is what is wanted.
            let _ = run(admin, format!("DROP DATABASE IF EXISTS {name}")).await;
        }
    }
    Ok(())
}

/// Runs a statement that takes no parameters; the names in it are our own.
async fn run(admin: &mut PgConnection, statement: String) -> anyhow::Result<()> {
    sqlx::raw_sql(AssertSqlSafe(statement))
        .execute(admin)
        .await?;
    Ok(())
}
