//! `resolver`: where accounts are known from.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;

use crate::check::reader::Reader;
use crate::duration;
use crate::options::{CertFiles, Deletion, Directory, Resolver, WebAccounts};
use crate::value::{Map, Node, Value};

/// What a resolver on the web begins with.
const WEB: &str = "url";
/// nats-server's words for what is none.
const UNKNOWN: &str = "error parsing account resolver, should be MEM or  URL(\"url\") or a map \
                       containing dir and type state=[FULL|CACHE])";

/// Reads the key; none where it is wrong or cannot be done.
pub(super) fn resolver(read: &mut Reader, node: &Node) -> Option<Resolver> {
    match &node.value {
        Value::Text(text) if is_memory(text) => Some(Resolver::Memory),
        Value::Text(text) => match web(text) {
            Some(url) => Some(Resolver::Web(WebAccounts {
                url,
                ..WebAccounts::default()
            })),
            None => {
                read.error(&node.at, UNKNOWN);
                None
            }
        },
        Value::Map(map) => block(read, node, map),
        _ => {
            let kind = node.value.kind();
            let reason = format!("error parsing operator resolver, wrong type {kind}");
            read.error(&node.at, reason);
            None
        }
    }
}

/// Returns what `URL("...")` names, with a slash behind it; nothing where it names nothing.
fn web(text: &str) -> Option<String> {
    let rest = text
        .get(..WEB.len())
        .filter(|start| start.eq_ignore_ascii_case(WEB));
    let rest = rest.and(text.get(WEB.len()..))?;
    let inside = rest
        .trim()
        .strip_prefix('(')
        .and_then(|rest| rest.strip_suffix(')'));
    Some(based(inside.unwrap_or_default().trim().trim_matches('"')))
}

/// Returns a URL that keys can be put behind.
pub(super) fn based(url: &str) -> String {
    match url.ends_with('/') {
        true => url.to_owned(),
        false => format!("{url}/"),
    }
}

/// Reads how the web server is spoken to.
pub(super) fn tls(read: &mut Reader, node: &Node) -> Option<(Option<String>, Option<CertFiles>)> {
    let (mut ca, mut cert, mut key) = (None, None, None);
    let Value::Map(map) = &node.value else {
        return read.mismatch(node, "map[string]interface {}");
    };
    for (name, node) in map.iter() {
        match name.to_ascii_lowercase().as_str() {
            "ca_file" => ca = read.text(node),
            "cert_file" => cert = read.text(node),
            "key_file" => key = read.text(node),
            // The time that an answer may take is fixed; a server's certificate is always checked.
            "timeout" | "verify" => {}
            _ => read.refused(&format!("resolver_tls.{name}"), node),
        }
    }
    match (cert, key) {
        (Some(cert), Some(key)) => Some((ca, Some(CertFiles { cert, key }))),
        (None, None) => Some((ca, None)),
        (Some(_), None) => {
            read.error(&node.at, "missing 'key_file' in TLS configuration");
            None
        }
        (None, Some(_)) => {
            read.error(&node.at, "missing 'cert_file' in TLS configuration");
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
        read.error(&node.at, UNKNOWN);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolver_on_the_web_is_known_by_its_form() {
        for (text, url) in [
            ("URL(http://h/a)", Some("http://h/a/")),
            ("url( \"https://h/a/\" )", Some("https://h/a/")),
            // nats-server says what is wrong with these when it asks.
            ("URL()", Some("/")),
            ("URL", Some("/")),
            ("foo", None),
            ("MEM", None),
        ] {
            assert_eq!(web(text).as_deref(), url, "{text}");
        }
    }
}
