//! The small publication that a new user finds in the database of their first start.

use plimsoll_entity::{
    category,
    id::{CategoryId, UserId},
    post, post_author, post_tag, profile, tag,
};
use rand::RngExt as _;
use sea_orm::ActiveValue::Set;

use crate::{
    Error, Money, Request, Result, Role, Store, Tx, Viewer,
    account::{self, OpenAccount},
    product::{self, CreateProduct},
    text::slug_of,
    transfer::{self, Deposit},
    user,
};

/// The address that the demo's administrator logs in with.
pub const ADMIN_EMAIL: &str = "admin@plimsoll.invalid";

/// How many characters a made-up password has: 20 of 54 are 115 bits.
const PASSWORD_CHARACTERS: usize = 20;

/// Makes the demo's users, categories, tags, posts and products, and an administrator with some
/// money. Returns the
/// administrator's password, which is kept nowhere.
///
/// # Errors
///
/// [`Error::AlreadyExists`] if they are there already.
pub async fn fill(store: &Store, request: &Request) -> Result<String> {
    let password = random_password();
    let hash = store.passwords().hash(password.clone()).await?;
    store
        .write(request, move |tx| {
            Box::pin(async move {
                let admin = user::row(ADMIN_EMAIL.into(), "Admin".into(), Role::Admin, Some(hash));
                let admin = tx.create::<plimsoll_entity::user::Entity>(admin).await?;
                open_shop(tx, admin.id).await?;
                let people = PEOPLE
                    .iter()
                    .map(|(name, email, _)| {
                        user::row((*email).into(), (*name).into(), Role::User, None)
                    })
                    .collect();
                let people = tx
                    .create_many::<plimsoll_entity::user::Entity>(people)
                    .await?;
                let profiles = PEOPLE
                    .iter()
                    .zip(&people)
                    .map(|((_, _, bio), id)| profile::ActiveModel {
                        user_id: Set(UserId(*id)),
                        bio: Set(Some((*bio).into())),
                        avatar_url: Set(None),
                        metadata: Set(serde_json::json!({})),
                        ..Default::default()
                    })
                    .collect();
                tx.create_many::<profile::Entity>(profiles).await?;
                let categories = CATEGORIES
                    .iter()
                    .map(|name| category::ActiveModel {
                        name: Set((*name).into()),
                        slug: Set(slug_of(name)),
                        parent_id: Set(None),
                        ..Default::default()
                    })
                    .collect();
                let categories = tx.create_many::<category::Entity>(categories).await?;
                let tags = TAGS
                    .iter()
                    .map(|name| tag::ActiveModel {
                        name: Set((*name).into()),
                        slug: Set(slug_of(name)),
                        ..Default::default()
                    })
                    .collect();
                let tags = tx.create_many::<tag::Entity>(tags).await?;
                let missing = || Error::Internal("the demo names what it does not have".into());
                let (mut rows, mut post_tags, mut co_authors) = (vec![], vec![], vec![]);
                for (n, demo) in POSTS.iter().enumerate() {
                    let author = *people.get(demo.author).ok_or_else(missing)?;
                    let category = *categories.get(demo.category).ok_or_else(missing)?;
                    let id = tx.mint();
                    let days = i64::try_from(POSTS.len() - n).unwrap_or_default();
                    let at = tx.now() - chrono::Duration::days(days);
                    rows.push(post::ActiveModel {
                        id: Set(id.into()),
                        title: Set(demo.title.into()),
                        slug: Set(slug_of(demo.title)),
                        content: Set(demo.content.to_owned().into()),
                        published: Set(demo.published),
                        published_at: Set(demo.published.then_some(at)),
                        author_id: Set(UserId(author)),
                        category_id: Set(Some(CategoryId(category))),
                        ..Default::default()
                    });
                    let of_post: Vec<_> = demo
                        .tags
                        .iter()
                        .filter_map(|n| tags.get(*n).copied())
                        .collect();
                    post_tags.push((id, of_post));
                    let with: Vec<_> = demo
                        .with
                        .iter()
                        .filter_map(|n| people.get(*n).copied())
                        .collect();
                    co_authors.push((id, with));
                }
                tx.create_many::<post::Entity>(rows).await?;
                tx.add_links::<post_tag::Entity>(&post_tags).await?;
                tx.add_links::<post_author::Entity>(&co_authors).await?;
                Ok(())
            })
        })
        .await?;
    Ok(password)
}

/// Puts products on the shelf, and money into an account of this user.
async fn open_shop(tx: &mut Tx, user: UserId) -> Result<()> {
    for (sku, name, amount, quantity) in PRODUCTS {
        let product = CreateProduct {
            sku: (*sku).into(),
            name: (*name).into(),
            price: Money {
                amount: *amount,
                currency: CURRENCY.into(),
            },
            quantity: *quantity,
        };
        product::create(tx, &Viewer::System, product).await?;
    }
    let account = OpenAccount {
        owner: user,
        currency: CURRENCY.into(),
    };
    let account = account::open(tx, &Viewer::System, account).await?;
    let money = Deposit {
        to: account.id,
        amount: 50_000,
    };
    transfer::deposit(tx, &Viewer::System, money).await?;
    Ok(())
}

/// A password that nobody guesses, of characters that nobody mistakes for others.
pub fn random_password() -> String {
    const ALPHABET: &[u8] = b"abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    let mut random = rand::rng();
    (0..PASSWORD_CHARACTERS)
        .filter_map(|_| ALPHABET.get(random.random_range(0..ALPHABET.len())))
        .map(|byte| char::from(*byte))
        .collect()
}

const PEOPLE: &[(&str, &str, &str)] = &[
    (
        "Grace Osei",
        "grace@demo.invalid",
        "Keeps the log of a small harbour.",
    ),
    (
        "Tomás Varga",
        "tomas@demo.invalid",
        "Builds boats, and writes about what sinks them.",
    ),
    ("Ingrid Lund", "ingrid@demo.invalid", "Reads old charts."),
];

const CATEGORIES: &[&str] = &["Seamanship", "History", "Workshop"];

const TAGS: &[&str] = &["load lines", "safety", "tides", "tools", "law", "stories"];

const CURRENCY: &str = "EUR";

/// Stock-keeping unit, name, price in cents, and how many there are.
const PRODUCTS: &[(&str, &str, i64, i32)] = &[
    ("CHART-12", "Chart of the inner harbour", 1_950, 40),
    ("LEAD-7", "Sounding lead, seven pounds", 4_200, 6),
    ("LANTERN-1", "Riding light, brass", 12_900, 3),
    ("ROPE-TAR", "Tarred hemp, by the fathom", 240, 500),
];

struct DemoPost {
    title: &'static str,
    author: usize,
    with: &'static [usize],
    category: usize,
    tags: &'static [usize],
    published: bool,
    content: &'static str,
}

const POSTS: &[DemoPost] = &[
    DemoPost {
        title: "The mark on the hull",
        author: 0,
        with: &[2],
        category: 1,
        tags: &[0, 1, 4],
        published: true,
        content: "A circle crossed by a line, painted amidships. When the water covers the line, \
                  the ship carries too much.\n\nThe mark does not make a ship stronger. It makes \
                  overloading *visible*, to everybody on the quay, before she sails.\n",
    },
    DemoPost {
        title: "Reading a tide table",
        author: 0,
        with: &[],
        category: 0,
        tags: &[2],
        published: true,
        content: "Heights are above chart datum, times are the port's own. Add an hour in summer, \
                  and then add doubt: wind and pressure move the water, too.\n",
    },
    DemoPost {
        title: "Six knots that are enough",
        author: 1,
        with: &[0],
        category: 0,
        tags: &[1, 3],
        published: true,
        content: "1. Bowline\n2. Clove hitch\n3. Round turn and two half hitches\n4. Sheet bend\n\
                  5. Figure of eight\n6. Rolling hitch\n\nLearn them in the dark.\n",
    },
    DemoPost {
        title: "Caulking a clinker boat",
        author: 1,
        with: &[],
        category: 2,
        tags: &[3],
        published: true,
        content: "Do not caulk a clinker boat. Let her take up: sink her at the mooring for a day, \
                  and the planks close by themselves.\n",
    },
    DemoPost {
        title: "Who was Samuel Plimsoll?",
        author: 2,
        with: &[],
        category: 1,
        tags: &[0, 4, 5],
        published: true,
        content: "A Member of Parliament who lost his temper in the House of Commons in 1875, over \
                  ships that were sent out to sink. A year later the load line was law.\n",
    },
    DemoPost {
        title: "Charts are opinions",
        author: 2,
        with: &[1],
        category: 0,
        tags: &[1, 2],
        published: true,
        content: "Every sounding was taken by somebody, on a certain day, with a certain lead. Look \
                  at the source diagram before you trust a blank.\n",
    },
    DemoPost {
        title: "An inventory of lost cargo",
        author: 2,
        with: &[],
        category: 1,
        tags: &[5],
        published: false,
        content: "Notes. Twenty-eight thousand bath toys, 1992. To be continued.\n",
    },
];
