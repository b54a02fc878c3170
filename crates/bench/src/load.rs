//! Clients that ask one request after the other, and what that took.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::process::Watched;

/// How many clients ask at the same time, each on a connection of its own.
pub(crate) const CONNECTIONS: usize = 32;

/// A connection that asks requests.
pub(crate) trait Client: Send + 'static {
    /// Asks one request, and looks at the answer.
    fn request(&mut self) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// How long clients ask.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Timing {
    /// Before anything is measured.
    pub(crate) warm_up: Duration,
    pub(crate) measured: Duration,
}

/// What a run of requests took.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) requests_a_second: f64,
    /// Latencies in milliseconds.
    pub(crate) p50: f64,
    pub(crate) p99: f64,
    /// Processor time in milliseconds a request: of whoever asked the database, and of the
    /// database apart.
    pub(crate) asking: f64,
    pub(crate) database: f64,
    /// How often a write was tried again, for each request that was answered.
    pub(crate) retries: f64,
}

impl Tally {
    /// Processor time of both sides, in milliseconds a request.
    pub(crate) fn whole(&self) -> f64 {
        self.asking + self.database
    }
}

#[derive(Default)]
struct Window {
    measuring: AtomicBool,
    over: AtomicBool,
}

/// Lets the clients ask, and measures what `watched` use meanwhile. `retries` is counted by
/// whoever tries again.
pub(crate) async fn drive<C: Client>(
    clients: Vec<C>,
    timing: Timing,
    watched: Watched,
    retries: &AtomicU64,
) -> anyhow::Result<Tally> {
    let window = Arc::new(Window::default());
    let mut running = JoinSet::new();
    for client in clients {
        running.spawn(ask(client, window.clone()));
    }
    all_run_for(timing.warm_up, &mut running).await?;

    let (begun, before) = (Instant::now(), watched.cpu()?);
    let tried_before = retries.load(Ordering::Relaxed);
    window.measuring.store(true, Ordering::Relaxed);
    all_run_for(timing.measured, &mut running).await?;
    window.measuring.store(false, Ordering::Relaxed);
    let tried = retries.load(Ordering::Relaxed).saturating_sub(tried_before);
    let (seconds, after) = (begun.elapsed().as_secs_f64(), watched.cpu()?);
    window.over.store(true, Ordering::Relaxed);

    let mut latencies = histogram()?;
    while let Some(ended) = running.join_next().await {
        latencies.add(ended??)?;
    }
    let requests = latencies.len() as f64;
    if requests == 0.0 {
        bail!("not one request was answered in the time that is measured");
    }
    let used = after.since(before);
    let milliseconds = |quantile| latencies.value_at_quantile(quantile) as f64 / 1000.0;
    Ok(Tally {
        requests_a_second: requests / seconds,
        p50: milliseconds(0.5),
        p99: milliseconds(0.99),
        asking: used.asking.as_secs_f64() * 1000.0 / requests,
        database: used.database.as_secs_f64() * 1000.0 / requests,
        retries: tried as f64 / requests,
    })
}

/// In microseconds, of three digits each.
fn histogram() -> anyhow::Result<Histogram<u64>> {
    Ok(Histogram::new(3)?)
}

async fn ask<C: Client>(mut client: C, window: Arc<Window>) -> anyhow::Result<Histogram<u64>> {
    let mut latencies = histogram()?;
    while !window.over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        client.request().await?;
        if window.measuring.load(Ordering::Relaxed) {
            latencies.record(u64::try_from(begun.elapsed().as_micros())?)?;
        }
    }
    Ok(latencies)
}

/// Waits for a time in which no client may end: one ends early only by an error.
async fn all_run_for(
    time: Duration,
    running: &mut JoinSet<anyhow::Result<Histogram<u64>>>,
) -> anyhow::Result<()> {
    match tokio::time::timeout(time, running.join_next()).await {
        Err(_) => Ok(()),
        Ok(ended) => {
            ended.context("there is no client")???;
            bail!("a client ended early")
        }
    }
}
