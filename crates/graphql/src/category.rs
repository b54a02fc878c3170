//! Categories.

use async_graphql::{Context, Enum, ID, InputObject, MaybeUndefined, Object};
use plimsoll_domain::{
    self as domain, Scope, Version,
    category::{CategoryOrder, CreateCategory, UpdateCategory},
    id::CategoryId,
    post::PostsOf,
};
use uuid::Uuid;

use crate::{
    Query, RequestScope,
    batch::{CategoryById, ChildrenPage, Failure, PageOf},
    connection::{OrderDirection, ScopeArgument, Total, connection, page_arguments},
    error::{Result, payload},
    id::{Named, decode, named},
    post::PostConnection,
    record::{by_id, load, patch, patch_as_is, read, record_fields, removal, write},
    root::{self, Asked},
    rows::{Below, Connection, One, Row, Step, pages},
    scope,
};

record_fields! {
    #[async_graphql::Object]
    /// A subject that posts are about. Categories form a tree.
    Category(Category of plimsoll_domain::category) {
        own {
            /// What it is called.
            name: String = Name;

            /// What it is found by. No other live category has it.
            slug: String = Slug;
        }
        one {
            /// The category that it lies in; null at the top, or if that one is deleted.
            parent: Category = CategoryById(ParentId);
        }
        pages {
            children: CategoryConnection::step();
            posts: PostConnection::step(PostsOf::Category);
        }
        resolvers {
            /// The categories right below it, ordered by slug.
            #[graphql(complexity = "crate::connection::cost(first, last, child_complexity)")]
            async fn children(
                &self,
                ctx: &Context<'_>,
                #[graphql(desc = "How many, from the front: 20 unless given, 200 at most.")]
                first: Option<i32>,
                #[graphql(desc = "Begin behind this cursor.")] after: Option<String>,
                #[graphql(desc = "How many, from the back.")] last: Option<i32>,
                #[graphql(desc = "End before this cursor.")] before: Option<String>,
                #[graphql(default, name = "scope", desc = "Deleted categories as well, or alone.")]
                which: ScopeArgument,
            ) -> Result<CategoryConnection> {
                let arguments = page_arguments(ctx, first, after, last, before);
                let (id, which) = (self.get(Column::Id)?, which.into());
                let columns = Below::of(ctx).columns_of_nodes::<Category>();
                let key = ChildrenPage(which, arguments, columns, id);
                Ok(CategoryConnection::of(&key, load(scope(ctx), key.clone()).await?))
            }

            /// The posts in this category itself, the newest first.
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
                PostConnection::of(ctx, PostsOf::Category, id, scope.into(), arguments).await
            }
        }
    }
}

connection!(
    CategoryConnection,
    CategoryEdge,
    Category,
    domain::category::View,
    "A page of categories.",
    "A category at a place in a list."
);

impl CategoryConnection {
    /// A page of the categories below each of many rows with these ids.
    fn step<'a, T: Row>(
        below: Below<'a>,
        id: fn(&T) -> std::result::Result<Uuid, Failure>,
    ) -> Option<Step<'a, T>> {
        let which = below.argument::<ScopeArgument>("scope")?.into();
        let arguments = below.page_arguments()?;
        let columns = below.columns_of_nodes::<Category>();
        pages::<T, ChildrenPage, Self>(below, move |row| {
            Ok(ChildrenPage(which, arguments.clone(), columns, id(row)?))
        })
    }
}

impl Connection<ChildrenPage> for CategoryConnection {
    fn of(
        &ChildrenPage(which, _, _, parent): &ChildrenPage,
        found: Option<PageOf<Category>>,
    ) -> Self {
        Self {
            page: found.unwrap_or_default(),
            total: Total::CategoriesBelow(parent, which),
        }
    }
}

/// What categories are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum CategoryOrderField {
    /// By slug.
    Slug,
    /// By when they were made.
    CreatedAt,
}

/// How categories are ordered.
#[derive(Clone, Copy, Debug, InputObject)]
pub(crate) struct CategoryOrderBy {
    /// What they are ordered by.
    field: CategoryOrderField,
    /// Which way.
    direction: OrderDirection,
}

#[derive(Clone, Default)]
pub(crate) struct CategoryQuery;

#[Object]
impl CategoryQuery {
    /// The category with this id or this slug; null if there is none that the viewer sees.
    async fn category(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The category's id.")] id: Option<ID>,
        #[graphql(desc = "The category's slug, in any case.")] slug: Option<String>,
        #[graphql(default, name = "scope", desc = "A deleted one as well, or alone.")]
        which: ScopeArgument,
    ) -> Result<One<Category>> {
        let (scope, which) = (scope(ctx), which.into());
        Ok(One(match named::<CategoryId>(id, slug)? {
            Named::Id(id) => by_id(scope, which, id.into()).await?,
            Named::Slug(slug) => by_slug(scope, which, slug).await?,
        }))
    }

    /// All categories, ordered by slug unless told otherwise.
    #[expect(clippy::too_many_arguments, reason = "a connection takes them all")]
    #[graphql(complexity = "crate::connection::cost(first, last, child_complexity)")]
    async fn categories(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, from the front: 20 unless given, 200 at most.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Begin behind this cursor.")] after: Option<String>,
        #[graphql(desc = "How many, from the back.")] last: Option<i32>,
        #[graphql(desc = "End before this cursor.")] before: Option<String>,
        #[graphql(
            default,
            name = "scope",
            desc = "Deleted categories as well, or alone."
        )]
        which: ScopeArgument,
        #[graphql(desc = "The order; by slug, ascending, unless given.")] order_by: Option<
            CategoryOrderBy,
        >,
    ) -> Result<CategoryConnection> {
        let arguments = page_arguments(ctx, first, after, last, before);
        let asked = Asked::of(ctx, which, order_by, arguments);
        Ok(page(scope(ctx), asked).await?)
    }
}

/// One of the categories, by its slug.
async fn by_slug(
    scope: &RequestScope,
    which: Scope,
    slug: String,
) -> domain::Result<Option<Category>> {
    let found = read(scope, move |read, viewer| async move {
        domain::category::by_slug(&read, &viewer, which, &slug).await
    });
    Ok(found.await?.map(Into::into))
}

/// A page of all categories.
async fn page(
    scope: &RequestScope,
    asked: Asked<Category, Option<CategoryOrderBy>>,
) -> domain::Result<CategoryConnection> {
    let order = match asked.by {
        None => (CategoryOrder::Slug, domain::Direction::Ascending),
        Some(CategoryOrderBy { field, direction }) => (
            match field {
                CategoryOrderField::Slug => CategoryOrder::Slug,
                CategoryOrderField::CreatedAt => CategoryOrder::CreatedAt,
            },
            direction.into(),
        ),
    };
    let total = Total::Categories(asked.which);
    let page = read(scope, move |read, viewer| async move {
        domain::category::page(
            &read,
            asked.columns.seen_by(&viewer),
            &viewer,
            asked.which,
            order,
            &asked.arguments,
        )
        .await
    });
    Ok(CategoryConnection::new(page.await?, total))
}

/// How the query's fields about categories are answered without their resolvers.
pub(crate) fn step<'a>(name: &str, below: Below<'a>) -> Option<Step<'a, Query>> {
    match name {
        "category" => {
            root::one_named::<Category, CategoryId, _>(below, "slug", |scope, which, slug| {
                Box::pin(by_slug(scope, which, slug))
            })
        }
        "categories" => root::list(below, below.argument("orderBy")?, |scope, asked| {
            Box::pin(page(scope, asked))
        }),
        _ => None,
    }
}

/// A new category.
#[derive(InputObject)]
pub(crate) struct CreateCategoryInput {
    /// What it is called.
    name: String,
    /// What it is found by; made of the name unless given.
    slug: Option<String>,
    /// The category that it lies in; at the top unless given.
    parent_id: Option<ID>,
}

/// What is to change of a category. An absent field is left alone.
#[derive(InputObject)]
pub(crate) struct UpdateCategoryInput {
    /// Which category.
    id: ID,
    /// The version that was seen: another one is a conflict.
    expected_version: i32,
    /// What it is called.
    name: MaybeUndefined<String>,
    /// What it is found by.
    slug: MaybeUndefined<String>,
    /// The category that it lies in; null puts it at the top.
    parent_id: MaybeUndefined<ID>,
}

payload! {
    /// The category that was made, or why there is none.
    CreateCategoryPayload {
        /// The new category.
        category: Category
    }
    /// The category as it is now, or why nothing was changed.
    UpdateCategoryPayload {
        /// The changed category.
        category: Category
    }
}

#[derive(async_graphql::MergedObject, Default)]
pub(crate) struct CategoryMutation(CategoryEdit, CategoryRemoval);

#[derive(Default)]
pub(crate) struct CategoryEdit;

#[Object]
impl CategoryEdit {
    /// Makes a category. For moderators and administrators.
    async fn create_category(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new category.")] input: CreateCategoryInput,
    ) -> Result<Option<CreateCategoryPayload>> {
        let command = CreateCategory {
            name: input.name,
            slug: input.slug,
            parent: match input.parent_id {
                None => None,
                Some(id) => Some(decode(&id, "input.parentId")?),
            },
        };
        CreateCategoryPayload::new(
            write(ctx, move |tx, viewer| {
                Box::pin(domain::category::create(tx, viewer, command))
            })
            .await,
        )
    }

    /// Changes a category. For moderators and administrators.
    async fn update_category(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is to change.")] input: UpdateCategoryInput,
    ) -> Result<Option<UpdateCategoryPayload>> {
        let command = UpdateCategory {
            id: decode(&input.id, "input.id")?,
            seen: Version(input.expected_version),
            name: patch_as_is(input.name),
            slug: patch_as_is(input.slug),
            parent: patch(input.parent_id, |id| decode(&id, "input.parentId"))?,
        };
        UpdateCategoryPayload::new(
            write(ctx, move |tx, viewer| {
                Box::pin(domain::category::update(tx, viewer, command))
            })
            .await,
        )
    }
}

removal! {
    category: Category, category, CategoryId,
    delete_category(DeleteCategoryInput, DeleteCategoryPayload,
        "Deletes a category and those below it, unless a live post is in one of them. For moderators and administrators."),
    restore_category(RestoreCategoryInput, RestoreCategoryPayload,
        "Restores a deleted category. For moderators and administrators."),
    purge_category(PurgeCategoryInput, PurgeCategoryPayload,
        "Removes a deleted category for good, after the retention time. For administrators."),
    CategoryRemoval, "category"
}
