//! A look at the database from outside, past Plimsoll: every value comes back as text.

use anyhow::Context as _;
use sqlx::{
    AssertSqlSafe, ColumnIndex, ConnectOptions as _, Connection as _, Database, Decode,
    MySqlConnection, PgConnection, Row, SqliteConnection, Type, mysql::MySqlConnectOptions,
    postgres::PgConnectOptions, sqlite::SqliteConnectOptions,
};

use crate::engine::Engine;

/// One row: its columns as text, `None` for NULL.
pub(crate) type Cells = Vec<Option<String>>;

/// A connection to the database itself.
pub(crate) enum Look {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
    MariaDb(MySqlConnection),
}

impl Look {
    pub(crate) async fn at(engine: Engine, url: &str) -> anyhow::Result<Self> {
        Ok(match engine {
            Engine::Sqlite => {
                let options: SqliteConnectOptions = url.parse()?;
                Self::Sqlite(options.disable_statement_logging().connect().await?)
            }
            Engine::Postgres => {
                let options: PgConnectOptions = url.parse()?;
                Self::Postgres(options.disable_statement_logging().connect().await?)
            }
            Engine::MariaDb => {
                let options: MySqlConnectOptions = url.parse()?;
                Self::MariaDb(options.disable_statement_logging().connect().await?)
            }
        })
    }

    pub(crate) async fn ping(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Sqlite(connection) => connection.ping().await?,
            Self::Postgres(connection) => connection.ping().await?,
            Self::MariaDb(connection) => connection.ping().await?,
        }
        Ok(())
    }

    /// The rows of a query. Each of its columns is `{id:NAME}` for a UUID in 32 hexadecimal
    /// digits, `{text:EXPRESSION}` for anything else, or text already.
    pub(crate) async fn rows(&mut self, query: &str) -> anyhow::Result<Vec<Cells>> {
        let sql = self.spelt(query);
        let failed = || format!("the query failed: {sql}");
        match self {
            Self::Sqlite(connection) => {
                let rows = sqlx::query(AssertSqlSafe(sql.clone()));
                let rows = rows.fetch_all(connection).await.with_context(failed)?;
                rows.iter().map(cells).collect()
            }
            Self::Postgres(connection) => {
                let rows = sqlx::query(AssertSqlSafe(sql.clone()));
                let rows = rows.fetch_all(connection).await.with_context(failed)?;
                rows.iter().map(cells).collect()
            }
            Self::MariaDb(connection) => {
                let rows = sqlx::query(AssertSqlSafe(sql.clone()));
                let rows = rows.fetch_all(connection).await.with_context(failed)?;
                rows.iter().map(cells).collect()
            }
        }
    }

    /// The one number that a query comes to; its column is `{text:EXPRESSION}`.
    pub(crate) async fn number(&mut self, query: &str) -> anyhow::Result<i64> {
        let rows = self.rows(query).await?;
        let cell = rows.first().and_then(|row| row.first()).cloned().flatten();
        let cell = cell.with_context(|| format!("no number: {query}"))?;
        cell.parse()
            .with_context(|| format!("no number but {cell}: {query}"))
    }

    /// Runs a statement that answers with nothing.
    pub(crate) async fn run(&mut self, statement: &str) -> anyhow::Result<()> {
        let sql = AssertSqlSafe(statement.to_owned());
        match self {
            Self::Sqlite(connection) => sqlx::raw_sql(sql).execute(connection).await.map(|_| ())?,
            Self::Postgres(connection) => {
                sqlx::raw_sql(sql).execute(connection).await.map(|_| ())?
            }
            Self::MariaDb(connection) => {
                sqlx::raw_sql(sql).execute(connection).await.map(|_| ())?
            }
        }
        Ok(())
    }

    fn spelt(&self, query: &str) -> String {
        let mut sql = String::new();
        let mut rest = query;
        while let Some((before, behind)) = rest.split_once('{') {
            let (inside, after) = behind.split_once('}').unwrap_or((behind, ""));
            sql.push_str(before);
            let (kind, expression) = inside.split_once(':').unwrap_or(("text", inside));
            sql.push_str(&match (self, kind) {
                (Self::Postgres(_), "id") => format!("replace({expression}::text, '-', '')"),
                (_, "id") => format!("LOWER(HEX({expression}))"),
                (Self::MariaDb(_), _) => format!("CAST({expression} AS CHAR)"),
                (_, _) => format!("CAST({expression} AS TEXT)"),
            });
            rest = after;
        }
        sql.push_str(rest);
        sql
    }
}

fn cells<R>(row: &R) -> anyhow::Result<Cells>
where
    R: Row,
    usize: ColumnIndex<R>,
    for<'r> Option<String>: Decode<'r, R::Database>,
    Option<String>: Type<R::Database>,
    R::Database: Database,
{
    (0..row.len())
        .map(|at| Ok(row.try_get::<Option<String>, _>(at)?))
        .collect()
}
