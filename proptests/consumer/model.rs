//! The model: which messages the stream holds, which were delivered how often, which are
//! acknowledged, what is due when, and who waits, all in plain lists.

use std::collections::{BTreeMap, VecDeque};

use super::settings::Settings;

/// A message that is out.
#[derive(Clone, Debug)]
struct Out {
    delivery: u64,
    deliveries: u32,
    due_ms: u64,
    queued: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Model {
    pub(super) settings: Settings,
    pub(super) now_ms: u64,
    /// Whether message `i + 1` is there, and whether the consumer wants it.
    pub(super) messages: Vec<Option<bool>>,
    /// The last sequence looked at.
    cursor: u64,
    delivered: (u64, u64),
    floor: (u64, u64),
    out: BTreeMap<u64, Out>,
    queue: Vec<u64>,
    /// Messages given back after their last delivery: given up when somebody asks.
    spent: Vec<u64>,
    /// Messages that used up their deliveries.
    exhausted: Vec<u64>,
    /// Settled messages that a work queue has not yet let go.
    settled: Vec<u64>,
    /// How many messages each request still wants; the first is served next.
    pub(super) waiting: VecDeque<u64>,
    pub(super) paused_until_ms: u64,
    /// What was delivered since this was last looked at: sequence, deliveries, delivery, pending.
    pub(super) sent: Vec<[u64; 4]>,
}

impl Model {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            settings,
            now_ms: 0,
            messages: Vec::new(),
            cursor: 0,
            delivered: (0, 0),
            floor: (0, 0),
            out: BTreeMap::new(),
            queue: Vec::new(),
            spent: Vec::new(),
            exhausted: Vec::new(),
            settled: Vec::new(),
            waiting: VecDeque::new(),
            paused_until_ms: 0,
            sent: Vec::new(),
        }
    }

    fn message(&self, seq: u64) -> Option<bool> {
        self.messages[usize::try_from(seq).expect("fits") - 1]
    }

    pub(super) fn publish(&mut self, wanted: bool) {
        // The acks before it are in the log before it.
        self.release();
        self.messages.push(Some(wanted));
        let max = self.settings.messages_max.unwrap_or(usize::MAX);
        while self.messages.iter().flatten().count() > max {
            let first = self.messages.iter().position(Option::is_some);
            self.delete(first.expect("more than none") as u64 + 1);
        }
    }

    pub(super) fn settle(&mut self, seq: u64) {
        if seq > self.delivered.1 {
            return;
        }
        self.settled.push(seq);
        self.exhausted.retain(|s| *s != seq);
        let Some(out) = self.out.remove(&seq) else {
            return;
        };
        if self.out.is_empty() {
            self.floor = self.delivered;
        } else if out.delivery == self.floor.0 + 1 {
            let (first, out) = self.out.first_key_value().expect("not empty");
            self.floor = (out.delivery - 1, first - 1);
        }
    }

    pub(super) fn nak(&mut self, seq: u64) {
        let Some(out) = self.out.get(&seq) else {
            return;
        };
        if out.deliveries >= self.settings.deliveries_max {
            self.spent.push(seq);
        } else if !out.queued {
            self.again(seq);
        }
    }

    fn again(&mut self, seq: u64) {
        let out = self.out.get_mut(&seq).expect("known");
        if out.deliveries >= self.settings.deliveries_max {
            self.out.remove(&seq);
            self.exhausted.push(seq);
            return;
        }
        out.queued = true;
        self.queue.push(seq);
    }

    pub(super) fn wait(&mut self, seq: u64, ms: u64) {
        if let Some(out) = self.out.get_mut(&seq) {
            out.due_ms = self.now_ms + ms;
            out.queued = false;
            self.queue.retain(|s| *s != seq);
            self.spent.retain(|s| *s != seq);
        }
    }

    pub(super) fn progress(&mut self, seq: u64) {
        if let Some(out) = self.out.get_mut(&seq) {
            out.due_ms = self.now_ms + self.settings.wait_ms(out.deliveries);
        }
    }

    pub(super) fn advance(&mut self, ms: u64) {
        self.now_ms += ms;
        let due = |out: &Out| !out.queued && out.due_ms <= self.now_ms;
        let due: Vec<u64> = self
            .out
            .iter()
            .filter(|(_, out)| due(out))
            .map(|(s, _)| *s)
            .collect();
        for seq in due {
            let again = self.out[&seq].deliveries.saturating_sub(1).max(1);
            // One that was delivered again stays until somebody asks for more.
            if self.out[&seq].deliveries >= self.settings.deliveries_max
                && again < self.settings.deliveries_max
            {
                self.spent.push(seq);
            } else {
                self.again(seq);
            }
        }
    }

    pub(super) fn delete(&mut self, seq: u64) {
        let Some(at) = usize::try_from(seq).expect("fits").checked_sub(1) else {
            return;
        };
        if self.messages[at].take().is_some() && self.out.contains_key(&seq) {
            self.settle(seq);
        }
        self.exhausted.retain(|s| *s != seq);
    }

    pub(super) fn purge(&mut self) {
        for seq in 1..=self.messages.len() as u64 {
            self.delete(seq);
        }
        self.spent.clear();
        self.cursor = self.cursor.max(self.messages.len() as u64);
        self.delivered.1 = self.cursor;
        self.floor = self.delivered;
    }

    pub(super) fn deliver(&mut self) {
        while !self.waiting.is_empty() && self.now_ms >= self.paused_until_ms {
            for seq in core::mem::take(&mut self.spent) {
                if self.out.contains_key(&seq) {
                    self.again(seq);
                }
            }
            if let Some(seq) = self.queue.first().copied() {
                self.queue.remove(0);
                if self.out.get(&seq).is_some_and(|out| out.queued) {
                    self.send(seq);
                }
                continue;
            }
            if self.out.len() >= self.settings.pending_acks_max {
                return;
            }
            let ahead = self.cursor + 1..=self.messages.len() as u64;
            let Some(seq) = ahead
                .into_iter()
                .find(|seq| self.message(*seq) == Some(true))
            else {
                return;
            };
            self.send(seq);
        }
    }

    fn send(&mut self, seq: u64) {
        let left = self.waiting.pop_front().expect("someone waits") - 1;
        if left > 0 {
            self.waiting.push_back(left);
        }
        self.delivered.0 += 1;
        if seq > self.cursor {
            self.cursor = seq;
            self.delivered.1 = seq;
        }
        let delivery = self.delivered.0;
        let out = self.out.entry(seq).or_insert(Out {
            delivery,
            deliveries: 0,
            due_ms: 0,
            queued: false,
        });
        out.deliveries += 1;
        out.queued = false;
        out.due_ms = self.now_ms + self.settings.wait_ms(out.deliveries);
        let deliveries = u64::from(out.deliveries);
        self.sent
            .push([seq, deliveries, delivery, self.num_pending()]);
    }

    /// Lets go of what is acknowledged, if the stream is a work queue.
    pub(super) fn release(&mut self) {
        for seq in core::mem::take(&mut self.settled) {
            if self.settings.work_queue {
                let at = usize::try_from(seq).expect("fits") - 1;
                self.messages[at] = None;
            }
        }
    }

    /// Nobody waits any more; each message that is out waits for its ack anew.
    pub(super) fn recover(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
        self.waiting.clear();
        self.sent.clear();
        self.queue.clear();
        self.spent.clear();
        for out in self.out.values_mut() {
            out.queued = false;
            out.due_ms = out
                .due_ms
                .max(now_ms + self.settings.wait_ms(out.deliveries));
        }
    }

    fn num_pending(&self) -> u64 {
        let ahead = self.cursor + 1..=self.messages.len() as u64;
        ahead.filter(|seq| self.message(*seq) == Some(true)).count() as u64
    }

    pub(super) fn stored(&self) -> u64 {
        self.messages.iter().flatten().count() as u64
    }

    /// Returns what consumer info shows.
    pub(super) fn shown(&self) -> [u64; 8] {
        let redelivered = self.out.values().filter(|out| out.deliveries > 1).count();
        let redelivered = match self.settings.deliveries_max {
            1 => 0,
            _ => redelivered + self.exhausted.len(),
        };
        [
            self.delivered.0,
            self.delivered.1,
            self.floor.0,
            self.floor.1,
            self.out.len() as u64,
            redelivered as u64,
            self.num_pending(),
            self.waiting.len() as u64,
        ]
    }
}
