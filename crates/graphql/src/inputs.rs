//! The types of what clients send, to tell which variables need no validation.

use std::collections::{HashMap, HashSet};

use async_graphql::{
    Value,
    parser::types::{BaseType, ServiceDocument, Type, TypeKind, TypeSystemDefinition},
};

/// The types of a schema, by their names.
#[derive(Debug)]
pub(crate) struct Inputs(HashMap<String, Input>);

#[derive(Debug)]
enum Input {
    /// A built-in scalar type (section 3.5 of the GraphQL specification).
    BuiltIn,
    /// These names.
    Enum(HashSet<String>),
    /// These fields.
    Object(HashMap<String, Field>),
    /// A scalar type of ours, or one that is not sent.
    Other,
}

/// A field of an input object.
#[derive(Debug)]
struct Field {
    ty: Type,
    /// Whether a value must have it.
    needed: bool,
}

impl Inputs {
    /// The types in a schema definition.
    pub(crate) fn of(sdl: &str) -> Self {
        let document = async_graphql::parser::parse_schema(sdl);
        let definitions = document.map(|document: ServiceDocument| document.definitions);
        let mut types = HashMap::new();
        for definition in definitions.unwrap_or_default() {
            let TypeSystemDefinition::Type(definition) = definition else {
                continue;
            };
            let definition = definition.node;
            let input = match definition.kind {
                // A directive can say more of its values (`@oneOf`).
                _ if !definition.directives.is_empty() => Input::Other,
                TypeKind::Enum(of) => {
                    let values = of.values.into_iter();
                    Input::Enum(values.map(|one| one.node.value.node.to_string()).collect())
                }
                TypeKind::InputObject(of) => {
                    let fields = of.fields.into_iter().map(|field| {
                        let field = field.node;
                        let ty = field.ty.node;
                        let needed = !ty.nullable && field.default_value.is_none();
                        (field.name.node.to_string(), Field { ty, needed })
                    });
                    Input::Object(fields.collect())
                }
                _ => Input::Other,
            };
            types.insert(definition.name.node.to_string(), input);
        }
        // They need no definition.
        for name in ["Int", "Float", "String", "Boolean", "ID"] {
            types.insert(name.to_owned(), Input::BuiltIn);
        }
        Self(types)
    }

    /// Whether the schema has a type of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Whether a value is plainly one of this type: made of names and values of the built-in
    /// scalar types, without any that would have to be turned into another. One that is not can be
    /// valid as well.
    pub(crate) fn is_plain(&self, value: &Value, ty: &Type) -> bool {
        let name = match (&ty.base, value) {
            (_, Value::Null) => return ty.nullable,
            (BaseType::List(of), Value::List(items)) => {
                return items.iter().all(|item| self.is_plain(item, of));
            }
            (BaseType::List(_), _) => return false,
            (BaseType::Named(name), _) => name.as_str(),
        };
        match (self.0.get(name), value) {
            (Some(Input::BuiltIn), value) => match (name, value) {
                ("String" | "ID", Value::String(_)) | ("Boolean", Value::Boolean(_)) => true,
                ("Int", Value::Number(number)) => {
                    number.as_i64().is_some_and(|n| i32::try_from(n).is_ok())
                }
                _ => false,
            },
            (Some(Input::Enum(names)), Value::String(name)) => names.contains(name),
            (Some(Input::Object(fields)), Value::Object(given)) => {
                let known = given.keys().all(|name| fields.contains_key(name.as_str()));
                known
                    && fields
                        .iter()
                        .all(|(name, field)| match given.get(name.as_str()) {
                            None => !field.needed,
                            Some(value) => self.is_plain(value, &field.ty),
                        })
            }
            _ => false,
        }
    }
}
