//! From an account's claims to the account that a file would have said.
//!
//! What of it does not fit (an import that nobody offers, a mapping that cannot be) is left out, as
//! nats-server leaves it out: an account's owner must not be able to keep a server from starting.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use identity::claims::{self, AccountLimits as ClaimedLimits, SamplingRate, TierLimits};
use identity::{Body, decode};
use protocol::subject::{is_subset, is_valid_literal};

use crate::options::{
    Account, AccountJetStream, AccountLimits, Export, ExportKind, Import, ImportKind, Latency,
    MapDestination, Mapping, PermissionList, Permissions, ResponseLimits, ResponseType, Sampling,
    SignedAccount, Trace,
};

/// The tier of streams with one replica.
const ONE_REPLICA: &str = "R1";

/// Returns the accounts; `now` is in seconds since 1970.
pub(crate) fn accounts(signed: &BTreeMap<String, SignedAccount>, now: i64) -> Vec<Account> {
    let consents = consents(signed, now);
    signed
        .iter()
        .map(|(key, account)| {
            let claims = &account.claims;
            Account {
                name: key.clone(),
                default_permissions: permissions(&claims.default_permissions),
                jetstream: jetstream(&claims.limits),
                limits: AccountLimits {
                    connections_max: cap(claims.limits.conn),
                    subscriptions_max: cap(claims.limits.subs),
                    payload_max: cap(claims.limits.payload),
                    leafnodes_max: cap(claims.limits.leaf),
                },
                mappings: mappings(&claims.mappings),
                exports: claims
                    .exports
                    .iter()
                    .filter_map(|export| translated(key, export, &consents))
                    .collect(),
                imports: claims
                    .imports
                    .iter()
                    .filter(|import| is_offered(signed, key, import, now))
                    .filter_map(taken)
                    .collect(),
                nkey: Some(key.clone()),
                trace: claims.trace.as_ref().and_then(trace),
                ..Account::default()
            }
        })
        .collect()
}

/// Returns who has an exporter's consent: exporter, subject exported, importer.
fn consents(signed: &BTreeMap<String, SignedAccount>, now: i64) -> Vec<(String, String, String)> {
    let mut consents = Vec::new();
    for (importer, account) in signed {
        for import in &account.claims.imports {
            if let Some(export) = offer(signed, import)
                && export.token_req
                && has_consent(signed, importer, import, export, now)
            {
                let consent = (
                    import.account.clone(),
                    export.subject.clone(),
                    importer.clone(),
                );
                consents.push(consent);
            }
        }
    }
    consents
}

/// Returns the subject in the exporting account.
fn remote(import: &claims::Import) -> &str {
    let renamed = import.r#type == "service" && import.local_subject.is_empty();
    match renamed && !import.to.is_empty() {
        // Of old, `subject` was the one here.
        true => &import.to,
        false => &import.subject,
    }
}

fn offer<'a>(
    signed: &'a BTreeMap<String, SignedAccount>,
    import: &claims::Import,
) -> Option<&'a claims::Export> {
    let exporter = signed.get(&import.account)?;
    let subject = remote(import).as_bytes();
    let mut exports = exporter.claims.exports.iter();
    exports.find(|export| {
        export.r#type == import.r#type && is_subset(subject, export.subject.as_bytes())
    })
}

fn is_offered(
    signed: &BTreeMap<String, SignedAccount>,
    importer: &str,
    import: &claims::Import,
    now: i64,
) -> bool {
    offer(signed, import).is_some_and(|export| {
        !export.token_req || has_consent(signed, importer, import, export, now)
    })
}

/// Says whether an import's token is one that the exporter has signed for it.
fn has_consent(
    signed: &BTreeMap<String, SignedAccount>,
    importer: &str,
    import: &claims::Import,
    export: &claims::Export,
    now: i64,
) -> bool {
    let Ok(token) = decode(&import.token) else {
        return false;
    };
    let (Body::Activation(activation), Some(exporter)) = (token.body, signed.get(&import.account))
    else {
        return false;
    };
    let standard = &token.standard;
    let keys = &exporter.claims.signing_keys;
    let by_exporter = standard.iss == import.account
        || (activation.issuer_account == import.account
            && keys.iter().any(|signing| signing.key == standard.iss));
    let holds = (standard.exp == 0 || now <= standard.exp) && standard.nbf <= now;
    let revoked = |who: &str| {
        export
            .revocations
            .get(who)
            .is_some_and(|at| *at >= standard.iat)
    };
    by_exporter
        && holds
        && standard.sub == importer
        && activation.kind == import.r#type
        && is_subset(remote(import).as_bytes(), activation.subject.as_bytes())
        && !revoked(importer)
        && !revoked("*")
}

fn translated(
    key: &str,
    export: &claims::Export,
    consents: &[(String, String, String)],
) -> Option<Export> {
    let kind = match export.r#type.as_str() {
        "stream" => ExportKind::Stream,
        "service" => ExportKind::Service {
            response: match export.response_type.as_str() {
                "Stream" => ResponseType::Stream,
                "Chunked" => ResponseType::Chunked,
                _ => ResponseType::Singleton,
            },
            threshold: Some(export.response_threshold)
                .filter(|ns| *ns > 0)
                .map(Duration::from_nanos),
        },
        _ => return None,
    };
    let for_this = consents
        .iter()
        .filter(|(exporter, subject, _)| exporter == key && *subject == export.subject);
    let importers = for_this.map(|(.., importer)| importer.clone()).collect();
    protocol::subject::is_valid(export.subject.as_bytes()).then(|| Export {
        kind,
        subject: export.subject.clone(),
        accounts: export.token_req.then_some(importers),
        account_token_position: export.account_token_position,
        latency: export
            .service_latency
            .as_ref()
            .and_then(|latency| measured(kind, latency)),
        allow_trace: export.allow_trace,
    })
}

/// Returns how a service is measured; none if that cannot be.
fn measured(kind: ExportKind, latency: &claims::ServiceLatency) -> Option<Latency> {
    let ExportKind::Service {
        response: ResponseType::Singleton,
        ..
    } = kind
    else {
        return None;
    };
    let sampling = match latency.sampling {
        SamplingRate::Headers => Sampling::Headers,
        SamplingRate::Percent(percent) => Sampling::Percent(percentage(percent)?),
    };
    is_valid_literal(latency.results.as_bytes()).then(|| Latency {
        sampling,
        subject: latency.results.clone(),
    })
}

/// Returns where the ways of messages are told; none if that is no subject.
fn trace(claimed: &claims::MessageTrace) -> Option<Trace> {
    is_valid_literal(claimed.dest.as_bytes()).then(|| Trace {
        destination: claimed.dest.clone(),
        percent: percentage(claimed.sampling).unwrap_or(100),
    })
}

/// Returns how many of hundred; none if it is no share.
fn percentage(number: i64) -> Option<u8> {
    u8::try_from(number)
        .ok()
        .filter(|percent| (1..=100).contains(percent))
}

fn taken(import: &claims::Import) -> Option<Import> {
    let some = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    let kind = match import.r#type.as_str() {
        "stream" => match some(&import.local_subject) {
            Some(to) => ImportKind::Stream {
                prefix: None,
                to: Some(to),
            },
            None => ImportKind::Stream {
                prefix: some(&import.to),
                to: None,
            },
        },
        "service" => ImportKind::Service {
            to: match some(&import.local_subject) {
                Some(local) => Some(local),
                None => some(&import.to).map(|_| import.subject.clone()),
            },
            share: import.share,
        },
        _ => return None,
    };
    Some(Import {
        account: import.account.clone(),
        subject: String::from(remote(import)),
        kind,
        allow_trace: import.allow_trace,
    })
}

/// Returns what claims permit; none where they say nothing.
#[must_use]
pub fn permissions(claimed: &claims::Permissions) -> Option<Permissions> {
    let list = |side: &claims::Permission| {
        let said = !side.allow.is_empty() || !side.deny.is_empty();
        said.then(|| PermissionList {
            allow: Some(side.allow.clone()).filter(|allow| !allow.is_empty()),
            deny: side.deny.clone(),
        })
    };
    let mut permissions = Permissions {
        publish: list(&claimed.r#pub),
        subscribe: list(&claimed.sub),
        responses: claimed.resp.map(|resp| {
            let default = ResponseLimits::default();
            ResponseLimits {
                msgs_max: match resp.max {
                    0 => default.msgs_max,
                    max => u32::try_from(max).ok(),
                },
                expires: match resp.ttl {
                    0 => default.expires,
                    ttl => u64::try_from(ttl).ok().map(Duration::from_nanos),
                },
            }
        }),
    };
    if permissions == Permissions::default() {
        return None;
    }
    if permissions.responses.is_some() {
        // A service that may answer may publish nothing else unless it is allowed to.
        let publish = permissions.publish.get_or_insert_default();
        publish.allow.get_or_insert_default();
    }
    Some(permissions)
}

fn jetstream(limits: &ClaimedLimits) -> Option<AccountJetStream> {
    let tier = limits.tiered_limits.get(ONE_REPLICA);
    if let (0, 0, Some(tier)) = (limits.mem_storage, limits.disk_storage, tier) {
        return Some(AccountJetStream {
            tiered: true,
            ..account_jetstream(tier)
        });
    }
    let all = TierLimits {
        mem_storage: limits.mem_storage,
        disk_storage: limits.disk_storage,
        streams: limits.streams,
        consumer: limits.consumer,
        max_ack_pending: limits.max_ack_pending,
        mem_max_stream_bytes: limits.mem_max_stream_bytes,
        disk_max_stream_bytes: limits.disk_max_stream_bytes,
        max_bytes_required: limits.max_bytes_required,
    };
    (all.mem_storage != 0 || all.disk_storage != 0).then(|| account_jetstream(&all))
}

fn account_jetstream(tier: &TierLimits) -> AccountJetStream {
    // 0 is no limit where it would make no sense as one.
    let some = |n: i64| u64::try_from(n).ok().filter(|n| *n > 0);
    let few = |n: i64| u32::try_from(n).ok().filter(|n| *n > 0);
    AccountJetStream {
        memory_max: u64::try_from(tier.mem_storage).ok(),
        file_max: u64::try_from(tier.disk_storage).ok(),
        streams_max: few(tier.streams),
        consumers_max: few(tier.consumer),
        ack_pending_max: few(tier.max_ack_pending),
        memory_stream_bytes_max: some(tier.mem_max_stream_bytes),
        file_stream_bytes_max: some(tier.disk_max_stream_bytes),
        max_bytes_required: tier.max_bytes_required,
        tiered: false,
    }
}

fn mappings(claimed: &BTreeMap<String, Vec<claims::MapDestination>>) -> Vec<Mapping> {
    let mapping = |(source, shares): (&String, &Vec<claims::MapDestination>)| Mapping {
        source: source.clone(),
        destinations: shares
            .iter()
            .map(|share| MapDestination {
                subject: share.subject.clone(),
                weight: match share.weight {
                    0 => 100,
                    weight => weight,
                },
                cluster: Some(share.cluster.clone()).filter(|cluster| !cluster.is_empty()),
            })
            .collect(),
    };
    claimed.iter().map(mapping).collect()
}

fn cap(limit: i64) -> Option<u32> {
    u32::try_from(limit).ok()
}
