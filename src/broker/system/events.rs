//! Events: clients come, go and are turned away; the server leaves.

use alloc::format;
use alloc::string::{String, ToString};

use monitor::Source;
use monitor::stats::{Flow, Process};
use monitor::system::{self, ConnectionEvent};
use protocol::errors::CloseReason;
use protocol::id::{AccountId, ConnId};
use protocol::js::advisory::ClientInfo;
use protocol::text::duration::Nanos;

use crate::shard::Shard;
use crate::snapshot::signed;

impl Shard {
    /// Tells that a client has logged in.
    pub(crate) fn announce_arrival(&mut self, id: ConnId) {
        if self.router.accounts.system.is_none() {
            return;
        }
        let Some(conn) = self.router.conns.get(id) else {
            return;
        };
        let account = conn.account;
        self.announce_connections(account);
        let subject = format!(
            "$SYS.ACCOUNT.{}.CONNECT",
            self.router.accounts.name(account)
        );
        if !self.is_heard(&subject) {
            return;
        }
        let Some(client) = self.in_event(id) else {
            return;
        };
        let client = ClientInfo {
            rtt: Nanos::default(),
            ..client
        };
        self.announce(&subject, &Process::default(), |view, id, seq| {
            let event = ConnectionEvent {
                id,
                client,
                sent: Flow::default(),
                received: Flow::default(),
                reason: "",
            };
            system::connected(view, &event, seq)
        });
    }

    /// Tells that a client has gone, which its account counts no longer.
    pub(crate) fn announce_departure(&mut self, id: ConnId, reason: CloseReason, counted: bool) {
        if self.router.accounts.system.is_none() {
            return;
        }
        let Some(conn) = self.router.conns.get(id) else {
            return;
        };
        let account = conn.account;
        if counted {
            self.announce_connections(account);
        }
        if matches!(
            reason,
            CloseReason::AuthenticationViolation | CloseReason::AuthenticationTimeout
        ) {
            let subject = format!("$SYS.SERVER.{}.CLIENT.AUTH.ERR", self.identity.id);
            self.announce_end(&subject, id, reason);
        }
        if reason == CloseReason::AuthenticationViolation {
            self.announce_end_in(account, "$SYS.ACCOUNT.CLIENT.AUTH.ERR", id, reason);
        }
        let name = self.router.accounts.name(account);
        let subject = format!("$SYS.ACCOUNT.{name}.DISCONNECT");
        self.announce_end(&subject, id, reason);
    }

    fn announce_end(&mut self, subject: &str, id: ConnId, reason: CloseReason) {
        if let Some(system) = self.router.accounts.system {
            self.announce_end_in(system, subject, id, reason);
        }
    }

    fn announce_end_in(&mut self, to: AccountId, subject: &str, id: ConnId, reason: CloseReason) {
        let account = self.router.accounts.get_mut(to);
        if !account.is_some_and(|account| account.subs.has_interest(subject.as_bytes())) {
            return;
        }
        let (Some(client), Some(conn)) = (self.in_event(id), self.router.conns.get(id)) else {
            return;
        };
        let client = ClientInfo {
            stop: Some(self.router.now.wall),
            ..client
        };
        let flow = |flow: crate::stats::Flow| Flow {
            msgs: flow.msgs,
            bytes: flow.bytes,
        };
        // As the client sees it.
        let (sent, received) = (flow(conn.received), flow(conn.sent));
        self.announce_in(to, subject, &Process::default(), |view, id, seq| {
            let event = ConnectionEvent {
                id,
                client,
                sent,
                received,
                reason: reason.text(),
            };
            system::disconnected(view, &event, seq)
        });
    }

    /// Tells how many connections an account has. Nobody asks that of the global one.
    pub(super) fn announce_connections(&mut self, account: AccountId) {
        if account == self.router.accounts.global {
            return;
        }
        self.arm_connections(account);
        let name = self.router.accounts.name(account).to_string();
        let subjects = [
            format!("$SYS.SERVER.ACCOUNT.{name}.CONNS"),
            format!("$SYS.ACCOUNT.{name}.SERVER.CONNS"),
        ];
        for subject in subjects {
            self.announce(&subject, &Process::default(), |view, id, seq| {
                let mut accounts = view.accounts().into_iter();
                let account = accounts.find(|account| account.name == name);
                system::account_connections(view, id, account.unwrap_or_default(), seq)
            });
        }
    }

    /// Tells that the server leaves: `LAMEDUCK` or `SHUTDOWN`.
    pub(crate) fn announce_leave(&mut self, what: &str) {
        let subject = format!("$SYS.SERVER.{}.{what}", self.identity.id);
        self.announce(&subject, &Process::default(), |view, _, seq| {
            system::left(view, seq)
        });
    }

    fn is_heard(&mut self, subject: &str) -> bool {
        let accounts = &mut self.router.accounts;
        let account = accounts.system.and_then(|id| accounts.get_mut(id));
        account.is_some_and(|account| account.subs.has_interest(subject.as_bytes()))
    }

    /// Describes a client as events do.
    fn in_event(&self, id: ConnId) -> Option<ClientInfo> {
        let who = self.router.who(id)?;
        let conn = self.router.conns.get(id)?;
        let user = match who.user.is_empty() {
            true => conn.wishes.user.clone(),
            false => who.user.clone(),
        };
        let waited = self.router.now.mono.since(conn.start.mono);
        let rtt = match who.rtt.is_zero() {
            true => Nanos::from(waited).max(Nanos(1)),
            false => who.rtt,
        };
        let label = self.options.config.account_label(&who.account);
        let signed = signed(conn).unwrap_or_default();
        Some(ClientInfo {
            user,
            rtt,
            server: String::new(),
            jwt: signed.jwt,
            issuer_key: signed.issuer_key,
            name_tag: label.to_string(),
            tags: signed.tags,
            ..who
        })
    }
}
