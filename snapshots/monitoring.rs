//! Documents of the monitoring port, without what differs from run to run and from machine to machine.

use core::net::SocketAddr;
use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;

use crate::conn::PATIENCE;

/// Members whose value is left out; whether it is a text or a number stays.
const MEMBERS: &[&str] = &[
    "server_id",
    "now",
    "start",
    "stop",
    "uptime",
    "idle",
    "last_activity",
    "mem",
    "cpu",
    "cores",
    "gomaxprocs",
    "gomemlimit",
    "port",
    "addr",
    "http_port",
    "cluster_port",
    "config_load_time",
    "config_digest",
    "update_time",
    "cid",
    "created",
    "first_ts",
    "last_ts",
    "last_active",
    "ts",
    // What a client has not read when it is cut off is chance.
    "pending_bytes",
    // How matches are kept is each server's own affair.
    "num_cache",
    "cache_hit_rate",
    "max_fanout",
    "avg_fanout",
    "num_matches",
];

/// Members that are there or not, as time passes and as each server is made.
const SOMETIMES: &[&str] = &["rtt", "git_commit", "go", "sync_always"];

/// Asks the monitoring port: status, content type and body, line by line.
///
/// # Errors
/// Of the socket.
pub(crate) fn ask(http: SocketAddr, path: &str) -> io::Result<Vec<String>> {
    let mut stream = TcpStream::connect(http)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: test\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.lines().next().unwrap_or_default();
    let kind = head
        .lines()
        .filter(|l| l.to_ascii_lowercase().starts_with("content-type:"));
    let lines = status.lines().take(1).chain(kind).chain(body.lines());
    Ok(lines.map(str::to_owned).collect())
}

/// Returns a line of an indented document as it is shown; `None` if it is not.
pub(crate) fn line(text: &str) -> Option<String> {
    let Some((key, value)) = text.split_once("\": ") else {
        return Some(text.to_owned());
    };
    let name = key.trim_start().trim_start_matches('"');
    if SOMETIMES.contains(&name) {
        return None;
    }
    let value = value.trim_end_matches(',');
    let is_value = !value.starts_with(['{', '[']);
    // How often a path was asked for depends on our patience.
    if !is_value || !(MEMBERS.contains(&name) || name.starts_with('/')) {
        return Some(text.to_owned());
    }
    let comma = if text.ends_with(',') { "," } else { "" };
    let kind = if value.starts_with('"') {
        "<text>"
    } else {
        "<number>"
    };
    Some(format!("{key}\": {kind}{comma}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_varying_value_is_shown_as_its_kind() {
        assert_eq!(
            line("  \"mem\": 5,").as_deref(),
            Some("  \"mem\": <number>,")
        );
        assert_eq!(
            line("  \"now\": \"x\"").as_deref(),
            Some("  \"now\": <text>")
        );
        assert_eq!(
            line("  \"name\": \"x\"").as_deref(),
            Some("  \"name\": \"x\"")
        );
        assert_eq!(line("  \"rtt\": \"1ms\","), None);
    }
}
