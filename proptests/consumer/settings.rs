//! How the consumer of a run is configured, and what its stream keeps.

use proptest::prelude::*;

const ACK_WAIT_MS: u64 = 1_000;
/// The ack waits of a consumer that is asked to be patient.
pub(super) const BACKOFF_MS: [u64; 2] = [300, 1_500];

#[derive(Clone, Copy, Debug)]
pub(super) struct Settings {
    pub(super) filter: Filter,
    pub(super) pending_acks_max: usize,
    pub(super) deliveries_max: u32,
    pub(super) backoff: bool,
    pub(super) work_queue: bool,
    /// Most messages that the stream keeps.
    pub(super) messages_max: Option<usize>,
}

/// Which of the messages the consumer wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filter {
    Everything,
    OneSubject,
    Wildcard,
    Several,
}

impl Settings {
    /// Returns how long a message that was delivered so often waits for its ack.
    pub(super) fn wait_ms(&self, deliveries: u32) -> u64 {
        if !self.backoff {
            return ACK_WAIT_MS;
        }
        let at = (deliveries.max(1) as usize - 1).min(BACKOFF_MS.len() - 1);
        BACKOFF_MS[at]
    }

    /// Returns the subject of the message `seq`, and whether the consumer wants it.
    pub(super) fn subject(&self, wanted: bool, seq: usize) -> (String, bool) {
        match (self.filter, wanted) {
            (Filter::Everything, false) => ("s.no".into(), true),
            (Filter::OneSubject, true) => ("s.yes.0".into(), true),
            (_, true) => (format!("s.yes.{}", seq % 3), true),
            (_, false) => ("s.no".into(), false),
        }
    }

    pub(super) fn filters(&self) -> &'static str {
        match self.filter {
            Filter::Everything => "",
            Filter::OneSubject => r#""filter_subject":"s.yes.0","#,
            Filter::Wildcard => r#""filter_subject":"s.yes.*","#,
            Filter::Several => r#""filter_subjects":["s.yes.0","s.yes.1","s.yes.2"],"#,
        }
    }
}

pub(super) fn settings() -> impl Strategy<Value = Settings> {
    let filter = prop_oneof![
        Just(Filter::Everything),
        Just(Filter::OneSubject),
        Just(Filter::Wildcard),
        Just(Filter::Several),
    ];
    let messages_max = prop::option::weighted(0.3, 2usize..8);
    let all = (
        filter,
        1usize..6,
        1u32..5,
        any::<bool>(),
        any::<bool>(),
        messages_max,
    );
    all.prop_map(
        |(filter, acks, deliveries_max, backoff, work_queue, messages_max)| Settings {
            filter,
            pending_acks_max: acks * 3,
            deliveries_max,
            // A list of waits has to be shorter than the deliveries.
            backoff: backoff && deliveries_max as usize > BACKOFF_MS.len(),
            work_queue,
            messages_max,
        },
    )
}
