//! How much goes in and out of an account, in equal steps of the recent past.
//!
//! *Invariant:* it is fed with totals that only grow; what they grew by in a step is one sample. It begins
//! anew with the process, as the totals do.

use alloc::collections::VecDeque;
use core::time::Duration;

use protocol::time::Wall;
use serde_json::{Value, json};

use crate::manage::{TrafficFacts, time};

/// How many steps are kept, as in Memphis.
const SAMPLES_MAX: usize = 20;

/// The samples of one account.
#[derive(Debug, Default)]
pub(crate) struct Throughput {
    last: Option<TrafficFacts>,
    samples: VecDeque<Sample>,
}

/// Bytes per second in one step.
#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Wall,
    /// What clients were sent.
    read: u64,
    /// What clients published.
    write: u64,
}

impl Throughput {
    /// Takes the totals at the end of a step.
    pub(crate) fn add(&mut self, totals: TrafficFacts, step: Duration, at: Wall) {
        let before = self.last.replace(totals).unwrap_or(totals);
        let seconds = step.as_secs().max(1);
        if self.samples.len() >= SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample {
            at,
            read: totals.sent.saturating_sub(before.sent) / seconds,
            write: totals.received.saturating_sub(before.received) / seconds,
        });
    }

    /// Returns the samples as Memphis shows them, under the name of a broker.
    pub(crate) fn shown(&self, broker: &str) -> Value {
        let read = self.samples.iter();
        let read = read.map(|s| json!({"timestamp": time(s.at.0), "read": s.read}));
        let write = self.samples.iter();
        let write = write.map(|s| json!({"timestamp": time(s.at.0), "write": s.write}));
        json!({
            "name": broker,
            "read": read.collect::<Value>(),
            "write": write.collect::<Value>(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_what_the_totals_grew_by_per_second() {
        let mut throughput = Throughput::default();
        let step = Duration::from_secs(5);
        for (received, sent) in [(1000, 0), (1050, 500), (1050, 500)] {
            let totals = TrafficFacts { received, sent };
            throughput.add(totals, step, Wall(0));
        }
        let shown = throughput.shown("b");
        let of = |key: &str, i: usize| shown[key][i][key].clone();
        assert_eq!((of("write", 0), of("write", 1)), (json!(0), json!(10)));
        assert_eq!((of("read", 1), of("read", 2)), (json!(100), json!(0)));
        for _ in 0..SAMPLES_MAX {
            throughput.add(TrafficFacts::default(), step, Wall(0));
        }
        assert_eq!(
            throughput.shown("b")["read"]
                .as_array()
                .map(alloc::vec::Vec::len),
            Some(20)
        );
    }
}
