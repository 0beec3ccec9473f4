//! A world for tests, of this crate and of those that drive the machine with models: an in-memory
//! log, of which the tail may be lost, and everything that was delivered.

#![allow(missing_docs, reason = "for tests only")]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a panic here is a failed test"
)]

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};
use protocol::id::{AccountId, ConnId, LogPos, StreamId};
use protocol::js::advisory::ClientInfo;
use protocol::js::info::AccountLimits;
use protocol::rng::Rng;
use protocol::store::{Loc, Place, ReadError, ReadId, ReadOutcome, SectionKey};
use protocol::subject::matches;
use protocol::time::{Instant, Now, Wall};

use crate::env::{ApiCall, Env, Inbound, JsTarget, NameRules, Outgoing, Purpose};
use crate::{JetStream, Options};

pub const ACCOUNT: AccountId = AccountId(0);

/// A message that was delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    pub to: String,
    pub subject: String,
    pub reply: String,
    pub headers: String,
    pub payload: String,
}

/// The world.
#[derive(Debug)]
pub struct World {
    pub now: Now,
    rng: Rng,
    /// Every entry proposed so far; the position of an entry is its place here, plus one.
    pub log: Vec<Bytes>,
    pub synced: usize,
    pub delivered: Vec<Delivered>,
    /// The same as bytes, for bodies that are no text: to, reply and body.
    pub bytes: Vec<(String, String, Vec<u8>)>,
    pub interest: Vec<String>,
    /// Below this prefix somebody listens on every subject, in every queue group.
    pub crowd: Option<&'static str>,
    /// Subjects with a queue group that listens there.
    pub members: Vec<(String, String)>,
    /// Subjects whose subscriber has just gone.
    pub gone: Vec<String>,
    pub bound: Vec<(String, StreamId)>,
    /// Answer reads later instead of at once.
    pub slow_reads: bool,
    /// Those that wait are answered when the machine is pumped.
    pub reads_end: bool,
    pub reads: Vec<(ReadId, Loc)>,
    next_read: u64,
    pub log_len_max: usize,
}

impl World {
    #[expect(clippy::new_without_default, reason = "a world is made on purpose")]
    pub fn new() -> Self {
        Self {
            now: Now {
                mono: Instant(1_000),
                wall: Wall(1_700_000_000_000_000_000),
            },
            rng: Rng::new(1, 1),
            log: Vec::new(),
            synced: 0,
            delivered: Vec::new(),
            bytes: Vec::new(),
            interest: Vec::new(),
            crowd: None,
            members: Vec::new(),
            gone: Vec::new(),
            bound: Vec::new(),
            slow_reads: false,
            reads_end: false,
            reads: Vec::new(),
            next_read: 0,
            log_len_max: usize::MAX,
        }
    }

    fn is_crowded(&self, subject: &[u8]) -> bool {
        self.crowd
            .is_some_and(|prefix| subject.starts_with(prefix.as_bytes()))
    }

    fn log_len(&self) -> usize {
        self.log.iter().map(Bytes::len).sum()
    }

    pub fn advance_ms(&mut self, ms: u64) {
        self.now.mono.0 += ms * 1_000_000;
        self.now.wall.0 += ms * 1_000_000;
    }

    pub fn entry(&self, loc: Loc) -> Result<Bytes, ReadError> {
        let Place::Log(LogPos(pos)) = loc.place() else {
            return Err(ReadError::Missing);
        };
        let at = usize::try_from(pos - 1).unwrap();
        self.log.get(at).cloned().ok_or(ReadError::Missing)
    }

    /// Takes the bodies delivered to `to`.
    pub fn take(&mut self, to: &str) -> Vec<String> {
        let (taken, left) = self.delivered.drain(..).partition(|d| d.to == to);
        self.delivered = left;
        let taken: Vec<Delivered> = taken;
        taken
            .into_iter()
            .map(|d| {
                if d.headers.is_empty() {
                    d.payload
                } else {
                    d.headers + &d.payload
                }
            })
            .collect()
    }
}

impl Env for World {
    fn now(&self) -> Now {
        self.now
    }

    fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    fn propose(&mut self, encode: impl FnOnce(&mut BytesMut)) -> LogPos {
        let mut entry = BytesMut::new();
        encode(&mut entry);
        self.log.push(entry.freeze());
        LogPos(self.log.len() as u64)
    }

    fn has_room(&self, len: usize, purpose: Purpose) -> bool {
        purpose == Purpose::Free || self.log_len() + len <= self.log_len_max
    }

    fn read(&mut self, _: StreamId, loc: Loc) -> ReadOutcome {
        if self.slow_reads {
            self.next_read += 1;
            let id = ReadId(self.next_read);
            self.reads.push((id, loc));
            return ReadOutcome::Pending(id);
        }
        self.entry(loc)
            .map_or_else(ReadOutcome::Failed, ReadOutcome::Hit)
    }

    fn deliver(&mut self, _: AccountId, to: &[u8], msg: Outgoing<'_>) -> bool {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if self.gone.iter().any(|gone| gone.as_bytes() == to) {
            return false;
        }
        self.bytes
            .push((text(to), text(msg.reply), msg.payload.to_vec()));
        self.delivered.push(Delivered {
            to: text(to),
            subject: text(msg.subject),
            reply: text(msg.reply),
            headers: text(msg.headers),
            payload: text(msg.payload),
        });
        true
    }

    fn has_interest(&mut self, _: AccountId, subject: &[u8]) -> bool {
        let mut patterns = self.interest.iter();
        self.is_crowded(subject) || patterns.any(|p| matches(p.as_bytes(), subject))
    }

    fn has_exact_interest(&mut self, _: AccountId, subject: &[u8]) -> bool {
        self.is_crowded(subject) || self.interest.iter().any(|s| s.as_bytes() == subject)
    }

    fn has_queue_interest(&mut self, _: AccountId, subject: &[u8], queue: &[u8]) -> bool {
        let mut members = self.members.iter();
        self.is_crowded(subject)
            || members.any(|(s, q)| s.as_bytes() == subject && q.as_bytes() == queue)
    }

    fn bind(&mut self, _: AccountId, subject: &[u8], target: JsTarget) {
        let JsTarget::Stream(id) = target;
        let subject = String::from_utf8_lossy(subject).into_owned();
        self.bound.push((subject, id));
    }

    fn unbind(&mut self, _: AccountId, subject: &[u8], target: JsTarget) {
        let JsTarget::Stream(id) = target;
        self.bound
            .retain(|(s, i)| s.as_bytes() != subject || *i != id);
    }

    fn client_info(&mut self, _: ConnId) -> Option<ClientInfo> {
        Some(ClientInfo {
            account: "$G".to_string(),
            ..ClientInfo::default()
        })
    }
}

/// A machine in its world.
#[derive(Debug)]
pub struct Bench {
    pub js: JetStream,
    pub world: World,
    /// A checkpoint and how much of the log it stands for.
    checkpoint: Option<(Vec<(SectionKey, Bytes)>, usize)>,
}

impl Bench {
    #[expect(clippy::new_without_default, reason = "a world is made on purpose")]
    pub fn new() -> Self {
        Self::with_log(Vec::new())
    }

    /// Returns a machine with options of its own.
    pub fn with_options(options: Options) -> Self {
        let mut bench = Self {
            js: machine_with(options),
            world: World::new(),
            checkpoint: None,
        };
        bench.js.recovered(&mut bench.world);
        bench
    }

    /// Returns a machine that has recovered from a log.
    pub fn with_log(log: Vec<Bytes>) -> Self {
        let mut bench = Self {
            js: machine(),
            world: World::new(),
            checkpoint: None,
        };
        bench.world.log = log;
        bench.sync();
        bench.js.recovered(&mut bench.world);
        bench
    }

    /// Commits and applies everything proposed, and what that proposes.
    pub fn sync(&mut self) {
        self.pump();
        while self.world.synced < self.world.log.len() {
            self.apply_one();
            self.pump();
        }
    }

    /// Ends a batch of input; nothing is synced.
    pub fn pump(&mut self) {
        self.js.pump(&mut self.world);
        while self.world.reads_end
            && let Some((read, loc)) = self.world.reads.pop()
        {
            let entry = self.world.entry(loc);
            self.js.read_done(&mut self.world, read, entry);
            self.js.pump(&mut self.world);
        }
    }

    /// Writes a checkpoint of everything applied.
    pub fn checkpoint(&mut self) {
        self.checkpoint = Some((self.js.sections(), self.world.synced));
    }

    /// Ends the process without warning: what was not synced is lost. Recovers from what is left,
    /// with the options of [`machine`].
    pub fn crash(&mut self) {
        self.world.log.truncate(self.world.synced);
        self.world.delivered.clear();
        self.world.bytes.clear();
        self.world.bound.clear();
        self.world.reads.clear();
        let none = (Vec::new(), 0);
        let (sections, upto) = self.checkpoint.as_ref().unwrap_or(&none);
        self.js = restored_from(sections);
        self.world.synced = *upto;
        while self.world.synced < self.world.log.len() {
            self.apply_one();
        }
        self.js.recovered(&mut self.world);
        self.pump();
    }

    /// Lets time pass.
    pub fn advance_ms(&mut self, ms: u64) {
        self.world.advance_ms(ms);
        self.js.handle_timeout(&mut self.world);
    }

    pub fn apply_one(&mut self) {
        let entry = self.world.log[self.world.synced].clone();
        self.world.synced += 1;
        let pos = LogPos(self.world.synced as u64);
        self.js.apply(&mut self.world, pos, Loc::log(pos), &entry);
    }

    /// Publishes to the stream that is bound to the subject.
    pub fn publish(&mut self, subject: &str, headers: &[(&str, &str)], payload: &str) {
        self.publish_for("ack", subject, &block(headers), payload);
    }

    /// Publishes to the stream that is bound to the subject, with a block of headers; the ack goes to `reply`.
    pub fn publish_for(&mut self, reply: &str, subject: &str, headers: &str, payload: &str) {
        let stream = self.stream_of(subject).expect("a stream listens");
        let msg = Inbound {
            subject: subject.as_bytes(),
            reply: reply.as_bytes(),
            headers: headers.as_bytes(),
            payload: payload.as_bytes(),
        };
        self.js.publish(&mut self.world, ACCOUNT, stream, msg);
    }

    /// Returns the stream that keeps a subject.
    pub fn stream_of(&self, subject: &str) -> Option<StreamId> {
        let mut bound = self.world.bound.iter();
        let found = bound.find(|(s, _)| matches(s.as_bytes(), subject.as_bytes()));
        found.map(|(_, stream)| *stream)
    }

    /// Publishes, syncs, and returns the ack.
    pub fn publish_acked(
        &mut self,
        subject: &str,
        headers: &[(&str, &str)],
        payload: &str,
    ) -> String {
        self.publish(subject, headers, payload);
        self.sync();
        self.world.take("ack").pop().unwrap_or_default()
    }

    /// Sends a request; false if nothing listens.
    pub fn request(&mut self, what: &str, payload: &str) -> bool {
        self.request_with_reply(what, "api", payload)
    }

    /// Sends a request that is answered to `reply`.
    pub fn request_with_reply(&mut self, what: &str, reply: &str, payload: &str) -> bool {
        let subject = "$JS.API.".to_string() + what;
        let call = ApiCall {
            account: ACCOUNT,
            client: ConnId {
                index: 0,
                generation: 0,
            },
            rules: NameRules::Nats,
            msg: Inbound {
                subject: subject.as_bytes(),
                reply: reply.as_bytes(),
                headers: b"",
                payload: payload.as_bytes(),
            },
        };
        self.js.api(&mut self.world, &call)
    }

    /// Answers the reads that wait, and those that follow from them.
    pub fn answer_reads(&mut self) {
        self.world.slow_reads = false;
        for (read, loc) in core::mem::take(&mut self.world.reads) {
            let entry = self.world.entry(loc);
            self.js.read_done(&mut self.world, read, entry);
        }
        self.sync();
    }

    /// Lets the reads that wait fail.
    pub fn fail_reads(&mut self, error: ReadError) {
        self.world.slow_reads = false;
        for (read, _) in core::mem::take(&mut self.world.reads) {
            self.js.read_done(&mut self.world, read, Err(error));
        }
        self.sync();
    }

    /// Sends a request, syncs, and returns the answer.
    pub fn ask(&mut self, what: &str, payload: &str) -> String {
        assert!(self.request(what, payload), "nothing listens on {what}");
        self.sync();
        self.world.take("api").pop().unwrap_or_default()
    }
}

/// Returns a machine that was restored from a checkpoint of `js`.
pub fn restored(js: &JetStream) -> JetStream {
    restored_from(&js.sections())
}

/// Returns a machine that was restored from these sections.
pub fn restored_from(sections: &[(SectionKey, Bytes)]) -> JetStream {
    let mut copy = machine();
    for (key, body) in sections {
        copy.restore(*key, body).expect("it was just written");
    }
    copy
}

pub fn machine() -> JetStream {
    machine_with(Options::default())
}

fn machine_with(options: Options) -> JetStream {
    let mut js = JetStream::new(Options {
        server_name: "srv".to_string(),
        version: "2.15.1".to_string(),
        ..options
    });
    js.configure_account(ACCOUNT, "$G", Some(AccountLimits::UNLIMITED));
    js.set_outlets(["$G"].into_iter());
    js
}

pub fn block(headers: &[(&str, &str)]) -> String {
    if headers.is_empty() {
        return String::new();
    }
    let mut block = String::from("NATS/1.0\r\n");
    for (key, value) in headers {
        block.push_str(key);
        block.push_str(": ");
        block.push_str(value);
        block.push_str("\r\n");
    }
    block + "\r\n"
}
