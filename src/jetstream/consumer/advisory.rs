//! What consumers tell whoever listens on `$JS.EVENT.>`.
//!
//! *Invariant:* nothing is built unless someone subscribes.

use alloc::format;
use alloc::string::String;

use protocol::id::Seq;
use protocol::js::ack::AckSubject;
use protocol::js::json::Writer;
use protocol::text::duration::Nanos;

use super::cx::Cx;
use super::machine::Consumer;
use crate::env::{Env, Outgoing};

/// Why a message is terminated that its stream removed before it was acknowledged.
const DELETED: &[u8] = b"Unacknowledged message was deleted";

/// Which kind of event it is: the end of its subject's prefix and of its type.
#[derive(Clone, Copy, Debug)]
struct Kind {
    subject: &'static str,
    schema: &'static str,
}

const CREATED: Kind = advisory("CONSUMER.CREATED", "consumer_action");
const REMOVED: Kind = advisory("CONSUMER.DELETED", "consumer_action");
const PAUSE: Kind = advisory("CONSUMER.PAUSE", "consumer_pause");
const PINNED: Kind = advisory("CONSUMER.PINNED", "consumer_group_pinned");
const UNPINNED: Kind = advisory("CONSUMER.UNPINNED", "consumer_group_unpinned");
const MAX_DELIVERIES: Kind = advisory("CONSUMER.MAX_DELIVERIES", "max_deliver");
const NAKED: Kind = advisory("CONSUMER.MSG_NAKED", "nak");
const TERMINATED: Kind = advisory("CONSUMER.MSG_TERMINATED", "terminated");

const fn advisory(subject: &'static str, schema: &'static str) -> Kind {
    Kind { subject, schema }
}

pub(super) fn created<E: Env>(consumer: &Consumer, cx: &mut Cx<'_, E>) {
    send(consumer, CREATED, cx, |to| to.field("action", "create"));
}

pub(super) fn deleted<E: Env>(consumer: &Consumer, cx: &mut Cx<'_, E>) {
    send(consumer, REMOVED, cx, |to| to.field("action", "delete"));
}

/// Tells that a pause began or ended.
pub(super) fn paused<E: Env>(consumer: &Consumer, cx: &mut Cx<'_, E>) {
    let paused = consumer.pause_remaining_ns(cx.env.now().wall) > 0;
    let until = consumer.config.pause_until;
    send(consumer, PAUSE, cx, |to| {
        to.field("paused", &paused);
        to.field_if_set("pause_until", &until.filter(|_| paused));
    });
}

pub(super) fn pinned<E: Env>(consumer: &Consumer, id: &[u8], cx: &mut Cx<'_, E>) {
    let id = String::from_utf8_lossy(id);
    send(consumer, PINNED, cx, |to| {
        put_group(consumer, to);
        to.field_if_set("pinned_id", id.as_ref());
    });
}

pub(super) fn unpinned<E: Env>(consumer: &Consumer, reason: &str, cx: &mut Cx<'_, E>) {
    send(consumer, UNPINNED, cx, |to| {
        put_group(consumer, to);
        to.field_if_set("reason", reason);
    });
}

fn put_group(consumer: &Consumer, to: &mut Writer) {
    if let Some(group) = consumer.config.priority_groups.first() {
        to.field_if_set("group", group.as_str());
    }
}

/// Tells that a message will not be delivered any more.
pub(super) fn max_deliveries<E: Env>(
    consumer: &Consumer,
    seq: Seq,
    deliveries: u32,
    cx: &mut Cx<'_, E>,
) {
    send(consumer, MAX_DELIVERIES, cx, |to| {
        to.field("stream_seq", &seq.0);
        to.field("deliveries", &u64::from(deliveries));
    });
}

pub(super) fn nak<E: Env>(consumer: &Consumer, about: &AckSubject<'_>, cx: &mut Cx<'_, E>) {
    send(consumer, NAKED, cx, |to| put_delivery(about, to));
}

pub(super) fn terminated<E: Env>(
    consumer: &Consumer,
    about: &AckSubject<'_>,
    reason: &[u8],
    cx: &mut Cx<'_, E>,
) {
    let reason = String::from_utf8_lossy(reason);
    send(consumer, TERMINATED, cx, |to| {
        put_delivery(about, to);
        to.field_if_set("reason", reason.as_ref());
    });
}

/// Tells that a message went away while a client worked on it.
pub(super) fn lost<E: Env>(consumer: &Consumer, seq: Seq, cx: &mut Cx<'_, E>) {
    let Some(p) = consumer.state.pending(seq) else {
        return;
    };
    let about = AckSubject {
        stream: "",
        consumer: "",
        deliveries: u64::from(p.deliveries),
        stream_seq: seq.0,
        consumer_seq: p.delivery.0,
        timestamp: 0,
        pending: 0,
    };
    terminated(consumer, &about, DELETED, cx);
}

fn put_delivery(about: &AckSubject<'_>, to: &mut Writer) {
    to.field("consumer_seq", &about.consumer_seq);
    to.field("stream_seq", &about.stream_seq);
    to.field("deliveries", &about.deliveries);
}

/// Tells how long an ack took.
pub(super) fn sampled<E: Env>(
    consumer: &Consumer,
    about: &AckSubject<'_>,
    took_ns: u64,
    cx: &mut Cx<'_, E>,
) {
    let subject = format!(
        "$JS.EVENT.METRIC.CONSUMER.ACK.{}.{}",
        cx.core.name(),
        consumer.name()
    );
    let schema = "io.nats.jetstream.metric.v1.consumer_ack";
    send_to(consumer, &subject, schema, cx, |to| {
        to.field("consumer_seq", &about.consumer_seq);
        to.field("stream_seq", &about.stream_seq);
        to.field(
            "ack_time",
            &Nanos(i64::try_from(took_ns).unwrap_or(i64::MAX)),
        );
        to.field("deliveries", &about.deliveries);
    });
}

fn send<E: Env>(
    consumer: &Consumer,
    kind: Kind,
    cx: &mut Cx<'_, E>,
    fields: impl FnOnce(&mut Writer),
) {
    let (stream, name) = (cx.core.name(), consumer.name());
    let subject = format!("$JS.EVENT.ADVISORY.{}.{stream}.{name}", kind.subject);
    let schema = format!("io.nats.jetstream.advisory.v1.{}", kind.schema);
    send_to(consumer, &subject, &schema, cx, fields);
}

fn send_to<E: Env>(
    consumer: &Consumer,
    subject: &str,
    schema: &str,
    cx: &mut Cx<'_, E>,
    fields: impl FnOnce(&mut Writer),
) {
    let account = cx.core.account();
    if !cx.shared.live || !cx.env.has_interest(account, subject.as_bytes()) {
        return;
    }
    let mut id = [0; 22];
    cx.env.rng().fill_base62(&mut id);
    let mut to = Writer::default();
    to.begin_object();
    to.field("type", schema);
    to.field("id", String::from_utf8_lossy(&id).as_ref());
    to.field("timestamp", &cx.env.now().wall);
    to.field("stream", cx.core.name());
    to.field("consumer", consumer.name());
    fields(&mut to);
    to.field_if_set("domain", cx.shared.options.domain.as_str());
    to.end_object();
    let payload = to.into_bytes();
    let msg = Outgoing {
        subject: subject.as_bytes(),
        payload: &payload,
        ..Outgoing::default()
    };
    cx.env.deliver(account, subject.as_bytes(), msg);
}
