//! The fields of a front matter that a post is made of.

use chrono::{DateTime, Utc};

use super::super::source::{Author, Skipped};
use super::{Syntax, Table, Value, dates, names};

/// What a front matter says about its post.
#[derive(Debug, PartialEq)]
pub(in super::super) struct Fields {
    pub(in super::super) title: Option<String>,
    pub(in super::super) slug: Option<String>,
    /// Zola's `path`, without slashes at its ends.
    pub(in super::super) path: Option<String>,
    pub(in super::super) date: Option<DateTime<Utc>>,
    pub(in super::super) authors: Vec<Author>,
    pub(in super::super) categories: Vec<String>,
    pub(in super::super) tags: Vec<String>,
    pub(in super::super) draft: bool,
    /// Whether the page only sends its readers elsewhere (the plugin
    /// jekyll-redirect-from: `redirect_to`, or `layout: redirect`).
    pub(in super::super) redirect: bool,
    /// The fields that nothing is made of, sorted; those of `extra`, `params`
    /// and `taxonomies` as `extra.team`.
    pub(in super::super) unused: Vec<String>,
}

/// The names of the date, the first one given counts: `date` is everyone's,
/// `pubDate` and `pubDatetime` are common in Astro's templates, `publishDate` and
/// `published` are Hugo's ("Configure front matter").
const DATES: [&str; 6] = [
    "date",
    "pubDate",
    "pubDatetime",
    "publishDate",
    "publishedAt",
    "publishedDate",
];

/// The tables that hold fields of their own: Zola's `taxonomies` and `extra`,
/// Hugo's `params`.
const INNER: [&str; 3] = ["taxonomies", "extra", "params"];

impl Fields {
    /// Picks the fields out. Names are compared without case, `-` and `_`, as
    /// Hugo ignores case and templates differ in the rest; an empty or null
    /// field is one that was not given.
    ///
    /// # Errors
    ///
    /// [`Skipped::WrongType`], [`Skipped::BadDate`], [`Skipped::DateOutOfRange`],
    /// or [`Skipped::Nul`] for a text with an escaped NUL.
    pub(super) fn read(syntax: Syntax, table: Table) -> Result<Self, Skipped> {
        let mut reader = Reader {
            syntax,
            table,
            unused: Vec::new(),
        };
        let title = reader.text("title")?;
        let slug = reader.text("slug")?;
        let path = reader
            .text("path")?
            .map(|path| path.trim_matches('/').to_owned())
            .filter(|path| !path.is_empty());
        let mut date = reader.date()?;
        let mut draft = reader.truth("draft")?.unwrap_or(false);
        // Jekyll's `published` is a boolean ("Front Matter"), Hugo's a date.
        if let Some((name, value)) = reader.take("published") {
            match truth(&value) {
                Some(published) => draft |= !published,
                None => {
                    let published = date_of(&name, &value)?;
                    date = date.or(Some(published));
                }
            }
        }
        let redirect = reader.take("redirect_to").is_some()
            || reader.peek("layout").is_some_and(
                |layout| matches!(layout, Value::Text(text) if text.trim() == "redirect"),
            );
        let authors = reader.authors()?;
        let categories = reader.labels("category", "categories")?;
        let tags = reader.labels("tag", "tags")?;
        Ok(Self {
            title,
            slug,
            path,
            date,
            authors,
            categories,
            tags,
            draft,
            redirect,
            unused: reader.unused(),
        })
    }
}

struct Reader {
    syntax: Syntax,
    /// What has not been taken yet.
    table: Table,
    unused: Vec<String>,
}

impl Reader {
    fn text(&mut self, name: &'static str) -> Result<Option<String>, Skipped> {
        match self.take(name) {
            Some((name, value)) => text(&name, &value),
            None => Ok(None),
        }
    }

    fn truth(&mut self, name: &'static str) -> Result<Option<bool>, Skipped> {
        self.take(name)
            .map(|(name, value)| {
                truth(&value).ok_or_else(|| Skipped::wrong_type(&name, "true or false"))
            })
            .transpose()
    }

    fn date(&mut self) -> Result<Option<DateTime<Utc>>, Skipped> {
        for name in DATES {
            if let Some((name, value)) = self.take(name) {
                return date_of(&name, &value).map(Some);
            }
        }
        Ok(None)
    }

    /// The authors of every field that may name them, each once, in this order:
    /// `author`, `authors`, and the same of the inner tables.
    fn authors(&mut self) -> Result<Vec<Author>, Skipped> {
        let mut found: Vec<Author> = Vec::new();
        for (name, value) in self.take_everywhere(&["author", "authors"]) {
            let items = match value {
                Value::List(items) => items,
                item => vec![item],
            };
            for item in items {
                for author in self.authors_in(&name, item)? {
                    match found.iter_mut().find(|known| known.name == author.name) {
                        Some(known) => known.email = known.email.take().or(author.email),
                        None => found.push(author),
                    }
                }
            }
        }
        Ok(found)
    }

    fn authors_in(&mut self, name: &str, item: Value) -> Result<Vec<Author>, Skipped> {
        let mut table = match item {
            Value::Table(table) => table,
            item => {
                let text = text_or(
                    name,
                    &item,
                    "a name, a table with a name, or a list of these",
                )?;
                return Ok(text.as_deref().map(names::authors).unwrap_or_default());
            }
        };
        let mut part = |key: &str| match take(&mut table, key) {
            Some((key, value)) => text(&format!("{name}.{key}"), &value),
            None => Ok(None),
        };
        let (given, email) = (part("name")?, part("email")?);
        let author = names::author_of(given.as_deref(), email.as_deref())
            .ok_or_else(|| Skipped::wrong_type(name, "a name or a table with a name"))?;
        if email.is_some() && author.email.is_none() {
            self.unused.push(format!("{name}.email"));
        }
        self.unused
            .extend(table.into_keys().map(|key| format!("{name}.{key}")));
        Ok(vec![author])
    }

    /// Categories or tags. The singular is one label as a whole, the plural a
    /// list or several in one text: divided by commas if there is one, else, in
    /// YAML, by spaces (Jekyll, "Posts"). Each label comes once.
    fn labels(&mut self, singular: &str, plural: &str) -> Result<Vec<String>, Skipped> {
        let mut found: Vec<String> = Vec::new();
        for (name, value) in self.take_everywhere(&[singular, plural]) {
            let last = name.rsplit('.').next().unwrap_or(&name);
            let expected = "text or a list of texts";
            let labels = match value {
                Value::List(items) => items
                    .iter()
                    .map(|item| text_or(&name, item, expected))
                    .filter_map(Result::transpose)
                    .collect::<Result<Vec<_>, _>>()?,
                item => match text_or(&name, &item, expected)? {
                    None => Vec::new(),
                    Some(text) if same(last, singular) => vec![text],
                    Some(text) if text.contains(',') => {
                        text.split(',').map(str::to_owned).collect()
                    }
                    Some(text) if self.syntax == Syntax::Yaml => {
                        text.split_whitespace().map(str::to_owned).collect()
                    }
                    Some(text) => vec![text],
                },
            };
            for label in labels.iter().map(|label| names::tidy(label)) {
                if !label.is_empty() && !found.contains(&label) {
                    found.push(label);
                }
            }
        }
        Ok(found)
    }

    /// Takes a field out, with its name as written, unless it is null or empty.
    fn take(&mut self, name: &str) -> Option<(String, Value)> {
        take(&mut self.table, name)
    }

    fn take_everywhere(&mut self, wanted: &[&str]) -> Vec<(String, Value)> {
        let mut taken: Vec<_> = wanted
            .iter()
            .filter_map(|name| take(&mut self.table, name))
            .collect();
        for (table_name, value) in &mut self.table {
            if let Value::Table(inner) = value
                && INNER.iter().any(|inner| same(table_name, inner))
            {
                taken.extend(wanted.iter().filter_map(|name| {
                    let (key, value) = take(inner, name)?;
                    Some((format!("{table_name}.{key}"), value))
                }));
            }
        }
        taken
    }

    fn peek(&self, name: &str) -> Option<&Value> {
        self.table
            .iter()
            .find_map(|(key, value)| same(key, name).then_some(value))
    }

    fn unused(mut self) -> Vec<String> {
        for (key, value) in self.table {
            match value {
                Value::Null => {}
                Value::Table(inner) if INNER.iter().any(|name| same(&key, name)) => self
                    .unused
                    .extend(inner.into_keys().map(|name| format!("{key}.{name}"))),
                _ => self.unused.push(key),
            }
        }
        self.unused.sort();
        self.unused.dedup();
        self.unused
    }
}

fn take(table: &mut Table, name: &str) -> Option<(String, Value)> {
    let key = if table.contains_key(name) {
        name.to_owned()
    } else {
        table.keys().find(|key| same(key, name))?.clone()
    };
    let value = table.remove(&key)?;
    let absent = match &value {
        Value::Null => true,
        Value::Text(text) => text.trim().is_empty(),
        _ => false,
    };
    (!absent).then_some((key, value))
}

fn same(key: &str, name: &str) -> bool {
    fn letters(text: &str) -> impl Iterator<Item = u8> {
        text.bytes()
            .filter(|byte| !matches!(byte, b'-' | b'_'))
            .map(|byte| byte.to_ascii_lowercase())
    }
    letters(key).eq(letters(name))
}

fn text(name: &str, value: &Value) -> Result<Option<String>, Skipped> {
    text_or(name, value, "text")
}

/// The text of a value, without white space at its ends; nothing if that is
/// nothing. A whole number stands for its digits.
fn text_or(name: &str, value: &Value, expected: &'static str) -> Result<Option<String>, Skipped> {
    let text = match value {
        Value::Null => return Ok(None),
        Value::Text(text) => text.trim().to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Bool(_) | Value::Float | Value::Date(_) | Value::List(_) | Value::Table(_) => {
            return Err(Skipped::wrong_type(name, expected));
        }
    };
    if text.contains('\0') {
        return Err(Skipped::nul(&format!("the field `{name}`")));
    }
    Ok((!text.is_empty()).then_some(text))
}

/// A boolean, or the text of one: `true`, `yes` and `on`, `false`, `no` and `off`
/// (YAML 1.1, which Jekyll speaks; 1.2 knows only the first of each).
fn truth(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(truth) => Some(*truth),
        Value::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" => Some(true),
            "false" | "no" | "off" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn date_of(name: &str, value: &Value) -> Result<DateTime<Utc>, Skipped> {
    match value {
        Value::Date(text) | Value::Text(text) => dates::parse(text),
        _ => Err(Skipped::wrong_type(name, "a date")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn read(text: &str) -> Result<Fields, Skipped> {
        parse(text).map(|document| document.fields)
    }

    fn toml(inner: &str) -> Fields {
        read(&format!("+++\n{inner}\n+++\n")).unwrap()
    }

    fn yaml(inner: &str) -> Fields {
        read(&format!("---\n{inner}\n---\n")).unwrap()
    }

    fn date(fields: &Fields) -> String {
        fields.date.unwrap().to_rfc3339()
    }

    fn names(fields: &Fields) -> Vec<&str> {
        fields
            .authors
            .iter()
            .map(|author| author.name.as_str())
            .collect()
    }

    #[test]
    fn every_way_to_write_a_date_is_read() {
        let day = "2024-05-06T00:00:00+00:00";
        for text in [
            "date = 2024-05-06",
            "date = \"2024-05-06\"",
            "date = 2024-05-06T00:00:00",
            "date = 2024-05-06 02:00:00+02:00",
            "publishDate = 2024-05-06",
        ] {
            assert_eq!(date(&toml(text)), day, "{text}");
        }
        for text in [
            "date: 2024-05-06",
            "date: '2024-05-06'",
            "Date: 2024-05-06 00:00:00 +0000",
            "pubDate: May 06 2024",
            "pub_date: \"6 May 2024\"",
            "pubDatetime: 2024-05-06T00:00:00Z",
            "published: 2024-05-06",
        ] {
            assert_eq!(date(&yaml(text)), day, "{text}");
        }
    }

    #[test]
    fn the_date_proper_comes_before_the_date_of_publication() {
        let fields = yaml("publishDate: 2024-05-07\ndate: 2024-05-06\npublished: 2024-05-08");
        assert_eq!(date(&fields), "2024-05-06T00:00:00+00:00");
        assert_eq!(fields.unused, ["publishDate"]);
    }

    #[test]
    fn a_time_alone_or_a_number_is_no_date() {
        for text in [
            "+++\ndate = 07:08:09\n+++",
            "---\ndate: soon\n---",
            "---\npublished: maybe\n---",
        ] {
            assert!(matches!(read(text), Err(Skipped::BadDate { .. })), "{text}");
        }
        for text in [
            "+++\ndate = 20240506\n+++",
            "+++\ndate = [2024-05-06]\n+++",
            "---\ndate: {a: b}\n---",
        ] {
            assert!(
                matches!(read(text), Err(Skipped::WrongType { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn a_post_is_a_draft_when_either_field_says_so() {
        for text in [
            "draft: true",
            "draft: yes",
            "Draft: \"true\"",
            "published: false",
            "published: no",
            "draft: false\npublished: false",
        ] {
            assert!(yaml(text).draft, "{text}");
        }
        for text in [
            "draft: false",
            "draft:",
            "published: true",
            "published: 2024-05-06",
            "title: x",
        ] {
            assert!(!yaml(text).draft, "{text}");
        }
        assert!(toml("draft = true").draft);
        for text in [
            "---\ndraft: maybe\n---",
            "+++\ndraft = 1\n+++",
            "---\ndraft: [true]\n---",
        ] {
            assert!(
                matches!(read(text), Err(Skipped::WrongType { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn authors_are_read_from_every_place_and_each_once() {
        assert_eq!(names(&yaml("author: A B")), ["A B"]);
        assert_eq!(names(&yaml("authors: [A B, C D]")), ["A B", "C D"]);
        assert_eq!(
            names(&yaml("author: C D\nauthors: [A B, C D]")),
            ["C D", "A B"]
        );
        assert_eq!(
            names(&yaml("author: {name: A B, email: a@example.org, url: x}")),
            ["A B"]
        );
        assert_eq!(
            names(&yaml("authors:\n- name: A B\n- C D\n-")),
            ["A B", "C D"]
        );
        assert_eq!(names(&toml("[taxonomies]\nauthors = [\"A B\"]")), ["A B"]);
        assert_eq!(
            names(&toml("[extra]\nauthor = \"A B\"\nauthor_url = \"x\"")),
            ["A B"]
        );
        assert_eq!(names(&toml("[params.author]\nname = \"A B\"")), ["A B"]);
        assert_eq!(
            names(&toml("authors = [\"A B\", \"A B and C D\"]")),
            ["A B", "C D"]
        );
        assert!(yaml("author: ''\nauthors: []").authors.is_empty());
    }

    #[test]
    fn an_authors_address_is_kept() {
        let fields = yaml("author: A B\nauthors: [A B <a@example.org>, {email: c@example.org}]");
        let pairs: Vec<_> = fields
            .authors
            .iter()
            .map(|author| (author.name.as_str(), author.email.as_deref()))
            .collect();
        assert_eq!(
            pairs,
            [("A B", Some("a@example.org")), ("c", Some("c@example.org"))]
        );
    }

    #[test]
    fn an_author_that_is_no_name_is_refused() {
        for text in ["author: {url: x}", "authors: [[a]]", "author: {name: [a]}"] {
            assert!(
                matches!(
                    read(&format!("---\n{text}\n---\n")),
                    Err(Skipped::WrongType { .. })
                ),
                "{text}"
            );
        }
        assert!(matches!(
            read("+++\nauthor = true\n+++"),
            Err(Skipped::WrongType { .. })
        ));
    }

    #[test]
    fn labels_in_one_text_are_divided_as_their_generator_does() {
        assert_eq!(yaml("tags: rust web").tags, ["rust", "web"]);
        assert_eq!(yaml("tags: rust, web dev").tags, ["rust", "web dev"]);
        assert_eq!(yaml("tags: 'rust,, web dev, '").tags, ["rust", "web dev"]);
        assert_eq!(yaml("tag: web dev").tags, ["web dev"]);
        assert_eq!(
            yaml("category: web dev\ncategories: a b").categories,
            ["web dev", "a", "b"]
        );
        assert_eq!(toml("tags = \"web dev\"").tags, ["web dev"]);
        assert_eq!(toml("tags = \"web dev, rust\"").tags, ["web dev", "rust"]);
    }

    #[test]
    fn labels_in_a_list_stay_whole_and_come_once() {
        assert_eq!(
            yaml("tags: [web dev, 'a, b', 2024, 1.10, rust, rust, ~, '']").tags,
            ["web dev", "a, b", "2024", "1.10", "rust"]
        );
        let fields =
            toml("tags = [\"a\", 1]\n[taxonomies]\ntags = [\"a\", \"b\"]\ncategories = [\"c d\"]");
        assert_eq!(fields.tags, ["a", "1", "b"]);
        assert_eq!(fields.categories, ["c d"]);
        for text in [
            "+++\ntags = [1.5]\n+++",
            "+++\ntags = true\n+++",
            "---\ntags: [{a: b}]\n---",
        ] {
            assert!(
                matches!(read(text), Err(Skipped::WrongType { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn a_title_is_text_or_a_whole_number_and_trimmed() {
        assert_eq!(yaml("title: >\n  A\n  b\n").title.as_deref(), Some("A b"));
        assert_eq!(yaml("title: 1.10").title.as_deref(), Some("1.10"));
        assert_eq!(toml("title = 1984").title.as_deref(), Some("1984"));
        for text in ["title:", "title: ''", "title: '  '", "title: ~"] {
            assert_eq!(yaml(text).title, None, "{text}");
        }
        for text in [
            "+++\ntitle = true\n+++",
            "+++\ntitle = 2024-05-06\n+++",
            "---\ntitle: [a]\n---",
        ] {
            assert!(
                matches!(read(text), Err(Skipped::WrongType { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn an_escaped_nul_is_found() {
        for text in [
            "+++\ntitle = \"a\\u0000b\"\n+++",
            "---\ntitle: \"a\\0b\"\n---",
            "---\ntags: [\"a\\0b\"]\n---",
        ] {
            assert!(matches!(read(text), Err(Skipped::Nul { .. })), "{text}");
        }
    }

    #[test]
    fn a_redirect_is_recognized() {
        assert!(yaml("redirect_to: /x/").redirect);
        assert!(yaml("redirect_to: [/x/]").redirect);
        assert!(yaml("layout: redirect").redirect);
        assert!(!yaml("layout: post\nredirect_from: /y/").redirect);
    }

    #[test]
    fn fields_that_nothing_is_made_of_are_named() {
        let fields = toml(
            "title = \"A\"\naliases = [\"x\"]\nauthor = {name = \"B\", url = \"y\"}\n[extra]\nteam = \"t\"\n[taxonomies]\nseries = [\"s\"]\ntags = [\"u\"]",
        );
        assert_eq!(
            fields.unused,
            ["aliases", "author.url", "extra.team", "taxonomies.series"]
        );
        assert_eq!(
            yaml("title: A\nlayout: post\nempty:\ndraft: false").unused,
            ["layout"]
        );
    }
}
