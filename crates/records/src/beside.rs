//! Rows of other tables that are read beside those that name them, in the same statement.

use std::{any::TypeId, collections::HashSet, sync::Arc};

use sea_orm::{
    DbBackend, IdenStatic as _, JoinType, QueryResult,
    sea_query::{Expr, ExprTrait as _, Query, SelectStatement},
};

use crate::{Columns, Note, Rows, dialect, form::Form, record::Table};

/// What others are called where they are looked up: no table is called so.
const OTHERS: &str = "named_ones";

/// At most one row of another table for each row of `E`, to be read in the same statement:
/// [`Columns::beside`] says how.
pub struct Beside<E: Table> {
    column: E::Column,
    others: Arc<dyn Others>,
}

impl<E: Table> Clone for Beside<E> {
    fn clone(&self) -> Self {
        Self {
            column: self.column,
            others: self.others.clone(),
        }
    }
}

impl<E: Table> std::fmt::Debug for Beside<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Beside")
            .field("column", &self.column.as_str())
            .finish_non_exhaustive()
    }
}

impl<E: Table> Beside<E> {
    /// The one of `others` that has in its column `key` what the row has in `column`, with
    /// `columns`. The key must be unique among these others, as an id is: else engines differ in
    /// what they find, and a page can have a row twice.
    pub fn new<P: Table>(
        column: E::Column,
        key: P::Column,
        columns: Columns<P>,
        others: Rows<P>,
    ) -> Self {
        let others = Arc::new(Of {
            key,
            columns: columns.and(P::KEY).and(key),
            rows: others,
        });
        Self { column, others }
    }

    pub(crate) fn column(&self) -> E::Column {
        self.column
    }

    /// Whether each of these can be told from the others when it was read.
    pub(crate) fn are_distinct(these: &[Self]) -> bool {
        let name = |one: &Self| (E::index(one.column), one.others.table());
        let names: HashSet<_> = these.iter().map(name).collect();
        names.len() == these.len()
    }
}

/// [`Beside`] without the type of the others.
trait Others: Send + Sync {
    fn describe(&self, form: &mut Form);
    fn bind(&self, backend: DbBackend, form: &mut Form);
    /// Joins them under a name to a statement, by what its rows name them with.
    fn join(&self, name: String, by: Expr, backend: DbBackend, select: &mut SelectStatement);
    fn notes(&self) -> Vec<Note>;
    fn table(&self) -> TypeId;
    fn bits(&self) -> u128;
}

struct Of<P: Table> {
    key: P::Column,
    columns: Columns<P>,
    rows: Rows<P>,
}

impl<P: Table> Others for Of<P> {
    fn describe(&self, form: &mut Form) {
        form.of(&self.rows)
            .columns(self.columns)
            .column::<P>(self.key);
    }

    fn bind(&self, backend: DbBackend, form: &mut Form) {
        form.bind_of(&self.rows.filters);
        if dialect::has_lateral(backend) {
            form.bind(1_u64);
        }
    }

    fn join(&self, name: String, by: Expr, backend: DbBackend, select: &mut SelectStatement) {
        self.columns.select(&name, backend, select);
        let others = self.rows.select_columns(self.columns, backend);
        if dialect::has_lateral(backend) {
            // With a limit it is one look into an index for each row, whatever number of rows the
            // planner takes a page for: without, it may read all others. They have a name of their
            // own here, since rows may name others of their own table.
            let mut one = Query::select();
            self.columns.select(OTHERS, backend, &mut one);
            one.from_subquery(others, OTHERS)
                .and_where(Expr::col((OTHERS, self.key)).eq(by))
                .limit(1);
            select.join_lateral(JoinType::LeftJoin, one, name, Expr::cust("TRUE"));
        } else {
            let is_named = Expr::col((name.clone(), self.key)).eq(by);
            select.join_subquery(JoinType::LeftJoin, others, name, is_named);
        }
    }

    fn notes(&self) -> Vec<Note> {
        self.rows.notes()
    }

    fn table(&self) -> TypeId {
        TypeId::of::<P>()
    }

    fn bits(&self) -> u128 {
        self.columns.bits()
    }
}

/// What a statement is made of that reads others beside its rows.
pub(crate) fn describe<E: Table>(beside: &[Beside<E>], form: &mut Form) {
    for one in beside {
        form.word("beside").column::<E>(one.column);
        one.others.describe(form);
    }
}

/// What [`join`] binds.
pub(crate) fn bind<E: Table>(beside: &[Beside<E>], backend: DbBackend, form: &mut Form) {
    for one in beside {
        one.others.bind(backend, form);
    }
}

/// Selects others beside the rows of `E` that a statement has under the name `rows`, behind what
/// it selects already.
pub(crate) fn join<E: Table>(
    beside: &[Beside<E>],
    rows: &'static str,
    backend: DbBackend,
    select: &mut SelectStatement,
) {
    for (nth, one) in beside.iter().enumerate() {
        let by = Expr::col((rows, one.column));
        one.others
            .join(format!("beside_{nth}"), by, backend, select);
    }
}

/// What a statement is made for that reads others beside its rows.
pub(crate) fn notes<E: Table>(beside: &[Beside<E>]) -> impl Iterator<Item = Note> {
    beside.iter().flat_map(|one| one.others.notes())
}

/// The rows that one statement found, and where in each the columns stand that were asked for.
pub(crate) struct Found {
    rows: Vec<QueryResult>,
    /// Those of the rows themselves.
    own: Standing,
    beside: Vec<Named>,
}

/// Where some columns of one table stand in a row.
pub(crate) struct Standing {
    bits: u128,
    /// By a column's place in its entity: where it stands in the row. What is not asked for is
    /// [`NOWHERE`].
    places: Vec<u16>,
}

const NOWHERE: u16 = u16::MAX;

/// Where the columns of others stand, and what they are named by.
struct Named {
    column: u32,
    table: TypeId,
    standing: Standing,
}

/// Whose columns: of the rows themselves, or of those that stand beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    Own,
    Beside(u16),
}

impl std::ops::Deref for Found {
    type Target = [QueryResult];

    fn deref(&self) -> &[QueryResult] {
        &self.rows
    }
}

impl Standing {
    /// Columns that stand one after the other, behind `offset` others.
    fn new(bits: u128, offset: usize) -> Self {
        let mut next = (offset..).map(|at| u16::try_from(at).unwrap_or(NOWHERE));
        let place = |index| match bits >> index & 1 {
            0 => NOWHERE,
            _ => next.next().unwrap_or(NOWHERE),
        };
        let places = (0..u128::BITS - bits.leading_zeros()).map(place).collect();
        Self { bits, places }
    }

    /// The columns that stand there.
    pub(crate) fn columns<E: Table>(&self) -> Columns<E> {
        Columns::from_bits(self.bits)
    }

    /// Where a column stands in the row, if it is there.
    pub(crate) fn place<E: Table>(&self, column: E::Column) -> Option<usize> {
        let place = *self.places.get(E::index(column) as usize)?;
        (place != NOWHERE).then_some(place.into())
    }
}

impl Found {
    /// Rows that have `columns` behind `offset` others, and behind those what was [joined](join).
    pub(crate) fn new<E: Table>(
        rows: Vec<QueryResult>,
        (offset, columns): (usize, Columns<E>),
        beside: &[Beside<E>],
    ) -> Arc<Self> {
        let mut next = offset + columns.len();
        let named = beside.iter().map(|one| {
            let bits = one.others.bits();
            let standing = Standing::new(bits, next);
            next += bits.count_ones() as usize;
            Named {
                column: E::index(one.column),
                table: one.others.table(),
                standing,
            }
        });
        let beside = named.collect();
        Arc::new(Self {
            rows,
            own: Standing::new(columns.bits(), offset),
            beside,
        })
    }

    /// Where these columns stand.
    pub(crate) fn standing(&self, whose: Whose) -> Option<&Standing> {
        match whose {
            Whose::Own => Some(&self.own),
            Whose::Beside(nth) => Some(&self.beside.get(usize::from(nth))?.standing),
        }
    }

    /// The others of a table that were read beside the rows, which name them in `column`.
    pub(crate) fn beside<E: Table, P: Table>(&self, column: E::Column) -> Option<Whose> {
        let (index, table) = (E::index(column), TypeId::of::<P>());
        let mut beside = self.beside.iter();
        let nth = beside.position(|named| named.column == index && named.table == table)?;
        Some(Whose::Beside(u16::try_from(nth).ok()?))
    }
}
