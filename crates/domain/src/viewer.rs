//! Who asks, and when.

use chrono::{DateTime, Utc};
use plimsoll_entity::id::UserId;
pub use plimsoll_entity::user::Role;
use plimsoll_records::{Isolation, Writer};
use uuid::Uuid;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Viewer {
    /// Nobody is logged in.
    Anonymous,
    /// A logged-in user.
    User {
        /// Who it is.
        id: UserId,
        /// What they may do.
        role: Role,
    },
    /// The program itself, on behalf of its operator.
    System,
}

impl Viewer {
    /// The user, if one is logged in.
    pub fn user_id(&self) -> Option<UserId> {
        match self {
            Self::User { id, .. } => Some(*id),
            Self::Anonymous | Self::System => None,
        }
    }

    /// Whether the viewer may change any post, category and tag.
    pub fn is_moderator(&self) -> bool {
        matches!(
            self,
            Self::System
                | Self::User {
                    role: Role::Admin | Role::Moderator,
                    ..
                }
        )
    }
}

/// One request: who asks, when, and which it is. The clock is read once, outside.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    /// Who asks.
    pub viewer: Viewer,
    /// When the request came.
    pub now: DateTime<Utc>,
    /// The request's own id, in the log and in the audit log.
    pub id: Uuid,
    /// Whether changed records are answered with their heavy columns.
    pub heavy: bool,
}

impl Request {
    /// What the audit log will say of the request's changes.
    pub(crate) fn writer(&self) -> Writer {
        Writer {
            actor: self.viewer.user_id().map(Into::into),
            now: self.now,
            request: Some(self.id),
            heavy: self.heavy,
            seed: None,
            isolation: Isolation::default(),
        }
    }
}
