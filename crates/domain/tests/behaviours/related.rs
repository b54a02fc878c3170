use std::collections::{BTreeMap, BTreeSet};

use plimsoll_domain::{Direction, Scope, Version, id::CategoryId};
use plimsoll_entity::{category, post, post_author, post_tag, tag, user};
use plimsoll_records::{Order, PageRequest, Record, Rows, Via};
use plimsoll_testkit::{World, on_every_engine};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityName as _,
    sea_query::{Expr, ExprTrait, Query},
};
use uuid::Uuid;

use crate::support::*;

const SCOPES: [Scope; 3] = [Scope::Live, Scope::WithDeleted, Scope::OnlyDeleted];

type Posts = Rows<post::Entity>;
type Users = Rows<user::Entity>;
type Tags = Rows<tag::Entity>;
type Categories = Rows<category::Entity>;

/// What is in the database, in memory.
#[derive(Debug, Default)]
struct Model {
    users: BTreeMap<Uuid, bool>,
    tags: BTreeMap<Uuid, bool>,
    categories: BTreeMap<Uuid, (bool, Option<Uuid>)>,
    posts: BTreeMap<Uuid, ModelPost>,
}

#[derive(Debug)]
struct ModelPost {
    live: bool,
    title: String,
    author: Uuid,
    category: Option<Uuid>,
    tags: Vec<Uuid>,
    co_authors: Vec<Uuid>,
}

fn shows(scope: Scope, live: bool) -> bool {
    match scope {
        Scope::Live => live,
        Scope::WithDeleted => true,
        Scope::OnlyDeleted => !live,
    }
}

impl Model {
    fn posts(&self, scope: Scope, meet: impl Fn(&ModelPost) -> bool) -> BTreeSet<Uuid> {
        let shown = self
            .posts
            .iter()
            .filter(|(_, post)| shows(scope, post.live));
        shown
            .filter(|(_, post)| meet(post))
            .map(|(id, _)| *id)
            .collect()
    }

    fn users(&self, scope: Scope, meet: impl Fn(Uuid) -> bool) -> BTreeSet<Uuid> {
        let shown = self.users.iter().filter(|(_, live)| shows(scope, **live));
        shown.map(|(id, _)| *id).filter(|id| meet(*id)).collect()
    }

    fn tags(&self, scope: Scope, meet: impl Fn(Uuid) -> bool) -> BTreeSet<Uuid> {
        let shown = self.tags.iter().filter(|(_, live)| shows(scope, **live));
        shown.map(|(id, _)| *id).filter(|id| meet(*id)).collect()
    }

    fn categories(
        &self,
        scope: Scope,
        meet: impl Fn(Uuid, Option<Uuid>) -> bool,
    ) -> BTreeSet<Uuid> {
        let all = self.categories.iter();
        all.filter(|(id, (live, parent))| shows(scope, *live) && meet(**id, *parent))
            .map(|(id, _)| *id)
            .collect()
    }

    /// The authors of these posts.
    fn authors(&self, posts: &BTreeSet<Uuid>) -> BTreeSet<Uuid> {
        posts.iter().map(|id| self.posts[id].author).collect()
    }

    /// The tags of these posts.
    fn tags_of(&self, posts: &BTreeSet<Uuid>) -> BTreeSet<Uuid> {
        posts
            .iter()
            .flat_map(|id| self.posts[id].tags.clone())
            .collect()
    }

    /// The parents of these categories.
    fn above(&self, categories: &BTreeSet<Uuid>) -> BTreeSet<Uuid> {
        categories
            .iter()
            .filter_map(|id| self.categories[id].1)
            .collect()
    }
}

fn meets(some: &[Uuid], others: &BTreeSet<Uuid>) -> bool {
    some.iter().any(|id| others.contains(id))
}

/// Users, categories, tags and posts in every combination of live and deleted: what deletions
/// and restorations of the past may have left, deletions that the rules of today refuse included.
async fn data(world: &World) -> Model {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let mut model = Model::default();
    let mut users = Vec::new();
    for name in ["ada", "bob", "cyd", "dan", "eve"] {
        users.push(world.user(name, plimsoll_domain::Role::User).await);
    }
    let mut categories: Vec<plimsoll_domain::category::Category> = Vec::new();
    for n in 0..6 {
        let parent = if n % 3 == 0 { None } else { categories.last() };
        let made = world.category(&format!("category {n}"), parent).await;
        categories.push(made);
    }
    let mut tags = Vec::new();
    for name in ["red", "green", "blue", "unused"] {
        tags.push(world.tag(name).await);
    }
    for n in 0..24 {
        let author = &users[random.random_range(0..4)];
        let category = random.random_bool(0.7).then(|| random.random_range(0..6));
        let category: Option<CategoryId> = category.map(|at: usize| categories[at].id);
        let chosen = tags[..3].iter().filter(|_| random.random_bool(0.4));
        let chosen: Vec<_> = chosen.map(|tag| tag.id).collect();
        let title = format!("Title {}", n % 3);
        let made = filed_post(world, author, &title, category, &chosen).await;
        let others = users.iter().filter(|user| user.id != author.id);
        let with: Vec<_> = others
            .filter(|_| random.random_bool(0.2))
            .map(|user| user.id)
            .collect();
        let made = set_co_authors(&world.store, world.as_user(author), &made, &with).await;
        model.posts.insert(
            made.expect("a post has co-authors").uuid(),
            ModelPost {
                live: true,
                title,
                author: author.uuid(),
                category: category.map(Into::into),
                tags: chosen.into_iter().map(Into::into).collect(),
                co_authors: with.into_iter().map(Into::into).collect(),
            },
        );
    }
    let mut delete = Vec::new();
    for user in &users {
        let live = random.random_bool(0.6);
        model.users.insert(user.uuid(), live);
        if !live {
            delete.push((user::Entity.table_name(), user.uuid()));
        }
    }
    for category in &categories {
        let live = random.random_bool(0.6);
        let parent = category.parent_id.map(Into::into);
        model.categories.insert(category.uuid(), (live, parent));
        if !live {
            delete.push((category::Entity.table_name(), category.uuid()));
        }
    }
    for tag in &tags {
        let live = random.random_bool(0.6);
        model.tags.insert(tag.uuid(), live);
        if !live {
            delete.push((tag::Entity.table_name(), tag.uuid()));
        }
    }
    for (id, post) in &mut model.posts {
        post.live = random.random_bool(0.6);
        if !post.live {
            delete.push((post::Entity.table_name(), *id));
        }
    }
    for (table, id) in delete {
        delete_alone(world, table, id).await;
    }
    model
}

/// Deletes a row, whatever refers to it, and nothing along with it.
async fn delete_alone(world: &World, table: &'static str, id: Uuid) {
    let connection = world
        .store
        .database()
        .unguarded("a test makes what no command would leave");
    let mut update = Query::update();
    update
        .table(table)
        .value("lock_version", Expr::col("lock_version").add(1))
        .value("deleted_at", Expr::col("created_at"))
        .value("deletion_id", Expr::col("id"))
        .and_where(Expr::col("id").eq(id));
    let sent = connection.execute(&update).await;
    assert_eq!(sent.expect("a row is deleted").rows_affected(), 1);
}

/// The rows, by every way to read them.
async fn ids<E: Record>(world: &World, rows: Rows<E>) -> BTreeSet<Uuid> {
    use sea_orm::ModelTrait as _;
    let read = world.store.read();
    let id = |model: &E::Model| match model.get(E::ID) {
        sea_orm::Value::Uuid(Some(id)) => id,
        other => panic!("{other:?} is no id"),
    };
    let found = rows.clone().all(1_000, &read).await.expect("rows are read");
    let ids: BTreeSet<Uuid> = found.iter().map(id).collect();
    assert_eq!(ids.len(), found.len(), "a row is there once");
    assert_eq!(
        rows.clone().count(&read).await.expect("a count"),
        ids.len() as u64
    );
    assert_eq!(
        rows.clone().exists(&read).await.expect("an answer"),
        !ids.is_empty()
    );
    let order = Order::by(E::ID, Direction::Descending);
    let request = PageRequest::parse("", order, &first(3)).expect("a request");
    let page = rows.clone().page(&request, &read).await.expect("a page");
    let paged: Vec<Uuid> = page.rows().iter().map(id).collect();
    assert_eq!(paged, Vec::from_iter(ids.iter().rev().take(3).copied()));
    assert_eq!(page.has_next, Some(ids.len() > 3));
    let all: Vec<Uuid> = ids.iter().copied().collect();
    let by_id = rows.by_ids(&all, &read).await.expect("rows are read by id");
    assert_eq!(by_id.len(), ids.len());
    ids
}

fn by_author() -> Via<post::Entity> {
    Via::Column(post::Column::AuthorId)
}

fn tags_of_posts() -> Via<tag::Entity> {
    Via::targets_of::<post_tag::Entity>()
}

fn posts_of_tags() -> Via<post::Entity> {
    Via::owners_of::<post_tag::Entity>()
}

on_every_engine! {
    async fn a_filter_follows_a_relation_to_the_rows_of_the_others_scope_alone(world) {
        let model = data(&world).await;
        let mut found = 0;
        for own in SCOPES {
            for others in SCOPES {
                let context = format!("{own:?} of {others:?}");
                let users = model.users(others, |_| true);
                let tags = model.tags(others, |_| true);
                let posts = model.posts(others, |_| true);
                let categories = model.categories(others, |_, _| true);

                // By a column that is never NULL, and by one that may be.
                let rows = Posts::scoped(own).under(post::Column::AuthorId, Users::scoped(others));
                let expected = model.posts(own, |post| users.contains(&post.author));
                assert_eq!(ids(&world, rows).await, expected, "{context}");
                found += expected.len();
                let rows = Posts::scoped(own)
                    .under(post::Column::CategoryId, Categories::scoped(others));
                let expected = model.posts(own, |post| {
                    post.category.is_some_and(|id| categories.contains(&id))
                });
                assert_eq!(ids(&world, rows).await, expected, "{context}");

                // From either side of a link.
                let rows = Posts::scoped(own).having(tags_of_posts(), Tags::scoped(others));
                let with_tag = model.posts(own, |post| meets(&post.tags, &tags));
                assert_eq!(ids(&world, rows).await, with_tag, "{context}");
                found += with_tag.len();
                let rows = Posts::scoped(own).having_none(tags_of_posts(), Tags::scoped(others));
                let expected = model.posts(own, |post| !meets(&post.tags, &tags));
                assert_eq!(ids(&world, rows).await, expected, "{context}");
                let rows = Tags::scoped(own).having(posts_of_tags(), Posts::scoped(others));
                let used = model.tags_of(&posts);
                let expected = model.tags(own, |id| used.contains(&id));
                assert_eq!(ids(&world, rows).await, expected, "{context}");
                let rows = Tags::scoped(own).having_none(posts_of_tags(), Posts::scoped(others));
                let expected = model.tags(own, |id| !used.contains(&id));
                assert_eq!(ids(&world, rows).await, expected, "{context}");
                let via = Via::targets_of::<post_author::Entity>();
                let rows = Posts::scoped(own).having(via, Users::scoped(others));
                let expected = model.posts(own, |post| meets(&post.co_authors, &users));
                assert_eq!(ids(&world, rows).await, expected, "{context}");

                // From the parent to its children.
                let rows = Users::scoped(own).having(by_author(), Posts::scoped(others));
                let authors = model.authors(&posts);
                let expected = model.users(own, |id| authors.contains(&id));
                assert_eq!(ids(&world, rows).await, expected, "{context}");
                let rows = Users::scoped(own).having_none(by_author(), Posts::scoped(others));
                let expected = model.users(own, |id| !authors.contains(&id));
                assert_eq!(ids(&world, rows).await, expected, "{context}");

                // A table that is related to itself; most of its rows have no parent or are none.
                let below = || Via::Column(category::Column::ParentId);
                let rows = Categories::scoped(own).having(below(), Categories::scoped(others));
                let above = model.above(&categories);
                let expected = model.categories(own, |id, _| above.contains(&id));
                assert_eq!(ids(&world, rows).await, expected, "{context}");
                found += expected.len();
                let rows = Categories::scoped(own).having_none(below(), Categories::scoped(others));
                let expected = model.categories(own, |id, _| !above.contains(&id));
                assert_eq!(ids(&world, rows).await, expected, "{context}");
                let rows = Categories::scoped(own)
                    .under(category::Column::ParentId, Categories::scoped(others));
                let expected = model.categories(own, |_, parent| {
                    parent.is_some_and(|id| categories.contains(&id))
                });
                assert_eq!(ids(&world, rows).await, expected, "{context}");
            }
        }
        assert!(found > 50, "there was something to find");
    }

    async fn relations_of_relations_are_filtered_at_every_depth(world) {
        let model = data(&world).await;
        let mut found = BTreeSet::new();
        for first in SCOPES {
            for second in SCOPES {
                for third in SCOPES {
                    // Users of whose posts, called so, one has a tag that is on a post of a
                    // category that is below another one.
                    let above = Categories::scoped(first);
                    let below = Categories::scoped(second)
                        .under(category::Column::ParentId, above);
                    let filed = Posts::scoped(third).under(post::Column::CategoryId, below);
                    let tags = Tags::scoped(first).having(posts_of_tags(), filed);
                    let titled = Posts::scoped(second)
                        .filter(post::Column::Title.eq("Title 1"))
                        .having(tags_of_posts(), tags);
                    let rows = Users::scoped(third).having(by_author(), titled.clone());

                    let above = model.categories(first, |_, _| true);
                    let below = model.categories(second, |_, parent| {
                        parent.is_some_and(|id| above.contains(&id))
                    });
                    let filed = model.posts(third, |post| {
                        post.category.is_some_and(|id| below.contains(&id))
                    });
                    let used = model.tags_of(&filed);
                    let tags = model.tags(first, |id| used.contains(&id));
                    let posts = model.posts(second, |post| {
                        post.title == "Title 1" && meets(&post.tags, &tags)
                    });
                    let authors = model.authors(&posts);
                    let expected = model.users(third, |id| authors.contains(&id));
                    let context = format!("{first:?} {second:?} {third:?}");
                    assert_eq!(ids(&world, rows).await, expected, "{context}");
                    found.extend(expected);

                    let rows = Users::scoped(third).having_none(by_author(), titled);
                    let expected = model.users(third, |id| !authors.contains(&id));
                    assert_eq!(ids(&world, rows).await, expected, "{context}");
                }
            }
        }
        assert!(!found.is_empty(), "there was somebody to find");
    }

    async fn a_filter_by_a_relation_holds_for_the_children_of_many_parents(world) {
        let model = data(&world).await;
        let read = world.store.read();
        let authors: Vec<Uuid> = model.users.keys().copied().collect();
        let tagged = || Posts::live().having(tags_of_posts(), Tags::live());
        let tags = model.tags(Scope::Live, |_| true);
        let expected = model.posts(Scope::Live, |post| meets(&post.tags, &tags));
        let order = Order::by(post::Column::CreatedAt, Direction::Ascending);
        let request = PageRequest::parse("", order, &first(50)).unwrap();
        let pages = tagged().page_of_each(by_author(), &authors, &request, &read).await.unwrap();
        let counts = tagged().count_of_each(by_author(), &authors, &read).await.unwrap();
        let sums = tagged()
            .sum_of_each(post::Column::LockVersion, by_author(), &authors, &read)
            .await
            .unwrap();
        let mut seen = BTreeSet::new();
        for author in &authors {
            let page = pages[author].rows();
            assert_eq!(counts.get(author).copied().unwrap_or(0), page.len() as u64);
            let sum: i128 = page.iter().map(|post| i128::from(post.lock_version)).sum();
            assert_eq!(sums.get(author).copied().unwrap_or(0), sum);
            assert!(page.iter().all(|post| post.author_id.0 == *author));
            seen.extend(page.iter().map(Life::uuid));
        }
        assert_eq!(seen, expected);

        let locked = act!(world.store, system(&world), |tx, _viewer| async {
            let locked = tagged().lock_all(1_000, tx).await?;
            let versions: Vec<Version> = locked.iter().map(|post| post.version()).collect();
            plimsoll_domain::Result::Ok((locked.iter().map(|post| post.id()).collect(), versions))
        });
        let (locked, versions): (BTreeSet<Uuid>, Vec<Version>) = locked.unwrap();
        assert_eq!((locked, versions.len()), (expected.clone(), expected.len()));
    }

    async fn two_lists_make_one_and_each_keeps_to_its_own_scope(world) {
        let model = data(&world).await;
        let author = *model.users.keys().next().unwrap();
        for one in SCOPES {
            for other in SCOPES {
                let context = format!("{one:?} or {other:?}");
                let titled = || Posts::scoped(one).filter(post::Column::Title.eq("Title 1"));
                let tagged = || Posts::scoped(other).having(tags_of_posts(), Tags::live());
                let by = || post::Column::AuthorId.eq(author);
                let tags = model.tags(Scope::Live, |_| true);
                let left = model.posts(one, |post| post.title == "Title 1");
                let right = model.posts(other, |post| meets(&post.tags, &tags));
                let union: BTreeSet<Uuid> = left.union(&right).copied().collect();
                assert_eq!(ids(&world, titled().or(tagged())).await, union, "{context}");
                assert_eq!(ids(&world, tagged().or(titled())).await, union, "{context}");

                // What is filtered before narrows one of them, what is filtered after both.
                let of_author = model.posts(Scope::WithDeleted, |post| post.author == author);
                let narrow: BTreeSet<Uuid> = union.intersection(&of_author).copied().collect();
                let rows = titled().or(tagged()).filter(by());
                assert_eq!(ids(&world, rows).await, narrow, "{context}");
                let rows = titled().filter(by()).or(tagged());
                let left: BTreeSet<Uuid> = left.intersection(&of_author).copied().collect();
                let expected: BTreeSet<Uuid> = left.union(&right).copied().collect();
                assert_eq!(ids(&world, rows).await, expected, "{context}");

                // With all rows of a scope; and as what others are related to.
                let all = model.posts(other, |_| true);
                let expected: BTreeSet<Uuid> = left.union(&all).copied().collect();
                let either = || titled().filter(by()).or(Posts::scoped(other));
                assert_eq!(ids(&world, either()).await, expected, "{context}");
                let authors = model.authors(&expected);
                let rows = Users::live().having(by_author(), either());
                let expected = model.users(Scope::Live, |id| authors.contains(&id));
                assert_eq!(ids(&world, rows).await, expected, "{context}");
            }
        }
    }

    async fn a_child_of_a_deleted_parent_is_not_dropped_and_its_parent_reads_as_absent(world) {
        let people = people(&world).await;
        let tag = world.tag("tag").await;
        let category = world.category("category", None).await;
        let post = filed_post(&world, &people.ada, "Post", Some(category.id), &[tag.id]).await;
        delete_alone(&world, user::Entity.table_name(), people.ada.uuid()).await;
        delete_alone(&world, category::Entity.table_name(), category.uuid()).await;
        let all = BTreeSet::from([post.uuid()]);
        let none = BTreeSet::new();
        assert_eq!(ids(&world, Posts::live()).await, all);
        let rows = Posts::live().having(tags_of_posts(), Tags::live());
        assert_eq!(ids(&world, rows).await, all, "by another relation");
        let rows = Posts::live().under(post::Column::AuthorId, Users::live());
        assert_eq!(ids(&world, rows).await, none);
        let rows = Posts::live().under(post::Column::AuthorId, Users::only_deleted());
        assert_eq!(ids(&world, rows).await, all);
        let read = world.store.read();
        let parents = Users::live().by_ids(&[people.ada.uuid()], &read).await.unwrap();
        assert!(parents.is_empty());
        let counts = Posts::live().count_of_each(by_author(), &[people.ada.uuid()], &read).await;
        assert_eq!(counts.unwrap()[&people.ada.uuid()], 1);
    }

    async fn every_table_that_a_filter_reads_is_noted_and_keeps_to_its_scope(world) {
        let read = world.store.read();
        world.statements.take();
        let rows = Users::live().having(
            by_author(),
            Posts::live()
                .having(tags_of_posts(), Tags::live())
                .under(post::Column::CategoryId, Categories::live())
                .having_none(Via::targets_of::<post_author::Entity>(), Users::live()),
        );
        rows.count(&read).await.unwrap();
        let sql = world.statements.take().remove(0).replace('`', "\"");
        for (table, times) in [("users", 2), ("posts", 1), ("tags", 1), ("categories", 1)] {
            let filter = format!("\"{table}\".\"deleted_at\" IS NULL");
            assert_eq!(sql.matches(&filter).count(), times, "{table}: {sql}");
        }
        // The test's world fails when one of these tables has no note.
        assert_eq!(world.statements.unscoped(), Vec::<String>::new());
    }
}
