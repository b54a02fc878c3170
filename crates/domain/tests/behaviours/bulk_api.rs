//! Bulk work: many tags, products or publications, all or none of them.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use futures::future::BoxFuture;
use plimsoll_domain::{
    Error, Money, OnConflict, Request, Result, Role, Seen, Version, Viewer,
    bulk::MAX_ITEMS,
    id::UserId,
    post::{self, MAX_PUBLISHED, Post, PublishPosts},
    product::{self, CreateProduct, ImportProducts, Product, inventory},
    tag::{self, CreateTag, CreateTags, Tag},
    user::User,
};
use plimsoll_entity::{
    inventory as stock_entity, post as post_entity, product as product_entity, tag as tag_entity,
};
use plimsoll_records::{Record, Rows, Whole};
use plimsoll_testkit::{World, on_every_engine};
use sea_orm::ColumnTrait;
use serde_json::json;
use uuid::Uuid;

use crate::support::*;

use OnConflict::{Fail, Skip, Update};

fn new_tag(name: &str, slug: &str) -> CreateTag {
    CreateTag {
        name: name.into(),
        slug: Some(slug.into()),
    }
}

async fn create_tags(
    world: &World,
    request: Request,
    items: Vec<CreateTag>,
    on_conflict: OnConflict,
) -> Result<Vec<Tag>> {
    let command = CreateTags { items, on_conflict };
    act!(world.store, request, |tx, viewer| tag::create_many(
        tx, viewer, command
    ))
}

fn new_product(sku: &str, amount: i64, quantity: i32) -> CreateProduct {
    CreateProduct {
        sku: sku.into(),
        name: format!("Product {sku} at {amount}"),
        price: Money {
            amount,
            currency: "EUR".into(),
        },
        quantity,
    }
}

async fn import(
    world: &World,
    request: Request,
    items: Vec<CreateProduct>,
    on_conflict: OnConflict,
) -> Result<Vec<Product>> {
    let command = ImportProducts { items, on_conflict };
    act!(world.store, request, |tx, viewer| product::import(
        tx, viewer, command
    ))
}

async fn publish_posts(world: &World, request: Request, items: Vec<Seen>) -> Result<Vec<Post>> {
    let command = PublishPosts { items };
    act!(world.store, request, |tx, viewer| post::publish_many(
        tx, viewer, command
    ))
}

fn seen(post: &Post) -> Seen {
    Seen {
        id: post.id.into(),
        version: Version(post.lock_version),
    }
}

/// The live stock of a product: how much, and its version.
async fn stock(world: &World, product: &Product) -> stock_entity::Model {
    let id: Uuid = product.id.into();
    let mut found = inventory::of_products(&world.store.read(), Whole, &[id])
        .await
        .expect("stock can be read");
    found.remove(&id).expect("a live product has stock")
}

/// How many records of a kind there are, deleted ones as well.
async fn count<E: Record>(world: &World) -> u64 {
    let rows = Rows::<E>::with_deleted();
    let count = rows.count(&world.store.read()).await;
    count.expect("records can be counted")
}

/// Everything that a refused list must leave as it is.
async fn traces(world: &World) -> [u64; 4] {
    [
        count::<tag_entity::Entity>(world).await,
        count::<product_entity::Entity>(world).await,
        count::<stock_entity::Entity>(world).await,
        audit_count(&world.store).await,
    ]
}

/// The reason of the item that was refused.
fn of_item<T>(outcome: Result<T>, of: &str, at: usize) -> Error {
    match outcome {
        Err(Error::Item { list, index, error }) if (list, index) == (of, at) => *error,
        Err(other) => panic!("not about {of} {at}: {other:?}"),
        Ok(_) => panic!("it was accepted"),
    }
}

/// Where an input is refused, and what is said of it.
fn invalid<T>(outcome: Result<T>) -> Vec<(String, String)> {
    match outcome {
        Err(Error::Invalid(wrong)) => wrong
            .into_iter()
            .map(|one| (one.path.join("."), one.message))
            .collect(),
        Err(other) => panic!("not invalid: {other:?}"),
        Ok(_) => panic!("it was accepted"),
    }
}

fn said(wrong: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = wrong.iter();
    owned
        .map(|(path, message)| ((*path).to_owned(), (*message).to_owned()))
        .collect()
}

fn tags_as(tags: &[Tag]) -> Vec<(&str, &str, i32)> {
    tags.iter()
        .map(|tag| (tag.slug.as_str(), tag.name.as_str(), tag.lock_version))
        .collect()
}

on_every_engine! {
    async fn many_tags_are_made_at_once_and_those_that_are_there_are_skipped_changed_or_in_the_way(world) {
        let sail = world.tag("Sail").await;
        let mona = world.user("mona", Role::Moderator).await;
        let list = || vec![
            new_tag("Rope", "rope"),
            // Another spelling of a key that is there.
            new_tag("Sails", " SAIL "),
            CreateTag { name: "À l'ancre".into(), slug: None },
        ];
        let before = traces(&world).await;

        let taken = create_tags(&world, world.as_user(&mona), list(), Fail).await;
        let taken = of_item(taken, "tags", 1);
        assert!(matches!(&taken, Error::AlreadyExists { field } if field == "slug"), "{taken:?}");
        assert_eq!(traces(&world).await, before);

        let skipped = create_tags(&world, world.as_user(&mona), list(), Skip).await.unwrap();
        assert_eq!(tags_as(&skipped), [("rope", "Rope", 0), ("sail", "Sail", 0), ("à-l-ancre", "À l'ancre", 0)]);
        assert_eq!(skipped[1], sail, "it is answered as it is");
        assert_eq!(audit_of(&world.store, sail.id.into()).await.len(), 1);
        let told = audit_of(&world.store, skipped[0].id.into()).await;
        assert_eq!((told.len(), told[0].to_version, told[0].actor_id), (1, Some(0), Some(mona.id.into())));

        let changed = create_tags(&world, world.as_user(&mona), list(), Update).await.unwrap();
        // What already is as it should be keeps its version.
        assert_eq!(tags_as(&changed), [("rope", "Rope", 0), ("sail", "Sails", 1), ("à-l-ancre", "À l'ancre", 0)]);
        assert_eq!(changed.iter().map(|tag| tag.id).collect::<Vec<_>>(), skipped.iter().map(|tag| tag.id).collect::<Vec<_>>());
        let told = audit_of(&world.store, sail.id.into()).await;
        assert_eq!((told.len(), told[1].from_version, told[1].to_version), (2, Some(0), Some(1)));
        assert_eq!(told[1].changes, json!({"name": ["Sail", "Sails"]}));
        assert_eq!(traces(&world).await, [before[0] + 2, before[1], before[2], before[3] + 3]);
    }

    async fn many_products_are_made_at_once_with_their_stock_or_skipped_changed_or_in_the_way(world) {
        let mona = world.user("mona", Role::Moderator).await;
        let made = import(&world, system(&world), vec![new_product("lamp", 100, 5), new_product("rope", 7, 9)], Fail).await.unwrap();
        assert_eq!(made.iter().map(|one| (one.sku.as_str(), one.price_amount, one.lock_version)).collect::<Vec<_>>(),
            [("lamp", 100, 0), ("rope", 7, 0)]);
        assert_eq!((stock(&world, &made[0]).await.quantity, stock(&world, &made[1]).await.quantity), (5, 9));
        for record in [Uuid::from(made[0].id), stock(&world, &made[0]).await.id.into()] {
            assert_eq!(audit_of(&world.store, record).await.len(), 1);
        }
        let before = traces(&world).await;
        let list = || vec![new_product("anchor", 9, 0), new_product("LAMP", 120, 8), new_product("rope", 7, 9)];

        let taken = of_item(import(&world, world.as_user(&mona), list(), Fail).await, "products", 1);
        assert!(matches!(&taken, Error::AlreadyExists { field } if field == "sku"), "{taken:?}");
        assert_eq!(traces(&world).await, before);

        let skipped = import(&world, world.as_user(&mona), list(), Skip).await.unwrap();
        assert_eq!(skipped[1..], made, "they are answered as they are");
        assert_eq!((skipped[0].sku.as_str(), stock(&world, &skipped[0]).await.quantity), ("anchor", 0));
        let lamp = stock(&world, &made[0]).await;
        assert_eq!((lamp.quantity, lamp.lock_version), (5, 0), "SKIP leaves the stock alone");
        assert_eq!(traces(&world).await, [before[0], before[1] + 1, before[2] + 1, before[3] + 2]);

        let changed = import(&world, world.as_user(&mona), list(), Update).await.unwrap();
        assert_eq!(changed.iter().map(|one| one.id).collect::<Vec<_>>(), skipped.iter().map(|one| one.id).collect::<Vec<_>>());
        assert_eq!((&changed[0], &changed[2]), (&skipped[0], &made[1]), "they were so already");
        let lamp = &changed[1];
        assert_eq!((lamp.sku.as_str(), lamp.sku_key.as_str(), lamp.price_amount, lamp.lock_version), ("LAMP", "lamp", 120, 1));
        assert_eq!(lamp.name, "Product LAMP at 120");
        let of_lamp = stock(&world, lamp).await;
        assert_eq!((of_lamp.quantity, of_lamp.lock_version), (8, 1));
        assert_eq!(stock(&world, &made[1]).await.lock_version, 0, "its stock was so already");
        let told = audit_of(&world.store, of_lamp.id.into()).await;
        assert_eq!(told[1].changes, json!({"quantity": [5, 8]}));
        assert_eq!(traces(&world).await, [before[0], before[1] + 1, before[2] + 1, before[3] + 4]);

        // Of a product that stays as it is, the stock alone.
        let more = CreateProduct { quantity: 10, ..list().remove(2) };
        let rope = import(&world, world.as_user(&mona), vec![more], Update).await.unwrap().remove(0);
        assert_eq!(rope, made[1]);
        assert_eq!((stock(&world, &rope).await.quantity, stock(&world, &rope).await.lock_version), (10, 1));
    }

    async fn everything_that_is_wrong_with_any_item_is_told_and_nothing_is_made(world) {
        let before = traces(&world).await;
        let tags = |items| create_tags(&world, system(&world), items, Update);
        let wrong = tags(vec![
            new_tag("Rope", "rope"),
            new_tag(" ", "a b"),
            CreateTag { name: "ROPE".into(), slug: None },
            new_tag("Sail", &"x".repeat(201)),
            new_tag("Cord", "Rope"),
        ]).await;
        assert_eq!(invalid(wrong), said(&[
            ("input.tags.1.name", "It must not be empty."),
            ("input.tags.1.slug", "It may contain letters, digits, and - . _ ~ only."),
            ("input.tags.2.slug", "Item 0 has the same."),
            ("input.tags.3.slug", "It must not have more than 200 characters."),
            ("input.tags.4.slug", "Item 0 has the same."),
        ]));
        let products = |items| import(&world, system(&world), items, Update);
        let nothing = CreateProduct {
            sku: "\n".into(),
            name: "a\0b".into(),
            price: Money { amount: 0, currency: "XYZ".into() },
            quantity: -1,
        };
        let too_many = new_product("Lamp ", 1, inventory::MAX_QUANTITY + 1);
        let same = new_product(" LAMP", 1, 1);
        let wrong = products(vec![new_product("lamp", 1, 1), nothing, too_many, same]).await;
        let mut wrong = invalid(wrong);
        wrong.sort();
        assert_eq!(wrong, said(&[
            ("input.products.1.name", "It must be one line, without control characters."),
            ("input.products.1.price", "It must be more than 0."),
            ("input.products.1.price", "It must be the code of a currency in ISO 4217, such as EUR."),
            ("input.products.1.quantity", "It must be 0 to 1,000,000,000."),
            ("input.products.1.sku", "It must not be empty."),
            ("input.products.2.quantity", "It must be 0 to 1,000,000,000."),
            ("input.products.3.sku", "Item 0 has the same."),
        ]));
        for (list, none, many) in [
            ("tags", tags(vec![]).await.map(drop),
                tags(vec![new_tag("Rope", "rope"); MAX_ITEMS + 1]).await.map(drop)),
            ("products", products(vec![]).await.map(drop),
                products(vec![new_product("lamp", 1, 1); MAX_ITEMS + 1]).await.map(drop)),
        ] {
            let list = format!("input.{list}");
            assert_eq!(invalid(none), said(&[(&list, "There must be at least one.")]));
            assert_eq!(invalid(many), said(&[(&list, "There may be at most 1000.")]));
        }
        assert_eq!(traces(&world).await, before);
    }

    async fn a_deleted_holder_of_a_key_stays_deleted_and_another_is_made_beside_it(world) {
        let sail = world.tag("Sail").await.delete(&world.store, system(&world)).await.unwrap();
        let lamp = create_product(&world.store, system(&world), "lamp").await.unwrap();
        let lamp = lamp.delete(&world.store, system(&world)).await.unwrap();
        for on_conflict in [Fail, Skip, Update] {
            let tags = create_tags(&world, system(&world), vec![new_tag("Sail", "sail")], on_conflict).await.unwrap();
            let products = import(&world, system(&world), vec![new_product("lamp", 3, 4)], on_conflict).await.unwrap();
            assert!(tags[0].id != sail.id && products[0].id != lamp.id);
            assert_eq!((tags[0].lock_version, products[0].lock_version), (0, 0));
            assert_eq!(stock(&world, &products[0]).await.quantity, 4);
            assert_eq!(sail.fresh(&world.store).await.unwrap(), sail);
            assert_eq!(lamp.fresh(&world.store).await.unwrap(), lamp);
            // For the next turn.
            tags[0].delete(&world.store, system(&world)).await.unwrap();
            products[0].delete(&world.store, system(&world)).await.unwrap();
        }
    }

    async fn only_moderators_and_administrators_make_many_at_once(world) {
        let people = people(&world).await;
        let before = traces(&world).await;
        for on_conflict in [Fail, Skip, Update] {
            let tags = |request| create_tags(&world, request, vec![new_tag("Rope", "rope")], on_conflict);
            let products = |request| import(&world, request, vec![new_product("lamp", 1, 1)], on_conflict);
            assert_refused!(tags(world.as_user(&people.ada)).await, Error::Forbidden(_));
            assert_refused!(products(world.as_user(&people.ada)).await, Error::Forbidden(_));
            assert_refused!(tags(world.request(Viewer::Anonymous)).await, Error::Unauthenticated(_));
            assert_refused!(products(world.request(Viewer::Anonymous)).await, Error::Unauthenticated(_));
        }
        assert_eq!(traces(&world).await, before);
        for who in [&people.moderator, &people.admin] {
            create_tags(&world, world.as_user(who), vec![new_tag("Rope", "rope")], Update).await.unwrap();
            import(&world, world.as_user(who), vec![new_product("lamp", 1, 1)], Update).await.unwrap();
        }
    }

    async fn two_hundred_are_made_skipped_or_changed_in_as_many_statements_as_one(world) {
        let mut counts: [Vec<Vec<String>>; 6] = Default::default();
        for size in [1, 20, 200] {
            let tags = |by: &str| (0..size).rev().map(|n| new_tag(&format!("{by} {n}"), &format!("t-{size}-{n}"))).collect();
            let products = |by: i64| (0..size).rev().map(|n| new_product(&format!("p-{size}-{n}"), by, by as i32)).collect();
            for (turn, on_conflict) in [Fail, Skip, Update].into_iter().enumerate() {
                world.statements.take();
                let done = create_tags(&world, system(&world), tags(["a", "b", "c"][turn]), on_conflict).await.unwrap();
                counts[turn].push(world.statements.take());
                assert_eq!(done.len(), size);
                for (tag, n) in done.iter().zip((0..size).rev()) {
                    let by = ["a", "a", "c"][turn];
                    assert_eq!((tag.slug.clone(), tag.name.clone()), (format!("t-{size}-{n}"), format!("{by} {n}")));
                }
                world.statements.take();
                let done = import(&world, system(&world), products(turn as i64 + 1), on_conflict).await.unwrap();
                counts[3 + turn].push(world.statements.take());
                assert_eq!(done.len(), size);
                let ids: Vec<Uuid> = done.iter().map(|product| product.id.into()).collect();
                let stock = inventory::of_products(&world.store.read(), Whole, &ids).await.unwrap();
                for (product, n) in done.iter().zip((0..size).rev()) {
                    let by = [1, 1, 3][turn];
                    assert_eq!((product.sku.clone(), product.price_amount), (format!("p-{size}-{n}"), by));
                    assert_eq!(i64::from(stock[&product.id.into()].quantity), by);
                }
            }
        }
        for ran in &counts {
            let numbers: Vec<usize> = ran.iter().map(Vec::len).collect();
            assert_eq!(numbers, [numbers[0]; 3], "{:#?}\n{:#?}", ran[0], ran[2]);
        }
        println!("{}: {:?}", world.engine, counts.each_ref().map(|ran| ran[0].len()));
    }

    async fn a_thousand_products_are_imported_and_changed_well_within_seconds(world) {
        let list = |by: i32| (0..MAX_ITEMS).map(|n| new_product(&format!("p-{n}"), by.into(), by)).collect();
        for (by, on_conflict) in [(1, Fail), (2, Update)] {
            let begun = std::time::Instant::now();
            let done = import(&world, system(&world), list(by), on_conflict).await.unwrap();
            let took = begun.elapsed();
            println!("{}: {MAX_ITEMS} products in {took:?}", world.engine);
            assert!(took.as_secs_f64() < 10.0, "{took:?}");
            assert_eq!(done.len(), MAX_ITEMS);
            assert!(done.iter().enumerate().all(|(n, one)| one.sku == format!("p-{n}") && one.lock_version == by - 1));
            let stock = Rows::<stock_entity::Entity>::live()
                .filter(stock_entity::Column::Quantity.eq(by)).count(&world.store.read()).await.unwrap();
            assert_eq!(stock, MAX_ITEMS as u64);
        }
    }

    async fn of_imports_at_once_each_product_and_its_stock_are_of_one_of_them(world) {
        let mut tasks: Vec<BoxFuture<'static, Result<Vec<Product>>>> = Vec::new();
        for by in 1..=8 {
            // Each in another order.
            let mut items: Vec<_> = (0..10).map(|n| new_product(&format!("p-{n}"), by, by as i32)).collect();
            items.rotate_left(by as usize);
            let (store, request) = (world.store.clone(), system(&world));
            let command = ImportProducts { items, on_conflict: Update };
            tasks.push(task(async move { act!(store, request, |tx, viewer| product::import(tx, viewer, command)) }));
        }
        for outcome in at_once(tasks).await {
            assert_eq!(outcome.unwrap().len(), 10);
        }
        let now = Rows::<product_entity::Entity>::with_deleted().all(100, &world.store.read()).await.unwrap();
        assert_eq!(now.len(), 10);
        assert_eq!(count::<stock_entity::Entity>(&world).await, 10);
        let mut last = BTreeSet::new();
        for product in &now {
            let stock = stock(&world, product).await;
            assert_eq!((product.lock_version, stock.lock_version), (7, 7), "each of the eight counts");
            assert_eq!(i64::from(stock.quantity), product.price_amount);
            last.insert(product.price_amount);
        }
        assert_eq!(last.len(), 1, "imports of the same products come one after the other: {last:?}");
    }

    async fn many_posts_are_published_at_once_and_those_that_are_keep_their_version(world) {
        let people = people(&world).await;
        let drafts = [world.draft(&people.ada, "One").await, world.draft(&people.ada, "Two").await];
        let before = world.draft(&people.ada, "Before").await;
        let there = publish(&world, &people.ada, &before).await;
        // Published once, and a draft again.
        let again = publish(&world, &people.ada, &world.draft(&people.ada, "Again").await).await;
        let (id, at) = (again.id, Version(again.lock_version));
        let again = act!(world.store, world.as_user(&people.ada), |tx, viewer| post::set_published(tx, viewer, id, at, false)).unwrap();
        let audit = audit_count(&world.store).await;

        let later = system(&world).now + TimeDelta::days(1);
        let request = world.request_at(viewer(&people.ada), later);
        let list = vec![seen(&drafts[1]), seen(&there), seen(&again), seen(&drafts[0])];
        let done = publish_posts(&world, request, list.clone()).await.unwrap();
        assert_eq!(done.iter().map(|post| Uuid::from(post.id)).collect::<Vec<_>>(), list.iter().map(|item| item.id).collect::<Vec<_>>());
        assert!(done.iter().all(|post| post.published));
        assert_eq!(done.iter().map(|post| post.lock_version).collect::<Vec<_>>(), [1, there.lock_version, again.lock_version + 1, 1]);
        assert_eq!(done.iter().map(|post| post.published_at).collect::<Vec<_>>(), [Some(later), there.published_at, again.published_at, Some(later)]);
        assert!(again.published_at.is_some_and(|first| first < later));
        assert_eq!((done[1].id, done[1].updated_at), (there.id, there.updated_at));
        assert_eq!(audit_count(&world.store).await, audit + 3);
        let told = audit_of(&world.store, drafts[0].id.into()).await;
        assert_eq!((told.len(), told[1].from_version, told[1].to_version, told[1].actor_id), (2, Some(0), Some(1), Some(people.ada.id.into())));
        assert_eq!(told[1].changes["published"], json!([false, true]));
        let told = audit_of(&world.store, again.id.into()).await;
        assert_eq!(told.last().unwrap().changes, json!({"published": [false, true]}));
    }

    async fn one_post_that_cannot_be_published_is_named_and_nothing_is_changed(world) {
        let people = people(&world).await;
        let mine = [world.draft(&people.ada, "One").await, world.draft(&people.ada, "Two").await];
        let stale = mine[1].rename(&world.store, world.as_user(&people.ada), "Two and a half").await.unwrap();
        let gone = world.draft(&people.ada, "Gone").await.delete(&world.store, world.as_user(&people.ada)).await.unwrap();
        let hidden = world.draft(&people.grace, "Hidden").await;
        let theirs = publish(&world, &people.grace, &world.draft(&people.grace, "Theirs").await).await;
        let absent = Seen { id: Uuid::now_v7(), version: Version(0) };
        let audit = audit_count(&world.store).await;
        let attempt = |by: &User, bad: Seen| publish_posts(&world, world.as_user(by), vec![seen(&mine[0]), bad]);

        let conflict = of_item(attempt(&people.ada, seen(&mine[1])).await, "items", 1);
        assert!(matches!(&conflict, Error::Conflict { seen: Version(0), current } if current.version() == Version(1)), "{conflict:?}");
        for bad in [seen(&gone), seen(&hidden), absent] {
            let refused = of_item(attempt(&people.ada, bad).await, "items", 1);
            assert!(matches!(&refused, Error::NotFound { path } if *path == ["input", "id"]), "{refused:?}");
        }
        let forbidden = of_item(attempt(&people.ada, seen(&theirs)).await, "items", 1);
        assert!(matches!(&forbidden, Error::Forbidden(_)), "{forbidden:?}");
        let twice = of_item(attempt(&people.ada, seen(&mine[0])).await, "items", 1);
        assert_eq!(invalid::<()>(Err(twice)), said(&[("input.id", "It is named before.")]));
        let none = publish_posts(&world, world.as_user(&people.ada), vec![]).await;
        assert_eq!(invalid(none), said(&[("input.items", "There must be at least one.")]));
        let many = publish_posts(&world, world.as_user(&people.ada), vec![absent; MAX_PUBLISHED + 1]).await;
        assert_eq!(invalid(many), said(&[("input.items", "There may be at most 200.")]));
        let published = publish(&world, &people.ada, &stale).await;
        let nobody = publish_posts(&world, world.request(Viewer::Anonymous), vec![seen(&published)]).await;
        let nobody = match nobody {
            Err(Error::Item { error, .. }) => Err(*error),
            other => other,
        };
        assert_refused!(nobody, Error::Unauthenticated(_));

        assert_eq!(audit_count(&world.store).await, audit + 1, "what was published by itself");
        for (post, version) in [(&mine[0], 0), (&gone, 1), (&hidden, 0), (&theirs, 1)] {
            assert_eq!(post.fresh(&world.store).await.unwrap().lock_version, version);
        }
        assert!(!mine[0].fresh(&world.store).await.unwrap().published);
    }

    async fn co_authors_and_moderators_publish_many_and_nobody_else(world) {
        let people = people(&world).await;
        let mut posts = Vec::new();
        for title in ["One", "Two"] {
            let draft = world.draft(&people.ada, title).await;
            let grace: [UserId; 1] = [people.grace.id];
            posts.push(set_co_authors(&world.store, world.as_user(&people.ada), &draft, &grace).await.unwrap());
        }
        let own = world.draft(&people.grace, "Own").await;
        let list = vec![seen(&posts[1]), seen(&own), seen(&posts[0])];
        // What is not theirs is not there for them: a draft.
        let other = world.user("olga", Role::User).await;
        let refused = of_item(publish_posts(&world, world.as_user(&other), list.clone()).await, "items", 0);
        assert!(matches!(&refused, Error::NotFound { .. }), "{refused:?}");
        let refused = of_item(publish_posts(&world, world.as_user(&people.ada), list.clone()).await, "items", 1);
        assert!(matches!(&refused, Error::NotFound { .. }), "{refused:?}");
        let done = publish_posts(&world, world.as_user(&people.grace), list).await.unwrap();
        assert!(done.iter().all(|post| post.published));
        let mixed = [world.draft(&people.ada, "Three").await, world.draft(&people.grace, "Four").await];
        let done = publish_posts(&world, world.as_user(&people.moderator), mixed.iter().map(seen).collect()).await.unwrap();
        assert_eq!(done.iter().map(|post| post.lock_version).collect::<Vec<_>>(), [1, 1]);
        let told = audit_of(&world.store, mixed[1].id.into()).await;
        assert_eq!(told[1].actor_id, Some(people.moderator.id.into()));
    }

    async fn two_hundred_posts_are_published_in_as_many_statements_as_one(world) {
        let people = people(&world).await;
        let mut ran = Vec::new();
        for size in [1, 20, 200] {
            let mut list = Vec::new();
            for n in 0..size {
                list.push(seen(&world.draft(&people.ada, &format!("{n} of {size}")).await));
            }
            list.reverse();
            world.statements.take();
            let done = publish_posts(&world, world.as_user(&people.ada), list).await.unwrap();
            ran.push(world.statements.take());
            assert!(done.len() == size && done.iter().all(|post| post.lock_version == 1));
        }
        let numbers: Vec<usize> = ran.iter().map(Vec::len).collect();
        assert_eq!(numbers, [numbers[0]; 3], "{:#?}\n{:#?}", ran[0], ran[2]);
        println!("{}: {} to publish", world.engine, numbers[0]);
        let live = Rows::<post_entity::Entity>::live().filter(post_entity::Column::Published.eq(true));
        assert_eq!(live.count(&world.store.read()).await.unwrap(), 221);
    }
}
