//! Many records changed together, all or none of them.

use std::{collections::HashMap, ops::Deref};

use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, IdenStatic, Iterable, ModelTrait, Value,
    sea_query::{Expr, ExprTrait, Query},
};
use uuid::Uuid;

use crate::{
    Action, Deletion, Fault, Locked, MadeFor, Note, Record, Refused, Rows, Scope, Tx, Version,
    audit::{Changed, Entry},
    change::is_common,
    database::sealed::Connected,
    deletion::entity as deletion_entity,
    dialect,
    record::contains,
    removal::RestRefused,
    rows::{model, table_name, uuid_of},
};

/// The most records that are changed together. One statement changes them all.
pub const MAX_BATCH: usize = dialect::LOOKUP_CHUNK;

/// One record of a batch, by the id and the version that its editor saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The record's id.
    pub id: Uuid,
    /// The version that the editor saw.
    pub version: Version,
}

/// Why a batch was not changed. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum BatchRefused<E: Record> {
    /// One of the records cannot be changed like this.
    #[error("item {index}, {id}: {reason}")]
    Item {
        /// Its place among those that were named, from 0; in the order of ids if none were.
        index: usize,
        /// Its id.
        id: Uuid,
        /// Why; with the record as it is, if it is there.
        reason: Box<Refused<E>>,
    },
    /// A record is named twice.
    #[error("item {index}, {id}: named before")]
    Twice {
        /// The second place, from 0.
        index: usize,
        /// The record's id.
        id: Uuid,
    },
    /// There are more records than may be changed together.
    #[error("there are more than {0} records")]
    TooMany(usize),
    /// The batch as a whole cannot be changed like this.
    #[error(transparent)]
    Refused(Refused<E>),
}

impl<E: Record> BatchRefused<E> {
    pub(crate) fn item(index: usize, id: Uuid, reason: Refused<E>) -> Self {
        match reason {
            Refused::Fault(fault) => Self::Refused(Refused::Fault(fault)),
            reason => Self::Item {
                index,
                id,
                reason: Box::new(reason),
            },
        }
    }
}

impl<E: Record> From<Fault> for BatchRefused<E> {
    fn from(fault: Fault) -> Self {
        Self::Refused(Refused::Fault(fault))
    }
}

/// What became of a batch.
#[derive(Debug)]
pub struct Outcome<E: Record> {
    /// The records that were changed, as the change left them, in the order of their ids.
    pub changed: Vec<E::Model>,
    /// Those that were left as they are, in the order of their ids: they already were as they
    /// should be, or they are deleted and the change is one of live records.
    pub skipped: Vec<E::Model>,
}

/// Records that this transaction has locked, in the order of their ids, to be changed together.
/// Reads as a slice of [`Locked`]; how many statements a change takes does not depend on how
/// many they are.
///
/// ```
/// use plimsoll_records::{Batch, BatchRefused, Outcome, Record, Rows, Seen, Tx};
///
/// /// Deletes what an editor has ticked off, each at the version that was shown.
/// async fn delete_all<E: Record>(
///     tx: &mut Tx,
///     ticked: &[Seen],
/// ) -> Result<Vec<E::Model>, BatchRefused<E>> {
///     let batch: Batch<E> = Rows::live().lock_seen(ticked, tx).await?;
///     Ok(batch.delete(tx).await?.changed)
/// }
/// ```
#[derive(Debug)]
pub struct Batch<E: Record> {
    pub(crate) rows: Vec<Locked<E>>,
    /// Where each was named.
    pub(crate) places: HashMap<Uuid, usize>,
    /// Whether the records were named one by one, so that none may be skipped.
    pub(crate) named: bool,
}

/// The records of a batch that a change is about, and those that it skips.
type Split<E> = (Vec<Locked<E>>, Vec<<E as sea_orm::EntityTrait>::Model>);

impl<E: Record> Deref for Batch<E> {
    type Target = [Locked<E>];

    fn deref(&self) -> &[Locked<E>] {
        &self.rows
    }
}

impl<E: Record> Rows<E> {
    /// Those of these rows that are named, each at the version that its editor saw.
    ///
    /// # Errors
    ///
    /// [`BatchRefused::Item`] for the first that is at another version
    /// ([`Refused::Conflict`]), that is none of these rows because it is deleted
    /// ([`Refused::Deleted`]) or live ([`Refused::Live`]), or that is not there at all
    /// ([`Refused::NotFound`]); [`BatchRefused::Twice`]; [`BatchRefused::TooMany`] above
    /// [`MAX_BATCH`].
    pub async fn lock_seen(self, items: &[Seen], tx: &mut Tx) -> Result<Batch<E>, BatchRefused<E>> {
        if items.len() > MAX_BATCH {
            return Err(BatchRefused::TooMany(MAX_BATCH));
        }
        let mut places = HashMap::with_capacity(items.len());
        for (index, Seen { id, .. }) in items.iter().enumerate() {
            if places.insert(*id, index).is_some() {
                return Err(BatchRefused::Twice { index, id: *id });
            }
        }
        let ids: Vec<Uuid> = items.iter().map(|item| item.id).collect();
        let id = Expr::col((E::default(), E::ID));
        let is_named = dialect::is_any_of(tx.conn().backend(), id, &ids);
        let mut beyond = self.clone();
        beyond.scope = Scope::WithDeleted;
        let rows = self.filter(is_named).lock_all(ids.len() as u64, tx).await?;
        let batch = Batch {
            rows,
            places,
            named: true,
        };
        let found: HashMap<Uuid, &Locked<E>> =
            batch.rows.iter().map(|row| (row.id(), row)).collect();
        for (index, Seen { id, version }) in items.iter().enumerate() {
            let reason = match found.get(id) {
                Some(row) if row.version() == *version => continue,
                Some(row) => Refused::Conflict {
                    seen: *version,
                    current: Box::new(row.model.clone()),
                },
                None => {
                    let this = Expr::col((E::default(), E::ID)).eq(*id);
                    match beyond.filter(this).one(tx).await? {
                        None => Refused::NotFound,
                        Some(model) if uuid_of::<E>(&model, E::DELETION_ID).is_none() => {
                            Refused::Live(Box::new(model))
                        }
                        Some(model) => Refused::Deleted(Box::new(model)),
                    }
                }
            };
            return Err(BatchRefused::item(index, *id, reason));
        }
        Ok(batch)
    }

    /// All of these rows, which must be at most `limit`, for a change that no editor's version
    /// stands behind. What is read of them is what they are: they are locked.
    ///
    /// # Errors
    ///
    /// [`BatchRefused::TooMany`] if there are more than `limit`, or than [`MAX_BATCH`].
    pub async fn lock_every(self, limit: usize, tx: &mut Tx) -> Result<Batch<E>, BatchRefused<E>> {
        let limit = limit.min(MAX_BATCH);
        let rows = self.lock_all(limit as u64 + 1, tx).await?;
        if rows.len() > limit {
            return Err(BatchRefused::TooMany(limit));
        }
        let places = rows.iter().enumerate().map(|(at, row)| (row.id(), at));
        Ok(Batch {
            places: places.collect(),
            rows,
            named: false,
        })
    }
}

impl<E: Record> Batch<E> {
    /// Sets the columns that `changes` sets, in all records in which one of them differs, and
    /// raises their versions by one.
    ///
    /// # Errors
    ///
    /// [`BatchRefused::Item`] with [`Refused::Deleted`] if a record was named that is deleted;
    /// [`Fault::Duplicate`] if a value is taken.
    pub async fn update(
        self,
        tx: &mut Tx,
        changes: E::ActiveModel,
    ) -> Result<Outcome<E>, BatchRefused<E>> {
        self.update_each(tx, |_| changes.clone()).await
    }

    /// Sets in each record the columns that `changes` sets for it, where one of them differs, and
    /// raises its version by one. One UPDATE writes them all.
    ///
    /// What `changes` is given is locked: what it computes from that is right until the
    /// transaction ends. A column that it does not set for a record stays as it is there. Unique
    /// values cannot be exchanged among the records: engines look at them row by row.
    ///
    /// ```
    /// # mod library {
    /// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/library.rs"));
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// # let library::Stocked { database, .. } = library::stocked().await?;
    /// use chrono::Utc;
    /// use library::book;
    /// use plimsoll_records::{BatchRefused, Rows, Writer};
    /// use sea_orm::ActiveValue::Set;
    ///
    /// let numbered = database.write(Writer::system(Utc::now()), |tx| {
    ///     Box::pin(async move {
    ///         let books = Rows::<book::Entity>::live().lock_every(100, tx).await?;
    ///         let numbered = books.update_each(tx, |book| book::ActiveModel {
    ///             title: Set(format!("{} ({})", book.title, book.isbn)),
    ///             ..Default::default()
    ///         });
    ///         Ok::<_, BatchRefused<book::Entity>>(numbered.await?.changed)
    ///     })
    /// });
    /// let numbered = numbered.await?;
    /// assert_eq!(numbered[0].title, "The Hull (978-1)");
    /// assert_eq!(numbered[1].title, "The Mark (978-2)");
    /// assert!(numbered.iter().all(|book| book.lock_version == 1));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`BatchRefused::Item`] with [`Refused::Deleted`] if a record was named that is deleted;
    /// [`Fault::Duplicate`] if a value is taken.
    pub async fn update_each(
        self,
        tx: &mut Tx,
        changes: impl Fn(&E::Model) -> E::ActiveModel,
    ) -> Result<Outcome<E>, BatchRefused<E>> {
        let (rows, skipped) = self.split(true)?;
        change_each(rows, skipped, Some(true), changes, tx).await
    }

    /// Does the same to the deleted records of the batch as well. They stay deleted, and come
    /// back as they are then: for what goes on whoever deletes them, such as goods that return.
    /// What people edit is [live](Self::update_each).
    ///
    /// # Errors
    ///
    /// [`Fault::Duplicate`] if a value is taken.
    pub async fn update_each_with_deleted(
        self,
        tx: &mut Tx,
        changes: impl Fn(&E::Model) -> E::ActiveModel,
    ) -> Result<Outcome<E>, BatchRefused<E>> {
        change_each(self.rows, Vec::new(), None, changes, tx).await
    }
    /// Deletes the records. Each is a deletion of its own, with what went along with it, as if
    /// they were deleted one after the other: each can be restored by itself.
    ///
    /// # Errors
    ///
    /// [`BatchRefused::Item`] with [`Refused::Deleted`] if a record was named that is deleted,
    /// or with [`Refused::StillReferenced`]; [`Refused::TooMany`] if more than
    /// [`MAX_DELETION`](crate::MAX_DELETION) records would go, all deletions together.
    pub async fn delete(self, tx: &mut Tx) -> Result<Outcome<E>, BatchRefused<E>> {
        let places = self.places.clone();
        let (rows, skipped) = self.split(true)?;
        let roots: Vec<(Uuid, Uuid)> = rows.iter().map(|row| (row.id(), tx.mint())).collect();
        let deletion = dialect::looked_up(tx.conn().backend(), Expr::col(E::ID), &roots);
        let values = vec![
            (E::DELETED_AT, Expr::val(tx.now())),
            (E::DELETION_ID, deletion),
        ];
        let changed = write_all(&rows, Some(true), values, tx).await?;
        let entries = rows.iter().zip(&roots).map(|(row, (_, deletion))| {
            row.entry(Action::Delete, Changed::deletion(Action::Delete, *deletion))
        });
        tx.entries.extend(entries);
        if !roots.is_empty() {
            let rest = tx.delete_rest::<E>(roots.clone()).await;
            tx.kept(rest)
                .map_err(|refused| blame(refused, &roots, &places))?;
        }
        Ok(Outcome::new(changed, skipped))
    }

    /// Undoes the deletions of the records, each of which must be the one that was named in its
    /// deletion, with all that went along.
    ///
    /// # Errors
    ///
    /// [`BatchRefused::Item`] with [`Refused::Live`] if a record was named that is not deleted,
    /// with [`Refused::TakenAlong`] or with [`Refused::ParentDeleted`]; [`Fault::Duplicate`] if a
    /// unique value was taken meanwhile; [`Refused::TooMany`] if more than
    /// [`MAX_DELETION`](crate::MAX_DELETION) records would come back.
    pub async fn restore(self, tx: &mut Tx) -> Result<Outcome<E>, BatchRefused<E>> {
        let places = self.places.clone();
        let (rows, skipped) = self.split(false)?;
        let named = |row: &Locked<E>| uuid_of::<E>(&row.model, E::DELETION_ID);
        let ids: Vec<Uuid> = rows.iter().filter_map(named).collect();
        let deletions: HashMap<Uuid, Deletion> = if ids.is_empty() {
            HashMap::new()
        } else {
            Rows::<deletion_entity::Entity>::live()
                .by_ids(&ids, tx)
                .await?
        };
        let mut roots = Vec::with_capacity(rows.len());
        let mut taken_along: Vec<(usize, Uuid, Deletion)> = Vec::new();
        for row in &rows {
            let id = row.id();
            let deletion = named(row)
                .and_then(|deletion| deletions.get(&deletion))
                .ok_or_else(|| Fault::internal("a record's deletion is not there"))?;
            if deletion.root_type == E::TYPE && deletion.root_id == id {
                roots.push((id, deletion.id));
            } else {
                let index = places.get(&id).copied().unwrap_or_default();
                taken_along.push((index, id, deletion.clone()));
            }
        }
        if let Some((index, id, deletion)) = taken_along.into_iter().min_by_key(|(at, ..)| *at) {
            let reason = Refused::TakenAlong(Box::new(deletion));
            return Err(BatchRefused::item(index, id, reason));
        }
        let values = vec![
            (E::DELETED_AT, Expr::val(Value::ChronoDateTimeUtc(None))),
            (E::DELETION_ID, Expr::val(Value::Uuid(None))),
        ];
        let changed = write_all(&rows, Some(false), values, tx).await?;
        let entries = rows.iter().zip(&roots).map(|(row, (_, deletion))| {
            row.entry(
                Action::Restore,
                Changed::deletion(Action::Restore, *deletion),
            )
        });
        tx.entries.extend(entries);
        if !roots.is_empty() {
            let rest = tx.restore_rest::<E>(&roots).await;
            tx.kept(rest)
                .map_err(|refused| blame(refused, &roots, &places))?;
        }
        Ok(Outcome::new(changed, skipped))
    }

    fn split(self, live: bool) -> Result<Split<E>, BatchRefused<E>> {
        let (kept, other): (Vec<_>, Vec<_>) =
            self.rows.into_iter().partition(|row| row.is_live() == live);
        let other = other.into_iter();
        if !self.named {
            return Ok((kept, other.map(Locked::into_model).collect()));
        }
        let first = other.min_by_key(|row| self.places.get(&row.id()).copied());
        match first {
            None => Ok((kept, Vec::new())),
            Some(row) => {
                let id = row.id();
                let index = self.places.get(&id).copied().unwrap_or_default();
                let model = Box::new(row.into_model());
                let reason = if live {
                    Refused::Deleted(model)
                } else {
                    Refused::Live(model)
                };
                Err(BatchRefused::item(index, id, reason))
            }
        }
    }
}

impl<E: Record> Outcome<E> {
    fn new(changed: Vec<E::Model>, mut skipped: Vec<E::Model>) -> Self {
        skipped.sort_by_key(|model| uuid_of::<E>(model, E::ID));
        Self { changed, skipped }
    }
}

impl<E: Record> Locked<E> {
    /// What the audit log says of a change that raises the version by one.
    fn entry(&self, action: Action, changes: Changed) -> Entry {
        let from = self.version().0;
        Entry {
            action,
            record_type: E::TYPE,
            record_id: self.id(),
            from: Some(from),
            to: Some(from.wrapping_add(1)),
            changes,
        }
    }
}

/// Columns with their values.
pub(crate) type Values<E> = Vec<(<E as sea_orm::EntityTrait>::Column, Value)>;

/// The columns that a change may write, with the values that it sets.
pub(crate) fn values_set<E: Record>(changes: &E::ActiveModel) -> Values<E> {
    E::Column::iter()
        .filter(|column| !is_common::<E>(column) && !contains::<E>(E::COMPUTED, column))
        .filter_map(|column| match changes.get(column) {
            ActiveValue::Set(value) => Some((column, value)),
            _ => None,
        })
        .collect()
}

/// What the UPDATE of several records sets each column to, from what is set in each. A value that
/// is the same in all of them is written once.
fn each_value<E: Record>(set: &[(Uuid, Values<E>)]) -> Vec<(E::Column, Expr)> {
    E::Column::iter()
        .filter_map(|column| {
            let of_each: Vec<(Uuid, &Value)> = set
                .iter()
                .filter_map(|(id, values)| {
                    let same = |(other, _): &&(E::Column, Value)| other.as_str() == column.as_str();
                    Some((*id, &values.iter().find(same)?.1))
                })
                .collect();
            let (_, first) = of_each.first()?;
            let one = of_each.len() == set.len() && of_each.iter().all(|(_, value)| value == first);
            let value = if one {
                Expr::val((*first).clone())
            } else {
                dialect::case_of(Expr::col(E::ID), &of_each, set.len(), Expr::col(column))
            };
            Some((column, column.save_as(value)))
        })
        .collect()
}

/// Sets in each of the rows what `changes` sets for it, and leaves those in which nothing differs.
async fn change_each<E: Record>(
    rows: Vec<Locked<E>>,
    mut skipped: Vec<E::Model>,
    live: Option<bool>,
    changes: impl Fn(&E::Model) -> E::ActiveModel,
    tx: &mut Tx,
) -> Result<Outcome<E>, BatchRefused<E>> {
    let mut entries = Vec::new();
    let mut differ = Vec::new();
    let mut set = Vec::new();
    for row in rows {
        let values = values_set::<E>(&changes(&row.model));
        let mut changed = Changed::default();
        let mut differs = false;
        for (column, value) in &values {
            let before = row.model.get(*column);
            if before != *value {
                differs = true;
                changed.note_column::<E>(*column, Some(&before), value);
            }
        }
        if differs {
            entries.push(row.entry(Action::Update, changed));
            set.push((row.id(), values));
            differ.push(row);
        } else {
            skipped.push(row.model);
        }
    }
    // It may hold what must not be held while a statement runs.
    drop(changes);
    let mut changed = Vec::with_capacity(differ.len());
    let columns = set.iter().map(|(_, values)| values.len()).max();
    let chunk = dialect::case_chunk(columns.unwrap_or_default());
    for (rows, set) in differ.chunks(chunk).zip(set.chunks(chunk)) {
        changed.extend(write_all(rows, live, each_value::<E>(set), tx).await?);
    }
    tx.entries.extend(entries);
    Ok(Outcome::new(changed, skipped))
}

/// The one UPDATE of several locked records: live ones, deleted ones, or either. Returns them as it left them, in the order of ids.
async fn write_all<E: Record>(
    rows: &[Locked<E>],
    live: Option<bool>,
    values: Vec<(E::Column, Expr)>,
    tx: &mut Tx,
) -> Result<Vec<E::Model>, Fault> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = rows.iter().map(Locked::id).collect();
    let conn = tx.conn();
    let deleted_at = Expr::col(E::DELETED_AT);
    let mut update = Query::update();
    update
        .table(E::default())
        .value(E::LOCK_VERSION, Expr::col(E::LOCK_VERSION).add(1))
        .value(E::UPDATED_AT, tx.now())
        .values(values)
        .and_where(dialect::is_any_of(conn.backend(), Expr::col(E::ID), &ids))
        .and_where_option(live.map(|live| match live {
            true => deleted_at.is_null(),
            false => deleted_at.is_not_null(),
        }));
    let note = Note::new(table_name::<E>(), MadeFor::Locked);
    let mut written: Vec<E::Model> = if dialect::returns_rows(conn.backend()) {
        update.returning(Query::returning().columns(tx.whole::<E>().columns().iter()));
        let rows = conn.all(&update, &[note]).await?;
        rows.iter().map(model::<E>).collect::<Result<_, _>>()?
    } else {
        conn.execute(&update, &[note]).await?;
        let now = tx.whole::<E>().by_ids(&ids, tx).await?;
        now.into_values().collect()
    };
    written.sort_by_key(|model| uuid_of::<E>(model, E::ID));
    // The rows are locked: each must be written.
    if written.len() == ids.len() {
        Ok(written)
    } else {
        Err(Fault::internal("locked rows were not written"))
    }
}

/// Names the record whose deletion was refused, or whose restoration.
fn blame<E: Record>(
    (refused, deletion): RestRefused<E>,
    roots: &[(Uuid, Uuid)],
    places: &HashMap<Uuid, usize>,
) -> BatchRefused<E> {
    let root = roots.iter().find(|(_, of)| Some(*of) == deletion);
    match root.and_then(|(id, _)| places.get(id).map(|index| (*id, *index))) {
        Some((id, index)) => BatchRefused::item(index, id, refused),
        None => BatchRefused::Refused(refused),
    }
}
