//! Creating records by a unique key, or changing the live ones that have it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    ops::Range,
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
        let many = Many::<E>::of(key, rows, on_conflict, when_deleted)?;
        if many.items.is_empty() {
            return Ok(Vec::new());
        }
        for tries_left in (0..TRIES).rev() {
            let is_last = tries_left == 0;
            let whole = many.clone();
            let all = 0..whole.items.len();
            let done = self
                .attempt(move |tx| Box::pin(async move { whole.make(all, tx).await }))
                .await;
            let refused = match done {
                Ok(done) => return Ok(done),
                Err(halt) => many.told(halt, is_last),
            };
            match refused {
                Halt::Overtaken | Halt::Passed => {}
                Halt::Refused(refused) => return Err(refused),
                // The database says what is wrong, and not with which row.
                Halt::Row(fault) => match many.first_refused(fault, is_last, self).await {
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
        if set && !rows.columns().has(column) {
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

/// Why an upsert of many rows did not go on. What it did is undone.
enum Halt<E: Record> {
    /// Somebody else was ahead: there is something else to do now.
    Overtaken,
    /// Nothing is in the way any longer.
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
    places: Arc<HashMap<Key, usize>>,
    on_conflict: OnConflict,
    when_deleted: WhenDeleted,
}

impl<E: Record> Clone for Many<E> {
    fn clone(&self) -> Self {
        Self {
            items: self.items.clone(),
            places: self.places.clone(),
            ..*self
        }
    }
}

/// A part of the rows while they are made. A row is in the part by its place.
struct Made<E: Record> {
    /// Those that no record is found for yet.
    free: BTreeSet<usize>,
    /// The records that are to be as their rows say, and the places of these.
    locked: Vec<Locked<E>>,
    holders: HashMap<Uuid, usize>,
    /// Those among them that were deleted.
    revived: HashSet<Uuid>,
    done: BTreeMap<usize, Upserted<E::Model>>,
}

impl<E: Record> Many<E>
where
    E::ActiveModel: Send + Sync + 'static,
{
    fn of(
        key: E::Column,
        rows: Vec<E::ActiveModel>,
        on_conflict: OnConflict,
        when_deleted: WhenDeleted,
    ) -> Result<Self, UpsertRefused<E>> {
        let mut items = Vec::with_capacity(rows.len());
        let mut places = HashMap::with_capacity(rows.len());
        let mut columns: Option<Vec<&'static str>> = None;
        for (index, row) in rows.into_iter().enumerate() {
            let value = match row.get(key) {
                ActiveValue::Set(value) => Key::of(value),
                _ => None,
            };
            let key = value.ok_or_else(|| {
                Fault::internal("an upsert needs the value of its key: text, UUID or integer")
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
        Ok(Self {
            key,
            items: items.into(),
            places: places.into(),
            on_conflict,
            when_deleted,
        })
    }

    /// Makes a part of the rows.
    async fn make(
        self,
        part: Range<usize>,
        tx: &mut Tx,
    ) -> Result<Vec<Upserted<E::Model>>, Halt<E>> {
        let mut made = Made {
            free: part.clone().collect(),
            locked: Vec::new(),
            holders: HashMap::new(),
            revived: HashSet::new(),
            done: BTreeMap::new(),
        };
        self.find_live(&mut made, tx).await?;
        if self.when_deleted != WhenDeleted::Create && !made.free.is_empty() {
            self.find_deleted(&mut made, tx).await?;
        }
        if !made.locked.is_empty() {
            self.change(&mut made, tx).await?;
        }
        if !made.free.is_empty() {
            self.create(&mut made, tx).await?;
        }
        if made.done.len() == part.len() {
            Ok(made.done.into_values().collect())
        } else {
            Err(Fault::internal("a row of an upsert was left out").into())
        }
    }

    /// The live records that have the keys: locked if they are to be changed.
    async fn find_live(&self, made: &mut Made<E>, tx: &mut Tx) -> Result<(), Halt<E>> {
        let live = self.with_keys(Scope::Live, &made.free, tx);
        let most = made.free.len() as u64;
        if self.on_conflict == OnConflict::Update {
            made.locked = live.lock_all(most, tx).await?;
            for row in &made.locked {
                let index = self.place(row)?;
                made.holders.insert(row.id(), index);
                made.free.remove(&index);
            }
            return Ok(());
        }
        for model in live.all(most, tx).await? {
            let index = self.place(&model)?;
            made.free.remove(&index);
            made.done.insert(index, Upserted::Skipped(model));
        }
        match made.done.pop_first() {
            Some((index, holder)) if self.on_conflict == OnConflict::Fail => {
                let holder = Box::new(holder.into_inner());
                Err(UpsertRefused::Taken { index, holder }.into())
            }
            first => {
                made.done.extend(first);
                Ok(())
            }
        }
    }

    /// The deleted records that had the keys: refused, or restored and locked.
    async fn find_deleted(&self, made: &mut Made<E>, tx: &mut Tx) -> Result<(), Halt<E>> {
        let deleted = self.with_keys(Scope::OnlyDeleted, &made.free, tx);
        let mut found = BTreeMap::new();
        for model in self.latest_of_each(deleted, tx).await? {
            found.insert(self.place(&model)?, model);
        }
        if self.when_deleted == WhenDeleted::Refuse {
            return match found.pop_first() {
                None => Ok(()),
                Some((index, model)) => {
                    let reason = Box::new(Refused::Deleted(Box::new(model)));
                    Err(UpsertRefused::Item { index, reason }.into())
                }
            };
        }
        let ids = found
            .iter()
            .filter_map(|(index, model)| Some((uuid_of::<E>(model, E::ID)?, *index)));
        let back: HashMap<Uuid, usize> = ids.collect();
        if !back.is_empty() {
            made.locked.extend(self.restore(&back, tx).await?);
            made.revived.extend(back.keys());
            made.free.retain(|index| !found.contains_key(index));
            made.holders.extend(back);
        }
        Ok(())
    }

    /// Makes the locked records as their rows say.
    async fn change(&self, made: &mut Made<E>, tx: &mut Tx) -> Result<(), Halt<E>> {
        let mut rows = std::mem::take(&mut made.locked);
        rows.sort_by_key(Locked::id);
        let batch = Batch {
            rows,
            places: made.holders.clone(),
            named: true,
        };
        let as_wanted = |model: &E::Model| {
            let item = self.place(model).ok().and_then(|at| self.items.get(at));
            item.map_or_else(<E::ActiveModel as ActiveModelTrait>::default, |item| {
                item.row.clone()
            })
        };
        let outcome = batch.update_each(tx, as_wanted).await?;
        for model in outcome.changed.into_iter().chain(outcome.skipped) {
            let id = uuid_of::<E>(&model, E::ID);
            let index = self.place(&model)?;
            let upserted = if id.is_some_and(|id| made.revived.contains(&id)) {
                Upserted::Revived(model)
            } else {
                Upserted::Updated(model)
            };
            made.done.insert(index, upserted);
        }
        Ok(())
    }

    /// Creates the rest.
    async fn create(&self, made: &mut Made<E>, tx: &mut Tx) -> Result<(), Halt<E>> {
        let items = made.free.iter().filter_map(|index| self.items.get(*index));
        let mut rows: Vec<(&Key, E::ActiveModel)> =
            items.map(|item| (&item.key, item.row.clone())).collect();
        // Ids and audit entries are in the order of the rows.
        let prepared = rows.iter_mut().map(|(_, row)| tx.prepare::<E>(row));
        let entries: Vec<Entry> = prepared.collect();
        // Two that create the same keys at once meet at the first of them: nobody waits in a ring.
        rows.sort_by_key(|(key, _)| *key);
        let rows: Vec<E::ActiveModel> = rows.into_iter().map(|(_, row)| row).collect();
        for model in tx.insert_all::<E>(&rows).await? {
            let index = self.place(&model)?;
            made.done.insert(index, Upserted::Created(model));
        }
        tx.entries.extend(entries);
        Ok(())
    }

    /// The place of the row whose key a record has.
    fn place(&self, model: &E::Model) -> Result<usize, Fault> {
        Key::of(model.get(self.key))
            .and_then(|key| self.places.get(&key).copied())
            .ok_or_else(|| Fault::internal("a record has a key that was not asked for"))
    }

    /// The rows of a scope that have one of the keys of the items at `places`.
    fn with_keys(&self, scope: Scope, places: &BTreeSet<usize>, tx: &Tx) -> Rows<E> {
        let items = places.iter().filter_map(|index| self.items.get(*index));
        let keys = Key::all(items.map(|item| &item.key));
        let key = Expr::col((E::default(), self.key));
        let has_key = dialect::is_any_key(tx.conn().backend(), key, keys);
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
        let backend = tx.conn().backend();
        let mut ranked = rows.select(backend);
        ranked.expr_window_as(Expr::cust("ROW_NUMBER()"), window, "place_in_time");
        let mut select = Query::select();
        rows.columns().select("r", backend, &mut select);
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

    /// What a halt means for what comes next. When a key is taken, somebody else was ahead, and
    /// its record is found next time; unless the engine compares keys in another way than by
    /// their bytes, which the last try tells.
    fn told(&self, halt: Halt<E>, is_last: bool) -> Halt<E> {
        match halt {
            Halt::Refused(UpsertRefused::Refused(Refused::Fault(fault))) => match fault {
                Fault::Duplicate(place) if place.column == self.key.as_str() && !is_last => {
                    Halt::Overtaken
                }
                fault @ (Fault::Duplicate(_)
                | Fault::Reference(_)
                | Fault::Check(_)
                | Fault::DataException(_)) => Halt::Row(fault),
                fault => Halt::Refused(fault.into()),
            },
            halt => halt,
        }
    }

    /// Finds the first row that the database refuses, and undoes what it takes to find it.
    async fn first_refused(&self, fault: Fault, is_last: bool, tx: &mut Tx) -> Halt<E> {
        let many = self.clone();
        let found: Result<(), Halt<E>> = tx
            .attempt(move |tx| Box::pin(async move { Err(many.search(fault, is_last, tx).await) }))
            .await;
        found.err().unwrap_or(Halt::Passed)
    }

    /// Makes the rows part by part, of what is left always the first half: what works is kept,
    /// and what does not is tried in smaller parts.
    async fn search(&self, fault: Fault, is_last_try: bool, tx: &mut Tx) -> Halt<E> {
        // The first `fine` rows are made, and a part that ends at `bad` cannot be.
        let (mut fine, mut bad) = (0, self.items.len());
        let mut of_bad = (bad == 1).then_some(fault);
        loop {
            let is_last = bad - fine == 1;
            if let Some(fault) = of_bad.take_if(|_| is_last) {
                return Halt::Refused(UpsertRefused::Item {
                    index: fine,
                    reason: Box::new(Refused::Fault(fault)),
                });
            }
            let end = if is_last { bad } else { fine.midpoint(bad) };
            let part = self.clone();
            let made = tx
                .attempt(move |tx| Box::pin(async move { part.make(fine..end, tx).await }))
                .await;
            match made.map_err(|halt| self.told(halt, is_last_try)) {
                // What was in the way is gone.
                Ok(_) if end == bad => return Halt::Passed,
                Ok(_) => fine = end,
                Err(Halt::Row(fault)) => (bad, of_bad) = (end, Some(fault)),
                Err(halt) => return halt,
            }
        }
    }
}
