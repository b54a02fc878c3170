use chrono::{DateTime, Utc};
use plimsoll_domain::Role;
use plimsoll_entity::{post, profile, user};
use plimsoll_records::{BatchRefused, Fault, MAX_BATCH, Outcome, Refused, Rows, Seen, Version};
use plimsoll_testkit::{Engine, World, on_every_engine};
use sea_orm::{ActiveValue::Set, ColumnTrait};
use serde_json::json;
use uuid::Uuid;

use crate::{
    shelf::{ActiveModel, ById as _, Column, Entity, Shelf, Shelves, new_shelf, shelves},
    support::*,
};

type Done = Result<Outcome<Entity>, BatchRefused<Entity>>;

/// Shelves `{prefix}0`, `{prefix}1`, …, with as many pieces as their number, in the order of ids.
async fn many(shelves: &Shelves, world: &World, prefix: &str, count: usize) -> Vec<Uuid> {
    let rows = (0..count).map(|n| new_shelf(&format!("{prefix}{n}"), n as i64));
    let rows = rows.collect();
    let made: Result<Vec<Uuid>, Fault> =
        layer!(shelves.database, world, |tx| tx.create_many::<Entity>(rows));
    made.expect("shelves are made")
}

fn at(id: Uuid, version: i32) -> Seen {
    Seen {
        id,
        version: Version(version),
    }
}

/// One piece less, and another place.
fn one_less(shelf: &Shelf) -> ActiveModel {
    ActiveModel {
        quantity: Set(shelf.quantity - 1),
        label: Set(format!("{} less one", shelf.label)),
        places: Set(7),
        ..Default::default()
    }
}

async fn take_one_of_each(shelves: &Shelves, world: &World, items: Vec<Seen>) -> Done {
    layer!(shelves.database, world, |tx| async {
        let batch = Rows::<Entity>::live().lock_seen(&items, tx).await?;
        batch.update_each(tx, one_less).await
    })
}

on_every_engine! {
    async fn each_record_of_a_batch_gets_its_own_values_in_as_many_statements_as_one(world) {
        let shelves = shelves(&world).await;
        let mut counts = Vec::new();
        for count in [1, 20, 200] {
            let ids = many(&shelves, &world, &format!("of {count} "), count).await;
            let items = ids.iter().rev().map(|id| at(*id, 0)).collect();
            shelves.statements.take();
            let done = take_one_of_each(&shelves, &world, items).await.unwrap();
            let ran = shelves.statements.take();
            assert_eq!(ran.iter().filter(|sql| sql.starts_with("UPDATE")).count(), 1, "{ran:#?}");
            counts.push(ran.len());
            assert!(done.skipped.is_empty());
            assert_eq!(done.changed.iter().map(|shelf| shelf.id).collect::<Vec<_>>(), ids);
            for (n, shelf) in done.changed.iter().enumerate() {
                let label = format!("label of of {count} {n} less one");
                assert_eq!((shelf.quantity, shelf.places), (n as i64 - 1, 7));
                assert_eq!((&shelf.label, shelf.lock_version), (&label, 1));
            }
            let last = done.changed.last().unwrap();
            assert_eq!(&shelves.fresh(last.id).await, last, "what is answered is what is there");
            for id in [ids[0], ids[count - 1]] {
                let told = audit_of(&world.store, id).await;
                let n = shelves.fresh(id).await.quantity + 1;
                assert_eq!(told.len(), 2);
                assert_eq!((told[1].from_version, told[1].to_version), (Some(0), Some(1)));
                let label = format!("label of of {count} {n}");
                assert_eq!(told[1].changes, json!({
                    "label": [label, format!("{label} less one")],
                    "places": [10, 7],
                    "quantity": [n, n - 1],
                }));
            }
        }
        assert_eq!(counts, [counts[0]; 3]);
    }

    async fn a_thousand_records_get_their_own_values_well_within_a_second(world) {
        let shelves = shelves(&world).await;
        let ids = many(&shelves, &world, "", MAX_BATCH).await;
        let before = audit_count(&world.store).await;
        let items = ids.iter().map(|id| at(*id, 0)).collect();
        let begun = std::time::Instant::now();
        let done = take_one_of_each(&shelves, &world, items).await.unwrap();
        let took = begun.elapsed();
        println!("{}: {MAX_BATCH} records in {took:?}", world.engine);
        assert!(took.as_secs_f64() < 5.0, "{took:?}");
        assert_eq!(done.changed.len(), MAX_BATCH);
        for (n, shelf) in done.changed.iter().enumerate() {
            assert_eq!((shelf.quantity, shelf.lock_version), (n as i64 - 1, 1));
        }
        assert_eq!(audit_count(&world.store).await, before + MAX_BATCH as u64);
    }

    async fn of_a_batch_with_its_own_values_one_bad_item_is_named_and_nothing_is_changed(world) {
        let shelves = shelves(&world).await;
        let ids = many(&shelves, &world, "", 4).await;
        let gone = shelves.fresh(ids[3]).await;
        let gone = shelves.delete(&world, &gone).await;
        let before = audit_count(&world.store).await;
        let there = shelves.fresh(ids[2]).await;
        for (bad, is_so) in [
            (at(ids[2], 1), (|reason| matches!(reason, Refused::Conflict { .. })) as fn(&_) -> bool),
            (at(gone.id, 1), |reason| matches!(reason, Refused::Deleted(_))),
            (at(Uuid::now_v7(), 0), |reason| matches!(reason, Refused::NotFound)),
        ] {
            let items = vec![at(ids[1], 0), at(ids[0], 0), bad];
            let refused = take_one_of_each(&shelves, &world, items).await;
            assert!(matches!(&refused, Err(BatchRefused::Item { index: 2, id, reason })
                if *id == bad.id && is_so(reason)), "{refused:?}");
        }
        // A value that is taken.
        let items = vec![at(ids[0], 0), at(ids[1], 0)];
        let taken = there.label.clone();
        let refused: Done = layer!(shelves.database, world, |tx| async {
            let batch = Rows::<Entity>::live().lock_seen(&items, tx).await?;
            batch.update_each(tx, |shelf| ActiveModel {
                label: Set(match shelf.quantity { 1 => taken.clone(), n => format!("free {n}") }),
                ..Default::default()
            }).await
        });
        assert!(matches!(&refused, Err(BatchRefused::Refused(Refused::Fault(Fault::Duplicate(place))))
            if place.column == "label"), "{refused:?}");
        for (n, id) in ids.iter().enumerate().take(3) {
            let shelf = shelves.fresh(*id).await;
            assert_eq!((shelf.quantity, shelf.lock_version), (n as i64, 0));
        }
        assert_eq!(shelves.fresh(gone.id).await, gone);
        assert_eq!(audit_count(&world.store).await, before);
    }

    async fn what_already_is_as_it_should_be_and_what_is_not_set_stays_as_it_is(world) {
        let shelves = shelves(&world).await;
        let ids = many(&shelves, &world, "", 5).await;
        let before = audit_count(&world.store).await;
        // 0 and 3 are left alone, 1 gets a label, 2 pieces, 4 both.
        let done: Done = layer!(shelves.database, world, |tx| async {
            let batch = Rows::<Entity>::live().lock_every(10, tx).await?;
            batch.update_each(tx, |shelf| {
                let mut changes = ActiveModel::default();
                if shelf.quantity == 1 || shelf.quantity == 4 {
                    changes.label = Set(format!("new {}", shelf.quantity));
                }
                if shelf.quantity % 2 == 0 {
                    changes.quantity = Set(shelf.quantity * 100);
                }
                changes
            }).await
        });
        let done = done.unwrap();
        assert_eq!(done.skipped.iter().map(|shelf| shelf.id).collect::<Vec<_>>(), [ids[0], ids[3]]);
        assert_eq!(done.changed.iter().map(|shelf| shelf.id).collect::<Vec<_>>(), [ids[1], ids[2], ids[4]]);
        let mut now = Vec::new();
        for id in &ids {
            let Shelf { label, quantity, places, lock_version, .. } = shelves.fresh(*id).await;
            assert_eq!(places, 10);
            now.push((label, quantity, lock_version));
        }
        assert_eq!(now, [
            ("label of 0".into(), 0, 0),
            ("new 1".into(), 1, 1),
            ("label of 2".into(), 200, 1),
            ("label of 3".into(), 3, 0),
            ("new 4".into(), 400, 1),
        ]);
        assert_eq!(audit_count(&world.store).await, before + 3);
    }

    async fn values_of_every_type_arrive_as_they_are_null_as_well(world) {
        let author = world.user("author", Role::User).await;
        let category = world.category("filed", None).await;
        let mut posts = Vec::new();
        for n in 0..3 {
            posts.push(world.draft(&author, &format!("Draft {n}")).await);
        }
        // In microseconds, before 1970, and after 2038.
        let times: [DateTime<Utc>; 2] = ["1969-07-20T20:17:40.123456Z", "2100-01-01T00:00:00Z"]
            .map(|time| time.parse().unwrap());
        let filed = category.id;
        let set = move |n: usize| post::ActiveModel {
            title: Set(["it's \"quoted\" \\ `so` ?", "ünïcödé 🚢 $1", ""][n].into()),
            content: Set(format!("text {n}").into()),
            published: Set(n != 1),
            published_at: Set([Some(times[0]), None, Some(times[1])][n]),
            category_id: Set((n != 2).then_some(filed)),
            ..Default::default()
        };
        let ids: Vec<_> = posts.iter().map(|post| post.id).collect();
        for round in 0..2 {
            let ids = ids.clone();
            let done: Result<Outcome<post::Entity>, BatchRefused<post::Entity>> =
                layer!(world.store.database(), world, |tx| async {
                    let rows = Rows::<post::Entity>::live().filter(post::Column::AuthorId.eq(author.id));
                    let batch = rows.with(post::Column::Content).lock_every(10, tx).await?;
                    // The second time each gets what another has.
                    batch.update_each(tx, |post| {
                        let n = ids.iter().position(|id| *id == post.id).unwrap();
                        set((n + round) % 3)
                    }).await
                });
            assert_eq!(done.unwrap().changed.len(), 3);
        }
        let read = world.store.read();
        let rows = Rows::<post::Entity>::live().with(post::Column::Content);
        let now = rows.by_ids(&ids.iter().map(|id| id.0).collect::<Vec<_>>(), &read).await.unwrap();
        for (n, id) in ids.iter().enumerate() {
            let (post, wanted) = (&now[&id.0], set((n + 1) % 3));
            assert_eq!(post.lock_version, 2);
            assert_eq!(Set(post.title.clone()), wanted.title);
            assert_eq!(Set(post.content.clone()), wanted.content);
            assert_eq!(Set(post.published), wanted.published);
            assert_eq!(Set(post.published_at), wanted.published_at);
            assert_eq!(Set(post.category_id), wanted.category_id);
        }

        // Documents, enumerations and text that may be null.
        let other = world.user("other", Role::User).await;
        for user in [&author, &other] {
            profile_of(&world, user).await;
        }
        let first = author.id;
        let done: Result<Vec<profile::Model>, BatchRefused<profile::Entity>> =
            layer!(world.store.database(), world, |tx| async {
                let batch = Rows::<profile::Entity>::live().lock_every(10, tx).await?;
                let done = batch.update_each(tx, |profile| profile::ActiveModel {
                    bio: Set((profile.user_id != first).then(|| "bio".to_owned())),
                    metadata: Set(json!({ "first": profile.user_id == first, "n": [1, "ö'"] })),
                    ..Default::default()
                }).await?;
                Ok(done.changed)
            });
        for profile in done.unwrap() {
            let is_first = profile.user_id == first;
            assert_eq!(profile.metadata, json!({ "first": is_first, "n": [1, "ö'"] }));
            assert_eq!(profile.bio.as_deref(), (!is_first).then_some("bio"));
        }
        let done: Result<Vec<user::Model>, BatchRefused<user::Entity>> =
            layer!(world.store.database(), world, |tx| async {
                let batch = Rows::<user::Entity>::live().lock_every(10, tx).await?;
                let done = batch.update_each(tx, |user| user::ActiveModel {
                    role: Set(if user.id == first { Role::Admin } else { Role::Moderator }),
                    is_active: Set(user.id == first),
                    ..Default::default()
                }).await?;
                Ok(done.changed)
            });
        for user in done.unwrap() {
            let is_first = user.id == first;
            assert_eq!(user.role, if is_first { Role::Admin } else { Role::Moderator });
            assert_eq!(user.is_active, is_first);
        }
    }

    async fn of_many_who_take_one_of_each_none_takes_the_same_piece_twice(world) {
        const PIECES: i64 = 10;
        const TAKERS: usize = 24;
        let shelves = shelves(&world).await;
        let mut ids = Vec::new();
        for n in 0..4 {
            ids.push(shelves.add(&world, &format!("{n}"), PIECES).await.id);
        }
        let tasks = (0..TAKERS).map(|n| {
            let (database, mut ids) = (shelves.database.clone(), ids.clone());
            ids.rotate_left(n % 4);
            let writer = plimsoll_records::Writer::system(system(&world).now);
            task(async move {
                let done: Result<bool, BatchRefused<Entity>> = database.write(writer, move |tx| {
                    Box::pin(async move {
                        let rows = Rows::<Entity>::live().filter(Column::Id.is_in(ids));
                        let batch = rows.lock_every(10, tx).await?;
                        if batch.iter().any(|shelf| shelf.quantity == 0) {
                            return Ok(false);
                        }
                        let done = batch.update_each(tx, |shelf| ActiveModel {
                            quantity: Set(shelf.quantity - 1),
                            ..Default::default()
                        }).await?;
                        Ok(done.changed.len() == 4)
                    })
                }).await;
                done.expect("nobody deadlocks")
            })
        });
        let outcomes = at_once(tasks.collect()).await;
        assert_eq!(outcomes.iter().filter(|took| **took).count() as i64, PIECES);
        for id in ids {
            let now = shelves.fresh(id).await;
            assert_eq!((now.quantity, i64::from(now.lock_version)), (0, PIECES));
        }
    }

    async fn rows_that_are_held_are_read_as_they_are_and_stay_so_until_the_commit(world) {
        let shelves = shelves(&world).await;
        let mut ids = many(&shelves, &world, "", 3).await;
        let gone = shelves.fresh(ids.remove(1)).await;
        shelves.delete(&world, &gone).await;
        shelves.statements.take();
        let all = [ids[1], gone.id, ids[0]];
        let held: Result<Vec<Shelf>, Fault> = layer!(shelves.database, world, |tx| async {
            Rows::<Entity>::live().filter(Column::Id.is_in(all)).hold(10, tx).await
        });
        let held = held.unwrap();
        assert_eq!(held, [shelves.fresh(ids[0]).await, shelves.fresh(ids[1]).await]);
        let sql = shelves.statements.take().remove(0);
        assert_eq!(sql.contains(" SHARE"), world.engine != Engine::Sqlite, "{sql}");

        // Two hold them at once, and who wants to change one of them waits for both.
        if world.engine == Engine::Sqlite {
            return;
        }
        let both = std::sync::Arc::new(tokio::sync::Barrier::new(2));
        let ended = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let (is_held, mut wait) = tokio::sync::mpsc::channel(2);
        let id = ids[0];
        let mut tasks = Vec::new();
        for _ in 0..2 {
            let (database, both, ended) = (shelves.database.clone(), both.clone(), ended.clone());
            let (is_held, writer) = (is_held.clone(), plimsoll_records::Writer::system(system(&world).now));
            tasks.push(task(async move {
                let done: Result<i64, Fault> = database.write(writer, move |tx| Box::pin(async move {
                    let before = Rows::<Entity>::live().by_id(id).hold(1, tx).await?;
                    both.wait().await;
                    is_held.send(()).await.expect("somebody waits");
                    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
                    let after = Rows::<Entity>::live().by_id(id).one(tx).await?;
                    assert_eq!(after.as_ref(), before.first(), "it did not change meanwhile");
                    ended.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    Ok(before[0].quantity)
                })).await;
                done
            }));
        }
        let (database, writer) =
            (shelves.database.clone(), plimsoll_records::Writer::system(system(&world).now));
        tasks.push(task(async move {
            for _ in 0..2 {
                wait.recv().await;
            }
            database.write(writer, move |tx| Box::pin(async move {
                let shelf = Rows::<Entity>::live().by_id(id).lock(tx).await?;
                assert_eq!(ended.load(std::sync::atomic::Ordering::SeqCst), 2, "it waited");
                let shelf = shelf.expect("it is live");
                let seen = shelf.version();
                let more = ActiveModel { quantity: Set(50), ..Default::default() };
                match shelf.update(tx, seen, more).await {
                    Ok(shelf) => Ok(shelf.quantity),
                    Err(refused) => panic!("{refused:?}"),
                }
            })).await
        }));
        let outcomes = at_once(tasks).await;
        assert_eq!(outcomes, [Ok(0), Ok(0), Ok(50)]);
    }
}
