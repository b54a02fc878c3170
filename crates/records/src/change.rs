//! Writing: every change of a record goes through a row that is locked, and the version that
//! its editor saw.

use std::{
    collections::{HashMap, HashSet},
    ops::Deref,
    sync::PoisonError,
};

use chrono::{DateTime, Utc};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sea_orm::{
    ActiveModelTrait, ActiveValue, IdenStatic, Iterable, ModelTrait, Value,
    sea_query::{Expr, ExprTrait, Query},
};
use uuid::{ContextV7, Uuid};

pub(crate) use crate::audit::Changed;
use crate::{
    Action, Deletion, Fault, OnDelete, Parent, Record, Rows, Scope, Tx,
    audit::Entry,
    database::sealed::Connected,
    deletion::{RecordRef, Retention, entity as deletion_entity},
    dialect,
    record::{RecordInfo, contains, insert_statement},
    rows::{get, locked_versions, model, uuid_of},
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
#[derive(Debug)]
pub struct Locked<E: Record> {
    model: E::Model,
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
        let conn = tx.conn();
        let mut select = self.select();
        select
            .order_by((E::default(), E::ID), sea_orm::Order::Asc)
            .limit(limit);
        dialect::lock_for_change(conn.backend(), &mut select);
        let rows = conn.all(&select).await?;
        rows.iter()
            .map(|row| {
                Ok(Locked {
                    model: model::<E>(row)?,
                })
            })
            .collect()
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
    pub async fn create<E: Record>(&mut self, row: E::ActiveModel) -> Result<E::Model, Fault> {
        let id = self.create_many::<E>(vec![row]).await?;
        let id = id
            .first()
            .copied()
            .ok_or_else(|| Fault::internal("no row was created"))?;
        self.reread::<E>(id).await
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
        let now = self.now();
        let mut ids = Vec::with_capacity(rows.len());
        for row in &mut rows {
            let id = match row.get(E::ID) {
                ActiveValue::Set(Value::Uuid(Some(id))) => id,
                _ => self.mint(),
            };
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
            self.entries.push(Entry {
                action: Action::Create,
                record_type: E::TYPE,
                record_id: id,
                from: None,
                to: Some(0),
                changes,
            });
            ids.push(id);
        }
        for chunk in rows.chunks(dialect::INSERT_CHUNK) {
            self.conn().execute(&insert_statement::<E>(chunk)).await?;
        }
        Ok(ids)
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
            let mut select = Rows::<E>::live().bare();
            select
                .column((E::default(), E::ID))
                .and_where(dialect::is_any_of(
                    conn.backend(),
                    Expr::col((E::default(), E::ID)),
                    chunk,
                ))
                .order_by((E::default(), E::ID), sea_orm::Order::Asc);
            dialect::lock_for_share(conn.backend(), &mut select);
            for row in conn.all(&select).await? {
                held.push(get(&row, E::ID.as_str())?);
            }
        }
        Ok(held)
    }

    /// The record as this transaction has left it.
    async fn reread<E: Record>(&mut self, id: Uuid) -> Result<E::Model, Fault> {
        let mut rows = Rows::<E>::scoped(Scope::WithDeleted);
        if self.writer().heavy {
            for column in E::HEAVY {
                rows = rows.with(*column);
            }
        }
        rows.filter(Expr::col((E::default(), E::ID)).eq(id))
            .one(self)
            .await?
            .ok_or_else(|| Fault::internal("a row that was just written is gone"))
    }
}

fn is_common<E: Record>(column: &E::Column) -> bool {
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
        match self.model.get(E::LOCK_VERSION) {
            Value::Int(Some(version)) => Version(version),
            _ => Version(0),
        }
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
    /// [`Refused::Conflict`] if the record is no longer at the version that was `seen`;
    /// [`Fault::Duplicate`] inside [`Refused::Fault`] if a value is taken.
    pub async fn update(
        self,
        tx: &mut Tx,
        seen: Version,
        changes: E::ActiveModel,
    ) -> Result<E::Model, Refused<E>> {
        let mut changed = Changed::default();
        let mut values = Vec::new();
        for column in E::Column::iter() {
            let ActiveValue::Set(value) = changes.get(column) else {
                continue;
            };
            let before = self.model.get(column);
            let kept = is_common::<E>(&column) || contains::<E>(E::COMPUTED, &column);
            if kept || before == value {
                continue;
            }
            changed.note_column::<E>(column, Some(&before), &value);
            values.push((column, value));
        }
        if values.is_empty() {
            return self.unchanged(tx, seen).await;
        }
        self.write(tx, seen, Action::Update, values, changed).await
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
    async fn check(self, tx: &mut Tx, seen: Version) -> Result<Self, Refused<E>> {
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
    async fn write(
        self,
        tx: &mut Tx,
        seen: Version,
        action: Action,
        values: Vec<(E::Column, Value)>,
        changes: Changed,
    ) -> Result<E::Model, Refused<E>> {
        let this = self.check(tx, seen).await?;
        let id = this.id();
        let live = this.model.get(E::DELETED_AT) == Value::ChronoDateTimeUtc(None);
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
        let conn = tx.conn();
        let written = if dialect::returns_rows(conn.backend()) {
            let mut columns = Rows::<E>::scoped(Scope::WithDeleted);
            if tx.writer().heavy {
                for column in E::HEAVY {
                    columns = columns.with(*column);
                }
            }
            update.returning(Query::returning().columns(columns.columns()));
            let rows = conn.all(&update).await?;
            match rows.as_slice() {
                [row] => Some(model::<E>(row)?),
                _ => None,
            }
        } else if conn.execute(&update).await? == 1 {
            Some(tx.reread::<E>(id).await?)
        } else {
            None
        };
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

    /// Marks the record deleted, and along with it what its relations say, as one deletion.
    ///
    /// # Errors
    ///
    /// [`Refused::Conflict`], [`Refused::StillReferenced`] or [`Refused::TooMany`].
    pub async fn delete(self, tx: &mut Tx, seen: Version) -> Result<E::Model, Refused<E>> {
        let id = self.id();
        let deletion = tx.mint();
        let values = vec![
            (E::DELETED_AT, tx.now().into()),
            (E::DELETION_ID, deletion.into()),
        ];
        let changed = Changed::deletion(Action::Delete, deletion);
        let deleted = self
            .write(tx, seen, Action::Delete, values, changed)
            .await?;
        let table = E::default().table_name();
        let taken = tx.take_along::<E>(table, id, deletion).await?;
        tx.refuse_if_referenced::<E>(&taken).await?;
        let row_count: usize = taken.iter().map(|(_, ids)| ids.len()).sum();
        let row = deletion_entity::ActiveModel {
            id: ActiveValue::Set(deletion),
            created_at: ActiveValue::Set(tx.now()),
            updated_at: ActiveValue::Set(tx.now()),
            actor_id: ActiveValue::Set(tx.writer().actor),
            root_type: ActiveValue::Set(E::TYPE.into()),
            root_id: ActiveValue::Set(id),
            row_count: ActiveValue::Set(i32::try_from(row_count).unwrap_or(i32::MAX)),
            restored_at: ActiveValue::Set(None),
            purged_at: ActiveValue::Set(None),
        };
        tx.conn()
            .execute(&insert_statement::<deletion_entity::Entity>(&[row]))
            .await?;
        Ok(deleted)
    }

    /// Undoes the deletion of the record, which must be the one that was named in it, with all
    /// that the deletion took along.
    ///
    /// # Errors
    ///
    /// [`Refused::Conflict`], [`Refused::TakenAlong`], [`Refused::ParentDeleted`], or
    /// [`Fault::Duplicate`] inside [`Refused::Fault`] if a unique value was taken meanwhile.
    pub async fn restore(self, tx: &mut Tx, seen: Version) -> Result<E::Model, Refused<E>> {
        let this = self.check(tx, seen).await?;
        let deletion = this.own_deletion(tx).await?;
        let id = this.id();
        let values = vec![
            (E::DELETED_AT, Value::ChronoDateTimeUtc(None)),
            (E::DELETION_ID, Value::Uuid(None)),
        ];
        let changed = Changed::deletion(Action::Restore, deletion.id);
        let restored = this
            .write(tx, seen, Action::Restore, values, changed)
            .await?;
        let register = tx.register.clone();
        let mut back: Vec<(&RecordInfo, Vec<Uuid>)> = Vec::new();
        for info in register.reach(E::default().table_name()) {
            let mut ids = tx.restore_table(info, deletion.id).await?;
            if info.table == E::default().table_name() {
                ids.push(id);
            }
            back.push((info, ids));
        }
        for (info, ids) in &back {
            for parent in &info.parents {
                if parent.on_delete != OnDelete::Leave {
                    tx.refuse_under_deleted::<E>(info, parent, ids).await?;
                }
            }
        }
        tx.close_deletion(deletion.id, deletion_entity::Column::RestoredAt)
            .await?;
        Ok(restored)
    }

    /// Removes the record, which must be the one that was named in its deletion, and all that
    /// the deletion took along, for good.
    ///
    /// # Errors
    ///
    /// [`Refused::Conflict`], [`Refused::TakenAlong`], [`Refused::TooEarly`] before the
    /// retention time is over, or [`Fault::Reference`] inside [`Refused::Fault`] if something
    /// else still refers to one of the records.
    pub async fn purge(
        self,
        tx: &mut Tx,
        seen: Version,
        retention: Retention,
    ) -> Result<E::Model, Refused<E>> {
        let this = self.check(tx, seen).await?;
        let deletion = this.own_deletion(tx).await?;
        let cutoff = retention.cutoff(tx.now());
        if deletion.created_at > cutoff {
            return Err(Refused::TooEarly(
                retention.purgeable_at(deletion.created_at),
            ));
        }
        let purged = if tx.writer().heavy {
            tx.reread::<E>(this.id()).await?
        } else {
            this.model
        };
        let register = tx.register.clone();
        for info in register.reach(E::default().table_name()).into_iter().rev() {
            tx.purge_table(info, deletion.id, cutoff).await?;
        }
        tx.close_deletion(deletion.id, deletion_entity::Column::PurgedAt)
            .await?;
        Ok(purged)
    }

    /// The deletion that named this record.
    async fn own_deletion(&self, tx: &mut Tx) -> Result<Deletion, Refused<E>> {
        let id = uuid_of::<E>(&self.model, E::DELETION_ID)
            .ok_or_else(|| Fault::internal("a deleted record carries no deletion"))?;
        let deletion = Rows::<deletion_entity::Entity>::live()
            .filter(Expr::col(deletion_entity::Column::Id).eq(id))
            .one(tx)
            .await?
            .ok_or_else(|| Fault::internal("a record's deletion is not there"))?;
        if deletion.root_type == E::TYPE && deletion.root_id == self.id() {
            Ok(deletion)
        } else {
            Err(Refused::TakenAlong(Box::new(deletion)))
        }
    }
}

/// Rows of one table that a deletion took.
type Taken = Vec<(&'static str, Vec<Uuid>)>;

impl Tx {
    /// Marks the live children of a deleted row, and theirs, as taken by `deletion`. It ends on
    /// cycles, since only live rows are taken. Returns all rows of the deletion.
    async fn take_along<E: Record>(
        &mut self,
        table: &'static str,
        root: Uuid,
        deletion: Uuid,
    ) -> Result<Taken, Refused<E>> {
        let register = self.register.clone();
        let mut taken: Taken = vec![(table, vec![root])];
        let mut count = 1;
        let mut next = 0;
        while let Some((table, parents)) = taken.get(next).cloned() {
            next += 1;
            for child in register.children(table) {
                if child.parent.on_delete != OnDelete::TakeAlong {
                    continue;
                }
                for chunk in parents.chunks(dialect::KEY_CHUNK) {
                    let children = self
                        .mark_children(child.info, child.parent, chunk, deletion, count)
                        .await?;
                    count += children.len() as u64;
                    if count > MAX_DELETION {
                        return Err(Refused::TooMany);
                    }
                    if !children.is_empty() {
                        taken.push((child.info.table, children));
                    }
                }
            }
        }
        Ok(taken)
    }

    async fn mark_children(
        &mut self,
        info: &RecordInfo,
        parent: &Parent,
        parents: &[Uuid],
        deletion: Uuid,
        so_far: u64,
    ) -> Result<Vec<Uuid>, Fault> {
        let conn = self.conn();
        let condition = dialect::is_any_of(conn.backend(), Expr::col(parent.column), parents)
            .and(Expr::col("deleted_at").is_null());
        let limit = (MAX_DELETION + 1).saturating_sub(so_far);
        let rows = locked_versions(conn, info.table, condition, limit).await?;
        self.mark(info, &rows, Action::Delete, deletion).await?;
        Ok(rows.into_iter().map(|(id, _)| id).collect())
    }

    /// Brings back the rows of one table that `deletion` took. Returns their ids.
    async fn restore_table(
        &mut self,
        info: &RecordInfo,
        deletion: Uuid,
    ) -> Result<Vec<Uuid>, Fault> {
        let condition = Expr::col("deletion_id").eq(deletion);
        let rows = locked_versions(self.conn(), info.table, condition, MAX_DELETION).await?;
        self.mark(info, &rows, Action::Restore, deletion).await?;
        Ok(rows.into_iter().map(|(id, _)| id).collect())
    }

    /// Marks rows that are locked as deleted, or as live again, and raises their versions.
    async fn mark(
        &mut self,
        info: &RecordInfo,
        rows: &[(Uuid, i32)],
        action: Action,
        deletion: Uuid,
    ) -> Result<(), Fault> {
        let conn = self.conn();
        let now = self.now();
        let (deleted_at, deletion_id) = match action {
            Action::Delete => (Some(now), Some(deletion)),
            _ => (None, None),
        };
        for chunk in rows.chunks(dialect::KEY_CHUNK) {
            let ids: Vec<Uuid> = chunk.iter().map(|(id, _)| *id).collect();
            let mut update = Query::update();
            update
                .table(info.table)
                .value("lock_version", Expr::col("lock_version").add(1))
                .value("updated_at", now)
                .value("deleted_at", deleted_at)
                .value("deletion_id", deletion_id)
                .and_where(dialect::is_any_of(conn.backend(), Expr::col("id"), &ids));
            conn.execute(&update).await?;
        }
        self.entries.extend(rows.iter().map(|(id, version)| Entry {
            action,
            record_type: info.record_type,
            record_id: *id,
            from: Some(*version),
            to: Some(version.wrapping_add(1)),
            changes: Changed::deletion(action, deletion),
        }));
        Ok(())
    }

    /// Refuses if a live record refers to one of the deleted rows by a relation that refuses.
    async fn refuse_if_referenced<E: Record>(&mut self, taken: &Taken) -> Result<(), Refused<E>> {
        let register = self.register.clone();
        let conn = self.conn();
        for (table, ids) in taken {
            for child in register.children(table) {
                if child.parent.on_delete != OnDelete::Refuse {
                    continue;
                }
                for chunk in ids.chunks(dialect::KEY_CHUNK) {
                    let column = Expr::col(child.parent.column);
                    let mut select = Query::select();
                    select
                        .column("id")
                        .from(child.info.table)
                        .and_where(dialect::is_any_of(conn.backend(), column, chunk))
                        .and_where(Expr::col("deleted_at").is_null())
                        .order_by("id", sea_orm::Order::Asc)
                        .limit(5);
                    let rows = conn.all(&select).await?;
                    let ids: Vec<Uuid> = rows
                        .iter()
                        .map(|row| get(row, "id"))
                        .collect::<Result<_, _>>()?;
                    if !ids.is_empty() {
                        let record_type = child.info.record_type;
                        return Err(Refused::StillReferenced { record_type, ids });
                    }
                }
            }
        }
        Ok(())
    }

    /// Refuses if one of the restored rows would be live under a deleted parent.
    async fn refuse_under_deleted<E: Record>(
        &mut self,
        info: &RecordInfo,
        parent: &Parent,
        ids: &[Uuid],
    ) -> Result<(), Refused<E>> {
        let register = self.register.clone();
        let Some(parent_info) = register.table(parent.table) else {
            return Ok(());
        };
        let conn = self.conn();
        for chunk in ids.chunks(dialect::KEY_CHUNK) {
            let children = Query::select()
                .column(parent.column)
                .from(info.table)
                .and_where(dialect::is_any_of(conn.backend(), Expr::col("id"), chunk))
                .and_where(Expr::col(parent.column).is_not_null())
                .take();
            let mut select = Query::select();
            select
                .column("id")
                .expr_as(Expr::col("deleted_at").is_not_null(), "gone")
                .from(parent.table)
                .and_where(Expr::col("id").in_subquery(children))
                .order_by("id", sea_orm::Order::Asc);
            dialect::lock_for_share(conn.backend(), &mut select);
            for row in conn.all(&select).await? {
                let gone = get::<bool>(&row, "gone")
                    .or_else(|_| get::<i64>(&row, "gone").map(|n| n != 0))?;
                if gone {
                    return Err(Refused::ParentDeleted(RecordRef {
                        record_type: parent_info.record_type,
                        id: get(&row, "id")?,
                    }));
                }
            }
        }
        Ok(())
    }

    /// Removes the rows of one table that `deletion` took, children before their parents.
    async fn purge_table(
        &mut self,
        info: &RecordInfo,
        deletion: Uuid,
        cutoff: DateTime<Utc>,
    ) -> Result<(), Fault> {
        let of_itself = info
            .parents
            .iter()
            .find(|parent| parent.table == info.table);
        let condition = Expr::col("deletion_id").eq(deletion);
        let rows = locked_versions(self.conn(), info.table, condition, MAX_DELETION).await?;
        let versions: HashMap<Uuid, i32> = rows.iter().copied().collect();
        let ids: Vec<Uuid> = rows.into_iter().map(|(id, _)| id).collect();
        let conn = self.conn();
        for chunk in ids.chunks(dialect::KEY_CHUNK) {
            for dependent in &info.dependents {
                let mut remove = Query::delete();
                remove
                    .from_table(dependent.table)
                    .and_where(dialect::is_any_of(
                        conn.backend(),
                        Expr::col(dependent.column),
                        chunk,
                    ));
                conn.execute(&remove).await?;
            }
        }
        let levels = match of_itself {
            None => vec![ids],
            Some(parent) => {
                self.leaves_first(info.table, parent.column, deletion)
                    .await?
            }
        };
        for level in levels {
            for chunk in level.chunks(dialect::KEY_CHUNK) {
                let conn = self.conn();
                let mut remove = Query::delete();
                remove
                    .from_table(info.table)
                    .and_where(dialect::is_any_of(conn.backend(), Expr::col("id"), chunk))
                    .and_where(Expr::col("deletion_id").eq(deletion))
                    .and_where(Expr::col("deleted_at").lte(cutoff));
                conn.execute(&remove).await?;
            }
        }
        self.entries
            .extend(versions.into_iter().map(|(id, version)| Entry {
                action: Action::Purge,
                record_type: info.record_type,
                record_id: id,
                from: Some(version),
                to: None,
                changes: Changed::deletion(Action::Purge, deletion),
            }));
        Ok(())
    }

    /// The rows of a table that refers to itself, level by level: first those that none of the
    /// others refers to.
    async fn leaves_first(
        &mut self,
        table: &'static str,
        column: &'static str,
        deletion: Uuid,
    ) -> Result<Vec<Vec<Uuid>>, Fault> {
        let select = Query::select()
            .column("id")
            .expr_as(Expr::col(column), "parent")
            .from(table)
            .and_where(Expr::col("deletion_id").eq(deletion))
            .take();
        let mut parents: HashMap<Uuid, Option<Uuid>> = HashMap::new();
        for row in self.conn().all(&select).await? {
            parents.insert(get(&row, "id")?, get(&row, "parent")?);
        }
        let mut levels = Vec::new();
        while !parents.is_empty() {
            let referred: HashSet<Uuid> = parents.values().flatten().copied().collect();
            let mut leaves: Vec<Uuid> = parents
                .keys()
                .filter(|id| !referred.contains(id))
                .copied()
                .collect();
            if leaves.is_empty() {
                // A cycle: the foreign key will say so.
                leaves = parents.keys().copied().collect();
            }
            leaves.sort_unstable();
            for leaf in &leaves {
                parents.remove(leaf);
            }
            levels.push(leaves);
        }
        Ok(levels)
    }

    async fn close_deletion(
        &mut self,
        id: Uuid,
        column: deletion_entity::Column,
    ) -> Result<(), Fault> {
        let mut update = Query::update();
        update
            .table(deletion_entity::Entity)
            .value(column, self.now())
            .value(deletion_entity::Column::UpdatedAt, self.now())
            .and_where(Expr::col(deletion_entity::Column::Id).eq(id));
        self.conn().execute(&update).await?;
        Ok(())
    }
}
