//! Addresses and certificates.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// A host name or an IP address.
    pub host: String,
    /// The port; 0 asks the system for a free one (nats-server writes it -1).
    pub port: u16,
}

impl Listen {
    /// Returns `port` on all interfaces.
    #[must_use]
    pub fn any(port: u16) -> Self {
        Self {
            host: String::from("0.0.0.0"),
            port,
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// A `tls` block. The files are read by the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// The certificate chain in PEM form.
    pub cert_file: Option<String>,
    /// The certificate's private key in PEM form.
    pub key_file: Option<String>,
    /// The authorities that client certificates are checked against.
    pub ca_file: Option<String>,
    /// Whether clients must show a certificate.
    pub verify: bool,
    /// Whether the client's certificate names its user.
    pub verify_and_map: bool,
    /// How long a handshake may take; 2 s when not set.
    pub timeout: Option<Duration>,
    /// Hex SHA-256 digests of the public keys that are let in; empty lets all in.
    pub pinned_certs: Vec<String>,
    /// Whether the handshake comes before INFO.
    pub handshake_first: bool,
    /// How many handshakes a second are accepted; 0 is unlimited.
    pub connection_rate_limit: u32,
}
