//! The client protocol's reader: bytes in, operations out, without copying or allocating.
//!
//! The caller owns the buffer. [`Parser::next`] takes a slice that starts at the first unconsumed
//! byte, moves it past each operation it returns, and leaves it alone when the operation is not
//! complete; the caller then keeps those bytes and calls again when more have been appended.
//!
//! *Invariant:* how the bytes were split into reads changes neither the operations nor the error, and
//! no byte is looked at twice for its line end, nor a publish's arguments parsed twice.

mod args;

use crate::errors::{CloseReason, ProtocolError};
use crate::message::Message;
use args::{PubArgs, Verb, VerbMatch};

/// One operation of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientOp<'a> {
    /// `CONNECT`, with its JSON as it came.
    Connect(&'a [u8]),
    /// `PUB` or `HPUB`.
    Pub(Message<'a>),
    /// `SUB`.
    Sub {
        /// The subject, unchecked.
        subject: &'a [u8],
        /// The queue group, if any.
        queue: Option<&'a [u8]>,
        /// The client's name for the subscription.
        sid: &'a [u8],
    },
    /// `UNSUB`.
    Unsub {
        /// The client's name for the subscription.
        sid: &'a [u8],
        /// After how many messages in total; at once if there is none (or one that is no number).
        max: Option<u32>,
    },
    /// `PING`.
    Ping,
    /// `PONG`.
    Pong,
    /// `INFO`, which clients may send and which tells servers nothing. Its JSON has not been checked.
    Info(&'a [u8]),
    /// `+OK`, ignored as well.
    Ok,
}

/// Why the connection has to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// No such verb, or a payload that does not end in CR LF.
    #[error("unknown protocol operation")]
    UnknownOperation,
    /// A control line longer than the limit.
    #[error("control line too long")]
    ControlLine,
    /// A payload longer than the limit; noticed before it arrives.
    #[error("payload too long")]
    Payload,
    /// Arguments that make no sense: count, numbers.
    #[error("bad arguments")]
    Arguments,
    /// `HPUB` from a client that has not asked for headers.
    #[error("headers are not enabled")]
    Headers,
    /// The client sent `-ERR`.
    #[error("the client reported an error")]
    PeerError,
    /// Something else than `CONNECT` where it is required first.
    #[error("CONNECT is required first")]
    ConnectRequired,
}

impl ParseError {
    /// Returns what the client is told before its connection is closed; `None` means silence, as
    /// nats-server keeps it for bad arguments.
    #[must_use]
    pub fn answer(self) -> Option<ProtocolError<'static>> {
        match self {
            Self::UnknownOperation => Some(ProtocolError::UnknownOperation),
            Self::ControlLine => Some(ProtocolError::MaxControlLine),
            Self::Payload => Some(ProtocolError::MaxPayload),
            Self::ConnectRequired => Some(ProtocolError::AuthorizationViolation),
            Self::Arguments | Self::Headers | Self::PeerError => None,
        }
    }

    /// Returns the reason that monitoring shows for the closed connection.
    #[must_use]
    pub fn close_reason(self) -> CloseReason {
        match self {
            Self::UnknownOperation | Self::Arguments | Self::Headers => {
                CloseReason::ProtocolViolation
            }
            Self::ControlLine => CloseReason::MaxControlLineExceeded,
            Self::Payload => CloseReason::MaxPayloadExceeded,
            Self::PeerError => CloseReason::ParseError,
            Self::ConnectRequired => CloseReason::AuthenticationViolation,
        }
    }
}

/// What a connection may send. Authentication can change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest run of arguments in a control line, in bytes.
    pub control_line_max: usize,
    /// The longest headers plus payload, in bytes; `u32::MAX` is more than the protocol can say.
    pub payload_max: u32,
    /// Whether `HPUB` is allowed: the server supports headers and the client asked for them.
    pub headers: bool,
    /// Whether nothing but `CONNECT` is allowed: the client must authenticate first.
    pub connect_only: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            control_line_max: 4096,
            payload_max: 1024 * 1024,
            headers: false,
            connect_only: false,
        }
    }
}

/// The state of one connection's reading.
#[derive(Debug, Default)]
pub struct Parser {
    /// What the connection may send.
    pub limits: Limits,
    state: State,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Start,
    /// No line end in that many bytes after the operation's first.
    Line { scanned: usize },
    /// The arguments of a publish are known; its payload is on the way.
    Payload(PubArgs),
    /// The rest of a line that only counts by its verb.
    Skip(Bare),
}

/// An operation whose line holds nothing of interest, however long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bare {
    Ping,
    Pong,
    Ok,
}

impl Parser {
    /// Returns a parser at the start of a connection.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            state: State::Start,
        }
    }

    /// Reads the next operation and moves `input` past it. `None` means that more bytes are needed
    /// than `input` holds; what it still holds must be there at the next call, with more behind it.
    ///
    /// # Errors
    /// When the client breaks the protocol. The connection must be closed; the parser is of no
    /// further use.
    #[inline]
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<ClientOp<'a>>, ParseError> {
        match self.state {
            State::Start => {}
            State::Payload(args) => return self.finish_publish(args, input),
            State::Line { scanned } => return self.read_line(input, scanned),
            State::Skip(bare) => return Ok(self.skip(bare, input)),
        }
        if let Some(args) = self.usual_publish(input)? {
            return self.start_publish(args, input);
        }
        self.read_line(input, 0)
    }

    /// Returns the subject of the publish at the start of the input, if that is where an operation starts and
    /// it is spelt as usual, and moves `input` past it, as far as it has come. Nothing is read by this.
    #[must_use]
    pub fn glance<'a>(&self, input: &mut &'a [u8]) -> Option<&'a [u8]> {
        if !matches!(self.state, State::Start) {
            return None;
        }
        let bytes = *input;
        let args = self.usual_publish(bytes).ok()??;
        *input = bytes.get(args.total_len()..).unwrap_or_default();
        args.subject(bytes)
    }

    /// Returns how many bytes the operation at the start of the input has in total, as far as that is
    /// known, so that the caller can make room for a large payload at once; 0 if it is not.
    #[must_use]
    pub fn wanted(&self) -> usize {
        match self.state {
            State::Payload(args) => args.total_len(),
            State::Start | State::Line { .. } | State::Skip(_) => 0,
        }
    }

    /// Returns what has come of a message that was refused because of its length, without its payload, and
    /// that length; `input` is what `next` left.
    #[must_use]
    pub fn refused<'a>(&self, input: &'a [u8]) -> Option<(Message<'a>, usize)> {
        match self.state {
            State::Payload(args) => Some((args.beginning(input)?, args.body_len as usize)),
            State::Start | State::Line { .. } | State::Skip(_) => None,
        }
    }

    /// The hot path: reads the control line of a publish if it is spelt as every client library
    /// spells it, and complete.
    #[inline]
    fn usual_publish(&self, input: &[u8]) -> Result<Option<PubArgs>, ParseError> {
        const PUB: &[u8] = b"PUB ";
        const HPUB: &[u8] = b"HPUB ";
        if self.limits.connect_only {
            return Ok(None);
        }
        let (line, verb_len) = if let Some(line) = input.strip_prefix(PUB) {
            (line, PUB.len())
        } else if let Some(line) = input.strip_prefix(HPUB)
            && self.limits.headers
        {
            (line, HPUB.len())
        } else {
            return Ok(None);
        };
        let window = line.get(..self.limits.control_line_max).unwrap_or(line);
        let Some(len) = memchr::memchr(b'\n', window) else {
            return Ok(None);
        };
        let line = line.get(..len).unwrap_or(line);
        let args = if verb_len == PUB.len() {
            args::publish(line, verb_len)?
        } else {
            args::publish_with_headers(line, verb_len)?
        };
        Ok(Some(args))
    }

    fn read_line<'a>(
        &mut self,
        input: &mut &'a [u8],
        scanned: usize,
    ) -> Result<Option<ClientOp<'a>>, ParseError> {
        let bytes = *input;
        if let Some(first) = bytes.first()
            && self.limits.connect_only
            && !first.eq_ignore_ascii_case(&b'C')
        {
            return Err(ParseError::ConnectRequired);
        }
        let (verb, verb_len) = match args::verb(bytes) {
            VerbMatch::Complete(verb, len) => (verb, len),
            VerbMatch::Partial => {
                self.state = State::Start;
                return Ok(None);
            }
            VerbMatch::Unknown => return Err(ParseError::UnknownOperation),
        };
        if let Some(bare) = verb.bare() {
            *input = bytes.get(verb_len..).unwrap_or(&[]);
            return Ok(self.skip(bare, input));
        }
        let after_verb = bytes.get(verb_len..).unwrap_or(&[]);
        let from = scanned.max(verb_len);
        let line_end = memchr::memchr(b'\n', bytes.get(from..).unwrap_or(&[])).map(|at| from + at);
        let args_len = line_end.map_or(after_verb.len(), |end| end - verb_len);
        let line = after_verb.get(..args_len).unwrap_or(after_verb);
        if args::without_cr(line).len() > self.limits.control_line_max {
            return Err(ParseError::ControlLine);
        }
        let Some(line_end) = line_end else {
            self.state = State::Line {
                scanned: bytes.len(),
            };
            return Ok(None);
        };
        self.state = State::Start;
        let op = match verb {
            Verb::Pub => {
                return self.start_publish(args::publish(line, verb_len)?, input);
            }
            Verb::Hpub if !self.limits.headers => return Err(ParseError::Headers),
            Verb::Hpub => {
                return self.start_publish(args::publish_with_headers(line, verb_len)?, input);
            }
            Verb::Connect => ClientOp::Connect(line.trim_ascii()),
            Verb::Sub => args::subscribe(line)?,
            Verb::Unsub => args::unsubscribe(line)?,
            Verb::Info => ClientOp::Info(line.trim_ascii()),
            Verb::Err => return Err(ParseError::PeerError),
            // These three have been read above.
            Verb::Ping => ClientOp::Ping,
            Verb::Pong => ClientOp::Pong,
            Verb::Ok => ClientOp::Ok,
        };
        *input = bytes.get(line_end + 1..).unwrap_or(&[]);
        Ok(Some(op))
    }

    /// Drops bytes up to the line end, so that a long line fills no buffer.
    fn skip<'a>(&mut self, bare: Bare, input: &mut &'a [u8]) -> Option<ClientOp<'a>> {
        let Some(end) = memchr::memchr(b'\n', input) else {
            *input = &[];
            self.state = State::Skip(bare);
            return None;
        };
        *input = input.get(end + 1..).unwrap_or(&[]);
        self.state = State::Start;
        Some(match bare {
            Bare::Ping => ClientOp::Ping,
            Bare::Pong => ClientOp::Pong,
            Bare::Ok => ClientOp::Ok,
        })
    }

    #[inline]
    fn start_publish<'a>(
        &mut self,
        args: PubArgs,
        input: &mut &'a [u8],
    ) -> Result<Option<ClientOp<'a>>, ParseError> {
        if args.body_len > self.limits.payload_max {
            self.state = State::Payload(args);
            return Err(ParseError::Payload);
        }
        self.finish_publish(args, input)
    }

    #[inline]
    fn finish_publish<'a>(
        &mut self,
        args: PubArgs,
        input: &mut &'a [u8],
    ) -> Result<Option<ClientOp<'a>>, ParseError> {
        let bytes = *input;
        let Some((op, rest)) = bytes.split_at_checked(args.total_len()) else {
            // A payload that runs on past its length need not be waited for.
            let past_body = bytes.get(args.total_len() - 2);
            if past_body.is_some_and(|&b| b != b'\r') {
                return Err(ParseError::UnknownOperation);
            }
            self.state = State::Payload(args);
            return Ok(None);
        };
        let message = args.message(op).ok_or(ParseError::UnknownOperation)?;
        *input = rest;
        self.state = State::Start;
        Ok(Some(ClientOp::Pub(message)))
    }
}

#[cfg(test)]
mod tests;
