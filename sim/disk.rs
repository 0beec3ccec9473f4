//! A disk in memory that fails on purpose: page cache and medium apart, power losses that keep any
//! part of what was not synced, errors, lies, lost and misdirected writes, a limit of space.
//!
//! It has two forms. [`SimDisk`] itself is a pure machine: [`SimDisk::submit`] operations and take
//! answers with [`SimDisk::step`]; a clone is a copy of the disk at that moment. [`SimHandle`] puts it
//! under the driver, with latencies in tokio's virtual time. *Invariant:* the same seed and the same
//! calls give the same bytes.

mod fault;
mod host;
mod inode;
mod kept;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use protocol::rng::Rng;
use storage::{DiskAnswer, DiskDone, DiskError, DiskOp, FileName};

pub use fault::{Condition, Fault, OpClass, Rates};
pub use host::{Latency, SimAnswers, SimHandle, SimQueue};
use inode::Inode;
use kept::Kept;

/// How many operations can be under way: the real disk has as many threads.
const LANES: usize = 4;

type Directory = BTreeMap<FileName, u64>;

/// The disk.
#[derive(Clone, Debug)]
pub struct SimDisk {
    rng: Rng,
    inodes: BTreeMap<u64, Inode>,
    next_inode: u64,
    /// Names as processes see them.
    names: Directory,
    lanes: [VecDeque<DiskOp>; LANES],
    /// Lanes whose first operation will never be answered.
    stuck: [bool; LANES],
    /// Faults by the number of the operation that they hit, counted from 0.
    plan: BTreeMap<u64, Fault>,
    /// Faults that wait for the next operation of a kind.
    next: Vec<(OpClass, Fault)>,
    condition: Condition,
    rates: Rates,
    capacity: Option<u64>,
    lying: bool,
    executed: u64,
}

impl SimDisk {
    /// Returns an empty disk without faults.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            rng: Rng::new(seed, 0x6469_736b),
            inodes: BTreeMap::new(),
            next_inode: 0,
            names: BTreeMap::new(),
            lanes: Default::default(),
            stuck: [false; LANES],
            plan: BTreeMap::new(),
            next: Vec::new(),
            condition: Condition::Well,
            rates: Rates::default(),
            capacity: None,
            lying: false,
            executed: 0,
        }
    }

    /// Begins a new row of random decisions, so that copies of one disk meet different fates.
    pub fn reseed(&mut self, seed: u64) {
        self.rng = Rng::new(seed, 0x6469_736b);
    }

    /// Lets `fault` hit the operation that is executed as number `at`, counted from 0.
    pub fn plan(&mut self, at: u64, fault: Fault) {
        self.plan.insert(at, fault);
    }

    /// Lets `fault` hit the next operation of a kind.
    pub fn plan_next(&mut self, class: OpClass, fault: Fault) {
        self.next.push((class, fault));
    }

    /// Puts the whole disk into a condition, or back.
    pub fn set_condition(&mut self, condition: Condition) {
        self.condition = condition;
    }

    /// Lets faults hit at random.
    pub fn set_rates(&mut self, rates: Rates) {
        self.rates = rates;
    }

    /// Limits the bytes that all files take together.
    pub fn set_capacity(&mut self, capacity: Option<u64>) {
        self.capacity = capacity;
    }

    /// Makes syncs succeed without doing anything: a store on such a disk loses what it acknowledged,
    /// and a check that does not notice is worth nothing.
    pub fn set_lying(&mut self, lying: bool) {
        self.lying = lying;
    }

    /// Ends all faults that were planned or are drawn, and the limit of space; what is stuck stays so
    /// until the process dies.
    pub fn calm(&mut self) {
        self.plan.clear();
        self.next.clear();
        self.condition = Condition::Well;
        self.rates = Rates::default();
        self.capacity = None;
    }

    /// Says whether an operation will never be answered.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.stuck.contains(&true)
    }

    /// Returns how many operations have been executed.
    #[must_use]
    pub fn executed(&self) -> u64 {
        self.executed
    }

    /// Takes operations.
    pub fn submit(&mut self, ops: &mut Vec<DiskOp>) {
        for op in ops.drain(..) {
            if let Some(lane) = self.lanes.get_mut(lane_of(&op)) {
                lane.push_back(op);
            }
        }
    }

    /// Executes one operation, of a lane chosen at random, and returns its answer; none if there is
    /// nothing to do.
    pub fn step(&mut self) -> Option<DiskDone> {
        loop {
            let ready = self.ready_lanes();
            let pick = usize::try_from(self.rng.below(ready.len() as u64)).ok()?;
            if let Some(done) = self.step_lane(*ready.get(pick)?) {
                return Some(done);
            }
        }
    }

    fn ready_lanes(&self) -> Vec<usize> {
        let lanes = self.lanes.iter().zip(self.stuck).enumerate();
        let ready = lanes.filter(|(_, (lane, stuck))| !lane.is_empty() && !stuck);
        ready.map(|(at, _)| at).collect()
    }

    /// Executes the first operation of a lane; none if it is stuck or there is none.
    fn step_lane(&mut self, lane: usize) -> Option<DiskDone> {
        let op = self.lanes.get_mut(lane)?.pop_front()?;
        let number = self.executed;
        self.executed += 1;
        if let Some(error) = self.condition.denies(&op) {
            let result = Err(error);
            return Some(DiskDone {
                op: op.id(),
                result,
            });
        }
        let planned = self.plan.remove(&number).or_else(|| self.take_next(&op));
        let fault = planned.or_else(|| self.rates.draw(&op, &mut self.rng));
        if fault == Some(Fault::Stick) {
            self.lanes.get_mut(lane)?.push_front(op);
            *self.stuck.get_mut(lane)? = true;
            return None;
        }
        let result = self.execute(&op, fault);
        Some(DiskDone {
            op: op.id(),
            result,
        })
    }

    /// Takes the fault that has waited for an operation like this.
    fn take_next(&mut self, op: &DiskOp) -> Option<Fault> {
        let class = OpClass::of(op)?;
        let at = self.next.iter().position(|(waits, _)| *waits == class)?;
        Some(self.next.remove(at).1)
    }

    fn execute(&mut self, op: &DiskOp, fault: Option<Fault>) -> Result<DiskAnswer, DiskError> {
        if let Some(Fault::Fail(error)) = fault {
            self.fail(op);
            return Err(error);
        }
        match op {
            DiskOp::List { .. } => return Ok(DiskAnswer::Listed(self.files())),
            DiskOp::Read {
                file, offset, len, ..
            } => {
                let inode = self.inode(*file)?;
                return Ok(DiskAnswer::Read(Bytes::from(inode.read(*offset, *len))));
            }
            DiskOp::Create { file, len, .. } => {
                self.check_space(*len)?;
                self.create(*file, *len);
                self.sync_names();
            }
            DiskOp::Write {
                file, offset, data, ..
            } => {
                let end = offset + data.len() as u64;
                let grows = end.saturating_sub(self.inode(*file)?.len());
                self.check_space(grows)?;
                self.write(*file, *offset, data, fault)?;
            }
            DiskOp::Sync { file, .. } => {
                let lying = self.lying;
                let inode = self.inode(*file)?;
                if !lying {
                    inode.sync();
                }
            }
            DiskOp::Recycle { from, to, .. } => {
                self.inode(*from)?;
                self.rename(*from, *to);
                self.sync_names();
            }
            DiskOp::Remove { file, .. } => {
                self.names.remove(file);
                self.sync_names();
            }
        }
        Ok(DiskAnswer::Done)
    }

    /// Does what a failing operation does all the same.
    fn fail(&mut self, op: &DiskOp) {
        match op {
            DiskOp::Write {
                file, offset, data, ..
            } => {
                let part = self.rng.below(data.len() as u64 + 1);
                let part = usize::try_from(part).unwrap_or(0);
                let part = data.get(..part).unwrap_or_default();
                if let Ok(inode) = self.inode(*file) {
                    inode.write(*offset, part);
                }
            }
            // As Linux does: the pages are clean afterwards, and what was in them is not on the medium.
            DiskOp::Sync { file, .. } => {
                if let Ok(inode) = self.inode(*file) {
                    inode.drop_dirty();
                }
            }
            DiskOp::List { .. }
            | DiskOp::Read { .. }
            | DiskOp::Create { .. }
            | DiskOp::Recycle { .. }
            | DiskOp::Remove { .. } => {}
        }
    }

    fn write(
        &mut self,
        file: FileName,
        offset: u64,
        data: &[u8],
        fault: Option<Fault>,
    ) -> Result<(), DiskError> {
        let astray = self.rng.next_u64();
        let inode = self.inode(file)?;
        match fault {
            Some(Fault::LoseWrite) => inode.write_cache_only(offset, data),
            Some(Fault::MisdirectWrite) => {
                inode.write_cache_only(offset, data);
                inode.write_medium_only(astray % inode.len().max(1), data);
            }
            Some(Fault::Fail(_) | Fault::Stick) | None => inode.write(offset, data),
        }
        Ok(())
    }

    fn check_space(&self, grows: u64) -> Result<(), DiskError> {
        let used: u64 = self
            .names
            .values()
            .filter_map(|id| self.inodes.get(id))
            .map(Inode::len)
            .sum();
        match self.capacity {
            Some(capacity) if grows > 0 && used + grows > capacity => Err(DiskError::NoSpace),
            Some(_) | None => Ok(()),
        }
    }

    fn inode(&mut self, file: FileName) -> Result<&mut Inode, DiskError> {
        let id = self.names.get(&file).ok_or(DiskError::NotFound)?;
        self.inodes.get_mut(id).ok_or(DiskError::NotFound)
    }

    fn create(&mut self, file: FileName, len: u64) {
        let id = self.next_inode;
        self.next_inode += 1;
        self.inodes.insert(id, Inode::zeroed(len));
        self.names.insert(file, id);
    }

    fn rename(&mut self, from: FileName, to: FileName) {
        if let Some(id) = self.names.remove(&from) {
            self.names.insert(to, id);
        }
    }

    /// Operations on names are answered when they are durable, so between operations names and medium
    /// agree; what is left to do is to forget files without a name.
    fn sync_names(&mut self) {
        let names = &self.names;
        self.inodes
            .retain(|id, _| names.values().any(|named| named == id));
    }

    /// The process dies: what it has asked for is forgotten, of what is under way any part may have
    /// happened, the page cache stays.
    pub fn kill(&mut self) {
        for lane in 0..LANES {
            let Some(op) = self.lanes.get(lane).and_then(VecDeque::front).cloned() else {
                continue;
            };
            if self.rng.one_in(2) {
                // The answer finds nobody.
                let _ = self.execute(&op, None);
            } else if matches!(op, DiskOp::Write { .. }) {
                self.fail(&op);
            }
        }
        self.lanes = Default::default();
        self.stuck = [false; LANES];
    }

    /// The power fails: of what is under way any part may have happened, and of each file's unsynced
    /// sectors any may be lost.
    pub fn lose_power(&mut self) {
        self.kill();
        let kept = Kept::draw(&mut self.rng);
        for inode in self.inodes.values_mut() {
            inode.lose_power(|count, at| kept.keeps(count, at, &mut self.rng));
        }
    }

    /// Returns the files and their lengths.
    #[must_use]
    pub fn files(&self) -> Vec<(FileName, u64)> {
        let len = |id| self.inodes.get(id).map_or(0, Inode::len);
        self.names
            .iter()
            .map(|(&file, id)| (file, len(id)))
            .collect()
    }

    /// Returns what a file holds.
    #[must_use]
    pub fn contents(&self, file: FileName) -> Option<&[u8]> {
        let id = self.names.get(&file)?;
        self.inodes.get(id).map(Inode::contents)
    }

    /// Rot: flips a bit of a file.
    pub fn flip(&mut self, file: FileName, offset: u64, bit: u8) {
        if let Ok(inode) = self.inode(file) {
            inode.flip(offset, bit);
        }
    }

    /// A block of a file holds what somebody else wrote: an old version, or another file's bytes.
    pub fn overwrite(&mut self, file: FileName, offset: u64, data: &[u8]) {
        if let Ok(inode) = self.inode(file) {
            inode.overwrite(offset, data);
        }
    }

    /// Somebody removes a file.
    pub fn remove(&mut self, file: FileName) {
        self.names.remove(&file);
    }

    /// Somebody cuts a file off.
    pub fn truncate(&mut self, file: FileName, len: u64) {
        if let Ok(inode) = self.inode(file) {
            inode.truncate(len);
        }
    }
}

fn lane_of(op: &DiskOp) -> usize {
    match op {
        DiskOp::Write { file, .. } | DiskOp::Sync { file, .. } => match file {
            FileName::Log(_) => 0,
            FileName::Segment { .. } | FileName::Checkpoint(_) => 1,
        },
        DiskOp::List { .. }
        | DiskOp::Create { .. }
        | DiskOp::Recycle { .. }
        | DiskOp::Remove { .. } => 2,
        DiskOp::Read { .. } => 3,
    }
}

#[cfg(test)]
mod tests;
