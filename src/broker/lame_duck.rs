//! Lame duck mode: the server is about to stop, and its clients leave it a few at a time, so that
//! the servers they go to are not run over.
//!
//! *Invariant:* the driver takes in nobody any more before it says [`Input::LameDuck`], so that the
//! clients who have to leave only become fewer.
//!
//! [`Input::LameDuck`]: crate::Input::LameDuck

use alloc::vec::Vec;
use core::time::Duration;

use protocol::errors::CloseReason;
use protocol::id::ConnId;
use protocol::time::Instant;

use crate::conn::{Conn, State};
use crate::effects::{Level, LogLine};
use crate::shard::Shard;

/// The shortest time between two clients' leave, so that a million of them cannot keep the shard
/// from everything else.
const PACE_MIN: Duration = Duration::from_micros(100);

/// A leave that has begun.
#[derive(Debug)]
pub(crate) struct LameDuck {
    /// When the next client is to go, or the time of grace is over.
    next: Instant,
    /// Who has to go and how long after the one before; none in the time of grace.
    leaving: Option<(Vec<ConnId>, Duration)>,
}

impl LameDuck {
    /// Returns when [`Shard::on_lame_duck`] has something to do.
    pub(crate) fn next(&self) -> Option<Instant> {
        (self.next != Instant::NEVER).then_some(self.next)
    }
}

impl Shard {
    /// Tells the clients that they should go elsewhere.
    pub(crate) fn begin_lame_duck(&mut self) {
        if self.lame_duck.is_some() {
            return;
        }
        self.lame_duck = Some(LameDuck {
            next: self.router.now.mono + self.options.config.lame_duck_grace_period,
            leaving: None,
        });
        let conns = self.router.conns.iter();
        let told = conns.filter(|conn| {
            matches!(conn.state, State::Open) && conn.wishes.protocol >= 1 && conn.pulse.greeted
        });
        let told: Vec<ConnId> = told.map(|conn| conn.id).collect();
        for id in told {
            self.send_info(id);
        }
    }

    /// Ends the connections whose time has come.
    pub(crate) fn on_lame_duck(&mut self) {
        let now = self.router.now.mono;
        let Some(mut duck) = self.lame_duck.take() else {
            return;
        };
        if duck.leaving.is_none() && duck.next <= now && self.router.conns.iter().next().is_some() {
            let text = "Closing existing clients".into();
            self.router.fx.log.push(LogLine::new(Level::Info, text));
        }
        while duck.next <= now {
            let (leaving, pace) = duck.leaving.get_or_insert_with(|| self.leavers());
            match leaving.pop() {
                Some(id) => {
                    self.close(id, CloseReason::ServerShutdown);
                    duck.next = duck.next + *pace;
                }
                None => duck.next = Instant::NEVER,
            }
        }
        self.lame_duck = Some(duck);
    }

    /// Returns who has to leave, the last one first, and the time between two of them.
    fn leavers(&self) -> (Vec<ConnId>, Duration) {
        let conns = self.router.conns.iter();
        let mut leaving: Vec<ConnId> = conns
            .filter(|conn| !Conn::is_closing(conn))
            .map(|conn| conn.id)
            .collect();
        leaving.reverse();
        let config = &self.options.config;
        let time = config
            .lame_duck_duration
            .saturating_sub(config.lame_duck_grace_period);
        let count = u32::try_from(leaving.len()).unwrap_or(u32::MAX).max(1);
        (leaving, (time / count).max(PACE_MIN))
    }
}
