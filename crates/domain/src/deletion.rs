//! Deletions: what was deleted together, by whom, and until when it can come back.

use plimsoll_records::{Order, PageRequest, Rows, deletion_entity};
use sea_orm::ColumnTrait;
use uuid::Uuid;

use crate::{
    AnyRecord, Deletion, Direction, Page, PageArguments, Read, Result, Scope, Viewer, access,
    category, post, profile, tag, user,
};

/// Moderators and administrators see all deletions, others their own.
fn visible(viewer: &Viewer) -> Rows<deletion_entity::Entity> {
    let rows = Rows::live();
    match viewer.user_id() {
        _ if viewer.is_moderator() => rows,
        Some(id) => rows.filter(deletion_entity::Column::ActorId.eq(Uuid::from(id))),
        None => rows.filter(access::nothing()),
    }
}

/// One page of the deletions, the newest first.
///
/// # Errors
///
/// [`Error::BadPage`](crate::Error::BadPage) if the arguments do not fit.
pub async fn page(
    read: &Read,
    viewer: &Viewer,
    arguments: &PageArguments,
) -> Result<Page<Deletion>> {
    let order = Order::by(deletion_entity::Column::CreatedAt, Direction::Descending);
    let request = PageRequest::parse("deletions", order, arguments)?;
    Ok(visible(viewer).page(&request, read).await?)
}

/// How many deletions there are.
///
/// # Errors
///
/// Whatever keeps the database from answering.
pub async fn count(read: &Read, viewer: &Viewer) -> Result<u64> {
    Ok(visible(viewer).count(read).await?)
}

/// What a record is, by the name that the register knows it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// A user.
    User,
    /// A profile.
    Profile,
    /// A category.
    Category,
    /// A tag.
    Tag,
    /// A post.
    Post,
}

impl RecordKind {
    /// The kind with this name in the register.
    pub fn from_type(record_type: &str) -> Option<Self> {
        match record_type {
            "user" => Some(Self::User),
            "profile" => Some(Self::Profile),
            "category" => Some(Self::Category),
            "tag" => Some(Self::Tag),
            "post" => Some(Self::Post),
            _ => None,
        }
    }
}

/// Those of the records of one kind that the viewer sees, by id.
///
/// # Errors
///
/// Whatever keeps the database from answering.
pub async fn records(
    read: &Read,
    viewer: &Viewer,
    scope: Scope,
    kind: RecordKind,
    ids: &[Uuid],
) -> Result<Vec<(Uuid, AnyRecord)>> {
    fn any<T: Into<AnyRecord>>(
        found: std::collections::HashMap<Uuid, T>,
    ) -> Vec<(Uuid, AnyRecord)> {
        found
            .into_iter()
            .map(|(id, record)| (id, record.into()))
            .collect()
    }
    Ok(match kind {
        RecordKind::User => any(user::by_ids(read, viewer, scope, ids).await?),
        RecordKind::Profile => any(profile::by_ids(read, viewer, scope, ids).await?),
        RecordKind::Category => any(category::by_ids(read, viewer, scope, ids).await?),
        RecordKind::Tag => any(tag::by_ids(read, viewer, scope, ids).await?),
        RecordKind::Post => any(post::by_ids(read, viewer, scope, ids).await?),
    })
}
