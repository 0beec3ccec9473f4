//! The log as a file.

use bytes::Bytes;
use http_body_util::Full;
use hyper::Response;
use hyper::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue};
use serde_json::Value;

use crate::rest::reply::Reply;

/// Returns what the layer answers as a file of text.
pub(super) fn file(answer: &Value) -> Reply {
    let text = answer.get("text").and_then(Value::as_str);
    let text = Bytes::from(text.unwrap_or_default().to_owned());
    let mut answer = Response::new(Full::new(text));
    let headers = answer.headers_mut();
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    headers.insert(CONTENT_TYPE, plain);
    let file = HeaderValue::from_static("attachment; filename=beale.log");
    headers.insert(CONTENT_DISPOSITION, file);
    answer
}
