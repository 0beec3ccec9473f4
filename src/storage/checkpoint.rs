//! The checkpoint: a file from which recovery begins, so that the log before it can go.
//!
//! A checkpoint is a row of records: a head, the user's state in parts, an end. *Invariant:* a
//! checkpoint counts only when its end has been read; one without an end was never finished, unless
//! the log says that it was.

mod head;
mod read;
mod write;

pub(crate) use head::Head;
pub(crate) use read::{Read, Reader, newest_first};
pub(crate) use write::{Outcome, Writer};
