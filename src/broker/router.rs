//! Who gets a message, and putting it into their outboxes.
//!
//! *Invariant:* while a message is being routed no subscription is removed; those that have had all
//! they asked for, and clients that turned out too slow, are noted and settled afterwards.

mod forward;
mod table;
mod target;

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use config::Options;
use protocol::encode;
use protocol::errors::{CloseReason, ProtocolError};
use protocol::id::{AccountId, ConnId, StreamId};
use protocol::message::Message;
use protocol::rng::Rng;
use protocol::time::Now;
use routing::mapping::Mapped;

use crate::accounts::Accounts;
use crate::callout::Callouts;
use crate::conn::Conn;
use crate::conn::table::ConnTable;
use crate::effects::Effects;
use crate::following::{Followed, Undelivered};
use crate::limits::{EASE_OFF, EASE_OFF_BYTES, STALL, STALL_DEN, STALL_NUM};
use crate::sharing::{ShadowRef, Sharing};
use crate::stations::Mail;
use crate::stats::Stats;
use crate::system::Desk;
use crate::trace::Tracing;

pub(crate) use forward::{Forward, Onward};
pub(crate) use target::{SubRef, Target};

/// What became of a message.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Routed {
    /// Whether a client got it.
    pub(crate) reached: bool,
    /// The stream that stores its subject.
    pub(crate) stream: Option<StreamId>,
    /// Whether it is for the Memphis layer.
    pub(crate) memphis: bool,
    /// Whether it goes on into other accounts, where [`Router::cross`] takes it.
    pub(crate) beyond: bool,
    /// Whether it is on its way to subscriptions of other accounts.
    is_imported: bool,
    /// How long the publisher should pause for a client that lags behind.
    pub(crate) pause: Option<Duration>,
}

/// The bounds that routing watches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) pending_max: usize,
    pub(crate) write_deadline: Duration,
    /// Whether messages for a lagging client are dropped instead of slowing down the publisher.
    pub(crate) no_stall: bool,
}

impl Bounds {
    pub(crate) fn new(config: &Options) -> Self {
        Self {
            pending_max: usize::try_from(config.limits.pending_max).unwrap_or(usize::MAX),
            write_deadline: config.write_deadline,
            no_stall: config.no_fast_producer_stall,
        }
    }
}

/// Connections and accounts, and what routing needs beside them.
#[derive(Debug)]
pub(crate) struct Router {
    pub(crate) now: Now,
    pub(crate) conns: ConnTable,
    pub(crate) accounts: Accounts,
    pub(crate) fx: Effects,
    pub(crate) stats: Stats,
    pub(crate) bounds: Bounds,
    pub(crate) tracing: Tracing,
    rng: Rng,
    /// Where mapped subjects are written.
    mapped: Vec<u8>,
    /// Where the importers' names of subjects are written.
    renamed: Vec<u8>,
    /// Messages that JetStream sent to subjects of its own streams.
    pub(crate) forwards: VecDeque<Forward>,
    /// What waits for the Memphis layer.
    pub(crate) mail: Mail,
    /// Users that were changed through the management interface; none of an account whose users are
    /// only to be read again.
    pub(crate) users_changed: BTreeMap<AccountId, BTreeSet<String>>,
    /// The accounts that the Memphis layer serves.
    pub(crate) tenants: BTreeSet<AccountId>,
    /// Requests in the system account.
    pub(crate) desk: Desk,
    /// What accounts share.
    pub(crate) sharing: Sharing,
    pub(crate) server_name: String,
    /// Questions about logins.
    pub(crate) callouts: Callouts,
    /// Messages that somebody follows.
    pub(crate) followed: Followed,
    /// Subjects that clients began or ceased to subscribe, for consumers that deliver to them.
    pub(crate) interest_changes: VecDeque<(AccountId, Box<[u8]>)>,
    /// Whether there is anybody who wants to know.
    pub(crate) watch_interest: bool,
    /// How long consumers wait with more for whoever they have delivered to last.
    pub(crate) lag: Option<Duration>,
    /// Subscriptions that have had their last message.
    spent: Vec<SubRef>,
    /// Clients over `max_pending`.
    slow: Vec<ConnId>,
}

/// The stream of randomness that queue groups draw from.
const RNG_QUEUES: u64 = 1;

impl Router {
    pub(crate) fn new(accounts: Accounts, bounds: Bounds, server_name: &str, seed: u64) -> Self {
        Self {
            desk: Desk::default(),
            sharing: Sharing::new(seed),
            server_name: String::from(server_name),
            callouts: Callouts::default(),
            followed: Followed::default(),
            now: Now::default(),
            conns: ConnTable::default(),
            accounts,
            fx: Effects::default(),
            stats: Stats::default(),
            bounds,
            tracing: Tracing::default(),
            rng: Rng::new(seed, RNG_QUEUES),
            mapped: Vec::new(),
            renamed: Vec::new(),
            forwards: VecDeque::new(),
            mail: Mail::default(),
            tenants: BTreeSet::new(),
            users_changed: BTreeMap::new(),
            interest_changes: VecDeque::new(),
            watch_interest: false,
            lag: None,
            spent: Vec::new(),
            slow: Vec::new(),
        }
    }

    /// Returns the subject that `subject` is mapped to, if it is; an empty one for nobody. The buffer
    /// comes back through [`Router::give_back`], so that mapping allocates nothing per message.
    #[inline]
    pub(crate) fn map(&mut self, account: AccountId, subject: &[u8]) -> Option<Vec<u8>> {
        let mappings = &self.accounts.get(account)?.mappings;
        if mappings.is_empty() {
            return None;
        }
        self.mapped.clear();
        match mappings.apply(subject, &mut self.rng, &mut self.mapped) {
            Mapped::Unchanged => None,
            Mapped::Changed | Mapped::Dropped => Some(core::mem::take(&mut self.mapped)),
        }
    }

    pub(crate) fn give_back(&mut self, mapped: Vec<u8>) {
        self.mapped = mapped;
    }

    /// Delivers `msg` to whoever subscribed `to` in the account: to each plain subscription, and to
    /// one member of each queue group. `from` is the client that published it.
    pub(crate) fn route(
        &mut self,
        account: AccountId,
        to: &[u8],
        msg: &Message<'_>,
        from: Option<ConnId>,
    ) -> Routed {
        let mut routed = Routed::default();
        let Some(entry) = self.accounts.get_mut(account) else {
            return routed;
        };
        let found = entry.subs.matches(to);
        for target in found.plain() {
            match *target {
                Target::Sub(sub) => routed.reached |= self.deliver(sub, msg, from, &mut routed),
                Target::Stream(id) => routed.stream = Some(id),
                Target::Memphis => routed.memphis = true,
                Target::Shadow(at) => {
                    routed.is_imported = true;
                    routed.reached |= self.deliver_shadow((at, to), msg, from, &mut routed);
                    routed.is_imported = false;
                }
                Target::Service(_) | Target::Responses | Target::System => routed.beyond = true,
            }
        }
        for group in found.groups() {
            for target in group.candidates(&mut self.rng) {
                let delivered = match target {
                    Target::Sub(sub) => self.deliver(sub, msg, from, &mut routed),
                    Target::Shadow(at) => {
                        routed.is_imported = true;
                        let delivered = self.deliver_shadow((at, to), msg, from, &mut routed);
                        routed.is_imported = false;
                        delivered
                    }
                    Target::Stream(_)
                    | Target::Memphis
                    | Target::Service(_)
                    | Target::Responses
                    | Target::System => false,
                };
                if delivered {
                    routed.reached = true;
                    break;
                }
            }
        }
        routed
    }

    /// Delivers what another account's subscription covers of an imported stream, under the subject
    /// that it has there.
    fn deliver_shadow(
        &mut self,
        at: (ShadowRef, &[u8]),
        msg: &Message<'_>,
        from: Option<ConnId>,
        routed: &mut Routed,
    ) -> bool {
        let (at, to) = at;
        let Some(shadow) = self.sharing.shadows.get(at) else {
            return false;
        };
        if !self.sharing.chain.is_empty() {
            return false;
        }
        let Target::Sub(sub) = shadow.target else {
            routed.beyond = true;
            return false;
        };
        if to != msg.subject {
            // What a consumer delivers keeps the subject that it was stored under.
            return self.deliver(sub, msg, from, routed);
        }
        let mut subject = core::mem::take(&mut self.renamed);
        subject.clear();
        let renaming = &shadow.import.renaming;
        renaming.to_ours(msg.subject, &mut self.rng, &mut subject);
        let renamed = Message {
            subject: &subject,
            ..*msg
        };
        let (account, allowed) = (shadow.account, shadow.import.allow_trace);
        let delivered = if !self.note_import(account, &subject, allowed) {
            true
        } else if allowed {
            let delivered = self.deliver(sub, &renamed, from, routed);
            self.note_import_subscription(at);
            delivered
        } else {
            self.unfollowed(|router| router.deliver(sub, &renamed, from, routed))
        };
        self.renamed = subject;
        delivered
    }

    /// Appends `msg` to the outbox of a subscription's client; false if it may not have it.
    #[inline]
    fn deliver(
        &mut self,
        at: SubRef,
        msg: &Message<'_>,
        from: Option<ConnId>,
        routed: &mut Routed,
    ) -> bool {
        if let Some(following) = &self.followed.current {
            let outcome = match following.only {
                true => self.hand_over::<false>(at, msg, from, routed),
                false => self.hand_over::<true>(at, msg, from, routed),
            };
            self.note_delivery(at, outcome);
            return outcome.is_ok();
        }
        self.hand_over::<true>(at, msg, from, routed).is_ok()
    }

    /// The same, and why it may not; without `FOR_GOOD` it only finds out.
    #[inline]
    fn hand_over<const FOR_GOOD: bool>(
        &mut self,
        at: SubRef,
        msg: &Message<'_>,
        from: Option<ConnId>,
        routed: &mut Routed,
    ) -> Result<(), Undelivered> {
        let Some(conn) = self.conns.at_mut(at.conn) else {
            return Err(Undelivered::Closing);
        };
        if conn.is_closing() {
            return Err(Undelivered::Closing);
        }
        if !conn.wishes.echo && from == Some(conn.id) {
            return Err(Undelivered::NoEcho);
        }
        let lag_max = self.bounds.pending_max / STALL_DEN * STALL_NUM;
        if conn.outbox.pending() > lag_max {
            if self.bounds.no_stall {
                return Err(Undelivered::Lags);
            }
            routed.pause = Some(STALL);
        } else if conn.outbox.pending() > EASE_OFF_BYTES {
            routed.pause = routed.pause.max(Some(EASE_OFF));
        }
        let Some(sub) = conn.subs.get_mut(at.slot) else {
            return Err(Undelivered::Unsubscribed);
        };
        if sub.is_spent() {
            return Err(Undelivered::Spent);
        }
        if let Some(permit) = &mut conn.permit {
            if !permit.may_deliver(msg.subject, sub.queue.as_deref()) {
                return Err(Undelivered::Denied);
            }
            if FOR_GOOD {
                permit.on_delivered(msg.reply, self.now.mono);
            }
        }
        if !FOR_GOOD {
            return Ok(());
        }
        // What comes by an import does not count for auto-unsubscribe, as in nats-server.
        if !routed.is_imported {
            sub.delivered += 1;
            if sub.is_spent() {
                self.spent.push(at);
            }
        }
        let bytes = if conn.wishes.headers {
            encode::message(conn.outbox.buf(), &sub.sid, msg);
            msg.body_len()
        } else {
            encode::message_without_headers(conn.outbox.buf(), &sub.sid, msg);
            msg.payload.len()
        };
        conn.sent.add(bytes);
        self.stats.sent.add(bytes);
        if conn.outbox.pending() > self.bounds.pending_max {
            self.slow.push(conn.id);
        }
        if !conn.outbox.dirty {
            conn.outbox.dirty = true;
            self.fx.dirty.push(conn.id);
        }
        if self.tracing.on {
            let sid = sub.sid.clone();
            self.trace_message(at.conn, &sid, msg);
        }
        Ok(())
    }

    /// Says whether something waits for the end of the batch.
    pub(crate) fn has_leftovers(&self) -> bool {
        !self.forwards.is_empty() || !self.interest_changes.is_empty() || !self.mail.is_empty()
    }

    /// Tells a client that nobody is there to answer, on the plain subscription that it awaits the
    /// answer on. Without one it is told nothing.
    pub(crate) fn tell_no_responders(&mut self, account: AccountId, to: ConnId, msg: &Message<'_>) {
        let Some(entry) = self.accounts.get_mut(account) else {
            return;
        };
        let found = entry.subs.matches(msg.reply);
        let inbox = found.plain().iter().find_map(|target| match target {
            Target::Sub(sub) if sub.conn == to.index => Some(*sub),
            Target::Sub(_)
            | Target::Stream(_)
            | Target::Memphis
            | Target::Shadow(_)
            | Target::Service(_)
            | Target::Responses
            | Target::System => None,
        });
        let Some(inbox) = inbox else { return };
        let mut headers = Vec::with_capacity(64 + msg.subject.len());
        headers.extend_from_slice(b"NATS/1.0 503\r\nNats-Subject: ");
        headers.extend_from_slice(msg.subject);
        headers.extend_from_slice(b"\r\n\r\n");
        let answer = Message {
            subject: msg.reply,
            reply: b"",
            headers: &headers,
            payload: b"",
        };
        // Not as the client's own message: it wants this one even without echo.
        let told = self.hand_over::<true>(inbox, &answer, None, &mut Routed::default());
        debug_assert!(told != Err(Undelivered::NoEcho), "nobody has sent it");
    }

    /// Takes a client that turned out too slow.
    #[inline]
    pub(crate) fn take_slow(&mut self) -> Option<ConnId> {
        self.slow.pop()
    }

    /// Takes a subscription that has had its last message.
    #[inline]
    pub(crate) fn take_spent(&mut self) -> Option<SubRef> {
        self.spent.pop()
    }

    /// Appends to a client's outbox.
    pub(crate) fn send(&mut self, to: ConnId, write: impl FnOnce(&mut Conn)) {
        let Some(conn) = self.conns.get_mut(to) else {
            return;
        };
        write(conn);
        if !conn.outbox.dirty {
            conn.outbox.dirty = true;
            self.fx.dirty.push(to);
        }
    }

    /// Tells a client of an error that leaves it connected.
    pub(crate) fn tell(&mut self, to: ConnId, error: &ProtocolError<'_>) {
        self.send(to, |conn| encode::error(conn.outbox.buf(), error));
        self.trace_error(to, error);
    }

    /// Says whether a connection that ends for this reason is not worth writing the rest to.
    pub(crate) fn is_abrupt(reason: CloseReason) -> bool {
        matches!(
            reason,
            CloseReason::SlowConsumerPendingBytes
                | CloseReason::SlowConsumerWriteDeadline
                | CloseReason::WriteError
                | CloseReason::ReadError
                | CloseReason::ClientClosed
        )
    }
}
