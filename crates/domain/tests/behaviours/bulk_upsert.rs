use std::time::Duration;

use plimsoll_entity::post;
use plimsoll_records::{
    Fault, MAX_BATCH, OnConflict, Refused, Rows, Timing, UpsertRefused, Upserted, WhenDeleted,
};
use plimsoll_testkit::{Engine, World, on_every_engine};
use sea_orm::{ActiveValue::Set, ColumnTrait};
use serde_json::json;
use uuid::Uuid;

use crate::{
    shelf::{ActiveModel, Column, Entity, Shelf, Shelves, new_shelf, shelves},
    support::*,
};

type Outcome = Result<Vec<Upserted<Shelf>>, UpsertRefused<Entity>>;

async fn upsert(
    shelves: &Shelves,
    world: &World,
    rows: Vec<ActiveModel>,
    on_conflict: OnConflict,
    when_deleted: WhenDeleted,
) -> Outcome {
    layer!(shelves.database, world, |tx| tx.upsert_many::<Entity>(
        Column::Code,
        rows,
        on_conflict,
        when_deleted,
    ))
}

/// Shelves with these codes and as many pieces.
fn rows(codes: &[(&str, i64)]) -> Vec<ActiveModel> {
    let row = |(code, quantity): &(&str, i64)| new_shelf(code, *quantity);
    codes.iter().map(row).collect()
}

/// What happened to a shelf, its code, its pieces and its version.
fn told(upserted: &Upserted<Shelf>) -> (&'static str, &str, i64, i32) {
    let (what, shelf) = match upserted {
        Upserted::Created(shelf) => ("created", shelf),
        Upserted::Updated(shelf) => ("updated", shelf),
        Upserted::Revived(shelf) => ("revived", shelf),
        Upserted::Skipped(shelf) => ("skipped", shelf),
    };
    (what, &shelf.code, shelf.quantity, shelf.lock_version)
}

async fn all(shelves: &Shelves) -> Vec<Shelf> {
    let rows = Rows::<Entity>::with_deleted();
    rows.all(10_000, &shelves.database.read())
        .await
        .expect("shelves can be read")
}

/// What the audit log says was done to a record, oldest first.
async fn deeds(world: &World, id: Uuid) -> Vec<String> {
    let entries = audit_of(&world.store, id).await.into_iter();
    entries.map(|entry| entry.action).collect()
}

on_every_engine! {
    async fn each_row_is_created_changed_or_left_alone_and_answered_in_its_place(world) {
        let shelves = shelves(&world).await;
        let differs = shelves.add(&world, "differs", 1).await;
        let same = shelves.add(&world, "same", 2).await;
        let gone = shelves.add(&world, "gone", 3).await;
        let gone = shelves.delete(&world, &gone).await;
        let before = audit_count(&world.store).await;
        let wanted = || rows(&[("z", 5), ("gone", 6), ("differs", 7), ("a", 8), ("same", 2)]);

        let done = upsert(&shelves, &world, wanted(), OnConflict::Update, WhenDeleted::Revive).await;
        let done = done.unwrap();
        assert_eq!(done.iter().map(told).collect::<Vec<_>>(), [
            ("created", "z", 5, 0),
            ("revived", "gone", 6, 3),
            ("updated", "differs", 7, 1),
            ("created", "a", 8, 0),
            ("updated", "same", 2, 0),
        ]);
        for upserted in &done {
            let shelf = upserted.clone().into_inner();
            assert_eq!(shelves.fresh(shelf.id).await, shelf, "what is answered is what is there");
        }
        let ids: Vec<Uuid> = done.into_iter().map(|upserted| upserted.into_inner().id).collect();
        assert_eq!([ids[1], ids[2], ids[4]], [gone.id, differs.id, same.id]);
        assert!(ids[0] < ids[3], "ids are in the order of the rows");
        assert_eq!(all(&shelves).await.len(), 5);
        assert_eq!(deeds(&world, ids[0]).await, ["create"]);
        assert_eq!(deeds(&world, gone.id).await, ["create", "delete", "restore", "update"]);
        assert_eq!(deeds(&world, same.id).await, ["create"]);
        let update = audit_of(&world.store, differs.id).await.pop().unwrap();
        assert_eq!(update.changes, json!({ "quantity": [1, 7] }));
        assert_eq!(audit_count(&world.store).await, before + 5, "one for each change");
        let restored = deletion(&world, gone.deletion_id.unwrap()).await.restored_at;
        assert!(restored.is_some());

        // The same again changes nothing.
        let again = upsert(&shelves, &world, wanted(), OnConflict::Update, WhenDeleted::Refuse).await;
        let again = again.unwrap();
        let versions: Vec<i32> = again.iter().map(|upserted| told(upserted).3).collect();
        assert_eq!(versions, [0, 3, 1, 0, 0]);
        assert!(again.iter().all(|upserted| told(upserted).0 == "updated"));
        assert_eq!(audit_count(&world.store).await, before + 5);
        assert!(upsert(&shelves, &world, Vec::new(), OnConflict::Fail, WhenDeleted::Refuse)
            .await.unwrap().is_empty());
    }

    async fn what_is_live_is_skipped_and_what_is_deleted_left_as_declared(world) {
        let shelves = shelves(&world).await;
        let live = shelves.add(&world, "live", 1).await;
        let first = shelves.add(&world, "gone", 2).await;
        let first = shelves.delete(&world, &first).await;
        let last = shelves.add(&world, "gone", 3).await;
        let last = shelves.delete(&world, &last).await;
        let done = upsert(
            &shelves, &world, rows(&[("gone", 4), ("live", 5)]), OnConflict::Skip, WhenDeleted::Create,
        ).await.unwrap();
        let [Upserted::Created(made), Upserted::Skipped(left)] = done.as_slice() else {
            panic!("{done:?}")
        };
        assert_eq!(left, &live);
        assert_eq!(shelves.fresh(live.id).await, live);
        assert!(made.id != first.id && made.id != last.id && made.quantity == 4);
        assert_eq!(shelves.fresh(first.id).await, first);
        assert_eq!(shelves.fresh(last.id).await, last);

        // Of several deleted ones the one that was deleted last comes back, alone.
        let made = shelves.delete(&world, made).await;
        let done = upsert(
            &shelves, &world, rows(&[("gone", 4)]), OnConflict::Skip, WhenDeleted::Revive,
        ).await.unwrap();
        assert_eq!(told(&done[0]), ("revived", "gone", 4, 2), "restored, and already as wanted");
        assert_eq!(done[0].clone().into_inner().id, made.id);
        assert_eq!(shelves.fresh(first.id).await, first);
        assert_eq!(shelves.fresh(last.id).await, last);

        // One row alone, likewise.
        shelves.delete(&world, &done[0].clone().into_inner()).await;
        let beside = layer!(shelves.database, world, |tx| tx.upsert::<Entity>(
            Column::Code, new_shelf("gone", 5), WhenDeleted::Create
        ));
        let Ok(Upserted::Created(beside)) = beside else { panic!("{beside:?}") };
        assert_eq!((beside.lock_version, beside.quantity), (0, 5));
        assert!(shelves.fresh(made.id).await.deleted_at.is_some());
    }

    async fn what_cannot_be_is_named_and_nothing_is_changed(world) {
        let shelves = shelves(&world).await;
        let live = shelves.add(&world, "live", 1).await;
        let gone = shelves.add(&world, "gone", 2).await;
        let gone = shelves.delete(&world, &gone).await;
        let there = all(&shelves).await;
        let before = audit_count(&world.store).await;
        let run = async |codes: &[(&str, i64)], on_conflict, when_deleted| {
            upsert(&shelves, &world, rows(codes), on_conflict, when_deleted).await
        };
        let refused = run(&[("a", 1), ("live", 2)], OnConflict::Fail, WhenDeleted::Create).await;
        assert_refused!(refused, UpsertRefused::Taken { index: 1, holder } if **holder == live);
        let wanted = [("a", 1), ("live", 2), ("gone", 3)];
        let refused = run(&wanted, OnConflict::Update, WhenDeleted::Refuse).await;
        assert_refused!(refused, UpsertRefused::Item { index: 2, reason }
            if matches!(&**reason, Refused::Deleted(holder) if **holder == gone));
        let wanted = [("a", 1), ("b", 1), ("live", 2), ("b", 3), ("a", 1)];
        let refused = run(&wanted, OnConflict::Update, WhenDeleted::Refuse).await;
        assert_refused!(refused, UpsertRefused::Twice { index: 3, first: 1 });
        let crowd = (0..=MAX_BATCH).map(|n| new_shelf(&format!("{n}"), 1)).collect();
        let refused = upsert(&shelves, &world, crowd, OnConflict::Skip, WhenDeleted::Create).await;
        assert_refused!(refused, UpsertRefused::TooMany(MAX_BATCH));
        let mut uneven = rows(&[("a", 1), ("b", 1)]);
        uneven[1].places = sea_orm::NotSet;
        let refused = upsert(&shelves, &world, uneven, OnConflict::Skip, WhenDeleted::Create).await;
        assert_refused!(refused, UpsertRefused::Refused(Refused::Fault(Fault::Internal(_))));
        let mut keyless = rows(&[("a", 1)]);
        keyless[0].code = sea_orm::NotSet;
        let refused = upsert(&shelves, &world, keyless, OnConflict::Skip, WhenDeleted::Create).await;
        assert_refused!(refused, UpsertRefused::Refused(Refused::Fault(Fault::Internal(_))));
        assert_eq!(all(&shelves).await, there);
        assert_eq!(audit_count(&world.store).await, before);
    }

    async fn a_value_of_another_column_that_is_taken_is_told_of_the_row_that_wants_it(world) {
        let shelves = shelves(&world).await;
        let taken = shelves.add(&world, "taken", 1).await;
        let live = shelves.add(&world, "live", 1).await;
        let gone = shelves.add(&world, "gone", 1).await;
        let gone = shelves.delete(&world, &gone).await;
        let there = all(&shelves).await;
        let before = audit_count(&world.store).await;
        let few = ["a", "b", "live", "gone", "c", "d", "e"];
        // In a row that would be created, changed or restored; the first, the last, and between.
        for bad in 0..few.len() {
            let mut wanted = rows(&few.map(|code| (code, 2)));
            wanted[bad].label = Set(taken.label.clone());
            if bad < 5 {
                // It is the first that is named.
                wanted[5].label = Set(taken.label.clone());
            }
            let refused =
                upsert(&shelves, &world, wanted, OnConflict::Update, WhenDeleted::Revive).await;
            assert_refused!(refused, UpsertRefused::Item { index, reason }
                if *index == bad && matches!(&**reason, Refused::Fault(Fault::Duplicate(place))
                    if place.column == "label"));
        }
        // SQLite takes a text of any length.
        if world.engine != Engine::Sqlite {
            let mut wanted = rows(&few.map(|code| (code, 2)));
            wanted[4].label = Set("x".repeat(65));
            let refused =
                upsert(&shelves, &world, wanted, OnConflict::Update, WhenDeleted::Revive).await;
            assert_refused!(refused, UpsertRefused::Item { index: 4, reason }
                if matches!(&**reason, Refused::Fault(Fault::DataException(_))));
        }
        assert_eq!(all(&shelves).await, there);
        assert_eq!(audit_count(&world.store).await, before);

        // The transaction goes on as if it had not been tried.
        let mut wanted = rows(&[("a", 9), ("live", 9), ("gone", 9), ("b", 9)]);
        wanted[3].label = Set(taken.label.clone());
        let done: Result<Shelf, Fault> = layer!(shelves.database, world, |tx| async {
            let refused = tx.upsert_many::<Entity>(
                Column::Code, wanted, OnConflict::Update, WhenDeleted::Revive
            ).await;
            assert!(matches!(refused, Err(UpsertRefused::Item { index: 3, .. })), "{refused:?}");
            tx.create::<Entity>(new_shelf("a", 1)).await
        });
        assert_eq!(done.unwrap().code, "a");
        assert_eq!(shelves.fresh(live.id).await, live);
        assert_eq!(shelves.fresh(gone.id).await, gone);
        assert_eq!(audit_count(&world.store).await, before + 1);
    }

    async fn it_takes_as_many_statements_for_two_hundred_rows_as_for_one(world) {
        let shelves = shelves(&world).await;
        let mut counts = Vec::new();
        for (round, count) in [1, 7, 66].into_iter().enumerate() {
            // As many are live as are deleted and as are not there: up to 198 rows.
            let codes = |kind: &str| -> Vec<ActiveModel> {
                (0..count).map(|n| new_shelf(&format!("{round} {kind} {n}"), 1)).collect()
            };
            let made = codes("live").into_iter().chain(codes("gone")).collect();
            upsert(&shelves, &world, made, OnConflict::Fail, WhenDeleted::Refuse).await.unwrap();
            let like = format!("{round} gone %");
            let gone: Result<_, plimsoll_records::BatchRefused<Entity>> =
                layer!(shelves.database, world, |tx| async {
                    let rows = Rows::<Entity>::live().filter(Column::Code.like(like));
                    rows.lock_every(MAX_BATCH, tx).await?.delete(tx).await
                });
            assert_eq!(gone.unwrap().changed.len(), count);
            let wanted = || {
                let all = codes("gone").into_iter().chain(codes("new")).chain(codes("live"));
                all.map(|row| ActiveModel { quantity: Set(2), ..row }).collect::<Vec<_>>()
            };
            let mut ran = Vec::new();
            for on_conflict in [OnConflict::Update, OnConflict::Update, OnConflict::Skip] {
                shelves.statements.take();
                let done = upsert(&shelves, &world, wanted(), on_conflict, WhenDeleted::Revive).await;
                assert_eq!(done.unwrap().len(), 3 * count);
                ran.push(shelves.statements.take().len());
            }
            counts.push(ran);
        }
        println!("{}: {:?} statements", world.engine, counts[0]);
        assert_eq!(counts[0], counts[1]);
        assert_eq!(counts[1], counts[2]);

        // What is only created or only changed, in round numbers.
        let mut counts = Vec::new();
        for count in [1, 20, 200] {
            let mut ran = Vec::new();
            for quantity in [1, 2] {
                let row = |n| new_shelf(&format!("of {count} {n}"), quantity);
                let wanted = (0..count).map(row).collect();
                shelves.statements.take();
                let done =
                    upsert(&shelves, &world, wanted, OnConflict::Update, WhenDeleted::Refuse).await;
                assert_eq!(done.unwrap().len(), count);
                ran.push(shelves.statements.take().len());
            }
            counts.push(ran);
        }
        println!("{}: {:?} statements", world.engine, counts[0]);
        assert_eq!(counts[0], counts[1]);
        assert_eq!(counts[1], counts[2]);
    }

    async fn a_thousand_rows_are_created_and_changed_well_within_a_second(world) {
        let shelves = shelves(&world).await;
        let codes: Vec<String> = (0..MAX_BATCH).rev().map(|n| format!("code {n}")).collect();
        let wanted = |more: i64| -> Vec<ActiveModel> {
            let row = |(n, code): (usize, &String)| ActiveModel {
                label: Set(format!("label {n} {more}")),
                ..new_shelf(code, n as i64 + more)
            };
            codes.iter().enumerate().map(row).collect()
        };
        for (more, what) in [(0, "created"), (1, "updated")] {
            let begun = std::time::Instant::now();
            let done =
                upsert(&shelves, &world, wanted(more), OnConflict::Update, WhenDeleted::Refuse).await;
            let took = begun.elapsed();
            println!("{}: {MAX_BATCH} rows {what} in {took:?}", world.engine);
            assert!(took.as_secs_f64() < 5.0, "{took:?}");
            let done = done.unwrap();
            assert_eq!(done.len(), MAX_BATCH);
            for (n, upserted) in done.iter().enumerate() {
                let expected = (what, codes[n].as_str(), n as i64 + more, more as i32);
                assert_eq!(told(upserted), expected);
            }
        }
        assert_eq!(audit_count(&world.store).await, 2 * MAX_BATCH as u64);
        // The last of a thousand that cannot be is found.
        let mut wanted = wanted(2);
        wanted[MAX_BATCH - 1].label = Set("label 3 2".into());
        let begun = std::time::Instant::now();
        let refused = upsert(&shelves, &world, wanted, OnConflict::Update, WhenDeleted::Refuse).await;
        println!("{}: the one that cannot be found in {:?}", world.engine, begun.elapsed());
        assert_refused!(refused, UpsertRefused::Item { index: 999, .. });
    }

    async fn keys_may_be_any_text_and_ids_and_numbers_as_well(world) {
        let shelves = shelves(&world).await;
        let odd = ["", "it's", "\"quoted\"", "back\\slash", "? $1 :x", "ünïcödé 🚢", "A", "a", " a"];
        let wanted = |quantity| odd.iter().map(|code| new_shelf(code, quantity)).collect::<Vec<_>>();
        let made = upsert(&shelves, &world, wanted(1), OnConflict::Fail, WhenDeleted::Refuse).await;
        let made = made.unwrap();
        let done = upsert(&shelves, &world, wanted(2), OnConflict::Update, WhenDeleted::Refuse).await;
        let expected: Vec<_> = odd.iter().map(|code| ("updated", *code, 2, 1)).collect();
        assert_eq!(done.unwrap().iter().map(told).collect::<Vec<_>>(), expected);

        // MariaDB's binary collation does not see blanks at the end: the row is named.
        if world.engine == Engine::MariaDb {
            let wanted = rows(&[("b", 1), ("c", 1), ("b ", 1)]);
            let refused =
                upsert(&shelves, &world, wanted, OnConflict::Update, WhenDeleted::Refuse).await;
            assert_refused!(refused, UpsertRefused::Item { index: 2, reason }
                if matches!(&**reason, Refused::Fault(Fault::Duplicate(place))
                    if place.column == "code"));
        }

        let ids: Vec<Uuid> = made.into_iter().map(|upserted| upserted.into_inner().id).collect();
        let by = async |key: Column, rows: Vec<ActiveModel>| -> Outcome {
            layer!(shelves.database, world, |tx| tx.upsert_many::<Entity>(
                key, rows, OnConflict::Update, WhenDeleted::Revive
            ))
        };
        let new = Uuid::now_v7();
        let with_id = |id, code| ActiveModel { id: Set(id), ..new_shelf(code, 3) };
        let done = by(Column::Id, vec![with_id(new, "new"), with_id(ids[1], "it's")]).await.unwrap();
        assert_eq!(told(&done[0]), ("created", "new", 3, 0));
        assert_eq!(done[0].clone().into_inner().id, new);
        assert_eq!(told(&done[1]), ("updated", "it's", 3, 2));
        let numbered = |places, code| ActiveModel { places: Set(places), ..new_shelf(code, 4) };
        for (what, version) in [("created", 0), ("updated", 0)] {
            let rows = vec![numbered(-1, "below"), numbered(i32::MAX, "most")];
            let done = by(Column::Places, rows).await.unwrap();
            assert_eq!(told(&done[0]), (what, "below", 4, version));
            assert_eq!(told(&done[1]), (what, "most", 4, version));
        }
    }

    async fn large_columns_are_compared_and_answered_as_asked(world) {
        let author = world.user("author", plimsoll_domain::Role::User).await;
        let write = async |texts: [&'static str; 2], heavy| -> Vec<Upserted<post::Model>> {
            let rows = ["a", "b"].into_iter().zip(texts).map(|(slug, text)| post::ActiveModel {
                title: Set(slug.into()),
                slug: Set(slug.into()),
                content: Set(text.to_owned().into()),
                published: Set(false),
                author_id: Set(author.id),
                ..Default::default()
            }).collect();
            let mut writer = plimsoll_records::Writer::system(system(&world).now);
            writer.heavy = heavy;
            let done: Result<_, UpsertRefused<post::Entity>> =
                world.store.database().write(writer, move |tx| Box::pin(tx.upsert_many::<post::Entity>(
                    post::Column::Slug, rows, OnConflict::Update, WhenDeleted::Refuse
                ))).await;
            done.unwrap()
        };
        let seen = |done: Vec<Upserted<post::Model>>| -> Vec<(i32, Option<String>)> {
            let posts = done.into_iter().map(Upserted::into_inner);
            posts.map(|post| (post.lock_version, post.content.into_inner())).collect()
        };
        assert_eq!(seen(write(["x", "y"], false).await), [(0, None), (0, None)]);
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(seen(write(["x", "z"], true).await), [(0, text("x")), (1, text("z"))]);
    }

    async fn what_is_overtaken_looks_again_and_its_transaction_goes_on(world) {
        let shelves = shelves(&world).await;
        shelves.add(&world, "live", 1).await;
        let (is_there, wait) = tokio::sync::oneshot::channel();
        let is_there = Once::new(is_there);
        let database = shelves.database.clone();
        let writer = plimsoll_records::Writer::system(system(&world).now);
        let ahead = task(async move {
            let made: Outcome = database.write(writer, move |tx| Box::pin(async move {
                let made = tx.create::<Entity>(new_shelf("m", 1)).await?;
                is_there.take().send(()).expect("the other one waits");
                // The other one finds nobody, tries to create, and waits for this to end.
                tokio::time::sleep(Duration::from_millis(500)).await;
                Ok(vec![Upserted::Created(made)])
            })).await;
            made
        });
        let database = shelves.database.clone();
        let writer = plimsoll_records::Writer::system(system(&world).now);
        let overtaken = task(async move {
            wait.await.expect("the other one is ahead");
            database.write(writer, move |tx| Box::pin(async move {
                tx.create::<Entity>(new_shelf("before", 1)).await?;
                let wanted = rows(&[("z", 2), ("m", 2), ("live", 2), ("a", 2)]);
                let done = tx.upsert_many::<Entity>(
                    Column::Code, wanted, OnConflict::Update, WhenDeleted::Refuse
                ).await?;
                tx.create::<Entity>(new_shelf("after", 1)).await?;
                Ok(done)
            })).await
        });
        let outcomes = at_once(vec![ahead, overtaken]).await;
        let [Ok(made), Ok(done)] = outcomes.as_slice() else { panic!("{outcomes:?}") };
        assert_eq!(done.iter().map(told).collect::<Vec<_>>(), [
            ("created", "z", 2, 0),
            ("updated", "m", 2, 1),
            ("updated", "live", 2, 1),
            ("created", "a", 2, 0),
        ]);
        let m = made[0].clone().into_inner().id;
        assert_eq!(done[1].clone().into_inner().id, m);
        assert_eq!(all(&shelves).await.len(), 6);
        assert_eq!(deeds(&world, m).await, ["create", "update"]);
        let z = done[0].clone().into_inner().id;
        assert_eq!(deeds(&world, z).await, ["create"], "no creation is told that was not");
    }

    async fn of_many_over_the_same_keys_in_any_order_each_ends_and_nothing_is_lost(world) {
        const WRITERS: usize = 6;
        const KEYS: usize = 20;
        let shelves = shelves(&world).await;
        let mut contended = 0;
        for round in 0..6 {
            let tasks = (0..WRITERS).map(|n| {
                let database = shelves.database.clone();
                let writer = plimsoll_records::Writer::system(system(&world).now);
                let mut wanted: Vec<ActiveModel> = (0..KEYS)
                    .map(|key| new_shelf(&format!("{round} {key}"), (1 + n) as i64))
                    .collect();
                wanted.rotate_left(3 * n);
                if n % 2 == 0 {
                    wanted.reverse();
                }
                task(async move {
                    for tries in 0..50 {
                        let wanted = wanted.clone();
                        let done: Outcome = database.write(writer.clone(), move |tx| {
                            Box::pin(tx.upsert_many::<Entity>(
                                Column::Code, wanted, OnConflict::Update, WhenDeleted::Refuse
                            ))
                        }).await;
                        match done {
                            // MariaDB may choose one of several that met the same new row.
                            Err(UpsertRefused::Refused(Refused::Fault(Fault::Transient(
                                Timing::Contention,
                            )))) => {}
                            done => return (tries, done),
                        }
                    }
                    panic!("nobody loses fifty times")
                })
            });
            let mut created = 0;
            for (tries, outcome) in at_once(tasks.collect()).await {
                contended += tries;
                let done = outcome.unwrap();
                assert_eq!(done.len(), KEYS);
                created += done.iter().filter(|upserted| told(upserted).0 == "created").count();
            }
            assert_eq!(created, KEYS, "each is created once");
        }
        println!("{}: {contended} tried again", world.engine);
        if world.engine != Engine::MariaDb {
            assert_eq!(contended, 0, "nobody waits in a ring");
        }
        let there = all(&shelves).await;
        assert_eq!(there.len(), 6 * KEYS);
        for shelf in there {
            assert_eq!(shelf.lock_version as usize, WRITERS - 1, "each write is a version");
            let audit = audit_of(&world.store, shelf.id).await;
            assert_eq!(audit.len(), WRITERS);
            for (n, entry) in audit.iter().enumerate() {
                assert_eq!(entry.to_version, Some(n as i32), "each saw what the one before left");
            }
            for two in audit.windows(2) {
                let left = two[0].changes["quantity"][1].clone();
                assert_eq!(two[1].changes["quantity"][0], left);
            }
        }
    }

    async fn what_cannot_be_restored_is_named_with_the_reason(world) {
        let author = world.user("author", plimsoll_domain::Role::User).await;
        let mut posts = Vec::new();
        for title in ["a", "b", "c"] {
            posts.push(world.post(&author, title).await);
        }
        // One by itself, the others along with their author.
        let alone = posts[0].delete(&world.store, system(&world)).await.unwrap();
        let author_gone = author.fresh(&world.store).await.unwrap();
        let author_gone = author_gone.delete(&world.store, system(&world)).await.unwrap();
        let other = world.user("other", plimsoll_domain::Role::User).await;
        let before = audit_count(&world.store).await;
        let run = async |slugs: [&'static str; 3], by: plimsoll_domain::id::UserId| {
            let rows = slugs.into_iter().map(|slug| post::ActiveModel {
                title: Set(slug.into()),
                slug: Set(slug.into()),
                content: Set(String::from("text").into()),
                published: Set(false),
                author_id: Set(by),
                ..Default::default()
            }).collect();
            let done: Result<Vec<Upserted<post::Model>>, UpsertRefused<post::Entity>> =
                layer!(world.store.database(), world, |tx| tx.upsert_many::<post::Entity>(
                    post::Column::Slug, rows, OnConflict::Update, WhenDeleted::Revive
                ));
            done
        };
        let refused = run(["new", "c", "b"], other.id).await;
        assert_refused!(refused, UpsertRefused::Item { index: 1, reason }
            if matches!(&**reason, Refused::TakenAlong(deletion)
                if Some(deletion.id) == author_gone.deletion_id));
        let refused = run(["new", "newer", "a"], other.id).await;
        assert_refused!(refused, UpsertRefused::Item { index: 2, reason }
            if matches!(&**reason, Refused::ParentDeleted(parent) if parent.id == author.id.0));
        assert_eq!(alone.fresh(&world.store).await, Some(alone));
        assert_eq!(audit_count(&world.store).await, before);
        // A parent that was never there: the database says it, and it is told of the row.
        let nobody = run(["x", "y", "z"], Uuid::now_v7().into()).await;
        assert_refused!(nobody, UpsertRefused::Item { index: 0, reason }
            if matches!(&**reason, Refused::Fault(Fault::Reference(_))));
        assert_eq!(audit_count(&world.store).await, before);
    }

    async fn of_many_who_revive_the_same_keys_at_once_one_does_and_the_others_change(world) {
        const WRITERS: usize = 6;
        let shelves = shelves(&world).await;
        for round in 0..6 {
            let codes: Vec<String> = (0..5).map(|n| format!("{round} {n}")).collect();
            for code in &codes {
                let shelf = shelves.add(&world, code, 0).await;
                shelves.delete(&world, &shelf).await;
            }
            let tasks = (0..WRITERS).map(|n| {
                let database = shelves.database.clone();
                let writer = plimsoll_records::Writer::system(system(&world).now);
                let row = |code: &String| new_shelf(code, (1 + n) as i64);
                let mut wanted: Vec<ActiveModel> = codes.iter().map(row).collect();
                wanted.rotate_left(n % 5);
                task(async move {
                    for _ in 0..50 {
                        let wanted = wanted.clone();
                        let done: Outcome = database.write(writer.clone(), move |tx| {
                            Box::pin(tx.upsert_many::<Entity>(
                                Column::Code, wanted, OnConflict::Update, WhenDeleted::Revive
                            ))
                        }).await;
                        match done {
                            Err(UpsertRefused::Refused(Refused::Fault(Fault::Transient(
                                Timing::Contention,
                            )))) => {}
                            done => return done,
                        }
                    }
                    panic!("nobody loses fifty times")
                })
            });
            let mut kinds = Vec::new();
            for outcome in at_once(tasks.collect()).await {
                let done = outcome.unwrap();
                assert_eq!(done.len(), 5);
                kinds.extend(done.iter().map(|upserted| told(upserted).0));
            }
            assert_eq!(kinds.iter().filter(|kind| **kind == "revived").count(), 5, "{kinds:?}");
            assert_eq!(kinds.iter().filter(|kind| **kind == "updated").count(), 5 * (WRITERS - 1));
        }
        for shelf in all(&shelves).await {
            // Deleted, restored and changed, and changed by the others.
            assert_eq!((shelf.lock_version as usize, shelf.deleted_at), (2 + WRITERS, None));
            assert_eq!(audit_of(&world.store, shelf.id).await.len(), 3 + WRITERS);
        }
    }
}
