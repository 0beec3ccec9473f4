//! Work that takes too long for the shard's thread, on a thread of its own: passwords against their
//! hashes.
//!
//! *Invariant:* the thread exists from the first piece of work on, and ends with the server. What
//! waits for it is bounded by the connections, of which each has one piece at a time.

use std::sync::mpsc;
use std::thread;

use broker::{WorkDone, WorkOp};
use tokio::sync::mpsc as answers;

/// The thread's side that takes work.
#[derive(Debug)]
pub(crate) struct Worker {
    ops: Option<mpsc::Sender<WorkOp>>,
    done: answers::UnboundedSender<WorkDone>,
}

/// Returns where work goes, and where it comes back.
pub(crate) fn worker() -> (Worker, answers::UnboundedReceiver<WorkDone>) {
    let (done, answers) = answers::unbounded_channel();
    (Worker { ops: None, done }, answers)
}

impl Worker {
    /// Takes a piece of work.
    pub(crate) fn submit(&mut self, op: WorkOp) {
        let refused = |op: WorkOp| {
            let WorkOp::CheckPassword { conn, .. } = op;
            WorkDone::PasswordChecked { conn, fits: false }
        };
        let sent = match self.sender() {
            Some(ops) => ops.send(op).map_err(|unsent| refused(unsent.0)),
            None => Err(refused(op)),
        };
        if let Err(refused) = sent {
            // Without a thread nobody with a hashed password gets in. The receiver lives as long as
            // the server, which nobody waits for any more when it is gone.
            let _ = self.done.send(refused);
        }
    }

    fn sender(&mut self) -> Option<&mpsc::Sender<WorkOp>> {
        if self.ops.is_none() {
            let (ops, work) = mpsc::channel();
            let done = self.done.clone();
            let name = "passwords".to_owned();
            let started = thread::Builder::new()
                .name(name)
                .spawn(move || run(&work, &done));
            self.ops = started.ok().map(|_| ops);
        }
        self.ops.as_ref()
    }
}

fn run(work: &mpsc::Receiver<WorkOp>, done: &answers::UnboundedSender<WorkDone>) {
    for op in work {
        let WorkOp::CheckPassword { conn, hash, shown } = op;
        // A hash that cannot be read fits nothing.
        let fits = bcrypt::verify(shown, &hash).unwrap_or(false);
        if done.send(WorkDone::PasswordChecked { conn, fits }).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use broker::ConnId;

    use super::*;

    #[test]
    fn a_password_is_checked_against_its_hash() {
        let (mut worker, mut answers) = worker();
        let hash = bcrypt::hash("right", 4).expect("a cost that exists");
        let conn = ConnId {
            index: 1,
            generation: 2,
        };
        for (shown, hash, expected) in [
            ("right", hash.as_str(), true),
            ("wrong", hash.as_str(), false),
            ("right", "no hash", false),
        ] {
            worker.submit(WorkOp::CheckPassword {
                conn,
                hash: hash.to_owned(),
                shown: shown.to_owned(),
            });
            let answer = answers.blocking_recv();
            let fits = expected;
            assert_eq!(answer, Some(WorkDone::PasswordChecked { conn, fits }));
        }
    }
}
