//! Which sections the state consists of, and in which checkpoint's file each of them lies.
//!
//! *Invariant:* a section is written once and never changed; a newer version of it lies in a newer
//! checkpoint's file. So a checkpoint costs what has changed, and its table names files of others.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use bytes::{Buf, BufMut};
use protocol::store::SectionKey;

use crate::record::padded;

/// Where a section lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SectionPlace {
    /// The number of the checkpoint in whose file it lies.
    pub(crate) file: u64,
    /// The offset of its record.
    pub(crate) offset: u64,
    /// The length of its contents, with their seal if they have one.
    pub(crate) len: u32,
}

impl SectionPlace {
    /// Returns the length of its record.
    pub(crate) fn total(self) -> u64 {
        padded(self.len as usize) as u64
    }

    pub(crate) fn end(self) -> u64 {
        self.offset.saturating_add(self.total())
    }
}

/// The table of sections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sections {
    table: BTreeMap<SectionKey, SectionPlace>,
}

impl Sections {
    /// How many bytes a section takes in the table.
    const ENTRY_LEN: usize = 36;

    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    pub(crate) fn insert(&mut self, key: SectionKey, place: SectionPlace) {
        self.table.insert(key, place);
    }

    pub(crate) fn get(&self, key: SectionKey) -> Option<SectionPlace> {
        self.table.get(&key).copied()
    }

    pub(crate) fn remove(&mut self, key: SectionKey) {
        self.table.remove(&key);
    }

    pub(crate) fn remove_group(&mut self, group: u64) {
        for key in group_keys(&self.table, group) {
            self.table.remove(&key);
        }
    }

    /// Returns the sections in the order of their keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (SectionKey, SectionPlace)> + '_ {
        self.table.iter().map(|(&key, &place)| (key, place))
    }

    /// Returns the numbers of the checkpoints in whose files sections lie.
    pub(crate) fn files(&self) -> BTreeSet<u64> {
        self.table.values().map(|place| place.file).collect()
    }

    /// Returns how many bytes of each file are in use.
    pub(crate) fn used(&self) -> BTreeMap<u64, u64> {
        let mut used = BTreeMap::new();
        for place in self.table.values() {
            *used.entry(place.file).or_default() += place.total();
        }
        used
    }

    /// Returns how many bytes [`Sections::encode`] gives for `count` sections.
    pub(crate) fn encoded_len(count: usize) -> usize {
        8 + count * Self::ENTRY_LEN
    }

    pub(crate) fn encode(&self, out: &mut impl BufMut) {
        out.put_u64_le(self.table.len() as u64);
        for (key, place) in &self.table {
            out.put_u64_le(key.group);
            out.put_u64_le(key.number);
            out.put_u64_le(place.file);
            out.put_u64_le(place.offset);
            out.put_u32_le(place.len);
        }
    }

    pub(crate) fn decode(body: &mut &[u8]) -> Option<Self> {
        let mut table = BTreeMap::new();
        for _ in 0..body.try_get_u64_le().ok()? {
            let key = SectionKey {
                group: body.try_get_u64_le().ok()?,
                number: body.try_get_u64_le().ok()?,
            };
            let place = SectionPlace {
                file: body.try_get_u64_le().ok()?,
                offset: body.try_get_u64_le().ok()?,
                len: body.try_get_u32_le().ok()?,
            };
            table.insert(key, place);
        }
        Some(Self { table })
    }
}

/// Returns the keys of a group.
pub(crate) fn group_keys<T>(table: &BTreeMap<SectionKey, T>, group: u64) -> Vec<SectionKey> {
    let key = |number| SectionKey { group, number };
    let range = table.range(key(0)..=key(u64::MAX));
    range.map(|(&key, _)| key).collect()
}
