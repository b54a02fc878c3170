use std::collections::BTreeSet;

use plimsoll_domain::{
    Scope, Viewer, category, deletion,
    deletion::RecordKind,
    post::{self, Post, PostFilter, PostsOf},
    profile, tag,
    user::{self, User},
};
use plimsoll_testkit::{World, on_every_engine};
use uuid::Uuid;

use crate::support::*;

const SCOPES: [Scope; 3] = [Scope::Live, Scope::WithDeleted, Scope::OnlyDeleted];

/// The titles in a list of posts, after its count was compared with its length.
async fn titles(
    world: &World,
    by: &Viewer,
    scope: Scope,
    published: Option<bool>,
) -> BTreeSet<String> {
    let read = world.store.read();
    let filter = PostFilter { published };
    let order = Default::default();
    let descending = plimsoll_domain::Direction::Descending;
    let page = post::page(&read, by, scope, filter, (order, descending), &first(200))
        .await
        .unwrap();
    let count = post::count(&read, by, scope, filter).await.unwrap();
    assert_eq!(page.rows.len() as u64, count, "{by:?} {scope:?} {filter:?}");
    assert!(!page.has_next && !page.has_previous);
    page.rows.into_iter().map(|(_, post)| post.title).collect()
}

fn set(titles: &[&str]) -> BTreeSet<String> {
    titles.iter().map(|title| (*title).to_owned()).collect()
}

on_every_engine! {
    async fn a_deleted_record_is_absent_from_everything_that_does_not_ask_for_it(world) {
        let people = people(&world).await;
        let tag = world.tag("tag").await;
        let kept_tag = world.tag("kept").await;
        let category = world.category("category", None).await;
        let top = world.category("top", None).await;
        let below = world.category("below", Some(&top)).await;
        let post = filed_post(&world, &people.ada, "Post", None, &[tag.id, kept_tag.id]).await;
        let by = world.as_user(&people.ada);
        let post = set_co_authors(&world.store, by, &post, &[people.grace.id]).await.unwrap();
        let gone = filed_post(&world, &people.ada, "Gone", None, &[tag.id]).await;
        let profile = profile_of(&world, &people.grace).await;
        let all = Viewer::System;
        let live = Scope::Live;
        let read = world.store.read();
        let ascending = plimsoll_domain::Direction::Ascending;
        assert_eq!(tag_names(&world.store, &post).await, ["tag", "kept"]);

        gone.delete(&world.store, system(&world)).await.unwrap();
        tag.delete(&world.store, system(&world)).await.unwrap();
        category.delete(&world.store, system(&world)).await.unwrap();
        below.delete(&world.store, system(&world)).await.unwrap();
        profile.delete(&world.store, system(&world)).await.unwrap();
        people.grace.delete(&world.store, system(&world)).await.unwrap();

        assert_eq!(titles(&world, &all, live, None).await, set(&["Post"]));
        assert_eq!(tag_names(&world.store, &post).await, ["kept"]);
        assert_eq!(co_author_names(&world.store, &post).await, Vec::<String>::new());
        for slug in ["gone", "tag", "category", "below"] {
            assert_eq!(post::by_slug(&read, &all, live, slug).await.unwrap(), None);
            assert_eq!(tag::by_slug(&read, &all, live, slug).await.unwrap(), None);
            assert_eq!(category::by_slug(&read, &all, live, slug).await.unwrap(), None);
        }
        assert!(post::by_slug(&read, &all, live, "post").await.unwrap().is_some());
        let order = (Default::default(), ascending);
        let tags = tag::page(&read, &all, live, order, &first(9)).await.unwrap();
        assert_eq!(tags.rows.len(), 1);
        assert_eq!(tag::count(&read, &all, live).await.unwrap(), 1);
        let order = (Default::default(), ascending);
        let categories = category::page(&read, &all, live, order, &first(9)).await.unwrap();
        assert_eq!(categories.rows.len(), 1);
        assert_eq!(category::count(&read, &all, live).await.unwrap(), 1);
        let order = (Default::default(), ascending);
        let users = user::page(&read, &all, live, order, &first(9)).await.unwrap();
        assert_eq!(users.rows.len(), 3);
        assert_eq!(user::count(&read, &all, live).await.unwrap(), 3);
        let parents = [top.uuid()];
        let children = category::pages_below(&read, &all, live, &first(9), &parents).await.unwrap();
        assert!(children[&top.uuid()].rows.is_empty());
        let counts = category::counts_below(&read, &all, live, &parents).await.unwrap();
        assert_eq!(counts.get(&top.uuid()), None);
        let with = Scope::WithDeleted;
        let children = category::pages_below(&read, &all, with, &first(9), &parents).await.unwrap();
        assert_eq!(children[&top.uuid()].rows.len(), 1);
        let counts = category::counts_below(&read, &all, with, &parents).await.unwrap();
        assert_eq!(counts[&top.uuid()], 1);
        let profiles = profile::of_users(&read, &[people.grace.uuid()]).await.unwrap();
        assert!(profiles.is_empty());

        for (kind, id) in [
            (RecordKind::Post, gone.uuid()),
            (RecordKind::Tag, tag.uuid()),
            (RecordKind::Category, category.uuid()),
            (RecordKind::Profile, profile.uuid()),
            (RecordKind::User, people.grace.uuid()),
        ] {
            let found = |scope| deletion::records(&read, &all, scope, kind, std::slice::from_ref(&id));
            assert!(found(Scope::Live).await.unwrap().is_empty(), "{kind:?}");
            assert_eq!(found(Scope::WithDeleted).await.unwrap().len(), 1, "{kind:?}");
            assert_eq!(found(Scope::OnlyDeleted).await.unwrap().len(), 1, "{kind:?}");
        }
    }

    async fn each_viewer_sees_in_each_scope_what_is_theirs_to_see(world) {
        let people = people(&world).await;
        world.post(&people.ada, "Live").await;
        let shared = world.draft(&people.ada, "Shared draft").await;
        let co = [people.grace.id];
        set_co_authors(&world.store, world.as_user(&people.ada), &shared, &co).await.unwrap();
        world.draft(&people.ada, "Own draft").await;
        let gone = world.post(&people.ada, "Gone").await;
        let gone = set_co_authors(&world.store, world.as_user(&people.ada), &gone, &co).await.unwrap();
        gone.delete(&world.store, system(&world)).await.unwrap();
        let gone = world.draft(&people.ada, "Gone draft").await;
        gone.delete(&world.store, system(&world)).await.unwrap();
        let gone = world.post(&people.grace, "Grace's gone").await;
        gone.delete(&world.store, system(&world)).await.unwrap();

        let live = ["Live", "Shared draft", "Own draft"];
        let deleted = ["Gone", "Gone draft", "Grace's gone"];
        let moderated = [&live[..], &deleted[..], &[&live[..], &deleted[..]].concat()].map(set);
        let stranger = world.user("stranger", plimsoll_domain::Role::User).await;
        for (by, in_live, in_deleted) in [
            (Viewer::Anonymous, set(&["Live"]), set(&[])),
            (viewer(&stranger), set(&["Live"]), set(&[])),
            (viewer(&people.ada), set(&live), set(&["Gone", "Gone draft"])),
            (viewer(&people.grace), set(&["Live", "Shared draft"]), set(&["Grace's gone"])),
            (viewer(&people.moderator), moderated[0].clone(), moderated[1].clone()),
            (viewer(&people.admin), moderated[0].clone(), moderated[1].clone()),
            (Viewer::System, moderated[0].clone(), moderated[1].clone()),
        ] {
            assert_eq!(titles(&world, &by, Scope::Live, None).await, in_live, "{by:?}");
            assert_eq!(titles(&world, &by, Scope::OnlyDeleted, None).await, in_deleted, "{by:?}");
            let both: BTreeSet<_> = in_live.union(&in_deleted).cloned().collect();
            assert_eq!(titles(&world, &by, Scope::WithDeleted, None).await, both, "{by:?}");
            for scope in SCOPES {
                let drafts = titles(&world, &by, scope, Some(false)).await;
                let published = titles(&world, &by, scope, Some(true)).await;
                assert!(drafts.iter().all(|title| title.ends_with("draft")), "{by:?}");
                assert!(!published.iter().any(|title| title.ends_with("draft")), "{by:?}");
                let all: BTreeSet<_> = drafts.union(&published).cloned().collect();
                assert_eq!(all, titles(&world, &by, scope, None).await, "{by:?}");
            }
        }
    }

    async fn a_nested_list_is_as_long_as_its_count_and_shows_what_the_outer_list_shows(world) {
        let people = people(&world).await;
        let tags = [world.tag("a").await, world.tag("b").await, world.tag("unused").await];
        let categories = [world.category("x", None).await, world.category("empty", None).await];
        for n in 0..12 {
            let author = if n % 2 == 0 { &people.ada } else { &people.grace };
            let category = (n % 3 != 0).then_some(categories[0].id);
            let chosen: Vec<_> = tags[..n % 3].iter().map(|tag| tag.id).collect();
            let post = filed_post(&world, author, &format!("Post {n}"), category, &chosen).await;
            if n % 4 == 1 {
                post.delete(&world.store, system(&world)).await.unwrap();
            }
            if n % 4 == 2 {
                let (id, seen) = (post.id, plimsoll_domain::Version(post.lock_version));
                act!(world.store, system(&world), |tx, viewer| post::set_published(
                    tx, viewer, id, seen, false
                )).unwrap();
            }
        }
        let users: Vec<Uuid> = [&people.ada, &people.grace, &people.admin].map(User::uuid).into();
        let of_tag: Vec<Uuid> = tags.iter().map(Life::uuid).collect();
        let of_category: Vec<Uuid> = categories.iter().map(Life::uuid).collect();
        let read = world.store.read();
        let mut seen = 0;
        for by in [
            Viewer::Anonymous,
            viewer(&people.ada),
            viewer(&people.grace),
            viewer(&people.moderator),
        ] {
            for scope in SCOPES {
                let order = (Default::default(), plimsoll_domain::Direction::Descending);
                let filter = PostFilter::default();
                let outer = post::page(&read, &by, scope, filter, order, &first(200)).await.unwrap();
                let outer: Vec<Post> = outer.rows.into_iter().map(|(_, post)| post).collect();
                for (of, parents) in [
                    (PostsOf::Author, &users),
                    (PostsOf::Category, &of_category),
                    (PostsOf::Tag, &of_tag),
                ] {
                    let pages =
                        post::pages_of(&read, &by, scope, of, &first(200), parents).await.unwrap();
                    let counts = post::counts_of(&read, &by, scope, of, parents).await.unwrap();
                    assert_eq!(pages.len(), parents.len(), "each parent has a page");
                    for parent in parents {
                        let page = &pages[parent].rows;
                        let count = counts.get(parent).copied().unwrap_or_default();
                        assert_eq!(page.len() as u64, count, "{by:?} {scope:?} {of:?}");
                        seen += count;
                        let ids: Vec<_> = page.iter().map(|(_, post)| post.id).collect();
                        let tagged = tag::of_posts(
                            &read,
                            &outer.iter().map(Life::uuid).collect::<Vec<_>>(),
                        ).await.unwrap();
                        let expected: Vec<_> = outer
                            .iter()
                            .filter(|post| match of {
                                PostsOf::Author => post.author_id.0 == *parent,
                                PostsOf::Category => {
                                    post.category_id.is_some_and(|id| id.0 == *parent)
                                }
                                PostsOf::Tag => tagged
                                    .get(&post.uuid())
                                    .is_some_and(|tags| tags.iter().any(|t| t.id.0 == *parent)),
                            })
                            .map(|post| post.id)
                            .collect();
                        assert_eq!(ids, expected, "{by:?} {scope:?} {of:?}");
                    }
                }
            }
        }
        assert!(seen > 0);
    }

    async fn a_deleted_child_stays_in_the_list_when_its_parent_is_deleted(world) {
        let people = people(&world).await;
        let category = world.category("category", None).await;
        let post = filed_post(&world, &people.ada, "Post", Some(category.id), &[]).await;
        let post = post.delete(&world.store, system(&world)).await.unwrap();
        category.delete(&world.store, system(&world)).await.unwrap();
        people.ada.delete(&world.store, system(&world)).await.unwrap();
        let by = viewer(&people.moderator);
        let found = titles(&world, &by, Scope::OnlyDeleted, None).await;
        assert_eq!(found, set(&["Post"]));
        let read = world.store.read();
        let live = Scope::Live;
        let ids = [post.category_id.unwrap().0];
        assert!(category::by_ids(&read, &by, live, &ids).await.unwrap().is_empty());
        assert!(user::by_ids(&read, &by, live, &[post.author_id.0]).await.unwrap().is_empty());
        assert!(post::contents(&read, &by, &[post.uuid()]).await.unwrap().len() == 1);
        let nobody = Viewer::Anonymous;
        assert!(post::contents(&read, &nobody, &[post.uuid()]).await.unwrap().is_empty());
    }

    async fn deletions_are_seen_by_who_made_them_and_who_moderates(world) {
        let people = people(&world).await;
        let post = world.post(&people.ada, "Post").await;
        post.delete(&world.store, world.as_user(&people.ada)).await.unwrap();
        let tag = world.tag("tag").await;
        tag.delete(&world.store, world.as_user(&people.moderator)).await.unwrap();
        let read = world.store.read();
        for (by, expected) in [
            (Viewer::Anonymous, vec![]),
            (viewer(&people.grace), vec![]),
            (viewer(&people.ada), vec![post.uuid()]),
            (viewer(&people.moderator), vec![tag.uuid(), post.uuid()]),
            (viewer(&people.admin), vec![tag.uuid(), post.uuid()]),
        ] {
            let page = deletion::page(&read, &by, &first(9)).await.unwrap();
            let roots: Vec<_> = page.rows.iter().map(|(_, deletion)| deletion.root_id).collect();
            assert_eq!(roots, expected, "{by:?}, the newest first");
            assert_eq!(deletion::count(&read, &by).await.unwrap(), expected.len() as u64);
        }
    }
}
