//! Tiered storage: what retention lets go of a station that asks for it is copied to an object store.
//!
//! *Invariant:* streams keep such a message until it is told to be copied ([`Host::release`]), and that is said
//! only after the store has confirmed the object that holds it: a crash in between has it copied twice. Each
//! account has one object under way, and what it holds is bounded, however much waits. Without an
//! integration nothing waits for one.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::time::Duration;

use protocol::headers::Headers;
use protocol::id::AccountId;
use protocol::time::Instant;
use serde_json::{Map, Value, json};

use super::{Host, Memphis};
use crate::book::{Integration, S3, hex, s3};
use crate::name::station_of_stream;

/// Most messages of an object.
const MESSAGES_MAX: usize = 5_000;
/// Most bytes of the messages of an object, unless one is larger.
const BYTES_MAX: usize = 4 << 20;
/// Most messages that the disk is asked for at once.
const READS_MAX: usize = 64;
/// How many sequences are looked at in one go.
const SEQS_PER_LOOK: usize = 256;
/// How long the disk has until it is asked again.
const SOON: Duration = Duration::from_millis(50);
/// How often what nobody waits for is let go.
const DROP: Duration = Duration::from_secs(1);
/// Longest pause before an object is tried again.
const RETRY_MAX: Duration = Duration::from_secs(300);
/// How Memphis calls the first tenant in the names of objects.
const GLOBAL: &str = "global";
/// What the account of the first tenant is called, here and there.
const FIRST_TENANT: [&str; 2] = ["$G", "$memphis"];

/// Names an object that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UploadId(pub u64);

/// An object for a store of S3's kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Which one it is.
    pub id: UploadId,
    /// Where it goes.
    pub bucket: Bucket,
    /// Its name there.
    pub key: String,
    /// What it holds.
    pub body: String,
}

/// A place for objects, and who may put them there.
#[derive(Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// Where it lies; empty for the default.
    pub region: String,
    /// The address of the store; empty for that of the region.
    pub url: String,
    /// Whether the bucket is named in paths, not in the host's name.
    pub is_path_style: bool,
    /// Who puts objects there.
    pub access_key: String,
    /// By what that is known.
    pub secret_key: String,
}

impl core::fmt::Debug for Bucket {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // Keys stay out of logs.
        write!(f, "Bucket({:?})", self.name)
    }
}

impl Bucket {
    fn of(integration: &Integration) -> Self {
        let key = |key| String::from(integration.key(key));
        Self {
            name: key(s3::BUCKET),
            region: key(s3::REGION),
            url: key(s3::URL),
            is_path_style: integration.key(s3::PATH_STYLE) == "true",
            access_key: key(s3::ACCESS_KEY),
            secret_key: key(s3::SECRET_KEY),
        }
    }
}

/// A stream that keeps messages which have left it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParkingFacts {
    /// Its name.
    pub stream: String,
    /// How many it has given up since the process started, because there were too many.
    pub surplus: u64,
}

/// What asking for a message that has left gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parked {
    /// The message.
    Message {
        /// The whole header block; empty for none.
        headers: Vec<u8>,
        /// The body.
        payload: Vec<u8>,
    },
    /// The disk has been asked.
    Later,
    /// It cannot be had any more.
    Lost,
}

/// What is on its way out of all accounts.
#[derive(Debug)]
pub(super) struct Tiering {
    interval: Duration,
    next: Instant,
    last_upload: u64,
    outlets: BTreeMap<AccountId, Outlet>,
}

/// What is on its way out of one account.
#[derive(Debug, Default)]
struct Outlet {
    /// When the next object is made.
    due: Instant,
    /// How often in a row an object was not taken.
    failures: u32,
    under_way: Option<Batch>,
    /// What was let go and may still be there, since the log has not said so.
    released: BTreeSet<(String, u64)>,
    /// The station whose turn was last; none at the beginning of a round.
    last_station: Option<String>,
    /// Whether a station of this round has more than one object holds.
    has_more: bool,
    /// How much of what was given up has been told, by stream.
    surplus_told: BTreeMap<String, u64>,
}

/// The messages of one object.
#[derive(Debug)]
struct Batch {
    id: UploadId,
    station: String,
    members: BTreeMap<String, Vec<u64>>,
}

/// The messages that the next object of a station will hold.
#[derive(Debug, Default)]
struct Gathered {
    members: BTreeMap<String, Vec<u64>>,
    messages: Vec<Value>,
    bytes: usize,
    /// What cannot be had any more.
    lost: BTreeMap<String, Vec<u64>>,
    /// How many the disk was asked for.
    waiting: usize,
    is_full: bool,
}

impl Tiering {
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            interval,
            next: Instant::NEVER,
            last_upload: 0,
            outlets: BTreeMap::new(),
        }
    }

    pub(super) fn begin(&mut self, now: Instant) {
        self.next = now + self.interval;
    }

    pub(super) const fn next(&self) -> Instant {
        self.next
    }

    fn batch_of(&mut self, id: UploadId) -> Option<(AccountId, Batch)> {
        let mut outlets = self.outlets.iter_mut();
        let is_of = |batch: &Batch| batch.id == id;
        let (account, outlet) =
            outlets.find(|(_, outlet)| outlet.under_way.as_ref().is_some_and(is_of))?;
        Some((*account, outlet.under_way.take()?))
    }
}

impl Memphis {
    /// Returns the names of the accounts that have a place for what leaves, in order.
    pub fn outlets(&self) -> impl Iterator<Item = &str> + Clone {
        let tenants = self.book.tenants();
        let with_place = tenants.filter(|(_, rows)| rows.integrations.contains_key(S3));
        with_place.map(|(name, _)| name)
    }

    /// An object was taken, or why it was not.
    pub fn uploaded(&mut self, id: UploadId, result: Result<(), String>, host: &mut impl Host) {
        let Some((account, batch)) = self.tiering.batch_of(id) else {
            return;
        };
        let (now, interval) = (host.now().mono, self.tiering.interval);
        let outlet = self.tiering.outlets.entry(account).or_default();
        match result {
            Ok(()) => {
                outlet.failures = 0;
                outlet.due = now;
                outlet.last_station = Some(batch.station);
                release(account, &batch.members, outlet, host);
            }
            Err(why) => {
                outlet.failures = outlet.failures.saturating_add(1);
                let longer = 1 << outlet.failures.min(8);
                let pause = (interval * longer).min(RETRY_MAX);
                outlet.due = now + pause;
                let (tenant, pause) = (host.account_name(account), pause.as_secs());
                let text = format!(
                    "Tiered storage of account {tenant}: {why}; it is tried again in {pause} seconds"
                );
                host.warn(account, text);
            }
        }
        self.tier(host);
    }

    /// Makes the objects that are due.
    pub(super) fn tier(&mut self, host: &mut impl Host) {
        if self.poisoned.is_some() {
            // Nothing can be let go any more.
            self.tiering.next = Instant::NEVER;
            return;
        }
        let now = host.now().mono;
        let mut tiering = core::mem::replace(&mut self.tiering, Tiering::new(Duration::ZERO));
        for account in host.tenants() {
            let outlet = tiering.outlets.entry(account).or_default();
            if outlet.under_way.is_some() || outlet.due > now {
                continue;
            }
            let tenant = host.account_name(account);
            let rows = self.book.tenant(&tenant);
            let s3 = rows.and_then(|rows| rows.integrations.get(S3));
            let bucket = s3.map(Bucket::of);
            outlet.due = now + tiering.interval;
            if let Some((station, gathered)) = outlet.look(account, bucket.is_some(), host)
                && let Some(bucket) = bucket
            {
                tiering.last_upload += 1;
                let id = UploadId(tiering.last_upload);
                let key = object_key(&tenant, &station, gathered.messages.len(), host);
                outlet.under_way = Some(Batch {
                    id,
                    station,
                    members: gathered.members,
                });
                host.upload(Upload {
                    id,
                    bucket,
                    key,
                    body: Value::from(gathered.messages).to_string(),
                });
            }
        }
        let idle = |outlet: &&Outlet| outlet.under_way.is_none();
        let due = tiering.outlets.values().filter(idle);
        let due = due.map(|outlet| outlet.due).min();
        // A tenant that comes with another configuration is seen then.
        tiering.next = due.map_or(now + tiering.interval, |due| {
            due.min(now + tiering.interval)
        });
        self.tiering = tiering;
    }
}

impl Outlet {
    /// Returns the messages of the next object; if there is no place for it, everything is let go. Sets when
    /// to look again where that is not after the interval.
    fn look(
        &mut self,
        account: AccountId,
        has_place: bool,
        host: &mut impl Host,
    ) -> Option<(String, Gathered)> {
        let now = host.now().mono;
        let parking = host.parking(account);
        self.tell_surplus(account, &parking, host);
        if !has_place {
            self.released.clear();
            for facts in &parking {
                let all = host.parked(account, &facts.stream, 0, usize::MAX);
                host.release(account, &facts.stream, &all);
            }
            if !parking.is_empty() {
                self.due = now + DROP;
            }
            return None;
        }
        let is_there = |(stream, seq): &(String, u64)| {
            let next = host.parked(account, stream, seq.saturating_sub(1), 1);
            next.first() == Some(seq)
        };
        self.released.retain(is_there);
        let mut stations: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for facts in parking {
            let (station, _) = station_of_stream(&facts.stream);
            stations.entry(station).or_default().push(facts.stream);
        }
        for (station, streams) in stations {
            if self
                .last_station
                .as_ref()
                .is_some_and(|last| station <= *last)
            {
                continue;
            }
            let gathered = self.gather(account, &streams, host);
            if !gathered.lost.is_empty() {
                let count: usize = gathered.lost.values().map(Vec::len).sum();
                let text = format!(
                    "Tiered storage of station {station}: {count} messages cannot be read and are not copied"
                );
                host.warn(account, text);
                release(account, &gathered.lost, self, host);
            }
            if gathered.waiting > 0 {
                self.due = now + SOON;
                return None;
            }
            if !gathered.messages.is_empty() {
                self.has_more |= gathered.is_full;
                return Some((station, gathered));
            }
        }
        self.last_station = None;
        if core::mem::take(&mut self.has_more) {
            self.due = now + SOON;
        }
        None
    }

    /// Reads messages of a station's streams, as many as an object holds.
    fn gather(&self, account: AccountId, streams: &[String], host: &mut impl Host) -> Gathered {
        let mut gathered = Gathered::default();
        for stream in streams {
            let mut after = 0;
            loop {
                let seqs = host.parked(account, stream, after, SEQS_PER_LOOK);
                let Some(last) = seqs.last() else { break };
                after = *last;
                for seq in seqs {
                    if self.released.contains(&(stream.clone(), seq)) {
                        continue;
                    }
                    let read = host.read_parked(account, stream, seq);
                    gathered.add(stream, seq, read);
                    if gathered.is_full || gathered.waiting >= READS_MAX {
                        return gathered;
                    }
                }
            }
        }
        gathered
    }

    fn tell_surplus(&mut self, account: AccountId, parking: &[ParkingFacts], host: &mut impl Host) {
        for facts in parking.iter().filter(|facts| facts.surplus > 0) {
            let told = self.surplus_told.entry(facts.stream.clone()).or_default();
            let news = facts.surplus.saturating_sub(*told);
            *told = facts.surplus;
            if news > 0 {
                let tenant = host.account_name(account);
                let text = format!(
                    "Tiered storage of account {tenant}: {news} messages of stream {} were given up, too many wait",
                    facts.stream
                );
                host.warn(account, text);
            }
        }
    }
}

impl Gathered {
    fn add(&mut self, stream: &str, seq: u64, read: Parked) {
        let (headers, payload) = match read {
            Parked::Message { headers, payload } => (headers, payload),
            Parked::Later => {
                self.waiting += 1;
                return;
            }
            Parked::Lost => {
                self.lost.entry(stream.into()).or_default().push(seq);
                return;
            }
        };
        let bytes = self.bytes + headers.len() + payload.len();
        if !self.messages.is_empty() && bytes > BYTES_MAX {
            self.is_full = true;
            return;
        }
        self.bytes = bytes;
        self.messages.push(shown(&headers, &payload));
        self.members.entry(stream.into()).or_default().push(seq);
        self.is_full = self.messages.len() >= MESSAGES_MAX;
    }
}

fn release(
    account: AccountId,
    members: &BTreeMap<String, Vec<u64>>,
    outlet: &mut Outlet,
    host: &mut impl Host,
) {
    for (stream, seqs) in members {
        host.release(account, stream, seqs);
        let released = seqs.iter().map(|seq| (stream.clone(), *seq));
        outlet.released.extend(released);
    }
}

/// Returns a message as objects hold it.
fn shown(headers: &[u8], payload: &[u8]) -> Value {
    let mut lines = Map::new();
    for (key, value) in Headers::new(headers).iter() {
        let key = String::from_utf8_lossy(key).to_lowercase();
        lines.insert(key, String::from_utf8_lossy(value).into());
    }
    json!({"payload": hex(payload), "headers": lines})
}

fn object_key(tenant: &str, station: &str, count: usize, host: &mut impl Host) -> String {
    let tenant = if FIRST_TENANT.contains(&tenant) {
        GLOBAL
    } else {
        tenant
    };
    let unique = host.unique();
    format!("memphis/{tenant}/{station}/{unique}({count}).json")
}
