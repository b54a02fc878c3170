//! What all records have in common, and reading any of them by its id.

use async_graphql::{Context, ID, Interface, Object};
use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use plimsoll_domain::{
    AnyRecord, RecordKind, Result as DomainResult, Scope, Tx, idempotency::Answer,
};
use uuid::Uuid;

use crate::{
    RequestScope,
    account::{Account, Transfer},
    batch::{Batch, Failure, Loader, RecordById, TransferById},
    category::Category,
    error::{ApiError, Result},
    id::{NodeId, decode_any},
    order::Order,
    post::Post,
    product::{Inventory, Product},
    profile::Profile,
    scope,
    tag::Tag,
    user::User,
};

/// Anything with an id that is unique among all records.
#[derive(Interface)]
#[graphql(field(name = "id", ty = "ID", desc = "The record's id."))]
pub(crate) enum Node {
    User(User),
    Profile(Profile),
    Category(Category),
    Tag(Tag),
    Post(Post),
    Product(Product),
    Inventory(Inventory),
    Account(Account),
    Order(Order),
    Transfer(Transfer),
}

/// Anything that is edited under a version, and deleted so that it can be restored.
#[derive(Interface)]
#[graphql(
    field(name = "id", ty = "ID", desc = "The record's id."),
    field(
        name = "version",
        ty = "i32",
        desc = "How many changes the record has had. A mutation names the version it saw."
    ),
    field(
        name = "created_at",
        ty = "DateTime<Utc>",
        desc = "When the record was made."
    ),
    field(
        name = "updated_at",
        ty = "DateTime<Utc>",
        desc = "When it was last changed."
    ),
    field(
        name = "deleted_at",
        ty = "Option<DateTime<Utc>>",
        desc = "When it was deleted; null while it is live."
    ),
    field(
        name = "purgeable_at",
        ty = "Option<DateTime<Utc>>",
        desc = "From when it may be removed for good; null while it is live."
    )
)]
pub(crate) enum Record {
    User(User),
    Profile(Profile),
    Category(Category),
    Tag(Tag),
    Post(Post),
    Product(Product),
    Inventory(Inventory),
    Account(Account),
    Order(Order),
}

macro_rules! from_any {
    ($interface:ident) => {
        impl From<AnyRecord> for $interface {
            fn from(record: AnyRecord) -> Self {
                match record {
                    AnyRecord::User(record) => Self::User(record.into()),
                    AnyRecord::Profile(record) => Self::Profile(record.into()),
                    AnyRecord::Category(record) => Self::Category(record.into()),
                    AnyRecord::Tag(record) => Self::Tag(record.into()),
                    AnyRecord::Post(record) => Self::Post(record.into()),
                    AnyRecord::Product(record) => Self::Product(record.into()),
                    AnyRecord::Inventory(record) => Self::Inventory(record.into()),
                    AnyRecord::Account(record) => Self::Account(record.into()),
                    AnyRecord::Order(record) => Self::Order(record.into()),
                }
            }
        }
    };
}

from_any!(Node);
from_any!(Record);

/// The most ids that `nodes` takes.
const MAX_NODES: usize = 200;

#[derive(Clone, Default)]
pub(crate) struct RecordQuery;

#[Object]
impl RecordQuery {
    /// The live record with this id; null if there is none that the viewer sees.
    async fn node(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The record's id.")] id: ID,
    ) -> Result<Option<Node>> {
        Ok(match decode_any(&id, "id")? {
            NodeId::Record(kind, id) => {
                let found = load(scope(ctx), RecordById(kind, Scope::Live, id)).await?;
                found.map(Into::into)
            }
            NodeId::Transfer(id) => load(scope(ctx), TransferById(id))
                .await?
                .map(Node::Transfer),
        })
    }

    /// The live records with these ids, in the same order; null in the place of each that the
    /// viewer does not see.
    #[graphql(complexity = "ids.len().saturating_mul(child_complexity).saturating_add(1)")]
    async fn nodes(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The records' ids, 200 at most.")] ids: Vec<ID>,
    ) -> Result<Vec<Option<Node>>> {
        if ids.len() > MAX_NODES {
            return Err(ApiError::bad_input(format!(
                "`ids` must not have more than {MAX_NODES} ids."
            )));
        }
        let ids: Vec<NodeId> = ids
            .iter()
            .map(|id| decode_any(id, "ids"))
            .collect::<Result<_>>()?;
        let (mut records, mut transfers) = (Vec::new(), Vec::new());
        for id in &ids {
            match *id {
                NodeId::Record(kind, id) => records.push(RecordById(kind, Scope::Live, id)),
                NodeId::Transfer(id) => transfers.push(TransferById(id)),
            }
        }
        let loaders = &scope(ctx).loaders;
        let (records, transfers) =
            futures::try_join!(loaders.load(records), loaders.load(transfers))?;
        let (mut records, mut transfers) = (records.into_iter(), transfers.into_iter());
        let found = ids.iter().map(|id| match id {
            NodeId::Record(..) => records.next().flatten().map(Into::into),
            NodeId::Transfer(_) => transfers.next().flatten().map(Node::Transfer),
        });
        Ok(found.collect())
    }
}

/// Runs a read that no loader gathers, in step with the loaders: what it finds is resolved
/// together with what they find, so that the number of statements depends on the request's
/// shape alone.
///
/// In a box, as what [`load`] answers: a field's future has the size of its type's largest, and
/// each field of a row has one.
pub(crate) fn read<'a, T, F, W>(scope: &'a RequestScope, work: F) -> BoxFuture<'a, DomainResult<T>>
where
    T: Send + 'static,
    F: FnOnce(plimsoll_domain::Read, plimsoll_domain::Viewer) -> W,
    W: Future<Output = DomainResult<T>> + Send + 'static,
{
    let work = work(scope.store.read(), scope.viewer());
    Box::pin(scope.spawner.run(work))
}

/// What the loader of this key finds for it, together with all other keys of its level.
pub(crate) fn load<'a, K>(
    scope: &'a RequestScope,
    key: K,
) -> BoxFuture<'a, std::result::Result<Option<<Batch as Loader<K>>::Value>, Failure>>
where
    K: Send + Sync + 'static,
    Batch: Loader<K>,
{
    Box::pin(async move { Ok(scope.loaders.load(vec![key]).await?.pop().flatten()) })
}

/// A record's type, of which one is found by its id.
pub(crate) trait ById: Sized {
    /// What the domain calls it.
    const KIND: RecordKind;

    /// The record, if it is of this type.
    fn of(record: AnyRecord) -> Option<Self>;
}

macro_rules! by_id {
    ($($object:ident),*) => {$(
        impl ById for $object {
            const KIND: RecordKind = RecordKind::$object;

            fn of(record: AnyRecord) -> Option<Self> {
                match record {
                    AnyRecord::$object(record) => Some(record.into()),
                    _ => None,
                }
            }
        }
    )*};
}

by_id!(User, Category, Tag, Product, Order, Account);

/// The record with this id, if the viewer sees it in this scope.
pub(crate) async fn by_id<T: ById>(
    scope: &RequestScope,
    which: Scope,
    id: Uuid,
) -> std::result::Result<Option<T>, Failure> {
    let found = load(scope, RecordById(T::KIND, which, id)).await?;
    Ok(found.and_then(T::of))
}

/// Runs a command of the domain in a transaction of its own, once for each `Idempotency-Key` that
/// a request carries. Changed records come back with their heavy columns if the mutation's
/// selection asks for `content`. `None`: the request was made before, and what came of it is not
/// there for the viewer any longer.
pub(crate) async fn write<T, F>(ctx: &Context<'_>, command: F) -> DomainResult<Option<T>>
where
    T: Answer,
    F: for<'t> FnOnce(&'t mut Tx, &'t plimsoll_domain::Viewer) -> BoxFuture<'t, DomainResult<T>>
        + Clone
        + Send
        + 'static,
{
    write_keyed(ctx, None, command).await
}

/// The same, of a mutation whose input has a key of its own.
pub(crate) async fn write_keyed<T, F>(
    ctx: &Context<'_>,
    key: Option<String>,
    command: F,
) -> DomainResult<Option<T>>
where
    T: Answer,
    F: for<'t> FnOnce(&'t mut Tx, &'t plimsoll_domain::Viewer) -> BoxFuture<'t, DomainResult<T>>
        + Clone
        + Send
        + 'static,
{
    let request = heavy(ctx);
    let viewer = request.viewer;
    let key = crate::idempotency::key_of(ctx, key)?;
    scope(ctx)
        .store
        .write_once(&request, key, move |tx| {
            Box::pin(async move { command(tx, &viewer).await })
        })
        .await
}

/// The request, which wants heavy columns if this field's selection does.
pub(crate) fn heavy(ctx: &Context<'_>) -> plimsoll_domain::Request {
    plimsoll_domain::Request {
        heavy: selects(ctx.field(), "content"),
        ..scope(ctx).caller.request
    }
}

/// Whether a field of this name is selected anywhere below a field.
fn selects(field: async_graphql::SelectionField<'_>, name: &str) -> bool {
    field
        .selection_set()
        .any(|field| field.name() == name || selects(field, name))
}

/// Declares a record's type: the fields that every record has, and those of its own.
///
/// `own` fields are answered by the record itself, from the column that is named; `one` and `many`
/// by records of another type, by a loader's key that is made of the column: rows of a list answer
/// these together, and are read with these columns alone (see [`rows`](crate::rows)). What a `one`
/// field answers is a field of the domain's `Selection` as well, of the same name: lists are read
/// with it, and its key is for where it was not read beside the record. All others have
/// `resolvers`; a record is read whole for them, but for those in `needs`.
macro_rules! record_fields {
    (
        // From the caller, so that the fields see what the attribute defines.
        $hash:tt $object:tt $(#[doc = $doc:literal])+ $name:ident($model:ident of $($module:ident)::+) {
            $(own { $(
                $(#[doc = $own_doc:literal])+
                $own:ident: $own_ty:ty = $own_column:ident $(as $own_from:ty)?;
            )* })?
            $(one { $(
                $(#[doc = $one_doc:literal])+
                $one:ident: $one_ty:ty = $one_key:ident($one_column:ident);
            )* })?
            $(many { $(
                $(#[doc = $many_doc:literal])+
                $many:ident: $many_ty:ty = $many_key:ident($many_column:ident);
            )* })?
            $(pages { $($page:ident: $connection:ident::step($($of:expr)?);)* })?
            $(needs { $($need:ident: $($need_column:ident),+;)* })?
            $(resolvers { $($rest:tt)* })?
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone)]
        pub(crate) struct $name(pub(crate) $($module)::+::View);

        impl From<$($module)::+::View> for $name {
            fn from(view: $($module)::+::View) -> Self {
                Self(view)
            }
        }

        const _: () = {
            use $($module)::+::{Column, Columns, $model as Model, Selection, View};
            type Id = <View as plimsoll_domain::Viewed>::Id;

            impl From<Model> for $name {
                fn from(model: Model) -> Self {
                    View::of(model).into()
                }
            }

            impl $name {
                /// The value of a column.
                #[allow(dead_code, reason = "not every record has resolvers")]
                fn get<T: plimsoll_domain::Readable>(
                    &self,
                    column: Column,
                ) -> crate::error::Result<T> {
                    Ok(self.0.get(column).map_err(plimsoll_domain::Error::from)?)
                }
            }

            $(#[doc = $doc])+
            $hash $object
            impl $name {
                /// The record's id.
                pub(crate) async fn id(&self) -> crate::error::Result<async_graphql::ID> {
                    let id: uuid::Uuid = self.get(Column::Id)?;
                    Ok(crate::id::encode(Id::from(id)))
                }

                /// How many changes the record has had. A mutation names the version it saw.
                pub(crate) async fn version(&self) -> crate::error::Result<i32> {
                    self.get(Column::LockVersion)
                }

                /// When the record was made.
                pub(crate) async fn created_at(
                    &self,
                ) -> crate::error::Result<chrono::DateTime<chrono::Utc>> {
                    self.get(Column::CreatedAt)
                }

                /// When it was last changed.
                pub(crate) async fn updated_at(
                    &self,
                ) -> crate::error::Result<chrono::DateTime<chrono::Utc>> {
                    self.get(Column::UpdatedAt)
                }

                /// When it was deleted; null while it is live.
                pub(crate) async fn deleted_at(
                    &self,
                ) -> crate::error::Result<Option<chrono::DateTime<chrono::Utc>>> {
                    self.get(Column::DeletedAt)
                }

                /// From when it may be removed for good; null while it is live.
                pub(crate) async fn purgeable_at(
                    &self,
                    ctx: &async_graphql::Context<'_>,
                ) -> crate::error::Result<Option<chrono::DateTime<chrono::Utc>>> {
                    let retention = crate::scope(ctx).store.settings().retention;
                    let deleted_at: Option<_> = self.get(Column::DeletedAt)?;
                    Ok(deleted_at.map(|at| retention.purgeable_at(at)))
                }

                $($(
                    $(#[doc = $own_doc])+
                    async fn $own(&self) -> crate::error::Result<$own_ty> {
                        let value: crate::record::own_type!($own_ty $(, $own_from)?) =
                            self.get(Column::$own_column)?;
                        Ok(value.into())
                    }
                )*)?

                $($(
                    $(#[doc = $one_doc])+
                    async fn $one(
                        &self,
                        ctx: &async_graphql::Context<'_>,
                    ) -> crate::error::Result<crate::rows::One<$one_ty>> {
                        let beside = crate::rows::read_beside(&self.0, Column::$one_column)?;
                        if let Some(known) = beside {
                            return Ok(crate::rows::One(known));
                        }
                        let key: Option<uuid::Uuid> = self.get(Column::$one_column)?;
                        let Some(key) = key else {
                            return Ok(crate::rows::One(None));
                        };
                        let columns = crate::rows::Below::of(ctx).columns::<$one_ty>();
                        let found = crate::record::load(crate::scope(ctx), $one_key(columns, key));
                        Ok(crate::rows::One(found.await?))
                    }
                )*)?

                $($(
                    $(#[doc = $many_doc])+
                    async fn $many(
                        &self,
                        ctx: &async_graphql::Context<'_>,
                    ) -> crate::error::Result<crate::rows::List<$many_ty>> {
                        let key: uuid::Uuid = self.get(Column::$many_column)?;
                        let columns = crate::rows::Below::of(ctx).columns::<$many_ty>();
                        let found = crate::record::load(crate::scope(ctx), $many_key(columns, key));
                        Ok(crate::rows::List(found.await?.unwrap_or_default()))
                    }
                )*)?

                $($($rest)*)?
            }

            impl crate::rows::Row for $name {
                type Columns = Selection;

                fn needs(
                    name: &str,
                    #[allow(unused_variables, reason = "some records have nothing below them")]
                    below: crate::rows::Below<'_>,
                ) -> Selection {
                    use crate::rows::is_called;
                    let column = match name {
                        "__typename" => return Selection::default(),
                        "id" => Column::Id,
                        "version" => Column::LockVersion,
                        "createdAt" => Column::CreatedAt,
                        "updatedAt" => Column::UpdatedAt,
                        "deletedAt" | "purgeableAt" => Column::DeletedAt,
                        $($(_ if is_called(name, stringify!($own)) => Column::$own_column,)*)?
                        $($(_ if is_called(name, stringify!($one)) => {
                            return Selection {
                                $one: Some(crate::rows::ColumnSet::own(
                                    below.columns::<$one_ty>(),
                                )),
                                ..Columns::of(&[Column::$one_column]).into()
                            };
                        })*)?
                        $($(_ if is_called(name, stringify!($many)) => Column::$many_column,)*)?
                        $($(_ if is_called(name, stringify!($page)) => Column::Id,)*)?
                        $($(_ if is_called(name, stringify!($need)) => {
                            return Columns::of(&[$(Column::$need_column),+]).into();
                        })*)?
                        _ => return Columns::selected().into(),
                    };
                    Columns::of(&[column]).into()
                }

                fn step<'a>(
                    name: &str,
                    #[allow(unused_variables, reason = "some records have nothing below them")]
                    below: crate::rows::Below<'a>,
                ) -> Option<crate::rows::Step<'a, Self>> {
                    #[allow(unused_imports, reason = "some records have nothing below them")]
                    use crate::rows::{Own, Step, is_called, read, read_own_id, related};
                    type Time = chrono::DateTime<chrono::Utc>;
                    Some(match name {
                        "id" => Step::Own(|row, json| {
                            let id = read_own_id(&row.0, Column::Id)?;
                            json.id(<Id as crate::id::PublicId>::PREFIX, id);
                            Ok(())
                        }),
                        "version" => Step::Own(|row, json| {
                            i32::write_column(&row.0, Column::LockVersion, json)
                        }),
                        "createdAt" => Step::Own(|row, json| {
                            Time::write_column(&row.0, Column::CreatedAt, json)
                        }),
                        "updatedAt" => Step::Own(|row, json| {
                            Time::write_column(&row.0, Column::UpdatedAt, json)
                        }),
                        "deletedAt" => Step::Own(|row, json| {
                            Option::<Time>::write_column(&row.0, Column::DeletedAt, json)
                        }),
                        $($(_ if is_called(name, stringify!($own)) => {
                            crate::record::own_step!(Column::$own_column, $own_ty $(, $own_from)?)
                        })*)?
                        $($(_ if is_called(name, stringify!($one)) => {
                            return crate::rows::to_one::<Self, _, $one_ty>(below, |row, columns| {
                                related(&row.0, Column::$one_column, |key| $one_key(columns, key))
                            });
                        })*)?
                        $($(_ if is_called(name, stringify!($many)) => {
                            return crate::rows::to_many::<Self, _, $many_ty>(below, |row, columns| {
                                Ok($many_key(columns, read_own_id(&row.0, Column::$many_column)?))
                            });
                        })*)?
                        $($(_ if is_called(name, stringify!($page)) => {
                            return $connection::step(below, $($of,)? |row: &Self| {
                                read_own_id(&row.0, Column::Id)
                            });
                        })*)?
                        _ => return None,
                    })
                }
            }
        };
    };
}
pub(crate) use record_fields;

/// The step of an own field: its column's value, turned into the field's type if the two differ.
macro_rules! own_step {
    ($column:expr, $ty:ty) => {
        Step::Own(|row, json| <$ty as Own>::write_column(&row.0, $column, json))
    };
    ($column:expr, $ty:ty, $from:ty) => {
        Step::Own(|row, json| {
            let value: $from = read(&row.0, $column)?;
            crate::json::Leaf::write(<$ty>::from(value), json)
        })
    };
}
pub(crate) use own_step;

/// The type that an own field's column is read as: the field's, unless another is named.
macro_rules! own_type {
    ($ty:ty) => {
        $ty
    };
    ($ty:ty, $from:ty) => {
        $from
    };
}
pub(crate) use own_type;

/// A change to a field: absent leaves it alone, null clears it.
pub(crate) fn patch<T, U>(
    value: async_graphql::MaybeUndefined<T>,
    convert: impl FnOnce(T) -> Result<U>,
) -> Result<plimsoll_domain::Patch<U>> {
    use async_graphql::MaybeUndefined;
    Ok(match value {
        MaybeUndefined::Undefined => plimsoll_domain::Patch::Keep,
        MaybeUndefined::Null => plimsoll_domain::Patch::Clear,
        MaybeUndefined::Value(value) => plimsoll_domain::Patch::Set(convert(value)?),
    })
}

/// [`patch`] of a value that needs no conversion.
pub(crate) fn patch_as_is<T>(value: async_graphql::MaybeUndefined<T>) -> plimsoll_domain::Patch<T> {
    match value {
        async_graphql::MaybeUndefined::Undefined => plimsoll_domain::Patch::Keep,
        async_graphql::MaybeUndefined::Null => plimsoll_domain::Patch::Clear,
        async_graphql::MaybeUndefined::Value(value) => plimsoll_domain::Patch::Set(value),
    }
}

/// Declares a record's deletion, restoration and purge: inputs and payloads are alike.
macro_rules! removal {
    (
        $field:ident: $object:ident, $module:ident, $id:ident,
        $delete:ident($delete_input:ident, $delete_payload:ident, $delete_doc:literal),
        $restore:ident($restore_input:ident, $restore_payload:ident, $restore_doc:literal),
        $purge:ident($purge_input:ident, $purge_payload:ident, $purge_doc:literal),
        $mutation:ident, $name:literal
    ) => {
        crate::record::removal_types!($field: $object, $delete_input, $delete_payload, $name, "deleted");
        crate::record::removal_types!($field: $object, $restore_input, $restore_payload, $name, "restored");
        crate::record::removal_types!($field: $object, $purge_input, $purge_payload, $name, "purged");

        #[derive(Default)]
        pub(crate) struct $mutation;

        #[async_graphql::Object]
        impl $mutation {
            #[doc = $delete_doc]
            async fn $delete(
                &self,
                ctx: &async_graphql::Context<'_>,
                #[graphql(desc = "Which one, and the version that was seen.")]
                input: $delete_input,
            ) -> crate::error::Result<Option<$delete_payload>> {
                let id = crate::id::decode(&input.id, "input.id")?;
                let seen = plimsoll_domain::Version(input.expected_version);
                $delete_payload::new(crate::record::write(ctx, move |tx, viewer| {
                    Box::pin(plimsoll_domain::$module::delete(tx, viewer, id, seen))
                }).await)
            }

            #[doc = $restore_doc]
            async fn $restore(
                &self,
                ctx: &async_graphql::Context<'_>,
                #[graphql(desc = "Which one, and the version that was seen.")]
                input: $restore_input,
            ) -> crate::error::Result<Option<$restore_payload>> {
                let id = crate::id::decode(&input.id, "input.id")?;
                let seen = plimsoll_domain::Version(input.expected_version);
                $restore_payload::new(crate::record::write(ctx, move |tx, viewer| {
                    Box::pin(plimsoll_domain::$module::restore(tx, viewer, id, seen))
                }).await)
            }

            #[doc = $purge_doc]
            async fn $purge(
                &self,
                ctx: &async_graphql::Context<'_>,
                #[graphql(desc = "Which one, and the version that was seen.")]
                input: $purge_input,
            ) -> crate::error::Result<Option<$purge_payload>> {
                let id = crate::id::decode(&input.id, "input.id")?;
                let seen = plimsoll_domain::Version(input.expected_version);
                let retention = crate::scope(ctx).store.settings().retention;
                $purge_payload::new(crate::record::write(ctx, move |tx, viewer| {
                    Box::pin(plimsoll_domain::$module::purge(tx, viewer, id, seen, retention))
                }).await)
            }
        }
    };
}
pub(crate) use removal;

macro_rules! removal_types {
    ($field:ident: $object:ident, $input:ident, $payload:ident, $name:literal, $done:literal) => {
        #[doc = concat!("Which ", $name, " is to be ", $done, ".")]
        #[derive(async_graphql::InputObject)]
        pub(crate) struct $input {
            /// The record's id.
            id: async_graphql::ID,
            /// The version that was seen: another one is a conflict.
            expected_version: i32,
        }

        #[doc = concat!("The ", $name, " that was ", $done, ", or why it was not.")]
        #[derive(async_graphql::SimpleObject)]
        pub(crate) struct $payload {
            #[doc = concat!("The ", $name, " that was ", $done, ".")]
            $field: Option<$object>,
            /// Why nothing was changed; empty when it was.
            errors: Vec<crate::error::MutationError>,
        }

        impl $payload {
            fn new<T: Into<$object>>(
                result: plimsoll_domain::Result<Option<T>>,
            ) -> crate::error::Result<Option<Self>> {
                let (record, errors) = crate::error::outcome_about_id(result)?;
                Ok(Some(Self {
                    $field: record.flatten().map(Into::into),
                    errors,
                }))
            }
        }
    };
}
pub(crate) use removal_types;
