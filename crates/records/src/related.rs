//! Filters that follow a relation: rows that have such children, or that belong to such parents.
//!
//! The other rows are a [`Rows`] of their own, and what these see is its scope's business: live
//! ones unless it says otherwise. So a deleted row never makes another one match, at any depth.
//! The rows that are filtered are never joined with the others: none is seen twice, and none is
//! dropped because what it belongs to is deleted.

use sea_orm::{
    Condition,
    sea_query::{Expr, ExprTrait, Query, SelectStatement},
};

use crate::{Link, Record, Rows, Scope, Via, form::Form, record::Table, rows::scope_condition};

/// The name of a subquery, and of its one column.
const KEYS: &str = "r";

impl<E: Record> Via<E> {
    /// The children are what the link's targets are to its owners: the tags of a post.
    pub fn targets_of<L: Link<Target = E>>() -> Self {
        Self::Link {
            table: L::table(),
            parent: L::owner_column(),
            child: L::target_column(),
        }
    }
}

impl<E: Table> Rows<E> {
    /// Those of which at least one of `children` is a child, by `via`: the users who have a
    /// published post, or the posts that have a tag.
    ///
    /// ```ignore
    /// let published = Rows::<post::Entity>::live().filter(post::Column::Published.eq(true));
    /// Rows::<user::Entity>::live().having(Via::Column(post::Column::AuthorId), published)
    /// ```
    #[must_use]
    pub fn having<C: Table>(self, via: Via<C>, children: Rows<C>) -> Self {
        let key = Expr::col((E::default(), E::KEY));
        let condition = key.in_subquery(parents_of(via, &children));
        let mut form = Form::new("having");
        form.via(via).rows(&children);
        self.following(&children, form, condition)
    }

    /// Those of which none of `children` is a child, by `via`: the tags that no live post has.
    #[must_use]
    pub fn having_none<C: Table>(self, via: Via<C>, children: Rows<C>) -> Self {
        let key = Expr::col((E::default(), E::KEY));
        // NOT EXISTS rather than NOT IN: that one matches nothing as soon as a child has no
        // parent, and PostgreSQL makes no anti-join of it. The subquery has a name of its own, so
        // that a table can be related to itself.
        let mut parents = Query::select();
        parents
            .expr(Expr::val(1))
            .from_subquery(parents_of(via, &children), KEYS)
            .and_where(Expr::col((KEYS, KEYS)).eq(key));
        let mut form = Form::new("having none");
        form.bind(1).via(via).rows(&children);
        self.following(&children, form, Expr::exists(parents).not())
    }

    /// Those whose `column` names one of `parents`: the posts of a category, or of the authors
    /// who have a role.
    ///
    /// ```ignore
    /// let moderators = Rows::<user::Entity>::live().filter(user::Column::Role.eq(Role::Moderator));
    /// Rows::<post::Entity>::live().under(post::Column::AuthorId, moderators)
    /// ```
    #[must_use]
    pub fn under<P: Table>(self, column: E::Column, parents: Rows<P>) -> Self {
        let mut keys = parents.bare();
        keys.column((P::default(), P::KEY));
        let condition = Expr::col((E::default(), column)).in_subquery(keys);
        let mut form = Form::new("under");
        form.column::<E>(column).rows(&parents);
        self.following(&parents, form, condition)
    }

    /// These rows and `others`, each of them once. When the two are of different scopes, each
    /// keeps to its own.
    #[must_use]
    pub fn or(mut self, mut others: Self) -> Self {
        let mut form = Form::new("either");
        form.rows(&self).rows(&others);
        self.filters = form;
        if self.scope != others.scope {
            for rows in [&mut self, &mut others] {
                if let Some(of_scope) = scope_condition::<E>(rows.scope) {
                    rows.condition =
                        std::mem::replace(&mut rows.condition, Condition::all()).add(of_scope);
                }
                rows.scope = Scope::WithDeleted;
            }
        }
        let either = Condition::any().add(self.condition).add(others.condition);
        // What is filtered next narrows both.
        self.condition = Condition::all().add(either);
        self.extra = self.extra.or(others.extra);
        self.noted.extend(others.noted);
        self
    }

    /// Those that meet a condition of this form, which reads `others` as well.
    fn following<O: Table>(mut self, others: &Rows<O>, form: Form, condition: Expr) -> Self {
        self.noted.extend(others.notes());
        self.filters.like(&form).bind_of(&form);
        self.condition = self.condition.add(condition);
        self
    }
}

/// The keys of the parents that these children have; NULL for a child without one.
fn parents_of<C: Table>(via: Via<C>, children: &Rows<C>) -> SelectStatement {
    let mut select = children.bare();
    via.join(&mut select);
    select.expr_as(via.parent(), KEYS).take()
}
