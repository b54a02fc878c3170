//! Orders: goods for money, both or neither.

use std::collections::HashMap;

use plimsoll_entity::order;
use plimsoll_records::Rows;
use sea_orm::ColumnTrait;
use uuid::Uuid;

use crate::{
    Read, Result, Scope, Viewer,
    access::nothing,
    policy::{Act, Relation, Subject, may},
};

/// An order.
pub type Order = order::Model;

/// The orders that the viewer sees: their own, and all of them for who moderates.
fn visible(viewer: &Viewer, scope: Scope) -> Rows<order::Entity> {
    let rows = Rows::scoped(scope);
    if may(viewer, Subject::Order, Act::See, Relation::NONE) {
        return rows;
    }
    match viewer.user_id() {
        Some(me) => rows.filter(order::Column::BuyerId.eq(me)),
        None => rows.filter(nothing()),
    }
}

/// Those of the orders that the viewer sees, by id.
///
/// # Errors
///
/// Whatever keeps the database from answering, as for every read.
pub async fn by_ids(
    read: &Read,
    viewer: &Viewer,
    scope: Scope,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Order>> {
    Ok(visible(viewer, scope).by_ids(ids, read).await?)
}
