//! A mutation that is sent again: by the key in its input, or by the header `Idempotency-Key`.

use plimsoll_domain::{Role, user::User};
use plimsoll_testkit::{PASSWORD, on_every_engine};
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{As, GRAPHQL_RESPONSE, NOBODY, Server, accepted, refused, server};

const TRANSFER: &str = "mutation($input: TransferFundsInput!) { transferFunds(input: $input) {
    transfer { id amount { amount } } errors { __typename path message } } }";

const OPEN: &str = "mutation($input: OpenAccountInput!) { openAccount(input: $input) {
    account { id version balance { amount } } errors { __typename path message } } }";

/// Sends a document with this header. Returns the status and the answer.
async fn with_key(
    server: &Server,
    As(token): &As,
    key: &str,
    query: &str,
    variables: Value,
) -> (u16, Value) {
    let token = format!("Bearer {}", token.clone().unwrap_or_default());
    let mut headers = vec![
        ("accept", GRAPHQL_RESPONSE),
        ("content-type", "application/json"),
        ("idempotency-key", key),
    ];
    if token != "Bearer " {
        headers.push(("authorization", &token));
    }
    let body = json!({ "query": query, "variables": variables });
    let reply = server.send(Method::POST, "", &headers, body.to_string());
    let reply = reply.await;
    (reply.status, reply.json())
}

/// Ada with 10.00 EUR, and Bob with none.
struct Two {
    ada: As,
    from: Value,
    to: Value,
}

async fn opened(server: &Server, who: &As) -> Value {
    let input = json!({ "currency": "EUR" });
    let mut payload = server
        .mutate(who, "openAccount", input, "account { id }")
        .await;
    accepted(&payload);
    payload["account"]["id"].take()
}

async fn two(server: &Server) -> Two {
    let (_, admin) = server.log_in("admin", Role::Admin).await;
    let (_, ada): (User, As) = server.log_in("ada", Role::User).await;
    let (_, bob) = server.log_in("bob", Role::User).await;
    let from = opened(server, &ada).await;
    let to = opened(server, &bob).await;
    let input = json!({ "to": from, "amount": "1000", "idempotencyKey": "start" });
    let done = server
        .mutate(&admin, "deposit", input, "transfer { id }")
        .await;
    accepted(&done);
    Two { ada, from, to }
}

impl Two {
    fn input(&self, amount: &str, key: &str) -> Value {
        json!({ "from": self.from, "to": self.to, "amount": amount, "idempotencyKey": key })
    }

    async fn left(&self, server: &Server) -> String {
        let query = "query($id: ID!) { account(id: $id) { balance { amount } } }";
        let data = server
            .data(&self.ada, query, json!({ "id": self.from }))
            .await;
        let left = data["account"]["balance"]["amount"].as_str();
        left.expect("an amount is text").to_owned()
    }
}

on_every_engine! {
    with server;

    async fn the_same_mutation_again_is_answered_with_the_same_record(server) {
        let two = two(&server).await;
        let fields = "transfer { id }";
        let first = server.mutate(&two.ada, "transferFunds", two.input("100", "k"), fields).await;
        accepted(&first);
        // Whatever it selects this time.
        let more = "transfer { id kind amount { amount currency } to { id } from { balance { amount } } }";
        let again = server.mutate(&two.ada, "transferFunds", two.input("100", "k"), more).await;
        accepted(&again);
        assert_eq!(again["transfer"]["id"], first["transfer"]["id"]);
        assert_eq!(again["transfer"]["from"]["balance"]["amount"], "900");
        for (input, path) in [
            (two.input("101", "k"), "idempotencyKey"),
            (two.input("1", ""), "idempotencyKey"),
            (two.input("1", "blank "), "idempotencyKey"),
            (two.input("1", &"k".repeat(201)), "idempotencyKey"),
        ] {
            let payload = server.mutate(&two.ada, "transferFunds", input, fields).await;
            assert_eq!(refused(&payload), "ValidationFailed");
            assert_eq!(payload["errors"][0]["path"], json!(["input", path]));
        }
        // The same key of another mutation is another request.
        let input = json!({ "currency": "JPY" });
        let (status, answer) = with_key(&server, &two.ada, "k", OPEN, json!({ "input": input })).await;
        assert_eq!((status, answer["data"]["openAccount"]["errors"][0]["__typename"].as_str()),
            (200, Some("ValidationFailed")));
        assert_eq!(two.left(&server).await, "900");
    }

    async fn the_header_is_a_key_of_any_mutation(server) {
        let two = two(&server).await;
        let input = json!({ "input": { "currency": "JPY" } });
        let mut ids = Vec::new();
        // As the draft has it, a string in quotes, or bare.
        for key in ["\"one\"", "one", "\"one\""] {
            let (status, answer) = with_key(&server, &two.ada, key, OPEN, input.clone()).await;
            assert_eq!(status, 200, "{answer:#}");
            accepted(&answer["data"]["openAccount"]);
            ids.push(answer["data"]["openAccount"]["account"]["id"].clone());
        }
        ids.dedup();
        assert_eq!(ids.len(), 1, "{ids:?}");
        let other = json!({ "input": { "currency": "USD" } });
        let (_, answer) = with_key(&server, &two.ada, "one", OPEN, other).await;
        assert_eq!(refused(&answer["data"]["openAccount"]), "ValidationFailed");
        let (_, answer) = with_key(&server, &two.ada, "two", OPEN, input).await;
        assert_eq!(refused(&answer["data"]["openAccount"]), "AlreadyExists");

        // Beside a key in the input it says the same, or nothing is done.
        let input = json!({ "input": two.input("100", "three") });
        for _ in 0..2 {
            let (_, answer) = with_key(&server, &two.ada, "three", TRANSFER, input.clone()).await;
            accepted(&answer["data"]["transferFunds"]);
        }
        let (_, answer) = with_key(&server, &two.ada, "four", TRANSFER, input).await;
        assert_eq!(refused(&answer["data"]["transferFunds"]), "ValidationFailed");
        assert_eq!(two.left(&server).await, "900");
    }

    async fn the_header_is_for_one_mutation_and_not_for_logging_in(server) {
        let two = two(&server).await;
        let input = json!({ "input": two.input("100", "k") });
        let twice = TRANSFER.replacen("{ transferFunds", "{ other: transferFunds(input: $input) { errors { path message } } transferFunds", 1);
        let inside = "mutation($input: TransferFundsInput!) { ... { transferFunds(input: $input) { errors { path message } } } }";
        for document in [twice.as_str(), inside] {
            let (status, answer) = with_key(&server, &two.ada, "k", document, input.clone()).await;
            assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{document}");
            assert_eq!(status, 400, "{document}");
        }
        let login = "mutation($input: LoginInput!) { login(input: $input) { token } }";
        let secret = json!({ "input": { "email": "ada@test.invalid", "password": PASSWORD } });
        let logout = "mutation { logout { errors { path message } } }";
        for (document, variables) in [(login, secret), (logout, json!({}))] {
            let (status, answer) = with_key(&server, &two.ada, "k", document, variables).await;
            assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{document}");
            assert_eq!(status, 400, "{document}");
        }
        assert_eq!(two.left(&server).await, "1000");
        // A query takes none, and minds none.
        let (status, answer) = with_key(&server, &NOBODY, "k", "{ tags { totalCount } }", json!({})).await;
        assert_eq!((status, &answer["data"]["tags"]["totalCount"]), (200, &json!(0)));
    }
}
