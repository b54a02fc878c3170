//! Deletions.

use async_graphql::{Context, ID, Object};
use chrono::{DateTime, Utc};
use plimsoll_domain::{self as domain, RecordKind, Scope};

use crate::{
    Query, RequestScope,
    batch::{RecordById, UserById},
    connection::{Total, connection, page_arguments},
    error::Result,
    json::Leaf,
    record::{Record, load, read},
    root::{self, Asked},
    rows::{Below, Related, Row, Step, to_one},
    scope,
    user::User,
};

/// What was deleted together.
#[derive(Clone)]
pub(crate) struct Deletion(domain::Deletion);

impl From<domain::Deletion> for Deletion {
    fn from(deletion: domain::Deletion) -> Self {
        Self(deletion)
    }
}

/// What was deleted together, and comes back together.
#[Object]
impl Deletion {
    /// The deletion's id.
    async fn id(&self) -> ID {
        crate::id::encode_as("deletion", self.0.id)
    }

    /// When it happened.
    async fn deleted_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// Who asked for it; null for the program itself, or if they are deleted by now.
    async fn deleted_by(&self, ctx: &Context<'_>) -> Result<Option<User>> {
        let Some(actor) = self.0.actor_id else {
            return Ok(None);
        };
        let columns = Below::of(ctx).columns::<User>();
        Ok(load(scope(ctx), UserById(columns, actor)).await?)
    }

    /// The record that was named, deleted or restored by now; null if it was purged, or the
    /// viewer may not see it. Restoring it undoes the deletion.
    async fn root(&self, ctx: &Context<'_>) -> Result<Option<Record>> {
        let Some(kind) = RecordKind::from_type(&self.0.root_type) else {
            return Ok(None);
        };
        let key = RecordById(kind, Scope::WithDeleted, self.0.root_id);
        Ok(load(scope(ctx), key).await?.map(Into::into))
    }

    /// How many records it took, the named one included.
    async fn row_count(&self) -> i32 {
        self.0.row_count
    }

    /// When it may be purged; null if it was restored or purged.
    async fn purgeable_at(&self, ctx: &Context<'_>) -> Option<DateTime<Utc>> {
        let open = self.0.restored_at.is_none() && self.0.purged_at.is_none();
        let retention = scope(ctx).store.settings().retention;
        open.then(|| retention.purgeable_at(self.0.created_at))
    }

    /// When it was undone.
    async fn restored_at(&self) -> Option<DateTime<Utc>> {
        self.0.restored_at
    }

    /// When its records were removed for good.
    async fn purged_at(&self) -> Option<DateTime<Utc>> {
        self.0.purged_at
    }
}

impl Row for Deletion {
    type Columns = ();

    fn needs(_: &str, _: Below<'_>) {}

    fn step<'a>(name: &str, below: Below<'a>) -> Option<Step<'a, Self>> {
        Some(Step::Own(match name {
            "id" => |row, json| crate::id::encode_as("deletion", row.0.id).write(json),
            "deletedAt" => |row, json| row.0.created_at.write(json),
            "deletedBy" => {
                return to_one::<Self, _, User>(below, |row, columns| {
                    let key = row.0.actor_id.map(|actor| UserById(columns, actor));
                    Ok(key.map_or(Related::Nothing, Related::By))
                });
            }
            "rowCount" => |row, json| row.0.row_count.write(json),
            "restoredAt" => |row, json| row.0.restored_at.write(json),
            "purgedAt" => |row, json| row.0.purged_at.write(json),
            _ => return None,
        }))
    }
}

connection!(
    DeletionConnection,
    DeletionEdge,
    Deletion,
    domain::Deletion,
    "A page of deletions.",
    "A deletion at a place in a list."
);

#[derive(Clone, Default)]
pub(crate) struct DeletionQuery;

#[Object]
impl DeletionQuery {
    /// What was deleted, the newest first: everything for moderators and administrators, what
    /// they deleted themselves for others.
    #[graphql(complexity = "crate::connection::cost(first, last, child_complexity)")]
    async fn deletions(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, from the front: 20 unless given, 200 at most.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Begin behind this cursor.")] after: Option<String>,
        #[graphql(desc = "How many, from the back.")] last: Option<i32>,
        #[graphql(desc = "End before this cursor.")] before: Option<String>,
    ) -> Result<DeletionConnection> {
        let arguments = page_arguments(ctx, first, after, last, before);
        let asked = Asked::of(ctx, Scope::Live, (), arguments);
        Ok(page(scope(ctx), asked).await?)
    }
}

/// A page of the deletions that the viewer sees.
async fn page(scope: &RequestScope, asked: Asked<Deletion>) -> domain::Result<DeletionConnection> {
    let page = read(scope, move |read, viewer| async move {
        domain::deletion::page(&read, &viewer, &asked.arguments).await
    });
    Ok(DeletionConnection::new(page.await?, Total::Deletions))
}

/// How the query's field about deletions is answered without its resolver.
pub(crate) fn step<'a>(name: &str, below: Below<'a>) -> Option<Step<'a, Query>> {
    match name {
        "deletions" => root::list(below, (), |scope, asked| Box::pin(page(scope, asked))),
        _ => None,
    }
}
