//! The release server, as a process of its own.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, ChildStdout, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context as _, ensure};

use crate::engine::Engine;

/// Connections to PostgreSQL, half of them for writing: one for each client either way. On
/// SQLite, which is read on a few threads, it is the server's own default.
const MAX_CONNECTIONS: usize = 2 * crate::load::CONNECTIONS;

/// Who writes posts: their address, their password, and a name that comes after those of the users with
/// posts.
const ADMIN: (&str, &str, &str) = (
    "admin@bench.invalid",
    "a password for the bench",
    "The administrator",
);

/// What the server is to log: what it does by itself, and each further try of a write.
const LOG: &str = "warn,plimsoll_server=info,plimsoll_records::retry=debug";

/// What is in the line about such a try.
const TRIED_AGAIN: &str = "a write is tried again";

/// A running server. Dropped, it ends.
#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    pub(crate) address: SocketAddr,
    /// Kept open: the server writes to it.
    output: BufReader<ChildStdout>,
    /// How often a write was tried again.
    pub(crate) retries: Arc<AtomicU64>,
}

/// Builds the server where cargo runs this program, and says where it is: beside this program.
pub(crate) fn build() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name("plimsoll");
    if let Some(cargo) = std::env::var_os("CARGO") {
        let built = Command::new(cargo)
            .args([
                "build",
                "--release",
                "--package",
                "plimsoll-server",
                "--quiet",
            ])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
            .status()?;
        ensure!(built.success(), "the server was not built: {built}");
    }
    ensure!(program.is_file(), "there is no {}", program.display());
    Ok(program)
}

/// Brings the schema of a database up to date.
pub(crate) fn migrate(program: &Path, url: &str) -> anyhow::Result<()> {
    let mut command = Command::new(program);
    command.args(["migrate", "up", "--database-url", url]);
    run(command, "")
}

/// Makes the administrator whose token the writes of posts carry.
pub(crate) fn make_admin(program: &Path, url: &str) -> anyhow::Result<()> {
    let mut command = Command::new(program);
    command.args(["user", "create", "--role", "admin", "--password-stdin"]);
    command.args(["--email", ADMIN.0, "--name", ADMIN.2, "--database-url", url]);
    run(command, ADMIN.1)
}

/// The administrator's address.
pub(crate) const ADMIN_EMAIL: &str = ADMIN.0;

/// The mutation that logs in who has this address: all have one password.
pub(crate) fn login(email: &str) -> serde_json::Value {
    serde_json::json!({
        "query": "mutation($input: LoginInput!) { login(input: $input) { token } }",
        "variables": { "input": { "email": email, "password": ADMIN.1 } },
    })
}

fn run(mut command: Command, input: &str) -> anyhow::Result<()> {
    let mut process = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    if let Some(mut stdin) = process.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let status = process.wait()?;
    ensure!(status.success(), "{command:?} failed: {status}");
    Ok(())
}

impl Server {
    /// Starts the server on a free port, and waits until it listens.
    pub(crate) fn start(program: &Path, engine: Engine, url: &str) -> anyhow::Result<Self> {
        let mut command = Command::new(program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--database-url", url]);
        if engine == Engine::Postgres {
            command.args(["--max-connections", &MAX_CONNECTIONS.to_string()]);
        }
        let mut process = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .env("PLIMSOLL_LOG", LOG)
            // The terminal's signals are for this program, which then ends the server.
            .process_group(0)
            .spawn()?;
        let stdout = process.stdout.take().context("it has an output")?;
        let stderr = process.stderr.take().context("it has a log")?;
        let retries = Arc::new(AtomicU64::new(0));
        let counted = retries.clone();
        // It ends with the log.
        std::thread::spawn(move || count_retries(stderr, &counted));
        let mut server = Self {
            process,
            retries,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            output: BufReader::new(stdout),
        };
        let mut line = String::new();
        server.output.read_line(&mut line)?;
        let address = line.trim().strip_prefix("Plimsoll is at http://");
        server.address = address.context("the server did not start")?.parse()?;
        Ok(server)
    }

    /// The server's process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }
}

/// Counts the lines about retries, and passes on the others.
fn count_retries(log: ChildStderr, retries: &AtomicU64) {
    for line in BufReader::new(log).lines().map_while(Result::ok) {
        if line.contains(TRIED_AGAIN) {
            retries.fetch_add(1, Ordering::Relaxed);
        } else {
            eprintln!("{line}");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.process, "TERM");
    }
}

/// Ends a process by a signal, and waits for its end.
pub(crate) fn end(process: &mut Child, signal: &str) {
    if let Ok(None) = process.try_wait() {
        let told = Command::new("kill")
            .args(["-s", signal, &process.id().to_string()])
            .status();
        if !told.is_ok_and(|told| told.success()) {
            let _ = process.kill();
        }
    }
    // One that cannot be waited for has been waited for.
    let _ = process.wait();
}
