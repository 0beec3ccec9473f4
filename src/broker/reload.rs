//! Another configuration for a shard that is running: what connects from now on lives by it, and so do
//! the clients who are there already, as far as they may stay.
//!
//! *Invariant:* the new configuration has been judged against the old one (`config::reload`), so that
//! nothing here can fail.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::rc::Rc;
use alloc::vec::Vec;

use config::Options;
use protocol::errors::{CloseReason, ProtocolError};
use protocol::id::{AccountId, ConnId};
use routing::permissions::Permit;

use crate::auth::{Auth, Credentials, Refusal, Standing, User, Verdict};
use crate::conn::{Conn, Login, State};
use crate::effects::{Level, LogLine, WorkOp};
use crate::router::Bounds;
use crate::shard::Shard;
use crate::streams::Streams;
use crate::trace::Tracing;

/// What becomes of a client under another configuration.
enum Fate {
    /// It stays, as this user.
    Stays(AccountId, Option<Rc<User>>),
    /// It stays if its password fits a hash that was not there before.
    Unclear(WorkOp, Box<Login>),
    /// Its user is gone, or has another account now: it may come back as whoever it is then.
    Moves,
    /// It may not be here any more.
    Leaves(Refusal),
}

impl Shard {
    /// Puts another configuration in force.
    pub(crate) fn reload(&mut self, config: Options) {
        let before = core::mem::replace(&mut self.options.config, config);
        let config = &self.options.config;
        self.router.bounds = Bounds::new(config);
        self.router.tracing = Tracing::new(config);
        self.router.accounts.reload(config, self.seed);
        let auth = Auth::new(
            config,
            &mut self.router.accounts,
            self.seed,
            &self.options.secret,
        );
        let auth = core::mem::replace(&mut self.auth, auth);
        self.reload_streams();
        let stored = self.streams.as_ref().map(Streams::subjects);
        let config = &self.options.config;
        self.router.reshare(config, &stored.unwrap_or_default());
        let tenants = self.router.tenants.iter();
        let tenants = tenants.map(|account| (*account, BTreeSet::new()));
        self.router.users_changed.extend(tenants);
        self.take_users();
        self.close_surplus(before.limits.connections_max);
        let all: Vec<ConnId> = self.router.conns.iter().map(|conn| conn.id).collect();
        for id in all {
            self.review(id, &auth);
            self.arm(id);
        }
        self.end_input();
    }

    /// Closes the latest connections until no more are left than may be.
    fn close_surplus(&mut self, before: u32) {
        let max = self.options.config.limits.connections_max;
        if max >= before || self.open <= max {
            return;
        }
        let surplus = self.open - max;
        let conns = self.router.conns.iter().filter(|conn| !conn.is_closing());
        let mut by_age: Vec<(u64, ConnId)> = conns.map(|conn| (conn.cid, conn.id)).collect();
        by_age.sort_unstable();
        for (_, id) in by_age.into_iter().rev().take(surplus as usize) {
            self.fail(
                id,
                &ProtocolError::MaxConnections,
                CloseReason::MaxConnectionsExceeded,
            );
        }
        let text = format!("Closed {surplus} connections to fall within max_connections");
        let level = Level::Info;
        self.router.fx.log.push(LogLine::new(level, text));
    }

    /// Applies the configuration to a connection; `before` is who could connect until now.
    fn review(&mut self, id: ConnId, before: &Auth) {
        let control_line_max = self.options.config.limits.control_line_max as usize;
        let next_ping = self.router.now.mono + self.options.config.ping_interval;
        let Some(conn) = self.router.conns.get_mut(id) else {
            return;
        };
        if conn.state != State::Open {
            return;
        }
        conn.parser_limits.control_line_max = control_line_max;
        if conn.connected {
            conn.pulse.next = conn.pulse.next.min(next_ping);
        }
        match self.fate(id, before) {
            None => {}
            Some(Fate::Stays(account, user)) => self.keep(id, account, user),
            Some(Fate::Unclear(op, login)) => {
                if let Some(conn) = self.router.conns.get_mut(id) {
                    conn.login = Some(login);
                    self.router.fx.work.push(op);
                    self.router.fx.gate.push((id, true));
                }
            }
            Some(Fate::Moves) => self.close(id, CloseReason::ClientClosed),
            Some(Fate::Leaves(refusal)) => {
                if let Some((error, reason)) = self.why_it_leaves(id) {
                    return self.fail(id, &error, reason);
                }
                let said = self.router.conns.get_mut(id).and_then(|c| c.said.take());
                self.turn_away(id, &said.map(|said| *said).unwrap_or_default(), refusal);
            }
        }
    }

    /// Returns what a client is told whose account has changed; none if it is just not let in any more.
    fn why_it_leaves(&self, id: ConnId) -> Option<(ProtocolError<'static>, CloseReason)> {
        let said = self.router.conns.get(id)?.said.as_deref()?;
        Some(match self.auth.standing(&said.jwt, self.router.now.wall)? {
            Standing::Revoked => (ProtocolError::UserRevoked, CloseReason::Revocation),
            Standing::AccountGone => (
                ProtocolError::AccountExpired,
                CloseReason::AuthenticationExpired,
            ),
        })
    }

    fn fate(&self, id: ConnId, before: &Auth) -> Option<Fate> {
        let conn = self.router.conns.get(id)?;
        if let Some(proxy) = &conn.proxy
            && !self.auth.trusts_proxy(proxy)
        {
            return Some(Fate::Leaves(Refusal::ProxyNotTrusted));
        }
        if let Some(user) = conn.user.as_ref().filter(|user| user.is_delegated) {
            let name = self.router.accounts.name(conn.account);
            return Some(match self.auth.still_delegates(name) {
                true => Fate::Stays(conn.account, Some(Rc::clone(user))),
                false => Fate::Leaves(Refusal::Credentials),
            });
        }
        if let Some(user) = &conn.user
            && !self.auth.knows(conn.rules, &user.name)
        {
            return Some(Fate::Moves);
        }
        let said = conn.said.as_deref().cloned().unwrap_or_default();
        let name = &conn.wishes.name;
        let shown = Credentials::new(&said, name, conn, self.router.now.wall);
        Some(match self.auth.check(conn.rules, conn.kind(), &shown) {
            Verdict::Accepted { account, user } => Self::place(conn, account, user),
            Verdict::Refused(refusal) => Fate::Leaves(refusal),
            Verdict::Unclear {
                hash,
                account,
                user,
            } => match before.check(conn.rules, conn.kind(), &shown) {
                Verdict::Unclear { hash: same, .. } if same == hash => {
                    Self::place(conn, account, user)
                }
                Verdict::Unclear { .. } | Verdict::Accepted { .. } | Verdict::Refused(_) => {
                    let shown = said.shown_secret();
                    let op = WorkOp::CheckPassword {
                        conn: id,
                        hash,
                        shown,
                    };
                    // One allocation per client whose password has a new hash.
                    let login = Box::new(Login {
                        said,
                        account,
                        user,
                        again: true,
                    });
                    Fate::Unclear(op, login)
                }
            },
        })
    }

    fn place(conn: &Conn, account: AccountId, user: Option<Rc<User>>) -> Fate {
        match conn.account == account {
            true => Fate::Stays(account, user),
            false => Fate::Moves,
        }
    }

    /// Lets a client stay, by the rules that its user has now.
    pub(crate) fn keep(&mut self, id: ConnId, account: AccountId, user: Option<Rc<User>>) {
        let payload_max = self.payload_max(account, user.as_deref());
        let expires = self.expires(user.as_deref());
        let rules = user.as_ref().and_then(|user| user.permissions.clone());
        let Some(conn) = self.router.conns.get_mut(id) else {
            return;
        };
        conn.permit = rules.map(|rules| Permit::new(rules, self.seed));
        conn.user = user;
        conn.expires = expires;
        conn.parser_limits.payload_max = payload_max;
        let max = self.router.accounts.get(account);
        let max = max.and_then(|account| account.limits.connections_max);
        let count = self.router.accounts.get(account).map(|a| a.connections);
        if let (Some(max), Some(count)) = (max, count)
            && count > max
        {
            return self.fail(
                id,
                &ProtocolError::MaxAccountConnections,
                CloseReason::MaxAccountConnectionsExceeded,
            );
        }
        self.drop_forbidden_subs(id);
    }

    /// Ends the subscriptions that the client may not have any more, and tells it.
    fn drop_forbidden_subs(&mut self, id: ConnId) {
        let Some(conn) = self.router.conns.get_mut(id) else {
            return;
        };
        let Some(permit) = &mut conn.permit else {
            return;
        };
        let mut forbidden = Vec::new();
        for (slot, sub) in conn.subs.iter() {
            if !permit.may_subscribe(&sub.subject, sub.queue.as_deref()) {
                forbidden.push((slot, sub.clone()));
            }
        }
        let user = conn.user.as_ref().map(|user| user.name.clone());
        let user = user.unwrap_or_default();
        for (slot, sub) in forbidden {
            self.router.remove_sub(id, slot);
            let error = ProtocolError::SubscriptionRevoked {
                subject: &sub.subject,
                queue: sub.queue.as_deref(),
                sid: &sub.sid,
            };
            self.router.tell(id, &error);
            let what = format!("{error}");
            let what = what.split_once(" to ").map_or("", |(_, what)| what);
            let text = format!("Removed sub {what} for User {user:?} - not authorized");
            let level = Level::Info;
            self.router.fx.log.push(LogLine::new(level, text));
        }
    }
}
