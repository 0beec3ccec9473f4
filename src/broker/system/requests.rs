//! Requests in the system account, and their answers.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use config::options::{PermissionList, Permissions};
use monitor::Source;
use monitor::stats::Process;
use monitor::system;
use protocol::encode;
use protocol::encoding::Encoding;
use protocol::errors::CloseReason;
use protocol::id::ConnId;
use protocol::js::json::Writer;
use protocol::subject;
use protocol::text::duration::Nanos;
use protocol::time::Instant;

use super::Request;
use crate::effects::Errand;
use crate::shard::Shard;

impl Shard {
    /// Answers a request, if there is an answer and somebody wants it.
    pub(super) fn answer(&mut self, request: &Request, process: &Process) {
        let Ok(subject) = core::str::from_utf8(&request.subject) else {
            return;
        };
        let tokens: Vec<&str> = subject.split('.').collect();
        let body = match tokens.as_slice() {
            ["$SYS", "REQ", "SERVER", "PING"] => self.of_server("STATSZ", request, process),
            ["$SYS", "REQ", "SERVER", _, "RELOAD"] => {
                self.herald.reloads.push_back(request.reply.clone());
                self.router.fx.errands.push(Errand::Reload);
                None
            }
            ["$SYS", "REQ", "SERVER", _, "KICK"] => self.kick(request),
            ["$SYS", "REQ", "SERVER", _, "LDM"] => self.send_away(request),
            ["$SYS", "REQ", "SERVER", _, what] => self.of_server(what, request, process),
            ["$SYS", "_INBOX", _, token] => {
                self.on_callout_answer(token, &request.payload);
                None
            }
            ["$SYS", what @ ..] if what.contains(&"CLAIMS") => {
                self.claims(what, request);
                None
            }
            ["$SYS", "REQ", "ACCOUNT", account, "CONNS"] => self.connections_of(account, request),
            ["$SYS", "REQ", "ACCOUNT", account, what] => {
                let seq = self.herald.next_seq();
                let view = self.monitoring(self.router.now, process.clone());
                system::account_request(&view, account, what, &request.payload, seq)
            }
            ["$SYS", "REQ", "USER", .., "INFO"] => self.user_info(request),
            ["$SYS", "DEBUG", "SUBSCRIBERS"] => self.subscribers(request),
            _ => None,
        };
        if let Some(body) = body {
            self.reply(&request.reply, body, request.encoding);
        }
    }

    pub(super) fn reply(&mut self, to: &[u8], body: Vec<u8>, encoding: Encoding) {
        if let Some(system) = self.router.accounts.system
            && !to.is_empty()
        {
            self.say(system, to, body, encoding);
        }
    }

    fn of_server(&mut self, what: &str, request: &Request, process: &Process) -> Option<Vec<u8>> {
        let seq = self.herald.next_seq();
        let view = self.monitoring(self.router.now, process.clone());
        system::server_request(&view, what, &request.payload, seq)
    }

    /// Tells how many connections an account has, as its events do; nothing of one that is not known here.
    fn connections_of(&mut self, account: &str, request: &Request) -> Option<Vec<u8>> {
        if !system::is_about(account, &request.payload) {
            return None;
        }
        self.router.accounts.find(account)?;
        let id = self.event_id();
        let seq = self.herald.next_seq();
        let view = self.monitoring(self.router.now, Process::default());
        let mut accounts = view.accounts().into_iter();
        let found = accounts.find(|known| known.name == account)?;
        Some(system::account_connections(&view, &id, found, seq))
    }

    /// Tells what became of a reload.
    pub(crate) fn on_reloaded(&mut self, failed: Option<&str>) {
        if let Some(reply) = self.herald.reloads.pop_front() {
            let body = self.done(failed);
            self.reply(&reply, body, Encoding::Plain);
        }
    }

    fn done(&mut self, failed: Option<&str>) -> Vec<u8> {
        let seq = self.herald.next_seq();
        let view = self.monitoring(self.router.now, Process::default());
        system::done(&view, seq, failed)
    }

    /// Closes a client's connection.
    fn kick(&mut self, request: &Request) -> Option<Vec<u8>> {
        let cid = cid(&request.payload)?;
        let Some(conn) = self.by_cid(cid) else {
            return Some(self.done(Some("no such client or leafnode id")));
        };
        self.close(conn, CloseReason::Kicked);
        Some(self.done(None))
    }

    /// Tells a client to go elsewhere.
    fn send_away(&mut self, request: &Request) -> Option<Vec<u8>> {
        let cid = cid(&request.payload)?;
        let Some(conn) = self.by_cid(cid) else {
            return Some(self.done(Some("no such client id")));
        };
        if let Some(json) = self.info_json_of(conn, true) {
            self.router
                .send(conn, |conn| encode::info(conn.outbox.buf(), &json));
        }
        Some(self.done(None))
    }

    fn by_cid(&self, cid: u64) -> Option<ConnId> {
        let mut open = self.router.conns.iter().filter(|conn| !conn.is_closing());
        open.find(|conn| conn.cid == cid).map(|conn| conn.id)
    }

    /// Tells a client who it is.
    fn user_info(&mut self, request: &Request) -> Option<Vec<u8>> {
        let mut data = Writer::default();
        data.begin_object();
        match request.from.and_then(|from| self.router.conns.get(from)) {
            Some(conn) => {
                let account = self.router.accounts.name(conn.account);
                let user = conn.user.as_ref();
                let name = user.map_or("", |user| user.name.as_str());
                data.field("user", name);
                data.field("account", account);
                data.field("account_name", self.options.config.account_label(account));
                if let Some(signed) = user.and_then(|user| user.signed.as_ref()) {
                    data.field_if_set("user_name", &signed.name);
                }
                if let Some(permissions) = user.and_then(|user| user.said.as_ref()) {
                    data.key("permissions");
                    write_permissions(&mut data, permissions);
                }
                if conn.expires != Instant::NEVER {
                    let left = Nanos::from(conn.expires.since(self.router.now.mono));
                    data.field("expires", &left);
                }
            }
            None => {
                data.field("user", "");
                data.field("account", "");
            }
        }
        data.end_object();
        let data = String::from_utf8(data.into_bytes()).ok()?;
        let seq = self.herald.next_seq();
        let view = self.monitoring(self.router.now, Process::default());
        system::envelope_of(&view, seq, data)
    }

    /// Counts who would get a message of the requester's account.
    fn subscribers(&mut self, request: &Request) -> Option<Vec<u8>> {
        let conn = self.router.conns.get(request.from?)?;
        let mut parts = request.payload.split(u8::is_ascii_whitespace);
        let (subject, queue) = (parts.next()?, parts.next());
        if !subject::is_valid(subject) {
            return Some(b"0".to_vec());
        }
        let account = self.router.accounts.get_mut(conn.account)?;
        let found = account.subs.matches(subject);
        let groups = found.groups().filter(|group| {
            queue.is_none_or(|queue| account.subs.queue_name(group.queue) == Some(queue))
        });
        let members: usize = groups.map(|group| group.members.len()).sum();
        let plain = if queue.is_none() {
            found.plain().len()
        } else {
            0
        };
        Some((plain + members).to_string().into_bytes())
    }
}

/// Reads whose connection is meant.
fn cid(body: &[u8]) -> Option<u64> {
    system::cid(body)
}

fn write_permissions(to: &mut Writer, permissions: &Permissions) {
    to.begin_object();
    for (key, list) in [
        ("publish", &permissions.publish),
        ("subscribe", &permissions.subscribe),
    ] {
        to.key(key);
        write_list(to, list.as_ref());
    }
    if let Some(responses) = permissions.responses {
        to.key("responses");
        to.begin_object();
        let max = responses.msgs_max.map_or(-1, i64::from);
        let ttl = responses
            .expires
            .map_or(-1, |ttl| i64::try_from(ttl.as_nanos()).unwrap_or(i64::MAX));
        to.field("max", &max);
        to.field("ttl", &ttl);
        to.end_object();
    }
    to.end_object();
}

fn write_list(to: &mut Writer, list: Option<&PermissionList>) {
    to.begin_object();
    if let Some(list) = list {
        if let Some(allow) = &list.allow {
            to.field_if_set("allow", allow);
        }
        to.field_if_set("deny", &list.deny);
    }
    to.end_object();
}
