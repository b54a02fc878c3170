//! Logging in and out, and who is asking.

use async_graphql::{Context, InputObject, Object, SimpleObject};
use chrono::{DateTime, Utc};
use plimsoll_domain as domain;

use crate::{
    batch::UserById,
    error::{MutationError, Result, outcome},
    record::load,
    scope,
    user::{User, UserRole},
};

/// Who is asking.
pub(crate) struct Viewer {
    user: Option<User>,
    role: Option<domain::Role>,
}

/// Who is asking.
#[Object]
impl Viewer {
    /// The logged-in user; null if nobody is.
    async fn user(&self) -> Option<User> {
        self.user.clone()
    }

    /// What they may do; null if nobody is logged in.
    async fn role(&self) -> Option<UserRole> {
        self.role.map(Into::into)
    }
}

#[derive(Clone, Default)]
pub(crate) struct SessionQuery;

#[Object]
impl SessionQuery {
    /// Who is asking, by the request's token.
    async fn viewer(&self, ctx: &Context<'_>) -> Result<Viewer> {
        let request = scope(ctx);
        let domain::Viewer::User { id, role } = request.viewer() else {
            return Ok(Viewer {
                user: None,
                role: None,
            });
        };
        let columns = domain::user::Columns::selected().into();
        let user = load(scope(ctx), UserById(columns, id.into())).await?;
        Ok(Viewer {
            user,
            role: Some(role),
        })
    }
}

/// Who logs in.
#[derive(InputObject)]
pub(crate) struct LoginInput {
    /// The user's e-mail address, in any case.
    email: String,
    /// The user's password.
    #[graphql(secret)]
    password: String,
}

/// A login, or why there is none.
#[derive(SimpleObject)]
pub(crate) struct LoginPayload {
    /// What each further request carries: `Authorization: Bearer TOKEN`.
    token: Option<String>,
    /// When the token ends.
    expires_at: Option<DateTime<Utc>>,
    /// Who logged in.
    viewer: Option<Viewer>,
    /// Why nobody was logged in; empty when somebody was.
    errors: Vec<MutationError>,
}

/// Whether a login was ended.
#[derive(SimpleObject)]
pub(crate) struct LogoutPayload {
    /// Why no login was ended; empty when one was.
    errors: Vec<MutationError>,
}

#[derive(Default)]
pub(crate) struct SessionMutation;

#[Object]
impl SessionMutation {
    /// Logs a user in.
    async fn login(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Who logs in.")] input: LoginInput,
    ) -> Result<Option<LoginPayload>> {
        let request = scope(ctx);
        let result = domain::session::login(
            &request.store,
            &request.caller.request,
            &input.email,
            input.password,
        )
        .await;
        if let Ok(login) = &result {
            let (id, role) = (login.user.id, login.user.role);
            request
                .logged_in
                .get_or_init(|| domain::Viewer::User { id, role });
        }
        let (login, errors) = outcome(result)?;
        Ok(Some(match login {
            None => LoginPayload {
                token: None,
                expires_at: None,
                viewer: None,
                errors,
            },
            Some(login) => LoginPayload {
                token: Some(login.token),
                expires_at: Some(login.expires_at),
                viewer: Some(Viewer {
                    role: Some(login.user.role),
                    user: Some(login.user.into()),
                }),
                errors,
            },
        }))
    }

    /// Ends the login that the request's token belongs to.
    async fn logout(&self, ctx: &Context<'_>) -> Result<Option<LogoutPayload>> {
        let request = scope(ctx);
        let result = match &request.caller.token {
            None => Err(domain::Error::Unauthenticated(
                "Nobody is logged in.".into(),
            )),
            Some(token) => {
                domain::session::logout(&request.store, &request.caller.request, token).await
            }
        };
        let (_, errors) = outcome(result)?;
        Ok(Some(LogoutPayload { errors }))
    }
}
