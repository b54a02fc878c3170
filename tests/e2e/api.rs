//! Each query and each mutation does what it says.

use std::collections::BTreeSet;

use plimsoll_domain::{Retention, Role, Settings};
use plimsoll_testkit::{Engine, PASSWORD, on_every_engine};
use serde_json::{Value, json};

use crate::client::{As, NOBODY, Server, accepted, refused, server_with};

/// A server where what is deleted may be purged at once.
async fn without_retention(engine: Engine) -> Option<Server> {
    let settings = Settings {
        retention: Retention(chrono::Duration::zero()),
        ..Settings::default()
    };
    server_with(engine, settings).await
}

on_every_engine! {
    with without_retention;

    async fn every_query_and_every_mutation_works(server) {
        let (_, admin) = server.log_in("admin", Role::Admin).await;
        categories(&server, &admin).await;
        tags(&server, &admin).await;
        users_and_profiles(&server, &admin).await;
        sessions(&server).await;
        posts(&server, &admin).await;
        records_by_id(&server, &admin).await;
        accounts(&server, &admin).await;
        publishing(&server).await;
        products(&server, &admin).await;
        orders(&server, &admin).await;
        many_at_once(&server, &admin).await;
        deletions(&server, &admin).await;

        let query = "{ __schema { queryType { fields { name } } mutationType { fields { name } } } }";
        let schema = server.data(&NOBODY, query, json!({})).await;
        let mut all = BTreeSet::new();
        for (kind, place) in [("Query", "queryType"), ("Mutation", "mutationType")] {
            let fields = schema["__schema"][place]["fields"].as_array();
            for field in fields.expect("the type has fields") {
                all.insert(format!("{kind}.{}", field["name"].as_str().expect("a name")));
            }
        }
        assert!(all.len() > 40, "{all:?}");
        let exercised = server.exercised();
        let missing: Vec<_> = all.difference(&exercised).collect();
        assert!(missing.is_empty(), "not exercised: {missing:?}");
    }

    async fn a_connection_is_walked_both_ways_without_losing_or_repeating_a_row(server) {
        for n in 0..7 {
            server.world.tag(&format!("tag {n}")).await;
        }
        let all: Vec<String> = (0..7).map(|n| format!("tag-{n}")).collect();
        let page = "totalCount pageInfo { hasNextPage hasPreviousPage startCursor endCursor } \
                    nodes { slug } edges { cursor node { slug } }";

        let forwards = format!("query($after: String) {{ tags(first: 3, after: $after) {{ {page} }} }}");
        let (mut seen, mut pages, mut after) = (Vec::new(), Vec::new(), Value::Null);
        loop {
            let data = server.data(&NOBODY, &forwards, json!({ "after": after })).await;
            let tags = &data["tags"];
            check_page(tags);
            assert_eq!(tags["totalCount"], 7);
            assert_eq!(tags["pageInfo"]["hasPreviousPage"], !after.is_null());
            seen.extend(slugs(tags));
            pages.push(slugs(tags).len());
            if tags["pageInfo"]["hasNextPage"] == false { break; }
            after = tags["pageInfo"]["endCursor"].clone();
        }
        assert_eq!((seen, pages), (all.clone(), vec![3, 3, 1]));

        let backwards = format!("query($before: String) {{ tags(last: 3, before: $before) {{ {page} }} }}");
        let (mut seen, mut pages, mut before) = (Vec::new(), Vec::new(), Value::Null);
        loop {
            let data = server.data(&NOBODY, &backwards, json!({ "before": before })).await;
            let tags = &data["tags"];
            check_page(tags);
            assert_eq!(tags["pageInfo"]["hasNextPage"], !before.is_null());
            let mut rows = slugs(tags);
            pages.push(rows.len());
            rows.extend(seen);
            seen = rows;
            if tags["pageInfo"]["hasPreviousPage"] == false { break; }
            before = tags["pageInfo"]["startCursor"].clone();
        }
        assert_eq!((seen, pages), (all.clone(), vec![3, 3, 1]));

        // A row that comes in before the cursor shifts nothing.
        let first = server.data(&NOBODY, &forwards, json!({})).await;
        server.world.tag("a new one").await;
        let after = &first["tags"]["pageInfo"]["endCursor"];
        let second = server.data(&NOBODY, &forwards, json!({ "after": after })).await;
        assert_eq!(slugs(&second["tags"]), all[3..6]);

        // Other orders, and a page of none.
        let query = "{ tags(first: 2, orderBy: { field: SLUG, direction: DESC }) { nodes { slug } }
                       none: tags(first: 0) { totalCount nodes { slug } pageInfo { hasNextPage startCursor } } }";
        let data = server.data(&NOBODY, query, json!({})).await;
        assert_eq!(slugs(&data["tags"]), ["tag-6", "tag-5"]);
        let none = json!({ "totalCount": 8, "nodes": [],
            "pageInfo": { "hasNextPage": true, "startCursor": null } });
        assert_eq!(data["none"], none);
        let query = "{ tags(last: 2, orderBy: { field: CREATED_AT, direction: ASC }) { nodes { slug } } }";
        let data = server.data(&NOBODY, query, json!({})).await;
        assert_eq!(slugs(&data["tags"]), ["tag-6", "a-new-one"]);
    }
}

#[track_caller]
fn check_page(page: &Value) {
    let edges = page["edges"].as_array().expect("a page has edges");
    let nodes: Vec<&Value> = edges.iter().map(|edge| &edge["node"]).collect();
    assert_eq!(json!(nodes), page["nodes"]);
    let end = |edge: Option<&Value>| edge.map_or(Value::Null, |edge| edge["cursor"].clone());
    assert_eq!(page["pageInfo"]["startCursor"], end(edges.first()));
    assert_eq!(page["pageInfo"]["endCursor"], end(edges.last()));
}

fn slugs(page: &Value) -> Vec<String> {
    let nodes = page["nodes"].as_array().expect("a page has nodes");
    let slug = |node: &Value| node["slug"].as_str().unwrap_or_default().to_owned();
    nodes.iter().map(slug).collect()
}

/// Runs a mutation that must be accepted. Returns the record.
async fn done(server: &Server, who: &As, name: &str, input: Value, selection: &str) -> Value {
    let mut payload = server.mutate(who, name, input, selection).await;
    accepted(&payload);
    let record = selection.split_whitespace().next().expect("a selection");
    payload[record].take()
}

fn at(record: &Value, version: i32) -> Value {
    json!({ "id": record["id"], "expectedVersion": version })
}

/// Deletes, restores, deletes and purges a record, which is at this version.
async fn remove(server: &Server, who: &As, noun: &str, field: &str, id: &Value, version: i32) {
    let selection = format!("{field} {{ id version deletedAt }}");
    let input = |version: i32| json!({ "id": id, "expectedVersion": version });
    let run = async |verb: &str, version: i32| {
        let name = format!("{verb}{noun}");
        done(server, who, &name, input(version), &selection).await
    };
    let node = async || {
        let query = "query($id: ID!) { node(id: $id) { id } }";
        server.data(who, query, json!({ "id": id })).await["node"].take()
    };

    let stale = server
        .mutate(
            who,
            &format!("delete{noun}"),
            input(version + 1),
            &selection,
        )
        .await;
    assert_eq!(refused(&stale), "VersionConflict");
    let deleted = run("delete", version).await;
    assert_eq!(deleted["version"], version + 1);
    assert!(deleted["deletedAt"].is_string());
    assert_eq!(node().await, Value::Null);
    let again = server
        .mutate(
            who,
            &format!("delete{noun}"),
            input(version + 1),
            &selection,
        )
        .await;
    assert_eq!(refused(&again), "NotFound");

    let restored = run("restore", version + 1).await;
    assert_eq!(
        restored,
        json!({ "id": id, "version": version + 2, "deletedAt": null })
    );
    assert_eq!(node().await["id"], *id);
    let live = server
        .mutate(who, &format!("purge{noun}"), input(version + 2), &selection)
        .await;
    assert_eq!(refused(&live), "ValidationFailed");

    run("delete", version + 2).await;
    let purged = run("purge", version + 3).await;
    assert_eq!(purged["id"], *id);
    let gone = server
        .mutate(
            who,
            &format!("restore{noun}"),
            input(version + 3),
            &selection,
        )
        .await;
    assert_eq!(refused(&gone), "NotFound");
}

async fn categories(server: &Server, admin: &As) {
    let fields = "category { id version name slug parent { slug } createdAt updatedAt deletedAt }";
    let top = json!({ "name": "Über uns" });
    let top = done(server, admin, "createCategory", top, fields).await;
    assert_eq!(top["slug"], "über-uns");
    assert_eq!(
        (&top["version"], &top["parent"], &top["deletedAt"]),
        (&json!(0), &Value::Null, &Value::Null)
    );
    let below = json!({ "name": "Crew", "slug": "Crew", "parentId": top["id"] });
    let below = done(server, admin, "createCategory", below, fields).await;
    assert_eq!(
        (&below["slug"], &below["parent"]["slug"]),
        (&json!("crew"), &json!("über-uns"))
    );

    let input =
        json!({ "id": below["id"], "expectedVersion": 0, "name": "The crew", "slug": "the-crew" });
    let changed = done(server, admin, "updateCategory", input, fields).await;
    assert_eq!(changed["name"], "The crew");
    assert_eq!(
        (&changed["slug"], &changed["version"]),
        (&json!("the-crew"), &json!(1))
    );
    assert_eq!(changed["parent"]["slug"], "über-uns");

    let query = "query($id: ID!) { byId: category(id: $id) { id }
        bySlug: category(slug: \"ÜBER-Uns\") { id children { totalCount nodes { slug parent { id } } edges { cursor } pageInfo { hasNextPage } } }
        none: category(slug: \"uber-uns\") { id }
        categories(orderBy: { field: SLUG, direction: ASC }) { totalCount nodes { slug } } }";
    let data = server
        .data(&NOBODY, query, json!({ "id": top["id"] }))
        .await;
    assert_eq!(data["byId"]["id"], top["id"]);
    assert_eq!(data["bySlug"]["id"], top["id"]);
    assert_eq!(data["none"], Value::Null);
    let children = &data["bySlug"]["children"];
    assert_eq!(
        (&children["totalCount"], slugs(children)),
        (&json!(1), vec!["the-crew".to_owned()])
    );
    assert_eq!(children["nodes"][0]["parent"]["id"], top["id"]);
    assert_eq!(slugs(&data["categories"]), ["the-crew", "über-uns"]);

    // A cycle is refused.
    let input = json!({ "id": top["id"], "expectedVersion": 0, "parentId": below["id"] });
    let cycle = server.mutate(admin, "updateCategory", input, fields).await;
    assert_eq!(refused(&cycle), "ValidationFailed");
    remove(server, admin, "Category", "category", &below["id"], 1).await;
}

async fn tags(server: &Server, admin: &As) {
    let fields = "tag { id version name slug }";
    let tag = done(server, admin, "createTag", json!({ "name": "Été" }), fields).await;
    assert_eq!(tag["slug"], "été");
    let input = json!({ "name": "another", "slug": "ÉTÉ" });
    let taken = server.mutate(admin, "createTag", input, fields).await;
    assert_eq!(refused(&taken), "AlreadyExists");
    assert_eq!(taken["errors"][0]["path"], json!(["input", "slug"]));
    let input = json!({ "name": "ete" });
    let accent = done(server, admin, "createTag", input, fields).await;
    assert_eq!(accent["slug"], "ete");

    let input = json!({ "id": tag["id"], "expectedVersion": 0, "name": "Summer" });
    let changed = done(server, admin, "updateTag", input, fields).await;
    assert_eq!(
        (&changed["name"], &changed["slug"], &changed["version"]),
        (&json!("Summer"), &json!("été"), &json!(1))
    );

    let query =
        "query($id: ID!) { byId: tag(id: $id) { name } bySlug: tag(slug: \"  ÉTÉ \") { name }
        tags { totalCount nodes { slug } } }";
    let data = server
        .data(&NOBODY, query, json!({ "id": tag["id"] }))
        .await;
    assert_eq!(
        (&data["byId"]["name"], &data["bySlug"]["name"]),
        (&json!("Summer"), &json!("Summer"))
    );
    assert_eq!(slugs(&data["tags"]), ["ete", "été"]);

    remove(server, admin, "Tag", "tag", &tag["id"], 1).await;
}

async fn users_and_profiles(server: &Server, admin: &As) {
    let fields = "user { id version name email role isActive profile { id } posts { totalCount } }";
    let input = json!({ "email": "Grace@Test.Invalid", "name": "Grace", "password": PASSWORD });
    let user = done(server, admin, "createUser", input, fields).await;
    assert_eq!(
        (&user["email"], &user["role"]),
        (&json!("Grace@Test.Invalid"), &json!("USER"))
    );
    assert_eq!(
        (&user["isActive"], &user["profile"]),
        (&json!(true), &Value::Null)
    );
    let input = json!({ "email": "grace@TEST.invalid", "name": "Other" });
    let taken = server.mutate(admin, "createUser", input, fields).await;
    assert_eq!(refused(&taken), "AlreadyExists");
    assert_eq!(taken["errors"][0]["path"], json!(["input", "email"]));

    let input =
        json!({ "id": user["id"], "expectedVersion": 0, "role": "MODERATOR", "name": "Grace H." });
    let changed = done(server, admin, "updateUser", input, fields).await;
    assert_eq!(
        (&changed["role"], &changed["name"], &changed["version"]),
        (&json!("MODERATOR"), &json!("Grace H."), &json!(1))
    );

    let fields = "profile { id version bio avatarUrl metadata user { name } }";
    let metadata = json!({ "theme": "dark", "sizes": [1, 2.5, null, { "deep": true }] });
    let input = json!({ "userId": user["id"], "bio": "Admiral", "avatarUrl": "https://test.invalid/g.png", "metadata": metadata });
    let profile = done(server, admin, "createProfile", input.clone(), fields).await;
    assert_eq!(
        (&profile["bio"], &profile["metadata"]),
        (&json!("Admiral"), &metadata)
    );
    assert_eq!(profile["user"]["name"], "Grace H.");
    let second = server.mutate(admin, "createProfile", input, fields).await;
    assert_eq!(refused(&second), "AlreadyExists");
    assert_eq!(second["errors"][0]["path"], json!(["input", "userId"]));
    let input = json!({ "id": profile["id"], "expectedVersion": 0, "bio": "Rear admiral" });
    let changed = done(server, admin, "updateProfile", input, fields).await;
    assert_eq!(
        (&changed["bio"], &changed["metadata"]),
        (&json!("Rear admiral"), &metadata)
    );

    let query = "query($id: ID!) { user(id: $id) { name profile { bio } }
        users(orderBy: { field: NAME, direction: DESC }) { totalCount nodes { name } } }";
    let data = server
        .data(&NOBODY, query, json!({ "id": user["id"] }))
        .await;
    assert_eq!(
        data["user"],
        json!({ "name": "Grace H.", "profile": { "bio": "Rear admiral" } })
    );
    assert_eq!(
        data["users"],
        json!({ "totalCount": 2, "nodes": [{ "name": "Grace H." }, { "name": "admin" }] })
    );

    remove(server, admin, "Profile", "profile", &profile["id"], 1).await;
    let input = json!({ "email": "short@test.invalid", "name": "Short" });
    let short = done(server, admin, "createUser", input, "user { id }").await;
    remove(server, admin, "User", "user", &short["id"], 0).await;
}

async fn sessions(server: &Server) {
    let viewer = "{ viewer { role user { name email } } }";
    let nobody = server.data(&NOBODY, viewer, json!({})).await;
    assert_eq!(nobody["viewer"], json!({ "role": null, "user": null }));

    let input = json!({ "email": "GRACE@test.invalid", "password": PASSWORD });
    let login = server
        .mutate(
            &NOBODY,
            "login",
            input,
            "token expiresAt viewer { role user { name email } }",
        )
        .await;
    accepted(&login);
    assert_eq!(
        login["viewer"],
        json!({
            "role": "MODERATOR",
            "user": { "name": "Grace H.", "email": "Grace@Test.Invalid" },
        })
    );
    let expires = login["expiresAt"].as_str().expect("a time");
    let expires: chrono::DateTime<chrono::Utc> = expires.parse().expect("a time in ISO 8601");
    assert!(expires > chrono::Utc::now() + chrono::Duration::days(13));
    let grace = As(login["token"].as_str().map(str::to_owned));
    let seen = server.data(&grace, viewer, json!({})).await;
    assert_eq!(
        seen["viewer"]["user"],
        json!({ "name": "Grace H.", "email": "Grace@Test.Invalid" })
    );

    for (email, password) in [
        ("grace@test.invalid", "wrong"),
        ("nobody@test.invalid", PASSWORD),
    ] {
        let input = json!({ "email": email, "password": password });
        let wrong = server.mutate(&NOBODY, "login", input, "token").await;
        assert_eq!(refused(&wrong), "ValidationFailed");
        assert_eq!(
            wrong["errors"][0]["message"],
            "The e-mail address or the password is wrong."
        );
        assert_eq!(wrong["token"], Value::Null);
    }

    let logout = "mutation { logout { errors { __typename message path } } }";
    accepted(&server.data(&grace, logout, json!({})).await["logout"]);
    assert_eq!(
        server.code(&grace, viewer, json!({})).await,
        "UNAUTHENTICATED"
    );
    let nobody = server.data(&NOBODY, logout, json!({})).await;
    assert_eq!(refused(&nobody["logout"]), "Forbidden");
}

async fn posts(server: &Server, admin: &As) {
    let (_, ada) = server.log_in("ada", Role::User).await;
    let (_, bob) = server.log_in("bob", Role::User).await;
    let (one, two) = (server.world.tag("one").await, server.world.tag("two").await);
    let harbour = server.world.category("Harbour", None).await;
    let (one, two) = (
        server.id_of(&ada, "tag", &one.slug).await,
        server.id_of(&ada, "tag", &two.slug).await,
    );
    let harbour = server.id_of(&ada, "category", &harbour.slug).await;
    let bobs_id = server
        .data(&bob, "{ viewer { user { id } } }", json!({}))
        .await;
    let bobs_id = &bobs_id["viewer"]["user"]["id"];

    let fields = "post { id version title slug content published publishedAt author { name } \
        coAuthors { name } category { slug } tags { slug } }";
    let input = json!({ "title": "Sea Trials", "content": "# Text\r\n", "categoryId": harbour, "tagIds": [two, one] });
    let post = done(server, &ada, "createPost", input, fields).await;
    let made = json!({ "id": post["id"], "version": 0, "title": "Sea Trials", "slug": "sea-trials",
        "content": "# Text\r\n", "published": false, "publishedAt": null, "author": { "name": "ada" },
        "coAuthors": [], "category": { "slug": "harbour" }, "tags": [{ "slug": "two" }, { "slug": "one" }] });
    assert_eq!(post, made);
    // The title's slug is taken: the next one gets a number; a slug that is asked for does not.
    let input = json!({ "title": "Sea trials!", "content": "" });
    let other = done(server, &ada, "createPost", input, fields).await;
    assert_eq!(other["slug"], "sea-trials-2");
    let input = json!({ "title": "Third", "content": "", "slug": "SEA-trials" });
    let taken = server.mutate(&ada, "createPost", input, fields).await;
    assert_eq!(refused(&taken), "AlreadyExists");

    let input =
        json!({ "id": post["id"], "expectedVersion": 0, "title": "Trials", "content": "new" });
    let changed = done(server, &ada, "updatePost", input, fields).await;
    assert_eq!(
        (&changed["title"], &changed["content"], &changed["version"]),
        (&json!("Trials"), &json!("new"), &json!(1))
    );
    assert_eq!(changed["slug"], "sea-trials");

    let published = done(server, &ada, "publishPost", at(&post, 1), fields).await;
    assert_eq!(
        (&published["published"], &published["version"]),
        (&json!(true), &json!(2))
    );
    assert!(published["publishedAt"].is_string());
    let draft = done(server, &ada, "unpublishPost", at(&post, 2), fields).await;
    assert_eq!(
        (&draft["published"], &draft["publishedAt"]),
        (&json!(false), &published["publishedAt"])
    );
    let again = done(server, &ada, "publishPost", at(&post, 3), fields).await;
    assert_eq!(
        (&again["version"], &again["publishedAt"]),
        (&json!(4), &published["publishedAt"])
    );

    let input = json!({ "id": post["id"], "expectedVersion": 4, "tagIds": [one] });
    let tagged = done(server, &ada, "setPostTags", input, fields).await;
    assert_eq!(
        (&tagged["tags"], &tagged["version"]),
        (&json!([{ "slug": "one" }]), &json!(5))
    );
    let input = json!({ "id": post["id"], "expectedVersion": 5, "userIds": [bobs_id] });
    let shared = done(server, &ada, "setPostCoAuthors", input, fields).await;
    assert_eq!(
        (&shared["coAuthors"], &shared["version"]),
        (&json!([{ "name": "bob" }]), &json!(6))
    );

    let query = "query($id: ID!) { byId: post(id: $id) { slug } bySlug: post(slug: \"SEA-TRIALS\") { title }
        posts { totalCount nodes { slug tags { slug } coAuthors { name } author { posts { totalCount nodes { slug } } } } }
        drafts: posts(filter: { published: false }, orderBy: { field: CREATED_AT, direction: ASC }) { nodes { slug } }
        tag(slug: \"one\") { posts { totalCount nodes { slug } edges { cursor } pageInfo { hasNextPage } } }
        two: tag(slug: \"two\") { posts { totalCount nodes { slug } } }
        category(slug: \"harbour\") { posts { totalCount nodes { slug } } } }";
    let data = server.data(&ada, query, json!({ "id": post["id"] })).await;
    assert_eq!(
        (&data["byId"]["slug"], &data["bySlug"]["title"]),
        (&json!("sea-trials"), &json!("Trials"))
    );
    assert_eq!(
        (
            &data["posts"]["totalCount"],
            &data["tag"]["posts"]["totalCount"]
        ),
        (&json!(2), &json!(1))
    );
    assert_eq!(slugs(&data["drafts"]), ["sea-trials-2"]);
    assert_eq!(slugs(&data["tag"]["posts"]), ["sea-trials"]);
    assert_eq!(
        data["two"]["posts"],
        json!({ "totalCount": 0, "nodes": [] })
    );
    assert_eq!(slugs(&data["category"]["posts"]), ["sea-trials"]);
    assert_eq!(
        data["posts"]["nodes"][0]["author"]["posts"]["totalCount"],
        2
    );
    // Everybody else sees the published one.
    let data = server
        .data(
            &NOBODY,
            "{ posts { totalCount nodes { slug } } }",
            json!({}),
        )
        .await;
    assert_eq!(
        data["posts"],
        json!({ "totalCount": 1, "nodes": [{ "slug": "sea-trials" }] })
    );

    remove(server, admin, "Post", "post", &other["id"], 0).await;
    let input = json!({ "id": post["id"], "expectedVersion": 6 });
    done(server, &ada, "deletePost", input, "post { id }").await;
    // What is deleted is seen by its author beyond LIVE alone, and its slug is free again.
    let query = "{ live: post(slug: \"sea-trials\") { id }
        with: post(slug: \"sea-trials\", scope: WITH_DELETED) { deletedAt content }
        only: posts(scope: ONLY_DELETED) { totalCount nodes { slug } }
        all: posts(scope: WITH_DELETED) { totalCount }
        mine: viewer { user { posts(scope: ONLY_DELETED) { nodes { slug } } } } }";
    let data = server.data(&ada, query, json!({})).await;
    assert_eq!(data["live"], Value::Null);
    assert!(data["with"]["deletedAt"].is_string());
    assert_eq!(data["with"]["content"], "new");
    assert_eq!(
        data["only"],
        json!({ "totalCount": 1, "nodes": [{ "slug": "sea-trials" }] })
    );
    assert_eq!(data["all"]["totalCount"], 1);
    assert_eq!(slugs(&data["mine"]["user"]["posts"]), ["sea-trials"]);
    let input = json!({ "title": "Newcomer", "content": "", "slug": "sea-trials" });
    let newcomer = done(server, &ada, "createPost", input, "post { id }").await;
    let taken = server
        .mutate(&ada, "restorePost", at(&post, 7), "post { id }")
        .await;
    assert_eq!(refused(&taken), "AlreadyExists");
    done(server, &ada, "deletePost", at(&newcomer, 0), "post { id }").await;
    let back = done(server, &ada, "restorePost", at(&post, 7), fields).await;
    assert_eq!(
        (&back["tags"], &back["coAuthors"]),
        (&json!([{ "slug": "one" }]), &json!([{ "name": "bob" }]))
    );
}

async fn records_by_id(server: &Server, admin: &As) {
    let post = server.id_of(admin, "post", "sea-trials").await;
    let tag = server.id_of(admin, "tag", "one").await;
    let category = server.id_of(admin, "category", "harbour").await;
    let viewer = server
        .data(admin, "{ viewer { user { id } } }", json!({}))
        .await;
    let user = &viewer["viewer"]["user"]["id"];
    let input = json!({ "userId": user, "bio": "me" });
    let profile = done(server, admin, "createProfile", input, "profile { id }").await;
    let profile = &profile["id"];
    let unknown = "tag_00000000000000000000000001";

    let ids = json!([tag, post, unknown, user, tag, category, profile, post]);
    let query = "query($ids: [ID!]!, $id: ID!) { nodes(ids: $ids) { __typename id
        ... on Post { title } ... on Tag { name } ... on User { name } ... on Category { name } ... on Profile { bio }
        ... on Record { version createdAt updatedAt deletedAt } } node(id: $id) { __typename id } }";
    let data = server
        .data(admin, query, json!({ "ids": ids, "id": profile }))
        .await;
    let nodes = data["nodes"].as_array().expect("nodes");
    let types: Vec<&str> = nodes
        .iter()
        .map(|n| n["__typename"].as_str().unwrap_or("none"))
        .collect();
    assert_eq!(
        types,
        [
            "Tag", "Post", "none", "User", "Tag", "Category", "Profile", "Post"
        ]
    );
    for (node, id) in nodes.iter().zip(ids.as_array().expect("ids")) {
        assert!(
            node.is_null() || (node["id"] == *id && node["createdAt"].is_string()),
            "{node}"
        );
    }
    assert_eq!(nodes[6]["bio"], "me");
    assert_eq!(
        data["node"],
        json!({ "__typename": "Profile", "id": profile })
    );
    let none = server
        .data(admin, "{ nodes(ids: []) { id } }", json!({}))
        .await;
    assert_eq!(none["nodes"], json!([]));
}

async fn accounts(server: &Server, admin: &As) {
    let (_, dora) = server.log_in("dora", Role::User).await;
    let (_, emil) = server.log_in("emil", Role::User).await;
    let fields = "account { id version currency balance { amount currency } owner { name } \
                  transfers { totalCount nodes { id } } createdAt updatedAt deletedAt purgeableAt }";
    let euro = json!({ "currency": "EUR" });
    let from = done(server, &dora, "openAccount", euro.clone(), fields).await;
    assert_eq!(
        (&from["version"], &from["currency"], &from["owner"]["name"]),
        (&json!(0), &json!("EUR"), &json!("dora"))
    );
    assert_eq!(from["balance"], json!({ "amount": "0", "currency": "EUR" }));
    assert_eq!(from["transfers"], json!({ "totalCount": 0, "nodes": [] }));
    let twice = server
        .mutate(&dora, "openAccount", euro.clone(), fields)
        .await;
    assert_eq!(refused(&twice), "AlreadyExists");
    let me = server
        .data(&emil, "{ viewer { user { id } } }", json!({}))
        .await;
    let his = json!({ "currency": "EUR", "ownerId": me["viewer"]["user"]["id"] });
    let forbidden = server
        .mutate(&dora, "openAccount", his.clone(), fields)
        .await;
    assert_eq!(refused(&forbidden), "Forbidden");
    let to = done(server, admin, "openAccount", his, fields).await;
    assert_eq!(to["owner"]["name"], "emil");

    let fields = "transfer { id createdAt kind amount { amount currency } fromId toId \
                  from { id } to { id balance { amount } } order { id } }";
    let input = |amount: &str, key: &str| json!({ "to": from["id"], "amount": amount, "idempotencyKey": key });
    let own = server
        .mutate(&dora, "deposit", input("5", "d"), fields)
        .await;
    assert_eq!(refused(&own), "Forbidden");
    let put = done(
        server,
        admin,
        "deposit",
        input("9007199254740993", "d"),
        fields,
    )
    .await;
    assert!(put["createdAt"].is_string());
    assert_eq!(
        (
            &put["kind"],
            &put["fromId"],
            &put["from"],
            &put["toId"],
            &put["order"]
        ),
        (
            &json!("DEPOSIT"),
            &Value::Null,
            &Value::Null,
            &from["id"],
            &Value::Null
        )
    );
    let exact = json!({ "amount": "9007199254740993", "currency": "EUR" });
    assert_eq!(put["amount"], exact, "more than a double holds");
    assert_eq!(put["to"]["balance"]["amount"], "9007199254740993");

    let input = |amount: &str| json!({ "from": from["id"], "to": to["id"], "amount": amount, "idempotencyKey": amount });
    let moved = done(
        server,
        &dora,
        "transferFunds",
        input("9007199254740992"),
        fields,
    )
    .await;
    assert_eq!(
        (
            &moved["kind"],
            &moved["fromId"],
            &moved["from"]["id"],
            &moved["toId"]
        ),
        (&json!("TRANSFER"), &from["id"], &from["id"], &to["id"])
    );
    assert_eq!(moved["to"], Value::Null, "it is somebody else's");
    let poor = server
        .mutate(
            &dora,
            "transferFunds",
            input("2"),
            "transfer { id } errors { ... on \
        InsufficientFunds { accountId balance { amount currency } } }",
        )
        .await;
    assert_eq!(refused(&poor), "InsufficientFunds");
    let error = &poor["errors"][0];
    assert_eq!(error["path"], json!(["input", "amount"]));
    assert_eq!(
        (&error["accountId"], &error["balance"]),
        (&from["id"], &json!({ "amount": "1", "currency": "EUR" }))
    );

    let query = "query($id: ID!, $transfer: ID!) {
        account(id: $id) { balance { amount } transfers(first: 1) { totalCount
            nodes { id kind } edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage } } }
        accounts { totalCount nodes { id } edges { cursor } pageInfo { hasNextPage } }
        node(id: $transfer) { __typename id ... on Transfer { kind fromId } }
        nodes(ids: [$transfer, $id, $transfer]) { __typename id ... on Record { version } } }";
    let variables = json!({ "id": from["id"], "transfer": moved["id"] });
    let data = server.data(&dora, query, variables.clone()).await;
    assert_eq!(data["account"]["balance"]["amount"], "1");
    let page = &data["account"]["transfers"];
    assert_eq!(page["totalCount"], 2);
    assert_eq!(
        page["nodes"],
        json!([{ "id": moved["id"], "kind": "TRANSFER" }])
    );
    assert_eq!(page["edges"][0]["node"]["id"], moved["id"]);
    assert_eq!(
        page["pageInfo"],
        json!({ "hasNextPage": true, "hasPreviousPage": false })
    );
    assert_eq!(data["accounts"]["nodes"], json!([{ "id": from["id"] }]));
    assert_eq!(data["accounts"]["totalCount"], 1);
    let node = json!({ "__typename": "Transfer", "id": moved["id"], "kind": "TRANSFER",
        "fromId": from["id"] });
    assert_eq!(data["node"], node);
    let node = json!({ "__typename": "Transfer", "id": moved["id"] });
    let account = json!({ "__typename": "Account", "id": from["id"], "version": 2 });
    assert_eq!(data["nodes"], json!([node, account, node]));
    for who in [&emil, &NOBODY] {
        let data = server.data(who, query, variables.clone()).await;
        assert_eq!(data["account"], Value::Null);
        assert_eq!(data["node"].is_null(), who.0.is_none());
    }
    let data = server.data(admin, query, variables).await;
    assert_eq!(data["accounts"]["totalCount"], 2);

    let full = json!({ "id": from["id"], "expectedVersion": 2 });
    let full = server
        .mutate(&dora, "deleteAccount", full, "account { id }")
        .await;
    assert_eq!(refused(&full), "ValidationFailed");
    assert_eq!(full["errors"][0]["message"], "There is 0.01 EUR in it.");
    let yen = json!({ "currency": "JPY" });
    let yen = done(server, admin, "openAccount", yen, "account { id }").await;
    remove(server, admin, "Account", "account", &yen["id"], 0).await;
}

async fn publishing(server: &Server) {
    let (_, gus) = server.log_in("gus", Role::User).await;
    let mut drafts = Vec::new();
    for title in ["First", "Second", "Third"] {
        let input = json!({ "title": title, "content": "" });
        drafts.push(done(server, &gus, "createPost", input, "post { id }").await);
    }
    done(
        server,
        &gus,
        "publishPost",
        at(&drafts[1], 0),
        "post { id }",
    )
    .await;
    let fields = "posts { id version published publishedAt }";
    let stale = json!({ "items": [at(&drafts[0], 0), at(&drafts[1], 0)] });
    let stale = server.mutate(&gus, "publishPosts", stale, fields).await;
    assert_eq!(refused(&stale), "VersionConflict");
    let path = json!(["input", "items", "1", "expectedVersion"]);
    assert_eq!(
        (&stale["errors"][0]["path"], &stale["posts"]),
        (&path, &Value::Null)
    );
    let items = json!({ "items": [at(&drafts[2], 0), at(&drafts[1], 1), at(&drafts[0], 0)] });
    let posts = done(server, &gus, "publishPosts", items, fields).await;
    for (post, draft) in [(0, 2), (1, 1), (2, 0)] {
        assert_eq!(posts[post]["id"], drafts[draft]["id"]);
        assert_eq!(posts[post]["version"], 1, "one was published before");
        assert_eq!(posts[post]["published"], true);
        assert!(posts[post]["publishedAt"].is_string());
    }
}

/// A thousand at once, in one request.
async fn many_at_once(server: &Server, admin: &As) {
    let fields = "tags { id version name slug }";
    let tags = |name: &str, on_conflict: &str| {
        let named = |slug: &str| json!({ "name": name, "slug": slug });
        let tags = [named("bulk-a"), named("bulk-b")];
        json!({ "tags": tags, "onConflict": on_conflict })
    };
    let made = done(server, admin, "createTags", tags("One", "FAIL"), fields).await;
    assert_eq!(
        (&made[1]["slug"], &made[1]["version"]),
        (&json!("bulk-b"), &json!(0))
    );
    let taken = server
        .mutate(admin, "createTags", tags("Two", "FAIL"), fields)
        .await;
    assert_eq!(refused(&taken), "AlreadyExists");
    let path = json!(["input", "tags", "0", "slug"]);
    assert_eq!(
        (&taken["errors"][0]["path"], &taken["tags"]),
        (&path, &Value::Null)
    );
    let skipped = done(server, admin, "createTags", tags("Two", "SKIP"), fields).await;
    assert_eq!(skipped, made);
    let updated = done(server, admin, "createTags", tags("Two", "UPDATE"), fields).await;
    assert_eq!(
        (&updated[0]["name"], &updated[0]["version"]),
        (&json!("Two"), &json!(1))
    );

    let fields = "products { sku version inventory { quantity } }";
    let products = |count: usize| -> Vec<Value> {
        let product = |n| {
            let (sku, name) = (format!("BULK-{n}"), format!("Number {n}"));
            json!({ "sku": sku, "name": name, "price": euros("5"), "quantity": n })
        };
        (0..count).map(product).collect()
    };
    let input = json!({ "products": products(1_000), "onConflict": "UPDATE" });
    let made = done(server, admin, "importProducts", input.clone(), fields).await;
    assert_eq!(made.as_array().map(Vec::len), Some(1_000));
    assert_eq!(
        made[999],
        json!({ "sku": "BULK-999", "version": 0, "inventory": { "quantity": 999 } })
    );
    let again = done(server, admin, "importProducts", input, fields).await;
    assert_eq!(again, made, "nothing differs");
    let input = json!({ "products": products(1_001), "onConflict": "SKIP" });
    let many = server
        .mutate(admin, "importProducts", input, "products { id }")
        .await;
    assert_eq!(refused(&many), "ValidationFailed");
    assert_eq!(many["errors"][0]["path"], json!(["input", "products"]));
}

const PRODUCT: &str = "product { id version sku name price { amount currency } \
    inventory { id version quantity product { id } createdAt updatedAt deletedAt purgeableAt } \
    createdAt updatedAt deletedAt purgeableAt }";

fn euros(amount: &str) -> Value {
    json!({ "amount": amount, "currency": "EUR" })
}

async fn products(server: &Server, admin: &As) {
    let (_, fay) = server.log_in("fay", Role::User).await;
    let input =
        json!({ "sku": "Lamp-1", "name": "Öllampe", "price": euros("1250"), "quantity": 5 });
    let forbidden = server
        .mutate(&fay, "createProduct", input.clone(), PRODUCT)
        .await;
    assert_eq!(refused(&forbidden), "Forbidden");
    let lamp = done(server, admin, "createProduct", input, PRODUCT).await;
    assert_eq!(
        (&lamp["sku"], &lamp["name"], &lamp["price"]),
        (&json!("Lamp-1"), &json!("Öllampe"), &euros("1250"))
    );
    assert_eq!(lamp["inventory"]["quantity"], 5);
    assert_eq!(lamp["inventory"]["product"]["id"], lamp["id"]);
    let input = json!({ "sku": "LAMP-1", "name": "Other", "price": euros("1"), "quantity": 0 });
    let taken = server.mutate(admin, "createProduct", input, PRODUCT).await;
    assert_eq!(refused(&taken), "AlreadyExists");
    assert_eq!(taken["errors"][0]["path"], json!(["input", "sku"]));
    let input = json!({ "sku": "rope", "name": "Rope", "price": euros("99"), "quantity": 10 });
    done(server, admin, "createProduct", input, PRODUCT).await;

    let input =
        json!({ "id": lamp["id"], "expectedVersion": 0, "name": "Lamp", "price": euros("1300") });
    let changed = done(server, admin, "updateProduct", input, PRODUCT).await;
    assert_eq!(
        (&changed["sku"], &changed["name"], &changed["price"]),
        (&json!("Lamp-1"), &json!("Lamp"), &euros("1300"))
    );
    assert_eq!(
        (&changed["version"], &changed["inventory"]["version"]),
        (&json!(1), &json!(0))
    );

    let fields = "inventory { id version quantity product { version } }";
    let by =
        |by: i32, key: &str| json!({ "productId": lamp["id"], "by": by, "idempotencyKey": key });
    let forbidden = server.mutate(&fay, "adjustStock", by(2, "a"), fields).await;
    assert_eq!(refused(&forbidden), "Forbidden");
    for _ in 0..2 {
        let stock = done(server, admin, "adjustStock", by(2, "stock"), fields).await;
        let expected = json!({ "id": lamp["inventory"]["id"], "version": 1, "quantity": 7,
            "product": { "version": 1 } });
        assert_eq!(stock, expected);
    }
    let short = "inventory { id } errors { ... on InsufficientStock { productId available } }";
    let short = server
        .mutate(admin, "adjustStock", by(-8, "more"), short)
        .await;
    assert_eq!(refused(&short), "InsufficientStock");
    let error = &short["errors"][0];
    assert_eq!(
        (&error["productId"], &error["available"], &error["path"]),
        (&lamp["id"], &json!(7), &json!(["input", "by"]))
    );

    let query = "query($id: ID!, $stock: ID!) {
        byId: product(id: $id) { name } bySku: product(sku: \" lamp-1 \") { name }
        none: product(sku: \"lamp\") { name }
        products(orderBy: { field: SKU, direction: DESC }) { totalCount nodes { sku }
            edges { cursor node { sku } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } }
        byName: products(first: 1) { nodes { name } pageInfo { hasNextPage } }
        made: products(last: 1, orderBy: { field: CREATED_AT, direction: ASC }) { nodes { sku } }
        node(id: $stock) { __typename ... on Inventory { quantity product { sku } } }
        nodes(ids: [$id, $stock]) { __typename ... on Record { version } } }";
    let variables = json!({ "id": lamp["id"], "stock": lamp["inventory"]["id"] });
    let data = server.data(&NOBODY, query, variables).await;
    assert_eq!(
        (&data["byId"]["name"], &data["bySku"]["name"], &data["none"]),
        (&json!("Lamp"), &json!("Lamp"), &Value::Null)
    );
    check_page(&data["products"]);
    assert_eq!(data["products"]["totalCount"], 2);
    assert_eq!(
        data["products"]["nodes"],
        json!([{ "sku": "rope" }, { "sku": "Lamp-1" }])
    );
    assert_eq!(data["byName"]["nodes"], json!([{ "name": "Lamp" }]));
    assert_eq!(data["made"]["nodes"], json!([{ "sku": "rope" }]));
    let stock = json!({ "__typename": "Inventory", "quantity": 7, "product": { "sku": "Lamp-1" } });
    assert_eq!(data["node"], stock);
    let nodes = json!([{ "__typename": "Product", "version": 1 }, { "__typename": "Inventory", "version": 1 }]);
    assert_eq!(data["nodes"], nodes);

    let input = json!({ "sku": "short", "name": "Short", "price": euros("1"), "quantity": 0 });
    let short = done(server, admin, "createProduct", input, PRODUCT).await;
    remove(server, admin, "Product", "product", &short["id"], 0).await;
}

const ORDER: &str = "order { id version status total { amount currency } buyer { name } \
    account { id balance { amount } } \
    items { productId quantity unitPrice { amount currency } product { sku inventory { quantity } } } \
    createdAt updatedAt deletedAt purgeableAt }";

async fn orders(server: &Server, admin: &As) {
    let (_, hal) = server.log_in("hal", Role::User).await;
    let (_, ida) = server.log_in("ida", Role::User).await;
    let query = "{ products { nodes { id } } }";
    let data = server.data(&NOBODY, query, json!({})).await;
    // There are 7 at 13.00 EUR, and 10 at 0.99 EUR.
    let [lamp, rope] = [0, 1].map(|n| data["products"]["nodes"][n]["id"].clone());
    let lamps = |quantity: i32, price: &str| json!({ "productId": lamp, "quantity": quantity, "unitPrice": price });
    let ropes = |quantity: i32| json!({ "productId": rope, "quantity": quantity });
    let order = |items: Value, key: &str| json!({ "items": items, "idempotencyKey": key });

    let input = order(json!([ropes(1)]), "k");
    let nobody = server
        .mutate(&NOBODY, "placeOrder", input.clone(), ORDER)
        .await;
    assert_eq!(refused(&nobody), "Forbidden");
    let penniless = server.mutate(&hal, "placeOrder", input, ORDER).await;
    assert_eq!(refused(&penniless), "ValidationFailed");
    assert_eq!(
        penniless["errors"][0]["message"],
        "You have no account in EUR: open one."
    );
    let input = json!({ "currency": "EUR" });
    let account = done(server, &hal, "openAccount", input, "account { id }").await;
    let put = json!({ "to": account["id"], "amount": "5000", "idempotencyKey": "hal" });
    done(server, admin, "deposit", put, "transfer { id }").await;

    let details = "order { id } errors { ... on PriceChanged { productId current { amount currency } } \
        ... on InsufficientStock { productId available } ... on InsufficientFunds { accountId balance { amount } } }";
    for (items, error) in [
        (
            json!([ropes(1), lamps(1, "1250")]),
            json!({ "__typename": "PriceChanged", "path": ["input", "items", "1", "unitPrice"],
                "productId": lamp, "current": euros("1300") }),
        ),
        (
            json!([ropes(1), lamps(8, "1300")]),
            json!({ "__typename": "InsufficientStock", "path": ["input", "items", "1", "quantity"],
                "productId": lamp, "available": 7 }),
        ),
        (
            json!([lamps(4, "1300")]),
            json!({ "__typename": "InsufficientFunds", "path": ["input", "items"],
                "accountId": account["id"], "balance": { "amount": "5000" } }),
        ),
    ] {
        let mut payload = server
            .mutate(&hal, "placeOrder", order(items, "k"), details)
            .await;
        assert_eq!(refused(&payload), error["__typename"]);
        let found = payload["errors"][0].as_object_mut().expect("an error");
        found.remove("message");
        assert_eq!(json!(found), error);
    }

    let both = json!([ropes(2), lamps(1, "1300")]);
    let bought = done(server, &hal, "placeOrder", order(both.clone(), "b"), ORDER).await;
    assert_eq!(
        (&bought["status"], &bought["version"], &bought["total"]),
        (&json!("PAID"), &json!(0), &euros("1498"))
    );
    assert_eq!(
        (&bought["buyer"], &bought["account"]),
        (
            &json!({ "name": "hal" }),
            &json!({ "id": account["id"], "balance": { "amount": "3502" } })
        )
    );
    let lines = json!([
        { "productId": rope, "quantity": 2, "unitPrice": euros("99"),
            "product": { "sku": "rope", "inventory": { "quantity": 8 } } },
        { "productId": lamp, "quantity": 1, "unitPrice": euros("1300"),
            "product": { "sku": "Lamp-1", "inventory": { "quantity": 6 } } },
    ]);
    assert_eq!(bought["items"], lines);
    let again = done(server, &hal, "placeOrder", order(both, "b"), ORDER).await;
    assert_eq!(again, bought);

    let mut input = order(json!([lamps(2, "1300")]), "later");
    input["payNow"] = json!(false);
    let aside = done(server, &hal, "placeOrder", input, ORDER).await;
    assert_eq!(
        (&aside["status"], &aside["account"]),
        (&json!("PENDING"), &Value::Null)
    );
    let unpaid = server
        .mutate(admin, "shipOrder", at(&aside, 0), ORDER)
        .await;
    assert_eq!(refused(&unpaid), "ValidationFailed");
    assert_eq!(
        unpaid["errors"][0]["message"],
        "A PENDING order cannot be shipped."
    );
    let not_theirs = server.mutate(admin, "payOrder", at(&aside, 0), ORDER).await;
    assert_eq!(refused(&not_theirs), "Forbidden");
    let paid = done(server, &hal, "payOrder", at(&aside, 0), ORDER).await;
    assert_eq!(
        (
            &paid["status"],
            &paid["version"],
            &paid["account"]["balance"]["amount"]
        ),
        (&json!("PAID"), &json!(1), &json!("902"))
    );
    let forbidden = server.mutate(&hal, "shipOrder", at(&aside, 1), ORDER).await;
    assert_eq!(refused(&forbidden), "Forbidden");
    let shipped = done(server, admin, "shipOrder", at(&aside, 1), ORDER).await;
    assert_eq!(
        (
            &shipped["status"],
            &shipped["version"],
            &shipped["account"]["id"]
        ),
        (&json!("SHIPPED"), &json!(2), &account["id"])
    );
    let gone = server
        .mutate(&hal, "cancelOrder", at(&aside, 2), ORDER)
        .await;
    assert_eq!(refused(&gone), "ValidationFailed");
    assert_eq!(gone["errors"][0]["path"], json!(["input", "id"]));
    let cancelled = done(server, &hal, "cancelOrder", at(&bought, 0), ORDER).await;
    assert_eq!(
        (
            &cancelled["status"],
            &cancelled["account"]["balance"]["amount"]
        ),
        (&json!("CANCELLED"), &json!("2400"))
    );
    assert_eq!(
        (
            &cancelled["items"][0]["product"]["inventory"]["quantity"],
            &cancelled["items"][1]["product"]["inventory"]["quantity"]
        ),
        (&json!(10), &json!(5))
    );

    let query = "query($id: ID!, $account: ID!) { order(id: $id) { status }
        orders(first: 1) { totalCount nodes { id status } edges { cursor node { id status } }
            pageInfo { hasNextPage hasPreviousPage startCursor endCursor } }
        node(id: $id) { __typename ... on Order { total { amount } } }
        nodes(ids: [$id]) { __typename ... on Record { version } }
        account(id: $account) { transfers { nodes { kind amount { amount } fromId toId order { id } } } } }";
    let variables = json!({ "id": bought["id"], "account": account["id"] });
    let data = server.data(&hal, query, variables.clone()).await;
    assert_eq!(data["order"]["status"], "CANCELLED");
    check_page(&data["orders"]);
    assert_eq!(
        (&data["orders"]["totalCount"], &data["orders"]["nodes"]),
        (
            &json!(2),
            &json!([{ "id": aside["id"], "status": "SHIPPED" }])
        )
    );
    assert_eq!(
        data["node"],
        json!({ "__typename": "Order", "total": { "amount": "1498" } })
    );
    assert_eq!(
        data["nodes"],
        json!([{ "__typename": "Order", "version": 1 }])
    );
    let moved = |kind: &str, amount: &str, from: &Value, to: &Value, order: Value| json!({ "kind": kind, "amount": { "amount": amount }, "fromId": from, "toId": to, "order": order });
    let (own, of) = (&account["id"], |order: &Value| json!({ "id": order["id"] }));
    let transfers = json!([
        moved("REFUND", "1498", &Value::Null, own, of(&bought)),
        moved("PAYMENT", "2600", own, &Value::Null, of(&aside)),
        moved("PAYMENT", "1498", own, &Value::Null, of(&bought)),
        moved("DEPOSIT", "5000", &Value::Null, own, Value::Null),
    ]);
    assert_eq!(data["account"]["transfers"]["nodes"], transfers);
    // Somebody else's orders are not there; who moderates sees them all, but not who paid.
    for who in [&ida, &NOBODY] {
        let data = server.data(who, query, variables.clone()).await;
        assert_eq!(
            (&data["order"], &data["node"], &data["orders"]["totalCount"]),
            (&Value::Null, &Value::Null, &json!(0))
        );
    }
    let (_, mona) = server.log_in("mona", Role::Moderator).await;
    let query = "query($id: ID!) { order(id: $id) { buyer { name } account { id } } orders { totalCount } }";
    let data = server.data(&mona, query, variables).await;
    assert_eq!(
        data,
        json!({ "order": { "buyer": { "name": "hal" }, "account": null }, "orders": { "totalCount": 2 } })
    );

    // What was sold is deleted, and stays in its orders.
    let gone = json!({ "id": rope, "expectedVersion": 0 });
    done(server, admin, "deleteProduct", gone, PRODUCT).await;
    let input = order(json!([ropes(1)]), "gone");
    let none = server.mutate(&hal, "placeOrder", input, ORDER).await;
    assert_eq!(refused(&none), "NotFound");
    let query = "query($id: ID!) { order(id: $id) { items { productId product { sku deletedAt inventory { quantity } } } } }";
    for (who, seen) in [(&hal, false), (admin, true)] {
        let data = server.data(who, query, json!({ "id": bought["id"] })).await;
        let line = &data["order"]["items"][0];
        assert_eq!(line["productId"], rope);
        assert_eq!(line["product"].is_object(), seen);
        assert_eq!(line["product"]["inventory"], Value::Null);
    }
    let gone = json!({ "id": rope, "expectedVersion": 1 });
    let kept = server.mutate(admin, "purgeProduct", gone, PRODUCT).await;
    assert_eq!(refused(&kept), "StillReferenced");
}

async fn deletions(server: &Server, admin: &As) {
    let (user, cleo) = server.log_in("cleo", Role::User).await;
    server.world.post(&user, "Log book").await;
    let me = server
        .data(&cleo, "{ viewer { user { id } } }", json!({}))
        .await;
    let me = &me["viewer"]["user"]["id"];
    let input = json!({ "userId": me });
    done(server, &cleo, "createProfile", input, "profile { id }").await;
    let input = json!({ "id": me, "expectedVersion": 0 });
    done(server, admin, "deleteUser", input, "user { id }").await;

    let query = "{ deletions(first: 1) { totalCount pageInfo { hasNextPage } edges { cursor } nodes {
        id deletedAt deletedBy { name } root { id __typename ... on User { name } } rowCount purgeableAt restoredAt purgedAt } } }";
    let data = server.data(admin, query, json!({})).await;
    let newest = &data["deletions"]["nodes"][0];
    assert!(
        newest["id"]
            .as_str()
            .is_some_and(|id| id.starts_with("deletion_"))
    );
    assert_eq!(
        newest["root"],
        json!({ "id": me, "__typename": "User", "name": "cleo" })
    );
    assert_eq!(
        (&newest["rowCount"], &newest["deletedBy"]["name"]),
        (&json!(3), &json!("admin"))
    );
    assert_eq!(newest["purgeableAt"], newest["deletedAt"]);
    assert_eq!(
        (&newest["restoredAt"], &newest["purgedAt"]),
        (&Value::Null, &Value::Null)
    );
    assert_eq!(data["deletions"]["pageInfo"]["hasNextPage"], true);

    let input = json!({ "id": me, "expectedVersion": 1 });
    done(server, admin, "restoreUser", input, "user { id }").await;
    let data = server.data(admin, query, json!({})).await;
    let newest = &data["deletions"]["nodes"][0];
    assert!(newest["restoredAt"].is_string());
    assert_eq!(newest["purgeableAt"], Value::Null);
    // Others see their own alone.
    let nobodys = server
        .data(
            &NOBODY,
            "{ deletions { totalCount nodes { id } } }",
            json!({}),
        )
        .await;
    assert_eq!(
        nobodys["deletions"],
        json!({ "totalCount": 0, "nodes": [] })
    );
}
