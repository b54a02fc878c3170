//! Every bound at its limit and one above, and GraphQL over HTTP as its specification says.

use std::time::{Duration, Instant};

use plimsoll_domain::Role;
use plimsoll_graphql::DEFAULT_MAX_COST;
use plimsoll_server::graphql_http::HttpLimits;
use plimsoll_testkit::on_every_engine;
use reqwest::Method;
use serde_json::{Value, json};

use crate::client::{GRAPHQL_RESPONSE, NOBODY, Reply, Server, server};

const JSON: &str = "application/json";

/// What graphql-js 17 asks with every option on.
const INTROSPECTION: &str = r"
query IntrospectionQuery { __schema {
  description queryType { name kind } mutationType { name kind } subscriptionType { name kind }
  types { ...FullType }
  directives { name description isRepeatable locations args(includeDeprecated: true) { ...InputValue } } } }
fragment FullType on __Type { kind name description specifiedByURL isOneOf
  fields(includeDeprecated: true) { name description args(includeDeprecated: true) { ...InputValue }
    type { ...TypeRef } isDeprecated deprecationReason }
  inputFields(includeDeprecated: true) { ...InputValue } interfaces { ...TypeRef }
  enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
  possibleTypes { ...TypeRef } }
fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue isDeprecated deprecationReason }
fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType {
  kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } } }";

async fn post(server: &Server, body: impl Into<reqwest::Body>) -> Reply {
    let headers = [("content-type", JSON), ("accept", GRAPHQL_RESPONSE)];
    server.send(Method::POST, "", &headers, body).await
}

/// Asserts that one document comes through and the other one is too much.
async fn bound(server: &Server, name: &str, within: (String, Value), above: (String, Value)) {
    let answer = server.ask(&NOBODY, &within.0, within.1).await;
    assert!(
        answer.get("errors").is_none(),
        "{name} within: {:.600}",
        answer.to_string()
    );
    let answer = server.ask(&NOBODY, &above.0, above.1).await;
    assert!(answer.get("data").is_none(), "{name} above was executed");
    let code = &answer["errors"][0]["extensions"]["code"];
    assert!(
        code == "QUERY_TOO_COMPLEX" || (name == "cost" && code == "GRAPHQL_VALIDATION_FAILED"),
        "{name} above: {:.600}",
        answer.to_string()
    );
}

on_every_engine! {
    with server;

    async fn every_bound_holds_at_its_limit_and_one_above(server) {
        let HttpLimits { body, request: limits, .. } = HttpLimits::default();
        let plain = |text: String| (text, json!({}));

        let document = |bytes: usize| {
            let text = "{ viewer { role } }#";
            plain(format!("{text}{}", "x".repeat(bytes - text.len())))
        };
        bound(&server, "bytes", document(limits.bytes), document(limits.bytes + 1)).await;

        // Ten tokens a field, and one for the rest.
        let tokens = |count: usize| {
            let (long, short) = ((count - 5) / 10, (count - 5) % 10);
            let fields = "a:role@include(if:true) ".repeat(long) + &"role ".repeat(short);
            plain(format!("{{viewer{{{fields}}}}}"))
        };
        bound(&server, "tokens", tokens(limits.tokens), tokens(limits.tokens + 1)).await;

        // The root, `__type`, and the rest.
        let depth = |levels: usize| {
            let (open, close) = ("ofType{".repeat(levels - 2), "}".repeat(levels - 2));
            plain(format!("{{__type(name:\"ID\"){{{open}name{close}}}}}"))
        };
        bound(&server, "depth", depth(limits.depth), depth(limits.depth + 1)).await;

        let fields = |count: usize| plain(format!("{{viewer{{{}}}}}", "role ".repeat(count - 1)));
        bound(&server, "fields", fields(limits.fields), fields(limits.fields + 1)).await;

        let roots = |count: usize| {
            let fields: String = (0..count).map(|n| format!("a{n}:viewer{{role}} ")).collect();
            plain(format!("{{{fields}}}"))
        };
        bound(&server, "roots", roots(limits.roots), roots(limits.roots + 1)).await;

        // The variables are a value themselves, and so is the list.
        let values = |count: usize| {
            let list: Vec<u8> = vec![1; count - 2];
            ("{ viewer { role } }".to_owned(), json!({ "unused": list }))
        };
        bound(&server, "values", values(limits.values), values(limits.values + 1)).await;

        // 200 users cost 249 each, the list 1, and the viewer the rest.
        let cost = |cost: usize| {
            let rest = cost - (200 * 249 + 1);
            let roles = "role ".repeat(rest - 1);
            plain(format!(
                "{{ users(first: 200) {{ nodes {{ id posts(first: 123) {{ nodes {{ id }} }} }} }} viewer {{ {roles} }} }}"
            ))
        };
        bound(&server, "cost", cost(DEFAULT_MAX_COST), cost(DEFAULT_MAX_COST + 1)).await;

        // 200 posts cost 200 for two texts each, 1 for the node, and what else is asked of them.
        let texts = |rest: usize| {
            let ids = "id ".repeat(rest);
            plain(format!("{{ posts(first: 200) {{ nodes {{ a: content b: content {ids} }} }} }}"))
        };
        bound(&server, "cost", texts(48), texts(49)).await;

        let padded = |bytes: usize| {
            let text = r#"{"query":"{ viewer { role } }"}"#;
            format!("{text}{}", " ".repeat(bytes - text.len()))
        };
        assert_eq!(post(&server, padded(body)).await.status, 200);
        let too_large = (413, "PAYLOAD_TOO_LARGE".to_owned());
        assert_eq!(post(&server, padded(body + 1)).await.refusal(), too_large);
        // The same without an announced length.
        let chunks = |bytes: usize| {
            let text = padded(bytes).into_bytes();
            let chunks: Vec<_> = text.chunks(100_000).map(<[u8]>::to_vec).collect();
            let chunks = chunks.into_iter().map(Ok::<_, std::io::Error>);
            reqwest::Body::wrap_stream(futures::stream::iter(chunks))
        };
        assert_eq!(post(&server, chunks(body)).await.status, 200);
        assert_eq!(post(&server, chunks(body + 1)).await.refusal(), too_large);

        let nodes = "query($ids: [ID!]!) { nodes(ids: $ids) { id } }";
        let ids = |count: usize| json!({ "ids": vec!["tag_00000000000000000000000001"; count] });
        let data = server.data(&NOBODY, nodes, ids(200)).await;
        assert_eq!(data["nodes"].as_array().map(Vec::len), Some(200));
        assert_eq!(server.code(&NOBODY, nodes, ids(201)).await, "BAD_USER_INPUT");
        for list in ["users", "tags", "categories", "posts", "deletions"] {
            for end in ["first", "last"] {
                let page = |size: u32| format!("{{ {list}({end}: {size}) {{ nodes {{ id }} }} }}");
                server.data(&NOBODY, &page(200), json!({})).await;
                assert_eq!(server.code(&NOBODY, &page(201), json!({})).await, "BAD_USER_INPUT");
            }
        }
    }

    async fn fragments_that_double_are_refused_at_once_and_introspection_passes(server) {
        let mut bomb = String::from("{ viewer { ...F0 } }");
        for n in 0..25 {
            bomb += &format!(" fragment F{n} on Viewer {{ ...F{} ...F{} }}", n + 1, n + 1);
        }
        bomb += " fragment F25 on Viewer { role }";
        let from = Instant::now();
        assert_eq!(server.code(&NOBODY, &bomb, json!({})).await, "QUERY_TOO_COMPLEX");
        assert!(from.elapsed() < Duration::from_secs(2), "{:?}", from.elapsed());

        server.world.statements.take();
        let data = server.data(&NOBODY, INTROSPECTION, json!({})).await;
        assert!(data["__schema"]["types"].as_array().is_some_and(|types| types.len() > 80));
        assert_eq!(server.world.statements.take(), Vec::<String>::new());
    }

    async fn methods_and_media_types_are_those_of_graphql_over_http(server) {
        let body = r#"{"query":"{ viewer { role } }"}"#;
        let answer = json!({ "data": { "viewer": { "role": null } } });
        let types = [
            (None, Some("application/json; charset=utf-8")),
            (Some("*/*"), Some("application/json; charset=utf-8")),
            (Some("application/*"), Some("application/json; charset=utf-8")),
            (Some(JSON), Some("application/json; charset=utf-8")),
            (Some(GRAPHQL_RESPONSE), Some("application/graphql-response+json; charset=utf-8")),
            (Some("application/graphql-response+json, application/json;q=0.9"), Some("application/graphql-response+json; charset=utf-8")),
            (Some("text/html, application/json"), Some("application/json; charset=utf-8")),
            (Some("text/html"), None),
            (Some("application/json;q=0"), None),
        ];
        for (accept, content_type) in types {
            let mut headers = vec![("content-type", JSON)];
            headers.extend(accept.map(|accept| ("accept", accept)));
            let reply = server.send(Method::POST, "", &headers, body).await;
            match content_type {
                Some(content_type) => {
                    assert_eq!((reply.status, reply.header("content-type")), (200, Some(content_type)), "{accept:?}");
                    assert_eq!(reply.json(), answer);
                    assert_eq!(reply.header("cache-control"), Some("no-store"));
                }
                None => assert_eq!(reply.refusal(), (406, "NOT_ACCEPTABLE".to_owned()), "{accept:?}"),
            }
        }
        // What a request is sent as.
        for content_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
            "application/graphql", "application/json; charset=latin1", ""] {
            let headers = [("content-type", content_type), ("accept", GRAPHQL_RESPONSE)];
            let reply = server.send(Method::POST, "", &headers, body).await;
            assert_eq!(reply.refusal(), (415, "UNSUPPORTED_MEDIA_TYPE".to_owned()), "{content_type}");
        }
        for content_type in ["application/json", "application/json; charset=utf-8", "Application/JSON;charset=\"UTF-8\""] {
            let reply = server.send(Method::POST, "", &[("content-type", content_type)], body).await;
            assert_eq!(reply.status, 200, "{content_type}");
        }
        let gzip = [("content-type", JSON), ("content-encoding", "gzip")];
        assert_eq!(server.send(Method::POST, "", &gzip, body).await.status, 415);

        for method in [Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
            let headers = [("content-type", JSON), ("accept", GRAPHQL_RESPONSE)];
            let reply = server.send(method.clone(), "", &headers, body).await;
            assert_eq!(reply.refusal(), (405, "METHOD_NOT_ALLOWED".to_owned()), "{method}");
            assert_eq!(reply.header("allow"), Some("GET, POST"));
        }
        let get = async |query: &str| server.send(Method::GET, query, &[("accept", GRAPHQL_RESPONSE)], "").await;
        let reply = get("?query=%7B%20viewer%20%7B%20role%20%7D%20%7D").await;
        assert_eq!((reply.status, reply.json()), (200, answer.clone()));
        let reply = get("?query=query($id:ID!)%7Bnode(id:$id)%7Bid%7D%7D&variables=%7B%22id%22:%22tag_00000000000000000000000001%22%7D").await;
        assert_eq!((reply.status, reply.json()), (200, json!({ "data": { "node": null } })));
        let reply = get("?query=mutation%20%7Blogout%7Berrors%7Bmessage%7D%7D%7D").await;
        assert_eq!(reply.refusal(), (405, "METHOD_NOT_ALLOWED".to_owned()));
        assert_eq!(reply.header("allow"), Some("POST"));
        for query in ["", "?query=", "?query=%ff", "?query=%7Bviewer%7Brole%7D%7D&query=%7Bviewer%7Brole%7D%7D", "?query=%7Bviewer%7Brole%7D%7D&variables=%5B%5D"] {
            assert_eq!(get(query).await.status, 400, "{query}");
        }

        // Bodies that are no request: 400 whatever is accepted.
        for body in ["{}", "[]", "null", "1", "\"x\"", r#"[{"query":"{ viewer { role } }"}]"#, r#"{"query":null}"#,
            r#"{"query":1}"#, r#"{"query":["x"]}"#, r#"{"query":"{ viewer { role } }","variables":[]}"#,
            r#"{"query":"{ viewer { role } }","variables":"x"}"#, r#"{"query":"{ viewer { role } }","operationName":1}"#,
            r#"{"query":"{ viewer { role } }","extensions":[]}"#, r#"{"query":"{ viewer { role } }","query":"{ viewer { role } }"}"#] {
            for accept in [JSON, GRAPHQL_RESPONSE] {
                let headers = [("content-type", JSON), ("accept", accept)];
                let reply = server.send(Method::POST, "", &headers, body).await;
                assert_eq!(reply.refusal(), (400, "BAD_REQUEST".to_owned()), "{body}");
            }
        }
        // What may be absent may be null.
        let reply = post(&server, r#"{"query":"{ viewer { role } }","variables":null,"operationName":null,"extensions":null}"#).await;
        assert_eq!((reply.status, reply.json()), (200, answer));
        // A request that is understood and cannot be executed.
        for (accept, status) in [(JSON, 200), (GRAPHQL_RESPONSE, 400)] {
            for query in ["{", "{ nothing }", "query A { viewer { role } } query B { viewer { role } }"] {
                let headers = [("content-type", JSON), ("accept", accept)];
                let body = json!({ "query": query }).to_string();
                let reply = server.send(Method::POST, "", &headers, body).await;
                assert_eq!(reply.status, status, "{query}");
                assert_eq!(reply.json().get("data"), None, "{query}");
            }
        }
        // A field that failed has status 200, with its data and its error.
        let reply = post(&server, r#"{"query":"{ viewer { role } node(id: \"x\") { id } }"}"#).await;
        let (status, body) = (reply.status, reply.json());
        assert_eq!((status, &body["data"]["viewer"]["role"]), (200, &Value::Null));
        assert_eq!(body["errors"][0]["path"], json!(["node"]));
        // Several operations, of which one is named.
        let reply = post(&server, r#"{"query":"query A { viewer { role } } query B { tags { totalCount } }","operationName":"B"}"#).await;
        assert_eq!(reply.json(), json!({ "data": { "tags": { "totalCount": 0 } } }));
    }

    async fn a_token_that_is_not_good_is_401_and_none_is_nobody(server) {
        let (_, ada) = server.log_in("ada", Role::User).await;
        let token = ada.0.clone().expect("a token");
        let body = r#"{"query":"{ viewer { role } }"}"#;
        let ask = async |authorization: Option<&str>| {
            let mut headers = vec![("content-type", JSON), ("accept", GRAPHQL_RESPONSE)];
            headers.extend(authorization.map(|value| ("authorization", value)));
            server.send(Method::POST, "", &headers, body).await
        };
        let nobody = ask(None).await;
        assert_eq!((nobody.status, nobody.json()), (200, json!({ "data": { "viewer": { "role": null } } })));
        for good in [format!("Bearer {token}"), format!("bearer {token}"), format!("BEARER  {token} ")] {
            let reply = ask(Some(&good)).await;
            assert_eq!((reply.status, reply.json()), (200, json!({ "data": { "viewer": { "role": "USER" } } })), "{good}");
        }
        let bad = [
            String::new(), "Bearer".into(), "Bearer ".into(), "Bearer x".into(), format!("Basic {token}"), token.clone(),
            format!("Bearer {token}x"), format!("Bearer {}", token.to_uppercase()), format!("Bearer {}", "x".repeat(513)),
            format!("Bearer {token} {token}"), "Bearer ' OR 1=1 --".into(),
        ];
        for bad in &bad {
            let reply = ask(Some(bad)).await;
            assert_eq!(reply.refusal(), (401, "UNAUTHENTICATED".to_owned()), "{bad}");
            assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
            assert_eq!(reply.json().get("data"), None);
        }
    }
}
