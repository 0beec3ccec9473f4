//! The consumers of a stream.

use protocol::id::{ConsumerId, LogPos, Seq};
use protocol::store::{ReadError, ReadId};

use bytes::Bytes;

use crate::entry::{ConsumerCreate, Stored};
use crate::env::{ApiCall, Env};
use crate::shared::Shared;
use crate::stream::StreamCore;

/// The consumers of one stream.
#[derive(Debug, Default)]
pub struct Consumers {}

/// A committed entry that concerns a consumer.
#[derive(Clone, Debug)]
pub enum ConsumerEntry {
    /// A new one.
    Create(ConsumerCreate),
    /// A changed one.
    Update(ConsumerCreate),
    /// One that ends.
    Delete(ConsumerId),
    /// Progress.
    Delta(ConsumerId, Bytes),
}

/// The calls that the stream machine makes.
impl Consumers {
    /// Returns how many consumers count as such in stream info and limits.
    #[must_use]
    pub fn count(&self) -> usize {
        0
    }

    /// Returns whether a consumer wants messages on `subject` (interest retention).
    #[must_use]
    pub fn interest_in(&self, subject: &[u8]) -> bool {
        let _ = subject;
        false
    }

    /// The message was stored: whoever waits for it gets it.
    pub fn on_stored(
        &mut self,
        core: &mut StreamCore,
        seq: Seq,
        msg: &Stored<'_>,
        shared: &mut Shared,
        env: &mut impl Env,
    ) {
        let _ = (core, seq, msg, shared, env);
    }

    /// A message went away that no consumer has consumed (limits, delete, rollup).
    pub fn on_removed(&mut self, seq: Seq, subject: &[u8], shared: &mut Shared) {
        let _ = (seq, subject, shared);
    }

    /// Many messages went away (purge): everything counted has to be counted again.
    pub fn on_purged(&mut self, core: &mut StreamCore, shared: &mut Shared) {
        let _ = (core, shared);
    }

    /// The stream's configuration changed; filters have to be made again.
    pub fn on_updated(&mut self, core: &mut StreamCore, shared: &mut Shared) {
        let _ = (core, shared);
    }

    /// The stream ends: timers, waiting requests and subscriptions have to go.
    pub fn on_deleted(&mut self, core: &mut StreamCore, shared: &mut Shared, env: &mut impl Env) {
        let _ = (core, shared, env);
    }

    /// Handles a request on `$JS.API.CONSUMER.<verb>.<stream>[.<consumer>...]`; `rest` is the subject
    /// after `$JS.API.CONSUMER.`. False if nothing listens there. Requests that only read come here
    /// when everything proposed before them has been applied.
    pub fn api(
        &mut self,
        core: &mut StreamCore,
        call: &ApiCall<'_>,
        rest: &[u8],
        shared: &mut Shared,
        env: &mut impl Env,
    ) -> bool {
        let _ = (core, call, rest, shared, env);
        false
    }

    /// Handles an acknowledgement; `rest` is the subject after `$JS.ACK.`.
    pub fn ack(
        &mut self,
        core: &mut StreamCore,
        rest: &[u8],
        reply: &[u8],
        payload: &[u8],
        shared: &mut Shared,
        env: &mut impl Env,
    ) {
        let _ = (core, rest, reply, payload, shared, env);
    }

    /// Handles the answer to a flow control message; `rest` is the subject after `$JS.FC.`.
    pub fn flow_reply(
        &mut self,
        core: &mut StreamCore,
        rest: &[u8],
        shared: &mut Shared,
        env: &mut impl Env,
    ) {
        let _ = (core, rest, shared, env);
    }

    /// Applies a committed entry. The waiter of the entry, if any, is next in `shared.replies`.
    pub fn apply(
        &mut self,
        core: &mut StreamCore,
        pos: LogPos,
        entry: ConsumerEntry,
        shared: &mut Shared,
        env: &mut impl Env,
    ) {
        let _ = (core, pos, entry, shared, env);
    }

    /// The bytes that a consumer asked for have come.
    pub fn on_read(
        &mut self,
        core: &mut StreamCore,
        consumer: ConsumerId,
        read: ReadId,
        result: Result<Bytes, ReadError>,
        shared: &mut Shared,
        env: &mut impl Env,
    ) {
        let _ = (core, consumer, read, result, shared, env);
    }

    /// The timer `TimerKind::Consumer` of this consumer is due.
    pub fn on_timer(
        &mut self,
        core: &mut StreamCore,
        consumer: ConsumerId,
        shared: &mut Shared,
        env: &mut impl Env,
    ) {
        let _ = (core, consumer, shared, env);
    }

    /// A client subscribed or unsubscribed `subject`.
    pub fn interest_changed(
        &mut self,
        core: &mut StreamCore,
        subject: &[u8],
        shared: &mut Shared,
        env: &mut impl Env,
    ) {
        let _ = (core, subject, shared, env);
    }

    /// Recovery is over: timers are set, subscriptions made, deliveries begin.
    pub fn on_recovered(&mut self, core: &mut StreamCore, shared: &mut Shared, env: &mut impl Env) {
        let _ = (core, shared, env);
    }

    /// End of a batch of input, for streams in `shared.dirty`: progress goes into the log.
    pub fn pump(&mut self, core: &mut StreamCore, shared: &mut Shared, env: &mut impl Env) {
        let _ = (core, shared, env);
    }
}
