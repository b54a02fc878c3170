//! What does not compile for whoever holds only the handles of `records`.
//!
//! Each file in `tests/compile_fail` is compiled twice. As it stands, it must compile. With
//! `--cfg refused`, it must not: every line that is marked `//~ CODE word …` must be refused with
//! that code and in a sentence that holds those words, and no other line may be.
//!
//! The compiler is called by itself, with the library that this test was linked with: comparing
//! whole messages would bind the tests to one release of Rust and to SeaORM's list of
//! implementations, and a project of its own for them would build every dependency once more.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde::Deserialize;
use tempfile::TempDir;

#[test]
fn a_read_names_its_scope_and_a_declared_table() {
    check("reading");
}

#[test]
fn a_change_needs_a_locked_row_and_the_version_that_was_seen() {
    check("writing");
}

#[test]
fn nobody_but_the_layer_says_that_a_row_is_locked() {
    check("locking");
}

#[test]
fn a_transaction_begins_and_ends_in_one_place() {
    check("transactions");
}

#[test]
fn a_transaction_and_a_locked_row_do_not_outlive_their_use() {
    check("borrowing");
}

fn check(case: &str) {
    let source = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/compile_fail")
        .join(case)
        .with_extension("rs");
    let text = fs::read_to_string(&source).expect("the case can be read");
    let marks: Vec<Mark<'_>> = text.lines().enumerate().filter_map(Mark::of).collect();
    assert!(!marks.is_empty(), "{case} refuses nothing");

    let compiler = Compiler::new();
    let allowed = compiler.errors(&source, &[]);
    assert!(allowed.is_empty(), "{case} must compile: {allowed:#?}");

    let refused = compiler.errors(&source, &["--cfg", "refused"]);
    for error in &refused {
        let fits = marks.iter().any(|mark| mark.fits(error));
        assert!(fits, "{case} is refused for another reason: {error:#?}");
    }
    for mark in &marks {
        let hit = refused.iter().any(|error| mark.fits(error));
        assert!(
            hit,
            "line {} of {case} compiles, or is refused for another reason",
            mark.line
        );
    }
}

/// A line that must be refused, and how.
struct Mark<'a> {
    line: usize,
    code: &'a str,
    words: Vec<&'a str>,
}

impl<'a> Mark<'a> {
    fn of((at, text): (usize, &'a str)) -> Option<Self> {
        let (_, mark) = text.split_once("//~ ")?;
        let mut words = mark.split_whitespace();
        Some(Self {
            line: at + 1,
            code: words.next()?,
            words: words.collect(),
        })
    }

    fn fits(&self, error: &Message) -> bool {
        error.lines().any(|line| line == self.line)
            && error
                .code
                .as_ref()
                .is_some_and(|code| code.code == self.code)
            && self.words.iter().all(|word| error.message.contains(word))
    }
}

/// What the compiler says, as `--error-format json` has it.
#[derive(Debug, Deserialize)]
struct Message {
    level: String,
    code: Option<Code>,
    message: String,
    spans: Vec<Span>,
}

#[derive(Debug, Deserialize)]
struct Code {
    code: String,
}

#[derive(Debug, Deserialize)]
struct Span {
    is_primary: bool,
    line_start: usize,
}

impl Message {
    fn lines(&self) -> impl Iterator<Item = usize> {
        let primary = self.spans.iter().filter(|span| span.is_primary);
        primary.map(|span| span.line_start)
    }
}

struct Compiler {
    /// Where cargo puts the libraries: this test is one of its neighbours.
    neighbours: PathBuf,
    records: PathBuf,
    out: TempDir,
}

impl Compiler {
    fn new() -> Self {
        let this = env::current_exe().expect("a test knows its file");
        let neighbours = this.parent().expect("a file is in a folder").to_owned();
        let compiler = Self {
            records: newest_library(&neighbours),
            neighbours,
            out: tempfile::tempdir().expect("a temporary folder can be made"),
        };
        let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compile_fail/library.rs");
        let errors = compiler.errors(&library, &[]);
        assert!(errors.is_empty(), "the tables must compile: {errors:#?}");
        compiler
    }

    /// Checks a file. Returns the errors that lie in it.
    fn errors(&self, source: &Path, flags: &[&str]) -> Vec<Message> {
        let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let output = Command::new(rustc)
            .args([
                "--edition",
                "2024",
                "--crate-type",
                "lib",
                "--emit",
                "metadata",
            ])
            .args(["--error-format", "json", "--cap-lints", "allow"])
            .args(["--check-cfg", "cfg(refused)"])
            .arg("--out-dir")
            .arg(self.out.path())
            .arg("-L")
            .arg(joined("dependency=", &self.neighbours))
            .arg("-L")
            .arg(self.out.path())
            .arg("--extern")
            .arg(joined("plimsoll_records=", &self.records))
            .args(["--extern", "library"])
            .args(flags)
            .arg(source)
            .output()
            .expect("the compiler that built this test can be called");
        let said = String::from_utf8_lossy(&output.stderr);
        let errors: Vec<Message> = said
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            // The last one counts the others, and lies nowhere.
            .filter(|message: &Message| message.level == "error" && !message.spans.is_empty())
            .collect();
        assert_eq!(output.status.success(), errors.is_empty(), "{said}");
        errors
    }
}

/// The library that this test was linked with. Cargo keeps one for each set of features that it
/// was ever built with; each was built from this source, and the newest one from its newest state.
fn newest_library(neighbours: &Path) -> PathBuf {
    let files = fs::read_dir(neighbours).expect("the libraries can be listed");
    files
        .map(|file| file.expect("the libraries can be listed").path())
        .filter(|file| {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("libplimsoll_records-") && name.ends_with(".rlib")
        })
        .max_by_key(|file| {
            let about = fs::metadata(file).expect("a library can be looked at");
            about.modified().expect("a library has a time")
        })
        .expect("this test was linked with the library")
}

fn joined(name: &str, path: &Path) -> OsString {
    let mut argument = OsString::from(name);
    argument.push(path);
    argument
}
