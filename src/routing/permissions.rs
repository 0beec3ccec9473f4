//! What a client may publish and subscribe to.
//!
//! [`Permissions`] are a user's rules, shared by its connections; a [`Permit`] is one connection's
//! view, with the decisions it remembers and the replies it may send.
//!
//! *Invariant:* a deny entry always wins. A subscription wider than a deny entry is allowed, and then
//! each message is checked before it is delivered.

mod decisions;
mod replies;
mod rules;

use alloc::rc::Rc;
use alloc::vec::Vec;
use core::time::Duration;

use protocol::subject;
use protocol::time::Instant;

use crate::sublist::{Frontier, InvalidSubject};
use decisions::Decisions;
use replies::Replies;
use rules::Rules;

/// A user's permissions as configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PermissionSpec {
    /// Where it may publish.
    pub publish: SubjectSpec,
    /// What it may subscribe to. An entry may be `subject queue`, both with wildcards: it is then
    /// about subscriptions in that queue group.
    pub subscribe: SubjectSpec,
    /// Whether it may answer messages on their reply subjects.
    pub responses: Option<ResponseSpec>,
}

/// Lists of subjects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectSpec {
    /// What is allowed; everything if there is no list, nothing if the list is empty.
    pub allow: Option<Vec<Vec<u8>>>,
    /// What is denied.
    pub deny: Vec<Vec<u8>>,
}

/// How a user may answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseSpec {
    /// How many messages it may send to one reply subject; `None` is unlimited.
    pub answers_max: Option<u32>,
    /// For how long; `None` is unlimited.
    pub expires: Option<Duration>,
}

impl Default for ResponseSpec {
    fn default() -> Self {
        Self {
            answers_max: Some(1),
            expires: Some(Duration::from_secs(120)),
        }
    }
}

/// A user's permissions, ready to be asked.
#[derive(Debug)]
pub struct Permissions {
    publish: Rules,
    subscribe: Rules,
    responses: Option<ResponseSpec>,
}

impl Permissions {
    /// Prepares the rules.
    ///
    /// # Errors
    /// When an entry is no subject that could be subscribed to.
    pub fn new(spec: &PermissionSpec, seed: u64) -> Result<Self, InvalidSubject> {
        let mut publish = spec.publish.clone();
        if spec.responses.is_some() && publish.allow.is_none() {
            // Who may only answer may not publish anywhere else.
            publish.allow = Some(Vec::new());
        }
        Ok(Self {
            publish: Rules::new(&publish, seed)?,
            subscribe: Rules::new(&spec.subscribe, seed)?,
            responses: spec.responses,
        })
    }
}

/// One connection's permissions.
#[derive(Debug)]
pub struct Permit {
    permissions: Rc<Permissions>,
    publish: Decisions,
    deliver: Decisions,
    /// Whether some subscription is wider than a deny entry.
    filtering: bool,
    replies: Replies,
    frontier: Frontier,
}

impl Permit {
    /// Returns the view of a new connection.
    #[must_use]
    pub fn new(permissions: Rc<Permissions>, seed: u64) -> Self {
        Self {
            permissions,
            publish: Decisions::new(seed),
            deliver: Decisions::new(seed),
            filtering: false,
            replies: Replies::new(seed),
            frontier: Frontier::default(),
        }
    }

    /// Reports whether the client may publish to `subject`. Counts as an answer if only that makes it
    /// allowed.
    #[inline]
    pub fn may_publish(&mut self, subject: &[u8], now: Instant) -> bool {
        let rules = &self.permissions.publish;
        if rules.is_open() {
            return true;
        }
        let allowed = self.publish.decide(subject, || {
            rules.allows(subject, None, &mut self.frontier)
                && !rules.denies(subject, None, &mut self.frontier)
        });
        allowed
            || self
                .permissions
                .responses
                .is_some_and(|limits| self.replies.take(subject, limits, now))
    }

    /// Reports whether the client may subscribe. From a subscription that is wider than a deny entry
    /// on, [`Self::may_deliver`] looks at each message.
    pub fn may_subscribe(&mut self, subject: &[u8], queue: Option<&[u8]>) -> bool {
        let rules = &self.permissions.subscribe;
        if !rules.allows(subject, queue, &mut self.frontier)
            || rules.denies(subject, queue, &mut self.frontier)
        {
            return false;
        }
        if !self.filtering && subject::has_wildcard(subject) && rules.denies_part_of(subject) {
            self.filtering = true;
        }
        true
    }

    /// Reports whether a message on `subject` may be delivered to one of the client's subscriptions,
    /// which is in `queue` or in none.
    #[inline]
    pub fn may_deliver(&mut self, subject: &[u8], queue: Option<&[u8]>) -> bool {
        if !self.filtering {
            return true;
        }
        let rules = &self.permissions.subscribe;
        match queue {
            None => self
                .deliver
                .decide(subject, || !rules.denies(subject, None, &mut self.frontier)),
            Some(_) => !rules.denies(subject, queue, &mut self.frontier),
        }
    }

    /// Notes that a message with this reply subject was delivered to the client, which may now answer
    /// it if its permissions say so.
    #[inline]
    pub fn on_delivered(&mut self, reply: &[u8], now: Instant) {
        if let Some(limits) = self.permissions.responses
            && !reply.is_empty()
        {
            self.replies.add(reply, limits, now);
        }
    }
}

#[cfg(test)]
mod tests;
