//! A listener with the connections that come in through it, each with its handshake where the
//! listener has certificates.
//!
//! *Invariant:* a connection in the clear goes straight to [`drive_conn`]: TLS costs it nothing.

use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::rc::Rc;

use broker::{Accepted, ConnId, Gone, Rules, Security};
use bytes::BytesMut;
use config::options::HandshakeFirst;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::conn_io::drive_conn;
use crate::driver::{Driver, Standing};
use crate::net::Net;
use crate::origin::take_origin;
use crate::tls::{CLIENT_HELLO, Insecure, Peeked, Secured, TlsDoor, secure};
use crate::websocket::{WebSocketDoor, drive_websocket};

/// How long accepting rests when the system has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// By which rules connections come in.
#[derive(Clone)]
pub(crate) struct Entrance {
    pub(crate) driver: Rc<Driver>,
    /// Where the listener is bound.
    pub(crate) local: SocketAddr,
    pub(crate) rules: Rules,
    /// Whether a header may tell where a connection comes from.
    pub(crate) takes_origin: bool,
    /// Its certificates, if it may have some.
    pub(crate) tls: Option<Rc<TlsDoor>>,
    /// What its WebSockets share, if it is for them.
    pub(crate) websocket: Option<Rc<WebSocketDoor>>,
}

/// A listener with the connections that came through it.
pub(crate) struct Door<N: Net> {
    listener: N::Listener,
    entrance: Entrance,
}

impl<N: Net> Door<N> {
    pub(crate) fn new(listener: N::Listener, entrance: Entrance) -> Self {
        Self { listener, entrance }
    }

    /// Accepts until `closing`, then ends when its connections have. Who comes later is refused by the
    /// system: a listener that only rests would take him in and leave him waiting.
    ///
    /// # Panics
    /// When a connection's task panics, so that it does not go unnoticed.
    pub(crate) async fn run(self, mut closing: oneshot::Receiver<()>) {
        let mut conns = JoinSet::new();
        let mut listener = Some(self.listener);
        while listener.is_some() || !conns.is_empty() {
            tokio::select! {
                biased;
                _ = &mut closing, if listener.is_some() => listener = None,
                Some(ended) = conns.join_next(), if !conns.is_empty() => {
                    ended.expect("connections end without a panic");
                }
                Some(accepted) = accept::<N>(listener.as_ref()) => match accepted {
                    Ok((stream, peer)) => self.entrance.enter(stream, peer, &mut conns),
                    // Out of descriptors, or a peer that left already: neither ends the server.
                    Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                },
            }
        }
    }
}

/// Returns who comes in next; none when nobody is let in any more.
async fn accept<N: Net>(
    listener: Option<&N::Listener>,
) -> Option<io::Result<(N::Stream, SocketAddr)>> {
    Some(N::accept(listener?).await)
}

impl Entrance {
    fn enter<S>(&self, stream: S, peer: SocketAddr, conns: &mut JoinSet<()>)
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        if let Some(websocket) = &self.websocket {
            let websocket = Rc::clone(websocket);
            conns.spawn_local(drive_websocket(self.clone(), websocket, stream, peer));
            return;
        }
        let driver = Rc::clone(&self.driver);
        match self.tls.as_ref().filter(|tls| tls.is_on()) {
            None => {
                let id = self.accept(peer, Security::Plain);
                match self.takes_origin {
                    false => conns.spawn_local(drive_conn(driver, id, stream)),
                    true => conns.spawn_local(drive_forwarded(driver, id, Peeked::new(stream))),
                };
            }
            Some(tls) => {
                let security = match (tls.first(), tls.optional) {
                    (HandshakeFirst::Always | HandshakeFirst::Within(_), _) => Security::First,
                    (HandshakeFirst::No, true) => Security::Optional,
                    (HandshakeFirst::No, false) => Security::Required,
                };
                let id = self.accept(peer, security);
                let guarded = Guarded {
                    driver,
                    tls: Rc::clone(tls),
                    id,
                    first: security == Security::First,
                    takes_origin: self.takes_origin,
                };
                conns.spawn_local(guarded.run(Peeked::new(stream)));
            }
        }
    }

    fn accept(&self, peer: SocketAddr, security: Security) -> ConnId {
        self.driver.accept(Accepted {
            peer,
            local: self.local,
            rules: self.rules,
            security,
            origin_follows: self.takes_origin,
            websocket: None,
        })
    }
}

/// Runs a connection in the clear whose beginning may tell where it comes from.
async fn drive_forwarded<S>(driver: Rc<Driver>, id: ConnId, mut stream: Peeked<S>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    send_greeting(&driver, id, &mut stream).await;
    if take_origin(&driver, id, &mut stream).await {
        drive_conn(driver, id, stream).await;
    }
}

/// Writes what the shard has for the client before anything of it is read: INFO.
async fn send_greeting<S>(driver: &Driver, id: ConnId, stream: &mut Peeked<S>)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    if driver.standing(id) != Standing::Open {
        return;
    }
    let mut out = BytesMut::new();
    while driver.take_outbound(id, &mut out) {
        // A peer that is gone is noticed by what is read next.
        if stream.write_all(&out).await.is_err() {
            return;
        }
    }
}

/// A connection on a listener with certificates, before anything of it is read.
struct Guarded {
    driver: Rc<Driver>,
    tls: Rc<TlsDoor>,
    id: ConnId,
    /// Whether the handshake comes before INFO.
    first: bool,
    /// Whether a header may tell where it comes from.
    takes_origin: bool,
}

impl Guarded {
    async fn run<S>(mut self, mut stream: Peeked<S>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        if let HandshakeFirst::Within(delay) = self.tls.first()
            && tokio::time::timeout(delay, stream.peek()).await.is_err()
        {
            self.first = false;
            self.driver.greet(self.id);
        }
        let sent = send_greeting(&self.driver, self.id, &mut stream);
        if tokio::time::timeout(self.tls.timeout(), sent)
            .await
            .is_err()
        {
            return self.driver.closed(self.id, Gone::WriteFailed);
        }
        if self.takes_origin && !take_origin(&self.driver, self.id, &mut stream).await {
            return;
        }
        let optional = self.tls.optional && !self.first;
        let hello = !optional || self.begins_handshake(&mut stream).await;
        if hello && self.driver.standing(self.id) == Standing::Open {
            self.driver.handshake(self.id);
        }
        // The shard may have turned it away: what it has to say is then said in the clear.
        if !hello || self.driver.standing(self.id) != Standing::Open {
            return drive_conn(self.driver, self.id, stream).await;
        }
        let done = tokio::select! {
            biased;
            () = self.driver.wait_closing(self.id) => None,
            done = secure(&self.tls, stream) => Some(done),
        };
        self.go_on(done).await;
    }

    async fn go_on<S>(self, handshake: Option<Result<Secured<S>, Insecure>>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match handshake {
            Some(Ok(Secured {
                stream,
                mut session,
            })) => {
                session.first = self.first;
                self.driver.secured(self.id, Box::new(session));
                drive_conn(self.driver, self.id, stream).await;
            }
            Some(Err(Insecure { level, why })) => {
                self.driver.handshake_failed(self.id, level, &why);
                self.driver.closed(self.id, Gone::Told);
            }
            None => self.driver.closed(self.id, Gone::Told),
        }
    }

    /// Waits for what an unencrypted client begins with; says whether it is a handshake.
    async fn begins_handshake<S>(&self, stream: &mut Peeked<S>) -> bool
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        tokio::select! {
            biased;
            () = self.driver.wait_closing(self.id) => false,
            first = stream.peek() => matches!(first, Ok(Some(CLIENT_HELLO))),
        }
    }
}
