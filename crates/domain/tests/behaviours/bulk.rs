use plimsoll_domain::Role;
use plimsoll_entity::{category, post, tag, user};
use plimsoll_records::{BatchRefused, MAX_BATCH, Outcome, Record, Refused, Rows, Seen, Version};
use plimsoll_testkit::{World, on_every_engine};
use sea_orm::{ActiveValue::Set, ColumnTrait};
use uuid::Uuid;

use crate::support::*;

/// Names a record at the version that `self` has.
fn seen<T: Life>(record: &T) -> Seen {
    Seen {
        id: record.uuid(),
        version: Version(record.version()),
    }
}

fn at(id: Uuid, version: i32) -> Seen {
    Seen {
        id,
        version: Version(version),
    }
}

fn named(name: &str) -> tag::ActiveModel {
    tag::ActiveModel {
        name: Set(name.into()),
        ..Default::default()
    }
}

type Done<E> = Result<Outcome<E>, BatchRefused<E>>;

async fn rename_tags(world: &World, items: Vec<Seen>, name: &'static str) -> Done<tag::Entity> {
    layer!(world.store.database(), world, |tx| async {
        let batch = Rows::live().lock_seen(&items, tx).await?;
        batch.update(tx, named(name)).await
    })
}

async fn delete_all<E: Record>(world: &World, items: Vec<Seen>) -> Done<E> {
    layer!(world.store.database(), world, |tx| async {
        let batch = Rows::live().lock_seen(&items, tx).await?;
        batch.delete(tx).await
    })
}

async fn restore_all<E: Record>(world: &World, items: Vec<Seen>) -> Done<E> {
    layer!(world.store.database(), world, |tx| async {
        let batch = Rows::only_deleted().lock_seen(&items, tx).await?;
        batch.restore(tx).await
    })
}

/// Authors with two posts each.
async fn authors(world: &World, prefix: &str, count: usize) -> Vec<Uuid> {
    let prefix = prefix.to_owned();
    let made: plimsoll_domain::Result<Vec<Uuid>> =
        layer!(world.store.database(), world, |tx| async {
            let users = (0..count).map(|n| user::ActiveModel {
                email: Set(format!("{prefix}{n}@test.invalid")),
                email_key: Set(format!("{prefix}{n}@test.invalid")),
                name: Set(prefix.clone()),
                name_key: Set(prefix.clone()),
                role: Set(Role::User),
                password_hash: sea_orm::NotSet,
                is_active: Set(true),
                ..Default::default()
            });
            let ids = tx.create_many::<user::Entity>(users.collect()).await?;
            let posts = (0..2 * count).map(|n| post::ActiveModel {
                title: Set(format!("{prefix} {n}")),
                slug: Set(format!("{prefix}-{n}")),
                content: Set(String::from("text").into()),
                published: Set(false),
                published_at: Set(None),
                author_id: Set(ids[n / 2].into()),
                category_id: Set(None),
                ..Default::default()
            });
            tx.create_many::<post::Entity>(posts.collect()).await?;
            Ok(ids)
        });
    made.expect("authors are made")
}

async fn posts_of(world: &World, author: Uuid) -> Vec<post::Model> {
    let rows = Rows::<post::Entity>::with_deleted().filter(post::Column::AuthorId.eq(author));
    rows.all(10, &world.store.read())
        .await
        .expect("posts can be read")
}

on_every_engine! {
    async fn a_batch_takes_as_many_statements_for_a_hundred_records_as_for_two(world) {
        let mut counts = Vec::new();
        for (prefix, count) in [("few", 2), ("many", 100)] {
            let mut ids = authors(&world, prefix, count).await;
            ids.reverse();
            let items = |version| ids.iter().map(|id| at(*id, version)).collect::<Vec<_>>();
            world.statements.take();
            let named = user::ActiveModel { name: Set("new".into()), ..Default::default() };
            let (these, system) = (items(0), world.request(plimsoll_domain::Viewer::System));
            let writer = plimsoll_records::Writer::system(system.now);
            let renamed: Done<user::Entity> = world.store.database().write(writer, move |tx| {
                Box::pin(async move {
                    Rows::live().lock_seen(&these, tx).await?.update(tx, named).await
                })
            }).await;
            let renamed = renamed.unwrap().changed;
            let update = world.statements.take().len();
            assert_eq!(renamed.len(), count);
            assert!(renamed.iter().all(|user| user.name == "new" && user.lock_version == 1));
            assert!(renamed.is_sorted_by_key(|user| user.id.0), "in the order of ids");

            let deleted = delete_all::<user::Entity>(&world, items(1)).await.unwrap().changed;
            let delete = world.statements.take().len();
            assert_eq!(deleted.len(), count);
            for user in [&deleted[0], &deleted[count - 1]] {
                let entry = deletion(&world, user.deletion_id.unwrap()).await;
                assert_eq!((entry.root_id, entry.row_count), (user.id.0, 3));
                let posts = posts_of(&world, user.id.0).await;
                assert!(posts.iter().all(|post| post.deletion_id == user.deletion_id));
                assert_eq!(posts.len(), 2);
            }
            world.statements.take();
            let back = restore_all::<user::Entity>(&world, items(2)).await.unwrap().changed;
            let restore = world.statements.take().len();
            assert!(back.iter().all(|user| user.lock_version == 3 && user.deleted_at.is_none()));
            for user in [&back[0], &back[count - 1]] {
                let posts = posts_of(&world, user.id.0).await;
                assert!(posts.iter().all(|post| post.deleted_at.is_none() && post.lock_version == 2));
                let told: Vec<_> = audit_of(&world.store, user.id.0).await.into_iter()
                    .map(|entry| (entry.action, entry.from_version, entry.to_version))
                    .collect();
                assert_eq!(told, [
                    ("create".into(), None, Some(0)),
                    ("update".into(), Some(0), Some(1)),
                    ("delete".into(), Some(1), Some(2)),
                    ("restore".into(), Some(2), Some(3)),
                ]);
            }
            counts.push((update, delete, restore));
        }
        assert_eq!(counts[0], counts[1]);
    }

    async fn each_record_of_a_deleted_batch_comes_back_by_itself_with_what_was_its_own(world) {
        let ids = authors(&world, "author", 3).await;
        let before = posts_of(&world, ids[1]).await.remove(0);
        let before = before.delete(&world.store, system(&world)).await.unwrap();
        let items = ids.iter().map(|id| at(*id, 0)).collect();
        let deleted = delete_all::<user::Entity>(&world, items).await.unwrap().changed;
        let mut deletions: Vec<_> = deleted.iter().map(|user| user.deletion_id).collect();
        deletions.dedup();
        assert_eq!(deletions.len(), 3, "each is a deletion of its own");
        deleted[1].restore(&world.store, system(&world)).await.unwrap();
        let [first, back, last] = [
            posts_of(&world, ids[0]).await,
            posts_of(&world, ids[1]).await,
            posts_of(&world, ids[2]).await,
        ];
        assert!(first.iter().chain(&last).all(|post| post.deleted_at.is_some()));
        let live: Vec<_> = back.iter().filter(|post| post.deleted_at.is_none()).collect();
        assert_eq!(live.len(), 1, "and not what another deletion took");
        assert_eq!(before.fresh(&world.store).await, Some(before));
    }

    async fn one_stale_item_is_named_with_its_row_and_nothing_is_changed(world) {
        let mut tags = Vec::new();
        for name in ["a", "b", "c", "d"] {
            tags.push(world.tag(name).await);
        }
        let stale = tags[2].clone();
        tags[2] = stale.rename(&world.store, system(&world), "changed").await.unwrap();
        let before = audit_count(&world.store).await;
        let items = || [&tags[3], &tags[0], &stale, &tags[1]].map(seen).to_vec();
        let is_named = |refused: &Result<Outcome<tag::Entity>, BatchRefused<tag::Entity>>| {
            matches!(refused, Err(BatchRefused::Item { index: 2, id, reason })
                if *id == stale.uuid()
                && matches!(&**reason, Refused::Conflict { seen: Version(0), current }
                    if **current == tags[2]))
        };
        let refused = rename_tags(&world, items(), "same").await;
        assert!(is_named(&refused), "{refused:?}");
        let refused = delete_all::<tag::Entity>(&world, items()).await;
        assert!(is_named(&refused), "{refused:?}");
        for tag in &tags {
            assert_eq!(tag.fresh(&world.store).await.as_ref(), Some(tag));
        }

        let mut gone = Vec::new();
        for tag in &tags {
            gone.push(tag.delete(&world.store, system(&world)).await.unwrap());
        }
        let before_restoring = audit_count(&world.store).await;
        assert_eq!(before_restoring, before + 4);
        let items = vec![seen(&gone[0]), at(gone[1].uuid(), 0)];
        let refused = restore_all::<tag::Entity>(&world, items).await;
        assert!(matches!(&refused, Err(BatchRefused::Item { index: 1, id, reason })
            if *id == gone[1].uuid() && matches!(**reason, Refused::Conflict { .. })), "{refused:?}");
        for tag in &gone {
            assert_eq!(tag.fresh(&world.store).await.as_ref(), Some(tag));
        }
        assert_eq!(audit_count(&world.store).await, before_restoring);
    }

    async fn an_item_that_is_deleted_live_missing_or_named_twice_is_told_apart(world) {
        let live = world.tag("live").await;
        let gone = world.tag("gone").await.delete(&world.store, system(&world)).await.unwrap();
        let nobody = Uuid::now_v7();
        let update = async |items| rename_tags(&world, items, "same").await;
        let refused = update(vec![seen(&live), seen(&gone)]).await;
        assert!(matches!(&refused, Err(BatchRefused::Item { index: 1, reason, .. })
            if matches!(&**reason, Refused::Deleted(model) if **model == gone)), "{refused:?}");
        let refused = update(vec![at(nobody, 0), seen(&live)]).await;
        assert!(matches!(&refused, Err(BatchRefused::Item { index: 0, id, reason })
            if *id == nobody && matches!(**reason, Refused::NotFound)), "{refused:?}");
        let refused = update(vec![seen(&live), seen(&live)]).await;
        assert!(matches!(refused, Err(BatchRefused::Twice { index: 1, id }) if id == live.uuid()));
        let refused = restore_all::<tag::Entity>(&world, vec![seen(&gone), seen(&live)]).await;
        assert!(matches!(&refused, Err(BatchRefused::Item { index: 1, reason, .. })
            if matches!(&**reason, Refused::Live(model) if **model == live)), "{refused:?}");
        let crowd = (0..=MAX_BATCH).map(|_| at(Uuid::now_v7(), 0)).collect();
        assert!(matches!(update(crowd).await, Err(BatchRefused::TooMany(MAX_BATCH))));
        assert_eq!(live.fresh(&world.store).await.as_ref(), Some(&live));
        assert_eq!(gone.fresh(&world.store).await, Some(gone));
        let nothing = update(Vec::new()).await.unwrap();
        assert!(nothing.changed.is_empty() && nothing.skipped.is_empty());

        // What already is as it should be keeps its version, like a single record.
        let other = world.tag("other").await;
        let done = rename_tags(&world, vec![seen(&live), seen(&other)], "live").await.unwrap();
        assert_eq!(done.skipped, [live]);
        assert_eq!((done.changed[0].id, done.changed[0].lock_version), (other.id, 1));
    }

    async fn what_stands_in_the_way_of_one_is_told_of_that_one(world) {
        let author = world.user("author", Role::User).await;
        let free = world.category("free", None).await;
        let top = world.category("top", None).await;
        let below = world.category("below", Some(&top)).await;
        let filed = filed_post(&world, &author, "Filed", Some(below.id), &[]).await;
        let before = audit_count(&world.store).await;
        let refused = delete_all::<category::Entity>(&world, vec![seen(&free), seen(&top)]).await;
        assert!(matches!(&refused, Err(BatchRefused::Item { index: 1, id, reason })
            if *id == top.uuid() && matches!(&**reason, Refused::StillReferenced { ids, .. }
                if *ids == [filed.uuid()])), "{refused:?}");
        assert_eq!(audit_count(&world.store).await, before);
        assert!(free.is_live(&world.store).await);

        let filed = filed.delete(&world.store, system(&world)).await.unwrap();
        let gone = delete_all::<category::Entity>(&world, vec![seen(&free), seen(&top)]).await;
        let gone = gone.unwrap().changed;
        let below = below.fresh(&world.store).await.unwrap();
        let refused =
            restore_all::<category::Entity>(&world, vec![seen(&gone[0]), seen(&below)]).await;
        assert!(matches!(&refused, Err(BatchRefused::Item { index: 1, id, reason })
            if *id == below.uuid() && matches!(&**reason, Refused::TakenAlong(deletion)
                if deletion.root_id == top.uuid())), "{refused:?}");
        let other = world.post(&author, "Other").await;
        let other = other.delete(&world.store, system(&world)).await.unwrap();
        let refused = restore_all::<post::Entity>(&world, vec![seen(&other), seen(&filed)]).await;
        assert!(matches!(&refused, Err(BatchRefused::Item { index: 1, id, reason })
            if *id == filed.uuid() && matches!(&**reason, Refused::ParentDeleted(parent)
                if parent.id == below.uuid())), "{refused:?}");
        assert!(!other.is_live(&world.store).await, "nothing half done");
    }

    async fn a_parent_and_its_child_that_are_both_named_are_two_deletions(world) {
        let top = world.category("top", None).await;
        let below = world.category("below", Some(&top)).await;
        let along = world.category("along", Some(&top)).await;
        let items = vec![seen(&top), seen(&below)];
        let gone = delete_all::<category::Entity>(&world, items).await.unwrap().changed;
        assert_eq!(deletion(&world, gone[0].deletion_id.unwrap()).await.row_count, 2);
        assert_eq!(deletion(&world, gone[1].deletion_id.unwrap()).await.row_count, 1);
        let items = gone.iter().map(seen).collect();
        restore_all::<category::Entity>(&world, items).await.unwrap();
        for category in [&top, &below, &along] {
            let now = category.fresh(&world.store).await.unwrap();
            assert_eq!((now.lock_version, now.deleted_at), (2, None));
        }
    }

    async fn a_change_by_filter_tells_what_it_changed_and_leaves_deleted_rows_alone(world) {
        let author = world.user("author", Role::User).await;
        let draft = world.draft(&author, "Draft").await;
        let other = world.draft(&author, "Other").await;
        let published = world.post(&author, "Published").await;
        let gone = world.draft(&author, "Gone").await;
        let gone = gone.delete(&world.store, system(&world)).await.unwrap();
        let rename = async |rows: Rows<post::Entity>, limit| -> Done<post::Entity> {
            let title = post::ActiveModel { title: Set("Same".into()), ..Default::default() };
            layer!(world.store.database(), world, |tx| async {
                rows.lock_every(limit, tx).await?.update(tx, title).await
            })
        };
        let drafts = |rows: Rows<post::Entity>| rows.filter(post::Column::Published.eq(false));
        let before = audit_count(&world.store).await;
        let refused = rename(drafts(Rows::live()), 1).await;
        assert!(matches!(refused, Err(BatchRefused::TooMany(1))), "{refused:?}");
        assert_eq!(audit_count(&world.store).await, before);

        let done = rename(drafts(Rows::live()), 2).await.unwrap();
        let ids: Vec<_> = done.changed.iter().map(|post| post.id).collect();
        assert_eq!(ids, [draft.id, other.id]);
        assert!(done.changed.iter().all(|post| post.lock_version == 1 && post.title == "Same"));
        assert!(done.skipped.is_empty());
        assert_eq!(audit_count(&world.store).await, before + 2);
        let last = audit_of(&world.store, other.uuid()).await.pop().unwrap();
        assert_eq!(last.changes, serde_json::json!({ "title": ["Other", "Same"] }));

        // A wider scope does not reach deleted rows: they are skipped, and told.
        let done = rename(drafts(Rows::with_deleted()), 10).await.unwrap();
        assert!(done.changed.is_empty(), "{done:?}");
        let skipped: Vec<_> = done.skipped.iter().map(|post| post.id).collect();
        assert_eq!(skipped, [draft.id, other.id, gone.id]);
        assert_eq!(gone.fresh(&world.store).await, Some(gone));
        assert_eq!(published.fresh(&world.store).await, Some(published));
        assert_eq!(audit_count(&world.store).await, before + 2);
    }

    async fn of_batches_over_the_same_records_in_any_order_exactly_one_succeeds(world) {
        let mut tags = Vec::new();
        for n in 0..8 {
            tags.push(world.tag(&format!("tag {n}")).await);
        }
        for round in 0..6 {
            let tasks = (0..6).map(|n| {
                let mut items: Vec<Seen> = tags.iter().map(seen).collect();
                items.rotate_left(n);
                if n % 2 == 0 {
                    items.reverse();
                }
                let database = world.store.database().clone();
                let writer = plimsoll_records::Writer::system(system(&world).now);
                let change = named(&format!("round {round} by {n}"));
                task(async move {
                    let done: Done<tag::Entity> = database.write(writer, move |tx| {
                        Box::pin(async move {
                            Rows::live().lock_seen(&items, tx).await?.update(tx, change).await
                        })
                    }).await;
                    done
                })
            });
            let outcomes = at_once(tasks.collect()).await;
            let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
            assert_eq!(won.len(), 1, "{lost:?}");
            for lost in lost {
                // Nobody deadlocks, and the first item is the one that is stale.
                assert!(matches!(&lost, Err(BatchRefused::Item { index: 0, reason, .. })
                    if matches!(**reason, Refused::Conflict { .. })), "{lost:?}");
            }
            tags = won.into_iter().next().unwrap().unwrap().changed;
            assert!(tags.iter().all(|tag| tag.lock_version == round + 1));
        }
    }
}
