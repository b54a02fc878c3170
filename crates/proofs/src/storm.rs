//! Faults at random moments, and what must hold when they are over.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde_json::json;
use tokio::task::JoinHandle;

use crate::{
    arena::Arena,
    client::{Client, Token},
    engine::Engine,
};

/// How long what a fault left behind may stay: longer than any statement or transaction of a
/// server may take.
const LEFT_BEHIND: Duration = Duration::from_secs(30);

/// How long a proof goes on, and whether faults happen meanwhile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) length: Duration,
    pub(crate) faults: bool,
}

/// A proof that is going on.
pub(crate) struct Course {
    arena: Arc<Arena>,
    began: Instant,
    /// When no new operation begins.
    pub(crate) until: Instant,
    faults_before: u64,
    storm: Option<JoinHandle<anyhow::Result<()>>>,
}

/// How a proof went.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passed {
    pub(crate) faults: u64,
    pub(crate) length: Duration,
}

impl Plan {
    /// Begins now.
    pub(crate) fn begin(self, arena: &Arc<Arena>, part: &str) -> Course {
        let began = Instant::now();
        let until = began + self.length;
        let storm = self.faults.then(|| {
            let seed = arena.seed_of(&format!("storm over {part}"));
            arena.weather.set_stormy(true);
            tokio::spawn(storm(arena.clone(), seed, until))
        });
        Course {
            arena: arena.clone(),
            began,
            until,
            faults_before: arena.weather.faults(),
            storm,
        }
    }
}

impl Course {
    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// Waits until the faults are over and what they left behind is gone. What is still there
    /// after its time, or still fails, is noted.
    pub(crate) async fn end(self, token: &Token) -> anyhow::Result<Passed> {
        let stormed = self.storm.is_some();
        if let Some(storm) = self.storm {
            storm.await??;
        }
        let passed = Passed {
            faults: self.arena.weather.faults() - self.faults_before,
            length: self.began.elapsed(),
        };
        if stormed {
            calm(&self.arena, token).await?;
        }
        nothing_is_open(&self.arena).await?;
        Ok(passed)
    }
}

/// Makes faults until a moment. When it ends, everything runs again.
async fn storm(arena: Arc<Arena>, seed: u64, until: Instant) -> anyhow::Result<()> {
    let outcome = faults(&arena, seed, until).await;
    arena.weather.set_slow(false);
    arena.weather.set_stormy(false);
    outcome?;
    for server in &arena.servers {
        server.ready().await?;
    }
    Ok(())
}

async fn faults(arena: &Arena, seed: u64, until: Instant) -> anyhow::Result<()> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    // A database that is away takes all that a short proof has, so it comes once in a while,
    // the first time soon.
    let mut database_next = arena.since() + Duration::from_millis(random.random_range(800..2_000));
    loop {
        let pause = Duration::from_millis(random.random_range(100..900));
        if Instant::now() + pause >= until {
            tokio::time::sleep_until(until.into()).await;
            return Ok(());
        }
        tokio::time::sleep(pause).await;
        for server in &arena.servers {
            // One that was started while the database was away.
            if server.ended().is_some() {
                server.start()?;
            }
        }
        let apart = arena.engine != Engine::Sqlite;
        if apart && arena.since() >= database_next {
            arena.fault("the database is killed");
            let away = Duration::from_millis(random.random_range(0..800));
            database_next =
                arena.since() + away + Duration::from_millis(random.random_range(6_000..12_000));
            let mut database = arena.database.lock().await;
            database.kill();
            tokio::time::sleep(away).await;
            database.start_again().await?;
            continue;
        }
        match random.random_range(0..if apart { 10 } else { 4 }) {
            0..4 => {
                let number = random.random_range(0..arena.servers.len());
                arena.fault(&format!("server {number} is killed"));
                arena.servers[number].kill();
                let away = Duration::from_millis(random.random_range(0..400));
                tokio::time::sleep(away).await;
                arena.servers[number].start()?;
            }
            4..7 => {
                arena.fault("all database connections are cut");
                arena.weather.cut_all();
            }
            _ => {
                arena.fault("everything is slow");
                arena.weather.set_slow(true);
                let slow = Duration::from_millis(random.random_range(100..500));
                tokio::time::sleep(slow).await;
                arena.weather.set_slow(false);
            }
        }
    }
}

/// Asks each server again and again: nothing that is left of the faults may fail a request.
async fn calm(arena: &Arena, token: &Token) -> anyhow::Result<()> {
    // What is lent or was begun before the end of the storm may still fail.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    for (number, server) in arena.servers.iter().enumerate() {
        for nth in 0..12 {
            let read = Client::probe(
                server.address,
                token,
                "{ users(first: 1) { nodes { id } } }",
                json!({}),
            );
            if let Err(error) = read.await {
                arena.note(format!(
                    "server {number} failed to read after the faults: {error:#}"
                ));
            }
            let write = Client::probe(
                server.address,
                token,
                "mutation($input: CreateTagInput!) { createTag(input: $input) {
                   tag { id } errors { __typename message } } }",
                json!({ "input": {
                    "name": "A tag after the faults",
                    "slug": format!("calm-{}-{number}-{nth}", arena.since().as_nanos()),
                } }),
            );
            match write.await {
                Ok(data) if data["createTag"]["tag"]["id"].is_string() => {}
                Ok(data) => arena.note(format!(
                    "server {number} failed to write after the faults: {data}"
                )),
                Err(error) => arena.note(format!(
                    "server {number} failed to write after the faults: {error:#}"
                )),
            }
        }
    }
    Ok(())
}

/// Waits until no transaction is open and no lock is held but the own ones.
async fn nothing_is_open(arena: &Arena) -> anyhow::Result<()> {
    let begun = Instant::now();
    loop {
        match open(arena).await {
            Ok(0) => return Ok(()),
            found if begun.elapsed() > LEFT_BEHIND => {
                arena.note(match found {
                    Ok(count) => format!("{count} transactions or locks stay open"),
                    Err(error) => format!("something holds the database: {error:#}"),
                });
                return Ok(());
            }
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// How many transactions and locks are open.
async fn open(arena: &Arena) -> anyhow::Result<i64> {
    let mut look = arena.look().await?;
    Ok(match arena.engine {
        Engine::Sqlite => {
            // Refused while somebody else writes; after its time of waiting.
            look.run("PRAGMA busy_timeout = 200; BEGIN IMMEDIATE; ROLLBACK")
                .await?;
            0
        }
        Engine::Postgres => {
            let transactions = look
                .number(
                    "SELECT {text:COUNT(*)} FROM pg_stat_activity
                     WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
                       AND (xact_start IS NOT NULL OR state LIKE 'idle in transaction%')",
                )
                .await?;
            let locks = look
                .number(
                    "SELECT {text:COUNT(*)} FROM pg_locks l
                     JOIN pg_stat_activity a ON a.pid = l.pid
                     WHERE a.backend_type = 'client backend' AND l.pid <> pg_backend_pid()",
                )
                .await?;
            let prepared = look
                .number("SELECT {text:COUNT(*)} FROM pg_prepared_xacts")
                .await?;
            transactions + locks + prepared
        }
        Engine::MariaDb => {
            look.number("SELECT {text:COUNT(*)} FROM information_schema.innodb_trx")
                .await?
        }
    })
}
