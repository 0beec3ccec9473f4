//! Publish, subscribe, request, queue groups, headers, and what a reconnect keeps.

use std::env;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use async_nats::{Event, HeaderMap, jetstream};
use futures_util::StreamExt;
use tokio::time::timeout;

use crate::{Env, PATIENCE, filled, options};

pub(crate) async fn connect(env: &Env) -> Result<()> {
    env.nc.flush().await?;
    ensure!(env.nc.server_info().headers && env.nc.server_info().version.starts_with("2."));
    Ok(())
}

pub(crate) async fn publish_subscribe(env: &Env) -> Result<()> {
    let mut sub = env.nc.subscribe("rs.core.*").await?;
    env.nc.publish("rs.core.a", "one".into()).await?;
    env.nc
        .publish_with_reply("rs.core.b", "there", "two".into())
        .await?;
    let one = timeout(PATIENCE, sub.next()).await?.context("closed")?;
    let two = timeout(PATIENCE, sub.next()).await?.context("closed")?;
    ensure!(
        one.payload == "one" && two.reply.as_deref() == Some("there"),
        "{one:?} {two:?}"
    );
    Ok(())
}

pub(crate) async fn request_reply(env: &Env) -> Result<()> {
    let (nc, mut sub) = (env.nc.clone(), env.nc.subscribe("rs.service").await?);
    let server = tokio::spawn(async move {
        while let Some(message) = sub.next().await {
            if let Some(reply) = message.reply {
                let _closed = nc.publish(reply, message.payload).await;
            }
        }
    });
    for _ in 0..20 {
        let answer = env.nc.request("rs.service", "hello".into()).await?;
        ensure!(answer.payload == "hello");
    }
    server.abort();
    Ok(())
}

pub(crate) async fn no_responders(env: &Env) -> Result<()> {
    let error = env
        .nc
        .request("rs.nobody", "".into())
        .await
        .err()
        .context("answered")?;
    ensure!(
        error.kind() == async_nats::RequestErrorKind::NoResponders,
        "{error}"
    );
    Ok(())
}

pub(crate) async fn queue_group(env: &Env) -> Result<()> {
    let mut subs = Vec::new();
    for _ in 0..3 {
        subs.push(env.nc.queue_subscribe("rs.queue", "workers".into()).await?);
    }
    for _ in 0..30 {
        env.nc.publish("rs.queue", "x".into()).await?;
    }
    let mut all = futures_util::stream::select_all(subs);
    for count in 0..30 {
        timeout(PATIENCE, all.next())
            .await
            .with_context(|| format!("only {count} came"))?;
    }
    ensure!(
        timeout(Duration::from_millis(100), all.next()).await.is_err(),
        "more than 30"
    );
    Ok(())
}

pub(crate) async fn headers(env: &Env) -> Result<()> {
    let mut sub = env.nc.subscribe("rs.headers").await?;
    let mut headers = HeaderMap::new();
    headers.append("Key", "one");
    headers.append("Key", "two");
    env.nc
        .publish_with_headers("rs.headers", headers.clone(), "x".into())
        .await?;
    let got = timeout(PATIENCE, sub.next()).await?.context("closed")?;
    ensure!(got.headers.as_ref() == Some(&headers), "{got:?}");
    Ok(())
}

pub(crate) async fn unsubscribe_after(env: &Env) -> Result<()> {
    let mut sub = env.nc.subscribe("rs.limited").await?;
    sub.unsubscribe_after(2).await?;
    for _ in 0..4 {
        env.nc.publish("rs.limited", "x".into()).await?;
    }
    let mut count = 0;
    while timeout(PATIENCE, sub.next()).await?.is_some() {
        count += 1;
    }
    ensure!(count == 2, "{count} came");
    Ok(())
}

pub(crate) async fn reconnect(env: &Env) -> Result<()> {
    let Ok(restart) = env::var("RESTART") else {
        return Ok(());
    };
    filled(env, "rsrestart", 3).await?;
    let (events, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let other = options()
        .event_callback(move |event| {
            let events = events.clone();
            async move {
                let _gone = events.send(event);
            }
        })
        .connect(&env.url)
        .await?;
    let mut sub = other.subscribe("rs.after").await?;
    other.flush().await?;
    ensure!(tokio::process::Command::new(restart).status().await?.success());
    let mut lost = false;
    loop {
        match timeout(Duration::from_secs(10), seen.recv())
            .await?
            .context("no events")?
        {
            Event::Disconnected => lost = true,
            Event::Connected if lost => break,
            _ => {}
        }
    }
    other.publish("rs.after", "here".into()).await?;
    ensure!(timeout(PATIENCE, sub.next()).await?.context("closed")?.payload == "here");
    let stream = jetstream::new(other).get_stream("rsrestart").await?;
    ensure!(stream.cached_info().state.messages == 3);
    Ok(())
}
