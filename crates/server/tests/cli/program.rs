//! The program, run as anybody would run it, with nothing but what a test gives it.

use std::{
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, Statement};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, Command},
    task::JoinHandle,
};

/// No run takes longer, unless something hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// The program in this folder, with an environment that holds nothing but a path.
pub(crate) fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    command
        .args(arguments)
        .current_dir(dir)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// What a run of the program left.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; none if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Asserts that all went well. Returns what was printed.
    #[track_caller]
    pub(crate) fn well(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.calm();
        self.stdout
    }

    /// Asserts that the configuration was refused, in one sentence with these words.
    #[track_caller]
    pub(crate) fn refused(self, words: &str) {
        self.failed(2, words);
    }

    /// Asserts that the program ended with this code and one sentence with these words.
    #[track_caller]
    pub(crate) fn failed(self, code: i32, words: &str) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self.calm();
        let lines: Vec<&str> = self.stderr.lines().collect();
        assert_eq!(lines.len(), 1, "one sentence: {self:#?}");
        assert!(lines[0].starts_with("plimsoll: "), "{self:#?}");
        assert!(lines[0].contains(words), "{words:?} is not in {self:#?}");
    }

    /// Asserts that nothing in the output is for developers or terminals only.
    #[track_caller]
    fn calm(&self) {
        for text in [&self.stdout, &self.stderr] {
            for word in [
                "panicked",
                "RUST_BACKTRACE",
                "SELECT ",
                "CREATE TABLE",
                "\u{1b}",
                "\r",
            ] {
                assert!(!text.contains(word), "{word:?} is in {self:#?}");
            }
        }
    }
}

/// Runs the program to its end.
pub(crate) async fn run(dir: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
    end(command(dir, arguments).envs(variables.iter().copied())).await
}

/// Runs the program to its end, with this database.
pub(crate) async fn on(url: &str, dir: &Path, arguments: &[&str]) -> Ended {
    run(dir, arguments, &[("DATABASE_URL", url)]).await
}

/// Runs it to its end.
pub(crate) async fn end(command: &mut Command) -> Ended {
    let child = command.spawn().expect("the program starts");
    let output = tokio::time::timeout(LIMIT, child.wait_with_output()).await;
    let output = output
        .expect("the program ends in time")
        .expect("its output can be read");
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// Runs it to its end with this standard input.
pub(crate) async fn end_with_input(command: &mut Command, input: &str) -> Ended {
    let mut child = command
        .stdin(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().expect("it has an input");
    stdin
        .write_all(input.as_bytes())
        .await
        .expect("it reads its input");
    drop(stdin);
    let output = tokio::time::timeout(LIMIT, child.wait_with_output()).await;
    let output = output
        .expect("the program ends in time")
        .expect("its output can be read");
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// A server that answers.
pub(crate) struct Server {
    pub(crate) url: String,
    child: Child,
    stdout: JoinHandle<String>,
    stderr: JoinHandle<String>,
    http: reqwest::Client,
    /// What it printed when it was ready.
    pub(crate) greeting: String,
}

/// Starts a server on a free port.
pub(crate) async fn serve(dir: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Server {
    try_serve(dir, arguments, variables)
        .await
        .unwrap_or_else(|ended| panic!("the server does not start: {ended:#?}"))
}

/// Starts a server on a free port; what it left if it ended instead.
pub(crate) async fn try_serve(
    dir: &Path,
    arguments: &[&str],
    variables: &[(&str, &str)],
) -> Result<Server, Ended> {
    let mut child = command(dir, arguments)
        .env("PLIMSOLL_LISTEN", "127.0.0.1:0")
        .envs(variables.iter().copied())
        .spawn()
        .expect("the program starts");
    let printed = Arc::new(Mutex::new(String::new()));
    let stdout = tokio::spawn(gather(
        child.stdout.take().expect("an output"),
        printed.clone(),
    ));
    let errors = Arc::default();
    let stderr = tokio::spawn(gather(child.stderr.take().expect("an output"), errors));
    let so_far = || printed.lock().expect("nobody panicked").clone();
    let http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client");
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < LIMIT, "the server starts in time");
        if let Some(status) = child.try_wait().expect("its state can be asked") {
            return Err(Ended {
                code: status.code(),
                stdout: stdout.await.expect("gathered"),
                stderr: stderr.await.expect("gathered"),
            });
        }
        let url = so_far()
            .lines()
            .find_map(|line| Some(line.split_once("Plimsoll is at ")?.1.to_owned()));
        if let Some(url) = url {
            let live = http.get(format!("{url}/health/live")).send().await;
            if live.is_ok_and(|answer| answer.status() == 200) {
                // All of the greeting is written before the first request is taken.
                tokio::time::sleep(Duration::from_millis(50)).await;
                return Ok(Server {
                    url,
                    child,
                    stdout,
                    stderr,
                    http,
                    greeting: so_far(),
                });
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn gather(from: impl AsyncRead + Unpin, into: Arc<Mutex<String>>) -> String {
    let mut reader = BufReader::new(from);
    let mut line = String::new();
    while reader.read_line(&mut line).await.expect("UTF-8") > 0 {
        into.lock().expect("nobody panicked").push_str(&line);
        line.clear();
    }
    let mut rest = String::new();
    let _ = reader.read_to_string(&mut rest).await;
    into.lock().expect("nobody panicked").clone()
}

impl Server {
    /// What a path answers, without following where it leads.
    pub(crate) async fn get(&self, path: &str) -> reqwest::Response {
        let answer = self.http.get(format!("{}{path}", self.url)).send().await;
        answer.expect("the server answers")
    }

    /// Executes a document; an error if the server goes away.
    pub(crate) async fn ask(
        &self,
        token: Option<&str>,
        query: &str,
        variables: Value,
    ) -> reqwest::Result<Value> {
        let mut request = self
            .http
            .post(format!("{}/graphql", self.url))
            .json(&json!({ "query": query, "variables": variables }));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        request.send().await?.json().await
    }

    /// Logs in. Returns the payload.
    pub(crate) async fn login(&self, email: &str, password: &str) -> Value {
        let query = "mutation($input: LoginInput!) { login(input: $input) \
                     { token errors { __typename message } } }";
        let input = json!({ "input": { "email": email, "password": password } });
        let mut answer = self.ask(None, query, input).await.expect("an answer");
        assert!(answer.get("errors").is_none(), "{answer:#}");
        answer["data"]["login"].take()
    }

    /// Logs in. Returns the token.
    pub(crate) async fn token(&self, email: &str, password: &str) -> String {
        let payload = self.login(email, password).await;
        let token = payload["token"].as_str();
        token.unwrap_or_else(|| panic!("{payload:#}")).to_owned()
    }

    /// Who the token is for: name and role.
    pub(crate) async fn viewer(&self, token: &str) -> Value {
        let answer = self.ask(Some(token), "{ viewer { user { name } role } }", json!({}));
        let mut answer = answer.await.expect("an answer");
        assert!(answer.get("errors").is_none(), "{answer:#}");
        answer["data"]["viewer"].take()
    }

    /// The process' number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("it still runs")
    }

    /// Sends a signal by its name.
    pub(crate) async fn signal(&self, name: &str) {
        signal(self.id(), name).await;
    }

    /// Waits until the server has ended.
    pub(crate) async fn ended(mut self) -> Ended {
        let status = tokio::time::timeout(LIMIT, self.child.wait()).await;
        let status = status.expect("the server ends").expect("it has a state");
        Ended {
            code: status.code(),
            stdout: self.stdout.await.expect("gathered"),
            stderr: self.stderr.await.expect("gathered"),
        }
    }

    /// Ends the server as service managers do.
    pub(crate) async fn stop(self) -> Ended {
        self.signal("TERM").await;
        self.ended().await
    }
}

/// Sends a signal by its name to the process with this number.
pub(crate) async fn signal(id: u32, name: &str) {
    let sent = Command::new("sh")
        .args(["-c", "kill -s \"$0\" \"$1\"", name, &id.to_string()])
        .status()
        .await;
    assert!(sent.expect("a shell").success(), "the signal was sent");
}

/// One connection to a database, past the program.
pub(crate) async fn connection(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url.replacen("mariadb:", "mysql:", 1));
    options.max_connections(1).sqlx_logging(false);
    Database::connect(options).await.expect("a connection")
}

/// The first column of each row of a query's answer.
pub(crate) async fn column(database: &DatabaseConnection, query: &str) -> Vec<String> {
    let statement = Statement::from_string(database.get_database_backend(), query);
    let rows = database.query_all_raw(statement).await;
    let rows = rows.unwrap_or_else(|error| panic!("{query}: {error}"));
    rows.iter()
        .map(|row| row.try_get_by_index::<String>(0).expect("text"))
        .collect()
}

/// Runs a statement.
pub(crate) async fn execute(database: &DatabaseConnection, statement: &str) {
    let done = database.execute_unprepared(statement).await;
    done.unwrap_or_else(|error| panic!("{statement}: {error}"));
}

/// Every row of every table, as text: `table|column|column…`.
pub(crate) async fn dump(url: &str) -> Vec<String> {
    use sea_orm::DbBackend;
    let database = connection(url).await;
    let backend = database.get_database_backend();
    let mut rows = Vec::new();
    for table in tables(&database).await {
        let columns = match backend {
            DbBackend::Sqlite => format!("SELECT name FROM pragma_table_xinfo('{table}')"),
            DbBackend::Postgres => format!(
                "SELECT column_name::text FROM information_schema.columns \
                 WHERE table_schema = 'public' AND table_name = '{table}'"
            ),
            _ => format!(
                "SELECT column_name FROM information_schema.columns \
                 WHERE table_schema = DATABASE() AND table_name = '{table}'"
            ),
        };
        let values: Vec<String> = column(&database, &columns)
            .await
            .into_iter()
            .map(|name| match backend {
                DbBackend::Sqlite => format!("quote({name})"),
                DbBackend::Postgres => format!("coalesce(CAST({name} AS text), 'NULL')"),
                _ => format!("COALESCE(HEX({name}), 'NULL')"),
            })
            .collect();
        let row = match backend {
            DbBackend::Sqlite => values.join(" || '|' || "),
            _ => format!("CONCAT_WS('|', {})", values.join(", ")),
        };
        let all = format!("SELECT {row} FROM {table} ORDER BY 1");
        rows.extend(
            column(&database, &all)
                .await
                .into_iter()
                .map(|row| format!("{table}|{row}")),
        );
    }
    database.close().await.expect("the connection closes");
    rows
}

/// The tables of a database.
pub(crate) async fn tables(database: &DatabaseConnection) -> Vec<String> {
    use sea_orm::DbBackend;
    let query = match database.get_database_backend() {
        DbBackend::Sqlite => {
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' \
             ORDER BY 1"
        }
        DbBackend::Postgres => {
            "SELECT table_name::text FROM information_schema.tables \
             WHERE table_schema = 'public' ORDER BY 1"
        }
        _ => {
            "SELECT table_name FROM information_schema.tables \
             WHERE table_schema = DATABASE() ORDER BY 1"
        }
    };
    column(database, query).await
}

/// How many rows a table has.
pub(crate) async fn rows(database: &DatabaseConnection, table: &str) -> usize {
    let all = column(database, &format!("SELECT 'x' FROM {table}")).await;
    all.len()
}
