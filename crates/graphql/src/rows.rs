//! Resolving rows together: what a list's rows answer by themselves costs no future, and what
//! they ask of other rows is asked once for all of them.
//!
//! async-graphql resolves each field of each row by a future of its own. A [`Plan`] is made of a
//! selection once for all rows of a list. A [`Step`] says how it answers a field: from the row
//! itself, by a read for all rows at once, or, where a field needs more than that, by its resolver,
//! as the library would. What comes of it is written as JSON at once. What a plan cannot express
//! (fields that are selected twice and have to be merged, a fragment on an interface) is left to
//! the library: the answers are the same. A query of which a plan expresses everything is answered
//! from its [root](crate::root).

use std::{borrow::Cow, collections::HashMap, hash::Hash, ops::Range, sync::Arc};

use async_graphql::{
    ContainerType, Context, ContextSelectionSet, InputType, Name, OutputType, Positioned, QueryEnv,
    ServerResult, Value, Variables,
    parser::types::{
        ExecutableDocument, Field, FragmentDefinition, OperationDefinition, Selection,
        SelectionSet, VariableDefinition,
    },
    registry::Registry,
};
use async_graphql_value::Value as InputValue;
use futures::future::{BoxFuture, try_join, try_join_all};
use plimsoll_domain::{self as domain, Ends, PageArguments};
use uuid::Uuid;

use crate::{
    RequestScope,
    batch::{Batch, Failure, Loader},
    connection::Total,
    json::{Json, Leaf},
    scope,
};

/// An object type whose rows are resolved together.
pub(crate) trait Row: ContainerType + Clone + Send + Sync + 'static {
    /// Which of their columns rows are read with.
    type Columns: ColumnSet;

    /// The columns that the field of this name needs, for what is selected below it.
    fn needs(name: &str, below: Below<'_>) -> Self::Columns;

    /// How rows answer the field of this name, without its resolver. `None`: its resolver does.
    fn step<'a>(name: &str, below: Below<'a>) -> Option<Step<'a, Self>>;
}

/// What is read of rows: some columns of a table, with those of others that these name, or nothing
/// for rows that are always read whole.
pub(crate) trait ColumnSet: Copy + Default + Eq + Hash + Send + Sync + 'static {
    /// Columns of the rows themselves.
    type Own;

    /// These and others.
    fn or(self, others: Self) -> Self;

    /// Those of the rows themselves.
    fn own(self) -> Self::Own;
}

impl ColumnSet for () {
    type Own = ();

    fn or(self, (): Self) -> Self {}

    fn own(self) {}
}

impl<E: domain::Table> ColumnSet for domain::Columns<E> {
    type Own = Self;

    fn or(self, others: Self) -> Self {
        self.or(others)
    }

    fn own(self) -> Self {
        self
    }
}

macro_rules! selections {
    ($($($module:ident)::+),+) => {$(
        impl ColumnSet for domain::$($module)::+::Selection {
            type Own = domain::$($module)::+::Columns;

            fn or(self, others: Self) -> Self {
                self.or(others)
            }

            fn own(self) -> Self::Own {
                self.columns
            }
        }
    )+};
}

selections!(
    account,
    category,
    order,
    post,
    product,
    product::inventory,
    profile,
    user
);

/// How rows answer a field.
pub(crate) enum Step<'a, T> {
    /// Each by itself.
    Own(fn(&T, &mut Json) -> Result<(), Failure>),
    /// By a read for all of them.
    Related(Box<dyn Relation<T> + 'a>),
}

/// What is selected below a field, and the document's fragments.
#[derive(Clone, Copy)]
pub(crate) struct Below<'a> {
    set: &'a SelectionSet,
    fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    /// The field, for a plan.
    field: Option<&'a Field>,
    given: Given<'a>,
}

/// What variables stand for.
#[derive(Clone, Copy)]
struct Given<'a> {
    definitions: &'a [Positioned<VariableDefinition>],
    /// None where arguments are not looked at.
    variables: Option<&'a Variables>,
}

impl<'a> Given<'a> {
    fn of(env: &'a QueryEnv) -> Self {
        Self {
            definitions: &env.operation.node.variable_definitions,
            variables: Some(&env.variables),
        }
    }

    /// What an argument has in it; `None` if that is a variable without a value.
    fn resolve(self, value: &InputValue) -> Option<Value> {
        Some(match value {
            InputValue::Variable(name) => match self.variables?.get(name) {
                Some(value) => value.clone(),
                None => {
                    let mut definitions = self.definitions.iter();
                    let definition = definitions.find(|one| one.node.name.node == *name)?;
                    definition.node.default_value.as_ref()?.node.clone()
                }
            },
            // An item has a place whether it has a value or not; a field has none without one.
            InputValue::List(items) => {
                let items = items.iter();
                Value::List(
                    items
                        .map(|item| self.resolve(item).unwrap_or(Value::Null))
                        .collect(),
                )
            }
            InputValue::Object(fields) => {
                let fields = fields.iter();
                let given =
                    fields.filter_map(|(name, value)| Some((name.clone(), self.resolve(value)?)));
                Value::Object(given.collect())
            }
            constant => constant.clone().into_const()?,
        })
    }
}

impl<'a> Below<'a> {
    pub(crate) fn of(ctx: &Context<'a>) -> Self {
        Self {
            set: &ctx.item.node.selection_set.node,
            fragments: &ctx.query_env.fragments,
            field: None,
            given: Given::of(ctx.query_env),
        }
    }

    /// What an operation selects.
    pub(crate) fn of_root(
        document: &'a ExecutableDocument,
        operation: &'a OperationDefinition,
        variables: Option<&'a Variables>,
    ) -> Self {
        Self {
            set: &operation.selection_set.node,
            fragments: &document.fragments,
            field: None,
            given: Given {
                definitions: &operation.variable_definitions,
                variables,
            },
        }
    }

    /// What a plan is made of.
    fn of_rows(ctx: &'a ContextSelectionSet<'a>) -> Self {
        Self {
            set: &ctx.item.node,
            fragments: &ctx.query_env.fragments,
            field: None,
            given: Given::of(ctx.query_env),
        }
    }

    /// An argument of the field; what it is by default if it is not given. `None`: it is not of
    /// this type, and the field's resolver is to say so.
    pub(crate) fn argument<T: InputType + Default>(self, name: &str) -> Option<T> {
        match self.field?.get_argument(name) {
            None => Some(T::default()),
            Some(value) => T::parse(self.given.resolve(&value.node)).ok(),
        }
    }

    /// The arguments that every connection takes.
    pub(crate) fn page_arguments(self) -> Option<PageArguments> {
        Some(PageArguments {
            first: self.argument("first")?,
            after: self.argument("after")?,
            last: self.argument("last")?,
            before: self.argument("before")?,
            ends: self.ends(),
        })
    }

    /// Each field that may be selected here, those of all fragments included, with what is
    /// selected below it.
    pub(crate) fn each(self, visit: &mut impl FnMut(&'a str, Self)) {
        let inside = |set| Self { set, ..self };
        for selection in &self.set.items {
            match &selection.node {
                Selection::Field(field) => {
                    let below = Self {
                        set: &field.node.selection_set.node,
                        field: Some(&field.node),
                        ..self
                    };
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

    /// The columns that rows of this type need for what is selected here.
    pub(crate) fn columns<T: Row>(self) -> T::Columns {
        let mut columns = T::Columns::default();
        self.each(&mut |name, below| columns = columns.or(T::needs(name, below)));
        columns
    }

    /// Which ends of a connection's page are asked about here.
    pub(crate) fn ends(self) -> Ends {
        let mut ends = Ends {
            previous: false,
            next: false,
        };
        self.each(&mut |name, below| {
            if name == "pageInfo" {
                below.each(&mut |name, _| {
                    ends.previous |= name == "hasPreviousPage";
                    ends.next |= name == "hasNextPage";
                });
            }
        });
        ends
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

/// Whether a document selects an object under the same name twice, so that the two have to be
/// merged (section 6.3.2 of the GraphQL specification, "Field Collection"). Only the library does
/// that, and only with its own values. Where types differ, it may be that it need not.
///
/// The document is one whose fragments were followed before, to measure it: there are not too many.
pub(crate) fn merges(document: &ExecutableDocument) -> bool {
    let mut operations = document.operations.iter();
    operations.any(|(_, operation)| Below::of_root(document, &operation.node, None).merges())
}

impl<'a> Below<'a> {
    fn merges(self) -> bool {
        let mut objects: Vec<(&str, Self)> = Vec::new();
        self.objects(&mut objects);
        let mut names: Vec<&str> = objects.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        let twice = names.windows(2).any(|pair| pair[0] == pair[1]);
        twice || objects.into_iter().any(|(_, below)| below.merges())
    }

    /// Each object that may be selected here, by the name that it has in the answer.
    fn objects(self, objects: &mut Vec<(&'a str, Self)>) {
        let inside = |set| Self { set, ..self };
        for selection in &self.set.items {
            match &selection.node {
                Selection::Field(field) => {
                    let set = &field.node.selection_set.node;
                    if !set.items.is_empty() {
                        objects.push((field.node.response_key().node.as_str(), inside(set)));
                    }
                }
                Selection::FragmentSpread(spread) => {
                    if let Some(of) = self.fragments.get(&spread.node.fragment_name.node) {
                        inside(&of.node.selection_set.node).objects(objects);
                    }
                }
                Selection::InlineFragment(of) => {
                    inside(&of.node.selection_set.node).objects(objects);
                }
            }
        }
    }
}

/// A field whose values are found for many rows at once.
pub(crate) trait Relation<T>: Send + Sync {
    /// The field's value for each row, in the order of the rows.
    fn values<'r>(
        &'r self,
        rows: &'r [T],
        scope: &'r RequestScope,
    ) -> BoxFuture<'r, Result<Values, Failure>>;
}

/// Values that are written.
#[derive(Default)]
pub(crate) struct Values {
    json: Json,
    /// Where each is; nowhere if it is null.
    places: Vec<Range<usize>>,
}

impl Values {
    /// No values for so many rows.
    pub(crate) fn nothing(rows: usize) -> Self {
        Self {
            json: Json::default(),
            places: vec![0..0; rows],
        }
    }

    /// What is written, as one of the library's values.
    pub(crate) fn into_value(self) -> Value {
        self.json.into_value()
    }

    fn get(&self, at: usize) -> &[u8] {
        let place = self.places.get(at).cloned().unwrap_or_default();
        match self.json.as_bytes().get(place) {
            None | Some([]) => b"null",
            Some(json) => json,
        }
    }
}

/// How the rows of a list answer a selection.
pub(crate) struct Plan<'a, T: Row> {
    fields: Vec<Planned<'a, T>>,
    /// What stands before the fields' values, one after the other.
    names: Vec<u8>,
    /// What the rows must have been read with.
    columns: T::Columns,
}

/// A field, and what answers it.
struct Planned<'a, T> {
    name: &'a str,
    /// Where the name is written, with what comes before it and after it.
    written: Range<usize>,
    answered: Answered<'a, T>,
}

enum Answered<'a, T> {
    Step(Step<'a, T>),
    Resolver(&'a Positioned<Field>),
}

impl<'a, T: Row> Plan<'a, T> {
    fn of(below: Below<'a>) -> Option<Self> {
        let mut plan = Self {
            fields: Vec::with_capacity(below.set.items.len()),
            names: Vec::with_capacity(below.set.items.len() * 16),
            columns: T::Columns::default(),
        };
        plan.add(below)?;
        Some(plan)
    }

    /// A plan without resolvers: only reads can fail.
    pub(crate) fn closed(below: Below<'a>) -> Option<Self> {
        let plan = Self::of(below)?;
        let resolver = |field: &Planned<'a, T>| matches!(field.answered, Answered::Resolver(_));
        (!plan.fields.iter().any(resolver)).then_some(plan)
    }

    fn add(&mut self, below: Below<'a>) -> Option<()> {
        let inside = |set, field| Below {
            set,
            field,
            ..below
        };
        for selection in &below.set.items {
            match &selection.node {
                Selection::Field(field) => {
                    let name = field.node.response_key().node.as_str();
                    // A leaf: nothing is to be merged where rows are resolved together.
                    if self.fields.iter().any(|other| other.name == name) {
                        continue;
                    }
                    let below = inside(&field.node.selection_set.node, Some(&field.node));
                    let needed = T::needs(&field.node.name.node, below);
                    self.columns = self.columns.or(needed);
                    let step = match field.node.name.node.as_str() {
                        "__typename" => Some(Step::Own(type_name::<T>)),
                        other => T::step(other, below),
                    };
                    let begin = self.names.len();
                    let before = if begin == 0 { "{\"" } else { ",\"" };
                    for part in [before, name, "\":"] {
                        self.names.extend_from_slice(part.as_bytes());
                    }
                    self.fields.push(Planned {
                        name,
                        written: begin..self.names.len(),
                        answered: step.map_or(Answered::Resolver(field), Answered::Step),
                    });
                }
                Selection::FragmentSpread(spread) => {
                    let fragment = &below.fragments.get(&spread.node.fragment_name.node)?.node;
                    if fragment.type_condition.node.on.node.as_str() != T::type_name() {
                        return None;
                    }
                    self.add(inside(&fragment.selection_set.node, None))?;
                }
                Selection::InlineFragment(fragment) => {
                    let on = fragment.node.type_condition.as_ref();
                    if on.is_some_and(|on| on.node.on.node.as_str() != T::type_name()) {
                        return None;
                    }
                    self.add(inside(&fragment.node.selection_set.node, None))?;
                }
            }
        }
        Some(())
    }

    /// What the relations come to: the values of each step that is one.
    async fn related(&self, rows: &[T], scope: &RequestScope) -> Result<Vec<Values>, Failure> {
        let reads = self
            .fields
            .iter()
            .filter_map(|field| match &field.answered {
                Answered::Step(Step::Related(relation)) => Some(relation.values(rows, scope)),
                _ => None,
            });
        try_join_all(reads).await
    }

    /// The rows as objects, of a plan that is closed.
    pub(crate) async fn objects(
        &self,
        rows: &[T],
        scope: &RequestScope,
    ) -> Result<Values, Failure> {
        let related = self.related(rows, scope).await?;
        self.write_objects(rows, &related, Vec::new())
    }

    /// The rows as lists of objects, each of so many of them, of a plan that is closed.
    async fn lists(
        &self,
        rows: &[T],
        lengths: &[usize],
        scope: &RequestScope,
    ) -> Result<Values, Failure> {
        let related = self.related(rows, scope).await?;
        self.write_lists(rows, lengths, &related, Vec::new())
    }

    /// Room for this many rows, with what they are related to.
    fn room_for(&self, rows: usize, related: &[Values]) -> Json {
        let related: usize = related.iter().map(|values| values.json.len()).sum();
        // A value has about as many bytes as an id.
        Json::with_capacity(related + rows * (self.names.len() + self.fields.len() * 32))
    }

    fn write_objects(
        &self,
        rows: &[T],
        related: &[Values],
        resolved: Vec<Value>,
    ) -> Result<Values, Failure> {
        let mut resolved = resolved.into_iter();
        let mut json = self.room_for(rows.len(), related);
        let mut places = Vec::with_capacity(rows.len());
        for (at, row) in rows.iter().enumerate() {
            let begin = json.len();
            self.write(at, row, related, &mut resolved, &mut json)?;
            places.push(begin..json.len());
        }
        Ok(Values { json, places })
    }

    fn write_lists(
        &self,
        rows: &[T],
        lengths: &[usize],
        related: &[Values],
        resolved: Vec<Value>,
    ) -> Result<Values, Failure> {
        let mut resolved = resolved.into_iter();
        let mut json = self.room_for(rows.len(), related);
        let mut places = Vec::with_capacity(lengths.len());
        let mut rows = rows.iter().enumerate();
        for length in lengths {
            let begin = json.len();
            json.raw("[");
            for (nth, (at, row)) in rows.by_ref().take(*length).enumerate() {
                if nth > 0 {
                    json.raw(",");
                }
                self.write(at, row, related, &mut resolved, &mut json)?;
            }
            json.raw("]");
            places.push(begin..json.len());
        }
        Ok(Values { json, places })
    }

    /// One row as an object. `resolved`: the values of its resolvers are the next ones.
    fn write(
        &self,
        at: usize,
        row: &T,
        related: &[Values],
        resolved: &mut impl Iterator<Item = Value>,
        json: &mut Json,
    ) -> Result<(), Failure> {
        if self.fields.is_empty() {
            // All of them were skipped.
            json.raw("{");
        }
        let mut related = related.iter();
        for field in &self.fields {
            json.ready(self.names.get(field.written.clone()).unwrap_or_default());
            match &field.answered {
                Answered::Step(Step::Own(own)) => own(row, json)?,
                // There are values of each relation.
                Answered::Step(Step::Related(_)) => {
                    json.ready(related.next().map_or(b"null", |values| values.get(at)));
                }
                Answered::Resolver(_) => json.value(&resolved.next().unwrap_or_default()),
            }
        }
        json.raw("}");
        Ok(())
    }
}

fn type_name<T: Row>(_: &T, json: &mut Json) -> Result<(), Failure> {
    json.plain(&T::type_name());
    Ok(())
}

/// How rows stand in an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum As {
    List,
    Object,
}

/// Rows, resolved together, unless the selection is one for the library.
async fn together<T: Row>(
    ctx: &ContextSelectionSet<'_>,
    rows: &[T],
    stand: As,
) -> ServerResult<Option<Value>> {
    let scope = scope(ctx);
    if scope.merges {
        return Ok(None);
    }
    let Some(plan) = Plan::<T>::of(Below::of_rows(ctx)) else {
        return Ok(None);
    };
    let mut resolvers: Vec<BoxFuture<'_, ServerResult<Value>>> = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        for field in &plan.fields {
            let Answered::Resolver(field) = field.answered else {
                continue;
            };
            let ctx = match stand {
                As::List => ctx.with_index(at),
                As::Object => ctx.clone(),
            };
            resolvers.push(Box::pin(async move {
                let resolved = row.resolve_field(&ctx.with_field(field)).await;
                Ok(resolved?.unwrap_or_default())
            }));
        }
    }
    let related = async { Ok(plan.related(rows, scope).await) };
    let (related, resolved) = if resolvers.is_empty() {
        (related.await?, Vec::new())
    } else {
        try_join(related, try_join_all(resolvers)).await?
    };
    let written = related.and_then(|related| match stand {
        As::List => plan.write_lists(rows, &[rows.len()], &related, resolved),
        As::Object => plan.write_objects(rows, &related, resolved),
    });
    // Where that failed, each row's resolvers try for themselves, and say where it was.
    Ok(written.ok().map(|values| values.json.into_value()))
}

/// A list of rows. An error keeps the path of the field that it comes of: the library's lists
/// (`resolve_list` of async-graphql 8.0.0-rc.5) put that of the row in its place.
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
        match together(ctx, &self.0, As::List).await? {
            Some(rows) => Ok(rows),
            None => {
                let rows = self.0.iter().enumerate();
                let values = rows.map(|(at, row)| {
                    let ctx = ctx.with_index(at);
                    async move { row.resolve(&ctx, field).await }
                });
                Ok(Value::List(try_join_all(values).await?))
            }
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
        match together(ctx, std::slice::from_ref(row), As::Object).await {
            Ok(Some(row)) => Ok(row),
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
    /// There is none.
    Nothing,
    /// It was read beside the row, which has this id in the column that names it.
    Beside(Uuid, U),
    /// It is found by this key.
    By(K),
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
    ) -> BoxFuture<'r, Result<Values, Failure>> {
        Box::pin(async move {
            let related = rows.iter().map(|row| (self.key)(row, self.plan.columns));
            let Named {
                mut there,
                keys,
                of_each,
            } = named(related)?;
            let found = scope.loaders.load(keys).await?;
            let place = |row: Option<U>| {
                there.push(row?);
                Some(there.len() - 1)
            };
            let found: Vec<Option<usize>> = found.into_iter().map(place).collect();
            let Values { json, places } = self.plan.objects(&there, scope).await?;
            let place = |one: Nth| {
                let at = match one {
                    Nth::Nothing => None,
                    Nth::There(at) => Some(at),
                    Nth::Key(nth) => found.get(nth).copied().flatten(),
                };
                at.and_then(|at| places.get(at).cloned())
                    .unwrap_or_default()
            };
            let places = of_each.into_iter().map(place).collect();
            Ok(Values { json, places })
        })
    }
}

/// What rows name: many can name the same one, which is here once, to be read and written once.
struct Named<K, U> {
    /// The rows that were read beside them.
    there: Vec<U>,
    /// What the others are found by.
    keys: Vec<K>,
    of_each: Vec<Nth>,
}

/// Which one a row names.
#[derive(Debug, PartialEq, Eq)]
enum Nth {
    Nothing,
    /// One of the rows that are there.
    There(usize),
    /// What is found by one of the keys.
    Key(usize),
}

/// A faster hash than the standard library's, whose guard against chosen keys the rows of a page do
/// not need.
type Places<K> = HashMap<K, usize, hashlink::DefaultHashBuilder>;

fn named<K: Hash + Eq + Clone, U>(
    related: impl Iterator<Item = Result<Related<K, U>, Failure>>,
) -> Result<Named<K, U>, Failure> {
    let (mut there, mut keys) = (Vec::new(), Vec::new());
    let (mut by_id, mut by_key) = (Places::default(), Places::default());
    let of_each = related.map(|related| {
        Ok(match related? {
            Related::Nothing => Nth::Nothing,
            Related::Beside(id, row) => Nth::There(*by_id.entry(id).or_insert_with(|| {
                there.push(row);
                there.len() - 1
            })),
            Related::By(key) => Nth::Key(*by_key.entry(key).or_insert_with_key(|key| {
                keys.push(key.clone());
                keys.len() - 1
            })),
        })
    });
    let of_each = of_each.collect::<Result<_, Failure>>()?;
    Ok(Named {
        there,
        keys,
        of_each,
    })
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
    K: Send + Sync + 'static,
    Batch: Loader<K, Value = Vec<U>>,
{
    let plan = Plan::closed(below)?;
    Some(Step::Related(Box::new(ToMany { key, plan })))
}

impl<T, K, U> Relation<T> for ToMany<'_, T, K, U>
where
    T: Row,
    U: Row,
    K: Send + Sync + 'static,
    Batch: Loader<K, Value = Vec<U>>,
{
    fn values<'r>(
        &'r self,
        rows: &'r [T],
        scope: &'r RequestScope,
    ) -> BoxFuture<'r, Result<Values, Failure>> {
        Box::pin(async move {
            let keys = rows.iter().map(|row| (self.key)(row, self.plan.columns));
            let keys: Vec<K> = keys.collect::<Result<_, _>>()?;
            let found = scope.loaders.load(keys).await?;
            let length = |of: &Option<Vec<U>>| of.as_ref().map_or(0, Vec::len);
            let lengths: Vec<usize> = found.iter().map(length).collect();
            let all: Vec<U> = found.into_iter().flatten().flatten().collect();
            self.plan.lists(&all, &lengths, scope).await
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
    ) -> BoxFuture<'r, Result<Values, Failure>> {
        Box::pin(async move {
            let there: Vec<U> = rows.iter().map(self.beside).collect();
            self.plan.objects(&there, scope).await
        })
    }
}

/// The rows that a row has with it.
type With<T, U> = for<'r> fn(&'r T) -> Cow<'r, [U]>;

/// Rows that each row has with it.
struct Within<'a, T, U: Row> {
    within: With<T, U>,
    plan: Plan<'a, U>,
}

/// A step to rows that each row has with it.
pub(crate) fn within<'a, T: Row, U: Row>(
    below: Below<'a>,
    within: With<T, U>,
) -> Option<Step<'a, T>> {
    let plan = Plan::closed(below)?;
    Some(Step::Related(Box::new(Within { within, plan })))
}

impl<T: Row, U: Row> Relation<T> for Within<'_, T, U> {
    fn values<'r>(
        &'r self,
        rows: &'r [T],
        scope: &'r RequestScope,
    ) -> BoxFuture<'r, Result<Values, Failure>> {
        Box::pin(async move {
            let within: Vec<Cow<'r, [U]>> = rows.iter().map(self.within).collect();
            let lengths: Vec<usize> = within.iter().map(|some| some.len()).collect();
            match within.as_slice() {
                [all] => self.plan.lists(all, &lengths, scope).await,
                some => self.plan.lists(&some.concat(), &lengths, scope).await,
            }
        })
    }
}

/// The key of the page of a row.
type PageKey<'a, T, K> = dyn Fn(&T) -> Result<K, Failure> + Send + Sync + 'a;

/// A page for each row.
struct Pages<'a, T, K, C: Row> {
    key: Box<PageKey<'a, T, K>>,
    plan: Plan<'a, C>,
}

/// A page of a list that is found by this key.
pub(crate) trait Connection<K>: Row
where
    Batch: Loader<K>,
{
    /// The page that was found; an empty one if none was.
    fn of(key: &K, found: Option<<Batch as Loader<K>>::Value>) -> Self;
}

/// A step to a page for each row, by the key of its loader.
pub(crate) fn pages<'a, T, K, C>(
    below: Below<'a>,
    key: impl Fn(&T) -> Result<K, Failure> + Send + Sync + 'a,
) -> Option<Step<'a, T>>
where
    T: Row,
    C: Connection<K>,
    K: Clone + Send + Sync + 'static,
    Batch: Loader<K>,
{
    let plan = Plan::<C>::closed(below)?;
    let key = Box::new(key);
    Some(Step::Related(Box::new(Pages { key, plan })))
}

impl<T, K, C> Relation<T> for Pages<'_, T, K, C>
where
    T: Row,
    C: Connection<K>,
    K: Clone + Send + Sync + 'static,
    Batch: Loader<K>,
{
    fn values<'r>(
        &'r self,
        rows: &'r [T],
        scope: &'r RequestScope,
    ) -> BoxFuture<'r, Result<Values, Failure>> {
        Box::pin(async move {
            let keys: Vec<K> = rows.iter().map(&self.key).collect::<Result<_, _>>()?;
            let found = scope.loaders.load(keys.clone()).await?;
            let pages = keys.iter().zip(found);
            let pages: Vec<C> = pages.map(|(key, found)| C::of(key, found)).collect();
            self.plan.objects(&pages, scope).await
        })
    }
}

/// How many rows a list has, for each page of one.
struct Counted<T>(fn(&T) -> Total);

/// A step to the number of rows of each page's whole list.
pub(crate) fn counted<'a, T: Row>(total: fn(&T) -> Total) -> Step<'a, T> {
    Step::Related(Box::new(Counted(total)))
}

impl<T: Row> Relation<T> for Counted<T> {
    fn values<'r>(
        &'r self,
        rows: &'r [T],
        scope: &'r RequestScope,
    ) -> BoxFuture<'r, Result<Values, Failure>> {
        Box::pin(async move {
            let counts = rows.iter().map(|row| (self.0)(row).count(scope));
            let mut values = Values::default();
            for count in try_join_all(counts).await? {
                let begin = values.json.len();
                values.json.display(count);
                values.places.push(begin..values.json.len());
            }
            Ok(values)
        })
    }
}

/// The value of a column of a row.
pub(crate) fn read<E: domain::Table, T: domain::Readable>(
    row: &domain::View<E>,
    column: E::Column,
) -> Result<T, Failure> {
    row.get(column).map_err(unread)
}

fn unread(fault: domain::Fault) -> Failure {
    Arc::new(domain::Error::from(fault))
}

/// The id in a column of a row, if it is not null.
pub(crate) fn read_id<E: domain::Table>(
    row: &domain::View<E>,
    column: E::Column,
) -> Result<Option<Uuid>, Failure> {
    row.id(column).map_err(unread)
}

/// The id in a column of a row that is never null.
pub(crate) fn read_own_id<E: domain::Table>(
    row: &domain::View<E>,
    column: E::Column,
) -> Result<Uuid, Failure> {
    let missing = || Arc::new(domain::Error::Internal("an id is null".into()));
    read_id(row, column)?.ok_or_else(missing)
}

/// The row of another type that was read beside a row, which names it in this column: `Some(None)`
/// if there is none, `None` if none was looked for.
pub(crate) fn read_beside<E: domain::Table, P: domain::Table, U: From<domain::View<P>>>(
    row: &domain::View<E>,
    column: E::Column,
) -> Result<Option<Option<U>>, Failure> {
    let beside = row.beside(column).map_err(unread)?;
    Ok(beside.map(|other| other.map(U::from)))
}

/// How a row names another in this column, for a step to it.
pub(crate) fn related<E: domain::Table, P: domain::Table, K, U: From<domain::View<P>>>(
    row: &domain::View<E>,
    column: E::Column,
    key: impl FnOnce(Uuid) -> K,
) -> Result<Related<K, U>, Failure> {
    let Some(id) = read_id(row, column)? else {
        return Ok(Related::Nothing);
    };
    Ok(match read_beside(row, column)? {
        None => Related::By(key(id)),
        Some(None) => Related::Nothing,
        Some(Some(other)) => Related::Beside(id, other),
    })
}

/// The type of a field that a column alone answers.
pub(crate) trait Own: Sized {
    /// Writes the column's value.
    fn write_column<E: domain::Table>(
        row: &domain::View<E>,
        column: E::Column,
        json: &mut Json,
    ) -> Result<(), Failure>;
}

macro_rules! own {
    ($($ty:ty: |$row:ident, $column:ident| $read:expr;)*) => {$(
        impl Own for $ty {
            fn write_column<E: domain::Table>(
                $row: &domain::View<E>,
                $column: E::Column,
                json: &mut Json,
            ) -> Result<(), Failure> {
                $read.map_err(unread)?.write(json)
            }
        }
    )*};
}

type Time = chrono::DateTime<chrono::Utc>;

own! {
    bool: |row, column| row.get::<bool>(column);
    i32: |row, column| row.get::<i32>(column);
    Time: |row, column| row.time(column);
    Option<Time>: |row, column| row.time(column);
    // A text is written from where it lies.
    String: |row, column| row.text_bytes(column);
    Option<String>: |row, column| row.text_bytes(column);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_many_rows_name_is_there_once() {
        let (ada, grace) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let related = [
            Related::Beside(ada, "ada"),
            Related::By("key"),
            Related::Nothing,
            Related::Beside(grace, "grace"),
            Related::Beside(ada, "ada"),
            Related::By("key"),
            Related::By("other"),
        ];
        let Ok(named) = named(related.into_iter().map(Ok)) else {
            panic!("nothing fails");
        };
        assert_eq!(named.there, ["ada", "grace"]);
        assert_eq!(named.keys, ["key", "other"]);
        let (there, key) = (Nth::There, Nth::Key);
        assert_eq!(
            named.of_each,
            [
                there(0),
                key(0),
                Nth::Nothing,
                there(1),
                there(0),
                key(0),
                key(1)
            ]
        );
    }
}
