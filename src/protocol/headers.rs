//! Header blocks: `NATS/1.0[ status[ description]]`, lines `Key: value`, an empty line, each ended by
//! CR LF.
//!
//! *Invariant:* reading never fails and changes nothing: what cannot be read is not there. Editing
//! touches the one line that is edited; everything else keeps its bytes.

mod edit;

use bytes::{BufMut, BytesMut};

pub use edit::{Removed, remove, set, set_last};

/// What every block starts with.
pub const VERSION: &[u8] = b"NATS/1.0";
/// The end of a line.
const LINE_END: &[u8] = b"\r\n";

/// A header block, as it came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Headers<'a>(&'a [u8]);

impl<'a> Headers<'a> {
    /// Wraps a block; an empty one has no headers.
    #[must_use]
    pub fn new(block: &'a [u8]) -> Self {
        Self(block)
    }

    /// Returns the block's bytes.
    #[must_use]
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// Reports whether the block starts with the version, has a colon in every line and ends in an
    /// empty line.
    #[must_use]
    pub fn is_valid(self) -> bool {
        let Some(rest) = self.0.strip_prefix(VERSION) else {
            return false;
        };
        let Some((status, rest)) = split_line(rest) else {
            return false;
        };
        if !matches!(status.first(), None | Some(b' ')) {
            return false;
        }
        let mut rest = rest;
        while let Some((line, after)) = split_line(rest) {
            if line.is_empty() {
                return after.is_empty();
            }
            if memchr::memchr(b':', line).is_none_or(|at| at == 0) {
                return false;
            }
            rest = after;
        }
        false
    }

    /// Returns the status code and description of the first line, if it has a code of three digits.
    #[must_use]
    pub fn status(self) -> Option<(u16, &'a [u8])> {
        let (line, _) = split_line(self.0)?;
        let rest = line.strip_prefix(VERSION)?.trim_ascii();
        let (digits, description) = rest.split_at_checked(3)?;
        let mut code = 0;
        for digit in digits {
            if !digit.is_ascii_digit() {
                return None;
            }
            code = code * 10 + u16::from(digit - b'0');
        }
        match description.first() {
            None | Some(b' ') => Some((code, description.trim_ascii_start())),
            Some(_) => None,
        }
    }

    /// Returns key and value of each line, in order.
    #[must_use]
    pub fn iter(self) -> Iter<'a> {
        let rest = split_line(self.0).map_or(&[][..], |(_, rest)| rest);
        Iter { rest }
    }

    /// Returns the first value of `key`, which is compared byte by byte.
    #[must_use]
    pub fn get(self, key: &[u8]) -> Option<&'a [u8]> {
        self.get_all(key).next()
    }

    /// Returns every value of `key`, in order.
    pub fn get_all<'k>(self, key: &'k [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a, 'k> {
        self.iter()
            .filter_map(move |(name, value)| (name == key).then_some(value))
    }
}

impl<'a> IntoIterator for Headers<'a> {
    type Item = (&'a [u8], &'a [u8]);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// The lines of a header block.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            // The end of the block ends its last line, too.
            let (line, rest) = split_line(self.rest).unwrap_or((self.rest, &[]));
            self.rest = rest;
            // A line without a colon is skipped: it holds nothing that can be asked for.
            if let Some((key, value)) = split_key(line) {
                return Some((key, value));
            }
        }
        None
    }
}

/// Writes a header block to the end of `out`: create it, push the lines, finish it.
#[derive(Debug)]
pub struct HeaderWriter<'o> {
    out: &'o mut BytesMut,
}

impl<'o> HeaderWriter<'o> {
    /// Starts a block without status.
    #[must_use]
    pub fn new(out: &'o mut BytesMut) -> Self {
        out.put_slice(VERSION);
        out.put_slice(LINE_END);
        Self { out }
    }

    /// Starts with the lines of another block; an empty one has none.
    #[must_use]
    pub fn continuing(out: &'o mut BytesMut, block: &[u8]) -> Self {
        out.put_slice(open(block));
        Self { out }
    }

    /// Adds a line. Neither may hold a line end: that is for the caller to see to.
    pub fn push(&mut self, key: &[u8], value: &[u8]) -> &mut Self {
        debug_assert!(
            memchr::memchr2(b'\r', b'\n', key).is_none(),
            "a key is one line"
        );
        self.out.put_slice(key);
        self.out.put_slice(b": ");
        self.out.put_slice(value);
        self.out.put_slice(LINE_END);
        self
    }

    /// Adds a line with a number.
    pub fn push_number(&mut self, key: &[u8], value: u64) -> &mut Self {
        self.push(key, itoa::Buffer::new().format(value).as_bytes())
    }

    /// Ends the block.
    pub fn finish(self) {
        self.out.put_slice(LINE_END);
    }
}

/// Returns a block without its end, so that more lines can follow; the first line alone for an empty one.
/// Like nats-server, this leaves the last two bytes behind, whichever these are.
#[must_use]
pub fn open(block: &[u8]) -> &[u8] {
    let end = block.len().checked_sub(LINE_END.len());
    match end.filter(|end| *end > 0) {
        Some(end) => block.get(..end).unwrap_or(block),
        None => b"NATS/1.0\r\n",
    }
}

/// Returns the block that is stored for one that a client has published: no status, and nothing at all if
/// it has no more than that. Only the first line is looked at, which ends at its first CR.
pub fn without_status<'a>(block: &'a [u8], out: &'a mut BytesMut) -> &'a [u8] {
    let Some(rest) = block.strip_prefix(VERSION) else {
        return block;
    };
    let Some(end) = memchr::memchr(b'\r', rest).filter(|end| *end > 0) else {
        return block;
    };
    let rest = rest.get(end..).unwrap_or(&[]);
    if rest.len() == 2 * LINE_END.len() {
        return &[];
    }
    out.clear();
    out.put_slice(VERSION);
    out.put_slice(rest);
    out
}

/// Splits at the first CR LF; `None` if there is none.
fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut from = 0;
    loop {
        let at = from + memchr::memchr(b'\n', bytes.get(from..)?)?;
        if let Some(line) = bytes.get(..at)
            && let Some(line) = line.strip_suffix(b"\r")
        {
            return Some((line, bytes.get(at + 1..)?));
        }
        from = at + 1;
    }
}

/// Splits a line at its first colon; spaces before the value do not belong to it, those behind it do.
fn split_key(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr::memchr(b':', line)?;
    let (key, value) = line.split_at_checked(colon)?;
    let value = value.get(1..)?;
    let blanks = value.iter().take_while(|&&b| b == b' ').count();
    Some((key, value.get(blanks..)?))
}

#[cfg(test)]
mod tests;
