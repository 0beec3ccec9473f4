//! From what was received to the bytes inside.
//!
//! *Invariant:* what a peer sends never makes it hold more than a header, a control frame and
//! [`PIECE_MAX`] of decompressed bytes; a message that grows beyond its limit is an error.

use alloc::boxed::Box;

use bytes::{Buf, BytesMut};
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZError, MZFlush, MZStatus};

use super::CloseStatus;
use super::frame::{CONTROL_MAX, Head, Opcode, unmask};

/// The most that is decompressed at a time.
const PIECE_MAX: usize = 32 << 10;
/// What ends a compressed message, and is left out of it.
const DEFLATE_TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub enum Item {
    /// Bytes of a message.
    Data(BytesMut),
    /// The peer wants a pong with the same bytes.
    Ping(BytesMut),
    /// The peer answers a ping, or says that it is there.
    Pong,
    /// The peer closes.
    Close(CloseFrame),
}

/// What a peer says when it closes.
#[derive(Debug, PartialEq, Eq)]
pub struct CloseFrame {
    /// Why; none if it does not say.
    pub status: Option<CloseStatus>,
    /// More about it.
    pub text: BytesMut,
}

/// How a peer broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A bit is set that nobody has given a meaning.
    #[error("RSV2 and RSV3 must be clear")]
    Reserved,
    /// Compression was not agreed on.
    #[error("compressed frame received without negotiated permessage-deflate")]
    NotNegotiated,
    /// A client's frame is not masked.
    #[error("mask bit missing")]
    Unmasked,
    /// A control frame is too long.
    #[error("control frame length bigger than maximum allowed of {CONTROL_MAX} bytes")]
    ControlTooLong,
    /// A control frame is in pieces.
    #[error("control frame does not have final bit set")]
    ControlFragmented,
    /// A control frame is compressed.
    #[error("control frame must not be compressed")]
    ControlCompressed,
    /// A message begins in another one.
    #[error("new message started before final frame for previous message was received")]
    Interleaved,
    /// There is nothing to continue.
    #[error("invalid continuation frame")]
    Continuation,
    /// There is no such frame.
    #[error("unknown opcode {0}")]
    Opcode(u8),
    /// A length is none.
    #[error("invalid 64-bit payload length")]
    Length,
    /// A close frame is cut short.
    #[error("close frame payload cannot be 1 byte")]
    CloseTooShort,
    /// A close frame's status is not for peers.
    #[error("invalid close status code {0}")]
    CloseStatus(u16),
    /// What should be compressed is not.
    #[error("corrupt compressed message")]
    Corrupt,
    /// A message decompresses to more than it may.
    #[error("decompressed message too big")]
    TooBig,
}

impl Violation {
    /// Returns what the peer is told.
    #[must_use]
    pub fn status(self) -> CloseStatus {
        match self {
            Self::TooBig => CloseStatus::TOO_BIG,
            Self::Reserved
            | Self::NotNegotiated
            | Self::Unmasked
            | Self::ControlTooLong
            | Self::ControlFragmented
            | Self::ControlCompressed
            | Self::Interleaved
            | Self::Continuation
            | Self::Opcode(_)
            | Self::Length
            | Self::CloseTooShort
            | Self::CloseStatus(_)
            | Self::Corrupt => CloseStatus::PROTOCOL_ERROR,
        }
    }
}

/// What a connection agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Terms {
    masked: bool,
    compression: bool,
    /// The most that one message may decompress to.
    inflated_max: usize,
}

/// A frame whose header has been read.
#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: Opcode,
    mask: [u8; 4],
    /// How many bytes of it have been read.
    at: usize,
    left: u64,
}

/// A message whose last frame has not been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Message {
    compressed: bool,
    /// Whether the current frame is its last.
    last: bool,
}

/// Reads what one peer sends.
#[derive(Debug)]
pub struct Reader {
    terms: Terms,
    frame: Option<Frame>,
    message: Option<Message>,
    /// Made when a compressed message arrives, and kept for the next.
    inflater: Option<Box<Inflater>>,
}

impl Reader {
    /// Returns a reader at the start of a connection. `masked` says whether the peer masks its
    /// frames; with `inflated_max` compression was agreed on, and no message may decompress to more.
    #[must_use]
    pub fn new(masked: bool, inflated_max: Option<usize>) -> Self {
        Self {
            terms: Terms {
                masked,
                compression: inflated_max.is_some(),
                inflated_max: inflated_max.unwrap_or(0),
            },
            frame: None,
            message: None,
            inflater: None,
        }
    }

    /// Takes the next item out of `input`; none until there is more of it.
    ///
    /// # Errors
    /// How the peer broke the protocol; there is no going on after that.
    pub fn next(&mut self, input: &mut BytesMut) -> Result<Option<Item>, Violation> {
        loop {
            while let Some(inflater) = &mut self.inflater
                && inflater.is_busy()
            {
                let piece = inflater.next(self.terms.inflated_max)?;
                if !piece.is_empty() {
                    return Ok(Some(Item::Data(piece)));
                }
            }
            if self.frame.is_none() {
                self.frame = self.head(input)?;
            }
            let Some(frame) = &mut self.frame else {
                return Ok(None);
            };
            let left = usize::try_from(frame.left).unwrap_or(usize::MAX);
            if frame.opcode.is_control() {
                if input.len() < left {
                    return Ok(None);
                }
                let mut payload = input.split_to(left);
                unmask(&mut payload, frame.mask, 0);
                let opcode = frame.opcode;
                self.frame = None;
                return control(opcode, payload).map(Some);
            }
            if input.is_empty() && left > 0 {
                return Ok(None);
            }
            let mut payload = input.split_to(left.min(input.len()));
            unmask(&mut payload, frame.mask, frame.at);
            // Four positions repeat, so that only they matter.
            frame.at = (frame.at + payload.len()) % frame.mask.len();
            frame.left -= payload.len() as u64;
            if let Some(item) = self.data(payload)? {
                return Ok(Some(item));
            }
        }
    }

    /// Goes on with a message by some bytes of its current frame.
    fn data(&mut self, payload: BytesMut) -> Result<Option<Item>, Violation> {
        let ends = self.frame.is_some_and(|frame| frame.left == 0);
        if ends {
            self.frame = None;
        }
        let message = self.message.ok_or(Violation::Continuation)?;
        let ends = ends && message.last;
        if ends {
            self.message = None;
        }
        if message.compressed {
            let inflater = self.inflater.get_or_insert_default();
            inflater.feed(payload, ends);
            return Ok(None);
        }
        Ok((!payload.is_empty()).then_some(Item::Data(payload)))
    }

    /// Takes a header out of `input` if there is a whole one, and says what is wrong with it as soon
    /// as that is known.
    fn head(&mut self, input: &mut BytesMut) -> Result<Option<Frame>, Violation> {
        let [first, second, ..] = **input else {
            return Ok(None);
        };
        let head = Head::parse(first, second);
        let opcode = self.check(head)?;
        let mask_len = if self.terms.masked { 4 } else { 0 };
        let len = 2 + head.extended_len() + mask_len;
        if input.len() < len {
            return Ok(None);
        }
        input.advance(2);
        let left = match head.extended_len() {
            0 => u64::from(head.short_len),
            2 => u64::from(input.get_u16()),
            _ => input.get_u64(),
        };
        if left > i64::MAX as u64 {
            return Err(Violation::Length);
        }
        let mut mask = [0; 4];
        if self.terms.masked {
            input.copy_to_slice(&mut mask);
        }
        match opcode {
            Opcode::Text | Opcode::Binary => {
                self.message = Some(Message {
                    compressed: head.compressed,
                    last: head.last,
                });
            }
            Opcode::Continuation => {
                if let Some(message) = &mut self.message {
                    message.last = head.last;
                }
            }
            Opcode::Close | Opcode::Ping | Opcode::Pong => {}
        }
        Ok(Some(Frame {
            opcode,
            mask,
            at: 0,
            left,
        }))
    }

    fn check(&self, head: Head) -> Result<Opcode, Violation> {
        if head.reserved {
            return Err(Violation::Reserved);
        }
        if head.compressed && !self.terms.compression {
            return Err(Violation::NotNegotiated);
        }
        if self.terms.masked && !head.masked {
            return Err(Violation::Unmasked);
        }
        let opcode = Opcode::from_bits(head.opcode).ok_or(Violation::Opcode(head.opcode))?;
        match opcode {
            Opcode::Close | Opcode::Ping | Opcode::Pong => {
                if usize::from(head.short_len) > CONTROL_MAX {
                    return Err(Violation::ControlTooLong);
                }
                if !head.last {
                    return Err(Violation::ControlFragmented);
                }
                if head.compressed {
                    return Err(Violation::ControlCompressed);
                }
            }
            Opcode::Text | Opcode::Binary if self.message.is_some() => {
                return Err(Violation::Interleaved);
            }
            // Only a message's first frame says that it is compressed.
            Opcode::Continuation if self.message.is_none() || head.compressed => {
                return Err(Violation::Continuation);
            }
            Opcode::Text | Opcode::Binary | Opcode::Continuation => {}
        }
        Ok(opcode)
    }
}

fn control(opcode: Opcode, mut payload: BytesMut) -> Result<Item, Violation> {
    if opcode == Opcode::Ping {
        return Ok(Item::Ping(payload));
    }
    if opcode != Opcode::Close {
        return Ok(Item::Pong);
    }
    let status = match payload.len() {
        0 => None,
        1 => return Err(Violation::CloseTooShort),
        _ => {
            let status = CloseStatus(payload.get_u16());
            if !status.is_valid() {
                return Err(Violation::CloseStatus(status.0));
            }
            Some(status)
        }
    };
    let frame = match core::str::from_utf8(&payload) {
        Ok(_) => CloseFrame {
            status,
            text: payload,
        },
        Err(_) => CloseFrame {
            status: Some(CloseStatus::INVALID_PAYLOAD),
            text: BytesMut::from("invalid utf8 body in close frame"),
        },
    };
    Ok(Item::Close(frame))
}

/// Decompresses one message after the other.
struct Inflater {
    state: Box<InflateState>,
    /// What has been received and not decompressed.
    input: BytesMut,
    /// Whether `input` is the end of its message.
    ends: bool,
    /// Whether more may come out of what has gone in.
    busy: bool,
    /// Whether the message's last block has been read; what follows it means nothing.
    over: bool,
    /// What the message has come to.
    total: usize,
}

impl core::fmt::Debug for Inflater {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Inflater").finish_non_exhaustive()
    }
}

impl Default for Inflater {
    fn default() -> Self {
        Self {
            state: InflateState::new_boxed(DataFormat::Raw),
            input: BytesMut::new(),
            ends: false,
            busy: false,
            over: false,
            total: 0,
        }
    }
}

impl Inflater {
    fn is_busy(&self) -> bool {
        self.busy
    }

    fn feed(&mut self, payload: BytesMut, ends: bool) {
        if self.over {
            if ends {
                self.begin_message();
            }
            return;
        }
        // Nothing is fed before everything has come out, so that this is all there is.
        self.input = payload;
        if ends {
            self.input.extend_from_slice(&DEFLATE_TAIL);
        }
        self.ends = ends;
        self.busy = true;
    }

    /// Returns some of what comes out; nothing when more has to go in.
    fn next(&mut self, max: usize) -> Result<BytesMut, Violation> {
        let mut piece = BytesMut::zeroed(PIECE_MAX);
        let result = inflate(&mut self.state, &self.input, &mut piece, MZFlush::None);
        self.input.advance(result.bytes_consumed);
        piece.truncate(result.bytes_written);
        self.total += result.bytes_written;
        if self.total > max {
            return Err(Violation::TooBig);
        }
        let ended = match result.status {
            Ok(MZStatus::StreamEnd) => true,
            // No progress without more input.
            Ok(_) | Err(MZError::Buf) => false,
            Err(_) => return Err(Violation::Corrupt),
        };
        if ended {
            self.input.clear();
            self.over = true;
        }
        // It may hold some back until it is called in vain.
        self.busy = !ended && (result.bytes_consumed > 0 || !piece.is_empty());
        if self.ends && !self.busy {
            self.begin_message();
        }
        Ok(piece)
    }

    fn begin_message(&mut self) {
        self.state.reset(DataFormat::Raw);
        self.over = false;
        self.total = 0;
    }
}
