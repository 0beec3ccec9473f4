//! Directories with keys: made, opened again, opened with others, and damaged.

use std::collections::BTreeMap;

use super::super::lock;
use super::*;

fn keys(key: Option<&str>, before: Option<&str>) -> Encryption {
    Encryption {
        key: key.map(str::to_owned),
        key_before: before.map(str::to_owned),
        cipher: StoreCipher::ChaCha,
    }
}

fn try_open(dir: &Path, wanted: &Encryption) -> Result<Option<StoreKey>, OpenError> {
    open(dir, &mut lock::lock(dir).unwrap(), wanted)
}

fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(dir).unwrap().map(Result::unwrap);
    let file = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().unwrap();
        (name, fs::read(entry.path()).unwrap())
    };
    entries.map(file).collect()
}

/// Returns the key that a directory's files hold.
fn stored(dir: &Path, configured: &str) -> [u8; 32] {
    let [first, second] = NAMES.map(|name| {
        let bytes = fs::read(dir.join(name)).unwrap();
        KeyFile::open(&bytes, configured.as_bytes(), None).unwrap()
    });
    assert_eq!(first, second);
    assert!(first.is_current);
    first.key
}

#[test]
fn key_is_drawn_once_and_no_two_lives_are_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let one = keys(Some("one"), None);
    let first = try_open(dir.path(), &one).unwrap().unwrap();
    let made = contents(dir.path());
    let again = try_open(dir.path(), &one).unwrap().unwrap();
    assert_eq!(contents(dir.path()), made);
    assert!(first != again, "another life");
    let other = tempfile::tempdir().unwrap();
    try_open(other.path(), &one).unwrap();
    assert_ne!(stored(dir.path(), "one"), stored(other.path(), "one"));
}

#[test]
fn wrong_key_and_no_key_are_refused_and_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    try_open(dir.path(), &keys(Some("one"), None)).unwrap();
    let made = contents(dir.path());
    for (wanted, said) in [
        (keys(Some("two"), None), "unable to recover keys"),
        (keys(Some("two"), Some("three")), "unable to recover keys"),
        (keys(None, None), "encryption not enabled"),
        (keys(None, Some("one")), "encryption not enabled"),
    ] {
        let error = try_open(dir.path(), &wanted).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
        let error = look(dir.path(), true, &wanted).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    assert_eq!(contents(dir.path()), made);
}

#[test]
fn new_key_takes_the_place_of_the_one_before() {
    let dir = tempfile::tempdir().unwrap();
    try_open(dir.path(), &keys(Some("one"), None)).unwrap();
    let key = stored(dir.path(), "one");
    let rotated = keys(Some("two"), Some("one"));
    let made = contents(dir.path());
    look(dir.path(), true, &rotated).unwrap().unwrap();
    assert_eq!(contents(dir.path()), made, "a look changes nothing");
    try_open(dir.path(), &rotated).unwrap();
    assert_eq!(stored(dir.path(), "two"), key);
    try_open(dir.path(), &keys(Some("two"), None)).unwrap();
    try_open(dir.path(), &keys(Some("one"), None)).unwrap_err();
}

#[test]
fn rotation_that_was_cut_off_between_the_files_is_finished() {
    let dir = tempfile::tempdir().unwrap();
    try_open(dir.path(), &keys(Some("one"), None)).unwrap();
    let before = fs::read(dir.path().join("key-2")).unwrap();
    try_open(dir.path(), &keys(Some("two"), Some("one"))).unwrap();
    for (configured, prev) in [("one", None), ("two", None), ("two", Some("one"))] {
        fs::write(dir.path().join("key-2"), &before).unwrap();
        try_open(dir.path(), &keys(Some(configured), prev)).unwrap();
        stored(dir.path(), configured);
        // Back to where it was cut off.
        try_open(dir.path(), &keys(Some("two"), Some("one"))).unwrap();
    }
}

#[test]
fn one_file_that_is_damaged_or_gone_is_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let one = keys(Some("one"), None);
    try_open(dir.path(), &one).unwrap();
    let key = stored(dir.path(), "one");
    for name in NAMES {
        let path = dir.path().join(name);
        let mut bytes = fs::read(&path).unwrap();
        bytes[50] ^= 1;
        fs::write(&path, &bytes).unwrap();
        try_open(dir.path(), &one).unwrap();
        assert_eq!(stored(dir.path(), "one"), key);
        fs::remove_file(&path).unwrap();
        try_open(dir.path(), &one).unwrap();
        assert_eq!(stored(dir.path(), "one"), key);
    }
}

#[test]
fn no_key_is_drawn_for_a_store_whose_keys_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    try_open(dir.path(), &keys(Some("one"), None)).unwrap();
    for name in NAMES {
        fs::remove_file(dir.path().join(name)).unwrap();
    }
    let made = contents(dir.path());
    for wanted in [keys(Some("one"), None), keys(None, None)] {
        let error = try_open(dir.path(), &wanted).unwrap_err().to_string();
        assert!(error.contains("damaged or gone"), "{error}");
    }
    assert_eq!(contents(dir.path()), made);
}

#[test]
fn store_that_is_not_encrypted_needs_no_key_and_gets_no_files() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(try_open(dir.path(), &keys(None, None)).unwrap(), None);
    assert_eq!(
        contents(dir.path()).into_keys().collect::<Vec<_>>(),
        ["lock"]
    );
}
