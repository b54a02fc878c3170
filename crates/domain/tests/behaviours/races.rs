use plimsoll_domain::{
    Error, Patch, Role, Version,
    post::{self, CreatePost},
};
use plimsoll_records::Whole;
use plimsoll_testkit::on_every_engine;

use crate::support::*;

/// How often a race is run: each round is another pair of transactions.
const ROUNDS: usize = 12;

/// What may happen to the one that comes second: it is told so, or may try again.
fn lost_well<T: std::fmt::Debug>(outcome: &Result<T, Error>) -> bool {
    matches!(
        outcome,
        Ok(_)
            | Err(Error::NotFound { .. }
                | Error::Conflict { .. }
                | Error::StillReferenced { .. }
                | Error::Unauthenticated(_)
                | Error::Invalid(_)
                | Error::Unavailable(_))
    )
}

on_every_engine! {
    async fn a_post_is_never_live_under_an_author_who_is_deleted_at_the_same_moment(world) {
        for round in 0..ROUNDS {
            let author = world.user(&format!("author{round}"), Role::User).await;
            let mut tasks = Vec::new();
            for n in 0..3 {
                let (store, request) = (world.store.clone(), world.as_user(&author));
                let command = new_post(&format!("Post {round} {n}"));
                tasks.push(task(async move {
                    act!(store, request, |tx, viewer| post::create(tx, viewer, command)).map(|_| ())
                }));
            }
            let (store, request, user) = (world.store.clone(), system(&world), author.clone());
            tasks.push(task(async move { user.delete(&store, request).await.map(|_| ()) }));
            let outcomes = at_once(tasks).await;
            assert!(outcomes.iter().all(lost_well), "{outcomes:?}");
            if !author.is_live(&world.store).await {
                assert_eq!(live_posts(&world, post::PostsOf::Author, author.uuid()).await, 0);
            }
        }
    }

    async fn a_post_is_never_live_in_a_category_that_is_deleted_at_the_same_moment(world) {
        let author = world.user("author", Role::User).await;
        for round in 0..ROUNDS {
            let top = world.category(&format!("top {round}"), None).await;
            let below = world.category(&format!("below {round}"), Some(&top)).await;
            let outside = world.post(&author, &format!("Outside {round}")).await;
            let (store, request) = (world.store.clone(), world.as_user(&author));
            let command = CreatePost {
                category: Some(below.id),
                ..new_post(&format!("Inside {round}"))
            };
            let create = task(async move {
                act!(store, request, |tx, viewer| post::create(tx, viewer, command)).map(|_| ())
            });
            let (store, request) = (world.store.clone(), world.as_user(&author));
            let mut command = post_patch(outside.id, Version(outside.lock_version));
            command.category = Patch::Set(below.id);
            let enter = task(async move {
                act!(store, request, |tx, viewer| post::update(tx, viewer, command)).map(|_| ())
            });
            let (store, request, category) = (world.store.clone(), system(&world), top.clone());
            let delete = task(async move { category.delete(&store, request).await.map(|_| ()) });
            let outcomes = at_once(vec![create, enter, delete]).await;
            assert!(outcomes.iter().all(lost_well), "{outcomes:?}");
            if !below.is_live(&world.store).await {
                assert!(!top.is_live(&world.store).await);
                assert_eq!(live_posts(&world, post::PostsOf::Category, below.uuid()).await, 0);
            }
        }
    }

    async fn a_category_is_never_live_below_one_that_is_deleted_at_the_same_moment(world) {
        for round in 0..ROUNDS {
            let top = world.category(&format!("top {round}"), None).await;
            let (store, request, parent) = (world.store.clone(), system(&world), top.id);
            let name = format!("below {round}");
            let create = task(async move {
                create_category(&store, request, &name, Some(parent)).await
            });
            let (store, request, category) = (world.store.clone(), system(&world), top.clone());
            let delete = task(async move { category.delete(&store, request).await });
            let outcomes = at_once(vec![create, delete]).await;
            assert!(outcomes.iter().all(lost_well), "{outcomes:?}");
            if let Ok(below) = &outcomes[0] {
                assert_eq!(
                    below.is_live(&world.store).await,
                    top.is_live(&world.store).await,
                    "{outcomes:?}"
                );
            }
        }
    }

    async fn a_post_that_names_a_tag_which_is_deleted_at_the_same_moment_does_not_show_it(world) {
        let author = world.user("author", Role::User).await;
        for round in 0..ROUNDS {
            let tag = world.tag(&format!("tag {round}")).await;
            let (store, request) = (world.store.clone(), world.as_user(&author));
            let command = CreatePost {
                tags: vec![tag.id],
                ..new_post(&format!("Post {round}"))
            };
            let create = task(async move {
                act!(store, request, |tx, viewer| post::create(tx, viewer, command)).map(Some)
            });
            let (store, request) = (world.store.clone(), system(&world));
            let delete = task(async move { tag.delete(&store, request).await.map(|_| None) });
            let mut outcomes = at_once(vec![create, delete]).await;
            assert!(matches!(outcomes.remove(1), Ok(None)), "the tag is deleted");
            match outcomes.remove(0) {
                // The post came first: it has a link that nobody sees.
                Ok(Some(post)) => assert!(tag_names(&world.store, &post).await.is_empty()),
                refused => assert_refused!(refused, Error::NotFound { .. }),
            }
        }
    }

    async fn a_post_never_comes_back_under_an_author_who_is_deleted_at_the_same_moment(world) {
        for round in 0..ROUNDS {
            let author = world.user(&format!("author{round}"), Role::User).await;
            let post = world.post(&author, &format!("Post {round}")).await;
            let post = post.delete(&world.store, world.as_user(&author)).await.unwrap();
            let (store, request, back) = (world.store.clone(), system(&world), post.clone());
            let restore = task(async move { back.restore(&store, request).await.map(|_| ()) });
            let (store, request, user) = (world.store.clone(), system(&world), author.clone());
            let delete = task(async move { user.delete(&store, request).await.map(|_| ()) });
            let outcomes = at_once(vec![restore, delete]).await;
            assert!(outcomes.iter().all(lost_well), "{outcomes:?}");
            assert!(
                author.is_live(&world.store).await || !post.is_live(&world.store).await,
                "{outcomes:?}"
            );
        }
    }

    async fn of_a_deletion_and_a_change_at_the_same_moment_exactly_one_succeeds(world) {
        let author = world.user("author", Role::User).await;
        for round in 0..ROUNDS {
            let post = world.post(&author, &format!("Post {round}")).await;
            let (store, request, this) = (world.store.clone(), world.as_user(&author), post.clone());
            let delete = task(async move { this.delete(&store, request).await });
            let (store, request, this) = (world.store.clone(), world.as_user(&author), post.clone());
            let change = task(async move { this.rename(&store, request, "Changed").await });
            let outcomes = at_once(vec![delete, change]).await;
            let now = post.fresh(&world.store).await.unwrap();
            assert_eq!(now.lock_version, post.lock_version + 1, "{outcomes:?}");
            match (&outcomes[0], &outcomes[1]) {
                (Ok(deleted), Err(Error::NotFound { .. })) => assert_eq!(*deleted, now),
                (Err(Error::Conflict { .. }), Ok(changed)) => assert_eq!(*changed, now),
                _ => panic!("{outcomes:?}"),
            }
        }
    }

    async fn of_a_restoration_and_a_purge_at_the_same_moment_exactly_one_succeeds(world) {
        let later = plimsoll_testkit::World::beginning() + chrono::Duration::days(60);
        let category = world.category("category", None).await;
        for round in 0..ROUNDS {
            let author = world.user(&format!("author{round}"), Role::User).await;
            let post = filed_post(
                &world, &author, &format!("Post {round}"), Some(category.id), &[],
            ).await;
            let gone = author.delete(&world.store, system(&world)).await.unwrap();
            let at_that_time = || world.request_at(plimsoll_domain::Viewer::System, later);
            let (store, request, this) = (world.store.clone(), at_that_time(), gone.clone());
            let restore = task(async move { this.restore(&store, request).await });
            let (store, request, this) = (world.store.clone(), at_that_time(), gone.clone());
            let purge = task(async move { this.purge(&store, request).await });
            // Either may come first.
            let tasks = if round % 2 == 0 { vec![restore, purge] } else { vec![purge, restore] };
            let outcomes = at_once(tasks).await;
            let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
            assert_eq!(won, 1, "{outcomes:?}");
            assert!(outcomes.iter().all(lost_well), "{outcomes:?}");
            let restored = outcomes[round % 2].is_ok();
            // All of it is there, or nothing.
            assert_eq!(author.is_live(&world.store).await, restored);
            assert_eq!(post.is_live(&world.store).await, restored);
            assert_eq!(author.fresh(&world.store).await.is_some(), restored);
            assert_eq!(post.fresh(&world.store).await.is_some(), restored);
            let entry = deletion(&world, gone.deletion_id.unwrap()).await;
            assert_eq!((entry.restored_at.is_some(), entry.purged_at.is_some()), (restored, !restored));
            let last = audit_of(&world.store, post.uuid()).await.pop().unwrap();
            assert_eq!(last.action, if restored { "restore" } else { "purge" });
        }
    }

    async fn of_two_deletions_at_the_same_moment_exactly_one_succeeds(world) {
        for round in 0..ROUNDS {
            let tag = world.tag(&format!("tag {round}")).await;
            let tasks = (0..2).map(|_| {
                let (store, request, this) = (world.store.clone(), system(&world), tag.clone());
                task(async move { this.delete(&store, request).await })
            });
            let outcomes = at_once(tasks.collect()).await;
            let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
            assert_eq!((won.len(), lost.len()), (1, 1), "{lost:?}");
            for lost in lost {
                assert_refused!(lost, Error::NotFound { .. });
            }
            let now = tag.fresh(&world.store).await.unwrap();
            assert_eq!(now.lock_version, 1);
        }
    }
}

async fn live_posts(
    world: &plimsoll_testkit::World,
    of: post::PostsOf,
    parent: uuid::Uuid,
) -> usize {
    let everyone = plimsoll_domain::Viewer::System;
    let scope = plimsoll_domain::Scope::Live;
    let read = world.store.read();
    let pages = post::pages_of(&read, Whole, &everyone, scope, of, &first(200), &[parent]).await;
    pages.expect("posts can be read")[&parent].rows().len()
}
