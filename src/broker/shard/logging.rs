//! The lines of the log, on their way out and to those who look at them through management.

use alloc::string::String;

use memphis::logs::Severity;
use protocol::id::ConnId;
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
}
