//! Posts: what authors publish, alone or with others.

use std::collections::{HashMap, HashSet};

use plimsoll_entity::{
    category,
    id::{CategoryId, PostId, TagId, UserId},
    post, post_author, post_tag, tag, user,
};
use plimsoll_records::{Link, Order, PageRequest, Rows, Seen, Shape, Via};
use rand::RngExt as _;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait,
    sea_query::{Expr, ExprTrait},
};
use uuid::Uuid;

use crate::{
    Direction, Error, Page, PageArguments, Patch, Read, Request, Result, Retention, Scope, Store,
    Tx, Version, Viewer,
    access::{lock, lock_deleted, nothing},
    category::hold,
    idempotency::Key,
    policy::{Act, Relation, Subject, require},
    selection::selection,
    text::{Check, MAX_CONTENT, lookup_key, slug_of},
};

/// A post.
pub type Post = post::Model;

/// Its columns.
pub use post::Column;

/// Those columns of one that were read.
pub type View = plimsoll_records::View<post::Entity>;

/// Some of its columns.
pub type Columns = plimsoll_records::Columns<post::Entity>;

selection! {
    post::Entity {
        /// The columns of their authors, if these are live; `None` if they are not shown.
        author: crate::user::Columns = (Column::AuthorId, user::Column::Id)
            of |viewer| crate::user::visible(viewer, Scope::Live);
        /// The columns of their categories, if these are live; `None` if they are not shown.
        category: crate::category::Columns = (Column::CategoryId, category::Column::Id)
            of |viewer| crate::category::visible(viewer, Scope::Live);
    }
}

/// What a new post is made of.
#[derive(Clone, Debug)]
pub struct CreatePost {
    /// What it is called.
    pub title: String,
    /// What it is found by; made of the title when absent.
    pub slug: Option<String>,
    /// Markdown.
    pub content: String,
    /// The category it is in.
    pub category: Option<CategoryId>,
    /// Its tags, in order.
    pub tags: Vec<TagId>,
}

/// What changes of a post.
#[derive(Clone, Debug)]
pub struct UpdatePost {
    /// Which post.
    pub id: PostId,
    /// The version that the viewer saw.
    pub seen: Version,
    /// What it is called.
    pub title: Patch<String>,
    /// What it is found by.
    pub slug: Patch<String>,
    /// Markdown.
    pub content: Patch<String>,
    /// The category it is in.
    pub category: Patch<CategoryId>,
}

/// The most posts that are published at once.
pub const MAX_PUBLISHED: usize = 200;

/// Which posts are to be published.
#[derive(Clone, Debug)]
pub struct PublishPosts {
    /// Each with the version that the viewer saw: 1 to [`MAX_PUBLISHED`].
    pub items: Vec<Seen>,
}

/// What posts can be ordered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PostOrder {
    /// By when they were published; by when they were made before that.
    #[default]
    PublishedAt,
    /// By when they were made.
    CreatedAt,
    /// By when they were last changed.
    UpdatedAt,
}

/// Which posts a list shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PostFilter {
    /// Published ones, or drafts.
    pub published: Option<bool>,
}

/// Whose posts a nested list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PostsOf {
    /// An author's.
    Author,
    /// A category's.
    Category,
    /// A tag's.
    Tag,
}

impl PostsOf {
    fn via(self) -> Via<post::Entity> {
        match self {
            Self::Author => Via::Column(post::Column::AuthorId),
            Self::Category => Via::Column(post::Column::CategoryId),
            Self::Tag => Via::owners_of::<post_tag::Entity>(),
        }
    }
}

/// `published = TRUE`, as the partial index says it.
fn is_published(published: bool) -> Expr {
    let value = if published { "TRUE" } else { "FALSE" };
    Expr::col((post::Entity, post::Column::Published)).eq(Expr::custom_keyword(value))
}

/// The posts that the viewer sees in a scope: drafts by those who write and who moderate them,
/// deleted ones by their author and who moderates.
fn visible(viewer: &Viewer, scope: Scope) -> Rows<post::Entity> {
    if viewer.is_moderator() {
        return Rows::scoped(scope);
    }
    let published = Rows::live().filter(is_published(true));
    let Some(me) = viewer.user_id() else {
        return match scope {
            Scope::Live | Scope::WithDeleted => published,
            Scope::OnlyDeleted => Rows::only_deleted().filter(nothing()),
        };
    };
    let mine = |scope| Rows::scoped(scope).filter(post::Column::AuthorId.eq(me));
    match scope {
        Scope::Live => published
            .or(mine(Scope::Live))
            .or(co_written(Rows::live(), me)),
        Scope::WithDeleted => {
            mine(Scope::WithDeleted).or(published.or(co_written(Rows::live(), me)))
        }
        Scope::OnlyDeleted => mine(Scope::OnlyDeleted),
    }
}

/// Those of the posts that have this co-author, while they are live.
fn co_written(posts: Rows<post::Entity>, co_author: UserId) -> Rows<post::Entity> {
    let co_author = Rows::live().filter(user::Column::Id.eq(co_author));
    posts.having(Via::targets_of::<post_author::Entity>(), co_author)
}

fn filtered(viewer: &Viewer, scope: Scope, filter: PostFilter) -> Rows<post::Entity> {
    let rows = visible(viewer, scope);
    match filter.published {
        None => rows,
        Some(published) => rows.filter(is_published(published)),
    }
}

/// Those of the posts that the viewer sees, by id.
///
/// # Errors
///
/// Whatever keeps the database from answering, as for every read.
pub async fn by_ids<S: Shape<post::Entity>>(
    read: &Read,
    shape: S,
    viewer: &Viewer,
    scope: Scope,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, S::Row>> {
    Ok(visible(viewer, scope).by_ids_as(shape, ids, read).await?)
}

/// The post with this slug, if the viewer sees one. Among several, the live one, else the
/// one that was deleted last.
///
/// # Errors
///
/// Whatever keeps the database from answering.
pub async fn by_slug(
    read: &Read,
    viewer: &Viewer,
    scope: Scope,
    slug: &str,
) -> Result<Option<Post>> {
    let Some(slug) = lookup_key(slug) else {
        return Ok(None);
    };
    Ok(visible(viewer, scope)
        .filter(post::Column::Slug.eq(slug))
        .latest(read)
        .await?)
}

/// The text of each post; for posts that the viewer was shown.
///
/// # Errors
///
/// Whatever keeps the database from answering.
pub async fn contents(read: &Read, viewer: &Viewer, ids: &[Uuid]) -> Result<HashMap<Uuid, String>> {
    let posts = visible(viewer, Scope::WithDeleted)
        .with(post::Column::Content)
        .by_ids(ids, read)
        .await?;
    Ok(posts
        .into_iter()
        .filter_map(|(id, post)| Some((id, post.content.into_inner()?)))
        .collect())
}

/// One page of the posts.
///
/// # Errors
///
/// [`Error::BadPage`] if the arguments do not fit.
pub async fn page<S: Shape<post::Entity>>(
    read: &Read,
    shape: S,
    viewer: &Viewer,
    scope: Scope,
    filter: PostFilter,
    (order, direction): (PostOrder, Direction),
    arguments: &PageArguments,
) -> Result<Page<S::Row>> {
    let column = match order {
        PostOrder::PublishedAt => post::Column::ListedAt,
        PostOrder::CreatedAt => post::Column::CreatedAt,
        PostOrder::UpdatedAt => post::Column::UpdatedAt,
    };
    let list = format!("posts {scope:?} {filter:?}");
    let request = PageRequest::parse(&list, Order::by(column, direction), arguments)?;
    Ok(filtered(viewer, scope, filter)
        .page_as(shape, &request, read)
        .await?)
}

/// How many posts there are.
///
/// # Errors
///
/// Whatever keeps the database from answering.
pub async fn count(read: &Read, viewer: &Viewer, scope: Scope, filter: PostFilter) -> Result<u64> {
    Ok(filtered(viewer, scope, filter).count(read).await?)
}

/// One page of the posts of each of `parents`, the newest first.
///
/// # Errors
///
/// [`Error::BadPage`] if the arguments do not fit.
pub async fn pages_of<S: Shape<post::Entity>>(
    read: &Read,
    shape: S,
    viewer: &Viewer,
    scope: Scope,
    of: PostsOf,
    arguments: &PageArguments,
    parents: &[Uuid],
) -> Result<HashMap<Uuid, Page<S::Row>>> {
    let list = format!("posts of {of:?} {scope:?}");
    let order = Order::by(post::Column::ListedAt, Direction::Descending);
    let request = PageRequest::parse(&list, order, arguments)?;
    Ok(visible(viewer, scope)
        .page_of_each_as(shape, of.via(), parents, &request, read)
        .await?)
}

/// How many posts each of `parents` has.
///
/// # Errors
///
/// Whatever keeps the database from answering.
pub async fn counts_of(
    read: &Read,
    viewer: &Viewer,
    scope: Scope,
    of: PostsOf,
    parents: &[Uuid],
) -> Result<HashMap<Uuid, u64>> {
    Ok(visible(viewer, scope)
        .count_of_each(of.via(), parents, read)
        .await?)
}

/// How often a draft is made with another slug when somebody takes the one that was free.
const SLUG_TRIES: u32 = 5;

/// Makes a draft, with the viewer as its author, in a transaction of its own; once for a key, as
/// [`Store::write_once`] does. A slug that is made
/// of the title is made anew when somebody else takes it at the same moment.
///
/// # Errors
///
/// As for [`create`].
pub async fn create_alone(
    store: &Store,
    request: &Request,
    key: Option<Key>,
    command: CreatePost,
) -> Result<Option<Post>> {
    let viewer = request.viewer;
    let mut tries = 0;
    loop {
        tries += 1;
        let this = command.clone();
        let made = store
            .write_once(request, key.clone(), move |tx| {
                Box::pin(async move { create(tx, &viewer, this).await })
            })
            .await;
        match made {
            Err(Error::AlreadyExists { .. }) if command.slug.is_none() && tries < SLUG_TRIES => {
                // Full jitter: those who collided do not meet again.
                let pause = rand::rng().random_range(0..(5 << tries));
                tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
            }
            other => return other,
        }
    }
}

/// Makes a draft, with the viewer as its author.
///
/// # Errors
///
/// [`Error::AlreadyExists`] if a live post has the slug, [`Error::NotFound`] if the category or
/// a tag is not there.
pub async fn create(tx: &mut Tx, viewer: &Viewer, command: CreatePost) -> Result<Post> {
    require(viewer, Subject::Post, Act::Create, Relation::NONE)?;
    let author = viewer
        .user_id()
        .ok_or_else(|| Error::Unauthenticated("Log in.".into()))?;
    let mut check = Check::new();
    let title = check.line("title", &command.title);
    let content = check.body("content", command.content, MAX_CONTENT);
    let slug = command.slug.map(|slug| check.slug("slug", &slug));
    let tags = distinct(&mut check, "tagIds", &command.tags, post_tag::Entity::MAX);
    check.done()?;
    if tx
        .hold_live::<user::Entity>(&[author.into()])
        .await?
        .is_empty()
    {
        return Err(Error::Unauthenticated(
            "The user is not there any longer.".into(),
        ));
    }
    if let Some(category) = command.category {
        hold(tx, "categoryId", category).await?;
    }
    hold_all::<tag::Entity>(tx, "tagIds", &tags).await?;
    let slug = match slug {
        Some(slug) => slug,
        None => free_slug(tx, &title).await?,
    };
    let id = tx.mint();
    let row = post::ActiveModel {
        id: Set(PostId(id)),
        title: Set(title),
        slug: Set(slug),
        content: Set(content.into()),
        published: Set(false),
        published_at: Set(None),
        author_id: Set(author),
        category_id: Set(command.category),
        ..Default::default()
    };
    let post = tx.create::<post::Entity>(row).await?;
    tx.add_links::<post_tag::Entity>(&[(id, tags)]).await?;
    Ok(post)
}

/// Changes a post.
///
/// # Errors
///
/// [`Error::NotFound`], [`Error::Forbidden`], [`Error::Conflict`], or [`Error::AlreadyExists`]
/// if the slug is taken.
pub async fn update(tx: &mut Tx, viewer: &Viewer, command: UpdatePost) -> Result<Post> {
    let mut rows = visible(viewer, Scope::Live);
    if command.content != Patch::Keep {
        // Read to see whether it differs, and to note in the audit log what it was.
        rows = rows.with(post::Column::Content);
    }
    let locked = lock(tx, rows, command.id).await?;
    let relation = relation(tx, viewer, &locked).await?;
    require(viewer, Subject::Post, Act::Change, relation)?;
    let mut check = Check::new();
    let mut changes = post::ActiveModel::default();
    if let Some(title) = check.required("title", command.title) {
        changes.title = Set(check.line("title", &title));
    }
    if let Some(slug) = check.required("slug", command.slug) {
        changes.slug = Set(check.slug("slug", &slug));
    }
    if let Some(content) = check.required("content", command.content) {
        changes.content = Set(check.body("content", content, MAX_CONTENT).into());
    }
    check.done()?;
    match command.category {
        Patch::Keep => {}
        Patch::Clear => changes.category_id = Set(None),
        Patch::Set(category) => {
            if locked.category_id != Some(category) {
                hold(tx, "categoryId", category).await?;
            }
            changes.category_id = Set(Some(category));
        }
    }
    Ok(locked.update(tx, command.seen, changes).await?)
}

/// Publishes a post, or takes it back. The first publication's time stays.
///
/// # Errors
///
/// [`Error::NotFound`], [`Error::Forbidden`] or [`Error::Conflict`].
pub async fn set_published(
    tx: &mut Tx,
    viewer: &Viewer,
    id: PostId,
    seen: Version,
    published: bool,
) -> Result<Post> {
    let locked = lock(tx, visible(viewer, Scope::Live), id).await?;
    let relation = relation(tx, viewer, &locked).await?;
    require(viewer, Subject::Post, Act::Change, relation)?;
    let mut changes = post::ActiveModel {
        published: Set(published),
        ..Default::default()
    };
    if published && locked.published_at.is_none() {
        changes.published_at = Set(Some(tx.now()));
    }
    Ok(locked.update(tx, seen, changes).await?)
}

/// Publishes several posts, all or none of them. Those that are published already stay as they
/// are. Returns them in the order in which they were named.
///
/// # Errors
///
/// Of the first that is refused, [`Error::NotFound`], [`Error::Conflict`] or
/// [`Error::Forbidden`]; [`Error::Invalid`] if one is named twice, or there are none or more than
/// [`MAX_PUBLISHED`].
pub async fn publish_many(
    tx: &mut Tx,
    viewer: &Viewer,
    PublishPosts { items }: PublishPosts,
) -> Result<Vec<Post>> {
    if items.is_empty() {
        return Err(Error::invalid("items", "There must be at least one."));
    }
    if items.len() > MAX_PUBLISHED {
        let message = format!("There may be at most {MAX_PUBLISHED}.");
        return Err(Error::invalid("items", message));
    }
    let batch = visible(viewer, Scope::Live)
        .lock_seen(&items, tx)
        .await
        .map_err(|refused| Error::of_batch("items", refused))?;
    let co_written = match viewer.user_id() {
        Some(me) if !viewer.is_moderator() => {
            let ids: Vec<Uuid> = items.iter().map(|item| item.id).collect();
            co_written(Rows::with_deleted(), me)
                .by_ids(&ids, tx)
                .await?
        }
        _ => HashMap::new(),
    };
    let places: HashMap<Uuid, usize> = items.iter().map(|item| item.id).zip(0..).collect();
    let place_of = |post: &Post| places.get(&post.id.into()).copied().unwrap_or_default();
    let mut locked: Vec<&Post> = batch.iter().map(|post| &**post).collect();
    locked.sort_by_key(|post| place_of(post));
    for post in locked {
        let relation = Relation {
            owner: viewer.user_id() == Some(post.author_id),
            co_author: co_written.contains_key(&post.id.into()),
        };
        require(viewer, Subject::Post, Act::Change, relation)
            .map_err(|error| error.of_item("items", place_of(post)))?;
    }
    let now = tx.now();
    let outcome = batch.update_each(tx, |post| post::ActiveModel {
        published: Set(true),
        published_at: Set(post.published_at.or(Some(now))),
        ..Default::default()
    });
    let outcome = outcome
        .await
        .map_err(|refused| Error::of_batch("items", refused))?;
    let mut posts = outcome.changed;
    posts.extend(outcome.skipped);
    posts.sort_by_key(place_of);
    Ok(posts)
}

/// Says which tags a post has, in order.
///
/// # Errors
///
/// [`Error::NotFound`] of the post or of a tag, [`Error::Forbidden`], [`Error::Conflict`], or
/// [`Error::Invalid`] if a tag is named twice or there are too many.
pub async fn set_tags(
    tx: &mut Tx,
    viewer: &Viewer,
    id: PostId,
    seen: Version,
    tags: &[TagId],
) -> Result<Post> {
    let mut check = Check::new();
    let tags = distinct(&mut check, "tagIds", tags, post_tag::Entity::MAX);
    check.done()?;
    let locked = lock(tx, visible(viewer, Scope::Live), id).await?;
    let relation = relation(tx, viewer, &locked).await?;
    require(viewer, Subject::Post, Act::Change, relation)?;
    hold_all::<tag::Entity>(tx, "tagIds", &tags).await?;
    Ok(locked
        .set_links::<post_tag::Entity>(tx, seen, &tags)
        .await?)
}

/// Says who a post's co-authors are, in order.
///
/// # Errors
///
/// [`Error::NotFound`] of the post or of a user, [`Error::Forbidden`], [`Error::Conflict`], or
/// [`Error::Invalid`] if a user is named twice, is the author, or there are too many.
pub async fn set_co_authors(
    tx: &mut Tx,
    viewer: &Viewer,
    id: PostId,
    seen: Version,
    users: &[UserId],
) -> Result<Post> {
    let mut check = Check::new();
    let ids = distinct(&mut check, "userIds", users, post_author::Entity::MAX);
    let locked = lock(tx, visible(viewer, Scope::Live), id).await?;
    let relation = relation(tx, viewer, &locked).await?;
    require(viewer, Subject::Post, Act::SetCoAuthors, relation)?;
    if users.contains(&locked.author_id) {
        check.refuse("userIds", "The author is not a co-author as well.");
    }
    check.done()?;
    hold_all::<user::Entity>(tx, "userIds", &ids).await?;
    Ok(locked
        .set_links::<post_author::Entity>(tx, seen, &ids)
        .await?)
}

/// Deletes a post.
///
/// # Errors
///
/// [`Error::NotFound`], [`Error::Forbidden`] or [`Error::Conflict`].
pub async fn delete(tx: &mut Tx, viewer: &Viewer, id: PostId, seen: Version) -> Result<Post> {
    let locked = lock(tx, visible(viewer, Scope::Live), id).await?;
    let relation = relation(tx, viewer, &locked).await?;
    require(viewer, Subject::Post, Act::Delete, relation)?;
    Ok(locked.delete(tx, seen).await?)
}

/// Restores a deleted post.
///
/// # Errors
///
/// [`Error::NotFound`], [`Error::Conflict`], [`Error::AlreadyExists`] if its slug was taken
/// meanwhile, or [`Error::Invalid`] if it went along with its author.
pub async fn restore(tx: &mut Tx, viewer: &Viewer, id: PostId, seen: Version) -> Result<Post> {
    let visible = |scope| visible(viewer, scope);
    let locked = lock_deleted(tx, visible, id, |post| {
        let owner = viewer.user_id() == Some(post.author_id);
        require(viewer, Subject::Post, Act::Restore, Relation::owner(owner))
    })
    .await?;
    Ok(locked.restore(tx, seen).await?)
}

/// Removes a deleted post for good, after the retention time.
///
/// # Errors
///
/// [`Error::NotFound`], [`Error::Forbidden`], [`Error::Conflict`], or [`Error::Invalid`] before
/// the retention time is over.
pub async fn purge(
    tx: &mut Tx,
    viewer: &Viewer,
    id: PostId,
    seen: Version,
    retention: Retention,
) -> Result<Post> {
    let visible = |scope| visible(viewer, scope);
    let locked = lock_deleted(tx, visible, id, |post| {
        let owner = viewer.user_id() == Some(post.author_id);
        require(viewer, Subject::Post, Act::Purge, Relation::owner(owner))
    })
    .await?;
    Ok(locked.purge(tx, seen, retention).await?)
}

/// What the viewer is to a post. Whether they are its co-author is looked up only if it matters.
async fn relation(tx: &mut Tx, viewer: &Viewer, post: &Post) -> Result<Relation> {
    let owner = viewer.user_id() == Some(post.author_id);
    let co_author = match viewer.user_id() {
        Some(me) if !owner && !viewer.is_moderator() => {
            let this = Rows::with_deleted().filter(post::Column::Id.eq(post.id));
            co_written(this, me).exists(tx).await?
        }
        _ => false,
    };
    Ok(Relation { owner, co_author })
}

/// A slug that is made of the title, with a number if the plain one is taken.
async fn free_slug(tx: &mut Tx, title: &str) -> Result<String> {
    let plain = slug_of(title);
    let candidates: Vec<String> = std::iter::once(plain.clone())
        .chain((2..=30).map(|n| format!("{plain}-{n}")))
        .collect();
    let taken: HashSet<String> = Rows::<post::Entity>::live()
        .filter(post::Column::Slug.is_in(candidates.clone()))
        .all(candidates.len() as u64, tx)
        .await?
        .into_iter()
        .map(|post| post.slug)
        .collect();
    Ok(candidates
        .into_iter()
        .find(|slug| !taken.contains(slug))
        .unwrap_or_else(|| format!("{plain}-{}", tx.mint().simple())))
}

/// Ids that are named once each, and not too many.
fn distinct<T: Copy + Into<Uuid>>(
    check: &mut Check,
    field: &str,
    ids: &[T],
    most: usize,
) -> Vec<Uuid> {
    let ids: Vec<Uuid> = ids.iter().map(|id| (*id).into()).collect();
    let different: HashSet<&Uuid> = ids.iter().collect();
    if different.len() < ids.len() {
        check.refuse(field, "Each may be named once.");
    }
    if ids.len() > most {
        check.refuse(field, format!("There may be at most {most}."));
    }
    ids
}

/// Keeps all of `ids` live until the transaction ends.
async fn hold_all<E: plimsoll_records::Record>(
    tx: &mut Tx,
    field: &str,
    ids: &[Uuid],
) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let held = tx.hold_live::<E>(ids).await?;
    if held.len() == ids.len() {
        Ok(())
    } else {
        Err(Error::not_found_at(field))
    }
}
