use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Result;
use sqlx::{AssertSqlSafe, Connection as _, Row as _};

use super::*;

/// What every test here prepares: fifteen tables that refer to each other
/// against the alphabet, a generated column, a check, indexes, a trigger, and
/// the rows that migrations leave behind.
async fn shelves(url: String) -> Result<()> {
    let engine = engine_of(&url);
    let (id, live, text) = match engine {
        Engine::MariaDb => ("BINARY(16)", "INT", "VARCHAR(200)"),
        Engine::Postgres => ("BYTEA", "INT", "TEXT"),
        Engine::Sqlite => ("BLOB", "INT", "TEXT"),
    };
    let mut statements = vec![
        "CREATE TABLE seaql_migrations (version VARCHAR(255) PRIMARY KEY, applied_at BIGINT NOT NULL)".to_owned(),
        "INSERT INTO seaql_migrations VALUES ('m20260101_000001_shelves', 1767225600), ('m20260102_it''s \u{e9}', 0)".to_owned(),
        format!("CREATE TABLE zones (id {id} PRIMARY KEY, parent {id} REFERENCES zones (id))"),
        format!(
            "CREATE TABLE books (
                 id {id} NOT NULL PRIMARY KEY,
                 zone_id {id} NOT NULL,
                 slug {text} NOT NULL,
                 copies INT NOT NULL,
                 deleted_at BIGINT,
                 live {live} GENERATED ALWAYS AS (CASE WHEN deleted_at IS NULL THEN 1 END) STORED,
                 CONSTRAINT copies_counted CHECK (copies >= 0),
                 CONSTRAINT books_in_zones FOREIGN KEY (zone_id) REFERENCES zones (id) ON DELETE RESTRICT,
                 CONSTRAINT slug_among_the_living UNIQUE (slug, live)
             )"
        ),
        "CREATE INDEX books_by_copies ON books (copies, id)".to_owned(),
    ];
    for number in 0..12 {
        statements.push(format!(
            "CREATE TABLE loans_{number:02} (id {id} NOT NULL PRIMARY KEY, book_id {id} NOT NULL,
                 note {text}, FOREIGN KEY (book_id) REFERENCES books (id))"
        ));
        statements.push(format!(
            "CREATE INDEX loans_{number:02}_by_book ON loans_{number:02} (book_id)"
        ));
    }
    let hex = |digits: &str| match engine {
        Engine::Postgres => format!("'\\x{digits}'"),
        _ => format!("x'{digits}'"),
    };
    let (zone, book) = (hex(&"0".repeat(32)), hex(&"ff00".repeat(8)));
    statements.push(format!("INSERT INTO zones (id) VALUES ({zone})"));
    statements.push(format!(
        "INSERT INTO books (id, zone_id, slug, copies) VALUES ({book}, {zone}, 'quo''te\u{1f6a2}', 3)"
    ));
    statements.push(match engine {
        Engine::Postgres => "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE EXCEPTION 'books stay'; END $$;
             CREATE TRIGGER books_stay BEFORE DELETE ON books FOR EACH ROW EXECUTE FUNCTION refuse()"
            .to_owned(),
        Engine::MariaDb => "CREATE TRIGGER books_stay BEFORE DELETE ON books FOR EACH ROW
             BEGIN
                 DECLARE open_gates INT;
                 SELECT COUNT(*) INTO open_gates FROM loans_00 WHERE note = 'gate';
                 IF open_gates = 0 THEN
                     SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'books stay';
                 END IF;
             END"
            .to_owned(),
        Engine::Sqlite => "CREATE TRIGGER books_stay BEFORE DELETE ON books
             BEGIN SELECT RAISE(ABORT, 'books stay'); END"
            .to_owned(),
    });
    run_at(engine, &url, &statements.join(";\n")).await
}

async fn nothing(_: String) -> Result<()> {
    Ok(())
}

fn engine_of(url: &str) -> Engine {
    match url.split_once(':') {
        Some(("postgres", _)) => Engine::Postgres,
        Some(("mysql", _)) => Engine::MariaDb,
        _ => Engine::Sqlite,
    }
}

async fn run_at(engine: Engine, url: &str, sql: &str) -> Result<()> {
    rows_at(engine, url, sql).await.map(drop)
}

/// The first column of each row, as text.
async fn rows_at(engine: Engine, url: &str, sql: &str) -> Result<Vec<String>> {
    let sql = AssertSqlSafe(sql.to_owned());
    Ok(match engine {
        Engine::Sqlite => {
            let mut connection = sqlx::SqliteConnection::connect(url).await?;
            let rows = sqlx::raw_sql(sql).fetch_all(&mut connection).await?;
            connection.close().await?;
            let text = |row: &sqlx::sqlite::SqliteRow| row.try_get_unchecked(0);
            rows.iter().map(text).collect::<Result<_, _>>()?
        }
        Engine::Postgres => {
            let mut connection = postgres::connect(url).await?;
            let rows = sqlx::raw_sql(sql).fetch_all(&mut connection).await?;
            connection.close().await?;
            let text = |row: &sqlx::postgres::PgRow| row.try_get_unchecked(0);
            rows.iter().map(text).collect::<Result<_, _>>()?
        }
        Engine::MariaDb => {
            let mut connection = mariadb::connect(url).await?;
            let rows = sqlx::raw_sql(sql).fetch_all(&mut connection).await?;
            connection.close().await?;
            let text = |row: &sqlx::mysql::MySqlRow| row.try_get_unchecked(0);
            rows.iter().map(text).collect::<Result<_, _>>()?
        }
    })
}

impl TestDatabase {
    async fn run(&self, sql: &str) -> Result<()> {
        run_at(self.engine, &self.url, sql).await
    }

    async fn rows(&self, sql: &str) -> Result<Vec<String>> {
        rows_at(self.engine, &self.url, sql).await
    }

    async fn tables(&self) -> Result<Vec<String>> {
        self.rows(match self.engine {
            Engine::Sqlite => "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name",
            Engine::Postgres => {
                "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
            }
            Engine::MariaDb => {
                "SELECT table_name FROM information_schema.tables
                  WHERE table_schema = DATABASE() ORDER BY 1"
            }
        })
        .await
    }

    /// Whether the server, or the file system, knows this database.
    async fn exists(engine: Engine, url: &str) -> bool {
        match engine {
            // Connecting does not make a file that is not there.
            Engine::Sqlite => sqlx::SqliteConnection::connect(url).await.is_ok(),
            Engine::Postgres => postgres::connect(url).await.is_ok(),
            Engine::MariaDb => mariadb::connect(url).await.is_ok(),
        }
    }
}

async fn with_shelves(engine: Engine) -> Option<TestDatabase> {
    database(engine, concat!(module_path!(), "::shelves"), shelves).await
}

fn once_only(test: &str) -> String {
    format!("{test} {}", new_name())
}

/// Removes the template of a fingerprint that will not come again.
async fn forget(engine: Engine, fingerprint: &str) -> Result<()> {
    let key = key(fingerprint);
    match engine {
        Engine::Sqlite => {
            let folder = place::shared()?.join("sqlite");
            std::fs::remove_file(folder.join(format!("{key}.db")))?;
        }
        Engine::Postgres => {
            let server = server(engine).await.expect("at hand");
            let mut admin = postgres::connect(server).await?;
            let template = postgres::template(&mut admin, &key).await?;
            postgres::remove(server, &template.expect("a template")).await?;
        }
        Engine::MariaDb => {
            let server = server(engine).await.expect("at hand");
            let delete = format!("DELETE FROM plimsoll_templates.dumps WHERE id = '{key}'");
            run_at(engine, server, &delete).await?;
        }
    }
    Ok(())
}

crate::on_every_engine! {
    with with_shelves;

    async fn a_copy_has_the_tables_and_the_rows(db) -> Result<()> {
        assert_eq!(db.tables().await?.len(), 15, "{:?}", db.tables().await?);
        let versions = db.rows("SELECT version FROM seaql_migrations ORDER BY version").await?;
        assert_eq!(versions, ["m20260101_000001_shelves", "m20260102_it's \u{e9}"]);
        let slugs = db.rows("SELECT slug FROM books WHERE live = 1 AND copies = 3").await?;
        assert_eq!(slugs, ["quo'te\u{1f6a2}"]);
        let ids = match db.engine {
            Engine::Postgres => "SELECT encode(id, 'hex') FROM books",
            _ => "SELECT LOWER(HEX(id)) FROM books",
        };
        assert_eq!(db.rows(ids).await?, ["ff00".repeat(8)]);
        Ok(())
    }

    async fn a_copy_has_the_constraints_and_the_triggers(db) -> Result<()> {
        let zone = match db.engine {
            Engine::Postgres => format!("'\\x{}'", "0".repeat(32)),
            _ => format!("x'{}'", "0".repeat(32)),
        };
        let insert = |id: &str, zone: &str, slug: &str, copies: i32| format!(
            "INSERT INTO books (id, zone_id, slug, copies) VALUES ('{id}', {zone}, '{slug}', {copies})"
        );
        db.run(&insert("1234567890123456", &zone, "one", 1)).await?;
        let refused = [
            ("the check", insert("2234567890123456", &zone, "two", -1)),
            ("the foreign key", insert("3234567890123456", "'nowhere'", "three", 1)),
            ("the generated column", insert("4234567890123456", &zone, "one", 1)),
            ("the trigger", "DELETE FROM books".to_owned()),
        ];
        for (wall, statement) in refused {
            // SQLite's foreign keys hold where a connection asks for them, as sqlx's do.
            assert!(db.run(&statement).await.is_err(), "{wall} let pass: {statement}");
        }
        Ok(())
    }

    async fn two_copies_share_nothing(db) -> Result<()> {
        let other = with_shelves(db.engine).await.expect("the first one was made");
        assert_ne!(db.url, other.url);
        db.run("DELETE FROM seaql_migrations").await?;
        assert_eq!(db.rows("SELECT version FROM seaql_migrations").await?.len(), 0);
        assert_eq!(other.rows("SELECT version FROM seaql_migrations").await?.len(), 2);
        Ok(())
    }

    async fn a_dropped_database_is_gone(db) {
        let (engine, url) = (db.engine, db.url.clone());
        assert!(TestDatabase::exists(engine, &url).await);
        drop(db);
        assert!(!TestDatabase::exists(engine, &url).await);
    }

    async fn open_transactions_do_not_keep_a_database(db) -> Result<()> {
        let (engine, url) = (db.engine, db.url.clone());
        let began = std::time::Instant::now();
        let write = "UPDATE seaql_migrations SET applied_at = 1";
        match engine {
            Engine::Sqlite => {
                let mut open = sqlx::SqliteConnection::connect(&url).await?;
                sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut open).await?;
                sqlx::raw_sql(write).execute(&mut open).await?;
                drop(db);
                assert!(!TestDatabase::exists(engine, &url).await);
            }
            Engine::Postgres => {
                let mut open = postgres::connect(&url).await?;
                sqlx::raw_sql("BEGIN").execute(&mut open).await?;
                sqlx::raw_sql(write).execute(&mut open).await?;
                drop(db);
                assert!(!TestDatabase::exists(engine, &url).await);
            }
            Engine::MariaDb => {
                let mut open = mariadb::connect(&url).await?;
                sqlx::raw_sql("BEGIN").execute(&mut open).await?;
                sqlx::raw_sql(write).execute(&mut open).await?;
                drop(db);
                assert!(!TestDatabase::exists(engine, &url).await);
            }
        }
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
        Ok(())
    }
}

crate::on_every_engine! {
    with empty_database;

    async fn an_empty_database_has_no_table(db) -> Result<()> {
        assert_eq!(db.tables().await?, Vec::<String>::new());
        db.run("CREATE TABLE notes (id INT)").await?;
        assert_eq!(db.tables().await?, ["notes"]);
        Ok(())
    }

    async fn migrations_run_once_for_a_fingerprint(db) -> Result<()> {
        let engine = db.engine;
        let runs = AtomicU32::new(0);
        let counted = async |url| {
            runs.fetch_add(1, Ordering::SeqCst);
            shelves(url).await
        };
        let (one, other) = (once_only("one"), once_only("other"));
        // Four at a time: they all find no template.
        let made = tokio::join!(
            database(engine, &one, &counted),
            database(engine, &one, &counted),
            database(engine, &one, &counted),
            database(engine, &one, &counted),
        );
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        for db in [made.0, made.1, made.2, made.3] {
            assert_eq!(db.expect("at hand").tables().await?.len(), 15);
        }
        database(engine, &other, &counted).await;
        assert_eq!(runs.load(Ordering::SeqCst), 2);
        forget(engine, &one).await?;
        forget(engine, &other).await
    }

    async fn what_fails_to_prepare_leaves_no_template(db) -> Result<()> {
        let engine = db.engine;
        let fingerprint = once_only("fails");
        let name = fingerprint.clone();
        let broken = async |url: String| {
            run_at(engine_of(&url), &url, "CREATE TABLE half_done (id INT)").await?;
            anyhow::bail!("the second migration is broken")
        };
        let failed = tokio::task::spawn_blocking(move || {
            let made = std::panic::AssertUnwindSafe(|| {
                run(async { database(engine, &name, broken).await.map(drop) });
            });
            std::panic::catch_unwind(made)
        });
        let said = failed.await?.expect_err("a database was made");
        let said = said.downcast_ref::<String>().expect("a message");
        assert!(said.contains("the second migration is broken"), "{said}");

        let mended = database(engine, &fingerprint, nothing).await.expect("at hand");
        assert_eq!(mended.tables().await?, Vec::<String>::new());
        forget(engine, &fingerprint).await
    }

    /// A test body may run on a runtime that has no thread but its own.
    async fn a_drop_ends_where_there_is_one_thread(db) {
        let (engine, url) = (db.engine, db.url.clone());
        let alone = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime starts");
            runtime.block_on(async move { drop(db) });
        });
        tokio::task::spawn_blocking(|| alone.join().expect("the drop does not panic"))
            .await
            .expect("the thread is joined");
        assert!(!TestDatabase::exists(engine, &url).await);
    }
}

#[test]
fn on_mariadb_a_copy_is_what_the_migrations_made() {
    /// Each table as the server writes it, and each trigger with its mode.
    async fn described(db: &TestDatabase) -> Result<Vec<String>> {
        let mut connection = mariadb::connect(&db.url).await?;
        let mut described = Vec::new();
        for table in db.tables().await? {
            let show = AssertSqlSafe(format!("SHOW CREATE TABLE {table}"));
            let row = sqlx::raw_sql(show).fetch_one(&mut connection).await?;
            described.push(row.try_get_unchecked::<String, _>(1)?);
        }
        let triggers = "SELECT CONCAT_WS('|', trigger_name, sql_mode, action_timing,
                event_manipulation, event_object_table, action_order, action_statement)
           FROM information_schema.triggers WHERE trigger_schema = DATABASE() ORDER BY 1";
        described.extend(db.rows(triggers).await?);
        let defaults = "SELECT CONCAT(default_character_set_name, default_collation_name)
           FROM information_schema.schemata WHERE schema_name = DATABASE()";
        described.extend(db.rows(defaults).await?);
        Ok(described)
    }
    async fn particular(url: String) -> Result<()> {
        run_at(
            Engine::MariaDb,
            &url,
            "ALTER DATABASE CHARACTER SET utf8mb4 COLLATE utf8mb4_danish_ci",
        )
        .await?;
        shelves(url.clone()).await?;
        let more = "
            ALTER TABLE zones COMMENT = 'a; b''c', ADD COLUMN name VARCHAR(20)
                CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL DEFAULT 'x;y',
                ADD COLUMN depth INT AS (CHAR_LENGTH(name)) VIRTUAL,
                ADD COLUMN at DATETIME(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6);
            CREATE TABLE counted (id INT AUTO_INCREMENT PRIMARY KEY, data JSON, raw BLOB);
            INSERT INTO counted (data, raw) VALUES ('{\"a\": \"b\\\\n\"}', x''), (NULL, NULL);
            SET sql_mode = 'ANSI_QUOTES';
            CREATE TRIGGER later AFTER UPDATE ON zones FOR EACH ROW
                UPDATE \"books\" SET copies = copies WHERE zone_id = OLD.id;
            CREATE TRIGGER a_later_one AFTER UPDATE ON zones FOR EACH ROW DO 1";
        run_at(Engine::MariaDb, &url, more).await
    }
    run(async {
        let source = empty_database(Engine::MariaDb).await?;
        particular(source.url.clone()).await.expect("a schema");
        let fingerprint = once_only("particular");
        let copy = database(Engine::MariaDb, &fingerprint, particular).await?;
        forget(Engine::MariaDb, &fingerprint)
            .await
            .expect("removed");
        let (source_is, copy_is) = (described(&source).await, described(&copy).await);
        let (source_is, copy_is) = (source_is.expect("a schema"), copy_is.expect("a copy"));
        assert_eq!(source_is.len(), 16 + 3 + 1);
        assert_eq!(source_is, copy_is);
        let rows =
            "SELECT CONCAT_WS('|', id, data, HEX(raw), raw IS NULL) FROM counted ORDER BY id";
        assert_eq!(
            source.rows(rows).await.expect("rows"),
            copy.rows(rows).await.expect("rows"),
        );
        Some(())
    });
}

#[test]
fn on_mariadb_what_a_copy_would_lose_is_refused() {
    run(async {
        for statement in [
            "CREATE VIEW v AS SELECT 1",
            "CREATE SEQUENCE s",
            "CREATE PROCEDURE p() DO 1",
            "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DO 1",
        ] {
            let source = empty_database(Engine::MariaDb).await?;
            source.run(statement).await.expect("a schema");
            let name = source.url.rsplit('/').next().expect("a name");
            let refused = mariadb::dump(&source.url, name).await;
            let error = refused.expect_err(statement).to_string();
            assert!(error.contains("does not carry"), "{error}");
        }
        Some(())
    });
}

#[test]
fn on_mariadb_a_schema_that_names_its_database_is_refused() {
    run(async {
        let source = empty_database(Engine::MariaDb).await?;
        let name = source.url.rsplit('/').next().expect("a name");
        let schema = format!(
            "CREATE TABLE t (id INT);
             CREATE TRIGGER r AFTER DELETE ON t FOR EACH ROW DELETE FROM {name}.t"
        );
        source.run(&schema).await.expect("a schema");
        let error = mariadb::dump(&source.url, name).await.expect_err("refused");
        assert!(
            error.to_string().contains("names its own database"),
            "{error}"
        );
        Some(())
    });
}

/// A name as [`new_name`] makes them, of two hours ago.
fn old_name(prefix: &str) -> String {
    let nonce = RandomState::new().hash_one(0);
    format!("{prefix}{:x}_{nonce:016x}", now().as_secs() - 2 * 60 * 60)
}

#[test]
fn on_postgres_databases_of_killed_tests_are_removed_and_others_stay() {
    run(async {
        let young = empty_database(Engine::Postgres).await?;
        let server = server(Engine::Postgres).await?;
        let make = async |name: &str| {
            let create = format!("CREATE DATABASE {name} TEMPLATE template0");
            run_at(Engine::Postgres, server, &create)
                .await
                .expect("made");
        };
        let template = old_name("plimsoll_template_");
        make(&template).await;
        // Another test that makes a template tidies up, too, and can come between.
        let (old, mut used) = loop {
            let old = old_name("plimsoll_test_");
            make(&old).await;
            match postgres::connect(&with_database(server, &old)).await {
                Ok(used) => break (old, used),
                Err(error) => assert!(format!("{error:#}").contains("does not exist"), "{error:#}"),
            }
        };
        let mut admin = postgres::connect(server).await.expect("up");
        postgres::remove_abandoned(&mut admin)
            .await
            .expect("tidied");
        let there = async |name: &str| {
            TestDatabase::exists(Engine::Postgres, &with_database(server, name)).await
        };
        assert!(there(&old).await, "one in use was removed");
        used.ping().await.expect("still there");
        used.close().await.expect("closed");

        postgres::remove_abandoned(&mut admin)
            .await
            .expect("tidied");
        assert!(!there(&old).await, "one of a killed test stays");
        assert!(there(&template).await, "a template of today was removed");
        assert!(TestDatabase::exists(Engine::Postgres, &young.url).await);
        postgres::remove(server, &template).await.expect("removed");
        Some(())
    });
}

#[test]
fn on_mariadb_databases_of_killed_tests_are_removed_and_others_stay() {
    run(async {
        let young = with_shelves(Engine::MariaDb).await?;
        let server = server(Engine::MariaDb).await?;
        let old = old_name("plimsoll_test_");
        let mut admin = mariadb::connect(server).await.expect("up");
        let create = AssertSqlSafe(format!("CREATE DATABASE {old}"));
        sqlx::raw_sql(create)
            .execute(&mut admin)
            .await
            .expect("made");
        mariadb::remove_abandoned(&mut admin).await.expect("tidied");
        assert!(!TestDatabase::exists(Engine::MariaDb, &with_database(server, &old)).await);
        assert!(TestDatabase::exists(Engine::MariaDb, &young.url).await);
        Some(())
    });
}

#[test]
fn folders_of_killed_tests_are_removed_and_young_ones_stay() {
    let folder = tempfile::tempdir().expect("a folder");
    let aged = |name: &str, age: Duration| {
        let path = folder.path().join(name);
        if name.ends_with(".db") {
            std::fs::write(&path, "").expect("a file");
        } else {
            std::fs::create_dir(&path).expect("a folder");
        }
        let file = File::open(&path).expect("opened");
        file.set_modified(SystemTime::now() - age).expect("aged");
        path
    };
    let hour = Duration::from_secs(60 * 60);
    let (killed, young) = (aged("test-killed", 2 * hour), aged("test-young", hour / 2));
    let (old, current) = (aged("old.db", 8 * 24 * hour), aged("current.db", 2 * hour));
    sqlite::remove_abandoned(folder.path());
    assert!(!killed.exists() && !old.exists());
    assert!(young.exists() && current.exists());
}

#[test]
fn a_template_on_sqlite_is_one_file() {
    run(async {
        let fingerprint = once_only("write-ahead");
        let prepare = async |url: String| {
            run_at(
                Engine::Sqlite,
                &url,
                "PRAGMA journal_mode = WAL; CREATE TABLE t (id INT)",
            )
            .await
        };
        let copy = database(Engine::Sqlite, &fingerprint, prepare).await?;
        let folder = place::shared().expect("a folder").join("sqlite");
        let template = folder.join(format!("{}.db", key(&fingerprint)));
        assert!(template.exists());
        assert!(!template.with_extension("db-wal").exists());
        assert_eq!(copy.tables().await.expect("tables"), ["t"]);
        forget(Engine::Sqlite, &fingerprint).await.expect("removed");
        Some(())
    });
}

#[test]
fn a_file_with_marks_of_a_url_in_its_name_is_found() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("50% of what? #1 \u{e9}.db");
    std::fs::write(&file, "").expect("a file");
    run(async {
        let url = sqlite::url(&file).expect("UTF-8");
        run_at(Engine::Sqlite, &url, "CREATE TABLE t (id INT)")
            .await
            .expect("opened");
        assert!(file.metadata().expect("there").len() > 0);
        Some(())
    });
}

#[test]
fn the_server_url_is_kept_but_for_the_database() {
    let cases = [
        (
            "postgres://root@127.0.0.1/postgres",
            "postgres://root@127.0.0.1/x",
        ),
        ("mysql://root@127.0.0.1/", "mysql://root@127.0.0.1/x"),
        ("mysql://a:b@[::1]:3307", "mysql://a:b@[::1]:3307/x"),
        (
            "postgres://h/a?sslmode=disable",
            "postgres://h/x?sslmode=disable",
        ),
        ("postgres:///a?host=/var/run", "postgres:///x?host=/var/run"),
    ];
    for (server, expected) in cases {
        assert_eq!(with_database(server, "x"), expected);
    }
}

#[test]
fn a_line_names_all_engines_that_are_not_at_hand() {
    assert_eq!(missing_line(&[]), None);
    let line = missing_line(&[Engine::Postgres, Engine::MariaDb]).expect("a line");
    assert!(
        line.contains("PostgreSQL, MariaDB")
            && line.contains("TEST_POSTGRES_URL, TEST_MARIADB_URL")
    );
    assert!(!line.contains('\n'));
    let line = missing_line(&[Engine::MariaDb]).expect("a line");
    assert!(!line.contains("Postgre"));
}

#[test]
fn only_names_of_test_databases_have_an_age() {
    assert!(age(&new_name(), "plimsoll_test_").expect("ours") < Duration::from_secs(60));
    let two_hours = age(&old_name("plimsoll_test_"), "plimsoll_test_").expect("ours");
    assert!(two_hours > ABANDONED_AFTER);
    for name in [
        "plimsoll",
        "plimsoll_test_",
        "plimsoll_test_1_mine",
        "plimsoll_templates",
    ] {
        assert_eq!(age(name, "plimsoll_test_"), None, "{name}");
    }
}

#[test]
#[should_panic(expected = "the test returned an error")]
fn a_body_that_returns_an_error_fails_its_test() {
    run(async { Some(anyhow::Result::<()>::Err(anyhow::anyhow!("no"))) });
}

#[cfg(unix)]
mod throwaway_servers {
    use std::process::{Child, Command};
    use std::time::Instant;

    use tempfile::TempDir;

    use super::super::{place, throwaway};
    use super::*;

    /// A supervised "server" that does nothing, in a folder of its own.
    fn idle_server(shared: &TempDir) -> (std::path::PathBuf, Child, File) {
        let folder = shared.path().join("idle-1");
        std::fs::create_dir(&folder).expect("a folder");
        let used = place::open_to_append(&folder.join("users")).expect("a file");
        used.lock_shared().expect("a lock");
        // The folder is among its arguments, as it is among a server's.
        let serve = ["sh", "-c", "sleep 300; :", folder.to_str().expect("UTF-8")];
        let supervisor = throwaway::supervise_for_test(&folder, Duration::from_secs(1), &serve);
        wait_until("the server runs", || id(&folder).is_some());
        (folder, supervisor.expect("a supervisor"), used)
    }

    fn id(folder: &Path) -> Option<String> {
        let id = std::fs::read_to_string(folder.join("pid")).ok()?;
        id.ends_with('\n').then(|| id.trim().to_owned())
    }

    fn runs(id: &str) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        !status.is_empty() && !status.contains(") Z ")
    }

    fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
        let began = Instant::now();
        while !holds() {
            assert!(began.elapsed() < Duration::from_secs(20), "never: {what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[test]
    fn a_server_ends_after_its_last_user_and_takes_its_folder_along() {
        let shared = tempfile::tempdir().expect("a folder");
        let (folder, mut supervisor, first) = idle_server(&shared);
        let server = id(&folder).expect("a server");

        let second = throwaway::enter(&folder).expect("a lock").expect("it runs");
        drop(first);
        // Longer than an unused one is kept.
        std::thread::sleep(Duration::from_millis(2500));
        assert!(runs(&server), "it ended while it was used");

        drop(second);
        wait_until("it ends", || {
            supervisor.try_wait().expect("a child").is_some()
        });
        assert!(!runs(&server));
        assert!(!folder.exists());
        assert!(throwaway::enter(&folder).expect("no error").is_none());
    }

    #[test]
    fn a_user_that_comes_and_goes_keeps_the_server_for_another_while() {
        let shared = tempfile::tempdir().expect("a folder");
        let (folder, mut supervisor, first) = idle_server(&shared);
        drop(first);
        let began = Instant::now();
        // Five short visits, each within a second of the last one.
        for _ in 0..5 {
            std::thread::sleep(Duration::from_millis(500));
            throwaway::enter(&folder).expect("a lock").expect("it runs");
        }
        wait_until("it ends", || {
            supervisor.try_wait().expect("a child").is_some()
        });
        assert!(
            began.elapsed() > Duration::from_secs(3),
            "{:?}",
            began.elapsed()
        );
    }

    #[test]
    fn the_kernel_takes_a_killed_user_off_the_list() {
        let shared = tempfile::tempdir().expect("a folder");
        let (folder, mut supervisor, first) = idle_server(&shared);
        let users = folder.join("users");
        let mut user = Command::new("flock")
            .args(["--shared", "--no-fork"])
            .arg(&users)
            .args(["sleep", "300"])
            .spawn()
            .expect("a user");
        let entered = File::open(&users).expect("a file");
        drop(first);
        wait_until("it is used", || {
            let is_used = entered.try_lock().is_err();
            let _ = entered.unlock();
            is_used
        });
        user.kill().expect("killed");
        user.wait().expect("gone");
        wait_until("it ends", || {
            supervisor.try_wait().expect("a child").is_some()
        });
    }

    #[test]
    fn a_server_that_ends_by_itself_is_not_entered() {
        let shared = tempfile::tempdir().expect("a folder");
        let (folder, mut supervisor, used) = idle_server(&shared);
        let server = id(&folder).expect("a server");
        Command::new("kill").arg(&server).status().expect("killed");
        wait_until("the supervisor ends", || {
            supervisor.try_wait().expect("a child").is_some()
        });
        assert!(throwaway::enter(&folder).expect("no error").is_none());
        drop(used);
    }

    #[test]
    fn what_a_killed_supervisor_left_is_ended_and_what_runs_stays() {
        let shared = tempfile::tempdir().expect("a folder");
        let (folder, mut supervisor, used) = idle_server(&shared);
        let server = id(&folder).expect("a server");
        throwaway::remove_dead(shared.path(), "idle").expect("tidied");
        assert!(
            runs(&server) && folder.exists(),
            "a supervised one was removed"
        );

        supervisor.kill().expect("killed");
        supervisor.wait().expect("gone");
        assert!(throwaway::enter(&folder).expect("no error").is_none());
        throwaway::remove_dead(shared.path(), "idle").expect("tidied");
        if Path::new("/proc/self/cmdline").exists() {
            wait_until("the server ends", || !runs(&server));
        }
        assert!(!folder.exists());
        drop(used);
    }

    #[test]
    fn a_process_that_only_has_the_number_of_a_server_is_left_alone() {
        let shared = tempfile::tempdir().expect("a folder");
        let folder = shared.path().join("idle-1");
        std::fs::create_dir(&folder).expect("a folder");
        let mut bystander = Command::new("sleep").arg("300").spawn().expect("a process");
        std::fs::write(folder.join("pid"), format!("{}\n", bystander.id())).expect("a file");
        throwaway::remove_dead(shared.path(), "idle").expect("tidied");
        assert!(!folder.exists());
        assert!(
            bystander.try_wait().expect("a child").is_none(),
            "it was ended"
        );
        bystander.kill().expect("killed");
        bystander.wait().expect("gone");
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_not_trusted() {
        use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
        let folder = tempfile::tempdir().expect("a folder");
        let user = folder.path().metadata().expect("there").uid();
        place::owned(folder.path(), user).expect("it is ours alone");

        assert!(place::owned(folder.path(), user + 1).is_err());
        let link = folder.path().join("link");
        symlink(folder.path(), &link).expect("a link");
        assert!(place::owned(&link, user).is_err());
        let open = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(folder.path(), open).expect("opened");
        assert!(place::owned(folder.path(), user).is_err());
    }
}
