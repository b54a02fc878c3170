//! What is read beside rows, in their statement, is what a read of its own finds.

use std::collections::{BTreeMap, HashMap};

use chrono::Duration;
use plimsoll_domain::{
    self as domain, Cursor, Direction, Page, PageArguments, Role, Scope, Viewer,
    post::{self, Column, Columns, PostFilter, PostOrder, PostsOf, Selection},
};
use plimsoll_entity::{
    account, category, inventory, order, post as posts, post_tag, product, profile, tag, user,
    user::Entity as Users,
};
use plimsoll_records::{Beside, Order, PageRequest, Rows, Via, View, Whole};
use plimsoll_testkit::{Engine, World, on_every_engine};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait};
use uuid::Uuid;

use crate::{
    reading::{Literal, plan, reads_all_of},
    support::*,
};

fn selection() -> Selection {
    Selection {
        columns: Columns::of(&[Column::Title]),
        author: Some(plimsoll_records::Columns::of(&[user::Column::Name])),
        category: Some(plimsoll_records::Columns::of(&[category::Column::Name])),
    }
}

/// The names beside a post.
#[track_caller]
fn names(post: &View<posts::Entity>) -> (Option<String>, Option<String>) {
    let author = post.beside::<Users>(Column::AuthorId).unwrap();
    let category = post.beside::<category::Entity>(Column::CategoryId).unwrap();
    let author = author.expect("it was looked for");
    let category = category.expect("it was looked for");
    // What was not asked for is not there.
    if let Some(author) = &author {
        assert!(author.get::<String>(user::Column::Email).is_err());
        assert!(
            author
                .beside::<category::Entity>(user::Column::Id)
                .unwrap()
                .is_none()
        );
    }
    (
        author.map(|author| author.get(user::Column::Name).unwrap()),
        category.map(|category| category.get(category::Column::Name).unwrap()),
    )
}

/// Posts in every state, with authors and categories in every state that they can have then.
async fn posts_in_all_states(world: &World) -> Vec<Uuid> {
    let people = people(world).await;
    let (kept, lost) = (
        world.category("kept", None).await,
        world.category("lost", None).await,
    );
    let tag = world.tag("tag").await;
    let mut ids = Vec::new();
    let mut gone = Vec::new();
    for n in 0..12 {
        let author = [&people.ada, &people.grace, &people.moderator][n % 3];
        let category = [Some(kept.id), None, Some(lost.id), Some(kept.id)][n % 4];
        let tags = &[tag.id][..n % 2];
        let post = filed_post(world, author, &format!("Post {n:02}"), category, tags).await;
        ids.push(post.uuid());
        if category == Some(lost.id) {
            gone.push(post);
        }
    }
    for post in gone {
        post.delete(&world.store, system(world)).await.unwrap();
    }
    lost.delete(&world.store, system(world)).await.unwrap();
    // Her posts go with her.
    people
        .grace
        .delete(&world.store, system(world))
        .await
        .unwrap();
    ids
}

/// What [`names`] must be, found by reads of their own.
async fn expected(world: &World) -> BTreeMap<String, (Option<String>, Option<String>)> {
    let read = world.store.read();
    let all = Rows::<posts::Entity>::with_deleted()
        .all(200, &read)
        .await
        .unwrap();
    let users = Rows::<Users>::live().all(200, &read).await.unwrap();
    let users: HashMap<_, _> = users.into_iter().map(|user| (user.id, user.name)).collect();
    let categories = Rows::<category::Entity>::live()
        .all(200, &read)
        .await
        .unwrap();
    let categories: HashMap<_, _> = categories
        .into_iter()
        .map(|category| (category.id, category.name))
        .collect();
    let of = |post: posts::Model| {
        let category = post.category_id.and_then(|id| categories.get(&id).cloned());
        (post.title, (users.get(&post.author_id).cloned(), category))
    };
    all.into_iter().map(of).collect()
}

fn title(post: &View<posts::Entity>) -> String {
    post.get(Column::Title).unwrap()
}

/// Compares a page with the same one of whole posts. Returns its last cursor.
#[track_caller]
fn compare(
    page: Page<View<posts::Entity>>,
    whole: &Page<posts::Model>,
    expected: &BTreeMap<String, (Option<String>, Option<String>)>,
) -> Option<Cursor> {
    let (ends, of_whole) = (
        (page.has_previous, page.has_next),
        (whole.has_previous, whole.has_next),
    );
    assert_eq!(ends, of_whole);
    let shown = page.edges();
    let shown: Vec<_> = shown
        .map(|(cursor, post)| (cursor.to_string(), title(post)))
        .collect();
    let whole = whole.edges();
    let whole: Vec<_> = whole
        .map(|(cursor, post)| (cursor.to_string(), post.title.clone()))
        .collect();
    assert_eq!(shown, whole);
    for post in page.rows() {
        assert_eq!(names(post), expected[&title(post)], "{}", title(post));
    }
    page.end_cursor()
}

on_every_engine! {
    async fn pages_have_beside_each_row_what_it_names(world) {
        let ids = posts_in_all_states(&world).await;
        let expected = expected(&world).await;
        // Of each kind there is one: both, one without the other, and neither.
        let kinds: std::collections::BTreeSet<(bool, bool)> =
            expected.values().map(|(author, category)| (author.is_some(), category.is_some())).collect();
        assert_eq!(kinds.len(), 4);
        let read = world.store.read();
        let order = (PostOrder::CreatedAt, Direction::Ascending);
        for by in [Viewer::System, Viewer::Anonymous] {
            let shape = selection().seen_by(&by);
            for scope in [Scope::Live, Scope::WithDeleted, Scope::OnlyDeleted] {
                for backwards in [false, true] {
                    let mut cursor: Option<Cursor> = None;
                    loop {
                        let (size, place) = (Some(5), cursor.map(|cursor| cursor.to_string()));
                        let arguments = if backwards {
                            PageArguments { last: size, before: place, ..Default::default() }
                        } else {
                            PageArguments { first: size, after: place, ..Default::default() }
                        };
                        let any = PostFilter::default();
                        world.statements.take();
                        let page = post::page(&read, shape.clone(), &by, scope, any, order, &arguments).await.unwrap();
                        assert_eq!(world.statements.take().len(), 1);
                        let whole = post::page(&read, Whole, &by, scope, any, order, &arguments).await.unwrap();
                        let first = page.start_cursor();
                        let last = compare(page, &whole, &expected);
                        cursor = if backwards { first } else { last };
                        if cursor.is_none() {
                            break;
                        }
                    }
                }
                let found = post::by_ids(&read, shape.clone(), &by, scope, &ids).await.unwrap();
                let whole = post::by_ids(&read, Whole, &by, scope, &ids).await.unwrap();
                assert_eq!(found.len(), whole.len());
                for (id, found) in found {
                    assert_eq!(names(&found), expected[&whole[&id].title]);
                }
                for (of, parent) in [
                    (PostsOf::Author, Column::AuthorId),
                    (PostsOf::Category, Column::CategoryId),
                ] {
                    let all = Rows::<posts::Entity>::with_deleted().distinct::<Option<Uuid>>(parent, 99, &read).await.unwrap();
                    let parents: Vec<Uuid> = all.into_iter().flatten().collect();
                    let arguments = first(2);
                    let found = post::pages_of(&read, shape.clone(), &by, scope, of, &arguments, &parents).await.unwrap();
                    let whole = post::pages_of(&read, Whole, &by, scope, of, &arguments, &parents).await.unwrap();
                    assert_eq!(found.len(), whole.len());
                    for (parent, page) in found {
                        compare(page, &whole[&parent], &expected);
                    }
                }
            }
        }
    }

    async fn each_type_of_record_has_beside_it_what_its_loader_finds(world) {
        let people = people(&world).await;
        for user in [&people.ada, &people.grace] {
            profile_of(&world, user).await;
            account_with(&world, user, "EUR", 0).await.delete(&world.store, system(&world)).await.unwrap();
        }
        let (kept, gone) = (a_product(&world, "kept").await, a_product(&world, "gone").await);
        for user in [&people.ada, &people.grace] {
            an_order(&world, user, &kept).await;
        }
        gone.delete(&world.store, system(&world)).await.unwrap();
        let (root, lost) = (world.category("root", None).await, world.category("lost", None).await);
        for parent in [&root, &lost] {
            world.category(&format!("below {}", parent.name), Some(parent)).await;
        }
        lost.delete(&world.store, system(&world)).await.unwrap();
        // Her profile goes with her; her order and her account, which is closed, stay.
        people.grace.delete(&world.store, system(&world)).await.unwrap();

        let (read, with) = (world.store.read(), Scope::WithDeleted);
        for by in [Viewer::System, viewer(&people.ada), Viewer::Anonymous] {
            // Whether something stood beside a row, and whether nothing did, of each type.
            let mut seen = BTreeMap::<&str, [bool; 2]>::new();
            macro_rules! same {
                ($name:literal, $module:path, $entity:ident.$column:ident: $other:ident, $field:ident, |$ids:ident| $find:expr) => {{
                    use $module as module;
                    let selection = module::Selection {
                        $field: Some(plimsoll_records::Columns::of(&[$other::Column::LockVersion])),
                        ..module::Columns::default().into()
                    };
                    let all = Rows::<$entity::Entity>::with_deleted().all(99, &read).await.unwrap();
                    let all: Vec<Uuid> = all.iter().map(|row| row.id.into()).collect();
                    let rows = module::by_ids(&read, selection.seen_by(&by), &by, with, &all).await.unwrap();
                    let column = $entity::Column::$column;
                    let names = rows.values().filter_map(|row| row.id(column).unwrap());
                    let names: Vec<Uuid> = names.collect();
                    let $ids = &names[..];
                    let found = $find.await.unwrap();
                    for row in rows.values() {
                        let beside = row.beside::<$other::Entity>(column).unwrap().expect("it was looked for");
                        let found = row.id(column).unwrap().and_then(|id| found.get(&id));
                        let found = found.map(|other| Uuid::from(other.id));
                        let id = beside.as_ref().map(|other| other.id($other::Column::Id).unwrap().unwrap());
                        assert_eq!(id, found, "{} for {by:?}", $name);
                        seen.entry($name).or_default()[usize::from(id.is_some())] = true;
                    }
                }};
            }
            let live = Scope::Live;
            same!("profile", domain::user, user.Id: profile, profile, |ids| domain::profile::of_users(&read, Whole, ids));
            same!("user", domain::profile, profile.UserId: user, user, |ids| domain::user::by_ids(&read, Whole, &by, live, ids));
            same!("parent", domain::category, category.ParentId: category, parent, |ids| domain::category::by_ids(&read, Whole, &by, live, ids));
            same!("inventory", domain::product, product.Id: inventory, inventory, |ids| domain::product::inventory::of_products(&read, Whole, ids));
            same!("product", domain::product::inventory, inventory.ProductId: product, product, |ids| domain::product::by_ids(&read, Whole, &by, with, ids));
            same!("owner", domain::account, account.OwnerId: user, owner, |ids| domain::user::by_ids(&read, Whole, &by, live, ids));
            same!("buyer", domain::order, order.BuyerId: user, buyer, |ids| domain::user::by_ids(&read, Whole, &by, live, ids));
            if by == Viewer::System {
                assert_eq!(seen.len(), 7);
                for (name, both) in seen {
                    // A moderator sees each inventory's product, deleted or not.
                    assert_eq!(both, [name != "product", true], "{name}");
                }
            }
        }
    }

    async fn what_is_beside_a_row_meets_its_own_condition(world) {
        let people = people(&world).await;
        let tag = world.tag("tag").await;
        for author in [&people.ada, &people.grace] {
            filed_post(&world, author, &author.name, None, &[tag.id]).await;
        }
        let read = world.store.read();
        let names = plimsoll_records::Columns::of(&[user::Column::Name]);
        let hers = Rows::<Users>::live().filter(user::Column::Id.eq(people.ada.id));
        let hers = Beside::new(Column::AuthorId, user::Column::Id, names, hers);
        let order = Order::by(Column::CreatedAt, Direction::Ascending);
        let request = PageRequest::parse("", order, &first(9)).unwrap();
        let found = Rows::<posts::Entity>::live()
            .page_of_each_as(
                Columns::default().beside([hers]),
                Via::owners_of::<post_tag::Entity>(),
                &[tag.uuid()],
                &request,
                &read,
            )
            .await
            .unwrap();
        let page = found[&tag.uuid()].rows();
        let authors: Vec<Option<String>> = page.iter().map(|post| {
            let author = post.beside::<Users>(Column::AuthorId).unwrap().expect("it was looked for");
            author.map(|author| author.get(user::Column::Name).unwrap())
        }).collect();
        assert_eq!(authors, [Some(people.ada.name), None]);
    }

    async fn rows_can_have_others_of_their_own_table_beside_them(world) {
        let author = world.user("author", Role::User).await;
        let (one, other) = (world.tag("one").await, world.tag("other").await);
        let post = filed_post(&world, &author, "Post", None, &[one.id, other.id]).await;
        let root = world.category("root", None).await;
        let leaf = world.category("leaf", Some(&root)).await;
        let read = world.store.read();

        let tags = plimsoll_records::Columns::of(&[tag::Column::Name]);
        let names = plimsoll_records::Columns::of(&[user::Column::Name]);
        let shape = tags.beside([
            Beside::new(tag::Column::Id, tag::Column::Id, tags, Rows::<tag::Entity>::live()),
            Beside::new(tag::Column::DeletionId, user::Column::Id, names, Rows::<Users>::live()),
        ]);
        let found = Rows::<tag::Entity>::live()
            .linked_by_as::<post_tag::Entity, _>(shape, &[post.uuid()], &read)
            .await
            .unwrap();
        let found = &found[&post.uuid()];
        assert_eq!(found.len(), 2);
        for found in found {
            let itself = found.beside::<tag::Entity>(tag::Column::Id).unwrap();
            let itself = itself.flatten().expect("it is there");
            let name = |tag: &View<tag::Entity>| tag.get::<String>(tag::Column::Name).unwrap();
            assert_eq!(name(&itself), name(found));
            let nobody = found.beside::<Users>(tag::Column::DeletionId).unwrap();
            assert!(nobody.expect("it was looked for").is_none());
            // By another column, and of another table, nothing was looked for.
            assert!(found.beside::<tag::Entity>(tag::Column::DeletionId).unwrap().is_none());
            assert!(found.beside::<Users>(tag::Column::Id).unwrap().is_none());
            // Nor beside the one that stands beside it.
            assert!(itself.beside::<tag::Entity>(tag::Column::Id).unwrap().is_none());
        }

        let names = plimsoll_records::Columns::of(&[category::Column::Name]);
        let (parent, id) = (category::Column::ParentId, category::Column::Id);
        let parents = Beside::new(parent, id, names, Rows::<category::Entity>::live());
        let ids = [root.uuid(), leaf.uuid()];
        let found = Rows::<category::Entity>::live()
            .by_ids_as(names.beside([parents]), &ids, &read)
            .await
            .unwrap();
        let parents = ids.map(|id| found[&id].beside::<category::Entity>(parent).unwrap());
        let [of_root, of_leaf] = parents.map(|parent| parent.expect("it was looked for"));
        assert!(of_root.is_none());
        assert_eq!(of_leaf.map(|parent| parent.id(id).unwrap()), Some(Some(root.uuid())));
    }

    async fn others_are_looked_up_for_the_rows_of_the_page_alone(world) {
        let users = act!(world.store, system(&world), |tx, _viewer| async {
            let row = |n: usize| user::ActiveModel {
                email: Set(format!("{n}@example.org")),
                email_key: Set(format!("{n}@example.org")),
                name: Set(format!("User {n}")),
                name_key: Set(format!("user {n}")),
                role: Set(Role::User),
                password_hash: sea_orm::NotSet,
                is_active: Set(true),
                ..Default::default()
            };
            plimsoll_domain::Result::Ok(tx.create_many::<Users>((0..2_000).map(row).collect()).await?)
        }).unwrap();
        act!(world.store, system(&world), |tx, _viewer| async {
            let row = |(n, author): (usize, Uuid)| posts::ActiveModel {
                title: Set(format!("Post {n}")),
                slug: Set(format!("post-{n}")),
                content: Set("text".to_owned().into()),
                published: Set(true),
                published_at: Set(Some(World::beginning() + Duration::seconds(n as i64))),
                author_id: Set(author.into()),
                category_id: Set(None),
                ..Default::default()
            };
            plimsoll_domain::Result::Ok(tx.create_many::<posts::Entity>(users.into_iter().enumerate().map(row).collect()).await?)
        }).unwrap();
        let connection = world.store.database().unguarded("a test looks at plans");
        for table in ["users", "posts", "categories"] {
            let analyze = match world.engine {
                Engine::MariaDb => format!("ANALYZE TABLE {table}"),
                _ => format!("ANALYZE {table}"),
            };
            connection.execute_unprepared(&analyze).await.unwrap();
        }
        let read = world.store.read();
        let by = Viewer::Anonymous;
        let order = (PostOrder::PublishedAt, Direction::Descending);
        let any = PostFilter::default();
        let shape = selection().seen_by(&by);
        world.statements.take();
        let page = post::page(&read, shape, &by, Scope::Live, any, order, &first(20)).await.unwrap();
        assert_eq!(page.rows().len(), 20);
        let mut values = vec![Literal::Number(21)];
        if world.engine == Engine::Postgres {
            // One of each kind of others.
            values.extend([Literal::Number(1), Literal::Number(1)]);
        }
        let plan = plan(&world, &values).await;
        assert!(!reads_all_of("users", &plan, world.engine), "{plan}");
        assert!(plan.contains("listed_at"), "{plan}");
    }
}
