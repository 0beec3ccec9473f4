//! Streams: their life, publishing into them, reading single messages.

use anyhow::{Context as _, Result, ensure};
use async_nats::jetstream::{self, stream};
use futures_util::TryStreamExt;

use crate::{Env, filled, fresh};

pub(crate) async fn account_info(env: &Env) -> Result<()> {
    ensure!(env.js.query_account().await?.limits.max_storage.is_none());
    Ok(())
}

pub(crate) async fn stream_create_update_delete(env: &Env) -> Result<()> {
    let mut made = fresh(
        env,
        "rslife",
        stream::Config {
            max_messages: 10,
            ..Default::default()
        },
    )
    .await?;
    let mut config = made.cached_info().config.clone();
    config.max_messages = 7;
    env.js.update_stream(&config).await?;
    ensure!(made.info().await?.config.max_messages == 7);
    ensure!(
        env.js
            .get_or_create_stream(config)
            .await?
            .cached_info()
            .config
            .max_messages
            == 7
    );
    ensure!(env.js.delete_stream("rslife").await?.success);
    ensure!(
        env.js.get_stream("rslife").await.is_err(),
        "the stream is still there"
    );
    Ok(())
}

pub(crate) async fn replicas_refused(env: &Env) -> Result<()> {
    let result = fresh(
        env,
        "rsreplicas",
        stream::Config {
            num_replicas: 3,
            ..Default::default()
        },
    )
    .await;
    let error = result.err().context("three replicas on one server")?;
    ensure!(format!("{error:?}").contains("10074"), "{error:?}");
    Ok(())
}

pub(crate) async fn stream_listing(env: &Env) -> Result<()> {
    fresh(env, "rslist", stream::Config::default()).await?;
    let names: Vec<String> = env.js.stream_names().try_collect().await?;
    let infos: Vec<stream::Info> = env.js.streams().try_collect().await?;
    ensure!(
        names.contains(&"rslist".to_owned()) && infos.len() == names.len(),
        "{names:?}"
    );
    ensure!(env.js.stream_by_subject("rslist.x").await? == "rslist");
    Ok(())
}

pub(crate) async fn publish_ack(env: &Env) -> Result<()> {
    fresh(env, "rsack", stream::Config::default()).await?;
    let ack = env.js.publish("rsack.a", "x".into()).await?.await?;
    ensure!(ack.stream == "rsack" && ack.sequence == 1, "{ack:?}");
    ensure!(env.js.publish("rs.nostream", "x".into()).await?.await.is_err());
    Ok(())
}

pub(crate) async fn publish_many(env: &Env) -> Result<()> {
    fresh(env, "rsmany", stream::Config::default()).await?;
    let mut acks = Vec::new();
    for _ in 0..1000 {
        acks.push(env.js.publish("rsmany.a", "x".into()).await?);
    }
    for (index, ack) in acks.into_iter().enumerate() {
        ensure!(ack.await?.sequence == index as u64 + 1);
    }
    Ok(())
}

pub(crate) async fn publish_dedup(env: &Env) -> Result<()> {
    fresh(env, "rsdedup", stream::Config::default()).await?;
    for duplicate in [false, true] {
        let message = jetstream::message::PublishMessage::build().message_id("one");
        let ack = env.js.send_publish("rsdedup.a", message).await?.await?;
        ensure!(ack.sequence == 1 && ack.duplicate == duplicate, "{ack:?}");
    }
    Ok(())
}

pub(crate) async fn publish_expected(env: &Env) -> Result<()> {
    use jetstream::context::PublishErrorKind;
    use jetstream::message::PublishMessage;
    filled(env, "rsexpect", 1).await?;
    for (message, kind) in [
        (
            PublishMessage::build().expected_last_sequence(7),
            PublishErrorKind::WrongLastSequence,
        ),
        (
            PublishMessage::build().expected_last_subject_sequence(7),
            PublishErrorKind::WrongLastSequence,
        ),
        (
            PublishMessage::build().expected_last_message_id("other"),
            PublishErrorKind::WrongLastMessageId,
        ),
    ] {
        let result = env.js.send_publish("rsexpect.a", message).await?.await;
        ensure!(
            result.as_ref().err().map(|e| e.kind()) == Some(kind),
            "{result:?}"
        );
    }
    let message = PublishMessage::build()
        .expected_last_sequence(1)
        .expected_stream("rsexpect");
    ensure!(env.js.send_publish("rsexpect.a", message).await?.await?.sequence == 2);
    Ok(())
}

pub(crate) async fn purge_and_delete_message(env: &Env) -> Result<()> {
    let mut stream = filled(env, "rspurge", 5).await?;
    ensure!(stream.delete_message(3).await?);
    ensure!(stream.purge().keep(2).await?.purged == 2);
    ensure!(stream.get_last_raw_message_by_subject("rspurge.a").await?.payload == "4");
    ensure!(stream.purge().filter("rspurge.a").await?.purged == 2);
    ensure!(stream.info().await?.state.messages == 0);
    ensure!(stream.get_raw_message(1).await.is_err());
    Ok(())
}

pub(crate) async fn direct_get(env: &Env) -> Result<()> {
    let stream = fresh(
        env,
        "rsdirect",
        stream::Config {
            allow_direct: true,
            ..Default::default()
        },
    )
    .await?;
    env.js.publish("rsdirect.a", "x".into()).await?.await?;
    let message = stream.direct_get(1).await?;
    ensure!(message.payload == "x" && message.sequence == 1);
    ensure!(stream.direct_get_last_for_subject("rsdirect.a").await?.sequence == 1);
    ensure!(stream.direct_get(9).await.is_err());
    Ok(())
}
