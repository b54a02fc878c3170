//! A server for the tests alone, started from installed binaries.
//!
//! All test processes of a user share one server per engine. A shell supervises
//! it: each test process holds a shared lock on the file `users`, the kernel
//! lets go of that lock however the process ends, and once the supervisor can
//! have the file for itself, and still after a while, it ends the server and
//! removes the data. Nothing but the supervisor's own server is ever ended.
//!
//! In the shared folder lie, here for PostgreSQL:
//! - `postgres.lock`: held by the process that looks for a server or starts one;
//! - `postgres.server`: the folder of the last server, and its URL;
//! - `postgres.log`: what that server writes;
//! - `postgres-XXXXXX/`: one server: `alive`, locked by its supervisor; `users`;
//!   `pid`; `data`. Where root runs the tests the supervisor is somebody else, who
//!   can only empty it; the next start takes the empty folder away.

use std::ffi::OsString;
use std::fs::{self, File, Permissions, TryLockError};
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use super::{Engine, Server, mariadb, place, postgres};

/// How long a server is kept that nobody uses, and up to twice as long when
/// somebody came meanwhile: the next test binary, or the next test of a runner
/// that gives each a process, finds it still there.
pub(super) const LINGER: Duration = Duration::from_secs(15);

/// How long making the data and starting the server may take, each. Both
/// together take about a second; a machine that is short of everything gets
/// time.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A port can be taken between finding it free and listening on it.
const ATTEMPTS: usize = 3;

/// Arguments: the signal that ends the server, the seconds to linger, the
/// server. Works in the server's folder.
const SUPERVISOR: &str = r#"
# The terminal's signals are for the tests.
trap '' HUP INT
signal=$1 linger=$2
shift 2
exec 8>>alive 9>>users
flock -n -x 8 || exit 1

"$@" 8>&- 9>&- &
server=$!
echo "$server" >pid
trap 'kill -s "$signal" "$server"' TERM

(
    exec 8>&-
    trap - TERM
    while :; do
        # Granted when no test process is left. Each one writes a byte when it
        # comes, so that one which came and went meanwhile is seen as well.
        flock -x 9
        : >users
        flock -u 9
        sleep "$linger"
        flock -n -x 9 && [ ! -s users ] && break
        flock -u 9
    done
    # Still locked: who comes now waits, and then finds the folder gone.
    kill -s "$signal" "$server"
) &
watch=$!

while kill -0 "$server" 2>/dev/null; do
    wait "$server"
done
kill "$watch" 2>/dev/null
rm -rf "$PWD"
"#;

/// The programs that make and run a server of one engine.
#[derive(Debug)]
pub(super) struct Binaries {
    engine: Engine,
    install: PathBuf,
    serve: PathBuf,
}

/// Who runs a server: an account without privileges where the tests run as
/// root, which PostgreSQL refuses to run as.
#[derive(Clone, Copy, Debug)]
struct Account {
    user: u32,
    group: u32,
}

/// How to make one server, and how to reach it.
struct Plan {
    /// A file that `install` or `serve` reads, with a secret in it.
    secret: (PathBuf, String),
    install: Vec<OsString>,
    serve: Vec<OsString>,
    /// The signal that ends the server without waiting for its clients.
    stop: &'static str,
    url: String,
}

impl Binaries {
    /// The installed programs of an engine: those on the PATH, or else those of
    /// the newest version where packages put servers. `None` also where the
    /// command `flock` is missing, which the supervisor needs.
    pub(super) fn find(engine: Engine) -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path: Vec<_> = std::env::split_paths(&path).collect();
        find(&["flock"], &path)?;
        match engine {
            Engine::Sqlite => None,
            Engine::Postgres => {
                let versions = newest_first("/usr/lib/postgresql");
                path.into_iter().chain(versions).find_map(|folder| {
                    let folder = [folder];
                    Some(Self {
                        engine,
                        install: find(&["initdb"], &folder)?,
                        serve: find(&["postgres"], &folder)?,
                    })
                })
            }
            Engine::MariaDb => {
                // A user's PATH may lack the folders for servers.
                let others = ["/usr/local/sbin", "/usr/sbin", "/usr/libexec"];
                let folders: Vec<_> = path.into_iter().chain(others.map(PathBuf::from)).collect();
                Some(Self {
                    engine,
                    install: find(&["mariadb-install-db", "mysql_install_db"], &folders)?,
                    serve: find(&["mariadbd", "mysqld"], &folders)?,
                })
            }
        }
    }

    fn name(&self) -> &'static str {
        match self.engine {
            Engine::Sqlite => "sqlite",
            Engine::Postgres => "postgres",
            Engine::MariaDb => "mariadb",
        }
    }

    /// The accounts that a server can run as when the tests run as root.
    fn accounts(&self) -> [&'static str; 2] {
        match self.engine {
            Engine::Postgres => ["postgres", "nobody"],
            _ => ["mysql", "nobody"],
        }
    }

    fn plan(&self, folder: &Path, port: u16, password: &str) -> Plan {
        let data = folder.join("data");
        let secret = folder.join("secret");
        let with = |option: &str, path: &Path| {
            let mut argument = OsString::from(option);
            argument.push(path);
            argument
        };
        if self.engine == Engine::Postgres {
            let mut install = vec![self.install.clone().into(), with("--pgdata=", &data)];
            install.push(with("--pwfile=", &secret));
            install.extend(
                [
                    "--username=plimsoll",
                    "--auth=password",
                    "--encoding=UTF8",
                    "--locale=C",
                    "--no-sync",
                ]
                .map(OsString::from),
            );
            let mut serve = vec![self.serve.clone().into(), "-D".into(), data.into()];
            for setting in [
                &format!("port={port}"),
                "listen_addresses=127.0.0.1",
                "unix_socket_directories=",
                "fsync=off",
                "synchronous_commit=off",
                "full_page_writes=off",
                "shared_buffers=64MB",
                // The log of changes lies in memory with the data.
                "max_wal_size=128MB",
                "max_connections=300",
                "logging_collector=off",
            ] {
                serve.extend(["-c".into(), setting.into()]);
            }
            Plan {
                secret: (secret, password.to_owned()),
                install,
                serve,
                stop: "INT",
                url: format!("postgres://plimsoll:{password}@127.0.0.1:{port}/postgres"),
            }
        } else {
            let mut install = vec![self.install.clone().into(), "--no-defaults".into()];
            install.push(with("--datadir=", &data));
            install.extend(
                [
                    // Nobody but the account that runs the server is let in as root.
                    "--auth-root-authentication-method=socket",
                    "--skip-test-db",
                    "--skip-name-resolve",
                    "--innodb-log-file-size=16M",
                ]
                .map(OsString::from),
            );
            let mut serve = vec![self.serve.clone().into(), "--no-defaults".into()];
            serve.extend([
                with("--datadir=", &data),
                with("--init-file=", &secret),
                with("--socket=", &folder.join("socket")),
                with("--pid-file=", &folder.join("server.pid")),
                with("--tmpdir=", folder),
                format!("--port={port}").into(),
            ]);
            serve.extend(
                [
                    "--bind-address=127.0.0.1",
                    "--skip-name-resolve",
                    // As on servers that are replicated or backed up by it, accounts without
                    // SUPER make no triggers; nothing is written into it.
                    "--log-bin=binlog",
                    "--binlog-do-db=nothing",
                    "--character-set-server=utf8mb4",
                    "--max-connections=300",
                    "--performance-schema=off",
                    "--innodb-buffer-pool-size=64M",
                    "--innodb-log-file-size=16M",
                    "--innodb-doublewrite=off",
                    "--innodb-flush-log-at-trx-commit=0",
                    "--innodb-fast-shutdown=2",
                    "--sync-frm=off",
                    // Syncs nothing; a server that does not know it goes on without.
                    "--loose-innodb-flush-method=nosync",
                ]
                .map(OsString::from),
            );
            Plan {
                secret: (
                    secret,
                    format!(
                        "GRANT ALL ON *.* TO 'plimsoll'@'127.0.0.1' IDENTIFIED BY '{password}';\n\
                         GRANT ALL ON *.* TO 'plimsoll'@'localhost' IDENTIFIED BY '{password}';\n"
                    ),
                ),
                install,
                serve,
                stop: "TERM",
                url: format!("mysql://plimsoll:{password}@127.0.0.1:{port}/"),
            }
        }
    }
}

/// The running server, or a new one. It stays up for as long as what comes back
/// is kept.
///
/// # Errors
///
/// If the server cannot be made or does not answer within its time.
pub(super) async fn join(binaries: &Binaries) -> anyhow::Result<Server> {
    let shared = place::shared()?;
    let name = binaries.name();
    let _lock = place::locked(&shared.join(format!("{name}.lock"))).await?;
    let note = shared.join(format!("{name}.server"));
    if let Some(server) = running(&note).await? {
        return Ok(server);
    }
    remove_dead(&shared, name)?;
    let mut left = ATTEMPTS;
    let began = Instant::now();
    loop {
        left -= 1;
        match start(binaries, &shared, &note).await {
            // What took its whole time would only take it again.
            Err(_) if left > 0 && began.elapsed() < START_LIMIT => {}
            outcome => return outcome,
        }
    }
}

/// The server that the note tells of, if it is up.
async fn running(note: &Path) -> anyhow::Result<Option<Server>> {
    let Ok(text) = fs::read_to_string(note) else {
        return Ok(None);
    };
    let Some((folder, url)) = text.split_once('\n') else {
        return Ok(None);
    };
    let folder = PathBuf::from(folder);
    // May have to wait for a supervisor that is just ending its server.
    let used = tokio::task::spawn_blocking(move || enter(&folder)).await??;
    Ok(used.map(|used| Server {
        url: url.trim_end().to_owned(),
        _used: Some(used),
    }))
}

/// Becomes a user of the server in this folder, until what comes back is
/// dropped; `None` if nobody supervises it.
pub(super) fn enter(folder: &Path) -> anyhow::Result<Option<File>> {
    let users = folder.join("users");
    if !users.exists() {
        return Ok(None);
    }
    let mut used = place::open_to_append(&users)?;
    used.lock_shared()?;
    used.write_all(b".")?;
    Ok((users.exists() && is_supervised(folder)).then_some(used))
}

/// Whether the supervisor of this folder's server lives: it holds a lock.
fn is_supervised(folder: &Path) -> bool {
    File::open(folder.join("alive"))
        .is_ok_and(|alive| matches!(alive.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Starts a server and waits until it answers.
async fn start(binaries: &Binaries, shared: &Path, note: &Path) -> anyhow::Result<Server> {
    let account = account(shared, binaries.accounts())?;
    let folder = tempfile::Builder::new()
        .prefix(&format!("{}-", binaries.name()))
        .permissions(Permissions::from_mode(0o700))
        .tempdir_in(shared)?;
    give(folder.path(), account)?;

    let port = free_port()?;
    let plan = binaries.plan(folder.path(), port, &random_password()?);
    let (secret, content) = &plan.secret;
    fs::write(secret, content)?;
    fs::set_permissions(secret, Permissions::from_mode(0o600))?;
    give(secret, account)?;

    let log = shared.join(format!("{}.log", binaries.name()));
    let mut install = command(&plan.install, folder.path(), account);
    install.stdout(File::create(&log)?);
    install.stderr(place::open_to_append(&log)?);
    let mut install = tokio::process::Command::from(install);
    let installed = tokio::time::timeout(START_LIMIT, install.kill_on_drop(true).status())
        .await
        .with_context(|| format!("no data after {} seconds", START_LIMIT.as_secs()))?
        .with_context(|| format!("running {}", binaries.install.display()))?;
    ensure!(installed.success(), "{}", last_words(&log));

    let users = folder.path().join("users");
    let used = place::open_to_append(&users)?;
    give(&users, account)?;
    used.lock_shared()?;
    // From here on the supervisor removes the folder.
    let folder = folder.keep();
    let mut supervisor = supervise(&folder, account, plan.stop, LINGER, &plan.serve, &log)?;

    let started = Instant::now();
    loop {
        let answer = match binaries.engine {
            Engine::Postgres => postgres::connect(&plan.url).await.err(),
            _ => mariadb::connect(&plan.url).await.err(),
        };
        let Some(error) = answer else { break };
        if supervisor.try_wait()?.is_some() {
            bail!("{}", last_words(&log));
        }
        if started.elapsed() > START_LIMIT {
            let limit = START_LIMIT.as_secs();
            return Err(error.context(format!("no answer after {limit} seconds")));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    // Renamed whole, so that nobody reads half a note.
    let mut draft = tempfile::NamedTempFile::new_in(shared)?;
    write!(draft, "{}\n{}\n", folder.display(), plan.url)?;
    draft.persist(note)?;
    Ok(Server {
        url: plan.url,
        _used: Some(used),
    })
}

/// Starts a server below a supervisor of its own process group, so that neither
/// an interrupted nor a killed test run takes the supervisor with it.
fn supervise(
    folder: &Path,
    account: Option<Account>,
    stop: &str,
    linger: Duration,
    serve: &[OsString],
    log: &Path,
) -> anyhow::Result<Child> {
    let mut arguments: Vec<OsString> = ["sh", "-c", SUPERVISOR, "plimsoll-test-server", stop]
        .map(OsString::from)
        .to_vec();
    arguments.push(linger.as_secs().to_string().into());
    arguments.extend_from_slice(serve);
    let child = command(&arguments, folder, account)
        .process_group(0)
        // Not ours: a runner of tests waits until everybody has closed those.
        .stdout(place::open_to_append(log)?)
        .stderr(place::open_to_append(log)?)
        .spawn()?;
    Ok(child)
}

/// A supervisor as [`supervise`] starts it, for whatever a test calls a server.
#[cfg(test)]
pub(super) fn supervise_for_test(
    folder: &Path,
    linger: Duration,
    serve: &[&str],
) -> anyhow::Result<Child> {
    let serve: Vec<OsString> = serve.iter().map(OsString::from).collect();
    supervise(
        folder,
        None,
        "TERM",
        linger,
        &serve,
        &folder.with_extension("log"),
    )
}

fn command(arguments: &[OsString], folder: &Path, account: Option<Account>) -> Command {
    let mut command = Command::new(&arguments[0]);
    command
        .args(&arguments[1..])
        .current_dir(folder)
        .env("LC_ALL", "C")
        .stdin(Stdio::null());
    if let Some(Account { user, group }) = account {
        // Sheds root's further groups as well.
        command.uid(user).gid(group);
    }
    command
}

/// Who runs the server; `None` if that is who runs the tests.
fn account(shared: &Path, names: [&str; 2]) -> anyhow::Result<Option<Account>> {
    if fs::metadata(shared)?.uid() != 0 {
        return Ok(None);
    }
    let id = |option: &str, name: &str| -> Option<u32> {
        let answer = Command::new("id").args([option, name]).output().ok()?;
        String::from_utf8(answer.stdout).ok()?.trim().parse().ok()
    };
    let account = names.iter().find_map(|name| {
        Some(Account {
            user: id("-u", name)?,
            group: id("-g", name)?,
        })
    });
    let [first, second] = names;
    account
        .map(Some)
        .with_context(|| format!("neither {first} nor {second} is an account to run it as"))
}

fn give(path: &Path, account: Option<Account>) -> anyhow::Result<()> {
    if let Some(Account { user, group }) = account {
        chown(path, Some(user), Some(group))?;
    }
    Ok(())
}

/// Removes folders whose supervisor was killed, and ends a server that it left
/// behind. The caller holds the lock under which servers are started.
pub(super) fn remove_dead(shared: &Path, name: &str) -> anyhow::Result<()> {
    for entry in fs::read_dir(shared)?.flatten() {
        let folder = entry.path();
        let is_server = entry
            .file_name()
            .to_str()
            .and_then(|it| it.strip_prefix(name))
            .is_some_and(|rest| rest.starts_with('-'));
        if !is_server || !folder.is_dir() || is_supervised(&folder) {
            continue;
        }
        if let Some(orphan) = orphan(&folder) {
            let _ = Command::new("kill").arg(orphan).status();
        }
        let _ = fs::remove_dir_all(&folder);
    }
    Ok(())
}

/// The process that a killed supervisor left behind, only if what runs by that
/// number now still is the server of this folder.
fn orphan(folder: &Path) -> Option<String> {
    let id = fs::read_to_string(folder.join("pid")).ok()?;
    let id: u32 = id.trim().parse().ok()?;
    let running = fs::read(format!("/proc/{id}/cmdline")).ok()?;
    String::from_utf8_lossy(&running)
        .contains(folder.to_str()?)
        .then(|| id.to_string())
}

fn find(names: &[&str], folders: &[PathBuf]) -> Option<PathBuf> {
    names
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
        .find(|file| file.is_file())
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

fn free_port() -> std::io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

/// Other users of this machine can reach the port, and must not get in.
fn random_password() -> std::io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The end of what a server wrote, on one line.
fn last_words(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let last = &lines[lines.len().saturating_sub(5)..];
    format!("{} (more in {})", last.join(" | "), log.display())
}
