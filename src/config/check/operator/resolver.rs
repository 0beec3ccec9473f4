//! `resolver`: where accounts are known from.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

use crate::check::reader::Reader;
use crate::duration;
use crate::options::{Deletion, Directory, Resolver};
use crate::value::{Map, Node, Value};

/// Reads the key; none where it is wrong or cannot be done.
pub(super) fn resolver(read: &mut Reader, key: &str, node: &Node) -> Option<Resolver> {
    match &node.value {
        Value::Text(text) if is_memory(text) => Some(Resolver::Memory),
        // Tokens would have to be fetched from elsewhere.
        Value::Text(_) => {
            read.refused(key, node);
            None
        }
        Value::Map(map) => block(read, node, map),
        _ => {
            read.error(&node.at, "error parsing operator resolver, wrong type");
            None
        }
    }
}

fn is_memory(text: &str) -> bool {
    text.eq_ignore_ascii_case("memory") || text.eq_ignore_ascii_case("mem")
}

fn block(read: &mut Reader, node: &Node, map: &Map) -> Option<Resolver> {
    let find = |name: &str| {
        let found = map.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, node)| &node.value)
    };
    let text = |name: &str| match find(name) {
        Some(Value::Text(text)) => text.to_owned(),
        _ => String::new(),
    };
    let yes = |name: &str| matches!(find(name), Some(Value::Bool(true)));
    for name in ["ttl", "interval", "timeout"] {
        let time = text(name);
        if !time.is_empty() && duration::parse(&time).is_err() {
            read.error(&node.at, format!("time: invalid duration {time:?}"));
            return None;
        }
    }
    let kind = text("type");
    if is_memory(&kind) {
        return Some(Resolver::Memory);
    }
    let (full, cache) = (
        kind.eq_ignore_ascii_case("full"),
        kind.eq_ignore_ascii_case("cache"),
    );
    if !full && !cache {
        return None;
    }
    let path = text("dir");
    if path.is_empty() {
        let text = "dir has no value and needs to point to a directory";
        read.error(&node.at, text);
    }
    let hard = find("hard_delete");
    let wrong = [
        (
            cache && !text("interval").is_empty(),
            "CACHE does not accept sync",
        ),
        (
            cache && yes("allow_delete"),
            "CACHE does not accept allow_delete",
        ),
        (cache && hard.is_some(), "CACHE does not accept hard_delete"),
        (full && !text("ttl").is_empty(), "FULL does not accept ttl"),
        (
            full && hard.is_some() && !yes("allow_delete"),
            "hard_delete has no effect without delete",
        ),
    ];
    for (_, text) in wrong.iter().filter(|(is_wrong, _)| *is_wrong) {
        read.error(&node.at, *text);
    }
    let limit = match find("limit") {
        Some(Value::Int(limit)) => usize::try_from(*limit).ok().filter(|limit| *limit > 0),
        _ => None,
    };
    Some(Resolver::Directory(Directory {
        path,
        is_cache: cache,
        deletion: match (yes("allow_delete"), yes("hard_delete")) {
            (false, _) => Deletion::Refused,
            (true, false) => Deletion::Renames,
            (true, true) => Deletion::Removes,
        },
        accounts_max: limit,
    }))
}
