//! The machine end to end: requests and publishes in, acks and answers out.

mod api;
mod atomic;
mod beside;
mod closed;
mod consuming;
mod counters;
mod fast;
mod follow;
mod holes;
mod lifetimes;
mod limits;
mod messages;
mod parking;
mod publish;
mod replay;
mod schedules;
mod subjects;

use alloc::vec::Vec;

use bytes::BufMut;

use crate::JetStream;
use crate::dedup::MsgIdHash;
use crate::entry::put_bytes;

impl JetStream {
    /// Returns a hash of the durable state: equal for machines that applied the same entries.
    pub(crate) fn state_hash(&self) -> u64 {
        let mut all = Vec::new();
        for (key, body) in self.sections() {
            all.put_u64_le(key.group);
            all.put_u64_le(key.number);
            put_bytes(&mut all, &body);
        }
        MsgIdHash::of(&all).to_bits()
    }
}
