//! Tags.

use async_graphql::{Context, Enum, ID, InputObject, MaybeUndefined, Object};
use plimsoll_domain::{
    self as domain, Scope, Version,
    id::TagId,
    post::PostsOf,
    tag::{CreateTag, CreateTags, TagOrder, UpdateTag},
};

use crate::{
    Query, RequestScope,
    bulk::OnConflict,
    connection::{OrderDirection, ScopeArgument, Total, connection, page_arguments},
    error::{Result, list_payload, payload},
    id::{Named, decode, named},
    post::PostConnection,
    record::{by_id, patch_as_is, read, record_fields, removal, write},
    root::{self, Asked},
    rows::{Below, One, Step},
    scope,
};

record_fields! {
    #[async_graphql::Object]
    /// A word that posts are found by.
    Tag(Tag of plimsoll_domain::tag) {
        own {
            /// What it is called.
            name: String = Name;

            /// What it is found by. No other live tag has it.
            slug: String = Slug;
        }
        pages {
            posts: PostConnection::step(PostsOf::Tag);
        }
        resolvers {
            /// The posts with this tag, the newest first.
            #[graphql(complexity = "crate::connection::cost(first, last, child_complexity)")]
            async fn posts(
                &self,
                ctx: &Context<'_>,
                #[graphql(desc = "How many, from the front: 20 unless given, 200 at most.")]
                first: Option<i32>,
                #[graphql(desc = "Begin behind this cursor.")] after: Option<String>,
                #[graphql(desc = "How many, from the back.")] last: Option<i32>,
                #[graphql(desc = "End before this cursor.")] before: Option<String>,
                #[graphql(default, desc = "Deleted posts as well, or alone.")] scope: ScopeArgument,
            ) -> Result<PostConnection> {
                let arguments = page_arguments(ctx, first, after, last, before);
                let id = self.get(Column::Id)?;
                PostConnection::of(ctx, PostsOf::Tag, id, scope.into(), arguments).await
            }
        }
    }
}

connection!(
    TagConnection,
    TagEdge,
    Tag,
    domain::tag::View,
    "A page of tags.",
    "A tag at a place in a list."
);

/// What tags are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum TagOrderField {
    /// By slug.
    Slug,
    /// By when they were made.
    CreatedAt,
}

/// How tags are ordered.
#[derive(Clone, Copy, Debug, InputObject)]
pub(crate) struct TagOrderBy {
    /// What they are ordered by.
    field: TagOrderField,
    /// Which way.
    direction: OrderDirection,
}

#[derive(Clone, Default)]
pub(crate) struct TagQuery;

#[Object]
impl TagQuery {
    /// The tag with this id or this slug; null if there is none that the viewer sees.
    async fn tag(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The tag's id.")] id: Option<ID>,
        #[graphql(desc = "The tag's slug, in any case.")] slug: Option<String>,
        #[graphql(default, name = "scope", desc = "A deleted one as well, or alone.")]
        which: ScopeArgument,
    ) -> Result<One<Tag>> {
        let (scope, which) = (scope(ctx), which.into());
        Ok(One(match named::<TagId>(id, slug)? {
            Named::Id(id) => by_id(scope, which, id.into()).await?,
            Named::Slug(slug) => by_slug(scope, which, slug).await?,
        }))
    }

    /// All tags, ordered by slug unless told otherwise.
    #[expect(clippy::too_many_arguments, reason = "a connection takes them all")]
    #[graphql(complexity = "crate::connection::cost(first, last, child_complexity)")]
    async fn tags(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, from the front: 20 unless given, 200 at most.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Begin behind this cursor.")] after: Option<String>,
        #[graphql(desc = "How many, from the back.")] last: Option<i32>,
        #[graphql(desc = "End before this cursor.")] before: Option<String>,
        #[graphql(default, name = "scope", desc = "Deleted tags as well, or alone.")]
        which: ScopeArgument,
        #[graphql(desc = "The order; by slug, ascending, unless given.")] order_by: Option<
            TagOrderBy,
        >,
    ) -> Result<TagConnection> {
        let arguments = page_arguments(ctx, first, after, last, before);
        let asked = Asked::of(ctx, which, order_by, arguments);
        Ok(page(scope(ctx), asked).await?)
    }
}

/// One of the tags, by its slug.
async fn by_slug(scope: &RequestScope, which: Scope, slug: String) -> domain::Result<Option<Tag>> {
    let found = read(scope, move |read, viewer| async move {
        domain::tag::by_slug(&read, &viewer, which, &slug).await
    });
    Ok(found.await?.map(Into::into))
}

/// A page of all tags.
async fn page(
    scope: &RequestScope,
    asked: Asked<Tag, Option<TagOrderBy>>,
) -> domain::Result<TagConnection> {
    let order = match asked.by {
        None => (TagOrder::Slug, domain::Direction::Ascending),
        Some(TagOrderBy { field, direction }) => (
            match field {
                TagOrderField::Slug => TagOrder::Slug,
                TagOrderField::CreatedAt => TagOrder::CreatedAt,
            },
            direction.into(),
        ),
    };
    let total = Total::Tags(asked.which);
    let page = read(scope, move |read, viewer| async move {
        domain::tag::page(
            &read,
            asked.columns,
            &viewer,
            asked.which,
            order,
            &asked.arguments,
        )
        .await
    });
    Ok(TagConnection::new(page.await?, total))
}

/// How the query's fields about tags are answered without their resolvers.
pub(crate) fn step<'a>(name: &str, below: Below<'a>) -> Option<Step<'a, Query>> {
    match name {
        "tag" => root::one_named::<Tag, TagId, _>(below, "slug", |scope, which, slug| {
            Box::pin(by_slug(scope, which, slug))
        }),
        "tags" => root::list(below, below.argument("orderBy")?, |scope, asked| {
            Box::pin(page(scope, asked))
        }),
        _ => None,
    }
}

/// A new tag.
#[derive(InputObject)]
pub(crate) struct CreateTagInput {
    /// What it is called.
    name: String,
    /// What it is found by; made of the name unless given.
    slug: Option<String>,
}

impl From<CreateTagInput> for CreateTag {
    fn from(input: CreateTagInput) -> Self {
        Self {
            name: input.name,
            slug: input.slug,
        }
    }
}

/// Many new tags.
#[derive(InputObject)]
pub(crate) struct CreateTagsInput {
    /// The tags, each with a slug of its own: 1 to 1,000.
    tags: Vec<CreateTagInput>,
    /// What is done about a slug that a live tag has. UPDATE gives that tag the item's name.
    #[graphql(default)]
    on_conflict: OnConflict,
}

/// What is to change of a tag. An absent field is left alone.
#[derive(InputObject)]
pub(crate) struct UpdateTagInput {
    /// Which tag.
    id: ID,
    /// The version that was seen: another one is a conflict.
    expected_version: i32,
    /// What it is called.
    name: MaybeUndefined<String>,
    /// What it is found by.
    slug: MaybeUndefined<String>,
}

payload! {
    /// The tag that was made, or why there is none.
    CreateTagPayload {
        /// The new tag.
        tag: Tag
    }
    /// The tag as it is now, or why nothing was changed.
    UpdateTagPayload {
        /// The changed tag.
        tag: Tag
    }
}

list_payload! {
    /// The tags as they are now, or why nothing was made.
    CreateTagsPayload {
        /// The tags, in the order of the input; under SKIP, those that were there as they are.
        tags: [Tag]
    }
}

#[derive(async_graphql::MergedObject, Default)]
pub(crate) struct TagMutation(TagEdit, TagRemoval);

#[derive(Default)]
pub(crate) struct TagEdit;

#[Object]
impl TagEdit {
    /// Makes a tag. For moderators and administrators.
    async fn create_tag(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new tag.")] input: CreateTagInput,
    ) -> Result<Option<CreateTagPayload>> {
        let command = CreateTag::from(input);
        CreateTagPayload::new(
            write(ctx, move |tx, viewer| {
                Box::pin(domain::tag::create(tx, viewer, command))
            })
            .await,
        )
    }

    /// Makes many tags, all or none of them. A deleted tag stays deleted, and another is made beside
    /// it. For moderators and administrators.
    async fn create_tags(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new tags.")] input: CreateTagsInput,
    ) -> Result<Option<CreateTagsPayload>> {
        let command = CreateTags {
            items: input.tags.into_iter().map(Into::into).collect(),
            on_conflict: input.on_conflict.into(),
        };
        CreateTagsPayload::new(
            write(ctx, move |tx, viewer| {
                Box::pin(domain::tag::create_many(tx, viewer, command))
            })
            .await,
        )
    }

    /// Changes a tag. For moderators and administrators.
    async fn update_tag(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is to change.")] input: UpdateTagInput,
    ) -> Result<Option<UpdateTagPayload>> {
        let command = UpdateTag {
            id: decode(&input.id, "input.id")?,
            seen: Version(input.expected_version),
            name: patch_as_is(input.name),
            slug: patch_as_is(input.slug),
        };
        UpdateTagPayload::new(
            write(ctx, move |tx, viewer| {
                Box::pin(domain::tag::update(tx, viewer, command))
            })
            .await,
        )
    }
}

removal! {
    tag: Tag, tag, TagId,
    delete_tag(DeleteTagInput, DeleteTagPayload,
        "Deletes a tag. Posts have it again when it is restored. For moderators and administrators."),
    restore_tag(RestoreTagInput, RestoreTagPayload,
        "Restores a deleted tag. For moderators and administrators."),
    purge_tag(PurgeTagInput, PurgeTagPayload,
        "Removes a deleted tag for good, after the retention time. For administrators."),
    TagRemoval, "tag"
}
