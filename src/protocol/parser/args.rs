//! Verbs and the arguments of control lines.

use super::{Bare, ClientOp, ParseError};
use crate::message::Message;

/// Digits that a size may have: nats-server reads no more, which also keeps sums far from overflow.
const SIZE_DIGITS_MAX: usize = 9;

/// What a control line starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Pub,
    Hpub,
    Sub,
    Unsub,
    Connect,
    Ping,
    Pong,
    Info,
    Ok,
    Err,
}

impl Verb {
    /// Returns the operation if it has no arguments that matter.
    pub(super) fn bare(self) -> Option<Bare> {
        match self {
            Self::Ping => Some(Bare::Ping),
            Self::Pong => Some(Bare::Pong),
            Self::Ok => Some(Bare::Ok),
            Self::Pub
            | Self::Hpub
            | Self::Sub
            | Self::Unsub
            | Self::Connect
            | Self::Info
            | Self::Err => None,
        }
    }
}

/// What the first bytes of a line say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VerbMatch {
    /// A verb with its length, including the separator where one is required.
    Complete(Verb, usize),
    /// More bytes may make it a verb.
    Partial,
    /// They never will.
    Unknown,
}

/// Where the parts of a publish lie, counted from the first byte of its control line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PubArgs {
    subject: Span,
    reply: Span,
    /// The control line's length with its line end.
    line_len: usize,
    header_len: u32,
    pub(super) body_len: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Span {
    start: usize,
    end: usize,
}

impl PubArgs {
    /// Returns the length of line, body and the body's CR LF.
    pub(super) fn total_len(&self) -> usize {
        self.line_len + self.body_len as usize + 2
    }

    /// Returns the subject, from the operation's bytes.
    pub(super) fn subject<'a>(&self, op: &'a [u8]) -> Option<&'a [u8]> {
        op.get(self.subject.start..self.subject.end)
    }

    /// Returns as much of the message as has come, without its payload.
    pub(super) fn beginning<'a>(&self, op: &'a [u8]) -> Option<Message<'a>> {
        let (line, body) = op.split_at_checked(self.line_len)?;
        let headers = body.get(..self.header_len as usize).unwrap_or(body);
        let whole = headers.windows(2).rposition(|bytes| bytes == b"\r\n");
        Some(Message {
            subject: line.get(self.subject.start..self.subject.end)?,
            reply: line.get(self.reply.start..self.reply.end)?,
            headers: headers.get(..whole.map_or(0, |at| at + 2))?,
            payload: b"",
        })
    }

    /// Cuts the message out of the operation's bytes; `None` if its body does not end in CR LF.
    #[inline]
    pub(super) fn message<'a>(&self, op: &'a [u8]) -> Option<Message<'a>> {
        let (line, body) = op.split_at_checked(self.line_len)?;
        let body = body.strip_suffix(b"\r\n")?;
        let (headers, payload) = body.split_at_checked(self.header_len as usize)?;
        Some(Message {
            subject: line.get(self.subject.start..self.subject.end)?,
            reply: line.get(self.reply.start..self.reply.end)?,
            headers,
            payload,
        })
    }
}

/// Recognises the verb at the start of `line`, in any case. Some verbs must be followed by a
/// separator; after the others whatever follows is an argument or ignored.
pub(super) fn verb(line: &[u8]) -> VerbMatch {
    // Ordered so that the usual ones come first; none is a prefix of another.
    const VERBS: [(&[u8], Verb, bool); 10] = [
        (b"PUB", Verb::Pub, true),
        (b"HPUB", Verb::Hpub, true),
        (b"SUB", Verb::Sub, true),
        (b"UNSUB", Verb::Unsub, true),
        (b"PING", Verb::Ping, false),
        (b"PONG", Verb::Pong, false),
        (b"CONNECT", Verb::Connect, false),
        (b"INFO", Verb::Info, false),
        (b"+OK", Verb::Ok, false),
        (b"-ERR", Verb::Err, true),
    ];
    let mut partial = false;
    for (name, verb, separated) in VERBS {
        let seen = line.get(..name.len()).unwrap_or(line);
        let matches = name
            .get(..seen.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(seen));
        if !matches {
            continue;
        }
        if seen.len() < name.len() {
            partial = true;
            continue;
        }
        return match line.get(name.len()) {
            _ if !separated => VerbMatch::Complete(verb, name.len()),
            Some(b' ' | b'\t') => VerbMatch::Complete(verb, name.len() + 1),
            Some(_) => VerbMatch::Unknown,
            None => VerbMatch::Partial,
        };
    }
    if partial {
        VerbMatch::Partial
    } else {
        VerbMatch::Unknown
    }
}

/// Reads `subject [reply] size`; `line` starts `offset` bytes into the operation.
#[inline]
pub(super) fn publish(line: &[u8], offset: usize) -> Result<PubArgs, ParseError> {
    let (rest, size) = split_last(without_cr(line)).ok_or(ParseError::Arguments)?;
    let (subject, reply) = subject_and_reply(rest, offset)?;
    Ok(PubArgs {
        subject,
        reply,
        line_len: offset + line.len() + 1,
        header_len: 0,
        body_len: self::size(size).ok_or(ParseError::Arguments)?,
    })
}

/// Reads `subject [reply] header-length total-length`.
pub(super) fn publish_with_headers(line: &[u8], offset: usize) -> Result<PubArgs, ParseError> {
    let (rest, total) = split_last(without_cr(line)).ok_or(ParseError::Arguments)?;
    let (rest, header) = split_last(rest).ok_or(ParseError::Arguments)?;
    let (subject, reply) = subject_and_reply(rest, offset)?;
    let header_len = size(header).ok_or(ParseError::Arguments)?;
    let body_len = size(total).ok_or(ParseError::Arguments)?;
    if header_len > body_len {
        return Err(ParseError::Arguments);
    }
    Ok(PubArgs {
        subject,
        reply,
        line_len: offset + line.len() + 1,
        header_len,
        body_len,
    })
}

/// Reads `subject [queue] sid`.
pub(super) fn subscribe(line: &[u8]) -> Result<ClientOp<'_>, ParseError> {
    let mut tokens = tokens(line);
    let (Some(subject), Some(second), third, None) =
        (tokens.next(), tokens.next(), tokens.next(), tokens.next())
    else {
        return Err(ParseError::Arguments);
    };
    let (queue, sid) = match third {
        Some(sid) => (Some(second), sid),
        None => (None, second),
    };
    Ok(ClientOp::Sub {
        subject,
        queue,
        sid,
    })
}

/// Reads `sid [max]`.
pub(super) fn unsubscribe(line: &[u8]) -> Result<ClientOp<'_>, ParseError> {
    let mut tokens = tokens(line);
    let (Some(sid), max, None) = (tokens.next(), tokens.next(), tokens.next()) else {
        return Err(ParseError::Arguments);
    };
    // nats-server takes a maximum that is no number as "at once".
    let max = max.and_then(size).filter(|&max| max > 0);
    Ok(ClientOp::Unsub { sid, max })
}

/// Drops the CR before the line end.
pub(super) fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Tells what stands between a publish's arguments. A CR that does not end the line is part of one, so
/// that a size with it is none, as nats-server has it.
fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Cuts the arguments of a subscription, between which a CR may stand as well.
fn tokens(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    line.split(|&b| is_separator(b) || b == b'\r')
        .filter(|t| !t.is_empty())
}

/// Splits the last token off; `None` if there is none. What is left may end in separators.
#[inline]
fn split_last(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = line.iter().rposition(|&b| !is_separator(b))? + 1;
    let line = line.get(..end)?;
    let start = line
        .iter()
        .rposition(|&b| is_separator(b))
        .map_or(0, |at| at + 1);
    line.split_at_checked(start)
}

#[inline]
fn subject_and_reply(line: &[u8], offset: usize) -> Result<(Span, Span), ParseError> {
    let (subject, at) = next_token(line, 0).ok_or(ParseError::Arguments)?;
    let Some((reply, at)) = next_token(line, at) else {
        return Ok((subject.moved(offset), Span::default()));
    };
    match next_token(line, at) {
        None => Ok((subject.moved(offset), reply.moved(offset))),
        Some(_) => Err(ParseError::Arguments),
    }
}

/// Returns the first token at or after `from`, and where it ends.
#[inline]
fn next_token(line: &[u8], from: usize) -> Option<(Span, usize)> {
    let rest = line.get(from..)?;
    let start = from + rest.iter().position(|&b| !is_separator(b))?;
    let rest = line.get(start..)?;
    let len = rest
        .iter()
        .position(|&b| is_separator(b))
        .unwrap_or(rest.len());
    let end = start + len;
    Some((Span { start, end }, end))
}

impl Span {
    fn moved(self, by: usize) -> Self {
        Self {
            start: self.start + by,
            end: self.end + by,
        }
    }
}

/// Reads a size: one to nine digits and nothing else.
#[inline]
fn size(digits: &[u8]) -> Option<u32> {
    if digits.is_empty() || digits.len() > SIZE_DIGITS_MAX {
        return None;
    }
    let mut value: u32 = 0;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value = value * 10 + u32::from(digit);
    }
    Some(value)
}
