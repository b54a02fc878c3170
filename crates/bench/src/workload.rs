//! What is asked, what the answer must have in it, and what it may cost.

use std::fmt;

use anyhow::{Context as _, ensure};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use type_safe_id::{DynamicType, TypeSafeId};
use uuid::Uuid;

/// A kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Workload {
    /// Nothing of the database: what HTTP and GraphQL take by themselves.
    Empty,
    /// One post by id, with its author's name.
    Point,
    /// The newest 20 published posts, with author, category and tags.
    Feed,
    /// 20 users with their newest 5 posts, with tags.
    Nested,
    /// 50 posts after a cursor 50,000 rows deep.
    Deep,
    /// 50 posts from the front, to compare `Deep` with.
    First,
    /// A new title for one post, with its version.
    Write,
    /// Nine feeds to one write.
    Mixed,
    /// Money from one of 50 accounts to another.
    Transfer,
    /// An order of two of 200 products, paid for at once.
    Order,
}

/// What a workload may cost: the aims of the project, as ratios within one run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Aim {
    /// Processor time of server and database, against that of the best hand-written statements.
    pub(crate) whole: f64,
    /// Processor time of the server, against the database's.
    pub(crate) server: f64,
}

/// How many transfers and orders a second the server is to make, against the same statements
/// through sqlx alone.
pub(crate) const THROUGHPUT: f64 = 0.5;

/// Each tenth request of [`Workload::Mixed`] is a write.
pub(crate) const MIXED: usize = 10;

impl Workload {
    /// What the `n`th request of this workload is: one of the others.
    pub(crate) fn turn(self, n: usize) -> Self {
        match self {
            Self::Mixed if n.is_multiple_of(MIXED) => Self::Write,
            Self::Mixed => Self::Feed,
            other => other,
        }
    }

    /// Whether it asks the database anything.
    pub(crate) fn asks_the_database(self) -> bool {
        self != Self::Empty
    }

    /// Whether it is about the accounts and products: then its aim is [`THROUGHPUT`].
    pub(crate) fn is_of_the_shop(self) -> bool {
        matches!(self, Self::Transfer | Self::Order)
    }

    /// The aim, for those that have one.
    pub(crate) fn aim(self) -> Option<Aim> {
        let (whole, server) = match self {
            Self::Point => (2.0, 1.0),
            Self::Feed => (1.6, 0.5),
            Self::Nested => (1.7, 0.7),
            Self::Deep => (2.0, 1.0),
            Self::Empty | Self::First | Self::Transfer | Self::Order => return None,
            Self::Write => (3.0, 1.0),
            Self::Mixed => (1.8, 0.6),
        };
        Some(Aim { whole, server })
    }

    /// The document, for those that are no mixture.
    fn document(self) -> &'static str {
        match self {
            Self::Empty => "{ __typename }",
            Self::Point => {
                "query Point($id: ID!) { post(id: $id) {
                    id title slug publishedAt author { name }
                } }"
            }
            Self::Feed | Self::Mixed => {
                "query Feed { posts(first: 20, filter: { published: true }) { nodes {
                    id title slug publishedAt author { name } category { name } tags { name }
                } } }"
            }
            Self::Nested => {
                "query Nested { users(first: 20) { nodes { id name posts(first: 5) { nodes {
                    id title slug publishedAt tags { name }
                } } } } }"
            }
            Self::Deep | Self::First => {
                "query Page($first: Int!, $after: String) {
                    posts(first: $first, after: $after, filter: { published: true }) {
                        nodes { id title slug publishedAt }
                        pageInfo { hasNextPage endCursor }
                } }"
            }
            Self::Write => {
                "mutation Write($input: UpdatePostInput!) { updatePost(input: $input) {
                    post { id version title } errors { message }
                } }"
            }
            Self::Transfer => {
                "mutation Transfer($input: TransferFundsInput!) { transferFunds(input: $input) {
                    transfer { id } errors { message }
                } }"
            }
            Self::Order => {
                "mutation Order($input: PlaceOrderInput!) { placeOrder(input: $input) {
                    order { id status } errors { message }
                } }"
            }
        }
    }

    /// Looks whether an answer has in it what was asked for.
    pub(crate) fn check(self, answer: &Value) -> anyhow::Result<()> {
        let data = &answer["data"];
        let list = |value: &Value, length: usize| -> anyhow::Result<()> {
            let nodes = value["nodes"].as_array().context("there is no list")?;
            ensure!(nodes.len() == length, "{} of {length} rows", nodes.len());
            Ok(())
        };
        let each = |value: &Value, check: &dyn Fn(&Value) -> bool| -> anyhow::Result<()> {
            let nodes = value["nodes"].as_array().context("there is no list")?;
            ensure!(nodes.iter().all(check), "a row lacks something");
            Ok(())
        };
        let tags = |post: &Value| post["tags"].as_array().is_some_and(|tags| tags.len() == 3);
        ensure!(answer.get("errors").is_none(), "it has errors");
        match self {
            Self::Empty => ensure!(data["__typename"] == "Query", "no name"),
            Self::Point => ensure!(data["post"]["author"]["name"].is_string(), "no author"),
            Self::Feed | Self::Mixed => {
                list(&data["posts"], 20)?;
                let names = |post: &Value| {
                    post["author"]["name"].is_string() && post["category"]["name"].is_string()
                };
                each(&data["posts"], &|post| names(post) && tags(post))?;
            }
            Self::Nested => {
                list(&data["users"], 20)?;
                each(&data["users"], &|user| {
                    list(&user["posts"], 5).is_ok() && each(&user["posts"], &tags).is_ok()
                })?;
            }
            Self::Deep | Self::First => list(&data["posts"], 50)?,
            Self::Write => {
                let payload = &data["updatePost"];
                ensure!(payload["post"]["version"].is_number(), "no post");
                ensure!(payload["errors"] == json!([]), "it was refused");
            }
            Self::Transfer => {
                let payload = &data["transferFunds"];
                ensure!(payload["transfer"]["id"].is_string(), "no transfer");
            }
            Self::Order => {
                let payload = &data["placeOrder"];
                ensure!(payload["order"]["status"] == "PAID", "no order");
            }
        }
        Ok(())
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

/// A post that requests are about.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Post {
    pub(crate) id: Uuid,
    pub(crate) version: i32,
}

/// The body of a point request.
pub(crate) fn point(post: &Post) -> Value {
    body(Workload::Point, json!({ "id": public_id("post", post.id) }))
}

/// The body of a write.
pub(crate) fn write(post: &Post, title: &str) -> Value {
    let input = json!({
        "id": public_id("post", post.id),
        "expectedVersion": post.version,
        "title": title,
    });
    body(Workload::Write, json!({ "input": input }))
}

/// The body of a page of posts behind a cursor, or of the first one.
pub(crate) fn page(first: usize, after: Option<&str>) -> Value {
    body(Workload::Deep, json!({ "first": first, "after": after }))
}

/// The body of a request that is the same each time.
pub(crate) fn body(workload: Workload, variables: Value) -> Value {
    json!({ "query": workload.document(), "variables": variables })
}

/// The id of a record of this type as clients of the API know it.
pub(crate) fn public_id(of: &str, id: Uuid) -> String {
    match DynamicType::new(of) {
        Ok(kind) => TypeSafeId::from_type_and_uuid(kind, id).to_string(),
        // The prefix is lower-case letters, which no error can come of.
        Err(_) => id.to_string(),
    }
}

/// Posts that one client asks for in turn, in a scattered order.
#[derive(Debug)]
pub(crate) struct Walk {
    posts: Vec<Post>,
    client: usize,
    at: usize,
}

/// The distance between two turns of a walk: a prime, so that every post has its turn.
const STRIDE: usize = 7919;

impl Walk {
    /// The posts that are the `nth` client's alone of so many clients.
    pub(crate) fn of_client(posts: &[Post], nth: usize, clients: usize) -> Self {
        let posts: Vec<Post> = posts.iter().skip(nth).step_by(clients).copied().collect();
        Self {
            posts,
            client: nth,
            at: nth,
        }
    }

    /// Which client it is.
    pub(crate) fn client(&self) -> usize {
        self.client
    }

    /// The next one.
    pub(crate) fn next(&mut self) -> anyhow::Result<Post> {
        Ok(*self.step()?)
    }

    /// The next one, as it is before it is changed: next time it has the version after that.
    pub(crate) fn next_to_change(&mut self) -> anyhow::Result<Post> {
        let post = self.step()?;
        let seen = *post;
        post.version += 1;
        Ok(seen)
    }

    fn step(&mut self) -> anyhow::Result<&mut Post> {
        let count = self.posts.len().max(1);
        self.at = (self.at + STRIDE) % count;
        self.posts.get_mut(self.at).context("there are no posts")
    }
}
