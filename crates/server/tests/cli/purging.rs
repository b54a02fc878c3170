//! How an operator purges.

use std::{path::Path, process::Stdio, time::Duration};

use plimsoll_testkit::{engines::empty_database, on_every_engine};
use sea_orm::DatabaseConnection;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

use crate::program::{Ended, column, command, connection, dump, execute, on, rows, signal};

const URL: &str = "sqlite:posts.db";

/// A database with three deleted posts, each by a deletion of its own.
async fn three_deleted(url: &str, dir: &Path) -> DatabaseConnection {
    on(url, dir, &["migrate", "up"]).await.well();
    let seed = ["seed", "--users", "20", "--posts", "150", "--seed", "1"];
    on(url, dir, &seed).await.well();
    let inside = connection(url).await;
    assert_eq!(rows(&inside, "deletions").await, 3);
    inside
}

/// A database with three deleted posts in a SQLite file.
async fn three_in_a_file(dir: &Path) -> DatabaseConnection {
    three_deleted(&format!("sqlite:{}", dir.join("posts.db").display()), dir).await
}

/// What a purge printed, without its log.
fn said(ended: &Ended) -> Vec<&str> {
    ended.stdout.lines().collect()
}

on_every_engine! {
    with empty_database;

    async fn a_purge_removes_what_is_due_and_the_next_finds_nothing(database) {
        let dir = tempfile::tempdir().expect("a folder");
        let inside = three_deleted(&database.url, dir.path()).await;
        let before = dump(&database.url).await;
        let purge = ["purge", "--retention-days", "1"];
        let dry = on(&database.url, dir.path(), &[&purge[..], &["--dry-run"]].concat()).await;
        assert_eq!(dry.stderr, "");
        let printed = dry.well();
        let lines: Vec<&str> = printed.lines().collect();
        assert!(
            lines[0].starts_with("May be purged: 3 deletions with 3 records, the oldest of 2"),
            "{printed}"
        );
        assert_eq!(lines[1..], ["Nothing was purged."]);
        assert_eq!(dump(&database.url).await, before, "a dry run changes nothing");

        let done = on(&database.url, dir.path(), &purge).await.well();
        assert_eq!(done, "Purged 3 deletions with 3 records.\n");
        assert_eq!(rows(&inside, "posts").await, 147);
        assert_eq!(rows(&inside, "posts WHERE deleted_at IS NOT NULL").await, 0);
        assert_eq!(rows(&inside, "deletions WHERE purged_at IS NOT NULL").await, 3);
        let audited = "audit_log WHERE action = 'purge' AND actor_id IS NULL";
        assert_eq!(rows(&inside, audited).await, 3);
        let runs = "SELECT 'x' FROM audit_log WHERE action = 'purge' GROUP BY request_id";
        assert_eq!(column(&inside, runs).await.len(), 1, "one run is one request");

        let after = dump(&database.url).await;
        let done = on(&database.url, dir.path(), &purge).await.well();
        assert_eq!(done, "Purged 0 deletions with 0 records.\n");
        let dry = on(&database.url, dir.path(), &[&purge[..], &["--dry-run"]].concat()).await.well();
        assert_eq!(dry, "Nothing was purged.\n");
        assert_eq!(dump(&database.url).await, after);
    }
}

#[tokio::test]
async fn what_is_kept_for_longer_is_not_purged() {
    let dir = tempfile::tempdir().expect("a folder");
    let inside = three_in_a_file(dir.path()).await;
    let purge = ["purge", "--retention-days", "36500"];
    let done = on(URL, dir.path(), &purge).await.well();
    assert_eq!(done, "Purged 0 deletions with 0 records.\n");
    // Deleted just now, it is kept for 30 days unless somebody says otherwise.
    let now = "BEGIN; INSERT INTO wall_gate (id, reason) VALUES (x'00', 'a test'); \
        UPDATE deletions SET created_at = strftime('%Y-%m-%dT%H:%M:%f000+00:00'); \
        DELETE FROM wall_gate; COMMIT";
    execute(&inside, now).await;
    let done = on(URL, dir.path(), &["purge"]).await.well();
    assert_eq!(done, "Purged 0 deletions with 0 records.\n");
    assert_eq!(rows(&inside, "posts WHERE deleted_at IS NOT NULL").await, 3);
}

#[tokio::test]
async fn what_cannot_be_purged_is_named_and_the_rest_is_purged() {
    let dir = tempfile::tempdir().expect("a folder");
    let inside = three_in_a_file(dir.path()).await;
    // A user who is marked deleted by hand, and whose posts are live.
    let author = "(SELECT author_id FROM posts WHERE deleted_at IS NULL ORDER BY id LIMIT 1)";
    let deletion = "x'00000000000070008000000000000001'";
    let time = "'2026-01-01T00:00:00+00:00'";
    execute(
        &inside,
        &format!(
            "INSERT INTO deletions (id, created_at, updated_at, root_type, root_id, row_count) \
             SELECT {deletion}, {time}, {time}, 'user', {author}, 1"
        ),
    )
    .await;
    execute(
        &inside,
        &format!(
            "UPDATE users SET deleted_at = {time}, deletion_id = {deletion}, \
             lock_version = lock_version + 1 WHERE id = {author}"
        ),
    )
    .await;
    let purge = ["purge", "--retention-days", "1"];
    let dry = on(URL, dir.path(), &[&purge[..], &["--dry-run"]].concat()).await;
    let dry = dry.well();
    let lines: Vec<&str> = dry.lines().skip(1).collect();
    assert_eq!(
        lines,
        [
            "  post      3 deletions with 3 records",
            "  user      1 deletion with 1 record",
            "Nothing was purged."
        ]
    );

    let ended = on(URL, dir.path(), &purge).await;
    assert_eq!(ended.code, Some(1), "{ended:#?}");
    let lines = said(&ended);
    assert_eq!(
        lines[..2],
        ["Purged 3 deletions with 3 records.", "Not purged:"]
    );
    assert!(lines[2].starts_with("  user_"), "{ended:#?}");
    assert!(
        lines[2].contains(
            ", deleted 2026-01-01T00:00:00Z: A post that did not go along still belongs to it. (post_"
        ),
        "{ended:#?}"
    );
    assert_eq!(lines.len(), 3);
    assert!(
        ended
            .stderr
            .ends_with("plimsoll: 1 deletion could not be purged\n"),
        "{ended:#?}"
    );
    assert_eq!(rows(&inside, "users WHERE deleted_at IS NOT NULL").await, 1);
    assert_eq!(rows(&inside, "posts WHERE deleted_at IS NOT NULL").await, 0);
}

#[tokio::test]
async fn a_purge_that_is_told_to_stop_ends_after_its_transaction_and_the_next_goes_on() {
    let dir = tempfile::tempdir().expect("a folder");
    let inside = three_in_a_file(dir.path()).await;
    for (name, left) in [("TERM", 2), ("INT", 1)] {
        execute(&inside, "BEGIN IMMEDIATE").await;
        let mut child = command(dir.path(), &["purge", "--retention-days", "1"])
            .env("DATABASE_URL", URL)
            .stdin(Stdio::null())
            .spawn()
            .expect("the program starts");
        let mut stderr = BufReader::new(child.stderr.take().expect("an output"));
        let mut log = String::new();
        while !log.contains("purging") {
            assert!(
                stderr.read_line(&mut log).await.expect("UTF-8") > 0,
                "{log}"
            );
        }
        // It waits for the one that writes.
        tokio::time::sleep(Duration::from_millis(200)).await;
        signal(child.id().expect("it runs"), name).await;
        while !log.contains("stopping") {
            assert!(
                stderr.read_line(&mut log).await.expect("UTF-8") > 0,
                "{log}"
            );
        }
        execute(&inside, "ROLLBACK").await;
        stderr.read_to_string(&mut log).await.expect("UTF-8");
        let output = child.wait_with_output().await.expect("it ends");
        assert_eq!(output.status.code(), Some(3), "{log}");
        assert!(
            log.ends_with("plimsoll: stopped before the end; run it again to go on\n"),
            "{log}"
        );
        let printed = String::from_utf8(output.stdout).expect("UTF-8");
        assert_eq!(printed, "Purged 1 deletion with 1 record.\n");
        let deleted = "posts WHERE deleted_at IS NOT NULL";
        assert_eq!(rows(&inside, deleted).await, left);
        let audited = "audit_log WHERE action = 'purge'";
        assert_eq!(rows(&inside, audited).await, 3 - left);
    }
    let done = on(URL, dir.path(), &["purge", "--retention-days", "1"]).await;
    assert_eq!(done.well(), "Purged 1 deletion with 1 record.\n");
}

#[tokio::test]
async fn a_purge_needs_a_database_that_is_there() {
    let dir = tempfile::tempdir().expect("a folder");
    on(URL, dir.path(), &["purge"]).await.refused("posts.db");
    let retention = ["purge", "--retention-days", "-1"];
    let ended = on(URL, dir.path(), &retention).await;
    assert_eq!(ended.code, Some(2), "{ended:#?}");
}
