//! The stock of products.

use std::collections::HashMap;

use plimsoll_entity::inventory;
use plimsoll_records::Rows;
use uuid::Uuid;

use crate::{Read, Result, Scope, Viewer, access::scoped, policy::Subject};

/// The stock of a product.
pub type Inventory = inventory::Model;

fn visible(viewer: &Viewer, scope: Scope) -> Rows<inventory::Entity> {
    scoped(viewer, Subject::Inventory, scope)
}

/// Those of the inventories that the viewer sees, by id.
///
/// # Errors
///
/// Whatever keeps the database from answering, as for every read.
pub async fn by_ids(
    read: &Read,
    viewer: &Viewer,
    scope: Scope,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Inventory>> {
    Ok(visible(viewer, scope).by_ids(ids, read).await?)
}
