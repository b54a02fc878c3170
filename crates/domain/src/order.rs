//! Orders: goods for money, both or neither.
//!
//! Rows are locked in one order everywhere, so that nobody waits in a circle: users, products,
//! inventories, orders, accounts; those of one table in the order of their ids.

use std::collections::{HashMap, HashSet};

pub use plimsoll_entity::order::Status;
use plimsoll_entity::{
    account,
    id::{AccountId, OrderId, OrderItemId, ProductId, UserId},
    inventory, order, order_item, product, user,
};
use plimsoll_records::{Locked, Order as OrderBy, PageRequest, Rows, Shape};
use sea_orm::{ActiveValue::Set, ColumnTrait};
use uuid::Uuid;

use crate::{
    Direction, Error, Money, Page, PageArguments, Read, Result, Scope, Tx, Version, Viewer,
    access::{among, lock, nothing},
    account::own_account,
    error::path,
    policy::{Act, Relation, Subject, may, require},
    selection::selection,
    transfer::{pay, refund},
};

/// The most lines of an order.
pub const MAX_LINES: usize = 100;

/// The most of one product in an order.
pub const MAX_QUANTITY: i32 = 1_000_000;

/// For how many orders the lines are read in one statement.
const ORDERS: usize = 500;

/// The argument that holds the lines of a new order.
const ITEMS: &str = "items";

/// An order.
pub type Order = order::Model;

/// Its columns.
pub use order::Column;

/// Those columns of one that were read.
pub type View = plimsoll_records::View<order::Entity>;

/// Some of its columns.
pub type Columns = plimsoll_records::Columns<order::Entity>;

selection! {
    order::Entity {
        /// The columns of their buyers, if these are live; `None` if they are not shown.
        buyer: crate::user::Columns = (Column::BuyerId, user::Column::Id)
            of |viewer| crate::user::visible(viewer, Scope::Live);
    }
}

/// One line of an order, as it was sold.
pub type OrderItem = order_item::Model;

/// One line of a new order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Which product.
    pub product: ProductId,
    /// How many of it.
    pub quantity: i32,
    /// What the buyer was shown as the price of one, in minor units: another price is refused.
    pub unit_price: Option<i64>,
}

/// What a new order is made of.
#[derive(Clone, Debug)]
pub struct PlaceOrder {
    /// Each product once: 1 to [`MAX_LINES`].
    pub items: Vec<Line>,
    /// Whether it is paid for at once; else the goods are set aside.
    pub pay: bool,
}

/// The orders that the viewer sees: their own, and all of them for who moderates.
fn visible(viewer: &Viewer, scope: Scope) -> Rows<order::Entity> {
    let rows = Rows::scoped(scope);
    if may(viewer, Subject::Order, Act::See, Relation::NONE) {
        return rows;
    }
    match viewer.user_id() {
        Some(me) => rows.filter(order::Column::BuyerId.eq(me)),
        None => rows.filter(nothing()),
    }
}

/// Those of the orders that the viewer sees, by id.
///
/// # Errors
///
/// Whatever keeps the database from answering, as for every read.
pub async fn by_ids<S: Shape<order::Entity>>(
    read: &Read,
    shape: S,
    viewer: &Viewer,
    scope: Scope,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, S::Row>> {
    Ok(visible(viewer, scope).by_ids_as(shape, ids, read).await?)
}

/// One page of the orders that the viewer sees, the newest first.
///
/// # Errors
///
/// [`Error::BadPage`] if the arguments do not fit.
pub async fn page<S: Shape<order::Entity>>(
    read: &Read,
    shape: S,
    viewer: &Viewer,
    arguments: &PageArguments,
) -> Result<Page<S::Row>> {
    let order = OrderBy::by(order::Column::CreatedAt, Direction::Descending);
    let request = PageRequest::parse("orders", order, arguments)?;
    Ok(visible(viewer, Scope::Live)
        .page_as(shape, &request, read)
        .await?)
}

/// How many orders the viewer sees.
///
/// # Errors
///
/// Whatever keeps the database from answering.
pub async fn count(read: &Read, viewer: &Viewer) -> Result<u64> {
    Ok(visible(viewer, Scope::Live).count(read).await?)
}

/// The lines of each order, in its order of them; for orders that the viewer was shown.
///
/// # Errors
///
/// Whatever keeps the database from answering.
pub async fn items_of(read: &Read, orders: &[Uuid]) -> Result<HashMap<Uuid, Vec<OrderItem>>> {
    let mut items: HashMap<Uuid, Vec<OrderItem>> = HashMap::with_capacity(orders.len());
    for orders in orders.chunks(ORDERS) {
        let these = Rows::<order_item::Entity>::live()
            .filter(among(order_item::Column::OrderId, orders))
            .all((orders.len() * MAX_LINES) as u64, read)
            .await?;
        for item in these {
            items.entry(item.order_id.into()).or_default().push(item);
        }
    }
    for items in items.values_mut() {
        items.sort_by_key(|item| item.position);
    }
    Ok(items)
}

/// Orders what the shop has: takes it from the stock at the prices of this moment and, unless the
/// goods are to be set aside, pays for it from the buyer's account.
///
/// # Errors
///
/// Of the first line that is refused, [`Error::NotFound`], [`Error::PriceChanged`],
/// [`Error::InsufficientStock`] or [`Error::Invalid`]; [`Error::InsufficientFunds`], or
/// [`Error::Invalid`] if the buyer has no account in the currency.
pub async fn place(tx: &mut Tx, viewer: &Viewer, command: PlaceOrder) -> Result<Order> {
    require(viewer, Subject::Order, Act::Create, Relation::NONE)?;
    let gone = || Error::Unauthenticated("Log in to create this order.".into());
    let buyer = viewer.user_id().ok_or_else(gone)?;
    let lines = command.items;
    check_lines(&lines)?;
    let held = tx.hold_live::<user::Entity>(&[buyer.into()]).await?;
    if held.is_empty() {
        return Err(gone());
    }
    let ids: Vec<Uuid> = lines.iter().map(|line| line.product.into()).collect();
    let products = Rows::<product::Entity>::live()
        .filter(among(product::Column::Id, &ids))
        .hold(ids.len() as u64, tx)
        .await?;
    let products: HashMap<ProductId, product::Model> =
        products.into_iter().map(|one| (one.id, one)).collect();
    let total = total(&lines, &products)?;
    take(tx, &lines, &ids).await?;
    let account = match command.pay {
        false => None,
        true => Some(account_of(tx, buyer, &total.currency, ITEMS).await?),
    };
    let row = order::ActiveModel {
        buyer_id: Set(buyer),
        account_id: Set(account.as_ref().map(|account| account.id)),
        status: Set(match account {
            None => Status::Pending,
            Some(_) => Status::Paid,
        }),
        total_amount: Set(total.amount),
        currency: Set(total.currency),
        ..Default::default()
    };
    let order = tx.create::<order::Entity>(row).await?;
    let items = items_of_new(tx, order.id, &lines, &products);
    tx.insert_facts::<order_item::Entity>(items).await?;
    if let Some(account) = account {
        pay(tx, account, order.id, order.total_amount, &["input", ITEMS]).await?;
    }
    Ok(order)
}

/// Pays for an order whose goods are set aside, from the buyer's account.
///
/// # Errors
///
/// [`Error::NotFound`], [`Error::Forbidden`], [`Error::Conflict`], [`Error::InsufficientFunds`],
/// or [`Error::Invalid`] if it is not pending or the buyer has no account in the currency.
pub async fn pay_order(tx: &mut Tx, viewer: &Viewer, id: OrderId, seen: Version) -> Result<Order> {
    let locked = lock(tx, visible(viewer, Scope::Live), id).await?;
    let owner = viewer.user_id() == Some(locked.buyer_id);
    require(viewer, Subject::Order, Act::Pay, Relation::owner(owner))?;
    let locked = at_step(locked, seen, &[Status::Pending], "paid for")?;
    let account = account_of(tx, locked.buyer_id, &locked.currency, "id").await?;
    let changes = order::ActiveModel {
        account_id: Set(Some(account.id)),
        status: Set(Status::Paid),
        ..Default::default()
    };
    let paid = locked.update(tx, seen, changes).await?;
    pay(tx, account, paid.id, paid.total_amount, &["input", "id"]).await?;
    Ok(paid)
}

/// Says that an order is on its way.
///
/// # Errors
///
/// [`Error::NotFound`], [`Error::Forbidden`], [`Error::Conflict`], or [`Error::Invalid`] if it is
/// not paid for.
pub async fn ship(tx: &mut Tx, viewer: &Viewer, id: OrderId, seen: Version) -> Result<Order> {
    let locked = lock(tx, visible(viewer, Scope::Live), id).await?;
    let owner = viewer.user_id() == Some(locked.buyer_id);
    require(viewer, Subject::Order, Act::Ship, Relation::owner(owner))?;
    let locked = at_step(locked, seen, &[Status::Paid], "shipped")?;
    let changes = order::ActiveModel {
        status: Set(Status::Shipped),
        ..Default::default()
    };
    Ok(locked.update(tx, seen, changes).await?)
}

/// Gives an order up: the goods go back to the stock, and the money to the account that paid. The
/// goods of a product that was deleted meanwhile go back to its deleted stock: it has them when
/// it is restored.
///
/// # Errors
///
/// [`Error::NotFound`], [`Error::Forbidden`], [`Error::Conflict`], or [`Error::Invalid`] if it is
/// shipped, if it is cancelled, or if the account that paid is deleted.
pub async fn cancel(tx: &mut Tx, viewer: &Viewer, id: OrderId, seen: Version) -> Result<Order> {
    // What is in it never changes: its products are known before it is locked, after them.
    let this = visible(viewer, Scope::Live).filter(order::Column::Id.eq(id));
    let order = this.one(tx).await?.ok_or_else(Error::not_found)?;
    let owner = viewer.user_id() == Some(order.buyer_id);
    require(viewer, Subject::Order, Act::Cancel, Relation::owner(owner))?;
    let items = Rows::<order_item::Entity>::live()
        .filter(order_item::Column::OrderId.eq(id))
        .all(MAX_LINES as u64, tx)
        .await?;
    let ids: Vec<Uuid> = items.iter().map(|item| item.product_id.into()).collect();
    // Nobody deletes or restores one meanwhile.
    Rows::<product::Entity>::with_deleted()
        .filter(among(product::Column::Id, &ids))
        .hold(ids.len() as u64, tx)
        .await?;
    let stock = Rows::<inventory::Entity>::with_deleted()
        .filter(among(inventory::Column::ProductId, &ids))
        .lock_every(MAX_LINES, tx)
        .await
        .map_err(|refused| Error::of_batch(ITEMS, refused))?;
    let locked = lock(tx, visible(viewer, Scope::Live), id).await?;
    let cancellable = [Status::Pending, Status::Paid];
    let locked = at_step(locked, seen, &cancellable, "cancelled")?;

    let back: HashMap<ProductId, i32> = items
        .iter()
        .map(|item| (item.product_id, item.quantity))
        .collect();
    let full = |stock: &inventory::Model| {
        let back = back.get(&stock.product_id).copied().unwrap_or_default();
        stock.quantity.checked_add(back).is_none()
    };
    if stock.len() != items.len() {
        return Err(Error::Internal(format!(
            "a product of order {id} has no stock"
        )));
    }
    if stock.iter().any(|stock| full(stock)) {
        let message = "The stock has no room for what would come back.";
        return Err(Error::invalid("id", message));
    }
    stock
        .update_each_with_deleted(tx, |stock| {
            let back = back.get(&stock.product_id).copied().unwrap_or_default();
            inventory::ActiveModel {
                quantity: Set(stock.quantity.saturating_add(back)),
                ..Default::default()
            }
        })
        .await
        .map_err(|refused| Error::of_batch(ITEMS, refused))?;
    let payer = match locked.status {
        Status::Paid => locked.account_id,
        Status::Pending | Status::Shipped | Status::Cancelled => None,
    };
    let changes = order::ActiveModel {
        status: Set(Status::Cancelled),
        ..Default::default()
    };
    let cancelled = locked.update(tx, seen, changes).await?;
    if let Some(payer) = payer {
        let account = live_account(tx, payer).await?;
        refund(tx, account, cancelled.id, cancelled.total_amount).await?;
    }
    Ok(cancelled)
}

/// What is wrong with the lines of a new order, whatever the shop has.
fn check_lines(lines: &[Line]) -> Result<()> {
    if lines.is_empty() {
        return Err(Error::invalid(ITEMS, "There must be at least one."));
    }
    if lines.len() > MAX_LINES {
        return Err(Error::invalid(
            ITEMS,
            format!("There may be at most {MAX_LINES}."),
        ));
    }
    let mut named = HashSet::with_capacity(lines.len());
    for (index, line) in lines.iter().enumerate() {
        if !named.insert(line.product.0) {
            let wrong = Error::invalid("productId", "This product is named before.");
            return Err(wrong.of_item(ITEMS, index));
        }
        if !(1..=MAX_QUANTITY).contains(&line.quantity) {
            let wrong = Error::invalid("quantity", "It must be 1 to 1,000,000.");
            return Err(wrong.of_item(ITEMS, index));
        }
    }
    Ok(())
}

/// What the lines cost together.
fn total(lines: &[Line], products: &HashMap<ProductId, product::Model>) -> Result<Money> {
    let mut total: Option<Money> = None;
    for (index, line) in lines.iter().enumerate() {
        let refuse = |error: Error| Err(error.of_item(ITEMS, index));
        let Some(product) = products.get(&line.product) else {
            return refuse(Error::not_found_at("productId"));
        };
        let sum = total.get_or_insert_with(|| Money {
            amount: 0,
            currency: product.currency.clone(),
        });
        if product.currency != sum.currency {
            return refuse(Error::invalid(
                "productId",
                format!(
                    "It costs {}, and what is before it costs {}: order it apart.",
                    product.currency, sum.currency
                ),
            ));
        }
        if line
            .unit_price
            .is_some_and(|seen| seen != product.price_amount)
        {
            return refuse(Error::PriceChanged {
                path: path("unitPrice"),
                product: product.id.into(),
                current: Money {
                    amount: product.price_amount,
                    currency: product.currency.clone(),
                },
            });
        }
        let cost = product.price_amount.checked_mul(line.quantity.into());
        let Some(amount) = cost.and_then(|cost| sum.amount.checked_add(cost)) else {
            let wrong = Error::invalid("quantity", "The order costs more than can be counted.");
            return refuse(wrong);
        };
        sum.amount = amount;
    }
    total.ok_or_else(|| Error::invalid(ITEMS, "There must be at least one."))
}

/// Takes the goods from the stock of their products, which are held.
async fn take(tx: &mut Tx, lines: &[Line], products: &[Uuid]) -> Result<()> {
    let stock = Rows::<inventory::Entity>::live()
        .filter(among(inventory::Column::ProductId, products))
        .lock_every(MAX_LINES, tx)
        .await
        .map_err(|refused| Error::of_batch(ITEMS, refused))?;
    let there: HashMap<ProductId, i32> = stock
        .iter()
        .map(|stock| (stock.product_id, stock.quantity))
        .collect();
    let mut left = HashMap::with_capacity(lines.len());
    for (index, line) in lines.iter().enumerate() {
        let available = there.get(&line.product).copied().unwrap_or_default();
        if available < line.quantity {
            let short = Error::InsufficientStock {
                path: path("quantity"),
                product: line.product.into(),
                available,
            };
            return Err(short.of_item(ITEMS, index));
        }
        left.insert(line.product, available.saturating_sub(line.quantity));
    }
    let taken = stock.update_each(tx, |stock| inventory::ActiveModel {
        quantity: left
            .get(&stock.product_id)
            .map_or_else(Default::default, |left| Set(*left)),
        ..Default::default()
    });
    taken
        .await
        .map_err(|refused| Error::of_batch(ITEMS, refused))?;
    Ok(())
}

/// The lines of a new order, at the prices of this moment.
fn items_of_new(
    tx: &Tx,
    order: OrderId,
    lines: &[Line],
    products: &HashMap<ProductId, product::Model>,
) -> Vec<order_item::ActiveModel> {
    let priced = lines
        .iter()
        .zip(0..)
        .filter_map(|(line, position)| Some((line, position, products.get(&line.product)?)));
    priced
        .map(|(line, position, product)| order_item::ActiveModel {
            id: Set(OrderItemId(tx.mint())),
            created_at: Set(tx.now()),
            order_id: Set(order),
            product_id: Set(line.product),
            position: Set(position),
            quantity: Set(line.quantity),
            unit_amount: Set(product.price_amount),
        })
        .collect()
}

/// The buyer's account in a currency, locked.
async fn account_of(
    tx: &mut Tx,
    buyer: UserId,
    currency: &str,
    field: &str,
) -> Result<Locked<account::Entity>> {
    own_account(tx, buyer, currency).await?.ok_or_else(|| {
        let message = format!("You have no account in {currency}: open one.");
        Error::invalid(field, message)
    })
}

/// The account that paid, locked.
async fn live_account(tx: &mut Tx, id: AccountId) -> Result<Locked<account::Entity>> {
    let account = Rows::<account::Entity>::with_deleted()
        .filter(account::Column::Id.eq(id))
        .lock(tx)
        .await?
        .ok_or_else(|| Error::Internal(format!("account {id}, which paid, is not there")))?;
    if account.is_live() {
        Ok(account)
    } else {
        let message = "The account that paid is deleted: restore it first.";
        Err(Error::invalid("id", message))
    }
}

/// Refuses a step that an order cannot take, `done` in a word or two.
fn at_step(
    order: Locked<order::Entity>,
    seen: Version,
    from: &[Status],
    done: &str,
) -> Result<Locked<order::Entity>> {
    if order.version() != seen {
        return Err(Error::Conflict {
            seen,
            current: Box::new(order.into_model().into()),
        });
    }
    if from.contains(&order.status) {
        return Ok(order);
    }
    let status = match order.status {
        Status::Pending => "PENDING",
        Status::Paid => "PAID",
        Status::Shipped => "SHIPPED",
        Status::Cancelled => "CANCELLED",
    };
    let message = format!("A {status} order cannot be {done}.");
    Err(Error::invalid("id", message))
}
