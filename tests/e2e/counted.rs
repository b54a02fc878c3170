//! How many statements an operation takes: as many for 200 rows as for one. And what they select.

use std::fmt::Write as _;

use plimsoll_domain::{Role, Tx, Version, Viewer, id, tag as tags, user::User};
use plimsoll_entity::{category, post, post_author, post_tag, profile, tag, user};
use plimsoll_testkit::{Engine, World, on_every_engine};
use sea_orm::ActiveValue::Set;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::{As, NOBODY, Server, accepted, server};

/// How many rows there are of each kind.
const ROWS: usize = 200;

fn user_row(name: &str) -> user::ActiveModel {
    user::ActiveModel {
        email: Set(format!("{name}@rows.invalid")),
        email_key: Set(format!("{name}@rows.invalid")),
        name: Set(name.into()),
        name_key: Set(name.into()),
        role: Set(Role::User),
        password_hash: Set(Default::default()),
        is_active: Set(true),
        ..Default::default()
    }
}

fn post_row(slug: String, author: Uuid, category: Option<Uuid>) -> post::ActiveModel {
    post::ActiveModel {
        title: Set(slug.clone()),
        slug: Set(slug),
        content: Set("some text".to_owned().into()),
        published: Set(true),
        published_at: Set(Some(World::beginning())),
        author_id: Set(author.into()),
        category_id: Set(category.map(Into::into)),
        ..Default::default()
    }
}

fn tag_row(slug: String) -> tag::ActiveModel {
    tag::ActiveModel {
        name: Set(slug.clone()),
        slug: Set(slug),
        ..Default::default()
    }
}

/// 200 users, each with a profile; 200 categories below one; 200 tags; 200 posts, each by a user
/// of its own in a category of its own, with two tags, of which all have the first, and a
/// co-author. Beside them three users with 1, 20 and 200 posts.
async fn plant(world: &World) {
    let request = world.request(Viewer::System);
    let planted = world.run(request, |tx, _| Box::pin(plant_in(tx))).await;
    planted.expect("the rows can be planted");
}

async fn plant_in(tx: &mut Tx) -> plimsoll_domain::Result<()> {
    let users = (0..ROWS)
        .map(|n| user_row(&format!("user-{n:03}")))
        .collect();
    let users = tx.create_many::<user::Entity>(users).await?;
    let profiles = users.iter().map(|user| profile::ActiveModel {
        user_id: Set((*user).into()),
        bio: Set(Some("bio".into())),
        avatar_url: Set(None),
        metadata: Set(json!({})),
        ..Default::default()
    });
    tx.create_many::<profile::Entity>(profiles.collect())
        .await?;
    let category = |slug: String, parent: Option<Uuid>| category::ActiveModel {
        name: Set(slug.clone()),
        slug: Set(slug),
        parent_id: Set(parent.map(Into::into)),
        ..Default::default()
    };
    let root = tx
        .create_many::<category::Entity>(vec![category("root".into(), None)])
        .await?[0];
    let below = (0..ROWS).map(|n| category(format!("category-{n:03}"), Some(root)));
    let categories = tx.create_many::<category::Entity>(below.collect()).await?;
    let tags = (0..ROWS).map(|n| tag_row(format!("tag-{n:03}"))).collect();
    let tags = tx.create_many::<tag::Entity>(tags).await?;
    let posts = (0..ROWS).map(|n| post_row(format!("post-{n:03}"), users[n], Some(categories[n])));
    let posts = tx.create_many::<post::Entity>(posts.collect()).await?;
    let (mut tagged, mut shared) = (Vec::new(), Vec::new());
    for (n, post) in posts.iter().enumerate() {
        let mut two = vec![tags[0]];
        two.extend((n > 0).then(|| tags[n]));
        tagged.push((*post, two));
        shared.push((*post, vec![users[(n + 1) % ROWS]]));
    }
    tx.add_links::<post_tag::Entity>(&tagged).await?;
    tx.add_links::<post_author::Entity>(&shared).await?;
    for count in [1, 20, 200] {
        let author = tx
            .create_many::<user::Entity>(vec![user_row(&format!("author of {count}"))])
            .await?[0];
        let many = (0..count).map(|n| post::ActiveModel {
            published: Set(false),
            published_at: Set(None),
            ..post_row(format!("of-{count}-{n}"), author, None)
        });
        tx.create_many::<post::Entity>(many.collect()).await?;
    }
    Ok(())
}

/// 200 tags, each deleted by itself, by this user.
async fn delete_tags(world: &World, by: &User) {
    for batch in 0..4 {
        let done = world
            .run(world.as_user(by), move |tx, viewer| {
                Box::pin(async move {
                    let rows = (0..ROWS / 4).map(|n| tag_row(format!("deleted-{batch}-{n}")));
                    for id in tx.create_many::<tag::Entity>(rows.collect()).await? {
                        tags::delete(tx, viewer, id::TagId::from(id), Version(0)).await?;
                    }
                    Ok(())
                })
            })
            .await;
        done.expect("the tags can be deleted");
    }
}

/// Runs one operation. Returns its data and the statements that it took.
async fn measured(
    server: &Server,
    who: &As,
    query: &str,
    variables: &Value,
) -> (Value, Vec<String>) {
    server.world.statements.take();
    let data = server.data(who, query, variables.clone()).await;
    (data, server.world.statements.take())
}

/// What a statement reads: all of a SELECT, and the last part of one that answers changed rows.
fn reads(statement: &str) -> &str {
    if statement.starts_with("SELECT") || statement.starts_with("WITH") {
        return statement;
    }
    statement
        .find("RETURNING")
        .map_or("", |at| &statement[at..])
}

/// The number of rows that an operation is about: the first list in its answer.
fn rows(data: &Value) -> usize {
    match data {
        Value::Array(list) => list.len(),
        Value::Object(fields) => fields.values().map(rows).max().unwrap_or_default(),
        _ => 0,
    }
}

/// A query, how many statements it takes, and whether an administrator asks: two more, for the
/// token and its user.
type Operation = (&'static str, usize, bool);

const OPERATIONS: &[Operation] = &[
    (
        "query($n: Int) { posts(first: $n) { nodes { id title slug published version } pageInfo { hasNextPage } } }",
        1,
        false,
    ),
    (
        "query($n: Int) { posts(first: $n) { totalCount edges { cursor node { title } } } }",
        2,
        false,
    ),
    (
        "query($n: Int) { posts(first: $n) { nodes { title author { name email } category { name } tags { name } coAuthors { name } } } }",
        5,
        false,
    ),
    (
        "query($n: Int) { posts(first: $n) { nodes { title content } } }",
        2,
        false,
    ),
    (
        "query($n: Int) { posts(last: $n, orderBy: { field: UPDATED_AT, direction: ASC }, filter: { published: true }) { nodes { title author { profile { bio } } } } }",
        3,
        false,
    ),
    (
        "query($n: Int) { posts(first: $n, scope: WITH_DELETED) { nodes { title author { name } tags { name } } } }",
        5,
        true,
    ),
    (
        "query($n: Int) { users(first: $n, orderBy: { field: NAME, direction: DESC }) { nodes { name profile { bio user { name } } posts(first: 3) { nodes { title tags { name } } } } } }",
        5,
        false,
    ),
    (
        "query($n: Int) { users(first: $n) { nodes { posts(first: 1) { totalCount nodes { title } } } } }",
        3,
        false,
    ),
    (
        "query($n: Int) { users(first: $n) { nodes { a: posts(first: 1) { nodes { title } } b: posts(first: 2) { nodes { title } } } } }",
        3,
        false,
    ),
    (
        "query($n: Int) { tags(first: $n) { totalCount nodes { name posts(first: 1) { totalCount nodes { title author { name } } } } } }",
        5,
        false,
    ),
    (
        "query($n: Int) { categories(first: $n) { nodes { name parent { name } children(first: 1) { totalCount nodes { name } } posts(first: 1) { totalCount nodes { title content } } } } }",
        7,
        false,
    ),
    (
        "query($n: Int) { category(slug: \"root\") { children(first: $n) { totalCount nodes { name posts(first: 1) { nodes { title } } } } } }",
        4,
        false,
    ),
    (
        "query($n: Int) { tag(slug: \"tag-000\") { posts(first: $n) { totalCount nodes { title author { name } tags { name } } } } }",
        5,
        false,
    ),
    (
        "query($n: Int) { tag(slug: \"tag-000\") { posts(last: $n) { nodes { title coAuthors { name } category { parent { name } } } } } }",
        5,
        false,
    ),
    (
        "query($posts: [ID!]!) { nodes(ids: $posts) { id ... on Post { title author { name } tags { name } } } }",
        3,
        false,
    ),
    (
        "query($mixed: [ID!]!) { nodes(ids: $mixed) { __typename id ... on Record { version } } }",
        5,
        false,
    ),
    (
        "query($mixed: [ID!]!) { nodes(ids: $mixed) { ... on Post { author { name } } ... on Profile { user { name } } } }",
        6,
        false,
    ),
    (
        "query($n: Int) { deletions(first: $n) { nodes { rowCount purgeableAt deletedBy { name } root { id version ... on Tag { name } } } } }",
        5,
        true,
    ),
    (
        "query($n: Int) { deletions(first: $n) { totalCount nodes { id } } }",
        4,
        true,
    ),
    (
        "query($n: Int) { tags(first: $n, scope: ONLY_DELETED) { totalCount nodes { name posts(first: 1) { totalCount } } } }",
        6,
        true,
    ),
];

on_every_engine! {
    with server;

    async fn a_query_takes_as_many_statements_for_200_rows_as_for_one(server) {
        let (admin_user, admin) = server.log_in("admin", Role::Admin).await;
        plant(&server.world).await;
        delete_tags(&server.world, &admin_user).await;
        let ids = ids(&server, &admin).await;

        let (mut table, mut right) = (String::new(), true);
        for (query, expected, by_admin) in OPERATIONS {
            let who = if *by_admin { &admin } else { &NOBODY };
            let mut counts = Vec::new();
            for n in [1, 20, ROWS] {
                // A mixed list has as many of each of five types.
                let each = n.min(ROWS / 5);
                let mixed: Vec<&Value> = ids.iter().flat_map(|(_, of)| &of[..each]).collect();
                let variables = if query.contains("$mixed") {
                    json!({ "mixed": mixed })
                } else {
                    json!({ "n": n, "posts": ids[0].1[..n] })
                };
                let (data, statements) = measured(&server, who, query, &variables).await;
                let expected = if query.contains("$mixed") { mixed.len() } else { n };
                assert_eq!(rows(&data), expected, "{query}\n{data:.300}");
                counts.push(statements.len());

                for statement in &statements {
                    let reads = reads(statement);
                    assert!(!reads.contains("password_hash"), "{query}\n{statement}");
                    assert!(query.contains("content") || !reads.contains("content"), "{query}\n{statement}");
                    assert!(query.contains("totalCount") || !reads.to_uppercase().contains("COUNT("), "{query}\n{statement}");
                }
            }
            right &= counts.iter().all(|count| count == expected);
            let _ = writeln!(table, "{expected:>3} expected, {counts:?} found: {query}");
        }
        assert!(right, "at 1, 20 and {ROWS} rows on {}:\n{table}", server.world.engine);
    }

    async fn a_mutation_takes_as_many_statements_for_many_rows_as_for_one(server) {
        let (_, admin) = server.log_in("admin", Role::Admin).await;
        plant(&server.world).await;
        let ids = ids(&server, &admin).await;
        let of = |kind: &str| &ids.iter().find(|(name, _)| *name == kind).expect("a kind").1;
        let query = "{ users(first: 3, orderBy: { field: NAME, direction: ASC }) { nodes { id name } }
            authors: users(first: 5) { nodes { id name } } }";
        let data = server.data(&admin, query, json!({})).await;
        let authors: Vec<&Value> = data["authors"]["nodes"].as_array().expect("users").iter()
            .filter(|user| user["name"].as_str().is_some_and(|name| name.starts_with("author of")))
            .collect();
        assert_eq!(authors.len(), 3);

        let (posts, tags, users) = (of("post"), of("tag"), of("user"));
        let sizes = [1, 20, 50];
        let mut steps: Vec<(&str, &str, Vec<Value>)> = vec![
            ("createPost", "post { version }", sizes.iter().map(|n| json!({ "title": format!("new {n}"), "content": "text", "tagIds": tags[..*n] })).collect()),
            ("updatePost", "post { title }", sizes.iter().enumerate().map(|(at, n)| json!({ "id": posts[at], "expectedVersion": 0, "title": format!("title {n}") })).collect()),
            ("setPostTags", "post { version }", sizes.iter().enumerate().map(|(at, n)| json!({ "id": posts[at], "expectedVersion": 1, "tagIds": tags[100..100 + n] })).collect()),
            ("setPostTags", "post { tags { name } }", sizes.iter().enumerate().map(|(at, n)| json!({ "id": posts[at], "expectedVersion": 2, "tagIds": tags[50..50 + n] })).collect()),
            ("setPostCoAuthors", "post { version }", [1, 10, 20].iter().enumerate().map(|(at, n)| json!({ "id": posts[at], "expectedVersion": 3, "userIds": users[100..100 + n] })).collect()),
            ("unpublishPost", "post { published }", (0..3).map(|at| json!({ "id": posts[at], "expectedVersion": 4 })).collect()),
            ("deletePost", "post { version }", (0..3).map(|at| json!({ "id": posts[at], "expectedVersion": 5 })).collect()),
            ("restorePost", "post { version }", (0..3).map(|at| json!({ "id": posts[at], "expectedVersion": 6 })).collect()),
            ("createUser", "user { name }", (0..3).map(|n| json!({ "email": format!("n{n}@new.invalid"), "name": "new" })).collect()),
            ("updateUser", "user { name }", (0..3).map(|at| json!({ "id": users[at], "expectedVersion": 0, "name": "changed" })).collect()),
        ];
        // The authors of 1, 20 and 200 posts, in the order of their names: 1, 20, 200.
        steps.push(("deleteUser", "user { version }", authors.iter().map(|user| json!({ "id": user["id"], "expectedVersion": 0 })).collect()));
        steps.push(("restoreUser", "user { version }", authors.iter().map(|user| json!({ "id": user["id"], "expectedVersion": 1 })).collect()));

        let (mut table, mut right) = (String::new(), true);
        for ((name, selection, inputs), expected) in steps.into_iter().zip(expected(server.world.engine)) {
            // The errors do not ask for the text of the record as it is.
            let query = crate::client::mutation(name, selection).replace("title content", "title");
            let mut counts = Vec::new();
            for input in inputs {
                let (data, statements) = measured(&server, &admin, &query, &json!({ "input": input })).await;
                accepted(&data[name]);
                counts.push(statements.len());
                for statement in &statements {
                    let reads = reads(statement);
                    assert!(!reads.contains("password_hash"), "{name}\n{statement}");
                    assert!(!reads.contains("content"), "{name}\n{statement}");
                }
            }
            right &= counts.iter().all(|count| *count == expected);
            let _ = writeln!(table, "{expected:>3} expected, {counts:?} found: {name} {selection}");
        }
        assert!(right, "on {}:\n{table}", server.world.engine);
    }

    async fn a_hash_is_read_for_a_login_and_a_change_of_the_password_alone(server) {
        let (user, token) = server.log_in("ada", Role::User).await;
        let hashes = |statements: Vec<String>| statements.iter().filter(|one| reads(one).contains("password_hash")).count();
        server.world.statements.take();
        let input = json!({ "email": user.email, "password": plimsoll_testkit::PASSWORD });
        accepted(&server.mutate(&NOBODY, "login", input, "token viewer { user { name } }").await);
        // Once to compare, and once more to see that it is still the one in the login's transaction.
        assert!((1..=2).contains(&hashes(server.world.statements.take())));
        let viewer = server.data(&token, "{ viewer { user { id name email role } } }", json!({})).await;
        assert_eq!(hashes(server.world.statements.take()), 0);
        let input = json!({ "id": viewer["viewer"]["user"]["id"], "expectedVersion": 0,
            "password": "a new password", "currentPassword": plimsoll_testkit::PASSWORD });
        accepted(&server.mutate(&token, "updateUser", input, "user { name }").await);
        let statements = server.world.statements.take();
        assert!((1..=2).contains(&hashes(statements.clone())), "{statements:#?}");
    }
}

/// How many statements the mutations take, the two for the token included.
fn expected(engine: Engine) -> [usize; 12] {
    match engine {
        Engine::Sqlite | Engine::Postgres => [10, 6, 10, 11, 10, 6, 7, 11, 6, 6, 11, 14],
        // Without RETURNING a changed row is read again.
        Engine::MariaDb => [10, 7, 11, 12, 11, 7, 8, 12, 6, 7, 12, 15],
    }
}

/// The ids of what was planted, as clients see them: posts first.
async fn ids(server: &Server, admin: &As) -> Vec<(&'static str, Vec<Value>)> {
    let page = |name: &str, fields: &str| {
        format!(
            "{name}(first: 200, orderBy: {{ field: CREATED_AT, direction: ASC }}) \
             {{ nodes {{ id {fields} }} }}"
        )
    };
    let query = format!(
        "{{ {} {} {} {} }}",
        page("posts", ""),
        page("tags", ""),
        page("users", "profile { id }"),
        page("categories", "")
    );
    let data = server.data(admin, &query, json!({})).await;
    let of = |list: &str, id: &str| -> Vec<Value> {
        let nodes = data[list]["nodes"].as_array().expect("a list");
        let ids = nodes.iter().filter_map(|node| node.pointer(id).cloned());
        ids.collect()
    };
    vec![
        ("post", of("posts", "/id")),
        ("tag", of("tags", "/id")),
        ("user", of("users", "/id")),
        ("category", of("categories", "/id")),
        ("profile", of("users", "/profile/id")),
    ]
}
