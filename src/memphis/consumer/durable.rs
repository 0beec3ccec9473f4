//! The durable of a group on one partition.

use alloc::format;
use alloc::string::String;

use protocol::js::config::{ConsumerConfig, ConsumerCreateRequest};
use protocol::js::enums::{AckPolicy, DeliverPolicy};
use protocol::js::json;
use protocol::text::duration::Nanos;
use serde_json::{Value, json};

use crate::book::Consumer;
use crate::work::{Partition, Step};

const NANOS_PER_MS: u64 = 1_000_000;

/// Asks for a new durable. `last_seq` is where the stream ends; it counts for groups that begin with
/// the newest messages.
pub(super) fn create(partition: &Partition, consumer: &Consumer, last_seq: u64) -> Step {
    let start = consumer.start;
    let (deliver_policy, opt_start_seq) = match start.last {
        Some(0) if start.sequence <= 1 => (DeliverPolicy::New, 0),
        Some(last) if last > 0 => {
            let first = last_seq.saturating_sub(last) + 1;
            (DeliverPolicy::ByStartSequence, first)
        }
        _ if start.sequence > 1 => (DeliverPolicy::ByStartSequence, start.sequence),
        _ => (DeliverPolicy::All, 0),
    };
    let name = consumer.group.internal();
    let stream = &partition.stream;
    let filter_subject = match partition.number {
        // A NATS client's stream has whatever subjects it was given.
        0 => String::new(),
        _ => format!("{stream}.final"),
    };
    let config = ConsumerConfig {
        durable_name: name.clone(),
        name,
        deliver_policy,
        opt_start_seq,
        ack_policy: AckPolicy::Explicit,
        ack_wait: Nanos(i64::try_from(ack_wait_ns(consumer)).unwrap_or(i64::MAX)),
        max_deliver: consumer.deliveries_max,
        filter_subject,
        max_ack_pending: -1,
        ..ConsumerConfig::default()
    };
    let subject = format!(
        "$JS.API.CONSUMER.DURABLE.CREATE.{stream}.{}",
        config.durable_name
    );
    let request = ConsumerCreateRequest {
        stream_name: stream.clone(),
        config,
        ..ConsumerCreateRequest::default()
    };
    Step::ask(subject, json::to_vec(&request))
}

/// Asks for what of a durable that is there differs from what the consumer wants, if it may change:
/// how long an ack may take, and how often a message is delivered.
pub(super) fn change(info: &Value, stream: &str, consumer: &Consumer) -> Option<Step> {
    let config = info.get("config")?;
    let (ack_wait, deliveries) = (ack_wait_ns(consumer), consumer.deliveries_max);
    let is_ack_wait = config.get("ack_wait").and_then(Value::as_u64) == Some(ack_wait);
    let is_deliveries = config.get("max_deliver").and_then(Value::as_i64) == Some(deliveries);
    if is_ack_wait && is_deliveries {
        return None;
    }
    let mut config = config.clone();
    let fields = config.as_object_mut()?;
    fields.insert("ack_wait".into(), ack_wait.into());
    fields.insert("max_deliver".into(), deliveries.into());
    let name = consumer.group.internal();
    let subject = format!("$JS.API.CONSUMER.DURABLE.CREATE.{stream}.{name}");
    let body = format!("{}", json!({"stream_name": stream, "config": config}));
    Some(Step::ask(subject, body.into_bytes()))
}

const fn ack_wait_ns(consumer: &Consumer) -> u64 {
    consumer.ack_ms.saturating_mul(NANOS_PER_MS)
}
