//! async-nats, unmodified: core messaging, streams, consumers and key-value against one server.
//!
//! Usage: rust-checks URL. Prints `ok NAME` or `FAIL NAME: why` per check; exits 1 if one failed.
//! RESTART, if set, is a program that restarts the server.

mod consumers;
mod extensions;
mod kv;
mod messaging;
mod objects;
mod streams;

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use async_nats::jetstream::{self, Context, stream};
use async_nats::{Client, ConnectOptions};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(3);

struct Env {
    url: String,
    nc: Client,
    js: Context,
}

macro_rules! checks {
    ($env:expr, $failed:expr, $($group:ident::{$($name:ident),* $(,)?}),* $(,)?) => {
        $($(
            let result = match timeout(Duration::from_secs(30), $group::$name($env)).await {
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
        )*)*
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
        env, failed,
        messaging::{connect, publish_subscribe, request_reply, no_responders, queue_group, headers, unsubscribe_after},
        streams::{account_info, stream_create_update_delete, replicas_refused, stream_listing, publish_ack, publish_many, publish_dedup, publish_expected, purge_and_delete_message, direct_get},
        consumers::{pull_fetch, pull_messages, ack_verbs, redelivery, ordered_push, ordered_pull, push, deliver_policies, consumers_listed_and_deleted},
        kv::{kv_basics, kv_history_keys, kv_watch},
        objects::{object_store},
        extensions::{priority_overflow, priority_pinned, priority_prioritized, atomic_batch, counter, message_ttl, scheduled, kv_ttl, persist_async},
        messaging::{reconnect},
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

async fn fresh(env: &Env, name: &str, more: stream::Config) -> Result<stream::Stream> {
    let _absent = env.js.delete_stream(name).await;
    let config = stream::Config {
        name: name.into(),
        subjects: vec![format!("{name}.>")],
        ..more
    };
    Ok(env.js.create_stream(config).await?)
}

async fn filled(env: &Env, name: &str, count: usize) -> Result<stream::Stream> {
    let stream = fresh(env, name, stream::Config::default()).await?;
    for number in 0..count {
        env.js
            .publish(format!("{name}.a"), number.to_string().into())
            .await?
            .await?;
    }
    Ok(stream)
}
