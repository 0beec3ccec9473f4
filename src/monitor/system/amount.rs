//! How much has flowed, as the documents of the system account have it.

use serde::Serialize;

use crate::stats::Flow;

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Amount {
    msgs: u64,
    bytes: u64,
}

impl From<Flow> for Amount {
    fn from(flow: Flow) -> Self {
        Self {
            msgs: flow.msgs,
            bytes: flow.bytes,
        }
    }
}
