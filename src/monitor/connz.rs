//! `/connz`: the connections, filtered, sorted and paged.

mod order;

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

use protocol::subject;
use protocol::time::Wall;
use serde::{Deserialize, Serialize};

use crate::json;
use crate::query::{Problem, Query};
use crate::source::Source;
use crate::stats::{Connection, Subscription, TlsCert};
use crate::subsz::SubscriptionDocument;
use order::{order, uptime};

/// How many connections a page shows when nothing else is said.
const LIMIT: usize = 1024;

/// What is asked for. The names are those of system requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ConnzOptions {
    /// The order.
    pub sort: String,
    /// Whether users and accounts are shown.
    pub auth: bool,
    /// Whether subjects are shown.
    pub subscriptions: bool,
    /// Whether subscriptions are shown in full.
    pub subscriptions_detail: bool,
    /// How many to leave out.
    pub offset: usize,
    /// How many to show; 0 is the default.
    pub limit: usize,
    /// Only the connection of this number; 0 is all.
    pub cid: u64,
    /// Open ones, closed ones or all: a word, or the number that system requests carry.
    pub state: State,
    /// Only this user's.
    pub user: String,
    /// Only this account's.
    pub acc: String,
    /// Only MQTT clients with this id.
    pub mqtt_client: String,
    /// Only those that listen to this subject; needs an account.
    pub filter_subject: String,
}

/// Which connections are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "u8")]
pub enum State {
    /// Open ones.
    #[default]
    Open,
    /// Closed ones.
    Closed,
    /// All.
    All,
}

impl From<u8> for State {
    fn from(number: u8) -> Self {
        match number {
            0 => Self::Open,
            1 => Self::Closed,
            _ => Self::All,
        }
    }
}

impl ConnzOptions {
    /// Reads the parameters of a URL.
    ///
    /// # Errors
    /// The first parameter that cannot be read.
    pub(crate) fn from_query(query: &Query) -> Result<Self, Problem> {
        let (subscriptions, subscriptions_detail) = query.subscriptions()?;
        let state = match query.text("state").to_ascii_lowercase().as_str() {
            "" | "open" => State::Open,
            "closed" => State::Closed,
            "any" | "all" => State::All,
            _ => return Err(Problem::State(query.text("state").to_owned())),
        };
        Ok(Self {
            sort: query.text("sort").to_owned(),
            auth: query.boolean("auth")?,
            subscriptions,
            subscriptions_detail,
            offset: query.int("offset")?,
            limit: query.int("limit")?,
            cid: query.uint("cid")?,
            state,
            user: query.text("user").to_owned(),
            acc: query.text("acc").to_owned(),
            mqtt_client: query.text("mqtt_client").to_owned(),
            // Only requests of the system account filter by it.
            filter_subject: String::new(),
        })
    }
}

/// The document.
#[derive(Debug, Serialize)]
pub struct Connz {
    server_id: String,
    #[serde(serialize_with = "json::time")]
    now: Wall,
    num_connections: usize,
    total: usize,
    offset: usize,
    limit: usize,
    /// `null` where the account is none, as in nats-server.
    connections: Option<Vec<ConnectionDocument>>,
}

#[derive(Debug, Serialize)]
struct ConnectionDocument {
    cid: u64,
    kind: &'static str,
    #[serde(rename = "type")]
    protocol: &'static str,
    ip: String,
    port: u16,
    #[serde(serialize_with = "json::time")]
    start: Wall,
    #[serde(serialize_with = "json::time")]
    last_activity: Wall,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop: Option<Box<serde_json::value::RawValue>>,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    rtt: String,
    uptime: String,
    idle: String,
    pending_bytes: u64,
    in_msgs: u64,
    out_msgs: u64,
    in_bytes: u64,
    out_bytes: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    stalls: Option<u64>,
    subscriptions: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    lang: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    version: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    tls_version: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    tls_cipher_suite: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tls_peer_certs: Vec<TlsCert>,
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    tls_first: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    authorized_user: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    account: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subscriptions_list: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subscriptions_list_detail: Vec<SubscriptionDocument>,
    #[serde(skip_serializing_if = "String::is_empty")]
    jwt: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    issuer_key: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    name_tag: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    proxy: Option<ProxyDocument>,
}

#[derive(Debug, Serialize)]
struct ProxyDocument {
    key: Box<str>,
}

/// Returns the document.
///
/// # Errors
/// When the order is none, or not one for the connections asked for.
pub fn connz(source: &dyn Source, options: &ConnzOptions) -> Result<Connz, Problem> {
    let order = order(options)?;
    let now = source.now().wall;
    let mut conns = candidates(source, options.state);
    if !options.acc.is_empty() {
        conns.retain(|c| c.account == options.acc);
    }
    let is_known =
        options.acc.is_empty() || source.accounts().iter().any(|a| a.name == options.acc);
    let total = conns.len();
    let mut subs = subscriptions(source, options);
    keep_asked(&mut conns, options, &subs);
    conns.sort_by_key(|c| c.cid);
    order.apply(&mut conns, now);
    let limit = match options.limit {
        _ if options.cid != 0 => 1,
        0 => LIMIT,
        limit => limit,
    };
    let page = conns.into_iter().skip(options.offset).take(limit);
    let connections: Vec<_> = page
        .map(|conn| {
            let subs = subs.remove(&conn.cid).unwrap_or_default();
            document(conn, subs, options, now)
        })
        .collect();
    Ok(Connz {
        server_id: source.server().id,
        now,
        num_connections: connections.len(),
        total,
        offset: options.offset,
        limit,
        connections: is_known.then_some(connections),
    })
}

fn candidates(source: &dyn Source, state: State) -> Vec<Connection> {
    match state {
        State::Open => source.connections(),
        State::Closed => source.closed_connections(),
        State::All => {
            let mut all = source.connections();
            all.extend(source.closed_connections());
            all
        }
    }
}

/// Returns the subscriptions by connection, when they are shown or filtered by.
fn subscriptions(source: &dyn Source, options: &ConnzOptions) -> BTreeMap<u64, Vec<Subscription>> {
    let mut by_connection: BTreeMap<u64, Vec<Subscription>> = BTreeMap::new();
    let shown = options.subscriptions || options.subscriptions_detail;
    if shown || !options.filter_subject.is_empty() {
        for sub in source.subscriptions() {
            by_connection.entry(sub.cid).or_default().push(sub);
        }
    }
    by_connection
}

fn keep_asked(
    conns: &mut Vec<Connection>,
    options: &ConnzOptions,
    subs: &BTreeMap<u64, Vec<Subscription>>,
) {
    if options.cid != 0 {
        conns.retain(|c| c.cid == options.cid);
    }
    if !options.user.is_empty() {
        conns.retain(|c| c.user == options.user);
    }
    // There are no MQTT clients.
    if !options.mqtt_client.is_empty() {
        conns.clear();
    }
    let filter = options.filter_subject.as_bytes();
    if !filter.is_empty() && !options.acc.is_empty() {
        conns.retain(|c| {
            let mut held = subs.get(&c.cid).into_iter().flatten();
            held.any(|sub| subject::overlaps(sub.subject.as_bytes(), filter))
        });
    }
}

fn document(
    conn: Connection,
    subs: Vec<Subscription>,
    options: &ConnzOptions,
    now: Wall,
) -> ConnectionDocument {
    let uptime = uptime(&conn, now);
    let until = conn.end.as_ref().map_or(now, |end| end.at);
    let shown = |text: String| if options.auth { text } else { String::new() };
    let tls = conn.tls.unwrap_or_default();
    // Who has left is not shown with all of its papers.
    let papers = options.auth && conn.end.is_none();
    let signed = conn.signed.filter(|_| options.auth).unwrap_or_default();
    let (mut list, mut detail) = (Vec::new(), Vec::new());
    if options.subscriptions_detail {
        detail.extend(subs.into_iter().map(SubscriptionDocument::of_connection));
        let last = conn.last_subs.into_iter();
        detail.extend(last.map(SubscriptionDocument::of_server));
    } else if options.subscriptions {
        let all = subs.into_iter().chain(conn.last_subs);
        list.extend(all.map(|sub| sub.subject));
    }
    let (stop, reason) = match conn.end {
        Some(end) => (Some(json::embed(&end.at)), end.reason),
        None => (None, String::new()),
    };
    ConnectionDocument {
        cid: conn.cid,
        kind: "Client",
        protocol: if conn.websocket { "websocket" } else { "nats" },
        ip: conn.peer.ip().to_string(),
        port: conn.peer.port(),
        start: conn.start,
        last_activity: conn.last_activity,
        stop,
        reason,
        rtt: match conn.rtt {
            Duration::ZERO => String::new(),
            rtt => json::go_duration(rtt),
        },
        uptime: json::uptime(uptime),
        idle: json::uptime(until.since(conn.last_activity)),
        pending_bytes: conn.pending_bytes,
        in_msgs: conn.received.msgs,
        out_msgs: conn.sent.msgs,
        in_bytes: conn.received.bytes,
        out_bytes: conn.sent.bytes,
        stalls: Some(conn.stalls).filter(|n| *n > 0),
        subscriptions: conn.subscriptions,
        name: conn.name,
        lang: conn.lang,
        version: conn.version,
        tls_version: tls.version,
        tls_cipher_suite: tls.cipher,
        tls_peer_certs: if papers { tls.certs } else { Vec::new() },
        tls_first: tls.first,
        authorized_user: shown(conn.user),
        account: shown(conn.account),
        subscriptions_list: list,
        subscriptions_list_detail: detail,
        jwt: signed.jwt,
        issuer_key: signed.issuer_key,
        name_tag: shown(conn.account_label),
        tags: signed.tags,
        proxy: conn.proxy.map(|key| ProxyDocument { key }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fixture;

    fn cids(query: &str) -> Result<Vec<u64>, String> {
        let options = ConnzOptions::from_query(&Query::parse(query)).map_err(|e| e.to_string())?;
        let document = connz(&Fixture::default(), &options).map_err(|e| e.to_string())?;
        let shown = document.connections.iter().flatten();
        Ok(shown.map(|c| c.cid).collect())
    }

    #[test]
    fn connections_are_filtered_sorted_and_paged() {
        let table: [(&str, &[u64]); 12] = [
            ("", &[7, 8]),
            ("state=closed", &[20]),
            ("state=any", &[7, 8, 20]),
            ("cid=8", &[8]),
            ("cid=999", &[]),
            ("acc=A", &[7]),
            ("user=b", &[8]),
            ("sort=subs", &[7, 8]),
            ("sort=bytes_to&limit=1", &[7]),
            ("offset=1", &[8]),
            ("acc=B&filter_subject=bar", &[8]),
            ("state=closed&sort=stop", &[20]),
        ];
        for (query, expected) in table {
            assert_eq!(cids(query).as_deref(), Ok(expected), "{query}");
        }
    }

    #[test]
    fn an_account_that_is_none_has_no_list() {
        for (acc, is_list) in [("A", true), ("NONE", false)] {
            let options = ConnzOptions {
                acc: acc.to_owned(),
                ..ConnzOptions::default()
            };
            let document = connz(&Fixture::default(), &options).expect("it is answered");
            assert_eq!(document.connections.is_some(), is_list, "{acc}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_told_as_nats_server_tells_it() {
        let table = [
            ("sort=foo", "invalid sorting option: foo"),
            ("sort=stop", "sort by stop only valid on closed connections"),
            ("state=foo", "Error decoding state for foo"),
        ];
        for (query, expected) in table {
            assert_eq!(cids(query), Err(expected.to_string()), "{query}");
        }
    }
}
