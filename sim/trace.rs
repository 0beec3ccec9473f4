//! A hash chain over everything that a run did, so that two runs of one seed can be compared.
//!
//! *Invariant:* what goes in depends on the seed alone: no addresses, no iteration order, no clock.

use core::fmt::Write;

/// The chain, and the lines themselves when they are kept for a comparison.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    hash: u64,
    steps: u64,
    lines: Option<Vec<String>>,
}

impl Trace {
    /// Returns an empty chain; `keep` says whether the lines are kept as text.
    #[must_use]
    pub fn new(keep: Keep) -> Self {
        Self {
            hash: 0,
            steps: 0,
            lines: matches!(keep, Keep::Lines).then(Vec::new),
        }
    }

    /// Folds one step in: what happened, to whom, and the bytes that went with it.
    pub fn step(&mut self, at_ns: u64, what: &str, subject: u64, bytes: &[u8]) {
        let digest = fold(
            fold(fold(0, what.as_bytes()), &subject.to_le_bytes()),
            bytes,
        );
        let mut link = [0; 24];
        link[..8].copy_from_slice(&self.hash.to_le_bytes());
        link[8..16].copy_from_slice(&at_ns.to_le_bytes());
        link[16..].copy_from_slice(&digest.to_le_bytes());
        self.hash = fold(0, &link);
        self.steps += 1;
        if let Some(lines) = &mut self.lines {
            let mut line = String::new();
            let text = String::from_utf8_lossy(bytes.get(..900).unwrap_or(bytes));
            // Writing to a string cannot fail.
            let _ = write!(line, "{at_ns:>14} {what} {subject} {digest:016x} {text:?}");
            lines.push(line);
        }
    }

    /// Returns the end of the chain.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// Returns how many steps were folded in.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Returns the kept lines; none if they were not kept.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        self.lines.as_deref().unwrap_or_default()
    }

    /// Returns the first line in which two runs differ, as text for a human; none if they are equal.
    #[must_use]
    pub fn first_difference(&self, other: &Self) -> Option<String> {
        if self.hash == other.hash {
            return None;
        }
        let (ours, theirs) = (self.lines(), other.lines());
        let at = ours.iter().zip(theirs).position(|(a, b)| a != b);
        let at = at.unwrap_or(ours.len().min(theirs.len()));
        let show = |lines: &[String]| lines.get(at).cloned().unwrap_or_else(|| "(end)".into());
        Some(format!(
            "step {at}:\n  first  {}\n  second {}",
            show(ours),
            show(theirs)
        ))
    }
}

/// Whether a trace keeps its lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Only the hash.
    Hash,
    /// Every line, for comparing.
    Lines,
}

/// FNV-1a with a final mix: speed matters little here, independence from any crate's version does.
fn fold(seed: u64, bytes: &[u8]) -> u64 {
    let mut hash = seed ^ 0xcbf2_9ce4_8422_2325;
    for &byte in bytes {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(last: &[u8]) -> Trace {
        let mut trace = Trace::new(Keep::Lines);
        trace.step(1, "bytes", 7, b"PING");
        trace.step(2, "bytes", 7, last);
        trace
    }

    #[test]
    fn equal_runs_have_equal_chains() {
        assert_eq!(run(b"PONG").hash(), run(b"PONG").hash());
        assert_eq!(run(b"PONG").first_difference(&run(b"PONG")), None);
    }

    #[test]
    fn the_first_difference_is_shown() {
        let difference = run(b"PONG").first_difference(&run(b"+OK"));
        let text = difference.expect("the runs differ");
        assert!(text.contains("step 1") && text.contains("PONG") && text.contains("+OK"));
    }

    #[test]
    fn moving_a_byte_between_steps_changes_the_chain() {
        let mut a = Trace::new(Keep::Hash);
        a.step(1, "x", 0, b"ab");
        a.step(1, "x", 0, b"c");
        let mut b = Trace::new(Keep::Hash);
        b.step(1, "x", 0, b"a");
        b.step(1, "x", 0, b"bc");
        assert_ne!(a.hash(), b.hash());
    }
}
