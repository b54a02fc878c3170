//! What keeps a deletion from being purged.

use sea_orm::sea_query::{Condition, Expr, ExprTrait, Query};
use uuid::Uuid;

use crate::{Database, Fault, Note, RecordRef, Scope, database::sealed::Connected as _, rows::get};

/// How many records of each relation are named.
const FEW: u64 = 5;

impl Database {
    /// Records that refer to one that the deletion with this id took, and that did not go along:
    /// live ones, and those that another deletion took. While there are any, the database refuses
    /// to purge it. The first five of each relation, in the order of their ids.
    ///
    /// # Errors
    ///
    /// The [`Fault`] of the statement.
    pub async fn referrers(&self, deletion: Uuid) -> Result<Vec<RecordRef>, Fault> {
        let read = self.read();
        let mut found = Vec::new();
        for info in self.register().records() {
            for parent in &info.parents {
                let taken = Query::select()
                    .column("id")
                    .from(parent.table)
                    .and_where(Expr::col("deletion_id").eq(deletion))
                    .take();
                let mut select = Query::select();
                select
                    .column("id")
                    .from(info.table)
                    .and_where(Expr::col(parent.column).in_subquery(taken))
                    .cond_where(
                        Condition::any()
                            .add(Expr::col("deletion_id").is_null())
                            .add(Expr::col("deletion_id").ne(deletion)),
                    )
                    .order_by("id", sea_orm::Order::Asc)
                    .limit(FEW);
                let notes = [
                    Note::scope(info.table, Scope::WithDeleted),
                    Note::scope(parent.table, Scope::OnlyDeleted),
                ];
                for row in read.conn().all(&select, &notes).await? {
                    found.push(RecordRef {
                        record_type: info.record_type,
                        id: get(&row, "id")?,
                    });
                }
            }
        }
        Ok(found)
    }
}
