//! The tables as SeaORM entities: columns, relations, and what kind of record each is.

#![expect(
    clippy::disallowed_methods,
    reason = "SeaORM's derives define them; there is no connection to run them on"
)]

pub mod id;

pub mod account;
pub mod category;
pub mod idempotency_key;
pub mod import_source;
pub mod inventory;
pub mod login_session;
pub mod order;
pub mod order_item;
pub mod post;
pub mod post_author;
pub mod post_tag;
pub mod product;
pub mod profile;
pub mod tag;
pub mod transfer;
pub mod transfer_entry;
pub mod user;

use plimsoll_records::Register;

/// Every record type and every link table. A table with `deleted_at` that is not listed here fails a test.
pub fn register() -> Register {
    Register::new()
        .with::<user::Entity>()
        .with::<profile::Entity>()
        .with::<category::Entity>()
        .with::<tag::Entity>()
        .with::<post::Entity>()
        .with::<product::Entity>()
        .with::<inventory::Entity>()
        .with::<account::Entity>()
        .with::<order::Entity>()
        .with_link::<post_tag::Entity>()
        .with_link::<post_author::Entity>()
}
