//! Accounts and transfers.

use plimsoll_domain as domain;

use crate::record::record_fields;

record_fields! {
    #[async_graphql::Object]
    /// What a user has in one currency.
    Account(domain::account::Account) {}
}
