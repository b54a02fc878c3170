//! `plimsoll serve`.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use clap::{Args, value_parser};
use plimsoll_domain::{self as domain, Settings, Store};
use plimsoll_graphql::{Api, Documents, limits::Limits};

use super::{
    Failure, Outcome, configuration,
    database::{DEMO_FILE, Database, file_url, migrate_up},
    purge::Retain,
    system, trouble,
};
use crate::{
    app::{App, router},
    graphiql,
    graphql_http::HttpLimits,
    serve,
};

#[derive(Clone, Debug, Args)]
pub(super) struct Serve {
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
    #[command(flatten)]
    retain: Retain,
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
    pub(super) log_json: bool,
}

pub(super) async fn run(serve: Serve) -> Outcome {
    let settings = Settings {
        retention: serve.retain.retention(),
        session_lifetime: chrono::Duration::days(serve.login_days.into()),
        ..Settings::default()
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
    shut_gate(&store).await;
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
        documents: Arc::new(Documents::new(limits.request)),
        limits,
        deadline: Duration::from_secs(serve.deadline.into()),
    };
    tokio::spawn(remove_keys(store.clone()));
    let grace = Duration::from_secs(serve.grace.into());
    serve::serve(listener, router(app), store, signals, grace)
        .await
        .map_err(|e| trouble(format!("serving failed: {e}")))
}

/// How often expired idempotency keys are looked for.
const KEYS_EVERY: Duration = Duration::from_secs(600);

/// Removes the idempotency keys that have expired, again and again.
async fn remove_keys(store: Store) {
    loop {
        tokio::time::sleep(KEYS_EVERY).await;
        match store.remove_expired_keys(&system()).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "expired idempotency keys"),
            Err(error) => tracing::warn!(%error, "expired idempotency keys were not removed"),
        }
    }
}

/// Shuts the gate through the database's walls where somebody has left it open by hand, and says
/// so.
async fn shut_gate(store: &Store) {
    match store.database().shut_gate(system().now).await {
        Ok(reasons) => {
            for reason in reasons {
                tracing::warn!(
                    reason,
                    "the gate through the walls had been left open; it is shut"
                );
            }
        }
        Err(fault) => {
            tracing::warn!(%fault, "whether the gate through the walls is open is not known")
        }
    }
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
