//! A database of its own for every test, on each engine that is at hand.
//!
//! SQLite is always at hand. PostgreSQL and MariaDB are at hand when
//! `TEST_POSTGRES_URL` or `TEST_MARIADB_URL` names an account that may create
//! databases, or when the server's binaries are installed: then one throwaway
//! server is started, shared by all test processes, and ended soon after the
//! last of them. Where an engine is not at hand its tests pass without running,
//! and each test binary says so on one line of stderr, unless
//! `PLIMSOLL_TEST_ENGINES` is `required`: then such a test fails.
//!
//! The migrations run once for each fingerprint of them. A test gets a copy of
//! what they made: a copied file on SQLite, a template on PostgreSQL, a
//! replayed dump on MariaDB.

mod mariadb;
mod place;
mod postgres;
mod sqlite;
#[cfg(unix)]
mod throwaway;

#[cfg(test)]
mod tests;

use std::fmt;
use std::fs::File;
use std::hash::{BuildHasher, DefaultHasher, Hasher, RandomState};
use std::io::Write;
use std::sync::Once;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;
use tokio::sync::OnceCell;

/// How long a test database that nobody removed is left alone: longer than any
/// test runs, so only databases of killed tests are older.
const ABANDONED_AFTER: Duration = Duration::from_secs(60 * 60);

/// How long what the migrations made is kept for a fingerprint, so that a
/// server which is never thrown away does not gather templates for ever.
const TEMPLATE_KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Part of every template's key: raise it when what a template holds changes,
/// and templates of an older form are no longer found.
const TEMPLATE_FORM: u8 = 1;

/// The database engines that Plimsoll runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Engine {
    Sqlite,
    Postgres,
    MariaDb,
}

impl Engine {
    /// Every engine, from the one that is always at hand.
    pub const ALL: [Engine; 3] = [Engine::Sqlite, Engine::Postgres, Engine::MariaDb];

    /// The environment variable that names a running server of this engine;
    /// `None` for SQLite, which has no server.
    pub const fn variable(self) -> Option<&'static str> {
        match self {
            Engine::Sqlite => None,
            Engine::Postgres => Some("TEST_POSTGRES_URL"),
            Engine::MariaDb => Some("TEST_MARIADB_URL"),
        }
    }

    /// Whether tests can be expected to run on this engine: a server is named or
    /// its binaries are installed. Starts nothing.
    pub fn is_at_hand(self) -> bool {
        self == Engine::Sqlite || self.given().is_some() || self.is_installed()
    }

    /// The URL of the server that the environment names.
    fn given(self) -> Option<String> {
        let url = std::env::var(self.variable()?).ok()?;
        (!url.is_empty()).then_some(url)
    }

    #[cfg(unix)]
    fn is_installed(self) -> bool {
        throwaway::Binaries::find(self).is_some()
    }

    /// Throwaway servers need file locks and users as Unix has them.
    #[cfg(not(unix))]
    fn is_installed(self) -> bool {
        false
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Engine::Sqlite => "SQLite",
            Engine::Postgres => "PostgreSQL",
            Engine::MariaDb => "MariaDB",
        })
    }
}

/// A database that belongs to one test. Dropped, it is removed, also while
/// connections to it are open; a test that was killed leaves it behind, and a
/// later test run removes it after an hour.
#[derive(Debug)]
pub struct TestDatabase {
    pub engine: Engine,
    /// What SeaORM and sqlx connect to.
    pub url: String,
    home: Home,
}

/// Where a test database lives, and so what is removed with it.
#[derive(Debug)]
enum Home {
    /// Removes the folder when dropped.
    Folder { _folder: TempDir },
    Server {
        server: &'static str,
        name: Option<String>,
    },
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let Home::Server { server, name } = &mut self.home else {
            return;
        };
        let (engine, server, name) = (self.engine, *server, name.take().unwrap_or_default());
        // A drop cannot await, and the runtime around it may have only this
        // thread, so the removal gets a thread and a runtime of its own.
        let removal = std::thread::spawn(move || -> anyhow::Result<()> {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?
                .block_on(remove(engine, server, &name))
        });
        match removal.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => say(&format!(
                "a test database on {engine} stays behind: {error:#}"
            )),
            Err(_) => say(&format!(
                "a test database on {engine} stays behind: its removal panicked"
            )),
        }
    }
}

/// A database that holds what `prepare` makes; `None` if the engine is not at
/// hand.
///
/// `prepare` gets the URL of an empty database, and closes its connections
/// before it returns. It runs once for each `fingerprint`; every other test
/// gets a copy, rows included. The copies outlive the process, so the
/// fingerprint has to change whenever `prepare` would make something else: hash
/// the migrations' sources into it.
///
/// # Panics
///
/// If the engine is not at hand although `PLIMSOLL_TEST_ENGINES` is `required`,
/// if the server that the environment names does not answer, or if `prepare`
/// fails.
pub async fn database<P, F>(engine: Engine, fingerprint: &str, prepare: P) -> Option<TestDatabase>
where
    P: FnOnce(String) -> F,
    F: Future<Output = anyhow::Result<()>>,
{
    let key = key(fingerprint);
    let made = match engine {
        Engine::Sqlite => sqlite::copy(&key, prepare).await.map(in_folder),
        Engine::Postgres => {
            let server = server(engine).await?;
            let name = postgres::copy(server, &key, prepare).await;
            name.map(|name| on_server(engine, server, name))
        }
        Engine::MariaDb => {
            let server = server(engine).await?;
            let name = mariadb::copy(server, &key, prepare).await;
            name.map(|name| on_server(engine, server, name))
        }
    };
    Some(made.unwrap_or_else(|error| panic!("no test database on {engine}: {error:#}")))
}

/// A database with nothing in it, for tests of the migrations themselves;
/// `None` if the engine is not at hand.
///
/// # Panics
///
/// As [`database`] does.
pub async fn empty_database(engine: Engine) -> Option<TestDatabase> {
    let made = match engine {
        Engine::Sqlite => sqlite::empty().map(in_folder),
        Engine::Postgres => {
            let server = server(engine).await?;
            let name = postgres::empty(server).await;
            name.map(|name| on_server(engine, server, name))
        }
        Engine::MariaDb => {
            let server = server(engine).await?;
            let name = mariadb::empty(server).await;
            name.map(|name| on_server(engine, server, name))
        }
    };
    Some(made.unwrap_or_else(|error| panic!("no test database on {engine}: {error:#}")))
}

/// Makes one test per engine, `name::sqlite`, `name::postgres` and
/// `name::mariadb`, from one async body.
///
/// The body gets what a function makes for the engine, `async fn(Engine) ->
/// Option<T>`; where that is `None` the test passes without running. The
/// function is `setup` of this crate, unless the first line names another one:
///
/// ```text
/// on_every_engine! {
///     with crate::posts_and_people;
///
///     async fn the_second_rename_is_refused(db) { … }
///
///     /// A body may use `?` when it says what it returns.
///     async fn a_deleted_post_is_not_found(mut db) -> anyhow::Result<()> { … }
///
///     // Of an engine on which it cannot happen, nothing is claimed.
///     async fn a_lost_commit_is_told(db) on [Postgres, MariaDb] { … }
/// }
/// ```
#[macro_export]
macro_rules! on_every_engine {
    (with $setup:path; $($rest:tt)*) => {
        $crate::on_every_engine! { @tests ($setup) $($rest)* }
    };
    (@tests ($setup:path)) => {};
    (@tests ($setup:path)
        $(#[$meta:meta])*
        async fn $name:ident($db:pat_param) on [$($engine:ident),+] $body:block
        $($rest:tt)*
    ) => {
        $crate::on_every_engine! { @test ($setup) [$(#[$meta])*] $name ($db) [$($engine)+] $body }
        $crate::on_every_engine! { @tests ($setup) $($rest)* }
    };
    (@tests ($setup:path)
        $(#[$meta:meta])*
        async fn $name:ident($db:pat_param) $(-> $outcome:ty)? $body:block
        $($rest:tt)*
    ) => {
        $crate::on_every_engine! {
            @test ($setup) [$(#[$meta])*] $name ($db) [Sqlite Postgres MariaDb] $(-> $outcome)? $body
        }
        $crate::on_every_engine! { @tests ($setup) $($rest)* }
    };
    (@test ($setup:path) $metas:tt $name:ident ($db:pat_param) [$($engine:ident)+]
        $(-> $outcome:ty)? $body:block
    ) => {
        // One function for all engines, so that the body is compiled once.
        #[cfg(test)]
        async fn $name(
            engine: $crate::engines::Engine,
        ) -> ::core::option::Option<impl ::std::process::Termination> {
            let $db = $setup(engine).await?;
            let body = async move || $(-> $outcome)? { $body };
            ::core::option::Option::Some(body().await)
        }

        #[cfg(test)]
        mod $name {
            $($crate::on_every_engine! { @engine $engine $metas $name })+
        }
    };
    (@engine Sqlite [$($meta:tt)*] $name:ident) => {
        $($meta)*
        #[test]
        fn sqlite() {
            $crate::engines::run(super::$name($crate::engines::Engine::Sqlite));
        }
    };
    (@engine Postgres [$($meta:tt)*] $name:ident) => {
        $($meta)*
        #[test]
        fn postgres() {
            $crate::engines::run(super::$name($crate::engines::Engine::Postgres));
        }
    };
    (@engine MariaDb [$($meta:tt)*] $name:ident) => {
        $($meta)*
        #[test]
        fn mariadb() {
            $crate::engines::run(super::$name($crate::engines::Engine::MariaDb));
        }
    };
    (@tests $($rest:tt)*) => {
        ::core::compile_error!("on_every_engine! takes `async fn name(pattern) { … }`");
    };
    ($($rest:tt)*) => {
        $crate::on_every_engine! { @tests ($crate::setup) $($rest)* }
    };
}

/// Runs the body of a test of [`on_every_engine!`] on a runtime with two
/// threads, so that tasks of one test really run beside each other.
///
/// # Panics
///
/// If the body returns an error.
#[doc(hidden)]
pub fn run<T: std::process::Termination>(body: impl Future<Output = Option<T>>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime starts");
    let outcome = runtime.block_on(body);
    // A body that left blocking work behind must not hold up the next test.
    runtime.shutdown_timeout(Duration::from_secs(10));
    if let Some(outcome) = outcome {
        let code = outcome.report();
        assert!(
            code == std::process::ExitCode::SUCCESS,
            "the test returned an error, printed above"
        );
    }
}

/// The URL of this engine's server, which stays up for as long as this process
/// runs; `None` if there is none.
async fn server(engine: Engine) -> Option<&'static str> {
    static POSTGRES: OnceCell<Option<Server>> = OnceCell::const_new();
    static MARIADB: OnceCell<Option<Server>> = OnceCell::const_new();

    say_what_is_missing();
    let cell = match engine {
        Engine::Sqlite => return None,
        Engine::Postgres => &POSTGRES,
        Engine::MariaDb => &MARIADB,
    };
    let server = cell
        .get_or_init(async || match engine.given() {
            Some(url) => Some(Server { url, _used: None }),
            None => started(engine).await,
        })
        .await;
    let url = server.as_ref().map(|server| server.url.as_str());
    assert!(
        url.is_some() || std::env::var("PLIMSOLL_TEST_ENGINES").as_deref() != Ok("required"),
        "{engine} is not at hand, and PLIMSOLL_TEST_ENGINES=required asks for every engine",
    );
    url
}

/// A server that tests may make databases on.
#[derive(Debug)]
struct Server {
    url: String,
    /// Locked while this process uses a throwaway server, which ends when
    /// nobody holds the lock any longer.
    _used: Option<File>,
}

/// The throwaway server, started if need be; `None`, with a line that says why,
/// if the installed binaries do not make one.
#[cfg(unix)]
async fn started(engine: Engine) -> Option<Server> {
    let binaries = throwaway::Binaries::find(engine)?;
    match throwaway::join(&binaries).await {
        Ok(server) => Some(server),
        Err(error) => {
            say(&format!(
                "{engine} is installed but does not start, so its tests are skipped: {error:#}"
            ));
            None
        }
    }
}

#[cfg(not(unix))]
async fn started(_: Engine) -> Option<Server> {
    None
}

async fn remove(engine: Engine, server: &str, name: &str) -> anyhow::Result<()> {
    match engine {
        Engine::Sqlite => Ok(()),
        Engine::Postgres => postgres::remove(server, name).await,
        Engine::MariaDb => mariadb::remove(server, name).await,
    }
}

fn in_folder((url, folder): (String, TempDir)) -> TestDatabase {
    TestDatabase {
        engine: Engine::Sqlite,
        url,
        home: Home::Folder { _folder: folder },
    }
}

fn on_server(engine: Engine, server: &'static str, name: String) -> TestDatabase {
    TestDatabase {
        engine,
        url: with_database(server, &name),
        home: Home::Server {
            server,
            name: Some(name),
        },
    }
}

/// Names the engines that are not at hand, once per process.
fn say_what_is_missing() {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        let missing: Vec<_> = Engine::ALL
            .into_iter()
            .filter(|engine| !engine.is_at_hand())
            .collect();
        if let Some(line) = missing_line(&missing) {
            say(&line);
        }
    });
}

/// The line that names engines that are not at hand; `None` if all are.
fn missing_line(missing: &[Engine]) -> Option<String> {
    let names: Vec<_> = missing.iter().map(ToString::to_string).collect();
    let variables: Vec<_> = missing.iter().filter_map(|it| it.variable()).collect();
    (!missing.is_empty()).then(|| {
        format!(
            "not at hand, so tests on it are skipped: {} (install the server, or set {})",
            names.join(", "),
            variables.join(", "),
        )
    })
}

/// Writes a line to stderr. The printing macros would not do: the test harness
/// keeps what they print in a passing test to itself.
fn say(line: &str) {
    let line = format!("plimsoll-testkit: {}\n", line.trim_end());
    // Without stderr there is nobody to tell.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// The server's URL, pointing at another database of it.
fn with_database(server: &str, name: &str) -> String {
    let (address, options) = match server.split_once('?') {
        Some((address, options)) => (address, format!("?{options}")),
        None => (server, String::new()),
    };
    let host = address.find("://").map_or(0, |at| at + 3);
    let end = address[host..]
        .find('/')
        .map_or(address.len(), |at| host + at);
    format!("{}/{name}{options}", &address[..end])
}

/// What a fingerprint's template goes by: 16 hexadecimal digits. A Rust release
/// may hash differently; then a template is made again, and no test notices.
fn key(fingerprint: &str) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write_u8(TEMPLATE_FORM);
    hasher.write(fingerprint.as_bytes());
    format!("{:016x}", hasher.finish())
}

/// A name that no other database on any server has. It says when it was made,
/// so that [`age`] can tell which ones were left behind.
fn new_name() -> String {
    let nonce = RandomState::new().hash_one(std::process::id());
    format!("plimsoll_test_{:x}_{nonce:016x}", now().as_secs())
}

/// How long ago a name was made that starts with `prefix` and goes on as
/// [`new_name`]'s do; `None` for any other name, which is none of ours.
fn age(name: &str, prefix: &str) -> Option<Duration> {
    let (made, rest) = name.strip_prefix(prefix)?.split_once('_')?;
    let is_ours = rest.len() == 16 && rest.bytes().all(|byte| byte.is_ascii_hexdigit());
    let made = Duration::from_secs(u64::from_str_radix(made, 16).ok()?);
    is_ours.then(|| now().saturating_sub(made))
}

fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}
