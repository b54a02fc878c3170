//! Requests that are sent again: what a key names is done once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use plimsoll_domain::{
    Error, Request, Result, Settings, Store, Viewer,
    account::Account,
    id::AccountId,
    idempotency::{Key, MAX_KEY},
    transfer::{self, Transfer, TransferFunds},
    user::User,
};
use plimsoll_entity::{idempotency_key, transfer as transfer_entity};
use plimsoll_records::{Options, Rows};
use plimsoll_testkit::{Engine, World, on_every_engine};
use sea_orm::ConnectionTrait as _;
use tokio::sync::Semaphore;

use crate::{
    retrying::{A_WHILE, Cut, Proxy, tries},
    support::*,
};

/// Two users with an account each; the first has money.
struct Two {
    people: People,
    from: Account,
    to: Account,
}

async fn two(world: &World, amount: i64) -> Two {
    let people = people(world).await;
    Two {
        from: account_with(world, &people.ada, "EUR", amount).await,
        to: account_with(world, &people.grace, "EUR", 0).await,
        people,
    }
}

/// Moves money by a request with a key, as a mutation does.
async fn once(
    store: &Store,
    request: Request,
    key: &str,
    (from, to, amount): (AccountId, AccountId, i64),
) -> Result<Option<Transfer>> {
    let command = TransferFunds { from, to, amount };
    let key = Key::new(key, format!("{command:?}").as_bytes())?;
    let viewer = request.viewer;
    let done = store.write_once(&request, Some(key), move |tx| {
        Box::pin(async move { transfer::transfer(tx, &viewer, command).await })
    });
    done.await
}

impl Two {
    fn input(&self, amount: i64) -> (AccountId, AccountId, i64) {
        (self.from.id, self.to.id, amount)
    }

    async fn balances(&self, world: &World) -> (i64, i64) {
        let from = self.from.fresh(&world.store).await.expect("it is there");
        let to = self.to.fresh(&world.store).await.expect("it is there");
        (from.balance, to.balance)
    }
}

async fn keys(world: &World) -> Vec<idempotency_key::Model> {
    let rows = Rows::<idempotency_key::Entity>::live();
    let all = rows.all(10_000, &world.store.read()).await;
    all.expect("keys can be read")
}

/// A transaction that says when it is open, and is so until the second semaphore is closed.
async fn wait_inside(
    store: &Store,
    request: &Request,
    (inside, until): (Arc<Semaphore>, Arc<Semaphore>),
) -> Result<()> {
    let write = store.write(request, move |_| {
        Box::pin(async move {
            inside.add_permits(1);
            let _ = until.acquire().await;
            Ok(())
        })
    });
    write.await
}

async fn transfers(world: &World) -> u64 {
    let rows = Rows::<transfer_entity::Entity>::live();
    let count = rows.count(&world.store.read()).await;
    count.expect("transfers can be counted")
}

/// The request of a user, this long after the beginning.
fn at(world: &World, user: &User, after: chrono::Duration) -> Request {
    world.request_at(viewer(user), World::beginning() + after)
}

#[test]
fn a_key_has_printable_ascii_characters_and_not_too_many() {
    for wrong in ["", " ", "a ", " a", "a\n", "é", &"k".repeat(MAX_KEY + 1)] {
        assert_refused!(Key::new(wrong, b""), Error::Invalid(_), "{wrong:?}");
    }
    for right in [
        "k",
        "my first order",
        "8e03978e-40d5-43e8-bc93-6894a57f9324",
        &"k".repeat(MAX_KEY),
    ] {
        assert!(Key::new(right, b"").is_ok(), "{right:?}");
    }
}

on_every_engine! {
    async fn the_same_request_again_is_answered_with_what_came_of_it(world) {
        let two = two(&world, 100).await;
        let by = || world.as_user(&two.people.ada);
        let first = once(&world.store, by(), "key", two.input(30)).await.unwrap();
        let again = once(&world.store, by(), "key", two.input(30)).await.unwrap();
        assert!(first.is_some());
        assert_eq!(first, again);
        assert_eq!(two.balances(&world).await, (70, 30));
        assert_eq!(transfers(&world).await, 2);
        let kept = keys(&world).await;
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].record_type.as_deref(), Some("transfer"));
        assert_eq!(kept[0].results, serde_json::json!([[first.unwrap().id.0, 0]]));
        // Without a key, or with another one, it is another request.
        let other = once(&world.store, by(), "other", two.input(30)).await.unwrap();
        assert_ne!(other, again);
        assert_eq!(two.balances(&world).await, (40, 60));
    }

    async fn the_same_key_with_another_input_is_refused(world) {
        let two = two(&world, 100).await;
        let by = || world.as_user(&two.people.ada);
        once(&world.store, by(), "key", two.input(30)).await.unwrap();
        let refused = once(&world.store, by(), "key", two.input(31)).await;
        assert_refused!(refused, Error::Invalid(wrong)
            if wrong[0].path == ["input", "idempotencyKey"]);
        assert_eq!(two.balances(&world).await, (70, 30));
        // Keys are told apart by case.
        once(&world.store, by(), "KEY", two.input(31)).await.unwrap();
        assert_eq!(two.balances(&world).await, (39, 61));
    }

    async fn of_thirty_two_at_once_with_one_key_one_is_done_and_all_are_answered_with_it(world) {
        let two = two(&world, 100).await;
        let tasks = (0..32).map(|_| {
            let (store, request) = (world.store.clone(), world.as_user(&two.people.ada));
            let input = two.input(30);
            task(async move { once(&store, request, "key", input).await })
        });
        let mut answers = Vec::new();
        for outcome in at_once(tasks.collect()).await {
            answers.push(outcome.unwrap().expect("it is there").id);
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "{answers:?}");
        assert_eq!(two.balances(&world).await, (70, 30));
        assert_eq!((transfers(&world).await, keys(&world).await.len()), (2, 1));
    }

    async fn what_was_refused_is_not_kept(world) {
        let two = two(&world, 0).await;
        let by = || world.as_user(&two.people.ada);
        for _ in 0..2 {
            let refused = once(&world.store, by(), "key", two.input(30)).await;
            assert_refused!(refused, Error::InsufficientFunds { .. });
            assert!(keys(&world).await.is_empty());
        }
        deposit(&world.store, system(&world), two.from.id, 40).await.unwrap();
        let done = once(&world.store, by(), "key", two.input(30)).await.unwrap();
        // It stays done when there would be nothing to do it with.
        let again = once(&world.store, by(), "key", two.input(30)).await.unwrap();
        assert_eq!(done, again);
        assert_eq!(two.balances(&world).await, (10, 30));
    }

    async fn a_request_whose_client_left_before_it_had_its_key_is_not_done(world) {
        let two = two(&world, 100).await;
        let by = || world.as_user(&two.people.ada);
        // As many as may write at once: half of a test's connections.
        let writers = if world.engine == Engine::Sqlite { 1 } else { 2 };
        let (inside, busy) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let writes = (0..writers).map(|_| {
            let (store, request) = (world.store.clone(), system(&world));
            let (inside, busy) = (inside.clone(), busy.clone());
            tokio::spawn(async move { wait_inside(&store, &request, (inside, busy)).await })
        });
        let writes: Vec<_> = writes.collect();
        let _all = inside.acquire_many(writers).await.unwrap();
        let left = once(&world.store, by(), "key", two.input(30));
        tokio::time::timeout(Duration::from_millis(300), left).await.expect_err("it waits");
        busy.close();
        for write in writes {
            write.await.unwrap().unwrap();
        }
        world.store.database().writes_done().await;
        assert_eq!(two.balances(&world).await, (100, 0));
        assert!(keys(&world).await.is_empty());
        // It can be sent again.
        once(&world.store, by(), "key", two.input(30)).await.unwrap().expect("it is done");
        assert_eq!(two.balances(&world).await, (70, 30));
    }

    async fn a_request_whose_client_left_after_it_had_its_key_is_done_once(world) {
        let two = two(&world, 100).await;
        let by = || world.as_user(&two.people.ada);
        let (from, to, amount) = two.input(30);
        let command = TransferFunds { from, to, amount };
        let key = Key::new("key", format!("{command:?}").as_bytes()).unwrap();
        let (begun, goes_on) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let request = by();
        let (viewer, inside) = (request.viewer, (begun.clone(), goes_on.clone()));
        let left = world.store.write_once(&request, Some(key), move |tx| {
            Box::pin(async move {
                inside.0.add_permits(1);
                let _ = inside.1.acquire().await;
                transfer::transfer(tx, &viewer, command).await
            })
        });
        tokio::select! {
            done = left => panic!("it was not left: {done:?}"),
            _ = begun.acquire() => {}
        }
        goes_on.close();
        // The second one waits for the first one's end.
        once(&world.store, by(), "key", two.input(30)).await.unwrap().expect("it is done");
        assert_eq!(two.balances(&world).await, (70, 30));
        assert_eq!((transfers(&world).await, keys(&world).await.len()), (2, 1));
    }

    async fn an_expired_key_is_free_and_is_taken_once(world) {
        let two = two(&world, 100).await;
        let ada = &two.people.ada;
        let day = chrono::Duration::hours(24);
        let begun = chrono::Duration::seconds(100);
        let moment = chrono::Duration::microseconds(1);
        let first = once(&world.store, at(&world, ada, begun), "key", two.input(1)).await.unwrap();
        let just_before = at(&world, ada, begun + day - moment);
        let again = once(&world.store, just_before, "key", two.input(1)).await.unwrap();
        assert_eq!(first, again);
        let just_before = at(&world, ada, begun + day - moment);
        let refused = once(&world.store, just_before, "key", two.input(2)).await;
        assert_refused!(refused, Error::Invalid(_));
        let tasks = (0..16).map(|_| {
            let (store, request) = (world.store.clone(), at(&world, ada, begun + day));
            let input = two.input(2);
            task(async move { once(&store, request, "key", input).await })
        });
        let mut answers = Vec::new();
        for outcome in at_once(tasks.collect()).await {
            answers.push(outcome.unwrap().expect("it is there").id);
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "{answers:?}");
        assert_ne!(answers[0], first.unwrap().id);
        assert_eq!(two.balances(&world).await, (97, 3));
        let kept = keys(&world).await;
        assert_eq!(kept.len(), 1);
        assert_eq!(kept[0].expires_at, World::beginning() + begun + day + day);
    }

    async fn expired_keys_are_removed_and_no_others(world) {
        let two = two(&world, 100).await;
        let ada = &two.people.ada;
        let day = chrono::Duration::hours(24);
        let begun = chrono::Duration::seconds(100);
        for n in 0..5 {
            let request = at(&world, ada, begun + day * n);
            once(&world.store, request, &format!("key{n}"), two.input(1)).await.unwrap();
        }
        let request = |after| world.request_at(Viewer::System, World::beginning() + after);
        let early = request(begun + day - chrono::Duration::microseconds(1));
        assert_eq!(world.store.remove_expired_keys(&early).await.unwrap(), 0);
        let removed = world.store.remove_expired_keys(&request(begun + day * 3)).await.unwrap();
        assert_eq!(removed, 3);
        let mut left: Vec<_> = keys(&world).await.into_iter().map(|k| k.idempotency_key).collect();
        left.sort();
        assert_eq!(left, ["key3", "key4"]);
        // What a removed key led to is there for good.
        assert_eq!(two.balances(&world).await, (95, 5));
        let removed = world.store.remove_expired_keys(&request(begun + day * 3)).await.unwrap();
        assert_eq!(removed, 0);
    }

    async fn a_key_is_its_actors(world) {
        let two = two(&world, 100).await;
        let (ada, grace) = (&two.people.ada, &two.people.grace);
        once(&world.store, world.as_user(ada), "key", two.input(30)).await.unwrap();
        let back = (two.to.id, two.from.id, 10);
        once(&world.store, world.as_user(grace), "key", back).await.unwrap();
        assert_eq!(two.balances(&world).await, (80, 20));
        assert_eq!(keys(&world).await.len(), 2);
        // The program itself has none.
        let key = Key::new("key", b"deposit").unwrap();
        for _ in 0..2 {
            let (to, request) = (two.from.id, system(&world));
            let done = world.store.write_once(&request, Some(key.clone()), move |tx| {
                let command = transfer::Deposit { to, amount: 1 };
                Box::pin(async move { transfer::deposit(tx, &Viewer::System, command).await })
            });
            done.await.unwrap();
        }
        assert_eq!(two.balances(&world).await, (82, 20));
        assert_eq!(keys(&world).await.len(), 2);
    }

    async fn what_cannot_be_seen_any_longer_is_not_shown_again(world) {
        let two = two(&world, 0).await;
        let grace = &two.people.grace;
        let request = world.as_user(grace);
        let key = Key::new("key", b"open").unwrap();
        let open = async |request: Request, key: Key| {
            let viewer = request.viewer;
            let owner = grace.id;
            let done = world.store.write_once(&request, Some(key), move |tx| {
                let command = plimsoll_domain::account::OpenAccount { owner, currency: "USD".into() };
                Box::pin(async move { plimsoll_domain::account::open(tx, &viewer, command).await })
            });
            done.await
        };
        let opened = open(request, key.clone()).await.unwrap().unwrap();
        // As it is now, deleted or not.
        let deleted = opened.delete(&world.store, world.as_user(grace)).await.unwrap();
        let again = open(world.as_user(grace), key.clone()).await.unwrap();
        assert_eq!(again, Some(deleted.clone()));
        let late = world.request_at(Viewer::System, World::beginning() + chrono::Duration::days(60));
        deleted.purge(&world.store, late).await.unwrap();
        assert_eq!(open(world.as_user(grace), key).await.unwrap(), None);
    }

    // The others have nothing that makes a COMMIT wait until its connection is cut.
    async fn a_commit_whose_answer_is_lost_is_made_again_by_its_key(world) on [Postgres] {
        const A_WHILE: Duration = Duration::from_millis(600);
        let database = world.store.database();
        let by_hand = database.unguarded("a test makes a COMMIT slow");
        for sql in [
            "CREATE SEQUENCE commits",
            "CREATE FUNCTION slow_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF nextval('commits') = 1 THEN PERFORM pg_sleep(1.2); END IF; RETURN NULL; END $$",
        ] {
            by_hand.execute_unprepared(sql).await.unwrap();
        }
        let two = two(&world, 100).await;
        let slow = "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON transfers \
                    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION slow_once()";
        by_hand.execute_unprepared(slow).await.unwrap();
        let request = world.as_user(&two.people.ada);
        let viewer = request.viewer;
        let (from, to, amount) = two.input(30);
        let tries = Arc::new(AtomicU32::new(0));
        let cut = async || {
            tokio::time::sleep(A_WHILE).await;
            crate::faults::cut_connections(world.engine, &world.database.url).await;
        };
        let work = |key: Option<Key>| {
            let (store, tries) = (world.store.clone(), tries.clone());
            let command = TransferFunds { from, to, amount };
            async move {
                let done = store.write_once(&request, key, move |tx| {
                    tries.fetch_add(1, Ordering::SeqCst);
                    Box::pin(async move { transfer::transfer(tx, &viewer, command).await })
                });
                done.await
            }
        };
        // Without a key nobody can tell.
        let (lost, ()) = tokio::join!(work(None), cut());
        assert_refused!(lost, Error::OutcomeUnknown);
        assert_eq!(tries.swap(0, Ordering::SeqCst), 1);
        assert_eq!(two.balances(&world).await, (100, 0));

        by_hand.execute_unprepared("ALTER SEQUENCE commits RESTART").await.unwrap();
        let key = Key::new("key", b"transfer").unwrap();
        let (done, ()) = tokio::join!(work(Some(key.clone())), cut());
        let done = done.unwrap().expect("it is there");
        assert_eq!(tries.load(Ordering::SeqCst), 2);
        assert_eq!((two.balances(&world).await, transfers(&world).await), ((70, 30), 2));
        let again = work(Some(key)).await.unwrap();
        assert_eq!(again.map(|transfer| transfer.id), Some(done.id));
    }

    // It is part of this process.
    async fn a_commit_that_nobody_answers_is_not_said_to_have_changed_nothing(world) on [Postgres, MariaDb] {
        let two = two(&world, 100).await;
        let by = || world.as_user(&two.people.ada);
        let proxy = Proxy::before(&world).await;
        let options = Options {
            transaction_timeout: A_WHILE * 4,
            acquire_timeout: A_WHILE * 4,
            retry: tries(1),
            ..Options::default()
        };
        let store = Store::connect(&proxy.url, options, Settings::default()).await.unwrap();
        // Nor does anybody answer when the key is looked for.
        *proxy.weather.cut.lock().unwrap() = Some(Cut::Held);
        let lost = once(&store, by(), "key", two.input(30)).await;
        assert_refused!(lost, Error::OutcomeUnknown);
        proxy.weather.held.store(false, Ordering::SeqCst);
        assert_eq!(two.balances(&world).await, (70, 30));
        once(&store, by(), "key", two.input(30)).await.unwrap().expect("it is done");
        assert_eq!(two.balances(&world).await, (70, 30));
        // A key that is found free says that nothing was done: what is refused then is refused.
        *proxy.weather.cut.lock().unwrap() = Some(Cut::BeforeCommit);
        let (from, to, _) = two.input(0);
        let tries = Arc::new(AtomicU32::new(0));
        let (request, tried) = (by(), tries.clone());
        let viewer = request.viewer;
        let key = Key::new("other", b"transfer").unwrap();
        let refused = store.write_once(&request, Some(key), move |tx| {
            let amount = if tried.fetch_add(1, Ordering::SeqCst) == 0 { 10 } else { 1_000 };
            let command = TransferFunds { from, to, amount };
            Box::pin(async move { transfer::transfer(tx, &viewer, command).await })
        });
        assert_refused!(refused.await, Error::InsufficientFunds { .. });
        assert_eq!(tries.load(Ordering::SeqCst), 2);
        assert_eq!(two.balances(&world).await, (70, 30));
    }
}
