//! Certificates and how connections are encrypted: `tls` blocks made into what rustls works with.
//!
//! *Invariant:* the files are read here and nowhere else; what is wrong with them is told in
//! nats-server's words, before anything is served.

mod certificate;
mod handshake;
mod resolver;
mod verifier;

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::io;
use std::sync::Arc;

use config::Options;
use config::options::{CertFiles, CipherSuite, Curve, HandshakeFirst, Tls, TlsVersion};
use protocol::time::Wall;
use sha2::{Digest as _, Sha256};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, SupportedKxGroup, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use tokio_rustls::rustls::sign::CertifiedKey;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    NamedGroup, RootCertStore, ServerConfig, SupportedCipherSuite, SupportedProtocolVersion,
};

use certificate::Authority;
#[cfg(test)]
pub(crate) use certificate::Shown;
pub(crate) use handshake::{CLIENT_HELLO, Insecure, Peeked, Secured, secure};
use resolver::ByName;
use verifier::Verifier;

use crate::reason;

/// A listener's certificates and rules, ready for handshakes.
pub(crate) struct TlsDoor {
    /// What new connections are accepted with; replaced when certificates are. None where the
    /// configuration has none.
    current: RefCell<Option<Keys>>,
    ask: Ask,
    timeout: Cell<Duration>,
    first: Cell<HandshakeFirst>,
    /// Whether clients may stay in the clear.
    pub(crate) optional: bool,
    /// Whose block the certificates come from.
    block: Block,
}

/// The blocks that have certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    Top,
    WebSocket,
}

/// What new connections are accepted with.
#[derive(Clone)]
struct Rules {
    acceptor: TlsAcceptor,
    pinned: Arc<[String]>,
    /// Whose word for clients counts.
    authorities: Arc<[Authority]>,
}

/// What of a listener's TLS comes from files.
pub(crate) struct Keys {
    rules: Rules,
    /// Until when the first certificate holds.
    pub(crate) not_after: Option<Wall>,
}

impl TlsDoor {
    /// Reads the files of the clients' block, which may not be there yet.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn open(config: &Options) -> Result<Self, TlsError> {
        let tls = config.tls.as_ref();
        let keys = tls.map(|tls| Keys::read(tls, Ask::AsConfigured));
        Ok(Self {
            current: RefCell::new(keys.transpose()?),
            ask: Ask::AsConfigured,
            timeout: Cell::new(tls.map_or(Tls::TIMEOUT, Tls::timeout)),
            first: Cell::new(tls.map_or(HandshakeFirst::No, |tls| tls.handshake_first)),
            optional: config.allow_non_tls,
            block: Block::Top,
        })
    }

    /// Reads the files of the block for WebSockets, if it has some.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn open_websocket(config: &Options) -> Result<Option<Self>, TlsError> {
        let Some(tls) = config.websocket.as_ref().and_then(|ws| ws.tls.as_ref()) else {
            return Ok(None);
        };
        Ok(Some(Self {
            current: RefCell::new(Some(Keys::read(tls, Ask::AsConfigured)?)),
            ask: Ask::AsConfigured,
            timeout: Cell::new(tls.timeout()),
            first: Cell::new(tls.handshake_first),
            optional: false,
            block: Block::WebSocket,
        }))
    }

    /// Reads the files of a block for a listener that asks nobody for a certificate.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn open_to_all(tls: &Tls) -> Result<Self, TlsError> {
        Ok(Self {
            current: RefCell::new(Some(Keys::read(tls, Ask::Nobody)?)),
            ask: Ask::Nobody,
            timeout: Cell::new(tls.timeout()),
            first: Cell::new(HandshakeFirst::Always),
            optional: false,
            block: Block::Top,
        })
    }

    /// Reads the files that another configuration names for this door, or the same ones again; none
    /// where it has no certificates any more.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn read(&self, config: &Options) -> Result<Option<Keys>, TlsError> {
        let tls = self.block(config);
        tls.map(|tls| Keys::read(tls, self.ask)).transpose()
    }

    /// Accepts new connections with what was read from a configuration.
    pub(crate) fn replace(&self, config: &Options, keys: Option<Keys>) {
        // A site that was encrypted stays so: its port says that it is.
        if keys.is_none() && self.ask == Ask::Nobody {
            return;
        }
        let tls = self.block(config);
        self.timeout.set(tls.map_or(Tls::TIMEOUT, Tls::timeout));
        if self.ask == Ask::AsConfigured {
            self.first
                .set(tls.map_or(HandshakeFirst::No, |tls| tls.handshake_first));
        }
        self.current.replace(keys);
    }

    fn block<'a>(&self, config: &'a Options) -> Option<&'a Tls> {
        match self.block {
            Block::Top => config.tls.as_ref(),
            Block::WebSocket => config.websocket.as_ref()?.tls.as_ref(),
        }
    }

    /// Whether there are certificates: without, clients come in in the clear.
    pub(crate) fn is_on(&self) -> bool {
        self.current.borrow().is_some()
    }

    /// How long a handshake may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout.get()
    }

    /// Whether the handshake comes before INFO.
    pub(crate) fn first(&self) -> HandshakeFirst {
        self.first.get()
    }

    /// Until when the certificate holds.
    pub(crate) fn not_after(&self) -> Option<Wall> {
        self.current.borrow().as_ref()?.not_after
    }

    fn rules(&self) -> Option<Rules> {
        Some(self.current.borrow().as_ref()?.rules.clone())
    }
}

/// Who has to show a certificate.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ask {
    AsConfigured,
    Nobody,
}

/// What is wrong with a `tls` block's files.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    #[error("error parsing X509 certificate/key pair: {0}")]
    Pair(String),
    #[error("error parsing certificate: {0}")]
    Certificate(String),
    #[error("open {path}: {reason}")]
    CaFile { path: String, reason: String },
    #[error("failed to parse root ca certificate")]
    Ca,
    #[error("'verify' needs a 'ca_file' that client certificates are checked against")]
    NoCa,
    #[error("TLS configuration: {0}")]
    Other(#[from] tokio_rustls::rustls::Error),
}

impl Keys {
    fn read(tls: &Tls, ask: Ask) -> Result<Self, TlsError> {
        let provider = Arc::new(provider(tls));
        let mut certs = Vec::new();
        for files in &tls.certs {
            certs.push(Arc::new(certified(files, &provider)?));
        }
        let first = certs.first().and_then(|key| key.cert.first());
        let not_after = first.and_then(|cert| certificate::not_after(cert));
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions(tls.min_version))?;
        let mut roots = Vec::new();
        let builder = match (tls.verify, ask) {
            (true, Ask::AsConfigured) => {
                roots = authorities(tls)?;
                let store = Arc::new(store(&roots)?);
                let verifier = WebPkiClientVerifier::builder_with_provider(store, provider);
                let verifier = verifier.build().map_err(|_| TlsError::Ca)?;
                builder.with_client_cert_verifier(Arc::new(Verifier(verifier)))
            }
            (true, Ask::Nobody) | (false, _) => {
                // A file that is no use is wrong all the same.
                if tls.ca_file.is_some() {
                    store(&authorities(tls)?)?;
                }
                builder.with_no_client_auth()
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(ByName::new(certs)));
        if !roots.is_empty() {
            // A session that is taken up again is not verified again: a certificate would outlive its
            // expiry, and its authority.
            config.send_tls13_tickets = 0;
            config.session_storage = Arc::new(NoServerSessionStorage {});
        }
        Ok(Self {
            rules: Rules {
                acceptor: TlsAcceptor::from(Arc::new(config)),
                pinned: tls.pinned_certs.clone().into(),
                authorities: roots.into_iter().filter_map(Authority::read).collect(),
            },
            not_after,
        })
    }
}

/// Looks at the files of a block, and returns a digest of them.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn check(tls: &Tls) -> Result<String, TlsError> {
    Keys::read(tls, Ask::AsConfigured)?;
    let named = tls.certs.iter().flat_map(|files| [&files.cert, &files.key]);
    let mut all = Sha256::new();
    for path in named.chain(&tls.ca_file) {
        // They have just been read. One that is gone meanwhile counts as changed.
        let bytes = std::fs::read(path).unwrap_or_default();
        all.update(Sha256::digest(bytes));
    }
    Ok(certificate::hex(&all.finalize()))
}

fn certified(files: &CertFiles, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let open = |path: &str| {
        let read = std::fs::read(path);
        read.map_err(|e| TlsError::Pair(format!("open {path}: {}", reason(&e))))
    };
    let (chain, key) = (open(&files.cert)?, open(&files.key)?);
    let none =
        |what: &str| TlsError::Pair(format!("tls: failed to find any PEM data in {what} input"));
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain).collect();
    let chain = chain.map_err(|_| none("certificate"))?;
    if chain.is_empty() {
        return Err(none("certificate"));
    }
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|_| none("key"))?;
    let key = provider.key_provider.load_private_key(key);
    let key = key.map_err(|e| TlsError::Pair(format!("tls: failed to parse private key: {e}")))?;
    let certified = CertifiedKey::new(chain, key);
    if let Some(cert) = certified.cert.first()
        && certificate::not_after(cert).is_none()
    {
        return Err(TlsError::Certificate(
            "x509: malformed certificate".to_owned(),
        ));
    }
    match certified.keys_match() {
        Err(tokio_rustls::rustls::Error::InconsistentKeys(
            tokio_rustls::rustls::InconsistentKeys::KeyMismatch,
        )) => Err(TlsError::Pair(
            "tls: private key does not match public key".to_owned(),
        )),
        // A key that cannot tell is found out by the first handshake.
        Ok(()) | Err(_) => Ok(certified),
    }
}

fn authorities(tls: &Tls) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let Some(path) = &tls.ca_file else {
        return Err(TlsError::NoCa);
    };
    let pem = std::fs::read(path).map_err(|e| TlsError::CaFile {
        path: path.clone(),
        reason: reason(&e),
    })?;
    let certs: Result<_, _> = CertificateDer::pem_slice_iter(&pem).collect();
    certs.map_err(|_| TlsError::Ca)
}

fn store(certs: &[CertificateDer<'static>]) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for cert in certs {
        store.add(cert.clone()).map_err(|_| TlsError::Ca)?;
    }
    if store.is_empty() {
        return Err(TlsError::Ca);
    }
    Ok(store)
}

fn versions(min: TlsVersion) -> &'static [&'static SupportedProtocolVersion] {
    static FROM_1_2: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
    static FROM_1_3: [&SupportedProtocolVersion; 1] = [&TLS13];
    match min {
        TlsVersion::V1_2 => &FROM_1_2,
        TlsVersion::V1_3 => &FROM_1_3,
    }
}

/// Returns the algorithms that a block allows. TLS 1.3's suites are not up to it.
fn provider(tls: &Tls) -> CryptoProvider {
    let mut provider = ring::default_provider();
    if !tls.cipher_suites.is_empty() {
        let wanted: Vec<_> = tls.cipher_suites.iter().map(|s| suite(*s)).collect();
        provider
            .cipher_suites
            .retain(|suite| suite.tls13().is_some() || wanted.contains(suite));
    }
    if !tls.curves.is_empty() {
        let named = |curve: &Curve| match curve {
            Curve::X25519 => NamedGroup::X25519,
            Curve::P256 => NamedGroup::secp256r1,
            Curve::P384 => NamedGroup::secp384r1,
        };
        let wanted: Vec<_> = tls.curves.iter().map(named).collect();
        let place = |group: &&'static dyn SupportedKxGroup| {
            wanted.iter().position(|name| *name == group.name())
        };
        provider.kx_groups.retain(|group| place(group).is_some());
        provider.kx_groups.sort_by_key(place);
    }
    provider
}

fn suite(suite: CipherSuite) -> SupportedCipherSuite {
    use ring::cipher_suite as known;
    match suite {
        CipherSuite::EcdheEcdsaAes128 => known::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::EcdheEcdsaAes256 => known::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
        CipherSuite::EcdheEcdsaChaCha20 => known::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        CipherSuite::EcdheRsaAes128 => known::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        CipherSuite::EcdheRsaAes256 => known::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        CipherSuite::EcdheRsaChaCha20 => known::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    }
}

impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> Self {
        Self::other(error.to_string())
    }
}
