//! The `accounts` block: users, limits, and what accounts share.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use protocol::subject::has_wildcard;

use super::reader::{Reader, go_shown, set};
use super::{jetstream, mappings, sharing, subject, users};
use crate::options::{Account, AccountLimits, Trace};
use crate::value::{Node, Value};

/// The account of everyone who names none; files must not define it.
const GLOBAL: &str = "$G";

pub(super) fn accounts(read: &mut Reader, node: &Node) -> Vec<Account> {
    let mut accounts = Vec::new();
    match &node.value {
        Value::List(items) => {
            let mut seen = BTreeSet::new();
            for item in items {
                let Some(name) = read.text(item) else {
                    continue;
                };
                if !seen.insert(name.clone()) {
                    read.error(&item.at, format!("Duplicate Account Entry: {name}"));
                } else if is_free(read, &name, item) {
                    accounts.push(empty(&name));
                }
            }
        }
        Value::Map(map) => {
            for (name, node) in map.iter() {
                if is_free(read, name, node) {
                    accounts.push(account(read, name, node));
                }
            }
        }
        // nats-server passes over anything else, too.
        _ => {}
    }
    // What accounts share is looked at only where each is right by itself.
    if read.errors.is_empty() {
        sharing::check(read, &accounts, &node.at);
    }
    accounts
}

fn is_free(read: &mut Reader, name: &str, node: &Node) -> bool {
    if name == GLOBAL {
        read.error(&node.at, format!("{name:?} is a Reserved Account"));
    }
    name != GLOBAL
}

fn empty(name: &str) -> Account {
    Account {
        name: name.to_owned(),
        ..Account::default()
    }
}

fn account(read: &mut Reader, name: &str, node: &Node) -> Account {
    let mut account = empty(name);
    if !matches!(node.value, Value::Map(_)) {
        read.error(&node.at, "Expected map entries for accounts");
        return account;
    }
    read.each(node, |read, key, node| {
        match key {
            "users" => account.users = users::users(read, node),
            "default_permissions" => {
                account.default_permissions = Some(users::permissions(read, node));
            }
            "jetstream" => account.jetstream = jetstream::of_account(read, node),
            "limits" => account.limits = limits(read, node),
            "mappings" | "maps" => account.mappings = mappings::mappings(read, node),
            "exports" => account.exports = sharing::exports(read, node),
            "imports" => account.imports = sharing::imports(read, node),
            "nkey" => account.nkey = nkey(read, node),
            "msg_trace" | "trace_dest" => account.trace = trace(read, key, node),
            _ => return false,
        }
        true
    });
    account
}

fn nkey(read: &mut Reader, node: &Node) -> Option<String> {
    const LEN: usize = 56;
    let base32 = |b: u8| b.is_ascii_uppercase() || (b'2'..=b'7').contains(&b);
    let shown = match &node.value {
        Value::Text(key) if key.len() == LEN && key.starts_with('A') && key.bytes().all(base32) => {
            return Some(key.clone());
        }
        Value::Text(other) => format!("{other:?}"),
        other => go_shown(other),
    };
    let text = format!("Not a valid public nkey for an account: {shown}");
    read.error(&node.at, text);
    None
}

/// Reads where traces go: a subject, or a map with a share.
fn trace(read: &mut Reader, block: &str, node: &Node) -> Option<Trace> {
    if let Value::Text(subject) = &node.value {
        let destination = trace_destination(read, node, subject)?;
        return Some(Trace {
            destination,
            percent: 100,
        });
    }
    let (mut destination, mut percent) = (None, None);
    let map = read.map(node)?;
    for (key, node) in map.iter() {
        match (key.to_ascii_lowercase().as_str(), &node.value) {
            ("dest", Value::Text(subject)) => {
                destination = trace_destination(read, node, subject);
            }
            ("sampling", value) => percent = trace_share(read, node, value),
            _ if node.referenced => {}
            _ => read.error(
                &node.at,
                format!("Unknown field {key:?} parsing account message trace map/struct {block:?}"),
            ),
        }
    }
    if destination.is_none() && percent.is_some() {
        let text = "Trace destination sampling ignored since no destination was set";
        read.warning(&node.at, text);
    }
    Some(Trace {
        destination: destination?,
        percent: percent.unwrap_or(100),
    })
}

fn trace_destination(read: &mut Reader, node: &Node, subject: &str) -> Option<String> {
    if subject::is_valid(subject) && !has_wildcard(subject.as_bytes()) {
        return Some(subject.to_owned());
    }
    let text = format!("Trace destination {subject:?} is not valid");
    read.error(&node.at, text);
    None
}

fn trace_share(read: &mut Reader, node: &Node, value: &Value) -> Option<u8> {
    let percent: Option<i64> = match value {
        Value::Int(n) => Some(*n),
        Value::Text(text) => text.strip_suffix('%').unwrap_or(text).parse().ok(),
        _ => None,
    };
    let text = match (percent, value) {
        (Some(n), _) => match u8::try_from(n) {
            Ok(percent @ 1..=100) => return Some(percent),
            _ => format!("Ttrace destination sampling value {n} is invalid, needs to be [1..100]"),
        },
        (None, Value::Text(text)) => format!("Invalid trace destination sampling value {text:?}"),
        (None, _) => String::from(
            "Trace destination sampling field \"sampling\" should be an integer or a percentage",
        ),
    };
    read.error(&node.at, text);
    None
}

pub(super) fn limits(read: &mut Reader, node: &Node) -> AccountLimits {
    let mut limits = AccountLimits::default();
    let Some(map) = read.map_of(node, "account limits") else {
        return limits;
    };
    for (key, node) in map.iter() {
        let lower = key.to_ascii_lowercase();
        match lower.as_str() {
            "max_connections" | "max_conn" => {
                set(&mut limits.connections_max, read.cap(&lower, node));
            }
            "max_subscriptions" | "max_subs" => {
                set(&mut limits.subscriptions_max, read.cap(&lower, node));
            }
            "max_payload" | "max_pay" => set(&mut limits.payload_max, read.cap(&lower, node)),
            "max_leafnodes" | "max_leafs" => set(&mut limits.leafnodes_max, read.cap(&lower, node)),
            _ if node.referenced => {}
            _ => read.error(
                &node.at,
                format!("Unknown field {key:?} parsing account limits"),
            ),
        }
    }
    limits
}
