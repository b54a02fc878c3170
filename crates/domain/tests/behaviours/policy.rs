use chrono::Duration;
use plimsoll_domain::{
    Error, Patch, Request, Role, Scope, Version, Viewer,
    account::Account,
    order,
    policy::{Act, RULES, Subject, Who},
    post,
    product::inventory,
    tag,
    transfer::Transfer,
    user::{self, User},
};
use plimsoll_entity::inventory as inventory_entity;
use plimsoll_records::{Rows, Whole};
use plimsoll_testkit::{World, on_every_engine};
use sea_orm::ColumnTrait;

use crate::support::*;

/// Who tries it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Nobody,
    Stranger,
    Owner,
    CoAuthor,
    Moderator,
    Admin,
}

const KINDS: [Kind; 6] = [
    Kind::Nobody,
    Kind::Stranger,
    Kind::Owner,
    Kind::CoAuthor,
    Kind::Moderator,
    Kind::Admin,
];

fn is_meant(kind: Kind, who: &Who) -> bool {
    match who {
        Who::Anyone => true,
        Who::LoggedIn => kind != Kind::Nobody,
        Who::Owner => kind == Kind::Owner,
        Who::CoAuthor => kind == Kind::CoAuthor,
        Who::Moderator => kind == Kind::Moderator,
        Who::Admin => kind == Kind::Admin,
    }
}

struct Cast {
    stranger: User,
    co_author: User,
    moderator: User,
    admin: User,
}

impl Cast {
    fn viewer(&self, kind: Kind, owner: &User) -> Viewer {
        match kind {
            Kind::Nobody => Viewer::Anonymous,
            Kind::Stranger => viewer(&self.stranger),
            Kind::Owner => viewer(owner),
            Kind::CoAuthor => viewer(&self.co_author),
            Kind::Moderator => viewer(&self.moderator),
            Kind::Admin => viewer(&self.admin),
        }
    }
}

/// Whether it was done. What was refused was refused in the right words, and changed nothing.
async fn was_done<T: Life>(
    world: &World,
    record: &T,
    by: &Viewer,
    outcome: plimsoll_domain::Result<T>,
) -> bool {
    let now = record.fresh(&world.store).await;
    let Err(error) = outcome else {
        assert_ne!(now.as_ref(), Some(record), "it was said to be done");
        return true;
    };
    assert_eq!(now.as_ref(), Some(record), "it was refused");
    let is_deleted = record.deleted_at().is_some();
    let scope = if is_deleted {
        Scope::OnlyDeleted
    } else {
        Scope::Live
    };
    let is_seen = !T::seen(&world.store, by, scope, &[record.uuid()])
        .await
        .is_empty();
    // Whoever is not logged in, or was deleted, is told so whether the record is there or not.
    let is_nobody = match by.user_id() {
        None => true,
        Some(me) => is_deleted && me.0 == record.uuid(),
    };
    let fits = match error {
        Error::Unauthenticated(_) => is_nobody,
        Error::NotFound { .. } => !is_nobody && !is_seen,
        Error::Forbidden(_) => !is_nobody && is_seen,
        _ => false,
    };
    assert!(fits, "{error:?}, by {by:?} who sees it: {is_seen}");
    false
}

/// Whether money moved to or from the account.
async fn account_was_touched(
    world: &World,
    account: &Account,
    by: &Viewer,
    outcome: plimsoll_domain::Result<Transfer>,
) -> bool {
    let now = account.fresh(&world.store).await;
    let outcome = outcome.map(|_| now.expect("it is there"));
    was_done(world, account, by, outcome).await
}

fn was_made<T: std::fmt::Debug>(outcome: plimsoll_domain::Result<T>, by: &Viewer) -> bool {
    match outcome {
        Ok(_) => return true,
        Err(Error::Unauthenticated(_)) => assert_eq!(*by, Viewer::Anonymous),
        Err(Error::Forbidden(_)) => assert_ne!(*by, Viewer::Anonymous),
        Err(error) => panic!("{error:?}"),
    }
    false
}

/// Tries an act that every record knows.
async fn live_through<T: Life>(world: &World, record: T, act: Act, by: Viewer) -> bool {
    let store = &world.store;
    let request = world.request(by);
    match act {
        Act::See => {
            let ids = [record.uuid()];
            let live = T::seen(store, &by, Scope::Live, &ids).await.len() == 1;
            let with = T::seen(store, &by, Scope::WithDeleted, &ids).await.len() == 1;
            let only = T::seen(store, &by, Scope::OnlyDeleted, &ids).await.len() == 1;
            assert!(live == with && !only);
            live
        }
        Act::Change => {
            let outcome = record.rename(store, request, "Changed").await;
            was_done(world, &record, &by, outcome).await
        }
        Act::Delete => {
            let outcome = record.delete(store, request).await;
            was_done(world, &record, &by, outcome).await
        }
        Act::SeeDeleted | Act::Restore | Act::Purge => {
            let record = record.delete(store, system(world)).await.unwrap();
            match act {
                Act::Restore => {
                    let outcome = record.restore(store, request).await;
                    was_done(world, &record, &by, outcome).await
                }
                Act::Purge => {
                    let later = World::beginning() + Duration::days(60);
                    let outcome = record
                        .purge(
                            store,
                            Request {
                                now: later,
                                ..request
                            },
                        )
                        .await;
                    was_done(world, &record, &by, outcome).await
                }
                _ => {
                    let ids = [record.uuid()];
                    let with = T::seen(store, &by, Scope::WithDeleted, &ids).await.len() == 1;
                    let only = T::seen(store, &by, Scope::OnlyDeleted, &ids).await.len() == 1;
                    let live = T::seen(store, &by, Scope::Live, &ids).await.len() == 1;
                    assert!(with == only && !live);
                    only
                }
            }
        }
        act => panic!("{act:?} is not tried on {}", T::TYPE),
    }
}

/// Tries an act on a record of its own.
async fn try_it(
    world: &World,
    cast: &Cast,
    (subject, act): (Subject, Act),
    kind: Kind,
    n: usize,
) -> bool {
    let store = &world.store;
    let name = format!("n{n}");
    let owner = world.user(&format!("owner{n}"), Role::User).await;
    let by = cast.viewer(kind, &owner);
    let request = world.request(by);
    match (subject, act) {
        (Subject::User, Act::Create) => {
            let command = user::CreateUser {
                email: format!("{name}@test.invalid"),
                name,
                role: Role::User,
                password_hash: None,
            };
            was_made(
                act!(store, request, |tx, viewer| user::create(
                    tx, viewer, command
                )),
                &by,
            )
        }
        (Subject::User, Act::SeeEmail) => user::shows_email(&by, owner.id),
        (Subject::User, Act::ChangeRole) => {
            let mut done = Vec::new();
            let mut command = user_patch(owner.id, Version(0));
            command.role = Patch::Set(Role::Admin);
            let outcome = act!(store, request, |tx, viewer| user::update(
                tx, viewer, command
            ));
            done.push(was_done(world, &owner, &by, outcome).await);
            let owner = owner.fresh(store).await.unwrap();
            let mut command = user_patch(owner.id, Version(owner.lock_version));
            command.is_active = Patch::Set(false);
            let outcome = act!(store, request, |tx, viewer| user::update(
                tx, viewer, command
            ));
            done.push(was_done(world, &owner, &by, outcome).await);
            assert_eq!(done[0], done[1]);
            done[0]
        }
        (Subject::User, act) => live_through(world, owner, act, by).await,
        (Subject::Profile, Act::Create) => {
            was_made(create_profile(store, request, owner.id).await, &by)
        }
        (Subject::Profile, act) => {
            let profile = profile_of(world, &owner).await;
            live_through(world, profile, act, by).await
        }
        (Subject::Category, Act::Create) => {
            was_made(create_category(store, request, &name, None).await, &by)
        }
        (Subject::Category, act) => {
            live_through(world, world.category(&name, None).await, act, by).await
        }
        (Subject::Tag, Act::Create) => was_made(create_tag(store, request, &name).await, &by),
        (Subject::Tag, act) => live_through(world, world.tag(&name).await, act, by).await,
        (Subject::Account, Act::Create) => {
            was_made(open_account(store, request, owner.id, "EUR").await, &by)
        }
        (Subject::Account, Act::Deposit) => {
            let account = account_with(world, &owner, "EUR", 0).await;
            let outcome = deposit(store, request, account.id, 1).await;
            account_was_touched(world, &account, &by, outcome).await
        }
        (Subject::Account, Act::Spend) => {
            let account = account_with(world, &owner, "EUR", 1).await;
            let to = account_with(world, &world.user(&name, Role::User).await, "EUR", 0).await;
            let outcome = transfer_funds(store, request, account.id, to.id, 1).await;
            account_was_touched(world, &account, &by, outcome).await
        }
        (Subject::Account, act) => {
            live_through(world, account_with(world, &owner, "EUR", 0).await, act, by).await
        }
        (Subject::Product, Act::Create) => {
            was_made(create_product(store, request, &name).await, &by)
        }
        (Subject::Product, act) => {
            live_through(world, a_product(world, &name).await, act, by).await
        }
        (Subject::Inventory, act) => {
            let product = a_product(world, &name).await;
            let id = product.id;
            let seen = |scope| async move {
                let this = Rows::<inventory_entity::Entity>::with_deleted()
                    .filter(inventory_entity::Column::ProductId.eq(id));
                let this = this.one(&store.read()).await.unwrap().unwrap();
                let ids = [this.id.into()];
                let found = inventory::by_ids(&store.read(), Whole, &by, scope, &ids).await;
                !found.unwrap().is_empty()
            };
            match act {
                Act::See => seen(Scope::Live).await,
                Act::SeeDeleted => {
                    product.delete(store, system(world)).await.unwrap();
                    seen(Scope::OnlyDeleted).await
                }
                Act::Change => was_made(
                    act!(store, request, |tx, viewer| inventory::adjust(
                        tx, viewer, id, 1
                    )),
                    &by,
                ),
                act => panic!("{act:?} is not tried on inventories"),
            }
        }
        (Subject::Order, Act::Create) => {
            let command = order_of(&a_product(world, &name).await);
            was_made(
                act!(store, request, |tx, viewer| order::place(
                    tx, viewer, command
                )),
                &by,
            )
        }
        (Subject::Order, act) => try_order(world, &owner, act, by, &name).await,
        (Subject::Post, Act::Create) => {
            let command = new_post(&name);
            was_made(
                act!(store, request, |tx, viewer| post::create(
                    tx, viewer, command
                )),
                &by,
            )
        }
        (Subject::Post, act) => {
            let draft = world.draft(&owner, &name).await;
            let draft = set_co_authors(store, system(world), &draft, &[cast.co_author.id])
                .await
                .expect("co-authors are named");
            if act == Act::SeeDraft {
                return live_through(world, draft, Act::See, by).await;
            }
            let post = publish(world, &owner, &draft).await;
            match act {
                Act::SetCoAuthors => {
                    let outcome = set_co_authors(store, request, &post, &[]).await;
                    was_done(world, &post, &by, outcome).await
                }
                Act::Change => {
                    let tag = world.tag(&name).await;
                    let tagged = set_tags(store, request, &post, &[tag.id]).await;
                    let tagged = was_done(world, &post, &by, tagged).await;
                    let post = post.fresh(store).await.unwrap();
                    let (id, seen) = (post.id, Version(post.lock_version));
                    let taken_back = act!(store, request, |tx, viewer| post::set_published(
                        tx, viewer, id, seen, false
                    ));
                    let taken_back = was_done(world, &post, &by, taken_back).await;
                    let post = post.fresh(store).await.unwrap();
                    let changed = live_through(world, post, act, by).await;
                    assert_eq!((tagged, taken_back), (changed, changed));
                    changed
                }
                act => live_through(world, post, act, by).await,
            }
        }
    }
}

/// Tries an act on an order of the owner's. It has no deletion of its own.
async fn try_order(world: &World, owner: &User, act: Act, by: Viewer, name: &str) -> bool {
    let store = &world.store;
    let placed = an_order(world, owner, &a_product(world, name).await).await;
    let (id, seen) = (placed.id, Version(0));
    let request = world.request(by);
    let outcome = match act {
        Act::See => {
            let found = order::by_ids(&store.read(), Whole, &by, Scope::Live, &[id.into()]).await;
            return !found.unwrap().is_empty();
        }
        Act::Pay => act!(store, request, |tx, viewer| order::pay_order(
            tx, viewer, id, seen
        )),
        Act::Ship => act!(store, request, |tx, viewer| order::ship(
            tx, viewer, id, seen
        )),
        Act::Cancel => act!(store, request, |tx, viewer| order::cancel(
            tx, viewer, id, seen
        )),
        act => panic!("{act:?} is not tried on orders"),
    };
    match outcome {
        // There is no account to pay from, and what is not paid for is not shipped: who hears
        // that may do it.
        Ok(_) | Err(Error::Invalid(_)) => true,
        Err(Error::Forbidden(_) | Error::Unauthenticated(_) | Error::NotFound { .. }) => false,
        other => panic!("{other:?}"),
    }
}

on_every_engine! {
    async fn who_may_do_what_is_what_the_table_says(world) {
        let cast = Cast {
            stranger: world.user("stranger", Role::User).await,
            co_author: world.user("co-author", Role::User).await,
            moderator: world.user("moderator", Role::Moderator).await,
            admin: world.user("admin", Role::Admin).await,
        };
        let mut wrong = Vec::new();
        let mut n = 0;
        for (subject, act, who) in RULES {
            for kind in KINDS {
                n += 1;
                let expected = who.iter().any(|who| is_meant(kind, who));
                let done = try_it(&world, &cast, (*subject, *act), kind, n).await;
                if done != expected {
                    wrong.push(format!("{kind:?}: {act:?} {subject:?} is {done}"));
                }
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert_eq!(n, RULES.len() * KINDS.len());

        // No record is without a rule, but for what cannot be done to it.
        let never = [(Subject::Account, Act::Change)];
        let acts = [Act::Create, Act::See, Act::SeeDeleted, Act::Change, Act::Delete, Act::Restore, Act::Purge];
        // An inventory is made, deleted, restored and purged with its product; orders are kept.
        let apart = [Subject::Inventory, Subject::Order];
        for (subject, _, _) in RULES.iter().filter(|(of, ..)| !apart.contains(of)) {
            for act in acts {
                let ruled = RULES.iter().any(|(of, what, _)| (*of, *what) == (*subject, act));
                assert_eq!(ruled, !never.contains(&(*subject, act)), "{subject:?} {act:?}");
            }
        }
    }

    async fn a_viewer_who_changed_since_the_request_began_changes_nothing(world) {
        let people = people(&world).await;
        let post = world.post(&people.ada, "Post").await;
        let before = [&people.moderator, &people.grace, &people.admin].map(viewer);
        let mut command = user_patch(people.moderator.id, Version(0));
        command.role = Patch::Set(Role::User);
        act!(world.store, system(&world), |tx, viewer| user::update(tx, viewer, command)).unwrap();
        let mut command = user_patch(people.grace.id, Version(0));
        command.is_active = Patch::Set(false);
        act!(world.store, system(&world), |tx, viewer| user::update(tx, viewer, command)).unwrap();
        people.admin.delete(&world.store, system(&world)).await.unwrap();
        for by in before {
            let refused = post.delete(&world.store, world.request(by)).await;
            assert_refused!(refused, Error::Unauthenticated(_), "{by:?}");
            let command = new_post("New");
            let refused = act!(world.store, world.request(by), |tx, viewer| post::create(
                tx, viewer, command
            ));
            assert_refused!(refused, Error::Unauthenticated(_), "{by:?}");
        }
        assert_eq!(post.fresh(&world.store).await, Some(post));
    }

    async fn what_the_viewer_may_not_see_is_not_found_by_the_same_statements(world) {
        let people = people(&world).await;
        let draft = world.draft(&people.ada, "Draft").await;
        let tag = world.tag("tag").await.delete(&world.store, system(&world)).await.unwrap();
        let mut hidden = Vec::new();
        let mut absent = Vec::new();
        for (statements, post, tag) in [
            (&mut hidden, draft.id, tag.id),
            (&mut absent, uuid::Uuid::now_v7().into(), uuid::Uuid::now_v7().into()),
        ] {
            let by = || world.as_user(&people.grace);
            world.statements.take();
            let outcome = act!(world.store, by(), |tx, viewer| post::delete(
                tx, viewer, post, Version(0)
            ));
            assert_refused!(outcome, Error::NotFound { .. });
            let outcome = act!(world.store, by(), |tx, viewer| post::restore(
                tx, viewer, post, Version(0)
            ));
            assert_refused!(outcome, Error::NotFound { .. });
            let outcome = act!(world.store, by(), |tx, viewer| tag::restore(
                tx, viewer, tag, Version(0)
            ));
            assert_refused!(outcome, Error::NotFound { .. });
            let read = world.store.read();
            let by = viewer(&people.grace);
            let found = post::by_ids(&read, Whole, &by, Scope::WithDeleted, &[post.into()]).await.unwrap();
            assert!(found.is_empty());
            *statements = world.statements.take();
        }
        assert!(!hidden.is_empty());
        assert_eq!(hidden, absent);
    }
}
