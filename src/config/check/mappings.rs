//! `mappings`: what becomes of the subjects that are published.
//!
//! *Invariant:* each destination that gets through is one that the transform can be made of.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use protocol::subject::transform::check_transform;

use super::reader::{Reader, go_shown, set};
use super::subject;
use crate::options::{MapDestination, Mapping};
use crate::value::{Node, Value};

/// The share of a destination that has no other beside it.
const WHOLE: u8 = 100;

pub(super) fn mappings(read: &mut Reader, node: &Node) -> Vec<Mapping> {
    let mut mappings = Vec::new();
    let Some(map) = read.map(node) else {
        return mappings;
    };
    for (source, entry) in map.iter() {
        if !subject::is_valid(source) {
            read.error(
                &node.at,
                format!("Subject {source:?} is not a valid subject"),
            );
            continue;
        }
        let errors = read.errors.len();
        let destinations = destinations(read, entry);
        if read.errors.len() > errors {
            continue;
        }
        if let Some(why) = mistake(source, &destinations) {
            let to = match &entry.value {
                Value::Text(destination) => format!(" to {destination:?}"),
                _ => String::new(),
            };
            let reason = format!("Error adding mapping for {source:?}{to} : {why}");
            read.error(&entry.at, reason);
        }
        mappings.push(Mapping {
            source: source.to_owned(),
            destinations,
        });
    }
    mappings
}

fn destinations(read: &mut Reader, node: &Node) -> Vec<MapDestination> {
    match &node.value {
        Value::Text(subject) => Vec::from([MapDestination {
            subject: subject.clone(),
            weight: WHOLE,
            cluster: None,
        }]),
        Value::List(items) => items.iter().filter_map(|i| destination(read, i)).collect(),
        _ => destination(read, node).into_iter().collect(),
    }
}

/// Returns what nats-server has against the destinations of a source.
fn mistake(source: &str, destinations: &[MapDestination]) -> Option<String> {
    for (at, one) in destinations.iter().enumerate() {
        let before = destinations.get(..at).unwrap_or_default();
        if before.iter().any(|d| d.subject == one.subject) {
            return Some(format!("duplicate entry for {:?}", one.subject));
        }
        if let Err(why) = check_transform(source, &one.subject) {
            return Some(format!("{why}"));
        }
    }
    let overweight = destinations.iter().any(|one| {
        let same = destinations.iter().filter(|d| d.cluster == one.cluster);
        same.map(|d| u32::from(d.weight)).sum::<u32>() > u32::from(WHOLE)
    });
    overweight.then(|| String::from("total weight needs to be <= 100"))
}

fn destination(read: &mut Reader, node: &Node) -> Option<MapDestination> {
    let Value::Map(map) = &node.value else {
        read.error(&node.at, "Expected an entry for the mapping destination");
        return None;
    };
    let (mut subject, mut weight, mut cluster) = (None, None, None);
    let errors = read.errors.len();
    for (key, node) in map.iter() {
        match key.to_ascii_lowercase().as_str() {
            "dest" | "destination" => set(&mut subject, read.name(node)),
            "weight" => weight = percent(read, node),
            "cluster" => set(&mut cluster, read.name(node)),
            _ if node.referenced => {}
            _ => read.error(
                &node.at,
                format!("Unknown field {key:?} for mapping destination"),
            ),
        }
    }
    if weight.is_none() && read.errors.len() == errors {
        let subject = subject.clone().unwrap_or_default();
        let reason = format!("Missing weight for mapping destination {subject:?}");
        read.error(&node.at, reason);
    }
    // A share without a destination is no mistake to nats-server, and maps nothing.
    Some(MapDestination {
        subject: subject?,
        weight: weight?,
        cluster,
    })
}

fn percent(read: &mut Reader, node: &Node) -> Option<u8> {
    let shown = go_shown(&node.value);
    let (number, quoted) = match &node.value {
        Value::Int(n) => (Some(*n), shown),
        Value::Text(text) => match text.trim_end_matches('%').parse() {
            Ok(n) => (Some(n), format!("{n}")),
            Err(_) => (None, format!("{text:?}")),
        },
        _ => {
            let reason = format!("Unknown entry type for weight of {shown}");
            read.error(&node.at, reason);
            return None;
        }
    };
    let percent = number
        .and_then(|n| u8::try_from(n).ok())
        .filter(|p| *p <= WHOLE);
    if percent.is_none() {
        let reason = format!("Invalid weight {quoted} for mapping destination");
        read.error(&node.at, reason);
    }
    percent
}
