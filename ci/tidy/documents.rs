//! What the documents name exists: files, headings that links lead to, and the tests that are said to
//! hold a promise.

use std::collections::BTreeSet;

use super::rules::Problem;
use super::tree::SourceFile;

/// Everything that a document may name.
#[derive(Debug)]
pub(super) struct Named {
    /// The paths of the project's files.
    paths: BTreeSet<String>,
    /// The names of all functions, tests among them.
    functions: BTreeSet<String>,
    /// The headings of each document, as links name them: `path#heading`.
    headings: BTreeSet<String>,
}

impl Named {
    pub(super) fn of(files: &[SourceFile]) -> Self {
        let with_ending = |ending| files.iter().filter(move |file| file.path.ends_with(ending));
        let lines_of =
            |file: &SourceFile| -> Vec<String> { file.text.lines().map(str::to_owned).collect() };
        Self {
            paths: files.iter().map(|file| file.path.clone()).collect(),
            functions: with_ending(".rs")
                .flat_map(lines_of)
                .filter_map(|line| function(&line).map(str::to_owned))
                .collect(),
            headings: with_ending(".md")
                .flat_map(|file| {
                    let headings = file.text.lines().filter(|line| line.starts_with('#'));
                    headings.map(|line| format!("{}#{}", file.path, anchor(line)))
                })
                .collect(),
        }
    }

    /// Says whether there is such a file or folder, by its whole path or the end of it.
    fn has_path(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let (end, folder) = (format!("/{path}"), format!("{path}/"));
        self.paths
            .iter()
            .any(|known| known == path || known.ends_with(&end) || known.starts_with(&folder))
    }

    fn has_function(&self, beginning: &str) -> bool {
        let mut from = self.functions.range(beginning.to_owned()..);
        from.next().is_some_and(|name| name.starts_with(beginning))
    }
}

/// Finds what a document names and what is not there.
pub(super) fn name_what_exists(document: &SourceFile, named: &Named) -> Vec<Problem> {
    let numbered = document.text.lines().zip(1..);
    numbered
        .flat_map(|(line, number)| {
            let links = between(line, "](", ")").filter(|link| !leads(document, link, named));
            let quoted = between(line, "`", "`").flat_map(words);
            let words = quoted.filter(|word| !exists(word, named));
            let lost: Vec<&str> = links.chain(words).collect();
            lost.into_iter()
                .map(move |what| {
                    Problem::new(&document.path, number, format!("no {what} is there"))
                })
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Says whether a link leads somewhere. What lies elsewhere is not looked for.
fn leads(document: &SourceFile, link: &str, named: &Named) -> bool {
    if link.contains("://") {
        return true;
    }
    let (path, heading) = link.split_once('#').unwrap_or((link, ""));
    let folder = document
        .path
        .rsplit_once('/')
        .map_or("", |(folder, _)| folder);
    let whole = match (path, path.strip_prefix("../"), folder) {
        ("", ..) => document.path.clone(),
        (_, Some(above), _) => above.to_owned(),
        (_, None, "") => path.to_owned(),
        (_, None, folder) => format!("{folder}/{path}"),
    };
    let has_heading = heading.is_empty() || named.headings.contains(&format!("{whole}#{heading}"));
    has_heading && (named.paths.contains(&whole) || named.has_path(&format!("{whole}/")))
}

/// Says whether a word in backquotes exists, if it is one that must: a Rust file, or the beginning
/// of a function's name that an ellipsis ends.
fn exists(word: &str, named: &Named) -> bool {
    // An example of the rule for names.
    if word == "foo.rs" || word == "mod.rs" {
        return true;
    }
    if word.ends_with(".rs") {
        return named.has_path(word);
    }
    let beginning = word.strip_suffix('…');
    beginning.is_none_or(|name| name.starts_with("beale_") || named.has_function(name))
}

/// Returns the names in a text between backquotes, without the modules before them.
fn words(quoted: &str) -> impl Iterator<Item = &str> {
    let parts = quoted.split(|c: char| c.is_whitespace() || "{},:*".contains(c));
    parts.filter(|part| !part.is_empty() && *part != "…")
}

/// Returns the texts between each `open` and the `close` behind it.
fn between<'a>(line: &'a str, open: &'a str, close: &'a str) -> impl Iterator<Item = &'a str> {
    let mut rest = line;
    core::iter::from_fn(move || {
        let (_, behind) = rest.split_once(open)?;
        let (inside, behind) = behind.split_once(close)?;
        rest = behind;
        Some(inside)
    })
}

/// Returns the name of the function that begins in a line.
fn function(line: &str) -> Option<&str> {
    let (_, behind) = line.split_once("fn ")?;
    let end = behind.find(|c: char| c != '_' && !c.is_alphanumeric())?;
    behind.get(..end).filter(|name| !name.is_empty())
}

/// Returns what a link to a heading says.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn files_headings_and_tests_that_are_not_there_are_found() {
    let file = |path: &str, text: &str| SourceFile {
        path: path.to_owned(),
        text: text.to_owned(),
    };
    let files = [
        file("src/a/b.rs", "fn power_comes_back_whole() {}"),
        file("docs/c.md", "# C\n## When it's gone\n"),
    ];
    let named = Named::of(&files);
    let lost = |text: &str| name_what_exists(&file("docs/d.md", text), &named).len();
    assert_eq!(
        lost("`a/b.rs`, `src/a/b.rs`, `b.rs` and [c](c.md#when-its-gone)"),
        0
    );
    assert_eq!(
        lost("`a::tests::{power_comes_…, power_…}` and <http://x>"),
        0
    );
    assert_eq!(lost("`c.rs`, `x/b.rs`"), 2);
    assert_eq!(lost("`a::tests::power_goes_…`"), 1);
    assert_eq!(lost("[c](c.md#before) and [e](e.md)"), 2);
}
