//! The limits of the JetStream API that no option changes.

use crate::text::duration::Nanos;

/// Longest name of a stream or consumer, in bytes.
pub const NAME_LEN_MAX: usize = 255;
/// Longest description, in bytes.
pub const DESCRIPTION_LEN_MAX: usize = 4 * 1024;
/// Keys and values of one metadata map together, in bytes.
pub const METADATA_LEN_MAX: usize = 128 * 1024;
/// Most replicas of a stream.
pub const REPLICAS_MAX: i64 = 5;

/// The duplicate window of a stream that asks for none.
pub const DUPLICATE_WINDOW_DEFAULT: Nanos = Nanos(120_000_000_000);
/// Shortest duplicate window.
pub const DUPLICATE_WINDOW_MIN: Nanos = Nanos(100_000_000);
/// Shortest maximum age.
pub const MAX_AGE_MIN: Nanos = Nanos(100_000_000);
/// Shortest time that a subject delete marker stays.
pub const DELETE_MARKER_TTL_MIN: Nanos = Nanos(1_000_000_000);

/// How long a consumer waits for an ack when it does not say.
pub const ACK_WAIT_DEFAULT: Nanos = Nanos(30_000_000_000);
/// Unacknowledged messages that a consumer allows when it does not say.
pub const MAX_ACK_PENDING_DEFAULT: i64 = 1000;
/// Pull requests that may wait on a consumer when it does not say.
pub const MAX_WAITING_DEFAULT: i64 = 512;
/// How long an ephemeral consumer stays without interest when it does not say.
pub const INACTIVE_THRESHOLD_DEFAULT: Nanos = Nanos(5_000_000_000);
/// Shortest idle heartbeat of a push consumer.
pub const IDLE_HEARTBEAT_MIN: Nanos = Nanos(100_000_000);
/// The idle heartbeat that flow control acks prescribe.
pub const ACK_FLOW_CONTROL_HEARTBEAT: Nanos = Nanos(1_000_000_000);
/// Shortest limit on a pull request's expiry.
pub const MAX_EXPIRES_MIN: Nanos = Nanos(1_000_000);
/// How long a pinned client stays pinned without asking when the consumer does not say.
pub const PINNED_TTL_DEFAULT: Nanos = Nanos(120_000_000_000);
/// Longest name of a priority group.
pub const PRIORITY_GROUP_LEN_MAX: usize = 16;
/// The lowest urgency of a prioritized pull request; the highest is 0.
pub const PULL_PRIORITY_MAX: i64 = 9;

/// Names on one page of a names response.
pub const NAMES_PAGE: usize = 1024;
/// Entries on one page of a list response.
pub const LIST_PAGE: usize = 256;
/// Subjects on one page of a stream's info.
pub const SUBJECTS_PAGE: usize = 100_000;
/// Subjects that one direct get may ask the last messages of.
pub const MULTI_GET_SUBJECTS_MAX: usize = 1024;
/// Longest id of a batch, in bytes.
pub const BATCH_ID_LEN_MAX: usize = 64;

/// The level of the API that is implemented, as clients see it.
pub const API_LEVEL: u32 = 5;
