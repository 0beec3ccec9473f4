//! What is told about mirrors and sources.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use protocol::id::{AccountId, Seq, StreamId};
use protocol::js::errors;
use protocol::js::info::SourceInfo;
use protocol::text::duration::Nanos;
use protocol::time::Now;

use super::through::Passage;
use super::{HEARTBEAT, Upstream};
use crate::JetStream;
use crate::stream::Stream;

/// An origin is told to be missing only so long after it was first looked for: as long as nats-server's
/// streams take to ask for it.
const MISSING_AFTER: Duration = Duration::from_millis(125);

impl JetStream {
    /// Returns the name of a mirror that answers direct gets in the name of its origin, which does not.
    pub(crate) fn mirror_for(&self, account: AccountId, origin: &str) -> Option<String> {
        let stands_in = |upstream: &Upstream| {
            upstream.is_mirror && upstream.has_caught_up && upstream.source.name == origin
        };
        let mut streams = self
            .followers
            .upstreams
            .iter()
            .filter_map(|(id, upstreams)| {
                let core = &self.streams.get(id)?.core;
                (upstreams.iter().any(stands_in) && core.account() == account).then_some(core)
            });
        let mirror = streams.find(|core| core.config().mirror_direct)?;
        Some(mirror.name().into())
    }

    /// Returns how many mirrors and sources copy from a stream: in NATS each is a consumer of it.
    pub(crate) fn copying_from(&self, origin: StreamId) -> usize {
        let upstreams = self.followers.upstreams.values().flatten();
        let copying = upstreams.filter(|one| {
            // What has a consumer of its own is counted as that.
            one.origin == Some(origin) && one.active.is_some() && one.consumer.is_none()
        });
        copying.count()
    }

    /// Returns what INFO tells about the mirror and the sources of a stream.
    pub(crate) fn source_infos(
        &self,
        stream: &Stream,
        now: Now,
    ) -> (Option<SourceInfo>, Vec<SourceInfo>) {
        let upstreams = self.followers.upstreams.get(&stream.core.id());
        let infos = upstreams.into_iter().flatten();
        let infos = infos.map(|upstream| (upstream, self.source_info(stream, upstream, now)));
        let (mirror, sources): (Vec<_>, Vec<_>) =
            infos.partition(|(upstream, _)| upstream.is_mirror);
        let mirror = mirror.into_iter().map(|(_, info)| info).next();
        (mirror, sources.into_iter().map(|(_, info)| info).collect())
    }

    fn source_info(&self, stream: &Stream, upstream: &Upstream, now: Now) -> SourceInfo {
        let source = &upstream.source;
        let found = self.origin_of(&stream.core, upstream);
        let passage = found.map(|origin| upstream.passage(origin));
        let origin = found.map(|origin| &origin.core);
        let copied = upstream.behind(&stream.core);
        let mut from = copied.next().max(Seq(source.opt_start_seq));
        if let (Some(time), Some(origin)) =
            (upstream.start_time().filter(|_| copied.0 == 0), origin)
        {
            from = origin.index.first_since(time);
        }
        if upstream.origin.is_some() && upstream.in_flight == 0 {
            from = upstream.next;
        }
        // Nothing is known before the first look at the origin.
        let seen = origin.filter(|_| upstream.origin.is_some());
        // Of another account's streams nothing is known before that.
        let asked = source.external.is_none() || upstream.exporter.is_some();
        let asked = asked
            && upstream
                .missing
                .is_some_and(|at| now.mono >= at + MISSING_AFTER);
        let active = upstream.active.map(|at| now.mono.since(at).as_nanos());
        // An origin that is there is in touch, however long ago it had a message.
        let active = active.map(|ns| seen.map_or(ns, |_| ns % HEARTBEAT.as_nanos()));
        let ahead = seen.map_or(0, |o| o.index.num_pending(&upstream.filters, from));
        SourceInfo {
            name: source.name.clone(),
            external: source.external.clone(),
            lag: if upstream.is_paused && !upstream.is_mirror {
                // nats-server counts what comes behind the message that it tries, and one less.
                ahead.saturating_sub(2)
            } else {
                ahead
            },
            seq: if upstream.is_mirror {
                0
            } else {
                upstream.held(&stream.core).0
            },
            active: Nanos(active.map_or(-1, |ns| i64::try_from(ns).unwrap_or(i64::MAX))),
            error: match passage {
                _ if !asked => None,
                None => Some(errors::STREAM_NOT_FOUND),
                Some(Passage::Refused) => Some(upstream.refusal()),
                Some(Passage::Open | Passage::Awaited) => None,
            },
            // A mirror's filter is told from the time when its origin is first asked.
            filter_subject: if upstream.is_mirror && upstream.is_new() && !asked {
                String::new()
            } else {
                source.filter_subject.clone()
            },
            subject_transforms: source.subject_transforms.clone(),
        }
    }
}
