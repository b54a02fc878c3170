//! Creating records by a unique key, or changing the live ones that have it.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use sea_orm::{
    ActiveModelTrait, ActiveValue, IdenStatic, Iterable, ModelTrait, Value,
    sea_query::{Expr, ExprTrait, OverStatement as _, Query, WindowStatement},
};
use uuid::Uuid;

use crate::{
    Batch, BatchRefused, Fault, Locked, MAX_BATCH, Record, Refused, Rows, Scope, Timing, Tx,
    audit::Entry,
    batch::values_set,
    change::is_common,
    database::sealed::Connected,
    dialect::{self, Keys},
    rows::{model, uuid_of},
};

/// What an upsert does when no live record has the key and a deleted one does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenDeleted {
    /// It leaves the deleted one deleted, and creates another with the same key.
    Create,
    /// It refuses, with the deleted record.
    Refuse,
    /// It restores the one that was deleted last, with all that its deletion took along, and
    /// changes it.
    Revive,
}

/// What an upsert of many rows does with one whose key a live record has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConflict {
    /// It leaves the record as it is.
    Skip,
    /// It changes the record, as [`Tx::upsert`] does.
    Update,
    /// It refuses, with the record.
    Fail,
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
    /// A live record had the key, and [`OnConflict::Skip`] left it as it is. It is not locked.
    Skipped(M),
}

impl<M> Upserted<M> {
    /// The record as it is now.
    pub fn into_inner(self) -> M {
        match self {
            Self::Created(model)
            | Self::Updated(model)
            | Self::Revived(model)
            | Self::Skipped(model) => model,
        }
    }
}

/// Why an upsert of many rows was not made. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum UpsertRefused<E: Record> {
    /// A live record has the key of an item, and [`OnConflict::Fail`] refuses that.
    #[error("item {index}: a live record has its key")]
    Taken {
        /// The item's place, from 0.
        index: usize,
        /// The record that has the key.
        holder: Box<E::Model>,
    },
    /// One of the items cannot be made.
    #[error("item {index}: {reason}")]
    Item {
        /// Its place, from 0.
        index: usize,
        /// Why: what [`Tx::upsert`] is refused for. [`Refused::Fault`] holds what the database
        /// says of this item: that the value of another column is taken, say.
        reason: Box<Refused<E>>,
    },
    /// Two items have one key.
    #[error("item {index}: its key is that of item {first}")]
    Twice {
        /// The second place, from 0.
        index: usize,
        /// The first place.
        first: usize,
    },
    /// There are more items than may be made together.
    #[error("there are more than {0} items")]
    TooMany(usize),
    /// The whole cannot be made like this.
    #[error(transparent)]
    Refused(Refused<E>),
}

impl<E: Record> From<Fault> for UpsertRefused<E> {
    fn from(fault: Fault) -> Self {
        Self::Refused(Refused::Fault(fault))
    }
}

impl<E: Record> From<BatchRefused<E>> for UpsertRefused<E> {
    fn from(refused: BatchRefused<E>) -> Self {
        match refused {
            BatchRefused::Item { index, reason, .. } => Self::Item { index, reason },
            BatchRefused::Refused(reason) => Self::Refused(reason),
            BatchRefused::TooMany(most) => Self::TooMany(most),
            BatchRefused::Twice { .. } => Fault::internal("a record has two keys").into(),
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
    /// [`Refused::Deleted`] if only a deleted record has the key and `when_deleted` refuses it; what
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
            let deleted = match when_deleted {
                WhenDeleted::Create => None,
                _ => {
                    let deleted = Rows::<E>::only_deleted().filter(has_key);
                    deleted.latest(self).await?
                }
            };
            if let Some(deleted) = deleted {
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

    /// Creates records, or does with the live ones that have the same `key` what `on_conflict`
    /// says, all or nothing. The key is a column that is unique among the living: a text, a UUID
    /// or an integer. Each row sets it, and all rows set the same columns. There are at most
    /// [`MAX_BATCH`]. Returns what became of each row, in the order of the rows.
    ///
    /// How many statements that takes does not depend on how many rows there are, or hardly: one
    /// INSERT carries 500. When somebody else creates a record with one of the keys at the same
    /// moment, it looks again, a few times. When it is refused, the transaction can go on as if it
    /// had not been tried.
    ///
    /// A version rises with each change: by one for what is updated, not at all for what already
    /// is as it should be, by two for what is restored and changed.
    ///
    /// ```
    /// # mod library {
    /// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/library.rs"));
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// # let library::Stocked { database, author, .. } = library::stocked().await?;
    /// use chrono::Utc;
    /// use library::book;
    /// use plimsoll_records::{OnConflict, Upserted, WhenDeleted, Writer};
    /// use sea_orm::ActiveValue::Set;
    ///
    /// let book = |isbn: &str, title: &str| book::ActiveModel {
    ///     title: Set(title.into()),
    ///     isbn: Set(isbn.into()),
    ///     summary: Set(format!("All about {title}.").into()),
    ///     author_id: Set(author.id),
    ///     ..Default::default()
    /// };
    /// // There is a 978-1, "The Hull".
    /// let list = vec![book("978-1", "Hulls"), book("978-3", "The Keel")];
    /// let imported = database.write(Writer::system(Utc::now()), |tx| {
    ///     Box::pin(tx.upsert_many::<book::Entity>(
    ///         book::Column::Isbn,
    ///         list,
    ///         OnConflict::Update,
    ///         WhenDeleted::Refuse,
    ///     ))
    /// });
    /// match imported.await?.as_slice() {
    ///     [Upserted::Updated(hull), Upserted::Created(keel)] => {
    ///         assert_eq!((hull.title.as_str(), hull.lock_version), ("Hulls", 1));
    ///         assert_eq!((keel.title.as_str(), keel.lock_version), ("The Keel", 0));
    ///     }
    ///     other => panic!("{other:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`UpsertRefused::Taken`] for the first row whose key a live record has, if `on_conflict`
    /// refuses that; [`UpsertRefused::Item`] for the first that only a deleted record has the key
    /// of, if `when_deleted` refuses that, that cannot be restored, or that the database refuses;
    /// [`UpsertRefused::Twice`]; [`UpsertRefused::TooMany`].
    pub async fn upsert_many<E: Record>(
        &mut self,
        key: E::Column,
        rows: Vec<E::ActiveModel>,
        on_conflict: OnConflict,
        when_deleted: WhenDeleted,
    ) -> Result<Vec<Upserted<E::Model>>, UpsertRefused<E>>
    where
        E::ActiveModel: Send + Sync + 'static,
    {
        if rows.len() > MAX_BATCH {
            return Err(UpsertRefused::TooMany(MAX_BATCH));
        }
        let many = Many::<E> {
            key,
            items: items(key, rows)?.into(),
            on_conflict,
            when_deleted,
        };
        if many.items.is_empty() {
            return Ok(Vec::new());
        }
        for _ in 0..TRIES {
            let whole = many.clone();
            let count = whole.items.len();
            let done = self
                .attempt(move |tx| Box::pin(async move { whole.make(count, tx).await }))
                .await;
            let refused = match done {
                Ok(done) => return Ok(done),
                Err(halt) => many.told(halt),
            };
            match refused {
                Halt::Overtaken | Halt::Passed => {}
                Halt::Refused(refused) => return Err(refused),
                // The database says what is wrong, and not with which row.
                Halt::Row(fault) => match many.first_refused(fault, self).await {
                    Halt::Overtaken | Halt::Passed => {}
                    Halt::Refused(refused) => return Err(refused),
                    Halt::Row(fault) => return Err(fault.into()),
                },
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

/// A value of a key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Key {
    Uuid(Uuid),
    Text(String),
    Number(i64),
}

impl Key {
    fn of(value: Value) -> Option<Self> {
        match value {
            Value::Uuid(id) => id.map(Self::Uuid),
            Value::String(text) => text.map(Self::Text),
            Value::TinyInt(n) => n.map(|n| Self::Number(n.into())),
            Value::SmallInt(n) => n.map(|n| Self::Number(n.into())),
            Value::Int(n) => n.map(|n| Self::Number(n.into())),
            Value::BigInt(n) => n.map(Self::Number),
            _ => None,
        }
    }

    /// Keys of one column, which are of one type.
    fn all<'a>(keys: impl Iterator<Item = &'a Self>) -> Keys {
        let (mut uuids, mut texts, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
        for key in keys {
            match key {
                Self::Uuid(id) => uuids.push(*id),
                Self::Text(text) => texts.push(text.clone()),
                Self::Number(n) => numbers.push(*n),
            }
        }
        if !texts.is_empty() {
            Keys::Texts(texts)
        } else if !numbers.is_empty() {
            Keys::Numbers(numbers)
        } else {
            Keys::Uuids(uuids)
        }
    }
}

/// A row that is to be there, and its key.
struct Item<E: Record> {
    key: Key,
    row: E::ActiveModel,
}

/// The rows with their keys, none of which is there twice.
fn items<E: Record>(
    key: E::Column,
    rows: Vec<E::ActiveModel>,
) -> Result<Vec<Item<E>>, UpsertRefused<E>> {
    let mut items = Vec::with_capacity(rows.len());
    let mut places = HashMap::with_capacity(rows.len());
    let mut columns: Option<Vec<&'static str>> = None;
    for (index, row) in rows.into_iter().enumerate() {
        let value = match row.get(key) {
            ActiveValue::Set(value) => Key::of(value),
            _ => None,
        };
        let key = value.ok_or_else(|| {
            Fault::internal("an upsert needs the value of its key: a text, a UUID or an integer")
        })?;
        if let Some(first) = places.insert(key.clone(), index) {
            return Err(UpsertRefused::Twice { index, first });
        }
        let set = values_set::<E>(&row);
        let set = set.iter().map(|(column, _)| column.as_str()).collect();
        if *columns.get_or_insert_with(|| Vec::clone(&set)) != set {
            return Err(Fault::internal("the rows of an upsert set different columns").into());
        }
        items.push(Item { key, row });
    }
    Ok(items)
}

/// Why an upsert of many rows did not go on. What it did is undone.
enum Halt<E: Record> {
    /// Somebody else was ahead: there is something else to do now.
    Overtaken,
    /// It would have worked, and was only tried.
    Passed,
    /// The database refuses one of the rows.
    Row(Fault),
    Refused(UpsertRefused<E>),
}

impl<E: Record, R: Into<UpsertRefused<E>>> From<R> for Halt<E> {
    fn from(refused: R) -> Self {
        Self::Refused(refused.into())
    }
}

/// An upsert of many rows.
struct Many<E: Record> {
    key: E::Column,
    items: Arc<[Item<E>]>,
    on_conflict: OnConflict,
    when_deleted: WhenDeleted,
}

impl<E: Record> Clone for Many<E> {
    fn clone(&self) -> Self {
        Self {
            items: self.items.clone(),
            ..*self
        }
    }
}

impl<E: Record> Many<E>
where
    E::ActiveModel: Send + Sync + 'static,
{
    /// Makes the first `count` of the rows.
    async fn make(self, count: usize, tx: &mut Tx) -> Result<Vec<Upserted<E::Model>>, Halt<E>> {
        let items = self.items.get(..count).unwrap_or(&self.items);
        let places: HashMap<&Key, usize> = items.iter().map(|item| &item.key).zip(0..).collect();
        let place = |model: &E::Model| {
            let key = Key::of(model.get(self.key));
            key.and_then(|key| places.get(&key).copied())
                .ok_or_else(|| Fault::internal("a record has a key that was not asked for"))
        };
        let mut done: Vec<Option<Upserted<E::Model>>> = vec![None; items.len()];

        let live = self.with_keys(Scope::Live, items.iter().map(|item| &item.key), tx);
        let mut holders: HashMap<Uuid, usize> = HashMap::new();
        let mut locked = Vec::new();
        let mut first_taken: Option<(usize, E::Model)> = None;
        if self.on_conflict == OnConflict::Update {
            locked = live.lock_all(items.len() as u64, tx).await?;
            for row in &locked {
                holders.insert(row.id(), place(row)?);
            }
        } else {
            for model in live.all(items.len() as u64, tx).await? {
                let index = place(&model)?;
                if first_taken.as_ref().is_none_or(|(first, _)| index < *first) {
                    first_taken = Some((index, model.clone()));
                }
                set(&mut done, index, Upserted::Skipped(model));
            }
        }
        if let (OnConflict::Fail, Some((index, holder))) = (self.on_conflict, first_taken) {
            let holder = Box::new(holder);
            return Err(UpsertRefused::Taken { index, holder }.into());
        }

        let held: HashSet<usize> = holders.values().copied().collect();
        let is_free = |index: &usize, done: &[Option<_>]| {
            !held.contains(index) && done.get(*index).is_some_and(Option::is_none)
        };
        let mut free: Vec<usize> = (0..items.len()).filter(|n| is_free(n, &done)).collect();
        let mut revived = HashSet::new();
        if self.when_deleted != WhenDeleted::Create && !free.is_empty() {
            let keys = free.iter().filter_map(|n| Some(&items.get(*n)?.key));
            let deleted = self.with_keys(Scope::OnlyDeleted, keys, tx);
            let mut back: HashMap<Uuid, usize> = HashMap::new();
            let mut first_deleted: Option<(usize, E::Model)> = None;
            for model in self.latest_of_each(deleted, tx).await? {
                let index = place(&model)?;
                back.extend(uuid_of::<E>(&model, E::ID).map(|id| (id, index)));
                if first_deleted
                    .as_ref()
                    .is_none_or(|(first, _)| index < *first)
                {
                    first_deleted = Some((index, model));
                }
            }
            if let (WhenDeleted::Refuse, Some((index, model))) = (self.when_deleted, first_deleted)
            {
                let reason = Box::new(Refused::Deleted(Box::new(model)));
                return Err(UpsertRefused::Item { index, reason }.into());
            }
            if !back.is_empty() {
                locked.extend(self.restore(&back, tx).await?);
                let places: HashSet<usize> = back.values().copied().collect();
                free.retain(|index| !places.contains(index));
                revived.extend(back.keys().copied());
                holders.extend(back);
            }
        }

        if !locked.is_empty() {
            locked.sort_by_key(Locked::id);
            let batch = Batch {
                rows: locked,
                places: holders.clone(),
                named: true,
            };
            let as_wanted = |model: &E::Model| {
                let item = place(model).ok().and_then(|index| items.get(index));
                item.map_or_else(<E::ActiveModel as ActiveModelTrait>::default, |item| {
                    item.row.clone()
                })
            };
            let outcome = batch.update_each(tx, as_wanted).await?;
            for model in outcome.changed.into_iter().chain(outcome.skipped) {
                let was_deleted =
                    uuid_of::<E>(&model, E::ID).is_some_and(|id| revived.contains(&id));
                let index = place(&model)?;
                let kind = if was_deleted {
                    Upserted::Revived
                } else {
                    Upserted::Updated
                };
                set(&mut done, index, kind(model));
            }
        }

        if !free.is_empty() {
            let mut rows: Vec<(&Key, E::ActiveModel)> = free
                .iter()
                .filter_map(|index| items.get(*index))
                .map(|item| (&item.key, item.row.clone()))
                .collect();
            // Ids and audit entries are in the order of the rows.
            let entries: Vec<Entry> = rows
                .iter_mut()
                .map(|(_, row)| tx.prepare::<E>(row))
                .collect();
            // Two that create the same keys at once meet at the first of them: nobody waits in a
            // ring.
            rows.sort_by_key(|(key, _)| *key);
            let rows: Vec<E::ActiveModel> = rows.into_iter().map(|(_, row)| row).collect();
            for model in tx.insert_all::<E>(&rows).await? {
                let index = place(&model)?;
                set(&mut done, index, Upserted::Created(model));
            }
            tx.entries.extend(entries);
        }
        let done: Option<Vec<Upserted<E::Model>>> = done.into_iter().collect();
        Ok(done.ok_or_else(|| Fault::internal("a row of an upsert was left out"))?)
    }

    /// The rows of a scope that have one of `keys`, with what is compared and answered.
    fn with_keys<'a>(&self, scope: Scope, keys: impl Iterator<Item = &'a Key>, tx: &Tx) -> Rows<E> {
        let key = Expr::col((E::default(), self.key));
        let has_key = dialect::is_any_key(tx.conn().backend(), key, Key::all(keys));
        self.wanted(scope, tx).filter(has_key)
    }

    /// The rows of a scope, with the columns that are compared and answered.
    fn wanted(&self, scope: Scope, tx: &Tx) -> Rows<E> {
        let mut rows = tx.whole::<E>();
        rows.scope = scope;
        match self.items.first() {
            Some(item) => with_row(rows, &item.row),
            None => rows,
        }
    }

    /// Of these deleted rows the one of each key that was deleted last.
    async fn latest_of_each(&self, rows: Rows<E>, tx: &mut Tx) -> Result<Vec<E::Model>, Fault> {
        let mut window = WindowStatement::new();
        window
            .add_partition_by(Expr::col((E::default(), self.key)))
            .order_by((E::default(), E::DELETED_AT), sea_orm::Order::Desc)
            .order_by((E::default(), E::ID), sea_orm::Order::Desc);
        let mut ranked = rows.select();
        ranked.expr_window_as(Expr::cust("ROW_NUMBER()"), window, "place_in_time");
        let mut select = Query::select();
        for column in rows.columns() {
            select.expr_as(Expr::col(("r", column.as_str())), column.as_str());
        }
        select
            .from_subquery(ranked, "r")
            .and_where(Expr::col(("r", "place_in_time")).eq(1));
        let found = tx.conn().all(&select, &rows.notes()).await?;
        found.iter().map(model::<E>).collect()
    }

    /// Restores deleted records, each with its place among the rows. Returns them locked.
    async fn restore(
        &self,
        places: &HashMap<Uuid, usize>,
        tx: &mut Tx,
    ) -> Result<Vec<Locked<E>>, Halt<E>> {
        let ids: Vec<Uuid> = places.keys().copied().collect();
        let id = Expr::col((E::default(), E::ID));
        let these = dialect::is_any_of(tx.conn().backend(), id, &ids);
        let rows = Rows::<E>::only_deleted().filter(these.clone());
        let rows = rows.lock_all(ids.len() as u64, tx).await?;
        if rows.len() < ids.len() {
            // Restored or purged since.
            return Err(Halt::Overtaken);
        }
        let batch = Batch {
            rows,
            places: places.clone(),
            named: true,
        };
        batch.restore(tx).await?;
        let restored = self.wanted(Scope::Live, tx).filter(these);
        let restored = restored.lock_all(ids.len() as u64, tx).await?;
        if restored.len() == ids.len() {
            Ok(restored)
        } else {
            Err(Fault::internal("rows that were just restored are gone").into())
        }
    }

    /// What a halt means for what comes next.
    fn told(&self, halt: Halt<E>) -> Halt<E> {
        match halt {
            Halt::Refused(UpsertRefused::Refused(Refused::Fault(fault))) => match fault {
                Fault::Duplicate(place) if place.column == self.key.as_str() => Halt::Overtaken,
                fault @ (Fault::Duplicate(_)
                | Fault::Reference(_)
                | Fault::Check(_)
                | Fault::DataException(_)) => Halt::Row(fault),
                fault => Halt::Refused(fault.into()),
            },
            halt => halt,
        }
    }

    /// Finds the first row that the database refuses, by trying ever smaller parts of what comes
    /// before it.
    async fn first_refused(&self, fault: Fault, tx: &mut Tx) -> Halt<E> {
        let mut fault = Some(fault);
        // The first `fine` rows can be made, the first `bad` cannot.
        let (mut fine, mut bad) = (0, self.items.len());
        while bad - fine > 1 {
            let half = fine.midpoint(bad);
            match self.probe(half, tx).await {
                Halt::Passed => fine = half,
                Halt::Row(found) => (bad, fault) = (half, Some(found)),
                halt => return halt,
            }
        }
        if bad == self.items.len() && bad > 1 {
            // Perhaps nothing is in the way any longer.
            match self.probe(bad, tx).await {
                Halt::Row(found) => fault = Some(found),
                halt => return halt,
            }
        }
        match fault {
            Some(fault) => Halt::Refused(UpsertRefused::Item {
                index: fine,
                reason: Box::new(Refused::Fault(fault)),
            }),
            None => Halt::Passed,
        }
    }

    /// Tries the first `count` rows, and undoes that.
    async fn probe(&self, count: usize, tx: &mut Tx) -> Halt<E> {
        let part = self.clone();
        let tried: Result<(), Halt<E>> = tx
            .attempt(move |tx| {
                Box::pin(
                    async move { Err(part.make(count, tx).await.err().unwrap_or(Halt::Passed)) },
                )
            })
            .await;
        self.told(tried.err().unwrap_or(Halt::Passed))
    }
}

fn set<T>(all: &mut [Option<T>], index: usize, value: T) {
    if let Some(place) = all.get_mut(index) {
        *place = Some(value);
    }
}
