//! Another configuration for the server that runs, and JetStream going off and on with it.
//!
//! *Invariant:* what can fail has been tried before anything changes; nobody is read from while
//! streams come or go, so that each message meets all of them or none.

use std::rc::Rc;

use broker::{Input, Level};
use config::Options;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::Driver;
use crate::disk::{Disk, DiskAnswers, FileAnswers, FileDisk};
use crate::reload::{ConfigSource, Fresh, OpenStore, StoreChange};
use crate::tls::{Keys, TlsDoor};

/// The ends of the channels by which the driver asks for what only another task can do.
#[derive(Debug)]
pub(super) struct Wishes {
    /// Gets one for each reload that a client of the system account asks for.
    reloads: UnboundedSender<()>,
    /// Gets the answers of a disk that has just been opened.
    disks: UnboundedSender<FileAnswers>,
}

/// A door, and the certificates that it will show.
type ReadDoor<'a> = (&'a Rc<TlsDoor>, Option<Keys>);

/// The other ends.
#[derive(Debug)]
pub(crate) struct Wished {
    pub(crate) reloads: UnboundedReceiver<()>,
    pub(crate) disks: UnboundedReceiver<FileAnswers>,
}

pub(super) fn wishes() -> (Wishes, Wished) {
    let (ask, reloads) = unbounded_channel();
    let (open, disks) = unbounded_channel();
    let wishes = Wishes {
        reloads: ask,
        disks: open,
    };
    (wishes, Wished { reloads, disks })
}

impl Driver {
    /// Reads the configuration again whenever somebody asks, for ever.
    pub(crate) async fn drive_reloads(
        &self,
        mut outside: UnboundedReceiver<()>,
        mut inside: UnboundedReceiver<()>,
    ) {
        loop {
            tokio::select! {
                biased;
                Some(()) = outside.recv() => self.reload_or_say_why().await,
                Some(()) = inside.recv() => {
                    let failed = self.reload().await.err();
                    self.input(None, Input::Reloaded(failed));
                }
                else => core::future::pending().await,
            }
        }
    }

    /// Hands the disk's answers over, for ever: those of the disk that was there at the start, then
    /// of each that streams were switched on with.
    pub(crate) async fn drive_disk<A: DiskAnswers>(
        &self,
        first: Option<A>,
        mut later: UnboundedReceiver<FileAnswers>,
    ) {
        let mut next = match first {
            Some(answers) => self.hand_over(answers, &mut later).await,
            None => later.recv().await,
        };
        while let Some(answers) = next {
            next = self.hand_over(answers, &mut later).await;
        }
        // The driver that holds the other end is the one that this runs for.
        core::future::pending().await
    }

    /// Hands the answers of one disk over, until there is another.
    async fn hand_over(
        &self,
        mut answers: impl DiskAnswers,
        later: &mut UnboundedReceiver<FileAnswers>,
    ) -> Option<FileAnswers> {
        let mut done = Vec::new();
        loop {
            tokio::select! {
                biased;
                next = later.recv() => return next,
                () = answers.next(&mut done) => self.disk_done(&mut done),
            }
        }
    }

    /// Asks for a reload.
    pub(super) fn wish_reload(&self) {
        // The receiver lives as long as the server serves.
        let _ = self.wishes.reloads.send(());
    }

    /// Reads the configuration again because somebody outside asked, who is answered in the log.
    async fn reload_or_say_why(&self) {
        if let Err(error) = self.reload().await {
            let text = format!(
                "Failed to reload server configuration: {}",
                error.trim_end()
            );
            self.log(Level::Error, text);
        }
    }

    /// Puts another configuration in force, if it is one that this server can go on with.
    async fn reload(&self) -> Result<(), String> {
        let source = self.config.borrow_mut().take();
        let Some(mut source) = source else {
            let text = "can only reload config when a file is provided using -c or --config";
            return Err(text.to_owned());
        };
        let adopted = self.adopt(&mut *source).await;
        *self.config.borrow_mut() = Some(source);
        adopted
    }

    async fn adopt(&self, source: &mut dyn ConfigSource) -> Result<(), String> {
        let (fresh, was_on) = {
            let shard = self.shard.borrow();
            let current = shard.config();
            (source.read(current)?, current.jetstream.enabled)
        };
        let is_on = fresh.options.jetstream.enabled;
        let certificates = self.read_certificates(&fresh.options)?;
        let store = match is_on && !was_on {
            true => Some(source.open_store(&fresh.options)?),
            false => None,
        };
        let change = match &store {
            Some(store) => StoreChange::On(store),
            None if was_on && !is_on => StoreChange::Off,
            None => StoreChange::None,
        };
        source.adopting(&fresh.options, change);
        match store {
            Some(store) => self.switch_on(store, &fresh).await,
            None if was_on && !is_on => {
                self.switch_off(&fresh).await;
                source.store_closed();
            }
            None => self.put_in_force(&fresh),
        }
        for (door, keys) in certificates {
            door.replace(&fresh.options, keys);
        }
        let now = self.clock.now().wall;
        let mut monitored = self.monitored.borrow_mut();
        monitored.reloaded(fresh.digest, now);
        let of_clients = self.doors.first();
        monitored.tls_cert_not_after = of_clients.and_then(|door| door.not_after());
        drop(monitored);
        source.adopted(&fresh.options);
        Ok(())
    }

    fn read_certificates(&self, options: &Options) -> Result<Vec<ReadDoor<'_>>, String> {
        let read = self.doors.iter().map(|door| {
            let keys = door.read(options).map_err(|error| error.to_string())?;
            Ok((door, keys))
        });
        read.collect()
    }

    fn put_in_force(&self, fresh: &Fresh) {
        self.input(None, Input::Reload(Box::new(fresh.options.clone())));
    }

    /// Serves streams from now on.
    async fn switch_on(&self, store: OpenStore, fresh: &Fresh) {
        self.pause();
        let OpenStore { disk, key } = store;
        self.attach_disk(disk);
        self.shard.borrow_mut().set_store_key(key);
        self.put_in_force(fresh);
        self.start();
        self.wait_ready().await;
        self.go_on();
    }

    /// Serves streams no more, once all that is under way is on the disk and those who wait for it know.
    async fn switch_off(&self, fresh: &Fresh) {
        self.pause();
        // What the first turn leads to, like the progress of consumers, is on its way with the second.
        for _ in 0..2 {
            self.input(None, Input::CloseStreams);
            self.wait_written().await;
        }
        self.put_in_force(fresh);
        // The directory is free afterwards.
        drop(self.disk.borrow_mut().take());
        self.go_on();
    }

    /// Takes a disk for the streams that come.
    fn attach_disk(&self, disk: FileDisk) {
        let (queue, answers) = disk.split();
        *self.disk.borrow_mut() = Some(Box::new(queue));
        // The receiver lives as long as the server serves.
        let _ = self.wishes.disks.send(answers);
    }

    /// Reads from nobody until [`Self::go_on`].
    fn pause(&self) {
        self.is_paused.set(true);
    }

    fn go_on(&self) {
        self.is_paused.set(false);
        for slot in self.slots.borrow().iter().flatten() {
            if let Some(waker) = &slot.waker {
                waker.wake_by_ref();
            }
        }
    }
}
