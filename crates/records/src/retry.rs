//! What is tried again: how often, and after which pause.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rand::RngExt as _;

use crate::Timing;

/// How often a write is tried whose transaction met passing trouble
/// ([`Fault::Transient`](crate::Fault::Transient)), and for how long.
///
/// Between two tries there is a pause of random length: up to `base` after the first, and up to
/// twice as long after each further one, but never longer than `cap`. Those who met once do not
/// meet again.
///
/// ```
/// # mod library {
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/library.rs"));
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// # let library::Stocked { folder, database, .. } = library::stocked().await?;
/// # database.close().await;
/// # let url = format!("sqlite:{}/library.db", folder.path().display());
/// use std::time::Duration;
///
/// use chrono::Utc;
/// use library::author;
/// use plimsoll_records::{Database, Fault, Isolation, Options, Retry, Rows, Writer};
/// use sea_orm::ActiveValue::Set;
///
/// let options = Options {
///     retry: Retry {
///         tries: 10,
///         total: Duration::from_secs(2),
///         ..Retry::default()
///     },
///     ..Options::default()
/// };
/// let database = Database::connect(&url, library::register(), options).await?;
///
/// // No row can be locked that is not there yet: the library takes three authors at most.
/// let write = Writer {
///     isolation: Isolation::Serializable,
///     ..Writer::system(Utc::now())
/// };
/// let grace = database.write(write, |tx| {
///     Box::pin(async move {
///         if Rows::<author::Entity>::live().count(tx).await? >= 3 {
///             return Ok(None);
///         }
///         let grace = author::ActiveModel {
///             name: Set("Grace".into()),
///             ..Default::default()
///         };
///         tx.create::<author::Entity>(grace).await.map(Some)
///     })
/// });
/// let grace: Result<Option<author::Model>, Fault> = grace.await;
/// assert!(grace?.is_some());
///
/// // Nobody was in the way.
/// let counts = database.counts();
/// assert_eq!((counts.writes, counts.retries), (1, 0));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// How often a write is tried at most, the first time included. At 0 and 1 nothing is tried
    /// again.
    pub tries: u32,
    /// The longest pause after the first try.
    pub base: Duration,
    /// The longest pause after any.
    pub cap: Duration,
    /// How long after the beginning of the first try another may begin. What it waits for a
    /// connection counts.
    pub total: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            tries: 6,
            base: Duration::from_millis(10),
            cap: Duration::from_millis(500),
            total: Duration::from_secs(5),
        }
    }
}

/// What a transaction sees of those that run beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Isolation {
    /// Each statement sees what is committed when it begins. What must not change is locked
    /// ([`Rows::lock`](crate::Rows::lock), [`Tx::hold_live`](crate::Tx::hold_live)) or computed
    /// by the database ([`Adjustment`](crate::Adjustment)).
    #[default]
    ReadCommitted,
    /// All that is committed is as if these transactions had run one after the other. It is for
    /// where no row can be locked; whoever cannot be put in an order is tried again. It holds
    /// among transactions that all ask for it.
    ///
    /// MariaDB and MySQL lock whatever is read. On SQLite there is one writer, and every
    /// transaction is serializable.
    Serializable,
}

/// How much was written through a [`Database`](crate::Database) and its clones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// The writes that were committed.
    pub writes: u64,
    /// How often one was tried again.
    pub retries: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    writes: AtomicU64,
    retries: AtomicU64,
}

impl Counters {
    pub(crate) fn written(&self) {
        self.writes.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn now(&self) -> Counts {
        Counts {
            writes: self.writes.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
        }
    }
}

/// The tries of one write.
pub(crate) struct Tries {
    retry: Retry,
    counters: Arc<Counters>,
    begun: Instant,
    /// The number of the try under way.
    number: u32,
}

impl Tries {
    /// The first begins now.
    pub(crate) fn new(retry: Retry, counters: Arc<Counters>) -> Self {
        Self {
            retry,
            counters,
            begun: Instant::now(),
            number: 1,
        }
    }

    /// Waits until the next try may begin. Returns whether there is one.
    pub(crate) async fn next(&mut self, timing: Timing) -> bool {
        let pause = self.pause();
        if self.number >= self.retry.tries || self.begun.elapsed() + pause >= self.retry.total {
            return false;
        }
        self.number += 1;
        self.counters.retries.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(
            number = self.number,
            ?timing,
            ?pause,
            "a write is tried again"
        );
        tokio::time::sleep(pause).await;
        true
    }

    /// Of any length up to the longest.
    fn pause(&self) -> Duration {
        self.longest_pause().mul_f64(rand::rng().random())
    }

    fn longest_pause(&self) -> Duration {
        let doubled = 2_u32.saturating_pow(self.number - 1);
        self.retry.base.saturating_mul(doubled).min(self.retry.cap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_pause_doubles_up_to_its_cap() {
        let mut tries = Tries::new(Retry::default(), Arc::default());
        let mut pauses = Vec::new();
        for number in [1, 2, 3, 6, 7, 40, u32::MAX] {
            tries.number = number;
            pauses.push(tries.longest_pause().as_millis());
        }
        assert_eq!(pauses, [10, 20, 40, 320, 500, 500, 500]);
    }

    #[test]
    fn pauses_are_of_any_length_up_to_the_longest() {
        let mut tries = Tries::new(Retry::default(), Arc::default());
        tries.number = 40;
        let pauses: Vec<u128> = (0..200).map(|_| tries.pause().as_millis()).collect();
        assert!(pauses.iter().all(|pause| *pause <= 500), "{pauses:?}");
        assert!(pauses.iter().any(|pause| *pause < 125), "{pauses:?}");
        assert!(pauses.iter().any(|pause| *pause > 375), "{pauses:?}");
    }
}
