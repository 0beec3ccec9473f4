//! What messages cost in counts that are the same on every machine: allocations in the shard, and
//! operations for the disk. Not models, but bounds: a change that makes each message dearer fails here,
//! not on somebody's bench.
//!
//! *Invariant:* only what the shard allocates is counted, by the thread that runs the test; what the
//! memory-backed disk and the clients here allocate is not.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::net::SocketAddr;
use core::time::Duration;
use std::alloc::System;
use std::collections::BTreeMap;
use std::rc::Rc;

use broker::{
    Accepted, Compiled, ConnId, Effects, Input, Room, Rules, SchemaLibrary, SchemaText, Security,
    Shard, ShardOptions,
};
use bytes::{Bytes, BytesMut};
use config::Options;
use protocol::time::{Instant, Now, Wall};
use storage::{DiskAnswer, DiskDone, DiskOp, FileName, StoreOptions};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static HELD: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, counting what each thread asks of it.
struct Counting;

#[allow(unsafe_code, reason = "an allocator; it hands everything on as it is")]
// SAFETY: every call goes to the system's allocator with the caller's own arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        hold(layout.size());
        // SAFETY: the caller keeps this method's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        release(layout.size());
        // SAFETY: the caller keeps this method's contract.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, len: usize) -> *mut u8 {
        count();
        hold(len);
        release(layout.size());
        // SAFETY: the caller keeps this method's contract.
        unsafe { System.realloc(at, layout, len) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count() {
    // A thread that is ending counts no more.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

fn hold(len: usize) {
    let _ = HELD.try_with(|held| held.set(held.get().wrapping_add(len)));
}

fn release(len: usize) {
    let _ = HELD.try_with(|held| held.set(held.get().wrapping_sub(len)));
}

/// Returns how many bytes this thread holds.
pub(crate) fn held() -> usize {
    HELD.get()
}

/// What has been spent.
#[derive(Clone, Copy, Debug, Default)]
struct Costs {
    allocations: u64,
    writes: u64,
    syncs: u64,
    reads: u64,
    turns: u64,
}

/// A language nobody speaks.
#[derive(Debug)]
struct NoSchemas;

impl SchemaLibrary for NoSchemas {
    fn compile(&self, _: SchemaText<'_>) -> Result<Compiled, String> {
        Err("no schemas here".into())
    }
}

/// A shard on files in memory, with one client, or several.
pub(crate) struct World {
    pub(crate) shard: Shard,
    client: Option<ConnId>,
    /// Clients whose reading is paused.
    pub(crate) paused: Vec<ConnId>,
    /// Whether the disk answers nothing.
    pub(crate) is_stuck: bool,
    now: Now,
    fx: Effects,
    ops: Vec<DiskOp>,
    files: BTreeMap<FileName, Vec<u8>>,
    rest: BytesMut,
    out: BytesMut,
    /// What the client has been sent since it was asked last.
    pub(crate) heard: Vec<u8>,
    costs: Costs,
}

impl World {
    fn new() -> Self {
        Self::with(|_| {})
    }

    /// Returns one with a stream for what is published on `s.*`, configured otherwise.
    pub(crate) fn with(configure: impl FnOnce(&mut Options)) -> Self {
        let now = Now {
            mono: Instant(0),
            wall: Wall(1_700_000_000_000_000_000),
        };
        let mut config = Options::default();
        config.jetstream.enabled = true;
        configure(&mut config);
        let mut shard = Shard::new(
            ShardOptions {
                config,
                version: String::from("0.0.0"),
                start: now,
                store: StoreOptions::default(),
                schemas: Rc::new(NoSchemas),
                room: Room::UNLIMITED,
                secret: [5; 32],
            },
            7,
        );
        let mut fx = Effects::default();
        shard.start(now, &mut fx);
        let mut world = Self {
            shard,
            client: None,
            paused: Vec::new(),
            is_stuck: false,
            now,
            fx,
            ops: Vec::new(),
            files: BTreeMap::new(),
            rest: BytesMut::new(),
            out: BytesMut::new(),
            heard: Vec::new(),
            costs: Costs::default(),
        };
        world.settle();
        world.client = Some(world.connect());
        world.say(b"CONNECT {\"verbose\":false,\"headers\":true,\"no_responders\":true}\r\n");
        world.say(b"SUB _INBOX.c.* 1\r\nSUB deliver 2\r\n");
        world.api("STREAM.CREATE.S", "{\"name\":\"S\",\"subjects\":[\"s.*\"]}");
        world
    }

    pub(crate) fn connect(&mut self) -> ConnId {
        let accepted = Accepted {
            peer: SocketAddr::from(([127, 0, 0, 1], 5000)),
            local: SocketAddr::from(([127, 0, 0, 1], 4222)),
            rules: Rules::Nats,
            security: Security::Plain,
            origin_follows: false,
            websocket: None,
        };
        let conn = self.shard.accept(self.now, accepted, &mut self.fx);
        self.settle();
        conn
    }

    /// Has the shard take an input, and counts.
    fn input(&mut self, input: Input<'_>) {
        let before = ALLOCATIONS.get();
        self.shard.handle(self.now, input, &mut self.fx);
        self.costs.allocations += ALLOCATIONS.get() - before;
        self.costs.turns += 1;
    }

    /// Hands the client's bytes over and lets shard and disk go on until both rest.
    pub(crate) fn say(&mut self, bytes: &[u8]) {
        let mut rest = core::mem::take(&mut self.rest);
        rest.extend_from_slice(bytes);
        let conn = self.client.expect("the client is connected");
        self.read(conn, &mut rest);
        self.rest = rest;
    }

    /// Has the shard read what a client has sent.
    pub(crate) fn read(&mut self, conn: ConnId, buf: &mut BytesMut) {
        self.input(Input::Bytes { conn, buf });
        self.settle();
    }

    pub(crate) fn settle(&mut self) {
        loop {
            self.fx.dirty.clear();
            self.fx.log.clear();
            for (conn, is_paused) in self.fx.gate.drain(..) {
                self.paused.retain(|&known| known != conn);
                self.paused.extend(is_paused.then_some(conn));
            }
            self.fx.errands.clear();
            self.ops.append(&mut self.fx.disk);
            if core::mem::take(&mut self.fx.settle) {
                self.input(Input::Settle);
                continue;
            }
            if let Some(client) = self.client {
                while self.shard.take_outbound(client, &mut self.out) {
                    self.heard.extend_from_slice(&self.out);
                }
            }
            let due = self.shard.poll_timeout().map(|(at, _)| at);
            if due.is_some_and(|at| at <= self.now.mono) {
                self.input(Input::Timeout);
                continue;
            }
            if self.ops.is_empty() || self.is_stuck {
                return;
            }
            let ops = core::mem::take(&mut self.ops);
            let mut done = ops.into_iter().map(|op| self.run(op)).collect();
            self.input(Input::Disk(&mut done));
        }
    }

    fn run(&mut self, op: DiskOp) -> DiskDone {
        let id = op.id();
        let files = &mut self.files;
        let range = |offset: u64, len: usize| {
            let start = usize::try_from(offset).expect("small files");
            start..start + len
        };
        let answer = match op {
            DiskOp::List { .. } => DiskAnswer::Listed(Vec::new()),
            DiskOp::Read {
                file, offset, len, ..
            } => {
                self.costs.reads += 1;
                let bytes = &files[&file][range(offset, len as usize)];
                DiskAnswer::Read(Bytes::copy_from_slice(bytes))
            }
            DiskOp::Create { file, len, .. } => {
                let len = usize::try_from(len).expect("small files");
                files.insert(file, vec![0; len]);
                DiskAnswer::Done
            }
            DiskOp::Write {
                file, offset, data, ..
            } => {
                self.costs.writes += 1;
                let file = files.entry(file).or_default();
                let range = range(offset, data.len());
                file.resize(file.len().max(range.end), 0);
                file[range].copy_from_slice(&data);
                DiskAnswer::Done
            }
            DiskOp::Sync { .. } => {
                self.costs.syncs += 1;
                DiskAnswer::Done
            }
            DiskOp::Recycle { from, to, .. } => {
                let file = files.remove(&from).expect("what is renamed exists");
                files.insert(to, file);
                DiskAnswer::Done
            }
            DiskOp::Remove { file, .. } => {
                files.remove(&file);
                DiskAnswer::Done
            }
        };
        DiskDone {
            op: id,
            result: Ok(answer),
        }
    }

    pub(crate) fn api(&mut self, subject: &str, body: &str) {
        self.heard.clear();
        let request = format!(
            "PUB $JS.API.{subject} _INBOX.c.a {}\r\n{body}\r\n",
            body.len()
        );
        self.say(request.as_bytes());
        let heard = String::from_utf8_lossy(&self.heard);
        assert!(!heard.contains("\"error\""), "{heard}");
    }

    /// Publishes `batches` times `batch` messages, each batch as one read of the socket brings it, and
    /// returns what they cost.
    fn publish(&mut self, batches: u64, batch: u64) -> Costs {
        let mut bytes = Vec::new();
        for i in 0..batch {
            let line = format!("PUB s.{} _INBOX.c.{i} 128\r\n", i % 8);
            bytes.extend_from_slice(line.as_bytes());
            bytes.extend_from_slice(&[b'x'; 128]);
            bytes.extend_from_slice(b"\r\n");
        }
        self.costs = Costs::default();
        for _ in 0..batches {
            self.heard.clear();
            self.say(&bytes);
            let acks = self.heard.windows(6).filter(|w| w == b"\"seq\":").count();
            assert_eq!(acks as u64, batch, "every message is acknowledged");
            // A millisecond later: timers of their own are part of the costs.
            self.pass(Duration::from_millis(1));
        }
        self.costs
    }

    fn pass(&mut self, time: Duration) {
        self.now.mono = self.now.mono + time;
        self.now.wall = self.now.wall + time;
        self.settle();
    }
}

/// Fails if `spent` is more than `most` for each of `messages`.
#[track_caller]
fn at_most(spent: u64, messages: u64, most: f64, what: &str) {
    #[allow(clippy::cast_precision_loss, reason = "counts below 2^53")]
    let each = spent as f64 / messages as f64;
    assert!(each <= most, "{each} {what} per message, more than {most}");
}

#[test]
fn a_batch_of_publishes_costs_one_write_and_one_sync() {
    let mut world = World::new();
    world.publish(20, 500);
    let spent = world.publish(100, 500);
    at_most(spent.allocations, 50_000, 0.01, "allocations");
    at_most(spent.writes, 100, 1.2, "writes per batch");
    at_most(spent.syncs, 100, 1.05, "syncs per batch");
}

#[test]
fn a_lone_publish_costs_one_write_and_one_sync() {
    let mut world = World::new();
    world.publish(2000, 1);
    let spent = world.publish(2000, 1);
    at_most(spent.allocations, 2000, 1.1, "allocations");
    at_most(spent.writes, 2000, 1.02, "writes");
    at_most(spent.syncs, 2000, 1.02, "syncs");
    at_most(spent.turns, 2000, 4.1, "turns of the shard");
}

#[test]
fn pushed_messages_come_from_memory_without_an_allocation_each() {
    let mut world = World::new();
    world.publish(20, 500);
    world.heard.clear();
    world.costs = Costs::default();
    world.api(
        "CONSUMER.CREATE.S.c",
        "{\"stream_name\":\"S\",\"config\":{\"name\":\"c\",\"deliver_subject\":\"deliver\",\
         \"ack_policy\":\"none\"}}",
    );
    let got = world.heard.windows(4).filter(|w| w == b"MSG ").count();
    assert!(got >= 10_000, "{got} messages");
    let spent = world.costs;
    assert_eq!(spent.reads, 0, "the messages are in memory");
    at_most(spent.allocations, 10_000, 0.05, "allocations");
}

#[test]
fn a_message_that_is_fetched_and_acknowledged_costs_no_sync_of_its_own() {
    let mut world = World::new();
    world.publish(2, 500);
    world.api(
        "CONSUMER.CREATE.S.pull",
        "{\"stream_name\":\"S\",\"config\":{\"name\":\"pull\",\"durable_name\":\"pull\",\
         \"ack_policy\":\"explicit\"}}",
    );
    world.say(b"SUB _INBOX.f 3\r\n");
    world.pass(Duration::from_millis(10));
    world.costs = Costs::default();
    for _ in 0..500 {
        world.heard.clear();
        world.say(b"PUB $JS.API.CONSUMER.MSG.NEXT.S.pull _INBOX.f 1\r\n1\r\n");
        let heard = String::from_utf8_lossy(&world.heard).into_owned();
        let mut words = heard.split_whitespace();
        let reply = words.find(|word| word.starts_with("$JS.ACK."));
        let ack = format!("PUB {} 4\r\n+ACK\r\n", reply.expect("a message"));
        world.say(ack.as_bytes());
        world.pass(Duration::from_micros(100));
    }
    let spent = world.costs;
    assert_eq!(spent.reads, 0, "the messages are in memory");
    at_most(spent.syncs, 500, 0.05, "syncs");
    at_most(spent.writes, 500, 0.1, "writes");
}
