//! Messages that leave their account: requests to imported services, the answers to them, and what
//! streams store of other accounts.
//!
//! *Invariant:* only what found a target of these kinds comes here. A message goes through no export
//! twice.

mod latency;

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;

use bytes::BytesMut;
use config::options::ResponseType;
use protocol::encode::BLANK_REPLY;
use protocol::headers;
use protocol::id::{AccountId, ConnId, StreamId};
use protocol::message::Message;
use protocol::subject;

use crate::following::{DEST, DISABLED};
use crate::router::{Router, Target};
use crate::sharing::{Request, ServiceExport, ServiceImport, ServiceRef};
use latency::Outcome;
pub(crate) use latency::Tracking;

/// Says who asks. Answering accounts get it with each request.
const REQUEST_INFO: &[u8] = b"Nats-Request-Info";
/// Where a client of the system account asks who it is.
const OWN_INFO: &[u8] = b"$SYS.REQ.USER.INFO";
/// Where the clients of accounts are asked for.
const USER_INFO: &[u8] = b"$SYS.REQ.USER.";
/// Acknowledgements go back through the account that they came through, by the same subject.
const ACKS: &[u8] = b"$JS.ACK.";

/// Where a message goes that has crossed into an account, beside subscriptions.
pub(crate) trait Beyond {
    /// Hands a message to a stream.
    fn store(
        &mut self,
        router: &mut Router,
        account: AccountId,
        stream: StreamId,
        msg: &Message<'_>,
    );

    /// Handles a message on a subject that starts with `$JS.`; true if somebody took it.
    fn serve(&mut self, router: &mut Router, account: AccountId, msg: &Message<'_>) -> bool;
}

/// What became of a message that left its account.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Crossed {
    /// Whether somebody got it.
    pub(crate) reached: bool,
    /// Whether the account has its subject from another one.
    pub(crate) imported: bool,
}

impl Router {
    /// Says whether an account has what is asked of `subject` from another one.
    pub(crate) fn imports_service(&mut self, account: AccountId, subject: &str) -> bool {
        self.accounts.get_mut(account).is_some_and(|account| {
            let found = account.subs.matches(subject.as_bytes());
            let mut targets = found.plain().iter();
            targets.any(|target| matches!(target, Target::Service(_)))
        })
    }

    /// Takes a message where its account's imports lead.
    pub(crate) fn cross(
        &mut self,
        account: AccountId,
        to: &[u8],
        msg: &Message<'_>,
        from: Option<ConnId>,
        beyond: &mut dyn Beyond,
    ) -> Crossed {
        let mut crossed = Crossed::default();
        let Some(entry) = self.accounts.get_mut(account) else {
            return crossed;
        };
        let found = entry.subs.matches(to);
        for target in found.plain() {
            match *target {
                Target::Service(at) => {
                    crossed.imported = true;
                    crossed.reached |= self.request((account, at), to, msg, from, beyond);
                }
                Target::Responses => {
                    crossed.reached |= self.respond(account, to, msg, from, beyond);
                }
                Target::Shadow(at) if self.sharing.chain.is_empty() => {
                    let Some(shadow) = self.sharing.shadows.get(at) else {
                        continue;
                    };
                    let Target::Stream(stream) = shadow.target else {
                        continue;
                    };
                    let ours = shadow.account;
                    let mut subject = Vec::new();
                    let import = Rc::clone(&shadow.import);
                    let rng = &mut self.sharing.rng;
                    import.renaming.to_ours(to, rng, &mut subject);
                    let msg = Message {
                        subject: &subject,
                        ..*msg
                    };
                    let allowed = import.allow_trace;
                    if !self.note_import(ours, &subject, allowed) {
                        crossed.reached = true;
                    } else if allowed {
                        beyond.store(self, ours, stream, &msg);
                        crossed.reached = true;
                    } else {
                        self.unfollowed(|router| beyond.store(router, ours, stream, &msg));
                        crossed.reached = true;
                    }
                }
                Target::System => {
                    // Who asks about another account than its own is nobody in particular.
                    let own = to == OWN_INFO || !to.starts_with(USER_INFO);
                    let known = own || !self.sharing.chain.is_empty();
                    crossed.reached |= self.desk.put(to, msg, from.filter(|_| known));
                }
                Target::Shadow(_) | Target::Sub(_) | Target::Stream(_) | Target::Memphis => {}
            }
        }
        crossed
    }

    /// Delivers a message in an account that it has crossed into, to whoever subscribed `to` there; true
    /// if somebody got it.
    pub(crate) fn enter(
        &mut self,
        account: AccountId,
        to: &[u8],
        msg: &Message<'_>,
        from: Option<ConnId>,
        beyond: &mut dyn Beyond,
    ) -> bool {
        let routed = self.route(account, to, msg, from);
        self.sharing.pause = self.sharing.pause.max(routed.pause);
        let mut reached = routed.reached || routed.memphis || routed.stream.is_some();
        if routed.memphis {
            self.mail.request(account, msg, None);
        }
        if let Some(stream) = routed.stream {
            let stored = Message {
                subject: to,
                ..*msg
            };
            beyond.store(self, account, stream, &stored);
        }
        let mut imported = false;
        if routed.beyond {
            let crossed = self.cross(account, to, msg, from, beyond);
            reached |= crossed.reached;
            imported = crossed.imported;
        }
        if !imported && routed.stream.is_none() && to.starts_with(b"$JS.") {
            reached |= beyond.serve(self, account, msg);
        }
        reached
    }

    /// Asks another account for a service.
    fn request(
        &mut self,
        at: (AccountId, ServiceRef),
        to: &[u8],
        msg: &Message<'_>,
        from: Option<ConnId>,
        beyond: &mut dyn Beyond,
    ) -> bool {
        let (account, at) = at;
        let Some(import) = self.sharing.service(at) else {
            return false;
        };
        let export = &import.export;
        if self.sharing.chain.contains(&export.id) {
            return false;
        }
        let mut subject = Vec::with_capacity(to.len());
        let rng = &mut self.sharing.rng;
        import.renaming.to_theirs(to, rng, &mut subject);
        if let Some(mapped) = self.map(export.account, &subject) {
            subject.clone_from(&mapped);
            self.give_back(mapped);
        }
        let allowed = export.allow_trace;
        if !self.note_service(export.account, (to, &subject), allowed) {
            return false;
        }
        let tracking = self.tracking(account, &import, msg, from);
        let wants_answer = !msg.reply.is_empty() && msg.reply != BLANK_REPLY;
        if let Some(tracking) = tracking.as_deref().filter(|_| !wants_answer) {
            let since = self.now.mono;
            self.tell_latency(export, tracking, since, Outcome::NoReply, beyond);
        }
        let reply = self.reply_across(account, export, export.account, msg.reply, tracking);
        let mut headers = BytesMut::new();
        let info = self.request_info(account, &import, msg, from);
        headers::set_last(msg.headers, REQUEST_INFO, &info, &mut headers);
        let beyond_dest = self.dest_beyond(account, export, &mut headers);
        let request = Message {
            subject: shown(to, msg, &subject),
            reply: reply.as_deref().unwrap_or_default(),
            headers: &headers,
            payload: msg.payload,
        };
        self.sharing.chain.push(export.id);
        let mut enter =
            |router: &mut Self| router.enter(export.account, &subject, &request, from, beyond);
        let reached = match allowed {
            true => enter(self),
            false => self.unfollowed(enter),
        };
        self.sharing.chain.pop();
        self.leave(export.account, beyond_dest, reply.as_deref());
        if !reached
            && let Some(reply) = &reply
            && let Some(open) = self.sharing.responses.close(export.account, reply)
            && let Some(tracking) = &open.tracking
        {
            self.tell_latency(export, tracking, open.since, Outcome::NobodyThere, beyond);
        }
        reached
    }

    /// Writes into the headers of a followed message's copy who may follow that: whoever it goes to has a
    /// subject of their own that leads to where the report goes, or nobody may.
    fn dest_beyond(
        &mut self,
        account: AccountId,
        export: &Rc<ServiceExport>,
        headers: &mut BytesMut,
    ) -> Option<Vec<u8>> {
        let following = self.followed.current.as_ref()?;
        let before = core::mem::take(headers);
        if !export.allow_trace {
            headers::set_last(&before, DEST, DISABLED, headers);
            return None;
        }
        let dest = following.dest.clone();
        let dest = self.reply_across(account, export, export.account, &dest, None)?;
        headers::set_last(&before, DEST, &dest, headers);
        Some(dest)
    }

    /// Forgets the subjects that a followed request needs no longer.
    fn leave(&mut self, account: AccountId, dest: Option<Vec<u8>>, reply: Option<&[u8]>) {
        if let Some(dest) = dest {
            self.sharing.responses.close(account, &dest);
        }
        let following = self.followed.current.as_ref();
        if let Some(reply) = reply.filter(|_| following.is_some_and(|f| f.only)) {
            self.sharing.responses.close(account, reply);
        }
    }

    /// Says whether a request is to be measured.
    fn tracking(
        &mut self,
        account: AccountId,
        import: &ServiceImport,
        msg: &Message<'_>,
        from: Option<ConnId>,
    ) -> Option<Box<Tracking>> {
        let latency = import.export.latency.as_ref()?;
        let headers = latency::sampled(latency, msg.headers, &mut self.sharing.rng)?;
        Some(Box::new(Tracking {
            asker: from,
            account,
            share: import.share,
            headers,
        }))
    }

    /// Takes an answer back to the account that asked.
    fn respond(
        &mut self,
        account: AccountId,
        to: &[u8],
        msg: &Message<'_>,
        from: Option<ConnId>,
        beyond: &mut dyn Beyond,
    ) -> bool {
        let Some(open) = self.sharing.responses.find_mut(account, to) else {
            return false;
        };
        let (requester, export) = (open.requester, Rc::clone(&open.export));
        let (ours, since) = (open.reply.clone(), open.since);
        if let Some(tracking) = open.tracking.take() {
            let outcome = Outcome::Answered(from);
            self.tell_latency(&export, &tracking, since, outcome, beyond);
        }
        // An answer may want an answer itself, from whoever asked.
        let reply = self.reply_across(account, &export, requester, msg.reply, None);
        let goes = self.note_service(requester, (to, &ours), false);
        let mut unfollowed = BytesMut::new();
        if self.followed.current.is_some() {
            headers::set_last(msg.headers, DEST, DISABLED, &mut unfollowed);
        }
        let headers = match unfollowed.is_empty() {
            true => msg.headers,
            false => &unfollowed,
        };
        let answer = Message {
            subject: shown(to, msg, &ours),
            reply: reply.as_deref().unwrap_or_default(),
            headers,
            payload: msg.payload,
        };
        // Nothing is asked for through this one: only that streams do not hear it.
        const NO_EXPORT: u32 = 0;
        self.sharing.chain.push(NO_EXPORT);
        let enter = |router: &mut Self| router.enter(requester, &ours, &answer, None, beyond);
        let reached = goes && self.unfollowed(enter);
        self.sharing.chain.pop();
        // One is all, or an empty one says that it was the last.
        let last = export.response == ResponseType::Singleton || msg.body_len() == 0;
        if last || !reached {
            self.sharing.responses.close(account, to);
        } else {
            let now = self.now.mono;
            self.sharing.responses.prolong(account, to, now);
        }
        if !reached && let Some(reply) = &reply {
            self.sharing.responses.close(requester, reply);
        }
        reached
    }

    /// Returns where `answering` sends what is for `reply` in `asking`; none when no answer is wanted.
    fn reply_across(
        &mut self,
        asking: AccountId,
        export: &Rc<ServiceExport>,
        answering: AccountId,
        reply: &[u8],
        tracking: Option<Box<Tracking>>,
    ) -> Option<Vec<u8>> {
        if reply.is_empty() || reply == BLANK_REPLY {
            return None;
        }
        if reply.starts_with(ACKS) {
            return Some(reply.to_vec());
        }
        let now = self.now.mono;
        let sharing = &mut self.sharing;
        let request = Request {
            requester: asking,
            reply,
            export,
            tracking,
        };
        let made = sharing
            .responses
            .open(answering, request, now, &mut sharing.rng);
        if let Some(pattern) = made.pattern
            && let Some(account) = self.accounts.get_mut(answering)
        {
            let bound = account.subs.insert(&pattern, None, Target::Responses);
            debug_assert!(bound.is_ok(), "reply subjects are well formed");
        }
        Some(made.subject)
    }

    /// Returns the account whose JetStream an account reaches as `api`, if it also hears what comes on
    /// subjects below `deliver` from there.
    pub(crate) fn exporter_of_api(
        &mut self,
        account: AccountId,
        api: &str,
        deliver: &str,
    ) -> Option<AccountId> {
        /// Any subject in which consumers are made, and any in which they deliver.
        const MAKES: &str = ".CONSUMER.CREATE.stream.name";
        const DELIVERS: &str = ".subject";
        let makes = [api, MAKES].concat();
        let found = self
            .accounts
            .get_mut(account)?
            .subs
            .matches(makes.as_bytes());
        let import = found.plain().iter().find_map(|target| match target {
            Target::Service(at) => self.sharing.service(*at),
            Target::Sub(_)
            | Target::Stream(_)
            | Target::Memphis
            | Target::Shadow(_)
            | Target::Responses
            | Target::System => None,
        })?;
        let mut theirs = Vec::new();
        let rng = &mut self.sharing.rng;
        import
            .renaming
            .to_theirs(makes.as_bytes(), rng, &mut theirs);
        if theirs != ["$JS.API", MAKES].concat().as_bytes() {
            return None;
        }
        let exporter = import.export.account;
        let delivers = [deliver, DELIVERS].concat();
        let heard = self.sharing.streams(account)?.iter().any(|stream| {
            let ours = stream.renaming.ours();
            stream.exporter == exporter && subject::matches(ours, delivers.as_bytes())
        });
        heard.then_some(exporter)
    }

    /// Forgets requests that have waited for their answers long enough.
    pub(crate) fn expire_requests(&mut self, beyond: &mut dyn Beyond) {
        let now = self.now.mono;
        while let Some(open) = self.sharing.responses.take_expired(now) {
            if let Some(tracking) = &open.tracking {
                self.tell_latency(&open.export, tracking, open.since, Outcome::TooLate, beyond);
            }
        }
    }

    /// Tells of measured requests whose answers nobody waits for any more.
    pub(crate) fn tell_unheard(&mut self, beyond: &mut dyn Beyond) {
        for (account, reply) in self.sharing.responses.take_unheard() {
            let subs = self
                .accounts
                .get_mut(account)
                .map(|account| &mut account.subs);
            if subs.is_some_and(|subs| subs.has_interest(&reply)) {
                continue;
            }
            while let Some(open) = self.sharing.responses.take_measured(account, &reply) {
                if let Some(tracking) = &open.tracking {
                    self.tell_latency(&open.export, tracking, open.since, Outcome::Unheard, beyond);
                }
            }
        }
    }

    /// Returns what the answering account learns of who asks.
    fn request_info(
        &self,
        account: AccountId,
        import: &ServiceImport,
        msg: &Message<'_>,
        from: Option<ConnId>,
    ) -> Vec<u8> {
        let said = headers::Headers::new(msg.headers).get(REQUEST_INFO);
        let share = import.share;
        let system = Some(import.export.account) == self.accounts.system;
        match said {
            // It has come through another account: what that one was told goes on.
            Some(said) if !self.sharing.chain.is_empty() => {
                self.who_asked_before(said, account, share || system)
            }
            _ => self.who_asks(account, from, share, system),
        }
    }
}

/// Returns the subject that a message shows which goes on as `next`. What JetStream delivers keeps the
/// one that it was stored under.
fn shown<'a>(to: &[u8], msg: &Message<'a>, next: &'a [u8]) -> &'a [u8] {
    if to == msg.subject { next } else { msg.subject }
}
