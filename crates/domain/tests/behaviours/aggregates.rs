use std::{
    collections::{BTreeSet, HashMap},
    iter::repeat_n,
};

use chrono::{DateTime, Utc};
use plimsoll_domain::{Direction, Fault, Scope, post::Post, user::User};
use plimsoll_entity::{post, post_tag, tag, user};
use plimsoll_records::{Order, Rows, Via};
use plimsoll_testkit::{Engine, World, on_every_engine};
use sea_orm::{ActiveValue::Set, ColumnTrait, ConnectionTrait};
use uuid::Uuid;

use crate::support::*;

const SCOPES: [Scope; 3] = [Scope::Live, Scope::WithDeleted, Scope::OnlyDeleted];

/// A table of this test's own: numbers that are larger than any of Plimsoll's.
#[expect(
    clippy::disallowed_methods,
    unreachable_pub,
    reason = "SeaORM's derives make them, and a model is public"
)]
mod amount {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "amounts")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub owner_id: Uuid,
        pub value: Option<i64>,
    }

    impl ActiveModelBehavior for ActiveModel {}

    plimsoll_records::fact!();
}

/// Owners with these amounts each.
async fn amounts(world: &World, of_each: &[Vec<Option<i64>>]) -> Vec<Uuid> {
    let uuid = match world.engine {
        Engine::Sqlite => "BLOB",
        Engine::Postgres => "uuid",
        Engine::MariaDb => "BINARY(16)",
    };
    let sql =
        format!("CREATE TABLE amounts (id {uuid} PRIMARY KEY, owner_id {uuid}, value BIGINT)");
    let connection = world
        .store
        .database()
        .unguarded("a test makes a table of its own");
    connection
        .execute_unprepared(&sql)
        .await
        .expect("a table is made");
    let owners: Vec<Uuid> = of_each.iter().map(|_| Uuid::now_v7()).collect();
    let mut rows = Vec::new();
    for (owner, values) in owners.iter().zip(of_each) {
        rows.extend(values.iter().map(|value| amount::ActiveModel {
            id: Set(Uuid::now_v7()),
            owner_id: Set(*owner),
            value: Set(*value),
        }));
    }
    act!(world.store, system(world), |tx, _viewer| async {
        tx.insert_facts::<amount::Entity>(rows).await?;
        plimsoll_domain::Result::Ok(())
    })
    .expect("amounts can be added");
    owners
}

/// Posts of different versions, titles and times, with two tags among them; some are deleted.
async fn posts(world: &World, authors: [&User; 2], tags: [&tag::Model; 2]) -> Vec<Post> {
    let titles = ["b", "a", "B", "é", "z", "日本", "b", "~", "ß", "a"];
    let mut posts = Vec::new();
    for (n, title) in titles.into_iter().enumerate() {
        let chosen: Vec<_> = tags[..n % 3].iter().map(|tag| tag.id).collect();
        let mut post = filed_post(world, authors[n % 2], title, None, &chosen).await;
        for change in 0..n % 4 {
            let name = format!("{title}{change}");
            post = post
                .rename(&world.store, system(world), &name)
                .await
                .expect("a post is renamed");
        }
        if n % 5 < 2 {
            post = post
                .delete(&world.store, system(world))
                .await
                .expect("a post is deleted");
        }
        posts.push(post);
    }
    posts
}

fn in_scope(post: &Post, scope: Scope) -> bool {
    match scope {
        Scope::Live => post.deleted_at.is_none(),
        Scope::WithDeleted => true,
        Scope::OnlyDeleted => post.deleted_at.is_some(),
    }
}

on_every_engine! {
    async fn the_sum_of_64_bit_integers_is_exact_beyond_64_bits(world) {
        let (most, least) = (i64::MAX, i64::MIN);
        let of_each: Vec<Vec<Option<i64>>> = vec![
            repeat_n(Some(most), 1_000).collect(),
            repeat_n(Some(least), 1_000).collect(),
            [most, least, -1, 7, 4_294_967_296, -4_294_967_297].map(Some).into(),
            vec![Some(-3), None, Some(5)],
            vec![None],
            vec![],
        ];
        let owners = amounts(&world, &of_each).await;
        let read = world.store.read();
        let rows = Rows::<amount::Entity>::live;
        let column = amount::Column::Value;
        let exact = |values: &[Option<i64>]| {
            values.iter().flatten().map(|value| i128::from(*value)).sum::<i128>()
        };
        let mean = |values: &[Option<i64>]| {
            let there = values.iter().flatten().count();
            (there > 0).then(|| exact(values) as f64 / there as f64)
        };

        let all = of_each.concat();
        assert_eq!(rows().sum(column, &read).await.unwrap(), exact(&all));
        assert_eq!(rows().average(column, &read).await.unwrap(), mean(&all));
        for (owner, values) in owners.iter().zip(&of_each) {
            let of_one = || rows().filter(amount::Column::OwnerId.eq(*owner));
            assert_eq!(of_one().sum(column, &read).await.unwrap(), exact(values));
            assert_eq!(of_one().average(column, &read).await.unwrap(), mean(values));
            let smallest = of_one().min::<i64>(column, &read).await.unwrap();
            assert_eq!(smallest, values.iter().flatten().min().copied());
            let largest = of_one().max::<i64>(column, &read).await.unwrap();
            assert_eq!(largest, values.iter().flatten().max().copied());
        }
        let via = Via::Column(amount::Column::OwnerId);
        let mut sums = rows().sum_of_each(column, via, &owners, &read).await.unwrap();
        let mut means = rows().average_of_each(column, via, &owners, &read).await.unwrap();
        for (owner, values) in owners.iter().zip(&of_each) {
            let expected = (!values.is_empty()).then(|| exact(values));
            assert_eq!(sums.remove(owner), expected, "no row, no sum");
            assert_eq!(means.remove(owner), mean(values), "no value, no average");
        }
        let found = rows().distinct::<i64>(column, 5, &read).await.unwrap();
        assert_eq!(found, [least, -4_294_967_297, -3, -1, 5], "NULL is no value");
    }

    async fn what_posts_come_to_is_of_the_scope_alone(world) {
        let people = people(&world).await;
        let tags = [world.tag("one").await, world.tag("two").await];
        let all = posts(&world, [&people.ada, &people.grace], [&tags[0], &tags[1]]).await;
        let read = world.store.read();
        let (version, title) = (post::Column::LockVersion, post::Column::Title);
        let listed = post::Column::ListedAt;
        for scope in SCOPES {
            let rows = || Rows::<post::Entity>::scoped(scope);
            let expected: Vec<&Post> = all.iter().filter(|post| in_scope(post, scope)).collect();
            assert!(expected.len() >= 4, "{scope:?}");
            let sum: i128 = expected.iter().map(|post| i128::from(post.lock_version)).sum();
            assert_eq!(rows().sum(version, &read).await.unwrap(), sum, "{scope:?}");
            let mean = sum as f64 / expected.len() as f64;
            assert_eq!(rows().average(version, &read).await.unwrap(), Some(mean), "{scope:?}");

            let versions: BTreeSet<i32> = expected.iter().map(|post| post.lock_version).collect();
            let found = rows().distinct::<i32>(version, 100, &read).await.unwrap();
            assert_eq!(found, Vec::from_iter(versions.iter().copied()), "{scope:?}");
            let found = rows().min::<i32>(version, &read).await.unwrap();
            assert_eq!(found.as_ref(), versions.first(), "{scope:?}");
            let found = rows().max::<i32>(version, &read).await.unwrap();
            assert_eq!(found.as_ref(), versions.last(), "{scope:?}");

            let titles: BTreeSet<String> = expected.iter().map(|p| p.title.clone()).collect();
            let found = rows().distinct::<String>(title, 100, &read).await.unwrap();
            assert_eq!(found, Vec::from_iter(titles.iter().cloned()), "{scope:?}");
            let found = rows().min::<String>(title, &read).await.unwrap();
            assert_eq!(found.as_ref(), titles.first(), "{scope:?}");
            let found = rows().max::<String>(title, &read).await.unwrap();
            assert_eq!(found.as_ref(), titles.last(), "{scope:?}");

            let times = || expected.iter().map(|post| post.listed_at);
            let found = rows().min::<DateTime<Utc>>(listed, &read).await.unwrap();
            assert_eq!(found, times().min(), "{scope:?}");
            let found = rows().max::<DateTime<Utc>>(listed, &read).await.unwrap();
            assert_eq!(found, times().max(), "{scope:?}");

            let mut sorted = expected.clone();
            sorted.sort_by_key(|post| std::cmp::Reverse((&post.title, post.id.0)));
            let by_title = Order::by(title, Direction::Descending);
            let (first, last) = (sorted.first(), sorted.last());
            let found = rows().first(&by_title, &read).await.unwrap();
            assert_eq!(found.map(|post| post.id), first.map(|post| post.id), "{scope:?}");
            let found = rows().last(&by_title, &read).await.unwrap();
            assert_eq!(found.map(|post| post.id), last.map(|post| post.id), "{scope:?}");
            let by_version = Order::by(version, Direction::Ascending);
            let key = |post: &&&Post| (post.lock_version, post.id.0);
            let found = rows().first(&by_version, &read).await.unwrap();
            assert_eq!(found.map(|post| post.id), expected.iter().min_by_key(key).map(|p| p.id));
            let found = rows().last(&by_version, &read).await.unwrap();
            assert_eq!(found.map(|post| post.id), expected.iter().max_by_key(key).map(|p| p.id));
        }
    }

    async fn what_the_children_of_many_parents_come_to_is_one_statement(world) {
        let people = people(&world).await;
        let tags = [world.tag("one").await, world.tag("two").await, world.tag("none").await];
        let all = posts(&world, [&people.ada, &people.grace], [&tags[0], &tags[1]]).await;
        let read = world.store.read();
        let version = post::Column::LockVersion;
        let listed = post::Column::ListedAt;
        let authors = [&people.ada, &people.grace, &people.admin].map(|user| user.id.0);
        let tagged: HashMap<Uuid, Vec<tag::Model>> = Rows::<tag::Entity>::live()
            .linked_by::<post_tag::Entity>(&Vec::from_iter(all.iter().map(Life::uuid)), &read)
            .await
            .unwrap();
        let of_author = |post: &Post, author: Uuid| post.author_id.0 == author;
        let of_tag = |post: &Post, id: Uuid| {
            tagged.get(&post.uuid()).is_some_and(|tags| tags.iter().any(|tag| tag.id.0 == id))
        };
        type Belongs<'a> = &'a dyn Fn(&Post, Uuid) -> bool;
        let by_author = Via::Column(post::Column::AuthorId);
        let by_tag = Via::owners_of::<post_tag::Entity>();
        let tag_ids = Vec::from_iter(tags.iter().map(Life::uuid));
        let ways: [(Via<post::Entity>, &[Uuid], Belongs<'_>); 2] =
            [(by_author, &authors, &of_author), (by_tag, &tag_ids, &of_tag)];
        for scope in SCOPES {
            let rows = || Rows::<post::Entity>::scoped(scope);
            for (via, parents, belongs) in &ways {
                world.statements.take();
                let sums = rows().sum_of_each(version, *via, parents, &read).await.unwrap();
                let means = rows().average_of_each(version, *via, parents, &read).await.unwrap();
                let earliest: HashMap<Uuid, DateTime<Utc>> =
                    rows().min_of_each(listed, *via, parents, &read).await.unwrap();
                let highest: HashMap<Uuid, i32> =
                    rows().max_of_each(version, *via, parents, &read).await.unwrap();
                assert_eq!(world.statements.take().len(), 4, "one statement each");
                for parent in *parents {
                    let of_this = all.iter().filter(|post| belongs(post, *parent));
                    let own: Vec<&Post> = of_this.filter(|post| in_scope(post, scope)).collect();
                    let sum = own.iter().map(|post| i128::from(post.lock_version)).sum();
                    let any = !own.is_empty();
                    assert_eq!(sums.get(parent).copied(), any.then_some(sum));
                    let mean = sum as f64 / own.len() as f64;
                    assert_eq!(means.get(parent).copied(), any.then_some(mean));
                    let first = own.iter().map(|post| post.listed_at).min();
                    assert_eq!(earliest.get(parent).copied(), first);
                    let top = own.iter().map(|post| post.lock_version).max();
                    assert_eq!(highest.get(parent).copied(), top);
                }
                assert!(sums.len() == 2 && !sums.contains_key(&parents[2]), "{scope:?}");
            }
        }
    }

    async fn no_rows_come_to_nothing(world) {
        let read = world.store.read();
        let rows = Rows::<post::Entity>::live;
        let (version, title) = (post::Column::LockVersion, post::Column::Title);
        assert_eq!(rows().sum(version, &read).await.unwrap(), 0);
        assert_eq!(rows().average(version, &read).await.unwrap(), None);
        assert_eq!(rows().min::<i32>(version, &read).await.unwrap(), None);
        assert_eq!(rows().max::<String>(title, &read).await.unwrap(), None);
        assert!(rows().distinct::<i32>(version, 10, &read).await.unwrap().is_empty());
        let by_title = Order::by(title, Direction::Ascending);
        assert_eq!(rows().first(&by_title, &read).await.unwrap(), None);
        assert_eq!(rows().last(&by_title, &read).await.unwrap(), None);
        let via = Via::Column(post::Column::AuthorId);
        for parents in [vec![], vec![Uuid::now_v7()]] {
            let sums = rows().sum_of_each(version, via, &parents, &read).await.unwrap();
            assert!(sums.is_empty());
            let least: HashMap<Uuid, i32> =
                rows().min_of_each(version, via, &parents, &read).await.unwrap();
            assert!(least.is_empty());
        }
    }

    async fn a_column_of_another_type_is_refused_alike_on_every_engine(world) {
        world.user("ada", plimsoll_domain::Role::User).await;
        let read = world.store.read();
        let rows = Rows::<user::Entity>::live;
        for column in [user::Column::Name, user::Column::Id, user::Column::IsActive] {
            let refused = rows().sum(column, &read).await;
            assert_refused!(refused, Fault::Internal(why) if why.contains("no column of integers"));
            let refused = rows().average(column, &read).await;
            assert_refused!(refused, Fault::Internal(_));
        }
        for column in [user::Column::Id, user::Column::IsActive] {
            let refused = rows().min::<Uuid>(column, &read).await;
            assert_refused!(refused, Fault::Internal(why) if why.contains("no column of numbers"));
            let refused = rows().max::<Uuid>(column, &read).await;
            assert_refused!(refused, Fault::Internal(_));
        }
        let refused = rows().min::<i32>(user::Column::Name, &read).await;
        assert_refused!(refused, Fault::Internal(_), "a text is no number");
    }
}
