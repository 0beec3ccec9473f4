//! The rules over the text of one file.

use core::fmt;
use std::collections::BTreeMap;

use super::tree::SourceFile;

#[cfg(test)]
mod tests;

/// How long a file may be without being listed.
const LINES_MAX: usize = 600;

/// The files that are longer, with the length they must not exceed. Entries only go down: lower the
/// number when a file shrinks, remove the line when it fits.
const LONGER: &[(&str, usize)] = &[];

/// The files that may have unsafe code: a call of the kernel that has no safe form, and an allocator.
const UNSAFE: [&str; 2] = ["ci/faults/mounts.rs", "proptests/costs.rs"];

/// A place that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    path: String,
    /// The line, from 1; 0 stands for the whole file.
    line: usize,
    what: String,
}

impl Problem {
    pub(super) fn new(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            what: what.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.what),
            line => write!(f, "{}:{line}: {}", self.path, self.what),
        }
    }
}

pub(super) fn inherits_lints(manifest: &SourceFile) -> Vec<Problem> {
    let (_, lints) = manifest.text.split_once("[lints]").unwrap_or_default();
    if lints.trim_start().starts_with("workspace = true") {
        return Vec::new();
    }
    vec![Problem::new(
        &manifest.path,
        0,
        "[lints] workspace = true is missing",
    )]
}

pub(super) fn is_no_std(lib: &SourceFile) -> Vec<Problem> {
    if lib.text.lines().any(|line| line == "#![no_std]") {
        return Vec::new();
    }
    vec![Problem::new(&lib.path, 0, "#![no_std] is missing")]
}

pub(super) fn has_head(file: &SourceFile) -> Vec<Problem> {
    if file.text.starts_with("//! ") {
        return Vec::new();
    }
    vec![Problem::new(
        &file.path,
        1,
        "does not begin with //! and what it owns",
    )]
}

/// Unbiased, `select!` asks tokio's random numbers which branch comes first.
pub(super) fn selects_are_biased(file: &SourceFile) -> Vec<Problem> {
    let lines: Vec<(usize, &str)> = code_lines(file).collect();
    let with_next = lines.iter().zip(lines.iter().skip(1));
    with_next
        .filter(|((_, line), (_, next))| {
            line.contains("select! {") && !line.contains("biased;") && next.trim() != "biased;"
        })
        .map(|((number, _), _)| Problem::new(&file.path, *number, "select! without biased;"))
        .collect()
}

/// Sources of randomness and of real time that simulation cannot hold.
pub(super) fn is_deterministic(file: &SourceFile) -> Vec<Problem> {
    const FORBIDDEN: [(&str, &str); 5] = [
        ("rand::", "randomness comes from protocol::rng, seeded"),
        ("getrandom", "randomness comes from protocol::rng, seeded"),
        ("sync::watch", "wakes its receivers in a random order"),
        ("watch::channel", "wakes its receivers in a random order"),
        (
            "spawn_blocking",
            "runs in real time; disk work has its own threads",
        ),
    ];
    let is_mentioned = |line: &str, word: &str| {
        line.match_indices(word).any(|(at, _)| {
            let before = line.get(..at).unwrap_or_default();
            !before.ends_with(|c: char| c.is_alphanumeric() || c == '_')
        })
    };
    // This file names them.
    let lines = code_lines(file).filter(|_| !file.path.starts_with("ci/tidy/"));
    lines
        .flat_map(|(number, line)| {
            let found = FORBIDDEN
                .iter()
                .filter(move |(word, _)| is_mentioned(line, word));
            found.map(move |(word, why)| Problem::new(&file.path, number, format!("{word}: {why}")))
        })
        .collect()
}

pub(super) fn is_finished(file: &SourceFile) -> Vec<Problem> {
    // Joined here, so that this line is not found itself.
    let words = ["dbg", "todo", "unimplemented"].map(|word| format!("{word}!("));
    code_lines(file)
        .filter(|(_, line)| words.iter().any(|word| line.contains(word)))
        .map(|(number, line)| Problem::new(&file.path, number, line.trim()))
        .collect()
}

/// Methods of an unsafe trait are covered by what is said of their `impl`.
pub(super) fn unsafe_code_is_justified(file: &SourceFile) -> Vec<Problem> {
    // Joined here, so that this line is not found itself.
    let words = ["{", "impl "].map(|what| ["unsafe", what].join(" "));
    let mut before = "";
    let mut problems = Vec::new();
    for (line, number) in file.text.lines().zip(1..) {
        let line = line.trim();
        let is_unsafe = !line.starts_with("//") && words.iter().any(|word| line.contains(word));
        if is_unsafe && !UNSAFE.contains(&file.path.as_str()) {
            problems.push(Problem::new(&file.path, number, "code that is not safe"));
        } else if is_unsafe && !before.starts_with("// SAFETY: ") {
            problems.push(Problem::new(
                &file.path,
                number,
                "no SAFETY comment before it",
            ));
        }
        before = line;
    }
    problems
}

pub(super) fn ignores_have_reasons(file: &SourceFile) -> Vec<Problem> {
    code_lines(file)
        .filter(|(_, line)| line.trim() == "#[ignore]")
        .map(|(number, _)| Problem::new(&file.path, number, "#[ignore] without a reason"))
        .collect()
}

pub(super) fn lengths(files: &[SourceFile]) -> Vec<Problem> {
    let long = files.iter().filter_map(|file| {
        let lines = file.text.lines().count();
        let listed = LONGER.iter().find(|(path, _)| *path == file.path);
        let max = listed.map_or(LINES_MAX, |(_, max)| *max);
        (lines > max).then(|| {
            Problem::new(
                &file.path,
                0,
                format!("{lines} lines, at most {max}: split it"),
            )
        })
    });
    let gone = LONGER.iter().filter_map(|(path, _)| {
        let file = files.iter().find(|file| file.path == *path);
        let still = file.is_some_and(|file| file.text.lines().count() > LINES_MAX);
        (!still).then(|| Problem::new(path, 0, "is listed as long and is not"))
    });
    long.chain(gone).collect()
}

/// Finds public items of our libraries that nothing names but themselves: the compiler does not.
pub(super) fn public_items_are_used(files: &[SourceFile]) -> Vec<Problem> {
    let words = |text| str::split(text, |c: char| c != '_' && !c.is_alphanumeric());
    let mut counts = BTreeMap::<&str, usize>::new();
    for (_, line) in files.iter().flat_map(code_lines) {
        for word in words(line) {
            *counts.entry(word).or_default() += 1;
        }
    }
    let of_file = |file| {
        let public = code_lines(file).filter_map(|(number, line)| {
            let name = public_name(line.trim_start().strip_prefix("pub ")?)?;
            Some((number, name))
        });
        let unused = public.filter(|(_, name)| counts.get(name) == Some(&1));
        unused
            .map(|(number, name)| Problem::new(&file.path, number, format!("nobody uses {name}")))
            .collect::<Vec<_>>()
    };
    let libraries = files.iter().filter(|file| file.path.starts_with("src/"));
    libraries.flat_map(of_file).collect()
}

/// Returns the name of the item that a line declares behind `pub`.
fn public_name(declared: &str) -> Option<&str> {
    const ITEMS: [&str; 7] = ["fn", "struct", "enum", "trait", "const", "static", "type"];
    let mut words = declared.split([' ', '(', '<', ':', ';', '[']);
    let item = words.find(|word| !["async", "unsafe"].contains(word))?;
    let name = words.next().filter(|_| ITEMS.contains(&item))?;
    // `const fn`.
    if name == "fn" {
        words.next()
    } else {
        Some(name)
    }
}

/// Paths and hosts of whoever builds the project are nobody else's business, and break elsewhere.
pub(super) fn names_no_machine(file: &SourceFile) -> Vec<Problem> {
    // In two halves, so that this list is not found itself.
    let halves = [
        ("/wo", "rk/"),
        ("/ro", "ot/"),
        ("/ho", "me/"),
        ("/Use", "rs/"),
        ("registry.npm", "js.org"),
        ("py", "pi.org"),
        ("proxy.gol", "ang.org"),
        ("index.cra", "tes.io"),
        ("static.cra", "tes.io"),
    ];
    let words = halves.map(|(a, b)| [a, b].concat());
    let numbered = file.text.lines().zip(1..);
    numbered
        .flat_map(|(line, number)| {
            let found = words.iter().filter(|word| line.contains(word.as_str()));
            let problem = |word| Problem::new(&file.path, number, format!("names {word}"));
            found.map(problem).collect::<Vec<_>>()
        })
        .collect()
}

/// Returns the lines that are not comments, with their numbers.
fn code_lines(file: &SourceFile) -> impl Iterator<Item = (usize, &str)> {
    let numbered = (1..).zip(file.text.lines());
    numbered.filter(|(_, line)| !line.trim_start().starts_with("//"))
}
