//! The table that is printed.

use std::fmt::Write as _;

use crate::{
    engine::Engine,
    load::Tally,
    workload::{THROUGHPUT, Workload},
};

/// The most memory that the server may use, in megabytes: an aim of the project.
const MEMORY: f64 = 100.0;

/// What was measured of one workload on one engine.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) engine: Engine,
    pub(crate) workload: Workload,
    /// Over HTTP.
    pub(crate) server: Tally,
    /// The most memory that the server used, in bytes.
    pub(crate) memory: u64,
    /// SQL statements for one request, without BEGIN and COMMIT, where they were counted.
    pub(crate) statements: Option<f64>,
    /// The same statements through sqlx alone, where they were recorded.
    pub(crate) same: Option<Tally>,
    /// The best hand-written statements through sqlx, where there are any.
    pub(crate) floor: Option<Tally>,
}

const HEADINGS: [&str; 17] = [
    "engine",
    "workload",
    "requests/s",
    "of same statements/s",
    "retries / same",
    "p50 ms",
    "p99 ms",
    "server CPU ms",
    "database CPU ms",
    "statements",
    "peak MB",
    "same statements CPU ms",
    "floor CPU ms",
    "whole / same",
    "whole / floor",
    "server / database",
    "HTTP + floor / database",
];

/// The table in Markdown. Processor time is per request; "a + b" is that of whoever asks the
/// database and that of the database. "HTTP + floor" is what a server would take that did nothing
/// but answer HTTP and run the hand-written statements, of which it read no value.
pub(crate) fn table(rows: &[Measured]) -> String {
    let mut lines: Vec<Vec<String>> = vec![HEADINGS.map(str::to_owned).to_vec()];
    lines.extend(rows.iter().map(|row| cells(row, rows)));
    let widths: Vec<usize> = (0..HEADINGS.len())
        .map(|at| lines.iter().map(|line| line[at].len()).max().unwrap_or(0))
        .collect();
    let mut table = String::new();
    for (number, line) in lines.iter().enumerate() {
        for (cell, width) in line.iter().zip(&widths) {
            let _ = write!(table, "| {cell:<width$} ");
        }
        table.push_str("|\n");
        if number == 0 {
            for width in &widths {
                let _ = write!(table, "|{}", "-".repeat(width + 2));
            }
            table.push_str("|\n");
        }
    }
    table
}

fn cells(row: &Measured, rows: &[Measured]) -> Vec<String> {
    let server = &row.server;
    let apart = row.engine == Engine::Postgres;
    // The aims are about PostgreSQL.
    let aim = row.workload.aim().filter(|_| apart);
    let parts = |tally: &Tally| {
        if apart {
            format!("{:.3} + {:.3}", tally.asking, tally.database)
        } else {
            format!("{:.3}", tally.asking)
        }
    };
    let against = |tally: &Tally, aim| judged(server.whole() / tally.whole(), aim);
    let none = || "-".to_owned();
    let asks = row.workload.asks_the_database();
    let of_engine = |workload| {
        rows.iter()
            .find(|other| other.workload == workload && other.engine == row.engine)
    };
    let http = of_engine(Workload::Empty);
    let memory = row.memory as f64 / 1_000_000.0;
    let mut name = row.workload.to_string();
    if row.workload == Workload::Deep
        && let Some(first) = of_engine(Workload::First)
    {
        let ratio = server.whole() / first.server.whole();
        let _ = write!(name, ", {} of first", judged(ratio, Some(1.1)));
    }
    vec![
        row.engine.name().to_owned(),
        name,
        format!("{:.0}", server.requests_a_second),
        row.same
            .as_ref()
            .map_or_else(none, |same| throughput(row, same)),
        row.same
            .as_ref()
            .filter(|_| row.workload.is_of_the_shop())
            .map_or_else(none, |same| {
                format!("{:.4} / {:.4}", server.retries, same.retries)
            }),
        format!("{:.1}", server.p50),
        format!("{:.1}", server.p99),
        format!("{:.3}", server.asking),
        if apart && asks {
            format!("{:.3}", server.database)
        } else {
            "-".to_owned()
        },
        row.statements
            .map_or("-".to_owned(), |count| format!("{count:.1}")),
        if memory <= MEMORY {
            format!("{memory:.0}")
        } else {
            format!("{memory:.0} above")
        },
        row.same.as_ref().map_or_else(none, parts),
        row.floor.as_ref().map_or_else(none, parts),
        row.same
            .as_ref()
            .map_or_else(none, |same| against(same, None)),
        row.floor
            .as_ref()
            .map_or_else(none, |floor| against(floor, aim.map(|aim| aim.whole))),
        if apart && asks {
            judged(server.asking / server.database, aim.map(|aim| aim.server))
        } else {
            none()
        },
        row.floor
            .as_ref()
            .filter(|_| apart)
            .zip(http)
            .map_or_else(none, |(floor, http)| {
                let least = http.server.asking + floor.asking;
                format!("{:.2}", least / server.database)
            }),
    ]
}

/// How many requests there are in a second, against the same statements alone.
fn throughput(row: &Measured, same: &Tally) -> String {
    let ratio = row.server.requests_a_second / same.requests_a_second;
    let count = same.requests_a_second;
    if !row.workload.is_of_the_shop() {
        return format!("{ratio:.2} of {count:.0}");
    }
    let said = if ratio >= THROUGHPUT { "ok" } else { "below" };
    format!("{ratio:.2} of {count:.0} (>= {THROUGHPUT} {said})")
}

/// A ratio, with its aim beside it.
fn judged(ratio: f64, aim: Option<f64>) -> String {
    match aim {
        Some(aim) if ratio <= aim => format!("{ratio:.2} (<= {aim} ok)"),
        Some(aim) => format!("{ratio:.2} (<= {aim} above)"),
        None => format!("{ratio:.2}"),
    }
}
