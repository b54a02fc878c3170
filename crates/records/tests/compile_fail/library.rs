//! The tables that the other files here are about. `plimsoll-records` is the only dependency.

pub mod author {
    use plimsoll_records::sea_orm::{self, entity::prelude::*};

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "authors")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub lock_version: i32,
        pub deleted_at: Option<DateTimeUtc>,
        pub deletion_id: Option<Uuid>,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
        #[sea_orm(has_many)]
        pub books: HasMany<super::book::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}

    plimsoll_records::record! { "author", Uuid }
}

pub mod book {
    use plimsoll_records::{
        Deferred,
        sea_orm::{self, entity::prelude::*},
    };

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "books")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub title: String,
        pub summary: Deferred<String>,
        pub author_id: Uuid,
        pub lock_version: i32,
        pub deleted_at: Option<DateTimeUtc>,
        pub deletion_id: Option<Uuid>,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
        #[sea_orm(belongs_to, from = "author_id", to = "id")]
        pub author: BelongsTo<super::author::Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}

    plimsoll_records::record! {
        "book", Uuid,
        heavy: [Summary],
        parents: [AuthorId => super::author::Entity, TakeAlong],
    }
}

pub mod scan {
    use plimsoll_records::sea_orm::{self, entity::prelude::*};

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "scans")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub book_id: Uuid,
    }

    impl ActiveModelBehavior for ActiveModel {}

    plimsoll_records::fact!();
}

/// SeaORM knows it, `plimsoll-records` does not.
pub mod undeclared {
    use plimsoll_records::sea_orm::{self, entity::prelude::*};

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "undeclared")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
    }

    impl ActiveModelBehavior for ActiveModel {}
}
