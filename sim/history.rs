//! What clients did and saw, in order: the oracle's only source.
//!
//! *Invariant:* acked, failed and unknown are kept apart. A message whose outcome is unknown may be
//! stored or not; a failed one must not be; an acked one must be, until it is removed on purpose.

use std::collections::BTreeMap;

use protocol::time::Instant;

/// A moment in a run: the number of the record, so that two of one instant are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct At {
    /// Virtual time.
    pub time: Instant,
    /// The record's number.
    pub step: u64,
}

/// A unique body: which publisher made it, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value {
    /// The publisher.
    pub publisher: u32,
    /// Counts its messages from 0.
    pub number: u32,
}

impl Value {
    /// Returns the body: a mark that names the value, then filler that depends on it, `len` bytes or
    /// as long as the mark.
    #[must_use]
    pub fn payload(self, len: usize) -> Vec<u8> {
        let mut body = format!("<v{}.{}>", self.publisher, self.number).into_bytes();
        let mut next = self.publisher.wrapping_mul(31).wrapping_add(self.number);
        while body.len() < len {
            next = next.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            body.push(b'a' + u8::try_from((next >> 16) % 26).unwrap_or(0));
        }
        body
    }

    /// Returns the value that a body names, and how long the mark is.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<(Self, usize)> {
        let rest = body.strip_prefix(b"<v")?;
        let end = rest.iter().take(24).position(|&byte| byte == b'>')?;
        let (publisher, number) = core::str::from_utf8(rest.get(..end)?)
            .ok()?
            .split_once('.')?;
        let value = Self {
            publisher: publisher.parse().ok()?,
            number: number.parse().ok()?,
        };
        Some((value, end + 3))
    }
}

/// How an attempt to publish ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Not known: it may be stored.
    Unknown,
    /// Certainly not stored.
    Failed,
    /// Stored.
    Acked {
        /// Under which sequence.
        seq: u64,
        /// Whether the server said that it had been stored before.
        duplicate: bool,
        /// When the answer arrived.
        at: At,
    },
}

/// One sending of a message.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// When.
    pub sent: At,
    /// On which of the publisher's connections.
    pub link: u64,
    /// How it ended.
    pub outcome: Outcome,
}

/// A message and all attempts to publish it.
#[derive(Clone, Debug)]
pub struct Publish {
    /// The stream that its subject belongs to.
    pub stream: String,
    /// The subject.
    pub subject: String,
    /// The length of its body.
    pub len: usize,
    /// Whether it carries a message id; others are sent once.
    pub has_id: bool,
    /// The last sequence of its subject that it was made conditional on.
    pub expected: Option<u64>,
    /// The attempts, in order.
    pub attempts: Vec<Attempt>,
}

impl Publish {
    /// Returns the sequence under which it was acknowledged, if it was.
    #[must_use]
    pub fn acked(&self) -> Option<u64> {
        self.attempts
            .iter()
            .find_map(|attempt| match attempt.outcome {
                Outcome::Acked { seq, .. } => Some(seq),
                Outcome::Unknown | Outcome::Failed => None,
            })
    }

    /// Says whether no attempt can have stored it.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        let mut attempts = self.attempts.iter();
        attempts.all(|attempt| attempt.outcome == Outcome::Failed)
    }
}

/// Messages removed on purpose.
#[derive(Clone, Debug)]
pub struct Removal {
    /// The stream.
    pub stream: String,
    /// The first sequence that goes.
    pub from: u64,
    /// The last sequence that goes.
    pub to: u64,
    /// When it was confirmed, if it was.
    pub confirmed: Option<At>,
}

/// What a stream said about itself.
#[derive(Clone, Debug)]
pub struct Info {
    /// The stream.
    pub stream: String,
    /// When it was asked.
    pub asked: At,
    /// When it answered.
    pub answered: At,
    /// Its last sequence.
    pub last_seq: u64,
}

/// One delivery to a consumer.
#[derive(Clone, Copy, Debug)]
pub struct Delivered {
    /// When it arrived.
    pub at: At,
    /// The stream sequence.
    pub seq: u64,
    /// Which message it was.
    pub value: Value,
}

/// What a durable consumer saw. It is used by one client only.
#[derive(Clone, Debug, Default)]
pub struct ConsumerLog {
    /// The stream.
    pub stream: String,
    /// Deliveries in the order of their arrival.
    pub deliveries: Vec<Delivered>,
    /// When the acknowledgement of a sequence was confirmed first.
    pub confirmed: BTreeMap<u64, At>,
    /// Sequences whose acknowledgement was sent, confirmed or not.
    pub acked: BTreeMap<u64, At>,
    /// Whether it has said, after the faults, that nothing is left to deliver.
    pub drained: bool,
}

/// What a stream held when everything was read at the end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The first sequence it spoke of.
    pub first_seq: u64,
    /// Its last sequence.
    pub last_seq: u64,
    /// How many messages it said it has.
    pub messages: u64,
    /// What could be read.
    pub read: BTreeMap<u64, (String, Value)>,
    /// Sequences whose reading was answered with an error other than "no message found".
    pub errors: BTreeMap<u64, u64>,
    /// The error that the stream's state was answered with.
    pub refused: Option<u64>,
    /// What a message published after all that was answered: its sequence, or an error.
    pub probe: Option<Result<u64, u64>>,
}

/// Something that a client saw and that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The invariant's name.
    pub invariant: &'static str,
    /// What was seen.
    pub text: String,
}

/// How a stream was configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keeps {
    /// It keeps at most this many messages; 0 for no limit.
    pub messages_max: u64,
    /// Messages go once their consumer has acknowledged them.
    pub work_queue: bool,
}

/// Everything that clients did and saw.
#[derive(Debug, Default)]
pub struct History {
    steps: u64,
    /// Messages by value.
    pub publishes: BTreeMap<Value, Publish>,
    /// What each (stream, sequence) is, from whatever source it was learnt first.
    pub facts: BTreeMap<(String, u64), Value>,
    /// The message that each reply subject of a publish belongs to.
    pub replies: BTreeMap<String, Value>,
    /// Removals in the order in which they were asked for.
    pub removals: Vec<Removal>,
    /// What streams said about themselves, in order.
    pub infos: Vec<Info>,
    /// Durable consumers by name.
    pub consumers: BTreeMap<String, ConsumerLog>,
    /// Streams and how they are configured.
    pub streams: BTreeMap<String, Keeps>,
    /// Requests that had no answer in time although their connection lasted.
    pub late: Vec<String>,
    /// How many promises clients have been given: messages and acknowledgements that were confirmed.
    pub promises: u64,
    /// What was seen at once to be wrong.
    pub violations: Vec<Violation>,
}

impl History {
    /// Returns the present moment, after all that were returned before.
    pub fn at(&mut self, time: Instant) -> At {
        self.steps += 1;
        let step = self.steps;
        At { time, step }
    }

    /// Notes that something is wrong.
    pub fn violate(&mut self, invariant: &'static str, text: String) {
        self.violations.push(Violation { invariant, text });
    }

    /// Notes that a sequence of a stream was seen to be a message with this subject and body; returns
    /// the value it names.
    pub fn learn(&mut self, stream: &str, seq: u64, subject: &str, body: &[u8]) -> Option<Value> {
        let Some((value, _)) = Value::parse(body) else {
            let text = String::from_utf8_lossy(body).into_owned();
            self.violate("no_invention", format!("{stream}/{seq} holds {text:?}"));
            return None;
        };
        let known = self.publishes.get(&value);
        let same = known.is_some_and(|publish| {
            publish.stream == stream
                && publish.subject == subject
                && body == value.payload(publish.len)
        });
        if !same {
            let what = format!("{stream}/{seq} on {subject} is not what {value:?} was: {known:?}");
            self.violate("no_invention", what);
        }
        self.learn_value(stream, seq, value);
        Some(value)
    }

    /// Notes that a sequence of a stream is a value.
    pub fn learn_value(&mut self, stream: &str, seq: u64, value: Value) {
        let entry = self.facts.entry((stream.to_owned(), seq)).or_insert(value);
        if *entry != value {
            let text = format!("{stream}/{seq} was {entry:?} and is {value:?}");
            self.violate("sequence_is_forever", text);
        }
    }

    /// Notes the outcome of the last attempt that is still unknown on `link`.
    pub fn resolve(&mut self, value: Value, attempt: usize, outcome: Outcome) {
        let Some(publish) = self.publishes.get_mut(&value) else {
            return;
        };
        if let Some(attempt) = publish.attempts.get_mut(attempt) {
            attempt.outcome = outcome;
        }
        if let Outcome::Acked { seq, .. } = outcome {
            self.promises += 1;
            let stream = publish.stream.clone();
            self.learn_value(&stream, seq, value);
        }
    }

    /// Returns how many messages were acknowledged.
    #[must_use]
    pub fn acked(&self) -> usize {
        let publishes = self.publishes.values();
        publishes
            .filter(|publish| publish.acked().is_some())
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_name_their_value_and_nothing_else_does() {
        let value = Value {
            publisher: 3,
            number: 41,
        };
        for len in [0, 7, 8, 100] {
            let body = value.payload(len);
            assert_eq!(Value::parse(&body), Some((value, 7)));
            assert_eq!(body.len(), len.max(7));
        }
        assert_eq!(Value::parse(b"<v3.x>"), None);
        assert_eq!(Value::parse(b"hello"), None);
    }

    #[test]
    fn one_sequence_with_two_meanings_is_noticed() {
        let mut history = History::default();
        let value = |number| Value {
            publisher: 0,
            number,
        };
        history.learn_value("S", 1, value(0));
        history.learn_value("S", 1, value(0));
        assert!(history.violations.is_empty());
        history.learn_value("S", 1, value(1));
        assert_eq!(history.violations[0].invariant, "sequence_is_forever");
    }
}
