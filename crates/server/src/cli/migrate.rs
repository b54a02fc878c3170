//! `plimsoll migrate`.

use clap::Subcommand;

use super::{
    Outcome,
    database::{Database, connect_schema, migrating_failed, pending},
};

#[derive(Debug, Subcommand)]
pub(super) enum Migrate {
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

pub(super) async fn run(step: Migrate) -> Outcome {
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
