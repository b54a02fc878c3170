//! One way to read and to write the records of a SeaORM project: soft delete, optimistic
//! locking, audit, pages, batches and transactions, on SQLite, PostgreSQL and MariaDB/MySQL.
//!
//! A [`Database`] owns the connections. What it hands out, [`Read`] and [`Tx`], are not
//! SeaORM's `ConnectionTrait`: plain SeaORM calls have nothing to run on, so a filter for
//! deleted rows or a version check cannot be forgotten.
//!
//! | to | there is |
//! |---|---|
//! | declare a table | [`record!`], [`link!`], [`fact!`], and an entry in the [`Register`] |
//! | read | [`Rows`]: [`Rows::live`] unless a wider [`Scope`] is named |
//! | read some columns alone | [`Columns`], and [`View`]s of the rows |
//! | read a list by pages | [`PageRequest`] with an [`Order`], [`Rows::page`] |
//! | begin, commit, roll back | [`Database::write`], in one place |
//! | have what is passing tried again | [`Retry`], in the [`Options`] |
//! | read what no lock can hold | [`Isolation::Serializable`], of a [`Writer`] |
//! | add | [`Tx::create`], [`Tx::upsert`], under a parent that [`Tx::hold_live`] keeps |
//! | add or change many by their keys | [`Tx::upsert_many`] |
//! | read what must not change until the commit | [`Rows::hold`] |
//! | change, delete, restore, purge | a [`Locked`] row and the [`Version`] its editor saw |
//! | change many at once | a [`Batch`]: all alike, or [each its own way](Batch::update_each) |
//! | let the database compute | an [`Adjustment`] |
//! | know what went wrong | [`Refused`] by a rule, [`Fault`] by the database |
//! | get past all this | [`Database::unguarded`] |
//!
//! Every change leaves a row in the [audit log](audit_entity), in the same transaction.
//!
//! The crate's README is a start in five minutes, with what each guarantee costs and what a
//! database needs; `examples/library` shows everything on tables that are not Plimsoll's. Both
//! run as they stand.
//!
//! # Which rows
//!
//! Reading a deleted row takes a word, and so does a link to one:
//!
//! ```
//! # mod library {
//! #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/library.rs"));
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
//! # let library::Stocked { database, author, .. } = library::stocked().await?;
//! use chrono::Utc;
//! use library::{author, book};
//! use plimsoll_records::{Refused, Rows, Version, Writer};
//! use sea_orm::ColumnTrait;
//!
//! let deleted = database.write(Writer::system(Utc::now()), move |tx| {
//!     Box::pin(async move {
//!         let rows = Rows::<author::Entity>::live().filter(author::Column::Id.eq(author.id));
//!         match rows.lock(tx).await? {
//!             // Her books are declared to be taken along.
//!             Some(author) => author.delete(tx, Version(0)).await.map(Some),
//!             None => Ok(None),
//!         }
//!     })
//! });
//! let deleted: Result<Option<author::Model>, Refused<author::Entity>> = deleted.await;
//! assert!(deleted?.is_some());
//!
//! let read = database.read();
//! assert_eq!(Rows::<book::Entity>::live().count(&read).await?, 0);
//! assert_eq!(Rows::<book::Entity>::only_deleted().count(&read).await?, 2);
//! assert_eq!(Rows::<book::Entity>::with_deleted().count(&read).await?, 2);
//! # Ok(())
//! # }
//! ```

mod adjustment;
mod aggregate;
mod attempt;
mod audit;
mod batch;
mod beside;
mod change;
mod connection;
mod database;
mod deletion;
mod dialect;
mod fact;
mod fault;
mod form;
mod gate;
mod link;
mod note;
mod page;
mod record;
mod referrers;
mod related;
mod removal;
mod retry;
mod rows;
mod stream;
mod upsert;
mod view;

pub use adjustment::Adjustment;
pub use audit::{Action, entity as audit_entity};
pub use batch::{Batch, BatchRefused, MAX_BATCH, Outcome, Seen};
pub use beside::Beside;
pub use change::{Locked, MAX_DELETION, Refused, Version};
pub use database::{Database, Observer, Options, Read, Reader, Statement, Tx, Writer};
pub use deletion::{Deletion, RecordRef, Retention, entity as deletion_entity};
pub use fault::{CODES, Code, CodeRow, ColumnRef, Fault, Meaning, Timing};
pub use link::Link;
pub use note::{MadeFor, Note};
pub use page::{
    BadPage, Cursor, DEFAULT_PAGE, Direction, Ends, MAX_PAGE, Order, Page, PageArguments,
    PageRequest,
};
pub use record::{
    Deferred, Dependent, Fact, OnDelete, Parent, Record, RecordInfo, Register, Table,
};
pub use retry::{Counts, Isolation, Retry};
pub use rows::{Rows, Scope, Via};
pub use stream::Batches;
pub use upsert::{OnConflict, UpsertRefused, Upserted, WhenDeleted};
pub use view::{Columns, Joined, Readable, Shape, View, Whole};

#[doc(hidden)]
pub use sea_orm;

/// The program in the README is run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
