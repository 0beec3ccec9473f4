//! What the machines need from the outside: time, randomness, the log, stored bytes, and routing.
//!
//! *Invariant:* an [`Env`] never calls back into the machine. The broker implements it over its
//! store and its router, so that nothing is copied into queues on the way.

use core::time::Duration;

use bytes::{Bytes, BytesMut};
use protocol::id::{AccountId, ConnId, LogPos, Seq, StreamId};
use protocol::js::advisory::ClientInfo;
pub use protocol::js::check::NameRules;
use protocol::rng::Rng;
use protocol::store::{Loc, ReadOutcome};
use protocol::time::Now;

use crate::entry::Stored;

/// The world around the JetStream machine.
pub trait Env {
    /// Returns the time of the input being handled.
    fn now(&self) -> Now;

    /// Returns the randomness of names and ids.
    fn rng(&mut self) -> &mut Rng;

    /// Appends an entry to the log; it comes back through `apply` once it is synced.
    fn propose(&mut self, encode: impl FnOnce(&mut BytesMut)) -> LogPos;

    /// Does what [`Env::propose`] does, for an entry that nobody waits for: it may take some milliseconds
    /// longer until it is synced, unless another entry follows.
    fn propose_lazily(&mut self, encode: impl FnOnce(&mut BytesMut)) -> LogPos {
        self.propose(encode)
    }

    /// Returns whether an entry of `len` bytes can be appended now.
    fn has_room(&self, len: usize, purpose: Purpose) -> bool {
        let _ = (len, purpose);
        true
    }

    /// Asks for the bytes of a stored entry.
    fn read(&mut self, stream: StreamId, loc: Loc) -> ReadOutcome;

    /// Routes `msg` to whoever subscribes to `to`; returns whether someone got it.
    fn deliver(&mut self, account: AccountId, to: &[u8], msg: Outgoing<'_>) -> bool;

    /// Returns how long to wait with more, because much is still under way to those who got the message
    /// that was delivered last.
    fn lag(&self) -> Option<Duration> {
        None
    }

    /// Returns whether a subscription matches `subject`, of a client or of a stream.
    fn has_interest(&mut self, account: AccountId, subject: &[u8]) -> bool;

    /// Returns whether a plain subscription is to just this subject, not by a wildcard.
    fn has_exact_interest(&mut self, account: AccountId, subject: &[u8]) -> bool;

    /// Returns whether a queue group called `queue` has a member that subscribes to just this subject.
    fn has_queue_interest(&mut self, account: AccountId, subject: &[u8], queue: &[u8]) -> bool;

    /// Subscribes `target` to `subject`, which may hold wildcards.
    fn bind(&mut self, account: AccountId, subject: &[u8], target: JsTarget);

    /// Ends what [`Env::bind`] began with the same arguments.
    fn unbind(&mut self, account: AccountId, subject: &[u8], target: JsTarget);

    /// Returns whose streams an account may copy through what it imports: `api` is what it calls the other
    /// API, and messages come on subjects below `deliver`.
    fn exporter(&mut self, _: AccountId, api: &str, deliver: &str) -> Option<AccountId> {
        let _ = (api, deliver);
        None
    }

    /// Returns how advisories describe a client; nothing if it is gone.
    fn client_info(&mut self, client: ConnId) -> Option<ClientInfo>;

    /// Says whether [`Env::message_died`] is wanted for an account.
    fn keeps_dead(&self, _: AccountId) -> bool {
        false
    }

    /// A consumer will not deliver a message again. What is logged here comes before what the consumer
    /// logs of it, so that no crash leaves one without the other.
    fn message_died(&mut self, _: AccountId, _: &Death<'_>) {}
}

/// A message that a consumer will not deliver again, though nobody acknowledged it.
#[derive(Clone, Copy, Debug)]
pub struct Death<'a> {
    /// The stream.
    pub stream: &'a str,
    /// The consumer.
    pub consumer: &'a str,
    /// The message.
    pub seq: Seq,
    /// Why a client gave it up; empty if it was only delivered as often as allowed.
    pub reason: &'a [u8],
    /// The message, if it was at hand.
    pub message: Option<&'a Stored<'a>>,
}

/// What an entry is for: a full disk leaves some room for what frees space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It stores something.
    Store,
    /// It lets go of something.
    Free,
}

/// A message that leaves the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outgoing<'a> {
    /// The subject that the receiver sees.
    pub subject: &'a [u8],
    /// The reply subject; empty for none.
    pub reply: &'a [u8],
    /// The whole header block from `NATS/1.0` to its empty line; empty for none.
    pub headers: &'a [u8],
    /// The body.
    pub payload: &'a [u8],
    /// The buffer that `payload` is a slice of, so that a large body can be shared instead of copied.
    pub shared: Option<&'a Bytes>,
}

/// What a subject bound by the machine leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum JsTarget {
    /// Messages are published into the stream.
    Stream(StreamId),
}

/// A message that a client publishes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inbound<'a> {
    /// The subject.
    pub subject: &'a [u8],
    /// The reply subject; empty for none.
    pub reply: &'a [u8],
    /// The whole header block; empty for none.
    pub headers: &'a [u8],
    /// The body.
    pub payload: &'a [u8],
}

/// A request on `$JS.API.>`.
#[derive(Clone, Copy, Debug)]
pub struct ApiCall<'a> {
    /// The account that asks.
    pub account: AccountId,
    /// The connection that asks; advisories describe it.
    pub client: ConnId,
    /// The rules for names.
    pub rules: NameRules,
    /// The message itself; the subject starts with `$JS.API.`.
    pub msg: Inbound<'a>,
}
