//! Where the proofs of one engine happen: its database, the proxy before it, the servers, and
//! what is remembered of it all.

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::Write as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tokio::sync::{Mutex as AsyncMutex, OnceCell};

use crate::{
    client::{Client, Mutation, Token},
    database::Database,
    engine::Engine,
    look::Look,
    people::{self, Person},
    proxy::{Proxy, Weather},
    server::{self, ADMIN, Server},
};

/// The database, the servers and what is remembered. Dropped, all of it ends: the servers first.
pub(crate) struct Arena {
    pub(crate) engine: Engine,
    pub(crate) servers: Vec<Server>,
    pub(crate) weather: Arc<Weather>,
    _proxy: Option<Proxy>,
    pub(crate) database: AsyncMutex<Database>,
    url: String,
    logs: Vec<PathBuf>,
    people: OnceCell<Vec<Person>>,
    seed: u64,
    began: Instant,
    /// What was sent and answered, and the faults, in the order in which they ended.
    history: Mutex<Vec<Value>>,
    /// What should not have been seen, beside what the checks find.
    notes: Mutex<Vec<String>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Arena {
    /// Makes a database, and starts the servers on it.
    pub(crate) async fn start(
        engine: Engine,
        program: &Path,
        seed: u64,
    ) -> anyhow::Result<Arc<Self>> {
        let database = Database::start(engine).await?;
        let weather = Arc::new(Weather::calm());
        let url = database.url.clone();
        let folder = database.folder().to_owned();
        let log = folder.join("plimsoll.log");
        server::migrate(program, &url, &log).with_context(|| read(&log))?;
        server::make_admin(program, &url, &log).with_context(|| read(&log))?;
        let (proxy, servers_url) = if engine == Engine::Sqlite {
            (None, url.clone())
        } else {
            let proxy = Proxy::start(database.port, weather.clone(), seed).await?;
            let url = database.url_by(proxy.port);
            (Some(proxy), url)
        };
        let mut servers = Vec::new();
        for number in 0..engine.servers() {
            let log = folder.join(format!("server-{number}.log"));
            servers.push(Server::new(program, servers_url.clone(), log)?);
        }
        let logs = servers.iter().map(|server| server.log.clone());
        let arena = Self {
            engine,
            logs: logs.chain([folder.join("database.log")]).collect(),
            servers,
            weather,
            _proxy: proxy,
            url,
            database: AsyncMutex::new(database),
            people: OnceCell::new(),
            seed,
            began: Instant::now(),
            history: Mutex::new(Vec::new()),
            notes: Mutex::new(Vec::new()),
        };
        for server in &arena.servers {
            server.start()?;
        }
        for server in &arena.servers {
            server.ready().await.with_context(|| read(&server.log))?;
        }
        Ok(Arc::new(arena))
    }

    /// The seed of one part of the run.
    pub(crate) fn seed_of(&self, part: &str) -> u64 {
        // The same in each run of one build: it has no keys of its own.
        let mut hasher = DefaultHasher::new();
        (self.seed, self.engine.word(), part).hash(&mut hasher);
        hasher.finish()
    }

    /// How long ago the arena began.
    pub(crate) fn since(&self) -> Duration {
        self.began.elapsed()
    }

    /// A connection to the database itself.
    pub(crate) async fn look(&self) -> anyhow::Result<Look> {
        Look::at(self.engine, &self.url).await
    }

    /// The administrator's credentials.
    pub(crate) async fn log_in(self: &Arc<Self>) -> anyhow::Result<Token> {
        let mut client = Client::new(self, "login", 0);
        client.log_in(ADMIN.0, ADMIN.1).await
    }

    /// The people of this arena, made when they are first asked for.
    pub(crate) async fn people(self: &Arc<Self>, admin: &Token) -> anyhow::Result<&[Person]> {
        let people = self.people.get_or_try_init(|| people::make(self, admin));
        Ok(people.await?)
    }

    pub(crate) fn remember(&self, event: Value) {
        locked(&self.history).push(event);
    }

    /// Notes something that should not have been seen.
    pub(crate) fn note(&self, what: String) {
        locked(&self.notes).push(what);
    }

    /// The notes until now, which are then forgotten.
    pub(crate) fn take_notes(&self) -> Vec<String> {
        std::mem::take(&mut locked(&self.notes))
    }

    /// Remembers a fault that was made.
    pub(crate) fn fault(&self, what: &str) {
        self.weather.count_fault();
        let at = self.since().as_micros() as u64;
        self.remember(json!({ "fault": what, "at_us": at }));
    }

    /// Forgets the history.
    pub(crate) fn forget(&self) {
        locked(&self.history).clear();
    }

    /// Writes the history as a JSON object a line, and the logs beside it. Returns the file.
    pub(crate) fn keep_history(&self, part: &str) -> anyhow::Result<PathBuf> {
        let folder = tempfile::Builder::new()
            .prefix(&format!("plimsoll-proof-{}-{part}-", self.engine.word()))
            .tempdir()?
            .keep();
        for log in &self.logs {
            if let Some(name) = log.file_name() {
                // A log that is not there tells nothing.
                let _ = fs::copy(log, folder.join(name));
            }
        }
        let path = folder.join("history.jsonl");
        let mut file = std::io::BufWriter::new(fs::File::create(&path)?);
        for event in locked(&self.history).iter() {
            writeln!(file, "{event}")?;
        }
        file.flush()?;
        Ok(path)
    }

    /// Stops the servers as an operator does, and says which did not end well.
    pub(crate) fn stop(&self) {
        for (number, server) in self.servers.iter().enumerate() {
            if let Some(status) = server.stop()
                && !status.success()
            {
                eprintln!("server {number} ended with {status}; see its log");
            }
        }
    }
}

/// Sends a mutation that must be acknowledged, and returns its record.
pub(crate) async fn must(
    client: &mut Client,
    token: &Token,
    mutation: Mutation,
) -> anyhow::Result<Value> {
    let sent = client.send(token, mutation).await;
    match sent.done() {
        Some(record) => Ok(record.clone()),
        None => bail!("{}: {:?}", sent.named(), sent.outcome),
    }
}

/// The end of a log.
fn read(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}
