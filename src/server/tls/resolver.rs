//! Which of several certificates a client is shown.

use std::sync::Arc;

use tokio_rustls::rustls::client::verify_server_name;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

/// The first certificate for the name that the client asks for and with a key that it can check;
/// else the first with such a key.
#[derive(Debug)]
pub(crate) struct ByName(Vec<Arc<CertifiedKey>>);

impl ByName {
    pub(crate) fn new(certs: Vec<Arc<CertifiedKey>>) -> Self {
        Self(certs)
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let usable = |key: &&Arc<CertifiedKey>| {
            let signer = key.key.choose_scheme(hello.signature_schemes());
            signer.is_some()
        };
        let name = hello.server_name();
        let name = name.and_then(|name| ServerName::try_from(name).ok());
        let named = |key: &&Arc<CertifiedKey>| {
            let parsed = key.end_entity_cert().ok();
            let parsed = parsed.and_then(|cert| ParsedCertificate::try_from(cert).ok());
            parsed
                .zip(name.as_ref())
                .is_some_and(|(cert, name)| verify_server_name(&cert, name).is_ok())
        };
        let mut fitting = self.0.iter().filter(usable);
        let found = fitting.clone().find(named).or_else(|| fitting.next());
        // A client that can check none of them is told so by the handshake with any.
        found.or(self.0.first()).cloned()
    }
}
