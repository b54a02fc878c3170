//! Resolving rows together: what a list's rows answer by themselves costs no future, and what
//! they ask of other rows is asked once for all of them.
//!
//! async-graphql resolves each field of each row by a future of its own. A [`Plan`] is made of a
//! selection once for all rows of a list. A [`Step`] says how it answers a field: from the row
//! itself, by a read for all rows at once, or, where the field takes arguments or needs more than
//! that, by its resolver, as the library would. What a plan cannot express (a field that is
//! selected twice, a fragment on an interface) is left to the library as well: the answers are the
//! same.

use std::{any::Any, borrow::Cow, collections::HashMap, hash::Hash, sync::Arc};

use async_graphql::{
    ContainerType, Context, ContextSelectionSet, Name, OutputType, Positioned, ScalarType,
    ServerResult, Value,
    indexmap::IndexMap,
    parser::types::{Field, FragmentDefinition, Selection, SelectionSet},
    registry::Registry,
    resolver_utils::resolve_list,
};
use futures::future::{BoxFuture, try_join, try_join_all};
use plimsoll_domain as domain;

use crate::{
    RequestScope,
    batch::{Batch, Failure, Loader},
    scope,
};

/// An object type whose rows are resolved together.
pub(crate) trait Row: ContainerType + Clone + Send + Sync + 'static {
    /// Which of their columns rows are read with.
    type Columns: ColumnSet;

    /// The columns that the field of this name needs.
    fn needs(name: &str) -> Self::Columns;

    /// How rows answer the field of this name, without its resolver. `None`: its resolver does.
    fn step<'a>(name: &str, below: Below<'a>) -> Option<Step<'a, Self>>;
}

/// Some columns of a table, or nothing for rows that are always read whole.
pub(crate) trait ColumnSet: Copy + Default + Eq + Hash + Send + Sync + 'static {
    /// These and others.
    fn or(self, others: Self) -> Self;
}

impl ColumnSet for () {
    fn or(self, (): Self) -> Self {}
}

impl<E: domain::Table> ColumnSet for domain::Columns<E> {
    fn or(self, others: Self) -> Self {
        self.or(others)
    }
}

/// How rows answer a field.
pub(crate) enum Step<'a, T> {
    /// Each by itself.
    Own(fn(&T) -> Result<Value, Failure>),
    /// By a read for all of them.
    Related(Box<dyn Relation<T> + 'a>),
}

/// What is selected below a field, and the document's fragments.
#[derive(Clone, Copy)]
pub(crate) struct Below<'a> {
    set: &'a SelectionSet,
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
}

impl<'a> Below<'a> {
    pub(crate) fn of(ctx: &Context<'a>) -> Self {
        Self {
            set: &ctx.item.node.selection_set.node,
            fragments: &ctx.query_env.fragments,
        }
    }

    /// Each field that may be selected here, those of all fragments included, with what is
    /// selected below it.
    fn each(self, visit: &mut impl FnMut(&'a str, Self)) {
        let inside = |set| Self { set, ..self };
        for selection in &self.set.items {
            match &selection.node {
                Selection::Field(field) => {
                    let below = inside(&field.node.selection_set.node);
                    visit(field.node.name.node.as_str(), below);
                }
                Selection::FragmentSpread(spread) => {
                    if let Some(of) = self.fragments.get(&spread.node.fragment_name.node) {
                        inside(&of.node.selection_set.node).each(visit);
                    }
                }
                Selection::InlineFragment(of) => {
                    inside(&of.node.selection_set.node).each(visit);
                }
            }
        }
    }

    /// What is selected below the field of this name, if it is selected once.
    pub(crate) fn only(self, name: &str) -> Option<Self> {
        let (mut only, mut count) = (None, 0);
        self.each(&mut |other, below| {
            if other == name {
                (only, count) = (Some(below), count + 1);
            }
        });
        only.filter(|_| count == 1)
    }

    /// The columns that rows of this type need for what is selected here.
    pub(crate) fn columns<T: Row>(self) -> T::Columns {
        let mut columns = T::Columns::default();
        self.each(&mut |name, _| columns = columns.or(T::needs(name)));
        columns
    }

    /// The columns that the rows of a connection need for what is selected of it here.
    pub(crate) fn columns_of_nodes<T: Row>(self) -> T::Columns {
        let mut columns = T::Columns::default();
        self.each(&mut |name, below| match name {
            "nodes" => columns = columns.or(below.columns::<T>()),
            "edges" => below.each(&mut |name, below| {
                if name == "node" {
                    columns = columns.or(below.columns::<T>());
                }
            }),
            _ => {}
        });
        columns
    }
}

/// A field whose values are found for many rows at once.
pub(crate) trait Relation<T>: Send + Sync {
    /// The field's value for each row, in the order of the rows.
    fn values<'r>(
        &'r self,
        rows: &'r [T],
        scope: &'r RequestScope,
    ) -> BoxFuture<'r, Result<Vec<Value>, Failure>>;
}

/// How the rows of a list answer a selection: each response name with what answers it.
struct Plan<'a, T: Row> {
    fields: Vec<(&'a Name, Answered<'a, T>)>,
    /// What the rows must have been read with.
    columns: T::Columns,
}

enum Answered<'a, T> {
    Step(Step<'a, T>),
    Resolver(&'a Positioned<Field>),
}

impl<'a, T: Row> Plan<'a, T> {
    fn of(below: Below<'a>) -> Option<Self> {
        let mut plan = Self {
            fields: Vec::new(),
            columns: T::Columns::default(),
        };
        plan.add(below)?;
        Some(plan)
    }

    /// A plan without resolvers, whose values no error can come of but a read's.
    fn closed(below: Below<'a>) -> Option<Self> {
        let plan = Self::of(below)?;
        let resolver = |(_, step): &(_, Answered<'a, T>)| matches!(step, Answered::Resolver(_));
        (!plan.fields.iter().any(resolver)).then_some(plan)
    }

    fn add(&mut self, below: Below<'a>) -> Option<()> {
        let Below { set, fragments } = below;
        let inside = |set| Below { set, fragments };
        for selection in &set.items {
            match &selection.node {
                Selection::Field(field) => {
                    let name = &field.node.response_key().node;
                    // Selected twice, the two have to be merged.
                    if self.fields.iter().any(|(other, _)| *other == name) {
                        return None;
                    }
                    self.columns = self.columns.or(T::needs(&field.node.name.node));
                    let step = match field.node.name.node.as_str() {
                        "__typename" => Some(Step::Own(type_name::<T>)),
                        other => T::step(other, inside(&field.node.selection_set.node)),
                    };
                    let answered = step.map_or(Answered::Resolver(field), Answered::Step);
                    self.fields.push((name, answered));
                }
                Selection::FragmentSpread(spread) => {
                    let fragment = &fragments.get(&spread.node.fragment_name.node)?.node;
                    if fragment.type_condition.node.on.node.as_str() != T::type_name() {
                        return None;
                    }
                    self.add(inside(&fragment.selection_set.node))?;
                }
                Selection::InlineFragment(fragment) => {
                    let on = fragment.node.type_condition.as_ref();
                    if on.is_some_and(|on| on.node.on.node.as_str() != T::type_name()) {
                        return None;
                    }
                    self.add(inside(&fragment.node.selection_set.node))?;
                }
            }
        }
        Some(())
    }

    /// What the relations come to: for each step that is one, a value for each row.
    async fn related(
        &self,
        rows: &[T],
        scope: &RequestScope,
    ) -> Result<Vec<std::vec::IntoIter<Value>>, Failure> {
        let reads = self
            .fields
            .iter()
            .filter_map(|(_, answered)| match answered {
                Answered::Step(Step::Related(relation)) => Some(relation.values(rows, scope)),
                _ => None,
            });
        let values = try_join_all(reads).await?;
        Ok(values.into_iter().map(Vec::into_iter).collect())
    }

    /// The rows as objects, of a plan that is closed.
    async fn objects(&self, rows: &[T], scope: &RequestScope) -> Result<Vec<Value>, Failure> {
        let related = self.related(rows, scope).await?;
        self.assemble(rows, related, Vec::new())
    }

    fn assemble(
        &self,
        rows: &[T],
        mut related: Vec<std::vec::IntoIter<Value>>,
        resolved: Vec<Value>,
    ) -> Result<Vec<Value>, Failure> {
        let mut resolved = resolved.into_iter();
        let mut object = |row| {
            let mut fields = IndexMap::with_capacity(self.fields.len());
            let mut related = related.iter_mut();
            for (name, answered) in &self.fields {
                let value = match answered {
                    Answered::Step(Step::Own(own)) => own(row)?,
                    // There is a value for each row.
                    Answered::Step(Step::Related(_)) => {
                        related.next().and_then(Iterator::next).unwrap_or_default()
                    }
                    Answered::Resolver(_) => resolved.next().unwrap_or_default(),
                };
                fields.insert((*name).clone(), value);
            }
            Ok(Value::Object(fields))
        };
        rows.iter().map(&mut object).collect()
    }
}

fn type_name<T: Row>(_: &T) -> Result<Value, Failure> {
    Ok(Value::String(T::type_name().into_owned()))
}

/// The rows as objects, unless the selection is one for the library. `listed`: they are in a list.
async fn objects<T: Row>(
    ctx: &ContextSelectionSet<'_>,
    rows: &[T],
    listed: bool,
) -> ServerResult<Option<Vec<Value>>> {
    let below = Below {
        set: &ctx.item.node,
        fragments: &ctx.query_env.fragments,
    };
    let Some(plan) = Plan::<T>::of(below) else {
        return Ok(None);
    };
    let mut resolvers: Vec<BoxFuture<'_, ServerResult<Value>>> = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        for (_, answered) in &plan.fields {
            let Answered::Resolver(field) = answered else {
                continue;
            };
            let ctx = if listed {
                ctx.with_index(at)
            } else {
                ctx.clone()
            };
            resolvers.push(Box::pin(async move {
                let resolved = row.resolve_field(&ctx.with_field(field)).await;
                match resolved {
                    Ok(value) => Ok(value.unwrap_or_default()),
                    Err(error) => Err(if listed {
                        ctx.set_error_path(error)
                    } else {
                        error
                    }),
                }
            }));
        }
    }
    let scope = scope(ctx);
    let related = async { Ok(plan.related(rows, scope).await) };
    let (related, resolved) = try_join(related, try_join_all(resolvers)).await?;
    // Where that failed, each row's resolvers try for themselves, and say where it was.
    Ok(related
        .and_then(|related| plan.assemble(rows, related, resolved))
        .ok())
}

/// A list of rows.
pub(crate) struct List<T>(pub(crate) Vec<T>);

impl<T: Row> OutputType for List<T> {
    fn type_name() -> Cow<'static, str> {
        Vec::<T>::type_name()
    }

    fn qualified_type_name() -> String {
        Vec::<T>::qualified_type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        Vec::<T>::create_type_info(registry)
    }

    async fn resolve(
        &self,
        ctx: &ContextSelectionSet<'_>,
        field: &Positioned<Field>,
    ) -> ServerResult<Value> {
        match objects(ctx, &self.0, true).await? {
            Some(rows) => Ok(Value::List(rows)),
            None => resolve_list(ctx, field, &self.0, Some(self.0.len())).await,
        }
    }
}

/// A row, or none.
pub(crate) struct One<T>(pub(crate) Option<T>);

impl<T: Row> OutputType for One<T> {
    fn type_name() -> Cow<'static, str> {
        Option::<T>::type_name()
    }

    fn qualified_type_name() -> String {
        Option::<T>::qualified_type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        Option::<T>::create_type_info(registry)
    }

    async fn resolve(
        &self,
        ctx: &ContextSelectionSet<'_>,
        field: &Positioned<Field>,
    ) -> ServerResult<Value> {
        let Some(row) = &self.0 else {
            return Ok(Value::Null);
        };
        match objects(ctx, std::slice::from_ref(row), false).await {
            Ok(Some(mut rows)) => Ok(rows.pop().unwrap_or_default()),
            Ok(None) => self.0.resolve(ctx, field).await,
            // As the library does where null is allowed.
            Err(error) => {
                ctx.add_error(error);
                Ok(Value::Null)
            }
        }
    }
}

/// The row of another type that a row names.
pub(crate) enum Related<K, U> {
    /// It was read already, or there is none.
    Known(Option<U>),
    /// It is found by this key.
    By(K),
}

/// What one field of a row answers, if that was read beside the row.
#[derive(Clone, Default)]
pub(crate) struct Known(Option<(&'static str, Arc<dyn Any + Send + Sync>)>);

impl Known {
    pub(crate) fn new<U: Send + Sync + 'static>(field: &'static str, found: Option<U>) -> Self {
        Self(Some((field, Arc::new(found))))
    }

    /// What the field of this name answers, if it is known.
    pub(crate) fn of<U: Clone + 'static>(&self, field: &str) -> Option<Option<U>> {
        let (name, found) = self.0.as_ref()?;
        let found = found.downcast_ref::<Option<U>>();
        found.filter(|_| *name == field).cloned()
    }
}

/// How a row names a row of another type, which is read with these columns.
type Key<T, K, U> = fn(&T, <U as Row>::Columns) -> Result<Related<K, U>, Failure>;

/// At most one row of another type for each row.
struct ToOne<'a, T, K, U: Row> {
    key: Key<T, K, U>,
    plan: Plan<'a, U>,
}

/// A step to at most one row of another type, by the key of its loader.
pub(crate) fn to_one<'a, T, K, U>(below: Below<'a>, key: Key<T, K, U>) -> Option<Step<'a, T>>
where
    T: Row,
    U: Row,
    K: Hash + Eq + Clone + Send + Sync + 'static,
    Batch: Loader<K, Value = U>,
{
    let plan = Plan::closed(below)?;
    Some(Step::Related(Box::new(ToOne { key, plan })))
}

impl<T, K, U> Relation<T> for ToOne<'_, T, K, U>
where
    T: Row,
    U: Row,
    K: Hash + Eq + Clone + Send + Sync + 'static,
    Batch: Loader<K, Value = U>,
{
    fn values<'r>(
        &'r self,
        rows: &'r [T],
        scope: &'r RequestScope,
    ) -> BoxFuture<'r, Result<Vec<Value>, Failure>> {
        Box::pin(async move {
            let mut keys = Vec::with_capacity(rows.len());
            let mut of_each = Vec::with_capacity(rows.len());
            for row in rows {
                of_each.push(match (self.key)(row, self.plan.columns)? {
                    Related::Known(known) => Some(known),
                    Related::By(key) => {
                        keys.push(key);
                        None
                    }
                });
            }
            let mut found = scope.loaders.load(keys).await?.into_iter();
            let of_row = |known: Option<Option<U>>| known.or_else(|| found.next()).flatten();
            let of_each: Vec<Option<U>> = of_each.into_iter().map(of_row).collect();
            let is_there: Vec<bool> = of_each.iter().map(Option::is_some).collect();
            let there: Vec<U> = of_each.into_iter().flatten().collect();
            let mut objects = self.plan.objects(&there, scope).await?.into_iter();
            let object = |is_there: bool| is_there.then(|| objects.next()).flatten();
            let objects = is_there.into_iter().map(object);
            Ok(objects.map(Option::unwrap_or_default).collect())
        })
    }
}

/// Some rows of another type for each row.
struct ToMany<'a, T, K, U: Row> {
    key: fn(&T, U::Columns) -> Result<K, Failure>,
    plan: Plan<'a, U>,
}

/// A step to some rows of another type, by the key of their loader.
pub(crate) fn to_many<'a, T, K, U>(
    below: Below<'a>,
    key: fn(&T, U::Columns) -> Result<K, Failure>,
) -> Option<Step<'a, T>>
where
    T: Row,
    U: Row,
    K: Hash + Eq + Clone + Send + Sync + 'static,
    Batch: Loader<K, Value = Vec<U>>,
{
    let plan = Plan::closed(below)?;
    Some(Step::Related(Box::new(ToMany { key, plan })))
}

impl<T, K, U> Relation<T> for ToMany<'_, T, K, U>
where
    T: Row,
    U: Row,
    K: Hash + Eq + Clone + Send + Sync + 'static,
    Batch: Loader<K, Value = Vec<U>>,
{
    fn values<'r>(
        &'r self,
        rows: &'r [T],
        scope: &'r RequestScope,
    ) -> BoxFuture<'r, Result<Vec<Value>, Failure>> {
        Box::pin(async move {
            let keys = rows.iter().map(|row| (self.key)(row, self.plan.columns));
            let keys: Vec<K> = keys.collect::<Result<_, _>>()?;
            let found = scope.loaders.load(keys).await?;
            let length = |of: &Option<Vec<U>>| of.as_ref().map_or(0, Vec::len);
            let lengths: Vec<usize> = found.iter().map(length).collect();
            let all: Vec<U> = found.into_iter().flatten().flatten().collect();
            let mut objects = self.plan.objects(&all, scope).await?.into_iter();
            let list = |length| Value::List(objects.by_ref().take(length).collect());
            Ok(lengths.into_iter().map(list).collect())
        })
    }
}

/// A row that each row has with it.
struct Beside<'a, T, U: Row> {
    beside: fn(&T) -> U,
    plan: Plan<'a, U>,
}

/// A step to a row that each row has with it.
pub(crate) fn beside<'a, T: Row, U: Row>(
    below: Below<'a>,
    beside: fn(&T) -> U,
) -> Option<Step<'a, T>> {
    let plan = Plan::closed(below)?;
    Some(Step::Related(Box::new(Beside { beside, plan })))
}

impl<T: Row, U: Row> Relation<T> for Beside<'_, T, U> {
    fn values<'r>(
        &'r self,
        rows: &'r [T],
        scope: &'r RequestScope,
    ) -> BoxFuture<'r, Result<Vec<Value>, Failure>> {
        Box::pin(async move {
            let there: Vec<U> = rows.iter().map(self.beside).collect();
            self.plan.objects(&there, scope).await
        })
    }
}

/// The value of a column of a row.
pub(crate) fn read<E: domain::Table, T: domain::Readable>(
    row: &domain::View<E>,
    column: E::Column,
) -> Result<T, Failure> {
    row.get(column)
        .map_err(|fault| Arc::new(domain::Error::from(fault)))
}

/// A leaf of an answer.
pub(crate) trait Leaf {
    /// As it stands in the answer.
    fn value(self) -> Value;
}

macro_rules! leaves {
    ($($ty:ty),*) => {$(
        impl Leaf for $ty {
            fn value(self) -> Value {
                ScalarType::to_value(&self)
            }
        }
    )*};
}

leaves!(bool, i32, async_graphql::ID, chrono::DateTime<chrono::Utc>);

impl Leaf for String {
    fn value(self) -> Value {
        Value::String(self)
    }
}

impl<T: Leaf> Leaf for Option<T> {
    fn value(self) -> Value {
        self.map_or(Value::Null, Leaf::value)
    }
}

/// Whether a field is what the schema calls the method of this name: `published_at` is
/// `publishedAt`.
pub(crate) fn is_called(field: &str, method: &str) -> bool {
    let mut field = field.bytes();
    let mut upper = false;
    for byte in method.bytes() {
        if byte == b'_' {
            upper = true;
            continue;
        }
        let byte = if upper {
            byte.to_ascii_uppercase()
        } else {
            byte
        };
        upper = false;
        if field.next() != Some(byte) {
            return false;
        }
    }
    field.next().is_none()
}
