//! Who gets a message, with and without wildcards, queues and cache.

use alloc::format;
use alloc::vec::Vec;

use protocol::rng::Rng;

use super::*;
use crate::limits::CACHED_SUBJECTS_MAX;

#[test]
fn every_matching_plain_subscription_is_found_once() {
    let mut list = list(&[
        ("a.b", None, 1),
        ("a.*", None, 2),
        ("a.>", None, 3),
        (">", None, 4),
        ("a.c", None, 5),
    ]);
    for _ in 0..3 {
        assert_eq!(plain(&mut list, "a.b"), [1, 2, 3, 4]);
        assert_eq!(plain(&mut list, "a"), [4]);
        assert_eq!(plain(&mut list, "a.b.c"), [3, 4]);
        assert_eq!(plain(&mut list, "a..b"), Vec::<u32>::new());
    }
}

#[test]
fn groups_of_one_name_are_merged_over_subjects() {
    let mut list = list(&[
        ("foo", Some("q"), 1),
        ("*", Some("q"), 2),
        ("foo", Some("r"), 3),
        ("bar", Some("q"), 4),
    ]);
    let found = list.matches(b"foo");
    let mut groups: Vec<(&[u8], Vec<u32>)> = found
        .groups()
        .map(|g| {
            (
                list.queue_name(g.queue).unwrap(),
                sorted(g.members.to_vec()),
            )
        })
        .collect();
    groups.sort();
    assert_eq!(
        groups,
        [(&b"q"[..], Vec::from([1, 2])), (b"r", Vec::from([3]))]
    );
}

#[test]
fn queue_members_are_drawn_evenly_and_the_others_follow() {
    let mut list = list(&[
        ("a", Some("q"), 0),
        ("a", Some("q"), 1),
        ("a", Some("q"), 2),
    ]);
    let found = list.matches(b"a");
    let group = found.groups().next().unwrap();
    let mut rng = Rng::new(1, 1);
    let mut counts = [0; 3];
    for _ in 0..3000 {
        counts[usize::try_from(group.pick(&mut rng).unwrap()).unwrap()] += 1;
    }
    assert!(counts.iter().all(|n| (850..1150).contains(n)), "{counts:?}");
    assert_eq!(sorted(group.candidates(&mut rng).collect()), [0, 1, 2]);
}

#[test]
fn changes_reach_cached_results() {
    let mut list = list(&[("a.b", None, 1)]);
    for _ in 0..3 {
        assert_eq!(plain(&mut list, "a.b"), [1]);
    }
    assert_eq!(list.stats().cached, 1);
    list.insert(b"a.*", None, 2).unwrap();
    assert_eq!(plain(&mut list, "a.b"), [1, 2]);
    list.insert(b"a.b", None, 3).unwrap();
    assert_eq!(plain(&mut list, "a.b"), [1, 2, 3]);
    assert!(list.remove(b"a.*", None, 2));
    assert!(list.remove(b"a.b", None, 1));
    assert!(!list.remove(b"a.b", None, 1));
    assert!(!list.remove(b"a.b", Some(b"q"), 3));
    assert_eq!(plain(&mut list, "a.b"), [3]);
}

#[test]
fn subjects_used_once_do_not_enter_the_cache() {
    let mut list = list(&[("_INBOX.x.*", None, 1), ("busy", None, 2)]);
    for n in 0..20_000 {
        assert_eq!(list.matches(format!("_INBOX.x.{n}").as_bytes()).len(), 1);
        assert_eq!(list.matches(b"busy").len(), 1);
    }
    assert_eq!(list.stats().cached, 1);
    assert!(list.stats().cache_hits > 19_000);
}

#[test]
fn the_cache_stays_bounded_and_keeps_what_is_used() {
    let mut list = list(&[("a.>", None, 1)]);
    for n in 0..3 * CACHED_SUBJECTS_MAX {
        for _ in 0..2 {
            list.matches(format!("a.{n}").as_bytes());
        }
        list.matches(b"a.hot");
    }
    assert_eq!(list.stats().cached, CACHED_SUBJECTS_MAX as u64);
    let hits = list.stats().cache_hits;
    list.matches(b"a.hot");
    assert_eq!(list.stats().cache_hits, hits + 1);
}

#[test]
fn a_result_in_use_is_not_overwritten_by_the_next() {
    let mut list = list(&[("a", None, 1), ("b", None, 2)]);
    let a = list.matches(b"a");
    let b = list.matches(b"b");
    assert_eq!((a.plain(), b.plain()), (&[1][..], &[2][..]));
}

#[test]
fn overlapping_subscriptions_are_found_for_patterns() {
    let list = list(&[
        ("a.b", None, 1),
        ("a.*", Some("q"), 2),
        ("a.>", None, 3),
        ("b.c", None, 4),
        ("a", None, 5),
    ]);
    for (pattern, expected) in [
        ("a.b", &[1, 2, 3][..]),
        ("*.b", &[1, 2, 3]),
        ("a.>", &[1, 2, 3]),
        (">", &[1, 2, 3, 4, 5]),
        ("*", &[5]),
        ("*.*", &[1, 2, 3, 4]),
        ("a.b.c", &[3]),
        ("b.x", &[]),
    ] {
        let mut found = Vec::new();
        list.overlapping(pattern.as_bytes(), |value| found.push(value));
        assert_eq!(sorted(found), expected, "{pattern}");
    }
}

#[test]
fn a_subject_of_very_many_tokens_takes_no_stack() {
    let deep = ["a"; 400_000].join(".");
    let wild = ["*"; 400_000].join(".");
    let mut list = list(&[(&deep, None, 1), (&wild, None, 2)]);
    assert_eq!(plain(&mut list, &deep), [1, 2]);
    let mut found = Vec::new();
    list.overlapping(wild.as_bytes(), |value| found.push(value));
    assert_eq!(sorted(found), [1, 2]);
    assert!(list.remove(deep.as_bytes(), None, 1));
    assert!(list.remove(wild.as_bytes(), None, 2));
    assert!(list.is_empty());
}

#[test]
fn subjects_that_nothing_can_match_are_refused() {
    let mut list = Sublist::new(7);
    for subject in ["", ".", "a..b", "a.", ">.a"] {
        assert_eq!(
            list.insert(subject.as_bytes(), None, 1),
            Err(InvalidSubject)
        );
    }
    assert!(list.is_empty());
}

fn list(subscriptions: &[(&str, Option<&str>, u32)]) -> Sublist<u32> {
    let mut list = Sublist::new(7);
    for (subject, queue, value) in subscriptions {
        list.insert(subject.as_bytes(), queue.map(str::as_bytes), *value)
            .unwrap();
    }
    list
}

fn plain(list: &mut Sublist<u32>, subject: &str) -> Vec<u32> {
    sorted(list.matches(subject.as_bytes()).plain().to_vec())
}

fn sorted(mut values: Vec<u32>) -> Vec<u32> {
    values.sort_unstable();
    values
}
