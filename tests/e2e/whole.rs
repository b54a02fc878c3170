//! A query that was found valid before is answered by a plan, where one can be made of all of it:
//! as the library answers it, within the same limits.

use async_graphql::{Request, Variables};
use chrono::Utc;
use plimsoll_domain::{self as domain, Viewer};
use plimsoll_graphql::{Api, Caller, DEFAULT_MAX_COST, Documents, limits::Limits, write_response};
use plimsoll_testkit::on_every_engine;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::stored::{Operation, Planted, planted};

/// The stored queries of which something is left to resolvers, and what.
const LEFT: &[(&str, &str)] = &[
    ("accounts_with_transfers", "sums of money"),
    ("categories_with_everything", "a post's text"),
    (
        "deletions",
        "the records of a deletion, which are of any type",
    ),
    (
        "nodes_of_all_types",
        "a type that is known when it is found",
    ),
    ("nodes_of_posts", "a type that is known when it is found"),
    ("nodes_with_users", "a type that is known when it is found"),
    ("orders_with_products", "an order's lines"),
    ("posts_with_content", "a post's text"),
    (
        "posts_with_everyone",
        "an e-mail address, which not everybody sees",
    ),
    ("product_by_sku", "sums of money"),
    ("products", "sums of money"),
];

/// The API without a server around it.
struct Direct {
    api: Api,
    documents: Documents,
    viewer: Viewer,
}

/// An answer, and whether it came of a plan.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    json: String,
    planned: bool,
}

impl Direct {
    fn new(planted: &Planted, viewer: Viewer, max_cost: usize) -> Self {
        Self {
            api: Api::new(planted.server.world.store.clone(), max_cost),
            documents: Documents::new(Limits::default()),
            viewer,
        }
    }

    async fn ask(&self, document: &str, variables: &Value) -> Answer {
        let variables = Variables::from_json(variables.clone());
        let request = Request::new(document).variables(variables);
        let admitted = self.documents.admit(request);
        let caller = Caller {
            request: domain::Request {
                viewer: self.viewer,
                now: Utc::now(),
                id: Uuid::now_v7(),
                heavy: false,
            },
            token: None,
            idempotency_key: None,
        };
        let admitted = admitted.expect("it is within the limits");
        let response = self.api.execute(admitted, caller).await;
        let json = write_response(&response, true).expect("JSON");
        Answer {
            json: String::from_utf8(json).expect("text"),
            planned: matches!(response.data, async_graphql::Value::Binary(_)),
        }
    }
}

on_every_engine! {
    with planted;

    async fn a_plan_answers_as_the_library_does(planted) {
        let mut left = Vec::new();
        let all = Operation::all();
        for operation in all.iter().filter(|one| !one.is_mutation()) {
            let variables = planted.variables(operation, 2).await;
            let direct = Direct::new(&planted, planted.viewer(operation), DEFAULT_MAX_COST);
            let statements = || {
                let mut statements = planted.server.world.statements.take();
                statements.sort();
                statements
            };
            statements();
            let first = direct.ask(&operation.text, &variables).await;
            let of_first = statements();
            let second = direct.ask(&operation.text, &variables).await;
            assert_eq!(second.json, first.json, "{}", operation.name);
            assert_eq!(statements(), of_first, "{}", operation.name);
            assert!(!first.planned, "{}", operation.name);
            if !second.planned {
                left.push(operation.name.as_str());
            }
        }
        let expected: Vec<&str> = LEFT.iter().map(|(name, _)| *name).collect();
        assert_eq!(left, expected);
    }

    async fn what_no_plan_can_answer_is_refused_by_the_library(planted) {
        let post = "query($id: ID, $slug: String) { post(id: $id, slug: $slug) { title } }";
        let posts = "query($first: Int, $after: String, $last: Int) {
            posts(first: $first, after: $after, last: $last) { nodes { title } }
        }";
        let own = json!({ "id": null, "slug": "post-000" });
        let page = |first: Value, after: Value, last: Value| {
            json!({ "first": first, "after": after, "last": last })
        };
        let few = page(json!(1), Value::Null, Value::Null);
        for (document, good, bad) in [
            (post, &own, json!({ "id": "nonsense", "slug": null })),
            (post, &own, json!({ "id": null, "slug": null })),
            (post, &own, json!({ "id": "nonsense", "slug": "post-000" })),
            (posts, &few, page(json!(-1), Value::Null, Value::Null)),
            (posts, &few, page(json!(201), Value::Null, Value::Null)),
            (posts, &few, page(json!(1), Value::Null, json!(1))),
            (posts, &few, page(json!(1), json!("nonsense"), Value::Null)),
        ] {
            let direct = || Direct::new(&planted, Viewer::Anonymous, DEFAULT_MAX_COST);
            let library = direct().ask(document, &bad).await;
            assert!(library.json.contains("BAD_USER_INPUT"), "{library:?}");
            let known = direct();
            known.ask(document, good).await;
            assert!(known.ask(document, good).await.planned, "{document} {good}");
            assert_eq!(known.ask(document, &bad).await, library, "{bad}");
        }
        // What is not there is no error.
        let known = Direct::new(&planted, Viewer::Anonymous, DEFAULT_MAX_COST);
        known.ask(post, &own).await;
        let nobodys = known.ask(post, &json!({ "id": null, "slug": "nobodys" })).await;
        let expected = Answer {
            json: r#"{"data":{"post":null}}"#.into(),
            planned: true,
        };
        assert_eq!(nobodys, expected);
    }

    async fn a_plan_costs_no_less_than_the_library_says(planted) {
        for document in [
            "query($n: Int!) { users(first: $n) { nodes {
                posts(last: $n) { edges { node { author { name } } } } } } }",
            "query($n: Int!) { tags(first: $n) { nodes {
                posts(first: $n) { __typename } } pageInfo { endCursor } totalCount } }",
            "query($n: Int!) { posts(first: $n) { ...of } }
                fragment of on PostConnection { nodes { tags { name } coAuthors { id name } } }",
        ] {
            let many = json!({ "n": 4 });
            let direct = |max_cost| Direct::new(&planted, Viewer::Anonymous, max_cost);
            // What it costs, as the library counts: the least limit that it keeps to.
            let (mut refused, mut cost) = (0, 1_000);
            while cost - refused > 1 {
                let middle = (refused + cost) / 2;
                let answer = direct(middle).ask(document, &many).await;
                if answer.json.contains("errors") {
                    refused = middle;
                } else {
                    cost = middle;
                }
            }
            let library = direct(refused).ask(document, &many).await;
            assert!(library.json.contains("too complex"), "{library:?}");
            let known = direct(refused);
            known.ask(document, &json!({ "n": 1 })).await;
            assert_eq!(known.ask(document, &many).await, library, "{document}");
            let known = direct(DEFAULT_MAX_COST);
            known.ask(document, &json!({ "n": 1 })).await;
            assert!(known.ask(document, &many).await.planned, "{document}");
        }
    }
}
