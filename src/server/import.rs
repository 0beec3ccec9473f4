//! `beale import`: streams of a running nats-server, with their numbers, times and consumers; and what a
//! running Memphis knows beyond its streams.
//!
//! What is read goes into an archive on disk first, so that an import that was stopped goes on where it
//! was; a whole archive is handed to the other server as a backup that is restored. At the end both are
//! read again and compared.
//!
//! *Invariant:* nothing is changed where the streams come from. A stream is there whole or not at all.

mod address;
mod ask;
mod compare;
mod consumers;
mod dial;
mod memphis;
mod progress;
mod reading;
mod restore;
mod spool;
mod wanted;

use core::fmt::Write as _;

use serde_json::Value;

use crate::client::{Client, ClientError};
use ask::Source;
use progress::Progress;
use spool::{Spool, SpoolError};
use wanted::Wanted;

/// A connection to a server.
type Link = Client<Box<dyn dial::Wire>>;

/// Why an import does not go on.
#[derive(Debug, thiserror::Error)]
enum ImportError {
    #[error("{0}")]
    Usage(String),
    /// Which server, and why.
    #[error("{0}: {1}")]
    Connection(String, ClientError),
    #[error(transparent)]
    Link(#[from] ClientError),
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// What a server said.
    #[error("{what}: {said}")]
    Refused { what: String, said: String },
    #[error("{what}: the answer cannot be read")]
    Unreadable { what: String },
    #[error("{0}")]
    Differs(String),
}

/// What came of the streams.
#[derive(Debug, Default)]
struct Outcome {
    imported: u64,
    there: u64,
    failed: u64,
}

impl Outcome {
    /// Counts and tells what went wrong with something, if others can go on.
    fn fail(
        &mut self,
        name: &str,
        error: ImportError,
        progress: &Progress,
    ) -> Result<(), ImportError> {
        match error {
            // Without a server there is nothing to go on with.
            ImportError::Link(_) | ImportError::Connection(..) => Err(error),
            ImportError::Usage(_)
            | ImportError::Spool(_)
            | ImportError::Refused { .. }
            | ImportError::Unreadable { .. }
            | ImportError::Differs(_) => {
                progress.line(&format!("{name}: {error}"));
                self.failed += 1;
                Ok(())
            }
        }
    }
}

/// Runs the command; returns what the process ends with.
pub(crate) fn run(words: &[String]) -> u8 {
    let progress = Progress::default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            progress.line(&format!("starting the event loop: {error}"));
            return 1;
        }
    };
    match runtime.block_on(import(words, &progress)) {
        Ok(outcome) => {
            let Outcome {
                imported,
                there,
                failed,
            } = outcome;
            let mut text = format!("{imported} imported, {there} there already");
            if failed > 0 {
                // Writing into memory does not fail.
                let _ = write!(text, ", {failed} failed");
            }
            progress.line(&text);
            u8::from(failed > 0)
        }
        Err(error) => {
            progress.line(&error.to_string());
            1
        }
    }
}

async fn import(words: &[String], progress: &Progress) -> Result<Outcome, ImportError> {
    let wanted = Wanted::parse(words).map_err(ImportError::Usage)?;
    let mut from = wanted.from.connect().await?;
    let mut to = wanted.to.connect().await?;
    if wanted.api.is_some() {
        return memphis::import(&mut from, &mut to, &wanted, progress).await;
    }
    let mut names = ask::stream_names(&mut from).await?;
    names.retain(|name| wanted.wants(name));
    import_streams(&mut from, &mut to, &names, &wanted, progress).await
}

async fn import_streams(
    from: &mut Link,
    to: &mut Link,
    names: &[String],
    wanted: &Wanted,
    progress: &Progress,
) -> Result<Outcome, ImportError> {
    let mut outcome = Outcome::default();
    for name in names {
        match import_stream(from, to, name, wanted, progress).await {
            Ok(true) => outcome.imported += 1,
            Ok(false) => outcome.there += 1,
            Err(error) => outcome.fail(name, error, progress)?,
        }
    }
    Ok(outcome)
}

/// Imports a stream; false if it is there already, and the same.
async fn import_stream(
    from: &mut Link,
    to: &mut Link,
    name: &str,
    wanted: &Wanted,
    progress: &Progress,
) -> Result<bool, ImportError> {
    let mut source = Source::of(from, name).await?;
    if let Some(copies) = source.set_replicas(wanted.replicas) {
        let now = wanted.replicas;
        progress.line(&format!("{name}: it had {copies} copies, and gets {now}"));
    }
    let is_there = ask::stream_info(to, name).await?.is_some();
    if !is_there {
        let mut spool = Spool::open(&wanted.spool, name, source.created)?;
        reading::read_into(from, &source, &mut spool, progress).await?;
        restore::restore(to, &source, &spool, progress).await?;
        if !wanted.compare {
            spool.remove()?;
            return Ok(true);
        }
        compare::compare(from, to, &source, progress).await?;
        spool.remove()?;
    } else if wanted.compare {
        compare::compare(from, to, &source, progress).await?;
    }
    note_growth(from, &source, progress).await?;
    Ok(!is_there)
}

/// Says what has come since the import began.
async fn note_growth(
    from: &mut Link,
    source: &Source,
    progress: &Progress,
) -> Result<(), ImportError> {
    let info = ask::stream_info(from, &source.name).await?;
    let last = info
        .as_ref()
        .and_then(|info| info.pointer("/state/last_seq"));
    let last = last.and_then(Value::as_u64).unwrap_or_default();
    let more = last.saturating_sub(source.last.0);
    if more > 0 {
        let name = &source.name;
        progress.line(&format!(
            "{name}: {more} messages have come since, and are not imported"
        ));
    }
    Ok(())
}
