//! Answers in Memphis' shapes, and which pages may read them.
//!
//! *Invariant:* pages of other hosts never get answers that cookies had a part in.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, HOST, HeaderMap, HeaderValue, ORIGIN,
    VARY,
};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

/// The answer to a request.
pub(super) type Reply = Response<Full<Bytes>>;

const METHODS: &str = "GET, POST, PUT, DELETE, OPTIONS";
const HEADERS: &str = "Content-Type, Content-Length, Accept-Encoding, X-CSRF-Token, Authorization";

/// Returns a JSON document.
pub(super) fn document(status: u16, body: Bytes) -> Reply {
    let mut reply = Response::new(Full::new(body));
    // Memphis has statuses of its own, such as 555.
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = reply.headers_mut();
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    headers.insert(CONTENT_TYPE, json);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    reply
}

/// Returns a value as JSON.
pub(super) fn json(status: u16, value: &Value) -> Reply {
    document(status, Bytes::from(value.to_string()))
}

/// Returns what went wrong, as Memphis says it.
pub(super) fn message(status: u16, text: &str) -> Reply {
    json(status, &json!({"message": text}))
}

/// Returns the answer to who has not shown who they are.
pub(super) fn unauthorized() -> Reply {
    message(401, "Unauthorized")
}

/// Returns the answer when too much is under way.
pub(super) fn busy() -> Reply {
    message(503, "the broker is busy, try again later")
}

/// Why a request is not carried out: a reply that is not made yet.
#[derive(Debug)]
pub(super) struct Refused {
    status: u16,
    body: Value,
}

impl Refused {
    pub(super) fn new(status: u16, body: Value) -> Self {
        Self { status, body }
    }

    pub(super) fn message(status: u16, text: &str) -> Self {
        Self::new(status, json!({"message": text}))
    }

    pub(super) fn unauthorized() -> Self {
        Self::message(401, "Unauthorized")
    }

    pub(super) fn reply(&self) -> Reply {
        json(self.status, &self.body)
    }
}

/// Says which pages may read a reply: those of the same host with their cookies, as the GUI on another
/// port is, and others, where they may at all, with what they send themselves.
pub(super) fn allow_origin(asked: &HeaderMap, is_open: bool, reply: &mut Reply) {
    let Some(origin) = asked.get(ORIGIN) else {
        return;
    };
    let is_same = same_host(origin, asked.get(HOST));
    let headers = reply.headers_mut();
    headers.insert(VARY, HeaderValue::from_static("Origin"));
    if is_same {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        let yes = HeaderValue::from_static("true");
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
    } else if is_open {
        let any = HeaderValue::from_static("*");
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, any);
    }
}

/// Answers a browser that asks what a page may do.
pub(super) fn preflight() -> Reply {
    let mut reply = Response::new(Full::new(Bytes::new()));
    *reply.status_mut() = StatusCode::NO_CONTENT;
    let headers = reply.headers_mut();
    let methods = HeaderValue::from_static(METHODS);
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
    let names = HeaderValue::from_static(HEADERS);
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names);
    reply
}

fn same_host(origin: &HeaderValue, host: Option<&HeaderValue>) -> bool {
    let (Ok(origin), Some(Ok(host))) = (origin.to_str(), host.map(HeaderValue::to_str)) else {
        return false;
    };
    let Some((_, origin)) = origin.split_once("://") else {
        return false;
    };
    let name = |text: &str| match text.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name.to_ascii_lowercase(),
        Some(_) | None => text.to_ascii_lowercase(),
    };
    name(origin) == name(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed_by(is_open: bool, origin: &'static str, host: &'static str) -> (String, bool) {
        let mut asked = HeaderMap::new();
        asked.insert(ORIGIN, HeaderValue::from_static(origin));
        asked.insert(HOST, HeaderValue::from_static(host));
        let mut reply = json(200, &json!({}));
        allow_origin(&asked, is_open, &mut reply);
        let headers = reply.headers();
        let origin = headers.get(ACCESS_CONTROL_ALLOW_ORIGIN);
        let origin = origin.map_or("", |origin| origin.to_str().expect("it is text"));
        let has_cookies = headers.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS);
        (origin.to_owned(), has_cookies)
    }

    fn allowed(origin: &'static str, host: &'static str) -> (String, bool) {
        allowed_by(true, origin, host)
    }

    #[test]
    fn pages_of_other_hosts_get_nothing_while_everybody_knows_the_password() {
        let nothing = (String::new(), false);
        assert_eq!(allowed_by(false, "http://evil", "localhost:9000"), nothing);
        let same = ("http://localhost:3000".to_owned(), true);
        assert_eq!(
            allowed_by(false, "http://localhost:3000", "localhost"),
            same
        );
    }

    #[test]
    fn only_pages_of_the_same_host_get_answers_with_cookies() {
        let same = ("http://box:3000".to_owned(), true);
        assert_eq!(allowed("http://box:3000", "box:9000"), same);
        assert_eq!(allowed("http://box:3000", "BOX"), same);
        let ip = ("http://[::1]:3000".to_owned(), true);
        assert_eq!(allowed("http://[::1]:3000", "[::1]:9000"), ip);
        let other = ("*".to_owned(), false);
        assert_eq!(allowed("http://evil", "box:9000"), other);
        assert_eq!(allowed("http://box.evil:9000", "box:9000"), other);
        assert_eq!(allowed("null", "box:9000"), other);
    }
}
