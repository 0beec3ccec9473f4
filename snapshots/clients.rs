//! The table of clients in `COMPATIBILITY.md`: which checks show which of JetStream's features.
//!
//! Written from `clients.txt`, whose checks and releases must be those of `ci/clients`.

use core::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The clients in the order of the columns: where their checks are, and what defines one.
const CLIENTS: [(&str, &[&str], Definition); 4] = [
    ("nats.go", &["go/main.go"], |name| format!("{{\"{name}\", ")),
    ("nats.js", &["js/checks.mjs", "js/extensions.mjs"], |name| {
        format!("async {name}(")
    }),
    (
        "nats-py",
        &["python/checks.py", "python/extensions.py"],
        |name| format!("async def {name}("),
    ),
    ("async-nats", &["rust/src"], |name| {
        format!("async fn {name}(")
    }),
];

/// The text that defines the check of that name.
type Definition = fn(&str) -> String;

/// Appends the table.
///
/// # Errors
/// When a line can not be understood, or a check or a release is not there.
pub(crate) fn append(out: &mut String) -> io::Result<()> {
    let folder = crate::root().join("../ci/clients");
    let text = fs::read_to_string(crate::root().join("clients.txt"))?;
    let sources: Vec<String> = CLIENTS
        .iter()
        .map(|(_, files, _)| files.iter().map(|file| source(folder.join(file))).collect())
        .collect::<io::Result<_>>()?;
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (releases, rows): (Vec<&str>, Vec<&str>) =
        lines.partition(|line| line.starts_with("client "));
    let mut heads = Vec::new();
    for ((client, ..), line) in CLIENTS.iter().zip(releases) {
        heads.push(release(client, line, &folder)?);
    }
    if heads.len() != CLIENTS.len() {
        return Err(io::Error::other("clients.txt: a release is missing"));
    }
    let _ok = write!(
        out,
        "\n# JetStream with unmodified clients\n\n\
         Each cell names checks of `ci/clients` that end alike with nats-server and with Beale; `-`: the client has\n\
         nothing for it.\n\n\
         | feature | {} |\n|---|---|---|---|---|\n",
        heads.join(" | ")
    );
    for line in rows {
        let (feature, cells) = line
            .split_once('|')
            .ok_or_else(|| io::Error::other(format!("clients.txt: {line}")))?;
        let cells: Vec<&str> = cells.split('|').collect();
        if cells.len() != CLIENTS.len() {
            return Err(io::Error::other(format!("clients.txt: {line}")));
        }
        for ((cell, (client, _, definition)), source) in cells.iter().zip(&CLIENTS).zip(&sources) {
            let mut names = cell.split(' ').filter(|name| *name != "-");
            if let Some(name) = names.find(|name| !source.contains(&definition(name))) {
                return Err(io::Error::other(format!("{client} has no check {name}")));
            }
        }
        let cells: Vec<String> = cells.iter().map(|cell| cell.replace(' ', ", ")).collect();
        let _ok = writeln!(out, "| {feature} | {} |", cells.join(" | "));
    }
    Ok(())
}

/// Reads a file, or those of a folder.
fn source(path: PathBuf) -> io::Result<String> {
    if !path.is_dir() {
        return fs::read_to_string(path);
    }
    let mut text = String::new();
    for entry in fs::read_dir(path)? {
        text.push_str(&fs::read_to_string(entry?.path())?);
    }
    Ok(text)
}

/// Returns a column's head, if the client is installed in that release.
fn release(client: &str, line: &str, folder: &Path) -> io::Result<String> {
    let bad = || io::Error::other(format!("clients.txt: {line}"));
    let mut words = line.splitn(5, ' ').skip(1);
    let (Some(name), Some(version), Some(file), Some(text)) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(bad());
    };
    if name != client || !fs::read_to_string(folder.join(file))?.contains(text) {
        return Err(bad());
    }
    Ok(format!("{name} {version}"))
}
