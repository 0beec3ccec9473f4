//! Advisories: what happened, for whoever listens.
//!
//! *Invariant:* nothing is built when nobody listens.

use alloc::string::String;
use alloc::vec::Vec;

use protocol::id::AccountId;
use protocol::js::json::Writer;

use super::{Shared, send};
use crate::env::{ApiCall, Env};

/// Where every handled request is told about.
const AUDIT_SUBJECT: &str = "$JS.EVENT.ADVISORY.API";

/// Digits of an advisory's id.
const ID_LEN: usize = 22;

impl Shared {
    /// Publishes an advisory of the type `io.nats.jetstream.advisory.v1.<kind>`; `fields` writes what
    /// follows type, id and time.
    pub fn advise(
        &mut self,
        account: AccountId,
        subject: &str,
        kind: &str,
        env: &mut impl Env,
        fields: impl FnOnce(&mut Writer),
    ) {
        if !self.live || !env.has_interest(account, subject.as_bytes()) {
            return;
        }
        let mut id = [0; ID_LEN];
        env.rng().fill_base62(&mut id);
        let mut to = Writer::default();
        to.begin_object();
        to.key("type");
        to.plain_string(format_args!("io.nats.jetstream.advisory.v1.{kind}"));
        to.field("id", &*String::from_utf8_lossy(&id));
        to.field("timestamp", &env.now().wall);
        fields(&mut to);
        to.end_object();
        send(account, subject.as_bytes(), &to.into_bytes(), env);
    }

    /// Tells auditors about a request that has just been answered.
    pub(super) fn audit(&mut self, call: &ApiCall<'_>, response: &[u8], env: &mut impl Env) {
        if !self.live || !env.has_interest(call.account, AUDIT_SUBJECT.as_bytes()) {
            return;
        }
        let mut client = Vec::new();
        env.client_info(call.client, &mut client);
        let server = self.options.server_name.clone();
        let domain = self.options.domain.clone();
        self.advise(call.account, AUDIT_SUBJECT, "api_audit", env, |to| {
            to.field("server", &server);
            if let Ok(client) = core::str::from_utf8(&client)
                && !client.is_empty()
            {
                to.key("client");
                to.literal(client);
            }
            to.field("subject", &*String::from_utf8_lossy(call.msg.subject));
            to.field_if_set("request", &*String::from_utf8_lossy(call.msg.payload));
            to.field("response", &*String::from_utf8_lossy(response));
            to.field_if_set("domain", &domain);
        });
    }
}
