//! Posts.

use async_graphql::{Context, Enum, ID, InputObject, MaybeUndefined, Object};
use chrono::{DateTime, Utc};
use plimsoll_domain::{
    self as domain, PageArguments, Scope, Seen, Version,
    id::PostId,
    post::{CreatePost, PostFilter, PostOrder, PostsOf, PublishPosts, UpdatePost},
};
use uuid::Uuid;

use crate::{
    Query, RequestScope,
    batch::{
        CategoryById, CoAuthorsOfPost, ContentOfPost, Failure, PageOf, PostById, PostsPage,
        TagsOfPost, UserById,
    },
    category::Category,
    connection::{OrderDirection, ScopeArgument, Total, connection, page_arguments},
    error::{Result, list_payload, payload},
    id::{Named, decode, decode_all, named},
    record::{heavy, load, patch, patch_as_is, read, record_fields, removal, write},
    root::{self, Asked},
    rows::{Below, Connection, One, Row, Step, pages},
    scope,
    tag::Tag,
    user::User,
};

/// What a post's text costs: it can have a million characters, and all other fields together have
/// some hundred.
const COST_OF_TEXT: usize = 100;

record_fields! {
    #[async_graphql::Object]
    /// What authors publish.
    Post(Post of plimsoll_domain::post) {
        own {
            /// What it is called.
            title: String = Title;

            /// What it is found by. No other live post has it.
            slug: String = Slug;

            /// Whether everybody sees it; a draft is seen by those who write and moderate it.
            published: bool = Published;

            /// When it was first published; null before that.
            published_at: Option<DateTime<Utc>> = PublishedAt;
        }
        one {
            /// Who wrote it; null if they are deleted.
            author: User = UserById(AuthorId);

            /// The category it is in; null if it is in none, or that one is deleted.
            category: Category = CategoryById(CategoryId);
        }
        many {
            /// Who wrote it beside the author, in their order: 20 at most.
            co_authors: User = CoAuthorsOfPost(Id);

            /// Its tags, in their order: 50 at most.
            tags: Tag = TagsOfPost(Id);
        }
        needs {
            content: Id;
        }
        resolvers {
            /// Its text: Markdown, as it was written.
            #[graphql(complexity = "COST_OF_TEXT")]
            async fn content(&self, ctx: &Context<'_>) -> Result<Option<String>> {
                // A mutation's answer has it if it is asked for. Elsewhere it is no failure that it
                // was not read with the row.
                if let Ok(content) = self.0.get(Column::Content) {
                    return Ok(Some(content));
                }
                let key = ContentOfPost(self.get(Column::Id)?);
                Ok(load(scope(ctx), key).await?)
            }
        }
    }
}

connection!(
    PostConnection,
    PostEdge,
    Post,
    domain::post::View,
    "A page of posts.",
    "A post at a place in a list."
);

impl PostConnection {
    /// A page of the posts of an author, a category or a tag.
    pub(crate) async fn of(
        ctx: &Context<'_>,
        of: PostsOf,
        parent: Uuid,
        which: Scope,
        arguments: PageArguments,
    ) -> Result<Self> {
        let columns = Below::of(ctx).columns_of_nodes::<Post>();
        let key = PostsPage(of, which, arguments, columns, parent);
        Ok(<Self as Connection<PostsPage>>::of(
            &key,
            load(scope(ctx), key.clone()).await?,
        ))
    }

    /// The same, for each of many rows with these ids.
    pub(crate) fn step<'a, T: Row>(
        below: Below<'a>,
        of: PostsOf,
        id: fn(&T) -> std::result::Result<Uuid, Failure>,
    ) -> Option<Step<'a, T>> {
        let which = below.argument::<ScopeArgument>("scope")?.into();
        let arguments = below.page_arguments()?;
        let columns = below.columns_of_nodes::<Post>();
        pages::<T, PostsPage, Self>(below, move |row| {
            Ok(PostsPage(of, which, arguments.clone(), columns, id(row)?))
        })
    }
}

impl Connection<PostsPage> for PostConnection {
    fn of(&PostsPage(of, which, _, _, parent): &PostsPage, found: Option<PageOf<Post>>) -> Self {
        Self {
            page: found.unwrap_or_default(),
            total: Total::PostsOf(of, parent, which),
        }
    }
}

/// What posts are ordered by.
#[expect(
    clippy::enum_variant_names,
    reason = "they are named as the fields are"
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum PostOrderField {
    /// By when they were first published; drafts by when they were made.
    PublishedAt,
    /// By when they were made.
    CreatedAt,
    /// By when they were last changed.
    UpdatedAt,
}

/// How posts are ordered.
#[derive(Clone, Copy, Debug, InputObject)]
pub(crate) struct PostOrderBy {
    /// What they are ordered by.
    field: PostOrderField,
    /// Which way.
    direction: OrderDirection,
}

/// Which posts a list shows.
#[derive(Clone, Copy, Debug, Default, InputObject)]
#[graphql(name = "PostFilter")]
pub(crate) struct PostFilterInput {
    /// Published ones, or drafts; both unless given.
    published: Option<bool>,
}

#[derive(Clone, Default)]
pub(crate) struct PostQuery;

#[Object]
impl PostQuery {
    /// The post with this id or this slug; null if there is none that the viewer sees.
    async fn post(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The post's id.")] id: Option<ID>,
        #[graphql(desc = "The post's slug, in any case.")] slug: Option<String>,
        #[graphql(default, name = "scope", desc = "A deleted one as well, or alone.")]
        which: ScopeArgument,
    ) -> Result<One<Post>> {
        let (scope, which) = (scope(ctx), which.into());
        Ok(One(match named::<PostId>(id, slug)? {
            Named::Id(id) => {
                let selection = Below::of(ctx).columns::<Post>();
                load(scope, PostById(which, selection, id.into())).await?
            }
            Named::Slug(slug) => by_slug(scope, which, slug).await?,
        }))
    }

    /// All posts that the viewer sees, the newest first unless told otherwise.
    #[expect(clippy::too_many_arguments, reason = "a connection takes them all")]
    #[graphql(complexity = "crate::connection::cost(first, last, child_complexity)")]
    async fn posts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, from the front: 20 unless given, 200 at most.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Begin behind this cursor.")] after: Option<String>,
        #[graphql(desc = "How many, from the back.")] last: Option<i32>,
        #[graphql(desc = "End before this cursor.")] before: Option<String>,
        #[graphql(default, name = "scope", desc = "Deleted posts as well, or alone.")]
        which: ScopeArgument,
        #[graphql(desc = "The order; by publication, the newest first, unless given.")]
        order_by: Option<PostOrderBy>,
        #[graphql(desc = "Which posts.")] filter: Option<PostFilterInput>,
    ) -> Result<PostConnection> {
        let arguments = page_arguments(ctx, first, after, last, before);
        let asked = Asked::of(ctx, which, (filter, order_by), arguments);
        Ok(page(scope(ctx), asked).await?)
    }
}

/// One of the posts, by its slug.
async fn by_slug(scope: &RequestScope, which: Scope, slug: String) -> domain::Result<Option<Post>> {
    let found = read(scope, move |read, viewer| async move {
        domain::post::by_slug(&read, &viewer, which, &slug).await
    });
    Ok(found.await?.map(Into::into))
}

/// A page of all posts.
async fn page(
    scope: &RequestScope,
    asked: Asked<Post, (Option<PostFilterInput>, Option<PostOrderBy>)>,
) -> domain::Result<PostConnection> {
    let (filter, order_by) = asked.by;
    let filter = PostFilter {
        published: filter.and_then(|filter| filter.published),
    };
    let order = match order_by {
        None => (PostOrder::PublishedAt, domain::Direction::Descending),
        Some(PostOrderBy { field, direction }) => (
            match field {
                PostOrderField::PublishedAt => PostOrder::PublishedAt,
                PostOrderField::CreatedAt => PostOrder::CreatedAt,
                PostOrderField::UpdatedAt => PostOrder::UpdatedAt,
            },
            direction.into(),
        ),
    };
    let (selection, which, arguments) = (asked.columns, asked.which, asked.arguments);
    let page = read(scope, move |read, viewer| async move {
        let shape = selection.seen_by(&viewer);
        domain::post::page(&read, shape, &viewer, which, filter, order, &arguments).await
    });
    Ok(PostConnection::new(
        page.await?,
        Total::Posts(which, filter),
    ))
}

/// How the query's fields about posts are answered without their resolvers.
pub(crate) fn step<'a>(name: &str, below: Below<'a>) -> Option<Step<'a, Query>> {
    match name {
        "post" => {
            let which = below.argument::<ScopeArgument>("scope")?.into();
            let (id, slug) = (below.argument("id")?, below.argument("slug")?);
            match named::<PostId>(id, slug).ok()? {
                Named::Id(id) => {
                    let selection = below.columns::<Post>();
                    root::found(below, move |scope| {
                        load(scope, PostById(which, selection, id.into()))
                    })
                }
                Named::Slug(slug) => root::found(below, move |scope| {
                    Box::pin(by_slug(scope, which, slug.clone()))
                }),
            }
        }
        "posts" => {
            let by = (below.argument("filter")?, below.argument("orderBy")?);
            root::list(below, by, |scope, asked| Box::pin(page(scope, asked)))
        }
        _ => None,
    }
}

/// A new post: a draft, with the viewer as its author.
#[derive(InputObject)]
pub(crate) struct CreatePostInput {
    /// What it is called, 200 characters at most.
    title: String,
    /// Its text: Markdown, 1,000,000 characters at most.
    content: String,
    /// What it is found by; made of the title unless given.
    slug: Option<String>,
    /// The category it is in.
    category_id: Option<ID>,
    /// Its tags, in order: 50 at most.
    tag_ids: Option<Vec<ID>>,
}

/// What is to change of a post. An absent field is left alone, and null clears it.
#[derive(InputObject)]
pub(crate) struct UpdatePostInput {
    /// Which post.
    id: ID,
    /// The version that was seen: another one is a conflict.
    expected_version: i32,
    /// What it is called, 200 characters at most.
    title: MaybeUndefined<String>,
    /// What it is found by.
    slug: MaybeUndefined<String>,
    /// Its text: Markdown, 1,000,000 characters at most.
    content: MaybeUndefined<String>,
    /// The category it is in; null takes it out of its category.
    category_id: MaybeUndefined<ID>,
}

/// Which post is to be published.
#[derive(InputObject)]
pub(crate) struct PublishPostInput {
    /// Which post.
    id: ID,
    /// The version that was seen: another one is a conflict.
    expected_version: i32,
}

/// Which posts are to be published.
#[derive(InputObject)]
pub(crate) struct PublishPostsInput {
    /// Each with the version that was seen: 1 to 200.
    items: Vec<PublishPostsItem>,
}

/// One of the posts that are to be published.
#[derive(InputObject)]
pub(crate) struct PublishPostsItem {
    /// Which post; each may be named once.
    id: ID,
    /// The version that was seen: another one is a conflict.
    expected_version: i32,
}

/// Which post is to become a draft again.
#[derive(InputObject)]
pub(crate) struct UnpublishPostInput {
    /// Which post.
    id: ID,
    /// The version that was seen: another one is a conflict.
    expected_version: i32,
}

/// Which tags a post is to have.
#[derive(InputObject)]
pub(crate) struct SetPostTagsInput {
    /// Which post.
    id: ID,
    /// The version that was seen: another one is a conflict.
    expected_version: i32,
    /// All of its tags, in order, each once: 50 at most.
    tag_ids: Vec<ID>,
}

/// Who a post's co-authors are to be.
#[derive(InputObject)]
pub(crate) struct SetPostCoAuthorsInput {
    /// Which post.
    id: ID,
    /// The version that was seen: another one is a conflict.
    expected_version: i32,
    /// All of its co-authors, in order, each once, without the author: 20 at most.
    user_ids: Vec<ID>,
}

payload! {
    /// The post that was made, or why there is none.
    CreatePostPayload {
        /// The new post.
        post: Post
    }
    /// The post as it is now, or why nothing was changed.
    UpdatePostPayload {
        /// The changed post.
        post: Post
    }
    /// The published post, or why it is not.
    PublishPostPayload {
        /// The published post.
        post: Post
    }
    /// The draft, or why it is none.
    UnpublishPostPayload {
        /// The draft.
        post: Post
    }
    /// The post with its tags, or why nothing was changed.
    SetPostTagsPayload {
        /// The changed post.
        post: Post
    }
    /// The post with its co-authors, or why nothing was changed.
    SetPostCoAuthorsPayload {
        /// The changed post.
        post: Post
    }
}

list_payload! {
    /// The posts as they are now, or why nothing was changed.
    PublishPostsPayload {
        /// The published posts, in the order in which they were named.
        posts: [Post]
    }
}

#[derive(async_graphql::MergedObject, Default)]
pub(crate) struct PostMutation(PostEdit, PostRemoval);

#[derive(Default)]
pub(crate) struct PostEdit;

#[Object]
impl PostEdit {
    /// Makes a draft, with the viewer as its author.
    async fn create_post(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new post.")] input: CreatePostInput,
    ) -> Result<Option<CreatePostPayload>> {
        let command = CreatePost {
            title: input.title,
            slug: input.slug,
            content: input.content,
            category: match input.category_id {
                None => None,
                Some(id) => Some(decode(&id, "input.categoryId")?),
            },
            tags: decode_all(&input.tag_ids.unwrap_or_default(), "input.tagIds")?,
        };
        let request = scope(ctx);
        let asked = heavy(ctx);
        let made = match crate::idempotency::key_of(ctx, None) {
            Ok(key) => domain::post::create_alone(&request.store, &asked, key, command).await,
            Err(error) => Err(error),
        };
        CreatePostPayload::new(made)
    }

    /// Changes a post.
    async fn update_post(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is to change.")] input: UpdatePostInput,
    ) -> Result<Option<UpdatePostPayload>> {
        let command = UpdatePost {
            id: decode(&input.id, "input.id")?,
            seen: Version(input.expected_version),
            title: patch_as_is(input.title),
            slug: patch_as_is(input.slug),
            content: patch_as_is(input.content),
            category: patch(input.category_id, |id| decode(&id, "input.categoryId"))?,
        };
        UpdatePostPayload::new(
            write(ctx, move |tx, viewer| {
                Box::pin(domain::post::update(tx, viewer, command))
            })
            .await,
        )
    }

    /// Publishes a post: everybody sees it.
    async fn publish_post(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which post.")] input: PublishPostInput,
    ) -> Result<Option<PublishPostPayload>> {
        let id = decode(&input.id, "input.id")?;
        let seen = Version(input.expected_version);
        PublishPostPayload::new(
            write(ctx, move |tx, viewer| {
                Box::pin(domain::post::set_published(tx, viewer, id, seen, true))
            })
            .await,
        )
    }

    /// Publishes several posts, all or none of them: one that is not as it was seen changes
    /// nothing, and is named. Those that are published already stay as they are.
    async fn publish_posts(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which posts.")] input: PublishPostsInput,
    ) -> Result<Option<PublishPostsPayload>> {
        let items = input.items.iter().map(|item| {
            let id: PostId = decode(&item.id, "input.items.id")?;
            Ok(Seen {
                id: id.into(),
                version: Version(item.expected_version),
            })
        });
        let command = PublishPosts {
            items: items.collect::<Result<_>>()?,
        };
        PublishPostsPayload::new(
            write(ctx, move |tx, viewer| {
                Box::pin(domain::post::publish_many(tx, viewer, command))
            })
            .await,
        )
    }

    /// Makes a post a draft again. When it was first published stays known.
    async fn unpublish_post(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which post.")] input: UnpublishPostInput,
    ) -> Result<Option<UnpublishPostPayload>> {
        let id = decode(&input.id, "input.id")?;
        let seen = Version(input.expected_version);
        UnpublishPostPayload::new(
            write(ctx, move |tx, viewer| {
                Box::pin(domain::post::set_published(tx, viewer, id, seen, false))
            })
            .await,
        )
    }

    /// Says which tags a post has.
    async fn set_post_tags(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which post, and its tags.")] input: SetPostTagsInput,
    ) -> Result<Option<SetPostTagsPayload>> {
        let id = decode(&input.id, "input.id")?;
        let seen = Version(input.expected_version);
        let tags = decode_all(&input.tag_ids, "input.tagIds")?;
        SetPostTagsPayload::new(
            write(ctx, move |tx, viewer| {
                Box::pin(async move { domain::post::set_tags(tx, viewer, id, seen, &tags).await })
            })
            .await,
        )
    }

    /// Says who a post's co-authors are. They edit the post and do not delete it.
    async fn set_post_co_authors(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which post, and its co-authors.")] input: SetPostCoAuthorsInput,
    ) -> Result<Option<SetPostCoAuthorsPayload>> {
        let id = decode(&input.id, "input.id")?;
        let seen = Version(input.expected_version);
        let users = decode_all(&input.user_ids, "input.userIds")?;
        SetPostCoAuthorsPayload::new(
            write(ctx, move |tx, viewer| {
                Box::pin(
                    async move { domain::post::set_co_authors(tx, viewer, id, seen, &users).await },
                )
            })
            .await,
        )
    }
}

removal! {
    post: Post, post, PostId,
    delete_post(DeletePostInput, DeletePostPayload, "Deletes a post."),
    restore_post(RestorePostInput, RestorePostPayload, "Restores a deleted post."),
    purge_post(PurgePostInput, PurgePostPayload,
        "Removes a deleted post for good, after the retention time. For administrators."),
    PostRemoval, "post"
}
