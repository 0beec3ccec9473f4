//! The server of a run, its disk, its clock, and a client in each of its two accounts.
//!
//! *Invariant:* time passes only here; each disk operation takes some of it, and before each the process
//! may die.

use core::time::Duration;
use std::collections::BTreeMap;

use base64::Engine;
use broker::{ConnId, Effects, Gone, Input, Shard, Storage};
use bytes::BytesMut;
use protocol::rng::Rng;
use protocol::time::{Instant, Now, Wall};
use serde_json::{Value as Json, json};
use storage::DiskOp;

use server::wire::{Message, Reader, ServerOp};

use super::Summary;
use super::config::{Bridge, configured, options};
use crate::client::jetstream::api_answer;
use crate::disk::{Condition, SimDisk};
use crate::explorer::plain_connection;

/// The stream of randomness of a run.
const RNG_LIFE: u64 = 20;
/// How long a client waits for an answer of a server that is well.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// The mean time of a disk operation.
const DISK_TIME: Duration = Duration::from_micros(150);
/// The process dies after at most so many of them.
const OPS_MAX: u64 = 200;

/// How many subjects there are for deliveries.
const PULLS: u64 = 4;
/// The subscription of the first of them.
const SID_PULLS: u64 = 10;

/// Folds a byte into a hash.
const FNV_PRIME: u64 = 0x100_0000_01b3;

/// Why a life ended before its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The process died on purpose.
    Dark,
    /// A promise did not hold.
    Wrong(String),
}

/// What is done in a life: to its end, or not.
pub type Life<T = ()> = Result<T, End>;

/// A connection.
#[derive(Debug)]
struct Client {
    conn: ConnId,
    reader: Reader,
}

/// How the process will die.
#[derive(Clone, Copy, Debug)]
enum Death {
    Kill,
    PowerLoss,
}

/// A message that was read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its subject.
    pub subject: String,
    /// Its header block.
    pub headers: String,
    /// Its body.
    pub body: String,
}

/// The server.
#[derive(Debug)]
pub struct Server {
    shard: Shard,
    disk: SimDisk,
    fx: Effects,
    ops: Vec<DiskOp>,
    wants_settle: bool,
    /// The present.
    pub now: Now,
    clients: [Option<Client>; 2],
    /// Which of them speaks.
    speaker: usize,
    bridge: Bridge,
    heard: Vec<Message>,
    /// The randomness of what is done.
    pub rng: Rng,
    seed: u64,
    /// After so many disk operations the process dies.
    fate: Option<(u64, Death)>,
    /// How much slower than usual the disk is in this life.
    slowness: u32,
    inboxes: u64,
    summary: Summary,
}

impl Server {
    /// Returns a server that has never run.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let now = Now {
            mono: Instant(0),
            wall: Wall(1_700_000_000_000_000_000),
        };
        Self {
            shard: Shard::new(options(now, Bridge::Open), seed),
            disk: SimDisk::new(seed),
            fx: Effects::default(),
            ops: Vec::new(),
            wants_settle: false,
            now,
            clients: [None, None],
            speaker: 0,
            bridge: Bridge::Open,
            heard: Vec::new(),
            rng: Rng::new(seed, RNG_LIFE),
            seed,
            fate: None,
            slowness: 1,
            inboxes: 0,
            summary: Summary::default(),
        }
    }

    /// Decides when and how the next life ends.
    pub fn draw_fate(&mut self) {
        let ops = self.rng.below(OPS_MAX);
        let death = if self.rng.one_in(3) {
            Death::Kill
        } else {
            Death::PowerLoss
        };
        self.fate = Some((ops, death));
        self.slowness = if self.rng.one_in(4) { 1_000 } else { 1 };
    }

    /// From now on nothing happens to it.
    pub fn calm(&mut self) {
        self.fate = None;
        self.bridge = Bridge::Open;
        self.set_readable(true);
        self.slowness = 1;
    }

    /// Returns what the run came to.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// Starts the process on what the disk has kept, and connects.
    ///
    /// # Errors
    /// If it dies, or does not serve.
    pub fn boot(&mut self) -> Life {
        self.set_readable(true);
        // It was down for a while.
        let down = Duration::from_millis(self.rng.below(2_000));
        self.advance(self.now.mono + down);
        self.summary.lives += 1;
        self.shard = Shard::new(
            options(self.now, self.bridge),
            self.seed ^ self.summary.lives,
        );
        self.fx = Effects::default();
        self.ops.clear();
        self.clients = [None, None];
        self.heard.clear();
        self.wants_settle = false;
        self.shard.start(self.now, &mut self.fx);
        self.take_effects();
        self.settle()?;
        self.is_live()?;
        self.connect(0)?;
        self.connect(1)
    }

    /// Breaks the client's connection and makes another.
    ///
    /// # Errors
    /// If the process dies.
    pub fn cut(&mut self) -> Life {
        if let Some(client) = self.clients[self.speaker].take() {
            let (conn, gone) = (client.conn, Gone::Eof);
            let input = Input::Closed { conn, gone };
            self.handle(input);
        }
        self.heard.clear();
        self.connect(self.speaker)
    }

    /// Has the client of the second account speak from now on, or that of the first.
    pub fn speak_as(&mut self, number: usize) {
        self.speaker = number;
    }

    /// Lets the second account reach the first, or not.
    ///
    /// # Errors
    /// If the process dies.
    pub fn set_bridge(&mut self, is_open: bool) -> Life {
        self.bridge = if is_open { Bridge::Open } else { Bridge::Cut };
        let config = Box::new(configured(self.bridge));
        self.handle(Input::Reload(config));
        self.settle()
    }

    /// Switches JetStream off, as the driver does: nobody is read from until it is done.
    ///
    /// # Errors
    /// If the process dies.
    pub fn switch_off(&mut self) -> Life {
        for _ in 0..2 {
            self.handle(Input::CloseStreams);
            self.settle()?;
        }
        let mut config = configured(self.bridge);
        config.jetstream.enabled = false;
        self.handle(Input::Reload(Box::new(config)));
        self.settle()
    }

    /// Switches it on again.
    ///
    /// # Errors
    /// If the process dies, or does not serve.
    pub fn switch_on(&mut self) -> Life {
        let config = Box::new(configured(self.bridge));
        self.handle(Input::Reload(config));
        self.shard.start(self.now, &mut self.fx);
        self.take_effects();
        self.settle()?;
        self.is_live()
    }

    fn is_live(&self) -> Life {
        let storage = self.shard.storage().map(|view| view.storage);
        if storage != Some(Storage::Live) {
            return Err(End::Wrong(format!("after a start it is {storage:?}")));
        }
        Ok(())
    }

    /// Lets reads fail, or no longer.
    pub fn set_readable(&mut self, is_readable: bool) {
        self.disk.set_condition(if is_readable {
            Condition::Well
        } else {
            Condition::Unreadable
        });
    }

    fn connect(&mut self, number: usize) -> Life {
        let conn = self
            .shard
            .accept(self.now, plain_connection(), &mut self.fx);
        self.take_effects();
        let reader = Reader::default();
        self.clients[number] = Some(Client { conn, reader });
        self.settle()?;
        let user = ["p", "c"][number];
        let hello = format!(
            "CONNECT {{\"user\":\"{user}\",\"pass\":\"x\",\"headers\":true,\
             \"no_responders\":true,\"verbose\":false}}\r\nSUB _INBOX.> 1\r\n"
        );
        let own = (0..PULLS).map(|at| format!("SUB pull.{at} {}\r\n", SID_PULLS + at));
        let hello: String = core::iter::once(hello).chain(own).collect();
        let speaker = core::mem::replace(&mut self.speaker, number);
        self.input(hello.as_bytes());
        self.speaker = speaker;
        self.settle()
    }

    fn input(&mut self, bytes: &[u8]) {
        let Some(client) = &self.clients[self.speaker] else {
            return;
        };
        let (conn, mut buf) = (client.conn, BytesMut::from(bytes));
        let input = Input::Bytes {
            conn,
            buf: &mut buf,
        };
        self.handle(input);
    }

    /// Sends a message; what follows from it is up to [`Server::settle`].
    pub fn send(&mut self, subject: &str, reply: &str, headers: &[(&str, &str)], body: &str) {
        let line = if headers.is_empty() {
            format!("PUB {subject} {reply} {}\r\n{body}\r\n", body.len())
        } else {
            let mut block = String::from("NATS/1.0\r\n");
            for (key, value) in headers {
                block.push_str(&format!("{key}: {value}\r\n"));
            }
            block.push_str("\r\n");
            let (head, all) = (block.len(), block.len() + body.len());
            format!("HPUB {subject} {reply} {head} {all}\r\n{block}{body}\r\n")
        };
        self.input(line.as_bytes());
    }

    /// Returns a reply subject that was never used.
    pub fn inbox(&mut self) -> String {
        self.inboxes += 1;
        format!("_INBOX.r.{}", self.inboxes)
    }

    /// Takes the messages that have come to `pull.<number>`, in their order, with that number: those of
    /// streams keep their own subjects.
    pub fn take_pulled(&mut self) -> Vec<(u64, Message)> {
        let all = core::mem::take(&mut self.heard);
        let (taken, left): (Vec<_>, _) = all.into_iter().partition(|msg| msg.sid >= SID_PULLS);
        self.heard = left;
        let numbered = taken.into_iter().map(|msg| (msg.sid - SID_PULLS, msg));
        numbered.collect()
    }

    /// Takes the messages that have come to subjects that begin with `prefix`.
    pub fn take(&mut self, prefix: &str) -> Vec<Message> {
        let all = core::mem::take(&mut self.heard);
        let (taken, left) = all
            .into_iter()
            .partition(|msg| msg.subject.starts_with(prefix));
        self.heard = left;
        taken
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// If the process dies, or does not answer.
    pub fn ask(&mut self, subject: &str, headers: &[(&str, &str)], body: &str) -> Life<Message> {
        let inbox = self.inbox();
        self.send(subject, &inbox, headers, body);
        self.answer(&inbox)
    }

    /// Waits for the answer to a request.
    ///
    /// # Errors
    /// If the process dies, or does not answer.
    pub fn answer(&mut self, inbox: &str) -> Life<Message> {
        let end = self.now.mono + ANSWER_MAX;
        loop {
            self.settle()?;
            if let Some(at) = self.heard.iter().position(|msg| msg.subject == inbox) {
                self.summary.answers += 1;
                return Ok(self.heard.remove(at));
            }
            if self.now.mono >= end {
                return Err(End::Wrong(format!("no answer at {inbox}")));
            }
            self.wait(Duration::from_millis(100))?;
        }
    }

    /// Calls the API; returns the answer or the error's code.
    ///
    /// # Errors
    /// If the process dies, or does not answer.
    pub fn api(&mut self, what: &str, body: &Json) -> Life<Result<Json, u64>> {
        let body = body.to_string();
        let answer = self.ask(&format!("$JS.API.{what}"), &[], &body)?;
        api_answer(&answer).map_err(End::Wrong)
    }

    /// Calls the API for something that has to succeed.
    ///
    /// # Errors
    /// If the process dies, does not answer, or refuses.
    pub fn must(&mut self, what: &str, body: &Json) -> Life<Json> {
        let answer = self.api(what, body)?;
        answer.map_err(|code| End::Wrong(format!("{what} {body} was refused with {code}")))
    }

    /// Publishes a message; returns its sequence or the error's code.
    ///
    /// # Errors
    /// If the process dies, or does not answer.
    pub fn publish(
        &mut self,
        subject: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Life<Result<u64, u64>> {
        let answer = self.ask(subject, headers, body)?;
        seq_of(&answer)
    }

    /// Reads everything that a stream holds.
    ///
    /// # Errors
    /// If the process dies, or something cannot be read.
    pub fn read_all(&mut self, stream: &str) -> Life<BTreeMap<u64, Kept>> {
        let info = self.must(&format!("STREAM.INFO.{stream}"), &json!({}))?;
        let number = |name| info.pointer(name).and_then(Json::as_u64).unwrap_or(0);
        let (first, last) = (number("/state/first_seq"), number("/state/last_seq"));
        let mut all = BTreeMap::new();
        for seq in first.max(1)..=last {
            let get = format!("STREAM.MSG.GET.{stream}");
            let Ok(answer) = self.api(&get, &json!({ "seq": seq }))? else {
                continue;
            };
            let text = |name| answer.pointer(name).and_then(Json::as_str).unwrap_or("");
            let kept = Kept {
                subject: text("/message/subject").to_owned(),
                headers: decoded(text("/message/hdrs")),
                body: decoded(text("/message/data")),
            };
            all.insert(seq, kept);
        }
        Ok(all)
    }

    /// Lets time pass.
    ///
    /// # Errors
    /// If the process dies.
    pub fn wait(&mut self, time: Duration) -> Life {
        let end = self.now.mono + time;
        self.settle()?;
        while let Some((at, _)) = self.shard.poll_timeout().filter(|(at, _)| *at <= end) {
            self.advance(at.max(self.now.mono));
            self.handle(Input::Timeout);
            self.settle()?;
        }
        self.advance(end);
        Ok(())
    }

    fn advance(&mut self, to: Instant) {
        if to <= self.now.mono {
            return;
        }
        let passed = Duration::from_nanos(to.0 - self.now.mono.0);
        self.now = Now {
            mono: to,
            wall: self.now.wall + passed,
        };
    }

    /// Lets everything happen that follows; the process may die in between.
    ///
    /// # Errors
    /// If it does.
    pub fn settle(&mut self) -> Life {
        loop {
            if core::mem::take(&mut self.wants_settle) {
                self.handle(Input::Settle);
                continue;
            }
            self.disk.submit(&mut self.ops);
            if let Some((0, death)) = self.fate {
                self.fate = None;
                match death {
                    Death::Kill => self.disk.kill(),
                    Death::PowerLoss => self.disk.lose_power(),
                }
                return Err(End::Dark);
            }
            let Some(done) = self.disk.step() else {
                return Ok(());
            };
            if let Some((left, _)) = &mut self.fate {
                *left -= 1;
            }
            let mean = u64::try_from(DISK_TIME.as_nanos()).unwrap_or(0) * u64::from(self.slowness);
            let took = Duration::from_nanos(self.rng.below(2 * mean));
            self.advance(self.now.mono + took);
            let mut done = vec![done];
            self.handle(Input::Disk(&mut done));
        }
    }

    /// Hands an input in, and takes what the shard wants.
    fn handle(&mut self, input: Input<'_>) {
        self.shard.handle(self.now, input, &mut self.fx);
        self.take_effects();
    }

    fn take_effects(&mut self) {
        self.ops.append(&mut self.fx.disk);
        self.wants_settle |= core::mem::take(&mut self.fx.settle);
        // Nobody else is there who could want something.
        self.fx = Effects::default();
        self.listen();
    }

    fn listen(&mut self) {
        let mut out = BytesMut::new();
        for client in self.clients.iter_mut().flatten() {
            while self.shard.take_outbound(client.conn, &mut out) {
                let hash = &mut self.summary.hash;
                for byte in &out {
                    *hash = (*hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME);
                }
                client.reader.input.extend_from_slice(&out);
                out.clear();
            }
            while let Ok(Some(op)) = client.reader.next_op() {
                if let ServerOp::Message(message) = op {
                    self.heard.push(message);
                }
            }
        }
    }
}

/// Reads the answer to a publish: a sequence or an error's code.
///
/// # Errors
/// If it is neither.
pub(super) fn seq_of(answer: &Message) -> Life<Result<u64, u64>> {
    let answer = api_answer(answer).map_err(End::Wrong)?;
    let seq = answer.map(|json| json.get("seq").and_then(Json::as_u64));
    match seq {
        Ok(Some(seq)) => Ok(Ok(seq)),
        Ok(None) => Err(End::Wrong(String::from("an ack without a sequence"))),
        Err(code) => Ok(Err(code)),
    }
}

fn decoded(text: &str) -> String {
    let bytes = base64::engine::general_purpose::STANDARD.decode(text);
    String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()
}
