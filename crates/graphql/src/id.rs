//! Ids as clients see them: TypeIDs (the TypeID specification, version 0.3): the record's type,
//! `_`, and the UUID in 26 characters of base 32.

use async_graphql::ID;
use plimsoll_domain::{RecordKind, id};
use type_safe_id::{DynamicType, TypeSafeId};
use uuid::Uuid;

use crate::error::{ApiError, Result};

/// An id type and the prefix that clients know it by. The prefixes are frozen: ids are kept by
/// clients.
pub(crate) trait PublicId: From<Uuid> + Into<Uuid> + Copy {
    const PREFIX: &'static str;
}

macro_rules! public_ids {
    ($($name:ident $prefix:literal),*) => {$(
        impl PublicId for id::$name {
            const PREFIX: &'static str = $prefix;
        }
    )*};
}

public_ids!(
    UserId "user",
    ProfileId "profile",
    CategoryId "category",
    TagId "tag",
    PostId "post",
    ProductId "product",
    InventoryId "inventory",
    AccountId "account",
    OrderId "order",
    TransferId "transfer"
);

/// An id as clients see it.
pub(crate) fn encode<T: PublicId>(id: T) -> ID {
    encode_as(T::PREFIX, id.into())
}

/// The id of a record of this type, as clients see it.
pub fn encode_as(prefix: &str, id: Uuid) -> ID {
    let mut text = String::with_capacity(prefix.len() + 1 + DIGITS_OF_UUID);
    text.push_str(prefix);
    text.push('_');
    // They are ASCII.
    text.push_str(std::str::from_utf8(&digits(id)).unwrap_or_default());
    ID(text)
}

/// The digits of base 32, as Crockford chose them (the TypeID specification, "UUID Encoding").
const DIGITS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// 128 bits in digits of five.
const DIGITS_OF_UUID: usize = 26;

/// An id as clients see it, without its prefix and `_`: ASCII. An answer has many: type-safe-id
/// makes a string of each, for which it checks the prefix and copies it twice.
pub(crate) fn digits(id: Uuid) -> [u8; DIGITS_OF_UUID] {
    let (mut bits, mut digits) = (id.as_u128(), [0; DIGITS_OF_UUID]);
    // As many at a time as fit into what a processor shifts at once.
    for digits in digits.rchunks_mut(12) {
        let mut low = bits as u64;
        for digit in digits.iter_mut().rev() {
            *digit = DIGITS[low as usize % DIGITS.len()];
            low >>= 5;
        }
        bits >>= 60;
    }
    digits
}

/// Reads an id of one type; `argument` names where it stood.
pub(crate) fn decode<T: PublicId>(id: &ID, argument: &str) -> Result<T> {
    let (prefix, uuid) = parse(id, argument)?;
    if prefix == T::PREFIX {
        return Ok(uuid.into());
    }
    Err(ApiError::bad_input(format!(
        "`{argument}` must be the id of a {}, and {:?} is the id of a {prefix}.",
        T::PREFIX,
        shown(id)
    )))
}

/// Reads a list of ids.
pub(crate) fn decode_all<T: PublicId>(ids: &[ID], argument: &str) -> Result<Vec<T>> {
    ids.iter().map(|id| decode(id, argument)).collect()
}

/// How a read names a record.
pub(crate) enum Named<T> {
    Id(T),
    Slug(String),
}

/// Reads the arguments of a read that takes an id or a slug.
pub(crate) fn named<T: PublicId>(id: Option<ID>, slug: Option<String>) -> Result<Named<T>> {
    named_by(id, slug, "slug")
}

/// Reads the arguments of a read that takes an id, or what `argument` holds.
pub(crate) fn named_by<T: PublicId>(
    id: Option<ID>,
    key: Option<String>,
    argument: &str,
) -> Result<Named<T>> {
    match (id, key) {
        (Some(id), None) => Ok(Named::Id(decode(&id, "id")?)),
        (None, Some(key)) => Ok(Named::Slug(key)),
        _ => Err(ApiError::bad_input(format!(
            "Give either `id` or `{argument}`."
        ))),
    }
}

/// What the id of a node names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum NodeId {
    /// A record of this kind.
    Record(RecordKind, Uuid),
    /// A transfer, which is no record: it never changes.
    Transfer(Uuid),
}

/// Reads an id of any node.
pub(crate) fn decode_any(id: &ID, argument: &str) -> Result<NodeId> {
    let (prefix, uuid) = parse(id, argument)?;
    if prefix == id::TransferId::PREFIX {
        return Ok(NodeId::Transfer(uuid));
    }
    match RecordKind::from_type(&prefix) {
        Some(kind) => Ok(NodeId::Record(kind, uuid)),
        None => Err(malformed(id, argument)),
    }
}

fn parse(id: &ID, argument: &str) -> Result<(String, Uuid)> {
    // A TypeID has at most 63 + 1 + 26 characters.
    if id.len() > 90 {
        return Err(malformed(id, argument));
    }
    let parsed: TypeSafeId<DynamicType> = id
        .parse()
        .map_err(|_: type_safe_id::Error| malformed(id, argument))?;
    let prefix = parsed.type_prefix().to_owned();
    // The encoding has one form: another spelling of the same bits is not an id we gave out.
    if encode_as(&prefix, parsed.uuid()) != *id {
        return Err(malformed(id, argument));
    }
    Ok((prefix, parsed.uuid()))
}

fn malformed(id: &ID, argument: &str) -> ApiError {
    ApiError::bad_input(format!("`{argument}`: {:?} is not an id.", shown(id)))
}

/// The id, cut short, for a message.
fn shown(id: &ID) -> String {
    id.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_written_as_the_specification_has_them() {
        for id in [
            Uuid::nil(),
            Uuid::max(),
            Uuid::now_v7(),
            Uuid::from_u128(0x1234_5678),
        ] {
            let kind = DynamicType::new("post").expect("a type");
            let expected = TypeSafeId::from_type_and_uuid(kind, id).to_string();
            assert_eq!(encode_as("post", id).as_str(), expected);
        }
    }
}
