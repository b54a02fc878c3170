//! The engines that all this runs on.

use std::io::Write as _;

use plimsoll_testkit::{Engine, on_every_engine};
use sea_orm::{ConnectionTrait as _, Database, Statement};

on_every_engine! {
    async fn the_engine_is_not_older_than_the_readme_asks(world) {
        let (question, oldest) = match world.engine {
            // For `unhex` (SQLite's release notes); it is the one that is built in.
            Engine::Sqlite => ("SELECT sqlite_version() AS version", [3, 41]),
            Engine::Postgres => ("SELECT current_setting('server_version') AS version", [13, 0]),
            Engine::MariaDb => ("SELECT VERSION() AS version", [10, 6]),
        };
        let url = &world.database.url;
        let connection = Database::connect(url).await.expect("the engine answers");
        let backend = connection.get_database_backend();
        let row = connection.query_one_raw(Statement::from_string(backend, question)).await;
        let row = row.expect("the engine answers").expect("it has a version");
        let said: String = row.try_get("", "version").expect("a version is a text");
        let version = said.split(['-', ' ']).next().unwrap_or_default();
        let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
        let found = [numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)];
        assert!(found >= oldest, "{} {said}", world.engine);
        // Past the test harness, which keeps what a passing test prints to itself: the page of
        // what holds on which engine names it.
        let line = format!("plimsoll-tests: on {} {version}\n", world.engine);
        std::io::stderr().write_all(line.as_bytes()).expect("there is somebody to tell");
    }
}
