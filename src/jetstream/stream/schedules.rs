//! The schedules of a stream: messages that bring others, at their time.
//!
//! *Invariant:* a subject has at most one schedule, the newest; a schedule fires once for each of its
//! times, whatever was proposed for it. Only `in_flight` is not a function of the applied log.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use bytes::BufMut;
use protocol::id::Seq;
use protocol::js::errors;
use protocol::store::Loc;
use protocol::subject;
use protocol::time::{Instant, Now, Wall};

use super::publish::{Applied, Interest, Refusal, refuse};
use super::{PublishHeaders, Removal, StreamCore};
use crate::entry::{DecodeError, Fired, Reader, Role, Stored, put_bytes};
use crate::index::Filter;
use crate::schedule::{NEXT_PURGE, ScheduleHeaders};

/// The schedules of one stream.
#[derive(Debug, Default)]
pub(super) struct Schedules {
    by_subject: BTreeMap<Box<[u8]>, Seq>,
    due: BTreeMap<Seq, Wall>,
    /// The same, soonest first.
    next: BTreeSet<(Wall, Seq)>,
    /// Those whose message has been asked for or proposed, and when they may be taken again.
    in_flight: BTreeMap<Seq, Instant>,
}

impl Schedules {
    pub(super) fn is_empty(&self) -> bool {
        self.due.is_empty()
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Adds the schedule of a subject in place of the one before.
    fn add(&mut self, subject: &[u8], seq: Seq, at: Wall) {
        let old = match self.by_subject.get_mut(subject) {
            Some(place) => Some(core::mem::replace(place, seq)),
            None => self.by_subject.insert(Box::from(subject), seq),
        };
        if let Some(old) = old {
            self.remove(old);
        }
        self.set(seq, at);
    }

    fn set(&mut self, seq: Seq, at: Wall) {
        self.in_flight.remove(&seq);
        if let Some(old) = self.due.insert(seq, at) {
            self.next.remove(&(old, seq));
        }
        self.next.insert((at, seq));
    }

    fn remove(&mut self, seq: Seq) {
        self.in_flight.remove(&seq);
        if let Some(at) = self.due.remove(&seq) {
            self.next.remove(&(at, seq));
        }
    }

    fn remove_subject(&mut self, subject: &[u8]) {
        if let Some(seq) = self.by_subject.remove(subject) {
            self.remove(seq);
        }
    }

    /// Appends everything to a checkpoint.
    pub(super) fn snapshot(&self, out: &mut Vec<u8>) {
        out.put_u32_le(u32::try_from(self.by_subject.len()).unwrap_or(u32::MAX));
        for (subject, seq) in &self.by_subject {
            put_bytes(out, subject);
            out.put_u64_le(seq.0);
            out.put_u64_le(self.due.get(seq).map_or(0, |at| at.0));
        }
    }

    /// Returns what is in a checkpoint.
    pub(super) fn restore(from: &mut Reader) -> Result<Self, DecodeError> {
        let mut schedules = Self::default();
        for _ in 0..from.u32()? {
            let subject = from.bytes()?;
            let seq = Seq(from.u64()?);
            schedules.add(&subject, seq, from.time()?);
        }
        Ok(schedules)
    }
}

impl StreamCore {
    /// Checks what the headers of a message say about schedules.
    ///
    /// # Errors
    /// What the publisher is told.
    pub(super) fn check_schedule(
        &self,
        msg: &Stored<'_>,
        headers: &PublishHeaders<'_>,
    ) -> Result<(), Refusal> {
        let asked = ScheduleHeaders::parse(msg.headers);
        let allowed = self.config.allow_msg_schedules;
        match asked.due(msg.time) {
            Ok(None) => {}
            Err(_) | Ok(Some(_)) if !allowed => return refuse(errors::MESSAGE_SCHEDULES_DISABLED),
            Err(error) => return refuse(error),
            Ok(Some(_)) => {
                let allow_ttl = self.config.allow_msg_ttl;
                let collides = |subject: &[u8]| {
                    let mut subjects = self.config.subjects.iter();
                    subjects.any(|own| subject::overlaps(own.as_bytes(), subject))
                };
                let checked = asked.check(msg.subject, headers.rollup, allow_ttl, collides);
                checked.map_err(Box::new)?;
            }
        }
        if asked.next.is_empty() {
            return if asked.scheduler.is_empty() {
                Ok(())
            } else {
                refuse(errors::MESSAGE_SCHEDULES_SCHEDULER_INVALID)
            };
        }
        let names_another =
            subject::is_valid_literal(asked.scheduler) && asked.scheduler != msg.subject;
        if asked.next != NEXT_PURGE || !names_another {
            return refuse(errors::MESSAGE_SCHEDULES_SCHEDULER_INVALID);
        }
        if !allowed {
            return refuse(errors::MESSAGE_SCHEDULES_DISABLED);
        }
        // Where nothing is, there is nothing to end, which nobody minds.
        let last = self.index.last(&Filter::new(asked.scheduler));
        let is_schedule = |seq| self.schedules.by_subject.get(asked.scheduler) == Some(&seq);
        if last.is_some_and(|last| !is_schedule(last)) {
            return refuse(errors::MESSAGE_SCHEDULES_SCHEDULER_INVALID);
        }
        Ok(())
    }

    /// Notes the schedule that a message which has just been stored is, or that it ends the one of its
    /// subject.
    pub(super) fn note_schedule(
        &mut self,
        seq: Seq,
        msg: &Stored<'_>,
        headers: &PublishHeaders<'_>,
    ) {
        if !headers.concerns_schedules {
            return self.schedules.remove_subject(msg.subject);
        }
        let asked = ScheduleHeaders::parse(msg.headers);
        match asked.due(msg.time) {
            Ok(Some(due)) => self.schedules.add(msg.subject, seq, due.at),
            Ok(None) | Err(_) if asked.scheduler.is_empty() => {
                self.schedules.remove_subject(msg.subject);
            }
            Ok(None) | Err(_) => {}
        }
    }

    /// Forgets the schedule `seq`, which goes.
    pub(super) fn forget_schedule(&mut self, seq: Seq) {
        if !self.schedules.due.contains_key(&seq) {
            return;
        }
        let subject = self.index.meta(seq).map(|meta| meta.subject);
        let subject = subject.map(|id| self.index.subject(id)).unwrap_or_default();
        if self.schedules.by_subject.get(subject) == Some(&seq) {
            self.schedules.by_subject.remove(subject);
        }
        self.schedules.remove(seq);
    }

    /// Removes the schedule whose end a message that was taken in tells.
    pub(super) fn end_schedule_named_by(&mut self, msg: &Stored<'_>, removal: &mut impl Removal) {
        let asked = ScheduleHeaders::parse(msg.headers);
        let may_purge = self.config.allow_rollup_hdrs && !self.config.deny_purge;
        if asked.next == NEXT_PURGE && may_purge && !asked.scheduler.is_empty() {
            let end = self.index.last_seq().next();
            self.remove_matching_below(asked.scheduler, end, removal);
        }
    }

    /// Applies a message that a schedule brought.
    pub(super) fn apply_fired(
        &mut self,
        msg: &Stored<'_>,
        fired: Fired,
        (loc, wanted): (Loc, Interest),
        removal: &mut impl Removal,
    ) -> Result<Applied, Refusal> {
        if self.schedules.due.get(&fired.schedule) != Some(&fired.due) {
            // It was ended or replaced since, or has fired for that time.
            self.schedules.in_flight.remove(&fired.schedule);
            return refuse(errors::MESSAGE_SCHEDULES_SCHEDULER_INVALID);
        }
        // Whatever becomes of the message, this was its time.
        if fired.next == Wall(0) {
            let scheduler = ScheduleHeaders::parse(msg.headers).scheduler;
            self.schedules.remove_subject(scheduler);
            self.schedules.remove(fired.schedule);
        } else {
            self.schedules.set(fired.schedule, fired.next);
        }
        self.check_size(msg)?;
        let headers = PublishHeaders::parse(msg.headers);
        let seq = self.store_wanted(msg, (loc, wanted), &headers, removal)?;
        self.end_schedule_named_by(msg, removal);
        Ok(wanted.applied(seq))
    }

    /// Returns when the next schedule is due that is not under way.
    pub(crate) fn next_schedule(&self) -> Option<Wall> {
        if self.config.sealed {
            return None;
        }
        let Schedules {
            next, in_flight, ..
        } = &self.schedules;
        let mut next = next.iter().filter(|(_, seq)| !in_flight.contains_key(seq));
        next.next().map(|&(at, _)| at)
    }

    /// Returns when one that failed may be tried again.
    pub(crate) fn next_schedule_retry(&self) -> Option<Instant> {
        let retries = self.schedules.in_flight.values().copied();
        retries.filter(|&at| at != Instant::NEVER).min()
    }

    /// Takes a schedule that is due and not under way, and when it was due.
    pub(crate) fn take_schedule(&mut self, now: Now) -> Option<(Seq, Wall)> {
        let Schedules {
            next, in_flight, ..
        } = &mut self.schedules;
        let due = next.iter().take_while(|&&(at, _)| at <= now.wall);
        let is_free = |seq: &Seq| in_flight.get(seq).is_none_or(|&at| at <= now.mono);
        let &(at, seq) = { due }.find(|(_, seq)| is_free(seq))?;
        in_flight.insert(seq, Instant::NEVER);
        Some((seq, at))
    }

    /// Lets a schedule that was taken be taken again from `at` on.
    pub(crate) fn retry_schedule(&mut self, seq: Seq, at: Instant) {
        self.schedules.in_flight.insert(seq, at);
    }

    /// Returns whether taking in a message may have changed when the next schedule is due.
    pub(crate) fn is_scheduling(&self, msg: &Stored<'_>, seq: Seq) -> bool {
        matches!(msg.role, Role::Fired(_))
            || (!msg.headers.is_empty() && self.schedules.due.contains_key(&seq))
    }
}
