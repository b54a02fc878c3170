use chrono::Duration;
use plimsoll_domain::{
    Error, Patch, Role, Version, Viewer,
    session::{self, Login},
    user::{self, User},
};
use plimsoll_entity::login_session;
use plimsoll_records::Rows;
use plimsoll_testkit::{PASSWORD, World, on_every_engine};

use crate::support::*;

async fn log_in(world: &World, user: &User) -> plimsoll_domain::Result<Login> {
    let request = world.request(Viewer::Anonymous);
    session::login(&world.store, &request, &user.email, PASSWORD.into()).await
}

/// Whether the token still stands for somebody.
async fn is_good(world: &World, token: &str) -> bool {
    let now = world.request(Viewer::Anonymous).now;
    match session::viewer(&world.store, token, now).await {
        Ok(_) => true,
        Err(Error::Unauthenticated(_)) => false,
        Err(error) => panic!("{error:?}"),
    }
}

async fn change(world: &World, user: &User, change: impl FnOnce(&mut user::UpdateUser)) -> User {
    let mut command = user_patch(user.id, Version(user.lock_version));
    change(&mut command);
    act!(world.store, system(world), |tx, viewer| user::update(
        tx, viewer, command
    ))
    .expect("the user is changed")
}

on_every_engine! {
    async fn a_password_is_exchanged_for_a_token_that_is_kept_hashed_only(world) {
        let ada = world.user_with_password("ada", Role::Moderator).await;
        let login = log_in(&world, &ada).await.unwrap();
        assert_eq!(login.user.id, ada.id);
        assert!(login.user.password_hash.get().is_none());
        let now = world.request(Viewer::Anonymous).now;
        let viewer = session::viewer(&world.store, &login.token, now).await.unwrap();
        assert_eq!(viewer, Viewer::User { id: ada.id, role: Role::Moderator });
        let other = log_in(&world, &ada).await.unwrap();
        assert_ne!(other.token, login.token);

        let rows = Rows::<login_session::Entity>::live();
        let rows = rows.all(10, &world.store.read()).await.unwrap();
        assert_eq!(rows.len(), 2);
        assert!(!format!("{rows:?}").contains(&login.token));
        let hash = &rows[0].token_hash;
        assert!(!is_good(&world, hash).await, "what is kept is no token");
        assert!(!is_good(&world, "").await);
    }

    async fn wrong_unknown_inactive_and_deleted_are_answered_alike(world) {
        let ada = world.user_with_password("ada", Role::User).await;
        let without = world.user("without", Role::User).await;
        let idle = world.user_with_password("idle", Role::User).await;
        let gone = world.user_with_password("gone", Role::User).await;
        change(&world, &idle, |command| command.is_active = Patch::Set(false)).await;
        gone.delete(&world.store, system(&world)).await.unwrap();
        let mut answers = Vec::new();
        for (email, password) in [
            (ada.email.as_str(), "wrong password"),
            (ada.email.as_str(), ""),
            ("nobody@test.invalid", PASSWORD),
            (without.email.as_str(), PASSWORD),
            (idle.email.as_str(), PASSWORD),
            (gone.email.as_str(), PASSWORD),
        ] {
            let request = world.request(Viewer::Anonymous);
            let outcome = session::login(&world.store, &request, email, password.into()).await;
            assert_refused!(&outcome, Error::Invalid(_), "{email}");
            answers.push(format!("{outcome:?}"));
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "{answers:?}");
        let request = world.request(Viewer::Anonymous);
        let shouted = session::login(&world.store, &request, "ADA@TEST.INVALID", PASSWORD.into());
        shouted.await.expect("the case of an address does not matter");
        let rows = Rows::<login_session::Entity>::live();
        assert_eq!(rows.count(&world.store.read()).await.unwrap(), 1, "a refusal leaves nothing");
    }

    async fn a_login_expires_and_can_be_ended(world) {
        let ada = world.user_with_password("ada", Role::User).await;
        let login = log_in(&world, &ada).await.unwrap();
        let last = login.expires_at - Duration::microseconds(1);
        assert!(session::viewer(&world.store, &login.token, last).await.is_ok());
        let ended = session::viewer(&world.store, &login.token, login.expires_at).await;
        assert_refused!(ended, Error::Unauthenticated(_));

        let other = log_in(&world, &ada).await.unwrap();
        session::logout(&world.store, &world.as_user(&ada), &login.token).await.unwrap();
        assert!(!is_good(&world, &login.token).await);
        assert!(is_good(&world, &other.token).await, "the other login goes on");
        session::logout(&world.store, &world.as_user(&ada), &login.token).await.unwrap();
    }

    async fn a_login_ends_with_the_role_the_activity_the_password_and_the_user(world) {
        let ada = world.user_with_password("ada", Role::User).await;
        let bob = world.user_with_password("bob", Role::User).await;
        let of_bob = log_in(&world, &bob).await.unwrap().token;

        let token = log_in(&world, &ada).await.unwrap().token;
        let ada = change(&world, &ada, |command| command.name = Patch::Set("Ada".into())).await;
        assert!(is_good(&world, &token).await, "another name ends nothing");
        let ada = change(&world, &ada, |command| {
            command.role = Patch::Set(Role::Moderator);
        }).await;
        assert!(!is_good(&world, &token).await, "another role");

        let token = log_in(&world, &ada).await.unwrap().token;
        let ada = change(&world, &ada, |command| command.is_active = Patch::Set(false)).await;
        assert!(!is_good(&world, &token).await, "deactivated");
        let ada = change(&world, &ada, |command| command.is_active = Patch::Set(true)).await;
        assert!(!is_good(&world, &token).await, "not back with the activity");

        let token = log_in(&world, &ada).await.unwrap().token;
        let hash = world.store.passwords().hash(PASSWORD.into()).await.unwrap();
        let ada = change(&world, &ada, |command| command.password_hash = Some(hash)).await;
        assert!(!is_good(&world, &token).await, "a new password");

        let token = log_in(&world, &ada).await.unwrap().token;
        let ada = ada.delete(&world.store, system(&world)).await.unwrap();
        assert!(!is_good(&world, &token).await, "deleted");
        let ada = ada.restore(&world.store, system(&world)).await.unwrap();
        assert!(!is_good(&world, &token).await, "not back with the user");
        log_in(&world, &ada).await.expect("they log in anew");
        assert!(is_good(&world, &of_bob).await, "nobody else's login ended");
    }

    async fn a_login_with_a_password_that_is_changed_at_the_same_moment_does_not_stay(world) {
        let mut ada = world.user_with_password("ada", Role::User).await;
        let mut right = PASSWORD.to_owned();
        for round in 0..3 {
            let new = format!("a new password, number {round}");
            let hash = world.store.passwords().hash(new.clone()).await.unwrap();
            let (store, request) = (world.store.clone(), world.request(Viewer::Anonymous));
            let (email, old) = (ada.email.clone(), std::mem::replace(&mut right, new));
            let login = task(async move {
                session::login(&store, &request, &email, old).await.ok().map(|login| login.token)
            });
            let (store, request) = (world.store.clone(), system(&world));
            let mut command = user_patch(ada.id, Version(ada.lock_version));
            command.password_hash = Some(hash);
            // The login looks the password up first and then takes long to compare it.
            let change = task(async move {
                act!(store, request, |tx, viewer| user::update(tx, viewer, command))
                    .expect("the password is changed");
                None
            });
            let token = at_once(vec![login, change]).await.remove(0);
            if let Some(token) = token {
                assert!(!is_good(&world, &token).await, "a login with the old password stays");
            }
            ada = ada.fresh(&world.store).await.unwrap();
        }
    }
}
