//! SQLite: a test database is a copy of a migrated file.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use tempfile::TempDir;

use super::{ABANDONED_AFTER, TEMPLATE_KEPT, place};

/// The URL of a copy of what `prepare` makes, and the folder it lives in.
pub(super) async fn copy<P, F>(key: &str, prepare: P) -> anyhow::Result<(String, TempDir)>
where
    P: FnOnce(String) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    let folder = new_folder()?;
    let file = folder.path().join("test.db");
    let template = place::shared()?.join("sqlite").join(format!("{key}.db"));
    if fs::copy(&template, &file).is_err() {
        make(&template, prepare).await?;
        fs::copy(&template, &file).with_context(|| format!("copying {}", template.display()))?;
    }
    Ok((url(&file)?, folder))
}

/// The URL of an empty database, and the folder it lives in.
pub(super) fn empty() -> anyhow::Result<(String, TempDir)> {
    let folder = new_folder()?;
    let file = folder.path().join("test.db");
    // To SQLite a file without a byte is a database without a table.
    fs::File::create_new(&file)?;
    Ok((url(&file)?, folder))
}

/// Makes the template, unless another process did so meanwhile.
async fn make<P, F>(template: &Path, prepare: P) -> anyhow::Result<()>
where
    P: FnOnce(String) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    let _lock = place::locked(&place::shared()?.join("sqlite.lock")).await?;
    if template.exists() {
        return Ok(());
    }
    remove_abandoned(template.parent().expect("a template is in a folder"));

    let (url, folder) = empty()?;
    let file = folder.path().join("test.db");
    prepare(url).await.context("preparing the template")?;
    settle(&file).await?;
    // Renamed whole, so that nobody copies half a template.
    fs::rename(&file, template)?;
    Ok(())
}

/// Moves everything from the write-ahead log into the file itself.
async fn settle(file: &Path) -> anyhow::Result<()> {
    let mut connection = SqliteConnectOptions::new()
        .filename(file)
        .busy_timeout(Duration::from_secs(10))
        .disable_statement_logging()
        .connect()
        .await?;
    let (busy, _, _): (i64, i64, i64) = sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)")
        .fetch_one(&mut connection)
        .await?;
    connection.close().await?;
    // The last connection takes the log away when it closes.
    let log = file.with_extension("db-wal");
    ensure!(
        busy == 0 && !log.exists(),
        "what prepares the template leaves a connection open"
    );
    Ok(())
}

fn new_folder() -> anyhow::Result<TempDir> {
    let folder = place::shared()?.join("sqlite");
    fs::create_dir_all(&folder)?;
    let folder = tempfile::Builder::new()
        .prefix("test-")
        .tempdir_in(folder)?;
    Ok(folder)
}

/// Removes folders of tests that were killed, and templates of old migrations.
/// What cannot be removed is left for the next time.
pub(super) fn remove_abandoned(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let age = entry
            .metadata()
            .and_then(|found| found.modified())
            .ok()
            .and_then(|modified| modified.elapsed().ok())
            .unwrap_or_default();
        let path = entry.path();
        if path.is_dir() && age > ABANDONED_AFTER {
            let _ = fs::remove_dir_all(path);
        } else if path.is_file() && age > TEMPLATE_KEPT {
            let _ = fs::remove_file(path);
        }
    }
}

/// The URL of a file. A percent sign and a question mark mean something else in
/// a URL, so they are escaped.
pub(super) fn url(file: &Path) -> anyhow::Result<String> {
    let file = file
        .to_str()
        .with_context(|| format!("{} is not UTF-8", file.display()))?;
    let file = file.replace('%', "%25").replace('?', "%3F");
    Ok(format!("sqlite://{file}"))
}
