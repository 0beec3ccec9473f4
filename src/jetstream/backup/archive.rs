//! Archives made from what another server told: written record by record, and read again as far as they
//! go, so that who makes one can stop and go on.
//!
//! *Invariant:* what is written here is what a stream of this server would write of itself: the record
//! formats are the backup's own.

use bytes::{Bytes, BytesMut};
use protocol::id::Seq;
use protocol::js::config::ConsumerConfig;
use protocol::js::enums::AckPolicy;
use protocol::js::json::to_vec;
use protocol::time::Wall;

use super::record::{Record, put_mark, take, take_mark};
use super::{ArchiveError, frame};
use crate::consumer::state::{Acks, ConsumerState, Position};

/// Most bytes of an archive that [`put_frame`] takes.
pub const FRAME_LEN_MAX: usize = frame::DATA_LEN_MAX;

/// A message with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its number.
    pub seq: Seq,
    /// When it was stored.
    pub time: Wall,
    /// The subject.
    pub subject: Bytes,
    /// The whole header block; empty for none.
    pub headers: Bytes,
    /// The body.
    pub payload: Bytes,
}

/// What an archive ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// The stream's last number.
    pub last: Seq,
    /// When that was stored.
    pub last_time: Wall,
    /// How many messages there are.
    pub messages: u64,
    /// How many consumers.
    pub consumers: u64,
}

/// Begins an archive.
pub fn put_start(out: &mut BytesMut, name: &str, created: Wall) {
    put_mark(out);
    let name = Bytes::copy_from_slice(name.as_bytes());
    Record::Stream { created, name }.encode(out);
}

/// Appends a message, whose number is higher than those before.
pub fn put_message(out: &mut BytesMut, message: &Message) {
    let Message {
        seq,
        time,
        subject,
        headers,
        payload,
    } = message.clone();
    let record = Record::Message {
        seq,
        time,
        subject,
        headers,
        payload,
    };
    record.encode(out);
}

/// Appends a consumer that goes on behind `floor`: what it delivered beyond that is delivered again.
pub fn put_consumer(
    out: &mut BytesMut,
    name: &str,
    config: &ConsumerConfig,
    created: Wall,
    floor: Position,
) {
    let acks = match config.ack_policy {
        AckPolicy::None => Acks::None,
        AckPolicy::All | AckPolicy::FlowControl => Acks::All,
        AckPolicy::Explicit => Acks::Explicit,
    };
    let mut state = alloc::vec::Vec::new();
    ConsumerState::resumed(acks, floor).snapshot(&mut state);
    let record = Record::Consumer {
        created,
        name: Bytes::copy_from_slice(name.as_bytes()),
        config: to_vec(config).into(),
        state: state.into(),
    };
    record.encode(out);
}

/// Ends an archive.
pub fn put_end(out: &mut BytesMut, end: &End) {
    let End {
        last,
        last_time,
        messages,
        consumers,
    } = *end;
    let record = Record::End {
        last,
        last_time,
        messages,
        consumers,
    };
    record.encode(out);
}

/// Begins what is sent of an archive.
pub fn put_frames_start(out: &mut BytesMut) {
    frame::put_start(out);
}

/// Appends a piece of an archive, at most [`FRAME_LEN_MAX`] bytes, as it is sent.
pub fn put_frame(out: &mut BytesMut, data: &[u8]) {
    frame::put_frame(out, data);
}

/// Reads the beginning of an archive, in pieces.
#[derive(Debug, Default)]
pub struct Scan {
    input: BytesMut,
    is_marked: bool,
    read: u64,
    stream: Option<(Bytes, Wall)>,
    messages: u64,
    last: Seq,
}

impl Scan {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// When they are no archive of messages.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), NoArchive> {
        self.input.extend_from_slice(bytes);
        self.take().map_err(|_| NoArchive)
    }

    fn take(&mut self) -> Result<(), ArchiveError> {
        let before = self.input.len();
        if !self.is_marked {
            self.is_marked = take_mark(&mut self.input)?;
        }
        while self.is_marked {
            match take(&mut self.input)? {
                None => break,
                Some(Record::Stream { created, name }) if self.stream.is_none() => {
                    self.stream = Some((name, created));
                }
                Some(Record::Message { seq, .. }) if seq > self.last => {
                    self.last = seq;
                    self.messages += 1;
                }
                Some(_) => return Err(ArchiveError::Damaged),
            }
        }
        self.read += (before - self.input.len()) as u64;
        Ok(())
    }

    /// Returns the stream's name and when it was made, once they were read.
    #[must_use]
    pub fn stream(&self) -> Option<(&[u8], Wall)> {
        self.stream
            .as_ref()
            .map(|(name, created)| (&**name, *created))
    }

    /// Returns how many bytes whole records take.
    #[must_use]
    pub fn whole_len(&self) -> u64 {
        self.read
    }

    /// Returns how many messages there are, and the last one's number.
    #[must_use]
    pub fn messages(&self) -> (u64, Seq) {
        (self.messages, self.last)
    }
}

/// What was read is no archive of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no archive of messages")]
pub struct NoArchive;

#[cfg(test)]
mod tests {
    use super::*;

    fn message(seq: u64) -> Message {
        Message {
            seq: Seq(seq),
            time: Wall(seq * 10),
            subject: Bytes::from_static(b"a.b"),
            headers: Bytes::new(),
            payload: Bytes::from_static(b"body"),
        }
    }

    #[test]
    fn an_archive_that_was_cut_off_goes_on_behind_its_last_whole_record() {
        let mut archive = BytesMut::new();
        put_start(&mut archive, "S", Wall(7));
        put_message(&mut archive, &message(3));
        let whole = archive.len();
        put_message(&mut archive, &message(9));
        let end = archive.len();
        for cut in whole..=end {
            let mut scan = Scan::default();
            for piece in archive[..cut].chunks(5) {
                scan.push(piece).unwrap();
            }
            assert_eq!(scan.stream(), Some((&b"S"[..], Wall(7))));
            let expected = if cut == end { (2, Seq(9)) } else { (1, Seq(3)) };
            assert_eq!(scan.messages(), expected);
            let len = if cut == end { end } else { whole };
            assert_eq!(scan.whole_len(), len as u64);
        }
    }

    #[test]
    fn what_is_no_archive_is_told() {
        assert_eq!(Scan::default().push(b"something else"), Err(NoArchive));
        let mut twice = BytesMut::new();
        put_start(&mut twice, "S", Wall(7));
        put_message(&mut twice, &message(3));
        put_message(&mut twice, &message(3));
        assert_eq!(Scan::default().push(&twice), Err(NoArchive));
    }
}
