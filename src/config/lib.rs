//! nats-server's configuration grammar and command line, checked into [`Options`].
//!
//! *Invariant:* pure. Files and environment variables are read through [`Surroundings`], which the
//! server passes in, so that the same text always gives the same options.

#![no_std]

extern crate alloc;

use alloc::string::String;
use alloc::vec::Vec;

mod check;
mod claims;
mod cli;
mod digest;
mod duration;
pub mod error;
pub mod fake;
mod load;
pub mod options;
mod parse;
mod reload;
mod scalar;
pub mod value;

pub use check::{Inconsistent, OperatorError, Unsupported, WebSocketError, claimed_permissions};
pub use claims::{ClaimsError, replaced, without};
pub use cli::FlagError;
pub use cli::help::{NATS_SERVER, NATS_VERSION, VERSION};
pub use digest::digest;
pub use identity::text as claims_text;
pub use load::{CheckStore, ConfigFile, Launch, LaunchError, Setup, load};
pub use options::Options;
pub use reload::{Fresh, ReloadError, reload, size_text};

/// What a configuration may refer to outside of itself.
pub trait Surroundings {
    /// Reads a file as text.
    ///
    /// # Errors
    /// The system's reason why it cannot be read, as in `no such file or directory`.
    fn read(&mut self, path: &str) -> Result<String, String>;

    /// Returns an environment variable.
    fn variable(&mut self, name: &str) -> Option<String>;

    /// Returns the time of day, in seconds since 1970, by which claims hold or do not.
    fn seconds(&mut self) -> i64;

    /// Returns the tokens that a directory of accounts holds, in any order; it is made if it is not there.
    ///
    /// # Errors
    /// The system's reason why it cannot be read.
    fn tokens(&mut self, directory: &str) -> Result<Vec<String>, String>;

    /// Looks at the files of a `tls` block, and returns a digest of what is in them.
    ///
    /// # Errors
    /// What is wrong with them, in nats-server's words.
    fn check_tls(&mut self, tls: &options::Tls) -> Result<String, String>;
}
