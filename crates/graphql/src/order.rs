//! Orders.

use async_graphql::{Context, Enum, ID, InputObject, Object, resolver_utils::enum_value};
use plimsoll_domain::{
    self as domain, Scope, Version,
    id::OrderId,
    order::{Line, PlaceOrder, Status},
};
use uuid::Uuid;

use crate::{
    Query, RequestScope,
    account::Account,
    batch::{Failure, ItemsOfOrder, ProductById, UserById},
    connection::{Total, connection, page_arguments},
    error::{Result, payload},
    id::{decode, encode},
    json::{Json, Leaf},
    money::{MinorUnits, Money},
    product::Product,
    record::{by_id, load, read, record_fields, write, write_keyed},
    root::{self, Asked},
    rows::{Below, One, Step},
    scope,
    user::User,
};

/// How far an order has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum OrderStatus {
    /// The goods are set aside, and not paid for.
    Pending,
    /// It is paid for.
    Paid,
    /// It is on its way: nothing of it comes back by itself.
    Shipped,
    /// The goods are back in the shop, and the money is with the buyer.
    Cancelled,
}

impl Leaf for OrderStatus {
    fn write(self, json: &mut Json) -> std::result::Result<(), Failure> {
        json.value(&enum_value(self));
        Ok(())
    }
}

impl From<Status> for OrderStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Pending => Self::Pending,
            Status::Paid => Self::Paid,
            Status::Shipped => Self::Shipped,
            Status::Cancelled => Self::Cancelled,
        }
    }
}

record_fields! {
    #[async_graphql::Object]
    /// Goods for money. Seen by its buyer, by moderators and by administrators.
    Order(Order of plimsoll_domain::order) {
        own {
            /// How far it has come.
            status: OrderStatus = Status as Status;
        }
        one {
            /// Who ordered it; null if they are deleted.
            buyer: User = UserById(BuyerId);
        }
        needs {
            total: TotalAmount, Currency;
            account: AccountId;
            items: Id, Currency;
        }
        resolvers {
            /// What all of it costs.
            async fn total(&self) -> Result<Money> {
                let currency: String = self.get(Column::Currency)?;
                Ok(Money::new(self.get(Column::TotalAmount)?, &currency))
            }

            /// The account that paid; null before that, and if it is deleted or the viewer may not see
            /// it.
            async fn account(&self, ctx: &Context<'_>) -> Result<Option<Account>> {
                let account: Option<Uuid> = self.get(Column::AccountId)?;
                let Some(account) = account else { return Ok(None) };
                Ok(by_id(scope(ctx), Scope::Live, account).await?)
            }

            /// What it is of, in the order in which it was named: 100 lines at most.
            async fn items(&self, ctx: &Context<'_>) -> Result<Vec<OrderItem>> {
                let key = ItemsOfOrder(self.get(Column::Id)?);
                let items = load(scope(ctx), key).await?.unwrap_or_default();
                let currency: String = self.get(Column::Currency)?;
                Ok(items
                    .into_iter()
                    .map(|item| OrderItem { item, currency: currency.clone() })
                    .collect())
            }
        }
    }
}

/// One line of an order, as it was sold.
pub(crate) struct OrderItem {
    item: domain::order::OrderItem,
    /// The order's.
    currency: String,
}

/// One line of an order, as it was sold.
#[Object]
impl OrderItem {
    /// The product as it is now; null if it is deleted and the viewer may not see that.
    async fn product(&self, ctx: &Context<'_>) -> Result<Option<Product>> {
        let columns = Below::of(ctx).columns::<Product>();
        let key = ProductById(columns, self.item.product_id.into());
        Ok(load(scope(ctx), key).await?)
    }

    /// The product's id.
    async fn product_id(&self) -> ID {
        encode(self.item.product_id)
    }

    /// How many of it.
    async fn quantity(&self) -> i32 {
        self.item.quantity
    }

    /// What one cost when it was ordered.
    async fn unit_price(&self) -> Money {
        Money::new(self.item.unit_amount, &self.currency)
    }
}

connection!(
    OrderConnection,
    OrderEdge,
    Order,
    domain::order::View,
    "A page of orders.",
    "An order at a place in a list."
);

#[derive(Clone, Default)]
pub(crate) struct OrderQuery;

#[Object]
impl OrderQuery {
    /// The order with this id; null if there is none that the viewer sees.
    async fn order(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The order's id.")] id: ID,
    ) -> Result<One<Order>> {
        let id: OrderId = decode(&id, "id")?;
        Ok(One(by_id(scope(ctx), Scope::Live, id.into()).await?))
    }

    /// The viewer's orders, the newest first. Moderators and administrators see all.
    #[graphql(complexity = "crate::connection::cost(first, last, child_complexity)")]
    async fn orders(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, from the front: 20 unless given, 200 at most.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Begin behind this cursor.")] after: Option<String>,
        #[graphql(desc = "How many, from the back.")] last: Option<i32>,
        #[graphql(desc = "End before this cursor.")] before: Option<String>,
    ) -> Result<OrderConnection> {
        let arguments = page_arguments(ctx, first, after, last, before);
        let asked = Asked::of(ctx, Scope::Live, (), arguments);
        Ok(page(scope(ctx), asked).await?)
    }
}

/// A page of the viewer's orders.
async fn page(scope: &RequestScope, asked: Asked<Order>) -> domain::Result<OrderConnection> {
    let page = read(scope, move |read, viewer| async move {
        domain::order::page(
            &read,
            asked.columns.seen_by(&viewer),
            &viewer,
            &asked.arguments,
        )
        .await
    });
    Ok(OrderConnection::new(page.await?, Total::Orders))
}

/// How the query's fields about orders are answered without their resolvers.
pub(crate) fn step<'a>(name: &str, below: Below<'a>) -> Option<Step<'a, Query>> {
    match name {
        "order" => root::one::<Order, OrderId>(below),
        "orders" => root::list(below, (), |scope, asked| Box::pin(page(scope, asked))),
        _ => None,
    }
}

/// One line of a new order.
#[derive(InputObject)]
pub(crate) struct OrderLineInput {
    /// Which product; each may be named once.
    product_id: ID,
    /// How many of it: 1 to 1,000,000.
    quantity: i32,
    /// What one costs as far as the client knows: another price is refused. Any price is good
    /// unless given.
    unit_price: Option<MinorUnits>,
}

/// A new order, with the viewer as its buyer.
#[derive(InputObject)]
pub(crate) struct PlaceOrderInput {
    /// What it is of: 1 to 100 lines, all in one currency.
    items: Vec<OrderLineInput>,
    /// Whether it is paid for at once, from the buyer's account in that currency; else the goods
    /// are set aside.
    #[graphql(default = true)]
    pay_now: bool,
    /// What the client calls this request: the same one sent again, within 24 hours, is done once.
    idempotency_key: String,
}

/// Which order is to be paid for.
#[derive(InputObject)]
pub(crate) struct PayOrderInput {
    /// Which order.
    id: ID,
    /// The version that was seen: another one is a conflict.
    expected_version: i32,
}

/// Which order is on its way.
#[derive(InputObject)]
pub(crate) struct ShipOrderInput {
    /// Which order.
    id: ID,
    /// The version that was seen: another one is a conflict.
    expected_version: i32,
}

/// Which order is given up.
#[derive(InputObject)]
pub(crate) struct CancelOrderInput {
    /// Which order.
    id: ID,
    /// The version that was seen: another one is a conflict.
    expected_version: i32,
}

payload! {
    /// The order that was made, or why there is none.
    PlaceOrderPayload {
        /// The new order.
        order: Order
    }
    /// The order as it is now, or why nothing was changed.
    PayOrderPayload {
        /// The order, paid for.
        order: Order
    }
    /// The order as it is now, or why nothing was changed.
    ShipOrderPayload {
        /// The order, on its way.
        order: Order
    }
    /// The order as it is now, or why nothing was changed.
    CancelOrderPayload {
        /// The cancelled order.
        order: Order
    }
}

#[derive(Default)]
pub(crate) struct OrderMutation;

#[Object]
impl OrderMutation {
    /// Orders products: takes them from the stock at the prices of this moment and, unless told
    /// otherwise, pays for them from the viewer's account. All of it happens, or nothing.
    async fn place_order(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new order.")] input: PlaceOrderInput,
    ) -> Result<Option<PlaceOrderPayload>> {
        let items = input.items.iter().map(|line| {
            Ok(Line {
                product: decode(&line.product_id, "input.items.productId")?,
                quantity: line.quantity,
                unit_price: line.unit_price.map(|price| price.0),
            })
        });
        let command = PlaceOrder {
            items: items.collect::<Result<_>>()?,
            pay: input.pay_now,
        };
        PlaceOrderPayload::new(
            write_keyed(ctx, Some(input.idempotency_key), move |tx, viewer| {
                Box::pin(domain::order::place(tx, viewer, command))
            })
            .await,
        )
    }

    /// Pays for an order whose goods are set aside, from the viewer's account. For its buyer.
    async fn pay_order(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which order, and the version that was seen.")] input: PayOrderInput,
    ) -> Result<Option<PayOrderPayload>> {
        let id = decode(&input.id, "input.id")?;
        let seen = Version(input.expected_version);
        PayOrderPayload::new(
            write(ctx, move |tx, viewer| {
                Box::pin(domain::order::pay_order(tx, viewer, id, seen))
            })
            .await,
        )
    }

    /// Says that a paid order is on its way. For moderators and administrators.
    async fn ship_order(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which order, and the version that was seen.")] input: ShipOrderInput,
    ) -> Result<Option<ShipOrderPayload>> {
        let id = decode(&input.id, "input.id")?;
        let seen = Version(input.expected_version);
        ShipOrderPayload::new(
            write(ctx, move |tx, viewer| {
                Box::pin(domain::order::ship(tx, viewer, id, seen))
            })
            .await,
        )
    }

    /// Gives up an order that is not shipped: the goods go back to the shop, and the money to the
    /// account that paid. For its buyer, for moderators and for administrators.
    async fn cancel_order(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which order, and the version that was seen.")] input: CancelOrderInput,
    ) -> Result<Option<CancelOrderPayload>> {
        let id = decode(&input.id, "input.id")?;
        let seen = Version(input.expected_version);
        CancelOrderPayload::new(
            write(ctx, move |tx, viewer| {
                Box::pin(domain::order::cancel(tx, viewer, id, seen))
            })
            .await,
        )
    }
}
