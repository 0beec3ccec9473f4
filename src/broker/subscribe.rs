//! `SUB` and `UNSUB`.

use alloc::boxed::Box;

use protocol::errors::ProtocolError;
use protocol::id::ConnId;
use protocol::subject;

use crate::conn::subs::Sub;
use crate::router::{SubRef, Target};
use crate::shard::Shard;

impl Shard {
    /// Makes a subscription, unless the client may not have it.
    pub(crate) fn on_subscribe(
        &mut self,
        id: ConnId,
        subject: &[u8],
        queue: Option<&[u8]>,
        sid: &[u8],
    ) {
        let limits = &self.options.config.limits;
        let Some(conn) = self.router.conns.get_mut(id) else {
            return;
        };
        let denied = ProtocolError::SubscribeDenied { subject, queue };
        if let Some(permit) = &mut conn.permit
            && !permit.may_subscribe(subject, queue)
        {
            self.router.tell(id, &denied);
            return self.log_denied_subscription(id, subject, queue, sid);
        }
        if let Some(fence) = conn.user.as_ref().and_then(|user| user.fence.as_ref()) {
            let streams = self.streams.as_ref();
            let streams = streams.into_iter();
            let overlapping =
                streams.flat_map(|streams| streams.overlapping(conn.account, subject));
            if !fence.may_subscribe(subject, overlapping) {
                self.router.tell(id, &denied);
                return self.log_denied_subscription(id, subject, queue, sid);
            }
        }
        let tokens_max = usize::from(limits.subscription_tokens_max);
        if tokens_max != 0 && subject::token_count(subject) > tokens_max {
            return self
                .router
                .tell(id, &ProtocolError::TooManyTokens { subject });
        }
        let account_max = self
            .router
            .accounts
            .get(conn.account)
            .and_then(|account| account.limits.subscriptions_max);
        let users = conn.user.as_ref().and_then(|u| u.limits.subscriptions_max);
        let account_max = account_max.into_iter().chain(users).min();
        let subs_max = match (limits.subscriptions_max, account_max) {
            (0, max) => max.unwrap_or(0),
            (server, max) => max.map_or(server, |max| max.min(server)),
        };
        if subs_max != 0 && conn.subs.len() >= subs_max as usize {
            return self.refuse(id, &ProtocolError::MaxSubscriptions);
        }
        // The first subscription under a name stays; asking again is no error.
        if conn.subs.find(sid).is_none() {
            let slot = conn.subs.insert(Sub {
                sid: Box::from(sid),
                subject: Box::from(subject),
                queue: queue.map(Box::from),
                delivered: 0,
                max: 0,
            });
            let target = Target::Sub(SubRef {
                conn: id.index,
                slot,
            });
            let account = conn.account;
            let made = self.router.subscribe(account, subject, queue, target);
            if made.is_err() {
                if let Some(conn) = self.router.conns.get_mut(id) {
                    conn.subs.remove(slot);
                }
                return self.router.tell(id, &ProtocolError::InvalidSubject);
            }
            self.router.note_interest(account, subject);
        }
        self.confirm(id);
    }

    /// Ends a subscription, at once or after a number of messages in total.
    pub(crate) fn on_unsubscribe(&mut self, id: ConnId, sid: &[u8], max: Option<u32>) {
        let Some(conn) = self.router.conns.get_mut(id) else {
            return;
        };
        if let Some(slot) = conn.subs.find(sid)
            && let Some(sub) = conn.subs.get_mut(slot)
        {
            sub.max = u64::from(max.unwrap_or(0));
            if sub.max == 0 || sub.is_spent() {
                self.router.remove_sub(id, slot);
            }
        }
        self.confirm(id);
    }

    /// Tells a client that it may not, and the operator too.
    pub(crate) fn refuse(&mut self, id: ConnId, error: &ProtocolError<'_>) {
        self.router.tell(id, error);
        self.log_error(id, error);
    }
}
