//! Wrong configuration: one sentence, exit code 2, and nothing made or changed.

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use plimsoll_testkit::{Engine, engines::empty_database};

use crate::program::{Ended, command, connection, end, execute, on, run};

async fn serve(url: &str, dir: &Path) -> Ended {
    let listen = ("PLIMSOLL_LISTEN", "127.0.0.1:0");
    run(dir, &["serve"], &[("DATABASE_URL", url), listen]).await
}

/// The URL with another part behind its server's address.
fn with_name(url: &str, name: &str) -> String {
    let (address, options) = url.split_once('?').unwrap_or((url, ""));
    let (server, _) = address.rsplit_once('/').expect("a URL with a name");
    match options {
        "" => format!("{server}/{name}"),
        options => format!("{server}/{name}?{options}"),
    }
}

/// The URL with another user.
fn with_user(url: &str, user: &str) -> String {
    let (scheme, rest) = url.split_once("://").expect("a URL");
    let (address, name) = rest.split_once('/').expect("a URL with a name");
    let host = address.rsplit_once('@').map_or(address, |(_, host)| host);
    format!("{scheme}://{user}@{host}/{name}")
}

#[tokio::test]
async fn a_url_that_cannot_be_meant_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    for (url, words) in [
        ("", "DATABASE_URL is empty"),
        (
            "oracle://localhost/x",
            "must begin with sqlite:, postgres: or mysql:",
        ),
        ("plimsoll.db", "must begin with"),
        ("/var/lib/plimsoll.db", "must begin with"),
        (
            "postgres://localhost:port/x",
            "PostgreSQL URL cannot be read",
        ),
        ("mysql://localhost:99999/x", "MySQL URL cannot be read"),
        ("mysql://localhost", "names no database"),
        ("mysql://localhost/", "names no database"),
        ("sqlite::memory:", "SQLite needs a file"),
        ("sqlite://:memory:", "SQLite needs a file"),
        ("sqlite:", "SQLite needs a file"),
        ("sqlite:x.db?mode=sideways", "SQLite URL cannot be read"),
    ] {
        serve(url, dir.path()).await.refused(words);
        for command in [
            vec!["migrate", "up"],
            vec!["migrate", "status"],
            vec!["seed"],
        ] {
            on(url, dir.path(), &command).await.refused(words);
        }
    }
    let left = fs::read_dir(dir.path()).expect("a folder").count();
    assert_eq!(left, 0, "nothing was made");
}

#[tokio::test]
async fn a_command_that_needs_a_database_says_how_to_name_one() {
    let dir = tempfile::tempdir().expect("a folder");
    for command in [vec!["migrate", "up"], vec!["seed"], vec!["import", "."]] {
        run(dir.path(), &command, &[])
            .await
            .refused("--database-url or DATABASE_URL");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("an address").port();
    drop(free);
    let place = format!("127.0.0.1:{port}");
    for scheme in ["postgres", "mysql"] {
        let begun = std::time::Instant::now();
        let url = format!("{scheme}://user:secret@{place}/x");
        let ended = serve(&url, dir.path()).await;
        assert!(!ended.stderr.contains("secret"), "{ended:#?}");
        ended.refused(&place);
        assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn a_postgres_database_that_is_not_there_is_named() {
    let Some(database) = empty_database(Engine::Postgres).await else {
        return;
    };
    let dir = tempfile::tempdir().expect("a folder");
    let url = with_name(&database.url, "no_such_database");
    serve(&url, dir.path()).await.refused("no_such_database");
    on(&url, dir.path(), &["migrate", "up"])
        .await
        .refused("no_such_database");
}

#[tokio::test]
async fn a_mariadb_user_or_database_that_is_not_there_is_named() {
    let Some(database) = empty_database(Engine::MariaDb).await else {
        return;
    };
    let dir = tempfile::tempdir().expect("a folder");
    let ended = serve(&with_user(&database.url, "nobody:secret"), dir.path()).await;
    assert!(!ended.stderr.contains("secret"), "{ended:#?}");
    ended.refused("nobody");
    let url = with_name(&database.url, "no_such_database");
    serve(&url, dir.path()).await.refused("no_such_database");
}

#[tokio::test]
async fn a_sqlite_file_that_is_none_is_refused_and_kept() {
    let dir = tempfile::tempdir().expect("a folder");
    serve("sqlite:gone.db", dir.path())
        .await
        .refused("no SQLite database at gone.db");
    on("sqlite:gone.db", dir.path(), &["migrate", "down"])
        .await
        .refused("gone.db");
    assert!(!dir.path().join("gone.db").exists());

    let text = "This is a letter, and not a database. ".repeat(100);
    fs::write(dir.path().join("letter.txt"), &text).expect("a file");
    serve("sqlite:letter.txt", dir.path())
        .await
        .refused("letter.txt");
    let up = on("sqlite:letter.txt", dir.path(), &["migrate", "up"]).await;
    up.refused("not a database");
    let kept = fs::read_to_string(dir.path().join("letter.txt")).expect("a file");
    assert_eq!(kept, text);

    fs::create_dir(dir.path().join("folder")).expect("a folder");
    serve("sqlite:folder", dir.path()).await.refused("folder");
    on("sqlite:folder", dir.path(), &["migrate", "up"])
        .await
        .refused("folder");
    on("sqlite:no/such/folder/x.db", dir.path(), &["migrate", "up"])
        .await
        .refused("x.db");
}

/// A user who may do little: `nobody` on most systems.
const NOBODY: u32 = 65534;

#[tokio::test]
async fn a_database_that_may_not_be_written_is_refused() {
    // Where the write-ahead log was left behind, SQLite can read it.
    for is_log_left in [false, true] {
        let dir = tempfile::tempdir().expect("a folder");
        let url = "sqlite:posts.db";
        on(url, dir.path(), &["migrate", "up"]).await.well();
        let file = dir.path().join("posts.db");
        let open = connection(&format!("sqlite:{}", file.display())).await;
        execute(&open, "PRAGMA user_version = 0").await;
        if !is_log_left {
            open.close_by_ref().await.expect("it can be closed");
        }
        assert_eq!(dir.path().join("posts.db-wal").exists(), is_log_left);
        let allow = |path: &Path, mode| {
            let mode = fs::Permissions::from_mode(mode);
            fs::set_permissions(path, mode).expect("a mode can be set");
        };
        allow(&file, 0o444);
        allow(dir.path(), 0o555);
        let root = fs::write(dir.path().join("probe"), "").is_ok();
        let program = |arguments: &[&str]| {
            let mut command = command(dir.path(), arguments);
            command.env("PLIMSOLL_LISTEN", "127.0.0.1:0");
            if root {
                // Modes do not hold back this user.
                command.uid(NOBODY);
            }
            command
        };
        if root && program(&["--version"]).spawn().is_err() {
            eprintln!("skipped: nobody else may run the program here");
            return;
        }
        for arguments in [
            vec!["serve"],
            vec!["serve", "--migrate"],
            vec!["seed"],
            vec!["migrate", "down"],
        ] {
            let ended = end(program(&arguments).env("DATABASE_URL", url)).await;
            ended.refused("posts.db");
        }
        // Neither can the demo be made in such a folder.
        end(&mut program(&[])).await.refused("plimsoll.db");
        allow(dir.path(), 0o755);
    }
}

#[tokio::test]
async fn a_place_to_listen_that_cannot_be_had_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let url = ("DATABASE_URL", "sqlite:posts.db");
    on(url.1, dir.path(), &["migrate", "up"]).await.well();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken
        .local_addr()
        .map(|address| (address, taken))
        .expect("an address");
    let address = taken.0.to_string();
    run(dir.path(), &[], &[url, ("PLIMSOLL_LISTEN", &address)])
        .await
        .refused(&format!("the address {address} is in use"));
    // A documentation address (RFC 5737) is no machine's own.
    run(dir.path(), &["--listen", "192.0.2.1:8000"], &[url])
        .await
        .refused("cannot listen on 192.0.2.1:8000");
}

#[tokio::test]
async fn a_value_out_of_bounds_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    for (option, values) in [
        (
            "listen",
            &["nowhere", "127.0.0.1", "127.0.0.1:99999", ""][..],
        ),
        ("max-connections", &["0", "-1", "many"]),
        ("login-days", &["0", "4294967295"]),
        ("retention-days", &["4294967295"]),
        ("deadline", &["0"]),
        ("statement-timeout", &["0", "4294967295"]),
        ("max-body", &["-1", "1e6"]),
        ("migrate", &["perhaps"]),
    ] {
        let variable = format!("PLIMSOLL_{}", option.to_uppercase().replace('-', "_"));
        for value in values {
            let argument = format!("--{option}={value}");
            let argument = ["serve", argument.as_str()];
            for ended in [
                run(dir.path(), &argument, &[]).await,
                run(dir.path(), &["serve"], &[(variable.as_str(), value)]).await,
            ] {
                assert_eq!(ended.code, Some(2), "{option}={value}: {ended:#?}");
                assert!(
                    ended.stderr.contains(option),
                    "{option}={value}: {ended:#?}"
                );
                assert!(!ended.stderr.contains("panicked"), "{ended:#?}");
            }
        }
    }
    assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 0);
}

#[tokio::test]
async fn a_database_of_something_else_is_not_taken_for_ours() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("other.db");
    fs::write(&file, "").expect("a file");
    let url = format!("sqlite:{}", file.display());
    let database = connection(&url).await;
    execute(
        &database,
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT)",
    )
    .await;
    execute(&database, "INSERT INTO users (name) VALUES ('Ada')").await;
    database.close().await.expect("the connection closes");
    serve(&url, dir.path()).await.refused("not migrated");
    // The steps cannot be applied, and what is there stays.
    on(&url, dir.path(), &["migrate", "up"])
        .await
        .failed(1, "migrating failed");
    let database = connection(&url).await;
    assert_eq!(crate::program::tables(&database).await, ["users"]);
    assert_eq!(crate::program::rows(&database, "users").await, 1);
}
