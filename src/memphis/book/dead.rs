//! Dead letters: messages that nobody acknowledged, or that broke a schema.
//!
//! *Invariant:* they never take more than [`BYTES_MAX`] and [`LETTERS_MAX`] per account; the oldest
//! make room.

mod index;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use protocol::headers::HeaderWriter;
use serde::{Deserialize, Serialize};

use index::Index;

/// Most dead letters of an account.
pub(crate) const LETTERS_MAX: usize = 100_000;
/// Most bytes of an account's dead letters.
pub(crate) const BYTES_MAX: usize = 64 << 20;

/// Names a dead letter; SDKs send it back as a number.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct DeadLetterId(pub u64);

/// Why a message is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeadLetterKind {
    /// It was delivered as often as allowed, or given up by its consumer.
    Poison,
    /// It broke the schema.
    Schema,
}

/// A dead letter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Why it is dead.
    pub kind: DeadLetterKind,
    /// The station's external name.
    pub station: String,
    /// The partition, from 1; 0 for a stream without partitions.
    pub partition: u32,
    /// The message's sequence in the partition; 0 for one that was never stored.
    pub seq: u64,
    /// The groups that did not get along with it, by external name.
    pub groups: Vec<String>,
    /// What is wrong with it, as far as somebody said.
    pub reason: String,
    /// Who produced it.
    pub producer: String,
    /// The message.
    pub letter: Letter,
    /// When it died, in nanoseconds since 1970.
    #[serde(default)]
    pub updated: u64,
}

/// The message of a dead letter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letter {
    /// The header lines.
    pub headers: Vec<(String, String)>,
    /// The body in hexadecimal, or as the SDK wrote it.
    pub data: String,
    /// When it was sent, in nanoseconds since 1970.
    pub sent: u64,
}

/// The dead letters of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct DeadLettersKept {
    letters: BTreeMap<DeadLetterId, DeadLetter>,
    /// To which groups which letters are to be sent again.
    wanted: BTreeSet<(DeadLetterId, String)>,
    last_id: DeadLetterId,
    bytes: usize,
    #[serde(skip)]
    index: Index,
}

/// What is stored of [`DeadLettersKept`].
#[derive(Deserialize)]
struct Written {
    letters: BTreeMap<DeadLetterId, DeadLetter>,
    #[serde(default)]
    wanted: BTreeSet<(DeadLetterId, String)>,
    last_id: DeadLetterId,
    bytes: usize,
}

impl From<Written> for DeadLettersKept {
    fn from(written: Written) -> Self {
        let letters = written.letters;
        Self {
            index: Index::of(letters.iter().map(|(id, dead)| (*id, dead))),
            letters,
            wanted: written.wanted,
            last_id: written.last_id,
            bytes: written.bytes,
        }
    }
}

impl DeadLettersKept {
    /// Returns a dead letter.
    #[must_use]
    pub fn get(&self, id: DeadLetterId) -> Option<&DeadLetter> {
        self.letters.get(&id)
    }

    /// Returns the dead letters, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (DeadLetterId, &DeadLetter)> {
        self.letters.iter().map(|(id, letter)| (*id, letter))
    }

    /// Returns how many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.letters.len()
    }

    /// Returns the dead letters of a station, oldest first.
    pub fn of_station(
        &self,
        station: &str,
    ) -> impl DoubleEndedIterator<Item = (DeadLetterId, &DeadLetter)> {
        let ids = self.index.of_station(station);
        ids.filter_map(|id| Some((id, self.letters.get(&id)?)))
    }

    /// Returns how many dead letters a station has.
    #[must_use]
    pub fn count_of(&self, station: &str) -> usize {
        self.index.count(station)
    }

    /// Returns what the next new dead letter is called.
    #[must_use]
    pub(crate) fn next_id(&self) -> DeadLetterId {
        DeadLetterId(self.last_id.0 + 1)
    }

    /// Returns the dead letter of a stored message.
    #[must_use]
    pub(crate) fn of_message(
        &self,
        station: &str,
        partition: u32,
        seq: u64,
    ) -> Option<DeadLetterId> {
        self.index.of_message(station, partition, seq)
    }

    /// Adds a dead letter, or another group to the one that is there for the same message.
    pub(super) fn add(&mut self, mut dead: DeadLetter) {
        if dead.kind == DeadLetterKind::Poison
            && let Some(id) = self.of_message(&dead.station, dead.partition, dead.seq)
            && let Some(known) = self.letters.get_mut(&id)
        {
            dead.groups.retain(|group| !known.groups.contains(group));
            known.groups.append(&mut dead.groups);
            if !dead.reason.is_empty() {
                known.reason = dead.reason;
            }
            known.updated = dead.updated;
            return;
        }
        self.last_id = self.next_id();
        self.bytes += dead.size();
        self.index.add(self.last_id, &dead);
        self.letters.insert(self.last_id, dead);
        while self.letters.len() > LETTERS_MAX || self.bytes > BYTES_MAX {
            let Some(oldest) = self.letters.keys().next().copied() else {
                break;
            };
            self.remove(oldest);
        }
    }

    /// Returns which letters are to be sent again to which groups.
    pub fn wanted(&self) -> impl Iterator<Item = (DeadLetterId, &str)> {
        self.wanted.iter().map(|(id, group)| (*id, group.as_str()))
    }

    /// Notes that letters are to be sent again to `group`, or else to all of their groups.
    pub(super) fn want(&mut self, ids: &[DeadLetterId], group: Option<&str>) {
        for id in ids {
            let groups = self
                .letters
                .get(id)
                .into_iter()
                .flat_map(|dead| &dead.groups);
            let groups = groups.filter(|of| group.is_none_or(|group| group == *of));
            let wanted = groups.map(|group| (*id, group.clone()));
            self.wanted.extend(wanted);
        }
    }

    /// Notes that a letter was sent again to a group.
    pub(super) fn sent(&mut self, id: DeadLetterId, group: &str) {
        self.wanted.remove(&(id, group.into()));
    }

    /// Takes a group off a dead letter, which ends with its last group.
    pub(super) fn ack(&mut self, id: DeadLetterId, group: &str) {
        self.sent(id, group);
        if let Some(dead) = self.letters.get_mut(&id) {
            let had_groups = !dead.groups.is_empty();
            dead.groups.retain(|of| of != group);
            if had_groups && dead.groups.is_empty() {
                self.remove(id);
            }
        }
    }

    /// Takes a group of a station off all its dead letters.
    pub(super) fn end_group(&mut self, station: &str, group: &str) {
        let ids: Vec<DeadLetterId> = self.index.of_station(station).collect();
        for id in ids {
            self.ack(id, group);
        }
    }

    pub(super) fn drop_all(&mut self, ids: &[DeadLetterId]) {
        for id in ids {
            self.remove(*id);
        }
    }

    fn remove(&mut self, id: DeadLetterId) {
        if let Some(dead) = self.letters.remove(&id) {
            self.bytes -= dead.size();
            self.index.remove(id, &dead);
            for group in dead.groups {
                self.wanted.remove(&(id, group));
            }
        }
    }

    pub(super) fn remove_where(&mut self, is_old: impl Fn(&DeadLetter) -> bool) {
        let old = self.letters.iter().filter(|(_, dead)| is_old(dead));
        let ids: Vec<DeadLetterId> = old.map(|(id, _)| *id).collect();
        for id in ids {
            self.remove(id);
        }
    }
}

impl DeadLetter {
    /// Returns about how much memory the letter takes. Groups and reason do not count, because they
    /// change while it is kept.
    fn size(&self) -> usize {
        /// What a row costs beside its texts.
        const ROW: usize = 256;
        let headers = self.letter.headers.iter();
        let headers: usize = headers.map(|(key, value)| key.len() + value.len()).sum();
        ROW + headers + self.letter.data.len()
    }
}

impl Letter {
    /// Returns the body as it was.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        let digits = self.data.as_bytes();
        let decoded: Option<Vec<u8>> = digits
            .chunks(2)
            .map(|pair| match pair {
                [high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
                // Not written by us: the JS SDK leaves out leading zeros.
                _ => None,
            })
            .collect();
        decoded.unwrap_or_else(|| digits.to_vec())
    }

    /// Returns the header block with `more` in place of lines of the same keys.
    #[must_use]
    pub fn header_block(&self, more: &[(&str, &str)]) -> Vec<u8> {
        let mut block = bytes::BytesMut::new();
        let mut writer = HeaderWriter::new(&mut block);
        for (key, value) in &self.headers {
            if !more.iter().any(|(k, _)| k == key) {
                writer.push(key.as_bytes(), value.as_bytes());
            }
        }
        for (key, value) in more {
            writer.push(key.as_bytes(), value.as_bytes());
        }
        writer.finish();
        block.to_vec()
    }
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Writes bytes in hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |n: u8| char::from(DIGITS.get(usize::from(n)).copied().unwrap_or(b'0'));
    let digits = bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]);
    digits.collect()
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::ToString as _;
    use alloc::vec;

    use super::*;

    fn dead(station: &str, seq: u64, group: &str) -> DeadLetter {
        DeadLetter {
            kind: DeadLetterKind::Poison,
            station: station.into(),
            partition: 1,
            seq,
            groups: vec![group.to_string()],
            reason: String::new(),
            producer: String::new(),
            letter: Letter::default(),
            updated: seq,
        }
    }

    /// Compares what is counted and found with a walk over all letters.
    fn check(kept: &DeadLettersKept) {
        let mut counts: BTreeMap<&str, Vec<DeadLetterId>> = BTreeMap::new();
        for (id, dead) in kept.iter() {
            counts.entry(&dead.station).or_default().push(id);
            let found = kept.of_message(&dead.station, dead.partition, dead.seq);
            assert_eq!(found, Some(id));
        }
        for station in ["a", "b", "none"] {
            let walked = counts.get(station).cloned().unwrap_or_default();
            let ids: Vec<DeadLetterId> = kept.of_station(station).map(|(id, _)| id).collect();
            assert_eq!((ids.len(), ids), (kept.count_of(station), walked));
        }
        let written = serde_json::to_string(kept).expect("is written");
        let read: DeadLettersKept = serde_json::from_str(&written).expect("is read");
        assert_eq!(read, *kept);
    }

    #[test]
    fn counts_follow_whatever_becomes_of_letters() {
        let mut kept = DeadLettersKept::default();
        for seq in 1..=9 {
            kept.add(dead("a", seq, "g"));
            kept.add(dead("b", seq, "g"));
            kept.add(dead("b", seq, "h"));
        }
        check(&kept);
        assert_eq!((kept.count(), kept.count_of("b")), (18, 9));
        kept.ack(DeadLetterId(1), "g");
        kept.end_group("b", "g");
        check(&kept);
        assert_eq!((kept.count_of("a"), kept.count_of("b")), (8, 9));
        kept.end_group("b", "h");
        kept.remove_where(|dead| dead.updated < 4);
        kept.drop_all(&[DeadLetterId(7)]);
        check(&kept);
        assert_eq!((kept.count_of("a"), kept.count_of("b")), (5, 0));
        kept.add(dead("a", 1, "g"));
        check(&kept);
    }

    #[test]
    fn as_many_letters_as_there_may_be_are_added_without_a_walk_for_each() {
        let mut kept = DeadLettersKept::default();
        // A walk for each would be ten thousand million steps.
        for seq in 0..2 * LETTERS_MAX as u64 {
            kept.add(dead(&format!("s{}", seq % 7), seq, "g"));
        }
        assert_eq!(kept.count(), LETTERS_MAX);
        let counts: usize = (0..7).map(|n| kept.count_of(&format!("s{n}"))).sum();
        assert_eq!(counts, LETTERS_MAX);
        assert_eq!(kept.of_message("s0", 1, 0), None, "the oldest made room");
    }
}
