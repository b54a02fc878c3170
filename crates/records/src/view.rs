//! What the rows of a read become: SeaORM's models, or views of the columns that were asked for.

use std::{borrow::Cow, fmt, marker::PhantomData, sync::Arc};

use chrono::{DateTime, Utc};
use sea_orm::{
    DbBackend, IdenStatic as _, Iterable as _, ModelTrait as _, QueryResult, TryGetable, Value,
    sea_query::{Expr, SelectStatement, ValueType},
};
use sqlx::{Row as _, postgres::PgRow};
use uuid::Uuid;

use crate::{
    Beside, Fault, Rows,
    beside::{Found, Standing, Whose},
    page::{Cursors, Listed},
    record::Table,
    rows::model,
};

/// Some columns of a table, which has 128 at the most.
///
/// ```
/// # mod library {
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/library.rs"));
/// # }
/// # fn main() {
/// use library::book;
/// use plimsoll_records::Columns;
///
/// let columns = Columns::<book::Entity>::of(&[book::Column::Title]);
/// assert!(columns.has(book::Column::Title) && !columns.has(book::Column::Isbn));
/// # }
/// ```
pub struct Columns<E> {
    /// A bit for each column, in the order in which the entity declares them.
    bits: u128,
    entity: PhantomData<fn() -> E>,
}

impl<E> Clone for Columns<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Columns<E> {}

impl<E> PartialEq for Columns<E> {
    fn eq(&self, other: &Self) -> bool {
        self.bits == other.bits
    }
}

impl<E> Eq for Columns<E> {}

impl<E> std::hash::Hash for Columns<E> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.bits.hash(state);
    }
}

impl<E> Default for Columns<E> {
    fn default() -> Self {
        Self {
            bits: 0,
            entity: PhantomData,
        }
    }
}

impl<E: Table> fmt::Debug for Columns<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.iter().map(|column| column.as_str()))
            .finish()
    }
}

impl<E: Table> Columns<E> {
    /// These columns.
    pub fn of(columns: &[E::Column]) -> Self {
        let with = |these: Self, column: &E::Column| these.and(*column);
        columns.iter().fold(Self::default(), with)
    }

    /// These, and with each row the others that were read beside it ([`View::beside`]): of each
    /// table, one for each column that names it.
    ///
    /// ```
    /// # mod library {
    /// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/library.rs"));
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// # let library::Stocked { database, books, .. } = library::stocked().await?;
    /// use library::{author, book};
    /// use plimsoll_records::{Beside, Columns, Rows};
    ///
    /// let name = Columns::of(&[author::Column::Name]);
    /// let authors = Rows::<author::Entity>::live();
    /// let with_authors = Columns::of(&[book::Column::Title])
    ///     .beside([Beside::new(book::Column::AuthorId, author::Column::Id, name, authors)]);
    /// let found = Rows::<book::Entity>::live()
    ///     .by_ids_as(with_authors, &[books[0].id], &database.read())
    ///     .await?;
    /// let book = &found[&books[0].id];
    /// assert_eq!(book.get::<String>(book::Column::Title)?, "The Hull");
    /// let author = book.beside::<author::Entity>(book::Column::AuthorId)?;
    /// let author = author.flatten().ok_or("it was read, and is live")?;
    /// assert!(!author.get::<String>(author::Column::Name)?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn beside(self, others: impl IntoIterator<Item = Beside<E>>) -> Joined<E> {
        let beside: Arc<[Beside<E>]> = others.into_iter().collect();
        debug_assert!(Beside::are_distinct(&beside), "two would have one name");
        Joined {
            columns: self,
            beside,
        }
    }

    /// Those that a read selects unless told otherwise: all but the heavy and the secret ones.
    pub fn selected() -> Self {
        E::selected().fold(Self::default(), Self::and)
    }

    /// These and one more.
    #[must_use]
    pub fn and(mut self, column: E::Column) -> Self {
        self.bits |= bit::<E>(column);
        self
    }

    /// These and others.
    #[must_use]
    pub fn or(mut self, others: Self) -> Self {
        self.bits |= others.bits;
        self
    }

    /// Whether a column is one of these.
    pub fn has(self, column: E::Column) -> bool {
        self.bits & bit::<E>(column) != 0
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = E::Column> {
        E::Column::iter().filter(move |column| self.has(*column))
    }

    /// Selects these columns of `table`, under their own names. One text for all of them: a
    /// statement has no other part that is as long.
    pub(crate) fn select(self, table: &str, backend: DbBackend, select: &mut SelectStatement) {
        if self.bits == 0 {
            return;
        }
        let mut text = String::with_capacity(self.len() * (table.len() + 32));
        for column in self.iter() {
            if !text.is_empty() {
                text.push_str(", ");
            }
            let column = column.as_str();
            quote(table, backend, &mut text);
            text.push('.');
            quote(column, backend, &mut text);
            text.push_str(" AS ");
            quote(column, backend, &mut text);
        }
        select.expr(Expr::cust(text));
    }

    /// A bit for each of them.
    pub(crate) fn bits(self) -> u128 {
        self.bits
    }

    pub(crate) fn from_bits(bits: u128) -> Self {
        Self {
            bits,
            entity: PhantomData,
        }
    }

    /// How many these are.
    pub(crate) fn len(self) -> usize {
        self.bits.count_ones() as usize
    }
}

/// Writes a name as this engine quotes it.
fn quote(name: &str, backend: DbBackend, text: &mut String) {
    let mark = match backend {
        DbBackend::MySql => "`",
        _ => "\"",
    };
    text.push_str(mark);
    // Searching for a text of one byte takes as long as writing the name.
    if name.as_bytes().contains(&mark.as_bytes()[0]) {
        text.push_str(&name.replace(mark, &mark.repeat(2)));
    } else {
        text.push_str(name);
    }
    text.push_str(mark);
}

/// The bit of a column. Columns after the 128th have none, and are never read.
fn bit<E: Table>(column: E::Column) -> u128 {
    1_u128.checked_shl(E::index(column)).unwrap_or(0)
}

/// Those columns of a row that a read asked for. Cheap to clone.
///
/// A column that was not read has no value here, whatever it is in the database:
///
/// ```
/// # mod library {
/// #     include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/library.rs"));
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// # let library::Stocked { database, books, .. } = library::stocked().await?;
/// use library::book;
/// use plimsoll_records::{Columns, Rows};
///
/// let titles = Columns::of(&[book::Column::Title]);
/// let found = Rows::<book::Entity>::live()
///     .by_ids_as(titles, &[books[0].id], &database.read())
///     .await?;
/// let hull = &found[&books[0].id];
/// assert_eq!(hull.get::<String>(book::Column::Title)?, "The Hull");
/// assert!(hull.get::<String>(book::Column::Isbn).is_err());
/// # Ok(())
/// # }
/// ```
pub struct View<E: Table>(Source<E>);

enum Source<E: Table> {
    /// One of the rows that a read found.
    Row(Place<E>),
    /// A model has all of its columns but those that are deferred.
    Model(Arc<E::Model>),
}

/// The rows that one statement found.
pub(crate) type Results = Arc<Found>;

/// A row, or what stands beside it, among what a statement found.
pub struct Place<E: Table> {
    results: Results,
    at: u32,
    whose: Whose,
    entity: PhantomData<fn() -> E>,
}

impl<E: Table> Clone for Place<E> {
    fn clone(&self) -> Self {
        Self {
            results: self.results.clone(),
            ..*self
        }
    }
}

impl<E: Table> Place<E> {
    /// A row of these.
    pub(crate) fn row(results: &Results, at: usize) -> Self {
        Self {
            results: results.clone(),
            // More rows than this have no place.
            at: at.try_into().unwrap_or(u32::MAX),
            whose: Whose::Own,
            entity: PhantomData,
        }
    }

    /// Another row of the same.
    pub(crate) fn other_row(&self, at: usize) -> Self {
        Self::row(&self.results, at)
    }

    /// Which of the rows it is.
    pub(crate) fn at(&self) -> usize {
        self.at as usize
    }

    /// What was read of the row.
    pub(crate) fn columns(&self) -> Columns<E> {
        let standing = self.results.standing(self.whose);
        standing.map(Standing::columns).unwrap_or_default()
    }

    /// The id in a column; `None` if it is null.
    pub(crate) fn id(&self, column: E::Column) -> Result<Option<Uuid>, Fault> {
        let (row, at) = self.of(column)?;
        id_at(row, at)
    }

    /// The row, and where in it the column stands.
    fn of(&self, column: E::Column) -> Result<(&QueryResult, usize), Fault> {
        let standing = self.results.standing(self.whose);
        let place = standing.and_then(|standing| standing.place::<E>(column));
        let row = self.results.get(self.at());
        row.zip(place).ok_or_else(|| unread::<E>(column))
    }
}

impl<E: Table> Clone for View<E> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Source::Row(place) => Source::Row(place.clone()),
            Source::Model(model) => Source::Model(model.clone()),
        })
    }
}

impl<E: Table> fmt::Debug for View<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut view = f.debug_struct("View");
        match &self.0 {
            Source::Row(place) => view.field("columns", &place.columns()),
            Source::Model(_) => view.field("columns", &"all"),
        };
        view.finish_non_exhaustive()
    }
}

impl<E: Table> From<Place<E>> for View<E> {
    fn from(place: Place<E>) -> Self {
        Self(Source::Row(place))
    }
}

impl<E: Table> View<E> {
    /// The view of a whole model.
    pub fn of(model: E::Model) -> Self {
        Self(Source::Model(Arc::new(model)))
    }

    /// The value of a column. `T` is the type that the entity declares for it; of a heavy or
    /// secret column, what its [`Deferred`](crate::Deferred) holds.
    ///
    /// # Errors
    ///
    /// [`Fault::Internal`] if the column was not read, or is of another type.
    pub fn get<T: Readable>(&self, column: E::Column) -> Result<T, Fault> {
        match &self.0 {
            Source::Row(place) => {
                let (row, at) = place.of(column)?;
                Ok(T::try_get_by(row, at).map_err(sea_orm::DbErr::from)?)
            }
            Source::Model(model) => {
                <T as ValueType>::try_from(model.get(column)).map_err(|_| unread::<E>(column))
            }
        }
    }

    /// The id in a column, of whatever type the entity has for ids; `None` if it is null.
    ///
    /// # Errors
    ///
    /// [`Fault::Internal`] if the column was not read, or is not an id: the latter is looked at
    /// in builds with debug assertions, such as tests, and is else taken from the entity.
    pub fn id(&self, column: E::Column) -> Result<Option<Uuid>, Fault> {
        match &self.0 {
            Source::Row(place) => place.id(column),
            Source::Model(_) => self.get(column),
        }
    }

    /// The time in a column; `None` if it is null.
    ///
    /// # Errors
    ///
    /// [`Fault::Internal`] if the column was not read, or is not a time: the latter is looked at
    /// in builds with debug assertions, such as tests, and is else taken from the entity.
    pub fn time(&self, column: E::Column) -> Result<Option<DateTime<Utc>>, Fault> {
        match &self.0 {
            Source::Row(place) => {
                let (row, at) = place.of(column)?;
                time_at(row, at)
            }
            Source::Model(_) => self.get(column),
        }
    }

    /// The bytes of a text in a column, where they lie; `None` if it is null. They are as the
    /// database sent them, so it is for the caller to see whether they are UTF-8, which goes well
    /// with whatever else has to look at each of them.
    ///
    /// # Errors
    ///
    /// [`Fault::Internal`] if the column was not read, or is not a text: the latter is looked at
    /// in builds with debug assertions, such as tests, and is else taken from the entity.
    pub fn text_bytes(&self, column: E::Column) -> Result<Option<Cow<'_, [u8]>>, Fault> {
        match &self.0 {
            Source::Row(place) => {
                let (row, at) = place.of(column)?;
                Ok(text_at(row, at)?.map(Cow::Borrowed))
            }
            Source::Model(_) => {
                let text = self.get::<Option<String>>(column)?;
                Ok(text.map(|text| Cow::Owned(text.into_bytes())))
            }
        }
    }

    /// The row of another table that this one names in `column`, as it was read
    /// [beside](Columns::beside) it: `Some(None)` if there is none, `None` if none was looked for.
    ///
    /// # Errors
    ///
    /// [`Fault::Internal`] if the database's answer is not what was asked for.
    pub fn beside<P: Table>(&self, column: E::Column) -> Result<Option<Option<View<P>>>, Fault> {
        let Source::Row(place) = &self.0 else {
            return Ok(None);
        };
        let whose = match place.whose {
            Whose::Own => place.results.beside::<E, P>(column),
            Whose::Beside(_) => None,
        };
        let Some(whose) = whose else {
            return Ok(None);
        };
        let other = View::<P>::from(Place {
            results: place.results.clone(),
            at: place.at,
            whose,
            entity: PhantomData,
        });
        let is_there = other.id(P::KEY)?.is_some();
        Ok(Some(is_there.then_some(other)))
    }

    /// Where it stands among the rows that a read found, if it is one of these.
    fn place(&self) -> Option<&Place<E>> {
        match &self.0 {
            Source::Row(place) => Some(place),
            Source::Model(_) => None,
        }
    }

    /// The value of a column of a type that rows are ordered or found by.
    pub(crate) fn value(&self, column: E::Column) -> Result<Value, Fault> {
        use sea_orm::{ColumnTrait as _, sea_query::ColumnType as T};
        if let Source::Model(model) = &self.0 {
            return Ok(model.get(column));
        }
        Ok(match column.def().get_column_type() {
            T::DateTime | T::Timestamp | T::TimestampWithTimeZone => {
                Value::ChronoDateTimeUtc(self.time(column)?)
            }
            T::Char(_) | T::String(_) | T::Text => Value::String(self.get(column)?),
            T::Integer => Value::Int(self.get(column)?),
            T::BigInteger => Value::BigInt(self.get(column)?),
            T::Uuid => Value::Uuid(self.id(column)?),
            other => {
                let column = column.as_str();
                return Err(Fault::internal(format!(
                    "rows are not ordered by {column}, of type {other:?}"
                )));
            }
        })
    }
}

/// A type that a column's value can be read as.
pub trait Readable: TryGetable + ValueType {}

impl<T: TryGetable + ValueType> Readable for T {}

/// What stands here in a row, of a type whose values all engines keep in one form. That the column
/// has this type is known from the entity; tests look whether the database agrees.
macro_rules! at {
    ($row:expr, $at:expr) => {
        if cfg!(debug_assertions) {
            at!($row, $at, try_get)
        } else {
            at!($row, $at, try_get_unchecked)
        }
    };
    ($row:expr, $at:expr, $get:ident) => {
        if let Some(row) = $row.try_as_pg_row() {
            Ok(row.$get($at)?)
        } else if let Some(row) = $row.try_as_sqlite_row() {
            Ok(row.$get($at)?)
        } else if let Some(row) = $row.try_as_mysql_row() {
            Ok(row.$get($at)?)
        } else {
            Err(Fault::internal("a row of another engine"))
        }
    };
}

/// The id that stands here in a row.
pub(crate) fn id_at(row: &QueryResult, at: usize) -> Result<Option<Uuid>, Fault> {
    let Some(row) = row.try_as_pg_row() else {
        return at!(row, at);
    };
    let id = sent(row, at)?.map(Uuid::from_slice).transpose();
    let id = id.map_err(|_| Fault::internal("an id that is none"))?;
    debug_assert_eq!(id, row.try_get(at)?, "it is no id");
    Ok(id)
}

/// The bytes of a value as PostgreSQL sent them, in the binary form in which prepared statements
/// answer. sqlx's decoding is a call for each value, which asks for its form and type again.
fn sent(row: &PgRow, at: usize) -> Result<Option<&[u8]>, Fault> {
    let value = row.try_get_raw(at)?;
    // Nothing else is wrong with a value than that it is null.
    Ok(value.as_bytes().ok())
}

/// 2000-01-01, from which PostgreSQL counts (its documentation, section 8.5, "Date/Time Types"),
/// in microseconds since 1970.
const POSTGRES_EPOCH: i64 = 946_684_800_000_000;

/// The time that stands here in a row.
fn time_at(row: &QueryResult, at: usize) -> Result<Option<DateTime<Utc>>, Fault> {
    let Some(row) = row.try_as_pg_row() else {
        return at!(row, at);
    };
    let Some(sent) = sent(row, at)? else {
        return Ok(None);
    };
    // sqlx adds what PostgreSQL sends, microseconds, to a date, which takes three times as long.
    let micros = sent.try_into().ok().map(i64::from_be_bytes);
    let since_1970 = micros.and_then(|micros| micros.checked_add(POSTGRES_EPOCH));
    let time = since_1970.and_then(DateTime::from_timestamp_micros);
    let unfit = || Fault::internal("a time that is infinite, or too far away");
    let time = Some(time.ok_or_else(unfit)?);
    debug_assert_eq!(time, row.try_get(at)?, "it is no time");
    Ok(time)
}

/// The bytes of the text that stands here in a row.
fn text_at(row: &QueryResult, at: usize) -> Result<Option<&[u8]>, Fault> {
    if cfg!(debug_assertions) {
        let text: Result<Option<&str>, Fault> = at!(row, at);
        text?;
    }
    match row.try_as_pg_row() {
        Some(row) => sent(row, at),
        None => at!(row, at, try_get_unchecked),
    }
}

fn unread<E: Table>(column: E::Column) -> Fault {
    let (table, column) = (E::default().table_name().to_owned(), column.as_str());
    Fault::internal(format!(
        "{table}.{column} was not read, or not as this type"
    ))
}

/// What the rows of a read become: [`Whole`] models, or [`View`]s of some [`Columns`], alone or
/// [`Joined`] with others.
pub trait Shape<E: Table>: sealed::Sealed<E> {}

/// SeaORM's models, with all columns but the heavy and secret ones that were not asked for.
#[derive(Clone, Copy, Debug)]
pub struct Whole;

/// [`View`]s of some [`Columns`], with others [beside](Columns::beside) them.
#[derive(Debug)]
pub struct Joined<E: Table> {
    columns: Columns<E>,
    beside: Arc<[Beside<E>]>,
}

impl<E: Table> Clone for Joined<E> {
    fn clone(&self) -> Self {
        Self {
            columns: self.columns,
            beside: self.beside.clone(),
        }
    }
}

impl<E: Table> Shape<E> for Whole {}
impl<E: Table> Shape<E> for Columns<E> {}
impl<E: Table> Shape<E> for Joined<E> {}

pub(crate) mod sealed {
    use super::*;

    /// How a shape is read.
    pub trait Sealed<E: Table>: Clone + Send + Sync {
        /// A row of this shape.
        type Row: Clone + Send + Sync;

        /// The columns to select of these rows, when those that are `needed` must be there.
        fn columns(&self, rows: &Rows<E>, needed: Columns<E>) -> Columns<E>;

        /// What is read beside the rows.
        fn beside(&self) -> &[Beside<E>] {
            &[]
        }

        /// Reads the columns of a row.
        fn read(&self, place: Place<E>) -> Result<Self::Row, Fault>;

        /// The cursors of rows that one statement found: places in this list and order.
        fn cursors(&self, list: Listed<'_, E>, rows: &[Self::Row]) -> Result<Cursors, Fault>;

        /// The value of a column that was needed.
        fn value(&self, row: &Self::Row, column: E::Column) -> Result<Value, Fault>;
    }
}

impl<E: Table> sealed::Sealed<E> for Whole {
    type Row = E::Model;

    fn columns(&self, rows: &Rows<E>, needed: Columns<E>) -> Columns<E> {
        rows.columns().or(needed)
    }

    fn read(&self, place: Place<E>) -> Result<E::Model, Fault> {
        let (row, _) = place.of(E::KEY)?;
        model::<E>(row)
    }

    fn cursors(&self, list: Listed<'_, E>, rows: &[E::Model]) -> Result<Cursors, Fault> {
        list.cursors(self, rows)
    }

    fn value(&self, row: &E::Model, column: E::Column) -> Result<Value, Fault> {
        Ok(row.get(column))
    }
}

impl<E: Table> sealed::Sealed<E> for Columns<E> {
    type Row = View<E>;

    fn columns(&self, _: &Rows<E>, needed: Columns<E>) -> Columns<E> {
        self.or(needed)
    }

    fn read(&self, place: Place<E>) -> Result<View<E>, Fault> {
        Ok(View(Source::Row(place)))
    }

    fn cursors(&self, list: Listed<'_, E>, rows: &[View<E>]) -> Result<Cursors, Fault> {
        let at = |view: &View<E>| view.place().map(Place::at);
        let places: Option<Vec<usize>> = rows.iter().map(at).collect();
        match rows.first().and_then(View::place).zip(places) {
            Some((first, places)) => Ok(Cursors::Of(list.of_views(first.clone()), places)),
            None => list.cursors(self, rows),
        }
    }

    fn value(&self, row: &View<E>, column: E::Column) -> Result<Value, Fault> {
        row.value(column)
    }
}

impl<E: Table> sealed::Sealed<E> for Joined<E> {
    type Row = View<E>;

    fn columns(&self, _: &Rows<E>, needed: Columns<E>) -> Columns<E> {
        let beside = self.beside.iter();
        beside.fold(self.columns.or(needed), |columns, one| {
            columns.and(one.column())
        })
    }

    fn beside(&self) -> &[Beside<E>] {
        &self.beside
    }

    fn read(&self, place: Place<E>) -> Result<View<E>, Fault> {
        self.columns.read(place)
    }

    fn cursors(&self, list: Listed<'_, E>, rows: &[View<E>]) -> Result<Cursors, Fault> {
        self.columns.cursors(list, rows)
    }

    fn value(&self, row: &View<E>, column: E::Column) -> Result<Value, Fault> {
        row.value(column)
    }
}
