//! Connections to servers, encrypted where that is wanted.

use core::time::Duration;
use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::address::{Address, Files, Security};
use super::{ImportError, Link};
use crate::client::{Client, ClientError};
use crate::reason;

/// How long a server may take to greet.
const GREETING_MAX: Duration = Duration::from_secs(10);
/// Longer greetings are none.
const GREETING_BYTES_MAX: usize = 64 << 10;

/// A stream of bytes both ways.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Wire for T {}

impl Address {
    /// Connects and logs in.
    ///
    /// # Errors
    /// Why there is no connection.
    pub(super) async fn connect(&self) -> Result<Link, ImportError> {
        let failed = |error| ImportError::Connection(format!("{self:?}"), error);
        let greeted = tokio::time::timeout(GREETING_MAX, self.greet()).await;
        let greeted = greeted.unwrap_or(Err(ClientError::Late));
        let (stream, input) = greeted.map_err(failed)?;
        // One client per connection and server: nobody else has this inbox.
        let inbox = crate::rest::drawn_name();
        Client::greeted(stream, input, &self.login, &inbox)
            .await
            .map_err(failed)
    }

    /// Connects without speaking NATS; encrypted if the address says so.
    ///
    /// # Errors
    /// Why there is no connection.
    pub(super) async fn open(&self) -> io::Result<Box<dyn Wire>> {
        let stream = self.dial().await?;
        match self.security {
            Security::AsAsked => Ok(Box::new(stream)),
            Security::Always | Security::First => self.encrypted(stream).await,
        }
    }

    async fn dial(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Connects, and returns what was read of the server's greeting.
    async fn greet(&self) -> Result<(Box<dyn Wire>, BytesMut), ClientError> {
        let mut stream = self.dial().await?;
        if self.security == Security::First {
            return Ok((self.encrypted(stream).await?, BytesMut::new()));
        }
        let mut greeting = BytesMut::new();
        // Nothing behind the line may be read: what follows it may be encrypted.
        while !greeting.ends_with(b"\n") {
            if greeting.len() > GREETING_BYTES_MAX {
                return Err(ClientError::Closed);
            }
            let byte = stream.read_u8().await?;
            greeting.extend_from_slice(&[byte]);
        }
        let json = greeting.strip_prefix(b"INFO ").unwrap_or_default();
        let info: serde_json::Value = serde_json::from_slice(json).unwrap_or_default();
        let is_wanted = info
            .get("tls_required")
            .and_then(serde_json::Value::as_bool);
        let stream: Box<dyn Wire> = match self.security {
            Security::AsAsked if is_wanted != Some(true) => Box::new(stream),
            Security::AsAsked | Security::Always | Security::First => {
                self.encrypted(stream).await?
            }
        };
        Ok((stream, greeting))
    }

    async fn encrypted(&self, stream: TcpStream) -> io::Result<Box<dyn Wire>> {
        let name = ServerName::try_from(self.host.clone()).map_err(io::Error::other)?;
        let connector = TlsConnector::from(Arc::new(client_config(&self.files)?));
        Ok(Box::new(connector.connect(name, stream).await?))
    }
}

fn client_config(files: &Files) -> io::Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    match &files.ca {
        Some(path) => {
            let pem = read(path)?;
            for cert in CertificateDer::pem_slice_iter(&pem) {
                let cert = cert.map_err(|_| no_pem(path))?;
                roots.add(cert).map_err(io::Error::other)?;
            }
            if roots.is_empty() {
                return Err(no_pem(path));
            }
        }
        None => {
            // Those that cannot be read vouch for nobody.
            let known = rustls_native_certs::load_native_certs();
            let (_, _) = roots.add_parsable_certificates(known.certs);
        }
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots);
    let (Some(cert), Some(key)) = (&files.cert, &files.key) else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = read(cert)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain).collect();
    let chain = chain.map_err(|_| no_pem(cert))?;
    let key = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|_| no_pem(key))?;
    let config = builder.with_client_auth_cert(chain, key);
    config.map_err(io::Error::other)
}

fn read(path: &str) -> io::Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| io::Error::other(format!("{path}: {}", reason(&error))))
}

fn no_pem(path: &str) -> io::Error {
    io::Error::other(format!("{path}: there is nothing of use in it"))
}
