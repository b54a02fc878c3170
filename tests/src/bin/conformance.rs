//! Writes `docs/conformance.md`: reads what `cargo test` says, on the standard input, and prints
//! which claims hold on which engine.
//!
//! The claims are the tests that `on_every_engine!` makes of one body: `module::claim::sqlite`,
//! `module::claim::postgres` and `module::claim::mariadb`. What a module is about is the first
//! paragraph of its documentation, if it has any.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    io,
    path::Path,
    process::ExitCode,
};

/// The test binaries whose claims are listed, and where their modules are, from the root.
const SUITES: [(&str, &str); 2] = [
    ("behaviours", "crates/domain/tests/behaviours"),
    ("e2e", "tests/e2e"),
];

/// The engines: as tests name them, and as people do.
const ENGINES: [(&str, &str); 3] = [
    ("sqlite", "SQLite"),
    ("postgres", "PostgreSQL"),
    ("mariadb", "MariaDB"),
];

const INTRODUCTION: &str = "\
# What holds on which engine

Each line is a test with one body, which runs on every engine. This page is written from the \
names and the results of the tests: ✓ holds, ✗ does not, – was not run.
";

/// Whether a claim holds on each of [`ENGINES`]; `None` where it was not run.
type Results = [Option<bool>; 3];

/// Results by module and claim.
type Suite = BTreeMap<String, BTreeMap<String, Results>>;

/// What the tests said.
#[derive(Debug, Default)]
struct Report {
    suites: BTreeMap<&'static str, Suite>,
    /// The engines with their versions.
    versions: BTreeSet<String>,
}

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let source = |file: &str| {
        std::fs::read_to_string(root.join(file))
            .map_err(|error| io::Error::other(format!("{file} can't be read: {error}")))
    };
    let page =
        io::read_to_string(io::stdin()).and_then(|output| page(&Report::read(&output), source));
    match page {
        Ok(page) => {
            print!("{page}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("conformance: {error}");
            ExitCode::FAILURE
        }
    }
}

impl Report {
    /// Reads what `cargo test` wrote to both of its outputs.
    fn read(output: &str) -> Self {
        let mut report = Self::default();
        let (mut suite, mut skipped) = (None, BTreeSet::new());
        for line in output.lines().map(str::trim) {
            if line.starts_with("Running ") || line.starts_with("Doc-tests ") {
                let names = SUITES.iter().map(|(name, _)| *name);
                suite = names
                    .into_iter()
                    .find(|name| line.contains(&format!("/deps/{name}-")));
            } else if let Some(said) = line.strip_prefix("plimsoll-testkit: ") {
                // Where an engine is not at hand its tests pass without running.
                let skips = |name: &str| said.contains("skipped") && said.contains(name);
                skipped.extend((0..ENGINES.len()).filter(|engine| skips(ENGINES[*engine].1)));
            } else if let Some(version) = line.strip_prefix("plimsoll-tests: on ") {
                report.versions.insert(version.to_owned());
            } else if let (Some(suite), Some((module, claim, engine, holds))) =
                (suite, result(line))
            {
                let modules = report.suites.entry(suite).or_default();
                let claims = modules.entry(module.to_owned()).or_default();
                claims.entry(claim.to_owned()).or_default()[engine] = holds;
            }
        }
        let modules = report.suites.values_mut().flat_map(BTreeMap::values_mut);
        for results in modules.flat_map(BTreeMap::values_mut) {
            for engine in &skipped {
                results[*engine] = None;
            }
        }
        report
    }
}

/// The module, the claim, the engine and the result of a line `test module::claim::sqlite ... ok`.
fn result(line: &str) -> Option<(&str, &str, usize, Option<bool>)> {
    let (name, outcome) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let (claim, engine) = name.rsplit_once("::")?;
    let (module, claim) = claim.rsplit_once("::")?;
    let engine = ENGINES.iter().position(|(name, _)| *name == engine)?;
    let holds = match outcome {
        "ok" => Some(true),
        "FAILED" => Some(false),
        _ => None,
    };
    Some((module, claim, engine, holds))
}

/// The page. `source` reads a file, by its path from the root.
///
/// # Errors
///
/// A suite said nothing, or a module can't be read.
fn page(report: &Report, source: impl Fn(&str) -> io::Result<String>) -> io::Result<String> {
    let mut page = INTRODUCTION.to_owned();
    for (suite, folder) in SUITES {
        let modules = report.suites.get(suite);
        let modules = modules.ok_or_else(|| io::Error::other(format!("{suite} did not run")))?;
        let about = about(&source(&format!("{folder}/main.rs"))?);
        let _ = write!(page, "\n## {}\n", about.trim_end_matches('.'));
        for (module, claims) in modules {
            let file = format!("{folder}/{}.rs", module.replace("::", "/"));
            let about = self::about(&source(&file)?);
            let _ = write!(page, "\n### {}\n\n", title(module));
            if !about.is_empty() {
                let _ = write!(page, "{about}\n\n");
            }
            let _ = write!(page, "| [{module}](../{file}) |");
            for (_, engine) in ENGINES {
                let _ = write!(page, " {engine} |");
            }
            let _ = writeln!(page, "\n|---|:-:|:-:|:-:|");
            for (claim, results) in claims {
                let [sqlite, postgres, mariadb] = results.map(mark);
                let claim = claim.replace('_', " ");
                let _ = writeln!(page, "| {claim} | {sqlite} | {postgres} | {mariadb} |");
            }
        }
    }
    if !report.versions.is_empty() {
        let versions: Vec<&str> = report.versions.iter().map(String::as_str).collect();
        let _ = write!(page, "\nLast run on {}.\n", versions.join(", "));
    }
    Ok(page)
}

fn mark(holds: Option<bool>) -> char {
    match holds {
        Some(true) => '✓',
        Some(false) => '✗',
        None => '–',
    }
}

/// A name in words.
fn title(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    let name: String = first.into_iter().chain(letters).collect();
    name.replace("::", ": ").replace('_', " ")
}

/// The first paragraph of a source's documentation; empty if it has none.
fn about(source: &str) -> String {
    let lines = source
        .lines()
        .map_while(|line| line.strip_prefix("//! "))
        .collect::<Vec<_>>();
    lines.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "
     Running unittests src/lib.rs (target/debug/deps/plimsoll_domain-1234)
test text::a_slug_is_folded::sqlite ... ok
     Running tests/behaviours/main.rs (target/debug/deps/behaviours-1234)
running 4 tests
test the_ends::a_row_goes::postgres ... FAILED
test the_ends::a_row_goes::sqlite ... ok
test the_ends::a_row_stays::mariadb ... ignored
test support::a_test_of_no_engine ... ok
     Running e2e/main.rs (target/debug/deps/e2e-1234)
plimsoll-tests: on SQLite 3.50.4
test api::a_post_is_found::sqlite ... ok
   Doc-tests plimsoll_records
test api::a_post_is_lost::sqlite ... ok
";

    fn written(output: &str) -> io::Result<String> {
        page(&Report::read(output), |file| {
            Ok(match file {
                "tests/e2e/api.rs" => "use std::io;\n".to_owned(),
                _ => format!("//! About\n//! {file}.\n//!\n//! More.\n"),
            })
        })
    }

    #[test]
    fn the_page_shows_each_claim_with_its_result_on_each_engine() {
        let page = written(OUTPUT).expect("there is a page");
        let shown = page.strip_prefix(INTRODUCTION).expect("it is introduced");
        assert_eq!(
            shown,
            "
## About crates/domain/tests/behaviours/main.rs

### The ends

About crates/domain/tests/behaviours/the_ends.rs.

| [the_ends](../crates/domain/tests/behaviours/the_ends.rs) | SQLite | PostgreSQL | MariaDB |
|---|:-:|:-:|:-:|
| a row goes | ✓ | ✗ | – |
| a row stays | – | – | – |

## About tests/e2e/main.rs

### Api

| [api](../tests/e2e/api.rs) | SQLite | PostgreSQL | MariaDB |
|---|:-:|:-:|:-:|
| a post is found | ✓ | – | – |

Last run on SQLite 3.50.4.
"
        );
    }

    #[test]
    fn a_claim_does_not_hold_on_an_engine_that_is_not_at_hand() {
        let said = "plimsoll-testkit: not at hand, so tests on it are skipped: SQLite";
        let page = written(&format!("{OUTPUT}{said}\n")).expect("there is a page");
        assert!(page.contains("| a post is found | – | – | – |"), "{page}");
    }

    #[test]
    fn a_suite_that_did_not_run_is_an_error() {
        let (behaviours, _) = OUTPUT.split_once("Running e2e").expect("two suites");
        assert!(written(behaviours).is_err());
    }
}
