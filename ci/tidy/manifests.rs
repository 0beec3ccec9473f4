//! What the manifests promise of dependencies: each is used, and under a license that `deny.toml`
//! allows.

use std::collections::BTreeSet;

use super::crates::{Member, Package};
use super::rules::Problem;
use super::tree::SourceFile;

/// Crates without an expression in their manifest, whose license stands in a file alone.
const LICENSE_IN_A_FILE: [&str; 1] = ["jsonpath-rust"];

/// Finds the dependencies that no file of a crate names. `sources` has the crate's own files.
pub(super) fn uses_its_dependencies(
    member: &Member,
    manifest: &SourceFile,
    sources: &[&SourceFile],
) -> Vec<Problem> {
    let is_named = |name: &str| {
        let name = name.replace('-', "_");
        let mut lines = sources.iter().flat_map(|file| file.text.lines());
        lines.any(|line| mentions(line, &name))
    };
    let unused = dependencies(manifest).filter(|(_, name)| !is_named(name));
    unused
        .map(|(line, name)| {
            let what = format!("{} does not use {name}", member.name);
            Problem::new(&manifest.path, line, what)
        })
        .collect()
}

/// Finds what the workspace offers and no member takes.
pub(super) fn offers_what_is_taken(workspace: &SourceFile, members: &[SourceFile]) -> Vec<Problem> {
    let taken: BTreeSet<&str> = members
        .iter()
        .flat_map(dependencies)
        .map(|(_, d)| d)
        .collect();
    dependencies(workspace)
        .filter(|(_, name)| !taken.contains(name))
        .map(|(line, name)| Problem::new(&workspace.path, line, format!("nobody takes {name}")))
        .collect()
}

/// Finds packages under licenses that the list of `deny.toml` does not allow.
pub(super) fn licenses_are_allowed(deny: &SourceFile, packages: &[Package]) -> Vec<Problem> {
    let (_, behind) = deny.text.split_once("allow = [").unwrap_or_default();
    let (list, _) = behind.split_once(']').unwrap_or_default();
    let allowed: BTreeSet<&str> = list.split('"').skip(1).step_by(2).collect();
    let others = packages.iter().filter(|package| match &package.license {
        Some(license) => !is_allowed(license, &allowed),
        None => !LICENSE_IN_A_FILE.contains(&package.name.as_str()),
    });
    others
        .map(|package| {
            let what = format!("{} is under {:?}", package.name, package.license);
            Problem::new(&deny.path, 0, what)
        })
        .collect()
}

/// Says whether an expression of licenses is met: of each part, one alternative is allowed. Parentheses
/// are passed over, which can only refuse what they would allow. `/` is an old form of `OR`.
fn is_allowed(expression: &str, allowed: &BTreeSet<&str>) -> bool {
    let flat = expression.replace(['(', ')'], "").replace('/', " OR ");
    flat.split(" AND ").all(|part| {
        let mut alternatives = part.split(" OR ").map(str::trim);
        alternatives.any(|license| allowed.contains(license))
    })
}

/// Returns the dependencies that a manifest names, of all kinds, with their lines.
fn dependencies(manifest: &SourceFile) -> impl Iterator<Item = (usize, &str)> {
    let mut inside = false;
    let numbered = (1..).zip(manifest.text.lines());
    numbered.filter_map(move |(number, line)| {
        if line.starts_with('[') {
            inside = line.ends_with("dependencies]");
            return None;
        }
        let name = line.split(['.', ' ', '=']).next()?;
        let is_name = inside && name.starts_with(char::is_alphanumeric);
        is_name.then_some((number, name))
    })
}

/// Says whether a line has a name, not as a part of another one.
fn mentions(line: &str, name: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(name).any(|(at, _)| {
        let before = line.get(..at).unwrap_or_default();
        let behind = line.get(at + name.len()..).unwrap_or_default();
        !before.ends_with(is_part) && !behind.starts_with(is_part)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_dependency_that_no_file_names_is_found() {
        let member = Member {
            name: "a".to_owned(),
            manifest: "src/a/Cargo.toml".to_owned(),
            targets: Vec::new(),
        };
        let manifest = file(
            "src/a/Cargo.toml",
            "[dependencies]\nsome-lib.workspace = true\nother = \"1\"\n",
        );
        let source = file("src/a/lib.rs", "use some_lib::X;\nuse another::other_y;\n");
        let found = uses_its_dependencies(&member, &manifest, &[&source]);
        let expected = Problem::new("src/a/Cargo.toml", 3, "a does not use other");
        assert_eq!(found, [expected]);
    }

    #[test]
    fn what_the_workspace_offers_to_nobody_is_found() {
        let top = file(
            "Cargo.toml",
            "[workspace.dependencies]\na = \"1\"\nb = \"1\"\n",
        );
        let member = file(
            "src/x/Cargo.toml",
            "[dev-dependencies]\na.workspace = true\n",
        );
        let found = offers_what_is_taken(&top, &[member]);
        assert_eq!(found, [Problem::new("Cargo.toml", 3, "nobody takes b")]);
    }

    #[test]
    fn a_license_that_is_not_allowed_is_found() {
        let deny = file(
            "deny.toml",
            "[licenses]\nallow = [\n  \"MIT\",\n  \"ISC\",\n]\n",
        );
        let refused = |license: Option<&str>| {
            let package = Package {
                name: "a".to_owned(),
                license: license.map(str::to_owned),
                ..Package::default()
            };
            licenses_are_allowed(&deny, &[package]).len()
        };
        for fine in [
            "MIT",
            "GPL-3.0 OR MIT",
            "GPL-3.0/MIT",
            "(GPL-3.0 OR MIT) AND ISC",
        ] {
            assert_eq!(refused(Some(fine)), 0, "{fine}");
        }
        for bad in ["GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND GPL-3.0"] {
            assert_eq!(refused(Some(bad)), 1, "{bad}");
        }
        assert_eq!(refused(None), 1);
    }
}
