//! The folder that this user's test processes share.

use std::fs::{DirBuilder, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use anyhow::Context as _;

/// How large a file system in memory has to be before test databases go there,
/// in KiB: 2 GiB. Containers often have one of 64 MB, where two do not fit.
const ROOMY: u64 = 2 * 1024 * 1024;

/// The folder for temporary files where templates, test databases and throwaway
/// servers of this user live. Every test process of this user finds the same.
///
/// # Errors
///
/// If it cannot be made, or if somebody else could write to it: test processes
/// trust what they find there.
pub(super) fn shared() -> anyhow::Result<PathBuf> {
    static TEMPORARY: LazyLock<PathBuf> = LazyLock::new(temporary);
    let temporary = &*TEMPORARY;
    #[cfg(unix)]
    let folder = {
        use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
        // The owner of a file that this process makes is the user it runs as.
        let user = tempfile::tempfile()
            .and_then(|file| file.metadata())
            .with_context(|| format!("no file can be made in {}", temporary.display()))?
            .uid();
        let folder = temporary.join(format!("plimsoll-test-{user}"));
        // A server that runs as another user has to get through to its data.
        DirBuilder::new()
            .mode(0o711)
            .recursive(true)
            .create(&folder)?;
        owned(&folder, user)?;
        folder
    };
    #[cfg(not(unix))]
    let folder = {
        let folder = temporary.join("plimsoll-test");
        DirBuilder::new().recursive(true).create(&folder)?;
        folder
    };
    Ok(folder)
}

/// Where TMPDIR says, or else in memory where there is room: a new PostgreSQL
/// database is 7 MB of new files, and SQLite syncs each commit.
fn temporary() -> PathBuf {
    let memory = Path::new("/dev/shm");
    if std::env::var_os("TMPDIR").is_none() && size(memory).is_some_and(|size| size >= ROOMY) {
        memory.to_owned()
    } else {
        std::env::temp_dir()
    }
}

/// The size in KiB of the file system that is mounted at a folder. The size, not
/// what is free, as that would send processes of one test run to different places.
fn size(mounted: &Path) -> Option<u64> {
    let answer = Command::new("df").arg("-Pk").arg(mounted).output().ok()?;
    let answer = String::from_utf8(answer.stdout).ok()?;
    let line = answer.lines().nth(1)?;
    // The folder is somewhere else's part when nothing is mounted there.
    let is_mounted = Path::new(line.split_whitespace().last()?) == mounted;
    is_mounted.then(|| line.split_whitespace().nth(1)?.parse().ok())?
}

/// Sees that a folder is one, is `user`'s, and can be written by nobody else.
#[cfg(unix)]
pub(super) fn owned(folder: &Path, user: u32) -> anyhow::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let found = std::fs::symlink_metadata(folder)?;
    anyhow::ensure!(
        found.is_dir() && found.uid() == user && found.mode() & 0o022 == 0,
        "{} is not a folder of user {user} alone: remove it, or set TMPDIR",
        folder.display(),
    );
    Ok(())
}

/// Waits until this process alone holds `path`, made if need be, and until it
/// drops what comes back. The lock goes with the process, however that ends.
pub(super) async fn locked(path: &Path) -> anyhow::Result<File> {
    let shown = path.display().to_string();
    let file = open_to_append(path).with_context(|| format!("opening {shown}"))?;
    tokio::task::spawn_blocking(move || file.lock().map(|()| file))
        .await?
        .with_context(|| format!("locking {shown}"))
}

pub(super) fn open_to_append(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}
