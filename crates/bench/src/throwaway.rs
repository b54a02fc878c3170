//! A PostgreSQL server for this run alone, with its default settings.

use std::{
    ffi::OsStr,
    fs, io,
    net::{Ipv4Addr, TcpListener},
    os::unix::{
        fs::{MetadataExt as _, PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use sqlx::{ConnectOptions as _, Connection as _, PgConnection, postgres::PgConnectOptions};
use tempfile::TempDir;

/// How long the server may take to answer.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A running server. Dropped, it ends, and its data is removed.
#[derive(Debug)]
pub(crate) struct Postgres {
    process: Child,
    pub(crate) url: String,
    /// What the server writes when it logs statements: a JSON object a line.
    pub(crate) log: PathBuf,
    /// Removed after the process has ended.
    _folder: TempDir,
}

impl Postgres {
    /// Makes and starts a server from the newest installed version.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let programs = programs()?;
        let folder = tempfile::Builder::new()
            .prefix("plimsoll-bench-")
            .tempdir()?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let home = folder.path().join("postgres");
        fs::create_dir(&home)?;
        let account = account(folder.path())?;
        if let Some((user, group)) = account {
            chown(&home, Some(user), Some(group))?;
        }
        let data = home.join("data");
        let run = |program: &str| {
            let mut command = Command::new(programs.join(program));
            command
                .current_dir(&home)
                .env("LC_ALL", "C")
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            if let Some((user, group)) = account {
                command.uid(user).gid(group);
            }
            command
        };
        let made = run("initdb")
            .args([
                "-U",
                "plimsoll",
                "--auth=trust",
                "-E",
                "UTF8",
                "--locale=C",
                "-D",
            ])
            .arg(&data)
            .status()?;
        ensure!(made.success(), "initdb failed: {made}");

        let port = free_port()?;
        let setting = |name: &str, value: &OsStr| {
            let mut setting = std::ffi::OsString::from(format!("{name}="));
            setting.push(value);
            setting
        };
        let process = run("postgres")
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string()])
            .args(["-c", "listen_addresses=127.0.0.1"])
            .arg("-c")
            .arg(setting("unix_socket_directories", home.as_os_str()))
            // Only what is asked for is logged; see `statements::record`.
            .args([
                "-c",
                "logging_collector=on",
                "-c",
                "log_destination=jsonlog",
            ])
            .arg("-c")
            .arg(setting("log_directory", home.as_os_str()))
            .args(["-c", "log_filename=postgres.log"])
            // The terminal's signals are for this program, which then ends the server.
            .process_group(0)
            .spawn()?;
        let mut server = Self {
            process,
            url: format!("postgres://plimsoll@127.0.0.1:{port}/postgres?sslmode=disable"),
            log: home.join("postgres.json"),
            _folder: folder,
        };
        server.answers().await?;
        Ok(server)
    }

    /// The first process of the server.
    pub(crate) fn postmaster(&self) -> u32 {
        self.process.id()
    }

    async fn answers(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        while let Err(error) = connect(&self.url).await {
            if let Some(status) = self.process.try_wait()? {
                bail!("PostgreSQL ended at its start: {status}");
            }
            if begun.elapsed() > START_LIMIT {
                return Err(error.context("PostgreSQL does not answer"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGINT ends the server without waiting for its clients (its documentation, "Shutting
        // Down the Server").
        crate::server::end(&mut self.process, "INT");
    }
}

/// One connection, which logs nothing, and plans each statement once, as the server's do: planning
/// takes longer than most of them, and it is no good hand-written statement that is planned anew
/// for each value.
pub(crate) async fn connect(url: &str) -> anyhow::Result<PgConnection> {
    let options: PgConnectOptions = url.parse()?;
    let options = options.options([("plan_cache_mode", "force_generic_plan"), ("jit", "off")]);
    let mut connection = options.disable_statement_logging().connect().await?;
    connection.ping().await?;
    Ok(connection)
}

/// A port of 127.0.0.1 that nobody listens on.
pub(crate) fn free_port() -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// The folder of PostgreSQL's programs: on the PATH, or where Debian keeps its versions.
fn programs() -> anyhow::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort_by(|one, other| other.cmp(one));
    let versions = versions.into_iter().map(|(_, folder)| folder);
    std::env::split_paths(&path)
        .chain(versions)
        .find(|folder| folder.join("initdb").is_file() && folder.join("postgres").is_file())
        .context("PostgreSQL's server is not installed (initdb, postgres)")
}

/// Who runs the server: PostgreSQL refuses root.
fn account(folder: &Path) -> anyhow::Result<Option<(u32, u32)>> {
    if fs::metadata(folder)?.uid() != 0 {
        return Ok(None);
    }
    let id = |option: &str| -> anyhow::Result<u32> {
        let answer = Command::new("id").args([option, "postgres"]).output()?;
        let text = String::from_utf8(answer.stdout)?;
        text.trim()
            .parse()
            .context("there is no account `postgres` to run the server as")
    };
    Ok(Some((id("-u")?, id("-g")?)))
}
