use plimsoll_domain::{Error, Patch, Role, Version, Viewer, user};
use plimsoll_records::{Rows, audit_entity};
use plimsoll_testkit::{PASSWORD, on_every_engine};
use serde_json::json;

use crate::support::*;

on_every_engine! {
    async fn each_change_is_told_once_with_actor_request_versions_before_and_after(world) {
        let people = people(&world).await;
        let draft = world.draft(&people.ada, "One").await;
        let post = publish(&world, &people.ada, &draft).await;
        let rename = world.as_user(&people.moderator);
        let post = post.rename(&world.store, rename, "Two").await.unwrap();
        let delete = world.as_user(&people.ada);
        let post = post.delete(&world.store, delete).await.unwrap();
        post.restore(&world.store, system(&world)).await.unwrap();

        let audit = audit_of(&world.store, post.uuid()).await;
        let told: Vec<_> = audit
            .iter()
            .map(|e| (e.action.as_str(), e.from_version, e.to_version, e.actor_id))
            .collect();
        let (ada, mona) = (Some(people.ada.uuid()), Some(people.moderator.uuid()));
        assert_eq!(told, [
            ("create", None, Some(0), ada),
            ("update", Some(0), Some(1), ada),
            ("update", Some(1), Some(2), mona),
            ("delete", Some(2), Some(3), ada),
            ("restore", Some(3), Some(4), None),
        ]);
        assert!(audit.iter().all(|e| e.record_type == "post"));
        assert_eq!(audit[0].changes["title"], json!([null, "One"]));
        assert_eq!(audit[0].changes["author_id"][1], json!(people.ada.uuid()));
        assert_eq!(audit[0].changes["content"][1]["bytes"], 6, "a digest, not the text");
        assert_eq!(audit[1].changes["published"], json!([false, true]));
        assert_eq!(audit[2].changes, json!({ "title": ["One", "Two"] }));
        assert_eq!((audit[2].created_at, audit[2].request_id), (rename.now, Some(rename.id)));
        assert_eq!((audit[3].created_at, audit[3].request_id), (delete.now, Some(delete.id)));
    }

    async fn what_a_deletion_takes_along_is_told_record_by_record(world) {
        let people = people(&world).await;
        let post = world.post(&people.ada, "Post").await;
        let before = audit_count(&world.store).await;
        let request = world.as_user(&people.ada);
        let ada = people.ada.delete(&world.store, request).await.unwrap();
        assert_eq!(audit_count(&world.store).await, before + 2);
        let last = audit_of(&world.store, post.uuid()).await.pop().unwrap();
        assert_eq!((last.action.as_str(), last.actor_id), ("delete", Some(ada.uuid())));
        assert_eq!((last.from_version, last.to_version), (Some(1), Some(2)));
        assert_eq!(last.request_id, Some(request.id));
        ada.restore(&world.store, system(&world)).await.unwrap();
        let last = audit_of(&world.store, post.uuid()).await.pop().unwrap();
        assert_eq!((last.action.as_str(), last.to_version), ("restore", Some(3)));
    }

    async fn what_is_refused_leaves_no_audit(world) {
        let people = people(&world).await;
        let post = world.post(&people.ada, "Post").await;
        let stale = world.post(&people.ada, "Stale").await;
        stale.rename(&world.store, world.as_user(&people.ada), "Fresh").await.unwrap();
        let before = audit_count(&world.store).await;
        let by = || world.as_user(&people.grace);
        assert_refused!(post.delete(&world.store, by()).await, Error::Forbidden(_));
        assert_refused!(stale.delete(&world.store, system(&world)).await, Error::Conflict { .. });
        let taken = create_tag(&world.store, by(), "tag").await;
        assert_refused!(taken, Error::Forbidden(_));
        assert_eq!(audit_count(&world.store).await, before);
    }

    async fn no_secret_is_in_the_audit_log(world) {
        let ada = world.user_with_password("ada", Role::User).await;
        let hash = world.store.passwords().hash("another password".into()).await.unwrap();
        let mut command = user_patch(ada.id, Version(0));
        command.password_hash = Some(hash.clone());
        command.name = Patch::Set("Ada".into());
        let ada = act!(world.store, world.as_user(&ada), |tx, viewer| user::update(
            tx, viewer, command
        )).unwrap();
        let login = plimsoll_domain::session::login(
            &world.store, &world.request(Viewer::Anonymous), &ada.email, "another password".into(),
        ).await.unwrap();
        ada.delete(&world.store, system(&world)).await.unwrap();

        let rows = Rows::<audit_entity::Entity>::live();
        let rows = rows.all(1_000, &world.store.read()).await.unwrap();
        let text = format!("{rows:?}");
        assert!(text.contains("password_hash"), "that it changed is told");
        for secret in ["argon2", &hash, "another password", PASSWORD, &login.token] {
            assert!(!text.contains(secret), "{secret} is in {text}");
        }
    }
}
