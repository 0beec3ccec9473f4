//! Watches disk operations and the server's output together: no acknowledgement may leave before
//! the sync that covers its message. Of an encrypted store it sees no messages, and that none can
//! be seen is what it watches for.
//!
//! *Invariant:* says "durable" only of what a successful sync covered, so an alarm is never false;
//! what an earlier life of the process wrote is left to the oracle.

use std::collections::{BTreeMap, BTreeSet};

use memchr::memmem;
use protocol::id::ConnId;
use protocol::time::Instant;
use server::wire::{Reader, ServerOp};
use storage::{DiskOp, FileName, OpId};

use crate::client::jetstream::{PubAnswer, pub_answer};

use crate::history::{History, Value};

/// What is known about the disk.
#[derive(Debug, Default)]
pub(super) struct Tap {
    /// Values written to each file since its last sync was asked for.
    written: BTreeMap<FileName, Vec<Value>>,
    /// What each sync under way covers.
    syncs: BTreeMap<OpId, Vec<Value>>,
    durable: BTreeSet<Value>,
    /// What a process wrote that died before it knew whether it was durable.
    unsure: BTreeSet<Value>,
    readers: BTreeMap<ConnId, Reader>,
    /// When the health check was not well last.
    pub(super) unhealthy_at: Instant,
    /// How many acknowledgements were checked.
    pub(super) checked: u64,
    /// Whether the store is encrypted.
    is_sealed: bool,
    /// A value that could be read on the disk all the same.
    leaked: Option<Value>,
}

impl Tap {
    pub(super) fn new(is_sealed: bool) -> Self {
        Self {
            is_sealed,
            ..Self::default()
        }
    }

    /// An operation is on its way to the disk.
    pub(super) fn on_submit(&mut self, op: &DiskOp) {
        match op {
            DiskOp::Write { file, data, .. } => {
                let written = self.written.entry(*file).or_default();
                for at in memmem::find_iter(data, b"<v") {
                    written.extend(
                        data.get(at..)
                            .and_then(Value::parse)
                            .map(|(value, _)| value),
                    );
                }
                if self.is_sealed {
                    self.leaked = self.leaked.or(written.first().copied());
                }
            }
            DiskOp::Sync { op, file } => {
                let covered = self.written.remove(file).unwrap_or_default();
                self.syncs.insert(*op, covered);
            }
            DiskOp::List { .. }
            | DiskOp::Read { .. }
            | DiskOp::Create { .. }
            | DiskOp::Recycle { .. }
            | DiskOp::Remove { .. } => {}
        }
    }

    /// An operation has been answered by the disk.
    pub(super) fn on_done(&mut self, op: OpId, worked: bool) {
        if let Some(covered) = self.syncs.remove(&op)
            && worked
        {
            self.durable.extend(covered);
        }
    }

    /// The process is gone.
    pub(super) fn on_death(&mut self) {
        let (written, syncs) = (
            core::mem::take(&mut self.written),
            core::mem::take(&mut self.syncs),
        );
        self.unsure.extend(written.into_values().flatten());
        self.unsure.extend(syncs.into_values().flatten());
        self.readers.clear();
    }

    /// Bytes leave the server.
    pub(super) fn on_output(&mut self, id: ConnId, bytes: &[u8], history: &mut History) {
        let reader = self.readers.entry(id).or_default();
        reader.input.extend_from_slice(bytes);
        while let Ok(Some(op)) = reader.next_op() {
            let ServerOp::Message(message) = op else {
                continue;
            };
            let Some(&value) = history.replies.get(&message.subject) else {
                continue;
            };
            match pub_answer(&message) {
                Ok(PubAnswer::Stored { .. }) => self.checked += 1,
                Ok(PubAnswer::Failed(code)) => {
                    check_failure(value, code, self.unhealthy_at, history);
                    continue;
                }
                Ok(PubAnswer::Refused(_)) | Err(_) => continue,
            }
            if self.is_sealed {
                if let Some(leaked) = self.leaked.take() {
                    let text = format!("{leaked:?} can be read on the disk");
                    history.violate("encrypted_at_rest", text);
                }
            } else if !self.durable.contains(&value) && !self.unsure.contains(&value) {
                let text = format!("{value:?} is acknowledged before a sync covers it");
                history.violate("ack_means_synced", text);
            }
        }
    }
}

/// Storing has failed: since the message was sent the health check must have said so.
fn check_failure(value: Value, code: u64, unhealthy_at: Instant, history: &mut History) {
    let publish = history.publishes.get(&value);
    let sent = publish.and_then(|publish| publish.attempts.last());
    if sent.is_some_and(|attempt| unhealthy_at < attempt.sent.time) {
        let text = format!("{value:?} is answered with error {code}, and health is ok");
        history.violate("health_is_true", text);
    }
}
