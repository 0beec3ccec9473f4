//! `auth_callout`: a service that decides who may connect.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use identity::{KeyKind, PublicKey};

use super::reader::{Reader, set};
use crate::error::Finding;
use crate::options::AuthCallout;
use crate::value::{Node, Value};

/// The account of users that name none.
const GLOBAL: &str = "$G";

pub(super) fn callout(read: &mut Reader, node: &Node) -> Option<AuthCallout> {
    let mut callout = AuthCallout::default();
    let map = read.map_of(node, "authorization callout")?;
    let (mut issuer_at, mut xkey_at) = (&node.at, &node.at);
    let mut last = &node.at;
    let errors = read.errors.len();
    for (key, node) in map.iter() {
        last = &node.at;
        match key.to_ascii_lowercase().as_str() {
            "issuer" => {
                issuer_at = last;
                set(&mut callout.issuer, read.text(node));
            }
            "account" | "acc" => set(&mut callout.account, read.text(node)),
            "auth_users" | "users" => callout.users = names(read, node, "auth_users"),
            "xkey" | "key" => {
                xkey_at = last;
                callout.xkey = read.text(node);
            }
            "allowed_accounts" => callout.accounts = names(read, node, "allowed accounts"),
            _ if node.referenced => {}
            _ => read.error(
                last,
                format!("Unknown field {key:?} parsing authorization callout"),
            ),
        }
    }
    let unknown_only = |e: &Finding| e.reason.starts_with("Unknown field");
    if !read.errors.iter().skip(errors).all(unknown_only) {
        return None;
    }
    let is = |kind, text: &String| PublicKey::parse_as(kind, text).is_some();
    if callout.account.is_empty() {
        callout.account = String::from(GLOBAL);
    }
    let mut at = last;
    let wrong = if callout.issuer.is_empty() {
        "Authorization callouts require an issuer to be specified".into()
    } else if !is(KeyKind::Account, &callout.issuer) {
        let issuer = &callout.issuer;
        at = issuer_at;
        format!("Expected callout user to be a valid public account nkey, got {issuer:?}")
    } else if let Some(xkey) = callout
        .xkey
        .as_ref()
        .filter(|xkey| !is(KeyKind::Curve, xkey))
    {
        at = xkey_at;
        format!("Expected callout xkey to be a valid public xkey, got {xkey:?}")
    } else if callout.users.is_empty() {
        "Authorization callouts require authorized users to be specified".into()
    } else {
        return Some(callout);
    };
    read.error(at, wrong);
    None
}

fn names(read: &mut Reader, node: &Node, what: &str) -> Vec<String> {
    let Value::List(items) = &node.value else {
        let reason = format!("Expected {what} field to be an array, got *conf.token");
        read.error(&node.at, reason);
        return Vec::new();
    };
    items.iter().filter_map(|item| read.text(item)).collect()
}
