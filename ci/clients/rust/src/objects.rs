//! Object stores.

use anyhow::{Context as _, Result, ensure};
use async_nats::jetstream::object_store::{Config, ObjectMetadata, ObjectStore};
use futures_util::TryStreamExt;
use tokio::io::AsyncReadExt;

use crate::Env;

async fn held(store: &ObjectStore, name: &str) -> Result<Vec<u8>> {
    let mut data = Vec::new();
    store.get(name).await?.read_to_end(&mut data).await?;
    Ok(data)
}

pub(crate) async fn object_store(env: &Env) -> Result<()> {
    let _absent = env.js.delete_object_store("rsobj").await;
    let config = Config {
        bucket: "rsobj".into(),
        ..Default::default()
    };
    let mut store = env.js.create_object_store(config).await?;
    let big: Vec<u8> = (0..300_000_u32).map(|i| (i * 7 % 256) as u8).collect();
    let meta = ObjectMetadata {
        name: "big".into(),
        chunk_size: Some(100_000),
        ..Default::default()
    };
    let info = store.put(meta, &mut big.as_slice()).await?;
    ensure!((info.size, info.chunks) == (300_000, 3), "{info:?}");
    ensure!(held(&store, "big").await? == big, "came back otherwise");
    let short = big.get(..9).context("shorter than short")?;
    let mut source = short;
    let info = store.put("big", &mut source).await?;
    store.add_link("other name", &info).await?;
    ensure!(held(&store, "other name").await? == short, "link");
    let mut names: Vec<String> = (store.list().await?.map_ok(|info| info.name))
        .try_collect()
        .await?;
    names.sort();
    ensure!(names == ["big", "other name"], "{names:?}");
    store.delete("big").await?;
    ensure!(store.get("big").await.is_err(), "got what is deleted");
    // What stood there before is purged, the link and the record of the deletion stay.
    let messages = env.js.get_stream("OBJ_rsobj").await?.cached_info().state.messages;
    ensure!(messages == 2, "{messages} messages");
    store.seal().await?;
    ensure!(store.put("late", &mut b"x".as_slice()).await.is_err(), "sealed");
    Ok(())
}
