//! Messages with a time to live: there until their time is over and gone soon after it, for ever; a
//! subject that loses its last message so leaves a marker, which goes in its turn.

use core::time::Duration;

use protocol::time::Wall;
use serde_json::json;

use super::{Feature, Life, Server, ensure};

/// How late a message may go while the process lives.
const LATE_MAX: Duration = Duration::from_secs(2);
/// How long markers stay.
const MARKER: Duration = Duration::from_secs(5);
const SUBJECTS: u64 = 5;

#[derive(Debug)]
struct Message {
    subject: u64,
    seq: u64,
    /// Its end lies between these; nothing if it stays.
    ends: Option<(Wall, Wall)>,
    gone: bool,
}

/// What was done so far.
#[derive(Debug, Default)]
pub(super) struct Lifetimes {
    messages: Vec<Message>,
    /// Messages whose publisher was not answered: their subjects may hold more than is known.
    unsure: Vec<u64>,
    /// Markers by their sequence, and when they were seen first.
    markers: Vec<(u64, Wall)>,
}

impl Lifetimes {
    fn publish(&mut self, server: &mut Server) -> Life {
        let subject = server.rng.below(SUBJECTS);
        // Nobody's time is shorter than a marker's. A marker takes the place of whatever its subject
        // holds, so those of one subject end in their order, and those that stay have their own.
        let ttl = MARKER + Duration::from_secs(subject);
        let stays = subject == 0;
        let text = if stays {
            String::from("never")
        } else {
            format!("{}s", ttl.as_secs())
        };
        let sent = server.now.wall;
        self.unsure.push(subject);
        let name = format!("s.{subject}");
        let len = usize::try_from(server.rng.below(500)).unwrap_or(0);
        let body = "x".repeat(len);
        let stored = server.publish(&name, &[("Nats-TTL", &text)], &body)?;
        self.unsure.pop();
        match stored {
            Ok(seq) => self.messages.push(Message {
                subject,
                seq,
                ends: (!stays).then_some((sent + ttl, server.now.wall + ttl)),
                gone: false,
            }),
            Err(code) => return ensure(false, || format!("a publish was refused with {code}")),
        }
        Ok(())
    }
}

impl Feature for Lifetimes {
    fn prepare(&mut self, server: &mut Server) -> Life {
        let config = json!({
            "name": "S", "subjects": ["s.*"], "allow_msg_ttl": true,
            "subject_delete_marker_ttl": u64::try_from(MARKER.as_nanos()).unwrap_or(0),
        });
        server.must("STREAM.CREATE.S", &config).map(drop)
    }

    fn step(&mut self, server: &mut Server) -> Life {
        if server.rng.one_in(2) {
            return self.publish(server);
        }
        let time = Duration::from_millis(server.rng.below(3_000));
        server.wait(time)
    }

    fn check(&mut self, server: &mut Server) -> Life {
        let before = server.now.wall;
        // What ended while the process was down has its moment.
        server.wait(LATE_MAX)?;
        let read = server.read_all("S")?;
        let now = server.now.wall;
        for message in &mut self.messages {
            let is_there = read.contains_key(&message.seq);
            let may_be_gone = message.ends.is_some_and(|(from, _)| from <= now);
            let must_be_gone = message.ends.is_some_and(|(_, to)| to <= before);
            let holds = if is_there {
                !must_be_gone && !message.gone
            } else {
                may_be_gone
            };
            ensure(holds, || {
                format!("at {now:?} there is {is_there}: {message:?}")
            })?;
            message.gone |= !is_there;
        }
        let marker = |m: &super::process::Kept| m.headers.contains("Nats-Marker-Reason: MaxAge");
        for subject in 0..SUBJECTS {
            let name = format!("s.{subject}");
            let mut on = read.iter().filter(|(_, m)| m.subject == name);
            let ours = self.messages.iter().filter(|m| m.subject == subject);
            let last = ours.max_by_key(|m| m.ends.map_or(Wall(u64::MAX), |(from, _)| from));
            let Some((from, _)) = last
                .and_then(|m| m.ends)
                .filter(|_| !self.unsure.contains(&subject))
            else {
                continue;
            };
            let is_fresh = last.is_some_and(|m| m.gone) && now < from + MARKER;
            let found = on.any(|(_, m)| marker(m));
            ensure(!is_fresh || found, || format!("{name} has left no marker"))?;
        }
        for (seq, _) in read.iter().filter(|(_, m)| marker(m)) {
            match self.markers.iter().find(|(known, _)| known == seq) {
                None => self.markers.push((*seq, now)),
                Some((_, seen)) => ensure(before < *seen + MARKER, || {
                    format!("the marker S/{seq} stays")
                })?,
            }
        }
        Ok(())
    }

    fn finish(&mut self, server: &mut Server) -> Life {
        server.wait(Duration::from_secs(40))?;
        self.check(server)?;
        let stays = self.messages.iter().filter(|m| m.ends.is_none()).count();
        let read = server.read_all("S")?;
        let never = read
            .values()
            .filter(|m| m.headers.contains("never"))
            .count();
        ensure(read.len() == never && never >= stays, || {
            format!("in the end there is {:?}", read.keys())
        })
    }
}
