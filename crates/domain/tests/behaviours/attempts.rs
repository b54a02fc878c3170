use std::time::Duration;

use plimsoll_entity::{category, post, post_tag, tag};
use plimsoll_records::{Fault, Options, Refused, Rows, Timing, Tx, Version};
use plimsoll_testkit::{Engine, World, on_every_engine};
use sea_orm::{ActiveValue::Set, ColumnTrait};

use crate::{
    faults::ONCE,
    shelf::{ActiveModel, ById as _, Column, Entity, new_shelf, shelves, shelves_with},
    support::*,
};

fn new_tag(name: &str) -> tag::ActiveModel {
    tag::ActiveModel {
        name: Set(name.into()),
        slug: Set(name.into()),
        ..Default::default()
    }
}

/// Which of these tags are there.
async fn slugs(world: &World) -> Vec<String> {
    let tags = Rows::<tag::Entity>::with_deleted();
    let tags = tags.all(100, &world.store.read()).await.unwrap();
    let mut slugs: Vec<String> = tags.into_iter().map(|tag| tag.slug).collect();
    slugs.sort();
    slugs
}

/// Creates a tag and then one whose slug is taken.
async fn create_and_fail(tx: &mut Tx, name: &'static str) -> Result<(), Fault> {
    tx.create::<tag::Entity>(new_tag(name)).await?;
    tx.create::<tag::Entity>(new_tag("taken")).await?;
    Ok(())
}

on_every_engine! {
    async fn an_attempt_that_fails_is_undone_with_its_audit_and_the_rest_is_kept(world) {
        world.tag("taken").await;
        let before = audit_count(&world.store).await;
        let outcome: Result<(), Fault> = layer!(world.store.database(), world, |tx| async {
            tx.create::<tag::Entity>(new_tag("before")).await?;
            let failed = tx.attempt(|tx| Box::pin(create_and_fail(tx, "undone"))).await;
            assert!(matches!(failed, Err(Fault::Duplicate(_))), "{failed:?}");
            let kept = tx.attempt(|tx| Box::pin(tx.create::<tag::Entity>(new_tag("kept")))).await;
            assert_eq!(kept?.slug, "kept");
            tx.create::<tag::Entity>(new_tag("after")).await?;
            Ok(())
        });
        outcome.unwrap();
        assert_eq!(slugs(&world).await, ["after", "before", "kept", "taken"]);
        assert_eq!(audit_count(&world.store).await, before + 3);
    }

    async fn attempts_are_nested_and_the_outer_one_undoes_the_inner(world) {
        world.tag("taken").await;
        let before = audit_count(&world.store).await;
        let outcome: Result<(), Fault> = layer!(world.store.database(), world, |tx| async {
            for name in ["one", "two"] {
                tx.attempt(|tx| Box::pin(async move {
                    tx.create::<tag::Entity>(new_tag(name)).await?;
                    let failed = tx.attempt(|tx| Box::pin(create_and_fail(tx, "inner"))).await;
                    assert!(matches!(failed, Err(Fault::Duplicate(_))), "{failed:?}");
                    Ok::<_, Fault>(())
                })).await?;
            }
            let failed = tx.attempt(|tx| Box::pin(async move {
                tx.attempt(|tx| Box::pin(tx.create::<tag::Entity>(new_tag("deep")))).await?;
                create_and_fail(tx, "outer").await
            })).await;
            assert!(matches!(failed, Err(Fault::Duplicate(_))), "{failed:?}");
            Ok(())
        });
        outcome.unwrap();
        assert_eq!(slugs(&world).await, ["one", "taken", "two"]);
        assert_eq!(audit_count(&world.store).await, before + 2);
    }

    async fn a_version_that_was_rolled_back_to_a_savepoint_never_was(world) {
        let shelves = shelves(&world).await;
        let shelf = shelves.add(&world, "a", 1).await;
        let id = shelf.id;
        let change = |quantity| ActiveModel { quantity: Set(quantity), ..Default::default() };
        let outcome: Result<_, Refused<Entity>> = layer!(shelves.database, world, |tx| async {
            let undone = tx.attempt(|tx| Box::pin(async move {
                let row = Rows::<Entity>::live().by_id(id).lock(tx).await?.unwrap();
                let changed = row.update(tx, Version(0), change(2)).await?;
                assert_eq!((changed.lock_version, changed.quantity), (1, 2));
                Err::<(), _>(Refused::<Entity>::NotFound)
            })).await;
            assert!(matches!(undone, Err(Refused::NotFound)), "{undone:?}");
            let row = Rows::<Entity>::live().by_id(id).lock(tx).await?.unwrap();
            assert_eq!((row.version(), row.quantity), (Version(0), 1));
            row.update(tx, Version(0), change(3)).await
        });
        let now = outcome.unwrap();
        assert_eq!((now.lock_version, now.quantity), (1, 3));
        assert_eq!(shelves.fresh(id).await, now);
        let last = audit_of(&world.store, id).await.pop().unwrap();
        assert_eq!(audit_of(&world.store, id).await.len(), 2);
        assert_eq!(last.changes, serde_json::json!({ "quantity": [1, 3] }));
    }

    async fn a_failure_that_is_passed_over_keeps_everything_from_being_committed(world) {
        world.tag("taken").await;
        let before = audit_count(&world.store).await;
        let outcome: Result<&str, Fault> = layer!(world.store.database(), world, |tx| async {
            let _passed_over = create_and_fail(tx, "lost").await;
            Ok("done")
        });
        assert!(matches!(outcome, Err(Fault::Internal(_))), "{outcome:?}");
        // An attempt around it does not hide it either.
        let outcome: Result<&str, Fault> = layer!(world.store.database(), world, |tx| async {
            tx.create::<tag::Entity>(new_tag("outside")).await?;
            let hidden = tx.attempt(|tx| Box::pin(async move {
                let _passed_over = create_and_fail(tx, "lost").await;
                Ok::<_, Fault>("done")
            })).await;
            assert!(matches!(hidden, Err(Fault::Internal(_))), "{hidden:?}");
            Ok("went on")
        });
        assert_eq!(outcome.unwrap(), "went on");
        assert_eq!(slugs(&world).await, ["outside", "taken"]);
        assert_eq!(audit_count(&world.store).await, before + 1);
    }

    async fn half_of_a_deletion_or_of_a_restoration_is_never_kept(world) {
        let people = people(&world).await;
        let category = world.category("category", None).await;
        let filed = filed_post(&world, &people.ada, "Filed", Some(category.id), &[]).await;
        let before = audit_count(&world.store).await;
        let id = category.id;
        let passed_over = async |in_attempt: bool| -> Result<(), Fault> {
            layer!(world.store.database(), world, |tx| async {
                let rows = Rows::<category::Entity>::live().filter(category::Column::Id.eq(id));
                let row = rows.lock(tx).await?.unwrap();
                let refused = if in_attempt {
                    tx.attempt(|tx| Box::pin(row.delete(tx, Version(0)))).await
                } else {
                    row.delete(tx, Version(0)).await
                };
                assert!(matches!(refused, Err(Refused::StillReferenced { .. })), "{refused:?}");
                Ok(())
            })
        };
        assert!(matches!(passed_over(false).await, Err(Fault::Internal(_))));
        passed_over(true).await.unwrap();
        assert_eq!(category.fresh(&world.store).await.as_ref(), Some(&category));
        assert_eq!(audit_count(&world.store).await, before);

        let filed = filed.delete(&world.store, system(&world)).await.unwrap();
        category.delete(&world.store, system(&world)).await.unwrap();
        let before = audit_count(&world.store).await;
        let id = filed.id;
        let outcome: Result<(), Fault> = layer!(world.store.database(), world, |tx| async {
            let rows = Rows::<post::Entity>::only_deleted().filter(post::Column::Id.eq(id));
            let row = rows.lock(tx).await?.unwrap();
            let seen = row.version();
            let refused = row.restore(tx, seen).await;
            assert!(matches!(refused, Err(Refused::ParentDeleted(_))), "{refused:?}");
            Ok(())
        });
        assert!(matches!(outcome, Err(Fault::Internal(_))), "{outcome:?}");
        assert_eq!(filed.fresh(&world.store).await.as_ref(), Some(&filed));
        assert_eq!(audit_count(&world.store).await, before);
    }

    async fn a_deadlock_that_is_passed_over_in_an_attempt_keeps_nothing(world) {
        // SQLite has one writer, which waits for nobody.
        if world.engine == Engine::Sqlite {
            return;
        }
        let options = Options { retry: ONCE, ..Options::default() };
        let shelves = shelves_with(&world, options).await;
        let ids = [shelves.add(&world, "a", 0).await.id, shelves.add(&world, "b", 0).await.id];
        let both = std::sync::Arc::new(tokio::sync::Barrier::new(2));
        let tasks = [("ab", ids), ("ba", [ids[1], ids[0]])].map(|(name, ids)| {
            let (database, both) = (shelves.database.clone(), both.clone());
            let writer = plimsoll_records::Writer::system(system(&world).now);
            task(async move {
                database.write(writer, move |tx| Box::pin(async move {
                    tx.create::<Entity>(new_shelf(name, 1)).await?;
                    Rows::<Entity>::live().by_id(ids[0]).lock(tx).await?;
                    both.wait().await;
                    let second = tx.attempt(|tx| Box::pin(async move {
                        Rows::<Entity>::live().by_id(ids[1]).lock(tx).await
                    })).await;
                    if second.is_err() {
                        let more = tx.create::<Entity>(new_shelf("more", 1)).await;
                        assert!(more.is_err(), "nothing runs in what may be gone");
                    }
                    Ok::<_, Fault>(name)
                })).await
            })
        });
        let outcomes = at_once(tasks.into()).await;
        let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        assert_eq!((won.len(), lost.len()), (1, 1), "{won:?} {lost:?}");
        assert_eq!(lost[0], Err(Fault::Transient(Timing::Contention)));
        let there = Rows::<Entity>::live().filter(Column::Quantity.eq(1));
        let there = there.all(10, &shelves.database.read()).await.unwrap();
        let codes: Vec<&str> = there.iter().map(|shelf| shelf.code.as_str()).collect();
        assert_eq!(codes, [*won[0].as_ref().unwrap()]);
    }

    async fn an_attempt_that_the_time_limit_cuts_off_leaves_nothing_open(world) {
        let options = Options {
            transaction_timeout: Duration::from_millis(300),
            max_connections: 2,
            ..Options::default()
        };
        let shelves = shelves_with(&world, options).await;
        for round in 0..3 {
            let outcome: Result<(), Fault> = layer!(shelves.database, world, |tx| async {
                tx.create::<Entity>(new_shelf("a", 1)).await?;
                tx.attempt(|tx| Box::pin(async move {
                    tx.attempt(|tx| Box::pin(async move {
                        tx.create::<Entity>(new_shelf("b", 1)).await?;
                        tokio::time::sleep(Duration::from_secs(60)).await;
                        Ok::<_, Fault>(())
                    })).await
                })).await
            });
            assert_eq!(outcome, Err(Fault::Transient(Timing::Timeout)));
            // The one connection that writes is sound, and what it commits stays.
            let code = format!("after {round}");
            let after = shelves.add(&world, &code, 1).await;
            assert_eq!(shelves.fresh(after.id).await, after);
        }
        let there = Rows::<Entity>::live().count(&shelves.database.read()).await;
        assert_eq!(there.unwrap(), 3);
    }

    async fn links_of_a_record_that_was_not_just_created_are_not_added(world) {
        let author = world.user("author", plimsoll_domain::Role::User).await;
        let tag = world.tag("tag").await;
        let post = world.post(&author, "Post").await;
        let links = vec![(post.uuid(), vec![tag.uuid()])];
        let outcome: Result<(), Fault> = layer!(world.store.database(), world, |tx| async {
            tx.add_links::<post_tag::Entity>(&links).await
        });
        assert!(matches!(outcome, Err(Fault::Internal(_))), "{outcome:?}");
        assert!(tag_names(&world.store, &post).await.is_empty());
    }
}
