//! Where the threads of the shard and of the log run. A lone publisher's message goes from one to the
//! other and back: on one processor each of the two hand-offs is a switch between threads; on two it wakes
//! an idle processor, which takes longer than all that the shard has to do for the message.
//!
//! *Invariant:* the threads are bound only while one connection publishes little and waits for each answer;
//! with more to do, and as soon as the log falls idle, they run wherever the system sees fit.

use core::cell::{Cell, RefCell};
use std::sync::{Arc, OnceLock};

use rustix::thread::{CpuSet, Pid, gettid, sched_getaffinity, sched_getcpu, sched_setaffinity};

/// With more than this to write, the threads have something to do side by side.
const SHORT_MAX: usize = 4 << 10;
/// After so many short writes for lone publishers in a row, the next is expected to be one.
const LONE_MIN: u32 = 4;

/// A thread's id, which it tells by itself.
#[derive(Debug, Default)]
pub(super) struct ThreadId(OnceLock<Pid>);

impl ThreadId {
    /// Tells the id of the calling thread.
    pub(super) fn tell(&self) {
        self.0.get_or_init(gettid);
    }
}

/// Binds the shard's thread and the log's to one processor, and lets them go.
#[derive(Debug)]
pub(super) struct Nearness {
    thread: Arc<ThreadId>,
    /// Whether the next write is for one connection that waits for its answer.
    is_lone: Cell<bool>,
    /// How many short ones that were have come in a row.
    lone: Cell<u32>,
    /// Where the threads may run when they are not bound, while they are.
    everywhere: RefCell<Option<CpuSet>>,
}

impl Nearness {
    pub(super) fn new(thread: Arc<ThreadId>) -> Self {
        Self {
            thread,
            is_lone: Cell::new(false),
            lone: Cell::new(0),
            everywhere: RefCell::new(None),
        }
    }

    /// Says whether the next write is for one connection that waits for its answer.
    pub(super) fn set_lone(&self, lone: bool) {
        self.is_lone.set(lone);
    }

    /// Has the threads run where they should; the shard's calls it before it hands a write of `len` bytes
    /// over. Where the system does not allow it, they stay where they are.
    pub(super) fn arrange(&self, len: usize) {
        let is_short = self.is_lone.get() && len <= SHORT_MAX;
        let lone = if is_short {
            self.lone.get().saturating_add(1)
        } else {
            0
        };
        self.lone.set(lone);
        let mut everywhere = self.everywhere.borrow_mut();
        if (lone > LONE_MIN) == everywhere.is_some() {
            return;
        }
        let Some(&log) = self.thread.0.get() else {
            return;
        };
        let go = |set: &CpuSet| {
            // The system keeps a thread where it is when it refuses to move it.
            let _ = sched_setaffinity(Some(log), set).and_then(|()| sched_setaffinity(None, set));
        };
        if let Some(set) = everywhere.take() {
            go(&set);
        } else if let Ok(set) = sched_getaffinity(None) {
            let here = sched_getcpu();
            let mut near = CpuSet::new();
            if here < CpuSet::MAX_CPU {
                near.set(here);
                go(&near);
                *everywhere = Some(set);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use super::*;

    #[test]
    fn the_threads_are_near_each_other_as_long_as_a_lone_publisher_writes_little() {
        let id = Arc::new(ThreadId::default());
        let told = Arc::clone(&id);
        let (ask, asked) = mpsc::channel::<()>();
        let (answer, answers) = mpsc::channel();
        thread::spawn(move || {
            told.tell();
            for () in asked {
                answer.send(sched_getaffinity(None).unwrap()).unwrap();
            }
        });
        let ask = || {
            ask.send(()).unwrap();
            answers.recv().unwrap()
        };
        let everywhere = ask();
        let nearness = Nearness::new(id);
        nearness.set_lone(true);
        for _ in 0..LONE_MIN {
            nearness.arrange(200);
            assert_eq!(ask(), everywhere);
        }
        nearness.arrange(200);
        let near = ask();
        assert_eq!(near.count(), 1);
        assert_eq!(sched_getaffinity(None).unwrap(), near);
        nearness.arrange(SHORT_MAX + 1);
        assert_eq!(ask(), everywhere);
        assert_eq!(sched_getaffinity(None).unwrap(), everywhere);
    }
}
