//! Who sees and may what, asked from outside. `docs/permissions.md` is the whole table.

use plimsoll_domain::{Role, user::User};
use plimsoll_testkit::on_every_engine;
use serde_json::{Value, json};

use crate::client::{As, NOBODY, Server, accepted, refused, server};

/// Everyone there is: an author with a draft, its co-author, a stranger, and those above.
struct Cast {
    author: (User, As),
    co_author: As,
    stranger: As,
    moderator: As,
    admin: As,
    post: Value,
}

impl Cast {
    fn everyone(&self) -> [(&'static str, &As); 6] {
        [
            ("nobody", &NOBODY),
            ("stranger", &self.stranger),
            ("co-author", &self.co_author),
            ("author", &self.author.1),
            ("moderator", &self.moderator),
            ("admin", &self.admin),
        ]
    }
}

async fn cast(server: &Server) -> Cast {
    let author = server.log_in("author", Role::User).await;
    let (_, co_author) = server.log_in("coauthor", Role::User).await;
    let (_, stranger) = server.log_in("stranger", Role::User).await;
    let (_, moderator) = server.log_in("moderator", Role::Moderator).await;
    let (_, admin) = server.log_in("admin", Role::Admin).await;
    let draft = server.world.draft(&author.0, "Draft").await;
    let post = server.id_of(&author.1, "post", &draft.slug).await;
    let input =
        json!({ "id": post, "expectedVersion": 0, "userIds": [me(server, &co_author).await] });
    accepted(
        &server
            .mutate(&author.1, "setPostCoAuthors", input, "post { id }")
            .await,
    );
    Cast {
        author,
        co_author,
        stranger,
        moderator,
        admin,
        post,
    }
}

async fn me(server: &Server, who: &As) -> Value {
    let mut data = server
        .data(who, "{ viewer { user { id } } }", json!({}))
        .await;
    data["viewer"]["user"]["id"].take()
}

fn titles(page: &Value) -> Vec<&str> {
    let nodes = page["nodes"].as_array().expect("a page has nodes");
    nodes
        .iter()
        .filter_map(|node| node["title"].as_str())
        .collect()
}

on_every_engine! {
    with server;

    async fn a_draft_is_seen_by_those_who_write_and_moderate_it_alone(server) {
        let cast = cast(&server).await;
        let author = me(&server, &cast.author.1).await;
        let tag = server.world.tag("tag").await;
        let tag = server.id_of(&NOBODY, "tag", &tag.slug).await;
        let input = json!({ "id": cast.post, "expectedVersion": 1, "tagIds": [tag] });
        accepted(&server.mutate(&cast.co_author, "setPostTags", input, "post { id }").await);

        let query = "query($id: ID!, $author: ID!) { node(id: $id) { id } nodes(ids: [$id]) { id } post(id: $id) { content }
            bySlug: post(slug: \"draft\") { id } posts { totalCount nodes { title } }
            drafts: posts(filter: { published: false }) { totalCount nodes { title } }
            user(id: $author) { posts { totalCount nodes { title } } }
            tag(slug: \"tag\") { posts { totalCount nodes { title } } } }";
        let variables = json!({ "id": cast.post, "author": author });
        for (who, token) in cast.everyone() {
            let data = server.data(token, query, variables.clone()).await;
            let sees = !["nobody", "stranger"].contains(&who);
            assert_eq!(data["node"].is_object(), sees, "{who}");
            assert_eq!(data["nodes"][0].is_object(), sees, "{who}");
            assert_eq!(data["post"]["content"].is_string(), sees, "{who}");
            assert_eq!(data["bySlug"].is_object(), sees, "{who}");
            for list in [&data["posts"], &data["drafts"], &data["user"]["posts"], &data["tag"]["posts"]] {
                assert_eq!(list["totalCount"], i32::from(sees), "{who}");
                assert_eq!(titles(list).len(), usize::from(sees), "{who}");
            }
        }
    }

    async fn what_is_not_seen_is_answered_like_what_is_not_there(server) {
        let cast = cast(&server).await;
        let unknown = json!("post_00000000000000000000000001");
        let fields = |name: &str| match name {
            "updatePost" => json!({ "title": "mine" }),
            "setPostTags" => json!({ "tagIds": [] }),
            "setPostCoAuthors" => json!({ "userIds": [] }),
            _ => json!({}),
        };
        let all = ["updatePost", "publishPost", "unpublishPost", "setPostTags", "setPostCoAuthors", "deletePost", "restorePost", "purgePost"];
        for name in all {
            for version in [0, 1] {
                // Who is not logged in is refused before anything is looked up.
                for (token, error) in [(&NOBODY, "Forbidden"), (&cast.stranger, "NotFound")] {
                    let mut answers = Vec::new();
                    for id in [&cast.post, &unknown] {
                        let mut input = fields(name);
                        input["id"] = id.clone();
                        input["expectedVersion"] = version.into();
                        let payload = server.mutate(token, name, input, "post { id }").await;
                        assert_eq!(refused(&payload), error, "{name}");
                        answers.push(payload);
                    }
                    assert_eq!(answers[0], answers[1], "{name}");
                }
            }
        }
        // What is seen and may not be changed is Forbidden, also at a wrong version.
        let input = json!({ "id": cast.post, "expectedVersion": 1 });
        accepted(&server.mutate(&cast.co_author, "publishPost", input, "post { id }").await);
        let forbidden = [
            ("updatePost", vec![&NOBODY, &cast.stranger]),
            ("publishPost", vec![&NOBODY, &cast.stranger]),
            ("setPostTags", vec![&NOBODY, &cast.stranger]),
            ("setPostCoAuthors", vec![&NOBODY, &cast.stranger, &cast.co_author]),
            ("deletePost", vec![&NOBODY, &cast.stranger, &cast.co_author]),
        ];
        for (name, tokens) in forbidden {
            for token in tokens {
                for version in [2, 9] {
                    let mut input = fields(name);
                    input["id"] = cast.post.clone();
                    input["expectedVersion"] = version.into();
                    let payload = server.mutate(token, name, input, "post { id }").await;
                    assert_eq!(refused(&payload), "Forbidden", "{name}");
                }
            }
        }
        let created = [
            ("createPost", "post", json!({ "title": "x", "content": "" }), vec![&NOBODY]),
            ("createTag", "tag", json!({ "name": "x" }), vec![&NOBODY, &cast.stranger]),
            ("createCategory", "category", json!({ "name": "x" }), vec![&NOBODY, &cast.stranger]),
            ("createUser", "user", json!({ "email": "x@x.invalid", "name": "x" }), vec![&NOBODY, &cast.stranger, &cast.moderator]),
            ("createProfile", "profile", json!({ "userId": me(&server, &cast.admin).await }), vec![&NOBODY, &cast.stranger, &cast.moderator]),
        ];
        for (name, field, input, tokens) in created {
            for token in tokens {
                let payload = server.mutate(token, name, input.clone(), &format!("{field} {{ id }}")).await;
                assert_eq!(refused(&payload), "Forbidden", "{name}");
            }
        }
        // The last edit was the co-author's, and nobody's attempt left a trace.
        let query = "query($id: ID!) { post(id: $id) { version title coAuthors { name } } posts { totalCount } }";
        let data = server.data(&NOBODY, query, json!({ "id": cast.post })).await;
        assert_eq!(data["post"], json!({ "version": 2, "title": "Draft", "coAuthors": [{ "name": "coauthor" }] }));
        assert_eq!(data["posts"]["totalCount"], 1);
    }

    async fn addresses_are_seen_by_their_owner_and_administrators_and_hashes_by_nobody(server) {
        let cast = cast(&server).await;
        let id = me(&server, &cast.author.1).await;
        let input = json!({ "id": cast.post, "expectedVersion": 1 });
        accepted(&server.mutate(&cast.author.1, "publishPost", input, "post { id }").await);
        let query = "query($id: ID!) { user(id: $id) { email } node(id: $id) { ... on User { email } }
            posts { nodes { author { email } } } users { nodes { name email } } }";
        for (who, token) in cast.everyone() {
            let data = server.data(token, query, json!({ "id": id })).await;
            let shown = if ["author", "admin"].contains(&who) { json!("author@test.invalid") } else { Value::Null };
            assert_eq!(data["user"]["email"], shown, "{who}");
            assert_eq!(data["node"]["email"], shown, "{who}");
            assert_eq!(data["posts"]["nodes"][0]["author"]["email"], shown, "{who}");
            let users = data["users"]["nodes"].as_array().expect("users");
            let seen = users.iter().filter(|user| !user["email"].is_null()).count();
            let expected = match who { "admin" => 5, "nobody" => 0, _ => 1 };
            assert_eq!(seen, expected, "{who}");
        }
        // No output type has a field for a hash, a token's hash or a folded address.
        let query = "{ __schema { types { name kind fields { name } } } }";
        let schema = server.data(&NOBODY, query, json!({})).await;
        let mut fields = 0;
        for ty in schema["__schema"]["types"].as_array().expect("types") {
            for field in ty["fields"].as_array().into_iter().flatten() {
                let name = field["name"].as_str().expect("a name").to_lowercase();
                fields += 1;
                let secret = ["password", "hash", "secret", "key"].iter().any(|word| name.contains(word));
                assert!(!secret, "{}.{name}", ty["name"]);
            }
        }
        assert!(fields > 100);
    }

    async fn what_is_deleted_is_seen_by_those_who_may_restore_it(server) {
        let cast = cast(&server).await;
        server.world.tag("gone").await;
        server.world.category("gone", None).await;
        let (tag, category) = (server.id_of(&NOBODY, "tag", "gone").await, server.id_of(&NOBODY, "category", "gone").await);
        let remove = async |who: &As, name: &str, field: &str, id: &Value, version: i32| {
            let input = json!({ "id": id, "expectedVersion": version });
            accepted(&server.mutate(who, name, input, &format!("{field} {{ id }}")).await);
        };
        let input = json!({ "id": cast.post, "expectedVersion": 1 });
        accepted(&server.mutate(&cast.author.1, "publishPost", input, "post { id }").await);
        remove(&cast.author.1, "deletePost", "post", &cast.post, 2).await;
        remove(&cast.moderator, "deleteTag", "tag", &tag, 0).await;
        remove(&cast.admin, "deleteCategory", "category", &category, 0).await;
        let stranger = me(&server, &cast.stranger).await;
        remove(&cast.admin, "deleteUser", "user", &stranger, 0).await;
        // Their login ended with them.
        assert_eq!(server.code(&cast.stranger, "{ viewer { role } }", json!({})).await, "UNAUTHENTICATED");

        let query = "query($id: ID!, $user: ID!) { live: post(id: $id) { id } node(id: $id) { id } nodes(ids: [$id]) { id }
            post(id: $id, scope: WITH_DELETED) { content } bySlug: post(slug: \"draft\", scope: ONLY_DELETED) { id }
            posts(scope: ONLY_DELETED) { totalCount nodes { id } } allPosts: posts(scope: WITH_DELETED) { totalCount nodes { id } }
            tag(slug: \"gone\", scope: WITH_DELETED) { id } tags(scope: ONLY_DELETED) { totalCount nodes { id } }
            category(slug: \"gone\", scope: ONLY_DELETED) { id } categories(scope: WITH_DELETED) { totalCount nodes { id } }
            user(id: $user, scope: ONLY_DELETED) { name } users(scope: ONLY_DELETED) { totalCount nodes { name } }
            deletions { totalCount nodes { root { id __typename } deletedBy { name } } } }";
        let variables = json!({ "id": cast.post, "user": stranger });
        let everyone = cast.everyone();
        for (who, token) in everyone.into_iter().filter(|(who, _)| *who != "stranger") {
            let data = server.data(token, query, variables.clone()).await;
            assert!(data["live"].is_null() && data["node"].is_null() && data["nodes"][0].is_null(), "{who}");
            let moderates = ["moderator", "admin"].contains(&who);
            let restores = moderates || who == "author";
            assert_eq!(data["post"]["content"].is_string(), restores, "{who}");
            assert_eq!(data["bySlug"].is_object(), restores, "{who}");
            let pages = [("posts", restores), ("allPosts", restores), ("tags", moderates), ("categories", moderates), ("users", who == "admin")];
            for (page, sees) in pages {
                assert_eq!(data[page]["totalCount"], i32::from(sees), "{who} {page}");
                assert_eq!(data[page]["nodes"].as_array().map(Vec::len), Some(usize::from(sees)), "{who} {page}");
            }
            assert_eq!(data["tag"].is_object(), moderates, "{who}");
            assert_eq!(data["category"].is_object(), moderates, "{who}");
            assert_eq!(data["user"].is_object(), who == "admin", "{who}");
            let deletions = match who { "admin" | "moderator" => 4, "author" => 1, _ => 0 };
            assert_eq!(data["deletions"]["totalCount"], deletions, "{who}");
            // A moderator sees that a user was deleted, and not which.
            let roots = data["deletions"]["nodes"].as_array().expect("deletions");
            let users = roots.iter().filter(|one| one["root"]["__typename"] == "User").count();
            assert_eq!(users, usize::from(who == "admin"), "{who}");
        }

        for (who, token) in cast.everyone() {
            if who == "stranger" { continue; }
            let input = json!({ "id": tag, "expectedVersion": 1 });
            let purge = server.mutate(token, "purgeTag", input.clone(), "tag { id }").await;
            // Before the retention time nobody may; who may not see it does not learn of it.
            let expected = match who { "admin" => "ValidationFailed", "moderator" | "nobody" => "Forbidden", _ => "NotFound" };
            assert_eq!(refused(&purge), expected, "{who}");
        }
        let input = json!({ "id": cast.post, "expectedVersion": 3 });
        let not_theirs = server.mutate(&cast.co_author, "restorePost", input.clone(), "post { id }").await;
        assert_eq!(refused(&not_theirs), "NotFound");
        accepted(&server.mutate(&cast.author.1, "restorePost", input, "post { id }").await);
    }

    async fn a_login_ends_with_the_role_the_activity_and_the_password(server) {
        let (_, admin) = server.log_in("admin", Role::Admin).await;
        let (_, first) = server.log_in("first", Role::User).await;
        let (_, second) = server.log_in("second", Role::User).await;
        let (third_user, third) = server.log_in("third", Role::User).await;
        let viewer = "{ viewer { role } }";
        let id = me(&server, &first).await;
        // People change what is theirs, and not what they may do.
        let input = json!({ "id": id, "expectedVersion": 0, "role": "ADMIN" });
        let raised = server.mutate(&first, "updateUser", input, "user { id }").await;
        assert_eq!(refused(&raised), "Forbidden");
        let input = json!({ "id": id, "expectedVersion": 0, "name": "First" });
        accepted(&server.mutate(&first, "updateUser", input, "user { id }").await);
        server.data(&first, viewer, json!({})).await;
        let input = json!({ "id": id, "expectedVersion": 1, "role": "MODERATOR" });
        accepted(&server.mutate(&admin, "updateUser", input, "user { id }").await);
        assert_eq!(server.code(&first, viewer, json!({})).await, "UNAUTHENTICATED");

        let id = me(&server, &second).await;
        let input = json!({ "id": id, "expectedVersion": 0, "isActive": false });
        accepted(&server.mutate(&admin, "updateUser", input, "user { id }").await);
        assert_eq!(server.code(&second, viewer, json!({})).await, "UNAUTHENTICATED");
        let input = json!({ "email": "second@test.invalid", "password": plimsoll_testkit::PASSWORD });
        let login = server.mutate(&NOBODY, "login", input, "token").await;
        assert_eq!(refused(&login), "ValidationFailed");

        let id = me(&server, &third).await;
        let change = |current: Value| json!({ "id": id, "expectedVersion": 0, "password": "a new password", "currentPassword": current });
        for wrong in [Value::Null, json!("wrong")] {
            let payload = server.mutate(&third, "updateUser", change(wrong), "user { id }").await;
            assert_eq!(refused(&payload), "ValidationFailed");
            assert_eq!(payload["errors"][0]["path"], json!(["input", "currentPassword"]));
        }
        let changed = server.mutate(&third, "updateUser", change(json!(plimsoll_testkit::PASSWORD)), "user { version }").await;
        accepted(&changed);
        assert_eq!(server.code(&third, viewer, json!({})).await, "UNAUTHENTICATED");
        let input = json!({ "email": third_user.email, "password": "a new password" });
        accepted(&server.mutate(&NOBODY, "login", input, "token").await);
    }
}
