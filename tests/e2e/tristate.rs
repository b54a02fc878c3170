//! An absent field is left alone, and null clears it: whichever way it is written.

use plimsoll_domain::Role;
use plimsoll_testkit::on_every_engine;
use serde_json::{Map, Value, json};

use crate::client::{As, Server, accepted, refused, server};

/// How a client writes a mutation's input.
#[derive(Clone, Copy, Debug)]
enum Written {
    /// Everything in the document.
    Literal,
    /// A variable for each field; what is absent is a variable that is not given.
    Variables,
    /// One variable for the whole input.
    Input,
}

const ALL: [Written; 3] = [Written::Literal, Written::Variables, Written::Input];

/// Runs `update…` on a record with one field absent, null or set. Returns the payload.
async fn update(
    server: &Server,
    who: &As,
    (noun, record): (&str, &Value),
    (field, ty): (&str, &str),
    value: Option<Value>,
    written: Written,
) -> Value {
    let lower = noun.to_lowercase();
    let selection = format!(
        "{lower} {{ version ... on Record {{ id }} }} errors {{ __typename message path }}"
    );
    let name = format!("update{noun}");
    let (id, version) = (&record["id"], &record["version"]);
    let (query, variables) = match written {
        Written::Literal => {
            let given = value.map_or(String::new(), |value| format!("{field}: {value}"));
            let query = format!(
                "mutation {{ {name}(input: {{ id: {id}, expectedVersion: {version}, {given} }}) {{ {selection} }} }}"
            );
            (query, json!({}))
        }
        Written::Variables => {
            let query = format!(
                "mutation($id: ID!, $version: Int!, $value: {ty}) {{ \
                 {name}(input: {{ id: $id, expectedVersion: $version, {field}: $value }}) {{ {selection} }} }}"
            );
            let mut variables = Map::new();
            variables.insert("id".into(), id.clone());
            variables.insert("version".into(), version.clone());
            if let Some(value) = value {
                variables.insert("value".into(), value);
            }
            (query, variables.into())
        }
        Written::Input => {
            let query = format!(
                "mutation($input: Update{noun}Input!) {{ {name}(input: $input) {{ {selection} }} }}"
            );
            let mut input = Map::new();
            input.insert("id".into(), id.clone());
            input.insert("expectedVersion".into(), version.clone());
            if let Some(value) = value {
                input.insert(field.into(), value);
            }
            (query, json!({ "input": input }))
        }
    };
    server.data(who, &query, variables).await[&name].take()
}

async fn read(server: &Server, who: &As, id: &Value, field: &str) -> Value {
    let query =
        format!("query($id: ID!) {{ node(id: $id) {{ id ... on Record {{ version }} {field} }} }}");
    server.data(who, &query, json!({ "id": id })).await["node"].take()
}

/// A field that can be cleared: absent keeps it, null clears it, a value sets it.
async fn can_be_cleared(
    server: &Server,
    who: &As,
    (noun, id): (&str, &Value),
    field: (&str, &str),
    (shown, value, empty): (&str, Value, Value),
) {
    for written in ALL {
        let before = read(server, who, id, shown).await;
        accepted(
            &update(
                server,
                who,
                (noun, &before),
                field,
                Some(value.clone()),
                written,
            )
            .await,
        );
        let set = read(server, who, id, shown).await;
        assert_eq!(
            set["version"].as_i64(),
            before["version"].as_i64().map(|v| v + 1)
        );
        assert_ne!(set["shown"], empty, "{noun}.{} {written:?}", field.0);

        accepted(&update(server, who, (noun, &set), field, None, written).await);
        let kept = read(server, who, id, shown).await;
        assert_eq!(kept, set, "absent changed {noun}.{} {written:?}", field.0);

        accepted(&update(server, who, (noun, &set), field, Some(Value::Null), written).await);
        let cleared = read(server, who, id, shown).await;
        assert_eq!(cleared["shown"], empty, "{noun}.{} {written:?}", field.0);
        assert_eq!(
            cleared["version"].as_i64(),
            set["version"].as_i64().map(|v| v + 1)
        );
    }
}

on_every_engine! {
    with server;

    async fn absent_leaves_a_field_alone_and_null_clears_it(server) {
        let (ada, token) = server.log_in("ada", Role::Moderator).await;
        let viewer = server.data(&token, "{ viewer { user { id } } }", json!({})).await;
        let me = &viewer["viewer"]["user"]["id"];
        let made = server.mutate(&token, "createProfile", json!({ "userId": me }), "profile { id }").await;
        accepted(&made);
        let profile = ("Profile", &made["profile"]["id"]);
        let bio = ("... on Profile { shown: bio }", json!("a \"bio\""), Value::Null);
        can_be_cleared(&server, &token, profile, ("bio", "String"), bio).await;
        let url = ("... on Profile { shown: avatarUrl }", json!("https://test.invalid/a"), Value::Null);
        can_be_cleared(&server, &token, profile, ("avatarUrl", "String"), url).await;

        let top = server.world.category("Top", None).await;
        server.world.category("Below", None).await;
        let top = server.id_of(&token, "category", &top.slug).await;
        let below = server.id_of(&token, "category", "below").await;
        let parent = ("... on Category { shown: parent { id } }", top.clone(), Value::Null);
        can_be_cleared(&server, &token, ("Category", &below), ("parentId", "ID"), parent).await;

        let post = server.world.post(&ada, "Post").await;
        let post = server.id_of(&token, "post", &post.slug).await;
        let category = ("... on Post { shown: category { id } }", top, Value::Null);
        can_be_cleared(&server, &token, ("Post", &post), ("categoryId", "ID"), category).await;
    }

    async fn null_is_refused_where_a_field_cannot_be_empty(server) {
        let (ada, token) = server.log_in("ada", Role::Admin).await;
        let post = server.world.post(&ada, "Post").await;
        let tag = server.world.tag("tag").await;
        let category = server.world.category("category", None).await;
        let viewer = server.data(&token, "{ viewer { user { id } } }", json!({})).await;
        let post = server.id_of(&token, "post", &post.slug).await;
        let tag = server.id_of(&token, "tag", &tag.slug).await;
        let category = server.id_of(&token, "category", &category.slug).await;
        let fields = [
            ("Post", &post, "title", "String"),
            ("Post", &post, "slug", "String"),
            ("Post", &post, "content", "String"),
            ("Tag", &tag, "name", "String"),
            ("Tag", &tag, "slug", "String"),
            ("Category", &category, "name", "String"),
            ("Category", &category, "slug", "String"),
            ("User", &viewer["viewer"]["user"]["id"], "name", "String"),
            ("User", &viewer["viewer"]["user"]["id"], "email", "String"),
            ("User", &viewer["viewer"]["user"]["id"], "role", "Role"),
            ("User", &viewer["viewer"]["user"]["id"], "isActive", "Boolean"),
        ];
        for (noun, id, field, ty) in fields {
            let before = read(&server, &token, id, "").await;
            for written in ALL {
                let payload = update(&server, &token, (noun, &before), (field, ty), Some(Value::Null), written).await;
                assert_eq!(refused(&payload), "ValidationFailed", "{noun}.{field} {written:?}");
                assert_eq!(payload["errors"][0]["path"], json!(["input", field]));
                let absent = update(&server, &token, (noun, &before), (field, ty), None, written).await;
                accepted(&absent);
            }
            assert_eq!(read(&server, &token, id, "").await, before, "{noun}.{field}");
        }
    }
}
