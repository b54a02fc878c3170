//! The wallet as it is in the database, and what must hold of it whatever was done.

use std::collections::{BTreeMap, BTreeSet};

use crate::{findings::Findings, look::Look};

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) balance: i64,
}

/// A movement of money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transfer {
    pub(crate) kind: String,
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
    pub(crate) amount: i64,
    pub(crate) order: Option<String>,
}

/// What a transfer did to one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) transfer: String,
    pub(crate) account: String,
    /// Negative for money that went away.
    pub(crate) amount: i64,
    /// The account's balance after it.
    pub(crate) balance: i64,
}

/// The accounts of one currency and what moved between them, by their UUIDs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) accounts: BTreeMap<String, Account>,
    pub(crate) transfers: BTreeMap<String, Transfer>,
    pub(crate) entries: Vec<Entry>,
}

impl Ledger {
    pub(crate) async fn read(look: &mut Look, currency: &str) -> anyhow::Result<Self> {
        let mut ledger = Self::default();
        let accounts = format!(
            "SELECT {{id:id}}, {{text:balance}} FROM accounts WHERE currency = '{currency}'"
        );
        for row in look.rows(&accounts).await? {
            if let [Some(id), Some(balance)] = row.as_slice() {
                let balance = balance.parse()?;
                ledger.accounts.insert(id.clone(), Account { balance });
            }
        }
        let transfers = format!(
            "SELECT {{id:id}}, {{text:kind}}, {{id:from_account_id}}, {{id:to_account_id}},
               {{text:amount}}, {{id:order_id}} FROM transfers WHERE currency = '{currency}'"
        );
        for row in look.rows(&transfers).await? {
            if let [Some(id), Some(kind), from, to, Some(amount), order] = row.as_slice() {
                let some = |id: &Option<String>| id.clone().filter(|id| !id.is_empty());
                let transfer = Transfer {
                    kind: kind.clone(),
                    from: some(from),
                    to: some(to),
                    amount: amount.parse()?,
                    order: some(order),
                };
                ledger.transfers.insert(id.clone(), transfer);
            }
        }
        let entries = format!(
            "SELECT {{id:e.transfer_id}}, {{id:e.account_id}}, {{text:e.amount}}, {{text:e.balance}}
             FROM transfer_entries e JOIN accounts a ON a.id = e.account_id
             WHERE a.currency = '{currency}'"
        );
        for row in look.rows(&entries).await? {
            if let [Some(transfer), Some(account), Some(amount), Some(balance)] = row.as_slice() {
                ledger.entries.push(Entry {
                    transfer: transfer.clone(),
                    account: account.clone(),
                    amount: amount.parse()?,
                    balance: balance.parse()?,
                });
            }
        }
        Ok(ledger)
    }

    /// Finds money that appeared or vanished: each transfer has its entries, each balance is the
    /// sum of its entries, each entry begins at the balance that another one left.
    pub(crate) fn check(&self) -> Findings {
        let mut findings = Findings::default();
        let mut of_transfer: BTreeMap<&str, BTreeSet<(&str, i64)>> = BTreeMap::new();
        let mut of_account: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
        for entry in &self.entries {
            let account = entry.account.as_str();
            if !of_transfer
                .entry(&entry.transfer)
                .or_default()
                .insert((account, entry.amount))
            {
                findings.duplicate(format!("one entry is there twice: {entry:?}"));
            }
            of_account.entry(account).or_default().push(entry);
        }
        for (id, transfer) in &self.transfers {
            let from = transfer.from.as_deref().map(|id| (id, -transfer.amount));
            let to = transfer.to.as_deref().map(|id| (id, transfer.amount));
            let expected: BTreeSet<_> = from.into_iter().chain(to).collect();
            let found = of_transfer.remove(id.as_str()).unwrap_or_default();
            if expected != found {
                findings.wrong(format!(
                    "transfer {id} is {transfer:?}, and its entries are {found:?}"
                ));
            }
        }
        for id in of_transfer.keys() {
            findings.wrong(format!("entries of transfer {id}, which is not there"));
        }
        for (id, account) in &self.accounts {
            let entries = of_account.remove(id.as_str()).unwrap_or_default();
            let sum: i64 = entries.iter().map(|entry| entry.amount).sum();
            if sum != account.balance {
                findings.wrong(format!(
                    "account {id} has {}, and its entries come to {sum}",
                    account.balance
                ));
            }
            if account.balance < 0 || entries.iter().any(|entry| entry.balance < 0) {
                findings.wrong(format!("account {id} was below zero"));
            }
            if !is_walk(&entries, account.balance) {
                findings.wrong(format!(
                    "the entries of account {id} do not follow from each other"
                ));
            }
        }
        for id in of_account.keys() {
            findings.wrong(format!("entries of account {id}, which is not there"));
        }
        findings
    }

    /// What came in from outside less what went out.
    pub(crate) fn inflow(&self) -> i64 {
        let sign = |transfer: &Transfer| match (&transfer.from, &transfer.to) {
            (None, Some(_)) => transfer.amount,
            (Some(_), None) => -transfer.amount,
            _ => 0,
        };
        self.transfers.values().map(sign).sum()
    }

    /// What all accounts have together.
    pub(crate) fn total(&self) -> i64 {
        self.accounts.values().map(|account| account.balance).sum()
    }
}

/// Whether the entries can be put into an order that leads from nothing to this balance, each
/// beginning where the one before ended. Each balance must be left as often as it was reached;
/// one more time for nothing, one less for the last. Entries that were written over each other
/// begin at the same balance, which then is left too often.
fn is_walk(entries: &[&Entry], balance: i64) -> bool {
    let mut left_over: BTreeMap<i64, i64> = BTreeMap::new();
    for entry in entries {
        *left_over.entry(entry.balance - entry.amount).or_default() += 1;
        *left_over.entry(entry.balance).or_default() -= 1;
    }
    *left_over.entry(0).or_default() -= 1;
    *left_over.entry(balance).or_default() += 1;
    left_over.values().all(|count| *count == 0)
}

/// The keys that were kept.
pub(crate) async fn kept_keys(look: &mut Look, part: &str) -> anyhow::Result<BTreeSet<String>> {
    let query = format!(
        "SELECT {{text:idempotency_key}} FROM idempotency_keys \
         WHERE idempotency_key LIKE '{part}-%'"
    );
    let rows = look.rows(&query).await?;
    let keys: Vec<String> = rows.into_iter().flatten().flatten().collect();
    let distinct: BTreeSet<String> = keys.into_iter().collect();
    Ok(distinct)
}

#[cfg(test)]
pub(crate) mod samples {
    use super::*;

    /// A ledger with these accounts and no money.
    pub(crate) fn empty(accounts: &[&str]) -> Ledger {
        let account = |id: &&str| ((*id).to_owned(), Account { balance: 0 });
        Ledger {
            accounts: accounts.iter().map(account).collect(),
            ..Ledger::default()
        }
    }

    /// Carries out a transfer as it should be.
    pub(crate) fn carry_out(ledger: &mut Ledger, id: &str, transfer: Transfer) {
        let ends = [
            (&transfer.from, -transfer.amount),
            (&transfer.to, transfer.amount),
        ];
        for (account, amount) in ends {
            let Some(id_of_account) = account else {
                continue;
            };
            let Some(account) = ledger.accounts.get_mut(id_of_account) else {
                continue;
            };
            account.balance += amount;
            ledger.entries.push(Entry {
                transfer: id.to_owned(),
                account: id_of_account.clone(),
                amount,
                balance: account.balance,
            });
        }
        ledger.transfers.insert(id.to_owned(), transfer);
    }

    pub(crate) fn transfer(
        kind: &str,
        from: Option<&str>,
        to: Option<&str>,
        amount: i64,
    ) -> Transfer {
        Transfer {
            kind: kind.to_owned(),
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
            amount,
            order: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{samples::*, *};

    fn sound() -> Ledger {
        let mut ledger = empty(&["a", "b"]);
        carry_out(&mut ledger, "1", transfer("DEPOSIT", None, Some("a"), 100));
        carry_out(
            &mut ledger,
            "2",
            transfer("TRANSFER", Some("a"), Some("b"), 30),
        );
        carry_out(
            &mut ledger,
            "3",
            transfer("TRANSFER", Some("b"), Some("a"), 10),
        );
        ledger
    }

    fn after(change: impl FnOnce(&mut Ledger)) -> Findings {
        let mut ledger = sound();
        change(&mut ledger);
        ledger.check()
    }

    #[test]
    fn money_that_appears_or_vanishes_is_found() {
        assert!(sound().check().is_empty());
        assert_eq!((sound().total(), sound().inflow()), (100, 100));
        let set = |account: &'static str, balance| {
            after(move |ledger| {
                ledger.accounts.insert(account.into(), Account { balance });
            })
        };
        assert!(set("a", 80).is_empty());
        assert!(!set("a", 90).wrong.is_empty());
        assert!(!set("b", -1).wrong.is_empty());
        assert!(!after(|ledger| drop(ledger.entries.pop())).wrong.is_empty());
        assert!(
            !after(|ledger| drop(ledger.transfers.remove("2")))
                .wrong
                .is_empty()
        );
        let twice = after(|ledger| ledger.entries.push(ledger.entries[2].clone()));
        assert!(!twice.duplicates.is_empty());
        // Two entries began at the same balance, so that one was written over.
        let lost = after(|ledger| ledger.entries[4].balance = 110);
        assert!(!lost.wrong.is_empty());
    }
}
