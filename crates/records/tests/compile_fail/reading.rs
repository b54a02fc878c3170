//! Reads name a scope, and need a table that was declared.

use library::{author, book, undeclared};
use plimsoll_records::{
    Read, Rows, Tx,
    sea_orm::{ColumnTrait, EntityTrait, ModelTrait, PaginatorTrait},
};

pub async fn seaorm_finds_nothing_on_a_read(read: &Read) {
    #[cfg(refused)]
    let _ = book::Entity::find().all(read).await; //~ E0277 Read ConnectionTrait
    #[cfg(not(refused))]
    let _ = Rows::<book::Entity>::live().all(20, read).await;
}

pub async fn seaorm_finds_nothing_on_a_transaction(tx: &mut Tx) {
    #[cfg(refused)]
    let _ = book::Entity::find().one(tx).await; //~ E0277 Tx ConnectionTrait
    #[cfg(not(refused))]
    let _ = Rows::<book::Entity>::live().one(tx).await;
}

pub async fn seaorm_counts_nothing(read: &Read) {
    #[cfg(refused)]
    let _ = book::Entity::find().count(read).await; //~ E0277 Read ConnectionTrait
    #[cfg(not(refused))]
    let _ = Rows::<book::Entity>::live().count(read).await;
}

pub async fn a_relation_is_followed_by_nothing_that_forgets_the_scope(
    author: author::Model,
    read: &Read,
) {
    #[cfg(refused)]
    let _ = author.find_related(book::Entity).all(read).await; //~ E0277 Read ConnectionTrait
    #[cfg(not(refused))]
    let _ = Rows::<book::Entity>::live()
        .filter(book::Column::AuthorId.eq(author.id))
        .all(20, read)
        .await;
}

pub async fn the_entity_loader_loads_nothing(read: &Read) {
    #[cfg(refused)]
    let _ = author::Entity::load().with(book::Entity).all(read).await; //~ E0277 Read ConnectionTrait
    #[cfg(not(refused))]
    let _ = Rows::<author::Entity>::live().all(20, read).await;
}

pub fn a_table_that_was_not_declared_has_no_rows() {
    #[cfg(refused)]
    fn count(_: Rows<undeclared::Entity>) {} //~ E0277 undeclared::Entity Record
    #[cfg(not(refused))]
    fn count(_: Rows<author::Entity>, _: undeclared::Entity) {}
}

pub fn a_heavy_column_is_not_mistaken_for_one_that_was_read(book: book::Model) -> Option<usize> {
    #[cfg(refused)]
    return Some(book.summary.len()); //~ E0599 len Deferred
    #[cfg(not(refused))]
    return book.summary.get().map(String::len);
}
