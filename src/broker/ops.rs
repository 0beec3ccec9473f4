//! From a client's bytes to what each operation does.
//!
//! *Invariant:* operations take effect in the order in which they arrived, each wholly before the
//! next one is read.

use bytes::{Buf, BytesMut};
use protocol::encode;
use protocol::errors::CloseReason;
use protocol::id::ConnId;
use protocol::info;
use protocol::parser::{ClientOp, ParseError, Parser};

use crate::shard::Shard;

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
        let failed = self.run(id, &mut parser, buf);
        let wanted = parser.wanted();
        if let Some(conn) = self.router.conns.get_mut(id) {
            conn.parser = parser;
            if conn.is_closing() {
                buf.clear();
            }
        }
        if let Some(error) = failed {
            buf.clear();
            return self.on_parse_error(id, error);
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

    fn on_parse_error(&mut self, id: ConnId, error: ParseError) {
        let reason = error.close_reason();
        match error.answer() {
            Some(answer) => self.fail(id, &answer, reason),
            None => self.close(id, reason),
        }
    }
}
