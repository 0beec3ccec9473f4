//! What newer servers add to streams and consumers, as far as async-nats has it: priority groups, batches
//! and counters by their headers, lifetimes, schedules, direct get.

use std::future::Future;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use async_nats::jetstream::consumer::{self, AckPolicy, PriorityPolicy, PullConsumer};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::publish::PublishAck;
use async_nats::jetstream::{kv, stream};
use futures_util::StreamExt;
use tokio::time::{Instant, sleep, timeout};

use crate::{Env, PATIENCE, filled, fresh};

async fn grouped(
    env: &Env,
    name: &str,
    count: usize,
    priority_policy: PriorityPolicy,
) -> Result<PullConsumer> {
    let stream = filled(env, name, count).await?;
    let is_pinned = priority_policy == PriorityPolicy::PinnedClient;
    let config = consumer::pull::Config {
        durable_name: Some("c".into()),
        ack_policy: AckPolicy::Explicit,
        priority_policy,
        priority_groups: vec!["g".into()],
        priority_timeout: Duration::from_secs(if is_pinned { 30 } else { 0 }),
        ..Default::default()
    };
    Ok(stream.create_consumer(config).await?)
}

fn build(body: &str, headers: &[(&str, &str)]) -> PublishMessage {
    let message = PublishMessage::build().payload(body.to_owned().into());
    headers
        .iter()
        .fold(message, |message, (key, value)| message.header(*key, *value))
}

async fn publish(env: &Env, subject: &str, body: &str, headers: &[(&str, &str)]) -> Result<PublishAck> {
    let message = build(body, headers);
    Ok(env.js.send_publish(subject.to_owned(), message).await?.await?)
}

/// Publishes a message of a batch that nobody acknowledges.
async fn part(env: &Env, subject: &str, headers: &[(&str, &str)]) -> Result<()> {
    let message = build("part", headers).outbound_message(subject.to_owned());
    let headers = message.headers.context("set above")?;
    env.nc
        .publish_with_headers(subject.to_owned(), headers, message.payload)
        .await?;
    Ok(())
}

async fn until<F: Future<Output = Result<bool>>>(condition: impl Fn() -> F) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition().await? {
        ensure!(Instant::now() < deadline, "did not happen in time");
        sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

async fn messages(env: &Env, name: &str) -> Result<u64> {
    let mut stream = env.js.get_stream(name).await?;
    Ok(stream.info().await?.state.messages)
}

/// Fetches one message under a condition; returns its body, or nothing.
async fn overflow(
    consumer: &PullConsumer,
    min_pending: usize,
    min_ack_pending: usize,
) -> Result<Option<String>> {
    let mut fetch = consumer
        .fetch()
        .group("g")
        .max_messages(1)
        .expires(Duration::from_millis(500));
    if min_pending > 0 {
        fetch = fetch.min_pending(min_pending);
    }
    if min_ack_pending > 0 {
        fetch = fetch.min_ack_pending(min_ack_pending);
    }
    match fetch.messages().await?.next().await {
        Some(Ok(message)) => Ok(Some(String::from_utf8(message.payload.to_vec())?)),
        Some(Err(why)) => bail!("{why}"),
        None => Ok(None),
    }
}

pub(crate) async fn priority_overflow(env: &Env) -> Result<()> {
    let consumer = grouped(env, "rsoverflow", 3, PriorityPolicy::Overflow).await?;
    let asked = [(10, 0), (2, 0), (0, 2), (0, 0), (0, 2)];
    let mut got = Vec::new();
    for (min_pending, min_ack_pending) in asked {
        got.push(overflow(&consumer, min_pending, min_ack_pending).await?);
    }
    let got: Vec<_> = got.iter().map(Option::as_deref).collect();
    ensure!(got == [None, Some("0"), None, Some("1"), Some("2")], "{got:?}");
    Ok(())
}

pub(crate) async fn priority_pinned(env: &Env) -> Result<()> {
    let mut consumer = grouped(env, "rspinned", 2, PriorityPolicy::PinnedClient).await?;
    let mut first = consumer
        .stream()
        .group("g")
        .max_messages_per_batch(1)
        .messages()
        .await?;
    let message = timeout(PATIENCE, first.next()).await?.context("ended")??;
    let headers = message.headers.as_ref().context("no headers")?;
    let pin = headers.get("Nats-Pin-Id").context("no pin")?.to_string();
    let groups = consumer.info().await?.priority_groups.clone();
    ensure!(
        groups.len() == 1 && format!("{groups:?}").contains(&pin),
        "{groups:?}"
    );
    drop(first);
    let stream = env.js.get_stream("rspinned").await?;
    stream.unpin_consumer("c", "g").await?;
    let mut second = consumer
        .stream()
        .group("g")
        .max_messages_per_batch(1)
        .messages()
        .await?;
    let message = timeout(PATIENCE, second.next()).await?.context("ended")??;
    let headers = message.headers.as_ref().context("no headers")?;
    let next = headers.get("Nats-Pin-Id").context("no pin")?.to_string();
    ensure!(next != pin, "the same pin");
    Ok(())
}

pub(crate) async fn priority_prioritized(env: &Env) -> Result<()> {
    let consumer = grouped(env, "rsprioritized", 0, PriorityPolicy::Prioritized).await?;
    let ask = async |priority| {
        let fetch = consumer.fetch().group("g").max_messages(1).priority(priority);
        fetch.expires(PATIENCE).messages().await
    };
    let (mut low, mut high) = (ask(7).await?, ask(1).await?);
    env.nc.flush().await?;
    publish(env, "rsprioritized.a", "first", &[]).await?;
    publish(env, "rsprioritized.a", "second", &[]).await?;
    let taken = |message: Option<Result<_, async_nats::Error>>| -> Result<String> {
        let message: async_nats::jetstream::Message = match message {
            Some(Ok(message)) => message,
            Some(Err(why)) => bail!("{why}"),
            None => bail!("nothing came"),
        };
        Ok(String::from_utf8(message.payload.to_vec())?)
    };
    let got = (taken(high.next().await)?, taken(low.next().await)?);
    ensure!(got == ("first".into(), "second".into()), "{got:?}");
    Ok(())
}

pub(crate) async fn atomic_batch(env: &Env) -> Result<()> {
    let config = stream::Config {
        allow_atomic_publish: true,
        ..Default::default()
    };
    fresh(env, "rsatomic", config).await?;
    for sequence in ["1", "2", "3"] {
        let headers = [("Nats-Batch-Id", "one"), ("Nats-Batch-Sequence", sequence)];
        part(env, "rsatomic.a", &headers).await?;
    }
    env.nc.flush().await?;
    ensure!(messages(env, "rsatomic").await? == 0);
    let commit = [
        ("Nats-Batch-Id", "one"),
        ("Nats-Batch-Sequence", "4"),
        ("Nats-Batch-Commit", "1"),
    ];
    let ack = publish(env, "rsatomic.b", "end", &commit).await?;
    let told = (ack.batch_id.as_deref(), ack.batch_size, ack.sequence);
    ensure!(told == (Some("one"), Some(4), 4), "{ack:?}");
    ensure!(messages(env, "rsatomic").await? == 4);
    Ok(())
}

pub(crate) async fn counter(env: &Env) -> Result<()> {
    let config = stream::Config {
        allow_message_counter: true,
        allow_direct: true,
        ..Default::default()
    };
    let stream = fresh(env, "rscounter", config).await?;
    let mut totals = Vec::new();
    for amount in ["5", "-7", "99999999999999999999999999"] {
        let ack = publish(env, "rscounter.a", "", &[("Nats-Incr", amount)]).await?;
        totals.push(ack.value.unwrap_or_default());
    }
    ensure!(totals == ["5", "-2", "99999999999999999999999997"], "{totals:?}");
    let last = stream.direct_get_last_for_subject("rscounter.a").await?;
    ensure!(
        last.payload == r#"{"val":"99999999999999999999999997"}"#,
        "{last:?}"
    );
    ensure!(
        publish(env, "rscounter.a", "x", &[]).await.is_err(),
        "no increment"
    );
    Ok(())
}

pub(crate) async fn message_ttl(env: &Env) -> Result<()> {
    let config = stream::Config {
        allow_message_ttl: true,
        ..Default::default()
    };
    let mut stream = fresh(env, "rsttl", config).await?;
    for seconds in [1, 3600] {
        let message = PublishMessage::build().ttl(Duration::from_secs(seconds));
        env.js.send_publish("rsttl.a", message).await?.await?;
    }
    until(|| async { Ok(messages(env, "rsttl").await? == 1) }).await?;
    ensure!(stream.info().await?.state.first_sequence == 2);
    Ok(())
}

pub(crate) async fn scheduled(env: &Env) -> Result<()> {
    let config = stream::Config {
        allow_message_schedules: true,
        allow_rollup: true,
        ..Default::default()
    };
    let stream = &fresh(env, "rssched", config).await?;
    for (name, schedule) in [("once", "@at 2020-01-01T00:00:00Z"), ("every", "@every 1s")] {
        let target = format!("rssched.target.{name}");
        let headers = [("Nats-Schedule", schedule), ("Nats-Schedule-Target", &target)];
        publish(env, &format!("rssched.{name}"), "due", &headers).await?;
    }
    for name in ["once", "every"] {
        let target = format!("rssched.target.{name}");
        let came = || async { Ok(stream.get_last_raw_message_by_subject(&target).await.is_ok()) };
        until(came).await?;
        let made = stream.get_last_raw_message_by_subject(&target).await?;
        let by = made.headers.get("Nats-Scheduler").context("no scheduler")?;
        ensure!(
            made.payload == "due" && by.as_str() == format!("rssched.{name}"),
            "{made:?}"
        );
    }
    ensure!(
        stream
            .get_last_raw_message_by_subject("rssched.once")
            .await
            .is_err(),
        "still there"
    );
    stream.get_last_raw_message_by_subject("rssched.every").await?;
    Ok(())
}

pub(crate) async fn kv_ttl(env: &Env) -> Result<()> {
    let _absent = env.js.delete_key_value("rskvttl").await;
    let config = kv::Config {
        bucket: "rskvttl".into(),
        limit_markers: Some(Duration::from_mins(1)),
        ..Default::default()
    };
    let store = &env.js.create_key_value(config).await?;
    store
        .create_with_ttl("short", "x".into(), Duration::from_secs(1))
        .await?;
    store.put("long", "x".into()).await?;
    until(|| async { Ok(store.get("short").await?.is_none()) }).await?;
    ensure!(store.get("long").await?.is_some());
    Ok(())
}

pub(crate) async fn persist_async(env: &Env) -> Result<()> {
    let config = stream::Config {
        persist_mode: Some(stream::PersistenceMode::Async),
        ..Default::default()
    };
    fresh(env, "rspersist", config).await?;
    for sequence in 1..=50 {
        ensure!(publish(env, "rspersist.a", "x", &[]).await?.sequence == sequence);
    }
    ensure!(messages(env, "rspersist").await? == 50);
    Ok(())
}
