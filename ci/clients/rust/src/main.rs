//! async-nats, unmodified: core messaging, streams, consumers and key-value against one server.
//!
//! Usage: rust-checks URL. Prints `ok NAME` or `FAIL NAME: why` per check; exits 1 if one failed.
//! RESTART, if set, is a program that restarts the server.

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use async_nats::jetstream::consumer::{self, AckPolicy, DeliverPolicy, PullConsumer, PushConsumer};
use async_nats::jetstream::{self, AckKind, Context, kv, stream};
use async_nats::{Client, ConnectOptions, Event, HeaderMap};
use futures_util::{StreamExt, TryStreamExt};
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(3);

struct Env {
    url: String,
    nc: Client,
    js: Context,
}

macro_rules! checks {
    ($env:expr, $failed:expr, $($name:ident),* $(,)?) => {
        $(
            let result = match timeout(Duration::from_secs(30), $name($env)).await {
                Ok(result) => result,
                Err(_) => Err(anyhow::anyhow!("took too long")),
            };
            match result {
                Ok(()) => println!("ok rust/{}", stringify!($name)),
                Err(why) => {
                    $failed += 1;
                    println!("FAIL rust/{}: {}", stringify!($name), format!("{why:#}").replace('\n', " "));
                }
            }
        )*
    };
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<ExitCode> {
    let url = env::args().nth(1).context("usage: rust-checks URL")?;
    let nc = options().connect(&url).await?;
    let env = &Env {
        js: jetstream::new(nc.clone()),
        nc,
        url,
    };
    let mut failed = 0;
    checks!(
        env,
        failed,
        connect,
        publish_subscribe,
        request_reply,
        no_responders,
        queue_group,
        headers,
        unsubscribe_after,
        account_info,
        stream_create_update_delete,
        replicas_refused,
        stream_listing,
        publish_ack,
        publish_many,
        publish_dedup,
        publish_expected,
        purge_and_delete_message,
        direct_get,
        pull_fetch,
        pull_messages,
        ack_verbs,
        redelivery,
        ordered_push,
        ordered_pull,
        push,
        deliver_policies,
        consumers_listed_and_deleted,
        kv_basics,
        kv_history_keys,
        kv_watch,
        reconnect,
    );
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn options() -> ConnectOptions {
    ConnectOptions::new().reconnect_delay_callback(|_| Duration::from_millis(100))
}

async fn stream(env: &Env, name: &str, more: stream::Config) -> Result<stream::Stream> {
    let _absent = env.js.delete_stream(name).await;
    let config = stream::Config {
        name: name.into(),
        subjects: vec![format!("{name}.>")],
        ..more
    };
    Ok(env.js.create_stream(config).await?)
}

async fn filled(env: &Env, name: &str, count: usize) -> Result<stream::Stream> {
    let stream = stream(env, name, stream::Config::default()).await?;
    for number in 0..count {
        env.js
            .publish(format!("{name}.a"), number.to_string().into())
            .await?
            .await?;
    }
    Ok(stream)
}

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

async fn connect(env: &Env) -> Result<()> {
    env.nc.flush().await?;
    ensure!(env.nc.server_info().headers && env.nc.server_info().version.starts_with("2."));
    Ok(())
}

async fn publish_subscribe(env: &Env) -> Result<()> {
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

async fn request_reply(env: &Env) -> Result<()> {
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

async fn no_responders(env: &Env) -> Result<()> {
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

async fn queue_group(env: &Env) -> Result<()> {
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

async fn headers(env: &Env) -> Result<()> {
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

async fn unsubscribe_after(env: &Env) -> Result<()> {
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

async fn account_info(env: &Env) -> Result<()> {
    ensure!(env.js.query_account().await?.limits.max_storage.is_none());
    Ok(())
}

async fn stream_create_update_delete(env: &Env) -> Result<()> {
    let mut made = stream(
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

async fn replicas_refused(env: &Env) -> Result<()> {
    let result = stream(
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

async fn stream_listing(env: &Env) -> Result<()> {
    stream(env, "rslist", stream::Config::default()).await?;
    let names: Vec<String> = env.js.stream_names().try_collect().await?;
    let infos: Vec<stream::Info> = env.js.streams().try_collect().await?;
    ensure!(
        names.contains(&"rslist".to_owned()) && infos.len() == names.len(),
        "{names:?}"
    );
    ensure!(env.js.stream_by_subject("rslist.x").await? == "rslist");
    Ok(())
}

async fn publish_ack(env: &Env) -> Result<()> {
    stream(env, "rsack", stream::Config::default()).await?;
    let ack = env.js.publish("rsack.a", "x".into()).await?.await?;
    ensure!(ack.stream == "rsack" && ack.sequence == 1, "{ack:?}");
    ensure!(env.js.publish("rs.nostream", "x".into()).await?.await.is_err());
    Ok(())
}

async fn publish_many(env: &Env) -> Result<()> {
    stream(env, "rsmany", stream::Config::default()).await?;
    let mut acks = Vec::new();
    for _ in 0..1000 {
        acks.push(env.js.publish("rsmany.a", "x".into()).await?);
    }
    for (index, ack) in acks.into_iter().enumerate() {
        ensure!(ack.await?.sequence == index as u64 + 1);
    }
    Ok(())
}

async fn publish_dedup(env: &Env) -> Result<()> {
    stream(env, "rsdedup", stream::Config::default()).await?;
    for duplicate in [false, true] {
        let message = jetstream::message::PublishMessage::build().message_id("one");
        let ack = env.js.send_publish("rsdedup.a", message).await?.await?;
        ensure!(ack.sequence == 1 && ack.duplicate == duplicate, "{ack:?}");
    }
    Ok(())
}

async fn publish_expected(env: &Env) -> Result<()> {
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

async fn purge_and_delete_message(env: &Env) -> Result<()> {
    let mut stream = filled(env, "rspurge", 5).await?;
    ensure!(stream.delete_message(3).await?);
    ensure!(stream.purge().keep(2).await?.purged == 2);
    ensure!(stream.get_last_raw_message_by_subject("rspurge.a").await?.payload == "4");
    ensure!(stream.purge().filter("rspurge.a").await?.purged == 2);
    ensure!(stream.info().await?.state.messages == 0);
    ensure!(stream.get_raw_message(1).await.is_err());
    Ok(())
}

async fn direct_get(env: &Env) -> Result<()> {
    let stream = stream(
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

async fn pull_fetch(env: &Env) -> Result<()> {
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

async fn pull_messages(env: &Env) -> Result<()> {
    let stream = stream(env, "rsmessages", stream::Config::default()).await?;
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

async fn ack_verbs(env: &Env) -> Result<()> {
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

async fn redelivery(env: &Env) -> Result<()> {
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

async fn ordered_push(env: &Env) -> Result<()> {
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

async fn ordered_pull(env: &Env) -> Result<()> {
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

async fn push(env: &Env) -> Result<()> {
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

async fn deliver_policies(env: &Env) -> Result<()> {
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

async fn consumers_listed_and_deleted(env: &Env) -> Result<()> {
    let stream = stream(env, "rsconsumers", stream::Config::default()).await?;
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

async fn bucket(env: &Env, name: &str) -> Result<kv::Store> {
    let _absent = env.js.delete_key_value(name).await;
    Ok(env
        .js
        .create_key_value(kv::Config {
            bucket: name.into(),
            history: 5,
            ..Default::default()
        })
        .await?)
}

async fn kv_basics(env: &Env) -> Result<()> {
    let store = bucket(env, "rskv").await?;
    ensure!(store.create("color", "blue".into()).await? == 1);
    ensure!(
        store.create("color", "red".into()).await.is_err(),
        "created twice"
    );
    ensure!(store.update("color", "green".into(), 1).await? == 2);
    ensure!(
        store.update("color", "red".into(), 1).await.is_err(),
        "updated an old revision"
    );
    ensure!(store.get("color").await?.context("gone")? == "green");
    ensure!(store.entry_for_revision("color", 1).await?.context("gone")?.value == "blue");
    store.delete("color").await?;
    ensure!(store.get("color").await?.is_none(), "got what is deleted");
    ensure!(store.create("color", "new".into()).await? == 4);
    Ok(())
}

async fn kv_history_keys(env: &Env) -> Result<()> {
    let store = bucket(env, "rskvh").await?;
    for number in 0..7 {
        store.put("a.b", number.to_string().into()).await?;
    }
    store.put("c", "x".into()).await?;
    let history: Vec<kv::Entry> = store.history("a.b").await?.try_collect().await?;
    ensure!(history.len() == 5 && history[0].value == "2", "{history:?}");
    let mut keys: Vec<String> = store.keys().await?.try_collect().await?;
    keys.sort();
    ensure!(keys == ["a.b", "c"], "{keys:?}");
    store.purge("a.b").await?;
    let history: Vec<kv::Entry> = store.history("a.b").await?.try_collect().await?;
    ensure!(
        history.len() == 1 && history[0].operation == kv::Operation::Purge,
        "{history:?}"
    );
    Ok(())
}

async fn kv_watch(env: &Env) -> Result<()> {
    let store = bucket(env, "rswatch").await?;
    let mut watch = store.watch_all().await?;
    store.put("a", "1".into()).await?;
    store.put("b", "2".into()).await?;
    for (key, value) in [("a", "1"), ("b", "2")] {
        let entry = timeout(PATIENCE, watch.next()).await?.context("ended")??;
        ensure!(entry.key == key && entry.value == value, "{entry:?}");
    }
    Ok(())
}

async fn reconnect(env: &Env) -> Result<()> {
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
