//! Claims of version 1, which tools wrote until 2020 and long-lived credentials still carry.
//!
//! They are brought into the form of version 2, so that nothing else knows of them.

use alloc::string::{String, ToString};

use serde_json::{Map, Value};

use super::Outer;
use crate::claims::NO_LIMIT;

/// The limits that accounts had.
const ACCOUNT_LIMITS: [&str; 8] = [
    "subs",
    "data",
    "payload",
    "imports",
    "exports",
    "wildcards",
    "conn",
    "leaf",
];
/// The limits of users, which were none where the claims did not name them.
const USER_LIMITS: [&str; 3] = ["subs", "data", "payload"];

/// Returns the claims' inside as version 2 would have written it.
pub(super) fn migrated(
    kind: &str,
    outer: &Outer<'_>,
    inside: &str,
) -> Result<String, serde_json::Error> {
    let mut claims: Map<String, Value> = serde_json::from_str(inside)?;
    claims.insert(
        "tags".to_string(),
        outer.tags.clone().unwrap_or_default().into(),
    );
    if kind == "account" {
        if let Some(Value::Object(limits)) = claims.get_mut("limits") {
            limits.retain(|name, _| ACCOUNT_LIMITS.contains(&name.as_str()));
        }
    } else {
        let issuer = outer.issuer_account.clone();
        claims.insert("issuer_account".to_string(), issuer.into());
    }
    if kind == "user" {
        for limit in USER_LIMITS {
            claims.entry(limit).or_insert(NO_LIMIT.into());
        }
    }
    if kind == "activation"
        && let Some(of) = claims.remove("type")
    {
        claims.insert("kind".to_string(), of);
    }
    serde_json::to_string(&claims)
}
