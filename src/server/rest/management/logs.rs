//! The log, for those who manage.

use broker::Level;
use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue};
use protocol::text::rfc3339::Rfc3339;
use serde_json::{Map, Value, json};

use super::Management;
use crate::rest::reply::{self, Reply};

/// How many lines are shown at a time, as in Memphis.
const LINES_MAX: usize = 100;
/// What stands for the newest lines.
const NEWEST: i64 = -1;

impl Management {
    /// Shows lines of a kind (`info`, `warn`, `err`; others mean all), from a number on or the newest.
    pub(super) fn logs(&self, fields: &Map<String, Value>) -> Reply {
        let kind = fields
            .get("log_type")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let from = fields.get("start_index").and_then(Value::as_i64);
        let from = from.unwrap_or(NEWEST);
        let mut lines = self.driver.recent_lines();
        lines.retain(|line| !["info", "warn", "err"].contains(&kind) || name(line.level) == kind);
        if let Ok(from) = u64::try_from(from) {
            lines.retain(|line| line.number >= from);
            lines.truncate(LINES_MAX);
        } else {
            lines.drain(..lines.len().saturating_sub(LINES_MAX));
        }
        let shown = lines.iter().map(|line| {
            json!({
                "message_seq": line.number,
                "type": name(line.level),
                "source": "broker",
                "data": line.text,
                "created_at": Rfc3339(line.at).to_string(),
            })
        });
        reply::json(200, &json!({"logs": shown.collect::<Vec<Value>>()}))
    }

    /// Returns all lines as a file.
    pub(super) fn logs_as_text(&self) -> Reply {
        let lines = self.driver.recent_lines();
        let lines = lines.iter().map(|line| {
            let (at, kind) = (Rfc3339(line.at), name(line.level));
            format!("{at} [{kind}] {}\n", line.text)
        });
        let text: String = lines.collect();
        let mut answer = Response::new(Full::new(Bytes::from(text)));
        let headers = answer.headers_mut();
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(CONTENT_TYPE, plain);
        let file = HeaderValue::from_static("attachment; filename=beale.log");
        headers.insert(CONTENT_DISPOSITION, file);
        answer
    }
}

fn name(level: Level) -> &'static str {
    match level {
        Level::Info | Level::Debug | Level::Trace => "info",
        Level::Warn => "warn",
        Level::Error => "err",
    }
}
