//! Requests that other accounts wait for answers to: each has a reply subject of its own in the account
//! that answers.
//!
//! *Invariant:* a reply subject leads to one request until it has been answered, or its time is over;
//! how many there are at a time is bounded.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::collections::btree_map::Entry;
use alloc::rc::Rc;
use alloc::vec::Vec;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use protocol::id::AccountId;
use protocol::rng::Rng;
use protocol::subject;
use protocol::time::Instant;

use super::ServiceExport;
use crate::crossing::Tracking;
use crate::limits::RESPONSES_MAX;

/// What each reply subject begins with.
const PREFIX: &[u8] = b"_R_.";
/// How many digits tell accounts apart, and requests.
const DIGITS: usize = 6;
/// How long `_R_.<account>` is.
const HEAD: usize = PREFIX.len() + DIGITS;

/// The part of a reply subject that is the request's.
type Key = [u8; DIGITS];

/// Where answers go: the account that asked, and its subject.
type Place = (AccountId, Box<[u8]>);

/// What the reply subjects of measured requests end with. nats-server names the server that measures.
const TRACKED: &[u8] = b".00000000.T";

/// A request to another account.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    /// Who asks.
    pub(crate) requester: AccountId,
    /// Where the answer goes there.
    pub(crate) reply: &'a [u8],
    /// What is asked for.
    pub(crate) export: &'a Rc<ServiceExport>,
    /// How it is measured, if it is.
    pub(crate) tracking: Option<Box<Tracking>>,
}

/// A request that waits for its answer.
#[derive(Debug)]
pub(crate) struct Open {
    /// Who asked.
    pub(crate) requester: AccountId,
    /// Where the answer goes there.
    pub(crate) reply: Box<[u8]>,
    /// What was asked for.
    pub(crate) export: Rc<ServiceExport>,
    /// When it was sent, or last answered.
    pub(crate) since: Instant,
    /// How it is measured, if it is.
    pub(crate) tracking: Option<Box<Tracking>>,
    /// Its place among those that wait.
    due: (Instant, u64),
}

/// The requests to one account's services.
#[derive(Debug)]
struct Exporter {
    head: [u8; HEAD],
    open: HashMap<Key, Open, FixedState>,
}

/// The requests to all services.
#[derive(Debug)]
pub(crate) struct Responses {
    exporters: BTreeMap<AccountId, Exporter>,
    due: BTreeMap<(Instant, u64), (AccountId, Key)>,
    /// Measured requests by where their answers go; of others nobody is told.
    measured: BTreeMap<Place, Vec<(AccountId, Key)>>,
    /// Subjects of subscriptions that have ended while there were such requests.
    unheard: Vec<Place>,
    serial: u64,
    seed: u64,
}

/// Where a new request's answers go.
#[derive(Debug)]
pub(crate) struct Reply {
    /// The subject.
    pub(crate) subject: Vec<u8>,
    /// What the answering account must subscribe to now; none when it has.
    pub(crate) pattern: Option<Vec<u8>>,
}

impl Responses {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            exporters: BTreeMap::new(),
            due: BTreeMap::new(),
            measured: BTreeMap::new(),
            unheard: Vec::new(),
            serial: 0,
            seed,
        }
    }

    /// Remembers a request to `answering`, and says where its answers go.
    pub(crate) fn open(
        &mut self,
        answering: AccountId,
        request: Request<'_>,
        now: Instant,
        rng: &mut Rng,
    ) -> Reply {
        let Request {
            requester,
            reply,
            export,
            tracking,
        } = request;
        // Whoever answers sees by this that it is measured.
        let suffix: &[u8] = if tracking.is_some() { TRACKED } else { b"" };
        if self.due.len() >= RESPONSES_MAX
            && let Some((_, (account, key))) = self.due.pop_first()
            && let Some(exporter) = self.exporters.get_mut(&account)
            && let Some(open) = exporter.open.remove(&key)
        {
            self.forget(account, key, &open);
        }
        let seed = self.seed;
        let mut pattern = None;
        let exporter = self.exporters.entry(answering).or_insert_with(|| {
            let mut head = [0; HEAD];
            let (prefix, digits) = head.split_at_mut(PREFIX.len());
            prefix.copy_from_slice(PREFIX);
            rng.fill_base62(digits);
            pattern = Some([head.as_slice(), b".>"].concat());
            let open = HashMap::with_hasher(FixedState::with_seed(seed));
            Exporter { head, open }
        });
        let mut key = Key::default();
        loop {
            rng.fill_base62(&mut key);
            if !exporter.open.contains_key(&key) {
                break;
            }
        }
        self.serial += 1;
        let due = (now + export.threshold, self.serial);
        if tracking.is_some() {
            let place = (requester, Box::from(reply));
            self.measured
                .entry(place)
                .or_default()
                .push((answering, key));
        }
        // One allocation for the reply subject, one for its copy here: what crosses accounts costs that.
        let open = Open {
            requester,
            reply: Box::from(reply),
            export: Rc::clone(export),
            since: now,
            tracking,
            due,
        };
        exporter.open.insert(key, open);
        self.due.insert(due, (answering, key));
        Reply {
            subject: [exporter.head.as_slice(), b".", &key, suffix].concat(),
            pattern,
        }
    }

    /// Returns the request that an answer on `subject` in `account` is for.
    pub(crate) fn find_mut(&mut self, account: AccountId, subject: &[u8]) -> Option<&mut Open> {
        let exporter = self.exporters.get_mut(&account)?;
        exporter.open.get_mut(&key(subject)?)
    }

    /// Forgets a request.
    pub(crate) fn close(&mut self, account: AccountId, subject: &[u8]) -> Option<Open> {
        self.take(account, key(subject)?)
    }

    fn take(&mut self, account: AccountId, key: Key) -> Option<Open> {
        let open = self.exporters.get_mut(&account)?.open.remove(&key)?;
        self.due.remove(&open.due);
        self.forget(account, key, &open);
        Some(open)
    }

    /// Takes a request that is no more out of those that are measured.
    fn forget(&mut self, account: AccountId, key: Key, open: &Open) {
        if open.tracking.is_none() {
            return;
        }
        let place = (open.requester, open.reply.clone());
        if let Entry::Occupied(mut entry) = self.measured.entry(place) {
            entry.get_mut().retain(|known| *known != (account, key));
            if entry.get().is_empty() {
                entry.remove();
            }
        }
    }

    /// Notes that a subscription has ended, by which answers may have been awaited.
    pub(crate) fn note_unheard(&mut self, account: AccountId, subject: &[u8]) {
        if !self.measured.is_empty() {
            self.unheard.push((account, Box::from(subject)));
        }
    }

    /// Takes the reply subjects of measured requests on which perhaps nobody waits any more.
    pub(crate) fn take_unheard(&mut self) -> Vec<Place> {
        let mut replies = Vec::new();
        for (account, ended) in core::mem::take(&mut self.unheard) {
            let theirs = self.measured.keys().filter(|(asked, _)| *asked == account);
            let heard = |reply: &[u8]| subject::matches(&ended, reply);
            replies.extend(theirs.filter(|(_, reply)| heard(reply)).cloned());
        }
        replies
    }

    /// Says whether a subscription has ended by which answers may have been awaited.
    pub(crate) fn has_unheard(&self) -> bool {
        !self.unheard.is_empty()
    }

    /// Takes a measured request whose answer goes to `reply`.
    pub(crate) fn take_measured(&mut self, requester: AccountId, reply: &[u8]) -> Option<Open> {
        let place = (requester, Box::from(reply));
        let (account, key) = *self.measured.get(&place)?.first()?;
        self.take(account, key)
    }

    /// Gives a request that gets many answers more time.
    pub(crate) fn prolong(&mut self, account: AccountId, subject: &[u8], now: Instant) {
        let (Some(exporter), Some(key)) = (self.exporters.get_mut(&account), key(subject)) else {
            return;
        };
        if let Some(open) = exporter.open.get_mut(&key) {
            self.due.remove(&open.due);
            open.since = now;
            open.due.0 = now + open.export.threshold;
            self.due.insert(open.due, (account, key));
        }
    }

    /// Returns when the next request has waited long enough.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }

    /// Takes a request that has waited long enough.
    pub(crate) fn take_expired(&mut self, now: Instant) -> Option<Open> {
        let entry = self
            .due
            .first_key_value()
            .filter(|((at, _), _)| *at <= now)?;
        let (account, key) = *entry.1;
        self.take(account, key)
    }
}

/// Returns the request's part of a reply subject.
fn key(subject: &[u8]) -> Option<Key> {
    let rest = subject.get(HEAD..)?.strip_prefix(b".")?;
    let key = rest.get(..DIGITS)?;
    let ends = matches!(rest.get(DIGITS), None | Some(b'.'));
    Key::try_from(key).ok().filter(|_| ends)
}
