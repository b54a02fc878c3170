//! The README's walk: a post, a version conflict, a deleted author who comes back.

use plimsoll_domain::Role;
use plimsoll_testkit::on_every_engine;
use serde_json::json;

use crate::client::{NOBODY, accepted, refused, server};

on_every_engine! {
    with server;

    async fn the_second_edit_from_one_version_is_refused_with_the_record_as_it_is(server) {
        let (_, ada) = server.log_in("ada", Role::User).await;
        let input = json!({ "title": "One", "content": "text" });
        let made = server.mutate(&ada, "createPost", input, "post { id version }").await;
        let id = &made["post"]["id"];
        assert_eq!(made["post"]["version"], 0);

        let input = json!({ "id": id, "expectedVersion": 0, "title": "Two" });
        let first = server.mutate(&ada, "updatePost", input, "post { version title }").await;
        accepted(&first);
        assert_eq!(first["post"], json!({ "version": 1, "title": "Two" }));

        let input = json!({ "id": id, "expectedVersion": 0, "title": "Three" });
        let second = server.mutate(&ada, "updatePost", input, "post { version }").await;
        assert_eq!(refused(&second), "VersionConflict");
        let conflict = &second["errors"][0];
        assert_eq!(conflict["expectedVersion"], 0);
        assert_eq!(conflict["currentVersion"], 1);
        assert_eq!(conflict["current"]["title"], "Two");
        assert_eq!(conflict["current"]["content"], "text");
        assert_eq!(second["post"], json!(null));
    }

    async fn a_deleted_author_comes_back_with_every_post_and_nothing_else(server) {
        let (grace, _) = server.log_in("grace", Role::User).await;
        let (_, admin) = server.log_in("admin", Role::Admin).await;
        let kept = server.world.post(&grace, "Kept").await;
        let gone = server.world.post(&grace, "Gone before").await;
        let posts = "{ posts { totalCount nodes { title author { name } } } }";

        let id = |record: &plimsoll_domain::post::Post| {
            let slug = record.slug.clone();
            let server = &server;
            async move {
                let query = "query($slug: String!) { post(slug: $slug) { id version } }";
                server.data(&NOBODY, query, json!({ "slug": slug })).await["post"].take()
            }
        };
        let first = id(&gone).await;
        let input = json!({ "id": first["id"], "expectedVersion": first["version"] });
        accepted(&server.mutate(&admin, "deletePost", input, "post { id }").await);
        assert_eq!(server.data(&NOBODY, posts, json!({})).await["posts"]["totalCount"], 1);

        let query = "{ users { nodes { id name version } } }";
        let users = server.data(&NOBODY, query, json!({})).await;
        let author = users["users"]["nodes"]
            .as_array()
            .and_then(|users| users.iter().find(|user| user["name"] == "grace"))
            .expect("grace is there")
            .clone();
        let input = json!({ "id": author["id"], "expectedVersion": 0 });
        let deleted = server.mutate(&admin, "deleteUser", input, "user { version }").await;
        accepted(&deleted);
        assert_eq!(server.data(&NOBODY, posts, json!({})).await["posts"]["totalCount"], 0);

        let input = json!({ "id": author["id"], "expectedVersion": 1 });
        accepted(&server.mutate(&admin, "restoreUser", input, "user { version }").await);
        let after = server.data(&NOBODY, posts, json!({})).await;
        assert_eq!(
            after["posts"],
            json!({ "totalCount": 1, "nodes": [{ "title": kept.title, "author": { "name": "grace" } }] })
        );
    }

    async fn a_deleted_record_shows_when_it_will_be_purged(server) {
        let (grace, _) = server.log_in("grace", Role::User).await;
        let (_, admin) = server.log_in("admin", Role::Admin).await;
        let post = server.world.post(&grace, "Post").await;
        let query = "query($slug: String!) { post(slug: $slug, scope: WITH_DELETED) \
                     { deletedAt purgeableAt ... on Record { purgeableAt } \
                     author { id version purgeableAt } } }";
        let seen = async || {
            let variables = json!({ "slug": post.slug });
            server.data(&admin, query, variables).await["post"].take()
        };
        let live = seen().await;
        assert_eq!((&live["purgeableAt"], &live["author"]["purgeableAt"]), (&json!(null), &json!(null)));

        let input = json!({ "id": live["author"]["id"], "expectedVersion": 0 });
        let fields = "user { deletedAt purgeableAt }";
        let deleted = server.mutate(&admin, "deleteUser", input, fields).await;
        accepted(&deleted);
        let time = |value: &serde_json::Value| -> chrono::DateTime<chrono::Utc> {
            value.as_str().and_then(|text| text.parse().ok()).expect("a time")
        };
        let user = &deleted["user"];
        let days = time(&user["purgeableAt"]) - time(&user["deletedAt"]);
        assert_eq!(days, chrono::Duration::days(30));
        let along = seen().await;
        assert_eq!(along["purgeableAt"], user["purgeableAt"], "it was taken along");
        let query = "{ deletions(first: 1) { nodes { purgeableAt root { ... on Record { purgeableAt } } } } }";
        let listed = server.data(&admin, query, json!({})).await;
        let listed = &listed["deletions"]["nodes"][0];
        assert_eq!(listed["purgeableAt"], user["purgeableAt"]);
        assert_eq!(listed["root"]["purgeableAt"], user["purgeableAt"]);

        let input = json!({ "id": live["author"]["id"], "expectedVersion": 1 });
        accepted(&server.mutate(&admin, "restoreUser", input, "user { version }").await);
        let back = seen().await;
        assert_eq!(
            (&back["purgeableAt"], &back["author"]["purgeableAt"]),
            (&json!(null), &json!(null))
        );
        let statements = async |field: &str| {
            let query = format!("{{ posts(scope: WITH_DELETED) {{ nodes {{ {field} }} }} }}");
            server.world.statements.take();
            server.data(&admin, &query, json!({})).await;
            server.world.statements.take().len()
        };
        assert_eq!(statements("purgeableAt").await, statements("deletedAt").await);
    }
}
