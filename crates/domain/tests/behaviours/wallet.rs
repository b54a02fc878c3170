//! The wallet: money moves, and never appears or vanishes.

use std::collections::HashMap;

use plimsoll_domain::{
    Error, Money, Result, Role, Scope, Viewer,
    account::{self, Account},
    id::AccountId,
    transfer::{self, Kind, Transfer},
};
use plimsoll_entity::{transfer as transfer_entity, transfer_entry};
use plimsoll_records::{Rows, Whole};
use plimsoll_testkit::{Engine, World, on_every_engine};
use rand::{RngExt as _, SeedableRng as _};
use uuid::Uuid;

use crate::support::*;

/// What is in an account now.
async fn balance(world: &World, account: &Account) -> i64 {
    account
        .fresh(&world.store)
        .await
        .expect("it is there")
        .balance
}

async fn entries(world: &World) -> Vec<transfer_entry::Model> {
    let rows = Rows::<transfer_entry::Entity>::live();
    let all = rows.all(100_000, &world.store.read()).await;
    all.expect("entries can be read")
}

async fn transfers(world: &World) -> Vec<transfer_entity::Model> {
    let rows = Rows::<transfer_entity::Entity>::live();
    let all = rows.all(100_000, &world.store.read()).await;
    all.expect("transfers can be read")
}

/// All money together is `total`, each balance is the sum of its account's entries, and each
/// transfer has an entry for each account that it names.
async fn is_conserved(world: &World, accounts: &[Account], total: i64) {
    let mut sums: HashMap<AccountId, i64> = HashMap::new();
    let mut sides: HashMap<Uuid, Vec<(AccountId, i64)>> = HashMap::new();
    for entry in entries(world).await {
        assert!(entry.balance >= 0, "{entry:?}");
        *sums.entry(entry.account_id).or_default() += entry.amount;
        let sides = sides.entry(entry.transfer_id.into()).or_default();
        sides.push((entry.account_id, entry.amount));
    }
    let mut all = 0;
    for account in accounts {
        let now = balance(world, account).await;
        assert_eq!(
            now,
            sums.remove(&account.id).unwrap_or_default(),
            "{account:?}"
        );
        all += now;
    }
    assert!(sums.is_empty(), "entries of unknown accounts: {sums:?}");
    assert_eq!(all, total);
    for transfer in transfers(world).await {
        let mut found = sides.remove(&transfer.id.into()).unwrap_or_default();
        found.sort_unstable();
        let from = transfer.from_account_id.map(|id| (id, -transfer.amount));
        let to = transfer.to_account_id.map(|id| (id, transfer.amount));
        let mut expected: Vec<_> = from.into_iter().chain(to).collect();
        expected.sort_unstable();
        assert_eq!(found, expected, "{transfer:?}");
    }
    assert!(sides.is_empty(), "entries of unknown transfers: {sides:?}");
}

/// The transfers that a viewer sees of an account, newest first.
async fn shown(world: &World, by: &Viewer, account: &Account) -> Vec<Transfer> {
    let ids = [account.uuid()];
    let read = world.store.read();
    let pages = transfer::pages_of(&read, by, &first(200), &ids).await;
    let page = pages.expect("transfers can be read").remove(&ids[0]);
    let rows = page.expect("each account has a page").into_rows();
    let counts = transfer::counts_of(&read, by, &ids).await;
    let count = counts.expect("transfers can be counted").remove(&ids[0]);
    assert_eq!(count.unwrap_or_default(), rows.len() as u64);
    rows
}

fn invalid_at<T>(outcome: &Result<T>, field: &str) -> bool {
    matches!(outcome, Err(Error::Invalid(wrong))
        if wrong.len() == 1 && wrong[0].path == ["input", field])
}

fn not_found_at<T>(outcome: &Result<T>, field: &str) -> bool {
    matches!(outcome, Err(Error::NotFound { path }) if *path == ["input", field])
}

on_every_engine! {
    async fn an_account_is_opened_once_for_each_owner_and_currency(world) {
        let people = people(&world).await;
        let open = async |by: &plimsoll_domain::user::User, owner, currency| {
            open_account(&world.store, world.as_user(by), owner, currency).await
        };
        let (ada, grace) = (people.ada.id, people.grace.id);
        let opened = open(&people.ada, ada, "EUR").await.unwrap();
        assert_eq!((opened.owner_id, opened.currency.as_str(), opened.balance), (ada, "EUR", 0));
        assert_refused!(open(&people.ada, ada, "EUR").await, Error::AlreadyExists { field }
            if field == "currency");
        open(&people.ada, ada, "JPY").await.unwrap();
        open(&people.grace, grace, "EUR").await.unwrap();
        for other in [&people.grace, &people.moderator] {
            assert_refused!(open(other, ada, "USD").await, Error::Forbidden(_));
        }
        open(&people.admin, ada, "USD").await.unwrap();
        let nobody = Uuid::now_v7().into();
        let outcome = open(&people.admin, nobody, "USD").await;
        assert!(not_found_at(&outcome, "ownerId"), "{outcome:?}");
        let gone = world.user("gone", Role::User).await;
        gone.delete(&world.store, system(&world)).await.unwrap();
        let outcome = open(&people.admin, gone.id, "USD").await;
        assert!(not_found_at(&outcome, "ownerId"), "{outcome:?}");
        for wrong in ["", "eur", "EURO", "XYZ", "E", "€", "EUR\0"] {
            let outcome = open(&people.ada, ada, wrong).await;
            assert!(invalid_at(&outcome, "currency"), "{wrong:?}: {outcome:?}");
        }

        // A currency is free again once its account is deleted.
        let deleted = opened.delete(&world.store, world.as_user(&people.ada)).await.unwrap();
        let second = open(&people.ada, ada, "EUR").await.unwrap();
        assert_refused!(
            deleted.restore(&world.store, world.as_user(&people.ada)).await,
            Error::AlreadyExists { field } if field == "currency"
        );
        second.delete(&world.store, world.as_user(&people.ada)).await.unwrap();
        deleted.restore(&world.store, world.as_user(&people.ada)).await.unwrap();
    }

    async fn accounts_are_listed_to_their_owner_and_to_administrators(world) {
        let people = people(&world).await;
        let euro = account_with(&world, &people.ada, "EUR", 0).await;
        let yen = account_with(&world, &people.ada, "JPY", 0).await;
        let other = account_with(&world, &people.grace, "EUR", 0).await;
        let gone = account_with(&world, &people.ada, "USD", 0).await;
        let gone = gone.delete(&world.store, world.as_user(&people.ada)).await.unwrap();
        let read = world.store.read();
        for (by, scope, expected) in [
            (viewer(&people.ada), Scope::Live, vec![yen.id, euro.id]),
            (viewer(&people.ada), Scope::WithDeleted, vec![gone.id, yen.id, euro.id]),
            (viewer(&people.ada), Scope::OnlyDeleted, vec![gone.id]),
            (viewer(&people.grace), Scope::WithDeleted, vec![other.id]),
            (viewer(&people.moderator), Scope::WithDeleted, vec![]),
            (Viewer::Anonymous, Scope::WithDeleted, vec![]),
            (viewer(&people.admin), Scope::Live, vec![other.id, yen.id, euro.id]),
            (viewer(&people.admin), Scope::WithDeleted, vec![gone.id, other.id, yen.id, euro.id]),
        ] {
            let page = account::page(&read, Whole, &by, scope, &first(200)).await.unwrap();
            let ids: Vec<AccountId> = page.rows().iter().map(|row| row.id).collect();
            assert_eq!(ids, expected, "{by:?} {scope:?}");
            let count = account::count(&read, &by, scope).await.unwrap();
            assert_eq!(count, expected.len() as u64, "{by:?} {scope:?}");
        }
    }

    async fn an_account_with_money_in_it_is_not_deleted_nor_one_with_a_past_purged(world) {
        let people = people(&world).await;
        let by = || world.as_user(&people.ada);
        let account = account_with(&world, &people.ada, "EUR", 500).await;
        let refused = account.delete(&world.store, by()).await;
        assert_refused!(&refused, Error::Invalid(wrong) if wrong[0].path == ["input", "id"]
            && wrong[0].message == "There is 5.00 EUR in it.");
        // Whoever saw another version is told that.
        let mut stale = account.clone();
        stale.lock_version -= 1;
        assert_refused!(stale.delete(&world.store, by()).await, Error::Conflict { .. });
        // Nor does its owner go meanwhile.
        let refused = people.ada.delete(&world.store, system(&world)).await;
        assert_refused!(refused, Error::StillReferenced { .. });

        let to = account_with(&world, &people.grace, "EUR", 0).await;
        transfer_funds(&world.store, by(), account.id, to.id, 500).await.unwrap();
        let account = account.fresh(&world.store).await.unwrap();
        let deleted = account.delete(&world.store, by()).await.unwrap();
        let later = world.request_at(Viewer::System, World::beginning() + chrono::Duration::days(60));
        let refused = deleted.purge(&world.store, later).await;
        assert_refused!(&refused, Error::StillReferenced { record_type, ids, .. }
            if record_type == "transfer" && ids.len() == 1);
        let back = deleted.restore(&world.store, by()).await.unwrap();
        assert_eq!((back.balance, back.lock_version), (0, account.lock_version + 2));
        assert_eq!(shown(&world, &viewer(&people.ada), &back).await.len(), 2);
    }

    async fn a_deposit_is_an_administrators(world) {
        let people = people(&world).await;
        let account = account_with(&world, &people.ada, "EUR", 0).await;
        let put = async |by: &plimsoll_domain::user::User, amount| {
            deposit(&world.store, world.as_user(by), account.id, amount).await
        };
        assert_refused!(put(&people.ada, 1).await, Error::Forbidden(_));
        for stranger in [&people.grace, &people.moderator] {
            let outcome = put(stranger, 1).await;
            assert!(not_found_at(&outcome, "to"), "{outcome:?}");
        }
        for wrong in [0, -1, i64::MIN] {
            let outcome = put(&people.admin, wrong).await;
            assert!(invalid_at(&outcome, "amount"), "{outcome:?}");
        }
        let request = world.as_user(&people.admin);
        let done = deposit(&world.store, request, account.id, 7).await.unwrap();
        assert_eq!(
            (done.kind, done.from_account_id, done.to_account_id, done.amount),
            (Kind::Deposit, None, Some(account.id), 7)
        );
        assert_eq!((done.currency.as_str(), done.created_at), ("EUR", request.now));
        assert_eq!((done.actor_id, done.order_id), (Some(people.admin.id), None));
        assert_eq!(balance(&world, &account).await, 7);
        let full = put(&people.admin, i64::MAX - 6).await;
        assert!(invalid_at(&full, "amount"), "{full:?}");
        put(&people.admin, i64::MAX - 7).await.unwrap();
        assert_eq!(balance(&world, &account).await, i64::MAX);
        let missing = deposit(&world.store, world.as_user(&people.admin), Uuid::nil().into(), 1).await;
        assert!(not_found_at(&missing, "to"), "{missing:?}");
        let gone = account_with(&world, &people.grace, "EUR", 0).await;
        gone.delete(&world.store, system(&world)).await.unwrap();
        let missing = deposit(&world.store, world.as_user(&people.admin), gone.id, 1).await;
        assert!(not_found_at(&missing, "to"), "{missing:?}");
        is_conserved(&world, &[account], i64::MAX).await;
    }

    async fn a_transfer_moves_what_its_owner_has_and_nothing_else(world) {
        let people = people(&world).await;
        let from = account_with(&world, &people.ada, "EUR", 100).await;
        let to = account_with(&world, &people.grace, "EUR", 5).await;
        let yen = account_with(&world, &people.grace, "JPY", 0).await;
        let own_yen = account_with(&world, &people.ada, "JPY", 0).await;
        let gone = account_with(&world, &people.moderator, "EUR", 0).await;
        gone.delete(&world.store, system(&world)).await.unwrap();
        let go = async |by: &plimsoll_domain::user::User, from: AccountId, to: AccountId, amount| {
            transfer_funds(&world.store, world.as_user(by), from, to, amount).await
        };
        let ada = &people.ada;
        for wrong in [0, -1, i64::MIN] {
            let outcome = go(ada, from.id, to.id, wrong).await;
            assert!(invalid_at(&outcome, "amount"), "{outcome:?}");
        }
        let outcome = go(ada, from.id, from.id, 1).await;
        assert!(invalid_at(&outcome, "to"), "{outcome:?}");
        for missing in [Uuid::nil().into(), gone.id] {
            let outcome = go(ada, from.id, missing, 1).await;
            assert!(not_found_at(&outcome, "to"), "{outcome:?}");
            let outcome = go(ada, missing, to.id, 1).await;
            assert!(not_found_at(&outcome, "from"), "{outcome:?}");
        }
        for stranger in [&people.grace, &people.moderator] {
            let outcome = go(stranger, from.id, to.id, 1).await;
            assert!(not_found_at(&outcome, "from"), "{outcome:?}");
        }
        assert_refused!(go(&people.admin, from.id, to.id, 1).await, Error::Forbidden(_));
        for other in [&yen, &own_yen] {
            let outcome = go(ada, from.id, other.id, 1).await;
            assert!(invalid_at(&outcome, "to"), "{outcome:?}");
            assert_refused!(&outcome, Error::Invalid(wrong)
                if wrong[0].message.contains("JPY") && wrong[0].message.contains("EUR"));
        }
        for too_much in [101, i64::MAX] {
            let outcome = go(ada, from.id, to.id, too_much).await;
            assert_refused!(&outcome, Error::InsufficientFunds { path, account, balance }
                if *path == ["input", "amount"] && *account == from.uuid()
                && *balance == Money { amount: 100, currency: "EUR".into() });
        }
        assert_eq!(transfers(&world).await.len(), 2, "nothing is half done");

        let request = world.as_user(ada);
        let done = transfer_funds(&world.store, request, from.id, to.id, 100).await.unwrap();
        assert_eq!(
            (done.kind, done.from_account_id, done.to_account_id, done.amount, done.actor_id),
            (Kind::Transfer, Some(from.id), Some(to.id), 100, Some(ada.id))
        );
        assert_eq!((done.currency.as_str(), done.created_at), ("EUR", request.now));
        assert_refused!(go(ada, from.id, to.id, 1).await, Error::InsufficientFunds { balance, .. }
            if balance.amount == 0);
        assert_eq!((balance(&world, &from).await, balance(&world, &to).await), (0, 105));
        go(&people.grace, to.id, from.id, 55).await.unwrap();
        is_conserved(&world, &[from, to, yen, own_yen], 105).await;
    }

    async fn what_an_account_cannot_hold_stays_where_it_is(world) {
        let people = people(&world).await;
        let from = account_with(&world, &people.ada, "EUR", 2).await;
        let to = account_with(&world, &people.grace, "EUR", i64::MAX - 1).await;
        let by = || world.as_user(&people.ada);
        let outcome = transfer_funds(&world.store, by(), from.id, to.id, 2).await;
        assert!(invalid_at(&outcome, "amount"), "{outcome:?}");
        transfer_funds(&world.store, by(), from.id, to.id, 1).await.unwrap();
        assert_eq!(balance(&world, &to).await, i64::MAX);
        assert_eq!(balance(&world, &from).await, 1);
    }

    async fn a_transfer_is_seen_from_either_side_and_from_no_other(world) {
        let people = people(&world).await;
        let from = account_with(&world, &people.ada, "EUR", 9).await;
        let to = account_with(&world, &people.grace, "EUR", 0).await;
        let mut made = Vec::new();
        for amount in [1, 2, 3] {
            let by = world.as_user(&people.ada);
            made.push(transfer_funds(&world.store, by, from.id, to.id, amount).await.unwrap());
        }
        made.reverse();
        let id = made[0].id.0;
        let read = world.store.read();
        for by in [&people.ada, &people.grace, &people.admin].map(viewer) {
            let found = transfer::by_ids(&read, &by, &[id]).await.unwrap();
            assert_eq!(found.get(&id), Some(&made[0]), "{by:?}");
        }
        for by in [viewer(&people.moderator), Viewer::Anonymous] {
            assert!(transfer::by_ids(&read, &by, &[id]).await.unwrap().is_empty(), "{by:?}");
            for account in [&from, &to] {
                assert!(shown(&world, &by, account).await.is_empty(), "{by:?}");
            }
        }
        // Each sees the other's account from no side.
        assert_eq!(shown(&world, &viewer(&people.grace), &to).await, made);
        assert!(shown(&world, &viewer(&people.grace), &from).await.is_empty());
        assert_eq!(shown(&world, &viewer(&people.admin), &to).await, made);
        let of_from = shown(&world, &viewer(&people.ada), &from).await;
        assert_eq!((of_from.len(), &of_from[..3]), (4, &made[..]));

        // A deleted account's owner sees what it was.
        let by = world.as_user(&people.grace);
        transfer_funds(&world.store, by, to.id, from.id, 6).await.unwrap();
        let to = to.fresh(&world.store).await.unwrap();
        let by = world.as_user(&people.grace);
        let to = to.delete(&world.store, by).await.unwrap();
        assert_eq!(shown(&world, &viewer(&people.grace), &to).await.len(), 4);
        let found = transfer::by_ids(&read, &viewer(&people.grace), &[id]).await.unwrap();
        assert_eq!(found.len(), 1);
    }

    async fn the_transfers_of_many_accounts_take_two_statements_and_page_both_ways(world) {
        let people = people(&world).await;
        let from = account_with(&world, &people.ada, "EUR", 100).await;
        let mut accounts = vec![from.clone()];
        for n in 0..4 {
            let user = world.user(&format!("user{n}"), Role::User).await;
            let to = account_with(&world, &user, "EUR", 0).await;
            for _ in 0..n {
                let by = world.as_user(&people.ada);
                transfer_funds(&world.store, by, from.id, to.id, 1).await.unwrap();
            }
            accounts.push(to);
        }
        let ids: Vec<Uuid> = accounts.iter().map(Life::uuid).collect();
        let read = world.store.read();
        for by in [viewer(&people.admin), viewer(&people.ada)] {
            for these in [&ids[..1], &ids] {
                world.statements.take();
                let pages = transfer::pages_of(&read, &by, &first(2), these).await.unwrap();
                let ran = world.statements.take();
                assert_eq!((ran.len(), pages.len()), (2, these.len()), "{ran:#?}");
                transfer::counts_of(&read, &by, these).await.unwrap();
                assert_eq!(world.statements.take().len(), 1);
            }
        }
        // A cursor is a place in this list, of whichever account.
        let by = viewer(&people.ada);
        let all = shown(&world, &by, &from).await;
        assert_eq!(all.len(), 7);
        let mut arguments = first(3);
        let mut found = Vec::new();
        loop {
            let pages = transfer::pages_of(&read, &by, &arguments, &ids[..1]).await;
            let page = pages.unwrap().remove(&ids[0]).unwrap();
            assert_eq!(page.has_previous, Some(!found.is_empty()));
            arguments.after = page.end_cursor().map(|cursor| cursor.to_string());
            found.extend_from_slice(page.rows());
            if page.has_next == Some(false) {
                break;
            }
        }
        assert_eq!(found, all);
    }

    async fn a_transfer_is_audited_on_both_sides_and_takes_as_many_statements_as_its_parts(world) {
        let people = people(&world).await;
        let from = account_with(&world, &people.ada, "EUR", 9).await;
        let to = account_with(&world, &people.grace, "EUR", 0).await;
        world.statements.take();
        let request = world.as_user(&people.ada);
        transfer_funds(&world.store, request, from.id, to.id, 4).await.unwrap();
        let ran = world.statements.take();
        // The viewer; both accounts locked, then written; the transfer, its entries, the log.
        let read_back = usize::from(world.engine == Engine::MariaDb);
        assert_eq!(ran.len(), 6 + read_back, "{ran:#?}");
        for (account, before, after) in [(&from, 9, 5), (&to, 0, 4)] {
            let log = audit_of(&world.store, account.uuid()).await;
            let last = log.last().unwrap();
            assert_eq!(
                (last.action.as_str(), last.from_version, last.to_version),
                ("update", Some(account.lock_version), Some(account.lock_version + 1))
            );
            assert_eq!(last.actor_id, Some(people.ada.uuid()));
            assert_eq!(last.request_id, Some(request.id));
            assert_eq!(last.changes["balance"], serde_json::json!([before, after]));
            let now = account.fresh(&world.store).await.unwrap();
            assert_eq!((now.balance, now.lock_version), (after, account.lock_version + 1));
            let mut of_this = entries(&world).await;
            of_this.retain(|entry| entry.account_id == account.id);
            of_this.sort_by_key(|entry| entry.created_at);
            let last = of_this.last().unwrap();
            assert_eq!((last.amount, last.balance), (after - before, after));
            assert_eq!(last.created_at, request.now);
        }
    }

    async fn money_is_conserved_under_many_transfers_at_once(world) {
        const SEED: u64 = 4;
        let mut accounts = Vec::new();
        let mut owners = Vec::new();
        for n in 0..8 {
            let owner = world.user(&format!("owner{n}"), Role::User).await;
            accounts.push(account_with(&world, &owner, "EUR", 100).await);
            owners.push(owner);
        }
        let mut random = rand::rngs::StdRng::seed_from_u64(SEED);
        let tasks = (0..64).map(|_| {
            let from = random.random_range(0..8);
            let to = (from + random.random_range(1..8)) % 8;
            let amount = random.random_range(1..60);
            let (store, request) = (world.store.clone(), world.as_user(&owners[from]));
            let (from, to) = (accounts[from].id, accounts[to].id);
            task(async move { transfer_funds(&store, request, from, to, amount).await })
        });
        let outcomes = at_once(tasks.collect()).await;
        let made = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        for outcome in &outcomes {
            assert!(
                matches!(outcome, Ok(_) | Err(Error::InsufficientFunds { .. })),
                "seed {SEED}: {outcome:?}"
            );
        }
        assert!(made > 32, "seed {SEED}: {made}");
        assert_eq!(transfers(&world).await.len(), made + 8);
        is_conserved(&world, &accounts, 800).await;
        for account in &accounts {
            let now = account.fresh(&world.store).await.unwrap();
            let log = audit_of(&world.store, account.uuid()).await;
            assert_eq!(log.len() as i32, now.lock_version + 1);
        }
    }

    async fn what_is_there_for_twenty_is_paid_out_twenty_times(world) {
        let people = people(&world).await;
        let from = account_with(&world, &people.ada, "EUR", 100).await;
        let to = account_with(&world, &people.grace, "EUR", 0).await;
        let tasks = (0..64).map(|_| {
            let (store, request) = (world.store.clone(), world.as_user(&people.ada));
            let (from, to) = (from.id, to.id);
            task(async move { transfer_funds(&store, request, from, to, 5).await })
        });
        let outcomes = at_once(tasks.collect()).await;
        let made = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(made, 20, "{outcomes:?}");
        for outcome in outcomes.into_iter().filter(Result::is_err) {
            assert_refused!(outcome, Error::InsufficientFunds { balance, .. } if balance.amount == 0);
        }
        is_conserved(&world, &[from, to], 100).await;
    }

    async fn no_money_comes_to_an_account_that_is_deleted_at_that_moment(world) {
        let people = people(&world).await;
        let from = account_with(&world, &people.ada, "EUR", 100).await;
        let mut accounts = vec![from.clone()];
        let mut total = 100;
        for round in 0..12 {
            let owner = world.user(&format!("owner{round}"), Role::User).await;
            let to = account_with(&world, &owner, "EUR", 0).await;
            let mut tasks = Vec::new();
            for _ in 0..2 {
                let (store, request) = (world.store.clone(), world.as_user(&people.ada));
                let (from, to) = (from.id, to.id);
                tasks.push(task(async move {
                    transfer_funds(&store, request, from, to, 1).await.map(|_| ())
                }));
            }
            let (store, request) = (world.store.clone(), world.as_user(&people.admin));
            let id = to.id;
            tasks.push(task(async move { deposit(&store, request, id, 1).await.map(|_| ()) }));
            let (store, request, this) = (world.store.clone(), world.as_user(&owner), to.clone());
            tasks.insert(round % 4, task(async move { this.delete(&store, request).await.map(|_| ()) }));
            let mut outcomes = at_once(tasks).await;
            let deleted = outcomes.remove(round % 4);
            if deleted.is_ok() {
                for outcome in &outcomes {
                    assert!(not_found_at(outcome, "to"), "{outcome:?}");
                }
                assert_eq!(balance(&world, &to).await, 0);
            } else {
                assert_refused!(deleted, Error::Conflict { .. });
                assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
                assert_eq!(balance(&world, &to).await, 3);
                total += 1;
            }
            accounts.push(to);
        }
        is_conserved(&world, &accounts, total).await;
    }
}
