//! The macros make records, links and facts of tables that are not Plimsoll's.

use chrono::{DateTime, Duration, Utc};
use plimsoll_records::{
    Locked, Record, Refused, Retention, Rows, Tx, Version, Writer, audit_entity,
};
use sea_orm::{ActiveValue::Set, ColumnTrait};
use uuid::Uuid;

use tables::{Stocked, author, book, book_subject, loan, scan, stocked};

#[expect(
    dead_code,
    unreachable_pub,
    reason = "SeaORM's derives make public items; only the documentation opens the folder"
)]
#[path = "../support/library.rs"]
mod tables;

#[tokio::test]
async fn what_takes_along_comes_back_with_its_parent_and_nothing_else_does() {
    let library = stocked().await.expect("a library");
    let (by_itself, along) = (library.books[1].id, library.books[0].id);
    delete::<book::Entity>(&library, by_itself).await.unwrap();
    delete::<author::Entity>(&library, library.author.id)
        .await
        .unwrap();
    assert!(live_books(&library).await.is_empty());

    let id = library.author.id;
    let restored = library.database.write(now(), move |tx| {
        Box::pin(async move {
            locked::<author::Entity>(id, tx)
                .await
                .restore(tx, Version(1))
                .await
        })
    });
    restored.await.unwrap();
    assert_eq!(live_books(&library).await, [along]);
}

#[tokio::test]
async fn what_refuses_names_itself_and_nothing_is_deleted() {
    let library = stocked().await.expect("a library");
    let book = library.books[0].id;
    let lent = library.database.write(now(), move |tx| {
        Box::pin(async move {
            let loan = loan::ActiveModel {
                book_id: Set(book),
                borrower: Set("Grace".into()),
                ..Default::default()
            };
            tx.create::<loan::Entity>(loan).await
        })
    });
    let loan: Result<loan::Model, plimsoll_records::Fault> = lent.await;
    let loan = loan.unwrap().id;

    // The book goes along with its author; the loan refuses that as well.
    let refused = delete::<author::Entity>(&library, library.author.id).await;
    match refused {
        Err(Refused::StillReferenced { record_type, ids }) => {
            assert_eq!((record_type, ids), ("loan", vec![loan]));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(live_books(&library).await.len(), 2);
}

#[tokio::test]
async fn links_and_facts_go_when_their_record_is_purged() {
    let library = stocked().await.expect("a library");
    let (book, subjects) = (library.books[0].id, library.subjects.clone());
    let filed = library.database.write(now(), move |tx| {
        Box::pin(async move {
            let scan = scan::ActiveModel {
                id: Set(tx.mint()),
                book_id: Set(book),
                scanned_at: Set(tx.now()),
            };
            tx.insert_facts::<scan::Entity>(vec![scan]).await?;
            let book = locked::<book::Entity>(book, tx).await;
            book.set_links::<book_subject::Entity>(tx, Version(0), &subjects)
                .await
        })
    });
    filed.await.unwrap();
    let read = library.database.read();
    assert_eq!(Rows::<scan::Entity>::live().count(&read).await, Ok(1));

    let purged = library.database.write(now(), move |tx| {
        Box::pin(async move {
            let row = locked::<book::Entity>(book, tx).await;
            row.delete(tx, Version(1)).await?;
            let row = locked::<book::Entity>(book, tx).await;
            row.purge(tx, Version(2), Retention(Duration::zero())).await
        })
    });
    purged.await.unwrap();
    assert_eq!(Rows::<scan::Entity>::live().count(&read).await, Ok(0));
    let log = Rows::<audit_entity::Entity>::live()
        .filter(audit_entity::Column::RecordId.eq(book))
        .all(9, &read)
        .await;
    let mut log = log.unwrap();
    log.sort_by_key(|entry| entry.from_version);
    let actions: Vec<&str> = log.iter().map(|entry| entry.action.as_str()).collect();
    assert_eq!(actions, ["create", "update", "delete", "purge"]);
}

fn now() -> Writer {
    Writer::system(DateTime::<Utc>::UNIX_EPOCH)
}

async fn locked<E: Record>(id: Uuid, tx: &mut Tx) -> Locked<E> {
    let rows = Rows::<E>::with_deleted().filter(E::ID.eq(id));
    let found = rows.lock(tx).await.expect("the row can be locked");
    found.expect("the row is there")
}

/// Deletes a record at its current version.
async fn delete<E: Record>(library: &Stocked, id: Uuid) -> Result<E::Model, Refused<E>> {
    let deleted = library.database.write(now(), move |tx| {
        Box::pin(async move {
            let row = locked::<E>(id, tx).await;
            let seen = row.version();
            row.delete(tx, seen).await
        })
    });
    deleted.await
}

async fn live_books(library: &Stocked) -> Vec<Uuid> {
    let read = library.database.read();
    let books = Rows::<book::Entity>::live().all(9, &read).await;
    let books = books.expect("books can be read");
    books.into_iter().map(|book| book.id).collect()
}
