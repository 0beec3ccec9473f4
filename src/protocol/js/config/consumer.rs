//! The consumer configuration.

use alloc::string::String;
use alloc::vec::Vec;

use super::stream::Metadata;
use crate::js::enums::{AckPolicy, ConsumerAction, DeliverPolicy, PriorityPolicy, ReplayPolicy};
use crate::js::json::json_struct;
use crate::text::duration::Nanos;
use crate::time::Wall;

json_struct! {
    /// What a consumer is.
    pub struct ConsumerConfig["ConsumerConfig"] {
        /// The name of a consumer that outlives its clients.
        durable_name: String = "durable_name" omit,
        /// The name.
        name: String = "name" omit,
        /// A text for people.
        description: String = "description" omit,
        /// Where it starts.
        deliver_policy: DeliverPolicy = "deliver_policy",
        /// The sequence where it starts.
        opt_start_seq: u64 = "opt_start_seq" omit,
        /// The time where it starts.
        opt_start_time: Option<Wall> = "opt_start_time" omit,
        /// What acks mean.
        ack_policy: AckPolicy = "ack_policy",
        /// When an unacknowledged message is delivered again.
        ack_wait: Nanos = "ack_wait" omit,
        /// How often a message is delivered at most; -1 is no limit.
        max_deliver: i64 = "max_deliver" omit int,
        /// When messages are delivered again, by the number of deliveries.
        backoff: Vec<Nanos> = "backoff" omit,
        /// Only these subjects.
        filter_subject: String = "filter_subject" omit,
        /// Only these subjects, if they are several.
        filter_subjects: Vec<String> = "filter_subjects" omit,
        /// How fast old messages come.
        replay_policy: ReplayPolicy = "replay_policy",
        /// Most bits per second.
        rate_limit_bps: u64 = "rate_limit_bps" omit,
        /// How many acks in a hundred are reported.
        sample_freq: String = "sample_freq" omit,
        /// Most pull requests that wait.
        max_waiting: i64 = "max_waiting" omit int,
        /// Most unacknowledged messages; -1 is no limit.
        max_ack_pending: i64 = "max_ack_pending" omit int,
        /// The client confirms what it has received from time to time.
        flow_control: bool = "flow_control" omit,
        /// Deliver without bodies.
        headers_only: bool = "headers_only" omit,
        /// Largest batch of a pull request.
        max_batch: i64 = "max_batch" omit int,
        /// Longest expiry of a pull request.
        max_expires: Nanos = "max_expires" omit,
        /// Most bytes of a pull request.
        max_bytes: i64 = "max_bytes" omit int,
        /// Where messages are pushed; empty for a pull consumer.
        deliver_subject: String = "deliver_subject" omit,
        /// The queue group that shares them.
        deliver_group: String = "deliver_group" omit,
        /// How often an idle consumer says that it lives.
        idle_heartbeat: Nanos = "idle_heartbeat" omit,
        /// How long it stays without interest.
        inactive_threshold: Nanos = "inactive_threshold" omit,
        /// How many servers keep its state; 0 is as many as the stream.
        num_replicas: i64 = "num_replicas" int,
        /// Its state is kept in memory only.
        mem_storage: bool = "mem_storage" omit,
        /// It belongs to a mirror or source.
        direct: bool = "direct" omit,
        /// It belongs to a source.
        sourcing: bool = "sourcing" omit,
        /// Free pairs.
        metadata: Metadata = "metadata" omit,
        /// Nothing is delivered until then.
        pause_until: Option<Wall> = "pause_until" omit,
        /// The groups that pull requests name.
        priority_groups: Vec<String> = "priority_groups" omit,
        /// Who of a group is served.
        priority_policy: PriorityPolicy = "priority_policy" omit,
        /// How long a client stays pinned.
        priority_timeout: Nanos = "priority_timeout" omit,
    }
}

json_struct! {
    /// The body of a consumer create request.
    pub struct ConsumerCreateRequest["CreateConsumerRequest"] {
        /// The stream; the same as in the subject.
        stream_name: String = "stream_name",
        /// The consumer.
        config: ConsumerConfig = "config",
        /// Whether it may or must exist.
        action: ConsumerAction = "action",
        /// Refuse what would otherwise be set right.
        pedantic: bool = "pedantic" omit,
    }
}

impl ConsumerConfig {
    /// Reports whether clients ask for messages.
    #[must_use]
    pub fn is_pull(&self) -> bool {
        self.deliver_subject.is_empty()
    }

    /// Reports whether the consumer outlives its clients.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        !self.durable_name.is_empty()
    }

    /// Returns the subjects the consumer is limited to; empty if it is not.
    pub fn filters(&self) -> impl Iterator<Item = &str> {
        let one = (!self.filter_subject.is_empty()).then_some(self.filter_subject.as_str());
        one.into_iter()
            .chain(self.filter_subjects.iter().map(String::as_str))
    }
}
