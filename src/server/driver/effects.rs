//! Carries out what the shard asks for.
//!
//! *Invariant:* all effects of one input are carried out before the next input; a connection only goes on
//! towards its end.

use broker::{CloseReason, ConnId, Errand, Input};
use protocol::time::Instant;
use storage::DiskOp;

use super::{Driver, Slot, Standing};

impl Slot {
    /// Changes what the connection's future may do; nothing brings back one that ends.
    fn enter(&mut self, standing: Standing, reason: Option<CloseReason>) {
        self.reason = self.reason.or(reason);
        self.standing = match (self.standing, standing) {
            (Standing::Dropped, _) => Standing::Dropped,
            (Standing::Closing, Standing::Open | Standing::Gated) => Standing::Closing,
            (_, next) => next,
        };
    }
}

impl Driver {
    /// Carries out the effects of the last input. `from` is the connection whose future is running:
    /// it looks at its own state anyway and needs no waking.
    pub(super) fn drain(&self, from: Option<ConnId>) {
        let mut fx = self.fx.borrow_mut();
        let mut slots = self.slots.borrow_mut();
        let mut touch = |id: ConnId, next: Option<(Standing, Option<CloseReason>)>| {
            let Some(Some(slot)) = slots.get_mut(id.index as usize) else {
                return;
            };
            if slot.id != id {
                return;
            }
            if let Some((standing, reason)) = next {
                slot.enter(standing, reason);
            }
            if from != Some(id)
                && let Some(waker) = &slot.waker
            {
                waker.wake_by_ref();
            }
        };
        for id in fx.dirty.drain(..) {
            touch(id, None);
        }
        for (id, gated) in fx.gate.drain(..) {
            let standing = if gated {
                Standing::Gated
            } else {
                Standing::Open
            };
            touch(id, Some((standing, None)));
        }
        for (id, reason) in fx.close.drain(..) {
            touch(id, Some((Standing::Closing, Some(reason))));
        }
        for id in fx.abort.drain(..) {
            touch(id, Some((Standing::Dropped, None)));
        }
        self.hand_to_disk(&mut fx.disk);
        for op in fx.work.drain(..) {
            self.worker.borrow_mut().submit(op);
        }
        self.calls.answer(&mut fx.managed);
        for line in fx.log.drain(..) {
            self.note(&line);
        }
        if core::mem::take(&mut fx.settle) {
            self.is_unsettled.set(true);
            self.unsettled.notify_one();
        }
        let errands = core::mem::take(&mut fx.errands);
        drop(slots);
        drop(fx);
        // Each is an input of its own, whose effects are carried out before the next.
        for errand in errands {
            self.run(errand);
        }
        let due = self.shard.borrow().poll_timeout();
        let due = due.map_or(Instant::NEVER, |(at, _)| at);
        if due < self.armed.get() {
            self.armed.set(due);
            self.rearm.notify_one();
        }
    }

    /// Does what only the driver can.
    fn run(&self, errand: Errand) {
        match errand {
            Errand::Measure => {
                let process = self.monitored.borrow_mut().process(self.clock.now());
                self.input(None, Input::Measured(Box::new(process)));
            }
            Errand::Reload => self.wish_reload(),
        }
    }

    fn hand_to_disk(&self, ops: &mut Vec<DiskOp>) {
        let disk = self.disk.borrow();
        let Some(disk) = disk.as_ref().filter(|_| !ops.is_empty()) else {
            return;
        };
        let now = self.clock.now().mono;
        self.disk_times.borrow_mut().start(ops, now);
        self.disk_open.set(self.disk_open.get() + ops.len());
        if let Some(waits) = self.gathering.depart(ops) {
            disk.expect_lone(waits);
        }
        disk.submit(ops);
    }
}
