//! What every aggregate does alike: which rows a scope shows to whom, and locking the one that
//! a mutation names.

use plimsoll_records::{Locked, Record, Rows, Scope, Tx};
use sea_orm::{ColumnTrait, sea_query::Expr};
use uuid::Uuid;

use crate::{
    Error, Result, Viewer,
    policy::{Act, Relation, Subject, may},
};

/// The rows of `scope`, for records whose live rows everybody sees. Deleted ones are seen by
/// those who may see any; for everybody else there are none.
pub(crate) fn scoped<E: Record>(viewer: &Viewer, subject: Subject, scope: Scope) -> Rows<E> {
    if may(viewer, subject, Act::SeeDeleted, Relation::NONE) {
        return Rows::scoped(scope);
    }
    match scope {
        Scope::Live | Scope::WithDeleted => Rows::live(),
        Scope::OnlyDeleted => Rows::only_deleted().filter(nothing()),
    }
}

/// A condition that no row meets.
pub(crate) fn nothing() -> Expr {
    Expr::cust("1 = 0")
}

/// That a column holds one of `ids`. Lists of similar lengths make one statement: they are filled
/// up to a power of two with their last.
pub(crate) fn among(column: impl ColumnTrait, ids: &[Uuid]) -> Expr {
    let full = ids.len().next_power_of_two();
    let last = ids.last().copied();
    column.is_in(
        ids.iter()
            .copied()
            .chain(last.into_iter().cycle())
            .take(full),
    )
}

/// The row that a mutation names, locked.
pub(crate) async fn lock<E: Record>(
    tx: &mut Tx,
    rows: Rows<E>,
    id: impl Into<Uuid>,
) -> Result<Locked<E>> {
    let id: Uuid = id.into();
    rows.filter(E::ID.eq(id))
        .lock(tx)
        .await?
        .ok_or_else(Error::not_found)
}

/// The deleted row that a restoration or a purge names, locked. `visible` makes the rows that
/// the viewer sees in a scope, and `allowed` refuses who may not do it to a row.
pub(crate) async fn lock_deleted<E: Record>(
    tx: &mut Tx,
    visible: impl Fn(Scope) -> Rows<E>,
    id: impl Into<Uuid>,
    allowed: impl Fn(&E::Model) -> Result<()>,
) -> Result<Locked<E>> {
    let id: Uuid = id.into();
    let this = |scope| visible(scope).filter(E::ID.eq(id));
    if let Some(deleted) = this(Scope::OnlyDeleted).lock(tx).await? {
        allowed(&deleted)?;
        return Ok(deleted);
    }
    if let Some(live) = this(Scope::Live).one(tx).await? {
        allowed(&live)?;
        return Err(Error::invalid("id", "It is not deleted."));
    }
    Err(Error::not_found())
}
