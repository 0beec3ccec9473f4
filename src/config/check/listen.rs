//! Addresses to listen on, and certificates.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use core::time::Duration;

use super::reader::{Reader, set};
use crate::options::{Listen, Tls};
use crate::value::{Node, Value};

/// An address as far as the file names it.
#[derive(Default)]
pub(super) struct Address {
    pub(super) host: Option<String>,
    /// The port; `None` when the file has none or says 0, which both mean the default.
    pub(super) port: Option<u16>,
}

impl Address {
    /// Reads one of the keys that make up an address; tells whether it was one.
    pub(super) fn read(&mut self, read: &mut Reader, key: &str, node: &Node) -> bool {
        match key {
            "listen" => self.listen(read, node),
            "host" | "net" => set(&mut self.host, read.name(node)),
            "port" => self.port(read, node),
            _ => return false,
        }
        true
    }

    /// Reads a port or `host:port`.
    pub(super) fn listen(&mut self, read: &mut Reader, node: &Node) {
        match &node.value {
            Value::Int(_) => self.port(read, node),
            Value::Text(text) => match split_host_port(text) {
                Ok((host, port)) => {
                    if !host.is_empty() {
                        self.host = Some(host);
                    }
                    self.number(read, node, port);
                }
                Err(reason) => read.error(&node.at, reason),
            },
            _ => {
                read.mismatch::<()>(node, "a port or host:port");
            }
        }
    }

    pub(super) fn port(&mut self, read: &mut Reader, node: &Node) {
        if let Some(n) = read.int(node) {
            self.number(read, node, n);
        }
    }

    fn number(&mut self, read: &mut Reader, node: &Node, n: i64) {
        match n {
            // Random: the system chooses.
            -1 => self.port = Some(0),
            0 => self.port = None,
            _ => match u16::try_from(n) {
                Ok(port) => self.port = Some(port),
                Err(_) => read.error(&node.at, format!("invalid port {n}")),
            },
        }
    }

    /// Returns the address with the defaults filled in.
    pub(super) fn or(self, host: &str, port: u16) -> Listen {
        Listen {
            host: self.host.unwrap_or_else(|| host.to_owned()),
            port: self.port.unwrap_or(port),
        }
    }
}

/// Splits `host:port`, where an IPv6 host stands in brackets.
pub(crate) fn split_host_port(text: &str) -> Result<(String, i64), String> {
    let no_address = || format!("could not parse address string {text:?}");
    let (host, port) = text.rsplit_once(':').ok_or_else(no_address)?;
    let bracketed = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let host = match bracketed {
        Some(inside) => inside,
        None if host.contains([':', '[', ']']) => return Err(no_address()),
        None => host,
    };
    match port.parse() {
        Ok(number) => Ok((host.to_owned(), number)),
        Err(_) => Err(format!("could not parse port {port:?}")),
    }
}

pub(super) fn tls(read: &mut Reader, node: &Node) -> Option<Tls> {
    let mut tls = Tls::default();
    read.each(node, |read, key, node| {
        match key {
            "cert_file" => set(&mut tls.cert_file, read.name(node)),
            "key_file" => set(&mut tls.key_file, read.name(node)),
            "ca_file" => set(&mut tls.ca_file, read.name(node)),
            "verify" => set(&mut tls.verify, read.boolean(node)),
            "verify_and_map" => {
                set(&mut tls.verify_and_map, read.boolean(node));
                tls.verify |= tls.verify_and_map;
            }
            "timeout" => set(&mut tls.timeout, read.seconds(key, node).map(Some)),
            "pinned_certs" => tls.pinned_certs = read.texts(node),
            "handshake_first" | "first" | "immediate" => handshake_first(read, node, &mut tls),
            "connection_rate_limit" => {
                set(&mut tls.connection_rate_limit, read.count(key, node));
            }
            "insecure"
            | "verify_cert_and_check_known_urls"
            | "allow_insecure_cipher_suites"
            | "cipher_suites"
            | "curve_preferences"
            | "min_version" => read.ignored(&format!("tls.{key}"), node),
            "cert_store"
            | "cert_match_by"
            | "cert_match"
            | "ca_certs_match"
            | "cert_match_skip_invalid"
            | "ocsp_peer"
            | "certs"
            | "certificates" => {
                read.refused(&format!("tls.{key}"), node);
            }
            _ => return false,
        }
        true
    });
    match (&tls.cert_file, &tls.key_file) {
        (Some(_), Some(_)) => Some(tls),
        (Some(_), None) => {
            read.error(&node.at, "missing 'key_file' in TLS configuration");
            None
        }
        (None, Some(_)) => {
            read.error(&node.at, "missing 'cert_file' in TLS configuration");
            None
        }
        (None, None) => None,
    }
}

fn handshake_first(read: &mut Reader, node: &Node, tls: &mut Tls) {
    match &node.value {
        Value::Bool(switch) => tls.handshake_first = *switch,
        // A duration or `auto` waits for the client's hello before INFO is sent in the clear.
        Value::Text(_) => read.ignored("tls.handshake_first", node),
        _ => {
            read.mismatch::<Duration>(node, "a boolean, 'auto' or a duration");
        }
    }
}
