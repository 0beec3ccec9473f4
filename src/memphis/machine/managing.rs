//! Calls of the management interface: from the driver, and from clients on `$memphis_api.<group>.<name>`.

use alloc::vec::Vec;

use protocol::id::AccountId;

use super::{Host, Memphis, Reply, Request, TASKS_MAX, Task, To, resend};
use crate::book::{Change, DeadLetterId};
use crate::manage::{Answer, Call, CallId, Plan, Refusal, View, plan};
use crate::work::Work;

/// What the subjects of the management interface start with.
pub(super) const SUBJECT_PREFIX: &str = "$memphis_api.";

impl Memphis {
    /// Handles a call that the driver makes for somebody who has shown who they are. The answer comes
    /// through [`Host::managed`].
    pub fn manage(&mut self, account: AccountId, id: CallId, call: Call<'_>, host: &mut impl Host) {
        self.on_call(account, call, To::Driver(id), host);
    }

    /// Handles a call that a client sent as a message; false if it is none.
    pub(super) fn manage_by_message(
        &mut self,
        account: AccountId,
        request: &Request<'_>,
        host: &mut impl Host,
    ) -> bool {
        let subject = core::str::from_utf8(request.subject).unwrap_or_default();
        let Some(route) = subject.strip_prefix(SUBJECT_PREFIX) else {
            return false;
        };
        let route = route.replacen('.', "/", 1);
        let call = Call {
            route: &route,
            user: request.asker.user,
            body: request.body,
        };
        self.on_call(account, call, To::Subject(request.reply.to_vec()), host);
        true
    }

    fn on_call(&mut self, account: AccountId, call: Call<'_>, to: To, host: &mut impl Host) {
        let tenant = host.account_name(account);
        let cx = self.cx(account, &tenant, host);
        let planned = match &self.poisoned {
            Some(text) => Err(Refusal::Showable(text.clone())),
            None if self.tasks.len() >= TASKS_MAX => Err(Refusal::Busy),
            None => plan(&call, &cx),
        };
        match planned {
            Ok(Plan::Now(value)) => answer(account, &to, &Answer::ok(&value), host),
            Ok(Plan::Work { work, topics, view }) => {
                let reply = Reply::Managed(to, view);
                let task = Task {
                    account,
                    reply,
                    work,
                };
                self.start(task, topics, host);
            }
            Ok(Plan::Resend {
                station,
                ids,
                group,
            }) => {
                let ids: Vec<DeadLetterId> = ids.into_iter().map(DeadLetterId).collect();
                let chosen = resend::chosen(&self.book, &tenant, station.external(), &ids);
                match chosen {
                    Ok(chosen) => {
                        let change = Change::Resend(chosen, group);
                        let task = Task {
                            account,
                            reply: Reply::Managed(to, View::Empty),
                            work: Work::Note(Some(change)),
                        };
                        self.start(task, Vec::new(), host);
                    }
                    Err(error) => {
                        let refusal = Refusal::Showable(alloc::format!("{error}"));
                        answer(account, &to, &Answer::refused(&refusal), host);
                    }
                }
            }
            Err(refusal) => answer(account, &to, &Answer::refused(&refusal), host),
        }
    }

    /// Answers whoever waits for a task.
    pub(super) fn answer(
        &self,
        account: AccountId,
        reply: &Reply,
        payload: &[u8],
        host: &mut impl Host,
    ) {
        match reply {
            Reply::Subject(to) => super::answer(account, to, payload, host),
            Reply::Managed(to, view) => {
                let tenant = host.account_name(account);
                let cx = self.cx(account, &tenant, host);
                let seen = view.render(payload, &cx);
                answer(account, to, &seen, host);
            }
        }
    }
}

fn answer(account: AccountId, to: &To, seen: &Answer, host: &mut impl Host) {
    match to {
        To::Subject(subject) => super::answer(account, subject, &seen.message(), host),
        To::Driver(id) => host.managed(*id, seen),
    }
}
