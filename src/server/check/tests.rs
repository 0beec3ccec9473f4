//! The command on directories: what it says, with which exit code, and that it changes nothing unasked.

mod golden;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use config::CheckStore;
use config::options::Encryption;
use serde_json::Value;

use super::*;

/// A store in a directory, made as a server makes it: with a stream of one message, found by `text`.
fn store(dir: &Path) {
    let (disk, key) = QuietDisk::open(dir, &Encryption::default()).unwrap();
    let mut session = Session::open(dir, disk, key).unwrap();
    session.mend(dir, DamagedPlaces::default()).unwrap();
}

/// Returns what opens a store that these tests have made: those that are encrypted have one key.
fn encryption_of(dir: &Path) -> Encryption {
    let key = dir.join("key-1").exists().then(|| "golden".to_owned());
    Encryption {
        key,
        ..Encryption::default()
    }
}

fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let file = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().unwrap();
        (name, fs::read(entry.path()).unwrap())
    };
    entries.map(file).collect()
}

fn check(dir: &Path, repair: bool) -> (Value, u8) {
    let check = CheckStore {
        directory: dir.to_str().unwrap().into(),
        repair,
        json: true,
        encryption: encryption_of(dir),
    };
    let (said, code) = run(&check);
    (serde_json::from_str(&said.unwrap()).unwrap(), code)
}

fn newest_checkpoint(dir: &Path) -> String {
    let names = contents(dir).into_keys();
    names
        .filter(|name| name.starts_with("checkpoint"))
        .max()
        .unwrap()
}

#[test]
fn whole_store_is_clean_and_a_look_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    store(dir.path());
    let before = contents(dir.path());
    let (said, code) = check(dir.path(), false);
    assert_eq!(
        (said["status"].as_str(), code),
        (Some("clean"), 0),
        "{said}"
    );
    assert_eq!(contents(dir.path()), before);
    // Nothing to repair is no reason to write.
    assert_eq!(check(dir.path(), true).1, 0);
    assert_eq!(contents(dir.path()), before);
}

#[test]
fn damage_is_named_left_alone_and_repaired_when_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    store(dir.path());
    let name = newest_checkpoint(dir.path());
    let path = dir.path().join(&name);
    let mut bytes = fs::read(&path).unwrap();
    bytes[40] ^= 1;
    fs::write(&path, bytes).unwrap();
    let before = contents(dir.path());
    let (said, code) = check(dir.path(), false);
    assert_eq!(
        (said["status"].as_str(), code),
        (Some("damaged"), 1),
        "{said}"
    );
    assert_eq!(said["findings"][0]["file"], *name, "{said}");
    assert_eq!(contents(dir.path()), before);
    let (said, code) = check(dir.path(), true);
    assert_eq!(
        (said["status"].as_str(), code),
        (Some("repaired"), 1),
        "{said}"
    );
    assert_eq!(check(dir.path(), false).1, 0);
}

#[test]
fn directory_in_use_and_directory_without_a_store_cannot_be_checked() {
    let dir = tempfile::tempdir().unwrap();
    let command = CheckStore {
        directory: dir.path().to_str().unwrap().into(),
        ..CheckStore::default()
    };
    let (said, code) = run(&command);
    assert_eq!(code, 2);
    assert!(said.unwrap_err().contains("there is no store in"));
    store(dir.path());
    let used = QuietDisk::open(dir.path(), &Encryption::default()).unwrap();
    let (said, code) = run(&command);
    assert_eq!(code, 2);
    assert!(said.unwrap_err().contains("already in use"));
    drop(used);
    assert_eq!(run(&command).1, 0);
}

#[test]
fn people_are_told_in_words() {
    let dir = tempfile::tempdir().unwrap();
    store(dir.path());
    fs::remove_file(dir.path().join(newest_checkpoint(dir.path()))).unwrap();
    let command = CheckStore {
        directory: dir.path().to_str().unwrap().into(),
        ..CheckStore::default()
    };
    let said = run(&command).0.unwrap();
    assert!(said.contains("nothing has been changed"), "{said}");
}
