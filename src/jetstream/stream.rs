//! One stream: its configuration, the index of its messages, and (for memory streams) the messages.
//!
//! *Invariant:* [`StreamCore`] knows nothing of consumers; [`Stream`] holds both side by side, so that
//! a consumer's code can borrow the core.

mod read;

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;
use hashbrown::HashMap;
use protocol::id::{AccountId, Seq, StreamId};

use protocol::js::config::StreamConfig;

use crate::consumer::Consumers;
use crate::index::{Filter, Index, subject_matches};

pub use read::MsgRead;

/// A stream and its consumers.
#[derive(Debug)]
pub struct Stream {
    /// The messages.
    pub core: StreamCore,
    /// Who reads them.
    pub consumers: Consumers,
}

/// A stream without its consumers.
#[derive(Debug)]
pub struct StreamCore {
    id: StreamId,
    account: AccountId,
    config: StreamConfig,
    /// All subjects that the stream ever listened to: messages may lie on any of them.
    subjects_ever: Vec<Box<[u8]>>,
    /// Where the messages are.
    pub index: Index,
    /// The entries of a memory stream by sequence; nothing for a stream on disk.
    memory: Option<HashMap<u64, Bytes, foldhash::fast::FixedState>>,
}

impl StreamCore {
    /// Returns the stream's id.
    #[must_use]
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// Returns the stream's account.
    #[must_use]
    pub fn account(&self) -> AccountId {
        self.account
    }

    /// Returns the stream's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// Returns the stream's configuration.
    #[must_use]
    pub fn config(&self) -> &StreamConfig {
        &self.config
    }

    /// Removes a message that its consumers have consumed, as interest and work queue retention do.
    pub fn remove_consumed(&mut self, seq: Seq) -> bool {
        if let Some(entries) = &mut self.memory {
            entries.remove(&seq.0);
        }
        self.index.remove(seq).is_some()
    }

    /// Returns the filter of a pattern: [`Filter::All`] if no message of the stream can lie outside.
    #[must_use]
    pub fn filter(&self, pattern: &[u8]) -> Filter {
        let covers = |subject: &[u8]| subject_matches(pattern, subject) && !subject.is_empty();
        if !self.subjects_ever.is_empty() && self.subjects_ever.iter().all(|s| covers(s)) {
            return Filter::All;
        }
        Filter::new(pattern)
    }

    /// Returns whether the stream keeps its messages in memory only.
    #[must_use]
    pub fn is_memory(&self) -> bool {
        self.memory.is_some()
    }
}
