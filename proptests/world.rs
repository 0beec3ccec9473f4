//! A world for the JetStream machine: a log in memory, of which the tail may be lost, and everything
//! that was delivered.

use bytes::{Bytes, BytesMut};
use jetstream::env::{ApiCall, Env, Inbound, JsTarget, NameRules, Outgoing};
use jetstream::{JetStream, Options};
use protocol::id::{AccountId, ConnId, LogPos, StreamId};
use protocol::js::advisory::ClientInfo;
use protocol::js::info::AccountLimits;
use protocol::rng::Rng;
use protocol::store::{Loc, Place, ReadError, ReadId, ReadOutcome, SectionKey};
use protocol::subject::matches;
use protocol::time::{Instant, Now, Wall};

pub const ACCOUNT: AccountId = AccountId(0);

/// A message that was delivered.
#[derive(Clone, Debug)]
pub struct Delivered {
    pub to: String,
    pub reply: String,
    pub payload: String,
}

/// The world. The position of an entry is its place in the log, plus one.
#[derive(Debug)]
pub struct World {
    pub now: Now,
    rng: Rng,
    log: Vec<Bytes>,
    synced: usize,
    pub delivered: Vec<Delivered>,
    bound: Vec<(String, StreamId)>,
    /// Reads are answered later.
    pub slow_reads: bool,
    reads: Vec<(ReadId, Loc)>,
    next_read: u64,
}

impl World {
    fn new() -> Self {
        Self {
            now: Now {
                mono: Instant(1_000),
                wall: Wall(1_700_000_000_000_000_000),
            },
            rng: Rng::new(1, 1),
            log: Vec::new(),
            synced: 0,
            delivered: Vec::new(),
            bound: Vec::new(),
            slow_reads: false,
            reads: Vec::new(),
            next_read: 0,
        }
    }

    fn entry(&self, loc: Loc) -> Result<Bytes, ReadError> {
        let Place::Log(LogPos(pos)) = loc.place() else {
            return Err(ReadError::Missing);
        };
        let at = usize::try_from(pos - 1).expect("fits");
        self.log.get(at).cloned().ok_or(ReadError::Missing)
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

    fn read(&mut self, _: StreamId, loc: Loc) -> ReadOutcome {
        if self.slow_reads {
            self.next_read += 1;
            let read = ReadId(self.next_read);
            self.reads.push((read, loc));
            return ReadOutcome::Pending(read);
        }
        self.entry(loc)
            .map_or_else(ReadOutcome::Failed, ReadOutcome::Hit)
    }

    fn deliver(&mut self, _: AccountId, to: &[u8], msg: Outgoing<'_>) -> bool {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        self.delivered.push(Delivered {
            to: text(to),
            reply: text(msg.reply),
            payload: text(msg.payload),
        });
        true
    }

    fn has_exact_interest(&mut self, account: AccountId, subject: &[u8]) -> bool {
        self.has_interest(account, subject)
    }

    fn has_queue_interest(&mut self, account: AccountId, subject: &[u8], _: &[u8]) -> bool {
        self.has_interest(account, subject)
    }

    fn has_interest(&mut self, _: AccountId, subject: &[u8]) -> bool {
        subject.starts_with(b"in.")
    }

    fn bind(&mut self, _: AccountId, subject: &[u8], target: JsTarget) {
        let JsTarget::Stream(id) = target;
        self.bound
            .push((String::from_utf8_lossy(subject).into_owned(), id));
    }

    fn unbind(&mut self, _: AccountId, subject: &[u8], target: JsTarget) {
        let JsTarget::Stream(id) = target;
        self.bound
            .retain(|(s, i)| s.as_bytes() != subject || *i != id);
    }

    fn client_info(&mut self, _: ConnId) -> Option<ClientInfo> {
        None
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
        let mut bench = Self {
            js: machine(),
            world: World::new(),
            checkpoint: None,
        };
        bench.js.recovered(&mut bench.world);
        bench
    }

    /// Ends the process without warning: what was not synced is lost. Recovers from what is left.
    pub fn crash(&mut self) {
        self.world.log.truncate(self.world.synced);
        self.world.delivered.clear();
        self.world.bound.clear();
        self.world.reads.clear();
        self.js = machine();
        self.world.synced = 0;
        if let Some((sections, upto)) = &self.checkpoint {
            for (key, body) in sections {
                self.js.restore(*key, body).expect("just written");
            }
            self.world.synced = *upto;
        }
        while self.world.synced < self.world.log.len() {
            self.apply_one();
        }
        self.js.recovered(&mut self.world);
        self.pump();
    }

    /// Writes a checkpoint of everything applied.
    pub fn checkpoint(&mut self) {
        self.checkpoint = Some((self.js.sections(), self.world.synced));
    }

    /// Ends a batch of input; nothing is synced.
    pub fn pump(&mut self) {
        self.js.pump(&mut self.world);
        while let Some((read, loc)) = self.world.reads.pop() {
            let entry = self.world.entry(loc);
            self.js.read_done(&mut self.world, read, entry);
            self.js.pump(&mut self.world);
        }
    }

    /// Commits and applies everything proposed, and what that proposes.
    pub fn sync(&mut self) {
        self.pump();
        while self.world.synced < self.world.log.len() {
            self.apply_one();
            self.pump();
        }
    }

    fn apply_one(&mut self) {
        let entry = self.world.log[self.world.synced].clone();
        self.world.synced += 1;
        let pos = LogPos(self.world.synced as u64);
        self.js.apply(&mut self.world, pos, Loc::log(pos), &entry);
    }

    /// Lets time pass.
    pub fn advance_ms(&mut self, ms: u64) {
        self.world.now.mono.0 += ms * 1_000_000;
        self.world.now.wall.0 += ms * 1_000_000;
        self.js.handle_timeout(&mut self.world);
    }

    /// Publishes to the one stream that there is.
    pub fn publish(&mut self, subject: &str, payload: &str) {
        self.publish_to(self.world.bound[0].1, subject, payload);
    }

    /// Returns the stream that keeps a subject.
    pub fn stream_of(&self, subject: &str) -> Option<StreamId> {
        let subject = subject.as_bytes();
        let mut bound = self.world.bound.iter();
        let found = bound.find(|(pattern, _)| matches(pattern.as_bytes(), subject));
        found.map(|(_, stream)| *stream)
    }

    /// Publishes with lines of headers to the one stream that there is; the ack goes to `reply`.
    pub fn publish_with(&mut self, subject: &str, headers: &str, payload: &str, reply: &str) {
        let block = match headers {
            "" => String::new(),
            lines => format!("NATS/1.0\r\n{lines}\r\n"),
        };
        let msg = Inbound {
            subject: subject.as_bytes(),
            reply: reply.as_bytes(),
            headers: block.as_bytes(),
            payload: payload.as_bytes(),
        };
        let stream = self.world.bound[0].1;
        self.js.publish(&mut self.world, ACCOUNT, stream, msg);
    }

    /// Publishes to a stream.
    pub fn publish_to(&mut self, stream: StreamId, subject: &str, payload: &str) {
        let msg = Inbound {
            subject: subject.as_bytes(),
            reply: b"",
            headers: b"",
            payload: payload.as_bytes(),
        };
        self.js.publish(&mut self.world, ACCOUNT, stream, msg);
    }

    /// Sends a request whose answer goes to `reply`.
    pub fn request(&mut self, what: &str, reply: &str, payload: &str) {
        let subject = format!("$JS.API.{what}");
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
        self.js.api(&mut self.world, &call);
    }
}

fn machine() -> JetStream {
    let mut js = JetStream::new(Options::default());
    js.configure_account(ACCOUNT, "$G", Some(AccountLimits::UNLIMITED));
    js
}
