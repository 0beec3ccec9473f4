//! `proofs.txt`: what shows a row of `COMPATIBILITY.md` where no recorded conversation can.

use std::collections::BTreeMap;
use std::fs;
use std::io;

/// How a row is held without a recording.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Tests and checks of this repository, as `FILE:NAME`.
    Checks(Vec<String>),
    /// A single node does not have it, for this reason.
    Later(String),
    /// Nobody can come by it, for this reason.
    Never(String),
}

/// What defines a test or a check, in the languages that they are written in.
const DEFINITIONS: [&str; 4] = ["fn ", "def ", "func ", "async "];

/// Reads `proofs.txt`.
///
/// # Errors
/// When a line can not be understood, a row stands there twice, or a check is not where it is said to be.
pub(crate) fn all() -> io::Result<BTreeMap<String, Proof>> {
    let mut proofs = BTreeMap::new();
    let text = fs::read_to_string(crate::root().join("proofs.txt"))?;
    for line in text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let bad = |what: &str| io::Error::other(format!("proofs.txt: {what}: {line}"));
        let (row, proof) = line.split_once(' ').ok_or_else(|| bad("no proof"))?;
        let proof = checked(proof)?;
        if proofs.insert(row.to_owned(), proof).is_some() {
            return Err(bad("twice"));
        }
    }
    Ok(proofs)
}

/// Reads a proof and looks whether the checks that it names are there.
///
/// # Errors
/// When it can not be understood, or a check is not where it is said to be.
pub(crate) fn checked(text: &str) -> io::Result<Proof> {
    let bad = |what: &str| io::Error::other(format!("{what}: {text}"));
    let proof = parse(text).ok_or_else(|| bad("no proof that can be understood"))?;
    if let Proof::Checks(checks) = &proof {
        for check in checks {
            if !is_there(check)? {
                return Err(bad(&format!("there is no {check} in")));
            }
        }
    }
    Ok(proof)
}

fn parse(proof: &str) -> Option<Proof> {
    if let Some(reason) = proof.strip_prefix("later because ") {
        return (!reason.trim().is_empty()).then(|| Proof::Later(reason.trim().to_owned()));
    }
    if let Some(reason) = proof.strip_prefix("never because ") {
        return (!reason.trim().is_empty()).then(|| Proof::Never(reason.trim().to_owned()));
    }
    let checks: Vec<String> = proof.split_whitespace().map(str::to_owned).collect();
    (!checks.is_empty() && checks.iter().all(|check| check.contains(':')))
        .then_some(Proof::Checks(checks))
}

/// Whether the file defines a function of that name.
fn is_there(check: &str) -> io::Result<bool> {
    let Some((file, name)) = check.split_once(':') else {
        return Ok(false);
    };
    let text = fs::read_to_string(crate::root().join("..").join(file))
        .map_err(|e| io::Error::other(format!("proofs.txt: {file}: {e}")))?;
    Ok(DEFINITIONS
        .iter()
        .any(|word| text.contains(&format!("{word}{name}("))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_names_checks_or_the_reason_why_there_are_none() {
        let reason = Proof::Later("clusters come later".to_owned());
        assert_eq!(parse("later because clusters come later"), Some(reason));
        let checks = vec!["a.rs:b".to_owned(), "c.py:d".to_owned()];
        assert_eq!(parse("a.rs:b c.py:d"), Some(Proof::Checks(checks)));
        assert_eq!(parse("later because "), None);
        assert_eq!(parse("a.rs"), None);
        assert_eq!(parse(""), None);
    }

    #[test]
    fn a_check_is_there_if_its_file_defines_it() {
        let here = "snapshots/proofs.rs";
        assert!(is_there(&format!("{here}:is_there")).unwrap());
        assert!(!is_there(&format!("{here}:is_nowhere")).unwrap());
        assert!(is_there("snapshots/nothing.rs:is_there").is_err());
    }
}
