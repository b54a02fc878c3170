use plimsoll_domain::{
    Error, Patch, Version,
    category::{self, Category, UpdateCategory},
    id::CategoryId,
    post,
};
use plimsoll_entity::{id::ImportSourceId, import_source, post_author, post_tag};
use plimsoll_testkit::{World, on_every_engine};
use sea_orm::{ActiveValue::Set, EntityTrait as _};

use crate::support::*;

/// Deletes a record and looks at what is left.
async fn is_marked<T: Life>(world: &World, record: T) {
    let request = system(world);
    let now = request.now;
    let deleted = record
        .delete(&world.store, request)
        .await
        .expect("it is deleted");
    assert_eq!(deleted.version(), record.version() + 1, "{}", T::TYPE);
    assert_eq!(deleted.deleted_at(), Some(now));
    let entry = deletion(world, deleted.deletion().expect("it names its deletion")).await;
    assert_eq!(
        (entry.root_type.as_str(), entry.root_id),
        (T::TYPE, record.uuid())
    );
    // A product takes its stock along.
    let rows = if T::TYPE == "product" { 2 } else { 1 };
    assert_eq!((entry.row_count, entry.created_at), (rows, now));
    assert_eq!(
        (entry.actor_id, entry.restored_at, entry.purged_at),
        (None, None, None)
    );
    assert_eq!(record.fresh(&world.store).await.as_ref(), Some(&deleted));
    assert!(!record.is_live(&world.store).await);

    let again = deleted.delete(&world.store, system(world)).await;
    assert_refused!(again, Error::NotFound { .. }, "{}", T::TYPE);
    let renamed = deleted.rename(&world.store, system(world), "renamed").await;
    assert_refused!(renamed, Error::NotFound { .. }, "{}", T::TYPE);
    assert_eq!(
        record.fresh(&world.store).await,
        Some(deleted),
        "nothing changed"
    );
}

async fn move_category(
    world: &World,
    category: &Category,
    parent: CategoryId,
) -> plimsoll_domain::Result<Category> {
    let command = UpdateCategory {
        id: category.id,
        seen: Version(category.lock_version),
        name: Patch::Keep,
        slug: Patch::Keep,
        parent: Patch::Set(parent),
    };
    act!(world.store, system(world), |tx, viewer| category::update(
        tx, viewer, command
    ))
}

/// The rows of the tables that hold no records.
#[expect(
    clippy::disallowed_methods,
    reason = "link tables are no records to read"
)]
async fn facts(
    world: &World,
) -> (
    Vec<post_tag::Model>,
    Vec<post_author::Model>,
    Vec<import_source::Model>,
) {
    let database = world.store.database();
    let connection = database.unguarded("a test reads link tables");
    let tags = post_tag::Entity::find().all(connection).await;
    let authors = post_author::Entity::find().all(connection).await;
    let sources = import_source::Entity::find().all(connection).await;
    (
        tags.expect("rows can be read"),
        authors.expect("rows can be read"),
        sources.expect("rows can be read"),
    )
}

on_every_engine! {
    async fn a_deleted_record_is_marked_once_and_cannot_be_changed(world) {
        let author = world.user("author", plimsoll_domain::Role::User).await;
        is_marked(&world, profile_of(&world, &author).await).await;
        is_marked(&world, world.post(&author, "Post").await).await;
        is_marked(&world, world.tag("tag").await).await;
        is_marked(&world, world.category("category", None).await).await;
        is_marked(&world, a_product(&world, "product").await).await;
        let other = world.user("other", plimsoll_domain::Role::User).await;
        is_marked(&world, account_with(&world, &other, "EUR", 0).await).await;
        is_marked(&world, author).await;
    }

    async fn nothing_of_a_deleted_post_can_be_set(world) {
        let people = people(&world).await;
        let tag = world.tag("tag").await;
        let post = world.post(&people.ada, "Post").await;
        let post = post.delete(&world.store, world.as_user(&people.ada)).await.unwrap();
        let (id, seen) = (post.id, Version(post.lock_version));
        let by = || world.as_user(&people.ada);
        let published = act!(world.store, by(), |tx, viewer| post::set_published(
            tx, viewer, id, seen, false
        ));
        assert_refused!(published, Error::NotFound { .. });
        let tagged = set_tags(&world.store, by(), &post, &[tag.id]).await;
        assert_refused!(tagged, Error::NotFound { .. });
        let shared = set_co_authors(&world.store, by(), &post, &[people.grace.id]).await;
        assert_refused!(shared, Error::NotFound { .. });
        assert_eq!(post.fresh(&world.store).await.unwrap(), post);
    }

    async fn deleting_at_another_version_changes_nothing_and_answers_with_the_record(world) {
        let people = people(&world).await;
        let seen = world.post(&people.ada, "One").await;
        let now = seen.rename(&world.store, world.as_user(&people.ada), "Two").await.unwrap();
        let stale = seen.delete(&world.store, world.as_user(&people.ada)).await;
        let Err(Error::Conflict { seen: at, current }) = stale else { panic!("{stale:?}") };
        assert_eq!(at, Version(seen.lock_version));
        assert_eq!(*current, now.clone().into());
        assert_eq!(seen.fresh(&world.store).await, Some(now));
    }

    async fn a_user_takes_along_profile_and_posts_as_one_deletion(world) {
        let people = people(&world).await;
        let profile = profile_of(&world, &people.ada).await;
        let one = world.post(&people.ada, "One").await;
        let two = world.draft(&people.ada, "Two").await;
        let before = world.post(&people.ada, "Before").await;
        let before = before.delete(&world.store, world.as_user(&people.ada)).await.unwrap();
        let other = world.post(&people.grace, "Other").await;
        let with_ada = set_co_authors(
            &world.store, world.as_user(&people.grace), &other, &[people.ada.id],
        ).await.unwrap();

        let request = world.as_user(&people.ada);
        let now = request.now;
        let user = people.ada.delete(&world.store, request).await.unwrap();
        let id = user.deletion_id;
        let profile_now = profile.fresh(&world.store).await.unwrap();
        assert_eq!((profile_now.deletion_id, profile_now.lock_version), (id, 1));
        for post in [&one, &two] {
            let taken = post.fresh(&world.store).await.unwrap();
            assert_eq!((taken.deletion_id, taken.deleted_at), (id, Some(now)));
            assert_eq!(taken.lock_version, post.lock_version + 1);
        }
        let entry = deletion(&world, id.unwrap()).await;
        assert_eq!((entry.row_count, entry.root_id), (4, user.uuid()));
        assert_eq!(entry.actor_id, Some(user.uuid()));
        assert_eq!(before.fresh(&world.store).await, Some(before), "its own deletion stays");
        assert_eq!(other.fresh(&world.store).await, Some(with_ada), "others' posts stay");
        assert_eq!(co_author_names(&world.store, &other).await, Vec::<String>::new());
    }

    async fn a_category_takes_along_those_below_it_at_every_depth(world) {
        let top = world.category("top", None).await;
        let left = world.category("left", Some(&top)).await;
        let right = world.category("right", Some(&top)).await;
        let deep = world.category("deep", Some(&left)).await;
        let aside = world.category("aside", None).await;
        let gone = top.delete(&world.store, system(&world)).await.unwrap();
        for below in [&left, &right, &deep] {
            assert_eq!(below.fresh(&world.store).await.unwrap().deletion_id, gone.deletion_id);
        }
        assert_eq!(deletion(&world, gone.deletion_id.unwrap()).await.row_count, 4);
        assert!(aside.is_live(&world.store).await);
    }

    async fn a_live_post_keeps_its_category_and_those_above_from_being_deleted(world) {
        let people = people(&world).await;
        let top = world.category("top", None).await;
        let below = world.category("below", Some(&top)).await;
        let post = filed_post(&world, &people.ada, "Post", Some(below.id), &[]).await;
        for category in [&below, &top] {
            let refused = category.delete(&world.store, system(&world)).await;
            let Err(Error::StillReferenced { record_type, ids, .. }) = refused else {
                panic!("{refused:?}")
            };
            assert_eq!((record_type.as_str(), ids), ("post", vec![post.uuid()]));
            assert_eq!(category.fresh(&world.store).await.as_ref(), Some(category));
        }
        assert_eq!(below.fresh(&world.store).await, Some(below.clone()), "nothing half done");

        post.delete(&world.store, system(&world)).await.unwrap();
        top.delete(&world.store, system(&world)).await.unwrap();
        assert!(!below.is_live(&world.store).await);
    }

    async fn a_category_never_lies_below_itself(world) {
        let top = world.category("top", None).await;
        let middle = world.category("middle", Some(&top)).await;
        let bottom = world.category("bottom", Some(&middle)).await;
        for below in [&top, &middle, &bottom] {
            let refused = move_category(&world, &top, below.id).await;
            assert_refused!(refused, Error::Invalid(_));
        }
        assert_eq!(top.fresh(&world.store).await, Some(top));
    }

    async fn two_categories_that_move_below_each_other_at_once_make_no_cycle(world) {
        for round in 0..8 {
            let left = world.category(&format!("left {round}"), None).await;
            let left_leaf = world.category(&format!("left leaf {round}"), Some(&left)).await;
            let right = world.category(&format!("right {round}"), None).await;
            let right_leaf = world.category(&format!("right leaf {round}"), Some(&right)).await;
            let command = |what: &Category, parent: &Category| UpdateCategory {
                id: what.id,
                seen: Version(0),
                name: Patch::Keep,
                slug: Patch::Keep,
                parent: Patch::Set(parent.id),
            };
            let tasks = [command(&left, &right_leaf), command(&right, &left_leaf)].map(|command| {
                let (store, request) = (world.store.clone(), system(&world));
                task(async move {
                    act!(store, request, |tx, viewer| category::update(tx, viewer, command))
                })
            });
            let moved = at_once(tasks.into()).await;
            let done = moved.iter().filter(|outcome| outcome.is_ok()).count();
            assert!(done <= 1, "round {round}: {moved:?}");
            for outcome in moved {
                assert!(
                    matches!(outcome, Ok(_) | Err(Error::Invalid(_) | Error::Unavailable(_))),
                    "round {round}: {outcome:?}"
                );
            }
        }
    }

    async fn categories_that_move_under_the_same_parent_at_once_all_arrive(world) {
        let parent = world.category("parent", None).await;
        let mut tasks = Vec::new();
        for n in 0..8 {
            let category = world.category(&format!("category {n}"), None).await;
            let (store, request) = (world.store.clone(), system(&world));
            let command = UpdateCategory {
                id: category.id,
                seen: Version(0),
                name: Patch::Keep,
                slug: Patch::Keep,
                parent: Patch::Set(parent.id),
            };
            tasks.push(task(async move {
                act!(store, request, |tx, viewer| category::update(tx, viewer, command))
            }));
        }
        for outcome in at_once(tasks).await {
            assert_eq!(outcome.expect("it arrives").parent_id, Some(parent.id));
        }
    }

    async fn ten_thousand_records_are_the_most_that_a_deletion_takes(world) {
        let author = world.user("author", plimsoll_domain::Role::User).await;
        let add = async |from: usize, to: usize| {
            let author = author.id;
            act!(world.store, system(&world), |tx, _viewer| async {
                let row = |n: usize| plimsoll_entity::post::ActiveModel {
                    title: Set(format!("Post {n}")),
                    slug: Set(format!("post-{n}")),
                    content: Set(String::new().into()),
                    published: Set(false),
                    published_at: Set(None),
                    author_id: Set(author),
                    category_id: Set(None),
                    ..Default::default()
                };
                tx.create_many::<plimsoll_entity::post::Entity>((from..to).map(row).collect())
                    .await?;
                plimsoll_domain::Result::Ok(())
            })
            .expect("posts can be made");
        };
        let most = plimsoll_records::MAX_DELETION as usize;
        add(0, most).await;
        let refused = author.delete(&world.store, system(&world)).await;
        assert_refused!(refused, Error::Invalid(_));
        assert_eq!(author.fresh(&world.store).await.as_ref(), Some(&author));
        let read = world.store.read();
        let count = async |scope| {
            let by = plimsoll_domain::Viewer::System;
            post::count(&read, &by, scope, Default::default()).await.unwrap()
        };
        assert_eq!(count(plimsoll_domain::Scope::Live).await, most as u64, "nothing half done");

        let one = post::by_slug(
            &read, &plimsoll_domain::Viewer::System, plimsoll_domain::Scope::Live, "post-0",
        ).await.unwrap().unwrap();
        one.delete(&world.store, system(&world)).await.unwrap();
        let gone = author.delete(&world.store, system(&world)).await.unwrap();
        assert_eq!(deletion(&world, gone.deletion_id.unwrap()).await.row_count as usize, most);
        assert_eq!(count(plimsoll_domain::Scope::Live).await, 0);
        gone.restore(&world.store, system(&world)).await.unwrap();
        assert_eq!(count(plimsoll_domain::Scope::Live).await, most as u64 - 1);
    }

    async fn a_deleted_category_tag_or_user_cannot_be_named(world) {
        let people = people(&world).await;
        let post = world.post(&people.ada, "Post").await;
        let category = world.category("category", None).await;
        category.delete(&world.store, system(&world)).await.unwrap();
        let tag = world.tag("tag").await;
        tag.delete(&world.store, system(&world)).await.unwrap();
        people.grace.delete(&world.store, system(&world)).await.unwrap();
        let by = || world.as_user(&people.ada);

        let mut command = new_post("In a deleted category");
        command.category = Some(category.id);
        let made = world.create_post(&people.ada, command).await;
        assert_refused!(made, Error::NotFound { path } if path == &["input", "categoryId"]);
        let mut command = new_post("With a deleted tag");
        command.tags = vec![tag.id];
        let made = world.create_post(&people.ada, command).await;
        assert_refused!(made, Error::NotFound { path } if path == &["input", "tagIds"]);
        let tagged = set_tags(&world.store, by(), &post, &[tag.id]).await;
        assert_refused!(tagged, Error::NotFound { path } if path == &["input", "tagIds"]);
        let shared = set_co_authors(&world.store, by(), &post, &[people.grace.id]).await;
        assert_refused!(shared, Error::NotFound { path } if path == &["input", "userIds"]);
        let mut command = post_patch(post.id, Version(post.lock_version));
        command.category = Patch::Set(category.id);
        let moved = act!(world.store, by(), |tx, viewer| post::update(tx, viewer, command));
        assert_refused!(moved, Error::NotFound { path } if path == &["input", "categoryId"]);
        let below = create_category(&world.store, system(&world), "below", Some(category.id)).await;
        assert_refused!(below, Error::NotFound { path } if path == &["input", "parentId"]);
        let live = world.category("live", None).await;
        let moved = move_category(&world, &live, category.id).await;
        assert_refused!(moved, Error::NotFound { path } if path == &["input", "parentId"]);
        let profile = create_profile(&world.store, system(&world), people.grace.id).await;
        assert_refused!(profile, Error::NotFound { path } if path == &["input", "userId"]);
        let made = world.create_post(&people.grace, new_post("By a deleted user")).await;
        assert_refused!(made, Error::Unauthenticated(_));
        assert_eq!(post.fresh(&world.store).await, Some(post));
    }

    async fn the_time_of_a_change_keeps_its_microseconds(world) {
        let author = world.user("author", plimsoll_domain::Role::User).await;
        // Not a whole number of milliseconds, and with nanoseconds that are cut off.
        let now = World::beginning() + chrono::Duration::nanoseconds(86_400_123_456_789);
        let kept = World::beginning() + chrono::Duration::microseconds(86_400_123_456);
        let request = world.request_at(viewer(&author), now);
        let post = act!(world.store, request, |tx, viewer| post::create(
            tx, viewer, new_post("Post")
        )).unwrap();
        assert_eq!((post.created_at, post.updated_at, post.listed_at), (kept, kept, kept));
        let deleted = post.delete(&world.store, request).await.unwrap();
        assert_eq!(deleted.deleted_at, Some(kept));
        let fresh = post.fresh(&world.store).await.unwrap();
        assert_eq!((fresh.created_at, fresh.deleted_at), (kept, Some(kept)));
    }

    async fn cycles_and_records_that_are_their_own_parent_are_taken_once_and_come_back(world) {
        let one = world.category("one", None).await;
        let two = world.category("two", Some(&one)).await;
        let three = world.category("three", Some(&two)).await;
        let own = world.category("own", None).await;
        // The layer would refuse both.
        let below = "UPDATE categories SET parent_id = {parent}, lock_version = lock_version + 1 \
                     WHERE id = {id}";
        by_hand(&world, below, &[("parent", three.uuid()), ("id", one.uuid())]).await;
        by_hand(&world, below, &[("parent", own.uuid()), ("id", own.uuid())]).await;
        let before = [
            one.fresh(&world.store).await.unwrap(),
            two.fresh(&world.store).await.unwrap(),
            three.fresh(&world.store).await.unwrap(),
            own.fresh(&world.store).await.unwrap(),
        ];
        let [one, two, three, own] = before.clone();
        let gone = two.delete(&world.store, system(&world)).await.unwrap();
        assert_eq!(deletion(&world, gone.deletion_id.unwrap()).await.row_count, 3);
        for category in [&one, &two, &three] {
            let now = category.fresh(&world.store).await.unwrap();
            assert_eq!(now.deletion_id, gone.deletion_id);
            assert_eq!(now.lock_version, category.lock_version + 1, "once");
        }
        let own_gone = own.delete(&world.store, system(&world)).await.unwrap();
        assert_eq!(own_gone.lock_version, own.lock_version + 1);
        assert_eq!(deletion(&world, own_gone.deletion_id.unwrap()).await.row_count, 1);

        gone.restore(&world.store, system(&world)).await.unwrap();
        own_gone.restore(&world.store, system(&world)).await.unwrap();
        for category in before {
            let now = category.fresh(&world.store).await.unwrap();
            assert_eq!((now.deleted_at, now.deletion_id), (None, None));
            assert_eq!(now.lock_version, category.lock_version + 2, "once");
            assert_eq!(now.parent_id, category.parent_id);
        }
    }

    async fn a_refusal_names_the_first_five_of_what_stands_in_the_way(world) {
        let author = world.user("author", plimsoll_domain::Role::User).await;
        let top = world.category("top", None).await;
        let below = world.category("below", Some(&top)).await;
        let mut posts = Vec::new();
        for n in 0..7 {
            let title = format!("Post {n}");
            posts.push(filed_post(&world, &author, &title, Some(below.id), &[]).await);
        }
        let gone = posts.remove(1);
        gone.delete(&world.store, system(&world)).await.unwrap();
        let refused = top.delete(&world.store, system(&world)).await;
        let Err(Error::StillReferenced { record_type, ids, .. }) = refused else {
            panic!("{refused:?}")
        };
        let first: Vec<_> = posts[..5].iter().map(Life::uuid).collect();
        assert_eq!((record_type.as_str(), ids), ("post", first), "live ones, in order");
    }

    async fn what_is_no_record_stays_as_it_is(world) {
        let people = people(&world).await;
        let tag = world.tag("tag").await;
        let post = filed_post(&world, &people.ada, "Post", None, &[tag.id]).await;
        let by = world.as_user(&people.ada);
        let post = set_co_authors(&world.store, by, &post, &[people.grace.id]).await.unwrap();
        let id = post.id;
        act!(world.store, system(&world), |tx, _viewer| async {
            let row = import_source::ActiveModel {
                id: Set(ImportSourceId(tx.mint())),
                source_key: Set("0".repeat(64)),
                source: Set("folder".into()),
                path: Set("post.md".into()),
                hash: Set("0".repeat(64)),
                post_id: Set(id),
                post_version: Set(0),
                created_at: Set(tx.now()),
                updated_at: Set(tx.now()),
            };
            tx.insert_facts::<import_source::Entity>(vec![row]).await?;
            plimsoll_domain::Result::Ok(())
        }).unwrap();
        let before = facts(&world).await;
        assert_eq!((before.0.len(), before.1.len(), before.2.len()), (1, 1, 1));
        let tag = tag.delete(&world.store, system(&world)).await.unwrap();
        let grace = people.grace.delete(&world.store, system(&world)).await.unwrap();
        let ada = people.ada.delete(&world.store, system(&world)).await.unwrap();
        assert_eq!(facts(&world).await, before);
        ada.restore(&world.store, system(&world)).await.unwrap();
        grace.restore(&world.store, system(&world)).await.unwrap();
        tag.restore(&world.store, system(&world)).await.unwrap();
        assert_eq!(facts(&world).await, before);
        assert_eq!(tag_names(&world.store, &post).await, ["tag"]);
        assert_eq!(co_author_names(&world.store, &post).await, ["grace"]);
    }

    async fn all_rows_of_a_deletion_carry_one_time_whatever_the_year(world) {
        // MariaDB's and MySQL's TIMESTAMP would end on 19 January 2038.
        for (n, now) in ["2038-01-19T03:14:07.999999Z", "2262-04-11T23:47:16.000001Z"]
            .into_iter()
            .enumerate()
        {
            let now: chrono::DateTime<chrono::Utc> = now.parse().unwrap();
            let ada = world.user(&format!("ada{n}"), plimsoll_domain::Role::User).await;
            let profile = profile_of(&world, &ada).await;
            let post = world.post(&ada, &format!("Post {n}")).await;
            let request = world.request_at(plimsoll_domain::Viewer::System, now);
            let gone = ada.delete(&world.store, request).await.unwrap();
            let profile = profile.fresh(&world.store).await.unwrap();
            let post = post.fresh(&world.store).await.unwrap();
            for (deleted_at, updated_at) in [
                (gone.deleted_at, gone.updated_at),
                (profile.deleted_at, profile.updated_at),
                (post.deleted_at, post.updated_at),
            ] {
                assert_eq!((deleted_at, updated_at), (Some(now), now));
            }
            assert_eq!(ada.fresh(&world.store).await.unwrap().deleted_at, Some(now));
            let entry = deletion(&world, gone.deletion_id.unwrap()).await;
            assert_eq!((entry.created_at, entry.row_count), (now, 3));
        }
    }
}
