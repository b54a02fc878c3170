//! Accounts: what a user has in one currency. How it came and went, [transfers](crate::transfer)
//! say.

use std::collections::HashMap;

use plimsoll_entity::{
    account,
    id::{AccountId, UserId},
    transfer_entry, user,
};
use plimsoll_records::{Locked, Order, PageRequest, Rows, Shape};
use sea_orm::{ActiveValue::Set, ColumnTrait};
use uuid::Uuid;

use crate::{
    Direction, Error, Money, Page, PageArguments, Read, Result, Retention, Scope, Tx, Version,
    Viewer,
    access::{lock, lock_deleted, nothing},
    policy::{Act, Relation, Subject, may, require},
    selection::selection,
    text::Check,
};

/// An account.
pub type Account = account::Model;

/// Its columns.
pub use account::Column;

/// Those columns of one that were read.
pub type View = plimsoll_records::View<account::Entity>;

/// Some of its columns.
pub type Columns = plimsoll_records::Columns<account::Entity>;

selection! {
    account::Entity {
        /// The columns of their owners, if these are live; `None` if they are not shown.
        owner: crate::user::Columns = (Column::OwnerId, user::Column::Id)
            of |viewer| crate::user::visible(viewer, Scope::Live);
    }
}

/// What a new account is made of.
#[derive(Clone, Debug)]
pub struct OpenAccount {
    /// Whose it is.
    pub owner: UserId,
    /// The code of its currency in ISO 4217.
    pub currency: String,
}

/// The accounts that the viewer sees: their own, and all of them for administrators.
pub(crate) fn visible(viewer: &Viewer, scope: Scope) -> Rows<account::Entity> {
    let rows = Rows::scoped(scope);
    if may(viewer, Subject::Account, Act::See, Relation::NONE) {
        return rows;
    }
    match viewer.user_id() {
        Some(me) => rows.filter(account::Column::OwnerId.eq(me)),
        None => rows.filter(nothing()),
    }
}

pub(crate) fn relation(viewer: &Viewer, owner: UserId) -> Relation {
    Relation::owner(viewer.user_id() == Some(owner))
}

/// What is in an account.
pub(crate) fn balance_of(account: &Account) -> Money {
    Money {
        amount: account.balance,
        currency: account.currency.clone(),
    }
}

/// Those of the accounts that the viewer sees, by id.
///
/// # Errors
///
/// Whatever keeps the database from answering, as for every read.
pub async fn by_ids<S: Shape<account::Entity>>(
    read: &Read,
    shape: S,
    viewer: &Viewer,
    scope: Scope,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, S::Row>> {
    Ok(visible(viewer, scope).by_ids_as(shape, ids, read).await?)
}

/// One page of the accounts that the viewer sees, the newest first.
///
/// # Errors
///
/// [`Error::BadPage`] if the arguments do not fit.
pub async fn page<S: Shape<account::Entity>>(
    read: &Read,
    shape: S,
    viewer: &Viewer,
    scope: Scope,
    arguments: &PageArguments,
) -> Result<Page<S::Row>> {
    let list = format!("accounts {scope:?}");
    let order = Order::by(account::Column::CreatedAt, Direction::Descending);
    let request = PageRequest::parse(&list, order, arguments)?;
    Ok(visible(viewer, scope)
        .page_as(shape, &request, read)
        .await?)
}

/// How many accounts the viewer sees.
///
/// # Errors
///
/// Whatever keeps the database from answering.
pub async fn count(read: &Read, viewer: &Viewer, scope: Scope) -> Result<u64> {
    Ok(visible(viewer, scope).count(read).await?)
}

/// Opens an account, with nothing in it.
///
/// # Errors
///
/// [`Error::AlreadyExists`] if the owner has a live account in the currency, [`Error::NotFound`]
/// if there is no such owner, [`Error::Forbidden`] if it is somebody else's.
pub async fn open(tx: &mut Tx, viewer: &Viewer, command: OpenAccount) -> Result<Account> {
    require(
        viewer,
        Subject::Account,
        Act::Create,
        relation(viewer, command.owner),
    )?;
    let mut check = Check::new();
    let currency = check.currency("currency", &command.currency);
    check.done()?;
    let held = tx
        .hold_live::<user::Entity>(&[command.owner.into()])
        .await?;
    if held.is_empty() {
        return Err(Error::not_found_at("ownerId"));
    }
    let row = account::ActiveModel {
        owner_id: Set(command.owner),
        currency: Set(currency),
        balance: Set(0),
        ..Default::default()
    };
    Ok(tx.create::<account::Entity>(row).await?)
}

/// Deletes an account that nothing is in.
///
/// # Errors
///
/// [`Error::NotFound`], [`Error::Conflict`], or [`Error::Invalid`] if there is money in it.
pub async fn delete(tx: &mut Tx, viewer: &Viewer, id: AccountId, seen: Version) -> Result<Account> {
    let locked = lock(tx, visible(viewer, Scope::Live), id).await?;
    require(
        viewer,
        Subject::Account,
        Act::Delete,
        relation(viewer, locked.owner_id),
    )?;
    // Who saw another version is told that first.
    if locked.balance != 0 && locked.version() == seen {
        let message = format!("There is {} in it.", balance_of(&locked));
        return Err(Error::invalid("id", message));
    }
    Ok(locked.delete(tx, seen).await?)
}

/// Restores a deleted account.
///
/// # Errors
///
/// [`Error::NotFound`], [`Error::Conflict`], or [`Error::AlreadyExists`] if the owner has another
/// one in its currency by now.
pub async fn restore(
    tx: &mut Tx,
    viewer: &Viewer,
    id: AccountId,
    seen: Version,
) -> Result<Account> {
    let visible = |scope| visible(viewer, scope);
    let locked = lock_deleted(tx, visible, id, |account| {
        require(
            viewer,
            Subject::Account,
            Act::Restore,
            relation(viewer, account.owner_id),
        )
    })
    .await?;
    Ok(locked.restore(tx, seen).await?)
}

/// Removes a deleted account for good, after the retention time, if no money ever moved through
/// it.
///
/// # Errors
///
/// [`Error::NotFound`], [`Error::Conflict`], [`Error::StillReferenced`] if a transfer tells of
/// it, or [`Error::Invalid`] before the retention time is over.
pub async fn purge(
    tx: &mut Tx,
    viewer: &Viewer,
    id: AccountId,
    seen: Version,
    retention: Retention,
) -> Result<Account> {
    let visible = |scope| visible(viewer, scope);
    let locked = lock_deleted(tx, visible, id, |account| {
        require(
            viewer,
            Subject::Account,
            Act::Purge,
            relation(viewer, account.owner_id),
        )
    })
    .await?;
    if locked.version() == seen {
        let moved = Rows::<transfer_entry::Entity>::live()
            .filter(transfer_entry::Column::AccountId.eq(id))
            .one(tx)
            .await?;
        if let Some(entry) = moved {
            return Err(Error::StillReferenced {
                message: "Money moved through it: it is kept.".into(),
                record_type: "transfer".into(),
                ids: vec![entry.transfer_id.into()],
            });
        }
    }
    Ok(locked.purge(tx, seen, retention).await?)
}

/// A user's live account in a currency, locked; `None` if they have none.
pub(crate) async fn own_account(
    tx: &mut Tx,
    owner: UserId,
    currency: &str,
) -> Result<Option<Locked<account::Entity>>> {
    Ok(Rows::live()
        .filter(account::Column::OwnerId.eq(owner))
        .filter(account::Column::Currency.eq(currency))
        .lock(tx)
        .await?)
}
