use plimsoll_records::{Fault, Refused, Rows, Timing, Upserted, WhenDeleted};
use plimsoll_testkit::on_every_engine;
use sea_orm::ActiveValue::Set;
use serde_json::json;

use crate::{
    shelf::{ActiveModel, Column, Entity, Shelf, Shelves, new_shelf, shelves},
    support::*,
};

type Outcome = Result<Upserted<Shelf>, Refused<Entity>>;

async fn upsert(
    shelves: &Shelves,
    world: &plimsoll_testkit::World,
    row: ActiveModel,
    when_deleted: WhenDeleted,
) -> Outcome {
    layer!(shelves.database, world, |tx| tx.upsert::<Entity>(
        Column::Code,
        row,
        when_deleted
    ))
}

on_every_engine! {
    async fn an_upsert_creates_then_updates_then_leaves_what_is_as_it_should_be(world) {
        let shelves = shelves(&world).await;
        let run = async |quantity| {
            upsert(&shelves, &world, new_shelf("a", quantity), WhenDeleted::Refuse).await.unwrap()
        };
        let Upserted::Created(created) = run(1).await else { panic!("nobody had it") };
        assert_eq!((created.lock_version, created.quantity), (0, 1));
        let updated = run(2).await;
        let Upserted::Updated(now) = updated.clone() else { panic!("{updated:?}") };
        assert_eq!((now.id, now.lock_version, now.quantity), (created.id, 1, 2));
        assert_eq!(run(2).await, Upserted::Updated(now.clone()), "a version counts changes");
        assert_eq!(shelves.fresh(created.id).await, now);
        let audit = audit_of(&world.store, created.id).await;
        assert_eq!(audit.len(), 2);
        assert_eq!(audit[1].changes, json!({ "quantity": [1, 2] }));
    }

    async fn a_deleted_holder_of_the_key_is_refused_or_revived_as_declared(world) {
        let shelves = shelves(&world).await;
        let old = shelves.add(&world, "a", 1).await;
        let old = shelves.delete(&world, &old).await;
        let last = shelves.add(&world, "a", 2).await;
        let last = shelves.delete(&world, &last).await;
        let before = audit_count(&world.store).await;
        let refused = upsert(&shelves, &world, new_shelf("a", 3), WhenDeleted::Refuse).await;
        assert_refused!(refused, Refused::Deleted(holder) if **holder == last);
        assert_eq!(shelves.fresh(last.id).await, last);
        assert_eq!(audit_count(&world.store).await, before);

        let revived = upsert(&shelves, &world, new_shelf("a", 3), WhenDeleted::Revive).await;
        let Ok(Upserted::Revived(now)) = revived else { panic!("{revived:?}") };
        assert_eq!((now.id, now.quantity, now.deleted_at), (last.id, 3, None));
        assert_eq!(now.lock_version, last.lock_version + 2, "it was restored and changed");
        assert_eq!(shelves.fresh(last.id).await, now);
        assert_eq!(shelves.fresh(old.id).await, old, "the one that was deleted last, alone");
        let told: Vec<_> = audit_of(&world.store, last.id).await.into_iter()
            .map(|entry| entry.action)
            .collect();
        assert_eq!(told, ["create", "delete", "restore", "update"]);
        let restored = deletion(&world, last.deletion_id.unwrap()).await.restored_at;
        assert!(restored.is_some());

        // A live holder comes before deleted ones.
        let again = upsert(&shelves, &world, new_shelf("a", 4), WhenDeleted::Refuse).await;
        assert!(matches!(&again, Ok(Upserted::Updated(shelf)) if shelf.id == last.id), "{again:?}");
    }

    async fn of_thirty_two_upserts_at_once_exactly_one_creates(world) {
        const WRITERS: i64 = 32;
        let shelves = shelves(&world).await;
        let tasks = (1..=WRITERS).map(|n| {
            let database = shelves.database.clone();
            let writer = plimsoll_records::Writer::system(system(&world).now);
            task(async move {
                for _ in 0..50 {
                    let row = new_shelf("a", n);
                    let outcome: Outcome = database.write(writer.clone(), move |tx| {
                        Box::pin(tx.upsert::<Entity>(Column::Code, row, WhenDeleted::Refuse))
                    }).await;
                    match outcome {
                        // MariaDB may choose one of several that met the same new row.
                        Err(Refused::Fault(Fault::Transient(Timing::Contention))) => {}
                        outcome => return outcome,
                    }
                }
                panic!("nobody loses fifty times")
            })
        });
        let outcomes = at_once(tasks.collect()).await;
        let created = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Upserted::Created(_))));
        assert_eq!(created.count(), 1, "{outcomes:?}");
        let updated = outcomes.iter().filter(|outcome| matches!(outcome, Ok(Upserted::Updated(_))));
        assert_eq!(updated.count() as i64, WRITERS - 1, "{outcomes:?}");
        let there = Rows::<Entity>::with_deleted().all(10, &shelves.database.read()).await.unwrap();
        assert_eq!(there.len(), 1);
        assert_eq!(i64::from(there[0].lock_version), WRITERS - 1, "no write is lost");
    }

    async fn an_upsert_that_is_overtaken_updates_and_its_transaction_goes_on(world) {
        let shelves = shelves(&world).await;
        let (is_there, wait) = tokio::sync::oneshot::channel();
        let is_there = Once::new(is_there);
        let database = shelves.database.clone();
        let writer = plimsoll_records::Writer::system(system(&world).now);
        let ahead = task(async move {
            let made: Outcome = database.write(writer, move |tx| Box::pin(async move {
                let made = tx.create::<Entity>(new_shelf("a", 1)).await?;
                is_there.take().send(()).expect("the other one waits");
                // The other one finds nobody, tries to create, and waits for this to end.
                tokio::time::sleep(std::time::Duration::from_millis(500)).await;
                Ok(Upserted::Created(made))
            })).await;
            made
        });
        let database = shelves.database.clone();
        let writer = plimsoll_records::Writer::system(system(&world).now);
        let overtaken = task(async move {
            wait.await.expect("the other one is ahead");
            database.write(writer, move |tx| Box::pin(async move {
                tx.create::<Entity>(new_shelf("before", 1)).await?;
                let row = new_shelf("a", 2);
                let done = tx.upsert::<Entity>(Column::Code, row, WhenDeleted::Refuse).await?;
                tx.create::<Entity>(new_shelf("after", 1)).await?;
                Ok(done)
            })).await
        });
        let outcomes = at_once(vec![ahead, overtaken]).await;
        let (Ok(made), Ok(Upserted::Updated(now))) = (&outcomes[0], &outcomes[1]) else {
            panic!("{outcomes:?}")
        };
        assert_eq!(now.id, made.clone().into_inner().id);
        assert_eq!((now.lock_version, now.quantity), (1, 2));
        let there = Rows::<Entity>::live().all(10, &shelves.database.read()).await.unwrap();
        assert_eq!(there.len(), 3, "{there:?}");
        assert_eq!(audit_of(&world.store, now.id).await.len(), 2, "no creation is told that was not");
    }

    async fn a_value_of_another_column_that_is_taken_is_a_duplicate_of_that_column(world) {
        let shelves = shelves(&world).await;
        let taken = shelves.add(&world, "a", 1).await;
        let row = ActiveModel { label: Set(taken.label.clone()), ..new_shelf("b", 2) };
        let refused = upsert(&shelves, &world, row, WhenDeleted::Revive).await;
        assert_refused!(
            refused,
            Refused::Fault(Fault::Duplicate(place)) if place.column == "label"
        );
        let keyless = ActiveModel { code: sea_orm::NotSet, ..new_shelf("b", 2) };
        let refused = upsert(&shelves, &world, keyless, WhenDeleted::Refuse).await;
        assert_refused!(refused, Refused::Fault(Fault::Internal(_)));
        assert_eq!(shelves.fresh(taken.id).await, taken);
    }
}
