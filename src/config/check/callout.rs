//! `auth_callout`: a service that decides who may connect.

use alloc::format;
use alloc::string::String;

use identity::{KeyKind, PublicKey};

use super::reader::{Reader, set};
use crate::options::AuthCallout;
use crate::value::Node;

/// The account of users that name none.
const GLOBAL: &str = "$G";

pub(super) fn callout(read: &mut Reader, node: &Node) -> Option<AuthCallout> {
    let mut callout = AuthCallout::default();
    read.each(node, |read, key, node| {
        match key {
            "issuer" => set(&mut callout.issuer, read.text(node)),
            "account" | "acc" => set(&mut callout.account, read.text(node)),
            "auth_users" | "users" => callout.users = read.texts(node),
            "xkey" | "key" => callout.xkey = read.text(node),
            "allowed_accounts" => callout.accounts = read.texts(node),
            _ => return false,
        }
        true
    });
    let is = |kind, text: &String| PublicKey::parse_as(kind, text).is_some();
    if callout.account.is_empty() {
        callout.account = String::from(GLOBAL);
    }
    let wrong = if callout.issuer.is_empty() {
        "Authorization callouts require an issuer to be specified".into()
    } else if !is(KeyKind::Account, &callout.issuer) {
        let issuer = &callout.issuer;
        format!("Expected callout user to be a valid public account nkey, got {issuer:?}")
    } else if let Some(xkey) = callout
        .xkey
        .as_ref()
        .filter(|xkey| !is(KeyKind::Curve, xkey))
    {
        format!("Expected callout xkey to be a valid public xkey, got {xkey:?}")
    } else if callout.users.is_empty() {
        "Authorization callouts require authorized users to be specified".into()
    } else {
        return Some(callout);
    };
    read.error(&node.at, wrong);
    None
}
