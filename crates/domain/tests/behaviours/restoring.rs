use plimsoll_domain::{Error, Patch, Role, Scope, Version, post, tag, user};
use plimsoll_testkit::{World, on_every_engine};

use crate::support::*;

/// Deletes and restores a record, and tries what must be refused.
async fn comes_back<T: Life>(world: &World, record: T) {
    let live = record.restore(&world.store, system(world)).await;
    assert_refused!(live, Error::Invalid(_), "restoring a live {}", T::TYPE);
    let deleted = record.delete(&world.store, system(world)).await.unwrap();
    let stale = record.restore(&world.store, system(world)).await;
    assert_refused!(stale, Error::Conflict { current, .. }
        if current.version() == Version(deleted.version()));
    assert_eq!(record.fresh(&world.store).await.as_ref(), Some(&deleted));

    let request = system(world);
    let now = request.now;
    let back = deleted
        .restore(&world.store, request)
        .await
        .expect("it comes back");
    assert_eq!(back.version(), deleted.version() + 1);
    assert_eq!((back.deleted_at(), back.deletion()), (None, None));
    assert!(record.is_live(&world.store).await);
    let entry = deletion(world, deleted.deletion().unwrap()).await;
    assert_eq!(entry.restored_at, Some(now));
    assert_eq!(record.fresh(&world.store).await, Some(back));
}

on_every_engine! {
    async fn each_record_comes_back_as_it_was(world) {
        let author = world.user("author", Role::User).await;
        comes_back(&world, profile_of(&world, &author).await).await;
        comes_back(&world, world.post(&author, "Post").await).await;
        comes_back(&world, world.tag("tag").await).await;
        comes_back(&world, world.category("category", None).await).await;
        comes_back(&world, a_product(&world, "product").await).await;
        let other = world.user("other", Role::User).await;
        comes_back(&world, account_with(&world, &other, "EUR", 0).await).await;
        comes_back(&world, author).await;
    }

    async fn exactly_what_a_deletion_took_along_comes_back(world) {
        let people = people(&world).await;
        let profile = profile_of(&world, &people.ada).await;
        let kept = world.post(&people.ada, "Kept").await;
        let draft = world.draft(&people.ada, "Draft").await;
        let before = world.post(&people.ada, "Before").await;
        let before = before.delete(&world.store, system(&world)).await.unwrap();
        let other = world.post(&people.grace, "Other").await;
        let other = other.delete(&world.store, system(&world)).await.unwrap();

        let gone = people.ada.delete(&world.store, system(&world)).await.unwrap();
        let back = gone.restore(&world.store, system(&world)).await.unwrap();
        assert_eq!(back.lock_version, people.ada.lock_version + 2);
        for post in [&kept, &draft] {
            let now = post.fresh(&world.store).await.unwrap();
            assert_eq!(now.lock_version, post.lock_version + 2);
            assert_eq!((now.deleted_at, now.deletion_id), (None, None));
            assert_eq!(now.published, post.published);
        }
        assert!(profile.is_live(&world.store).await);
        assert_eq!(before.fresh(&world.store).await.as_ref(), Some(&before), "deleted before");
        assert_eq!(other.fresh(&world.store).await, Some(other), "of somebody else");

        // Deleted after the restoration by another deletion: a second round takes the rest.
        let kept = kept.fresh(&world.store).await.unwrap();
        let kept = kept.delete(&world.store, system(&world)).await.unwrap();
        let gone = back.delete(&world.store, system(&world)).await.unwrap();
        assert_eq!(deletion(&world, gone.deletion_id.unwrap()).await.row_count, 3);
        gone.restore(&world.store, system(&world)).await.unwrap();
        assert_eq!(kept.fresh(&world.store).await.as_ref(), Some(&kept));
        assert!(draft.is_live(&world.store).await);

        let before = before.restore(&world.store, system(&world)).await.unwrap();
        assert_eq!(before.deletion_id, None, "its own deletion can still be undone");
    }

    async fn a_record_that_was_taken_along_comes_back_only_with_the_one_that_took_it(world) {
        let people = people(&world).await;
        let post = world.post(&people.ada, "Post").await;
        let top = world.category("top", None).await;
        let below = world.category("below", Some(&top)).await;
        people.ada.delete(&world.store, system(&world)).await.unwrap();
        top.delete(&world.store, system(&world)).await.unwrap();
        let post = post.fresh(&world.store).await.unwrap();
        let below = below.fresh(&world.store).await.unwrap();
        assert_refused!(post.restore(&world.store, system(&world)).await, Error::Invalid(_));
        assert_refused!(below.restore(&world.store, system(&world)).await, Error::Invalid(_));
        assert_eq!(post.fresh(&world.store).await, Some(post));
        assert_eq!(below.fresh(&world.store).await, Some(below));
    }

    async fn nothing_comes_back_under_a_deleted_parent(world) {
        let people = people(&world).await;
        let category = world.category("category", None).await;
        let top = world.category("top", None).await;
        let below = world.category("below", Some(&top)).await;
        let of_ada = world.post(&people.ada, "Of Ada").await;
        let filed = filed_post(&world, &people.grace, "Filed", Some(category.id), &[]).await;
        let profile = profile_of(&world, &people.ada).await;
        let of_ada = of_ada.delete(&world.store, system(&world)).await.unwrap();
        let filed = filed.delete(&world.store, system(&world)).await.unwrap();
        let profile = profile.delete(&world.store, system(&world)).await.unwrap();
        let below = below.delete(&world.store, system(&world)).await.unwrap();
        let ada = people.ada.delete(&world.store, system(&world)).await.unwrap();
        let category = category.delete(&world.store, system(&world)).await.unwrap();
        top.delete(&world.store, system(&world)).await.unwrap();

        assert_refused!(of_ada.restore(&world.store, system(&world)).await, Error::Invalid(_));
        assert_refused!(filed.restore(&world.store, system(&world)).await, Error::Invalid(_));
        assert_refused!(profile.restore(&world.store, system(&world)).await, Error::Invalid(_));
        assert_refused!(below.restore(&world.store, system(&world)).await, Error::Invalid(_));
        assert_eq!(of_ada.fresh(&world.store).await.as_ref(), Some(&of_ada));
        assert_eq!(filed.fresh(&world.store).await.as_ref(), Some(&filed));

        ada.restore(&world.store, system(&world)).await.unwrap();
        category.restore(&world.store, system(&world)).await.unwrap();
        of_ada.restore(&world.store, system(&world)).await.unwrap();
        filed.restore(&world.store, system(&world)).await.unwrap();
        profile.restore(&world.store, system(&world)).await.unwrap();
    }

    async fn a_user_does_not_come_back_with_posts_in_a_deleted_category(world) {
        let people = people(&world).await;
        let category = world.category("category", None).await;
        let post = filed_post(&world, &people.ada, "Post", Some(category.id), &[]).await;
        let ada = people.ada.delete(&world.store, system(&world)).await.unwrap();
        let category = category.delete(&world.store, system(&world)).await.unwrap();
        assert_refused!(ada.restore(&world.store, system(&world)).await, Error::Invalid(_));
        assert_eq!(ada.fresh(&world.store).await.as_ref(), Some(&ada), "nothing half done");
        assert!(!post.is_live(&world.store).await);
        category.restore(&world.store, system(&world)).await.unwrap();
        ada.restore(&world.store, system(&world)).await.unwrap();
        assert!(post.is_live(&world.store).await);
    }

    async fn a_value_that_was_taken_meanwhile_is_named_and_the_record_stays_deleted(world) {
        let people = people(&world).await;
        let post = world.post(&people.ada, "Same").await;
        let tag = world.tag("same").await;
        let category = world.category("same", None).await;
        let profile = profile_of(&world, &people.grace).await;
        let post = post.delete(&world.store, system(&world)).await.unwrap();
        let tag = tag.delete(&world.store, system(&world)).await.unwrap();
        let category = category.delete(&world.store, system(&world)).await.unwrap();
        let profile = profile.delete(&world.store, system(&world)).await.unwrap();
        let ada = people.ada.delete(&world.store, system(&world)).await.unwrap();
        // Creating never revives: these are other records.
        let new_ada = world.user("Ada", Role::User).await;
        let new_post = world.post(&people.grace, "Same").await;
        let new_tag = world.tag("Same").await;
        let new_category = world.category("SAME", None).await;
        let new_profile = profile_of(&world, &people.grace).await;
        assert_ne!(new_ada.id, ada.id);
        assert_eq!((new_post.slug, new_ada.lock_version), (post.slug.clone(), 0));
        assert_ne!(new_tag.id, tag.id);
        assert_ne!(new_category.id, category.id);
        assert_ne!(new_profile.id, profile.id);

        let refused = ada.restore(&world.store, system(&world)).await;
        assert_refused!(refused, Error::AlreadyExists { field } if field == "email");
        let refused = tag.restore(&world.store, system(&world)).await;
        assert_refused!(refused, Error::AlreadyExists { field } if field == "slug");
        let refused = category.restore(&world.store, system(&world)).await;
        assert_refused!(refused, Error::AlreadyExists { field } if field == "slug");
        let refused = profile.restore(&world.store, system(&world)).await;
        assert_refused!(refused, Error::AlreadyExists { field } if field == "userId");
        assert_eq!(ada.fresh(&world.store).await.as_ref(), Some(&ada));
        assert_eq!(tag.fresh(&world.store).await, Some(tag));
        assert_eq!(category.fresh(&world.store).await, Some(category));
        assert_eq!(profile.fresh(&world.store).await, Some(profile));

        // The address is free again once its new holder has another one.
        let mut command = user::UpdateUser {
            ..user_patch(new_ada.id, Version(0))
        };
        command.email = Patch::Set("else@test.invalid".into());
        act!(world.store, system(&world), |tx, viewer| user::update(tx, viewer, command)).unwrap();
        ada.restore(&world.store, system(&world)).await.unwrap();
        let refused = post.restore(&world.store, system(&world)).await;
        assert_refused!(refused, Error::AlreadyExists { field } if field == "slug");
        assert_eq!(post.fresh(&world.store).await, Some(post));
    }

    async fn one_taken_slug_keeps_a_whole_user_from_coming_back(world) {
        let people = people(&world).await;
        let taken = world.post(&people.ada, "Taken").await;
        let free = world.post(&people.ada, "Free").await;
        let ada = people.ada.delete(&world.store, system(&world)).await.unwrap();
        world.post(&people.grace, "Taken").await;
        let refused = ada.restore(&world.store, system(&world)).await;
        assert_refused!(refused, Error::AlreadyExists { field } if field == "slug");
        assert!(!ada.is_live(&world.store).await);
        assert!(!taken.is_live(&world.store).await);
        assert!(!free.is_live(&world.store).await, "nothing half done");
    }

    async fn a_slug_among_live_and_deleted_records_names_the_live_one_then_the_last_deleted(world) {
        let author = world.user("author", Role::User).await;
        let old = world.post(&author, "Same").await;
        let old = old.delete(&world.store, system(&world)).await.unwrap();
        let new = world.post(&author, "Same").await;
        let find = async |scope| {
            let by = plimsoll_domain::Viewer::System;
            let read = world.store.read();
            let found = post::by_slug(&read, &by, scope, "SAME").await.unwrap();
            found.map(|post| post.id)
        };
        assert_eq!(find(Scope::WithDeleted).await, Some(new.id));
        assert_eq!(find(Scope::OnlyDeleted).await, Some(old.id));
        new.delete(&world.store, system(&world)).await.unwrap();
        assert_eq!(find(Scope::WithDeleted).await, Some(new.id));
        assert_eq!(find(Scope::OnlyDeleted).await, Some(new.id));
        assert_eq!(find(Scope::Live).await, None);
        old.restore(&world.store, system(&world)).await.unwrap();
        assert_eq!(find(Scope::WithDeleted).await, Some(old.id), "the live one comes first");
        assert_eq!(find(Scope::OnlyDeleted).await, Some(new.id));

        let tag = world.tag("same").await;
        let gone = tag.delete(&world.store, system(&world)).await.unwrap();
        let other = world.tag("same").await;
        other.delete(&world.store, system(&world)).await.unwrap();
        gone.restore(&world.store, system(&world)).await.unwrap();
        let by = plimsoll_domain::Viewer::System;
        let read = world.store.read();
        let found = tag::by_slug(&read, &by, Scope::WithDeleted, "same").await.unwrap();
        assert_eq!(found.map(|tag| tag.id), Some(tag.id));
    }
}
