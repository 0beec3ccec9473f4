//! System logs: lines of the broker, and those that gateways publish on `$memphis_syslogs`.

use protocol::id::AccountId;
use protocol::time::Wall;

use super::{Host, Memphis, Request, USER_GATEWAY};
use crate::book::ROOT;
use crate::logs::Severity;

/// What the subjects of lines start with.
const PREFIX: &str = "$memphis_syslogs.";

impl Memphis {
    /// Takes a line that was logged: those who run the server see it, and those whose account it
    /// concerns.
    pub fn logged(&mut self, of: Option<AccountId>, severity: Severity, text: &str, at: Wall) {
        let first = self.options.first;
        self.logs.broker(first, severity, text, at);
        if let Some(account) = of.filter(|account| *account != first) {
            self.logs.broker(account, severity, text, at);
        }
    }

    /// Takes a line of a gateway's; false if the request is none. Others' lines are dropped.
    pub(super) fn told(
        &mut self,
        account: AccountId,
        request: &Request<'_>,
        host: &impl Host,
    ) -> bool {
        let subject = core::str::from_utf8(request.subject).unwrap_or_default();
        let Some(topic) = subject.strip_prefix(PREFIX) else {
            return false;
        };
        if [ROOT, USER_GATEWAY].contains(&request.asker.user) {
            let now = host.now().wall;
            self.logs.outsider(account, topic, request.body, now);
        }
        true
    }
}
