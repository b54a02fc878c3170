//! Rows of a list are resolved together, and read with the columns that are shown. The answers are
//! those that each row would give by itself.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, OnceLock},
};

use plimsoll_testkit::on_every_engine;
use serde_json::{Value, json};

use crate::{
    client::{As, NOBODY},
    stored::{Planted, planted},
};

/// What this program has logged since the first one asked.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn of_this_program() -> Self {
        static LOG: OnceLock<Log> = OnceLock::new();
        let start = || {
            let log = Self::default();
            let lines = log.clone();
            let subscriber = tracing_subscriber::fmt().with_writer(move || lines.clone());
            subscriber.try_init().expect("nothing else logs");
            log
        };
        LOG.get_or_init(start).clone()
    }
}

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panicked").write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Lists, and what is asked of each of their rows.
const LISTS: &[(&str, &str)] = &[
    (
        "posts(first: 30)",
        "id version createdAt updatedAt deletedAt purgeableAt title slug published publishedAt
         author { name role isActive profile { bio } } category { name parent { slug } }
         tags { name slug } coAuthors { name }",
    ),
    (
        "posts(last: 5, orderBy: { field: CREATED_AT, direction: ASC })",
        "content author { name posts(first: 2) { nodes { title tags { name } } totalCount } }",
    ),
    (
        "posts(first: 4)",
        "...on Post { title author { ...person } } tags { ...on Tag { posts(first: 1) { edges {
         cursor node { slug } } pageInfo { endCursor hasNextPage } } } }",
    ),
    (
        "users(first: 20)",
        "id name role isActive posts(first: 3) { nodes { title category { name } } }",
    ),
    (
        "users(first: 9)",
        "name posts(last: 2, scope: WITH_DELETED) { totalCount pageInfo { hasPreviousPage hasNextPage
         startCursor endCursor } edges { cursor node { slug publishedAt } } nodes { title } }",
    ),
    (
        "categories(first: 9)",
        "slug parent { name parent { name } } children { nodes { name } }",
    ),
    (
        "tags(first: 9)",
        "__typename name posts(first: 2) { nodes { author { name } } }",
    ),
    (
        "products(first: 9)",
        "sku name price { amount currency } inventory { quantity product { sku } }",
    ),
];

/// Lists that only an administrator sees rows of.
const LISTS_OF_ADMINISTRATORS: &[(&str, &str)] = &[
    (
        "accounts(first: 9)",
        "currency balance { amount } owner { name email } transfers(first: 2) { nodes { id kind createdAt } }",
    ),
    (
        "posts(first: 9, scope: WITH_DELETED)",
        "title deletedAt purgeableAt author { name }",
    ),
    (
        "users(first: 9)",
        "email profile { metadata user { name } }",
    ),
    (
        "deletions(first: 9)",
        "id deletedAt rowCount deletedBy { name } root { id }",
    ),
];

const FRAGMENT: &str = "fragment person on User { name ...on Record { version } }";

async fn rows(planted: &Planted, who: &As, list: &str, asked: &str, edges: bool) -> Vec<Value> {
    let nodes = if edges {
        format!("edges {{ node {{ {asked} }} }}")
    } else {
        format!("nodes {{ {asked} }}")
    };
    let fragment = if asked.contains("...person") {
        FRAGMENT
    } else {
        ""
    };
    let query = format!("{{ list: {list} {{ {nodes} }} }} {fragment}");
    let mut data = planted.server.data(who, &query, json!({})).await;
    let mut rows = data["list"].take();
    let rows = rows[if edges { "edges" } else { "nodes" }].take();
    let rows = rows.as_array().expect("a list").clone();
    let node = |mut row: Value| if edges { row["node"].take() } else { row };
    rows.into_iter().map(node).collect()
}

on_every_engine! {
    with planted;

    async fn rows_answer_together_what_each_answers_by_itself(planted) {
        let lists = LISTS.iter().map(|list| (&NOBODY, list));
        let admin = &planted.admin;
        let of_administrators = LISTS_OF_ADMINISTRATORS.iter().map(|list| (admin, list));
        for (who, (list, asked)) in lists.chain(of_administrators) {
            let together = rows(&planted, who, list, asked, false).await;
            assert!(!together.is_empty(), "{list} has no rows");
            // What is selected twice is merged, which is left to the library: each by itself.
            let twice = format!("{asked} {asked}");
            assert_eq!(rows(&planted, who, list, &twice, false).await, together, "{list}");
            let in_fragment = format!("... {{ {asked} }}");
            assert_eq!(rows(&planted, who, list, &in_fragment, false).await, together, "{list}");
            assert_eq!(rows(&planted, who, list, asked, true).await, together, "{list}");
        }
    }

    async fn a_text_that_is_not_read_with_its_row_is_no_failure(planted) {
        let log = Log::of_this_program();
        let query = "{ posts(first: 3) { nodes { content } } }";
        let data = planted.server.data(&NOBODY, query, json!({})).await;
        assert!(data["posts"]["nodes"][0]["content"].is_string(), "{data}");
        let log = log.0.lock().unwrap();
        let log = String::from_utf8_lossy(&log);
        assert!(!log.contains("posts.content"), "{log}");
    }

    async fn a_list_reads_the_columns_that_it_shows(planted) {
        planted.server.world.statements.take();
        let query = "{ posts(first: 3) { nodes { slug author { role } tags { name } } } }";
        planted.server.data(&NOBODY, query, json!({})).await;
        let statements = planted.server.world.statements.take();
        let selected: Vec<String> = statements.iter().map(|one| columns(one)).collect();
        // Beside what is shown: the order's columns, and the keys that others are found by.
        assert_eq!(selected, ["id slug listed_at author_id id role", "of_owner name"]);
        // What is shown of an author here and there is read once.
        let twice = "{ posts(first: 3) { nodes { slug a: author { role } b: author { name } author { name } } } }";
        planted.server.data(&NOBODY, twice, json!({})).await;
        let selected: Vec<String> = planted.server.world.statements.take().iter().map(|one| columns(one)).collect();
        assert_eq!(selected, ["id slug listed_at author_id id name role"]);
    }

    async fn the_ends_of_a_page_are_looked_beyond_where_they_are_asked_about(planted) {
        let server = &planted.server;
        // Of one list, and of several rows in one statement.
        for of_tags in [false, true] {
            let ask = async |arguments: &str, asked: &str| {
                let mut query = format!("posts({arguments}) {{ nodes {{ id }} {asked} }}");
                if of_tags {
                    query = format!("tags(first: 2) {{ nodes {{ {query} }} }}");
                }
                let fragment = match asked.contains("...ends") {
                    true => "fragment ends on PageInfo { hasPreviousPage hasNextPage }",
                    false => "",
                };
                server.world.statements.take();
                let data = server.data(&NOBODY, &format!("{{ {query} }} {fragment}"), json!({})).await;
                let looked_behind = server.world.statements.take().iter().any(|one| one.contains("behind"));
                let found = if of_tags { &data["tags"]["nodes"][0] } else { &data };
                (found["posts"]["pageInfo"].clone(), looked_behind)
            };
            let (info, _) = ask("first: 3", "pageInfo { startCursor endCursor }").await;
            let (after, before) = (format!("first: 2, after: {}", info["startCursor"]), format!("last: 1, before: {}", info["endCursor"]));
            for arguments in [&after, &before] {
                for asked in [
                    "pageInfo { hasPreviousPage hasNextPage }",
                    "pageInfo { ...ends }",
                    "... { pageInfo { ... { hasNextPage } hasPreviousPage } }",
                    // Merged by the library.
                    "pageInfo { hasPreviousPage } pageInfo { hasNextPage }",
                ] {
                    let both = json!({ "hasPreviousPage": true, "hasNextPage": true });
                    assert_eq!(ask(arguments, asked).await, (both, true), "{arguments} {asked}");
                }
            }
            let (ahead, behind) = ("hasNextPage", "hasPreviousPage");
            for (arguments, ahead, behind) in [(&after, ahead, behind), (&before, behind, ahead)] {
                let found = ask(arguments, &format!("pageInfo {{ {behind} }}")).await;
                assert_eq!(found, (json!({ behind: true }), true));
                let found = ask(arguments, &format!("pageInfo {{ {ahead} }}")).await;
                assert_eq!(found, (json!({ ahead: true }), false), "nobody asked what lies behind");
            }
        }
    }

    async fn what_is_selected_twice_is_merged(planted) {
        let once = "{ posts(first: 3) { nodes { id title slug author { id name } } } }";
        let twice = "{ posts(first: 3) { nodes { id title } } ...rest }
            fragment rest on Query { posts(first: 3) { nodes { slug author { id } author { name } } } }";
        let once = planted.server.data(&NOBODY, once, json!({})).await;
        assert_eq!(planted.server.data(&NOBODY, twice, json!({})).await, once);
        // A leaf is the same wherever it was named.
        let leaves = "{ posts(first: 3) { nodes { id title ...on Post { id slug title } author { id name id } } } }";
        assert_eq!(planted.server.data(&NOBODY, leaves, json!({})).await, once);
    }

    async fn what_a_list_in_a_list_refuses_is_told_with_its_path(planted) {
        for arguments in ["first: -1", "first: 201", "after: \"nowhere\"", "first: 1, last: 1"] {
            let query = format!("{{ users(first: 2) {{ nodes {{ name posts({arguments}) {{ nodes {{ title }} }} }} }} }}");
            let answer = planted.server.ask(&NOBODY, &query, json!({})).await;
            let error = &answer["errors"][0];
            assert_eq!(error["extensions"]["code"], "BAD_USER_INPUT", "{arguments}: {answer:#}");
            assert_eq!(error["path"], json!(["users", "nodes", 0, "posts"]), "{arguments}: {answer:#}");
        }
    }

    async fn a_document_that_is_known_refuses_what_a_new_one_refuses(planted) {
        let admin = &planted.admin;
        let known = "mutation Make($input: CreateUserInput!) {
            createUser(input: $input) { user { name role } errors { message } } }";
        let input = json!({ "email": "known@example.org", "name": "Known", "role": "MODERATOR" });
        let made = planted.server.ask(admin, known, json!({ "input": input })).await;
        assert_eq!(made["data"]["createUser"]["user"]["role"], "MODERATOR", "{made:#}");
        for (nth, bad) in [
            json!({ "email": "a@example.org", "name": "A", "role": "KING" }),
            json!({ "email": "a@example.org", "name": "A", "role": 1 }),
            json!({ "email": "a@example.org", "name": 1 }),
            json!({ "email": "a@example.org", "name": null }),
            json!({ "email": "a@example.org" }),
            json!({ "email": "a@example.org", "name": "A", "crown": true }),
            json!([]),
            json!("a@example.org"),
            json!(null),
        ]
        .into_iter()
        .enumerate()
        {
            let variables = json!({ "input": bad });
            let refused = planted.server.ask(admin, known, variables.clone()).await;
            assert!(refused["errors"][0]["message"].is_string(), "{bad}: {refused:#}");
            let new = format!("{known} # {nth}");
            assert_eq!(planted.server.ask(admin, &new, variables).await, refused, "{bad}");
        }
    }

    async fn a_document_that_is_known_is_held_to_its_variables(planted) {
        let query = "query Known($first: Int!, $after: String) {
            posts(first: $first, after: $after) { nodes { title } } }";
        let ask = async |variables: Value| planted.server.ask(&NOBODY, query, variables).await;
        let good = json!({ "first": 2, "after": null });
        let first = ask(good.clone()).await;
        assert!(first.get("errors").is_none(), "{first:#}");
        assert_eq!(ask(good.clone()).await, first);
        for (bad, code) in [
            (json!({ "first": "two", "after": null }), "GRAPHQL_VALIDATION_FAILED"),
            (json!({ "first": 2, "after": 3 }), "GRAPHQL_VALIDATION_FAILED"),
            (json!({ "first": 3_000_000_000_i64, "after": null }), "GRAPHQL_VALIDATION_FAILED"),
            (json!({ "first": null, "after": null }), "BAD_USER_INPUT"),
            (json!({ "after": null }), "BAD_USER_INPUT"),
        ] {
            let answer = ask(bad.clone()).await;
            assert!(answer.get("data").is_none(), "{bad}: {answer:#}");
            assert_eq!(answer["errors"][0]["extensions"]["code"], code, "{bad}: {answer:#}");
        }
        assert_eq!(ask(good).await, first);
        // What costs too much with these variables alone is refused as well.
        let query = "query($first: Int!) { posts(first: $first) { nodes { author { posts(first: $first) {
            nodes { author { posts(first: $first) { nodes { title } } } } } } } } }";
        let one = planted.server.ask(&NOBODY, query, json!({ "first": 1 })).await;
        assert!(one.get("errors").is_none(), "{one:#}");
        let many = planted.server.ask(&NOBODY, query, json!({ "first": 200 })).await;
        assert!(many.get("data").is_none(), "{many:#}");
    }
}

/// The names of the columns that a statement selects.
fn columns(statement: &str) -> String {
    let selected = statement.split(" FROM ").next().unwrap_or_default();
    let names = selected.split(" AS ").skip(1);
    let name = |part: &str| {
        let quotes = ['"', '`'];
        part.trim_start_matches(quotes)
            .split(quotes)
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    names.map(name).collect::<Vec<_>>().join(" ")
}
