//! A folder of posts as a static-site generator leaves it: which files there
//! are, and what each tells about its post. Nothing here knows a database.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use super::front_matter::{self, Document, Fields};

/// One post as its file tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourcePost {
    /// Where the file is, from the folder, with `/` between the names.
    pub path: String,
    /// SHA-256 of the whole file.
    pub hash: [u8; 32],
    /// Without white space at its ends; never empty.
    pub title: String,
    /// The front matter's `slug`, else the last segment of its `path` (Zola), else
    /// the file's name without date and extension, or the folder's when the file
    /// is an `index`. As it is written there: nothing is folded or replaced, and
    /// two posts can have the same. Nothing for an `index` in the folder itself.
    pub slug: Option<String>,
    /// The date in the front matter, else in its `path` (Zola,
    /// `2014/09/15/name`), else at the start of the file's name or, when that is
    /// an `index`, of its folder's. A plain date is midnight UTC. Only a draft can
    /// be without; the year is within 1000 to 9999.
    pub date: Option<DateTime<Utc>>,
    /// In the order of the file, each name once; can be empty.
    pub authors: Vec<Author>,
    /// Each once; with the names of the folders around `_posts` (Jekyll).
    pub categories: Vec<String>,
    /// Each once.
    pub tags: Vec<String>,
    /// `draft`, Jekyll's `published: false`, or a file in a `_drafts` folder.
    pub draft: bool,
    /// What follows the line that closes the front matter, byte for byte. The
    /// line break of that line is not part of it; a blank line after it is.
    pub content: String,
    /// The front matter's other fields, which a post has no place for, sorted;
    /// those of `extra`, `params` and `taxonomies` as `extra.team`.
    pub unused: Vec<String>,
}

/// Somebody who wrote a post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Author {
    /// Composed (NFC), with single spaces; never empty, never an e-mail address.
    pub name: String,
    /// The address, if the file gives one that can be one.
    pub email: Option<String>,
}

/// Why a file is no post, or could not be read as one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Skipped {
    #[error("it is not Markdown: only .md, .markdown, .mdown, .mkdown, .mkdn, .mkd and .mdx are")]
    NotMarkdown,
    #[error("it describes a section of the site (`_index`)")]
    SectionPage,
    #[error("it only redirects to another page")]
    Redirect,
    #[error(
        "it is a page and not a post: there is no date in its front matter, its `path` or its name"
    )]
    NotAPost,
    #[error("it has no front matter: it does not start with a line `+++` or `---`")]
    NoFrontMatter,
    #[error("its front matter is JSON; only TOML and YAML are read")]
    JsonFrontMatter,
    #[error("its front matter is not closed: no line `{fence}` follows the one in line {line}")]
    UnclosedFrontMatter { fence: &'static str, line: usize },
    #[error("its front matter is larger than {limit} bytes")]
    FrontMatterTooLarge { limit: usize },
    #[error("its front matter cannot be read as {language} (line {line}): {message}")]
    BadFrontMatter {
        language: &'static str,
        /// From 1, in the file.
        line: usize,
        message: String,
    },
    #[error("it has no title")]
    NoTitle,
    #[error("the field `{field}` is not {expected}")]
    WrongType {
        field: String,
        expected: &'static str,
    },
    #[error("`{value}` is not a date")]
    BadDate { value: String },
    #[error("the date `{value}` is not within the years 1000 to 9999")]
    DateOutOfRange { value: String },
    #[error("it is not valid UTF-8 (line {line})")]
    NotUtf8 {
        /// From 1.
        line: usize,
    },
    #[error("{place} contains a NUL character")]
    Nul { place: String },
    #[error("it is larger than {limit} bytes")]
    FileTooLarge { limit: u64 },
    #[error("its content has {length} characters, more than the {limit} that a post may have")]
    ContentTooLong { length: usize, limit: usize },
    #[error("its name is not valid UTF-8")]
    NameNotUtf8,
    #[error("it is a symbolic link; links are not followed")]
    Link,
    #[error("the path does not lead to a file inside the folder")]
    OutsideFolder,
    #[error("it is not a regular file")]
    NotAFile,
    #[error("it cannot be read: {reason}")]
    Unreadable { reason: String },
}

impl Skipped {
    /// Whether something is wrong with the file, rather than that it is no post.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        !matches!(
            self,
            Self::NotMarkdown
                | Self::SectionPage
                | Self::Redirect
                | Self::NotAPost
                | Self::NoFrontMatter
        )
    }

    pub(super) fn bad_front_matter(language: &'static str, line: usize, message: &str) -> Self {
        Self::BadFrontMatter {
            language,
            line,
            message: printable(message),
        }
    }

    pub(super) fn wrong_type(field: &str, expected: &'static str) -> Self {
        Self::WrongType {
            field: printable(field),
            expected,
        }
    }

    pub(super) fn bad_date(value: &str) -> Self {
        Self::BadDate {
            value: printable(value),
        }
    }

    pub(super) fn date_out_of_range(value: &str) -> Self {
        Self::DateOutOfRange {
            value: printable(value),
        }
    }

    pub(super) fn nul(place: &str) -> Self {
        Self::Nul {
            place: printable(place),
        }
    }

    fn unreadable(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotADirectory => Self::OutsideFolder,
            _ => Self::Unreadable {
                reason: printable(&error.to_string()),
            },
        }
    }
}

/// A piece of somebody's file on one line of a terminal: at most 200
/// characters, and none that control it.
pub(super) fn printable(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(200)
        .map(|letter| match letter {
            '\n' | '\r' | '\t' => ' ',
            letter if letter.is_control() => char::REPLACEMENT_CHARACTER,
            letter => letter,
        })
        .collect();
    if text.chars().nth(200).is_some() {
        shown.push('…');
    }
    shown
}

/// What a folder holds. Every file in it is counted exactly once, except those
/// in hidden folders, which count as one each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walk {
    /// The Markdown files, for [`read`], in the order of their paths' bytes.
    pub files: Vec<String>,
    /// What may be posts but is not readable at all, in the same order: paths,
    /// for display, with the reasons.
    pub skipped: Vec<(String, Skipped)>,
    /// How many files are not Markdown, such as the pictures beside the posts,
    /// by extension in lower case; files without one are under "".
    pub others: BTreeMap<String, usize>,
    /// How many files and folders were passed over for their names: those that
    /// start with a dot, and `node_modules`.
    pub hidden: usize,
}

/// Finds the files of a folder and its folders. Symbolic links inside it are
/// not followed, so nothing outside is read and no loop is walked; links that
/// hide Markdown files or folders are among the skipped.
///
/// # Errors
///
/// If the folder itself cannot be listed. What cannot be listed or looked at
/// inside it is among the skipped.
pub fn walk(dir: &Path) -> io::Result<Walk> {
    let mut walk = Walk::default();
    let mut folders = Vec::new();
    walk.list(dir, "", fs::read_dir(dir)?, &mut folders);
    while let Some((folder, path)) = folders.pop() {
        match fs::read_dir(&folder) {
            Ok(entries) => walk.list(&folder, &path, entries, &mut folders),
            Err(error) => walk.skipped.push((path, Skipped::unreadable(&error))),
        }
    }
    walk.files.sort_unstable();
    walk.skipped
        .sort_by(|(left, _), (right, _)| left.cmp(right));
    Ok(walk)
}

impl Walk {
    fn list(
        &mut self,
        folder: &Path,
        path: &str,
        entries: fs::ReadDir,
        folders: &mut Vec<(PathBuf, String)>,
    ) {
        for entry in entries {
            let (name, kind) =
                match entry.and_then(|entry| Ok((entry.file_name(), entry.file_type()?))) {
                    Ok(entry) => entry,
                    Err(error) => {
                        let path = if path.is_empty() { "." } else { path };
                        self.skipped
                            .push((path.to_owned(), Skipped::unreadable(&error)));
                        continue;
                    }
                };
            let place = folder.join(&name);
            let lossy = name.to_string_lossy();
            if lossy.starts_with('.') || lossy == "node_modules" {
                self.hidden += 1;
                continue;
            }
            let below = if path.is_empty() {
                lossy.to_string()
            } else {
                format!("{path}/{lossy}")
            };
            let whole_name = name.to_str().is_some();
            let markdown = is_markdown(&lossy);
            if kind.is_dir() {
                if whole_name {
                    folders.push((place, below));
                } else {
                    self.skipped.push((below, Skipped::NameNotUtf8));
                }
            } else if kind.is_symlink() && (markdown || place.is_dir()) {
                self.skipped.push((below, Skipped::Link));
            } else if !markdown {
                *self.others.entry(extension(&lossy)).or_default() += 1;
            } else if !kind.is_file() {
                self.skipped.push((below, Skipped::NotAFile));
            } else if whole_name {
                self.files.push(below);
            } else {
                self.skipped.push((below, Skipped::NameNotUtf8));
            }
        }
    }
}

/// Reads one file of a folder, given by its path as [`walk`] gives it. The
/// content may have so many characters (Unicode scalar values).
///
/// # Errors
///
/// The one reason why the file is skipped.
pub fn read(dir: &Path, path: &str, max_content_chars: usize) -> Result<SourcePost, Skipped> {
    let file = locate(dir, path)?;
    let place = Place::of(path);
    if !is_markdown(place.file_name) {
        return Err(Skipped::NotMarkdown);
    }
    if place.is_section() {
        return Err(Skipped::SectionPage);
    }
    let bytes = load(&file, max_content_chars)?;
    let hash = Sha256::digest(&bytes).into();
    let text = text_of(bytes)?;
    let Document { fields, content } = front_matter::parse(&text)?;
    if fields.redirect {
        return Err(Skipped::Redirect);
    }
    let draft = fields.draft || place.folders.contains(&"_drafts");
    let date = date_of(&fields, &place)?;
    if date.is_none() && !draft {
        return Err(Skipped::NotAPost);
    }
    let slug = slug_of(&fields, &place);
    let title = fields.title.ok_or(Skipped::NoTitle)?;
    let length = content.chars().count();
    if length > max_content_chars {
        return Err(Skipped::ContentTooLong {
            length,
            limit: max_content_chars,
        });
    }
    let mut categories = fields.categories;
    for folder in place.jekyll_categories() {
        if !categories.iter().any(|known| known == folder) {
            categories.push((*folder).to_owned());
        }
    }
    Ok(SourcePost {
        path: path.to_owned(),
        hash,
        title,
        slug,
        date,
        authors: fields.authors,
        categories,
        tags: fields.tags,
        draft,
        content: content.to_owned(),
        unused: fields.unused,
    })
}

/// The file of a path, if every step to it is inside the folder.
fn locate(dir: &Path, path: &str) -> Result<PathBuf, Skipped> {
    let mut file = dir.to_owned();
    for name in path.split('/') {
        // One ordinary name, on this system too: no `..`, no `C:`, no `a\b`.
        let mut steps = Path::new(name).components();
        match (steps.next(), steps.next()) {
            (Some(Component::Normal(step)), None) if step == name => file.push(name),
            _ => return Err(Skipped::OutsideFolder),
        }
        let kind = fs::symlink_metadata(&file)
            .map_err(|error| Skipped::unreadable(&error))?
            .file_type();
        if kind.is_symlink() {
            return Err(Skipped::Link);
        }
    }
    // Opening a named pipe would wait for its writer.
    if !file.is_file() {
        return Err(Skipped::NotAFile);
    }
    Ok(file)
}

/// The bytes of a file, unless they are more than the front matter, the two
/// fences and the content can have; a character has up to four bytes in UTF-8.
fn load(file: &Path, max_content_chars: usize) -> Result<Vec<u8>, Skipped> {
    let most = max_content_chars
        .saturating_mul(4)
        .saturating_add(front_matter::MAX_BYTES + 1024);
    let limit = u64::try_from(most).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|file| file.take(limit.saturating_add(1)).read_to_end(&mut bytes))
        .map_err(|error| Skipped::unreadable(&error))?;
    if bytes.len() > most {
        return Err(Skipped::FileTooLarge { limit });
    }
    Ok(bytes)
}

fn text_of(bytes: Vec<u8>) -> Result<String, Skipped> {
    let line_at = |bytes: &[u8], end: usize| {
        let breaks = bytes.iter().take(end).filter(|byte| **byte == b'\n');
        breaks.count() + 1
    };
    let text = String::from_utf8(bytes).map_err(|error| Skipped::NotUtf8 {
        line: line_at(error.as_bytes(), error.utf8_error().valid_up_to()),
    })?;
    match text.find('\0') {
        Some(at) => Err(Skipped::nul(&format!(
            "line {}",
            line_at(text.as_bytes(), at)
        ))),
        None => Ok(text),
    }
}

/// The first of: front matter, `path`, name. An impossible day in one of them is
/// an error only when no earlier one has a date.
fn date_of(fields: &Fields, place: &Place<'_>) -> Result<Option<DateTime<Utc>>, Skipped> {
    if fields.date.is_some() {
        return Ok(fields.date);
    }
    let in_path = fields.path.as_deref().and_then(front_matter::path_date);
    in_path
        .or_else(|| Some(front_matter::leading_date(place.post_name()?)?.date))
        .transpose()
}

fn slug_of(fields: &Fields, place: &Place<'_>) -> Option<String> {
    let in_path = || fields.path.as_deref()?.rsplit('/').next();
    let in_name = || {
        let name = place.post_name()?;
        let dated = front_matter::leading_date(name);
        Some(dated.and_then(|dated| dated.rest).unwrap_or(name))
    };
    fields
        .slug
        .as_deref()
        .or_else(in_path)
        .or_else(in_name)
        .map(str::to_owned)
}

/// The names on the way to a file.
struct Place<'a> {
    folders: Vec<&'a str>,
    file_name: &'a str,
    stem: &'a str,
}

impl<'a> Place<'a> {
    fn of(path: &'a str) -> Self {
        let mut folders: Vec<&str> = path.split('/').collect();
        let file_name = folders.pop().unwrap_or_default();
        let stem = file_name
            .rsplit_once('.')
            .map_or(file_name, |(stem, _)| stem);
        Self {
            folders,
            file_name,
            stem,
        }
    }

    /// Zola's "Section" and Hugo's "Page bundles" pages; `_index.fr` is the same
    /// in another language.
    fn is_section(&self) -> bool {
        self.stem == "_index" || self.stem.starts_with("_index.")
    }

    /// The name that tells post from post: the file's, or its folder's when it is
    /// the index of a bundle.
    fn post_name(&self) -> Option<&'a str> {
        if self.stem == "index" || self.stem.starts_with("index.") {
            self.folders.last().copied()
        } else {
            Some(self.stem)
        }
    }

    /// Jekyll's "Posts" page: the folders above `_posts` are categories, too.
    fn jekyll_categories(&self) -> &[&'a str] {
        self.folders
            .iter()
            .position(|folder| matches!(*folder, "_posts" | "_drafts"))
            .map_or(&[], |at| &self.folders[..at])
    }
}

/// What Jekyll, Hugo and Astro take for Markdown by its extension.
fn is_markdown(name: &str) -> bool {
    matches!(
        extension(name).as_str(),
        "md" | "markdown" | "mdown" | "mkdown" | "mkdn" | "mkd" | "mdx"
    )
}

fn extension(name: &str) -> String {
    name.rsplit_once('.')
        .filter(|(stem, _)| !stem.is_empty())
        .map_or_else(String::new, |(_, extension)| extension.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 1_000_000;

    fn fixtures() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/import")
    }

    fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, bytes) in files {
            let file = dir.path().join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, bytes).unwrap();
        }
        dir
    }

    fn read_one(path: &str, text: &str) -> Result<SourcePost, Skipped> {
        read(folder(&[(path, text.as_bytes())]).path(), path, MAX)
    }

    fn names(post: &SourcePost) -> Vec<&str> {
        post.authors
            .iter()
            .map(|author| author.name.as_str())
            .collect()
    }

    #[test]
    fn every_fixture_is_counted_once_and_in_order() {
        let walk = walk(&fixtures()).unwrap();
        assert_eq!(walk.files.len(), 29);
        assert!(walk.files.is_sorted(), "{:?}", walk.files);
        assert_eq!(walk.skipped, []);
        let others: Vec<_> = walk
            .others
            .iter()
            .map(|(key, n)| (key.as_str(), *n))
            .collect();
        assert_eq!(others, [("svg", 2), ("txt", 1)]);
        assert_eq!(walk.hidden, 1);
    }

    #[test]
    fn every_fixture_with_a_mistake_is_skipped_for_its_reason() {
        let mut expected = BTreeMap::from([
            ("zola/_index.md", "a section"),
            ("zola/about.md", "a page and not a post"),
            ("jekyll/old-address.md", "only redirects"),
            ("hugo/content/_index.md", "a section"),
            ("hugo/content/post/json.md", "is JSON"),
            ("mistakes/README.md", "has no front matter"),
            (
                "mistakes/unclosed.md",
                "no line `---` follows the one in line 1",
            ),
            ("mistakes/bad-toml.md", "as TOML (line 5)"),
            ("mistakes/bad-yaml.md", "as YAML (line 2)"),
            ("mistakes/key-twice.md", "as YAML (line 4): the key `title`"),
            ("mistakes/alias-bomb.md", "aliases make it too large"),
            ("mistakes/no-title.md", "no title"),
            ("mistakes/wrong-type.md", "`title` is not text"),
            ("mistakes/bad-date.md", "`2024-02-30` is not a date"),
            (
                "mistakes/year-999.md",
                "`0999-12-31` is not within the years",
            ),
            ("mistakes/nul.md", "line 5 contains a NUL"),
            ("mistakes/escaped-nul.md", "`title` contains a NUL"),
            ("mistakes/latin-1.md", "not valid UTF-8 (line 5)"),
        ]);
        for path in walk(&fixtures()).unwrap().files {
            match (
                read(&fixtures(), &path, MAX),
                expected.remove(path.as_str()),
            ) {
                (Ok(_), None) => {}
                (Err(why), Some(part)) => {
                    let why = why.to_string();
                    assert!(why.contains(part), "{path}: {why}");
                }
                (found, expected) => panic!("{path}: {found:?}, expected {expected:?}"),
            }
        }
        assert_eq!(expected, BTreeMap::new());
    }

    #[test]
    fn every_fixture_without_a_mistake_is_read() {
        type Expected = (
            &'static str,
            &'static str,
            &'static str,
            &'static str,
            &'static [&'static str],
            &'static [&'static str],
            &'static [&'static str],
            bool,
        );
        let expected: [Expected; 11] = [
            (
                "zola/maiden-voyage.md",
                "The maiden voyage",
                "maiden-voyage",
                "2024-05-06T05:08:09+00:00",
                &["Ada Mast"],
                &["News"],
                &["ships", "launch day"],
                false,
            ),
            (
                "zola/load-lines.md",
                "Load lines 1.0",
                "Load-Lines-1.0",
                "2014-09-15T00:00:00+00:00",
                &["Ada Mast", "Ben Keel", "The Harbour Team"],
                &[],
                &[],
                false,
            ),
            (
                "zola/2018-10-10-harbour/index.md",
                "A harbour with a picture",
                "harbour",
                "2018-10-10T00:00:00+00:00",
                &["Ada Mast"],
                &[],
                &[],
                false,
            ),
            (
                "jekyll/_posts/2024-05-06-plimsoll-line.md",
                "The line: a mark on a hull",
                "plimsoll-line",
                "2016-05-26T00:00:00+00:00",
                &["Ada Mast"],
                &["history", "safety", "jekyll"],
                &["ships", "load line", "1876"],
                false,
            ),
            (
                "jekyll/_posts/2024-05-07-date-in-the-name.markdown",
                "The date is in the name",
                "date-in-the-name",
                "2024-05-07T00:00:00+00:00",
                &["Ben Keel"],
                &["jekyll"],
                &[],
                true,
            ),
            (
                "jekyll/_drafts/undated.md",
                "An idea without a date",
                "undated",
                "",
                &[],
                &["jekyll"],
                &[],
                true,
            ),
            (
                "jekyll/news/_posts/2024-05-08-windows.md",
                "Written on Windows",
                "windows",
                "2024-05-08T00:00:00+00:00",
                &[],
                &["jekyll", "news"],
                &["crlf", "bom"],
                false,
            ),
            (
                "hugo/content/post/anchor/index.md",
                "Anchors aweigh",
                "weigh-anchor",
                "2023-02-28T00:00:00+00:00",
                &["Ada Mast", "Cy Rudder"],
                &[],
                &["ships", "anchors"],
                true,
            ),
            (
                "hugo/content/post/tide.md",
                "Tides, and what they carry",
                "tide",
                "2023-03-02T04:30:00+00:00",
                &["Cy Rudder", "Ben Keel"],
                &["The sea"],
                &["tides", "moon phases"],
                false,
            ),
            (
                "astro/src/content/blog/first-post.md",
                "First post",
                "first-post",
                "2022-07-08T00:00:00+00:00",
                &[],
                &[],
                &[],
                false,
            ),
            (
                "astro/src/content/blog/components.mdx",
                "Components: é, 漢字, 🚢",
                "components",
                "2022-07-09T00:00:00+00:00",
                &["Klabnik, Steve"],
                &[],
                &["été"],
                false,
            ),
        ];
        for (path, title, slug, date, authors, categories, tags, draft) in expected {
            let post = read(&fixtures(), path, MAX).unwrap();
            assert_eq!(post.path, path);
            assert_eq!(post.title, title, "{path}");
            assert_eq!(post.slug.as_deref(), Some(slug), "{path}");
            let found = post.date.map(|date| date.to_rfc3339()).unwrap_or_default();
            assert_eq!(found, date, "{path}");
            assert_eq!(names(&post), authors, "{path}");
            assert_eq!(post.categories, categories, "{path}");
            assert_eq!(post.tags, tags, "{path}");
            assert_eq!(post.draft, draft, "{path}");
            let file = fs::read(fixtures().join(path)).unwrap();
            assert!(file.ends_with(post.content.as_bytes()), "{path}");
        }
    }

    #[test]
    fn the_hash_is_of_the_whole_file() {
        let path = "jekyll/news/_posts/2024-05-08-windows.md";
        let post = read(&fixtures(), path, MAX).unwrap();
        let hex: String = post.hash.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "6d288c956da9f689651dbbcaaa3cacada46c4f2878c3aefbf2748425795faf1e"
        );
        assert_eq!(post.content, "\r\nTwo line ends before this.\r\n");
    }

    #[test]
    fn the_front_matters_date_comes_before_the_paths_and_that_before_the_names() {
        let date = |path: &str, inner: &str| {
            read_one(path, &format!("---\ntitle: A\n{inner}\n---\n"))
                .map(|post| post.date.unwrap().date_naive().to_string())
        };
        let (given, path) = ("date: 2001-01-01", "path: 2002/02/02/a");
        let name = "2003-03-03-a.md";
        assert_eq!(
            date(name, &format!("{given}\n{path}")).as_deref(),
            Ok("2001-01-01")
        );
        assert_eq!(date(name, path).as_deref(), Ok("2002-02-02"));
        assert_eq!(date(name, "").as_deref(), Ok("2003-03-03"));
        assert_eq!(
            date("2004-04-04-b/index.md", "").as_deref(),
            Ok("2004-04-04")
        );
        assert_eq!(
            date("2004-04-04-b/index.fr.md", "").as_deref(),
            Ok("2004-04-04")
        );
        assert_eq!(date("2004-04-04-b/a.md", ""), Err(Skipped::NotAPost));
        assert_eq!(date("2003-13-03-a.md", given).as_deref(), Ok("2001-01-01"));
        assert!(matches!(
            date("2003-13-03-a.md", ""),
            Err(Skipped::BadDate { .. })
        ));
    }

    #[test]
    fn a_given_slug_comes_before_the_paths_and_that_before_the_names() {
        let slug = |path: &str, inner: &str| {
            read_one(
                path,
                &format!("---\ntitle: A\ndate: 2001-01-01\n{inner}\n---\n"),
            )
            .unwrap()
            .slug
        };
        let name = "blog/2003-03-03-Some.Name.md";
        assert_eq!(
            slug(name, "slug: Given\npath: /x/y/").as_deref(),
            Some("Given")
        );
        assert_eq!(slug(name, "slug: ''\npath: /x/y/").as_deref(), Some("y"));
        assert_eq!(slug(name, "path: /").as_deref(), Some("Some.Name"));
        assert_eq!(slug("2003-03-03.md", "").as_deref(), Some("2003-03-03"));
        assert_eq!(slug("a/b/index.md", "").as_deref(), Some("b"));
        assert_eq!(slug("index.md", ""), None);
    }

    #[test]
    fn only_a_draft_can_be_without_a_date() {
        let read = |path: &str, inner: &str| read_one(path, &format!("---\n{inner}\n---\n"));
        assert_eq!(read("a.md", "title: A"), Err(Skipped::NotAPost));
        for (path, inner) in [
            ("a.md", "title: A\ndraft: true"),
            ("x/_drafts/y/a.md", "title: A"),
        ] {
            let post = read(path, inner).unwrap();
            assert!(post.draft && post.date.is_none(), "{post:?}");
        }
        assert_eq!(read("_drafts/a.md", "tags: x"), Err(Skipped::NoTitle));
    }

    #[test]
    fn content_at_the_limit_is_read_and_one_character_more_is_not() {
        let head = "---\ntitle: A\ndate: 2001-01-01\n---\n";
        let post = |content: &str| {
            let text = format!("{head}{content}");
            read(folder(&[("a.md", text.as_bytes())]).path(), "a.md", 10)
        };
        assert_eq!(post(&"🚢".repeat(10)).unwrap().content, "🚢".repeat(10));
        assert_eq!(
            post(&"é".repeat(11)),
            Err(Skipped::ContentTooLong {
                length: 11,
                limit: 10
            })
        );
        let most = 10 * 4 + front_matter::MAX_BYTES + 1024;
        assert!(matches!(
            post(&"x".repeat(most - head.len())),
            Err(Skipped::ContentTooLong { .. })
        ));
        assert!(matches!(
            post(&"x".repeat(most - head.len() + 1)),
            Err(Skipped::FileTooLarge { .. })
        ));
    }

    #[test]
    fn hidden_names_and_installed_packages_are_passed_over() {
        let dir = folder(&[
            (".git/a.md", b""),
            (".draft.md", b""),
            ("node_modules/x/README.md", b""),
            ("a/b.md", b""),
            ("a-b.MD", b""),
            ("a/._b.md", b""),
            ("LICENSE", b""),
            ("a/x.PNG", b""),
            ("a/y.png", b""),
        ]);
        let walk = walk(dir.path()).unwrap();
        assert_eq!(walk.files, ["a-b.MD", "a/b.md"]);
        assert_eq!(walk.hidden, 4);
        let others: Vec<_> = walk
            .others
            .iter()
            .map(|(key, n)| (key.as_str(), *n))
            .collect();
        assert_eq!(others, [("", 1), ("png", 2)]);
    }

    #[test]
    fn a_path_that_leaves_the_folder_is_refused() {
        let dir = folder(&[("in/a.md", b"---\ntitle: A\n---\n"), ("b.md", b"")]);
        let inner = dir.path().join("in");
        let absolute = dir.path().join("b.md");
        for path in [
            "../b.md",
            "../in/a.md",
            "./a.md",
            "",
            "/",
            "a.md/",
            "a.md/b.md",
            "/a.md",
            absolute.to_str().unwrap(),
        ] {
            assert_eq!(
                read(&inner, path, MAX),
                Err(Skipped::OutsideFolder),
                "{path:?}"
            );
        }
        assert_eq!(read(&inner, "a.md", MAX), Err(Skipped::NotAPost));
    }

    #[test]
    fn what_is_gone_or_no_file_is_reported() {
        let dir = folder(&[("a.md/b.txt", b"")]);
        assert!(matches!(
            read(dir.path(), "gone.md", MAX),
            Err(Skipped::Unreadable { .. })
        ));
        assert_eq!(read(dir.path(), "a.md", MAX), Err(Skipped::NotAFile));
        assert_eq!(
            read(dir.path(), "a.md/b.txt", MAX),
            Err(Skipped::NotMarkdown)
        );
        assert!(walk(&dir.path().join("gone")).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn links_are_reported_and_not_followed() {
        use std::os::unix::fs::symlink;

        let outside = folder(&[("secret.md", b"---\ntitle: A\ndate: 2001-01-01\n---\n")]);
        let dir = folder(&[("a.md", b""), ("x.png", b"")]);
        let link = |target: &Path, name: &str| symlink(target, dir.path().join(name)).unwrap();
        link(&outside.path().join("secret.md"), "b.md");
        link(Path::new("gone"), "broken.md");
        link(outside.path(), "away");
        link(Path::new("."), "loop");
        link(Path::new("x.png"), "y.png");
        let found = walk(dir.path()).unwrap();
        assert_eq!(found.files, ["a.md"]);
        let skipped =
            ["away", "b.md", "broken.md", "loop"].map(|path| (path.to_owned(), Skipped::Link));
        assert_eq!(found.skipped, skipped);
        assert_eq!(found.others, BTreeMap::from([("png".to_owned(), 2)]));
        for path in ["b.md", "broken.md", "away/secret.md", "loop/a.md"] {
            assert_eq!(read(dir.path(), path, MAX), Err(Skipped::Link), "{path}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_reached_through_a_link_is_read() {
        let dir = folder(&[("real/a.md", b"")]);
        std::os::unix::fs::symlink("real", dir.path().join("link")).unwrap();
        assert_eq!(walk(&dir.path().join("link")).unwrap().files, ["a.md"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_socket_is_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(dir.path().join("a.md")).unwrap();
        let skipped = walk(dir.path()).unwrap().skipped;
        assert_eq!(skipped, [("a.md".to_owned(), Skipped::NotAFile)]);
        assert_eq!(read(dir.path(), "a.md", MAX), Err(Skipped::NotAFile));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn names_that_are_not_utf_8_are_reported() {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt;

        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(OsStr::from_bytes(b"\xe9.md")), "").unwrap();
        fs::create_dir(dir.path().join(OsStr::from_bytes(b"\xe8"))).unwrap();
        let skipped = walk(dir.path()).unwrap().skipped;
        let reasons: Vec<_> = skipped.into_iter().map(|(_, why)| why).collect();
        assert_eq!(reasons, [Skipped::NameNotUtf8, Skipped::NameNotUtf8]);
    }

    #[cfg(unix)]
    #[test]
    fn what_may_not_be_read_is_reported() {
        use std::os::unix::fs::PermissionsExt;

        let dir = folder(&[("a.md", b""), ("b/c.md", b""), ("d.md", b"")]);
        let (file, inner) = (dir.path().join("a.md"), dir.path().join("b"));
        let allow = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap()
        };
        allow(&file, 0);
        allow(&inner, 0);
        if File::open(&file).is_ok() {
            eprintln!("skipped: this user may read every file");
        } else {
            let found = walk(dir.path()).unwrap();
            assert_eq!(found.files, ["a.md", "d.md"]);
            assert!(
                matches!(&found.skipped[..], [(path, Skipped::Unreadable { .. })] if path == "b"),
                "{:?}",
                found.skipped
            );
            assert!(matches!(
                read(dir.path(), "a.md", MAX),
                Err(Skipped::Unreadable { .. })
            ));
        }
        allow(&inner, 0o700);
    }

    #[test]
    fn a_reason_shows_nothing_that_controls_a_terminal() {
        let why = read_one("a.md", "---\ntitle: A\ndate: \"\\e[31m\\nx\"\n---\n").unwrap_err();
        assert_eq!(why.to_string(), "`\u{fffd}[31m x` is not a date");
        let long =
            read_one("a.md", &format!("---\ndate: {}\n---\n", "x".repeat(5_000))).unwrap_err();
        assert!(long.to_string().chars().count() < 250, "{long}");
    }

    #[test]
    fn no_bytes_panic() {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let dir = tempfile::tempdir().unwrap();
        for round in 0..300 {
            let mut bytes =
                [&b"---\n"[..], b"+++\r\n", b"\xef\xbb\xbf---\n", b""][round % 4].to_vec();
            for _ in 0..round {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let [byte, choice, ..] = state.to_le_bytes();
                bytes.push(if choice < 250 { byte & 0x7f } else { byte });
            }
            bytes.extend_from_slice(b"\n---\n+++\n");
            fs::write(dir.path().join("a.md"), &bytes).unwrap();
            assert!(read(dir.path(), "a.md", MAX).is_err(), "{bytes:?}");
        }
    }

    /// Ten years of the Rust blog, which lie beside the project's folder.
    #[test]
    fn every_post_of_the_rust_blog_is_read() {
        let dir =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/rust-blog/content");
        if !dir.is_dir() {
            eprintln!(
                "skipped: the posts of the Rust blog are not at {}",
                dir.display()
            );
            return;
        }
        let found = walk(&dir).unwrap();
        assert_eq!((found.files.len(), found.skipped.len()), (754, 0));
        let (mut posts, mut skipped) = (Vec::new(), Vec::new());
        for path in &found.files {
            match read(&dir, path, MAX) {
                Ok(post) => posts.push(post),
                Err(why) => skipped.push((path.as_str(), why)),
            }
        }
        assert_eq!(
            skipped,
            [
                ("_index.md", Skipped::SectionPage),
                ("inside-rust/_index.md", Skipped::SectionPage),
                ("releases/_index.md", Skipped::SectionPage),
                ("releases/latest.md", Skipped::NotAPost),
            ]
        );
        assert_eq!(posts.len(), 750);
        for post in &posts {
            let file = fs::read(dir.join(&post.path)).unwrap();
            let head = file.strip_suffix(post.content.as_bytes()).unwrap();
            assert!(
                head.starts_with(b"+++\n") && head.ends_with(b"\n+++\n"),
                "{}",
                post.path
            );
            assert!(post.date.is_some() && !post.draft, "{}", post.path);
        }
        let authors: std::collections::BTreeSet<&str> = posts.iter().flat_map(names).collect();
        assert_eq!(authors.len(), 154);
        assert_eq!(
            posts.iter().filter(|post| post.authors.len() > 1).count(),
            59
        );
        assert_eq!(
            posts.iter().map(|post| post.content.len()).max(),
            Some(173_093)
        );
        let unused: std::collections::BTreeSet<&str> = posts
            .iter()
            .flat_map(|post| post.unused.iter().map(String::as_str))
            .collect();
        assert_eq!(
            Vec::from_iter(unused),
            [
                "aliases",
                "description",
                "extra.release",
                "extra.team",
                "extra.team_url"
            ]
        );
    }
}
