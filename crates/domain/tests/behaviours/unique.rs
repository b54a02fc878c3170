use plimsoll_domain::{
    Error, Patch, Role, Version, post,
    tag::{self, UpdateTag},
    user,
};
use plimsoll_testkit::on_every_engine;

use crate::support::*;

const AT_ONCE: usize = 16;

on_every_engine! {
    async fn keys_that_differ_by_case_collide_and_by_accent_do_not(world) {
        let author = world.user("author", Role::User).await;
        world.tag("été").await;
        world.tag("ete").await;
        world.tag("straße").await;
        world.tag("strasse").await;
        for same in ["ÉTÉ", "E\u{301}te\u{301}", "Ete", "STRASSE"] {
            let refused = create_tag(&world.store, system(&world), same).await;
            assert_refused!(refused, Error::AlreadyExists { field } if field == "slug", "{same}");
        }
        world.category("Été", None).await;
        let refused = create_category(&world.store, system(&world), "éTÉ", None).await;
        assert_refused!(refused, Error::AlreadyExists { field } if field == "slug");
        world.category("Ete", None).await;

        let with_slug = |slug: &str| post::CreatePost {
            slug: Some(slug.into()),
            ..new_post("Post")
        };
        world.create_post(&author, with_slug("naïve")).await.unwrap();
        world.create_post(&author, with_slug("naive")).await.unwrap();
        let refused = world.create_post(&author, with_slug("NAÏVE")).await;
        assert_refused!(refused, Error::AlreadyExists { field } if field == "slug");

        let with_email = |email: &str| user::CreateUser {
            email: email.into(),
            name: "Name".into(),
            role: Role::User,
            password_hash: None,
        };
        for (email, is_free) in [
            ("zoé@test.invalid", true),
            ("zoe@test.invalid", true),
            ("ZOÉ@Test.Invalid", false),
            ("Zoe@TEST.invalid", false),
        ] {
            let command = with_email(email);
            let made = act!(world.store, system(&world), |tx, viewer| user::create(
                tx, viewer, command
            ));
            match made {
                Ok(user) => assert!(is_free && user.email == email, "{email}"),
                Err(Error::AlreadyExists { field }) => assert!(!is_free && field == "email"),
                Err(error) => panic!("{email}: {error:?}"),
            }
        }
    }

    async fn of_creators_of_the_same_key_at_once_exactly_one_wins(world) {
        let author = world.user("author", Role::User).await;
        let mut rounds = Vec::new();
        rounds.push(at_once((0..AT_ONCE).map(|_| {
            let (store, request) = (world.store.clone(), system(&world));
            task(async move { create_tag(&store, request, "same").await.map(|_| ()) })
        }).collect()).await);
        rounds.push(at_once((0..AT_ONCE).map(|_| {
            let (store, request) = (world.store.clone(), world.as_user(&author));
            let command = post::CreatePost { slug: Some("same".into()), ..new_post("Same") };
            task(async move {
                act!(store, request, |tx, viewer| post::create(tx, viewer, command)).map(|_| ())
            })
        }).collect()).await);
        rounds.push(at_once((0..AT_ONCE).map(|_| {
            let (store, request) = (world.store.clone(), system(&world));
            let command = user::CreateUser {
                email: "same@test.invalid".into(),
                name: "Same".into(),
                role: Role::User,
                password_hash: None,
            };
            task(async move {
                act!(store, request, |tx, viewer| user::create(tx, viewer, command)).map(|_| ())
            })
        }).collect()).await);
        rounds.push(at_once((0..AT_ONCE).map(|_| {
            let (store, request, id) = (world.store.clone(), world.as_user(&author), author.id);
            task(async move { create_profile(&store, request, id).await.map(|_| ()) })
        }).collect()).await);
        for outcomes in rounds {
            let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
            assert_eq!(won, 1, "{outcomes:?}");
            for lost in outcomes.into_iter().filter(|outcome| outcome.is_err()) {
                assert_refused!(lost, Error::AlreadyExists { .. });
            }
        }
    }

    async fn of_a_restoration_and_creations_of_the_same_key_at_once_exactly_one_wins(world) {
        for round in 0..6 {
            let name = format!("same {round}");
            let deleted = world.tag(&name).await.delete(&world.store, system(&world)).await.unwrap();
            let mut tasks = Vec::new();
            for _ in 0..3 {
                let (store, request, name) = (world.store.clone(), system(&world), name.clone());
                tasks.push(task(async move { create_tag(&store, request, &name).await }));
            }
            let (store, request) = (world.store.clone(), system(&world));
            tasks.push(task(async move { deleted.restore(&store, request).await }));
            let outcomes = at_once(tasks).await;
            let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
            assert_eq!(won, 1, "{outcomes:?}");
            for lost in outcomes.into_iter().filter(|outcome| outcome.is_err()) {
                // A restoration that waits for a creation may be chosen to end a deadlock.
                assert_refused!(lost, Error::AlreadyExists { .. } | Error::Unavailable(_));
            }
        }
    }

    async fn the_value_of_a_deleted_holder_is_free_for_a_change_too(world) {
        let author = world.user("author", Role::User).await;
        let holder = world.post(&author, "Same").await;
        let post = world.post(&author, "Other").await;
        let take = async |post: &post::Post| {
            let mut command = post_patch(post.id, Version(post.lock_version));
            command.slug = Patch::Set("SAME".into());
            act!(world.store, world.as_user(&author), |tx, viewer| post::update(
                tx, viewer, command
            ))
        };
        assert_refused!(take(&post).await, Error::AlreadyExists { field } if field == "slug");
        let holder = holder.delete(&world.store, system(&world)).await.unwrap();
        let post = take(&post).await.unwrap();
        assert_eq!(post.slug, holder.slug);
        assert_eq!(holder.fresh(&world.store).await.as_ref(), Some(&holder), "it is not revived");
        let back = holder.restore(&world.store, system(&world)).await;
        assert_refused!(back, Error::AlreadyExists { field } if field == "slug");
        assert_eq!(holder.fresh(&world.store).await, Some(holder));
    }

    async fn of_changes_and_creations_with_the_same_key_at_once_exactly_one_wins(world) {
        for round in 0..6 {
            let slug = format!("same-{round}");
            let mut tasks = Vec::new();
            for n in 0..3 {
                let tag = world.tag(&format!("tag {round} {n}")).await;
                let (store, request) = (world.store.clone(), system(&world));
                let command = UpdateTag {
                    id: tag.id,
                    seen: Version(0),
                    name: Patch::Keep,
                    slug: Patch::Set(slug.clone()),
                };
                tasks.push(task(async move {
                    act!(store, request, |tx, viewer| tag::update(tx, viewer, command))
                }));
                let (store, request, name) = (world.store.clone(), system(&world), slug.clone());
                tasks.push(task(async move { create_tag(&store, request, &name).await }));
            }
            let outcomes = at_once(tasks).await;
            let won = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
            assert_eq!(won, 1, "{outcomes:?}");
            for lost in outcomes.into_iter().filter(|outcome| outcome.is_err()) {
                // Several that wait for the same key may be put in an order by ending one.
                assert_refused!(lost, Error::AlreadyExists { .. } | Error::Unavailable(_));
            }
        }
    }
}
