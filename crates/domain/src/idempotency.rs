//! Requests that may be sent again: what a key led to is kept with the change itself, so that the
//! same request is not done twice, whatever became of its answer.
//!
//! A key belongs to an actor and to one mutation with its input. Its row is written before the
//! work: a second request with the same key waits for the first one's end. What is kept is which
//! records came of it, not the response. What was refused is rolled back, its key with it.
//!
//! A client that gave a request up and sent it again must not find the first one done after the
//! second was refused. So a request whose client has left before its key was written is not done.

use std::{
    collections::HashMap,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use plimsoll_entity::{
    id::{IdempotencyKeyId, UserId},
    idempotency_key,
};
use plimsoll_records::{Read, Rows, Version};
use rand::RngExt as _;
use sea_orm::{ActiveValue::Set, ColumnTrait, sea_query::ExprTrait};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{Error, Request, Result, Store, Timing, Tx, Viewer};

/// The most characters of a key.
pub const MAX_KEY: usize = 200;

/// How often a request is done anew whose commit's answer was lost.
const TRIES: u32 = 6;

/// The longest pause before the first of them; it doubles each time.
const PAUSE: Duration = Duration::from_millis(50);

/// How often a key is looked for that others take and remove meanwhile.
const CLAIMS: u32 = 3;

/// How many expired keys are removed in one transaction.
const BATCH: u64 = 1_000;

/// What a client calls a request, so that it can send it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    key: String,
    request_hash: String,
}

impl Key {
    /// A key of a request. `request` is the same for equal requests and for no others.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] unless the key has 1 to [`MAX_KEY`] printable ASCII characters, as the text of
    /// the header may have (RFC 8941, section 3.3.3), and no blank at either end.
    pub fn new(key: &str, request: &[u8]) -> Result<Self> {
        let printable = |byte: u8| byte.is_ascii_graphic() || byte == b' ';
        if key.is_empty()
            || key.len() > MAX_KEY
            // Some engines take a text for the same with blanks behind it.
            || key.trim() != key
            || !key.bytes().all(printable)
        {
            return Err(Error::invalid(
                "idempotencyKey",
                format!(
                    "It must have 1 to {MAX_KEY} printable ASCII characters, no blank first or last."
                ),
            ));
        }
        Ok(Self {
            key: key.into(),
            request_hash: crate::text::hex(&Sha256::digest(request)),
        })
    }
}

/// What a key can lead to: something with an id and a version, which is read again when the same
/// request comes again.
pub trait Kept: Sized + Send + Sync + 'static {
    /// What it is.
    fn record_type(&self) -> &'static str;

    /// Its id, and its version as the change left it.
    fn seen(&self) -> (Uuid, Version);

    /// Those that the viewer sees, as they are now.
    ///
    /// # Errors
    ///
    /// Whatever keeps the database from answering.
    fn again(
        read: &Read,
        viewer: &Viewer,
        ids: &[Uuid],
    ) -> impl Future<Output = Result<HashMap<Uuid, Self>>> + Send;
}

/// What a command answers: one thing that is [`Kept`], or many.
pub trait Answer: Sized + Send + 'static {
    /// What it is made of.
    type Of: Kept;

    /// What it is made of, in its order.
    fn parts(&self) -> &[Self::Of];

    /// The answer, of what is there of it now; `None` if nothing can be shown.
    fn made_of(parts: Vec<Option<Self::Of>>) -> Option<Self>;
}

impl<T: Kept> Answer for T {
    type Of = T;

    fn parts(&self) -> &[T] {
        std::slice::from_ref(self)
    }

    fn made_of(parts: Vec<Option<T>>) -> Option<Self> {
        parts.into_iter().next().flatten()
    }
}

impl<T: Kept> Answer for Vec<T> {
    type Of = T;

    fn parts(&self) -> &[T] {
        self
    }

    fn made_of(parts: Vec<Option<T>>) -> Option<Self> {
        Some(parts.into_iter().flatten().collect())
    }
}

/// What became of a request with a key.
enum Once<T> {
    /// It was done.
    Now(T),
    /// It was done before, and these came of it.
    Before(Vec<Uuid>),
}

/// Which row a request with a key has.
enum Claim {
    /// A new one: the work is to be done.
    New(IdempotencyKeyId),
    /// One that says what came of it.
    Done(Vec<Uuid>),
}

impl Store {
    /// Runs a command as [`write`](Self::write) does; with a key, once: the same request again is
    /// answered with what came of it the first time, as that is now. `None` then means that it
    /// is there no longer, or no longer to be seen.
    ///
    /// With a key, a commit whose answer was lost is not left at that: the request is done again,
    /// and the key tells whether it was done already. If the caller goes away, the command runs
    /// to its end if the key was written by then, and else does nothing.
    ///
    /// # Errors
    ///
    /// As for [`write`](Self::write), and [`Error::Invalid`] if the key was used for another
    /// request. [`Error::OutcomeUnknown`] also when a commit's answer was lost and the key could
    /// not be asked afterwards.
    pub async fn write_once<T, F>(
        &self,
        request: &Request,
        key: Option<Key>,
        command: F,
    ) -> Result<Option<T>>
    where
        T: Answer,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T>> + Clone + Send + 'static,
    {
        let (Some(key), Some(actor)) = (key, request.viewer.user_id()) else {
            return self.write(request, command).await.map(Some);
        };
        let lifetime = self.settings().key_lifetime;
        let caller = Arc::new(());
        let (mut tries, mut may_be_done) = (0, false);
        loop {
            tries += 1;
            let was_free = Arc::new(AtomicBool::new(false));
            let (key, command, free) = (key.clone(), command.clone(), was_free.clone());
            let waiting = Arc::downgrade(&caller);
            let done = self.write(request, move |tx| {
                Box::pin(async move {
                    match claim(tx, actor, &key, lifetime).await? {
                        Claim::Done(ids) => Ok(Once::Before(ids)),
                        // Sent again meanwhile, it may have been refused: that answer stands.
                        Claim::New(_) if waiting.strong_count() == 0 => {
                            Err(Error::Unavailable(Timing::Timeout))
                        }
                        Claim::New(id) => {
                            free.store(true, Ordering::SeqCst);
                            let answer = command(tx).await?;
                            keep(tx, id, answer.parts()).await?;
                            Ok(Once::Now(answer))
                        }
                    }
                })
            });
            let done = match done.await {
                Ok(Once::Now(answer)) => Ok(Some(answer)),
                Ok(Once::Before(ids)) => {
                    let found = T::Of::again(&self.read(), &request.viewer, &ids).await;
                    found.map(|mut found| {
                        let parts = ids.iter().map(|id| found.remove(id));
                        T::made_of(parts.collect())
                    })
                }
                Err(error) => Err(error),
            };
            match done {
                Err(Error::OutcomeUnknown) if tries < TRIES => {
                    may_be_done = true;
                    let most = PAUSE.saturating_mul(1 << tries);
                    let pause = rand::rng().random_range(Duration::ZERO..most);
                    tokio::time::sleep(pause).await;
                }
                // Only a key that was free says that nothing was done before.
                Err(_) if may_be_done && !was_free.load(Ordering::SeqCst) => {
                    return Err(Error::OutcomeUnknown);
                }
                done => return done,
            }
        }
    }

    /// Removes the keys that expired before the request, a batch at a time. Returns how many.
    ///
    /// # Errors
    ///
    /// Whatever keeps the database from answering. What was removed before stays so.
    pub async fn remove_expired_keys(&self, request: &Request) -> Result<u64> {
        let expired = idempotency_key::Column::ExpiresAt.lte(request.now);
        let mut removed = 0;
        loop {
            let these = Rows::<idempotency_key::Entity>::live().filter(expired.clone());
            let these = these.all(BATCH, &self.read()).await?;
            let ids: Vec<IdempotencyKeyId> = these.iter().map(|row| row.id).collect();
            if ids.is_empty() {
                return Ok(removed);
            }
            let expired = expired.clone();
            let work = self.write(request, move |tx| {
                Box::pin(async move {
                    // One that was used anew since has another time.
                    let these = idempotency_key::Column::Id.is_in(ids).and(expired);
                    Ok(tx.delete_facts::<idempotency_key::Entity>(these).await?)
                })
            });
            removed += work.await?;
        }
    }
}

/// Takes the key for this transaction, or finds what came of it.
async fn claim(tx: &mut Tx, actor: UserId, key: &Key, lifetime: chrono::Duration) -> Result<Claim> {
    let now = tx.now();
    let expires_at = now
        .checked_add_signed(lifetime)
        .ok_or_else(|| Error::Internal("keys last too long".into()))?;
    let id = IdempotencyKeyId(tx.mint());
    let row = idempotency_key::ActiveModel {
        id: Set(id),
        actor_id: Set(actor),
        idempotency_key: Set(key.key.clone()),
        request_hash: Set(key.request_hash.clone()),
        record_type: Set(None),
        results: Set(serde_json::json!([])),
        expires_at: Set(expires_at),
        created_at: Set(now),
        updated_at: Set(now),
    };
    for _ in 0..CLAIMS {
        // Waits for who has just taken it.
        let free = tx.insert_fact_if_free::<idempotency_key::Entity>(row.clone());
        if free.await? {
            return Ok(Claim::New(id));
        }
        let this = idempotency_key::Column::ActorId
            .eq(actor)
            .and(idempotency_key::Column::IdempotencyKey.eq(key.key.as_str()));
        let found = Rows::<idempotency_key::Entity>::live().filter(this);
        let Some(found) = found.one(tx).await? else {
            // It was removed just now.
            continue;
        };
        if found.expires_at <= now {
            if take_over(tx, &found, key, expires_at).await? {
                return Ok(Claim::New(found.id));
            }
            continue;
        }
        if found.request_hash != key.request_hash {
            return Err(Error::invalid(
                "idempotencyKey",
                "This key was used for another request: take a new one.",
            ));
        }
        let results: Vec<(Uuid, i32)> = serde_json::from_value(found.results)
            .map_err(|error| Error::Internal(format!("a key's results cannot be read: {error}")))?;
        return Ok(Claim::Done(results.into_iter().map(|(id, _)| id).collect()));
    }
    Err(Error::Unavailable(Timing::Contention))
}

/// Takes the row of a key that has expired; false if somebody else has.
async fn take_over(
    tx: &mut Tx,
    expired: &idempotency_key::Model,
    key: &Key,
    expires_at: DateTime<Utc>,
) -> Result<bool> {
    let this = idempotency_key::Column::Id
        .eq(expired.id)
        .and(idempotency_key::Column::ExpiresAt.eq(expired.expires_at));
    let values = [
        (
            idempotency_key::Column::RequestHash,
            key.request_hash.clone().into(),
        ),
        (idempotency_key::Column::ExpiresAt, expires_at.into()),
        (idempotency_key::Column::UpdatedAt, tx.now().into()),
    ];
    let taken = tx.update_facts::<idempotency_key::Entity>(this, values);
    Ok(taken.await? > 0)
}

/// Writes down what came of the request.
async fn keep<T: Kept>(tx: &mut Tx, id: IdempotencyKeyId, parts: &[T]) -> Result<()> {
    let seen: Vec<(Uuid, i32)> = parts
        .iter()
        .map(|part| {
            let (id, version) = part.seen();
            (id, version.0)
        })
        .collect();
    let record_type = parts.first().map(|part| part.record_type().to_owned());
    let values = [
        (idempotency_key::Column::RecordType, record_type.into()),
        (
            idempotency_key::Column::Results,
            serde_json::json!(seen).into(),
        ),
    ];
    let this = idempotency_key::Column::Id.eq(id);
    tx.update_facts::<idempotency_key::Entity>(this, values)
        .await?;
    Ok(())
}
