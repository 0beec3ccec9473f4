//! What the management interface needs of the driver: calls that are answered later, passwords, and
//! that it sees what is logged.

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::collections::BTreeMap;

use broker::{Answer, CallId, Input, LogLine, ManageCall, Manager, Proof};
use bytes::Bytes;
use protocol::time::Wall;
use tokio::sync::oneshot;

use super::Driver;

/// How long a call of the management interface may take: a station of many partitions takes a while.
const CALL_MAX: Duration = Duration::from_secs(30);

/// Who calls the management interface.
pub(crate) struct ManagedBy {
    pub(crate) account: String,
    pub(crate) user: String,
}

/// Who waits for the answers of which calls.
#[derive(Default)]
pub(super) struct Calls {
    waiting: RefCell<BTreeMap<CallId, oneshot::Sender<Answer>>>,
    last: Cell<u64>,
}

impl Calls {
    /// Hands answers to those who wait for them.
    pub(super) fn answer(&self, answers: &mut Vec<(CallId, Answer)>) {
        for (id, answer) in answers.drain(..) {
            // Who asked may have left.
            if let Some(tell) = self.waiting.borrow_mut().remove(&id) {
                let _ = tell.send(answer);
            }
        }
    }
}

impl Driver {
    /// Logs a line, and keeps it for those who look.
    pub(super) fn note(&self, line: &LogLine) {
        (self.log)(line);
        self.shard.borrow_mut().logged(line, self.wall());
    }

    /// Calls the management interface of Memphis; nothing when it does not answer in time.
    pub(crate) async fn manage(&self, by: ManagedBy, route: &str, body: Bytes) -> Option<Answer> {
        let id = CallId(self.calls.last.get() + 1);
        self.calls.last.set(id.0);
        let (tell, told) = oneshot::channel();
        self.calls.waiting.borrow_mut().insert(id, tell);
        let call = ManageCall {
            id,
            account: by.account,
            user: by.user,
            route: route.to_owned(),
            body,
        };
        self.input(None, Input::Manage(Box::new(call)));
        let answer = tokio::time::timeout(CALL_MAX, told).await;
        self.calls.waiting.borrow_mut().remove(&id);
        answer.ok()?.ok()
    }

    /// Returns the manager of a name, and what a password says.
    pub(crate) fn manager(&self, name: &str, password: &str) -> Option<(Manager, Proof)> {
        self.shard.borrow().manager(name, password)
    }

    /// Checks a password against a hash, which takes long.
    pub(crate) async fn check_password(&self, hash: String, shown: String) -> bool {
        let told = self.worker.borrow_mut().check(hash, shown);
        told.await.unwrap_or(false)
    }

    /// Hashes a password, which takes long. Some have no hash, such as those that are too long.
    pub(crate) async fn hash_password(&self, password: String) -> Option<String> {
        let told = self.worker.borrow_mut().hash(password);
        told.await.ok()
    }

    /// Returns the time of day.
    pub(crate) fn wall(&self) -> Wall {
        self.clock.now().wall
    }
}
