//! The server, as processes of its own.

use std::{
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{bail, ensure};

use crate::{
    client::Connection,
    database::{end, free_port, log_to},
};

/// Who administers: their address, password and name.
pub(crate) const ADMIN: (&str, &str, &str) = (
    "admin@proofs.invalid",
    "a password for the proofs",
    "The administrator",
);

/// How long a server may take until it is ready.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A server process, on the same port each time that it is started. Dropped, it ends.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    program: PathBuf,
    url: String,
    pub(crate) log: PathBuf,
    process: Mutex<Option<Child>>,
}

/// Brings the schema of a database up to date.
pub(crate) fn migrate(program: &Path, url: &str, log: &Path) -> anyhow::Result<()> {
    let mut command = Command::new(program);
    command.args(["migrate", "up", "--database-url", url]);
    run(command, "", log)
}

/// Makes the administrator.
pub(crate) fn make_admin(program: &Path, url: &str, log: &Path) -> anyhow::Result<()> {
    let mut command = Command::new(program);
    command.args(["user", "create", "--role", "admin", "--password-stdin"]);
    command.args(["--email", ADMIN.0, "--name", ADMIN.2, "--database-url", url]);
    run(command, ADMIN.1, log)
}

fn run(mut command: Command, input: &str, log: &Path) -> anyhow::Result<()> {
    let mut process = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(log_to(log)?)
        .spawn()?;
    if let Some(mut stdin) = process.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let status = process.wait()?;
    ensure!(
        status.success(),
        "plimsoll failed: {status}; see {}",
        log.display()
    );
    Ok(())
}

impl Server {
    /// A server that is not started yet.
    pub(crate) fn new(program: &Path, url: String, log: PathBuf) -> anyhow::Result<Self> {
        Ok(Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?)),
            program: program.to_owned(),
            url,
            log,
            process: Mutex::new(None),
        })
    }

    fn process(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts it, and does not wait until it is ready.
    pub(crate) fn start(&self) -> anyhow::Result<()> {
        let log = log_to(&self.log)?;
        let process = Command::new(&self.program)
            .args(["serve", "--listen", &self.address.to_string()])
            .args(["--database-url", &self.url])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // The terminal's signals are for this program, which then ends the server.
            .process_group(0)
            .spawn()?;
        *self.process() = Some(process);
        Ok(())
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn kill(&self) {
        if let Some(mut process) = self.process().take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) fn stop(&self) -> Option<ExitStatus> {
        let mut process = self.process().take()?;
        end(&mut process, "TERM");
        process.wait().ok()
    }

    /// How it ended, if it has ended by itself since it was started.
    pub(crate) fn ended(&self) -> Option<ExitStatus> {
        let mut process = self.process();
        let status = process.as_mut()?.try_wait().ok()??;
        *process = None;
        Some(status)
    }

    /// Waits until it answers and reaches its database; starts it again where it has ended.
    pub(crate) async fn ready(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            if Connection::is_ready(self.address).await {
                return Ok(());
            }
            if self.ended().is_some() {
                self.start()?;
            }
            if begun.elapsed() > START_LIMIT {
                bail!(
                    "a server is not ready after {START_LIMIT:?}; see {}",
                    self.log.display()
                );
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
