//! Sealed records, and the files of keys.

use alloc::vec;

use super::*;
use crate::record::{ALIGN, Parsed, padded, parse};

const HERE: Site = Site::log(4096, EpochNo(3));

fn key(cipher: Cipher, life: u8) -> StoreKey {
    StoreKey::new([7; 32], cipher, [life; LIFE_LEN])
}

fn vault(cipher: Cipher, life: u8) -> Vault {
    Vault::new(Some(key(cipher, life)))
}

/// Returns a sealed record.
fn sealed(vault: &mut Vault, contents: &[u8], site: Site) -> Vec<u8> {
    let len = contents.len() + SEAL;
    let mut record = vec![0; padded(len)];
    record[HEAD..HEAD + contents.len()].copy_from_slice(contents);
    vault.seal(&mut record, u32::try_from(len).unwrap(), site, Kind::Entry);
    record
}

fn opened(vault: &mut Vault, record: &[u8], site: Site) -> Option<Vec<u8>> {
    match parse(record, site) {
        Parsed::Valid(record) => vault.open(&record, site),
        Parsed::Short { .. } | Parsed::Invalid => None,
    }
}

#[test]
fn what_was_sealed_opens_in_every_later_life_with_either_cipher() {
    for cipher in [Cipher::ChaCha20Poly1305, Cipher::Aes256Gcm] {
        let record = sealed(&mut vault(cipher, 1), b"contents", HERE);
        assert!(!record.windows(8).any(|bytes| bytes == b"contents"));
        for later in [Cipher::ChaCha20Poly1305, Cipher::Aes256Gcm] {
            let got = opened(&mut vault(later, 2), &record, HERE);
            assert_eq!(got.as_deref(), Some(&b"contents"[..]));
        }
    }
}

#[test]
fn nothing_is_encrypted_twice_in_the_same_way() {
    let mut one = vault(Cipher::default(), 1);
    let first = sealed(&mut one, b"contents", HERE);
    let again = sealed(&mut one, b"contents", HERE);
    let elsewhere = sealed(&mut vault(Cipher::default(), 2), b"contents", HERE);
    let text = |record: &[u8]| record[HEAD..HEAD + 8].to_vec();
    assert_ne!(text(&first), text(&again));
    assert_ne!(text(&first), text(&elsewhere));
}

#[test]
fn record_that_was_moved_and_summed_again_does_not_open() {
    let mut record = sealed(&mut vault(Cipher::default(), 1), b"contents", HERE);
    let there = Site::log(8192, EpochNo(3));
    record::reseal(&mut record, HERE, there);
    assert!(matches!(parse(&record, there), Parsed::Valid(_)));
    assert_eq!(
        opened(&mut vault(Cipher::default(), 1), &record, there),
        None
    );
}

#[test]
fn byte_that_was_changed_and_summed_again_does_not_open() {
    let good = sealed(&mut vault(Cipher::default(), 1), b"contents", HERE);
    let body = 8 + SEAL;
    for at in HEAD..HEAD + body {
        let mut bad = good.clone();
        bad[at] ^= 1;
        let len = u32::try_from(body).unwrap();
        record::seal_in(&mut bad, len, HERE, (Kind::Entry, Form::Sealed));
        let got = opened(&mut vault(Cipher::default(), 1), &bad, HERE);
        assert_eq!(got, None, "byte {at}");
    }
}

#[test]
fn another_store_s_key_opens_nothing() {
    let record = sealed(&mut vault(Cipher::default(), 1), b"contents", HERE);
    let other = StoreKey::new([8; 32], Cipher::default(), [1; LIFE_LEN]);
    let mut other = Vault::new(Some(other));
    assert_eq!(opened(&mut other, &record, HERE), None);
    assert!(!other.is_missed);
}

#[test]
fn sealed_record_is_told_from_damage_where_there_is_no_key() {
    let record = sealed(&mut vault(Cipher::default(), 1), b"contents", HERE);
    let mut none = Vault::new(None);
    assert_eq!(opened(&mut none, &record, HERE), None);
    assert!(none.is_missed);
}

#[test]
fn rows_are_as_long_sealed_as_in_memory_and_come_back_as_they_were() {
    let epoch = EpochNo(3);
    let mut rows = BytesMut::new();
    for (contents, kind, form) in [
        (&b"first"[..], Kind::Entry, Form::Sealed),
        (&[1; 16], Kind::Commit, Form::Clear),
        (b"second", Kind::Entry, Form::Sealed),
    ] {
        let (at, len) = (rows.len(), contents.len() + form.room());
        rows.resize(at + padded(len), 0);
        rows[at + HEAD..at + HEAD + contents.len()].copy_from_slice(contents);
        let site = Site::log(64 + at as u64, epoch);
        let len = u32::try_from(len).unwrap();
        record::seal_in(&mut rows[at..], len, site, (kind, form));
    }
    let rows = rows.freeze();
    let mut one = vault(Cipher::Aes256Gcm, 1);
    let on_disk = one.seal_rows(&rows, LogPos(64), epoch);
    assert_eq!(on_disk.len(), rows.len());
    assert!(!on_disk.windows(5).any(|bytes| bytes == b"first"));
    let mut back = BytesMut::from(on_disk.as_ref());
    let mut at = 0;
    while at < back.len() {
        let site = Site::log(64 + at as u64, epoch);
        let Parsed::Valid(record) = parse(&on_disk[at..], site) else {
            panic!("nothing at {at}");
        };
        if record.form == Form::Sealed {
            assert!(one.open_in_place(&mut back[at..], &record, site));
        }
        at += record.total.next_multiple_of(ALIGN);
    }
    assert_eq!(back, rows);
}

const SEED: [u8; SEED_LEN] = [3; SEED_LEN];

#[test]
fn key_file_opens_with_its_key_and_with_the_one_before() {
    let file = KeyFile::seal(&[9; 32], b"configured", &SEED);
    let current = KeyFile::open(&file, b"configured", None).unwrap();
    assert_eq!((current.key, current.is_current), ([9; 32], true));
    let before = KeyFile::open(&file, b"new", Some(b"configured")).unwrap();
    assert_eq!((before.key, before.is_current), ([9; 32], false));
}

#[test]
fn damaged_key_file_is_told_from_a_wrong_key() {
    let file = KeyFile::seal(&[9; 32], b"configured", &SEED);
    assert_eq!(
        KeyFile::open(&file, b"wrong", Some(b"as wrong")),
        Err(KeyError::WrongKey)
    );
    for at in 0..file.len() {
        let mut bad = file.clone();
        bad[at] ^= 0x10;
        let got = KeyFile::open(&bad, b"configured", None);
        assert_eq!(got, Err(KeyError::Damaged), "byte {at}");
    }
    assert_eq!(
        KeyFile::open(&file[..40], b"configured", None),
        Err(KeyError::Damaged)
    );
}
