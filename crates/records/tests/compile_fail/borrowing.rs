//! A transaction is not used after its work, nor a locked row after its change.

use library::book;
use plimsoll_records::{Database, Fault, Locked, Rows, Tx, Version, Writer};

pub async fn a_transaction_does_not_outlive_its_work(database: &Database, writer: Writer) {
    let _: Result<u64, Fault> = database
        .write(writer, |tx| {
            #[cfg(refused)]
            let _ = std::thread::spawn(move || tx.now()); //~ E0521 escapes
            #[cfg(not(refused))]
            let _ = tx.now();
            Box::pin(async { Ok(0) })
        })
        .await;
}

pub async fn a_locked_row_is_changed_once(
    tx: &mut Tx,
    locked: Locked<book::Entity>,
    again: Locked<book::Entity>,
    seen: Version,
) {
    let _ = locked.delete(tx, seen).await;
    #[cfg(refused)]
    let _ = locked.delete(tx, seen).await; //~ E0382 locked moved
    #[cfg(not(refused))]
    let _ = again.delete(tx, seen).await;
}

pub fn a_locked_row_is_not_assigned_to(mut locked: Locked<book::Entity>, title: String) {
    #[cfg(refused)]
    let () = locked.title = title; //~ E0594 dereference Locked
    #[cfg(not(refused))]
    let _ = locked.title == title;
}
