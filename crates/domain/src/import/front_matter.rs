//! The front matter of one document: where it ends, and what it says.
//!
//! TOML between `+++` lines (Zola's "Page" and Hugo's "Front matter" pages) and
//! YAML between `---` lines (Jekyll's "Front Matter", Hugo's "Front matter" and
//! Astro's "Markdown in Astro" pages).

mod dates;
mod fields;
mod names;
mod yaml;

use std::collections::BTreeMap;

use super::source::Skipped;

pub(super) use dates::{leading_date, path_date};
pub(super) use fields::Fields;

/// The largest front matter that is parsed, in bytes. The largest of the Rust
/// blog has 1 KB; the limit bounds the work of the parsers on a hostile file.
pub(super) const MAX_BYTES: usize = 64 * 1024;

/// A document taken apart.
pub(super) struct Document<'a> {
    pub(super) fields: Fields,
    /// What follows the line that closes the front matter, byte for byte. The
    /// line break of that line belongs to the line; a blank line after it is
    /// content.
    pub(super) content: &'a str,
}

/// Which language the front matter is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Syntax {
    Toml,
    Yaml,
}

/// A value of either language.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Null,
    /// Text; in YAML every scalar, as it is written, so that `title: 1.10` keeps
    /// its zero.
    Text(String),
    Bool(bool),
    Integer(i64),
    Float,
    /// A TOML date, date with time, or time, as TOML prints it.
    Date(String),
    List(Vec<Value>),
    Table(Table),
}

type Table = BTreeMap<String, Value>;

/// Takes a document apart and reads its front matter.
///
/// A byte order mark and blank lines may stand before the first fence, spaces
/// and tabs after either, and lines may end in LF or CRLF. As in Jekyll, `...`
/// closes YAML too.
///
/// # Errors
///
/// A [`Skipped`] about the front matter: absent, JSON, not closed, too large,
/// not parseable, or with a field of the wrong kind.
pub(super) fn parse(text: &str) -> Result<Document<'_>, Skipped> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let Fenced {
        syntax,
        inner,
        first_line,
        content,
    } = split(text)?;
    if inner.len() > MAX_BYTES {
        return Err(Skipped::FrontMatterTooLarge { limit: MAX_BYTES });
    }
    let table = match syntax {
        Syntax::Toml => toml_table(inner, first_line)?,
        Syntax::Yaml => yaml::table(inner, first_line)?,
    };
    let fields = Fields::read(syntax, table)?;
    Ok(Document { fields, content })
}

struct Fenced<'a> {
    syntax: Syntax,
    inner: &'a str,
    /// The number, from 1, of the first line of `inner` in its file.
    first_line: usize,
    content: &'a str,
}

fn split(text: &str) -> Result<Fenced<'_>, Skipped> {
    let mut lines = numbered_lines(text).skip_while(|line| line.text.trim().is_empty());
    let Some(open) = lines.next() else {
        return Err(Skipped::NoFrontMatter);
    };
    let (syntax, fence, closing): (_, _, &[&str]) = match open.text.trim_ascii_end() {
        "+++" => (Syntax::Toml, "+++", &["+++"]),
        "---" => (Syntax::Yaml, "---", &["---", "..."]),
        _ if looks_like_json(&text[open.start..]) => return Err(Skipped::JsonFrontMatter),
        _ => return Err(Skipped::NoFrontMatter),
    };
    let close = lines
        .find(|line| closing.contains(&line.text.trim_ascii_end()))
        .ok_or(Skipped::UnclosedFrontMatter {
            fence,
            line: open.number,
        })?;
    Ok(Fenced {
        syntax,
        inner: &text[open.end..close.start],
        first_line: open.number + 1,
        content: &text[close.end..],
    })
}

/// Whether this is the start of a JSON object, which Hugo allows as front
/// matter; a template (`{{`, `{%`) is not.
fn looks_like_json(text: &str) -> bool {
    text.strip_prefix('{')
        .is_some_and(|rest| rest.trim_start().starts_with('"'))
}

struct Line<'a> {
    text: &'a str,
    number: usize,
    start: usize,
    end: usize,
}

fn numbered_lines(text: &str) -> impl Iterator<Item = Line<'_>> {
    let mut end = 0;
    text.split_inclusive('\n')
        .enumerate()
        .map(move |(index, text)| {
            let start = end;
            end += text.len();
            Line {
                text,
                number: index + 1,
                start,
                end,
            }
        })
}

fn toml_table(inner: &str, first_line: usize) -> Result<Table, Skipped> {
    let table: toml::Table = toml::from_str(inner).map_err(|error| {
        let before = error.span().map_or(0, |span| span.start).min(inner.len());
        let breaks = inner.as_bytes()[..before]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        Skipped::bad_front_matter("TOML", first_line + breaks, error.message())
    })?;
    Ok(from_toml(table))
}

// The parser's own limit on nesting bounds this recursion.
fn from_toml(table: toml::Table) -> Table {
    fn value(from: toml::Value) -> Value {
        match from {
            toml::Value::String(text) => Value::Text(text),
            toml::Value::Integer(number) => Value::Integer(number),
            toml::Value::Float(_) => Value::Float,
            toml::Value::Boolean(truth) => Value::Bool(truth),
            toml::Value::Datetime(date) => Value::Date(date.to_string()),
            toml::Value::Array(items) => Value::List(items.into_iter().map(value).collect()),
            toml::Value::Table(table) => Value::Table(from_toml(table)),
        }
    }
    table
        .into_iter()
        .map(|(key, from)| (key, value(from)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(text: &str) -> &str {
        parse(text).unwrap().content
    }

    fn refusal(text: &str) -> Skipped {
        match parse(text) {
            Ok(_) => panic!("{text:?} was read"),
            Err(why) => why,
        }
    }

    #[test]
    fn the_content_starts_after_the_line_break_of_the_closing_fence() {
        assert_eq!(content("+++\n+++\nHello\n"), "Hello\n");
        assert_eq!(content("+++\n+++\n\n Hello"), "\n Hello");
        assert_eq!(content("---\ntitle: x\n---\r\n\r\nHello"), "\r\nHello");
        assert_eq!(content("---\n---"), "");
        assert_eq!(content("---\n---\n"), "");
    }

    #[test]
    fn only_the_first_closing_fence_counts() {
        assert_eq!(
            content("---\na: 1\n---\ntext\n---\nmore\n"),
            "text\n---\nmore\n"
        );
        assert_eq!(content("+++\na = 1\n+++\n+++\n"), "+++\n");
        assert_eq!(content("+++\ntitle = '''\n---\n'''\n+++\n---\nx"), "---\nx");
    }

    #[test]
    fn crlf_a_byte_order_mark_blank_lines_and_trailing_spaces_are_no_obstacle() {
        let toml = parse("\u{feff}\r\n+++ \t\r\ntitle = \"A\"\r\n+++  \r\nB\r\n").unwrap();
        assert_eq!(toml.fields.title.as_deref(), Some("A"));
        assert_eq!(toml.content, "B\r\n");
        let yaml = parse("\u{feff}---\r\ntitle: A\r\ntags:\r\n  - x\r\n  - y\r\n---\r\nB").unwrap();
        assert_eq!(yaml.fields.title.as_deref(), Some("A"));
        assert_eq!(yaml.fields.tags, ["x", "y"]);
        assert_eq!(yaml.content, "B");
    }

    #[test]
    fn three_dots_close_yaml_but_not_toml() {
        assert_eq!(content("---\na: 1\n...\nx"), "x");
        assert_eq!(
            refusal("+++\na = 1\n...\nx"),
            Skipped::UnclosedFrontMatter {
                fence: "+++",
                line: 1
            }
        );
    }

    #[test]
    fn a_document_without_front_matter_is_told_from_one_that_is_not_closed() {
        assert_eq!(refusal(""), Skipped::NoFrontMatter);
        assert_eq!(refusal(" \n\n"), Skipped::NoFrontMatter);
        assert_eq!(refusal("# Hello\n---\n"), Skipped::NoFrontMatter);
        assert_eq!(refusal("----\na: 1\n----\n"), Skipped::NoFrontMatter);
        assert_eq!(refusal(" ---\na: 1\n---\n"), Skipped::NoFrontMatter);
        assert_eq!(refusal("{% raw %}\n{{ \"x\" }}\n"), Skipped::NoFrontMatter);
        assert_eq!(
            refusal("{\n  \"title\": \"A\"\n}\n\nB"),
            Skipped::JsonFrontMatter
        );
        assert_eq!(
            refusal("\n---\ntitle: A\n --- \n----\n"),
            Skipped::UnclosedFrontMatter {
                fence: "---",
                line: 2
            }
        );
    }

    #[test]
    fn a_syntax_error_names_the_line_in_the_file() {
        for (text, language, expected) in [
            ("+++\ntitle = \"A\"\ndate = \n+++\n", "TOML", 3),
            ("\n+++\ntitle = \"A\"\ntitle = \"B\"\n+++\n", "TOML", 4),
            ("---\ntitle: A\nslug: 'b\n---\n", "YAML", 3),
            ("\n---\ntitle: Rust: the language\n---\n", "YAML", 3),
            ("---\ntitle: A\ndraft: true\ntitle: B\n---\n", "YAML", 4),
        ] {
            match refusal(text) {
                Skipped::BadFrontMatter {
                    language: found,
                    line,
                    ..
                } => assert_eq!((found, line), (language, expected), "{text:?}"),
                other => panic!("{text:?}: {other}"),
            }
        }
    }

    #[test]
    fn front_matter_at_the_limit_is_read_and_one_byte_more_is_not() {
        let frame = "# \n".len();
        for fence in ["+++", "---"] {
            let at = format!("{fence}\n# {}\n{fence}\nx", "y".repeat(MAX_BYTES - frame));
            assert_eq!(content(&at), "x");
            let above = at.replace("# y", "# yy");
            assert_eq!(
                refusal(&above),
                Skipped::FrontMatterTooLarge { limit: MAX_BYTES }
            );
        }
    }

    #[test]
    fn deep_nesting_is_refused_and_not_recursed_into() {
        for nest in [1_000, 30_000] {
            let lists = "[".repeat(nest);
            assert!(matches!(
                refusal(&format!("+++\na = {lists}\n+++\n")),
                Skipped::BadFrontMatter { .. }
            ));
            assert!(matches!(
                refusal(&format!("---\na: {lists}\n---\n")),
                Skipped::BadFrontMatter { .. }
            ));
            let closed = format!("{lists}{}", "]".repeat(nest));
            assert!(matches!(
                refusal(&format!("---\na: {closed}\n---\n")),
                Skipped::BadFrontMatter { .. }
            ));
        }
        let keys = vec!["a"; 5_000].join(".");
        assert!(matches!(
            refusal(&format!("+++\n{keys} = 1\n+++\n")),
            Skipped::BadFrontMatter { .. }
        ));
        let dashes = "- ".repeat(20_000);
        assert!(matches!(
            refusal(&format!("---\n{dashes}a\n---\n")),
            Skipped::BadFrontMatter { .. }
        ));
    }

    /// Numbers that look random and are the same in every run (xorshift64, as
    /// in Marsaglia, "Xorshift RNGs", 2003).
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, limit: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 >> 33).unwrap() % limit
        }
    }

    const WHOLE: [&str; 3] = [
        "+++\ntitle = \"A \\u00e9\"\ndate = 2024-05-06T07:08:09.5+02:00\nauthors = [\"B <b@example.org>\", {name = \"C\"}]\n[taxonomies]\ntags = ['x', \"y\"]\n[extra]\nn = 1.5e3\n+++\nText\n",
        "---\ntitle: >\n  A\n  b\ndate: 2016-05-26 00:00:00 +0000\nauthor: &a {name: B, email: b@example.org}\nauthors: [*a, \"C, D and E\"]\ntags: x y\ncategories:\n- 'é'\n- !!str 1\npublished: no\n---\nText\n",
        "\u{feff}---\r\n? title\r\n: |-\r\n  A\r\npubDate: Jul 08 2022\r\n...\r\nText",
    ];

    #[test]
    fn no_prefix_of_a_document_panics() {
        for whole in WHOLE {
            assert!(parse(whole).is_ok(), "{whole:?}");
            for end in (0..whole.len()).filter(|end| whole.is_char_boundary(*end)) {
                let _ = parse(&whole[..end]);
                let _ = parse(&format!("{}\n{}\n", &whole[..end], &whole[..3]));
            }
        }
    }

    #[test]
    fn no_mutation_of_a_document_panics() {
        const BITS: [&str; 32] = [
            "\n",
            "---\n",
            "+++\n",
            ":",
            ": ",
            "- ",
            "[",
            "]",
            "{",
            "}",
            "&a ",
            "*a",
            "!",
            "!!",
            "'",
            "\"",
            "\\",
            "|",
            ">",
            "#",
            "\t",
            "?",
            "%",
            ",",
            "é",
            "\u{feff}",
            "0",
            "999999999999",
            "T",
            "\r",
            "<",
            "@",
        ];
        let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
        for _ in 0..4_000 {
            let mut text: Vec<char> = WHOLE[dice.below(WHOLE.len())].chars().collect();
            for _ in 0..=dice.below(6) {
                let at = dice.below(text.len() + 1);
                let until = (at + dice.below(8)).min(text.len());
                text.splice(at..until, BITS[dice.below(BITS.len())].chars());
            }
            let text: String = text.into_iter().collect();
            let _ = parse(&text);
            let noise: String = (0..dice.below(40))
                .map(|_| BITS[dice.below(BITS.len())])
                .collect();
            for fence in ["---", "+++"] {
                let _ = parse(&format!("{fence}\n{noise}\n{fence}\n"));
            }
        }
    }
}
