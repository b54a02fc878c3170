use plimsoll_domain::{Error, Patch, Role, Scope, Version, Viewer, id::PostId, post};
use plimsoll_entity::{post as post_entity, post_tag};
use plimsoll_records::{Fault, Refused, Retention, Rows, Tx};
use plimsoll_testkit::{Engine, World, on_every_engine};

use sea_orm::{ActiveValue::Set, ColumnTrait};

use crate::support::*;

async fn the_second_is_refused<T: Life>(world: &World, record: T) {
    let first = record
        .rename(&world.store, system(world), "first")
        .await
        .unwrap();
    assert_eq!(first.version(), record.version() + 1, "{}", T::TYPE);
    let second = record.rename(&world.store, system(world), "second").await;
    let Err(Error::Conflict { seen, current }) = second else {
        panic!("{second:?}")
    };
    assert_eq!(
        (seen.0, current.version().0),
        (record.version(), first.version())
    );
    assert_eq!(record.fresh(&world.store).await.as_ref(), Some(&first));
    // A version that is not there yet is as wrong as one that is past.
    let again = first
        .rename(&world.store, system(world), "first")
        .await
        .unwrap();
    assert_eq!(
        again, first,
        "what changes nothing keeps the version and the time"
    );
    let stale = record.rename(&world.store, system(world), "first").await;
    assert_refused!(stale, Error::Conflict { .. }, "it is checked all the same");
}

on_every_engine! {
    async fn the_second_change_from_one_version_is_refused_with_the_record_as_it_is(world) {
        let author = world.user("author", Role::User).await;
        the_second_is_refused(&world, profile_of(&world, &author).await).await;
        the_second_is_refused(&world, world.post(&author, "Post").await).await;
        the_second_is_refused(&world, world.tag("tag").await).await;
        the_second_is_refused(&world, world.category("category", None).await).await;
        the_second_is_refused(&world, a_product(&world, "product").await).await;
        the_second_is_refused(&world, account_with(&world, &author, "EUR", 0).await).await;
        the_second_is_refused(&world, author).await;
    }

    async fn versions_from_the_future_and_below_zero_are_refused(world) {
        let author = world.user("author", Role::User).await;
        let post = world.post(&author, "Post").await;
        for wrong in [-1, 0, 2, i32::MAX, i32::MIN] {
            let mut command = post_patch(post.id, Version(wrong));
            command.title = Patch::Set("Changed".into());
            let outcome = act!(world.store, world.as_user(&author), |tx, viewer| post::update(
                tx, viewer, command
            ));
            assert_refused!(outcome, Error::Conflict { .. }, "{wrong}");
        }
        assert_eq!(post.fresh(&world.store).await, Some(post));
    }

    async fn publishing_raises_the_version_and_the_first_time_of_it_stays(world) {
        let author = world.user("author", Role::User).await;
        let draft = world.draft(&author, "Post").await;
        assert_eq!((draft.lock_version, draft.published_at), (0, None));
        let request = world.as_user(&author);
        let id = draft.id;
        let set = async |seen: i32, on: bool, request| {
            act!(world.store, request, |tx, viewer| post::set_published(
                tx, viewer, id, Version(seen), on
            ))
        };
        let published = set(0, true, request).await.unwrap();
        assert_eq!((published.lock_version, published.published_at), (1, Some(request.now)));
        assert_eq!(published.listed_at, request.now);
        let again = set(1, true, world.as_user(&author)).await.unwrap();
        assert_eq!(again, published);
        assert_refused!(set(0, true, world.as_user(&author)).await, Error::Conflict { .. });
        let back = set(1, false, world.as_user(&author)).await.unwrap();
        assert_eq!((back.lock_version, back.published_at), (2, Some(request.now)));
        let once_more = set(2, true, world.as_user(&author)).await.unwrap();
        assert_eq!((once_more.lock_version, once_more.published_at), (3, Some(request.now)));
    }

    async fn a_change_answers_with_its_own_row_and_the_text_when_asked_for(world) {
        let author = world.user("author", Role::User).await;
        let post = world.post(&author, "Post").await;
        let mut request = world.as_user(&author);
        request.heavy = true;
        let mut command = post_patch(post.id, Version(1));
        command.content = Patch::Set("New text".into());
        let changed = act!(world.store, request, |tx, viewer| post::update(
            tx, viewer, command.clone()
        )).unwrap();
        assert_eq!(changed.content.get().map(String::as_str), Some("New text"));
        assert_eq!(changed.updated_at, request.now);
        let mut command = post_patch(post.id, Version(1));
        command.title = Patch::Set("Stale".into());
        let mut request = world.as_user(&author);
        request.heavy = true;
        let stale = act!(world.store, request, |tx, viewer| post::update(tx, viewer, command));
        let Err(Error::Conflict { current, .. }) = stale else { panic!("{stale:?}") };
        assert_eq!(*current, changed.into(), "the current record, with its text");
    }

    async fn of_thirty_two_writers_from_one_version_exactly_one_succeeds(world) {
        let author = world.user("author", Role::User).await;
        let post = world.post(&author, "Post").await;
        let tasks = (0..32).map(|n| {
            let (store, request, this) = (world.store.clone(), world.as_user(&author), post.clone());
            task(async move { this.rename(&store, request, &format!("Writer {n}")).await })
        });
        let outcomes = at_once(tasks.collect()).await;
        let (won, lost): (Vec<_>, Vec<_>) = outcomes.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1, "{lost:?}");
        let winner = won.into_iter().next().unwrap().unwrap();
        for lost in lost {
            assert_refused!(lost, Error::Conflict { current, .. }
                if **current == winner.clone().into());
        }
        assert_eq!(post.fresh(&world.store).await, Some(winner));
        assert_eq!(audit_of(&world.store, post.uuid()).await.len(), 3);
    }

    async fn of_writers_that_look_again_after_a_conflict_none_is_lost(world) {
        const WRITERS: i32 = 16;
        let author = world.user("author", Role::User).await;
        let post = world.post(&author, "Post").await;
        let tasks = (0..WRITERS).map(|n| {
            let (store, this) = (world.store.clone(), post.clone());
            let request = world.as_user(&author);
            task(async move {
                let mut seen = this;
                // The nth writer in line has at most one conflict for each one before it.
                for _ in 0..=2 * WRITERS {
                    match seen.rename(&store, request, &format!("Writer {n}")).await {
                        Ok(_) => return true,
                        Err(Error::Conflict { .. }) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                    seen = seen.fresh(&store).await.expect("the post is there");
                }
                false
            })
        });
        let successes = at_once(tasks.collect()).await.into_iter().filter(|done| *done).count();
        assert_eq!(successes, WRITERS as usize);
        let now = post.fresh(&world.store).await.unwrap();
        assert_eq!(now.lock_version, post.lock_version + WRITERS);
        let audit = audit_of(&world.store, post.uuid()).await;
        let steps: Vec<_> = audit.iter().skip(2).map(|e| (e.from_version, e.to_version)).collect();
        let expected: Vec<_> = (1..=WRITERS).map(|n| (Some(n), Some(n + 1))).collect();
        assert_eq!(steps, expected);
    }

    async fn a_duplicate_is_no_conflict_and_changes_nothing(world) {
        let author = world.user("author", Role::User).await;
        world.post(&author, "Taken").await;
        let post = world.post(&author, "Post").await;
        let mut command = post_patch(post.id, Version(1));
        command.slug = Patch::Set("TAKEN".into());
        command.title = Patch::Set("Changed".into());
        let outcome = act!(world.store, world.as_user(&author), |tx, viewer| post::update(
            tx, viewer, command
        ));
        assert_refused!(outcome, Error::AlreadyExists { field } if field == "slug");
        assert_eq!(post.fresh(&world.store).await, Some(post));
    }

    async fn what_a_command_did_before_it_was_refused_is_rolled_back(world) {
        let author = world.user("author", Role::User).await;
        let post = world.post(&author, "Post").await;
        let before = audit_count(&world.store).await;
        let id = post.id;
        let outcome: plimsoll_domain::Result<()> =
            act!(world.store, world.as_user(&author), |tx, viewer| async {
                let mut command = post_patch(id, Version(1));
                command.title = Patch::Set("Changed".into());
                let changed = post::update(tx, viewer, command).await?;
                assert_eq!(changed.lock_version, 2);
                post::create(tx, viewer, new_post("Another")).await?;
                post::delete(tx, viewer, id, Version(1)).await?;
                Ok(())
            });
        assert_refused!(outcome, Error::Conflict { .. });
        assert_eq!(post.fresh(&world.store).await, Some(post));
        let read = world.store.read();
        let count = post::count(&read, &Viewer::System, Scope::WithDeleted, Default::default());
        assert_eq!(count.await.unwrap(), 1);
        assert_eq!(audit_count(&world.store).await, before, "and so is its audit");
    }

    async fn a_new_record_is_answered_by_the_statement_that_made_it(world) {
        let mut request = system(&world);
        request.heavy = true;
        let author = world.user("author", Role::User).await;
        world.statements.take();
        let tag = create_tag(&world.store, request, "tag").await.unwrap();
        let ran = world.statements.take();
        assert_eq!(tag.fresh(&world.store).await.as_ref(), Some(&tag));
        // The INSERT and its audit row. MySQL knows no INSERT … RETURNING.
        let expected = if world.engine == Engine::MariaDb { 3 } else { 2 };
        assert_eq!(ran.len(), expected, "{ran:#?}");

        // What the database computes is in the answer, and the text only when asked for.
        let mut request = world.as_user(&author);
        for heavy in [false, true] {
            request.heavy = heavy;
            let command = new_post(&format!("Post {heavy}"));
            let post = act!(world.store, request, |tx, viewer| post::create(tx, viewer, command));
            let post = post.unwrap();
            assert_eq!((post.listed_at, post.lock_version), (request.now, 0));
            assert_eq!(post.content.get().is_some(), heavy);
        }
    }

    async fn a_deleted_record_is_not_changed_whatever_scope_locked_it_nor_a_live_one_restored(world) {
        let author = world.user("author", Role::User).await;
        let live = world.post(&author, "Live").await;
        let gone = world.post(&author, "Gone").await;
        let gone = gone.delete(&world.store, system(&world)).await.unwrap();
        let before = audit_count(&world.store).await;
        let lock = async |tx: &mut Tx, id: PostId| {
            let rows = Rows::<post_entity::Entity>::with_deleted();
            let rows = rows.filter(post_entity::Column::Id.eq(id));
            let row = rows.lock(tx).await.unwrap().unwrap();
            (row.version(), row)
        };
        let (live_id, gone_id) = (live.id, gone.id);
        let outcome: Result<(), Fault> = layer!(world.store.database(), world, |tx| async {
            let title = post_entity::ActiveModel { title: Set("Changed".into()), ..Default::default() };
            let (seen, row) = lock(tx, gone_id).await;
            assert_refused!(row.update(tx, seen, title).await, Refused::Deleted(_));
            let (seen, row) = lock(tx, gone_id).await;
            assert_refused!(row.delete(tx, seen).await, Refused::Deleted(_));
            let (seen, row) = lock(tx, gone_id).await;
            let links = row.set_links::<post_tag::Entity>(tx, seen, &[]).await;
            assert_refused!(links, Refused::Deleted(_));
            let (seen, row) = lock(tx, live_id).await;
            assert_refused!(row.restore(tx, seen).await, Refused::Live(_));
            let (seen, row) = lock(tx, live_id).await;
            let purged = row.purge(tx, seen, Retention(chrono::Duration::zero())).await;
            assert_refused!(purged, Refused::Live(_));
            Ok(())
        });
        outcome.unwrap();
        assert_eq!(live.fresh(&world.store).await, Some(live));
        assert_eq!(gone.fresh(&world.store).await, Some(gone));
        assert_eq!(audit_count(&world.store).await, before);
    }
}
