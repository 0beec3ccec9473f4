//! One connection's socket: a single future that writes what the shard has for it and reads what the
//! peer sent, in the same turn, so that neither direction waits for the other.
//!
//! *Invariant:* bytes that were read are handed to the shard before anything else is read; bytes
//! taken from the shard are written before more are taken.

use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::io::ErrorKind;
use std::rc::Rc;

use broker::{ConnId, Gone};
use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use crate::driver::{Driver, Standing};

/// Bytes asked of the socket at a time: a batch of some hundred small messages.
pub(crate) const READ_CHUNK: usize = 64 << 10;
/// Reads of one connection before the others get their turn.
const READS_PER_TURN: usize = 4;
/// How long a closed connection may take to read its last words before the socket goes.
const LINGER: Duration = Duration::from_secs(1);
/// A write buffer above this is given back once it is empty, so that a burst does not stay as memory
/// of an idle connection.
const SPARE_MAX: usize = 256 << 10;

/// Runs a connection until it has ended, whichever side ends it.
pub(crate) async fn drive_conn<S>(driver: Rc<Driver>, id: ConnId, stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut io = ConnIo {
        driver,
        id,
        stream,
        partial: BytesMut::new(),
        out: BytesMut::new(),
        blocked: false,
        paused: false,
    };
    let end = poll_fn(|cx| io.poll(cx)).await;
    match end {
        End::Peer(gone) => io.driver.closed(id, gone),
        End::Flushed => {
            // Closing a socket with unread input resets it, and the peer would lose the error text.
            let drain = poll_fn(|cx| io.poll_drain(cx));
            drop(tokio::time::timeout(LINGER, drain).await);
            io.driver.closed(id, Gone::Told);
        }
        End::Dropped => io.driver.closed(id, Gone::Told),
    }
}

/// How a connection ended.
enum End {
    /// The peer or the network ended it.
    Peer(Gone),
    /// The shard did, and everything it had for the peer has been written.
    Flushed,
    /// The shard did, and what was left is of no use.
    Dropped,
}

struct ConnIo<S> {
    driver: Rc<Driver>,
    id: ConnId,
    stream: S,
    /// The beginning of an operation that has not arrived whole.
    partial: BytesMut,
    out: BytesMut,
    blocked: bool,
    /// Whether reading was paused when this future ran last.
    paused: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> ConnIo<S> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        self.driver.attach(self.id, cx.waker());
        self.resume();
        for _ in 0..READS_PER_TURN {
            if let Poll::Ready(end) = self.poll_write(cx) {
                return Poll::Ready(end);
            }
            match self.driver.standing(self.id) {
                Standing::Open => {}
                Standing::Gated => {
                    self.paused = true;
                    return Poll::Pending;
                }
                Standing::Closing => return Poll::Pending,
                Standing::Dropped => return Poll::Ready(End::Dropped),
            }
            if let Err(gone) = ready!(self.poll_read(cx)) {
                return Poll::Ready(End::Peer(gone));
            }
        }
        // The last read may have left an answer of its own behind.
        if let Poll::Ready(end) = self.poll_write(cx) {
            return Poll::Ready(end);
        }
        self.paused = self.driver.standing(self.id) == Standing::Gated;
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// After a pause, hands over again what the shard had left unread.
    fn resume(&mut self) {
        let standing = self.driver.standing(self.id);
        if standing != Standing::Open {
            return;
        }
        if core::mem::take(&mut self.paused) && !self.partial.is_empty() {
            self.driver.bytes(self.id, &mut self.partial);
        }
    }

    /// Writes until nothing is left (`Pending`: also when the socket takes no more).
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            if self.out.is_empty() {
                // Encryption and framing keep what the socket did not take.
                if let Err(end) = ready!(self.poll_flush(cx)) {
                    return Poll::Ready(end);
                }
                if self.out.capacity() > SPARE_MAX {
                    self.out = BytesMut::new();
                }
                if !self.driver.take_outbound(self.id, &mut self.out) {
                    return match self.driver.standing(self.id) {
                        Standing::Open | Standing::Gated => Poll::Pending,
                        Standing::Dropped => Poll::Ready(End::Dropped),
                        Standing::Closing => {
                            drop(ready!(Pin::new(&mut self.stream).poll_shutdown(cx)));
                            Poll::Ready(End::Flushed)
                        }
                    };
                }
            }
            match Pin::new(&mut self.stream).poll_write(cx, &self.out) {
                Poll::Ready(Ok(0) | Err(_)) => {
                    return Poll::Ready(End::Peer(Gone::WriteFailed));
                }
                Poll::Ready(Ok(n)) => {
                    self.out.advance(n);
                    self.blocked = false;
                    if !self.out.is_empty() {
                        self.driver.written(self.id, n);
                    }
                }
                Poll::Pending => return self.note_blocked(),
            }
        }
    }

    /// Has everything written that was handed to the stream.
    #[inline]
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), End>> {
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
            Poll::Ready(Err(_)) => Poll::Ready(Err(End::Peer(Gone::WriteFailed))),
            Poll::Pending => self.note_blocked().map(Err),
        }
    }

    /// Tells the shard that the socket takes no more, which may be the end of the connection.
    fn note_blocked(&mut self) -> Poll<End> {
        if !self.blocked {
            self.blocked = true;
            self.driver.blocked(self.id);
        }
        if self.driver.standing(self.id) == Standing::Dropped {
            return Poll::Ready(End::Dropped);
        }
        Poll::Pending
    }

    /// Reads once and hands the bytes on.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        if !self.partial.is_empty() {
            let n = ready!(poll_fill(&mut self.stream, cx, &mut self.partial))?;
            if n == 0 {
                return Poll::Ready(Err(Gone::Eof));
            }
            self.driver.bytes(self.id, &mut self.partial);
            if self.partial.is_empty() && self.partial.capacity() > READ_CHUNK {
                self.partial = BytesMut::new();
            }
            return Poll::Ready(Ok(()));
        }
        // Whole batches are parsed where they were read, in a buffer that all connections share.
        let driver = Rc::clone(&self.driver);
        driver.with_scratch(|scratch| {
            scratch.clear();
            let n = ready!(poll_fill(&mut self.stream, cx, scratch))?;
            if n == 0 {
                return Poll::Ready(Err(Gone::Eof));
            }
            self.driver.bytes(self.id, scratch);
            self.partial.extend_from_slice(scratch);
            Poll::Ready(Ok(()))
        })
    }

    /// Throws away what the peer still sends, until it closes too.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let driver = Rc::clone(&self.driver);
        driver.with_scratch(|scratch| {
            loop {
                scratch.clear();
                match ready!(poll_fill(&mut self.stream, cx, scratch)) {
                    Ok(0) | Err(_) => return Poll::Ready(()),
                    Ok(_) => {}
                }
            }
        })
    }
}

fn poll_fill<S: AsyncRead + Unpin>(
    stream: &mut S,
    cx: &mut Context<'_>,
    buf: &mut BytesMut,
) -> Poll<Result<usize, Gone>> {
    buf.reserve(READ_CHUNK);
    // The future keeps nothing between polls, so that a new one each time is the same read.
    let read = pin!(stream.read_buf(buf));
    match ready!(read.poll(cx)) {
        Ok(n) => Poll::Ready(Ok(n)),
        // TLS calls it an error when a peer leaves without taking leave; everybody does.
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Poll::Ready(Ok(0)),
        Err(_) => Poll::Ready(Err(Gone::ReadFailed)),
    }
}
