//! Sending answers of the API, counting them, and telling auditors.

use protocol::id::AccountId;
use protocol::js::api::ApiKind;
use protocol::js::errors::{self, ApiError};
use protocol::js::response::{encode_error, encode_response};

use super::Shared;
use crate::env::{ApiCall, Env, Outgoing};

impl Shared {
    /// Answers a request; the header block may be empty.
    pub fn respond(
        &mut self,
        call: &ApiCall<'_>,
        kind: ApiKind,
        headers: &[u8],
        body: &impl protocol::js::json::Fields,
        env: &mut impl Env,
    ) {
        let response = encode_response(kind, body);
        send_with(call.account, call.msg.reply, headers, &response, env);
        // A message that was found is neither counted nor audited, as in NATS; nor is a reset, for which
        // the consumer answers itself.
        if matches!(kind, ApiKind::MsgGet | ApiKind::ConsumerReset) {
            return;
        }
        self.count(call.account, 0);
        self.audit(call, &response, env);
    }

    /// Answers a request with an error.
    pub(crate) fn respond_error(
        &mut self,
        call: &ApiCall<'_>,
        kind: ApiKind,
        error: &ApiError,
        env: &mut impl Env,
    ) {
        let response = encode_error(kind, error);
        send(call.account, call.msg.reply, &response, env);
        // What nats-server's store says of a message to delete counts as no error.
        let is_told = error.is(&errors::SEQUENCE_NOT_FOUND)
            || (kind == ApiKind::MsgDelete
                && error.is(&errors::STREAM_MSG_DELETE_FAILED)
                && !error.description.contains("not permitted"));
        if kind == ApiKind::ConsumerReset {
            return;
        }
        self.count(call.account, u64::from(!is_told));
        self.audit(call, &response, env);
    }

    /// Counts an answer; INFO does not count itself, so this comes after it was sent.
    fn count(&mut self, account: AccountId, errors: u64) {
        let Some(account) = self.accounts.get_mut(account) else {
            return;
        };
        account.api.total += 1;
        account.api.errors += errors;
    }
}

/// Sends a body to a reply subject, if there is one.
pub(crate) fn send(account: AccountId, reply: &[u8], body: &[u8], env: &mut impl Env) {
    send_with(account, reply, &[], body, env);
}

/// Sends headers and a body to a reply subject, if there is one.
pub(crate) fn send_with(
    account: AccountId,
    reply: &[u8],
    headers: &[u8],
    body: &[u8],
    env: &mut impl Env,
) {
    if reply.is_empty() {
        return;
    }
    let msg = Outgoing {
        subject: reply,
        headers,
        payload: body,
        ..Outgoing::default()
    };
    env.deliver(account, reply, msg);
}

/// Sends a status without a body to a reply subject, if there is one.
pub(crate) fn send_status(account: AccountId, reply: &[u8], headers: &[u8], env: &mut impl Env) {
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
