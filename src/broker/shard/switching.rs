//! JetStream going off in a shard that runs on, and coming back.
//!
//! *Invariant:* nobody is read from meanwhile: whoever drives the shard pauses its connections before
//! [`Input::CloseStreams`](crate::Input::CloseStreams), or before the configuration that switches JetStream on, and
//! until the shard is ready again.

use alloc::vec::Vec;

use protocol::id::ConnId;
use storage::StoreKey;

use super::Shard;
use crate::router::Target;
use crate::streams::Streams;

impl Shard {
    /// Takes over what the store is encrypted with that the next configuration may switch on.
    pub fn set_store_key(&mut self, key: Option<StoreKey>) {
        self.options.store.key = key;
    }

    /// Tells those who wait for messages that none come, and sends everything on its way to the disk.
    pub(crate) fn rest_streams(&mut self) {
        self.with_streams(|streams, router, _| streams.tell_shutdown(router));
        self.pump();
        self.with_streams(|streams, _, ops| streams.on_shutdown(ops));
        self.sweep();
    }

    /// Takes over what another configuration says of JetStream.
    pub(crate) fn reload_streams(&mut self) {
        let config = &self.options.config;
        match (&mut self.streams, config.jetstream.enabled) {
            (Some(streams), true) => streams.reload(config, &self.identity, &mut self.router),
            (Some(_), false) => self.drop_streams(),
            (None, true) => {
                // Another seed than the first time: names drawn then may still be in use.
                let seed = self.rng.next_u64();
                let (options, router) = (&self.options, &mut self.router);
                let streams = Streams::new(options, &self.identity, &self.auth, router, seed);
                self.streams = Some(streams);
                self.herald.stats_wanted = true;
            }
            (None, false) => {}
        }
    }

    /// Lets go of streams and their store, as if they had never been there.
    fn drop_streams(&mut self) {
        let Some(streams) = self.streams.take() else {
            return;
        };
        for (account, stream, subject) in streams.subjects() {
            let target = Target::Stream(stream);
            self.router.unsubscribe(account, &subject, None, target);
        }
        self.router.forwards.clear();
        self.router.interest_changes.clear();
        self.router.watch_interest = false;
        self.herald.stats_wanted = true;
        let held = self.router.conns.iter().filter(|conn| conn.held);
        let held: Vec<ConnId> = held.map(|conn| conn.id).collect();
        for id in held {
            self.router.let_go(id);
        }
    }
}
