//! Paused consumers: nothing is delivered before the time that was confirmed, also after a restart; then
//! deliveries begin by themselves, and all of it comes.

use core::time::Duration;
use std::collections::BTreeSet;

use protocol::text::rfc3339::Rfc3339;
use protocol::time::Wall;
use serde_json::{Value as Json, json};

use super::{Feature, Life, Server, ensure};
use crate::client::jetstream::delivery;

/// How late deliveries may begin.
const LATE_MAX: Duration = Duration::from_secs(2);

/// What was done so far.
#[derive(Debug, Default)]
pub(super) struct Paused {
    stored: BTreeSet<u64>,
    got: BTreeSet<u64>,
    /// Until when it is paused for certain.
    until: Wall,
    /// A change of that was sent and not confirmed.
    unsure: bool,
}

impl Paused {
    fn pause(&mut self, server: &mut Server, time: Duration) -> Life {
        let until = server.now.wall + time;
        // Until it is confirmed, either may hold.
        let earlier = core::mem::replace(&mut self.until, Wall(0));
        self.unsure = true;
        self.listen(server, earlier)?;
        let body = if time.is_zero() {
            json!({})
        } else {
            json!({ "pause_until": Rfc3339(until).to_string() })
        };
        let answer = server.must("CONSUMER.PAUSE.S.C", &body)?;
        let paused = answer.get("paused").and_then(Json::as_bool);
        let expected = !time.is_zero() && server.now.wall < until;
        ensure(paused == Some(expected) || server.now.wall >= until, || {
            format!("{body} was answered {answer}")
        })?;
        server.take_pulled();
        self.until = if time.is_zero() { Wall(0) } else { until };
        self.unsure = false;
        Ok(())
    }

    /// Takes what has come; nothing may have, before `until`.
    fn listen(&mut self, server: &mut Server, until: Wall) -> Life {
        let came = server.take_pulled();
        for (_, message) in &came {
            let seq = delivery(&message.reply).map(|d| d.stream_seq);
            let Some(seq) = seq else { continue };
            self.got.insert(seq);
            ensure(server.now.wall >= until, || {
                format!(
                    "S/{seq} came at {:?}, paused until {until:?}",
                    server.now.wall
                )
            })?;
            server.send(&message.reply, "", &[], "+ACK");
        }
        Ok(())
    }

    /// Lets time pass in small steps, listening.
    fn pass(&mut self, server: &mut Server, time: Duration) -> Life {
        let end = server.now.mono + time;
        while server.now.mono < end {
            server.wait(Duration::from_millis(50))?;
            let until = self.until;
            self.listen(server, until)?;
        }
        Ok(())
    }
}

impl Feature for Paused {
    fn prepare(&mut self, server: &mut Server) -> Life {
        let config = json!({ "name": "S", "subjects": ["s.*"] });
        server.must("STREAM.CREATE.S", &config)?;
        let info = server.api("CONSUMER.INFO.S.C", &json!({}))?;
        let Ok(info) = info else {
            let body = json!({ "stream_name": "S", "config": {
                "name": "C", "durable_name": "C", "ack_policy": "explicit",
                "deliver_subject": "pull.0", "ack_wait": 2_000_000_000u64 } });
            return server.must("CONSUMER.CREATE.S.C", &body).map(drop);
        };
        let paused = info.get("paused").and_then(Json::as_bool).unwrap_or(false);
        let is_over = server.now.wall >= self.until;
        ensure(is_over || paused, || {
            format!("paused until {:?}: {info}", self.until)
        })?;
        ensure(!is_over || self.unsure || !paused, || {
            format!("still paused: {info}")
        })
    }

    fn step(&mut self, server: &mut Server) -> Life {
        match server.rng.below(10) {
            0..5 => {
                if let Ok(seq) = server.publish("s.a", &[], "x")? {
                    self.stored.insert(seq);
                }
                let until = self.until;
                self.listen(server, until)
            }
            5 => {
                let time = Duration::from_millis(1_000 + server.rng.below(8_000));
                self.pause(server, time)
            }
            6 => self.pause(server, Duration::ZERO),
            7 => server.cut(),
            _ => {
                let time = Duration::from_millis(server.rng.below(3_000));
                self.pass(server, time)
            }
        }
    }

    fn check(&mut self, server: &mut Server) -> Life {
        let until = self.until;
        self.listen(server, until)?;
        if self.unsure || server.now.wall < until + LATE_MAX {
            return Ok(());
        }
        self.pass(server, LATE_MAX * 2)?;
        ensure(self.stored.is_subset(&self.got), || {
            let missing: Vec<_> = self.stored.difference(&self.got).collect();
            format!("{missing:?} have not come although nothing is paused")
        })
    }

    fn finish(&mut self, server: &mut Server) -> Life {
        self.pass(server, Duration::from_secs(15))?;
        self.unsure = false;
        self.check(server)
    }
}
