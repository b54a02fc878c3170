//! Proofs that nothing is lost and nothing happens twice: many clients at once, several server
//! processes on one database, and faults.
//!
//! `cargo run --release -p proofs` starts the servers and databases that it needs, talks to
//! Plimsoll over HTTP alone, looks at the database afterwards, and prints one table. It ends what
//! it started. See docs/proofs.md.

mod arena;
mod bank;
mod client;
mod database;
mod engine;
mod findings;
mod ledger;
mod look;
mod lost_update;
mod people;
mod proxy;
mod races;
mod server;
mod stock;
mod storm;
mod table;
mod unique;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{bail, ensure};
use clap::{Parser, ValueEnum, value_parser};
use tokio::signal::unix::{SignalKind, signal};

use crate::{arena::Arena, engine::Engine, storm::Plan, table::Report};

/// Proves that nothing is lost, under concurrency, faults and crashes.
#[derive(Debug, Parser)]
#[command(name = "proofs")]
struct Cli {
    /// The engine to prove it on; all three unless given
    #[arg(long, value_enum, value_delimiter = ',')]
    engine: Vec<Engine>,
    /// What to prove; everything unless given. `faults` is the others once more, with faults: those
    /// that are given beside it, or all
    #[arg(long, value_enum, value_delimiter = ',')]
    proof: Vec<Proof>,
    /// Seconds that each proof goes on
    #[arg(long, default_value_t = 20, value_parser = value_parser!(u32).range(1..=86_400))]
    seconds: u32,
    /// What the choices of the clients and the faults are drawn from; another one each time unless
    /// given
    #[arg(long)]
    seed: Option<u64>,
    /// A few seconds for each proof, for CI
    #[arg(long, conflicts_with = "seconds")]
    short: bool,
    /// Keep the history and the logs also when nothing is found
    #[arg(long)]
    keep: bool,
    /// The server's program; the one beside this program unless given
    #[arg(long, value_name = "PATH")]
    server: Option<PathBuf>,
}

/// What is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Proof {
    Bank,
    Stock,
    LostUpdate,
    Races,
    Unique,
    /// The others, with faults.
    Faults,
}

/// Those that go on by themselves.
const CALM: [Proof; 5] = [
    Proof::Bank,
    Proof::Stock,
    Proof::LostUpdate,
    Proof::Races,
    Proof::Unique,
];

/// How long a short proof goes on, without and with faults: all of them on one engine within a
/// minute.
const SHORT: Duration = Duration::from_secs(2);
const SHORT_WITH_FAULTS: Duration = Duration::from_secs(4);

impl Proof {
    fn word(self) -> &'static str {
        match self {
            Self::Bank => "bank",
            Self::Stock => "stock",
            Self::LostUpdate => "lost-update",
            Self::Races => "races",
            Self::Unique => "unique",
            Self::Faults => "faults",
        }
    }
}

fn main() -> ExitCode {
    match start(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("proofs: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start(cli: &Cli) -> anyhow::Result<bool> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
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

/// Runs the proofs, and returns whether nothing was found.
async fn run(cli: &Cli) -> anyhow::Result<bool> {
    let program = match &cli.server {
        Some(program) => program.clone(),
        None => std::env::current_exe()?.with_file_name("plimsoll"),
    };
    ensure!(
        program.is_file(),
        "there is no {}; build it, or name one with --server",
        program.display()
    );
    let seed = cli.seed.unwrap_or_else(drawn);
    let engines = if cli.engine.is_empty() {
        Engine::value_variants()
    } else {
        &cli.engine
    };
    eprintln!("seed {seed}");
    let mut reports = Vec::new();
    for engine in engines {
        let arena = Arena::start(*engine, &program, seed).await?;
        for (proof, faults) in cli.parts() {
            reports.push(prove(cli, &arena, proof, faults, seed).await?);
        }
        arena.stop();
    }
    println!("{}", table::table(&reports));
    Ok(reports.iter().all(|report| report.findings.is_empty()))
}

/// A seed that was not used before.
fn drawn() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |since| since.as_micros() as u64 % 1_000_000_000)
}

impl Cli {
    /// The proofs in their order, each with whether there are faults.
    fn parts(&self) -> Vec<(Proof, bool)> {
        let named = |proof: &Proof| self.proof.contains(proof);
        let all = !CALM.iter().any(named);
        let calm = CALM.into_iter().filter(|proof| all || named(proof));
        let without = calm.clone().map(|proof| (proof, false));
        let with = calm.map(|proof| (proof, true));
        match (self.proof.is_empty(), named(&Proof::Faults), all) {
            (true, _, _) => without.chain(with).collect(),
            (false, true, true) => with.collect(),
            (false, true, false) => without.chain(with).collect(),
            (false, false, _) => without.collect(),
        }
    }

    fn plan(&self, faults: bool) -> Plan {
        let length = match (self.short, faults) {
            (true, false) => SHORT,
            (true, true) => SHORT_WITH_FAULTS,
            (false, _) => Duration::from_secs(self.seconds.into()),
        };
        Plan { length, faults }
    }

    /// The arguments that run one proof again.
    fn again(&self, engine: Engine, proof: Proof, faults: bool, seed: u64) -> String {
        let how_long = if self.short {
            "--short".to_owned()
        } else {
            format!("--seconds {}", self.seconds)
        };
        let faults = if faults { ",faults" } else { "" };
        format!(
            "--engine {} --proof {}{faults} --seed {seed} {how_long}",
            engine.word(),
            proof.word()
        )
    }
}

/// Runs one proof, and says what was found.
async fn prove(
    cli: &Cli,
    arena: &Arc<Arena>,
    proof: Proof,
    faults: bool,
    seed: u64,
) -> anyhow::Result<Report> {
    let (part, name) = if faults {
        (
            format!("{}-faults", proof.word()),
            format!("{}, faults", proof.word()),
        )
    } else {
        (proof.word().to_owned(), proof.word().to_owned())
    };
    eprint!("{}: {name}", arena.engine.name());
    arena.forget();
    let answers_lost = arena.weather.answers_lost();
    let plan = cli.plan(faults);
    let proved = match proof {
        Proof::LostUpdate => lost_update::prove(arena, &part, plan).await,
        Proof::Races => races::prove(arena, &part, plan).await,
        Proof::Unique => unique::prove(arena, &part, plan).await,
        Proof::Bank => bank::prove(arena, &part, plan).await,
        Proof::Stock => stock::prove(arena, &part, plan).await,
        Proof::Faults => bail!("{name} does not go on by itself"),
    };
    let (mut proved, passed) = match proved {
        Ok(proved) => proved,
        Err(error) => {
            eprintln!();
            let history = arena.keep_history(&part)?;
            let again = cli.again(arena.engine, proof, faults, seed);
            return Err(error.context(format!(
                "{name} on {} (history {}; again by {again})",
                arena.engine.name(),
                history.display()
            )));
        }
    };
    for note in arena.take_notes() {
        proved.findings.wrong(note);
    }
    let report = Report::new(name, arena.engine, proved, passed);
    eprintln!(
        ", the slowest definite answer after {:.1} s, {} commits without an answer",
        report.slowest.as_secs_f64(),
        arena.weather.answers_lost() - answers_lost
    );
    if !report.findings.is_empty() {
        let history = arena.keep_history(&part)?;
        say(&report, &history);
        eprintln!(
            "  again    {}",
            cli.again(arena.engine, proof, faults, seed)
        );
    } else if cli.keep {
        eprintln!("  history  {}", arena.keep_history(&part)?.display());
    }
    Ok(report)
}

/// The most findings of one kind that are written out, and the most characters of each.
const SHOWN: usize = 10;
const LONGEST: usize = 4_000;

fn say(report: &Report, history: &Path) {
    let findings = &report.findings;
    eprintln!("FAILED: {} on {}", report.proof, report.engine.name());
    for (kind, found) in [
        ("loss", &findings.losses),
        ("double", &findings.duplicates),
        ("wrong", &findings.wrong),
    ] {
        for what in found.iter().take(SHOWN) {
            eprintln!("  {kind:<8} {what:.LONGEST$}");
        }
        if found.len() > SHOWN {
            eprintln!("  {kind:<8} and {} more", found.len() - SHOWN);
        }
    }
    eprintln!("  history  {}", history.display());
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
    fn faults_are_made_during_what_is_named_or_during_all() {
        let parts = |arguments: &[&str]| Cli::parse_from([&["proofs"], arguments].concat()).parts();
        let n = CALM.len();
        assert_eq!(parts(&[]).len(), 2 * n);
        assert_eq!(parts(&["--proof", "races"]), [(Proof::Races, false)]);
        let with = parts(&["--proof", "faults"]);
        assert!(with.len() == n && with.iter().all(|(_, faults)| *faults));
        let both = [(Proof::Races, false), (Proof::Races, true)];
        assert_eq!(parts(&["--proof", "races,faults"]), both);
    }
}
