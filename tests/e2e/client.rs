//! A server on a port of its own, and a client of it.

use std::time::Duration;

use plimsoll_domain::{Role, Settings, user::User};
use plimsoll_graphql::{Api, DEFAULT_MAX_COST};
use plimsoll_server::{
    app::{App, router},
    graphql_http::HttpLimits,
};
use plimsoll_testkit::{Engine, PASSWORD, World};
use serde_json::{Value, json};

/// The part of a mutation that asks for its errors.
pub(crate) const ERRORS: &str = "errors { __typename message path ... on VersionConflict { \
     expectedVersion currentVersion current { id version ... on Post { title content } } } }";

/// A running server.
pub(crate) struct Server {
    pub(crate) world: World,
    pub(crate) url: String,
    http: reqwest::Client,
}

/// Who asks: nobody, or somebody with a token.
#[derive(Clone, Debug, Default)]
pub(crate) struct As(pub(crate) Option<String>);

pub(crate) const NOBODY: As = As(None);

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
    })
}

async fn axum_serve(listener: tokio::net::TcpListener, app: App) {
    plimsoll_server::app::serve(listener, router(app))
        .await
        .expect("the server runs");
}

impl Server {
    /// Executes a document. Returns the whole answer.
    pub(crate) async fn ask(&self, who: &As, query: &str, variables: Value) -> Value {
        let body = json!({ "query": query, "variables": variables });
        let mut request = self
            .http
            .post(format!("{}/graphql", self.url))
            .header("accept", "application/graphql-response+json")
            .json(&body);
        if let As(Some(token)) = who {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.expect("the server answers");
        answer.json().await.expect("the answer is JSON")
    }

    /// Executes a document that must come through. Returns its data.
    pub(crate) async fn data(&self, who: &As, query: &str, variables: Value) -> Value {
        let mut answer = self.ask(who, query, variables).await;
        assert!(answer.get("errors").is_none(), "{query}\n{answer:#}");
        answer["data"].take()
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
        let mut letters = name.chars();
        let first = letters
            .next()
            .expect("a mutation has a name")
            .to_ascii_uppercase();
        let query = format!(
            "mutation($input: {first}{}Input!) {{ {name}(input: $input) {{ {selection} {ERRORS} }} }}",
            letters.as_str()
        );
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
