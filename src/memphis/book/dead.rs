//! Dead letters: messages that nobody acknowledged, or that broke a schema.
//!
//! *Invariant:* they never take more than [`BYTES_MAX`] and [`LETTERS_MAX`] per account; the oldest
//! make room.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use protocol::headers::HeaderWriter;
use serde::{Deserialize, Serialize};

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
pub struct DeadLettersKept {
    letters: BTreeMap<DeadLetterId, DeadLetter>,
    /// To which groups which letters are to be sent again.
    #[serde(default)]
    wanted: BTreeSet<(DeadLetterId, String)>,
    last_id: DeadLetterId,
    bytes: usize,
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

    /// Returns what the next new dead letter is called.
    #[must_use]
    pub fn next_id(&self) -> DeadLetterId {
        DeadLetterId(self.last_id.0 + 1)
    }

    /// Returns the dead letter of a stored message.
    #[must_use]
    pub fn of_message(&self, station: &str, partition: u32, seq: u64) -> Option<DeadLetterId> {
        let is_it = |dead: &DeadLetter| {
            dead.seq == seq && dead.partition == partition && dead.station == station
        };
        // From the newest: a message dies for its groups at about the same time.
        let mut newest_first = self.letters.iter().rev();
        let stored =
            newest_first.find(|(_, dead)| dead.kind == DeadLetterKind::Poison && is_it(dead));
        stored.map(|(id, _)| *id)
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
        let of_station = self
            .letters
            .iter()
            .filter(|(_, dead)| dead.station == station);
        let ids: Vec<DeadLetterId> = of_station.map(|(id, _)| *id).collect();
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
