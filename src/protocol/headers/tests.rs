//! Header blocks as clients write them, and as they must not.

use alloc::vec::Vec;

use super::*;

const BLOCK: &[u8] = b"NATS/1.0\r\nA: 1\r\nb:2\r\nA:  3 \r\nEmpty:\r\n\r\n";

#[test]
fn values_are_found_by_exact_key_in_order() {
    let headers = Headers::new(BLOCK);
    assert!(headers.is_valid());
    assert_eq!(headers.get(b"A"), Some(&b"1"[..]));
    assert_eq!(headers.get(b"a"), None);
    assert_eq!(headers.get(b"Empty"), Some(&b""[..]));
    assert_eq!(
        headers.get_all(b"A").collect::<Vec<_>>(),
        [&b"1"[..], &b"3 "[..]]
    );
    assert_eq!(headers.iter().count(), 4);
    assert_eq!(headers.status(), None);
}

#[test]
fn status_lines_are_read() {
    let headers = Headers::new(
        b"NATS/1.0 409 Message Size Exceeds MaxBytes\r\n\
        Nats-Pending-Messages: 1\r\nX: y\r\n\r\n",
    );
    assert!(headers.is_valid());
    assert_eq!(
        headers.status(),
        Some((409, &b"Message Size Exceeds MaxBytes"[..]))
    );
    assert_eq!(
        Headers::new(b"NATS/1.0 503\r\n\r\n").status(),
        Some((503, &b""[..]))
    );
    assert_eq!(Headers::new(b"NATS/1.0 5033\r\n\r\n").status(), None);
}

#[test]
fn broken_blocks_are_not_valid_and_hold_nothing_that_cannot_be_read() {
    for block in [
        &b""[..],
        b"NATS/1.0",
        b"NATS/1.0\r\n",
        b"NATS/1.1\r\n\r\n",
        b"NATS/1.0x\r\n\r\n",
        b"NATS/1.0\r\nA: 1\r\n",
        b"NATS/1.0\r\nA\r\n\r\n",
        b"NATS/1.0\r\n: 1\r\n\r\n",
        b"NATS/1.0\r\n\r\nrest",
    ] {
        assert!(!Headers::new(block).is_valid(), "{}", block.escape_ascii());
    }
    assert_eq!(Headers::new(b"NATS/1.0\r\njunk\r\nA 1").iter().count(), 0);
}

#[test]
fn setting_a_key_touches_only_its_first_line() {
    let mut out = BytesMut::new();
    set(BLOCK, b"b", b"new", &mut out);
    assert_eq!(
        out,
        b"NATS/1.0\r\nA: 1\r\nb: new\r\nA:  3 \r\nEmpty:\r\n\r\n".as_slice()
    );
    out.clear();
    set(BLOCK, b"C", b"4", &mut out);
    assert_eq!(
        out,
        b"NATS/1.0\r\nA: 1\r\nb:2\r\nA:  3 \r\nEmpty:\r\nC: 4\r\n\r\n".as_slice()
    );
    out.clear();
    set(b"", b"C", b"4", &mut out);
    assert_eq!(out, b"NATS/1.0\r\nC: 4\r\n\r\n".as_slice());
}

#[test]
fn removing_the_last_line_removes_the_block() {
    let mut out = BytesMut::new();
    assert_eq!(remove(BLOCK, b"A", &mut out), Removed::Line);
    assert_eq!(
        out,
        b"NATS/1.0\r\nb:2\r\nA:  3 \r\nEmpty:\r\n\r\n".as_slice()
    );
    out.clear();
    assert_eq!(remove(BLOCK, b"nope", &mut out), Removed::Nothing);
    assert_eq!(
        remove(b"NATS/1.0\r\nA: 1\r\n\r\n", b"A", &mut out),
        Removed::Block
    );
    assert!(out.is_empty());
}

#[test]
fn a_line_that_is_set_last_stands_at_the_end_wherever_it_was() {
    for (block, expected) in [
        ("", "NATS/1.0\r\nA: 2\r\n\r\n"),
        ("NATS/1.0\r\nA: 1\r\n\r\n", "NATS/1.0\r\nA: 2\r\n\r\n"),
        (
            "NATS/1.0\r\nA: 1\r\nB: 1\r\n\r\n",
            "NATS/1.0\r\nB: 1\r\nA: 2\r\n\r\n",
        ),
    ] {
        let mut out = BytesMut::new();
        set_last(block.as_bytes(), b"A", b"2", &mut out);
        assert_eq!(out, expected, "{block:?}");
    }
}

#[test]
fn the_end_of_the_block_ends_its_last_line() {
    let headers = Headers::new(b"NATS/1.0\r\nA: 1\r\nB: 2");
    assert_eq!(headers.get(b"B"), Some(&b"2"[..]));
    assert_eq!(headers.iter().count(), 2);
}

#[test]
fn more_lines_follow_all_but_the_last_two_bytes() {
    for (block, opened) in [
        (
            &b"NATS/1.0\r\nA: 1\r\n\r\n"[..],
            &b"NATS/1.0\r\nA: 1\r\n"[..],
        ),
        (b"NATS/1.0\r\nA: 12", b"NATS/1.0\r\nA: "),
        (b"\r\n", b"NATS/1.0\r\n"),
        (b"", b"NATS/1.0\r\n"),
    ] {
        assert_eq!(open(block), opened);
    }
}

#[test]
fn a_status_is_taken_off_and_a_block_of_nothing_else_with_it() {
    for (block, bare) in [
        (&b"NATS/1.0 503\r\n\r\n"[..], &b""[..]),
        (
            b"NATS/1.0 100 Idle\r\nA: 1\r\n\r\n",
            b"NATS/1.0\r\nA: 1\r\n\r\n",
        ),
        (b"NATS/1.0A: 1\r\n\r\n", b""),
        (b"NATS/1.0\r\n\r\n", b"NATS/1.0\r\n\r\n"),
        (b"NATS/1.0\r\nA: 1\r\n\r\n", b"NATS/1.0\r\nA: 1\r\n\r\n"),
        (b"NATS/1.0 503", b"NATS/1.0 503"),
        (b"other 503\r\n\r\n", b"other 503\r\n\r\n"),
    ] {
        assert_eq!(without_status(block, &mut BytesMut::new()), bare);
    }
}
