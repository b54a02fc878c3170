//! A server on a port of its own, and a client of it.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_graphql::{
    Variables,
    parser::types::{OperationType, Selection},
};
use plimsoll_domain::{Role, Settings, user::User};
use plimsoll_graphql::{
    Api, DEFAULT_MAX_COST, Documents,
    limits::{self, Limits},
};
use plimsoll_server::{
    app::{App, router},
    graphql_http::HttpLimits,
};
use plimsoll_testkit::{Engine, PASSWORD, World};
use reqwest::{Method, header::HeaderMap};
use serde_json::{Value, json};

/// The part of a mutation that asks for its errors.
pub(crate) const ERRORS: &str = "errors { __typename message path ... on VersionConflict { \
     expectedVersion currentVersion current { id version ... on Post { title content } } } }";

/// The media type of the specification, under which a request error has status 400.
pub(crate) const GRAPHQL_RESPONSE: &str = "application/graphql-response+json";

/// A running server.
pub(crate) struct Server {
    pub(crate) world: World,
    pub(crate) url: String,
    http: reqwest::Client,
    /// The root fields that came through, as `Query.posts` and `Mutation.createPost`.
    exercised: Mutex<BTreeSet<String>>,
}

/// Who asks: nobody, or somebody with a token.
#[derive(Clone, Debug, Default)]
pub(crate) struct As(pub(crate) Option<String>);

pub(crate) const NOBODY: As = As(None);

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// A server on this engine with the default settings.
pub(crate) async fn server(engine: Engine) -> Option<Server> {
    server_with(engine, Settings::default()).await
}

/// A server on this engine.
pub(crate) async fn server_with(engine: Engine, settings: Settings) -> Option<Server> {
    let world = plimsoll_testkit::setup_with(engine, settings).await?;
    let app = App {
        api: Api::new(world.store.clone(), DEFAULT_MAX_COST),
        limits: HttpLimits::default(),
        documents: Arc::new(Documents::new(HttpLimits::default().request)),
        deadline: Duration::from_secs(30),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let address = listener.local_addr().expect("the listener has an address");
    tokio::spawn(async move { axum_serve(listener, app).await });
    Some(Server {
        world,
        url: format!("http://{address}"),
        http: reqwest::Client::new(),
        exercised: Mutex::default(),
    })
}

async fn axum_serve(listener: tokio::net::TcpListener, app: App) {
    plimsoll_server::app::serve(listener, router(app))
        .await
        .expect("the server runs");
}

impl Server {
    /// Sends one HTTP request to `/graphql` with this query component, and checks what its
    /// errors tell.
    pub(crate) async fn send(
        &self,
        method: Method,
        query: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Reply {
        let url = format!("{}/graphql{query}", self.url);
        let mut request = self.http.request(method, url).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = request.send().await.expect("the server answers");
        let reply = Reply {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: answer.bytes().await.expect("the answer arrives").to_vec(),
        };
        if let Ok(answer) = serde_json::from_slice(&reply.body) {
            check_errors(&answer);
        }
        reply
    }

    /// Executes a document. Returns the whole answer, whose errors are checked.
    pub(crate) async fn ask(&self, who: &As, query: &str, variables: Value) -> Value {
        let body = json!({ "query": query, "variables": variables });
        let token = match who {
            As(Some(token)) => format!("Bearer {token}"),
            As(None) => String::new(),
        };
        let mut headers = vec![
            ("accept", GRAPHQL_RESPONSE),
            ("content-type", "application/json"),
        ];
        if !token.is_empty() {
            headers.push(("authorization", &token));
        }
        let reply = self
            .send(Method::POST, "", &headers, body.to_string())
            .await;
        reply.json()
    }

    /// Executes a document that must come through. Returns its data.
    pub(crate) async fn data(&self, who: &As, query: &str, variables: Value) -> Value {
        let mut answer = self.ask(who, query, variables).await;
        assert!(answer.get("errors").is_none(), "{query}\n{answer:#}");
        self.note(query, &answer["data"]);
        answer["data"].take()
    }

    /// Executes a document that must not come through. Returns the code of its first error.
    pub(crate) async fn code(&self, who: &As, query: &str, variables: Value) -> String {
        let answer = self.ask(who, query, variables).await;
        match answer["errors"][0]["extensions"]["code"].as_str() {
            Some(code) => code.to_owned(),
            None => panic!("{query}\n{answer:#}"),
        }
    }

    /// Runs one mutation. Returns its payload; `selection` is what is asked of it beside the
    /// errors.
    pub(crate) async fn mutate(
        &self,
        who: &As,
        name: &str,
        input: Value,
        selection: &str,
    ) -> Value {
        let query = mutation(name, selection);
        self.data(who, &query, json!({ "input": input })).await[name].take()
    }

    /// A new user with this role, logged in.
    pub(crate) async fn log_in(&self, name: &str, role: Role) -> (User, As) {
        let user = self.world.user_with_password(name, role).await;
        let input = json!({ "email": user.email, "password": PASSWORD });
        let payload = self.mutate(&NOBODY, "login", input, "token").await;
        let token = payload["token"].as_str().expect("a token");
        (user, As(Some(token.to_owned())))
    }

    /// The id of a record that has a slug, as clients see it.
    pub(crate) async fn id_of(&self, who: &As, field: &str, slug: &str) -> Value {
        let query = format!("query($slug: String!) {{ {field}(slug: $slug) {{ id }} }}");
        let mut data = self.data(who, &query, json!({ "slug": slug })).await;
        let id = data[field]["id"].take();
        assert!(id.is_string(), "there is no {field} {slug}");
        id
    }

    /// The root fields that came through so far, as `Query.posts` and `Mutation.createPost`.
    /// A mutation that was refused is not among them, nor a query that found nothing.
    pub(crate) fn exercised(&self) -> BTreeSet<String> {
        self.exercised
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn note(&self, query: &str, data: &Value) {
        let document = limits::parse(query, &Variables::default(), &Limits::default())
            .expect("a document that came through can be parsed");
        let mut exercised = self
            .exercised
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for (_, operation) in document.operations.iter() {
            let kind = match operation.node.ty {
                OperationType::Mutation => "Mutation",
                _ => "Query",
            };
            for selection in &operation.node.selection_set.node.items {
                let Selection::Field(field) = &selection.node else {
                    continue;
                };
                let answer = &data[field.node.response_key().node.as_str()];
                let refused = answer["errors"].as_array().is_some_and(|e| !e.is_empty());
                if !answer.is_null() && !refused {
                    exercised.insert(format!("{kind}.{}", field.node.name.node));
                }
            }
        }
    }
}

impl Reply {
    /// The answer, which must be JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            let text = String::from_utf8_lossy(&self.body);
            panic!("the answer is no JSON ({error}): {text}")
        })
    }

    /// A header's value.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The status, and the code of the first error.
    #[track_caller]
    pub(crate) fn refusal(&self) -> (u16, String) {
        let answer = self.json();
        let code = answer["errors"][0]["extensions"]["code"].as_str();
        (self.status, code.unwrap_or_default().to_owned())
    }
}

/// The document that runs one mutation.
pub(crate) fn mutation(name: &str, selection: &str) -> String {
    let mut letters = name.chars();
    let first = letters
        .next()
        .expect("a mutation has a name")
        .to_ascii_uppercase();
    format!(
        "mutation($input: {first}{}Input!) {{ {name}(input: $input) {{ {selection} {ERRORS} }} }}",
        letters.as_str()
    )
}

/// Asserts what every error must keep to, wherever it is in an answer: a message that says
/// something and nothing of the database, a code on each top-level error, and no internal one.
#[track_caller]
pub(crate) fn check_errors(answer: &Value) {
    for error in answer["errors"].as_array().into_iter().flatten() {
        let code = error["extensions"]["code"].as_str();
        let code = code.unwrap_or_else(|| panic!("an error without a code: {answer:#}"));
        assert_ne!(code, "INTERNAL_SERVER_ERROR", "{answer:#}");
        check_message(&error["message"], answer);
    }
    let data = answer["data"].as_object();
    for payload in data.into_iter().flat_map(|data| data.values()) {
        for error in payload["errors"].as_array().into_iter().flatten() {
            check_message(&error["message"], answer);
            let path = error["path"].as_array();
            let stands_in_input = path.is_some_and(|path| {
                path.first().is_none_or(|first| first == "input")
                    && path.iter().all(Value::is_string)
            });
            assert!(error["path"].is_null() || stands_in_input, "{answer:#}");
        }
    }
}

#[track_caller]
fn check_message(message: &Value, answer: &Value) {
    const SQL: &[&str] = &[
        "SELECT",
        "INSERT",
        "UPDATE ",
        "DELETE FROM",
        "WHERE ",
        "1 = 0",
    ];
    const INSIDE: &[&str] = &[
        "constraint",
        "sqlx",
        "sea_orm",
        "sea-orm",
        "sqlite",
        "postgres",
        "mysql",
        "mariadb",
        "sqlstate",
        "syntax error at",
        "panicked",
        "audit_log",
        "login_session",
        "import_source",
        "post_tags",
        "post_authors",
        "wall_gate",
        "lock_version",
        "password_hash",
        "email_key",
        "name_key",
        "deletion_id",
        "`posts`",
        "`users`",
        "\"posts\".",
        "\"users\".",
        "duplicate key",
        "byte sequence",
    ];
    let text = message.as_str().unwrap_or_default();
    assert!(
        !text.trim().is_empty(),
        "a message says nothing: {answer:#}"
    );
    assert!(text.len() < 2_000, "a message goes on and on: {text}");
    let lower = text.to_lowercase();
    let leaked = SQL
        .iter()
        .find(|word| text.contains(**word))
        .or_else(|| INSIDE.iter().find(|word| lower.contains(**word)));
    assert_eq!(leaked, None, "a message tells of the database: {answer:#}");
}

/// The one error of a payload, which must have one: its type.
#[track_caller]
pub(crate) fn refused(payload: &Value) -> &str {
    let errors = payload["errors"].as_array().expect("a payload has errors");
    assert_eq!(errors.len(), 1, "{payload:#}");
    errors[0]["__typename"]
        .as_str()
        .expect("an error has a type")
}

/// Asserts that a payload carries no error.
#[track_caller]
pub(crate) fn accepted(payload: &Value) {
    assert_eq!(payload["errors"], json!([]), "{payload:#}");
}
