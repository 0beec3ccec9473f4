//! The process' configuration: where it is read again, and the files that it asks for.

use core::cell::RefCell;
use std::rc::Rc;

use broker::Room;
use config::{LaunchError, Options, ReloadError};
use storage::StoreKey;

use crate::launch::{CommandLine, Process};
use crate::log::Logger;
use crate::ports_file::{Bound, PortsFile};
use crate::reason;
use crate::reload::{ConfigSource, Fresh, OpenStore, StoreChange};

use super::store;

/// The configuration file of this process, as its command line names it.
pub(super) struct Source {
    pub(super) line: CommandLine,
    pub(super) log: Logger,
    pub(super) files: Rc<Files>,
    /// What the configuration that was read last changes.
    pub(super) notes: Vec<String>,
    /// The digest of its file.
    pub(super) digest: String,
    /// What streams may take of the machine.
    pub(super) room: Room,
}

impl ConfigSource for Source {
    fn read(&mut self, current: &Options) -> Result<Fresh, String> {
        let CommandLine { program, args } = &self.line;
        let fresh = config::reload(program, args, current, &mut Process);
        let fresh = fresh.map_err(|error| {
            // Each of the values is a line to nats-server.
            let line_ends = matches!(error, ReloadError::Load(LaunchError::Values(_)));
            format!("{error}{}", if line_ends { "\n" } else { "" })
        })?;
        self.notes = fresh.notes;
        let file = fresh.setup.config.map(|file| file.digest);
        self.digest = file.unwrap_or_default();
        Ok(Fresh {
            options: fresh.setup.options,
            digest: self.digest.clone(),
        })
    }

    fn open_store(&mut self, options: &Options) -> Result<OpenStore, String> {
        let store = store::open(options);
        store.map_err(|error| error.to_string())
    }

    fn adopting(&mut self, options: &Options, change: StoreChange<'_>) {
        for note in self.notes.drain(..) {
            self.log.info(note);
        }
        match change {
            StoreChange::None => {}
            StoreChange::On(store) => {
                self.log.info("Restarting JetStream");
                let cipher = store.key.as_ref().map(StoreKey::cipher);
                store::tell(options, self.room, cipher, &self.log);
            }
            StoreChange::Off => self.log.info("Initiating JetStream Shutdown..."),
        }
    }

    fn store_closed(&mut self) {
        self.log.info("JetStream Shutdown");
    }

    fn adopted(&mut self, options: &Options) {
        self.log.change(&options.logging, &self.line.program);
        self.files.change(options);
        let digest = &self.digest;
        self.log
            .info(format!("Reloaded server configuration ({digest})"));
    }
}

/// The files that tell others of this process.
pub(super) struct Files {
    program: String,
    log: Logger,
    state: RefCell<Written>,
}

#[derive(Default)]
struct Written {
    pid: Option<String>,
    /// Where the server is bound, once it is.
    bound: Bound,
    ports_dir: Option<String>,
    ports: Option<PortsFile>,
    /// Whether streams are served.
    streams: bool,
}

impl Files {
    pub(super) fn new(program: &str, log: &Logger) -> Self {
        Self {
            program: program.to_owned(),
            log: log.clone(),
            state: RefCell::default(),
        }
    }

    /// Writes the process id.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(super) fn write_pid(&self, path: Option<&str>) -> anyhow::Result<()> {
        let Some(path) = path else {
            return Ok(());
        };
        std::fs::write(path, std::process::id().to_string()).map_err(|error| {
            anyhow::anyhow!("Could not write pidfile: open {path}: {}", reason(&error))
        })?;
        self.state.borrow_mut().pid = Some(path.to_owned());
        Ok(())
    }

    /// Tells which ports are in use.
    pub(super) fn write_ports(&self, bound: &Bound, folder: Option<&str>) {
        let mut state = self.state.borrow_mut();
        state.bound = bound.clone();
        state.ports_dir = folder.map(str::to_owned);
        state.ports = None;
        let Some(folder) = folder else {
            return;
        };
        match PortsFile::write(folder, &self.program, bound) {
            Ok(file) => state.ports = Some(file),
            Err(error) => {
                let path = PortsFile::path(folder, &self.program);
                let (path, why) = (path.display(), reason(&error));
                let text = format!("Error writing ports file ({path}): open {path}: {why}");
                self.log.error(text);
            }
        }
    }

    /// Notes whether streams are served.
    pub(super) fn note_streams(&self, options: &Options) {
        self.state.borrow_mut().streams = options.jetstream.enabled;
    }

    pub(super) fn has_streams(&self) -> bool {
        self.state.borrow().streams
    }

    /// Puts the files where another configuration wants them.
    fn change(&self, options: &Options) {
        if let Err(error) = self.write_pid(options.pid_file.as_deref()) {
            self.log.error(format!("{error:#}"));
        }
        self.note_streams(options);
        let (bound, folder) = {
            let state = self.state.borrow();
            (state.bound.clone(), state.ports_dir.clone())
        };
        if folder != options.ports_file_dir {
            self.write_ports(&bound, options.ports_file_dir.as_deref());
        }
    }

    /// Removes the files: the process ends.
    pub(super) fn remove(&self) {
        let (pid, ports) = {
            let mut state = self.state.borrow_mut();
            (state.pid.take(), state.ports.take())
        };
        drop(ports);
        if let Some(path) = pid {
            // Somebody else may have removed it.
            drop(std::fs::remove_file(path));
        }
    }
}
