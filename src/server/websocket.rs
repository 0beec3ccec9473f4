//! WebSocket clients: the request they begin with, and their frames around the bytes that the shard
//! reads and writes.
//!
//! *Invariant:* a request is bounded by [`HEAD_MAX`] and a timeout. A ping is answered and a close
//! frame repeated before anything else of that connection is read.

use core::cell::RefCell;
use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::io;
use std::rc::Rc;

use broker::{Accepted, ConnId, Level, Security, WebSocketClient};
use bytes::{Buf, BytesMut};
use config::options::WebSocket;
use protocol::websocket::upgrade::{CookieNames, Origin, Rules, Upgrade, upgrade};
use protocol::websocket::{CloseFrame, CloseStatus, Deflater, Item, Reader, Writer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::conn_io::{READ_CHUNK, drive_conn};
use crate::door::Entrance;
use crate::driver::Driver;
use crate::tls::{Peeked, Secured, secure};

/// The longest head of a request. Cookies with JWTs are a few kilobytes.
const HEAD_MAX: usize = 32 << 10;
/// How long a request may take when the configuration does not say.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How many times the largest payload a message may decompress to, as nats-server bounds it.
const INFLATED_PAYLOADS: usize = 8;
/// The most that a message may decompress to.
const INFLATED_MAX: usize = 64 << 20;

/// What all connections of a listener share.
pub(crate) struct WebSocketDoor {
    rules: Rules,
    timeout: Duration,
    inflated_max: usize,
    /// One for all: no message needs what was compressed before it.
    deflater: RefCell<Deflater>,
}

impl WebSocketDoor {
    pub(crate) fn new(options: &WebSocket, payload_max: u32) -> Self {
        let payload_max = usize::try_from(payload_max).unwrap_or(usize::MAX);
        let origins = options.allowed_origins.iter();
        let origins =
            origins.map(|text| Origin::parse(text).expect("the configuration was checked"));
        Self {
            rules: Rules {
                secure: options.tls.is_some(),
                compression: options.compression,
                same_origin: options.same_origin,
                origins: origins.collect(),
                headers: options.headers.clone(),
                cookies: CookieNames {
                    jwt: options.jwt_cookie.clone(),
                    user: options.user_cookie.clone(),
                    pass: options.pass_cookie.clone(),
                    token: options.token_cookie.clone(),
                },
            },
            timeout: options.handshake_timeout.unwrap_or(HANDSHAKE_TIMEOUT),
            inflated_max: payload_max
                .saturating_mul(INFLATED_PAYLOADS)
                .min(INFLATED_MAX),
            deflater: RefCell::new(Deflater::default()),
        }
    }
}

/// Runs a connection from its first byte, or that of its TLS handshake, to its end.
pub(crate) async fn drive_websocket<S>(
    entrance: Entrance,
    door: Rc<WebSocketDoor>,
    stream: S,
    peer: SocketAddr,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let client = WebSocketClient::default();
    match &entrance.tls {
        None => talk(&entrance, door, stream, peer, client).await,
        Some(tls) => match secure(tls, Peeked::new(stream)).await {
            Ok(Secured { stream, session }) => {
                let client = WebSocketClient {
                    tls: Some(Box::new(session)),
                    ..client
                };
                talk(&entrance, door, stream, peer, client).await;
            }
            Err(insecure) => {
                let why = insecure.why;
                let text = format!("{peer} - websocket: TLS handshake error: {why}");
                entrance.driver.log(insecure.level, text);
            }
        },
    }
}

async fn talk<S>(
    entrance: &Entrance,
    door: Rc<WebSocketDoor>,
    mut stream: S,
    peer: SocketAddr,
    client: WebSocketClient,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let driver = &entrance.driver;
    let shaken = tokio::time::timeout(door.timeout, shake_hands(&door, &mut stream)).await;
    let (upgrade, input) = match shaken {
        Ok(Ok(Ok(granted))) => granted,
        Ok(Ok(Err(reason))) => {
            let text = format!("{peer} - websocket handshake error: {reason}");
            return driver.log(Level::Error, text);
        }
        // A peer that left or fell asleep is no news.
        Ok(Err(_)) | Err(_) => return,
    };
    if upgrade.leaf {
        let text = "Not configured to accept leaf node connections".to_owned();
        return driver.log(Level::Error, text);
    }
    let id = driver.accept(Accepted {
        peer,
        local: entrance.local,
        rules: entrance.rules,
        security: Security::Plain,
        origin_follows: false,
        websocket: Some(Box::new(WebSocketClient {
            forwarded_for: upgrade.forwarded_for,
            cookies: upgrade.cookies,
            ..client
        })),
    });
    let inflated_max = upgrade.compression.then_some(door.inflated_max);
    let frames = Frames {
        driver: Rc::clone(driver),
        id,
        stream,
        reader: Reader::new(upgrade.masked, inflated_max),
        writer: Writer {
            compression: upgrade.compression,
            browser: upgrade.browser,
            whole: upgrade.safari,
        },
        door,
        input,
        piece: BytesMut::new(),
        output: BytesMut::new(),
        closed: false,
        over: None,
    };
    drive_conn(Rc::clone(driver), id, frames).await;
}

/// Reads a request and answers it; the reason for the log if it is refused.
async fn shake_hands<S>(
    door: &WebSocketDoor,
    stream: &mut S,
) -> io::Result<Result<(Upgrade, BytesMut), String>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut input = BytesMut::new();
    let end = loop {
        if let Some(at) = input.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break at + 4;
        }
        if input.len() > HEAD_MAX || stream.read_buf(&mut input).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    let head = input.split_to(end);
    match upgrade(&head, &door.rules) {
        Ok(granted) => {
            stream.write_all(&granted.response).await?;
            stream.flush().await?;
            Ok(Ok((granted, input)))
        }
        Err(refusal) => {
            stream.write_all(&refusal.response()).await?;
            stream.shutdown().await?;
            Ok(Err(refusal.reason))
        }
    }
}

/// A stream whose bytes travel in frames.
struct Frames<S> {
    driver: Rc<Driver>,
    id: ConnId,
    stream: S,
    reader: Reader,
    writer: Writer,
    door: Rc<WebSocketDoor>,
    /// What was received and not yet understood.
    input: BytesMut,
    /// What was understood and not yet read.
    piece: BytesMut,
    /// What was framed and not yet written.
    output: BytesMut,
    /// Whether the last frame has been framed.
    closed: bool,
    /// Why nothing more is read, once that is so.
    over: Option<Over>,
}

/// Why nothing more is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    /// The peer has closed.
    Closed,
    /// The peer broke the protocol.
    Broken,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Frames<S> {
    /// Reacts to what has been received until there are bytes to read, or more must come.
    fn understand(&mut self) {
        while self.piece.is_empty() && self.over.is_none() {
            match self.reader.next(&mut self.input) {
                Ok(None) => return,
                Ok(Some(Item::Data(piece))) => self.piece = piece,
                Ok(Some(Item::Ping(payload))) => Writer::pong(&payload, &mut self.output),
                Ok(Some(Item::Pong)) => {}
                Ok(Some(Item::Close(CloseFrame { status, text }))) => {
                    self.close(status, &text);
                    self.over = Some(Over::Closed);
                }
                Err(violation) => {
                    let text = violation.to_string();
                    self.close(Some(violation.status()), text.as_bytes());
                    self.over = Some(Over::Broken);
                }
            }
        }
    }

    fn close(&mut self, status: Option<CloseStatus>, text: &[u8]) {
        if !core::mem::replace(&mut self.closed, true) {
            Writer::close(status, text, &mut self.output);
        }
    }

    /// Writes what has been framed.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.output.is_empty() {
            let n = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.output))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.output.advance(n);
        }
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.input.reserve(READ_CHUNK);
        // The future keeps nothing between polls, so that a new one each time is the same read.
        let read = core::pin::pin!(self.stream.read_buf(&mut self.input));
        read.poll(cx)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Frames<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            this.understand();
            // Answers to pings must not wait for something else to write. Those that do not go out
            // now are flushed when the socket takes more.
            if !this.output.is_empty()
                && let Poll::Ready(written) = this.poll_drain(cx)
            {
                written?;
            }
            if !this.piece.is_empty() {
                let n = this.piece.len().min(buf.remaining());
                buf.put_slice(&this.piece.split_to(n));
                return Poll::Ready(Ok(()));
            }
            match this.over {
                None => {}
                Some(Over::Closed) => return this.poll_drain(cx),
                Some(Over::Broken) => {
                    ready!(this.poll_drain(cx))?;
                    return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
                }
            }
            if ready!(this.poll_receive(cx))? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Frames<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        // One message at a time, so that what waits is bounded by what the shard lets wait.
        ready!(this.poll_drain(cx))?;
        let door = Rc::clone(&this.door);
        let mut deflater = door.deflater.borrow_mut();
        this.writer.message(buf, &mut deflater, &mut this.output);
        if let Poll::Ready(written) = this.poll_drain(cx) {
            written?;
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_drain(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(reason) = this.driver.close_reason(this.id) {
            this.close(Some(CloseStatus::of(reason)), reason.text().as_bytes());
        }
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}
