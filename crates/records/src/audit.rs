//! The audit log: who changed what, from which version to which, before and after.

use std::collections::BTreeMap;

use sea_orm::{ActiveValue::Set, IdenStatic, Value, sea_query::sea_value_to_json_value};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    Fault, Record, Tx,
    database::sealed::Connected,
    dialect,
    record::{contains, insert_statement},
};

/// What a change did to a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It was made.
    Create,
    /// Columns or links changed.
    Update,
    /// It was marked deleted, by itself or along with another.
    Delete,
    /// Its deletion was undone.
    Restore,
    /// It was removed for good.
    Purge,
}

impl Action {
    fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Restore => "restore",
            Self::Purge => "purge",
        }
    }
}

/// The table `audit_log`. Rows are added and never changed.
pub mod entity {
    use sea_orm::entity::prelude::*;

    /// One change of one record.
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "audit_log")]
    pub struct Model {
        /// The entry's own id.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        /// When the change was made.
        pub created_at: DateTimeUtc,
        /// The user who made it; none for the program itself.
        pub actor_id: Option<Uuid>,
        /// What was done: see [`Action`](super::Action).
        pub action: String,
        /// The type of the changed record.
        pub record_type: String,
        /// The changed record.
        pub record_id: Uuid,
        /// Its version before; none when it was made.
        pub from_version: Option<i32>,
        /// Its version after; none when it was purged.
        pub to_version: Option<i32>,
        /// Each changed field with its value before and after: `{"title": ["a", "b"]}`.
        pub changes: Json,
        /// The request that asked for it.
        pub request_id: Option<Uuid>,
    }

    /// None: the log outlives what it tells of.
    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

crate::record::plain_table!(entity);

/// One change, waiting for its transaction to end.
pub(crate) struct Entry {
    pub(crate) action: Action,
    pub(crate) record_type: &'static str,
    pub(crate) record_id: Uuid,
    pub(crate) from: Option<i32>,
    pub(crate) to: Option<i32>,
    pub(crate) changes: Changed,
}

/// The fields that a change touched.
#[derive(Default)]
pub(crate) struct Changed(BTreeMap<&'static str, [serde_json::Value; 2]>);

impl Changed {
    /// Nothing but the deletion that took the record, gave it back, or ended with it.
    pub(crate) fn deletion(action: Action, deletion: Uuid) -> Self {
        let (none, this) = (serde_json::Value::Null, serde_json::json!(deletion));
        let mut changed = Self::default();
        match action {
            Action::Delete => changed.note("deletion_id", none, this),
            _ => changed.note("deletion_id", this, none),
        }
        changed
    }

    pub(crate) fn note(
        &mut self,
        field: &'static str,
        before: serde_json::Value,
        after: serde_json::Value,
    ) {
        self.0.insert(field, [before, after]);
    }

    /// Notes a column: a secret one only by its name, a heavy one by its length and digest.
    pub(crate) fn note_column<E: Record>(
        &mut self,
        column: E::Column,
        before: Option<&Value>,
        after: &Value,
    ) {
        let show = |value: &Value| {
            if contains::<E>(E::SECRET, &column) {
                serde_json::json!("(secret)")
            } else if contains::<E>(E::HEAVY, &column) {
                digest(value)
            } else {
                sea_value_to_json_value(value)
            }
        };
        let before = before.map_or(serde_json::Value::Null, show);
        self.note(column.as_str(), before, show(after));
    }
}

fn digest(value: &Value) -> serde_json::Value {
    match value {
        Value::String(Some(text)) => serde_json::json!({
            "bytes": text.len(),
            "sha256": hex(&Sha256::digest(text.as_bytes())),
        }),
        _ => serde_json::Value::Null,
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Writes the changes of a transaction into the log: the last thing before it is committed.
pub(crate) async fn append(tx: &mut Tx) -> Result<(), Fault> {
    tx.damage.may_commit()?;
    let entries = std::mem::take(&mut tx.entries);
    let rows: Vec<entity::ActiveModel> = entries
        .into_iter()
        .map(|entry| entity::ActiveModel {
            id: Set(tx.mint()),
            created_at: Set(tx.now()),
            actor_id: Set(tx.writer().actor),
            action: Set(entry.action.as_str().into()),
            record_type: Set(entry.record_type.into()),
            record_id: Set(entry.record_id),
            from_version: Set(entry.from),
            to_version: Set(entry.to),
            changes: Set(serde_json::json!(entry.changes.0)),
            request_id: Set(tx.writer().request),
        })
        .collect();
    for chunk in rows.chunks(dialect::INSERT_CHUNK) {
        tx.conn()
            .execute(&insert_statement::<entity::Entity>(chunk), &[])
            .await?;
    }
    Ok(())
}
