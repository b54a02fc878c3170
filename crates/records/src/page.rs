//! Pages by keyset: a cursor names a place in an order, and a page is what lies beyond it.

use std::{
    cmp::Ordering,
    collections::HashMap,
    fmt,
    ops::Range,
    sync::{Arc, OnceLock},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, DbBackend, IdenStatic, QueryResult, Value,
    sea_query::{
        Condition, Expr, ExprTrait, OverStatement, Query, SelectStatement, WindowStatement,
    },
};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::{
    Columns, Fault, Reader, Rows, Shape, Via, View, Whole,
    beside::{self, Found},
    dialect,
    form::Form,
    record::Table,
    rows::get,
    view::{Place, Results, id_at},
};

/// How many rows a page has unless asked otherwise.
pub const DEFAULT_PAGE: u32 = 20;

/// How many rows a page has at the most.
pub const MAX_PAGE: u32 = 200;

/// Which way an order goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From the smallest to the largest.
    Ascending,
    /// From the largest to the smallest.
    Descending,
}

impl Direction {
    fn reversed(self) -> Self {
        match self {
            Self::Ascending => Self::Descending,
            Self::Descending => Self::Ascending,
        }
    }

    /// Which of two values of a column comes first: texts by their bytes, as the engines order
    /// them.
    fn compare(self, a: &Value, b: &Value) -> Ordering {
        let ascending = match (a, b) {
            (Value::ChronoDateTimeUtc(a), Value::ChronoDateTimeUtc(b)) => a.cmp(b),
            (Value::String(a), Value::String(b)) => a.cmp(b),
            (Value::Int(a), Value::Int(b)) => a.cmp(b),
            (Value::BigInt(a), Value::BigInt(b)) => a.cmp(b),
            (Value::Uuid(a), Value::Uuid(b)) => a.cmp(b),
            // A column has one type, which is one of these.
            _ => Ordering::Equal,
        };
        match self {
            Self::Ascending => ascending,
            Self::Descending => ascending.reverse(),
        }
    }

    fn sql(self) -> sea_orm::Order {
        match self {
            Self::Ascending => sea_orm::Order::Asc,
            Self::Descending => sea_orm::Order::Desc,
        }
    }
}

/// An order of a table's rows: by NOT NULL columns, and by the key where these tie.
#[derive(Debug)]
pub struct Order<E: Table> {
    keys: Vec<(E::Column, Direction)>,
}

impl<E: Table> Clone for Order<E> {
    fn clone(&self) -> Self {
        Self {
            keys: self.keys.clone(),
        }
    }
}

impl<E: Table> Order<E> {
    /// By `column`, which must be NOT NULL, then by the key in the same direction.
    pub fn by(column: E::Column, direction: Direction) -> Self {
        Self {
            keys: vec![(column, direction), (E::KEY, direction)],
        }
    }

    /// By further columns after `self`'s and before the key.
    #[must_use]
    pub fn then(mut self, column: E::Column, direction: Direction) -> Self {
        let last = self.keys.len().saturating_sub(1);
        self.keys.insert(last, (column, direction));
        self
    }

    pub(crate) fn reversed(&self) -> Self {
        let keys = self
            .keys
            .iter()
            .map(|(column, way)| (*column, way.reversed()))
            .collect();
        Self { keys }
    }

    /// What cursors of this list in this order begin with.
    fn fingerprint(&self, list: &str) -> [u8; 8] {
        let parts: Vec<String> = self
            .keys
            .iter()
            .map(|(column, way)| format!("{} {way:?}", column.as_str()))
            .collect();
        let digest = Sha256::new()
            .chain_update(list)
            .chain_update([0])
            .chain_update(parts.join(","))
            .finalize();
        let mut short = [0; 8];
        short.copy_from_slice(&digest[..8]);
        short
    }

    /// Whether the values have the columns' number and types. A cursor is not signed: whoever
    /// makes one up must not make the engine compare a time with a text.
    fn fits(&self, place: &[Value]) -> bool {
        use sea_orm::sea_query::ColumnType as T;
        let fits = |column: &E::Column, value: &Value| {
            matches!(
                (column.def().get_column_type(), value),
                (
                    T::DateTime | T::Timestamp | T::TimestampWithTimeZone,
                    Value::ChronoDateTimeUtc(_)
                ) | (T::Char(_) | T::String(_) | T::Text, Value::String(_))
                    | (T::Integer | T::BigInteger, Value::BigInt(_))
                    | (T::Uuid, Value::Uuid(_))
            )
        };
        self.keys.len() == place.len()
            && self
                .keys
                .iter()
                .zip(place)
                .all(|((column, _), value)| fits(column, value))
    }

    /// The columns that rows are ordered by.
    fn columns(&self) -> Columns<E> {
        let with = |columns: Columns<E>, (column, _): &(E::Column, _)| columns.and(*column);
        self.keys.iter().fold(Columns::default(), with)
    }

    /// Where a row stands.
    fn place<S: Shape<E>>(&self, shape: &S, row: &S::Row) -> Result<Vec<Value>, Fault> {
        let keys = self.keys.iter();
        keys.map(|(column, _)| shape.value(row, *column)).collect()
    }

    /// Puts rows into this order. Mostly they are: engines answer the rows of one parent in it,
    /// and no statement can promise that of all parents' rows without sorting them once more.
    fn sort<S: Shape<E>>(&self, shape: &S, rows: &mut Vec<S::Row>) -> Result<(), Fault> {
        if self.are_in_order(shape, rows)? {
            return Ok(());
        }
        let places = rows.iter().map(|row| self.place(shape, row));
        let places = places.collect::<Result<Vec<_>, _>>()?;
        let mut placed: Vec<_> = places.into_iter().zip(std::mem::take(rows)).collect();
        placed.sort_by(|(a, _), (b, _)| self.compare(a, b));
        *rows = placed.into_iter().map(|(_, row)| row).collect();
        Ok(())
    }

    /// Whether rows are in this order. A further column is looked at only where those before it
    /// tie.
    fn are_in_order<S: Shape<E>>(&self, shape: &S, rows: &[S::Row]) -> Result<bool, Fault> {
        let Some((column, way)) = self.keys.first() else {
            return Ok(true);
        };
        let mut before: Option<(&S::Row, Value)> = None;
        for row in rows {
            let value = shape.value(row, *column)?;
            if let Some((other, their_value)) = &before {
                let mut ordering = way.compare(their_value, &value);
                for (column, way) in self.keys.iter().skip(1) {
                    if ordering != Ordering::Equal {
                        break;
                    }
                    let (a, b) = (shape.value(other, *column)?, shape.value(row, *column)?);
                    ordering = way.compare(&a, &b);
                }
                if ordering == Ordering::Greater {
                    return Ok(false);
                }
            }
            before = Some((row, value));
        }
        Ok(true)
    }

    /// Which of two places comes first.
    fn compare(&self, a: &[Value], b: &[Value]) -> Ordering {
        let ways = self.keys.iter().map(|(_, way)| *way);
        let columns = a.iter().zip(b).zip(ways);
        let columns = columns.map(|((a, b), way)| way.compare(a, b));
        columns.fold(Ordering::Equal, Ordering::then)
    }

    /// The order, as a part of a statement's form.
    fn describe(&self, form: &mut Form) {
        form.word("by").number(self.keys.len() as u64);
        for (column, way) in &self.keys {
            form.column::<E>(*column).word(match way {
                Direction::Ascending => "asc",
                Direction::Descending => "desc",
            });
        }
    }

    /// What [`beyond`](Self::beyond) binds for this place.
    fn bind_beyond(&self, place: &[Value], backend: DbBackend, form: &mut Form) {
        let twice = !self.compares_rows(backend);
        for (at, value) in place.iter().enumerate() {
            form.bind(value.clone());
            if twice && at + 1 < place.len() {
                form.bind(value.clone());
            }
        }
    }

    pub(crate) fn apply(&self, select: &mut SelectStatement) {
        for (column, way) in &self.keys {
            select.order_by((E::default(), *column), way.sql());
        }
    }

    /// The rows that come after `place`, and the row at `place` too if `inclusive`.
    fn beyond(&self, place: &[Value], inclusive: bool, backend: DbBackend) -> Condition {
        if self.compares_rows(backend) {
            return Condition::all().add(self.beyond_row(place, inclusive));
        }
        self.beyond_columns(place, inclusive)
    }

    /// Whether a place is compared as one row, rather than column by column.
    fn compares_rows(&self, backend: DbBackend) -> bool {
        let one_way = self.keys.windows(2).all(|pair| pair[0].1 == pair[1].1);
        one_way && dialect::ranges_over_rows(backend)
    }

    /// `(a, b) < (x, y)`: exactly a range of the index.
    fn beyond_row(&self, place: &[Value], inclusive: bool) -> Expr {
        let columns = self.keys.iter();
        let columns = columns.map(|(column, _)| Expr::col((E::default(), *column)));
        let row = Expr::tuple(columns);
        let place = Expr::tuple(place.iter().map(|value| Expr::val(value.clone())));
        match (self.keys.first().map(|(_, way)| *way), inclusive) {
            (Some(Direction::Descending), false) => row.lt(place),
            (Some(Direction::Descending), true) => row.lte(place),
            (_, false) => row.gt(place),
            (_, true) => row.gte(place),
        }
    }

    /// `a <= x AND (a < x OR …)` rather than `a < x OR (a = x AND …)`: the first bound is one
    /// that every engine turns into a range of the index.
    fn beyond_columns(&self, place: &[Value], inclusive: bool) -> Condition {
        let mut condition: Option<Condition> = None;
        for ((column, way), value) in self.keys.iter().zip(place).rev() {
            let column = Expr::col((E::default(), *column));
            let (strict, bound) = match way {
                Direction::Ascending => {
                    (column.clone().gt(value.clone()), column.gte(value.clone()))
                }
                Direction::Descending => {
                    (column.clone().lt(value.clone()), column.lte(value.clone()))
                }
            };
            condition = Some(match condition {
                None if inclusive => Condition::all().add(bound),
                None => Condition::all().add(strict),
                Some(rest) => Condition::all()
                    .add(bound)
                    .add(Condition::any().add(strict).add(rest)),
            });
        }
        condition.unwrap_or_else(Condition::all)
    }
}

/// What a client asked for, as it asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PageArguments {
    /// The number of rows, from the front.
    pub first: Option<i32>,
    /// The cursor that the page lies behind.
    pub after: Option<String>,
    /// The number of rows, from the back.
    pub last: Option<i32>,
    /// The cursor that the page lies before.
    pub before: Option<String>,
    /// Which ends of the page the client asked about.
    pub ends: Ends,
}

/// Which ends of a page are looked beyond: both, unless told otherwise. Whether rows lie behind its
/// cursor is another read of the list, in the page's own statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ends {
    /// Whether there are rows before it.
    pub previous: bool,
    /// Whether there are rows behind it.
    pub next: bool,
}

impl Default for Ends {
    fn default() -> Self {
        Self {
            previous: true,
            next: true,
        }
    }
}

/// What is wrong with [`PageArguments`].
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum BadPage {
    /// Both ends at once.
    #[error("`first` and `last` exclude each other")]
    FirstAndLast,
    /// A cursor that does not fit the direction.
    #[error("`after` goes with `first`, and `before` with `last`")]
    MixedEnds,
    /// A number of rows below 0.
    #[error("`{0}` must not be negative")]
    Negative(&'static str),
    /// More rows than a page may have.
    #[error("`{0}` must not be above {MAX_PAGE}")]
    TooLarge(&'static str),
    /// A cursor that this list, with this order and filter, did not give out.
    #[error("`{0}` is not a cursor of this list with this order and filter")]
    ForeignCursor(&'static str),
}

/// A page of an ordered list, ready to be read.
///
/// ```
/// # mod library {
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/library.rs"));
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// # let library::Stocked { database, .. } = library::stocked().await?;
/// use library::book;
/// use plimsoll_records::{BadPage, Direction, Order, PageArguments, PageRequest, Rows};
///
/// let by_title = || Order::by(book::Column::Title, Direction::Ascending);
/// let mut arguments = PageArguments {
///     first: Some(1),
///     ..Default::default()
/// };
/// let request = PageRequest::parse("books", by_title(), &arguments)?;
/// let page = Rows::<book::Entity>::live().page(&request, &database.read()).await?;
/// assert_eq!(page.rows()[0].title, "The Hull");
/// assert_eq!((page.has_previous, page.has_next), (Some(false), Some(true)));
///
/// // The next page lies behind the cursor.
/// arguments.after = page.end_cursor().map(|cursor| cursor.to_string());
/// let request = PageRequest::parse("books", by_title(), &arguments)?;
/// let page = Rows::<book::Entity>::live().page(&request, &database.read()).await?;
/// assert_eq!(page.rows()[0].title, "The Mark");
/// assert_eq!((page.has_previous, page.has_next), (Some(true), Some(false)));
///
/// // A cursor is good for the list that gave it out, and for no other.
/// let other = PageRequest::parse("books of an author", by_title(), &arguments);
/// assert_eq!(other.err(), Some(BadPage::ForeignCursor("after")));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct PageRequest<E: Table> {
    order: Order<E>,
    size: u32,
    backwards: bool,
    place: Option<Vec<Value>>,
    ends: Ends,
    /// The list, and the filter it is seen through.
    list: String,
    /// What its cursors begin with, once that was worked out.
    fingerprint: OnceLock<[u8; 8]>,
}

impl<E: Table> Clone for PageRequest<E> {
    fn clone(&self) -> Self {
        Self {
            order: self.order.clone(),
            size: self.size,
            backwards: self.backwards,
            place: self.place.clone(),
            ends: self.ends,
            list: self.list.clone(),
            fingerprint: self.fingerprint.clone(),
        }
    }
}

impl<E: Table> PageRequest<E> {
    /// Reads a client's arguments. `list` names the list and the filter it is seen through: a
    /// cursor is good for the same list, filter and order only.
    ///
    /// # Errors
    ///
    /// [`BadPage`] says which argument is wrong.
    pub fn parse(list: &str, order: Order<E>, arguments: &PageArguments) -> Result<Self, BadPage> {
        let PageArguments {
            first,
            after,
            last,
            before,
            ends,
        } = arguments;
        if first.is_some() && last.is_some() {
            return Err(BadPage::FirstAndLast);
        }
        let backwards = last.is_some() || (first.is_none() && before.is_some());
        let (name, size, cursor_name, cursor, other) = if backwards {
            ("last", last, "before", before, after)
        } else {
            ("first", first, "after", after, before)
        };
        if other.is_some() {
            return Err(BadPage::MixedEnds);
        }
        let size = match size {
            None => DEFAULT_PAGE,
            Some(size) => u32::try_from(*size).map_err(|_| BadPage::Negative(name))?,
        };
        if size > MAX_PAGE {
            return Err(BadPage::TooLarge(name));
        }
        let fingerprint = OnceLock::new();
        let place = match cursor {
            None => None,
            Some(cursor) => Some(
                decode(cursor, *fingerprint.get_or_init(|| order.fingerprint(list)))
                    .filter(|place| order.fits(place))
                    .ok_or(BadPage::ForeignCursor(cursor_name))?,
            ),
        };
        Ok(Self {
            order,
            size,
            backwards,
            place,
            ends: *ends,
            list: list.to_owned(),
            fingerprint,
        })
    }

    /// The order in which the rows are read: from the cursor away.
    fn reading_order(&self) -> Order<E> {
        if self.backwards {
            self.order.reversed()
        } else {
            self.order.clone()
        }
    }

    /// Whether somebody asked what lies behind the page, where it is read from, and whether
    /// somebody asked what lies ahead of it.
    fn asked(&self) -> (bool, bool) {
        let Ends { previous, next } = self.ends;
        if self.backwards {
            (next, previous)
        } else {
            (previous, next)
        }
    }

    /// What the page's statement is made of, beside the rows and columns.
    fn describe(&self, form: &mut Form) {
        self.order.describe(form);
        form.word(if self.backwards {
            "backwards"
        } else {
            "forwards"
        })
        .word(match (&self.place, self.looked_behind()) {
            (None, _) => "from the end",
            (Some(_), None) => "beyond a place",
            (Some(_), Some(_)) => "around a place",
        });
    }

    /// The place whose other side is looked at. Nothing lies behind the front of a list.
    fn looked_behind(&self) -> Option<&[Value]> {
        let (behind, _) = self.asked();
        self.place.as_deref().filter(|_| behind)
    }

    /// How many rows are read: if somebody asked whether there are more, one more than the page
    /// holds.
    fn wanted(&self) -> u32 {
        let (_, ahead) = self.asked();
        self.size + u32::from(ahead)
    }

    /// Turns the [wanted](Self::wanted) rows, read from the cursor away, into a page. `behind`:
    /// whether rows were found where it was [looked](Self::looked_behind).
    fn page<S: Shape<E>>(
        &self,
        shape: &S,
        mut rows: Vec<S::Row>,
        behind: bool,
    ) -> Result<Page<S::Row>, Fault> {
        let size = self.size as usize;
        let (asked_behind, asked_ahead) = self.asked();
        let more = asked_ahead.then_some(rows.len() > size);
        let behind = asked_behind.then_some(behind);
        rows.truncate(size);
        if self.backwards {
            rows.reverse();
        }
        let list = Listed {
            name: &self.list,
            order: &self.order,
            fingerprint: self.fingerprint.clone(),
        };
        let cursors = shape.cursors(list, &rows)?;
        let (has_previous, has_next) = if self.backwards {
            (more, behind)
        } else {
            (behind, more)
        };
        Ok(Page {
            rows,
            cursors,
            has_previous,
            has_next,
        })
    }
}

/// A place in a list. Its text, which [`to_string`](ToString::to_string) makes, is what a client
/// gives back.
#[derive(Clone)]
pub struct Cursor(Named);

#[derive(Clone)]
enum Named {
    /// The list's fingerprint, and the place.
    By([u8; 8], Vec<Value>),
    /// The row that stands here among these, which know them.
    Of(Arc<dyn Places>, usize),
}

/// Rows of a list: each has a place.
pub trait Places: Send + Sync {
    /// The list's fingerprint, and where this row stands in it.
    fn place(&self, at: usize) -> Result<([u8; 8], Vec<Value>), Fault>;
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Named::By(list, place) => f.write_str(&encode(*list, place)),
            Named::Of(rows, at) => {
                // The columns of an order are read whatever is asked for. Else this is a cursor
                // that no list takes.
                let (list, place) = rows.place(*at).unwrap_or_default();
                f.write_str(&encode(list, &place))
            }
        }
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor({self})")
    }
}

/// A list and its order, as cursors name them.
pub struct Listed<'a, E: Table> {
    name: &'a str,
    order: &'a Order<E>,
    fingerprint: OnceLock<[u8; 8]>,
}

impl<E: Table> Listed<'_, E> {
    /// The cursors of rows.
    pub(crate) fn cursors<S: Shape<E>>(
        &self,
        shape: &S,
        rows: &[S::Row],
    ) -> Result<Cursors, Fault> {
        let list = self
            .fingerprint
            .get_or_init(|| self.order.fingerprint(self.name));
        let cursor = |row| Ok(Cursor(Named::By(*list, self.order.place(shape, row)?)));
        let cursors = rows.iter().map(cursor);
        Ok(Cursors::Made(cursors.collect::<Result<_, Fault>>()?))
    }

    /// The rows that are found where this one was, with its columns.
    pub(crate) fn of_views(&self, one: Place<E>) -> Arc<dyn Places> {
        Arc::new(Views {
            name: self.name.to_owned(),
            order: self.order.clone(),
            fingerprint: self.fingerprint.clone(),
            one,
        })
    }
}

/// Rows that one statement found.
struct Views<E: Table> {
    name: String,
    order: Order<E>,
    fingerprint: OnceLock<[u8; 8]>,
    one: Place<E>,
}

impl<E: Table> Places for Views<E> {
    fn place(&self, at: usize) -> Result<([u8; 8], Vec<Value>), Fault> {
        let list = self
            .fingerprint
            .get_or_init(|| self.order.fingerprint(&self.name));
        let view = View::from(self.one.other_row(at));
        Ok((*list, self.order.place(&self.one.columns(), &view)?))
    }
}

/// The cursors of a page's rows.
#[derive(Clone)]
pub enum Cursors {
    Made(Vec<Cursor>),
    /// Where each row stands among these: a cursor is made when somebody asks for it.
    Of(Arc<dyn Places>, Vec<usize>),
}

impl Cursors {
    fn get(&self, at: usize) -> Option<Cursor> {
        match self {
            Self::Made(cursors) => cursors.get(at).cloned(),
            Self::Of(rows, places) => {
                let named = |at: &usize| Cursor(Named::Of(rows.clone(), *at));
                places.get(at).map(named)
            }
        }
    }
}

/// Some rows of a list, in its order, each with a [`Cursor`] that names its place.
#[derive(Clone)]
pub struct Page<T> {
    rows: Vec<T>,
    /// One for each row.
    cursors: Cursors,
    /// Whether there are rows before these; `None` if nobody [asked](Ends).
    pub has_previous: Option<bool>,
    /// Whether there are rows behind these; `None` if nobody [asked](Ends).
    pub has_next: Option<bool>,
}

/// A page of nothing.
impl<T> Default for Page<T> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            cursors: Cursors::Made(Vec::new()),
            has_previous: Some(false),
            has_next: Some(false),
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Page<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page")
            .field("rows", &self.rows)
            .field("has_previous", &self.has_previous)
            .field("has_next", &self.has_next)
            .finish_non_exhaustive()
    }
}

impl<T> Page<T> {
    /// The rows.
    pub fn rows(&self) -> &[T] {
        &self.rows
    }

    /// The rows, without their cursors.
    pub fn into_rows(self) -> Vec<T> {
        self.rows
    }

    /// The rows, each behind its cursor.
    pub fn edges(&self) -> impl Iterator<Item = (Cursor, &T)> {
        let rows = self.rows.iter().enumerate();
        rows.filter_map(|(at, row)| Some((self.cursors.get(at)?, row)))
    }

    /// The cursor of the first row, if there is one.
    pub fn start_cursor(&self) -> Option<Cursor> {
        self.cursors.get(0)
    }

    /// The cursor of the last row, if there is one.
    pub fn end_cursor(&self) -> Option<Cursor> {
        self.cursors.get(self.rows.len().checked_sub(1)?)
    }

    /// The same page of other things.
    pub fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page {
            rows: self.rows.into_iter().map(change).collect(),
            cursors: self.cursors,
            has_previous: self.has_previous,
            has_next: self.has_next,
        }
    }

    /// The same page of other things, of which each can fail.
    ///
    /// # Errors
    ///
    /// The first one.
    pub fn try_map<U, F>(self, change: impl FnMut(T) -> Result<U, F>) -> Result<Page<U>, F> {
        let rows: Result<_, F> = self.rows.into_iter().map(change).collect();
        Ok(Page {
            rows: rows?,
            cursors: self.cursors,
            has_previous: self.has_previous,
            has_next: self.has_next,
        })
    }
}

impl<E: Table> Rows<E> {
    /// One page of these rows, in one statement.
    ///
    /// # Errors
    ///
    /// The [`Fault`] of the statement.
    pub async fn page(
        self,
        request: &PageRequest<E>,
        on: &impl Reader,
    ) -> Result<Page<E::Model>, Fault> {
        self.page_as(Whole, request, on).await
    }

    /// The same in another shape.
    ///
    /// # Errors
    ///
    /// The [`Fault`] of the statement.
    pub async fn page_as<S: Shape<E>>(
        self,
        shape: S,
        request: &PageRequest<E>,
        on: &impl Reader,
    ) -> Result<Page<S::Row>, Fault> {
        let columns = shape.columns(&self, request.order.columns());
        let conn = on.conn();
        let backend = conn.backend();
        let looks_behind = request.looked_behind().is_some();
        let mut form = self.form("page");
        form.columns(columns);
        request.describe(&mut form);
        if let Some(place) = request.looked_behind() {
            form.bind_of(&self.filters);
            request.order.bind_beyond(place, backend, &mut form);
        }
        form.bind_of(&self.filters);
        if let Some(place) = &request.place {
            request.order.bind_beyond(place, backend, &mut form);
        }
        form.bind(u64::from(request.wanted()))
            .joins(shape.beside(), backend);
        let found = conn.found(form, || {
            let statement = self.page_statement(&shape, columns, request, backend);
            (statement, self.notes_of(&shape))
        });
        let offset = usize::from(looks_behind);
        let results = Found::new(found.await?, (offset, columns), shape.beside());
        let first = results.first().filter(|_| looks_behind);
        let behind = first.map(|row| flag(row, 0)).transpose()?;
        let rows = present(&results, 0..results.len(), &shape, looks_behind)?;
        request.page(&shape, rows, behind.unwrap_or(false))
    }

    fn page_statement(
        &self,
        shape: &impl Shape<E>,
        columns: Columns<E>,
        request: &PageRequest<E>,
        backend: DbBackend,
    ) -> SelectStatement {
        let order = request.reading_order();
        let mut page = self.select_columns(columns, backend);
        order.apply(&mut page);
        page.limit(request.wanted().into());
        if let Some(place) = &request.place {
            page.cond_where(order.beyond(place, false, backend));
        }
        let mut outer = Query::select();
        match request.looked_behind() {
            None if shape.beside().is_empty() => return page,
            None => {
                outer.from_subquery(page, "r");
            }
            // One row says whether anything lies behind the cursor, even when the page is empty.
            Some(place) => {
                let behind = self.behind(&order, place, None, backend);
                let behind = Query::select().expr_as(behind, "behind").take();
                outer
                    .expr_as(Expr::col(("b", "behind")), "behind")
                    .from_subquery(behind, "b")
                    .join_subquery(sea_orm::JoinType::LeftJoin, page, "r", Expr::cust("1 = 1"));
            }
        }
        columns.select("r", backend, &mut outer);
        // After the limit: for the rows of the page alone.
        beside::join(shape.beside(), "r", backend, &mut outer);
        for (column, way) in &order.keys {
            outer.order_by(("r", column.as_str()), way.sql());
        }
        outer
    }

    /// The same page of the children of each of `parents`, in one statement. A parent without
    /// children has an empty page.
    ///
    /// # Errors
    ///
    /// The [`Fault`] of the statement.
    pub async fn page_of_each(
        self,
        via: Via<E>,
        parents: &[Uuid],
        request: &PageRequest<E>,
        on: &impl Reader,
    ) -> Result<HashMap<Uuid, Page<E::Model>>, Fault> {
        self.page_of_each_as(Whole, via, parents, request, on).await
    }

    /// The same in another shape.
    ///
    /// # Errors
    ///
    /// The [`Fault`] of the statement.
    pub async fn page_of_each_as<S: Shape<E>>(
        self,
        shape: S,
        via: Via<E>,
        parents: &[Uuid],
        request: &PageRequest<E>,
        on: &impl Reader,
    ) -> Result<HashMap<Uuid, Page<S::Row>>, Fault> {
        let conn = on.conn();
        let order = request.reading_order();
        let columns = shape.columns(&self, order.columns());
        // What stands before the columns: the parent, and what is behind.
        let looks_behind = request.looked_behind().is_some();
        let offset = 1 + usize::from(looks_behind);
        let mut pages = HashMap::with_capacity(parents.len());
        for chunk in parents.chunks(dialect::KEY_CHUNK) {
            let mut form = self.page_of_each_form(columns, via, chunk, request, conn.backend());
            form.joins(shape.beside(), conn.backend());
            let found = conn.found(form, || {
                let mut statement =
                    self.page_of_each_statement(columns, via, chunk, request, conn.backend());
                beside::join(shape.beside(), "r", conn.backend(), &mut statement);
                (statement, self.notes_of(&shape))
            });
            let results = Found::new(found.await?, (offset, columns), shape.beside());
            // Each parent has a row, since those without children are joined to nothing. The rows
            // of one parent stand together, where the engine did not choose otherwise.
            let mut found: HashMap<Uuid, (Vec<usize>, bool)> = HashMap::with_capacity(chunk.len());
            for (parent, rows) in runs(&results)? {
                let behind = looks_behind && flag(&results[rows.start], 1)?;
                let of_parent = found.entry(parent).or_default();
                of_parent.0.extend(rows);
                of_parent.1 = behind;
            }
            for (parent, (rows, behind)) in found {
                let mut children = present(&results, rows, &shape, true)?;
                order.sort(&shape, &mut children)?;
                pages.insert(parent, request.page(&shape, children, behind)?);
            }
        }
        Ok(pages)
    }

    /// The form of [`page_of_each_statement`](Self::page_of_each_statement).
    fn page_of_each_form(
        &self,
        columns: Columns<E>,
        via: Via<E>,
        parents: &[Uuid],
        request: &PageRequest<E>,
        backend: DbBackend,
    ) -> Form {
        let mut form = self.form("page of each");
        form.columns(columns).via(via);
        request.describe(&mut form);
        if let Some(place) = request.looked_behind() {
            form.bind_of(&self.filters);
            request.order.bind_beyond(place, backend, &mut form);
        }
        form.bind(dialect::keys_value(backend, parents))
            .bind_of(&self.filters);
        if let Some(place) = &request.place {
            request.order.bind_beyond(place, backend, &mut form);
        }
        let wanted = request.wanted();
        if dialect::has_lateral(backend) {
            form.bind(u64::from(wanted));
        } else {
            form.any_of(backend, parents).bind(i64::from(wanted));
        }
        form
    }

    fn page_of_each_statement(
        &self,
        columns: Columns<E>,
        via: Via<E>,
        parents: &[Uuid],
        request: &PageRequest<E>,
        backend: DbBackend,
    ) -> SelectStatement {
        let order = request.reading_order();
        let wanted = request.wanted();
        let lateral = dialect::has_lateral(backend);

        let mut children = self.select_columns(columns, backend);
        via.join(&mut children);
        if let Some(place) = &request.place {
            children.cond_where(order.beyond(place, false, backend));
        }

        let key = || Expr::col((dialect::KEYS, dialect::KEYS));
        let mut outer = Query::select();
        outer
            .expr_as(key(), "parent")
            .from(dialect::keys_table(backend, parents));
        if let Some(place) = request.looked_behind() {
            outer.expr_as(
                self.behind(&order, place, Some((via, key())), backend),
                "behind",
            );
        }
        columns.select("r", backend, &mut outer);
        if lateral {
            children.and_where(via.parent().eq(key()));
            order.apply(&mut children);
            children.limit(wanted.into());
            outer.join_lateral(
                sea_orm::JoinType::LeftJoin,
                children,
                "r",
                Expr::cust("TRUE"),
            );
        } else {
            let mut window = WindowStatement::new();
            window.add_partition_by(via.parent());
            for (column, way) in &order.keys {
                window.order_by((E::default(), *column), way.sql());
            }
            children
                .expr_window_as(Expr::cust("ROW_NUMBER()"), window, "rank_in_parent")
                .expr_as(via.parent(), "of_parent")
                .and_where(dialect::is_any_of(backend, via.parent(), parents));
            outer.join_subquery(
                sea_orm::JoinType::LeftJoin,
                children,
                "r",
                Expr::col(("r", "of_parent"))
                    .eq(key())
                    .and(Expr::col(("r", "rank_in_parent")).lte(i64::from(wanted))),
            );
        }
        outer.take()
    }

    /// Whether one of these rows lies at the cursor or on its other side.
    fn behind(
        &self,
        order: &Order<E>,
        place: &[Value],
        of: Option<(Via<E>, Expr)>,
        backend: DbBackend,
    ) -> Expr {
        let mut select = self.bare();
        select
            .expr(Expr::cust("1"))
            .cond_where(order.reversed().beyond(place, true, backend));
        if let Some((via, parent)) = of {
            via.join(&mut select);
            select.and_where(via.parent().eq(parent));
        }
        Expr::exists(select)
    }
}

/// Those of the rows that a left join found, if they were joined to something.
fn present<E: Table, S: Shape<E>>(
    results: &Results,
    rows: impl IntoIterator<Item = usize>,
    shape: &S,
    joined: bool,
) -> Result<Vec<S::Row>, Fault> {
    let rows = rows.into_iter();
    let mut found = Vec::with_capacity(rows.size_hint().0);
    for at in rows {
        let place = Place::row(results, at);
        if !joined || place.id(E::KEY)?.is_some() {
            found.push(shape.read(place)?);
        }
    }
    Ok(found)
}

/// The ids in the first column of some rows, each with those rows that follow each other and have
/// it.
pub(crate) fn runs(results: &Results) -> Result<Vec<(Uuid, Range<usize>)>, Fault> {
    let mut runs: Vec<(Uuid, Range<usize>)> = Vec::new();
    for (at, row) in results.iter().enumerate() {
        let id = id_at(row, 0)?.ok_or_else(|| Fault::internal("a row of no parent"))?;
        match runs.last_mut() {
            Some((last, rows)) if *last == id => rows.end = at + 1,
            _ => runs.push((id, at..at + 1)),
        }
    }
    Ok(runs)
}

/// A truth value: PostgreSQL answers a boolean, the others a number.
fn flag(row: &QueryResult, column: usize) -> Result<bool, Fault> {
    get::<bool>(row, column).or_else(|_| get::<i64>(row, column).map(|n| n != 0))
}

/// One value of a cursor, with the type that it must have.
#[derive(serde::Serialize, serde::Deserialize)]
enum Part {
    #[serde(rename = "t")]
    Time(i64),
    #[serde(rename = "s")]
    Text(String),
    #[serde(rename = "i")]
    Number(i64),
    #[serde(rename = "u")]
    Id(Uuid),
}

fn encode(list: [u8; 8], place: &[Value]) -> String {
    let parts: Vec<Part> = place
        .iter()
        .map(|value| match value {
            Value::ChronoDateTimeUtc(Some(time)) => Part::Time(time.timestamp_micros()),
            Value::String(Some(text)) => Part::Text(text.clone()),
            Value::Int(Some(number)) => Part::Number((*number).into()),
            Value::BigInt(Some(number)) => Part::Number(*number),
            Value::Uuid(Some(id)) => Part::Id(*id),
            // An order's columns are NOT NULL and of these types; anything else gives a cursor
            // that does not decode.
            _ => Part::Text(String::new()),
        })
        .collect();
    let mut bytes = list.to_vec();
    bytes.extend(serde_json::to_vec(&parts).unwrap_or_default());
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(cursor: &str, list: [u8; 8]) -> Option<Vec<Value>> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let parts = bytes.strip_prefix(&list[..])?;
    let parts: Vec<Part> = serde_json::from_slice(parts).ok()?;
    parts
        .into_iter()
        .map(|part| match part {
            Part::Time(micros) => DateTime::<Utc>::from_timestamp_micros(micros)
                .filter(|time| {
                    use chrono::Datelike;
                    // What every engine's column can hold.
                    (1000..=9999).contains(&time.year())
                })
                .map(|time| Value::ChronoDateTimeUtc(Some(time))),
            Part::Text(text) => (!text.contains('\0')).then_some(Value::String(Some(text))),
            Part::Number(number) => Some(Value::BigInt(Some(number))),
            Part::Id(id) => Some(Value::Uuid(Some(id))),
        })
        .collect()
}
