//! The group of one replica: the local log's sync is the agreement.

use bytes::BytesMut;
use protocol::id::LogPos;
use storage::Store;

/// An entry that may be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a committed entry is to be applied"]
pub struct Committed(pub LogPos);

/// The order of entries with one replica.
#[derive(Debug, Default)]
pub struct SoloLog {
    /// The newest entry that has been committed; `None` before the first.
    committed: Option<LogPos>,
}

impl SoloLog {
    /// Appends an entry to the group's log and returns its position. It comes back through
    /// [`SoloLog::on_synced`].
    #[inline]
    pub fn propose(&self, store: &mut Store, encode: impl FnOnce(&mut BytesMut)) -> LogPos {
        let pos = store.append(encode);
        debug_assert!(Some(pos) > self.committed, "positions only grow");
        pos
    }

    /// Does what [`SoloLog::propose`] does, for an entry that nobody waits for.
    #[inline]
    pub fn propose_lazily(&self, store: &mut Store, encode: impl FnOnce(&mut BytesMut)) -> LogPos {
        let pos = store.append_lazily(encode);
        debug_assert!(Some(pos) > self.committed, "positions only grow");
        pos
    }

    /// Takes an entry that the local log holds durably, or that recovery has read from it. With one
    /// replica that commits it.
    ///
    /// # Panics
    /// If the log gives an entry again: it would be applied twice, and everything after it would mean
    /// something else than what was acknowledged.
    #[inline]
    pub fn on_synced(&mut self, pos: LogPos) -> Committed {
        assert!(Some(pos) > self.committed, "the log gave an entry twice");
        self.committed = Some(pos);
        Committed(pos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_committed_in_log_order() {
        let mut group = SoloLog::default();
        assert_eq!(group.on_synced(LogPos(0)), Committed(LogPos(0)));
        assert_eq!(group.on_synced(LogPos(40)), Committed(LogPos(40)));
    }

    #[test]
    #[should_panic(expected = "the log gave an entry twice")]
    fn an_entry_is_never_committed_twice() {
        let mut group = SoloLog::default();
        for _ in 0..2 {
            let Committed(_) = group.on_synced(LogPos(8));
        }
    }
}
