//! The checkpoint: a file from which recovery begins, so that the log before it can go.
//!
//! A checkpoint is a row of records: a head, the sections of the user's state that have changed
//! since the one before, an end. The head's table says where all sections lie, most of them in the
//! files of earlier checkpoints. Behind the end lies what makes a damaged block good again.
//! *Invariant:* a checkpoint counts only when its end has been read; one without an end was never
//! finished, unless the log says that it was.

mod head;
mod parity;
mod read;
mod sections;
mod write;

pub(crate) use head::Head;
#[cfg(test)]
pub(crate) use parity::Parity;
pub(crate) use read::{Read, Reader, Rule, newest_first};
pub(crate) use sections::{SectionPlace, Sections, group_keys};
pub(crate) use write::{Outcome, Writer};
