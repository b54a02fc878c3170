use plimsoll_records::{Database, Options, Register};
use sea_orm::ConnectionTrait;
use tempfile::TempDir;

/// Who writes books. Deleting an author takes the books along.
pub mod author {
    use sea_orm::entity::prelude::*;

    /// One author.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "authors")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub name: String,
        pub lock_version: i32,
        pub deleted_at: Option<DateTimeUtc>,
        pub deletion_id: Option<Uuid>,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}

    plimsoll_records::record! { "author", Uuid }
}

/// What the library lends.
pub mod book {
    use plimsoll_records::Deferred;
    use sea_orm::entity::prelude::*;

    /// One book.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "books")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub title: String,
        /// Unique among the books that are not deleted.
        pub isbn: String,
        /// Large, and so read only when a read asks for it.
        pub summary: Deferred<String>,
        pub author_id: Uuid,
        pub lock_version: i32,
        pub deleted_at: Option<DateTimeUtc>,
        pub deletion_id: Option<Uuid>,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}

    plimsoll_records::record! {
        "book", Uuid,
        heavy: [Summary],
        parents: [AuthorId => super::author::Entity, TakeAlong],
        dependents: [super::book_subject::Entity => BookId, super::scan::Entity => BookId],
    }
}

/// What books are about.
pub mod subject {
    use sea_orm::entity::prelude::*;

    /// One subject.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "subjects")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        /// Unique among the subjects that are not deleted.
        pub name: String,
        pub lock_version: i32,
        pub deleted_at: Option<DateTimeUtc>,
        pub deletion_id: Option<Uuid>,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}

    plimsoll_records::record! {
        "subject", Uuid,
        dependents: [super::book_subject::Entity => SubjectId],
    }
}

/// Which subjects a book has: a link, which belongs to the book.
pub mod book_subject {
    use sea_orm::entity::prelude::*;

    /// One subject of one book.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "book_subjects")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub book_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub subject_id: Uuid,
        pub position: i32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}

    plimsoll_records::link! {
        "subjects", max: 10,
        owner: BookId => super::book::Entity,
        target: SubjectId => super::subject::Entity,
    }
}

/// Who has a book at home. A book that is lent cannot be deleted.
pub mod loan {
    use sea_orm::entity::prelude::*;

    /// One loan.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "loans")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub book_id: Uuid,
        pub borrower: String,
        pub lock_version: i32,
        pub deleted_at: Option<DateTimeUtc>,
        pub deletion_id: Option<Uuid>,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}

    plimsoll_records::record! {
        "loan", Uuid,
        parents: [BookId => super::book::Entity, Refuse],
    }
}

/// When a book's bar code was read at the desk: a fact, which has no version and no deletion.
pub mod scan {
    use sea_orm::entity::prelude::*;

    /// One scan.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "scans")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub book_id: Uuid,
        pub scanned_at: DateTimeUtc,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}

    plimsoll_records::fact!();
}

/// Every record type of the library.
pub fn register() -> Register {
    Register::new()
        .with::<author::Entity>()
        .with::<book::Entity>()
        .with::<subject::Entity>()
        .with::<loan::Entity>()
        .with_link::<book_subject::Entity>()
}

/// A library in a SQLite file of its own, which goes with its folder.
pub async fn open() -> Result<(Database, TempDir), Box<dyn std::error::Error + Send + Sync>> {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite:{}", folder.path().join("library.db").display());
    let options = Options {
        create_missing: true,
        ..Options::default()
    };
    let database = Database::connect(&url, register(), options).await?;
    // A real program's tables are made by its migrations.
    let connection = database.unguarded("the tables are made");
    let layer = include_str!("../../sql/sqlite/layer.sql");
    connection.execute_unprepared(layer).await?;
    let library = include_str!("schema.sql");
    connection.execute_unprepared(library).await?;
    for record in database.register().records() {
        let walls = include_str!("../../sql/sqlite/walls.sql");
        let walls = walls.replace("things", record.table);
        connection.execute_unprepared(&walls).await?;
    }
    Ok((database, folder))
}
