//! Making many records at once.

use async_graphql::Enum;
use plimsoll_domain as domain;

/// What is done about an item whose unique value a live record has. A deleted record is none: it
/// stays deleted, and another is made beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
pub(crate) enum OnConflict {
    /// The record stays as it is, and is answered.
    Skip,
    /// The record becomes what the item says. Its version rises, unless it already was so.
    Update,
    /// Nothing is made, and the item is named.
    #[default]
    Fail,
}

impl From<OnConflict> for domain::OnConflict {
    fn from(on_conflict: OnConflict) -> Self {
        match on_conflict {
            OnConflict::Skip => Self::Skip,
            OnConflict::Update => Self::Update,
            OnConflict::Fail => Self::Fail,
        }
    }
}
