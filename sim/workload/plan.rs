//! What a run does, drawn from its seed and printed with it.

use core::time::Duration;

use protocol::rng::Rng;

use crate::history::Keeps;

/// Everything about the clients of a run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The seed that it was drawn from.
    pub seed: u64,
    /// The streams.
    pub streams: Vec<StreamPlan>,
    /// Publishers of unique values.
    pub publishers: Vec<PublisherPlan>,
    /// Clients that compete for a register.
    pub registers: Vec<RegisterPlan>,
    /// Durable consumers.
    pub consumers: Vec<ConsumerPlan>,
    /// How often, on average, messages are removed on purpose.
    pub removal_every: Duration,
}

/// A stream.
#[derive(Clone, Debug)]
pub struct StreamPlan {
    /// Its name; its subjects are the name in lower case and one token.
    pub name: String,
    /// What it keeps.
    pub keeps: Keeps,
}

impl StreamPlan {
    /// Returns the JSON of its configuration.
    #[must_use]
    pub fn config(&self) -> String {
        let limit = match self.keeps.messages_max {
            0 => -1,
            max => i64::try_from(max).unwrap_or(i64::MAX),
        };
        let retention = if self.keeps.work_queue {
            "workqueue"
        } else {
            "limits"
        };
        format!(
            "{{\"name\":\"{}\",\"subjects\":[\"{}.*\"],\"retention\":\"{retention}\",\
             \"storage\":\"file\",\"max_msgs\":{limit},\"discard\":\"old\",\"num_replicas\":1,\
             \"duplicate_window\":{}}}",
            self.name,
            self.name.to_ascii_lowercase(),
            DUPLICATE_WINDOW.as_nanos(),
        )
    }

    /// Returns one of its subjects.
    #[must_use]
    pub fn subject(&self, token: &str) -> String {
        format!("{}.{token}", self.name.to_ascii_lowercase())
    }
}

/// Longer than any repetition can take, so that dedup must hold for all.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(1800);

/// A publisher.
#[derive(Clone, Debug)]
pub struct PublisherPlan {
    /// Its number, which its values carry.
    pub number: u32,
    /// The stream.
    pub stream: StreamPlan,
    /// On how many subjects it publishes, in turn.
    pub subjects: u64,
    /// How many messages it publishes while faults happen.
    pub messages: u32,
    /// How many may be without an answer.
    pub window: usize,
    /// The mean pause between two.
    pub pause: Duration,
    /// The largest body.
    pub len_max: u64,
    /// Whether messages carry ids and are repeated until they are acknowledged.
    pub ids: bool,
}

/// A client that competes for a register.
#[derive(Clone, Debug)]
pub struct RegisterPlan {
    /// Its number, which its values carry.
    pub number: u32,
    /// The stream.
    pub stream: StreamPlan,
    /// The subject that is the register.
    pub subject: String,
    /// How many times it tries.
    pub tries: u32,
}

/// A durable consumer.
#[derive(Clone, Debug)]
pub struct ConsumerPlan {
    /// Its name.
    pub name: String,
    /// The stream.
    pub stream: StreamPlan,
    /// How many messages it fetches at once.
    pub batch: u64,
    /// After how long an unacknowledged message comes again.
    pub ack_wait: Duration,
}

impl Plan {
    /// Draws a plan.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        /// The stream of randomness of plans.
        const RNG_PLAN: u64 = 1;
        let mut rng = Rng::new(seed, RNG_PLAN);
        let rng = &mut rng;
        let mut plan = Self {
            seed,
            streams: Vec::new(),
            publishers: Vec::new(),
            registers: Vec::new(),
            consumers: Vec::new(),
            removal_every: Duration::from_secs(5 + rng.below(60)),
        };
        for name in ["A", "B"].iter().take(between(rng, 1, 2)) {
            plan.streams.push(StreamPlan {
                name: (*name).to_owned(),
                keeps: Keeps {
                    messages_max: if rng.one_in(3) { 10 + rng.below(60) } else { 0 },
                    work_queue: rng.one_in(4),
                },
            });
        }
        for number in 0..u32::try_from(between(rng, 1, 3)).unwrap_or(1) {
            plan.add_publisher(number, rng);
        }
        plan.add_registers(rng);
        plan.add_consumers(rng);
        plan
    }

    fn stream(&self, rng: &mut Rng) -> StreamPlan {
        let at = usize::try_from(rng.below(self.streams.len() as u64)).unwrap_or(0);
        self.streams[at].clone()
    }

    fn add_publisher(&mut self, number: u32, rng: &mut Rng) {
        let stream = self.stream(rng);
        self.publishers.push(PublisherPlan {
            number,
            stream,
            subjects: 1 + rng.below(3),
            messages: u32::try_from(10 + rng.below(80)).unwrap_or(10),
            window: between(rng, 1, 16),
            pause: Duration::from_millis(1 + rng.below(400)),
            len_max: [16, 200, 3000][between(rng, 0, 2)],
            ids: !rng.one_in(3),
        });
    }

    fn add_registers(&mut self, rng: &mut Rng) {
        // In a stream that forgets messages a register's last one can be gone, which is another rule.
        let keeps_all =
            |stream: &&StreamPlan| stream.keeps.messages_max == 0 && !stream.keeps.work_queue;
        let Some(stream) = self.streams.iter().find(keeps_all).cloned() else {
            return;
        };
        let subject = stream.subject("register");
        for i in 0..between(rng, 0, 2) {
            self.registers.push(RegisterPlan {
                number: 100 + u32::try_from(i).unwrap_or(0),
                stream: stream.clone(),
                subject: subject.clone(),
                tries: u32::try_from(5 + rng.below(20)).unwrap_or(5),
            });
        }
    }

    fn add_consumers(&mut self, rng: &mut Rng) {
        for stream in &self.streams {
            // A work queue must be emptied, and by one consumer only.
            let count = if stream.keeps.work_queue {
                1
            } else {
                between(rng, 0, 2)
            };
            for i in 0..count {
                self.consumers.push(ConsumerPlan {
                    name: format!("C{}{i}", stream.name),
                    stream: stream.clone(),
                    batch: 1 + rng.below(20),
                    ack_wait: Duration::from_secs(2 + rng.below(6)),
                });
            }
        }
    }
}

/// Draws a number of `low..=high`.
fn between(rng: &mut Rng, low: usize, high: usize) -> usize {
    let span = (high - low) as u64 + 1;
    low + usize::try_from(rng.below(span)).unwrap_or(0)
}
