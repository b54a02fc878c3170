use chrono::DateTime;
use plimsoll_records::{Fault, Writer};
use sea_orm::ActiveValue::Set;
use uuid::Uuid;

include!("../../examples/library/tables.rs");

/// A library with one author, two of her books and two subjects, at version 0.
pub struct Stocked {
    pub database: Database,
    pub author: author::Model,
    /// "The Hull", 978-1, and "The Mark", 978-2.
    pub books: Vec<book::Model>,
    pub subjects: Vec<Uuid>,
    pub folder: TempDir,
}

/// For the examples in the documentation.
pub async fn stocked() -> Result<Stocked, Box<dyn std::error::Error + Send + Sync>> {
    let (database, folder) = open().await?;
    let write = Writer::system(DateTime::UNIX_EPOCH);
    let created = database.write(write, |tx| {
        Box::pin(async move {
            let author = author::ActiveModel {
                name: Set("Ada".into()),
                ..Default::default()
            };
            let author = tx.create::<author::Entity>(author).await?;
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
            let subject = |name: &str| subject::ActiveModel {
                name: Set(name.into()),
                ..Default::default()
            };
            let subjects = vec![subject("Navigation"), subject("Ships")];
            let subjects = tx.create_many::<subject::Entity>(subjects).await?;
            Ok::<_, Fault>((author, books, subjects))
        })
    });
    let (author, books, subjects) = created.await?;
    Ok(Stocked {
        database,
        author,
        books,
        subjects,
        folder,
    })
}
