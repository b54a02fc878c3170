//! Products: what the shop sells, and how much of it there is.

use std::collections::HashMap;

use plimsoll_entity::product;
use plimsoll_records::Rows;
use uuid::Uuid;

use crate::{Read, Result, Scope, Viewer, access::scoped, policy::Subject};

pub mod inventory;

/// A product.
pub type Product = product::Model;

fn visible(viewer: &Viewer, scope: Scope) -> Rows<product::Entity> {
    scoped(viewer, Subject::Product, scope)
}

/// Those of the products that the viewer sees, by id.
///
/// # Errors
///
/// Whatever keeps the database from answering, as for every read.
pub async fn by_ids(
    read: &Read,
    viewer: &Viewer,
    scope: Scope,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, Product>> {
    Ok(visible(viewer, scope).by_ids(ids, read).await?)
}
