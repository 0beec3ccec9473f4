//! What a row came to, and the table of all rows.

use std::fmt::Write;

/// What a server did under one fault.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    /// Messages that were acknowledged.
    pub(crate) acked: u64,
    /// Of these, not there afterwards, or not as they were.
    pub(crate) lost: u64,
    /// Of these, lost without a word: health is well, no error names them.
    pub(crate) silent: u64,
    /// Consumer acknowledgements that were confirmed.
    pub(crate) confirmed: u64,
    /// Of these, delivered again.
    pub(crate) returned: u64,
    /// Acknowledgements that left before the sync that covers their message had returned.
    pub(crate) early: u64,
    /// Sequences that were given to a second message.
    pub(crate) reused: u64,
    /// What else was not as promised: no answer, no service, well-being that is none.
    pub(crate) broken: Vec<String>,
    /// What publishers were told while the fault lasted, and what else is worth saying.
    pub(crate) notes: Vec<String>,
}

impl Outcome {
    /// Says whether every promise was kept: damage may cost messages, but not in silence.
    pub(crate) fn is_kept(&self, damages: bool) -> bool {
        let lost = if damages { self.silent } else { self.lost };
        let counts = [lost, self.silent, self.returned, self.reused, self.early];
        counts == [0; 5] && self.broken.is_empty()
    }

    /// Adds promises that were broken beside those that counts tell of.
    pub(crate) fn breaking(mut self, broken: Vec<String>) -> Self {
        self.broken.extend(broken);
        self
    }
}

/// A row, or why it could not be run.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) outcome: Result<Outcome, String>,
}

/// Returns the table of one server.
pub(crate) fn table(server: &str, rows: &[Row]) -> String {
    let mut text = format!(
        "\n### {server}\n\n| Fault | Acked | Lost | Silently | Acks confirmed | Came back | Notes |\n\
         |---|---:|---:|---:|---:|---:|---|\n"
    );
    for row in rows {
        // Writing to a string does not fail.
        let _ = match &row.outcome {
            Ok(o) => writeln!(
                text,
                "| {} | {} | {} | {} | {} | {} | {} |",
                row.name,
                o.acked,
                o.lost,
                o.silent,
                o.confirmed,
                o.returned,
                o.notes.join("; ")
            ),
            Err(reason) => writeln!(text, "| {} | – | – | – | – | – | {reason} |", row.name),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_is_broken_by_a_count_or_in_words() {
        let lost = Outcome {
            lost: 1,
            ..Outcome::default()
        };
        assert!(Outcome::default().is_kept(false));
        assert!(lost.is_kept(true) && !lost.is_kept(false));
        let silent = Outcome::default().breaking(vec!["no answer".to_owned()]);
        assert!(!silent.is_kept(true) && !silent.is_kept(false));
    }
}
