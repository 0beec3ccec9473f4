//! What clients say and are told, line by line for the log, when the configuration asks for it.
//!
//! *Invariant:* what proves who a client is never gets into a line. Without tracing an operation costs
//! one look at a flag.

use alloc::format;
use alloc::string::String;

use config::Options;
use protocol::errors::ProtocolError;
use protocol::id::ConnId;
use protocol::message::Message;
use protocol::parser::ClientOp;
use protocol::text::quoted::Quoted;

use crate::accounts::Accounts;
use crate::conn::Conn;
use crate::effects::{Effects, Level, LogLine};
use crate::router::Router;

/// The fields of a CONNECT that prove who the client is.
const SECRETS: [&str; 6] = ["pass", "auth_token", "sig", "jwt", "nkey", "proxy_sig"];
/// What stands in their place.
const REDACTED: &str = "[REDACTED]";

/// What is traced.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tracing {
    /// Whether anything is.
    pub(crate) on: bool,
    /// Whether lines for debugging are wanted.
    debug: bool,
    /// Whether of messages only headers are shown.
    headers_only: bool,
    /// How many bytes of a message are shown; 0 is all.
    len_max: usize,
}

impl Tracing {
    pub(crate) fn new(options: &Options) -> Self {
        let log = &options.logging;
        Self {
            on: log.trace,
            debug: log.debug,
            headers_only: log.trace_headers,
            len_max: options.limits.traced_msg_len_max as usize,
        }
    }
}

/// Which way a line goes.
#[derive(Clone, Copy, Debug)]
enum Way {
    In,
    Out,
    Within,
}

impl Way {
    fn arrow(self) -> &'static str {
        match self {
            Self::In => "<<-",
            Self::Out => "->>",
            Self::Within => "<->",
        }
    }
}

/// Returns what begins each line about a connection: where it comes from, its number, what it calls
/// itself, and who it is.
pub(crate) fn label(conn: &Conn, accounts: &Accounts) -> String {
    let (peer, cid) = (conn.peer, conn.cid);
    let mut label = match &conn.websocket {
        None => format!("{peer} - cid:{cid}"),
        Some(websocket) => match websocket.forwarded_for {
            None => format!("{peer} - wid:{cid}"),
            Some(client) => format!("{client}/{peer} - wid:{cid}"),
        },
    };
    if !conn.connected {
        return label;
    }
    let wishes = &conn.wishes;
    let version = match wishes.version.as_str() {
        "" => String::new(),
        version => format!("v{version}"),
    };
    let mut itself = String::new();
    for part in [&version, &wishes.lang, &wishes.name] {
        if !part.is_empty() && !itself.is_empty() {
            itself.push(':');
        }
        itself.push_str(part);
    }
    if !itself.is_empty() {
        label.push_str(&format!(" - {}", Quoted(itself.as_bytes())));
    }
    let account = accounts.name(conn.account);
    let said = conn.said.as_deref();
    let who = match (said, &conn.user) {
        (Some(said), _) if !said.nkey.is_empty() => format!("{account}/nkey:{}", said.nkey),
        (_, Some(user)) => format!("{account}/user:{}", user.name),
        (Some(said), None) if !said.user.is_empty() => format!("{account}/user:{}", said.user),
        (Some(said), None) if !said.auth_token.is_empty() => format!("{account}/token"),
        (Some(_) | None, None) => return label,
    };
    label.push_str(&format!(" - {}", Quoted(who.as_bytes())));
    label
}

impl Router {
    /// Logs a change of a connection's state, if anybody wants to know.
    pub(crate) fn debug_conn(&mut self, id: ConnId, text: &str) {
        if self.tracing.debug
            && let Some(conn) = self.conns.get(id)
        {
            let text = format!("{} - {text}", label(conn, &self.accounts));
            let level = Level::Debug;
            self.fx.log.push(LogLine::new(level, text));
        }
    }

    /// Traces what a client said; `raw` is the operation as it came.
    #[inline]
    pub(crate) fn trace_op(&mut self, id: ConnId, raw: &[u8], op: &ClientOp<'_>) {
        if !self.tracing.on {
            return;
        }
        let line = raw.split(|b| *b == b'\r' || *b == b'\n').next();
        let line = String::from_utf8_lossy(line.unwrap_or_default());
        let line = line.trim_start();
        let (name, args) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        let args = args.trim_start();
        let shown = match op {
            ClientOp::Connect(json) => format!("CONNECT {}", redacted(json)),
            ClientOp::Ping | ClientOp::Pong | ClientOp::Ok | ClientOp::Info(_) => {
                name.to_ascii_uppercase()
            }
            ClientOp::Pub(_) | ClientOp::Sub { .. } | ClientOp::Unsub { .. } => {
                format!("{} {args}", name.to_ascii_uppercase())
            }
        };
        self.trace_conn(id, Way::In, &shown);
        if let ClientOp::Pub(msg) = op
            && let Some(conn) = self.conns.get(id)
        {
            contents(
                &self.tracing,
                &mut self.fx,
                &self.accounts,
                conn,
                Way::In,
                msg,
            );
        }
    }

    /// Traces a message that a client is sent.
    #[inline]
    pub(crate) fn trace_message(&mut self, conn: u32, sid: &[u8], msg: &Message<'_>) {
        if !self.tracing.on {
            return;
        }
        let Some(conn) = self.conns.at_mut(conn) else {
            return;
        };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers = conn.wishes.headers && !msg.headers.is_empty();
        let mut line = match headers {
            true => String::from("HMSG "),
            false => String::from("MSG "),
        };
        line.push_str(&format!("{} {} ", text(msg.subject), text(sid)));
        if !msg.reply.is_empty() {
            line.push_str(&format!("{} ", text(msg.reply)));
        }
        match headers {
            true => line.push_str(&format!("{} {}", msg.headers.len(), msg.body_len())),
            false => line.push_str(&format!("{}", msg.payload.len())),
        }
        let shown = Message {
            headers: if headers { msg.headers } else { b"" },
            ..*msg
        };
        let (tracing, conn) = (&self.tracing, &*conn);
        push(&mut self.fx, &self.accounts, conn, Way::Out, &line);
        contents(
            tracing,
            &mut self.fx,
            &self.accounts,
            conn,
            Way::Out,
            &shown,
        );
    }

    /// Traces a word that a client is told.
    #[inline]
    pub(crate) fn trace_out(&mut self, id: ConnId, word: &str) {
        if self.tracing.on {
            self.trace_conn(id, Way::Out, word);
        }
    }

    /// Traces what a client said, where it could not be read whole.
    pub(crate) fn trace_in(&mut self, id: ConnId, text: &str) {
        if self.tracing.on {
            self.trace_conn(id, Way::In, text);
        }
    }

    /// Traces an error that a client is told.
    pub(crate) fn trace_error(&mut self, id: ConnId, error: &ProtocolError<'_>) {
        if self.tracing.on {
            self.trace_conn(id, Way::Out, &format!("-ERR {error}"));
        }
    }

    /// Traces the end of a subscription.
    pub(crate) fn trace_removal(&mut self, id: ConnId, sid: &[u8]) {
        if self.tracing.on {
            let sid = String::from_utf8_lossy(sid);
            self.trace_conn(id, Way::Within, &format!("DELSUB {sid}"));
        }
    }

    fn trace_conn(&mut self, id: ConnId, way: Way, text: &str) {
        if let Some(conn) = self.conns.get(id) {
            push(&mut self.fx, &self.accounts, conn, way, text);
        }
    }
}

fn push(fx: &mut Effects, accounts: &Accounts, conn: &Conn, way: Way, text: &str) {
    let text = format!("{} - {} [{text}]", label(conn, accounts), way.arrow());
    let level = Level::Trace;
    fx.log.push(LogLine::new(level, text));
}

/// Shows what a message carries.
fn contents(
    tracing: &Tracing,
    fx: &mut Effects,
    accounts: &Accounts,
    conn: &Conn,
    way: Way,
    msg: &Message<'_>,
) {
    let mut body = msg.headers.to_vec();
    if !tracing.headers_only {
        body.extend_from_slice(msg.payload);
    }
    if body.is_empty() {
        return;
    }
    let cut = tracing.len_max != 0 && body.len() > tracing.len_max;
    if cut {
        body.truncate(tracing.len_max);
        body.extend_from_slice(b"...");
    }
    let text = format!(
        "{} - {} MSG_PAYLOAD: [{}]",
        label(conn, accounts),
        way.arrow(),
        Quoted(&body)
    );
    let level = Level::Trace;
    fx.log.push(LogLine::new(level, text));
}

/// Returns a CONNECT's JSON without what must not be in a log; nothing of one that cannot be read.
fn redacted(json: &[u8]) -> String {
    let Ok(text) = core::str::from_utf8(json) else {
        return String::from(REDACTED);
    };
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut secret = false;
    while let Some((before, from)) = rest.split_once('"') {
        out.push_str(before);
        let Some(end) = end_of_string(from) else {
            // An end that cannot be seen may be the end of a secret.
            out.push_str(REDACTED);
            return out;
        };
        let (string, after) = from.split_at_checked(end).unwrap_or((from, ""));
        let after = after.strip_prefix('"').unwrap_or(after);
        let is_key = after.trim_start().starts_with(':');
        let shown = if secret && !is_key { REDACTED } else { string };
        out.push_str(&format!("\"{shown}\""));
        // Names are taken in any case, and may be written with escapes.
        let suspicious = string.contains('\\');
        let named = SECRETS.iter().any(|s| string.eq_ignore_ascii_case(s));
        secret = is_key && (named || suspicious);
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Returns where the string that begins before `text` ends.
fn end_of_string(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_a_connect_are_left_out_however_they_are_written() {
        let table = [
            (
                r#"{"verbose":false,"pass":"secret","name":"pass"}"#,
                r#"{"verbose":false,"pass":"[REDACTED]","name":"pass"}"#,
            ),
            (
                r#"{"PASS" : "a\"secret\\", "user":"u"}"#,
                r#"{"PASS" : "[REDACTED]", "user":"u"}"#,
            ),
            (r#"{"auth_token":"secret"#, r#"{"auth_token":[REDACTED]"#),
            (r#"{"p\u0061ss":"secret"}"#, r#"{"p\u0061ss":"[REDACTED]"}"#),
            (
                r#"{"jwt":"secret","sig":"secret","nkey":"secret"}"#,
                r#"{"jwt":"[REDACTED]","sig":"[REDACTED]","nkey":"[REDACTED]"}"#,
            ),
        ];
        for (json, expected) in table {
            assert_eq!(redacted(json.as_bytes()), expected);
        }
    }
}
