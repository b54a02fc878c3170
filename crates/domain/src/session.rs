//! Logins: a password for a token, and a token for a viewer.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use plimsoll_entity::{
    id::{LoginSessionId, UserId},
    login_session, user,
};
use plimsoll_records::{Rows, Via, Whole};
use rand::Rng as _;
use sea_orm::{ActiveValue::Set, ColumnTrait, sea_query::ExprTrait};
use sha2::{Digest, Sha256};

use crate::{
    Error, Request, Result, Scope, Store, Viewer,
    policy::{Act, Relation, Subject, require},
    text::{Check, lookup_key},
    user::User,
};

/// The random bytes of a token: 256 bits cannot be guessed.
const TOKEN_BYTES: usize = 32;

/// A new login.
#[derive(Debug)]
pub struct Login {
    /// What the client sends with each request. It is not kept here.
    pub token: String,
    /// When the token ends.
    pub expires_at: DateTime<Utc>,
    /// Who logged in.
    pub user: User,
}

/// Logs a user in.
///
/// # Errors
///
/// [`Error::Invalid`] if there is no active user with this address and password: which of the
/// two is wrong is not told, and takes as long.
pub async fn login(
    store: &Store,
    request: &Request,
    email: &str,
    password: String,
) -> Result<Login> {
    let found = match lookup_key(email) {
        None => None,
        Some(key) => {
            Rows::<user::Entity>::live()
                .filter(user::Column::EmailKey.eq(key))
                .with(user::Column::PasswordHash)
                .one(&store.read())
                .await?
        }
    };
    let hash = found
        .as_ref()
        .and_then(|user| user.password_hash.get().cloned());
    let right = store.passwords().verify(password, hash).await?;
    let Some(user) = found.filter(|user| right && user.is_active) else {
        return Err(Error::invalid(
            "password",
            "The e-mail address or the password is wrong.",
        ));
    };
    let (compared, role) = (user.password_hash.clone(), user.role);
    let token = token();
    let token_hash = digest(&token);
    let lifetime = store.settings().session_lifetime;
    let expires_at = request
        .now
        .checked_add_signed(lifetime)
        .ok_or_else(|| Error::Internal("logins last too long".into()))?;
    let id = user.id;
    store
        .write_login(request, move |tx| {
            Box::pin(async move {
                // Held, and looked at again: a deletion, a deactivation or another password at
                // this moment does not leave a login behind.
                tx.hold_live::<user::Entity>(&[id.into()]).await?;
                let now = Rows::<user::Entity>::live()
                    .filter(user::Column::Id.eq(id))
                    .with(user::Column::PasswordHash)
                    .one(tx)
                    .await?;
                let same = |user: &User| {
                    user.is_active && user.role == role && user.password_hash == compared
                };
                if !now.as_ref().is_some_and(same) {
                    return Err(Error::invalid(
                        "password",
                        "The e-mail address or the password is wrong.",
                    ));
                }
                let row = login_session::ActiveModel {
                    id: Set(LoginSessionId(tx.mint())),
                    user_id: Set(id),
                    token_hash: Set(token_hash),
                    expires_at: Set(expires_at),
                    revoked_at: Set(None),
                    created_at: Set(tx.now()),
                    updated_at: Set(tx.now()),
                };
                let ended = login_session::Column::UserId
                    .eq(id)
                    .and(login_session::Column::ExpiresAt.lt(tx.now()));
                tx.delete_facts::<login_session::Entity>(ended).await?;
                tx.insert_facts::<login_session::Entity>(vec![row]).await?;
                Ok(())
            })
        })
        .await?;
    Ok(Login {
        token,
        expires_at,
        user: User {
            password_hash: Default::default(),
            ..user
        },
    })
}

/// Who a token stands for.
///
/// # Errors
///
/// [`Error::Unauthenticated`] if the token is none, has ended, or its user is not there or not
/// active any longer.
pub async fn viewer(store: &Store, token: &str, now: DateTime<Utc>) -> Result<Viewer> {
    let ended = || Error::Unauthenticated("The token is not valid, or not any longer.".into());
    let session = Rows::<login_session::Entity>::live()
        .filter(login_session::Column::TokenHash.eq(digest(token)))
        .filter(login_session::Column::RevokedAt.is_null())
        .filter(login_session::Column::ExpiresAt.gt(now));
    let user = Rows::<user::Entity>::live()
        .filter(user::Column::IsActive.eq(true))
        .having(Via::Column(login_session::Column::UserId), session)
        .one(&store.read())
        .await?
        .ok_or_else(ended)?;
    Ok(Viewer::User {
        id: user.id,
        role: user.role,
    })
}

/// Ends the login that a token belongs to.
///
/// # Errors
///
/// Whatever keeps the database from writing.
pub async fn logout(store: &Store, request: &Request, token: &str) -> Result<()> {
    let token_hash = digest(token);
    store
        .write(request, move |tx| {
            Box::pin(async move {
                let now = tx.now();
                let values = [
                    (login_session::Column::RevokedAt, now.into()),
                    (login_session::Column::UpdatedAt, now.into()),
                ];
                let this = login_session::Column::TokenHash.eq(token_hash);
                tx.update_facts::<login_session::Entity>(this, values)
                    .await?;
                Ok(())
            })
        })
        .await
}

/// The hash of a user's new password.
///
/// # Errors
///
/// [`Error::NotFound`] if there is no such user; [`Error::Forbidden`] if the viewer is neither
/// they nor an administrator; [`Error::Invalid`] if the password is too short or too long, or if
/// the current one is wrong or missing: who changes their own must know it.
pub async fn new_password(
    store: &Store,
    viewer: &Viewer,
    id: UserId,
    password: String,
    current: Option<String>,
) -> Result<String> {
    let own = viewer.user_id() == Some(id);
    let seen = crate::user::by_ids(&store.read(), Whole, viewer, Scope::Live, &[id.into()]).await?;
    if seen.is_empty() {
        return Err(Error::not_found());
    }
    require(viewer, Subject::User, Act::Change, Relation::owner(own))?;
    let mut check = Check::new();
    check.password("password", &password);
    check.done()?;
    if own {
        let user = Rows::<user::Entity>::live()
            .filter(user::Column::Id.eq(id))
            .with(user::Column::PasswordHash)
            .one(&store.read())
            .await?;
        let hash = user.and_then(|user| user.password_hash.into_inner());
        if !store
            .passwords()
            .verify(current.unwrap_or_default(), hash)
            .await?
        {
            return Err(Error::invalid(
                "currentPassword",
                "It is not the current password.",
            ));
        }
    }
    store.passwords().hash(password).await
}

fn token() -> String {
    let mut bytes = [0; TOKEN_BYTES];
    rand::rng().fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What is kept of a token. It is as random as the token: no salt is needed.
fn digest(token: &str) -> String {
    crate::text::hex(&Sha256::digest(token.as_bytes()))
}
