//! The workloads. Each one connects its own clients, runs, and says how many messages it moved in
//! which time; the caller reads the server's CPU time around it.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use ci::load::client::{Client, append_publish, publish};

use crate::paced::publish_steadily;

/// What a row measured.
pub(crate) struct Measured {
    /// Messages moved.
    pub(crate) messages: u64,
    /// Wall time.
    pub(crate) elapsed: Duration,
    /// Round-trip times, sorted; empty for throughput rows.
    pub(crate) latencies: Vec<Duration>,
}

/// One row of the table.
pub(crate) struct Row {
    /// The row's name, as `--rows` selects it.
    pub(crate) name: &'static str,
    /// What has to be there before the clock starts; `scale` is a factor on the number of messages.
    pub(crate) prepare: fn(addr: &str, scale: f64) -> Result<()>,
    /// Runs it against the server at `addr`.
    pub(crate) run: fn(addr: &str, scale: f64) -> Result<Measured>,
    /// Whether it takes so long that it has to be asked for.
    pub(crate) long: bool,
    /// What of the disk's own syncs is shown beside it.
    pub(crate) syncs: &'static [Syncs],
}

/// How the disk is measured by itself.
#[derive(Clone, Copy)]
pub(crate) enum Syncs {
    /// One after the other, each from when it begins.
    Lone,
    /// As often as a steady publisher sends, from when what they are for was due.
    Steady,
}

impl Row {
    const fn new(
        name: &'static str,
        prepare: fn(&str, f64) -> Result<()>,
        run: fn(&str, f64) -> Result<Measured>,
    ) -> Self {
        Self {
            name,
            prepare,
            run,
            long: false,
            syncs: &[],
        }
    }

    const fn long(self) -> Self {
        Self { long: true, ..self }
    }

    const fn beside(self, syncs: &'static [Syncs]) -> Self {
        Self { syncs, ..self }
    }
}

/// All rows in the order of the table.
pub(crate) const ROWS: &[Row] = &[
    Row::new("core pub 128 B", nothing, |a, s| {
        core_pub(a, count(4e6, s), 0)
    }),
    Row::new("core pub/sub 1:1 128 B", nothing, |a, s| {
        core_pub(a, count(3e6, s), 1)
    }),
    Row::new("core pub/sub 1:8 128 B", nothing, |a, s| {
        core_pub(a, count(5e5, s), 8)
    }),
    Row::new("request/reply 1 client", nothing, |a, s| {
        request_reply(a, count(2e4, s), 1)
    }),
    Row::new("request/reply 16 clients", nothing, |a, s| {
        request_reply(a, count(5e3, s), 16)
    }),
    Row::new("js publish async 1 client 128 B", stream, |a, s| {
        js_async(a, count(4e5, s), 1, 128)
    }),
    Row::new("js publish async 4 clients 128 B", stream, |a, s| {
        js_async(a, count(2e5, s), 4, 128)
    }),
    Row::new("js publish async 1 client 16 KiB", stream, |a, s| {
        js_async(a, count(1e4, s), 1, 16 << 10)
    }),
    Row::new("js publish async 1 client 1 MiB", stream, |a, s| {
        js_async(a, count(5e2, s), 1, 1 << 20)
    })
    .long(),
    Row::new("js publish sync 1 client", stream, |a, s| {
        js_sync(a, count(2e3, s), 1)
    })
    .beside(&[Syncs::Lone]),
    Row::new("js publish sync 16 clients", stream, |a, s| {
        js_sync(a, count(5e2, s), 16)
    }),
    Row::new("js publish sync 64 clients", stream, |a, s| {
        js_sync(a, count(3e2, s), 64)
    }),
    Row::new("js publish 20,000 msg/s", stream, |a, s| {
        publish_steadily(a, count(2e5, s))
    })
    .long()
    .beside(&[Syncs::Lone, Syncs::Steady]),
    Row::new(
        "js consume pull fetch 500",
        |a, s| fill(a, count(4e5, s)),
        |a, s| js_fetch(a, count(4e5, s), 500),
    ),
    Row::new(
        "js consume pull fetch 1",
        |a, s| fill(a, count(2e4, s)),
        |a, s| js_fetch(a, count(2e4, s), 1),
    ),
    Row::new(
        "js consume push ordered",
        |a, s| fill(a, count(4e5, s)),
        |a, s| js_push(a, count(4e5, s)),
    ),
];

/// How many publishes may wait for their ack, per client: what `nats bench js pub async` allows by
/// default is 500; clients allow 4,000.
const WINDOW: u64 = 4000;
/// How many bytes they may have together: with twice as many, nats-server says that there are too many
/// requests.
const WINDOW_BYTES: u64 = 64 << 20;
/// Publishes per write, so that one system call carries a batch as client libraries' flushers do.
const BATCH: u64 = 500;

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts below 2^53"
)]
pub(crate) fn count(base: f64, scale: f64) -> u64 {
    ((base * scale) as u64).max(16)
}

fn core_pub(addr: &str, total: u64, subscribers: usize) -> Result<Measured> {
    let mut readers = Vec::new();
    for _ in 0..subscribers {
        let mut client = Client::connect(addr)?;
        client.send(b"SUB bench 1\r\n")?;
        client.barrier()?;
        readers.push(client);
    }
    let mut publisher = Client::connect(addr)?;
    let one = publish("bench", "", &[b'x'; 128]);
    let batch = one.repeat(usize::try_from(BATCH)?);
    let start = Instant::now();
    let waiting: Vec<_> = readers
        .into_iter()
        .map(|mut c| thread::spawn(move || c.skip(total)))
        .collect();
    let mut sent = 0;
    while sent < total {
        let n = BATCH.min(total - sent);
        publisher.send(&batch[..one.len() * usize::try_from(n)?])?;
        sent += n;
    }
    publisher.barrier()?;
    for reader in waiting {
        join(reader)?;
    }
    let moved = total * u64::try_from(subscribers.max(1))?;
    Ok(Measured {
        messages: moved,
        elapsed: start.elapsed(),
        latencies: Vec::new(),
    })
}

fn request_reply(addr: &str, each: u64, clients: usize) -> Result<Measured> {
    let mut service = Client::connect(addr)?;
    service.send(b"SUB service 1\r\n")?;
    service.barrier()?;
    let total = each * u64::try_from(clients)?;
    let mut writer = service.writer()?;
    let answering = thread::spawn(move || -> Result<()> {
        let mut out = Vec::new();
        for _ in 0..total {
            let reply = service.receive()?.reply.to_vec();
            out.extend(publish(
                std::str::from_utf8(&reply)?,
                "",
                b"0123456789abcdef",
            ));
            if !service.buffered() {
                std::io::Write::write_all(&mut writer, &out)?;
                out.clear();
            }
        }
        Ok(())
    });
    let measured = round_trips(addr, each, clients, |id, n| {
        publish("service", &format!("_INBOX.c{id}.{n}"), b"0123456789abcdef")
    })?;
    join(answering)?;
    Ok(measured)
}

fn js_sync(addr: &str, each: u64, clients: usize) -> Result<Measured> {
    round_trips(addr, each, clients, |id, n| {
        publish("js.bench", &format!("_INBOX.c{id}.{n}"), &[b'x'; 128])
    })
}

/// Connects clients, of which each listens below an inbox of its own.
fn connect(addr: &str, clients: usize) -> Result<Vec<(usize, Client)>> {
    (0..clients)
        .map(|id| {
            let mut client = Client::connect(addr)?;
            client.send(format!("SUB _INBOX.c{id}.* 1\r\n").as_bytes())?;
            client.barrier()?;
            Ok((id, client))
        })
        .collect()
}

/// Each client sends one request at a time and waits for its answer.
fn round_trips(
    addr: &str,
    each: u64,
    clients: usize,
    request: impl Fn(usize, u64) -> Vec<u8> + Send + Copy + 'static,
) -> Result<Measured> {
    let connected = connect(addr, clients)?;
    let start = Instant::now();
    let running: Vec<_> = connected
        .into_iter()
        .map(|(id, mut client)| {
            thread::spawn(move || -> Result<Vec<Duration>> {
                let mut latencies = Vec::with_capacity(usize::try_from(each)?);
                for n in 0..each {
                    let message = request(id, n);
                    let sent = Instant::now();
                    client.send(&message)?;
                    check(client.receive()?.body)?;
                    latencies.push(sent.elapsed());
                }
                Ok(latencies)
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for client in running {
        latencies.extend(join(client)?);
    }
    let elapsed = start.elapsed();
    latencies.sort();
    Ok(Measured {
        messages: each * u64::try_from(clients)?,
        elapsed,
        latencies,
    })
}

/// Fills the stream that the consuming rows read.
fn fill(addr: &str, total: u64) -> Result<()> {
    create_stream(addr)?;
    js_async(addr, total, 1, 128).map(|_| ())
}

fn js_async(addr: &str, each: u64, clients: usize, payload: usize) -> Result<Measured> {
    let connected = connect(addr, clients)?;
    let start = Instant::now();
    let running: Vec<_> = connected
        .into_iter()
        .map(|(id, client)| thread::spawn(move || publish_async(client, id, each, payload)))
        .collect();
    for client in running {
        join(client)?;
    }
    let messages = each * u64::try_from(clients)?;
    Ok(Measured {
        messages,
        elapsed: start.elapsed(),
        latencies: Vec::new(),
    })
}

/// Publishes with at most [`WINDOW`] acks outstanding, fewer where messages are long; every reply
/// subject is another one, as with the client libraries.
fn publish_async(mut client: Client, id: usize, each: u64, payload: usize) -> Result<()> {
    let body = vec![b'x'; payload];
    let len = u64::try_from(payload)?;
    let batch_len = BATCH.min((1 << 20) / len).max(1);
    let window = WINDOW.min(WINDOW_BYTES / len).max(batch_len);
    let mut out = Vec::new();
    let (mut sent, mut acked) = (0, 0);
    while acked < each {
        while sent < each && sent - acked + batch_len <= window {
            out.clear();
            for _ in 0..batch_len.min(each - sent) {
                sent += 1;
                append_publish(&mut out, "js.bench", &format!("_INBOX.c{id}.{sent}"), &body);
            }
            client.send(&out)?;
        }
        check(client.receive()?.body)?;
        acked += 1;
        while acked < sent && client.buffered() && acked % batch_len != 0 {
            client.skip(1)?;
            acked += 1;
        }
    }
    Ok(())
}

/// Receives a batch that has been asked for, and puts what acknowledges it into `acks`.
pub(crate) fn receive_batch(client: &mut Client, count: u64, acks: &mut Vec<u8>) -> Result<()> {
    acks.clear();
    for _ in 0..count {
        let frame = client.receive()?;
        if frame.subject.starts_with(b"_INBOX") {
            bail!("fetch ended early: {}", String::from_utf8_lossy(frame.body));
        }
        append_publish(acks, std::str::from_utf8(frame.reply)?, "", b"+ACK");
    }
    Ok(())
}

/// Fetches so many at a time and acknowledges them; the times are those of whole batches.
fn js_fetch(addr: &str, total: u64, most: u64) -> Result<Measured> {
    let mut client = Client::connect(addr)?;
    client.send(b"SUB _INBOX.f.* 1\r\n")?;
    client.barrier()?;
    api(
        &mut client,
        "CONSUMER.CREATE.BENCH.pull",
        r#"{"stream_name":"BENCH","config":{"name":"pull","durable_name":"pull","ack_policy":"explicit","max_ack_pending":100000}}"#,
    )?;
    let start = Instant::now();
    let (mut got, mut acks, mut latencies) = (0, Vec::new(), Vec::new());
    while got < total {
        let batch = most.min(total - got);
        let asked = Instant::now();
        client.send(&publish(
            "$JS.API.CONSUMER.MSG.NEXT.BENCH.pull",
            "_INBOX.f.x",
            format!("{{\"batch\":{batch},\"expires\":5000000000}}").as_bytes(),
        ))?;
        receive_batch(&mut client, batch, &mut acks)?;
        latencies.push(asked.elapsed());
        client.send(&acks)?;
        got += batch;
    }
    client.barrier()?;
    let elapsed = start.elapsed();
    latencies.sort();
    Ok(Measured {
        messages: total,
        elapsed,
        latencies,
    })
}

/// An ordered consumer's configuration.
const PUSH: &str = r#"{"stream_name":"BENCH","config":{"name":"push","deliver_subject":"deliver.push","ack_policy":"none","flow_control":true,"idle_heartbeat":5000000000}}"#;

fn js_push(addr: &str, total: u64) -> Result<Measured> {
    let mut client = Client::connect(addr)?;
    client.send(b"SUB _INBOX.p.* 1\r\n")?;
    client.barrier()?;
    let start = Instant::now();
    client.send(b"SUB deliver.push 2\r\n")?;
    client.send(&publish(
        "$JS.API.CONSUMER.CREATE.BENCH.push",
        "_INBOX.p.api",
        PUSH.as_bytes(),
    ))?;
    let mut got = 0;
    while got < total {
        let frame = client.receive()?;
        if frame.subject == b"_INBOX.p.api" {
            check(frame.body)?;
        } else if !frame.body.starts_with(b"NATS/1.0 100") {
            got += 1;
        } else if !frame.reply.is_empty() {
            let answer = publish(std::str::from_utf8(frame.reply)?, "", b"");
            client.send(&answer)?;
        }
    }
    Ok(Measured {
        messages: total,
        elapsed: start.elapsed(),
        latencies: Vec::new(),
    })
}

fn nothing(_addr: &str, _scale: f64) -> Result<()> {
    Ok(())
}

fn stream(addr: &str, _scale: f64) -> Result<()> {
    create_stream(addr)
}

fn create_stream(addr: &str) -> Result<()> {
    let mut client = Client::connect(addr)?;
    client.send(b"SUB _INBOX.f.* 1\r\n")?;
    client.barrier()?;
    // A row may follow another on the same server: start from an empty stream.
    let _ = api(&mut client, "STREAM.DELETE.BENCH", "");
    api(
        &mut client,
        "STREAM.CREATE.BENCH",
        r#"{"name":"BENCH","subjects":["js.bench"],"storage":"file","retention":"limits","discard":"old","num_replicas":1}"#,
    )
}

pub(crate) fn api(client: &mut Client, subject: &str, body: &str) -> Result<()> {
    client.send(&publish(
        &format!("$JS.API.{subject}"),
        "_INBOX.f.api",
        body.as_bytes(),
    ))?;
    check(client.receive()?.body).with_context(|| subject.to_owned())
}

pub(crate) fn check(body: &[u8]) -> Result<()> {
    let failed = body.starts_with(b"NATS/1.0") || body.windows(9).any(|w| w == b"\"error\":{");
    if failed {
        bail!("server answered {}", String::from_utf8_lossy(body));
    }
    Ok(())
}

pub(crate) fn join<T>(handle: thread::JoinHandle<Result<T>>) -> Result<T> {
    match handle.join() {
        Ok(result) => result,
        Err(_) => bail!("a client thread panicked"),
    }
}
