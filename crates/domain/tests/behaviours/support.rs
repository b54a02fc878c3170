//! Commands in few words.

use std::{
    future::Future,
    sync::{Arc, Mutex},
};

use futures::future::BoxFuture;
use plimsoll_domain::{
    Deletion, PageArguments, Patch, Request, Result, Role, Scope, Store, Version, Viewer,
    account::{self, Account, OpenAccount},
    category::{self, Category, CreateCategory, UpdateCategory},
    deletion,
    id::{AccountId, CategoryId, TagId, UserId},
    order::{self, Line, Order, PlaceOrder},
    post::{self, CreatePost, Post, UpdatePost},
    product::{self, CreateProduct, Product, UpdateProduct},
    profile::{self, CreateProfile, Profile, UpdateProfile},
    tag::{self, CreateTag, Tag, UpdateTag},
    transfer::{self, Deposit, Transfer, TransferFunds},
    user::{self, UpdateUser, User},
};
use plimsoll_entity::account as account_entity;
use plimsoll_records::{Rows, Whole, audit_entity};
use plimsoll_testkit::{Engine, World};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, TransactionTrait as _};
use tokio::sync::Barrier;
use uuid::Uuid;

/// Runs a command of the domain in a transaction of its own: `act!(store, request, |tx, viewer|
/// post::delete(tx, viewer, id, seen))`. What it names is moved into it.
macro_rules! act {
    ($store:expr, $request:expr, |$tx:ident, $viewer:ident| $command:expr) => {{
        let request: plimsoll_domain::Request = $request;
        let viewer = request.viewer;
        $store
            .write(&request, move |$tx| {
                Box::pin(async move {
                    let $viewer = &viewer;
                    $command.await
                })
            })
            .await
    }};
}

/// Runs a function of the record layer in a transaction of its own, past the domain's rules:
/// `layer!(database, world, |tx| Rows::<tag::Entity>::live().lock(tx))`. What it names is moved
/// into it.
macro_rules! layer {
    ($database:expr, $world:expr, |$tx:ident| $work:expr) => {{
        let writer = plimsoll_records::Writer::system(crate::support::system(&$world).now);
        $database
            .write(writer, move |$tx| Box::pin(async move { $work.await }))
            .await
    }};
}

/// The outcome is this refusal and no other.
macro_rules! assert_refused {
    ($outcome:expr, $pattern:pat $(if $guard:expr)? $(, $($message:tt)+)?) => {{
        let outcome = $outcome;
        assert!(
            matches!(&outcome, Err($pattern) $(if $guard)?),
            "{outcome:?} is not {}{}",
            stringify!($pattern),
            String::new() $(+ ": " + &format!($($message)+))?,
        );
    }};
}

/// What can be taken once: for the one try of a work that may be tried again.
pub(crate) struct Once<T>(Arc<Mutex<Option<T>>>);

impl<T> Clone for Once<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Once<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Arc::new(Mutex::new(Some(value))))
    }

    pub(crate) fn take(&self) -> T {
        let value = self.0.lock().expect("nobody panicked").take();
        value.expect("the work is tried once")
    }
}

/// What all records can live through.
pub(crate) trait Life: Sized + Clone + std::fmt::Debug + PartialEq {
    const TYPE: &'static str;
    fn uuid(&self) -> Uuid;
    fn version(&self) -> i32;
    fn deletion(&self) -> Option<Uuid>;
    fn deleted_at(&self) -> Option<chrono::DateTime<chrono::Utc>>;
    /// Deletes it at the version that `self` has.
    async fn delete(&self, store: &Store, request: Request) -> Result<Self>;
    async fn restore(&self, store: &Store, request: Request) -> Result<Self>;
    async fn purge(&self, store: &Store, request: Request) -> Result<Self>;
    /// Changes something small.
    async fn rename(&self, store: &Store, request: Request, name: &str) -> Result<Self>;
    /// Those of `ids` that the viewer sees.
    async fn seen(store: &Store, viewer: &Viewer, scope: Scope, ids: &[Uuid]) -> Vec<Self>;

    /// The record as it is now, deleted or not; `None` once it is purged.
    async fn fresh(&self, store: &Store) -> Option<Self> {
        let ids = [self.uuid()];
        Self::seen(store, &Viewer::System, Scope::WithDeleted, &ids)
            .await
            .pop()
    }

    async fn is_live(&self, store: &Store) -> bool {
        let ids = [self.uuid()];
        !Self::seen(store, &Viewer::System, Scope::Live, &ids)
            .await
            .is_empty()
    }
}

/// The kinds whose commands are named alike, each with what changes something small.
macro_rules! life {
    ($($kind:literal $module:ident $model:ident: |$id:ident, $seen:ident, $name:ident| $rename:expr;)*) => {$(
        life! { impl $kind $module $model: |this, store, request, name| {
            let ($id, $seen, $name) = (this.id, Version(this.lock_version), name.to_owned());
            let command = $rename;
            act!(store, request, |tx, viewer| $module::update(tx, viewer, command))
        } }
    )*};
    (impl $kind:literal $module:ident $model:ident:
        |$this:ident, $store:ident, $request:ident, $name:ident| $rename:expr) => {
        impl Life for $model {
            const TYPE: &'static str = $kind;
            fn uuid(&self) -> Uuid {
                self.id.into()
            }
            fn version(&self) -> i32 {
                self.lock_version
            }
            fn deletion(&self) -> Option<Uuid> {
                self.deletion_id
            }
            fn deleted_at(&self) -> Option<chrono::DateTime<chrono::Utc>> {
                self.deleted_at
            }
            async fn delete(&self, store: &Store, request: Request) -> Result<Self> {
                let (id, seen) = (self.id, Version(self.lock_version));
                act!(store, request, |tx, viewer| $module::delete(tx, viewer, id, seen))
            }
            async fn restore(&self, store: &Store, request: Request) -> Result<Self> {
                let (id, seen) = (self.id, Version(self.lock_version));
                act!(store, request, |tx, viewer| $module::restore(tx, viewer, id, seen))
            }
            async fn purge(&self, store: &Store, request: Request) -> Result<Self> {
                let (id, seen) = (self.id, Version(self.lock_version));
                let retention = store.settings().retention;
                act!(store, request, |tx, viewer| $module::purge(tx, viewer, id, seen, retention))
            }
            async fn rename(
                &self, $store: &Store, $request: Request, $name: &str,
            ) -> Result<Self> {
                let $this = self;
                $rename
            }
            async fn seen(store: &Store, viewer: &Viewer, scope: Scope, ids: &[Uuid]) -> Vec<Self> {
                let found = $module::by_ids(&store.read(), Whole, viewer, scope, ids).await;
                found.expect("records can be read").into_values().collect()
            }
        }
    };
}

life! {
    "user" user User: |id, seen, name| UpdateUser { name: Patch::Set(name), ..user_patch(id, seen) };
    "profile" profile Profile: |id, seen, name| UpdateProfile {
        id,
        seen,
        bio: Patch::Set(name),
        avatar_url: Patch::Keep,
        metadata: Patch::Keep,
    };
    "category" category Category: |id, seen, name| UpdateCategory {
        id,
        seen,
        name: Patch::Set(name),
        slug: Patch::Keep,
        parent: Patch::Keep,
    };
    "tag" tag Tag: |id, seen, name| UpdateTag {
        id,
        seen,
        name: Patch::Set(name),
        slug: Patch::Keep,
    };
    "product" product Product: |id, seen, name| UpdateProduct {
        id,
        seen,
        sku: Patch::Keep,
        name: Patch::Set(name),
        price: Patch::Keep,
    };
    "post" post Post: |id, seen, name| UpdatePost { title: Patch::Set(name), ..post_patch(id, seen) };
}

// Nothing of an account is changed by a person: this goes past the domain.
life! { impl "account" account Account: |this, store, request, name| {
    let (id, seen) = (this.id, Version(this.lock_version));
    let changes = account_entity::ActiveModel {
        currency: Set(name[..3].to_uppercase()),
        ..Default::default()
    };
    act!(store, request, |tx, _viewer| async {
        let this = Rows::<account_entity::Entity>::live().filter(account_entity::Column::Id.eq(id));
        let locked = this.lock(tx).await?.ok_or_else(plimsoll_domain::Error::not_found)?;
        Ok(locked.update(tx, seen, changes).await?)
    })
} }

/// A change of nothing.
pub(crate) fn user_patch(id: UserId, seen: Version) -> UpdateUser {
    UpdateUser {
        id,
        seen,
        email: Patch::Keep,
        name: Patch::Keep,
        role: Patch::Keep,
        is_active: Patch::Keep,
        password_hash: None,
    }
}

/// A change of nothing.
pub(crate) fn post_patch(id: plimsoll_domain::id::PostId, seen: Version) -> UpdatePost {
    UpdatePost {
        id,
        seen,
        title: Patch::Keep,
        slug: Patch::Keep,
        content: Patch::Keep,
        category: Patch::Keep,
    }
}

/// The program itself.
pub(crate) fn system(world: &World) -> Request {
    world.request(Viewer::System)
}

pub(crate) fn viewer(user: &User) -> Viewer {
    Viewer::User {
        id: user.id,
        role: user.role,
    }
}

/// One of each kind of user: an author, another one, a moderator and an administrator.
pub(crate) struct People {
    pub(crate) ada: User,
    pub(crate) grace: User,
    pub(crate) moderator: User,
    pub(crate) admin: User,
}

pub(crate) async fn people(world: &World) -> People {
    People {
        ada: world.user("ada", Role::User).await,
        grace: world.user("grace", Role::User).await,
        moderator: world.user("mona", Role::Moderator).await,
        admin: world.user("adam", Role::Admin).await,
    }
}

pub(crate) fn new_post(title: &str) -> CreatePost {
    CreatePost {
        title: title.into(),
        slug: None,
        content: format!("# {title}\n"),
        category: None,
        tags: Vec::new(),
    }
}

/// A published post in a category, with tags.
pub(crate) async fn filed_post(
    world: &World,
    author: &User,
    title: &str,
    category: Option<CategoryId>,
    tags: &[TagId],
) -> Post {
    let command = CreatePost {
        category,
        tags: tags.to_vec(),
        ..new_post(title)
    };
    let draft = world
        .create_post(author, command)
        .await
        .expect("a post is made");
    publish(world, author, &draft).await
}

pub(crate) async fn publish(world: &World, by: &User, draft: &Post) -> Post {
    let (id, seen) = (draft.id, Version(draft.lock_version));
    act!(world.store, world.as_user(by), |tx, viewer| {
        post::set_published(tx, viewer, id, seen, true)
    })
    .expect("a draft can be published")
}

pub(crate) async fn profile_of(world: &World, user: &User) -> Profile {
    create_profile(&world.store, world.as_user(user), user.id)
        .await
        .expect("a profile can be made")
}

pub(crate) async fn create_profile(
    store: &Store,
    request: Request,
    user: UserId,
) -> Result<Profile> {
    let command = CreateProfile {
        user,
        bio: Some("A bio.".into()),
        avatar_url: None,
        metadata: None,
    };
    act!(store, request, |tx, viewer| profile::create(
        tx, viewer, command
    ))
}

pub(crate) async fn create_tag(store: &Store, request: Request, name: &str) -> Result<Tag> {
    let command = CreateTag {
        name: name.into(),
        slug: None,
    };
    act!(store, request, |tx, viewer| tag::create(
        tx, viewer, command
    ))
}

/// A product at 2.50 EUR, 50 of it, whose stock-keeping unit is its name.
pub(crate) async fn create_product(store: &Store, request: Request, name: &str) -> Result<Product> {
    let command = CreateProduct {
        sku: name.into(),
        name: name.into(),
        price: plimsoll_domain::Money {
            amount: 250,
            currency: "EUR".into(),
        },
        quantity: 50,
    };
    act!(store, request, |tx, viewer| product::create(
        tx, viewer, command
    ))
}

/// A product that can be made.
pub(crate) async fn a_product(world: &World, name: &str) -> Product {
    let made = create_product(&world.store, system(world), name).await;
    made.expect("a product can be made")
}

/// One of it, set aside.
pub(crate) fn order_of(product: &Product) -> PlaceOrder {
    PlaceOrder {
        items: vec![Line {
            product: product.id,
            quantity: 1,
            unit_price: None,
        }],
        pay: false,
    }
}

/// An order of one product, set aside for its buyer.
pub(crate) async fn an_order(world: &World, buyer: &User, product: &Product) -> Order {
    let command = order_of(product);
    let placed = act!(
        world.store,
        world.as_user(buyer),
        |tx, viewer| order::place(tx, viewer, command)
    );
    placed.expect("an order can be placed")
}

pub(crate) async fn create_category(
    store: &Store,
    request: Request,
    name: &str,
    parent: Option<CategoryId>,
) -> Result<Category> {
    let command = CreateCategory {
        name: name.into(),
        slug: None,
        parent,
    };
    act!(store, request, |tx, viewer| category::create(
        tx, viewer, command
    ))
}

pub(crate) async fn open_account(
    store: &Store,
    request: Request,
    owner: UserId,
    currency: &str,
) -> Result<Account> {
    let command = OpenAccount {
        owner,
        currency: currency.into(),
    };
    act!(store, request, |tx, viewer| account::open(
        tx, viewer, command
    ))
}

/// A user's account in this currency, with an amount in it.
pub(crate) async fn account_with(
    world: &World,
    owner: &User,
    currency: &str,
    amount: i64,
) -> Account {
    let opened = open_account(&world.store, world.as_user(owner), owner.id, currency).await;
    let opened = opened.expect("an account can be opened");
    if amount > 0 {
        let put = deposit(&world.store, system(world), opened.id, amount).await;
        put.expect("money can be put into an account");
    }
    opened.fresh(&world.store).await.expect("it is there")
}

pub(crate) async fn deposit(
    store: &Store,
    request: Request,
    to: AccountId,
    amount: i64,
) -> Result<Transfer> {
    let command = Deposit { to, amount };
    act!(store, request, |tx, viewer| transfer::deposit(
        tx, viewer, command
    ))
}

pub(crate) async fn transfer_funds(
    store: &Store,
    request: Request,
    from: AccountId,
    to: AccountId,
    amount: i64,
) -> Result<Transfer> {
    let command = TransferFunds { from, to, amount };
    act!(store, request, |tx, viewer| transfer::transfer(
        tx, viewer, command
    ))
}

pub(crate) async fn set_tags(
    store: &Store,
    request: Request,
    post: &Post,
    tags: &[TagId],
) -> Result<Post> {
    let (id, seen, tags) = (post.id, Version(post.lock_version), tags.to_vec());
    act!(store, request, |tx, viewer| post::set_tags(
        tx, viewer, id, seen, &tags
    ))
}

pub(crate) async fn set_co_authors(
    store: &Store,
    request: Request,
    post: &Post,
    users: &[UserId],
) -> Result<Post> {
    let (id, seen, users) = (post.id, Version(post.lock_version), users.to_vec());
    act!(store, request, |tx, viewer| post::set_co_authors(
        tx, viewer, id, seen, &users
    ))
}

pub(crate) async fn tag_names(store: &Store, post: &Post) -> Vec<String> {
    let tags = tag::of_posts(&store.read(), Whole, &[post.uuid()]).await;
    let tags = tags.expect("tags can be read").remove(&post.uuid());
    tags.unwrap_or_default()
        .into_iter()
        .map(|tag| tag.name)
        .collect()
}

pub(crate) async fn co_author_names(store: &Store, post: &Post) -> Vec<String> {
    let users = user::co_authors_of_posts(&store.read(), Whole, &[post.uuid()]).await;
    let users = users.expect("co-authors can be read").remove(&post.uuid());
    users
        .unwrap_or_default()
        .into_iter()
        .map(|user| user.name)
        .collect()
}

pub(crate) fn first(n: i32) -> PageArguments {
    PageArguments {
        first: Some(n),
        ..PageArguments::default()
    }
}

/// The deletion with this id.
pub(crate) async fn deletion(world: &World, id: Uuid) -> Deletion {
    let page = deletion::page(&world.store.read(), &Viewer::System, &first(200)).await;
    let found = page.expect("deletions can be read").into_rows();
    let found = found.into_iter().find(|deletion| deletion.id == id);
    found.expect("the deletion is listed")
}

/// What the audit log holds of a record, oldest first.
pub(crate) async fn audit_of(store: &Store, id: Uuid) -> Vec<audit_entity::Model> {
    let mut rows = Rows::<audit_entity::Entity>::live()
        .filter(audit_entity::Column::RecordId.eq(id))
        .all(10_000, &store.read())
        .await
        .expect("the audit log can be read");
    rows.sort_by_key(|row| (row.to_version.unwrap_or(i32::MAX), row.created_at));
    rows
}

pub(crate) async fn audit_count(store: &Store) -> u64 {
    let rows = Rows::<audit_entity::Entity>::live();
    rows.count(&store.read())
        .await
        .expect("the audit log can be counted")
}

/// Runs tasks that all begin at the same moment, each with a transaction of its own.
pub(crate) async fn at_once<T: Send + 'static>(tasks: Vec<BoxFuture<'static, T>>) -> Vec<T> {
    let barrier = Arc::new(Barrier::new(tasks.len()));
    let running: Vec<_> = tasks
        .into_iter()
        .map(|task| {
            let barrier = barrier.clone();
            tokio::spawn(async move {
                barrier.wait().await;
                task.await
            })
        })
        .collect();
    let mut outcomes = Vec::with_capacity(running.len());
    for task in running {
        outcomes.push(task.await.expect("a task ends"));
    }
    outcomes
}

/// A task for [`at_once`].
pub(crate) fn task<T>(work: impl Future<Output = T> + Send + 'static) -> BoxFuture<'static, T> {
    Box::pin(work)
}

/// Runs a statement by hand, past the layer. `{name}` stands for an id, in the engine's spelling.
pub(crate) async fn by_hand(world: &World, sql: &str, ids: &[(&str, Uuid)]) {
    let database = world.store.database();
    let connection = database.unguarded("a test changes what the layer would not");
    change_one(world.engine, connection, sql, ids).await;
}

/// The same through the gate, past the walls as well.
pub(crate) async fn past_the_walls(world: &World, sql: &str, ids: &[(&str, Uuid)]) {
    let database = world.store.database();
    let connection = database.unguarded("a test changes what the walls refuse");
    let transaction = connection.begin().await.expect("a transaction");
    let open = "INSERT INTO wall_gate (id, reason) VALUES ({gate}, 'a test')";
    let gate = [("gate", Uuid::now_v7())];
    for (sql, ids) in [
        (open, &gate[..]),
        (sql, ids),
        ("DELETE FROM wall_gate", &[]),
    ] {
        change_one(world.engine, &transaction, sql, ids).await;
    }
    transaction.commit().await.expect("the gate is shut");
}

async fn change_one(
    engine: Engine,
    connection: &impl ConnectionTrait,
    sql: &str,
    ids: &[(&str, Uuid)],
) {
    let sql = ids.iter().fold(sql.to_owned(), |sql, (name, id)| {
        let id = match engine {
            Engine::Postgres => format!("'{id}'"),
            _ => format!("x'{}'", id.simple()),
        };
        sql.replace(&format!("{{{name}}}"), &id)
    });
    let done = connection.execute_unprepared(&sql).await;
    let done = done.unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert_eq!(done.rows_affected(), 1, "{sql}");
}
