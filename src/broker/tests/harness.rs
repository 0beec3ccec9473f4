//! A shard, a clock that only moves when told, and clients that are byte strings.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use bytes::BytesMut;
use config::Options;
use protocol::errors::CloseReason;
use protocol::id::ConnId;
use protocol::time::{Instant, Now, Wall};

use crate::effects::{Accepted, Effects, Gone, Input, Rules};
use crate::shard::{Shard, ShardOptions};

/// A CONNECT as client libraries send it.
pub(crate) const CONNECT: &str = "CONNECT {\"verbose\":false,\"pedantic\":false,\"protocol\":1,\
                                  \"headers\":true,\"no_responders\":true}\r\n";

pub(crate) struct World {
    pub(crate) shard: Shard,
    pub(crate) now: Now,
    pub(crate) closed: Vec<(ConnId, CloseReason)>,
    pub(crate) aborted: Vec<ConnId>,
    pub(crate) gates: Vec<(ConnId, bool)>,
    fx: Effects,
    /// What each connection has not had parsed yet.
    rest: Vec<(ConnId, BytesMut)>,
}

impl World {
    pub(crate) fn new(config: Options) -> Self {
        let now = Now {
            mono: Instant(0),
            wall: Wall(1_700_000_000_000_000_000),
        };
        let options = ShardOptions {
            config,
            version: String::from("0.0.0"),
            start: now,
        };
        Self {
            shard: Shard::new(options, 7),
            now,
            closed: Vec::new(),
            aborted: Vec::new(),
            gates: Vec::new(),
            fx: Effects::default(),
            rest: Vec::new(),
        }
    }

    /// Connects a client that says nothing yet.
    pub(crate) fn accept(&mut self, rules: Rules) -> ConnId {
        let accepted = Accepted {
            peer: SocketAddr::from(([127, 0, 0, 1], 5000)),
            local: SocketAddr::from(([127, 0, 0, 1], 4222)),
            rules,
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

    fn drain(&mut self) {
        self.fx.dirty.clear();
        self.fx.log.clear();
        self.closed.append(&mut self.fx.close);
        self.aborted.append(&mut self.fx.abort);
        self.gates.append(&mut self.fx.gate);
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
