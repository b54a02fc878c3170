//! Writing: every change of a record goes through a row that is locked, and the version that
//! its editor saw.

use std::{ops::Deref, sync::PoisonError};

use chrono::{DateTime, Utc};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sea_orm::{
    ActiveModelTrait, ActiveValue, DbBackend, IdenStatic, Iterable, ModelTrait, Value,
    sea_query::{Expr, ExprTrait, Query, SelectStatement, UpdateStatement},
};
use uuid::{ContextV7, Uuid};

pub(crate) use crate::audit::Changed;
use crate::{
    Action, Deletion, Fault, MadeFor, Note, Record, Rows, Scope, Tx,
    audit::Entry,
    database::sealed::Connected,
    deletion::RecordRef,
    dialect,
    record::{contains, insert_statement},
    rows::{get, model, table_name, uuid_of},
};

/// The most records that one deletion takes.
pub const MAX_DELETION: u64 = 10_000;

/// How many changes a record has had: 0 for a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub i32);

/// Why a change was not made. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Refused<E: Record> {
    /// The record changed since it was read.
    #[error("the record is at another version than the one that was seen")]
    Conflict {
        /// The version that the editor saw.
        seen: Version,
        /// The record as it is now.
        current: Box<E::Model>,
    },
    /// There is no record with this id.
    #[error("there is no such record")]
    NotFound,
    /// The record is deleted, and what was asked for needs a live one.
    #[error("the record is deleted")]
    Deleted(Box<E::Model>),
    /// The record is live, and what was asked for needs a deleted one.
    #[error("the record is not deleted")]
    Live(Box<E::Model>),
    /// The record does not meet the conditions of an [`Adjustment`](crate::Adjustment).
    #[error("the record does not meet the conditions of the change")]
    Unmet(Box<E::Model>),
    /// Live records refer to one that was to be deleted.
    #[error("{} live records of type {record_type} refer to it", ids.len())]
    StillReferenced {
        /// The type of the records that stand in the way.
        record_type: &'static str,
        /// The first of them.
        ids: Vec<Uuid>,
    },
    /// The deletion would take more than [`MAX_DELETION`] records.
    #[error("the deletion would take more than {MAX_DELETION} records")]
    TooMany,
    /// The record went along with the deletion of another one, which is the one to restore or
    /// to purge.
    #[error("the record was deleted along with another one")]
    TakenAlong(Box<Deletion>),
    /// A record would be live while the record it belongs to is deleted.
    #[error("the {} that it belongs to is deleted", .0.record_type)]
    ParentDeleted(RecordRef),
    /// The retention time is not over.
    #[error("the record may be purged from {0}")]
    TooEarly(DateTime<Utc>),
    /// The database refused.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// A record that this transaction has locked: nobody else can change it until the transaction
/// ends. Reads as the record; its heavy and secret columns are there only if the read asked.
///
/// It is the only thing that a record can be changed through.
///
/// ```
/// # mod library {
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/library.rs"));
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// # let library::Stocked { database, books, .. } = library::stocked().await?;
/// use chrono::Utc;
/// use library::book;
/// use plimsoll_records::{Database, Refused, Rows, Version, Writer};
/// use sea_orm::{ActiveValue::Set, ColumnTrait};
///
/// /// Renames a book; `None` if there is no such book.
/// async fn rename(
///     database: &Database,
///     isbn: &'static str,
///     seen: Version,
///     title: &'static str,
/// ) -> Result<Option<book::Model>, Refused<book::Entity>> {
///     let write = Writer::system(Utc::now());
///     let renamed = database.write(write, move |tx| {
///         Box::pin(async move {
///             let rows = Rows::<book::Entity>::live().filter(book::Column::Isbn.eq(isbn));
///             let Some(book) = rows.lock(tx).await? else {
///                 return Ok(None);
///             };
///             let changes = book::ActiveModel {
///                 title: Set(title.into()),
///                 ..Default::default()
///             };
///             book.update(tx, seen, changes).await.map(Some)
///         })
///     });
///     renamed.await
/// }
///
/// // Two people have read version 0. The first is quicker.
/// let renamed = rename(&database, "978-1", Version(0), "The Ship's Hull").await?;
/// assert_eq!(renamed.map(|book| book.lock_version), Some(1));
///
/// // The second overwrites nothing, and is told what the book is now.
/// match rename(&database, "978-1", Version(0), "Hulls").await {
///     Err(Refused::Conflict { seen, current }) => {
///         assert_eq!(seen, Version(0));
///         assert_eq!(current.title, "The Ship's Hull");
///     }
///     other => panic!("{other:?}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Locked<E: Record> {
    pub(crate) model: E::Model,
}

impl<E: Record> Deref for Locked<E> {
    type Target = E::Model;

    fn deref(&self) -> &E::Model {
        &self.model
    }
}

impl<E: Record> Rows<E> {
    /// The first of these rows, locked until the transaction ends.
    ///
    /// # Errors
    ///
    /// The [`Fault`] of the statement.
    pub async fn lock(self, tx: &mut Tx) -> Result<Option<Locked<E>>, Fault> {
        let rows = self.lock_all(1, tx).await?;
        Ok(rows.into_iter().next())
    }

    /// These rows, `limit` at the most, locked in the order of their ids.
    ///
    /// # Errors
    ///
    /// The [`Fault`] of the statement.
    pub async fn lock_all(self, limit: u64, tx: &mut Tx) -> Result<Vec<Locked<E>>, Fault> {
        let rows = self.locked(limit, dialect::lock_for_change, tx).await?;
        Ok(rows.into_iter().map(|model| Locked { model }).collect())
    }

    /// These rows, `limit` at the most, in the order of their ids. Nobody can change or delete
    /// them until the transaction ends, while others may hold them as well: for what is read
    /// here and written elsewhere, such as the price of what is sold. They are as they are once
    /// those who were changing them have ended.
    ///
    /// To change a row that is held waits for everybody else who holds it: what is changed is
    /// [locked](Self::lock_all) instead.
    ///
    /// # Errors
    ///
    /// The [`Fault`] of the statement.
    pub async fn hold(self, limit: u64, tx: &mut Tx) -> Result<Vec<E::Model>, Fault> {
        self.locked(limit, dialect::lock_for_share, tx).await
    }

    async fn locked(
        self,
        limit: u64,
        lock: fn(DbBackend, &mut SelectStatement),
        tx: &mut Tx,
    ) -> Result<Vec<E::Model>, Fault> {
        let conn = tx.conn();
        let mut select = self.select(conn.backend());
        select
            .order_by((E::default(), E::ID), sea_orm::Order::Asc)
            .limit(limit);
        lock(conn.backend(), &mut select);
        let rows = conn.all(&select, &self.notes()).await?;
        rows.iter().map(model::<E>).collect()
    }
}

/// Makes ids that are in the order in which they were made.
pub(crate) enum Mint {
    Random(ContextV7),
    Seeded(Box<ChaCha8Rng>),
}

impl Mint {
    pub(crate) fn new(seed: Option<u64>) -> Self {
        match seed {
            None => Self::Random(ContextV7::new()),
            Some(seed) => Self::Seeded(Box::new(ChaCha8Rng::seed_from_u64(seed))),
        }
    }

    fn next(&mut self, now: DateTime<Utc>) -> Uuid {
        match self {
            Self::Random(context) => {
                let seconds = now.timestamp().unsigned_abs();
                let nanos = now.timestamp_subsec_nanos();
                Uuid::new_v7(uuid::Timestamp::from_unix(&*context, seconds, nanos))
            }
            Self::Seeded(random) => {
                let mut bytes = [0; 10];
                random.fill_bytes(&mut bytes);
                let millis = now.timestamp_millis().unsigned_abs();
                uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
            }
        }
    }
}

impl Tx {
    /// A new id: a UUID of version 7 at this transaction's time.
    pub fn mint(&self) -> Uuid {
        // A panic while the lock was held leaves nothing half done.
        self.ids
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .next(self.now())
    }

    /// Adds one record, at version 0.
    ///
    /// # Errors
    ///
    /// [`Fault::Duplicate`] if a value that must be unique among the living is taken.
    pub async fn create<E: Record>(&mut self, mut row: E::ActiveModel) -> Result<E::Model, Fault> {
        let entry = self.prepare::<E>(&mut row);
        let id = entry.record_id;
        let mut insert = insert_statement::<E>(&[row]);
        let note = Note::new(table_name::<E>(), MadeFor::New);
        let conn = self.conn();
        let model = if dialect::returns_rows(conn.backend()) {
            insert.returning(Query::returning().columns(self.whole::<E>().columns().iter()));
            let row = conn.one(&insert, &[note]).await?;
            let row = row.ok_or_else(|| Fault::internal("no row was created"))?;
            model::<E>(&row)?
        } else {
            conn.execute(&insert, &[note]).await?;
            self.reread::<E>(id).await?
        };
        self.entries.push(entry);
        Ok(model)
    }

    /// Adds records, each at version 0; all set the same columns. Returns their ids.
    ///
    /// # Errors
    ///
    /// [`Fault::Duplicate`] if a value that must be unique among the living is taken; then
    /// none was added, once the transaction has rolled back.
    pub async fn create_many<E: Record>(
        &mut self,
        mut rows: Vec<E::ActiveModel>,
    ) -> Result<Vec<Uuid>, Fault> {
        let entries: Vec<Entry> = rows.iter_mut().map(|row| self.prepare::<E>(row)).collect();
        let note = Note::new(table_name::<E>(), MadeFor::New);
        for chunk in rows.chunks(dialect::INSERT_CHUNK) {
            self.conn()
                .execute(&insert_statement::<E>(chunk), &[note])
                .await?;
        }
        let ids = entries.iter().map(|entry| entry.record_id).collect();
        self.entries.extend(entries);
        Ok(ids)
    }

    /// Adds records like [`create_many`](Self::create_many), in the order of `rows`, which are
    /// [prepared](Self::prepare). Returns them as the database left them, in any order.
    pub(crate) async fn insert_all<E: Record>(
        &mut self,
        rows: &[E::ActiveModel],
    ) -> Result<Vec<E::Model>, Fault> {
        let note = Note::new(table_name::<E>(), MadeFor::New);
        let conn = self.conn();
        let mut made = Vec::with_capacity(rows.len());
        for chunk in rows.chunks(dialect::INSERT_CHUNK) {
            let mut insert = insert_statement::<E>(chunk);
            if dialect::returns_rows(conn.backend()) {
                insert.returning(Query::returning().columns(self.whole::<E>().columns().iter()));
                for row in conn.all(&insert, &[note]).await? {
                    made.push(model::<E>(&row)?);
                }
            } else {
                conn.execute(&insert, &[note]).await?;
            }
        }
        if !dialect::returns_rows(conn.backend()) {
            let ids: Vec<Uuid> = rows.iter().filter_map(id_of::<E>).collect();
            let now = self.whole::<E>().by_ids(&ids, self).await?;
            made.extend(now.into_values());
        }
        if made.len() == rows.len() {
            Ok(made)
        } else {
            Err(Fault::internal("rows were not created"))
        }
    }

    /// Gives a new row the columns that every record has. Returns what the audit log will say.
    pub(crate) fn prepare<E: Record>(&self, row: &mut E::ActiveModel) -> Entry {
        let now = self.now();
        let id = id_of::<E>(row).unwrap_or_else(|| self.mint());
        row.set(E::ID, id.into());
        row.set(E::CREATED_AT, now.into());
        row.set(E::UPDATED_AT, now.into());
        row.set(E::LOCK_VERSION, 0.into());
        for column in E::COMPUTED {
            row.not_set(*column);
        }
        let mut changes = Changed::default();
        for column in E::Column::iter() {
            if let ActiveValue::Set(value) = row.get(column)
                && !is_common::<E>(&column)
            {
                changes.note_column::<E>(column, None, &value);
            }
        }
        Entry {
            action: Action::Create,
            record_type: E::TYPE,
            record_id: id,
            from: None,
            to: Some(0),
            changes,
        }
    }

    /// Keeps those of `ids` that are live from being deleted until the transaction ends, and
    /// returns them. A child is created only under a parent that is held.
    ///
    /// # Errors
    ///
    /// The [`Fault`] of the statement.
    pub async fn hold_live<E: Record>(&mut self, ids: &[Uuid]) -> Result<Vec<Uuid>, Fault> {
        let conn = self.conn();
        let mut held = Vec::with_capacity(ids.len());
        for chunk in ids.chunks(dialect::KEY_CHUNK) {
            let live = Rows::<E>::live();
            let notes = live.notes();
            let mut select = live.bare();
            select
                .column((E::default(), E::ID))
                .and_where(dialect::is_any_of(
                    conn.backend(),
                    Expr::col((E::default(), E::ID)),
                    chunk,
                ))
                .order_by((E::default(), E::ID), sea_orm::Order::Asc);
            dialect::lock_for_share(conn.backend(), &mut select);
            for row in conn.all(&select, &notes).await? {
                held.push(get(&row, E::ID.as_str())?);
            }
        }
        Ok(held)
    }

    /// The record as this transaction has left it.
    pub(crate) async fn reread<E: Record>(&mut self, id: Uuid) -> Result<E::Model, Fault> {
        self.find_any::<E>(id)
            .await?
            .ok_or_else(|| Fault::internal("a row that was just written is gone"))
    }

    /// The record with this id, deleted or not, with the columns that answers have.
    pub(crate) async fn find_any<E: Record>(
        &mut self,
        id: Uuid,
    ) -> Result<Option<E::Model>, Fault> {
        let rows = self.whole::<E>();
        rows.filter(Expr::col((E::default(), E::ID)).eq(id))
            .one(self)
            .await
    }

    /// All rows, with the columns that answers have: the heavy ones if the writer wants them.
    pub(crate) fn whole<E: Record>(&self) -> Rows<E> {
        let mut rows = Rows::<E>::scoped(Scope::WithDeleted);
        if self.writer().heavy {
            for column in E::HEAVY {
                rows = rows.with(*column);
            }
        }
        rows
    }

    /// Runs an UPDATE of the row with this id. Returns the row as the statement left it, or
    /// `None` if it changed none.
    pub(crate) async fn written_one<E: Record>(
        &mut self,
        update: &mut UpdateStatement,
        id: Uuid,
        note: Note,
    ) -> Result<Option<E::Model>, Fault> {
        let conn = self.conn();
        if dialect::returns_rows(conn.backend()) {
            update.returning(Query::returning().columns(self.whole::<E>().columns().iter()));
            let row = conn.one(update, &[note]).await?;
            row.map(|row| model::<E>(&row)).transpose()
        } else if conn.execute(update, &[note]).await? == 0 {
            Ok(None)
        } else {
            // The UPDATE has the row locked: nobody else was there in between.
            Ok(Some(self.reread::<E>(id).await?))
        }
    }
}

/// The id that a new row sets.
fn id_of<E: Record>(row: &E::ActiveModel) -> Option<Uuid> {
    match row.get(E::ID) {
        ActiveValue::Set(Value::Uuid(id)) => id,
        _ => None,
    }
}

/// The version of a record.
pub(crate) fn version_of<E: Record>(model: &E::Model) -> Version {
    match model.get(E::LOCK_VERSION) {
        Value::Int(Some(version)) => Version(version),
        _ => Version(0),
    }
}

/// Whether this crate alone writes the column.
pub(crate) fn is_common<E: Record>(column: &E::Column) -> bool {
    let common = [
        E::ID,
        E::CREATED_AT,
        E::UPDATED_AT,
        E::LOCK_VERSION,
        E::DELETED_AT,
        E::DELETION_ID,
    ];
    contains::<E>(&common, column)
}

impl<E: Record> Locked<E> {
    /// The record's id.
    pub fn id(&self) -> Uuid {
        uuid_of::<E>(&self.model, E::ID).unwrap_or_default()
    }

    /// The record's version.
    pub fn version(&self) -> Version {
        version_of::<E>(&self.model)
    }

    /// Whether nobody has deleted the record.
    pub fn is_live(&self) -> bool {
        uuid_of::<E>(&self.model, E::DELETION_ID).is_none()
    }

    /// The record itself; it stays locked.
    pub fn into_model(self) -> E::Model {
        self.model
    }

    /// Sets the columns that `changes` sets and that differ, and raises the version by one.
    /// When none differs, nothing is written and the version stays.
    ///
    /// # Errors
    ///
    /// [`Refused::Conflict`] if the record is no longer at the version that was `seen`,
    /// [`Refused::Deleted`] if it is deleted; [`Fault::Duplicate`] inside [`Refused::Fault`] if a
    /// value is taken.
    pub async fn update(
        self,
        tx: &mut Tx,
        seen: Version,
        changes: E::ActiveModel,
    ) -> Result<E::Model, Refused<E>> {
        let this = self.live()?;
        let mut changed = Changed::default();
        let mut values = Vec::new();
        for column in E::Column::iter() {
            let ActiveValue::Set(value) = changes.get(column) else {
                continue;
            };
            let before = this.model.get(column);
            let kept = is_common::<E>(&column) || contains::<E>(E::COMPUTED, &column);
            if kept || before == value {
                continue;
            }
            changed.note_column::<E>(column, Some(&before), &value);
            values.push((column, value));
        }
        if values.is_empty() {
            return this.unchanged(tx, seen).await;
        }
        this.write(tx, seen, Action::Update, values, changed).await
    }

    /// Refuses if the record is deleted.
    pub(crate) fn live(self) -> Result<Self, Refused<E>> {
        if self.is_live() {
            Ok(self)
        } else {
            Err(Refused::Deleted(Box::new(self.model)))
        }
    }

    /// Refuses if the record is not deleted.
    pub(crate) fn deleted(self) -> Result<Self, Refused<E>> {
        if self.is_live() {
            Err(Refused::Live(Box::new(self.model)))
        } else {
            Ok(self)
        }
    }

    /// Raises the version for a change that lies outside the record's own columns.
    pub(crate) async fn raise(
        self,
        tx: &mut Tx,
        seen: Version,
        changed: Changed,
    ) -> Result<E::Model, Refused<E>> {
        self.write(tx, seen, Action::Update, Vec::new(), changed)
            .await
    }

    pub(crate) async fn unchanged(
        self,
        tx: &mut Tx,
        seen: Version,
    ) -> Result<E::Model, Refused<E>> {
        let current = self.check(tx, seen).await?;
        if tx.writer().heavy {
            Ok(tx.reread::<E>(current.id()).await?)
        } else {
            Ok(current.model)
        }
    }

    /// Refuses if the record is not at the version that was seen.
    pub(crate) async fn check(self, tx: &mut Tx, seen: Version) -> Result<Self, Refused<E>> {
        if self.version() == seen {
            return Ok(self);
        }
        let current = if tx.writer().heavy && !E::HEAVY.is_empty() {
            tx.reread::<E>(self.id()).await?
        } else {
            self.model
        };
        Err(Refused::Conflict {
            seen,
            current: Box::new(current),
        })
    }

    /// The one UPDATE of a record.
    pub(crate) async fn write(
        self,
        tx: &mut Tx,
        seen: Version,
        action: Action,
        values: Vec<(E::Column, Value)>,
        changes: Changed,
    ) -> Result<E::Model, Refused<E>> {
        let this = self.check(tx, seen).await?;
        let id = this.id();
        let live = this.is_live();
        let mut update = Query::update();
        update
            .table(E::default())
            .value(E::LOCK_VERSION, Expr::col(E::LOCK_VERSION).add(1))
            .value(E::UPDATED_AT, tx.now())
            .and_where(Expr::col(E::ID).eq(id))
            .and_where(Expr::col(E::LOCK_VERSION).eq(seen.0))
            .and_where(if live {
                Expr::col(E::DELETED_AT).is_null()
            } else {
                Expr::col(E::DELETED_AT).is_not_null()
            });
        for (column, value) in values {
            update.value(column, value);
        }
        let note = Note::new(table_name::<E>(), MadeFor::Version(seen));
        let written = tx.written_one::<E>(&mut update, id, note).await?;
        // The row is locked and its version was compared: exactly one row must be written.
        let written = written.ok_or_else(|| Fault::internal("a locked row was not written"))?;
        tx.entries.push(Entry {
            action,
            record_type: E::TYPE,
            record_id: id,
            from: Some(seen.0),
            to: Some(seen.0.wrapping_add(1)),
            changes,
        });
        Ok(written)
    }
}
