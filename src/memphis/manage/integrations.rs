//! Integrations: services outside that are told of what happens.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde_json::{Value, json};

use super::{Plan, Refusal, View};
use crate::book::{AUTH_TOKEN, Alert, CHANNEL_ID, Change, Integration, SLACK};
use crate::machine::Host;
use crate::request::Fields;
use crate::work::{Cx, Work};

/// How long a key may be.
const KEY_BYTES_MAX: usize = 1000;
/// How much of a secret is shown.
const SHOWN: usize = 4;
/// What stands for the rest.
const HIDDEN: &str = "****";

fn refuse<T>(text: &str) -> Result<T, Refusal> {
    Err(Refusal::Showable(text.into()))
}

pub(super) fn plan<H: Host>(route: &str, fields: &Fields, cx: &Cx<'_, H>) -> Result<Plan, Refusal> {
    let name = fields.text("name").to_lowercase();
    match route {
        "getAllIntegrations" => {
            let all = cx.rows().into_iter().flat_map(|rows| &rows.integrations);
            let shown: Vec<Value> = all.map(|(name, known)| show(name, known)).collect();
            Ok(Plan::Now(json!(shown)))
        }
        "getIntegrationDetails" => Ok(Plan::Now(details(&name, cx))),
        "createIntegration" | "updateIntegration" => {
            if name != SLACK {
                return refuse("the only integration that there is is slack");
            }
            let known = known(&name, cx);
            match route {
                "createIntegration" if known.is_some() => {
                    return refuse("Integration already exists");
                }
                "updateIntegration" if known.is_none() => {
                    return refuse("Integration does not exist");
                }
                _ => {}
            }
            let integration = read(fields, known)?;
            Ok(noted(name, Some(integration)))
        }
        "disconnectIntegration" => match known(&name, cx) {
            Some(_) => Ok(noted(name, None)),
            None => refuse("Integration does not exist"),
        },
        _ => Err(Refusal::NoRoute),
    }
}

fn known<'a, H: Host>(name: &str, cx: &'a Cx<'_, H>) -> Option<&'a Integration> {
    cx.rows()?.integrations.get(name)
}

/// Shows one integration; nothing is in it if it is not there.
pub(super) fn details<H: Host>(name: &str, cx: &Cx<'_, H>) -> Value {
    known(name, cx).map_or_else(|| json!({}), |known| show(name, known))
}

fn show(name: &str, integration: &Integration) -> Value {
    let mut keys = integration.keys.clone();
    if let Some(token) = keys.get_mut(AUTH_TOKEN) {
        *token = masked(token);
    }
    json!({"name": name, "keys": keys, "properties": integration.properties})
}

fn masked(secret: &str) -> String {
    let shown: String = secret.chars().take(SHOWN).collect();
    alloc::format!("{shown}-{HIDDEN}")
}

/// Reads what an integration is to be. A secret that comes back as it was shown stays what it is.
fn read(fields: &Fields, known: Option<&Integration>) -> Result<Integration, Refusal> {
    let (said, flags) = (fields.object("keys"), fields.object("properties"));
    let mut keys = BTreeMap::new();
    for (key, text) in [
        (AUTH_TOKEN, "Must provide auth token for slack integration"),
        (CHANNEL_ID, "Must provide channel ID for slack integration"),
    ] {
        let mut value = said.text(key);
        if value.is_empty() || key == AUTH_TOKEN && value.ends_with(HIDDEN) {
            value = known.map_or("", |known| known.key(key));
        }
        if value.is_empty() {
            return refuse(text);
        }
        // It goes into the head of a request.
        if value.len() > KEY_BYTES_MAX || value.chars().any(|c| c.is_control() || c == ' ') {
            return refuse("keys are single words");
        }
        keys.insert(key.to_string(), value.to_string());
    }
    let flag = |alert: Alert| {
        let before = known.is_some_and(|known| known.wants(alert));
        let wanted = flags.flag(alert.as_str()).unwrap_or(before);
        (alert.as_str().to_string(), wanted)
    };
    Ok(Integration {
        keys,
        properties: Alert::ALL.into_iter().map(flag).collect(),
    })
}

fn noted(name: String, integration: Option<Integration>) -> Plan {
    let view = View::Integration(name.clone());
    Plan::Work {
        work: Work::Note(Some(Change::Integration(name, integration))),
        topics: Vec::new(),
        view,
    }
}
