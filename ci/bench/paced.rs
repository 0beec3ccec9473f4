//! A publisher that sends at a steady rate, whatever the answers do, and what the disk's syncs take by
//! themselves on the same disk.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use ci::load::client::{Client, append_publish};

use crate::rows::{Measured, check, join};

/// Messages per second.
const RATE: u64 = 20_000;
/// How often a part of them is sent.
const BEAT: Duration = Duration::from_micros(500);
/// The length of the file that the disk is measured with; it is filled before.
const FILE_LEN: u64 = 16 << 20;
/// What is written before each sync: about what arrives in one beat.
const BATCH_LEN: u64 = 2048;

/// Publishes `total` messages at [`RATE`]; the times are from when each was due to when its ack came.
pub(crate) fn publish_steadily(addr: &str, total: u64) -> Result<Measured> {
    let mut client = Client::connect(addr)?;
    client.send(b"SUB _INBOX.c0.* 1\r\n")?;
    client.barrier()?;
    let mut writer = client.writer()?;
    let per_beat = RATE * u64::try_from(BEAT.as_micros())? / 1_000_000;
    let start = Instant::now();
    let due = move |message: u64| {
        let beat = u32::try_from(message / per_beat).unwrap_or(u32::MAX);
        start + BEAT * beat
    };
    let sending = thread::spawn(move || -> Result<()> {
        let mut out = Vec::new();
        let mut sent = 0;
        while sent < total {
            sleep(due(sent).saturating_duration_since(Instant::now()));
            out.clear();
            // Sleeping too long is made up for.
            while sent < total && due(sent) <= Instant::now() {
                append_publish(
                    &mut out,
                    "js.bench",
                    &format!("_INBOX.c0.{sent}"),
                    &[b'x'; 128],
                );
                sent += 1;
            }
            writer.write_all(&out)?;
        }
        Ok(())
    });
    let mut latencies = Vec::with_capacity(usize::try_from(total)?);
    for _ in 0..total {
        let frame = client.receive()?;
        check(frame.body)?;
        let number = frame
            .subject
            .rsplit(|&b| b == b'.')
            .next()
            .unwrap_or_default();
        let number = std::str::from_utf8(number)?
            .parse()
            .context("the reply's number")?;
        latencies.push(due(number).elapsed());
    }
    let elapsed = start.elapsed();
    join(sending)?;
    latencies.sort();
    Ok(Measured {
        messages: total,
        elapsed,
        latencies,
    })
}

/// Returns, sorted, how long writes with a sync take in a file that has been filled before.
pub(crate) fn syncs(dir: &Path, count: u64) -> Result<Vec<Duration>> {
    let disk = Disk::new(dir)?;
    let mut times = Vec::new();
    for batch in 0..count {
        let start = Instant::now();
        disk.write(batch)?;
        disk.sync()?;
        times.push(start.elapsed());
    }
    times.sort();
    Ok(times)
}

/// Does the same for what a steady publisher sends in so many beats: each sync is for all that is due when it
/// begins. The times are from when each beat was due, so that all whom a slow sync holds up count, and so does
/// that a sleeping thread wakes late: no server could answer sooner.
pub(crate) fn sync_steadily(dir: &Path, beats: u64) -> Result<Vec<Duration>> {
    let disk = Disk::new(dir)?;
    let start = Instant::now();
    let due = |beat: u64| start + BEAT * u32::try_from(beat).unwrap_or(u32::MAX);
    let mut times = Vec::new();
    let mut next = 0;
    while next < beats {
        sleep(due(next).saturating_duration_since(Instant::now()));
        let first = next;
        while next < beats && due(next) <= Instant::now() {
            disk.write(next)?;
            next += 1;
        }
        disk.sync()?;
        times.extend((first..next).map(|beat| due(beat).elapsed()));
    }
    times.sort();
    Ok(times)
}

/// The disk by itself: a file that has been filled before, as the log's are.
struct Disk {
    file: File,
    path: PathBuf,
    batch: Vec<u8>,
}

impl Disk {
    fn new(dir: &Path) -> Result<Self> {
        let path = dir.join("beale-bench-syncs");
        let disk = Self {
            file: File::create(&path)?,
            path,
            batch: vec![b'x'; usize::try_from(BATCH_LEN)?],
        };
        let zeroes = vec![0; usize::try_from(FILE_LEN)?];
        disk.file.write_all_at(&zeroes, 0)?;
        disk.file.sync_all()?;
        Ok(disk)
    }

    /// Writes a batch where the one before ends.
    fn write(&self, batch: u64) -> Result<()> {
        let at = batch * BATCH_LEN % FILE_LEN;
        Ok(self.file.write_all_at(&self.batch, at)?)
    }

    fn sync(&self) -> Result<()> {
        Ok(self.file.sync_data()?)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A file that stays behind is written over by the next run.
        let _ = std::fs::remove_file(&self.path);
    }
}
