//! A record of the tests' own: shelves, with what they hold in numbers.

use plimsoll_records::{Database, Options, Register, Rows};
use plimsoll_testkit::{Engine, Statements, World};
use sea_orm::{ActiveValue::Set, ConnectionTrait};
use uuid::Uuid;

#[expect(
    clippy::disallowed_methods,
    reason = "SeaORM's derives define them; there is no connection to run them on"
)]
pub(crate) mod entity {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "shelves")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        /// Unique among the living.
        pub code: String,
        /// Unique among the living as well.
        pub label: String,
        pub quantity: i64,
        pub places: i32,
        pub lock_version: i32,
        pub deleted_at: Option<DateTimeUtc>,
        pub deletion_id: Option<Uuid>,
        pub created_at: DateTimeUtc,
        pub updated_at: DateTimeUtc,
    }

    impl ActiveModelBehavior for ActiveModel {}

    plimsoll_records::record! { "shelf", Uuid }
}

pub(crate) use entity::{ActiveModel, Column, Entity, Model as Shelf};

/// The record layer over a world's database, with a table of shelves.
pub(crate) struct Shelves {
    pub(crate) database: Database,
    pub(crate) statements: Statements,
}

impl Drop for Shelves {
    fn drop(&mut self) {
        let unscoped = self.statements.unscoped();
        assert!(
            unscoped.is_empty() || std::thread::panicking(),
            "{}",
            unscoped.join("\n")
        );
    }
}

pub(crate) async fn shelves(world: &World) -> Shelves {
    shelves_with(world, Options::default()).await
}

pub(crate) async fn shelves_with(world: &World, options: Options) -> Shelves {
    let (uuid, time, rest) = match world.engine {
        Engine::Sqlite => ("BLOB", "TEXT", ""),
        Engine::Postgres => ("uuid", "timestamptz", ""),
        Engine::MariaDb => (
            "BINARY(16)",
            "DATETIME(6)",
            "CHARSET=utf8mb4 COLLATE=utf8mb4_bin",
        ),
    };
    let table = format!(
        "CREATE TABLE shelves (
            id {uuid} NOT NULL PRIMARY KEY,
            created_at {time} NOT NULL,
            updated_at {time} NOT NULL,
            lock_version INTEGER NOT NULL,
            deleted_at {time} NULL,
            deletion_id {uuid} NULL,
            live SMALLINT GENERATED ALWAYS AS (CASE WHEN deleted_at IS NULL THEN 1 END) STORED,
            code VARCHAR(64) NOT NULL,
            label VARCHAR(64) NOT NULL,
            quantity BIGINT NOT NULL,
            places INTEGER NOT NULL,
            CONSTRAINT uq_shelves__code UNIQUE (code, live),
            CONSTRAINT uq_shelves__label UNIQUE (label, live)
        ) {rest}"
    );
    let connection = world.store.database();
    connection
        .unguarded("a test makes a table of its own")
        .execute_unprepared(&table)
        .await
        .expect("the table is made");
    let register = Register::new().with::<Entity>();
    let statements = Statements::default();
    statements.watch(&register);
    let options = Options {
        on_statement: Some(statements.observer()),
        // 64 writers stand in line for few connections.
        acquire_timeout: std::time::Duration::from_secs(30),
        ..options
    };
    let database = Database::connect(&world.database.url, register, options)
        .await
        .expect("a second connection");
    Shelves {
        database,
        statements,
    }
}

pub(crate) fn new_shelf(code: &str, quantity: i64) -> ActiveModel {
    ActiveModel {
        code: Set(code.into()),
        label: Set(format!("label of {code}")),
        quantity: Set(quantity),
        places: Set(10),
        ..Default::default()
    }
}

impl Shelves {
    pub(crate) async fn add(&self, world: &World, code: &str, quantity: i64) -> Shelf {
        let row = new_shelf(code, quantity);
        let made = layer!(self.database, world, |tx| tx.create::<Entity>(row));
        made.expect("a shelf is made")
    }

    /// The shelf as it is now, deleted or not.
    pub(crate) async fn fresh(&self, id: Uuid) -> Shelf {
        let found = Rows::<Entity>::with_deleted()
            .by_ids(&[id], &self.database.read())
            .await;
        let found = found.expect("shelves can be read").remove(&id);
        found.expect("the shelf is there")
    }

    pub(crate) async fn delete(&self, world: &World, shelf: &Shelf) -> Shelf {
        let id = shelf.id;
        let deleted = layer!(self.database, world, |tx| async {
            let row = Rows::<Entity>::live().by_id(id).lock(tx).await?;
            let row = row.expect("the shelf is live");
            let seen = row.version();
            row.delete(tx, seen).await
        });
        deleted.expect("the shelf is deleted")
    }
}

/// The one with this id.
pub(crate) trait ById {
    fn by_id(self, id: Uuid) -> Self;
}

impl ById for Rows<Entity> {
    fn by_id(self, id: Uuid) -> Self {
        use sea_orm::ColumnTrait as _;
        self.filter(Column::Id.eq(id))
    }
}
