//! The records' ids: UUIDs of version 7, one type for each record.

use std::fmt;

use sea_orm::{DbErr, DeriveValueType, TryFromU64};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, DeriveValueType,
        )]
        pub struct $name(pub Uuid);

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl TryFromU64 for $name {
            fn try_from_u64(_: u64) -> Result<Self, DbErr> {
                Err(DbErr::ConvertFromU64(stringify!($name)))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    )*};
}

ids! {
    /// The id of a user.
    UserId
    /// The id of a profile.
    ProfileId
    /// The id of a category.
    CategoryId
    /// The id of a tag.
    TagId
    /// The id of a post.
    PostId
    /// The id of a product.
    ProductId
    /// The id of a product's inventory.
    InventoryId
    /// The id of an account.
    AccountId
    /// The id of an order.
    OrderId
    /// The id of a line of an order.
    OrderItemId
    /// The id of a transfer.
    TransferId
    /// The id of one side of a transfer.
    TransferEntryId
    /// The id of an idempotency key.
    IdempotencyKeyId
    /// The id of a login session.
    LoginSessionId
    /// The id of an import source.
    ImportSourceId
}
