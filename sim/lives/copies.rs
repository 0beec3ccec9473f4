//! Mirrors and sources of another account's streams, with an origin that cannot be reached for a
//! while, a disk that cannot be read or is slow, and a process that dies: a mirror is the beginning
//! of its origin, a sourcing stream holds each message once and in its origin's order, and in the
//! end all of it. What is copied from a work queue leaves that only when the copy has it.

use core::time::Duration;
use std::collections::BTreeMap;

use serde_json::json;

use super::process::Kept;
use super::{Feature, Life, Server, ensure};

/// What was done so far.
#[derive(Debug, Default)]
pub(super) struct Copies {
    sent: u64,
    /// What the origins were read to hold, or were acknowledged to.
    origins: [BTreeMap<u64, String>; 2],
    /// What copies were read to hold: it stays.
    mirror: BTreeMap<u64, String>,
    sourced: BTreeMap<u64, String>,
    /// What the work queue was acknowledged to hold, and what its copy was read to hold.
    queued: BTreeMap<u64, String>,
    emptied: BTreeMap<u64, String>,
}

const ORIGINS: [&str; 2] = ["O", "Q"];
/// The work queue, and the stream that copies it.
const QUEUE: &str = "W";
const EMPTIED: &str = "E";

impl Copies {
    fn publish(&mut self, server: &mut Server) -> Life {
        for _ in 0..1 + server.rng.below(6) {
            self.sent += 1;
            let origin = usize::from(server.rng.one_in(3));
            let token = if server.rng.one_in(2) { "a" } else { "b" };
            let subject = format!("{}.{token}", ORIGINS[origin].to_lowercase());
            let len = usize::try_from(server.rng.below(1_500)).unwrap_or(0);
            let body = format!("{subject}.{}.{}", self.sent, "x".repeat(len));
            if let Ok(seq) = server.publish(&subject, &[], &body)? {
                self.origins[origin].insert(seq, body);
            }
        }
        Ok(())
    }

    /// Publishes to the work queue.
    fn enqueue(&mut self, server: &mut Server) -> Life {
        for _ in 0..1 + server.rng.below(6) {
            self.sent += 1;
            let body = format!("w.{}", self.sent);
            if let Ok(seq) = server.publish("w.a", &[], &body)? {
                self.queued.insert(seq, body);
            }
        }
        Ok(())
    }

    /// Reads a stream, whose messages stay as they are.
    fn read(
        server: &mut Server,
        name: &str,
        known: &BTreeMap<u64, String>,
    ) -> Life<BTreeMap<u64, Kept>> {
        let read = server.read_all(name)?;
        for (seq, body) in known {
            let is = read.get(seq).map(|kept| &kept.body);
            ensure(is == Some(body), || {
                format!("{name}/{seq} was {body:.20}, and is {is:.20?}")
            })?;
        }
        Ok(read)
    }

    fn look(&mut self, server: &mut Server, is_over: bool) -> Life {
        server.speak_as(0);
        for (origin, name) in ORIGINS.iter().enumerate() {
            let read = Self::read(server, name, &self.origins[origin])?;
            self.origins[origin] = bodies(read);
        }
        server.speak_as(1);
        let mirror = Self::read(server, "M", &self.mirror)?;
        let sourced = Self::read(server, "S", &self.sourced)?;
        server.speak_as(0);
        let mirror = bodies(mirror);
        let of = &self.origins[0];
        let is_beginning = mirror.iter().eq(of.iter().take(mirror.len()));
        ensure(is_beginning, || {
            format!("the mirror holds {:?} of {:?}", mirror.keys(), of.keys())
        })?;
        ensure(!is_over || mirror.len() == of.len(), || {
            format!("the mirror ends at {} of {}", mirror.len(), of.len())
        })?;
        for (origin, name) in ORIGINS.iter().enumerate() {
            // Of the second origin only one subject is wanted.
            let wanted = self.origins[origin].iter();
            let wanted = wanted.filter(|(_, body)| origin == 0 || body.starts_with("q.a."));
            let wanted: Vec<(u64, &str)> = wanted.map(|(seq, body)| (*seq, &**body)).collect();
            let found: Vec<(u64, &str)> = sourced
                .values()
                .filter_map(|kept| Some((came_from(kept, name)?, &*kept.body)))
                .collect();
            ensure(wanted.starts_with(&found), || {
                let seqs =
                    |all: &[(u64, &str)]| all.iter().map(|(seq, _)| *seq).collect::<Vec<_>>();
                format!("of {name} {:?} came of {:?}", seqs(&found), seqs(&wanted))
            })?;
            ensure(!is_over || found.len() == wanted.len(), || {
                format!("of {name} {} came of {}", found.len(), wanted.len())
            })?;
        }
        self.mirror = mirror;
        self.sourced = bodies(sourced);
        Ok(())
    }
}

impl Copies {
    /// Looks at the work queue and at its copy: what was acknowledged is in one of them, and in the copy
    /// once.
    fn look_at_queue(&mut self, server: &mut Server, is_over: bool) -> Life {
        server.speak_as(0);
        // What leaves the queue meanwhile is found in the copy.
        let left = server.read_all(QUEUE)?;
        server.speak_as(1);
        let copied = Self::read(server, EMPTIED, &self.emptied)?;
        server.speak_as(0);
        let came: Vec<u64> = copied
            .values()
            .filter_map(|kept| came_from(kept, QUEUE))
            .collect();
        let is_rising = came.iter().zip(came.iter().skip(1)).all(|(a, b)| a < b);
        ensure(is_rising && came.len() == copied.len(), || {
            format!("the copy of the queue came from {came:?}")
        })?;
        let bodies_of = came.into_iter().zip(copied.values());
        let of_copy: BTreeMap<u64, &str> = bodies_of.map(|(s, kept)| (s, &*kept.body)).collect();
        for (seq, body) in &self.queued {
            let is = left.get(seq).map(|kept| &*kept.body);
            let is = of_copy.get(seq).copied().or(is);
            ensure(is == Some(body), || {
                format!("{QUEUE}/{seq} was {body}, and is {is:?}")
            })?;
        }
        ensure(!is_over || left.is_empty(), || {
            format!("the queue still holds {:?}", left.keys())
        })?;
        self.emptied = bodies(copied);
        Ok(())
    }
}

impl Feature for Copies {
    fn prepare(&mut self, server: &mut Server) -> Life {
        server.speak_as(0);
        for name in ORIGINS {
            let subjects = format!("{}.*", name.to_lowercase());
            let config = json!({ "name": name, "subjects": [subjects] });
            server.must(&format!("STREAM.CREATE.{name}"), &config)?;
        }
        let config = json!({ "name": QUEUE, "subjects": ["w.*"], "retention": "workqueue" });
        server.must(&format!("STREAM.CREATE.{QUEUE}"), &config)?;
        server.speak_as(1);
        let external =
            |deliver: &str| json!({ "api": "js.p", "deliver": format!("deliver.c.{deliver}") });
        let mirror = json!({ "name": "M", "mirror": { "name": "O", "external": external("m") } });
        let sourced = json!({ "name": "S", "sources": [
            { "name": "O", "external": external("o") },
            { "name": "Q", "external": external("q"), "filter_subject": "q.a" } ] });
        let emptied = json!({ "name": EMPTIED, "sources": [
            { "name": QUEUE, "external": external("w") } ] });
        for (name, config) in [("M", mirror), ("S", sourced), (EMPTIED, emptied)] {
            let there = server.api(&format!("STREAM.INFO.{name}"), &json!({}))?;
            if there.is_err() {
                server.must(&format!("STREAM.CREATE.{name}"), &config)?;
            }
        }
        server.speak_as(0);
        Ok(())
    }

    fn step(&mut self, server: &mut Server) -> Life {
        match server.rng.below(10) {
            0..3 => self.publish(server),
            3..5 => self.enqueue(server),
            5 => {
                let is_open = server.rng.one_in(2);
                server.set_bridge(is_open)
            }
            6 => {
                // The copies go on later.
                server.set_readable(false);
                let waited = server.wait(Duration::from_secs(2));
                server.set_readable(true);
                waited
            }
            _ => {
                let time = Duration::from_millis(server.rng.below(5_000));
                server.wait(time)
            }
        }
    }

    fn check(&mut self, server: &mut Server) -> Life {
        self.look(server, false)?;
        self.look_at_queue(server, false)
    }

    fn finish(&mut self, server: &mut Server) -> Life {
        server.set_bridge(true)?;
        server.wait(Duration::from_secs(60))?;
        self.look(server, true)?;
        self.look_at_queue(server, true)
    }
}

fn bodies(read: BTreeMap<u64, Kept>) -> BTreeMap<u64, String> {
    read.into_iter()
        .map(|(seq, kept)| (seq, kept.body))
        .collect()
}

/// Returns which message of an origin a copy is; nothing if it is of another one.
fn came_from(kept: &Kept, origin: &str) -> Option<u64> {
    let line = kept
        .headers
        .split("\r\n")
        .find_map(|line| line.strip_prefix("Nats-Stream-Source: "));
    let mut words = line?.split(' ');
    // The first word names the stream, and perhaps where it is.
    let name = words.next()?.split(':').next()?;
    let seq = words.next()?.parse().ok()?;
    (name == origin).then_some(seq)
}
