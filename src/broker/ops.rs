//! From a client's bytes to what each operation does.
//!
//! *Invariant:* operations take effect in the order in which they arrived, each wholly before the
//! next one is read.

use alloc::format;
use alloc::string::String;

use bytes::{Buf, BytesMut};
use protocol::encode;
use protocol::errors::CloseReason;
use protocol::id::ConnId;
use protocol::info;
use protocol::parser::{ClientOp, ParseError, Parser};
use protocol::text::quoted::Quoted;

use crate::effects::Level;
use crate::shard::Shard;

/// How many bytes of what cannot be read are logged.
const SNIPPET: usize = 32;

impl Shard {
    /// Carries out the operations at the start of `buf` and consumes them.
    pub(crate) fn on_bytes(&mut self, id: ConnId, buf: &mut BytesMut) {
        let Some(conn) = self.router.conns.get_mut(id) else {
            buf.clear();
            return;
        };
        if conn.is_closing() {
            buf.clear();
            return;
        }
        conn.pulse.last_in = self.router.now.mono;
        if conn.login.is_some() {
            return;
        }
        // The parser leaves the table while it runs, so that operations may use the whole table.
        let mut parser = core::mem::take(&mut conn.parser);
        parser.limits = conn.parser_limits;
        let before = buf.len();
        let failed = self.run(id, &mut parser, buf);
        let consumed = before - buf.len();
        let wanted = parser.wanted();
        if let Some(conn) = self.router.conns.get_mut(id) {
            conn.parser = parser;
            if conn.is_closing() {
                buf.clear();
            }
        }
        if let Some(error) = failed {
            let seen = buf.split();
            return self.on_parse_error(id, error, &seen, consumed);
        }
        if wanted > buf.len() {
            // The rest of a large payload then arrives in place.
            buf.reserve(wanted - buf.len());
        }
    }

    fn run(&mut self, id: ConnId, parser: &mut Parser, buf: &mut BytesMut) -> Option<ParseError> {
        let mut rest: &[u8] = buf;
        let (mut failed, mut looked) = (None, 0);
        loop {
            if looked == 0 {
                looked = self.look_ahead(id, parser, rest);
            }
            looked -= 1;
            let before = rest;
            match parser.next(&mut rest) {
                Ok(Some(op)) => {
                    self.router.trace_op(id, before, &op);
                    self.on_op(id, op);
                }
                Ok(None) => break,
                Err(error) => {
                    if error == ParseError::Payload
                        && let Some((msg, len)) = parser.refused(rest)
                    {
                        self.on_oversized(id, &msg, len);
                    }
                    failed = Some(error);
                    break;
                }
            }
            let Some(conn) = self.router.conns.get_mut(id) else {
                break;
            };
            // Authentication changes what may be sent next.
            parser.limits = conn.parser_limits;
            if conn.is_closing() || conn.login.is_some() {
                break;
            }
        }
        let consumed = buf.len() - rest.len();
        buf.advance(consumed);
        failed
    }

    fn on_op(&mut self, id: ConnId, op: ClientOp<'_>) {
        match op {
            ClientOp::Pub(msg) => self.on_publish(id, &msg),
            ClientOp::Connect(json) => self.on_connect(id, json),
            ClientOp::Sub {
                subject,
                queue,
                sid,
            } => self.on_subscribe(id, subject, queue, sid),
            ClientOp::Unsub { sid, max } => self.on_unsubscribe(id, sid, max),
            ClientOp::Ping => self.on_ping(id),
            ClientOp::Pong => self.on_pong(id),
            ClientOp::Info(json) => self.on_info(id, json),
            ClientOp::Ok => {}
        }
    }

    /// A client's INFO tells nothing, but has to be one.
    fn on_info(&mut self, id: ConnId, json: &[u8]) {
        if !info::is_readable(json) {
            self.close(id, CloseReason::ProtocolViolation);
        }
    }

    /// Confirms an operation to a client that wants it.
    pub(crate) fn confirm(&mut self, id: ConnId) {
        if self.router.conns.get(id).is_some_and(|c| c.wishes.verbose) {
            self.router
                .send(id, |conn| conn.outbox.buf().extend_from_slice(encode::OK));
            self.router.trace_out(id, "OK");
        }
    }

    /// Ends a connection whose client has said what cannot be read; `seen` begins with that.
    fn on_parse_error(&mut self, id: ConnId, error: ParseError, seen: &[u8], consumed: usize) {
        if let Some(line) = self.said_wrongly(id, error, seen, consumed) {
            self.log_conn(id, Level::Error, |cid| format!("{cid} - {line}"));
        }
        let reason = error.close_reason();
        match error.answer() {
            Some(answer) => self.fail(id, &answer, reason),
            None => self.close(id, reason),
        }
    }

    /// Returns what the log says of it, and traces what could be told apart.
    fn said_wrongly(
        &mut self,
        id: ConnId,
        error: ParseError,
        seen: &[u8],
        consumed: usize,
    ) -> Option<String> {
        let line = seen.split(|byte| matches!(byte, b'\r' | b'\n')).next();
        let line = line.unwrap_or_default();
        let at = line.iter().position(|byte| matches!(byte, b' ' | b'\t'));
        let (verb, args) = line.split_at(at.unwrap_or(line.len()));
        let verb = String::from_utf8_lossy(verb).to_ascii_uppercase();
        match error {
            ParseError::UnknownOperation => {
                let snippet = seen.get(..seen.len().min(SNIPPET)).unwrap_or_default();
                let proto = Quoted(snippet);
                Some(format!(
                    "Client parser ERROR, state=0, i={consumed}: proto='{proto}...'"
                ))
            }
            ParseError::Arguments => {
                let args = args.trim_ascii_start();
                let shown = format!("{verb} {}", String::from_utf8_lossy(args));
                self.router.trace_in(id, &shown);
                let step = match verb.as_str() {
                    "PUB" => "processPub",
                    "HPUB" => "processHeaderPub",
                    "SUB" => "processSub",
                    _ => "processUnsub",
                };
                Some(format!("{step} Parse Error: {}", Quoted(args)))
            }
            ParseError::Headers => {
                let shown = format!("{verb}{}", String::from_utf8_lossy(args));
                self.router.trace_in(id, &shown);
                Some(String::from("message headers not supported"))
            }
            ParseError::ControlLine
            | ParseError::Payload
            | ParseError::PeerError
            | ParseError::ConnectRequired => None,
        }
    }
}
