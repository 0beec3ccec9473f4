//! Integrations: services outside that are told of what happens, or take what has left stations.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use serde_json::{Value, json};

use super::{Plan, Refusal, View};
use crate::book::{AUTH_TOKEN, Alert, CHANNEL_ID, Change, Integration, S3, SLACK, s3};
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
            if ![SLACK, S3].contains(&name.as_str()) {
                return refuse("the integrations that there are are slack and s3");
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
            let integration = if name == S3 {
                read_s3(fields, known)?
            } else {
                read_slack(fields, known)?
            };
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
    if let Some(secret) = keys.get_mut(s3::SECRET_KEY) {
        *secret = HIDDEN.into();
    }
    json!({"name": name, "keys": keys, "properties": integration.properties})
}

fn masked(secret: &str) -> String {
    let shown: String = secret.chars().take(SHOWN).collect();
    alloc::format!("{shown}-{HIDDEN}")
}

/// Reads a key. A secret that comes back as it was shown stays what it is, and so does what is not said.
fn key(
    said: &Fields,
    known: Option<&Integration>,
    (key, missing): (&str, &str),
) -> Result<String, Refusal> {
    let mut value = said.text(key);
    let is_secret = [AUTH_TOKEN, s3::SECRET_KEY].contains(&key);
    if value.is_empty() || is_secret && value.ends_with(HIDDEN) {
        value = known.map_or("", |known| known.key(key));
    }
    if value.is_empty() && !missing.is_empty() {
        return refuse(missing);
    }
    // It goes into the head of a request.
    if value.len() > KEY_BYTES_MAX || value.chars().any(|c| c.is_control() || c == ' ') {
        return refuse("keys are single words");
    }
    Ok(value.into())
}

fn read_slack(fields: &Fields, known: Option<&Integration>) -> Result<Integration, Refusal> {
    let (said, flags) = (fields.object("keys"), fields.object("properties"));
    let mut keys = BTreeMap::new();
    for (name, text) in [
        (AUTH_TOKEN, "Must provide auth token for slack integration"),
        (CHANNEL_ID, "Must provide channel ID for slack integration"),
    ] {
        keys.insert(name.to_string(), key(&said, known, (name, text))?);
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

fn read_s3(fields: &Fields, known: Option<&Integration>) -> Result<Integration, Refusal> {
    let said = fields.object("keys");
    let mut keys = BTreeMap::new();
    for (name, text) in [
        (s3::ACCESS_KEY, "Must provide access key for S3 integration"),
        (s3::SECRET_KEY, "Must provide secret key for S3 integration"),
        (s3::BUCKET, "Must provide bucket name for S3 integration"),
        (s3::REGION, "Must provide region for S3 integration"),
        (s3::URL, ""),
    ] {
        keys.insert(name.to_string(), key(&said, known, (name, text))?);
    }
    if keys.get(s3::BUCKET).is_some_and(|name| !is_bucket(name)) {
        return refuse("the bucket name is not one of S3");
    }
    let url = keys.get(s3::URL).map_or("", String::as_str);
    let is_web = ["http://", "https://"].iter().any(|s| url.starts_with(s));
    if !url.is_empty() && (!is_web || url.contains(['@', '?', '#'])) {
        return refuse("the url must begin with http:// or https:// and name nothing but a server");
    }
    // Pages send the flag as a text.
    let is_path_style = match said.text(s3::PATH_STYLE) {
        "" => said.flag(s3::PATH_STYLE),
        text => Some(text == "true"),
    };
    let before = known.is_some_and(|known| known.key(s3::PATH_STYLE) == "true");
    let is_path_style = is_path_style.unwrap_or(before).to_string();
    keys.insert(s3::PATH_STYLE.into(), is_path_style);
    let properties = BTreeMap::new();
    Ok(Integration { keys, properties })
}

/// Says whether a bucket can be called so: it becomes a part of a host's name or of a path.
fn is_bucket(name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-".contains(c);
    (3..=63).contains(&name.len()) && name.chars().all(is_plain)
}

fn noted(name: String, integration: Option<Integration>) -> Plan {
    let view = View::Integration(name.clone());
    Plan::Work {
        work: Work::Note(Some(Change::Integration(name, integration))),
        topics: Vec::new(),
        view,
    }
}
