//! What requests cost on a release server, beside the same statements through sqlx alone and
//! beside the best hand-written ones.
//!
//! Transfers and orders are measured by how many there are in a second, beside the same statements
//! through sqlx alone, on each engine: those are written down in `sql/`, and compared with what
//! the server runs.
//!
//! `cargo run --release -p bench` starts a PostgreSQL server of its own and makes a SQLite file,
//! fills both, and prints one table. Times are of this machine at this moment: compare what
//! stands in one table, not two tables.

mod bare;
mod engine;
mod fixture;
mod floor;
mod http;
mod load;
mod process;
mod same;
mod server;
mod shop;
mod statements;
mod table;
mod throwaway;
mod workload;

use std::{path::Path, process::ExitCode, time::Duration};

use anyhow::bail;
use clap::{Parser, Subcommand, ValueEnum as _, value_parser};
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    bare::Job,
    engine::Engine,
    fixture::Amounts,
    http::{HttpClient, Known, ShopClient},
    load::{CONNECTIONS, Client as _, Timing},
    process::Watched,
    server::Server,
    shop::Errands,
    statements::{Recorder, Recording, Recordings},
    table::Measured,
    throwaway::Postgres,
    workload::{MIXED, Post, Walk, Workload},
};

/// Measures what requests cost, as ratios within one run.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Cli {
    /// The engine to measure on; both unless given
    #[arg(long, value_enum, value_delimiter = ',')]
    engine: Vec<Engine>,
    /// The workloads to measure; all unless given
    #[arg(long, value_enum, value_delimiter = ',', value_name = "WORKLOAD,...")]
    only: Vec<Workload>,
    /// Seconds that each workload is measured, after a quarter of that to warm up
    #[arg(long, default_value_t = 8, value_parser = value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// A tenth of the users and posts
    #[arg(long)]
    quick: bool,
    /// Start the database and the server, say where they are, and measure nothing
    #[arg(long)]
    keep: bool,
    #[command(subcommand)]
    part: Option<Part>,
}

/// Parts of a measurement that need a process of their own.
#[derive(Debug, Subcommand)]
enum Part {
    #[command(hide = true, name = bare::WORD)]
    Bare,
}

fn main() -> ExitCode {
    match start(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(cli: &Cli) -> anyhow::Result<()> {
    if cfg!(debug_assertions) {
        bail!("an unoptimized program measures itself; run it with --release");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        // Whatever was started ends when it is dropped, whichever comes first.
        tokio::select! {
            done = run(cli) => done,
            _ = interrupt.recv() => bail!("interrupted"),
            _ = terminate.recv() => bail!("terminated"),
        }
    })
}

async fn run(cli: &Cli) -> anyhow::Result<()> {
    if let Some(Part::Bare) = cli.part {
        return bare::run().await;
    }
    eprintln!("building the server");
    let program = server::build()?;
    let engines = if cli.engine.is_empty() {
        vec![Engine::Postgres, Engine::Sqlite]
    } else {
        cli.engine.clone()
    };
    let mut rows = Vec::new();
    for engine in engines {
        measure(cli, engine, &program, &mut rows).await?;
    }
    println!("{}", table::table(&rows));
    Ok(())
}

/// Measures the workloads on one engine.
async fn measure(
    cli: &Cli,
    engine: Engine,
    program: &Path,
    rows: &mut Vec<Measured>,
) -> anyhow::Result<()> {
    let amounts = if cli.quick {
        Amounts::QUICK
    } else {
        Amounts::FULL
    };
    // Dropped in this order: the server before its database.
    let (folder, postgres);
    let url = match engine {
        Engine::Postgres => {
            (folder, postgres) = (None, Some(Postgres::start().await?));
            postgres.as_ref().map(|server| server.url.clone())
        }
        Engine::Sqlite => {
            let made = tempfile::Builder::new()
                .prefix("plimsoll-bench-")
                .tempdir()?;
            let file = made.path().join("bench.db");
            (folder, postgres) = (Some(made), None);
            Some(format!("sqlite:{}", file.display()))
        }
    };
    let _folder = folder;
    let url = url.unwrap_or_default();
    eprintln!(
        "{}: making {} users and {} posts",
        engine.name(),
        amounts.users,
        amounts.posts
    );
    server::migrate(program, &url)?;
    server::make_admin(program, &url)?;
    fixture::fill(engine, &url, amounts).await?;

    let server = Server::start(program, engine, &url)?;
    if cli.keep {
        println!("database  {url}");
        println!(
            "server    http://{}  (process {})",
            server.address,
            server.id()
        );
        println!("Both end with Ctrl-C.");
        return std::future::pending().await;
    }
    let mut connection = http::Connection::open(server.address).await?;
    let known = Known {
        address: server.address,
        token: connection.log_in(server::ADMIN_EMAIL).await?,
        cursor: connection.walk_to(amounts.deep()).await?,
    };
    let timing = Timing {
        warm_up: Duration::from_secs(cli.seconds.into()) / 4,
        measured: Duration::from_secs(cli.seconds.into()),
    };
    let watched = Watched {
        asking: server.id(),
        postmaster: postgres.as_ref().map(Postgres::postmaster),
    };
    let shop = fixture::shop();
    let mut tokens = Vec::with_capacity(shop.wallets.len());
    for wallet in &shop.wallets {
        tokens.push(connection.log_in(&wallet.email).await?);
    }
    let mut written = Written {
        specimen: fixture::specimen(engine, &url).await?,
        recording: None,
    };
    for workload in Workload::value_variants() {
        if !cli.only.is_empty() && !cli.only.contains(workload) {
            continue;
        }
        let workload = *workload;
        let job = |recordings| Job {
            engine,
            url: url.clone(),
            postmaster: watched.postmaster,
            workload,
            timing,
            depth: amounts.deep(),
            recordings,
        };
        if workload.is_of_the_shop() {
            let errands = |nth| Errands::of_client(&shop, workload, nth, CONNECTIONS);
            if let Some(postgres) = &postgres {
                let opened = ShopClient::open(workload, server.address, &tokens, errands(0));
                let mut client = opened.await?;
                let mut recorder = Recorder::start(postgres).await?;
                // The first opens what stays open.
                client.request().await?;
                let recording = recorder.record(client.request()).await?;
                recorder.stop().await?;
                same::compare(workload, &recording)?;
            }
            eprintln!("{}: {workload}, over HTTP", engine.name());
            let mut clients = Vec::with_capacity(CONNECTIONS);
            for nth in 0..CONNECTIONS {
                let opened = ShopClient::open(workload, server.address, &tokens, errands(nth));
                clients.push(opened.await?);
            }
            process::forget_peak_memory(server.id())?;
            let tally = load::drive(clients, timing, watched, &server.retries).await?;
            let memory = process::peak_memory(server.id())?;
            eprintln!("{}: {workload}, the same statements", engine.name());
            rows.push(Measured {
                engine,
                workload,
                server: tally,
                memory,
                statements: Some(same::statements_a_request(workload)),
                same: Some(job(None).run().await?),
                floor: None,
            });
            continue;
        }
        let posts = fixture::posts(engine, &url).await?;
        eprintln!("{}: {workload}, over HTTP", engine.name());
        let clients = http::clients(workload, &known, &posts).await?;
        process::forget_peak_memory(server.id())?;
        let tally = load::drive(clients, timing, watched, &server.retries).await?;
        let memory = process::peak_memory(server.id())?;

        let (mut statements, mut same, mut floor) = (None, None, None);
        if let Some(postgres) = &postgres
            && workload.asks_the_database()
        {
            eprintln!("{}: {workload}, the same statements", engine.name());
            let recordings = record(postgres, workload, &known, &posts, &mut written).await?;
            statements = Some(recordings.statements_a_request(workload));
            same = Some(job(Some(recordings)).run().await?);
        }
        if workload.asks_the_database() {
            eprintln!("{}: {workload}, hand-written statements", engine.name());
            floor = Some(job(None).run().await?);
        }
        rows.push(Measured {
            engine,
            workload,
            server: tally,
            memory,
            statements,
            same,
            floor,
        });
    }
    Ok(())
}

/// The one write that is recorded.
struct Written {
    specimen: Post,
    recording: Option<Recording>,
}

/// The statements that the server runs for this workload.
async fn record(
    postgres: &Postgres,
    workload: Workload,
    known: &Known,
    posts: &[Post],
    written: &mut Written,
) -> anyhow::Result<Recordings> {
    let mut recorder = Recorder::start(postgres).await?;
    let turns = (0..MIXED).map(|n| workload.turn(n));
    if written.recording.is_none() && turns.clone().any(|turn| turn == Workload::Write) {
        let write = http::write(known, &written.specimen);
        written.recording = Some(recorder.record(write).await?);
    }
    let mut reads = Vec::new();
    if let Some(reading) = turns.into_iter().find(|turn| *turn != Workload::Write) {
        // Only a point differs from request to request.
        let count = if reading == Workload::Point {
            CONNECTIONS
        } else {
            1
        };
        for nth in 0..count {
            let walk = Walk::of_client(posts, nth, CONNECTIONS);
            let mut client = HttpClient::open(reading, known, walk).await?;
            reads.push(recorder.record(client.request()).await?);
        }
    }
    recorder.stop().await?;
    Ok(Recordings {
        reads,
        write: written.recording.clone(),
        specimen: written.specimen.id,
    })
}
