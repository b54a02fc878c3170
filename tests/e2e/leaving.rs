//! Clients that leave at any moment: no write is cut in half, none is lost that was acknowledged,
//! and no transaction stays open in the pool.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use futures::future::join_all;
use plimsoll_domain::Role;
use plimsoll_testkit::{Engine, on_every_engine};
use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use uuid::Uuid;

use crate::client::{As, Server, accepted, check_errors, mutation, server};

/// How many clients leave at the same time, and how often each does.
const CLIENTS: u64 = 3;
const REQUESTS: usize = 50;

/// As many connections as the test's pool has, twice.
const AT_ONCE: usize = 10;

/// Numbers that look random and are the same each time (xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).expect("it is below a usize")
    }
}

/// A change that a client was told of.
#[derive(Debug)]
enum Told {
    Tag {
        slug: String,
    },
    Title {
        post: usize,
        version: i64,
        title: String,
    },
    Tags {
        post: usize,
        version: i64,
        tags: Vec<usize>,
    },
    Deleted {
        post: usize,
        version: i64,
    },
    Restored {
        post: usize,
        version: i64,
    },
}

/// What the clients work on.
struct Desk<'a> {
    server: &'a Server,
    who: &'a As,
    posts: Vec<Value>,
    tags: Vec<Value>,
    /// The longest that a client waits.
    patience: Duration,
}

/// Sends a mutation on a connection of its own, and cuts it after `patience`. Returns the payload
/// if all of the answer was there by then.
async fn send_and_leave(
    desk: &Desk<'_>,
    name: &str,
    input: Value,
    selection: &str,
    patience: Duration,
) -> Option<Value> {
    let address = desk.server.url.strip_prefix("http://").expect("an address");
    let query = mutation(name, selection);
    let body = json!({ "query": query, "variables": { "input": input } }).to_string();
    let token = desk.who.0.as_deref().expect("a token");
    let request = format!(
        "POST /graphql HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         authorization: Bearer {token}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address)
        .await
        .expect("the server listens");
    let sent = stream.write_all(request.as_bytes()).await;
    sent.expect("the request can be sent");
    let mut answer = Vec::new();
    let read = tokio::time::timeout(patience, stream.read_to_end(&mut answer)).await;
    drop(stream);
    read.ok()?.expect("the answer can be read");
    let answer = String::from_utf8(answer).expect("the answer is text");
    let (_, body) = answer.split_once("\r\n\r\n").expect("the answer is HTTP");
    let mut answer: Value = serde_json::from_str(body).expect("the answer is JSON");
    check_errors(&answer);
    assert!(answer.get("errors").is_none(), "{answer:#}");
    Some(answer["data"][name].take())
}

/// One client's requests. Returns what it was told of, and how often it left before an answer.
async fn come_and_go(desk: &Desk<'_>, client: u64) -> (Vec<Told>, usize) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ (client + 1));
    let (mut told, mut left) = (Vec::new(), 0);
    let mut bound = desk.patience;
    for n in 0..REQUESTS {
        let post = random.below(desk.posts.len());
        let query = "query($id: ID!) { post(id: $id, scope: WITH_DELETED) { version deletedAt } }";
        let variables = json!({ "id": desk.posts[post] });
        let seen = desk.server.data(desk.who, query, variables).await;
        let deleted = !seen["post"]["deletedAt"].is_null();
        let mut input =
            json!({ "id": desk.posts[post], "expectedVersion": seen["post"]["version"] });
        let micros = random.below(usize::try_from(bound.as_micros()).expect("it is short"));
        let patience = Duration::from_micros(micros as u64);

        let title = format!("title {client} {n}");
        let tags: Vec<usize> = (0..desk.tags.len())
            .filter(|_| random.below(2) == 0)
            .collect();
        let name = match (random.below(6), deleted) {
            (0, _) => {
                input = json!({ "name": format!("left {client} {n}") });
                "createTag"
            }
            (_, true) => "restorePost",
            (1, false) => "deletePost",
            (2 | 3, false) => {
                input["tagIds"] = tags.iter().map(|tag| desk.tags[*tag].clone()).collect();
                "setPostTags"
            }
            (_, false) => {
                input["title"] = title.as_str().into();
                "updatePost"
            }
        };
        let selection = if name == "createTag" {
            "tag { slug }"
        } else {
            "post { version }"
        };
        let Some(payload) = send_and_leave(desk, name, input, selection, patience).await else {
            left += 1;
            bound = (bound * 5 / 4).min(Duration::from_secs(2));
            continue;
        };
        // About as many come through as do not, however fast the machine is.
        bound = (bound * 3 / 4).max(Duration::from_millis(1));
        if payload["errors"] != json!([]) {
            // Another client's write came first, perhaps one that nobody waited for.
            let kind = payload["errors"][0]["__typename"].as_str();
            let fair = [
                "VersionConflict",
                "NotFound",
                "ValidationFailed",
                "Unavailable",
            ];
            assert!(
                kind.is_some_and(|kind| fair.contains(&kind)),
                "{name} {payload:#}"
            );
            continue;
        }
        let version = payload["post"]["version"].as_i64().unwrap_or_default();
        told.push(match name {
            "createTag" => Told::Tag {
                slug: format!("left-{client}-{n}"),
            },
            "updatePost" => Told::Title {
                post,
                version,
                title,
            },
            "setPostTags" => Told::Tags {
                post,
                version,
                tags,
            },
            "deletePost" => Told::Deleted { post, version },
            _ => Told::Restored { post, version },
        });
    }
    (told, left)
}

/// The first column of each row, as text.
async fn texts(database: &DatabaseConnection, sql: &str) -> Vec<String> {
    let rows = database
        .query_all_raw(sea_orm::Statement::from_string(
            database.get_database_backend(),
            sql,
        ))
        .await;
    let rows = rows.unwrap_or_else(|error| panic!("{sql}: {error}"));
    rows.iter()
        .map(|row| row.try_get_by_index(0).expect("the column is text"))
        .collect()
}

async fn number(database: &DatabaseConnection, sql: &str) -> i64 {
    let rows = database
        .query_all_raw(sea_orm::Statement::from_string(
            database.get_database_backend(),
            sql,
        ))
        .await;
    let rows = rows.unwrap_or_else(|error| panic!("{sql}: {error}"));
    rows[0].try_get_by_index(0).expect("the column is a number")
}

/// How many transactions the server's connections hold open.
async fn open_transactions(engine: Engine, database: &DatabaseConnection) -> i64 {
    match engine {
        // It has one writer, which the caller tries.
        Engine::Sqlite => 0,
        Engine::Postgres => {
            let sql = "SELECT count(*) FROM pg_stat_activity \
                WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
            number(database, sql).await
        }
        Engine::MariaDb => {
            let sql = "SELECT count(*) FROM information_schema.innodb_trx t \
                JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id \
                WHERE p.db = DATABASE()";
            number(database, sql).await
        }
    }
}

/// One entry of the audit log.
struct Entry {
    action: String,
    from: Option<i64>,
    to: Option<i64>,
    changes: Value,
}

/// The audit log of each post by its slug, in the order of versions.
async fn audit(engine: Engine, database: &DatabaseConnection) -> BTreeMap<String, Vec<Entry>> {
    let (text, object) = match engine {
        Engine::Sqlite => ("json(a.changes)", "json_object"),
        Engine::Postgres => ("a.changes", "json_build_object"),
        Engine::MariaDb => ("JSON_COMPACT(a.changes)", "JSON_OBJECT"),
    };
    let whole = format!(
        "{object}('slug', p.slug, 'action', a.action, 'from', a.from_version, 'to', a.to_version, 'changes', {text})"
    );
    let whole = match engine {
        Engine::Sqlite => whole,
        Engine::Postgres => format!("CAST({whole} AS text)"),
        Engine::MariaDb => format!("CAST({whole} AS CHAR)"),
    };
    let sql = format!(
        "SELECT {whole} FROM audit_log a JOIN posts p ON p.id = a.record_id \
         WHERE a.record_type = 'post' ORDER BY p.slug, a.to_version"
    );
    let mut log: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    for text in texts(database, &sql).await {
        let mut row: Value = serde_json::from_str(&text).expect("the row is JSON");
        let slug = row["slug"].as_str().expect("a slug").to_owned();
        log.entry(slug).or_default().push(Entry {
            action: row["action"].as_str().expect("an action").to_owned(),
            from: row["from"].as_i64(),
            to: row["to"].as_i64(),
            changes: row["changes"].take(),
        });
    }
    log
}

/// What a field was after the change to `version`, by the log.
fn at<'a>(log: &'a [Entry], field: &str, version: i64) -> Option<&'a Value> {
    log.iter()
        .filter(|entry| entry.to.is_some_and(|to| to <= version))
        .filter_map(|entry| entry.changes.get(field))
        .next_back()
        .map(|change| &change[1])
}

on_every_engine! {
    with server;

    async fn clients_that_leave_cut_no_write_in_half_and_leave_no_transaction_open(server) {
        let (ada, who) = server.log_in("ada", Role::Moderator).await;
        let mut desk = Desk { server: &server, who: &who, posts: Vec::new(), tags: Vec::new(), patience: Duration::ZERO };
        let (mut slugs, mut tag_ids) = (Vec::new(), Vec::new());
        for n in 0..3 {
            let post = server.world.post(&ada, &format!("post {n}")).await;
            desk.posts.push(server.id_of(&who, "post", &post.slug).await);
            slugs.push(post.slug);
            let tag = server.world.tag(&format!("tag {n}")).await;
            desk.tags.push(server.id_of(&who, "tag", &tag.slug).await);
            tag_ids.push(Uuid::from(tag.id).to_string());
        }
        // How long a request takes, roughly.
        let from = Instant::now();
        for n in 0..4 {
            let input = json!({ "name": format!("measured {n}") });
            accepted(&server.mutate(&who, "createTag", input, "tag { id }").await);
        }
        let four = from.elapsed();
        desk.patience = Duration::from_millis(15).max(four * 3 / 4).min(Duration::from_millis(100));

        let clients = (0..CLIENTS).map(|client| come_and_go(&desk, client));
        let outcomes = join_all(clients).await;
        let left: usize = outcomes.iter().map(|(_, left)| left).sum();
        let told: Vec<Told> = outcomes.into_iter().flat_map(|(told, _)| told).collect();
        assert!(left > 15, "only {left} requests were left");
        assert!(told.len() > 5, "only {} requests were answered", told.len());

        // What was begun comes to its end.
        let database = Database::connect(&server.world.database.url).await.expect("the database answers");
        let deadline = Instant::now() + Duration::from_secs(15);
        let mut entries = -1;
        loop {
            let done = server.world.store.database().writes_done();
            tokio::time::timeout(Duration::from_secs(15), done).await.expect("the writes end");
            let now = number(&database, "SELECT count(*) FROM audit_log").await;
            let open = open_transactions(server.world.engine, &database).await;
            if (open, now) == (0, entries) {
                break;
            }
            assert!(Instant::now() < deadline, "{open} transactions are open");
            entries = now;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }

        // Every connection takes a write and a read, at once.
        let from = Instant::now();
        let fresh = (0..AT_ONCE).map(|n| {
            let input = json!({ "name": format!("fresh {n}") });
            server.mutate(&who, "createTag", input, "tag { slug }")
        });
        for payload in join_all(fresh).await {
            accepted(&payload);
        }
        let reads = (0..AT_ONCE).map(|_| server.data(&who, "{ tags { totalCount } }", json!({})));
        join_all(reads).await;
        // A connection that was lost would be waited for 5 seconds, however fast the machine is.
        let limit = Duration::from_secs(4).max(four * 20);
        assert!(from.elapsed() < limit, "{:?}", from.elapsed());

        // Each record is what the log says, version by version.
        let log = audit(server.world.engine, &database).await;
        let query = "{ posts(scope: WITH_DELETED, first: 10) { nodes { slug version title deletedAt tags { slug } } }
            deletions(first: 200) { totalCount nodes { restoredAt } } }";
        let data = server.data(&who, query, json!({})).await;
        let posts = data["posts"]["nodes"].as_array().expect("posts");
        assert_eq!((posts.len(), log.len()), (3, 3));
        let mut changes = 0;
        for post in posts {
            let slug = post["slug"].as_str().expect("a slug");
            let log = &log[slug];
            let versions: Vec<_> = log.iter().map(|entry| (entry.from, entry.to)).collect();
            let steps = log.len() as i64;
            let expected: Vec<_> = (0..steps).map(|to| ((to > 0).then_some(to - 1), Some(to))).collect();
            assert_eq!(versions, expected, "{slug}");
            assert_eq!(post["version"], steps - 1, "{slug}");
            changes += log.len() - 2; // Made and published before.
            assert_eq!(Some(&post["title"]), at(log, "title", steps), "{slug}");
            let tags = at(log, "tags", steps).cloned().unwrap_or_else(|| json!([]));
            let numbers: Vec<usize> = tags.as_array().expect("tags").iter()
                .map(|tag| tag_ids.iter().position(|id| tag == id).expect("a known tag"))
                .collect();
            let shown: Vec<Value> = numbers.iter().map(|n| json!({ "slug": format!("tag-{n}") })).collect();
            assert_eq!(post["tags"], json!(shown), "{slug}");
            let last = log.iter().rev().find(|entry| ["delete", "restore"].contains(&entry.action.as_str()));
            assert_eq!(post["deletedAt"].is_string(), last.is_some_and(|entry| entry.action == "delete"), "{slug}");
        }
        let open = data["deletions"]["nodes"].as_array().expect("deletions").iter().filter(|one| one["restoredAt"].is_null()).count();
        assert_eq!(open, posts.iter().filter(|post| post["deletedAt"].is_string()).count());
        let deletes = log.values().flatten().filter(|entry| entry.action == "delete").count();
        assert_eq!(data["deletions"]["totalCount"], deletes);
        // A post has the links of its log in the table as well, deleted or not.
        let links = number(&database, "SELECT count(*) FROM post_tags").await;
        let logged: usize = log.values().filter_map(|log| at(log, "tags", i64::MAX)?.as_array()).map(Vec::len).sum();
        assert_eq!(links, logged as i64);

        // Nothing that a client was told of is missing.
        let tags: BTreeSet<String> = texts(&database, "SELECT slug FROM tags").await.into_iter().collect();
        let made = number(&database, "SELECT count(*) FROM audit_log WHERE record_type = 'tag' AND action = 'create'").await;
        assert_eq!(made, tags.len() as i64);
        let mut told_changes = 0;
        for one in &told {
            let action = |post: usize, version: i64| {
                let entry = log[&slugs[post]].iter().find(|entry| entry.to == Some(version));
                entry.map(|entry| entry.action.as_str())
            };
            told_changes += usize::from(!matches!(one, Told::Tag { .. }));
            match one {
                Told::Tag { slug } => assert!(tags.contains(slug), "{one:?}"),
                Told::Title { post, version, title } => {
                    assert_eq!(at(&log[&slugs[*post]], "title", *version), Some(&json!(title)), "{one:?}");
                }
                Told::Tags { post, version, tags } => {
                    let found = at(&log[&slugs[*post]], "tags", *version).cloned().unwrap_or_else(|| json!([]));
                    let ids: Vec<&String> = tags.iter().map(|tag| &tag_ids[*tag]).collect();
                    assert_eq!(found, json!(ids), "{one:?}");
                }
                Told::Deleted { post, version } => assert_eq!(action(*post, *version), Some("delete"), "{one:?}"),
                Told::Restored { post, version } => assert_eq!(action(*post, *version), Some("restore"), "{one:?}"),
            }
        }
        let untold_tags = tags.iter().filter(|slug| slug.starts_with("left-")).count()
            - told.iter().filter(|one| matches!(one, Told::Tag { .. })).count();
        // Some of the writes that nobody waited for were made: the test hit them on their way.
        assert!(changes + untold_tags > told_changes, "no write went on alone: {left} left");
    }
}
