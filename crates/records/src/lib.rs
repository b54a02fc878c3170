//! One way to read and to write the records of a SeaORM project: soft delete, optimistic
//! locking, audit, pages, batches and transactions, on SQLite, PostgreSQL and MariaDB/MySQL.
//!
//! A [`Database`] owns the connections. What it hands out, [`Read`] and [`Tx`], are not
//! SeaORM's `ConnectionTrait`: plain SeaORM calls have nothing to run on, so a filter for
//! deleted rows or a version check cannot be forgotten.
//!
//! - Reads start at [`Rows`]: [`Rows::live`] unless a wider [`Scope`] is named.
//! - Writes need a [`Tx`], which [`Database::write`] opens, commits or rolls back in one place.
//!   A record is changed through a [`Locked`] row and the [`Version`] its editor saw.
//! - Every change leaves a row in the audit log, in the same transaction.
//!
//! An entity joins with one declaration, [`record!`], and an entry in the [`Register`].

mod audit;
mod change;
mod database;
mod deletion;
mod dialect;
mod fault;
mod link;
mod note;
mod page;
mod record;
mod removal;
mod rows;

pub use audit::{Action, entity as audit_entity};
pub use change::{Locked, MAX_DELETION, Refused, Version};
pub use database::{Database, Observer, Options, Read, Reader, Statement, Tx, Writer};
pub use deletion::{Deletion, RecordRef, Retention, entity as deletion_entity};
pub use fault::{Fault, Timing};
pub use link::{Link, links_to};
pub use note::{MadeFor, Note};
pub use page::{
    BadPage, DEFAULT_PAGE, Direction, MAX_PAGE, Order, Page, PageArguments, PageRequest,
};
pub use record::{
    Deferred, Dependent, Fact, OnDelete, Parent, Record, RecordInfo, Register, Table,
};
pub use rows::{Rows, Scope, Via};

#[doc(hidden)]
pub use sea_orm;
