//! Transfers and orders: what clients ask for, and how the server is asked.

use anyhow::Context as _;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::workload::{self, Workload, public_id};

/// A user and their account.
#[derive(Clone, Debug)]
pub(crate) struct Wallet {
    pub(crate) owner: Uuid,
    pub(crate) email: String,
    pub(crate) account: Uuid,
}

/// Something that is sold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product {
    pub(crate) id: Uuid,
    /// In cents.
    pub(crate) price: i64,
}

/// All accounts and products.
#[derive(Clone, Debug)]
pub(crate) struct Shop {
    pub(crate) wallets: Vec<Wallet>,
    pub(crate) products: Vec<Product>,
}

/// One thing that a client asks for.
#[derive(Clone, Debug)]
pub(crate) struct Errand {
    /// Whose account the money leaves, by its place among the wallets.
    pub(crate) payer: usize,
    pub(crate) key: Uuid,
    pub(crate) what: What,
}

#[derive(Clone, Debug)]
pub(crate) enum What {
    Transfer {
        to: Uuid,
        amount: i64,
    },
    /// One piece of each.
    Order {
        products: [Product; 2],
    },
}

/// The errands of one client. It sends from accounts that are its alone, to any other one.
#[derive(Debug)]
pub(crate) struct Errands {
    shop: Shop,
    workload: Workload,
    /// Its wallets' places.
    own: Vec<usize>,
    asked: usize,
    drawn: u64,
}

impl Errands {
    /// Those of the `nth` client of so many clients.
    pub(crate) fn of_client(shop: &Shop, workload: Workload, nth: usize, clients: usize) -> Self {
        Self {
            own: (nth..shop.wallets.len()).step_by(clients).collect(),
            shop: shop.clone(),
            workload,
            asked: 0,
            drawn: nth as u64 + 1,
        }
    }

    /// What they are.
    pub(crate) fn workload(&self) -> Workload {
        self.workload
    }

    /// The next one.
    pub(crate) fn next(&mut self) -> anyhow::Result<Errand> {
        self.asked += 1;
        let payer = self.own.get(self.asked % self.own.len().max(1));
        let payer = *payer.context("there is no account for this client")?;
        let what = if self.workload == Workload::Order {
            let count = self.shop.products.len();
            let [one, other] = [self.draw(count), self.draw(count - 1)];
            let other = if other < one { other } else { other + 1 };
            What::Order {
                products: [self.shop.products[one], self.shop.products[other]],
            }
        } else {
            let to = self.draw(self.shop.wallets.len() - 1);
            let to = if to < payer { to } else { to + 1 };
            What::Transfer {
                to: self.shop.wallets[to].account,
                amount: 1 + i64::try_from(self.draw(1_000))?,
            }
        };
        Ok(Errand {
            payer,
            key: Uuid::now_v7(),
            what,
        })
    }

    /// The account that the money of an errand leaves, and whose it is.
    pub(crate) fn wallet(&self, errand: &Errand) -> &Wallet {
        &self.shop.wallets[errand.payer]
    }

    /// The body of its request.
    pub(crate) fn body(&self, errand: &Errand) -> Value {
        let key = errand.key.to_string();
        let input = match &errand.what {
            What::Transfer { to, amount } => json!({
                "from": public_id("account", self.wallet(errand).account),
                "to": public_id("account", *to),
                "amount": amount.to_string(),
                "idempotencyKey": key,
            }),
            What::Order { products } => {
                let line = |product: &Product| {
                    json!({
                        "productId": public_id("product", product.id),
                        "quantity": 1,
                        "unitPrice": product.price.to_string(),
                    })
                };
                json!({
                    "items": products.iter().map(line).collect::<Vec<_>>(),
                    "idempotencyKey": key,
                })
            }
        };
        workload::body(self.workload, json!({ "input": input }))
    }

    /// A number below `end`, which looks drawn (SplitMix64).
    fn draw(&mut self, end: usize) -> usize {
        self.drawn = self.drawn.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.drawn;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) as usize % end.max(1)
    }
}
