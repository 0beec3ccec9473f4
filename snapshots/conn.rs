//! One client connection, blocking: splits what the server sends into frames.

use core::net::SocketAddr;
use core::time::Duration;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Instant;

/// How long a frame that must come may take.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// One protocol operation of the server.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The control line without CR LF.
    pub line: String,
    /// Headers and payload of MSG and HMSG.
    pub body: Option<Vec<u8>>,
    /// The subscription it is for.
    pub sid: Option<String>,
    /// Where an answer goes.
    pub reply: Option<String>,
}

/// What a read ended with.
#[derive(Debug)]
pub enum Got {
    /// A whole frame.
    Frame(Frame),
    /// The server closed the connection.
    Closed,
    /// Nothing whole came in time.
    Nothing,
}

/// A connection and what has been read from it but not shown yet.
#[derive(Debug)]
pub struct Conn {
    stream: TcpStream,
    buf: Vec<u8>,
    closed: bool,
    answer_pings: bool,
    hide_info: bool,
    /// Frames that came while something else was waited for.
    pub queue: VecDeque<Frame>,
    /// Ack subjects of the JetStream messages and reply subjects of the imported requests received, in
    /// order.
    pub acks: Vec<String>,
    /// Inboxes made so far.
    pub inboxes: usize,
}

impl Conn {
    /// Opens a connection; the first INFO is left to be read.
    ///
    /// # Errors
    /// Of the socket.
    pub fn open(to: SocketAddr, answer_pings: bool, hide_info: bool) -> io::Result<Conn> {
        let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
        stream.set_nodelay(true)?;
        Ok(Conn {
            stream,
            buf: Vec::new(),
            closed: false,
            answer_pings,
            hide_info,
            queue: VecDeque::new(),
            acks: Vec::new(),
            inboxes: 0,
        })
    }

    /// Writes bytes; what can not be written shows when reading.
    pub fn send(&mut self, bytes: &[u8]) {
        // A server that has closed answers a write with an error; the transcript shows the end.
        let _closed = self.stream.write_all(bytes);
    }

    /// Ends the connection, and waits until the server has seen it: what follows on other connections
    /// must not overtake the end.
    ///
    /// # Errors
    /// Of the socket, apart from its end.
    pub fn close(mut self) -> io::Result<()> {
        if self.stream.shutdown(Shutdown::Write).is_err() {
            // The server was the first to close.
            return Ok(());
        }
        let deadline = Instant::now() + PATIENCE;
        while let Got::Frame(_) = self.next(deadline)? {}
        Ok(())
    }

    /// Reads the next frame from the socket, waiting until `deadline`.
    ///
    /// # Errors
    /// Of the socket, apart from its end.
    pub fn next(&mut self, deadline: Instant) -> io::Result<Got> {
        loop {
            if let Some(frame) = self.split()? {
                if self.answer_pings && frame.line.eq_ignore_ascii_case("PING") {
                    self.send(b"PONG\r\n");
                    continue;
                }
                if self.hide_info && frame.line.starts_with("INFO ") {
                    continue;
                }
                let server_made =
                    |reply: &&String| ["$JS.ACK.", "_R_."].iter().any(|p| reply.starts_with(p));
                if let Some(reply) = frame.reply.as_ref().filter(server_made) {
                    self.acks.push(reply.clone());
                }
                return Ok(Got::Frame(frame));
            }
            if self.closed {
                return Ok(Got::Closed);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Got::Nothing);
            }
            self.fill(left)?;
        }
    }

    /// Reads the INFO that opens a conversation, whatever is hidden later.
    ///
    /// # Errors
    /// When something else comes first.
    pub fn first_info(&mut self) -> io::Result<Frame> {
        let hide = core::mem::replace(&mut self.hide_info, false);
        let got = self.next(Instant::now() + PATIENCE);
        self.hide_info = hide;
        match got? {
            Got::Frame(frame) if frame.line.starts_with("INFO ") => Ok(frame),
            other @ (Got::Frame(_) | Got::Closed | Got::Nothing) => {
                Err(io::Error::other(format!("expected INFO, got {other:?}")))
            }
        }
    }

    fn fill(&mut self, wait: Duration) -> io::Result<()> {
        self.stream.set_read_timeout(Some(wait))?;
        let mut chunk = [0_u8; 65536];
        match self.stream.read(&mut chunk) {
            Ok(0) => self.closed = true,
            Ok(n) => self
                .buf
                .extend_from_slice(chunk.get(..n).unwrap_or_default()),
            Err(e)
                if matches!(
                    e.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                ) => {}
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => self.closed = true,
            Err(e) => return Err(e),
        }
        Ok(())
    }

    fn split(&mut self) -> io::Result<Option<Frame>> {
        let Some(end) = self.buf.windows(2).position(|w| w == b"\r\n") else {
            return Ok(None);
        };
        let line = String::from_utf8_lossy(self.buf.get(..end).unwrap_or_default()).into_owned();
        let words: Vec<&str> = line.split_whitespace().collect();
        let fixed = match words.first().copied() {
            Some("MSG") => 4,
            Some("HMSG") => 5,
            _ => {
                self.buf.drain(..end + 2);
                return Ok(Some(Frame {
                    line,
                    body: None,
                    sid: None,
                    reply: None,
                }));
            }
        };
        let size: usize = words
            .last()
            .and_then(|w| w.parse().ok())
            .ok_or_else(|| io::Error::other(format!("a message without a size: {line}")))?;
        let total = end + 2 + size + 2;
        if self.buf.len() < total {
            return Ok(None);
        }
        let reply = (words.len() > fixed)
            .then(|| words.get(3).copied())
            .flatten();
        let frame = Frame {
            body: self.buf.get(end + 2..end + 2 + size).map(<[u8]>::to_vec),
            sid: words.get(2).map(|&s| s.to_owned()),
            reply: reply.map(str::to_owned),
            line,
        };
        self.buf.drain(..total);
        Ok(Some(frame))
    }
}
