//! The keys by which a mutation that is sent again is known: the `Idempotency-Key` header (IETF
//! draft-ietf-httpapi-idempotency-key-header-07), or `idempotencyKey` in the mutation's input.

use async_graphql::{
    Context, Request, ServerError, Value,
    parser::types::{OperationType, Selection},
};
use plimsoll_domain::{self as domain, idempotency::Key};

use crate::scope;

/// The field of an input that holds a key.
const FIELD: &str = "idempotencyKey";

/// Fields that no digest is kept of: it would be guessed at sooner than the hash that is made to be
/// slow.
const SECRET: [&str; 2] = ["password", "currentPassword"];

/// The mutations that cannot be repeated by a key: what they answer is not kept.
const NEVER: [&str; 2] = ["login", "logout"];

/// The key of the mutation that is being resolved: the one in its input, or the header's.
pub(crate) fn key_of(ctx: &Context<'_>, input: Option<String>) -> domain::Result<Option<Key>> {
    let header = scope(ctx).caller.idempotency_key.as_deref();
    let key = match (input.as_deref(), header) {
        (None, None) => return Ok(None),
        (Some(input), Some(header)) if input != header => {
            return Err(domain::Error::invalid(
                FIELD,
                "The header Idempotency-Key has another one.",
            ));
        }
        (Some(key), _) | (None, Some(key)) => key,
    };
    let field = ctx.field();
    let arguments = field
        .arguments()
        .map_err(|error| domain::Error::Internal(format!("arguments cannot be read: {error:?}")))?;
    let mut request = format!("{} ", field.name());
    for (name, value) in arguments {
        write_canonical(&mut request, name.as_str(), &value);
    }
    Key::new(key, request.as_bytes()).map(Some)
}

/// Writes a value so that equal values are written alike: the fields of objects in the order of
/// their names, without the key and without secrets.
fn write_canonical(text: &mut String, name: &str, value: &Value) {
    text.push_str(&serde_json::Value::from(name).to_string());
    text.push(':');
    match value {
        Value::Object(fields) => {
            let kept = |name: &str| name != FIELD && !SECRET.contains(&name);
            let mut fields: Vec<_> = fields.iter().filter(|(name, _)| kept(name)).collect();
            fields.sort_by_key(|(name, _)| name.as_str());
            text.push('{');
            for (name, value) in fields {
                write_canonical(text, name.as_str(), value);
            }
            text.push('}');
        }
        Value::List(items) => {
            text.push('[');
            for item in items {
                write_canonical(text, "", item);
            }
            text.push(']');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
    text.push(',');
}

/// Refuses a request whose `Idempotency-Key` could not be kept: it belongs to one mutation.
pub(crate) fn check_request(request: &mut Request) -> Result<(), ServerError> {
    let name = request.operation_name.clone();
    let document = request.parsed_query()?;
    let operation = match name {
        Some(name) => document
            .operations
            .iter()
            .find(|(own, _)| own.is_some_and(|own| *own == name)),
        None => document.operations.iter().next(),
    };
    // What names no operation is refused when it is executed.
    let Some((_, operation)) = operation else {
        return Ok(());
    };
    if operation.node.ty != OperationType::Mutation {
        return Ok(());
    }
    let refuse = |message: &str| Err(ServerError::new(message, None));
    match operation.node.selection_set.node.items.as_slice() {
        [root] => match &root.node {
            Selection::Field(field) if NEVER.contains(&field.node.name.node.as_str()) => {
                refuse("The header Idempotency-Key cannot be used to log in or out.")
            }
            Selection::Field(_) => Ok(()),
            Selection::FragmentSpread(_) | Selection::InlineFragment(_) => refuse(
                "With the header Idempotency-Key, the mutation must not be inside a fragment.",
            ),
        },
        _ => refuse("The header Idempotency-Key is for a request with one mutation."),
    }
}
