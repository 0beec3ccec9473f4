//! Telling about what happened to streams.

use protocol::id::AccountId;

use crate::JetStream;
use crate::env::Env;

/// What happened to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamAction {
    /// It was made.
    Created,
    /// It was changed.
    Updated,
    /// It is gone.
    Deleted,
}

impl StreamAction {
    fn subject_token(self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::Updated => "UPDATED",
            Self::Deleted => "DELETED",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Created => "create",
            Self::Updated => "modify",
            Self::Deleted => "delete",
        }
    }
}

impl JetStream {
    /// Tells whoever listens what happened to a stream.
    pub(super) fn advise_stream(
        &mut self,
        account: AccountId,
        stream: &str,
        action: StreamAction,
        env: &mut impl Env,
    ) {
        let token = action.subject_token();
        let subject = alloc::format!("$JS.EVENT.ADVISORY.STREAM.{token}.{stream}");
        self.shared
            .advise(account, &subject, "stream_action", env, |to| {
                to.field("stream", stream);
                to.field("action", action.name());
            });
    }
}
