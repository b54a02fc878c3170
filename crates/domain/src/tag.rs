//! Tags: words that posts are found by.

use std::collections::HashMap;

use plimsoll_entity::{id::TagId, post_tag, tag};
use plimsoll_records::{OnConflict, Order, PageRequest, Rows, Shape, Upserted, WhenDeleted};
use sea_orm::{ActiveValue::Set, ColumnTrait};
use uuid::Uuid;

use crate::{
    Direction, Error, Page, PageArguments, Patch, Read, Result, Retention, Scope, Tx, Version,
    Viewer,
    access::{lock, lock_deleted, scoped},
    bulk,
    policy::{Act, Relation, Subject, require},
    text::{Check, slug_of},
};

/// A tag.
pub type Tag = tag::Model;

/// Its columns.
pub use tag::Column;

/// Those columns of one that were read.
pub type View = plimsoll_records::View<tag::Entity>;

/// Some of its columns.
pub type Columns = plimsoll_records::Columns<tag::Entity>;

/// What a list shows of tags: they name no other records.
pub type Selection = Columns;

/// What a new tag is made of.
#[derive(Clone, Debug)]
pub struct CreateTag {
    /// What it is called.
    pub name: String,
    /// What it is found by; made of the name when absent.
    pub slug: Option<String>,
}

/// What many new tags are made of.
#[derive(Clone, Debug)]
pub struct CreateTags {
    /// 1 to [`MAX_ITEMS`](bulk::MAX_ITEMS), each with a slug of its own.
    pub items: Vec<CreateTag>,
    /// What is done about a slug that a live tag has.
    pub on_conflict: OnConflict,
}

/// What changes of a tag.
#[derive(Clone, Debug)]
pub struct UpdateTag {
    /// Which tag.
    pub id: TagId,
    /// The version that the viewer saw.
    pub seen: Version,
    /// What it is called.
    pub name: Patch<String>,
    /// What it is found by.
    pub slug: Patch<String>,
}

/// What tags can be ordered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TagOrder {
    /// By slug.
    #[default]
    Slug,
    /// By when they were made.
    CreatedAt,
}

fn visible(viewer: &Viewer, scope: Scope) -> Rows<tag::Entity> {
    scoped(viewer, Subject::Tag, scope)
}

/// Those of the tags that the viewer sees, by id.
///
/// # Errors
///
/// Whatever keeps the database from answering, as for every read.
pub async fn by_ids<S: Shape<tag::Entity>>(
    read: &Read,
    shape: S,
    viewer: &Viewer,
    scope: Scope,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, S::Row>> {
    Ok(visible(viewer, scope).by_ids_as(shape, ids, read).await?)
}

/// The tag with this slug, if the viewer sees one. Among several, the live one, else the one
/// that was deleted last.
///
/// # Errors
///
/// Whatever keeps the database from answering.
pub async fn by_slug(
    read: &Read,
    viewer: &Viewer,
    scope: Scope,
    slug: &str,
) -> Result<Option<Tag>> {
    let Some(slug) = crate::text::lookup_key(slug) else {
        return Ok(None);
    };
    Ok(visible(viewer, scope)
        .filter(tag::Column::Slug.eq(slug))
        .latest(read)
        .await?)
}

/// One page of the tags.
///
/// # Errors
///
/// [`Error::BadPage`] if the arguments do not fit.
pub async fn page<S: Shape<tag::Entity>>(
    read: &Read,
    shape: S,
    viewer: &Viewer,
    scope: Scope,
    (order, direction): (TagOrder, Direction),
    arguments: &PageArguments,
) -> Result<Page<S::Row>> {
    let column = match order {
        TagOrder::Slug => tag::Column::Slug,
        TagOrder::CreatedAt => tag::Column::CreatedAt,
    };
    let list = format!("tags {scope:?}");
    let request = PageRequest::parse(&list, Order::by(column, direction), arguments)?;
    Ok(visible(viewer, scope)
        .page_as(shape, &request, read)
        .await?)
}

/// How many tags there are.
///
/// # Errors
///
/// Whatever keeps the database from answering.
pub async fn count(read: &Read, viewer: &Viewer, scope: Scope) -> Result<u64> {
    Ok(visible(viewer, scope).count(read).await?)
}

/// The live tags of each post, in the posts' order of them.
///
/// # Errors
///
/// Whatever keeps the database from answering.
pub async fn of_posts<S: Shape<tag::Entity>>(
    read: &Read,
    shape: S,
    posts: &[Uuid],
) -> Result<HashMap<Uuid, Vec<S::Row>>> {
    Ok(Rows::<tag::Entity>::live()
        .linked_by_as::<post_tag::Entity, _>(shape, posts, read)
        .await?)
}

/// Makes a tag.
///
/// # Errors
///
/// [`Error::AlreadyExists`] if a live tag has the slug.
pub async fn create(tx: &mut Tx, viewer: &Viewer, command: CreateTag) -> Result<Tag> {
    require(viewer, Subject::Tag, Act::Create, Relation::NONE)?;
    let mut check = Check::new();
    let (_, row) = new_row(&mut check, command);
    check.done()?;
    Ok(tx.create::<tag::Entity>(row).await?)
}

/// Makes many tags, all or none of them, and does about the slugs that live tags have what the
/// command says: [`OnConflict::Update`] gives those tags the names of their items. A deleted tag
/// stays deleted, and another is made beside it. Returns the tags in the order of the items; for
/// [`OnConflict::Skip`], the one that is there.
///
/// # Errors
///
/// [`Error::Invalid`] with everything that is wrong with any of the items, if two have one slug,
/// or if there are none or more than [`MAX_ITEMS`](bulk::MAX_ITEMS);
/// [`Error::AlreadyExists`] of the first item whose slug a live tag has, under
/// [`OnConflict::Fail`].
pub async fn create_many(
    tx: &mut Tx,
    viewer: &Viewer,
    CreateTags { items, on_conflict }: CreateTags,
) -> Result<Vec<Tag>> {
    bulk::require_upsert(viewer, Subject::Tag, on_conflict)?;
    let rows = bulk::checked("tags", "slug", items, new_row)?;
    let tags = tx
        .upsert_many::<tag::Entity>(tag::Column::Slug, rows, on_conflict, WhenDeleted::Create)
        .await
        .map_err(|refused| Error::of_upsert("tags", "slug", refused))?;
    Ok(tags.into_iter().map(Upserted::into_inner).collect())
}

/// Changes a tag.
///
/// # Errors
///
/// [`Error::NotFound`], [`Error::Conflict`], or
/// [`Error::AlreadyExists`].
pub async fn update(tx: &mut Tx, viewer: &Viewer, command: UpdateTag) -> Result<Tag> {
    let locked = lock(tx, visible(viewer, Scope::Live), command.id).await?;
    require(viewer, Subject::Tag, Act::Change, Relation::NONE)?;
    let mut check = Check::new();
    let mut changes = tag::ActiveModel::default();
    if let Some(name) = check.required("name", command.name) {
        changes.name = Set(check.line("name", &name));
    }
    if let Some(slug) = check.required("slug", command.slug) {
        changes.slug = Set(check.slug("slug", &slug));
    }
    check.done()?;
    Ok(locked.update(tx, command.seen, changes).await?)
}

/// Deletes a tag. Posts keep their links to it: it is back on them when it is restored.
///
/// # Errors
///
/// [`Error::NotFound`] or [`Error::Conflict`].
pub async fn delete(tx: &mut Tx, viewer: &Viewer, id: TagId, seen: Version) -> Result<Tag> {
    let locked = lock(tx, visible(viewer, Scope::Live), id).await?;
    require(viewer, Subject::Tag, Act::Delete, Relation::NONE)?;
    Ok(locked.delete(tx, seen).await?)
}

/// Restores a deleted tag.
///
/// # Errors
///
/// [`Error::NotFound`], [`Error::Conflict`], or
/// [`Error::AlreadyExists`] if its slug was taken meanwhile.
pub async fn restore(tx: &mut Tx, viewer: &Viewer, id: TagId, seen: Version) -> Result<Tag> {
    let visible = |scope| visible(viewer, scope);
    let locked = lock_deleted(tx, visible, id, |_| {
        require(viewer, Subject::Tag, Act::Restore, Relation::NONE)
    })
    .await?;
    Ok(locked.restore(tx, seen).await?)
}

/// Removes a deleted tag for good, after the retention time.
///
/// # Errors
///
/// [`Error::NotFound`], [`Error::Conflict`], or
/// [`Error::Invalid`] before the retention time is over.
pub async fn purge(
    tx: &mut Tx,
    viewer: &Viewer,
    id: TagId,
    seen: Version,
    retention: Retention,
) -> Result<Tag> {
    let visible = |scope| visible(viewer, scope);
    let locked = lock_deleted(tx, visible, id, |_| {
        require(viewer, Subject::Tag, Act::Purge, Relation::NONE)
    })
    .await?;
    Ok(locked.purge(tx, seen, retention).await?)
}

/// The slug of a new tag, and its row.
fn new_row(check: &mut Check, command: CreateTag) -> (String, tag::ActiveModel) {
    let name = check.line("name", &command.name);
    let slug = match &command.slug {
        Some(slug) => check.slug("slug", slug),
        None => slug_of(&name),
    };
    let row = tag::ActiveModel {
        name: Set(name),
        slug: Set(slug.clone()),
        ..Default::default()
    };
    (slug, row)
}
