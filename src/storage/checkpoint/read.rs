//! Reading a checkpoint in bounded pieces.

use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};

use super::Head;
use crate::op::FileName;
use crate::record::{Kind, Parsed, Site, parse};

/// A checkpoint being read.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) number: u64,
    len: u64,
    piece: u32,
    offset: u64,
    asked: u32,
    head: Option<Head>,
    state: BytesMut,
}

/// What reading leads to.
#[derive(Debug)]
pub(crate) enum Read {
    /// Read this much at this offset.
    More {
        file: FileName,
        offset: u64,
        len: u32,
    },
    /// The checkpoint is whole.
    Whole(Head, Bytes),
    /// It is not.
    Broken,
}

impl Reader {
    pub(crate) fn new(number: u64, len: u64, piece: u32) -> Self {
        Self {
            number,
            len,
            piece,
            offset: 0,
            asked: 0,
            head: None,
            state: BytesMut::new(),
        }
    }

    /// Returns the file's length.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn begin(&mut self) -> Read {
        self.more(0)
    }

    fn more(&mut self, need: usize) -> Read {
        let rest = self.len - self.offset;
        let want = u64::from(self.piece).max(need as u64).min(rest);
        self.asked = u32::try_from(want).unwrap_or(u32::MAX);
        if self.asked == 0 || u64::from(self.asked) < need as u64 {
            return Read::Broken;
        }
        Read::More {
            file: FileName::Checkpoint(self.number),
            offset: self.offset,
            len: self.asked,
        }
    }

    pub(crate) fn handle(&mut self, bytes: &Bytes) -> Read {
        if bytes.len() < self.asked as usize {
            return Read::Broken;
        }
        let mut rest: &[u8] = bytes;
        loop {
            let site = Site::checkpoint(self.number, self.offset);
            let record = match parse(rest, site) {
                Parsed::Valid(record) => record,
                Parsed::Short { total }
                    if total > self.asked as usize || rest.len() < bytes.len() =>
                {
                    return self.more(total);
                }
                Parsed::Short { .. } | Parsed::Invalid => return Read::Broken,
            };
            self.offset += record.total as u64;
            match (record.kind, &self.head) {
                (Kind::Part, None) => match Head::decode(record.body) {
                    Some(head) => self.head = Some(head),
                    None => return Read::Broken,
                },
                (Kind::Part, Some(_)) => self.state.extend_from_slice(record.body),
                (Kind::End, Some(head)) if head.state_len == self.state.len() as u64 => {
                    return Read::Whole(head.clone(), self.state.split().freeze());
                }
                _ => return Read::Broken,
            }
            rest = rest.get(record.total..).unwrap_or_default();
        }
    }
}

/// Returns the numbers of the checkpoints in `files`, the newest first.
pub(crate) fn newest_first(files: &[(FileName, u64)]) -> Vec<(u64, u64)> {
    let mut found: Vec<(u64, u64)> = files
        .iter()
        .filter_map(|&(name, len)| match name {
            FileName::Checkpoint(number) => Some((number, len)),
            FileName::Log(_) | FileName::Segment { .. } => None,
        })
        .collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    found
}
