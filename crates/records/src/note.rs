//! What each statement was made for, so that tests can tell one that was made for nothing.

use crate::{Scope, Version};

/// For which rows of one table a statement was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// The table.
    pub table: &'static str,
    /// Which of its rows.
    pub made_for: MadeFor,
}

/// Which rows of a table a statement is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MadeFor {
    /// It reads those of a scope.
    Scope(Scope),
    /// It changes the one that is at this version.
    Version(Version),
    /// It changes the live one with an id, if it meets a condition.
    Condition,
    /// It reads or changes, whether deleted or not, rows whose versions this transaction has read
    /// and locked.
    Locked,
    /// It adds rows.
    New,
    /// It removes those that a deletion took whose retention time is over.
    Purge,
}

impl Note {
    pub(crate) fn new(table: &'static str, made_for: MadeFor) -> Self {
        Self { table, made_for }
    }

    pub(crate) fn scope(table: &'static str, scope: Scope) -> Self {
        Self::new(table, MadeFor::Scope(scope))
    }
}
