//! Made-up rows, the same each time: for trying things out and for measuring.

use chrono::{DateTime, Duration, Utc};
use plimsoll_entity::{
    category,
    id::{CategoryId, PostId, UserId},
    post, post_tag, tag, user,
};
use plimsoll_records::{Record, Rows, Writer};
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use sea_orm::{ActiveValue::Set, ColumnTrait};
use uuid::Uuid;

use crate::{Error, Result, Role, Store, Version, text::slug_of};

/// How many rows of each kind are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amounts {
    /// Users. They cannot log in.
    pub users: u32,
    /// Posts, each with three tags; one in fifty is deleted.
    pub posts: u32,
}

impl Amounts {
    /// One category for a hundred posts, 50 at most.
    fn categories(self) -> u32 {
        (self.posts / 100).clamp(3, 50)
    }

    /// One tag for ten posts, 500 at most.
    fn tags(self) -> u32 {
        (self.posts / 10).clamp(10, 500)
    }
}

/// How many rows one transaction makes.
const BATCH: u32 = 500;

/// One post in this many is deleted.
const DELETED: u32 = 50;

/// When the first row was made: rows do not depend on when they are made.
const BEGINNING: i64 = 1_735_689_600; // 2025-01-01T00:00:00Z

/// Fills the database. `progress` is called with the number of posts that are done.
///
/// # Errors
///
/// [`Error::AlreadyExists`] if the same seed was planted before; [`Error::Invalid`] for posts
/// without users.
pub async fn run(
    store: &Store,
    amounts: Amounts,
    seed: u64,
    mut progress: impl FnMut(u32),
) -> Result<()> {
    if amounts.posts > 0 && amounts.users == 0 {
        return Err(Error::invalid("users", "Posts need at least one user."));
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let begin = DateTime::<Utc>::from_timestamp(BEGINNING, 0).unwrap_or_default();
    let writer = |step: u64| Writer {
        // Each transaction draws its ids from a stream of its own.
        seed: Some(seed.wrapping_mul(1_000_003).wrapping_add(step)),
        ..Writer::system(begin)
    };
    let mut step = 0;
    let mut users: Vec<Uuid> = Vec::new();
    for from in (0..amounts.users).step_by(BATCH as usize) {
        let rows: Vec<user::ActiveModel> = (from..amounts.users.min(from + BATCH))
            .map(|n| {
                let name = format!("{} {}", pick(&mut random, FIRST), pick(&mut random, LAST));
                let email = format!("{}.{seed}.{n}@seed.invalid", slug_of(&name));
                crate::user::row(email, name, Role::User, None)
            })
            .collect();
        step += 1;
        users.extend(create::<user::Entity>(store, writer(step), rows).await?);
    }
    let named = |random: &mut ChaCha8Rng, n: u32| {
        let name = format!("{} {}", pick(random, ADJECTIVES), pick(random, NOUNS));
        let slug = format!("{}-{seed}-{n}", slug_of(&name));
        (name, slug)
    };
    let categories: Vec<category::ActiveModel> = (0..amounts.categories())
        .map(|n| {
            let (name, slug) = named(&mut random, n);
            category::ActiveModel {
                name: Set(name),
                slug: Set(slug),
                parent_id: Set(None),
                ..Default::default()
            }
        })
        .collect();
    step += 1;
    let categories = create::<category::Entity>(store, writer(step), categories).await?;
    let tags: Vec<tag::ActiveModel> = (0..amounts.tags())
        .map(|n| {
            let (name, slug) = named(&mut random, n);
            tag::ActiveModel {
                name: Set(name),
                slug: Set(slug),
                ..Default::default()
            }
        })
        .collect();
    step += 1;
    let tags = create::<tag::Entity>(store, writer(step), tags).await?;

    for from in (0..amounts.posts).step_by(BATCH as usize) {
        let until = amounts.posts.min(from + BATCH);
        let mut rows = Vec::new();
        let mut links = Vec::new();
        for n in from..until {
            let id = Uuid::from_bytes(post_id(&mut random));
            let title = sentence(&mut random, 6);
            let published = random.random_ratio(9, 10);
            // One post a minute, so that no two share a place in a list.
            let at = begin + Duration::minutes(n.into());
            rows.push(post::ActiveModel {
                id: Set(PostId(id)),
                slug: Set(format!("{}-{seed}-{n}", slug_of(&title))),
                title: Set(title),
                content: Set(text(&mut random).into()),
                published: Set(published),
                published_at: Set(published.then_some(at)),
                author_id: Set(UserId(*choose(&mut random, &users)?)),
                category_id: Set(Some(CategoryId(*choose(&mut random, &categories)?))),
                ..Default::default()
            });
            let mut three = Vec::with_capacity(3);
            while three.len() < 3 {
                let tag = *choose(&mut random, &tags)?;
                if !three.contains(&tag) {
                    three.push(tag);
                }
            }
            links.push((id, three));
        }
        step += 1;
        let doomed: Vec<Uuid> = links
            .iter()
            .zip(from..until)
            .filter(|(_, n)| n % DELETED == DELETED - 1)
            .map(|((id, _), _)| *id)
            .collect();
        store
            .database()
            .write::<_, Error, _>(writer(step), move |tx| {
                Box::pin(async move {
                    tx.create_many::<post::Entity>(rows).await?;
                    tx.add_links::<post_tag::Entity>(&links).await?;
                    for id in doomed {
                        let post = Rows::<post::Entity>::live()
                            .filter(post::Column::Id.eq(id))
                            .lock(tx)
                            .await?;
                        if let Some(post) = post {
                            post.delete(tx, Version(0)).await?;
                        }
                    }
                    Ok(())
                })
            })
            .await?;
        progress(until);
    }
    store.database().analyze().await?;
    Ok(())
}

async fn create<E>(store: &Store, writer: Writer, rows: Vec<E::ActiveModel>) -> Result<Vec<Uuid>>
where
    E: Record,
    E::ActiveModel: Send + Sync,
{
    store
        .database()
        .write(writer, move |tx| {
            Box::pin(async move { Ok(tx.create_many::<E>(rows).await?) })
        })
        .await
}

/// A UUID of version 7 at the beginning.
fn post_id(random: &mut ChaCha8Rng) -> [u8; 16] {
    let mut bytes = [0; 10];
    random.fill_bytes(&mut bytes);
    let millis = BEGINNING.unsigned_abs() * 1000;
    uuid::Builder::from_unix_timestamp_millis(millis, &bytes)
        .into_uuid()
        .into_bytes()
}

fn choose<'a, T>(random: &mut ChaCha8Rng, from: &'a [T]) -> Result<&'a T> {
    let at = random.random_range(0..from.len().max(1));
    from.get(at)
        .ok_or_else(|| Error::Internal("there is nothing to choose from".into()))
}

fn pick(random: &mut ChaCha8Rng, words: &'static [&'static str]) -> &'static str {
    words
        .get(random.random_range(0..words.len()))
        .copied()
        .unwrap_or_default()
}

fn sentence(random: &mut ChaCha8Rng, words: usize) -> String {
    let mut sentence = String::new();
    for n in 0..words {
        let word = if n % 2 == 0 {
            pick(random, ADJECTIVES)
        } else {
            pick(random, NOUNS)
        };
        if n > 0 {
            sentence.push(' ');
        }
        sentence.push_str(word);
    }
    if let Some(first) = sentence.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    sentence
}

/// About 1,000 characters.
fn text(random: &mut ChaCha8Rng) -> String {
    let mut text = String::with_capacity(1100);
    while text.len() < 1000 {
        text.push_str(&sentence(random, 8));
        text.push_str(". ");
        if random.random_ratio(1, 5) {
            text.push_str("\n\n");
        }
    }
    text
}

const FIRST: &[&str] = &[
    "Ada",
    "Björn",
    "Chiara",
    "Dmitri",
    "Elif",
    "Farah",
    "Grace",
    "Hanako",
    "Ibrahim",
    "Jürgen",
    "Kemi",
    "Lucía",
    "Małgorzata",
    "Nguyễn",
    "Olumide",
    "Priya",
    "Quentin",
    "Rania",
    "Sören",
    "Tamar",
    "Umut",
    "Valentina",
    "Wanjiru",
    "Xiu",
    "Yael",
    "Zoë",
];

const LAST: &[&str] = &[
    "Abara",
    "Brandt",
    "Castellanos",
    "Dubois",
    "Eriksen",
    "Ferrari",
    "Goldberg",
    "Haddad",
    "Ito",
    "Jansen",
    "Kowalska",
    "Lindqvist",
    "Mbeki",
    "Novák",
    "O'Brien",
    "Papadopoulos",
    "Quispe",
    "Rossi",
    "Suzuki",
    "Tanaka",
    "Ueda",
    "Varga",
    "Weiss",
    "Ximénez",
    "Yılmaz",
    "Zhang",
];

const ADJECTIVES: &[&str] = &[
    "amber", "brisk", "calm", "deep", "early", "faint", "gentle", "heavy", "inland", "jagged",
    "keen", "laden", "misty", "narrow", "open", "patient", "quiet", "rough", "steady", "tidal",
    "upper", "vast", "windward", "young",
];

const NOUNS: &[&str] = &[
    "anchor",
    "ballast",
    "cargo",
    "deck",
    "ebb",
    "ferry",
    "gangway",
    "harbour",
    "island",
    "jetty",
    "keel",
    "lighthouse",
    "mast",
    "net",
    "oar",
    "pilot",
    "quay",
    "rudder",
    "sail",
    "tide",
    "voyage",
    "waterline",
    "yard",
    "zenith",
];
