//! Proof 1: money moves at random between 50 accounts, and readers add up what all have. The sum
//! never differs; afterwards each acknowledged transfer is there once, and each balance is the
//! sum of what came in and went out.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    sync::Arc,
    time::Duration,
};

use anyhow::Context as _;
use futures::future::{join, join_all};
use rand::RngExt as _;
use serde_json::{Value, json};

use crate::{
    arena::Arena,
    client::{Client, Mutation, Outcome, Sent, Token},
    findings::{Findings, Proved, refusals, uuid_of, versions},
    ledger::{Ledger, kept_keys},
    people::{Person, open_accounts},
    storm::{Course, Passed, Plan},
};

const ACCOUNTS: usize = 50;
const CLIENTS: usize = 32;
const READERS: usize = 2;

/// What each account has at first, in minor units: little enough that some transfers are refused.
const MONEY: i64 = 2_000;

/// Where the money is, and whose it is.
struct Bank<'a> {
    people: &'a [Person],
    accounts: Vec<Value>,
}

/// Runs the proof.
pub(crate) async fn prove(
    arena: &Arc<Arena>,
    part: &str,
    plan: Plan,
) -> anyhow::Result<(Proved, Passed)> {
    let admin = arena.log_in().await?;
    let people = &arena.people(&admin).await?[..ACCOUNTS];
    // A currency for each time, so that each has its own accounts.
    let currency = if plan.faults { "USD" } else { "EUR" };
    let accounts = open_accounts(arena, part, &admin, people, currency, |_| MONEY).await?;
    let bank = Bank { people, accounts };

    let course = plan.begin(arena, part);
    let clients = (0..CLIENTS).map(|n| spend(Client::new(arena, part, n), &bank, &course));
    let readers = (CLIENTS..CLIENTS + READERS)
        .map(|n| add_up(Client::new(arena, part, n), &admin, currency, &course));
    let (sent, reads) = join(join_all(clients), join_all(readers)).await;
    let passed = course.end(&admin).await?;

    let mut look = arena.look().await?;
    let mut proved = Proved {
        sent: sent.concat(),
        findings: Findings::default(),
    };
    for read in reads {
        proved.findings.add(read?);
    }
    let findings = &mut proved.findings;
    findings.add(refusals(&proved.sent, &["InsufficientFunds"]));
    findings.add(versions(&mut look, &["accounts"]).await?);
    let ledger = Ledger::read(&mut look, currency).await?;
    findings.add(ledger.check());
    findings.add(check(&proved.sent, &ledger)?);
    findings.add(check_keys(&proved.sent, &kept_keys(&mut look, part).await?));
    Ok((proved, passed))
}

/// Sends transfers. No two of the proof have the same accounts and amount, so that each is known
/// in the database.
async fn spend(mut client: Client, bank: &Bank<'_>, course: &Course) -> Vec<Sent> {
    let mut sent = Vec::new();
    let mut used = HashSet::new();
    while !course.is_over() {
        let from = client.choices.random_range(0..ACCOUNTS);
        let to = (from + client.choices.random_range(1..ACCOUNTS)) % ACCOUNTS;
        let amount = client.choices.random_range(0..60) * CLIENTS + client.number + 1;
        if !used.insert((from, to, amount)) {
            continue;
        }
        let input = json!({
            "from": bank.accounts[from],
            "to": bank.accounts[to],
            "amount": amount.to_string(),
        });
        let select = "transfer { id fromId toId amount { amount } }";
        let transfer = Mutation::keyed("transferFunds", select, input);
        sent.push(client.send(&bank.people[from].token, transfer).await);
    }
    sent
}

/// Adds up what all accounts have, again and again: one statement reads them all.
async fn add_up(
    mut reader: Client,
    admin: &Token,
    currency: &str,
    course: &Course,
) -> anyhow::Result<Findings> {
    let mut findings = Findings::default();
    let query = "{ accounts(first: 200) { nodes { currency balance { amount } } } }";
    while !course.is_over() {
        let data = reader.ask(admin, query, json!({})).await?;
        let nodes = data["accounts"]["nodes"].as_array();
        let nodes = nodes.with_context(|| format!("no accounts: {data}"))?;
        let mut balances = Vec::new();
        for node in nodes.iter().filter(|node| node["currency"] == currency) {
            balances.push(number(&node["balance"]["amount"])?);
        }
        let (count, sum) = (balances.len(), balances.iter().sum::<i64>());
        let differs = count != ACCOUNTS || sum != MONEY * ACCOUNTS as i64;
        // Once is enough: what vanished stays away.
        if differs && findings.is_empty() {
            findings.wrong(format!("a reader saw {count} accounts with {sum} together"));
        }
        let pause = Duration::from_millis(reader.choices.random_range(0..20));
        tokio::time::sleep(pause).await;
    }
    Ok(findings)
}

/// A `MinorUnits`.
pub(crate) fn number(amount: &Value) -> anyhow::Result<i64> {
    let text = amount.as_str().context("an amount is text")?;
    text.parse().with_context(|| format!("no amount: {text}"))
}

/// What tells a transfer from all others.
type Mark = (String, String, i64);

/// Holds what was sent against the transfers.
fn check(sent: &[Sent], ledger: &Ledger) -> anyhow::Result<Findings> {
    let mut findings = Findings::default();
    let mut there: BTreeMap<Mark, Vec<&str>> = BTreeMap::new();
    let mut deposits = 0;
    for (id, transfer) in &ledger.transfers {
        match (&transfer.from, &transfer.to) {
            (Some(from), Some(to)) => {
                let mark = (from.clone(), to.clone(), transfer.amount);
                there.entry(mark).or_default().push(id);
            }
            _ => deposits += 1,
        }
    }
    if deposits != ledger.accounts.len() || ledger.total() != ledger.inflow() {
        findings.wrong(format!(
            "{deposits} deposits came to {}, and all accounts have {}",
            ledger.inflow(),
            ledger.total()
        ));
    }
    for one in sent {
        let mark = (
            uuid_of(&one.input["from"])?,
            uuid_of(&one.input["to"])?,
            number(&one.input["amount"])?,
        );
        let ids = there.remove(&mark).unwrap_or_default();
        match (&one.outcome, ids.as_slice()) {
            (_, [_, _, ..]) => findings.duplicate(format!("{} is there as {ids:?}", one.named())),
            (Outcome::Done(_), []) => findings.loss(format!("{} is not there", one.named())),
            (Outcome::Done(transfer), [id]) => {
                let same = uuid_of(&transfer["id"])? == *id
                    && transfer["fromId"] == one.input["from"]
                    && transfer["toId"] == one.input["to"]
                    && transfer["amount"]["amount"] == one.input["amount"];
                if !same {
                    findings.wrong(format!("{} was answered with {transfer}", one.named()));
                }
            }
            (Outcome::Refused { .. }, [_]) if !one.may_have_happened() => {
                findings.wrong(format!("{} was refused, and is there", one.named()));
            }
            _ => {}
        }
    }
    for (mark, ids) in there {
        findings.duplicate(format!("{mark:?} is there as {ids:?}, and nobody sent it"));
    }
    Ok(findings)
}

/// Holds the keys that were kept against those that were sent.
pub(crate) fn check_keys(sent: &[Sent], kept: &BTreeSet<String>) -> Findings {
    let mut findings = Findings::default();
    for one in sent {
        let is_kept = kept.contains(&one.key);
        if one.done().is_some() && !is_kept {
            findings.loss(format!("the key of {} was not kept", one.named()));
        }
        if one.done().is_none() && is_kept && !one.may_have_happened() {
            findings.wrong(format!("{} was refused, and its key kept", one.named()));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        client::samples::{done, refused, sent},
        findings::encode,
        ledger::samples::{carry_out, empty, transfer},
    };

    fn uuid(nth: u128) -> String {
        uuid::Uuid::from_u128(nth).simple().to_string()
    }

    fn public(prefix: &str, nth: u128) -> Value {
        json!(encode(prefix, &uuid(nth)).unwrap_or_default())
    }

    fn send(amount: i64) -> Sent {
        let amount = amount.to_string();
        let (from, to) = (public("account", 1), public("account", 2));
        sent(
            "transferFunds",
            json!({ "from": from, "to": to, "amount": amount }),
        )
    }

    fn answered(sent: Sent, id: u128) -> Sent {
        let record = json!({
            "id": public("transfer", id),
            "fromId": sent.input["from"],
            "toId": sent.input["to"],
            "amount": { "amount": sent.input["amount"] },
        });
        done(sent, record)
    }

    /// Two accounts with their deposits, and transfers of these amounts from one to the other.
    fn ledger(amounts: &[(u128, i64)]) -> Ledger {
        let (one, other) = (uuid(1), uuid(2));
        let mut ledger = empty(&[&one, &other]);
        for (id, account) in [(&uuid(11), &one), (&uuid(12), &other)] {
            carry_out(
                &mut ledger,
                id,
                transfer("DEPOSIT", None, Some(account), 100),
            );
        }
        for (id, amount) in amounts {
            let moved = transfer("TRANSFER", Some(&one), Some(&other), *amount);
            carry_out(&mut ledger, &uuid(*id), moved);
        }
        ledger
    }

    #[test]
    fn each_acknowledged_transfer_is_there_once() -> anyhow::Result<()> {
        let all = [
            answered(send(5), 21),
            answered(send(6), 22),
            refused(send(7), "InsufficientFunds"),
        ];
        assert!(check(&all, &ledger(&[(21, 5), (22, 6)]))?.is_empty());
        assert_eq!(check(&all, &ledger(&[(21, 5)]))?.losses.len(), 1);
        let twice = check(&all, &ledger(&[(21, 5), (22, 6), (23, 6)]))?;
        assert_eq!(twice.duplicates.len(), 1);
        let other = check(&all, &ledger(&[(21, 5), (24, 6)]))?;
        assert_eq!(other.wrong.len(), 1);
        let refused = check(&all, &ledger(&[(21, 5), (22, 6), (23, 7)]))?;
        assert_eq!(refused.wrong.len(), 1);
        let foreign = check(&all, &ledger(&[(21, 5), (22, 6), (23, 8)]))?;
        assert_eq!(foreign.duplicates.len(), 1);
        let mut more = ledger(&[(21, 5), (22, 6)]);
        for account in more.accounts.values_mut() {
            account.balance += 1;
        }
        assert_eq!(check(&all, &more)?.wrong.len(), 1);
        Ok(())
    }

    #[test]
    fn a_key_is_kept_with_its_change() {
        let all = [answered(send(5), 21), refused(send(7), "InsufficientFunds")];
        let kept = |keys: &[&Sent]| keys.iter().map(|one| one.key.clone()).collect();
        assert!(check_keys(&all, &kept(&[&all[0]])).is_empty());
        assert_eq!(check_keys(&all, &kept(&[])).losses.len(), 1);
        assert_eq!(check_keys(&all, &kept(&[&all[0], &all[1]])).wrong.len(), 1);
    }
}
