//! A project that is not Plimsoll makes its database from the texts in `crates/records/sql`.

use std::collections::BTreeSet;

use chrono::{DateTime, Duration, Utc};
use plimsoll_records::{
    ColumnRef, Database, Fault, Options, Refused, Register, Retention, Rows, Tx, Version, Writer,
};
use plimsoll_testkit::{Engine, TestDatabase, engines::empty_database, on_every_engine, setup};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseConnection, Statement};
use uuid::Uuid;

/// The record of `record.sql`.
mod thing {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "things")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub(crate) id: Uuid,
        pub(crate) name: String,
        pub(crate) lock_version: i32,
        pub(crate) deleted_at: Option<DateTimeUtc>,
        pub(crate) deletion_id: Option<Uuid>,
        pub(crate) created_at: DateTimeUtc,
        pub(crate) updated_at: DateTimeUtc,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}

    plimsoll_records::record! { "thing", Uuid }
}

/// A database that was made from the texts alone.
struct Adopter {
    engine: Engine,
    database: TestDatabase,
    connection: DatabaseConnection,
}

async fn adopter(engine: Engine) -> Option<Adopter> {
    let database = empty_database(engine).await?;
    let connection = connect(&database).await;
    let texts = match engine {
        Engine::Sqlite => [
            include_str!("../../../records/sql/sqlite/layer.sql"),
            include_str!("../../../records/sql/sqlite/record.sql"),
            include_str!("../../../records/sql/sqlite/walls.sql"),
        ],
        Engine::Postgres => [
            include_str!("../../../records/sql/postgres/layer.sql"),
            include_str!("../../../records/sql/postgres/record.sql"),
            include_str!("../../../records/sql/postgres/walls.sql"),
        ],
        Engine::MariaDb => [
            include_str!("../../../records/sql/mariadb/layer.sql"),
            include_str!("../../../records/sql/mariadb/record.sql"),
            include_str!("../../../records/sql/mariadb/walls.sql"),
        ],
    };
    for text in texts {
        let made = connection.execute_unprepared(text).await;
        made.unwrap_or_else(|error| panic!("{engine}: {error}"));
    }
    Some(Adopter {
        engine,
        database,
        connection,
    })
}

async fn connect(database: &TestDatabase) -> DatabaseConnection {
    sea_orm::Database::connect(&database.url)
        .await
        .expect("a test database can be reached")
}

on_every_engine! {
    with crate::adopters::adopter;

    async fn the_tables_of_the_layer_are_those_that_the_migrations_make(adopter) {
        let world = setup(adopter.engine).await.expect("the engine is at hand");
        let migrated = connect(&world.database).await;
        for table in ["audit_log", "deletions", "wall_gate"] {
            let ours = described(adopter.engine, &adopter.connection, table).await;
            let theirs = described(adopter.engine, &migrated, table).await;
            assert!(ours.len() > 3, "{ours:#?}");
            assert_same(&ours, &theirs);
        }
    }

    async fn a_records_table_is_as_the_migrations_make_one(adopter) {
        let world = setup(adopter.engine).await.expect("the engine is at hand");
        let migrated = connect(&world.database).await;
        // But for the columns that each has of its own.
        let common = |lines: BTreeSet<String>| -> BTreeSet<String> {
            let own = |line: &String| line.contains("name ") || line.contains("slug");
            lines.into_iter().filter(|line| !own(line)).collect()
        };
        let ours = described(adopter.engine, &adopter.connection, "things").await;
        let unique = |line: &&String| line.contains("uq_T__name") && line.contains("live");
        assert!(ours.iter().any(|line| unique(&line)), "{ours:#?}");
        let theirs = described(adopter.engine, &migrated, "tags").await;
        assert!(theirs.len() > 9, "{theirs:#?}");
        assert_same(&common(ours), &common(theirs));
    }

    async fn a_record_lives_through_everything(adopter) {
        let register = Register::new().with::<thing::Entity>();
        let database = Database::connect(&adopter.database.url, register, Options::default());
        let database = database.await.expect("a test database can be reached");

        let made = create(&database, "Anchor").await.expect("a name that is free");
        let renamed = change(&database, &made, |row, seen, tx| {
            let changes = thing::ActiveModel { name: Set("Buoy".into()), ..Default::default() };
            Box::pin(row.update(tx, seen, changes))
        });
        let renamed = renamed.await.expect("nobody changed it");
        let stale = change(&database, &made, |row, seen, tx| Box::pin(row.delete(tx, seen)));
        assert!(matches!(stale.await, Err(Refused::Conflict { .. })));

        let twice = create(&database, "Buoy").await;
        let name = ColumnRef { table: "things".into(), column: "name".into() };
        assert_eq!(twice, Err(Fault::Duplicate(name)));
        let deleted = change(&database, &renamed, |row, seen, tx| Box::pin(row.delete(tx, seen)));
        let deleted = deleted.await.expect("nobody changed it");
        let again = create(&database, "Buoy").await.expect("the name is free again");

        let connection = &adopter.connection;
        let by_hand = connection.execute_unprepared("DELETE FROM things").await;
        assert!(by_hand.is_err(), "a wall refuses it");
        let by_hand = connection.execute_unprepared("UPDATE things SET name = 'Cleat'").await;
        assert!(by_hand.is_err(), "a wall refuses it");

        let restore = change(&database, &deleted, |row, seen, tx| Box::pin(row.restore(tx, seen)));
        let taken = restore.await.expect_err("the name is taken");
        assert!(matches!(taken, Refused::Fault(Fault::Duplicate { .. })), "{taken}");
        let purged = change(&database, &deleted, |row, seen, tx| {
            Box::pin(row.purge(tx, seen, Retention(Duration::zero())))
        });
        purged.await.expect("its time has come");
        let left = Rows::<thing::Entity>::with_deleted().all(9, &database.read()).await;
        assert_eq!(left, Ok(vec![again]));
    }
}

fn assert_same(ours: &BTreeSet<String>, theirs: &BTreeSet<String>) {
    let differing: Vec<_> = ours.symmetric_difference(theirs).collect();
    assert!(differing.is_empty(), "{differing:#?}");
}

fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + Duration::days(20_000)
}

async fn create(database: &Database, name: &str) -> Result<thing::Model, Fault> {
    let row = thing::ActiveModel {
        name: Set(name.into()),
        ..Default::default()
    };
    let write = Writer::system(now());
    database
        .write(write, |tx| Box::pin(tx.create::<thing::Entity>(row)))
        .await
}

type Row = plimsoll_records::Locked<thing::Entity>;
type Outcome = Result<thing::Model, Refused<thing::Entity>>;

/// Does something with a thing, at the version that `seen` has.
async fn change(
    database: &Database,
    seen: &thing::Model,
    what: impl for<'t> FnOnce(Row, Version, &'t mut Tx) -> futures::future::BoxFuture<'t, Outcome>
    + Clone
    + Send
    + 'static,
) -> Outcome {
    let (id, version): (Uuid, _) = (seen.id, Version(seen.lock_version));
    database
        .write(Writer::system(now()), move |tx| {
            Box::pin(async move {
                let rows = Rows::<thing::Entity>::with_deleted().filter(thing::Column::Id.eq(id));
                let row = rows.lock(tx).await?.expect("the thing is there");
                what(row, version, tx).await
            })
        })
        .await
}

/// A table as the engine's catalog has it, in lines, with `T` for its name: its columns, keys and
/// checks, its indexes, and its triggers with all that they do.
async fn described(
    engine: Engine,
    connection: &DatabaseConnection,
    table: &str,
) -> BTreeSet<String> {
    let queries: &[&str] = match engine {
        Engine::Sqlite => &["SELECT sql FROM sqlite_schema WHERE tbl_name = '{t}' AND sql <> ''"],
        Engine::Postgres => &[
            "SELECT concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), \
                a.attnotnull, a.attgenerated, a.attcollation::regcollation, \
                pg_get_expr(d.adbin, d.adrelid)) \
             FROM pg_attribute a \
             LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum \
             WHERE a.attrelid = '{t}'::regclass AND a.attnum > 0",
            "SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint \
             WHERE conrelid = '{t}'::regclass",
            "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = '{t}'::regclass",
            "SELECT pg_get_triggerdef(g.oid) || ' ' || p.prosrc \
             FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid \
             WHERE g.tgrelid = '{t}'::regclass AND NOT g.tgisinternal",
        ],
        Engine::MariaDb => &[
            "SELECT CONCAT_WS(' ', column_name, column_type, is_nullable, column_default, extra, \
                collation_name, generation_expression) FROM information_schema.columns \
             WHERE table_schema = DATABASE() AND table_name = '{t}'",
            "SELECT CONCAT_WS(' ', constraint_name, constraint_type) \
             FROM information_schema.table_constraints \
             WHERE table_schema = DATABASE() AND table_name = '{t}'",
            "SELECT CONCAT_WS(' ', constraint_name, check_clause) \
             FROM information_schema.check_constraints \
             WHERE constraint_schema = DATABASE() AND table_name = '{t}'",
            "SELECT CONCAT_WS(' ', index_name, non_unique, \
                GROUP_CONCAT(column_name ORDER BY seq_in_index)) \
             FROM information_schema.statistics \
             WHERE table_schema = DATABASE() AND table_name = '{t}' \
             GROUP BY index_name, non_unique",
            "SELECT CONCAT_WS(' ', trigger_name, action_timing, event_manipulation, \
                action_statement) FROM information_schema.triggers \
             WHERE event_object_schema = DATABASE() AND event_object_table = '{t}'",
            "SELECT CONCAT_WS(' ', engine, table_collation) FROM information_schema.tables \
             WHERE table_schema = DATABASE() AND table_name = '{t}'",
        ],
    };
    let mut lines = BTreeSet::new();
    for query in queries {
        let query = Statement::from_string(
            connection.get_database_backend(),
            query.replace("{t}", table),
        );
        let rows = connection.query_all_raw(query).await;
        for row in rows.expect("the catalog can be read") {
            let text: String = row.try_get_by_index(0).expect("the catalog tells text");
            if text.starts_with("CREATE TABLE") {
                lines.extend(parts(&text).into_iter().map(|part| plain(&part, table)));
            } else {
                lines.insert(plain(&text, table));
            }
        }
    }
    lines
}

/// The columns and constraints of a `CREATE TABLE`.
fn parts(sql: &str) -> Vec<String> {
    let without_comments: Vec<&str> = sql
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default())
        .collect();
    let text = without_comments.join(" ");
    let inside = text.split_once('(').map_or("", |(_, inside)| inside);
    let mut depth = 0;
    let mut parts = vec![String::new()];
    for letter in inside.chars() {
        match letter {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        match (letter, parts.last_mut()) {
            (',', _) if depth == 0 => parts.push(String::new()),
            (_, Some(part)) => part.push(letter),
            _ => {}
        }
    }
    parts
}

/// One line, however the text was broken into lines, with `T` for the table.
fn plain(text: &str, table: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").replace(table, "T")
}
