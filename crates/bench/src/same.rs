//! Transfers and orders by the statements that the server runs for them, through sqlx alone.
//!
//! The statements are those of `sql/*.sql`, in their order, with PostgreSQL's placeholders and
//! locks; [`for_sqlite`] says what differs there. What they write is computed from what they read.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, ensure};
use chrono::{DateTime, SubsecRound as _, Utc};
use serde_json::{Value, json};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection, Row as _,
    SqlSafeStr as _, SqlStr, SqliteConnection,
    postgres::PgRow,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous},
};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::{
    engine::Engine,
    load::Client,
    shop::{Errand, Errands, Product, Wallet, What},
    statements::Recording,
    throwaway,
    workload::Workload,
};

const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
const COMMIT: &str = "COMMIT";

/// The statements of one request, BEGIN and COMMIT among them, each in one line.
fn statements(workload: Workload) -> Vec<String> {
    let text = match workload {
        Workload::Order => include_str!("sql/order.sql"),
        _ => include_str!("sql/transfer.sql"),
    };
    let each = text.split(';').map(in_one_line);
    each.filter(|one| !one.is_empty()).collect()
}

fn in_one_line(statement: &str) -> String {
    statement.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// How many statements a request takes, without BEGIN and COMMIT.
pub(crate) fn statements_a_request(workload: Workload) -> f64 {
    let all = statements(workload);
    let steering = |one: &&String| *one == BEGIN || *one == COMMIT;
    (all.len() - all.iter().filter(steering).count()) as f64
}

/// Refuses statements that are no longer those that the server runs.
pub(crate) fn compare(workload: Workload, recording: &Recording) -> anyhow::Result<()> {
    let ours = statements(workload);
    let theirs: Vec<String> = recording.texts().map(in_one_line).collect();
    ensure!(
        ours == theirs,
        "the server runs other statements for `{workload}` than sql/{workload}.sql has:\n{}",
        theirs.join(";\n")
    );
    Ok(())
}

/// The same statement as the server sends it to SQLite.
fn for_sqlite(statement: &str) -> String {
    if statement == BEGIN {
        return "BEGIN IMMEDIATE".into();
    }
    let statement = statement
        .trim_end_matches(" FOR SHARE")
        .trim_end_matches(" FOR NO KEY UPDATE");
    // Placeholders are in the order of their numbers.
    let mut parts = statement.split('$');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push('?');
        text.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    text.replace(
        "= ANY(?)",
        "IN (SELECT \"k\".\"k\" FROM (SELECT unhex(\"j\".\"value\") AS \"k\" \
         FROM json_each(?) AS \"j\") AS \"k\")",
    )
}

/// The value of a parameter.
#[derive(Clone, Debug)]
enum Argument {
    Id(Uuid),
    NoId,
    /// A list of ids: an array, or JSON.
    Ids(Vec<Uuid>),
    Text(String),
    NoText,
    Small(i32),
    NoSmall,
    Number(i64),
    True,
    Time(DateTime<Utc>),
    Json(Value),
}
use Argument::{Id, Ids, Json, NoId, NoSmall, NoText, Number, Small, Text, Time, True};

fn text(text: &str) -> Argument {
    Text(text.into())
}

enum Row {
    Postgres(PgRow),
    Sqlite(SqliteRow),
}

impl Row {
    fn id(&self, column: &str) -> Result<Uuid, sqlx::Error> {
        match self {
            Self::Postgres(row) => row.try_get(column),
            Self::Sqlite(row) => row.try_get(column),
        }
    }

    fn small(&self, column: &str) -> Result<i32, sqlx::Error> {
        match self {
            Self::Postgres(row) => row.try_get(column),
            Self::Sqlite(row) => row.try_get(column),
        }
    }

    fn number(&self, column: &str) -> Result<i64, sqlx::Error> {
        match self {
            Self::Postgres(row) => row.try_get(column),
            Self::Sqlite(row) => row.try_get(column),
        }
    }
}

/// A connection that a statement runs on.
enum On<'a> {
    Postgres(&'a mut PgConnection),
    Sqlite(&'a mut SqliteConnection),
}

/// The statements of one request, run one after the other.
struct Script<'a> {
    on: On<'a>,
    statements: std::slice::Iter<'a, SqlStr>,
}

impl Script<'_> {
    /// Runs the next statement.
    async fn next(&mut self, arguments: Vec<Argument>) -> anyhow::Result<Vec<Row>> {
        let sql = self
            .statements
            .next()
            .context("there are fewer statements")?;
        macro_rules! run {
            ($connection:expr, $row:ident, |$query:ident, $ids:ident| $bound:expr) => {{
                let mut query = sqlx::query(sql.clone());
                for argument in arguments {
                    query = match argument {
                        Id(id) => query.bind(id),
                        NoId => query.bind(None::<Uuid>),
                        Ids($ids) => {
                            let $query = query;
                            $bound
                        }
                        Text(text) => query.bind(text),
                        NoText => query.bind(None::<String>),
                        Small(number) => query.bind(number),
                        NoSmall => query.bind(None::<i32>),
                        Number(number) => query.bind(number),
                        True => query.bind(true),
                        Time(time) => query.bind(time),
                        Json(json) => query.bind(json),
                    };
                }
                let rows = query.fetch_all(&mut **$connection).await?;
                Ok(rows.into_iter().map(Row::$row).collect())
            }};
        }
        match &mut self.on {
            On::Postgres(connection) => run!(connection, Postgres, |query, ids| query.bind(ids)),
            On::Sqlite(connection) => run!(connection, Sqlite, |query, ids| {
                let ids: Vec<String> = ids.iter().map(|id| id.simple().to_string()).collect();
                query.bind(json!(ids).to_string())
            }),
        }
    }

    /// Runs the next statement, which is BEGIN or COMMIT.
    async fn steer(&mut self) -> anyhow::Result<()> {
        let sql = self
            .statements
            .next()
            .context("there are fewer statements")?;
        self.plain(sql.clone()).await
    }

    async fn plain(&mut self, sql: SqlStr) -> anyhow::Result<()> {
        let sql = sqlx::raw_sql(sql);
        match &mut self.on {
            On::Postgres(connection) => connection.execute(sql).await.map(drop)?,
            On::Sqlite(connection) => connection.execute(sql).await.map(drop)?,
        }
        Ok(())
    }
}

/// Where the clients are.
pub(crate) struct Place {
    engine: Engine,
    url: String,
    /// SQLite's one connection that writes. Who waits for it has it in turn.
    writer: Option<Arc<Mutex<SqliteConnection>>>,
    /// What the server looks up for the token of a user.
    logins: Arc<HashMap<Uuid, String>>,
    retries: Arc<AtomicU64>,
}

/// Opens a file as the server does.
async fn sqlite(url: &str) -> anyhow::Result<SqliteConnection> {
    let options: SqliteConnectOptions = url.parse()?;
    let options = options
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .pragma("recursive_triggers", "ON")
        .busy_timeout(Duration::from_secs(5))
        .disable_statement_logging();
    Ok(SqliteConnection::connect_with(&options).await?)
}

impl Place {
    /// Each retry of the clients adds one to `retries`.
    pub(crate) async fn open(
        engine: Engine,
        url: &str,
        retries: Arc<AtomicU64>,
    ) -> anyhow::Result<Self> {
        let query = "SELECT user_id, token_hash FROM login_sessions";
        let (logins, writer): (Vec<(Uuid, String)>, _) = match engine {
            Engine::Postgres => {
                let mut connection = throwaway::connect(url).await?;
                let logins = sqlx::query_as(query).fetch_all(&mut connection).await?;
                connection.close().await?;
                (logins, None)
            }
            Engine::Sqlite => {
                let mut connection = sqlite(url).await?;
                let logins = sqlx::query_as(query).fetch_all(&mut connection).await?;
                (logins, Some(Arc::new(Mutex::new(connection))))
            }
        };
        Ok(Self {
            engine,
            url: url.to_owned(),
            writer,
            logins: Arc::new(logins.into_iter().collect()),
            retries,
        })
    }

    /// A client with these errands.
    pub(crate) async fn client(&self, errands: Errands) -> anyhow::Result<Same> {
        let connection = match &self.writer {
            None => Connections::Postgres(throwaway::connect(&self.url).await?),
            Some(writer) => Connections::Sqlite {
                reader: sqlite(&self.url).await?,
                writer: writer.clone(),
            },
        };
        let statements = statements(errands.workload()).into_iter().map(|one| {
            let text: Arc<str> = match self.engine {
                Engine::Postgres => one.into(),
                Engine::Sqlite => for_sqlite(&one).into(),
            };
            AssertSqlSafe(text).into_sql_str()
        });
        Ok(Same {
            connection,
            statements: statements.collect(),
            errands,
            logins: self.logins.clone(),
            retries: self.retries.clone(),
        })
    }
}

enum Connections {
    Postgres(PgConnection),
    Sqlite {
        reader: SqliteConnection,
        writer: Arc<Mutex<SqliteConnection>>,
    },
}

/// A client that runs the statements of one workload.
pub(crate) struct Same {
    connection: Connections,
    statements: Vec<SqlStr>,
    errands: Errands,
    logins: Arc<HashMap<Uuid, String>>,
    retries: Arc<AtomicU64>,
}

impl Client for Same {
    async fn request(&mut self) -> anyhow::Result<()> {
        let errand = self.errands.next()?;
        let wallet = self.errands.wallet(&errand);
        let login = self.logins.get(&wallet.owner).context("not logged in")?;
        let now = Utc::now().trunc_subsecs(6);
        let (first, rest) = self.statements.split_at(1);
        let mut script = Script {
            on: match &mut self.connection {
                Connections::Postgres(connection) => On::Postgres(connection),
                Connections::Sqlite { reader, .. } => On::Sqlite(reader),
            },
            statements: first.iter(),
        };
        let arguments = vec![True, text(login), Time(Utc::now()), Number(1)];
        let viewer = script.next(arguments).await?;
        ensure!(viewer.len() == 1, "the login is gone");
        let work = Work {
            errand: &errand,
            wallet,
            now,
            request: Uuid::now_v7(),
        };
        loop {
            let done = match &mut self.connection {
                Connections::Postgres(connection) => {
                    work.transact(On::Postgres(connection), rest).await
                }
                Connections::Sqlite { writer, .. } => {
                    let mut writer = writer.lock().await;
                    work.transact(On::Sqlite(&mut writer), rest).await
                }
            };
            match done {
                Err(error) if passes(&error) => self.retries.fetch_add(1, Ordering::Relaxed),
                done => return done,
            };
        }
    }
}

/// Whether it is a deadlock, a serialization failure, or SQLite's lock that somebody else has.
fn passes(error: &anyhow::Error) -> bool {
    let Some(sqlx::Error::Database(error)) = error.downcast_ref() else {
        return false;
    };
    let code = error.code();
    matches!(code.as_deref(), Some("40001" | "40P01" | "5" | "517"))
}

/// One request, behind the look at its token.
struct Work<'a> {
    errand: &'a Errand,
    wallet: &'a Wallet,
    now: DateTime<Utc>,
    request: Uuid,
}

/// A record that was locked.
struct Held {
    id: Uuid,
    version: i32,
    /// Its balance or quantity.
    amount: i64,
}

/// What a transaction wrote, and the log does not say yet.
struct Change {
    action: &'static str,
    record_type: &'static str,
    id: Uuid,
    versions: (Option<i32>, i32),
    changes: Value,
}

impl Change {
    fn update(record_type: &'static str, held: &Held, column: &str, now: i64) -> Self {
        Self {
            action: "update",
            record_type,
            id: held.id,
            versions: (Some(held.version), held.version + 1),
            changes: json!({ column: [held.amount, now] }),
        }
    }
}

impl Work<'_> {
    async fn transact(&self, on: On<'_>, statements: &[SqlStr]) -> anyhow::Result<()> {
        let mut script = Script {
            on,
            statements: statements.iter(),
        };
        let done = self.work(&mut script).await;
        if done.is_err() {
            script.plain("ROLLBACK".into_sql_str()).await?;
        }
        done
    }

    async fn work(&self, script: &mut Script<'_>) -> anyhow::Result<()> {
        script.steer().await?;
        let arguments = vec![Id(self.wallet.owner), True, text("USER"), Number(1)];
        let there = script.next(arguments).await?;
        ensure!(there.len() == 1, "the user is gone");
        let claim = self.claim(script).await?;
        let (record_type, id, changes) = match &self.errand.what {
            What::Transfer { to, amount } => self.transfer(script, *to, *amount).await?,
            What::Order { products } => self.order(script, products).await?,
        };
        let results = Json(json!([[id, 0]]));
        script
            .next(vec![text(record_type), results, Id(claim)])
            .await?;
        self.log(script, changes).await?;
        script.steer().await?;
        ensure!(script.statements.len() == 0, "there are more statements");
        Ok(())
    }

    /// Takes the key.
    async fn claim(&self, script: &mut Script<'_>) -> anyhow::Result<Uuid> {
        let id = Uuid::now_v7();
        let hash = format!("{}{}", id.simple(), self.errand.key.simple());
        let expires_at = self.now + chrono::Duration::hours(24);
        let arguments = vec![
            Id(id),
            Id(self.wallet.owner),
            Text(self.errand.key.to_string()),
            Text(hash),
            NoText,
            Json(json!([])),
            Time(expires_at),
            Time(self.now),
            Time(self.now),
        ];
        script.next(arguments).await?;
        Ok(id)
    }
}

impl Work<'_> {
    async fn transfer(
        &self,
        script: &mut Script<'_>,
        to: Uuid,
        amount: i64,
    ) -> anyhow::Result<Done> {
        let from = self.wallet.account;
        // One more than there are is asked for, to see that there are no more.
        let accounts = script.next(vec![Id(from), Id(to), Number(3)]).await?;
        let accounts = held(&accounts, |row| row.number("balance"))?;
        let after = |account: &Held| {
            let change = if account.id == from { -amount } else { amount };
            account.amount + change
        };
        let arms = accounts
            .iter()
            .flat_map(|account| [Id(account.id), Number(after(account))]);
        self.update_each(script, &accounts, arms.collect()).await?;
        let id = Uuid::now_v7();
        self.write_down(script, id, "TRANSFER", [Some(from), Some(to)], amount, None)
            .await?;
        let mut entries = Vec::new();
        for (account, amount) in [(from, -amount), (to, amount)] {
            let balance = accounts.iter().find(|one| one.id == account).map(after);
            let balance = balance.context("an account is not there")?;
            entries.extend(self.entry(id, account, amount, balance));
        }
        script.next(entries).await?;
        let changes = accounts
            .iter()
            .map(|account| Change::update("account", account, "balance", after(account)));
        Ok(("transfer", id, changes.collect()))
    }

    async fn order(
        &self,
        script: &mut Script<'_>,
        products: &[Product; 2],
    ) -> anyhow::Result<Done> {
        let ids = products.map(|product| product.id);
        let [one, other] = ids;
        let users = script.next(vec![Ids(vec![self.wallet.owner])]).await?;
        ensure!(users.len() == 1, "the user is gone");
        let sold = script.next(vec![Id(one), Id(other), Number(2)]).await?;
        let mut total = 0;
        for product in &sold {
            total += product.number("price_amount")?;
        }
        let stock = script.next(vec![Id(one), Id(other), Number(101)]).await?;
        let stock = held(&stock, |row| row.small("quantity").map(i64::from))?;
        let mut arms = Vec::new();
        for inventory in &stock {
            arms.push(Id(inventory.id));
            arms.push(Small(i32::try_from(inventory.amount - 1)?));
        }
        self.update_each(script, &stock, arms).await?;
        let arguments = vec![Id(self.wallet.owner), text("EUR"), Number(1)];
        let account = script.next(arguments).await?;
        let account = held(&account, |row| row.number("balance"))?;
        let account = account.first().context("there is no account")?;

        let id = Uuid::now_v7();
        let order = vec![
            Id(id),
            Id(self.wallet.owner),
            Id(account.id),
            text("PAID"),
            Number(total),
            text("EUR"),
            Small(0),
            Time(self.now),
            Time(self.now),
        ];
        script.next(order).await?;
        let mut items = Vec::new();
        for (product, position) in products.iter().zip(0..) {
            items.extend([
                Id(Uuid::now_v7()),
                Time(self.now),
                Id(id),
                Id(product.id),
                Small(position),
                Small(1),
                Number(product.price),
            ]);
        }
        script.next(items).await?;

        let left = account.amount - total;
        let paid = vec![
            Small(1),
            Time(self.now),
            Number(left),
            Id(account.id),
            Small(account.version),
        ];
        let paid = script.next(paid).await?;
        ensure!(paid.len() == 1, "an account was changed by somebody else");
        let transfer = Uuid::now_v7();
        let sides = [Some(account.id), None];
        self.write_down(script, transfer, "PAYMENT", sides, total, Some(id))
            .await?;
        let entry = self.entry(transfer, account.id, -total, left);
        script.next(entry.into()).await?;

        let mut changes: Vec<Change> = stock
            .iter()
            .map(|one| Change::update("inventory", one, "quantity", one.amount - 1))
            .collect();
        changes.push(Change {
            action: "create",
            record_type: "order",
            id,
            versions: (None, 0),
            changes: json!({
                "account_id": [null, account.id],
                "buyer_id": [null, self.wallet.owner],
                "currency": [null, "EUR"],
                "status": [null, "PAID"],
                "total_amount": [null, total],
            }),
        });
        changes.push(Change::update("account", account, "balance", left));
        Ok(("order", id, changes))
    }

    /// Changes records that are held, each to a value of its own.
    async fn update_each(
        &self,
        script: &mut Script<'_>,
        held: &[Held],
        arms: Vec<Argument>,
    ) -> anyhow::Result<()> {
        ensure!(held.len() == 2, "{} of 2 rows were locked", held.len());
        let mut arguments = vec![Small(1), Time(self.now)];
        arguments.extend(arms);
        arguments.push(Ids(held.iter().map(|one| one.id).collect()));
        let written = script.next(arguments).await?;
        ensure!(
            written.len() == held.len(),
            "{} rows were changed",
            written.len()
        );
        Ok(())
    }

    /// Writes a transfer from one account to another.
    async fn write_down(
        &self,
        script: &mut Script<'_>,
        id: Uuid,
        kind: &str,
        [from, to]: [Option<Uuid>; 2],
        amount: i64,
        order: Option<Uuid>,
    ) -> anyhow::Result<()> {
        let arguments = vec![
            Id(id),
            Time(self.now),
            text(kind),
            from.map_or(NoId, Id),
            to.map_or(NoId, Id),
            Number(amount),
            text("EUR"),
            order.map_or(NoId, Id),
            Id(self.wallet.owner),
        ];
        script.next(arguments).await?;
        Ok(())
    }

    fn entry(&self, transfer: Uuid, account: Uuid, amount: i64, balance: i64) -> [Argument; 6] {
        [
            Id(Uuid::now_v7()),
            Time(self.now),
            Id(transfer),
            Id(account),
            Number(amount),
            Number(balance),
        ]
    }

    async fn log(&self, script: &mut Script<'_>, changes: Vec<Change>) -> anyhow::Result<()> {
        let mut arguments = Vec::new();
        for change in changes {
            let (from, to) = change.versions;
            arguments.extend([
                Id(Uuid::now_v7()),
                Time(self.now),
                Id(self.wallet.owner),
                text(change.action),
                text(change.record_type),
                Id(change.id),
                from.map_or(NoSmall, Small),
                Small(to),
                Json(change.changes),
                Id(self.request),
            ]);
        }
        script.next(arguments).await?;
        Ok(())
    }
}

/// What came of a request: the type and the id of its record, and what was changed.
type Done = (&'static str, Uuid, Vec<Change>);

fn held(
    rows: &[Row],
    amount: impl Fn(&Row) -> Result<i64, sqlx::Error>,
) -> Result<Vec<Held>, sqlx::Error> {
    let one = |row: &Row| {
        Ok(Held {
            id: row.id("id")?,
            version: row.small("lock_version")?,
            amount: amount(row)?,
        })
    };
    rows.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_gets_no_locks_no_arrays_and_no_numbers() {
        let of = |statement| for_sqlite(statement);
        assert_eq!(of(BEGIN), "BEGIN IMMEDIATE");
        assert_eq!(of(COMMIT), COMMIT);
        assert_eq!(of("SELECT $1 LIMIT $12 FOR SHARE"), "SELECT ? LIMIT ?");
        assert_eq!(
            of("SELECT a WHERE id = ANY($1) ORDER BY a FOR NO KEY UPDATE"),
            "SELECT a WHERE id IN (SELECT \"k\".\"k\" FROM (SELECT unhex(\"j\".\"value\") AS \"k\" \
             FROM json_each(?) AS \"j\") AS \"k\") ORDER BY a"
        );
    }

    #[test]
    fn a_request_is_a_look_at_its_token_and_a_transaction() {
        for workload in [Workload::Transfer, Workload::Order] {
            let all = statements(workload);
            assert!(all[0].contains("\"token_hash\" = $2"));
            assert_eq!(all[1], BEGIN);
            assert_eq!(all.last().map(String::as_str), Some(COMMIT));
        }
        assert_eq!(statements_a_request(Workload::Transfer), 9.0);
        assert_eq!(statements_a_request(Workload::Order), 15.0);
    }
}
