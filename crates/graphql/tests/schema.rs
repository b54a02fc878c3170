//! The schema as clients read it: `schema.graphql`, its descriptions, and GraphiQL's examples.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use async_graphql::{
    Positioned,
    parser::{
        parse_query, parse_schema,
        types::{
            ConstDirective, FieldDefinition, InputValueDefinition, TypeKind, TypeSystemDefinition,
        },
    },
};

type Result = std::result::Result<(), Box<dyn Error>>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_checked_in_schema_is_the_real_one() {
    let kept = fs::read_to_string(root().join("schema.graphql")).unwrap_or_default();
    assert!(
        kept.replace("\r\n", "\n") == plimsoll_graphql::sdl(),
        "schema.graphql is not the schema any more. If the change is meant, write it again:\n\n    \
         cargo run -- schema > schema.graphql\n"
    );
}

#[test]
fn everything_in_the_schema_is_described() -> Result {
    let document = parse_schema(plimsoll_graphql::sdl())?;
    let mut all = Descriptions::default();
    for definition in &document.definitions {
        let TypeSystemDefinition::Type(definition) = definition else {
            // The directives are GraphQL's own, and the schema's roots are types.
            continue;
        };
        let definition = &definition.node;
        let name = definition.name.node.as_str();
        all.see(name, definition.description.as_ref());
        match &definition.kind {
            TypeKind::Object(object) => all.fields(name, &object.fields),
            TypeKind::Interface(interface) => all.fields(name, &interface.fields),
            TypeKind::InputObject(input) => all.inputs(name, &input.fields),
            TypeKind::Enum(choices) => {
                for value in &choices.values {
                    let value = &value.node;
                    let place = format!("{name}.{}", value.value.node);
                    all.see(&place, value.description.as_ref());
                    all.deprecated(&place, &value.directives);
                }
            }
            TypeKind::Scalar | TypeKind::Union(_) => {}
        }
    }
    assert!(all.seen > 500, "only {} places were looked at", all.seen);
    assert!(
        all.missing.is_empty(),
        "without a description:\n  {}",
        all.missing.join("\n  ")
    );
    Ok(())
}

/// What was looked at, and what has nothing to say for itself.
#[derive(Default)]
struct Descriptions {
    seen: usize,
    missing: Vec<String>,
}

impl Descriptions {
    fn see(&mut self, place: &str, description: Option<&Positioned<String>>) {
        self.seen += 1;
        if description.is_none_or(|text| text.node.trim().is_empty()) {
            self.missing.push(place.to_owned());
        }
    }

    fn fields(&mut self, of: &str, fields: &[Positioned<FieldDefinition>]) {
        for field in fields {
            let field = &field.node;
            let place = format!("{of}.{}", field.name.node);
            self.see(&place, field.description.as_ref());
            self.deprecated(&place, &field.directives);
            self.inputs(&place, &field.arguments);
        }
    }

    fn inputs(&mut self, of: &str, inputs: &[Positioned<InputValueDefinition>]) {
        for input in inputs {
            let place = format!("{of}({})", input.node.name.node);
            self.see(&place, input.node.description.as_ref());
        }
    }

    /// What is deprecated says what to use instead.
    fn deprecated(&mut self, place: &str, directives: &[Positioned<ConstDirective>]) {
        let silent = directives.iter().any(|directive| {
            directive.node.name.node == "deprecated"
                && directive.node.get_argument("reason").is_none()
        });
        if silent {
            self.missing.push(format!("{place} (why it is deprecated)"));
        }
    }
}

/// That they run, and what they answer, `web/e2e/examples.mjs` tests.
#[test]
fn every_example_is_one_operation_and_in_the_menu() -> Result {
    let folder = root().join("web/src/examples");
    let menu: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(folder.join("menu.json"))?)?;
    let mut listed: Vec<&str> = menu
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|group| group.get("examples")?.as_array())
        .flatten()
        .filter_map(serde_json::Value::as_str)
        .collect();
    listed.sort_unstable();

    let mut found = Vec::new();
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|ending| ending != "graphql") {
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let document =
            parse_query(fs::read_to_string(&path)?).map_err(|error| format!("{name}: {error}"))?;
        assert_eq!(document.operations.iter().count(), 1, "{name}");

        let variables = path.with_extension("variables.json");
        let given: serde_json::Value = if variables.exists() {
            serde_json::from_str(&fs::read_to_string(&variables)?)?
        } else {
            serde_json::json!({})
        };
        let mut given: Vec<&str> = given
            .as_object()
            .into_iter()
            .flat_map(|object| object.keys())
            .map(String::as_str)
            .collect();
        let mut declared: Vec<&str> = document
            .operations
            .iter()
            .flat_map(|(_, operation)| &operation.node.variable_definitions)
            .map(|variable| variable.node.name.node.as_str())
            .collect();
        given.sort_unstable();
        declared.sort_unstable();
        assert_eq!(given, declared, "the variables of {name}");
        found.push(name.into_owned());
    }
    found.sort_unstable();
    assert_eq!(found, listed, "the files, and the menu");
    Ok(())
}
