//! Key-value buckets.

use anyhow::{Context as _, Result, ensure};
use async_nats::jetstream::kv;
use futures_util::{StreamExt, TryStreamExt};
use tokio::time::timeout;

use crate::{Env, PATIENCE};

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

pub(crate) async fn kv_basics(env: &Env) -> Result<()> {
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

pub(crate) async fn kv_history_keys(env: &Env) -> Result<()> {
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

pub(crate) async fn kv_watch(env: &Env) -> Result<()> {
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
