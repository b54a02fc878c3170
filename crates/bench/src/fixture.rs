//! The rows that are measured on: the same for every run.
//!
//! They are written by hand, past the record layer: it is not its writing of 100,000 posts that
//! is measured here.

use std::fmt::Write as _;

use anyhow::Context as _;
use chrono::{DateTime, Duration, SecondsFormat, Utc};
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection, sqlite::SqliteConnectOptions};
use uuid::Uuid;

use crate::{
    engine::Engine,
    shop::{Product, Shop, Wallet},
    throwaway,
    workload::Post,
};

/// How many rows one INSERT carries.
const CHUNK: usize = 500;

/// One row in 50 is deleted.
const DELETED: usize = 50;

/// When the first row was made: 2024-01-01, in seconds since 1970.
const BEGINNING: i64 = 1_704_067_200;

/// How many users have an account, in euros.
const ACCOUNTS: usize = 900;

/// Between how many of them money moves.
const WALLETS: usize = 50;

/// How many products the shop has. Tables of a few rows would be read from end to end, whatever
/// the index, and the longer the more often they were written to.
const PRODUCTS: usize = 2_000;

/// How many of them are ordered.
const SOLD: usize = 200;

/// What is in each account to begin with, in cents.
const BALANCE: i64 = 1_000_000_000_000;

/// How many pieces of the first product there are to begin with. The next one has more: an UPDATE
/// of two products has two values.
const STOCK: usize = 1_000_000;

/// Two years, in seconds: the posts are spread over them.
const SPAN: usize = 2 * 365 * 24 * 60 * 60;

/// The version of the oldest post, by which it is told from every other number in a statement.
pub(crate) const SPECIMEN_VERSION: i32 = 700_001;

/// How many rows there are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Amounts {
    pub(crate) users: usize,
    pub(crate) posts: usize,
    categories: usize,
    tags: usize,
}

impl Amounts {
    /// What the figures of the table are about.
    pub(crate) const FULL: Self = Self {
        users: 10_000,
        posts: 100_000,
        categories: 50,
        tags: 500,
    };

    /// A tenth of the rows that grow.
    pub(crate) const QUICK: Self = Self {
        users: 1_000,
        posts: 10_000,
        ..Self::FULL
    };

    /// How many posts lie before the deep page: half of them.
    pub(crate) fn deep(self) -> usize {
        self.posts / 2
    }
}

enum Cell {
    Null,
    Integer(i64),
    True,
    Text(String),
    Uuid(Uuid),
    Time(DateTime<Utc>),
}

use Cell::{Integer, Null, Text, Time, True};

/// The id of the nth row of a table, made at this time.
fn id(table: u8, n: usize, made: DateTime<Utc>) -> Uuid {
    let millisecond = u64::try_from(made.timestamp_millis()).unwrap_or_default();
    let mut rest = [0; 10];
    rest[1] = table;
    rest[2..].copy_from_slice(&(n as u64).to_be_bytes());
    uuid::Builder::from_unix_timestamp_millis(millisecond, &rest).into_uuid()
}

fn at(seconds: usize) -> DateTime<Utc> {
    let seconds = i64::try_from(seconds).unwrap_or_default();
    DateTime::from_timestamp(BEGINNING, 0).unwrap_or_default() + Duration::seconds(seconds)
}

/// A number that looks drawn, the same for the same `n` (the finalizer of SplitMix64).
fn scattered(n: usize) -> usize {
    let mut bits = n as u64;
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (bits ^ (bits >> 31)) as usize
}

fn is_deleted(n: usize) -> bool {
    n % DELETED == DELETED - 1
}

const USER: u8 = 1;
const CATEGORY: u8 = 2;
const TAG: u8 = 3;
const POST: u8 = 4;
const DELETION: u8 = 5;
const ACCOUNT: u8 = 6;
const PRODUCT: u8 = 7;
const INVENTORY: u8 = 8;
const TRANSFER: u8 = 9;
const ENTRY: u8 = 10;

/// The nth user, category or tag. They were made before the first post, one a second.
fn earlier(table: u8, n: usize) -> (Uuid, DateTime<Utc>) {
    let made = at(n) - Duration::days(1);
    (id(table, n, made), made)
}

/// The columns that every record has, before those of its own.
const RECORD: &str = "id, created_at, updated_at, lock_version, deleted_at, deletion_id";

fn record(id: Uuid, made: DateTime<Utc>, version: i32, deletion: Option<Uuid>) -> Vec<Cell> {
    vec![
        Cell::Uuid(id),
        Time(made),
        Time(made),
        Integer(version.into()),
        deletion.map_or(Null, |_| Time(made)),
        deletion.map_or(Null, Cell::Uuid),
    ]
}

/// The users with an account: the first ones that are not deleted.
fn owners() -> impl Iterator<Item = usize> {
    (0..).filter(|n| !is_deleted(*n)).take(ACCOUNTS)
}

fn email(user: usize) -> String {
    format!("person-{user}@bench.invalid")
}

fn price(product: usize) -> i64 {
    i64::try_from(100 + scattered(product) % 10_000).unwrap_or(100)
}

/// The accounts and the products that requests are about.
pub(crate) fn shop() -> Shop {
    let wallet = |n| Wallet {
        owner: earlier(USER, n).0,
        email: email(n),
        account: earlier(ACCOUNT, n).0,
    };
    let product = |n| Product {
        id: earlier(PRODUCT, n).0,
        price: price(n),
    };
    Shop {
        wallets: owners().take(WALLETS).map(wallet).collect(),
        products: (0..SOLD).map(product).collect(),
    }
}

/// Fills a migrated database, in which nobody is but the administrator. Who has an account has
/// the administrator's password.
pub(crate) async fn fill(engine: Engine, url: &str, amounts: Amounts) -> anyhow::Result<()> {
    let password_hash = password_hash(engine, url).await?;
    let mut sink = Sink::open(engine, url).await?;
    let mut deletions = Vec::new();

    sink.table(
        "users",
        &format!("{RECORD}, email, email_key, name, name_key, role, is_active, password_hash"),
    );
    for n in 0..amounts.users {
        let (id, made) = earlier(USER, n);
        let deletion = is_deleted(n).then(|| Deletion::of("user", id, made, &mut deletions));
        let mut row = record(id, made, 0, deletion);
        let email = email(n);
        let logs_in = owners().any(|owner| owner == n);
        // Scattered: people are not called in the order in which they came.
        let name = format!("Person {:05} of {n}", scattered(n) % 100_000);
        row.extend([
            Text(email.clone()),
            Text(email),
            Text(name.clone()),
            Text(name.to_lowercase()),
            Text("USER".into()),
            True,
            if logs_in {
                Text(password_hash.clone())
            } else {
                Null
            },
        ]);
        sink.row(&row).await?;
    }

    sink.table("categories", &format!("{RECORD}, name, slug, parent_id"));
    for n in 0..amounts.categories {
        let (id, made) = earlier(CATEGORY, n);
        let mut row = record(id, made, 0, None);
        row.extend([
            Text(format!("Category {n}")),
            Text(format!("category-{n}")),
            Null,
        ]);
        sink.row(&row).await?;
    }

    sink.table("tags", &format!("{RECORD}, name, slug"));
    for n in 0..amounts.tags {
        let (id, made) = earlier(TAG, n);
        let mut row = record(id, made, 0, None);
        row.extend([Text(format!("Tag {n}")), Text(format!("tag-{n}"))]);
        sink.row(&row).await?;
    }

    let columns = "title, slug, content, published, published_at, author_id, category_id";
    sink.table("posts", &format!("{RECORD}, {columns}"));
    let mut posts = Vec::with_capacity(amounts.posts);
    // Deleted users have no posts: they would have been deleted as well.
    let authors: Vec<usize> = (0..amounts.users).filter(|n| !is_deleted(*n)).collect();
    for n in 0..amounts.posts {
        let made = at(n * (SPAN / amounts.posts));
        let id = id(POST, n, made);
        posts.push(id);
        let deletion = is_deleted(n).then(|| Deletion::of("post", id, made, &mut deletions));
        let version = if n == 0 { SPECIMEN_VERSION } else { 0 };
        let mut row = record(id, made, version, deletion);
        row.extend([
            Text(format!("The title of post number {n}")),
            Text(format!("the-title-of-post-number-{n}")),
            Text(content(n)),
            True,
            Time(made),
            Cell::Uuid(earlier(USER, authors[n % authors.len()]).0),
            Cell::Uuid(earlier(CATEGORY, scattered(n) % amounts.categories).0),
        ]);
        sink.row(&row).await?;
    }

    sink.table("post_tags", "post_id, tag_id, position");
    for (n, post) in posts.into_iter().enumerate() {
        let third = amounts.tags / 3;
        for position in 0..3 {
            // Each from another third, so that they differ.
            let tag = position * third + scattered(3 * n + position) % third;
            let position = i64::try_from(position)?;
            let tag = Cell::Uuid(earlier(TAG, tag).0);
            sink.row(&[Cell::Uuid(post), tag, Integer(position)])
                .await?;
        }
    }

    sink.table(
        "deletions",
        "id, created_at, updated_at, root_type, root_id, row_count",
    );
    for Deletion { id, of, root, made } in deletions {
        let row = [
            Cell::Uuid(id),
            Time(made),
            Time(made),
            Text(of.into()),
            Cell::Uuid(root),
            Integer(1),
        ];
        sink.row(&row).await?;
    }
    fill_shop(&mut sink).await?;
    sink.close().await
}

async fn fill_shop(sink: &mut Sink) -> anyhow::Result<()> {
    let euros = || Text("EUR".into());
    sink.table(
        "accounts",
        &format!("{RECORD}, owner_id, currency, balance"),
    );
    for n in owners() {
        let (id, made) = earlier(ACCOUNT, n);
        let mut row = record(id, made, 0, None);
        row.extend([Cell::Uuid(earlier(USER, n).0), euros(), Integer(BALANCE)]);
        sink.row(&row).await?;
    }
    // A balance is the sum of its account's entries.
    sink.table(
        "transfers",
        "id, created_at, kind, to_account_id, amount, currency",
    );
    for n in owners() {
        let (id, made) = earlier(TRANSFER, n);
        let to = Cell::Uuid(earlier(ACCOUNT, n).0);
        let kind = Text("DEPOSIT".into());
        let row = [
            Cell::Uuid(id),
            Time(made),
            kind,
            to,
            Integer(BALANCE),
            euros(),
        ];
        sink.row(&row).await?;
    }
    sink.table(
        "transfer_entries",
        "id, created_at, transfer_id, account_id, amount, balance",
    );
    for n in owners() {
        let (id, made) = earlier(ENTRY, n);
        let row = [
            Cell::Uuid(id),
            Time(made),
            Cell::Uuid(earlier(TRANSFER, n).0),
            Cell::Uuid(earlier(ACCOUNT, n).0),
            Integer(BALANCE),
            Integer(BALANCE),
        ];
        sink.row(&row).await?;
    }
    sink.table(
        "products",
        &format!("{RECORD}, sku, sku_key, name, name_key, price_amount, currency"),
    );
    for n in 0..PRODUCTS {
        let (id, made) = earlier(PRODUCT, n);
        let mut row = record(id, made, 0, None);
        row.extend([
            Text(format!("SKU-{n}")),
            Text(format!("sku-{n}")),
            Text(format!("Product {n}")),
            Text(format!("product {n}")),
            Integer(price(n)),
            euros(),
        ]);
        sink.row(&row).await?;
    }
    sink.table("inventories", &format!("{RECORD}, product_id, quantity"));
    for n in 0..PRODUCTS {
        let (id, made) = earlier(INVENTORY, n);
        let mut row = record(id, made, 0, None);
        let quantity = i64::try_from(STOCK + n * 1_000)?;
        row.extend([Cell::Uuid(earlier(PRODUCT, n).0), Integer(quantity)]);
        sink.row(&row).await?;
    }
    Ok(())
}

/// The hash of the administrator's password.
async fn password_hash(engine: Engine, url: &str) -> anyhow::Result<String> {
    let query = "SELECT password_hash FROM users WHERE role = 'ADMIN'";
    Ok(match engine {
        Engine::Postgres => {
            let mut connection = throwaway::connect(url).await?;
            let hash = sqlx::query_scalar(query).fetch_one(&mut connection).await?;
            connection.close().await?;
            hash
        }
        Engine::Sqlite => {
            let mut connection = SqliteConnection::connect(url).await?;
            let hash = sqlx::query_scalar(query).fetch_one(&mut connection).await?;
            connection.close().await?;
            hash
        }
    })
}

/// The live posts as they are now, the newest first, without the specimen.
pub(crate) async fn posts(engine: Engine, url: &str) -> anyhow::Result<Vec<Post>> {
    let mut posts = all_posts(engine, url).await?;
    posts.pop();
    Ok(posts)
}

/// The oldest post, which [`SPECIMEN_VERSION`] is for.
pub(crate) async fn specimen(engine: Engine, url: &str) -> anyhow::Result<Post> {
    let mut posts = all_posts(engine, url).await?;
    posts.pop().context("there are no posts")
}

async fn all_posts(engine: Engine, url: &str) -> anyhow::Result<Vec<Post>> {
    let query = "SELECT id, lock_version FROM posts \
        WHERE deleted_at IS NULL ORDER BY listed_at DESC, id DESC";
    let rows: Vec<(Uuid, i32)> = match engine {
        Engine::Postgres => {
            let mut connection = throwaway::connect(url).await?;
            let rows = sqlx::query_as(query).fetch_all(&mut connection).await?;
            connection.close().await?;
            rows
        }
        Engine::Sqlite => {
            let mut connection = SqliteConnection::connect(url).await?;
            let rows = sqlx::query_as(query).fetch_all(&mut connection).await?;
            connection.close().await?;
            rows
        }
    };
    let posts = rows.into_iter().map(|(id, version)| Post { id, version });
    Ok(posts.collect())
}

struct Deletion {
    id: Uuid,
    of: &'static str,
    root: Uuid,
    made: DateTime<Utc>,
}

impl Deletion {
    /// The id of a new deletion of this record.
    fn of(of: &'static str, root: Uuid, made: DateTime<Utc>, all: &mut Vec<Self>) -> Uuid {
        let id = id(DELETION, all.len(), made);
        all.push(Self { id, of, root, made });
        id
    }
}

/// A text of 1,000 characters, another one for each post.
fn content(n: usize) -> String {
    let words = [
        "harbour",
        "ballast",
        "freeboard",
        "cargo",
        "keel",
        "tide",
        "draught",
        "mooring",
    ];
    let mut text = format!("Post number {n}.");
    let mut bits = scattered(n);
    while text.len() < 1000 {
        text.push(' ');
        text.push_str(words[bits % words.len()]);
        bits = scattered(bits.wrapping_add(1));
    }
    text.truncate(1000);
    text
}

enum Connection {
    Postgres(sqlx::PgConnection),
    Sqlite(SqliteConnection),
}

/// Rows on their way into a database, as INSERTs of many rows.
struct Sink {
    connection: Connection,
    /// The tables that rows were written to.
    tables: Vec<String>,
    begin: String,
    statement: String,
    rows: usize,
}

impl Sink {
    async fn open(engine: Engine, url: &str) -> anyhow::Result<Self> {
        let connection = match engine {
            Engine::Postgres => Connection::Postgres(throwaway::connect(url).await?),
            Engine::Sqlite => {
                let options: SqliteConnectOptions = url.parse()?;
                let options = options.foreign_keys(false);
                Connection::Sqlite(SqliteConnection::connect_with(&options).await?)
            }
        };
        let mut sink = Self {
            connection,
            tables: Vec::new(),
            begin: String::new(),
            statement: String::new(),
            rows: 0,
        };
        if engine == Engine::Postgres {
            // No triggers, those of the foreign keys among them: the rows are right.
            sink.run("SET session_replication_role = replica").await?;
        }
        sink.run("BEGIN").await?;
        Ok(sink)
    }

    /// From here on, rows are of this table and these columns.
    fn table(&mut self, table: &str, columns: &str) {
        // What is left of the table before is flushed by the first row.
        self.begin = format!("INSERT INTO {table} ({columns}) VALUES ");
        self.tables.push(table.to_owned());
    }

    async fn row(&mut self, cells: &[Cell]) -> anyhow::Result<()> {
        if self.rows == CHUNK || !self.statement.starts_with(&self.begin) {
            self.flush().await?;
        }
        if self.rows == 0 {
            self.statement.push_str(&self.begin);
        } else {
            self.statement.push(',');
        }
        self.rows += 1;
        self.statement.push('(');
        for (at, cell) in cells.iter().enumerate() {
            if at > 0 {
                self.statement.push(',');
            }
            let sql = &mut self.statement;
            match (cell, &self.connection) {
                (Null, _) => sql.push_str("NULL"),
                (Integer(number), _) => write!(sql, "{number}")?,
                (True, _) => sql.push_str("TRUE"),
                // None of our texts has a quote in it.
                (Text(text), _) => write!(sql, "'{text}'")?,
                (Cell::Uuid(id), Connection::Postgres(_)) => write!(sql, "'{id}'")?,
                (Cell::Uuid(id), Connection::Sqlite(_)) => write!(sql, "x'{}'", id.as_simple())?,
                // As sqlx writes a time on SQLite, where it is compared as text.
                (Time(time), _) => {
                    let time = time.to_rfc3339_opts(SecondsFormat::AutoSi, false);
                    write!(sql, "'{time}'")?;
                }
            }
        }
        self.statement.push(')');
        Ok(())
    }

    async fn flush(&mut self) -> anyhow::Result<()> {
        if self.rows > 0 {
            let statement = std::mem::take(&mut self.statement);
            self.rows = 0;
            self.run(&statement)
                .await
                .context("the rows were refused")?;
        }
        Ok(())
    }

    async fn run(&mut self, statement: &str) -> anyhow::Result<()> {
        let statement = sqlx::raw_sql(AssertSqlSafe(statement));
        match &mut self.connection {
            Connection::Postgres(connection) => {
                statement.execute(connection).await?;
            }
            Connection::Sqlite(connection) => {
                statement.execute(connection).await?;
            }
        }
        Ok(())
    }

    /// Commits, and leaves the database as it is after some time of use.
    async fn close(mut self) -> anyhow::Result<()> {
        self.flush().await?;
        self.run("COMMIT").await?;
        match self.connection {
            Connection::Postgres(_) => {
                // Not those without rows: known to be empty, they are read from end to end however
                // they grow, until PostgreSQL looks at them again.
                let filled = format!("VACUUM ANALYZE {}", self.tables.join(", "));
                self.run(&filled).await?;
                self.run("CHECKPOINT").await?;
            }
            Connection::Sqlite(_) => {
                self.run("ANALYZE").await?;
                self.run("PRAGMA wal_checkpoint(TRUNCATE)").await?;
            }
        }
        match self.connection {
            Connection::Postgres(connection) => connection.close().await?,
            Connection::Sqlite(connection) => connection.close().await?,
        }
        Ok(())
    }
}
