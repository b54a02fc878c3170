//! How far a long command is.

use std::{
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};

/// How often a line is written where nobody watches.
const EVERY: Duration = Duration::from_secs(10);

/// A bar on the terminal; hidden when standard error is none.
pub(super) fn bar(length: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style)
}

/// Shows on standard error how much of something is done: as a bar on a terminal, else as a line
/// every ten seconds, for a log.
pub(super) struct Progress {
    bar: ProgressBar,
    of: String,
    written: Instant,
}

impl Progress {
    /// Nothing of `all` is done yet.
    pub(super) fn of(all: u64, what: &str) -> Self {
        Self {
            bar: bar(all),
            of: format!("of {all} {what} done"),
            written: Instant::now(),
        }
    }

    /// So much is done.
    pub(super) fn set(&mut self, done: u64) {
        self.bar.set_position(done);
        if self.bar.is_hidden()
            && let Some(line) = self.line(done, Instant::now())
        {
            eprintln!("{line}");
        }
    }

    /// The line to write, if it is time for one.
    fn line(&mut self, done: u64, now: Instant) -> Option<String> {
        if now.duration_since(self.written) < EVERY {
            return None;
        }
        self.written = now;
        Some(format!("{done} {}", self.of))
    }

    pub(super) fn finish(self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_gets_one_line_every_ten_seconds() {
        let mut progress = Progress::of(500, "deletions");
        let begun = progress.written;
        let mut at = |seconds, done| progress.line(done, begun + Duration::from_secs(seconds));
        assert_eq!(at(9, 90), None);
        assert_eq!(at(10, 100).as_deref(), Some("100 of 500 deletions done"));
        assert_eq!(at(19, 190), None);
        assert_eq!(at(21, 210).as_deref(), Some("210 of 500 deletions done"));
    }
}
