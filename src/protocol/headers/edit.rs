//! Changing one line of a header block.

use core::ops::Range;

use bytes::{BufMut, BytesMut};

use super::{HeaderWriter, LINE_END, VERSION, split_key, split_line};

/// What [`remove`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// The key is not there; nothing was written.
    Nothing,
    /// The block without the line was written.
    Line,
    /// No header is left; nothing was written, the message has no block any more.
    Block,
}

/// Writes `block` to the end of `out` with the first line of `key` holding `value`; if there is no
/// such line, it is added as the last one. An empty block becomes one with this line alone.
pub fn set(block: &[u8], key: &[u8], value: &[u8], out: &mut BytesMut) {
    if block.is_empty() {
        let mut writer = HeaderWriter::new(out);
        writer.push(key, value);
        return writer.finish();
    }
    let range = find_line(block, key).unwrap_or_else(|| {
        let end = block.len().saturating_sub(LINE_END.len());
        end..end
    });
    out.reserve(block.len() + key.len() + value.len() + 4);
    out.put_slice(block.get(..range.start).unwrap_or(block));
    out.put_slice(key);
    out.put_slice(b": ");
    out.put_slice(value);
    out.put_slice(LINE_END);
    out.put_slice(block.get(range.end..).unwrap_or(&[]));
}

/// The same, but the line becomes the last one wherever it was.
pub fn set_last(block: &[u8], key: &[u8], value: &[u8], out: &mut BytesMut) {
    let mut without = BytesMut::new();
    match remove(block, key, &mut without) {
        Removed::Nothing => set(block, key, value, out),
        Removed::Line | Removed::Block => set(&without, key, value, out),
    }
}

/// Writes `block` to the end of `out` without the first line of `key`, if there is one.
pub fn remove(block: &[u8], key: &[u8], out: &mut BytesMut) -> Removed {
    let Some(range) = find_line(block, key) else {
        return Removed::Nothing;
    };
    let before = block.get(..range.start).unwrap_or(block);
    let after = block.get(range.end..).unwrap_or(&[]);
    let bare_len = VERSION.len() + 2 * LINE_END.len();
    if before.len() + after.len() <= bare_len {
        return Removed::Block;
    }
    out.reserve(before.len() + after.len());
    out.put_slice(before);
    out.put_slice(after);
    Removed::Line
}

/// Returns where the first line of `key` lies, its line end included.
fn find_line(block: &[u8], key: &[u8]) -> Option<Range<usize>> {
    let (_, mut rest) = split_line(block)?;
    loop {
        let start = block.len() - rest.len();
        let (line, after) = split_line(rest)?;
        if split_key(line).is_some_and(|(name, _)| name == key) {
            return Some(start..block.len() - after.len());
        }
        rest = after;
    }
}
