//! What the system account asks about the others.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use protocol::id::StreamId;
use protocol::js::advisory::{Action, StreamDeleted};
use protocol::js::api::ApiRequest;
use protocol::js::enums::Storage;
use protocol::js::errors;
use protocol::js::response::Initiated;

use super::streams::Done;
use crate::JetStream;
use crate::entry::Entry;
use crate::env::{ApiCall, Env};
use crate::shared::{Answer, Scope};

impl JetStream {
    /// Deletes all streams of an account. The answer comes when the last one is gone; an account that
    /// has none, or that nobody knows, is done at once.
    pub(super) fn purge_account(
        &mut self,
        call: &ApiCall<'_>,
        request: &ApiRequest<'_>,
        env: &mut impl Env,
    ) -> Done {
        if request.account.contains(['/', '\\']) {
            let text = "account name can not contain path separators";
            return Err(errors::STREAM_GENERAL.with(text));
        }
        let is_meant = |name: &str| name == request.account;
        let found = self.shared.accounts.iter().find(|(_, a)| is_meant(&a.name));
        let Some(account) = found.map(|(id, _)| id) else {
            self.succeed(call, request.kind, &Initiated { initiated: true }, env);
            return Ok(());
        };
        let streams: Vec<(StreamId, Storage, String)> = self
            .of_account(account)
            .map(|s| &s.core)
            .map(|s| (s.id(), s.config().storage, s.name().into()))
            .collect();
        let is_logged = streams
            .iter()
            .any(|(_, storage, _)| *storage == Storage::File);
        if let Some(error) = self.poisoned.as_ref().filter(|_| is_logged) {
            return Err(error.clone());
        }
        let mut last = None;
        for (stream, storage, name) in streams {
            let entry = Entry::StreamDelete(stream);
            if storage == Storage::Memory {
                self.apply_stream_change(&entry, None, env);
            } else {
                let pos = env.propose(|out| entry.encode(out));
                self.shared.replies.proposed(pos);
                last = Some(pos);
            }
            let domain = self.shared.options.domain.clone();
            let event = StreamDeleted {
                stream: &name,
                action: Action::Delete,
                domain: &domain,
            };
            self.shared.advise(account, &event, env);
        }
        match last {
            Some(pos) => {
                let answer = Box::new(Answer::new(call));
                self.shared
                    .replies
                    .push_change(pos, Scope::Everything, answer);
            }
            None => {
                self.succeed(call, request.kind, &Initiated { initiated: true }, env);
            }
        }
        Ok(())
    }
}
