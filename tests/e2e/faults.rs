//! What a client is told when the database fails.

use plimsoll_testkit::on_every_engine;
use serde_json::json;

use crate::client::{NOBODY, server};

on_every_engine! {
    with server;

    async fn a_database_that_is_away_is_told_as_passing_trouble(server) {
        let (known, query) = ("{ tags { nodes { slug } } }", "{ tags { nodes { id } } }");
        server.data(&NOBODY, known, json!({})).await;
        server.world.store.database().close().await;
        for query in [query, known] {
            assert_eq!(server.code(&NOBODY, query, json!({})).await, "UNAVAILABLE");
        }
        let input = json!({ "email": "ada@test.invalid", "password": plimsoll_testkit::PASSWORD });
        let payload = server.mutate(&NOBODY, "login", input, "token").await;
        assert_eq!(payload["token"], json!(null), "{payload:#}");
        assert_eq!(payload["errors"][0]["__typename"], "Unavailable", "{payload:#}");
    }
}
