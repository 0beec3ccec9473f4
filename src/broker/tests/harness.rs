//! A shard, a clock that only moves when told, and clients that are byte strings.

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use bytes::{Bytes, BytesMut};
use config::Options;
use memphis::guard::{Compiled, SchemaLibrary, SchemaText, Validator};
use memphis::manage::{Answer, CallId};
use protocol::errors::CloseReason;
use protocol::id::ConnId;
use protocol::time::{Instant, Now, Wall};
use storage::{DiskAnswer, DiskDone, DiskError, DiskOp, FileName, StoreOptions};

use crate::effects::{
    Accepted, Effects, Errand, Gone, Input, LogLine, ManageCall, Rules, WorkDone, WorkOp,
};
use crate::shard::{Room, Shard, ShardOptions};
use crate::tls::Security;

/// A CONNECT as client libraries send it.
pub(crate) const CONNECT: &str = "CONNECT {\"verbose\":false,\"pedantic\":false,\"protocol\":1,\
                                  \"headers\":true,\"no_responders\":true}\r\n";

/// A schema language for tests: a message fits if it holds the schema's text.
#[derive(Debug)]
struct Words;

#[derive(Debug)]
struct Word(Vec<u8>);

impl SchemaLibrary for Words {
    fn compile(&self, schema: SchemaText<'_>) -> Result<Compiled, String> {
        Ok(Compiled {
            validator: Rc::new(Word(schema.content.as_bytes().to_vec())),
            descriptor: Vec::new(),
            message_struct: String::new(),
        })
    }
}

impl Validator for Word {
    fn check(&self, message: &[u8]) -> Result<(), String> {
        let mut parts = message.windows(self.0.len());
        let found = parts.any(|part| part == self.0);
        found
            .then_some(())
            .ok_or_else(|| "a word is missing".into())
    }
}

pub(crate) struct World {
    pub(crate) shard: Shard,
    pub(crate) now: Now,
    pub(crate) closed: Vec<(ConnId, CloseReason)>,
    pub(crate) aborted: Vec<ConnId>,
    pub(crate) gates: Vec<(ConnId, bool)>,
    pub(crate) log: Vec<LogLine>,
    fx: Effects,
    /// Operations that the disk has not been let do.
    ops: Vec<DiskOp>,
    files: BTreeMap<FileName, Vec<u8>>,
    /// Whether the disk refuses to read.
    pub(crate) refuses_reads: bool,
    pub(crate) work: Vec<WorkOp>,
    /// Answers of the management interface of Memphis.
    pub(crate) managed: Vec<(CallId, Answer)>,
    /// What each connection has not had parsed yet.
    rest: Vec<(ConnId, BytesMut)>,
}

impl World {
    pub(crate) fn new(config: Options) -> Self {
        Self::with_store(config, StoreOptions::default())
    }

    /// Returns a world whose store has its own limits.
    pub(crate) fn with_store(config: Options, store: StoreOptions) -> Self {
        let now = Now {
            mono: Instant(0),
            wall: Wall(1_700_000_000_000_000_000),
        };
        let options = ShardOptions {
            secret: [5; 32],
            config,
            version: String::from("0.0.0"),
            start: now,
            store,
            schemas: Rc::new(Words),
            room: Room::UNLIMITED,
        };
        Self {
            shard: Shard::new(options, 7),
            now,
            closed: Vec::new(),
            aborted: Vec::new(),
            gates: Vec::new(),
            log: Vec::new(),
            fx: Effects::default(),
            ops: Vec::new(),
            files: BTreeMap::new(),
            refuses_reads: false,
            work: Vec::new(),
            managed: Vec::new(),
            rest: Vec::new(),
        }
    }

    /// Connects a client that says nothing yet.
    pub(crate) fn accept(&mut self, rules: Rules) -> ConnId {
        let accepted = Accepted {
            peer: SocketAddr::from(([127, 0, 0, 1], 5000)),
            local: SocketAddr::from(([127, 0, 0, 1], 4222)),
            rules,
            security: Security::Plain,
            origin_follows: false,
            websocket: None,
        };
        let id = self.shard.accept(self.now, accepted, &mut self.fx);
        self.drain();
        self.rest.push((id, BytesMut::new()));
        id
    }

    /// Connects a client the way libraries do, and reads what it is greeted with.
    pub(crate) fn client(&mut self) -> ConnId {
        let id = self.accept(Rules::Nats);
        self.say(id, CONNECT);
        self.hear(id);
        id
    }

    /// Opens the store.
    pub(crate) fn recover(&mut self) {
        self.shard.start(self.now, &mut self.fx);
        self.drain();
        self.settle_disk();
    }

    /// Lets the disk do all that was asked of it.
    pub(crate) fn settle_disk(&mut self) {
        while !self.ops.is_empty() {
            let ops = core::mem::take(&mut self.ops);
            let mut done = ops.into_iter().map(|op| self.run(op)).collect();
            self.shard
                .handle(self.now, Input::Disk(&mut done), &mut self.fx);
            self.drain();
        }
    }

    /// Lets the disk do the first `count` operations, one at a time; false if there were fewer.
    pub(crate) fn settle_steps(&mut self, count: usize) -> bool {
        (0..count).all(|_| {
            if self.ops.is_empty() {
                return false;
            }
            let op = self.ops.remove(0);
            let mut done = alloc::vec![self.run(op)];
            self.shard
                .handle(self.now, Input::Disk(&mut done), &mut self.fx);
            self.drain();
            true
        })
    }

    /// Lets disk and shard go on until both rest: what waits for the end of a batch goes first.
    pub(crate) fn settle(&mut self) {
        self.settle_disk();
    }

    /// Returns the files that are there.
    pub(crate) fn files(&self) -> impl Iterator<Item = &FileName> {
        self.files.keys()
    }

    /// Returns the files, to look at and to damage.
    pub(crate) fn files_mut(&mut self) -> &mut BTreeMap<FileName, Vec<u8>> {
        &mut self.files
    }

    /// Opens the store for a look or a repair.
    pub(crate) fn start_mending(&mut self) {
        self.shard.start_mending(self.now, &mut self.fx);
        self.drain();
        self.settle_disk();
    }

    /// Damages the first place in the log that holds `text`.
    pub(crate) fn rot(&mut self, text: &[u8]) {
        let log = self
            .files
            .get_mut(&FileName::Log(0))
            .expect("there is a log");
        let found = log.windows(text.len()).position(|bytes| bytes == text);
        log[found.expect("it is stored")] ^= 1;
    }

    /// Calls the management interface of Memphis, as the REST API does.
    pub(crate) fn manage(&mut self, user: &str, route: &str, body: &str) -> Answer {
        let call = ManageCall {
            id: CallId(1),
            account: String::from("$G"),
            user: user.into(),
            route: route.into(),
            body: Bytes::copy_from_slice(body.as_bytes()),
        };
        self.input(Input::Manage(call.into()));
        self.settle();
        let (id, answer) = self.managed.pop().expect("an answer");
        assert_eq!(id, CallId(1));
        answer
    }

    /// The process ends without warning, and starts again on the same files.
    pub(crate) fn restart(&mut self) {
        let options = self.shard.options.clone();
        self.shard = Shard::new(options, 8);
        self.fx = Effects::default();
        self.ops.clear();
        self.rest.clear();
        self.recover();
    }

    /// Does one operation on files in memory.
    pub(crate) fn run(&mut self, op: DiskOp) -> DiskDone {
        let id = op.id();
        let files = &mut self.files;
        let range = |offset: u64, len: usize| {
            let start = usize::try_from(offset).unwrap();
            start..start + len
        };
        let result = match op {
            DiskOp::List { .. } => Ok(DiskAnswer::Listed(
                files
                    .iter()
                    .map(|(name, f)| (*name, f.len() as u64))
                    .collect(),
            )),
            DiskOp::Read { .. } if self.refuses_reads => Err(DiskError::Io(5)),
            DiskOp::Read {
                file, offset, len, ..
            } => match files.get(&file).map(|f| f.get(range(offset, len as usize))) {
                Some(Some(bytes)) => Ok(DiskAnswer::Read(Bytes::copy_from_slice(bytes))),
                Some(None) => Err(DiskError::Io(5)),
                None => Err(DiskError::NotFound),
            },
            DiskOp::Create { file, len, .. } => {
                files.insert(file, alloc::vec![0; usize::try_from(len).unwrap()]);
                Ok(DiskAnswer::Done)
            }
            DiskOp::Write {
                file, offset, data, ..
            } => {
                let file = files.get_mut(&file).expect("files are made before");
                let range = range(offset, data.len());
                file.resize(file.len().max(range.end), 0);
                file[range].copy_from_slice(&data);
                Ok(DiskAnswer::Done)
            }
            DiskOp::Sync { .. } => Ok(DiskAnswer::Done),
            DiskOp::Recycle { from, to, .. } => {
                let file = files.remove(&from).expect("files are made before");
                files.insert(to, file);
                Ok(DiskAnswer::Done)
            }
            DiskOp::Remove { file, .. } => {
                files.remove(&file);
                Ok(DiskAnswer::Done)
            }
        };
        DiskDone { op: id, result }
    }

    /// Finishes the work under way: passwords fit if they are `right`.
    pub(crate) fn check_passwords(&mut self, right: &str) {
        for op in core::mem::take(&mut self.work) {
            let WorkOp::CheckPassword { conn, shown, .. } = op else {
                continue;
            };
            let fits = shown == right;
            let done = WorkDone::PasswordChecked { conn, fits };
            self.shard.handle(self.now, Input::Work(done), &mut self.fx);
            self.drain();
        }
    }

    /// Hands a client's bytes over.
    pub(crate) fn say(&mut self, conn: ConnId, text: &str) {
        let (_, buf) = self
            .rest
            .iter_mut()
            .find(|(id, _)| *id == conn)
            .expect("the client is connected");
        buf.extend_from_slice(text.as_bytes());
        self.shard
            .handle(self.now, Input::Bytes { conn, buf }, &mut self.fx);
        self.drain();
    }

    /// Takes what waits for a client, as if all of it had been written.
    pub(crate) fn hear(&mut self, conn: ConnId) -> String {
        let mut all = BytesMut::new();
        let mut part = BytesMut::new();
        while self.shard.take_outbound(conn, &mut part) {
            all.extend_from_slice(&part);
        }
        String::from_utf8_lossy(&all).into_owned()
    }

    /// Says something, and hears what comes of it.
    pub(crate) fn ask(&mut self, conn: ConnId, text: &str) -> String {
        self.say(conn, text);
        self.hear(conn)
    }

    /// Lets time pass, stopping at each deadline on the way.
    pub(crate) fn wait(&mut self, time: Duration) {
        let end = self.now.mono + time;
        while let Some((due, _)) = self.shard.poll_timeout()
            && due <= end
        {
            self.advance_to(due.max(self.now.mono));
            self.shard.handle(self.now, Input::Timeout, &mut self.fx);
            self.drain();
        }
        self.advance_to(end);
    }

    /// Hands an input over that concerns no client.
    pub(crate) fn input(&mut self, input: Input<'_>) {
        self.shard.handle(self.now, input, &mut self.fx);
        self.drain();
    }

    /// Says that a client's socket takes no more.
    pub(crate) fn block(&mut self, conn: ConnId) {
        self.shard
            .handle(self.now, Input::Blocked { conn }, &mut self.fx);
        self.drain();
    }

    /// Says that a client has left.
    pub(crate) fn leave(&mut self, conn: ConnId) {
        let gone = Gone::Eof;
        self.shard
            .handle(self.now, Input::Closed { conn, gone }, &mut self.fx);
        self.drain();
    }

    /// Returns why a connection was closed, if it was.
    pub(crate) fn reason(&self, conn: ConnId) -> Option<CloseReason> {
        let told = self.closed.iter().find(|(id, _)| *id == conn);
        told.map(|(_, reason)| *reason)
    }

    fn advance_to(&mut self, at: Instant) {
        let passed = at.since(self.now.mono);
        self.now.mono = at;
        self.now.wall = self.now.wall + passed;
    }

    /// Takes the effects, and ends the batch when the shard asks for it: here each input is one.
    fn drain(&mut self) {
        loop {
            self.fx.dirty.clear();
            self.log.append(&mut self.fx.log);
            self.closed.append(&mut self.fx.close);
            self.aborted.append(&mut self.fx.abort);
            self.gates.append(&mut self.fx.gate);
            self.ops.append(&mut self.fx.disk);
            self.work.append(&mut self.fx.work);
            self.managed.append(&mut self.fx.managed);
            for errand in core::mem::take(&mut self.fx.errands) {
                let settle = core::mem::take(&mut self.fx.settle);
                let input = match errand {
                    Errand::Measure => Input::Measured(Box::default()),
                    Errand::Reload => Input::Reloaded(Some("no file".into())),
                };
                self.shard.handle(self.now, input, &mut self.fx);
                self.fx.settle |= settle;
                self.drain();
            }
            if !core::mem::take(&mut self.fx.settle) {
                return;
            }
            self.shard.handle(self.now, Input::Settle, &mut self.fx);
        }
    }
}

/// Returns the INFO lines of what a client heard.
pub(crate) fn infos(heard: &str) -> Vec<String> {
    let lines = heard.split("\r\n");
    lines
        .filter(|line| line.starts_with("INFO "))
        .map(ToOwned::to_owned)
        .collect()
}
