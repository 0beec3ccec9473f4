//! The lines of the log, on their way out and to those who look at them through management.

use alloc::format;
use alloc::string::{String, ToString};

use memphis::logs::Severity;
use protocol::errors::ProtocolError;
use protocol::id::ConnId;
use protocol::text::quoted::Quoted;
use protocol::time::Wall;

use super::Shard;
use crate::effects::{Level, LogLine};
use crate::trace::label;

impl Shard {
    /// Takes a line that was logged, so that management can show it.
    pub fn logged(&mut self, line: &LogLine, at: Wall) {
        let severity = match line.level {
            Level::Info => Severity::Info,
            Level::Warn => Severity::Warn,
            Level::Error => Severity::Error,
            Level::Debug | Level::Trace => return,
        };
        if let Some(streams) = &mut self.streams {
            let tenants = &self.router.tenants;
            let of = line.account.filter(|account| tenants.contains(account));
            let memphis = &mut streams.stations.machine;
            memphis.logged(of, severity, &line.text, at);
        }
    }

    /// Logs a line that starts with the connection's address and number, as nats-server's do.
    pub(crate) fn log_conn(&mut self, id: ConnId, level: Level, text: impl FnOnce(&str) -> String) {
        if let Some(conn) = self.router.conns.get(id) {
            let text = text(&label(conn, &self.router.accounts));
            let line = LogLine::of(conn.account, level, text);
            self.router.fx.log.push(line);
        }
    }

    /// Logs an error that a client is told, in the words that nats-server has for operators.
    pub(crate) fn log_error(&mut self, id: ConnId, error: &ProtocolError<'_>) {
        use ProtocolError as Error;
        // Of these it is said elsewhere how long it took, and what could not be read.
        if matches!(error, Error::StaleConnection | Error::UnknownOperation) {
            return;
        }
        let level = match matches!(error, Error::AuthenticationTimeout) {
            true => Level::Debug,
            false => Level::Error,
        };
        let text = if let Error::PublishDenied { subject } = error {
            format!("Publish Violation - Subject {}", Quoted(subject))
        } else if let Error::ReplyDenied { reply } = error {
            format!("Publish Violation - Reply {}", Quoted(reply))
        } else if matches!(error, Error::AuthorizationViolation) {
            String::from("authentication error")
        } else {
            error.to_string()
        };
        self.log_conn(id, level, |cid| format!("{cid} - {text}"));
    }

    /// Logs that a client may not have a subscription.
    pub(crate) fn log_denied_subscription(
        &mut self,
        id: ConnId,
        subject: &[u8],
        queue: Option<&[u8]>,
        sid: &[u8],
    ) {
        let queue = match queue {
            Some(queue) => format!(", Queue: {}", Quoted(queue)),
            None => String::new(),
        };
        let (subject, sid) = (Quoted(subject), String::from_utf8_lossy(sid));
        self.log_conn(id, Level::Error, |cid| {
            format!("{cid} - Subscription Violation - Subject {subject}{queue}, SID {sid}")
        });
    }
}
