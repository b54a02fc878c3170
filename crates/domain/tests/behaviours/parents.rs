//! What is put under a parent while the parent is being deleted, whichever comes first.

use std::time::Duration;

use futures::future::BoxFuture;
use plimsoll_domain::{
    Error, Patch, Request, Result, Role, Store, Tx, Version, Viewer,
    category::{self, Category, CreateCategory, UpdateCategory},
    post::{self, CreatePost},
    profile::{self, CreateProfile},
    user::{self, User},
};
use plimsoll_testkit::{World, on_every_engine};
use sea_orm::{ConnectionTrait, Statement};
use tokio::{sync::oneshot, task::JoinHandle};

use crate::support::*;

/// A command of the domain that can be run later.
type Command =
    Once<Box<dyn for<'t> FnOnce(&'t mut Tx, &'t Viewer) -> BoxFuture<'t, Result<()>> + Send>>;

/// Makes a [`Command`] of a call: what it names is moved into it.
macro_rules! command {
    (|$tx:ident, $viewer:ident| $call:expr) => {{
        let command: Command = Once::new(Box::new(move |$tx, $viewer| {
            Box::pin(async move { $call.await.map(|_| ()) })
        }));
        command
    }};
}

/// What would be a child of a parent that is being deleted.
struct Case {
    name: &'static str,
    /// Whose request it is.
    by: Request,
    put: Command,
    delete: Command,
    /// Whether the parent may be deleted with the new child below it.
    takes_along: bool,
}

/// A command that has run, in a transaction that is still open.
struct Open {
    go: oneshot::Sender<()>,
    running: JoinHandle<Result<()>>,
}

impl Open {
    async fn run(store: &Store, request: Request, command: Command) -> Self {
        let (done, is_done) = oneshot::channel();
        let (go, goes) = oneshot::channel::<()>();
        let (done, goes) = (Once::new(done), Once::new(goes));
        let store = store.clone();
        let running = tokio::spawn(async move {
            act!(store, request, |tx, viewer| async {
                command.take()(tx, viewer).await?;
                done.take().send(()).expect("somebody waits");
                goes.take().await.expect("it may go on");
                Ok(())
            })
        });
        is_done.await.expect("the command can be run");
        Self { go, running }
    }

    async fn commit(self) -> Result<()> {
        self.go.send(()).expect("it waits");
        self.running.await.expect("it ends")
    }
}

/// Runs one command while the transaction of another is open, and commits that one once this one
/// is seen to wait.
async fn one_after_the_other(
    world: &World,
    first: (Request, Command),
    second: (Request, Command),
    name: &str,
) -> [Result<()>; 2] {
    let open = Open::run(&world.store, first.0, first.1).await;
    let (store, (request, command)) = (world.store.clone(), second);
    let mut second =
        tokio::spawn(async move { act!(store, request, |tx, viewer| command.take()(tx, viewer)) });
    let early = tokio::time::timeout(Duration::from_millis(200), &mut second).await;
    assert!(early.is_err(), "{name}: the second waits: {early:?}");
    let first = open.commit().await;
    [first, second.await.expect("it ends")]
}

/// How many live records belong to a deleted one.
async fn live_under_deleted(world: &World) -> i64 {
    let database = world.store.database();
    let connection = database.unguarded("a test looks at all relations at once");
    let mut orphans = 0;
    for info in database.register().records() {
        for parent in &info.parents {
            let sql = format!(
                "SELECT COUNT(*) FROM {} c JOIN {} p ON c.{} = p.id \
                 WHERE c.deleted_at IS NULL AND p.deleted_at IS NOT NULL",
                info.table, parent.table, parent.column
            );
            let statement = Statement::from_string(connection.get_database_backend(), sql);
            let row = connection.query_one_raw(statement).await;
            let row = row.expect("they can be counted").expect("a count");
            orphans += row.try_get_by_index::<i64>(0).expect("a number");
        }
    }
    orphans
}

fn delete_category(category: &Category) -> Command {
    let (id, seen) = (category.id, Version(category.lock_version));
    command!(|tx, viewer| category::delete(tx, viewer, id, seen))
}

fn delete_user(user: &User) -> Command {
    let (id, seen) = (user.id, Version(user.lock_version));
    command!(|tx, viewer| user::delete(tx, viewer, id, seen))
}

/// Every way to put something under a category or a user.
async fn cases(world: &World) -> Vec<Case> {
    let writer = world.user("writer", Role::User).await;
    let by_writer = || world.as_user(&writer);
    let mut cases = Vec::new();

    let category = world.category("a", None).await;
    let create = CreatePost {
        category: Some(category.id),
        ..new_post("A")
    };
    cases.push(Case {
        name: "a new post in a category",
        by: by_writer(),
        put: command!(|tx, viewer| post::create(tx, viewer, create)),
        delete: delete_category(&category),
        takes_along: false,
    });

    let category = world.category("b", None).await;
    let post = world.post(&writer, "B").await;
    let mut update = post_patch(post.id, Version(post.lock_version));
    update.category = Patch::Set(category.id);
    cases.push(Case {
        name: "a post that moves into a category",
        by: by_writer(),
        put: command!(|tx, viewer| post::update(tx, viewer, update)),
        delete: delete_category(&category),
        takes_along: false,
    });

    let category = world.category("c", None).await;
    let post = filed_post(world, &writer, "C", Some(category.id), &[]).await;
    let post = post.delete(&world.store, by_writer()).await.unwrap();
    let (id, seen) = (post.id, Version(post.lock_version));
    cases.push(Case {
        name: "a post that comes back into its category",
        by: by_writer(),
        put: command!(|tx, viewer| post::restore(tx, viewer, id, seen)),
        delete: delete_category(&category),
        takes_along: false,
    });

    let category = world.category("d", None).await;
    let create = CreateCategory {
        name: "below d".into(),
        slug: None,
        parent: Some(category.id),
    };
    cases.push(Case {
        name: "a new category below another",
        by: system(world),
        put: command!(|tx, viewer| category::create(tx, viewer, create)),
        delete: delete_category(&category),
        takes_along: true,
    });

    let category = world.category("e", None).await;
    let moving = world.category("below e", None).await;
    let update = UpdateCategory {
        id: moving.id,
        seen: Version(moving.lock_version),
        name: Patch::Keep,
        slug: Patch::Keep,
        parent: Patch::Set(category.id),
    };
    cases.push(Case {
        name: "a category that moves below another",
        by: system(world),
        put: command!(|tx, viewer| category::update(tx, viewer, update)),
        delete: delete_category(&category),
        takes_along: true,
    });

    let category = world.category("f", None).await;
    let below = world.category("below f", Some(&category)).await;
    let below = below.delete(&world.store, system(world)).await.unwrap();
    let (id, seen) = (below.id, Version(below.lock_version));
    cases.push(Case {
        name: "a category that comes back below another",
        by: system(world),
        put: command!(|tx, viewer| category::restore(tx, viewer, id, seen)),
        delete: delete_category(&category),
        takes_along: true,
    });

    let author = world.user("g", Role::User).await;
    let create = new_post("G");
    cases.push(Case {
        name: "a new post of an author",
        by: world.as_user(&author),
        put: command!(|tx, viewer| post::create(tx, viewer, create)),
        delete: delete_user(&author),
        takes_along: true,
    });

    let author = world.user("h", Role::User).await;
    let post = world.post(&author, "H").await;
    let post = post.delete(&world.store, system(world)).await.unwrap();
    let (id, seen) = (post.id, Version(post.lock_version));
    cases.push(Case {
        name: "a post that comes back to its author",
        by: system(world),
        put: command!(|tx, viewer| post::restore(tx, viewer, id, seen)),
        delete: delete_user(&author),
        takes_along: true,
    });

    let user = world.user("i", Role::User).await;
    let create = CreateProfile {
        user: user.id,
        bio: None,
        avatar_url: None,
        metadata: None,
    };
    cases.push(Case {
        name: "a new profile of a user",
        by: system(world),
        put: command!(|tx, viewer| profile::create(tx, viewer, create)),
        delete: delete_user(&user),
        takes_along: true,
    });

    let user = world.user("j", Role::User).await;
    let profile = profile_of(world, &user).await;
    let profile = profile.delete(&world.store, system(world)).await.unwrap();
    let (id, seen) = (profile.id, Version(profile.lock_version));
    cases.push(Case {
        name: "a profile that comes back to its user",
        by: system(world),
        put: command!(|tx, viewer| profile::restore(tx, viewer, id, seen)),
        delete: delete_user(&user),
        takes_along: true,
    });
    cases
}

on_every_engine! {
    async fn what_comes_while_its_parent_is_being_deleted_waits_and_is_refused(world) {
        for case in cases(&world).await {
            let [deleted, put] = one_after_the_other(
                &world,
                (system(&world), case.delete),
                (case.by, case.put),
                case.name,
            ).await;
            deleted.unwrap_or_else(|error| panic!("{}: {error:?}", case.name));
            assert_refused!(
                put,
                Error::NotFound { .. } | Error::Invalid(_) | Error::Unauthenticated(_),
                "{}",
                case.name
            );
            assert_eq!(live_under_deleted(&world).await, 0, "{}", case.name);
        }
    }

    async fn a_deletion_waits_for_what_is_being_put_below_and_takes_it_along_or_is_refused(world) {
        for case in cases(&world).await {
            let [put, deleted] = one_after_the_other(
                &world,
                (case.by, case.put),
                (system(&world), case.delete),
                case.name,
            ).await;
            put.unwrap_or_else(|error| panic!("{}: {error:?}", case.name));
            match deleted {
                Ok(()) => assert!(case.takes_along, "{}", case.name),
                Err(Error::StillReferenced { record_type, ids, .. }) => {
                    assert!(!case.takes_along, "{}", case.name);
                    assert_eq!((record_type.as_str(), ids.len()), ("post", 1), "{}", case.name);
                }
                Err(error) => panic!("{}: {error:?}", case.name),
            }
            assert_eq!(live_under_deleted(&world).await, 0, "{}", case.name);
        }
    }
}
