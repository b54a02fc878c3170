//! What cannot be accepted is refused in the right way, and leaves everything as it was.
//! Every answer goes through `client::check_errors`: no error is an internal one, and no message
//! tells of the database.

use std::collections::BTreeSet;

use plimsoll_domain::Role;
use plimsoll_testkit::on_every_engine;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{As, GRAPHQL_RESPONSE, NOBODY, Server, accepted, refused, server};

const JSON: [(&str, &str); 2] = [
    ("content-type", "application/json"),
    ("accept", GRAPHQL_RESPONSE),
];

/// A publication with one record of each type, and its administrator.
struct Stage {
    admin: As,
    user: Value,
    profile: Value,
    category: Value,
    tag: Value,
    post: Value,
    account: Value,
    product: Value,
    order: Value,
}

async fn stage(server: &Server) -> Stage {
    let (ada, admin) = server.log_in("ada", Role::Admin).await;
    let post = server.world.post(&ada, "Post").await;
    let tag = server.world.tag("Tag").await;
    let category = server.world.category("Category", None).await;
    let viewer = server
        .data(&admin, "{ viewer { user { id } } }", json!({}))
        .await;
    let user = viewer["viewer"]["user"]["id"].clone();
    let input = json!({ "userId": user });
    let made = server
        .mutate(&admin, "createProfile", input, "profile { id }")
        .await;
    let input = json!({ "currency": "EUR" });
    let opened = server
        .mutate(&admin, "openAccount", input, "account { id }")
        .await;
    let product = product(server, &admin, "lamp", "250", "EUR").await;
    let input = json!({ "items": [line(&product, 1)], "payNow": false, "idempotencyKey": "stage" });
    let placed = server
        .mutate(&admin, "placeOrder", input, "order { id }")
        .await;
    Stage {
        product,
        order: placed["order"]["id"].clone(),
        user,
        account: opened["account"]["id"].clone(),
        profile: made["profile"]["id"].clone(),
        category: server.id_of(&admin, "category", &category.slug).await,
        tag: server.id_of(&admin, "tag", &tag.slug).await,
        post: server.id_of(&admin, "post", &post.slug).await,
        admin,
    }
}

/// A product, ten of it.
async fn product(server: &Server, admin: &As, sku: &str, amount: &str, currency: &str) -> Value {
    let price = json!({ "amount": amount, "currency": currency });
    let input = json!({ "sku": sku, "name": sku, "price": price, "quantity": 10 });
    let made = server.mutate(admin, "createProduct", input, "product { id }");
    let made = made.await;
    accepted(&made);
    made["product"]["id"].clone()
}

/// A line of an order, at any price.
fn line(product: &Value, quantity: i32) -> Value {
    json!({ "productId": product, "quantity": quantity })
}

/// Everything that clients can see of the database.
async fn everything(server: &Server, stage: &Stage) -> Value {
    let page = |name: &str, fields: &str| {
        format!(
            "{name}(first: 200, scope: WITH_DELETED) {{ totalCount nodes {{ id version updatedAt {fields} }} }}"
        )
    };
    // These are never deleted.
    let orders = "orders(first: 200) { totalCount nodes { id version updatedAt status \
                  total { amount } items { quantity } } }";
    let query = format!(
        "{{ {} {} {} {} {} {} {orders} deletions {{ totalCount }} }}",
        page("users", "name email profile { version bio metadata }"),
        page("categories", "name slug"),
        page("tags", "name slug"),
        page("accounts", "balance { amount } transfers { totalCount }"),
        page(
            "products",
            "sku name price { amount currency } inventory { version quantity }"
        ),
        page(
            "posts",
            "title slug tags { id } coAuthors { id } category { id }"
        ),
    );
    server.data(&stage.admin, &query, json!({})).await
}

on_every_engine! {
    with server;

    async fn ids_that_are_none_are_top_level_errors(server) {
        let stage = stage(&server).await;
        let before = everything(&server, &stage).await;
        let post = stage.post.as_str().expect("an id");
        let tag = stage.tag.as_str().expect("an id");
        let mut last = post.chars();
        last.next_back();
        let bad = [
            "", " ", "post", "post_", "_", "1", "post_1", "0",
            &post.to_uppercase(), &format!("Post{}", &post[4..]), &format!(" {post}"),
            &format!("{post}0"), last.as_str(), &post.replace('_', "-"),
            // 26 characters of base 32 hold 130 bits: this is above the largest UUID.
            "post_80000000000000000000000000", "post_7zzzzzzzzzzzzzzzzzzzzzzzzu",
            // Letters that other base 32 alphabets read as 0 and 1.
            "post_0000000000000000000000000o", "post_0000000000000000000000000l",
            "0199a5b8-0000-7000-8000-000000000000", "\u{0}", "post_\u{0}",
            "post_٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠", "💣", &"x".repeat(100_000),
            "deletion_00000000000000000000000001", "nothing_00000000000000000000000001",
        ];
        let node = "query($id: ID!) { node(id: $id) { id } }";
        let of_post = "query($id: ID!) { post(id: $id) { id } }";
        let update = "mutation($id: ID!) { updatePost(input: { id: $id, expectedVersion: 1, title: \"no\" }) { post { id } } }";
        for id in bad {
            for query in [node, of_post, update] {
                let code = server.code(&stage.admin, query, json!({ "id": id })).await;
                assert_eq!(code, "BAD_USER_INPUT", "{query} {:.40}", id);
            }
        }
        // A number is an ID to GraphQL, and none of ours.
        let code = server.code(&stage.admin, "{ node(id: 7) { id } }", json!({})).await;
        assert_eq!(code, "BAD_USER_INPUT");
        // An id of another type.
        for query in [of_post, update] {
            assert_eq!(server.code(&stage.admin, query, json!({ "id": tag })).await, "BAD_USER_INPUT");
        }
        for query in [
            "query($id: ID!) { user(id: $id) { id } }",
            "query($id: ID!) { tag(id: $id) { id } }",
            "query($id: ID!) { category(id: $id) { id } }",
            "mutation($id: ID!) { deleteTag(input: { id: $id, expectedVersion: 0 }) { tag { id } } }",
            "mutation($id: ID!) { setPostTags(input: { id: $id, expectedVersion: 1, tagIds: [$id] }) { post { id } } }",
            "mutation($id: ID!) { createProfile(input: { userId: $id }) { profile { id } } }",
        ] {
            assert_eq!(server.code(&stage.admin, query, json!({ "id": post })).await, "BAD_USER_INPUT", "{query}");
        }
        // Neither id nor slug, or both.
        for query in ["{ post { id } }", "{ product { id } }", "{ tag { id } }", "{ category { id } }",
            "query($id: ID!) { post(id: $id, slug: \"post\") { id } }"] {
            assert_eq!(server.code(&stage.admin, query, json!({ "id": post })).await, "BAD_USER_INPUT", "{query}");
        }
        // Well formed and unknown: null, or NotFound.
        for kind in ["user", "profile", "category", "tag", "post", "account", "transfer", "product", "inventory", "order"] {
            let id = json!({ "id": format!("{kind}_00000000000000000000000001") });
            assert_eq!(server.data(&stage.admin, node, id.clone()).await["node"], Value::Null);
        }
        let input = json!({ "id": "post_00000000000000000000000001", "expectedVersion": 0 });
        let payload = server.mutate(&stage.admin, "deletePost", input, "post { id }").await;
        assert_eq!(refused(&payload), "NotFound");
        assert_eq!(everything(&server, &stage).await, before);
    }

    async fn pages_that_cannot_be_are_top_level_errors(server) {
        let stage = stage(&server).await;
        for n in 0..3 {
            server.world.tag(&format!("t{n}")).await;
        }
        let query = "{ tags(first: 1) { pageInfo { endCursor } }
            desc: tags(first: 1, orderBy: { field: SLUG, direction: DESC }) { pageInfo { endCursor } }
            made: tags(first: 1, orderBy: { field: CREATED_AT, direction: ASC }) { pageInfo { endCursor } }
            all: tags(first: 1, scope: WITH_DELETED) { pageInfo { endCursor } }
            categories(first: 1) { pageInfo { endCursor } }
            posts(first: 1) { pageInfo { endCursor } }
            users(first: 1) { pageInfo { endCursor } nodes { posts(first: 1) { pageInfo { endCursor } } } } }";
        let data = server.data(&stage.admin, query, json!({})).await;
        let own = data["tags"]["pageInfo"]["endCursor"].as_str().expect("a cursor").to_owned();
        let mut foreign: Vec<String> = ["desc", "made", "all", "categories", "posts", "users"]
            .iter()
            .map(|list| data[list]["pageInfo"]["endCursor"].as_str().expect("a cursor").to_owned())
            .collect();
        foreign.push(data["users"]["nodes"][0]["posts"]["pageInfo"]["endCursor"].as_str().expect("a cursor").to_owned());
        let mut bent = own.clone();
        bent.pop();
        foreign.extend(["", " ", "x", "💣", "\u{0}", "AAAA", "bnVsbA==", "1", "%00", "' OR 1=1 --"].map(str::to_owned));
        foreign.extend([bent, format!("{own}A"), own.to_uppercase(), "A".repeat(1_000_000)]);
        for cursor in &foreign {
            for (list, end) in [("first: 1, after", "after"), ("last: 1, before", "before")] {
                let query = format!("query($cursor: String) {{ tags({list}: $cursor) {{ nodes {{ id }} }} }}");
                let answer = server.ask(&NOBODY, &query, json!({ "cursor": cursor })).await;
                assert_eq!(answer["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{end} {cursor:.60}");
                assert!(answer["errors"][0]["message"].as_str().is_some_and(|m| m.contains(end)));
            }
        }
        let variables = json!({ "cursor": own });
        for arguments in [
            "first: -1", "last: -1", "first: 201", "last: 201", "first: 2147483647", "first: -2147483648",
            "first: 1, last: 1", "first: 0, last: 0", "first: 1, before: $cursor", "last: 1, after: $cursor",
            "after: $cursor, before: $cursor",
        ] {
            let lists = [
                format!("tags({arguments}) {{ nodes {{ id }} }}"),
                format!("users({arguments}) {{ nodes {{ id }} }}"),
                format!("deletions({arguments}) {{ nodes {{ id }} }}"),
                format!("accounts({arguments}) {{ nodes {{ id }} }}"),
                format!("products({arguments}) {{ nodes {{ id }} }}"),
                format!("orders({arguments}) {{ nodes {{ id }} }}"),
                format!("users {{ nodes {{ posts({arguments}) {{ nodes {{ id }} }} }} }}"),
                format!("category(slug: \"category\") {{ children({arguments}) {{ nodes {{ id }} }} }}"),
            ];
            for list in lists {
                let query = if arguments.contains('$') {
                    format!("query($cursor: String) {{ {list} }}")
                } else {
                    format!("{{ {list} }}")
                };
                assert_eq!(server.code(&NOBODY, &query, variables.clone()).await, "BAD_USER_INPUT", "{query}");
            }
        }
        // A number that is no Int is refused before it is a page size.
        for size in ["2147483648", "-2147483649", "99999999999999999999", "1.5", "\"1\"", "true", "[1, 2]"] {
            let code = server.code(&NOBODY, &format!("{{ tags(first: {size}) {{ nodes {{ id }} }} }}"), json!({})).await;
            assert!(["GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT"].contains(&code.as_str()), "{size} {code}");
            let variables: Value = json!({ "n": serde_json::from_str::<Value>(size).expect("JSON") });
            let code = server.code(&NOBODY, "query($n: Int) { tags(first: $n) { nodes { id } } }", variables).await;
            assert!(["GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT"].contains(&code.as_str()), "{size} {code}");
        }
        // null is as good as absent.
        let query = "query($n: Int, $after: String) { tags(first: $n, after: $after) { nodes { id } } }";
        let data = server.data(&NOBODY, query, json!({ "n": null, "after": null })).await;
        assert_eq!(data["tags"]["nodes"].as_array().map(Vec::len), Some(4));
    }

    async fn versions_that_are_not_the_records_change_nothing(server) {
        let stage = stage(&server).await;
        let before = everything(&server, &stage).await;
        let targets = [
            ("updatePost", &stage.post, "post", json!({ "title": "no" })),
            ("publishPost", &stage.post, "post", json!({})),
            ("unpublishPost", &stage.post, "post", json!({})),
            ("setPostTags", &stage.post, "post", json!({ "tagIds": [stage.tag] })),
            ("setPostCoAuthors", &stage.post, "post", json!({ "userIds": [] })),
            ("deletePost", &stage.post, "post", json!({})),
            ("updateTag", &stage.tag, "tag", json!({ "name": "no" })),
            ("deleteTag", &stage.tag, "tag", json!({})),
            ("updateCategory", &stage.category, "category", json!({ "name": "no" })),
            ("deleteCategory", &stage.category, "category", json!({})),
            ("updateProfile", &stage.profile, "profile", json!({ "bio": "no" })),
            ("deleteProfile", &stage.profile, "profile", json!({})),
            ("updateUser", &stage.user, "user", json!({ "name": "no" })),
            ("deleteUser", &stage.user, "user", json!({})),
            ("deleteAccount", &stage.account, "account", json!({})),
            ("updateProduct", &stage.product, "product", json!({ "name": "no" })),
            ("deleteProduct", &stage.product, "product", json!({})),
            ("payOrder", &stage.order, "order", json!({})),
            ("shipOrder", &stage.order, "order", json!({})),
            ("cancelOrder", &stage.order, "order", json!({})),
        ];
        for (name, id, field, input) in targets {
            for version in [-1, i32::MIN, 2, 1_000_000, i32::MAX] {
                let mut input = input.clone();
                input["id"] = id.clone();
                input["expectedVersion"] = version.into();
                let payload = server.mutate(&stage.admin, name, input, &format!("{field} {{ id }}")).await;
                assert_eq!(refused(&payload), "VersionConflict", "{name} {version}");
                assert_eq!(payload["errors"][0]["expectedVersion"], version);
                assert_eq!(payload["errors"][0]["current"]["id"], *id);
                assert_eq!(payload[field], Value::Null);
            }
            for version in [json!(2_147_483_648_i64), json!(-2_147_483_649_i64), json!(1e300), json!("1"), json!(null), json!([1])] {
                let mut input = input.clone();
                input["id"] = id.clone();
                input["expectedVersion"] = version.clone();
                let query = crate::client::mutation(name, &format!("{field} {{ id }}"));
                let code = server.code(&stage.admin, &query, json!({ "input": input })).await;
                assert!(["GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT"].contains(&code.as_str()), "{name} {version} {code}");
            }
        }
        assert_eq!(everything(&server, &stage).await, before);
    }

    async fn amounts_that_cannot_be_move_nothing(server) {
        let stage = stage(&server).await;
        let put = json!({ "to": stage.account, "amount": "9", "idempotencyKey": "start" });
        accepted(&server.mutate(&stage.admin, "deposit", put, "transfer { id }").await);
        let (_, bob) = server.log_in("bob", Role::User).await;
        let other = json!({ "currency": "EUR" });
        let other = server.mutate(&bob, "openAccount", other, "account { id }").await;
        let other = &other["account"]["id"];
        let before = everything(&server, &stage).await;
        let unknown = json!("account_00000000000000000000000001");
        let most = i64::MAX.to_string();
        for (from, to, amount, refusal, path) in [
            (&stage.account, other, "0", "ValidationFailed", "amount"),
            (&stage.account, other, "-1", "ValidationFailed", "amount"),
            (&stage.account, other, "-9223372036854775808", "ValidationFailed", "amount"),
            (&stage.account, other, "10", "InsufficientFunds", "amount"),
            (&stage.account, other, most.as_str(), "InsufficientFunds", "amount"),
            (&stage.account, &stage.account, "1", "ValidationFailed", "to"),
            (&stage.account, &unknown, "1", "NotFound", "to"),
            (&unknown, &stage.account, "1", "NotFound", "from"),
        ] {
            let input = json!({ "from": from, "to": to, "amount": amount, "idempotencyKey": "k" });
            let payload = server.mutate(&stage.admin, "transferFunds", input, "transfer { id }").await;
            assert_eq!(refused(&payload), refusal, "{amount} {payload:#}");
            assert_eq!(payload["errors"][0]["path"], json!(["input", path]));
        }
        // Somebody else's account is not there.
        let input = json!({ "from": stage.account, "to": other, "amount": "1", "idempotencyKey": "k" });
        let payload = server.mutate(&bob, "transferFunds", input, "transfer { id }").await;
        assert_eq!(refused(&payload), "NotFound");
        for (amount, refusal) in [("0", "ValidationFailed"), ("-1", "ValidationFailed"), (&most, "ValidationFailed")] {
            let input = json!({ "to": stage.account, "amount": amount, "idempotencyKey": "k" });
            let payload = server.mutate(&stage.admin, "deposit", input, "transfer { id }").await;
            assert_eq!(refused(&payload), refusal, "{amount}");
            assert_eq!(payload["errors"][0]["path"], json!(["input", "amount"]));
        }
        let query = crate::client::mutation("deposit", "transfer { id }");
        for amount in [
            json!("9223372036854775808"), json!("-9223372036854775809"), json!(1), json!(1.5), json!("1.0"),
            json!("1e3"), json!(""), json!(" 1"), json!("0x1"), json!("١"), json!(null), json!(["1"]), json!(true),
        ] {
            let input = json!({ "to": stage.account, "amount": amount, "idempotencyKey": "k" });
            let code = server.code(&stage.admin, &query, json!({ "input": input })).await;
            assert!(["GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT"].contains(&code.as_str()), "{amount} {code}");
        }
        assert_eq!(everything(&server, &stage).await, before);
    }

    async fn orders_that_cannot_be_take_nothing(server) {
        let stage = stage(&server).await;
        let put = json!({ "to": stage.account, "amount": "1000", "idempotencyKey": "start" });
        accepted(&server.mutate(&stage.admin, "deposit", put, "transfer { id }").await);
        let lamp = &stage.product;
        let dear = product(&server, &stage.admin, "dear", &i64::MAX.to_string(), "EUR").await;
        let foreign = product(&server, &stage.admin, "foreign", "1", "USD").await;
        let unknown = |n: usize| json!(format!("product_{n:026}"));
        let lines = |n: usize| (1..=n).map(|n| line(&unknown(n), 1)).collect::<Vec<_>>();
        let priced = |amount: &str| json!({ "productId": lamp, "quantity": 1, "unitPrice": amount });
        let before = everything(&server, &stage).await;
        let cases = [
            (json!([]), "ValidationFailed", vec![]),
            (json!(lines(101)), "ValidationFailed", vec![]),
            (json!(lines(800)), "ValidationFailed", vec![]),
            (json!(lines(100)), "NotFound", vec!["0", "productId"]),
            (json!([line(lamp, 1), line(&unknown(1), 1)]), "NotFound", vec!["1", "productId"]),
            (json!([line(lamp, 1), line(lamp, 1)]), "ValidationFailed", vec!["1", "productId"]),
            (json!([line(lamp, 0)]), "ValidationFailed", vec!["0", "quantity"]),
            (json!([line(lamp, -1)]), "ValidationFailed", vec!["0", "quantity"]),
            (json!([line(lamp, i32::MIN)]), "ValidationFailed", vec!["0", "quantity"]),
            (json!([line(lamp, 1_000_001)]), "ValidationFailed", vec!["0", "quantity"]),
            (json!([line(lamp, i32::MAX)]), "ValidationFailed", vec!["0", "quantity"]),
            // One is set aside.
            (json!([line(lamp, 10)]), "InsufficientStock", vec!["0", "quantity"]),
            (json!([line(lamp, 1_000_000)]), "InsufficientStock", vec!["0", "quantity"]),
            (json!([line(&dear, 2)]), "ValidationFailed", vec!["0", "quantity"]),
            (json!([line(lamp, 1), line(&dear, 1)]), "ValidationFailed", vec!["1", "quantity"]),
            (json!([line(&dear, 1)]), "InsufficientFunds", vec![]),
            (json!([line(lamp, 5)]), "InsufficientFunds", vec![]),
            (json!([line(lamp, 1), line(&foreign, 1)]), "ValidationFailed", vec!["1", "productId"]),
            (json!([line(&foreign, 1)]), "ValidationFailed", vec![]),
            (json!([priced("249")]), "PriceChanged", vec!["0", "unitPrice"]),
            (json!([priced("0")]), "PriceChanged", vec!["0", "unitPrice"]),
            (json!([priced("-250")]), "PriceChanged", vec!["0", "unitPrice"]),
            (json!([priced(&i64::MAX.to_string())]), "PriceChanged", vec!["0", "unitPrice"]),
        ];
        for (items, refusal, place) in cases {
            let input = json!({ "items": items, "idempotencyKey": "k" });
            let payload = server.mutate(&stage.admin, "placeOrder", input, "order { id }").await;
            assert_eq!(refused(&payload), refusal, "{place:?}");
            let path = json!([vec!["input", "items"], place].concat());
            assert_eq!((&payload["errors"][0]["path"], &payload["order"]), (&path, &Value::Null));
        }
        let query = crate::client::mutation("placeOrder", "order { id }");
        let input = json!({ "items": lines(10_000), "idempotencyKey": "k" });
        assert_eq!(server.code(&stage.admin, &query, json!({ "input": input })).await, "QUERY_TOO_COMPLEX");
        // Ids of no product, and what is no Int and no amount.
        for item in [
            line(&stage.post, 1), line(&json!("lamp"), 1), line(&json!(null), 1), json!({}), json!(null),
            json!({ "productId": lamp, "quantity": 2_147_483_648_i64 }), json!({ "productId": lamp, "quantity": 1.5 }),
            json!({ "productId": lamp, "quantity": "1" }), json!({ "productId": lamp, "quantity": null }),
            priced("9223372036854775808"), priced("1.0"), priced(""),
        ] {
            let input = json!({ "items": [item], "idempotencyKey": "k" });
            let code = server.code(&stage.admin, &query, json!({ "input": input })).await;
            assert!(["GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT"].contains(&code.as_str()), "{item} {code}");
        }
        assert_eq!(everything(&server, &stage).await, before);
    }

    async fn somebody_elses_order_is_not_there(server) {
        let stage = stage(&server).await;
        let (_, bob) = server.log_in("bob", Role::User).await;
        let (_, mona) = server.log_in("mona", Role::Moderator).await;
        let before = everything(&server, &stage).await;
        let unknown = json!("order_00000000000000000000000001");
        for name in ["payOrder", "shipOrder", "cancelOrder"] {
            for (who, id) in [(&bob, &stage.order), (&NOBODY, &stage.order), (&stage.admin, &unknown)] {
                let input = json!({ "id": id, "expectedVersion": 0 });
                let payload = server.mutate(who, name, input, "order { id }").await;
                let refusal = if who.0.is_some() { "NotFound" } else { "Forbidden" };
                assert_eq!(refused(&payload), refusal, "{name}");
                if refusal == "NotFound" {
                    assert_eq!(payload["errors"][0]["path"], json!(["input", "id"]));
                }
            }
        }
        // Who moderates sees it, and pays for nobody.
        let input = json!({ "id": stage.order, "expectedVersion": 0 });
        let payload = server.mutate(&mona, "payOrder", input, "order { id }").await;
        assert_eq!(refused(&payload), "Forbidden");
        assert_eq!(everything(&server, &stage).await, before);
    }

    async fn products_that_cannot_be_are_not_made(server) {
        let stage = stage(&server).await;
        let before = everything(&server, &stage).await;
        let good = json!({ "sku": "new", "name": "New", "quantity": 0,
            "price": { "amount": "1", "currency": "EUR" } });
        let money = |amount: &str, currency: &str| json!({ "amount": amount, "currency": currency });
        for (field, value) in [
            ("price", money("0", "EUR")), ("price", money("-1", "EUR")), ("price", money("-9223372036854775808", "EUR")),
            ("price", money("1", "")), ("price", money("1", "EURO")), ("price", money("1", "eur")), ("price", money("1", "QQQ")),
            ("price", money("1", "💶")), ("price", money("1", "' OR 1=1 --")),
            ("quantity", json!(-1)), ("quantity", json!(i32::MIN)), ("quantity", json!(1_000_000_001)),
            ("quantity", json!(i32::MAX)), ("sku", json!("")), ("sku", json!(" ")), ("sku", json!("é".repeat(101))),
            ("sku", json!("a\nb")), ("name", json!("")), ("name", json!("é".repeat(201))),
        ] {
            let mut input = good.clone();
            input[field] = value.clone();
            let payload = server.mutate(&stage.admin, "createProduct", input, "product { id }").await;
            assert_eq!(refused(&payload), "ValidationFailed", "{field} {value}");
            assert_eq!(payload["errors"][0]["path"], json!(["input", field]));
            if field != "quantity" {
                let mut input = json!({ "id": stage.product, "expectedVersion": 0 });
                input[field] = value.clone();
                let payload = server.mutate(&stage.admin, "updateProduct", input, "product { id }").await;
                assert_eq!(refused(&payload), "ValidationFailed", "{field} {value}");
                assert_eq!(payload["errors"][0]["path"], json!(["input", field]));
            }
        }
        for field in ["sku", "name", "price"] {
            let mut input = json!({ "id": stage.product, "expectedVersion": 0 });
            input[field] = Value::Null;
            let payload = server.mutate(&stage.admin, "updateProduct", input, "product { id }").await;
            assert_eq!(refused(&payload), "ValidationFailed", "{field}");
        }
        let unknown = json!("product_00000000000000000000000001");
        for (id, by, refusal, path) in [
            (&stage.product, 0, "ValidationFailed", "by"),
            (&stage.product, -10, "InsufficientStock", "by"),
            (&stage.product, i32::MIN, "InsufficientStock", "by"),
            (&stage.product, 1_000_000_000, "ValidationFailed", "by"),
            (&stage.product, i32::MAX, "ValidationFailed", "by"),
            (&unknown, 1, "NotFound", "productId"),
        ] {
            let input = json!({ "productId": id, "by": by, "idempotencyKey": "k" });
            let payload = server.mutate(&stage.admin, "adjustStock", input, "inventory { id }").await;
            assert_eq!(refused(&payload), refusal, "{by}");
            assert_eq!(payload["errors"][0]["path"], json!(["input", path]));
        }
        assert_eq!(everything(&server, &stage).await, before);
    }

    async fn posts_that_cannot_be_published_together_stay_as_they_are(server) {
        let stage = stage(&server).await;
        let (_, bob) = server.log_in("bob", Role::User).await;
        let mut drafts = Vec::new();
        for n in 0..2 {
            let input = json!({ "title": format!("Draft {n}"), "content": "" });
            let made = server.mutate(&stage.admin, "createPost", input, "post { id }").await;
            drafts.push(made["post"]["id"].clone());
        }
        let before = everything(&server, &stage).await;
        let seen = |id: &Value, version: i32| json!({ "id": id, "expectedVersion": version });
        let unknown = |n: usize| seen(&json!(format!("post_{n:026}")), 0);
        let unknown_ones = |n: usize| (1..=n).map(unknown).collect::<Vec<_>>();
        let (one, two) = (&drafts[0], &drafts[1]);
        for (items, refusal, place) in [
            (json!([]), "ValidationFailed", vec![]),
            (json!(unknown_ones(201)), "ValidationFailed", vec![]),
            (json!(unknown_ones(800)), "ValidationFailed", vec![]),
            (json!(unknown_ones(200)), "NotFound", vec!["0", "id"]),
            (json!([seen(one, 0), unknown(1)]), "NotFound", vec!["1", "id"]),
            (json!([seen(one, 0), seen(one, 0)]), "ValidationFailed", vec!["1", "id"]),
            (json!([seen(one, 0), seen(two, 1)]), "VersionConflict", vec!["1", "expectedVersion"]),
            (json!([seen(one, 0), seen(two, -1)]), "VersionConflict", vec!["1", "expectedVersion"]),
            (json!([seen(one, i32::MAX), seen(two, 0)]), "VersionConflict", vec!["0", "expectedVersion"]),
        ] {
            let input = json!({ "items": items });
            let payload = server.mutate(&stage.admin, "publishPosts", input, "posts { id }").await;
            assert_eq!(refused(&payload), refusal, "{place:?}");
            let path = json!([vec!["input", "items"], place].concat());
            assert_eq!((&payload["errors"][0]["path"], &payload["posts"]), (&path, &Value::Null));
        }
        // Somebody else's drafts are not there, and somebody else's post is not theirs to publish.
        let input = json!({ "items": [seen(one, 0)] });
        let payload = server.mutate(&bob, "publishPosts", input, "posts { id }").await;
        assert_eq!(refused(&payload), "NotFound");
        let input = json!({ "items": [seen(&stage.post, 1)] });
        let payload = server.mutate(&bob, "publishPosts", input, "posts { id }").await;
        assert_eq!(refused(&payload), "Forbidden");
        let query = crate::client::mutation("publishPosts", "posts { id }");
        let input = json!({ "items": unknown_ones(10_000) });
        assert_eq!(server.code(&stage.admin, &query, json!({ "input": input })).await, "QUERY_TOO_COMPLEX");
        for item in [seen(&stage.tag, 0), seen(&json!("post"), 0), json!({ "id": one }), json!(null)] {
            let input = json!({ "items": [item] });
            let code = server.code(&stage.admin, &query, json!({ "input": input })).await;
            assert!(["GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT"].contains(&code.as_str()), "{item} {code}");
        }
        assert_eq!(everything(&server, &stage).await, before);
    }

    async fn nul_is_refused_in_every_text_of_every_mutation(server) {
        let stage = stage(&server).await;
        let before = everything(&server, &stage).await;
        let change = |id: &Value, fields: Value| {
            let mut input = fields;
            input["id"] = id.clone();
            input["expectedVersion"] = 0.into();
            input
        };
        let published = |fields: Value| {
            let mut input = change(&stage.post, fields);
            input["expectedVersion"] = 1.into();
            input
        };
        // Each mutation with a text, and an input that would be accepted.
        let inputs = [
            ("login", "token", json!({ "email": "ada@test.invalid", "password": plimsoll_testkit::PASSWORD })),
            ("createUser", "user { id }", json!({ "email": "x@test.invalid", "name": "x", "password": "long enough" })),
            ("updateUser", "user { id }", change(&stage.user, json!({
                "email": "y@test.invalid", "name": "y", "password": "long enough",
                "currentPassword": plimsoll_testkit::PASSWORD }))),
            ("createProfile", "profile { id }", json!({ "userId": stage.user, "bio": "x", "avatarUrl": "https://x.invalid/", "metadata": { "k": "v" } })),
            ("updateProfile", "profile { id }", change(&stage.profile, json!({ "bio": "x", "avatarUrl": "https://x.invalid/", "metadata": { "k": "v" } }))),
            ("createCategory", "category { id }", json!({ "name": "x", "slug": "x" })),
            ("updateCategory", "category { id }", change(&stage.category, json!({ "name": "x", "slug": "x" }))),
            ("createTag", "tag { id }", json!({ "name": "x", "slug": "x" })),
            ("updateTag", "tag { id }", change(&stage.tag, json!({ "name": "x", "slug": "x" }))),
            ("openAccount", "account { id }", json!({ "currency": "USD" })),
            ("deposit", "transfer { id }", json!({
                "to": stage.account, "amount": "1", "idempotencyKey": "k" })),
            ("transferFunds", "transfer { id }", json!({
                "from": stage.account, "to": "account_00000000000000000000000001", "amount": "1",
                "idempotencyKey": "k" })),
            ("createProduct", "product { id }", json!({
                "sku": "x", "name": "x", "price": { "amount": "1", "currency": "EUR" }, "quantity": 1 })),
            ("updateProduct", "product { id }", change(&stage.product, json!({
                "sku": "x", "name": "x", "price": { "amount": "1", "currency": "EUR" } }))),
            ("adjustStock", "inventory { id }", json!({
                "productId": stage.product, "by": 1, "idempotencyKey": "k" })),
            ("placeOrder", "order { id }", json!({
                "items": [line(&stage.product, 1)], "payNow": false, "idempotencyKey": "k" })),
            ("createPost", "post { id }", json!({ "title": "x", "slug": "x", "content": "x" })),
            ("updatePost", "post { id }", published(json!({ "title": "x", "slug": "x", "content": "x" }))),
        ];
        let mut tried = BTreeSet::new();
        for (name, selection, good) in &inputs {
            for (field, value) in good.as_object().expect("an input is an object") {
                let mut place = format!("{name}.{field}");
                let texts: Vec<Value> = match value {
                    Value::Object(_) if field == "price" => {
                        place = "money.currency".into();
                        let money = |currency: &str| json!({ "amount": "1", "currency": currency });
                        ["E\u{0}UR", "EUR\u{0}", "\u{0}EUR"].map(money).into()
                    }
                    Value::Object(_) => vec![
                        json!({ "k": "a\u{0}b" }), json!({ "a\u{0}b": 1 }), json!({ "k": [{ "l": "\u{0}" }] }),
                    ],
                    Value::String(text) if !matches!(field.as_str(), "id" | "userId" | "productId" | "from" | "to" | "amount") => {
                        let (head, tail) = text.split_at(1);
                        vec![json!(format!("{head}\u{0}{tail}")), json!(format!("{text}\u{0}")), json!(format!("\u{0}{text}"))]
                    }
                    _ => continue,
                };
                tried.insert(place);
                for text in texts {
                    let mut input = good.clone();
                    input[field] = text.clone();
                    let payload = server.mutate(&stage.admin, name, input, selection).await;
                    assert_eq!(refused(&payload), "ValidationFailed", "{name}.{field} {text}");
                }
            }
        }
        assert_eq!(everything(&server, &stage).await, before);

        // That was every text that the schema takes.
        let query = "{ __schema { types { name kind inputFields { name type { name kind ofType { name } } } } } }";
        let schema = server.data(&NOBODY, query, json!({})).await;
        let mut all = BTreeSet::new();
        for ty in schema["__schema"]["types"].as_array().expect("types") {
            let name = ty["name"].as_str().expect("a name");
            for field in ty["inputFields"].as_array().into_iter().flatten() {
                let plain = [&field["type"]["name"], &field["type"]["ofType"]["name"]];
                if plain.iter().any(|n| **n == "String" || **n == "JSON") {
                    let mutation = name.strip_suffix("Input").unwrap_or(name);
                    let (first, rest) = mutation.split_at(1);
                    let field = field["name"].as_str().expect("a name");
                    all.insert(format!("{}{rest}.{field}", first.to_lowercase()));
                }
            }
        }
        assert_eq!(tried, all);

        // A look-up of such a text finds nothing.
        for field in ["post", "tag", "category"] {
            for slug in ["a\u{0}b", "\u{0}", "post\u{0}"] {
                let query = format!("query($slug: String) {{ {field}(slug: $slug) {{ id }} }}");
                for who in [&NOBODY, &stage.admin] {
                    let data = server.data(who, &query, json!({ "slug": slug })).await;
                    assert_eq!(data[field], Value::Null, "{field} {slug:?}");
                    let query = "query($sku: String) { product(sku: $sku) { id } }";
                    let data = server.data(who, query, json!({ "sku": slug })).await;
                    assert_eq!(data["product"], Value::Null, "{slug:?}");
                }
            }
        }
    }

    async fn texts_of_every_script_come_back_as_they_were(server) {
        let stage = stage(&server).await;
        let texts = [
            "🚢⚓️ 👩🏽‍✈️", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢", "مرحبا بالعالم", "שלום", "e\u{301} and \u{e9}", "ﬁ Ǆ ß ẞ",
            "\u{202e}right to left", "日本語", "a\u{200d}b\u{feff}c", "\u{10ffff}\u{fffd}\u{ffff}",
            "' \" ` \\ %_ -- /* $1 ? :x", "\\u0000 \\0 \\x00",
        ];
        for (n, text) in texts.iter().enumerate() {
            let content = format!("{text}\r\n\t{text}\u{1}\u{7f}\u{85}\u{2028}  ");
            let input = json!({ "title": text, "slug": format!("text-{n}"), "content": content });
            let made = server.mutate(&stage.admin, "createPost", input, "post { id }").await;
            accepted(&made);
            let query = "query($id: ID!) { post(id: $id) { title content } }";
            let read = server.data(&stage.admin, query, json!({ "id": made["post"]["id"] })).await;
            assert_eq!(read["post"], json!({ "title": text, "content": content }));

            let metadata = json!({ "k": text, *text: [text, 1, -0.5, 1e15, true, null, {}] });
            let input = json!({ "id": stage.profile, "expectedVersion": n, "bio": content, "metadata": metadata });
            accepted(&server.mutate(&stage.admin, "updateProfile", input, "profile { id }").await);
            let query = "query($id: ID!) { node(id: $id) { ... on Profile { bio metadata } } }";
            let read = server.data(&stage.admin, query, json!({ "id": stage.profile })).await;
            assert_eq!(read["node"], json!({ "bio": content, "metadata": metadata }));
        }
        // Control characters have no place in a line.
        for c in ['\u{1}', '\n', '\r', '\t', '\u{7f}', '\u{85}', '\u{1b}'] {
            let input = json!({ "title": format!("a{c}b"), "content": "" });
            let payload = server.mutate(&stage.admin, "createPost", input, "post { id }").await;
            assert_eq!(refused(&payload), "ValidationFailed", "{c:?}");
            assert_eq!(payload["errors"][0]["path"], json!(["input", "title"]));
        }
        // Slugs collide by case, not by accent or by script.
        let slugs = ["résumé", "resume", "strasse", "straße", "σίσυφος", "ﬁn", "fin", "été", "ı", "i"];
        for slug in slugs {
            let input = json!({ "name": "a tag", "slug": slug });
            accepted(&server.mutate(&stage.admin, "createTag", input, "tag { id }").await);
        }
        for slug in ["RÉSUMÉ", "re\u{301}sume\u{301}", "Resume", "RESUME ", "STRASSE", "STRAẞE", "Été", "I"] {
            let input = json!({ "name": "a tag", "slug": slug });
            let payload = server.mutate(&stage.admin, "createTag", input, "tag { id }").await;
            assert_eq!(refused(&payload), "AlreadyExists", "{slug}");
            assert_eq!(payload["errors"][0]["path"], json!(["input", "slug"]));
            let found = server.data(&NOBODY, "query($slug: String) { tag(slug: $slug) { id } }", json!({ "slug": slug })).await;
            assert!(found["tag"]["id"].is_string(), "{slug}");
        }
        for slug in ["", " ", "a b", "a/b", "a\\b", "a?b", "a#b", "<b>", "💣", "a\u{200d}b", &"x".repeat(201)] {
            let input = json!({ "name": "a tag", "slug": slug });
            let payload = server.mutate(&stage.admin, "createTag", input, "tag { id }").await;
            assert_eq!(refused(&payload), "ValidationFailed", "{slug}");
        }
    }

    async fn texts_are_bounded_by_characters(server) {
        let stage = stage(&server).await;
        let read = "query($id: ID!) { post(id: $id) { content } }";
        for (n, letter) in ["a", "é", "𝄞"].iter().enumerate() {
            let content = letter.repeat(1_000_000);
            let input = json!({ "title": format!("big {n}"), "content": content });
            let made = server.mutate(&stage.admin, "createPost", input, "post { id }").await;
            accepted(&made);
            let data = server.data(&stage.admin, read, json!({ "id": made["post"]["id"] })).await;
            assert!(data["post"]["content"] == content.as_str(), "{letter} came back differently");
        }
        let before = everything(&server, &stage).await;
        let input = json!({ "title": "too big", "content": "a".repeat(1_000_001) });
        let payload = server.mutate(&stage.admin, "createPost", input, "post { id }").await;
        assert_eq!(refused(&payload), "ValidationFailed");
        assert_eq!(payload["errors"][0]["path"], json!(["input", "content"]));

        let body = json!({ "query": "{ __typename }", "variables": { "x": "a".repeat(10_000_000) } });
        let reply = server.send(Method::POST, "", &JSON, body.to_string()).await;
        assert_eq!(reply.refusal(), (413, "PAYLOAD_TOO_LARGE".to_owned()));

        let line = |n: usize| "é".repeat(n);
        let cases = [
            ("createTag", "tag", json!({ "name": line(201) }), "name"),
            ("createTag", "tag", json!({ "name": "" }), "name"),
            ("createTag", "tag", json!({ "name": " \u{a0} " }), "name"),
            ("createTag", "tag", json!({ "name": "x", "slug": "" }), "slug"),
            ("createCategory", "category", json!({ "name": "" }), "name"),
            ("createPost", "post", json!({ "title": "", "content": "" }), "title"),
            ("createPost", "post", json!({ "title": line(201), "content": "" }), "title"),
            ("createUser", "user", json!({ "email": "z@test.invalid", "name": "" }), "name"),
            ("createUser", "user", json!({ "email": "z@test.invalid", "name": "z", "password": "" }), "password"),
            ("createUser", "user", json!({ "email": "z@test.invalid", "name": "z", "password": "seven77" }), "password"),
            ("createUser", "user", json!({ "email": "z@test.invalid", "name": "z", "password": "x".repeat(257) }), "password"),
            ("updateProfile", "profile", json!({ "id": stage.profile, "expectedVersion": 0, "bio": line(5_001) }), "bio"),
            ("updateProfile", "profile", json!({ "id": stage.profile, "expectedVersion": 0, "metadata": [1] }), "metadata"),
            ("updateProfile", "profile", json!({ "id": stage.profile, "expectedVersion": 0, "metadata": "x" }), "metadata"),
            ("updateProfile", "profile", json!({ "id": stage.profile, "expectedVersion": 0, "metadata": { "k": "x".repeat(16_385) } }), "metadata"),
            ("updateProfile", "profile", json!({ "id": stage.profile, "expectedVersion": 0, "avatarUrl": "javascript:alert(1)" }), "avatarUrl"),
            ("updateProfile", "profile", json!({ "id": stage.profile, "expectedVersion": 0, "avatarUrl": format!("https://x/{}", "a".repeat(2_000)) }), "avatarUrl"),
        ];
        for (name, field, input, at) in cases {
            let payload = server.mutate(&stage.admin, name, input, &format!("{field} {{ id }}")).await;
            assert_eq!(refused(&payload), "ValidationFailed", "{name}.{at}");
            assert_eq!(payload["errors"][0]["path"], json!(["input", at]));
        }
        for email in ["", "x", "@", "x@", "@x", "a b@x.invalid", "a@x .invalid", "a@.x", "a\n@x.invalid", &format!("{}@x.invalid", "a".repeat(320))] {
            let input = json!({ "email": email, "name": "z" });
            let payload = server.mutate(&stage.admin, "createUser", input, "user { id }").await;
            assert_eq!(refused(&payload), "ValidationFailed", "{email:?}");
            assert_eq!(payload["errors"][0]["path"], json!(["input", "email"]));
            let input = json!({ "email": email, "password": "whatever it is" });
            let login = server.mutate(&NOBODY, "login", input, "token").await;
            assert_eq!(refused(&login), "ValidationFailed");
        }
        assert_eq!(everything(&server, &stage).await, before);

        // At the limit; and letters that grow when they are folded to lower case.
        let accepted_or_refused = [
            ("createTag", "tag", json!({ "name": line(200) }), true),
            ("createTag", "tag", json!({ "name": "long", "slug": line(200) }), true),
            ("createTag", "tag", json!({ "name": "İ".repeat(200) }), true),
            ("createTag", "tag", json!({ "name": "growing", "slug": "İ".repeat(200) }), false),
            ("createPost", "post", json!({ "title": "İ".repeat(200), "content": "" }), true),
            ("createUser", "user", json!({ "email": format!("{}@x.invalid", "a".repeat(310)), "name": line(200) }), true),
            ("createUser", "user", json!({ "email": "grow@x.invalid", "name": "İ".repeat(200) }), false),
            ("createUser", "user", json!({ "email": format!("{}@x.invalid", "İ".repeat(300)), "name": "grow" }), false),
            ("updateProfile", "profile", json!({ "id": stage.profile, "expectedVersion": 0, "bio": line(5_000) }), true),
        ];
        for (name, field, input, good) in accepted_or_refused {
            let payload = server.mutate(&stage.admin, name, input, &format!("{field} {{ id }}")).await;
            if good {
                accepted(&payload);
            } else {
                assert_eq!(refused(&payload), "ValidationFailed", "{name}");
            }
        }
        // The same depth of JSON on every engine.
        let nested = |levels: usize| (0..levels).fold(json!({ "end": 1 }), |inner, _| json!({ "k": inner }));
        for (version, levels) in [(1, 10), (2, 20)] {
            let input = json!({ "id": stage.profile, "expectedVersion": version, "metadata": nested(levels) });
            let payload = server.mutate(&stage.admin, "updateProfile", input, "profile { metadata }").await;
            accepted(&payload);
            assert_eq!(payload["profile"]["metadata"], nested(levels));
        }
        for levels in [32, 40, 100] {
            let input = json!({ "id": stage.profile, "expectedVersion": 3, "metadata": nested(levels) });
            let payload = server.mutate(&stage.admin, "updateProfile", input, "profile { metadata }").await;
            assert_eq!(refused(&payload), "ValidationFailed", "{levels} levels");
        }
    }

    async fn lists_of_ids_are_bounded_and_name_each_record_once(server) {
        let stage = stage(&server).await;
        let mut tags = Vec::new();
        for n in 0..51 {
            let tag = server.world.tag(&format!("t{n}")).await;
            tags.push(server.id_of(&NOBODY, "tag", &tag.slug).await);
        }
        let mut people = Vec::new();
        for n in 0..21 {
            server.world.user(&format!("p{n:02}"), Role::User).await;
        }
        let users = server.data(&NOBODY, "{ users(first: 100) { nodes { id name } } }", json!({})).await;
        for user in users["users"]["nodes"].as_array().expect("users") {
            if user["name"] != "ada" {
                people.push(user["id"].clone());
            }
        }
        let before = everything(&server, &stage).await;
        let unknown = |kind: &str| json!(format!("{kind}_00000000000000000000000001"));
        let cases = [
            ("setPostTags", "tagIds", json!([tags[0], tags[1], tags[0]]), "ValidationFailed"),
            ("setPostTags", "tagIds", json!(tags), "ValidationFailed"),
            ("setPostTags", "tagIds", json!([tags[0], unknown("tag")]), "NotFound"),
            ("setPostCoAuthors", "userIds", json!([people[0], people[0]]), "ValidationFailed"),
            ("setPostCoAuthors", "userIds", json!(people), "ValidationFailed"),
            ("setPostCoAuthors", "userIds", json!([stage.user]), "ValidationFailed"),
            ("setPostCoAuthors", "userIds", json!([people[0], unknown("user")]), "NotFound"),
            ("createPost", "tagIds", json!([tags[0], tags[0]]), "ValidationFailed"),
            ("createPost", "tagIds", json!(tags), "ValidationFailed"),
            ("createPost", "tagIds", json!([unknown("tag")]), "NotFound"),
            ("createPost", "categoryId", unknown("category"), "NotFound"),
            ("updatePost", "categoryId", unknown("category"), "NotFound"),
            ("createCategory", "parentId", unknown("category"), "NotFound"),
            ("updateCategory", "parentId", unknown("category"), "NotFound"),
            ("createProfile", "userId", unknown("user"), "NotFound"),
        ];
        for (name, field, value, error) in cases {
            let mut input = match name {
                "createPost" => json!({ "title": "no", "content": "" }),
                "createCategory" => json!({ "name": "no" }),
                "createProfile" => json!({}),
                "updateCategory" => json!({ "id": stage.category, "expectedVersion": 0 }),
                _ => json!({ "id": stage.post, "expectedVersion": 1 }),
            };
            input[field] = value;
            let record = if name.contains("Category") { "category" } else if name.contains("Profile") { "profile" } else { "post" };
            let payload = server.mutate(&stage.admin, name, input, &format!("{record} {{ id }}")).await;
            assert_eq!(refused(&payload), error, "{name}.{field}");
            assert_eq!(payload["errors"][0]["path"], json!(["input", field]), "{name}");
        }
        assert_eq!(everything(&server, &stage).await, before);
        let input = json!({ "id": stage.post, "expectedVersion": 1, "tagIds": tags[..50] });
        accepted(&server.mutate(&stage.admin, "setPostTags", input, "post { id }").await);
        let input = json!({ "id": stage.post, "expectedVersion": 2, "userIds": people[..20] });
        let shared = server.mutate(&stage.admin, "setPostCoAuthors", input, "post { version tags { id } coAuthors { id } }").await;
        accepted(&shared);
        let ids = |list: &Value| list.as_array().expect("a list").iter().map(|r| r["id"].clone()).collect::<Vec<_>>();
        assert_eq!(ids(&shared["post"]["tags"]), tags[..50]);
        assert_eq!(ids(&shared["post"]["coAuthors"]), people[..20]);
    }

    async fn what_does_not_fit_the_schema_is_refused_before_anything_runs(server) {
        let stage = stage(&server).await;
        let before = everything(&server, &stage).await;
        server.world.statements.take();
        let documents = [
            "{", "", "query", "{ }", "{ nothing }", "{ posts { nothing } }", "{ posts }", "{ viewer { role { x } } }",
            "{ tags(nothing: 1) { nodes { id } } }", "{ tags(scope: NOTHING) { nodes { id } } }",
            "{ node { id } }", "{ node(id: null) { id } }",
            "{ nodes(ids: [null]) { id } }", "mutation { createTag(input: {}) { tag { id } } }",
            "mutation { createTag(input: { name: \"x\", nothing: 1 }) { tag { id } } }",
            "mutation { createTag(input: { name: 1 }) { tag { id } } }",
            "mutation { createTag(input: { name: null }) { tag { id } } }",
            "mutation { createTag { tag { id } } }", "subscription { x }",
            "{ ...F } fragment F on Nothing { id }", "query($x: Nothing) { viewer { role } }",
            "{ posts(filter: { nothing: true }) { nodes { id } } }",
            "{ posts(orderBy: { field: TITLE, direction: ASC }) { nodes { id } } }",
        ];
        for document in documents {
            let answer = server.ask(&NOBODY, document, json!({})).await;
            let code = answer["errors"][0]["extensions"]["code"].as_str().unwrap_or_default();
            let right = ["GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT"];
            assert!(right.contains(&code), "{document} {answer:#}");
        }
        let create = "mutation($input: CreateTagInput!) { createTag(input: $input) { tag { id } } }";
        let role = "mutation($input: CreateUserInput!) { createUser(input: $input) { user { id } } }";
        let typed = [
            (create, json!({ "input": { "name": 1 } })), (create, json!({ "input": { "name": ["x"] } })),
            (create, json!({ "input": { "name": { "x": 1 } } })), (create, json!({ "input": {} })),
            (create, json!({ "input": "x" })), (create, json!({ "input": null })), (create, json!({})),
            (create, json!({ "input": [] })), (create, json!({ "input": { "name": "x", "nothing": 1 } })),
            (role, json!({ "input": { "email": "r@x.invalid", "name": "r", "role": "OWNER" } })),
            (role, json!({ "input": { "email": "r@x.invalid", "name": "r", "role": 1 } })),
            ("query($s: Scope!) { tags(scope: $s) { nodes { id } } }", json!({ "s": "NOTHING" })),
            ("query($b: Boolean) { posts(filter: { published: $b }) { nodes { id } } }", json!({ "b": "yes" })),
            ("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", json!({ "ids": [null] })),
            ("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", json!({ "ids": { "x": 1 } })),
        ];
        for (document, variables) in typed {
            let code = server.code(&NOBODY, document, variables.clone()).await;
            assert!(["GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT"].contains(&code.as_str()), "{document} {variables} {code}");
        }
        let ran = server.world.statements.take();
        assert_eq!(ran, Vec::<String>::new());

        // Bodies that are no text, and texts that are no Unicode.
        let mut invalid = br#"{"query":"{ tag(slug: \""#.to_vec();
        invalid.extend([0xff, 0xfe, 0xc0, 0x80]);
        invalid.extend(br#"\") { id } }"}"#);
        let bodies: [&[u8]; 6] = [
            &invalid, b"\xff", b"", b"nothing", b"{\"query\":\"{ viewer { role } }\"",
            br#"{"query":"query($s: String) { tag(slug: $s) { id } }","variables":{"s":"\ud800"}}"#,
        ];
        for body in bodies {
            let reply = server.send(Method::POST, "", &JSON, body.to_vec()).await;
            assert_eq!(reply.refusal(), (400, "BAD_REQUEST".to_owned()), "{}", String::from_utf8_lossy(body));
        }
        // The same surrogate, by GraphQL's own escape.
        for escape in ["\\ud800", "\\udc00\\ud800", "\\u12", "\\x41"] {
            let document = format!("{{ tag(slug: \"{escape}\") {{ id }} }}");
            assert_eq!(server.code(&NOBODY, &document, json!({})).await, "GRAPHQL_PARSE_FAILED", "{document}");
        }
        let escaped = "mutation { createTag(input: { name: \"a\\u0000b\" }) { errors { __typename message } } }";
        let payload = server.data(&stage.admin, escaped, json!({})).await;
        assert_eq!(refused(&payload["createTag"]), "ValidationFailed");
        assert_eq!(everything(&server, &stage).await, before);
    }
}
