//! Reading: which rows, of which scope, with which columns.

use std::{collections::HashMap, marker::PhantomData};

use sea_orm::{
    DbBackend, FromQueryResult, ModelTrait, QueryResult, Value,
    sea_query::{Condition, Expr, ExprTrait, IntoCondition, Query, SelectStatement},
};
use uuid::Uuid;

use crate::{
    Columns, Fault, Link, Note, Reader, Record, Shape, Whole,
    beside::{self, Found},
    database::Conn,
    dialect,
    form::Form,
    record::Table,
    view::Place,
};

/// Which rows a read sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Only those nobody has deleted.
    #[default]
    Live,
    /// Deleted ones as well.
    WithDeleted,
    /// Deleted ones alone.
    OnlyDeleted,
}

/// Some rows of a table: the start of every read.
///
/// It sees live rows, unless made by [`with_deleted`](Rows::with_deleted),
/// [`only_deleted`](Rows::only_deleted) or [`scoped`](Rows::scoped).
///
/// ```
/// # mod library {
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/library.rs"));
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// # let library::Stocked { database, author, .. } = library::stocked().await?;
/// use library::book;
/// use plimsoll_records::Rows;
/// use sea_orm::ColumnTrait;
///
/// let read = database.read();
/// let books = Rows::<book::Entity>::live().filter(book::Column::AuthorId.eq(author.id));
/// assert_eq!(books.clone().count(&read).await?, 2);
/// for book in books.all(20, &read).await? {
///     // It is large, and was not asked for.
///     assert_eq!(book.summary.get(), None);
/// }
///
/// let hull = Rows::<book::Entity>::with_deleted()
///     .filter(book::Column::Isbn.eq("978-1"))
///     .with(book::Column::Summary)
///     .one(&read)
///     .await?;
/// let summary = hull.and_then(|book| book.summary.into_inner());
/// assert_eq!(summary.as_deref(), Some("All about The Hull."));
/// # Ok(())
/// # }
/// ```
pub struct Rows<E: Table> {
    pub(crate) scope: Scope,
    pub(crate) condition: Condition,
    /// The form of the condition.
    pub(crate) filters: Form,
    pub(crate) extra: Columns<E>,
    /// What its conditions read beside this table.
    pub(crate) noted: Vec<Note>,
    entity: PhantomData<E>,
}

impl<E: Table> Clone for Rows<E> {
    fn clone(&self) -> Self {
        Self {
            scope: self.scope,
            condition: self.condition.clone(),
            filters: self.filters.clone(),
            extra: self.extra,
            noted: self.noted.clone(),
            entity: PhantomData,
        }
    }
}

impl<E: Table> std::fmt::Debug for Rows<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows")
            .field("table", &E::default().table_name())
            .field("scope", &self.scope)
            .finish_non_exhaustive()
    }
}

/// How a child row names its parent, when children of many parents are read at once.
pub enum Via<E: Table> {
    /// By a column of its own.
    Column(E::Column),
    /// By a link table: its name, the parent's column and the child's column.
    Link {
        /// The link table.
        table: &'static str,
        /// The column with the parent's id.
        parent: &'static str,
        /// The column with the child's id.
        child: &'static str,
    },
}

impl<E: Table> Clone for Via<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E: Table> Copy for Via<E> {}

impl<E: Table> Via<E> {
    /// The children are what the link's owners are to its targets: the posts of a tag.
    pub fn owners_of<L: Link<Owner = E>>() -> Self
    where
        E: Record,
    {
        Self::Link {
            table: L::table(),
            parent: L::target_column(),
            child: L::owner_column(),
        }
    }

    /// The column with the parent's id, qualified.
    pub(crate) fn parent(&self) -> Expr {
        match self {
            Self::Column(column) => Expr::col((E::default(), *column)),
            Self::Link { table, parent, .. } => Expr::col((*table, *parent)),
        }
    }

    pub(crate) fn join(&self, select: &mut SelectStatement) {
        if let Self::Link { table, child, .. } = self {
            select.inner_join(
                *table,
                Expr::col((*table, *child)).equals((E::default(), E::KEY)),
            );
        }
    }
}

impl<E: Table> Rows<E> {
    /// The rows nobody has deleted.
    pub fn live() -> Self {
        Self::scoped(Scope::Live)
    }

    /// All rows, deleted ones as well.
    pub fn with_deleted() -> Self {
        Self::scoped(Scope::WithDeleted)
    }

    /// The deleted rows alone.
    pub fn only_deleted() -> Self {
        Self::scoped(Scope::OnlyDeleted)
    }

    /// The rows of a scope that is known only at run time.
    pub fn scoped(scope: Scope) -> Self {
        Self {
            scope,
            condition: Condition::all(),
            filters: Form::default(),
            extra: Columns::default(),
            noted: Vec::new(),
            entity: PhantomData,
        }
    }

    /// Those that also meet `condition`.
    #[must_use]
    pub fn filter(mut self, condition: impl IntoCondition) -> Self {
        let condition = Expr::from(condition.into_condition());
        self.filters.word("and").expr(&condition);
        self.condition = self.condition.add(condition);
        self
    }

    /// Reads a heavy or secret column as well.
    #[must_use]
    pub fn with(mut self, column: E::Column) -> Self {
        self.extra = self.extra.and(column);
        self
    }

    /// The first of these rows, if there is one.
    ///
    /// # Errors
    ///
    /// The [`Fault`] of the statement, as for every read.
    pub async fn one(self, on: &impl Reader) -> Result<Option<E::Model>, Fault> {
        let conn = on.conn();
        let mut form = self.form("one");
        form.bind_of(&self.filters).bind(1_u64);
        let found = conn.found(form, || {
            let mut select = self.select(conn.backend());
            select.limit(1);
            (select, self.notes())
        });
        found.await?.first().map(model::<E>).transpose()
    }

    /// The live one of these rows if there is one, else the one that was deleted last: for a key
    /// that is unique among the living.
    ///
    /// # Errors
    ///
    /// The [`Fault`] of the statement.
    pub async fn latest(self, on: &impl Reader) -> Result<Option<E::Model>, Fault> {
        let conn = on.conn();
        let mut form = self.form("latest");
        form.bind_of(&self.filters).bind(1_u64);
        let found = conn.found(form, || (self.select_latest(conn.backend()), self.notes()));
        found.await?.first().map(model::<E>).transpose()
    }

    fn select_latest(&self, backend: DbBackend) -> SelectStatement {
        let mut select = self.select(backend);
        if let Some(deleted_at) = E::DELETED.filter(|_| self.scope != Scope::Live) {
            let deleted_at = Expr::col((E::default(), deleted_at));
            // Engines disagree on where NULL is: it is said.
            select
                .order_by_expr(deleted_at.clone().is_null(), sea_orm::Order::Desc)
                .order_by_expr(deleted_at, sea_orm::Order::Desc)
                .order_by((E::default(), E::KEY), sea_orm::Order::Desc);
        }
        select.limit(1);
        select
    }

    /// These rows in the order of their keys, `limit` at the most.
    ///
    /// # Errors
    ///
    /// The [`Fault`] of the statement.
    pub async fn all(self, limit: u64, on: &impl Reader) -> Result<Vec<E::Model>, Fault> {
        let conn = on.conn();
        let mut form = self.form("all");
        form.bind_of(&self.filters).bind(limit);
        let found = conn.found(form, || {
            let mut select = self.select(conn.backend());
            select
                .order_by((E::default(), E::KEY), sea_orm::Order::Asc)
                .limit(limit);
            (select, self.notes())
        });
        found.await?.iter().map(model::<E>).collect()
    }

    /// Those of these rows that have one of `ids`, by id.
    ///
    /// # Errors
    ///
    /// The [`Fault`] of the statement.
    pub async fn by_ids(
        self,
        ids: &[Uuid],
        on: &impl Reader,
    ) -> Result<HashMap<Uuid, E::Model>, Fault> {
        self.by(E::KEY, ids, on).await
    }

    /// The same in another shape.
    ///
    /// # Errors
    ///
    /// The [`Fault`] of the statement.
    pub async fn by_ids_as<S: Shape<E>>(
        self,
        shape: S,
        ids: &[Uuid],
        on: &impl Reader,
    ) -> Result<HashMap<Uuid, S::Row>, Fault> {
        self.by_as(shape, E::KEY, ids, on).await
    }

    /// Those of these rows whose `column` holds one of `keys`, by that column, which is unique
    /// among these rows.
    ///
    /// # Errors
    ///
    /// The [`Fault`] of the statement.
    pub async fn by(
        self,
        column: E::Column,
        keys: &[Uuid],
        on: &impl Reader,
    ) -> Result<HashMap<Uuid, E::Model>, Fault> {
        self.by_as(Whole, column, keys, on).await
    }

    /// The same in another shape.
    ///
    /// # Errors
    ///
    /// The [`Fault`] of the statement.
    pub async fn by_as<S: Shape<E>>(
        self,
        shape: S,
        column: E::Column,
        keys: &[Uuid],
        on: &impl Reader,
    ) -> Result<HashMap<Uuid, S::Row>, Fault> {
        let conn = on.conn();
        let columns = shape.columns(&self, Columns::of(&[column]));
        let mut found = HashMap::with_capacity(keys.len());
        for chunk in keys.chunks(dialect::KEY_CHUNK) {
            let mut form = self.form("by");
            form.columns(columns)
                .column::<E>(column)
                .joins(shape.beside(), conn.backend())
                .bind_of(&self.filters)
                .any_of(conn.backend(), chunk);
            let found_by = conn.found(form, || {
                let mut select = self.select_columns(columns, conn.backend());
                beside::join(
                    shape.beside(),
                    table_name::<E>(),
                    conn.backend(),
                    &mut select,
                );
                let key = Expr::col((E::default(), column));
                select.and_where(dialect::is_any_of(conn.backend(), key, chunk));
                (select, self.notes_of(&shape))
            });
            let results = Found::new(found_by.await?, (0, columns), shape.beside());
            for at in 0..results.len() {
                let place = Place::row(&results, at);
                if let Some(key) = place.id(column)? {
                    found.insert(key, shape.read(place)?);
                }
            }
        }
        Ok(found)
    }

    /// How many rows these are.
    ///
    /// # Errors
    ///
    /// The [`Fault`] of the statement.
    pub async fn count(self, on: &impl Reader) -> Result<u64, Fault> {
        let conn = on.conn();
        let mut form = self.form("count");
        form.bind_of(&self.filters);
        let found = conn.found(form, || {
            let mut select = self.bare();
            select.expr_as(Expr::col((E::default(), E::KEY)).count(), "n");
            (select, self.notes())
        });
        count_of(found.await?.first())
    }

    /// How many of these rows each of `parents` has. A parent without any is absent.
    ///
    /// # Errors
    ///
    /// The [`Fault`] of the statement.
    pub async fn count_of_each(
        self,
        via: Via<E>,
        parents: &[Uuid],
        on: &impl Reader,
    ) -> Result<HashMap<Uuid, u64>, Fault> {
        let conn = on.conn();
        let mut counts = HashMap::with_capacity(parents.len());
        for chunk in parents.chunks(dialect::KEY_CHUNK) {
            let mut form = self.form("count of each");
            form.via(via)
                .bind_of(&self.filters)
                .any_of(conn.backend(), chunk);
            let found = conn.found(form, || {
                let mut select = self.bare();
                via.join(&mut select);
                select
                    .expr_as(via.parent(), "parent")
                    .expr_as(Expr::col((E::default(), E::KEY)).count(), "n")
                    .and_where(dialect::is_any_of(conn.backend(), via.parent(), chunk))
                    .add_group_by([via.parent()]);
                (select, self.notes())
            });
            for row in found.await? {
                counts.insert(get(&row, "parent")?, count_of(Some(&row))?);
            }
        }
        Ok(counts)
    }

    /// Whether there is any such row.
    ///
    /// # Errors
    ///
    /// The [`Fault`] of the statement.
    pub async fn exists(self, on: &impl Reader) -> Result<bool, Fault> {
        let conn = on.conn();
        let mut form = self.form("exists");
        form.bind_of(&self.filters).bind(1_u64);
        let found = conn.found(form, || {
            let mut select = self.bare();
            select.column((E::default(), E::KEY)).limit(1);
            (select, self.notes())
        });
        Ok(!found.await?.is_empty())
    }

    /// The form of statements of this kind over these rows, without values.
    pub(crate) fn form(&self, kind: &'static str) -> Form {
        let mut form = Form::new(kind);
        form.of(self).columns(self.extra);
        form
    }

    /// What a statement over these rows is made for.
    pub(crate) fn notes(&self) -> Vec<Note> {
        let mut notes = self.noted.clone();
        notes.push(Note::scope(table_name::<E>(), self.scope));
        notes
    }

    /// What a statement over these rows in a shape is made for.
    pub(crate) fn notes_of(&self, shape: &impl Shape<E>) -> Vec<Note> {
        let mut notes = self.notes();
        notes.extend(beside::notes(shape.beside()));
        notes
    }

    /// The statement without its columns.
    pub(crate) fn bare(&self) -> SelectStatement {
        let mut select = Query::select();
        select.from(E::default()).cond_where(self.condition.clone());
        if let Some(condition) = scope_condition::<E>(self.scope) {
            select.and_where(condition);
        }
        select.take()
    }

    pub(crate) fn select(&self, backend: DbBackend) -> SelectStatement {
        self.select_columns(self.columns(), backend)
    }

    pub(crate) fn select_columns(
        &self,
        columns: Columns<E>,
        backend: DbBackend,
    ) -> SelectStatement {
        let mut select = self.bare();
        columns.select(table_name::<E>(), backend, &mut select);
        select
    }

    pub(crate) fn columns(&self) -> Columns<E> {
        Columns::selected().or(self.extra)
    }
}

/// The table's name, as SeaORM has it.
pub(crate) fn table_name<E: Table>() -> &'static str {
    E::default().table_name()
}

pub(crate) fn scope_condition<E: Table>(scope: Scope) -> Option<Expr> {
    let deleted_at = Expr::col((E::default(), E::DELETED?));
    match scope {
        Scope::Live => Some(deleted_at.is_null()),
        Scope::WithDeleted => None,
        Scope::OnlyDeleted => Some(deleted_at.is_not_null()),
    }
}

pub(crate) fn model<E: Table>(row: &QueryResult) -> Result<E::Model, Fault> {
    Ok(E::Model::from_query_result(row, "")?)
}

/// The value of a column of a row, by its name or its place.
pub(crate) fn get<T: sea_orm::TryGetable>(
    row: &QueryResult,
    column: impl sea_orm::ColIdx,
) -> Result<T, Fault> {
    row.try_get_by(column)
        .map_err(|e| Fault::internal(e.to_string()))
}

pub(crate) fn count_of(row: Option<&QueryResult>) -> Result<u64, Fault> {
    let count: i64 = match row {
        Some(row) => get(row, "n")?,
        None => 0,
    };
    Ok(count.unsigned_abs())
}

pub(crate) fn uuid_of<E: Table>(model: &E::Model, column: E::Column) -> Option<Uuid> {
    match model.get(column) {
        Value::Uuid(id) => id,
        _ => None,
    }
}

/// The ids and versions of rows of a record's table that meet `condition`, which keeps to
/// `scope`: `SELECT id, lock_version, … FOR UPDATE`.
pub(crate) async fn locked_versions(
    conn: Conn<'_>,
    table: &'static str,
    scope: Scope,
    condition: Expr,
    limit: u64,
) -> Result<Vec<(Uuid, i32)>, Fault> {
    let mut select = Query::select();
    select
        .column("id")
        .column("lock_version")
        .from(table)
        .and_where(condition)
        .order_by("id", sea_orm::Order::Asc)
        .limit(limit);
    dialect::lock_for_change(conn.backend(), &mut select);
    let rows = conn.all(&select, &[Note::scope(table, scope)]).await?;
    rows.iter()
        .map(|row| Ok((get(row, "id")?, get(row, "lock_version")?)))
        .collect()
}
