//! What the store asks of a disk, and what the disk answers.
//!
//! Contract for disks: operations on one file take effect and complete in the order given; operations
//! on different files may run in any order and side by side. Reads may overtake writes. The store
//! waits for an answer wherever an order between files matters.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;
use protocol::id::StreamId;

/// A file of the store. All files lie flat in one directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileName {
    /// The log file whose first byte has this log position.
    Log(u64),
    /// A segment of a stream.
    Segment {
        /// The stream.
        stream: StreamId,
        /// The segment's number within the stream.
        number: u32,
    },
    /// A checkpoint; later ones have higher numbers.
    Checkpoint(u64),
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Log(base) => write!(f, "log-{base:016x}"),
            Self::Segment { stream, number } => {
                write!(f, "segment-{:016x}-{number:08x}", stream.0)
            }
            Self::Checkpoint(number) => write!(f, "checkpoint-{number:016x}"),
        }
    }
}

impl FileName {
    /// Returns the file that `name` is the name of; none for files that are not the store's.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let (kind, rest) = name.split_once('-')?;
        let parsed = match kind {
            "log" => Self::Log(u64::from_str_radix(rest, 16).ok()?),
            "checkpoint" => Self::Checkpoint(u64::from_str_radix(rest, 16).ok()?),
            "segment" => {
                let (stream, number) = rest.split_once('-')?;
                Self::Segment {
                    stream: StreamId(u64::from_str_radix(stream, 16).ok()?),
                    number: u32::from_str_radix(number, 16).ok()?,
                }
            }
            _ => return None,
        };
        // Only the one spelling that the store writes: "log-+1" is somebody else's file.
        let canonical: String = parsed.to_string();
        (canonical == name).then_some(parsed)
    }
}

/// Names an operation in its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(pub u64);

/// An operation for the disk.
#[derive(Clone, Debug)]
pub enum DiskOp {
    /// List the store's files with their lengths.
    List {
        /// Names the answer.
        op: OpId,
    },
    /// Read up to `len` bytes; fewer come back only where the file ends.
    Read {
        /// Names the answer.
        op: OpId,
        /// The file.
        file: FileName,
        /// Where to begin.
        offset: u64,
        /// How much.
        len: u32,
    },
    /// Create the file with `len` zero bytes, so that after the answer the file, its bytes and its
    /// directory entry survive a power loss. A file of that name is replaced. Whatever fails leaves no
    /// file of that name that is shorter than `len`.
    Create {
        /// Names the answer.
        op: OpId,
        /// The file.
        file: FileName,
        /// Its length.
        len: u64,
    },
    /// Write at `offset`; the file grows when it ends before.
    Write {
        /// Names the answer.
        op: OpId,
        /// The file.
        file: FileName,
        /// Where to begin.
        offset: u64,
        /// What to write.
        data: Bytes,
    },
    /// Make the file's bytes and length survive a power loss (`fdatasync`).
    Sync {
        /// Names the answer.
        op: OpId,
        /// The file.
        file: FileName,
    },
    /// Rename a file that is no longer needed; after the answer the new name survives a power loss.
    Recycle {
        /// Names the answer.
        op: OpId,
        /// The file as it is named now.
        from: FileName,
        /// Its new name; no file has it.
        to: FileName,
    },
    /// Remove a file. Removing one that does not exist succeeds.
    Remove {
        /// Names the answer.
        op: OpId,
        /// The file.
        file: FileName,
    },
}

impl DiskOp {
    /// Returns the id that the answer will carry.
    #[must_use]
    pub fn id(&self) -> OpId {
        match *self {
            Self::List { op }
            | Self::Read { op, .. }
            | Self::Create { op, .. }
            | Self::Write { op, .. }
            | Self::Sync { op, .. }
            | Self::Recycle { op, .. }
            | Self::Remove { op, .. } => op,
        }
    }
}

/// The answer to an operation.
#[derive(Clone, Debug)]
pub struct DiskDone {
    /// Which operation.
    pub op: OpId,
    /// How it went.
    pub result: Result<DiskAnswer, DiskError>,
}

/// What a successful operation gives.
#[derive(Clone, Debug)]
pub enum DiskAnswer {
    /// The store's files and their lengths, in any order.
    Listed(Vec<(FileName, u64)>),
    /// The bytes read.
    Read(Bytes),
    /// Everything else.
    Done,
}

/// Why an operation failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiskError {
    /// The file does not exist.
    #[error("no such file")]
    NotFound,
    /// The file system or the quota is full.
    #[error("no space left on device")]
    NoSpace,
    /// The file system is mounted read-only.
    #[error("read-only file system")]
    ReadOnly,
    /// The process or the system has too many files open.
    #[error("too many open files")]
    TooManyFiles,
    /// The file is encrypted, and no key was given.
    #[error("encrypted, and no key is configured")]
    Locked,
    /// Anything else, with the system's `errno`.
    #[error("input/output error (errno {0})")]
    Io(i32),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_survive_the_directory() {
        for name in [
            FileName::Log(0),
            FileName::Log(u64::MAX),
            FileName::Segment {
                stream: StreamId(7),
                number: 3,
            },
            FileName::Checkpoint(12),
        ] {
            assert_eq!(FileName::parse(&name.to_string()), Some(name));
        }
    }

    #[test]
    fn foreign_files_are_not_taken_for_the_stores() {
        for name in [
            "lock",
            "log-1",
            "log-000000000000000G",
            "log-0000000000000000.new",
            "-",
            "",
        ] {
            assert_eq!(FileName::parse(name), None, "{name}");
        }
    }
}
