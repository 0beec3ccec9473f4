//! The two lists beside the recordings: wanted differences, and cases that do not pass yet.

use std::collections::BTreeMap;
use std::fs;
use std::io;

/// Cases that are known to fail: id and reason. The test fails when one of them passes.
///
/// # Errors
/// When the file can not be read or a line has no reason.
pub fn pending() -> io::Result<BTreeMap<String, String>> {
    let text = fs::read_to_string(crate::root().join("pending.txt"))?;
    let mut list = BTreeMap::new();
    for line in entries(&text) {
        let (id, why) = line
            .split_once(char::is_whitespace)
            .ok_or_else(|| io::Error::other(format!("pending.txt: no reason: {line}")))?;
        list.insert(id.to_owned(), why.trim().to_owned());
    }
    Ok(list)
}

/// A way in which our answers differ on purpose.
#[derive(Debug, PartialEq, Eq)]
pub enum Difference {
    /// This JSON member is left out of the comparison, everywhere or in one case.
    Member { key: String, case: Option<String> },
    /// This text counts as that one.
    Text(String, String),
}

/// Reads `differences.txt`.
///
/// # Errors
/// When the file can not be read, or a difference stands there without a reason.
pub fn differences() -> io::Result<Vec<Difference>> {
    parse_differences(&fs::read_to_string(crate::root().join("differences.txt"))?)
}

fn parse_differences(text: &str) -> io::Result<Vec<Difference>> {
    let mut list = Vec::new();
    for line in entries(text) {
        let bad = || io::Error::other(format!("differences.txt: can not be understood: {line}"));
        let (what, why) = line.split_once(" because ").ok_or_else(bad)?;
        if why.trim().is_empty() {
            return Err(bad());
        }
        let (kind, rest) = what.split_once(' ').ok_or_else(bad)?;
        list.push(match kind {
            "member" => {
                let (key, case) = match rest.trim().split_once(" in ") {
                    Some((key, case)) => (key, Some(case.to_owned())),
                    None => (rest.trim(), None),
                };
                let key = key.to_owned();
                Difference::Member { key, case }
            }
            "text" => {
                let (ours, theirs) = rest.split_once(" => ").ok_or_else(bad)?;
                Difference::Text(ours.to_owned(), theirs.to_owned())
            }
            _ => return Err(bad()),
        });
    }
    Ok(list)
}

fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_needs_a_reason() {
        assert!(parse_differences("member go").is_err());
        let list = parse_differences("# x\nmember go because we have none\n").unwrap();
        let go = Difference::Member {
            key: "go".to_owned(),
            case: None,
        };
        assert_eq!(list, [go]);
    }
}
