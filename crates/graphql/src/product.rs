//! Products and their stock.

use plimsoll_domain as domain;

use crate::record::record_fields;

record_fields! {
    #[async_graphql::Object]
    /// What the shop sells.
    Product(domain::product::Product) {}
}

record_fields! {
    #[async_graphql::Object]
    /// How much of a product there is.
    Inventory(domain::product::inventory::Inventory) {}
}
