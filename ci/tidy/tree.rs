//! The project's files, found without git: everything but what `.gitignore` names.

use std::fs;
use std::path::Path;

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
