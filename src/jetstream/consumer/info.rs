//! What is told about a consumer.

use alloc::vec::Vec;

use protocol::id::Seq;
use protocol::js::info::{ConsumerInfo, PriorityGroupState, SequenceInfo};
use protocol::text::duration::Nanos;
use protocol::time::Wall;

use super::cx::{Cx, Scratch};
use super::machine::{Consumer, Mode};
use super::pull::Supply;
use super::state::Position;
use crate::env::Env;
use crate::stream::StreamCore;

impl Consumer {
    /// Returns the consumer as responses show it; requests whose client is gone end here.
    pub(super) fn info<E: Env>(
        &mut self,
        cx: &mut Cx<'_, E>,
        scratch: &mut Scratch,
    ) -> ConsumerInfo {
        let last = self.last_delivered();
        if let Mode::Pull(pull) = &mut self.mode {
            pull.sweep(Supply::More, last, &mut scratch.status, cx.env);
        }
        self.snapshot_info(cx.core, cx.env.now().wall)
    }

    /// Returns the consumer as monitoring shows it.
    #[must_use]
    pub fn snapshot_info(&self, core: &StreamCore, now: Wall) -> ConsumerInfo {
        let state = &self.state;
        let paused_ns = self.pause_remaining_ns(now);
        let (num_waiting, push_bound) = match &self.mode {
            Mode::Pull(pull) => (pull.len() as u64, false),
            Mode::Push(push) => (0, push.active || self.settings.is_copying),
        };
        // With one delivery per message there are no redeliveries to tell about.
        let redelivered = if self.config.max_deliver == 1 {
            0
        } else {
            state.num_redelivered() as u64
        };
        ConsumerInfo {
            stream_name: core.name().into(),
            name: self.owned_name(),
            created: self.created,
            config: self.config.clone(),
            delivered: self.sequence(self.shown_delivered(), state.delivered_at()),
            ack_floor: self.sequence(state.ack_floor(), state.acked_at()),
            num_ack_pending: state.num_pending_acks() as u64,
            num_redelivered: redelivered,
            num_waiting,
            num_pending: self.num_pending(core),
            cluster: None,
            push_bound,
            paused: paused_ns > 0,
            pause_remaining: Nanos(i64::try_from(paused_ns).unwrap_or(i64::MAX)),
            ts: now,
            priority_groups: self.groups(),
        }
    }

    fn groups(&self) -> Vec<PriorityGroupState> {
        let pin = match &self.mode {
            Mode::Pull(pull) => pull.pin.as_ref(),
            Mode::Push(_) => None,
        };
        self.config
            .priority_groups
            .first()
            .map(|group| PriorityGroupState {
                group: group.clone(),
                pinned_client_id: pin
                    .and_then(|p| core::str::from_utf8(&p.id).ok())
                    .unwrap_or_default()
                    .into(),
                pinned_ts: pin.map(|p| p.since).unwrap_or_default(),
            })
            .into_iter()
            .collect()
    }

    /// Returns what was delivered last. Of a consumer in memory that has had nothing, nats-server tells how
    /// far it has searched.
    fn shown_delivered(&self) -> Position {
        let delivered = self.state.delivered();
        if self.logged || delivered != Position::default() {
            return delivered;
        }
        Position {
            stream: Seq(self.next.0.saturating_sub(1)),
            ..delivered
        }
    }

    fn sequence(&self, position: Position, at: Wall) -> SequenceInfo {
        SequenceInfo {
            consumer_seq: position.delivery.0,
            stream_seq: position.stream.0,
            last_active: (at != Wall(0) && at >= self.live_since).then_some(at),
        }
    }
}
