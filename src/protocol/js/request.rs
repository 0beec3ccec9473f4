//! The bodies of requests other than the configurations.

mod pull;

pub use pull::PullRequest;

use alloc::string::String;
use alloc::vec::Vec;

use super::config::StreamConfig;
use super::info::StreamState;
use super::json::{DecodeError, FromJson, Record, Strictness, Value, decode, json_struct, parse};
use crate::time::Wall;

/// Decodes the body of a request that need not have one: what is no JSON object or array counts as
/// empty.
///
/// # Errors
/// When the body is faulty JSON.
pub fn decode_optional<T: Record + FromJson>(body: &[u8]) -> Result<T, DecodeError> {
    if is_object(body) {
        decode(body, Strictness::Strict)
    } else {
        Ok(T::default())
    }
}

/// Reports whether a body begins like an object or an array; where it need not be there, others count as
/// nothing.
#[must_use]
pub fn is_object(body: &[u8]) -> bool {
    matches!(body.trim_ascii_start().first(), Some(b'{' | b'['))
}

/// Reports whether a body counts as empty: nothing or an empty object.
#[must_use]
pub fn is_empty(body: &[u8]) -> bool {
    if body.is_empty() || body == b"{}" {
        return true;
    }
    match parse(body) {
        Ok(Some(node)) => matches!(&node.value, Value::Object(fields) if fields.is_empty()),
        Ok(None) | Err(_) => false,
    }
}

json_struct! {
    /// Asks for the names of streams.
    pub struct StreamNamesRequest["JSApiStreamNamesRequest"] {
        /// How many to skip.
        offset: i64 = "offset" int,
        /// Only streams that share messages with this subject.
        subject: String = "subject" omit,
    }
}

json_struct! {
    /// Asks for streams.
    pub struct StreamListRequest["JSApiStreamListRequest"] {
        /// How many to skip.
        offset: i64 = "offset" int,
        /// Only streams that share messages with this subject.
        subject: String = "subject" omit,
    }
}

json_struct! {
    /// Asks about a stream.
    pub struct StreamInfoRequest["JSApiStreamInfoRequest"] {
        /// How many subjects to skip.
        offset: i64 = "offset" int,
        /// List the deleted messages.
        deleted_details: bool = "deleted_details" omit,
        /// List the subjects that match.
        subjects_filter: String = "subjects_filter" omit,
    }
}

json_struct! {
    /// Asks for consumers or their names.
    pub struct ConsumersRequest["JSApiConsumersRequest"] {
        /// How many to skip.
        offset: i64 = "offset" int,
    }
}

json_struct! {
    /// Removes messages.
    pub struct PurgeRequest["JSApiStreamPurgeRequest"] {
        /// Only those before this sequence.
        seq: u64 = "seq" omit,
        /// Only those of these subjects.
        filter: String = "filter" omit,
        /// All but so many.
        keep: u64 = "keep" omit,
    }
}

json_struct! {
    /// Reads messages.
    pub struct MsgGetRequest["JSApiMsgGetRequest"] {
        /// The sequence, or from where to search.
        seq: u64 = "seq" omit,
        /// The last message of this subject.
        last_by_subj: String = "last_by_subj" omit,
        /// The next message of this subject.
        next_by_subj: String = "next_by_subj" omit,
        /// How many messages.
        batch: i64 = "batch" omit int,
        /// How many bytes at most.
        max_bytes: i64 = "max_bytes" omit int,
        /// From this time on.
        start_time: Option<Wall> = "start_time" omit,
        /// The last message of each of these subjects.
        multi_last: Vec<String> = "multi_last" omit,
        /// As it was at this sequence.
        up_to_seq: u64 = "up_to_seq" omit,
        /// As it was at this time.
        up_to_time: Option<Wall> = "up_to_time" omit,
        /// Without headers.
        no_hdr: bool = "no_hdr" omit,
    }
}

json_struct! {
    /// Deletes a message.
    pub struct MsgDeleteRequest["JSApiMsgDeleteRequest"] {
        /// Its sequence.
        seq: u64 = "seq",
        /// Its bytes need not be overwritten.
        no_erase: bool = "no_erase" omit,
    }
}

json_struct! {
    /// Stops deliveries for a while.
    pub struct PauseRequest["JSApiConsumerPauseRequest"] {
        /// Until when; the zero time resumes.
        pause_until: Wall = "pause_until",
    }
}

json_struct! {
    /// Lets go of the pinned client.
    pub struct UnpinRequest["JSApiConsumerUnpinRequest"] {
        /// Of this group.
        group: String = "group",
    }
}

json_struct! {
    /// Starts a consumer again.
    pub struct ResetRequest["JSApiConsumerResetRequest"] {
        /// At this sequence; 0 is after the ack floor.
        seq: u64 = "seq" omit,
    }
}

json_struct! {
    /// Writes a stream out.
    pub struct SnapshotRequest["JSApiStreamSnapshotRequest"] {
        /// Where the chunks go.
        deliver_subject: String = "deliver_subject",
        /// Without consumers.
        no_consumers: bool = "no_consumers" omit,
        /// Bytes of a chunk.
        chunk_size: i64 = "chunk_size" omit int,
        /// Bytes under way.
        window_size: i64 = "window_size" omit int,
        /// Check messages before.
        jsck: bool = "jsck" omit,
    }
}

json_struct! {
    /// Takes a stream in.
    pub struct RestoreRequest["JSApiStreamRestoreRequest"] {
        /// What it is.
        config: StreamConfig = "config",
        /// What it holds.
        state: StreamState = "state",
    }
}
