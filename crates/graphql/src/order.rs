//! Orders.

use plimsoll_domain as domain;

use crate::record::record_fields;

record_fields! {
    #[async_graphql::Object]
    /// Goods for money.
    Order(domain::order::Order) {}
}
