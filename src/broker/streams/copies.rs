//! Sections of a checkpoint that are there twice: small ones, without which a stream, or all of them, could
//! not be served. A stream that does not change has them in one file only, which both checkpoints share.
//!
//! *Invariants:* a copy follows its original in the order of the keys, so that what is lost is known to be
//! lost before anything that needs it comes. Nobody else knows of copies.

use alloc::vec::Vec;

use protocol::store::{SectionChange, SectionKey};
use storage::StoreEvent;

/// Distinguishes a copy: originals that have one have no number but their kind.
const COPY: u64 = 1;
/// The kinds of sections of which there are many to a stream: they have no copies.
const PAGES: [u64; 2] = [2, 3];
/// The kind is in the upper byte of a section's number.
const KIND_SHIFT: u32 = 56;

fn copy_of(key: SectionKey) -> Option<SectionKey> {
    let kind = key.number >> KIND_SHIFT;
    let has_copy = key.number == kind << KIND_SHIFT && !PAGES.contains(&kind);
    has_copy.then_some(SectionKey {
        number: key.number | COPY,
        ..key
    })
}

fn original_of(key: SectionKey) -> Option<SectionKey> {
    let original = SectionKey {
        number: key.number & !COPY,
        ..key
    };
    (copy_of(original) == Some(key)).then_some(original)
}

/// Adds the copies to what a checkpoint is to write.
pub(super) fn add(changes: &mut Vec<SectionChange>) {
    let copies = changes.iter().filter_map(|change| match change {
        SectionChange::Put(key, body) => {
            copy_of(*key).map(|copy| SectionChange::Put(copy, body.clone()))
        }
        SectionChange::Drop(key) => copy_of(*key).map(SectionChange::Drop),
        SectionChange::DropGroup(_) => None,
    });
    let copies: Vec<_> = copies.collect();
    changes.extend(copies);
}

/// What a start has found of them.
#[derive(Debug, Default)]
pub(super) struct Copies {
    /// An original that is lost; its copy comes next, if there is one.
    lost: Option<SectionKey>,
    /// Originals of which one of the two is lost.
    stale: Vec<SectionKey>,
}

impl Copies {
    /// Whether [`Copies::sort_out`] is to look at an event.
    #[inline]
    pub(super) fn concerns(&self, event: &StoreEvent) -> bool {
        let is_of_checkpoint = matches!(
            event,
            StoreEvent::Section { .. } | StoreEvent::SectionLost(_) | StoreEvent::CheckpointGivenUp
        );
        is_of_checkpoint || self.lost.is_some()
    }

    /// Returns what an event amounts to: nothing, or one or two events without copies.
    pub(super) fn sort_out(&mut self, event: StoreEvent) -> [Option<StoreEvent>; 2] {
        let before = self.lost.take();
        let told = before.map(StoreEvent::SectionLost);
        if let StoreEvent::SectionLost(key) = event {
            match original_of(key) {
                Some(original) => self.stale.push(original),
                None if copy_of(key).is_some() => self.lost = Some(key),
                None => return [told, Some(event)],
            }
            return [told, None];
        }
        if event == StoreEvent::CheckpointGivenUp {
            self.stale.clear();
            return [Some(event), None];
        }
        let StoreEvent::Section { key, body } = event else {
            return [told, Some(event)];
        };
        match original_of(key) {
            Some(original) if before == Some(original) => {
                self.stale.push(original);
                let key = original;
                [Some(StoreEvent::Section { key, body }), None]
            }
            Some(_) => [told, None],
            None => [told, Some(StoreEvent::Section { key, body })],
        }
    }

    /// Takes the sections that should be written again.
    pub(super) fn take_stale(&mut self) -> Vec<SectionKey> {
        core::mem::take(&mut self.stale)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use bytes::Bytes;

    use super::*;

    const CONFIG: SectionKey = SectionKey {
        group: 3,
        number: 0,
    };
    const CONFIG_COPY: SectionKey = SectionKey {
        group: 3,
        number: 1,
    };
    const STATE: SectionKey = SectionKey {
        group: 3,
        number: 1 << KIND_SHIFT,
    };
    const PAGE: SectionKey = SectionKey {
        group: 3,
        number: 3 << KIND_SHIFT,
    };

    fn section(key: SectionKey, body: &'static str) -> StoreEvent {
        StoreEvent::Section {
            key,
            body: Bytes::from_static(body.as_bytes()),
        }
    }

    fn sort_out(events: Vec<StoreEvent>) -> (Vec<StoreEvent>, Vec<SectionKey>) {
        let mut copies = Copies::default();
        let sorted = events.into_iter().flat_map(|event| copies.sort_out(event));
        let sorted = sorted.flatten().collect();
        (sorted, copies.take_stale())
    }

    #[test]
    fn copies_of_what_is_whole_are_not_shown() {
        let (shown, stale) = sort_out(vec![
            section(CONFIG, "a"),
            section(CONFIG_COPY, "a"),
            section(PAGE, "b"),
        ]);
        assert_eq!(shown, [section(CONFIG, "a"), section(PAGE, "b")]);
        assert_eq!(stale, []);
    }

    #[test]
    fn copy_stands_for_an_original_that_is_lost() {
        let (shown, stale) = sort_out(vec![
            StoreEvent::SectionLost(CONFIG),
            section(CONFIG_COPY, "a"),
            section(STATE, "b"),
        ]);
        assert_eq!(shown, [section(CONFIG, "a"), section(STATE, "b")]);
        assert_eq!(stale, [CONFIG]);
    }

    #[test]
    fn what_is_lost_without_a_copy_is_told_in_its_place() {
        let lost = StoreEvent::SectionLost;
        let (shown, _) = sort_out(vec![
            lost(CONFIG),
            lost(CONFIG_COPY),
            lost(STATE),
            section(PAGE, "b"),
            lost(PAGE),
        ]);
        let expected = [lost(CONFIG), lost(STATE), section(PAGE, "b"), lost(PAGE)];
        assert_eq!(shown, expected);
    }

    #[test]
    fn originals_have_copies_and_pages_have_none() {
        let body = Bytes::from_static(b"x");
        let mut changes = vec![
            SectionChange::Put(CONFIG, body.clone()),
            SectionChange::Put(PAGE, body.clone()),
            SectionChange::Drop(STATE),
        ];
        add(&mut changes);
        assert_eq!(changes.len(), 5);
        assert!(changes.contains(&SectionChange::Put(CONFIG_COPY, body)));
    }
}
