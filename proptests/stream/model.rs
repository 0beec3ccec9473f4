//! What a stream should hold.

use std::collections::BTreeMap;

/// How long message ids are remembered.
const WINDOW_MS: u64 = 1_000;

/// How the stream of a run is configured.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub(super) messages: Option<u64>,
    pub(super) per_subject: Option<u64>,
    pub(super) age_ms: Option<u64>,
    pub(super) discard_new: bool,
    pub(super) discard_new_per_subject: bool,
    /// Subjects are changed on their way in.
    pub(super) transform: bool,
    /// It keeps counters.
    pub(super) counts: bool,
}

impl Limits {
    /// Returns the JSON of the stream's configuration.
    pub(super) fn config(&self) -> String {
        let number = |limit: Option<u64>| limit.map_or(-1, |max| max.cast_signed());
        let discard = if self.discard_new { "new" } else { "old" };
        let age_ns = self.age_ms.unwrap_or(0) * 1_000_000;
        // Ids are not remembered for longer than messages live.
        let window_ns = WINDOW_MS.min(self.age_ms.unwrap_or(WINDOW_MS)) * 1_000_000;
        let transform = if self.transform {
            r#","subject_transform":{"src":"s.*","dest":"t.{{wildcard(1)}}"}"#
        } else {
            ""
        };
        let kind = if self.counts {
            r#""allow_msg_counter":true"#
        } else {
            r#""allow_msg_ttl":true,"allow_atomic":true"#
        };
        format!(
            r#"{{"name":"S","subjects":["s.*"],"max_msgs":{},"max_msgs_per_subject":{},
                "max_age":{age_ns},"discard":"{discard}","discard_new_per_subject":{},
                "duplicate_window":{window_ns},"allow_rollup_hdrs":true,{kind}{transform}}}"#,
            number(self.messages),
            number(self.per_subject),
            self.discard_new_per_subject,
        )
    }

    /// Returns the subject under which messages lie.
    pub(super) fn stored(&self, subject: usize) -> String {
        let prefix = if self.transform { "t" } else { "s" };
        format!("{prefix}.{subject}")
    }

    fn window_ms(&self) -> u64 {
        WINDOW_MS.min(self.age_ms.unwrap_or(WINDOW_MS))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rollup {
    Subject,
    All,
}

/// A message to be published.
#[derive(Clone, Debug)]
pub(super) struct Publish {
    pub(super) subject: usize,
    pub(super) id: Option<u64>,
    /// It expects the last sequence to be so much less than it is.
    pub(super) behind: Option<u64>,
    /// It expects the last sequence of its subject to be so much less.
    pub(super) behind_subject: Option<u64>,
    pub(super) ttl_s: Option<u64>,
    pub(super) rollup: Option<Rollup>,
}

impl Publish {
    pub(super) fn subject(&self) -> String {
        format!("s.{}", self.subject)
    }
}

/// What a publisher is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    Stored(u64),
    Repeated(u64),
    Refused,
}

#[derive(Clone, Debug)]
pub(super) struct Message {
    subject: usize,
    stored_ms: u64,
    ends_ms: Option<u64>,
}

/// A message that is under way.
#[derive(Clone, Debug)]
struct Pending {
    publish: Publish,
    sent_ms: u64,
    /// The last sequences that it expects.
    expected: Option<u64>,
    expected_subject: Option<u64>,
}

#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) limits: Limits,
    pub(super) now_ms: u64,
    pub(super) messages: BTreeMap<u64, Message>,
    pub(super) last: u64,
    /// Ids, when they were stored, and under which sequence.
    ids: Vec<(u64, u64, u64)>,
    pub(super) pending: Pendings,
    pub(super) told: Vec<Told>,
}

/// Messages that are under way.
#[derive(Clone, Debug, Default)]
pub(super) struct Pendings(Vec<Pending>);

impl Pendings {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Model {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            now_ms: 0,
            messages: BTreeMap::new(),
            last: 0,
            ids: Vec::new(),
            pending: Pendings::default(),
            told: Vec::new(),
        }
    }

    /// Returns headers and body of a message that is sent now.
    pub(super) fn message(&self, publish: &Publish) -> (String, String) {
        let mut headers = String::new();
        let mut add = |key: &str, value: String| headers.push_str(&format!("{key}: {value}\r\n"));
        if let Some(id) = publish.id {
            add("Nats-Msg-Id", id.to_string());
        }
        if self.limits.counts {
            add("Nats-Incr", String::from("1"));
        }
        if let Some(expected) = self.expected(publish) {
            add("Nats-Expected-Last-Sequence", expected.to_string());
        }
        if let Some(expected) = self.expected_subject(publish) {
            add("Nats-Expected-Last-Subject-Sequence", expected.to_string());
        }
        if let Some(ttl) = publish.ttl_s {
            add("Nats-TTL", ttl.to_string());
        }
        match publish.rollup {
            Some(Rollup::Subject) => add("Nats-Rollup", String::from("sub")),
            Some(Rollup::All) => add("Nats-Rollup", String::from("all")),
            None => {}
        }
        let body = if self.limits.counts { "" } else { "x" };
        (headers, String::from(body))
    }

    /// Returns what of a message the stream is made for: an increment is an increment, and one that may be
    /// refused would hold up those behind it.
    pub(super) fn fitting(&self, publish: &Publish) -> Publish {
        if !self.limits.counts {
            return publish.clone();
        }
        Publish {
            subject: publish.subject,
            id: None,
            behind: None,
            behind_subject: None,
            ttl_s: None,
            rollup: None,
        }
    }

    fn expected(&self, publish: &Publish) -> Option<u64> {
        Some(self.last.saturating_sub(publish.behind?))
    }

    fn expected_subject(&self, publish: &Publish) -> Option<u64> {
        let behind = publish.behind_subject?;
        Some(self.last_of(publish.subject).saturating_sub(behind))
    }

    fn last_of(&self, subject: usize) -> u64 {
        let on = self.messages.iter().filter(|(_, m)| m.subject == subject);
        on.map(|(seq, _)| *seq).next_back().unwrap_or(0)
    }

    fn count(&self, subject: usize) -> u64 {
        let on = self.messages.values().filter(|m| m.subject == subject);
        on.count() as u64
    }

    /// A message is under way.
    pub(super) fn propose(&mut self, publish: Publish) {
        self.pending.0.push(Pending {
            sent_ms: self.now_ms,
            expected: self.expected(&publish),
            expected_subject: self.expected_subject(&publish),
            publish,
        });
    }

    /// Everything that is under way arrives, and what has had its time goes.
    pub(super) fn sync(&mut self) {
        for pending in core::mem::take(&mut self.pending.0) {
            let told = self.take(&pending);
            self.told.push(told);
        }
        self.expire();
    }

    fn take(&mut self, pending: &Pending) -> Told {
        let publish = &pending.publish;
        let is = |expected: Option<u64>, last: u64| expected.is_none_or(|e| e == last);
        if !is(pending.expected, self.last)
            || !is(pending.expected_subject, self.last_of(publish.subject))
        {
            return Told::Refused;
        }
        let window_ms = self.limits.window_ms();
        self.ids
            .retain(|(_, at, _)| pending.sent_ms - at < window_ms);
        let known = self.ids.iter().find(|(id, ..)| Some(*id) == publish.id);
        if let Some((_, _, seq)) = known {
            return Told::Repeated(*seq);
        }
        if self.limits.discard_new && !self.has_room(publish.subject) {
            return Told::Refused;
        }
        let now_ms = core::mem::replace(&mut self.now_ms, pending.sent_ms);
        let seq = self.push_rolled(publish.subject, publish.ttl_s, publish.rollup);
        self.now_ms = now_ms;
        if let Some(id) = publish.id {
            self.ids.push((id, pending.sent_ms, seq));
        }
        Told::Stored(seq)
    }

    fn has_room(&self, subject: usize) -> bool {
        let per_subject = self.limits.per_subject;
        let is_full = per_subject.is_some_and(|max| self.count(subject) >= max);
        if is_full {
            return !self.limits.discard_new_per_subject;
        }
        let stored = self.messages.len() as u64;
        self.limits.messages.is_none_or(|max| stored < max)
    }

    /// Stores a plain message.
    pub(super) fn push(&mut self, subject: usize) {
        self.push_rolled(subject, None, None);
    }

    fn push_rolled(&mut self, subject: usize, ttl_s: Option<u64>, rollup: Option<Rollup>) -> u64 {
        self.last += 1;
        let message = Message {
            subject,
            stored_ms: self.now_ms,
            ends_ms: ttl_s.map(|ttl| self.now_ms + ttl * 1_000),
        };
        self.messages.insert(self.last, message);
        let last = self.last;
        // What it stands for goes after what the limits push out.
        self.enforce();
        match rollup {
            Some(Rollup::Subject) => {
                self.messages
                    .retain(|seq, m| *seq == last || m.subject != subject);
            }
            Some(Rollup::All) => self.messages.retain(|seq, _| *seq == last),
            None => {}
        }
        last
    }

    /// Lets go of what the limits leave no room for.
    pub(super) fn enforce(&mut self) {
        if let Some(max) = self.limits.per_subject {
            for subject in 0..4 {
                while self.count(subject) > max {
                    let first = self.messages.iter().find(|(_, m)| m.subject == subject);
                    let first = first.map(|(seq, _)| *seq).expect("more than none");
                    self.messages.remove(&first);
                }
            }
        }
        let max = self.limits.messages.filter(|_| !self.limits.discard_new);
        while self.messages.len() as u64 > max.unwrap_or(u64::MAX) {
            self.messages.pop_first();
        }
    }

    fn expire(&mut self) {
        let (now_ms, age_ms) = (self.now_ms, self.limits.age_ms);
        self.messages.retain(|_, m| {
            let too_old = age_ms.is_some_and(|max| m.stored_ms + max <= now_ms);
            !too_old && m.ends_ms.is_none_or(|end| end > now_ms)
        });
    }

    /// Returns a time to pass, no shorter, after which nothing ends just then: entries are stamped a
    /// nanosecond apart, which this model does not count.
    pub(super) fn clear_of_ends(&self, ms: u64) -> u64 {
        let age_ms = self.limits.age_ms;
        let ends = |at: u64| {
            let by_age = |m: &Message| age_ms.is_some_and(|max| m.stored_ms + max == at);
            let mut all = self.messages.values();
            all.any(|m| by_age(m) || m.ends_ms == Some(at))
        };
        (ms..).find(|ms| !ends(self.now_ms + ms)).unwrap_or(ms)
    }

    /// Removes messages of a subject or of all below a sequence, but not the last few.
    pub(super) fn purge(&mut self, subject: Option<usize>, keep: u64, below: u64) {
        let meant = |m: &Message| subject.is_none_or(|subject| m.subject == subject);
        let all = self.messages.iter().filter(|(_, m)| meant(m));
        let all: Vec<u64> = all.map(|(seq, _)| *seq).collect();
        let kept = usize::try_from(keep).expect("small");
        let gone = all.len().saturating_sub(kept);
        for seq in all.iter().take(gone).filter(|seq| **seq < below) {
            self.messages.remove(seq);
        }
    }

    /// Returns what the stream holds: sequences and subjects, and its last sequence.
    pub(super) fn held(&self) -> (Vec<(u64, String)>, u64) {
        let all = self.messages.iter();
        let all = all.map(|(seq, m)| (*seq, self.limits.stored(m.subject)));
        (all.collect(), self.last)
    }
}
