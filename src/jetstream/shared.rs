//! What all streams and consumers of a shard share: options, answers that wait for the log, reads
//! under way, timers and scratch space.
//!
//! *Invariant:* nothing here belongs to one stream. A stream's code gets it as an argument beside the
//! stream, so that both can be borrowed.

mod accounts;
mod advise;
mod clock;
mod listeners;
mod replies;
mod respond;
mod timers;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::BytesMut;
use protocol::id::{AccountId, ConsumerId, Seq, StreamId};
use protocol::js::check::ServerLimits;
use protocol::store::ReadId;

pub(crate) use crate::api::Batch;
use crate::backup::BackupId;
use crate::entry::SourceKey;
use crate::fast::FastBatches;
use crate::room::Room;

pub(crate) use accounts::Accounts;
pub(crate) use clock::EntryClock;
pub(crate) use listeners::Listeners;
pub(crate) use replies::{Answer, Replies, Scope, Waiter};
pub(crate) use respond::{send, send_status, send_with};
pub use timers::TimerKind;
pub(crate) use timers::Timers;

/// What the machine is told when it is made.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server's name.
    pub server_name: String,
    /// The server's id.
    pub server_id: String,
    /// The domain; empty for none.
    pub domain: String,
    /// Whether unknown JSON fields are errors.
    pub strict: bool,
    /// What the server allows.
    pub limits: ServerLimits,
    /// The version of nats-server whose behaviour clients may count on.
    pub version: String,
    /// Most bytes that all streams on disk may be promised together.
    pub store_bytes_max: i64,
    /// Most bytes that all streams in memory may be promised together.
    pub memory_bytes_max: i64,
    /// Most bytes of publishes that wait for the disk; more get an error answer.
    pub in_flight_bytes_max: u64,
    /// The limits of batches.
    pub batch: BatchLimits,
    /// Most requests of the API that wait for their turn; when one more comes, all are dropped.
    pub requests_max: usize,
    /// Who is told about what concerns the whole server.
    pub system_account: Option<AccountId>,
}

/// The limits of batches.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    /// Most open atomic batches of one stream.
    pub open_per_stream_max: usize,
    /// Most open atomic batches of the server.
    pub open_max: usize,
    /// Most open fast batches of one stream.
    pub fast_open_per_stream_max: usize,
    /// Most open fast batches of the server.
    pub fast_open_max: usize,
    /// Most messages of an atomic batch.
    pub messages_max: u32,
    /// How long a batch stays open without a new message.
    pub idle_max: Duration,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self {
            open_per_stream_max: 50,
            open_max: 1000,
            fast_open_per_stream_max: 1000,
            fast_open_max: 50_000,
            messages_max: 1000,
            idle_max: Duration::from_secs(10),
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            server_name: String::new(),
            server_id: String::new(),
            domain: String::new(),
            strict: true,
            limits: ServerLimits::default(),
            version: String::new(),
            store_bytes_max: i64::MAX,
            memory_bytes_max: i64::MAX,
            in_flight_bytes_max: 128 << 20,
            batch: BatchLimits::default(),
            requests_max: 10_000,
            system_account: None,
        }
    }
}

/// Who waits for the bytes of a stored message.
#[derive(Debug)]
pub enum Reader {
    /// A consumer that delivers.
    Consumer(StreamId, ConsumerId),
    /// A stream that copies from another one.
    Copy(StreamId, SourceKey, Seq),
    /// A request for one message.
    Get(Box<Answer>, Seq),
    /// An increment for a counter, which adds to the message of that sequence on that subject.
    Total(StreamId, Box<[u8]>, Seq),
    /// A request for many messages.
    Batch(Box<Batch>, Seq),
    /// A schedule that is due.
    Schedule(Box<crate::fire::Firing>),
    /// Whoever copies messages that have left elsewhere.
    Parked(StreamId, Seq),
    /// A backup that is being written out.
    Backup(BackupId, ReadId),
}

/// The state beside the streams.
#[derive(Debug)]
pub struct Shared {
    /// The options.
    pub options: Options,
    /// The accounts.
    pub accounts: Accounts,
    /// Stamps entries.
    pub clock: EntryClock,
    /// Answers that wait for the log.
    pub replies: Replies,
    /// Reads under way.
    pub reads: BTreeMap<ReadId, Reader>,
    /// Where push consumers deliver to.
    pub listeners: Listeners,
    /// Fast batches whose messages are coming: never logged, gone after a restart.
    pub fast: FastBatches,
    /// How many bytes are used, where they are limited.
    pub room: Room,
    /// All timers.
    pub timers: Timers,
    /// Text under construction; a publish ack allocates nothing.
    pub scratch: BytesMut,
    /// The reply subject of the waiter that was taken last.
    pub reply: Vec<u8>,
    /// Streams whose consumers want to be pumped; may repeat.
    pub dirty: Vec<StreamId>,
    /// The id of the next stream.
    pub next_stream: u64,
    /// The id of the next consumer.
    pub next_consumer: u64,
    /// Whether recovery is over: before, nothing is delivered and no answer is sent.
    pub live: bool,
}

impl Shared {
    /// Returns the state of a machine that has nothing yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            accounts: Accounts::default(),
            clock: EntryClock::default(),
            replies: Replies::default(),
            reads: BTreeMap::new(),
            listeners: Listeners::default(),
            fast: FastBatches::default(),
            room: Room::default(),
            timers: Timers::default(),
            scratch: BytesMut::new(),
            reply: Vec::new(),
            dirty: Vec::new(),
            next_stream: 1,
            next_consumer: 1,
            live: false,
        }
    }

    /// Returns an id for a new consumer.
    pub(crate) fn allocate_consumer(&mut self) -> ConsumerId {
        let id = ConsumerId(self.next_consumer);
        self.next_consumer += 1;
        id
    }

    /// Returns an id for a new stream.
    pub(crate) fn allocate_stream(&mut self) -> StreamId {
        let id = StreamId(self.next_stream);
        self.next_stream += 1;
        id
    }

    /// Asks for the stream's consumers to be pumped at the end of the batch.
    pub(crate) fn mark_dirty(&mut self, stream: StreamId) {
        if self.dirty.last() != Some(&stream) {
            self.dirty.push(stream);
        }
    }
}
