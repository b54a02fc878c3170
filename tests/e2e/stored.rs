//! The stored operations of `tests/queries`: what each answers, and the SQL that it takes.
//!
//! `NAME.graphql` is an operation. Its first lines say how many statements it takes, on an engine
//! of its own number too, who asks, unless anybody may, and what it is for:
//!
//! ```text
//! # statements: 6; MariaDB 7
//! # viewer: admin
//! # A post's title, from the version that was seen.
//! ```
//!
//! Beside it lie `NAME.json`, its answer, which is one for all engines, and `NAME.sqlite.sql`,
//! `NAME.postgres.sql` and `NAME.mariadb.sql`, the statements. `UPDATE=1` writes these anew; the
//! number of statements is pinned, and changed by hand. The operations' variables are filled by
//! their names: see [`Planted::variables`].

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use chrono::{DateTime, Duration, Utc};
use plimsoll_domain::{
    Error, Result, Role, Tx, Version, Viewer, account as accounts, id::UserId, order as orders,
    post as posts, tag as tags, transfer as transfers, user as users,
};
use plimsoll_entity::{
    category, inventory, order, order_item, post, post_author, post_tag, product, profile, tag,
    user,
};
use plimsoll_records::Writer;
use plimsoll_testkit::{Engine, PASSWORD, on_every_engine};
use sea_orm::ActiveValue::Set;
use serde_json::{Value, json};
use similar::TextDiff;
use sqlformat::{FormatOptions, Indent, QueryParams};
use type_safe_id::{DynamicType, TypeSafeId};
use uuid::Uuid;

use crate::client::{As, NOBODY, Server, server};

/// The most rows that an operation is run for; there is one post more.
pub(crate) const ROWS: usize = 200;

/// For how many rows the stored answers and statements are.
const FEW: usize = 2;

/// An operation of `tests/queries`.
pub(crate) struct Operation {
    pub(crate) name: String,
    /// The document.
    pub(crate) text: String,
    /// How many statements it takes, as the file says.
    pinned: String,
    /// Whether an administrator asks: two statements more, for the token and its user.
    by_admin: bool,
    /// What it is for.
    about: String,
}

impl Operation {
    /// All operations: the queries, then the mutations, each in the order of their names.
    pub(crate) fn all() -> Vec<Self> {
        let mut all: Vec<Self> = stored_files()
            .into_iter()
            .filter(|file| file.ends_with(".graphql"))
            .map(|file| Self::read(&file))
            .collect();
        all.sort_by_key(|operation| (operation.is_mutation(), operation.name.clone()));
        assert!(!all.is_empty(), "there are no stored operations");
        all
    }

    fn read(file: &str) -> Self {
        let text = fs::read_to_string(folder().join(file)).expect("an operation can be read");
        let mut head = text.lines().map_while(|line| line.strip_prefix("# "));
        let pinned = head
            .next()
            .and_then(|line| line.strip_prefix("statements: "));
        let pinned =
            pinned.unwrap_or_else(|| panic!("{file} does not begin with `# statements: `"));
        let mut about: Vec<&str> = head.collect();
        let by_admin = about.first() == Some(&"viewer: admin");
        if by_admin {
            about.remove(0);
        }
        assert!(!about.is_empty(), "{file} does not say what it is for");
        Self {
            name: file.trim_end_matches(".graphql").to_owned(),
            pinned: pinned.to_owned(),
            by_admin,
            about: about.join(" "),
            text,
        }
    }

    /// What lies beside it.
    fn beside(&self, extension: &str) -> PathBuf {
        folder().join(format!("{}.{extension}", self.name))
    }

    /// What rows of its own are called.
    fn slug(&self, n: usize) -> String {
        format!("{}-{n}", self.name.replace('_', "-"))
    }

    pub(crate) fn is_mutation(&self) -> bool {
        self.text.lines().any(|line| line.starts_with("mutation"))
    }

    /// Whether a field is asked for, on a line of its own.
    pub(crate) fn asks_for(&self, field: &str) -> bool {
        self.text.lines().any(|line| line.trim() == field)
    }

    /// The names of the variables that it declares.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &str> {
        let after = self.text.split('$').skip(1);
        let named = after.filter_map(|text| Some(text.split_once(": ")?.0));
        named.filter(|name| name.chars().all(char::is_alphanumeric))
    }

    /// How many statements it takes on this engine.
    pub(crate) fn statements(&self, engine: Engine) -> usize {
        let mut numbers = self.pinned.split("; ");
        let (all, name) = (numbers.next().unwrap_or_default(), engine.to_string());
        let own = numbers
            .find_map(|own| own.strip_prefix(&name))
            .unwrap_or(all);
        let number = own.trim().parse();
        number.unwrap_or_else(|_| panic!("{}: `{}` is no number", self.name, self.pinned))
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("queries")
}

fn stored_files() -> BTreeSet<String> {
    let files = fs::read_dir(folder()).expect("the stored operations are there");
    let names = files.map(|file| file.expect("the folder can be read").file_name());
    names
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

/// A server over a database with the same rows each time.
pub(crate) struct Planted {
    pub(crate) server: Server,
    pub(crate) admin: As,
    rows: Rows,
    /// An account of each user, with two deposits; the last one is the administrator's.
    accounts: Vec<Uuid>,
    /// Who has the last account.
    own: UserId,
    /// 200 products, each with an inventory.
    products: Vec<Uuid>,
}

/// What there is: 200 users, each with a profile; 200 categories below one; 200 tags; 201 posts,
/// each by a user and in a category, with two tags, of which all have the first, and a co-author.
/// Beside them 200 tags that were deleted, each by itself.
struct Rows {
    users: Vec<Uuid>,
    profiles: Vec<Uuid>,
    categories: Vec<Uuid>,
    tags: Vec<Uuid>,
    posts: Vec<Uuid>,
}

/// When the rows were made: long enough ago for the deleted ones to be purged.
fn beginning() -> DateTime<Utc> {
    DateTime::from_timestamp(1_735_689_600, 0).expect("2025-01-01 is a date")
}

/// The program itself, whose rows get their ids from a seed.
fn planter(seed: &str) -> Writer {
    let seed = seed.bytes().fold(0_u64, |seed, byte| {
        seed.wrapping_mul(31).wrapping_add(byte.into())
    });
    Writer {
        seed: Some(seed),
        ..Writer::system(beginning())
    }
}

/// Writes rows whose ids come from a seed.
macro_rules! plant {
    ($world:expr, $writer:expr, |$tx:ident| $work:expr) => {{
        let writer: Writer = $writer;
        let written = $world
            .store
            .database()
            .write::<_, Error, _>(writer, move |$tx| Box::pin(async move { $work }))
            .await;
        written.expect("the rows can be planted")
    }};
}

fn user_row(name: &str) -> user::ActiveModel {
    user::ActiveModel {
        email: Set(format!("{name}@rows.invalid")),
        email_key: Set(format!("{name}@rows.invalid")),
        name: Set(name.into()),
        name_key: Set(name.into()),
        role: Set(Role::User),
        password_hash: Set(Default::default()),
        is_active: Set(true),
        ..Default::default()
    }
}

fn post_row(slug: String, author: Uuid, category: Option<Uuid>) -> post::ActiveModel {
    post::ActiveModel {
        title: Set(slug.clone()),
        content: Set(format!("The text of {slug}.").into()),
        slug: Set(slug),
        published: Set(true),
        published_at: Set(Some(beginning())),
        author_id: Set(author.into()),
        category_id: Set(category.map(Into::into)),
        ..Default::default()
    }
}

fn tag_row(slug: String) -> tag::ActiveModel {
    tag::ActiveModel {
        name: Set(slug.clone()),
        slug: Set(slug),
        ..Default::default()
    }
}

fn category_row(slug: String, parent: Option<Uuid>) -> category::ActiveModel {
    category::ActiveModel {
        name: Set(slug.clone()),
        slug: Set(slug),
        parent_id: Set(parent.map(Into::into)),
        ..Default::default()
    }
}

fn product_row(sku: String, price: i64) -> product::ActiveModel {
    product::ActiveModel {
        sku: Set(sku.clone()),
        sku_key: Set(sku.clone()),
        name: Set(sku.clone()),
        name_key: Set(sku),
        price_amount: Set(price),
        currency: Set("EUR".into()),
        ..Default::default()
    }
}

fn stock_row(product: Uuid, quantity: i32) -> inventory::ActiveModel {
    inventory::ActiveModel {
        product_id: Set(product.into()),
        quantity: Set(quantity),
        ..Default::default()
    }
}

async fn plant_rows(tx: &mut Tx) -> Result<Rows> {
    let named =
        |kind: &str| -> Vec<String> { (0..ROWS).map(|n| format!("{kind}-{n:03}")).collect() };
    let users = named("user").iter().map(|name| user_row(name)).collect();
    let users = tx.create_many::<user::Entity>(users).await?;
    let profiles = users
        .iter()
        .zip(named("user"))
        .map(|(user, name)| profile::ActiveModel {
            user_id: Set((*user).into()),
            bio: Set(Some(format!("Who {name} is."))),
            avatar_url: Set(None),
            metadata: Set(json!({})),
            ..Default::default()
        });
    let profiles = tx
        .create_many::<profile::Entity>(profiles.collect())
        .await?;
    let root = vec![category_row("root".into(), None)];
    let root = tx.create_many::<category::Entity>(root).await?[0];
    let below = named("category")
        .into_iter()
        .map(|name| category_row(name, Some(root)));
    let categories = tx.create_many::<category::Entity>(below.collect()).await?;
    let tags = named("tag").into_iter().map(tag_row).collect();
    let tags = tx.create_many::<tag::Entity>(tags).await?;
    // One post a minute, so that no two share a place in a list.
    let posts = (0..=ROWS)
        .zip(0_i64..)
        .map(|(n, minute)| post::ActiveModel {
            published_at: Set(Some(beginning() + Duration::minutes(minute))),
            ..post_row(
                format!("post-{n:03}"),
                users[n % ROWS],
                Some(categories[n % ROWS]),
            )
        });
    let posts = tx.create_many::<post::Entity>(posts.collect()).await?;
    let (mut tagged, mut shared) = (Vec::new(), Vec::new());
    for (n, post) in posts.iter().enumerate() {
        tagged.push((*post, vec![tags[0], tags[1 + n % (ROWS - 1)]]));
        shared.push((*post, vec![users[(n + 1) % ROWS]]));
    }
    tx.add_links::<post_tag::Entity>(&tagged).await?;
    tx.add_links::<post_author::Entity>(&shared).await?;
    Ok(Rows {
        users,
        profiles,
        categories,
        tags,
        posts,
    })
}

/// The rows on this engine, behind a server.
pub(crate) async fn planted(engine: Engine) -> Option<Planted> {
    let server = server(engine).await?;
    let world = &server.world;
    let hash = world.store.passwords().hash(PASSWORD.into()).await;
    let hash = hash.expect("a password can be hashed");
    let (admin, rows) = plant!(world, planter("rows"), |tx| {
        let admin = user::ActiveModel {
            role: Set(Role::Admin),
            password_hash: Set(hash.into()),
            ..user_row("admin")
        };
        let admin = tx.create::<user::Entity>(admin).await?;
        Ok((admin, plant_rows(tx).await?))
    });
    for batch in 0..4 {
        let writer = Writer {
            actor: Some(admin.id.into()),
            ..planter(&format!("deleted tags {batch}"))
        };
        plant!(world, writer, |tx| {
            let rows = (0..ROWS / 4).map(|n| tag_row(format!("deleted-{batch}-{n:02}")));
            for tag in tx.create_many::<tag::Entity>(rows.collect()).await? {
                tags::delete(tx, &Viewer::System, tag.into(), Version(0)).await?;
            }
            Ok(())
        });
    }
    let owners: Vec<UserId> = rows.users.iter().map(|id| (*id).into()).collect();
    let own = admin.id;
    let accounts = plant!(world, planter("accounts"), |tx| {
        let mut opened = Vec::new();
        for owner in owners.into_iter().chain([own]) {
            opened.push(open_account(tx, owner).await?);
        }
        Ok(opened)
    });
    let buyers: Vec<_> = rows.users.iter().copied().zip(accounts.clone()).collect();
    let products = plant!(world, planter("shop"), |tx| plant_shop(tx, &buyers).await);
    let login = json!({ "email": "admin@rows.invalid", "password": PASSWORD });
    let login = server.mutate(&NOBODY, "login", login, "token").await;
    let token = login["token"].as_str().expect("the administrator logs in");
    Some(Planted {
        admin: As(Some(token.to_owned())),
        server,
        rows,
        accounts,
        own,
        products,
    })
}

/// Products with their stock, and an order of each user's, of two of them, that was paid and sent.
async fn plant_shop(tx: &mut Tx, buyers: &[(Uuid, Uuid)]) -> Result<Vec<Uuid>> {
    let price = |n: usize| if n.is_multiple_of(2) { 1 } else { 2 };
    let products = (0..ROWS).map(|n| product_row(format!("product-{n:03}"), price(n)));
    let products = tx
        .create_many::<product::Entity>(products.collect())
        .await?;
    // A stock of its own each: what is left of two is not the same.
    let stock = products.iter().zip(1_000..);
    let stock = stock.map(|(product, quantity)| stock_row(*product, quantity));
    tx.create_many::<inventory::Entity>(stock.collect()).await?;
    let orders = buyers.iter().map(|(buyer, account)| order::ActiveModel {
        buyer_id: Set((*buyer).into()),
        account_id: Set(Some((*account).into())),
        status: Set(orders::Status::Shipped),
        total_amount: Set(3),
        currency: Set("EUR".into()),
        ..Default::default()
    });
    let orders = tx.create_many::<order::Entity>(orders.collect()).await?;
    let mut items = Vec::new();
    for (n, order) in orders.into_iter().enumerate() {
        for position in 0..2 {
            let product = (n + position) % ROWS;
            items.push(order_item::ActiveModel {
                id: Set(tx.mint().into()),
                created_at: Set(tx.now()),
                order_id: Set(order.into()),
                product_id: Set(products[product].into()),
                position: Set(i32::from(position == 1)),
                quantity: Set(1),
                unit_amount: Set(price(product)),
            });
        }
    }
    tx.insert_facts::<order_item::Entity>(items).await?;
    Ok(products)
}

/// An account with two deposits in it.
async fn open_account(tx: &mut Tx, owner: UserId) -> Result<Uuid> {
    let command = accounts::OpenAccount {
        owner,
        currency: "EUR".into(),
    };
    let account = accounts::open(tx, &Viewer::System, command).await?;
    for amount in [700, 300] {
        let command = transfers::Deposit {
            to: account.id,
            amount,
        };
        transfers::deposit(tx, &Viewer::System, command).await?;
    }
    Ok(account.id.into())
}

impl Planted {
    /// Runs an operation for `n` rows. Returns its data and the statements that it took.
    pub(crate) async fn run(&self, operation: &Operation, n: usize) -> (Value, Vec<String>) {
        let variables = self.variables(operation, n).await;
        let who = if operation.by_admin {
            &self.admin
        } else {
            &NOBODY
        };
        self.server.world.statements.take();
        let data = self.server.data(who, &operation.text, variables).await;
        (data, self.server.world.statements.take())
    }

    /// Who asks for an operation.
    pub(crate) fn viewer(&self, operation: &Operation) -> Viewer {
        match operation.by_admin {
            true => Viewer::User {
                id: self.own,
                role: Role::Admin,
            },
            false => Viewer::Anonymous,
        }
    }

    /// What an operation's variables stand for:
    ///
    /// - `$n`: the number of rows;
    /// - `$posts`: the ids of as many posts;
    /// - `$mixed`: the ids of as many records, 40 at the most, of each of five types;
    /// - `$tags`, `$users`: the ids of as many tags and users, but no more than a post may have;
    /// - `$email`: an address that nobody has;
    /// - `$own`, `$to`: the administrator's account, and somebody else's;
    /// - `$key`: a key that no other request has;
    /// - `$lines`: one of as many products, but no more than an order may have;
    /// - `$order`, `$paidOrder`: the administrator's order of as many products, at version 0, set
    ///   aside or paid for, that no other operation changes;
    /// - `$product`: a product with 1,000 in stock, at version 0, that no other operation changes;
    /// - `$sku`: one that no product has;
    /// - `$drafts`: as many drafts, each with its version;
    /// - `$newest`, `$cursor`: the id of the newest post, and its cursor;
    /// - `$post`, `$author`: a post, and the author of as many posts, at version 0, that no other
    ///   operation changes;
    /// - `$deletedPost`, `$deletedAuthor`: the same, deleted.
    pub(crate) async fn variables(&self, operation: &Operation, n: usize) -> Value {
        let of = |kind: &str, ids: &[Uuid], n: usize| -> Vec<Value> {
            ids[..n].iter().map(|id| public(kind, *id)).collect()
        };
        let (rows, each) = (&self.rows, n.min(ROWS / 5));
        let mut variables = json!({});
        for name in operation.variables() {
            variables[name] = match name {
                "n" => json!(n),
                "posts" => json!(of("post", &rows.posts, n)),
                "mixed" => json!(
                    [
                        of("post", &rows.posts, each),
                        of("tag", &rows.tags, each),
                        of("user", &rows.users, each),
                        of("category", &rows.categories, each),
                        of("profile", &rows.profiles, each),
                    ]
                    .concat()
                ),
                "tags" => json!(of("tag", &rows.tags, n.min(50))),
                // The first one writes what has no other author.
                "users" => json!(of("user", &rows.users[1..], n.min(20))),
                "email" => json!(format!("{}@rows.invalid", operation.slug(n))),
                "cursor" => {
                    let first = "{ posts(first: 1) { pageInfo { endCursor } } }";
                    let page = self.server.data(&NOBODY, first, json!({})).await;
                    page["posts"]["pageInfo"]["endCursor"].clone()
                }
                "own" => public("account", self.accounts[ROWS]),
                "to" => public("account", self.accounts[0]),
                "key" => json!(operation.slug(n)),
                "sku" => json!(operation.slug(n)),
                "lines" => {
                    let lines = of("product", &self.products, n.min(orders::MAX_LINES));
                    let line = |id: Value| json!({ "productId": id, "quantity": 1 });
                    json!(lines.into_iter().map(line).collect::<Vec<_>>())
                }
                "order" | "paidOrder" => {
                    let order = self.own_order(operation, n, name == "paidOrder").await;
                    public("order", order)
                }
                "product" => public("product", self.own_product(operation, n).await),
                "drafts" => {
                    let drafts = of("post", &self.own_drafts(operation, n).await, n);
                    let seen = |id: Value| json!({ "id": id, "expectedVersion": 0 });
                    json!(drafts.into_iter().map(seen).collect::<Vec<_>>())
                }
                "newest" => public("post", rows.posts[ROWS]),
                "post" | "deletedPost" => {
                    let post = self.own_post(operation, n, name == "deletedPost").await;
                    public("post", post)
                }
                "author" | "deletedAuthor" => {
                    let author = self.own_author(operation, n, name == "deletedAuthor").await;
                    public("user", author)
                }
                _ => panic!("{}: what is ${name}?", operation.name),
            };
        }
        variables
    }

    async fn own_post(&self, operation: &Operation, n: usize, deleted: bool) -> Uuid {
        let author = self.rows.users[0];
        let slug = operation.slug(n);
        plant!(self.server.world, planter(&slug), |tx| {
            let row = post_row(slug, author, None);
            let id = tx.create::<post::Entity>(row).await?.id;
            if deleted {
                posts::delete(tx, &Viewer::System, id, Version(0)).await?;
            }
            Ok(id.into())
        })
    }

    async fn own_drafts(&self, operation: &Operation, n: usize) -> Vec<Uuid> {
        let (name, author) = (operation.slug(n), self.rows.users[0]);
        plant!(self.server.world, planter(&name), |tx| {
            let drafts = (0..n).map(|draft| post::ActiveModel {
                published: Set(false),
                published_at: Set(None),
                ..post_row(format!("{name}-{draft}"), author, None)
            });
            Ok(tx.create_many::<post::Entity>(drafts.collect()).await?)
        })
    }

    async fn own_product(&self, operation: &Operation, n: usize) -> Uuid {
        let sku = operation.slug(n);
        plant!(self.server.world, planter(&sku), |tx| {
            let id = tx.create::<product::Entity>(product_row(sku, 1)).await?.id;
            tx.create::<inventory::Entity>(stock_row(id.into(), 1_000))
                .await?;
            Ok(id.into())
        })
    }

    async fn own_order(&self, operation: &Operation, n: usize, pay: bool) -> Uuid {
        let by = Viewer::User {
            id: self.own,
            role: Role::Admin,
        };
        let products = &self.products[..n.min(orders::MAX_LINES)];
        let line = |id: &Uuid| orders::Line {
            product: (*id).into(),
            quantity: 1,
            unit_price: None,
        };
        let items = products.iter().map(line).collect();
        plant!(self.server.world, planter(&operation.slug(n)), |tx| {
            let order = orders::place(tx, &by, orders::PlaceOrder { items, pay }).await?;
            Ok(order.id.into())
        })
    }

    async fn own_author(&self, operation: &Operation, n: usize, deleted: bool) -> Uuid {
        let name = operation.slug(n);
        plant!(self.server.world, planter(&name), |tx| {
            let id = tx.create::<user::Entity>(user_row(&name)).await?.id;
            let posts = (0..n).map(|post| post_row(format!("{name}-{post}"), id.into(), None));
            tx.create_many::<post::Entity>(posts.collect()).await?;
            if deleted {
                users::delete(tx, &Viewer::System, id, Version(0)).await?;
            }
            Ok(id.into())
        })
    }
}

/// An id as clients see it.
fn public(kind: &str, id: Uuid) -> Value {
    let kind = DynamicType::new(kind).expect("a type's name is one");
    json!(TypeSafeId::from_type_and_uuid(kind, id).to_string())
}

/// The statements as they are stored: laid out, and in the order in which they ran, but for the
/// reads after the last change. Those may run beside each other, so they have the order of their
/// texts.
fn laid_out(mut statements: Vec<String>) -> String {
    let changes = |sql: &String| !sql.starts_with("SELECT") || sql.contains(" FOR ");
    let reads = statements.iter().rposition(changes);
    statements[reads.map_or(0, |last| last + 1)..].sort();
    let options = FormatOptions {
        indent: Indent::Spaces(2),
        max_inline_block: 80,
        max_inline_arguments: Some(80),
        max_inline_top_level: Some(80),
        joins_as_top_level: true,
        ..FormatOptions::default()
    };
    let mut text = String::new();
    for statement in &statements {
        let statement = sqlformat::format(statement, &QueryParams::None, &options);
        let (mut last, mut width) = ("", 0);
        for line in statement.lines() {
            let words = line.trim_start();
            // A list goes on in its line while there is room. Writing to a String cannot fail.
            if last.ends_with(',') && width + words.len() < 100 {
                let _ = write!(text, " {words}");
                width += 1 + words.len();
            } else {
                let _ = write!(text, "\n{line}");
                width = line.len();
            }
            last = words;
        }
        text.push_str(";\n");
    }
    text.trim_start().to_owned()
}

/// Notes how a file differs from what it is to hold, or, with `UPDATE=1`, writes it anew.
fn compare(path: &Path, now: &str, differences: &mut String) {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(path, now).expect("a stored file can be written");
        return;
    }
    let stored = fs::read_to_string(path).unwrap_or_default();
    if stored != now {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let diff = TextDiff::from_lines(&stored, now);
        // Writing to a String cannot fail.
        let _ = write!(differences, "{}", diff.unified_diff().header(&name, "now"));
    }
}

fn extension(engine: Engine) -> &'static str {
    match engine {
        Engine::Sqlite => "sqlite.sql",
        Engine::Postgres => "postgres.sql",
        Engine::MariaDb => "mariadb.sql",
    }
}

on_every_engine! {
    with planted;

    async fn each_stored_operation_answers_as_before_by_the_same_statements(planted) {
        let mut differences = String::new();
        for operation in Operation::all() {
            let (data, statements) = planted.run(&operation, FEW).await;
            let answer = format!("{data:#}\n");
            compare(&operation.beside("json"), &answer, &mut differences);
            let sql = operation.beside(extension(planted.server.world.engine));
            compare(&sql, &laid_out(statements), &mut differences);
        }
        assert!(
            differences.is_empty(),
            "run this test with UPDATE=1 if this is as it should be:\n{differences}"
        );
    }
}

#[test]
fn each_file_beside_a_stored_operation_belongs_to_it() {
    let mut expected = BTreeSet::new();
    for Operation { name, .. } in Operation::all() {
        expected.insert(format!("{name}.graphql"));
        expected.insert(format!("{name}.json"));
        expected.extend(Engine::ALL.map(|engine| format!("{name}.{}", extension(engine))));
    }
    let stored = stored_files();
    let apart: Vec<_> = stored.symmetric_difference(&expected).collect();
    assert!(apart.is_empty(), "missing, or of no operation: {apart:#?}");
}

#[test]
fn the_documents_show_how_many_statements_each_operation_takes() {
    let mut page = String::from(
        "# How many statements each operation takes\n\n\
         As many for 200 rows as for one: the test `counted` runs each operation for 1, 20 and 200 \
         rows on every engine. A login's token takes one, which is counted where an administrator \
         asks; BEGIN and COMMIT are not. On MariaDB a row that was written is read again. \
         Beside each operation in `tests/queries` lie its answer and its statements.\n",
    );
    for (heading, mutations) in [("Queries", false), ("Mutations", true)] {
        let _ = write!(
            page,
            "\n## {heading}\n\n| operation | what for | statements |\n|---|---|---|\n"
        );
        for operation in Operation::all() {
            if operation.is_mutation() == mutations {
                let Operation {
                    name,
                    about,
                    pinned,
                    ..
                } = &operation;
                let _ = writeln!(
                    page,
                    "| [{name}](../tests/queries/{name}.graphql) | {about} | {pinned} |"
                );
            }
        }
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/statements.md");
    let mut differences = String::new();
    compare(&file, &page, &mut differences);
    assert!(
        differences.is_empty(),
        "run this test with UPDATE=1 to write it anew:\n{differences}"
    );
}
