//! The `websocket` block.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use protocol::websocket::upgrade::Origin;

use super::listen::Address;
use super::reader::{Reader, set};
use super::tls;
use crate::options::{Options, WebSocket};
use crate::value::{Node, Value};
use crate::{Surroundings, duration};

/// Reads the block; none when it names no port.
pub(super) fn websocket(
    read: &mut Reader,
    node: &Node,
    around: &mut dyn Surroundings,
) -> Option<WebSocket> {
    let mut ws = WebSocket::default();
    let mut address = Address::default();
    read.each_in(node, "Expected websocket to be a map", |read, key, node| {
        match key {
            "listen" | "host" | "net" | "port" => {
                address.read(read, key, node);
            }
            "advertise" => set(&mut ws.advertise, read.name(node)),
            "no_tls" => set(&mut ws.no_tls, read.boolean(node)),
            "tls" => ws.tls = tls::tls(read, node, around),
            "same_origin" => set(&mut ws.same_origin, read.boolean(node)),
            "allowed_origins" | "allowed_origin" | "allow_origins" | "allow_origin" | "origins"
            | "origin" => ws.allowed_origins = read.texts(node, "allowed origins"),
            "handshake_timeout" => {
                set(&mut ws.handshake_timeout, handshake_timeout(read, node));
            }
            "compress" | "compression" => set(&mut ws.compression, read.boolean(node)),
            "authorization" | "authentication" => authorization(read, node, &mut ws),
            "jwt_cookie" => set(&mut ws.jwt_cookie, read.text(node)),
            "user_cookie" => set(&mut ws.user_cookie, read.text(node)),
            "pass_cookie" => set(&mut ws.pass_cookie, read.text(node)),
            "token_cookie" => set(&mut ws.token_cookie, read.text(node)),
            "no_auth_user" => set(&mut ws.no_auth_user, read.name(node)),
            "headers" => ws.headers = headers(read, node),
            "ping_interval" => set(&mut ws.ping_interval, read.duration(key, node).map(Some)),
            _ => return false,
        }
        true
    });
    address.port?;
    ws.listen = address.or("0.0.0.0", 0);
    Some(ws)
}

fn authorization(read: &mut Reader, node: &Node, ws: &mut WebSocket) {
    read.each(node, |read, key, node| {
        match key {
            "user" | "username" => set(&mut ws.user, read.name(node)),
            "pass" | "password" => set(&mut ws.password, read.name(node)),
            "token" => set(&mut ws.token, read.name(node)),
            "timeout" => set(
                &mut ws.auth_timeout,
                read.seconds("authorization", node).map(Some),
            ),
            _ => return false,
        }
        true
    });
}

fn headers(read: &mut Reader, node: &Node) -> Vec<(String, String)> {
    let Value::Map(map) = &node.value else {
        let kind = node.value.kind();
        read.error(
            &node.at,
            format!("error parsing headers: unsupported type {kind}"),
        );
        return Vec::new();
    };
    let mut pairs = Vec::new();
    for (name, node) in map.iter() {
        if let Value::Text(value) = &node.value {
            pairs.push((String::from(name), value.clone()));
        } else {
            let kind = node.value.kind();
            let reason = format!("error parsing header key {name}: unsupported type {kind}");
            read.error(&node.at, reason);
        }
    }
    pairs
}

/// Returns a time limit; a number of seconds is no reason for a warning here.
fn handshake_timeout(read: &mut Reader, node: &Node) -> Option<Option<Duration>> {
    let why = match &node.value {
        Value::Int(n) => return Some(Some(Duration::from_secs(u64::try_from(*n).unwrap_or(0)))),
        Value::Text(text) => match duration::parse(text) {
            Ok(timeout) => return Some(Some(timeout)),
            Err(why) => format!("{why}"),
        },
        other => format!(
            "error parsing handshake timeout: unsupported type {}",
            other.kind()
        ),
    };
    read.error(&node.at, why);
    None
}

/// A `websocket` block that does not fit the rest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebSocketError {
    /// Neither certificates nor the word that none are wanted.
    #[error("websocket requires TLS configuration")]
    Tls,
    /// An origin cannot be read.
    #[error("unable to parse allowed origin {0:?}: {1}")]
    Origin(String, protocol::websocket::upgrade::OriginError),
    /// A cookie with claims where nobody's claims are trusted.
    #[error(
        "trusted operators or trusted keys configuration is required for JWT authentication via cookie {0:?}"
    )]
    Cookie(String),
    /// A user of its own beside others.
    #[error("websocket authentication username not compatible with presence of users/nkeys")]
    User,
    /// A token of its own beside users.
    #[error("websocket authentication token not compatible with presence of users/nkeys")]
    Token,
    /// A header that is the server's.
    #[error("websocket: invalid header {0:?} not allowed")]
    Header(String),
    /// A header of the protocol.
    #[error("websocket: invalid header {0:?}, \"Sec-WebSocket-\" prefix not allowed")]
    HeaderPrefix(String),
}

/// Checks that the block fits itself and the rest.
pub(super) fn fits(options: &Options) -> Result<(), WebSocketError> {
    let Some(ws) = &options.websocket else {
        return Ok(());
    };
    if ws.tls.is_none() && !ws.no_tls {
        return Err(WebSocketError::Tls);
    }
    for text in &ws.allowed_origins {
        Origin::parse(text).map_err(|e| WebSocketError::Origin(text.clone(), e))?;
    }
    if !ws.jwt_cookie.is_empty() && options.operators.is_none() {
        return Err(WebSocketError::Cookie(ws.jwt_cookie.clone()));
    }
    let accounts = &options.accounts;
    let users = !options.auth.users.is_empty() || accounts.iter().any(|a| !a.users.is_empty());
    if users && ws.user.is_some() {
        return Err(WebSocketError::User);
    }
    if users && ws.token.is_some() {
        return Err(WebSocketError::Token);
    }
    for (name, _) in &ws.headers {
        header(name)?;
    }
    Ok(())
}

fn header(name: &str) -> Result<(), WebSocketError> {
    const OURS: [&str; 5] = [
        "host",
        "content-length",
        "connection",
        "upgrade",
        "nats-no-masking",
    ];
    let lower = name.to_ascii_lowercase();
    if OURS.contains(&lower.as_str()) {
        return Err(WebSocketError::Header(name.into()));
    }
    if lower.starts_with("sec-websocket-") {
        return Err(WebSocketError::HeaderPrefix(name.into()));
    }
    // Anything else could end the line and begin another one.
    if name.contains(['\r', '\n', ':']) {
        return Err(WebSocketError::Header(name.into()));
    }
    Ok(())
}
