use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Duration, Utc};
use futures::TryStreamExt as _;
use plimsoll_domain::{
    Direction, RecordKind, Scope, Viewer, category, deletion,
    post::{self, Post, PostFilter, PostsOf},
    profile, record, tag,
    user::{self, User},
};
use plimsoll_entity::{post as posts, post_tag, tag as tags, user as users};
use plimsoll_records::{Order, PageRequest, Rows, Via, Whole};
use plimsoll_testkit::{Engine, World, on_every_engine};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait, Statement};
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
    let descending = Direction::Descending;
    let page = post::page(
        &read,
        Whole,
        by,
        scope,
        filter,
        (order, descending),
        &first(200),
    )
    .await
    .unwrap();
    let count = post::count(&read, by, scope, filter).await.unwrap();
    assert_eq!(
        page.rows().len() as u64,
        count,
        "{by:?} {scope:?} {filter:?}"
    );
    assert_eq!(
        (page.has_previous, page.has_next),
        (Some(false), Some(false))
    );
    page.into_rows()
        .into_iter()
        .map(|post| post.title)
        .collect()
}

fn set(titles: &[&str]) -> BTreeSet<String> {
    titles.iter().map(|title| (*title).to_owned()).collect()
}

fn in_scope(post: &Post, scope: Scope) -> bool {
    match scope {
        Scope::Live => post.deleted_at.is_none(),
        Scope::WithDeleted => true,
        Scope::OnlyDeleted => post.deleted_at.is_some(),
    }
}

/// A value of a statement, as its engine writes it.
pub(crate) enum Literal<'a> {
    Number(i64),
    Text(&'a str),
    Id(Uuid),
    Ids(&'a [Uuid]),
}

impl Literal<'_> {
    fn postgres_type(&self) -> &'static str {
        match self {
            Self::Number(_) => "bigint",
            Self::Text(_) => "text",
            Self::Id(_) => "uuid",
            Self::Ids(_) => "uuid[]",
        }
    }

    fn sql(&self, engine: Engine) -> String {
        match (self, engine) {
            (Self::Number(number), _) => number.to_string(),
            (Self::Text(text), _) => format!("'{text}'"),
            (Self::Id(id), Engine::Postgres) => format!("'{id}'::uuid"),
            (Self::Id(id), _) => format!("x'{}'", id.simple()),
            (Self::Ids(ids), Engine::Postgres) => {
                let ids: Vec<String> = ids.iter().map(Uuid::to_string).collect();
                format!("'{{{}}}'::uuid[]", ids.join(","))
            }
            (Self::Ids(ids), _) => {
                let ids: Vec<String> = ids
                    .iter()
                    .map(|id| format!("\"{}\"", id.simple()))
                    .collect();
                format!("'[{}]'", ids.join(","))
            }
        }
    }
}

/// How the engine goes about the one statement that ran last, which had these values. PostgreSQL's
/// plan is the one that it makes once for all values, as for the server.
pub(crate) async fn plan(world: &World, values: &[Literal<'_>]) -> String {
    let mut ran = world.statements.take();
    assert_eq!(ran.len(), 1, "{ran:?}");
    let mut sql = ran.remove(0);
    let connection = world.store.database().unguarded("a test looks at plans");
    if world.engine == Engine::Postgres {
        let types: Vec<&str> = values.iter().map(Literal::postgres_type).collect();
        let types = match types.as_slice() {
            [] => String::new(),
            types => format!("({})", types.join(", ")),
        };
        let given: Vec<String> = values.iter().map(|value| value.sql(world.engine)).collect();
        let given = match given.as_slice() {
            [] => String::new(),
            given => format!("({})", given.join(", ")),
        };
        let prepare =
            format!("SET plan_cache_mode = force_generic_plan; PREPARE planned {types} AS {sql}");
        connection.execute_unprepared(&prepare).await.unwrap();
        sql = format!("EXECUTE planned {given}");
    } else {
        for value in values.iter().rev() {
            let value = value.sql(world.engine);
            let mut marks = sql.rmatch_indices('?').map(|(at, _)| at);
            let mark = marks.next().expect("there is a value");
            sql = format!("{}{value}{}", &sql[..mark], &sql[mark + 1..]);
        }
    }
    let (explain, column) = match world.engine {
        Engine::Sqlite => (format!("EXPLAIN QUERY PLAN {sql}"), 3),
        Engine::Postgres => (format!("EXPLAIN {sql}"), 0),
        Engine::MariaDb => (format!("EXPLAIN FORMAT=JSON {sql}"), 0),
    };
    let statement = Statement::from_string(connection.get_database_backend(), explain);
    let rows = connection.query_all_raw(statement).await;
    let rows = rows.unwrap_or_else(|error| panic!("{error}: {sql}"));
    if world.engine == Engine::Postgres {
        let forget = "DEALLOCATE planned; RESET plan_cache_mode";
        connection.execute_unprepared(forget).await.unwrap();
    }
    world.statements.take();
    let lines = rows
        .iter()
        .map(|row| row.try_get_by_index::<String>(column));
    let lines: Vec<String> = lines.map(|line| line.expect("a plan is text")).collect();
    lines.join("\n")
}

/// The plan reads all rows of the table, deleted ones as well.
pub(crate) fn reads_all_of(table: &str, plan: &str, engine: Engine) -> bool {
    match engine {
        Engine::Sqlite => plan
            .lines()
            .any(|line| line.starts_with(&format!("SCAN {table}")) && !line.contains("INDEX")),
        Engine::Postgres => plan.contains(&format!("Seq Scan on {table}")),
        Engine::MariaDb => {
            let of_table = format!("\"table_name\": \"{table}\"");
            plan.split(&of_table).skip(1).any(|rest| {
                let rest = rest.trim_start_matches([',', '\n', ' ']);
                rest.starts_with("\"access_type\": \"ALL\"")
            })
        }
    }
}

on_every_engine! {
    async fn every_kind_of_read_shows_what_is_in_its_scope_and_nothing_else(world) {
        let people = people(&world).await;
        let (used, unused) = (world.tag("used").await, world.tag("unused").await);
        let mut all = Vec::new();
        for n in 0..9 {
            let author = if n < 6 { &people.ada } else { &people.grace };
            let tag = if n % 2 == 0 { &used } else { &unused };
            let post = filed_post(&world, author, &format!("Post {n}"), None, &[tag.id]).await;
            // Grace has deleted ones alone; the tag `unused` is on deleted ones alone.
            let goes = n % 2 == 1 || n >= 6;
            all.push(if goes {
                post.delete(&world.store, system(&world)).await.unwrap()
            } else {
                post
            });
        }
        let read = world.store.read();
        let authors = [people.ada.uuid(), people.grace.uuid(), people.admin.uuid()];
        for scope in SCOPES {
            let context = format!("{scope:?}");
            let rows = || Rows::<posts::Entity>::scoped(scope);
            let expected: Vec<&Post> = all.iter().filter(|post| in_scope(post, scope)).collect();
            let ids: Vec<Uuid> = expected.iter().map(|post| post.uuid()).collect();
            let every: Vec<Uuid> = all.iter().map(Life::uuid).collect();
            let id = |post: &Post| post.uuid();

            let found = rows().all(100, &read).await.unwrap();
            assert_eq!(found.iter().map(id).collect::<Vec<_>>(), ids, "{context}: list");
            let found = rows().by_ids(&every, &read).await.unwrap();
            let found: BTreeSet<Uuid> = found.into_keys().collect();
            assert_eq!(Vec::from_iter(found), ids, "{context}: by id");
            assert_eq!(rows().count(&read).await.unwrap(), ids.len() as u64, "{context}: count");
            for post in &all {
                let this = || rows().filter(posts::Column::Id.eq(post.id));
                let shown = in_scope(post, scope);
                assert_eq!(this().exists(&read).await.unwrap(), shown, "{context}: exists");
                assert_eq!(this().one(&read).await.unwrap().is_some(), shown, "{context}: one");
                assert_eq!(this().latest(&read).await.unwrap().is_some(), shown, "{context}");
            }
            let order = Order::by(posts::Column::CreatedAt, Direction::Ascending);
            let found = rows().first(&order, &read).await.unwrap();
            assert_eq!(found.as_ref().map(id), ids.first().copied(), "{context}: first");
            let found = rows().last(&order, &read).await.unwrap();
            assert_eq!(found.as_ref().map(id), ids.last().copied(), "{context}: last");
            let made = || expected.iter().map(|post| post.created_at);
            let column = posts::Column::CreatedAt;
            let found = rows().min::<DateTime<Utc>>(column, &read).await.unwrap();
            assert_eq!(found, made().min(), "{context}: minimum");
            let found = rows().max::<DateTime<Utc>>(column, &read).await.unwrap();
            assert_eq!(found, made().max(), "{context}: maximum");
            let column = posts::Column::LockVersion;
            let sum = expected.iter().map(|post| i128::from(post.lock_version)).sum::<i128>();
            assert_eq!(rows().sum(column, &read).await.unwrap(), sum, "{context}: sum");
            let titles = rows().distinct::<String>(posts::Column::Title, 100, &read).await.unwrap();
            assert_eq!(titles.len(), ids.len(), "{context}: distinct");
            let streamed: Vec<Post> = rows().batches(2).stream(&read).try_collect().await.unwrap();
            assert_eq!(streamed.iter().map(id).collect::<Vec<_>>(), ids, "{context}: stream");

            let request = PageRequest::parse("", order.clone(), &first(2)).unwrap();
            let page = rows().page(&request, &read).await.unwrap();
            let paged: Vec<Uuid> = page.rows().iter().map(id).collect();
            assert_eq!(paged, ids[..2], "{context}: page");
            assert_eq!(page.has_next, Some(true), "{context}: page");
            let request = PageRequest::parse("", order, &first(ids.len() as i32)).unwrap();
            let page = rows().page(&request, &read).await.unwrap();
            assert_eq!(page.has_next, Some(false), "{context}: nothing follows but what the scope hides");

            let via = Via::Column(posts::Column::AuthorId);
            let counts = rows().count_of_each(via, &authors, &read).await.unwrap();
            let lists = rows().page_of_each(via, &authors, &request, &read).await.unwrap();
            for author in authors {
                let own = expected.iter().filter(|post| post.author_id.0 == author).count();
                let count = counts.get(&author).copied().unwrap_or_default();
                assert_eq!(count, own as u64, "{context}: count of each");
                assert_eq!(lists[&author].rows().len(), own, "{context}: list of each");
            }

            // IN (subquery), EXISTS, NOT EXISTS, and the set operation.
            let with = |way: &dyn Fn(&Post) -> Uuid| -> BTreeSet<Uuid> {
                expected.iter().map(|post| way(post)).collect()
            };
            let authors = with(&|post| post.author_id.0);
            let found = Rows::<users::Entity>::live().having(via, rows()).all(9, &read).await;
            let found: BTreeSet<Uuid> = found.unwrap().iter().map(Life::uuid).collect();
            assert_eq!(found, authors, "{context}: IN");
            let found = Rows::<users::Entity>::live().having_none(via, rows()).all(9, &read).await;
            let found: BTreeSet<Uuid> = found.unwrap().iter().map(Life::uuid).collect();
            assert_eq!(found.len(), 4 - authors.len(), "{context}: NOT EXISTS");
            assert!(found.is_disjoint(&authors), "{context}: NOT EXISTS");
            let via = Via::owners_of::<post_tag::Entity>();
            let found = Rows::<tags::Entity>::live().having(via, rows()).all(9, &read).await;
            let found: BTreeSet<String> = found.unwrap().into_iter().map(|tag| tag.name).collect();
            let both = set(&["unused", "used"]);
            let expected = if scope == Scope::Live { set(&["used"]) } else { both };
            assert_eq!(found, expected, "{context}: IN, by links");
            let one = rows().filter(posts::Column::Title.eq("Post 0"));
            let other = rows().filter(posts::Column::Title.eq("Post 1"));
            let found = one.or(other).count(&read).await.unwrap();
            let shown = all[..2].iter().filter(|post| in_scope(post, scope)).count();
            assert_eq!(found, shown as u64, "{context}: either");
        }
    }

    async fn all_rows_are_read_in_batches_each_once_while_rows_come_and_go(world) {
        let author = world.user("author", plimsoll_domain::Role::User).await;
        let mut present: BTreeMap<Uuid, Post> = BTreeMap::new();
        for n in 0..12 {
            let post = world.draft(&author, &format!("Post {n}")).await;
            present.insert(post.uuid(), post);
        }
        let read = world.store.read();
        for size in [0, 1, 5, 6, 12, 13] {
            world.statements.take();
            let mut batches = Rows::<posts::Entity>::live().batches(size);
            let (mut found, mut lengths) = (Vec::new(), Vec::new());
            while let Some(batch) = batches.next(&read).await.unwrap() {
                lengths.push(batch.len());
                found.extend(batch.iter().map(Life::uuid));
                assert!(found.len() <= 12, "it does not end");
            }
            assert_eq!(batches.next(&read).await.unwrap(), None, "it has ended");
            assert_eq!(found, Vec::from_iter(present.keys().copied()), "{size} at a time");
            let size = size.max(1) as usize;
            assert!(lengths.iter().all(|length| (1..=size).contains(length)), "{lengths:?}");
            // One more statement sees that a full batch was the last one.
            assert_eq!(world.statements.take().len(), 12 / size + 1);
            let streamed = Rows::<posts::Entity>::live().batches(size as u32).stream(&read);
            let streamed: Vec<Post> = streamed.try_collect().await.unwrap();
            assert_eq!(streamed.iter().map(Life::uuid).collect::<Vec<_>>(), found);
        }

        let mut batches = Rows::<posts::Entity>::live().batches(2);
        let mut found: Vec<Uuid> = Vec::new();
        let mut touched: BTreeSet<Uuid> = BTreeSet::new();
        let mut deleted: Vec<Post> = Vec::new();
        let mut round = 0;
        while let Some(batch) = batches.next(&read).await.unwrap() {
            found.extend(batch.iter().map(Life::uuid));
            round += 1;
            assert!(round < 20, "it does not end");
            // The last row that was read goes, one further on goes, and one comes back.
            let later = present.keys().rev().copied().nth(round);
            for id in [batch.last().map(Life::uuid), later].into_iter().flatten() {
                if touched.insert(id) {
                    let post = present[&id].delete(&world.store, system(&world)).await.unwrap();
                    deleted.push(post);
                }
            }
            if round % 2 == 0 {
                let back = deleted.remove(0);
                back.restore(&world.store, system(&world)).await.unwrap();
            }
            if round == 3 {
                let new = world.draft(&author, "New").await;
                touched.insert(new.uuid());
            }
        }
        let mut once = found.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once, found, "in order, and none twice");
        found.retain(|id| !touched.contains(id));
        let expected = present.keys().filter(|id| !touched.contains(id)).copied();
        assert_eq!(found, Vec::from_iter(expected));
        assert!(touched.len() > 5 && !found.is_empty());
    }

    async fn a_transaction_changes_every_row_that_it_reads_in_batches(world) {
        let author = world.user("author", plimsoll_domain::Role::User).await;
        for n in 0..7 {
            world.draft(&author, &format!("Post {n}")).await;
        }
        let gone = act!(world.store, system(&world), |tx, viewer| async {
            let mut gone = 0;
            let mut batches = Rows::<posts::Entity>::live().batches(3);
            while let Some(batch) = batches.next(tx).await? {
                for post in batch {
                    let seen = plimsoll_domain::Version(post.lock_version);
                    post::delete(tx, viewer, post.id, seen).await?;
                    gone += 1;
                }
            }
            plimsoll_domain::Result::Ok(gone)
        });
        assert_eq!(gone.unwrap(), 7);
        let read = world.store.read();
        assert!(!Rows::<posts::Entity>::live().exists(&read).await.unwrap());
    }

    async fn with_most_rows_deleted_live_ones_are_found_by_an_index_whatever_is_asked(world) {
        let people = people(&world).await;
        let (ada, grace) = (people.ada.id, people.grace.id);
        let tag = world.tag("tag").await.uuid();
        act!(world.store, system(&world), |tx, _viewer| async {
            let row = |n: usize| posts::ActiveModel {
                title: Set(format!("Post {n}")),
                slug: Set(format!("post-{n}")),
                content: Set("text ".repeat(40).into()),
                published: Set(true),
                published_at: Set(Some(World::beginning() + Duration::seconds(n as i64))),
                author_id: Set(if n.is_multiple_of(3) { ada } else { grace }),
                category_id: Set(None),
                ..Default::default()
            };
            let made = tx.create_many::<posts::Entity>((0..3_000).map(row).collect()).await?;
            let links: Vec<_> = made.into_iter().map(|post| (post, vec![tag])).collect();
            tx.add_links::<post_tag::Entity>(&links[..300]).await?;
            plimsoll_domain::Result::Ok(())
        }).unwrap();
        let connection = world.store.database().unguarded("a test looks at plans");
        let analyze = match world.engine {
            Engine::MariaDb => "ANALYZE TABLE posts, post_tags, users",
            // So that counts need not look into the table, as autovacuum sees to it.
            Engine::Postgres => "VACUUM (ANALYZE) posts, post_tags, users",
            Engine::Sqlite => "ANALYZE",
        };
        for sql in [
            "UPDATE posts SET deleted_at = created_at, deletion_id = id, \
             lock_version = lock_version + 1 \
             WHERE slug NOT LIKE '%00' AND slug NOT LIKE '%20' AND slug NOT LIKE '%40' \
             AND slug NOT LIKE '%60' AND slug NOT LIKE '%80'",
            analyze,
        ] {
            connection.execute_unprepared(sql).await.unwrap();
        }
        let live = Scope::Live;
        let read = world.store.read();
        let reader = viewer(&people.ada);
        let parents = [ada.0, grace.0];
        let by_author: Via<posts::Entity> = Via::Column(posts::Column::AuthorId);
        let mut plans: Vec<(&str, String)> = Vec::new();
        world.statements.take();

        let order = (Default::default(), Direction::Descending);
        let filter = PostFilter::default();
        post::page(&read, Whole, &reader, live, filter, order, &first(20)).await.unwrap();
        let values = [Literal::Id(ada.0), Literal::Id(ada.0), Literal::Number(21)];
        plans.push(("a page for who is logged in", plan(&world, &values).await));

        post::by_slug(&read, &Viewer::System, live, "post-100").await.unwrap();
        let values = [Literal::Text("post-100"), Literal::Number(1)];
        plans.push(("one by its slug", plan(&world, &values).await));

        post::count(&read, &Viewer::System, live, filter).await.unwrap();
        plans.push(("a count", plan(&world, &[]).await));

        let of = PostsOf::Author;
        post::counts_of(&read, &Viewer::System, live, of, &parents).await.unwrap();
        let ids = Literal::Ids(&parents);
        let listed = [Literal::Id(parents[0]), Literal::Id(parents[1])];
        let values = if world.engine == Engine::MariaDb { &listed[..] } else { &[ids] };
        plans.push(("the counts of many parents", plan(&world, values).await));

        let column = posts::Column::ListedAt;
        let newest = Rows::<posts::Entity>::live().max::<DateTime<Utc>>(column, &read).await;
        assert!(newest.unwrap().is_some());
        plans.push(("the largest value", plan(&world, &[]).await));

        let by_time = Order::by(column, Direction::Descending);
        Rows::<posts::Entity>::live().first(&by_time, &read).await.unwrap();
        plans.push(("the first", plan(&world, &[Literal::Number(1)]).await));

        let authors = Rows::<users::Entity>::live().having(by_author, Rows::live());
        assert_eq!(authors.count(&read).await.unwrap(), 2);
        plans.push(("who has any", plan(&world, &[]).await));

        let idle = Rows::<users::Entity>::live().having_none(by_author, Rows::live());
        assert_eq!(idle.count(&read).await.unwrap(), 2);
        plans.push(("who has none", plan(&world, &[Literal::Number(1)]).await));

        for (what, plan) in plans {
            assert!(!reads_all_of("posts", &plan, world.engine), "{what}: {plan}");
            let index = ["ix_posts__", "uq_posts__", "sqlite_autoindex_posts", "optimized away"];
            assert!(index.iter().any(|index| plan.contains(index)), "{what}: {plan}");
        }
    }

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
        let ascending = Direction::Ascending;
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
        let tags = tag::page(&read, Whole, &all, live, order, &first(9)).await.unwrap();
        assert_eq!(tags.rows().len(), 1);
        assert_eq!(tag::count(&read, &all, live).await.unwrap(), 1);
        let order = (Default::default(), ascending);
        let categories = category::page(&read, Whole, &all, live, order, &first(9)).await.unwrap();
        assert_eq!(categories.rows().len(), 1);
        assert_eq!(category::count(&read, &all, live).await.unwrap(), 1);
        let order = (Default::default(), ascending);
        let users = user::page(&read, Whole, &all, live, order, &first(9)).await.unwrap();
        assert_eq!(users.rows().len(), 3);
        assert_eq!(user::count(&read, &all, live).await.unwrap(), 3);
        let parents = [top.uuid()];
        let children = category::pages_below(&read, Whole, &all, live, &first(9), &parents).await.unwrap();
        assert!(children[&top.uuid()].rows().is_empty());
        let counts = category::counts_below(&read, &all, live, &parents).await.unwrap();
        assert_eq!(counts.get(&top.uuid()), None);
        let with = Scope::WithDeleted;
        let children = category::pages_below(&read, Whole, &all, with, &first(9), &parents).await.unwrap();
        assert_eq!(children[&top.uuid()].rows().len(), 1);
        let counts = category::counts_below(&read, &all, with, &parents).await.unwrap();
        assert_eq!(counts[&top.uuid()], 1);
        let profiles = profile::of_users(&read, Whole, &[people.grace.uuid()]).await.unwrap();
        assert!(profiles.is_empty());

        for (kind, id) in [
            (RecordKind::Post, gone.uuid()),
            (RecordKind::Tag, tag.uuid()),
            (RecordKind::Category, category.uuid()),
            (RecordKind::Profile, profile.uuid()),
            (RecordKind::User, people.grace.uuid()),
        ] {
            let found = |scope| record::by_ids(&read, &all, scope, kind, std::slice::from_ref(&id));
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
                let order = (Default::default(), Direction::Descending);
                let filter = PostFilter::default();
                let outer = post::page(&read, Whole, &by, scope, filter, order, &first(200)).await.unwrap();
                let outer: Vec<Post> = outer.into_rows();
                for (of, parents) in [
                    (PostsOf::Author, &users),
                    (PostsOf::Category, &of_category),
                    (PostsOf::Tag, &of_tag),
                ] {
                    let pages =
                        post::pages_of(&read, Whole, &by, scope, of, &first(200), parents).await.unwrap();
                    let counts = post::counts_of(&read, &by, scope, of, parents).await.unwrap();
                    assert_eq!(pages.len(), parents.len(), "each parent has a page");
                    for parent in parents {
                        let page = pages[parent].rows();
                        let count = counts.get(parent).copied().unwrap_or_default();
                        assert_eq!(page.len() as u64, count, "{by:?} {scope:?} {of:?}");
                        seen += count;
                        let ids: Vec<_> = page.iter().map(|post| post.id).collect();
                        let tagged = tag::of_posts(
                            &read, Whole,
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
        assert!(category::by_ids(&read, Whole, &by, live, &ids).await.unwrap().is_empty());
        assert!(user::by_ids(&read, Whole, &by, live, &[post.author_id.0]).await.unwrap().is_empty());
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
            let roots: Vec<_> = page.rows().iter().map(|deletion| deletion.root_id).collect();
            assert_eq!(roots, expected, "{by:?}, the newest first");
            assert_eq!(deletion::count(&read, &by).await.unwrap(), expected.len() as u64);
        }
    }
}
