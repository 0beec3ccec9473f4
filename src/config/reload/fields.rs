//! Each setting with what a change of it means, in the order in which nats-server looks at them.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use protocol::text::duration::Nanos;

use super::{ReloadError, blocks};
use crate::options::{
    HandshakeFirst, JetStream, Listen, Options, PeerField, Peers, StoreCipher, SyncInterval, Tls,
};

/// How long a login may take when the configuration does not say, in seconds.
const AUTH_TIMEOUT_S: u64 = 2;

/// A setting.
pub(super) struct Field {
    name: &'static str,
    rule: Rule,
}

/// What a change of a setting means.
enum Rule {
    /// It is refused; the function shows a value.
    Fixed(fn(&Options) -> String),
    /// It is adopted, and the line tells; the function shows a value behind `name = `.
    Shown(fn(&Options) -> String),
    /// It is adopted and told by a line of its own.
    Told {
        differs: fn(&Options, &Options) -> bool,
        line: fn(&Options) -> String,
    },
    /// It is adopted, and the line, if there is one, tells of the difference.
    Compared(fn(&Options, &Options) -> Option<String>),
    /// It counts as changed each time.
    Always,
    /// It depends.
    Judged(fn(&Options, &Options) -> Result<(), ReloadError>),
}

use Rule::{Always, Compared, Fixed, Judged, Shown, Told};

impl Field {
    /// Returns the line that tells of a change; none where there is none.
    pub(super) fn judge(
        &self,
        old: &Options,
        new: &Options,
    ) -> Result<Option<String>, ReloadError> {
        let told = |text: String| Ok(Some(format!("Reloaded: {text}")));
        match self.rule {
            Always => told(self.name.to_string()),
            Judged(judge) => judge(old, new).map(|()| None),
            Compared(line) => Ok(line(old, new)),
            Told { differs, line } if differs(old, new) => Ok(Some(line(new))),
            Told { .. } => Ok(None),
            Shown(show) => match show(new) {
                text if text == show(old) => Ok(None),
                text => told(format!("{} = {text}", self.name)),
            },
            Fixed(show) => match (show(old), show(new)) {
                (old, new) if old == new => Ok(None),
                (old, new) => Err(ReloadError::Fixed {
                    name: self.name,
                    old,
                    new,
                }),
            },
        }
    }
}

const fn field(name: &'static str, rule: Rule) -> Field {
    Field { name, rule }
}

/// Settings of the process and of connections come first, those of the log and the files last.
#[rustfmt::skip]
pub(super) const FIELDS: &[Field] = &[
    field("ServerName", Fixed(|o| text(o.server_name.as_ref()))),
    field("Host", Fixed(|o| host(o.listen.as_ref()))),
    field("Port", Fixed(|o| port(o.listen.as_ref()))),
    field("client_advertise", Told {
        differs: |old, new| old.client_advertise != new.client_advertise,
        line: |o| format!("Reload: client_advertise = {}", text(o.client_advertise.as_ref())),
    }),
    field("trace", Shown(|o| o.logging.trace.to_string())),
    field("debug", Shown(|o| o.logging.debug.to_string())),
    field("trace_verbose", Shown(|o| o.logging.trace_verbose.to_string())),
    field("trace_headers", Shown(|o| o.logging.trace_headers.to_string())),
    field("NoSublistCache", Fixed(|o| o.no_sublist_cache.to_string())),
    field("NoHeaderSupport", Fixed(|o| o.no_header_support.to_string())),
    field("logtime", Shown(|o| o.logging.logtime.to_string())),
    field("logtime_utc", Shown(|o| o.logging.logtime_utc.to_string())),
    field("max_connections", Shown(connections_max)),
    field("MaxSubs", Fixed(|o| o.limits.subscriptions_max.to_string())),
    field("MaxSubTokens", Fixed(|o| o.limits.subscription_tokens_max.to_string())),
    field("authorization users", Always),
    field("accounts", Always),
    field("NoAuthUser", Judged(no_auth_user)),
    field("SystemAccount", Judged(system_account)),
    field("NoSystemAccount", Fixed(|o| o.no_system_account.to_string())),
    field("authorization username", Told {
        differs: |old, new| old.auth.user != new.auth.user,
        line: |_| "Reloaded: authorization username".to_string(),
    }),
    field("authorization password", Told {
        differs: |old, new| old.auth.password != new.auth.password,
        line: |_| "Reloaded: authorization password".to_string(),
    }),
    field("authorization token", Told {
        differs: |old, new| old.auth.token != new.auth.token,
        line: |_| "Reloaded: authorization token".to_string(),
    }),
    field("ping_interval", Shown(|o| duration(o.ping_interval))),
    field("ping_max", Shown(|o| o.ping_max.to_string())),
    field("HTTPHost", Judged(|old, new| match (&old.http, &new.http) {
        (Some(old), Some(new)) if old.host != new.host => Err(ReloadError::Fixed {
            name: "HTTPHost",
            old: old.host.clone(),
            new: new.host.clone(),
        }),
        _ => Ok(()),
    })),
    field("HTTPPort", Fixed(|o| port(o.http.as_ref()))),
    field("HTTPBasePath", Fixed(|o| o.http_base_path.clone())),
    field("HTTPSPort", Fixed(|o| port(o.https.as_ref()))),
    field("authorization timeout", Shown(auth_timeout)),
    field("max_control_line", Shown(|o| o.limits.control_line_max.to_string())),
    field("max_payload", Shown(|o| o.limits.payload_max.to_string())),
    field("MaxPending", Fixed(|o| o.limits.pending_max.to_string())),
    field("no_fast_producer_stall", Told {
        differs: |old, new| old.no_fast_producer_stall != new.no_fast_producer_stall,
        line: |o| match o.no_fast_producer_stall {
            true => "Reloaded: fast producers will not be stalled".to_string(),
            false => "Reloaded: fast producers will be stalled".to_string(),
        },
    }),
    field("cluster host", Fixed(|o| blocks::value(o, Peers::Cluster, "Host"))),
    field("cluster port", Fixed(|o| blocks::value(o, Peers::Cluster, "Port"))),
    field("cluster name", Compared(blocks::cluster_name)),
    field("cluster", Told {
        differs: |old, new| blocks::block(old, Peers::Cluster) != blocks::block(new, Peers::Cluster),
        line: |_| "Reloaded: cluster".to_string(),
    }),
    field("Gateway", Judged(|old, new| blocks::whole(old, new, Peers::Gateway))),
    field("LeafNode", Judged(blocks::leaf_nodes)),
    field("LeafNode's compression", Told {
        differs: |old, new| compression(old) != compression(new),
        line: |o| format!("Reloaded: LeafNode Compression value is: {}", compression(o)),
    }),
    field("JetStream", Told {
        differs: |old, new| old.jetstream.enabled != new.jetstream.enabled,
        line: |_| "Reloaded: JetStream".to_string(),
    }),
    field("NoJetStreamStrict", Fixed(|o| (!o.jetstream.strict).to_string())),
    field("JetStreamMaxMemory", Judged(|old, new| limit(old, new, |js| js.memory_max))),
    field("JetStreamMaxStore", Judged(|old, new| limit(old, new, |js| js.file_max))),
    field("JetStream max_mem_store", Told {
        differs: |old, new| stay_on(old, new) && old.jetstream.memory_max != new.jetstream.memory_max,
        line: |o| format!("Reloaded: JetStream max_mem_store = {}", size(o.jetstream.memory_max)),
    }),
    field("JetStream max_file_store", Told {
        differs: |old, new| stay_on(old, new) && old.jetstream.file_max != new.jetstream.file_max,
        line: |o| format!("Reloaded: JetStream max_file_store = {}", size(o.jetstream.file_max)),
    }),
    field("JetStreamDomain", Fixed(|o| text(o.jetstream.domain.as_ref()))),
    field("JetStreamExtHint", Fixed(|o| o.jetstream.unserved.extension_hint.clone())),
    field("JetStreamKey", Judged(|old, new| secret("JetStreamKey", old, new, |js| &js.encryption.key))),
    field("JetStreamOldKey", Judged(|old, new| {
        secret("JetStreamOldKey", old, new, |js| &js.encryption.key_before)
    })),
    field("JetStreamCipher", Fixed(cipher)),
    field("JetStreamUniqueTag", Fixed(|o| text(o.jetstream.unique_tag.as_ref()))),
    field("JetStream limits", Told {
        differs: |old, new| old.jetstream.limits != new.jetstream.limits,
        line: |_| "Reloaded: JetStream limits".to_string(),
    }),
    field("JetStreamMaxCatchup", Fixed(|o| o.jetstream.unserved.catchup_max.to_string())),
    field("JetStreamRequestQueueLimit", Fixed(|o| o.jetstream.request_queue_limit.to_string())),
    field("JetStreamInfoQueueLimit", Fixed(|o| o.jetstream.info_queue_limit.to_string())),
    field("JetStreamConcurrentIOs", Judged(concurrent_io)),
    field("StreamMaxBufferedMsgs", Fixed(buffered_msgs)),
    field("StreamMaxBufferedSize", Fixed(buffered_size)),
    field("storage directory", Judged(store_dir)),
    field("SyncInterval", Fixed(|o| sync_interval(o.jetstream.sync_interval))),
    field("SyncAlways", Fixed(|o| (o.jetstream.sync_interval == SyncInterval::Always).to_string())),
    field("JsAccDefaultDomain", Fixed(|o| map(&o.default_js_domain))),
    field("Websocket", Judged(blocks::websocket)),
    field("MQTT", Judged(blocks::fixed_of_mqtt)),
    field("MQTT's changes", Compared(blocks::mqtt_told)),
    field("ProfPort", Fixed(|o| unserved(o, "ProfPort", "0"))),
    field("prof_block_rate", Shown(|o| unserved(o, "prof_block_rate", "0"))),
    field("pid_file", Told {
        differs: |old, new| new.pid_file.is_some() && old.pid_file != new.pid_file,
        line: |o| format!("Reloaded: pid_file = {}", text(o.pid_file.as_ref())),
    }),
    field("ports_file_dir", Shown(|o| text(o.ports_file_dir.as_ref()))),
    field("log_file", Shown(|o| text(o.logging.file.as_ref()))),
    field("LogSizeLimit", Fixed(|o| o.logging.file_size_limit.to_string())),
    field("LogMaxFiles", Fixed(|o| o.logging.file_max_num.to_string())),
    field("syslog", Shown(|o| o.logging.syslog.to_string())),
    field("remote_syslog", Shown(|o| text(o.logging.remote_syslog.as_ref()))),
    field("tls timeout", Told {
        differs: |old, new| tls_timeout(old) != tls_timeout(new),
        line: |o| format!("Reloaded: tls timeout = {}", tls_timeout(o).as_secs_f64()),
    }),
    field("TLSMap", Fixed(|o| o.tls.as_ref().is_some_and(|tls| tls.verify_and_map).to_string())),
    field("tls", Told {
        differs: |old, new| terms(old) != terms(new),
        line: |o| match o.tls {
            Some(_) => "Reloaded: tls = enabled".to_string(),
            None => "Reloaded: tls = disabled".to_string(),
        },
    }),
    field("pinned_certs", Told {
        differs: |old, new| pinned(old) != pinned(new),
        line: |o| format!("Reloaded: {} pinned_certs", pinned(o).len()),
    }),
    field("TLSRateLimit", Fixed(|o| {
        o.tls.as_ref().map_or(0, |tls| tls.connection_rate_limit).to_string()
    })),
    field("handshake_first", Told {
        differs: |old, new| handshake_first(old) != handshake_first(new),
        line: |o| format!("Reloaded: Client TLS handshake first: {}", handshake_first(o)),
    }),
    field("handshake_first's delay", Told {
        differs: |old, new| fallback(old) != fallback(new),
        line: |o| {
            let delay = duration(fallback(o));
            format!("Reloaded: Client TLS handshake first fallback delay: {delay}")
        },
    }),
    field("TrustedKeys", Judged(|old, new| {
        let keys = |o: &Options| o.operators.as_ref().map(|o| o.trusted.clone());
        match keys(old) == keys(new) {
            true => Ok(()),
            false => Err(ReloadError::Unsupported("a change of operators or trusted keys")),
        }
    })),
    field("AllowNonTLS", Fixed(|o| o.allow_non_tls.to_string())),
    field("write_deadline", Shown(|o| duration(o.write_deadline))),
    field("WriteTimeout", Fixed(|o| unserved(o, "WriteTimeout", ""))),
    field("MaxClosedClients", Fixed(|o| o.limits.closed_clients_max.to_string())),
    field("LameDuckDuration", Fixed(|o| duration(o.lame_duck_duration))),
    field("LameDuckGracePeriod", Fixed(|o| duration(o.lame_duck_grace_period))),
    field("max_traced_msg_len", Shown(|o| o.limits.traced_msg_len_max.to_string())),
    field("connect_error_reports", Shown(|o| unserved(o, "connect_error_reports", "3600"))),
    field("reconnect_error_reports", Shown(|o| unserved(o, "reconnect_error_reports", "1"))),
    field("tags", Told {
        differs: |old, new| old.server_tags != new.server_tags,
        line: |_| "Reloaded: tags".to_string(),
    }),
    field("metadata", Told {
        differs: |old, new| old.server_metadata != new.server_metadata,
        line: |_| "Reloaded: metadata".to_string(),
    }),
    field("ProxyProtocol", Fixed(|o| o.proxy_protocol.to_string())),
    field("ProxyRequired", Fixed(|o| o.auth.proxy_required.to_string())),
    field("proxies that are trusted no more", Compared(|old, new| {
        keys_told(&trusted_only_by(old, new), "removed")
    })),
    field("proxies that are trusted now", Compared(|old, new| {
        keys_told(&trusted_only_by(new, old), "added")
    })),
    field("FeatureFlags", Fixed(|o| map(&o.feature_flags))),
    field("OCSP", Told {
        differs: |old, new| unserved(old, "OCSP", "") != unserved(new, "OCSP", ""),
        line: |_| "Reloaded: OCSP".to_string(),
    }),
    field("OCSP peer cache", Told {
        differs: |old, new| unserved(old, "OCSP peer cache", "") != unserved(new, "OCSP peer cache", ""),
        line: |_| "Reloaded OCSP peer cache".to_string(),
    }),
    field("the memphis block", Judged(|old, new| match old.memphis == new.memphis {
        true => Ok(()),
        false => Err(ReloadError::Unsupported("the memphis block")),
    })),
];

/// Judges the limits of JetStream's storage against each other, once everything else has passed.
pub(super) fn judge_streams(old: &Options, new: &Options) -> Result<(), ReloadError> {
    if !stay_on(old, new) {
        return Ok(());
    }
    let (old, new) = (&old.jetstream, &new.jetstream);
    let lifted = |old: Option<u64>, new: Option<u64>| old.is_some() && new.is_none();
    if lifted(old.memory_max, new.memory_max) || lifted(old.file_max, new.file_max) {
        return Err(ReloadError::Unsupported(
            "jetstream max memory and max store",
        ));
    }
    Ok(())
}

/// Returns the keys of proxies that `one` trusts and `other` does not.
fn trusted_only_by<'o>(one: &'o Options, other: &Options) -> Vec<&'o String> {
    let keys = one.proxies.iter().flat_map(|proxies| &proxies.trusted);
    let is_there = |key: &str| {
        let proxies = other.proxies.as_ref();
        proxies.is_some_and(|proxies| proxies.trusted.iter().any(|known| known == key))
    };
    keys.filter(|key| !is_there(key)).collect()
}

fn keys_told(keys: &[&String], what: &str) -> Option<String> {
    let quoted: Vec<String> = keys.iter().map(|key| format!("{key:?}")).collect();
    let list = quoted.join(" ");
    (!keys.is_empty()).then(|| format!("Reloaded: proxies trusted keys [{list}] were {what}"))
}

/// Says whether streams are served under both configurations; where they come or go, limits and the
/// directory may be any.
fn stay_on(old: &Options, new: &Options) -> bool {
    old.jetstream.enabled && new.jetstream.enabled
}

/// A limit of the storage may rise, if it was set and not measured.
fn limit(
    old: &Options,
    new: &Options,
    of: fn(&JetStream) -> Option<u64>,
) -> Result<(), ReloadError> {
    if !stay_on(old, new) {
        return Ok(());
    }
    match (of(&old.jetstream), of(&new.jetstream)) {
        (Some(old), Some(new)) if new < old => Err(ReloadError::Unsupported(
            "decreasing jetstream max memory and store",
        )),
        (None, Some(_)) => Err(ReloadError::Unsupported(
            "jetstream dynamic max memory and store",
        )),
        (Some(_), Some(_) | None) | (None, None) => Ok(()),
    }
}

fn store_dir(old: &Options, new: &Options) -> Result<(), ReloadError> {
    match !stay_on(old, new) || old.jetstream.store_dir == new.jetstream.store_dir {
        true => Ok(()),
        false => Err(ReloadError::Unsupported("jetstream storage directory")),
    }
}

/// The user may only go away together with its name.
fn no_auth_user(old: &Options, new: &Options) -> Result<(), ReloadError> {
    if old.no_auth_user == new.no_auth_user {
        return Ok(());
    }
    let of_accounts = new.accounts.iter().flat_map(|account| &account.users);
    let mut users = new.auth.users.iter().chain(of_accounts);
    match (&old.no_auth_user, &new.no_auth_user) {
        (Some(old), None) if users.all(|user| user.name != *old) => Ok(()),
        (old, new) => Err(ReloadError::Fixed {
            name: "NoAuthUser",
            old: text(old.as_ref()),
            new: text(new.as_ref()),
        }),
    }
}

/// Only the name that the account has anyway may be left out.
fn system_account(old: &Options, new: &Options) -> Result<(), ReloadError> {
    match (system_account_name(old), system_account_name(new)) {
        (old, new) if old == new || (old == "$SYS" && new.is_empty()) => Ok(()),
        (old, new) => Err(ReloadError::Fixed {
            name: "SystemAccount",
            old: old.to_string(),
            new: new.to_string(),
        }),
    }
}

/// The account that has the name of old is the one, if no other is named.
pub(super) fn system_account_name(options: &Options) -> &str {
    let is_there = |name: &&str| options.accounts.iter().any(|account| account.name == *name);
    let named = options.system_account.as_deref();
    named.or(Some("$SYS").filter(is_there)).unwrap_or_default()
}

/// What nats-server would show here is a key, so only its name is told.
fn secret(
    name: &'static str,
    old: &Options,
    new: &Options,
    of: fn(&JetStream) -> &Option<String>,
) -> Result<(), ReloadError> {
    let (old, new) = (of(&old.jetstream), of(&new.jetstream));
    let hidden = |key: &Option<String>| match key {
        Some(_) => PeerField::HIDDEN.to_string(),
        None => String::new(),
    };
    match old == new {
        true => Ok(()),
        false => Err(ReloadError::Fixed {
            name,
            old: hidden(old),
            new: hidden(new),
        }),
    }
}

fn cipher(options: &Options) -> String {
    let name = match options.jetstream.encryption.cipher {
        StoreCipher::ChaCha => "ChaCha20-Poly1305",
        StoreCipher::Aes => "AES-GCM",
    };
    name.to_string()
}

/// It may be anything where streams go.
fn concurrent_io(old: &Options, new: &Options) -> Result<(), ReloadError> {
    let max = |o: &Options| o.jetstream.unserved.concurrent_io_max;
    match !new.jetstream.enabled || max(old) == max(new) {
        true => Ok(()),
        false => Err(ReloadError::Fixed {
            name: "JetStreamConcurrentIOs",
            old: max(old).to_string(),
            new: max(new).to_string(),
        }),
    }
}

fn unserved(options: &Options, name: &str, default: &str) -> String {
    let value = options.unserved.settings.get(name);
    value.map_or(default, String::as_str).to_string()
}

fn compression(options: &Options) -> String {
    match blocks::value(options, Peers::LeafNodes, "Compression") {
        mode if mode.starts_with(['{', 'm']) => mode,
        mode => format!("{{{mode} []}}"),
    }
}

fn text(value: Option<&String>) -> String {
    value.cloned().unwrap_or_default()
}

fn host(listen: Option<&Listen>) -> String {
    listen.map(|listen| listen.host.clone()).unwrap_or_default()
}

fn port(listen: Option<&Listen>) -> String {
    listen.map_or(0, |listen| listen.port).to_string()
}

fn duration(duration: Duration) -> String {
    Nanos::from(duration).to_string()
}

/// nats-server keeps a limit that lets nobody in as -1.
fn connections_max(options: &Options) -> String {
    match options.limits.connections_max {
        0 => "-1".to_string(),
        max => max.to_string(),
    }
}

/// A login over TLS has a second more than its handshake.
fn auth_timeout(options: &Options) -> String {
    let default = match &options.tls {
        Some(tls) => tls.timeout() + Duration::from_secs(1),
        None => Duration::from_secs(AUTH_TIMEOUT_S),
    };
    let timeout = options.auth.timeout.unwrap_or(default);
    timeout.as_secs_f64().to_string()
}

fn tls_timeout(options: &Options) -> Duration {
    options.tls.as_ref().map_or(Tls::TIMEOUT, Tls::timeout)
}

fn pinned(options: &Options) -> &[String] {
    let tls = options.tls.as_ref();
    tls.map_or(&[], |tls| &tls.pinned_certs)
}

/// Returns what handshakes are made with.
fn terms(options: &Options) -> Option<impl PartialEq> {
    let tls = options.tls.as_ref()?;
    Some((
        &tls.files_digest,
        tls.verify,
        &tls.cipher_suites,
        &tls.curves,
        tls.min_version,
    ))
}

/// How long a client has to begin its handshake before INFO is sent in the clear.
fn fallback(options: &Options) -> Duration {
    let tls = options.tls.as_ref();
    match tls.map(|tls| tls.handshake_first) {
        Some(HandshakeFirst::Within(delay)) => delay,
        Some(HandshakeFirst::Always | HandshakeFirst::No) | None => Duration::ZERO,
    }
}

fn handshake_first(options: &Options) -> bool {
    let tls = options.tls.as_ref();
    tls.is_some_and(|tls| tls.handshake_first != HandshakeFirst::No)
}

fn sync_interval(interval: SyncInterval) -> String {
    match interval {
        SyncInterval::Always => duration(Duration::from_secs(120)),
        SyncInterval::Every(every) => duration(every),
    }
}

/// What is not configured is 0 in nats-server's messages.
fn buffered_msgs(options: &Options) -> String {
    match options.jetstream.buffered_msgs_max {
        default if default == JetStream::default().buffered_msgs_max => "0".to_string(),
        max => max.to_string(),
    }
}

fn buffered_size(options: &Options) -> String {
    match options.jetstream.buffered_size_max {
        default if default == JetStream::default().buffered_size_max => "0".to_string(),
        max => max.to_string(),
    }
}

fn map<T: ToString>(pairs: &[(String, T)]) -> String {
    let mut pairs: Vec<String> = pairs
        .iter()
        .map(|(key, value)| format!("{key}:{}", value.to_string()))
        .collect();
    pairs.sort();
    format!("map[{}]", pairs.join(" "))
}

fn size(bytes: Option<u64>) -> String {
    size_text(bytes.unwrap_or(0))
}

/// Returns a size in the largest unit that it fills, with two decimals.
#[must_use]
pub fn size_text(bytes: u64) -> String {
    const UNITS: [(u64, &str); 6] = [
        (1 << 60, "EB"),
        (1 << 50, "PB"),
        (1 << 40, "TB"),
        (1 << 30, "GB"),
        (1 << 20, "MB"),
        (1 << 10, "KB"),
    ];
    let unit = UNITS.iter().find(|(unit, _)| bytes >= *unit);
    let Some((unit, name)) = unit else {
        return format!("{bytes} B");
    };
    let hundredths = (u128::from(bytes) * 100 + u128::from(*unit) / 2) / u128::from(*unit);
    format!("{}.{:02} {name}", hundredths / 100, hundredths % 100)
}
