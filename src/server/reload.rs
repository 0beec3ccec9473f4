//! Taking over a configuration that has changed while the server runs.
//!
//! *Invariant:* what is wrong with the new one is known before anything changes.

use config::Options;
use tokio::sync::mpsc::UnboundedReceiver;

/// A configuration that may be put in force.
#[derive(Debug)]
pub struct Fresh {
    /// The options.
    pub options: Options,
    /// The digest of the file.
    pub digest: String,
}

/// Where another configuration comes from.
pub trait ConfigSource {
    /// Reads it, and compares it with what is in force.
    ///
    /// # Errors
    /// What keeps it from being put in force.
    fn read(&mut self, current: &Options) -> Result<Fresh, String>;

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
