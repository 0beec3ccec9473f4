//! What an account takes from others.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::super::reader::{Reader, set};
use super::go_type;
use crate::options::{Import, ImportKind};
use crate::value::{Node, Pos, Value};

pub(in super::super) fn imports(read: &mut Reader, node: &Node) -> Vec<Import> {
    let Value::List(items) = &node.value else {
        let kind = go_type(&node.value);
        read.error(&node.at, format!("Imports should be an array, got {kind}"));
        return Vec::new();
    };
    let mut imports: Vec<Import> = Vec::new();
    for item in items {
        let Some(import) = import(read, item) else {
            continue;
        };
        if let Some(twice) = imports.iter().find(|other| is_same_service(other, &import)) {
            let text = format!(
                "Duplicate service import subject {:?}, previously used in import for account {:?}, subject {:?}",
                local(&import),
                twice.account,
                twice.subject
            );
            read.error(&item.at, text);
        } else {
            imports.push(import);
        }
    }
    imports
}

/// Returns what the importing account calls the service.
fn local(import: &Import) -> &str {
    match &import.kind {
        ImportKind::Service { to: Some(to), .. } => to,
        ImportKind::Service { to: None, .. } | ImportKind::Stream { .. } => &import.subject,
    }
}

fn is_same_service(one: &Import, other: &Import) -> bool {
    let services = matches!(one.kind, ImportKind::Service { .. })
        && matches!(other.kind, ImportKind::Service { .. });
    services && one.account == other.account && local(one) == local(other)
}

/// An import while it is read: its keys come in any order.
#[derive(Default)]
struct Draft {
    stream: Option<(String, String)>,
    service: Option<(String, String)>,
    prefix: Option<String>,
    to: Option<String>,
    share: bool,
    allow_trace: Option<(bool, Pos)>,
}

fn import(read: &mut Reader, item: &Node) -> Option<Import> {
    let Value::Map(map) = &item.value else {
        let kind = go_type(&item.value);
        let text = format!("Import Items should be a map with type entry, got {kind}");
        read.error(&item.at, text);
        return None;
    };
    let mut draft = Draft::default();
    read.each_of(map, |read, key, node| draft.key(read, key, node));
    let Draft {
        stream,
        service,
        prefix,
        to,
        share,
        allow_trace,
    } = draft;
    let (kind, (account, subject)) = match (stream, service) {
        (Some(from), _) => (ImportKind::Stream { prefix, to }, from),
        (None, Some(from)) => (ImportKind::Service { to, share }, from),
        // What is neither a stream nor a service is nothing, and no mistake.
        (None, None) => return None,
    };
    Some(Import {
        account,
        subject,
        kind,
        allow_trace: allow_trace.is_some_and(|(allow, _)| allow),
    })
}

impl Draft {
    fn key(&mut self, read: &mut Reader, key: &str, node: &Node) -> bool {
        const NOT_A_STREAM: &str = "Detected allow_trace directive on a non-stream";
        match key {
            "stream" if self.service.is_some() => {
                read.error(&node.at, "Detected stream but already saw a service");
            }
            "stream" => self.stream = source(read, "Stream", node),
            "service" if self.stream.is_some() => {
                read.error(&node.at, "Detected service but already saw a stream");
            }
            "service" => {
                if let Some((_, at)) = &self.allow_trace {
                    read.error(at, NOT_A_STREAM);
                }
                self.service = source(read, "Service", node);
            }
            "prefix" => set(&mut self.prefix, read.name(node)),
            "to" => {
                set(&mut self.to, read.name(node));
                if self.stream.is_some() && self.prefix.is_some() {
                    let text = "Stream import can not have a 'prefix' and a 'to' property";
                    read.error(&node.at, text);
                }
            }
            "share" => set(&mut self.share, read.boolean(node)),
            "allow_trace" if self.service.is_some() => read.error(&node.at, NOT_A_STREAM),
            "allow_trace" => {
                let allow = read.boolean(node);
                self.allow_trace = allow.map(|allow| (allow, node.at.clone()));
            }
            _ => return false,
        }
        true
    }
}

/// Reads whose subject is imported.
fn source(read: &mut Reader, what: &str, node: &Node) -> Option<(String, String)> {
    let Value::Map(map) = &node.value else {
        let kind = go_type(&node.value);
        let text = format!("{what} entry should be an account map, got {kind}");
        read.error(&node.at, text);
        return None;
    };
    let (mut account, mut subject) = (None, None);
    read.each_of(map, |read, key, node| {
        match key {
            "account" => set(&mut account, read.name(node)),
            "subject" => set(&mut subject, read.name(node)),
            _ => return false,
        }
        true
    });
    let source = account.zip(subject);
    if source.is_none() {
        read.error(&node.at, "Expect an account name and a subject");
    }
    source
}
