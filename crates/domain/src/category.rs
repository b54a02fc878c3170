//! Categories: a tree of subjects. A post has one at most.

use std::collections::HashMap;

use plimsoll_entity::{category, id::CategoryId};
use plimsoll_records::{Order, PageRequest, Rows, Shape, Via};
use sea_orm::{ActiveValue::Set, ColumnTrait};
use uuid::Uuid;

use crate::{
    Direction, Error, Page, PageArguments, Patch, Read, Result, Retention, Scope, Tx, Version,
    Viewer,
    access::{lock, lock_deleted, scoped},
    policy::{Act, Relation, Subject, require},
    selection::selection,
    text::{Check, slug_of},
};

/// A category.
pub type Category = category::Model;

/// Its columns.
pub use category::Column;

/// Those columns of one that were read.
pub type View = plimsoll_records::View<category::Entity>;

/// Some of its columns.
pub type Columns = plimsoll_records::Columns<category::Entity>;

selection! {
    category::Entity {
        /// The columns of the categories that they are in, if these are live; `None` if they are
        /// not shown.
        parent: Columns = (Column::ParentId, Column::Id) of |viewer| visible(viewer, Scope::Live);
    }
}

/// What a new category is made of.
#[derive(Clone, Debug)]
pub struct CreateCategory {
    /// What it is called.
    pub name: String,
    /// What it is found by; made of the name when absent.
    pub slug: Option<String>,
    /// The category that it lies in.
    pub parent: Option<CategoryId>,
}

/// What changes of a category.
#[derive(Clone, Debug)]
pub struct UpdateCategory {
    /// Which category.
    pub id: CategoryId,
    /// The version that the viewer saw.
    pub seen: Version,
    /// What it is called.
    pub name: Patch<String>,
    /// What it is found by.
    pub slug: Patch<String>,
    /// The category that it lies in.
    pub parent: Patch<CategoryId>,
}

/// What categories can be ordered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum CategoryOrder {
    /// By slug.
    #[default]
    Slug,
    /// By when they were made.
    CreatedAt,
}

pub(crate) fn visible(viewer: &Viewer, scope: Scope) -> Rows<category::Entity> {
    scoped(viewer, Subject::Category, scope)
}

/// Those of the categories that the viewer sees, by id.
///
/// # Errors
///
/// Whatever keeps the database from answering, as for every read.
pub async fn by_ids<S: Shape<category::Entity>>(
    read: &Read,
    shape: S,
    viewer: &Viewer,
    scope: Scope,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, S::Row>> {
    Ok(visible(viewer, scope).by_ids_as(shape, ids, read).await?)
}

/// The category with this slug, if the viewer sees one. Among several, the live one, else the one
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
) -> Result<Option<Category>> {
    let Some(slug) = crate::text::lookup_key(slug) else {
        return Ok(None);
    };
    Ok(visible(viewer, scope)
        .filter(category::Column::Slug.eq(slug))
        .latest(read)
        .await?)
}

/// One page of the categories.
///
/// # Errors
///
/// [`Error::BadPage`] if the arguments do not fit.
pub async fn page<S: Shape<category::Entity>>(
    read: &Read,
    shape: S,
    viewer: &Viewer,
    scope: Scope,
    (order, direction): (CategoryOrder, Direction),
    arguments: &PageArguments,
) -> Result<Page<S::Row>> {
    let column = match order {
        CategoryOrder::Slug => category::Column::Slug,
        CategoryOrder::CreatedAt => category::Column::CreatedAt,
    };
    let list = format!("categories {scope:?}");
    let request = PageRequest::parse(&list, Order::by(column, direction), arguments)?;
    Ok(visible(viewer, scope)
        .page_as(shape, &request, read)
        .await?)
}

/// How many categories there are.
///
/// # Errors
///
/// Whatever keeps the database from answering.
pub async fn count(read: &Read, viewer: &Viewer, scope: Scope) -> Result<u64> {
    Ok(visible(viewer, scope).count(read).await?)
}

/// One page of the categories right below each of `parents`, ordered by slug.
///
/// # Errors
///
/// [`Error::BadPage`] if the arguments do not fit.
pub async fn pages_below<S: Shape<category::Entity>>(
    read: &Read,
    shape: S,
    viewer: &Viewer,
    scope: Scope,
    arguments: &PageArguments,
    parents: &[Uuid],
) -> Result<HashMap<Uuid, Page<S::Row>>> {
    let list = format!("category.children {scope:?}");
    let order = Order::by(category::Column::Slug, Direction::Ascending);
    let request = PageRequest::parse(&list, order, arguments)?;
    let via = Via::Column(category::Column::ParentId);
    Ok(visible(viewer, scope)
        .page_of_each_as(shape, via, parents, &request, read)
        .await?)
}

/// How many categories lie right below each of `parents`.
///
/// # Errors
///
/// Whatever keeps the database from answering.
pub async fn counts_below(
    read: &Read,
    viewer: &Viewer,
    scope: Scope,
    parents: &[Uuid],
) -> Result<HashMap<Uuid, u64>> {
    let via = Via::Column(category::Column::ParentId);
    Ok(visible(viewer, scope)
        .count_of_each(via, parents, read)
        .await?)
}

/// Makes a category.
///
/// # Errors
///
/// [`Error::AlreadyExists`] if a live category has the slug.
pub async fn create(tx: &mut Tx, viewer: &Viewer, command: CreateCategory) -> Result<Category> {
    require(viewer, Subject::Category, Act::Create, Relation::NONE)?;
    let mut check = Check::new();
    let name = check.line("name", &command.name);
    let slug = match &command.slug {
        Some(slug) => check.slug("slug", slug),
        None => slug_of(&name),
    };
    check.done()?;
    if let Some(parent) = command.parent {
        refuse_cycle(tx, None, parent).await?;
        hold(tx, "parentId", parent).await?;
    }
    let row = category::ActiveModel {
        name: Set(name),
        slug: Set(slug),
        parent_id: Set(command.parent),
        ..Default::default()
    };
    Ok(tx.create::<category::Entity>(row).await?)
}

/// Keeps a category live until the transaction ends, so that something can be put into it.
pub(crate) async fn hold(tx: &mut Tx, field: &str, id: CategoryId) -> Result<()> {
    let held = tx.hold_live::<category::Entity>(&[id.into()]).await?;
    if held.is_empty() {
        Err(Error::not_found_at(field))
    } else {
        Ok(())
    }
}

/// How deep the tree of categories may be.
const MAX_DEPTH: usize = 32;

/// Refuses to put a category below itself, or too deep. A new one has no id yet.
async fn refuse_cycle(tx: &mut Tx, id: Option<CategoryId>, parent: CategoryId) -> Result<()> {
    let mut above = Some(parent);
    for _ in 0..MAX_DEPTH {
        let Some(at) = above else { return Ok(()) };
        if Some(at) == id {
            return Err(Error::invalid(
                "parentId",
                "A category cannot lie below itself.",
            ));
        }
        let found = Rows::<category::Entity>::with_deleted()
            .filter(category::Column::Id.eq(at))
            .lock(tx)
            .await?;
        above = found.and_then(|category| category.parent_id);
    }
    Err(Error::invalid(
        "parentId",
        format!("Categories lie at most {MAX_DEPTH} deep."),
    ))
}

/// Changes a category.
///
/// # Errors
///
/// [`Error::NotFound`], [`Error::Conflict`], or
/// [`Error::AlreadyExists`].
pub async fn update(tx: &mut Tx, viewer: &Viewer, command: UpdateCategory) -> Result<Category> {
    let locked = lock(tx, visible(viewer, Scope::Live), command.id).await?;
    require(viewer, Subject::Category, Act::Change, Relation::NONE)?;
    let mut check = Check::new();
    let mut changes = category::ActiveModel::default();
    if let Some(name) = check.required("name", command.name) {
        changes.name = Set(check.line("name", &name));
    }
    if let Some(slug) = check.required("slug", command.slug) {
        changes.slug = Set(check.slug("slug", &slug));
    }
    check.done()?;
    match command.parent {
        Patch::Keep => {}
        Patch::Clear => changes.parent_id = Set(None),
        Patch::Set(parent) => {
            // The stronger lock first: two that hold the same parent and both want more of it
            // would wait for each other.
            refuse_cycle(tx, Some(command.id), parent).await?;
            hold(tx, "parentId", parent).await?;
            changes.parent_id = Set(Some(parent));
        }
    }
    Ok(locked.update(tx, command.seen, changes).await?)
}

/// Deletes a category and those below it, unless a live post is in one of them.
///
/// # Errors
///
/// [`Error::NotFound`], [`Error::Conflict`], or
/// [`Error::StillReferenced`] by a live post.
pub async fn delete(
    tx: &mut Tx,
    viewer: &Viewer,
    id: CategoryId,
    seen: Version,
) -> Result<Category> {
    let locked = lock(tx, visible(viewer, Scope::Live), id).await?;
    require(viewer, Subject::Category, Act::Delete, Relation::NONE)?;
    Ok(locked.delete(tx, seen).await?)
}

/// Restores a deleted category.
///
/// # Errors
///
/// [`Error::NotFound`], [`Error::Conflict`], or
/// [`Error::AlreadyExists`] if its slug was taken meanwhile.
pub async fn restore(
    tx: &mut Tx,
    viewer: &Viewer,
    id: CategoryId,
    seen: Version,
) -> Result<Category> {
    let visible = |scope| visible(viewer, scope);
    let locked = lock_deleted(tx, visible, id, |_| {
        require(viewer, Subject::Category, Act::Restore, Relation::NONE)
    })
    .await?;
    Ok(locked.restore(tx, seen).await?)
}

/// Removes a deleted category for good, after the retention time.
///
/// # Errors
///
/// [`Error::NotFound`], [`Error::Conflict`], or
/// [`Error::Invalid`] before the retention time is over.
pub async fn purge(
    tx: &mut Tx,
    viewer: &Viewer,
    id: CategoryId,
    seen: Version,
    retention: Retention,
) -> Result<Category> {
    let visible = |scope| visible(viewer, scope);
    let locked = lock_deleted(tx, visible, id, |_| {
        require(viewer, Subject::Category, Act::Purge, Relation::NONE)
    })
    .await?;
    Ok(locked.purge(tx, seen, retention).await?)
}
