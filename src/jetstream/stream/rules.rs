//! What of a stream's configuration has to be made ready before it can be used, and what every message asks
//! of it: that is copied from all over the configuration to one place.
//!
//! *Invariant:* a function of the configuration. A transform that a configuration got past the checks
//! with although it cannot work changes nothing.

use alloc::boxed::Box;
use core::num::NonZeroU64;

use protocol::js::config::{StreamConfig, TIERED};
use protocol::js::enums::{Discard, PersistMode, Retention, Storage};
use protocol::subject::transform::Transform;

/// The ready parts of a configuration.
#[derive(Debug)]
pub(crate) struct Rules {
    /// Most messages that stay when one is added: all, where new ones are discarded.
    pub(crate) msgs_max: u64,
    /// Most bytes of them.
    pub(crate) bytes_max: u64,
    /// Most messages of a subject, if there is a limit.
    pub(crate) of_subject_max: Option<NonZeroU64>,
    name: Box<str>,
    transform: Option<Box<Transform>>,
    republish: Option<Box<Republish>>,
    /// The largest message; a negative number is no limit.
    pub(crate) max_msg_size: i32,
    /// Whether messages are kept in memory.
    pub(crate) is_memory: bool,
    /// Whether messages that nobody wants go.
    pub(crate) asks_interest: bool,
    /// Whether messages are refused rather than old ones dropped.
    pub(crate) refuses: bool,
    /// Whether nothing changes any more.
    pub(crate) sealed: bool,
    /// Whether it copies another stream.
    pub(crate) is_mirror: bool,
    /// Whether publishers do not wait for the disk.
    pub(crate) is_async: bool,
    /// Whether publishers are told nothing.
    pub(crate) no_ack: bool,
    /// Whether messages count.
    pub(crate) allow_msg_counter: bool,
    /// Whether messages may be schedules.
    pub(crate) allow_msg_schedules: bool,
    /// Whether fast batches are allowed.
    pub(crate) allow_batched: bool,
    is_tiered: bool,
}

/// Where stored messages are published again.
#[derive(Debug)]
pub(crate) struct Republish {
    /// What subject they go to.
    pub(crate) transform: Transform,
    /// Whether bodies are left out.
    pub(crate) headers_only: bool,
}

impl Rules {
    pub(crate) fn new(config: &StreamConfig) -> Self {
        let ready = |src: &str, dest: &str| {
            let dest = Some(dest).filter(|dest| !dest.is_empty());
            dest.and_then(|dest| Transform::new(src, dest).ok())
        };
        let transform = config.subject_transform.as_ref();
        let republish = config.republish.as_ref();
        Self {
            msgs_max: limit(config.max_msgs, config.discard),
            bytes_max: limit(config.max_bytes, config.discard),
            of_subject_max: u64::try_from(config.max_msgs_per_subject)
                .ok()
                .and_then(NonZeroU64::new),
            name: Box::from(&*config.name),
            max_msg_size: config.max_msg_size,
            is_memory: config.storage == Storage::Memory,
            asks_interest: config.retention == Retention::Interest,
            refuses: config.discard == Discard::New,
            sealed: config.sealed,
            is_mirror: config.mirror.is_some(),
            is_async: config.persist_mode == PersistMode::Async,
            no_ack: config.no_ack,
            allow_msg_counter: config.allow_msg_counter,
            allow_msg_schedules: config.allow_msg_schedules,
            allow_batched: config.allow_batched,
            is_tiered: config
                .metadata
                .get(TIERED)
                .is_some_and(|said| said == "true"),
            transform: transform.and_then(|t| ready(&t.src, &t.dest).map(Box::new)),
            republish: republish.and_then(|r| {
                Some(Box::new(Republish {
                    transform: ready(&r.src, &r.dest)?,
                    headers_only: r.headers_only,
                }))
            }),
        }
    }

    /// Returns the stream's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Says whether messages that retention lets go are to be kept until they were copied elsewhere.
    pub(crate) fn is_tiered(&self) -> bool {
        self.is_tiered
    }

    /// Returns how subjects change on their way in.
    pub(crate) fn transform(&self) -> Option<&Transform> {
        self.transform.as_deref()
    }

    /// Returns where a message stored on `subject` is published again.
    pub(crate) fn republish(&self, subject: &[u8]) -> Option<&Republish> {
        let republish = self.republish.as_deref()?;
        republish.transform.matches(subject).then_some(republish)
    }
}

/// Zero and below mean that there is no limit.
fn limit(value: i64, discard: Discard) -> u64 {
    u64::try_from(value)
        .ok()
        .filter(|&max| max > 0 && discard == Discard::Old)
        .unwrap_or(u64::MAX)
}
