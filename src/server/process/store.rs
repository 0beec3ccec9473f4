//! The directory that streams lie in: opened at the start, or when the configuration switches JetStream on.

use std::path::Path;

use anyhow::Context;
use config::Options;
use storage::StoreKey;

use crate::disk::FileDisk;
use crate::log::Logger;
use crate::reload::OpenStore;

/// Opens the directory that a configuration names.
pub(super) fn open(options: &Options) -> anyhow::Result<OpenStore> {
    let encryption = &options.jetstream.encryption;
    let dir = directory(options);
    let opened = FileDisk::open_encrypted(Path::new(&dir), encryption);
    let (disk, key) = opened.context("opening the JetStream store")?;
    Ok(OpenStore { disk, key })
}

/// Says what streams are about to be served from.
pub(super) fn tell(options: &Options, key: Option<&StoreKey>, log: &Logger) {
    log.info("Starting JetStream");
    let dir = directory(options);
    log.info(format!("  Store Directory: {dir:?}"));
    if let Some(key) = key {
        log.info(format!("  Encryption:      {}", key.cipher()));
    }
}

fn directory(options: &Options) -> String {
    let temp = std::env::temp_dir();
    options.jetstream.directory(&temp.to_string_lossy())
}
