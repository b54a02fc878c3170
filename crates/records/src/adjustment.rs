//! Changes that the database computes from the row as it is: stock, balances, counters, states.

use sea_orm::{
    ColumnTrait, ModelTrait, Value,
    sea_query::{ColumnType, Condition, Expr, ExprTrait, IntoCondition, Query},
};
use uuid::Uuid;

use crate::{
    Action, BatchRefused, Fault, MadeFor, Note, Record, Refused, Tx, Version,
    audit::{Changed, Entry},
    change::version_of,
    rows::{table_name, uuid_of},
};

/// A change of one live record that the database computes from the row as it is, in one UPDATE.
///
/// It needs no version that somebody saw, since nothing it writes comes from an earlier read: it
/// adds to a number, or takes a column from one known value to another, and only while its
/// conditions hold. It raises the version by one and is audited like every change.
///
/// ```
/// use plimsoll_records::{Adjustment, Record, Refused, Tx};
/// use sea_orm::ColumnTrait;
/// # use uuid::Uuid;
///
/// /// Takes `n` pieces from the shelf, if there are as many.
/// async fn take<E: Record>(
///     tx: &mut Tx,
///     id: Uuid,
///     quantity: E::Column,
///     n: i64,
/// ) -> Result<E::Model, Refused<E>> {
///     Adjustment::<E>::of(id)
///         .add(quantity, -n)
///         .only_if(quantity.gte(n))
///         .apply(tx)
///         .await
/// }
/// ```
#[derive(Debug)]
pub struct Adjustment<E: Record> {
    id: Uuid,
    seen: Option<Version>,
    condition: Condition,
    parts: Vec<(E::Column, Part)>,
}

/// What becomes of one column.
#[derive(Debug)]
enum Part {
    Add(i64),
    Replace { from: Value, to: Value },
}

impl<E: Record> Clone for Adjustment<E> {
    fn clone(&self) -> Self {
        let copy = |(column, part): &(E::Column, Part)| {
            let part = match part {
                Part::Add(by) => Part::Add(*by),
                Part::Replace { from, to } => Part::Replace {
                    from: from.clone(),
                    to: to.clone(),
                },
            };
            (*column, part)
        };
        Self {
            id: self.id,
            seen: self.seen,
            condition: self.condition.clone(),
            parts: self.parts.iter().map(copy).collect(),
        }
    }
}

impl<E: Record> Adjustment<E> {
    /// A change of nothing yet, of the record with this id.
    pub fn of(id: impl Into<Uuid>) -> Self {
        Self {
            id: id.into(),
            seen: None,
            condition: Condition::all(),
            parts: Vec::new(),
        }
    }

    /// Adds `by`, which may be negative, to a column of integers. A sum beyond what the column
    /// holds is a condition that is not met; so is a column that is NULL.
    #[must_use]
    pub fn add(mut self, column: E::Column, by: i64) -> Self {
        self.parts.push((column, Part::Add(by)));
        self
    }

    /// Takes a column from one value to another. That it holds the first is one of the
    /// conditions.
    #[must_use]
    pub fn replace(
        mut self,
        column: E::Column,
        from: impl Into<Value>,
        to: impl Into<Value>,
    ) -> Self {
        let (from, to) = (from.into(), to.into());
        self.parts.push((column, Part::Replace { from, to }));
        self
    }

    /// Changes the record only while it meets `condition`, which the same statement looks at.
    #[must_use]
    pub fn only_if(mut self, condition: impl IntoCondition) -> Self {
        self.condition = self.condition.add(condition.into_condition());
        self
    }

    /// Changes the record only at the version that its editor saw.
    #[must_use]
    pub fn seen(mut self, version: Version) -> Self {
        self.seen = Some(version);
        self
    }

    /// Makes the change. Returns the record as this statement left it.
    ///
    /// Who changes several records in one transaction does it in the order of their ids, as
    /// [`apply_all`](Self::apply_all) does: then no two wait for each other.
    ///
    /// # Errors
    ///
    /// [`Refused::NotFound`] if there is no such record, [`Refused::Deleted`] if it is deleted,
    /// [`Refused::Conflict`] if it is at another version than the one that was
    /// [`seen`](Self::seen), and else [`Refused::Unmet`] if it does not meet a condition. The
    /// last three carry the record as it is, which is read after the UPDATE that found none.
    pub async fn apply(self, tx: &mut Tx) -> Result<E::Model, Refused<E>> {
        let mut update = Query::update();
        update
            .table(E::default())
            .value(E::LOCK_VERSION, Expr::col(E::LOCK_VERSION).add(1))
            .value(E::UPDATED_AT, tx.now())
            .and_where(Expr::col(E::ID).eq(self.id))
            .and_where(Expr::col(E::DELETED_AT).is_null());
        if let Some(seen) = self.seen {
            update.and_where(Expr::col(E::LOCK_VERSION).eq(seen.0));
        }
        for (column, part) in &self.parts {
            let held = Expr::col(*column);
            match part {
                Part::Add(by) => {
                    let (least, most) = range::<E>(*column);
                    update
                        .value(*column, held.clone().add(*by))
                        .and_where(held.between(
                            least.saturating_sub(Ord::min(*by, 0)),
                            most.saturating_sub(Ord::max(*by, 0)),
                        ));
                }
                Part::Replace { from, to } => {
                    update
                        .value(*column, to.clone())
                        .and_where(held.eq(from.clone()));
                }
            }
        }
        update.cond_where(self.condition.clone());
        let note = Note::new(table_name::<E>(), MadeFor::Condition);
        let Some(written) = tx.written_one::<E>(&mut update, self.id, note).await? else {
            return Err(self.refusal(tx).await?);
        };
        let to = version_of::<E>(&written).0;
        let mut changes = Changed::default();
        for (column, part) in &self.parts {
            let now = written.get(*column);
            let before = match part {
                Part::Add(by) => less(&now, *by),
                Part::Replace { from, .. } => from.clone(),
            };
            changes.note_column::<E>(*column, Some(&before), &now);
        }
        tx.entries.push(Entry {
            action: Action::Update,
            record_type: E::TYPE,
            record_id: self.id,
            from: Some(to.wrapping_sub(1)),
            to: Some(to),
            changes,
        });
        Ok(written)
    }

    /// Makes several changes, in the order of the records' ids, all or none of them. Returns the
    /// records in the order in which they were named.
    ///
    /// # Errors
    ///
    /// [`BatchRefused::Item`] with the reason of the first that was refused; then none is made.
    pub async fn apply_all(all: Vec<Self>, tx: &mut Tx) -> Result<Vec<E::Model>, BatchRefused<E>> {
        let mut in_order: Vec<(usize, Self)> = all.into_iter().enumerate().collect();
        in_order.sort_by_key(|(index, this)| (this.id, *index));
        let mut done = tx
            .attempt(|tx| {
                Box::pin(async move {
                    let mut done = Vec::with_capacity(in_order.len());
                    for (index, this) in in_order {
                        let id = this.id;
                        let model = this
                            .apply(tx)
                            .await
                            .map_err(|reason| BatchRefused::item(index, id, reason))?;
                        done.push((index, model));
                    }
                    Ok::<_, BatchRefused<E>>(done)
                })
            })
            .await?;
        done.sort_by_key(|(index, _)| *index);
        Ok(done.into_iter().map(|(_, model)| model).collect())
    }

    /// Why no row was changed.
    async fn refusal(&self, tx: &mut Tx) -> Result<Refused<E>, Fault> {
        let Some(current) = tx.find_any::<E>(self.id).await? else {
            return Ok(Refused::NotFound);
        };
        if uuid_of::<E>(&current, E::DELETION_ID).is_some() {
            return Ok(Refused::Deleted(Box::new(current)));
        }
        let current = Box::new(current);
        Ok(match self.seen {
            Some(seen) if version_of::<E>(&current) != seen => Refused::Conflict { seen, current },
            _ => Refused::Unmet(current),
        })
    }
}

/// What a column of integers holds.
fn range<E: Record>(column: E::Column) -> (i64, i64) {
    match column.def().get_column_type() {
        ColumnType::TinyInteger => (i8::MIN.into(), i8::MAX.into()),
        ColumnType::SmallInteger => (i16::MIN.into(), i16::MAX.into()),
        ColumnType::Integer => (i32::MIN.into(), i32::MAX.into()),
        _ => (i64::MIN, i64::MAX),
    }
}

/// A number that was `by` less.
fn less(value: &Value, by: i64) -> Value {
    match value {
        Value::TinyInt(Some(n)) => Value::BigInt(i64::from(*n).checked_sub(by)),
        Value::SmallInt(Some(n)) => Value::BigInt(i64::from(*n).checked_sub(by)),
        Value::Int(Some(n)) => Value::BigInt(i64::from(*n).checked_sub(by)),
        Value::BigInt(Some(n)) => Value::BigInt(n.checked_sub(by)),
        _ => Value::BigInt(None),
    }
}
