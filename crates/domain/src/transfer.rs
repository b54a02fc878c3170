//! Transfers: money that moved from an account to another, in from outside, or to the shop and
//! back. Each is written once, with an entry for every account that it touches; what is in an
//! account is the sum of its entries.

use std::{collections::HashMap, future::Future};

use plimsoll_entity::{
    account,
    id::{AccountId, OrderId, TransferEntryId, TransferId},
    transfer, transfer_entry,
};
use plimsoll_records::{BatchRefused, Locked, Order, PageRequest, Rows, Via};
use sea_orm::{ActiveValue::Set, ColumnTrait, IntoActiveModel};
use uuid::Uuid;

use crate::{
    Direction, Error, Page, PageArguments, Read, Result, Scope, Tx, Version, Viewer,
    account::{Account, balance_of, relation, visible as visible_accounts},
    error::path as path_of,
    idempotency::Kept,
    policy::{Act, Relation, Subject, may, require},
    text::Check,
};

pub use plimsoll_entity::transfer::Kind;

/// A transfer.
pub type Transfer = transfer::Model;

/// What a transfer is called where a type is named.
const TYPE: &str = "transfer";

/// Money that comes in from outside.
#[derive(Clone, Debug)]
pub struct Deposit {
    /// Where it goes.
    pub to: AccountId,
    /// How much, in minor units of the account's currency.
    pub amount: i64,
}

/// Money that goes from one account to another.
#[derive(Clone, Debug)]
pub struct TransferFunds {
    /// Where it comes from.
    pub from: AccountId,
    /// Where it goes.
    pub to: AccountId,
    /// How much, in minor units of the accounts' currency.
    pub amount: i64,
}

/// The transfers that the viewer sees: those from and to their accounts, deleted ones as well,
/// and all of them for administrators.
fn visible(viewer: &Viewer) -> Rows<transfer::Entity> {
    if sees_all(viewer) {
        return Rows::live();
    }
    let accounts = || visible_accounts(viewer, Scope::WithDeleted);
    let from = Rows::live().under(transfer::Column::FromAccountId, accounts());
    from.or(Rows::live().under(transfer::Column::ToAccountId, accounts()))
}

/// The entries of the accounts that the viewer sees.
fn visible_entries(viewer: &Viewer) -> Rows<transfer_entry::Entity> {
    if sees_all(viewer) {
        return Rows::live();
    }
    let accounts = visible_accounts(viewer, Scope::WithDeleted);
    Rows::live().under(transfer_entry::Column::AccountId, accounts)
}

fn sees_all(viewer: &Viewer) -> bool {
    may(viewer, Subject::Account, Act::See, Relation::NONE)
}

/// Those of the transfers that the viewer sees, by id.
///
/// # Errors
///
/// Whatever keeps the database from answering, as for every read.
pub async fn by_ids(read: &Read, viewer: &Viewer, ids: &[Uuid]) -> Result<HashMap<Uuid, Transfer>> {
    Ok(visible(viewer).by_ids(ids, read).await?)
}

/// One page of the transfers of each of the accounts, the newest first.
///
/// # Errors
///
/// [`Error::BadPage`] if the arguments do not fit.
pub async fn pages_of(
    read: &Read,
    viewer: &Viewer,
    arguments: &PageArguments,
    accounts: &[Uuid],
) -> Result<HashMap<Uuid, Page<Transfer>>> {
    let order = Order::by(transfer_entry::Column::CreatedAt, Direction::Descending);
    let request = PageRequest::parse("transfers of an account", order, arguments)?;
    let via = Via::Column(transfer_entry::Column::AccountId);
    let pages = visible_entries(viewer)
        .page_of_each(via, accounts, &request, read)
        .await?;
    let rows = pages.values().flat_map(Page::rows);
    let mut ids: Vec<Uuid> = rows.map(|entry| entry.transfer_id.into()).collect();
    // Both sides of one may be asked for.
    ids.sort_unstable();
    ids.dedup();
    // Who sees an entry sees its transfer.
    let transfers = Rows::<transfer::Entity>::live().by_ids(&ids, read).await?;
    let mut found = HashMap::with_capacity(pages.len());
    for (account, page) in pages {
        let page = page.try_map(|entry| {
            let transfer = transfers.get(&entry.transfer_id.into()).cloned();
            transfer.ok_or_else(|| Error::Internal("an entry's transfer is not there".into()))
        })?;
        found.insert(account, page);
    }
    Ok(found)
}

/// How many transfers each of the accounts has.
///
/// # Errors
///
/// Whatever keeps the database from answering.
pub async fn counts_of(
    read: &Read,
    viewer: &Viewer,
    accounts: &[Uuid],
) -> Result<HashMap<Uuid, u64>> {
    let via = Via::Column(transfer_entry::Column::AccountId);
    Ok(visible_entries(viewer)
        .count_of_each(via, accounts, read)
        .await?)
}

/// A transfer can be what a key led to. It never changes.
impl Kept for Transfer {
    fn record_type(&self) -> &'static str {
        TYPE
    }

    fn seen(&self) -> (Uuid, Version) {
        (self.id.into(), Version(0))
    }

    fn again(
        read: &Read,
        viewer: &Viewer,
        ids: &[Uuid],
    ) -> impl Future<Output = Result<HashMap<Uuid, Self>>> + Send {
        by_ids(read, viewer, ids)
    }
}

/// Puts money from outside into an account.
///
/// # Errors
///
/// [`Error::NotFound`] at `to`, [`Error::Forbidden`], or [`Error::Invalid`] at `amount` if it is
/// not more than 0, or more than the account can hold.
pub async fn deposit(tx: &mut Tx, viewer: &Viewer, command: Deposit) -> Result<Transfer> {
    let mut check = Check::new();
    let amount = check.amount("amount", command.amount);
    check.done()?;
    let to = visible_accounts(viewer, Scope::Live)
        .filter(account::Column::Id.eq(command.to))
        .lock(tx)
        .await?
        .ok_or_else(|| Error::not_found_at("to"))?;
    require(
        viewer,
        Subject::Account,
        Act::Deposit,
        relation(viewer, to.owner_id),
    )?;
    let balance = more(&to, amount).ok_or_else(|| too_much("amount"))?;
    let to = set_balance(tx, to, balance).await?;
    write_down(tx, Kind::Deposit, None, Some(&to), amount, None).await
}

/// Moves money from an account of the viewer's to any other one of its currency.
///
/// # Errors
///
/// [`Error::NotFound`] at `from` or `to`; [`Error::Forbidden`] if `from` is somebody else's;
/// [`Error::Invalid`] if both are the same account or of two currencies, and at `amount` if it is
/// not more than 0, or more than `to` can hold; [`Error::InsufficientFunds`] at `amount`.
pub async fn transfer(tx: &mut Tx, viewer: &Viewer, command: TransferFunds) -> Result<Transfer> {
    let mut check = Check::new();
    let amount = check.amount("amount", command.amount);
    if command.from == command.to {
        check.refuse("to", "The money is in this account already.");
    }
    check.done()?;
    // Both in one statement, in the order of ids.
    let accounts = Rows::<account::Entity>::live()
        .filter(account::Column::Id.is_in([command.from, command.to]))
        .lock_every(2, tx)
        .await
        .map_err(refused)?;
    let find = |id: AccountId| accounts.iter().find(|account| account.id == id);
    let from = find(command.from).ok_or_else(|| Error::not_found_at("from"))?;
    let mine = relation(viewer, from.owner_id);
    if !may(viewer, Subject::Account, Act::See, mine) {
        return Err(Error::not_found_at("from"));
    }
    require(viewer, Subject::Account, Act::Spend, mine)?;
    let to = find(command.to).ok_or_else(|| Error::not_found_at("to"))?;
    if from.currency != to.currency {
        let message = format!(
            "It is an account in {}, and the money is in {}.",
            to.currency, from.currency
        );
        return Err(Error::invalid("to", message));
    }
    let left = less(from, amount).ok_or_else(|| insufficient(from, path_of("amount")))?;
    let held = more(to, amount).ok_or_else(|| too_much("amount"))?;
    let payer = command.from;
    let written = accounts
        .update_each(tx, move |account| account::ActiveModel {
            balance: Set(if account.id == payer { left } else { held }),
            ..Default::default()
        })
        .await
        .map_err(refused)?;
    let find = |id: AccountId| written.changed.iter().find(|account| account.id == id);
    let (Some(from), Some(to)) = (find(command.from), find(command.to)) else {
        return Err(Error::Internal("a transfer changed one account".into()));
    };
    write_down(tx, Kind::Transfer, Some(from), Some(to), amount, None).await
}

/// Pays for an order from an account. `path` names the argument that a lack of money is about.
pub(crate) async fn pay(
    tx: &mut Tx,
    from: Locked<account::Entity>,
    order: OrderId,
    amount: i64,
    path: &[&str],
) -> Result<Transfer> {
    let left = less(&from, amount).ok_or_else(|| {
        let path = path.iter().map(|&part| part.into()).collect();
        insufficient(&from, path)
    })?;
    let from = set_balance(tx, from, left).await?;
    write_down(tx, Kind::Payment, Some(&from), None, amount, Some(order)).await
}

/// Puts the price of an order back into an account.
pub(crate) async fn refund(
    tx: &mut Tx,
    to: Locked<account::Entity>,
    order: OrderId,
    amount: i64,
) -> Result<Transfer> {
    let balance = more(&to, amount).ok_or_else(|| too_much("id"))?;
    let to = set_balance(tx, to, balance).await?;
    write_down(tx, Kind::Refund, None, Some(&to), amount, Some(order)).await
}

/// What is left in an account without `amount`, if there is as much.
fn less(account: &Account, amount: i64) -> Option<i64> {
    let left = account.balance.checked_sub(amount);
    left.filter(|left| *left >= 0)
}

/// What is in an account with `amount` more, if it can hold that.
fn more(account: &Account, amount: i64) -> Option<i64> {
    account.balance.checked_add(amount)
}

fn insufficient(account: &Account, path: Vec<String>) -> Error {
    Error::InsufficientFunds {
        path,
        account: account.id.into(),
        balance: balance_of(account),
    }
}

fn too_much(field: &str) -> Error {
    Error::invalid(field, "It is more than the account can hold.")
}

/// An account that is locked needs no version that somebody saw.
async fn set_balance(
    tx: &mut Tx,
    account: Locked<account::Entity>,
    balance: i64,
) -> Result<Account> {
    let seen = account.version();
    let changes = account::ActiveModel {
        balance: Set(balance),
        ..Default::default()
    };
    Ok(account.update(tx, seen, changes).await?)
}

/// Writes a transfer and its entries. The accounts are as it left them.
async fn write_down(
    tx: &mut Tx,
    kind: Kind,
    from: Option<&Account>,
    to: Option<&Account>,
    amount: i64,
    order: Option<OrderId>,
) -> Result<Transfer> {
    let (Some(account), true) = (from.or(to), amount > 0) else {
        return Err(Error::Internal("a transfer of nothing".into()));
    };
    let transfer = Transfer {
        id: TransferId(tx.mint()),
        created_at: tx.now(),
        kind,
        from_account_id: from.map(|account| account.id),
        to_account_id: to.map(|account| account.id),
        amount,
        currency: account.currency.clone(),
        order_id: order,
        actor_id: tx.writer().actor.map(Into::into),
    };
    let sides = [(from, -amount), (to, amount)];
    let entries = sides.into_iter().filter_map(|(account, amount)| {
        let account = account?;
        let entry = transfer_entry::Model {
            id: TransferEntryId(tx.mint()),
            created_at: transfer.created_at,
            transfer_id: transfer.id,
            account_id: account.id,
            amount,
            balance: account.balance,
        };
        Some(entry.into_active_model())
    });
    let entries = entries.collect();
    let row = transfer.clone().into_active_model();
    tx.insert_facts::<transfer::Entity>(vec![row]).await?;
    tx.insert_facts::<transfer_entry::Entity>(entries).await?;
    Ok(transfer)
}

/// Why the accounts of a transfer were not changed.
fn refused(refused: BatchRefused<account::Entity>) -> Error {
    match refused {
        BatchRefused::Refused(refused) => refused.into(),
        BatchRefused::Item { reason, .. } => (*reason).into(),
        refused @ (BatchRefused::Twice { .. } | BatchRefused::TooMany(_)) => {
            Error::Internal(refused.to_string())
        }
    }
}
