use plimsoll_records::{Adjustment, BatchRefused, Fault, Refused, Version};
use plimsoll_testkit::{Engine, on_every_engine};
use sea_orm::{
    ColumnTrait,
    sea_query::{Condition, Expr, ExprTrait},
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    shelf::{Column, Entity, Shelf, shelves},
    support::*,
};

type Outcome = Result<Shelf, Refused<Entity>>;

const WRITERS: usize = 64;

/// Takes pieces from a shelf, if there are as many.
fn take(id: Uuid, n: i64) -> Adjustment<Entity> {
    Adjustment::of(id)
        .add(Column::Quantity, -n)
        .only_if(Column::Quantity.gte(n))
}

on_every_engine! {
    async fn of_sixty_four_takers_as_many_succeed_as_there_are_pieces(world) {
        const PIECES: usize = 40;
        let shelves = shelves(&world).await;
        let shelf = shelves.add(&world, "a", PIECES as i64).await;
        let tasks = (0..WRITERS).map(|_| {
            let (database, id) = (shelves.database.clone(), shelf.id);
            let writer = plimsoll_records::Writer::system(system(&world).now);
            task(async move {
                database.write(writer, move |tx| Box::pin(take(id, 1).apply(tx))).await
            })
        });
        let outcomes: Vec<Outcome> = at_once(tasks.collect()).await;
        let mut versions = Vec::new();
        for outcome in outcomes {
            match outcome {
                // Each answers with the row as its own statement left it.
                Ok(shelf) => {
                    assert_eq!(shelf.quantity, PIECES as i64 - i64::from(shelf.lock_version));
                    versions.push(shelf.lock_version);
                }
                unmet => assert_refused!(unmet, Refused::Unmet(shelf) if shelf.quantity == 0),
            }
        }
        versions.sort_unstable();
        assert_eq!(versions, (1..=PIECES as i32).collect::<Vec<_>>());
        let now = shelves.fresh(shelf.id).await;
        assert_eq!((now.quantity, now.lock_version), (0, PIECES as i32));

        let audit = audit_of(&world.store, shelf.id).await;
        assert_eq!(audit.len(), 1 + PIECES);
        for (n, entry) in audit.iter().skip(1).enumerate() {
            let (n, left) = (n as i32, (PIECES - n) as i64);
            assert_eq!((entry.from_version, entry.to_version), (Some(n), Some(n + 1)));
            assert_eq!(entry.changes, json!({ "quantity": [left, left - 1] }));
        }
    }

    async fn of_sixty_four_writers_with_expected_versions_none_is_lost(world) {
        let shelves = shelves(&world).await;
        let shelf = shelves.add(&world, "a", 0).await;
        let tasks = (0..WRITERS).map(|n| {
            let (database, id) = (shelves.database.clone(), shelf.id);
            let writer = plimsoll_records::Writer::system(system(&world).now);
            task(async move {
                // Half of them look first, the others saw it when it was new.
                let seen = if n % 2 == 0 {
                    let rows = plimsoll_records::Rows::<Entity>::live();
                    let found = rows.by_ids(&[id], &database.read()).await.unwrap();
                    Version(found[&id].lock_version)
                } else {
                    Version(0)
                };
                let change = Adjustment::<Entity>::of(id).add(Column::Quantity, 3).seen(seen);
                let done: Outcome =
                    database.write(writer, move |tx| Box::pin(change.apply(tx))).await;
                if let Ok(shelf) = &done {
                    assert_eq!(shelf.lock_version, seen.0 + 1);
                }
                done
            })
        });
        let outcomes: Vec<Outcome> = at_once(tasks.collect()).await;
        let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert!(won > 0);
        for lost in outcomes.into_iter().filter(|outcome| outcome.is_err()) {
            assert_refused!(lost, Refused::Conflict { seen, current } if current.lock_version > seen.0);
        }
        let now = shelves.fresh(shelf.id).await;
        assert_eq!(now.lock_version as usize, won, "each success is one version");
        assert_eq!(now.quantity as usize, 3 * won, "and one effect");
        assert_eq!(audit_of(&world.store, shelf.id).await.len(), 1 + won);
    }

    async fn a_refusal_tells_unmet_from_conflict_from_deleted_from_not_there(world) {
        let shelves = shelves(&world).await;
        let shelf = shelves.add(&world, "a", 5).await;
        let gone = shelves.add(&world, "b", 5).await;
        let gone = shelves.delete(&world, &gone).await;
        let before = audit_count(&world.store).await;
        let apply = async |change: Adjustment<Entity>| -> Outcome {
            layer!(shelves.database, world, |tx| change.apply(tx))
        };
        assert_refused!(apply(take(shelf.id, 6)).await, Refused::Unmet(now) if **now == shelf);
        assert_refused!(apply(take(gone.id, 1)).await, Refused::Deleted(now) if **now == gone);
        assert_refused!(apply(take(Uuid::now_v7(), 1)).await, Refused::NotFound);
        let stale = take(shelf.id, 6).seen(Version(1));
        assert_refused!(
            apply(stale).await,
            Refused::Conflict { seen: Version(1), current } if **current == shelf
        );
        let at_its_version = take(shelf.id, 6).seen(Version(0));
        assert_refused!(apply(at_its_version).await, Refused::Unmet(_));
        assert_eq!(shelves.fresh(shelf.id).await, shelf);
        assert_eq!(shelves.fresh(gone.id).await, gone);
        assert_eq!(audit_count(&world.store).await, before);

        shelves.statements.take();
        let now = apply(take(shelf.id, 5).seen(Version(0))).await.unwrap();
        assert_eq!((now.quantity, now.lock_version), (0, 1));
        // One UPDATE, and the audit row; without RETURNING the row is read while it is locked.
        let expected = if world.engine == Engine::MariaDb { 3 } else { 2 };
        let ran = shelves.statements.take();
        assert_eq!(ran.len(), expected, "{ran:#?}");
    }

    async fn a_condition_never_reaches_beyond_the_one_live_record(world) {
        let shelves = shelves(&world).await;
        let shelf = shelves.add(&world, "a", 1).await;
        let other = shelves.add(&world, "b", 1).await;
        let gone = shelves.add(&world, "c", 1).await;
        let gone = shelves.delete(&world, &gone).await;
        let anything = || Condition::any().add(Column::Quantity.eq(1)).add(Expr::val(1).eq(1));
        for (id, changes) in [(shelf.id, true), (gone.id, false)] {
            let change = Adjustment::<Entity>::of(id).add(Column::Quantity, 1).only_if(anything());
            let outcome: Outcome = layer!(shelves.database, world, |tx| change.apply(tx));
            assert_eq!(outcome.is_ok(), changes, "{outcome:?}");
        }
        assert_eq!(shelves.fresh(other.id).await, other);
        assert_eq!(shelves.fresh(gone.id).await, gone);
    }

    async fn a_sum_beyond_what_the_column_holds_is_not_met(world) {
        let shelves = shelves(&world).await;
        let most = shelves.add(&world, "most", i64::MAX - 1).await;
        let least = shelves.add(&world, "least", i64::MIN + 1).await;
        let apply = async |id, column, by| -> Outcome {
            let change = Adjustment::<Entity>::of(id).add(column, by);
            layer!(shelves.database, world, |tx| change.apply(tx))
        };
        for by in [2, i64::MAX] {
            assert_refused!(apply(most.id, Column::Quantity, by).await, Refused::Unmet(_), "{by}");
        }
        for by in [-2, i64::MIN] {
            assert_refused!(apply(least.id, Column::Quantity, by).await, Refused::Unmet(_), "{by}");
        }
        for by in [i64::from(i32::MAX) - 9, i64::MAX, i64::MIN] {
            assert_refused!(apply(most.id, Column::Places, by).await, Refused::Unmet(_), "{by}");
        }
        assert_eq!(apply(most.id, Column::Quantity, 1).await.unwrap().quantity, i64::MAX);
        assert_eq!(apply(least.id, Column::Quantity, -1).await.unwrap().quantity, i64::MIN);
        let now = apply(most.id, Column::Places, i64::from(i32::MAX) - 10).await.unwrap();
        assert_eq!(now.places, i32::MAX);
    }

    async fn of_sixty_four_that_replace_one_value_exactly_one_succeeds(world) {
        let shelves = shelves(&world).await;
        let shelf = shelves.add(&world, "open", 0).await;
        let tasks = (0..WRITERS).map(|n| {
            let (database, id) = (shelves.database.clone(), shelf.id);
            let writer = plimsoll_records::Writer::system(system(&world).now);
            let change = Adjustment::<Entity>::of(id)
                .replace(Column::Code, "open", format!("taken by {n}"))
                .add(Column::Places, 1);
            task(async move {
                database.write(writer, move |tx| Box::pin(change.apply(tx))).await
            })
        });
        let outcomes: Vec<Outcome> = at_once(tasks.collect()).await;
        let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1, "{lost:?}");
        let winner = won.into_iter().next().unwrap().unwrap();
        for lost in lost {
            assert_refused!(lost, Refused::Unmet(now) if **now == winner);
        }
        assert_eq!((winner.places, winner.lock_version), (11, 1));
        let last = audit_of(&world.store, shelf.id).await.pop().unwrap();
        assert_eq!(last.changes, json!({ "code": ["open", winner.code], "places": [10, 11] }));
    }

    async fn sixty_four_moves_between_shelves_never_wait_for_each_other_in_a_ring(world) {
        const SHELVES: usize = 4;
        let shelves = shelves(&world).await;
        let mut ids = Vec::new();
        for n in 0..SHELVES {
            ids.push(shelves.add(&world, &format!("{n}"), 20).await.id);
        }
        let tasks = (0..WRITERS).map(|n| {
            let database = shelves.database.clone();
            // As many go up as down.
            let (from, to) = (ids[n % SHELVES], ids[(n + 1 + n / SHELVES % 3) % SHELVES]);
            let writer = plimsoll_records::Writer::system(system(&world).now);
            let both = vec![take(from, 1), Adjustment::of(to).add(Column::Quantity, 1)];
            task(async move {
                database
                    .write(writer, move |tx| Box::pin(Adjustment::apply_all(both, tx)))
                    .await
            })
        });
        let outcomes: Vec<Result<Vec<Shelf>, BatchRefused<Entity>>> =
            at_once(tasks.collect()).await;
        for outcome in &outcomes {
            assert!(outcome.is_ok(), "nobody deadlocks: {outcome:?}");
        }
        let (mut sum, mut versions) = (0, 0);
        for id in ids {
            let now = shelves.fresh(id).await;
            sum += now.quantity;
            versions += now.lock_version;
        }
        assert_eq!(sum, 20 * SHELVES as i64, "nothing appears or vanishes");
        assert_eq!(versions, 2 * WRITERS as i32);
    }

    async fn of_several_changes_one_that_is_refused_is_named_and_none_is_made(world) {
        let shelves = shelves(&world).await;
        let a = shelves.add(&world, "a", 1).await;
        let b = shelves.add(&world, "b", 1).await;
        let before = audit_count(&world.store).await;
        let (first, second) = (a.id, b.id);
        // Named in the other order than that of their ids: `a` is changed before `b` is refused.
        let outcome: Result<Vec<Shelf>, Fault> = layer!(shelves.database, world, |tx| async {
            let changes = vec![take(second, 2), take(first, 1)];
            let refused = Adjustment::apply_all(changes, tx).await;
            let Err(BatchRefused::Item { index: 0, id, reason }) = refused else {
                panic!("{refused:?}")
            };
            assert_eq!(id, second);
            assert!(matches!(*reason, Refused::Unmet(_)), "{reason:?}");
            // The transaction goes on as if they had not been tried.
            Adjustment::apply_all(vec![take(second, 1)], tx)
                .await
                .map_err(|refused| panic!("{refused:?}"))
        });
        assert_eq!(outcome.unwrap().len(), 1);
        assert_eq!(shelves.fresh(a.id).await, a);
        let b = shelves.fresh(b.id).await;
        assert_eq!((b.quantity, b.lock_version), (0, 1));
        assert_eq!(audit_count(&world.store).await, before + 1);
    }
}
