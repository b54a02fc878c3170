//! Accounts and transfers.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, InputObject, Object};
use chrono::{DateTime, Utc};
use plimsoll_domain::{
    self as domain, PageArguments, Scope,
    account::OpenAccount,
    id::AccountId,
    transfer::{Deposit, Kind, TransferFunds},
};
use uuid::Uuid;

use crate::{
    Query, RequestScope,
    batch::{Failure, PageOf, TransfersPage, UserById},
    connection::{ScopeArgument, Total, connection, page_arguments},
    error::{Result, payload},
    id::{decode, encode},
    json::Leaf,
    money::{MinorUnits, Money},
    order::Order,
    record::{by_id, load, read, record_fields, removal, write, write_keyed},
    root::{self, Asked},
    rows::{Below, Connection, One, Row, Step, pages},
    scope,
    user::User,
};

record_fields! {
    #[async_graphql::Object]
    /// What a user has in one currency.
    Account(Account of plimsoll_domain::account) {
        own {
            /// The code of its currency in ISO 4217. Its owner has no other live account in it.
            currency: String = Currency;
        }
        one {
            /// Whose it is; null if they are deleted.
            owner: User = UserById(OwnerId);
        }
        pages {
            transfers: TransferConnection::step();
        }
        needs {
            balance: Balance, Currency;
        }
        resolvers {
            /// What is in it: never less than nothing, and always the sum of its transfers.
            async fn balance(&self) -> Result<Money> {
                let currency: String = self.get(Column::Currency)?;
                Ok(Money::new(self.get(Column::Balance)?, &currency))
            }

            /// The transfers from it and to it, the newest first.
            #[graphql(complexity = "crate::connection::cost(first, last, child_complexity)")]
            async fn transfers(
                &self,
                ctx: &Context<'_>,
                #[graphql(desc = "How many, from the front: 20 unless given, 200 at most.")]
                first: Option<i32>,
                #[graphql(desc = "Begin behind this cursor.")] after: Option<String>,
                #[graphql(desc = "How many, from the back.")] last: Option<i32>,
                #[graphql(desc = "End before this cursor.")] before: Option<String>,
            ) -> Result<TransferConnection> {
                let arguments = page_arguments(ctx, first, after, last, before);
                TransferConnection::of(ctx, self.get(Column::Id)?, arguments).await
            }
        }
    }
}

connection!(
    AccountConnection,
    AccountEdge,
    Account,
    domain::account::View,
    "A page of accounts.",
    "An account at a place in a list."
);

/// Money that moved. It never changes.
#[derive(Clone)]
pub(crate) struct Transfer(Arc<domain::transfer::Transfer>);

impl From<domain::transfer::Transfer> for Transfer {
    fn from(transfer: domain::transfer::Transfer) -> Self {
        Self(Arc::new(transfer))
    }
}

impl Row for Transfer {
    type Columns = ();

    fn needs(_: &str, _: Below<'_>) {}

    fn step<'a>(name: &str, _: Below<'a>) -> Option<Step<'a, Self>> {
        Some(Step::Own(match name {
            "id" => |row, json| encode(row.0.id).write(json),
            "createdAt" => |row, json| row.0.created_at.write(json),
            "fromId" => |row, json| row.0.from_account_id.map(encode).write(json),
            "toId" => |row, json| row.0.to_account_id.map(encode).write(json),
            _ => return None,
        }))
    }
}

/// Why money moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum TransferKind {
    /// It came in from outside.
    Deposit,
    /// It went from one account to another.
    Transfer,
    /// It was paid for an order.
    Payment,
    /// It came back when an order was cancelled.
    Refund,
}

impl From<Kind> for TransferKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Deposit => Self::Deposit,
            Kind::Transfer => Self::Transfer,
            Kind::Payment => Self::Payment,
            Kind::Refund => Self::Refund,
        }
    }
}

/// Money that moved. It never changes.
#[Object]
impl Transfer {
    /// The transfer's id.
    pub(crate) async fn id(&self) -> ID {
        encode(self.0.id)
    }

    /// When the money moved.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// Why it moved.
    async fn kind(&self) -> TransferKind {
        self.0.kind.into()
    }

    /// How much it was.
    async fn amount(&self) -> Money {
        Money::new(self.0.amount, &self.0.currency)
    }

    /// The id of the account that it left; null if it came from outside, or back from the shop.
    async fn from_id(&self) -> Option<ID> {
        self.0.from_account_id.map(encode)
    }

    /// The id of the account that it came to; null if it was paid to the shop.
    async fn to_id(&self) -> Option<ID> {
        self.0.to_account_id.map(encode)
    }

    /// The account that it left; null if there is none, or it is deleted, or the viewer may not
    /// see it.
    async fn from(&self, ctx: &Context<'_>) -> Result<Option<Account>> {
        account(ctx, self.0.from_account_id).await
    }

    /// The account that it came to; null if there is none, or it is deleted, or the viewer may
    /// not see it.
    async fn to(&self, ctx: &Context<'_>) -> Result<Option<Account>> {
        account(ctx, self.0.to_account_id).await
    }

    /// The order that was paid for or cancelled; null if it was for none, or the viewer may not
    /// see it.
    async fn order(&self, ctx: &Context<'_>) -> Result<Option<Order>> {
        let Some(order) = self.0.order_id else {
            return Ok(None);
        };
        Ok(by_id(scope(ctx), Scope::Live, order.into()).await?)
    }
}

async fn account(ctx: &Context<'_>, id: Option<AccountId>) -> Result<Option<Account>> {
    let Some(id) = id else {
        return Ok(None);
    };
    Ok(by_id(scope(ctx), Scope::Live, id.into()).await?)
}

connection!(
    TransferConnection,
    TransferEdge,
    Transfer,
    domain::transfer::Transfer,
    "A page of transfers.",
    "A transfer at a place in a list."
);

impl TransferConnection {
    /// A page of the transfers of an account.
    async fn of(ctx: &Context<'_>, account: Uuid, arguments: PageArguments) -> Result<Self> {
        let key = TransfersPage(arguments, account);
        Ok(<Self as Connection<TransfersPage>>::of(
            &key,
            load(scope(ctx), key.clone()).await?,
        ))
    }

    /// The same, for each of many rows with these ids.
    fn step<'a, T: Row>(
        below: Below<'a>,
        id: fn(&T) -> std::result::Result<Uuid, Failure>,
    ) -> Option<Step<'a, T>> {
        let arguments = below.page_arguments()?;
        pages::<T, TransfersPage, Self>(below, move |row| {
            Ok(TransfersPage(arguments.clone(), id(row)?))
        })
    }
}

impl Connection<TransfersPage> for TransferConnection {
    fn of(&TransfersPage(_, account): &TransfersPage, found: Option<PageOf<Transfer>>) -> Self {
        Self {
            page: found.unwrap_or_default(),
            total: Total::TransfersOf(account),
        }
    }
}

#[derive(Clone, Default)]
pub(crate) struct AccountQuery;

#[Object]
impl AccountQuery {
    /// The account with this id; null if there is none that the viewer sees.
    async fn account(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The account's id.")] id: ID,
        #[graphql(default, name = "scope", desc = "A deleted one as well, or alone.")]
        which: ScopeArgument,
    ) -> Result<One<Account>> {
        let id: AccountId = decode(&id, "id")?;
        Ok(One(by_id(scope(ctx), which.into(), id.into()).await?))
    }

    /// The viewer's accounts, the newest first; everybody's for administrators.
    #[graphql(complexity = "crate::connection::cost(first, last, child_complexity)")]
    async fn accounts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, from the front: 20 unless given, 200 at most.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Begin behind this cursor.")] after: Option<String>,
        #[graphql(desc = "How many, from the back.")] last: Option<i32>,
        #[graphql(desc = "End before this cursor.")] before: Option<String>,
        #[graphql(default, name = "scope", desc = "Deleted accounts as well, or alone.")]
        which: ScopeArgument,
    ) -> Result<AccountConnection> {
        let arguments = page_arguments(ctx, first, after, last, before);
        let asked = Asked::of(ctx, which, (), arguments);
        Ok(page(scope(ctx), asked).await?)
    }
}

/// A page of the accounts that the viewer sees.
async fn page(scope: &RequestScope, asked: Asked<Account>) -> domain::Result<AccountConnection> {
    let total = Total::Accounts(asked.which);
    let page = read(scope, move |read, viewer| async move {
        domain::account::page(
            &read,
            asked.columns.seen_by(&viewer),
            &viewer,
            asked.which,
            &asked.arguments,
        )
        .await
    });
    Ok(AccountConnection::new(page.await?, total))
}

/// How the query's fields about accounts are answered without their resolvers.
pub(crate) fn step<'a>(name: &str, below: Below<'a>) -> Option<Step<'a, Query>> {
    match name {
        "account" => root::one::<Account, AccountId>(below),
        "accounts" => root::list(below, (), |scope, asked| Box::pin(page(scope, asked))),
        _ => None,
    }
}

/// A new account.
#[derive(InputObject)]
pub(crate) struct OpenAccountInput {
    /// The code of its currency in ISO 4217, such as EUR.
    currency: String,
    /// Whose it is; the viewer's unless given. Another user's for administrators.
    owner_id: Option<ID>,
}

/// Money that comes in from outside.
#[derive(InputObject)]
pub(crate) struct DepositInput {
    /// The account that it goes to.
    to: ID,
    /// How much, in minor units of the account's currency.
    amount: MinorUnits,
    /// What the client calls this request, so that it can send it again: with the same key and
    /// the same input it is done once.
    idempotency_key: String,
}

/// Money that goes from one account to another.
#[derive(InputObject)]
pub(crate) struct TransferFundsInput {
    /// The account that it leaves, which is the viewer's.
    from: ID,
    /// The account that it goes to, in the same currency.
    to: ID,
    /// How much, in minor units of the accounts' currency.
    amount: MinorUnits,
    /// What the client calls this request, so that it can send it again: with the same key and
    /// the same input it is done once.
    idempotency_key: String,
}

payload! {
    /// The account that was opened, or why there is none.
    OpenAccountPayload {
        /// The new account.
        account: Account
    }
    /// The transfer that was made, or why there is none.
    DepositPayload {
        /// The new transfer.
        transfer: Transfer
    }
    /// The transfer that was made, or why there is none.
    TransferFundsPayload {
        /// The new transfer.
        transfer: Transfer
    }
}

#[derive(async_graphql::MergedObject, Default)]
pub(crate) struct AccountMutation(AccountEdit, AccountRemoval);

#[derive(Default)]
pub(crate) struct AccountEdit;

#[Object]
impl AccountEdit {
    /// Opens an account, with nothing in it. A user has one in each currency.
    async fn open_account(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new account.")] input: OpenAccountInput,
    ) -> Result<Option<OpenAccountPayload>> {
        let owner = input.owner_id.map(|id| decode(&id, "input.ownerId"));
        let owner = owner.transpose()?;
        let currency = input.currency;
        OpenAccountPayload::new(
            write(ctx, move |tx, viewer| {
                Box::pin(async move {
                    // Nobody else than a user comes this far.
                    let owner = owner.or(viewer.user_id());
                    let owner = owner.ok_or_else(|| domain::Error::not_found_at("ownerId"))?;
                    domain::account::open(tx, viewer, OpenAccount { owner, currency }).await
                })
            })
            .await,
        )
    }

    /// Puts money from outside into an account. For administrators.
    async fn deposit(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How much, and where it goes.")] input: DepositInput,
    ) -> Result<Option<DepositPayload>> {
        let command = Deposit {
            to: decode(&input.to, "input.to")?,
            amount: input.amount.0,
        };
        DepositPayload::new(
            write_keyed(ctx, Some(input.idempotency_key), move |tx, viewer| {
                Box::pin(domain::transfer::deposit(tx, viewer, command))
            })
            .await,
        )
    }

    /// Moves money from an account of the viewer's to any other one of the same currency.
    async fn transfer_funds(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How much, and where it goes.")] input: TransferFundsInput,
    ) -> Result<Option<TransferFundsPayload>> {
        let command = TransferFunds {
            from: decode(&input.from, "input.from")?,
            to: decode(&input.to, "input.to")?,
            amount: input.amount.0,
        };
        TransferFundsPayload::new(
            write_keyed(ctx, Some(input.idempotency_key), move |tx, viewer| {
                Box::pin(domain::transfer::transfer(tx, viewer, command))
            })
            .await,
        )
    }
}

removal! {
    account: Account, account, AccountId,
    delete_account(DeleteAccountInput, DeleteAccountPayload,
        "Deletes an account that nothing is in. For its owner and administrators."),
    restore_account(RestoreAccountInput, RestoreAccountPayload,
        "Restores a deleted account. For its owner and administrators."),
    purge_account(PurgeAccountInput, PurgeAccountPayload,
        "Removes a deleted account for good, after the retention time, if no money ever moved \
         through it. For administrators."),
    AccountRemoval, "account"
}
