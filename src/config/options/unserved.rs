//! Settings that have no effect yet, as nats-server shows them: a reload tells of them all the same.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::Peers;

/// Settings that have no effect yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unserved {
    /// Single settings by nats-server's names for them; one that is not set is not here.
    pub settings: BTreeMap<&'static str, String>,
    /// The blocks that only open a port, or not even that.
    pub blocks: Vec<PeerBlock>,
}

/// A block for other servers or for MQTT.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerBlock {
    /// Whom it is for.
    pub peers: Peers,
    /// Its fields in nats-server's order, with defaults where the file says nothing.
    pub fields: Vec<PeerField>,
}

/// A field of such a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerField {
    /// What nats-server calls it.
    pub name: &'static str,
    /// Its value as nats-server shows it.
    pub value: String,
    /// Whether nobody may see the value.
    pub is_secret: bool,
}

impl PeerField {
    /// What is shown of a secret.
    pub const HIDDEN: &str = "[REDACTED]";

    /// Returns the value as it may be shown.
    #[must_use]
    pub fn shown(&self) -> &str {
        match self.is_secret && !matches!(self.value.as_str(), "" | "[]") {
            true => Self::HIDDEN,
            false => &self.value,
        }
    }
}
