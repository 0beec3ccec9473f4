//! An account's subscriptions, by subject: a trie for the truth and a cache for the subjects that
//! messages keep coming on.
//!
//! *Invariant:* what [`Sublist::matches`] returns is what a walk of the trie would find now; each
//! insert and remove drops the cached results that it changes, and no others.

mod cache;
mod few;
mod matches;
mod queues;
mod token;
mod trie;

use alloc::rc::Rc;

pub use matches::{Group, Matches};
pub use queues::QueueId;
pub use trie::{Frontier, Guess, Trie};

use cache::Cache;
use core::hash::BuildHasher;
use foldhash::fast::FixedState;
use protocol::subject;
use queues::QueueNames;

/// The subject cannot be subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the subject is not valid")]
pub struct InvalidSubject;

/// What `/subsz` shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Subscriptions held.
    pub subscriptions: u64,
    /// Subjects in the cache.
    pub cached: u64,
    /// Subscriptions added so far.
    pub inserts: u64,
    /// Subscriptions removed so far.
    pub removes: u64,
    /// Subjects matched so far.
    pub matches: u64,
    /// How many of them were in the cache.
    pub cache_hits: u64,
    /// The most subscribers of a cached subject.
    pub fanout_max: u64,
    /// The subscribers of all cached subjects together.
    pub fanout_total: u64,
}

/// Subscriptions by subject. `T` is what a subscription stands for; it need not be unique.
#[derive(Debug)]
pub struct Sublist<T> {
    trie: Trie<T>,
    queues: QueueNames,
    cache: Cache<T>,
    hasher: FixedState,
    /// Reused for results that are not cached, as long as nobody holds it.
    scratch: Rc<Matches<T>>,
    frontier: Frontier,
    stats: Stats,
}

impl<T: Copy + Eq> Sublist<T> {
    /// Returns an empty list. The seed keeps clients from choosing subjects that collide.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            trie: Trie::new(seed),
            queues: QueueNames::new(seed),
            cache: Cache::default(),
            hasher: FixedState::with_seed(seed),
            scratch: Rc::default(),
            frontier: Frontier::default(),
            stats: Stats::default(),
        }
    }

    /// Adds a subscription.
    ///
    /// # Errors
    /// When nothing can match the subject: a token is empty, or `>` is not the last one.
    pub fn insert(
        &mut self,
        subject: &[u8],
        queue: Option<&[u8]>,
        value: T,
    ) -> Result<(), InvalidSubject> {
        if !subject::is_well_formed(subject) {
            return Err(InvalidSubject);
        }
        let queue = queue.map(|name| self.queues.acquire(name));
        self.trie.insert(subject, queue, value);
        self.invalidate(subject);
        self.stats.inserts += 1;
        self.stats.subscriptions += 1;
        Ok(())
    }

    /// Removes one subscription that was added with exactly these arguments; reports whether there
    /// was one.
    pub fn remove(&mut self, subject: &[u8], queue: Option<&[u8]>, value: T) -> bool {
        let queue = match queue.map(|name| self.queues.find(name)) {
            None => None,
            Some(Some(id)) => Some(id),
            Some(None) => return false,
        };
        if !self.trie.remove(subject, queue, value) {
            return false;
        }
        if let Some(id) = queue {
            self.queues.release(id);
        }
        self.invalidate(subject);
        self.stats.removes += 1;
        self.stats.subscriptions -= 1;
        true
    }

    /// Returns the subscriptions that match the published `subject`. Costs no allocation when the
    /// subject is cached, nor when the result returned before has been dropped.
    #[inline]
    pub fn matches(&mut self, subject: &[u8]) -> Rc<Matches<T>> {
        self.stats.matches += 1;
        let hash = self.hasher.hash_one(subject);
        if let Some(found) = self.cache.find(hash, subject) {
            self.stats.cache_hits += 1;
            return Rc::clone(found);
        }
        self.matches_uncached(hash, subject)
    }

    /// Returns where the published `subject` leads most likely, and looks at nothing for it.
    #[must_use]
    pub fn guess(&self, subject: &[u8]) -> Guess {
        self.trie.guess(subject)
    }

    /// Looks at where a subject leads; returns the place behind that, which [`Self::guessed`] asks.
    #[must_use]
    pub fn look(&self, guess: Guess) -> Option<Guess> {
        self.trie.look(guess)
    }

    /// Returns one of the subscriptions there.
    #[must_use]
    pub fn guessed(&self, guess: Guess) -> Option<T> {
        self.trie.guessed(guess)
    }

    /// Reports whether anything matches the published `subject`.
    pub fn has_interest(&mut self, subject: &[u8]) -> bool {
        !self.matches(subject).is_empty()
    }

    /// Reports whether there is a subscription to just this subject; with `queue`, in that group.
    #[must_use]
    pub fn has_exact(&self, subject: &[u8], queue: Option<&[u8]>) -> bool {
        let Some(values) = self.trie.under(subject) else {
            return false;
        };
        let Some(queue) = queue else {
            return !values.plain().is_empty();
        };
        let queue = self.queues.find(queue);
        values.queued().iter().any(|(id, _)| Some(*id) == queue)
    }

    /// Reports whether something that `wanted` accepts matches the published `subject`.
    pub fn has_interest_of(&mut self, subject: &[u8], wanted: impl FnMut(T) -> bool) -> bool {
        self.matches(subject).iter().any(wanted)
    }

    /// Shows every subscription whose subject has a literal in common with `pattern`, which may have
    /// wildcards itself.
    pub fn overlapping(&self, pattern: &[u8], mut visit: impl FnMut(T)) {
        self.trie.overlapping(pattern, |values| {
            values.all().for_each(&mut visit);
        });
    }

    /// Returns the name of a queue group that a result of [`Self::matches`] names. Groups without
    /// members have none.
    #[must_use]
    pub fn queue_name(&self, queue: QueueId) -> Option<&[u8]> {
        self.queues.name(queue)
    }

    /// Returns the number of subscriptions.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.stats.subscriptions
    }

    /// Reports whether there is no subscription.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.stats.subscriptions == 0
    }

    /// Returns the counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let (fanout_max, fanout_total) = self.cache.fanout();
        Stats {
            cached: self.cache.len(),
            fanout_max,
            fanout_total,
            ..self.stats
        }
    }

    fn matches_uncached(&mut self, hash: u64, subject: &[u8]) -> Rc<Matches<T>> {
        if Rc::get_mut(&mut self.scratch).is_none() {
            // The caller still works with the result before: a publish inside a publish. Bounded by
            // how deep those nest.
            self.scratch = Rc::default();
        }
        let Some(result) = Rc::get_mut(&mut self.scratch) else {
            return Rc::default();
        };
        result.clear();
        self.trie.matching(subject, &mut self.frontier, |values| {
            result.add(values);
        });
        result.group();
        if self.cache.seen_before(hash) {
            let result = Rc::new(result.clone());
            self.cache.insert(hash, subject, Rc::clone(&result));
            return result;
        }
        Rc::clone(&self.scratch)
    }

    fn invalidate(&mut self, subject: &[u8]) {
        if subject::has_wildcard(subject) {
            self.cache.forget_matching(subject);
        } else {
            self.cache.forget(self.hasher.hash_one(subject), subject);
        }
    }
}

#[cfg(test)]
mod tests;
