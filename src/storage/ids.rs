//! Numbers for operations.

use crate::op::OpId;

/// Hands out operation ids, each once.
#[derive(Debug, Default)]
pub(crate) struct OpIds(u64);

impl OpIds {
    pub(crate) fn take(&mut self) -> OpId {
        self.0 += 1;
        OpId(self.0)
    }
}
