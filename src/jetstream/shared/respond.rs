//! Sending answers of the API, counting them, and telling auditors.

use protocol::id::AccountId;
use protocol::js::api::ApiKind;
use protocol::js::errors::ApiError;
use protocol::js::response::{encode_error, encode_response};

use super::Shared;
use crate::env::{ApiCall, Env, Outgoing};

impl Shared {
    /// Answers a request.
    pub fn respond(
        &mut self,
        call: &ApiCall<'_>,
        kind: ApiKind,
        body: &impl protocol::js::json::Fields,
        env: &mut impl Env,
    ) {
        let response = encode_response(kind, body);
        send(call.account, call.msg.reply, &response, env);
        self.audit(call, &response, env);
    }

    /// Answers a request with an error.
    pub fn respond_error(
        &mut self,
        call: &ApiCall<'_>,
        kind: ApiKind,
        error: &ApiError,
        env: &mut impl Env,
    ) {
        if let Some(account) = self.accounts.get_mut(call.account) {
            account.api.errors += 1;
        }
        let response = encode_error(kind, error);
        send(call.account, call.msg.reply, &response, env);
        self.audit(call, &response, env);
    }
}

/// Sends a body to a reply subject, if there is one.
pub fn send(account: AccountId, reply: &[u8], body: &[u8], env: &mut impl Env) {
    if reply.is_empty() {
        return;
    }
    let msg = Outgoing {
        subject: reply,
        payload: body,
        ..Outgoing::default()
    };
    env.deliver(account, reply, msg);
}

/// Sends a status without a body to a reply subject, if there is one.
pub fn send_status(account: AccountId, reply: &[u8], headers: &[u8], env: &mut impl Env) {
    if reply.is_empty() {
        return;
    }
    let msg = Outgoing {
        subject: reply,
        headers,
        ..Outgoing::default()
    };
    env.deliver(account, reply, msg);
}
