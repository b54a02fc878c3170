//! Deletions: what was deleted together, so that it can be restored together.

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// The table `deletions`: one row for each deletion that was asked for.
pub mod entity {
    use sea_orm::entity::prelude::*;

    /// One deletion.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "deletions")]
    pub struct Model {
        /// What the deleted rows carry as their `deletion_id`.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        /// When it happened.
        pub created_at: DateTimeUtc,
        /// When it was last changed: when it was restored or purged.
        pub updated_at: DateTimeUtc,
        /// Who asked for it.
        pub actor_id: Option<Uuid>,
        /// The type of the record that was named.
        pub root_type: String,
        /// The record that was named.
        pub root_id: Uuid,
        /// How many records it took, the named one included.
        pub row_count: i32,
        /// When it was undone.
        pub restored_at: Option<DateTimeUtc>,
        /// When its rows were removed for good.
        pub purged_at: Option<DateTimeUtc>,
    }

    /// None: the log outlives what it tells of.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// One deletion.
pub type Deletion = entity::Model;

crate::record::plain_table!(entity);

/// How long after its deletion a record may be removed for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention(pub chrono::Duration);

impl Retention {
    /// When what was deleted at `deleted_at` may be purged.
    pub fn purgeable_at(self, deleted_at: DateTime<Utc>) -> DateTime<Utc> {
        deleted_at
            .checked_add_signed(self.0)
            .unwrap_or(DateTime::<Utc>::MAX_UTC)
    }

    /// The latest deletion that may be purged at `now`.
    pub fn cutoff(self, now: DateTime<Utc>) -> DateTime<Utc> {
        now.checked_sub_signed(self.0)
            .unwrap_or(DateTime::<Utc>::MIN_UTC)
    }
}

/// A record, by its type and id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordRef {
    /// See [`Record::TYPE`](crate::Record::TYPE).
    pub record_type: &'static str,
    /// The record's id.
    pub id: Uuid,
}
