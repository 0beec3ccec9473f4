//! What is told about a stream.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use crate::js::config::{External, StreamConfig, SubjectTransform};
use crate::js::errors::ApiError;
use crate::js::json::{ToJson, Writer, json_output, json_struct};
use crate::text::duration::Nanos;
use crate::time::Wall;

json_struct! {
    /// What a stream holds.
    pub struct StreamState["StreamState"] {
        /// Messages.
        messages: u64 = "messages",
        /// Bytes of them.
        bytes: u64 = "bytes",
        /// The first message's sequence, or the next one if there are none after a purge.
        first_seq: u64 = "first_seq",
        /// When the first message was stored.
        first_ts: Wall = "first_ts",
        /// The last sequence ever given.
        last_seq: u64 = "last_seq",
        /// When the last message was stored.
        last_ts: Wall = "last_ts",
        /// Different subjects.
        num_subjects: u64 = "num_subjects" omit int,
        /// Messages of each subject, if asked for.
        subjects: BTreeMap<String, u64> = "subjects" omit,
        /// Deleted messages between the first and the last.
        num_deleted: u64 = "num_deleted" omit int,
        /// Their sequences, if asked for.
        deleted: Vec<u64> = "deleted" omit,
        /// What damage took.
        lost: Option<LostData> = "lost" omit,
        /// Consumers.
        consumer_count: u64 = "consumer_count" int,
    }
}

json_struct! {
    /// What damage took.
    pub struct LostData["LostStreamData"] {
        /// The sequences.
        msgs: Vec<u64> = "msgs",
        /// Bytes of them.
        bytes: u64 = "bytes",
    }
}

json_output! {
    /// A stream, as responses show it.
    pub struct StreamInfo {
        /// What it is.
        config: StreamConfig = "config",
        /// When it was made.
        created: Wall = "created",
        /// What it holds.
        state: StreamState = "state",
        /// The domain of this server.
        domain: String = "domain" omit,
        /// Who keeps it.
        cluster: Option<ClusterInfo> = "cluster" omit,
        /// How far it has copied its origin.
        mirror: Option<SourceInfo> = "mirror" omit,
        /// How far it has collected from its sources.
        sources: Vec<SourceInfo> = "sources" omit,
        /// Where the same messages can be read.
        alternates: Vec<Alternate> = "alternates" omit,
        /// When this was true.
        ts: Wall = "ts",
    }
}

json_output! {
    /// Where the same messages can be read.
    pub struct Alternate {
        /// The stream.
        name: String = "name",
        /// Its domain.
        domain: String = "domain" omit,
        /// Its cluster.
        cluster: String = "cluster",
    }
}

json_output! {
    /// Who keeps a stream or consumer.
    pub struct ClusterInfo {
        /// The cluster.
        name: String = "name" omit,
        /// The group of servers that agree about it.
        raft_group: String = "raft_group" omit,
        /// The server that answers for it.
        leader: String = "leader" omit,
        /// Since when.
        leader_since: Option<Wall> = "leader_since" omit,
        /// The system account carries its traffic.
        system_account: bool = "system_account" omit,
        /// The account that carries its traffic.
        traffic_account: String = "traffic_account" omit,
        /// The other servers.
        replicas: Vec<PeerInfo> = "replicas" omit,
    }
}

json_output! {
    /// A server that keeps a copy.
    pub struct PeerInfo {
        /// The server.
        name: String = "name",
        /// It has everything.
        current: bool = "current",
        /// It has not been seen for a while.
        offline: bool = "offline" omit,
        /// How long it has not been heard.
        active: Nanos = "active",
        /// How many operations it is behind.
        lag: u64 = "lag" omit,
        /// Its id.
        peer: String = "peer",
        /// It is not part of the group yet.
        pending: bool = "pending" omit,
    }
}

json_output! {
    /// How far a stream has copied another.
    pub struct SourceInfo {
        /// The other stream.
        name: String = "name",
        /// How to reach it.
        external: Option<External> = "external" omit,
        /// How many messages it is ahead.
        lag: u64 = "lag",
        /// The last message taken from a source; mirrors keep its number and do not show it.
        seq: u64 = "seq" omit,
        /// Since when nothing has come; -1 is never.
        active: Nanos = "active",
        /// Why it does not work.
        error: Option<ApiError> = "error" omit,
        /// Only these subjects.
        filter_subject: String = "filter_subject" omit,
        /// How subjects change.
        subject_transforms: Vec<SubjectTransform> = "subject_transforms" omit,
    }
}

/// A message as a get response carries it.
#[derive(Clone, Copy, Debug)]
pub struct StoredMessage<'a> {
    /// The subject it is stored under.
    pub subject: &'a str,
    /// Its sequence.
    pub seq: u64,
    /// The header block, empty if there is none.
    pub headers: &'a [u8],
    /// The body.
    pub payload: &'a [u8],
    /// When it was stored.
    pub time: Wall,
}

impl ToJson for StoredMessage<'_> {
    fn write(&self, to: &mut Writer) {
        to.begin_object();
        to.field("subject", self.subject);
        to.field("seq", &self.seq);
        for (key, bytes) in [("hdrs", self.headers), ("data", self.payload)] {
            if !bytes.is_empty() {
                to.key(key);
                to.base64(bytes);
            }
        }
        to.field("time", &self.time);
        to.end_object();
    }

    fn is_empty(&self) -> bool {
        false
    }
}
