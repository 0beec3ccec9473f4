//! Advisories and metrics: what JetStream tells whoever listens on `$JS.EVENT.>`.
//!
//! *Invariant:* each carries its type, an id of 22 characters that the caller draws, and its time
//! first. They borrow what they tell; encoding allocates the text only.

mod about;

use alloc::vec::Vec;

use bytes::BytesMut;

use super::info::{PeerInfo, StreamState};
use super::json::{Fields, Writer};
use crate::text::duration::Nanos;
use crate::time::Wall;
pub use about::{Action, ClientInfo};

/// An advisory or metric.
pub trait Event: Fields {
    /// The type that it names.
    const TYPE: &'static str;

    /// Appends the subject it is sent to.
    fn write_subject(&self, out: &mut BytesMut);
}

/// Returns the text of an event.
#[must_use]
pub fn encode_event(event: &impl Event, id: &str, time: Wall) -> Vec<u8> {
    fn head<E: Event>(_: &E) -> &'static str {
        E::TYPE
    }
    let mut to = Writer::default();
    to.begin_object();
    to.field("type", head(event));
    to.field("id", id);
    to.field("timestamp", &time);
    event.write_fields(&mut to);
    to.end_object();
    to.into_bytes()
}

macro_rules! events {
    ($(
        $(#[$meta:meta])*
        $name:ident = $type:literal to $subject:literal $($token:ident)* {
            $($(#[$field_meta:meta])* $field:ident: $ty:ty $(, $omit:ident)?;)*
        }
    )*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name<'a> {
            $($(#[$field_meta])* pub $field: $ty,)*
        }

        impl Fields for $name<'_> {
            fn write_fields(&self, to: &mut Writer) {
                $(events!(@field to, self.$field, stringify!($field) $(, $omit)?);)*
            }
        }

        impl Event for $name<'_> {
            const TYPE: &'static str = concat!("io.nats.jetstream.", $type);

            fn write_subject(&self, out: &mut BytesMut) {
                out.extend_from_slice(concat!("$JS.EVENT.", $subject).as_bytes());
                $(
                    out.extend_from_slice(b".");
                    out.extend_from_slice(self.$token.as_bytes());
                )*
            }
        }
    )*};
    (@field $to:ident, $value:expr, $key:expr, omit) => { $to.field_if_set($key, &$value) };
    (@field $to:ident, $value:expr, $key:expr) => { $to.field($key, &$value) };
}

events! {
    /// A request of the API was answered.
    ApiAudit = "advisory.v1.api_audit" to "ADVISORY.API" {
        /// The server's id.
        server: &'a str;
        /// Who asked.
        client: Option<&'a ClientInfo>;
        /// What was asked.
        subject: &'a str;
        /// With which body.
        request: &'a str, omit;
        /// What the answer was.
        response: &'a str;
        /// The server's domain.
        domain: &'a str, omit;
    }
    /// Requests of the API were dropped.
    ApiLimitReached = "advisory.v1.api_limit_reached" to "ADVISORY.API.LIMIT_REACHED" {
        /// The server.
        server: &'a str;
        /// Its domain.
        domain: &'a str, omit;
        /// How many.
        dropped: i64;
    }
    /// A stream was made.
    StreamCreated = "advisory.v1.stream_action" to "ADVISORY.STREAM.CREATED" stream {
        /// The stream.
        stream: &'a str;
        /// What was done.
        action: Action;
        /// The server's domain.
        domain: &'a str, omit;
    }
    /// A stream was changed.
    StreamUpdated = "advisory.v1.stream_action" to "ADVISORY.STREAM.UPDATED" stream {
        /// The stream.
        stream: &'a str;
        /// What was done.
        action: Action;
        /// The server's domain.
        domain: &'a str, omit;
    }
    /// A stream was deleted.
    StreamDeleted = "advisory.v1.stream_action" to "ADVISORY.STREAM.DELETED" stream {
        /// The stream.
        stream: &'a str;
        /// What was done.
        action: Action;
        /// The server's domain.
        domain: &'a str, omit;
    }
    /// A consumer was made.
    ConsumerCreated = "advisory.v1.consumer_action" to "ADVISORY.CONSUMER.CREATED" stream consumer {
        /// The stream.
        stream: &'a str;
        /// The consumer.
        consumer: &'a str;
        /// What was done.
        action: Action;
        /// The server's domain.
        domain: &'a str, omit;
    }
    /// A consumer was deleted.
    ConsumerDeleted = "advisory.v1.consumer_action" to "ADVISORY.CONSUMER.DELETED" stream consumer {
        /// The stream.
        stream: &'a str;
        /// The consumer.
        consumer: &'a str;
        /// What was done.
        action: Action;
        /// The server's domain.
        domain: &'a str, omit;
    }
    /// A consumer stopped delivering, or goes on.
    ConsumerPaused = "advisory.v1.consumer_pause" to "ADVISORY.CONSUMER.PAUSE" stream consumer {
        /// The stream.
        stream: &'a str;
        /// The consumer.
        consumer: &'a str;
        /// It stopped.
        paused: bool;
        /// Until when.
        pause_until: Wall;
        /// The server's domain.
        domain: &'a str, omit;
    }
    /// A client got a priority group to itself.
    GroupPinned = "advisory.v1.consumer_group_pinned" to "ADVISORY.CONSUMER.PINNED" stream consumer {
        /// The account, where the system account is told.
        account: &'a str, omit;
        /// The stream.
        stream: &'a str;
        /// The consumer.
        consumer: &'a str;
        /// The server's domain.
        domain: &'a str, omit;
        /// The group.
        group: &'a str;
        /// The id that the client got.
        pinned_id: &'a str;
    }
    /// A client lost its priority group.
    GroupUnpinned = "advisory.v1.consumer_group_unpinned" to "ADVISORY.CONSUMER.UNPINNED" stream consumer {
        /// The account, where the system account is told.
        account: &'a str, omit;
        /// The stream.
        stream: &'a str;
        /// The consumer.
        consumer: &'a str;
        /// The server's domain.
        domain: &'a str, omit;
        /// The group.
        group: &'a str;
        /// Why: `admin` or `timeout`.
        reason: &'a str;
    }
    /// A message was delivered as often as it may be.
    MaxDeliveries = "advisory.v1.max_deliver" to "ADVISORY.CONSUMER.MAX_DELIVERIES" stream consumer {
        /// The stream.
        stream: &'a str;
        /// The consumer.
        consumer: &'a str;
        /// The message.
        stream_seq: u64;
        /// How often.
        deliveries: u64;
        /// The server's domain.
        domain: &'a str, omit;
    }
    /// A client could not handle a message.
    MessageNaked = "advisory.v1.nak" to "ADVISORY.CONSUMER.MSG_NAKED" stream consumer {
        /// The stream.
        stream: &'a str;
        /// The consumer.
        consumer: &'a str;
        /// The delivery.
        consumer_seq: u64;
        /// The message.
        stream_seq: u64;
        /// How often it has been delivered.
        deliveries: u64;
        /// The server's domain.
        domain: &'a str, omit;
    }
    /// A client does not want a message again.
    MessageTerminated = "advisory.v1.terminated" to "ADVISORY.CONSUMER.MSG_TERMINATED" stream consumer {
        /// The stream.
        stream: &'a str;
        /// The consumer.
        consumer: &'a str;
        /// The delivery.
        consumer_seq: u64;
        /// The message.
        stream_seq: u64;
        /// How often it has been delivered.
        deliveries: u64;
        /// Why.
        reason: &'a str, omit;
        /// The server's domain.
        domain: &'a str, omit;
    }
    /// A sampled message was acknowledged.
    AckSampled = "metric.v1.consumer_ack" to "METRIC.CONSUMER.ACK" stream consumer {
        /// The stream.
        stream: &'a str;
        /// The consumer.
        consumer: &'a str;
        /// The delivery.
        consumer_seq: u64;
        /// The message.
        stream_seq: u64;
        /// How long the client took.
        ack_time: Nanos;
        /// How often it was delivered.
        deliveries: u64;
        /// The server's domain.
        domain: &'a str, omit;
    }
    /// A stream is being written out.
    SnapshotCreated = "advisory.v1.snapshot_create" to "ADVISORY.STREAM.SNAPSHOT_CREATE" stream {
        /// The stream.
        stream: &'a str;
        /// What it holds.
        state: &'a StreamState;
        /// Who asked.
        client: Option<&'a ClientInfo>;
        /// The server's domain.
        domain: &'a str, omit;
    }
    /// A stream has been written out.
    SnapshotCompleted = "advisory.v1.snapshot_complete" to "ADVISORY.STREAM.SNAPSHOT_COMPLETE" stream {
        /// The stream.
        stream: &'a str;
        /// When it began.
        start: Wall;
        /// When it ended.
        end: Wall;
        /// Who asked.
        client: Option<&'a ClientInfo>;
        /// The server's domain.
        domain: &'a str, omit;
        /// Why it failed.
        error: &'a str, omit;
    }
    /// A stream is being taken in.
    RestoreCreated = "advisory.v1.restore_create" to "ADVISORY.STREAM.RESTORE_CREATE" stream {
        /// The stream.
        stream: &'a str;
        /// Who asked.
        client: Option<&'a ClientInfo>;
        /// The server's domain.
        domain: &'a str, omit;
    }
    /// A stream has been taken in.
    RestoreCompleted = "advisory.v1.restore_complete" to "ADVISORY.STREAM.RESTORE_COMPLETE" stream {
        /// The stream.
        stream: &'a str;
        /// When it began.
        start: Wall;
        /// When it ended.
        end: Wall;
        /// How many bytes came.
        bytes: i64;
        /// Who asked.
        client: Option<&'a ClientInfo>;
        /// The server's domain.
        domain: &'a str, omit;
    }
    /// The servers of the domain have a leader.
    DomainLeaderElected = "advisory.v1.domain_leader_elected" to "ADVISORY.DOMAIN.LEADER_ELECTED" {
        /// The leader.
        leader: &'a str;
        /// The others.
        replicas: &'a [PeerInfo];
        /// The cluster.
        cluster: &'a str;
        /// The domain.
        domain: &'a str, omit;
    }
    /// A stream has a leader.
    StreamLeaderElected = "advisory.v1.stream_leader_elected" to "ADVISORY.STREAM.LEADER_ELECTED" stream {
        /// The account, where the system account is told.
        account: &'a str, omit;
        /// The stream.
        stream: &'a str;
        /// The leader.
        leader: &'a str;
        /// The others.
        replicas: &'a [PeerInfo];
        /// The server's domain.
        domain: &'a str, omit;
    }
    /// Too few servers of a stream are left.
    StreamQuorumLost = "advisory.v1.stream_quorum_lost" to "ADVISORY.STREAM.QUORUM_LOST" stream {
        /// The account, where the system account is told.
        account: &'a str, omit;
        /// The stream.
        stream: &'a str;
        /// Its servers.
        replicas: &'a [PeerInfo];
        /// The server's domain.
        domain: &'a str, omit;
    }
    /// A batch will not be stored.
    BatchAbandoned = "advisory.v1.stream_batch_abandoned" to "ADVISORY.STREAM.BATCH_ABANDONED" stream {
        /// The account, where the system account is told.
        account: &'a str, omit;
        /// The stream.
        stream: &'a str;
        /// The server's domain.
        domain: &'a str, omit;
        /// The batch's id.
        batch: &'a str;
        /// Why: `timeout`, `large`, `incomplete` or `unsupported`.
        reason: &'a str;
    }
    /// A consumer has a leader.
    ConsumerLeaderElected = "advisory.v1.consumer_leader_elected" to "ADVISORY.CONSUMER.LEADER_ELECTED" stream consumer {
        /// The account, where the system account is told.
        account: &'a str, omit;
        /// The stream.
        stream: &'a str;
        /// The consumer.
        consumer: &'a str;
        /// The leader.
        leader: &'a str;
        /// The others.
        replicas: &'a [PeerInfo];
        /// The server's domain.
        domain: &'a str, omit;
    }
    /// Too few servers of a consumer are left.
    ConsumerQuorumLost = "advisory.v1.consumer_quorum_lost" to "ADVISORY.CONSUMER.QUORUM_LOST" stream consumer {
        /// The account, where the system account is told.
        account: &'a str, omit;
        /// The stream.
        stream: &'a str;
        /// The consumer.
        consumer: &'a str;
        /// Its servers.
        replicas: &'a [PeerInfo];
        /// The server's domain.
        domain: &'a str, omit;
    }
    /// A disk is full.
    OutOfStorage = "advisory.v1.server_out_of_space" to "ADVISORY.SERVER.OUT_OF_STORAGE" {
        /// The server.
        server: &'a str;
        /// Its id.
        server_id: &'a str;
        /// The stream that noticed.
        stream: &'a str, omit;
        /// The cluster.
        cluster: &'a str;
        /// The server's domain.
        domain: &'a str, omit;
    }
    /// A server was taken out.
    ServerRemoved = "advisory.v1.server_removed" to "ADVISORY.SERVER.REMOVED" {
        /// The server.
        server: &'a str;
        /// Its id.
        server_id: &'a str;
        /// The cluster.
        cluster: &'a str;
        /// The domain.
        domain: &'a str, omit;
    }
    /// The metadata needs fewer servers now.
    MetaRescued = "advisory.v1.meta_rescue" to "ADVISORY.SERVER.META_RESCUE" {
        /// The server.
        server: &'a str;
        /// Its id.
        server_id: &'a str;
        /// How many it needed.
        prev_quorum: i64;
        /// How many it needs.
        new_quorum: i64;
        /// The cluster.
        cluster: &'a str;
        /// The domain.
        domain: &'a str, omit;
    }
}

#[cfg(test)]
mod tests;
