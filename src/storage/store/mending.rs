//! What a repair asks of a store that has been opened.

use alloc::collections::BTreeSet;

use protocol::id::LogPos;

use super::Store;

impl Store {
    /// Returns the groups of all sections that the newest checkpoint has.
    #[must_use]
    pub fn section_groups(&self) -> BTreeSet<u64> {
        let sections = self.bulk.sections.iter();
        sections.map(|(key, _)| key.group).collect()
    }

    /// Returns the position that everything lies below if all of it is durable; none as long as something
    /// is on its way.
    #[must_use]
    pub fn resting_at(&self) -> Option<LogPos> {
        let log = self.log.as_ref()?;
        (log.unsynced() == 0).then(|| log.tail())
    }
}
