//! What the machine asks of the broker, [`Host`], and what goes to and fro between them.
//!
//! *Invariant:* a host does not call back into the machine: answers come as later calls.

use alloc::string::String;
use alloc::vec::Vec;

use protocol::id::{AccountId, LogPos};
use protocol::time::Now;

use super::alerts::Notice;
use super::tiering::{Parked, ParkingFacts, Upload};
use crate::book::UserRow;
use crate::manage::{Answer, CallId, PublisherFacts, StreamFacts, TrafficFacts};

/// Names a request that the machine waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TaskId(pub u64);

/// A message that leaves the machine.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// The subject.
    pub subject: &'a [u8],
    /// The whole header block; empty for none.
    pub headers: &'a [u8],
    /// The body.
    pub payload: &'a [u8],
}

/// A message to the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request<'a> {
    /// The subject.
    pub subject: &'a [u8],
    /// Where an answer is awaited; empty if nowhere.
    pub reply: &'a [u8],
    /// The whole header block; empty for none.
    pub headers: &'a [u8],
    /// The body.
    pub body: &'a [u8],
    /// Who sent it.
    pub asker: Asker<'a>,
}

/// The client behind a request, as the broker knows it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asker<'a> {
    /// The user that logged in, without the account; empty if nobody did.
    pub user: &'a str,
    /// The language of its library.
    pub lang: &'a str,
}

/// What the machine needs from the broker. It does not call back into the machine.
pub trait Host {
    /// Returns the time of the input being handled.
    fn now(&self) -> Now;

    /// Publishes a message as a request. The answer, or an empty one if there will be none, comes
    /// through [`Memphis::answered`](super::Memphis::answered) with the same task.
    fn request(&mut self, account: AccountId, task: TaskId, msg: Message<'_>);

    /// Publishes a message.
    fn publish(&mut self, account: AccountId, msg: Message<'_>);

    /// Publishes a client's message in its place, as if it had the request's subject.
    fn pass_on(&mut self, account: AccountId, request: &Request<'_>);

    /// Says whether a client of the account listens on a subject.
    fn has_interest(&mut self, account: AccountId, subject: &str) -> bool;

    /// Has messages on a subject, which may hold wildcards, sent to
    /// [`Memphis::request`](super::Memphis::request).
    fn bind(&mut self, account: AccountId, subject: &str);

    /// Ends what [`Host::bind`] began.
    fn unbind(&mut self, account: AccountId, subject: &str);

    /// Lets a stream's consumer deliver a message again that it had given up; false if it cannot.
    fn revive(&mut self, account: AccountId, stream: &str, consumer: &str, seq: u64) -> bool;

    /// Puts an entry into the log; it comes back through [`Memphis::apply`](super::Memphis::apply)
    /// once it is synced.
    fn record(&mut self, entry: &[u8]) -> LogPos;

    /// Answers a call of the management interface that the driver made.
    fn managed(&mut self, call: CallId, answer: &Answer);

    /// A user was made, changed or, without a row, removed.
    fn user_changed(&mut self, account: AccountId, user: &str, row: Option<&UserRow>);

    /// Tells a service outside.
    fn notify(&mut self, notices: Vec<Notice>);

    /// Names the account's streams that keep messages which retention has let go.
    fn parking(&self, account: AccountId) -> Vec<ParkingFacts>;

    /// Returns the sequences of such messages behind `after`, in order, `max` at most.
    fn parked(&self, account: AccountId, stream: &str, after: u64, max: usize) -> Vec<u64>;

    /// Asks for such a message.
    fn read_parked(&mut self, account: AccountId, stream: &str, seq: u64) -> Parked;

    /// Lets such messages go for good, which the log then says.
    fn release(&mut self, account: AccountId, stream: &str, seqs: &[u64]);

    /// Puts an object into a store outside; what came of it comes through
    /// [`Memphis::uploaded`](super::Memphis::uploaded).
    fn upload(&mut self, upload: Upload);

    /// Returns a text that no other call returns.
    fn unique(&mut self) -> String;

    /// Tells operators, and those who manage the account, by [`Memphis::logged`](super::Memphis::logged).
    fn warn(&mut self, account: AccountId, text: String);

    /// Returns what a stream is and holds.
    fn stream(&self, account: AccountId, stream: &str) -> Option<StreamFacts>;

    /// Returns the NATS clients that publish to a station.
    fn publishers(&self, account: AccountId, station: &str) -> Vec<PublisherFacts>;

    /// Returns how much has gone in and out of an account.
    fn traffic(&self, account: AccountId) -> TrafficFacts;

    /// Returns the accounts that Memphis' users are of.
    fn tenants(&self) -> Vec<AccountId>;

    /// Names each of the account's streams.
    fn streams(&self, account: AccountId, each: &mut dyn FnMut(&str));

    /// Says whether the account has a user, whose name is in lower case.
    fn has_user(&self, account: AccountId, user: &str) -> bool;

    /// Returns the name of an account.
    fn account_name(&self, account: AccountId) -> String;

    /// Returns the account of a name.
    fn account_named(&self, name: &str) -> Option<AccountId>;
}
