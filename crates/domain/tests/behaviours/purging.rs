use chrono::{DateTime, Duration, Utc};
use plimsoll_domain::{
    Error, Options, Request, Role, Store, Version, Viewer,
    deletion::{Due, Outcome, Purge},
    tag,
};
use plimsoll_entity::{id::ImportSourceId, import_source, login_session, post_author, post_tag};
use plimsoll_records::{Rows, audit_entity};
use plimsoll_testkit::{Engine, World, on_every_engine};
use sea_orm::{ActiveValue::Set, ColumnTrait, EntityTrait, PaginatorTrait};
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::support::*;

/// Long enough after everything that a test does.
fn later(world: &World) -> Request {
    world.request_at(Viewer::System, World::beginning() + Duration::days(60))
}

#[expect(
    clippy::disallowed_methods,
    reason = "link tables are no records to read"
)]
async fn rows<E: EntityTrait>(world: &World) -> u64
where
    E::Model: Sync,
{
    let connection = world
        .store
        .database()
        .unguarded("a test counts rows of link tables");
    E::find()
        .count(connection)
        .await
        .expect("rows can be counted")
}

/// Noon of a day, counted from the beginning. On day 60 what was deleted until day 30 is due.
fn day(days: i64) -> DateTime<Utc> {
    World::beginning() + Duration::days(days) + Duration::hours(12)
}

/// Deletes a record on a day.
async fn deleted_on<T: Life>(world: &World, days: i64, record: &T) -> T {
    let request = world.request_at(Viewer::System, day(days));
    let deleted = record.delete(&world.store, request).await;
    deleted.expect("it can be deleted")
}

/// Everything that is due on day 60.
fn purge(world: &World) -> Purge {
    Purge::begin(&world.store, &world.request_at(Viewer::System, day(60)))
}

/// What the next step of a purge did: to which record, and what.
async fn step(purge: &mut Purge) -> Option<(Uuid, &'static str)> {
    let done = purge.next().await.expect("the purge goes on")?;
    let outcome = match done.outcome {
        Outcome::Gone => "gone",
        Outcome::Closed => "closed",
        Outcome::PutOff => "put off",
        Outcome::Kept(_) => "kept",
    };
    Some((done.deletion.root_id, outcome))
}

/// What the rest of a purge does.
async fn rest(purge: &mut Purge) -> Vec<(Uuid, &'static str)> {
    let mut steps = Vec::new();
    while let Some(done) = step(purge).await {
        steps.push(done);
        assert!(steps.len() < 1000, "it ends: {steps:?}");
    }
    steps
}

/// The next step of a purge, which leaves the deletion for this reason.
async fn kept(purge: &mut Purge) -> (Uuid, Error) {
    let done = purge.next().await.expect("the purge goes on");
    match done.map(|done| (done.deletion.root_id, done.outcome)) {
        Some((id, Outcome::Kept(reason))) => (id, reason),
        other => panic!("{other:?}"),
    }
}

/// Deletes a record and purges it, and tries what must be refused.
async fn goes_for_good<T: Life>(world: &World, record: T, owner: &plimsoll_domain::user::User) {
    let store = &world.store;
    let at = system(world).now;
    let live = record.purge(store, later(world)).await;
    assert_refused!(live, Error::Invalid(_), "a live {}", T::TYPE);
    let deleted = record
        .delete(store, world.request_at(Viewer::System, at))
        .await
        .unwrap();
    let retention = store.settings().retention;
    let just_before = retention.purgeable_at(at) - Duration::microseconds(1);
    let early = deleted
        .purge(store, world.request_at(Viewer::System, just_before))
        .await;
    assert_refused!(early, Error::Invalid(_), "too early: {}", T::TYPE);
    let mut by_owner = later(world);
    by_owner.viewer = viewer(owner);
    let not_theirs = deleted.purge(store, by_owner).await;
    assert_refused!(
        not_theirs,
        Error::NotFound { .. } | Error::Forbidden(_) | Error::Unauthenticated(_),
        "{}",
        T::TYPE
    );
    let stale = record.purge(store, later(world)).await;
    assert_refused!(stale, Error::Conflict { .. }, "{}", T::TYPE);
    assert_eq!(record.fresh(store).await.as_ref(), Some(&deleted));

    let now = retention.purgeable_at(at);
    let purged = deleted
        .purge(store, world.request_at(Viewer::System, now))
        .await
        .unwrap();
    assert_eq!(purged, deleted);
    assert_eq!(record.fresh(store).await, None);
    let entry = deletion(world, deleted.deletion().unwrap()).await;
    assert_eq!(entry.purged_at, Some(now));
    let again = deleted.purge(store, later(world)).await;
    assert_refused!(again, Error::NotFound { .. });
    let back = deleted.restore(store, later(world)).await;
    assert_refused!(back, Error::NotFound { .. });
    let last = audit_of(store, record.uuid()).await.pop().unwrap();
    assert_eq!((last.action.as_str(), last.to_version), ("purge", None));
    assert_eq!(last.from_version, Some(deleted.version()));
}

on_every_engine! {
    async fn a_record_goes_for_good_after_the_retention_time_and_by_an_administrator(world) {
        let author = world.user("author", Role::User).await;
        let moderator = world.user("moderator", Role::Moderator).await;
        goes_for_good(&world, profile_of(&world, &author).await, &author).await;
        goes_for_good(&world, world.post(&author, "Post").await, &author).await;
        goes_for_good(&world, world.post(&author, "Other").await, &moderator).await;
        goes_for_good(&world, world.tag("tag").await, &moderator).await;
        goes_for_good(&world, world.category("category", None).await, &moderator).await;
        goes_for_good(&world, a_product(&world, "product").await, &moderator).await;
        let other = world.user("other", Role::User).await;
        goes_for_good(&world, account_with(&world, &other, "EUR", 0).await, &other).await;
        let other = author.clone();
        goes_for_good(&world, author, &other).await;
    }

    async fn a_user_goes_with_posts_profile_links_logins_and_import_sources(world) {
        let ada = world.user_with_password("ada", Role::User).await;
        let grace = world.user("grace", Role::User).await;
        let tag = world.tag("tag").await;
        let profile = profile_of(&world, &ada).await;
        let post = filed_post(&world, &ada, "Post", None, &[tag.id]).await;
        let by = world.as_user(&ada);
        let post = set_co_authors(&world.store, by, &post, &[grace.id]).await.unwrap();
        let other = filed_post(&world, &grace, "Other", None, &[tag.id]).await;
        let by = world.as_user(&grace);
        let other = set_co_authors(&world.store, by, &other, &[ada.id]).await.unwrap();
        plimsoll_domain::session::login(
            &world.store,
            &world.request(Viewer::Anonymous),
            &ada.email,
            plimsoll_testkit::PASSWORD.into(),
        ).await.unwrap();
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

        let ada = ada.delete(&world.store, system(&world)).await.unwrap();
        assert_eq!(rows::<post_author::Entity>(&world).await, 2, "deleting removes nothing");
        ada.purge(&world.store, later(&world)).await.unwrap();
        assert_eq!(profile.fresh(&world.store).await, None);
        assert_eq!(post.fresh(&world.store).await, None);
        assert_eq!(ada.fresh(&world.store).await, None);
        assert_eq!(rows::<post_tag::Entity>(&world).await, 1, "the other post's");
        assert_eq!(rows::<post_author::Entity>(&world).await, 0);
        assert_eq!(rows::<login_session::Entity>(&world).await, 0);
        assert_eq!(rows::<import_source::Entity>(&world).await, 0);
        let now = other.fresh(&world.store).await.unwrap();
        assert_eq!(now.lock_version, other.lock_version + 1, "it lost a co-author for good");
        for (id, versions) in [(profile.uuid(), 1), (post.uuid(), 3)] {
            let last = audit_of(&world.store, id).await.pop().unwrap();
            assert_eq!((last.action.as_str(), last.from_version), ("purge", Some(versions)));
        }
    }

    async fn a_tree_of_categories_goes_leaves_first(world) {
        let top = world.category("top", None).await;
        let left = world.category("left", Some(&top)).await;
        let deep = world.category("deep", Some(&left)).await;
        let gone = top.delete(&world.store, system(&world)).await.unwrap();
        gone.purge(&world.store, later(&world)).await.unwrap();
        for category in [&top, &left, &deep] {
            assert_eq!(category.fresh(&world.store).await, None);
        }
    }

    async fn what_was_restored_or_deleted_anew_is_not_purged(world) {
        let people = people(&world).await;
        let post = world.post(&people.ada, "Post").await;
        let deleted = post.delete(&world.store, system(&world)).await.unwrap();
        let back = deleted.restore(&world.store, system(&world)).await.unwrap();
        assert_refused!(deleted.purge(&world.store, later(&world)).await, Error::Invalid(_));
        assert_refused!(back.purge(&world.store, later(&world)).await, Error::Invalid(_));
        assert_eq!(post.fresh(&world.store).await.as_ref(), Some(&back));
        // Deleted again on the last day: the time begins anew.
        let anew = world.request_at(Viewer::System, World::beginning() + Duration::days(59));
        let anew = back.delete(&world.store, anew).await.unwrap();
        assert_refused!(anew.purge(&world.store, later(&world)).await, Error::Invalid(_));
        assert_eq!(post.fresh(&world.store).await, Some(anew));
    }

    async fn a_user_whose_post_was_deleted_by_itself_stays_whole(world) {
        let people = people(&world).await;
        let profile = profile_of(&world, &people.ada).await;
        let along = world.post(&people.ada, "Along").await;
        let alone = world.post(&people.ada, "Alone").await;
        let alone = alone.delete(&world.store, system(&world)).await.unwrap();
        let ada = people.ada.delete(&world.store, system(&world)).await.unwrap();
        let before = audit_count(&world.store).await;
        let refused = ada.purge(&world.store, later(&world)).await;
        assert_refused!(refused, Error::StillReferenced { .. });
        assert_eq!(ada.fresh(&world.store).await.as_ref(), Some(&ada));
        assert!(profile.fresh(&world.store).await.is_some(), "nothing is gone");
        assert!(along.fresh(&world.store).await.is_some());
        assert_eq!(audit_count(&world.store).await, before);
        assert_eq!(deletion(&world, ada.deletion_id.unwrap()).await.purged_at, None);

        alone.purge(&world.store, later(&world)).await.unwrap();
        ada.purge(&world.store, later(&world)).await.unwrap();
        assert_eq!(along.fresh(&world.store).await, None);
    }

    async fn a_record_that_was_taken_along_is_purged_only_with_the_one_that_took_it(world) {
        let people = people(&world).await;
        let post = world.post(&people.ada, "Post").await;
        people.ada.delete(&world.store, system(&world)).await.unwrap();
        let post = post.fresh(&world.store).await.unwrap();
        assert_refused!(post.purge(&world.store, later(&world)).await, Error::Invalid(_));
        assert_eq!(post.fresh(&world.store).await, Some(post));
    }

    async fn what_is_due_is_purged_the_oldest_first_and_nothing_else(world) {
        let people = people(&world).await;
        let young = deleted_on(&world, 31, &world.tag("young").await).await;
        let tag = deleted_on(&world, 9, &world.tag("tag").await).await;
        let live = world.tag("live").await;
        let category = deleted_on(&world, 7, &world.category("category", None).await).await;
        let profile = deleted_on(&world, 8, &profile_of(&world, &people.grace).await).await;
        let back = deleted_on(&world, 6, &world.tag("back").await).await;
        let back = back.restore(&world.store, system(&world)).await.unwrap();
        let post = world.post(&people.ada, "Post").await;
        let ada = deleted_on(&world, 10, &people.ada).await;
        let last = deleted_on(&world, 30, &world.tag("last").await).await;

        let request = world.request_at(Viewer::System, day(60));
        let mut purge = Purge::begin(&world.store, &request);
        assert_eq!(purge.due().count().await.unwrap(), 5);
        let expected = [category.uuid(), profile.uuid(), tag.uuid(), ada.uuid(), last.uuid()];
        for (done, id) in expected.into_iter().enumerate() {
            let left = Due::at(world.store.read(), request.now, world.store.settings().retention);
            assert_eq!(left.count().await.unwrap() as usize, 5 - done, "one at a time");
            assert_eq!(step(&mut purge).await, Some((id, "gone")));
        }
        assert_eq!(step(&mut purge).await, None);
        assert_eq!(step(&mut purge).await, None, "it stays at its end");
        for gone in [tag.fresh(&world.store).await, last.fresh(&world.store).await] {
            assert_eq!(gone, None);
        }
        assert_eq!(category.fresh(&world.store).await, None);
        assert_eq!(profile.fresh(&world.store).await, None);
        assert_eq!(ada.fresh(&world.store).await, None);
        assert_eq!(post.fresh(&world.store).await, None, "it went along");
        assert_eq!(young.fresh(&world.store).await, Some(young));
        assert_eq!(live.fresh(&world.store).await, Some(live));
        assert_eq!(back.fresh(&world.store).await, Some(back));
        assert_eq!(deletion(&world, ada.deletion_id.unwrap()).await.purged_at, Some(day(60)));

        // The audit log names the run, and nobody as the actor: it was the program itself.
        let purged = Rows::<audit_entity::Entity>::live()
            .filter(audit_entity::Column::Action.eq("purge"))
            .all(100, &world.store.read())
            .await
            .unwrap();
        assert_eq!(purged.len(), 6);
        for entry in purged {
            assert_eq!((entry.actor_id, entry.request_id), (None, Some(request.id)));
            assert_eq!((entry.created_at, entry.to_version), (day(60), None));
        }
    }

    async fn a_purge_that_was_left_off_goes_on_in_the_next(world) {
        let mut ids = Vec::new();
        for n in 0..5 {
            ids.push(deleted_on(&world, n, &world.tag(&format!("tag {n}")).await).await.uuid());
        }
        let mut first = purge(&world);
        assert_eq!(step(&mut first).await, Some((ids[0], "gone")));
        assert_eq!(step(&mut first).await, Some((ids[1], "gone")));
        drop(first);
        let mut second = purge(&world);
        assert_eq!(second.due().count().await.unwrap(), 3);
        let left: Vec<_> = ids[2..].iter().map(|id| (*id, "gone")).collect();
        assert_eq!(rest(&mut second).await, left);
    }

    async fn what_was_restored_deleted_anew_or_purged_since_it_was_listed_is_left(world) {
        let first = deleted_on(&world, 1, &world.tag("first").await).await;
        let back = deleted_on(&world, 2, &world.tag("back").await).await;
        let anew = deleted_on(&world, 3, &world.tag("anew").await).await;
        let gone = deleted_on(&world, 4, &world.tag("gone").await).await;
        let last = deleted_on(&world, 5, &world.tag("last").await).await;
        let mut purge = purge(&world);
        assert_eq!(step(&mut purge).await, Some((first.uuid(), "gone")));
        // All of them are on the list by now.
        let back = back.restore(&world.store, later(&world)).await.unwrap();
        let anew = anew.restore(&world.store, later(&world)).await.unwrap();
        let anew = anew.delete(&world.store, later(&world)).await.unwrap();
        gone.purge(&world.store, later(&world)).await.unwrap();
        let before = audit_count(&world.store).await;
        assert_eq!(
            rest(&mut purge).await,
            [
                (back.uuid(), "closed"),
                (anew.uuid(), "closed"),
                (gone.uuid(), "closed"),
                (last.uuid(), "gone"),
            ]
        );
        assert_eq!(audit_count(&world.store).await, before + 1, "the last one's");
        assert_eq!(back.fresh(&world.store).await, Some(back));
        assert_eq!(anew.fresh(&world.store).await, Some(anew));
    }

    async fn a_purge_waits_for_a_restoration_under_way_and_leaves_what_it_brought_back(world) {
        let post_tag = deleted_on(&world, 1, &world.tag("tag").await).await;
        let (restored, is_restored) = oneshot::channel();
        let (go, goes) = oneshot::channel::<()>();
        let (restored, goes) = (Once::new(restored), Once::new(goes));
        let (store, request, id) = (world.store.clone(), system(&world), post_tag.id);
        let seen = Version(post_tag.lock_version);
        let restoring = tokio::spawn(async move {
            act!(store, request, |tx, viewer| async {
                let back = tag::restore(tx, viewer, id, seen).await?;
                restored.take().send(()).expect("somebody waits");
                goes.take().await.expect("it may go on");
                Ok(back)
            })
        });
        is_restored.await.unwrap();
        let mut purge = purge(&world);
        let mut next = std::pin::pin!(step(&mut purge));
        let early = tokio::time::timeout(std::time::Duration::from_millis(300), &mut next).await;
        assert!(early.is_err(), "it waits: {early:?}");
        go.send(()).unwrap();
        assert_eq!(next.await, Some((id.into(), "closed")));
        let back = restoring.await.unwrap().unwrap();
        assert_eq!(back.fresh(&world.store).await, Some(back));
    }

    async fn a_restoration_and_a_purge_of_all_at_the_same_moment_never_both_happen(world) {
        for round in 0..12 {
            let ada = world.user(&format!("ada{round}"), Role::User).await;
            let post = world.post(&ada, &format!("Post {round}")).await;
            let gone = deleted_on(&world, 1, &ada).await;
            let (store, request) = (world.store.clone(), later(&world));
            let restore = task(async move { gone.restore(&store, request).await.is_ok() });
            let mut purge = purge(&world);
            let purge = task(async move {
                let steps = rest(&mut purge).await;
                let outcomes: Vec<_> = steps.iter().map(|(_, outcome)| *outcome).collect();
                match outcomes[..] {
                    // Restored before it was listed.
                    [] | ["closed"] => false,
                    ["gone"] => true,
                    _ => panic!("{steps:?}"),
                }
            });
            let outcomes = at_once(vec![restore, purge]).await;
            assert_ne!(outcomes[0], outcomes[1], "round {round}");
            assert_eq!(ada.is_live(&world.store).await, outcomes[0]);
            assert_eq!(post.is_live(&world.store).await, outcomes[0], "all of it or nothing");
            assert_eq!(post.fresh(&world.store).await.is_none(), outcomes[1]);
        }
    }

    async fn two_purges_at_once_share_the_work_and_count_each_deletion_once(world) {
        for n in 0..12 {
            deleted_on(&world, n, &world.tag(&format!("tag {n}")).await).await;
        }
        let purges = (0..2).map(|_| {
            let mut purge = purge(&world);
            task(async move { rest(&mut purge).await })
        });
        let both = at_once(purges.collect()).await.concat();
        assert!(both.iter().all(|(_, outcome)| ["gone", "closed"].contains(outcome)), "{both:?}");
        let mut gone: Vec<_> = both.iter().filter(|(_, outcome)| *outcome == "gone").collect();
        assert_eq!(gone.len(), 12);
        gone.sort_unstable();
        gone.dedup();
        assert_eq!(gone.len(), 12, "each by one of them");
    }

    async fn parents_that_were_dated_before_their_children_are_put_off_until_these_are_gone(world) {
        let people = people(&world).await;
        let top = world.category("top", None).await;
        let middle = world.category("middle", Some(&top)).await;
        let bottom = world.category("bottom", Some(&middle)).await;
        let post = filed_post(&world, &people.ada, "Post", Some(bottom.id), &[]).await;
        // As if the clock had gone backwards meanwhile.
        let post = deleted_on(&world, 9, &post).await;
        let ada = deleted_on(&world, 8, &people.ada).await;
        let bottom = deleted_on(&world, 7, &bottom).await;
        let middle = deleted_on(&world, 6, &middle).await;
        let top = deleted_on(&world, 5, &top).await;
        let mut purge = purge(&world);
        assert_eq!(purge.due().count().await.unwrap(), 5);
        assert_eq!(
            rest(&mut purge).await,
            [
                (top.uuid(), "put off"),
                (middle.uuid(), "put off"),
                (bottom.uuid(), "put off"),
                (ada.uuid(), "put off"),
                (post.uuid(), "gone"),
                (top.uuid(), "put off"),
                (middle.uuid(), "put off"),
                (bottom.uuid(), "gone"),
                (ada.uuid(), "gone"),
                (top.uuid(), "put off"),
                (middle.uuid(), "gone"),
                (top.uuid(), "gone"),
            ]
        );
    }

    async fn what_others_refer_to_is_named_with_them_and_the_rest_goes_on(world) {
        let people = people(&world).await;
        let young = world.post(&people.ada, "Young").await;
        let young = deleted_on(&world, 50, &young).await;
        let ada = deleted_on(&world, 1, &people.ada).await;
        let category = world.category("category", None).await;
        let below = world.category("below", Some(&category)).await;
        let category = deleted_on(&world, 2, &category).await;
        let below = below.fresh(&world.store).await.unwrap();
        let live = world.post(&people.grace, "Live").await;
        // The layer would refuse it.
        let put = "UPDATE posts SET category_id = {category}, lock_version = lock_version + 1 \
                   WHERE id = {post}";
        let ids = [("category", below.uuid()), ("post", live.uuid())];
        by_hand(&world, put, &ids).await;
        let tag = deleted_on(&world, 3, &world.tag("tag").await).await;
        let audit = audit_count(&world.store).await;

        let mut purge = purge(&world);
        assert_eq!(step(&mut purge).await, Some((ada.uuid(), "put off")));
        assert_eq!(step(&mut purge).await, Some((category.uuid(), "put off")));
        assert_eq!(step(&mut purge).await, Some((tag.uuid(), "gone")));
        // Something went: it may be that they can go now.
        assert_eq!(step(&mut purge).await, Some((ada.uuid(), "put off")));
        assert_eq!(step(&mut purge).await, Some((category.uuid(), "put off")));
        for (expected, post) in [(ada.uuid(), young.uuid()), (category.uuid(), live.uuid())] {
            let (id, reason) = kept(&mut purge).await;
            assert_eq!(id, expected);
            assert_refused!(Err::<(), _>(reason), Error::StillReferenced { record_type, ids, .. }
                if record_type == "post" && *ids == [post]);
        }
        assert_eq!(step(&mut purge).await, None);
        assert_eq!(audit_count(&world.store).await, audit + 1, "the tag's");
        assert_eq!(ada.fresh(&world.store).await.as_ref(), Some(&ada));
        assert_eq!(category.fresh(&world.store).await.as_ref(), Some(&category));
        assert_eq!(below.fresh(&world.store).await, Some(below), "nothing half done");
        assert_eq!(deletion(&world, ada.deletion_id.unwrap()).await.purged_at, None);

        // Once nothing refers to them any longer, the next purge takes them.
        let out = "UPDATE posts SET category_id = NULL, lock_version = lock_version + 1 \
                   WHERE id = {post}";
        by_hand(&world, out, &ids).await;
        young.restore(&world.store, later(&world)).await.expect_err("its author is deleted");
        let request = world.request_at(Viewer::System, day(80));
        let mut next = Purge::begin(&world.store, &request);
        assert_eq!(
            rest(&mut next).await,
            [
                (ada.uuid(), "put off"),
                (category.uuid(), "gone"),
                (young.uuid(), "gone"),
                (ada.uuid(), "gone"),
            ]
        );
    }

    async fn a_row_that_is_younger_than_its_deletion_is_not_purged_and_nothing_of_it(world) {
        let ada = world.user("ada", Role::User).await;
        let young = world.post(&ada, "Young").await;
        let other = world.post(&ada, "Other").await;
        let ada = deleted_on(&world, 1, &ada).await;
        let tag = deleted_on(&world, 2, &world.tag("tag").await).await;
        // Of 20 February, while the deletion is of January.
        let time = match world.engine {
            Engine::Sqlite => "'2026-02-20T12:00:00+00:00'",
            _ => "'2026-02-20 12:00:00'",
        };
        for (table, id) in [("posts", young.uuid()), ("tags", tag.uuid())] {
            let late = format!(
                "UPDATE {table} SET deleted_at = {time}, lock_version = lock_version + 1 \
                 WHERE id = {{id}}"
            );
            by_hand(&world, &late, &[("id", id)]).await;
        }
        let tag = tag.fresh(&world.store).await.unwrap();
        let before = audit_count(&world.store).await;
        let mut purge = purge(&world);
        for id in [ada.uuid(), tag.uuid()] {
            let (named, reason) = kept(&mut purge).await;
            assert_eq!(named, id);
            assert_refused!(Err::<(), _>(reason), Error::Internal(_));
        }
        assert_eq!(step(&mut purge).await, None);
        for post in [&young, &other] {
            assert!(post.fresh(&world.store).await.is_some(), "nothing half done");
        }
        assert_eq!(ada.fresh(&world.store).await.as_ref(), Some(&ada));
        assert_eq!(tag.fresh(&world.store).await.as_ref(), Some(&tag));
        assert_eq!(audit_count(&world.store).await, before);
        for id in [ada.deletion_id, tag.deletion_id] {
            assert_eq!(deletion(&world, id.unwrap()).await.purged_at, None);
        }
    }

    async fn a_deletion_whose_record_is_not_there_or_not_known_is_named(world) {
        let tag = deleted_on(&world, 1, &world.tag("tag").await).await;
        let other = deleted_on(&world, 2, &world.tag("other").await).await;
        let last = deleted_on(&world, 3, &world.tag("last").await).await;
        let root = "UPDATE deletions SET root_id = {root} WHERE id = {id}";
        let nobody = Uuid::now_v7();
        past_the_walls(&world, root, &[("root", nobody), ("id", tag.deletion_id.unwrap())]).await;
        let of = "UPDATE deletions SET root_type = 'ghost' WHERE id = {id}";
        past_the_walls(&world, of, &[("id", other.deletion_id.unwrap())]).await;
        let mut purge = purge(&world);
        let (id, reason) = kept(&mut purge).await;
        assert_eq!(id, nobody);
        assert_refused!(Err::<(), _>(reason), Error::Internal(why) if why.contains("not there"));
        let (id, reason) = kept(&mut purge).await;
        assert_eq!(id, other.uuid());
        assert_refused!(Err::<(), _>(reason), Error::Internal(why) if why.contains("ghost"));
        assert_eq!(rest(&mut purge).await, [(last.uuid(), "gone")]);
        assert_eq!(tag.fresh(&world.store).await, Some(tag));
        assert_eq!(other.fresh(&world.store).await, Some(other));
    }

    async fn a_record_that_somebody_else_holds_is_tried_three_times_and_named(world) {
        let held = deleted_on(&world, 1, &world.tag("held").await).await;
        // Of another type: in a table of two rows, MariaDB looks at, and waits for, both.
        let other = deleted_on(&world, 2, &world.category("other", None).await).await;
        let impatient = Store::connect(
            &world.database.url,
            Options {
                statement_timeout: std::time::Duration::from_millis(500),
                acquire_timeout: std::time::Duration::from_millis(500),
                ..Options::default()
            },
            *world.store.settings(),
        )
        .await
        .unwrap();
        let (locked, is_locked) = oneshot::channel();
        let (go, goes) = oneshot::channel::<()>();
        let (locked, goes) = (Once::new(locked), Once::new(goes));
        let (store, request, this) = (world.store.clone(), system(&world), held.clone());
        let holding = tokio::spawn(async move {
            let outcome: plimsoll_domain::Result<()> = act!(store, request, |tx, viewer| async {
                tag::restore(tx, viewer, this.id, Version(this.lock_version)).await?;
                locked.take().send(()).expect("somebody waits");
                goes.take().await.expect("it may go on");
                Err(Error::not_found())
            });
            assert_refused!(outcome, Error::NotFound { .. });
        });
        is_locked.await.unwrap();
        let mut purge = Purge::begin(&impatient, &world.request_at(Viewer::System, day(60)));
        let mut steps = Vec::new();
        let (mut held_up, mut waited) = (Vec::new(), 0);
        while let Some(done) = purge.next().await.expect("it goes on") {
            match done.outcome {
                Outcome::Kept(reason) => {
                    assert_refused!(Err::<(), _>(reason), Error::Unavailable(_));
                    held_up.push(done.deletion.root_id);
                }
                Outcome::PutOff => waited += usize::from(done.deletion.root_id == held.uuid()),
                outcome => steps.push((done.deletion.root_id, format!("{outcome:?}"))),
            }
        }
        assert_eq!(waited, 3);
        match world.engine {
            // It has one writer: nobody can write.
            Engine::Sqlite => {
                assert_eq!(held_up, [held.uuid(), other.uuid()]);
            }
            _ => {
                assert_eq!(held_up, [held.uuid()]);
                assert_eq!(steps, [(other.uuid(), "Gone".to_owned())]);
            }
        }
        go.send(()).unwrap();
        holding.await.unwrap();
        assert_eq!(held.fresh(&world.store).await.as_ref(), Some(&held));
        let mut again = Purge::begin(&impatient, &world.request_at(Viewer::System, day(60)));
        assert_eq!(step(&mut again).await, Some((held.uuid(), "gone")));
        drop(again);
        impatient.database().close().await;
    }

    async fn a_database_that_goes_away_ends_a_purge(world) {
        let first = deleted_on(&world, 1, &world.tag("first").await).await;
        deleted_on(&world, 2, &world.tag("second").await).await;
        let mut purge = purge(&world);
        assert_eq!(step(&mut purge).await, Some((first.uuid(), "gone")));
        world.store.database().close().await;
        let ended = purge.next().await;
        assert_refused!(ended, Error::Unavailable(_));
    }

    async fn more_deletions_than_a_page_holds_are_all_found_once(world) {
        const MANY: usize = 205;
        act!(world.store, world.request_at(Viewer::System, day(1)), |tx, viewer| async {
            // All at the same time: they tie in the order.
            for n in 0..MANY {
                let name = format!("tag {n}");
                let made = tag::create(tx, viewer, tag::CreateTag { name, slug: None }).await?;
                tag::delete(tx, viewer, made.id, Version(0)).await?;
            }
            plimsoll_domain::Result::Ok(())
        }).unwrap();
        let settings = world.store.settings();
        let mut due = Due::at(world.store.read(), day(60), settings.retention);
        assert_eq!(due.count().await.unwrap() as usize, MANY);
        let mut listed = std::collections::BTreeSet::new();
        while let Some(deletion) = due.next().await.unwrap() {
            assert!(listed.insert(deletion.root_id), "once");
        }
        assert_eq!(listed.len(), MANY);
        let steps = rest(&mut purge(&world)).await;
        assert!(steps.iter().all(|(id, outcome)| listed.contains(id) && *outcome == "gone"));
        assert_eq!(steps.len(), MANY);
        let mut none = Due::at(world.store.read(), day(60), settings.retention);
        assert_eq!(none.next().await.unwrap(), None);
    }

    async fn only_administrators_and_the_program_itself_purge(world) {
        let people = people(&world).await;
        let tag = deleted_on(&world, 1, &world.tag("tag").await).await;
        for by in [&people.ada, &people.moderator] {
            let mut purge = Purge::begin(&world.store, &world.request_at(viewer(by), day(60)));
            let (_, reason) = kept(&mut purge).await;
            assert_refused!(Err::<(), _>(reason), Error::Forbidden(_));
            assert_eq!(step(&mut purge).await, None);
        }
        assert_eq!(tag.fresh(&world.store).await.as_ref(), Some(&tag));
        let request = world.request_at(viewer(&people.admin), day(60));
        let mut purge = Purge::begin(&world.store, &request);
        assert_eq!(step(&mut purge).await, Some((tag.uuid(), "gone")));
        let last = audit_of(&world.store, tag.uuid()).await.pop().unwrap();
        assert_eq!(last.actor_id, Some(people.admin.uuid()));
    }
}
