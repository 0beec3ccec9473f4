//! The shard and its effects: every input goes in here, and every effect is carried out in `effects`.
//!
//! *Invariant:* with its folder the only file that borrows the shard. A borrow lasts for one input
//! and never crosses an await; the effects of an input are drained before the next one.

mod effects;
mod managing;
mod reloading;

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::net::SocketAddr;
use core::task::{Poll, Waker};
use std::rc::Rc;

use broker::{
    Accepted, CloseReason, ConnId, Effects, Gone, Input, Level, LogLine, Shard, TlsSession,
    WorkDone,
};
use bytes::BytesMut;
use monitor::stats::Process;
use protocol::time::{Instant, Now};
use storage::DiskDone;
use tokio::sync::Notify;

use crate::clock::Clock;
use crate::conn_io::READ_CHUNK;
use crate::disk::DiskQueue;
use crate::disk_times::DiskClock;
use crate::gather::Gathering;
use crate::process_stats::Monitored;
use crate::reload::ConfigSource;
use crate::tls::TlsDoor;
use crate::work::Worker;
use managing::Calls;
use reloading::Wishes;

pub(crate) use managing::ManagedBy;
pub(crate) use reloading::Wished;

/// What a connection's future may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Read and write.
    Open,
    /// Write only, until what it feeds has drained.
    Gated,
    /// Write what is left, then end.
    Closing,
    /// End at once.
    Dropped,
}

/// The driver's side of a connection.
struct Slot {
    id: ConnId,
    standing: Standing,
    /// Why the shard has closed it.
    reason: Option<CloseReason>,
    waker: Option<Waker>,
    /// The last batch that it has sent something for.
    batch: u64,
}

/// What carries out what the shard asks for, and what the driver itself needs.
pub(crate) struct Outside {
    pub(crate) clock: Clock,
    pub(crate) log: Box<dyn Fn(&LogLine)>,
    pub(crate) monitored: Monitored,
    /// Where disk operations go.
    pub(crate) disk: Option<Box<dyn DiskQueue>>,
    pub(crate) worker: Worker,
    /// Where another configuration comes from.
    pub(crate) config: Option<Box<dyn ConfigSource>>,
    /// The listeners' certificates, which are read again with the configuration.
    pub(crate) doors: Vec<Rc<TlsDoor>>,
}

/// The shard with everything that carries out what it asks for.
pub(crate) struct Driver {
    shard: RefCell<Shard>,
    fx: RefCell<Effects>,
    /// One slot per connection slot of the shard.
    slots: RefCell<Vec<Option<Slot>>>,
    scratch: RefCell<BytesMut>,
    clock: Clock,
    /// When the timer task will wake.
    armed: Cell<Instant>,
    rearm: Notify,
    /// Told when the shard wants its batch ended.
    unsettled: Notify,
    /// Whether it does.
    is_unsettled: Cell<bool>,
    /// Told when the disk has answered or a batch has ended.
    answered: Notify,
    log: Box<dyn Fn(&LogLine)>,
    monitored: RefCell<Monitored>,
    gathering: Gathering,
    /// Disk operations that have not been answered.
    disk_open: Cell<usize>,
    disk_times: RefCell<DiskClock>,
    worker: RefCell<Worker>,
    /// Where disk operations go.
    disk: RefCell<Option<Box<dyn DiskQueue>>>,
    /// Set while streams come or go: nobody is read from.
    is_paused: Cell<bool>,
    wishes: Wishes,
    config: RefCell<Option<Box<dyn ConfigSource>>>,
    doors: Vec<Rc<TlsDoor>>,
    calls: Calls,
}

impl Driver {
    /// Returns a driver, and what it wishes of others.
    pub(crate) fn new(shard: Shard, outside: Outside) -> (Self, Wished) {
        let (wishes, wished) = reloading::wishes();
        let driver = Self {
            shard: RefCell::new(shard),
            fx: RefCell::new(Effects::default()),
            slots: RefCell::new(Vec::new()),
            scratch: RefCell::new(BytesMut::with_capacity(READ_CHUNK)),
            clock: outside.clock,
            armed: Cell::new(Instant::NEVER),
            rearm: Notify::new(),
            unsettled: Notify::new(),
            is_unsettled: Cell::new(false),
            answered: Notify::new(),
            log: outside.log,
            monitored: RefCell::new(outside.monitored),
            gathering: Gathering::default(),
            disk_open: Cell::new(0),
            disk_times: RefCell::default(),
            worker: RefCell::new(outside.worker),
            disk: RefCell::new(outside.disk),
            is_paused: Cell::new(false),
            wishes,
            config: RefCell::new(outside.config),
            doors: outside.doors,
            calls: Calls::default(),
        };
        (driver, wished)
    }

    /// Answers a request for a monitoring document.
    pub(crate) fn monitor(&self, path: &str, query: &str) -> monitor::http::Response {
        let now = self.clock.now();
        let shard = self.shard.borrow();
        let mut monitored = self.monitored.borrow_mut();
        let endpoint = monitor::http::endpoint(&monitored.base_path, path).unwrap_or_default();
        let process = Process {
            disk: self.disk_times.borrow().times(),
            ..monitored.measure(endpoint, now)
        };
        let source = shard.monitoring(now, process);
        monitor::http::respond(&source, endpoint, query)
    }

    /// Notes where WebSockets are bound.
    pub(crate) fn note_websocket(&self, bound: SocketAddr) {
        self.monitored.borrow_mut().bound_websocket = Some(bound);
    }

    /// Takes a new connection in.
    pub(crate) fn accept(&self, accepted: Accepted) -> ConnId {
        let now = self.clock.now();
        let id = {
            let mut shard = self.shard.borrow_mut();
            let mut fx = self.fx.borrow_mut();
            let id = shard.accept(now, accepted, &mut fx);
            let mut slots = self.slots.borrow_mut();
            let at = id.index as usize;
            if slots.len() <= at {
                slots.resize_with(at + 1, || None);
            }
            if let Some(slot) = slots.get_mut(at) {
                *slot = Some(Slot {
                    id,
                    standing: Standing::Open,
                    reason: None,
                    waker: None,
                    batch: 0,
                });
            }
            id
        };
        self.drain(None);
        id
    }

    /// Has a client greeted that does not begin with its handshake.
    pub(crate) fn greet(&self, conn: ConnId) {
        self.input(Some(conn), Input::Greet { conn });
    }

    /// Says that a client's handshake begins.
    pub(crate) fn handshake(&self, conn: ConnId) {
        self.input(Some(conn), Input::Handshake { conn });
    }

    /// Says that a client's handshake is done.
    pub(crate) fn secured(&self, conn: ConnId, session: Box<TlsSession>) {
        self.input(Some(conn), Input::Secured { conn, session });
    }

    /// Says where a client comes from, if not where its socket does.
    pub(crate) fn origin(&self, conn: ConnId, origin: Option<SocketAddr>) {
        self.input(Some(conn), Input::Origin { conn, origin });
    }

    /// Says that a client was to tell where it comes from and did not.
    pub(crate) fn no_origin(&self, conn: ConnId, why: Option<&str>) {
        self.input(Some(conn), Input::NoOrigin { conn, why });
    }

    /// Says that a client's handshake came to nothing.
    pub(crate) fn handshake_failed(&self, conn: ConnId, level: Level, why: &str) {
        self.input(Some(conn), Input::HandshakeFailed { conn, level, why });
    }

    /// Waits until a connection is to end.
    pub(crate) async fn wait_closing(&self, conn: ConnId) {
        poll_fn(|cx| {
            self.attach(conn, cx.waker());
            match self.standing(conn) {
                Standing::Open | Standing::Gated => Poll::Pending,
                Standing::Closing | Standing::Dropped => Poll::Ready(()),
            }
        })
        .await;
    }

    /// Hands over what was read; what is left in `buf` is the beginning of an operation.
    pub(crate) fn bytes(&self, conn: ConnId, buf: &mut BytesMut) {
        let now = self.clock.now();
        if let Some(Some(slot)) = self.slots.borrow_mut().get_mut(conn.index as usize) {
            self.gathering.arrive(&mut slot.batch, now.mono);
        }
        self.handle(now, Input::Bytes { conn, buf });
        self.drain(Some(conn));
    }

    /// Says that a part of what was taken has been written.
    pub(crate) fn written(&self, conn: ConnId, bytes: usize) {
        self.input(Some(conn), Input::Written { conn, bytes });
    }

    /// Says that the socket takes no more for now.
    pub(crate) fn blocked(&self, conn: ConnId) {
        self.input(Some(conn), Input::Blocked { conn });
    }

    /// Says that a connection's future has ended.
    pub(crate) fn closed(&self, conn: ConnId, gone: Gone) {
        if let Some(slot) = self.slots.borrow_mut().get_mut(conn.index as usize)
            && slot.as_ref().is_some_and(|s| s.id == conn)
        {
            *slot = None;
        }
        self.input(Some(conn), Input::Closed { conn, gone });
    }

    /// Lets the shard do what has become due.
    pub(crate) fn timeout(&self) {
        self.armed.set(Instant::NEVER);
        self.input(None, Input::Timeout);
    }

    /// Begins to read what the disk holds.
    pub(crate) fn start(&self) {
        let now = self.clock.now();
        self.shard
            .borrow_mut()
            .start(now, &mut self.fx.borrow_mut());
        self.drain(None);
    }

    /// Hands over the disk's answers.
    pub(crate) fn disk_done(&self, done: &mut Vec<DiskDone>) {
        let answered = done.len();
        self.disk_open
            .set(self.disk_open.get().saturating_sub(answered));
        let now = self.clock.now();
        self.disk_times.borrow_mut().stop(done, now.mono);
        let is_synced = self.gathering.is_answered(done);
        self.handle(now, Input::Disk(done));
        if is_synced {
            let (fx, slots) = (self.fx.borrow(), self.slots.borrow());
            let slot = |id: &ConnId| slots.get(id.index as usize)?.as_ref();
            let seen = fx.dirty.iter().filter_map(slot).map(|slot| slot.batch);
            self.gathering.answered(seen, now.mono);
        }
        self.drain(None);
        self.answered.notify_one();
    }

    /// Hands over what came of work outside.
    pub(crate) fn work_done(&self, done: WorkDone) {
        self.input(None, Input::Work(done));
    }

    /// Says whether connections can be taken in.
    pub(crate) fn is_ready(&self) -> bool {
        self.shard.borrow().is_ready()
    }

    /// Says whether the disk has something to do, or will have at the end of the batch.
    pub(crate) fn is_writing(&self) -> bool {
        self.disk_open.get() > 0 || self.is_unsettled.get()
    }

    /// Tells clients to go elsewhere, and ends their connections one after the other.
    pub(crate) fn begin_lame_duck(&self) {
        self.input(None, Input::LameDuck);
    }

    /// Ends every connection.
    pub(crate) fn shut_down(&self) {
        self.input(None, Input::Shutdown);
    }

    /// Returns the time that passes on.
    pub(crate) fn now(&self) -> Instant {
        self.clock.now().mono
    }

    /// Waits until connections can be taken in.
    pub(crate) async fn wait_ready(&self) {
        while !self.is_ready() {
            self.answered.notified().await;
        }
    }

    /// Waits until the disk has nothing to do.
    pub(crate) async fn wait_written(&self) {
        while self.is_writing() {
            self.answered.notified().await;
        }
    }

    /// Swaps `spare` for what is to be written; false when nothing is.
    pub(crate) fn take_outbound(&self, conn: ConnId, spare: &mut BytesMut) -> bool {
        self.shard.borrow_mut().take_outbound(conn, spare)
    }

    /// Remembers whom to wake when something concerns this connection.
    pub(crate) fn attach(&self, conn: ConnId, waker: &Waker) {
        if let Some(Some(slot)) = self.slots.borrow_mut().get_mut(conn.index as usize)
            && slot.id == conn
            && !slot.waker.as_ref().is_some_and(|w| w.will_wake(waker))
        {
            slot.waker = Some(waker.clone());
        }
    }

    /// Returns what the connection's future may do now.
    pub(crate) fn standing(&self, conn: ConnId) -> Standing {
        match self.slots.borrow().get(conn.index as usize) {
            Some(Some(slot)) if slot.id == conn => match slot.standing {
                Standing::Open if self.is_paused.get() => Standing::Gated,
                standing @ (Standing::Open
                | Standing::Gated
                | Standing::Closing
                | Standing::Dropped) => standing,
            },
            Some(_) | None => Standing::Dropped,
        }
    }

    /// Returns why the shard has closed a connection, if it has.
    pub(crate) fn close_reason(&self, conn: ConnId) -> Option<CloseReason> {
        match self.slots.borrow().get(conn.index as usize) {
            Some(Some(slot)) if slot.id == conn => slot.reason,
            Some(_) | None => None,
        }
    }

    /// Logs a line about a connection that the shard knows nothing of.
    pub(crate) fn log(&self, level: Level, text: String) {
        self.note(&LogLine::new(level, text));
    }

    /// Lends the buffer that whole batches are read into. It is empty between two uses.
    pub(crate) fn with_scratch<T>(&self, run: impl FnOnce(&mut BytesMut) -> T) -> T {
        run(&mut self.scratch.borrow_mut())
    }

    /// Wakes the shard when its next deadline has come, for ever.
    pub(crate) async fn drive_timer(&self) {
        loop {
            tokio::select! {
                biased;
                () = self.rearm.notified() => {}
                () = self.clock.wait_until(self.armed.get()) => self.timeout(),
            }
        }
    }

    /// Ends the shard's batches, for ever. The look at the network before that costs a lone publisher
    /// next to nothing, and brings in what others sent at the same time: it goes with the same sync.
    pub(crate) async fn drive_settling(&self) {
        loop {
            self.unsettled.notified().await;
            // Tasks that yield go on after the sockets have been polled and those ready have run.
            tokio::task::yield_now().await;
            let mut patience = self.gathering.patience(self.clock.now().mono);
            while self.gathering.is_worth_waiting(&mut patience) {
                tokio::task::yield_now().await;
            }
            self.is_unsettled.set(false);
            self.input(None, Input::Settle);
            self.answered.notify_one();
        }
    }

    fn input(&self, from: Option<ConnId>, input: Input<'_>) {
        self.handle(self.clock.now(), input);
        self.drain(from);
    }

    fn handle(&self, now: Now, input: Input<'_>) {
        self.shard
            .borrow_mut()
            .handle(now, input, &mut self.fx.borrow_mut());
    }
}
