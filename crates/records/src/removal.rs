//! Deleting, restoring and purging: what goes along, what stands in the way, and what comes back.

use std::collections::{BTreeMap, HashMap, HashSet};

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
    /// [`Refused::Conflict`], [`Refused::Deleted`] if it is deleted already,
    /// [`Refused::StillReferenced`] or [`Refused::TooMany`].
    pub async fn delete(self, tx: &mut Tx, seen: Version) -> Result<E::Model, Refused<E>> {
        let id = self.id();
        let deletion = tx.mint();
        let values = vec![
            (E::DELETED_AT, tx.now().into()),
            (E::DELETION_ID, deletion.into()),
        ];
        let changed = Changed::deletion(Action::Delete, deletion);
        let deleted = self
            .live()?
            .write(tx, seen, Action::Delete, values, changed)
            .await?;
        let rest = tx.delete_rest::<E>(vec![(id, deletion)]).await;
        tx.kept(rest).map_err(|(refused, _)| refused)?;
        Ok(deleted)
    }

    /// Undoes the deletion of the record, which must be the one that was named in it, with all
    /// that the deletion took along.
    ///
    /// # Errors
    ///
    /// [`Refused::Conflict`], [`Refused::Live`] if it is not deleted, [`Refused::TakenAlong`],
    /// [`Refused::ParentDeleted`], or [`Fault::Duplicate`] inside [`Refused::Fault`] if a unique value was taken meanwhile.
    pub async fn restore(self, tx: &mut Tx, seen: Version) -> Result<E::Model, Refused<E>> {
        let this = self.deleted()?.check(tx, seen).await?;
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
        let rest = tx.restore_rest::<E>(&[(id, deletion.id)]).await;
        tx.kept(rest).map_err(|(refused, _)| refused)?;
        Ok(restored)
    }

    /// Removes the record, which must be the one that was named in its deletion, and all that
    /// the deletion took along, for good. Links to them go as well, which is a change of the
    /// records that have the links: their versions rise and the audit log tells it, whether they
    /// are live or deleted.
    ///
    /// # Errors
    ///
    /// [`Refused::Conflict`], [`Refused::Live`] if it is not deleted, [`Refused::TakenAlong`],
    /// [`Refused::TooEarly`] before the retention time is over, [`Refused::TooMany`] if more than
    /// [`MAX_DELETION`] links point at those that would go, or [`Fault::Reference`] inside
    /// [`Refused::Fault`] if something else still refers to one of the records.
    pub async fn purge(
        self,
        tx: &mut Tx,
        seen: Version,
        retention: Retention,
    ) -> Result<E::Model, Refused<E>> {
        let this = self.deleted()?.check(tx, seen).await?;
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
        let rest = tx.purge_rest::<E>(deletion.id, cutoff).await;
        tx.kept(rest)?;
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

/// A row, and the deletion that takes it or gives it back.
pub(crate) type Marked = (Uuid, Uuid);

/// Why several deletions or restorations were refused, and for which of them, where that is
/// known.
pub(crate) type RestRefused<E> = (Refused<E>, Option<Uuid>);

/// The rows of one table that some deletions took.
type Taken = Vec<(&'static str, Vec<Marked>)>;

/// A refusal that is nobody's in particular.
fn whole<E: Record>(fault: impl Into<Refused<E>>) -> RestRefused<E> {
    (fault.into(), None)
}

impl Tx {
    /// What follows the marking of the rows that are named in deletions: takes their children
    /// along, looks for what stands in the way, and notes the deletions.
    pub(crate) async fn delete_rest<E: Record>(
        &mut self,
        roots: Vec<Marked>,
    ) -> Result<(), RestRefused<E>> {
        let mut row_counts: HashMap<Uuid, i32> = HashMap::with_capacity(roots.len());
        let taken = self
            .take_along::<E>(E::default().table_name(), roots.clone())
            .await
            .map_err(whole)?;
        self.refuse_if_referenced::<E>(&taken).await?;
        for (_, deletion) in taken.iter().flat_map(|(_, rows)| rows) {
            let count = row_counts.entry(*deletion).or_default();
            *count = count.saturating_add(1);
        }
        let rows: Vec<deletion_entity::ActiveModel> = roots
            .into_iter()
            .map(|(id, deletion)| deletion_entity::ActiveModel {
                id: ActiveValue::Set(deletion),
                created_at: ActiveValue::Set(self.now()),
                updated_at: ActiveValue::Set(self.now()),
                actor_id: ActiveValue::Set(self.writer().actor),
                root_type: ActiveValue::Set(E::TYPE.into()),
                root_id: ActiveValue::Set(id),
                row_count: ActiveValue::Set(row_counts.get(&deletion).copied().unwrap_or(1)),
                restored_at: ActiveValue::Set(None),
                purged_at: ActiveValue::Set(None),
            })
            .collect();
        for chunk in rows.chunks(dialect::INSERT_CHUNK) {
            let insert = insert_statement::<deletion_entity::Entity>(chunk);
            self.conn().execute(&insert, &[]).await.map_err(whole)?;
        }
        Ok(())
    }

    /// What follows the restoration of the rows that were named in deletions: brings back what
    /// went along, and looks whether it may be live.
    pub(crate) async fn restore_rest<E: Record>(
        &mut self,
        roots: &[Marked],
    ) -> Result<(), RestRefused<E>> {
        let register = self.register.clone();
        let deletions: Vec<Uuid> = roots.iter().map(|(_, deletion)| *deletion).collect();
        let mut back: Vec<(&RecordInfo, Vec<Marked>)> = Vec::new();
        let mut count = roots.len() as u64;
        for info in register.reach(E::default().table_name()) {
            let mut rows = self
                .restore_table(info, &deletions, count)
                .await
                .map_err(whole)?;
            count += rows.len() as u64;
            if count > MAX_DELETION {
                return Err(whole(Refused::TooMany));
            }
            if info.table == E::default().table_name() {
                rows.extend(roots);
            }
            back.push((info, rows));
        }
        for (info, rows) in &back {
            for parent in &info.parents {
                if parent.on_delete != OnDelete::Leave {
                    self.refuse_under_deleted::<E>(info, parent, rows).await?;
                }
            }
        }
        self.close_deletions(&deletions, deletion_entity::Column::RestoredAt)
            .await
            .map_err(whole)
    }

    async fn purge_rest<E: Record>(
        &mut self,
        deletion: Uuid,
        cutoff: DateTime<Utc>,
    ) -> Result<(), Refused<E>> {
        let register = self.register.clone();
        self.open_gate("purge").await?;
        for info in register.reach(E::default().table_name()).into_iter().rev() {
            self.purge_table::<E>(info, deletion, cutoff).await?;
        }
        self.shut_gate().await?;
        self.close_deletions(&[deletion], deletion_entity::Column::PurgedAt)
            .await?;
        Ok(())
    }

    /// Marks the live children of deleted rows, and theirs, as taken by the deletions of their
    /// parents. It ends on cycles, since only live rows are taken. Returns all rows of the
    /// deletions.
    async fn take_along<E: Record>(
        &mut self,
        table: &'static str,
        roots: Vec<Marked>,
    ) -> Result<Taken, Refused<E>> {
        let register = self.register.clone();
        let mut count = roots.len() as u64;
        let mut taken: Taken = vec![(table, roots)];
        let mut next = 0;
        while let Some((table, parents)) = taken.get(next).cloned() {
            next += 1;
            for child in register.children(table) {
                if child.parent.on_delete != OnDelete::TakeAlong {
                    continue;
                }
                for chunk in parents.chunks(dialect::KEY_CHUNK) {
                    let children = self
                        .mark_children(child.info, child.parent, chunk, count)
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
        parents: &[Marked],
        so_far: u64,
    ) -> Result<Vec<Marked>, Fault> {
        let deletions: HashMap<Uuid, Uuid> = parents.iter().copied().collect();
        let ids: Vec<Uuid> = parents.iter().map(|(id, _)| *id).collect();
        let conn = self.conn();
        let condition = dialect::is_any_of(conn.backend(), Expr::col(parent.column), &ids)
            .and(Expr::col("deleted_at").is_null());
        let limit = (MAX_DELETION + 1).saturating_sub(so_far);
        let found = self
            .lock_marked(info, Scope::Live, condition, parent.column, limit)
            .await?;
        let rows: Vec<(Marked, i32)> = found
            .into_iter()
            .filter_map(|((id, parent), version)| {
                deletions
                    .get(&parent)
                    .map(|deletion| ((id, *deletion), version))
            })
            .collect();
        self.mark(info, &rows, Action::Delete).await?;
        Ok(rows.into_iter().map(|(marked, _)| marked).collect())
    }

    /// Brings back the rows of one table that `deletions` took.
    async fn restore_table(
        &mut self,
        info: &RecordInfo,
        deletions: &[Uuid],
        so_far: u64,
    ) -> Result<Vec<Marked>, Fault> {
        let backend = self.conn().backend();
        let condition = dialect::is_any_of(backend, Expr::col("deletion_id"), deletions);
        let limit = (MAX_DELETION + 1).saturating_sub(so_far);
        let rows = self
            .lock_marked(info, Scope::OnlyDeleted, condition, "deletion_id", limit)
            .await?;
        self.mark(info, &rows, Action::Restore).await?;
        Ok(rows.into_iter().map(|(marked, _)| marked).collect())
    }

    /// Locks the rows of one table that meet `condition`. Returns their ids, what `column` holds,
    /// and their versions.
    async fn lock_marked(
        &mut self,
        info: &RecordInfo,
        scope: Scope,
        condition: Expr,
        column: &'static str,
        limit: u64,
    ) -> Result<Vec<(Marked, i32)>, Fault> {
        let conn = self.conn();
        let mut select = Query::select();
        select
            .column("id")
            .column("lock_version")
            .expr_as(Expr::col(column), "of")
            .from(info.table)
            .and_where(condition)
            .order_by("id", sea_orm::Order::Asc)
            .limit(limit);
        dialect::lock_for_change(conn.backend(), &mut select);
        let note = Note::scope(info.table, scope);
        let rows = conn.all(&select, &[note]).await?;
        rows.iter()
            .map(|row| {
                let marked = (get(row, "id")?, get(row, "of")?);
                Ok((marked, get(row, "lock_version")?))
            })
            .collect()
    }

    /// Marks rows that are locked as deleted, or as live again, and raises their versions.
    async fn mark(
        &mut self,
        info: &RecordInfo,
        rows: &[(Marked, i32)],
        action: Action,
    ) -> Result<(), Fault> {
        let conn = self.conn();
        let backend = conn.backend();
        let now = self.now();
        let one = rows.first().map(|((_, deletion), _)| *deletion);
        let same = rows.iter().all(|((_, this), _)| Some(*this) == one);
        let most = match action {
            Action::Delete if !same => dialect::LOOKUP_CHUNK,
            _ => dialect::KEY_CHUNK,
        };
        for chunk in rows.chunks(most) {
            let pairs: Vec<Marked> = chunk.iter().map(|(marked, _)| *marked).collect();
            let ids: Vec<Uuid> = pairs.iter().map(|(id, _)| *id).collect();
            let (deleted_at, deletion_id) = match action {
                Action::Delete if same => (Some(now), Expr::val(one)),
                Action::Delete => {
                    let deletion = dialect::looked_up(backend, Expr::col("id"), &pairs);
                    (Some(now), deletion)
                }
                _ => (None, Expr::val(None::<Uuid>)),
            };
            let mut update = Query::update();
            update
                .table(info.table)
                .value("lock_version", Expr::col("lock_version").add(1))
                .value("updated_at", now)
                .value("deleted_at", deleted_at)
                .value("deletion_id", deletion_id)
                .and_where(dialect::is_any_of(backend, Expr::col("id"), &ids));
            conn.execute(&update, &[Note::new(info.table, MadeFor::Locked)])
                .await?;
        }
        self.entries
            .extend(rows.iter().map(|((id, deletion), version)| Entry {
                action,
                record_type: info.record_type,
                record_id: *id,
                from: Some(*version),
                to: Some(version.wrapping_add(1)),
                changes: Changed::deletion(action, *deletion),
            }));
        Ok(())
    }

    /// Refuses if a live record refers to one of the deleted rows by a relation that refuses.
    async fn refuse_if_referenced<E: Record>(
        &mut self,
        taken: &Taken,
    ) -> Result<(), RestRefused<E>> {
        let register = self.register.clone();
        let conn = self.conn();
        for (table, rows) in taken {
            for child in register.children(table) {
                if child.parent.on_delete != OnDelete::Refuse {
                    continue;
                }
                for chunk in rows.chunks(dialect::KEY_CHUNK) {
                    let ids: Vec<Uuid> = chunk.iter().map(|(id, _)| *id).collect();
                    let column = Expr::col(child.parent.column);
                    let mut select = Query::select();
                    select
                        .column("id")
                        .expr_as(column.clone(), "of")
                        .from(child.info.table)
                        .and_where(dialect::is_any_of(conn.backend(), column, &ids))
                        .and_where(Expr::col("deleted_at").is_null())
                        .order_by("id", sea_orm::Order::Asc)
                        .limit(5);
                    let note = Note::scope(child.info.table, Scope::Live);
                    let found = conn.all(&select, &[note]).await.map_err(whole)?;
                    let found: Vec<(Uuid, Uuid)> = found
                        .iter()
                        .map(|row| Ok((get(row, "id")?, get(row, "of")?)))
                        .collect::<Result<_, Fault>>()
                        .map_err(whole)?;
                    if let Some((_, parent)) = found.first() {
                        let refused = Refused::StillReferenced {
                            record_type: child.info.record_type,
                            ids: found.iter().map(|(id, _)| *id).collect(),
                        };
                        let of = chunk.iter().find(|(id, _)| id == parent);
                        return Err((refused, of.map(|(_, deletion)| *deletion)));
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
        rows: &[Marked],
    ) -> Result<(), RestRefused<E>> {
        let register = self.register.clone();
        let Some(parent_info) = register.table(parent.table) else {
            return Ok(());
        };
        for chunk in rows.chunks(dialect::KEY_CHUNK) {
            let ids: Vec<Uuid> = chunk.iter().map(|(id, _)| *id).collect();
            let gone = self
                .deleted_parent(info, parent, &ids)
                .await
                .map_err(whole)?;
            if let Some(gone) = gone {
                let child = self
                    .child_of(info, parent, gone, &ids)
                    .await
                    .map_err(whole)?;
                let refused = Refused::ParentDeleted(RecordRef {
                    record_type: parent_info.record_type,
                    id: gone,
                });
                let of = chunk.iter().find(|(id, _)| Some(*id) == child);
                return Err((refused, of.map(|(_, deletion)| *deletion)));
            }
        }
        Ok(())
    }

    /// A deleted parent of one of these rows, if there is any. All their parents are kept as
    /// they are until the transaction ends.
    async fn deleted_parent(
        &mut self,
        info: &RecordInfo,
        parent: &Parent,
        ids: &[Uuid],
    ) -> Result<Option<Uuid>, Fault> {
        let conn = self.conn();
        let children = Query::select()
            .column(parent.column)
            .from(info.table)
            .and_where(dialect::is_any_of(conn.backend(), Expr::col("id"), ids))
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
            let gone =
                get::<bool>(&row, "gone").or_else(|_| get::<i64>(&row, "gone").map(|n| n != 0))?;
            if gone {
                return Ok(Some(get(&row, "id")?));
            }
        }
        Ok(None)
    }

    /// The first of these rows that belongs to `parent_id`.
    async fn child_of(
        &mut self,
        info: &RecordInfo,
        parent: &Parent,
        parent_id: Uuid,
        ids: &[Uuid],
    ) -> Result<Option<Uuid>, Fault> {
        let conn = self.conn();
        let select = Query::select()
            .column("id")
            .from(info.table)
            .and_where(dialect::is_any_of(conn.backend(), Expr::col("id"), ids))
            .and_where(Expr::col(parent.column).eq(parent_id))
            .order_by("id", sea_orm::Order::Asc)
            .limit(1)
            .take();
        let note = Note::new(info.table, MadeFor::Locked);
        let row = conn.one(&select, &[note]).await?;
        row.map(|row| get(&row, "id")).transpose()
    }

    /// Removes the rows of one table that `deletion` took, children before their parents.
    async fn purge_table<E: Record>(
        &mut self,
        info: &RecordInfo,
        deletion: Uuid,
        cutoff: DateTime<Utc>,
    ) -> Result<(), Refused<E>> {
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
        self.cut_links_to::<E>(info, &ids, deletion).await?;
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
                let note = Note::new(info.table, MadeFor::Purge);
                let removed = conn.execute(&remove, &[note]).await?;
                if removed != chunk.len() as u64 {
                    // They are locked and were looked at: what is told is what is done.
                    return Err(Fault::internal("locked rows were not removed").into());
                }
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

    /// Tells the owners that link to rows which are about to be purged, whether they are live or
    /// deleted: the links go for good, which is a change of theirs. Owners that the same
    /// deletion took are left out; what went before them had their links removed.
    async fn cut_links_to<E: Record>(
        &mut self,
        info: &RecordInfo,
        targets: &[Uuid],
        deletion: Uuid,
    ) -> Result<(), Refused<E>> {
        let register = self.register.clone();
        for link in register.links_to(info.table) {
            let mut cut: BTreeMap<Uuid, Vec<Uuid>> = BTreeMap::new();
            let mut count = 0;
            for chunk in targets.chunks(dialect::KEY_CHUNK) {
                let conn = self.conn();
                let target = Expr::col(link.target_column);
                let select = Query::select()
                    .expr_as(Expr::col(link.owner_column), "owner")
                    .expr_as(target.clone(), "target")
                    .from(link.table)
                    .and_where(dialect::is_any_of(conn.backend(), target, chunk))
                    .order_by(link.target_column, sea_orm::Order::Asc)
                    .limit(MAX_DELETION + 1 - count)
                    .take();
                let rows = conn.all(&select, &[]).await?;
                count += rows.len() as u64;
                if count > MAX_DELETION {
                    return Err(Refused::TooMany);
                }
                for row in rows {
                    let targets = cut.entry(get(&row, "owner")?).or_default();
                    targets.push(get(&row, "target")?);
                }
            }
            if let Some(owner) = register.table(link.owner_table) {
                self.tell_owners(owner, link.name, &cut, deletion).await?;
            }
        }
        Ok(())
    }

    /// Raises the versions of records that are about to lose links, and notes which.
    async fn tell_owners(
        &mut self,
        info: &RecordInfo,
        name: &'static str,
        cut: &BTreeMap<Uuid, Vec<Uuid>>,
        deletion: Uuid,
    ) -> Result<(), Fault> {
        let owners: Vec<Uuid> = cut.keys().copied().collect();
        let now = self.now();
        for chunk in owners.chunks(dialect::KEY_CHUNK) {
            let conn = self.conn();
            let others = Expr::col("deletion_id")
                .is_null()
                .or(Expr::col("deletion_id").ne(deletion));
            let condition = dialect::is_any_of(conn.backend(), Expr::col("id"), chunk).and(others);
            let scope = Scope::WithDeleted;
            let rows = locked_versions(conn, info.table, scope, condition, MAX_DELETION).await?;
            if rows.is_empty() {
                continue;
            }
            let ids: Vec<Uuid> = rows.iter().map(|(id, _)| *id).collect();
            let mut update = Query::update();
            update
                .table(info.table)
                .value("lock_version", Expr::col("lock_version").add(1))
                .value("updated_at", now)
                .and_where(dialect::is_any_of(conn.backend(), Expr::col("id"), &ids));
            conn.execute(&update, &[Note::new(info.table, MadeFor::Locked)])
                .await?;
            self.entries.extend(rows.iter().map(|(id, version)| {
                let mut changes = Changed::default();
                let gone = cut.get(id).map(Vec::as_slice).unwrap_or_default();
                changes.note(name, serde_json::json!(gone), serde_json::json!([]));
                Entry {
                    action: Action::Update,
                    record_type: info.record_type,
                    record_id: *id,
                    from: Some(*version),
                    to: Some(version.wrapping_add(1)),
                    changes,
                }
            }));
        }
        Ok(())
    }

    async fn close_deletions(
        &mut self,
        ids: &[Uuid],
        column: deletion_entity::Column,
    ) -> Result<(), Fault> {
        for chunk in ids.chunks(dialect::KEY_CHUNK) {
            let conn = self.conn();
            let id = Expr::col(deletion_entity::Column::Id);
            let mut update = Query::update();
            update
                .table(deletion_entity::Entity)
                .value(column, self.now())
                .value(deletion_entity::Column::UpdatedAt, self.now())
                .and_where(dialect::is_any_of(conn.backend(), id, chunk));
            conn.execute(&update, &[]).await?;
        }
        Ok(())
    }
}
