//! A database server of this run alone, which can be killed and started again on its data.

use std::{
    fs::{self, File, OpenOptions},
    io,
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
use rand::RngExt as _;
use tempfile::TempDir;

use crate::{engine::Engine, look::Look};

/// How long a server may take to answer after it was started.
const START_LIMIT: Duration = Duration::from_secs(60);

/// The data of one engine, and the server on it where there is one. Dropped, the server ends and
/// the data is removed.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) engine: Engine,
    /// Where it is reached directly.
    pub(crate) url: String,
    /// The port of 127.0.0.1 that the server listens on; 0 for SQLite.
    pub(crate) port: u16,
    programs: Programs,
    account: Option<(u32, u32)>,
    home: PathBuf,
    process: Option<Child>,
    /// Removed after the process has ended.
    _folder: TempDir,
}

/// The programs that make the data and serve it.
#[derive(Debug)]
struct Programs {
    install: PathBuf,
    serve: PathBuf,
}

impl Database {
    /// Makes the data of an engine, and starts its server.
    pub(crate) async fn start(engine: Engine) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("plimsoll-proofs-")
            .tempdir()?;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let home = folder.path().join("database");
        fs::create_dir(&home)?;
        let account = match engine {
            Engine::Sqlite => None,
            Engine::Postgres => account(folder.path(), "postgres")?,
            Engine::MariaDb => account(folder.path(), "mysql")?,
        };
        if let Some((user, group)) = account {
            chown(&home, Some(user), Some(group))?;
        }
        let port = if engine == Engine::Sqlite {
            0
        } else {
            free_port()?
        };
        let password = password();
        let mut database = Self {
            engine,
            url: match engine {
                Engine::Sqlite => format!("sqlite:{}", home.join("proofs.db").display()),
                _ => address(engine, port, &password),
            },
            port,
            programs: Programs::find(engine)?,
            account,
            home,
            process: None,
            _folder: folder,
        };
        if engine != Engine::Sqlite {
            database.install(&password)?;
            database.serve()?;
            database.answers().await?;
        }
        Ok(database)
    }

    /// The same database through another port of 127.0.0.1.
    pub(crate) fn url_by(&self, port: u16) -> String {
        self.url
            .replace(&format!(":{}/", self.port), &format!(":{port}/"))
    }

    /// The folder that the servers' logs can lie in as well.
    pub(crate) fn folder(&self) -> &Path {
        self.home.parent().unwrap_or(&self.home)
    }

    fn command(&self, program: &Path) -> anyhow::Result<Command> {
        let log = self.folder().join("database.log");
        let log = OpenOptions::new().create(true).append(true).open(log)?;
        let mut command = Command::new(program);
        command
            .current_dir(&self.home)
            .env("LC_ALL", "C")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // The terminal's signals are for this program, which then ends the server.
            .process_group(0);
        if let Some((user, group)) = self.account {
            command.uid(user).gid(group);
        }
        Ok(command)
    }

    fn install(&self, password: &str) -> anyhow::Result<()> {
        let secret = self.home.join("secret");
        let mut command = self.command(&self.programs.install)?;
        if self.engine == Engine::Postgres {
            fs::write(&secret, password)?;
            command.args(["-U", "plimsoll", "--auth=password", "-E", "UTF8"]);
            command.args(["--locale=C", "--pwfile"]).arg(&secret);
            command.arg("-D").arg(self.home.join("data"));
        } else {
            // Read at each start.
            fs::write(
                &secret,
                format!(
                    "CREATE DATABASE IF NOT EXISTS plimsoll;\n\
                     GRANT ALL ON *.* TO 'plimsoll'@'127.0.0.1' IDENTIFIED BY '{password}';\n\
                     GRANT ALL ON *.* TO 'plimsoll'@'localhost' IDENTIFIED BY '{password}';\n"
                ),
            )?;
            command.args(["--no-defaults", "--skip-test-db", "--skip-name-resolve"]);
            command.arg(with("--datadir=", &self.home.join("data")));
        }
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600))?;
        if let Some((user, group)) = self.account {
            chown(&secret, Some(user), Some(group))?;
        }
        let made = command.status()?;
        ensure!(made.success(), "making the data failed: {made}");
        Ok(())
    }

    /// Starts the server with its default settings, so that what it has committed is durable.
    fn serve(&mut self) -> anyhow::Result<()> {
        let mut command = self.command(&self.programs.serve)?;
        let (data, port) = (self.home.join("data"), self.port.to_string());
        if self.engine == Engine::Postgres {
            command.arg("-D").arg(data).args(["-p", &port]);
            command.args(["-c", "listen_addresses=127.0.0.1"]);
            command.args(["-c", "unix_socket_directories="]);
        } else {
            command
                .arg("--no-defaults")
                .arg(with("--datadir=", &data))
                .arg(with("--init-file=", &self.home.join("secret")))
                .arg(with("--socket=", &self.home.join("socket")))
                .arg(with("--pid-file=", &self.home.join("server.pid")))
                .arg(with("--tmpdir=", &self.home))
                .args([&format!("--port={port}"), "--bind-address=127.0.0.1"])
                .args(["--skip-name-resolve", "--character-set-server=utf8mb4"]);
        }
        self.process = Some(command.spawn()?);
        Ok(())
    }

    async fn answers(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let asked = async { Look::at(self.engine, &self.url).await?.ping().await };
            let Err(error) = asked.await else {
                return Ok(());
            };
            if let Some(process) = &mut self.process
                && let Some(status) = process.try_wait()?
            {
                bail!("{} ended at its start: {status}", self.engine.name());
            }
            if begun.elapsed() > START_LIMIT {
                return Err(error.context(format!("{} does not answer", self.engine.name())));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Ends the server and its processes at once, as a crash would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let children = children_of(process.id());
            let _ = process.kill();
            let _ = process.wait();
            // PostgreSQL's: they would notice, but finish what they are at.
            for child in children {
                let _ = Command::new("kill")
                    .args(["-s", "KILL", &child.to_string()])
                    .stderr(Stdio::null())
                    .status();
            }
        }
    }

    /// Starts the server again on the data that it left, and waits until it answers.
    pub(crate) async fn start_again(&mut self) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            self.serve()?;
            match self.answers().await {
                Ok(()) => return Ok(()),
                // The last of the killed processes may still be going.
                Err(_) if begun.elapsed() < START_LIMIT => {
                    self.kill();
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // SIGINT ends PostgreSQL without waiting for its clients (its documentation,
            // "Shutting Down the Server"); MariaDB does not by SIGTERM.
            let signal = if self.engine == Engine::Postgres {
                "INT"
            } else {
                "TERM"
            };
            end(process, signal);
        }
    }
}

impl Programs {
    fn find(engine: Engine) -> anyhow::Result<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path: Vec<PathBuf> = std::env::split_paths(&path).collect();
        let find = |names: &[&str], folders: &[PathBuf]| {
            folders
                .iter()
                .flat_map(|folder| names.iter().map(move |name| folder.join(name)))
                .find(|file| file.is_file())
                .with_context(|| format!("{} is not installed: {names:?}", engine.name()))
        };
        Ok(match engine {
            Engine::Sqlite => Self {
                install: PathBuf::new(),
                serve: PathBuf::new(),
            },
            Engine::Postgres => {
                let folders = [path, newest_first("/usr/lib/postgresql")].concat();
                let install = find(&["initdb"], &folders)?;
                // Of the same version.
                let serve = install.with_file_name("postgres");
                Self { install, serve }
            }
            Engine::MariaDb => {
                // A user's PATH may lack the folders for servers.
                let others = ["/usr/local/sbin", "/usr/sbin", "/usr/libexec"].map(PathBuf::from);
                let folders = [path, others.to_vec()].concat();
                Self {
                    install: find(&["mariadb-install-db", "mysql_install_db"], &folders)?,
                    serve: find(&["mariadbd", "mysqld"], &folders)?,
                }
            }
        })
    }
}

fn address(engine: Engine, port: u16, password: &str) -> String {
    let (scheme, setting) = if engine == Engine::Postgres {
        ("postgres", "sslmode=disable")
    } else {
        ("mysql", "ssl-mode=disabled")
    };
    let name = if engine == Engine::Postgres {
        "postgres"
    } else {
        "plimsoll"
    };
    format!("{scheme}://plimsoll:{password}@127.0.0.1:{port}/{name}?{setting}")
}

/// Other users of this machine can reach the port, and must not get in.
fn password() -> String {
    format!("{:032x}", rand::rng().random::<u128>())
}

fn with(option: &str, path: &Path) -> std::ffi::OsString {
    let mut argument = std::ffi::OsString::from(option);
    argument.push(path);
    argument
}

/// A port of 127.0.0.1 that nobody listens on.
pub(crate) fn free_port() -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// Ends a process that this program started by a signal, and waits for its end.
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

/// The processes that this one has started: proc(5).
fn children_of(parent: u32) -> Vec<u32> {
    let is_child = |id: &u32| {
        let line = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        // The name in brackets may hold anything; the state is behind it, then the parent.
        let parents = line.rsplit_once(") ").map(|(_, rest)| rest.split(' '));
        parents.and_then(|mut fields| fields.nth(1)) == Some(&parent.to_string())
    };
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(is_child)
        .collect()
}

/// The `bin` folders below a folder of versions, newest first.
fn newest_first(folder: &str) -> Vec<PathBuf> {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    versions.sort_by(|one, other| other.cmp(one));
    versions.into_iter().map(|(_, bin)| bin).collect()
}

/// Who runs the server where root runs this program: PostgreSQL refuses root.
fn account(folder: &Path, name: &str) -> anyhow::Result<Option<(u32, u32)>> {
    if fs::metadata(folder)?.uid() != 0 {
        return Ok(None);
    }
    let id = |option: &str| -> anyhow::Result<u32> {
        let answer = Command::new("id").args([option, name]).output()?;
        let text = String::from_utf8(answer.stdout)?;
        text.trim()
            .parse()
            .with_context(|| format!("there is no account `{name}` to run the server as"))
    };
    Ok(Some((id("-u")?, id("-g")?)))
}

/// A log that a process adds to.
pub(crate) fn log_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}
