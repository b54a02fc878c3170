//! A client of the database alone, in a process of its own, so that its processor time is apart.

use std::{
    io::{Read as _, Write as _},
    process::Stdio,
    sync::{Arc, atomic::AtomicU64},
};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use tokio::{io::AsyncWriteExt as _, process::Command, sync::Mutex};

use crate::{
    engine::Engine,
    fixture,
    floor::Floor,
    load::{CONNECTIONS, Tally, Timing, drive},
    process::Watched,
    same,
    shop::Errands,
    statements::{Recordings, Replay},
    workload::{Walk, Workload},
};

/// The word that this program is called with to be such a client. It then reads a [`Job`] from
/// its input and writes a [`Tally`] to its output.
pub(crate) const WORD: &str = "bare";

/// What the client is to do.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Job {
    pub(crate) engine: Engine,
    pub(crate) url: String,
    pub(crate) postmaster: Option<u32>,
    pub(crate) workload: Workload,
    pub(crate) timing: Timing,
    /// How many posts lie before the deep page.
    pub(crate) depth: usize,
    /// The statements to run; the hand-written ones unless given. Those of transfers and orders
    /// are written down, see [`same`].
    pub(crate) recordings: Option<Recordings>,
}

impl Job {
    /// Has it done by another process.
    pub(crate) async fn run(&self) -> anyhow::Result<Tally> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg(WORD)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut stdin = process.stdin.take().context("it has an input")?;
        stdin.write_all(&serde_json::to_vec(self)?).await?;
        drop(stdin);
        let output = process.wait_with_output().await?;
        ensure!(output.status.success(), "the client of the database failed");
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    async fn tally(self) -> anyhow::Result<Tally> {
        let watched = Watched {
            asking: std::process::id(),
            postmaster: self.postmaster,
        };
        let retries = Arc::new(AtomicU64::new(0));
        if self.workload.is_of_the_shop() {
            let shop = fixture::shop();
            let place = same::Place::open(self.engine, &self.url, retries.clone()).await?;
            let mut clients = Vec::new();
            for nth in 0..CONNECTIONS {
                let errands = Errands::of_client(&shop, self.workload, nth, CONNECTIONS);
                clients.push(place.client(errands).await?);
            }
            return drive(clients, self.timing, watched, &retries).await;
        }
        let posts = fixture::posts(self.engine, &self.url).await?;
        let walk = |nth| Walk::of_client(&posts, nth, CONNECTIONS);
        if let Some(recordings) = &self.recordings {
            let mut clients = Vec::new();
            for nth in 0..CONNECTIONS {
                let walk = walk(nth);
                clients.push(Replay::open(&self.url, self.workload, recordings, walk).await?);
            }
            return drive(clients, self.timing, watched, &retries).await;
        }
        let place = Floor::place(self.engine, &self.url, self.depth).await?;
        let writing = Arc::new(Mutex::new(()));
        let mut clients = Vec::new();
        for nth in 0..CONNECTIONS {
            let opened = Floor::open(
                self.engine,
                &self.url,
                self.workload,
                place,
                walk(nth),
                writing.clone(),
            );
            clients.push(opened.await?);
        }
        drive(clients, self.timing, watched, &retries).await
    }
}

/// Does the job that the input holds.
pub(crate) async fn run() -> anyhow::Result<()> {
    let mut input = Vec::new();
    std::io::stdin().read_to_end(&mut input)?;
    let job: Job = serde_json::from_slice(&input)?;
    let tally = job.tally().await?;
    let mut output = std::io::stdout();
    serde_json::to_writer(&mut output, &tally)?;
    Ok(output.flush()?)
}
