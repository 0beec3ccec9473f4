//! From an accepted socket to an encrypted connection.
//!
//! *Invariant:* a handshake ends in time: each one has [`TlsDoor::timeout`].

use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;

use broker::{Level, TlsSession};
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio_rustls::rustls::{Error, PeerIncompatible, ProtocolVersion, ServerConnection};
use tokio_rustls::server::TlsStream;

use super::certificate::{self, Authority, Shown};
use super::{Rules, TlsDoor};

/// The first byte of a handshake.
pub(crate) const CLIENT_HELLO: u8 = 0x16;

/// A stream whose first bytes can be looked at before they are read.
pub(crate) struct Peeked<S> {
    stream: S,
    /// What has been looked at.
    seen: BytesMut,
}

impl<S: AsyncRead + Unpin> Peeked<S> {
    pub(crate) fn new(stream: S) -> Self {
        let seen = BytesMut::new();
        Self { stream, seen }
    }

    /// Waits for the first byte; none when the peer has closed. Nothing is lost when it is given up.
    pub(crate) async fn peek(&mut self) -> io::Result<Option<u8>> {
        if self.seen.is_empty() {
            let mut byte = [0];
            let read = self.stream.read(&mut byte).await?;
            self.seen
                .extend_from_slice(byte.get(..read).unwrap_or(&byte));
        }
        Ok(self.seen.first().copied())
    }

    /// Waits for bytes behind those that have been looked at; false when the peer has closed.
    pub(crate) async fn peek_more(&mut self) -> io::Result<bool> {
        Ok(self.stream.read_buf(&mut self.seen).await? > 0)
    }

    /// Returns what has been looked at.
    pub(crate) fn seen(&self) -> &[u8] {
        &self.seen
    }

    /// Drops the first `len` bytes of that.
    pub(crate) fn skip(&mut self, len: usize) {
        self.seen.advance(len);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Peeked<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.seen.is_empty() {
            let len = self.seen.len().min(buf.remaining());
            buf.put_slice(&self.seen.split_to(len));
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Peeked<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// An encrypted connection and what is known of it.
pub(crate) struct Secured<S> {
    pub(crate) stream: TlsStream<Peeked<S>>,
    pub(crate) session: TlsSession,
}

/// Why there is none.
#[derive(Debug)]
pub(crate) struct Insecure {
    pub(crate) level: Level,
    pub(crate) why: String,
}

/// Does the handshake.
pub(crate) async fn secure<S>(door: &TlsDoor, stream: Peeked<S>) -> Result<Secured<S>, Insecure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let handshake = within(door, stream);
    match tokio::time::timeout(door.timeout(), handshake).await {
        Ok(done) => done,
        Err(_) => Err(Insecure {
            level: Level::Debug,
            why: "i/o timeout".to_owned(),
        }),
    }
}

async fn within<S>(door: &TlsDoor, mut stream: Peeked<S>) -> Result<Secured<S>, Insecure>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match stream.peek().await.map_err(|e| failed(&e))? {
        Some(CLIENT_HELLO) => {}
        // Left to rustls, this would be answered with an alert that the peer cannot read.
        Some(_) => return Err(not_tls()),
        None => return Err(failed(&io::ErrorKind::UnexpectedEof.into())),
    }
    let Some(Rules {
        acceptor,
        pinned,
        authorities,
    }) = door.rules()
    else {
        return Err(Insecure {
            level: Level::Debug,
            why: "TLS has just been turned off".to_owned(),
        });
    };
    let stream = acceptor.accept(stream).await.map_err(|e| failed(&e))?;
    let session = session(stream.get_ref().1, &authorities);
    if !pinned.is_empty() {
        let own = session.certs.first().map(|cert| &cert.spki_sha256);
        if !own.is_some_and(|key| pinned.contains(key)) {
            return Err(Insecure {
                level: Level::Error,
                why: "certificate not pinned".to_owned(),
            });
        }
    }
    Ok(Secured { stream, session })
}

fn session(conn: &ServerConnection, authorities: &[Authority]) -> TlsSession {
    let version = match conn.protocol_version() {
        Some(ProtocolVersion::TLSv1_3) => "1.3",
        Some(ProtocolVersion::TLSv1_2) => "1.2",
        Some(_) | None => "unknown",
    };
    let suite = conn.negotiated_cipher_suite();
    let suite = suite.and_then(|suite| suite.suite().as_str());
    let shown = conn.peer_certificates().unwrap_or_default();
    let shown: Vec<_> = shown.iter().filter_map(Shown::read).collect();
    TlsSession {
        version,
        cipher: suite.map_or("unknown", registered),
        first: false,
        certs: shown.iter().filter_map(Shown::peer).collect(),
        chain: certificate::chain(&shown, authorities),
    }
}

/// Returns the registry's name for a suite, which rustls puts the version in.
fn registered(suite: &'static str) -> &'static str {
    match suite {
        "TLS13_AES_128_GCM_SHA256" => "TLS_AES_128_GCM_SHA256",
        "TLS13_AES_256_GCM_SHA384" => "TLS_AES_256_GCM_SHA384",
        "TLS13_CHACHA20_POLY1305_SHA256" => "TLS_CHACHA20_POLY1305_SHA256",
        other => other,
    }
}

fn not_tls() -> Insecure {
    Insecure {
        level: Level::Debug,
        why: "tls: first record does not look like a TLS handshake".to_owned(),
    }
}

/// Tells what went wrong in the words of nats-server where it has some.
fn failed(error: &io::Error) -> Insecure {
    let inner = error.get_ref().and_then(|e| e.downcast_ref::<Error>());
    let why = match inner {
        _ if error.kind() == io::ErrorKind::UnexpectedEof => "EOF".to_owned(),
        Some(Error::NoCertificatesPresented) => {
            "tls: client didn't provide a certificate".to_owned()
        }
        Some(Error::PeerIncompatible(PeerIncompatible::SupportedVersionsExtensionRequired)) => {
            "tls: client offered only unsupported versions".to_owned()
        }
        Some(error) => format!("tls: {error}"),
        None => crate::reason(error),
    };
    Insecure {
        level: Level::Error,
        why,
    }
}
