//! Entries that are stored compressed.

use super::*;
use crate::Packing;

fn flush(user: &mut User, packing: Packing) {
    let entries = user.streams[0].iter().map(|(seq, loc, _)| (*seq, *loc));
    let entries = entries.collect();
    user.rig.store.flush_packed(A, entries, packing);
    user.rig.pump();
    user.take_moves();
}

fn segment_len(user: &User, number: u32) -> usize {
    let file = FileName::Segment { stream: A, number };
    user.rig.disk.files[&file].len()
}

fn assert_readable(user: &mut User) {
    for (_, loc, body) in user.streams[0].clone() {
        assert_eq!(user.read(A, loc).as_deref(), Ok(&body[..]));
    }
}

#[test]
fn compressed_entries_take_less_room_and_read_as_they_were() {
    let lens = [Packing::Plain, Packing::Compressed].map(|packing| {
        let mut user = User::new();
        user.publish(A, 75);
        flush(&mut user, packing);
        user.checkpoint();
        let len = segment_len(&user, 0);
        assert_readable(&mut user);
        user = user.reopen();
        assert_eq!(user.rig.report().damage, []);
        assert_readable(&mut user);
        len
    });
    assert!(lens[1] < lens[0], "{lens:?}");
}

#[test]
fn compressed_entries_stay_so_in_a_segment_that_is_rewritten() {
    let mut user = User::new();
    user.publish(A, 75);
    flush(&mut user, Packing::Compressed);
    user.checkpoint();
    user = user.reopen();
    flush(&mut user, Packing::Plain);
    assert_eq!(segment_len(&user, 1), segment_len(&user, 0));
    assert_readable(&mut user);
}

#[test]
fn rot_in_a_compressed_entry_fails_that_read_only() {
    let mut user = User::new();
    user.publish(A, 75);
    flush(&mut user, Packing::Compressed);
    let (_, loc, _) = user.streams[0][70];
    let Place::Segment { number, offset } = loc.place() else {
        panic!("not flushed");
    };
    let file = FileName::Segment { stream: A, number };
    user.rig.disk.flip(file, offset + 30, 1);
    assert_eq!(user.read(A, loc), Err(ReadError::Damaged));
    let (_, next, body) = user.streams[0][71].clone();
    assert_eq!(user.read(A, next).as_deref(), Ok(&body[..]));
}
