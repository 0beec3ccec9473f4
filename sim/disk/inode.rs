//! One file: what processes see of it, and what is on the medium, by sector.

use std::collections::BTreeSet;

/// What a power loss tears no further.
const SECTOR: usize = 512;

/// A file's bytes.
#[derive(Clone, Debug)]
pub(super) struct Inode {
    cache: Vec<u8>,
    medium: Vec<u8>,
    dirty: BTreeSet<usize>,
}

impl Inode {
    /// Returns a durable file of zeroes.
    pub(super) fn zeroed(len: u64) -> Self {
        let bytes = vec![0; size(len)];
        Self {
            cache: bytes.clone(),
            medium: bytes,
            dirty: BTreeSet::new(),
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.cache.len() as u64
    }

    pub(super) fn contents(&self) -> &[u8] {
        &self.cache
    }

    pub(super) fn read(&self, offset: u64, len: u32) -> Vec<u8> {
        let end = self
            .cache
            .len()
            .min(size(offset).saturating_add(len as usize));
        let start = size(offset).min(end);
        self.cache.get(start..end).unwrap_or_default().to_vec()
    }

    pub(super) fn write(&mut self, offset: u64, data: &[u8]) {
        put(&mut self.cache, size(offset), data);
        let end = size(offset) + data.len();
        self.dirty
            .extend(size(offset) / SECTOR..end.div_ceil(SECTOR));
    }

    /// A write that the device acknowledges and forgets.
    pub(super) fn write_cache_only(&mut self, offset: u64, data: &[u8]) {
        put(&mut self.cache, size(offset), data);
    }

    /// A write that the device puts where nobody asked for it.
    pub(super) fn write_medium_only(&mut self, offset: u64, data: &[u8]) {
        put(&mut self.medium, size(offset), data);
    }

    pub(super) fn sync(&mut self) {
        for sector in core::mem::take(&mut self.dirty) {
            self.write_back(sector);
        }
        self.medium.resize(self.cache.len(), 0);
    }

    fn write_back(&mut self, sector: usize) {
        let start = (sector * SECTOR).min(self.cache.len());
        let end = (start + SECTOR).min(self.cache.len());
        let bytes = self.cache.get(start..end).unwrap_or_default().to_vec();
        put(&mut self.medium, start, &bytes);
    }

    /// A failed sync: the pages are clean, the medium has nothing of them.
    pub(super) fn drop_dirty(&mut self) {
        self.dirty.clear();
    }

    /// Keeps the unsynced sectors that `keeps(how many there are, which one)` names; the rest is as
    /// it was after the last sync.
    pub(super) fn lose_power(&mut self, mut keeps: impl FnMut(usize, usize) -> bool) {
        let dirty = core::mem::take(&mut self.dirty);
        let count = dirty.len();
        for (at, sector) in dirty.into_iter().enumerate() {
            if keeps(count, at) {
                self.write_back(sector);
            }
        }
        self.cache.clone_from(&self.medium);
    }

    pub(super) fn flip(&mut self, offset: u64, bit: u8) {
        for side in [&mut self.cache, &mut self.medium] {
            if let Some(byte) = side.get_mut(size(offset)) {
                *byte ^= 1 << (bit % 8);
            }
        }
    }

    /// Replaces bytes of the cache and the medium; the file does not grow.
    pub(super) fn overwrite(&mut self, offset: u64, data: &[u8]) {
        for side in [&mut self.cache, &mut self.medium] {
            let start = size(offset).min(side.len());
            let len = data.len().min(side.len() - start);
            put(side, start, data.get(..len).unwrap_or_default());
        }
    }

    pub(super) fn truncate(&mut self, len: u64) {
        self.cache.truncate(size(len));
        self.medium.truncate(size(len));
        self.dirty.retain(|sector| sector * SECTOR < size(len));
    }
}

fn put(bytes: &mut Vec<u8>, start: usize, data: &[u8]) {
    let end = start + data.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    if let Some(place) = bytes.get_mut(start..end) {
        place.copy_from_slice(data);
    }
}

fn size(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}
