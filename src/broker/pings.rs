//! Signs of life: PING and PONG in both directions.

use alloc::format;
use core::time::Duration;

use protocol::encode;
use protocol::errors::{CloseReason, ProtocolError};
use protocol::id::ConnId;
use protocol::time::Instant;

use crate::effects::Level;
use crate::limits::{FIRST_PING, PING_JITTER_PERCENT, RTT_FRESH};
use crate::shard::Shard;

impl Shard {
    /// Answers a client's PING; the first one after CONNECT is also answered with what the client's
    /// account makes of INFO.
    pub(crate) fn on_ping(&mut self, id: ConnId) {
        self.router
            .send(id, |conn| conn.outbox.buf().extend_from_slice(encode::PONG));
        self.router.trace_out(id, "PONG");
        let Some(conn) = self.router.conns.get_mut(id) else {
            return;
        };
        if conn.connected && !conn.pulse.greeted {
            conn.pulse.greeted = true;
            if conn.wishes.protocol >= 1 {
                self.send_info(id);
            }
        }
    }

    /// Notes a client's answer.
    pub(crate) fn on_pong(&mut self, id: ConnId) {
        let now = self.router.now.mono;
        if let Some(conn) = self.router.conns.get_mut(id) {
            if conn.pulse.unanswered > 0 {
                // Zero means that it is not known.
                conn.pulse.rtt = now.since(conn.pulse.sent).max(Duration::from_nanos(1));
            }
            conn.pulse.unanswered = 0;
        }
    }

    /// Plans the first PING of a connection that has logged in.
    pub(crate) fn start_pulse(&mut self, id: ConnId) {
        let wait = self.with_jitter(FIRST_PING.min(self.options.config.ping_interval));
        let now = self.router.now.mono;
        if let Some(conn) = self.router.conns.get_mut(id) {
            conn.pulse.next = now + wait;
            // Until a PING is answered, the time from the first INFO to CONNECT stands in for it.
            conn.pulse.rtt = now.since(conn.start.mono).max(Duration::from_nanos(1));
        }
    }

    /// Sends a PING if one is due and the connection has been quiet; gives up on one that has not
    /// answered several.
    pub(crate) fn on_pulse(&mut self, id: ConnId) {
        let now = self.router.now.mono;
        let config = &self.options.config;
        let unanswered_max = config.ping_max;
        let Some(conn) = self.router.conns.get_mut(id) else {
            return;
        };
        let own = config.websocket.as_ref().and_then(|ws| ws.ping_interval);
        let own = own.filter(|_| conn.websocket.is_some());
        let interval = own.unwrap_or(config.ping_interval);
        if conn.pulse.next > now {
            return;
        }
        conn.pulse.next = now + interval;
        self.router.debug_conn(id, "Client Ping Timer");
        let Some(conn) = self.router.conns.get_mut(id) else {
            return;
        };
        let active = now.since(conn.pulse.last_in) < interval;
        let measured = conn.pulse.sent != Instant::default();
        let known = measured && now.since(conn.pulse.sent) < RTT_FRESH;
        if active && known {
            return;
        }
        if conn.pulse.unanswered + 1 > unanswered_max {
            self.router.stats.stale_connections += 1;
            self.log_conn(id, Level::Debug, |cid| {
                format!("{cid} - Stale Client Connection - Closing")
            });
            return self.fail(
                id,
                &ProtocolError::StaleConnection,
                CloseReason::StaleConnection,
            );
        }
        conn.pulse.unanswered += 1;
        conn.pulse.sent = now;
        self.router
            .send(id, |conn| conn.outbox.buf().extend_from_slice(encode::PING));
        self.router.trace_out(id, "PING");
    }

    fn with_jitter(&mut self, wait: Duration) -> Duration {
        let span = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX) / 100 * PING_JITTER_PERCENT;
        wait + Duration::from_nanos(self.rng.below(span))
    }
}
