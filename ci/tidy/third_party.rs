//! `packaging/THIRD-PARTY.md`: whose code is in the binary, and under which licence.
//!
//! `THIRD_PARTY=make cargo test -p ci third_parties` writes it. It is checked so that it holds on every
//! platform: what is linked here stands there, and what stands there is in `Cargo.lock`.

use std::collections::BTreeSet;

use super::crates::Package;
use super::rules::Problem;
use super::tree::SourceFile;

/// Where the list lies.
pub(super) const PATH: &str = "packaging/THIRD-PARTY.md";

const HEAD: &str = "# Third-party code in the binary

Beale is linked with these crates and with Rust's standard library (MIT OR Apache-2.0). Each crate's package has the
text of its licence and its copyright notices; `cargo vendor` fetches all of them. Of alternatives any may be chosen.

| crate | licence | source |
|---|---|---|
";

/// Returns the whole file.
pub(super) fn text(packages: &[&Package]) -> String {
    let rows = packages.iter().map(|package| row(package) + "\n");
    HEAD.to_owned() + &rows.collect::<String>()
}

fn row(package: &Package) -> String {
    let license = package.license.as_deref();
    let license = license.unwrap_or("in its file LICENSE");
    let source = package.repository.as_deref().unwrap_or("its package");
    let (name, version) = (&package.name, &package.version);
    format!("| {name} {version} | {license} | {source} |")
}

/// Finds what is linked and not listed, and what is listed and gone.
pub(super) fn is_complete(
    list: &SourceFile,
    packages: &[&Package],
    lock: &SourceFile,
) -> Vec<Problem> {
    let listed: BTreeSet<&str> = list.text.lines().collect();
    let rows = packages.iter().map(|package| row(package));
    let missing = rows.filter(|row| !listed.contains(row.as_str()));
    let missing = missing.map(|row| Problem::new(PATH, 0, format!("lacks {row}")));
    let numbered = (1..).zip(list.text.lines());
    let gone = numbered.filter(|(_, line)| crate_of(line).is_some_and(|of| !is_locked(of, lock)));
    let gone = gone.map(|(number, line)| Problem::new(PATH, number, format!("is gone: {line}")));
    missing.chain(gone).collect()
}

/// Returns the crate that a line of the list is about, with its version.
fn crate_of(line: &str) -> Option<(&str, &str)> {
    let (name, version) = line.strip_prefix("| ")?.split_once(' ')?;
    let (version, _) = version.split_once(' ')?;
    version
        .starts_with(|c: char| c.is_ascii_digit())
        .then_some((name, version))
}

fn is_locked((name, version): (&str, &str), lock: &SourceFile) -> bool {
    let entry = format!("name = \"{name}\"\nversion = \"{version}\"\n");
    lock.text.contains(&entry)
}

#[test]
fn a_crate_that_is_not_listed_and_one_that_is_gone_are_found() {
    let package = |name: &str| Package {
        name: name.to_owned(),
        version: "1.0.0".to_owned(),
        license: Some("MIT".to_owned()),
        ..Package::default()
    };
    let (here, new) = (package("here"), package("new"));
    let list = SourceFile {
        path: PATH.to_owned(),
        text: text(&[&here, &package("old")]),
    };
    let lock = SourceFile {
        path: "Cargo.lock".to_owned(),
        text: "[[package]]\nname = \"here\"\nversion = \"1.0.0\"\n".to_owned(),
    };
    assert_eq!(is_complete(&list, &[&here, &new], &lock).len(), 2);
}
