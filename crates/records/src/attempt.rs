//! A part of a transaction that may fail by itself, and what a failure leaves of the rest.

use std::sync::{Mutex, PoisonError};

use futures::future::BoxFuture;

use crate::{Fault, Timing, Tx, database::sealed::Connected};

/// What has gone wrong in an open transaction.
///
/// Engines differ in what a failed statement leaves behind: PostgreSQL refuses whatever comes
/// next and answers a COMMIT with a silent ROLLBACK, the others go on with half of the work done.
/// Here it is one rule: after a failure nothing is committed, unless an [attempt](Tx::attempt)
/// around it was rolled back.
#[derive(Debug, Default)]
pub(crate) struct Damage(Mutex<Option<Kind>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A statement failed, or a change was refused when a part of it was already written.
    Part,
    /// The transaction itself may be gone: MariaDB and MySQL roll it back when it loses a
    /// deadlock, SQLite when it has no room, and what came next would be committed on its own.
    Whole(Timing),
}

impl Damage {
    /// Remembers a fault of a statement.
    pub(crate) fn after(&self, fault: &Fault) {
        self.raise(match fault {
            Fault::Transient(timing) => Kind::Whole(*timing),
            _ => Kind::Part,
        });
    }

    fn get(&self) -> Option<Kind> {
        // A panic while the lock was held leaves nothing half done.
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn raise(&self, kind: Kind) {
        let mut damage = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*damage, Some(Kind::Whole(_))) {
            *damage = Some(kind);
        }
    }

    fn set(&self, kind: Option<Kind>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = kind;
    }

    /// The passing trouble that ended the transaction, if it did.
    pub(crate) fn passing(&self) -> Option<Timing> {
        match self.get() {
            Some(Kind::Whole(timing)) => Some(timing),
            Some(Kind::Part) | None => None,
        }
    }

    /// Refuses to run a statement in a transaction that may be gone.
    pub(crate) fn may_run(&self) -> Result<(), Fault> {
        match self.passing() {
            Some(timing) => Err(Fault::Transient(timing)),
            None => Ok(()),
        }
    }

    /// Refuses to keep what was done.
    pub(crate) fn may_commit(&self) -> Result<(), Fault> {
        self.may_run()?;
        match self.get() {
            Some(Kind::Part) => Err(Fault::internal(
                "a failure inside the transaction was passed over; only `Tx::attempt` undoes a part",
            )),
            _ => Ok(()),
        }
    }
}

/// A statement that has begun. Dropped before it [ends](Self::ends), it damages its transaction: it
/// took longer than its caller waited, and what is left of its answer would be taken for that of
/// the next.
pub(crate) struct Begun<'a>(Option<&'a Damage>);

impl<'a> Begun<'a> {
    pub(crate) fn in_transaction(damage: Option<&'a Damage>) -> Self {
        Self(damage)
    }

    pub(crate) fn ends(mut self) {
        self.0 = None;
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if let Some(damage) = self.0 {
            damage.after(&Fault::Transient(Timing::Timeout));
        }
    }
}

impl Tx {
    /// Runs a part of this transaction that may fail by itself: when `work` answers `Err`, what
    /// it did is undone, its audit entries with it, and the transaction goes on as if it had not
    /// been tried. Attempts may be nested. It is a savepoint: two statements beside those of
    /// `work`.
    ///
    /// Outside of an attempt a failed statement ends the transaction on every engine: it is
    /// rolled back even if its function answers `Ok`. So does passing trouble
    /// ([`Fault::Transient`]) anywhere, since engines may have rolled the whole back by then; a
    /// statement whose future is dropped before it has ended counts as [`Timing::Timeout`].
    ///
    /// ```
    /// # use plimsoll_records::{Fault, Record, Tx};
    /// /// Adds a row, unless one of its unique values is taken.
    /// async fn create_if_free<E: Record>(tx: &mut Tx, row: E::ActiveModel) -> Result<bool, Fault>
    /// where
    ///     E::ActiveModel: Send + Sync + 'static,
    /// {
    ///     let created = tx
    ///         .attempt(|tx| Box::pin(async move { tx.create::<E>(row).await }))
    ///         .await;
    ///     match created {
    ///         Ok(_) => Ok(true),
    ///         Err(Fault::Duplicate(_)) => Ok(false),
    ///         Err(fault) => Err(fault),
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// What `work` answers, or the [`Fault`] of the savepoint.
    pub async fn attempt<T, E, F>(&mut self, work: F) -> Result<T, E>
    where
        E: From<Fault>,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, E>>,
    {
        // Not SeaORM's nested transaction: were the work dropped at the transaction's time limit,
        // its count of open ones could keep the outer ROLLBACK from being a whole one.
        let name = format!("attempt_{}", self.attempts);
        self.conn().control(&format!("SAVEPOINT {name}")).await?;
        let before = self.damage.get();
        let mut outer = std::mem::take(&mut self.entries);
        self.attempts += 1;
        let mut outcome = work(self).await;
        self.attempts -= 1;
        let inner = std::mem::take(&mut self.entries);
        if outcome.is_ok() && self.damage.get() != before {
            outcome = self.damage.may_commit().map_err(E::from).and(outcome);
        }
        match outcome {
            Ok(value) => {
                outer.extend(inner);
                self.entries = outer;
                self.conn()
                    .control(&format!("RELEASE SAVEPOINT {name}"))
                    .await?;
                Ok(value)
            }
            Err(error) => {
                self.entries = outer;
                if self.damage.may_run().is_ok() {
                    let conn = self.conn();
                    conn.control(&format!("ROLLBACK TO SAVEPOINT {name}"))
                        .await?;
                    conn.control(&format!("RELEASE SAVEPOINT {name}")).await?;
                    self.damage.set(before);
                }
                Err(error)
            }
        }
    }

    /// For what follows the first statement of a change: when it fails, half of the change is
    /// written, and the transaction must not be committed.
    pub(crate) fn kept<T, X>(&self, outcome: Result<T, X>) -> Result<T, X> {
        if outcome.is_err() {
            self.damage.raise(Kind::Part);
        }
        outcome
    }
}
