//! `plimsoll purge`.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, value_parser};
use plimsoll_domain::{
    self as domain, Deletion, Retention, Settings, Store,
    deletion::{Due, Outcome as Became, Purge},
};
use plimsoll_graphql::encode_as;

use super::{
    Failure, Outcome, count, database::Database, explain, progress::Progress, system, trouble,
};
use crate::serve::Signals;

/// How long deleted records are kept: one setting for whoever serves and whoever purges.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Retain {
    /// Days that a deleted record is kept before it may be purged
    #[arg(
        long,
        env = "PLIMSOLL_RETENTION_DAYS",
        value_parser = value_parser!(u32).range(0..=36_500),
        default_value_t = 30,
        value_name = "DAYS"
    )]
    retention_days: u32,
}

impl Retain {
    pub(super) fn retention(self) -> Retention {
        Retention(chrono::Duration::days(self.retention_days.into()))
    }
}

#[derive(Debug, Args)]
#[command(
    after_help = "One deletion a transaction, the oldest first. Ctrl-C and SIGTERM end it after \
                  the one under way, and the next run goes on from there.\n\n\
                  Exit codes: 0 when all that was due is purged, 1 when something could not be, \
                  2 when the configuration is wrong, 3 when it was told to stop before the end."
)]
pub(super) struct PurgeCommand {
    #[command(flatten)]
    database: Database,
    #[command(flatten)]
    retain: Retain,
    /// Say what would be purged, and leave it
    #[arg(long, env = "PLIMSOLL_DRY_RUN", default_value_t = false)]
    dry_run: bool,
}

pub(super) async fn run(command: PurgeCommand) -> Outcome {
    let settings = Settings {
        retention: command.retain.retention(),
        ..Settings::default()
    };
    let url = command.database.url_or_demo()?;
    let store = command.database.store(&url, settings).await?;
    let request = system();
    let outcome = if command.dry_run {
        show(Due::at(store.read(), request.now, settings.retention)).await
    } else {
        match purge(Purge::begin(&store, &request)).await {
            Ok(()) => remove_keys(&store, &request).await,
            unfinished => unfinished,
        }
    };
    store.database().close().await;
    outcome
}

/// Removes the idempotency keys that have expired.
async fn remove_keys(store: &Store, request: &domain::Request) -> Outcome {
    match store.remove_expired_keys(request).await.map_err(explain)? {
        0 => {}
        1 => println!("Removed 1 expired idempotency key."),
        removed => println!("Removed {removed} expired idempotency keys."),
    }
    Ok(())
}

/// Says what is due.
async fn show(mut due: Due) -> Outcome {
    let mut tally = Tally::default();
    let mut oldest = None;
    while let Some(deletion) = due.next().await.map_err(explain)? {
        oldest = oldest.or(Some(deletion.created_at));
        tally.add(&deletion);
    }
    if let Some(oldest) = oldest {
        println!("May be purged: {tally}, the oldest of {}.", shown(oldest));
        tally.list();
    }
    println!("Nothing was purged.");
    Ok(())
}

/// Purges what is due, until it is told to stop.
async fn purge(mut purge: Purge) -> Outcome {
    let mut signals = Signals::listen().map_err(trouble)?;
    let all = purge.due().count().await.map_err(explain)?;
    tracing::info!(deletions = all, "purging");
    let stop = Arc::new(AtomicBool::new(false));
    let told = stop.clone();
    tokio::spawn(async move {
        signals.next().await;
        tracing::info!("stopping after the transaction under way");
        told.store(true, Ordering::Relaxed);
    });
    let mut progress = Progress::of(all, "deletions");
    let mut tally = Tally::default();
    let mut closed = 0;
    let mut kept = Vec::new();
    let ended = loop {
        if stop.load(Ordering::Relaxed) {
            break Err(Failure::Stopped(
                "stopped before the end; run it again to go on".into(),
            ));
        }
        match purge.next().await {
            Ok(Some(purged)) => match purged.outcome {
                Became::Gone => tally.add(&purged.deletion),
                Became::Closed => closed += 1,
                Became::PutOff => {}
                Became::Kept(reason) => kept.push((purged.deletion, reason)),
            },
            Ok(None) => break Ok(()),
            Err(error) => break Err(explain(error)),
        }
        progress.set((tally.deletions() + closed + kept.len()) as u64);
    };
    progress.finish();
    println!("Purged {tally}.");
    tally.list();
    if closed > 0 {
        println!("Restored, or purged by somebody else, meanwhile: {closed}.");
    }
    if !kept.is_empty() {
        println!("Not purged:");
        for (deletion, reason) in &kept {
            println!(
                "  {}, deleted {}: {}",
                encode_as(&deletion.root_type, deletion.root_id).as_str(),
                shown(deletion.created_at),
                words(reason)
            );
        }
    }
    match ended {
        Ok(()) | Err(Failure::Stopped(_)) if !kept.is_empty() => Err(trouble(format!(
            "{} could not be purged",
            count(kept.len(), "deletion")
        ))),
        ended => ended,
    }
}

/// Why a deletion stays, on one line.
fn words(reason: &domain::Error) -> String {
    let domain::Error::StillReferenced {
        record_type, ids, ..
    } = reason
    else {
        return reason.to_string();
    };
    let ids: Vec<String> = ids
        .iter()
        .map(|id| encode_as(record_type, *id).to_string())
        .collect();
    if ids.is_empty() {
        return reason.to_string();
    }
    format!("{reason} ({})", ids.join(", "))
}

fn shown(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// How many deletions of each type there were, and how many records they took.
#[derive(Default)]
struct Tally(BTreeMap<String, (usize, usize)>);

impl Tally {
    fn add(&mut self, deletion: &Deletion) {
        let (deletions, records) = self.0.entry(deletion.root_type.clone()).or_default();
        *deletions += 1;
        *records += deletion.row_count.unsigned_abs() as usize;
    }

    fn deletions(&self) -> usize {
        self.0.values().map(|(deletions, _)| deletions).sum()
    }

    /// One line for each type, if there are several.
    fn list(&self) {
        if self.0.len() > 1 {
            for (kind, counts) in &self.0 {
                println!("  {kind:<10}{}", counted(*counts));
            }
        }
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let records = self.0.values().map(|(_, records)| records).sum();
        f.write_str(&counted((self.deletions(), records)))
    }
}

fn counted((deletions, records): (usize, usize)) -> String {
    format!(
        "{} with {}",
        count(deletions, "deletion"),
        count(records, "record")
    )
}
