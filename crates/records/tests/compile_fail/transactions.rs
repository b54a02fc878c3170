//! A transaction begins, ends and speaks SQL in one place, which is not the caller's.

use library::book;
use plimsoll_records::{
    Database, Fault, Read, Reader, Rows, Tx, Writer,
    sea_orm::{ConnectionTrait, TransactionTrait},
};

pub async fn nobody_begins_one(database: &Database, writer: Writer) {
    #[cfg(refused)]
    let _ = TransactionTrait::begin(database).await; //~ E0277 Database TransactionTrait
    #[cfg(not(refused))]
    let _: Result<(), Fault> = database.write(writer, |_| Box::pin(async { Ok(()) })).await;
}

pub async fn nobody_commits_one(database: &Database, writer: Writer) {
    let _: Result<(), Fault> = database
        .write(writer, |tx| {
            Box::pin(async move {
                #[cfg(refused)]
                return tx.commit().await; //~ E0599 commit Tx
                #[cfg(not(refused))]
                return Ok(());
            })
        })
        .await;
}

pub async fn nobody_rolls_one_back(database: &Database, writer: Writer) {
    let _: Result<(), Fault> = database
        .write(writer, |tx| {
            Box::pin(async move {
                #[cfg(refused)]
                return tx.rollback().await; //~ E0599 rollback Tx
                #[cfg(not(refused))]
                return Err(Fault::ReadOnly);
            })
        })
        .await;
}

pub async fn nobody_takes_the_connection_out(tx: &mut Tx) {
    #[cfg(refused)]
    let _ = tx.conn(); //~ E0599 conn Tx
    #[cfg(not(refused))]
    let _ = Rows::<book::Entity>::live().count(tx).await;
}

pub async fn a_read_runs_no_text(read: &Read) {
    #[cfg(refused)]
    let _ = read.execute_unprepared("DELETE FROM books").await; //~ E0599 execute_unprepared Read
    #[cfg(not(refused))]
    let _ = Rows::<book::Entity>::live().count(read).await;
}

pub async fn a_transaction_runs_no_text(tx: &mut Tx, database: &Database) {
    #[cfg(refused)]
    let _ = tx.execute_unprepared("DELETE FROM books").await; //~ E0599 execute_unprepared Tx
    #[cfg(not(refused))]
    let _ = database
        .unguarded("why")
        .execute_unprepared("ANALYZE")
        .await;
}

pub struct Mine;

/// What reads is a `Read` or a `Tx`, and nothing that somebody else makes.
#[cfg(refused)]
impl Reader for Mine {} //~ E0277 Mine Connected

pub async fn a_read_reads(read: &Read) {
    let _ = Rows::<book::Entity>::live().count(read).await;
}
