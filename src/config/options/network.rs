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
    /// The port; 0 asks the system for a free one (nats-server writes it -1). What is no port at all
    /// ends the start, and not before, as in nats-server.
    pub port: i64,
}

impl Listen {
    /// Returns `port` on all interfaces.
    #[must_use]
    pub fn any(port: u16) -> Self {
        Self {
            host: String::from("0.0.0.0"),
            port: i64::from(port),
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

/// Who connects besides NATS clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peers {
    /// The other servers of a cluster.
    Cluster,
    /// Servers of other clusters.
    Gateway,
    /// Leaf nodes.
    LeafNodes,
    /// MQTT clients.
    Mqtt,
}

/// A listener that is opened, since its configuration asks for it, and lets nobody in yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedDoor {
    /// Who would come in by it.
    pub peers: Peers,
    /// Where it is.
    pub listen: Listen,
}

/// A certificate chain with its private key, as files in PEM form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertFiles {
    /// The chain, the server's own certificate first.
    pub cert: String,
    /// The private key.
    pub key: String,
}

/// A `tls` block. The files are read by the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// The certificates; the one that fits the name a client asks for is shown, else the first.
    pub certs: Vec<CertFiles>,
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
    pub handshake_first: HandshakeFirst,
    /// The cipher suites of TLS 1.2, by their names in the registry; empty is all of them.
    pub cipher_suites: Vec<CipherSuite>,
    /// The groups of the key exchange; empty is all of them.
    pub curves: Vec<Curve>,
    /// The oldest version of the protocol.
    pub min_version: TlsVersion,
    /// How many handshakes a second are accepted; 0 is unlimited.
    pub connection_rate_limit: u32,
    /// A digest of what is in the files: they change while their names stay.
    pub files_digest: String,
}

impl Tls {
    /// How long a handshake may take when the configuration does not say.
    pub const TIMEOUT: Duration = Duration::from_secs(2);

    /// Returns how long a handshake may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.timeout.unwrap_or(Self::TIMEOUT)
    }
}

/// Whether a client begins with its handshake, or waits for INFO first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HandshakeFirst {
    /// It waits for INFO.
    #[default]
    No,
    /// It begins with its handshake, and gets INFO over TLS.
    Always,
    /// It may do either: INFO is sent in the clear if no handshake has begun after this time.
    Within(Duration),
}

impl HandshakeFirst {
    /// How long `auto` waits.
    pub const AUTO: Duration = Duration::from_millis(50);
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// 1.2.
    #[default]
    V1_2,
    /// 1.3.
    V1_3,
}

/// A cipher suite of TLS 1.2 that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the registry")]
pub enum CipherSuite {
    EcdheEcdsaAes128,
    EcdheEcdsaAes256,
    EcdheEcdsaChaCha20,
    EcdheRsaAes128,
    EcdheRsaAes256,
    EcdheRsaChaCha20,
}

/// A group of the key exchange that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the registry")]
pub enum Curve {
    X25519,
    P256,
    P384,
}
