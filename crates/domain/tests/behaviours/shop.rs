//! The shop: stock and money move together, or not at all.

use futures::future::BoxFuture;
use plimsoll_domain::{
    Direction, Error, Money, Patch, Result, Role, Scope, Version, Viewer,
    id::{OrderId, ProductId},
    order::{self, Line, Order, PlaceOrder, Status},
    product::{self, CreateProduct, Product, ProductOrder, UpdateProduct, inventory},
    user::User,
};
use plimsoll_entity::{
    account, inventory as stock_entity, order as order_entity, transfer, transfer_entry,
};
use plimsoll_records::{Fault, Rows, Whole};
use plimsoll_testkit::{World, on_every_engine};
use sea_orm::{ActiveValue::Set, ColumnTrait};
use uuid::Uuid;

use crate::support::*;

/// What a product of [`products`] costs.
const PRICE: i64 = 250;

/// How many there are of it.
const STOCK: i32 = 50;

fn euros(amount: i64) -> Money {
    Money {
        amount,
        currency: "EUR".into(),
    }
}

fn new_product(sku: &str, price: Money, quantity: i32) -> CreateProduct {
    CreateProduct {
        sku: sku.into(),
        name: format!("Product {sku}"),
        price,
        quantity,
    }
}

async fn create(world: &World, command: CreateProduct) -> Result<Product> {
    act!(world.store, system(world), |tx, viewer| product::create(
        tx, viewer, command
    ))
}

async fn product(world: &World, sku: &str, price: i64, quantity: i32) -> Product {
    create(world, new_product(sku, euros(price), quantity))
        .await
        .expect("a product can be made")
}

/// So many products at [`PRICE`], [`STOCK`] of each.
async fn products(world: &World, count: usize) -> Vec<Product> {
    let mut made = Vec::new();
    for n in 0..count {
        made.push(product(world, &format!("sku-{n:03}"), PRICE, STOCK).await);
    }
    made
}

/// Opens an account with so much in it, past the wallet.
async fn account(world: &World, owner: &User, currency: &str, balance: i64) -> account::Model {
    let database = world.store.database();
    let row = account::ActiveModel {
        owner_id: Set(owner.id),
        currency: Set(currency.into()),
        balance: Set(balance),
        ..Default::default()
    };
    let made: Result<_, Fault> = layer!(database, world, |tx| tx.create::<account::Entity>(row));
    made.expect("an account can be opened")
}

async fn buyer(world: &World, name: &str, balance: i64) -> User {
    let buyer = world.user(name, Role::User).await;
    account(world, &buyer, "EUR", balance).await;
    buyer
}

fn line(product: &Product, quantity: i32) -> Line {
    Line {
        product: product.id,
        quantity,
        unit_price: None,
    }
}

fn placing(items: Vec<Line>) -> PlaceOrder {
    PlaceOrder { items, pay: true }
}

async fn place(world: &World, by: &User, items: Vec<Line>) -> Result<Order> {
    let command = placing(items);
    act!(world.store, world.as_user(by), |tx, viewer| order::place(
        tx, viewer, command
    ))
}

async fn set_aside(world: &World, by: &User, items: Vec<Line>) -> Result<Order> {
    let command = PlaceOrder { items, pay: false };
    act!(world.store, world.as_user(by), |tx, viewer| order::place(
        tx, viewer, command
    ))
}

async fn pay(world: &World, by: &User, order: &Order) -> Result<Order> {
    let (id, seen) = (order.id, Version(order.lock_version));
    act!(world.store, world.as_user(by), |tx, viewer| {
        order::pay_order(tx, viewer, id, seen)
    })
}

async fn ship(world: &World, by: &User, order: &Order) -> Result<Order> {
    let (id, seen) = (order.id, Version(order.lock_version));
    act!(world.store, world.as_user(by), |tx, viewer| order::ship(
        tx, viewer, id, seen
    ))
}

async fn cancel(world: &World, by: &User, order: &Order) -> Result<Order> {
    let (id, seen) = (order.id, Version(order.lock_version));
    act!(world.store, world.as_user(by), |tx, viewer| order::cancel(
        tx, viewer, id, seen
    ))
}

async fn adjust(
    world: &World,
    by: &User,
    product: ProductId,
    n: i32,
) -> Result<inventory::Inventory> {
    act!(world.store, world.as_user(by), |tx, viewer| {
        inventory::adjust(tx, viewer, product, n)
    })
}

/// The stock of a product, live or not.
async fn stock(world: &World, product: &Product) -> stock_entity::Model {
    let rows = Rows::<stock_entity::Entity>::with_deleted()
        .filter(stock_entity::Column::ProductId.eq(product.id));
    let mut rows = rows
        .all(2, &world.store.read())
        .await
        .expect("stock can be read");
    assert_eq!(rows.len(), 1, "a product has one inventory");
    rows.pop().expect("there is one")
}

async fn left(world: &World, product: &Product) -> i32 {
    stock(world, product).await.quantity
}

async fn balance(world: &World, owner: &User) -> i64 {
    let rows =
        Rows::<account::Entity>::with_deleted().filter(account::Column::OwnerId.eq(owner.id));
    let rows = rows.all(10, &world.store.read()).await;
    rows.expect("accounts can be read")
        .iter()
        .map(|account| account.balance)
        .sum()
}

async fn orders(world: &World) -> Vec<Order> {
    let rows = Rows::<order_entity::Entity>::live();
    rows.all(10_000, &world.store.read())
        .await
        .expect("orders can be read")
}

async fn transfers(world: &World) -> Vec<transfer::Model> {
    let rows = Rows::<transfer::Entity>::live();
    rows.all(10_000, &world.store.read())
        .await
        .expect("transfers can be read")
}

/// Everything that a refused order must leave as it is.
async fn traces(world: &World) -> (u64, u64, u64, u64) {
    let read = world.store.read();
    let entries = Rows::<transfer_entry::Entity>::live().count(&read).await;
    (
        orders(world).await.len() as u64,
        transfers(world).await.len() as u64,
        entries.expect("entries can be counted"),
        audit_count(&world.store).await,
    )
}

/// The reason of the item that was refused.
fn of_item<T>(outcome: Result<T>, index: usize) -> Error {
    match outcome {
        Err(Error::Item {
            list: "items",
            index: at,
            error,
        }) if at == index => *error,
        Err(other) => panic!("not about item {index}: {other:?}"),
        Ok(_) => panic!("it was accepted"),
    }
}

/// The sentences of a refused input, with the fields that they are about.
fn invalid<T>(outcome: Result<T>) -> Vec<(String, String)> {
    match outcome {
        Err(Error::Invalid(wrong)) => wrong
            .into_iter()
            .map(|one| (one.path[1..].join("."), one.message))
            .collect(),
        Err(other) => panic!("not invalid: {other:?}"),
        Ok(_) => panic!("it was accepted"),
    }
}

fn one_invalid<T>(outcome: Result<T>) -> (String, String) {
    let mut wrong = invalid(outcome);
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    wrong.pop().expect("there is one")
}

fn said(field: &str, message: &str) -> (String, String) {
    (field.into(), message.into())
}

on_every_engine! {
    async fn an_order_takes_stock_and_money_and_keeps_the_price_of_its_moment(world) {
        let buyer = buyer(&world, "ada", 10_000).await;
        let these = products(&world, 3).await;
        let placed = place(&world, &buyer, vec![line(&these[2], 3), line(&these[0], 5)]).await.unwrap();
        assert_eq!((placed.status, placed.total_amount, placed.lock_version), (Status::Paid, 8 * PRICE, 0));
        assert_eq!(placed.buyer_id, buyer.id);
        assert_eq!((left(&world, &these[0]).await, left(&world, &these[1]).await), (45, 50));
        assert_eq!(left(&world, &these[2]).await, 47);
        assert_eq!(stock(&world, &these[0]).await.lock_version, 1);
        assert_eq!(balance(&world, &buyer).await, 10_000 - 8 * PRICE);
        let paid = transfers(&world).await;
        assert_eq!(paid.len(), 1);
        assert_eq!((paid[0].kind, paid[0].amount, paid[0].order_id), (transfer::Kind::Payment, 8 * PRICE, Some(placed.id)));

        let command = UpdateProduct {
            id: these[0].id,
            seen: Version(0),
            sku: Patch::Keep,
            name: Patch::Keep,
            price: Patch::Set(euros(999)),
        };
        act!(world.store, system(&world), |tx, viewer| product::update(tx, viewer, command)).unwrap();
        let mut items = order::items_of(&world.store.read(), &[placed.id.into()]).await.unwrap();
        let items = items.remove(&placed.id.into()).unwrap();
        let told: Vec<_> = items.iter().map(|item| (item.product_id, item.quantity, item.unit_amount)).collect();
        assert_eq!(told, [(these[2].id, 3, PRICE), (these[0].id, 5, PRICE)]);
        let told = audit_of(&world.store, stock(&world, &these[0]).await.id.into()).await;
        assert_eq!(told[1].changes, serde_json::json!({"quantity": [50, 45]}));
    }

    async fn an_order_that_is_refused_leaves_nothing_behind_and_names_the_line(world) {
        let buyer = buyer(&world, "ada", 1_000_000).await;
        let these = products(&world, 3).await;
        let gone = product(&world, "gone", PRICE, 5).await;
        let (id, seen) = (gone.id, Version(0));
        act!(world.store, system(&world), |tx, viewer| product::delete(tx, viewer, id, seen)).unwrap();
        let yen = Money { amount: 100, currency: "JPY".into() };
        let yen = create(&world, new_product("yen", yen, 10)).await.unwrap();
        let dear = product(&world, "dear", i64::MAX / 2, 10).await;
        let poor = world.user("poor", Role::User).await;
        account(&world, &poor, "EUR", PRICE - 1).await;
        let before = traces(&world).await;
        let fine = line(&these[0], 1);

        let empty = place(&world, &buyer, vec![]).await;
        assert_eq!(one_invalid(empty), said("items", "There must be at least one."));
        let unknown = Line { product: ProductId(Uuid::now_v7()), ..fine };
        let many = (0..10_000).map(|_| unknown).collect();
        let many = place(&world, &buyer, many).await;
        assert_eq!(one_invalid(many), said("items", "There may be at most 100."));
        let twice = place(&world, &buyer, vec![fine, line(&these[1], 1), fine]).await;
        assert_eq!(one_invalid::<()>(Err(of_item(twice, 2))), said("productId", "This product is named before."));
        for quantity in [0, -1, i32::MIN, order::MAX_QUANTITY + 1, i32::MAX] {
            let wrong = place(&world, &buyer, vec![fine, line(&these[1], quantity)]).await;
            assert_eq!(one_invalid::<()>(Err(of_item(wrong, 1))), said("quantity", "It must be 1 to 1,000,000."));
        }
        for absent in [unknown, line(&gone, 1)] {
            let absent = of_item(place(&world, &buyer, vec![fine, absent]).await, 1);
            assert!(matches!(&absent, Error::NotFound { path } if *path == ["input", "productId"]), "{absent:?}");
        }
        let mixed = of_item(place(&world, &buyer, vec![fine, line(&yen, 1)]).await, 1);
        assert_eq!(one_invalid::<()>(Err(mixed)).0, "productId");
        let huge = of_item(place(&world, &buyer, vec![fine, line(&dear, 3)]).await, 1);
        assert_eq!(one_invalid::<()>(Err(huge)), said("quantity", "The order costs more than can be counted."));
        let sum = of_item(place(&world, &buyer, vec![line(&dear, 2), line(&these[0], 5)]).await, 1);
        assert_eq!(one_invalid::<()>(Err(sum)).0, "quantity");
        let seen = Line { unit_price: Some(PRICE - 1), ..fine };
        let dearer = of_item(place(&world, &buyer, vec![line(&these[1], 1), seen]).await, 1);
        assert!(matches!(&dearer, Error::PriceChanged { path, product, current }
            if *path == ["input", "unitPrice"] && *product == these[0].id.0 && *current == euros(PRICE)), "{dearer:?}");
        let short = of_item(place(&world, &buyer, vec![fine, line(&these[1], STOCK + 1)]).await, 1);
        assert!(matches!(&short, Error::InsufficientStock { path, product, available: STOCK }
            if *path == ["input", "quantity"] && *product == these[1].id.0), "{short:?}");
        let broke = place(&world, &poor, vec![fine]).await;
        assert_refused!(broke, Error::InsufficientFunds { path, balance, .. }
            if *path == ["input", "items"] && *balance == euros(PRICE - 1));
        let none = place(&world, &buyer, vec![line(&yen, 1)]).await;
        assert_eq!(one_invalid(none), said("items", "You have no account in JPY: open one."));

        assert_eq!(traces(&world).await, before);
        for product in &these {
            assert_eq!((left(&world, product).await, stock(&world, product).await.lock_version), (STOCK, 0));
        }
        // The same line alone is fine, at the price that was shown.
        let fine = Line { unit_price: Some(PRICE), quantity: STOCK, ..fine };
        assert_eq!(place(&world, &buyer, vec![fine]).await.unwrap().status, Status::Paid);
        assert_eq!(left(&world, &these[0]).await, 0);
    }

    async fn an_order_of_100_lines_is_made_in_as_many_statements_as_one_of_1(world) {
        let buyer = buyer(&world, "ada", 1_000_000).await;
        let these = products(&world, 100).await;
        let mut placing = Vec::new();
        let mut cancelling = Vec::new();
        for count in [1, 20, 100] {
            let lines = these.iter().rev().take(count).map(|product| line(product, 1)).collect();
            world.statements.take();
            let order = place(&world, &buyer, lines).await.unwrap();
            placing.push(world.statements.take());
            let mut items = order::items_of(&world.store.read(), &[order.id.into()]).await.unwrap();
            assert_eq!(items.remove(&order.id.into()).unwrap().len(), count);
            world.statements.take();
            cancel(&world, &buyer, &order).await.unwrap();
            cancelling.push(world.statements.take());
        }
        for ran in [&placing, &cancelling] {
            let counts: Vec<usize> = ran.iter().map(Vec::len).collect();
            assert_eq!(counts, [counts[0]; 3], "{:#?}\n{:#?}", ran[0], ran[2]);
        }
        println!("{}: {} to place, {} to cancel", world.engine, placing[0].len(), cancelling[0].len());
        assert!(placing[0].len() <= 17, "{:#?}", placing[0]);
        for product in &these {
            assert_eq!(left(&world, product).await, STOCK);
        }
        assert_eq!(balance(&world, &buyer).await, 1_000_000);
    }

    async fn an_order_is_set_aside_paid_shipped_or_cancelled_and_takes_no_other_step(world) {
        let buyer = buyer(&world, "ada", 10_000).await;
        let other = world.user("grace", Role::User).await;
        let moderator = world.user("mona", Role::Moderator).await;
        let lamp = product(&world, "lamp", PRICE, STOCK).await;
        let order = set_aside(&world, &buyer, vec![line(&lamp, 2)]).await.unwrap();
        assert_eq!((order.status, order.account_id), (Status::Pending, None));
        assert_eq!((left(&world, &lamp).await, balance(&world, &buyer).await), (STOCK - 2, 10_000));

        let early = ship(&world, &moderator, &order).await;
        assert_eq!(one_invalid(early), said("id", "A PENDING order cannot be shipped."));
        assert_refused!(pay(&world, &other, &order).await, Error::NotFound { .. });
        assert_refused!(cancel(&world, &other, &order).await, Error::NotFound { .. });
        assert_refused!(ship(&world, &other, &order).await, Error::NotFound { .. });
        assert_refused!(pay(&world, &moderator, &order).await, Error::Forbidden(_));
        assert_refused!(ship(&world, &buyer, &order).await, Error::Forbidden(_));

        let paid = pay(&world, &buyer, &order).await.unwrap();
        assert_eq!((paid.status, paid.lock_version), (Status::Paid, 1));
        assert_eq!(balance(&world, &buyer).await, 10_000 - 2 * PRICE);
        assert_refused!(pay(&world, &buyer, &order).await, Error::Conflict { seen: Version(0), .. });
        assert_eq!(one_invalid(pay(&world, &buyer, &paid).await), said("id", "A PAID order cannot be paid for."));

        let shipped = ship(&world, &moderator, &paid).await.unwrap();
        assert_eq!(one_invalid(cancel(&world, &buyer, &shipped).await), said("id", "A SHIPPED order cannot be cancelled."));
        assert_eq!(one_invalid(ship(&world, &moderator, &shipped).await), said("id", "A SHIPPED order cannot be shipped."));
        assert_eq!(one_invalid(pay(&world, &buyer, &shipped).await), said("id", "A SHIPPED order cannot be paid for."));
        assert_eq!((left(&world, &lamp).await, balance(&world, &buyer).await), (STOCK - 2, 10_000 - 2 * PRICE));

        // One that nobody paid for: no money comes back.
        let aside = set_aside(&world, &buyer, vec![line(&lamp, 1)]).await.unwrap();
        let cancelled = cancel(&world, &buyer, &aside).await.unwrap();
        assert_eq!((cancelled.status, cancelled.account_id), (Status::Cancelled, None));
        assert_eq!(one_invalid(pay(&world, &buyer, &cancelled).await), said("id", "A CANCELLED order cannot be paid for."));
        assert_eq!(transfers(&world).await.len(), 1);
        // A moderator cancels anybody's.
        let order = place(&world, &buyer, vec![line(&lamp, 1)]).await.unwrap();
        cancel(&world, &moderator, &order).await.unwrap();
        assert_eq!((left(&world, &lamp).await, balance(&world, &buyer).await), (STOCK - 2, 10_000 - 2 * PRICE));
    }

    async fn paying_later_takes_nothing_that_is_not_there(world) {
        let buyer = buyer(&world, "ada", PRICE).await;
        let poor = world.user("poor", Role::User).await;
        let lamp = product(&world, "lamp", PRICE, STOCK).await;
        let order = set_aside(&world, &buyer, vec![line(&lamp, 2)]).await.unwrap();
        let broke = pay(&world, &buyer, &order).await;
        assert_refused!(broke, Error::InsufficientFunds { path, .. } if *path == ["input", "id"]);
        let of_poor = set_aside(&world, &poor, vec![line(&lamp, 2)]).await.unwrap();
        let none = pay(&world, &poor, &of_poor).await;
        assert_eq!(one_invalid(none), said("id", "You have no account in EUR: open one."));
        assert!(orders(&world).await.iter().all(|order| order.status == Status::Pending && order.lock_version == 0));
        assert_eq!(balance(&world, &buyer).await, PRICE);
    }

    async fn an_order_that_is_cancelled_twice_gives_back_once(world) {
        let buyer = buyer(&world, "ada", 10_000).await;
        let lamp = product(&world, "lamp", PRICE, STOCK).await;
        let order = place(&world, &buyer, vec![line(&lamp, 4)]).await.unwrap();
        let mut tasks: Vec<BoxFuture<'static, Result<Order>>> = Vec::new();
        for _ in 0..8 {
            let (store, request) = (world.store.clone(), world.as_user(&buyer));
            let (id, seen) = (order.id, Version(0));
            tasks.push(task(async move { act!(store, request, |tx, viewer| order::cancel(tx, viewer, id, seen)) }));
        }
        let outcomes = at_once(tasks).await;
        assert_eq!(outcomes.iter().filter(|one| one.is_ok()).count(), 1, "{outcomes:?}");
        for outcome in outcomes.iter().filter(|one| one.is_err()) {
            assert!(matches!(outcome, Err(Error::Conflict { .. })), "{outcome:?}");
        }
        let now = orders(&world).await.remove(0);
        assert_eq!((now.status, now.lock_version), (Status::Cancelled, 1));
        assert_eq!(one_invalid(cancel(&world, &buyer, &now).await), said("id", "A CANCELLED order cannot be cancelled."));
        assert_eq!((left(&world, &lamp).await, balance(&world, &buyer).await), (STOCK, 10_000));
        assert_eq!(transfers(&world).await.len(), 2);
    }

    async fn the_goods_of_a_product_that_was_deleted_meanwhile_are_there_when_it_is_restored(world) {
        let buyer = buyer(&world, "ada", 10_000).await;
        let moderator = world.user("mona", Role::Moderator).await;
        let these = products(&world, 2).await;
        let order = place(&world, &buyer, vec![line(&these[0], 4), line(&these[1], 3)]).await.unwrap();
        let (id, seen) = (these[0].id, Version(0));
        let deleted = act!(world.store, world.as_user(&moderator), |tx, viewer| product::delete(tx, viewer, id, seen)).unwrap();
        let before = stock(&world, &these[0]).await;
        assert!(before.deleted_at.is_some(), "it went along");

        cancel(&world, &buyer, &order).await.unwrap();
        assert_eq!(left(&world, &these[1]).await, STOCK);
        assert_eq!(balance(&world, &buyer).await, 10_000);
        let after = stock(&world, &these[0]).await;
        assert_eq!((after.quantity, after.lock_version), (STOCK, before.lock_version + 1));
        // It is as deleted as before, by the same deletion.
        assert_eq!((after.deleted_at, after.deletion_id), (before.deleted_at, before.deletion_id));
        assert!(inventory::of_products(&world.store.read(), Whole, &[id.into()]).await.unwrap().is_empty());

        let seen = Version(deleted.lock_version);
        act!(world.store, world.as_user(&moderator), |tx, viewer| product::restore(tx, viewer, id, seen)).unwrap();
        let back = stock(&world, &these[0]).await;
        assert_eq!((back.quantity, back.deleted_at), (STOCK, None));
        place(&world, &buyer, vec![line(&these[0], 30)]).await.unwrap();
    }

    async fn money_does_not_go_back_to_an_account_that_is_deleted(world) {
        let buyer = world.user("ada", Role::User).await;
        let paying = account(&world, &buyer, "EUR", PRICE).await;
        let lamp = product(&world, "lamp", PRICE, STOCK).await;
        let order = place(&world, &buyer, vec![line(&lamp, 1)]).await.unwrap();
        let database = world.store.database();
        let id = paying.id;
        let deleted: Result<account::Model, plimsoll_records::Refused<account::Entity>> = layer!(database, world, |tx| async {
            let locked = Rows::<account::Entity>::live().filter(account::Column::Id.eq(id)).lock(tx).await?;
            let locked = locked.expect("it is there");
            let seen = locked.version();
            locked.delete(tx, seen).await
        });
        deleted.unwrap();
        // Another one of theirs is not the one that paid.
        account(&world, &buyer, "EUR", 0).await;
        let refused = cancel(&world, &buyer, &order).await;
        assert_eq!(one_invalid(refused), said("id", "The account that paid is deleted: restore it first."));
        assert_eq!((left(&world, &lamp).await, balance(&world, &buyer).await), (STOCK - 1, 0));
        assert_eq!(orders(&world).await[0].status, Status::Paid);
    }

    async fn of_64_buyers_who_race_for_20_items_exactly_20_get_one(world) {
        let lamp = product(&world, "lamp", PRICE, 20).await;
        let mut tasks: Vec<BoxFuture<'static, Result<Order>>> = Vec::new();
        let mut buyers = Vec::new();
        for n in 0..64 {
            let buyer = buyer(&world, &format!("buyer{n}"), PRICE).await;
            let (store, request) = (world.store.clone(), world.as_user(&buyer));
            let command = placing(vec![line(&lamp, 1)]);
            tasks.push(task(async move { act!(store, request, |tx, viewer| order::place(tx, viewer, command)) }));
            buyers.push(buyer);
        }
        let outcomes = at_once(tasks).await;
        let sold = outcomes.iter().filter(|one| one.is_ok()).count();
        for outcome in outcomes.into_iter().filter(|one| one.is_err()) {
            let short = of_item(outcome, 0);
            assert!(matches!(short, Error::InsufficientStock { available: 0, .. }), "{short:?}");
        }
        assert_eq!(sold, 20);
        let stock = stock(&world, &lamp).await;
        assert_eq!((stock.quantity, stock.lock_version), (0, 20));
        assert_eq!((orders(&world).await.len(), transfers(&world).await.len()), (20, 20));
        let mut money = 0;
        for buyer in &buyers {
            money += balance(&world, buyer).await;
        }
        assert_eq!(money, 44 * PRICE);
    }

    async fn cancellations_that_race_with_orders_lose_neither_stock_nor_money(world) {
        const BUYERS: usize = 8;
        let these = products(&world, 3).await;
        let mut buyers = Vec::new();
        let mut tasks: Vec<BoxFuture<'static, ()>> = Vec::new();
        for n in 0..BUYERS {
            let buyer = buyer(&world, &format!("buyer{n}"), 20 * PRICE).await;
            let (store, as_buyer) = (world.store.clone(), world.as_user(&buyer));
            let mut lines: Vec<Line> = these.iter().map(|product| line(product, 2)).collect();
            lines.rotate_left(n % 3);
            if n % 2 == 1 {
                lines.reverse();
            }
            tasks.push(task(async move {
                for round in 0..6 {
                    let command = PlaceOrder { items: lines.clone(), pay: round % 3 > 0 };
                    let store = &store;
                    let placed = act!(store, as_buyer, |tx, viewer| order::place(tx, viewer, command));
                    match placed {
                        Ok(order) if round % 2 == n % 2 => {
                            let (id, seen) = (order.id, Version(0));
                            act!(store, as_buyer, |tx, viewer| order::cancel(tx, viewer, id, seen)).expect("it can be cancelled");
                        }
                        Ok(_) | Err(Error::InsufficientFunds { .. } | Error::Item { .. }) => {}
                        Err(other) => panic!("{other:?}"),
                    }
                }
            }));
            buyers.push(buyer);
        }
        at_once(tasks).await;
        let kept: Vec<Order> = orders(&world).await.into_iter().filter(|one| one.status != Status::Cancelled).collect();
        assert!(!kept.is_empty());
        for product in &these {
            assert_eq!(left(&world, product).await + 2 * kept.len() as i32, STOCK);
        }
        let paid: i64 = kept.iter().filter(|one| one.status == Status::Paid).map(|one| one.total_amount).sum();
        let mut money = 0;
        for buyer in &buyers {
            money += balance(&world, buyer).await;
        }
        assert_eq!(money + paid, BUYERS as i64 * 20 * PRICE);
        let retries = world.store.database().counts();
        println!("{}: {retries:?}", world.engine);
    }

    async fn orders_of_the_same_products_in_opposite_order_do_not_wait_for_each_other_in_a_circle(world) {
        let these = products(&world, 10).await;
        let mut tasks: Vec<BoxFuture<'static, Result<Order>>> = Vec::new();
        for n in 0..16 {
            let buyer = buyer(&world, &format!("buyer{n}"), 100 * PRICE).await;
            let (store, request) = (world.store.clone(), world.as_user(&buyer));
            let mut lines: Vec<Line> = these.iter().map(|product| line(product, 1)).collect();
            if n % 2 == 1 {
                lines.reverse();
            }
            let command = placing(lines);
            tasks.push(task(async move { act!(store, request, |tx, viewer| order::place(tx, viewer, command)) }));
        }
        let outcomes = at_once(tasks).await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        assert_eq!(world.store.database().counts().retries, 0, "none was a deadlock's victim");
        for product in &these {
            assert_eq!(left(&world, product).await, STOCK - 16);
        }
    }

    async fn a_product_that_is_deleted_or_gets_dearer_at_that_moment_is_sold_as_it_was_or_not_at_all(world) {
        let buyer = buyer(&world, "ada", 1_000_000).await;
        for round in 0..12 {
            let lamp = product(&world, &format!("lamp {round}"), PRICE, STOCK).await;
            let mut tasks: Vec<BoxFuture<'static, Result<Option<Order>>>> = Vec::new();
            for _ in 0..3 {
                let (store, request) = (world.store.clone(), world.as_user(&buyer));
                let command = placing(vec![Line { unit_price: Some(PRICE), ..line(&lamp, 1) }]);
                tasks.push(task(async move {
                    act!(store, request, |tx, viewer| order::place(tx, viewer, command)).map(Some)
                }));
            }
            let (store, request) = (world.store.clone(), system(&world));
            let (id, seen) = (lamp.id, Version(0));
            tasks.push(match round % 2 {
                0 => task(async move { act!(store, request, |tx, viewer| product::delete(tx, viewer, id, seen)).map(|_| None) }),
                _ => task(async move {
                    let price = Patch::Set(euros(PRICE + 1));
                    let command = UpdateProduct { id, seen, sku: Patch::Keep, name: Patch::Keep, price };
                    act!(store, request, |tx, viewer| product::update(tx, viewer, command)).map(|_| None)
                }),
            });
            let mut sold = 0;
            for outcome in at_once(tasks).await {
                match outcome {
                    Ok(None) => {}
                    Ok(Some(order)) => {
                        assert_eq!(order.total_amount, PRICE);
                        sold += 1;
                    }
                    other => match (round % 2, of_item(other, 0)) {
                        (0, Error::NotFound { .. }) | (1, Error::PriceChanged { .. }) => {}
                        (_, other) => panic!("{other:?}"),
                    },
                }
            }
            assert_eq!(left(&world, &lamp).await, STOCK - sold);
        }
    }

    async fn stock_is_adjusted_to_no_less_than_nothing_and_no_more_than_can_be(world) {
        let moderator = world.user("mona", Role::Moderator).await;
        let other = world.user("grace", Role::User).await;
        let lamp = product(&world, "lamp", PRICE, 5).await;
        assert_eq!(adjust(&world, &moderator, lamp.id, -5).await.unwrap().quantity, 0);
        let short = adjust(&world, &moderator, lamp.id, -1).await;
        assert_refused!(short, Error::InsufficientStock { path, product, available: 0 }
            if *path == ["input", "by"] && *product == lamp.id.0);
        assert_refused!(adjust(&world, &moderator, lamp.id, i32::MIN).await, Error::InsufficientStock { .. });
        assert_eq!(one_invalid(adjust(&world, &moderator, lamp.id, 0).await), said("by", "It must not be 0."));
        let most = inventory::MAX_QUANTITY;
        let full = adjust(&world, &moderator, lamp.id, most).await.unwrap();
        assert_eq!((full.quantity, full.lock_version), (most, 2));
        for more in [1, i32::MAX] {
            assert_eq!(one_invalid(adjust(&world, &moderator, lamp.id, more).await), said("by", "There may be at most 1,000,000,000."));
        }
        assert_refused!(adjust(&world, &other, lamp.id, 1).await, Error::Forbidden(_));
        let nothing = adjust(&world, &moderator, ProductId(Uuid::now_v7()), 1).await;
        assert_refused!(nothing, Error::NotFound { path } if *path == ["input", "productId"]);
        let (id, seen) = (lamp.id, Version(0));
        act!(world.store, world.as_user(&moderator), |tx, viewer| product::delete(tx, viewer, id, seen)).unwrap();
        assert_refused!(adjust(&world, &moderator, lamp.id, -1).await, Error::NotFound { .. });
        assert_eq!(left(&world, &lamp).await, most);
    }

    async fn a_product_has_a_price_in_a_currency_and_a_unit_that_no_other_live_one_has(world) {
        let bad = CreateProduct {
            sku: "x".repeat(product::MAX_SKU + 1),
            name: "two\nlines".into(),
            price: Money { amount: 0, currency: "eur".into() },
            quantity: -1,
        };
        let fields: Vec<String> = invalid(create(&world, bad).await).into_iter().map(|(field, _)| field).collect();
        assert_eq!(fields, ["sku", "name", "price", "price", "quantity"]);
        let over = new_product("over", euros(1), inventory::MAX_QUANTITY + 1);
        assert_eq!(one_invalid(create(&world, over).await).0, "quantity");
        let lamp = product(&world, "Lamp-É", 1, 0).await;
        assert_eq!((lamp.sku.as_str(), lamp.sku_key.as_str()), ("Lamp-É", "lamp-é"));
        let taken = create(&world, new_product("LAMP-é", euros(1), 0)).await;
        assert_refused!(taken, Error::AlreadyExists { field } if field == "sku");
        let other = product(&world, "Lamp-E", 1, 0).await;
        let command = UpdateProduct { id: other.id, seen: Version(0), sku: Patch::Set("lamp-É".into()), name: Patch::Keep, price: Patch::Keep };
        let taken = act!(world.store, system(&world), |tx, viewer| product::update(tx, viewer, command));
        assert_refused!(taken, Error::AlreadyExists { field } if field == "sku");
        let command = UpdateProduct { id: other.id, seen: Version(0), sku: Patch::Clear, name: Patch::Set("  ".into()), price: Patch::Set(Money { amount: -1, currency: "EURO".into() }) };
        let wrong = act!(world.store, system(&world), |tx, viewer| product::update(tx, viewer, command));
        assert_eq!(invalid(wrong).len(), 4);

        // Free again once its holder is deleted; then the holder cannot come back.
        let (id, seen) = (lamp.id, Version(0));
        let deleted = act!(world.store, system(&world), |tx, viewer| product::delete(tx, viewer, id, seen)).unwrap();
        assert!(stock(&world, &lamp).await.deleted_at.is_some());
        let new = product(&world, "lamp-é", 2, 7).await;
        let seen = Version(deleted.lock_version);
        let back = act!(world.store, system(&world), |tx, viewer| product::restore(tx, viewer, id, seen));
        assert_refused!(back, Error::AlreadyExists { field } if field == "sku");
        let moderator = world.user("mona", Role::Moderator).await;
        let (read, any) = (world.store.read(), Scope::WithDeleted);
        let found = product::by_sku(&read, &viewer(&moderator), any, " LAMP-É ").await.unwrap();
        assert_eq!(found.map(|one| one.id), Some(new.id));
        let found = product::by_sku(&read, &viewer(&moderator), Scope::OnlyDeleted, "lamp-é").await.unwrap();
        assert_eq!(found.map(|one| one.id), Some(lamp.id));
        let found = product::by_sku(&read, &Viewer::Anonymous, Scope::OnlyDeleted, "lamp-é").await.unwrap();
        assert_eq!(found, None);
        assert_eq!(product::count(&read, &Viewer::Anonymous, any).await.unwrap(), 2);
        assert_eq!(product::count(&read, &viewer(&moderator), any).await.unwrap(), 3);
        let by = (ProductOrder::Sku, Direction::Descending);
        let page = product::page(&read, Whole, &Viewer::Anonymous, Scope::Live, by, &first(10)).await.unwrap();
        let skus: Vec<_> = page.rows().iter().map(|one| one.sku.as_str()).collect();
        assert_eq!(skus, ["lamp-é", "Lamp-E"]);
    }

    async fn a_product_that_was_ordered_is_never_purged(world) {
        let buyer = buyer(&world, "ada", PRICE).await;
        let these = products(&world, 2).await;
        let order = place(&world, &buyer, vec![line(&these[0], 1)]).await.unwrap();
        for (product, ordered) in [(&these[0], true), (&these[1], false)] {
            let (id, seen) = (product.id, Version(0));
            let deleted = act!(world.store, system(&world), |tx, viewer| product::delete(tx, viewer, id, seen)).unwrap();
            let seen = Version(deleted.lock_version);
            let retention = world.store.settings().retention;
            let later = world.request_at(Viewer::System, deleted.deleted_at.unwrap() + retention.0);
            let purged = act!(world.store, later, |tx, viewer| product::purge(tx, viewer, id, seen, retention));
            match ordered {
                true => assert_refused!(purged, Error::StillReferenced { .. }),
                false => assert!(purged.is_ok(), "{purged:?}"),
            }
        }
        // What was ordered shows as gone to the buyer, and as it was to who moderates.
        let ids = [these[0].id.into()];
        let read = world.store.read();
        assert!(product::by_ids(&read, Whole, &viewer(&buyer), Scope::WithDeleted, &ids).await.unwrap().is_empty());
        let moderator = world.user("mona", Role::Moderator).await;
        assert_eq!(product::by_ids(&read, Whole, &viewer(&moderator), Scope::WithDeleted, &ids).await.unwrap().len(), 1);
        let mut items = order::items_of(&read, &[order.id.into()]).await.unwrap();
        assert_eq!(items.remove(&order.id.into()).unwrap()[0].product_id, these[0].id);
    }

    async fn buyers_see_their_own_orders_and_who_moderates_sees_all(world) {
        let (ada, grace) = (buyer(&world, "ada", 10_000).await, buyer(&world, "grace", 10_000).await);
        let moderator = world.user("mona", Role::Moderator).await;
        let lamp = product(&world, "lamp", PRICE, STOCK).await;
        let mut made: Vec<OrderId> = Vec::new();
        for by in [&ada, &grace, &ada] {
            made.push(place(&world, by, vec![line(&lamp, 1)]).await.unwrap().id);
        }
        let read = world.store.read();
        let mut seen = Vec::new();
        for by in [viewer(&ada), viewer(&grace), viewer(&moderator), Viewer::Anonymous] {
            let page = order::page(&read, Whole, &by, &first(10)).await.unwrap();
            let ids: Vec<OrderId> = page.rows().iter().map(|one| one.id).collect();
            assert_eq!(order::count(&read, &by).await.unwrap(), ids.len() as u64);
            let all: Vec<Uuid> = made.iter().map(|id| id.0).collect();
            assert_eq!(order::by_ids(&read, Whole, &by, Scope::Live, &all).await.unwrap().len(), ids.len());
            seen.push(ids);
        }
        assert_eq!(seen, [vec![made[2], made[0]], vec![made[1]], vec![made[2], made[1], made[0]], vec![]]);
    }

    async fn who_is_not_there_any_longer_orders_nothing(world) {
        let ada = buyer(&world, "ada", 0).await;
        let lamp = product(&world, "lamp", PRICE, STOCK).await;
        let command = placing(vec![line(&lamp, 1)]);
        let nobody = act!(world.store, world.request(Viewer::Anonymous), |tx, viewer| order::place(tx, viewer, command));
        assert_refused!(nobody, Error::Unauthenticated(_));
        let command = placing(vec![line(&lamp, 1)]);
        let program = act!(world.store, system(&world), |tx, viewer| order::place(tx, viewer, command));
        assert_refused!(program, Error::Unauthenticated(_));
        let grace = world.user("grace", Role::User).await;
        grace.delete(&world.store, system(&world)).await.unwrap();
        assert_refused!(set_aside(&world, &grace, vec![line(&lamp, 1)]).await, Error::Unauthenticated(_));
        assert_eq!((left(&world, &lamp).await, orders(&world).await.len()), (STOCK, 0));
        assert_eq!(balance(&world, &ada).await, 0);
    }
}
