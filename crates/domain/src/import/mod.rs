//! Importing a folder of Markdown posts, as static-site generators leave them.
//!
//! It can be repeated: `import_sources` remembers which file made which post, and at which
//! version it left it. What people changed or deleted since is left alone.

mod front_matter;
mod source;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use plimsoll_entity::{
    category,
    id::{CategoryId, ImportSourceId, PostId, UserId},
    import_source, post, post_author, post_tag, tag, user,
};
use plimsoll_records::{Link, Record, Rows};
use sea_orm::{ActiveValue::Set, ColumnTrait};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    Error, Request, Result, Role, Store, Tx, Version,
    text::{Check, MAX_CONTENT, fold, hex, slug_of},
};
pub use source::{Author, Skipped, SourcePost, Walk, read, walk};

/// The most posts of one transaction.
const BATCH_POSTS: usize = 100;

/// The most bytes of content of one transaction, unless one post has more. MariaDB takes
/// statements of 16 MiB unless configured otherwise (`max_allowed_packet`).
const BATCH_BYTES: usize = 4 << 20;

/// How many keys are looked up at once.
const KEYS: usize = 500;

/// How often a batch is tried when somebody else's change gets in its way.
const TRIES: usize = 3;

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many Markdown files there were.
    pub files: usize,
    /// How many posts were made.
    pub created: usize,
    /// How many posts were changed, because their file was.
    pub updated: usize,
    /// How many files were the same as at the last import.
    pub unchanged: usize,
    /// How many users, categories and tags were made for the posts.
    pub made: Made,
    /// Files that changed, whose post was changed or deleted here since: left alone.
    pub left_alone: Vec<(String, String)>,
    /// Files that are no posts, with the reason.
    pub not_posts: Vec<(String, String)>,
    /// Files that cannot be imported, with the reason.
    pub failed: Vec<(String, String)>,
    /// Posts whose slug was taken, with the one they got.
    pub renamed: Vec<(String, String)>,
    /// Categories beyond a post's first, which became tags: how many posts have any.
    pub categories_as_tags: usize,
    /// Fields of the front matter that a post has no place for, and how many posts have them.
    pub unused: BTreeMap<String, usize>,
    /// Files that are not Markdown, by extension.
    pub others: BTreeMap<String, usize>,
    /// Hidden files and folders, passed over.
    pub hidden: usize,
    /// Posts from earlier imports whose file is not there any longer; they stay.
    pub gone: usize,
}

/// The records that an import made beside the posts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Users: they have no password and cannot log in.
    pub users: usize,
    /// Categories.
    pub categories: usize,
    /// Tags.
    pub tags: usize,
}

impl Made {
    fn add(&mut self, other: Self) {
        self.users += other.users;
        self.categories += other.categories;
        self.tags += other.tags;
    }
}

/// Imports the posts of a folder. `source` names the folder, so that a second import finds its
/// posts again; `progress` is called with the number of files that are done, and of all.
///
/// # Errors
///
/// [`Error::Invalid`] if the folder cannot be read; otherwise what keeps the database from
/// writing. Batches that were written before stay.
pub async fn run(
    store: &Store,
    request: &Request,
    dir: &Path,
    source: &str,
    mut progress: impl FnMut(usize, usize),
) -> Result<Summary> {
    let folder: PathBuf = dir.to_owned();
    let walked = blocking(move || walk(&folder)).await?;
    let walked = walked.map_err(|e| {
        Error::invalid(
            "dir",
            format!("The folder {} cannot be read: {e}.", dir.display()),
        )
    })?;
    let mut summary = Summary {
        files: walked.files.len() + walked.skipped.len(),
        others: walked.others,
        hidden: walked.hidden,
        ..Summary::default()
    };
    let (mut done, mut seen) = (walked.skipped.len(), 0);
    for (path, reason) in walked.skipped {
        summary.skip(&path, &reason);
    }
    let mut unread: Vec<String> = Vec::new();
    let mut batch: Vec<Prepared> = Vec::new();
    let mut bytes = 0;
    for chunk in walked.files.chunks(BATCH_POSTS) {
        let (folder, paths) = (dir.to_owned(), chunk.to_vec());
        let read = blocking(move || {
            let read = |path: String| (read(&folder, &path, MAX_CONTENT), path);
            paths.into_iter().map(read).collect::<Vec<_>>()
        })
        .await?;
        for (file, path) in read {
            done += 1;
            let prepared = match file {
                Ok(file) => Prepared::new(source, file, &mut summary),
                Err(reason) => {
                    summary.skip(&path, &reason);
                    unread.push(source_key(source, &path));
                    continue;
                }
            };
            let prepared = match prepared {
                Ok(prepared) => prepared,
                Err(reason) => {
                    unread.push(source_key(source, &path));
                    summary.failed.push((source::printable(&path), reason));
                    continue;
                }
            };
            if !batch.is_empty()
                && (batch.len() == BATCH_POSTS || bytes + prepared.content.len() > BATCH_BYTES)
            {
                seen += write(store, request, std::mem::take(&mut batch), &mut summary).await?;
                bytes = 0;
                progress(done, summary.files);
            }
            bytes += prepared.content.len();
            batch.push(prepared);
        }
    }
    seen += write(store, request, batch, &mut summary).await?;
    progress(done, summary.files);
    if summary.created > 0 {
        store.database().analyze().await?;
    }
    let from_here =
        || Rows::<import_source::Entity>::live().filter(import_source::Column::Source.eq(source));
    let mut gone = from_here().count(&store.read()).await?;
    // A file that cannot be read now, or is no post any longer, is still there.
    for keys in unread.chunks(KEYS) {
        let keys = keys.iter().map(String::as_str);
        let there = from_here().filter(import_source::Column::SourceKey.is_in(keys));
        gone = gone.saturating_sub(there.count(&store.read()).await?);
    }
    summary.gone = usize::try_from(gone)
        .unwrap_or_default()
        .saturating_sub(seen);
    Ok(summary)
}

/// What a file is found by: its own path, and the name of its folder.
fn source_key(source: &str, path: &str) -> String {
    let key = Sha256::new()
        .chain_update(source)
        .chain_update([0])
        .chain_update(path);
    hex(&key.finalize())
}

impl Summary {
    /// Whether every post was there already, as its file has it.
    pub fn changed_nothing(&self) -> bool {
        self.created == 0 && self.updated == 0
    }

    fn skip(&mut self, path: &str, reason: &Skipped) {
        let entry = (source::printable(path), reason.to_string());
        if reason.is_fault() {
            self.failed.push(entry)
        } else {
            self.not_posts.push(entry)
        }
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|e| Error::Internal(format!("reading the files failed: {e}")))
}

/// A name with the key that tells it from others.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Named {
    key: String,
    name: String,
}

/// A person with the address that tells them from others.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Person {
    email: String,
    name: String,
}

/// A post that is known to fit, with everything it needs.
#[derive(Clone, Debug)]
struct Prepared {
    path: String,
    source: String,
    source_key: String,
    hash: String,
    title: String,
    slug: String,
    content: String,
    published: bool,
    published_at: Option<chrono::DateTime<chrono::Utc>>,
    author: Person,
    co_authors: Vec<Person>,
    category: Option<Named>,
    tags: Vec<Named>,
}

impl Prepared {
    fn new(source: &str, file: SourcePost, summary: &mut Summary) -> Result<Self, String> {
        use chrono::SubsecRound as _;
        let mut check = Check::new();
        let title = check.line("title", &file.title);
        let slug = match &file.slug {
            Some(slug) => slug_of(slug),
            None => slug_of(&title),
        };
        let mut people = Vec::new();
        for author in file.authors {
            let name = check.line("author", &author.name);
            let email = match author.email {
                Some(email) => check.email("author", &email),
                // RFC 2606, section 2: no mail can ever be sent to it.
                None => format!("{}@import.invalid", slug_of(&name)),
            };
            let person = Person {
                email: fold(&email),
                name,
            };
            if !people.iter().any(|p: &Person| p.email == person.email) {
                people.push(person);
            }
        }
        if people.is_empty() {
            people.push(Person {
                email: "unknown@import.invalid".into(),
                name: "Unknown author".into(),
            });
        }
        let author = people.remove(0);
        let mut categories = named(&mut check, "categories", &file.categories).into_iter();
        let category = categories.next();
        let rest: Vec<Named> = categories.collect();
        if !rest.is_empty() {
            summary.categories_as_tags += 1;
        }
        let mut tags = named(&mut check, "tags", &file.tags);
        for one in rest {
            if !tags.iter().any(|tag| tag.key == one.key) {
                tags.push(one);
            }
        }
        if tags.len() > post_tag::Entity::MAX {
            check.refuse(
                "tags",
                format!("There may be at most {}.", post_tag::Entity::MAX),
            );
        }
        if people.len() > post_author::Entity::MAX {
            check.refuse(
                "authors",
                format!(
                    "There may be at most {} beside the first.",
                    post_author::Entity::MAX
                ),
            );
        }
        if let Err(Error::Invalid(wrong)) = check.done() {
            let reasons: Vec<String> = wrong
                .iter()
                .map(|one| format!("{}: {}", one.path.last().map_or("", |f| f), one.message))
                .collect();
            return Err(reasons.join(" "));
        }
        for field in file.unused {
            *summary.unused.entry(field).or_default() += 1;
        }
        let date = file.date.map(|date| date.trunc_subsecs(6));
        Ok(Self {
            source_key: source_key(source, &file.path),
            path: file.path,
            source: source.to_owned(),
            hash: hex(&file.hash),
            title,
            slug,
            content: file.content,
            // Without a date it is a draft: nobody knows when it was published.
            published: !file.draft && date.is_some(),
            published_at: date.filter(|_| !file.draft),
            author,
            co_authors: people,
            category,
            tags,
        })
    }
}

fn named(check: &mut Check, field: &str, names: &[String]) -> Vec<Named> {
    let mut found: Vec<Named> = Vec::new();
    for name in names {
        let name = check.line(field, name);
        let one = Named {
            key: slug_of(&name),
            name,
        };
        if !found.iter().any(|other| other.key == one.key) {
            found.push(one);
        }
    }
    found
}

/// What a batch did.
#[derive(Debug, Default)]
struct Written {
    created: usize,
    updated: usize,
    unchanged: usize,
    made: Made,
    left_alone: Vec<(String, String)>,
    renamed: Vec<(String, String)>,
}

/// Writes a batch in one transaction. Returns how many of its files are known now.
async fn write(
    store: &Store,
    request: &Request,
    batch: Vec<Prepared>,
    summary: &mut Summary,
) -> Result<usize> {
    if batch.is_empty() {
        return Ok(0);
    }
    let size = batch.len();
    let batch = Arc::new(batch);
    let mut tries = 0;
    let written = loop {
        tries += 1;
        let this = batch.clone();
        let written = store
            .write(request, move |tx| {
                Box::pin(async move { put(tx, &this).await })
            })
            .await;
        match written {
            // Somebody else took a name meanwhile: what there is now is looked at anew.
            Err(Error::AlreadyExists { .. }) if tries < TRIES => {}
            other => break other?,
        }
    };
    summary.created += written.created;
    summary.updated += written.updated;
    summary.unchanged += written.unchanged;
    summary.made.add(written.made);
    summary.left_alone.extend(written.left_alone);
    summary.renamed.extend(written.renamed);
    Ok(size)
}

async fn put(tx: &mut Tx, batch: &[Prepared]) -> Result<Written> {
    let mut written = Written::default();
    let keys: Vec<&str> = batch.iter().map(|post| post.source_key.as_str()).collect();
    let known: HashMap<String, import_source::Model> = Rows::<import_source::Entity>::live()
        .filter(import_source::Column::SourceKey.is_in(keys))
        .all(batch.len() as u64, tx)
        .await?
        .into_iter()
        .map(|source| (source.source_key.clone(), source))
        .collect();
    let mut new: Vec<&Prepared> = Vec::new();
    let mut changed: Vec<(&Prepared, &import_source::Model)> = Vec::new();
    for post in batch {
        match known.get(&post.source_key) {
            None => new.push(post),
            Some(source) if source.hash == post.hash => written.unchanged += 1,
            Some(source) => changed.push((post, source)),
        }
    }
    // Nobody is made for a post that is left alone.
    let posts = posts_of(tx, &changed).await?;
    changed.retain(|(post, source)| {
        let found = posts.get(&source.post_id);
        match why_left(found, source) {
            Some(reason) => {
                written.leave(post, reason);
                false
            }
            None => true,
        }
    });
    let wanted: Vec<&Prepared> = new
        .iter()
        .copied()
        .chain(changed.iter().map(|(post, _)| *post))
        .collect();
    let around = Around::find_or_make(tx, &wanted, &mut written.made).await?;
    for (post, source) in changed {
        update(tx, post, source, &around, &mut written).await?;
    }
    create(tx, &new, &around, &mut written).await?;
    Ok(written)
}

impl Written {
    fn leave(&mut self, post: &Prepared, reason: &str) {
        let entry = (source::printable(&post.path), reason.to_owned());
        self.left_alone.push(entry);
    }
}

/// The posts of the files that changed, deleted ones as well.
async fn posts_of(
    tx: &mut Tx,
    changed: &[(&Prepared, &import_source::Model)],
) -> Result<HashMap<PostId, post::Model>> {
    if changed.is_empty() {
        return Ok(HashMap::new());
    }
    let ids = changed.iter().map(|(_, source)| source.post_id);
    let posts = Rows::<post::Entity>::with_deleted()
        .filter(post::Column::Id.is_in(ids))
        .all(changed.len() as u64, tx)
        .await?;
    Ok(posts.into_iter().map(|post| (post.id, post)).collect())
}

/// Why the post of a file that changed is left alone, if it is.
fn why_left(post: Option<&post::Model>, source: &import_source::Model) -> Option<&'static str> {
    match post {
        None => Some("The file changed, and its post was purged."),
        Some(post) if post.deleted_at.is_some() => {
            Some("The file changed, and its post was deleted.")
        }
        Some(post) if post.lock_version != source.post_version => {
            Some("The file changed, and so was its post since it was imported.")
        }
        Some(_) => None,
    }
}

/// The users, categories and tags that the posts of a batch need.
struct Around {
    users: HashMap<String, Uuid>,
    categories: HashMap<String, Uuid>,
    tags: HashMap<String, Uuid>,
}

impl Around {
    async fn find_or_make(tx: &mut Tx, posts: &[&Prepared], made: &mut Made) -> Result<Self> {
        let people: BTreeMap<&str, &str> = posts
            .iter()
            .flat_map(|post| std::iter::once(&post.author).chain(&post.co_authors))
            .map(|person| (person.email.as_str(), person.name.as_str()))
            .collect();
        let categories = names(posts.iter().flat_map(|post| &post.category));
        let tags = names(posts.iter().flat_map(|post| &post.tags));
        let users = Self::table::<user::Entity>(
            tx,
            user::Column::EmailKey,
            &people,
            |model| (model.email_key, model.id.into()),
            |email, name| crate::user::row(email, name, Role::User, None),
            &mut made.users,
        )
        .await?;
        let categories = Self::table::<category::Entity>(
            tx,
            category::Column::Slug,
            &categories,
            |model| (model.slug, model.id.into()),
            |slug, name| category::ActiveModel {
                name: Set(name),
                slug: Set(slug),
                parent_id: Set(None),
                ..Default::default()
            },
            &mut made.categories,
        )
        .await?;
        let tags = Self::table::<tag::Entity>(
            tx,
            tag::Column::Slug,
            &tags,
            |model| (model.slug, model.id.into()),
            |slug, name| tag::ActiveModel {
                name: Set(name),
                slug: Set(slug),
                ..Default::default()
            },
            &mut made.tags,
        )
        .await?;
        Ok(Self {
            users,
            categories,
            tags,
        })
    }

    /// The live rows with these keys; those that are missing are made.
    async fn table<E: Record>(
        tx: &mut Tx,
        column: E::Column,
        names: &BTreeMap<&str, &str>,
        key_and_id: impl Fn(E::Model) -> (String, Uuid),
        row: impl Fn(String, String) -> E::ActiveModel,
        made: &mut usize,
    ) -> Result<HashMap<String, Uuid>> {
        if names.is_empty() {
            return Ok(HashMap::new());
        }
        // Locked in the order of their ids, so that none is deleted before the posts are there.
        let mut found: HashMap<String, Uuid> = Rows::<E>::live()
            .filter(column.is_in(names.keys().copied()))
            .lock_all(names.len() as u64, tx)
            .await?
            .into_iter()
            .map(|locked| key_and_id(locked.into_model()))
            .collect();
        let missing: Vec<(&str, &str)> = names
            .iter()
            .filter(|(key, _)| !found.contains_key(**key))
            .map(|(key, name)| (*key, *name))
            .collect();
        let rows = missing
            .iter()
            .map(|(key, name)| row((*key).to_owned(), (*name).to_owned()))
            .collect();
        let ids = tx.create_many::<E>(rows).await?;
        *made += ids.len();
        found.extend(missing.iter().map(|(key, _)| (*key).to_owned()).zip(ids));
        Ok(found)
    }

    fn author(&self, post: &Prepared) -> Option<UserId> {
        self.users.get(&post.author.email).copied().map(Into::into)
    }

    fn category(&self, post: &Prepared) -> Option<CategoryId> {
        let category = post.category.as_ref()?;
        self.categories.get(&category.key).copied().map(Into::into)
    }

    fn co_authors(&self, post: &Prepared) -> Vec<Uuid> {
        post.co_authors
            .iter()
            .filter_map(|p| self.users.get(&p.email).copied())
            .collect()
    }

    fn tags(&self, post: &Prepared) -> Vec<Uuid> {
        post.tags
            .iter()
            .filter_map(|tag| self.tags.get(&tag.key).copied())
            .collect()
    }
}

fn names<'a>(all: impl Iterator<Item = &'a Named>) -> BTreeMap<&'a str, &'a str> {
    all.map(|one| (one.key.as_str(), one.name.as_str()))
        .collect()
}

async fn create(
    tx: &mut Tx,
    posts: &[&Prepared],
    around: &Around,
    written: &mut Written,
) -> Result<()> {
    let mut slugs = Slugs::find(tx, posts).await?;
    let (mut rows, mut tags, mut co_authors, mut sources) = (vec![], vec![], vec![], vec![]);
    for post in posts {
        let id = tx.mint();
        let slug = slugs.take(post);
        if slug != post.slug {
            written
                .renamed
                .push((source::printable(&post.path), slug.clone()));
        }
        let author = around
            .author(post)
            .ok_or_else(|| Error::Internal("an author is missing".into()))?;
        rows.push(post::ActiveModel {
            id: Set(PostId(id)),
            title: Set(post.title.clone()),
            slug: Set(slug),
            content: Set(post.content.clone().into()),
            published: Set(post.published),
            published_at: Set(post.published_at),
            author_id: Set(author),
            category_id: Set(around.category(post)),
            ..Default::default()
        });
        tags.push((id, around.tags(post)));
        co_authors.push((id, around.co_authors(post)));
        sources.push(import_source::ActiveModel {
            id: Set(ImportSourceId(tx.mint())),
            source_key: Set(post.source_key.clone()),
            source: Set(post.source.clone()),
            path: Set(post.path.clone()),
            hash: Set(post.hash.clone()),
            post_id: Set(PostId(id)),
            post_version: Set(0),
            created_at: Set(tx.now()),
            updated_at: Set(tx.now()),
        });
    }
    written.created += rows.len();
    tx.create_many::<post::Entity>(rows).await?;
    tx.add_links::<post_tag::Entity>(&tags).await?;
    tx.add_links::<post_author::Entity>(&co_authors).await?;
    Ok(tx.insert_facts::<import_source::Entity>(sources).await?)
}

/// Changes the post of a file that changed, unless somebody changed or deleted it here.
async fn update(
    tx: &mut Tx,
    post: &Prepared,
    source: &import_source::Model,
    around: &Around,
    written: &mut Written,
) -> Result<()> {
    let this = || {
        Rows::<post::Entity>::with_deleted()
            .filter(post::Column::Id.eq(source.post_id))
            .with(post::Column::Content)
    };
    // Somebody may have been there since it was first looked at.
    let locked = this().lock(tx).await?;
    if let Some(reason) = why_left(locked.as_deref(), source) {
        written.leave(post, reason);
        return Ok(());
    }
    let Some(locked) = locked else { return Ok(()) };
    let author = around
        .author(post)
        .ok_or_else(|| Error::Internal("an author is missing".into()))?;
    // The slug stays: addresses that people know keep working.
    let changes = post::ActiveModel {
        title: Set(post.title.clone()),
        content: Set(post.content.clone().into()),
        published: Set(post.published),
        published_at: Set(post.published_at.or(locked.published_at)),
        author_id: Set(author),
        category_id: Set(around.category(post)),
        ..Default::default()
    };
    let seen = Version(source.post_version);
    let mut version = locked.update(tx, seen, changes).await?.lock_version;
    for co_authors in [false, true] {
        let Some(locked) = this().lock(tx).await? else {
            continue;
        };
        let seen = locked.version();
        let model = if co_authors {
            let users = around.co_authors(post);
            locked
                .set_links::<post_author::Entity>(tx, seen, &users)
                .await?
        } else {
            locked
                .set_links::<post_tag::Entity>(tx, seen, &around.tags(post))
                .await?
        };
        version = model.lock_version;
    }
    let values = [
        (import_source::Column::Hash, post.hash.clone().into()),
        (import_source::Column::PostVersion, version.into()),
        (import_source::Column::UpdatedAt, tx.now().into()),
    ];
    tx.update_facts::<import_source::Entity>(import_source::Column::Id.eq(source.id), values)
        .await?;
    written.updated += 1;
    Ok(())
}

/// The slugs that are taken.
struct Slugs(HashSet<String>);

impl Slugs {
    /// Looks up every slug that a post of this batch could get.
    async fn find(tx: &mut Tx, posts: &[&Prepared]) -> Result<Self> {
        let wanted: BTreeSet<String> = posts.iter().flat_map(|post| candidates(post)).collect();
        if wanted.is_empty() {
            return Ok(Self(HashSet::new()));
        }
        let taken = Rows::<post::Entity>::live()
            .filter(post::Column::Slug.is_in(wanted.iter().map(String::as_str)))
            .all(wanted.len() as u64, tx)
            .await?;
        Ok(Self(taken.into_iter().map(|post| post.slug).collect()))
    }

    fn take(&mut self, post: &Prepared) -> String {
        let slug = candidates(post)
            .into_iter()
            .find(|slug| !self.0.contains(slug))
            // The key is the file's own.
            .unwrap_or_else(|| format!("{}-{}", post.slug, &post.source_key[..12]));
        self.0.insert(slug.clone());
        slug
    }
}

/// The slugs that a post may get, the best first: its own, with its date, and with a number.
fn candidates(post: &Prepared) -> Vec<String> {
    let mut slugs = vec![post.slug.clone()];
    if let Some(date) = post.published_at {
        slugs.push(format!("{}-{}", post.slug, date.format("%Y-%m-%d")));
    }
    slugs.extend((2..=5).map(|n| format!("{}-{n}", post.slug)));
    slugs
}
