//! What rows come to: sums and averages, the smallest and the largest value, the values there
//! are, the first and the last row. Of all of them, or of the children of each of many parents
//! in one statement.

use std::{collections::HashMap, marker::PhantomData};

use sea_orm::{
    ColumnTrait, DbBackend, IdenStatic, QueryResult, TryGetable,
    sea_query::{ColumnType, Expr, ExprTrait, SelectStatement},
};
use uuid::Uuid;

use crate::{
    Fault, Order, Reader, Rows, Via, dialect,
    record::Table,
    rows::{count_of, get, model},
};

impl<E: Table> Rows<E> {
    /// The exact sum of a column of integers, however large it is. NULL adds nothing, and the
    /// sum of no rows is 0.
    ///
    /// # Errors
    ///
    /// [`Fault::Internal`] if the column holds no integers, or the [`Fault`] of the statement.
    pub async fn sum(self, column: E::Column, on: &impl Reader) -> Result<i128, Fault> {
        let total = self.figure(Total::<E>::of(column)?, on).await?;
        Ok(total.map(|total| total.sum).unwrap_or_default())
    }

    /// The [`sum`](Rows::sum) over those of these rows that each of `parents` has. A parent
    /// without any is absent.
    ///
    /// # Errors
    ///
    /// As for [`sum`](Rows::sum).
    pub async fn sum_of_each(
        self,
        column: E::Column,
        via: Via<E>,
        parents: &[Uuid],
        on: &impl Reader,
    ) -> Result<HashMap<Uuid, i128>, Fault> {
        let total = Total::<E>::of(column)?;
        let totals = self.figure_of_each(total, via, parents, on).await?;
        let sums = totals
            .into_iter()
            .map(|(parent, total)| (parent, total.sum));
        Ok(sums.collect())
    }

    /// The average of a column of integers: its exact sum, divided once. NULL is left out;
    /// `None` if nothing is left.
    ///
    /// # Errors
    ///
    /// As for [`sum`](Rows::sum).
    pub async fn average(self, column: E::Column, on: &impl Reader) -> Result<Option<f64>, Fault> {
        let total = self.figure(Total::<E>::of(column)?, on).await?;
        Ok(total.and_then(|total| total.average()))
    }

    /// The [`average`](Rows::average) over those of these rows that each of `parents` has. A
    /// parent without one is absent.
    ///
    /// # Errors
    ///
    /// As for [`sum`](Rows::sum).
    pub async fn average_of_each(
        self,
        column: E::Column,
        via: Via<E>,
        parents: &[Uuid],
        on: &impl Reader,
    ) -> Result<HashMap<Uuid, f64>, Fault> {
        let total = Total::<E>::of(column)?;
        let totals = self.figure_of_each(total, via, parents, on).await?;
        let averages = totals.into_iter();
        Ok(averages
            .filter_map(|(parent, total)| Some((parent, total.average()?)))
            .collect())
    }

    /// The smallest value of a column of numbers, texts or times; `None` if all are NULL or
    /// there are no rows. `T` is the type of the entity's field, without an `Option`.
    ///
    /// # Errors
    ///
    /// [`Fault::Internal`] if the column holds something else (PostgreSQL has no smallest UUID)
    /// or not a `T`, or the [`Fault`] of the statement.
    pub async fn min<T: TryGetable>(
        self,
        column: E::Column,
        on: &impl Reader,
    ) -> Result<Option<T>, Fault> {
        self.figure(Extreme::<E, T>::of(column, Expr::min)?, on)
            .await
    }

    /// The smallest value over those of these rows that each of `parents` has. A parent without
    /// one is absent.
    ///
    /// # Errors
    ///
    /// As for [`min`](Rows::min).
    pub async fn min_of_each<T: TryGetable>(
        self,
        column: E::Column,
        via: Via<E>,
        parents: &[Uuid],
        on: &impl Reader,
    ) -> Result<HashMap<Uuid, T>, Fault> {
        let smallest = Extreme::<E, T>::of(column, Expr::min)?;
        self.figure_of_each(smallest, via, parents, on).await
    }

    /// The largest value of a column, as [`min`](Rows::min) is the smallest.
    ///
    /// # Errors
    ///
    /// As for [`min`](Rows::min).
    pub async fn max<T: TryGetable>(
        self,
        column: E::Column,
        on: &impl Reader,
    ) -> Result<Option<T>, Fault> {
        self.figure(Extreme::<E, T>::of(column, Expr::max)?, on)
            .await
    }

    /// The largest value over those of these rows that each of `parents` has. A parent without
    /// one is absent.
    ///
    /// # Errors
    ///
    /// As for [`min`](Rows::min).
    pub async fn max_of_each<T: TryGetable>(
        self,
        column: E::Column,
        via: Via<E>,
        parents: &[Uuid],
        on: &impl Reader,
    ) -> Result<HashMap<Uuid, T>, Fault> {
        let largest = Extreme::<E, T>::of(column, Expr::max)?;
        self.figure_of_each(largest, via, parents, on).await
    }

    /// The different values of a column from the smallest on, `limit` at the most. NULL is no
    /// value.
    ///
    /// # Errors
    ///
    /// [`Fault::Internal`] if the column does not hold a `T`, or the [`Fault`] of the statement.
    pub async fn distinct<T: TryGetable>(
        self,
        column: E::Column,
        limit: u64,
        on: &impl Reader,
    ) -> Result<Vec<T>, Fault> {
        let values = Expr::col((E::default(), column));
        let mut select = self.bare();
        select
            .distinct()
            .expr_as(values.clone(), VALUE)
            .and_where(values.clone().is_not_null())
            .order_by_expr(values, sea_orm::Order::Asc)
            .limit(limit);
        let rows = on.conn().all(&select, &self.notes()).await?;
        rows.iter().map(|row| get(row, VALUE)).collect()
    }

    /// The first of these rows in an order.
    ///
    /// # Errors
    ///
    /// The [`Fault`] of the statement.
    pub async fn first(
        self,
        order: &Order<E>,
        on: &impl Reader,
    ) -> Result<Option<E::Model>, Fault> {
        let mut select = self.select(on.conn().backend());
        order.apply(&mut select);
        select.limit(1);
        let row = on.conn().one(&select, &self.notes()).await?;
        row.map(|row| model::<E>(&row)).transpose()
    }

    /// The last of these rows in an order.
    ///
    /// # Errors
    ///
    /// The [`Fault`] of the statement.
    pub async fn last(self, order: &Order<E>, on: &impl Reader) -> Result<Option<E::Model>, Fault> {
        self.first(&order.reversed(), on).await
    }

    async fn figure<F: Figure>(
        self,
        figure: F,
        on: &impl Reader,
    ) -> Result<Option<F::Value>, Fault> {
        let conn = on.conn();
        let mut select = self.bare();
        figure.select(conn.backend(), &mut select);
        match conn.one(&select, &self.notes()).await? {
            Some(row) => figure.read(&row),
            None => Ok(None),
        }
    }

    async fn figure_of_each<F: Figure>(
        self,
        figure: F,
        via: Via<E>,
        parents: &[Uuid],
        on: &impl Reader,
    ) -> Result<HashMap<Uuid, F::Value>, Fault> {
        let conn = on.conn();
        let mut found = HashMap::with_capacity(parents.len());
        for chunk in parents.chunks(dialect::KEY_CHUNK) {
            let mut select = self.bare();
            via.join(&mut select);
            figure.select(conn.backend(), &mut select);
            select
                .expr_as(via.parent(), "parent")
                .and_where(dialect::is_any_of(conn.backend(), via.parent(), chunk))
                .add_group_by([via.parent()]);
            for row in conn.all(&select, &self.notes()).await? {
                if let Some(value) = figure.read(&row)? {
                    found.insert(get(&row, "parent")?, value);
                }
            }
        }
        Ok(found)
    }
}

const VALUE: &str = "value";

/// What many rows come to.
trait Figure {
    type Value;

    /// Adds to a statement over the rows what it selects of them.
    fn select(&self, backend: DbBackend, select: &mut SelectStatement);

    /// Reads what was selected; `None` if there is no such value.
    fn read(&self, row: &QueryResult) -> Result<Option<Self::Value>, Fault>;
}

/// The sum of a column of integers, and how many there are.
struct Total<E: Table> {
    column: E::Column,
}

struct Totalled {
    sum: i128,
    count: u64,
}

impl Totalled {
    fn average(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }
}

impl<E: Table> Total<E> {
    fn of(column: E::Column) -> Result<Self, Fault> {
        if is_integer(column.def().get_column_type()) {
            Ok(Self { column })
        } else {
            Err(unfit::<E>(column, "integers"))
        }
    }
}

impl<E: Table> Figure for Total<E> {
    type Value = Totalled;

    fn select(&self, backend: DbBackend, select: &mut SelectStatement) {
        let column = || Expr::col((E::default(), self.column));
        let [high, low] = dialect::exact_sum(backend, column());
        select
            .expr_as(high, "high")
            .expr_as(low, "low")
            .expr_as(column().count(), "n");
    }

    fn read(&self, row: &QueryResult) -> Result<Option<Totalled>, Fault> {
        let part = |name| match get::<Option<String>>(row, name)? {
            None => Ok(0),
            Some(text) => text
                .parse::<i128>()
                .map_err(|_| Fault::internal(format!("a sum is no integer: {text}"))),
        };
        Ok(Some(Totalled {
            sum: (part("high")? << 32) + part("low")?,
            count: count_of(Some(row))?,
        }))
    }
}

/// The smallest or the largest value of a column.
struct Extreme<E: Table, T> {
    column: E::Column,
    of: fn(Expr) -> Expr,
    value: PhantomData<fn() -> T>,
}

impl<E: Table, T> Extreme<E, T> {
    fn of(column: E::Column, of: fn(Expr) -> Expr) -> Result<Self, Fault> {
        if is_ordered(column.def().get_column_type()) {
            Ok(Self {
                column,
                of,
                value: PhantomData,
            })
        } else {
            Err(unfit::<E>(column, "numbers, texts or times"))
        }
    }
}

impl<E: Table, T: TryGetable> Figure for Extreme<E, T> {
    type Value = T;

    fn select(&self, _backend: DbBackend, select: &mut SelectStatement) {
        let column = Expr::col((E::default(), self.column));
        select.expr_as((self.of)(column), VALUE);
    }

    fn read(&self, row: &QueryResult) -> Result<Option<T>, Fault> {
        get(row, VALUE)
    }
}

fn is_integer(column: &ColumnType) -> bool {
    use ColumnType as T;
    matches!(
        column,
        T::TinyInteger
            | T::SmallInteger
            | T::Integer
            | T::BigInteger
            | T::TinyUnsigned
            | T::SmallUnsigned
            | T::Unsigned
            | T::BigUnsigned
    )
}

/// Whether every engine has a smallest and a largest value of the type.
fn is_ordered(column: &ColumnType) -> bool {
    use ColumnType as T;
    is_integer(column)
        || matches!(
            column,
            T::Float
                | T::Double
                | T::Decimal(_)
                | T::Char(_)
                | T::String(_)
                | T::Text
                | T::Date
                | T::Time
                | T::DateTime
                | T::Timestamp
                | T::TimestampWithTimeZone
        )
}

fn unfit<E: Table>(column: E::Column, wanted: &str) -> Fault {
    Fault::internal(format!("{} is no column of {wanted}", column.as_str()))
}
