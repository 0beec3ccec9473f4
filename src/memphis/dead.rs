//! Dead letters on their way into the book: messages that were delivered as often as allowed, that a
//! consumer gave up, or that broke a schema.
//!
//! *Invariant:* the copy for the dead-letter station is stored before the row, so that a row means that
//! the copy is there.

mod sources;

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::headers::Headers;
use protocol::text::rfc3339;
use protocol::time::Wall;
use serde_json::{Value, json};

use crate::answer;
use crate::book::{Change, DeadLetter, DeadLetterKind, Dying, DyingKey, Entry, Letter, hex, stamp};
use crate::machine::Host;
use crate::name::{Kind, Name};
use crate::work::{Cx, Event, Partition, Step, numbers};

pub(crate) use sources::{acked, dying, gave_up, misfit, unfit};

/// The header with the producer's name.
const PRODUCED_BY: &str = "$memphis_producedBy";
/// The producer of messages that were sent again from the dead letters.
pub(crate) const PRODUCER_DLS: &str = "$memphis_dls";
/// The producer of messages that name none.
pub(crate) const PRODUCER_UNKNOWN: &str = "Unknown";

/// A message dies.
#[derive(Debug)]
pub(crate) struct Burial {
    station: Name,
    dead: DeadLetter,
    /// The note of the log that this makes good.
    of: Option<DyingKey>,
    /// What whoever waits is told in the end.
    answer: Vec<u8>,
    at: At,
}

#[derive(Debug)]
enum At {
    Start,
    /// What is under way comes to an end, for the SDK did not say which partition it means.
    Partition,
    /// The message is being read.
    Message,
    /// The copy is being stored in the dead-letter station.
    Copy,
    /// The row is on its way into the log.
    Row,
}

impl Burial {
    const fn new(station: Name, dead: DeadLetter) -> Self {
        Self {
            station,
            dead,
            of: None,
            answer: Vec::new(),
            at: At::Start,
        }
    }

    pub(crate) const fn station(&self) -> &Name {
        &self.station
    }

    pub(crate) fn on<H: Host>(&mut self, event: &Event<'_>, cx: &mut Cx<'_, H>) -> Step {
        match (&self.at, event) {
            (At::Start, _) => self.begin(cx),
            (At::Partition, _) => self.on_settled(cx),
            (At::Message, Event::Answer(answer)) => match letter(answer) {
                Some(letter) => self.on_letter(letter, cx),
                // It has gone since, and there is nobody to tell.
                None => self.on_lost(cx),
            },
            // The row matters more than the copy, which a full dead-letter station may refuse.
            (At::Copy, _) => self.record(cx),
            (At::Row | At::Message, _) => self.done(),
        }
    }

    fn begin<H: Host>(&mut self, cx: &mut Cx<'_, H>) -> Step {
        let kept = cx.row(&self.station).map(|row| row.dead_letters());
        match self.dead.kind {
            DeadLetterKind::Poison => self.begin_poison(cx),
            DeadLetterKind::Schema if kept.is_some_and(|kept| kept.schemaverse) => self.copy(cx),
            DeadLetterKind::Schema => self.done(),
        }
    }

    fn begin_poison<H: Host>(&mut self, cx: &Cx<'_, H>) -> Step {
        let row = cx.row(&self.station);
        // Whoever tells of a group that nobody knows is an SDK whose group has ended. A consumer of a
        // NATS client has no row.
        if self.of.is_none() {
            self.dead
                .groups
                .retain(|group| row.is_some_and(|row| row.groups.contains_key(group)));
        }
        if row.is_some_and(|row| !row.dead_letters().poison) || self.dead.groups.is_empty() {
            return self.drop_it();
        }
        let partitions = cx.partitions(&self.station);
        // SDKs that know no partitions name none, and some name one that cannot be.
        let partition = partitions.iter().find(|p| p.number == self.dead.partition);
        let partition = match (partition, partitions.as_slice()) {
            (Some(partition), _) => partition,
            (None, [only]) => only,
            (None, []) => return self.drop_it(),
            (None, [first, ..]) => {
                self.at = At::Partition;
                return ask_message(&first.stream, self.dead.seq);
            }
        };
        self.dead.partition = partition.number;
        let dead = &self.dead;
        let letters = cx.rows().map(|rows| &rows.dead_letters);
        let known = letters.and_then(|letters| {
            letters.get(letters.of_message(&dead.station, dead.partition, dead.seq)?)
        });
        if let Some(known) = known {
            let is_news = dead
                .groups
                .iter()
                .any(|group| !known.groups.contains(group))
                || (!dead.reason.is_empty() && dead.reason != known.reason);
            return if is_news {
                self.record(cx)
            } else {
                self.drop_it()
            };
        }
        // It came with the note.
        if self.of.is_some() && self.dead.letter.sent > 0 {
            let letter = core::mem::take(&mut self.dead.letter);
            return self.on_letter(letter, cx);
        }
        self.at = At::Message;
        ask_message(&partition.stream, dead.seq)
    }

    /// Goes on once the end of the delivery, which came before, is in the log: it tells the partition.
    fn on_settled<H: Host>(&mut self, cx: &mut Cx<'_, H>) -> Step {
        let partitions = cx.partitions(&self.station);
        match partitions.iter().find(|p| self.has_died_in(p, cx)) {
            Some(partition) => {
                self.dead.partition = partition.number;
                self.begin_poison(cx)
            }
            None => self.drop_it(),
        }
    }

    /// Says whether the group has given up the message of this number in a partition without a reason.
    fn has_died_in<H: Host>(&self, partition: &Partition, cx: &Cx<'_, H>) -> bool {
        let (dead, group) = (&self.dead, self.dead.groups.first());
        let (Some(rows), Some(group)) = (cx.rows(), group) else {
            return false;
        };
        let key = DyingKey {
            stream: partition.stream.clone(),
            consumer: group.replace('.', "#"),
            seq: dead.seq,
        };
        let letters = &rows.dead_letters;
        let letter = letters.of_message(&dead.station, partition.number, dead.seq);
        let letter = letter.and_then(|id| letters.get(id));
        rows.dying.contains_key(&key)
            || letter.is_some_and(|known| known.reason.is_empty() && known.groups.contains(group))
    }

    fn on_letter<H: Host>(&mut self, letter: Letter, cx: &Cx<'_, H>) -> Step {
        let producer = letter.headers.iter().find(|(key, _)| key == PRODUCED_BY);
        self.dead.producer = match producer {
            // It has died before.
            Some((_, producer)) if producer == PRODUCER_DLS => return self.drop_it(),
            Some((_, producer)) => producer.clone(),
            None => PRODUCER_UNKNOWN.into(),
        };
        self.dead.letter = letter;
        self.copy(cx)
    }

    /// Stores a copy in the dead-letter station, if there is one.
    fn copy<H: Host>(&mut self, cx: &Cx<'_, H>) -> Step {
        let Some(dls) = cx.row(&self.station).and_then(|row| row.dls_station()) else {
            return self.record(cx);
        };
        let partitions = numbers(&cx.partitions(dls));
        let letters = cx.rows().map(|rows| rows.dead_letters.next_id().0);
        let turn = letters.unwrap_or_default() % (partitions.len() as u64).max(1);
        let number = usize::try_from(turn)
            .ok()
            .and_then(|turn| partitions.get(turn));
        let Some(number) = number else {
            return self.record(cx);
        };
        self.at = At::Copy;
        let kind = match self.dead.kind {
            DeadLetterKind::Poison => "unacked",
            DeadLetterKind::Schema => "failed_schema",
        };
        let mut more = vec![("station", self.dead.station.as_str()), ("type", kind)];
        // A copy that a crash makes twice is stored once.
        let id = self.of.as_ref().map(DyingKey::message_id);
        more.extend(id.as_deref().map(|id| ("Nats-Msg-Id", id)));
        Step::Ask {
            subject: format!("{}.final", dls.partition_stream(*number)),
            headers: self.dead.letter.header_block(&more),
            body: self.dead.letter.body(),
        }
    }

    /// Returns what whoever waits is told, whatever becomes of the letter.
    pub(crate) fn refusal(&self) -> Option<Vec<u8>> {
        (!self.answer.is_empty()).then(|| self.answer.clone())
    }

    fn done(&mut self) -> Step {
        Step::Answer(core::mem::take(&mut self.answer))
    }

    fn record<H: Host>(&mut self, cx: &Cx<'_, H>) -> Step {
        self.at = At::Row;
        if self.dead.letter.sent == 0 {
            // It was never stored, and so it was sent now.
            self.dead.letter.sent = stamp(cx.host.now().wall);
        }
        let dead = self.dead.clone();
        Step::Record(match self.of.take() {
            Some(key) => Change::Buried(key, Some(dead)),
            None => Change::DeadLetter(dead),
        })
    }

    /// Ends without a dead letter.
    fn drop_it(&mut self) -> Step {
        self.at = At::Row;
        match self.of.take() {
            Some(key) => Step::Record(Change::Buried(key, None)),
            None => self.done(),
        }
    }

    /// The message has gone from its stream: that it died is all that can be kept.
    fn on_lost<H: Host>(&mut self, cx: &Cx<'_, H>) -> Step {
        if self.of.is_none() {
            return self.done();
        }
        self.dead.producer = PRODUCER_UNKNOWN.into();
        if self.dead.reason.is_empty() {
            self.dead.reason = "the message is not stored any more".into();
        }
        self.record(cx)
    }
}

impl DyingKey {
    /// Returns what the copy in a dead-letter station is known by.
    fn message_id(&self) -> String {
        let Self {
            stream,
            consumer,
            seq,
        } = self;
        format!("dead.{stream}.{consumer}.{seq}")
    }
}

/// A message that died.
#[derive(Clone, Copy, Debug)]
pub struct AtHand<'a> {
    /// The header block.
    pub headers: &'a [u8],
    /// The body.
    pub payload: &'a [u8],
    /// When it was stored.
    pub sent: Wall,
}

/// Returns the entry that notes the death of a message in an account.
#[must_use]
pub fn death(
    account: &str,
    now: Wall,
    key: DyingKey,
    reason: &[u8],
    at_hand: Option<AtHand<'_>>,
) -> Vec<u8> {
    let letter = at_hand.map(|message| Letter {
        headers: header_lines(message.headers),
        data: hex(message.payload),
        sent: stamp(message.sent),
    });
    let entry = Entry {
        account: account.into(),
        time: stamp(now),
        change: Change::Dying(Dying {
            key,
            reason: String::from_utf8_lossy(reason).into_owned(),
            letter,
        }),
    };
    entry.encode()
}

fn ask_message(stream: &str, seq: u64) -> Step {
    let subject = format!("$JS.API.STREAM.MSG.GET.{stream}");
    let body = format!("{}", json!({"seq": seq}));
    Step::ask(subject, body.into_bytes())
}

/// Reads a stored message from the answer of `STREAM.MSG.GET`.
fn letter(answer: &[u8]) -> Option<Letter> {
    let answer = answer::read(answer).ok()?;
    let message = answer.get("message")?;
    let decode = |key| -> Option<Vec<u8>> {
        let text = message.get(key).and_then(Value::as_str).unwrap_or_default();
        STANDARD.decode(text).ok()
    };
    let block = decode("hdrs")?;
    let time = message.get("time").and_then(Value::as_str)?;
    Some(Letter {
        headers: header_lines(&block),
        data: hex(&decode("data")?),
        sent: rfc3339::parse(time).map_or(0, |time| time.0),
    })
}

fn header_lines(block: &[u8]) -> Vec<(String, String)> {
    let lossy = |bytes| String::from_utf8_lossy(bytes).into_owned();
    let lines = Headers::new(block).iter();
    lines
        .map(|(key, value)| (lossy(key), lossy(value)))
        .collect()
}

fn station_named(internal: &str) -> Option<Name> {
    // Requests name the station by its streams' name.
    Name::new(Kind::Station, &internal.replace('#', ".")).ok()
}
