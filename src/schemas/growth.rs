//! How much work a schema makes of a message: refuses those with which a short message takes long.
//!
//! A schema is a graph. From one of its parts to another leads a way *here* (both judge the same value:
//! references, unions, `allOf`) or *down* (the other judges something inside the value). Judging takes as
//! long as there are ways, and so it explodes where ways here multiply, or where a recursion comes down
//! to the same place more than once: twice at each level is 2^n for n levels.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef as _;

pub(crate) type NodeId = NodeIndex<u32>;

/// Most parts of a schema.
const NODES_MAX: usize = 50_000;
/// Most judgements of one and the same value.
const WORK_MAX: u64 = 10_000;
/// Most steps that finding this out may take.
const STEPS_MAX: u64 = 2_000_000;
const TOO_MUCH: &str = "a short message could make it work for too long";

/// Where inside a value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// The member of this name.
    Member(String),
    /// Members that the same part has no [`Place::Member`] for.
    OtherMember,
    /// Any member.
    AnyMember,
    /// The element of this number.
    Element(usize),
    /// Elements that the same part has no [`Place::Element`] for.
    OtherElement,
    /// Any element.
    AnyElement,
}

/// A schema's parts and the ways between them.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    ways: DiGraph<(), Way, u32>,
}

#[derive(Clone, Debug)]
enum Way {
    Here,
    Down(Place),
}

impl Graph {
    pub(crate) fn add(&mut self) -> NodeId {
        self.ways.add_node(())
    }

    pub(crate) fn here(&mut self, from: NodeId, to: NodeId) {
        self.ways.add_edge(from, to, Way::Here);
    }

    pub(crate) fn down(&mut self, from: NodeId, place: Place, to: NodeId) {
        self.ways.add_edge(from, to, Way::Down(place));
    }

    /// Refuses a schema whose work is not bounded by the length of the message.
    pub(crate) fn check(&self, root: NodeId) -> Result<(), String> {
        if self.ways.node_count() > NODES_MAX {
            return Err(format!("it has more than {NODES_MAX} parts"));
        }
        self.check_here()?;
        let mut scc_of = vec![0_usize; self.ways.node_count()];
        let sccs = tarjan_scc(&self.ways);
        for (number, scc) in sccs.iter().enumerate() {
            for node in scc {
                if let Some(of) = scc_of.get_mut(node.index()) {
                    *of = number;
                }
            }
        }
        // From the leaves up: the work below a part is known before the part.
        let mut work = vec![1_u64; self.ways.node_count()];
        let mut steps = 0;
        for scc in &sccs {
            let mut most = 1;
            for node in scc {
                let parts = self.parts_here(*node, &mut steps)?;
                most = most.max(self.work(*node, &parts, &scc_of, &work)?);
            }
            for node in scc {
                if let Some(of) = work.get_mut(node.index()) {
                    *of = most;
                }
            }
        }
        match work.get(root.index()) {
            Some(1..=WORK_MAX) => Ok(()),
            Some(_) | None => Err(TOO_MUCH.into()),
        }
    }

    /// Refuses a part that leads to itself without going down.
    fn check_here(&self) -> Result<(), String> {
        let only_here = self.ways.filter_map(
            |_, ()| Some(()),
            |_, way| matches!(way, Way::Here).then_some(()),
        );
        let has_loop = |scc: &Vec<NodeId>| match scc.as_slice() {
            [node] => only_here.contains_edge(*node, *node),
            _ => true,
        };
        if tarjan_scc(&only_here).iter().any(has_loop) {
            return Err("it refers to itself without end".into());
        }
        Ok(())
    }

    /// Returns how often the most visited value at or below a part is judged. Recursion counts once, and
    /// is refused where it comes down to one place twice.
    fn work(
        &self,
        node: NodeId,
        parts: &BTreeMap<NodeId, u64>,
        scc_of: &[usize],
        work: &[u64],
    ) -> Result<u64, String> {
        let total: u64 = parts.values().sum();
        let scc = scc_of.get(node.index());
        let mut sums = Sums::default();
        let mut returns = Sums::default();
        for (part, count) in parts {
            for (place, to) in self.downs(*part) {
                let below = work.get(to.index()).copied().unwrap_or(WORK_MAX);
                if scc_of.get(to.index()) == scc {
                    returns.add(*part, place, *count);
                } else {
                    sums.add(*part, place, count.saturating_mul(below));
                }
            }
        }
        if returns.most() > 1 {
            return Err("it recurses more than once at the same place".into());
        }
        let most = total.max(sums.most());
        if most > WORK_MAX {
            return Err(TOO_MUCH.into());
        }
        Ok(most)
    }

    /// Returns which parts judge the same value as `node`, and how often.
    fn parts_here(&self, node: NodeId, steps: &mut u64) -> Result<BTreeMap<NodeId, u64>, String> {
        let mut counts: BTreeMap<NodeId, u64> = BTreeMap::new();
        let mut open = vec![node];
        let mut total = 0;
        while let Some(part) = open.pop() {
            *counts.entry(part).or_default() += 1;
            total += 1;
            *steps += 1;
            if total > WORK_MAX || *steps > STEPS_MAX {
                return Err(TOO_MUCH.into());
            }
            let edges = self.ways.edges(part);
            let here = edges.filter(|edge| matches!(edge.weight(), Way::Here));
            open.extend(here.map(|edge| edge.target()));
        }
        Ok(counts)
    }

    fn downs(&self, part: NodeId) -> impl Iterator<Item = (&Place, NodeId)> {
        self.ways
            .edges(part)
            .filter_map(|edge| match edge.weight() {
                Way::Down(place) => Some((place, edge.target())),
                Way::Here => None,
            })
    }
}

/// Numbers by place, where a place is met by all that may be the same.
#[derive(Default)]
struct Sums<'a> {
    members: Family<&'a str>,
    elements: Family<usize>,
}

/// The members or the elements of a value.
struct Family<K> {
    /// What is named: its sum over all parts.
    named: BTreeMap<K, u64>,
    /// Everything else that meets any name.
    any: u64,
    /// The share of `any` that does not meet names of the same part.
    other: BTreeMap<NodeId, (u64, BTreeSet<K>)>,
}

impl<K> Default for Family<K> {
    fn default() -> Self {
        Self {
            named: BTreeMap::new(),
            any: 0,
            other: BTreeMap::new(),
        }
    }
}

impl<K: Ord + Copy> Family<K> {
    fn name(&mut self, part: NodeId, key: K, count: u64) {
        add(self.named.entry(key).or_default(), count);
        self.other.entry(part).or_default().1.insert(key);
    }

    fn any(&mut self, count: u64) {
        add(&mut self.any, count);
    }

    fn other(&mut self, part: NodeId, count: u64) {
        add(&mut self.other.entry(part).or_default().0, count);
    }

    fn most(&self) -> u64 {
        let mut unnamed = self.any;
        // A part's other members are not those that it names.
        let mut not_met: BTreeMap<K, u64> = BTreeMap::new();
        for (other, own) in self.other.values() {
            add(&mut unnamed, *other);
            for key in own.iter().filter(|_| *other > 0) {
                add(not_met.entry(*key).or_default(), *other);
            }
        }
        let named = self.named.iter().map(|(key, count)| {
            let not_met = not_met.get(key).copied().unwrap_or_default();
            count.saturating_add(unnamed.saturating_sub(not_met))
        });
        named.max().unwrap_or_default().max(unnamed)
    }
}

fn add(sum: &mut u64, count: u64) {
    *sum = sum.saturating_add(count);
}

impl<'a> Sums<'a> {
    fn add(&mut self, part: NodeId, place: &'a Place, count: u64) {
        match place {
            Place::Member(name) => self.members.name(part, name, count),
            Place::OtherMember => self.members.other(part, count),
            Place::AnyMember => self.members.any(count),
            Place::Element(number) => self.elements.name(part, *number, count),
            Place::OtherElement => self.elements.other(part, count),
            Place::AnyElement => self.elements.any(count),
        }
    }

    fn most(&self) -> u64 {
        self.members.most().max(self.elements.most())
    }
}
