//! What differs between the engines, behind one name each.

use sea_orm::{
    DbBackend, Value,
    sea_query::{
        ArrayType, Expr, ExprTrait, Func, IntoIden, LockType, Query, SelectStatement, TableRef,
    },
};
use uuid::Uuid;

/// How many rows one `INSERT` carries. The widest table has fewer than 20 columns, and SQLite
/// binds at most 32,766 values (its documentation, "Implementation Limits").
pub(crate) const INSERT_CHUNK: usize = 500;

/// How many keys one statement carries. A power of two, since MariaDB's lists are filled up to
/// one; MariaDB, MySQL and PostgreSQL bind at most 65,535 values.
pub(crate) const KEY_CHUNK: usize = 16_384;

/// The name of the table, and of its one column, that [`keys_table`] makes.
pub(crate) const KEYS: &str = "k";

/// Whether the engine answers a changed row (`RETURNING`).
///
/// MariaDB knows it for `INSERT` and `DELETE` and not for `UPDATE`, MySQL not at all: there the
/// row is read again in the same transaction, which has it locked.
pub(crate) fn returns_rows(backend: DbBackend) -> bool {
    backend != DbBackend::MySql
}

/// `expr` is one of `keys`. The statement's text is one for all numbers of keys, or one of few,
/// so that a prepared statement serves them.
pub(crate) fn is_any_of(backend: DbBackend, expr: Expr, keys: &[Uuid]) -> Expr {
    match backend {
        DbBackend::Postgres => expr.eq(Expr::from(
            sea_orm::sea_query::extension::postgres::PgFunc::any(Expr::val(uuid_array(keys))),
        )),
        DbBackend::Sqlite => expr.in_subquery(
            Query::select()
                .column((KEYS, KEYS))
                .from(keys_table(backend, keys))
                .take(),
        ),
        // MariaDB plans a subquery over JSON_TABLE badly; a list that is filled up to a power
        // of two keeps the number of texts small.
        _ => {
            let mut padded: Vec<Uuid> = keys.to_vec();
            // No id is nil: an empty list matches nothing.
            let filler = keys.last().copied().unwrap_or(Uuid::nil());
            padded.resize(keys.len().next_power_of_two(), filler);
            expr.is_in(padded)
        }
    }
}

/// A table `k` with one column `k`: the keys.
pub(crate) fn keys_table(backend: DbBackend, keys: &[Uuid]) -> TableRef {
    match backend {
        DbBackend::Postgres => TableRef::FunctionCall(
            Func::cust("unnest").arg(Expr::val(uuid_array(keys))),
            KEYS.into_iden(),
        ),
        DbBackend::Sqlite => {
            let table = Func::cust("json_each").arg(Expr::val(hex_json(keys)));
            TableRef::SubQuery(
                Query::select()
                    .expr_as(Expr::cust("unhex(\"j\".\"value\")"), KEYS)
                    .from_function(table, "j")
                    .take()
                    .into(),
                KEYS.into_iden(),
            )
        }
        _ => {
            let table = Func::cust("JSON_TABLE").arg(Expr::cust_with_values(
                "?, '$[*]' COLUMNS (h CHAR(32) CHARACTER SET ascii PATH '$')",
                [Value::from(hex_json(keys))],
            ));
            TableRef::SubQuery(
                Query::select()
                    .expr_as(Expr::cust("UNHEX(j.h)"), KEYS)
                    .from_function(table, "j")
                    .take()
                    .into(),
                KEYS.into_iden(),
            )
        }
    }
}

/// Whether the newest N of each parent are found by a lateral join rather than by ranking.
pub(crate) fn has_lateral(backend: DbBackend) -> bool {
    backend == DbBackend::Postgres
}

/// Locks the selected rows against every other change. SQLite has one writer: nothing to lock.
pub(crate) fn lock_for_change(backend: DbBackend, select: &mut SelectStatement) {
    match backend {
        // Weaker than FOR UPDATE: it lets others insert rows that refer to this one, and still
        // collides with `lock_for_share`.
        DbBackend::Postgres => {
            select.lock(LockType::NoKeyUpdate);
        }
        DbBackend::Sqlite => {}
        _ => {
            select.lock(LockType::Update);
        }
    }
}

/// Keeps the selected rows as they are until the transaction ends.
pub(crate) fn lock_for_share(backend: DbBackend, select: &mut SelectStatement) {
    if backend != DbBackend::Sqlite {
        select.lock(LockType::Share);
    }
}

/// Gives each value the type that the engine's columns have.
///
/// sqlx sends a `DateTime<Utc>` to MariaDB and MySQL as a TIMESTAMP, which is NULL before 1970
/// and after January 2038. The columns are DATETIME(6) and hold the years 1000 to 9999.
pub(crate) fn adapt_values(backend: DbBackend, statement: &mut sea_orm::Statement) {
    if backend != DbBackend::MySql {
        return;
    }
    for value in statement.values.iter_mut().flat_map(|values| &mut values.0) {
        if let Value::ChronoDateTimeUtc(time) = value {
            *value = Value::ChronoDateTime(time.map(|time| time.naive_utc()));
        }
    }
}

fn uuid_array(keys: &[Uuid]) -> Value {
    let values = keys.iter().map(|key| Value::Uuid(Some(*key))).collect();
    Value::Array(ArrayType::Uuid, Some(Box::new(values)))
}

fn hex_json(keys: &[Uuid]) -> String {
    let mut json = String::with_capacity(keys.len() * 35 + 2);
    json.push('[');
    for (at, key) in keys.iter().enumerate() {
        if at > 0 {
            json.push(',');
        }
        json.push('"');
        json.push_str(key.as_simple().encode_lower(&mut Uuid::encode_buffer()));
        json.push('"');
    }
    json.push(']');
    json
}
