//! Deleting, restoring and purging: what goes along, what stands in the way, and what comes back.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue, Value,
    sea_query::{Expr, ExprTrait, Query},
};
use uuid::Uuid;

use crate::{
    Action, Deletion, Fault, Locked, MadeFor, Note, OnDelete, Parent, Record, Refused, Rows, Scope,
    Tx, Version,
    audit::{Changed, Entry},
    change::MAX_DELETION,
    database::sealed::Connected,
    deletion::{RecordRef, Retention, entity as deletion_entity},
    dialect,
    record::{RecordInfo, insert_statement},
    rows::{get, locked_versions, uuid_of},
};

impl<E: Record> Locked<E> {
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
            .execute(&insert_statement::<deletion_entity::Entity>(&[row]), &[])
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
        let rows = locked_versions(conn, info.table, Scope::Live, condition, limit).await?;
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
        let rows = locked_versions(
            self.conn(),
            info.table,
            Scope::OnlyDeleted,
            condition,
            MAX_DELETION,
        )
        .await?;
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
            conn.execute(&update, &[Note::new(info.table, MadeFor::Locked)])
                .await?;
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
                    let note = Note::scope(child.info.table, Scope::Live);
                    let rows = conn.all(&select, &[note]).await?;
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
            let notes = [
                Note::new(info.table, MadeFor::Locked),
                Note::scope(parent.table, Scope::WithDeleted),
            ];
            for row in conn.all(&select, &notes).await? {
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
        let rows = locked_versions(
            self.conn(),
            info.table,
            Scope::OnlyDeleted,
            condition,
            MAX_DELETION,
        )
        .await?;
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
                conn.execute(&remove, &[]).await?;
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
                conn.execute(&remove, &[Note::new(info.table, MadeFor::Purge)])
                    .await?;
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
        let note = Note::scope(table, Scope::OnlyDeleted);
        for row in self.conn().all(&select, &[note]).await? {
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
        self.conn().execute(&update, &[]).await?;
        Ok(())
    }
}
