//! The consumer that a mirror or a source has of an origin whose acks remove messages: it is made before
//! anything is copied, follows what has been copied, and goes with what it was made for.
//!
//! *Invariant:* only what the copying stream has taken in is acknowledged, and how far that is stands in that
//! stream: after a restart all of that is acknowledged again, and nothing else.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use protocol::id::{Seq, StreamId};
use protocol::js::config::{ConsumerConfig, Metadata, StreamSource};
use protocol::js::enums::{AckPolicy, DeliverPolicy, Retention};
use protocol::text::duration::Nanos;

use super::{Followers, HEARTBEAT, Upstream};
use crate::JetStream;
use crate::consumer::{Standing, deliver_subject, token};
use crate::env::Env;
use crate::shared::Shared;
use crate::stream::{Stream, StreamCore};

/// Most messages that may be under way to a copy.
const ACKS_PENDING_MAX: i64 = 1000;
/// What external mirrors and sources have messages delivered below where nothing else is said.
const MIRROR_DELIVERY: &str = "$JS.M";
const SOURCE_DELIVERY: &str = "$JS.S";

impl Upstream {
    /// Returns below which subject messages are delivered to it in NATS.
    pub(super) fn delivery(&self) -> &str {
        let external = self.source.external.as_ref();
        match (external.map_or("", |e| e.deliver.as_str()), self.is_mirror) {
            ("", true) => MIRROR_DELIVERY,
            ("", false) => SOURCE_DELIVERY,
            (deliver, _) => deliver,
        }
    }

    /// Returns whether what is copied from `origin` is acknowledged there.
    fn is_consuming(&self, origin: &Stream) -> bool {
        origin.core.config().retention != Retention::Limits && self.source.consumer.is_none()
    }

    /// Returns the name of its consumer, for the stream `core`.
    fn consumer_name(&self, core: &StreamCore, shared: &Shared) -> String {
        let account = account_name(core, shared);
        let text = alloc::format!("{} {account}", core.name());
        if self.is_mirror {
            return alloc::format!("JS_MIRROR_{}", token(&text));
        }
        let text = alloc::format!("{text} {:x}", self.key.0);
        alloc::format!("JS_SRC_{}", token(&text))
    }

    /// Returns what its consumer is to be.
    fn consumer_config(&self, name: &str, core: &StreamCore, shared: &Shared) -> ConsumerConfig {
        let source = &self.source;
        let copied = self.behind(core);
        let start_seq = if copied.0 > 0 {
            copied.next().0
        } else {
            source.opt_start_seq
        };
        let start_time = self.start_time().filter(|_| start_seq == 0);
        let deliver_policy = match (start_seq, start_time) {
            (0, None) => DeliverPolicy::All,
            (0, Some(_)) => DeliverPolicy::ByStartTime,
            (_, _) => DeliverPolicy::ByStartSequence,
        };
        let mut subjects = wanted_subjects(source);
        let filter_subject = match subjects.as_slice() {
            [_] => subjects.pop().unwrap_or_default(),
            _ => String::new(),
        };
        ConsumerConfig {
            durable_name: name.into(),
            name: name.into(),
            deliver_policy,
            opt_start_seq: start_seq,
            opt_start_time: start_time,
            ack_policy: AckPolicy::FlowControl,
            max_deliver: -1,
            filter_subject,
            filter_subjects: subjects,
            max_ack_pending: ACKS_PENDING_MAX,
            flow_control: true,
            deliver_subject: deliver_subject(self.delivery(), name),
            idle_heartbeat: Nanos(i64::try_from(HEARTBEAT.as_nanos()).unwrap_or(i64::MAX)),
            sourcing: true,
            metadata: self.consumer_metadata(core, shared),
            ..ConsumerConfig::default()
        }
    }

    fn consumer_metadata(&self, core: &StreamCore, shared: &Shared) -> Metadata {
        let kind = if self.is_mirror { "mirror" } else { "src" };
        let pairs = [("acc", account_name(core, shared)), ("stream", core.name())];
        let pairs = pairs.map(|(key, value)| (alloc::format!("_nats.{kind}.{key}"), value.into()));
        pairs.into_iter().collect()
    }
}

impl JetStream {
    /// Sees to the consumer of an origin whose acks remove messages; false if it is not there yet.
    pub(super) fn can_take(
        &mut self,
        id: StreamId,
        origin: StreamId,
        upstream: &mut Upstream,
        env: &mut impl Env,
    ) -> bool {
        let from = self.streams.get(&origin);
        if from.is_some_and(|from| upstream.is_consuming(from)) {
            return self.consume(id, origin, upstream, env);
        }
        upstream.consumer = None;
        self.acknowledge(id, origin, upstream, env);
        true
    }

    /// Acknowledges what a source has brought on the consumer of the origin that it names.
    fn acknowledge(
        &mut self,
        id: StreamId,
        origin: StreamId,
        upstream: &Upstream,
        env: &mut impl Env,
    ) {
        let Some(named) = &upstream.source.consumer else {
            return;
        };
        let copied = self.streams.get(&id);
        let copied = copied.map_or(Seq(0), |stream| upstream.behind(&stream.core));
        if let Some(from) = self.streams.get_mut(&origin) {
            let Stream {
                core, consumers, ..
            } = from;
            let shared = &mut self.shared;
            consumers.on_copied(&named.name, copied, core, shared, env);
        }
    }

    /// Brings the consumer of a source to where the source is, and makes it if there is none. False if
    /// nothing can be copied now.
    fn consume(
        &mut self,
        id: StreamId,
        origin: StreamId,
        upstream: &mut Upstream,
        env: &mut impl Env,
    ) -> bool {
        let shared = &mut self.shared;
        let Some(core) = self.streams.get(&id).map(|stream| &stream.core) else {
            return false;
        };
        if upstream.consumer.is_none() {
            upstream.consumer = Some(upstream.consumer_name(core, shared));
        }
        let Some(name) = upstream.consumer.as_deref() else {
            return false;
        };
        let copied = upstream.behind(core);
        let from = self.streams.get(&origin).map(|from| &from.consumers);
        match from.map(|from| from.standing(name, env.now().wall)) {
            Some(Standing::Ready) => {}
            Some(Standing::Paused) => {
                self.pause(id, upstream, env);
                return false;
            }
            Some(Standing::Missing) if !shared.replies.is_under_way(upstream.making) => {
                let config = upstream.consumer_config(name, core, shared);
                if let Some(from) = self.streams.get_mut(&origin) {
                    let Stream {
                        core, consumers, ..
                    } = from;
                    upstream.making = consumers.make_copying(config, core, shared, env);
                }
                return upstream.making.is_none();
            }
            Some(Standing::Missing | Standing::Taken) | None => return false,
        }
        if let Some(from) = self.streams.get_mut(&origin) {
            let Stream {
                core, consumers, ..
            } = from;
            consumers.on_copied(name, copied, core, shared, env);
        }
        true
    }

    /// Ends the consumers of mirrors and sources that are no more.
    pub(super) fn end_strays(&mut self, env: &mut impl Env) {
        // A stream that cannot be read goes on copying once it is mended.
        if self.broken.is_any() {
            return;
        }
        let wanted = self.wanted_consumers();
        for stream in self.streams.values_mut().filter(|s| !s.is_hidden) {
            let Stream {
                core, consumers, ..
            } = stream;
            consumers.end_copying(&wanted, core, &mut self.shared, env);
        }
        self.followers.has_strays = false;
    }

    /// Returns the names of the consumers of all mirrors and sources, each with that of its origin.
    fn wanted_consumers(&self) -> BTreeMap<String, String> {
        let Followers { upstreams, .. } = &self.followers;
        let mut wanted = BTreeMap::new();
        for (id, upstreams) in upstreams {
            let Some(core) = self.streams.get(id).map(|stream| &stream.core) else {
                continue;
            };
            wanted.extend(upstreams.iter().map(|upstream| {
                let name = upstream.consumer_name(core, &self.shared);
                (name, upstream.source.name.clone())
            }));
        }
        wanted
    }
}

/// Returns the subjects that a source wants; none for all.
pub(super) fn wanted_subjects(source: &StreamSource) -> Vec<String> {
    let subjects = source.subject_transforms.iter().map(|t| &t.src);
    let subjects = subjects.chain([&source.filter_subject]);
    subjects.filter(|s| !s.is_empty()).cloned().collect()
}

fn account_name<'a>(core: &StreamCore, shared: &'a Shared) -> &'a str {
    let account = shared.accounts.get(core.account());
    account.map_or("", |account| &*account.name)
}
