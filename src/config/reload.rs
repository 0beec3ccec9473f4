//! What a running server takes over from a configuration that has changed, and what it refuses.
//!
//! *Invariant:* a refused change changes nothing: the whole difference is judged before any of it is
//! adopted.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::Surroundings;
use crate::check::{Inconsistent, translated};
use crate::load::{Launch, LaunchError, Setup, load};
use crate::options::{Options, Resolver};

mod blocks;
mod fields;
#[cfg(test)]
mod tests;

use fields::FIELDS;
pub use fields::size_text;

/// Why a server keeps the configuration that it has.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The server was started without a file.
    #[error("can only reload config when a file is provided using -c or --config")]
    NoFile,
    /// The file is not one to start with either.
    #[error(transparent)]
    Load(#[from] LaunchError),
    /// A setting holds for the life of the process.
    #[error("config reload not supported for {name}: old={old}, new={new}")]
    Fixed {
        /// The setting, as nats-server calls it.
        name: &'static str,
        /// What is in force.
        old: String,
        /// What the file says now.
        new: String,
    },
    /// A field of a block holds for the life of the process.
    #[error("config reload not supported for {block}: field \"{name}\": old={old}, new={new}")]
    Field {
        /// The block, as nats-server calls it.
        block: &'static str,
        /// The field.
        name: &'static str,
        /// What is in force.
        old: String,
        /// What the file says now.
        new: String,
    },
    /// A setting may change, but not so.
    #[error("config reload not supported for {0}")]
    Unsupported(&'static str),
}

/// A configuration that a running server may adopt.
#[derive(Debug)]
pub struct Fresh {
    /// Everything that is in force from now on.
    pub setup: Box<Setup>,
    /// What changes, one line for the log each.
    pub notes: Vec<String>,
}

/// Reads the configuration again, as `program` was started with `args`, and compares it with what is
/// in force.
///
/// # Errors
/// What is wrong with the file, or the first change that a running server cannot make.
pub fn reload(
    program: &str,
    args: &[String],
    current: &Options,
    around: &mut dyn Surroundings,
) -> Result<Fresh, ReloadError> {
    let mut setup = match load(program, args, around) {
        Ok(Launch::Serve(setup)) => setup,
        Ok(_) => return Err(ReloadError::NoFile),
        Err(LaunchError::Inconsistent(Inconsistent::SystemAccount(name))) => {
            return Err(no_such_account(current, name));
        }
        Err(error) => return Err(error.into()),
    };
    if setup.config.is_none() {
        return Err(ReloadError::NoFile);
    }
    keep_fetched(current, &mut setup.options, around.seconds());
    let notes = compare(current, &mut setup.options)?;
    Ok(Fresh { setup, notes })
}

/// That the name has changed comes before what it names.
fn no_such_account(current: &Options, name: String) -> ReloadError {
    match fields::system_account_name(current) {
        old if old == name => LaunchError::from(Inconsistent::SystemAccount(name)).into(),
        old => ReloadError::Fixed {
            name: "SystemAccount",
            old: String::from(old),
            new: name,
        },
    }
}

/// Judges every setting in nats-server's order.
fn compare(current: &Options, next: &mut Options) -> Result<Vec<String>, ReloadError> {
    keep_random_port(current, next);
    let mut notes = Vec::new();
    for field in FIELDS {
        let told = field.judge(current, next)?.unwrap_or_default();
        notes.extend(told.lines().map(String::from));
    }
    fields::judge_streams(current, next)?;
    Ok(notes)
}

/// Accounts that were fetched are known on.
fn keep_fetched(current: &Options, next: &mut Options, now: i64) {
    let (Some(current), Some(operators)) = (&current.operators, &mut next.operators) else {
        return;
    };
    if matches!(operators.resolver, Resolver::Web(_)) && operators.resolver == current.resolver {
        operators.accounts.clone_from(&current.accounts);
        next.accounts = translated(&operators.accounts, now);
    }
}

/// A random port stays the one that it has become.
fn keep_random_port(current: &Options, next: &mut Options) {
    if let (Some(current), Some(next)) = (&current.listen, &mut next.listen)
        && next.port == 0
    {
        next.port = current.port;
    }
}
