use plimsoll_domain::{
    Error, Role, Scope, Version, Viewer, id::TagId, post, post::PostsOf, tag::Tag, user::User,
};
use plimsoll_testkit::{World, on_every_engine};

use crate::support::*;

async fn tags(world: &World, names: &[&str]) -> Vec<TagId> {
    let mut ids = Vec::new();
    for name in names {
        ids.push(world.tag(name).await.id);
    }
    ids
}

async fn posts_of_tag(world: &World, tag: TagId) -> u64 {
    let read = world.store.read();
    let id = tag.into();
    let counts = post::counts_of(&read, &Viewer::System, Scope::Live, PostsOf::Tag, &[id])
        .await
        .unwrap();
    counts.get(&id).copied().unwrap_or_default()
}

on_every_engine! {
    async fn a_change_of_tags_is_a_change_of_the_post(world) {
        let author = world.user("author", Role::User).await;
        let ids = tags(&world, &["a", "b", "c"]).await;
        let post = world.post(&author, "Post").await;
        let by = || world.as_user(&author);
        let request = by();
        let post = set_tags(&world.store, request, &post, &[ids[2], ids[0]]).await.unwrap();
        assert_eq!((post.lock_version, post.updated_at), (2, request.now));
        assert_eq!(tag_names(&world.store, &post).await, ["c", "a"], "in the order given");
        let post = set_tags(&world.store, by(), &post, &[ids[0], ids[1], ids[2]]).await.unwrap();
        assert_eq!(tag_names(&world.store, &post).await, ["a", "b", "c"]);
        let post = set_tags(&world.store, by(), &post, &[ids[1]]).await.unwrap();
        assert_eq!(tag_names(&world.store, &post).await, ["b"]);
        assert_eq!(posts_of_tag(&world, ids[0]).await, 0, "unlinking removes the link");
        let post = set_tags(&world.store, by(), &post, &[ids[0], ids[1]]).await.unwrap();
        assert_eq!(tag_names(&world.store, &post).await, ["a", "b"], "and it can be linked again");
        assert_eq!(posts_of_tag(&world, ids[0]).await, 1);
        let post = set_tags(&world.store, by(), &post, &[]).await.unwrap();
        assert_eq!(tag_names(&world.store, &post).await, Vec::<String>::new());
        assert_eq!(post.lock_version, 6);

        let audit = audit_of(&world.store, post.uuid()).await;
        let last = audit.last().unwrap();
        assert_eq!(last.changes["tags"], serde_json::json!([[ids[0].0, ids[1].0], []]));
    }

    async fn the_same_tags_again_change_nothing_but_the_version_is_checked(world) {
        let author = world.user("author", Role::User).await;
        let ids = tags(&world, &["a", "b"]).await;
        let post = world.post(&author, "Post").await;
        let by = || world.as_user(&author);
        let tagged = set_tags(&world.store, by(), &post, &ids).await.unwrap();
        let audit = audit_count(&world.store).await;
        let again = set_tags(&world.store, by(), &tagged, &ids).await.unwrap();
        assert_eq!(again, tagged);
        assert_eq!(audit_count(&world.store).await, audit);
        let stale = set_tags(&world.store, by(), &post, &ids).await;
        assert_refused!(stale, Error::Conflict { .. });
        let stale = set_tags(&world.store, by(), &post, &[]).await;
        assert_refused!(stale, Error::Conflict { .. });
        assert_eq!(tag_names(&world.store, &post).await, ["a", "b"]);
    }

    async fn a_link_to_a_deleted_tag_is_invisible_untouched_and_back_with_the_tag(world) {
        let author = world.user("author", Role::User).await;
        let ids = tags(&world, &["a", "b", "c"]).await;
        let post = filed_post(&world, &author, "Post", None, &ids[..2]).await;
        let by = || world.as_user(&author);
        let all = Viewer::System;
        let a = Tag::seen(&world.store, &all, Scope::Live, &[ids[0].into()]).await.remove(0);
        let a = a.delete(&world.store, system(&world)).await.unwrap();
        assert_eq!(tag_names(&world.store, &post).await, ["b"]);
        assert_eq!(post.fresh(&world.store).await.unwrap(), post, "the post did not change");
        let same = set_tags(&world.store, by(), &post, &[ids[1]]).await.unwrap();
        assert_eq!(same, post, "what is seen is what is compared");
        let post = set_tags(&world.store, by(), &post, &[ids[2]]).await.unwrap();
        assert_eq!(tag_names(&world.store, &post).await, ["c"]);
        a.restore(&world.store, system(&world)).await.unwrap();
        let mut names = tag_names(&world.store, &post).await;
        names.sort();
        assert_eq!(names, ["a", "c"]);
        assert_eq!(posts_of_tag(&world, ids[0]).await, 1);
    }

    async fn a_deleted_co_author_is_invisible_and_back_after_restoration(world) {
        let people = people(&world).await;
        let post = world.post(&people.ada, "Post").await;
        let request = world.as_user(&people.ada);
        let both = [people.grace.id, people.moderator.id];
        let post = set_co_authors(&world.store, request, &post, &both).await.unwrap();
        assert_eq!((post.lock_version, post.updated_at), (2, request.now));
        assert_eq!(co_author_names(&world.store, &post).await, ["grace", "mona"]);
        let gone = people.grace.delete(&world.store, system(&world)).await.unwrap();
        assert_eq!(co_author_names(&world.store, &post).await, ["mona"]);
        assert_eq!(post.fresh(&world.store).await.unwrap(), post);
        gone.restore(&world.store, system(&world)).await.unwrap();
        assert_eq!(co_author_names(&world.store, &post).await, ["grace", "mona"]);
        let by = world.as_user(&people.ada);
        let again = set_co_authors(&world.store, by, &post, &both).await.unwrap();
        assert_eq!(again, post);
        let by = world.as_user(&people.ada);
        let author = set_co_authors(&world.store, by, &post, &[people.ada.id]).await;
        assert_refused!(author, Error::Invalid(_), "the author is no co-author");
    }

    async fn a_name_that_is_repeated_or_unknown_is_refused(world) {
        let author = world.user("author", Role::User).await;
        let other = world.user("other", Role::User).await;
        let ids = tags(&world, &["a", "b"]).await;
        let post = world.post(&author, "Post").await;
        let by = || world.as_user(&author);
        let repeated = set_tags(&world.store, by(), &post, &[ids[0], ids[1], ids[0]]).await;
        assert_refused!(repeated, Error::Invalid(_));
        let unknown = TagId(uuid::Uuid::now_v7());
        let unknown = set_tags(&world.store, by(), &post, &[ids[0], unknown]).await;
        assert_refused!(unknown, Error::NotFound { .. });
        let repeated = set_co_authors(&world.store, by(), &post, &[other.id, other.id]).await;
        assert_refused!(repeated, Error::Invalid(_));
        let mut command = new_post("Repeated");
        command.tags = vec![ids[0], ids[0]];
        assert_refused!(world.create_post(&author, command).await, Error::Invalid(_));
        assert_eq!(post.fresh(&world.store).await.unwrap(), post);
        assert_eq!(tag_names(&world.store, &post).await, Vec::<String>::new());
    }

    async fn fifty_tags_and_twenty_co_authors_are_the_most(world) {
        let author = world.user("author", Role::User).await;
        let made = act!(world.store, system(&world), |tx, viewer| async {
            let (mut tags, mut users) = (Vec::new(), Vec::new());
            for n in 0..51 {
                let command = plimsoll_domain::tag::CreateTag {
                    name: format!("tag {n}"),
                    slug: None,
                };
                tags.push(plimsoll_domain::tag::create(tx, viewer, command).await?.id);
            }
            for n in 0..21 {
                let command = plimsoll_domain::user::CreateUser {
                    email: format!("user{n}@test.invalid"),
                    name: format!("user {n}"),
                    role: Role::User,
                    password_hash: None,
                };
                users.push(plimsoll_domain::user::create(tx, viewer, command).await?);
            }
            Ok((tags, users))
        });
        let (tags, users): (Vec<TagId>, Vec<User>) = made.unwrap();
        let users: Vec<_> = users.into_iter().map(|user| user.id).collect();
        let post = world.post(&author, "Post").await;
        let by = || world.as_user(&author);
        assert_refused!(set_tags(&world.store, by(), &post, &tags).await, Error::Invalid(_));
        let post = set_tags(&world.store, by(), &post, &tags[..50]).await.unwrap();
        assert_eq!(tag_names(&world.store, &post).await.len(), 50);
        let refused = set_co_authors(&world.store, by(), &post, &users).await;
        assert_refused!(refused, Error::Invalid(_));
        let post = set_co_authors(&world.store, by(), &post, &users[..20]).await.unwrap();
        assert_eq!(co_author_names(&world.store, &post).await.len(), 20);
        let mut command = new_post("Too many");
        command.tags = tags.clone();
        assert_refused!(world.create_post(&author, command).await, Error::Invalid(_));
        let mut command = new_post("Just right");
        command.tags = tags[1..].to_vec();
        let post = world.create_post(&author, command).await.unwrap();
        assert_eq!(post.lock_version, 0, "the links of a new post are part of it");
        assert_eq!(tag_names(&world.store, &post).await.len(), 50);
    }

    async fn of_writers_of_links_and_columns_at_once_exactly_one_succeeds(world) {
        let author = world.user("author", Role::User).await;
        let ids = tags(&world, &["a", "b", "c", "d"]).await;
        let post = world.post(&author, "Post").await;
        let mut tasks = Vec::new();
        for n in 0..4 {
            let (store, request, this) = (world.store.clone(), world.as_user(&author), post.clone());
            let ids = ids[n..].to_vec();
            tasks.push(task(async move { set_tags(&store, request, &this, &ids).await }));
            let (store, request, this) = (world.store.clone(), world.as_user(&author), post.clone());
            tasks.push(task(async move { this.rename(&store, request, &format!("N {n}")).await }));
        }
        let outcomes = at_once(tasks).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
        let now = post.fresh(&world.store).await.unwrap();
        assert_eq!(now.lock_version, Version(post.lock_version).0 + 1);
    }

    async fn purging_a_tag_is_told_by_the_posts_that_lose_it_live_or_deleted(world) {
        let author = world.user("author", Role::User).await;
        let ids = tags(&world, &["gone", "kept"]).await;
        let live = filed_post(&world, &author, "Live", None, &ids).await;
        let deleted = filed_post(&world, &author, "Deleted", None, &ids[..1]).await;
        let deleted = deleted.delete(&world.store, system(&world)).await.unwrap();
        let other = filed_post(&world, &author, "Other", None, &ids[1..]).await;
        let tag = Tag::seen(&world.store, &Viewer::System, Scope::Live, &[ids[0].into()]).await;
        let tag = tag[0].delete(&world.store, system(&world)).await.unwrap();
        assert_eq!(live.fresh(&world.store).await.as_ref(), Some(&live), "it may come back yet");
        let before = audit_count(&world.store).await;
        let later = World::beginning() + chrono::Duration::days(60);
        let purge = world.request_at(Viewer::System, later);
        tag.purge(&world.store, purge).await.unwrap();

        assert_eq!(audit_count(&world.store).await, before + 3);
        for post in [&live, &deleted] {
            let now = post.fresh(&world.store).await.unwrap();
            assert_eq!((now.lock_version, now.updated_at), (post.lock_version + 1, later));
            assert_eq!(now.deleted_at, post.deleted_at);
            let last = audit_of(&world.store, post.uuid()).await.pop().unwrap();
            assert_eq!((last.action.as_str(), last.request_id), ("update", Some(purge.id)));
            assert_eq!(last.from_version, Some(post.lock_version));
            assert_eq!(last.to_version, Some(now.lock_version));
            assert_eq!(last.changes, serde_json::json!({ "tags": [[ids[0].0], []] }));
        }
        assert_eq!(other.fresh(&world.store).await, Some(other));
        assert_eq!(tag_names(&world.store, &live).await, ["kept"]);
        let back = deleted.fresh(&world.store).await.unwrap();
        let back = back.restore(&world.store, system(&world)).await.unwrap();
        assert_eq!(tag_names(&world.store, &back).await, Vec::<String>::new());
    }

    async fn purging_a_user_is_told_by_the_posts_of_others_alone(world) {
        let ada = world.user("ada", Role::User).await;
        let grace = world.user("grace", Role::User).await;
        let of_grace = world.post(&grace, "Of Grace").await;
        let with_ada = set_co_authors(
            &world.store, world.as_user(&grace), &of_grace, &[ada.id],
        ).await.unwrap();
        let of_ada = world.post(&ada, "Of Ada").await;
        let of_ada = set_co_authors(
            &world.store, world.as_user(&ada), &of_ada, &[grace.id],
        ).await.unwrap();
        let ada = ada.delete(&world.store, system(&world)).await.unwrap();
        let before = audit_count(&world.store).await;
        let later = World::beginning() + chrono::Duration::days(60);
        ada.purge(&world.store, world.request_at(Viewer::System, later)).await.unwrap();
        assert_eq!(audit_count(&world.store).await, before + 3, "ada, her post, and grace's");
        let now = with_ada.fresh(&world.store).await.unwrap();
        assert_eq!(now.lock_version, with_ada.lock_version + 1);
        let last = audit_of(&world.store, now.uuid()).await.pop().unwrap();
        assert_eq!(last.changes, serde_json::json!({ "co_authors": [[ada.id.0], []] }));
        let last = audit_of(&world.store, of_ada.uuid()).await.pop().unwrap();
        assert_eq!(last.action, "purge");
    }
}
