use std::{
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures::poll;
use plimsoll_records::{
    Adjustment, Database, Fault, Isolation, Options, Refused, Register, Retry, Rows, Timing, Tx,
    Version, Writer,
};
use plimsoll_testkit::{Engine, World, on_every_engine};
use sea_orm::{ActiveValue::Set, ConnectionTrait as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::{Barrier, oneshot},
    task::{JoinHandle, JoinSet},
};
use uuid::Uuid;

use crate::{
    faults::cut_connections,
    shelf::{ActiveModel, ById as _, Column, Entity, Shelves, new_shelf, shelves, shelves_with},
    support::*,
};

const TIMEOUT: Fault = Fault::Transient(Timing::Timeout);
pub(crate) const A_WHILE: Duration = Duration::from_millis(150);
const FOR_EVER: Duration = Duration::from_secs(600);

/// How often a work ran: all of its clones count together.
#[derive(Clone, Default)]
struct Runs(Arc<AtomicUsize>);

impl Runs {
    /// The number of this run.
    fn next(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// An error of somebody's own, which does not tell what it came from.
#[derive(Debug, PartialEq)]
struct Wrapped;

impl From<Fault> for Wrapped {
    fn from(_: Fault) -> Self {
        Self
    }
}

impl From<Refused<Entity>> for Wrapped {
    fn from(_: Refused<Entity>) -> Self {
        Self
    }
}

fn one_more(id: Uuid) -> Adjustment<Entity> {
    Adjustment::of(id).add(Column::Quantity, 1)
}

fn writer(world: &World) -> Writer {
    Writer::system(system(world).now)
}

/// Limits that are reached soon.
fn hasty(retry: Retry) -> Options {
    Options {
        statement_timeout: A_WHILE,
        acquire_timeout: A_WHILE,
        retry,
        ..Options::default()
    }
}

/// Tries without a pause worth mentioning.
pub(crate) fn tries(tries: u32) -> Retry {
    Retry {
        tries,
        base: Duration::from_millis(1),
        cap: Duration::from_millis(20),
        total: FOR_EVER,
    }
}

async fn connect(url: &str, options: Options) -> Database {
    let register = Register::new().with::<Entity>();
    let database = Database::connect(url, register, options).await;
    database.expect("a connection can be made")
}

/// Adds one to a shelf.
async fn add_one(database: &Database, writer: Writer, id: Uuid) -> Result<(), Wrapped> {
    let added = database.write(writer, move |tx| {
        Box::pin(async move { Ok(one_more(id).apply(tx).await.map(|_| ())?) })
    });
    added.await
}

/// A transaction that holds the lock of a shelf.
struct Holder {
    go: oneshot::Sender<()>,
    running: JoinHandle<Result<(), Fault>>,
}

impl Holder {
    async fn of(shelves: &Shelves, world: &World, id: Uuid) -> Self {
        let (locked, is_locked) = oneshot::channel();
        let (go, goes) = oneshot::channel::<()>();
        let (locked, goes) = (Once::new(locked), Once::new(goes));
        let (database, writer) = (shelves.database.clone(), writer(world));
        let running = tokio::spawn(async move {
            let held = database.write(writer, move |tx| {
                Box::pin(async move {
                    Rows::<Entity>::live().by_id(id).lock(tx).await?;
                    locked.take().send(()).expect("somebody waits");
                    goes.take().await.expect("it may go on");
                    Ok(())
                })
            });
            held.await
        });
        is_locked.await.expect("the shelf is locked");
        Self { go, running }
    }

    async fn let_go(self) {
        self.go.send(()).expect("it waits");
        assert_eq!(self.running.await.expect("it ends"), Ok(()));
    }
}

/// What becomes of the next COMMIT that goes through a [`Proxy`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The server never hears of it.
    BeforeCommit,
    /// The client never hears what the server answered.
    AfterCommit,
    /// Nor does the client hear that nothing will come: nothing is cut.
    Held,
}

/// What a [`Proxy`] does to what goes through it.
#[derive(Default)]
pub(crate) struct Weather {
    pub(crate) cut: Mutex<Option<Cut>>,
    /// Whether answers wait.
    pub(crate) held: AtomicBool,
    /// How many connections were made.
    made: AtomicUsize,
    /// The first so many of them are silent: nothing arrives, and nothing is closed.
    silent: AtomicUsize,
}

/// A way to a world's server that can be cut.
pub(crate) struct Proxy {
    pub(crate) url: String,
    address: SocketAddr,
    server: String,
    pub(crate) weather: Arc<Weather>,
    /// Dropped connections are closed; none is accepted meanwhile.
    open: Option<JoinHandle<()>>,
}

impl Proxy {
    pub(crate) async fn before(world: &World) -> Self {
        let url = &world.database.url;
        let (front, rest) = url.split_once("://").expect("it is a URL");
        let (authority, path) = rest.split_once('/').expect("it names a database");
        let (account, place) = authority.rsplit_once('@').unwrap_or(("", authority));
        let port = match world.engine {
            Engine::Postgres => 5432,
            _ => 3306,
        };
        let server = match place.rsplit_once(':') {
            Some(_) => place.to_owned(),
            None => format!("{place}:{port}"),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let address = listener.and_then(|listener| listener.local_addr());
        let address = address.expect("a port is free");
        let mut proxy = Self {
            url: format!("{front}://{account}@{address}/{path}"),
            address,
            server,
            weather: Arc::default(),
            open: None,
        };
        proxy.open().await;
        proxy
    }

    async fn open(&mut self) {
        let listener = TcpListener::bind(self.address).await;
        let listener = listener.expect("the port is still free");
        let (server, weather) = (self.server.clone(), self.weather.clone());
        self.open = Some(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (server, weather) = (server.clone(), weather.clone());
                connections.spawn(async move {
                    // Whichever end closes, the other is closed too.
                    let _ = pass_on(client, &server, &weather).await;
                });
            }
        }));
    }

    /// Cuts every connection, and refuses new ones until it is opened again.
    async fn close(&mut self) {
        let open = self.open.take().expect("it is open");
        open.abort();
        assert!(open.await.expect_err("it is aborted").is_cancelled());
    }
}

async fn pass_on(mut client: TcpStream, server: &str, weather: &Weather) -> std::io::Result<()> {
    let number = weather.made.fetch_add(1, Ordering::SeqCst);
    let is_silent = || number < weather.silent.load(Ordering::SeqCst);
    let mut server = TcpStream::connect(server).await?;
    let (mut up, mut down) = ([0; 16_384], [0; 16_384]);
    loop {
        tokio::select! {
            read = client.read(&mut up) => {
                let sent = &up[..read?];
                if sent.is_empty() {
                    return Ok(());
                }
                if is_silent() {
                    continue;
                }
                // PostgreSQL ends it with a zero, and "READ COMMITTED" is another.
                let is_commit = sent.ends_with(b"COMMIT")
                    || sent.ends_with(b"COMMIT\0");
                let cut = is_commit.then(|| weather.cut.lock().expect("nobody panicked").take());
                let cut = cut.flatten();
                if cut == Some(Cut::Held) {
                    weather.held.store(true, Ordering::SeqCst);
                } else if let Some(cut) = cut {
                    if cut == Cut::AfterCommit {
                        server.write_all(sent).await?;
                        let _answer = server.read(&mut down).await?;
                    }
                    return Ok(());
                }
                server.write_all(sent).await?;
            }
            read = server.read(&mut down) => {
                let answered = &down[..read?];
                if answered.is_empty() {
                    return Ok(());
                }
                while weather.held.load(Ordering::SeqCst) {
                    tokio::time::sleep(A_WHILE / 30).await;
                }
                if !is_silent() {
                    client.write_all(answered).await?;
                }
            }
        }
    }
}

/// A statement of a transaction that is given up when it has begun.
async fn begin_to_read(tx: &mut Tx, id: Uuid) {
    // It may be answered at once.
    for _ in 0..10_000 {
        let row = Rows::<Entity>::live().by_id(id);
        if poll!(pin!(row.one(tx))).is_pending() {
            return;
        }
    }
    panic!("each statement was answered at once");
}

/// Takes one from a shelf, unless that would be the last of all. The first time it waits for the
/// other one in between.
async fn take_but_not_the_last(
    database: Database,
    writer: Writer,
    from: Uuid,
    meet: Option<Arc<Barrier>>,
) -> Result<bool, Wrapped> {
    let runs = Runs::default();
    let taken = database.write(writer, move |tx| {
        Box::pin(async move {
            let left = Rows::<Entity>::live().sum(Column::Quantity, tx).await?;
            if let (Some(meet), 1) = (meet, runs.next()) {
                meet.wait().await;
            }
            if left < 2 {
                return Ok(false);
            }
            let take = Adjustment::<Entity>::of(from).add(Column::Quantity, -1);
            take.apply(tx).await?;
            Ok(true)
        })
    });
    taken.await
}

on_every_engine! {
    async fn of_two_writes_that_wait_for_each_other_both_are_committed(world) {
        let shelves = shelves(&world).await;
        let ids = [shelves.add(&world, "a", 0).await.id, shelves.add(&world, "b", 0).await.id];
        for (round, in_attempt) in [(1, false), (2, true)] {
            let before = shelves.database.counts();
            // SQLite has one writer, which waits for nobody.
            let both = (world.engine != Engine::Sqlite).then(|| Arc::new(Barrier::new(2)));
            let tasks = [ids, [ids[1], ids[0]]].map(|ids| {
                let (database, writer) = (shelves.database.clone(), writer(&world));
                let (both, runs) = (both.clone(), Runs::default());
                task(async move {
                    let written = database.write(writer, move |tx| Box::pin(async move {
                        one_more(ids[0]).apply(tx).await?;
                        if let (Some(both), 1) = (both, runs.next()) {
                            both.wait().await;
                        }
                        if in_attempt {
                            let second = one_more(ids[1]);
                            tx.attempt(|tx| Box::pin(second.apply(tx))).await?;
                        } else {
                            one_more(ids[1]).apply(tx).await?;
                        }
                        Ok::<_, Refused<Entity>>(())
                    }));
                    written.await
                })
            });
            let outcomes = at_once(tasks.into()).await;
            assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
            for id in ids {
                let now = shelves.fresh(id).await;
                assert_eq!((now.quantity, now.lock_version), (2 * round, 2 * round as i32));
                assert_eq!(audit_of(&world.store, id).await.len() as i64, 1 + 2 * round);
            }
            let counts = shelves.database.counts();
            assert_eq!(counts.writes, before.writes + 2);
            let lost = u64::from(world.engine != Engine::Sqlite);
            assert_eq!(counts.retries, before.retries + lost);
        }
    }

    async fn serializable_writes_end_as_if_they_had_run_one_after_the_other(world) {
        let shelves = shelves(&world).await;
        let one_by_one = world.engine == Engine::Sqlite;
        for (isolation, taken) in [
            // Each takes the other's word, and the last is gone.
            (Isolation::ReadCommitted, if one_by_one { 1 } else { 2 }),
            (Isolation::Serializable, 1),
        ] {
            let before = shelves.database.counts();
            let name = format!("{isolation:?}");
            let mut ids = Vec::new();
            for code in ["a", "b"] {
                ids.push(shelves.add(&world, &format!("{name} {code}"), 1).await.id);
            }
            let meet = (!one_by_one).then(|| Arc::new(Barrier::new(2)));
            let tasks = ids.iter().map(|id| {
                let writer = Writer { isolation, ..writer(&world) };
                task(take_but_not_the_last(shelves.database.clone(), writer, *id, meet.clone()))
            });
            let outcomes = at_once(tasks.collect()).await;
            let won = outcomes.iter().filter(|outcome| **outcome == Ok(true)).count();
            assert_eq!(won, taken, "{isolation:?}: {outcomes:?}");
            assert!(outcomes.iter().all(Result::is_ok), "{isolation:?}: {outcomes:?}");
            let left = Rows::<Entity>::live().sum(Column::Quantity, &shelves.database.read()).await;
            assert_eq!(left, Ok(2 - taken as i128));
            let retried = shelves.database.counts().retries - before.retries;
            let lost = !one_by_one && isolation == Isolation::Serializable;
            assert_eq!(retried > 0, lost, "{isolation:?}: {retried}");
            for id in ids {
                let shelf = shelves.fresh(id).await;
                shelves.delete(&world, &shelf).await;
            }
        }
    }

    // It has one writer, whatever the level.
    async fn after_a_serializable_write_its_connection_is_as_before(world) on [Postgres, MariaDb] {
        // One connection that writes.
        let one = shelves_with(&world, Options { max_connections: 2, ..Options::default() }).await;
        let others = connect(&world.database.url, hasty(tries(1))).await;
        let shelf = one.add(&world, "a", 1).await;
        let id = shelf.id;
        for isolation in [Isolation::Serializable, Isolation::ReadCommitted] {
            let (write, other) = (Writer { isolation, ..writer(&world) }, writer(&world));
            let others = others.clone();
            let outcome: Result<_, Fault> = one.database.write(write, move |tx| {
                Box::pin(async move {
                    let before = Rows::<Entity>::live().by_id(id).one(tx).await?;
                    if isolation == Isolation::ReadCommitted {
                        add_one(&others, other, id).await.expect("nothing is locked");
                    }
                    let after = Rows::<Entity>::live().by_id(id).one(tx).await?;
                    Ok(after.map(|row| row.quantity) > before.map(|row| row.quantity))
                })
            }).await;
            assert_eq!(outcome, Ok(isolation == Isolation::ReadCommitted));
        }
    }

    async fn what_the_work_answers_is_not_tried_again(world) {
        let shelves = shelves(&world).await;
        let shelf = shelves.add(&world, "a", 1).await;
        let (id, before) = (shelf.id, shelves.database.counts());

        let runs = Runs::default();
        let run = runs.clone();
        let stale: Result<_, Refused<Entity>> = layer!(shelves.database, world, |tx| async {
            run.next();
            let row = Rows::<Entity>::live().by_id(id).lock(tx).await?.unwrap();
            let change = ActiveModel { quantity: Set(2), ..Default::default() };
            row.update(tx, Version(7), change).await
        });
        assert!(matches!(stale, Err(Refused::Conflict { .. })), "{stale:?}");
        assert_eq!(runs.count(), 1, "a conflict is for its editor");

        let run = runs.clone();
        let taken: Result<_, Fault> = layer!(shelves.database, world, |tx| async {
            run.next();
            tx.create::<Entity>(new_shelf("a", 2)).await
        });
        assert!(matches!(taken, Err(Fault::Duplicate(_))), "{taken:?}");
        assert_eq!(runs.count(), 2);

        // Nothing happened to the transaction.
        let run = runs.clone();
        let busy: Result<(), Fault> = layer!(shelves.database, world, |tx| async {
            run.next();
            one_more(id).apply(tx).await.unwrap();
            Err(TIMEOUT)
        });
        assert_eq!(busy, Err(TIMEOUT));
        assert_eq!(runs.count(), 3);

        assert_eq!(shelves.fresh(id).await, shelf);
        assert_eq!(shelves.database.counts(), before);
    }

    async fn a_write_is_tried_again_until_what_it_waits_for_is_free(world) {
        let shelves = shelves(&world).await;
        let id = shelves.add(&world, "a", 0).await.id;
        let hasty = connect(&world.database.url, hasty(tries(100))).await;
        let holder = Holder::of(&shelves, &world, id).await;
        let waiting = hasty.clone();
        let writer = writer(&world);
        let waiting = tokio::spawn(async move { add_one(&waiting, writer, id).await });
        while hasty.counts().retries < 2 && !waiting.is_finished() {
            tokio::time::sleep(A_WHILE / 10).await;
        }
        holder.let_go().await;
        assert_eq!(waiting.await.unwrap(), Ok(()));
        assert_eq!(hasty.counts().writes, 1);
        assert_eq!(shelves.fresh(id).await.quantity, 1);
        assert_eq!(audit_of(&world.store, id).await.len(), 2);
    }

    async fn tries_are_bounded_in_number_and_in_time(world) {
        let shelves = shelves(&world).await;
        let id = shelves.add(&world, "a", 0).await.id;
        let holder = Holder::of(&shelves, &world, id).await;
        for number in [0, 1, 3] {
            let database = connect(&world.database.url, hasty(tries(number))).await;
            let refused = layer!(database, world, |tx| one_more(id).apply(tx));
            assert_refused!(refused, Refused::Fault(TIMEOUT));
            let counts = database.counts();
            assert_eq!((counts.writes, counts.retries), (0, u64::from(number.max(1)) - 1));
        }
        let retry = Retry { total: A_WHILE * 4, ..tries(u32::MAX) };
        let database = connect(&world.database.url, hasty(retry)).await;
        let begun = Instant::now();
        let refused = layer!(database, world, |tx| one_more(id).apply(tx));
        assert_refused!(refused, Refused::Fault(TIMEOUT));
        let elapsed = begun.elapsed();
        assert!(elapsed < A_WHILE * 20, "{elapsed:?}");
        let retries = database.counts().retries;
        assert!((1..=4).contains(&retries), "{retries} in {elapsed:?}");
        holder.let_go().await;
        assert_eq!(shelves.fresh(id).await.quantity, 0);
    }

    async fn what_takes_longer_than_its_limit_is_not_tried_again(world) {
        let options = Options { transaction_timeout: A_WHILE * 2, ..Options::default() };
        let shelves = shelves_with(&world, options).await;
        let runs = Runs::default();
        let run = runs.clone();
        let slow: Result<(), Fault> = layer!(shelves.database, world, |tx| async {
            run.next();
            tx.create::<Entity>(new_shelf("a", 1)).await?;
            tokio::time::sleep(FOR_EVER).await;
            Ok(())
        });
        assert_eq!(slow, Err(TIMEOUT));
        assert_eq!(runs.count(), 1);
        if world.engine == Engine::Sqlite {
            return;
        }
        // Not even if the connection was lost before.
        let (run, engine, url) = (runs.clone(), world.engine, world.database.url.clone());
        let slow: Result<(), Fault> = layer!(shelves.database, world, |tx| async {
            run.next();
            cut_connections(engine, &url).await;
            assert!(tx.create::<Entity>(new_shelf("a", 1)).await.is_err());
            tokio::time::sleep(FOR_EVER).await;
            Ok(())
        });
        assert_eq!(slow, Err(TIMEOUT));
        assert_eq!(runs.count(), 2);
        assert_eq!(shelves.database.counts().retries, 0);
    }

    // It has no connection to cut.
    async fn a_write_whose_connection_is_cut_before_its_commit_is_made_once(world) on [Postgres, MariaDb] {
        let shelves = shelves(&world).await;
        for (round, (in_attempt, seed)) in
            [(false, None), (true, None), (false, Some(7)), (true, Some(8))].into_iter().enumerate()
        {
            let audited = audit_count(&world.store).await;
            let (engine, url) = (world.engine, world.database.url.clone());
            let ids = Arc::new(Mutex::new(Vec::new()));
            let minted = ids.clone();
            let code = format!("shelf {round}");
            let write = Writer { seed, ..writer(&world) };
            let made = shelves.database.write(write, move |tx| Box::pin(async move {
                let made = tx.create::<Entity>(new_shelf(&code, 1)).await?;
                let id = made.id;
                let is_first = {
                    let mut ids = minted.lock().unwrap();
                    ids.push(id);
                    ids.len() == 1
                };
                if is_first {
                    cut_connections(engine, &url).await;
                }
                // The error tells nothing of its cause.
                let row = if in_attempt {
                    tx.attempt(|tx| Box::pin(async move {
                        Ok::<_, Wrapped>(Rows::<Entity>::live().by_id(id).one(tx).await?)
                    })).await?
                } else {
                    Rows::<Entity>::live().by_id(id).one(tx).await?
                };
                Ok::<_, Wrapped>(row.unwrap())
            })).await;
            let made = made.unwrap();
            let ids = ids.lock().unwrap().clone();
            assert_eq!(ids.len(), 2);
            assert_eq!((ids[0] == ids[1], made.id), (seed.is_some(), ids[1]));
            let rows = Rows::<Entity>::with_deleted();
            let there = rows.count(&shelves.database.read()).await;
            assert_eq!(there, Ok(round as u64 + 1));
            assert_eq!(shelves.fresh(made.id).await, made);
            assert_eq!(audit_of(&world.store, made.id).await.len(), 1);
            assert_eq!(audit_count(&world.store).await, audited + 1);
            assert_eq!(shelves.database.counts().retries, round as u64 + 1);
        }
    }

    // Nowhere else is a transaction refused as late as that.
    async fn a_commit_that_is_refused_for_the_order_is_tried_again(world) on [Postgres] {
        let shelves = shelves(&world).await;
        let connection = world.store.database().unguarded("a COMMIT is to be refused once");
        connection
            .execute_unprepared(
                "CREATE SEQUENCE commits;
                 CREATE FUNCTION refuse_once() RETURNS trigger LANGUAGE plpgsql AS $$
                 BEGIN
                     IF nextval('commits') = 1 THEN
                         RAISE 'not in this order' USING ERRCODE = '40001';
                     END IF;
                     RETURN NULL;
                 END $$;
                 CREATE CONSTRAINT TRIGGER late AFTER INSERT ON shelves
                 DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_once()",
            )
            .await
            .unwrap();
        let runs = Runs::default();
        let run = runs.clone();
        let made: Result<_, Fault> = layer!(shelves.database, world, |tx| async {
            run.next();
            tx.create::<Entity>(new_shelf("a", 1)).await
        });
        let made = made.unwrap();
        assert_eq!(runs.count(), 2);
        assert_eq!(shelves.fresh(made.id).await, made);
        assert_eq!(audit_of(&world.store, made.id).await.len(), 1);
    }

    // Its COMMIT is a call, which always answers.
    async fn a_commit_that_nobody_answers_is_not_tried_again(world) on [Postgres, MariaDb] {
        let shelves = shelves(&world).await;
        let id = shelves.add(&world, "a", 0).await.id;
        let proxy = Proxy::before(&world).await;
        let options = Options {
            transaction_timeout: A_WHILE * 10,
            ..Options::default()
        };
        let database = connect(&proxy.url, options).await;
        let mut quantity = 0;
        for cut in [Cut::BeforeCommit, Cut::AfterCommit, Cut::Held] {
            *proxy.weather.cut.lock().unwrap() = Some(cut);
            let runs = Runs::default();
            let run = runs.clone();
            let outcome = layer!(database, world, |tx| async {
                run.next();
                one_more(id).apply(tx).await
            });
            assert_refused!(outcome, Refused::Fault(Fault::OutcomeUnknown));
            assert_eq!(runs.count(), 1, "{cut:?}");
            proxy.weather.held.store(false, Ordering::SeqCst);
            quantity += i64::from(cut != Cut::BeforeCommit);
            let now = shelves.fresh(id).await;
            assert_eq!((now.quantity, i64::from(now.lock_version)), (quantity, quantity));
            assert_eq!(audit_of(&world.store, id).await.len() as i64, 1 + quantity);
        }
        let counts = database.counts();
        assert_eq!((counts.writes, counts.retries), (0, 0));
    }

    // It is part of this process.
    async fn a_server_that_went_away_costs_nothing_once_it_is_back(world) on [Postgres, MariaDb] {
        let shelves = shelves(&world).await;
        let id = shelves.add(&world, "a", 0).await.id;
        let mut proxy = Proxy::before(&world).await;
        // What was lost while nobody used it is replaced without another try.
        let options = Options {
            acquire_timeout: A_WHILE * 4,
            retry: tries(1),
            ..Options::default()
        };
        let database = connect(&proxy.url, options).await;
        let all_work = async || {
            let tasks = (0..20).map(|n| {
                let (database, writer) = (database.clone(), writer(&world));
                task(async move {
                    if n % 2 == 0 {
                        let rows = Rows::<Entity>::live().by_id(id);
                        rows.exists(&database.read()).await.map_err(Wrapped::from)
                    } else {
                        add_one(&database, writer, id).await.map(|()| true)
                    }
                })
            });
            at_once(tasks.collect()).await
        };
        let mut added = 0;
        // Connections are lent for a second before they are tested again.
        for (used_meanwhile, pause) in [
            (false, Duration::ZERO),
            (true, Duration::ZERO),
            (false, Duration::from_millis(1_200)),
            (true, Duration::from_millis(1_200)),
        ] {
            assert!(all_work().await.iter().all(|done| *done == Ok(true)));
            proxy.close().await;
            if used_meanwhile {
                let outcomes = all_work().await;
                assert!(outcomes.iter().all(Result::is_err), "{outcomes:?}");
            }
            tokio::time::sleep(pause).await;
            proxy.open().await;
            database.analyze().await.unwrap();
            let outcomes = all_work().await;
            assert!(outcomes.iter().all(|done| *done == Ok(true)), "{outcomes:?}");
            added += 20;
            assert_eq!(shelves.fresh(id).await.quantity, added);
        }
    }

    // It is part of this process.
    async fn a_write_whose_statement_nobody_answers_is_rolled_back_and_keeps_no_connection(world) on [Postgres, MariaDb] {
        let shelves = shelves(&world).await;
        let id = shelves.add(&world, "a", 0).await.id;
        let proxy = Proxy::before(&world).await;
        let options = Options {
            max_connections: 1,
            transaction_timeout: A_WHILE * 4,
            ..Options::default()
        };
        let database = connect(&proxy.url, options).await;
        let weather = proxy.weather.clone();
        // It is prepared here for the first time: its answer has several parts.
        let outcome = layer!(database, world, |tx| async {
            weather.held.store(true, Ordering::SeqCst);
            one_more(id).apply(tx).await
        });
        assert_refused!(outcome, Refused::Fault(TIMEOUT));
        proxy.weather.held.store(false, Ordering::SeqCst);
        let next = add_one(&database, writer(&world), id);
        assert_eq!(tokio::time::timeout(A_WHILE * 60, next).await, Ok(Ok(())));
        assert_eq!(shelves.fresh(id).await.quantity, 1);
    }

    async fn a_write_that_gives_a_statement_up_is_not_committed(world) {
        let shelves = shelves(&world).await;
        let id = shelves.add(&world, "a", 0).await.id;
        let database = connect(&world.database.url, hasty(tries(1))).await;
        for in_attempt in [false, true] {
            let outcome = layer!(database, world, |tx| async {
                one_more(id).apply(tx).await?;
                if in_attempt {
                    let attempt = tx.attempt(|tx| Box::pin(async move {
                        begin_to_read(tx, id).await;
                        Ok::<_, Refused<Entity>>(())
                    }));
                    assert!(attempt.await.is_err());
                } else {
                    begin_to_read(tx, id).await;
                }
                Ok::<_, Refused<Entity>>(())
            });
            assert_refused!(outcome, Refused::Fault(TIMEOUT));
            assert_eq!(shelves.fresh(id).await.quantity, 0);
        }
        assert_eq!(add_one(&database, writer(&world), id).await, Ok(()));
        assert_eq!(shelves.fresh(id).await.quantity, 1);
    }

    // It is part of this process.
    async fn who_gives_up_while_a_connection_is_tested_leaves_no_answer_behind(world) on [Postgres, MariaDb] {
        let shelves = shelves(&world).await;
        let ids = [shelves.add(&world, "a", 0).await.id, shelves.add(&world, "b", 0).await.id];
        let proxy = Proxy::before(&world).await;
        // One connection that reads.
        let options = Options { max_connections: 2, ..Options::default() };
        let database = connect(&proxy.url, options).await;
        let read = async |id: Uuid| {
            let row = Rows::<Entity>::live().by_id(id).one(&database.read()).await;
            row.expect("it can be read").map(|row| row.id)
        };
        for id in ids {
            assert_eq!(read(id).await, Some(id));
        }
        // Connections are lent for a second before they are tested again.
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        proxy.weather.held.store(true, Ordering::SeqCst);
        tokio::time::timeout(A_WHILE, read(ids[0])).await.expect_err("nobody answers");
        proxy.weather.held.store(false, Ordering::SeqCst);
        for id in [ids, ids].concat() {
            assert_eq!(read(id).await, Some(id));
        }
    }

    // It is part of this process.
    async fn connections_that_have_fallen_silent_are_replaced(world) on [Postgres, MariaDb] {
        let shelves = shelves(&world).await;
        let id = shelves.add(&world, "a", 0).await.id;
        let proxy = Proxy::before(&world).await;
        let options = Options {
            max_connections: 4,
            statement_timeout: A_WHILE,
            transaction_timeout: A_WHILE * 20,
            acquire_timeout: A_WHILE * 20,
            retry: tries(1),
            ..Options::default()
        };
        let database = connect(&proxy.url, options).await;
        let all_work = async |patience: Duration| {
            let tasks = (0..8).map(|n| {
                let (database, writer) = (database.clone(), writer(&world));
                task(async move {
                    let work = async {
                        if n % 2 == 0 {
                            let rows = Rows::<Entity>::live().by_id(id);
                            rows.exists(&database.read()).await.map_err(Wrapped::from)
                        } else {
                            add_one(&database, writer, id).await.map(|()| true)
                        }
                    };
                    tokio::time::timeout(patience, work).await.unwrap_or(Err(Wrapped))
                })
            });
            at_once(tasks.collect()).await
        };
        for used_meanwhile in [false, true] {
            assert!(all_work(FOR_EVER).await.iter().all(|done| *done == Ok(true)));
            let made = proxy.weather.made.load(Ordering::SeqCst);
            proxy.weather.silent.store(made, Ordering::SeqCst);
            if used_meanwhile {
                let outcomes = all_work(A_WHILE).await;
                assert!(outcomes.iter().all(Result::is_err), "{outcomes:?}");
                // What was given up is waited for as long as a statement or a transaction may take.
                tokio::time::sleep(A_WHILE * 20).await;
            }
            // Connections are lent for a second before they are tested again.
            tokio::time::sleep(Duration::from_millis(1_200)).await;
            let outcomes = all_work(FOR_EVER).await;
            assert!(outcomes.iter().all(|done| *done == Ok(true)), "{outcomes:?}");
        }
    }

    // It is part of this process.
    async fn a_write_that_begins_while_the_server_is_away_is_made_once_it_is_back(world) on [Postgres, MariaDb] {
        let shelves = shelves(&world).await;
        let id = shelves.add(&world, "a", 0).await.id;
        let mut proxy = Proxy::before(&world).await;
        let database = connect(&proxy.url, hasty(tries(100))).await;
        assert_eq!(add_one(&database, writer(&world), id).await, Ok(()));
        proxy.close().await;
        let (waiting, writer) = (database.clone(), writer(&world));
        let waiting = tokio::spawn(async move { add_one(&waiting, writer, id).await });
        while database.counts().retries < 2 && !waiting.is_finished() {
            tokio::time::sleep(A_WHILE / 10).await;
        }
        proxy.open().await;
        assert_eq!(waiting.await.unwrap(), Ok(()));
        assert_eq!(shelves.fresh(id).await.quantity, 2);
    }

    async fn a_closed_database_is_not_tried_again(world) {
        let shelves = shelves(&world).await;
        let id = shelves.add(&world, "a", 0).await.id;
        let before = shelves.database.counts();
        shelves.database.close().await;
        let closed = layer!(shelves.database, world, |tx| one_more(id).apply(tx));
        assert_refused!(closed, Refused::Fault(Fault::Transient(Timing::ConnectionLost)));
        assert_eq!(shelves.database.counts(), before);
    }
}
