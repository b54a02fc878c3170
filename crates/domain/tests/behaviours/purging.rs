use chrono::Duration;
use plimsoll_domain::{Error, Request, Role, Viewer};
use plimsoll_entity::{id::ImportSourceId, import_source, login_session, post_author, post_tag};
use plimsoll_testkit::{World, on_every_engine};
use sea_orm::{ActiveValue::Set, EntityTrait, PaginatorTrait};

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
        assert_eq!(other.fresh(&world.store).await, Some(other));
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
}
