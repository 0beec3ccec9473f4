//! What an import says while it goes on, on the standard error: a bar where somebody watches, else lines
//! about what is done.

use core::cell::Cell;
use std::io::{IsTerminal as _, Write as _};

const WIDTH: u64 = 30;

/// Where progress is shown.
pub(super) struct Progress {
    is_watched: bool,
    /// Whether the line at the cursor is a bar.
    is_open: Cell<bool>,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            is_watched: std::io::stderr().is_terminal(),
            is_open: Cell::new(false),
        }
    }
}

impl Progress {
    /// Shows how far something is.
    pub(super) fn bar(&self, name: &str, what: &str, done: u64, of: u64) {
        if self.is_watched {
            let text = bar(name, what, done, of);
            // A closed output is no reason to stop.
            drop(write!(std::io::stderr(), "\r\x1b[K{text}"));
            self.is_open.set(true);
        }
    }

    /// Says something for good.
    pub(super) fn line(&self, text: &str) {
        let before = if self.is_open.replace(false) {
            "\r\x1b[K"
        } else {
            ""
        };
        drop(writeln!(std::io::stderr(), "{before}{}", text.trim_end()));
    }
}

fn bar(name: &str, what: &str, done: u64, of: u64) -> String {
    let full = WIDTH.min(done.saturating_mul(WIDTH).checked_div(of).unwrap_or(WIDTH));
    let signs = (0..WIDTH).map(|at| if at < full { '#' } else { '.' });
    let signs: String = signs.collect();
    format!("{name} [{signs}] {what} {done} of {of}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_full_as_things_are() {
        let count = |done, of| bar("S", "read", done, of).matches('#').count();
        assert_eq!((count(0, 10), count(5, 10), count(10, 10)), (0, 15, 30));
        assert_eq!(
            (count(20, 10), count(0, 0)),
            (30, 30),
            "more, and nothing at all"
        );
    }
}
