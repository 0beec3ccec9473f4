//! Streams that are closed: a checkpoint has lost their configuration, their state or their consumers.
//!
//! *Invariant:* what is left of such a stream is shown to nobody, who might take it for all of it; its name
//! is not free. Whoever asks is told that it cannot be served now. Nothing is stored meanwhile, so that a
//! repair finds everything as it was.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;

use protocol::id::{AccountId, StreamId};
use protocol::js::errors::{self, ApiError};
use protocol::js::pub_ack::encode_refusal;

use crate::JetStream;
use crate::env::{Env, Inbound};
use crate::shared::{send, send_status};
use crate::stream::Stream;

/// What is told of them.
const REASON: &str = "JetStream stream is closed: a part of its checkpoint is damaged";
/// The answer to a publish whose stream is gone.
const NO_RESPONDERS: &[u8] = b"NATS/1.0 503\r\n\r\n";

/// The streams that are closed, with what is known of them; nothing where the configuration is lost.
#[derive(Debug, Default)]
pub(crate) struct Broken(BTreeMap<StreamId, Option<Box<Stream>>>);

impl Broken {
    pub(crate) fn has(&self, id: StreamId) -> bool {
        self.0.contains_key(&id)
    }

    /// Returns the streams of which the configuration is known.
    pub(crate) fn known_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.0.values_mut().filter_map(Option::as_deref_mut)
    }

    /// Forgets them; returns those of which the configuration is known.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = Box<Stream>> + use<> {
        core::mem::take(&mut self.0).into_values().flatten()
    }
}

impl JetStream {
    /// Closes a stream of which a section is lost.
    pub(crate) fn close_stream(&mut self, id: StreamId) {
        let stream = self.streams.remove(&id);
        let closed = self.broken.0.entry(id).or_default();
        *closed = closed.take().or(stream);
    }

    /// Returns why a stream of this name cannot be served though it may be there. A stream whose
    /// configuration is lost may have any name that no other has.
    pub(crate) fn is_closed(&self, account: AccountId, name: &str) -> Option<ApiError> {
        if self.broken.0.is_empty() || name.is_empty() {
            return None;
        }
        let is_closed = match self.shared.accounts.stream(account, name) {
            Some(id) => self.broken.has(id),
            None => self.broken.0.values().any(Option::is_none),
        };
        is_closed.then(|| errors::CLUSTER_NOT_AVAIL.with(REASON))
    }

    /// Answers a message for a stream that is not served.
    #[cold]
    pub(crate) fn refuse_publish(
        &mut self,
        account: AccountId,
        id: StreamId,
        msg: &Inbound<'_>,
        env: &mut impl Env,
    ) {
        let Some(Some(stream)) = self.broken.0.get(&id) else {
            return send_status(account, msg.reply, NO_RESPONDERS, env);
        };
        let error = errors::CLUSTER_NOT_AVAIL.with(REASON);
        let (name, options) = (stream.core.name(), &self.shared.options);
        self.shared.scratch.clear();
        encode_refusal(name, &options.domain, &error, &mut self.shared.scratch);
        send(account, msg.reply, &self.shared.scratch, env);
    }
}
