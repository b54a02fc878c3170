//! Proof 2: 64 buyers race for 20 items. Exactly 20 are sold, none twice, and the stock is never
//! negative; then orders of several products race with cancellations, payments and shipments.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use futures::future::{join, join_all};
use rand::{RngExt as _, seq::SliceRandom as _};
use serde_json::{Value, json};

use crate::{
    arena::{Arena, must},
    bank::{check_keys, number},
    client::{Client, Mutation, Outcome, Sent, Token},
    findings::{Findings, Proved, encode, refusals, uuid_of, versions},
    ledger::{Ledger, kept_keys},
    look::Look,
    people::{PEOPLE, Person, open_accounts},
    storm::{Passed, Plan},
};

/// How many there are of each product.
const STOCK: i64 = 20;

/// What one of each product costs, in minor units.
const PRICES: [i64; 3] = [100, 70, 30];

/// What buyers have at first, in minor units: one in eight can buy one or two things only.
fn money(number: usize) -> i64 {
    if number % 8 == 7 { 150 } else { 10_000_000 }
}

/// How many operations each buyer makes one after the other when orders race with cancellations.
const TURNS: usize = 3;

/// A product, as clients see it.
#[derive(Clone, Debug)]
struct Product {
    id: Value,
    price: i64,
}

/// A buyer, with a second connection.
struct Buyer {
    client: Client,
    twin: Client,
    /// Ships what they ordered.
    admin: Client,
    token: Token,
    /// Their orders that may still change, as they were seen last.
    orders: Vec<Own>,
}

/// An order that a buyer knows of.
#[derive(Clone, Debug)]
struct Own {
    id: Value,
    version: Value,
    is_paid: bool,
}

impl Own {
    fn of(sent: &Sent) -> Option<Self> {
        let order = sent.done().filter(|order| order["id"].is_string())?;
        Some(Self {
            id: order["id"].clone(),
            version: order["version"].clone(),
            is_paid: order["status"] == "PAID",
        })
    }
}

const ORDER: &str = "order { id version status total { amount } }";

/// Runs the proof.
pub(crate) async fn prove(
    arena: &Arc<Arena>,
    part: &str,
    plan: Plan,
) -> anyhow::Result<(Proved, Passed)> {
    let admin = arena.log_in().await?;
    let people: &[Person] = arena.people(&admin).await?;
    let currency = if plan.faults { "GBP" } else { "CHF" };
    open_accounts(arena, part, &admin, people, currency, money).await?;
    let mut maker = Client::new(arena, part, 3 * PEOPLE);
    let mut buyers: Vec<Buyer> = (0..PEOPLE)
        .map(|number| Buyer {
            client: Client::new(arena, part, number),
            twin: Client::new(arena, part, PEOPLE + number),
            admin: Client::new(arena, part, 2 * PEOPLE + number),
            token: people[number].token.clone(),
            orders: Vec::new(),
        })
        .collect();

    let course = plan.begin(arena, part);
    let mut proved = Proved::default();
    let mut products: Vec<Product> = Vec::new();
    for round in 0.. {
        if course.is_over() {
            break;
        }
        let mut these = Vec::new();
        for (nth, price) in PRICES.into_iter().enumerate() {
            let name = format!("{part}-{round}-{nth}");
            these.push(product(&mut maker, &admin, &name, price, currency).await?);
        }
        // All want the same thing.
        let wanted = [(these[0].clone(), 1)];
        let orders = buyers.iter_mut().map(|buyer| {
            let mutation = order(&wanted, true, buyer.client.choices.random_bool(0.5));
            async { buyer.order(mutation).await }
        });
        let orders = join_all(orders).await;
        let findings = sold_out(&orders, STOCK as usize);
        proved.findings.add(findings);
        proved.sent.extend(orders);
        // Orders of all three race with cancellations.
        let races = buyers.iter_mut().map(|buyer| buyer.race(&these, &admin));
        proved.sent.extend(join_all(races).await.concat());
        products.append(&mut these);
        for buyer in &mut buyers {
            buyer.orders.clear();
        }
    }
    let passed = course.end(&admin).await?;

    let mut look = arena.look().await?;
    let Proved { sent, findings } = &mut proved;
    let expected = [
        "InsufficientStock",
        "InsufficientFunds",
        "VersionConflict",
        "ValidationFailed",
    ];
    findings.add(refusals(sent, &expected));
    let tables = ["products", "inventories", "orders", "accounts"];
    findings.add(versions(&mut look, &tables).await?);
    let shop = Shop::read(&mut look, currency).await?;
    findings.add(shop.ledger.check());
    findings.add(check(&products, sent, &shop)?);
    findings.add(check_keys(sent, &kept_keys(&mut look, part).await?));
    Ok((proved, passed))
}

async fn product(
    maker: &mut Client,
    admin: &Token,
    name: &str,
    price: i64,
    currency: &str,
) -> anyhow::Result<Product> {
    let input = json!({
        "sku": name,
        "name": name,
        "price": { "amount": price.to_string(), "currency": currency },
        "quantity": STOCK,
    });
    let made = Mutation::new("createProduct", "product { id }", input);
    Ok(Product {
        id: must(maker, admin, made).await?["id"].clone(),
        price,
    })
}

/// An order of so many of these.
fn order(lines: &[(Product, i64)], pay_now: bool, with_price: bool) -> Mutation {
    let items: Vec<Value> = lines
        .iter()
        .map(|(product, quantity)| {
            let mut item = json!({ "productId": product.id, "quantity": quantity });
            if with_price {
                item["unitPrice"] = json!(product.price.to_string());
            }
            item
        })
        .collect();
    Mutation {
        errors: "... on InsufficientStock { productId available } \
                 ... on InsufficientFunds { balance { amount } }",
        ..Mutation::keyed(
            "placeOrder",
            ORDER,
            json!({ "items": items, "payNow": pay_now }),
        )
    }
}

impl Buyer {
    async fn order(&mut self, mutation: Mutation) -> Sent {
        let sent = self.client.send(&self.token, mutation).await;
        self.orders.extend(Own::of(&sent));
        sent
    }

    /// Orders, cancels, pays, and has an order shipped, as it is drawn.
    async fn race(&mut self, products: &[Product], admin: &Token) -> Vec<Sent> {
        let mut all = Vec::new();
        for _ in 0..TURNS {
            // Drawn in any case, so that what follows does not depend on what is there.
            let what = self.client.choices.random_range(0..10);
            let which: usize = self.client.choices.random_range(0..1_000);
            let mut lines: Vec<(Product, i64)> = products
                .iter()
                .map(|product| (product.clone(), self.client.choices.random_range(1..=2)))
                .collect();
            lines.shuffle(&mut self.client.choices);
            lines.truncate(self.client.choices.random_range(1..=products.len()));
            let pay_now = self.client.choices.random_bool(0.8);
            let with_price = self.client.choices.random_bool(0.5);
            if what < 4 || self.orders.is_empty() {
                all.push(self.order(order(&lines, pay_now, with_price)).await);
                continue;
            }
            let own = self.orders.remove(which % self.orders.len());
            let input = json!({ "id": own.id, "expectedVersion": own.version });
            let change = |field| Mutation::new(field, ORDER, input.clone());
            if !own.is_paid && what < 6 {
                let paid = self.client.send(&self.token, change("payOrder")).await;
                self.orders.extend(Own::of(&paid));
                all.push(paid);
                continue;
            }
            let cancelled = self.client.send(&self.token, change("cancelOrder"));
            match what {
                // Twice at once, each with its own key.
                4..8 => {
                    let again = self.twin.send(&self.token, change("cancelOrder"));
                    let (one, other) = join(cancelled, again).await;
                    all.extend([one, other]);
                }
                8 => {
                    let shipped = self.admin.send(admin, change("shipOrder"));
                    let (one, other) = join(cancelled, shipped).await;
                    all.extend([one, other]);
                }
                _ => all.push(cancelled.await),
            }
        }
        all
    }
}

/// Exactly as many got one as there were.
fn sold_out(orders: &[Sent], stock: usize) -> Findings {
    let mut findings = Findings::default();
    let sold = orders.iter().filter(|one| one.done().is_some()).count();
    let may_be = orders.iter().filter(|one| one.may_have_happened()).count();
    if sold > stock {
        findings.duplicate(format!("{sold} were sold of {stock}"));
    }
    if sold + may_be < stock {
        findings.wrong(format!("only {sold} were sold of {stock}"));
    }
    for one in orders {
        if let Outcome::Refused { kind, error } = &one.outcome
            && kind == "InsufficientStock"
            && error["available"] != 0
        {
            findings.wrong(format!("{} was refused one: {error}", one.named()));
        }
    }
    findings
}

/// An order in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    status: String,
    total: i64,
}

/// The shop as it is in the database, by UUIDs.
#[derive(Clone, Debug, Default)]
struct Shop {
    /// What is left of each product.
    stock: BTreeMap<String, i64>,
    orders: BTreeMap<String, Row>,
    /// The lines of each order: product, quantity and unit price.
    lines: BTreeMap<String, BTreeMap<String, (i64, i64)>>,
    /// Whose account each order is of.
    ledger: Ledger,
}

impl Shop {
    async fn read(look: &mut Look, currency: &str) -> anyhow::Result<Self> {
        let mut shop = Self {
            ledger: Ledger::read(look, currency).await?,
            ..Self::default()
        };
        let stock = format!(
            "SELECT {{id:i.product_id}}, {{text:i.quantity}} FROM inventories i \
             JOIN products p ON p.id = i.product_id WHERE p.currency = '{currency}'"
        );
        for row in look.rows(&stock).await? {
            if let [Some(product), Some(quantity)] = row.as_slice() {
                shop.stock.insert(product.clone(), quantity.parse()?);
            }
        }
        let orders = format!(
            "SELECT {{id:id}}, {{text:status}}, {{text:total_amount}} FROM orders \
             WHERE currency = '{currency}'"
        );
        for row in look.rows(&orders).await? {
            if let [Some(id), Some(status), Some(total)] = row.as_slice() {
                let row = Row {
                    status: status.clone(),
                    total: total.parse()?,
                };
                shop.orders.insert(id.clone(), row);
            }
        }
        let lines = format!(
            "SELECT {{id:i.order_id}}, {{id:i.product_id}}, {{text:i.quantity}}, \
             {{text:i.unit_amount}} FROM order_items i JOIN orders o ON o.id = i.order_id \
             WHERE o.currency = '{currency}'"
        );
        for row in look.rows(&lines).await? {
            if let [Some(order), Some(product), Some(quantity), Some(unit)] = row.as_slice() {
                let line = (quantity.parse()?, unit.parse()?);
                let lines = shop.lines.entry(order.clone()).or_default();
                lines.insert(product.clone(), line);
            }
        }
        Ok(shop)
    }
}

/// What was asked to change of an order.
#[derive(Default)]
struct Asked<'a> {
    /// By field: those that were acknowledged.
    done: Vec<&'a Sent>,
    /// Fields of those that may have been carried out.
    may_be: BTreeSet<&'static str>,
}

/// Holds what was sent against the shop.
fn check(products: &[Product], sent: &[Sent], shop: &Shop) -> anyhow::Result<Findings> {
    let mut findings = Findings::default();
    // Orders are there once for each key.
    let mut known: HashMap<String, &Sent> = HashMap::new();
    let mut asked: HashMap<String, Asked<'_>> = HashMap::new();
    for one in sent {
        if one.field != "placeOrder" {
            let asked = asked.entry(uuid_of(&one.input["id"])?).or_default();
            if one.done().is_some() {
                asked.done.push(one);
            } else if one.may_have_happened() {
                asked.may_be.insert(one.field);
            }
            continue;
        }
        let Some(order) = one.done() else { continue };
        let id = uuid_of(&order["id"])?;
        if let Some(other) = known.insert(id.clone(), one) {
            let both = (one.named(), other.named());
            findings.duplicate(format!("one order answers two keys: {both:?}"));
        }
        if !shop.orders.contains_key(&id) {
            findings.loss(format!("{} is not there: {id}", one.named()));
        } else if shop.lines.get(&id) != Some(&lines_of(one, products)?) {
            let lines = shop.lines.get(&id);
            findings.wrong(format!("{} has the lines {lines:?}", one.named()));
        }
    }
    let mut unknown: Vec<&Sent> = sent
        .iter()
        .filter(|one| one.field == "placeOrder" && one.may_have_happened())
        .collect();
    for id in shop.orders.keys().filter(|id| !known.contains_key(*id)) {
        let mut same = None;
        for (at, one) in unknown.iter().enumerate() {
            if shop.lines.get(id) == Some(&lines_of(one, products)?) {
                same = Some(at);
            }
        }
        match same {
            Some(at) => drop(unknown.swap_remove(at)),
            None => findings.duplicate(format!("order {id} was acknowledged to nobody")),
        }
    }
    for (id, order) in &shop.orders {
        findings.add(check_order(id, order, shop, asked.get(id)));
        if let Some(one) = known.get(id)
            && let Some(record) = one.done()
            && number(&record["total"]["amount"])? != order.total
        {
            findings.wrong(format!("{} was answered with {record}", one.named()));
        }
    }
    for id in asked.keys().filter(|id| !shop.orders.contains_key(*id)) {
        let id = encode("order", id)?;
        findings.loss(format!("order {id} is not there"));
    }
    // What is not there any longer was sold.
    for product in products {
        let id = uuid_of(&product.id)?;
        let sold: i64 = shop
            .orders
            .iter()
            .filter(|(_, order)| order.status != "CANCELLED")
            .filter_map(|(order, _)| shop.lines.get(order)?.get(&id))
            .map(|(quantity, _)| quantity)
            .sum();
        match shop.stock.get(&id) {
            Some(left) if left + sold == STOCK && *left >= 0 => {}
            left => findings.wrong(format!(
                "of {STOCK} of product {id}, {sold} are sold and {left:?} left"
            )),
        }
    }
    if shop.ledger.total() != shop.ledger.inflow() {
        findings.wrong(format!(
            "the accounts have {}, and {} came in",
            shop.ledger.total(),
            shop.ledger.inflow()
        ));
    }
    Ok(findings)
}

/// What the order asked for: quantity and unit price of each product.
fn lines_of(one: &Sent, products: &[Product]) -> anyhow::Result<BTreeMap<String, (i64, i64)>> {
    let mut lines = BTreeMap::new();
    for item in one.input["items"].as_array().into_iter().flatten() {
        let product = products
            .iter()
            .find(|product| product.id == item["productId"]);
        let price = product.map_or(0, |product| product.price);
        let quantity = item["quantity"].as_i64().unwrap_or_default();
        lines.insert(uuid_of(&item["productId"])?, (quantity, price));
    }
    Ok(lines)
}

/// Holds one order against its lines, what was asked of it, and what was paid for it.
fn check_order(id: &str, order: &Row, shop: &Shop, asked: Option<&Asked<'_>>) -> Findings {
    let mut findings = Findings::default();
    let lines = shop.lines.get(id);
    let total: i64 = lines
        .into_iter()
        .flat_map(BTreeMap::values)
        .map(|(quantity, unit)| quantity * unit)
        .sum();
    if total != order.total || lines.is_none() {
        findings.wrong(format!(
            "order {id} is over {}, and its lines {total}",
            order.total
        ));
    }
    let moved = |kind: &str| {
        let those = shop
            .ledger
            .transfers
            .values()
            .filter(|transfer| transfer.order.as_deref() == Some(id) && transfer.kind == kind);
        those.map(|transfer| transfer.amount).collect::<Vec<_>>()
    };
    let (paid, refunded) = (moved("PAYMENT"), moved("REFUND"));
    let once = [order.total];
    let fits = match order.status.as_str() {
        "PENDING" => paid.is_empty() && refunded.is_empty(),
        "PAID" | "SHIPPED" => paid == once && refunded.is_empty(),
        _ => paid == refunded && (paid.is_empty() || paid == once),
    };
    if !fits {
        findings.wrong(format!(
            "order {id} over {} is {}, {paid:?} was paid and {refunded:?} given back",
            order.total, order.status
        ));
    }
    let none = Asked::default();
    let asked = asked.unwrap_or(&none);
    for (field, status) in [("cancelOrder", "CANCELLED"), ("shipOrder", "SHIPPED")] {
        let mut done = asked.done.iter().filter(|one| one.field == field);
        let first = done.next();
        if let (Some(one), Some(other)) = (first, done.next()) {
            let both = (one.named(), other.named());
            findings.duplicate(format!("an order was changed twice: {both:?}"));
        }
        match first {
            Some(one) if order.status != status => findings.loss(format!(
                "{} was acknowledged, and the order is {}",
                one.named(),
                order.status
            )),
            None if order.status == status && !asked.may_be.contains(field) => {
                findings.duplicate(format!("order {id} is {status}, acknowledged to nobody"));
            }
            _ => {}
        }
    }
    if order.status == "PENDING"
        && let Some(one) = asked.done.iter().find(|one| one.field == "payOrder")
    {
        findings.loss(format!("{} was acknowledged, and is pending", one.named()));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        client::samples::{done, refused, sent},
        ledger::samples::{carry_out, empty, transfer},
    };

    fn uuid(nth: u128) -> String {
        uuid::Uuid::from_u128(nth).simple().to_string()
    }

    fn public(prefix: &str, nth: u128) -> Value {
        json!(encode(prefix, &uuid(nth)).unwrap_or_default())
    }

    const ACCOUNT: &str = "a";

    fn products() -> Vec<Product> {
        vec![Product {
            id: public("product", 1),
            price: 100,
        }]
    }

    /// An order of two that was acknowledged.
    fn placed(nth: u128) -> Sent {
        let items = [json!({ "productId": public("product", 1), "quantity": 2 })];
        let one = sent(
            "placeOrder",
            json!({ "items": items, "nth": nth.to_string() }),
        );
        done(
            one,
            json!({ "id": public("order", nth), "total": { "amount": "200" } }),
        )
    }

    fn change(field: &'static str, nth: u128) -> Sent {
        sent(
            field,
            json!({ "id": public("order", nth), "expectedVersion": 0 }),
        )
    }

    /// A shop with these orders, and all that belongs to them.
    fn shop(orders: &[(u128, &str)]) -> Shop {
        let mut shop = Shop {
            ledger: empty(&[ACCOUNT]),
            ..Shop::default()
        };
        let ledger = &mut shop.ledger;
        carry_out(
            ledger,
            "in",
            transfer("DEPOSIT", None, Some(ACCOUNT), 10_000),
        );
        let mut left = STOCK;
        for (nth, status) in orders {
            let id = uuid(*nth);
            let row = Row {
                status: (*status).to_owned(),
                total: 200,
            };
            shop.orders.insert(id.clone(), row);
            shop.lines
                .insert(id.clone(), [(uuid(1), (2, 100))].into_iter().collect());
            let mut moved = transfer("PAYMENT", Some(ACCOUNT), None, 200);
            moved.order = Some(id.clone());
            carry_out(&mut shop.ledger, &format!("paid {nth}"), moved);
            left -= 2;
            if *status == "CANCELLED" {
                let mut back = transfer("REFUND", None, Some(ACCOUNT), 200);
                back.order = Some(id);
                carry_out(&mut shop.ledger, &format!("back {nth}"), back);
                left += 2;
            }
        }
        shop.stock.insert(uuid(1), left);
        shop
    }

    #[test]
    fn what_was_sold_is_gone_and_what_was_cancelled_is_back() -> anyhow::Result<()> {
        let all = [
            placed(5),
            placed(6),
            done(change("cancelOrder", 6), Value::Null),
        ];
        let check = |shop: &Shop| check(&products(), &all, shop);
        let sound = shop(&[(5, "PAID"), (6, "CANCELLED")]);
        assert_eq!(check(&sound)?, Findings::default());
        assert!(sound.ledger.check().is_empty());
        let after = |change: &dyn Fn(&mut Shop)| {
            let mut shop = sound.clone();
            change(&mut shop);
            check(&shop)
        };
        // The stock of the cancelled order did not come back, or came back twice.
        for by in [-2, 2] {
            let stock = after(&|shop| {
                shop.stock.insert(uuid(1), STOCK - 2 + by);
            })?;
            assert_eq!(stock.wrong.len(), 1);
        }
        // Its money came back twice, or not at all.
        let money = after(&|shop| {
            if let Some(back) = shop.ledger.transfers.get("back 6").cloned() {
                carry_out(&mut shop.ledger, "again", back);
            }
        })?;
        assert_eq!(money.wrong.len(), 1);
        let money = after(&|shop| drop(shop.ledger.transfers.remove("back 6")))?;
        assert_eq!(money.wrong.len(), 2);
        // An acknowledged order, or cancellation, is not there.
        let gone = after(&|shop| drop(shop.orders.remove(&uuid(5))))?;
        assert_eq!((gone.losses.len(), gone.wrong.len()), (1, 1));
        assert_eq!(check(&shop(&[(5, "PAID"), (6, "PAID")]))?.losses.len(), 1);
        // One is there that nobody was told of.
        let more = check(&shop(&[(5, "PAID"), (6, "CANCELLED"), (7, "PAID")]))?;
        assert_eq!(more.duplicates.len(), 1);
        let more = check(&shop(&[(5, "CANCELLED"), (6, "CANCELLED")]))?;
        assert_eq!(more.duplicates.len(), 1);
        Ok(())
    }

    #[test]
    fn one_order_is_cancelled_once() -> anyhow::Result<()> {
        let mut twin = done(change("cancelOrder", 5), Value::Null);
        twin.key = "another".into();
        let all = [placed(5), done(change("cancelOrder", 5), Value::Null), twin];
        let found = check(&products(), &all, &shop(&[(5, "CANCELLED")]))?;
        assert_eq!(found.duplicates.len(), 1);
        Ok(())
    }

    #[test]
    fn as_many_are_sold_as_there_are() {
        let no = refused(sent("placeOrder", Value::Null), "InsufficientFunds");
        let orders: Vec<Sent> = (1..4).map(placed).chain([no]).collect();
        assert!(sold_out(&orders, 3).is_empty());
        assert_eq!(sold_out(&orders, 2).duplicates.len(), 1);
        assert_eq!(sold_out(&orders, 4).wrong.len(), 1);
    }
}
