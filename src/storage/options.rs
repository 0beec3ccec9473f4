//! The store's limits, each with a name.

use crate::vault::StoreKey;

/// How large the store's files, caches and batches may become.
#[derive(Clone, Copy, Debug)]
pub struct StoreOptions {
    /// The length of a log file, in bytes. An entry must be shorter than half of it.
    pub log_file_len: u64,
    /// The length of the first log file; each next one is twice as long up to `log_file_len`, so that a
    /// small store stays small and the first start is quick.
    pub log_file_len_first: u64,
    /// How many log files are made ahead of the one being written.
    pub log_files_ahead: usize,
    /// Room in the log, in bytes, that publishers leave to deletes and acknowledgements when the disk
    /// is full.
    pub log_reserve: u64,
    /// How many bytes of the newest entries stay in memory.
    pub tail_cache_max: usize,
    /// How many bytes of blocks read from the disk stay in memory.
    pub read_cache_max: usize,
    /// How many bytes one read of a stored entry fetches, as consumers read on.
    pub read_len: u32,
    /// The size of the buffers that entries are collected in, and of one write.
    pub chunk_len: usize,
    /// How many bytes recovery reads at once.
    pub recovery_read_len: u32,
    /// How often recovery tries a read that fails, at most once per [`crate::Store::tick`] but for
    /// the first time, before it gives up.
    pub recovery_read_attempts: u32,
    /// How many bytes of the log may be unflushed before [`crate::StoreEvent::FlushWanted`] is raised,
    /// for all but three fourths of it: much of the newest part is consumed and removed before it is
    /// flushed.
    pub flush_threshold: u64,
    /// How many bytes of the log may be unflushed while long entries pour in, which take the disk for
    /// themselves: they are written a second time when there are fewer.
    pub flush_backlog_max: u64,
    /// How many bytes of the log lie between two checkpoints, and so about how many a start replays.
    /// Where checkpoints are long, the store waits for more, so that they stay a small part of what is
    /// written.
    pub checkpoint_step: u64,
    /// How many bytes per [`crate::Store::tick`] are read again to find rot; none for no scrub.
    pub scrub_rate: u64,
    /// How many ticks pass between the beginnings of two laps through everything stored.
    pub scrub_pause: u64,
    /// A segment that has reached this length is not continued.
    pub segment_len_max: u64,
    /// What users' data is encrypted with; none for a store that is not.
    pub key: Option<StoreKey>,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            log_file_len: 64 << 20,
            log_file_len_first: 4 << 20,
            log_files_ahead: 1,
            log_reserve: 1 << 20,
            tail_cache_max: 40 << 20,
            read_cache_max: 32 << 20,
            read_len: 128 << 10,
            chunk_len: 1 << 20,
            recovery_read_len: 1 << 20,
            recovery_read_attempts: 30,
            flush_threshold: 32 << 20,
            flush_backlog_max: 512 << 20,
            checkpoint_step: 16 << 20,
            scrub_rate: 4 << 20,
            scrub_pause: 24 * 3600,
            segment_len_max: 256 << 20,
            key: None,
        }
    }
}
