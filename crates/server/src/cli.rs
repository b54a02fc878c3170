//! The command line.

use std::{
    io::{IsTerminal as _, Read as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use chrono::Utc;
use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};
use indicatif::{ProgressBar, ProgressStyle};
use plimsoll_domain::{
    self as domain, Options, Request, Retention, Role, Settings, Store, Viewer,
    import::{Made, Summary},
    seed::Amounts,
};
use plimsoll_graphql::{Api, limits::Limits};
use plimsoll_migration::{MigrationError, Schema};
use tracing_subscriber::EnvFilter;
use uuid::Uuid;

use crate::{
    app::{App, router},
    graphiql,
    graphql_http::HttpLimits,
    serve,
};

/// The database of who names none.
const DEMO_FILE: &str = "plimsoll.db";

/// A GraphQL backend for people who publish and sell.
///
/// Without a word, `plimsoll` serves. Without a database named, it makes a small demo in the
/// file plimsoll.db.
#[derive(Debug, Parser)]
#[command(name = "plimsoll", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(flatten)]
    serve: Serve,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer GraphQL requests (also without a word)
    Serve(Serve),
    /// Bring the database's schema up or down
    Migrate {
        #[command(subcommand)]
        step: Migrate,
    },
    /// Fill the database with made-up rows, the same for each seed
    Seed(Seed),
    /// Import a folder of Markdown posts with front matter (TOML or YAML)
    Import(Import),
    /// Manage users
    User {
        #[command(subcommand)]
        command: UserCommand,
    },
    /// Print the GraphQL schema
    Schema,
}

#[derive(Debug, Subcommand)]
enum Migrate {
    /// Apply every step that the database lacks
    Up(Database),
    /// Take the last step back: what its tables hold is lost
    Down {
        #[command(flatten)]
        database: Database,
        /// How many steps
        #[arg(
            short = 'n',
            long,
            env = "PLIMSOLL_STEPS",
            default_value_t = 1,
            value_name = "N"
        )]
        steps: u32,
    },
    /// Show every step, and whether the database has it
    Status(Database),
    /// Drop every table and apply every step: ALL DATA IS LOST
    Fresh(Database),
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Make a user; prints a random password unless one is given
    Create(CreateUser),
}

#[derive(Clone, Debug, Args)]
struct Database {
    /// sqlite:FILE, postgres://USER@HOST/NAME or mysql://USER@HOST/NAME (for MariaDB, too)
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: Option<String>,
    /// The most connections to the database, half of them for writing; on SQLite, the most that read
    #[arg(
        long,
        env = "PLIMSOLL_MAX_CONNECTIONS",
        value_parser = value_parser!(u32).range(1..=10_000),
        default_value_t = 10,
        value_name = "N"
    )]
    max_connections: u32,
    /// Seconds that one SQL statement may take
    #[arg(
        long,
        env = "PLIMSOLL_STATEMENT_TIMEOUT",
        value_parser = value_parser!(u32).range(1..=86_400),
        default_value_t = 10,
        value_name = "SECONDS"
    )]
    statement_timeout: u32,
    /// Seconds that one transaction may take
    #[arg(
        long,
        env = "PLIMSOLL_TRANSACTION_TIMEOUT",
        value_parser = value_parser!(u32).range(1..=86_400),
        default_value_t = 20,
        value_name = "SECONDS"
    )]
    transaction_timeout: u32,
}

#[derive(Clone, Debug, Args)]
struct Serve {
    #[command(flatten)]
    database: Database,
    /// Where to listen
    #[arg(
        long,
        env = "PLIMSOLL_LISTEN",
        default_value = "127.0.0.1:8000",
        value_name = "ADDRESS"
    )]
    listen: SocketAddr,
    /// Migrate the database first; several instances may do so at once
    #[arg(
        long,
        env = "PLIMSOLL_MIGRATE",
        num_args = 0..=1,
        value_parser = clap::builder::BoolishValueParser::new(),
        default_value_t = false,
        default_missing_value = "true",
        value_name = "true|false"
    )]
    migrate: bool,
    /// Days that a deleted record is kept before it may be purged
    #[arg(
        long,
        env = "PLIMSOLL_RETENTION_DAYS",
        value_parser = value_parser!(u32).range(0..=36_500),
        default_value_t = 30,
        value_name = "DAYS"
    )]
    retention_days: u32,
    /// Days that a login lasts
    #[arg(
        long,
        env = "PLIMSOLL_LOGIN_DAYS",
        value_parser = value_parser!(u32).range(1..=3_650),
        default_value_t = 14,
        value_name = "DAYS"
    )]
    login_days: u32,
    /// Bytes of a request's body
    #[arg(long, env = "PLIMSOLL_MAX_BODY", default_value_t = HttpLimits::default().body, value_name = "BYTES")]
    max_body: usize,
    /// Bytes of a GraphQL document, without its variables
    #[arg(long, env = "PLIMSOLL_MAX_DOCUMENT", default_value_t = HttpLimits::default().request.bytes, value_name = "BYTES")]
    max_document: usize,
    /// Tokens of a GraphQL document
    #[arg(long, env = "PLIMSOLL_MAX_TOKENS", default_value_t = HttpLimits::default().request.tokens, value_name = "N")]
    max_tokens: usize,
    /// Levels of nesting in a GraphQL document
    #[arg(long, env = "PLIMSOLL_MAX_DEPTH", default_value_t = HttpLimits::default().request.depth, value_name = "N")]
    max_depth: usize,
    /// Fields of a GraphQL document, after its fragments are spread
    #[arg(long, env = "PLIMSOLL_MAX_FIELDS", default_value_t = HttpLimits::default().request.fields, value_name = "N")]
    max_fields: usize,
    /// Values in a GraphQL document's arguments and variables
    #[arg(long, env = "PLIMSOLL_MAX_VALUES", default_value_t = HttpLimits::default().request.values, value_name = "N")]
    max_values: usize,
    /// Fields at the root of one GraphQL operation
    #[arg(long, env = "PLIMSOLL_MAX_ROOTS", default_value_t = HttpLimits::default().request.roots, value_name = "N")]
    max_roots: usize,
    /// What one GraphQL operation may cost: about the number of records it could answer with
    #[arg(long, env = "PLIMSOLL_MAX_COST", default_value_t = plimsoll_graphql::DEFAULT_MAX_COST, value_name = "N")]
    max_cost: usize,
    /// Seconds that one request may take
    #[arg(
        long,
        env = "PLIMSOLL_DEADLINE",
        value_parser = value_parser!(u32).range(1..=86_400),
        default_value_t = 30,
        value_name = "SECONDS"
    )]
    deadline: u32,
    /// Seconds to wait for requests and writes under way when told to stop
    #[arg(
        long,
        env = "PLIMSOLL_GRACE",
        value_parser = value_parser!(u32).range(0..=86_400),
        default_value_t = 25,
        value_name = "SECONDS"
    )]
    grace: u32,
    /// Write the log as JSON
    #[arg(long, env = "PLIMSOLL_LOG_JSON", default_value_t = false)]
    log_json: bool,
}

#[derive(Debug, Args)]
struct Seed {
    #[command(flatten)]
    database: Database,
    /// How many users
    #[arg(
        long,
        env = "PLIMSOLL_SEED_USERS",
        default_value_t = 100,
        value_name = "N"
    )]
    users: u32,
    /// How many posts
    #[arg(
        long,
        env = "PLIMSOLL_SEED_POSTS",
        default_value_t = 1000,
        value_name = "N"
    )]
    posts: u32,
    /// Which rows: the same seed makes the same rows
    #[arg(long, env = "PLIMSOLL_SEED", default_value_t = 1, value_name = "S")]
    seed: u64,
}

#[derive(Debug, Args)]
struct Import {
    #[command(flatten)]
    database: Database,
    /// The folder with the posts
    #[arg(value_name = "DIR", env = "PLIMSOLL_IMPORT_DIR")]
    dir: PathBuf,
    /// What the folder is called, for finding its posts again; its full path unless given
    #[arg(long, env = "PLIMSOLL_IMPORT_SOURCE", value_name = "NAME")]
    source: Option<String>,
}

#[derive(Debug, Args)]
struct CreateUser {
    #[command(flatten)]
    database: Database,
    /// The address that they log in with
    #[arg(long, env = "PLIMSOLL_USER_EMAIL")]
    email: String,
    /// What they are called; the part of the address before the @ unless given
    #[arg(long, env = "PLIMSOLL_USER_NAME")]
    name: Option<String>,
    /// What they may do
    #[arg(long, env = "PLIMSOLL_USER_ROLE", value_enum, default_value = "user")]
    role: RoleArgument,
    /// Read the password from standard input
    #[arg(long, env = "PLIMSOLL_USER_PASSWORD_STDIN", default_value_t = false)]
    password_stdin: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum RoleArgument {
    User,
    Moderator,
    Admin,
}

/// Why a command ended early.
enum Failure {
    /// The configuration is wrong: exit code 2.
    Configuration(String),
    /// Something went wrong on the way: exit code 1.
    Trouble(String),
}

type Outcome = Result<(), Failure>;

fn configuration(message: impl ToString) -> Failure {
    Failure::Configuration(message.to_string())
}

fn trouble(message: impl ToString) -> Failure {
    Failure::Trouble(message.to_string())
}

/// Runs the command that the program was called with. Returns its exit code: 0 when all went
/// well, 2 when the configuration is wrong, 1 for anything else.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let command = cli.command.unwrap_or(Command::Serve(cli.serve));
    let json = matches!(&command, Command::Serve(serve) if serve.log_json);
    log(json);
    let outcome = match command {
        Command::Schema => {
            print!("{}", plimsoll_graphql::sdl());
            Ok(())
        }
        other => match tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
        {
            Ok(runtime) => runtime.block_on(execute(other)),
            Err(error) => Err(trouble(format!("cannot start: {error}"))),
        },
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Configuration(message)) => {
            eprintln!("plimsoll: {message}");
            ExitCode::from(2)
        }
        Err(Failure::Trouble(message)) => {
            eprintln!("plimsoll: {message}");
            ExitCode::from(1)
        }
    }
}

async fn execute(command: Command) -> Outcome {
    match command {
        Command::Serve(serve) => serve_command(serve).await,
        Command::Migrate { step } => migrate(step).await,
        Command::Seed(seed) => seed_command(seed).await,
        Command::Import(import) => import_command(import).await,
        Command::User {
            command: UserCommand::Create(create),
        } => create_user(create).await,
        // Printed without a runtime.
        Command::Schema => Ok(()),
    }
}

fn log(json: bool) {
    let filter = EnvFilter::try_from_env("PLIMSOLL_LOG")
        .unwrap_or_else(|_| EnvFilter::new("warn,plimsoll_server=info"));
    // Colours are for terminals; https://no-color.org says how to do without them there.
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(!plain && std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    if json {
        builder.json().init()
    } else {
        builder.with_target(false).compact().init()
    }
}

impl Database {
    /// The URL that was given, if any was.
    fn given(&self) -> Result<Option<String>, Failure> {
        match self.database_url.as_deref() {
            // Nobody who names a database in vain means the demo.
            Some("") => Err(configuration(
                "DATABASE_URL is empty; name a database with it, or do not set it",
            )),
            given => Ok(given.map(str::to_owned)),
        }
    }

    /// The URL that was given.
    fn url(&self) -> Result<String, Failure> {
        self.given()?.ok_or_else(|| {
            configuration(
                "name a database with --database-url or DATABASE_URL: sqlite:FILE, \
                 postgres://USER@HOST/NAME or mysql://USER@HOST/NAME",
            )
        })
    }

    /// The URL that was given, or the demo's file if it is there.
    fn url_or_demo(&self) -> Result<String, Failure> {
        if self.given()?.is_none() && Path::new(DEMO_FILE).exists() {
            return Ok(file_url(DEMO_FILE));
        }
        self.url()
    }

    fn options(&self) -> Options {
        Options {
            max_connections: self.max_connections,
            statement_timeout: Duration::from_secs(self.statement_timeout.into()),
            transaction_timeout: Duration::from_secs(self.transaction_timeout.into()),
            ..Options::default()
        }
    }

    /// Connects to a database whose schema is up to date.
    async fn store(&self, url: &str, settings: Settings) -> Result<Store, Failure> {
        let pending = check_schema(url).await?;
        if !pending.is_empty() {
            return Err(configuration(unmigrated(&pending)));
        }
        Store::connect(url, self.options(), settings)
            .await
            .map_err(configuration)
    }
}

fn file_url(file: &str) -> String {
    format!("sqlite:{file}")
}

fn unmigrated(pending: &[String]) -> String {
    format!(
        "the database is not migrated, it lacks {}; run `plimsoll migrate up`, or serve with \
         --migrate",
        pending.join(", ")
    )
}

fn migrating_failed(error: impl std::borrow::Borrow<MigrationError>) -> Failure {
    trouble(format!(
        "migrating failed: {}",
        plimsoll_migration::explain(error.borrow())
    ))
}

/// The steps that the database lacks.
async fn check_schema(url: &str) -> Result<Vec<String>, Failure> {
    let schema = connect_schema(url, false).await?;
    let pending = pending(&schema).await?;
    // Nothing was written: a failure to close loses nothing.
    let _ = schema.close().await;
    Ok(pending)
}

/// The steps that the database lacks; it must have none that this program does not know.
async fn pending(schema: &Schema) -> Result<Vec<String>, Failure> {
    let pending = schema.pending().await;
    pending.map_err(|error| configuration(plimsoll_migration::explain(&error)))
}

/// Connects for migrating, once the URL is known to be good.
async fn connect_schema(url: &str, create: bool) -> Result<Schema, Failure> {
    // MariaDB and MySQL connect without a database as well, and then know no table.
    if let Some((_, rest)) = url
        .split_once("://")
        .filter(|(scheme, _)| ["mysql", "mariadb"].contains(scheme))
    {
        let place = rest.split('?').next().unwrap_or_default();
        let name = place.split_once('/').map_or("", |(_, name)| name);
        if name.is_empty() {
            return Err(configuration(
                "the database URL names no database: mysql://USER@HOST/NAME",
            ));
        }
    }
    let options = Options {
        max_connections: 1,
        create_missing: create,
        ..Options::default()
    };
    // The record layer knows the better words for what is wrong with a URL or a server.
    let probe = Store::connect(url, options, Settings::default())
        .await
        .map_err(configuration)?;
    probe.database().close().await;
    Schema::connect(url, create)
        .await
        .map_err(|e| configuration(format!("no connection to the database: {e}")))
}

async fn serve_command(serve: Serve) -> Outcome {
    let settings = Settings {
        retention: Retention(chrono::Duration::days(serve.retention_days.into())),
        session_lifetime: chrono::Duration::days(serve.login_days.into()),
    };
    let given = serve.database.given()?;
    // The port first: nothing is made for a server that cannot run.
    let listener = serve::listen(serve.listen).await.map_err(configuration)?;
    let address = listener.local_addr().map_err(trouble)?;
    let (store, demo_password) = if let Some(url) = given {
        if serve.migrate {
            migrate_up(&url).await?;
        }
        (serve.database.store(&url, settings).await?, None)
    } else {
        let (store, password) = demo(&serve, settings).await?;
        (store, Some(password))
    };
    // From here on a signal ends the program well.
    let signals = serve::Signals::listen().map_err(trouble)?;
    println!("Plimsoll is at http://{address}");
    if let Some(password) = demo_password {
        match password {
            Some(password) => {
                println!("  database  {DEMO_FILE}, new, with a small demo publication");
                println!("  login     {}", domain::demo::ADMIN_EMAIL);
                println!("  password  {password}   (shown this once)");
            }
            None => println!("  database  {DEMO_FILE}, as it was"),
        }
    }
    if !graphiql::is_embedded() {
        println!(
            "  GraphiQL  comes from a CDN; for a page that needs no network, build web/ and then \
             the binary (see README)"
        );
    }
    let limits = HttpLimits {
        body: serve.max_body,
        request: Limits {
            bytes: serve.max_document,
            tokens: serve.max_tokens,
            depth: serve.max_depth,
            fields: serve.max_fields,
            values: serve.max_values,
            roots: serve.max_roots,
        },
        ..HttpLimits::default()
    };
    let app = App {
        api: Api::new(store.clone(), serve.max_cost),
        limits,
        deadline: Duration::from_secs(serve.deadline.into()),
    };
    let grace = Duration::from_secs(serve.grace.into());
    serve::serve(listener, router(app), store, signals, grace)
        .await
        .map_err(|e| trouble(format!("serving failed: {e}")))
}

async fn migrate_up(url: &str) -> Outcome {
    let schema = connect_schema(url, true).await?;
    pending(&schema).await?;
    schema.up().await.map_err(migrating_failed)?;
    schema.close().await.map_err(migrating_failed)
}

/// The demo's database: made, migrated and filled if it is not there yet. Returns the
/// administrator's password if it is new.
async fn demo(serve: &Serve, settings: Settings) -> Result<(Store, Option<String>), Failure> {
    let mut password = None;
    if !Path::new(DEMO_FILE).exists() {
        password = Some(make_demo(serve, settings).await?);
    }
    let store = serve.database.store(&file_url(DEMO_FILE), settings).await?;
    Ok((store, password))
}

/// Makes the demo's file. It gets its name when it is whole, so that a start that was cut short
/// leaves none behind that would pass for a demo.
async fn make_demo(serve: &Serve, settings: Settings) -> Result<String, Failure> {
    let part = format!("{DEMO_FILE}.part-{}", std::process::id());
    let url = file_url(&part);
    let made = async {
        migrate_up(&url).await?;
        let store = serve.database.store(&url, settings).await?;
        let password = domain::demo::fill(&store, &system()).await;
        store.database().close().await;
        let password = password.map_err(trouble)?;
        // Once the last connection is closed, all of it is in the one file.
        std::fs::rename(&part, DEMO_FILE)
            .map_err(|error| trouble(format!("cannot make {DEMO_FILE}: {error}")))?;
        Ok(password)
    };
    let made = made.await;
    if made.is_err() {
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{part}{end}"));
        }
    }
    made
}

async fn migrate(step: Migrate) -> Outcome {
    let (database, create) = match &step {
        Migrate::Up(database) | Migrate::Fresh(database) => (database, true),
        Migrate::Status(database) | Migrate::Down { database, .. } => (database, false),
    };
    let schema = connect_schema(&database.url()?, create).await?;
    if !matches!(step, Migrate::Fresh(_)) {
        pending(&schema).await?;
    }
    let done = match &step {
        Migrate::Up(_) => schema.up().await,
        Migrate::Down { steps, .. } => schema.down(*steps).await,
        Migrate::Fresh(_) => schema.fresh().await,
        Migrate::Status(_) => Ok(()),
    };
    done.map_err(migrating_failed)?;
    for step in schema.steps().await.map_err(migrating_failed)? {
        println!(
            "{}  {}",
            if step.applied { "applied" } else { "pending" },
            step.name
        );
    }
    schema.close().await.map_err(migrating_failed)
}

async fn seed_command(seed: Seed) -> Outcome {
    let store = seed
        .database
        .store(&seed.database.url_or_demo()?, Settings::default())
        .await?;
    let bar = bar(seed.posts.into());
    let amounts = Amounts {
        users: seed.users,
        posts: seed.posts,
    };
    let done = domain::seed::run(&store, amounts, seed.seed, |posts| {
        bar.set_position(posts.into());
    })
    .await;
    bar.finish_and_clear();
    store.database().close().await;
    match done {
        Ok(()) => {
            println!(
                "Seeded {} users and {} posts from seed {}.",
                seed.users, seed.posts, seed.seed
            );
            Ok(())
        }
        Err(domain::Error::AlreadyExists { .. }) => Err(trouble(format!(
            "seed {} is in this database already, in whole or in part; choose another with --seed",
            seed.seed
        ))),
        Err(error) => Err(explain(error)),
    }
}

async fn import_command(import: Import) -> Outcome {
    let store = import
        .database
        .store(&import.database.url_or_demo()?, Settings::default())
        .await?;
    let dir = import.dir.canonicalize().map_err(|e| {
        configuration(format!(
            "the folder {} cannot be read: {e}",
            import.dir.display()
        ))
    })?;
    if !dir.is_dir() {
        return Err(configuration(format!(
            "{} is not a folder",
            import.dir.display()
        )));
    }
    let source = import.source.unwrap_or_else(|| dir.display().to_string());
    let bar = bar(0);
    let begun = std::time::Instant::now();
    let done = domain::import::run(&store, &system(), &dir, &source, |files, all| {
        bar.set_length(all as u64);
        bar.set_position(files as u64);
    })
    .await;
    bar.finish_and_clear();
    store.database().close().await;
    let summary = done.map_err(explain)?;
    report(&summary, begun.elapsed());
    if summary.failed.is_empty() {
        Ok(())
    } else {
        Err(trouble(format!(
            "{} could not be imported",
            count(summary.failed.len(), "file")
        )))
    }
}

fn report(summary: &Summary, took: Duration) {
    let list = |title: &str, entries: &[(String, String)]| {
        if !entries.is_empty() {
            println!("{title}");
            for (path, reason) in entries {
                println!("  {path}: {reason}");
            }
        }
    };
    println!(
        "{} in {:.1} s",
        count(summary.files, "file"),
        took.as_secs_f64()
    );
    println!("  created     {}", summary.created);
    println!("  updated     {}", summary.updated);
    println!("  unchanged   {}", summary.unchanged);
    println!("  left alone  {}", summary.left_alone.len());
    println!("  not posts   {}", summary.not_posts.len());
    println!("  failed      {}", summary.failed.len());
    let made = summary.made;
    if made != Made::default() {
        println!(
            "New beside the posts: {}, {}, {}.",
            count(made.users, "author"),
            if made.categories == 1 {
                "1 category".to_owned()
            } else {
                format!("{} categories", made.categories)
            },
            count(made.tags, "tag")
        );
    }
    if summary.changed_nothing() {
        println!("Nothing changed.");
    }
    if summary.categories_as_tags > 0 {
        println!(
            "With several categories: {}; the first is the category, the others are tags.",
            count(summary.categories_as_tags, "post")
        );
    }
    list(
        "Their slug was taken, so they got another:",
        &summary.renamed,
    );
    list("Left alone:", &summary.left_alone);
    list("Not posts:", &summary.not_posts);
    list("Failed:", &summary.failed);
    let counts = |counts: &std::collections::BTreeMap<String, usize>| {
        let parts: Vec<String> = counts
            .iter()
            .map(|(what, n)| format!("{what} ({n})"))
            .collect();
        parts.join(", ")
    };
    if !summary.unused.is_empty() {
        println!(
            "Fields that a post has no place for: {}.",
            counts(&summary.unused)
        );
    }
    if !summary.others.is_empty() {
        println!("Other files, not read: {}.", counts(&summary.others));
    }
    if summary.hidden > 0 {
        println!("Hidden files and folders, not read: {}.", summary.hidden);
    }
    if summary.gone > 0 {
        println!(
            "From files that are not there any longer: {}, kept.",
            count(summary.gone, "post")
        );
    }
}

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

async fn create_user(create: CreateUser) -> Outcome {
    let store = create
        .database
        .store(&create.database.url_or_demo()?, Settings::default())
        .await?;
    let (password, shown) = if create.password_stdin {
        let mut text = String::new();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(trouble)?;
        (text.trim_end_matches(['\r', '\n']).to_owned(), false)
    } else {
        (domain::demo::random_password(), true)
    };
    let request = system();
    domain::user::check_new(&request.viewer, Some(&password)).map_err(explain)?;
    let hash = store
        .passwords()
        .hash(password.clone())
        .await
        .map_err(explain)?;
    let local = create
        .email
        .split('@')
        .next()
        .unwrap_or_default()
        .to_owned();
    let command = domain::user::CreateUser {
        name: create.name.unwrap_or(local),
        email: create.email,
        role: match create.role {
            RoleArgument::User => Role::User,
            RoleArgument::Moderator => Role::Moderator,
            RoleArgument::Admin => Role::Admin,
        },
        password_hash: Some(hash),
    };
    let viewer = request.viewer;
    let user = store
        .write(&request, move |tx| {
            Box::pin(async move { domain::user::create(tx, &viewer, command).await })
        })
        .await
        .map_err(explain)?;
    store.database().close().await;
    println!("Made {} ({:?}).", user.email, user.role);
    if shown {
        println!("  password  {password}   (shown this once)");
    }
    Ok(())
}

/// The program itself asks.
fn system() -> Request {
    Request {
        viewer: Viewer::System,
        now: Utc::now(),
        id: Uuid::now_v7(),
        heavy: false,
    }
}

/// A refusal of the domain, for a terminal.
fn explain(error: domain::Error) -> Failure {
    match error {
        domain::Error::Invalid(wrong) => configuration(
            wrong
                .into_iter()
                .map(|one| format!("{}: {}", one.path.last().map_or("", |f| f), one.message))
                .collect::<Vec<_>>()
                .join(" "),
        ),
        other => trouble(other),
    }
}

fn bar(length: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_option_is_an_environment_variable_as_well() {
        fn check(command: &clap::Command) {
            for argument in command.get_arguments() {
                let id = argument.get_id().as_str();
                if ["help", "version"].contains(&id) {
                    continue;
                }
                assert!(
                    argument.get_env().is_some(),
                    "{} --{id}",
                    command.get_name()
                );
            }
            command.get_subcommands().for_each(check);
        }
        check(&Cli::command());
    }
}
