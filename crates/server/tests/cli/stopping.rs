//! How the server ends: asked to, and not asked.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use plimsoll_testkit::{Engine, TestDatabase, engines::empty_database, on_every_engine};
use sea_orm::DatabaseConnection;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use crate::program::{Server, column, connection, execute, on, serve};

const CREATE: &str = "mutation($input: CreateTagInput!) { createTag(input: $input) \
                      { tag { name } errors { __typename message } } }";

/// A server on a new database, and the token of its administrator.
async fn with_admin(url: &str, dir: &Path, variables: &[(&str, &str)]) -> (Server, String) {
    on(url, dir, &["migrate", "up"]).await.well();
    let create = [
        "user",
        "create",
        "--email",
        "root@example.org",
        "--role",
        "admin",
    ];
    let printed = on(url, dir, &create).await.well();
    let password = printed
        .lines()
        .find_map(|line| line.trim().strip_prefix("password"));
    let password = password.and_then(|rest| rest.split_whitespace().next());
    let password = password.expect("a password");
    let variables = [variables, &[("DATABASE_URL", url)]].concat();
    let server = serve(dir, &[], &variables).await;
    let token = server.token("root@example.org", password).await;
    (server, token)
}

fn tag(name: &str) -> Value {
    json!({ "input": { "name": name } })
}

/// Keeps everybody else from writing tags, until it is let go.
struct Blocked(DatabaseConnection, Engine);

impl Blocked {
    async fn tags(database: &TestDatabase) -> Self {
        let inside = connection(&database.url).await;
        match database.engine {
            Engine::Sqlite => execute(&inside, "BEGIN IMMEDIATE").await,
            Engine::Postgres => {
                execute(&inside, "BEGIN").await;
                execute(&inside, "LOCK TABLE tags IN EXCLUSIVE MODE").await;
            }
            Engine::MariaDb => execute(&inside, "LOCK TABLES tags READ").await,
        }
        Self(inside, database.engine)
    }

    async fn release(self) {
        match self.1 {
            Engine::MariaDb => execute(&self.0, "UNLOCK TABLES").await,
            _ => execute(&self.0, "ROLLBACK").await,
        }
        self.0.close().await.expect("the connection closes");
    }
}

async fn tags(database: &TestDatabase) -> Vec<String> {
    let inside = connection(&database.url).await;
    column(&inside, "SELECT name FROM tags ORDER BY 1").await
}

/// Waits until the server takes no more connections.
async fn deaf(server: &str) {
    let address = server.strip_prefix("http://").expect("an address");
    let begun = Instant::now();
    while TcpStream::connect(address).await.is_ok() {
        assert!(
            begun.elapsed().as_secs() < 10,
            "new requests are still taken"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

on_every_engine! {
    with empty_database;

    async fn sigterm_lets_requests_and_abandoned_writes_end(database) {
        let dir = tempfile::tempdir().expect("a folder");
        let (server, token) = with_admin(&database.url, dir.path(), &[]).await;
        let blocked = Blocked::tags(&database).await;
        let begun = Instant::now();
        let (first, ()) = tokio::join!(
            server.ask(Some(&token), CREATE, tag("waited for")),
            async {
                // A client that goes away leaves its write behind.
                let gone = server.ask(Some(&token), CREATE, tag("left behind"));
                let gone = tokio::time::timeout(Duration::from_millis(400), gone).await;
                assert!(gone.is_err(), "it had to wait: {gone:?}");
                server.signal("TERM").await;
                deaf(&server.url).await;
                blocked.release().await;
            }
        );
        let first = first.expect("a request under way is answered");
        assert_eq!(first["data"]["createTag"]["tag"]["name"], "waited for", "{first:#}");
        let ended = server.ended().await;
        assert!(ended.stderr.contains("stopping"), "{ended:#?}");
        ended.well();
        assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
        assert_eq!(tags(&database).await, ["left behind", "waited for"]);
    }

    async fn what_takes_longer_than_the_grace_is_cut_whole(database) {
        let dir = tempfile::tempdir().expect("a folder");
        let (server, token) = with_admin(&database.url, dir.path(), &[("PLIMSOLL_GRACE", "1")]).await;
        let blocked = Blocked::tags(&database).await;
        let begun = Instant::now();
        let (answer, ()) = tokio::join!(server.ask(Some(&token), CREATE, tag("cut")), async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            server.signal("TERM").await;
        });
        assert!(answer.is_err(), "nobody is told that it was made: {answer:?}");
        let ended = server.ended().await;
        assert!(ended.stderr.contains("still under way"), "{ended:#?}");
        ended.well();
        assert!(begun.elapsed().as_secs() < 4, "{:?}", begun.elapsed());
        blocked.release().await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let found = tags(&database).await;
        let inside = connection(&database.url).await;
        let audited = column(&inside, "SELECT action FROM audit_log WHERE record_type = 'tag'").await;
        assert_eq!(found.len(), audited.len(), "whole or not at all: {found:?}");
    }
}

#[tokio::test]
async fn sigint_ends_it_as_well_and_idle_connections_do_not_hold_it_up() {
    let dir = tempfile::tempdir().expect("a folder");
    let (server, token) = with_admin("sqlite:posts.db", dir.path(), &[]).await;
    server
        .ask(Some(&token), CREATE, tag("one"))
        .await
        .expect("an answer");
    let address = server.url.strip_prefix("http://").expect("an address");
    let _silent = TcpStream::connect(address).await.expect("a connection");
    let begun = Instant::now();
    server.signal("INT").await;
    server.ended().await.well();
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
    let left: Vec<_> = std::fs::read_dir(dir.path())
        .expect("a folder")
        .map(|file| file.expect("a file").file_name())
        .collect();
    assert_eq!(left, ["posts.db"], "the log was written back");
}

#[tokio::test]
async fn who_asks_twice_does_not_wait() {
    let dir = tempfile::tempdir().expect("a folder");
    let (server, _) = with_admin("sqlite:posts.db", dir.path(), &[]).await;
    let address = server.url.strip_prefix("http://").expect("an address");
    let mut half = TcpStream::connect(address).await.expect("a connection");
    half.write_all(b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
        .await
        .expect("half a request");
    tokio::time::sleep(Duration::from_millis(200)).await;
    server.signal("TERM").await;
    deaf(&server.url).await;
    let begun = Instant::now();
    server.signal("TERM").await;
    server.ended().await.well();
    assert!(begun.elapsed().as_secs() < 10, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn what_was_acknowledged_outlives_a_kill() {
    let dir = tempfile::tempdir().expect("a folder");
    let url = format!("sqlite:{}", dir.path().join("posts.db").display());
    let (server, token) = with_admin(&url, dir.path(), &[]).await;
    let server = Arc::new(server);
    let over = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (server, token, over) = (server.clone(), token.clone(), over.clone());
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for n in 0.. {
                    let name = format!("tag {writer} {n}");
                    let answer = server.ask(Some(&token), CREATE, tag(&name)).await;
                    match answer {
                        Ok(answer) if answer["data"]["createTag"]["tag"]["name"] == name => {
                            acknowledged.push(name);
                        }
                        Ok(answer) => panic!("{answer:#}"),
                        Err(_) => break,
                    }
                    assert!(!over.load(Ordering::Relaxed), "the server is dead");
                }
                acknowledged
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(700)).await;
    server.signal("KILL").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    over.store(true, Ordering::Relaxed);
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.extend(writer.await.expect("no panic"));
    }
    assert!(acknowledged.len() > 4, "some were: {acknowledged:?}");
    let server = Arc::into_inner(server).expect("nobody else asks it");
    assert_eq!(server.ended().await.code, None, "a signal ended it");

    let server = serve(dir.path(), &[], &[("DATABASE_URL", &url)]).await;
    let inside = connection(&url).await;
    let there = column(&inside, "SELECT name FROM tags").await;
    for name in &acknowledged {
        assert!(there.contains(name), "{name} was acknowledged and is lost");
    }
    // Whole or not at all: each has its line in the audit log.
    let audited = column(
        &inside,
        "SELECT action FROM audit_log WHERE record_type = 'tag'",
    )
    .await;
    assert_eq!(there.len(), audited.len());
    assert_eq!(column(&inside, "PRAGMA integrity_check").await, ["ok"]);
    inside.close().await.expect("the connection closes");
    server.stop().await.well();
}

#[tokio::test]
async fn a_server_whose_database_is_away_is_live_and_not_ready() {
    let Some(database) = empty_database(Engine::Postgres).await else {
        return;
    };
    let dir = tempfile::tempdir().expect("a folder");
    let (server, token) = with_admin(&database.url, dir.path(), &[]).await;
    assert_eq!(server.get("/health/ready").await.status(), 200);
    // It ends the connections to it, too.
    drop(database);
    assert_eq!(server.get("/health/ready").await.status(), 503);
    assert_eq!(server.get("/health/live").await.status(), 200);
    let answer = server.ask(Some(&token), CREATE, tag("nowhere")).await;
    let answer = answer.expect("an answer").to_string();
    assert!(
        answer.contains("UNAVAILABLE") || answer.contains("INTERNAL"),
        "{answer}"
    );
    assert!(!answer.contains("database \""), "{answer}");
    server.stop().await.well();
}
