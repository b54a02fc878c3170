//! The best hand-written statements for the same answers, through sqlx.

use std::sync::Arc;

use anyhow::{bail, ensure};
use chrono::{DateTime, Utc};
use sqlx::{
    ConnectOptions as _, Connection as _, Executor as _, PgConnection, Row as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::{
    engine::Engine,
    load::Client,
    throwaway,
    workload::{Walk, Workload},
};

/// The statements of one engine.
struct Statements {
    point: &'static str,
    feed: &'static str,
    feed_tags: &'static str,
    users: &'static str,
    posts_of_users: &'static str,
    nested_tags: &'static str,
    deep: &'static str,
    first: &'static str,
    begin: &'static str,
    write: &'static str,
}

const POINT: &str = "SELECT p.id, p.title, p.slug, p.published_at, u.name FROM posts p \
    JOIN users u ON u.id = p.author_id AND u.deleted_at IS NULL \
    WHERE p.id = $1 AND p.deleted_at IS NULL AND p.published";
const FEED: &str = "SELECT p.id, p.title, p.slug, p.published_at, u.name, c.name \
    FROM (SELECT * FROM posts WHERE deleted_at IS NULL AND published \
    ORDER BY listed_at DESC, id DESC LIMIT 20) p \
    LEFT JOIN users u ON u.id = p.author_id AND u.deleted_at IS NULL \
    LEFT JOIN categories c ON c.id = p.category_id AND c.deleted_at IS NULL \
    ORDER BY p.listed_at DESC, p.id DESC";
const USERS: &str =
    "SELECT id, name FROM users WHERE deleted_at IS NULL ORDER BY name_key, id LIMIT 20";
const DEEP: &str = "SELECT id, title, slug, published_at FROM posts \
    WHERE deleted_at IS NULL AND published AND (listed_at, id) < ($1, $2) \
    ORDER BY listed_at DESC, id DESC LIMIT 51";
const FIRST: &str = "SELECT id, title, slug, published_at FROM posts \
    WHERE deleted_at IS NULL AND published ORDER BY listed_at DESC, id DESC LIMIT 51";
const WRITE: &str = "UPDATE posts \
    SET title = $1, updated_at = $2, lock_version = lock_version + 1 \
    WHERE id = $3 AND lock_version = $4 AND deleted_at IS NULL RETURNING id, title, lock_version";

const POSTGRES: Statements = Statements {
    point: POINT,
    feed: FEED,
    feed_tags: TAGS,
    users: USERS,
    posts_of_users: "SELECT p.id, p.author_id, p.title, p.slug, p.published_at \
        FROM unnest($1) AS k (id) JOIN LATERAL (SELECT * FROM posts \
        WHERE author_id = k.id AND deleted_at IS NULL AND published \
        ORDER BY listed_at DESC, id DESC LIMIT 5) p ON TRUE",
    nested_tags: TAGS,
    deep: DEEP,
    first: FIRST,
    begin: "BEGIN",
    write: WRITE,
};
const TAGS: &str = "SELECT l.post_id, t.name FROM post_tags l \
    JOIN tags t ON t.id = l.tag_id AND t.deleted_at IS NULL \
    WHERE l.post_id = ANY($1) ORDER BY l.post_id, l.position";

/// A list of 20 and one of 100 parameters.
macro_rules! list {
    (20) => {
        "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
    };
    (100) => {
        "(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"
    };
}
macro_rules! sqlite_tags {
    ($count:tt) => {
        concat!(
            "SELECT l.post_id, t.name FROM post_tags l \
             JOIN tags t ON t.id = l.tag_id AND t.deleted_at IS NULL WHERE l.post_id IN ",
            list!($count),
            " ORDER BY l.post_id, l.position"
        )
    };
}

const SQLITE: Statements = Statements {
    point: POINT,
    feed: FEED,
    feed_tags: sqlite_tags!(20),
    users: USERS,
    posts_of_users: concat!(
        "SELECT p.id, p.author_id, p.title, p.slug, p.published_at FROM users u \
         JOIN posts p ON p.id IN (SELECT id FROM posts \
         WHERE author_id = u.id AND deleted_at IS NULL AND published \
         ORDER BY listed_at DESC, id DESC LIMIT 5) WHERE u.id IN ",
        list!(20)
    ),
    nested_tags: sqlite_tags!(100),
    deep: DEEP,
    first: FIRST,
    begin: "BEGIN IMMEDIATE",
    write: WRITE,
};

enum Connection {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

enum Argument<'a> {
    Id(Uuid),
    Ids(&'a [Uuid]),
    Time(DateTime<Utc>),
    Text(&'a str),
    Integer(i32),
}
use Argument::{Id, Ids, Integer, Text, Time};

/// The place that the deep page lies behind.
pub(crate) type Place = (DateTime<Utc>, Uuid);

/// A client that runs hand-written statements, and reads of their rows what the next one needs.
pub(crate) struct Floor {
    connection: Connection,
    statements: &'static Statements,
    workload: Workload,
    place: Place,
    posts: Walk,
    asked: usize,
    /// SQLite has one writer: who waits for it here does not poll.
    writing: Arc<Mutex<()>>,
}

impl Floor {
    pub(crate) async fn open(
        engine: Engine,
        url: &str,
        workload: Workload,
        place: Place,
        posts: Walk,
        writing: Arc<Mutex<()>>,
    ) -> anyhow::Result<Self> {
        let (connection, statements) = match engine {
            Engine::Postgres => {
                let connection = throwaway::connect(url).await?;
                (Connection::Postgres(connection), &POSTGRES)
            }
            Engine::Sqlite => {
                // As the server does.
                let options: SqliteConnectOptions = url.parse()?;
                let options = options
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .foreign_keys(true)
                    .disable_statement_logging();
                let connection = SqliteConnection::connect_with(&options).await?;
                (Connection::Sqlite(connection), &SQLITE)
            }
        };
        Ok(Self {
            connection,
            statements,
            workload,
            place,
            asked: posts.client(),
            posts,
            writing,
        })
    }

    /// The place of the row that has so many published posts before it.
    pub(crate) async fn place(engine: Engine, url: &str, depth: usize) -> anyhow::Result<Place> {
        let before = i64::try_from(depth)? - 1;
        let text = "SELECT listed_at, id FROM posts WHERE deleted_at IS NULL AND published \
            ORDER BY listed_at DESC, id DESC LIMIT 1 OFFSET $1";
        Ok(match engine {
            Engine::Postgres => {
                let mut connection = throwaway::connect(url).await?;
                let found = sqlx::query_as(text).bind(before);
                let found = found.fetch_one(&mut connection).await?;
                connection.close().await?;
                found
            }
            Engine::Sqlite => {
                let mut connection = SqliteConnection::connect(url).await?;
                let found = sqlx::query_as(text).bind(before);
                let found = found.fetch_one(&mut connection).await?;
                connection.close().await?;
                found
            }
        })
    }

    /// Runs a statement. Returns how many rows it has, and the first `ids` columns of each.
    async fn rows(
        &mut self,
        sql: &'static str,
        arguments: &[Argument<'_>],
        ids: usize,
    ) -> anyhow::Result<Vec<Vec<Uuid>>> {
        macro_rules! run {
            ($connection:expr, $query:ident, $ids:ident => $bound:expr) => {{
                let mut query = sqlx::query(sql);
                for argument in arguments {
                    query = match argument {
                        Id(id) => query.bind(*id),
                        Ids($ids) => {
                            let $query = query;
                            $bound
                        }
                        Time(time) => query.bind(*time),
                        Text(text) => query.bind(*text),
                        Integer(number) => query.bind(*number),
                    };
                }
                let rows = query.fetch_all($connection).await?;
                let found = rows
                    .iter()
                    .map(|row| (0..ids).map(|at| row.try_get(at)).collect());
                Ok(found.collect::<Result<_, sqlx::Error>>()?)
            }};
        }
        match &mut self.connection {
            Connection::Postgres(connection) => {
                run!(connection, query, keys => query.bind(*keys))
            }
            Connection::Sqlite(connection) => {
                run!(connection, query, keys => keys.iter().fold(query, |query, key| query.bind(*key)))
            }
        }
    }

    async fn execute(&mut self, sql: &'static str) -> anyhow::Result<()> {
        match &mut self.connection {
            Connection::Postgres(connection) => {
                connection.execute(sqlx::raw_sql(sql)).await?;
            }
            Connection::Sqlite(connection) => {
                connection.execute(sqlx::raw_sql(sql)).await?;
            }
        }
        Ok(())
    }

    async fn feed(&mut self) -> anyhow::Result<()> {
        let posts = self.rows(self.statements.feed, &[], 1).await?;
        ensure!(posts.len() == 20, "{} posts", posts.len());
        let ids: Vec<Uuid> = posts.iter().map(|post| post[0]).collect();
        let tags = self
            .rows(self.statements.feed_tags, &[Ids(&ids)], 1)
            .await?;
        ensure!(tags.len() == 60, "{} tags", tags.len());
        Ok(())
    }

    async fn nested(&mut self) -> anyhow::Result<()> {
        let first = |rows: Vec<Vec<Uuid>>| -> Vec<Uuid> { rows.iter().map(|row| row[0]).collect() };
        let users = first(self.rows(self.statements.users, &[], 1).await?);
        let posts = self
            .rows(self.statements.posts_of_users, &[Ids(&users)], 1)
            .await?;
        ensure!(posts.len() == 100, "{} posts", posts.len());
        let posts = first(posts);
        let tags = self
            .rows(self.statements.nested_tags, &[Ids(&posts)], 1)
            .await?;
        ensure!(tags.len() == 300, "{} tags", tags.len());
        Ok(())
    }

    async fn write(&mut self) -> anyhow::Result<()> {
        let writing = self.writing.clone();
        let _turn = match &self.connection {
            Connection::Sqlite(_) => Some(writing.lock().await),
            Connection::Postgres(_) => None,
        };
        let post = self.posts.next_to_change()?;
        let title = format!("Title {} of {}", self.asked, post.id);
        self.execute(self.statements.begin).await?;
        let arguments = [
            Text(&title),
            Time(Utc::now()),
            Id(post.id),
            Integer(post.version),
        ];
        let changed = self.rows(self.statements.write, &arguments, 1).await?;
        ensure!(changed.len() == 1, "{} posts were changed", changed.len());
        self.execute("COMMIT").await
    }
}

impl Client for Floor {
    async fn request(&mut self) -> anyhow::Result<()> {
        let page = |rows: Vec<Vec<Uuid>>| {
            ensure!(rows.len() == 51, "{} posts", rows.len());
            Ok(())
        };
        match self.workload.turn(self.asked) {
            Workload::Point => {
                let id = self.posts.next()?.id;
                let posts = self.rows(self.statements.point, &[Id(id)], 1).await?;
                ensure!(posts.len() == 1, "{} posts", posts.len());
            }
            Workload::Feed | Workload::Mixed => self.feed().await?,
            Workload::Nested => self.nested().await?,
            Workload::Deep => {
                let (time, id) = self.place;
                let arguments = [Time(time), Id(id)];
                page(self.rows(self.statements.deep, &arguments, 1).await?)?;
            }
            Workload::First => page(self.rows(self.statements.first, &[], 1).await?)?,
            Workload::Write => self.write().await?,
            Workload::Empty | Workload::Transfer | Workload::Order => {
                bail!("nothing is written by hand for it")
            }
        }
        self.asked += 1;
        Ok(())
    }
}
