//! The schema's way up and down, alone and beside others.

use std::time::{Duration, Instant};

use plimsoll_migration::Schema;
use plimsoll_testkit::{Engine, TestDatabase, engines::empty_database, on_every_engine};
use sea_orm::ConnectionTrait as _;

use crate::program::{column, connection, execute, on, rows, run, serve, tables, try_serve};

/// Lines like these, whatever the steps are called.
fn states(printed: &str) -> Vec<&str> {
    let states = printed.lines().map(|line| line.split("  ").next());
    states.map(Option::unwrap_or_default).collect()
}

/// Takes the lock that a run of the migrations takes, and holds it while `work` runs.
async fn with_the_lock<T>(database: &TestDatabase, work: impl Future<Output = T>) -> T {
    let other = connection(&database.url).await;
    let key = i64::from_be_bytes(*b"plimsoll");
    let (take, give) = match database.engine {
        Engine::Sqlite => ("BEGIN IMMEDIATE".to_owned(), "ROLLBACK"),
        Engine::Postgres => (
            format!("SELECT pg_advisory_lock({key})"),
            "SELECT pg_advisory_unlock_all()",
        ),
        Engine::MariaDb => (
            "DO GET_LOCK(CONCAT('plimsoll-', MD5(DATABASE())), 1)".to_owned(),
            "DO RELEASE_LOCK(CONCAT('plimsoll-', MD5(DATABASE())))",
        ),
    };
    execute(&other, &take).await;
    let done = work.await;
    execute(&other, give).await;
    done
}

on_every_engine! {
    with empty_database;

    async fn up_down_status_and_fresh_do_what_they_say(database) {
        let dir = tempfile::tempdir().expect("a folder");
        let migrate = async |step: &str| {
            on(&database.url, dir.path(), &["migrate", step]).await.well()
        };
        let inside = connection(&database.url).await;
        let printed = migrate("status").await;
        assert!(!states(&printed).is_empty());
        assert!(states(&printed).iter().all(|state| *state == "pending"), "{printed}");
        assert_eq!(tables(&inside).await, [""; 0], "looking changes nothing");

        let printed = migrate("up").await;
        assert!(states(&printed).iter().all(|state| *state == "applied"), "{printed}");
        let all = tables(&inside).await;
        assert!(all.contains(&"posts".to_owned()), "{all:?}");
        assert_eq!(migrate("up").await, printed, "a second time changes nothing");
        assert_eq!(migrate("status").await, printed);

        let create = ["user", "create", "--email", "a@b.c"];
        on(&database.url, dir.path(), &create).await.well();
        assert_eq!(migrate("up").await, printed);
        assert_eq!(rows(&inside, "users").await, 1);
        assert_eq!(migrate("fresh").await, printed);
        assert_eq!((rows(&inside, "users").await, tables(&inside).await), (0, all.clone()));

        let steps = states(&printed).len().to_string();
        let down = ["migrate", "down", "-n", &steps];
        let down = on(&database.url, dir.path(), &down).await.well();
        assert!(states(&down).iter().all(|state| *state == "pending"), "{down}");
        assert_eq!(tables(&inside).await, ["seaql_migrations"]);
        assert_eq!(migrate("up").await, printed);
        assert_eq!(tables(&inside).await, all);
    }

    async fn instances_that_start_at_once_migrate_one_after_the_other(database) {
        let dir = tempfile::tempdir().expect("a folder");
        let url = database.url.as_str();
        let up = || on(url, dir.path(), &["migrate", "up"]);
        let variables = [("DATABASE_URL", url)];
        let serve = || try_serve(dir.path(), &["serve", "--migrate"], &variables);
        let (one, two, three, four) = tokio::join!(up(), serve(), up(), serve());
        one.well();
        three.well();
        for server in [two, four] {
            let server = server.unwrap_or_else(|ended| panic!("{ended:#?}"));
            assert_eq!(server.get("/health/ready").await.status(), 200);
            server.stop().await.well();
        }
        let steps = Schema::connect(url, false).await.expect("a connection");
        assert!(steps.pending().await.expect("the steps").is_empty());
        let inside = connection(url).await;
        assert_eq!(rows(&inside, "seaql_migrations").await, steps.steps().await.expect("the steps").len());
        // The way down is as safe: one step for each that asks, and no more than there are.
        let down = || on(url, dir.path(), &["migrate", "down"]);
        let (one, two) = tokio::join!(down(), down());
        one.well();
        two.well();
        steps.close().await.expect("the connection closes");
    }

    async fn a_run_waits_for_another_and_not_for_ever(database) {
        let url = database.url.as_str();
        let schema = Schema::connect(url, false).await.expect("a connection");
        let schema = schema.waiting(Duration::from_millis(500));
        let begun = Instant::now();
        let refused = with_the_lock(&database, schema.up()).await;
        let refused = refused.expect_err("the lock is held");
        assert!(begun.elapsed() >= Duration::from_millis(500), "{:?}", begun.elapsed());
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        let sentence = plimsoll_migration::explain(&refused);
        assert!(sentence.contains("another program has been changing the schema"), "{sentence}");

        let schema = schema.waiting(Duration::from_secs(20));
        let pause = tokio::time::sleep(Duration::from_millis(300));
        let (_, done) = tokio::join!(with_the_lock(&database, pause), async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            schema.up().await
        });
        done.expect("the other has finished");
        assert_eq!(schema.pending().await.expect("the steps"), [""; 0]);
        schema.close().await.expect("the connection closes");
    }

    async fn the_walls_come_and_go_with_their_step(database) {
        let dir = tempfile::tempdir().expect("a folder");
        let url = database.url.as_str();
        let inside = connection(url).await;
        let migrate = async |step: &[&str]| on(url, dir.path(), step).await.well();
        let create = async || {
            let create = ["user", "create", "--email", "a@b.c"];
            on(url, dir.path(), &create).await.well();
        };
        let by_hand = async || {
            inside.execute_unprepared("UPDATE users SET updated_at = created_at").await.is_ok()
        };
        migrate(&["migrate", "up"]).await;
        create().await;
        assert!(!by_hand().await);

        let schema = Schema::connect(url, false).await.expect("a connection");
        let steps = schema.steps().await.expect("the steps");
        schema.close().await.expect("the connection closes");
        let walls = steps.iter().rev().position(|step| step.name.ends_with("_walls"));
        let down = (walls.expect("there is such a step") + 1).to_string();
        migrate(&["migrate", "down", "-n", &down]).await;
        assert!(by_hand().await);
        migrate(&["migrate", "up"]).await;
        assert!(!by_hand().await);

        migrate(&["migrate", "fresh"]).await;
        create().await;
        assert!(!by_hand().await);
    }

    async fn a_gate_that_somebody_left_open_is_shut_when_the_server_starts(database) {
        let dir = tempfile::tempdir().expect("a folder");
        let url = database.url.as_str();
        on(url, dir.path(), &["migrate", "up"]).await.well();
        let inside = connection(url).await;
        if database.engine == Engine::Sqlite {
            execute(&inside, "PRAGMA foreign_keys = OFF").await;
        }
        let open = "INSERT INTO wall_gate (id, reason) \
                    VALUES ('0123456789abcdef', 'a repair by hand')";
        let left_open = inside.execute_unprepared(open).await.is_ok();
        assert_eq!(left_open, database.engine != Engine::Postgres);
        let server = serve(dir.path(), &[], &[("DATABASE_URL", url)]).await;
        assert_eq!(rows(&inside, "wall_gate").await, 0);
        let ended = server.stop().await;
        assert_eq!(ended.stderr.contains("a repair by hand"), left_open, "{ended:#?}");
        ended.well();
    }

    async fn where_triggers_need_super_a_migration_says_so_or_goes_on_knowingly(database) {
        let inside = connection(&database.url).await;
        if database.engine != Engine::MariaDb
            || column(&inside, "SELECT CAST(@@log_bin AS CHAR)").await != ["1"]
        {
            // They need no more than the tables do.
            return;
        }
        let (_, place) = database.url.rsplit_once('@').expect("the URL names an account");
        let (_, name) = place.rsplit_once('/').expect("the URL names a database");
        let account = format!("{name}_walls");
        for statement in [
            format!("CREATE USER {account} IDENTIFIED BY 'secret'"),
            format!("GRANT ALL ON {name}.* TO {account}"),
        ] {
            execute(&inside, &statement).await;
        }
        let dir = tempfile::tempdir().expect("a folder");
        let url = format!("mysql://{account}:secret@{place}");
        let migrate = async |variables: &[(&str, &str)]| {
            let variables = [&[("DATABASE_URL", url.as_str())], variables].concat();
            run(dir.path(), &["migrate", "up"], &variables).await
        };
        let refused = migrate(&[]).await;
        refused.failed(1, "set log_bin_trust_function_creators = 1 on the server");
        migrate(&[]).await.failed(1, "or set PLIMSOLL_WITHOUT_TRIGGERS=1 to go on without");
        migrate(&[("PLIMSOLL_WITHOUT_TRIGGERS", "0")]).await.failed(1, "triggers");
        let printed = migrate(&[("PLIMSOLL_WITHOUT_TRIGGERS", "1")]).await.well();
        assert!(states(&printed).iter().all(|state| *state == "applied"), "{printed}");
        let create = ["user", "create", "--email", "a@b.c"];
        on(&url, dir.path(), &create).await.well();
        execute(&inside, "DELETE FROM users").await;

        // Whoever may make triggers later takes the step back and applies it again.
        on(&url, dir.path(), &["migrate", "down"]).await.well();
        on(&database.url, dir.path(), &["migrate", "up"]).await.well();
        on(&url, dir.path(), &create).await.well();
        assert!(inside.execute_unprepared("DELETE FROM users").await.is_err());
        execute(&inside, &format!("DROP USER {account}")).await;
    }

    async fn a_database_that_a_newer_release_migrated_is_refused(database) {
        let dir = tempfile::tempdir().expect("a folder");
        let url = database.url.as_str();
        on(url, dir.path(), &["migrate", "up"]).await.well();
        let inside = connection(url).await;
        let newer = "m20991231_000001_from_the_future";
        execute(
            &inside,
            &format!("INSERT INTO seaql_migrations (version, applied_at) VALUES ('{newer}', 0)"),
        )
        .await;
        for command in [
            vec!["serve"],
            vec!["serve", "--migrate"],
            vec!["migrate", "up"],
            vec!["migrate", "down"],
            vec!["migrate", "status"],
            vec!["seed"],
            vec!["import", "."],
            vec!["user", "create", "--email", "a@b.c"],
        ] {
            let listen = ("PLIMSOLL_LISTEN", "127.0.0.1:0");
            run(dir.path(), &command, &[("DATABASE_URL", url), listen]).await.refused(newer);
        }
        assert!(tables(&inside).await.contains(&"posts".to_owned()), "nothing was taken back");
        on(url, dir.path(), &["migrate", "fresh"]).await.well();
        let server = serve(dir.path(), &[], &[("DATABASE_URL", url)]).await;
        server.stop().await.well();
    }
}
