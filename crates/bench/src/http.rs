//! The requests over HTTP/1.1, each client on a connection that stays.

use std::net::SocketAddr;

use anyhow::{Context as _, ensure};
use http_body_util::{BodyExt as _, Full};
use hyper::{
    Method, Request, StatusCode,
    body::Bytes,
    client::conn::http1::{SendRequest, handshake},
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue},
};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::{
    load::{CONNECTIONS, Client},
    server,
    shop::Errands,
    statements::SPECIMEN_TITLE,
    workload::{self, Post, Walk, Workload},
};

/// One answer in so many is read; of the others the status and the ends are looked at. No
/// multiple of 10, so that it meets both parts of a mixture.
const SAMPLE: usize = 47;

/// A connection to the server.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    host: HeaderValue,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // It ends with the sender; what goes wrong with it the sender says as well.
        tokio::spawn(connection);
        Ok(Self {
            sender,
            host: address.to_string().parse()?,
        })
    }

    /// Asks, with a token or as nobody, and returns what the server answers with status 200.
    async fn ask(&mut self, body: Bytes, token: Option<&HeaderValue>) -> anyhow::Result<Bytes> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri("/graphql")
            .header(HOST, self.host.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(
                ACCEPT,
                HeaderValue::from_static("application/graphql-response+json"),
            );
        if let Some(token) = token {
            request = request.header(AUTHORIZATION, token.clone());
        }
        self.sender.ready().await?;
        let response = self
            .sender
            .send_request(request.body(Full::new(body))?)
            .await?;
        let status = response.status();
        let answer = response.into_body().collect().await?.to_bytes();
        ensure!(
            status == StatusCode::OK,
            "the server answered {status}: {}",
            String::from_utf8_lossy(&answer)
        );
        Ok(answer)
    }

    /// Asks as nobody, and reads the answer.
    pub(crate) async fn ask_json(&mut self, body: &Value) -> anyhow::Result<Value> {
        let answer = self.ask(body.to_string().into(), None).await?;
        Ok(serde_json::from_slice(&answer)?)
    }

    /// The credentials of who has this address.
    pub(crate) async fn log_in(&mut self, email: &str) -> anyhow::Result<HeaderValue> {
        let answer = self.ask_json(&server::login(email)).await?;
        let token = answer["data"]["login"]["token"].as_str();
        let token = token.with_context(|| format!("no login: {answer}"))?;
        Ok(format!("Bearer {token}").parse()?)
    }

    /// The cursor that has so many published posts before it, found by walking there.
    pub(crate) async fn walk_to(&mut self, depth: usize) -> anyhow::Result<String> {
        let mut cursor: Option<String> = None;
        let mut walked = 0;
        while walked < depth {
            let first = (depth - walked).min(200);
            let answer = self
                .ask_json(&workload::page(first, cursor.as_deref()))
                .await?;
            let page = &answer["data"]["posts"];
            let nodes = page["nodes"].as_array().map_or(0, Vec::len);
            ensure!(nodes == first, "the list ends early: {answer:.300}");
            walked += nodes;
            cursor = page["pageInfo"]["endCursor"].as_str().map(str::to_owned);
        }
        cursor.context("the list is empty")
    }
}

/// What clients need to know to ask anything.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) address: SocketAddr,
    pub(crate) token: HeaderValue,
    /// The cursor that the deep page lies behind.
    pub(crate) cursor: String,
}

/// A client of one workload.
pub(crate) struct HttpClient {
    workload: Workload,
    connection: Connection,
    token: HeaderValue,
    /// The body of the reads that are the same each time.
    fixed: Bytes,
    posts: Walk,
    asked: usize,
}

/// As many clients as there are connections. Reads are anonymous.
pub(crate) async fn clients(
    workload: Workload,
    known: &Known,
    posts: &[Post],
) -> anyhow::Result<Vec<HttpClient>> {
    let mut clients = Vec::with_capacity(CONNECTIONS);
    for nth in 0..CONNECTIONS {
        let walk = Walk::of_client(posts, nth, CONNECTIONS);
        clients.push(HttpClient::open(workload, known, walk).await?);
    }
    Ok(clients)
}

/// Gives one post the title that is recorded.
pub(crate) async fn write(known: &Known, post: &Post) -> anyhow::Result<()> {
    let mut connection = Connection::open(known.address).await?;
    let body = workload::write(post, SPECIMEN_TITLE);
    let answer = connection
        .ask(body.to_string().into(), Some(&known.token))
        .await?;
    Workload::Write.check(&serde_json::from_slice(&answer)?)
}

impl HttpClient {
    pub(crate) async fn open(
        workload: Workload,
        known: &Known,
        posts: Walk,
    ) -> anyhow::Result<Self> {
        let fixed = match workload {
            Workload::Deep => workload::page(50, Some(&known.cursor)),
            Workload::First => workload::page(50, None),
            other => workload::body(other, json!({})),
        };
        Ok(Self {
            workload,
            connection: Connection::open(known.address).await?,
            token: known.token.clone(),
            fixed: fixed.to_string().into(),
            // So that not all begin a mixture with the same.
            asked: posts.client(),
            posts,
        })
    }

    async fn answer(&mut self, turn: Workload) -> anyhow::Result<Bytes> {
        match turn {
            Workload::Point => {
                let body = workload::point(&self.posts.next()?);
                self.connection.ask(body.to_string().into(), None).await
            }
            Workload::Write => {
                let post = self.posts.next_to_change()?;
                let title = format!("Title {} of {}", self.asked, post.id);
                let body = workload::write(&post, &title);
                self.connection
                    .ask(body.to_string().into(), Some(&self.token))
                    .await
            }
            _ => self.connection.ask(self.fixed.clone(), None).await,
        }
    }
}

/// A client that moves money or orders, as the owners of its accounts.
pub(crate) struct ShopClient {
    workload: Workload,
    connection: Connection,
    /// One for each wallet.
    tokens: Vec<HeaderValue>,
    errands: Errands,
}

impl ShopClient {
    pub(crate) async fn open(
        workload: Workload,
        address: SocketAddr,
        tokens: &[HeaderValue],
        errands: Errands,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            workload,
            connection: Connection::open(address).await?,
            tokens: tokens.to_vec(),
            errands,
        })
    }
}

impl Client for ShopClient {
    async fn request(&mut self) -> anyhow::Result<()> {
        let errand = self.errands.next()?;
        let body = self.errands.body(&errand).to_string();
        let token = self.tokens.get(errand.payer);
        let answer = self.connection.ask(body.into(), token).await?;
        // Each is read: what was refused is no success.
        let checked = self.workload.check(&serde_json::from_slice(&answer)?);
        checked.with_context(|| {
            format!(
                "{}: {:.500}",
                self.workload,
                String::from_utf8_lossy(&answer)
            )
        })
    }
}

impl Client for HttpClient {
    async fn request(&mut self) -> anyhow::Result<()> {
        let turn = self.workload.turn(self.asked);
        let answer = self.answer(turn).await?;
        let said = || format!("{turn}: {:.500}", String::from_utf8_lossy(&answer));
        // Errors are a list behind the data; so are a mutation's, inside of it, and then empty.
        let end: &[u8] = if turn == Workload::Write {
            b"\"errors\":[]}}}"
        } else {
            b"}}"
        };
        ensure!(
            answer.starts_with(b"{\"data\":{") && answer.ends_with(end),
            said()
        );
        if self.asked.is_multiple_of(SAMPLE) {
            let checked = turn.check(&serde_json::from_slice(&answer)?);
            checked.with_context(said)?;
        }
        self.asked += 1;
        Ok(())
    }
}
