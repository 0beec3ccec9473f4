//! What a consumer works with while it handles something: its stream, the shared state, the world.

use alloc::vec::Vec;

use crate::env::Env;
use crate::shared::Shared;
use crate::stream::StreamCore;

/// The surroundings of one call.
pub(super) struct Cx<'a, E> {
    pub(super) core: &'a StreamCore,
    pub(super) shared: &'a mut Shared,
    pub(super) env: &'a mut E,
}

impl<'a, E: Env> Cx<'a, E> {
    pub(super) fn new(core: &'a StreamCore, shared: &'a mut Shared, env: &'a mut E) -> Self {
        Self { core, shared, env }
    }
}

/// Buffers that are reused for every message.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// The reply subject of a message.
    pub(super) reply: Vec<u8>,
    /// The header block of a message that gets headers from us.
    pub(super) headers: Vec<u8>,
    /// The header block of a status message.
    pub(super) status: Vec<u8>,
}
