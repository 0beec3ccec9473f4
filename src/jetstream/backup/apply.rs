//! The entries of a restored stream: applied to a stream that nobody can see yet.
//!
//! *Invariant:* only the last entry makes the stream visible. A stream without it is removed by a
//! restart, and by whoever gave it up before.

use alloc::boxed::Box;

use bytes::{Buf as _, Bytes};
use protocol::id::{Seq, StreamId};
use protocol::js::config::StreamConfig;
use protocol::js::errors::{self, ApiError};
use protocol::js::json::{Strictness, decode};
use protocol::store::Loc;

use crate::consumer::Consumers;
use crate::entry::{Entry, RestoreEnd, Role, SourceKey, Stored, StreamCreate};
use crate::env::Env;
use crate::stream::{Stream, StreamCore};
use crate::{JetStream, Removals};

impl JetStream {
    /// Applies one of the entries `Restore…`.
    pub(crate) fn apply_restore(
        &mut self,
        entry: &Entry,
        env: &mut impl Env,
    ) -> Result<(), ApiError> {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "only the entries of a restored stream come here"
        )]
        match entry {
            Entry::RestoreBegin(create) => self.begin_restored(create),
            Entry::RestoreConsumer(restore) => {
                let create = &restore.create;
                let next = &mut self.shared.next_consumer;
                *next = (*next).max(create.consumer.0 + 1);
                if let Some(stream) = self.hidden(create.stream) {
                    let adopted = stream.consumers.adopt(&stream.core, restore);
                    debug_assert!(adopted.is_some(), "checked before it was logged");
                }
                Ok(())
            }
            Entry::RestoreEnd(end) => self.end_restored(end, env),
            _ => Ok(()),
        }
    }

    /// Applies a message of a restored stream.
    pub(crate) fn apply_restored(&mut self, loc: Loc, entry: &Bytes) {
        let Ok(msg) = Stored::of(entry) else {
            self.unreadable += 1;
            return;
        };
        if let Some(stream) = self.hidden(msg.stream)
            && let Role::Restored(seq) = msg.role
        {
            stream.core.take_restored(&msg, seq, loc);
            self.shared.room.forget();
        }
    }

    /// Removes what the last run did not finish. Comes when recovery is over.
    pub(crate) fn drop_hidden(&mut self, env: &mut impl Env) {
        let hidden = self.streams.values().filter(|stream| stream.is_hidden);
        let ids: alloc::vec::Vec<StreamId> = hidden.map(|stream| stream.core.id()).collect();
        for id in ids {
            let pos = env.propose(|out| Entry::StreamDelete(id).encode(out));
            self.shared.replies.proposed(pos);
        }
    }

    fn begin_restored(&mut self, create: &StreamCreate) -> Result<(), ApiError> {
        self.shared.clock.observe(create.time);
        self.shared.next_stream = self.shared.next_stream.max(create.stream.0 + 1);
        let name = alloc::string::String::from_utf8_lossy(&create.account);
        let account = self.shared.accounts.by_name(&name);
        let config: StreamConfig = decode(&create.config, Strictness::Lax)?;
        let mut core = StreamCore::new(create.stream, account, config, create.time);
        core.set_outlet(self.has_outlet(account));
        let mut stream = Stream::new(core, Consumers::default());
        stream.is_hidden = true;
        self.streams.insert(create.stream, Box::new(stream));
        Ok(())
    }

    fn hidden(&mut self, id: StreamId) -> Option<&mut Stream> {
        let stream = self.streams.get_mut(&id)?;
        if !stream.is_hidden {
            return None;
        }
        stream.unsaved = true;
        Some(stream)
    }

    fn end_restored(&mut self, end: &RestoreEnd, env: &mut impl Env) -> Result<(), ApiError> {
        let gone = || errors::STREAM_NOT_FOUND;
        let core = &self.hidden(end.stream).ok_or_else(gone)?.core;
        let (account, config) = (core.account(), core.config().clone());
        // The name or the subjects may have been taken since.
        if self.check_create(account, &config)?.is_some() {
            return Err(errors::STREAM_NAME_EXIST_RESTORE_FAILED);
        }
        let stream = self.streams.get_mut(&end.stream).ok_or_else(gone)?;
        stream.is_hidden = false;
        let shared = &mut self.shared;
        let Stream {
            core, consumers, ..
        } = stream;
        core.end_restored(end.created, end.last, end.last_time);
        let mut sources = end.sources.clone();
        while let (Ok(key), Ok(seq)) = (sources.try_get_u64_le(), sources.try_get_u64_le()) {
            core.set_copied(SourceKey(key), Seq(seq));
        }
        core.enforce_limits(&mut Removals { consumers, shared });
        if let Some(account) = self.shared.accounts.get_mut(account) {
            account.add(core);
        }
        if self.shared.live {
            stream.bind(env);
            self.followers.configure(&stream.core);
            let Stream {
                core, consumers, ..
            } = stream;
            consumers.on_recovered(core, &mut self.shared, env);
            self.shared.mark_dirty(end.stream);
            self.arm_expiry(end.stream, env);
            self.arm_schedules(end.stream, env);
        }
        Ok(())
    }
}
