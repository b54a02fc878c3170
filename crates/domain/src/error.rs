//! What can happen to a request, in the words of the business.

use plimsoll_records::{
    BadPage, BatchRefused, Fault, Record, Refused, Timing, UpsertRefused, Version,
};
use uuid::Uuid;

use crate::{AnyRecord, money::Money};

/// The answer of every function that can be refused.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a request was refused, or failed. Nothing was changed, unless the variant says so.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such record, or the viewer may not see it. The path names the argument.
    #[error("not found")]
    NotFound {
        /// The argument that named it.
        path: Vec<String>,
    },
    /// The record changed since the viewer read it.
    #[error("the record is at version {}, not {}", current.version().0, seen.0)]
    Conflict {
        /// The version that the viewer saw.
        seen: Version,
        /// The record as it is now.
        current: Box<AnyRecord>,
    },
    /// A value that must be unique is taken.
    #[error("{field} is taken")]
    AlreadyExists {
        /// The argument that holds the value.
        field: String,
    },
    /// Arguments that cannot be accepted, each with the reason.
    #[error("invalid arguments")]
    Invalid(Vec<Invalid>),
    /// The viewer sees the record and may not do this to it.
    #[error("{0}")]
    Forbidden(String),
    /// Nobody is logged in, or the token is not good any longer.
    #[error("{0}")]
    Unauthenticated(String),
    /// Arguments of a list that do not fit together, or a cursor of another list.
    #[error(transparent)]
    BadPage(#[from] BadPage),
    /// Other records refer to the one that was to go.
    #[error("{message}")]
    StillReferenced {
        /// What stands in the way.
        message: String,
        /// The type of the records that refer to it.
        record_type: String,
        /// The first of them.
        ids: Vec<Uuid>,
    },
    /// There is less of a product than was asked for.
    #[error("{available} left of product {product}")]
    InsufficientStock {
        /// The argument that asked for it.
        path: Vec<String>,
        /// Which product.
        product: Uuid,
        /// How many are left.
        available: i32,
    },
    /// There is less in an account than was to leave it.
    #[error("{balance} in account {account}")]
    InsufficientFunds {
        /// The argument that asked for it.
        path: Vec<String>,
        /// Which account.
        account: Uuid,
        /// What is in it.
        balance: Money,
    },
    /// A product has another price than the one that the viewer saw.
    #[error("product {product} costs {current}")]
    PriceChanged {
        /// The argument that named the price.
        path: Vec<String>,
        /// Which product.
        product: Uuid,
        /// What it costs now.
        current: Money,
    },
    /// One of the items of a list was refused, and with it the whole list.
    #[error("{list} {index}: {error}")]
    Item {
        /// The argument that holds the list.
        list: &'static str,
        /// The item's place, from 0.
        index: usize,
        /// Why. Its paths are those of an input that is the item.
        error: Box<Error>,
    },
    /// A passing trouble: the same may succeed if tried again.
    #[error("the database is busy or away")]
    Unavailable(Timing),
    /// The change may or may not have been made.
    #[error("the connection was lost during the commit")]
    OutcomeUnknown,
    /// Something is broken; for the log, never for a client.
    #[error("{0}")]
    Internal(String),
}

/// An argument that cannot be accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// Where the argument is: `["input", "title"]`.
    pub path: Vec<String>,
    /// What is wrong with it: a sentence for people.
    pub message: String,
}

impl Error {
    /// The record that the mutation's `id` names is not there for the viewer.
    pub fn not_found() -> Self {
        Self::not_found_at("id")
    }

    /// The record that a field of the input names is not there for the viewer.
    pub fn not_found_at(field: &str) -> Self {
        Self::NotFound { path: path(field) }
    }

    /// The same, about an item of a list.
    #[must_use]
    pub fn of_item(self, list: &'static str, index: usize) -> Self {
        match self {
            // What is about the request as a whole stays so.
            Self::Unauthenticated(_)
            | Self::BadPage(_)
            | Self::Unavailable(_)
            | Self::OutcomeUnknown
            | Self::Internal(_) => self,
            error => Self::Item {
                list,
                index,
                error: Box::new(error),
            },
        }
    }

    /// Why a batch was refused whose records are the items of a list.
    pub(crate) fn of_batch<E: Record>(list: &'static str, refused: BatchRefused<E>) -> Self
    where
        AnyRecord: From<E::Model>,
    {
        match refused {
            BatchRefused::Item { index, reason, .. } => Self::from(*reason).of_item(list, index),
            BatchRefused::Twice { index, .. } => {
                Self::invalid("id", "It is named before.").of_item(list, index)
            }
            BatchRefused::TooMany(most) => {
                Self::invalid(list, format!("There may be at most {most}."))
            }
            BatchRefused::Refused(refused) => refused.into(),
        }
    }

    /// Why an upsert was refused whose rows are the items of a list. `key` is the field that holds
    /// what the records are found by.
    pub(crate) fn of_upsert<E: Record>(
        list: &'static str,
        key: &str,
        refused: UpsertRefused<E>,
    ) -> Self
    where
        AnyRecord: From<E::Model>,
    {
        match refused {
            UpsertRefused::Taken { index, .. } => {
                Self::AlreadyExists { field: key.into() }.of_item(list, index)
            }
            UpsertRefused::Item { index, reason } => Self::from(*reason).of_item(list, index),
            UpsertRefused::Twice { index, first } => {
                Self::invalid(key, format!("Item {first} has the same.")).of_item(list, index)
            }
            UpsertRefused::TooMany(most) => {
                Self::invalid(list, format!("There may be at most {most}."))
            }
            UpsertRefused::Refused(refused) => refused.into(),
        }
    }

    /// One field of the input cannot be accepted.
    pub fn invalid(field: &str, message: impl Into<String>) -> Self {
        Self::Invalid(vec![Invalid {
            path: path(field),
            message: message.into(),
        }])
    }
}

/// Where a field of a mutation's input is.
pub fn path(field: &str) -> Vec<String> {
    vec!["input".into(), field.into()]
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Duplicate(place) => Self::AlreadyExists {
                field: field_of(&place.column),
            },
            Fault::DataException(place) => Self::Invalid(vec![Invalid {
                path: match place.column.as_str() {
                    "" => vec!["input".into()],
                    column => path(&field_of(column)),
                },
                message: "The database cannot hold this value.".into(),
            }]),
            Fault::Reference { .. } => Self::StillReferenced {
                message: "Other records still refer to it.".into(),
                record_type: String::new(),
                ids: Vec::new(),
            },
            Fault::Transient(timing) => Self::Unavailable(timing),
            Fault::OutcomeUnknown => Self::OutcomeUnknown,
            fault @ (Fault::Check { .. }
            | Fault::Wall(_)
            | Fault::ReadOnly
            | Fault::Internal(_)) => Self::Internal(fault.to_string()),
        }
    }
}

/// The client's name for a column: `email` for the folded `email_key`, `userId` for `user_id`.
fn field_of(column: &str) -> String {
    let mut words = column.strip_suffix("_key").unwrap_or(column).split('_');
    let mut field = words.next().unwrap_or_default().to_owned();
    for word in words {
        let (first, rest) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
        field.push_str(&first.to_uppercase());
        field.push_str(rest);
    }
    field
}

impl<E: Record> From<Refused<E>> for Error
where
    AnyRecord: From<E::Model>,
{
    fn from(refused: Refused<E>) -> Self {
        match refused {
            Refused::Conflict { seen, current } => Self::Conflict {
                seen,
                current: Box::new((*current).into()),
            },
            Refused::NotFound | Refused::Deleted(_) => Self::not_found(),
            Refused::Live(_) => Self::invalid("id", "It is not deleted."),
            Refused::Unmet(_) => Self::invalid("id", "What it is now does not allow this."),
            Refused::StillReferenced { record_type, ids } => Self::StillReferenced {
                message: format!("A {record_type} still belongs to it."),
                record_type: record_type.into(),
                ids,
            },
            Refused::TooMany => Self::invalid(
                "id",
                format!(
                    "Deleting this would take more than {} records along; delete some of them \
                     first.",
                    plimsoll_records::MAX_DELETION
                ),
            ),
            Refused::TakenAlong(deletion) => Self::invalid(
                "id",
                format!(
                    "It was deleted along with a {}; restore or purge that one.",
                    deletion.root_type
                ),
            ),
            Refused::ParentDeleted(parent) => Self::invalid(
                "id",
                format!(
                    "The {} that it belongs to is deleted; restore that one first.",
                    parent.record_type
                ),
            ),
            Refused::TooEarly(from) => Self::invalid(
                "id",
                format!(
                    "The retention time is not over; it may be purged from {}.",
                    from.format("%Y-%m-%dT%H:%M:%SZ")
                ),
            ),
            Refused::Fault(fault) => fault.into(),
        }
    }
}
