//! The directory that streams lie in: opened at the start, or when the configuration switches JetStream on.

use std::io::ErrorKind;
use std::path::Path;

use anyhow::anyhow;
use broker::Room;
use config::{Options, size_text};
use protocol::js::limits::API_LEVEL;
use storage::Cipher;

use crate::disk::{FileDisk, OpenError};
use crate::log::Logger;
use crate::reason;
use crate::reload::OpenStore;

/// Opens the directory that a configuration names.
pub(super) fn open(options: &Options) -> anyhow::Result<OpenStore> {
    let encryption = &options.jetstream.encryption;
    let dir = directory(options);
    let opened = FileDisk::open_encrypted(Path::new(&dir), encryption);
    let (disk, key) = opened.map_err(|error| anyhow!("Can't start JetStream: {}", told(error)))?;
    Ok(OpenStore { disk, key })
}

/// Says why a directory cannot be opened, in nats-server's words where it has some.
fn told(error: OpenError) -> String {
    let OpenError::Io { path, error } = error else {
        return error.to_string();
    };
    let in_the_way = [ErrorKind::NotADirectory, ErrorKind::AlreadyExists];
    if in_the_way.contains(&error.kind()) {
        return "storage directory is not a directory".to_owned();
    }
    let missing = path.ancestors().take_while(|path| !path.exists());
    let first = missing.last().unwrap_or(&path).display();
    let why = reason(&error);
    format!("could not create storage directory - mkdir {first}: {why}")
}

/// Says what streams are about to be served from.
pub(super) fn tell(options: &Options, room: Room, cipher: Option<Cipher>, log: &Logger) {
    let js = &options.jetstream;
    log.info("Starting JetStream");
    if js.store_dir.is_none() {
        log.warn("Temporary storage directory used, data could be lost on system reboot");
    }
    log.info("---------------- JETSTREAM ----------------");
    if js.strict {
        log.info("  Strict:          true");
    }
    let limit = |own: Option<u64>, room: i64| {
        size_text(own.unwrap_or_else(|| u64::try_from(room).unwrap_or(0)))
    };
    let memory = limit(js.memory_max, room.memory_bytes);
    log.info(format!("  Max Memory:      {memory}"));
    let store = limit(js.file_max, room.store_bytes);
    log.info(format!("  Max Storage:     {store}"));
    let dir = directory(options);
    log.info(format!("  Store Directory: {dir:?}"));
    if let Some(domain) = &js.domain {
        log.info(format!("  Domain:          {domain}"));
    }
    if let Some(cipher) = cipher {
        log.info(format!("  Encryption:      {cipher}"));
    }
    log.info(format!("  API Level:       {API_LEVEL}"));
    log.info("-------------------------------------------");
}

pub(super) fn directory(options: &Options) -> String {
    let temp = std::env::temp_dir();
    options.jetstream.directory(&temp.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_directory_that_cannot_be_opened_is_told_as_by_nats_server() {
        let dir = tempfile::tempdir().expect("a folder");
        let file = dir.path().join("file");
        fs::write(&file, "x").expect("writes");
        let wrong = |dir: &Path| {
            let mut options = Options::default();
            options.jetstream.store_dir = Some(dir.to_string_lossy().into_owned());
            open(&options).expect_err("it cannot be").to_string()
        };
        let no_directory = "Can't start JetStream: storage directory is not a directory";
        assert_eq!(wrong(&file), no_directory);
        assert_eq!(wrong(&file.join("x")), no_directory);
        let mkdir = "could not create storage directory - mkdir /proc/x: no such file or directory";
        let told = wrong(Path::new("/proc/x/y"));
        assert_eq!(told, format!("Can't start JetStream: {mkdir}"));
    }
}
