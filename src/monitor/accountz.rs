//! `/accountz` and `/accstatz`: the accounts, what they share, and their traffic.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use config::options::{self, ExportKind, ImportKind, ResponseType};
use protocol::time::Wall;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::json;
use crate::query::Problem;
use crate::source::Source;
use crate::stats::{Account, Flow};
use crate::subsz::SublistDocument;

/// What `/accountz` is asked for. The name is that of system requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct AccountzOptions {
    /// This account in detail; the names of all when empty.
    pub account: String,
}

/// What `/accstatz` is asked for. The names are those of system requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct AccountStatzOptions {
    /// Only these; all when empty.
    pub accounts: Vec<String>,
    /// Whether accounts without connections are shown.
    pub include_unused: bool,
}

/// The document of `/accountz`.
#[derive(Debug, Serialize)]
pub struct Accountz {
    server_id: String,
    #[serde(serialize_with = "json::time")]
    now: Wall,
    #[serde(skip_serializing_if = "String::is_empty")]
    system_account: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    accounts: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_detail: Option<Detail>,
}

#[derive(Debug, Serialize)]
struct Detail {
    account_name: String,
    #[serde(serialize_with = "json::time")]
    update_time: Wall,
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    is_system: bool,
    expired: bool,
    complete: bool,
    jetstream_enabled: bool,
    leafnode_connections: u64,
    client_connections: u64,
    subscriptions: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    mappings: BTreeMap<String, Vec<Destination>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exports: Vec<Export>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    imports: Vec<Import>,
    #[serde(skip_serializing_if = "String::is_empty")]
    jwt: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    issuer_key: String,
    name_tag: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    decoded_jwt: Option<Box<RawValue>>,
    sublist_stats: SublistDocument,
}

#[derive(Debug, Serialize)]
struct Destination {
    subject: String,
    weight: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<String>,
}

#[derive(Debug, Serialize)]
struct Export {
    subject: String,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_token_position: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    approved_accounts: Vec<String>,
}

#[derive(Debug, Default, Serialize)]
struct Import {
    subject: String,
    account: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    to: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    local_subject: String,
    #[serde(rename = "type")]
    kind: &'static str,
    invalid: bool,
    share: bool,
    tracking: bool,
}

/// Returns the document of `/accountz`.
///
/// # Errors
/// When there is no such account.
pub fn accountz(source: &dyn Source, options: &AccountzOptions) -> Result<Accountz, Problem> {
    let server = source.server();
    let mut document = Accountz {
        server_id: server.id,
        now: source.now().wall,
        system_account: server.system_account,
        accounts: Vec::new(),
        account_detail: None,
    };
    let accounts = source.accounts();
    if options.account.is_empty() {
        document.accounts = accounts.into_iter().map(|a| a.name).collect();
        return Ok(document);
    }
    let found = accounts.into_iter().find(|a| a.name == options.account);
    let account = found.ok_or_else(|| Problem::NoAccount(options.account.clone()))?;
    document.account_detail = Some(detail(source, account, &document.system_account));
    Ok(document)
}

/// Returns what is known of one account.
///
/// # Errors
/// When there is no such account.
pub(crate) fn info(source: &dyn Source, account: &str) -> Result<impl Serialize, Problem> {
    let found = source.accounts().into_iter().find(|a| a.name == account);
    let found = found.ok_or_else(|| Problem::NoAccount(account.to_owned()))?;
    let system = source.server().system_account;
    Ok(detail(source, found, &system))
}

fn detail(source: &dyn Source, account: Account, system: &str) -> Detail {
    let options = source.options();
    let configured = options.accounts.iter().find(|a| a.name == account.name);
    let mappings = match configured {
        Some(configured) => configured.mappings.as_slice(),
        None if account.name == "$G" => options.mappings.as_slice(),
        None => &[],
    };
    let exports = configured.map(|c| c.exports.as_slice()).unwrap_or_default();
    let own_imports = configured.map(|c| c.imports.as_slice()).unwrap_or_default();
    let is_system = account.name == system;
    let signed = options.signed_account(&account.name);
    let mut imports: Vec<Import> = own_imports.iter().map(import).collect();
    let mut exports: Vec<Export> = exports.iter().map(export).collect();
    let has_streams = source.jetstream().is_some();
    if is_system {
        imports.push(own_info(&account.name, system));
        exports.extend(implied_exports(has_streams));
    } else if !system.is_empty() {
        imports.extend(implied_imports(&account.name, system, has_streams));
    }
    Detail {
        update_time: account.updated,
        is_system,
        expired: false,
        complete: true,
        jetstream_enabled: account.jetstream,
        leafnode_connections: 0,
        client_connections: account.connections,
        subscriptions: account.sublist.subscriptions,
        mappings: mappings.iter().map(mapping).collect(),
        exports,
        imports,
        sublist_stats: account.sublist.into(),
        jwt: signed
            .map(|signed| signed.token.clone())
            .unwrap_or_default(),
        issuer_key: signed
            .map(|signed| signed.issuer.clone())
            .unwrap_or_default(),
        decoded_jwt: signed.and_then(|signed| json::claims(&signed.token)),
        name_tag: account.label,
        account_name: account.name,
    }
}

/// The destinations by weight, each with its own added to those before it, as nats-server draws lots: the
/// source stands for what is left.
fn mapping(mapping: &options::Mapping) -> (String, Vec<Destination>) {
    let mut destinations: Vec<Destination> = mapping
        .destinations
        .iter()
        .map(|d| Destination {
            subject: d.subject.clone(),
            weight: d.weight,
            cluster: d.cluster.clone(),
        })
        .collect();
    let rest = destinations
        .iter()
        .filter(|d| d.cluster.is_none())
        .fold(100_u8, |rest, d| rest.saturating_sub(d.weight));
    if rest > 0 {
        destinations.push(Destination {
            subject: mapping.source.clone(),
            weight: rest,
            cluster: None,
        });
    }
    destinations.sort_by_key(|d| d.weight);
    let mut sum = 0;
    for destination in &mut destinations {
        sum = destination.weight.saturating_add(sum);
        destination.weight = sum;
    }
    (mapping.source.clone(), destinations)
}

fn export(export: &options::Export) -> Export {
    let (kind, response_type) = match export.kind {
        ExportKind::Stream => ("stream", None),
        ExportKind::Service { response, .. } => (
            "service",
            Some(match response {
                ResponseType::Singleton => "Singleton",
                ResponseType::Stream => "Stream",
                ResponseType::Chunked => "Chunked",
            }),
        ),
    };
    let position = export.account_token_position;
    Export {
        subject: export.subject.clone(),
        kind,
        response_type,
        account_token_position: Some(position).filter(|p| *p > 0),
        approved_accounts: export.accounts.clone().unwrap_or_default(),
    }
}

fn import(import: &options::Import) -> Import {
    let subject = || import.subject.clone();
    let (kind, to, local, share) = match &import.kind {
        ImportKind::Stream { prefix, to } => {
            let prefixed = prefix.as_ref().map(|p| format!("{p}.{}", import.subject));
            let local = to.clone().or(prefixed).unwrap_or_else(subject);
            ("stream", String::new(), local, false)
        }
        ImportKind::Service { to, share } => {
            let to = to.clone().unwrap_or_else(subject);
            ("service", to.clone(), to, *share)
        }
    };
    Import {
        subject: subject(),
        account: import.account.clone(),
        to,
        local_subject: local,
        kind,
        invalid: false,
        share,
        tracking: false,
    }
}

/// What each account imports without being told to: questions about itself, and the API of JetStream, of which
/// it is then told whether it may use that.
fn implied_imports(name: &str, system: &str, has_streams: bool) -> Vec<Import> {
    let service = |subject, to, share| system_service(system, subject, to, share);
    let connz = || format!("$SYS.REQ.ACCOUNT.{name}.CONNZ");
    let statz = format!("$SYS.REQ.ACCOUNT.{name}.STATZ");
    let mut imports = Vec::from([
        service(connz(), "$SYS.REQ.ACCOUNT.PING.CONNZ", false),
        service(connz(), "$SYS.REQ.SERVER.PING.CONNZ", false),
        service(statz, "$SYS.REQ.ACCOUNT.PING.STATZ", false),
        own_info(name, system),
    ]);
    if has_streams {
        imports.push(service("$JS.API.>".to_string(), "$JS.API.>", true));
    }
    imports
}

/// Who a connection is, which the system account asks of itself too.
fn own_info(name: &str, system: &str) -> Import {
    let info = format!("$SYS.REQ.USER.{name}.INFO");
    system_service(system, info, "$SYS.REQ.USER.INFO", true)
}

fn system_service(system: &str, subject: String, to: &str, share: bool) -> Import {
    Import {
        subject,
        account: system.to_owned(),
        to: to.to_owned(),
        local_subject: to.to_owned(),
        kind: "service",
        share,
        ..Import::default()
    }
}

/// What the system account exports without being told to: the other side of what each account imports.
fn implied_exports(has_streams: bool) -> impl Iterator<Item = Export> {
    let streamed = ["$SYS.REQ.ACCOUNT.*.CONNZ", "$SYS.REQ.ACCOUNT.*.STATZ"];
    let single = ["$SYS.DEBUG.SUBSCRIBERS", "$SYS.REQ.USER.*.INFO"];
    let api = has_streams.then_some("$JS.API.>");
    let single = single.into_iter().chain(api).map(|s| (s, "Singleton"));
    let services = streamed.into_iter().map(|s| (s, "Streamed")).chain(single);
    services.map(|(subject, response)| Export {
        subject: subject.to_owned(),
        kind: "service",
        response_type: Some(response),
        account_token_position: None,
        approved_accounts: Vec::new(),
    })
}

/// The document of `/accstatz`.
#[derive(Debug, Serialize)]
pub struct AccountStatz {
    server_id: String,
    #[serde(serialize_with = "json::time")]
    now: Wall,
    account_statz: Vec<AccountStats>,
}

/// An account's traffic, as documents and events show it.
#[derive(Debug, Serialize)]
pub struct AccountStats {
    acc: String,
    name: String,
    conns: u64,
    leafnodes: u64,
    total_conns: u64,
    num_subscriptions: u64,
    sent: Traffic,
    received: Traffic,
    slow_consumers: u64,
}

#[derive(Debug, Default, Serialize)]
struct Traffic {
    msgs: u64,
    bytes: u64,
    gateways: Amount,
    routes: Amount,
    leafs: Amount,
}

#[derive(Debug, Default, Serialize)]
struct Amount {
    msgs: u64,
    bytes: u64,
}

impl From<Flow> for Traffic {
    fn from(flow: Flow) -> Self {
        Self {
            msgs: flow.msgs,
            bytes: flow.bytes,
            ..Self::default()
        }
    }
}

/// Returns the document of `/accstatz`.
#[must_use]
pub fn account_statz(source: &dyn Source, options: &AccountStatzOptions) -> AccountStatz {
    let mut accounts = source.accounts();
    accounts.retain(|account| {
        let asked = options.accounts.is_empty() || options.accounts.contains(&account.name);
        asked && (options.include_unused || account.connections > 0)
    });
    AccountStatz {
        server_id: source.server().id,
        now: source.now().wall,
        account_statz: accounts.into_iter().map(AccountStats::from).collect(),
    }
}

impl AccountStatz {
    /// Says whether no account is shown.
    pub(crate) fn is_empty(&self) -> bool {
        self.account_statz.is_empty()
    }
}

impl From<Account> for AccountStats {
    fn from(account: Account) -> Self {
        Self {
            acc: account.name,
            name: account.label,
            conns: account.connections,
            leafnodes: 0,
            total_conns: account.connections_total,
            num_subscriptions: account.sublist.subscriptions,
            sent: account.sent.into(),
            received: account.received.into(),
            slow_consumers: account.slow_consumers,
        }
    }
}
