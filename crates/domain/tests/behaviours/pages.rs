use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Duration, Utc};
use plimsoll_domain::{
    BadPage, Direction, Error, Page, PageArguments, Role, Scope, Version, Viewer, category,
    deletion,
    post::{self, Post, PostFilter, PostOrder, PostsOf},
    tag::{self, TagOrder},
    user::{self, User, UserOrder},
};
use plimsoll_records::Whole;
use plimsoll_testkit::{Engine, World, on_every_engine};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sea_orm::{ActiveValue::Set, ConnectionTrait, Statement};
use uuid::Uuid;

use crate::support::*;

const ORDERS: [PostOrder; 3] = [
    PostOrder::PublishedAt,
    PostOrder::CreatedAt,
    PostOrder::UpdatedAt,
];
const DIRECTIONS: [Direction; 2] = [Direction::Ascending, Direction::Descending];

/// Drafts that tie in the columns that lists are ordered by.
async fn batch(world: &World, author: &User, now: DateTime<Utc>, titles: Vec<String>) {
    let request = world.request_at(viewer(author), now);
    act!(world.store, request, |tx, viewer| async {
        for title in titles {
            let draft = post::create(tx, viewer, new_post(&title)).await?;
            if title.ends_with(['0', '3', '7']) {
                post::set_published(tx, viewer, draft.id, Version(0), true).await?;
            }
        }
        plimsoll_domain::Result::Ok(())
    })
    .expect("posts can be made");
}

/// Posts of which many tie, at times with and without microseconds.
async fn posts(world: &World, author: &User) {
    for (n, micros) in [0, 500_000, 500_001, 1_000_000].into_iter().enumerate() {
        let now = World::beginning() + Duration::hours(1) + Duration::microseconds(micros);
        let titles = (0..8).map(|k| format!("Post {n}{k}")).collect();
        batch(world, author, now, titles).await;
    }
}

fn key(post: &Post, order: PostOrder) -> (DateTime<Utc>, Uuid) {
    let time = match order {
        PostOrder::PublishedAt => post.listed_at,
        PostOrder::CreatedAt => post.created_at,
        PostOrder::UpdatedAt => post.updated_at,
    };
    (time, post.uuid())
}

async fn page(
    world: &World,
    order: (PostOrder, Direction),
    arguments: &PageArguments,
) -> plimsoll_domain::Result<Page<Post>> {
    let by = Viewer::System;
    let filter = PostFilter::default();
    post::page(
        &world.store.read(),
        Whole,
        &by,
        Scope::Live,
        filter,
        order,
        arguments,
    )
    .await
}

/// All live posts in this order, sorted here and not by the database.
async fn sorted(world: &World, (order, direction): (PostOrder, Direction)) -> Vec<Post> {
    let page = page(world, (order, direction), &first(200))
        .await
        .expect("a page");
    assert_eq!(page.has_next, Some(false), "there are few enough");
    let mut posts: Vec<Post> = page.into_rows();
    let read = posts.clone();
    posts.sort_by_key(|post| key(post, order));
    if direction == Direction::Descending {
        posts.reverse();
    }
    assert_eq!(read, posts, "{order:?} {direction:?}");
    posts
}

fn walk_on(backwards: bool, size: i32, cursor: Option<String>) -> PageArguments {
    if backwards {
        PageArguments {
            last: Some(size),
            before: cursor,
            ..PageArguments::default()
        }
    } else {
        PageArguments {
            first: Some(size),
            after: cursor,
            ..PageArguments::default()
        }
    }
}

/// Walks a list while rows come and go between the pages.
async fn walk(
    world: &World,
    author: &User,
    order: (PostOrder, Direction),
    backwards: bool,
    random: &mut ChaCha8Rng,
) {
    let context = format!("{order:?}, backwards: {backwards}");
    let at_first: Vec<Post> = sorted(world, order).await;
    let mut touched: Vec<Uuid> = Vec::new();
    let mut seen: Vec<Uuid> = Vec::new();
    let mut deleted: Vec<Post> = Vec::new();
    // The cursor, and the key of the row that it was given out for.
    let mut place: Option<(String, (DateTime<Utc>, Uuid))> = None;
    loop {
        let size = random.random_range(1..8);
        let cursor = place.as_ref().map(|(cursor, _)| cursor.clone());
        let found = page(world, order, &walk_on(backwards, size, cursor))
            .await
            .expect("a page");

        // What lies beyond the cursor, by the list as it is now.
        let mut now = sorted(world, order).await;
        if backwards {
            now.reverse();
        }
        let rising = (order.1 == Direction::Ascending) != backwards;
        let (behind, beyond): (Vec<_>, Vec<_>) = now.iter().partition(|post| match &place {
            None => false,
            Some((_, at)) if rising => key(post, order.0) <= *at,
            Some((_, at)) => key(post, order.0) >= *at,
        });
        let mut expected: Vec<_> = beyond
            .iter()
            .take(size as usize)
            .map(|post| post.id)
            .collect();
        if backwards {
            expected.reverse();
        }
        let ids: Vec<_> = found.rows().iter().map(|post| post.id).collect();
        assert_eq!(ids, expected, "{context}");
        let more = beyond.len() > size as usize;
        let flags = if backwards {
            (found.has_next, found.has_previous)
        } else {
            (found.has_previous, found.has_next)
        };
        let expected = (Some(!behind.is_empty()), Some(more));
        assert_eq!(flags, expected, "{context}");

        let mut edges: Vec<_> = found.edges().collect();
        if backwards {
            edges.reverse();
        }
        seen.extend(edges.iter().map(|(_, post)| post.uuid()));
        let Some((cursor, last)) = edges.pop() else {
            break;
        };
        place = Some((cursor.to_string(), key(last, order.0)));
        if !more {
            // One more page, which is empty: the flags are right there too.
            continue;
        }

        // The cursor's own row goes every other time, and others come and go.
        let mut victims = Vec::new();
        if random.random_bool(0.5) {
            victims.push(last.clone());
        }
        victims.push(now[random.random_range(0..now.len())].clone());
        for victim in victims {
            if touched.contains(&victim.uuid()) {
                continue;
            }
            touched.push(victim.uuid());
            deleted.push(
                victim
                    .delete(&world.store, system(world))
                    .await
                    .expect("it goes"),
            );
        }
        if random.random_bool(0.5) && !deleted.is_empty() {
            let back = deleted.swap_remove(random.random_range(0..deleted.len()));
            back.restore(&world.store, system(world))
                .await
                .expect("it comes back");
        }
        if random.random_bool(0.3) {
            let title = format!("New {}", Uuid::now_v7().simple());
            let middle = World::beginning() + Duration::hours(1) + Duration::microseconds(500_000);
            batch(world, author, middle, vec![title]).await;
        }
    }
    for post in at_first
        .iter()
        .filter(|post| !touched.contains(&post.uuid()))
    {
        let times = seen.iter().filter(|id| **id == post.uuid()).count();
        assert_eq!(times, 1, "{context}: {}", post.title);
    }
    if order.0 != PostOrder::UpdatedAt {
        let mut once = seen.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), seen.len(), "{context}: a row was seen twice");
    }
    for post in deleted {
        post.restore(&world.store, system(world))
            .await
            .expect("it comes back");
    }
}

/// A cursor with other contents, of the same list.
fn forged(cursor: &str, contents: &str) -> String {
    let mut bytes = URL_SAFE_NO_PAD.decode(cursor).expect("a cursor is base64");
    bytes.truncate(8);
    bytes.extend(contents.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

on_every_engine! {
    async fn a_walk_stays_exact_while_rows_come_and_go(world) {
        let author = world.user("author", Role::User).await;
        posts(&world, &author).await;
        let mut random = ChaCha8Rng::seed_from_u64(1);
        for order in ORDERS {
            for direction in DIRECTIONS {
                for backwards in [false, true] {
                    walk(&world, &author, (order, direction), backwards, &mut random).await;
                }
            }
        }
    }

    async fn text_is_ordered_by_its_code_points_with_ties_by_id(world) {
        let names = ["b", "a", "B", "é", "e", "z", "~", "a b", "a-b", "日本", "🚢", "ß", "ss", "a"];
        for (n, name) in names.into_iter().enumerate() {
            let command = user::CreateUser {
                email: format!("u{n}@test.invalid"),
                name: name.into(),
                role: Role::User,
                password_hash: None,
            };
            act!(world.store, system(&world), |tx, viewer| user::create(tx, viewer, command))
                .unwrap();
        }
        for slug in ["b", "a", "é", "e", "z", "~", "a-b", "日本", "ß", "ss", "a.b", "A_B"] {
            world.tag(slug).await;
        }
        let (by, live) = (Viewer::System, Scope::Live);
        let read = world.store.read();
        for direction in DIRECTIONS {
            for backwards in [false, true] {
                let (mut found, mut cursor) = (Vec::new(), None);
                loop {
                    let arguments = walk_on(backwards, 3, cursor.take());
                    let order = (UserOrder::Name, direction);
                    let page = user::page(&read, Whole, &by, live, order, &arguments).await.unwrap();
                    cursor = if backwards { page.start_cursor() } else { page.end_cursor() }
                        .map(|cursor| cursor.to_string());
                    let mut rows = page.into_rows();
                    if backwards {
                        rows.reverse();
                    }
                    found.extend(rows.into_iter().map(|user| (user.name_key, user.id)));
                    assert!(found.len() <= names.len(), "the walk does not end");
                    if cursor.is_none() {
                        break;
                    }
                }
                let mut expected = found.clone();
                expected.sort();
                if (direction == Direction::Descending) != backwards {
                    expected.reverse();
                }
                assert_eq!(found.len(), names.len());
                assert_eq!(found, expected);
            }
            let order = (TagOrder::Slug, direction);
            let page = tag::page(&read, Whole, &by, live, order, &first(200)).await.unwrap();
            let found: Vec<_> = page.into_rows().into_iter().map(|tag| tag.slug).collect();
            let mut expected = found.clone();
            expected.sort();
            if direction == Direction::Descending {
                expected.reverse();
            }
            assert_eq!((found.len(), found), (12, expected));
        }
    }

    async fn the_pages_of_many_parents_are_the_pages_of_each(world) {
        let ada = world.user("ada", Role::User).await;
        let grace = world.user("grace", Role::User).await;
        let idle = world.user("idle", Role::User).await;
        let later = World::beginning() + Duration::hours(2);
        for (author, count) in [(&ada, 7), (&grace, 4)] {
            let name = &author.name;
            let titles = (0..count).map(|n| format!("Of {name} {n}")).collect();
            batch(&world, author, later, titles).await;
        }
        let parents = [ada.uuid(), grace.uuid(), idle.uuid()];
        let read = world.store.read();
        let pages = async |arguments: PageArguments, parents: Vec<Uuid>| {
            let (by, scope) = (Viewer::System, Scope::Live);
            post::pages_of(&read, Whole, &by, scope, PostsOf::Author, &arguments, &parents).await.unwrap()
        };
        let all = pages(first(200), parents.into()).await;
        for backwards in [false, true] {
            for parent in parents {
                let whole: Vec<_> = all[&parent].rows().iter().map(|post| post.id).collect();
                let (mut found, mut cursor) = (Vec::new(), None);
                loop {
                    let is_first = cursor.is_none();
                    let arguments = walk_on(backwards, 2, cursor.take());
                    // The other parents' pages are read along, and do not change this one's.
                    let page = pages(arguments, parents.into()).await.remove(&parent).unwrap();
                    let (behind, more) = if backwards {
                        (page.has_next, page.has_previous)
                    } else {
                        (page.has_previous, page.has_next)
                    };
                    let mut edges: Vec<_> = page.edges().collect();
                    if backwards {
                        edges.reverse();
                    }
                    cursor = edges.last().map(|(cursor, _)| cursor.to_string());
                    found.extend(edges.into_iter().map(|(_, post)| post.id));
                    assert!(found.len() <= whole.len(), "the walk does not end");
                    assert_eq!(behind, Some(!is_first));
                    assert_eq!(more, Some(found.len() < whole.len()));
                    if cursor.is_none() {
                        break;
                    }
                }
                if backwards {
                    found.reverse();
                }
                assert_eq!(found, whole);
            }
        }
    }

    async fn a_page_has_zero_to_two_hundred_rows(world) {
        let author = world.user("author", Role::User).await;
        let titles = (0..201).map(|n| format!("Post {n}")).collect();
        batch(&world, &author, World::beginning() + Duration::hours(1), titles).await;
        let order = (PostOrder::CreatedAt, Direction::Ascending);
        for (size, rows) in [(None, 20), (Some(0), 0), (Some(1), 1), (Some(200), 200)] {
            let arguments = PageArguments { first: size, ..PageArguments::default() };
            let found = page(&world, order, &arguments).await.unwrap();
            assert_eq!((found.rows().len(), found.has_next, found.has_previous), (rows, Some(true), Some(false)));
            let Some(size) = size else { continue };
            let found = page(&world, order, &walk_on(true, size, None)).await.unwrap();
            assert_eq!((found.rows().len(), found.has_next, found.has_previous), (rows, Some(false), Some(true)));
        }
        for (arguments, wrong) in [
            (walk_on(false, 201, None), BadPage::TooLarge("first")),
            (walk_on(true, 201, None), BadPage::TooLarge("last")),
            (walk_on(false, i32::MAX, None), BadPage::TooLarge("first")),
            (walk_on(false, -1, None), BadPage::Negative("first")),
            (walk_on(true, i32::MIN, None), BadPage::Negative("last")),
        ] {
            let refused = page(&world, order, &arguments).await;
            assert_refused!(refused, Error::BadPage(found) if *found == wrong);
        }
        let cursor = page(&world, order, &first(1)).await.unwrap().start_cursor().unwrap().to_string();
        let mut both = walk_on(false, 1, None);
        both.last = Some(1);
        let refused = page(&world, order, &both).await;
        assert_refused!(refused, Error::BadPage(BadPage::FirstAndLast));
        let mut mixed = walk_on(false, 1, None);
        mixed.before = Some(cursor.clone());
        assert_refused!(page(&world, order, &mixed).await, Error::BadPage(BadPage::MixedEnds));
        let nothing = page(&world, order, &walk_on(false, 0, Some(cursor))).await.unwrap();
        assert_eq!((nothing.rows().len(), nothing.has_next, nothing.has_previous), (0, Some(true), Some(true)));
    }

    async fn a_cursor_is_good_for_its_own_list_order_filter_and_scope_alone(world) {
        let author = world.user("author", Role::User).await;
        posts(&world, &author).await;
        world.tag("tag").await;
        let (by, read) = (Viewer::System, world.store.read());
        let own = (PostOrder::CreatedAt, Direction::Ascending);
        let cursor = page(&world, own, &first(1)).await.unwrap().start_cursor().unwrap().to_string();
        let after = walk_on(false, 5, Some(cursor));
        assert_eq!(page(&world, own, &after).await.unwrap().rows().len(), 5);

        for order in ORDERS {
            for direction in DIRECTIONS {
                if (order, direction) != own {
                    let refused = page(&world, (order, direction), &after).await;
                    assert_refused!(refused, Error::BadPage(BadPage::ForeignCursor("after")));
                }
            }
        }
        let any = PostFilter::default();
        for scope in [Scope::WithDeleted, Scope::OnlyDeleted] {
            let refused = post::page(&read, Whole, &by, scope, any, own, &after).await;
            assert_refused!(refused, Error::BadPage(BadPage::ForeignCursor(_)));
        }
        for published in [Some(true), Some(false)] {
            let filter = PostFilter { published };
            let refused = post::page(&read, Whole, &by, Scope::Live, filter, own, &after).await;
            assert_refused!(refused, Error::BadPage(BadPage::ForeignCursor(_)));
        }
        let order = (TagOrder::CreatedAt, Direction::Ascending);
        let refused = tag::page(&read, Whole, &by, Scope::Live, order, &after).await;
        assert_refused!(refused, Error::BadPage(BadPage::ForeignCursor(_)));
        let order = (UserOrder::CreatedAt, Direction::Ascending);
        let refused = user::page(&read, Whole, &by, Scope::Live, order, &after).await;
        assert_refused!(refused, Error::BadPage(BadPage::ForeignCursor(_)));
        let order = (category::CategoryOrder::CreatedAt, Direction::Ascending);
        let refused = category::page(&read, Whole, &by, Scope::Live, order, &after).await;
        assert_refused!(refused, Error::BadPage(BadPage::ForeignCursor(_)));
        let refused = deletion::page(&read, &by, &after).await;
        assert_refused!(refused, Error::BadPage(BadPage::ForeignCursor(_)));
        for of in [PostsOf::Author, PostsOf::Category, PostsOf::Tag] {
            let refused =
                post::pages_of(&read, Whole, &by, Scope::Live, of, &after, &[author.uuid()]).await;
            assert_refused!(refused, Error::BadPage(BadPage::ForeignCursor(_)));
        }
    }

    async fn with_most_rows_deleted_a_list_of_live_ones_is_read_from_an_index(world) {
        let author = world.user("author", Role::User).await;
        let id = author.id;
        act!(world.store, system(&world), |tx, _viewer| async {
            let row = |n: usize| plimsoll_entity::post::ActiveModel {
                title: Set(format!("Post {n}")),
                slug: Set(format!("post-{n}")),
                content: Set("text ".repeat(40).into()),
                published: Set(true),
                published_at: Set(Some(World::beginning() + Duration::seconds(n as i64))),
                author_id: Set(id),
                category_id: Set(None),
                ..Default::default()
            };
            tx.create_many::<plimsoll_entity::post::Entity>((0..3_000).map(row).collect()).await?;
            plimsoll_domain::Result::Ok(())
        }).unwrap();
        let connection = world.store.database().unguarded("a test looks at plans");
        let analyze = match world.engine {
            Engine::MariaDb => "ANALYZE TABLE posts",
            _ => "ANALYZE posts",
        };
        for sql in [
            "UPDATE posts SET deleted_at = created_at, deletion_id = id, \
             lock_version = lock_version + 1 \
             WHERE slug NOT LIKE '%00' AND slug NOT LIKE '%50'",
            analyze,
        ] {
            connection.execute_unprepared(sql).await.unwrap();
        }
        for by in [Viewer::System, Viewer::Anonymous] {
            world.statements.take();
            let order = (PostOrder::PublishedAt, Direction::Descending);
            let filter = PostFilter::default();
            let read = world.store.read();
            let found = post::page(&read, Whole, &by, Scope::Live, filter, order, &first(20)).await.unwrap();
            assert_eq!((found.rows().len(), found.has_next), (20, Some(true)));
            let sql = world.statements.take().remove(0).replace("$1", "21").replace('?', "21");
            let explain = match world.engine {
                Engine::Sqlite => format!("EXPLAIN QUERY PLAN {sql}"),
                Engine::Postgres => format!("EXPLAIN {sql}"),
                Engine::MariaDb => format!("EXPLAIN FORMAT=JSON {sql}"),
            };
            let backend = connection.get_database_backend();
            let rows = connection.query_all_raw(Statement::from_string(backend, explain)).await;
            let column = if world.engine == Engine::Sqlite { 3 } else { 0 };
            let plan: Vec<String> = rows
                .unwrap()
                .iter()
                .map(|row| row.try_get_by_index::<String>(column).expect("a plan is text"))
                .collect();
            let plan = plan.join("\n");
            let bad = ["Seq Scan", "Sort", "TEMP B-TREE", "filesort"];
            assert!(plan.contains("listed_at"), "no index is used: {plan}");
            assert!(!bad.iter().any(|bad| plan.contains(bad)), "{plan}");
        }
    }

    async fn a_cursor_that_is_none_is_refused(world) {
        let author = world.user("author", Role::User).await;
        posts(&world, &author).await;
        let order = (PostOrder::CreatedAt, Direction::Ascending);
        let good = page(&world, order, &first(1)).await.unwrap().start_cursor().unwrap().to_string();
        let id = Uuid::now_v7();
        let mut wrong = vec![
            String::new(),
            " ".into(),
            "!!!".into(),
            "💥".into(),
            "\0".into(),
            good[..good.len() - 4].into(),
            good[..10].into(),
            format!("{good}AAAA"),
            format!("{good}="),
            good.to_lowercase(),
            URL_SAFE_NO_PAD.encode([0xff; 64]),
            "A".repeat(1_000_000),
        ];
        for contents in [
            "".to_owned(),
            "null".into(),
            "[]".into(),
            "[[]]".into(),
            format!("[{{\"u\":\"{id}\"}}]"),
            format!("[{{\"t\":0}},{{\"u\":\"{id}\"}},{{\"u\":\"{id}\"}}]"),
            // The right number of values, of other types than the columns'.
            format!("[{{\"s\":\"x\"}},{{\"u\":\"{id}\"}}]"),
            format!("[{{\"i\":1}},{{\"u\":\"{id}\"}}]"),
            format!("[{{\"u\":\"{id}\"}},{{\"u\":\"{id}\"}}]"),
            "[{\"t\":0},{\"s\":\"x\"}]".into(),
            "[{\"t\":0},{\"t\":0}]".into(),
            format!("[{{\"t\":{}}},{{\"u\":\"{id}\"}}]", i64::MAX),
            format!("[{{\"t\":{}}},{{\"u\":\"{id}\"}}]", i64::MIN),
            format!("[{{\"t\":1e99}},{{\"u\":\"{id}\"}}]"),
        ] {
            wrong.push(forged(&good, &contents));
        }
        for cursor in wrong {
            for backwards in [false, true] {
                let start: String = cursor.chars().take(80).collect();
                let refused = page(&world, order, &walk_on(backwards, 5, Some(cursor.clone()))).await;
                assert_refused!(refused, Error::BadPage(BadPage::ForeignCursor(_)), "{start:?}");
            }
        }
        // A place of one's own making is a place: what is seen does not depend on it.
        let early = forged(&good, &format!("[{{\"t\":0}},{{\"u\":\"{id}\"}}]"));
        let found = page(&world, order, &walk_on(false, 200, Some(early))).await.unwrap();
        assert_eq!((found.rows().len(), found.has_previous), (32, Some(false)));

        let order = (TagOrder::Slug, Direction::Ascending);
        world.tag("tag").await;
        let (by, read) = (Viewer::System, world.store.read());
        let good = tag::page(&read, Whole, &by, Scope::Live, order, &first(1)).await.unwrap();
        let good = &good.start_cursor().unwrap().to_string();
        for contents in [
            format!("[{{\"t\":0}},{{\"u\":\"{id}\"}}]"),
            format!("[{{\"s\":\"a\\u0000b\"}},{{\"u\":\"{id}\"}}]"),
            format!("[{{\"i\":1}},{{\"u\":\"{id}\"}}]"),
        ] {
            let arguments = walk_on(false, 5, Some(forged(good, &contents)));
            let refused = tag::page(&read, Whole, &by, Scope::Live, order, &arguments).await;
            assert_refused!(refused, Error::BadPage(BadPage::ForeignCursor(_)), "{contents}");
        }
    }
}
