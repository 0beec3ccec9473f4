//! The blocks of listeners for other servers and for MQTT, which are opened and let nobody in yet.
//!
//! *Invariant:* a connection that this server was to make itself is refused at the start: it would
//! silently be missing.

use super::consistency::Inconsistent;
use super::listen::Address;
use super::reader::Reader;
use super::{schema, unserved};
use crate::Surroundings;
use crate::options::{ClosedDoor, Options, Peers};
use crate::value::{Map, Node, Value};

/// Reads one of the blocks; tells whether it was one.
pub(super) fn block(
    read: &mut Reader,
    key: &str,
    node: &Node,
    options: &mut Options,
    around: &mut dyn Surroundings,
) -> bool {
    let peers = match key {
        "cluster" => Peers::Cluster,
        "gateway" => Peers::Gateway,
        "leaf" | "leafnodes" => Peers::LeafNodes,
        "mqtt" => Peers::Mqtt,
        _ => return false,
    };
    schema::fields_of(read, key, node, around);
    let Value::Map(map) = &node.value else {
        // Said already.
        return true;
    };
    let mut address = Address::default();
    for (name, node) in map.iter() {
        let name = name.to_ascii_lowercase();
        address.read(read, &name, node);
    }
    match dials_out(peers, map) {
        true => read.refused(key, node),
        false => read.ignored(key, node),
    }
    let opens = address.port.is_some();
    let listen = opens.then(|| address.or("0.0.0.0", 0));
    let shown = unserved::block(peers, map, listen.as_ref());
    options.unserved.blocks.push(shown);
    if let Some(listen) = listen {
        options.closed_doors.push(ClosedDoor { peers, listen });
    }
    true
}

/// Returns what is missing in a gateway's block; it is looked for at the start.
pub(super) fn lacking(node: &Node) -> Option<Inconsistent> {
    let Value::Map(map) = &node.value else {
        return None;
    };
    let has_port = match (entry(map, "listen"), entry(map, "port")) {
        (Some(_), _) => true,
        (None, Some(port)) => !matches!(port.value, Value::Int(0)),
        (None, None) => false,
    };
    let Some(name) = text_at(map, "name") else {
        return has_port.then_some(Inconsistent::GatewayWithoutName);
    };
    if !has_port {
        return Some(Inconsistent::GatewayWithoutPort(name.into()));
    }
    let others = items(map, "gateways").zip(0..);
    others
        .filter_map(|(other, place)| incomplete(other, place))
        .next()
}

/// Returns what is missing in an entry of the list of gateways.
fn incomplete(node: &Node, place: usize) -> Option<Inconsistent> {
    let Value::Map(map) = &node.value else {
        return None;
    };
    let Some(name) = text_at(map, "name") else {
        return Some(Inconsistent::OtherWithoutName(place));
    };
    let has_url = entry(map, "url").is_some() || items(map, "urls").next().is_some();
    (!has_url).then(|| Inconsistent::OtherWithoutUrl(name.into()))
}

/// Tells whether the block names servers to connect to.
fn dials_out(peers: Peers, map: &Map) -> bool {
    let name = text_at(map, "name");
    let is_other = |gateway: &Node| match &gateway.value {
        Value::Map(fields) => text_at(fields, "name") != name,
        _ => true,
    };
    match peers {
        Peers::Cluster => items(map, "routes").next().is_some(),
        Peers::LeafNodes => items(map, "remotes").next().is_some(),
        // A gateway may name itself among all of them.
        Peers::Gateway => items(map, "gateways").any(is_other),
        Peers::Mqtt => false,
    }
}

fn entry<'a>(map: &'a Map, key: &str) -> Option<&'a Node> {
    let mut entries = map.iter();
    let found = entries.find(|(name, _)| name.eq_ignore_ascii_case(key));
    found.map(|(_, node)| node)
}

fn items<'a>(map: &'a Map, key: &str) -> impl Iterator<Item = &'a Node> {
    let list = match entry(map, key).map(|node| &node.value) {
        Some(Value::List(items)) => items.as_slice(),
        _ => &[],
    };
    list.iter()
}

fn text_at<'a>(map: &'a Map, key: &str) -> Option<&'a str> {
    match &entry(map, key)?.value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}
