//! Connections, as the Relay "GraphQL Cursor Connections Specification" has them.

use async_graphql::{Context, Enum, SimpleObject};
use plimsoll_domain::{
    self as domain, PageArguments, Scope,
    post::{PostFilter, PostsOf},
};
use uuid::Uuid;

use crate::{
    batch::{ChildrenCount, PostsCount, TransfersCount},
    error::Result,
    record::{load, read},
};

/// Where a page lies in its list.
#[derive(SimpleObject)]
pub(crate) struct PageInfo {
    /// Whether there is more before this page.
    has_previous_page: bool,
    /// Whether there is more behind this page.
    has_next_page: bool,
    /// The cursor of the first edge; null on an empty page.
    start_cursor: Option<String>,
    /// The cursor of the last edge; null on an empty page.
    end_cursor: Option<String>,
}

impl PageInfo {
    pub(crate) fn of<T>(page: &domain::Page<T>) -> Self {
        Self {
            has_previous_page: page.has_previous,
            has_next_page: page.has_next,
            start_cursor: page.rows.first().map(|(cursor, _)| cursor.to_string()),
            end_cursor: page.rows.last().map(|(cursor, _)| cursor.to_string()),
        }
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

/// The arguments that every connection takes.
pub(crate) fn page_arguments(
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
    pub(crate) async fn count(&self, ctx: &Context<'_>) -> Result<i32> {
        let count = match *self {
            Self::Users(scope) => {
                read(ctx, move |read, viewer| async move {
                    domain::user::count(&read, &viewer, scope).await
                })
                .await?
            }
            Self::Categories(scope) => {
                read(ctx, move |read, viewer| async move {
                    domain::category::count(&read, &viewer, scope).await
                })
                .await?
            }
            Self::Tags(scope) => {
                read(ctx, move |read, viewer| async move {
                    domain::tag::count(&read, &viewer, scope).await
                })
                .await?
            }
            Self::Posts(scope, filter) => {
                read(ctx, move |read, viewer| async move {
                    domain::post::count(&read, &viewer, scope, filter).await
                })
                .await?
            }
            Self::Deletions => {
                read(ctx, |read, viewer| async move {
                    domain::deletion::count(&read, &viewer).await
                })
                .await?
            }
            Self::Accounts(scope) => {
                read(ctx, move |read, viewer| async move {
                    domain::account::count(&read, &viewer, scope).await
                })
                .await?
            }
            Self::TransfersOf(account) => load(ctx, TransfersCount(account))
                .await?
                .unwrap_or_default(),
            Self::Products(scope) => {
                read(ctx, move |read, viewer| async move {
                    domain::product::count(&read, &viewer, scope).await
                })
                .await?
            }
            Self::Orders => {
                read(ctx, |read, viewer| async move {
                    domain::order::count(&read, &viewer).await
                })
                .await?
            }
            Self::PostsOf(of, parent, scope) => {
                let key = PostsCount(of, scope, parent);
                load(ctx, key).await?.unwrap_or_default()
            }
            Self::CategoriesBelow(parent, scope) => {
                let key = ChildrenCount(scope, parent);
                load(ctx, key).await?.unwrap_or_default()
            }
        };
        Ok(i32::try_from(count).unwrap_or(i32::MAX))
    }
}

/// Declares a connection and its edge.
macro_rules! connection {
    ($connection:ident, $edge:ident, $node:ident, $row:ty, $doc:literal, $edge_doc:literal) => {
        #[doc = $doc]
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

            fn needs(_: &str) {}

            fn step<'a>(
                name: &str,
                below: crate::rows::Below<'a>,
            ) -> Option<crate::rows::Step<'a, Self>> {
                use crate::rows::{Leaf, Step, beside};
                match name {
                    "cursor" => Some(Step::Own(|edge| Ok(edge.0.to_string().value()))),
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
        }

        #[doc = $doc]
        #[async_graphql::Object]
        impl $connection {
            /// The page, each record with the cursor of its place.
            async fn edges(&self) -> crate::rows::List<$edge> {
                let rows = self.page.rows.iter();
                let edges = rows.map(|(cursor, row)| $edge(cursor.clone(), row.clone()));
                crate::rows::List(edges.collect())
            }

            /// The page, without the cursors.
            async fn nodes(&self) -> crate::rows::List<$node> {
                let rows = self.page.rows.iter();
                crate::rows::List(rows.map(|(_, row)| row.clone()).collect())
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
                self.total.count(ctx).await
            }
        }
    };
}
pub(crate) use connection;
