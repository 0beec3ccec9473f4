//! The stream configuration.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::js::enums::{Compression, Discard, PersistMode, Retention, Storage};
use crate::js::json::{
    Context, DecodeError, Fields, Flags, FromJson, Node, Record, Writer, json_struct,
};
use crate::text::duration::Nanos;
use crate::time::Wall;

/// Free key-value pairs of a stream or consumer.
pub type Metadata = BTreeMap<String, String>;

/// The key of a stream's metadata by which messages that retention lets go are kept until they were copied
/// elsewhere; its value is `true`.
pub const TIERED: &str = "memphis.tiered_storage_enabled";

json_struct! {
    /// What a stream is.
    pub struct StreamConfig["StreamConfig"] {
        /// The name, unique in the account.
        name: String = "name",
        /// A text for people.
        description: String = "description" omit,
        /// The subjects whose messages are stored.
        subjects: Vec<String> = "subjects" omit,
        /// When messages may go.
        retention: Retention = "retention",
        /// Most consumers; -1 is no limit.
        max_consumers: i64 = "max_consumers" int,
        /// Most messages; -1 is no limit.
        max_msgs: i64 = "max_msgs",
        /// Most bytes; -1 is no limit.
        max_bytes: i64 = "max_bytes",
        /// How old messages get; 0 is no limit.
        max_age: Nanos = "max_age",
        /// Most messages of one subject; -1 is no limit.
        max_msgs_per_subject: i64 = "max_msgs_per_subject",
        /// Largest message, header and body; -1 is no limit.
        max_msg_size: i32 = "max_msg_size" omit,
        /// What happens when a limit is reached.
        discard: Discard = "discard",
        /// Where messages are kept.
        storage: Storage = "storage",
        /// How many servers keep a copy.
        num_replicas: i64 = "num_replicas" int,
        /// Publishes are not acknowledged.
        no_ack: bool = "no_ack" omit,
        /// How long message ids are remembered.
        duplicate_window: Nanos = "duplicate_window" omit,
        /// Where replicas should be.
        placement: Option<Placement> = "placement" omit,
        /// The stream of which this is a copy.
        mirror: Option<StreamSource> = "mirror" omit,
        /// The streams from which this one collects.
        sources: Vec<StreamSource> = "sources" omit,
        /// How stored blocks are compressed.
        compression: Compression = "compression",
        /// The sequence of the first message.
        first_seq: u64 = "first_seq" omit,
        /// How subjects change on their way in.
        subject_transform: Option<SubjectTransform> = "subject_transform" omit,
        /// Where stored messages are published again.
        republish: Option<Republish> = "republish" omit,
        /// Any replica may answer direct gets.
        allow_direct: bool = "allow_direct",
        /// A mirror may answer direct gets for its origin.
        mirror_direct: bool = "mirror_direct",
        /// The limit per subject refuses, too.
        discard_new_per_subject: bool = "discard_new_per_subject" omit,
        /// Nothing changes any more.
        sealed: bool = "sealed",
        /// Messages cannot be deleted one by one.
        deny_delete: bool = "deny_delete",
        /// Messages cannot be purged.
        deny_purge: bool = "deny_purge",
        /// A message may replace those before it.
        allow_rollup_hdrs: bool = "allow_rollup_hdrs",
        /// Limits and defaults of consumers.
        consumer_limits: ConsumerLimits = "consumer_limits",
        /// Messages may bring a time to live.
        allow_msg_ttl: bool = "allow_msg_ttl",
        /// How long the marker of a subject's end stays; 0 means that none is written.
        subject_delete_marker_ttl: Nanos = "subject_delete_marker_ttl" omit,
        /// Messages count instead of replacing.
        allow_msg_counter: bool = "allow_msg_counter" omit,
        /// Batches are stored whole or not at all.
        allow_atomic: bool = "allow_atomic" omit,
        /// Messages may be schedules.
        allow_msg_schedules: bool = "allow_msg_schedules" omit,
        /// When a publish is acknowledged.
        persist_mode: PersistMode = "persist_mode" omit,
        /// Fast batches are allowed.
        allow_batched: bool = "allow_batched" omit,
        /// Free pairs.
        metadata: Metadata = "metadata" omit,
    }
}

json_struct! {
    /// Where replicas should be.
    pub struct Placement["Placement"] {
        /// The cluster.
        cluster: String = "cluster" omit,
        /// What the servers must be tagged with.
        tags: Option<Vec<String>> = "tags" omit,
        /// The server that should lead.
        preferred: String = "preferred" omit,
    }
}

json_struct! {
    /// A stream to copy from.
    pub struct StreamSource["StreamSource", "[]*server.StreamSource"] {
        /// Its name.
        name: String = "name",
        /// The first sequence to copy.
        opt_start_seq: u64 = "opt_start_seq" omit,
        /// The time of the first message to copy.
        opt_start_time: Option<Wall> = "opt_start_time" omit,
        /// Only these subjects.
        filter_subject: String = "filter_subject" omit,
        /// Only these subjects, and how they change.
        subject_transforms: Vec<SubjectTransform> = "subject_transforms" omit,
        /// How to reach it if it is elsewhere.
        external: Option<External> = "external" omit,
        /// The durable consumer to use.
        consumer: Option<SourceConsumer> = "consumer" omit,
    }
}

json_struct! {
    /// The durable consumer that a source reads through.
    pub struct SourceConsumer["StreamConsumerSource"] {
        /// Its name.
        name: String = "name" omit,
        /// Where it delivers.
        deliver_subject: String = "deliver_subject" omit,
    }
}

json_struct! {
    /// How to reach a stream of another account or domain.
    pub struct External["ExternalStream"] {
        /// The prefix of its API.
        api: String = "api",
        /// The prefix of its deliveries.
        deliver: String = "deliver",
    }
}

json_struct! {
    /// How subjects change.
    pub struct SubjectTransform["SubjectTransformConfig"] {
        /// Which subjects.
        src: String = "src",
        /// What becomes of them.
        dest: String = "dest",
    }
}

json_struct! {
    /// Where stored messages are published again.
    pub struct Republish["RePublish"] {
        /// Which subjects.
        src: String = "src" omit,
        /// To which subjects.
        dest: String = "dest",
        /// Without the body.
        headers_only: bool = "headers_only" omit,
    }
}

json_struct! {
    /// Limits and defaults of a stream's consumers.
    pub struct ConsumerLimits["StreamConsumerLimits"] {
        /// Longest inactive threshold.
        inactive_threshold: Nanos = "inactive_threshold" omit,
        /// Most unacknowledged messages.
        max_ack_pending: i64 = "max_ack_pending" omit int,
    }
}

/// The body of a stream create or update request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamConfigRequest {
    /// The configuration.
    pub config: StreamConfig,
    /// Refuse what would otherwise be set right.
    pub pedantic: bool,
    /// Whether the request says where messages are kept.
    pub names_storage: bool,
}

impl Record for StreamConfigRequest {
    const GO: &'static str = "StreamConfigRequest";

    fn read_field(
        &mut self,
        key: &str,
        node: &Node<'_>,
        cx: &mut Context,
    ) -> Result<bool, DecodeError> {
        if key.eq_ignore_ascii_case("pedantic") {
            cx.read_field(key, Flags::NONE, &mut self.pedantic, node)?;
            return Ok(true);
        }
        self.names_storage |= key.eq_ignore_ascii_case("storage");
        self.config.read_field(key, node, cx)
    }
}

impl Fields for StreamConfigRequest {
    fn write_fields(&self, to: &mut Writer) {
        self.config.write_fields(to);
        to.field_if_set("pedantic", &self.pedantic);
    }
}

impl FromJson for StreamConfigRequest {
    const GO_TYPE: &'static str = "server.StreamConfigRequest";
    const GO_SLICE: &'static str = "[]server.StreamConfigRequest";

    fn read(&mut self, node: &Node<'_>, cx: &mut Context) -> Result<(), DecodeError> {
        cx.read_record(self, node)
    }
}
