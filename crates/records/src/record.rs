//! What a record is: the columns that every record has, and how records hang together.

use std::{collections::HashMap, fmt};

use sea_orm::{
    ActiveModelTrait, ActiveValue, ColIdx, ColumnTrait, EntityTrait, IdenStatic, IntoActiveValue,
    Iterable, NotSet, QueryResult, Set, TryGetError, TryGetable, Unchanged, Value,
    sea_query::{ArrayType, ColumnType, Expr, InsertStatement, Query, ValueType, ValueTypeErr},
};
use uuid::Uuid;

use crate::{Link, rows::table_name};

/// A table whose rows carry a version, are marked deleted instead of removed, and are audited.
///
/// Implemented by [`record!`](crate::record!).
pub trait Record: EntityTrait<Model: Sync> {
    /// The type of the record's id, a UUID.
    type Id: Copy + Send + Sync + From<Uuid> + Into<Uuid> + Into<Value> + 'static;

    /// The record's name in the audit log and in errors, in the singular: `post`.
    const TYPE: &'static str;
    /// The primary key.
    const ID: Self::Column;
    /// When the row was made.
    const CREATED_AT: Self::Column;
    /// When the row was last changed.
    const UPDATED_AT: Self::Column;
    /// How many changes the row has had: 0 for a new one.
    const LOCK_VERSION: Self::Column;
    /// When the row was deleted; null while it is live.
    const DELETED_AT: Self::Column;
    /// The deletion that took the row; null while it is live.
    const DELETION_ID: Self::Column;
    /// Columns that are read only when asked for, because they are large.
    const HEAVY: &'static [Self::Column];
    /// Columns that are read only when asked for and never written to the audit log.
    const SECRET: &'static [Self::Column];
    /// Columns that the database computes; they are read and never written.
    const COMPUTED: &'static [Self::Column];

    /// The column's place in the entity, from 0.
    fn index_of(column: Self::Column) -> u32;

    /// How the record depends on others, and what depends on it.
    fn info() -> RecordInfo;
}

/// What deleting a parent does to its children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDelete {
    /// The children are deleted with it, by the same deletion.
    TakeAlong,
    /// Live children stand in the way: the parent stays.
    Refuse,
    /// The children stay; their parent reads as absent.
    Leave,
}

/// A record's reference to another record.
#[derive(Clone, Debug)]
pub struct Parent {
    /// The column that holds the parent's id.
    pub column: &'static str,
    /// The parent's table.
    pub table: &'static str,
    /// What happens to this record when that parent is deleted.
    pub on_delete: OnDelete,
}

/// Rows that are no records of their own and are removed when their record is purged.
#[derive(Clone, Debug)]
pub struct Dependent {
    /// The table of the rows.
    pub table: &'static str,
    /// The column that holds the record's id.
    pub column: &'static str,
}

/// One record type, as the [`Register`] knows it.
#[derive(Clone, Debug)]
pub struct RecordInfo {
    /// See [`Record::TYPE`].
    pub record_type: &'static str,
    /// The table's name.
    pub table: &'static str,
    /// The records it refers to.
    pub parents: Vec<Parent>,
    /// The rows that go with it when it is purged.
    pub dependents: Vec<Dependent>,
}

impl RecordInfo {
    /// The record's table, and those of its dependents.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.table).chain(self.dependents.iter().map(|rows| rows.table))
    }
}

/// A child of some table: the child's record type and the reference that makes it one.
pub(crate) struct Child<'a> {
    pub(crate) info: &'a RecordInfo,
    pub(crate) parent: &'a Parent,
}

/// Every record type of a database. Deletions follow it from parents to children.
///
/// ```
/// # mod library {
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/library.rs"));
/// # }
/// # fn main() {
/// use library::{author, book, loan, subject};
/// use plimsoll_records::Register;
///
/// let register = Register::new()
///     .with::<author::Entity>()
///     .with::<book::Entity>()
///     .with::<subject::Entity>()
///     .with::<loan::Entity>();
/// let tables: Vec<&str> = register.records().iter().map(|info| info.table).collect();
/// assert_eq!(tables, ["authors", "books", "subjects", "loans"]);
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct Register {
    records: Vec<RecordInfo>,
    by_table: HashMap<&'static str, usize>,
    links: Vec<LinkInfo>,
}

/// One link table, as the [`Register`] knows it.
#[derive(Clone, Debug)]
pub(crate) struct LinkInfo {
    pub(crate) table: &'static str,
    pub(crate) owner_table: &'static str,
    pub(crate) owner_column: &'static str,
    pub(crate) target_table: &'static str,
    pub(crate) target_column: &'static str,
    pub(crate) name: &'static str,
}

impl Register {
    /// A register without records.
    pub fn new() -> Self {
        Self::default()
    }

    /// The register with one more record type.
    #[must_use]
    pub fn with<E: Record>(mut self) -> Self {
        let info = E::info();
        self.by_table.insert(info.table, self.records.len());
        self.records.push(info);
        self
    }

    /// The register with one more link table: purging a target tells the owners that link to it.
    #[must_use]
    pub fn with_link<L: Link>(mut self) -> Self {
        self.links.push(LinkInfo {
            table: L::table(),
            owner_table: table_name::<L::Owner>(),
            owner_column: L::owner_column(),
            target_table: table_name::<L::Target>(),
            target_column: L::target_column(),
            name: L::NAME,
        });
        self
    }

    /// The link tables whose links point at rows of `table`.
    pub(crate) fn links_to<'a>(&'a self, table: &'a str) -> impl Iterator<Item = &'a LinkInfo> {
        self.links
            .iter()
            .filter(move |link| link.target_table == table)
    }

    pub(crate) fn has_link(&self, table: &str) -> bool {
        self.links.iter().any(|link| link.table == table)
    }

    /// Every record type, in the order of registration.
    pub fn records(&self) -> &[RecordInfo] {
        &self.records
    }

    pub(crate) fn table(&self, table: &str) -> Option<&RecordInfo> {
        self.by_table.get(table).map(|at| &self.records[*at])
    }

    pub(crate) fn children<'a>(&'a self, table: &'a str) -> impl Iterator<Item = Child<'a>> {
        self.records.iter().flat_map(move |info| {
            info.parents
                .iter()
                .filter(move |parent| parent.table == table)
                .map(move |parent| Child { info, parent })
        })
    }

    /// The tables that a deletion of a row of `table` can reach, each before its children.
    pub(crate) fn reach(&self, table: &str) -> Vec<&RecordInfo> {
        let mut reached: Vec<&RecordInfo> = self.table(table).into_iter().collect();
        let mut next = 0;
        while let Some(info) = reached.get(next).copied() {
            next += 1;
            for child in self.children(info.table) {
                if child.parent.on_delete != OnDelete::TakeAlong || child.info.table == info.table {
                    continue;
                }
                // A table found again further down moves behind its parent.
                if let Some(at) = reached.iter().position(|r| r.table == child.info.table) {
                    if at < next {
                        continue;
                    }
                    reached.remove(at);
                }
                reached.push(child.info);
            }
        }
        reached
    }
}

/// Declares that an entity is a [`Record`].
///
/// It stands in the entity's module, which needs the columns `Id`, `CreatedAt`, `UpdatedAt`,
/// `LockVersion`, `DeletedAt` and `DeletionId` under SeaORM's own names for them (`id`,
/// `created_at`, …). First comes the record's name, then the type of its id: `Uuid`, or a type of
/// your own around one. What follows may be left out:
///
/// - `heavy` and `secret`: columns that a read selects only when [`Rows::with`](crate::Rows::with)
///   asks for them. Their type is a [`Deferred`]. Secret ones stay out of the audit log as well.
/// - `computed`: columns that the database computes.
/// - `parents`: columns that name another record, and what happens when that one is deleted: see
///   [`OnDelete`].
/// - `dependents`: tables of links and facts whose rows go when the record is purged, with the
///   column that holds its id.
///
/// ```
/// # mod author {
/// #     use sea_orm::entity::prelude::*;
/// #     #[sea_orm::model]
/// #     #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
/// #     #[sea_orm(table_name = "authors")]
/// #     pub struct Model {
/// #         #[sea_orm(primary_key, auto_increment = false)]
/// #         pub id: Uuid,
/// #         pub lock_version: i32,
/// #         pub deleted_at: Option<DateTimeUtc>,
/// #         pub deletion_id: Option<Uuid>,
/// #         pub created_at: DateTimeUtc,
/// #         pub updated_at: DateTimeUtc,
/// #     }
/// #     impl ActiveModelBehavior for ActiveModel {}
/// #     plimsoll_records::record! { "author", Uuid }
/// # }
/// mod book {
///     use plimsoll_records::Deferred;
///     use sea_orm::entity::prelude::*;
///
///     #[sea_orm::model]
///     #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
///     #[sea_orm(table_name = "books")]
///     pub struct Model {
///         #[sea_orm(primary_key, auto_increment = false)]
///         pub id: Uuid,
///         pub title: String,
///         pub summary: Deferred<String>,
///         pub author_id: Uuid,
///         pub lock_version: i32,
///         pub deleted_at: Option<DateTimeUtc>,
///         pub deletion_id: Option<Uuid>,
///         pub created_at: DateTimeUtc,
///         pub updated_at: DateTimeUtc,
///     }
///
///     impl ActiveModelBehavior for ActiveModel {}
///
///     plimsoll_records::record! {
///         "book", Uuid,
///         heavy: [Summary],
///         parents: [AuthorId => super::author::Entity, TakeAlong],
///     }
/// }
/// # fn main() {
/// #     use plimsoll_records::{OnDelete, Record};
/// #     let info = <book::Entity as Record>::info();
/// #     assert_eq!(info.parents[0].on_delete, OnDelete::TakeAlong);
/// #     assert_eq!(info.parents[0].table, "authors");
/// # }
/// ```
#[macro_export]
macro_rules! record {
    (
        $name:literal, $id:ty
        $(, heavy: [$($heavy:ident),*])?
        $(, secret: [$($secret:ident),*])?
        $(, computed: [$($computed:ident),*])?
        $(, parents: [$($column:ident => $parent:path, $rule:ident);*])?
        $(, dependents: [$($dependent:path => $dependent_column:ident),*])?
        $(,)?
    ) => {
        impl $crate::Record for Entity {
            type Id = $id;
            const TYPE: &'static str = $name;
            const ID: Column = Column::Id;
            const CREATED_AT: Column = Column::CreatedAt;
            const UPDATED_AT: Column = Column::UpdatedAt;
            const LOCK_VERSION: Column = Column::LockVersion;
            const DELETED_AT: Column = Column::DeletedAt;
            const DELETION_ID: Column = Column::DeletionId;
            const HEAVY: &'static [Column] = &[$($(Column::$heavy),*)?];
            const SECRET: &'static [Column] = &[$($(Column::$secret),*)?];
            const COMPUTED: &'static [Column] = &[$($(Column::$computed),*)?];

            fn index_of(column: Column) -> u32 {
                column as u32
            }

            fn info() -> $crate::RecordInfo {
                use $crate::sea_orm::{EntityName as _, IdenStatic as _};
                $crate::RecordInfo {
                    record_type: $name,
                    table: Entity.table_name(),
                    parents: vec![$($($crate::Parent {
                        column: Column::$column.as_str(),
                        table: <$parent as Default>::default().table_name(),
                        on_delete: $crate::OnDelete::$rule,
                    }),*)?],
                    dependents: vec![$($($crate::Dependent {
                        table: <$dependent as Default>::default().table_name(),
                        column: <<$dependent as $crate::sea_orm::EntityTrait>::Column>::$dependent_column
                            .as_str(),
                    }),*)?],
                }
            }
        }
    };
}

/// The value of a heavy or secret column: there only when the read asked for it.
///
/// Its `Debug` form never shows the value.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum Deferred<T> {
    /// The column was not read.
    #[default]
    Unread,
    /// The column's value.
    Read(T),
}

impl<T> Deferred<T> {
    /// The value, if it was read.
    pub fn get(&self) -> Option<&T> {
        match self {
            Self::Unread => None,
            Self::Read(value) => Some(value),
        }
    }

    /// The value, if it was read.
    pub fn into_inner(self) -> Option<T> {
        match self {
            Self::Unread => None,
            Self::Read(value) => Some(value),
        }
    }
}

impl<T> From<T> for Deferred<T> {
    fn from(value: T) -> Self {
        Self::Read(value)
    }
}

impl<T> fmt::Debug for Deferred<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unread => "Unread",
            Self::Read(_) => "Read(…)",
        })
    }
}

impl<T: Into<Value> + ValueType> From<Deferred<T>> for Value {
    fn from(deferred: Deferred<T>) -> Self {
        match deferred {
            Deferred::Read(value) => value.into(),
            Deferred::Unread => T::column_type_null(),
        }
    }
}

/// The null of a column's type.
trait NullOf: ValueType {
    fn column_type_null() -> Value;
}

impl<T: ValueType> NullOf for T {
    fn column_type_null() -> Value {
        match T::array_type() {
            ArrayType::Bytes => Value::Bytes(None),
            ArrayType::Json => Value::Json(None),
            _ => Value::String(None),
        }
    }
}

impl<T: TryGetable> TryGetable for Deferred<T> {
    fn try_get_by<I: ColIdx>(res: &QueryResult, index: I) -> Result<Self, TryGetError> {
        match T::try_get_by(res, index) {
            Ok(value) => Ok(Self::Read(value)),
            Err(TryGetError::Null(_)) => Ok(Self::Unread),
            Err(TryGetError::DbErr(error)) if is_absent_column(&error) => Ok(Self::Unread),
            Err(error) => Err(error),
        }
    }
}

fn is_absent_column(error: &sea_orm::DbErr) -> bool {
    use sea_orm::{DbErr, RuntimeErr};
    match error {
        DbErr::Query(RuntimeErr::SqlxError(error)) => {
            matches!(**error, sqlx::Error::ColumnNotFound(_))
        }
        _ => false,
    }
}

impl<T: ValueType> ValueType for Deferred<T> {
    fn try_from(value: Value) -> Result<Self, ValueTypeErr> {
        <T as ValueType>::try_from(value).map(Self::Read)
    }

    fn type_name() -> String {
        T::type_name()
    }

    fn array_type() -> ArrayType {
        T::array_type()
    }

    fn column_type() -> ColumnType {
        T::column_type()
    }
}

impl<T: Into<Value> + ValueType> IntoActiveValue<Deferred<T>> for Deferred<T> {
    fn into_active_value(self) -> ActiveValue<Deferred<T>> {
        ActiveValue::Set(self)
    }
}

/// A table that can be read: a [`Record`], or a [`Fact`].
pub trait Table: EntityTrait<Model: Sync> {
    /// The primary key, a UUID.
    const KEY: Self::Column;
    /// When a row was deleted, for tables whose rows can be.
    const DELETED: Option<Self::Column>;

    /// The columns that a read selects unless told otherwise.
    fn selected() -> impl Iterator<Item = Self::Column>;

    /// The column's place in the entity, from 0.
    fn index(column: Self::Column) -> u32;
}

impl<E: Record> Table for E {
    const KEY: Self::Column = <E as Record>::ID;
    const DELETED: Option<Self::Column> = Some(<E as Record>::DELETED_AT);

    fn selected() -> impl Iterator<Item = Self::Column> {
        E::Column::iter()
            .filter(|column| !contains::<E>(E::HEAVY, column) && !contains::<E>(E::SECRET, column))
    }

    fn index(column: Self::Column) -> u32 {
        E::index_of(column)
    }
}

/// A table whose rows are no records: they are added, changed and removed without a version, a
/// deletion or an audit of their own.
///
/// Implemented by [`fact!`](crate::fact!).
pub trait Fact: Table {}

/// Declares that an entity is a [`Fact`]. Its key is its column `Id`.
#[macro_export]
macro_rules! fact {
    () => {
        impl $crate::Table for Entity {
            const KEY: Column = Column::Id;
            const DELETED: Option<Column> = None;

            fn selected() -> impl Iterator<Item = Column> {
                <Column as $crate::sea_orm::Iterable>::iter()
            }

            fn index(column: Column) -> u32 {
                column as u32
            }
        }
        impl $crate::Fact for Entity {}
    };
}

/// A table of this crate that can be read, and is written by this crate alone.
macro_rules! plain_table {
    ($entity:ident) => {
        impl crate::Table for $entity::Entity {
            const KEY: $entity::Column = $entity::Column::Id;
            const DELETED: Option<$entity::Column> = None;

            fn selected() -> impl Iterator<Item = $entity::Column> {
                <$entity::Column as sea_orm::Iterable>::iter()
            }

            fn index(column: $entity::Column) -> u32 {
                column as u32
            }
        }
    };
}
pub(crate) use plain_table;

/// Whether `columns` holds `column`. SeaORM's columns are compared by name.
pub(crate) fn contains<E: EntityTrait>(columns: &[E::Column], column: &E::Column) -> bool {
    columns.iter().any(|c| c.as_str() == column.as_str())
}

/// `INSERT` of rows that all set the same columns.
pub(crate) fn insert_statement<E: EntityTrait>(rows: &[E::ActiveModel]) -> InsertStatement {
    let columns: Vec<E::Column> = match rows.first() {
        Some(first) => E::Column::iter()
            .filter(|column| !matches!(first.get(*column), NotSet))
            .collect(),
        None => Vec::new(),
    };
    let mut statement = Query::insert();
    statement
        .into_table(E::default())
        .columns(columns.iter().copied());
    for row in rows {
        statement.values_panic(columns.iter().map(|column| match row.get(*column) {
            Set(value) | Unchanged(value) => column.save_as(Expr::val(value)),
            NotSet => Expr::keyword_default(),
        }));
    }
    statement
}
