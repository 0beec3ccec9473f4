//! The limits that have no name in nats-server's configuration.

use core::time::Duration;

/// A publisher waits when a client that it feeds has more than this share of `max_pending` waiting.
pub(crate) const STALL_NUM: usize = 3;
/// The denominator of [`STALL_NUM`].
pub(crate) const STALL_DEN: usize = 4;
/// The longest that a publisher waits for a lagging client before it may go on.
pub(crate) const STALL: Duration = Duration::from_millis(10);
/// A publisher also pauses, for a moment, when this much waits for a client: a client that cannot keep up
/// is no faster for a longer queue, and the queue costs memory and cache.
pub(crate) const EASE_OFF_BYTES: usize = 8 << 20;
/// That moment.
pub(crate) const EASE_OFF: Duration = Duration::from_millis(2);
/// How long a new connection is left alone before its round trip is measured.
pub(crate) const FIRST_PING: Duration = Duration::from_secs(2);
/// The share of [`FIRST_PING`] and of the ping interval that is drawn at random, in per cent.
pub(crate) const PING_JITTER_PERCENT: u64 = 20;
/// How long a client may take to authenticate when the configuration does not say.
pub(crate) const AUTH_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a closed connection may take to read what is left for it.
pub(crate) const CLOSE_FLUSH: Duration = Duration::from_secs(2);
/// An outbox above this is given back once it has been written.
pub(crate) const OUTBOX_KEEP: usize = 64 << 10;
/// Bytes of publishes that wait for the disk before their publishers' reading is paused. Enough for
/// many syncs' worth at full speed, and far below the limit at which they are refused.
pub(crate) const JS_IN_FLIGHT_MAX: u64 = 32 << 20;
/// Messages that streams pass on to streams in one batch of input; the rest waits for the next one.
pub(crate) const FORWARDS_PER_BATCH: usize = 1000;
/// How long a measured round trip counts as known.
pub(crate) const RTT_FRESH: Duration = Duration::from_secs(3600);
/// Requests to the server itself that wait for the end of an input.
pub(crate) const SYSTEM_REQUESTS_MAX: usize = 4096;
/// Requests that wait for answers of other accounts, all together; the one that waits for the shortest
/// time yet makes room.
pub(crate) const RESPONSES_MAX: usize = 1 << 18;
/// Followed messages whose stream has not answered yet; of more than these the report says what is foreseen.
pub(crate) const FOLLOWED_MAX: usize = 1024;
/// Accounts that a web server is asked about at a time; users of others are refused meanwhile.
pub(crate) const FETCHES_MAX: usize = 64;
/// Subscriptions remembered of a connection that has ended.
pub(crate) const CLOSED_SUBS_MAX: usize = 32;
