//! From bytes to frames.

use alloc::boxed::Box;

use bytes::{BufMut, BytesMut};
use miniz_oxide::MZFlush;
use miniz_oxide::deflate::core::{CompressorOxide, create_comp_flags_from_zip_params};
use miniz_oxide::deflate::stream::deflate;

use super::CloseStatus;
use super::frame::{CONTROL_MAX, Opcode, put_head};

/// Less than this is not worth compressing.
const COMPRESS_MIN: usize = 64;
/// The longest frame for browsers, which are slower with long ones.
const BROWSER_FRAME_MAX: usize = 4096;
/// What ends every flush, and is left out of messages.
const TAIL_LEN: usize = 4;

/// Frames what one peer is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Writer {
    /// Whether compression was agreed on.
    pub compression: bool,
    /// Whether the peer is a browser.
    pub browser: bool,
    /// Whether compressed messages must be one frame, as Safari wants them.
    pub whole: bool,
}

impl Writer {
    /// Appends a message with `payload` to `out`.
    pub fn message(self, payload: &[u8], deflater: &mut Deflater, out: &mut BytesMut) {
        if self.compression && payload.len() > COMPRESS_MIN {
            let compressed = deflater.compress(payload);
            let max = match self.browser && !self.whole {
                true => BROWSER_FRAME_MAX,
                false => usize::MAX,
            };
            return fragments(compressed, max, out);
        }
        let max = match self.browser {
            true => BROWSER_FRAME_MAX,
            false => usize::MAX,
        };
        // Uncompressed, each frame may as well be a message of its own.
        for piece in payload.chunks(max) {
            put_head(out, Opcode::Binary, true, false, piece.len());
            out.extend_from_slice(piece);
        }
    }

    /// Appends the answer to a ping.
    pub fn pong(payload: &[u8], out: &mut BytesMut) {
        put_head(out, Opcode::Pong, true, false, payload.len());
        out.extend_from_slice(payload);
    }

    /// Appends a close frame; without a status it says nothing.
    pub fn close(status: Option<CloseStatus>, text: &[u8], out: &mut BytesMut) {
        let Some(status) = status else {
            return put_head(out, Opcode::Close, true, false, 0);
        };
        let text = text.get(..CONTROL_MAX - 2).unwrap_or(text);
        put_head(out, Opcode::Close, true, false, 2 + text.len());
        out.put_u16(status.0);
        out.extend_from_slice(text);
    }
}

fn fragments(compressed: &[u8], max: usize, out: &mut BytesMut) {
    let count = compressed.len().div_ceil(max);
    for (at, piece) in compressed.chunks(max).enumerate() {
        let (first, last) = (at == 0, at + 1 == count);
        let opcode = if first {
            Opcode::Binary
        } else {
            Opcode::Continuation
        };
        put_head(out, opcode, last, first, piece.len());
        out.extend_from_slice(piece);
    }
}

/// Compresses messages. One serves all connections, because no message needs another.
#[derive(Default)]
pub struct Deflater {
    /// Made when the first message is to be compressed: it is large.
    state: Option<Box<CompressorOxide>>,
    out: BytesMut,
}

impl core::fmt::Debug for Deflater {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Deflater").finish_non_exhaustive()
    }
}

impl Deflater {
    /// Returns a message's compressed form, without its tail.
    fn compress(&mut self, payload: &[u8]) -> &[u8] {
        const FASTEST: i32 = 1;
        const RAW: i32 = -15;
        const ROOM: usize = 256;
        let state = self.state.get_or_insert_with(|| {
            let flags = create_comp_flags_from_zip_params(FASTEST, RAW, 0);
            Box::new(CompressorOxide::new(flags))
        });
        state.reset();
        self.out.clear();
        let mut rest = payload;
        let mut len = 0;
        loop {
            // What does not shrink grows by a few bytes a block.
            self.out.resize(len + rest.len() + ROOM, 0);
            let room = self.out.get_mut(len..).unwrap_or_default();
            let size = room.len();
            let result = deflate(state, rest, room, MZFlush::Sync);
            rest = rest.get(result.bytes_consumed..).unwrap_or_default();
            len += result.bytes_written;
            if rest.is_empty() && result.bytes_written < size {
                break;
            }
        }
        self.out.truncate(len.saturating_sub(TAIL_LEN));
        &self.out
    }
}
