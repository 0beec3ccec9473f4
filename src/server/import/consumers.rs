//! Durable consumers: how they are configured, and up to where everything is acknowledged.

use bytes::BytesMut;
use jetstream::archive;
use jetstream::consumer::state::{DeliverySeq, Position};
use protocol::id::Seq;
use protocol::js::config::ConsumerConfig;
use protocol::js::json::{Strictness, decode};
use serde_json::Value;

use super::ask::{Source, time};

/// Appends a stream's consumers; returns how many.
pub(super) fn put_consumers(out: &mut BytesMut, source: &Source) -> u64 {
    let mut count = 0;
    for info in &source.consumers {
        let name = info.get("name").and_then(Value::as_str);
        let config = info.get("config").map(Value::to_string);
        let config = config
            .and_then(|config| decode::<ConsumerConfig>(config.as_bytes(), Strictness::Lax).ok());
        let (Some(name), Some(config)) = (name, config) else {
            // The comparison will miss it.
            continue;
        };
        let created = time(info.get("created")).unwrap_or(source.created);
        archive::put_consumer(out, name, &config, created, floor(info));
        count += 1;
    }
    count
}

/// Returns up to where a consumer has settled everything.
pub(super) fn floor(info: &Value) -> Position {
    let place = |key: &str| {
        let number = |part: &str| {
            let number = info.get(key).and_then(|place| place.get(part));
            number.and_then(Value::as_u64).unwrap_or_default()
        };
        Position {
            delivery: DeliverySeq(number("consumer_seq")),
            stream: Seq(number("stream_seq")),
        }
    };
    let waiting = info.get("num_ack_pending").and_then(Value::as_u64);
    match waiting {
        // Nothing waits for an ack, so that all that was delivered is settled.
        Some(0) => place("delivered"),
        Some(_) | None => place("ack_floor"),
    }
}
