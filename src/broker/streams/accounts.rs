//! From the configuration to what the JetStream machine is told.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use config::options::{AccountJetStream, Options};
use jetstream::{BatchLimits, Options as MachineOptions};
use protocol::id::AccountId;
use protocol::js::api::API_PREFIX;
use protocol::js::check::ServerLimits;
use protocol::js::info::AccountLimits;
use protocol::text::duration::Nanos;

use super::Streams;
use crate::accounts::Account;
use crate::info::Identity;
use crate::shard::Room;

/// Returns what the machine is made with.
pub(super) fn machine_options(
    options: &Options,
    identity: &Identity,
    system: Option<AccountId>,
    room: Room,
) -> MachineOptions {
    let js = &options.jetstream;
    let window = js.limits.duplicate_window.as_nanos();
    MachineOptions {
        server_name: identity.name.clone(),
        server_id: identity.id.clone(),
        domain: js.domain.clone().unwrap_or_default(),
        strict: js.strict,
        limits: ServerLimits {
            duplicate_window: Nanos(i64::try_from(window).unwrap_or(i64::MAX)),
            max_ack_pending: signed(js.limits.ack_pending_max.map(u64::from)),
            max_request_batch: signed(js.limits.request_batch_max.map(u64::from)),
            default_max_consumers: i64::from(js.limits.default_max_consumers),
        },
        version: String::from(config::NATS_VERSION),
        store_bytes_max: js
            .file_max
            .map_or(room.store_bytes, |max| signed(Some(max))),
        memory_bytes_max: js
            .memory_max
            .map_or(room.memory_bytes, |max| signed(Some(max))),
        in_flight_bytes_max: js.buffered_size_max,
        batch: BatchLimits {
            open_per_stream_max: count(js.limits.batch.inflight_per_stream_max),
            open_max: count(js.limits.batch.inflight_total_max),
            fast_open_per_stream_max: count(js.limits.batch.fast_inflight_per_stream_max),
            fast_open_max: count(js.limits.batch.fast_inflight_total_max),
            messages_max: js.limits.batch.msgs_max,
            idle_max: js.limits.batch.timeout,
        },
        requests_max: count(js.request_queue_limit),
        system_account: system,
    }
}

/// Returns what requests that name this server's domain begin with; empty without a domain.
pub(super) fn domain_prefix(options: &Options) -> Vec<u8> {
    let domain = options.jetstream.domain.as_deref().unwrap_or_default();
    if domain.is_empty() {
        return Vec::new();
    }
    format!("$JS.{domain}.API.").into_bytes()
}

/// Returns what an account may use; none when it may use nothing.
pub(super) fn limits(options: &Options, account: &Account) -> Option<AccountLimits> {
    if !account.jetstream {
        return None;
    }
    let mut configured = options.accounts.iter();
    let own = configured.find(|own| own.name == account.name);
    let tenant = options.memphis.as_ref();
    let tenant = tenant.and_then(|memphis| memphis.limits_of(&account.name)?.jetstream.as_ref());
    match tenant.or_else(|| own?.jetstream.as_ref()) {
        Some(own) => Some(from_config(own)),
        None => Some(AccountLimits::UNLIMITED),
    }
}

fn from_config(own: &AccountJetStream) -> AccountLimits {
    AccountLimits {
        max_memory: signed(own.memory_max),
        max_storage: signed(own.file_max),
        max_streams: signed(own.streams_max.map(u64::from)),
        max_consumers: signed(own.consumers_max.map(u64::from)),
        max_ack_pending: signed(own.ack_pending_max.map(u64::from)),
        memory_max_stream_bytes: signed(own.memory_stream_bytes_max),
        storage_max_stream_bytes: signed(own.file_stream_bytes_max),
        max_bytes_required: own.max_bytes_required,
        tiered: own.tiered,
    }
}

fn count(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// Returns a limit the way the API writes it: -1 for none.
fn signed(limit: Option<u64>) -> i64 {
    limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX))
}

impl Streams {
    /// Returns the subject of this server that a subject of its domain stands for.
    pub(crate) fn local_subject(&self, subject: &[u8]) -> Option<Vec<u8>> {
        /// What a domain's API shows beside requests: the buckets of KV and Object Store.
        const BUCKETS: [&[u8]; 2] = [b"$KV.", b"$O."];
        /// The families of requests that a domain has.
        const FAMILIES: [&[u8]; 6] = [
            b"STREAM.",
            b"CONSUMER.",
            b"DIRECT.",
            b"META.",
            b"SERVER.",
            b"ACCOUNT.",
        ];
        if self.domain_prefix.is_empty() {
            return None;
        }
        let rest = subject.strip_prefix(&*self.domain_prefix)?;
        if BUCKETS.iter().any(|bucket| rest.starts_with(bucket)) {
            return Some(rest.to_vec());
        }
        let known = rest == b"INFO" || FAMILIES.iter().any(|family| rest.starts_with(family));
        known.then(|| [API_PREFIX.as_bytes(), rest].concat())
    }
}
