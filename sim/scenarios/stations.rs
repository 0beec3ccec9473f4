//! Memphis over a disk that loses power between any two operations: a station is whole or absent, a
//! schema change is atomic, a poisonous message is recorded exactly once, a resend is never lost.
//!
//! One conversation is held again and again; each time the power goes after one more disk operation,
//! the process starts again, and the SDK repeats what was not answered, as SDKs do.

mod adoption;
mod changes;
mod gateway;
mod retention;
mod tiering;

use core::net::SocketAddr;
use core::ops::Range;
use core::time::Duration;
use std::rc::Rc;

use broker::{
    Accepted, ConnId, Effects, Input, Room, Rules, Security, Shard, ShardOptions, Storage, WorkOp,
};
use bytes::BytesMut;
use config::Options;
use config::options::Memphis;
use memphis::book::{Phase, Tenant};
use protocol::time::{Instant, Now, Wall};
use schemas::Languages;
use sim::disk::SimDisk;
use storage::{DiskOp, StoreOptions};

const LOGIN: &str = "CONNECT {\"name\":\"u1::root\",\"user\":\"root\",\"pass\":\"memphis\",\
                     \"headers\":true,\"verbose\":false}\r\nSUB in.* 1\r\n";
const STATION: &str = "{\"name\":\"plain.a\",\"partitions_number\":3,\"username\":\"root\",\
                       \"dls_station\":\"dead\",\"schema_name\":\"sch\"}";
const SCHEMA: &str = "{\"name\":\"sch\",\"type\":\"json\",\"created_by_username\":\"root\",\
                      \"schema_content\":\"{\\\"required\\\":[\\\"id\\\"]}\"}";
const CONSUMER: &str = "{\"name\":\"c\",\"station_name\":\"plain.a\",\"connection_id\":\"u1\",\
                        \"consumers_group\":\"grp.x\",\"max_ack_time_ms\":1000,\
                        \"max_msg_deliveries\":1,\"req_version\":4,\"username\":\"root\"}";
const NEXT: &str = "$JS.API.CONSUMER.MSG.NEXT.plain#a$1.grp#x";
const FETCH: &str = "{\"batch\":1,\"expires\":500000000}";
const RESEND: &str = "{\"station_name\":\"plain.a\",\"poison_message_ids\":[]}";
const ACCOUNT: &str = "$G";
/// How often the whole conversation is begun again before it must have come to its end.
const LIVES_MAX: u32 = 5;

/// What the SDK has been told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told {
    schema: bool,
    station: bool,
    group: bool,
    stored: bool,
    resend: bool,
}

struct Server {
    shard: Shard,
    disk: SimDisk,
    fx: Effects,
    ops: Vec<DiskOp>,
    /// What was asked of the world outside and has not been done.
    work: Vec<WorkOp>,
    now: Now,
    client: Option<ConnId>,
    heard: String,
    /// After so many disk operations the power goes.
    power_left: u64,
    seed: u64,
}

/// The power has gone.
struct Dark;

impl Server {
    fn new(seed: u64, power_left: u64) -> Self {
        let now = Now {
            mono: Instant(0),
            wall: Wall(1_700_000_000_000_000_000),
        };
        Self {
            shard: Shard::new(options(now), seed),
            disk: SimDisk::new(seed),
            fx: Effects::default(),
            ops: Vec::new(),
            work: Vec::new(),
            now,
            client: None,
            heard: String::new(),
            power_left,
            seed,
        }
    }

    /// Starts the process, on whatever the disk has kept, and logs in.
    fn boot(&mut self) -> Result<(), Dark> {
        self.shard = Shard::new(options(self.now), self.seed);
        self.fx = Effects::default();
        self.ops.clear();
        self.work.clear();
        self.heard.clear();
        self.client = None;
        self.shard.start(self.now, &mut self.fx);
        self.settle()?;
        let storage = self.shard.storage().map(|view| view.storage);
        assert_eq!(storage, Some(Storage::Live), "what was synced is readable");
        self.meet(Rules::Memphis)?;
        self.say(LOGIN)
    }

    /// Takes a client in; from here on it is the one that asks.
    fn meet(&mut self, rules: Rules) -> Result<(), Dark> {
        let accepted = Accepted {
            peer: SocketAddr::from(([10, 0, 0, 1], 40_000)),
            local: SocketAddr::from(([10, 0, 0, 2], 6666)),
            rules,
            security: Security::Plain,
            origin_follows: false,
            websocket: None,
        };
        self.client = Some(self.shard.accept(self.now, accepted, &mut self.fx));
        self.settle()
    }

    fn say(&mut self, text: &str) -> Result<(), Dark> {
        let conn = self.client.expect("somebody is there");
        let mut buf = BytesMut::from(text);
        let input = Input::Bytes {
            conn,
            buf: &mut buf,
        };
        self.shard.handle(self.now, input, &mut self.fx);
        self.settle()
    }

    /// Sends a request; returns what came back once everything has come to rest.
    fn ask(&mut self, subject: &str, body: &str) -> Result<String, Dark> {
        self.heard.clear();
        let len = body.len();
        self.say(&format!("PUB {subject} in.1 {len}\r\n{body}\r\n"))?;
        Ok(core::mem::take(&mut self.heard))
    }

    /// Stores a message under an id, which a header says; returns what came back.
    fn publish(&mut self, partition: u32, id: &str, body: &str) -> Result<String, Dark> {
        let header = format!("NATS/1.0\r\n{id}\r\n\r\n");
        let (head, all) = (header.len(), header.len() + body.len());
        self.heard.clear();
        self.say(&format!(
            "HPUB plain#a${partition}.final in.1 {head} {all}\r\n{header}{body}\r\n"
        ))?;
        assert!(self.heard.contains("\"seq\":"), "{}", self.heard);
        Ok(core::mem::take(&mut self.heard))
    }

    fn wait(&mut self, time: Duration) -> Result<(), Dark> {
        let end = self.now.mono + time;
        while let Some((at, _)) = self.shard.poll_timeout().filter(|(at, _)| *at <= end) {
            self.advance(at.max(self.now.mono));
            self.shard.handle(self.now, Input::Timeout, &mut self.fx);
            self.settle()?;
        }
        self.advance(end);
        Ok(())
    }

    fn advance(&mut self, to: Instant) {
        let passed = Duration::from_nanos(to.0 - self.now.mono.0);
        self.now = Now {
            mono: to,
            wall: self.now.wall + passed,
        };
    }

    /// Lets everything happen that follows; the power may go in between.
    fn settle(&mut self) -> Result<(), Dark> {
        loop {
            self.ops.append(&mut self.fx.disk);
            self.listen();
            if core::mem::take(&mut self.fx.settle) {
                self.shard.handle(self.now, Input::Settle, &mut self.fx);
                continue;
            }
            self.disk.submit(&mut self.ops);
            if self.power_left == 0 {
                self.disk.lose_power();
                // From here on it stays.
                self.power_left = u64::MAX;
                return Err(Dark);
            }
            let Some(done) = self.disk.step() else {
                return Ok(());
            };
            self.power_left -= 1;
            let mut done = vec![done];
            self.shard
                .handle(self.now, Input::Disk(&mut done), &mut self.fx);
        }
    }

    fn listen(&mut self) {
        self.fx.dirty.clear();
        self.fx.gate.clear();
        self.fx.log.clear();
        self.work.append(&mut self.fx.work);
        let Some(conn) = self.client else { return };
        let mut out = BytesMut::new();
        while self.shard.take_outbound(conn, &mut out) {
            self.heard.push_str(&String::from_utf8_lossy(&out));
            out.clear();
        }
    }

    fn rows(&self) -> Tenant {
        let book = self.shard.memphis().expect("JetStream is on").book();
        book.tenant(ACCOUNT).cloned().unwrap_or_default()
    }

    fn partitions(&self) -> usize {
        let streams = self.shard.jetstream().expect("JetStream is on").streams();
        let of_station = streams.filter(|stream| stream.core.name().starts_with("plain#a$"));
        of_station.count()
    }

    /// What must hold after each start.
    fn check(&self, told: Told) {
        let rows = self.rows();
        let row = rows.stations.get("plain.a");
        let is_whole = row.is_some_and(|row| row.phase == Phase::Whole);
        assert_eq!(
            self.partitions(),
            if is_whole { 3 } else { 0 },
            "whole or absent"
        );
        assert!(
            is_whole || !told.station,
            "an acknowledged station is there"
        );
        let schema = rows.schemas.get("sch");
        assert!(
            schema.is_some() || !told.schema,
            "an acknowledged schema is there"
        );
        if let Some(row) = row {
            assert!(row.schema.is_some(), "made with its schema or not at all");
            let group = row.groups.get("grp.x");
            assert!(
                group.is_some() || !told.group,
                "an acknowledged group is there"
            );
        }
        assert!(rows.dead_letters.iter().count() <= 1, "recorded once");
        if told.resend {
            let is_dead = rows.dead_letters.iter().next().is_some();
            let is_wanted = rows.dead_letters.wanted().next().is_some();
            assert!(!is_dead || is_wanted, "it is sent again, or still to be");
        }
    }

    /// Goes through the conversation, as far as it has not been told of already.
    fn converse(&mut self, told: &mut Told) -> Result<(), Dark> {
        let ok = "MSG in.1 1 0\r\n\r\n";
        if !told.schema {
            let answer = self.ask("$memphis_schema_creations", SCHEMA)?;
            let is_there = answer.contains("already exists");
            assert!(is_there || answer.contains("{\"error\":\"\"}"), "{answer}");
            told.schema = true;
        }
        if !told.station {
            let answer = self.ask("$memphis_station_creations", STATION)?;
            assert_eq!(answer, ok);
            told.station = true;
        }
        if !told.group {
            let answer = self.ask("$memphis_consumer_creations", CONSUMER)?;
            assert!(answer.contains("\"error\":\"\""), "{answer}");
            told.group = true;
        }
        if !told.stored {
            let refused = self.ask("plain#a$1.final", "{}")?;
            assert!(
                refused.contains("Schema validation has failed"),
                "{refused}"
            );
            self.drop_schema_letters()?;
            let stored = self.publish(1, "msg-id: m1", "{\"id\":1}")?;
            assert!(stored.contains("\"seq\":1"), "{stored}");
            told.stored = true;
        }
        if !told.resend {
            // The first time it is delivered, or it was delivered before the power went.
            self.ask(NEXT, FETCH)?;
            self.wait(Duration::from_secs(3))?;
            self.ask(NEXT, FETCH)?;
            self.wait(Duration::from_secs(3))?;
            assert_eq!(self.rows().dead_letters.iter().count(), 1, "it has died");
            let answer = self.ask("$memphis_api.stations.resendPoisonMessages", RESEND)?;
            assert!(answer.contains("\"status\":200"), "{answer}");
            told.resend = true;
        }
        Ok(())
    }

    /// Drops what the refused message left, so that what is counted is the poisonous one.
    fn drop_schema_letters(&mut self) -> Result<(), Dark> {
        let rows = self.rows();
        let ids: Vec<u64> = rows.dead_letters.iter().map(|(id, _)| id.0).collect();
        let body = format!("{{\"station_name\":\"plain.a\",\"dls_message_ids\":{ids:?}}}");
        let answer = self.ask("$memphis_api.stations.dropDlsMessages", &body)?;
        assert!(answer.contains("\"status\":200"), "{answer}");
        Ok(())
    }
}

fn options(now: Now) -> ShardOptions {
    let mut config = Options {
        memphis: Some(Memphis::default()),
        ..Options::default()
    };
    config.jetstream.enabled = true;
    config.jetstream.file_max = Some(1 << 30);
    config.jetstream.memory_max = Some(1 << 30);
    ShardOptions {
        secret: [5; 32],
        config,
        version: "0.0.0".into(),
        start: now,
        store: StoreOptions {
            log_file_len: 256 << 10,
            log_file_len_first: 64 << 10,
            ..StoreOptions::default()
        },
        schemas: Rc::new(Languages),
        room: Room::UNLIMITED,
    }
}

/// Lives until nothing more is to be done, again from the start each time that the power goes; says
/// whether it went.
fn lives(server: &mut Server, mut live: impl FnMut(&mut Server) -> Result<(), Dark>) -> bool {
    let ended = (0..LIVES_MAX).find(|_| live(server).is_ok());
    ended.expect("it comes to an end") > 0
}

/// Lets the power go after each number of disk operations, until a run ends before it would.
fn at_every_operation(seeds: Range<u64>, least: u64, run: fn(&mut Server) -> bool) {
    for seed in seeds {
        let mut power = 0;
        while run(&mut Server::new(seed, power)) {
            power += 1;
        }
        assert!(
            power > least,
            "a run without a power loss proves nothing: {power}"
        );
    }
}

/// Says whether a check fails on a disk that keeps nothing of what it syncs, after one of the
/// numbers of operations.
fn is_lie_noticed(mut powers: Range<u64>, run: fn(&mut Server) -> bool) -> bool {
    powers.any(|power| {
        notices(move || {
            let mut server = Server::new(1, power);
            server.disk.set_lying(true);
            run(&mut server);
        })
    })
}

/// Holds the conversation with the power going on the way; says whether it went.
fn hold(server: &mut Server) -> bool {
    let power = server.power_left;
    let mut told = Told::default();
    let went = lives(server, |server| {
        server.boot()?;
        server.check(told);
        server.converse(&mut told)
    });
    server.power_left = u64::MAX;
    // The group's consumer has the message back, and the copy is there once.
    let got = server.ask(NEXT, FETCH).map_err(|Dark| "dark");
    assert!(
        got.is_ok_and(|got| got.contains("{\"id\":1}")),
        "after {power}"
    );
    let streams = server.shard.jetstream().expect("JetStream is on");
    let copies = streams
        .streams()
        .find(|stream| stream.core.name() == "dead$1");
    let copies = copies.expect("it was made with the station").core.state(0);
    // One of the refused message, whose copy has no identity of its own, and one of the dead one.
    assert!(copies.messages >= 2, "after {power}: {copies:?}");
    went
}

/// Runs something that ends in a failed check if it notices what is wrong.
fn notices(wrong: impl FnOnce() + core::panic::UnwindSafe) -> bool {
    std::panic::catch_unwind(wrong).is_err()
}

#[test]
fn a_disk_that_keeps_nothing_of_what_it_syncs_is_noticed() {
    assert!(is_lie_noticed(20..60, hold));
}

#[test]
fn power_loss_between_any_two_steps_of_a_stations_life() {
    at_every_operation(1..5, 30, hold);
}

#[test]
fn the_same_seed_gives_the_same_letters() {
    let letters = |seed| {
        let mut server = Server::new(seed, u64::MAX);
        let mut told = Told::default();
        assert!(server.boot().is_ok() && server.converse(&mut told).is_ok());
        format!("{:?}", server.rows())
    };
    assert_eq!(letters(7), letters(7));
}
