//! Subscriptions in a tree of tokens.
//!
//! *Invariant:* every node but the root holds a value or has a child; links point at live nodes.
//! Walks use no recursion, so that a subject of two thousand tokens needs no stack. A node takes one line of
//! memory: with very many subscriptions each line that a walk reads is waited for.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::hash::{BuildHasher, Hash, Hasher};
use core::num::NonZeroU32;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use protocol::subject;
use slab::Slab;

use super::few::Few;
use super::queues::QueueId;
use super::token::Token;

/// The place of a node, counted from one: so none takes no more room than one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct NodeId(NonZeroU32);

impl NodeId {
    fn of(place: usize) -> Self {
        let place = u32::try_from(place + 1).ok().and_then(NonZeroU32::new);
        Self(place.expect("fewer than 2^32 nodes"))
    }

    #[inline]
    fn place(self) -> usize {
        usize::try_from(self.0.get()).unwrap_or(usize::MAX) - 1
    }
}

const LIVE: &str = "links point at live nodes";

/// Values by subject pattern.
#[derive(Debug)]
pub struct Trie<T> {
    nodes: Slab<Node<T>>,
    root: NodeId,
    /// The children by literal tokens of all nodes: one table needs less room than one per node.
    edges: HashTable<NodeId>,
    hasher: FixedState,
}

#[derive(Debug)]
#[repr(align(64))]
struct Node<T> {
    parent: Option<NodeId>,
    token: Token,
    values: Values<T>,
    /// The child for `*`.
    one: Option<NodeId>,
    /// The child for `>`.
    rest: Option<NodeId>,
    /// The children for literal tokens, as a list through their `next` and `prev`.
    first_literal: Option<NodeId>,
    next: Option<NodeId>,
    prev: Option<NodeId>,
}

/// What was inserted under one pattern.
#[derive(Debug)]
pub struct Values<T> {
    plain: Few<T>,
    /// Few have any.
    queued: Option<Box<Few<(QueueId, T)>>>,
}

/// A node that a subject leads to most likely; see [`Trie::guess`].
#[derive(Clone, Copy, Debug)]
pub struct Guess {
    at: NodeId,
    /// Whether it is the subject's end, and no wildcard has to follow.
    is_end: bool,
}

/// Room for a walk, to be reused.
#[derive(Debug, Default)]
pub struct Frontier {
    now: Vec<NodeId>,
    next: Vec<NodeId>,
}

impl<T: Copy> Values<T> {
    /// Returns what was inserted without a queue.
    #[must_use]
    pub fn plain(&self) -> &[T] {
        self.plain.as_slice()
    }

    /// Returns what was inserted with a queue.
    #[must_use]
    pub fn queued(&self) -> &[(QueueId, T)] {
        self.queued.as_deref().map_or(&[], Few::as_slice)
    }

    /// Returns all of it.
    pub fn all(&self) -> impl Iterator<Item = T> {
        let queued = self.queued().iter().map(|(_, value)| *value);
        self.plain().iter().copied().chain(queued)
    }

    fn is_empty(&self) -> bool {
        self.plain().is_empty() && self.queued.is_none()
    }
}

impl<T: Copy + Eq> Values<T> {
    fn remove_queued(&mut self, wanted: &(QueueId, T)) -> bool {
        let Some(queued) = &mut self.queued else {
            return false;
        };
        let removed = queued.swap_remove(wanted);
        if queued.as_slice().is_empty() {
            self.queued = None;
        }
        removed
    }
}

impl<T: Copy + Eq> Trie<T> {
    /// Returns an empty trie.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut nodes = Slab::new();
        let root = NodeId::of(nodes.insert(Node::new(None, b"")));
        Self {
            nodes,
            root,
            edges: HashTable::new(),
            hasher: FixedState::with_seed(seed),
        }
    }

    /// Adds `value` under `pattern`, which must be well formed.
    pub fn insert(&mut self, pattern: &[u8], queue: Option<QueueId>, value: T) {
        debug_assert!(subject::is_well_formed(pattern), "checked by the caller");
        let mut at = self.root;
        for token in subject::tokens(pattern) {
            at = match self.child(at, token) {
                Some(child) => child,
                None => self.add_child(at, token),
            };
        }
        let values = &mut self.node_mut(at).values;
        match queue {
            None => values.plain.push(value),
            Some(queue) => values
                .queued
                .get_or_insert_with(Box::default)
                .push((queue, value)),
        }
    }

    /// Removes one `value` from `pattern`; reports whether it was there.
    pub fn remove(&mut self, pattern: &[u8], queue: Option<QueueId>, value: T) -> bool {
        let mut at = self.root;
        for token in subject::tokens(pattern) {
            match self.child(at, token) {
                Some(child) => at = child,
                None => return false,
            }
        }
        let values = &mut self.node_mut(at).values;
        let removed = match queue {
            None => values.plain.swap_remove(&value),
            Some(queue) => values.remove_queued(&(queue, value)),
        };
        if removed {
            self.prune(at);
        }
        removed
    }

    /// Returns what was inserted under just this pattern.
    #[must_use]
    pub fn under(&self, pattern: &[u8]) -> Option<&Values<T>> {
        let mut at = self.root;
        for token in subject::tokens(pattern) {
            at = self.child(at, token)?;
        }
        Some(&self.node(at).values)
    }

    /// Returns the node that `subject` leads to most likely, going by the hashes of its tokens alone: no node is
    /// looked at, which in a large tree would be waited for.
    #[must_use]
    pub fn guess(&self, subject: &[u8]) -> Guess {
        let mut at = self.root;
        for token in subject::tokens(subject) {
            let hash = edge_hash(&self.hasher, at, token);
            match self.edges.find(hash, |_| true) {
                Some(&child) => at = child,
                None => return Guess { at, is_end: false },
            }
        }
        Guess { at, is_end: true }
    }

    /// Looks at the node; returns it, or the one for a wildcard that has to follow.
    #[must_use]
    pub fn look(&self, guess: Guess) -> Option<Guess> {
        let node = self.nodes.get(guess.at.place())?;
        if guess.is_end {
            core::hint::black_box(node.values.is_empty());
            return Some(guess);
        }
        let at = node.rest.or(node.one)?;
        Some(Guess { at, is_end: true })
    }

    /// Returns a value of the node.
    #[must_use]
    pub fn guessed(&self, guess: Guess) -> Option<T> {
        let node = self.nodes.get(guess.at.place())?;
        node.values.plain().first().copied()
    }

    /// Shows the values of every pattern that matches `subject`, taken as a literal. A subject with an
    /// empty token matches nothing.
    pub fn matching(
        &self,
        subject: &[u8],
        frontier: &mut Frontier,
        mut visit: impl FnMut(&Values<T>),
    ) {
        if subject::tokens(subject).any(<[u8]>::is_empty) {
            return;
        }
        let Frontier { now, next } = frontier;
        now.clear();
        now.push(self.root);
        for token in subject::tokens(subject) {
            next.clear();
            for &at in now.iter() {
                let node = self.node(at);
                if let Some(rest) = node.rest {
                    visit(&self.node(rest).values);
                }
                if node.first_literal.is_some() {
                    next.extend(self.literal(at, token));
                }
                next.extend(node.one);
            }
            core::mem::swap(now, next);
            if now.is_empty() {
                return;
            }
        }
        for &at in now.iter() {
            let values = &self.node(at).values;
            if !values.is_empty() {
                visit(values);
            }
        }
    }

    /// Shows the values of every pattern that has a literal in common with `pattern`.
    pub fn overlapping(&self, pattern: &[u8], mut visit: impl FnMut(&Values<T>)) {
        let tokens: Vec<&[u8]> = subject::tokens(pattern).collect();
        let mut open = Vec::from([(self.root, 0)]);
        while let Some((at, depth)) = open.pop() {
            let node = self.node(at);
            let Some(&token) = tokens.get(depth) else {
                visit(&node.values);
                continue;
            };
            if token == b">" {
                self.below(at, &mut visit);
                continue;
            }
            if let Some(rest) = node.rest {
                visit(&self.node(rest).values);
            }
            open.extend(node.one.map(|one| (one, depth + 1)));
            if token == b"*" {
                open.extend(self.literals(at).map(|child| (child, depth + 1)));
            } else {
                open.extend(self.literal(at, token).map(|child| (child, depth + 1)));
            }
        }
    }

    /// Shows the values of everything under `at`, but not its own.
    fn below(&self, at: NodeId, visit: &mut impl FnMut(&Values<T>)) {
        let mut open = Vec::from([at]);
        while let Some(parent) = open.pop() {
            let node = self.node(parent);
            if parent != at {
                visit(&node.values);
            }
            open.extend(node.one);
            open.extend(node.rest);
            open.extend(self.literals(parent));
        }
    }

    fn literals(&self, at: NodeId) -> impl Iterator<Item = NodeId> {
        let first = self.node(at).first_literal;
        core::iter::successors(first, |&child| self.node(child).next)
    }

    fn literal(&self, parent: NodeId, token: &[u8]) -> Option<NodeId> {
        self.edges
            .find(edge_hash(&self.hasher, parent, token), |&child| {
                let child = self.node(child);
                child.parent == Some(parent) && child.token.is(token)
            })
            .copied()
    }

    fn child(&self, parent: NodeId, token: &[u8]) -> Option<NodeId> {
        match token {
            b"*" => self.node(parent).one,
            b">" => self.node(parent).rest,
            _ => self.literal(parent, token),
        }
    }

    fn add_child(&mut self, parent: NodeId, token: &[u8]) -> NodeId {
        let id = NodeId::of(self.nodes.insert(Node::new(Some(parent), token)));
        match token {
            b"*" => self.node_mut(parent).one = Some(id),
            b">" => self.node_mut(parent).rest = Some(id),
            _ => {
                let second = self.node_mut(parent).first_literal.replace(id);
                self.node_mut(id).next = second;
                if let Some(second) = second {
                    self.node_mut(second).prev = Some(id);
                }
                let (nodes, hasher) = (&self.nodes, &self.hasher);
                self.edges
                    .insert_unique(edge_hash(hasher, parent, token), id, |&child| {
                        let child = nodes.get(child.place()).expect(LIVE);
                        child.parent.map_or(0, |parent| {
                            edge_hash(hasher, parent, child.token.as_bytes())
                        })
                    });
            }
        }
        id
    }

    /// Removes nodes from `at` upwards as long as they hold nothing.
    fn prune(&mut self, mut at: NodeId) {
        while at != self.root && self.node(at).is_bare() {
            let node = self.nodes.remove(at.place());
            let parent = node.parent.expect("only the root has none");
            match node.token.as_bytes() {
                b"*" => self.node_mut(parent).one = None,
                b">" => self.node_mut(parent).rest = None,
                token => {
                    let hash = edge_hash(&self.hasher, parent, token);
                    if let Ok(edge) = self.edges.find_entry(hash, |&child| child == at) {
                        edge.remove();
                    }
                    match node.prev {
                        Some(prev) => self.node_mut(prev).next = node.next,
                        None => self.node_mut(parent).first_literal = node.next,
                    }
                    if let Some(next) = node.next {
                        self.node_mut(next).prev = node.prev;
                    }
                }
            }
            at = parent;
        }
    }

    fn node(&self, id: NodeId) -> &Node<T> {
        self.nodes.get(id.place()).expect(LIVE)
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node<T> {
        self.nodes.get_mut(id.place()).expect(LIVE)
    }
}

impl<T: Copy> Node<T> {
    fn new(parent: Option<NodeId>, token: &[u8]) -> Self {
        Self {
            parent,
            token: Token::new(token),
            values: Values {
                plain: Few::default(),
                queued: None,
            },
            one: None,
            rest: None,
            first_literal: None,
            next: None,
            prev: None,
        }
    }

    fn is_bare(&self) -> bool {
        self.values.is_empty()
            && self.one.is_none()
            && self.rest.is_none()
            && self.first_literal.is_none()
    }
}

fn edge_hash(hasher: &FixedState, parent: NodeId, token: &[u8]) -> u64 {
    let mut state = hasher.build_hasher();
    parent.hash(&mut state);
    state.write(token);
    state.finish()
}

#[cfg(test)]
mod tests {
    use core::mem::size_of;

    use super::*;

    #[test]
    fn a_node_takes_one_line_of_memory() {
        assert_eq!(size_of::<Node<usize>>(), 64);
        let mut nodes = Slab::new();
        let places = [0, 1, 2].map(|_| nodes.insert(Node::<usize>::new(None, b"t")));
        let at = places.map(|place| core::ptr::from_ref(&nodes[place]).addr());
        assert_eq!(
            (at[1] - at[0], at[2] - at[1]),
            (64, 64),
            "and none is wasted"
        );
    }

    #[test]
    fn what_a_subject_leads_to_is_guessed_without_a_look() {
        let mut trie = Trie::new(7);
        for i in 0..100usize {
            trie.insert(alloc::format!("a.b{i}").as_bytes(), None, i);
            trie.insert(alloc::format!("c{i}.>").as_bytes(), None, 100 + i);
            trie.insert(alloc::format!("d{i}.*").as_bytes(), None, 200 + i);
        }
        let led = |subject: &str| {
            let guess = trie.look(trie.guess(subject.as_bytes()))?;
            trie.guessed(guess)
        };
        assert_eq!(led("a.b7"), Some(7));
        assert_eq!(led("c7.x.y"), Some(107));
        assert_eq!(led("d7.x"), Some(207));
        assert_eq!(led("a"), None);
        assert_eq!(led("nobody.listens"), None);
    }
}
