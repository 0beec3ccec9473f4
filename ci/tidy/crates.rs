//! The workspace's crates and what they reach, as cargo sees them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// A crate of the workspace.
#[derive(Debug)]
pub(super) struct Member {
    /// Its name.
    pub(super) name: String,
    /// The path of its manifest below the root.
    pub(super) manifest: String,
    /// The files that its libraries, programs and tests begin in, below the root.
    pub(super) targets: Vec<String>,
}

/// A package that is not ours.
#[derive(Debug, Default)]
pub(super) struct Package {
    /// What cargo calls it.
    pub(super) id: String,
    /// Its name.
    pub(super) name: String,
    /// Its version.
    pub(super) version: String,
    /// The expression of its licenses, if its manifest has one.
    pub(super) license: Option<String>,
    /// Where its source is kept, if its manifest says so.
    pub(super) repository: Option<String>,
}

/// The resolved dependency graph.
#[derive(Debug)]
pub(super) struct Workspace {
    members: Vec<Member>,
    packages: Vec<Package>,
    /// Names by package id.
    names: BTreeMap<String, String>,
    /// Packages whose code runs in the compiler.
    macros: BTreeSet<String>,
    /// Normal dependencies by package id.
    edges: BTreeMap<String, Vec<String>>,
}

impl Workspace {
    /// Asks cargo.
    pub(super) fn read(root: &Path) -> Self {
        // Without the platform, crates are asked for that were never fetched for this one.
        let version = cargo(root, &["-vV"]);
        let host = version.lines().find_map(|line| line.strip_prefix("host: "));
        let host = host.expect("cargo names its host");
        let metadata = [
            "metadata",
            "--format-version=1",
            "--offline",
            "--filter-platform",
            host,
        ];
        let metadata = serde_json::from_str(&cargo(root, &metadata)).expect("cargo writes JSON");
        Self::from_metadata(&metadata)
    }

    fn from_metadata(metadata: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let top = text(&metadata["workspace_root"]);
        let below = |path: &Value| {
            let path = text(path);
            let below = path.strip_prefix(&top).unwrap_or(&path);
            let below = below.trim_start_matches('/');
            // A program may begin in another member's file.
            let elsewhere = below.split_once("/../").map(|(_, behind)| behind);
            elsewhere.unwrap_or(below).to_owned()
        };
        let inside: BTreeSet<String> = items(&metadata["workspace_members"]).map(text).collect();
        let mut workspace = Self {
            members: Vec::new(),
            packages: Vec::new(),
            names: BTreeMap::new(),
            macros: BTreeSet::new(),
            edges: BTreeMap::new(),
        };
        for package in items(&metadata["packages"]) {
            let (id, name) = (text(&package["id"]), text(&package["name"]));
            if inside.contains(&id) {
                let targets = items(&package["targets"]).map(|target| below(&target["src_path"]));
                workspace.members.push(Member {
                    name: name.clone(),
                    manifest: below(&package["manifest_path"]),
                    targets: targets.collect(),
                });
            } else {
                workspace.packages.push(Package {
                    id: id.clone(),
                    name: name.clone(),
                    version: text(&package["version"]),
                    license: package["license"].as_str().map(str::to_owned),
                    repository: package["repository"].as_str().map(str::to_owned),
                });
            }
            let kinds = items(&package["targets"]).flat_map(|target| items(&target["kind"]));
            if kinds.into_iter().any(|kind| kind == "proc-macro") {
                workspace.macros.insert(id.clone());
            }
            workspace.names.insert(id, name);
        }
        for node in items(&metadata["resolve"]["nodes"]) {
            let normal = items(&node["deps"]).filter(|dep| {
                // A normal dependency has no kind.
                items(&dep["dep_kinds"]).any(|kind| kind["kind"].is_null())
            });
            let edges = normal.map(|dep| text(&dep["pkg"])).collect();
            workspace.edges.insert(text(&node["id"]), edges);
        }
        workspace
    }

    /// Returns the crates of the workspace.
    pub(super) fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.iter()
    }

    /// Returns the packages from elsewhere, those of tests and build scripts among them.
    pub(super) fn packages(&self) -> &[Package] {
        &self.packages
    }

    /// Returns the names of all crates that end up in what is built from `name`.
    pub(super) fn reach(&self, name: &str) -> BTreeSet<String> {
        let linked = self.linked(name);
        linked
            .iter()
            .filter_map(|id| self.names.get(id).cloned())
            .collect()
    }

    /// Returns the packages from elsewhere that end up in what is built from `name`, by name and version.
    pub(super) fn third_parties(&self, name: &str) -> Vec<&Package> {
        let linked = self.linked(name);
        let mut found: Vec<_> = self.packages.iter().collect();
        found.retain(|package| linked.contains(&package.id));
        found.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
        found
    }

    fn linked(&self, name: &str) -> BTreeSet<String> {
        let start = self.names.iter().find(|(_, n)| *n == name);
        let (start, _) = start.unwrap_or_else(|| panic!("there is no crate {name}"));
        let mut seen = BTreeSet::new();
        let mut open = vec![start];
        while let Some(id) = open.pop() {
            let deps = self.edges.get(id).into_iter().flatten();
            let linked = deps.filter(|dep| !self.macros.contains(*dep));
            open.extend(linked.filter(|dep| seen.insert((*dep).clone())));
        }
        seen
    }
}

fn cargo(root: &Path, args: &[&str]) -> String {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = Command::new(cargo);
    let output = command.args(args).current_dir(root).output();
    let output = output.expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {args:?}: {errors}");
    String::from_utf8(output.stdout).expect("cargo writes text")
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[test]
fn what_a_dependency_depends_on_is_reached_but_not_through_macros_and_tests() {
    let metadata = serde_json::json!({
        "workspace_root": "/w", "workspace_members": ["a"],
        "packages": [
            {"id": "a", "name": "app", "manifest_path": "/w/src/app/Cargo.toml", "targets": []},
            {"id": "b", "name": "lib", "targets": [{"kind": ["lib"]}]},
            {"id": "c", "name": "deep", "targets": [{"kind": ["lib"]}]},
            {"id": "d", "name": "derive", "targets": [{"kind": ["proc-macro"]}]},
            {"id": "e", "name": "only-for-tests", "targets": [{"kind": ["lib"]}]},
        ],
        "resolve": {"nodes": [
            {"id": "a", "deps": [
                {"pkg": "b", "dep_kinds": [{"kind": null}]},
                {"pkg": "d", "dep_kinds": [{"kind": null}]},
                {"pkg": "e", "dep_kinds": [{"kind": "dev"}]},
            ]},
            {"id": "b", "deps": [{"pkg": "c", "dep_kinds": [{"kind": null}]}]},
        ]},
    });
    let workspace = Workspace::from_metadata(&metadata);
    let manifests: Vec<_> = workspace.members().map(|m| m.manifest.as_str()).collect();
    assert_eq!(manifests, ["src/app/Cargo.toml"]);
    let reached: Vec<String> = workspace.reach("app").into_iter().collect();
    assert_eq!(reached, ["deep", "lib"]);
}
