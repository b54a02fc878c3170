//! One client: what it sends over HTTP/1.1 on a connection that stays, again with the same key
//! until the answer is definite, and what came back.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request, StatusCode,
    body::Bytes,
    client::conn::http1::{SendRequest, handshake},
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName, HeaderValue},
};
use hyper_util::rt::TokioIo;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use tokio::{net::TcpStream, task::JoinHandle};

use crate::arena::Arena;

/// How long a client waits for one answer, and how long for a definite one.
const PATIENCE: Duration = Duration::from_secs(35);
const PATIENCE_IN_A_STORM: Duration = Duration::from_secs(4);
const GIVE_UP: Duration = Duration::from_secs(90);

/// In a storm: one request of so many is given up on the way, and sent again.
const ABORTED: u32 = 30;

/// A connection to a server.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: HeaderValue,
    carrying: JoinHandle<()>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        Ok(Self {
            sender,
            host: address.to_string().parse()?,
            // What goes wrong with it the sender says as well.
            carrying: tokio::spawn(async move { drop(connection.await) }),
        })
    }

    /// Whether a server answers that it reaches its database.
    pub(crate) async fn is_ready(address: SocketAddr) -> bool {
        let asked = async {
            let mut connection = Self::open(address).await?;
            let request = Request::builder()
                .uri("/health/ready")
                .header(HOST, connection.host.clone())
                .body(Full::new(Bytes::new()))?;
            let response = connection.sender.send_request(request).await?;
            anyhow::Ok(response.status() == StatusCode::OK)
        };
        let limit = Duration::from_secs(4);
        matches!(tokio::time::timeout(limit, asked).await, Ok(Ok(true)))
    }

    /// Asks, and returns the status and the answer.
    async fn ask(&mut self, request: &Question<'_>) -> anyhow::Result<(StatusCode, Value)> {
        let mut http = Request::builder()
            .method(Method::POST)
            .uri("/graphql")
            .header(HOST, self.host.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(
                ACCEPT,
                HeaderValue::from_static("application/graphql-response+json"),
            );
        if let Some(Token(token)) = request.token {
            http = http.header(AUTHORIZATION, token.clone());
        }
        if let Some(key) = request.key {
            http = http.header(HeaderName::from_static("idempotency-key"), key);
        }
        self.sender.ready().await?;
        let http = http.body(Full::new(request.body.clone()))?;
        let response = self.sender.send_request(http).await?;
        let status = response.status();
        let answer = response.into_body().collect().await?.to_bytes();
        Ok((status, serde_json::from_slice(&answer)?))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Closed at once, also in the middle of a request.
        self.carrying.abort();
    }
}

/// What one HTTP request says.
struct Question<'a> {
    token: Option<&'a Token>,
    /// The `Idempotency-Key` header.
    key: Option<&'a str>,
    body: Bytes,
}

/// The credentials of somebody who is logged in.
#[derive(Clone, Debug)]
pub(crate) struct Token(HeaderValue);

/// A mutation to send.
#[derive(Clone, Debug)]
pub(crate) struct Mutation {
    /// `createTag`, and its input is a `CreateTagInput`.
    pub(crate) field: &'static str,
    /// What is asked for of its payload: `tag { id version }`.
    pub(crate) select: &'static str,
    pub(crate) input: Value,
    /// What is asked for of its errors beyond what all have.
    pub(crate) errors: &'static str,
    /// Whether its key stands in its input, or else in the header.
    pub(crate) key_in_input: bool,
}

impl Mutation {
    /// One whose key stands in the header.
    pub(crate) fn new(field: &'static str, select: &'static str, input: Value) -> Self {
        Self {
            field,
            select,
            input,
            errors: "",
            key_in_input: false,
        }
    }

    /// One whose key stands in its input.
    pub(crate) fn keyed(field: &'static str, select: &'static str, input: Value) -> Self {
        Self {
            key_in_input: true,
            ..Self::new(field, select, input)
        }
    }

    fn document(&self) -> String {
        let (first, rest) = self.field.split_at(1);
        format!(
            "mutation($input: {}{rest}Input!) {{ {}(input: $input) {{ {} errors {{ __typename \
             message path ... on VersionConflict {{ currentVersion }} {} }} }} }}",
            first.to_uppercase(),
            self.field,
            self.select,
            self.errors,
        )
    }
}

/// An operation that a client sent until it had a definite answer.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) field: &'static str,
    pub(crate) input: Value,
    pub(crate) key: String,
    /// How often it was sent.
    pub(crate) attempts: u32,
    /// Whether an attempt before the last one may have been carried out.
    pub(crate) unsure: bool,
    /// When it was sent first and when it was answered, since the arena began.
    pub(crate) began: Duration,
    pub(crate) ended: Duration,
    pub(crate) outcome: Outcome,
}

/// What became of an operation, as its client knows it.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// It was acknowledged, with this record.
    Done(Value),
    /// It was refused, with this type of error.
    Refused { kind: String, error: Value },
    /// No definite answer came.
    Unclear(String),
}

impl Sent {
    /// The acknowledged record.
    pub(crate) fn done(&self) -> Option<&Value> {
        match &self.outcome {
            Outcome::Done(record) => Some(record),
            _ => None,
        }
    }

    /// Whether it may have been carried out although it was not acknowledged. A refusal is not
    /// kept, so one of several attempts may be carried out after another was refused.
    pub(crate) fn may_have_happened(&self) -> bool {
        match self.outcome {
            Outcome::Done(_) => false,
            Outcome::Refused { .. } => self.unsure,
            Outcome::Unclear(_) => true,
        }
    }

    /// How it is named in a finding.
    pub(crate) fn named(&self) -> String {
        format!("{} with key {}", self.field, self.key)
    }
}

/// What one attempt came to.
enum Attempt {
    Definite(Outcome),
    /// To be sent again.
    Again {
        why: String,
        /// Whether it may have been carried out.
        unsure: bool,
    },
}

/// A client.
pub(crate) struct Client {
    pub(crate) number: usize,
    /// What it does: the same for each seed.
    pub(crate) choices: ChaCha8Rng,
    /// How long it waits, which server it asks, and when it goes away.
    waits: ChaCha8Rng,
    arena: Arc<Arena>,
    /// What its keys begin with.
    name: String,
    connection: Option<(usize, Connection)>,
    sent: u32,
}

impl Client {
    /// A client with its own streams of random numbers, apart from those of all other parts.
    pub(crate) fn new(arena: &Arc<Arena>, part: &str, number: usize) -> Self {
        let seed = arena.seed_of(part);
        let stream = |nth: u64| {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            random.set_stream(2 * number as u64 + nth);
            random
        };
        Self {
            number,
            choices: stream(0),
            waits: stream(1),
            arena: arena.clone(),
            name: format!("{part}-{number}"),
            connection: None,
            sent: 0,
        }
    }

    /// Sends a mutation until there is a definite answer.
    pub(crate) async fn send(&mut self, token: &Token, mut mutation: Mutation) -> Sent {
        self.sent += 1;
        let key = format!("{}-{}", self.name, self.sent);
        if mutation.key_in_input {
            mutation.input["idempotencyKey"] = json!(key);
        }
        let body = json!({
            "query": mutation.document(),
            "variables": { "input": mutation.input },
        });
        let question = Question {
            token: Some(token),
            key: (!mutation.key_in_input).then_some(&key),
            body: body.to_string().into(),
        };
        let began = self.arena.since();
        let (mut attempts, mut unsure) = (0, false);
        let outcome = loop {
            attempts += 1;
            let asked = self.arena.since();
            let answer = self.attempt(&question).await;
            let server = self.connection.as_ref().map(|(server, _)| *server);
            self.arena.remember(json!({
                "key": key,
                "attempt": attempts,
                "field": mutation.field,
                "input": mutation.input,
                "server": server,
                "sent_us": asked.as_micros() as u64,
                "answered_us": self.arena.since().as_micros() as u64,
                "answer": match &answer {
                    Ok((status, answer)) => json!({ "status": status.as_u16(), "body": answer }),
                    Err(lost) => json!({ "lost": format!("{lost:#}") }),
                },
            }));
            let again = match answer {
                Ok((status, answer)) => match judge(mutation.field, status, &answer) {
                    Attempt::Definite(outcome) => break outcome,
                    Attempt::Again { why, unsure: this } => {
                        unsure |= this;
                        why
                    }
                },
                Err(lost) => {
                    self.connection = None;
                    unsure = true;
                    format!("{lost:#}")
                }
            };
            if !self.arena.weather.is_stormy() && again.starts_with("INTERNAL") {
                self.arena
                    .note(format!("{} with key {key}: {again}", mutation.field));
            }
            if self.arena.since().saturating_sub(began) > GIVE_UP {
                break Outcome::Unclear(again);
            }
            self.pause(attempts).await;
        };
        Sent {
            field: mutation.field,
            input: mutation.input,
            key,
            attempts,
            unsure,
            began,
            ended: self.arena.since(),
            outcome,
        }
    }

    /// Asks a query until it is answered, and returns its data.
    pub(crate) async fn ask(
        &mut self,
        token: &Token,
        query: &str,
        variables: Value,
    ) -> anyhow::Result<Value> {
        let body = json!({ "query": query, "variables": variables });
        let question = Question {
            token: Some(token),
            key: None,
            body: body.to_string().into(),
        };
        let began = Instant::now();
        for attempt in 1.. {
            let why = match self.attempt(&question).await {
                Ok((StatusCode::OK, mut answer)) if answer.get("errors").is_none() => {
                    return Ok(answer["data"].take());
                }
                Ok((status, answer)) if !status.is_server_error() && !is_passing(&answer) => {
                    bail!("{query}: {status} {answer}");
                }
                Ok((status, answer)) => format!("{status} {answer}"),
                Err(lost) => {
                    self.connection = None;
                    format!("{lost:#}")
                }
            };
            if began.elapsed() > GIVE_UP {
                bail!("no answer to {query}: {why}");
            }
            self.pause(attempt).await;
        }
        bail!("no answer to {query}")
    }

    /// Asks this server once, and says what it answers.
    pub(crate) async fn probe(
        server: SocketAddr,
        token: &Token,
        query: &str,
        variables: Value,
    ) -> anyhow::Result<Value> {
        let body = json!({ "query": query, "variables": variables });
        let question = Question {
            token: Some(token),
            key: None,
            body: body.to_string().into(),
        };
        let mut connection = Connection::open(server).await?;
        let asked = tokio::time::timeout(PATIENCE, connection.ask(&question));
        let (status, answer) = asked.await.context("no answer in time")??;
        if status != StatusCode::OK || answer.get("errors").is_some() {
            bail!("{status} {answer}");
        }
        Ok(answer["data"].clone())
    }

    /// Logs somebody in.
    pub(crate) async fn log_in(&mut self, email: &str, password: &str) -> anyhow::Result<Token> {
        let body = json!({
            "query": "mutation($input: LoginInput!) { login(input: $input) { token errors { message } } }",
            "variables": { "input": { "email": email, "password": password } },
        });
        let question = Question {
            token: None,
            key: None,
            body: body.to_string().into(),
        };
        let (_, answer) = self.attempt(&question).await?;
        let token = answer["data"]["login"]["token"].as_str();
        let token = token.with_context(|| format!("no login: {answer}"))?;
        Ok(Token(format!("Bearer {token}").parse()?))
    }

    /// Asks once, on the connection that is there or on a new one.
    async fn attempt(&mut self, question: &Question<'_>) -> anyhow::Result<(StatusCode, Value)> {
        let stormy = self.arena.weather.is_stormy();
        let abort = stormy && self.waits.random_ratio(1, ABORTED);
        let patience = if abort {
            self.arena.weather.count_fault();
            Duration::from_micros(self.waits.random_range(0..30_000))
        } else if stormy {
            PATIENCE_IN_A_STORM
        } else {
            PATIENCE
        };
        let asked = async {
            let connection = match &mut self.connection {
                Some((_, connection)) => connection,
                none => {
                    let servers = &self.arena.servers;
                    let server = self.waits.random_range(0..servers.len());
                    let connection = Connection::open(servers[server].address).await?;
                    &mut none.insert((server, connection)).1
                }
            };
            connection.ask(question).await
        };
        match tokio::time::timeout(patience, asked).await {
            Ok(answer) => answer,
            Err(_) if abort => bail!("given up by the client after {patience:?}"),
            Err(_) => bail!("no answer within {patience:?}"),
        }
    }

    async fn pause(&mut self, attempts: u32) {
        let most = 10_u64 << attempts.min(5);
        let pause = self.waits.random_range(1..=most);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
}

/// Whether an answer says that the same may succeed if tried again.
fn is_passing(answer: &Value) -> bool {
    answer["errors"].as_array().is_some_and(|errors| {
        errors.iter().any(|error| {
            matches!(
                error["extensions"]["code"].as_str(),
                Some("UNAVAILABLE" | "OUTCOME_UNKNOWN" | "INTERNAL_SERVER_ERROR")
            )
        })
    })
}

/// What an answer to a mutation says.
fn judge(field: &str, status: StatusCode, answer: &Value) -> Attempt {
    let payload = &answer["data"][field];
    let first = &payload["errors"][0];
    if let Some(kind) = first["__typename"].as_str() {
        return match kind {
            "Unavailable" | "OutcomeUnknown" => Attempt::Again {
                why: kind.to_owned(),
                unsure: kind != "Unavailable",
            },
            _ => Attempt::Definite(Outcome::Refused {
                kind: kind.to_owned(),
                error: first.clone(),
            }),
        };
    }
    let error = &answer["errors"][0];
    if !error.is_null() || status != StatusCode::OK {
        let code = error["extensions"]["code"].as_str().unwrap_or("no code");
        let text = format!("{code}: {}", error["message"]);
        return if status.is_server_error() || is_passing(answer) {
            Attempt::Again {
                why: text,
                unsure: code != "UNAVAILABLE",
            }
        } else {
            Attempt::Definite(Outcome::Refused {
                kind: code.to_owned(),
                error: error.clone(),
            })
        };
    }
    let record = payload.as_object().and_then(|payload| {
        let mut records = payload.iter().filter(|(name, _)| *name != "errors");
        records.next().map(|(_, record)| record.clone())
    });
    Attempt::Definite(Outcome::Done(record.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, answer: Value) -> Result<Outcome, (String, bool)> {
        match judge(
            "createTag",
            StatusCode::from_u16(status).unwrap_or_default(),
            &answer,
        ) {
            Attempt::Definite(outcome) => Ok(outcome),
            Attempt::Again { why, unsure } => Err((why, unsure)),
        }
    }

    #[test]
    fn an_answer_is_definite_or_sent_again() {
        let payload = |payload: Value| json!({ "data": { "createTag": payload } });
        let coded = |code: &str| {
            json!({ "data": { "createTag": null },
                    "errors": [{ "message": "…", "extensions": { "code": code } }] })
        };
        let done = judged(
            200,
            payload(json!({ "tag": { "id": "tag_1" }, "errors": [] })),
        );
        assert!(matches!(done, Ok(Outcome::Done(tag)) if tag["id"] == "tag_1"));
        for (kind, may_be) in [("Unavailable", false), ("OutcomeUnknown", true)] {
            let refused = json!({ "tag": null, "errors": [{ "__typename": kind }] });
            let again = judged(200, payload(refused));
            assert!(matches!(again, Err((_, unsure)) if unsure == may_be));
        }
        let refused = json!({ "tag": null, "errors": [{ "__typename": "AlreadyExists" }] });
        let refused = judged(200, payload(refused));
        assert!(matches!(refused, Ok(Outcome::Refused { kind, .. }) if kind == "AlreadyExists"));
        assert!(judged(200, coded("INTERNAL_SERVER_ERROR")).is_err());
        assert!(judged(503, coded("UNAVAILABLE")).is_err());
        assert!(judged(504, coded("OUTCOME_UNKNOWN")).is_err());
        assert!(matches!(
            judged(401, coded("UNAUTHENTICATED")),
            Ok(Outcome::Refused { .. })
        ));
    }
}

/// Operations for the tests of the checks.
#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    /// One that was sent once, and got no answer.
    pub(crate) fn sent(field: &'static str, input: Value) -> Sent {
        Sent {
            field,
            key: input.to_string(),
            input,
            attempts: 1,
            unsure: false,
            began: Duration::ZERO,
            ended: Duration::ZERO,
            outcome: Outcome::Unclear("no answer".into()),
        }
    }

    pub(crate) fn done(sent: Sent, record: Value) -> Sent {
        let outcome = Outcome::Done(record);
        Sent { outcome, ..sent }
    }

    pub(crate) fn refused(sent: Sent, kind: &str) -> Sent {
        let outcome = Outcome::Refused {
            kind: kind.into(),
            error: Value::Null,
        };
        Sent { outcome, ..sent }
    }
}
