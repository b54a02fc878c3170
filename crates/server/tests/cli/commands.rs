//! What the commands print and do.

use std::{fs, path::Path};

use plimsoll_testkit::{engines::empty_database, on_every_engine};

use crate::program::{column, connection, dump, on, rows, run, serve};

/// An option, and whether it has a default.
type Known = (&'static str, bool);

/// The commands and their options.
const COMMANDS: [(&[&str], &[Known]); 11] = [
    (&[], SERVE),
    (&["serve"], SERVE),
    (&["migrate", "up"], DATABASE),
    (
        &["migrate", "down"],
        &[
            ("--database-url", false),
            ("--max-connections", true),
            ("--statement-timeout", true),
            ("--transaction-timeout", true),
            ("--steps", true),
        ],
    ),
    (&["migrate", "status"], DATABASE),
    (&["migrate", "fresh"], DATABASE),
    (
        &["seed"],
        &[
            ("--database-url", false),
            ("--max-connections", true),
            ("--statement-timeout", true),
            ("--transaction-timeout", true),
            ("--users", true),
            ("--posts", true),
            ("--seed", true),
        ],
    ),
    (
        &["import"],
        &[
            ("--database-url", false),
            ("--max-connections", true),
            ("--statement-timeout", true),
            ("--transaction-timeout", true),
            ("--source", false),
        ],
    ),
    (
        &["purge"],
        &[
            ("--database-url", false),
            ("--max-connections", true),
            ("--statement-timeout", true),
            ("--transaction-timeout", true),
            ("--retention-days", true),
            ("--dry-run", false),
        ],
    ),
    (
        &["user", "create"],
        &[
            ("--database-url", false),
            ("--max-connections", true),
            ("--statement-timeout", true),
            ("--transaction-timeout", true),
            ("--email", false),
            ("--name", false),
            ("--role", true),
            ("--password-stdin", false),
        ],
    ),
    (&["schema"], &[]),
];

const DATABASE: &[Known] = &[
    ("--database-url", false),
    ("--max-connections", true),
    ("--statement-timeout", true),
    ("--transaction-timeout", true),
];

const SERVE: &[Known] = &[
    ("--database-url", false),
    ("--max-connections", true),
    ("--statement-timeout", true),
    ("--transaction-timeout", true),
    ("--listen", true),
    ("--migrate", true),
    ("--retention-days", true),
    ("--login-days", true),
    ("--max-body", true),
    ("--max-document", true),
    ("--max-tokens", true),
    ("--max-depth", true),
    ("--max-fields", true),
    ("--max-values", true),
    ("--max-roots", true),
    ("--max-cost", true),
    ("--deadline", true),
    ("--grace", true),
    ("--log-json", false),
];

/// The options in a help text, each with what is said of it.
fn options(help: &str) -> Vec<(String, String)> {
    let mut options: Vec<(String, String)> = Vec::new();
    for line in help.lines() {
        let line = line.trim();
        let starts = line.strip_prefix("-n, ").unwrap_or(line);
        if starts.starts_with("--") {
            let name = starts.split([' ', ',']).next().unwrap_or_default();
            options.push((name.to_owned(), starts.to_owned()));
        } else if let Some((_, said)) = options.last_mut() {
            said.push(' ');
            said.push_str(line);
        }
    }
    options
}

#[tokio::test]
async fn help_names_every_option_with_its_variable_and_its_default() {
    let dir = tempfile::tempdir().expect("a folder");
    for (command, expected) in COMMANDS {
        let arguments = [command, &["--help"]].concat();
        let help = run(dir.path(), &arguments, &[]).await.well();
        assert!(help.contains("Usage: plimsoll"), "{help}");
        assert!(
            help.lines().all(|line| line.chars().count() <= 100),
            "{help}"
        );
        let mut found = options(&help);
        found.retain(|(name, _)| !["--help", "--version"].contains(&name.as_str()));
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        let wanted: Vec<&str> = expected.iter().map(|(name, _)| *name).collect();
        assert_eq!(sorted, wanted, "{command:?}");
        for (name, said) in &found {
            let default = expected.iter().any(|(one, has)| one == name && *has);
            let variable = if name == "--database-url" {
                "[env: DATABASE_URL]"
            } else {
                "[env: PLIMSOLL_"
            };
            assert!(said.contains(variable), "{command:?} {said}");
            assert_eq!(said.contains("[default: "), default, "{command:?} {said}");
        }
    }
}

#[tokio::test]
async fn help_shows_no_password() {
    let dir = tempfile::tempdir().expect("a folder");
    let url = "postgres://somebody:secret@localhost/plimsoll";
    for (command, _) in COMMANDS {
        let arguments = [command, &["--help"]].concat();
        let help = on(url, dir.path(), &arguments).await.well();
        assert!(!help.contains("secret"), "{help}");
    }
}

#[tokio::test]
async fn schema_prints_what_is_checked_in() {
    let dir = tempfile::tempdir().expect("a folder");
    let printed = run(dir.path(), &["schema"], &[]).await.well();
    assert!(printed.contains("type Mutation"), "{printed}");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schema.graphql");
    if let Ok(checked_in) = fs::read_to_string(file) {
        assert!(
            printed == checked_in,
            "schema.graphql is not what `plimsoll schema` prints"
        );
    }
}

/// Fills a database that is migrated for it. Returns what was printed.
async fn seeded(url: &str, dir: &Path, seed: &str) -> String {
    on(url, dir, &["migrate", "up"]).await.well();
    let amounts = ["seed", "--users", "20", "--posts", "150", "--seed", seed];
    let ended = on(url, dir, &amounts).await;
    assert_eq!(ended.stderr, "", "no bar where nobody watches");
    ended.well()
}

on_every_engine! {
    with empty_database;

    async fn one_seed_makes_the_same_rows_each_time(database) {
        let dir = tempfile::tempdir().expect("a folder");
        let printed = seeded(&database.url, dir.path(), "7").await;
        assert_eq!(printed, "Seeded 20 users and 150 posts from seed 7.\n");
        let rows_of = async |url: &str| {
            let mut rows = dump(url).await;
            // When a step was applied, is the clock's.
            rows.retain(|row| !row.starts_with("seaql_migrations|"));
            rows
        };
        let one = rows_of(&database.url).await;
        assert!(one.iter().any(|row| row.starts_with("audit_log|")));
        assert!(one.iter().any(|row| row.starts_with("post_tags|")));
        let engine = database.engine;

        let other = empty_database(engine).await.expect("it was at hand a moment ago");
        seeded(&other.url, dir.path(), "7").await;
        assert_eq!(one, rows_of(&other.url).await);

        // Twice is refused, and changes nothing.
        let again = ["seed", "--users", "20", "--posts", "150", "--seed", "7"];
        on(&other.url, dir.path(), &again).await.failed(1, "seed 7 is in this database already");
        assert_eq!(one, rows_of(&other.url).await);

        // Another seed makes other rows, beside these.
        seeded(&other.url, dir.path(), "8").await;
        let both = rows_of(&other.url).await;
        assert!(both.len() > one.len());
        assert!(one.iter().all(|row| both.contains(row)));
        let inside = connection(&other.url).await;
        assert_eq!(rows(&inside, "users").await, 40);
    }

    async fn seeded_posts_are_there_and_their_authors_cannot_log_in(database) {
        let dir = tempfile::tempdir().expect("a folder");
        seeded(&database.url, dir.path(), "1").await;
        let inside = connection(&database.url).await;
        assert_eq!(rows(&inside, "posts").await, 150);
        assert_eq!(rows(&inside, "posts WHERE deleted_at IS NOT NULL").await, 3, "2 %");
        assert_eq!(rows(&inside, "deletions").await, 3);
        assert_eq!(rows(&inside, "post_tags").await, 450);
        assert!(rows(&inside, "posts WHERE NOT published").await > 0);
        assert_eq!(rows(&inside, "users WHERE password_hash IS NOT NULL").await, 0);
        let emails = column(&inside, "SELECT email FROM users ORDER BY 1").await;
        let server = serve(dir.path(), &[], &[("DATABASE_URL", &database.url)]).await;
        for password in ["", "seed", "password", emails[0].as_str()] {
            let payload = server.login(&emails[0], password).await;
            assert!(payload["token"].is_null(), "{payload:#}");
        }
        server.stop().await.well();
    }
}

#[tokio::test]
async fn an_import_prints_a_summary_and_says_when_nothing_changed() {
    let dir = tempfile::tempdir().expect("a folder");
    let url = "sqlite:posts.db";
    on(url, dir.path(), &["migrate", "up"]).await.well();
    fs::create_dir(dir.path().join("posts")).expect("a folder");
    let write = |name: &str, text: &str| {
        fs::write(dir.path().join("posts").join(name), text).expect("a file");
    };
    write(
        "a.md",
        "+++\ntitle = \"A\"\ndate = 2024-01-01\nauthors = [\"Ada Mast\"]\n+++\nText.\n",
    );
    write("b.md", "---\ntitle: B\ndate: 2024-01-02\n---\nText.\n");
    write("about.md", "---\ntitle: About\n---\nText.\n");
    write("picture.png", "");
    let lines = |printed: &str| -> Vec<String> {
        let lines = printed.lines().skip(1);
        lines.map(str::to_owned).collect()
    };
    let printed = on(url, dir.path(), &["import", "posts"]).await.well();
    assert!(printed.starts_with("3 files in "), "{printed}");
    assert_eq!(
        lines(&printed),
        [
            "  created     2",
            "  updated     0",
            "  unchanged   0",
            "  left alone  0",
            "  not posts   1",
            "  failed      0",
            "New beside the posts: 2 authors, 0 categories, 0 tags.",
            "Not posts:",
            "  about.md: it is a page and not a post: there is no date in its front matter, its \
             `path` or its name",
            "Other files, not read: png (1).",
        ]
    );
    let printed = on(url, dir.path(), &["import", "posts"]).await.well();
    assert!(printed.contains("  unchanged   2\n"), "{printed}");
    assert!(printed.contains("\nNothing changed.\n"), "{printed}");
    assert!(!printed.contains("New beside"), "{printed}");

    write("c.md", "---\ntitle: [\n---\n");
    let ended = on(url, dir.path(), &["import", "posts"]).await;
    assert!(
        ended.stdout.contains("\nFailed:\n  c.md: its front matter"),
        "{ended:#?}"
    );
    ended.failed(1, "1 file could not be imported");

    on(url, dir.path(), &["import", "nowhere"])
        .await
        .refused("nowhere");
    on(url, dir.path(), &["import", "posts/a.md"])
        .await
        .refused("not a folder");
}
