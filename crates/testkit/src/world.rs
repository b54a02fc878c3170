//! A migrated database with the domain on top, and ways to put people and posts into it.

use std::{
    hash::{DefaultHasher, Hasher},
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

use chrono::{DateTime, Duration, Utc};
use plimsoll_domain::{
    Options, Request, Result, Role, Settings, Store, Tx, Version, Viewer,
    category::{self, Category, CreateCategory},
    post::{self, CreatePost, Post},
    tag::{self, CreateTag, Tag},
    user::{self, CreateUser, User},
};
use plimsoll_migration::Schema;
use uuid::Uuid;

use crate::{Engine, Statements, TestDatabase, engines};

/// The password of every user that [`World::user_with_password`] makes.
pub const PASSWORD: &str = "correct horse battery staple";

/// A migrated, empty database of a test's own, and the domain on top of it.
#[derive(Debug)]
pub struct World {
    /// The domain.
    pub store: Store,
    /// What ran.
    pub statements: Statements,
    /// Which engine it is.
    pub engine: Engine,
    /// The database, which goes when the world does.
    pub database: TestDatabase,
    clock: AtomicU32,
}

/// A world on this engine, with the default settings; `None` if the engine is not at hand.
pub async fn setup(engine: Engine) -> Option<World> {
    setup_with(engine, Settings::default()).await
}

/// A world on this engine with settings of the test's own.
pub async fn setup_with(engine: Engine, settings: Settings) -> Option<World> {
    let database = engines::database(engine, &fingerprint(), |url| async move {
        let schema = Schema::connect(&url, true).await?;
        schema.up().await?;
        Ok(schema.close().await?)
    })
    .await?;
    let statements = Statements::default();
    let options = Options {
        max_connections: 5,
        on_statement: Some(statements.observer()),
        ..Options::default()
    };
    let store = Store::connect(&database.url, options, settings).await;
    let store = store.unwrap_or_else(|error| panic!("no connection to {engine}: {error}"));
    statements.watch(store.database().register());
    Some(World {
        store,
        statements,
        engine,
        database,
        clock: AtomicU32::new(0),
    })
}

impl Drop for World {
    /// Fails the test in which a statement reached a table of records without a scope or a
    /// version.
    fn drop(&mut self) {
        let unscoped = self.statements.unscoped();
        assert!(
            unscoped.is_empty() || std::thread::panicking(),
            "statements without a scope on {}:\n{}",
            self.engine,
            unscoped.join("\n")
        );
    }
}

/// Changes whenever the migrations do.
fn fingerprint() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migration/src");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the migrations' sources are there")
        .map(|file| file.expect("the folder can be read").path())
        .collect();
    files.sort();
    let mut hasher = DefaultHasher::new();
    for file in files {
        hasher.write(&std::fs::read(file).expect("a migration can be read"));
    }
    format!("{:016x}", hasher.finish())
}

impl World {
    /// A request of this viewer. Each is a second later than the one before, from
    /// 2026-01-01T00:00:01Z.
    pub fn request(&self, viewer: Viewer) -> Request {
        let second = self.clock.fetch_add(1, Ordering::Relaxed) + 1;
        self.request_at(viewer, Self::beginning() + Duration::seconds(second.into()))
    }

    /// A request of this viewer at a given time.
    pub fn request_at(&self, viewer: Viewer, now: DateTime<Utc>) -> Request {
        Request {
            viewer,
            now,
            id: Uuid::now_v7(),
            heavy: false,
        }
    }

    /// Before the first request.
    pub fn beginning() -> DateTime<Utc> {
        DateTime::from_timestamp(1_767_225_600, 0).expect("2026-01-01 is a date")
    }

    /// The request of a user.
    pub fn as_user(&self, user: &User) -> Request {
        self.request(Viewer::User {
            id: user.id,
            role: user.role,
        })
    }

    /// A user called `name`, whose address is `name@test.invalid`.
    pub async fn user(&self, name: &str, role: Role) -> User {
        self.make_user(name, role, None).await
    }

    /// The same, who can log in with [`PASSWORD`].
    pub async fn user_with_password(&self, name: &str, role: Role) -> User {
        let hash = self.store.passwords().hash(PASSWORD.into()).await;
        self.make_user(name, role, Some(hash.expect("a password can be hashed")))
            .await
    }

    async fn make_user(&self, name: &str, role: Role, password_hash: Option<String>) -> User {
        let command = CreateUser {
            email: format!("{name}@test.invalid"),
            name: name.into(),
            role,
            password_hash,
        };
        let request = self.request(Viewer::System);
        let made = self
            .store
            .write(&request, move |tx| {
                Box::pin(async move { user::create(tx, &Viewer::System, command).await })
            })
            .await;
        made.expect("a user can be made")
    }

    /// A draft of this author.
    pub async fn draft(&self, author: &User, title: &str) -> Post {
        let command = CreatePost {
            title: title.into(),
            slug: None,
            content: format!("# {title}\n"),
            category: None,
            tags: Vec::new(),
        };
        let made = self.create_post(author, command).await;
        made.expect("a post can be made")
    }

    /// A published post of this author. It is at version 1.
    pub async fn post(&self, author: &User, title: &str) -> Post {
        let draft = self.draft(author, title).await;
        let request = self.as_user(author);
        let viewer = request.viewer;
        let published = self
            .store
            .write(&request, move |tx| {
                Box::pin(async move {
                    let seen = Version(draft.lock_version);
                    post::set_published(tx, &viewer, draft.id, seen, true).await
                })
            })
            .await;
        published.expect("a draft can be published")
    }

    /// What creating a post as this author answers.
    ///
    /// # Errors
    ///
    /// As for [`post::create`].
    pub async fn create_post(&self, author: &User, command: CreatePost) -> Result<Post> {
        let request = self.as_user(author);
        let viewer = request.viewer;
        self.store
            .write(&request, move |tx| {
                Box::pin(async move { post::create(tx, &viewer, command).await })
            })
            .await
    }

    /// A tag called `name`.
    pub async fn tag(&self, name: &str) -> Tag {
        let command = CreateTag {
            name: name.into(),
            slug: None,
        };
        let made = self
            .store
            .write(&self.request(Viewer::System), move |tx| {
                Box::pin(async move { tag::create(tx, &Viewer::System, command).await })
            })
            .await;
        made.expect("a tag can be made")
    }

    /// A category called `name`.
    pub async fn category(&self, name: &str, parent: Option<&Category>) -> Category {
        let command = CreateCategory {
            name: name.into(),
            slug: None,
            parent: parent.map(|p| p.id),
        };
        let made = self
            .store
            .write(&self.request(Viewer::System), move |tx| {
                Box::pin(async move { category::create(tx, &Viewer::System, command).await })
            })
            .await;
        made.expect("a category can be made")
    }

    /// Runs a command of the domain as this request's viewer.
    ///
    /// # Errors
    ///
    /// Whatever the command answers.
    pub async fn run<T, F>(&self, request: Request, command: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(
                &'t mut Tx,
                &'t Viewer,
            )
                -> std::pin::Pin<Box<dyn Future<Output = Result<T>> + Send + 't>>
            + Clone
            + Send
            + 'static,
    {
        let viewer = request.viewer;
        self.store
            .write(&request, move |tx| {
                Box::pin(async move { command(tx, &viewer).await })
            })
            .await
    }
}
