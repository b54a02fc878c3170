//! Queries that a plan answers whole, without the library.
//!
//! What the library does for each request, whatever is asked (it copies the document, validates
//! what validation cannot skip, and makes a context of it), takes as long as one record does. A
//! document that it found valid needs that only for what no [`Plan`] can express. The fields of
//! the query have their resolvers as well: both read by the same functions, and the answers are
//! the same.

use async_graphql::{
    Context, Value, Variables,
    parser::types::{ExecutableDocument, OperationType, Selection, SelectionSet},
};
use futures::future::{BoxFuture, TryFutureExt as _};
use plimsoll_domain::{self as domain, PageArguments, Scope};
use uuid::Uuid;

use crate::{
    Query, RequestScope, account,
    batch::Failure,
    category,
    connection::{self, ScopeArgument},
    deletion,
    id::{Named, PublicId, decode, named_by},
    order, post, product,
    record::{ById, by_id},
    rows::{Below, Plan, Relation, Row, Step, Values},
    tag, user,
};

impl Row for Query {
    type Columns = ();

    fn needs(_: &str, _: Below<'_>) {}

    fn step<'a>(name: &str, below: Below<'a>) -> Option<Step<'a, Self>> {
        user::step(name, below)
            .or_else(|| category::step(name, below))
            .or_else(|| tag::step(name, below))
            .or_else(|| post::step(name, below))
            .or_else(|| product::step(name, below))
            .or_else(|| order::step(name, below))
            .or_else(|| deletion::step(name, below))
            .or_else(|| account::step(name, below))
    }
}

/// Whether a document is one query, every field of which is asked for whatever the variables are.
pub(crate) fn is_unconditional(document: &ExecutableDocument) -> bool {
    let mut operations = document.operations.iter();
    let (Some((_, operation)), None) = (operations.next(), operations.next()) else {
        return false;
    };
    let operation = &operation.node;
    let mut fragments = document.fragments.values();
    operation.ty == OperationType::Query
        && operation.directives.is_empty()
        && has_no_directives(&operation.selection_set.node)
        && fragments.all(|of| {
            of.node.directives.is_empty() && has_no_directives(&of.node.selection_set.node)
        })
}

fn has_no_directives(set: &SelectionSet) -> bool {
    set.items.iter().all(|selection| match &selection.node {
        Selection::Field(field) => {
            field.node.directives.is_empty() && has_no_directives(&field.node.selection_set.node)
        }
        Selection::FragmentSpread(spread) => spread.node.directives.is_empty(),
        Selection::InlineFragment(of) => {
            of.node.directives.is_empty() && has_no_directives(&of.node.selection_set.node)
        }
    })
}

/// The answer to an [unconditional](is_unconditional) query that was found valid with variables like these,
/// if a plan can give it and it does not cost more than `max_cost`. `None`: the library answers,
/// and says what is wrong if something is.
pub(crate) async fn answer(
    document: &ExecutableDocument,
    variables: &Variables,
    scope: &RequestScope,
    max_cost: usize,
) -> Option<Value> {
    let (_, operation) = document.operations.iter().next()?;
    let below = Below::of_root(document, &operation.node, Some(variables));
    if cost(below) > max_cost {
        return None;
    }
    let plan = Plan::<Query>::closed(below)?;
    let failure = match plan.objects(&[Query::default()], scope).await {
        Ok(written) => return Some(written.into_value()),
        Err(failure) => failure,
    };
    if let domain::Error::Unavailable(timing) = *failure {
        scope.spawner.give_up(timing);
    }
    None
}

/// At least what the library says that a selection costs: each object may be a connection, except
/// where its name says that it is a part of one.
fn cost(below: Below<'_>) -> usize {
    let mut sum: usize = 0;
    below.each(&mut |name, below| {
        let of_one = cost(below);
        sum = sum.saturating_add(match name {
            "edges" | "node" | "nodes" | "pageInfo" => of_one.saturating_add(1),
            _ if of_one == 0 => 1,
            _ => {
                // One of another type counts as if it were not there: no plan takes it.
                let rows = |name| below.argument::<Option<i32>>(name).flatten();
                connection::cost(rows("first"), rows("last"), of_one)
            }
        });
    });
    sum
}

/// What is asked of a list of the query's: which rows, `by` what they are ordered or chosen.
#[derive(Clone)]
pub(crate) struct Asked<T: Row, O = ()> {
    pub(crate) columns: T::Columns,
    pub(crate) which: Scope,
    pub(crate) by: O,
    pub(crate) arguments: PageArguments,
}

impl<T: Row, O> Asked<T, O> {
    /// With the arguments that a resolver was given.
    pub(crate) fn of(
        ctx: &Context<'_>,
        which: impl Into<Scope>,
        by: O,
        arguments: PageArguments,
    ) -> Self {
        Self {
            columns: Below::of(ctx).columns_of_nodes::<T>(),
            which: which.into(),
            by,
            arguments,
        }
    }
}

/// The step of a list.
pub(crate) fn list<'a, T, C, O, F>(below: Below<'a>, by: O, page: F) -> Option<Step<'a, Query>>
where
    T: Row,
    C: Row,
    O: Clone + Send + Sync + 'a,
    F: for<'r> Fn(&'r RequestScope, Asked<T, O>) -> BoxFuture<'r, domain::Result<C>>
        + Send
        + Sync
        + 'a,
{
    let asked = Asked {
        columns: below.columns_of_nodes::<T>(),
        which: below.argument::<ScopeArgument>("scope")?.into(),
        by,
        arguments: below.page_arguments()?,
    };
    found(below, move |scope| {
        Box::pin(page(scope, asked.clone()).map_ok(Some))
    })
}

/// The step of a record that is found by its id.
pub(crate) fn one<'a, T, I>(below: Below<'a>) -> Option<Step<'a, Query>>
where
    T: ById + Row,
    I: PublicId + Into<Uuid>,
{
    let id = decode::<I>(&below.argument("id")?, "id").ok()?.into();
    let which: Scope = below.argument::<ScopeArgument>("scope")?.into();
    found(below, move |scope| Box::pin(by_id::<T>(scope, which, id)))
}

/// The step of a record that is found by its id, or by what the argument `key` holds.
pub(crate) fn one_named<'a, T, I, F>(
    below: Below<'a>,
    key: &str,
    by_key: F,
) -> Option<Step<'a, Query>>
where
    T: ById + Row,
    I: PublicId + Into<Uuid>,
    F: for<'r> Fn(&'r RequestScope, Scope, String) -> BoxFuture<'r, domain::Result<Option<T>>>
        + Send
        + Sync
        + 'a,
{
    let name = named_by::<I>(below.argument("id")?, below.argument(key)?, key);
    let which: Scope = below.argument::<ScopeArgument>("scope")?.into();
    match name.ok()? {
        Named::Id(_) => one::<T, I>(below),
        Named::Slug(name) => found(below, move |scope| by_key(scope, which, name.clone())),
    }
}

/// A step that `find` finds a row for, or none.
pub(crate) fn found<'a, T, E, F>(below: Below<'a>, find: F) -> Option<Step<'a, Query>>
where
    T: Row,
    E: Into<Failure>,
    F: for<'r> Fn(&'r RequestScope) -> BoxFuture<'r, Result<Option<T>, E>> + Send + Sync + 'a,
{
    let plan = Plan::closed(below)?;
    Some(Step::Related(Box::new(Found { find, plan })))
}

struct Found<'a, F, T: Row> {
    find: F,
    plan: Plan<'a, T>,
}

impl<F, T, E> Relation<Query> for Found<'_, F, T>
where
    T: Row,
    E: Into<Failure>,
    F: for<'r> Fn(&'r RequestScope) -> BoxFuture<'r, Result<Option<T>, E>> + Send + Sync,
{
    fn values<'r>(
        &'r self,
        root: &'r [Query],
        scope: &'r RequestScope,
    ) -> BoxFuture<'r, Result<Values, Failure>> {
        Box::pin(async move {
            match (self.find)(scope).await.map_err(Into::into)? {
                Some(row) => self.plan.objects(&[row], scope).await,
                None => Ok(Values::nothing(root.len())),
            }
        })
    }
}
