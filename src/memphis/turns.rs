//! Who may work on what: requests that concern the same station or schema run one after the other, in
//! the order in which they came.
//!
//! *Invariant:* a request enters all its queues at once and runs when it is at the front of each, so
//! that two requests never wait for each other.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use protocol::id::AccountId;

use crate::machine::TaskId;
use crate::name::Name;

/// What a request works on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Topic {
    Station(Name),
    Schema(Name),
}

type Key = (AccountId, Topic);

#[derive(Debug, Default)]
pub(crate) struct Turns {
    queues: BTreeMap<Key, VecDeque<TaskId>>,
    topics: BTreeMap<TaskId, Vec<Key>>,
}

impl Turns {
    /// Queues a task for its topics; says whether it may run at once.
    pub(crate) fn enter(&mut self, task: TaskId, account: AccountId, topics: Vec<Topic>) -> bool {
        let mut keys: Vec<Key> = topics.into_iter().map(|topic| (account, topic)).collect();
        keys.sort_unstable();
        keys.dedup();
        for key in &keys {
            self.queues.entry(key.clone()).or_default().push_back(task);
        }
        self.topics.insert(task, keys);
        self.is_first(task)
    }

    /// Ends a task that ran; returns those that may run now.
    pub(crate) fn leave(&mut self, task: TaskId) -> Vec<TaskId> {
        let mut next = Vec::new();
        for key in self.topics.remove(&task).unwrap_or_default() {
            let Some(queue) = self.queues.get_mut(&key) else {
                continue;
            };
            queue.pop_front();
            match queue.front() {
                Some(first) => next.push(*first),
                None => {
                    self.queues.remove(&key);
                }
            }
        }
        next.sort_unstable();
        next.dedup();
        next.retain(|task| self.is_first(*task));
        next
    }

    fn is_first(&self, task: TaskId) -> bool {
        let keys = self.topics.get(&task).into_iter().flatten();
        let mut fronts = keys.map(|key| self.queues.get(key).and_then(VecDeque::front));
        fronts.all(|front| front == Some(&task))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Kind;

    fn enter(turns: &mut Turns, task: u64, stations: &[&str]) -> bool {
        let name = |typed: &&str| Topic::Station(Name::new(Kind::Station, typed).unwrap());
        let topics = stations.iter().map(name).collect();
        turns.enter(TaskId(task), AccountId(0), topics)
    }

    #[test]
    fn a_request_waits_for_those_before_it_on_each_of_its_stations() {
        let mut turns = Turns::default();
        assert!(enter(&mut turns, 1, &["a"]));
        assert!(enter(&mut turns, 2, &["b"]));
        assert!(!enter(&mut turns, 3, &["a", "b"]));
        assert!(!enter(&mut turns, 4, &["b", "a"]));
        assert!(enter(&mut turns, 5, &["c"]));
        assert_eq!(turns.leave(TaskId(1)), []);
        assert_eq!(turns.leave(TaskId(2)), [TaskId(3)]);
        assert_eq!(turns.leave(TaskId(3)), [TaskId(4)]);
        assert_eq!(turns.leave(TaskId(4)), []);
        assert_eq!(turns.leave(TaskId(5)), []);
        assert!(turns.queues.is_empty() && turns.topics.is_empty());
    }
}
