//! Messages are held against their station's schema before a stream gets them, whoever sends them.

use alloc::boxed::Box;
use alloc::string::String;

use memphis::station::Misfits;
use protocol::headers::Headers;
use protocol::id::{AccountId, ConnId, StreamId};
use protocol::message::Message;

use super::Streams;
use crate::router::Router;
use crate::stations::Misfit;

/// The header of a key-value bucket's markers, which have no value to judge.
const KV_OPERATION: &[u8] = b"KV-Operation";

impl Streams {
    /// Says whether a stream may have a message. One that breaks the schema is left to the Memphis
    /// layer, which tells the publisher.
    pub(super) fn lets_pass(
        &mut self,
        router: &mut Router,
        account: AccountId,
        stream: StreamId,
        msg: &Message<'_>,
        from: Option<ConnId>,
    ) -> bool {
        let stations = &mut self.stations;
        let core = |stream| Some(&self.machine.stream_by_id(stream)?.core);
        let guard = stations.guarded.guard(&mut stations.machine, stream, || {
            Some((router.accounts.name(account), core(stream)?.name()))
        });
        let Some(guard) = guard else {
            return true;
        };
        let Err(reason) = guard.check(msg.payload) else {
            return true;
        };
        if msg.payload.is_empty() && Headers::new(msg.headers).get(KV_OPERATION).is_some() {
            return true;
        }
        let is_stored = guard.misfits == Misfits::Store;
        let client = from.and_then(|id| router.conns.get(id));
        let client = client.map_or_else(String::new, |conn| conn.wishes.name.clone());
        let name = core(stream).map_or("", |core| core.name());
        router.mail.misfit(Misfit {
            account,
            stream: name.into(),
            // A message that is stored is acknowledged by its stream.
            reply: Box::from(if is_stored { b"" } else { msg.reply }),
            headers: Box::from(msg.headers),
            payload: Box::from(msg.payload),
            client,
            reason,
        });
        is_stored
    }
}
