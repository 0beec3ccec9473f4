//! What a consumer's configuration means to its machine: numbers ready for use, unlimited ones as the
//! largest number.

use alloc::vec::Vec;

use protocol::js::config::ConsumerConfig;
use protocol::js::enums::AckPolicy;
use protocol::text::duration::Nanos;
use protocol::time::Wall;

use super::copying;
use super::state::Acks;
use crate::index::Filter;
use crate::stream::StreamCore;

/// The working form of a configuration.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) acks: Acks,
    /// How long each delivery of a message waits for its ack, the last one for all further ones;
    /// never empty.
    ack_waits_ns: Vec<u64>,
    pub(super) deliveries_max: u32,
    pub(super) pending_acks_max: usize,
    pub(super) filters: Vec<Filter>,
    /// How many acks in a hundred are reported.
    pub(super) sample_percent: u64,
    pub(super) pause_until: Wall,
    /// Whether it stands for what another stream copies.
    pub(super) is_copying: bool,
}

impl Settings {
    pub(super) fn new(config: &ConsumerConfig, core: &StreamCore) -> Self {
        let mut ack_waits_ns: Vec<u64> = config.backoff.iter().map(|wait| ns(*wait)).collect();
        if ack_waits_ns.is_empty() {
            ack_waits_ns.push(ns(config.ack_wait));
        }
        Self {
            acks: match config.ack_policy {
                AckPolicy::None => Acks::None,
                AckPolicy::All | AckPolicy::FlowControl => Acks::All,
                AckPolicy::Explicit => Acks::Explicit,
            },
            ack_waits_ns,
            deliveries_max: positive(config.max_deliver).unwrap_or(u32::MAX),
            pending_acks_max: positive(config.max_ack_pending).unwrap_or(usize::MAX),
            filters: filters(config, core),
            sample_percent: config
                .sample_freq
                .trim_end_matches('%')
                .parse()
                .unwrap_or(0),
            pause_until: config.pause_until.unwrap_or_default(),
            is_copying: copying::is_copying(config),
        }
    }

    /// Returns the settings of a consumer whose configuration is looked at again. One that does not say any
    /// more how many acks are reported goes on as before, until a restart, as nats-server's does.
    pub(super) fn renewed(&self, config: &ConsumerConfig, core: &StreamCore) -> Self {
        let mut settings = Self::new(config, core);
        if config.sample_freq.is_empty() {
            settings.sample_percent = self.sample_percent;
        }
        settings
    }

    /// Reports whether acks are waited for as long as with other settings.
    pub(super) fn has_ack_waits_of(&self, other: &Self) -> bool {
        self.ack_waits_ns == other.ack_waits_ns
    }

    /// Returns how long a message that was delivered `deliveries` times waits for its ack.
    pub(super) fn ack_wait_ns(&self, deliveries: u32) -> u64 {
        let at = usize::try_from(deliveries.saturating_sub(1)).unwrap_or(usize::MAX);
        self.ack_waits_ns
            .get(at)
            .or(self.ack_waits_ns.last())
            .copied()
            .unwrap_or(u64::MAX)
    }
}

/// Returns the filters; none if the consumer takes all that its stream can hold.
fn filters(config: &ConsumerConfig, core: &StreamCore) -> Vec<Filter> {
    let filters: Vec<Filter> = config
        .filters()
        .map(|f| core.filter(f.as_bytes()))
        .collect();
    if filters.contains(&Filter::All) {
        return Vec::new();
    }
    filters
}

/// Returns the duration as a count; negative ones are refused on creation and count as zero.
pub(super) fn ns(duration: Nanos) -> u64 {
    u64::try_from(duration.0).unwrap_or(0)
}

/// Returns a limit; nothing if it is not positive, which means that there is none.
pub(super) fn positive<T: TryFrom<i64>>(limit: i64) -> Option<T> {
    if limit <= 0 {
        return None;
    }
    T::try_from(limit).ok()
}
