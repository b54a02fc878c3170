//! Records are changed through a row that was locked, with the version that its editor saw.

use library::{book, scan};
use plimsoll_records::{
    Locked, Read, Retention, Rows, Tx, Version, audit_entity,
    sea_orm::{ActiveModelTrait, ColumnTrait, Condition, EntityTrait, ModelTrait, Value},
};

pub async fn seaorm_inserts_nothing(tx: &mut Tx, row: book::ActiveModel) {
    #[cfg(refused)]
    let _ = row.insert(tx).await; //~ E0277 Tx ConnectionTrait
    #[cfg(not(refused))]
    let _ = tx.create::<book::Entity>(row).await;
}

pub async fn seaorm_updates_nothing(
    tx: &mut Tx,
    locked: Locked<book::Entity>,
    seen: Version,
    changes: book::ActiveModel,
) {
    #[cfg(refused)]
    let _ = changes.update(tx).await; //~ E0277 Tx ConnectionTrait
    #[cfg(not(refused))]
    let _ = locked.update(tx, seen, changes).await;
}

pub async fn seaorm_updates_not_many(
    tx: &mut Tx,
    locked: Locked<book::Entity>,
    seen: Version,
    changes: book::ActiveModel,
) {
    #[cfg(refused)]
    let _ = book::Entity::update_many().set(changes).exec(tx).await; //~ E0277 Tx ConnectionTrait
    #[cfg(not(refused))]
    let _ = locked.update(tx, seen, changes).await;
}

pub async fn seaorm_deletes_no_model(tx: &mut Tx, locked: Locked<book::Entity>, seen: Version) {
    #[cfg(refused)]
    let _ = locked.into_model().delete(tx).await; //~ E0277 Tx ConnectionTrait
    #[cfg(not(refused))]
    let _ = locked.delete(tx, seen).await;
}

pub async fn seaorm_deletes_nothing_by_id(
    tx: &mut Tx,
    locked: Locked<book::Entity>,
    seen: Version,
) {
    #[cfg(refused)]
    let _ = book::Entity::delete_by_id(locked.id).exec(tx).await; //~ E0277 Tx ConnectionTrait
    #[cfg(not(refused))]
    let _ = locked.delete(tx, seen).await;
}

pub async fn seaorm_deletes_not_many(tx: &mut Tx) {
    #[cfg(refused)]
    let _ = book::Entity::delete_many().exec(tx).await; //~ E0277 Tx ConnectionTrait
    #[cfg(not(refused))]
    let _ = tx.delete_facts::<scan::Entity>(Condition::all()).await;
}

pub async fn a_record_is_not_deleted_as_a_fact(tx: &mut Tx) {
    #[cfg(refused)]
    let _ = tx.delete_facts::<book::Entity>(Condition::all()).await; //~ E0277 book::Entity Fact
    #[cfg(not(refused))]
    let _ = tx.delete_facts::<scan::Entity>(Condition::all()).await;
}

pub async fn a_record_is_not_changed_as_a_fact(tx: &mut Tx, title: Value) {
    #[cfg(refused)]
    let _ = tx.update_facts::<book::Entity>(Condition::all(), [(book::Column::Title, title)]); //~ E0277 book::Entity Fact
    #[cfg(not(refused))]
    let _ = tx.update_facts::<scan::Entity>(Condition::all(), [(scan::Column::BookId, title)]);
}

pub async fn a_record_is_not_added_as_a_fact(tx: &mut Tx, book: book::ActiveModel) {
    #[cfg(refused)]
    let _ = tx.insert_facts::<book::Entity>(vec![book]).await; //~ E0277 book::Entity Fact
    #[cfg(not(refused))]
    let _ = tx.create_many::<book::Entity>(vec![book]).await;
}

pub async fn the_audit_log_is_read_and_not_written(tx: &mut Tx, some: Condition) {
    #[cfg(refused)]
    let _ = tx.delete_facts::<audit_entity::Entity>(some).await; //~ E0277 audit_entity::Entity Fact
    #[cfg(not(refused))]
    let _ = Rows::<audit_entity::Entity>::live()
        .filter(some)
        .count(tx)
        .await;
}

pub async fn an_update_names_the_version_that_was_seen(
    tx: &mut Tx,
    locked: Locked<book::Entity>,
    seen: Version,
    changes: book::ActiveModel,
) {
    #[cfg(refused)]
    let _ = locked.update(tx, changes).await; //~ E0061
    #[cfg(not(refused))]
    let _ = locked.update(tx, seen, changes).await;
}

pub async fn a_version_is_not_any_number(tx: &mut Tx, locked: Locked<book::Entity>, seen: i32) {
    #[cfg(refused)]
    let _ = locked.delete(tx, seen).await; //~ E0308
    #[cfg(not(refused))]
    let _ = locked.delete(tx, Version(seen)).await;
}

pub async fn a_row_that_was_only_read_is_not_changed(
    tx: &mut Tx,
    book: book::Model,
    seen: Version,
    changes: book::ActiveModel,
) {
    #[cfg(refused)]
    let _ = book.update(tx, seen, changes).await; //~ E0599 update book::Model
    #[cfg(not(refused))]
    {
        let rows = Rows::<book::Entity>::live().filter(book::Column::Id.eq(book.id));
        if let Ok(Some(locked)) = rows.lock(tx).await {
            let _ = locked.update(tx, seen, changes).await;
        }
    }
}

pub async fn nothing_is_locked_for_a_reader(read: &mut Read, tx: &mut Tx) {
    #[cfg(refused)]
    let _ = Rows::<book::Entity>::live().lock(read).await; //~ E0308
    #[cfg(not(refused))]
    let _ = Rows::<book::Entity>::live().lock(tx).await;
}

pub async fn a_purge_names_the_retention(
    tx: &mut Tx,
    locked: Locked<book::Entity>,
    seen: Version,
    retention: Retention,
) {
    #[cfg(refused)]
    let _ = locked.purge(tx, seen).await; //~ E0061
    #[cfg(not(refused))]
    let _ = locked.purge(tx, seen, retention).await;
}
