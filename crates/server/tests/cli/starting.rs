//! The first minutes of a new user, and the first start of an operator.

use plimsoll_testkit::{engines::empty_database, on_every_engine};
use serde_json::json;

use crate::program::{
    Server, command, connection, dump, end, end_with_input, on, rows, run, serve, try_serve,
};

const ADMIN: &str = "admin@plimsoll.invalid";

/// What stands after a word in the greeting.
#[track_caller]
fn said<'a>(greeting: &'a str, word: &str) -> &'a str {
    greeting
        .lines()
        .find_map(|line| line.trim().strip_prefix(word))
        .map(|rest| rest.split_whitespace().next().unwrap_or_default())
        .unwrap_or_else(|| panic!("{word} is not in {greeting}"))
}

async fn titles(server: &Server) -> Vec<String> {
    let query = "{ posts(first: 50) { edges { node { title author { name } } } } }";
    let answer = server.ask(None, query, json!({})).await.expect("an answer");
    let edges = answer["data"]["posts"]["edges"].as_array();
    let edges = edges.unwrap_or_else(|| panic!("{answer:#}"));
    edges
        .iter()
        .map(|edge| edge["node"]["title"].as_str().expect("a title").to_owned())
        .collect()
}

#[tokio::test]
async fn the_first_start_makes_a_demo_and_the_second_leaves_it_as_it_is() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = serve(dir.path(), &[], &[]).await;
    let greeting = server.greeting.clone();
    assert!(greeting.lines().count() <= 6, "a few lines: {greeting}");
    assert!(greeting.lines().all(|line| line.len() <= 120), "{greeting}");
    assert_eq!(said(&greeting, "login"), ADMIN);
    let password = said(&greeting, "password").to_owned();
    assert_eq!(password.len(), 20, "{greeting}");
    assert!(
        server.url.starts_with("http://127.0.0.1:"),
        "loopback: {}",
        server.url
    );

    let token = server.token(ADMIN, &password).await;
    assert_eq!(server.viewer(&token).await["role"], "ADMIN");
    let wrong = server.login(ADMIN, "not the password").await;
    assert_eq!(wrong["token"], json!(null));
    assert_eq!(titles(&server).await.len(), 6, "the drafts are not shown");

    let home = server.get("/").await;
    assert!(home.status().is_redirection(), "{home:?}");
    assert_eq!(home.headers()["location"], "/graphiql");
    let page = server.get("/graphiql").await;
    assert_eq!(page.status(), 200);
    assert!(
        page.text()
            .await
            .expect("a page")
            .to_lowercase()
            .contains("graphiql")
    );
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(server.get(path).await.status(), 200, "{path}");
    }
    assert_eq!(server.get("/nothing").await.status(), 404);
    server.stop().await.well();

    let files: Vec<_> = std::fs::read_dir(dir.path())
        .expect("a folder")
        .map(|file| file.expect("a file").file_name())
        .collect();
    assert_eq!(files, ["plimsoll.db"], "one file, and nothing beside it");

    let url = format!("sqlite:{}", dir.path().join("plimsoll.db").display());
    let before = dump(&url).await;
    let server = serve(dir.path(), &["serve"], &[]).await;
    assert!(server.greeting.contains("as it was"), "{}", server.greeting);
    assert!(!server.greeting.contains("password"), "{}", server.greeting);
    server.stop().await.well();
    assert_eq!(dump(&url).await, before);

    let server = serve(dir.path(), &[], &[]).await;
    server.token(ADMIN, &password).await;
    server.stop().await.well();
}

#[tokio::test]
async fn two_demos_have_passwords_of_their_own() {
    let mut passwords = Vec::new();
    for _ in 0..2 {
        let dir = tempfile::tempdir().expect("a folder");
        let server = serve(dir.path(), &[], &[]).await;
        passwords.push(said(&server.greeting, "password").to_owned());
        server.stop().await.well();
    }
    assert_ne!(passwords[0], passwords[1]);
}

#[tokio::test]
async fn a_first_start_that_was_killed_is_made_good_by_the_next() {
    let dir = tempfile::tempdir().expect("a folder");
    for wait in [5, 20, 40, 60, 80, 120] {
        let mut child = command(dir.path(), &[])
            .env("PLIMSOLL_LISTEN", "127.0.0.1:0")
            .spawn()
            .expect("the program starts");
        tokio::time::sleep(std::time::Duration::from_millis(wait)).await;
        child.kill().await.expect("it can be killed");
        if dir.path().join("plimsoll.db").exists() {
            break;
        }
    }
    // Either nothing is there yet, or all of it.
    let server = serve(dir.path(), &[], &[]).await;
    assert_eq!(titles(&server).await.len(), 6);
    server.stop().await.well();
    let url = format!("sqlite:{}", dir.path().join("plimsoll.db").display());
    let database = connection(&url).await;
    assert_eq!(rows(&database, "users").await, 4);
}

#[tokio::test]
async fn a_port_that_is_taken_makes_no_demo() {
    let dir = tempfile::tempdir().expect("a folder");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    run(dir.path(), &["--listen", &address], &[])
        .await
        .refused("is in use");
    assert!(!dir.path().join("plimsoll.db").exists());
}

on_every_engine! {
    with empty_database;

    async fn a_named_database_is_neither_migrated_nor_seeded_unasked(database) {
        let dir = tempfile::tempdir().expect("a folder");
        let url = database.url.as_str();
        let listen = ("PLIMSOLL_LISTEN", "127.0.0.1:0");
        run(dir.path(), &["serve"], &[("DATABASE_URL", url), listen])
            .await
            .refused("not migrated");
        for command in [
            vec!["seed"],
            vec!["import", "."],
            vec!["user", "create", "--email", "a@b.c"],
        ] {
            on(url, dir.path(), &command).await.refused("plimsoll migrate up");
        }
        let inside = connection(url).await;
        assert_eq!(crate::program::tables(&inside).await, [""; 0], "nothing was made");

        let variables = [("DATABASE_URL", url), ("PLIMSOLL_MIGRATE", "true")];
        let server = serve(dir.path(), &[], &variables).await;
        assert_eq!(server.greeting.lines().filter(|line| line.contains("password")).count(), 0);
        assert_eq!(titles(&server).await, [""; 0]);
        assert_eq!(rows(&inside, "users").await, 0, "nobody was made");
        assert_eq!(rows(&inside, "posts").await, 0);
        server.stop().await.well();
        assert_eq!(std::fs::read_dir(dir.path()).expect("a folder").count(), 0);

        // The option says the same, and once is enough.
        let server = serve(dir.path(), &["serve", "--migrate"], &[("DATABASE_URL", url)]).await;
        server.stop().await.well();
        let server = try_serve(dir.path(), &["serve"], &[("DATABASE_URL", url)]).await;
        server.unwrap_or_else(|ended| panic!("{ended:#?}")).stop().await.well();
    }

    async fn the_first_administrator_comes_from_the_command_line(database) {
        let dir = tempfile::tempdir().expect("a folder");
        let url = database.url.as_str();
        on(url, dir.path(), &["migrate", "up"]).await.well();
        let create = ["user", "create", "--email", "Root@Example.org", "--role", "admin"];
        let made = on(url, dir.path(), &create).await.well();
        let password = said(&made, "password");

        let given = "  spaces count  ";
        let more = ["user", "create", "--email", "mod@example.org", "--name", "Mo",
            "--role", "moderator", "--password-stdin"];
        let printed = end_with_input(
            command(dir.path(), &more).env("DATABASE_URL", url),
            &format!("{given}\n"),
        )
        .await
        .well();
        assert!(!printed.contains("password"), "{printed}");

        let again = ["user", "create", "--email", "ROOT@example.org"];
        on(url, dir.path(), &again).await.failed(1, "taken");
        let bad = ["user", "create", "--email", "nobody"];
        on(url, dir.path(), &bad).await.refused("email");
        let short = ["user", "create", "--email", "c@d.e", "--password-stdin"];
        let short = &mut command(dir.path(), &short);
        end_with_input(short.env("DATABASE_URL", url), "short\n").await.refused("password");
        let empty = &mut command(dir.path(), &["user", "create", "--email", "c@d.e", "--password-stdin"]);
        end(empty.env("DATABASE_URL", url)).await.refused("password");

        let server = serve(dir.path(), &[], &[("DATABASE_URL", url)]).await;
        let root = server.token("root@example.org", password).await;
        assert_eq!(server.viewer(&root).await, json!({ "user": { "name": "Root" }, "role": "ADMIN" }));
        let moderator = server.token("mod@example.org", given).await;
        assert_eq!(server.viewer(&moderator).await, json!({ "user": { "name": "Mo" }, "role": "MODERATOR" }));
        let inside = connection(url).await;
        assert_eq!(rows(&inside, "users").await, 2);
        server.stop().await.well();
    }
}
