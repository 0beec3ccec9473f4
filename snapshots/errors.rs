//! The table of JetStream's errors in `COMPATIBILITY.md`: which recorded conversations show each, and why
//! some are shown by none.
//!
//! Written from `errors.txt` and the recordings. *Invariant:* an error either stands in a recording or has
//! its reason, and never both.

use core::fmt::Write as _;
use std::collections::BTreeMap;
use std::fs;
use std::io;

use crate::case;
use crate::proofs::{self, Proof};

/// What stands before the number of an error in an answer.
const NUMBER: &str = "\"err_code\":";

/// Most conversations that are named for one error.
const NAMED_MAX: usize = 3;

/// One line of `errors.txt`.
#[derive(Debug, PartialEq, Eq)]
struct Listed {
    number: u16,
    class: String,
    text: String,
    proof: Option<Proof>,
}

/// Appends the table.
///
/// # Errors
/// When a line can not be understood, an error has neither recording nor reason or both, or a recording
/// holds an error that is not listed.
pub(crate) fn append(out: &mut String) -> io::Result<()> {
    let listed = listed(&fs::read_to_string(crate::root().join("errors.txt"))?)?;
    let shown = shown()?;
    if let Some(number) = shown
        .keys()
        .find(|n| listed.iter().all(|l| l.number != **n))
    {
        return Err(io::Error::other(format!("errors.txt has no {number}")));
    }
    let _ok = write!(
        out,
        "\n# Errors of JetStream\n\n\
         {} of {} errors stand in recorded conversations, of which each row names a few.\n\n\
         | number | class | text | shown by |\n|---|---|---|---|\n",
        shown.len(),
        listed.len()
    );
    for error in &listed {
        let by = shown_by(error, &shown)?;
        let Listed {
            number,
            class,
            text,
            ..
        } = error;
        let _ok = writeln!(
            out,
            "| {number} | {class} | {} | {by} |",
            text.replace('|', "\\|")
        );
    }
    Ok(())
}

fn shown_by(error: &Listed, shown: &BTreeMap<u16, Vec<String>>) -> io::Result<String> {
    let number = error.number;
    let bad = |what: &str| Err(io::Error::other(format!("errors.txt: {number} {what}")));
    match (shown.get(&number), &error.proof) {
        (Some(cases), None) => {
            let more = cases.len().saturating_sub(NAMED_MAX);
            let named: Vec<&str> = cases.iter().take(NAMED_MAX).map(String::as_str).collect();
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            Ok(format!("{}{more}", named.join(", ")))
        }
        (None, Some(Proof::Checks(checks))) => Ok(checks.join(", ")),
        (None, Some(Proof::Later(reason))) => Ok(format!("later: {reason}")),
        (None, Some(Proof::Never(reason))) => Ok(format!("never: {reason}")),
        (Some(_), Some(_)) => bad("stands in a recording: it needs no reason"),
        (None, None) => bad("stands in no recording and has no reason"),
    }
}

fn listed(text: &str) -> io::Result<Vec<Listed>> {
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let bad = || io::Error::other(format!("errors.txt: can not be understood: {line}"));
            let (error, proof) = match line.split_once(" | ") {
                Some((error, proof)) => (error, Some(proof)),
                None => (line, None),
            };
            let mut words = error.splitn(3, ' ');
            let (Some(number), Some(class), Some(text)) =
                (words.next(), words.next(), words.next())
            else {
                return Err(bad());
            };
            Ok(Listed {
                number: number.parse().map_err(|_| bad())?,
                class: class.to_owned(),
                text: text.to_owned(),
                proof: proof.map(proofs::checked).transpose()?,
            })
        })
        .collect()
}

/// The conversations that show each error.
fn shown() -> io::Result<BTreeMap<u16, Vec<String>>> {
    let mut shown: BTreeMap<u16, Vec<String>> = BTreeMap::new();
    for case in case::all()? {
        let recording = fs::read_to_string(case.recorded())?;
        for number in numbers(&recording) {
            let cases = shown.entry(number).or_default();
            if cases.last() != Some(&case.id) {
                cases.push(case.id.clone());
            }
        }
    }
    Ok(shown)
}

fn numbers(recording: &str) -> impl Iterator<Item = u16> {
    recording.split(NUMBER).skip(1).filter_map(|rest| {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(rest.len());
        rest.get(..digits)?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_a_number_a_class_a_text_and_perhaps_a_reason() {
        let list =
            listed("# x\n10003 400 bad request\n10004 503 gone | never because so\n").unwrap();
        assert_eq!(list[0].text, "bad request");
        assert_eq!(list[0].proof, None);
        assert_eq!(list[1].proof, Some(Proof::Never("so".to_owned())));
        assert!(listed("10003 400\n").is_err());
        assert!(listed("x 400 bad request\n").is_err());
    }

    #[test]
    fn numbers_are_found_wherever_they_stand() {
        let found: Vec<u16> = numbers("{\"err_code\":10003,\"x\":\"err_code\":10059}").collect();
        assert_eq!(found, [10_003, 10_059]);
    }

    #[test]
    fn an_error_without_recording_needs_a_reason_and_one_with_it_none() {
        let mut error = listed("10003 400 bad request\n").unwrap().remove(0);
        let shown = BTreeMap::from([(10_003, vec!["a/b".to_owned()])]);
        assert_eq!(shown_by(&error, &shown).unwrap(), "a/b");
        assert!(shown_by(&error, &BTreeMap::new()).is_err());
        error.proof = Some(Proof::Never("so".to_owned()));
        assert!(shown_by(&error, &shown).is_err());
        assert_eq!(shown_by(&error, &BTreeMap::new()).unwrap(), "never: so");
    }
}
