//! Taking over a configuration that has changed while the server runs.
//!
//! *Invariant:* what is wrong with the new one is known before anything changes.

use config::Options;
use storage::StoreKey;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::disk::FileDisk;

/// A configuration that may be put in force.
#[derive(Debug)]
pub struct Fresh {
    /// The options.
    pub options: Options,
    /// The digest of the file.
    pub digest: String,
}

/// The store that JetStream is switched on with.
#[derive(Debug)]
pub struct OpenStore {
    /// Its directory.
    pub disk: FileDisk,
    /// What it is encrypted with.
    pub key: Option<StoreKey>,
}

/// What a configuration does to the store.
#[derive(Debug)]
pub enum StoreChange<'a> {
    /// It stays as it is, there or not.
    None,
    /// It is served from now on.
    On(&'a OpenStore),
    /// It is not served any more.
    Off,
}

/// Where another configuration comes from.
pub trait ConfigSource {
    /// Reads it, and compares it with what is in force.
    ///
    /// # Errors
    /// What keeps it from being put in force.
    fn read(&mut self, current: &Options) -> Result<Fresh, String>;

    /// Opens the store that a configuration names.
    ///
    /// # Errors
    /// What keeps it from being served.
    fn open_store(&mut self, options: &Options) -> Result<OpenStore, String>;

    /// Called when nothing keeps what was read last from being put in force any more.
    fn adopting(&mut self, options: &Options, change: StoreChange<'_>);

    /// Called when the store that was in use is free.
    fn store_closed(&mut self);

    /// Called when what was read last is in force.
    fn adopted(&mut self, options: &Options);
}

/// Who asks for a reload, and what of.
pub struct Reload {
    /// Gets one for each time that somebody outside asks.
    pub asked: UnboundedReceiver<()>,
    /// Where the configuration comes from.
    pub source: Box<dyn ConfigSource>,
}
