//! What consumers tell whoever listens on `$JS.EVENT.>`.

use alloc::string::String;

use protocol::id::Seq;
use protocol::js::ack::AckSubject;
use protocol::js::advisory::{
    AckSampled, Action, ConsumerCreated, ConsumerDeleted, ConsumerPaused, Event, GroupPinned,
    GroupUnpinned, MaxDeliveries, MessageNaked, MessageTerminated,
};
use protocol::text::duration::Nanos;

use super::cx::Cx;
use super::machine::Consumer;
use super::pending::Pending;
use crate::entry::Stored;
use crate::env::{Death, Env};
use crate::stream::MsgRead;

/// Why a message is terminated that its stream removed before it was acknowledged.
const DELETED: &str = "Unacknowledged message was deleted";

pub(super) fn created<E: Env>(consumer: &Consumer, cx: &mut Cx<'_, E>) {
    let (stream, domain) = (cx.core.name(), domain(cx));
    let event = ConsumerCreated {
        stream,
        consumer: consumer.name(),
        action: Action::Create,
        domain: &domain,
    };
    send(&event, cx);
}

pub(super) fn deleted<E: Env>(consumer: &Consumer, cx: &mut Cx<'_, E>) {
    let (stream, domain) = (cx.core.name(), domain(cx));
    let event = ConsumerDeleted {
        stream,
        consumer: consumer.name(),
        action: Action::Delete,
        domain: &domain,
    };
    send(&event, cx);
}

/// Tells that a pause began or ended.
pub(super) fn paused<E: Env>(consumer: &Consumer, cx: &mut Cx<'_, E>) {
    let (stream, domain) = (cx.core.name(), domain(cx));
    let event = ConsumerPaused {
        stream,
        consumer: consumer.name(),
        paused: consumer.pause_remaining_ns(cx.env.now().wall) > 0,
        pause_until: consumer.config.pause_until.unwrap_or_default(),
        domain: &domain,
    };
    send(&event, cx);
}

/// Returns the name of the stream's account.
fn account<E: Env>(cx: &Cx<'_, E>) -> String {
    let account = cx.shared.accounts.get(cx.core.account());
    account.map_or_else(String::new, |account| String::from(&*account.name))
}

pub(super) fn pinned<E: Env>(consumer: &Consumer, id: &[u8], cx: &mut Cx<'_, E>) {
    let (stream, domain) = (cx.core.name(), domain(cx));
    let account = account(cx);
    let event = GroupPinned {
        account: &account,
        stream,
        consumer: consumer.name(),
        domain: &domain,
        group: group(consumer),
        pinned_id: &String::from_utf8_lossy(id),
    };
    send(&event, cx);
}

pub(super) fn unpinned<E: Env>(consumer: &Consumer, reason: &str, cx: &mut Cx<'_, E>) {
    let (stream, domain) = (cx.core.name(), domain(cx));
    let account = account(cx);
    let event = GroupUnpinned {
        account: &account,
        stream,
        consumer: consumer.name(),
        domain: &domain,
        group: group(consumer),
        reason,
    };
    send(&event, cx);
}

/// Tells that a message will not be delivered any more.
pub(super) fn max_deliveries<E: Env>(consumer: &Consumer, p: &Pending, cx: &mut Cx<'_, E>) {
    let (stream, domain) = (cx.core.name(), domain(cx));
    let event = MaxDeliveries {
        stream,
        consumer: consumer.name(),
        stream_seq: p.seq.0,
        deliveries: u64::from(p.deliveries),
        domain: &domain,
    };
    send(&event, cx);
    died(consumer, p.seq, b"", cx);
}

/// Leaves a message to whoever keeps the dead, while its stream still has it.
pub(super) fn died<E: Env>(consumer: &Consumer, seq: Seq, reason: &[u8], cx: &mut Cx<'_, E>) {
    let account = cx.core.account();
    if !cx.env.keeps_dead(account) {
        return;
    }
    let entry = match cx.core.read(seq, cx.env) {
        MsgRead::Hit(entry) => Some(entry),
        // Whoever keeps the dead asks for it again.
        MsgRead::Pending(_) | MsgRead::Gone | MsgRead::Failed(_) => None,
    };
    let message = entry.as_ref().and_then(|entry| Stored::of(entry).ok());
    let death = Death {
        stream: cx.core.name(),
        consumer: consumer.name(),
        seq,
        reason,
        message: message.as_ref(),
    };
    cx.env.message_died(account, &death);
}

pub(super) fn nak<E: Env>(consumer: &Consumer, about: &AckSubject<'_>, cx: &mut Cx<'_, E>) {
    let (stream, domain) = (cx.core.name(), domain(cx));
    let event = MessageNaked {
        stream,
        consumer: consumer.name(),
        consumer_seq: about.consumer_seq,
        stream_seq: about.stream_seq,
        deliveries: about.deliveries,
        domain: &domain,
    };
    send(&event, cx);
}

pub(super) fn terminated<E: Env>(
    consumer: &Consumer,
    about: &AckSubject<'_>,
    reason: &[u8],
    cx: &mut Cx<'_, E>,
) {
    let (stream, domain) = (cx.core.name(), domain(cx));
    let event = MessageTerminated {
        stream,
        consumer: consumer.name(),
        consumer_seq: about.consumer_seq,
        stream_seq: about.stream_seq,
        deliveries: about.deliveries,
        reason: &String::from_utf8_lossy(reason),
        domain: &domain,
    };
    send(&event, cx);
}

/// Tells that a message went away while a client worked on it, or before it could be delivered again: the
/// `deliveries` are those that nats-server counts then.
pub(super) fn lost<E: Env>(consumer: &Consumer, p: &Pending, deliveries: u32, cx: &mut Cx<'_, E>) {
    let (stream, domain) = (cx.core.name(), domain(cx));
    let event = MessageTerminated {
        stream,
        consumer: consumer.name(),
        consumer_seq: p.delivery.0,
        stream_seq: p.seq.0,
        deliveries: u64::from(deliveries),
        reason: DELETED,
        domain: &domain,
    };
    send(&event, cx);
}

/// Tells how long an ack took.
pub(super) fn sampled<E: Env>(
    consumer: &Consumer,
    about: &AckSubject<'_>,
    took_ns: u64,
    cx: &mut Cx<'_, E>,
) {
    let (stream, domain) = (cx.core.name(), domain(cx));
    let event = AckSampled {
        stream,
        consumer: consumer.name(),
        consumer_seq: about.consumer_seq,
        stream_seq: about.stream_seq,
        ack_time: Nanos(i64::try_from(took_ns).unwrap_or(i64::MAX)),
        deliveries: about.deliveries,
        domain: &domain,
    };
    send(&event, cx);
}

fn send<E: Env>(event: &impl Event, cx: &mut Cx<'_, E>) {
    cx.shared.advise(cx.core.account(), event, cx.env);
}

/// Copies the domain's name, which mostly is empty and so costs nothing.
fn domain<E: Env>(cx: &Cx<'_, E>) -> String {
    cx.shared.options.domain.clone()
}

fn group(consumer: &Consumer) -> &str {
    consumer
        .config
        .priority_groups
        .first()
        .map_or("", String::as_str)
}
