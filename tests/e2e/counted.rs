//! How many statements an operation takes: as many for 200 rows as for one. And what they select.

use std::fmt::Write as _;

use plimsoll_domain::{Role, order::MAX_LINES};
use plimsoll_testkit::on_every_engine;
use serde_json::{Value, json};

use crate::{
    client::{NOBODY, accepted, server},
    stored::{Operation, Planted, ROWS, planted},
};

/// What a statement reads: all of a SELECT, and the last part of one that answers changed rows.
fn reads(statement: &str) -> &str {
    if statement.starts_with("SELECT") || statement.starts_with("WITH") {
        return statement;
    }
    statement
        .find("RETURNING")
        .map_or("", |at| &statement[at..])
}

/// The number of rows that an operation is about: the first list in its answer.
fn rows(data: &Value) -> usize {
    match data {
        Value::Array(list) => list.len(),
        Value::Object(fields) => fields.values().map(rows).max().unwrap_or_default(),
        _ => 0,
    }
}

/// How many rows an answer has when an operation is run for `n`: of the first list in it, and
/// none where an operation is about one record.
fn wanted(operation: &Operation, n: usize) -> Option<usize> {
    operation.variables().find_map(|name| match name {
        "n" | "posts" | "drafts" => Some(n),
        "lines" | "order" | "paidOrder" => Some(n.min(MAX_LINES)),
        // Forty of each of five types at the most.
        "mixed" => Some(5 * n.min(ROWS / 5)),
        _ => None,
    })
}

/// A mutation did what it is for, unless that is to be refused.
fn check_errors(operation: &Operation, data: &Value) {
    for payload in data.as_object().into_iter().flat_map(|data| data.values()) {
        let refused = operation.asks_for("currentVersion");
        let errors = payload["errors"].as_array().map_or(0, Vec::len);
        assert_eq!(
            errors,
            usize::from(refused),
            "{}\n{payload:#}",
            operation.name
        );
    }
}

/// Nothing is read that was not asked for.
#[track_caller]
fn check_reads(operation: &Operation, statements: &[String]) {
    for statement in statements {
        let (reads, name) = (reads(statement), &operation.name);
        let hash = name == "login" || !reads.contains("password_hash");
        assert!(hash, "{name} reads a hash\n{statement}");
        let content = operation.asks_for("content") || !reads.contains("content");
        assert!(content, "{name} reads texts\n{statement}");
        let count = operation.asks_for("totalCount") || !reads.to_uppercase().contains("COUNT(");
        assert!(count, "{name} counts\n{statement}");
    }
}

/// Runs the operations that are mutations, or that are none, for 1, 20 and 200 rows.
async fn count(planted: &Planted, mutations: bool) {
    let engine = planted.server.world.engine;
    let (mut table, mut right) = (String::new(), true);
    for operation in Operation::all() {
        if operation.is_mutation() != mutations {
            continue;
        }
        let pinned = operation.statements(engine);
        let mut counts = Vec::new();
        for n in [1, 20, ROWS] {
            let (data, statements) = planted.run(&operation, n).await;
            let name = &operation.name;
            if let Some(wanted) = wanted(&operation, n) {
                assert_eq!(rows(&data), wanted, "{name}\n{data:.300}");
            }
            check_errors(&operation, &data);
            check_reads(&operation, &statements);
            counts.push(statements.len());
        }
        right &= counts.iter().all(|count| *count == pinned);
        // Writing to a String cannot fail.
        let _ = writeln!(
            table,
            "{pinned:>3} pinned, {counts:?} found: {}",
            operation.name
        );
    }
    assert!(right, "for 1, 20 and {ROWS} rows on {engine}:\n{table}");
}

on_every_engine! {
    with planted;

    async fn a_query_takes_as_many_statements_for_200_rows_as_for_one(planted) {
        count(&planted, false).await;
    }

    async fn a_mutation_takes_as_many_statements_for_many_rows_as_for_one(planted) {
        count(&planted, true).await;
    }
}

on_every_engine! {
    with server;

    async fn a_hash_is_read_for_a_login_and_a_change_of_the_password_alone(server) {
        let (user, token) = server.log_in("ada", Role::User).await;
        let hashes = |statements: Vec<String>| statements.iter().filter(|one| reads(one).contains("password_hash")).count();
        server.world.statements.take();
        let input = json!({ "email": user.email, "password": plimsoll_testkit::PASSWORD });
        accepted(&server.mutate(&NOBODY, "login", input, "token viewer { user { name } }").await);
        // Once to compare, and once more to see that it is still the one in the login's transaction.
        assert!((1..=2).contains(&hashes(server.world.statements.take())));
        let viewer = server.data(&token, "{ viewer { user { id name email role } } }", json!({})).await;
        assert_eq!(hashes(server.world.statements.take()), 0);
        let input = json!({ "id": viewer["viewer"]["user"]["id"], "expectedVersion": 0,
            "password": "a new password", "currentPassword": plimsoll_testkit::PASSWORD });
        accepted(&server.mutate(&token, "updateUser", input, "user { name }").await);
        let statements = server.world.statements.take();
        assert!((1..=2).contains(&hashes(statements.clone())), "{statements:#?}");
    }
}
