//! Advisories: what happened, for whoever listens.
//!
//! *Invariant:* nothing is encoded when nobody listens.

use alloc::string::String;

use bytes::BytesMut;
use protocol::encode::BLANK_REPLY;
use protocol::id::AccountId;
use protocol::js::advisory::{ApiAudit, Event, encode_event};

use super::Shared;
use crate::env::{ApiCall, Env, Outgoing};

/// Where every handled request is told about.
const AUDIT_SUBJECT: &[u8] = b"$JS.EVENT.ADVISORY.API";

/// Digits of an advisory's id.
const ID_LEN: usize = 22;

impl Shared {
    /// Publishes an advisory.
    pub(crate) fn advise(&mut self, account: AccountId, event: &impl Event, env: &mut impl Env) {
        self.publish(account, event, b"", env);
    }

    /// Publishes an advisory that nats-server sends as the server itself, not as one of its streams:
    /// clients see an empty reply token.
    pub(crate) fn advise_as_server(
        &mut self,
        account: AccountId,
        event: &impl Event,
        env: &mut impl Env,
    ) {
        self.publish(account, event, BLANK_REPLY, env);
    }

    fn publish(
        &mut self,
        account: AccountId,
        event: &impl Event,
        reply: &[u8],
        env: &mut impl Env,
    ) {
        if !self.live {
            return;
        }
        let mut subject = BytesMut::new();
        event.write_subject(&mut subject);
        if !env.has_interest(account, &subject) {
            return;
        }
        let id = advisory_id(env);
        let body = encode_event(event, &id, env.now().wall);
        let msg = Outgoing {
            subject: &subject,
            reply,
            payload: &body,
            ..Outgoing::default()
        };
        env.deliver(account, &subject, msg);
    }

    /// Tells auditors about a request that has just been answered.
    pub(super) fn audit(&mut self, call: &ApiCall<'_>, response: &[u8], env: &mut impl Env) {
        if !self.live || !env.has_interest(call.account, AUDIT_SUBJECT) {
            return;
        }
        let client = env.client_info(call.client);
        let (server, domain) = (
            self.options.server_name.clone(),
            self.options.domain.clone(),
        );
        let audit = ApiAudit {
            server: &server,
            client: client.as_ref(),
            subject: &String::from_utf8_lossy(call.msg.subject),
            request: &String::from_utf8_lossy(call.msg.payload),
            response: &String::from_utf8_lossy(response),
            domain: &domain,
        };
        let id = advisory_id(env);
        let body = encode_event(&audit, &id, env.now().wall);
        let msg = Outgoing {
            subject: AUDIT_SUBJECT,
            reply: BLANK_REPLY,
            payload: &body,
            ..Outgoing::default()
        };
        env.deliver(call.account, AUDIT_SUBJECT, msg);
    }
}

fn advisory_id(env: &mut impl Env) -> String {
    let mut id = [0; ID_LEN];
    env.rng().fill_base62(&mut id);
    String::from_utf8_lossy(&id).into_owned()
}
