//! A small library that lends books: `cargo run -p plimsoll-records --example library`.
//!
//! It needs nothing: the database is a SQLite file in a temporary folder. `tables.rs` holds the
//! entities and `schema.sql` their tables; this file is what a program does with them.

use std::error::Error;

use chrono::{Duration, Utc};
use plimsoll_records::{
    Database, Direction, Fault, Order, PageArguments, PageRequest, Record, Refused, Retention,
    Rows, Version, Writer, audit_entity,
};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait};
use uuid::Uuid;

#[expect(unreachable_pub, reason = "SeaORM's derives make public items")]
mod tables;

use tables::{author, book, book_subject, loan, scan, subject};

/// Whatever went wrong: a `Fault`, a `Refused`, or something of this program's own.
type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Result<()> {
    let (database, _folder) = tables::open().await?;

    println!("== create");
    let (author, book, other) = stock(&database).await?;

    println!("\n== read: live rows, unless a wider scope is named");
    list(&database).await?;

    println!("\n== update: two people edit one book");
    let book = edit(&database, book).await?;

    println!("\n== links: the subjects of a book belong to the book");
    let book = file_under(&database, book, &["Navigation", "Ships"]).await?;

    println!("\n== delete: what stands in the way, and what goes along");
    let (author, other) = delete(&database, author, &book, other).await?;

    println!("\n== restore: what that deletion took, and nothing else");
    restore(&database, author).await?;

    println!("\n== unique among the living");
    unique(&database, &other).await?;

    println!("\n== purge: gone for good, once its time has come");
    purge(&database, other).await?;

    println!("\n== by hand: the database refuses as well");
    by_hand(&database).await;

    println!("\n== audit: what happened to {:?}", book.title);
    audit(&database, &book).await?;

    database.close().await;
    Ok(())
}

/// Adds an author with two books, in one transaction: all of it, or nothing.
async fn stock(database: &Database) -> Result<(author::Model, book::Model, book::Model)> {
    let write = Writer::system(Utc::now());
    let created = database.write(write, |tx| {
        Box::pin(async move {
            let author = author::ActiveModel {
                name: Set("Ada".into()),
                ..Default::default()
            };
            let author = tx.create::<author::Entity>(author).await?;
            // Held until the transaction ends: nobody deletes the author meanwhile.
            tx.hold_live::<author::Entity>(&[author.id]).await?;
            let mut books = Vec::new();
            for (title, isbn) in [("The Hull", "978-1"), ("The Mark", "978-2")] {
                let book = book::ActiveModel {
                    title: Set(title.into()),
                    isbn: Set(isbn.into()),
                    summary: Set(format!("All about {title}.").into()),
                    author_id: Set(author.id),
                    ..Default::default()
                };
                books.push(tx.create::<book::Entity>(book).await?);
            }
            let scan = scan::ActiveModel {
                id: Set(tx.mint()),
                book_id: Set(books[0].id),
                scanned_at: Set(tx.now()),
            };
            tx.insert_facts::<scan::Entity>(vec![scan]).await?;
            Ok::<_, Fault>((author, books.remove(0), books.remove(0)))
        })
    });
    let (author, book, other) = created.await?;
    println!(
        "{} wrote {:?} and {:?}",
        author.name, book.title, other.title
    );
    println!("both are at version {}", book.lock_version);
    Ok((author, book, other))
}

async fn list(database: &Database) -> Result<()> {
    let read = database.read();
    let found = Rows::<book::Entity>::live()
        .filter(book::Column::Title.starts_with("The"))
        .all(20, &read)
        .await?;
    for book in &found {
        println!(
            "{} {:?}, its summary: {:?}",
            book.isbn, book.title, book.summary
        );
    }
    // The summary is heavy: it is read only when it is asked for.
    let book = Rows::<book::Entity>::live()
        .with(book::Column::Summary)
        .filter(book::Column::Isbn.eq("978-1"))
        .one(&read)
        .await?;
    println!(
        "asked for: {:?}",
        book.and_then(|book| book.summary.into_inner())
    );

    // Pages go on behind a cursor, one statement each, however deep.
    let by_title = || Order::by(book::Column::Title, Direction::Ascending);
    let mut arguments = PageArguments {
        first: Some(1),
        ..Default::default()
    };
    loop {
        let request = PageRequest::parse("books", by_title(), &arguments)?;
        let page = Rows::<book::Entity>::live().page(&request, &read).await?;
        let more = page.has_next == Some(true);
        for book in page.rows() {
            println!("a page with {:?}, more behind it: {more}", book.title);
        }
        arguments.after = page.end_cursor().map(|cursor| cursor.to_string());
        if !more {
            return Ok(());
        }
    }
}

/// Sets a book's title, if it is still at the version that the editor has seen.
async fn rename(database: &Database, seen: &book::Model, title: &str) -> Result<book::Model> {
    let (id, version, title) = (seen.id, Version(seen.lock_version), title.to_owned());
    let write = Writer::system(Utc::now());
    let renamed = database.write(write, move |tx| {
        Box::pin(async move {
            let rows = Rows::<book::Entity>::live().filter(book::Column::Id.eq(id));
            let book = rows.lock(tx).await?.ok_or("there is no such book")?;
            let changes = book::ActiveModel {
                title: Set(title),
                ..Default::default()
            };
            Ok(book.update(tx, version, changes).await?)
        })
    });
    renamed.await
}

async fn edit(database: &Database, seen_by_both: book::Model) -> Result<book::Model> {
    let book = rename(database, &seen_by_both, "The Ship's Hull").await?;
    println!(
        "the first made it {:?}, version {}",
        book.title, book.lock_version
    );
    let outcome = rename(database, &seen_by_both, "Hulls").await;
    if let Refused::Conflict { seen, current } = refusal::<book::Entity>(outcome)? {
        println!("the second saw version {}: nothing was written", seen.0);
        println!(
            "and is told that it is {:?}, version {}",
            current.title, current.lock_version
        );
    }
    Ok(book)
}

/// Adds subjects and files a book under them. Its version rises: its subjects are a part of it.
async fn file_under(
    database: &Database,
    book: book::Model,
    names: &'static [&'static str],
) -> Result<book::Model> {
    let write = Writer::system(Utc::now());
    let filed = database.write(write, move |tx| {
        Box::pin(async move {
            let new = |name: &&str| subject::ActiveModel {
                name: Set((*name).into()),
                ..Default::default()
            };
            let subjects = names.iter().map(new).collect();
            let subjects = tx.create_many::<subject::Entity>(subjects).await?;
            let rows = Rows::<book::Entity>::live().filter(book::Column::Id.eq(book.id));
            let locked = rows.lock(tx).await?.ok_or("there is no such book")?;
            let seen = Version(book.lock_version);
            let filed = locked.set_links::<book_subject::Entity>(tx, seen, &subjects);
            Ok::<_, Box<dyn Error + Send + Sync>>(filed.await?)
        })
    });
    let book = filed.await?;
    let read = database.read();
    let subjects = Rows::<subject::Entity>::live()
        .linked_by::<book_subject::Entity>(&[book.id], &read)
        .await?;
    let names: Vec<&str> = subjects.values().flatten().map(|s| &*s.name).collect();
    println!("version {}: {}", book.lock_version, names.join(", "));
    Ok(book)
}

async fn delete(
    database: &Database,
    author: author::Model,
    lent: &book::Model,
    other: book::Model,
) -> Result<(author::Model, book::Model)> {
    // The loan's declaration says `Refuse`: a book that is lent stays.
    let loan = loan::ActiveModel {
        book_id: Set(lent.id),
        borrower: Set("Grace".into()),
        ..Default::default()
    };
    let book = lent.id;
    let write = Writer::system(Utc::now());
    let loan = database.write(write, move |tx| {
        Box::pin(async move {
            tx.hold_live::<book::Entity>(&[book]).await?;
            tx.create::<loan::Entity>(loan).await
        })
    });
    let loan: loan::Model = loan.await?;
    let outcome = remove::<author::Entity>(database, author.id, author.lock_version).await;
    if let Refused::StillReferenced { record_type, ids } = refusal::<author::Entity>(outcome)? {
        println!("{} {record_type} stands in the way", ids.len());
    }

    // The loan ends, and one book is deleted by itself.
    remove::<loan::Entity>(database, loan.id, loan.lock_version).await?;
    let other = remove::<book::Entity>(database, other.id, other.lock_version).await?;
    // The books' declaration says `TakeAlong`: the one that is left goes with its author.
    let author = remove::<author::Entity>(database, author.id, author.lock_version).await?;
    let left = Rows::<book::Entity>::live().count(&database.read()).await?;
    println!("{left} books are left");
    Ok((author, other))
}

/// Deletes a record of any kind.
async fn remove<E: Record>(database: &Database, id: Uuid, seen: i32) -> Result<E::Model> {
    let write = Writer::system(Utc::now());
    let removed = database.write(write, move |tx| {
        Box::pin(async move {
            let rows = Rows::<E>::live().filter(E::ID.eq(id));
            let locked = rows.lock(tx).await?.ok_or("there is no such record")?;
            Ok(locked.delete(tx, Version(seen)).await?)
        })
    });
    removed.await
}

/// Undoes the deletion of a record of any kind.
async fn bring_back<E: Record>(database: &Database, id: Uuid, seen: i32) -> Result<E::Model> {
    let write = Writer::system(Utc::now());
    let restored = database.write(write, move |tx| {
        Box::pin(async move {
            let rows = Rows::<E>::only_deleted().filter(E::ID.eq(id));
            let locked = rows.lock(tx).await?.ok_or("no such record is deleted")?;
            Ok(locked.restore(tx, Version(seen)).await?)
        })
    });
    restored.await
}

async fn restore(database: &Database, author: author::Model) -> Result<()> {
    bring_back::<author::Entity>(database, author.id, author.lock_version).await?;
    for book in Rows::<book::Entity>::with_deleted()
        .all(20, &database.read())
        .await?
    {
        let state = if book.deleted_at.is_none() {
            "is back with its author"
        } else {
            "stays deleted: that was another deletion"
        };
        println!("{:?} {state}", book.title);
    }
    Ok(())
}

async fn unique(database: &Database, deleted: &book::Model) -> Result<()> {
    let new = book::ActiveModel {
        title: Set("The Mark, revised".into()),
        isbn: Set(deleted.isbn.clone()),
        summary: Set("All about it, again.".to_owned().into()),
        author_id: Set(deleted.author_id),
        ..Default::default()
    };
    let author = deleted.author_id;
    let write = Writer::system(Utc::now());
    let created = database.write(write, move |tx| {
        Box::pin(async move {
            tx.hold_live::<author::Entity>(&[author]).await?;
            tx.create::<book::Entity>(new).await
        })
    });
    let new: book::Model = created.await?;
    println!("{} is free again: {:?} has it", new.isbn, new.title);
    let outcome = bring_back::<book::Entity>(database, deleted.id, deleted.lock_version).await;
    if let Refused::Fault(fault @ Fault::Duplicate { .. }) = refusal::<book::Entity>(outcome)? {
        println!("{:?} cannot be restored: {fault}", deleted.title);
    }
    Ok(())
}

async fn purge(database: &Database, deleted: book::Model) -> Result<()> {
    let (id, seen) = (deleted.id, Version(deleted.lock_version));
    for retention in [Duration::days(30), Duration::zero()] {
        let write = Writer::system(Utc::now());
        let purged = database.write(write, move |tx| {
            Box::pin(async move {
                let rows = Rows::<book::Entity>::only_deleted().filter(book::Column::Id.eq(id));
                let locked = rows.lock(tx).await?.ok_or("no such book is deleted")?;
                Ok(locked.purge(tx, seen, Retention(retention)).await?)
            })
        });
        match purged.await {
            Ok(book) => println!("{:?} is gone", book.title),
            outcome => println!("not yet: {}", refusal::<book::Entity>(outcome)?),
        }
    }
    Ok(())
}

/// The one way past the layer is named, so that its uses can be counted.
async fn by_hand(database: &Database) {
    let connection = database.unguarded("somebody is at the database by hand");
    for sql in ["DELETE FROM books", "UPDATE books SET title = 'Oops'"] {
        match connection.execute_unprepared(sql).await {
            Ok(_) => println!("{sql}: done"),
            Err(error) => println!("{sql}: {}", Fault::from(error)),
        }
    }
}

async fn audit(database: &Database, book: &book::Model) -> Result<()> {
    let mut entries = Rows::<audit_entity::Entity>::live()
        .filter(audit_entity::Column::RecordId.eq(book.id))
        .all(20, &database.read())
        .await?;
    entries.sort_by_key(|entry| entry.from_version);
    for entry in entries {
        let version = |version: Option<i32>| version.map_or("-".into(), |v| v.to_string());
        println!(
            "{:7} {} -> {}  {}",
            entry.action,
            version(entry.from_version),
            version(entry.to_version),
            entry.changes
        );
    }
    Ok(())
}

/// Why something was refused; an error if it was not, or if it failed in another way.
fn refusal<E: Record>(outcome: Result<E::Model>) -> Result<Refused<E>> {
    match outcome {
        Ok(_) => Err("it was not refused".into()),
        Err(error) => Ok(*error.downcast()?),
    }
}
