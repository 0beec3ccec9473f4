//! Load that remembers: publishers with acks, and a consumer whose acks are confirmed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;

use ci::load::client::publish;

use crate::history::{Caller, number};

/// Publishes that may wait for their ack, per connection.
const WINDOW: usize = 200;

/// Publishes distinct payloads until the server is gone or `stop` is set; returns what was acked.
pub(crate) fn publish_until(
    addr: &str,
    name: &str,
    stop: &Arc<AtomicBool>,
) -> BTreeMap<u64, Vec<u8>> {
    let mut acked = BTreeMap::new();
    // The error is the kill itself.
    let _ = publish_into(addr, name, stop, &mut acked);
    acked
}

fn publish_into(
    addr: &str,
    name: &str,
    stop: &Arc<AtomicBool>,
    acked: &mut BTreeMap<u64, Vec<u8>>,
) -> Result<()> {
    let Caller { mut client, .. } = Caller::connect(addr, name)?;
    let payload = |n: usize| format!("{name}-{n:012}-{}", "x".repeat(160)).into_bytes();
    let (mut sent, mut answered) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        let mut out = Vec::new();
        while sent - answered < WINDOW {
            out.extend(publish(
                "fault.load",
                &format!("_INBOX.{name}.{sent}"),
                &payload(sent),
            ));
            sent += 1;
        }
        client.send(&out)?;
        loop {
            let frame = client.receive()?;
            let n: usize = String::from_utf8_lossy(frame.subject)
                .rsplit('.')
                .next()
                .and_then(|n| n.parse().ok())
                .unwrap_or_default();
            let answer = String::from_utf8_lossy(frame.body).into_owned();
            answered += 1;
            if let Some(seq) = number(&answer, "seq").filter(|seq| *seq > 0) {
                acked.insert(seq, payload(n));
            }
            if !client.buffered() {
                break;
            }
        }
    }
    Ok(())
}

/// Fetches and acknowledges with confirmation until the server is gone; returns what was delivered
/// and what was confirmed.
pub(crate) fn consume_until(addr: &str, stop: &Arc<AtomicBool>) -> (Vec<u64>, BTreeSet<u64>) {
    let (mut delivered, mut confirmed) = (Vec::new(), BTreeSet::new());
    // The error is the kill itself.
    let _ = consume_into(addr, stop, &mut delivered, &mut confirmed);
    (delivered, confirmed)
}

fn consume_into(
    addr: &str,
    stop: &Arc<AtomicBool>,
    delivered: &mut Vec<u64>,
    confirmed: &mut BTreeSet<u64>,
) -> Result<()> {
    let mut caller = Caller::connect(addr, "consumer")?;
    caller.api(
        "CONSUMER.CREATE.FAULT.check",
        r#"{"stream_name":"FAULT","config":{"durable_name":"check","name":"check","ack_policy":"explicit","ack_wait":1000000000,"max_ack_pending":10000}}"#,
    )?;
    while !stop.load(Ordering::Relaxed) {
        caller.request(
            "$JS.API.CONSUMER.MSG.NEXT.FAULT.check",
            "next",
            br#"{"batch":50,"expires":200000000}"#,
        )?;
        let (mut acks, mut waiting, mut got) = (Vec::new(), 0, 0);
        while got < 50 {
            let frame = caller.client.receive()?;
            if frame.body.starts_with(b"NATS/1.0 4") {
                break;
            }
            got += 1;
            let reply = String::from_utf8_lossy(frame.reply).into_owned();
            if let Some(seq) = reply.split('.').nth(5).and_then(|n| n.parse::<u64>().ok()) {
                delivered.push(seq);
                acks.extend(publish(&reply, &caller.reply_to(seq), b"+ACK"));
                waiting += 1;
            }
        }
        caller.client.send(&acks)?;
        for _ in 0..waiting {
            let frame = caller.client.receive()?;
            let subject = String::from_utf8_lossy(frame.subject).into_owned();
            if let Some(seq) = subject.rsplit('.').next().and_then(|n| n.parse().ok()) {
                confirmed.insert(seq);
            }
        }
    }
    Ok(())
}
