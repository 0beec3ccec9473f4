//! Compares a transcript with the recorded one and shows the first place where they part.

use core::fmt::Write as _;

use crate::lists::Difference;

/// Lines shown before the first difference.
const CONTEXT_LINES: usize = 6;

/// The line with which every recording opens.
pub const HEADER_MARK: &str = "# Recorded from ";

/// `None` if `ours` says the same as `recorded` apart from the wanted differences.
#[must_use]
pub fn compare(case: &str, recorded: &str, ours: &str, wanted: &[Difference]) -> Option<String> {
    let reduce = |line: &str| reduce(case, line, wanted);
    let theirs: Vec<String> = recorded
        .lines()
        .filter(|line| !line.starts_with(HEADER_MARK))
        .map(reduce)
        .collect();
    let ours: Vec<String> = ours.lines().map(reduce).collect();
    let longest = theirs.len().max(ours.len());
    let at = (0..longest).find(|&i| theirs.get(i) != ours.get(i))?;
    let mut report = String::new();
    for line in theirs
        .iter()
        .take(at)
        .skip(at.saturating_sub(CONTEXT_LINES))
    {
        let _ok = writeln!(report, "      {}", shorten(line, 0));
    }
    let (nats, beale) = (theirs.get(at), ours.get(at));
    let common = match (nats, beale) {
        (Some(a), Some(b)) => a.bytes().zip(b.bytes()).take_while(|(x, y)| x == y).count(),
        _ => 0,
    };
    let end = String::from("(the end)");
    let _ok = writeln!(report, "nats  {}", shorten(nats.unwrap_or(&end), common));
    let _ok = writeln!(report, "ours  {}", shorten(beale.unwrap_or(&end), common));
    Some(report)
}

/// Long answers are cut to what lies around the first differing byte.
fn shorten(line: &str, differs_at: usize) -> String {
    const SHOWN: usize = 240;
    let from = line.floor_char_boundary(differs_at.saturating_sub(60));
    let from = if line.len() <= SHOWN { 0 } else { from };
    let to = line.floor_char_boundary((from + SHOWN).min(line.len()));
    let cut = line.get(from..to).unwrap_or(line);
    let dots = |there: bool| if there { "..." } else { "" };
    format!("{}{cut}{}", dots(from > 0), dots(to < line.len()))
}

fn reduce(case: &str, line: &str, wanted: &[Difference]) -> String {
    let mut line = line.to_owned();
    for difference in wanted {
        match difference {
            Difference::Text(ours, theirs) => line = line.replace(ours, theirs),
            Difference::Member { key, case: only } => {
                if only.as_ref().is_none_or(|only| only == case) {
                    line = without(&line, key);
                }
            }
        }
    }
    line
}

/// Removes every `"key":value` and one comma beside it; nested values are not needed so far.
fn without(line: &str, key: &str) -> String {
    let quoted = format!("\"{key}\":");
    let Some((before, rest)) = line.split_once(&quoted) else {
        return line.to_owned();
    };
    let end = match rest.strip_prefix('"') {
        Some(inner) => inner.find('"').map(|at| at + 2),
        None => rest.find([',', '}']),
    };
    let after = rest.get(end.unwrap_or(rest.len())..).unwrap_or_default();
    let line = match (before.strip_suffix(','), after.strip_prefix(',')) {
        (Some(before), _) => format!("{before}{after}"),
        (None, Some(after)) => format!("{before}{after}"),
        (None, None) => format!("{before}{after}"),
    };
    without(&line, key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wanted_difference_does_not_count() {
        let wanted = [Difference::Member {
            key: "go".to_owned(),
            case: None,
        }];
        assert_eq!(
            compare(
                "x/y",
                r#"{"a":1,"go":"go1","b":2}"#,
                r#"{"a":1,"b":2}"#,
                &wanted
            ),
            None
        );
        assert_eq!(
            compare("x/y", r#"{"go":"go1","b":2}"#, r#"{"b":2}"#, &wanted),
            None
        );
    }

    #[test]
    fn the_first_differing_line_is_shown() {
        let report = compare("x/y", "a\nb\nc", "a\nx\nc", &[]).unwrap();
        assert!(
            report.contains("nats  b") && report.contains("ours  x"),
            "{report}"
        );
    }

    #[test]
    fn a_missing_line_is_a_difference() {
        assert!(compare("x/y", "a\nb", "a", &[]).is_some());
    }
}
