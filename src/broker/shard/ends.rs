//! How connections end: by a client's mistake, its silence, its slowness, its leaving, or the
//! server's stop.
//!
//! *Invariant:* a connection ends once. It is remembered as it was, loses its subscriptions and its
//! place in its account at once, and its slot when its socket has gone.

use alloc::format;
use alloc::vec::Vec;

use protocol::errors::{CloseReason, ProtocolError};
use protocol::id::ConnId;
use protocol::time::Instant;

use super::Shard;
use crate::auth::Expiry;
use crate::closed::Closed;
use crate::conn::{Conn, State};
use crate::effects::{Gone, Level};
use crate::limits::CLOSE_FLUSH;
use crate::publish::Inline;
use crate::router::Router;
use crate::stations::Presence;

impl Shard {
    /// Tells a client what it did wrong, and closes the connection.
    pub(crate) fn fail(&mut self, id: ConnId, error: &ProtocolError<'_>, reason: CloseReason) {
        self.router.tell(id, error);
        self.log_error(id, error);
        self.close(id, reason);
    }

    /// Ends a connection: it gets no more messages, and its socket goes once it has been told.
    pub(crate) fn close(&mut self, id: ConnId, reason: CloseReason) {
        let deadline = self.router.now.mono + CLOSE_FLUSH;
        if self.router.conns.get(id).is_none_or(Conn::is_closing) {
            return;
        }
        if let Some(conn) = self.view(id) {
            let stop = self.router.now.wall;
            let subs = self.last_subs(id);
            self.closed.push(Closed {
                conn,
                subs,
                stop,
                reason,
            });
        }
        let text = format!("Client connection closed: {}", reason.text());
        self.router.debug_conn(id, &text);
        self.router.remove_all_subs(id);
        // As long as it is known who asked.
        self.tell_unheard();
        let Some(conn) = self.router.conns.get_mut(id) else {
            return;
        };
        let joined = matches!(conn.state, State::Open);
        if joined && let Some(streams) = &mut self.streams {
            streams.note_client(conn.account, &conn.wishes.name, Presence::Gone);
        }
        conn.state = State::Closing { reason, deadline };
        conn.pulse.next = Instant::NEVER;
        conn.gated_until = Instant::NEVER;
        self.open -= 1;
        if Router::is_abrupt(reason) {
            conn.outbox.discard();
            self.router.fx.abort.push(id);
        } else {
            self.router.fx.close.push((id, reason));
        }
        let (account, received, sent) = (conn.account, conn.received, conn.sent);
        if joined && let Some(account) = self.router.accounts.get_mut(account) {
            account.connections = account.connections.saturating_sub(1);
            account.received.merge(received);
            account.sent.merge(sent);
        }
        self.announce_departure(id, reason, joined);
        self.arm(id);
    }

    /// Removes subscriptions that have had their last message, and closes clients that turned out too
    /// slow. Called after everything that routes.
    #[inline]
    pub(crate) fn sweep(&mut self) {
        while let Some(at) = self.router.take_spent() {
            if let Some(conn) = self.router.conns.at_mut(at.conn) {
                let id = conn.id;
                self.router.remove_sub(id, at.slot);
            }
        }
        self.tell_unheard();
        while let Some(id) = self.router.take_slow() {
            if self.router.conns.get(id).is_some_and(|c| !c.is_closing()) {
                self.router.stats.slow_consumers += 1;
                let max = self.router.bounds.pending_max;
                self.log_conn(id, Level::Info, |cid| {
                    format!("{cid} - Slow Consumer Detected: MaxPending of {max} Exceeded")
                });
                self.close(id, CloseReason::SlowConsumerPendingBytes);
            }
        }
    }

    /// Tells of measured requests whose answers nobody waits for any more.
    fn tell_unheard(&mut self) {
        if self.router.sharing.responses.has_unheard() {
            let mut inline = Inline::of_server(self.streams.as_mut());
            self.router.tell_unheard(&mut inline);
        }
    }

    pub(super) fn on_closed(&mut self, id: ConnId, gone: Gone) {
        let reason = match gone {
            Gone::Eof | Gone::Told => CloseReason::ClientClosed,
            Gone::ReadFailed => CloseReason::ReadError,
            Gone::WriteFailed => CloseReason::WriteError,
        };
        self.close(id, reason);
        self.router.conns.remove(id);
    }

    /// Does what a connection's deadline is for.
    pub(super) fn on_deadline(&mut self, id: ConnId) {
        let now = self.router.now.mono;
        let write_deadline = self.router.bounds.write_deadline;
        let Some(conn) = self.router.conns.get_mut(id) else {
            return;
        };
        if conn.gated_until <= now {
            conn.gated_until = Instant::NEVER;
            if !conn.held && conn.login.is_none() {
                self.router.fx.gate.push((id, false));
            }
        }
        match conn.state {
            State::Login { deadline } if deadline <= now => {
                if self.on_callout_overdue(id) {
                    return;
                }
                return self.fail(
                    id,
                    &ProtocolError::AuthenticationTimeout,
                    CloseReason::AuthenticationTimeout,
                );
            }
            State::Closing { deadline, reason } => {
                if deadline <= now {
                    // Its last words were not read in time.
                    conn.state = State::Closing {
                        deadline: Instant::NEVER,
                        reason,
                    };
                    self.router.fx.abort.push(id);
                }
                return;
            }
            State::Open if conn.expires <= now => {
                let expiry = conn.user.as_ref().and_then(|user| user.expiry);
                let error = match expiry {
                    Some(Expiry::Account(_)) => ProtocolError::AccountExpired,
                    Some(Expiry::User(_)) | None => ProtocolError::UserExpired,
                };
                return self.fail(id, &error, CloseReason::AuthenticationExpired);
            }
            State::Handshake | State::Login { .. } | State::Open => {}
        }
        if conn
            .outbox
            .blocked_since()
            .is_some_and(|since| since + write_deadline <= now)
        {
            self.router.stats.slow_consumers += 1;
            self.log_conn(id, Level::Info, |cid| {
                format!("{cid} - Slow Consumer Detected: WriteDeadline exceeded")
            });
            return self.close(id, CloseReason::SlowConsumerWriteDeadline);
        }
        self.on_pulse(id);
    }

    pub(super) fn is_due(&self, id: ConnId) -> bool {
        let write_deadline = self.router.bounds.write_deadline;
        let conn = self.router.conns.get(id);
        conn.is_some_and(|conn| conn.deadline(write_deadline) <= self.router.now.mono)
    }

    pub(super) fn shut_down(&mut self) {
        let all: Vec<ConnId> = self.router.conns.iter().map(|conn| conn.id).collect();
        for id in all {
            self.close(id, CloseReason::ServerShutdown);
        }
    }
}
