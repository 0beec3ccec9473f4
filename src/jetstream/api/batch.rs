//! Direct gets of many messages: one after the other, then a status that ends the batch.
//!
//! *Invariant:* a batch is a named state, so that it can wait for the disk between any two messages. How
//! much it sends is bounded by the request, and by [`BATCH_BYTES_MAX`].

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::ToString;
use alloc::vec::Vec;

use bytes::Bytes;
use protocol::id::{AccountId, Seq, StreamId};
use protocol::js::enums::Storage;
use protocol::js::limits::MULTI_GET_SUBJECTS_MAX;
use protocol::js::request::MsgGetRequest;
use protocol::store::ReadError;

use super::direct::{self, Extra};
use crate::JetStream;
use crate::entry::Stored;
use crate::env::{ApiCall, Env};
use crate::index::Filter;
use crate::shared::{Reader, Shared, send_status};
use crate::stream::{MsgRead, StreamCore};

/// Most bytes of one batch, whatever the request allows: what one client may have on its way.
const BATCH_BYTES_MAX: u64 = 64 << 20;

const NO_RESULTS: &[u8] = b"NATS/1.0 404 No Results\r\n\r\n";
const NOT_FOUND: &[u8] = b"NATS/1.0 404 Message Not Found\r\n\r\n";
const TOO_MANY_RESULTS: &[u8] = b"NATS/1.0 413 Too Many Results\r\n\r\n";

/// A batch on its way.
#[derive(Debug)]
pub struct Batch {
    account: AccountId,
    stream: StreamId,
    reply: Bytes,
    source: Source,
    /// How many messages may still be sent.
    left: u64,
    bytes_left: u64,
    /// How many messages come after the ones sent; of all at the beginning in a bare batch.
    pending: u64,
    /// The messages go out without headers.
    bare: bool,
    /// The message sent last.
    last: Seq,
    /// The sequence up to which subjects were looked at, for batches of last messages.
    up_to: Option<Seq>,
}

/// Which messages a batch sends.
#[derive(Debug)]
enum Source {
    /// Those that match, from a sequence on.
    From(Filter, Seq),
    /// These.
    List(VecDeque<Seq>),
}

impl Source {
    fn take_next(&mut self, core: &StreamCore) -> Option<Seq> {
        match self {
            Self::From(filter, from) => {
                let seq = core.index.next(filter, *from)?;
                *from = seq.next();
                Some(seq)
            }
            Self::List(seqs) => seqs.pop_front(),
        }
    }
}

impl JetStream {
    /// Answers a direct get of many messages.
    pub(super) fn direct_batch(
        &mut self,
        call: &ApiCall<'_>,
        stream: StreamId,
        body: &MsgGetRequest,
        env: &mut impl Env,
    ) {
        let Some(found) = self.streams.get(&stream) else {
            return;
        };
        let of_lasts = !body.multi_last.is_empty();
        let planned = if of_lasts {
            plan_lasts(&found.core, body)
        } else {
            plan_range(&found.core, body)
        };
        match planned {
            Ok((source, pending, up_to)) => {
                let batch = Batch {
                    account: call.account,
                    stream,
                    reply: Bytes::copy_from_slice(call.msg.reply),
                    source,
                    left: limit(body.batch, of_lasts),
                    bytes_left: match u64::try_from(body.max_bytes) {
                        Ok(0) => BATCH_BYTES_MAX,
                        Ok(bytes) => bytes.min(BATCH_BYTES_MAX),
                        // The first message is always sent.
                        Err(_) => 1,
                    },
                    pending,
                    // Last messages keep their headers: one could not tell whose they are.
                    bare: body.no_hdr && !of_lasts,
                    last: Seq(0),
                    up_to,
                };
                self.drive_batch(Box::new(batch), env);
            }
            Err(status) => send_status(call.account, call.msg.reply, status, env),
        }
    }

    /// Goes on with a batch whose message has come from the disk.
    pub(crate) fn on_batch_read(
        &mut self,
        mut batch: Box<Batch>,
        seq: Seq,
        result: &Result<Bytes, ReadError>,
        env: &mut impl Env,
    ) {
        let Some(stream) = self.streams.get_mut(&batch.stream) else {
            return;
        };
        match result {
            Ok(entry) => batch.send(&stream.core, seq, entry, &mut self.shared, env),
            Err(_) => stream.core.note_lost(seq),
        }
        self.drive_batch(batch, env);
    }

    fn drive_batch(&mut self, mut batch: Box<Batch>, env: &mut impl Env) {
        let Some(stream) = self.streams.get_mut(&batch.stream) else {
            return;
        };
        let core = &mut stream.core;
        while batch.left > 0
            && batch.bytes_left > 0
            && let Some(seq) = batch.source.take_next(core)
        {
            batch.left -= 1;
            if !batch.bare {
                batch.pending = batch.pending.saturating_sub(1);
            }
            match core.read(seq, env) {
                MsgRead::Hit(entry) => batch.send(core, seq, &entry, &mut self.shared, env),
                MsgRead::Pending(read) => {
                    self.shared.reads.insert(read, Reader::Batch(batch, seq));
                    return;
                }
                // Removed since it was planned.
                MsgRead::Gone => {}
                MsgRead::Failed(_) => core.note_lost(seq),
            }
        }
        batch.finish(env);
    }
}

impl Batch {
    fn send(
        &mut self,
        core: &StreamCore,
        seq: Seq,
        entry: &Bytes,
        shared: &mut Shared,
        env: &mut impl Env,
    ) {
        let Ok(msg) = Stored::of(entry) else {
            return;
        };
        let len = msg.subject.len() + msg.headers.len() + msg.payload.len();
        self.bytes_left = self
            .bytes_left
            .saturating_sub(u64::try_from(len).unwrap_or(u64::MAX));
        let extra = Extra {
            pending: self.pending,
            last: self.last,
        };
        let to = (self.account, &*self.reply);
        if self.bare {
            direct::send_bare(to, &msg, env);
        } else {
            direct::send(to, core.name(), seq, &msg, Some(extra), shared, env);
        }
        self.last = seq;
    }

    fn finish(&self, env: &mut impl Env) {
        let mut status = alloc::format!(
            "NATS/1.0 204 EOB\r\nNats-Num-Pending: {}\r\nNats-Last-Sequence: {}\r\n",
            self.pending,
            self.last.0
        );
        if let Some(up_to) = self.up_to {
            status.push_str("Nats-UpTo-Sequence: ");
            status.push_str(&up_to.0.to_string());
            status.push_str("\r\n");
        }
        status.push_str("\r\n");
        send_status(self.account, &self.reply, status.as_bytes(), env);
    }
}

type Plan = Result<(Source, u64, Option<Seq>), &'static [u8]>;

fn plan_range(core: &StreamCore, body: &MsgGetRequest) -> Plan {
    let from = match body.start_time {
        Some(time) => core.index.first_since(time),
        None => Seq(body.seq),
    };
    let filter = core.filter(body.next_by_subj.as_bytes());
    // A batch of less than nothing is empty; its end is told all the same.
    if body.batch > 0 && core.index.next(&filter, from).is_none() {
        return Err(NOT_FOUND);
    }
    let pending = core.index.num_pending(core::slice::from_ref(&filter), from);
    Ok((Source::From(filter, from), pending, None))
}

fn plan_lasts(core: &StreamCore, body: &MsgGetRequest) -> Plan {
    let last = core.index.last_seq();
    let up_to = match (body.up_to_time, body.up_to_seq) {
        (Some(time), _) => Seq(core.index.first_since(time).0.saturating_sub(1)),
        (None, 0) => last,
        // nats-server's files know nothing of what is behind the last message; its memory does not mind.
        (None, seq) if Seq(seq) > last && core.config().storage == Storage::File => {
            return Err(NO_RESULTS);
        }
        (None, seq) => Seq(seq),
    };
    // No subject is without a name; to the index no filter at all means everything.
    let patterns = body.multi_last.iter().filter(|p| !p.is_empty());
    let filters: Vec<Filter> = patterns.map(|p| core.filter(p.as_bytes())).collect();
    let mut seqs = Vec::new();
    if !filters.is_empty() {
        core.index
            .last_per_subject_up_to(&filters, up_to, &mut seqs);
    }
    if seqs.is_empty() {
        return Err(NO_RESULTS);
    }
    if seqs.len() > MULTI_GET_SUBJECTS_MAX {
        return Err(TOO_MANY_RESULTS);
    }
    // What comes before where the request begins was found all the same.
    seqs.retain(|seq| seq.0 >= body.seq);
    let pending = u64::try_from(seqs.len()).unwrap_or(u64::MAX);
    Ok((Source::List(seqs.into()), pending, Some(up_to)))
}

/// A request for last messages need not say how many.
fn limit(batch: i64, is_optional: bool) -> u64 {
    match u64::try_from(batch) {
        Ok(0) | Err(_) if is_optional => u64::MAX,
        Ok(count) => count,
        Err(_) => 0,
    }
}
