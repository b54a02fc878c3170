//! The table that is printed.

use std::{fmt::Write as _, time::Duration};

use crate::{
    client::Outcome,
    engine::Engine,
    findings::{Findings, Proved},
    storm::Passed,
};

/// What one proof came to on one engine.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) proof: String,
    pub(crate) engine: Engine,
    operations: usize,
    acknowledged: usize,
    refused: usize,
    faults: u64,
    retries: u64,
    length: Duration,
    /// The longest that a client waited for a definite answer.
    pub(crate) slowest: Duration,
    pub(crate) findings: Findings,
}

const HEADINGS: [&str; 11] = [
    "proof",
    "engine",
    "operations",
    "acknowledged",
    "refused",
    "faults",
    "retries",
    "losses",
    "duplicates",
    "other findings",
    "seconds",
];

impl Report {
    pub(crate) fn new(proof: String, engine: Engine, proved: Proved, passed: Passed) -> Self {
        let count = |what: fn(&Outcome) -> bool| {
            let those = proved.sent.iter().filter(|one| what(&one.outcome));
            those.count()
        };
        Self {
            proof,
            engine,
            operations: proved.sent.len(),
            acknowledged: count(|outcome| matches!(outcome, Outcome::Done(_))),
            refused: count(|outcome| matches!(outcome, Outcome::Refused { .. })),
            faults: passed.faults,
            retries: proved
                .sent
                .iter()
                .map(|one| u64::from(one.attempts.saturating_sub(1)))
                .sum(),
            length: passed.length,
            slowest: proved
                .sent
                .iter()
                .map(|one| one.ended.saturating_sub(one.began))
                .max()
                .unwrap_or_default(),
            findings: proved.findings,
        }
    }

    fn cells(&self) -> [String; 11] {
        [
            self.proof.clone(),
            self.engine.name().to_owned(),
            self.operations.to_string(),
            self.acknowledged.to_string(),
            self.refused.to_string(),
            self.faults.to_string(),
            self.retries.to_string(),
            self.findings.losses.len().to_string(),
            self.findings.duplicates.len().to_string(),
            self.findings.wrong.len().to_string(),
            format!("{:.0}", self.length.as_secs_f64()),
        ]
    }
}

/// The table in Markdown.
pub(crate) fn table(reports: &[Report]) -> String {
    let mut lines = vec![HEADINGS.map(str::to_owned)];
    lines.extend(reports.iter().map(Report::cells));
    let width = |at: usize| lines.iter().map(|line| line[at].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..HEADINGS.len()).map(width).collect();
    let mut table = String::new();
    for (number, line) in lines.iter().enumerate() {
        for (at, (cell, width)) in line.iter().zip(&widths).enumerate() {
            // Numbers end where their column ends.
            let _ = if at < 2 {
                write!(table, "| {cell:<width$} ")
            } else {
                write!(table, "| {cell:>width$} ")
            };
        }
        table.push_str("|\n");
        if number == 0 {
            for (at, width) in widths.iter().enumerate() {
                let (line, end) = if at < 2 {
                    (width + 2, "")
                } else {
                    (width + 1, ":")
                };
                let _ = write!(table, "|{}{end}", "-".repeat(line));
            }
            table.push_str("|\n");
        }
    }
    table
}
