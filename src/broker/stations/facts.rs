//! What the Memphis layer is told about streams.

use jetstream::stream::Stream;
use memphis::manage::{ConsumerFacts, StreamFacts};
use memphis::station::StationRetention;
use protocol::js::config::StreamConfig;
use protocol::js::enums::Retention;
use protocol::text::duration::Nanos;
use protocol::time::Wall;

const NANOS_PER_MS: u64 = 1_000_000;
const MS_PER_S: u64 = 1000;

pub(super) fn of_stream(stream: &Stream, now: Wall) -> StreamFacts {
    let config = stream.core.config();
    let state = stream.core.state(0);
    let consumers = stream.consumers.iter().map(|consumer| {
        let info = consumer.snapshot_info(&stream.core, now);
        let last = [info.delivered.last_active, info.ack_floor.last_active];
        ConsumerFacts {
            name: info.name,
            pending: info.num_pending,
            ack_pending: info.num_ack_pending,
            ack_ms: ms(info.config.ack_wait),
            deliveries_max: info.config.max_deliver,
            active: last
                .into_iter()
                .flatten()
                .map(|at| at.0)
                .max()
                .unwrap_or_default(),
            is_active: info.num_waiting > 0 || info.push_bound,
        }
    });
    StreamFacts {
        retention: retention(config),
        in_memory: stream.core.is_memory(),
        replicas: config.num_replicas,
        idempotency_ms: ms(config.duplicate_window),
        messages: state.messages,
        bytes: state.bytes,
        created: stream.core.created().0,
        consumers: consumers.collect(),
    }
}

/// Returns when a stream lets messages go, in the one form that stations have for it.
fn retention(config: &StreamConfig) -> Option<StationRetention> {
    let seconds = i64::try_from(ms(config.max_age) / MS_PER_S).unwrap_or(i64::MAX);
    if seconds > 0 {
        return Some(StationRetention::AgeSeconds(seconds));
    }
    if config.max_bytes > 0 {
        return Some(StationRetention::Bytes(config.max_bytes));
    }
    if config.max_msgs > 0 {
        return Some(StationRetention::Messages(config.max_msgs));
    }
    (config.retention != Retention::Limits).then_some(StationRetention::AckBased)
}

fn ms(time: Nanos) -> u64 {
    u64::try_from(time.0).unwrap_or_default() / NANOS_PER_MS
}
