//! Work that takes too long for the shard's thread, on a thread of its own: passwords and their
//! hashes, and the files of accounts.
//!
//! *Invariant:* the thread exists from the first piece of work on, and ends with the server. What
//! waits for it is bounded by who asks: each connection has one piece at a time, HTTP a few, and clients of
//! the system account as many as they send at once.

use std::io;
use std::path::Path;
use std::sync::mpsc;
use std::thread;

use broker::{FileChange, Notice, Upload, WorkDone, WorkOp};
use config::options::WebAccounts;
use tokio::sync::{mpsc as answers, oneshot};

/// How much work a new hash is: as much as Memphis takes.
const HASH_COST: u32 = 10;

use crate::{reason, s3, slack, token_files, web_client};

const NO_THREAD: &str = "no thread can be started";

/// The thread's side that takes work.
#[derive(Debug)]
pub(crate) struct Worker {
    jobs: Option<mpsc::Sender<Job>>,
    done: answers::UnboundedSender<WorkDone>,
}

/// A piece of work.
enum Job {
    /// The shard's.
    Shard(WorkOp),
    /// Check a password against its hash, for the driver.
    Check {
        hash: String,
        shown: String,
        tell: oneshot::Sender<bool>,
    },
    /// Hash a password, for the driver.
    Hash {
        password: String,
        tell: oneshot::Sender<String>,
    },
}

/// Returns where work goes, and where it comes back.
pub(crate) fn worker() -> (Worker, answers::UnboundedReceiver<WorkDone>) {
    let (done, answers) = answers::unbounded_channel();
    (Worker { jobs: None, done }, answers)
}

impl Worker {
    /// Takes a piece of work of the shard.
    pub(crate) fn submit(&mut self, op: WorkOp) {
        if let WorkOp::FetchAccount { server, key } = op {
            return self.fetch(server, key);
        }
        if let WorkOp::Notify { url, notices } = op {
            return self.notify(url, notices);
        }
        if let WorkOp::Upload(upload) = op {
            return self.upload(upload);
        }
        let Err(Job::Shard(op)) = self.send(Job::Shard(op)) else {
            return;
        };
        // Without a thread nobody with a hashed password gets in, and nothing is kept. The receiver lives
        // as long as the server, which nobody waits for any more when it is gone.
        let _ = self.done.send(match op {
            WorkOp::CheckPassword { conn, .. } => WorkDone::PasswordChecked { conn, fits: false },
            WorkOp::ChangeFiles { .. } => WorkDone::FilesChanged(Err(NO_THREAD.to_owned())),
            WorkOp::Notify { .. } => WorkDone::Notified(Err(NO_THREAD.to_owned())),
            WorkOp::Upload(upload) => WorkDone::Uploaded(upload.id, Err(NO_THREAD.to_owned())),
            WorkOp::FetchAccount { key, .. } => WorkDone::AccountFetched {
                key,
                token: Err(NO_THREAD.to_owned()),
            },
        });
    }

    /// Asks a web server, on a thread of its own: others' passwords do not wait for it. The shard bounds how
    /// many there are.
    fn fetch(&self, server: WebAccounts, key: String) {
        let (done, wanted) = (self.done.clone(), key.clone());
        let ask = move || {
            let token = web_client::fetch(&server, &wanted);
            // Nobody waits for it any more when the server is gone.
            let _ = done.send(WorkDone::AccountFetched { key: wanted, token });
        };
        if thread::Builder::new()
            .name("fetch".to_owned())
            .spawn(ask)
            .is_err()
        {
            let token = Err(NO_THREAD.to_owned());
            // The same.
            let _ = self.done.send(WorkDone::AccountFetched { key, token });
        }
    }

    /// Tells a service outside, on a thread of its own, which may take long. The layer bounds how much it is
    /// told in a time.
    fn notify(&self, url: String, notices: Vec<Notice>) {
        let done = self.done.clone();
        let tell = move || {
            // Nobody waits for it any more when the server is gone.
            let _ = done.send(WorkDone::Notified(slack::tell(
                &url,
                &notices,
                slack::PATIENCE,
            )));
        };
        let thread = thread::Builder::new().name("notify".to_owned());
        if thread.spawn(tell).is_err() {
            // The same.
            let failed = Err(NO_THREAD.to_owned());
            let _ = self.done.send(WorkDone::Notified(failed));
        }
    }

    /// Puts an object into a store, on a thread of its own, which may take long. The layer has one of each
    /// account under way.
    fn upload(&self, upload: Box<Upload>) {
        let (done, id) = (self.done.clone(), upload.id);
        let put = move || {
            // Nobody waits for it any more when the server is gone.
            let _ = done.send(WorkDone::Uploaded(id, s3::put(&upload)));
        };
        let thread = thread::Builder::new().name("upload".to_owned());
        if thread.spawn(put).is_err() {
            let failed = Err(NO_THREAD.to_owned());
            // The same.
            let _ = self.done.send(WorkDone::Uploaded(id, failed));
        }
    }

    /// Has a password checked. Without a thread there is no answer.
    pub(crate) fn check(&mut self, hash: String, shown: String) -> oneshot::Receiver<bool> {
        let (tell, told) = oneshot::channel();
        drop(self.send(Job::Check { hash, shown, tell }));
        told
    }

    /// Has a password hashed. Without a thread, or for a password that has no hash, there is no
    /// answer.
    pub(crate) fn hash(&mut self, password: String) -> oneshot::Receiver<String> {
        let (tell, told) = oneshot::channel();
        drop(self.send(Job::Hash { password, tell }));
        told
    }

    /// Hands a job to the thread, or back.
    fn send(&mut self, job: Job) -> Result<(), Job> {
        match self.sender() {
            Some(jobs) => jobs.send(job).map_err(|unsent| unsent.0),
            None => Err(job),
        }
    }

    fn sender(&mut self) -> Option<&mpsc::Sender<Job>> {
        if self.jobs.is_none() {
            let (jobs, work) = mpsc::channel();
            let done = self.done.clone();
            let name = "work".to_owned();
            let started = thread::Builder::new()
                .name(name)
                .spawn(move || run(&work, &done));
            self.jobs = started.ok().map(|_| jobs);
        }
        self.jobs.as_ref()
    }
}

fn run(work: &mpsc::Receiver<Job>, done: &answers::UnboundedSender<WorkDone>) {
    for job in work {
        match job {
            Job::Shard(op) => {
                if done.send(carry_out(op)).is_err() {
                    return;
                }
            }
            // Who asked may have gone meanwhile.
            Job::Check { hash, shown, tell } => {
                let _ = tell.send(fits(&shown, &hash));
            }
            Job::Hash { password, tell } => {
                if let Some(hash) = hash_of(&password) {
                    let _ = tell.send(hash);
                }
            }
        }
    }
}

/// Hashes a password, which takes a while.
pub(crate) fn hash_of(password: &str) -> Option<String> {
    bcrypt::hash(password, HASH_COST).ok()
}

/// A hash that cannot be read fits nothing.
fn fits(shown: &str, hash: &str) -> bool {
    bcrypt::verify(shown, hash).unwrap_or(false)
}

fn carry_out(op: WorkOp) -> WorkDone {
    match op {
        WorkOp::CheckPassword { conn, hash, shown } => {
            let fits = fits(&shown, &hash);
            WorkDone::PasswordChecked { conn, fits }
        }
        WorkOp::FetchAccount { server, key } => {
            let token = web_client::fetch(&server, &key);
            WorkDone::AccountFetched { key, token }
        }
        WorkOp::Notify { url, notices } => {
            WorkDone::Notified(slack::tell(&url, &notices, slack::PATIENCE))
        }
        WorkOp::Upload(upload) => WorkDone::Uploaded(upload.id, s3::put(&upload)),
        WorkOp::ChangeFiles { directory, change } => {
            let outcome = change_files(Path::new(&directory), &change);
            WorkDone::FilesChanged(outcome.map_err(|error| reason(&error)))
        }
    }
}

fn change_files(directory: &Path, change: &FileChange) -> io::Result<()> {
    match change {
        FileChange::Keep { key, token } => token_files::keep(directory, key, token),
        FileChange::Delete { keys, rename } => keys
            .iter()
            .try_for_each(|key| token_files::delete(directory, key, *rename)),
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

    #[test]
    fn a_hash_fits_the_password_that_it_was_made_from() {
        let (mut worker, _answers) = worker();
        let hash = worker.hash("right".to_owned()).blocking_recv();
        let hash = hash.expect("it has a hash");
        for (shown, fits) in [("right", true), ("wrong", false)] {
            let told = worker.check(hash.clone(), shown.to_owned());
            assert_eq!(told.blocking_recv(), Ok(fits));
        }
    }
}
