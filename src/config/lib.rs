//! nats-server's configuration grammar and command line, checked into [`Options`].
//!
//! *Invariant:* pure. Files and environment variables are read through [`Surroundings`], which the
//! server passes in, so that the same text always gives the same options.

#![no_std]

extern crate alloc;

use alloc::string::String;

mod digest;
pub mod error;
pub mod options;
mod parse;
mod scalar;
pub mod value;

pub use digest::digest;
pub use options::Options;
pub use parse::parse_file;

/// What a configuration may refer to outside of itself.
pub trait Surroundings {
    /// Reads a file as text.
    ///
    /// # Errors
    /// The system's reason why it cannot be read, as in `no such file or directory`.
    fn read(&mut self, path: &str) -> Result<String, String>;

    /// Returns an environment variable.
    fn variable(&mut self, name: &str) -> Option<String>;
}
