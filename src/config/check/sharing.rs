//! Exports and imports between accounts.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::reader::{Reader, set};
use super::subject;
use crate::options::{Export, ExportKind, Import, ImportKind, ResponseType};
use crate::value::Node;

pub(super) fn exports(read: &mut Reader, node: &Node) -> Vec<Export> {
    let items = read.list(node);
    items.iter().filter_map(|item| export(read, item)).collect()
}

fn export(read: &mut Reader, node: &Node) -> Option<Export> {
    let (mut stream, mut service) = (None, None);
    let mut response = ResponseType::default();
    let mut threshold = None;
    let mut accounts = None;
    let mut account_token_position = 0;
    read.each(node, |read, key, node| {
        match key {
            "stream" => stream = exported(read, node),
            "service" => service = exported(read, node),
            "response" | "response_type" => set(&mut response, response_type(read, node)),
            "threshold" | "response_threshold" | "response_max_time" | "response_time" => {
                threshold = read.duration(key, node);
            }
            "accounts" => accounts = Some(read.texts(node)),
            "account_token_position" => {
                set(&mut account_token_position, read.count(key, node));
            }
            "latency" | "allow_trace" => read.ignored(&format!("exports.{key}"), node),
            _ => return false,
        }
        true
    });
    let (kind, subject) = match (stream, service) {
        (Some(subject), None) => (ExportKind::Stream, subject),
        (None, Some(subject)) => (
            ExportKind::Service {
                response,
                threshold,
            },
            subject,
        ),
        (Some(_), Some(_)) => {
            read.error(&node.at, "an export is either a stream or a service");
            return None;
        }
        (None, None) => {
            read.error(&node.at, "an export needs a stream or a service");
            return None;
        }
    };
    Some(Export {
        kind,
        subject,
        accounts,
        account_token_position,
    })
}

fn exported(read: &mut Reader, node: &Node) -> Option<String> {
    let text = read.text(node)?;
    if !subject::is_valid(&text) {
        read.error(&node.at, format!("Subject {text:?} is not a valid subject"));
        return None;
    }
    Some(text)
}

fn response_type(read: &mut Reader, node: &Node) -> Option<ResponseType> {
    let text = read.text(node)?;
    match text.to_ascii_lowercase().as_str() {
        "single" | "singleton" => Some(ResponseType::Singleton),
        "stream" => Some(ResponseType::Stream),
        "chunk" | "chunked" => Some(ResponseType::Chunked),
        _ => {
            read.error(&node.at, format!("Unknown response type: {text:?}"));
            None
        }
    }
}

pub(super) fn imports(read: &mut Reader, node: &Node) -> Vec<Import> {
    let items = read.list(node);
    items.iter().filter_map(|item| import(read, item)).collect()
}

fn import(read: &mut Reader, node: &Node) -> Option<Import> {
    let (mut stream, mut service) = (None, None);
    let (mut prefix, mut to, mut share) = (None, None, false);
    read.each(node, |read, key, node| {
        match key {
            "stream" => stream = source(read, node),
            "service" => service = source(read, node),
            "prefix" => set(&mut prefix, read.name(node)),
            "to" => set(&mut to, read.name(node)),
            "share" => set(&mut share, read.boolean(node)),
            "allow_trace" => read.ignored("imports.allow_trace", node),
            _ => return false,
        }
        true
    });
    let (kind, (account, subject)) = match (stream, service) {
        (Some(_), None) if prefix.is_some() && to.is_some() => {
            read.error(
                &node.at,
                "a stream import has either a prefix or a 'to' subject",
            );
            return None;
        }
        (Some(from), None) => (ImportKind::Stream { prefix, to }, from),
        (None, Some(from)) => (ImportKind::Service { to, share }, from),
        (Some(_), Some(_)) => {
            read.error(&node.at, "an import is either a stream or a service");
            return None;
        }
        (None, None) => {
            read.error(&node.at, "an import needs a stream or a service");
            return None;
        }
    };
    Some(Import {
        account,
        subject,
        kind,
    })
}

fn source(read: &mut Reader, node: &Node) -> Option<(String, String)> {
    let (mut account, mut subject) = (None, None);
    read.each(node, |read, key, node| {
        match key {
            "account" => set(&mut account, read.name(node)),
            "subject" => set(&mut subject, read.name(node)),
            _ => return false,
        }
        true
    });
    let source = account.zip(subject);
    if source.is_none() {
        read.error(&node.at, "an import needs an account and a subject");
    }
    source
}
