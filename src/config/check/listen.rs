//! Addresses to listen on.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

use super::reader::{Reader, set};
use crate::options::Listen;
use crate::value::{Node, Value};

/// An address as far as the file names it.
#[derive(Default)]
pub(super) struct Address {
    pub(super) host: Option<String>,
    /// The port; `None` when the file has none or says 0, which both mean the default.
    pub(super) port: Option<i64>,
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
            Value::Int(n) => self.number(*n),
            Value::Text(text) => match split_host_port(text) {
                Ok((host, port)) => {
                    if !host.is_empty() {
                        self.host = Some(host);
                    }
                    self.number(port);
                }
                Err(reason) => read.error(&node.at, reason),
            },
            _ => read.error(
                &node.at,
                format!("expected port or host:port, got {}", node.value.kind()),
            ),
        }
    }

    pub(super) fn port(&mut self, read: &mut Reader, node: &Node) {
        if let Some(n) = read.int(node) {
            self.number(n);
        }
    }

    fn number(&mut self, n: i64) {
        self.port = meant(n);
    }

    /// Returns the address with the defaults filled in.
    pub(super) fn or(self, host: &str, port: u16) -> Listen {
        Listen {
            host: self.host.unwrap_or_else(|| host.to_owned()),
            port: self.port.unwrap_or_else(|| i64::from(port)),
        }
    }
}

/// Returns the port that a number means: none for 0, one that the system chooses (0) for -1.
pub(crate) fn meant(n: i64) -> Option<i64> {
    match n {
        -1 => Some(0),
        0 => None,
        _ => Some(n),
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
