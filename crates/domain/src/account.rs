//! Accounts: what a user has in one currency, and the transfers that say how it came.

use std::collections::HashMap;

use plimsoll_entity::account;
use plimsoll_records::Rows;
use sea_orm::ColumnTrait;
use uuid::Uuid;

use crate::{
    Read, Result, Scope, Viewer,
    access::nothing,
    policy::{Act, Relation, Subject, may},
};

/// An account.
pub type Account = account::Model;

/// The accounts that the viewer sees: their own, and all of them for administrators.
fn visible(viewer: &Viewer, scope: Scope) -> Rows<account::Entity> {
    let rows = Rows::scoped(scope);
    if may(viewer, Subject::Account, Act::See, Relation::NONE) {
        return rows;
    }
    match viewer.user_id() {
        Some(me) => rows.filter(account::Column::OwnerId.eq(me)),
        None => rows.filter(nothing()),
    }
}

/// Those of the accounts that the viewer sees, by id.
///
/// # Errors
///
/// Whatever keeps the database from answering, as for every read.
pub async fn by_ids(
    read: &Read,
    viewer: &Viewer,
    scope: Scope,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Account>> {
    Ok(visible(viewer, scope).by_ids(ids, read).await?)
}
