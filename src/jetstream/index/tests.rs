//! The index finds messages by sequence, subject and time, through deletes and purges.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use protocol::id::LogPos;
use protocol::rng::Rng;

use super::*;
use crate::entry::Reader;

/// The obvious index: a sorted map of sequence to subject.
#[derive(Default)]
struct Model {
    live: BTreeMap<u64, String>,
    last: u64,
}

impl Model {
    fn matching<'a>(&'a self, filter: &'a Filter) -> impl DoubleEndedIterator<Item = u64> + 'a {
        self.live
            .iter()
            .filter(|(_, s)| filter.matches(s.as_bytes()))
            .map(|(&seq, _)| seq)
    }
}

fn msg(seq: u64) -> NewMsg {
    NewMsg {
        loc: Loc::log(LogPos(seq * 10)),
        time: Wall(seq * 100),
        len: 10,
        has_headers: false,
    }
}

fn index() -> Index {
    Index::new(Seq(1), OVERHEAD)
}

const OVERHEAD: Overhead = Overhead {
    fixed: 30,
    headers: 4,
};

fn filters() -> Vec<Filter> {
    ["", "a.1", "a.2", "b.7", "a.*", "b.>", "*.3", "nothing"]
        .iter()
        .map(|f| Filter::new(f.as_bytes()))
        .collect()
}

#[test]
fn random_pushes_and_removals_agree_with_the_obvious_index() {
    for seed in 0..6 {
        let mut rng = Rng::new(seed, 1);
        let (mut index, mut model) = (index(), Model::default());
        let keep = 1 + rng.below(20_000);
        for step in 0..30_000u64 {
            // Phases that grow and phases that shrink, so that chunks become sparse.
            let pushes = if step / 4_000 % 2 == 0 { 80 } else { 20 };
            if rng.below(100) < pushes {
                let subject = format!("{}.{}", if step % 2 == 0 { "a" } else { "b" }, rng.below(9));
                let seq = index.push(subject.as_bytes(), msg(model.last + 1)).0;
                model.last += 1;
                assert_eq!(seq, model.last);
                model.live.insert(seq, subject);
            } else {
                let low = model.last.saturating_sub(keep);
                let seq = low + rng.below(model.last + 2 - low);
                let there = model.live.remove(&seq).is_some();
                assert_eq!(index.remove(Seq(seq)).is_some(), there);
            }
            if rng.one_in(3_000) {
                index.clear(Seq(0));
                model.live.clear();
            }
            if rng.one_in(900) {
                flush(&mut index, u32::try_from(step).unwrap());
            }
            if rng.one_in(400) {
                save(&mut index);
            }
            if rng.one_in(500) {
                compare(&index, &model, &mut rng);
            }
            if rng.one_in(4_000) {
                index = restarted(&index);
            }
        }
        compare(&index, &model, &mut rng);
        let restarted = restarted(&index);
        assert_eq!(written(&index), written(&restarted), "seed {seed}");
        compare(&restarted, &model, &mut rng);
    }
}

/// Moves everything from the log to a segment.
fn flush(index: &mut Index, number: u32) {
    let mut found = Vec::new();
    index.unflushed(LogPos(u64::MAX), usize::MAX, &mut found);
    let moved = found
        .iter()
        .map(|(s, _)| (*s, Loc::segment(number, s.0 * 8)));
    index.relocated(&moved.collect::<Vec<_>>());
    found.clear();
    index.unflushed(LogPos(u64::MAX), usize::MAX, &mut found);
    assert!(found.is_empty(), "everything has moved");
}

/// Writes a checkpoint; what nobody has looked at since the one before is packed.
fn save(index: &mut Index) {
    index.fold();
    save_again(index);
}

/// Writes what has changed.
fn save_again(index: &mut Index) {
    for page in index.take_changed() {
        let mut body = Vec::new();
        index.snapshot_page(page, &mut body);
        index.keep_page(page, &body.into());
    }
}

fn written(index: &Index) -> Vec<(Page, Vec<u8>)> {
    let page = |page| {
        let mut body = Vec::new();
        index.snapshot_page(page, &mut body);
        (page, body)
    };
    index.pages().map(page).collect()
}

fn restarted(index: &Index) -> Index {
    let mut copy = self::index();
    let mut all = Vec::new();
    index.snapshot(&mut all);
    copy.restore(&mut Reader::new(all.into())).unwrap();
    for (page, body) in written(index) {
        let mut from = Reader::new(body.into());
        copy.restore_page(page, &mut from).unwrap();
        from.finish().unwrap();
    }
    copy
}

fn packed(index: &Index) -> usize {
    index.chunks.iter().filter(|c| c.folded().is_some()).count()
}

#[test]
fn what_a_start_finds_is_not_unpacked_before_somebody_looks() {
    let mut index = index();
    for seq in 1..=100_000u64 {
        index.push(format!("s.{}", seq % 7).as_bytes(), msg(seq));
    }
    flush(&mut index, 1);
    let memory = index.memory();
    let mut index = restarted(&index);
    assert_eq!(packed(&index), 24, "all but the last");
    assert!(index.memory() < memory / 2, "{} {memory}", index.memory());
    assert_eq!((index.messages(), index.bytes()), (100_000, 4_000_000));
    assert_eq!(index.num_pending(&[Filter::new(b"s.*")], Seq(1)), 100_000);
    assert_eq!(index.last(&Filter::new(b"s.3")), Some(Seq(99_998)));
    assert_eq!(packed(&index), 24, "known without looking");
    assert_eq!(
        index.next(&Filter::new(b"s.3"), Seq(50_000)),
        Some(Seq(50_004))
    );
    assert_eq!(packed(&index), 23);
    assert!(index.remove(Seq(9)).is_some());
    assert_eq!(index.subject_info(b"s.2").unwrap().messages, 14_285);
    assert_eq!(packed(&index), 22);
    // Two checkpoints after the last look.
    for _ in 0..3 {
        save(&mut index);
    }
    assert_eq!(packed(&index), 24);
    assert_eq!(index.meta(Seq(9)), None);
    assert_eq!(index.meta(Seq(10)).unwrap().loc, Loc::segment(1, 80));
}

#[test]
fn a_page_of_as_many_subjects_as_messages_is_packed_and_finds_them() {
    let mut index = index();
    for seq in 1..=20_000u64 {
        index.push(format!("key.{seq}").as_bytes(), msg(seq));
    }
    flush(&mut index, 1);
    // Two checkpoints after the last look.
    for _ in 0..3 {
        save(&mut index);
    }
    assert_eq!(packed(&index), 4, "all but the last");
    assert_eq!(index.push(b"key.7", msg(20_001)), Seq(20_001));
    assert_eq!(packed(&index), 4, "linked without looking");
    let key = Filter::new(b"key.7");
    assert_eq!(index.next(&key, Seq(1)), Some(Seq(7)));
    assert_eq!(index.next(&key, Seq(8)), Some(Seq(20_001)));
    assert_eq!(index.meta(Seq(5_000)).unwrap().loc, Loc::segment(1, 40_000));
    // Ids that come back in another order are found one by one, in pages of few.
    for seq in 20_002..=40_000u64 {
        let key = seq * 7_919 % 20_000 + 1;
        index.push(format!("key.{key}").as_bytes(), msg(seq));
    }
    flush(&mut index, 2);
    let restarted = restarted(&index);
    for index in [&index, &restarted] {
        for key in [1u64, 9, 4_096, 19_999] {
            let name = format!("key.{key}");
            let info = index.subject_info(name.as_bytes()).unwrap();
            let filter = Filter::new(name.as_bytes());
            assert_eq!(index.next(&filter, Seq(key + 1)), Some(info.last), "{name}");
        }
    }
}

#[test]
fn what_has_left_the_log_is_packed_at_once_unless_somebody_reads_it() {
    let mut index = index();
    for seq in 1..=20_000u64 {
        index.push(format!("key.{seq}").as_bytes(), msg(seq));
    }
    save(&mut index);
    assert_eq!(packed(&index), 0, "all of it lies in the log");
    flush(&mut index, 1);
    assert!(index.meta(Seq(9_000)).is_some());
    save_again(&mut index);
    assert_eq!(
        packed(&index),
        3,
        "all but the last and the one that was read"
    );
    save(&mut index);
    save(&mut index);
    assert_eq!(packed(&index), 4, "two checkpoints after the last look");
    for page in index.pages().collect::<Vec<_>>() {
        index.touch(page);
    }
    let before = written(&index);
    save(&mut index);
    assert_eq!(packed(&index), 4, "written again as it is");
    assert_eq!(written(&index), before);
    let moved: Vec<_> = (5_000..6_000u64)
        .map(|seq| (Seq(seq), Loc::segment(2, seq * 8)))
        .collect();
    index.relocated(&moved);
    assert_eq!(packed(&index), 3);
    save(&mut index);
    assert_eq!(packed(&index), 4, "moving is not reading");
    assert_eq!(index.meta(Seq(5_500)).unwrap().loc, Loc::segment(2, 44_000));
}

#[test]
fn links_lead_from_a_packed_page_to_the_next() {
    let mut index = index();
    for seq in 1..=20_000u64 {
        let subject = if seq % 5_000 == 0 { "rare" } else { "s" };
        index.push(subject.as_bytes(), msg(seq));
    }
    flush(&mut index, 1);
    let mut index = restarted(&index);
    index.push(b"rare", msg(20_001));
    let rare = Filter::new(b"rare");
    for (from, next) in [
        (1, 5_000),
        (5_001, 10_000),
        (10_001, 15_000),
        (20_001, 20_001),
    ] {
        assert_eq!(index.next(&rare, Seq(from)), Some(Seq(next)));
    }
    assert_eq!(
        index.linked(index.subjects.find(b"rare").unwrap(), 20_000),
        Some(20_001)
    );
}

#[test]
fn a_search_for_what_lies_in_a_wasteful_segment_is_bounded_and_goes_on() {
    let mut index = index();
    for seq in 1..=40_000u64 {
        index.push(b"s", msg(seq));
    }
    flush(&mut index, 1);
    index.push(b"s", msg(40_001));
    flush(&mut index, 2);
    for seq in (1..=40_000).filter(|seq| seq % 10 != 0) {
        index.remove(Seq(seq));
    }
    assert!(index.has_wasteful_segment());
    let mut seen = 0;
    while index.has_wasteful_segment() {
        let mut found = Vec::new();
        index.wasteful_segment(500, &mut found);
        assert!((1..1_000).contains(&found.len()), "{}", found.len());
        seen += found.len();
        let moved = found.iter().map(|(seq, _)| (*seq, Loc::segment(3, seq.0)));
        index.relocated(&moved.collect::<Vec<_>>());
    }
    assert_eq!(seen, 4_000);
}

fn compare(index: &Index, model: &Model, rng: &mut Rng) {
    assert_eq!(index.messages(), model.live.len() as u64);
    assert_eq!(index.bytes(), 40 * index.messages());
    assert_eq!(index.last_seq().0, model.last);
    let first = model.live.keys().next().copied();
    assert_eq!(index.first_seq().0, first.unwrap_or(model.last + 1));
    for filter in &filters() {
        let from = rng.below(model.last + 2);
        let expected = model.matching(filter).find(|&s| s >= from);
        assert_eq!(index.next(filter, Seq(from)).map(|s| s.0), expected);
        let last = model.matching(filter).next_back();
        assert_eq!(index.last(filter).map(|s| s.0), last, "{filter:?}");
        let pending = model.matching(filter).filter(|&s| s >= from).count();
        let counted = index.num_pending(core::slice::from_ref(filter), Seq(from));
        assert_eq!(counted, pending as u64, "{filter:?} from {from}");
    }
    let mut lasts: BTreeMap<&str, (u64, u64, u64)> = BTreeMap::new();
    for (&seq, subject) in &model.live {
        let entry = lasts.entry(subject).or_insert((0, seq, seq));
        *entry = (entry.0 + 1, entry.1, seq);
    }
    let listed: Vec<_> = index
        .subjects(&Filter::All)
        .into_iter()
        .map(|(name, i)| (name.to_vec(), (i.messages, i.first.0, i.last.0)))
        .collect();
    let expected: Vec<_> = lasts
        .iter()
        .map(|(name, info)| (name.as_bytes().to_vec(), *info))
        .collect();
    assert_eq!(listed, expected);
    let mut per_subject = Vec::new();
    index.last_per_subject(&[], &mut per_subject);
    let mut ends: Vec<_> = lasts.values().map(|info| Seq(info.2)).collect();
    ends.sort_unstable();
    assert_eq!(per_subject, ends);
}

#[test]
fn sequences_go_on_after_everything_is_gone() {
    let mut index = index();
    index.push(b"a", msg(1));
    index.push(b"a", msg(2));
    index.clear(Seq(0));
    assert_eq!((index.first_seq(), index.last_seq()), (Seq(3), Seq(2)));
    assert_eq!(index.last_time(), Wall(200));
    assert_eq!(index.push(b"a", msg(3)), Seq(3));
    assert_eq!(index.first_seq(), Seq(3));
}

#[test]
fn a_skipped_sequence_counts_as_deleted_only_between_messages() {
    let mut index = index();
    index.skip(Wall(1));
    assert_eq!(index.first_seq(), Seq(2));
    index.push(b"a", msg(2));
    index.skip(Wall(3));
    assert_eq!(index.push(b"a", msg(4)), Seq(4));
    assert_eq!(index.num_deleted(), 1);
    assert_eq!(index.next(&Filter::All, Seq(3)), Some(Seq(4)));
}

#[test]
fn the_first_message_since_a_time_is_found_across_removed_chunks() {
    let mut index = index();
    for seq in 1..=10_000 {
        index.push(b"a", msg(seq));
    }
    for seq in 4_000..9_000 {
        index.remove(Seq(seq));
    }
    assert_eq!(index.first_since(Wall(0)), Seq(1));
    assert_eq!(index.first_since(Wall(399_900)), Seq(3_999));
    assert_eq!(index.first_since(Wall(399_901)), Seq(9_000));
    assert_eq!(index.first_since(Wall(2_000_000)), Seq(10_001));
}

#[test]
fn a_first_sequence_far_ahead_costs_no_chunks() {
    let mut index = Index::new(Seq(1 << 40), OVERHEAD);
    assert_eq!(index.push(b"a", msg(1)), Seq(1 << 40));
    assert!(index.memory() < 4_096);
}

#[test]
fn what_has_moved_is_not_offered_for_flushing_again() {
    let mut index = index();
    for seq in 1..=10_000 {
        index.push(b"a", msg(seq));
    }
    index.remove(Seq(3));
    let mut found = Vec::new();
    index.unflushed(LogPos(50), usize::MAX, &mut found);
    assert_eq!(found.iter().map(|f| f.0.0).collect::<Vec<_>>(), [1, 2, 4]);
    let moved: Vec<_> = found
        .iter()
        .map(|(s, _)| (*s, Loc::segment(1, s.0)))
        .collect();
    index.relocated(&moved);
    assert_eq!(index.meta(Seq(4)).unwrap().loc, Loc::segment(1, 4));
    found.clear();
    index.unflushed(LogPos(u64::MAX), usize::MAX, &mut found);
    assert_eq!((found.len(), found[0].0), (9_996, Seq(5)));
}

#[test]
fn a_few_old_messages_among_many_removed_ones_cost_little() {
    let mut index = index();
    for seq in 1..=400_000u64 {
        let subject = if seq % 4_096 == 7 {
            format!("kept.{seq}")
        } else {
            "churn".into()
        };
        index.push(subject.as_bytes(), msg(seq));
        if seq > 1 && index.subject_info(b"churn").is_some_and(|i| i.messages > 1) {
            let first = index.subject_info(b"churn").unwrap().first;
            index.remove(first);
        }
    }
    assert_eq!(index.messages(), 99);
    assert!(index.memory() < 300_000, "{}", index.memory());
    assert_eq!(
        index.next(&Filter::new(b"kept.>"), Seq(10_000)),
        Some(Seq(12_295))
    );
}

#[test]
fn a_pattern_finds_its_few_messages_among_many_others() {
    let mut index = index();
    let mut wanted = Vec::new();
    for seq in 1..=40_000u64 {
        let subject = match seq {
            9_000 | 9_001 | 30_000 => String::from("w.a"),
            15_000 | 39_999 => String::from("w.b"),
            _ => format!("s.{}", seq % 50),
        };
        if subject.starts_with('w') {
            wanted.push(seq);
        }
        index.push(subject.as_bytes(), msg(seq));
    }
    let filter = Filter::new(b"w.*");
    let find = |index: &Index, from| index.next(&filter, Seq(from)).map(|seq| seq.0);
    for from in (1..=40_001)
        .step_by(997)
        .chain([9_001, 9_002, 30_000, 30_001, 40_000])
    {
        let expected = wanted.iter().copied().find(|&seq| seq >= from);
        assert_eq!(find(&index, from), expected, "from {from}");
    }
    // What is gone is not found, wherever the books still name it.
    index.remove(Seq(9_000));
    index.remove(Seq(15_000));
    assert_eq!(find(&index, 1), Some(9_001));
    assert_eq!(find(&index, 9_002), Some(30_000));
    index.remove(Seq(9_001));
    assert_eq!(find(&index, 1), Some(30_000));
    assert_eq!(find(&index, 30_001), Some(39_999));
    assert_eq!(find(&index, 40_000), None);
}
