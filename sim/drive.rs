//! Drives actors over byte streams, on tokio's clock: in turmoil, or against a real server.
//!
//! *Invariant:* dials, writes and requests all have a time limit, since a stream that loses a segment
//! stays silent for ever.

use core::cell::{Cell, RefCell};
use core::future::Future;
use core::time::Duration;
use std::io;
use std::rc::Rc;

use protocol::time::Instant;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::director::{Director, Progress};
use crate::history::History;
use crate::workload::{Actor, Phase};

/// How long a dial or a write may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// The pause before the next dial.
const REDIAL: Duration = Duration::from_millis(200);
/// How often an actor looks at the phase.
const GLANCE: Duration = Duration::from_millis(50);
/// How much is read at once: little, so that messages arrive in pieces.
const READ_LEN: usize = 700;

/// What the tasks of a run share.
pub struct Stage {
    clock: Box<dyn Fn() -> Instant>,
    phase: Cell<Phase>,
    /// What clients did and saw.
    pub history: RefCell<History>,
    /// The actors; a task borrows its own for one input at a time.
    pub actors: RefCell<Vec<Actor>>,
}

impl core::fmt::Debug for Stage {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Stage")
            .field("phase", &self.phase)
            .finish_non_exhaustive()
    }
}

impl Stage {
    /// Returns the stage of a cast; `clock` tells the time since the beginning.
    #[must_use]
    pub fn new(actors: Vec<Actor>, clock: impl Fn() -> Instant + 'static) -> Rc<Self> {
        Rc::new(Self {
            clock: Box::new(clock),
            phase: Cell::new(Phase::Run),
            history: RefCell::new(History::default()),
            actors: RefCell::new(actors),
        })
    }

    /// Returns the time since the beginning.
    #[must_use]
    pub fn now(&self) -> Instant {
        (self.clock)()
    }

    /// Lets the director look; the actors see a new phase at their next glance.
    pub fn direct(&self, director: &mut Director) -> Progress {
        self.direct_at(self.now(), director)
    }

    /// Lets the director look at a time that the caller knows.
    pub fn direct_at(&self, now: Instant, director: &mut Director) -> Progress {
        let progress = director.on_time(now, self.actors.borrow().iter());
        self.phase.set(director.phase());
        progress
    }

    fn with<T>(&self, number: usize, work: impl FnOnce(&mut Actor, &mut History) -> T) -> T {
        let mut actors = self.actors.borrow_mut();
        work(&mut actors[number], &mut self.history.borrow_mut())
    }
}

/// Plays one actor for ever.
pub async fn drive_actor<S, F>(stage: Rc<Stage>, number: usize, dial: impl Fn() -> F)
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = io::Result<S>>,
{
    loop {
        if let Ok(Ok(stream)) = tokio::time::timeout(PATIENCE, dial()).await {
            let now = stage.now();
            stage.with(number, |actor, _| actor.link_up(now));
            // However a connection ends, the next one begins.
            let _ = converse(&stage, number, stream).await;
            let (now, phase) = (stage.now(), stage.phase.get());
            stage.with(number, |actor, history| {
                actor.link_down(now, phase, history)
            });
        }
        tokio::time::sleep(REDIAL).await;
    }
}

async fn converse<S>(stage: &Stage, number: usize, mut stream: S) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut buf = vec![0; READ_LEN];
    loop {
        let (out, due, stale) = stage.with(number, |actor, _| {
            (
                actor.take_out(),
                actor.due(stage.phase.get()),
                actor.client().is_stale(),
            )
        });
        if stale {
            return Ok(());
        }
        if !out.is_empty() {
            tokio::time::timeout(PATIENCE, stream.write_all(&out)).await??;
        }
        let wait = due.since(stage.now()).min(GLANCE);
        let read = tokio::select! {
            biased;
            read = stream.read(&mut buf) => Some(read?),
            () = tokio::time::sleep(wait) => None,
        };
        let (now, phase) = (stage.now(), stage.phase.get());
        match read {
            Some(0) => return Ok(()),
            Some(len) => stage.with(number, |actor, history| {
                actor.on_bytes(&buf[..len], now, phase, history);
            }),
            None => stage.with(number, |actor, history| actor.on_time(now, phase, history)),
        }
    }
}
