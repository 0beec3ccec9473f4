//! A bare NATS client for load: blocking sockets, one read buffer, no allocation per message, so that
//! it stays far from being the bottleneck.
//!
//! *Invariant:* it speaks only what the rows need; anything unexpected from the server is an error
//! that ends the row, never skipped.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// One frame from the server.
#[derive(Debug)]
pub struct Frame<'a> {
    /// The subject the message was sent to.
    pub subject: &'a [u8],
    /// The reply subject; empty if there is none.
    pub reply: &'a [u8],
    /// Header block and payload.
    pub body: &'a [u8],
}

/// A connection with its read buffer.
pub struct Client {
    stream: TcpStream,
    buf: Vec<u8>,
    start: usize,
    end: usize,
}

impl Client {
    /// Connects, sends CONNECT and waits for the PONG.
    pub fn connect(addr: &str) -> Result<Self> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        let mut client = Self {
            stream,
            buf: vec![0; 4 << 20],
            start: 0,
            end: 0,
        };
        let info = client.line()?;
        if !info.starts_with(b"INFO ") {
            bail!("expected INFO, got {}", String::from_utf8_lossy(&info));
        }
        client.send(
            b"CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"no_responders\":true,\
              \"protocol\":0,\"name\":\"bench\",\"lang\":\"rust\",\"version\":\"0\"}\r\n",
        )?;
        client.barrier()?;
        Ok(client)
    }

    /// Lets reads fail after this long without a byte.
    pub fn set_patience(&self, patience: Duration) -> Result<()> {
        let set = self.stream.set_read_timeout(Some(patience));
        set.context("set the read timeout")
    }

    /// Writes bytes as they are.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).context("write")
    }

    /// Sends PING and waits for PONG; messages that arrive before it are an error.
    pub fn barrier(&mut self) -> Result<()> {
        self.send(b"PING\r\n")?;
        let line = self.line()?;
        if line != b"PONG" {
            bail!("expected PONG, got {}", String::from_utf8_lossy(&line));
        }
        Ok(())
    }

    /// Returns another handle on the socket, for a writing thread.
    pub fn writer(&self) -> Result<TcpStream> {
        self.stream.try_clone().context("clone the socket")
    }

    /// Returns whether a complete frame can be read without touching the socket.
    pub fn buffered(&self) -> bool {
        self.start < self.end
    }

    /// Reads the next message; PINGs are answered on the way.
    pub fn receive(&mut self) -> Result<Frame<'_>> {
        loop {
            let Some((header, body, total)) = self.parse()? else {
                self.fill()?;
                continue;
            };
            let (from, to) = (self.start, self.start + total);
            self.start = to;
            if header == 0 {
                self.stream.write_all(b"PONG\r\n")?;
                continue;
            }
            let line = &self.buf[from..from + header];
            let mut args = line.split(|b| *b == b' ').skip(1);
            let subject = args.next().unwrap_or_default();
            let rest: Vec<&[u8]> = args.collect();
            let numbers = if line.starts_with(b"HMSG") { 2 } else { 1 };
            let reply = if rest.len() > numbers + 1 {
                rest[1]
            } else {
                b""
            };
            return Ok(Frame {
                subject,
                reply,
                body: &self.buf[body.0..body.1],
            });
        }
    }

    /// Reads and drops `count` messages; the cheap path for throughput rows.
    pub fn skip(&mut self, count: u64) -> Result<()> {
        let mut left = count;
        while left > 0 {
            match self.parse()? {
                Some((0, _, total)) => {
                    self.start += total;
                    self.stream.write_all(b"PONG\r\n")?;
                }
                Some((_, _, total)) => {
                    self.start += total;
                    left -= 1;
                }
                None => self.fill()?,
            }
        }
        Ok(())
    }

    /// Returns (length of the control line, body range, total length) of the first frame in the
    /// buffer; a line length of 0 means PING.
    #[allow(
        clippy::type_complexity,
        reason = "one private caller pair; a struct would say less"
    )]
    fn parse(&self) -> Result<Option<(usize, (usize, usize), usize)>> {
        let data = &self.buf[self.start..self.end];
        let Some(eol) = data.iter().position(|b| *b == b'\n') else {
            return Ok(None);
        };
        let line = data[..eol].strip_suffix(b"\r").unwrap_or(&data[..eol]);
        match line.first() {
            Some(b'M' | b'H') => {
                let digits = line.rsplit(|b| *b == b' ').next().unwrap_or_default();
                let len = digits
                    .iter()
                    .fold(0usize, |n, d| n * 10 + usize::from(d - b'0'));
                let total = eol + 1 + len + 2;
                if data.len() < total {
                    return Ok(None);
                }
                let body = self.start + eol + 1;
                Ok(Some((line.len(), (body, body + len), total)))
            }
            Some(b'P') if line == b"PING" => Ok(Some((0, (0, 0), eol + 1))),
            _ => bail!("unexpected line {}", String::from_utf8_lossy(line)),
        }
    }

    fn line(&mut self) -> Result<Vec<u8>> {
        loop {
            let data = &self.buf[self.start..self.end];
            if let Some(eol) = data.iter().position(|b| *b == b'\n') {
                let line = data[..eol]
                    .strip_suffix(b"\r")
                    .unwrap_or(&data[..eol])
                    .to_vec();
                self.start += eol + 1;
                return Ok(line);
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> Result<()> {
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        } else if self.end == self.buf.len() {
            self.buf.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
            if self.end == self.buf.len() {
                self.buf.resize(self.buf.len() * 2, 0);
            }
        }
        let n = self.stream.read(&mut self.buf[self.end..])?;
        if n == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof)).context("server closed");
        }
        self.end += n;
        Ok(())
    }
}

/// Returns one PUB; an empty `reply` is none.
pub fn publish(subject: &str, reply: &str, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    append_publish(&mut out, subject, reply, body);
    out
}

/// Appends one PUB to `out`; an empty `reply` is none.
pub fn append_publish(out: &mut Vec<u8>, subject: &str, reply: &str, body: &[u8]) {
    out.extend_from_slice(b"PUB ");
    out.extend_from_slice(subject.as_bytes());
    out.push(b' ');
    if !reply.is_empty() {
        out.extend_from_slice(reply.as_bytes());
        out.push(b' ');
    }
    out.extend_from_slice(body.len().to_string().as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(body);
    out.extend_from_slice(b"\r\n");
}
