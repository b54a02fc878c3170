//! `plimsoll seed`.

use clap::Args;
use plimsoll_domain::{self as domain, Settings, seed::Amounts};

use super::{Outcome, database::Database, explain, progress::bar, trouble};

#[derive(Debug, Args)]
pub(super) struct Seed {
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

pub(super) async fn run(seed: Seed) -> Outcome {
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
