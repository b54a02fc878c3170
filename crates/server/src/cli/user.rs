//! `plimsoll user`.

use std::io::Read as _;

use clap::{Args, Subcommand, ValueEnum};
use plimsoll_domain::{self as domain, Role, Settings};

use super::{Outcome, database::Database, explain, system, trouble};

#[derive(Debug, Subcommand)]
pub(super) enum UserCommand {
    /// Make a user; prints a random password unless one is given
    Create(CreateUser),
}

#[derive(Debug, Args)]
pub(super) struct CreateUser {
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
pub(super) enum RoleArgument {
    User,
    Moderator,
    Admin,
}

pub(super) async fn run(command: UserCommand) -> Outcome {
    match command {
        UserCommand::Create(create) => create_user(create).await,
    }
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
