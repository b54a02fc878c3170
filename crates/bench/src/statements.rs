//! The statements that the server runs for one request: taken from PostgreSQL's log, and run
//! again through sqlx alone.

use std::{path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, bail, ensure};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::{
    Arguments as _, AssertSqlSafe, Connection as _, Either, Executor as _, PgConnection,
    SqlSafeStr as _, SqlStr, Statement as _, Type, TypeInfo as _,
    postgres::{PgArguments, PgTypeInfo, types::Oid},
};
use uuid::Uuid;

use crate::{
    fixture::SPECIMEN_VERSION,
    load::Client,
    throwaway::{self, Postgres},
    workload::{MIXED, Post, Walk, Workload},
};

/// The title that the recorded write gives: no other text of a statement is the same.
pub(crate) const SPECIMEN_TITLE: &str = "The title that is recorded";

/// Leaves a type to PostgreSQL (its documentation, "Message Formats", Parse).
const UNSPECIFIED: Oid = Oid(0);

/// How long the server's log may take to be written.
const LOG_LIMIT: Duration = Duration::from_secs(5);

/// One statement, as the server sent it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Recorded {
    sql: String,
    /// The values of its parameters, as PostgreSQL writes them; none for NULL.
    parameters: Vec<Option<String>>,
    /// BEGIN and COMMIT are sent as they are.
    prepared: bool,
}

/// The statements of one request, and when it was asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Recording {
    asked: DateTime<Utc>,
    statements: Vec<Recorded>,
}

impl Recording {
    /// How many statements there are, without BEGIN and COMMIT.
    pub(crate) fn len(&self) -> usize {
        let prepared = self.statements.iter().filter(|one| one.prepared);
        prepared.count()
    }

    /// Their texts, BEGIN and COMMIT among them.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        self.statements.iter().map(|one| one.sql.as_str())
    }
}

/// PostgreSQL's log, while statements are written to it.
#[derive(Debug)]
pub(crate) struct Recorder {
    connection: PgConnection,
    log: PathBuf,
    read: usize,
}

impl Recorder {
    /// From here on the server logs each statement.
    pub(crate) async fn start(postgres: &Postgres) -> anyhow::Result<Self> {
        let connection = throwaway::connect(&postgres.url).await?;
        let log = postgres.log.clone();
        let mut recorder = Self {
            connection,
            log,
            read: 0,
        };
        recorder
            .set("ALTER SYSTEM SET log_statement = 'all'")
            .await?;
        Ok(recorder)
    }

    /// From here on it logs none.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.set("ALTER SYSTEM RESET log_statement").await?;
        Ok(self.connection.close().await?)
    }

    async fn set(&mut self, statement: &'static str) -> anyhow::Result<()> {
        self.connection.execute(statement).await?;
        self.connection.execute("SELECT pg_reload_conf()").await?;
        // Each process of the server takes it up before its next statement.
        tokio::time::sleep(Duration::from_millis(300)).await;
        Ok(())
    }

    /// The statements that ran while `request` was asked.
    pub(crate) async fn record(
        &mut self,
        request: impl Future<Output = anyhow::Result<()>>,
    ) -> anyhow::Result<Recording> {
        self.new_lines().await?;
        let asked = Utc::now();
        request.await?;
        // The server's log lies behind a pipe: this comes out of it last.
        let mark = format!("SELECT '{}'", Uuid::now_v7());
        self.connection
            .execute(AssertSqlSafe(mark.as_str()))
            .await?;
        let begun = std::time::Instant::now();
        let mut lines = Vec::new();
        while !lines
            .iter()
            .any(|line: &Value| message(line).ends_with(&mark))
        {
            ensure!(
                begun.elapsed() < LOG_LIMIT,
                "PostgreSQL's log does not come"
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
            lines.extend(self.new_lines().await?);
        }
        let statements: anyhow::Result<Vec<Recorded>> = lines
            .iter()
            .filter(|line| line["application_name"] == "plimsoll")
            .filter_map(|line| recorded(line).transpose())
            .collect();
        let statements = statements?;
        ensure!(!statements.is_empty(), "the server ran no statement");
        Ok(Recording { asked, statements })
    }

    /// What was logged since the last call.
    async fn new_lines(&mut self) -> anyhow::Result<Vec<Value>> {
        let text = tokio::fs::read(&self.log).await?;
        let new = text.get(self.read..).context("the log became shorter")?;
        // The last line may not be whole yet.
        let end = new.iter().rposition(|byte| *byte == b'\n');
        let whole = &new[..end.map_or(0, |at| at + 1)];
        self.read += whole.len();
        let lines = whole.split(|byte| *byte == b'\n');
        let lines = lines.filter(|line| !line.is_empty());
        Ok(lines
            .map(serde_json::from_slice)
            .collect::<Result<_, _>>()?)
    }
}

fn message(line: &Value) -> &str {
    line["message"].as_str().unwrap_or_default()
}

/// The statement that a line of the log is about, if it is about one.
fn recorded(line: &Value) -> anyhow::Result<Option<Recorded>> {
    let message = message(line);
    if let Some(sql) = message.strip_prefix("statement: ") {
        return Ok(Some(Recorded {
            sql: sql.to_owned(),
            parameters: Vec::new(),
            prepared: false,
        }));
    }
    let Some((_, sql)) = message
        .strip_prefix("execute ")
        .and_then(|rest| rest.split_once(": "))
    else {
        return Ok(None);
    };
    let detail = line["detail"].as_str().unwrap_or_default();
    Ok(Some(Recorded {
        sql: sql.to_owned(),
        parameters: parameters(detail)?,
        prepared: true,
    }))
}

/// Reads `parameters: $1 = 'a text, with '' in it', $2 = NULL`.
fn parameters(detail: &str) -> anyhow::Result<Vec<Option<String>>> {
    let mut values = Vec::new();
    let Some(mut rest) = detail.find("$1 = ").map(|at| &detail[at..]) else {
        return Ok(values);
    };
    loop {
        let (_, value) = rest.split_once(" = ").context("a parameter has no value")?;
        if let Some(after) = value.strip_prefix("NULL") {
            values.push(None);
            rest = after;
        } else {
            let mut text = String::new();
            let mut quoted = value.strip_prefix('\'').context("a value is not quoted")?;
            loop {
                let (part, after) = quoted.split_once('\'').context("a value does not end")?;
                text.push_str(part);
                match after.strip_prefix('\'') {
                    Some(more) => {
                        text.push('\'');
                        quoted = more;
                    }
                    None => {
                        rest = after;
                        break;
                    }
                }
            }
            values.push(Some(text));
        }
        match rest.strip_prefix(", ") {
            Some(more) => rest = more,
            None => return Ok(values),
        }
    }
}

/// The value of a parameter, of the type that the statement has there.
#[derive(Clone, Debug)]
enum Parameter {
    Uuid(Option<Uuid>),
    Uuids(Option<Vec<Uuid>>),
    Text(Option<String>),
    Integer(Option<i32>),
    Long(Option<i64>),
    Bool(Option<bool>),
    Time(Option<DateTime<Utc>>),
    Json(Option<Value>),
    /// What differs from write to write: the id of the post, its version and the next one, its
    /// new title, the time, and the ids of new rows.
    Post,
    Version,
    NextVersion,
    Title,
    Now,
    NewId,
}

impl Parameter {
    fn read(
        kind: &str,
        text: Option<&str>,
        recording: &Recording,
        specimen: Uuid,
    ) -> anyhow::Result<Self> {
        let time = |text: &str| DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%#z");
        Ok(match kind {
            "UUID" => match text.map(str::parse::<Uuid>).transpose()? {
                Some(id) if id == specimen => Self::Post,
                Some(id) if is_made_since(id, recording.asked) => Self::NewId,
                other => Self::Uuid(other),
            },
            "UUID[]" => {
                let list = text.map(|text| text.trim_matches(['{', '}']));
                let ids = list.map(|list| {
                    let ids = list.split(',').filter(|id| !id.is_empty());
                    ids.map(str::parse).collect::<Result<_, _>>()
                });
                Self::Uuids(ids.transpose()?)
            }
            "TEXT" | "VARCHAR" => match text {
                Some(SPECIMEN_TITLE) => Self::Title,
                other => Self::Text(other.map(str::to_owned)),
            },
            "INT4" => match text.map(str::parse::<i32>).transpose()? {
                Some(SPECIMEN_VERSION) => Self::Version,
                Some(next) if next == SPECIMEN_VERSION + 1 => Self::NextVersion,
                other => Self::Integer(other),
            },
            "INT8" => Self::Long(text.map(str::parse).transpose()?),
            "BOOL" => Self::Bool(text.map(|text| text == "t")),
            "TIMESTAMPTZ" => match text.map(time).transpose()? {
                Some(time) if time >= recording.asked - Duration::from_secs(1) => Self::Now,
                other => Self::Time(other.map(Into::into)),
            },
            "JSON" | "JSONB" => Self::Json(text.map(serde_json::from_str).transpose()?),
            other => bail!("a parameter is of the type {other}, which is not known here"),
        })
    }

    fn add(
        &self,
        arguments: &mut PgArguments,
        post: Post,
        title: &str,
        now: DateTime<Utc>,
    ) -> anyhow::Result<()> {
        let added = match self {
            Self::Uuid(value) => arguments.add(value),
            Self::Uuids(value) => arguments.add(value),
            Self::Text(value) => arguments.add(value),
            Self::Integer(value) => arguments.add(value),
            Self::Long(value) => arguments.add(value),
            Self::Bool(value) => arguments.add(value),
            Self::Time(value) => arguments.add(value),
            Self::Json(value) => arguments.add(value),
            Self::Post => arguments.add(post.id),
            Self::Version => arguments.add(post.version),
            Self::NextVersion => arguments.add(post.version + 1),
            Self::Title => arguments.add(title),
            Self::Now => arguments.add(now),
            Self::NewId => arguments.add(Uuid::now_v7()),
        };
        added.map_err(anyhow::Error::from_boxed)
    }
}

/// Whether an id of version 7 was made since then.
fn is_made_since(id: Uuid, then: DateTime<Utc>) -> bool {
    let made = id.get_timestamp().map(|made| made.to_unix().0);
    let then = u64::try_from(then.timestamp()).unwrap_or_default();
    made.is_some_and(|made| made >= then)
}

#[derive(Clone, Debug)]
enum Step {
    /// Sent as it is.
    Plain(SqlStr),
    Prepared(SqlStr, Vec<Parameter>),
}

/// A client that runs recorded statements, and drops the rows that they answer.
pub(crate) struct Replay {
    connection: PgConnection,
    workload: Workload,
    reads: Vec<Vec<Step>>,
    write: Vec<Step>,
    posts: Walk,
    asked: usize,
}

/// What was recorded for one workload: requests that read, and one that writes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Recordings {
    pub(crate) reads: Vec<Recording>,
    pub(crate) write: Option<Recording>,
    /// The post that the recorded write is about.
    pub(crate) specimen: Uuid,
}

impl Recordings {
    /// How many statements a request of this workload takes, without BEGIN and COMMIT.
    pub(crate) fn statements_a_request(&self, workload: Workload) -> f64 {
        let turns = (0..MIXED).map(|n| match (workload.turn(n), &self.write) {
            (Workload::Write, Some(write)) => write.len(),
            _ => self.reads.first().map_or(0, Recording::len),
        });
        turns.sum::<usize>() as f64 / MIXED as f64
    }
}

impl Replay {
    pub(crate) async fn open(
        url: &str,
        workload: Workload,
        recordings: &Recordings,
        posts: Walk,
    ) -> anyhow::Result<Self> {
        let mut connection = throwaway::connect(url).await?;
        let mut reads = Vec::new();
        for recording in &recordings.reads {
            reads.push(steps(&mut connection, recording, recordings.specimen).await?);
        }
        let write = match &recordings.write {
            Some(write) => steps(&mut connection, write, recordings.specimen).await?,
            None => Vec::new(),
        };
        Ok(Self {
            connection,
            workload,
            reads,
            write,
            asked: posts.client(),
            posts,
        })
    }
}

async fn steps(
    connection: &mut PgConnection,
    recording: &Recording,
    specimen: Uuid,
) -> anyhow::Result<Vec<Step>> {
    let mut steps = Vec::new();
    for one in &recording.statements {
        let sql: Arc<str> = one.sql.as_str().into();
        let sql = AssertSqlSafe(sql).into_sql_str();
        if !one.prepared {
            steps.push(Step::Plain(sql));
            continue;
        }
        let declared: Vec<PgTypeInfo> = one.parameters.iter().map(declared).collect();
        let prepared = connection.prepare_with(sql.clone(), &declared).await?;
        let kinds = match prepared.parameters() {
            Some(Either::Left(kinds)) => kinds,
            _ => bail!("PostgreSQL does not tell the types of the parameters"),
        };
        ensure!(
            kinds.len() == one.parameters.len(),
            "{} has other parameters",
            one.sql
        );
        let parameters = kinds
            .iter()
            .zip(&one.parameters)
            .map(|(kind, text)| Parameter::read(kind.name(), text.as_deref(), recording, specimen));
        let parameters: anyhow::Result<Vec<Parameter>> = parameters.collect();
        steps.push(Step::Prepared(
            sql,
            parameters.with_context(|| one.sql.clone())?,
        ));
    }
    Ok(steps)
}

/// The type of a parameter, where PostgreSQL cannot tell it from the statement: of `unnest($1)`.
fn declared(text: &Option<String>) -> PgTypeInfo {
    let list = text.as_deref().and_then(|text| text.strip_prefix('{'));
    let first = list.and_then(|list| list.split([',', '}']).next());
    if first.is_some_and(|first| Uuid::parse_str(first).is_ok()) {
        return <Vec<Uuid> as Type<sqlx::Postgres>>::type_info();
    }
    PgTypeInfo::with_oid(UNSPECIFIED)
}

impl Client for Replay {
    async fn request(&mut self) -> anyhow::Result<()> {
        let writes = self.workload.turn(self.asked) == Workload::Write;
        let steps = if writes {
            &self.write
        } else {
            &self.reads[self.asked % self.reads.len()]
        };
        let post = if writes {
            self.posts.next_to_change()?
        } else {
            self.posts.next()?
        };
        let title = format!("Title {} of {}", self.asked, post.id);
        let now = Utc::now();
        for step in steps {
            match step {
                Step::Plain(sql) => {
                    self.connection.execute(sqlx::raw_sql(sql.clone())).await?;
                }
                Step::Prepared(sql, parameters) => {
                    let mut arguments = PgArguments::default();
                    for parameter in parameters {
                        parameter.add(&mut arguments, post, &title, now)?;
                    }
                    let query = sqlx::query_with(sql.clone(), arguments);
                    let rows = query.fetch_all(&mut self.connection).await?;
                    let is_update = sql.as_str().starts_with("UPDATE");
                    ensure!(
                        !is_update || !rows.is_empty(),
                        "nothing was changed by {}",
                        sql.as_str()
                    );
                }
            }
        }
        self.asked += 1;
        Ok(())
    }
}
