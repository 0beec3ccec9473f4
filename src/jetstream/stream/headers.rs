//! The headers of a publish that the stream itself obeys, found in one pass.

use protocol::headers::Headers;

/// What a publish asks of its stream. Values are as they were sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PublishHeaders<'a> {
    /// `Nats-Msg-Id`.
    pub msg_id: Option<&'a [u8]>,
    /// `msg-id`, which Memphis SDKs send to the partitions of stations. Elsewhere it is any header.
    pub memphis_msg_id: Option<&'a [u8]>,
    /// `Nats-Expected-Stream`.
    pub expected_stream: Option<&'a [u8]>,
    /// `Nats-Expected-Last-Sequence`.
    pub expected_last_seq: Option<u64>,
    /// `Nats-Expected-Last-Subject-Sequence`.
    pub expected_last_subject_seq: Option<u64>,
    /// `Nats-Expected-Last-Subject-Sequence-Subject`.
    pub expected_last_subject_seq_subject: Option<&'a [u8]>,
    /// `Nats-Expected-Last-Msg-Id`.
    pub expected_last_msg_id: Option<&'a [u8]>,
    /// `Nats-Rollup`.
    pub rollup: Option<&'a [u8]>,
    /// `Nats-TTL`.
    pub ttl: Option<&'a [u8]>,
    /// Whether the message tells of a subject's end itself: `Nats-Marker-Reason`, or a purge of a
    /// key-value store.
    pub is_marker: bool,
    /// `Nats-Incr`.
    pub increment: Option<&'a [u8]>,
    /// `Nats-Stream-Source`.
    pub source: Option<&'a [u8]>,
    /// Whether any header has to do with schedules: `Nats-Schedule`, `Nats-Scheduler` and so on.
    pub concerns_schedules: bool,
}

impl<'a> PublishHeaders<'a> {
    /// Reads a header block; of keys that repeat, the first one counts.
    #[must_use]
    pub fn parse(block: &'a [u8]) -> Self {
        let mut found = Self::default();
        if block.is_empty() {
            return found;
        }
        let (mut last_seq, mut last_subject_seq) = (None, None);
        for (key, value) in Headers::new(block) {
            let Some(key) = key.strip_prefix(b"Nats-") else {
                if key == b"msg-id" {
                    first(&mut found.memphis_msg_id, value);
                }
                found.is_marker |= key == b"KV-Operation" && value == b"PURGE";
                continue;
            };
            match key {
                b"Msg-Id" => first(&mut found.msg_id, value),
                b"Expected-Stream" => first(&mut found.expected_stream, value),
                b"Expected-Last-Sequence" => first(&mut last_seq, value),
                b"Expected-Last-Subject-Sequence" => first(&mut last_subject_seq, value),
                b"Expected-Last-Subject-Sequence-Subject" => {
                    first(&mut found.expected_last_subject_seq_subject, value);
                }
                b"Expected-Last-Msg-Id" => first(&mut found.expected_last_msg_id, value),
                b"Rollup" => first(&mut found.rollup, rollup(value)),
                b"TTL" => first(&mut found.ttl, value),
                b"Marker-Reason" => found.is_marker = true,
                b"Incr" => first(&mut found.increment, value),
                b"Stream-Source" => first(&mut found.source, value),
                _ => found.concerns_schedules |= key.starts_with(b"Schedule"),
            }
        }
        for slot in [
            &mut found.msg_id,
            &mut found.memphis_msg_id,
            &mut found.expected_stream,
            &mut found.expected_last_subject_seq_subject,
            &mut found.expected_last_msg_id,
            &mut found.rollup,
            &mut found.ttl,
            &mut found.increment,
            &mut found.source,
            &mut last_seq,
            &mut last_subject_seq,
        ] {
            drop_empty(slot);
        }
        found.expected_last_seq = last_seq.map(number);
        found.expected_last_subject_seq = last_subject_seq.map(number);
        found
    }
}

/// Returns what a roll-up takes the place of, in the case that it is compared in.
fn rollup(value: &[u8]) -> &[u8] {
    let known: [&[u8]; 2] = [b"sub", b"all"];
    let found = known.into_iter().find(|k| k.eq_ignore_ascii_case(value));
    found.unwrap_or(value)
}

impl PublishHeaders<'_> {
    /// Returns whether what they ask may be refused because of what is stored.
    pub(crate) fn depends_on_stored(&self) -> bool {
        self.expected_last_seq.is_some()
            || self.expected_last_subject_seq.is_some()
            || self.expected_last_msg_id.is_some()
            || self.concerns_schedules
    }
}

/// Says whether a stream is a partition of a Memphis station: `<station>$<number>`.
pub(super) fn is_partition(stream: &str) -> bool {
    let number = stream.rsplit_once('$').map(|(_, number)| number);
    number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// Of keys that repeat the first one counts, also if it says nothing.
fn first<'a>(slot: &mut Option<&'a [u8]>, value: &'a [u8]) {
    slot.get_or_insert(value);
}

fn drop_empty(slot: &mut Option<&[u8]>) {
    *slot = slot.filter(|value| !value.is_empty());
}

/// A value that is no number asks for a sequence that never exists. One that is too large wraps, as in
/// nats-server.
fn number(value: &[u8]) -> u64 {
    value
        .iter()
        .try_fold(0_u64, |number, byte| {
            let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
            Some(number.wrapping_mul(10).wrapping_add(digit))
        })
        .unwrap_or(u64::MAX)
}
