//! Connections as two pipes of bytes: any split, any delay, order kept; silent, paused or broken.
//!
//! *Invariant:* what arrives is a prefix of what was sent, as on TCP.

use std::collections::{BTreeMap, VecDeque};

use core::time::Duration;

use bytes::{Bytes, BytesMut};
use protocol::id::ConnId;
use protocol::rng::Rng;
use protocol::time::Instant;

/// How much a socket takes before it blocks.
const WINDOW: usize = 32 << 10;
/// The mean delay of a segment.
const DELAY: Duration = Duration::from_micros(400);
/// The longest pause before a client dials again.
const REDIAL_MAX: Duration = Duration::from_millis(400);

/// A client's end.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    Down {
        dial_at: Instant,
    },
    Up(ConnId),
    /// The server is gone; the client does not know until `at`.
    Broken {
        at: Instant,
    },
}

/// One direction. An empty segment is the end of the stream.
#[derive(Debug, Default)]
struct Pipe {
    segments: VecDeque<(Instant, Bytes)>,
    bytes: usize,
    /// Nothing arrives before.
    held_until: Instant,
    last: Instant,
    ended: bool,
}

impl Pipe {
    fn push(&mut self, bytes: &[u8], now: Instant, rng: &mut Rng) {
        if self.ended {
            return;
        }
        let mut rest = bytes;
        loop {
            // Most are delivered whole, some in pieces that cut anywhere.
            let cut = if rest.len() > 1 && rng.one_in(3) {
                1 + usize::try_from(rng.below(rest.len() as u64 - 1)).unwrap_or(0)
            } else {
                rest.len()
            };
            let (piece, more) = rest.split_at(cut);
            let mean = u64::try_from(DELAY.as_nanos()).unwrap_or(0);
            let delay = Duration::from_nanos(rng.below(2 * mean));
            self.last = self.last.max(now + delay);
            self.segments
                .push_back((self.last, Bytes::copy_from_slice(piece)));
            self.bytes += piece.len();
            rest = more;
            if rest.is_empty() {
                return;
            }
        }
    }

    fn end(&mut self, now: Instant, rng: &mut Rng) {
        self.push(b"", now, rng);
        self.ended = true;
    }

    fn due(&self) -> Instant {
        let first = self.segments.front();
        first.map_or(Instant::NEVER, |(at, _)| (*at).max(self.held_until))
    }

    fn pop(&mut self) -> Option<Bytes> {
        let (_, bytes) = self.segments.pop_front()?;
        self.bytes -= bytes.len();
        Some(bytes)
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct Link {
    client: usize,
    /// The client still uses it.
    client_open: bool,
    server_open: bool,
    /// Nothing arrives any more on either side, and nobody is told.
    silent: bool,
    /// The server does not read.
    pub(super) gated: bool,
    blocked: bool,
    /// What the server has not parsed yet.
    pub(super) inbuf: BytesMut,
    to_server: Pipe,
    to_client: Pipe,
}

impl Link {
    pub(super) fn server_due(&self) -> Instant {
        if self.silent || self.gated || !self.server_open {
            return Instant::NEVER;
        }
        self.to_server.due()
    }

    pub(super) fn client_due(&self) -> Instant {
        if self.silent || !self.client_open {
            return Instant::NEVER;
        }
        self.to_client.due()
    }
}

/// All connections of one life of the server.
#[derive(Debug)]
pub(super) struct Links {
    rng: Rng,
    links: BTreeMap<ConnId, Link>,
    ends: Vec<End>,
}

impl Links {
    pub(super) fn new(clients: usize, rng: Rng) -> Self {
        let dial_at = Instant(0);
        Self {
            rng,
            links: BTreeMap::new(),
            ends: vec![End::Down { dial_at }; clients],
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (ConnId, &Link)> {
        self.links.iter().map(|(id, link)| (*id, link))
    }

    pub(super) fn end(&self, client: usize) -> &End {
        &self.ends[client]
    }

    pub(super) fn link_mut(&mut self, id: ConnId) -> Option<&mut Link> {
        self.links.get_mut(&id)
    }

    pub(super) fn connect(&mut self, client: usize, id: ConnId) {
        self.ends[client] = End::Up(id);
        let link = Link {
            client,
            client_open: true,
            server_open: true,
            silent: false,
            gated: false,
            blocked: false,
            inbuf: BytesMut::new(),
            to_server: Pipe::default(),
            to_client: Pipe::default(),
        };
        self.links.insert(id, link);
    }

    /// The client has no connection any more and will dial again.
    pub(super) fn set_down(&mut self, client: usize, now: Instant) {
        if let End::Up(id) = self.ends[client]
            && let Some(link) = self.links.get_mut(&id)
        {
            link.client_open = false;
            self.forget(id);
        }
        let pause = self
            .rng
            .below(u64::try_from(REDIAL_MAX.as_nanos()).unwrap_or(1));
        let dial_at = now + Duration::from_nanos(pause);
        self.ends[client] = End::Down { dial_at };
    }

    /// The client closes its end.
    pub(super) fn hang_up(&mut self, client: usize, now: Instant) {
        if let End::Up(id) = self.ends[client]
            && let Some(link) = self.links.get_mut(&id)
        {
            link.to_server.end(now, &mut self.rng);
        }
        self.set_down(client, now);
    }

    /// The server closes its end, after what it has written.
    pub(super) fn end_of_server(&mut self, id: ConnId, now: Instant) {
        if let Some(link) = self.links.get_mut(&id) {
            link.server_open = false;
            link.to_client.end(now, &mut self.rng);
            self.forget(id);
        }
    }

    fn forget(&mut self, id: ConnId) {
        let over = |link: &Link| !link.client_open && !link.server_open;
        if self.links.get(&id).is_some_and(over) {
            self.links.remove(&id);
        }
    }

    pub(super) fn send_to_server(&mut self, client: usize, bytes: &[u8], now: Instant) {
        if let End::Up(id) = self.ends[client]
            && let Some(link) = self.links.get_mut(&id)
            && !bytes.is_empty()
            && !link.silent
        {
            link.to_server.push(bytes, now, &mut self.rng);
        }
    }

    pub(super) fn send_to_client(&mut self, id: ConnId, bytes: &[u8], now: Instant) {
        if let Some(link) = self.links.get_mut(&id)
            && link.client_open
            && !link.silent
        {
            link.to_client.push(bytes, now, &mut self.rng);
        }
    }

    /// Says whether the socket of the server's end takes more; none if there is no such end.
    pub(super) fn has_room(&self, id: ConnId) -> Option<bool> {
        let link = self.links.get(&id).filter(|link| link.server_open)?;
        Some(link.to_client.bytes < WINDOW)
    }

    /// Notes that the socket is full; true if it was not before.
    pub(super) fn block(&mut self, id: ConnId) -> bool {
        let link = self.links.get_mut(&id);
        link.is_some_and(|link| !core::mem::replace(&mut link.blocked, true))
    }

    /// Returns what arrives at the server; empty for the end of the stream.
    pub(super) fn arrive_at_server(&mut self, id: ConnId) -> Option<Bytes> {
        let link = self.links.get_mut(&id)?;
        let bytes = link.to_server.pop()?;
        if bytes.is_empty() {
            link.server_open = false;
            self.forget(id);
        }
        Some(bytes)
    }

    /// Returns who gets what; empty for the end of the stream.
    pub(super) fn arrive_at_client(&mut self, id: ConnId) -> Option<(usize, Bytes)> {
        let link = self.links.get_mut(&id)?;
        let bytes = link.to_client.pop()?;
        link.blocked &= link.to_client.bytes >= WINDOW;
        Some((link.client, bytes))
    }

    /// The server is gone. Its kernel says so within `notice`, or nobody does for that long.
    pub(super) fn server_died(&mut self, now: Instant, notice: Duration) {
        self.links.clear();
        for end in &mut self.ends {
            if let End::Up(_) = end {
                let nanos = u64::try_from(notice.as_nanos()).unwrap_or(1);
                let at = now + Duration::from_nanos(self.rng.below(nanos));
                *end = End::Broken { at };
            }
        }
    }

    /// Picks a connection.
    fn pick(&mut self) -> Option<&mut Link> {
        let open: Vec<ConnId> = self.links.keys().copied().collect();
        let at = usize::try_from(self.rng.below(open.len() as u64)).unwrap_or(0);
        self.links.get_mut(open.get(at)?)
    }

    /// A connection goes silent; neither side is told.
    pub(super) fn silence(&mut self) {
        if let Some(link) = self.pick() {
            link.silent = true;
        }
    }

    /// Bytes wait on the way until a later time.
    pub(super) fn hold(&mut self, until: Instant, which: Held) {
        let hold_both = |link: &mut Link| {
            link.to_server.held_until = until;
            link.to_client.held_until = until;
        };
        match which {
            Held::All => self.links.values_mut().for_each(hold_both),
            Held::ToServer => {
                let links = self.links.values_mut();
                links.for_each(|link| link.to_server.held_until = until);
            }
            Held::ToClient => {
                let links = self.links.values_mut();
                links.for_each(|link| link.to_client.held_until = until);
            }
            Held::One => {
                if let Some(link) = self.pick() {
                    hold_both(link);
                }
            }
            Held::Reader => {
                if let Some(link) = self.pick() {
                    link.to_client.held_until = until;
                }
            }
        }
    }

    /// A connection breaks, and both sides are told.
    pub(super) fn reset(&mut self, now: Instant) {
        if let Some(link) = self.pick() {
            let client = link.client;
            link.to_server.segments.clear();
            link.to_server.bytes = 0;
            if link.client_open {
                link.to_client.segments.clear();
                link.to_client.bytes = 0;
                self.hang_up(client, now);
                self.ends[client] = End::Broken { at: now };
            }
        }
    }

    /// Everything that was held goes on; silent connections stay silent, as lost hosts do.
    pub(super) fn release(&mut self) {
        for link in self.links.values_mut() {
            link.to_server.held_until = Instant(0);
            link.to_client.held_until = Instant(0);
        }
    }
}

/// What a pause holds up.
#[derive(Clone, Copy, Debug)]
pub(super) enum Held {
    /// All connections, both ways.
    All,
    /// One connection, both ways.
    One,
    /// What one client reads.
    Reader,
    /// What goes to the server.
    ToServer,
    /// What comes from the server.
    ToClient,
}
