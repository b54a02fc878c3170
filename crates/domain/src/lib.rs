//! What the business does: one module an aggregate, with its rules, who may do what, and every
//! query. Built on `plimsoll-records`; what talks to the outside is built on this.

mod access;
pub mod account;
pub mod bulk;
pub mod category;
pub mod deletion;
pub mod demo;
pub mod error;
pub mod idempotency;
pub mod import;
pub mod money;
pub mod order;
pub mod password;
pub mod policy;
pub mod post;
pub mod product;
pub mod profile;
pub mod record;
pub mod seed;
mod selection;
pub mod session;
pub mod store;
pub mod tag;
pub mod text;
pub mod transfer;
pub mod user;
pub mod viewer;

pub use error::{Error, Invalid, Result};
pub use money::Money;
pub use plimsoll_entity::id;
pub use plimsoll_records::{
    BadPage, Columns, Cursor, DEFAULT_PAGE, Deletion, Direction, Ends, Fault, MAX_PAGE, OnConflict,
    Options, Page, PageArguments, Read, Readable, Retention, Scope, Seen, Statement, Table, Timing,
    Tx, Version, View, Whole,
};
pub use record::{AnyRecord, RecordKind};
pub use store::{Settings, Store};
pub use viewer::{Request, Role, Viewer};

/// What a [`View`] is of.
pub trait Viewed {
    /// The type of its id.
    type Id: From<uuid::Uuid>;
}

impl<E: plimsoll_records::Record> Viewed for View<E> {
    type Id = E::Id;
}

/// A change to one field of a record.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// The field stays as it is.
    #[default]
    Keep,
    /// The field is emptied.
    Clear,
    /// The field gets a value.
    Set(T),
}
