//! Users: who logs in, and whose posts are here.

use std::collections::HashMap;

use plimsoll_entity::{id::UserId, login_session, post_author, profile, user};
use plimsoll_records::{Order, PageRequest, Rows, Shape};
use sea_orm::{ActiveValue::Set, ColumnTrait, sea_query::ExprTrait};
use uuid::Uuid;

use crate::{
    Direction, Page, PageArguments, Patch, Read, Result, Retention, Role, Scope, Tx, Version,
    Viewer,
    access::{lock, lock_deleted, scoped},
    policy::{Act, Relation, Subject, may, require},
    selection::selection,
    text::{Check, fold},
};

/// A user.
pub type User = user::Model;

/// Its columns.
pub use user::Column;

/// Those columns of one that were read.
pub type View = plimsoll_records::View<user::Entity>;

/// Some of its columns.
pub type Columns = plimsoll_records::Columns<user::Entity>;

selection! {
    user::Entity {
        /// The columns of their live profiles; `None` if they are not shown.
        profile: crate::profile::Columns = (Column::Id, profile::Column::UserId)
            of |_| Rows::live();
    }
}

/// What a new user is made of. The password is hashed already
/// ([`Passwords::hash`](crate::password::Passwords::hash)), outside of the transaction.
#[derive(Clone, Debug)]
pub struct CreateUser {
    /// The address that they log in with.
    pub email: String,
    /// What they are called.
    pub name: String,
    /// What they may do.
    pub role: Role,
    /// The hash of their password; without one they cannot log in.
    pub password_hash: Option<String>,
}

/// What changes of a user.
#[derive(Clone, Debug)]
pub struct UpdateUser {
    /// Which user.
    pub id: UserId,
    /// The version that the viewer saw.
    pub seen: Version,
    /// The address that they log in with.
    pub email: Patch<String>,
    /// What they are called.
    pub name: Patch<String>,
    /// What they may do.
    pub role: Patch<Role>,
    /// Whether they may log in.
    pub is_active: Patch<bool>,
    /// The hash of a new password.
    pub password_hash: Option<String>,
}

/// What users can be ordered by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum UserOrder {
    /// By folded name.
    #[default]
    Name,
    /// By when they were made.
    CreatedAt,
}

pub(crate) fn visible(viewer: &Viewer, scope: Scope) -> Rows<user::Entity> {
    scoped(viewer, Subject::User, scope)
}

fn relation(viewer: &Viewer, id: UserId) -> Relation {
    Relation::owner(viewer.user_id() == Some(id))
}

/// Whether the viewer sees this user's e-mail address.
pub fn shows_email(viewer: &Viewer, user: UserId) -> bool {
    may(viewer, Subject::User, Act::SeeEmail, relation(viewer, user))
}

/// Those of the users that the viewer sees, by id.
///
/// # Errors
///
/// Whatever keeps the database from answering, as for every read.
pub async fn by_ids<S: Shape<user::Entity>>(
    read: &Read,
    shape: S,
    viewer: &Viewer,
    scope: Scope,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, S::Row>> {
    Ok(visible(viewer, scope).by_ids_as(shape, ids, read).await?)
}

/// One page of the users.
///
/// # Errors
///
/// [`Error::BadPage`](crate::Error::BadPage) if the arguments do not fit.
pub async fn page<S: Shape<user::Entity>>(
    read: &Read,
    shape: S,
    viewer: &Viewer,
    scope: Scope,
    (order, direction): (UserOrder, Direction),
    arguments: &PageArguments,
) -> Result<Page<S::Row>> {
    let column = match order {
        UserOrder::Name => user::Column::NameKey,
        UserOrder::CreatedAt => user::Column::CreatedAt,
    };
    let list = format!("users {scope:?}");
    let request = PageRequest::parse(&list, Order::by(column, direction), arguments)?;
    Ok(visible(viewer, scope)
        .page_as(shape, &request, read)
        .await?)
}

/// How many users there are.
///
/// # Errors
///
/// Whatever keeps the database from answering.
pub async fn count(read: &Read, viewer: &Viewer, scope: Scope) -> Result<u64> {
    Ok(visible(viewer, scope).count(read).await?)
}

/// The live co-authors of each post, in the posts' order of them.
///
/// # Errors
///
/// Whatever keeps the database from answering.
pub async fn co_authors_of_posts<S: Shape<user::Entity>>(
    read: &Read,
    shape: S,
    posts: &[Uuid],
) -> Result<HashMap<Uuid, Vec<S::Row>>> {
    Ok(Rows::<user::Entity>::live()
        .linked_by_as::<post_author::Entity, _>(shape, posts, read)
        .await?)
}

/// Refuses a new user before anything costly is done for them.
///
/// # Errors
///
/// [`Error::Forbidden`](crate::Error::Forbidden) if the viewer may not make users, or
/// [`Error::Invalid`](crate::Error::Invalid) if the password is too short or too long.
pub fn check_new(viewer: &Viewer, password: Option<&str>) -> Result<()> {
    require(viewer, Subject::User, Act::Create, Relation::NONE)?;
    let mut check = Check::new();
    if let Some(password) = password {
        check.password("password", password);
    }
    check.done()
}

/// Makes a user.
///
/// # Errors
///
/// [`Error::AlreadyExists`](crate::Error::AlreadyExists) if a live user has the address.
pub async fn create(tx: &mut Tx, viewer: &Viewer, command: CreateUser) -> Result<User> {
    require(viewer, Subject::User, Act::Create, Relation::NONE)?;
    let mut check = Check::new();
    let email = check.email("email", &command.email);
    let name = check.line("name", &command.name);
    check.folded("name", &name);
    check.done()?;
    let row = row(email, name, command.role, command.password_hash);
    Ok(tx.create::<user::Entity>(row).await?)
}

/// The row of a new, active user.
pub(crate) fn row(
    email: String,
    name: String,
    role: Role,
    password_hash: Option<String>,
) -> user::ActiveModel {
    let hash = password_hash.map(Into::into);
    user::ActiveModel {
        email_key: Set(fold(&email)),
        email: Set(email),
        name_key: Set(fold(&name)),
        name: Set(name),
        role: Set(role),
        password_hash: Set(hash.unwrap_or_default()),
        is_active: Set(true),
        ..Default::default()
    }
}

/// Changes a user. Another role, deactivation and a new password end the user's logins.
///
/// # Errors
///
/// [`Error::NotFound`](crate::Error::NotFound), [`Error::Forbidden`](crate::Error::Forbidden),
/// [`Error::Conflict`](crate::Error::Conflict), or
/// [`Error::AlreadyExists`](crate::Error::AlreadyExists) if the address is taken.
pub async fn update(tx: &mut Tx, viewer: &Viewer, command: UpdateUser) -> Result<User> {
    let locked = lock(tx, visible(viewer, Scope::Live), command.id).await?;
    require(
        viewer,
        Subject::User,
        Act::Change,
        relation(viewer, command.id),
    )?;
    let mut check = Check::new();
    let mut changes = user::ActiveModel::default();
    if let Some(email) = check.required("email", command.email) {
        let email = check.email("email", &email);
        changes.email_key = Set(fold(&email));
        changes.email = Set(email);
    }
    if let Some(name) = check.required("name", command.name) {
        let name = check.line("name", &name);
        check.folded("name", &name);
        changes.name_key = Set(fold(&name));
        changes.name = Set(name);
    }
    let role = check
        .required("role", command.role)
        .filter(|role| *role != locked.role);
    let active = check
        .required("isActive", command.is_active)
        .filter(|on| *on != locked.is_active);
    check.done()?;
    if role.is_some() || active.is_some() {
        require(
            viewer,
            Subject::User,
            Act::ChangeRole,
            relation(viewer, command.id),
        )?;
    }
    let ends_logins = role.is_some() || active == Some(false) || command.password_hash.is_some();
    if let Some(role) = role {
        changes.role = Set(role);
    }
    if let Some(active) = active {
        changes.is_active = Set(active);
    }
    if let Some(hash) = command.password_hash {
        changes.password_hash = Set(hash.into());
    }
    let user = locked.update(tx, command.seen, changes).await?;
    if ends_logins {
        end_logins(tx, command.id).await?;
    }
    Ok(user)
}

/// Deletes a user with their profile and their posts, and ends their logins.
///
/// # Errors
///
/// [`Error::NotFound`](crate::Error::NotFound), [`Error::Forbidden`](crate::Error::Forbidden),
/// or [`Error::Conflict`](crate::Error::Conflict).
pub async fn delete(tx: &mut Tx, viewer: &Viewer, id: UserId, seen: Version) -> Result<User> {
    let locked = lock(tx, visible(viewer, Scope::Live), id).await?;
    require(viewer, Subject::User, Act::Delete, relation(viewer, id))?;
    let user = locked.delete(tx, seen).await?;
    end_logins(tx, id).await?;
    Ok(user)
}

/// Restores a deleted user with what their deletion took along. They log in anew.
///
/// # Errors
///
/// [`Error::NotFound`](crate::Error::NotFound), [`Error::Conflict`](crate::Error::Conflict), or
/// [`Error::AlreadyExists`](crate::Error::AlreadyExists) if the address, or the slug of one of
/// the posts, was taken meanwhile.
pub async fn restore(tx: &mut Tx, viewer: &Viewer, id: UserId, seen: Version) -> Result<User> {
    let visible = |scope| visible(viewer, scope);
    let locked = lock_deleted(tx, visible, id, |_| {
        require(viewer, Subject::User, Act::Restore, relation(viewer, id))
    })
    .await?;
    Ok(locked.restore(tx, seen).await?)
}

/// Removes a deleted user for good with what their deletion took along, after the retention
/// time.
///
/// # Errors
///
/// [`Error::NotFound`](crate::Error::NotFound), [`Error::Conflict`](crate::Error::Conflict),
/// [`Error::Invalid`](crate::Error::Invalid) before the retention time is over, or
/// [`Error::StillReferenced`](crate::Error::StillReferenced) by posts that were deleted by
/// themselves.
pub async fn purge(
    tx: &mut Tx,
    viewer: &Viewer,
    id: UserId,
    seen: Version,
    retention: Retention,
) -> Result<User> {
    let visible = |scope| visible(viewer, scope);
    let locked = lock_deleted(tx, visible, id, |_| {
        require(viewer, Subject::User, Act::Purge, relation(viewer, id))
    })
    .await?;
    Ok(locked.purge(tx, seen, retention).await?)
}

async fn end_logins(tx: &mut Tx, id: UserId) -> Result<()> {
    let now = tx.now();
    let open = login_session::Column::UserId
        .eq(id)
        .and(login_session::Column::RevokedAt.is_null());
    let values = [
        (login_session::Column::RevokedAt, now.into()),
        (login_session::Column::UpdatedAt, now.into()),
    ];
    tx.update_facts::<login_session::Entity>(open, values)
        .await?;
    Ok(())
}
