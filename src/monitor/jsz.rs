//! `/jsz`: JetStream's totals, and its streams and consumers.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use config::Options;
use config::options::SyncInterval;
use protocol::js::info::{ClusterInfo, ConsumerInfo};
use protocol::text::duration::Nanos;
use protocol::time::Wall;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::json;
use crate::query::{Problem, Query};
use crate::source::Source;
use crate::stats::{AccountUsage, JetStream, Stream, Usage};

/// The API level of the nats-server version that is implemented.
const API_LEVEL: u32 = 5;
/// How many accounts a page shows when nothing else is said.
const LIMIT: usize = 1024;

/// What is asked for. The names are those of system requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct JszOptions {
    /// Only this account in detail.
    pub account: String,
    /// Whether accounts are shown.
    pub accounts: bool,
    /// Whether their streams are shown.
    pub streams: bool,
    /// Whether the streams' consumers are shown.
    pub consumer: bool,
    /// Whether the configuration of streams and consumers is shown.
    pub config: bool,
    /// Whether a server that does not lead the others stays silent; a lone one leads.
    pub leader_only: bool,
    /// How many accounts to leave out.
    pub offset: usize,
    /// How many accounts to show; 0 is the default.
    pub limit: usize,
    /// Whether groups are shown.
    pub raft: bool,
    /// Only streams that this server leads: all.
    pub stream_leader_only: bool,
}

impl JszOptions {
    /// Reads the parameters of a URL.
    ///
    /// # Errors
    /// The first parameter that cannot be read.
    pub(crate) fn from_query(query: &Query) -> Result<Self, Problem> {
        let consumer = query.boolean("consumers")? | query.boolean("direct-consumers")?;
        Ok(Self {
            account: query.text("acc").to_owned(),
            accounts: query.boolean("accounts")?,
            streams: query.boolean("streams")?,
            consumer,
            config: query.boolean("config")?,
            leader_only: query.boolean("leader-only")?,
            offset: query.int("offset")?,
            limit: query.int("limit")?,
            raft: query.boolean("raft")?,
            stream_leader_only: query.boolean("stream-leader-only")?,
        })
    }
}

/// JetStream's configuration.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Config {
    max_memory: u64,
    max_storage: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    store_dir: String,
    #[serde(skip_serializing_if = "Nanos::is_zero")]
    sync_interval: Nanos,
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    sync_always: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    domain: String,
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    compress_ok: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    unique_tag: String,
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    strict: bool,
}

impl Config {
    /// Leaves out where data lies: no business of other servers.
    pub(crate) fn without_directory(mut self) -> Self {
        self.store_dir.clear();
        self
    }

    pub(crate) fn new(js: &JetStream, options: &Options) -> Self {
        let interval = match options.jetstream.sync_interval {
            SyncInterval::Every(interval) => interval,
            // nats-server shows its default then.
            SyncInterval::Always => core::time::Duration::from_secs(120),
        };
        Self {
            max_memory: js.memory_max,
            max_storage: js.file_max,
            store_dir: js.directory.clone(),
            sync_interval: interval.into(),
            // Whatever the configuration says: nothing is acknowledged before it is synced.
            sync_always: true,
            domain: options.jetstream.domain.clone().unwrap_or_default(),
            compress_ok: true,
            unique_tag: options.jetstream.unique_tag.clone().unwrap_or_default(),
            strict: options.jetstream.strict,
        }
    }
}

/// The configured caps; those that are not set are left out.
#[derive(Debug, Serialize)]
pub(crate) struct Limits {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_request_batch: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_ack_pending: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_ha_assets: Option<u32>,
    default_max_consumers: u32,
}

impl Limits {
    pub(crate) fn new(options: &Options) -> Self {
        let limits = &options.jetstream.limits;
        Self {
            max_request_batch: limits.request_batch_max,
            max_ack_pending: limits.ack_pending_max,
            max_ha_assets: limits.ha_assets_max,
            default_max_consumers: limits.default_max_consumers,
        }
    }
}

/// What is used, as part of several documents.
#[derive(Debug, Default, Serialize)]
pub(crate) struct UsageDocument {
    memory: u64,
    storage: u64,
    reserved_memory: u64,
    reserved_storage: u64,
    accounts: usize,
    ha_assets: u32,
    api: Api,
}

#[derive(Debug, Default, Serialize)]
struct Api {
    level: u32,
    total: u64,
    errors: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    inflight: Option<u64>,
}

impl UsageDocument {
    pub(crate) fn of_server(js: &JetStream) -> Self {
        let mut document = Self::new(&js.usage, 0);
        document.accounts = js.accounts.len();
        document.api.level = API_LEVEL;
        document
    }

    /// `unlimited` is how "no limit" is shown: accounts have -1 in 64 unsigned bits.
    fn new(usage: &Usage, unlimited: u64) -> Self {
        Self {
            memory: usage.memory,
            storage: usage.storage,
            reserved_memory: usage.reserved_memory.unwrap_or(unlimited),
            reserved_storage: usage.reserved_storage.unwrap_or(unlimited),
            accounts: 0,
            ha_assets: 0,
            api: Api {
                level: 0,
                total: usage.api_total,
                errors: usage.api_errors,
                inflight: Some(usage.api_inflight).filter(|n| *n > 0),
            },
        }
    }
}

/// The document.
#[derive(Debug, Serialize)]
pub struct Jsz {
    #[serde(flatten)]
    usage: UsageDocument,
    server_id: String,
    #[serde(serialize_with = "json::time")]
    now: Wall,
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    disabled: bool,
    config: Config,
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<Limits>,
    streams: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    streams_leader: Option<u64>,
    consumers: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    consumers_leader: Option<u64>,
    messages: u64,
    bytes: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    account_details: Vec<AccountDetail>,
    total: usize,
}

#[derive(Debug, Serialize)]
struct AccountDetail {
    name: String,
    id: String,
    #[serde(flatten)]
    usage: UsageDocument,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stream_detail: Vec<StreamDetail>,
}

#[derive(Debug, Serialize)]
struct StreamDetail {
    name: String,
    #[serde(serialize_with = "json::time")]
    created: Wall,
    cluster: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<Box<RawValue>>,
    state: Box<RawValue>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    consumer_detail: Vec<ConsumerDetail>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mirror: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sources: Option<Box<RawValue>>,
}

#[derive(Debug, Serialize)]
struct ConsumerDetail {
    stream_name: String,
    name: String,
    #[serde(serialize_with = "json::time")]
    created: Wall,
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<Box<RawValue>>,
    delivered: Box<RawValue>,
    ack_floor: Box<RawValue>,
    num_ack_pending: u64,
    num_redelivered: u64,
    num_waiting: u64,
    num_pending: u64,
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    push_bound: bool,
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    paused: bool,
    #[serde(skip_serializing_if = "Nanos::is_zero")]
    pause_remaining: Nanos,
    #[serde(serialize_with = "json::time")]
    ts: Wall,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority_groups: Option<Box<RawValue>>,
}

/// Returns the document.
#[must_use]
pub(crate) fn jsz(source: &dyn Source, options: &JszOptions) -> Jsz {
    let js = source.jetstream();
    let disabled = js.is_none();
    let configured = source.options();
    let (config, limits, usage) = match &js {
        Some(js) => (
            Config::new(js, configured),
            Some(Limits::new(configured)),
            UsageDocument::of_server(js),
        ),
        None => (Config::default(), None, UsageDocument::default()),
    };
    let js = js.unwrap_or_default();
    // A lone server leads everything.
    let leads = |n: u64| Some(n).filter(|n| options.raft && *n > 0);
    Jsz {
        usage,
        server_id: source.server().id,
        now: source.now().wall,
        disabled,
        config,
        limits,
        streams: js.streams,
        streams_leader: leads(js.streams),
        consumers: js.consumers,
        consumers_leader: leads(js.consumers),
        messages: js.messages,
        bytes: js.bytes,
        account_details: details(source, &js, options),
        total: js.accounts.len(),
    }
}

/// Returns what one account uses.
///
/// # Errors
/// When there is no such account, or it has no streams to tell of.
pub(crate) fn account(
    source: &dyn Source,
    account: &str,
    options: &JszOptions,
) -> Result<impl Serialize, Problem> {
    let js = source.jetstream().ok_or(Problem::JetStreamOff)?;
    let mut accounts = source.accounts().into_iter();
    let own = accounts.find(|own| own.name == account);
    let own = own.ok_or_else(|| Problem::NoAccountWithStreams(account.to_owned()))?;
    if !own.jetstream {
        return Err(Problem::JetStreamOffFor(account.to_owned()));
    }
    let options = JszOptions {
        account: account.to_owned(),
        ..options.clone()
    };
    let mut details = details(source, &js, &options);
    Ok(details.pop().unwrap_or_else(|| AccountDetail {
        name: source.options().account_label(account).to_owned(),
        id: account.to_owned(),
        usage: UsageDocument::new(&Usage::default(), u64::MAX),
        stream_detail: Vec::new(),
    }))
}

fn details(source: &dyn Source, js: &JetStream, options: &JszOptions) -> Vec<AccountDetail> {
    // What is asked for in detail is shown with what is around it.
    let streams = options.streams || options.consumer;
    let detail = |account: &AccountUsage| AccountDetail {
        name: source.options().account_label(&account.account).to_owned(),
        id: account.account.clone(),
        usage: UsageDocument::new(&account.usage, u64::MAX),
        stream_detail: if streams {
            let streams = source.streams(&account.account).unwrap_or_default();
            let leader = source.server().name;
            let shown = streams.into_iter().map(|s| stream(s, &leader, options));
            shown.collect()
        } else {
            Vec::new()
        },
    };
    if !options.account.is_empty() {
        let named = js.accounts.iter().filter(|a| a.account == options.account);
        return named.map(detail).collect();
    }
    if !options.accounts && !streams {
        return Vec::new();
    }
    let limit = if options.limit == 0 {
        LIMIT
    } else {
        options.limit
    };
    let page = js.accounts.iter().skip(options.offset).take(limit);
    page.map(detail).collect()
}

fn stream(stream: Stream, leader: &str, options: &JszOptions) -> StreamDetail {
    let Stream { info, consumers } = stream;
    let cluster = info.cluster.unwrap_or_else(|| ClusterInfo {
        leader: leader.to_owned(),
        ..ClusterInfo::default()
    });
    let shown = consumers.into_iter().filter(|_| options.consumer);
    StreamDetail {
        name: info.config.name.clone(),
        created: info.created,
        cluster: json::embed(&cluster),
        config: options.config.then(|| json::embed(&info.config)),
        state: json::embed(&info.state),
        consumer_detail: shown.map(|c| consumer(c, options)).collect(),
        mirror: info.mirror.map(|mirror| json::embed(&mirror)),
        sources: (!info.sources.is_empty()).then(|| json::embed(&info.sources)),
    }
}

fn consumer(info: ConsumerInfo, options: &JszOptions) -> ConsumerDetail {
    let groups = &info.priority_groups;
    ConsumerDetail {
        config: options.config.then(|| json::embed(&info.config)),
        delivered: json::embed(&info.delivered),
        ack_floor: json::embed(&info.ack_floor),
        priority_groups: (!groups.is_empty()).then(|| json::embed(groups)),
        stream_name: info.stream_name,
        name: info.name,
        created: info.created,
        num_ack_pending: info.num_ack_pending,
        num_redelivered: info.num_redelivered,
        num_waiting: info.num_waiting,
        num_pending: info.num_pending,
        push_bound: info.push_bound,
        paused: info.paused,
        pause_remaining: info.pause_remaining,
        ts: info.ts,
    }
}
