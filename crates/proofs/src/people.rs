//! Who has money: people with their logins and accounts.

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::{Value, json};

use crate::{
    arena::{Arena, must},
    client::{Client, Mutation, Token},
};

/// How many there are.
pub(crate) const PEOPLE: usize = 64;

/// How many are made at the same time.
const AT_ONCE: usize = 8;

/// Somebody who can log in.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    /// As clients see it.
    pub(crate) id: Value,
    pub(crate) token: Token,
}

/// Makes the people and logs them in.
pub(crate) async fn make(arena: &Arc<Arena>, admin: &Token) -> anyhow::Result<Vec<Person>> {
    each(0..PEOPLE, |number| async move {
        let mut client = Client::new(arena, "people", number);
        let (email, password) = (
            format!("person-{number}@proofs.invalid"),
            format!("the password of person {number}"),
        );
        let input = json!({
            "email": email,
            "name": format!("Person {number}"),
            "password": password,
        });
        let user = Mutation::new("createUser", "user { id }", input);
        let user = must(&mut client, admin, user).await?;
        Ok(Person {
            id: user["id"].clone(),
            token: client.log_in(&email, &password).await?,
        })
    })
    .await
}

/// Opens an account in a currency for each of these people, and pays in what `money` says.
/// Returns the accounts' ids.
pub(crate) async fn open_accounts(
    arena: &Arc<Arena>,
    part: &str,
    admin: &Token,
    people: &[Person],
    currency: &str,
    money: impl Fn(usize) -> i64,
) -> anyhow::Result<Vec<Value>> {
    let money = &money;
    each(0..people.len(), |number| async move {
        let mut client = Client::new(arena, &format!("{part}-accounts"), number);
        let input = json!({ "currency": currency, "ownerId": people[number].id });
        let account = Mutation::new("openAccount", "account { id }", input);
        let account = must(&mut client, admin, account).await?["id"].clone();
        let input = json!({ "to": account, "amount": money(number).to_string() });
        let deposit = Mutation::keyed("deposit", "transfer { id }", input);
        must(&mut client, admin, deposit).await?;
        Ok(account)
    })
    .await
}

/// Does something for each number, several at a time; the answers are in order.
async fn each<T, F>(
    numbers: std::ops::Range<usize>,
    what: impl Fn(usize) -> F,
) -> anyhow::Result<Vec<T>>
where
    F: Future<Output = anyhow::Result<T>>,
{
    stream::iter(numbers.map(what))
        .buffered(AT_ONCE)
        .try_collect()
        .await
}
