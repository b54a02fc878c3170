//! What differs between the engines, behind one name each.

use sea_orm::{
    DbBackend, Value,
    sea_query::{
        ArrayType, CaseStatement, Expr, ExprTrait, Func, IntoIden, LockType, Query,
        SelectStatement, TableRef,
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
        _ => expr.is_in(padded(keys)),
    }
}

/// What [`is_any_of`] binds.
pub(crate) fn any_of_values(backend: DbBackend, keys: &[Uuid]) -> Vec<Value> {
    match backend {
        DbBackend::MySql => padded(keys).into_iter().map(Value::from).collect(),
        _ => vec![keys_value(backend, keys)],
    }
}

fn padded(keys: &[Uuid]) -> Vec<Uuid> {
    let mut padded: Vec<Uuid> = keys.to_vec();
    // No id is nil: an empty list matches nothing.
    let filler = keys.last().copied().unwrap_or(Uuid::nil());
    padded.resize(keys.len().next_power_of_two(), filler);
    padded
}

/// Values of one type that rows are looked up by.
pub(crate) enum Keys {
    Uuids(Vec<Uuid>),
    Texts(Vec<String>),
    Numbers(Vec<i64>),
}

/// `expr` is one of `keys`; like [`is_any_of`], of other types than ids.
pub(crate) fn is_any_key(backend: DbBackend, expr: Expr, keys: Keys) -> Expr {
    let (array, values): (ArrayType, Vec<Value>) = match keys {
        Keys::Uuids(keys) => return is_any_of(backend, expr, &keys),
        Keys::Texts(keys) => (
            ArrayType::String,
            keys.into_iter().map(Value::from).collect(),
        ),
        Keys::Numbers(keys) => (
            ArrayType::BigInt,
            keys.into_iter().map(Value::from).collect(),
        ),
    };
    match backend {
        DbBackend::Postgres => {
            let array = Value::Array(array, Some(Box::new(values)));
            expr.eq(Expr::from(
                sea_orm::sea_query::extension::postgres::PgFunc::any(Expr::val(array)),
            ))
        }
        DbBackend::Sqlite => {
            let json: Vec<_> = values
                .iter()
                .map(sea_orm::sea_query::sea_value_to_json_value)
                .collect();
            let json = serde_json::Value::Array(json).to_string();
            let table = Func::cust("json_each").arg(Expr::val(json));
            expr.in_subquery(
                Query::select()
                    .column(("j", "value"))
                    .from_function(table, "j")
                    .take(),
            )
        }
        _ => {
            let mut padded = values;
            let Some(filler) = padded.last().cloned() else {
                return Expr::cust("FALSE");
            };
            padded.resize(padded.len().next_power_of_two(), filler);
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

/// What [`keys_table`] binds.
pub(crate) fn keys_value(backend: DbBackend, keys: &[Uuid]) -> Value {
    match backend {
        DbBackend::Postgres => uuid_array(keys),
        _ => Value::from(hex_json(keys)),
    }
}

/// How many pairs [`looked_up`] takes: each row looks through all of them.
pub(crate) const LOOKUP_CHUNK: usize = 1_000;

/// What `pairs` say of `key`: the second of the pair whose first it is, else NULL. The
/// statement's text is one for all numbers of pairs.
pub(crate) fn looked_up(backend: DbBackend, key: Expr, pairs: &[(Uuid, Uuid)]) -> Expr {
    match backend {
        DbBackend::Postgres => {
            let (keys, values): (Vec<Uuid>, Vec<Uuid>) = pairs.iter().copied().unzip();
            Expr::cust_with_exprs(
                "(SELECT v FROM unnest($1, $2) AS pair (k, v) WHERE k = $3)",
                [
                    Expr::val(uuid_array(&keys)),
                    Expr::val(uuid_array(&values)),
                    key,
                ],
            )
        }
        DbBackend::Sqlite => Expr::cust_with_exprs(
            "unhex(json_extract(?, '$.\"' || lower(hex(?)) || '\"'))",
            [Expr::val(hex_json_map(pairs)), key],
        ),
        _ => Expr::cust_with_exprs(
            "UNHEX(JSON_UNQUOTE(JSON_EXTRACT(?, CONCAT('$.\"', LOWER(HEX(?)), '\"'))))",
            [Expr::val(hex_json_map(pairs)), key],
        ),
    }
}

/// How many rows one UPDATE with a value for each of them carries, where up to `columns` columns
/// have one: a power of two, and two values for each row and column, of which SQLite binds at
/// most 32,766. All rows of a batch, unless a table is very wide.
pub(crate) fn case_chunk(columns: usize) -> usize {
    let fitting = 30_000 / columns.saturating_mul(2).max(1);
    let most = LOOKUP_CHUNK.next_power_of_two();
    (1..=most)
        .rev()
        .find(|n| n.is_power_of_two() && *n <= fitting)
        .unwrap_or(1)
}

/// The value of the pair whose first is `key`, or else `otherwise`, which is of the same type.
/// There are as many arms as the next power of two after `rows`, the last pair being repeated, so
/// that there are few texts.
///
/// Each row looks through the arms. With arrays or JSON it would not have to, but each column's
/// type would need a name on each engine: here the bound values have the types that they have
/// everywhere. A thousand rows take some tens of milliseconds.
pub(crate) fn case_of(key: Expr, pairs: &[(Uuid, &Value)], rows: usize, otherwise: Expr) -> Expr {
    let arms = pairs.iter().chain(pairs.last().into_iter().cycle());
    let case = arms
        .take(rows.next_power_of_two())
        .fold(CaseStatement::new(), |case, (id, value)| {
            case.case(key.clone().eq(*id), Expr::val((*value).clone()))
        });
    case.finally(otherwise).into()
}

/// Whether a comparison of rows, `(a, b) < (x, y)`, becomes a range of an index.
///
/// MariaDB's and MySQL's documentation, "Range Optimization": there it does not.
pub(crate) fn ranges_over_rows(backend: DbBackend) -> bool {
    backend != DbBackend::MySql
}

/// Whether the newest N of each parent are found by a lateral join rather than by ranking, and what
/// is read beside rows by one rather than by a join with all others.
pub(crate) fn has_lateral(backend: DbBackend) -> bool {
    backend == DbBackend::Postgres
}

/// The exact sum of a column of integers, as text and in two parts: `high * 2^32 + low`.
///
/// PostgreSQL and MariaDB sum 64-bit integers as decimals. SQLite's sum of integers fails beyond
/// 64 bits ("Built-in Aggregate Functions"); those of the upper and of the lower halves stay
/// within.
pub(crate) fn exact_sum(backend: DbBackend, column: Expr) -> [Expr; 2] {
    let nothing = || Expr::cust("'0'");
    match backend {
        DbBackend::Sqlite => [
            column.clone().right_shift(32).sum().cast_as("TEXT"),
            column.bit_and(0xffff_ffff_i64).sum().cast_as("TEXT"),
        ],
        DbBackend::Postgres => [nothing(), column.sum().cast_as("TEXT")],
        _ => [nothing(), column.sum().cast_as("CHAR")],
    }
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
pub(crate) fn adapt_values(backend: DbBackend, values: &mut [Value]) {
    if backend != DbBackend::MySql {
        return;
    }
    for value in values {
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

fn hex_json_map(pairs: &[(Uuid, Uuid)]) -> String {
    let pairs: serde_json::Map<String, serde_json::Value> = pairs
        .iter()
        .map(|(key, value)| {
            let value = value.as_simple().to_string();
            (key.as_simple().to_string(), value.into())
        })
        .collect();
    serde_json::Value::Object(pairs).to_string()
}
