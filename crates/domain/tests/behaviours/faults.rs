//! What the engines' error codes mean, each raised by an engine where one here can raise it.
//!
//! [`provoked!`] names beside each test the rows of [`CODES`] that it raises, and the test fails
//! when it raises others. What no engine here can raise is in [`constructed`]. The page
//! `docs/faults.md` shows both.

use std::{collections::BTreeSet, fmt::Write as _, time::Duration};

use plimsoll_domain::{
    Error, Options, Role,
    id::{TagId, UserId},
};
use plimsoll_entity as entity;
use plimsoll_records::{
    CODES, Code, CodeRow, ColumnRef, Database, Fault, Meaning, Retry, Rows, Timing, Writer,
};
use plimsoll_testkit::{Engine, World, engines, on_every_engine, setup};
use sea_orm::{ActiveValue::Set, ColumnTrait as _, sea_query::Expr};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, MySqlConnection, PgConnection,
    SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode},
};
use uuid::Uuid;

use crate::support::*;

const CONTENTION: Fault = Fault::Transient(Timing::Contention);
const TIMEOUT: Fault = Fault::Transient(Timing::Timeout);
const CONNECTION_LOST: Fault = Fault::Transient(Timing::ConnectionLost);
const EXHAUSTED: Fault = Fault::Transient(Timing::Exhausted);

/// A connection past the layer.
enum Session {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
    MariaDb(MySqlConnection),
}

impl Session {
    async fn of(world: &World) -> Self {
        Self::to(world.engine, &world.database.url)
            .await
            .expect("a connection can be made")
    }

    async fn to(engine: Engine, url: &str) -> Result<Self, sqlx::Error> {
        Ok(match engine {
            Engine::Sqlite => {
                let options: SqliteConnectOptions = url.parse()?;
                let options = options
                    .create_if_missing(false)
                    .foreign_keys(true)
                    .busy_timeout(Duration::from_millis(20));
                Self::Sqlite(options.connect().await?)
            }
            Engine::Postgres => Self::Postgres(PgConnection::connect(url).await?),
            Engine::MariaDb => Self::MariaDb(MySqlConnection::connect(url).await?),
        })
    }

    async fn try_run(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match self {
            Self::Sqlite(on) => sql.execute(on).await.map(|_| ()),
            Self::Postgres(on) => sql.execute(on).await.map(|_| ()),
            Self::MariaDb(on) => sql.execute(on).await.map(|_| ()),
        }
    }

    async fn run(&mut self, sql: &str) {
        let ran = self.try_run(sql).await;
        ran.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// What the engine says against it.
    async fn refusal(&mut self, sql: &str) -> Raised {
        Raised::from(self.try_run(sql).await.expect_err(sql))
    }
}

/// An error that an engine raised.
#[derive(Debug)]
struct Raised {
    /// The row that its code has, or the code itself.
    row: String,
    fault: Fault,
}

impl From<sqlx::Error> for Raised {
    fn from(error: sqlx::Error) -> Self {
        let code = Code::of(&error).unwrap_or_else(|| panic!("{error:?} has no code"));
        let message = error.as_database_error().map(|inner| inner.message());
        let row = CodeRow::of(code, message.unwrap_or_default());
        Self {
            row: row.map_or_else(|| code.to_string(), key),
            fault: error.into(),
        }
    }
}

impl Raised {
    /// It means this and nothing else.
    #[track_caller]
    fn means(self, fault: Fault) -> Self {
        assert_eq!(self.fault, fault, "{}", self.row);
        self
    }

    /// It is for the log alone.
    #[track_caller]
    fn stays_internal(self) -> Self {
        assert!(matches!(self.fault, Fault::Internal(_)), "{self:?}");
        self
    }
}

/// How a row is called here: its code, and the words that tell it from another of this code.
fn key(row: &CodeRow) -> String {
    match row.told_by {
        Some(words) => format!("{} {words}", row.code),
        None => row.code.to_string(),
    }
}

fn place(table: &str, column: &str) -> ColumnRef {
    ColumnRef {
        table: table.into(),
        column: column.into(),
    }
}

fn engine_of(code: Code<'_>) -> Engine {
    match code {
        Code::SqlState(_) => Engine::Postgres,
        Code::Errno(_) => Engine::MariaDb,
        Code::Sqlite(_) => Engine::Sqlite,
    }
}

/// A test on one engine, and the rows that it raises.
struct Provoked {
    engine: Engine,
    test: &'static str,
    rows: &'static [&'static str],
}

/// Makes tests, one for each engine that is named, which raise exactly the rows in the brackets
/// past the layer.
macro_rules! provoked {
    ($(
        async fn $name:ident($world:ident) on $($engine:ident $module:ident [$($row:literal),*]),+
        $body:block
    )*) => {
        const PROVOKED: &[Provoked] = &[$($(Provoked {
            engine: Engine::$engine,
            test: concat!(stringify!($name), "::", stringify!($module)),
            rows: &[$($row),*],
        }),+),*];

        $(
            async fn $name($world: World) -> Vec<Raised> $body

            mod $name {
                use super::*;

                $(
                    #[test]
                    fn $module() {
                        engines::run(async {
                            let world = setup(Engine::$engine).await?;
                            let raised = super::$name(world).await;
                            let raised: BTreeSet<&str> =
                                raised.iter().map(|raised| raised.row.as_str()).collect();
                            assert_eq!(raised, BTreeSet::from([$($row),*]));
                            Some(())
                        });
                    }
                )+
            }
        )*
    };
}

const TABLES: &str = "
    CREATE TABLE parents (
        id INTEGER PRIMARY KEY,
        name VARCHAR(20) NOT NULL,
        CONSTRAINT uq_parents__name UNIQUE (name)
    );
    CREATE TABLE children (
        id INTEGER PRIMARY KEY,
        parent_id INTEGER NOT NULL,
        age SMALLINT CHECK (age < 1000),
        weight INTEGER,
        CONSTRAINT fk_children__parent_id FOREIGN KEY (parent_id)
            REFERENCES parents (id) ON DELETE RESTRICT,
        CONSTRAINT ck_children__weight CHECK (weight > 0)
    );
    INSERT INTO parents VALUES (1, 'one'), (2, 'two');
    INSERT INTO children (id, parent_id) VALUES (1, 1);";

/// A session in a database that has parents and children too.
async fn family(world: &World) -> Session {
    let mut session = Session::of(world).await;
    session.run(TABLES).await;
    session
}

/// An account of this world's server.
struct Account {
    engine: Engine,
    url: String,
    removal: String,
    owner: Session,
}

impl Account {
    async fn new(world: &World, limit: &str) -> Self {
        let name = format!("t{:012x}", Uuid::now_v7().as_u128() & 0xffff_ffff_ffff);
        let mut owner = Session::of(world).await;
        let (_, place) = world.database.url.split_once("://").expect("it is a URL");
        let (_, address) = place.split_once('@').unwrap_or(("", place));
        let (kind, address) = match world.engine {
            Engine::Postgres => ("ROLE", address),
            // It may log in, and see no database.
            _ => ("USER", address.split('/').next().unwrap_or_default()),
        };
        let secret = match world.engine {
            Engine::Postgres => "LOGIN PASSWORD 'secret'",
            _ => "IDENTIFIED BY 'secret'",
        };
        let sql = format!("CREATE {kind} {name} {secret} {limit}");
        owner.run(&sql).await;
        let scheme = world.database.url.split(':').next().unwrap_or_default();
        Self {
            engine: world.engine,
            url: format!("{scheme}://{name}:secret@{address}"),
            removal: format!("DROP {kind} {name}"),
            owner,
        }
    }

    async fn log_in(&self) -> Result<Session, sqlx::Error> {
        Session::to(self.engine, &self.url).await
    }

    async fn remove(mut self) {
        self.owner.run(&self.removal).await;
    }
}

/// Runs `second` while `first` waits for what it holds, and answers what went wrong with either.
async fn crossed(
    mut a: Session,
    mut b: Session,
    first: &'static str,
    second: &'static str,
) -> Vec<Raised> {
    let waiting = tokio::spawn(async move { a.try_run(first).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    let ran = b.try_run(second).await;
    // Dropped, it lets the other one go on, should that have won.
    drop(b);
    let waited = waiting.await.expect("the first session ends");
    let refused = [ran, waited].into_iter().filter_map(Result::err);
    refused.map(Raised::from).collect()
}

provoked! {
    async fn a_value_that_is_taken_names_its_column(world) on
        Sqlite sqlite ["1555", "1811 the id has a row", "2067", "2579"],
        Postgres postgres ["23505", "23P01"],
        MariaDb mariadb ["1062"]
    {
        let mut session = family(&world).await;
        let taken = "INSERT INTO parents VALUES (3, 'one')";
        let name = Fault::Duplicate(place("parents", "name"));
        let mut raised = vec![session.refusal(taken).await.means(name)];
        let id = session.refusal("INSERT INTO parents VALUES (1, 'it''s')").await;
        match world.engine {
            Engine::Sqlite => {
                raised.push(id.means(Fault::Duplicate(place("parents", "id"))));
                world.tag("a tag").await;
                let again = "INSERT INTO tags (id, created_at, updated_at, name, slug)
                    SELECT id, created_at, updated_at, name, 'other' FROM tags";
                let again = session.refusal(again).await;
                raised.push(again.means(Fault::Duplicate(place("tags", "id"))));
                session.run("CREATE TABLE rows (name); INSERT INTO rows VALUES (1)").await;
                let row = session.refusal("INSERT INTO rows (rowid, name) VALUES (1, 2)").await;
                raised.push(row.means(Fault::Duplicate(place("rows", "rowid"))));
                // Over an expression there is the index's name alone.
                session.run("CREATE UNIQUE INDEX uq_rows__name ON rows (lower(name))").await;
                let row = session.refusal("INSERT INTO rows (name) VALUES ('1')").await;
                raised.push(row.means(Fault::Duplicate(place("rows", "name"))));
            }
            Engine::Postgres => {
                raised.push(id.means(Fault::Duplicate(place("parents", "parents_pkey"))));
                session
                    .run(
                        "CREATE TABLE rooms (
                            room INTEGER,
                            CONSTRAINT uq_rooms__room EXCLUDE USING btree (room WITH =)
                         );
                         INSERT INTO rooms VALUES (1)",
                    )
                    .await;
                let room = session.refusal("INSERT INTO rooms VALUES (1)").await;
                raised.push(room.means(Fault::Duplicate(place("rooms", "room"))));
            }
            Engine::MariaDb => raised.push(id.means(Fault::Duplicate(place("", "PRIMARY")))),
        }
        raised
    }

    async fn a_reference_that_stands_in_the_way_names_its_column(world) on
        Sqlite sqlite ["787", "1811 FOREIGN KEY"],
        Postgres postgres ["23503"],
        MariaDb mariadb ["1451", "1452"]
    {
        let mut session = family(&world).await;
        // SQLite does not tell which.
        let reference = match world.engine {
            Engine::Sqlite => ColumnRef::default(),
            _ => place("children", "parent_id"),
        };
        let reference = Fault::Reference(reference);
        let adding = "INSERT INTO children (id, parent_id) VALUES (2, 99)";
        let removing = "DELETE FROM parents WHERE id = 1";
        vec![
            session.refusal(adding).await.means(reference.clone()),
            session.refusal(removing).await.means(reference),
        ]
    }

    async fn a_check_names_its_column(world) on
        Sqlite sqlite ["275", "1299"],
        Postgres postgres ["23502", "23514"],
        MariaDb mariadb ["1048", "1364", "4025"]
    {
        let mut session = family(&world).await;
        let weight = session.refusal("UPDATE children SET weight = 0").await;
        let null = session.refusal("INSERT INTO parents VALUES (3, NULL)").await;
        let age = session.refusal("UPDATE children SET age = 1000").await;
        let (null_place, age_place) = match world.engine {
            Engine::Sqlite => (place("parents", "name"), place("", "age < 1000")),
            Engine::Postgres => (place("parents", "name"), place("children", "children_age_check")),
            Engine::MariaDb => (place("", "name"), place("children", "age")),
        };
        let mut raised = vec![
            weight.means(Fault::Check(place("children", "weight"))),
            null.means(Fault::Check(null_place)),
            age.means(Fault::Check(age_place)),
        ];
        if world.engine == Engine::MariaDb {
            let missing = session.refusal("INSERT INTO parents (id) VALUES (3)").await;
            raised.push(missing.means(Fault::Check(place("", "name"))));
        }
        raised
    }

    async fn a_value_that_does_not_fit_is_a_data_exception(world) on
        Sqlite sqlite ["18", "20", "3091"],
        Postgres postgres ["22", "54000"],
        MariaDb mariadb ["1118", "1264", "1265", "1292", "1300", "1366", "1406", "1690"]
    {
        let mut session = family(&world).await;
        let statements: &[(&str, ColumnRef)] = &match world.engine {
            Engine::Sqlite => vec![
                ("SELECT zeroblob(2000000000)", place("", "")),
                ("INSERT INTO parents VALUES ('one', 'x')", place("", "")),
                ("INSERT INTO strictly VALUES ('one')", place("strictly", "n")),
            ],
            // 22001, 22003, 22007, 22008, 22012, 22021, 22P02, 22P05
            Engine::Postgres => vec![
                ("INSERT INTO parents VALUES (3, repeat('x', 21))", place("", "")),
                ("INSERT INTO parents VALUES (2147483647 + 1, 'x')", place("", "")),
                ("SELECT 'soon'::date", place("", "")),
                ("SELECT '2026-13-01'::date", place("", "")),
                ("SELECT 1 / 0", place("", "")),
                ("SELECT convert_from('\\xff', 'UTF8')", place("", "")),
                ("SELECT 'one'::uuid", place("", "")),
                (r#"SELECT '"\u0000"'::jsonb"#, place("", "")),
                (
                    "INSERT INTO indexed
                     SELECT string_agg(md5(n::text), '') FROM generate_series(1, 200) n",
                    place("indexed", "name"),
                ),
            ],
            Engine::MariaDb => vec![
                ("INSERT INTO parents VALUES (3, REPEAT('x', 21))", place("", "name")),
                ("INSERT INTO parents VALUES (2147483648, 'x')", place("", "id")),
                ("INSERT INTO parents VALUES ('one', 'x')", place("parents", "id")),
                ("INSERT INTO kinds (kind) VALUES ('c')", place("", "kind")),
                ("INSERT INTO kinds (day) VALUES ('2026-13-01')", place("kinds", "day")),
                ("SELECT CONVERT(_utf8mb4 x'ff' USING latin1)", place("", "")),
                ("SELECT 9223372036854775807 + 1", place("", "")),
                (
                    "CREATE TABLE wide (a VARCHAR(16000), b VARCHAR(16000)) CHARSET utf8mb4",
                    place("", ""),
                ),
            ],
        };
        match world.engine {
            Engine::Sqlite => session.run("CREATE TABLE strictly (n INTEGER) STRICT").await,
            Engine::Postgres => {
                let sql = "CREATE TABLE indexed (name text CONSTRAINT uq_indexed__name UNIQUE)";
                session.run(sql).await;
            }
            Engine::MariaDb => {
                session.run("CREATE TABLE kinds (kind ENUM ('a', 'b'), day DATE)").await;
            }
        }
        let mut raised = Vec::new();
        for (sql, place) in statements {
            raised.push(session.refusal(sql).await.means(Fault::DataException(place.clone())));
        }
        raised
    }

    async fn a_wall_is_told_from_other_refusals(world) on
        Sqlite sqlite ["1811"],
        Postgres postgres ["WALL1"],
        MariaDb mariadb ["1644"]
    {
        world.tag("a tag").await;
        let refused = Session::of(&world).await.refusal("UPDATE tags SET name = 'x'").await;
        assert!(matches!(&refused.fault, Fault::Wall(why) if why.contains("lock_version")));
        vec![refused]
    }

    async fn transactions_that_cannot_be_put_in_an_order_may_be_tried_again(world) on
        Sqlite sqlite ["517"],
        Postgres postgres ["40001", "40P01"],
        MariaDb mariadb ["1020", "1213"]
    {
        let (mut a, mut b) = (family(&world).await, Session::of(&world).await);
        let late = "UPDATE parents SET name = 'late' WHERE id = 2";
        let begin = match world.engine {
            Engine::Sqlite => "BEGIN DEFERRED",
            Engine::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ",
            Engine::MariaDb => "SET innodb_snapshot_isolation = ON; BEGIN",
        };
        a.run(begin).await;
        a.run("SELECT * FROM parents").await;
        b.run("UPDATE parents SET name = 'soon' WHERE id = 2").await;
        let mut raised = vec![a.refusal(late).await.means(CONTENTION)];
        a.run("ROLLBACK").await;
        if world.engine != Engine::Sqlite {
            for session in [&mut a, &mut b] {
                if world.engine == Engine::Postgres {
                    session.run("SET deadlock_timeout = '50ms'").await;
                }
                session.run("BEGIN").await;
            }
            a.run("UPDATE parents SET name = 'a' WHERE id = 1").await;
            b.run("UPDATE parents SET name = 'b' WHERE id = 2").await;
            let deadlock = crossed(
                a,
                b,
                "UPDATE parents SET name = 'a too' WHERE id = 2",
                "UPDATE parents SET name = 'b too' WHERE id = 1",
            );
            let deadlock = deadlock.await;
            assert_eq!(deadlock.len(), 1, "{deadlock:?}");
            raised.extend(deadlock.into_iter().map(|raised| raised.means(CONTENTION)));
        }
        raised
    }

    async fn whoever_waits_too_long_may_try_again(world) on
        Sqlite sqlite ["5", "6", "9"],
        Postgres postgres ["25P03", "55P03", "57014"],
        MariaDb mariadb ["1205", "1317", "1969"]
    {
        let (mut a, mut b) = (family(&world).await, Session::of(&world).await);
        let begin = match world.engine {
            Engine::Sqlite => "BEGIN IMMEDIATE",
            _ => "BEGIN",
        };
        a.run(begin).await;
        a.run("UPDATE parents SET name = 'a' WHERE id = 1").await;
        let mut raised = Vec::new();
        let change = "UPDATE parents SET name = 'b' WHERE id = 1";
        match world.engine {
            Engine::Sqlite => {
                raised.push(b.refusal(change).await);
                // A checkpoint within its own transaction.
                raised.push(a.refusal("PRAGMA wal_checkpoint").await);
                if let Session::Sqlite(on) = &mut b {
                    let mut handle = on.lock_handle().await.unwrap();
                    handle.set_progress_handler(1, || false);
                }
                raised.push(b.refusal("SELECT * FROM parents").await);
            }
            Engine::Postgres => {
                b.run("SET lock_timeout = '20ms'").await;
                raised.push(b.refusal(change).await);
                b.run("SET statement_timeout = '20ms'").await;
                raised.push(b.refusal("SELECT pg_sleep(2)").await);
                a.run("SET idle_in_transaction_session_timeout = '20ms'").await;
                tokio::time::sleep(Duration::from_millis(200)).await;
                raised.push(a.refusal("SELECT 1").await);
            }
            Engine::MariaDb => {
                // Zero does not wait at all.
                b.run("SET innodb_lock_wait_timeout = 0").await;
                raised.push(b.refusal(change).await);
                b.run("SET max_statement_time = 0.02").await;
                let long = "SELECT COUNT(*) FROM seq_1_to_100000000 a, seq_1_to_1000 b";
                raised.push(b.refusal(long).await);
                b.run("SET max_statement_time = 0").await;
                let id = connection_id(&mut b).await;
                let running = tokio::spawn(async move { b.refusal(long).await });
                tokio::time::sleep(Duration::from_millis(100)).await;
                a.run(&format!("KILL QUERY {id}")).await;
                raised.push(running.await.unwrap());
            }
        }
        raised.into_iter().map(|raised| raised.means(TIMEOUT)).collect()
    }

    async fn a_connection_that_is_cut_may_be_made_again(world) on
        Sqlite sqlite ["14"],
        Postgres postgres ["57P01", "57P05"]
    {
        let raised = if world.engine == Engine::Sqlite {
            let nowhere = Session::to(world.engine, "sqlite:/no/such/folder/here.db").await;
            vec![Raised::from(nowhere.err().expect("no file is there"))]
        } else {
            let mut session = Session::of(&world).await;
            cut_connections(world.engine, &world.database.url).await;
            let cut = session.refusal("SELECT 1").await;
            let mut session = Session::of(&world).await;
            session.run("SET idle_session_timeout = '20ms'").await;
            tokio::time::sleep(Duration::from_millis(200)).await;
            vec![cut, session.refusal("SELECT 1").await]
        };
        raised.into_iter().map(|raised| raised.means(CONNECTION_LOST)).collect()
    }

    async fn what_has_no_room_may_be_tried_again(world) on
        Sqlite sqlite ["13"],
        Postgres postgres ["53"],
        MariaDb mariadb ["1114", "1226"]
    {
        let mut session = Session::of(&world).await;
        let mut raised = Vec::new();
        match world.engine {
            Engine::Sqlite => {
                session.run("PRAGMA max_page_count = 1").await;
                let fill = "CREATE TABLE big AS SELECT zeroblob(1000000) AS content";
                raised.push(session.refusal(fill).await);
            }
            Engine::Postgres => {
                let account = Account::new(&world, "CONNECTION LIMIT 1").await;
                let first = account.log_in().await.unwrap();
                raised.push(account.log_in().await.err().expect("one is enough").into());
                drop(first);
                account.remove().await;
            }
            Engine::MariaDb => {
                session.run("SET max_heap_table_size = 16384").await;
                session.run("CREATE TABLE heap (name CHAR(255)) ENGINE = MEMORY").await;
                let fill = "INSERT INTO heap SELECT REPEAT('x', 255) FROM seq_1_to_1000";
                raised.push(session.refusal(fill).await);
                let account = Account::new(&world, "WITH MAX_USER_CONNECTIONS 1").await;
                let first = account.log_in().await.unwrap();
                raised.push(account.log_in().await.err().expect("one is enough").into());
                drop(first);
                account.remove().await;
            }
        }
        raised.into_iter().map(|raised| raised.means(EXHAUSTED)).collect()
    }

    async fn a_database_that_cannot_be_written_is_read_only(world) on
        Sqlite sqlite ["8"],
        Postgres postgres ["25006"],
        MariaDb mariadb ["1792"]
    {
        let mut session = family(&world).await;
        match world.engine {
            Engine::Sqlite => session.run("PRAGMA query_only = ON").await,
            Engine::Postgres => session.run("BEGIN READ ONLY").await,
            Engine::MariaDb => session.run("START TRANSACTION READ ONLY").await,
        }
        let refused = session.refusal("UPDATE parents SET name = 'x' WHERE id = 1").await;
        vec![refused.means(Fault::ReadOnly)]
    }

    async fn a_write_whose_connection_is_cut_may_be_tried_again(world) on
        Postgres postgres [],
        MariaDb mariadb []
    {
        let tag = world.tag("tag").await.id;
        let database = database(&world, Options::default()).await;
        let cut = lock_tags(database.clone(), vec![tag, tag], A_WHILE);
        let (cut, ()) = tokio::join!(cut, async {
            tokio::time::sleep(A_WHILE / 2).await;
            cut_connections(world.engine, &world.database.url).await;
        });
        assert_eq!(cut, Err(CONNECTION_LOST));
        let again = lock_tags(database.clone(), vec![tag], Duration::ZERO).await;
        assert_eq!(again, Ok(()));
        vec![]
    }

    async fn a_commit_whose_connection_is_cut_has_an_unknown_outcome(world) on
        Postgres postgres [],
        MariaDb mariadb []
    {
        let tag = world.tag("tag").await.id;
        let database = database(&world, Options::default()).await;
        let cut = lock_tags(database, vec![tag], A_WHILE);
        let (cut, ()) = tokio::join!(cut, async {
            tokio::time::sleep(A_WHILE / 2).await;
            cut_connections(world.engine, &world.database.url).await;
        });
        assert_eq!(cut, Err(Fault::OutcomeUnknown));
        vec![]
    }

    async fn a_damaged_database_is_for_the_operator(world) on Sqlite sqlite ["11", "26"] {
        let path = world.database.url.trim_start_matches("sqlite:").trim_start_matches("//");
        let path = path.split('?').next().unwrap();
        let mut session = Session::of(&world).await;
        session.run("PRAGMA wal_checkpoint (TRUNCATE)").await;
        let whole = std::fs::read(path).unwrap();
        let mut raised = Vec::new();
        // Its first page is left, then nothing is.
        for left in [4096, 0] {
            let mut damaged = whole.clone();
            damaged[left..].fill(0xaa);
            let file = format!("{path}.damaged");
            std::fs::write(&file, damaged).unwrap();
            let options = SqliteConnectOptions::new().filename(&file);
            let options = options.journal_mode(SqliteJournalMode::Wal);
            raised.push(match options.connect().await {
                Ok(on) => Session::Sqlite(on).refusal("SELECT * FROM posts").await,
                Err(error) => error.into(),
            });
        }
        raised.into_iter().map(Raised::stays_internal).collect()
    }
}

async fn connection_id(session: &mut Session) -> u64 {
    let Session::MariaDb(on) = session else {
        panic!("only MariaDB's connections have a number");
    };
    let id = sqlx::query_scalar("SELECT CONNECTION_ID()");
    id.fetch_one(on).await.expect("it has one")
}

/// Cuts all other connections to a database.
pub(crate) async fn cut_connections(engine: Engine, url: &str) {
    let session = Session::to(engine, url).await;
    let mut session = session.expect("a connection can be made");
    if engine == Engine::Postgres {
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
        return session.run(cut).await;
    }
    let Session::MariaDb(on) = &mut session else {
        panic!("SQLite has no connections to cut");
    };
    let others = "SELECT id FROM information_schema.processlist
                  WHERE db = DATABASE() AND id <> CONNECTION_ID()";
    let others = sqlx::query_scalar::<_, i64>(others).fetch_all(on).await;
    for id in others.expect("the connections can be listed") {
        session.run(&format!("KILL CONNECTION {id}")).await;
    }
}

/// An error that no engine here can be made to raise.
struct Constructed {
    code: Code<'static>,
    message: &'static str,
    fault: Fault,
    /// What it takes to raise it.
    takes: &'static str,
}

fn constructed() -> Vec<Constructed> {
    use Code::{Errno, SqlState, Sqlite};
    let unknown = ColumnRef::default;
    let internal = |code: Code<'_>| Fault::Internal(format!("{code}: "));
    let memory = "a server without memory";
    let network = "a network that fails half-way";
    let operator = "a setting of the whole server";
    let proxy = "a proxy that passes it on";
    let hung_up = "a driver that reads it before it sees that the server hung up";
    [
        (SqlState("08006"), "", CONNECTION_LOST, proxy),
        (SqlState("08007"), "", Fault::OutcomeUnknown, proxy),
        (
            SqlState("23001"),
            "",
            Fault::Reference(unknown()),
            "PostgreSQL 18",
        ),
        (SqlState("25P04"), "", TIMEOUT, "PostgreSQL 17"),
        (SqlState("40003"), "", Fault::OutcomeUnknown, "CockroachDB"),
        (
            SqlState("57P02"),
            "",
            CONNECTION_LOST,
            "a server that crashes",
        ),
        (
            SqlState("57P03"),
            "",
            CONNECTION_LOST,
            "a server that starts",
        ),
        (
            SqlState("58030"),
            "",
            internal(SqlState("58030")),
            "a failing disk",
        ),
        (
            SqlState("XX001"),
            "",
            internal(SqlState("XX001")),
            "a failing disk",
        ),
        (
            SqlState("XX002"),
            "",
            internal(SqlState("XX002")),
            "a failing disk",
        ),
        (SqlState("OC000"), "", CONTENTION, "Aurora DSQL"),
        (SqlState("OC001"), "", CONTENTION, "Aurora DSQL"),
        (Errno(1021), "", EXHAUSTED, "a full disk"),
        (Errno(1037), "", EXHAUSTED, memory),
        (Errno(1038), "", EXHAUSTED, memory),
        (Errno(1040), "", EXHAUSTED, operator),
        (Errno(1041), "", EXHAUSTED, memory),
        (
            Errno(1047),
            "WSREP has not yet prepared node for application use",
            CONNECTION_LOST,
            "Galera Cluster",
        ),
        (Errno(1053), "", CONNECTION_LOST, "a server that shuts down"),
        (Errno(1135), "", EXHAUSTED, memory),
        (Errno(1153), "", Fault::DataException(unknown()), hung_up),
        (Errno(1158), "", CONNECTION_LOST, network),
        (Errno(1159), "", CONNECTION_LOST, network),
        (Errno(1160), "", CONNECTION_LOST, network),
        (Errno(1161), "", CONNECTION_LOST, network),
        (Errno(1203), "", EXHAUSTED, operator),
        (Errno(1206), "", EXHAUSTED, operator),
        (
            Errno(1216),
            "",
            Fault::Reference(unknown()),
            "an account that may not see the parent",
        ),
        (
            Errno(1217),
            "",
            Fault::Reference(unknown()),
            "an account that may not see the child",
        ),
        (
            Errno(1290),
            "The MariaDB server is running with the --read-only option so it cannot …",
            Fault::ReadOnly,
            operator,
        ),
        (
            Errno(1586),
            "Duplicate entry 'a' for key 'uq_users__email_key'",
            Fault::Duplicate(place("users", "email_key")),
            "an older server",
        ),
        (Errno(1637), "", EXHAUSTED, "thousands of transactions"),
        (Errno(1836), "", Fault::ReadOnly, operator),
        (Errno(1874), "", Fault::ReadOnly, operator),
        (Errno(1927), "", CONNECTION_LOST, hung_up),
        (Errno(2006), "", CONNECTION_LOST, proxy),
        (Errno(2013), "", CONNECTION_LOST, proxy),
        (Errno(3024), "", TIMEOUT, "MySQL"),
        (Errno(3101), "", CONTENTION, "MySQL Group Replication"),
        (
            Errno(3140),
            "Invalid JSON text: \"Invalid value.\" at position 0 in value for column \
             'profiles.metadata'.",
            Fault::DataException(place("profiles", "metadata")),
            "MySQL",
        ),
        (Errno(3572), "", TIMEOUT, "MySQL"),
        (
            Errno(3819),
            "Check constraint 'ck_posts__published_at' is violated.",
            Fault::Check(place("posts", "published_at")),
            "MySQL",
        ),
        (Sqlite(7), "", EXHAUSTED, "a process without memory"),
        (Sqlite(266), "", internal(Sqlite(266)), "a failing disk"),
        (Sqlite(3082), "", EXHAUSTED, "a process without memory"),
        (Sqlite(15), "", TIMEOUT, "thousands of connections at once"),
    ]
    .into_iter()
    .map(|(code, message, fault, takes)| Constructed {
        code,
        message,
        fault,
        takes,
    })
    .collect()
}

#[test]
fn what_no_engine_here_raises_means_what_its_vendor_says() {
    for one in constructed() {
        assert_eq!(
            Fault::of_code(one.code, one.message),
            one.fault,
            "{}",
            one.code
        );
    }
}

/// What shows a row: the tests that raise it, and what it would take to raise it.
fn shown_by(row: &CodeRow) -> (Vec<&'static str>, Vec<&'static str>) {
    let provoked = PROVOKED.iter().filter(|test| {
        test.engine == engine_of(row.code) && test.rows.contains(&key(row).as_str())
    });
    let constructed = constructed().into_iter().filter(|one| {
        CodeRow::of(one.code, one.message).is_some_and(|found| key(found) == key(row))
    });
    (
        provoked.map(|test| test.test).collect(),
        constructed.map(|one| one.takes).collect(),
    )
}

#[test]
fn every_row_is_raised_by_a_test_or_marked_as_constructed() {
    for row in CODES {
        let (provoked, constructed) = shown_by(row);
        assert!(
            provoked.is_empty() != constructed.is_empty(),
            "{} is raised by {provoked:?}, and constructed where it takes {constructed:?}",
            key(row)
        );
    }
    for one in constructed() {
        let row = CodeRow::of(one.code, one.message);
        assert!(row.is_some(), "{} has no row", one.code);
    }
}

/// What a meaning becomes, whether it may be tried again, and what the domain answers.
fn words(meaning: Meaning) -> [String; 3] {
    let column = ColumnRef::default;
    let (fault, again) = match meaning {
        Meaning::Duplicate => (Fault::Duplicate(column()), "no"),
        Meaning::Reference => (Fault::Reference(column()), "no"),
        Meaning::Check => (Fault::Check(column()), "no"),
        Meaning::DataException => (Fault::DataException(column()), "no"),
        Meaning::Wall => (Fault::Wall(String::new()), "no"),
        Meaning::Transient(timing) => (Fault::Transient(timing), "yes"),
        Meaning::OutcomeUnknown => (Fault::OutcomeUnknown, "where making it twice does no harm"),
        Meaning::ReadOnly => (Fault::ReadOnly, "no"),
        Meaning::Internal => (Fault::Internal(String::new()), "no"),
    };
    let error = format!("{:?}", Error::from(fault));
    let answer = error.split([' ', '(']).next().unwrap_or_default();
    [format!("{meaning:?}"), again.into(), answer.into()]
}

#[test]
fn the_documents_show_the_faults_as_they_are() {
    let mut page = String::from(
        "# What an engine's error codes mean\n\n\
         The table that the code asks, `plimsoll_records::CODES`. A code without a row means what \
         its class does: the first two characters of a SQLSTATE, the low byte of a code of \
         SQLite. One without either is `Internal`. *Shown by* names the test that has an engine \
         raise it, or says what that would take; then a constructed error shows it.\n",
    );
    for (engine, title) in [
        (Engine::Postgres, "PostgreSQL"),
        (Engine::MariaDb, "MariaDB and MySQL"),
        (Engine::Sqlite, "SQLite"),
    ] {
        let _ = write!(
            page,
            "\n## {title}\n\n\
             | code | name | fault | try again | domain error | shown by | documented in |\n\
             |---|---|---|---|---|---|---|\n"
        );
        for row in CODES.iter().filter(|row| engine_of(row.code) == engine) {
            let told_by = row
                .told_by
                .map_or(String::new(), |it| format!(" with \"{it}\""));
            let [fault, again, answer] = words(row.meaning);
            let (tests, takes) = shown_by(row);
            let shown: Vec<String> = tests
                .iter()
                .map(|test| format!("`{test}`"))
                .chain(
                    takes
                        .iter()
                        .map(|takes| format!("constructed; it takes {takes}")),
                )
                .collect();
            let _ = writeln!(
                page,
                "| {}{told_by} | {} | {fault} | {again} | {answer} | {} | {} |",
                row.code,
                row.name,
                shown.join(", "),
                row.source
            );
        }
    }
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/faults.md");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(file, &page).expect("the page can be written");
    }
    let shown = std::fs::read_to_string(file).unwrap_or_default();
    assert_eq!(shown, page, "run this test with UPDATE=1 to write it anew");
}

/// Connections of this test's own, with these limits. They try nothing again.
async fn database(world: &World, options: Options) -> Database {
    let options = Options {
        retry: ONCE,
        ..options
    };
    Database::connect(&world.database.url, entity::register(), options)
        .await
        .expect("a connection can be made")
}

/// Locks these tags one by one, each for a while.
async fn lock_tags(database: Database, tags: Vec<TagId>, each: Duration) -> Result<(), Fault> {
    let write = database.write(Writer::system(World::beginning()), move |tx| {
        Box::pin(async move {
            for id in tags {
                let rows = Rows::<entity::tag::Entity>::live();
                rows.filter(entity::tag::Column::Id.eq(id)).lock(tx).await?;
                tokio::time::sleep(each).await;
            }
            Ok(())
        })
    });
    write.await
}

const A_WHILE: Duration = Duration::from_millis(150);

/// Tries nothing again, so that what went wrong is seen.
pub(crate) const ONCE: Retry = Retry {
    tries: 1,
    base: Duration::ZERO,
    cap: Duration::ZERO,
    total: Duration::ZERO,
};

on_every_engine! {
    async fn of_two_writes_that_wait_for_each_other_one_may_try_again(world) {
        let (one, two) = (world.tag("one").await.id, world.tag("two").await.id);
        let database = database(&world, Options::default()).await;
        let locks = [vec![one, two], vec![two, one]].map(|tags| {
            task(lock_tags(database.clone(), tags, A_WHILE))
        });
        let outcomes = at_once(locks.into()).await;
        let lost: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
        // SQLite has one writer: the second begins when the first has ended.
        match world.engine {
            Engine::Sqlite => assert_eq!(lost, []),
            _ => assert_eq!(lost, [CONTENTION]),
        }
    }

    async fn a_write_that_waits_longer_than_its_limit_may_try_again(world) {
        let tag = world.tag("tag").await.id;
        let hasty = Options {
            statement_timeout: A_WHILE,
            acquire_timeout: A_WHILE,
            ..Options::default()
        };
        let hasty = database(&world, hasty).await;
        let holder = world.store.database().clone();
        let holder = tokio::spawn(lock_tags(holder, vec![tag], A_WHILE * 5));
        tokio::time::sleep(A_WHILE).await;
        let refused = lock_tags(hasty.clone(), vec![tag], Duration::ZERO).await;
        assert_eq!(refused, Err(TIMEOUT));
        assert_eq!(holder.await.unwrap(), Ok(()));
        assert_eq!(lock_tags(hasty, vec![tag], Duration::ZERO).await, Ok(()));
    }

    async fn a_statement_that_runs_longer_than_its_limit_is_cut_off(world) {
        let slow = match world.engine {
            // It runs inside this process, which has no limit for it.
            Engine::Sqlite => return,
            Engine::Postgres => "pg_sleep(3) IS NOT NULL",
            Engine::MariaDb => "SLEEP(3) = 0",
        };
        world.tag("tag").await;
        let hasty = Options { statement_timeout: A_WHILE, ..Options::default() };
        let hasty = database(&world, hasty).await;
        let slow = Rows::<entity::tag::Entity>::live().filter(Expr::cust(slow));
        assert_eq!(slow.clone().count(&hasty.read()).await, Err(TIMEOUT));
        let write = hasty.write(Writer::system(World::beginning()), move |tx| {
            Box::pin(async move { slow.count(tx).await })
        });
        assert_eq!(write.await, Err(TIMEOUT));
        // The connections are as good as before.
        assert_eq!(Rows::<entity::tag::Entity>::live().count(&hasty.read()).await, Ok(1));
    }

    async fn a_write_that_finds_no_free_connection_may_try_again(world) {
        let few = Options {
            max_connections: 2,
            acquire_timeout: A_WHILE,
            ..Options::default()
        };
        let few = database(&world, few).await;
        let (one, two) = (world.tag("one").await.id, world.tag("two").await.id);
        let holder = tokio::spawn(lock_tags(few.clone(), vec![one], A_WHILE * 4));
        tokio::time::sleep(A_WHILE).await;
        assert_eq!(lock_tags(few.clone(), vec![two], Duration::ZERO).await, Err(TIMEOUT));
        assert_eq!(holder.await.unwrap(), Ok(()));
        few.close().await;
        let closed = lock_tags(few, vec![two], Duration::ZERO).await;
        assert_eq!(closed, Err(CONNECTION_LOST));
    }

    async fn a_value_that_an_engine_cannot_hold_names_its_field(world) {
        // Long even when it is compressed.
        let slug: String = (0..400).map(|_| Uuid::now_v7().simple().to_string()).collect();
        let row = entity::tag::ActiveModel {
            name: Set("a tag".into()),
            slug: Set(slug),
            ..Default::default()
        };
        let write = world.store.database().write(Writer::system(World::beginning()), move |tx| {
            Box::pin(async move { tx.create::<entity::tag::Entity>(row).await })
        });
        let created: Result<_, Fault> = write.await;
        match world.engine {
            Engine::Sqlite => assert!(created.is_ok(), "{created:?}"),
            _ => {
                let error = Error::from(created.unwrap_err());
                let Error::Invalid(wrong) = error else {
                    panic!("{error:?} is no fault of the input");
                };
                assert_eq!(wrong[0].path, ["input", "slug"]);
            }
        }
        // PostgreSQL alone holds no text with a NUL, not even to compare with.
        let rows = Rows::<entity::tag::Entity>::live();
        let found = rows
            .filter(entity::tag::Column::Slug.eq("a\0b"))
            .exists(&world.store.read())
            .await;
        match world.engine {
            Engine::Postgres => {
                let refused = Fault::DataException(ColumnRef::default());
                assert_eq!(found, Err(refused));
            }
            _ => assert_eq!(found, Ok(false)),
        }
    }

    async fn a_row_that_a_constraint_refuses_names_its_column(world) {
        let author = world.user("author", Role::User).await.id;
        let nobody = UserId::from(Uuid::nil());
        let outcomes = [(author, true), (nobody, false)].map(|(author_id, published)| {
            let row = entity::post::ActiveModel {
                title: Set("A post".into()),
                slug: Set("a-post".into()),
                content: Set("Text.".to_owned().into()),
                published: Set(published),
                published_at: Set(None),
                author_id: Set(author_id),
                category_id: Set(None),
                ..Default::default()
            };
            world.store.database().write(Writer::system(World::beginning()), move |tx| {
                Box::pin(async move { tx.create::<entity::post::Entity>(row).await })
            })
        });
        let [unpublished, orphan] = outcomes;
        let unpublished: Result<_, Fault> = unpublished.await;
        let published_at = Fault::Check(place("posts", "published_at"));
        assert_eq!(unpublished.unwrap_err(), published_at);
        let author = match world.engine {
            Engine::Sqlite => ColumnRef::default(),
            _ => place("posts", "author_id"),
        };
        assert_eq!(orphan.await.unwrap_err(), Fault::Reference(author));
    }
}
