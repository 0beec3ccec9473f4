//! A record verifies in its own place and nowhere else.

use alloc::vec;
use alloc::vec::Vec;

use protocol::id::StreamId;

use super::*;

fn sealed(body: &[u8], site: Site) -> Vec<u8> {
    let mut record = vec![0; padded(body.len())];
    record[HEAD..HEAD + body.len()].copy_from_slice(body);
    seal(
        &mut record,
        u32::try_from(body.len()).unwrap(),
        site,
        Kind::Entry,
    );
    record
}

const HERE: Site = Site::log(4096, EpochNo(3));

#[test]
fn record_is_valid_where_it_was_written() {
    let record = sealed(b"hello", HERE);
    let Parsed::Valid(got) = parse(&record, HERE) else {
        panic!("{:?}", parse(&record, HERE));
    };
    assert_eq!(
        (got.kind, got.body, got.total),
        (Kind::Entry, &b"hello"[..], 24)
    );
    let peeked = Peek {
        kind: Kind::Entry,
        form: Form::Clear,
        len: 5,
        total: 24,
    };
    assert_eq!(peek(&record), Some(peeked));
}

#[test]
fn record_is_invalid_in_any_other_place() {
    let record = sealed(b"hello", HERE);
    for site in [
        Site::log(4104, EpochNo(3)),
        Site::log(4096, EpochNo(4)),
        Site::checkpoint(0, 4096),
        Site::segment(StreamId(1), 0, 4096),
    ] {
        assert_eq!(parse(&record, site), Parsed::Invalid, "{site:?}");
    }
}

#[test]
fn record_of_a_later_epoch_names_its_epoch() {
    let record = sealed(b"hello", HERE);
    let Parsed::Valid(got) = parse(&record, Site::log(4096, EpochNo(0))) else {
        panic!("not valid");
    };
    assert_eq!(got.epoch, EpochNo(3));
}

#[test]
fn every_flipped_bit_outside_the_padding_is_noticed() {
    let record = sealed(b"some bytes of an entry", HERE);
    for bit in 0..(HEAD + 22) * 8 {
        let mut bad = record.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(!matches!(parse(&bad, HERE), Parsed::Valid(_)), "bit {bit}");
    }
}

#[test]
fn sealed_record_is_seen_behind_others_and_without_a_key() {
    let mut file = sealed(b"a mark", HERE);
    assert!(!begins_sealed(&file));
    let mut record = vec![0; padded(5 + SEAL)];
    seal_in(&mut record, 5 + 32, HERE, (Kind::Entry, Form::Sealed));
    file.extend(record);
    assert!(begins_sealed(&file));
    assert!(!begins_sealed(&file[..20]));
}

#[test]
fn cut_record_asks_for_its_whole_length() {
    let record = sealed(&[7; 100], HERE);
    assert_eq!(parse(&record[..40], HERE), Parsed::Short { total: 120 });
}

#[test]
fn moved_record_is_valid_in_its_new_place_and_only_there() {
    let to = Site::segment(StreamId(9), 2, 0);
    let mut record = sealed(b"hello", HERE);
    reseal(&mut record, HERE, to);
    assert!(matches!(parse(&record, to), Parsed::Valid(_)));
    assert_eq!(parse(&record, HERE), Parsed::Invalid);
}

#[test]
fn bytes_damaged_before_a_move_stay_damaged_after_it() {
    let to = Site::segment(StreamId(9), 2, 0);
    let mut record = sealed(b"hello", HERE);
    record[HEAD] ^= 1;
    reseal(&mut record, HERE, to);
    assert_eq!(parse(&record, to), Parsed::Invalid);
}
