//! What is told about a consumer.

use alloc::string::String;
use alloc::vec::Vec;

use super::stream::ClusterInfo;
use crate::js::config::ConsumerConfig;
use crate::js::json::json_output;
use crate::text::duration::Nanos;
use crate::time::Wall;

json_output! {
    /// A consumer, as responses show it.
    pub struct ConsumerInfo {
        /// Its stream.
        stream_name: String = "stream_name",
        /// Its name.
        name: String = "name",
        /// When it was made.
        created: Wall = "created",
        /// What it is.
        config: ConsumerConfig = "config",
        /// The last delivery.
        delivered: SequenceInfo = "delivered",
        /// Everything up to here is acknowledged.
        ack_floor: SequenceInfo = "ack_floor",
        /// Delivered, not acknowledged.
        num_ack_pending: u64 = "num_ack_pending",
        /// Delivered more than once, not acknowledged.
        num_redelivered: u64 = "num_redelivered",
        /// Pull requests that wait.
        num_waiting: u64 = "num_waiting",
        /// Messages yet to be delivered.
        num_pending: u64 = "num_pending",
        /// Who keeps it.
        cluster: Option<ClusterInfo> = "cluster" omit,
        /// Someone listens where it delivers.
        push_bound: bool = "push_bound" omit,
        /// It delivers nothing for now.
        paused: bool = "paused" omit,
        /// For how long.
        pause_remaining: Nanos = "pause_remaining" omit,
        /// When this was true.
        ts: Wall = "ts",
        /// The state of its groups.
        priority_groups: Vec<PriorityGroupState> = "priority_groups" omit,
    }
}

json_output! {
    /// A position in a consumer and in its stream.
    pub struct SequenceInfo {
        /// The delivery.
        consumer_seq: u64 = "consumer_seq",
        /// The message.
        stream_seq: u64 = "stream_seq",
        /// When it was.
        last_active: Option<Wall> = "last_active" omit,
    }
}

json_output! {
    /// The state of a priority group.
    pub struct PriorityGroupState {
        /// The group.
        group: String = "group",
        /// The client that is served.
        pinned_client_id: String = "pinned_client_id" omit,
        /// Since when; the zero time if nobody is.
        pinned_ts: Wall = "pinned_ts",
    }
}
