//! The routes, and how one request is answered.

use std::{sync::Arc, time::Duration};

use async_graphql::parser::types::OperationType;
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
    routing::{any, get},
};
use chrono::Utc;
use plimsoll_domain as domain;
use plimsoll_graphql::{Api, Caller, Documents, codes};
use uuid::Uuid;

use crate::{
    graphiql,
    graphql_http::{self, HttpLimits, Incoming, MediaType},
};

/// What the routes share.
#[derive(Clone, Debug)]
pub struct App {
    /// The schema over its database.
    pub api: Api,
    /// What a request may take.
    pub limits: HttpLimits,
    /// What was parsed before.
    pub documents: Arc<Documents>,
    /// How long executing a request may take.
    pub deadline: Duration,
}

/// The routes.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/", get(|| async { Redirect::temporary("/graphiql") }))
        .route("/graphql", any(graphql))
        .route("/graphiql", get(graphiql::page))
        .route("/graphiql/{*path}", get(graphiql::asset))
        .route("/health/live", get(|| async { "ok\n" }))
        .route("/health/ready", get(ready))
        .fallback(|| async { (StatusCode::NOT_FOUND, "There is nothing here.\n") })
        .with_state(app)
}

/// Serves until the program ends, for tests.
///
/// # Errors
///
/// Whatever keeps the listener from accepting.
pub async fn serve(listener: tokio::net::TcpListener, router: Router) -> std::io::Result<()> {
    axum::serve(listener, router).await
}

/// Ready is who can ask the database.
async fn ready(State(app): State<App>) -> Response {
    let answer = tokio::time::timeout(Duration::from_secs(3), app.api.store().ping()).await;
    match answer {
        Ok(Ok(())) => "ok\n".into_response(),
        Ok(Err(fault)) => {
            tracing::warn!(%fault, "not ready");
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "The database does not answer.\n",
            )
                .into_response()
        }
        Err(_) => (
            StatusCode::SERVICE_UNAVAILABLE,
            "The database does not answer in time.\n",
        )
            .into_response(),
    }
}

async fn graphql(State(app): State<App>, request: Request) -> Response {
    let token = match bearer(request.headers()) {
        Ok(token) => token,
        Err(message) => return unauthenticated(request.headers(), message),
    };
    let idempotency_key = match idempotency_key(request.headers()) {
        Ok(key) => key,
        Err(message) => {
            let media = graphql_http::negotiate(request.headers()).unwrap_or(MediaType::Json);
            let status = StatusCode::BAD_REQUEST;
            return graphql_http::refuse(media, status, codes::BAD_USER_INPUT, message);
        }
    };
    let headers = request.headers().clone();
    let Incoming {
        admitted, reply_as, ..
    } = match graphql_http::receive(request, &app.limits, &app.documents).await {
        Ok(incoming) => incoming,
        Err(refusal) => return refusal,
    };
    let now = Utc::now();
    let viewer = match &token {
        None => domain::Viewer::Anonymous,
        Some(token) => match domain::session::viewer(app.api.store(), token, now).await {
            Ok(viewer) => viewer,
            Err(domain::Error::Unauthenticated(message)) => {
                return unauthenticated(&headers, &message);
            }
            Err(error) => return broken(reply_as, &error),
        },
    };
    let caller = Caller {
        request: domain::Request {
            viewer,
            now,
            id: Uuid::now_v7(),
            heavy: false,
        },
        token,
        idempotency_key,
    };
    let operation = admitted.operation;
    let response = app.api.execute(admitted, caller);
    match tokio::time::timeout(app.deadline, response).await {
        Ok(response) => graphql_http::reply(reply_as, response),
        // A write goes on to its end; its client does not learn which.
        Err(_) if operation == OperationType::Mutation => graphql_http::refuse(
            reply_as,
            StatusCode::GATEWAY_TIMEOUT,
            codes::OUTCOME_UNKNOWN,
            "The request took too long. Look whether its changes were made before trying again.",
        ),
        Err(_) => graphql_http::refuse(
            reply_as,
            StatusCode::GATEWAY_TIMEOUT,
            codes::UNAVAILABLE,
            "The request took too long.",
        ),
    }
}

/// The token of `Authorization: Bearer TOKEN` (RFC 6750, section 2.1).
fn bearer(headers: &HeaderMap) -> Result<Option<String>, &'static str> {
    const FORM: &str = "The header must be `Authorization: Bearer TOKEN`.";
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(FORM);
    }
    let (scheme, token) = value
        .to_str()
        .ok()
        .and_then(|v| v.split_once(' '))
        .ok_or(FORM)?;
    let token = token.trim();
    if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && token.len() <= 512 {
        Ok(Some(token.to_owned()))
    } else {
        Err(FORM)
    }
}

/// The key of `Idempotency-Key: "KEY"` (IETF draft-ietf-httpapi-idempotency-key-header-07, section
/// 2.1). Most clients leave the quotation marks out.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, &'static str> {
    const FORM: &str = "The header must be one `Idempotency-Key: \"KEY\"`.";
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(FORM);
    }
    let key = value.to_str().map_err(|_| FORM)?.trim();
    let key = match key.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"').ok_or(FORM)?,
        None => key,
    };
    if key.is_empty() || key.contains('"') {
        return Err(FORM);
    }
    Ok(Some(key.to_owned()))
}

fn unauthenticated(headers: &HeaderMap, message: &str) -> Response {
    let media = graphql_http::negotiate(headers).unwrap_or(MediaType::Json);
    let mut response = graphql_http::refuse(
        media,
        StatusCode::UNAUTHORIZED,
        codes::UNAUTHENTICATED,
        message,
    );
    // RFC 9110, section 11.6.1: a 401 says how to log in.
    let how = header::HeaderValue::from_static("Bearer");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, how);
    response
}

fn broken(media: MediaType, error: &domain::Error) -> Response {
    if let domain::Error::Unavailable(_) = error {
        return graphql_http::refuse(
            media,
            StatusCode::SERVICE_UNAVAILABLE,
            codes::UNAVAILABLE,
            "The database is busy or away; try again.",
        );
    }
    tracing::error!(%error, "a token could not be looked up");
    graphql_http::refuse(
        media,
        StatusCode::INTERNAL_SERVER_ERROR,
        codes::INTERNAL,
        "Something went wrong on the server.",
    )
}
