//! A publisher that sends at a steady rate, whatever the answers do, and what the disk's syncs take by
//! themselves on the same disk.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
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
    let path = dir.join("beale-bench-syncs");
    let file = File::create(&path)?;
    file.write_all_at(&vec![0; usize::try_from(FILE_LEN)?], 0)?;
    file.sync_all()?;
    let batch = vec![b'x'; usize::try_from(BATCH_LEN)?];
    let mut times = Vec::new();
    for i in 0..count {
        let start = Instant::now();
        file.write_all_at(&batch, i * BATCH_LEN % FILE_LEN)?;
        file.sync_data()?;
        times.push(start.elapsed());
    }
    std::fs::remove_file(&path)?;
    times.sort();
    Ok(times)
}
