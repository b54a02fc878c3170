//! Creating a record by a unique key, or changing the live one that has it.

use sea_orm::{
    ActiveModelTrait, ActiveValue, IdenStatic, Iterable,
    sea_query::{Expr, ExprTrait},
};

use crate::{Fault, Locked, Record, Refused, Rows, Timing, Tx, change::is_common, rows::uuid_of};

/// What an upsert does when no live record has the key and a deleted one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenDeleted {
    /// It refuses, with the deleted record.
    Refuse,
    /// It restores the one that was deleted last, with all that its deletion took along, and
    /// changes it.
    Revive,
}

/// What an upsert did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upserted<M> {
    /// Nobody had the key: the record is new.
    Created(M),
    /// A live record had the key: it was changed, unless it already was as it should be.
    Updated(M),
    /// A deleted record had the key: it was restored and changed.
    Revived(M),
}

impl<M> Upserted<M> {
    /// The record as it is now.
    pub fn into_inner(self) -> M {
        match self {
            Self::Created(model) | Self::Updated(model) | Self::Revived(model) => model,
        }
    }
}

/// How often a creation is tried that somebody else is always ahead of.
const TRIES: u32 = 4;

impl Tx {
    /// Creates a record, or makes the live one with the same `key` as `row` says. The key is a
    /// column that is unique among the living, and `row` sets it. Of several at once exactly one
    /// creates.
    ///
    /// No editor saw the record: a live one is locked, and changed as it is then.
    ///
    /// # Errors
    ///
    /// [`Refused::Deleted`] if only a deleted record has the key and `when_deleted` says so; what
    /// a restoration can be refused for; [`Fault::Duplicate`] inside [`Refused::Fault`] if the
    /// value of another column is taken.
    pub async fn upsert<E: Record>(
        &mut self,
        key: E::Column,
        row: E::ActiveModel,
        when_deleted: WhenDeleted,
    ) -> Result<Upserted<E::Model>, Refused<E>>
    where
        E::ActiveModel: Send + Sync + 'static,
    {
        let ActiveValue::Set(value) = row.get(key) else {
            return Err(Fault::internal("an upsert needs the value of its key").into());
        };
        for _ in 0..TRIES {
            let has_key = Expr::col((E::default(), key)).eq(value.clone());
            let live = with_row::<E>(Rows::live(), &row).filter(has_key.clone());
            if let Some(live) = live.lock(self).await? {
                let seen = live.version();
                return Ok(Upserted::Updated(live.update(self, seen, row).await?));
            }
            let deleted = Rows::<E>::only_deleted().filter(has_key);
            if let Some(deleted) = deleted.latest(self).await? {
                if when_deleted == WhenDeleted::Refuse {
                    return Err(Refused::Deleted(Box::new(deleted)));
                }
                let id = uuid_of::<E>(&deleted, E::ID);
                let this = Rows::<E>::only_deleted();
                let this = this.filter(Expr::col((E::default(), E::ID)).eq(id));
                // `None`: it was restored or purged since.
                if let Some(deleted) = this.lock(self).await? {
                    return Ok(Upserted::Revived(self.revive(deleted, row).await?));
                }
                continue;
            }
            let new = row.clone();
            let created = self
                .attempt(|tx| Box::pin(async move { tx.create::<E>(new).await }))
                .await;
            match created {
                Ok(model) => return Ok(Upserted::Created(model)),
                // Somebody was ahead: there is a row to change.
                Err(Fault::Duplicate(place)) if place.column == key.as_str() => {}
                Err(fault) => return Err(fault.into()),
            }
        }
        Err(Fault::Transient(Timing::Contention).into())
    }

    async fn revive<E: Record>(
        &mut self,
        deleted: Locked<E>,
        row: E::ActiveModel,
    ) -> Result<E::Model, Refused<E>> {
        let (id, seen) = (deleted.id(), deleted.version());
        deleted.restore(self, seen).await?;
        let rows = with_row::<E>(Rows::live(), &row);
        let restored = rows
            .filter(Expr::col((E::default(), E::ID)).eq(id))
            .lock(self)
            .await?
            .ok_or_else(|| Fault::internal("a row that was just restored is gone"))?;
        let seen = restored.version();
        let changed = restored.update(self, seen, row).await;
        self.kept(changed)
    }
}

/// `rows` with the heavy and secret columns that `row` sets, to be compared with it.
fn with_row<E: Record>(mut rows: Rows<E>, row: &E::ActiveModel) -> Rows<E> {
    for column in E::Column::iter() {
        let set = matches!(row.get(column), ActiveValue::Set(_)) && !is_common::<E>(&column);
        if set && !rows.columns().iter().any(|c| c.as_str() == column.as_str()) {
            rows = rows.with(column);
        }
    }
    rows
}
