//! A small NATS client without I/O: bytes go in, bytes and events come out, time is an argument.
//!
//! It serves the explorer and, over a stream, the turmoil scenarios. *Invariant:* a request that was
//! sent ends in exactly one way: an answer, or [`Event::Unknown`], which is also how all open requests
//! end when the link breaks.

pub mod jetstream;

use std::collections::{BTreeMap, VecDeque};

use core::time::Duration;

use bytes::BytesMut;
use protocol::time::Instant;

pub use server::wire::Message;
use server::wire::{Reader, ServerOp};

/// A request under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// What a client's user must know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The connection is there and usable.
    Up,
    /// An answer to a request.
    Reply {
        /// Which request.
        token: Token,
        /// The answer.
        message: Message,
    },
    /// A request was not answered in time, or its connection broke: it may have been carried out.
    Unknown {
        /// Which request.
        token: Token,
        /// Why.
        why: Unanswered,
    },
    /// A message for a subscription.
    Message(Message),
    /// The server complained.
    ServerError(String),
}

/// Why a request has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    /// Its time was over while the connection lasted.
    Late,
    /// The connection broke.
    Broken,
}

/// How many answers a request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// One.
    One,
    /// Any number, until [`Client::finish`] or the deadline.
    Many,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Down,
    /// Connected; the server has to introduce itself and answer a PING before a moment.
    Greeting {
        until: Instant,
    },
    Up,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    deadline: Instant,
    answers: Answers,
    /// Whether the first answer has come.
    answered: bool,
}

/// The client of one connection at a time.
#[derive(Debug)]
pub struct Client {
    name: String,
    link: Link,
    /// Counts connections, so that what was sent on different ones can be told apart.
    links: u64,
    reader: Reader,
    out: BytesMut,
    requests: BTreeMap<Token, Open>,
    tokens: u64,
    subs: BTreeMap<u64, String>,
    events: VecDeque<Event>,
    /// Requests without an answer since the last one that had one.
    silent: u32,
}

/// The subscription that all answers come to.
const INBOX_SID: u64 = 1;
/// Requests with many answers have a subscription of their own, from this one on: fetched messages
/// show their own subject, not the one they were delivered to.
const FETCH_SIDS: u64 = 1000;
/// A link that leaves this many requests unanswered is given up: half-open connections look like that.
const SILENT_MAX: u32 = 3;
/// A connection that is not usable after this long is given up, as nats.go does by default: the
/// server's words may be lost with a connection that goes silent at once.
const GREETING_MAX: Duration = Duration::from_secs(2);

impl Client {
    /// Returns a client that is not connected; `name` must be its own.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            link: Link::Down,
            links: 0,
            reader: Reader::default(),
            out: BytesMut::new(),
            requests: BTreeMap::new(),
            tokens: 0,
            subs: BTreeMap::new(),
            events: VecDeque::new(),
            silent: 0,
        }
    }

    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A connection has been made.
    pub fn link_up(&mut self, now: Instant) {
        self.link = Link::Greeting {
            until: now + GREETING_MAX,
        };
        self.links += 1;
        self.reader = Reader::default();
        self.out.clear();
        self.silent = 0;
    }

    /// The connection is gone; all open requests end as unknown.
    pub fn link_down(&mut self) {
        self.link = Link::Down;
        self.out.clear();
        let why = Unanswered::Broken;
        while let Some((token, _)) = self.requests.pop_first() {
            self.events.push_back(Event::Unknown { token, why });
        }
    }

    /// Says whether requests can be sent.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.link == Link::Up
    }

    /// Says whether there is a connection, usable or not yet.
    #[must_use]
    pub fn is_linked(&self) -> bool {
        self.link != Link::Down
    }

    fn is_greeting(&self) -> bool {
        matches!(self.link, Link::Greeting { .. })
    }

    /// Says whether the link should be given up because nothing is answered any more.
    #[must_use]
    pub fn is_stale(&self) -> bool {
        self.is_linked() && self.silent >= SILENT_MAX
    }

    /// Returns which of its connections this is, counted from 1.
    #[must_use]
    pub fn links(&self) -> u64 {
        self.links
    }

    /// Takes what the server sent.
    ///
    /// # Panics
    /// If it is not the protocol: a server's output is the thing under test.
    pub fn on_bytes(&mut self, bytes: &[u8]) {
        self.reader.input.extend_from_slice(bytes);
        loop {
            match self.reader.next_op() {
                Ok(Some(op)) => self.on_op(op),
                Ok(None) => return,
                Err(what) => panic!("{}: {what}", self.name),
            }
        }
    }

    fn on_op(&mut self, op: ServerOp) {
        match op {
            ServerOp::Info(_) if self.is_greeting() => self.greet(),
            ServerOp::Pong if self.is_greeting() => {
                self.link = Link::Up;
                self.events.push_back(Event::Up);
            }
            ServerOp::Info(_) | ServerOp::Pong | ServerOp::Ok => {}
            ServerOp::Ping => self.out.extend_from_slice(b"PONG\r\n"),
            ServerOp::Err(text) => self.events.push_back(Event::ServerError(text)),
            ServerOp::Message(message) if message.sid == INBOX_SID => {
                let token = message.subject.rsplit('.').next().unwrap_or_default();
                let Ok(number) = token.parse() else {
                    panic!("{}: a reply to {:?}", self.name, message.subject);
                };
                self.on_reply(Token(number), message);
            }
            ServerOp::Message(message) if message.sid >= FETCH_SIDS => {
                self.on_reply(Token(message.sid - FETCH_SIDS), message);
            }
            ServerOp::Message(message) => self.events.push_back(Event::Message(message)),
        }
    }

    fn greet(&mut self) {
        let connect = format!(
            "CONNECT {{\"verbose\":false,\"pedantic\":false,\"protocol\":1,\"headers\":true,\
             \"no_responders\":true,\"lang\":\"sim\",\"version\":\"1\",\"name\":\"{0}\"}}\r\n\
             SUB _INBOX.{0}.* {INBOX_SID}\r\n",
            self.name
        );
        self.out.extend_from_slice(connect.as_bytes());
        for (sid, subject) in &self.subs {
            let line = format!("SUB {subject} {sid}\r\n");
            self.out.extend_from_slice(line.as_bytes());
        }
        self.out.extend_from_slice(b"PING\r\n");
    }

    fn on_reply(&mut self, token: Token, message: Message) {
        let Some(open) = self.requests.get_mut(&token) else {
            // Too late: its request has ended as unknown.
            return;
        };
        self.silent = 0;
        open.answered = true;
        if open.answers == Answers::One {
            self.requests.remove(&token);
        }
        self.events.push_back(Event::Reply { token, message });
    }

    /// Sends a request.
    ///
    /// # Panics
    /// If the client is not [up](Client::is_up).
    pub fn request(
        &mut self,
        subject: &str,
        headers: &str,
        payload: &[u8],
        answers: Answers,
        deadline: Instant,
    ) -> Token {
        assert!(self.is_up(), "requests wait for the connection");
        self.tokens += 1;
        let token = Token(self.tokens);
        let open = Open {
            deadline,
            answers,
            answered: false,
        };
        self.requests.insert(token, open);
        let reply = match answers {
            Answers::One => self.inbox(token),
            Answers::Many => {
                let inbox = format!("_INBOX.{}.fetch.{}", self.name, token.0);
                let line = format!("SUB {inbox} {}\r\n", FETCH_SIDS + token.0);
                self.out.extend_from_slice(line.as_bytes());
                inbox
            }
        };
        self.publish(subject, &reply, headers, payload);
        token
    }

    /// Returns the subject that the answer to a request with one answer comes to.
    #[must_use]
    pub fn inbox(&self, token: Token) -> String {
        format!("_INBOX.{}.{}", self.name, token.0)
    }

    /// Ends a request that waits for many answers.
    pub fn finish(&mut self, token: Token) {
        if let Some(open) = self.requests.remove(&token) {
            self.unsubscribe(token, open);
        }
    }

    fn unsubscribe(&mut self, token: Token, open: Open) {
        if open.answers == Answers::Many && self.is_up() {
            let line = format!("UNSUB {}\r\n", FETCH_SIDS + token.0);
            self.out.extend_from_slice(line.as_bytes());
        }
    }

    /// Publishes; `headers` are lines that end in CRLF, `reply` may be empty.
    pub fn publish(&mut self, subject: &str, reply: &str, headers: &str, payload: &[u8]) {
        let line = if headers.is_empty() {
            format!("PUB {subject} {reply} {}\r\n", payload.len())
        } else {
            let block = format!("NATS/1.0\r\n{headers}\r\n");
            let (head, total) = (block.len(), block.len() + payload.len());
            format!("HPUB {subject} {reply} {head} {total}\r\n{block}")
        };
        self.out.extend_from_slice(line.as_bytes());
        self.out.extend_from_slice(payload);
        self.out.extend_from_slice(b"\r\n");
    }

    /// Subscribes now and after every reconnection; `sid` is 2 to 999.
    pub fn subscribe(&mut self, sid: u64, subject: &str) {
        let own = INBOX_SID + 1..FETCH_SIDS;
        assert!(own.contains(&sid), "the others are the client's");
        self.subs.insert(sid, subject.to_owned());
        if self.is_up() {
            let line = format!("SUB {subject} {sid}\r\n");
            self.out.extend_from_slice(line.as_bytes());
        }
    }

    /// Lets requests and the greeting time out.
    pub fn on_time(&mut self, now: Instant) {
        if matches!(self.link, Link::Greeting { until } if until <= now) {
            self.silent = SILENT_MAX;
        }
        let due = |open: &Open| open.deadline <= now;
        let late = self.requests.iter().filter(|(_, open)| due(open));
        let late: Vec<_> = late.map(|(token, open)| (*token, *open)).collect();
        for (token, open) in late {
            self.requests.remove(&token);
            self.unsubscribe(token, open);
            if !open.answered {
                self.silent += 1;
            }
            let why = Unanswered::Late;
            self.events.push_back(Event::Unknown { token, why });
        }
    }

    /// Returns when [`Client::on_time`] is wanted.
    #[must_use]
    pub fn due(&self) -> Instant {
        let deadlines = self.requests.values().map(|open| open.deadline);
        let first = deadlines.min().unwrap_or(Instant::NEVER);
        match self.link {
            Link::Greeting { until } if !self.is_stale() => first.min(until),
            Link::Greeting { .. } | Link::Up | Link::Down => first,
        }
    }

    /// Returns the next event.
    pub fn poll(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Takes what is to be written.
    pub fn take_out(&mut self) -> BytesMut {
        self.out.split()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn up() -> Client {
        let mut client = Client::new("c");
        client.link_up(Instant(0));
        client.on_bytes(b"INFO {}\r\n");
        let said = client.take_out();
        assert!(said.starts_with(b"CONNECT {") && said.ends_with(b"PING\r\n"));
        client.on_bytes(b"PONG\r\n");
        assert_eq!(client.poll(), Some(Event::Up));
        client
    }

    fn ask(client: &mut Client, deadline: Instant) -> Token {
        client.request("s", "", b"x", Answers::One, deadline)
    }

    #[test]
    fn an_answer_ends_its_request() {
        let mut client = up();
        let token = ask(&mut client, Instant(10));
        assert_eq!(&client.take_out()[..], b"PUB s _INBOX.c.1 1\r\nx\r\n");
        client.on_bytes(b"MSG _INBOX.c.1 1 2\r\nok\r\n");
        assert!(matches!(client.poll(), Some(Event::Reply { token: t, .. }) if t == token));
        client.on_time(Instant(10));
        assert_eq!(client.poll(), None);
    }

    #[test]
    fn a_broken_link_leaves_open_requests_unknown() {
        let mut client = up();
        let token = ask(&mut client, Instant(10));
        client.link_down();
        let why = Unanswered::Broken;
        assert_eq!(client.poll(), Some(Event::Unknown { token, why }));
    }

    #[test]
    fn a_link_that_answers_nothing_is_stale() {
        let mut client = up();
        for at in 0..u64::from(SILENT_MAX) {
            assert!(!client.is_stale());
            ask(&mut client, Instant(at));
            client.on_time(Instant(at));
        }
        assert!(client.is_stale());
    }

    #[test]
    fn a_link_without_a_greeting_is_stale_after_its_time() {
        let mut client = Client::new("c");
        client.link_up(Instant(5));
        let until = Instant(5) + GREETING_MAX;
        assert_eq!(client.due(), until);
        client.on_time(Instant(until.0 - 1));
        assert!(!client.is_stale());
        client.on_time(until);
        assert!(client.is_stale());
        client.link_up(until);
        assert!(!client.is_stale());
    }

    #[test]
    fn an_answer_after_the_deadline_is_not_believed() {
        let mut client = up();
        let token = ask(&mut client, Instant(1));
        client.on_time(Instant(1));
        client.on_bytes(b"MSG _INBOX.c.1 1 2\r\nok\r\n");
        let why = Unanswered::Late;
        assert_eq!(client.poll(), Some(Event::Unknown { token, why }));
        assert_eq!(client.poll(), None);
    }
}
