//! What the machine asks of the schema languages, which need libraries that are not pure: compiling a
//! version of a schema, and saying whether a message fits it.
//!
//! *Invariant:* an implementation is a function of its arguments: no I/O, no clock, no state that shows.
//! It refuses schemas whose messages could cost more than their size allows, so that a check is as
//! bounded as the message is long.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Debug;

use crate::book::SchemaKind;

/// A version of a schema as it was sent.
#[derive(Clone, Copy, Debug)]
pub struct SchemaText<'a> {
    /// What it is written in.
    pub kind: SchemaKind,
    /// The name that a compiled file carries: SDKs look it up.
    pub file_name: &'a str,
    /// The text.
    pub content: &'a str,
    /// Which message of a `.proto` file is meant; empty for the first.
    pub message_struct: &'a str,
}

/// A schema that can be used.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// What judges messages.
    pub validator: Rc<dyn Validator>,
    /// The serialized `FileDescriptorSet` of a `.proto` file; empty otherwise.
    pub descriptor: Vec<u8>,
    /// The message of the `.proto` file that is meant; empty otherwise.
    pub message_struct: String,
}

/// The schema languages.
pub trait SchemaLibrary: Debug {
    /// Compiles a schema.
    ///
    /// # Errors
    /// What is wrong with it, in the words that users get.
    fn compile(&self, schema: SchemaText<'_>) -> Result<Compiled, String>;
}

/// A compiled schema.
pub trait Validator: Debug {
    /// Says whether a message fits.
    ///
    /// # Errors
    /// Why it does not.
    fn check(&self, message: &[u8]) -> Result<(), String>;
}
