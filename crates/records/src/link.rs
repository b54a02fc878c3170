//! Links: facts of their owner that join two records, in a table of their own.

use std::collections::HashMap;

use sea_orm::{
    EntityTrait, IdenStatic,
    sea_query::{Expr, ExprTrait, Query},
};
use uuid::Uuid;

use crate::{
    Fault, Locked, Note, Reader, Record, Refused, Rows, Scope, Tx, Version,
    change::Changed,
    database::sealed::Connected,
    dialect,
    rows::{get, model, table_name},
};

/// A link table: a composite key of owner and target, and a position that orders the targets.
///
/// Changing an owner's links is a change of the owner: its version rises and the audit log
/// tells it. A link to a deleted target is invisible, and back when the target is.
pub trait Link: EntityTrait {
    /// The record that the links belong to.
    type Owner: Record;
    /// The record that they point at.
    type Target: Record;

    /// The column with the owner's id.
    const OWNER: Self::Column;
    /// The column with the target's id.
    const TARGET: Self::Column;
    /// The column with the link's place among the owner's, from 0.
    const POSITION: Self::Column;
    /// What the links are called in the audit log: `tags`.
    const NAME: &'static str;
    /// How many links an owner may have.
    const MAX: usize;

    /// The table's name.
    fn table() -> &'static str {
        Self::default().table_name()
    }

    /// The name of [`OWNER`](Link::OWNER).
    fn owner_column() -> &'static str {
        Self::OWNER.as_str()
    }

    /// The name of [`TARGET`](Link::TARGET).
    fn target_column() -> &'static str {
        Self::TARGET.as_str()
    }
}

impl<E: Record> Rows<E> {
    /// Those of these rows that each of `owners` links to, in the order of the links.
    ///
    /// # Errors
    ///
    /// The [`Fault`] of the statement.
    pub async fn linked_by<L: Link<Target = E>>(
        self,
        owners: &[Uuid],
        on: &impl Reader,
    ) -> Result<HashMap<Uuid, Vec<E::Model>>, Fault> {
        let conn = on.conn();
        let notes = self.notes();
        let mut found: HashMap<Uuid, Vec<E::Model>> = HashMap::new();
        for chunk in owners.chunks(dialect::KEY_CHUNK) {
            let mut select = self.select();
            select
                .expr_as(Expr::col((L::table(), L::owner_column())), "of_owner")
                .inner_join(
                    L::table(),
                    Expr::col((L::table(), L::target_column())).equals((E::default(), E::ID)),
                )
                .and_where(dialect::is_any_of(
                    conn.backend(),
                    Expr::col((L::table(), L::owner_column())),
                    chunk,
                ))
                .order_by((L::table(), L::POSITION.as_str()), sea_orm::Order::Asc)
                .order_by((L::table(), L::target_column()), sea_orm::Order::Asc);
            for row in conn.all(&select, &notes).await? {
                let targets = found.entry(get(&row, "of_owner")?).or_default();
                // Targets that came back from a deletion can be more than may be set.
                if targets.len() < L::MAX {
                    targets.push(model::<E>(&row)?);
                }
            }
        }
        Ok(found)
    }
}

/// `id` is an owner that links to `target` by `L`; for use in a filter.
pub fn links_to<L: Link>(owner: Expr, target: Uuid) -> Expr {
    owner.in_subquery(
        Query::select()
            .column((L::table(), L::owner_column()))
            .from(L::table())
            .and_where(Expr::col((L::table(), L::target_column())).eq(target))
            .take(),
    )
}

impl<O: Record> Locked<O> {
    /// Makes `targets` the owner's links, in this order, and raises the owner's version.
    /// Links to deleted targets stay as they are. The same links as before change nothing.
    ///
    /// The targets must be live, and locked in this transaction
    /// ([`Tx::hold_live`](Tx::hold_live)).
    ///
    /// # Errors
    ///
    /// [`Refused::Conflict`] if the owner is no longer at the version that was `seen`.
    pub async fn set_links<L: Link<Owner = O>>(
        self,
        tx: &mut Tx,
        seen: Version,
        targets: &[Uuid],
    ) -> Result<O::Model, Refused<O>> {
        let owner = self.id();
        let before: Vec<Uuid> = self.live_links::<L>(tx).await?;
        if before == targets {
            return self.unchanged(tx, seen).await;
        }
        let mut changed = Changed::default();
        changed.note(
            L::NAME,
            serde_json::json!(before),
            serde_json::json!(targets),
        );
        let model = self.raise(tx, seen, changed).await?;

        let gone: Vec<Uuid> = before
            .into_iter()
            .filter(|id| !targets.contains(id))
            .collect();
        let conn = tx.conn();
        let mut remove = Query::delete();
        remove
            .from_table(L::table())
            .and_where(Expr::col(L::owner_column()).eq(owner))
            .and_where(dialect::is_any_of(
                conn.backend(),
                Expr::col(L::target_column()),
                // What stays is written again below, at its new place.
                &gone.iter().chain(targets).copied().collect::<Vec<_>>(),
            ));
        conn.execute(&remove, &[]).await?;
        tx.add_links::<L>(&[(owner, targets.to_vec())]).await?;
        Ok(model)
    }

    async fn live_links<L: Link<Owner = O>>(&self, tx: &Tx) -> Result<Vec<Uuid>, Fault> {
        let mut select = Query::select();
        select
            .expr_as(Expr::col((L::table(), L::target_column())), "target")
            .from(L::table())
            .inner_join(
                L::Target::default(),
                Expr::col((L::table(), L::target_column()))
                    .equals((L::Target::default(), <L::Target as Record>::ID)),
            )
            .and_where(Expr::col((L::table(), L::owner_column())).eq(self.id()))
            .and_where(
                Expr::col((L::Target::default(), <L::Target as Record>::DELETED_AT)).is_null(),
            )
            .order_by((L::table(), L::POSITION.as_str()), sea_orm::Order::Asc)
            .order_by((L::table(), L::target_column()), sea_orm::Order::Asc);
        let note = Note::scope(table_name::<L::Target>(), Scope::Live);
        let rows = tx.conn().all(&select, &[note]).await?;
        rows.iter().map(|row| get(row, "target")).collect()
    }
}

impl Tx {
    /// Adds the links of records that this transaction has just created: pairs of owner and
    /// targets. They are part of the creation, so no version rises.
    ///
    /// # Errors
    ///
    /// [`Fault::Reference`] if a target does not exist.
    pub async fn add_links<L: Link>(&mut self, links: &[(Uuid, Vec<Uuid>)]) -> Result<(), Fault> {
        let flat: Vec<(Uuid, usize, Uuid)> = links
            .iter()
            .flat_map(|(owner, targets)| {
                targets
                    .iter()
                    .enumerate()
                    .map(move |(at, target)| (*owner, at, *target))
            })
            .collect();
        for (owner, targets) in links.iter().filter(|(_, targets)| !targets.is_empty()) {
            let creation =
                self.entries.iter_mut().rev().find(|entry| {
                    entry.record_id == *owner && entry.action == crate::Action::Create
                });
            if let Some(creation) = creation {
                let none = serde_json::Value::Null;
                creation
                    .changes
                    .note(L::NAME, none, serde_json::json!(targets));
            }
        }
        for chunk in flat.chunks(dialect::INSERT_CHUNK) {
            let mut insert = Query::insert();
            insert.into_table(L::table()).columns([
                L::owner_column(),
                L::target_column(),
                L::POSITION.as_str(),
            ]);
            for (owner, at, target) in chunk {
                insert.values_panic([(*owner).into(), (*target).into(), position(*at)]);
            }
            self.conn().execute(&insert, &[]).await?;
        }
        Ok(())
    }
}

fn position(at: usize) -> Expr {
    // An owner has at most `Link::MAX` links.
    Expr::val(i32::try_from(at).unwrap_or(i32::MAX))
}
