//! The record types, in one list.

use std::{collections::HashMap, future::Future};

use plimsoll_entity as entity;
use plimsoll_records::{Read, Record, Retention, Scope, Version, Whole};
use uuid::Uuid;

use crate::{
    Error, Result, Viewer, account, category, deletion, idempotency::Kept, order, policy::Subject,
    post, product, product::inventory, profile, tag, user,
};

/// Declares what knows each record type. A kind's name is that of its [`Subject`] too, and its
/// module has a function `by_ids`.
macro_rules! record_types {
    ($($(#[doc = $doc:literal])+ $kind:ident: $module:ident),* $(,)?) => {
        /// A record of any type.
        #[derive(Clone, Debug, PartialEq)]
        pub enum AnyRecord {
            $($(#[doc = $doc])+ $kind(entity::$module::Model),)*
        }

        /// What a record is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum RecordKind {
            $($(#[doc = $doc])+ $kind,)*
        }

        impl AnyRecord {
            /// The record's version.
            pub fn version(&self) -> Version {
                Version(match self {
                    $(Self::$kind(record) => record.lock_version,)*
                })
            }
        }

        impl RecordKind {
            /// The kind with this name in the register.
            pub fn from_type(record_type: &str) -> Option<Self> {
                $(if record_type == entity::$module::Entity::TYPE {
                    return Some(Self::$kind);
                })*
                None
            }

            /// What the table of permissions calls it.
            pub(crate) fn subject(self) -> Subject {
                match self {
                    $(Self::$kind => Subject::$kind,)*
                }
            }

            /// Removes what a deletion of a record of this kind took, if it is still open.
            pub(crate) async fn purge(
                self,
                tx: &mut plimsoll_records::Tx,
                deletion: &plimsoll_records::Deletion,
                retention: Retention,
            ) -> Result<bool> {
                match self {
                    $(Self::$kind => {
                        deletion::purge_root::<entity::$module::Entity>(tx, deletion, retention).await
                    })*
                }
            }
        }

        /// Those of the records of one kind that the viewer sees, by id.
        ///
        /// # Errors
        ///
        /// Whatever keeps the database from answering.
        pub async fn by_ids(
            read: &Read,
            viewer: &Viewer,
            scope: Scope,
            kind: RecordKind,
            ids: &[Uuid],
        ) -> Result<HashMap<Uuid, AnyRecord>> {
            fn any<T: Into<AnyRecord>>(found: HashMap<Uuid, T>) -> HashMap<Uuid, AnyRecord> {
                found
                    .into_iter()
                    .map(|(id, record)| (id, record.into()))
                    .collect()
            }
            Ok(match kind {
                $(RecordKind::$kind => any($module::by_ids(read, Whole, viewer, scope, ids).await?),)*
            })
        }

        $(
            impl From<entity::$module::Model> for AnyRecord {
                fn from(record: entity::$module::Model) -> Self {
                    Self::$kind(record)
                }
            }

            impl Kept for entity::$module::Model {
                fn record_type(&self) -> &'static str {
                    entity::$module::Entity::TYPE
                }

                fn seen(&self) -> (Uuid, Version) {
                    (self.id.into(), Version(self.lock_version))
                }

                fn again(
                    read: &Read,
                    viewer: &Viewer,
                    ids: &[Uuid],
                ) -> impl Future<Output = Result<HashMap<Uuid, Self>>> + Send {
                    $module::by_ids(read, Whole, viewer, Scope::WithDeleted, ids)
                }
            }
        )*
    };
}

record_types! {
    /// A user.
    User: user,
    /// A profile.
    Profile: profile,
    /// A category.
    Category: category,
    /// A tag.
    Tag: tag,
    /// A post.
    Post: post,
    /// A product.
    Product: product,
    /// The stock of a product.
    Inventory: inventory,
    /// An account.
    Account: account,
    /// An order.
    Order: order,
}

impl RecordKind {
    /// The kind with this name, which a deletion of this database has.
    pub(crate) fn of_deletion(record_type: &str) -> Result<Self> {
        Self::from_type(record_type).ok_or_else(|| {
            Error::Internal(format!(
                "this program knows no records of type {record_type}"
            ))
        })
    }
}
