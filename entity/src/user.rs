//! People who can log in, and people whose posts are here.

use plimsoll_records::Deferred;
use sea_orm::entity::prelude::*;

use crate::id::UserId;

/// One user.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "users")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: UserId,
    /// The address as it was written.
    pub email: String,
    /// The address folded: unique among the living.
    pub email_key: String,
    pub name: String,
    /// The name folded: users are ordered by it.
    pub name_key: String,
    pub role: Role,
    /// An argon2id hash in PHC form; none for who cannot log in.
    pub password_hash: Deferred<String>,
    /// Whether the user may log in.
    pub is_active: bool,
    /// How many changes the row has had.
    pub lock_version: i32,
    /// When it was deleted; null while it is live.
    pub deleted_at: Option<DateTimeUtc>,
    /// The deletion that took it.
    pub deletion_id: Option<Uuid>,
    /// When it was made.
    pub created_at: DateTimeUtc,
    /// When it was last changed.
    pub updated_at: DateTimeUtc,
    #[sea_orm(has_one)]
    pub profile: HasOne<super::profile::Entity>,
    #[sea_orm(has_many)]
    pub posts: HasMany<super::post::Entity>,
}

/// What a user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "String(StringLen::N(16))")]
pub enum Role {
    /// Changes what is theirs.
    #[sea_orm(string_value = "USER")]
    User,
    /// Changes any post, category and tag.
    #[sea_orm(string_value = "MODERATOR")]
    Moderator,
    /// Changes everything.
    #[sea_orm(string_value = "ADMIN")]
    Admin,
}

impl ActiveModelBehavior for ActiveModel {}

plimsoll_records::record! {
    "user", UserId,
    secret: [PasswordHash],
    dependents: [super::login_session::Entity => UserId, super::post_author::Entity => UserId],
}
