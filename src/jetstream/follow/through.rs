//! The consumer of its origin that a mirror or a source names: messages are copied only while it is there, from
//! where it stands and as far as it wants them.
//!
//! *Invariant:* copies do not go by the way of its deliveries, but what has been copied counts as delivered and
//! acknowledged there.

use alloc::vec::Vec;

use protocol::js::enums::AckPolicy;
use protocol::js::errors::{self, ApiError};

use super::Upstream;
use crate::index::Filter;
use crate::stream::Stream;

/// What such a consumer lets a source do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    /// There is none, or it is in order.
    Open,
    /// It is not there, or delivers elsewhere.
    Awaited,
    /// It is one that copies cannot acknowledge.
    Refused,
}

impl Upstream {
    /// Returns whether the source may read from `origin`.
    pub(super) fn passage(&self, origin: &Stream) -> Passage {
        let Some(named) = &self.source.consumer else {
            return Passage::Open;
        };
        let Some(consumer) = origin.consumers.get(&named.name) else {
            return Passage::Awaited;
        };
        let config = consumer.config();
        match config.ack_policy {
            // What another account delivers is called otherwise here.
            AckPolicy::FlowControl
                if self.source.external.is_none()
                    && config.deliver_subject != named.deliver_subject =>
            {
                Passage::Awaited
            }
            AckPolicy::FlowControl => Passage::Open,
            AckPolicy::None | AckPolicy::All | AckPolicy::Explicit => Passage::Refused,
        }
    }

    /// Returns what stream info tells of a consumer that copies cannot acknowledge.
    pub(super) fn refusal(&self) -> ApiError {
        if self.is_mirror {
            errors::MIRROR_CONSUMER_REQUIRES_ACK_FLOW_CONTROL
        } else {
            errors::SOURCE_CONSUMER_REQUIRES_ACK_FLOW_CONTROL
        }
    }

    /// Takes over where the consumer stands and what it wants.
    pub(super) fn begin_through(&mut self, origin: &Stream) {
        let named = self.source.consumer.as_ref();
        let Some(consumer) = named.and_then(|named| origin.consumers.get(&named.name)) else {
            return;
        };
        if self.last.0 == 0 {
            self.next = self.next.max(consumer.next());
        }
        let filters = consumer.config().filters();
        let filters: Vec<Filter> = filters.map(|f| Filter::new(f.as_bytes())).collect();
        // Those of the source choose among what the consumer has, which no other filter can say.
        if !filters.is_empty() && self.filters.is_empty() {
            self.filters = filters;
        }
    }
}
