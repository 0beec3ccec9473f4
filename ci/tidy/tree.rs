//! The project's files, found without git: everything but what `.gitignore` names. Only what is left
//! lying at the root is looked for with git, which knows a file of the project from a note beside it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::rules::Problem;

/// What lies at the root: whoever opens the project sees it first.
const ROOT: [&str; 25] = [
    ".ci",
    ".dockerignore",
    ".gitattributes",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "COMPATIBILITY.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "Dockerfile",
    "LICENSE",
    "README.md",
    "ci",
    "clippy.toml",
    "deny.toml",
    "docs",
    "fuzz",
    "packaging",
    "proptest-regressions",
    "proptests",
    "rustfmt.toml",
    "sim",
    "snapshots",
    "src",
];

/// What is built, fetched or not the project's.
const SKIPPED: [&str; 7] = [
    ".git",
    ".cache",
    "target",
    "beale-data",
    "node_modules",
    "__pycache__",
    ".venv",
];

/// A text file of the project.
#[derive(Debug)]
pub(super) struct SourceFile {
    /// The path below the root.
    pub(super) path: String,
    /// What it holds.
    pub(super) text: String,
}

/// Reads one file.
pub(super) fn file(root: &Path, path: &str) -> SourceFile {
    let text = fs::read_to_string(root.join(path));
    SourceFile {
        path: path.to_owned(),
        text: text.unwrap_or_else(|error| panic!("{path}: {error}")),
    }
}

/// Reads the text files whose name is wanted, in the order of their paths.
pub(super) fn files(root: &Path, wanted: impl Fn(&str) -> bool) -> Vec<SourceFile> {
    let mut found = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(root.join(&folder)).expect("a folder of the project");
        for entry in entries {
            let entry = entry.expect("an entry of the project");
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = match folder.as_str() {
                "" => name.clone(),
                above => format!("{above}/{name}"),
            };
            // In a worktree, `.git` is a file.
            if SKIPPED.contains(&name.as_str()) {
                continue;
            }
            let kind = entry.file_type().expect("a kind of file");
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && wanted(&name) {
                // What is not text has no lines to check.
                if let Ok(text) = fs::read_to_string(root.join(&path)) {
                    found.push(SourceFile { path, text });
                }
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Returns what git keeps at the root; nothing where the project was unpacked without git.
pub(super) fn kept_at_the_root(root: &Path) -> BTreeSet<String> {
    let mut git = Command::new("git");
    let output = git.args(["ls-files", "-z"]).current_dir(root).output();
    let listed = output.ok().filter(|output| output.status.success());
    let listed = listed.map(|output| output.stdout).unwrap_or_default();
    let paths = listed
        .split(|byte| *byte == 0)
        .filter(|path| !path.is_empty());
    paths
        .filter_map(|path| path.split(|byte| *byte == b'/').next())
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect()
}

/// Finds what does not belong at the root.
pub(super) fn belongs_at_the_root(kept: &BTreeSet<String>) -> Vec<Problem> {
    let others = kept.iter().filter(|name| !ROOT.contains(&name.as_str()));
    others
        .map(|name| Problem::new(name, 0, "does not belong at the root"))
        .collect()
}

#[test]
fn a_file_that_was_left_at_the_root_is_found() {
    let kept = ["src", "README.md", "notes.txt"].map(str::to_owned);
    let found = belongs_at_the_root(&BTreeSet::from(kept));
    assert_eq!(
        found,
        [Problem::new("notes.txt", 0, "does not belong at the root")]
    );
}
