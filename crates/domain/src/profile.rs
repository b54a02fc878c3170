//! Profiles: what users tell about themselves. One for each user.

use std::collections::HashMap;

use plimsoll_entity::{
    id::{ProfileId, UserId},
    profile, user,
};
use plimsoll_records::{Rows, Shape};
use sea_orm::{ActiveValue::Set, ColumnTrait, sea_query::Condition};
use uuid::Uuid;

use crate::{
    Error, Patch, Read, Result, Retention, Scope, Tx, Version, Viewer,
    access::{lock, lock_deleted, nothing},
    policy::{Act, Relation, Subject, may, require},
    selection::selection,
    text::{Check, MAX_BIO},
};

/// A profile.
pub type Profile = profile::Model;

/// Its columns.
pub use profile::Column;

/// Those columns of one that were read.
pub type View = plimsoll_records::View<profile::Entity>;

/// Some of its columns.
pub type Columns = plimsoll_records::Columns<profile::Entity>;

selection! {
    profile::Entity {
        /// The columns of their users, if these are live; `None` if they are not shown.
        user: crate::user::Columns = (Column::UserId, user::Column::Id)
            of |viewer| crate::user::visible(viewer, Scope::Live);
    }
}

/// The most bytes of a profile's metadata.
const MAX_METADATA: usize = 16 * 1024;

/// The most lists and objects within one another in a profile's metadata: MariaDB reads no JSON
/// with more than 32 (its documentation, "JSON_VALID").
const MAX_METADATA_DEPTH: usize = 30;

/// What a new profile is made of.
#[derive(Clone, Debug)]
pub struct CreateProfile {
    /// Whose it is.
    pub user: UserId,
    /// What they tell about themselves.
    pub bio: Option<String>,
    /// Where their picture is.
    pub avatar_url: Option<String>,
    /// Whatever a client wants to keep.
    pub metadata: Option<serde_json::Value>,
}

/// What changes of a profile.
#[derive(Clone, Debug)]
pub struct UpdateProfile {
    /// Which profile.
    pub id: ProfileId,
    /// The version that the viewer saw.
    pub seen: Version,
    /// What they tell about themselves.
    pub bio: Patch<String>,
    /// Where their picture is.
    pub avatar_url: Patch<String>,
    /// Whatever a client wants to keep.
    pub metadata: Patch<serde_json::Value>,
}

fn visible(viewer: &Viewer, scope: Scope) -> Rows<profile::Entity> {
    let rows = Rows::scoped(scope);
    if scope == Scope::Live || may(viewer, Subject::Profile, Act::SeeDeleted, Relation::NONE) {
        return rows;
    }
    let live = profile::Column::DeletedAt.is_null();
    match viewer.user_id() {
        Some(id) => rows.filter(
            Condition::any()
                .add(live)
                .add(profile::Column::UserId.eq(id)),
        ),
        None if scope == Scope::OnlyDeleted => rows.filter(nothing()),
        None => rows.filter(live),
    }
}

fn relation(viewer: &Viewer, owner: UserId) -> Relation {
    Relation::owner(viewer.user_id() == Some(owner))
}

/// Those of the profiles that the viewer sees, by id.
///
/// # Errors
///
/// Whatever keeps the database from answering, as for every read.
pub async fn by_ids<S: Shape<profile::Entity>>(
    read: &Read,
    shape: S,
    viewer: &Viewer,
    scope: Scope,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, S::Row>> {
    Ok(visible(viewer, scope).by_ids_as(shape, ids, read).await?)
}

/// The live profile of each user.
///
/// # Errors
///
/// Whatever keeps the database from answering.
pub async fn of_users<S: Shape<profile::Entity>>(
    read: &Read,
    shape: S,
    users: &[Uuid],
) -> Result<HashMap<Uuid, S::Row>> {
    Ok(Rows::<profile::Entity>::live()
        .by_as(shape, profile::Column::UserId, users, read)
        .await?)
}

/// Makes a user's profile.
///
/// # Errors
///
/// [`Error::AlreadyExists`] if the user has one.
pub async fn create(tx: &mut Tx, viewer: &Viewer, command: CreateProfile) -> Result<Profile> {
    require(
        viewer,
        Subject::Profile,
        Act::Create,
        relation(viewer, command.user),
    )?;
    let mut check = Check::new();
    let bio = command.bio.map(|bio| check.body("bio", bio, MAX_BIO));
    let avatar_url = command.avatar_url.map(|url| check.url("avatarUrl", &url));
    let metadata = metadata(&mut check, command.metadata);
    check.done()?;
    let held = tx.hold_live::<user::Entity>(&[command.user.into()]).await?;
    if held.is_empty() {
        return Err(Error::not_found_at("userId"));
    }
    let row = profile::ActiveModel {
        user_id: Set(command.user),
        bio: Set(bio),
        avatar_url: Set(avatar_url),
        metadata: Set(metadata),
        ..Default::default()
    };
    Ok(tx.create::<profile::Entity>(row).await?)
}

/// Changes a profile.
///
/// # Errors
///
/// [`Error::NotFound`], [`Error::Forbidden`],
/// or [`Error::Conflict`].
pub async fn update(tx: &mut Tx, viewer: &Viewer, command: UpdateProfile) -> Result<Profile> {
    let locked = lock(tx, visible(viewer, Scope::Live), command.id).await?;
    require(
        viewer,
        Subject::Profile,
        Act::Change,
        relation(viewer, locked.user_id),
    )?;
    let mut check = Check::new();
    let mut changes = profile::ActiveModel::default();
    match command.bio {
        Patch::Keep => {}
        Patch::Clear => changes.bio = Set(None),
        Patch::Set(bio) => changes.bio = Set(Some(check.body("bio", bio, MAX_BIO))),
    }
    match command.avatar_url {
        Patch::Keep => {}
        Patch::Clear => changes.avatar_url = Set(None),
        Patch::Set(url) => changes.avatar_url = Set(Some(check.url("avatarUrl", &url))),
    }
    match command.metadata {
        Patch::Keep => {}
        Patch::Clear => changes.metadata = Set(metadata(&mut check, None)),
        Patch::Set(value) => changes.metadata = Set(metadata(&mut check, Some(value))),
    }
    check.done()?;
    Ok(locked.update(tx, command.seen, changes).await?)
}

/// Deletes a profile.
///
/// # Errors
///
/// [`Error::NotFound`], [`Error::Forbidden`],
/// or [`Error::Conflict`].
pub async fn delete(tx: &mut Tx, viewer: &Viewer, id: ProfileId, seen: Version) -> Result<Profile> {
    let locked = lock(tx, visible(viewer, Scope::Live), id).await?;
    require(
        viewer,
        Subject::Profile,
        Act::Delete,
        relation(viewer, locked.user_id),
    )?;
    Ok(locked.delete(tx, seen).await?)
}

/// Restores a deleted profile.
///
/// # Errors
///
/// [`Error::NotFound`], [`Error::Conflict`], or
/// [`Error::AlreadyExists`] if the user has another one by now.
pub async fn restore(
    tx: &mut Tx,
    viewer: &Viewer,
    id: ProfileId,
    seen: Version,
) -> Result<Profile> {
    let visible = |scope| visible(viewer, scope);
    let locked = lock_deleted(tx, visible, id, |profile| {
        require(
            viewer,
            Subject::Profile,
            Act::Restore,
            relation(viewer, profile.user_id),
        )
    })
    .await?;
    Ok(locked.restore(tx, seen).await?)
}

/// Removes a deleted profile for good, after the retention time.
///
/// # Errors
///
/// [`Error::NotFound`], [`Error::Conflict`], or
/// [`Error::Invalid`] before the retention time is over.
pub async fn purge(
    tx: &mut Tx,
    viewer: &Viewer,
    id: ProfileId,
    seen: Version,
    retention: Retention,
) -> Result<Profile> {
    let visible = |scope| visible(viewer, scope);
    let locked = lock_deleted(tx, visible, id, |profile| {
        require(
            viewer,
            Subject::Profile,
            Act::Purge,
            relation(viewer, profile.user_id),
        )
    })
    .await?;
    Ok(locked.purge(tx, seen, retention).await?)
}

/// A profile's metadata: a JSON object of bounded size, without the NUL character, which
/// PostgreSQL's `jsonb` cannot keep.
fn metadata(check: &mut Check, value: Option<serde_json::Value>) -> serde_json::Value {
    let value = value.unwrap_or_else(|| serde_json::json!({}));
    let text = value.to_string();
    if !value.is_object() {
        check.refuse("metadata", "It must be a JSON object.");
    } else if text.len() > MAX_METADATA {
        check.refuse(
            "metadata",
            format!("It must not have more than {MAX_METADATA} bytes."),
        );
    } else if depth(&value) > MAX_METADATA_DEPTH {
        check.refuse(
            "metadata",
            format!("It must not nest deeper than {MAX_METADATA_DEPTH} levels."),
        );
    } else if contains_nul(&value) {
        check.refuse("metadata", "It must not contain the NUL character.");
    }
    value
}

/// How many lists and objects lie within one another. JSON from outside nests 128 levels at
/// most.
fn depth(value: &serde_json::Value) -> usize {
    use serde_json::Value as V;
    let below = match value {
        V::Array(items) => items.iter().map(depth).max(),
        V::Object(entries) => entries.values().map(depth).max(),
        V::Null | V::Bool(_) | V::Number(_) | V::String(_) => return 0,
    };
    1 + below.unwrap_or_default()
}

/// Whether a text or a key has the NUL character.
fn contains_nul(value: &serde_json::Value) -> bool {
    use serde_json::Value as V;
    match value {
        V::String(text) => text.contains('\0'),
        V::Array(items) => items.iter().any(contains_nul),
        V::Object(entries) => entries
            .iter()
            .any(|(key, value)| key.contains('\0') || contains_nul(value)),
        V::Null | V::Bool(_) | V::Number(_) => false,
    }
}
