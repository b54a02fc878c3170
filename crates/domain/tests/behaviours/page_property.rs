use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{self, AtomicU64},
};

use chrono::{DateTime, Duration, Utc};
use plimsoll_domain::{Direction, Ends, PageArguments, Scope, post::Post};
use plimsoll_entity::{
    id::{PostId, UserId},
    post, post_tag, user,
};
use plimsoll_records::{Order, Page, PageRequest, Rows, Via};
use plimsoll_testkit::{World, on_every_engine};
use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select, subsequence},
    test_runner::{TestCaseResult, TestRunner},
};
use sea_orm::{ActiveValue::Set, ColumnTrait};
use uuid::Uuid;

use crate::support::*;

/// How many random walks each engine takes.
const CASES: u32 = 24;

/// Few, so that rows tie; of one byte and of four, and such that an order that is not by code
/// point (folded, by locale, by UTF-16 unit) gives itself away. None ends in a space or holds a
/// control character: the domain lets none in, and MariaDB pads before it compares.
const TITLES: [&str; 9] = ["a", "B", "b", "é", "z", "a b", "日本", "ﬀ", "🚢"];

/// When posts were published: with and without microseconds, before 1970 and after 2038.
fn times() -> [DateTime<Utc>; 5] {
    let micros = |micros| DateTime::from_timestamp_micros(micros).expect("a time");
    [
        micros(-1),
        micros(1_767_225_600_000_000),
        micros(1_767_225_600_500_000),
        micros(1_767_225_600_500_001),
        micros(2_303_000_000_000_000),
    ]
}

/// What an order can be by: a text, times, a number, an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Title,
    ListedAt,
    CreatedAt,
    UpdatedAt,
    Version,
    Author,
}

/// Live ones twice as often as others.
const SCOPES: [Scope; 4] = [
    Scope::Live,
    Scope::Live,
    Scope::WithDeleted,
    Scope::OnlyDeleted,
];

const KEYS: [Key; 6] = [
    Key::Title,
    Key::ListedAt,
    Key::CreatedAt,
    Key::UpdatedAt,
    Key::Version,
    Key::Author,
];

impl Key {
    fn column(self) -> post::Column {
        match self {
            Self::Title => post::Column::Title,
            Self::ListedAt => post::Column::ListedAt,
            Self::CreatedAt => post::Column::CreatedAt,
            Self::UpdatedAt => post::Column::UpdatedAt,
            Self::Version => post::Column::LockVersion,
            Self::Author => post::Column::AuthorId,
        }
    }

    fn compare(self, a: &Post, b: &Post) -> Ordering {
        match self {
            Self::Title => a.title.as_bytes().cmp(b.title.as_bytes()),
            Self::ListedAt => a.listed_at.cmp(&b.listed_at),
            Self::CreatedAt => a.created_at.cmp(&b.created_at),
            Self::UpdatedAt => a.updated_at.cmp(&b.updated_at),
            Self::Version => a.lock_version.cmp(&b.lock_version),
            Self::Author => a.author_id.0.cmp(&b.author_id.0),
        }
    }
}

#[derive(Clone, Debug)]
struct NewRow {
    /// Where its id lies among the ids.
    place: u64,
    title: &'static str,
    /// Which of the times it was published at, if it was.
    published: Option<usize>,
    /// Which of a few seconds it is made in.
    second: i64,
    author: usize,
    tagged: [bool; 2],
}

/// What happens between two pages.
#[derive(Clone, Debug)]
enum Event {
    Insert(NewRow),
    /// One of the rows there are, live or deleted, changes sides.
    Turn(Index),
    /// The row that the cursor was given out for changes sides.
    TurnOwn,
}

#[derive(Clone, Debug)]
struct Case {
    rows: Vec<NewRow>,
    /// Which of them are deleted to begin with.
    deleted: Vec<Index>,
    scope: Scope,
    order: Vec<(Key, Direction)>,
    backwards: bool,
    ends: Ends,
    by_tag: bool,
    /// The size of each page, and what happens after it.
    steps: Vec<(i32, Vec<Event>)>,
}

fn new_row() -> impl Strategy<Value = NewRow> {
    (
        any::<u64>(),
        select(&TITLES[..]),
        prop::option::of(0..times().len()),
        0..3_i64,
        0..2_usize,
        any::<[bool; 2]>(),
    )
        .prop_map(|(place, title, published, second, author, tagged)| NewRow {
            place,
            title,
            published,
            second,
            author,
            tagged,
        })
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        new_row().prop_map(Event::Insert),
        any::<Index>().prop_map(Event::Turn),
        Just(Event::TurnOwn),
    ]
}

fn order() -> impl Strategy<Value = Vec<(Key, Direction)>> {
    let keys = subsequence(&KEYS[..], 1..=4).prop_shuffle();
    let directions = select(&[Direction::Ascending, Direction::Descending][..]);
    (keys, vec(directions, 4)).prop_map(|(keys, ways)| keys.into_iter().zip(ways).collect())
}

fn case() -> impl Strategy<Value = Case> {
    (
        vec(new_row(), 0..28),
        vec(any::<Index>(), 0..8),
        select(&SCOPES[..]),
        order(),
        any::<bool>(),
        any::<[bool; 2]>(),
        any::<bool>(),
        vec((0..6_i32, vec(event(), 0..3)), 1..12),
    )
        .prop_map(
            |(rows, deleted, scope, order, backwards, [previous, next], by_tag, steps)| Case {
                rows,
                deleted,
                scope,
                order,
                backwards,
                ends: Ends { previous, next },
                by_tag,
                steps,
            },
        )
}

/// A list in the database, and what is in it in memory.
struct Walk<'a> {
    world: &'a World,
    case: &'a Case,
    /// Tells this walk's ids from those of the walks before.
    number: u64,
    authors: Vec<Uuid>,
    tags: Vec<Uuid>,
    posts: BTreeMap<Uuid, Post>,
    tagged: BTreeMap<Uuid, [bool; 2]>,
    /// Rows that came, or that changed sides.
    touched: BTreeSet<Uuid>,
}

impl<'a> Walk<'a> {
    async fn begin(world: &'a World, case: &'a Case, number: u64, tags: &[Uuid]) -> Self {
        let authors: Vec<Uuid> = (0..2).map(|_| Uuid::now_v7()).collect();
        let users = authors.iter().map(|id| user::ActiveModel {
            id: Set(UserId(*id)),
            email: Set(id.to_string()),
            email_key: Set(id.to_string()),
            name: Set("author".into()),
            name_key: Set("author".into()),
            role: Set(plimsoll_domain::Role::User),
            is_active: Set(true),
            ..Default::default()
        });
        let users = users.collect();
        act!(world.store, system(world), |tx, _viewer| async {
            tx.create_many::<user::Entity>(users).await?;
            plimsoll_domain::Result::Ok(())
        })
        .expect("authors are made");
        let mut walk = Self {
            world,
            case,
            number,
            authors,
            tags: tags.to_vec(),
            posts: BTreeMap::new(),
            tagged: BTreeMap::new(),
            touched: BTreeSet::new(),
        };
        for second in 0..3 {
            let rows = case.rows.iter().filter(|row| row.second == second);
            walk.insert(&rows.collect::<Vec<_>>()).await;
        }
        for at in &case.deleted {
            let ids: Vec<Uuid> = walk.posts.keys().copied().collect();
            if !ids.is_empty() {
                walk.turn(ids[at.index(ids.len())]).await;
            }
        }
        walk.touched.clear();
        walk
    }

    /// Makes rows, all in one second.
    async fn insert(&mut self, rows: &[&NewRow]) {
        // No two have the same id.
        let ids = rows
            .iter()
            .map(|row| Uuid::from_u64_pair(row.place, self.number));
        let fresh: BTreeMap<Uuid, NewRow> = ids
            .zip(rows)
            .filter(|(id, _)| !self.posts.contains_key(id))
            .map(|(id, row)| (id, (*row).clone()))
            .collect();
        let Some(second) = fresh.values().next().map(|row| row.second) else {
            return;
        };
        let mut made = Vec::new();
        let mut links = Vec::new();
        for (id, row) in &fresh {
            let published_at = row.published.map(|at| times()[at]);
            made.push(post::ActiveModel {
                id: Set(PostId(*id)),
                title: Set(row.title.into()),
                slug: Set(id.to_string()),
                content: Set(String::new().into()),
                published: Set(published_at.is_some()),
                published_at: Set(published_at),
                author_id: Set(UserId(self.authors[row.author])),
                category_id: Set(None),
                ..Default::default()
            });
            let chosen = self.tags.iter().zip(row.tagged);
            let chosen = chosen.filter(|(_, is)| *is).map(|(tag, _)| *tag);
            links.push((*id, chosen.collect::<Vec<_>>()));
            self.tagged.insert(*id, row.tagged);
        }
        let now = World::beginning() + Duration::seconds(second);
        let request = self.world.request_at(plimsoll_domain::Viewer::System, now);
        let ids: Vec<Uuid> = fresh.keys().copied().collect();
        let posts = act!(self.world.store, request, |tx, _viewer| async {
            tx.create_many::<post::Entity>(made).await?;
            tx.add_links::<post_tag::Entity>(&links).await?;
            plimsoll_domain::Result::Ok(Rows::<post::Entity>::live().by_ids(&ids, tx).await?)
        });
        self.touched.extend(fresh.keys());
        self.posts.extend(posts.expect("posts are made"));
    }

    /// Deletes a live post, and restores a deleted one.
    async fn turn(&mut self, id: Uuid) {
        let (store, post) = (&self.world.store, &self.posts[&id]);
        let turned = if post.deleted_at.is_none() {
            post.delete(store, system(self.world)).await
        } else {
            post.restore(store, system(self.world)).await
        };
        self.touched.insert(id);
        self.posts.insert(id, turned.expect("a post changes sides"));
    }

    fn compare(&self, a: &Post, b: &Post) -> Ordering {
        let along = |way: Direction, ordering: Ordering| match way {
            Direction::Ascending => ordering,
            Direction::Descending => ordering.reverse(),
        };
        let by_keys = self.case.order.iter();
        let by_keys = by_keys.map(|(key, way)| along(*way, key.compare(a, b)));
        let by_id = along(self.case.order[0].1, a.uuid().cmp(&b.uuid()));
        by_keys.fold(Ordering::Equal, Ordering::then).then(by_id)
    }

    /// The list as it is now, in memory.
    fn list(&self) -> Vec<&Post> {
        let mut list: Vec<&Post> = self
            .posts
            .values()
            .filter(|post| match self.case.scope {
                Scope::Live => post.deleted_at.is_none(),
                Scope::WithDeleted => true,
                Scope::OnlyDeleted => post.deleted_at.is_some(),
            })
            .collect();
        list.sort_by(|a, b| self.compare(a, b));
        list
    }

    fn request(&self, size: i32, cursor: Option<String>) -> PageRequest<post::Entity> {
        let mut keys = self.case.order.iter();
        let (key, way) = keys.next().expect("an order is by something");
        let order = keys.fold(Order::by(key.column(), *way), |order, (key, way)| {
            order.then(key.column(), *way)
        });
        let arguments = if self.case.backwards {
            PageArguments {
                last: Some(size),
                before: cursor,
                ends: self.case.ends,
                ..PageArguments::default()
            }
        } else {
            PageArguments {
                first: Some(size),
                after: cursor,
                ends: self.case.ends,
                ..PageArguments::default()
            }
        };
        PageRequest::parse("walk", order, &arguments).expect("the arguments fit")
    }

    /// The page is what lies beyond the place in a list that is ordered here.
    fn check(
        &self,
        page: &Page<Post>,
        list: &[&Post],
        place: Option<&Post>,
        size: usize,
    ) -> TestCaseResult {
        let backwards = self.case.backwards;
        let is_beyond = |post: &Post| match place {
            None => true,
            Some(place) if backwards => self.compare(post, place).is_lt(),
            Some(place) => self.compare(post, place).is_gt(),
        };
        let (beyond, behind): (Vec<&Post>, Vec<&Post>) =
            list.iter().partition(|post| is_beyond(post));
        let more = beyond.len() > size;
        let expected = match (backwards, more) {
            (_, false) => &beyond[..],
            (true, true) => &beyond[beyond.len() - size..],
            (false, true) => &beyond[..size],
        };
        let found: Vec<Uuid> = page.rows().iter().map(Life::uuid).collect();
        let expected: Vec<Uuid> = expected.iter().map(|post| post.uuid()).collect();
        prop_assert_eq!(found, expected);
        let (before, after) = if backwards {
            (more, !behind.is_empty())
        } else {
            (!behind.is_empty(), more)
        };
        let Ends { previous, next } = self.case.ends;
        let expected = (previous.then_some(before), next.then_some(after));
        prop_assert_eq!((page.has_previous, page.has_next), expected);
        Ok(())
    }

    /// The pages of several parents, one of which has no children.
    async fn check_each(
        &self,
        request: &PageRequest<post::Entity>,
        place: Option<&Post>,
        size: usize,
    ) -> TestCaseResult {
        let (via, mut parents) = if self.case.by_tag {
            (Via::owners_of::<post_tag::Entity>(), self.tags.clone())
        } else {
            (Via::Column(post::Column::AuthorId), self.authors.clone())
        };
        parents.push(Uuid::now_v7());
        let pages = self
            .rows()
            .page_of_each(via, &parents, request, &self.world.store.read())
            .await
            .map_err(|fault| TestCaseError::fail(fault.to_string()))?;
        let list = self.list();
        for (at, parent) in parents.iter().enumerate() {
            let belongs = |post: &Post| match (at, self.case.by_tag) {
                (2.., _) => false,
                (at, true) => self.tagged[&post.uuid()][at],
                (_, false) => post.author_id.0 == *parent,
            };
            let of_parent: Vec<&Post> = list.iter().copied().filter(|p| belongs(p)).collect();
            self.check(&pages[parent], &of_parent, place, size)?;
        }
        Ok(())
    }

    fn rows(&self) -> Rows<post::Entity> {
        let authors = self.authors.iter().copied();
        Rows::scoped(self.case.scope).filter(post::Column::AuthorId.is_in(authors))
    }

    async fn take(mut self) -> TestCaseResult {
        let at_first: Vec<Post> = self.list().into_iter().cloned().collect();
        let mut seen: Vec<Uuid> = Vec::new();
        let mut place: Option<(String, Post)> = None;
        let mut steps = self.case.steps.iter();
        loop {
            // After the last step come larger pages, and nothing happens between them.
            let (size, events) = match steps.next() {
                Some((size, events)) => (*size, &events[..]),
                None => (7, &[][..]),
            };
            let (cursor, at) = place.clone().unzip();
            let request = self.request(size, cursor);
            let count = size.unsigned_abs() as usize;
            let page = self.rows().page(&request, &self.world.store.read()).await;
            let page = page.map_err(|fault| TestCaseError::fail(fault.to_string()))?;
            self.check(&page, &self.list(), at.as_ref(), count)?;
            self.check_each(&request, at.as_ref(), count).await?;
            let ended = size > 0 && page.rows().is_empty();

            let mut edges: Vec<_> = page.edges().collect();
            if self.case.backwards {
                edges.reverse();
            }
            seen.extend(edges.iter().map(|(_, post)| post.uuid()));
            place = edges
                .pop()
                .map(|(cursor, post)| (cursor.to_string(), post.clone()))
                .or(place);
            if ended {
                break;
            }
            for event in events {
                let ids: Vec<Uuid> = self.posts.keys().copied().collect();
                match (event, &place) {
                    (Event::Insert(row), _) => self.insert(&[row]).await,
                    (Event::Turn(at), _) if !ids.is_empty() => {
                        self.turn(ids[at.index(ids.len())]).await;
                    }
                    (Event::TurnOwn, Some((_, post))) => self.turn(post.uuid()).await,
                    _ => {}
                }
            }
        }
        // What was there throughout was seen once, in order.
        let untouched = |id: &Uuid| !self.touched.contains(id);
        let mut expected: Vec<Uuid> = at_first.iter().map(Life::uuid).collect();
        expected.retain(untouched);
        seen.retain(untouched);
        if self.case.backwards {
            seen.reverse();
        }
        prop_assert_eq!(seen, expected);
        Ok(())
    }
}

on_every_engine! {
    async fn in_any_order_a_walk_sees_each_row_that_was_there_throughout_exactly_once(world) {
        let tags = [world.tag("one").await.uuid(), world.tag("two").await.uuid()];
        let config = ProptestConfig {
            failure_persistence: None,
            max_shrink_iters: 300,
            ..ProptestConfig::with_cases(CASES)
        };
        let here = tokio::runtime::Handle::current();
        let number = AtomicU64::new(1);
        tokio::task::block_in_place(|| {
            let outcome = TestRunner::new(config).run(&case(), |case| {
                let number = number.fetch_add(1, atomic::Ordering::Relaxed);
                here.block_on(async {
                    Walk::begin(&world, &case, number, &tags).await.take().await
                })
            });
            if let Err(error) = outcome {
                panic!("{error}");
            }
        });
    }
}
