//! Refusals become data of a mutation; what is broken becomes a top-level error with a code.

use async_graphql::{
    ErrorExtensionValues, ErrorExtensions, Interface, Response, ServerError, SimpleObject,
};
use plimsoll_domain::{
    self as domain,
    id::{AccountId, ProductId},
};

use crate::{money::Money, record::Record};

/// The codes in `extensions.code` of top-level errors.
pub mod codes {
    /// An argument cannot be understood: a malformed id, a cursor of another list.
    pub const BAD_USER_INPUT: &str = "BAD_USER_INPUT";
    /// The token is not valid, or nobody is logged in.
    pub const UNAUTHENTICATED: &str = "UNAUTHENTICATED";
    /// The viewer may not ask for this.
    pub const FORBIDDEN: &str = "FORBIDDEN";
    /// The document does not fit the schema.
    pub const VALIDATION_FAILED: &str = "GRAPHQL_VALIDATION_FAILED";
    /// A passing trouble: the same request may succeed if tried again.
    pub const UNAVAILABLE: &str = "UNAVAILABLE";
    /// The changes that a mutation asked for may or may not have been made.
    pub const OUTCOME_UNKNOWN: &str = "OUTCOME_UNKNOWN";
    /// Something is broken on the server.
    pub const INTERNAL: &str = "INTERNAL_SERVER_ERROR";
}

/// What a resolver answers.
pub(crate) type Result<T> = std::result::Result<T, ApiError>;

/// A top-level error. It has no `Display`, so that `?` cannot turn any other error into one
/// without its code.
#[derive(Debug)]
pub(crate) struct ApiError {
    code: &'static str,
    message: String,
}

impl ApiError {
    pub(crate) fn bad_input(message: impl Into<String>) -> Self {
        Self {
            code: codes::BAD_USER_INPUT,
            message: message.into(),
        }
    }

    fn internal(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "a request failed");
        Self {
            code: codes::INTERNAL,
            message: "Something went wrong on the server.".into(),
        }
    }
}

impl From<ApiError> for async_graphql::Error {
    fn from(error: ApiError) -> Self {
        async_graphql::Error::new(error.message).extend_with(|_, e| e.set("code", error.code))
    }
}

impl From<domain::Error> for ApiError {
    fn from(error: domain::Error) -> Self {
        use domain::Error as E;
        match error {
            E::BadPage(bad) => Self::bad_input(format!("{bad}.")),
            E::Invalid(wrong) => {
                let messages: Vec<String> = wrong.into_iter().map(|one| one.message).collect();
                Self::bad_input(messages.join(" "))
            }
            E::Unauthenticated(message) => Self {
                code: codes::UNAUTHENTICATED,
                message,
            },
            E::Forbidden(message) => Self {
                code: codes::FORBIDDEN,
                message,
            },
            E::Unavailable(_) => Self {
                code: codes::UNAVAILABLE,
                message: "The database is busy or away; try again.".into(),
            },
            other => Self::internal(&other),
        }
    }
}

impl From<std::sync::Arc<domain::Error>> for ApiError {
    /// A loader's error, which every key of its batch shares.
    fn from(error: std::sync::Arc<domain::Error>) -> Self {
        match &*error {
            domain::Error::BadPage(bad) => Self::bad_input(format!("{bad}.")),
            domain::Error::Unavailable(timing) => domain::Error::Unavailable(*timing).into(),
            other => Self::internal(other),
        }
    }
}

/// Gives each error that carries no code of ours the one it must have: the library makes such
/// errors for documents and values that do not fit the schema.
pub(crate) fn finish(mut response: Response) -> Response {
    for error in &mut response.errors {
        let coded = error
            .extensions
            .as_ref()
            .is_some_and(|e| e.get("code").is_some());
        if !coded {
            set_code(error);
        }
    }
    response
}

/// The answer to a request that is refused before it is executed, as bad input.
pub(crate) fn refused(error: ServerError) -> Response {
    let mut error = error;
    error
        .extensions
        .get_or_insert_with(ErrorExtensionValues::default)
        .set("code", codes::BAD_USER_INPUT);
    Response::from_errors(vec![error])
}

fn set_code(error: &mut ServerError) {
    let code = if error.path.is_empty() {
        codes::VALIDATION_FAILED
    } else {
        codes::BAD_USER_INPUT
    };
    error
        .extensions
        .get_or_insert_with(ErrorExtensionValues::default)
        .set("code", code);
}

/// Why a mutation changed nothing.
#[derive(Interface)]
#[graphql(
    field(
        name = "message",
        ty = "&String",
        desc = "What is wrong, in a sentence for people."
    ),
    field(
        name = "path",
        ty = "&Vec<String>",
        desc = "Which argument it is about: `[\"input\", \"title\"]`."
    )
)]
pub(crate) enum MutationError {
    VersionConflict(VersionConflict),
    NotFound(NotFound),
    AlreadyExists(AlreadyExists),
    ValidationFailed(ValidationFailed),
    Forbidden(Forbidden),
    StillReferenced(StillReferenced),
    InsufficientStock(InsufficientStock),
    InsufficientFunds(InsufficientFunds),
    PriceChanged(PriceChanged),
    Unavailable(Unavailable),
    OutcomeUnknown(OutcomeUnknown),
}

macro_rules! mutation_errors {
    ($($(#[doc = $doc:literal])+ $name:ident { $($(#[doc = $field_doc:literal])+ $field:ident: $ty:ty),* })*) => {$(
        $(#[doc = $doc])+
        #[derive(SimpleObject)]
        pub(crate) struct $name {
            /// What is wrong, in a sentence for people.
            message: String,
            /// Which argument it is about: `["input", "title"]`.
            path: Vec<String>,
            $($(#[doc = $field_doc])+ $field: $ty,)*
        }
    )*
        impl MutationError {
            /// Which argument it is about, to be changed.
            fn path_mut(&mut self) -> &mut Vec<String> {
                match self {
                    $(Self::$name(error) => &mut error.path,)*
                }
            }
        }
    };
}

mutation_errors! {
    /// The record changed since it was read. Nothing was changed: look at what it is now, and
    /// try again with its version.
    VersionConflict {
        /// The version that the mutation named.
        expected_version: i32,
        /// The version that the record is at.
        current_version: i32,
        /// The record as it is now.
        current: Box<Record>
    }
    /// There is no such record, or the viewer may not see it.
    NotFound {}
    /// A value that must be unique is taken.
    AlreadyExists {}
    /// An argument cannot be accepted.
    ValidationFailed {}
    /// The viewer sees the record and may not do this.
    Forbidden {}
    /// Other records refer to the one that was to go.
    StillReferenced {
        /// The ids of the first of them; empty if they are not known.
        referenced_by: Vec<async_graphql::ID>
    }
    /// There is less of a product than was asked for.
    InsufficientStock {
        /// Which product.
        product_id: async_graphql::ID,
        /// How many are left.
        available: i32
    }
    /// There is less in an account than was to leave it.
    InsufficientFunds {
        /// Which account.
        account_id: async_graphql::ID,
        /// What is in it.
        balance: Money
    }
    /// A product has another price than the one that the client saw.
    PriceChanged {
        /// Which product.
        product_id: async_graphql::ID,
        /// What it costs now.
        current: Money
    }
    /// A passing trouble: the same mutation may succeed if tried again.
    Unavailable {}
    /// The connection was lost during the commit: the change may or may not have been made. Try
    /// again only with the same idempotency key, or look first.
    OutcomeUnknown {}
}

/// What a command answers, as a payload shows it: one record, or a list.
pub(crate) trait Shown<T> {
    fn shown(self) -> T;
}

impl<M: Into<T>, T> Shown<T> for M {
    fn shown(self) -> T {
        self.into()
    }
}

/// What a mutation's payload is made of: the record, or why there is none.
pub(crate) fn outcome<T>(result: domain::Result<T>) -> Result<(Option<T>, Vec<MutationError>)> {
    match result {
        Ok(record) => Ok((Some(record), Vec::new())),
        Err(error) => Ok((None, refusals(error)?)),
    }
}

/// [`outcome`] of a mutation whose input names a record and nothing else: whatever is wrong,
/// it is about that record.
pub(crate) fn outcome_about_id<T>(
    result: domain::Result<T>,
) -> Result<(Option<T>, Vec<MutationError>)> {
    match result {
        Err(domain::Error::AlreadyExists { field }) => {
            let refused = MutationError::AlreadyExists(AlreadyExists {
                message: format!("The {field} of a record that would come back is taken."),
                path: domain::error::path("id"),
            });
            Ok((None, vec![refused]))
        }
        other => outcome(other),
    }
}

fn refusals(error: domain::Error) -> Result<Vec<MutationError>> {
    use domain::Error as E;
    let input = || vec!["input".to_owned()];
    Ok(vec![match error {
        E::NotFound { path } => MutationError::NotFound(NotFound {
            message: "There is no such record.".into(),
            path,
        }),
        E::Conflict { seen, current } => MutationError::VersionConflict(VersionConflict {
            message: format!(
                "It is at version {}, not {}: it changed since you read it.",
                current.version().0,
                seen.0
            ),
            path: domain::error::path("expectedVersion"),
            expected_version: seen.0,
            current_version: current.version().0,
            current: Box::new((*current).into()),
        }),
        E::AlreadyExists { field } => MutationError::AlreadyExists(AlreadyExists {
            message: format!("This {field} is taken."),
            path: domain::error::path(&field),
        }),
        E::Invalid(wrong) => {
            return Ok(wrong
                .into_iter()
                .map(|one| {
                    MutationError::ValidationFailed(ValidationFailed {
                        message: one.message,
                        path: one.path,
                    })
                })
                .collect());
        }
        E::Forbidden(message) | E::Unauthenticated(message) => {
            MutationError::Forbidden(Forbidden {
                message,
                path: input(),
            })
        }
        E::StillReferenced {
            message,
            record_type,
            ids,
        } => MutationError::StillReferenced(StillReferenced {
            message,
            path: domain::error::path("id"),
            referenced_by: ids
                .into_iter()
                .map(|id| crate::id::encode_as(&record_type, id))
                .collect(),
        }),
        E::InsufficientStock {
            path,
            product,
            available,
        } => MutationError::InsufficientStock(InsufficientStock {
            message: format!("There are {available} left."),
            path,
            product_id: crate::id::encode(ProductId(product)),
            available,
        }),
        E::InsufficientFunds {
            path,
            account,
            balance,
        } => MutationError::InsufficientFunds(InsufficientFunds {
            message: format!("There is {balance} in the account."),
            path,
            account_id: crate::id::encode(AccountId(account)),
            balance: balance.into(),
        }),
        E::PriceChanged {
            path,
            product,
            current,
        } => MutationError::PriceChanged(PriceChanged {
            message: format!("It costs {current} now."),
            path,
            product_id: crate::id::encode(ProductId(product)),
            current: current.into(),
        }),
        E::Item { list, index, error } => {
            let mut refused = refusals(*error)?;
            let place = [list.to_owned(), index.to_string()];
            for error in &mut refused {
                let path = error.path_mut();
                let at = path.len().min(1);
                path.splice(at..at, place.clone());
            }
            return Ok(refused);
        }
        E::Unavailable(_) => MutationError::Unavailable(Unavailable {
            message: "The database is busy or away; try again.".into(),
            path: Vec::new(),
        }),
        E::OutcomeUnknown => MutationError::OutcomeUnknown(OutcomeUnknown {
            message: "The connection was lost during the commit: look whether the change was \
                      made before trying again."
                .into(),
            path: Vec::new(),
        }),
        broken @ (E::Internal(_) | E::BadPage(_)) => return Err(broken.into()),
    }])
}

/// Declares a mutation's payload: the record and the errors.
macro_rules! payload {
    ($($(#[doc = $doc:literal])+ $name:ident { $(#[doc = $field_doc:literal])+ $field:ident: $ty:ty })*) => {$(
        $(#[doc = $doc])+
        #[derive(async_graphql::SimpleObject)]
        pub(crate) struct $name {
            $(#[doc = $field_doc])+
            $field: Option<$ty>,
            /// Why nothing was changed; empty when it was.
            errors: Vec<crate::error::MutationError>,
        }

        impl $name {
            fn new<T: crate::error::Shown<$ty>>(
                result: plimsoll_domain::Result<Option<T>>,
            ) -> crate::error::Result<Option<Self>> {
                let (record, errors) = crate::error::outcome(result)?;
                Ok(Some(Self { $field: record.flatten().map(T::shown), errors }))
            }
        }
    )*};
}
pub(crate) use payload;

/// Declares the payload of a mutation that answers with several records.
macro_rules! list_payload {
    ($($(#[doc = $doc:literal])+ $name:ident { $(#[doc = $field_doc:literal])+ $field:ident: [$ty:ty] })*) => {$(
        $(#[doc = $doc])+
        #[derive(async_graphql::SimpleObject)]
        pub(crate) struct $name {
            $(#[doc = $field_doc])+
            $field: Option<Vec<$ty>>,
            /// Why nothing was changed; empty when it was.
            errors: Vec<crate::error::MutationError>,
        }

        impl $name {
            fn new<T: Into<$ty>>(
                result: plimsoll_domain::Result<Option<Vec<T>>>,
            ) -> crate::error::Result<Option<Self>> {
                let (records, errors) = crate::error::outcome(result)?;
                let shown = |records: Vec<T>| records.into_iter().map(Into::into).collect();
                Ok(Some(Self { $field: records.flatten().map(shown), errors }))
            }
        }
    )*};
}
pub(crate) use list_payload;
