//! The `jetstream` block of the server and of an account.

use alloc::format;
use alloc::string::String;
use core::time::Duration;

/// The server's `jetstream` block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JetStream {
    /// Whether streams and consumers are served.
    pub enabled: bool,
    /// The root directory; data lies in its `jetstream` folder. A folder under the system's
    /// temporary directory when not set.
    pub store_dir: Option<String>,
    /// The bytes that memory streams may hold; the server derives it from the RAM when not set.
    pub memory_max: Option<u64>,
    /// The bytes that file streams may hold; the server derives it from the disk when not set.
    pub file_max: Option<u64>,
    /// The domain that INFO and the API's prefix show.
    pub domain: Option<String>,
    /// Whether API requests with unknown fields are refused.
    pub strict: bool,
    /// How often nats-server would sync. Shown; what is acknowledged here is always synced.
    pub sync_interval: SyncInterval,
    /// Caps over all accounts.
    pub limits: ServerLimits,
    /// The bytes that may wait to enter one stream.
    pub buffered_size_max: u64,
    /// The messages that may wait to enter one stream.
    pub buffered_msgs_max: u32,
    /// How many API requests may wait.
    pub request_queue_limit: u32,
    /// How many of the waiting requests may be for information only.
    pub info_queue_limit: u32,
    /// The tag prefix that keeps replicas apart.
    pub unique_tag: Option<String>,
    /// What the store is encrypted with.
    pub encryption: Encryption,
    /// What has no effect yet, for a reload to tell of.
    pub unserved: UnservedJetStream,
}

/// Settings of the server's `jetstream` block that have no effect yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnservedJetStream {
    /// The bytes that a replica that lags may be sent at a time; 0 is nats-server's default.
    pub catchup_max: u64,
    /// How many operations of the disk run at a time.
    pub concurrent_io_max: i64,
    /// Whether domains are to be extended.
    pub extension_hint: String,
}

impl Default for UnservedJetStream {
    fn default() -> Self {
        Self {
            catchup_max: 0,
            concurrent_io_max: 4096,
            extension_hint: String::new(),
        }
    }
}

/// How data at rest is encrypted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Encryption {
    /// The operator's key; without one nothing is encrypted.
    pub key: Option<String>,
    /// The one before, under which the store may still lie.
    pub key_before: Option<String>,
    /// How what is written from now on is encrypted.
    pub cipher: StoreCipher,
}

/// A cipher for data at rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StoreCipher {
    /// ChaCha20-Poly1305.
    #[default]
    ChaCha,
    /// AES-256-GCM.
    Aes,
}

/// How often nats-server would call fsync.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncInterval {
    /// After each write.
    Always,
    /// After this time.
    Every(Duration),
}

/// The `limits` of the server's `jetstream` block. `None` is unlimited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// The highest `max_ack_pending` of a consumer.
    pub ack_pending_max: Option<u32>,
    /// How many replicated assets one server may hold.
    pub ha_assets_max: Option<u32>,
    /// The largest batch of a pull request.
    pub request_batch_max: Option<u32>,
    /// The longest duplicate window of a stream; zero is unlimited.
    pub duplicate_window: Duration,
    /// How many consumers a stream without a limit of its own gets.
    pub default_max_consumers: u32,
    /// Batches in publishing.
    pub batch: BatchLimits,
}

/// The limits of batch publishing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchLimits {
    /// Open atomic batches of one stream.
    pub inflight_per_stream_max: u32,
    /// Open atomic batches of the server.
    pub inflight_total_max: u32,
    /// Open fast batches of one stream.
    pub fast_inflight_per_stream_max: u32,
    /// Open fast batches of the server.
    pub fast_inflight_total_max: u32,
    /// Messages of one atomic batch.
    pub msgs_max: u32,
    /// How long an atomic batch may stay open without a new message.
    pub timeout: Duration,
}

/// An account's `jetstream` block: what the account may use. `None` is unlimited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountJetStream {
    /// Bytes in memory streams.
    pub memory_max: Option<u64>,
    /// Bytes in file streams.
    pub file_max: Option<u64>,
    /// Streams.
    pub streams_max: Option<u32>,
    /// Consumers.
    pub consumers_max: Option<u32>,
    /// The highest `max_ack_pending` of a consumer.
    pub ack_pending_max: Option<u32>,
    /// Bytes of one memory stream.
    pub memory_stream_bytes_max: Option<u64>,
    /// Bytes of one file stream.
    pub file_stream_bytes_max: Option<u64>,
    /// Whether each stream must be created with `max_bytes`.
    pub max_bytes_required: bool,
    /// Whether all of this is for streams with one replica, and there are other limits for others.
    pub tiered: bool,
}

impl JetStream {
    /// Returns the directory that holds the data; `temp` is the system's temporary directory.
    #[must_use]
    pub fn directory(&self, temp: &str) -> String {
        match &self.store_dir {
            Some(root) => format!("{}/jetstream", root.trim_end_matches('/')),
            None => format!("{}/nats/jetstream", temp.trim_end_matches('/')),
        }
    }
}

impl Default for JetStream {
    fn default() -> Self {
        Self {
            enabled: false,
            store_dir: None,
            memory_max: None,
            file_max: None,
            domain: None,
            strict: true,
            sync_interval: SyncInterval::Every(Duration::from_secs(120)),
            limits: ServerLimits::default(),
            buffered_size_max: 128 << 20,
            buffered_msgs_max: 100_000,
            request_queue_limit: 10_000,
            info_queue_limit: 10_000,
            unique_tag: None,
            encryption: Encryption::default(),
            unserved: UnservedJetStream::default(),
        }
    }
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            ack_pending_max: None,
            ha_assets_max: None,
            request_batch_max: None,
            duplicate_window: Duration::ZERO,
            default_max_consumers: 1000,
            batch: BatchLimits::default(),
        }
    }
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self {
            inflight_per_stream_max: 50,
            inflight_total_max: 1000,
            fast_inflight_per_stream_max: 1000,
            fast_inflight_total_max: 50_000,
            msgs_max: 1000,
            timeout: Duration::from_secs(10),
        }
    }
}
