//! Deletions: what was deleted together, by whom, and until when it can come back.

use std::collections::VecDeque;

use chrono::{DateTime, Utc};
use plimsoll_records::{MAX_PAGE, Order, PageRequest, Record, Rows, deletion_entity};
use sea_orm::ColumnTrait;
use uuid::Uuid;

use crate::{
    AnyRecord, Deletion, Direction, Ends, Error, Page, PageArguments, Read, RecordKind, Request,
    Result, Retention, Store, Tx, Viewer, access,
    policy::{Act, Relation, require},
};

/// Moderators and administrators see all deletions, others their own.
fn visible(viewer: &Viewer) -> Rows<deletion_entity::Entity> {
    let rows = Rows::live();
    match viewer.user_id() {
        _ if viewer.is_moderator() => rows,
        Some(id) => rows.filter(deletion_entity::Column::ActorId.eq(Uuid::from(id))),
        None => rows.filter(access::nothing()),
    }
}

/// One page of the deletions, the newest first.
///
/// # Errors
///
/// [`Error::BadPage`] if the arguments do not fit.
pub async fn page(
    read: &Read,
    viewer: &Viewer,
    arguments: &PageArguments,
) -> Result<Page<Deletion>> {
    let order = Order::by(deletion_entity::Column::CreatedAt, Direction::Descending);
    let request = PageRequest::parse("deletions", order, arguments)?;
    Ok(visible(viewer).page(&request, read).await?)
}

/// How many deletions there are.
///
/// # Errors
///
/// Whatever keeps the database from answering.
pub async fn count(read: &Read, viewer: &Viewer) -> Result<u64> {
    Ok(visible(viewer).count(read).await?)
}

/// The deletions that may be purged at some time, the oldest first: neither restored nor purged,
/// and their retention time is over.
#[derive(Debug)]
pub struct Due {
    read: Read,
    until: DateTime<Utc>,
    after: Option<String>,
    listed: VecDeque<Deletion>,
    more: bool,
}

impl Due {
    /// Those that may be purged at `now`.
    pub fn at(read: Read, now: DateTime<Utc>, retention: Retention) -> Self {
        Self {
            read,
            until: retention.cutoff(now),
            after: None,
            listed: VecDeque::new(),
            more: true,
        }
    }

    fn rows(&self) -> Rows<deletion_entity::Entity> {
        open().filter(deletion_entity::Column::CreatedAt.lte(self.until))
    }

    /// How many there are.
    ///
    /// # Errors
    ///
    /// Whatever keeps the database from answering.
    pub async fn count(&self) -> Result<u64> {
        Ok(self.rows().count(&self.read).await?)
    }

    /// The next one; `None` behind the last.
    ///
    /// # Errors
    ///
    /// Whatever keeps the database from answering.
    pub async fn next(&mut self) -> Result<Option<Deletion>> {
        if self.listed.is_empty() && self.more {
            let arguments = PageArguments {
                first: i32::try_from(MAX_PAGE).ok(),
                after: self.after.take(),
                ends: Ends {
                    previous: false,
                    next: true,
                },
                ..PageArguments::default()
            };
            let order = Order::by(deletion_entity::Column::CreatedAt, Direction::Ascending);
            let request = PageRequest::parse("deletions that are due", order, &arguments)?;
            let page = self.rows().page(&request, &self.read).await?;
            self.more = page.has_next == Some(true);
            self.after = page.end_cursor().map(|cursor| cursor.to_string());
            self.listed.extend(page.into_rows());
        }
        Ok(self.listed.pop_front())
    }
}

/// Deletions that were neither restored nor purged.
fn open() -> Rows<deletion_entity::Entity> {
    Rows::live()
        .filter(deletion_entity::Column::RestoredAt.is_null())
        .filter(deletion_entity::Column::PurgedAt.is_null())
}

/// Purges every deletion that is [`Due`], the oldest first, each in a transaction of its own.
///
/// It does so while it is asked for the [`next`](Self::next) one. What is done is not found again,
/// so a purge that was left off goes on when another begins.
///
/// A child is deleted before its parent or along with it, so the oldest first is children first.
/// Where it is not, as after a correction of the clock, the parent is put off until nothing is
/// left that could go before it.
#[derive(Debug)]
pub struct Purge {
    store: Store,
    request: Request,
    due: Due,
    /// Those that are tried once more, after the last one that is due.
    again: VecDeque<Attempt>,
    /// Those that could not be purged since the list that is being walked began.
    put_off: VecDeque<(Attempt, Error)>,
    /// Whether one was purged since then.
    progress: bool,
}

/// A deletion, and how often it could not be purged for a passing reason.
#[derive(Debug)]
struct Attempt {
    deletion: Deletion,
    busy: usize,
}

/// How often a deletion is tried when somebody else's work gets in its way.
const TRIES: usize = 3;

/// What became of a deletion.
#[derive(Debug)]
pub struct Purged {
    /// The deletion, as it was before.
    pub deletion: Deletion,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a deletion that was due.
#[derive(Debug)]
pub enum Outcome {
    /// Its records are gone for good.
    Gone,
    /// It was restored, or purged by somebody else, since it was listed.
    Closed,
    /// It could not be purged yet; it comes again.
    PutOff,
    /// It cannot be purged: its records stay, for this reason.
    Kept(Error),
}

impl Purge {
    /// Begins on behalf of the request's viewer, with what is due at its time.
    pub fn begin(store: &Store, request: &Request) -> Self {
        Self {
            store: store.clone(),
            request: *request,
            due: Due::at(store.read(), request.now, store.settings().retention),
            again: VecDeque::new(),
            put_off: VecDeque::new(),
            progress: false,
        }
    }

    /// What was due when it began.
    pub fn due(&self) -> &Due {
        &self.due
    }

    /// Purges the next deletion, in one transaction at the most; `None` when none is left.
    ///
    /// # Errors
    ///
    /// What keeps the database from answering at all. What was purged before stays so.
    pub async fn next(&mut self) -> Result<Option<Purged>> {
        let Some(mut attempt) = self.upcoming().await? else {
            let Some((Attempt { deletion, .. }, error)) = self.put_off.pop_front() else {
                return Ok(None);
            };
            let error = self.explained(&deletion, error).await?;
            let outcome = Outcome::Kept(error);
            return Ok(Some(Purged { deletion, outcome }));
        };
        let deletion = attempt.deletion.clone();
        let outcome = match self.purge(&deletion).await {
            Ok(true) => {
                self.progress = true;
                Outcome::Gone
            }
            Ok(false) => Outcome::Closed,
            Err(error @ Error::StillReferenced { .. }) => {
                self.put_off.push_back((attempt, error));
                Outcome::PutOff
            }
            Err(error @ (Error::Unavailable(_) | Error::OutcomeUnknown)) => {
                // One that is busy does not end the work; a database that is away does.
                self.store.ping().await?;
                attempt.busy += 1;
                self.put_off.push_back((attempt, error));
                Outcome::PutOff
            }
            Err(error) => Outcome::Kept(error),
        };
        Ok(Some(Purged { deletion, outcome }))
    }

    /// The deletion to try next: one that is due, or one that was put off, if it may go better
    /// this time.
    async fn upcoming(&mut self) -> Result<Option<Attempt>> {
        if let Some(attempt) = self.again.pop_front() {
            return Ok(Some(attempt));
        }
        if let Some(deletion) = self.due.next().await? {
            return Ok(Some(Attempt { deletion, busy: 0 }));
        }
        let busy = |(attempt, error): &(Attempt, Error)| {
            !matches!(error, Error::StillReferenced { .. }) && attempt.busy < TRIES
        };
        if self.progress || self.put_off.iter().any(busy) {
            self.progress = false;
            self.again = self.put_off.drain(..).map(|(attempt, _)| attempt).collect();
        }
        Ok(self.again.pop_front())
    }

    /// Purges a deletion; false if it was closed since it was listed.
    async fn purge(&self, deletion: &Deletion) -> Result<bool> {
        let deletion = deletion.clone();
        let retention = self.store.settings().retention;
        let viewer = self.request.viewer;
        let kind = RecordKind::of_deletion(&deletion.root_type)?;
        require(&viewer, kind.subject(), Act::Purge, Relation::NONE)?;
        self.store
            .write(&self.request, move |tx| {
                Box::pin(async move { kind.purge(tx, &deletion, retention).await })
            })
            .await
    }

    /// The same error, with the records that stand in the way.
    async fn explained(&self, deletion: &Deletion, error: Error) -> Result<Error> {
        if !matches!(error, Error::StillReferenced { .. }) {
            return Ok(error);
        }
        let found = self.store.database().referrers(deletion.id).await?;
        let Some(record_type) = found.first().map(|first| first.record_type) else {
            return Ok(error);
        };
        Ok(Error::StillReferenced {
            message: format!("A {record_type} that did not go along still belongs to it."),
            record_type: record_type.into(),
            ids: found
                .into_iter()
                .filter(|one| one.record_type == record_type)
                .map(|one| one.id)
                .collect(),
        })
    }
}

/// Purges the record that a deletion named, with all that it took; false if the deletion was
/// restored or purged since it was listed.
pub(crate) async fn purge_root<E: Record>(
    tx: &mut Tx,
    deletion: &Deletion,
    retention: Retention,
) -> Result<bool>
where
    AnyRecord: From<E::Model>,
{
    // Once it is locked, it stays as this deletion left it.
    let root = Rows::<E>::only_deleted()
        .filter(E::ID.eq(deletion.root_id))
        .filter(E::DELETION_ID.eq(deletion.id))
        .lock(tx)
        .await?;
    if let Some(root) = root {
        let seen = root.version();
        root.purge(tx, seen, retention).await?;
        return Ok(true);
    }
    let id = deletion_entity::Column::Id.eq(deletion.id);
    if open().filter(id).exists(tx).await? {
        return Err(Error::Internal(format!(
            "the {} that it named is not there",
            deletion.root_type
        )));
    }
    Ok(false)
}
