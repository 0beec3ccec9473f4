//! `CONNECT`: who the client is, and how it wants to be spoken to.

use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::String;
use core::time::Duration;

use protocol::connect::Connect;
use protocol::errors::{CloseReason, ProtocolError};
use protocol::id::{AccountId, ConnId};
use protocol::text::quoted::Quoted;
use protocol::time::Instant;
use protocol::websocket::upgrade::Cookies;
use routing::permissions::Permit;

use crate::auth::{Credentials, Refusal, Route, User, Verdict};
use crate::conn::{Conn, Login, State, Wishes};
use crate::effects::{Level, WorkOp};
use crate::shard::Shard;
use crate::stations::Presence;

/// The highest protocol number that a client may name.
const PROTOCOL_MAX: i64 = 1;

impl Shard {
    /// Logs a client in, or in anew: a further CONNECT starts over without subscriptions.
    pub(crate) fn on_connect(&mut self, id: ConnId, json: &[u8]) {
        let Some(conn) = self.router.conns.get(id) else {
            return;
        };
        let Ok(mut said) = conn.said_so_far().and_then_said(json) else {
            self.log_conn(id, Level::Error, |cid| {
                format!("{cid} - error in CONNECT options")
            });
            return self.close(id, CloseReason::ProtocolViolation);
        };
        if let Some(websocket) = &conn.websocket {
            fill_in(&mut said, &websocket.cookies);
        }
        match self.account_to_fetch(&said) {
            Some(key) => self.fetch_first(id, key, said),
            None => self.log_in(id, said),
        }
    }

    /// Judges who a client says it is.
    pub(crate) fn log_in(&mut self, id: ConnId, said: Connect) {
        let Some(conn) = self.router.conns.get_mut(id) else {
            return;
        };
        match self.auth.route(&said, conn) {
            Route::Direct => conn.proxy = None,
            Route::Through(proxy) => conn.proxy = Some(proxy),
            Route::Untrusted => return self.turn_away(id, &said, Refusal::ProxyNotTrusted),
        }
        let credentials = Credentials::new(&said, &said.name, conn, self.router.now.wall);
        let verdict = self.auth.check(conn.rules, conn.kind(), &credentials);
        match verdict {
            Verdict::Accepted { account, user } => self.decide(id, Some((account, user)), said),
            Verdict::Refused(Refusal::Credentials) => self.decide(id, None, said),
            // No service can let it in.
            Verdict::Refused(refusal) => self.turn_away(id, &said, refusal),
            Verdict::Unclear {
                hash,
                account,
                user,
            } => {
                let shown = said.shown_secret();
                if let Some(conn) = self.router.conns.get_mut(id) {
                    // It has said who it is: how long the check takes is not up to the client.
                    if let State::Login { deadline } = &mut conn.state {
                        *deadline = Instant::NEVER;
                    }
                    // One allocation per login with a hashed password.
                    conn.login = Some(Box::new(Login {
                        said,
                        account,
                        user,
                        again: false,
                    }));
                    let op = WorkOp::CheckPassword {
                        conn: id,
                        hash,
                        shown,
                    };
                    self.router.fx.work.push(op);
                    self.router.fx.gate.push((id, true));
                }
            }
        }
    }

    /// Goes on with a login whose password has been checked.
    pub(crate) fn on_password_checked(&mut self, id: ConnId, fits: bool) {
        let Some(conn) = self.router.conns.get_mut(id) else {
            return;
        };
        let Some(login) = conn.login.take() else {
            return;
        };
        self.router.fx.gate.push((id, false));
        let Login {
            said,
            account,
            user,
            again,
        } = *login;
        if fits && again {
            self.keep(id, account, user);
        } else if again {
            self.turn_away(id, &said, Refusal::Credentials);
        } else {
            self.decide(id, fits.then_some((account, user)), said);
        }
    }

    pub(crate) fn turn_away(&mut self, id: ConnId, said: &Connect, refusal: Refusal) {
        let now = self.router.now.mono;
        if let Some(conn) = self.router.conns.get_mut(id)
            && !conn.connected
        {
            // Monitoring shows who it said it was.
            conn.wishes = Wishes::new(said, false);
            conn.pulse.rtt = now.since(conn.start.mono).max(Duration::from_nanos(1));
        }
        let why = match refusal {
            Refusal::Credentials => None,
            Refusal::ProxyNotTrusted => Some("proxy is not trusted"),
            Refusal::ProxyRequired => Some("proxy connection required"),
        };
        if let Some(why) = why {
            self.log_conn(id, Level::Debug, |cid| format!("{cid} - {why}"));
        }
        let who = match (said.user.as_str(), said.auth_token.as_str()) {
            ("", "") => String::new(),
            ("", _) => String::from(" - Token \"[REDACTED]\""),
            (user, _) => format!(" - User {}", Quoted(user.as_bytes())),
        };
        self.log_conn(id, Level::Error, |cid| {
            format!("{cid} - authentication error{who}")
        });
        self.router.tell(id, &ProtocolError::AuthorizationViolation);
        self.close(id, refusal.reason());
    }

    /// Lets a client in whose credentials are good.
    pub(crate) fn admit(
        &mut self,
        id: ConnId,
        account: AccountId,
        user: Option<Rc<User>>,
        said: &Connect,
    ) {
        if self.router.conns.get(id).is_none_or(Conn::is_closing) {
            return;
        }
        self.adopt(id, account, user, said);
        if let Some((error, reason)) = self.objection(id, account, said) {
            return self.fail(id, &error, reason);
        }
        self.confirm(id);
        self.start_pulse(id);
        self.announce_arrival(id);
    }

    /// Makes the connection the user's, as it asked to be spoken to.
    fn adopt(&mut self, id: ConnId, account: AccountId, user: Option<Rc<User>>, said: &Connect) {
        self.router.remove_all_subs(id);
        self.leave(id);
        let headers = said.headers && !self.options.config.no_header_support;
        let payload_max = self.payload_max(account, user.as_deref());
        let expires = self.expires(user.as_deref());
        let rules = user.as_ref().and_then(|user| user.permissions.clone());
        if let Some(conn) = self.router.conns.get_mut(id) {
            conn.permit = rules.map(|rules| Permit::new(rules, self.seed));
            conn.user = user;
            conn.expires = expires;
            conn.account = account;
            conn.state = State::Open;
            conn.connected = true;
            conn.parser_limits.connect_only = false;
            conn.parser_limits.headers = headers;
            conn.parser_limits.payload_max = payload_max;
            conn.wishes = Wishes::new(said, headers);
            // One allocation per login with something to show.
            conn.said = said.shows_anything().then(|| Box::new(said.clone()));
        }
        Self::join(&mut self.router, id);
        if let Some(streams) = &mut self.streams {
            streams.note_client(account, &said.name, Presence::Here);
        }
    }

    /// Returns when a user has to go.
    pub(crate) fn expires(&self, user: Option<&User>) -> Instant {
        let now = self.router.now;
        match user.and_then(|user| user.expiry) {
            Some(expiry) => now.mono + expiry.at().since(now.wall),
            None => Instant::NEVER,
        }
    }

    /// Returns what makes a client with good credentials one to be closed all the same.
    fn objection(
        &self,
        id: ConnId,
        account: AccountId,
        said: &Connect,
    ) -> Option<(ProtocolError<'static>, CloseReason)> {
        let limits = self.router.accounts.get(account)?;
        if let Some(max) = limits.limits.connections_max
            && limits.connections > max
        {
            return Some((
                ProtocolError::MaxAccountConnections,
                CloseReason::MaxAccountConnectionsExceeded,
            ));
        }
        if !(0..=PROTOCOL_MAX).contains(&said.protocol) {
            return Some((
                ProtocolError::InvalidClientProtocol,
                CloseReason::BadClientProtocolVersion,
            ));
        }
        let headers = self.router.conns.get(id)?.wishes.headers;
        (said.no_responders && !headers).then_some((
            ProtocolError::NoRespondersNeedsHeaders,
            CloseReason::NoRespondersRequiresHeaders,
        ))
    }

    /// Stops counting a connection in its account, before it logs in anew.
    fn leave(&mut self, id: ConnId) {
        if let Some(conn) = self.router.conns.get(id)
            && conn.state == State::Open
            && let Some(account) = self.router.accounts.get_mut(conn.account)
        {
            if let Some(streams) = &mut self.streams {
                streams.note_client(conn.account, &conn.wishes.name, Presence::Gone);
            }
            account.connections = account.connections.saturating_sub(1);
        }
    }
}

/// Fills in what a CONNECT left out and cookies hold.
fn fill_in(said: &mut Connect, cookies: &Cookies) {
    for (field, cookie) in [
        (&mut said.jwt, &cookies.jwt),
        (&mut said.user, &cookies.user),
        (&mut said.pass, &cookies.pass),
        (&mut said.auth_token, &cookies.token),
    ] {
        if field.is_empty() {
            field.clone_from(cookie);
        }
    }
}
