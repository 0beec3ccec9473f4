//! Applying committed entries: the only place where durable state changes, live and at recovery.
//!
//! *Invariant:* after each entry, everyone who waited for it or for something before it is served.

use alloc::boxed::Box;

use bytes::Bytes;
use protocol::id::{LogPos, StreamId};
use protocol::js::config::StreamConfig;
use protocol::js::enums::Retention;
use protocol::js::errors::{self, ApiError};
use protocol::js::json::{Strictness, decode};
use protocol::store::{Loc, ReadError, ReadId};

use crate::consumer::{ConsumerEntry, Consumers};
use crate::entry::{Entry, MsgDelete, Purge, StreamCreate, StreamUpdate, is_publish};
use crate::env::Env;
use crate::shared::{Answer, Reader, Waiter, send};
use crate::stream::{Purged, Stream, StreamCore};
use crate::timeout::Ends;
use crate::{JetStream, Removals};

/// What applying a change gave; the answer to whoever asked for it is made from this.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The stream was made.
    Created(StreamId),
    /// The stream was there already just so.
    Found(StreamId),
    /// The stream was changed.
    Updated(StreamId),
    /// The stream is gone.
    Deleted,
    /// Messages are gone.
    Purged(Purged),
    /// The message is gone.
    MsgDeleted,
}

impl JetStream {
    /// Applies a committed entry. Returns the bytes of an entry of the Memphis layer, which is not
    /// applied here.
    pub fn apply(
        &mut self,
        env: &mut impl Env,
        pos: LogPos,
        loc: Loc,
        entry: &Bytes,
    ) -> Option<Bytes> {
        if self.set_aside(pos, loc, entry, env) {
            return None;
        }
        self.apply_now(pos, loc, entry, env)
    }

    pub(crate) fn apply_now(
        &mut self,
        pos: LogPos,
        loc: Loc,
        entry: &Bytes,
        env: &mut impl Env,
    ) -> Option<Bytes> {
        let mut memphis = None;
        if is_publish(entry) {
            self.apply_publish(pos, loc, entry, env);
        } else {
            self.parts.clear();
            match Entry::decode(entry) {
                Ok(Entry::Memphis(bytes)) => memphis = Some(bytes),
                Ok(change) => self.apply_change(pos, change, env),
                Err(_) => self.unreadable += 1,
            }
        }
        self.shared.replies.applied(pos);
        self.release(pos, env);
        memphis
    }

    /// The disk has answered.
    pub fn read_done(
        &mut self,
        env: &mut impl Env,
        read: ReadId,
        result: Result<Bytes, ReadError>,
    ) {
        match self.shared.reads.remove(&read) {
            Some(Reader::Consumer(stream, consumer)) => {
                if let Some(stream) = self.streams.get_mut(&stream) {
                    let Stream {
                        core, consumers, ..
                    } = stream;
                    consumers.on_read(core, consumer, read, result, &mut self.shared, env);
                }
            }
            Some(Reader::Copy(stream, source, seq)) => {
                self.on_copy_read(stream, source, seq, result, env);
            }
            Some(Reader::Backup(backup, read)) => self.on_backup_read(backup, read, result),
            Some(Reader::Batch(batch, seq)) => self.on_batch_read(batch, seq, &result, env),
            Some(Reader::Total(stream, subject, seq)) => {
                self.on_total_read(stream, subject, seq, &result);
            }
            Some(Reader::Schedule(firing)) => self.on_schedule_read(*firing, result, env),
            Some(Reader::Parked(stream, seq)) => self.on_parked_read(stream, seq, result),
            Some(Reader::Get(answer, seq)) => self.answer_get(&answer, seq, &result, env),
            None => {}
        }
    }

    /// The store can take no more entries: everyone who waits for one is told, and whoever asks later.
    pub fn poison(&mut self, env: &mut impl Env, reason: &str) {
        let error = errors::STREAM_STORE_FAILED.with(reason);
        self.poisoned = Some(error.clone());
        self.fail_restores(&error, env);
        let mut reply = core::mem::take(&mut self.shared.reply);
        while let Some(waiter) = self.shared.replies.take_any(&mut reply) {
            match waiter {
                Waiter::Publish { account, .. } => {
                    self.shared.scratch.clear();
                    let domain = &self.shared.options.domain;
                    protocol::js::pub_ack::encode_refusal(
                        "",
                        domain,
                        &error,
                        &mut self.shared.scratch,
                    );
                    send(account, &reply, &self.shared.scratch, env);
                }
                Waiter::Change(answer) | Waiter::Read(answer) => {
                    self.refuse(&answer, &error, env);
                }
                // A confirmed ack that was not synced must not be confirmed; the client asks again.
                Waiter::Ack { .. } => {}
            }
        }
        self.shared.reply = reply;
    }

    /// What the store holds could not be read to its end: whatever is known of streams and consumers may
    /// be out of date, so nobody is told any of it.
    pub fn close(&mut self) {
        self.closed = true;
        self.poisoned = Some(errors::CLUSTER_NOT_AVAIL);
    }

    /// Serves the waiters that stand at or before `pos`.
    fn release(&mut self, pos: LogPos, env: &mut impl Env) {
        let mut reply = core::mem::take(&mut self.shared.reply);
        self.shared.replies.release();
        while let Some(waiter) = self.shared.replies.take(pos, &mut reply) {
            match waiter {
                Waiter::Read(answer) => {
                    self.api_again(answer, env);
                }
                Waiter::Ack { account, reply } => send(account, &reply, &[], env),
                // Their entry could not be read back; the store that gave it is beyond trust.
                Waiter::Publish { .. } | Waiter::Change(_) => {
                    debug_assert!(false, "taken when their entry was applied");
                }
            }
        }
        self.shared.reply = reply;
    }

    fn apply_change(&mut self, pos: LogPos, entry: Entry, env: &mut impl Env) {
        let (stream, consumer) = match entry {
            Entry::ConsumerCreate(c) => (c.stream, ConsumerEntry::Create(c)),
            Entry::ConsumerUpdate(c) => (c.stream, ConsumerEntry::Update(c)),
            Entry::ConsumerDelete { stream, consumer } => (stream, ConsumerEntry::Delete(consumer)),
            Entry::ConsumerDelta {
                stream,
                consumer,
                delta,
            } => (stream, ConsumerEntry::Delta(consumer, delta)),
            Entry::Expire { stream, cutoff } => {
                return self.apply_ends(stream, Ends::Aged(cutoff), env);
            }
            Entry::EndLives { stream, until } => {
                return self.apply_ends(stream, Ends::Lived(until), env);
            }
            Entry::StreamCreate(_)
            | Entry::StreamUpdate(_)
            | Entry::StreamDelete(_)
            | Entry::Purge(_)
            | Entry::MsgDelete(_) => {
                let waiter = self.shared.replies.take_change(pos);
                return self.apply_stream_change(&entry, waiter, env);
            }
            Entry::Consumed { stream, seq } => return self.apply_consumed(stream, seq),
            Entry::Released(released) => return self.apply_released(&released),
            Entry::RestoreBegin(_) | Entry::RestoreConsumer(_) | Entry::RestoreEnd(_) => {
                let outcome = self.apply_restore(&entry, env);
                if let Entry::RestoreEnd(end) = &entry {
                    self.on_restored(end.stream, outcome, env);
                }
                return;
            }
            Entry::Publish(_) | Entry::Memphis(_) => return,
        };
        self.apply_consumer(stream, pos, consumer, env);
    }

    fn apply_consumer(
        &mut self,
        stream: StreamId,
        pos: LogPos,
        entry: ConsumerEntry,
        env: &mut impl Env,
    ) {
        if let ConsumerEntry::Create(create) = &entry {
            self.shared.clock.observe(create.time);
            let next = &mut self.shared.next_consumer;
            *next = (*next).max(create.consumer.0 + 1);
        }
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.unsaved = true;
            let Stream {
                core, consumers, ..
            } = stream;
            consumers.apply(core, pos, entry, &mut self.shared, env);
            return;
        }
        // The stream went while the entry was under way.
        if let Some(answer) = self.shared.replies.take_change(pos) {
            self.refuse(&answer, &errors::STREAM_NOT_FOUND, env);
        }
    }

    /// Applies a change of a stream and answers whoever asked for it.
    pub(crate) fn apply_stream_change(
        &mut self,
        entry: &Entry,
        waiter: Option<Box<Answer>>,
        env: &mut impl Env,
    ) {
        let outcome = match entry {
            Entry::StreamCreate(create) => self.apply_create(create, env),
            Entry::StreamUpdate(update) => self.apply_update(update, env),
            Entry::StreamDelete(stream) => self.apply_delete(*stream, env),
            Entry::Purge(purge) => self.apply_purge(purge, env),
            Entry::MsgDelete(delete) => self.apply_msg_delete(*delete),
            Entry::Publish(_)
            | Entry::Expire { .. }
            | Entry::EndLives { .. }
            | Entry::ConsumerCreate(_)
            | Entry::ConsumerUpdate(_)
            | Entry::ConsumerDelete { .. }
            | Entry::ConsumerDelta { .. }
            | Entry::RestoreBegin(_)
            | Entry::RestoreConsumer(_)
            | Entry::RestoreEnd(_)
            | Entry::Consumed { .. }
            | Entry::Released(_)
            | Entry::Memphis(_) => return,
        };
        if let Some(answer) = waiter {
            self.answer_change(&answer, outcome, env);
        }
    }

    fn apply_create(
        &mut self,
        create: &StreamCreate,
        env: &mut impl Env,
    ) -> Result<Outcome, ApiError> {
        self.shared.clock.observe(create.time);
        self.shared.next_stream = self.shared.next_stream.max(create.stream.0 + 1);
        let name = alloc::string::String::from_utf8_lossy(&create.account);
        let account = self.shared.accounts.by_name(&name);
        let config: StreamConfig = decode(&create.config, Strictness::Lax)?;
        if let Some(existing) = self.check_create(account, &config)? {
            return Ok(Outcome::Found(existing));
        }
        let mut core = StreamCore::new(create.stream, account, config, create.time);
        core.set_outlet(self.has_outlet(account));
        if let Some(account) = self.shared.accounts.get_mut(account) {
            account.add(&core);
        }
        let mut stream = Stream::new(core, Consumers::default());
        if self.shared.live {
            stream.bind(env);
            self.followers.configure(&stream.core);
        }
        self.streams.insert(create.stream, Box::new(stream));
        Ok(Outcome::Created(create.stream))
    }

    fn apply_update(
        &mut self,
        update: &StreamUpdate,
        env: &mut impl Env,
    ) -> Result<Outcome, ApiError> {
        self.shared.clock.observe(update.time);
        let config: StreamConfig = decode(&update.config, Strictness::Lax)?;
        self.check_update(update.stream, &config)?;
        let Some(stream) = self.streams.get_mut(&update.stream) else {
            return Err(errors::STREAM_NOT_FOUND);
        };
        stream.unsaved = true;
        if !config.allow_atomic {
            self.open.forget(update.stream);
        }
        if !config.allow_batched {
            self.shared.fast.forget(update.stream);
        }
        stream.unbind(env);
        let Stream {
            core, consumers, ..
        } = stream;
        let shared = &mut self.shared;
        if let Some(account) = shared.accounts.get_mut(core.account()) {
            account.remove(core);
        }
        core.update(config, &mut Removals { consumers, shared });
        if let Some(account) = shared.accounts.get_mut(core.account()) {
            account.add(core);
        }
        consumers.on_updated(core, &mut self.shared);
        if self.shared.live {
            stream.bind(env);
            self.followers.reconfigure(&stream.core, env);
            self.shared.mark_dirty(update.stream);
            self.arm_expiry(update.stream, env);
            self.arm_schedules(update.stream, env);
        }
        Ok(Outcome::Updated(update.stream))
    }

    fn apply_delete(&mut self, id: StreamId, env: &mut impl Env) -> Result<Outcome, ApiError> {
        let mut stream = match (self.streams.remove(&id), self.broken.take(id)) {
            (Some(stream), _) | (None, Some(Some(stream))) => stream,
            (None, Some(None)) => {
                self.gone.push(id);
                self.holes.orphans.remove(&id);
                return Ok(Outcome::Deleted);
            }
            (None, None) => return Err(errors::STREAM_NOT_FOUND),
        };
        self.holes.orphans.remove(&id);
        if !stream.core.is_memory() {
            self.gone.push(id);
        }
        if stream.is_hidden {
            return Ok(Outcome::Deleted);
        }
        let Stream {
            core, consumers, ..
        } = &mut *stream;
        consumers.on_deleted(core, &mut self.shared, env);
        if let Some(account) = self.shared.accounts.get_mut(core.account()) {
            account.remove(core);
        }
        self.shared.timers.clear(crate::TimerKind::Expire(id));
        self.shared.timers.clear(crate::TimerKind::Schedules(id));
        self.open.forget(id);
        self.shared.fast.forget(id);
        self.followers.forget(id);
        self.parked_reads.forget(id);
        stream.unbind(env);
        Ok(Outcome::Deleted)
    }

    fn apply_purge(&mut self, purge: &Purge, env: &mut impl Env) -> Result<Outcome, ApiError> {
        let Some(stream) = self.streams.get_mut(&purge.stream) else {
            return Err(errors::STREAM_NOT_FOUND);
        };
        stream.unsaved = true;
        let Stream {
            core, consumers, ..
        } = stream;
        if core.config().sealed {
            return Err(errors::STREAM_SEALED);
        }
        if core.config().deny_purge && purge.keep != Purge::KEEP_ALL {
            return Err(errors::STREAM_PURGE_FAILED.with("stream purge not permitted"));
        }
        let had_first = core.has_first();
        let purged = core.purge(purge);
        let gained_first = core.has_first() != had_first;
        consumers.on_purged(
            core.cleared(&purge.filter, purged.only),
            core,
            &mut self.shared,
        );
        stream.unsaved |= gained_first;
        if self.shared.live {
            self.shared.mark_dirty(purge.stream);
            self.arm_expiry(purge.stream, env);
        }
        Ok(Outcome::Purged(purged))
    }

    fn apply_msg_delete(&mut self, delete: MsgDelete) -> Result<Outcome, ApiError> {
        let Some(stream) = self.streams.get_mut(&delete.stream) else {
            return Err(errors::STREAM_NOT_FOUND);
        };
        stream.unsaved = true;
        let Stream {
            core, consumers, ..
        } = stream;
        // Where acks remove messages, this may come from one, and a seal does not keep that; clients' requests
        // were checked before.
        if core.config().retention == Retention::Limits {
            core.check_msg_delete(delete.seq)?;
        }
        let shared = &mut self.shared;
        core.remove(delete.seq, &mut Removals { consumers, shared });
        if self.shared.live {
            self.shared.mark_dirty(delete.stream);
        }
        Ok(Outcome::MsgDeleted)
    }
}
