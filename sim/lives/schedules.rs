//! Scheduled messages: one that was acknowledged fires once, not before its time and soon after it,
//! however often the process dies in between; one whose plan was removed never does; one that repeats
//! keeps its distance.

use core::time::Duration;
use std::collections::BTreeMap;

use protocol::text::rfc3339::{self, Rfc3339};
use protocol::time::Wall;
use serde_json::{Value as Json, json};

use super::{Feature, Life, Server, ensure};

/// How late a message may be that is due while the process lives.
const LATE_MAX: Duration = Duration::from_secs(3);
/// How often the one fires that repeats.
const EVERY: Duration = Duration::from_secs(2);

#[derive(Debug)]
struct Plan {
    at: Wall,
    acked: bool,
    /// Its removal was sent, or confirmed before its time.
    cancelling: bool,
    cancelled: bool,
    /// It was seen to have fired.
    fired: bool,
}

/// What was done so far.
#[derive(Debug, Default)]
pub(super) struct Schedules {
    plans: Vec<Plan>,
    repeats: bool,
    facts: BTreeMap<u64, String>,
}

impl Schedules {
    fn plan(&mut self, server: &mut Server) -> Life {
        let seconds = 1 + server.rng.below(20);
        // Times are told in whole seconds.
        let at = Wall((server.now.wall.0 / 1_000_000_000 + seconds) * 1_000_000_000);
        let number = self.plans.len();
        self.plans.push(Plan {
            at,
            acked: false,
            cancelling: false,
            cancelled: false,
            fired: false,
        });
        let (when, target) = (format!("@at {}", Rfc3339(at)), format!("s.out.{number}"));
        let headers = [
            ("Nats-Schedule", &*when),
            ("Nats-Schedule-Target", &*target),
        ];
        let subject = format!("s.plan.{number}");
        let stored = server.publish(&subject, &headers, &format!("f{number}"))?;
        self.plans[number].acked = stored.is_ok();
        ensure(stored.is_ok(), || format!("{when} was refused: {stored:?}"))
    }

    fn cancel(&mut self, server: &mut Server) -> Life {
        let pending = |plan: &Plan| plan.acked && !plan.fired && !plan.cancelling;
        let Some(number) = self.plans.iter().position(pending) else {
            return Ok(());
        };
        self.plans[number].cancelling = true;
        let filter = json!({ "filter": format!("s.plan.{number}") });
        server.must("STREAM.PURGE.S", &filter)?;
        let plan = &mut self.plans[number];
        plan.cancelled = server.now.wall < plan.at;
        Ok(())
    }
}

impl Feature for Schedules {
    fn prepare(&mut self, server: &mut Server) -> Life {
        let config = json!({ "name": "S", "subjects": ["s.>"], "allow_msg_schedules": true });
        server.must("STREAM.CREATE.S", &config)?;
        if !self.repeats {
            let every = format!("@every {}s", EVERY.as_secs());
            let headers = [
                ("Nats-Schedule", &*every),
                ("Nats-Schedule-Target", "s.tick"),
            ];
            let stored = server.publish("s.ticker", &headers, "tick")?;
            self.repeats = stored.is_ok();
        }
        Ok(())
    }

    fn step(&mut self, server: &mut Server) -> Life {
        match server.rng.below(10) {
            0..4 => self.plan(server),
            4 => self.cancel(server),
            _ => {
                let time = Duration::from_millis(server.rng.below(4_000));
                server.wait(time)
            }
        }
    }

    fn check(&mut self, server: &mut Server) -> Life {
        // What was due while the process was down has its moment.
        server.wait(LATE_MAX)?;
        let before = server.now.wall;
        let read = server.read_all("S")?;
        for (number, plan) in self.plans.iter_mut().enumerate() {
            let target = format!("s.out.{number}");
            let fired = read.values().filter(|m| m.subject == target).count();
            let subject = format!("s.plan.{number}");
            let waits = read.values().any(|m| m.subject == subject);
            let now = server.now.wall;
            ensure(fired <= 1, || format!("{number} has fired {fired} times"))?;
            ensure(fired == 0 || now >= plan.at, || {
                format!("{number} came early")
            })?;
            ensure(fired == 0 || !plan.cancelled, || {
                format!("{number} was cancelled")
            })?;
            ensure(fired == 0 || !waits, || {
                format!("{number} has fired and waits")
            })?;
            ensure(fired == 1 || !plan.fired, || format!("{number} is gone"))?;
            let is_due = plan.at + LATE_MAX <= before;
            ensure(
                !plan.acked || plan.cancelling || fired == 1 || !is_due,
                || format!("{number} {plan:?} has not fired at {before:?}"),
            )?;
            ensure(
                !plan.acked || plan.cancelling || fired == 1 || waits,
                || format!("{number} {plan:?} is lost"),
            )?;
            plan.fired |= fired == 1;
        }
        let ticks = read.iter().filter(|(_, m)| m.subject == "s.tick");
        let ticks: Vec<u64> = ticks.map(|(seq, _)| *seq).collect();
        ensure(!self.repeats || !ticks.is_empty(), || {
            String::from("what repeats has never come")
        })?;
        let mut times = Vec::new();
        for seq in ticks {
            let answer = server.must("STREAM.MSG.GET.S", &json!({ "seq": seq }))?;
            let time = answer.pointer("/message/time").and_then(Json::as_str);
            let time = time.and_then(|text| rfc3339::parse(text).ok());
            times.extend(time.map(|time| time.0));
        }
        // A late one is followed by the next in time.
        let closest = times
            .windows(2)
            .map(|pair| pair[1].saturating_sub(pair[0]))
            .min();
        let least = EVERY
            .saturating_sub(Duration::from_millis(1_000))
            .as_nanos();
        ensure(closest.is_none_or(|gap| u128::from(gap) >= least), || {
            format!("what repeats came at {times:?}")
        })?;
        let out = |m: &super::process::Kept| m.subject.starts_with("s.out");
        for (seq, body) in &self.facts {
            let is = read.get(seq).map(|m| &m.body);
            ensure(is == Some(body), || {
                format!("S/{seq} was {body}, and is {is:?}")
            })?;
        }
        let fired = read.into_iter().filter(|(_, m)| out(m));
        self.facts = fired.map(|(seq, m)| (seq, m.body)).collect();
        Ok(())
    }

    fn finish(&mut self, server: &mut Server) -> Life {
        server.wait(Duration::from_secs(25))?;
        self.check(server)?;
        let all = self
            .plans
            .iter()
            .all(|p| p.fired || p.cancelling || !p.acked);
        ensure(all, || format!("not all have fired: {:?}", self.plans))
    }
}
