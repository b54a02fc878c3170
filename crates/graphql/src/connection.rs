//! Connections, as the Relay "GraphQL Cursor Connections Specification" has them.

use std::sync::Arc;

use async_graphql::{Context, Enum, Object};
use plimsoll_domain::{
    self as domain, Cursor, PageArguments, Read, Scope, Viewer,
    post::{PostFilter, PostsOf},
};
use uuid::Uuid;

use crate::{
    RequestScope,
    batch::{Batch, ChildrenCount, Failure, Loader, PostsCount, TransfersCount},
    json::Leaf,
    rows::{Below, Row, Step},
};

/// Where a page lies in its list.
#[derive(Clone)]
pub(crate) struct PageInfo {
    has_previous: Option<bool>,
    has_next: Option<bool>,
    first: Option<Cursor>,
    last: Option<Cursor>,
}

impl PageInfo {
    pub(crate) fn of<T>(page: &domain::Page<T>) -> Self {
        Self {
            has_previous: page.has_previous,
            has_next: page.has_next,
            first: page.start_cursor(),
            last: page.end_cursor(),
        }
    }
}

/// Where a page lies in its list.
#[Object]
impl PageInfo {
    /// Whether there is more before this page.
    async fn has_previous_page(&self) -> crate::error::Result<bool> {
        Ok(looked_at(self.has_previous)?)
    }

    /// Whether there is more behind this page.
    async fn has_next_page(&self) -> crate::error::Result<bool> {
        Ok(looked_at(self.has_next)?)
    }

    /// The cursor of the first edge; null on an empty page.
    async fn start_cursor(&self) -> Option<String> {
        self.first.as_ref().map(Cursor::to_string)
    }

    /// The cursor of the last edge; null on an empty page.
    async fn end_cursor(&self) -> Option<String> {
        self.last.as_ref().map(Cursor::to_string)
    }
}

/// What was found beyond an end of a page. It is looked for where [`Below::ends`] finds the field.
fn looked_at(end: Option<bool>) -> Result<bool, Failure> {
    let unread = || domain::Error::Internal("an end of a page was not looked beyond".into());
    end.ok_or_else(|| Arc::new(unread()))
}

impl Row for PageInfo {
    type Columns = ();

    fn needs(_: &str, _: Below<'_>) {}

    fn step<'a>(name: &str, _: Below<'a>) -> Option<Step<'a, Self>> {
        Some(Step::Own(match name {
            "hasPreviousPage" => |info, json| looked_at(info.has_previous)?.write(json),
            "hasNextPage" => |info, json| looked_at(info.has_next)?.write(json),
            "startCursor" => |info, json| info.first.as_ref().write(json),
            "endCursor" => |info, json| info.last.as_ref().write(json),
            _ => return None,
        }))
    }
}

impl Leaf for &Cursor {
    fn write(self, json: &mut crate::json::Json) -> Result<(), Failure> {
        json.plain(&self.to_string());
        Ok(())
    }
}

/// Which way a list is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum OrderDirection {
    /// From the smallest, or oldest, to the largest, or newest.
    Asc,
    /// From the largest, or newest, to the smallest, or oldest.
    Desc,
}

impl From<OrderDirection> for domain::Direction {
    fn from(direction: OrderDirection) -> Self {
        match direction {
            OrderDirection::Asc => Self::Ascending,
            OrderDirection::Desc => Self::Descending,
        }
    }
}

/// Which rows a list or a read sees, as to deletion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Enum)]
#[graphql(name = "Scope")]
pub(crate) enum ScopeArgument {
    /// Only what nobody has deleted.
    #[default]
    Live,
    /// Deleted records as well, as far as the viewer may see them.
    WithDeleted,
    /// Deleted records alone, as far as the viewer may see them.
    OnlyDeleted,
}

impl From<ScopeArgument> for Scope {
    fn from(scope: ScopeArgument) -> Self {
        match scope {
            ScopeArgument::Live => Self::Live,
            ScopeArgument::WithDeleted => Self::WithDeleted,
            ScopeArgument::OnlyDeleted => Self::OnlyDeleted,
        }
    }
}

/// The arguments that every connection takes, and what its selection asks of the page.
pub(crate) fn page_arguments(
    ctx: &Context<'_>,
    first: Option<i32>,
    after: Option<String>,
    last: Option<i32>,
    before: Option<String>,
) -> PageArguments {
    PageArguments {
        first,
        after,
        last,
        before,
        ends: Below::of(ctx).ends(),
    }
}

/// What a connection costs: what is below it, for each row that its page can have.
pub(crate) fn cost(first: Option<i32>, last: Option<i32>, below: usize) -> usize {
    let most = domain::MAX_PAGE as usize;
    let rows = match first.or(last) {
        None => domain::DEFAULT_PAGE as usize,
        Some(rows) => usize::try_from(rows).unwrap_or_default().min(most),
    };
    rows.saturating_mul(below).saturating_add(1)
}

/// The list that a connection is a page of, for counting it when asked.
#[derive(Clone, Copy)]
pub(crate) enum Total {
    Users(Scope),
    Categories(Scope),
    CategoriesBelow(Uuid, Scope),
    Tags(Scope),
    Posts(Scope, PostFilter),
    PostsOf(PostsOf, Uuid, Scope),
    Deletions,
    Accounts(Scope),
    TransfersOf(Uuid),
    Products(Scope),
    Orders,
}

impl Total {
    /// # Errors
    ///
    /// What kept the database from answering.
    pub(crate) async fn count(self, scope: &RequestScope) -> Result<i32, Failure> {
        let count = match self {
            Self::Users(which) => {
                counted(scope, async move |read, viewer| {
                    domain::user::count(&read, &viewer, which).await
                })
                .await?
            }
            Self::Categories(which) => {
                counted(scope, async move |read, viewer| {
                    domain::category::count(&read, &viewer, which).await
                })
                .await?
            }
            Self::Tags(which) => {
                counted(scope, async move |read, viewer| {
                    domain::tag::count(&read, &viewer, which).await
                })
                .await?
            }
            Self::Posts(which, filter) => {
                counted(scope, async move |read, viewer| {
                    domain::post::count(&read, &viewer, which, filter).await
                })
                .await?
            }
            Self::Deletions => {
                counted(scope, async |read, viewer| {
                    domain::deletion::count(&read, &viewer).await
                })
                .await?
            }
            Self::Accounts(which) => {
                counted(scope, async move |read, viewer| {
                    domain::account::count(&read, &viewer, which).await
                })
                .await?
            }
            Self::Products(which) => {
                counted(scope, async move |read, viewer| {
                    domain::product::count(&read, &viewer, which).await
                })
                .await?
            }
            Self::Orders => {
                counted(scope, async |read, viewer| {
                    domain::order::count(&read, &viewer).await
                })
                .await?
            }
            Self::TransfersOf(account) => loaded(scope, TransfersCount(account)).await?,
            Self::PostsOf(of, parent, which) => {
                loaded(scope, PostsCount(of, which, parent)).await?
            }
            Self::CategoriesBelow(parent, which) => {
                loaded(scope, ChildrenCount(which, parent)).await?
            }
        };
        Ok(i32::try_from(count).unwrap_or(i32::MAX))
    }
}

/// Counts a list that no loader knows of, in step with the loaders.
async fn counted<F, W>(scope: &RequestScope, count: F) -> Result<u64, Failure>
where
    F: FnOnce(Read, Viewer) -> W,
    W: Future<Output = domain::Result<u64>> + Send + 'static,
{
    let count = count(scope.store.read(), scope.viewer());
    scope.spawner.run(count).await.map_err(Arc::new)
}

/// Counts the list of this key, together with all others of its kind.
async fn loaded<K>(scope: &RequestScope, key: K) -> Result<u64, Failure>
where
    K: Send + Sync + 'static,
    Batch: Loader<K, Value = u64>,
{
    let found = scope.loaders.load(vec![key]).await?;
    Ok(found.into_iter().next().flatten().unwrap_or_default())
}

/// Declares a connection and its edge.
macro_rules! connection {
    ($connection:ident, $edge:ident, $node:ident, $row:ty, $doc:literal, $edge_doc:literal) => {
        #[doc = $doc]
        #[derive(Clone)]
        pub(crate) struct $connection {
            page: std::sync::Arc<plimsoll_domain::Page<$node>>,
            total: crate::connection::Total,
        }

        #[doc = $edge_doc]
        #[derive(Clone)]
        pub(crate) struct $edge(plimsoll_domain::Cursor, $node);

        #[doc = $edge_doc]
        #[async_graphql::Object]
        impl $edge {
            /// Names this place in the list.
            async fn cursor(&self) -> String {
                self.0.to_string()
            }

            /// What is at this place.
            async fn node(&self) -> &$node {
                &self.1
            }
        }

        impl crate::rows::Row for $edge {
            type Columns = ();

            fn needs(_: &str, _: Below<'_>) {}

            fn step<'a>(
                name: &str,
                below: crate::rows::Below<'a>,
            ) -> Option<crate::rows::Step<'a, Self>> {
                use crate::{
                    json::Leaf,
                    rows::{Step, beside},
                };
                match name {
                    "cursor" => Some(Step::Own(|edge, json| (&edge.0).write(json))),
                    "node" => beside::<Self, $node>(below, |edge| edge.1.clone()),
                    _ => None,
                }
            }
        }

        impl $connection {
            #[allow(dead_code, reason = "some lists are found below a record alone")]
            pub(crate) fn new(
                page: plimsoll_domain::Page<$row>,
                total: crate::connection::Total,
            ) -> Self {
                let page = std::sync::Arc::new(page.map(Into::into));
                Self { page, total }
            }

            fn all_edges(&self) -> Vec<$edge> {
                let edges = self.page.edges();
                edges
                    .map(|(cursor, row)| $edge(cursor, row.clone()))
                    .collect()
            }
        }

        impl crate::rows::Row for $connection {
            type Columns = ();

            fn needs(_: &str, _: Below<'_>) {}

            fn step<'a>(
                name: &str,
                below: crate::rows::Below<'a>,
            ) -> Option<crate::rows::Step<'a, Self>> {
                use crate::{
                    connection::PageInfo,
                    rows::{beside, counted, within},
                };
                match name {
                    "edges" => within(below, |connection| connection.all_edges().into()),
                    "nodes" => within(below, |connection| connection.page.rows().into()),
                    "pageInfo" => beside(below, |connection| PageInfo::of(&connection.page)),
                    "totalCount" => Some(counted(|connection| connection.total)),
                    _ => None,
                }
            }
        }

        #[doc = $doc]
        #[async_graphql::Object]
        impl $connection {
            /// The page, each record with the cursor of its place.
            async fn edges(&self) -> crate::rows::List<$edge> {
                crate::rows::List(self.all_edges())
            }

            /// The page, without the cursors.
            async fn nodes(&self) -> crate::rows::List<$node> {
                crate::rows::List(self.page.rows().to_vec())
            }

            /// Where the page lies in the list.
            async fn page_info(&self) -> crate::connection::PageInfo {
                crate::connection::PageInfo::of(&self.page)
            }

            /// How many records the whole list has. It is counted only when asked for.
            async fn total_count(
                &self,
                ctx: &async_graphql::Context<'_>,
            ) -> crate::error::Result<i32> {
                Ok(self.total.count(crate::scope(ctx)).await?)
            }
        }
    };
}
pub(crate) use connection;
