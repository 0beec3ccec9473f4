//! What the records of an archive become: entries of a stream that is not seen yet.

use bytes::{BufMut as _, BytesMut};
use protocol::id::{ConsumerId, LogPos, Seq};
use protocol::js::errors::{self, ApiError};
use protocol::store::Loc;
use protocol::time::Wall;

use super::super::ArchiveError;
use super::super::record::{self, Record};
use super::Taking;
use crate::JetStream;
use crate::consumer::is_whole;
use crate::entry::{ConsumerCreate, Entry, Publish, RestoreConsumer, RestoreEnd};
use crate::env::{Env, Inbound, Purpose};
use crate::shared::Scope;

impl JetStream {
    pub(super) fn take_chunk(
        &mut self,
        taking: &mut Taking,
        chunk: &[u8],
        env: &mut impl Env,
    ) -> Result<(), ApiError> {
        taking.bytes += chunk.len() as u64;
        taking.unframer.push(chunk).map_err(refused)?;
        if !taking.is_marked {
            taking.is_marked = record::take_mark(&mut taking.unframer.data).map_err(refused)?;
        }
        while taking.is_marked {
            let taken = record::take(&mut taking.unframer.data).map_err(refused)?;
            let Some(record) = taken else { break };
            self.take_record(taking, record, env)?;
        }
        Ok(())
    }

    fn take_record(
        &mut self,
        taking: &mut Taking,
        record: Record,
        env: &mut impl Env,
    ) -> Result<(), ApiError> {
        let is_first = taking.created == Wall(0);
        if is_first != matches!(record, Record::Stream { .. }) || taking.end.is_some() {
            return Err(refused(ArchiveError::Damaged));
        }
        match record {
            Record::Stream { created, name } => {
                if *name != *taking.party.name.as_bytes() {
                    return Err(refused(ArchiveError::Name));
                }
                taking.created = created.max(Wall(1));
            }
            Record::Message {
                seq,
                time,
                subject,
                headers,
                payload,
            } => {
                let msg = Inbound {
                    subject: &subject,
                    reply: b"",
                    headers: &headers,
                    payload: &payload,
                };
                self.take_message(taking, seq, time, &msg, env)?;
            }
            Record::Source { key, seq } => {
                taking.sources.put_u64_le(key.0);
                taking.sources.put_u64_le(seq.0);
            }
            Record::Consumer {
                created,
                name,
                config,
                state,
            } => {
                taking.consumers += 1;
                let consumer: ConsumerId = self.shared.allocate_consumer();
                let create = ConsumerCreate {
                    stream: taking.party.stream,
                    consumer,
                    time: created,
                    name,
                    config,
                };
                let restore = RestoreConsumer { create, state };
                if !is_whole(&restore) {
                    return Err(refused(ArchiveError::Damaged));
                }
                let entry = Entry::RestoreConsumer(restore);
                self.log_restore(taking, &entry, env)?;
            }
            Record::End {
                last,
                last_time,
                messages,
                consumers,
            } => {
                let is_all = messages == taking.messages && consumers == taking.consumers;
                if !is_all || last < taking.last {
                    return Err(refused(ArchiveError::Damaged));
                }
                taking.end = Some((last, last_time));
            }
        }
        Ok(())
    }

    fn take_message(
        &mut self,
        taking: &mut Taking,
        seq: Seq,
        time: Wall,
        msg: &Inbound<'_>,
        env: &mut impl Env,
    ) -> Result<(), ApiError> {
        if seq <= taking.last || msg.subject.len() > usize::from(u16::MAX) {
            return Err(refused(ArchiveError::Damaged));
        }
        taking.last = seq;
        taking.messages += 1;
        // A clock that was ahead where the message was stored must not set this one.
        let time = time.min(env.now().wall);
        self.log_restored(taking, seq, time, msg, env)
    }

    /// Everything has come: the stream becomes visible with its last entry.
    pub(super) fn take_end(
        &mut self,
        taking: &mut Taking,
        reply: &[u8],
        env: &mut impl Env,
    ) -> Result<(), ApiError> {
        let is_whole = taking.unframer.is_whole() && taking.unframer.data.is_empty();
        let Some((last, last_time)) = taking.end.filter(|_| is_whole) else {
            return Err(refused(ArchiveError::Incomplete));
        };
        let end = RestoreEnd {
            stream: taking.party.stream,
            created: taking.created,
            last,
            last_time: last_time.min(env.now().wall),
            sources: taking.sources.split().freeze(),
        };
        taking.finishing = Some(reply.into());
        let entry = Entry::RestoreEnd(end);
        if taking.is_memory {
            let outcome = self.apply_restore(&entry, env);
            taking.finishing = None;
            outcome?;
            self.end_restore(taking, reply, Ok(()), env);
            return Ok(());
        }
        let pos = self.log_restore(taking, &entry, env)?;
        self.shared.replies.note_change(pos, Scope::Everything);
        Ok(())
    }

    /// Proposes an entry of a restored stream, or applies it at once if it is kept in memory.
    pub(super) fn log_restore(
        &mut self,
        taking: &Taking,
        entry: &Entry,
        env: &mut impl Env,
    ) -> Result<LogPos, ApiError> {
        if taking.is_memory {
            self.apply_restore(entry, env)?;
            return Ok(LogPos(0));
        }
        self.log(&entry.to_bytes(), env)
    }

    fn log_restored(
        &mut self,
        taking: &Taking,
        seq: Seq,
        time: Wall,
        msg: &Inbound<'_>,
        env: &mut impl Env,
    ) -> Result<(), ApiError> {
        let mut entry = BytesMut::new();
        Publish::encode_restored(&mut entry, taking.party.stream, time, seq, msg);
        let entry = entry.freeze();
        if taking.is_memory {
            self.apply_restored(Loc::from_bits(0), &entry);
            return Ok(());
        }
        self.log(&entry, env).map(|_| ())
    }

    fn log(&mut self, entry: &[u8], env: &mut impl Env) -> Result<LogPos, ApiError> {
        if let Some(error) = &self.poisoned {
            return Err(error.clone());
        }
        if !env.has_room(entry.len(), Purpose::Store) {
            return Err(errors::INSUFFICIENT_RESOURCES);
        }
        let pos = env.propose(|out| out.extend_from_slice(entry));
        self.shared.replies.proposed(pos);
        Ok(pos)
    }
}

fn refused(error: ArchiveError) -> ApiError {
    errors::STREAM_RESTORE.with(error)
}
