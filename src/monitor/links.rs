//! `/routez`, `/gatewayz` and `/leafz`: links to other servers. There are none.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use protocol::time::Wall;
use serde::Serialize;

use crate::json;
use crate::source::Source;

/// The document of `/routez`.
#[derive(Debug, Serialize)]
pub struct Routez {
    server_id: String,
    server_name: String,
    #[serde(serialize_with = "json::time")]
    now: Wall,
    num_routes: u64,
    routes: Vec<()>,
}

/// The document of `/gatewayz`.
#[derive(Debug, Serialize)]
pub struct Gatewayz {
    server_id: String,
    #[serde(serialize_with = "json::time")]
    now: Wall,
    outbound_gateways: BTreeMap<String, ()>,
    inbound_gateways: BTreeMap<String, ()>,
}

/// The document of `/leafz`.
#[derive(Debug, Serialize)]
pub struct Leafz {
    server_id: String,
    #[serde(serialize_with = "json::time")]
    now: Wall,
    leafnodes: u64,
    leafs: Vec<()>,
}

/// Returns the document of `/routez`.
#[must_use]
pub(crate) fn routez(source: &dyn Source) -> Routez {
    let server = source.server();
    Routez {
        server_id: server.id,
        server_name: server.name,
        now: source.now().wall,
        num_routes: 0,
        routes: Vec::new(),
    }
}

/// Returns the document of `/gatewayz`.
#[must_use]
pub(crate) fn gatewayz(source: &dyn Source) -> Gatewayz {
    Gatewayz {
        server_id: source.server().id,
        now: source.now().wall,
        outbound_gateways: BTreeMap::new(),
        inbound_gateways: BTreeMap::new(),
    }
}

/// Returns the document of `/leafz`.
#[must_use]
pub(crate) fn leafz(source: &dyn Source) -> Leafz {
    Leafz {
        server_id: source.server().id,
        now: source.now().wall,
        leafnodes: 0,
        leafs: Vec::new(),
    }
}
