//! From the value tree to [`Options`]: each key is checked where it stands, and every mistake is
//! reported, not only the first.
//!
//! *Invariant:* a key is either applied, or listed as unsupported, or an error. None is passed over.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "each key takes one or two kinds of value; all others are the same mistake"
)]

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::Surroundings;
use crate::error::Finding;
use crate::options::{Auth, Listen, Options};
use crate::value::{Map, Node, Value};

mod accounts;
mod callout;
mod consistency;
mod jetstream;
pub(crate) mod listen;
mod mappings;
pub(crate) mod memphis;
mod operator;
mod peer_values;
mod peers;
mod proxies;
mod reader;
mod schema;
mod sharing;
mod stores;
mod subject;
#[cfg(test)]
mod tests;
mod tls;
pub(crate) mod unserved;
mod users;
mod websocket;

pub use consistency::Inconsistent;
pub(crate) use consistency::settle;
pub(crate) use operator::translated;
pub use operator::{OperatorError, permissions as claimed_permissions};
pub use reader::Unsupported;
pub use websocket::WebSocketError;

use listen::Address;
use memphis::Draft as MemphisDraft;
use reader::{Reader, set};

/// What a file's values come to.
pub(crate) struct Checked {
    pub(crate) options: Options,
    /// What does not go together in operator mode, or is missing for a gateway.
    pub(crate) inconsistent: Option<Inconsistent>,
    pub(crate) errors: Vec<Finding>,
    pub(crate) warnings: Vec<Finding>,
    pub(crate) unsupported: Vec<Unsupported>,
}

/// Checks the values of a file.
#[cfg(test)]
pub(crate) fn check(map: &Map, around: &mut dyn Surroundings) -> Checked {
    check_beside(map, None, around)
}

/// Checks the values of a file beside a flag that names where streams are stored: a file may not do so, too.
pub(crate) fn check_beside(
    map: &Map,
    store_dir: Option<&str>,
    around: &mut dyn Surroundings,
) -> Checked {
    let mut read = Reader::default();
    let mut file = File::default();
    file.options.jetstream.store_dir = store_dir.map(String::from);
    read.each_of(map, |read, key, node| {
        file.listeners(read, key, node)
            || file.certificates(read, key, node, around)
            || file.operators.read(read, key, node, around)
            || file.limits(read, key, node)
            || file.access(read, key, node)
            || file.logging(read, key, node)
            || file.process(read, key, node)
            || file.memphis_keys(read, key, node)
            || file.peers(read, key, node, around)
            || file.unserved(read, key, node, around)
    });
    let operators = core::mem::take(&mut file.operators);
    let lacking = file.lacking.take();
    let mut options = file.options(around);
    let finished = operators.finish(&mut read, &mut options, around);
    let inconsistent = finished.err().map(Inconsistent::from).or(lacking);
    Checked {
        options,
        inconsistent,
        errors: read.errors,
        warnings: read.warnings,
        unsupported: read.unsupported,
    }
}

/// The options while the file is read: what depends on several keys is still in parts.
#[derive(Default)]
struct File {
    options: Options,
    clients: Address,
    http: Option<Address>,
    https: Option<Address>,
    memphis: Option<MemphisDraft>,
    memphis_keys: MemphisDraft,
    operators: operator::Draft,
    /// What is missing for the gateway.
    lacking: Option<Inconsistent>,
}

impl File {
    fn peers(
        &mut self,
        read: &mut Reader,
        key: &str,
        node: &Node,
        around: &mut dyn Surroundings,
    ) -> bool {
        if key == "gateway" {
            self.lacking = peers::lacking(node);
        }
        peers::block(read, key, node, &mut self.options, around)
    }

    /// What has no effect yet.
    fn unserved(
        &mut self,
        read: &mut Reader,
        key: &str,
        node: &Node,
        around: &mut dyn Surroundings,
    ) -> bool {
        unserved::setting(&mut self.options.unserved, key, node);
        schema::known(read, key, node, around)
    }

    fn options(mut self, around: &mut dyn Surroundings) -> Options {
        self.options.listen = Some(self.clients.or("0.0.0.0", 4222));
        // Without a host of its own, monitoring is bound where clients are.
        let monitor = |address: Option<Address>| -> Option<Listen> {
            let address = address?;
            let port = address.port?;
            Some(Listen {
                host: address.host.unwrap_or_default(),
                port,
            })
        };
        self.options.http = monitor(self.http);
        self.options.https = monitor(self.https);
        let memphis = self.memphis.map(|draft| draft.or(self.memphis_keys));
        self.options.memphis = memphis.map(|draft| draft.finish(around));
        self.options
    }

    fn listeners(&mut self, read: &mut Reader, key: &str, node: &Node) -> bool {
        let o = &mut self.options;
        match key {
            "listen" | "host" | "net" | "port" => {
                self.clients.read(read, key, node);
            }
            "client_advertise" => set(&mut o.client_advertise, read.name(node)),
            "http" => self.http.get_or_insert_default().listen(read, node),
            "https" => self.https.get_or_insert_default().listen(read, node),
            "http_port" | "monitor_port" => self.http.get_or_insert_default().port(read, node),
            "https_port" => self.https.get_or_insert_default().port(read, node),
            "http_base_path" => set(&mut o.http_base_path, read.text(node)),
            "proxy_protocol" => set(&mut o.proxy_protocol, read.boolean(node)),
            "allow_non_tls" => set(&mut o.allow_non_tls, read.boolean(node)),
            _ => return false,
        }
        true
    }

    /// What may name certificates, whose files are looked at.
    fn certificates(
        &mut self,
        read: &mut Reader,
        key: &str,
        node: &Node,
        around: &mut dyn Surroundings,
    ) -> bool {
        match key {
            "tls" => self.options.tls = tls::tls(read, node, around),
            "websocket" | "ws" => {
                self.options.websocket = websocket::websocket(read, node, around);
            }
            _ => return false,
        }
        true
    }

    fn limits(&mut self, read: &mut Reader, key: &str, node: &Node) -> bool {
        let o = &mut self.options;
        match key {
            "max_control_line" => set(&mut o.limits.control_line_max, int32(read, key, node)),
            "max_payload" => set(&mut o.limits.payload_max, int32(read, key, node)),
            "max_pending" => set(&mut o.limits.pending_max, read.count(key, node)),
            "max_connections" | "max_conn" => {
                set(&mut o.limits.connections_max, read.amount(node));
            }
            "max_subscriptions" | "max_subs" => {
                set(&mut o.limits.subscriptions_max, read.amount(node));
            }
            "max_sub_tokens" | "max_subscription_tokens" => {
                subscription_tokens(read, key, node, &mut o.limits.subscription_tokens_max);
            }
            "max_traced_msg_len" => {
                set(&mut o.limits.traced_msg_len_max, read.amount(node));
            }
            "max_closed_clients" => {
                set(&mut o.limits.closed_clients_max, read.amount(node));
            }
            "ping_interval" => set(&mut o.ping_interval, read.duration(key, node)),
            "ping_max" => set(&mut o.ping_max, read.amount(node)),
            "write_deadline" => set(&mut o.write_deadline, read.duration(key, node)),
            "no_header_support" => set(&mut o.no_header_support, read.boolean(node)),
            "no_fast_producer_stall" => set(&mut o.no_fast_producer_stall, read.boolean(node)),
            "disable_sublist_cache" | "no_sublist_cache" => {
                set(&mut o.no_sublist_cache, read.boolean(node));
            }
            _ => return false,
        }
        true
    }

    fn access(&mut self, read: &mut Reader, key: &str, node: &Node) -> bool {
        let o = &mut self.options;
        match key {
            "authorization" => o.auth = users::authorization(read, node),
            "accounts" => o.accounts = accounts::accounts(read, node),
            "mappings" | "maps" => o.mappings = mappings::mappings(read, node),
            "no_auth_user" => set(&mut o.no_auth_user, read.name(node)),
            "proxies" => o.proxies = Some(proxies::proxies(read, node)),
            "system_account" | "system" => system_account(read, node, &mut o.system_account),
            "no_system_account" | "no_system" | "no_sys_acc" => {
                set(&mut o.no_system_account, read.boolean(node));
            }
            _ => return false,
        }
        self.no_duplicate_users(read, node);
        true
    }

    /// Reports a user that the block just read has in common with itself or an earlier one.
    fn no_duplicate_users(&self, read: &mut Reader, node: &Node) {
        let Options { auth, accounts, .. } = &self.options;
        let Auth { users, .. } = auth;
        let users = users.iter().chain(accounts.iter().flat_map(|a| &a.users));
        let mut names: Vec<&str> = users
            .map(|user| user.nkey.as_deref().unwrap_or(&user.name))
            .collect();
        names.sort_unstable();
        let twice = names
            .windows(2)
            .find_map(|pair| pair.first().filter(|one| pair.last() == Some(one)));
        let told = read
            .errors
            .iter()
            .any(|e| e.reason.starts_with("Duplicate user"));
        if let Some(name) = twice
            && !told
        {
            read.error(&node.at, alloc::format!("Duplicate user {name:?} detected"));
        }
    }

    fn logging(&mut self, read: &mut Reader, key: &str, node: &Node) -> bool {
        let log = &mut self.options.logging;
        match key {
            "debug" => set(&mut log.debug, read.boolean(node)),
            "trace" => set(&mut log.trace, read.boolean(node)),
            "trace_verbose" => {
                set(&mut log.trace_verbose, read.boolean(node));
                log.trace |= log.trace_verbose;
            }
            "trace_headers" => {
                set(&mut log.trace_headers, read.boolean(node));
                log.trace |= log.trace_headers;
            }
            "logtime" => set(&mut log.logtime, read.boolean(node)),
            "logtime_utc" => set(&mut log.logtime_utc, read.boolean(node)),
            "logfile" | "log_file" => set(&mut log.file, read.name(node)),
            "logfile_size_limit" | "log_size_limit" => {
                set(&mut log.file_size_limit, read.count(key, node));
            }
            "logfile_max_num" | "log_max_num" => {
                set(&mut log.file_max_num, read.amount(node));
            }
            "syslog" => set(&mut log.syslog, read.boolean(node)),
            "remote_syslog" => set(&mut log.remote_syslog, read.name(node)),
            _ => return false,
        }
        true
    }

    fn process(&mut self, read: &mut Reader, key: &str, node: &Node) -> bool {
        let o = &mut self.options;
        match key {
            "server_name" => server_name(read, node, &mut o.server_name),
            "server_tags" => o.server_tags = tags(&read.tags(node)),
            "server_metadata" => {
                o.server_metadata = pairs(read, node, "parsing metadata:", |read, _, node| {
                    read.text(node)
                });
            }
            "feature_flags" => {
                o.feature_flags = pairs(read, node, "parsing feature flags:", feature_flag);
            }
            "default_js_domain" => read.guarded(&node.at, |read| {
                o.default_js_domain =
                    pairs(read, node, "default_js_domain config:", |read, _, node| {
                        read.text(node)
                    });
            }),
            "jetstream" => jetstream::of_server(read, node, &mut o.jetstream),
            "store_dir" | "storedir" => jetstream::store_dir(read, node, &mut o.jetstream),
            "pidfile" | "pid_file" => set(&mut o.pid_file, read.name(node)),
            "ports_file_dir" => set(&mut o.ports_file_dir, read.name(node)),
            "lame_duck_duration" => {
                let duration = read.worded_duration(key, node);
                let too_short = duration.is_some_and(|d| d.as_secs() < 30);
                if too_short {
                    let text = read.text(node).unwrap_or_default();
                    read.error(
                        &node.at,
                        alloc::format!("invalid {key} of {text}, minimum is 30 seconds"),
                    );
                }
                set(&mut o.lame_duck_duration, duration);
            }
            "lame_duck_grace_period" => {
                set(&mut o.lame_duck_grace_period, grace_period(read, key, node));
            }
            _ => return false,
        }
        true
    }

    /// The keys that Memphis adds to the top level, and its block.
    fn memphis_keys(&mut self, read: &mut Reader, key: &str, node: &Node) -> bool {
        match (key, &node.value) {
            ("memphis", Value::Bool(switch)) => {
                self.memphis = switch.then(MemphisDraft::default);
                true
            }
            ("memphis", _) => {
                self.memphis = Some(MemphisDraft::read(read, node));
                true
            }
            _ => self.memphis_keys.retention(read, key, node),
        }
    }
}

fn feature_flag(read: &mut Reader, key: &str, node: &Node) -> Option<bool> {
    let Value::Bool(on) = node.value else {
        let kind = node.value.kind();
        let reason =
            alloc::format!("error parsing feature flag {key:?}: expected bool, got {kind}");
        read.error(&node.at, reason);
        return None;
    };
    Some(on)
}

fn system_account(read: &mut Reader, node: &Node, slot: &mut Option<String>) {
    if matches!(node.value, Value::Text(_)) {
        set(slot, read.name(node));
    } else {
        read.error(&node.at, "system account name must be a string");
    }
}

fn subscription_tokens<T: TryFrom<i64>>(read: &mut Reader, key: &str, node: &Node, slot: &mut T) {
    if matches!(node.value, Value::Int(..0)) {
        let reason = alloc::format!("{key} value can not be negative");
        return read.error(&node.at, reason);
    }
    set(slot, read.count("max_subscription_tokens", node));
}

fn grace_period(read: &mut Reader, key: &str, node: &Node) -> Option<Duration> {
    if matches!(&node.value, Value::Text(text) if text.starts_with('-')) {
        read.error(
            &node.at,
            alloc::format!("invalid {key}, needs to be positive"),
        );
        return None;
    }
    read.worded_duration(key, node)
}

/// Returns a size that the protocol carries as a signed 32-bit number.
fn int32(read: &mut Reader, key: &str, node: &Node) -> Option<u32> {
    let fitting: i32 = read.count(key, node)?;
    u32::try_from(fitting).ok()
}

fn server_name(read: &mut Reader, node: &Node, slot: &mut Option<String>) {
    let name = read.name(node);
    if matches!(&name, Some(Some(n)) if n.contains(' ')) {
        read.error(&node.at, "server name cannot contain spaces");
        return;
    }
    set(slot, name);
}

fn tags(texts: &[String]) -> Vec<String> {
    let split = texts.iter().flat_map(|text| text.split(','));
    let lower = split.map(|tag| tag.trim().to_ascii_lowercase());
    lower.filter(|tag| !tag.is_empty()).collect()
}

fn pairs<T>(
    read: &mut Reader,
    node: &Node,
    what: &str,
    take: fn(&mut Reader, &str, &Node) -> Option<T>,
) -> Vec<(String, T)> {
    let Value::Map(map) = &node.value else {
        let kind = node.value.kind();
        let reason = alloc::format!("error {what} unsupported type {kind}");
        read.error(&node.at, reason);
        return Vec::new();
    };
    map.iter()
        .filter_map(|(key, node)| Some((String::from(key), take(read, key, node)?)))
        .collect()
}
