//! Messages that are followed on their way, because a header of theirs asks for it: where they go, and what
//! keeps them from going there.
//!
//! *Invariant:* a message that nobody follows pays a look at its headers, if it has any, and one flag per
//! delivery. What is done on the way that is not the message's own (answers of JetStream, measurements,
//! events) is not taken for a part of it.

mod report;
mod served;
mod start;
mod stored;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use monitor::system::message_trace::{KIND_CLIENT, MessageTrace, Step};
use protocol::encoding::Encoding;
use protocol::id::AccountId;
use protocol::time::Wall;

use crate::router::{Router, SubRef};
use crate::sharing::ShadowRef;

pub(crate) use start::is_asked_for;
pub(crate) use stored::{Awaited, STORED};

/// Where the report of a message's way goes.
pub(crate) const DEST: &[u8] = b"Nats-Trace-Dest";
/// What stands there for those who must not follow it any further.
pub(crate) const DISABLED: &[u8] = b"trace disabled";

/// Why a subscriber does not get a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Undelivered {
    /// The client is going, or gone.
    Closing,
    /// It is the client's own, and it does not want those.
    NoEcho,
    /// The client has too much waiting, and its publishers do not wait.
    Lags,
    /// The subscription is gone.
    Unsubscribed,
    /// The subscription has had all it asked for.
    Spent,
    /// The client may not have it.
    Denied,
}

impl Undelivered {
    fn text(self) -> &'static str {
        match self {
            Self::Closing => "Not delivered because client is closed",
            Self::NoEcho => "Not delivered because of no echo",
            Self::Lags => "Not delivered because fast producer not stalled and consumer is slow",
            Self::Unsubscribed => "Not delivered because subscription is closed",
            Self::Spent => "Not delivered because auto-unsubscribe exceeded",
            Self::Denied => "Not delivered because subscription denies this subject",
        }
    }
}

/// A message and its way so far.
#[derive(Debug)]
pub(crate) struct Following {
    /// The account that it came from, which gets the report.
    account: AccountId,
    /// The subject of the report.
    pub(crate) dest: Vec<u8>,
    /// Whether the message only goes as far as it would be delivered.
    pub(crate) only: bool,
    encoding: Encoding,
    trace: MessageTrace,
    /// The stream whose answer the report waits for.
    awaited: Option<u64>,
}

/// All that is followed.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    /// The message that is being routed now, if it is followed.
    pub(crate) current: Option<Box<Following>>,
    pub(crate) awaited: Awaited,
    /// Those whose way has ended.
    finished: Vec<Following>,
}

impl Following {
    /// Notes that its publisher may not publish it.
    pub(crate) fn refused(&mut self, why: String) {
        if let Some(Step::Ingress { error, .. }) = self.trace.events.first_mut() {
            *error = why;
        }
    }

    /// Notes that its subject was mapped.
    pub(crate) fn mapped(&mut self, to: &[u8], ts: Wall) {
        let to = text(to);
        self.trace.events.push(Step::Mapping { ts, to });
    }

    /// Notes that it asks for a service.
    pub(crate) fn asks(&mut self, account: &str, from: &[u8], to: &[u8], ts: Wall) {
        self.trace.events.push(Step::ServiceImport {
            ts,
            acc: String::from(account),
            from: text(from),
            to: text(to),
        });
    }

    /// Notes that another account imports its stream.
    pub(crate) fn imported(&mut self, account: &str, to: &[u8], ts: Wall) {
        self.trace.events.push(Step::StreamExport {
            ts,
            acc: String::from(account),
            to: text(to),
        });
    }

    /// Returns the account that it came from.
    pub(crate) fn account(&self) -> AccountId {
        self.account
    }
}

impl Router {
    /// Notes what became of the followed message at a subscription.
    #[cold]
    pub(crate) fn note_delivery(&mut self, at: SubRef, outcome: Result<(), Undelivered>) {
        let Some(following) = &mut self.followed.current else {
            return;
        };
        let Some(conn) = self.conns.at_mut(at.conn) else {
            return;
        };
        let subscription = conn.subs.get_mut(at.slot);
        let (sub, queue) = subscription.map_or_else(Default::default, |sub| {
            let queue = sub.queue.as_deref().unwrap_or_default();
            (text(&sub.subject), text(queue))
        });
        let acc = match conn.account == following.account {
            true => String::new(),
            false => String::from(self.accounts.name(conn.account)),
        };
        let error = outcome.err().map_or("", Undelivered::text);
        following.trace.events.push(Step::Egress {
            ts: self.now.wall,
            kind: KIND_CLIENT,
            cid: conn.cid,
            name: conn.wishes.name.clone(),
            acc,
            sub,
            queue,
            error: String::from(error),
        });
    }

    /// Notes that the followed message asks `account` for a service, and says whether it may go there.
    pub(crate) fn note_service(
        &mut self,
        account: AccountId,
        subjects: (&[u8], &[u8]),
        allowed: bool,
    ) -> bool {
        let Some(following) = &mut self.followed.current else {
            return true;
        };
        let (from, to) = subjects;
        following.asks(self.accounts.name(account), from, to, self.now.wall);
        allowed || !following.only
    }

    /// Notes that the followed message goes on as `to` in an account that imports the stream, and says
    /// whether it may.
    pub(crate) fn note_import(&mut self, account: AccountId, to: &[u8], allowed: bool) -> bool {
        let Some(following) = &mut self.followed.current else {
            return true;
        };
        following.imported(self.accounts.name(account), to, self.now.wall);
        allowed || !following.only
    }

    /// Notes what the subscription that was met last subscribes in the account that exports the stream.
    pub(crate) fn note_import_subscription(&mut self, at: ShadowRef) {
        let following = self.followed.current.as_mut();
        let step = following.and_then(|following| following.trace.events.last_mut());
        if let (Some(Step::Egress { sub, .. }), Some(shadow)) = (step, self.sharing.shadows.get(at))
        {
            *sub = text(&shadow.subject);
        }
    }

    /// Does something that is not part of the followed message's way, or that it is not followed through.
    pub(crate) fn unfollowed<R>(&mut self, run: impl FnOnce(&mut Self) -> R) -> R {
        let current = self.followed.current.take();
        let result = run(self);
        self.followed.current = current;
        result
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
