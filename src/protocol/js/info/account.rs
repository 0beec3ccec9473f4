//! What is told about an account.

use alloc::collections::BTreeMap;
use alloc::string::String;

use crate::js::json::{ToJson, Writer, json_output};
use crate::js::limits::API_LEVEL;

json_output! {
    /// What an account uses and may use.
    pub struct AccountInfo {
        /// Bytes in memory.
        memory: u64 = "memory",
        /// Bytes on disk.
        storage: u64 = "storage",
        /// Bytes of memory promised to streams.
        reserved_memory: u64 = "reserved_memory",
        /// Bytes of disk promised to streams.
        reserved_storage: u64 = "reserved_storage",
        /// Streams.
        streams: u64 = "streams",
        /// Consumers.
        consumers: u64 = "consumers",
        /// What it may use.
        limits: AccountLimits = "limits",
        /// The domain of this server.
        domain: String = "domain" omit,
        /// How often the API was used.
        api: ApiStats = "api",
        /// Use and limits by number of replicas.
        tiers: BTreeMap<String, Tier> = "tiers" omit,
    }
}

json_output! {
    /// Use and limits of one number of replicas.
    pub struct Tier {
        /// Bytes in memory.
        memory: u64 = "memory",
        /// Bytes on disk.
        storage: u64 = "storage",
        /// Bytes of memory promised to streams.
        reserved_memory: u64 = "reserved_memory",
        /// Bytes of disk promised to streams.
        reserved_storage: u64 = "reserved_storage",
        /// Streams.
        streams: u64 = "streams",
        /// Consumers.
        consumers: u64 = "consumers",
        /// What it may use.
        limits: AccountLimits = "limits",
    }
}

/// What an account may use; -1 is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountLimits {
    /// Bytes in memory.
    pub max_memory: i64,
    /// Bytes on disk.
    pub max_storage: i64,
    /// Streams.
    pub max_streams: i64,
    /// Consumers.
    pub max_consumers: i64,
    /// Unacknowledged messages of a consumer.
    pub max_ack_pending: i64,
    /// Bytes of one stream in memory; 0 is no limit, too.
    pub memory_max_stream_bytes: i64,
    /// Bytes of one stream on disk; 0 is no limit, too.
    pub storage_max_stream_bytes: i64,
    /// Streams must say how many bytes they hold at most.
    pub max_bytes_required: bool,
    /// Whether they are those of streams with one replica; where they stand says so in JSON.
    pub tiered: bool,
}

impl AccountLimits {
    /// Nothing is allowed.
    pub const NOTHING: Self = Self {
        max_memory: 0,
        max_storage: 0,
        max_streams: 0,
        max_consumers: 0,
        max_ack_pending: 0,
        memory_max_stream_bytes: 0,
        storage_max_stream_bytes: 0,
        max_bytes_required: false,
        tiered: false,
    };

    /// Nothing is limited.
    pub const UNLIMITED: Self = Self {
        max_memory: -1,
        max_storage: -1,
        max_streams: -1,
        max_consumers: -1,
        max_ack_pending: -1,
        memory_max_stream_bytes: -1,
        storage_max_stream_bytes: -1,
        max_bytes_required: false,
        tiered: false,
    };
}

impl Default for AccountLimits {
    fn default() -> Self {
        Self::UNLIMITED
    }
}

impl ToJson for AccountLimits {
    fn write(&self, to: &mut Writer) {
        to.begin_object();
        to.field("max_memory", &self.max_memory);
        to.field("max_storage", &self.max_storage);
        to.field("max_streams", &self.max_streams);
        to.field("max_consumers", &self.max_consumers);
        to.field("max_ack_pending", &self.max_ack_pending);
        to.field("memory_max_stream_bytes", &self.memory_max_stream_bytes);
        to.field("storage_max_stream_bytes", &self.storage_max_stream_bytes);
        to.field("max_bytes_required", &self.max_bytes_required);
        to.end_object();
    }

    fn is_empty(&self) -> bool {
        false
    }
}

/// How often the API was used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApiStats {
    /// Requests.
    pub total: u64,
    /// Requests that got an error.
    pub errors: u64,
    /// Requests that wait for their answer.
    pub inflight: u64,
}

impl ToJson for ApiStats {
    fn write(&self, to: &mut Writer) {
        to.begin_object();
        to.field("level", &API_LEVEL);
        to.field("total", &self.total);
        to.field("errors", &self.errors);
        to.field_if_set("inflight", &self.inflight);
        to.end_object();
    }

    fn is_empty(&self) -> bool {
        false
    }
}
