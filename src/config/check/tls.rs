//! `tls` blocks.
//!
//! *Invariant:* what a block asks for and cannot be served is an error, never a weaker connection.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::reader::{Reader, set};
use super::stores;
use crate::options::{CertFiles, CipherSuite, Curve, HandshakeFirst, Tls, TlsVersion};
use crate::value::{Node, Value};
use crate::{Surroundings, duration};

/// The cipher suites that nats-server knows, and ours where we have them. Those of TLS 1.3 are always
/// on, there as here.
const CIPHER_SUITES: [(&str, Option<CipherSuite>); 13] = [
    (
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
        Some(CipherSuite::EcdheEcdsaAes128),
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
        Some(CipherSuite::EcdheEcdsaAes256),
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
        Some(CipherSuite::EcdheEcdsaChaCha20),
    ),
    (
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
        Some(CipherSuite::EcdheEcdsaChaCha20),
    ),
    (
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
        Some(CipherSuite::EcdheRsaAes128),
    ),
    (
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
        Some(CipherSuite::EcdheRsaAes256),
    ),
    (
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
        Some(CipherSuite::EcdheRsaChaCha20),
    ),
    (
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
        Some(CipherSuite::EcdheRsaChaCha20),
    ),
    ("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", None),
    ("TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", None),
    ("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", None),
    ("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", None),
    ("TLS_AES_128_GCM_SHA256", None),
];

/// Suites that nats-server takes only with `allow_insecure_cipher_suites`, and we not even then.
const INSECURE: [&str; 9] = [
    "TLS_RSA_WITH_RC4_128_SHA",
    "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA",
    "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
    "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
];

/// The groups that nats-server knows, and ours where we have them.
const CURVES: [(&str, Option<Curve>); 5] = [
    ("X25519", Some(Curve::X25519)),
    ("CurveP256", Some(Curve::P256)),
    ("CurveP384", Some(Curve::P384)),
    ("CurveP521", None),
    ("X25519MLKEM768", None),
];

/// A block while it is read.
#[derive(Default)]
struct Draft {
    tls: Tls,
    cert: Option<String>,
    key: Option<String>,
    insecure_allowed: bool,
    insecure: Vec<String>,
    /// Whether certificates may be checked against known URLs.
    knows_urls: bool,
}

/// Reads a block whose files are looked at, too; none when it names no certificate, or is wrong.
pub(super) fn tls(read: &mut Reader, node: &Node, around: &mut dyn Surroundings) -> Option<Tls> {
    block(read, node, Draft::default(), around)
}

/// Reads the block of listeners for other servers, which may know each other by their URLs.
pub(super) fn of_peers(
    read: &mut Reader,
    node: &Node,
    around: &mut dyn Surroundings,
) -> Option<Tls> {
    let draft = Draft {
        knows_urls: true,
        ..Draft::default()
    };
    block(read, node, draft, around)
}

fn block(
    read: &mut Reader,
    node: &Node,
    mut draft: Draft,
    around: &mut dyn Surroundings,
) -> Option<Tls> {
    let errors = read.errors.len();
    let block = "error parsing tls config";
    let map = read.map(node)?;
    for (key, entry) in map.iter() {
        let known = draft.field(read, &key.to_ascii_lowercase(), entry);
        if !known && !entry.referenced {
            read.error(&entry.at, format!("{block}, unknown field {key:?}"));
        }
    }
    let Draft {
        mut tls,
        cert,
        key,
        insecure_allowed,
        insecure,
        knows_urls: _,
    } = draft;
    if !insecure.is_empty() && !insecure_allowed {
        let names = insecure.join(", ");
        read.error(&node.at, format!("insecure cipher suites configured without 'allow_insecure_cipher_suites' option set: {names}"));
    } else if !insecure.is_empty() && tls.cipher_suites.is_empty() {
        read.error(&node.at, "none of these cipher suites is served");
    }
    match (cert, key) {
        (Some(_), Some(_)) if !tls.certs.is_empty() => {
            read.error(
                &node.at,
                format!("{block}, cannot combine 'cert_file' option with 'certs' option"),
            );
        }
        (Some(cert), Some(key)) => tls.certs.push(CertFiles { cert, key }),
        (Some(_), None) => read.error(&node.at, "missing 'key_file' in TLS configuration"),
        (None, Some(_)) => read.error(&node.at, "missing 'cert_file' in TLS configuration"),
        (None, None) => {}
    }
    if tls.certs.is_empty() || read.errors.len() > errors {
        return None;
    }
    match around.check_tls(&tls) {
        Ok(files_digest) => Some(Tls {
            files_digest,
            ..tls
        }),
        Err(reason) => {
            read.error(&node.at, reason);
            None
        }
    }
}

impl Draft {
    fn field(&mut self, read: &mut Reader, key: &str, node: &Node) -> bool {
        let tls = &mut self.tls;
        match key {
            "cert_file" => set(&mut self.cert, filename(read, key, node)),
            "key_file" => set(&mut self.key, filename(read, key, node)),
            "ca_file" => set(&mut tls.ca_file, filename(read, key, node)),
            "certs" | "certificates" => tls.certs = cert_files(read, node),
            "verify" => set(&mut tls.verify, switch(read, key, node)),
            "verify_and_map" => {
                set(&mut tls.verify_and_map, switch(read, key, node));
                tls.verify |= tls.verify_and_map;
            }
            "timeout" => set(&mut tls.timeout, read.seconds("tls", node).map(Some)),
            "pinned_certs" => tls.pinned_certs = pinned_certs(read, node),
            "handshake_first" | "first" | "immediate" => {
                set(&mut tls.handshake_first, handshake_first(read, key, node));
            }
            "connection_rate_limit" => {
                set(&mut tls.connection_rate_limit, rate(read, key, node));
            }
            "cipher_suites" => self.cipher_suites(read, node),
            "curve_preferences" => tls.curves = curves(read, node),
            "min_version" => set(&mut tls.min_version, min_version(read, node)),
            "allow_insecure_cipher_suites" => {
                set(&mut self.insecure_allowed, switch(read, key, node));
            }
            // What a dialling side does with its peer's certificate; a listener has no use for it.
            "insecure" => drop(switch(read, key, node)),
            "verify_cert_and_check_known_urls" => {
                if switch(read, key, node).is_some() && !self.knows_urls {
                    read.error(&node.at, format!("{key} not supported in this context"));
                }
            }
            "cert_store"
            | "cert_match_by"
            | "cert_match"
            | "ca_certs_match"
            | "cert_match_skip_invalid"
            | "ocsp_peer" => {
                stores::check(read, key, node);
                read.refused(&format!("tls.{key}"), node);
            }
            _ => return false,
        }
        true
    }

    fn cipher_suites(&mut self, read: &mut Reader, node: &Node) {
        let mut unserved = false;
        for (name, at) in list(read, "cipher_suites", node) {
            if INSECURE.contains(&name.as_str()) {
                self.insecure.push(name);
                continue;
            }
            match CIPHER_SUITES.iter().find(|(known, _)| *known == name) {
                Some((_, Some(suite))) => self.tls.cipher_suites.push(*suite),
                Some((_, None)) => {
                    unserved = true;
                    read.ignored(&format!("tls.cipher_suites.{name}"), at);
                }
                None => read.error(&at.at, format!("unrecognized cipher {name}")),
            }
        }
        // An empty list would mean all of them.
        if unserved && self.tls.cipher_suites.is_empty() {
            read.error(&node.at, "none of these cipher suites is served");
        }
    }
}

/// Returns the path of a file.
fn filename(read: &mut Reader, key: &str, node: &Node) -> Option<Option<String>> {
    if matches!(node.value, Value::Text(_)) {
        return read.name(node);
    }
    let reason = format!("error parsing tls config, expected '{key}' to be filename");
    read.error(&node.at, reason);
    None
}

fn rate<T: TryFrom<i64>>(read: &mut Reader, key: &str, node: &Node) -> Option<T> {
    if matches!(node.value, Value::Int(_)) {
        return read.count(key, node);
    }
    let reason = format!("error parsing tls config, '{key}' wrong type");
    read.error(&node.at, reason);
    None
}

fn cert_files(read: &mut Reader, node: &Node) -> Vec<CertFiles> {
    let Value::List(items) = &node.value else {
        let reason = "error parsing certificates config: unsupported type map[string]interface {}";
        read.error(&node.at, reason);
        return Vec::new();
    };
    let pairs = items.iter().filter_map(|item| {
        let (mut cert, mut key) = (None, None);
        let errors = read.errors.len();
        let map = read.map(item)?;
        for (name, node) in map.iter() {
            match name.to_ascii_lowercase().as_str() {
                "cert_file" => set(&mut cert, read.name(node)),
                "key_file" => set(&mut key, read.name(node)),
                _ if node.referenced => {}
                _ => read.error(
                    &node.at,
                    format!("error parsing tls certs config, unknown field {name:?}"),
                ),
            }
        }
        if read.errors.len() > errors {
            return None;
        }
        let pair = cert.zip(key).map(|(cert, key)| CertFiles { cert, key });
        if pair.is_none() {
            let reason = "error parsing certificates config: both 'cert_file' and 'cert_key' options are required";
            let last = map.iter().last();
            read.error(last.map_or(&item.at, |(_, node)| &node.at), reason);
        }
        pair
    });
    pairs.collect()
}

fn switch(read: &mut Reader, key: &str, node: &Node) -> Option<bool> {
    let Value::Bool(on) = node.value else {
        let reason = format!("error parsing tls config, expected '{key}' to be a boolean");
        read.error(&node.at, reason);
        return None;
    };
    Some(on)
}

/// Returns the texts of a list that must have some.
fn list<'a>(read: &mut Reader, key: &str, node: &'a Node) -> Vec<(String, &'a Node)> {
    let Value::List(items) = &node.value else {
        read.list(node);
        return Vec::new();
    };
    if items.is_empty() {
        read.error(
            &node.at,
            format!("error parsing tls config, '{key}' cannot be empty"),
        );
    }
    let texts = items
        .iter()
        .filter_map(|item| Some((read.text(item)?, item)));
    texts.collect()
}

fn curves(read: &mut Reader, node: &Node) -> Vec<Curve> {
    let mut unserved = false;
    let mut curves = Vec::new();
    for (name, at) in list(read, "curve_preferences", node) {
        match CURVES.iter().find(|(known, _)| *known == name) {
            Some((_, Some(curve))) => curves.push(*curve),
            Some((_, None)) => {
                unserved = true;
                read.ignored(&format!("tls.curve_preferences.{name}"), at);
            }
            None => read.error(&at.at, format!("unrecognized curve preference {name}")),
        }
    }
    if unserved && curves.is_empty() {
        read.error(&node.at, "none of these curves is served");
    }
    curves
}

fn min_version(read: &mut Reader, node: &Node) -> Option<TlsVersion> {
    let reason = match &node.value {
        Value::Text(text) => match text.as_str() {
            "1.2" => return Some(TlsVersion::V1_2),
            "1.3" => return Some(TlsVersion::V1_3),
            "1.0" | "1.1" => format!("unsupported TLS version: TLS {text}"),
            _ => format!("unknown version: {text}"),
        },
        Value::Int(n) => format!("'min_version' wrong type: {n}"),
        Value::Float(n) => format!("'min_version' wrong type: {n}"),
        _ => format!("'min_version' wrong type: {}", node.value.kind()),
    };
    read.error(&node.at, format!("error parsing tls config: {reason}"));
    None
}

fn pinned_certs(read: &mut Reader, node: &Node) -> Vec<String> {
    const DIGITS: usize = 64;
    let mut pinned = Vec::new();
    let Value::List(items) = &node.value else {
        read.error(&node.at, "error parsing tls config, expected 'pinned_certs' to be a list of hex-encoded sha256 of DER encoded SubjectPublicKeyInfo");
        return pinned;
    };
    for item in items {
        let Some(text) = read.text(item) else {
            continue;
        };
        let key = text.to_ascii_lowercase();
        if key.len() == DIGITS && key.bytes().all(|b| b.is_ascii_hexdigit()) {
            pinned.push(key);
        } else {
            read.error(&item.at, format!("error parsing tls config, 'pinned_certs' key {text} does not look like hex-encoded sha256 of DER encoded SubjectPublicKeyInfo"));
        }
    }
    pinned
}

fn handshake_first(read: &mut Reader, key: &str, node: &Node) -> Option<HandshakeFirst> {
    let reason = match &node.value {
        Value::Bool(true) => return Some(HandshakeFirst::Always),
        Value::Bool(false) => return Some(HandshakeFirst::No),
        Value::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
            "true" | "on" => return Some(HandshakeFirst::Always),
            "false" | "off" => return Some(HandshakeFirst::No),
            "auto" | "auto_fallback" => return Some(HandshakeFirst::Within(HandshakeFirst::AUTO)),
            other => match duration::parse(other) {
                Ok(delay) => return Some(HandshakeFirst::Within(delay)),
                Err(_) => format!("field {key:?}'s value {text:?} is invalid"),
            },
        },
        other => {
            let kind = other.kind();
            format!("field {key:?} should be a boolean or a string, got {kind}")
        }
    };
    read.error(&node.at, reason);
    None
}
