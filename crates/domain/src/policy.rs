//! Who may what: one table, which the code asks and the documents show.

use std::fmt::Write as _;

use crate::{Error, Result, Viewer, viewer::Role};

/// What something is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A user.
    User,
    /// A profile.
    Profile,
    /// A category.
    Category,
    /// A tag.
    Tag,
    /// A post.
    Post,
    /// A product.
    Product,
    /// The stock of a product.
    Inventory,
    /// An account.
    Account,
    /// An order.
    Order,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Make one.
    Create,
    /// See a live one; for a post, a published one.
    See,
    /// See a live post that is not published.
    SeeDraft,
    /// See a user's e-mail address.
    SeeEmail,
    /// See a deleted one.
    SeeDeleted,
    /// Change it; for a post, also publish it and set its tags.
    Change,
    /// Give a user another role, or let them log in or not.
    ChangeRole,
    /// Say who a post's co-authors are.
    SetCoAuthors,
    /// Put money from outside into it.
    Deposit,
    /// Move or pay money from it.
    Spend,
    /// Pay for it.
    Pay,
    /// Send it to its buyer.
    Ship,
    /// Give it up: goods and money go back.
    Cancel,
    /// Delete it.
    Delete,
    /// Restore it.
    Restore,
    /// Remove it for good.
    Purge,
}

/// Who may do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Anyone.
    Anyone,
    /// Whoever is logged in.
    LoggedIn,
    /// Whose it is: the user, the profile's user, the post's author, the account's owner, the
    /// order's buyer.
    Owner,
    /// Who is named as the post's co-author.
    CoAuthor,
    /// Moderators.
    Moderator,
    /// Administrators.
    Admin,
}

use Act as A;
use Subject as S;
use Who as W;

/// The table. What is not in it, nobody may.
pub const RULES: &[(Subject, Act, &[Who])] = &[
    (S::User, A::Create, &[W::Admin]),
    (S::User, A::See, &[W::Anyone]),
    (S::User, A::SeeEmail, &[W::Owner, W::Admin]),
    (S::User, A::SeeDeleted, &[W::Admin]),
    (S::User, A::Change, &[W::Owner, W::Admin]),
    (S::User, A::ChangeRole, &[W::Admin]),
    (S::User, A::Delete, &[W::Owner, W::Admin]),
    (S::User, A::Restore, &[W::Admin]),
    (S::User, A::Purge, &[W::Admin]),
    (S::Profile, A::Create, &[W::Owner, W::Admin]),
    (S::Profile, A::See, &[W::Anyone]),
    (S::Profile, A::SeeDeleted, &[W::Owner, W::Admin]),
    (S::Profile, A::Change, &[W::Owner, W::Admin]),
    (S::Profile, A::Delete, &[W::Owner, W::Admin]),
    (S::Profile, A::Restore, &[W::Owner, W::Admin]),
    (S::Profile, A::Purge, &[W::Admin]),
    (S::Category, A::Create, &[W::Moderator, W::Admin]),
    (S::Category, A::See, &[W::Anyone]),
    (S::Category, A::SeeDeleted, &[W::Moderator, W::Admin]),
    (S::Category, A::Change, &[W::Moderator, W::Admin]),
    (S::Category, A::Delete, &[W::Moderator, W::Admin]),
    (S::Category, A::Restore, &[W::Moderator, W::Admin]),
    (S::Category, A::Purge, &[W::Admin]),
    (S::Tag, A::Create, &[W::Moderator, W::Admin]),
    (S::Tag, A::See, &[W::Anyone]),
    (S::Tag, A::SeeDeleted, &[W::Moderator, W::Admin]),
    (S::Tag, A::Change, &[W::Moderator, W::Admin]),
    (S::Tag, A::Delete, &[W::Moderator, W::Admin]),
    (S::Tag, A::Restore, &[W::Moderator, W::Admin]),
    (S::Tag, A::Purge, &[W::Admin]),
    (S::Post, A::Create, &[W::LoggedIn]),
    (S::Post, A::See, &[W::Anyone]),
    (
        S::Post,
        A::SeeDraft,
        &[W::Owner, W::CoAuthor, W::Moderator, W::Admin],
    ),
    (S::Post, A::SeeDeleted, &[W::Owner, W::Moderator, W::Admin]),
    (
        S::Post,
        A::Change,
        &[W::Owner, W::CoAuthor, W::Moderator, W::Admin],
    ),
    (
        S::Post,
        A::SetCoAuthors,
        &[W::Owner, W::Moderator, W::Admin],
    ),
    (S::Post, A::Delete, &[W::Owner, W::Moderator, W::Admin]),
    (S::Post, A::Restore, &[W::Owner, W::Moderator, W::Admin]),
    (S::Post, A::Purge, &[W::Admin]),
    (S::Product, A::Create, &[W::Moderator, W::Admin]),
    (S::Product, A::See, &[W::Anyone]),
    (S::Product, A::SeeDeleted, &[W::Moderator, W::Admin]),
    (S::Product, A::Change, &[W::Moderator, W::Admin]),
    (S::Product, A::Delete, &[W::Moderator, W::Admin]),
    (S::Product, A::Restore, &[W::Moderator, W::Admin]),
    (S::Product, A::Purge, &[W::Admin]),
    (S::Inventory, A::See, &[W::Anyone]),
    (S::Inventory, A::SeeDeleted, &[W::Moderator, W::Admin]),
    (S::Inventory, A::Change, &[W::Moderator, W::Admin]),
    (S::Account, A::Create, &[W::Owner, W::Admin]),
    (S::Account, A::See, &[W::Owner, W::Admin]),
    (S::Account, A::SeeDeleted, &[W::Owner, W::Admin]),
    (S::Account, A::Deposit, &[W::Admin]),
    (S::Account, A::Spend, &[W::Owner]),
    (S::Account, A::Delete, &[W::Owner, W::Admin]),
    (S::Account, A::Restore, &[W::Owner, W::Admin]),
    (S::Account, A::Purge, &[W::Admin]),
    (S::Order, A::Create, &[W::LoggedIn]),
    (S::Order, A::See, &[W::Owner, W::Moderator, W::Admin]),
    (S::Order, A::Pay, &[W::Owner]),
    (S::Order, A::Ship, &[W::Moderator, W::Admin]),
    (S::Order, A::Cancel, &[W::Owner, W::Moderator, W::Admin]),
];

/// What a viewer is to a record, beside their role.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Relation {
    /// It is theirs.
    pub owner: bool,
    /// They are named as its co-author.
    pub co_author: bool,
}

impl Relation {
    /// Nothing.
    pub const NONE: Self = Self {
        owner: false,
        co_author: false,
    };

    /// It is theirs, or not.
    pub fn owner(owner: bool) -> Self {
        Self {
            owner,
            co_author: false,
        }
    }
}

/// Whether the viewer may do it.
pub fn may(viewer: &Viewer, subject: Subject, act: Act, relation: Relation) -> bool {
    if *viewer == Viewer::System {
        return true;
    }
    let is = |who: &Who| match who {
        Who::Anyone => true,
        Who::LoggedIn => viewer.user_id().is_some(),
        Who::Owner => relation.owner,
        Who::CoAuthor => relation.co_author,
        Who::Moderator => matches!(
            viewer,
            Viewer::User {
                role: Role::Moderator,
                ..
            }
        ),
        Who::Admin => matches!(
            viewer,
            Viewer::User {
                role: Role::Admin,
                ..
            }
        ),
    };
    RULES
        .iter()
        .any(|(s, a, who)| *s == subject && *a == act && who.iter().any(is))
}

/// Refuses if the viewer may not do it to a record that they see.
///
/// # Errors
///
/// [`Error::Unauthenticated`] if nobody is logged in, [`Error::Forbidden`] otherwise.
pub fn require(viewer: &Viewer, subject: Subject, act: Act, relation: Relation) -> Result<()> {
    if may(viewer, subject, act, relation) {
        return Ok(());
    }
    let what = format!("{} {}", act.words(), subject.words());
    match viewer {
        Viewer::Anonymous => Err(Error::Unauthenticated(format!("Log in to {what}."))),
        _ => Err(Error::Forbidden(format!("You may not {what}."))),
    }
}

impl Act {
    fn words(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::See => "see",
            Self::SeeDraft => "see the draft of",
            Self::SeeEmail => "see the e-mail address of",
            Self::SeeDeleted => "see deleted",
            Self::Change => "change",
            Self::ChangeRole => "change the role or the activity of",
            Self::SetCoAuthors => "set the co-authors of",
            Self::Deposit => "deposit into",
            Self::Spend => "spend from",
            Self::Pay => "pay for",
            Self::Ship => "ship",
            Self::Cancel => "cancel",
            Self::Delete => "delete",
            Self::Restore => "restore",
            Self::Purge => "purge",
        }
    }
}

impl Subject {
    fn words(self) -> &'static str {
        match self {
            Self::User => "this user",
            Self::Profile => "this profile",
            Self::Category => "this category",
            Self::Tag => "this tag",
            Self::Post => "this post",
            Self::Product => "this product",
            Self::Inventory => "this inventory",
            Self::Account => "this account",
            Self::Order => "this order",
        }
    }
}

/// The table as Markdown, for the documents.
pub fn table() -> String {
    let mut text = String::from(
        "| | anyone | logged in | owner | co-author | moderator | administrator |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for (subject, act, who) in RULES {
        let columns = [
            W::Anyone,
            W::LoggedIn,
            W::Owner,
            W::CoAuthor,
            W::Moderator,
            W::Admin,
        ];
        let marks = columns.map(|column| if who.contains(&column) { "yes" } else { "" });
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| {} | {} |",
            format!("{} {}", act.words(), subject.words())
                .replace("deleted this", "a deleted")
                .replace("this ", "a ")
                .replace("a account", "an account")
                .replace("a order", "an order")
                .replace("a inventory", "an inventory"),
            marks.join(" | ")
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_show_the_permissions_as_they_are() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/permissions.md");
        let page = format!(
            "# Who may what\n\n\
             The table that the code asks, `plimsoll_domain::policy::RULES`. An *owner* is the user \
             themselves, a profile's user, a post's author, an account's owner, or an order's \
             buyer. What the viewer may not see is not \
             found; what they see and may not change is forbidden. Lists with deleted records show \
             each viewer the deleted ones that they may see.\n\n{}",
            table()
        );
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(file, &page).expect("the page can be written");
        }
        let shown = std::fs::read_to_string(file).unwrap_or_default();
        assert_eq!(shown, page, "run this test with UPDATE=1 to write it anew");
    }
}
