//! Pull, push and ordered consumers, and what acknowledgements do.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use async_nats::jetstream::consumer::{self, AckPolicy, DeliverPolicy, PullConsumer, PushConsumer};
use async_nats::jetstream::{self, AckKind, stream};
use futures_util::{StreamExt, TryStreamExt};
use tokio::time::{sleep, timeout};

use crate::{Env, PATIENCE, filled, fresh};

fn durable() -> consumer::pull::Config {
    let ack_policy = AckPolicy::Explicit;
    consumer::pull::Config {
        durable_name: Some("c".into()),
        ack_policy,
        ..Default::default()
    }
}

async fn next(consumer: &PullConsumer, wait_ms: u64) -> Result<Option<jetstream::Message>> {
    let mut batch = consumer
        .fetch()
        .max_messages(1)
        .expires(Duration::from_millis(wait_ms))
        .messages()
        .await?;
    match batch.next().await {
        Some(Ok(message)) => Ok(Some(message)),
        Some(Err(why)) => bail!("{why}"),
        None => Ok(None),
    }
}

fn ack(result: Result<(), async_nats::Error>) -> Result<()> {
    result.map_err(|why| anyhow::anyhow!("{why}"))
}

pub(crate) async fn pull_fetch(env: &Env) -> Result<()> {
    let stream = filled(env, "rsfetch", 10).await?;
    let mut consumer: PullConsumer = stream.create_consumer(durable()).await?;
    let mut count = 0;
    while count < 10 {
        let mut batch = consumer
            .fetch()
            .max_messages(4)
            .expires(Duration::from_millis(500))
            .messages()
            .await?;
        while let Some(message) = batch.next().await {
            let message = message.map_err(|why| anyhow::anyhow!("{why}"))?;
            ensure!(message.payload == count.to_string());
            ack(message.double_ack().await)?;
            count += 1;
        }
    }
    let info = consumer.info().await?;
    ensure!(
        info.num_ack_pending == 0 && info.ack_floor.stream_sequence == 10,
        "{info:?}"
    );
    ensure!(next(&consumer, 300).await?.is_none(), "an eleventh message");
    Ok(())
}

pub(crate) async fn pull_messages(env: &Env) -> Result<()> {
    let stream = fresh(env, "rsmessages", stream::Config::default()).await?;
    let consumer: PullConsumer = stream.create_consumer(durable()).await?;
    let mut messages = consumer.messages().await?;
    for number in 0..200 {
        env.js.publish("rsmessages.a", number.to_string().into()).await?;
    }
    for number in 0..200 {
        let message = timeout(PATIENCE, messages.next()).await?.context("ended")??;
        ensure!(message.payload == number.to_string());
        ack(message.ack().await)?;
    }
    Ok(())
}

pub(crate) async fn ack_verbs(env: &Env) -> Result<()> {
    let stream = filled(env, "rsverbs", 1).await?;
    let config = consumer::pull::Config {
        ack_wait: Duration::from_secs(1),
        ..durable()
    };
    let consumer = stream.create_consumer(config).await?;
    for delivery in 1..=3 {
        let message = next(&consumer, 2000)
            .await?
            .with_context(|| format!("delivery {delivery}"))?;
        let info = message.info().map_err(|why| anyhow::anyhow!("{why}"))?;
        ensure!(info.delivered == delivery, "{info:?}");
        match delivery {
            1 => ack(message.ack_with(AckKind::Nak(None)).await)?,
            2 => ack(message
                .ack_with(AckKind::Nak(Some(Duration::from_millis(200))))
                .await)?,
            _ => {
                sleep(Duration::from_millis(600)).await;
                ack(message.ack_with(AckKind::Progress).await)?;
                sleep(Duration::from_millis(600)).await;
                ack(message.ack_with(AckKind::Term).await)?;
            }
        }
    }
    ensure!(
        next(&consumer, 1500).await?.is_none(),
        "a terminated message came again"
    );
    Ok(())
}

pub(crate) async fn redelivery(env: &Env) -> Result<()> {
    let stream = filled(env, "rsredeliver", 1).await?;
    let config = consumer::pull::Config {
        ack_wait: Duration::from_millis(300),
        ..durable()
    };
    let consumer = stream.create_consumer(config).await?;
    next(&consumer, 1000).await?.context("first")?;
    let again = next(&consumer, 2000).await?.context("second")?;
    ensure!(again.info().map_err(|why| anyhow::anyhow!("{why}"))?.delivered == 2);
    Ok(())
}

pub(crate) async fn ordered_push(env: &Env) -> Result<()> {
    let stream = filled(env, "rsopush", 50).await?;
    let deliver_subject = env.nc.new_inbox();
    let consumer: consumer::OrderedPushConsumer = stream
        .create_consumer(consumer::push::OrderedConfig {
            deliver_subject,
            ..Default::default()
        })
        .await?;
    let mut messages = consumer.messages().await?;
    for number in 0..50 {
        let message = timeout(PATIENCE, messages.next()).await?.context("ended")??;
        ensure!(message.payload == number.to_string());
    }
    Ok(())
}

pub(crate) async fn ordered_pull(env: &Env) -> Result<()> {
    let stream = filled(env, "rsopull", 50).await?;
    let consumer: consumer::OrderedPullConsumer = stream
        .create_consumer(consumer::pull::OrderedConfig::default())
        .await?;
    let mut messages = consumer.messages().await?;
    for number in 0..50 {
        let message = timeout(PATIENCE, messages.next()).await?.context("ended")??;
        ensure!(message.payload == number.to_string());
    }
    Ok(())
}

pub(crate) async fn push(env: &Env) -> Result<()> {
    let stream = filled(env, "rspush", 10).await?;
    let consumer: PushConsumer = stream
        .create_consumer(consumer::push::Config {
            durable_name: Some("c".into()),
            deliver_subject: env.nc.new_inbox(),
            ack_policy: AckPolicy::Explicit,
            idle_heartbeat: Duration::from_millis(500),
            flow_control: true,
            ..Default::default()
        })
        .await?;
    let mut messages = consumer.messages().await?;
    for number in 0..10 {
        let message = timeout(PATIENCE, messages.next()).await?.context("ended")??;
        ensure!(message.payload == number.to_string());
        ack(message.ack().await)?;
    }
    Ok(())
}

pub(crate) async fn deliver_policies(env: &Env) -> Result<()> {
    let stream = filled(env, "rspolicy", 5).await?;
    for (deliver_policy, first) in [
        (DeliverPolicy::All, "0"),
        (DeliverPolicy::Last, "4"),
        (DeliverPolicy::ByStartSequence { start_sequence: 3 }, "2"),
    ] {
        let _absent = stream.delete_consumer("c").await;
        let config = consumer::pull::Config {
            deliver_policy,
            ..durable()
        };
        let consumer = stream.create_consumer(config).await?;
        let message = next(&consumer, 1000).await?.context("nothing")?;
        ensure!(
            message.payload == first,
            "{deliver_policy:?}: {:?}",
            message.payload
        );
    }
    Ok(())
}

pub(crate) async fn consumers_listed_and_deleted(env: &Env) -> Result<()> {
    let stream = fresh(env, "rsconsumers", stream::Config::default()).await?;
    stream.create_consumer(durable()).await?;
    let names: Vec<String> = stream.consumer_names().try_collect().await?;
    ensure!(names == ["c"], "{names:?}");
    stream.delete_consumer("c").await?;
    ensure!(
        stream.consumer_info("c").await.is_err(),
        "the consumer is still there"
    );
    Ok(())
}
