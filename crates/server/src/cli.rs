//! The command line.

mod database;
mod import;
mod migrate;
mod progress;
mod purge;
mod seed;
mod serving;
mod user;

use std::{io::IsTerminal as _, process::ExitCode};

use chrono::Utc;
use clap::{Parser, Subcommand};
use plimsoll_domain::{self as domain, Request, Viewer};
use tracing_subscriber::EnvFilter;
use uuid::Uuid;

use self::{
    import::Import, migrate::Migrate, purge::PurgeCommand, seed::Seed, serving::Serve,
    user::UserCommand,
};

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
    /// Remove for good what was deleted long enough ago
    Purge(PurgeCommand),
    /// Manage users
    User {
        #[command(subcommand)]
        command: UserCommand,
    },
    /// Print the GraphQL schema
    Schema,
}

/// Why a command ended early.
enum Failure {
    /// The configuration is wrong: exit code 2.
    Configuration(String),
    /// Something went wrong on the way: exit code 1.
    Trouble(String),
    /// It was told to stop before the end: exit code 3.
    Stopped(String),
}

type Outcome = Result<(), Failure>;

fn configuration(message: impl ToString) -> Failure {
    Failure::Configuration(message.to_string())
}

fn trouble(message: impl ToString) -> Failure {
    Failure::Trouble(message.to_string())
}

/// Runs the command that the program was called with. Returns its exit code: 0 when all went
/// well, 2 when the configuration is wrong, 3 when a command was told to stop before its end, 1 for
/// anything else.
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
    let (code, message) = match outcome {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Trouble(message)) => (1, message),
        Err(Failure::Configuration(message)) => (2, message),
        Err(Failure::Stopped(message)) => (3, message),
    };
    eprintln!("plimsoll: {message}");
    ExitCode::from(code)
}

async fn execute(command: Command) -> Outcome {
    match command {
        Command::Serve(serve) => serving::run(serve).await,
        Command::Migrate { step } => migrate::run(step).await,
        Command::Seed(seed) => seed::run(seed).await,
        Command::Import(import) => import::run(import).await,
        Command::Purge(command) => purge::run(command).await,
        Command::User { command } => user::run(command).await,
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

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
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
