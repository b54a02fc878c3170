//! Users.

use async_graphql::{
    Context, Enum, ID, InputObject, MaybeUndefined, Object, resolver_utils::enum_value,
};
use plimsoll_domain::{
    self as domain, Patch, Role, Version,
    post::PostsOf,
    user::{CreateUser, UpdateUser, UserOrder},
};

use crate::{
    Query, RequestScope,
    batch::{Failure, ProfileOfUser},
    connection::{OrderDirection, ScopeArgument, Total, connection, page_arguments},
    error::{Result, payload},
    id::decode,
    json::{Json, Leaf},
    post::PostConnection,
    profile::Profile,
    record::{by_id, patch_as_is, read, record_fields, removal, write},
    root::{self, Asked},
    rows::{Below, One, Step},
    scope,
};

record_fields! {
    #[async_graphql::Object]
    /// Someone who logs in, or whose posts are here.
    User(User of plimsoll_domain::user) {
        own {
            /// What they are called.
            name: String = Name;

            /// What they may do.
            role: UserRole = Role as Role;

            /// Whether they may log in.
            is_active: bool = IsActive;
        }
        one {
            /// What they tell about themselves; null if nothing.
            profile: Profile = ProfileOfUser(Id);
        }
        pages {
            posts: PostConnection::step(PostsOf::Author);
        }
        needs {
            email: Id, Email;
        }
        resolvers {
            /// Their e-mail address; null for whoever may not see it.
            async fn email(&self, ctx: &Context<'_>) -> Result<Option<String>> {
                let viewer = scope(ctx).viewer();
                let id = self.get(Column::Id)?;
                if !domain::user::shows_email(&viewer, id) {
                    return Ok(None);
                }
                self.get(Column::Email)
            }

            /// The posts that they are the author of, the newest first.
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
                PostConnection::of(ctx, PostsOf::Author, id, scope.into(), arguments).await
            }
        }
    }
}

connection!(
    UserConnection,
    UserEdge,
    User,
    domain::user::View,
    "A page of users.",
    "A user at a place in a list."
);

/// What a user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(name = "Role")]
pub(crate) enum UserRole {
    /// Changes what is theirs.
    User,
    /// Changes any post, category and tag.
    Moderator,
    /// Changes everything.
    Admin,
}

impl Leaf for UserRole {
    fn write(self, json: &mut Json) -> std::result::Result<(), Failure> {
        json.value(&enum_value(self));
        Ok(())
    }
}

impl From<Role> for UserRole {
    fn from(role: Role) -> Self {
        match role {
            Role::User => Self::User,
            Role::Moderator => Self::Moderator,
            Role::Admin => Self::Admin,
        }
    }
}

impl From<UserRole> for Role {
    fn from(role: UserRole) -> Self {
        match role {
            UserRole::User => Self::User,
            UserRole::Moderator => Self::Moderator,
            UserRole::Admin => Self::Admin,
        }
    }
}

/// What users are ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
pub(crate) enum UserOrderField {
    /// By name, without regard to case.
    Name,
    /// By when they were made.
    CreatedAt,
}

/// How users are ordered.
#[derive(Clone, Copy, Debug, InputObject)]
pub(crate) struct UserOrderBy {
    /// What they are ordered by.
    field: UserOrderField,
    /// Which way.
    direction: OrderDirection,
}

#[derive(Clone, Default)]
pub(crate) struct UserQuery;

#[Object]
impl UserQuery {
    /// The user with this id; null if there is none that the viewer sees.
    async fn user(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The user's id.")] id: ID,
        #[graphql(default, name = "scope", desc = "A deleted one as well, or alone.")]
        which: ScopeArgument,
    ) -> Result<One<User>> {
        let id: domain::id::UserId = decode(&id, "id")?;
        Ok(One(by_id(scope(ctx), which.into(), id.into()).await?))
    }

    /// All users, ordered by name unless told otherwise.
    #[expect(clippy::too_many_arguments, reason = "a connection takes them all")]
    #[graphql(complexity = "crate::connection::cost(first, last, child_complexity)")]
    async fn users(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "How many, from the front: 20 unless given, 200 at most.")] first: Option<
            i32,
        >,
        #[graphql(desc = "Begin behind this cursor.")] after: Option<String>,
        #[graphql(desc = "How many, from the back.")] last: Option<i32>,
        #[graphql(desc = "End before this cursor.")] before: Option<String>,
        #[graphql(default, name = "scope", desc = "Deleted users as well, or alone.")]
        which: ScopeArgument,
        #[graphql(desc = "The order; by name, ascending, unless given.")] order_by: Option<
            UserOrderBy,
        >,
    ) -> Result<UserConnection> {
        let arguments = page_arguments(ctx, first, after, last, before);
        let asked = Asked::of(ctx, which, order_by, arguments);
        Ok(page(scope(ctx), asked).await?)
    }
}

/// A page of all users.
async fn page(
    scope: &RequestScope,
    asked: Asked<User, Option<UserOrderBy>>,
) -> domain::Result<UserConnection> {
    let order = match asked.by {
        None => (UserOrder::Name, domain::Direction::Ascending),
        Some(UserOrderBy { field, direction }) => (
            match field {
                UserOrderField::Name => UserOrder::Name,
                UserOrderField::CreatedAt => UserOrder::CreatedAt,
            },
            direction.into(),
        ),
    };
    let total = Total::Users(asked.which);
    let page = read(scope, move |read, viewer| async move {
        domain::user::page(
            &read,
            asked.columns.seen_by(&viewer),
            &viewer,
            asked.which,
            order,
            &asked.arguments,
        )
        .await
    });
    Ok(UserConnection::new(page.await?, total))
}

/// How the query's fields about users are answered without their resolvers.
pub(crate) fn step<'a>(name: &str, below: Below<'a>) -> Option<Step<'a, Query>> {
    match name {
        "user" => root::one::<User, domain::id::UserId>(below),
        "users" => root::list(below, below.argument("orderBy")?, |scope, asked| {
            Box::pin(page(scope, asked))
        }),
        _ => None,
    }
}

/// A new user.
#[derive(InputObject)]
pub(crate) struct CreateUserInput {
    /// The address that they log in with. No other live user may have it, in any case.
    email: String,
    /// What they are called.
    name: String,
    /// What they may do; `USER` unless given.
    role: Option<UserRole>,
    /// Their password, 8 to 256 characters; without one they cannot log in.
    #[graphql(secret)]
    password: Option<String>,
}

/// What is to change of a user. An absent field is left alone.
#[derive(InputObject)]
pub(crate) struct UpdateUserInput {
    /// Which user.
    id: ID,
    /// The version that was seen: another one is a conflict.
    expected_version: i32,
    /// The address that they log in with.
    email: MaybeUndefined<String>,
    /// What they are called.
    name: MaybeUndefined<String>,
    /// What they may do. For administrators.
    role: MaybeUndefined<UserRole>,
    /// Whether they may log in. For administrators.
    is_active: MaybeUndefined<bool>,
    /// A new password, 8 to 256 characters. It ends every login of the user.
    #[graphql(secret)]
    password: Option<String>,
    /// The password so far; needed with `password`, unless an administrator sets it for
    /// somebody else.
    #[graphql(secret)]
    current_password: Option<String>,
}

payload! {
    /// The user that was made, or why there is none.
    CreateUserPayload {
        /// The new user.
        user: User
    }
    /// The user as they are now, or why nothing was changed.
    UpdateUserPayload {
        /// The changed user.
        user: User
    }
}

#[derive(async_graphql::MergedObject, Default)]
pub(crate) struct UserMutation(UserEdit, UserRemoval);

#[derive(Default)]
pub(crate) struct UserEdit;

#[Object]
impl UserEdit {
    /// Makes a user. For administrators.
    async fn create_user(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new user.")] input: CreateUserInput,
    ) -> Result<Option<CreateUserPayload>> {
        let request = scope(ctx);
        let result = async {
            domain::user::check_new(&request.viewer(), input.password.as_deref())?;
            let password_hash = match input.password {
                None => None,
                Some(password) => Some(request.store.passwords().hash(password).await?),
            };
            let command = CreateUser {
                email: input.email,
                name: input.name,
                role: input.role.map_or(Role::User, Into::into),
                password_hash,
            };
            write(ctx, move |tx, viewer| {
                Box::pin(domain::user::create(tx, viewer, command))
            })
            .await
        };
        CreateUserPayload::new(result.await)
    }

    /// Changes a user.
    async fn update_user(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What is to change.")] input: UpdateUserInput,
    ) -> Result<Option<UpdateUserPayload>> {
        let request = scope(ctx);
        let id = decode(&input.id, "input.id")?;
        let role = match patch_as_is(input.role) {
            Patch::Keep => Patch::Keep,
            Patch::Clear => Patch::Clear,
            Patch::Set(role) => Patch::Set(role.into()),
        };
        let result = async {
            let password_hash = match input.password {
                None => None,
                Some(password) => Some(
                    domain::session::new_password(
                        &request.store,
                        &request.viewer(),
                        id,
                        password,
                        input.current_password,
                    )
                    .await?,
                ),
            };
            let command = UpdateUser {
                id,
                seen: Version(input.expected_version),
                email: patch_as_is(input.email),
                name: patch_as_is(input.name),
                role,
                is_active: patch_as_is(input.is_active),
                password_hash,
            };
            write(ctx, move |tx, viewer| {
                Box::pin(domain::user::update(tx, viewer, command))
            })
            .await
        };
        UpdateUserPayload::new(result.await)
    }
}

removal! {
    user: User, user, UserId,
    delete_user(DeleteUserInput, DeleteUserPayload,
        "Deletes a user with their profile and their posts, and ends their logins."),
    restore_user(RestoreUserInput, RestoreUserPayload,
        "Restores a deleted user with all that their deletion took along. For administrators."),
    purge_user(PurgeUserInput, PurgeUserPayload,
        "Removes a deleted user for good with all that their deletion took along, after the retention time. For administrators."),
    UserRemoval, "user"
}
