//! Taking a committed message into the stream.
//!
//! *Invariant:* the order of checks is nats-server's (a duplicate wins over a wrong last message id but
//! loses to a wrong last sequence, and so on); each of them depends on the applied log alone.

use alloc::boxed::Box;
use alloc::string::String;

use bytes::Bytes;
use protocol::id::Seq;
use protocol::js::errors::{self, ApiError};
use protocol::store::Loc;
use protocol::time::Wall;

use super::headers::is_partition;
use super::limits::Ahead;
use super::{PublishHeaders, Removal, StreamCore, Ttl};
use crate::decimal::Decimal;
use crate::dedup::{MsgIdHash, Remembered};
use crate::entry::{Role, Stored};
use crate::env::Inbound;
use crate::index::{Filter, NewMsg};

/// Largest header block of a stored message, in bytes.
const HEADERS_LEN_MAX: usize = 65_535;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It is stored.
    Stored(Seq),
    /// It got a sequence, but nobody wants it.
    Skipped(Seq),
    /// It was stored before.
    Duplicate(Seq),
}

/// Whether some consumer wants a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// One does, or retention does not ask.
    Wanted,
    /// None does, and retention lets it go.
    Unwanted,
}

impl Interest {
    /// Returns what became of a message that was not refused.
    pub(super) fn applied(self, seq: Seq) -> Applied {
        match self {
            Self::Wanted => Applied::Stored(seq),
            Self::Unwanted => Applied::Skipped(seq),
        }
    }
}

/// Why a message was refused. Boxed: refusals are rare, and results are returned for every message.
pub type Refusal = Box<ApiError>;

impl StreamCore {
    /// Returns whether a message on `subject` is to be kept; consumers are asked if retention does.
    #[must_use]
    pub fn is_wanted(&self, ask: impl FnOnce(&[u8]) -> bool, subject: &[u8]) -> Interest {
        if !self.rules.asks_interest || ask(subject) {
            Interest::Wanted
        } else {
            Interest::Unwanted
        }
    }

    /// Returns whether a message is stored whatever the stream holds.
    pub(crate) fn takes_always(&self, msg: &Stored<'_>) -> bool {
        let rules = &self.rules;
        let asks = PublishHeaders {
            is_marker: false,
            ..PublishHeaders::parse(msg.headers)
        };
        msg.role == Role::Plain
            && (msg.headers.is_empty() || asks == PublishHeaders::default())
            && !rules.sealed
            && !rules.is_mirror
            && rules.max_msg_size < 0
            && !rules.refuses
    }

    /// Returns whether the stream is one whose publishers do not wait for the disk, and a message one
    /// whose sequence is known as soon as it is proposed.
    pub(crate) fn is_sure(&self, msg: &Inbound<'_>) -> bool {
        let rules = &self.rules;
        rules.is_async
            && msg.headers.is_empty()
            && !rules.sealed
            && !rules.allow_msg_counter
            && !rules.is_mirror
            && !rules.refuses
    }

    /// Applies a committed message.
    ///
    /// # Errors
    /// What the publisher is told when the message is refused.
    pub(crate) fn apply_publish(
        &mut self,
        msg: &Stored<'_>,
        loc: Loc,
        wanted: Interest,
        removal: &mut impl Removal,
    ) -> Result<Applied, Refusal> {
        if self.rules.sealed {
            return refuse(errors::STREAM_SEALED);
        }
        match msg.role {
            Role::Plain | Role::Part { .. } => {}
            Role::Marker { replaces } => return self.apply_marker(msg, loc, replaces, removal),
            Role::Copy(origin) => return self.apply_copy(msg, origin, (loc, wanted), removal),
            Role::Fired(fired) => return self.apply_fired(msg, fired, (loc, wanted), removal),
            // Only a stream that is being restored takes it, and another way.
            Role::Restored(_) => return refuse(errors::BAD_REQUEST),
        }
        let headers = self.headers_of(msg);
        if !msg.headers.is_empty()
            && let Some(seq) = self.check_headers(msg, &headers)?
        {
            return Ok(Applied::Duplicate(seq));
        }
        self.check_increment(&headers)?;
        self.check_size(msg)?;
        let seq = self.store_wanted(msg, (loc, wanted), &headers, removal)?;
        if headers.concerns_schedules {
            self.end_schedule_named_by(msg, removal);
        }
        if let Some(id) = headers.msg_id {
            self.dedup.insert(Remembered {
                time: msg.time,
                id: MsgIdHash::of(id),
                seq,
            });
        }
        Ok(wanted.applied(seq))
    }

    /// Returns the headers that concern the stream; stations know message ids under their own name.
    pub(super) fn headers_of<'a>(&self, msg: &Stored<'a>) -> PublishHeaders<'a> {
        let mut headers = PublishHeaders::parse(msg.headers);
        if headers.msg_id.is_none() && headers.memphis_msg_id.is_some() && is_partition(self.name())
        {
            headers.msg_id = headers.memphis_msg_id;
        }
        headers
    }

    /// Checks what the headers demand; returns the sequence of the message that this one repeats.
    pub(super) fn check_headers(
        &mut self,
        msg: &Stored<'_>,
        headers: &PublishHeaders<'_>,
    ) -> Result<Option<Seq>, Refusal> {
        self.check_asked(msg, headers)?;
        if let Some(id) = headers.msg_id
            && self.dedup.is_on()
            && let Some(seq) = self.dedup.find(MsgIdHash::of(id), msg.time)
        {
            return Ok(Some(seq));
        }
        self.check_unless_repeated(headers)?;
        Ok(None)
    }

    /// Refuses a message that brings nothing to count where only counters are kept.
    pub(super) fn check_increment(&self, headers: &PublishHeaders<'_>) -> Result<(), Refusal> {
        let brings = headers.increment.is_some_and(|text| !text.is_empty());
        if self.rules.allow_msg_counter && !brings {
            return refuse(errors::MESSAGE_INCR_MISSING);
        }
        Ok(())
    }

    /// Checks what every message has to fulfil.
    fn check_asked(&self, msg: &Stored<'_>, headers: &PublishHeaders<'_>) -> Result<(), Refusal> {
        self.check_addressed(headers)?;
        // One that says nothing is found out only when all else is in order.
        let has_ttl = headers.ttl.is_some_and(|ttl| Ttl::parse(ttl).is_some());
        if has_ttl && !self.config.allow_msg_ttl {
            return refuse(errors::MESSAGE_TTL_DISABLED);
        }
        self.check_expected_of_subject(msg, headers)?;
        self.check_expected_last(headers)?;
        if headers.concerns_schedules {
            self.check_schedule(msg, headers)?;
        }
        check_source(headers)
    }

    /// Checks whether a message counts only where that is done, and is for this stream.
    pub(super) fn check_addressed(&self, headers: &PublishHeaders<'_>) -> Result<(), Refusal> {
        if let Some(increment) = headers.increment.filter(|text| !text.is_empty())
            && !self.config.allow_msg_counter
        {
            return refuse(match Decimal::parse(increment) {
                Some(_) => errors::MESSAGE_INCR_DISABLED,
                None => errors::MESSAGE_INCR_INVALID,
            });
        }
        if let Some(stream) = headers.expected_stream
            && stream != self.name().as_bytes()
        {
            return refuse(errors::STREAM_NOT_MATCH);
        }
        Ok(())
    }

    /// Checks what a message that repeats another one need not fulfil.
    fn check_unless_repeated(&self, headers: &PublishHeaders<'_>) -> Result<(), Refusal> {
        self.check_last_msg_id(headers)?;
        if let Some(rollup) = headers.rollup {
            self.check_rollup(rollup)?;
        }
        Ok(())
    }

    pub(super) fn check_last_msg_id(&self, headers: &PublishHeaders<'_>) -> Result<(), Refusal> {
        if let Some(id) = headers.expected_last_msg_id
            && id != self.last_msg_id
        {
            let last = String::from_utf8_lossy(&self.last_msg_id);
            return refuse(errors::STREAM_WRONG_LAST_MSG_ID.with(last));
        }
        Ok(())
    }

    /// Returns the message that one repeats.
    pub(crate) fn repeated(&self, msg: &Inbound<'_>) -> Option<Seq> {
        let headers = PublishHeaders::parse(msg.headers);
        let id = headers.msg_id.filter(|_| self.dedup.is_on())?;
        self.dedup.peek(MsgIdHash::of(id))
    }

    /// Returns why a message would be refused now, if nothing is under way.
    pub(crate) fn would_refuse(&self, msg: &Inbound<'_>, now: Wall) -> Result<(), Refusal> {
        let msg = self.unstored(msg, now);
        let headers = self.headers_of(&msg);
        if self.asked(&msg, &headers)?.is_some() {
            return Ok(());
        }
        self.check_size(&msg)?;
        self.check_ttl(&headers)?;
        self.check_discard(&msg)
    }

    /// Returns what comes of a message's headers by themselves, if nothing is under way: the message that it
    /// repeats, or why it is refused.
    pub(crate) fn foresee_headers(
        &self,
        msg: &Inbound<'_>,
        now: Wall,
    ) -> Result<Option<Seq>, Refusal> {
        let msg = self.unstored(msg, now);
        let headers = self.headers_of(&msg);
        let repeated = self.asked(&msg, &headers)?;
        if repeated.is_none() {
            self.check_increment(&headers)?;
        }
        Ok(repeated)
    }

    fn asked(
        &self,
        msg: &Stored<'_>,
        headers: &PublishHeaders<'_>,
    ) -> Result<Option<Seq>, Refusal> {
        self.check_asked(msg, headers)?;
        let id = headers.msg_id.map(MsgIdHash::of);
        if let Some(seq) = id.and_then(|id| self.dedup.peek(id)) {
            return Ok(Some(seq));
        }
        self.check_unless_repeated(headers)?;
        Ok(None)
    }

    /// Returns a message as it would be stored now.
    pub(super) fn unstored<'a>(&self, msg: &Inbound<'a>, now: Wall) -> Stored<'a> {
        static NOT_YET: Bytes = Bytes::new();
        Stored {
            stream: self.id(),
            time: now,
            subject: msg.subject,
            headers: msg.headers,
            payload: msg.payload,
            role: Role::Plain,
            mark: None,
            entry: &NOT_YET,
        }
    }

    /// Refuses a message that a stream has no room for which keeps what it has.
    pub(super) fn check_discard(&self, msg: &Stored<'_>) -> Result<(), Refusal> {
        if !self.rules.refuses {
            return Ok(());
        }
        let len = msg.subject.len() + msg.headers.len() + msg.payload.len();
        let len = u32::try_from(len).unwrap_or(u32::MAX >> 1);
        let size = self.index.size_of(len, !msg.headers.is_empty());
        self.check_room(msg.subject, size, Ahead::default())
    }

    pub(super) fn check_expected_of_subject(
        &self,
        msg: &Stored<'_>,
        headers: &PublishHeaders<'_>,
    ) -> Result<(), Refusal> {
        if let Some(expected) = headers.expected_last_subject_seq {
            let subject = headers.expected_last_subject_seq_subject;
            let filter = Filter::new(subject.unwrap_or(msg.subject));
            let last = self.index.last(&filter).unwrap_or_default();
            if last.0 != expected {
                return refuse(errors::STREAM_WRONG_LAST_SEQUENCE.with(last.0));
            }
        } else if headers.expected_last_subject_seq_subject.is_some() {
            return refuse(errors::STREAM_EXPECTED_LAST_SEQ_PER_SUBJECT_INVALID);
        }
        Ok(())
    }

    fn check_expected_last(&self, headers: &PublishHeaders<'_>) -> Result<(), Refusal> {
        let last = self.index.last_seq().0;
        if headers.expected_last_seq.is_some_and(|seq| seq != last) {
            return refuse(errors::STREAM_WRONG_LAST_SEQUENCE.with(last));
        }
        Ok(())
    }

    pub(super) fn check_rollup(&self, rollup: &[u8]) -> Result<(), Refusal> {
        if !self.config.allow_rollup_hdrs || self.config.deny_purge {
            return refuse(errors::STREAM_ROLLUP_FAILED.with("rollup not permitted"));
        }
        if rollup != b"sub" && rollup != b"all" {
            let value = String::from_utf8_lossy(rollup).to_lowercase();
            let text = alloc::format!("rollup value invalid: {value:?}");
            return refuse(errors::STREAM_ROLLUP_FAILED.with(text));
        }
        Ok(())
    }

    pub(super) fn check_size(&self, msg: &Stored<'_>) -> Result<(), Refusal> {
        self.fits(msg.headers, msg.payload)
    }

    /// Refuses a message that is larger than the stream takes.
    pub(crate) fn fits(&self, headers: &[u8], payload: &[u8]) -> Result<(), Refusal> {
        self.fits_size(headers, payload)?;
        if headers.len() > HEADERS_LEN_MAX {
            return refuse(errors::STREAM_HEADER_EXCEEDS_MAXIMUM);
        }
        Ok(())
    }

    /// Stores a message, or gives it a sequence only if nobody wants it.
    pub(super) fn store_wanted(
        &mut self,
        msg: &Stored<'_>,
        (loc, wanted): (Loc, Interest),
        headers: &PublishHeaders<'_>,
        removal: &mut impl Removal,
    ) -> Result<Seq, Refusal> {
        let seq = match wanted {
            Interest::Wanted => self.store(msg, loc, headers, removal)?,
            Interest::Unwanted => {
                let seq = self.index.skip(msg.time);
                self.roll_up(msg.subject, seq, headers, removal);
                seq
            }
        };
        self.last_msg_id.clear();
        self.last_msg_id
            .extend_from_slice(headers.msg_id.unwrap_or_default());
        Ok(seq)
    }

    /// Refuses a message that is longer than the configuration allows. This is what is looked at first.
    pub(crate) fn fits_size(&self, headers: &[u8], payload: &[u8]) -> Result<(), Refusal> {
        let len = headers.len() + payload.len();
        match usize::try_from(self.rules.max_msg_size) {
            Ok(max) if len > max => refuse(errors::STREAM_MESSAGE_EXCEEDS_MAXIMUM),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Gives the message its place, and lets go of what it pushes out and then of what it stands for: like
    /// in nats-server, what it stands for takes room as long as that.
    pub(super) fn store(
        &mut self,
        msg: &Stored<'_>,
        loc: Loc,
        headers: &PublishHeaders<'_>,
        removal: &mut impl Removal,
    ) -> Result<Seq, Refusal> {
        self.check_ttl(headers)?;
        let body_len = msg.subject.len() + msg.headers.len() + msg.payload.len();
        let new = NewMsg {
            loc,
            time: msg.time,
            // A message is smaller than the connection's largest payload, which fits.
            len: u32::try_from(body_len).unwrap_or(u32::MAX >> 1),
            has_headers: !msg.headers.is_empty(),
        };
        if self.rules.refuses {
            let size = self.index.size_of(new.len, new.has_headers);
            self.check_room(msg.subject, size, Ahead::default())?;
        }
        let seq = self.index.push(msg.subject, new);
        self.note_lifetime(seq, msg.time, headers);
        if self.rules.allow_msg_schedules {
            self.note_schedule(seq, msg, headers);
        }
        if self.rules.is_memory
            && let Some(entries) = &mut self.memory
        {
            entries.insert(seq.0, msg.entry.clone());
        }
        self.make_room(msg.subject, removal);
        self.roll_up(msg.subject, seq, headers, removal);
        Ok(seq)
    }

    /// Refuses a time to live that says nothing.
    pub(super) fn check_ttl(&self, headers: &PublishHeaders<'_>) -> Result<(), Refusal> {
        match headers.ttl.map(Ttl::parse) {
            Some(None) => refuse(errors::MESSAGE_TTL_INVALID),
            Some(Some(_)) | None => Ok(()),
        }
    }

    /// Removes what a message takes the place of.
    fn roll_up(
        &mut self,
        subject: &[u8],
        seq: Seq,
        headers: &PublishHeaders<'_>,
        removal: &mut impl Removal,
    ) {
        match headers.rollup {
            Some(b"all") => self.roll_up_below(b"", seq, removal),
            Some(b"sub") => self.roll_up_below(subject, seq, removal),
            Some(_) | None => {}
        }
    }
}

pub(super) fn check_source(headers: &PublishHeaders<'_>) -> Result<(), Refusal> {
    match headers.source {
        Some(_) => refuse(errors::MESSAGE_SOURCE_HDR_NOT_ALLOWED),
        None => Ok(()),
    }
}

pub(super) fn refuse<T>(error: ApiError) -> Result<T, Refusal> {
    Err(Box::new(error))
}
