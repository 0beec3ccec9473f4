//! The request that a WebSocket connection begins with, and its answer.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// What every key is followed by before it is hashed.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// How many headers a request may have.
const HEADERS_MAX: usize = 64;
/// The length of a key.
const KEY_LEN: usize = 16;

/// What a listener takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Whether the listener is reached over TLS.
    pub secure: bool,
    /// Whether messages may be compressed.
    pub compression: bool,
    /// Whether pages from elsewhere are turned away.
    pub same_origin: bool,
    /// Where pages may come from; empty is everywhere.
    pub origins: Vec<Origin>,
    /// Lines to add to the answer: name, value.
    pub headers: Vec<(String, String)>,
    /// The cookies that hold credentials.
    pub cookies: CookieNames,
}

/// The names of the cookies that hold credentials; empty ones are none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say what the cookies hold")]
pub struct CookieNames {
    pub jwt: String,
    pub user: String,
    pub pass: String,
    pub token: String,
}

/// Credentials out of cookies; empty where there are none.
#[derive(Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say what the cookies held")]
pub struct Cookies {
    pub jwt: String,
    pub user: String,
    pub pass: String,
    pub token: String,
}

impl core::fmt::Debug for Cookies {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // Secrets stay out of logs.
        f.write_str("Cookies")
    }
}

/// Where a page comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: Scheme,
    /// In lower case.
    host: String,
    port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

/// Why an origin cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginError {
    /// It is not an absolute URL of a kind that pages have.
    #[error("allowed origins must be absolute URLs with http or https scheme")]
    Scheme,
    /// It names no host.
    #[error("host is required")]
    Host,
    /// Its port is none.
    #[error("invalid port")]
    Port,
}

impl Origin {
    /// Reads a URL's beginning, such as `https://example.com:8080`.
    ///
    /// # Errors
    /// When it is not one.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let (scheme, rest) = text.split_once("://").ok_or(OriginError::Scheme)?;
        let scheme = match scheme {
            _ if scheme.eq_ignore_ascii_case("http") => Scheme::Http,
            _ if scheme.eq_ignore_ascii_case("https") => Scheme::Https,
            _ => return Err(OriginError::Scheme),
        };
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        Self::of(scheme, authority)
    }

    fn of(scheme: Scheme, authority: &str) -> Result<Self, OriginError> {
        let default = match scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
        };
        let (host, port) = match authority.rsplit_once(':') {
            // The colons of an IPv6 address without a port stand in brackets.
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().map_err(|_| OriginError::Port)?)
            }
            Some(_) | None => (authority, default),
        };
        if host.is_empty() {
            return Err(OriginError::Host);
        }
        let host = host.to_ascii_lowercase();
        Ok(Self { scheme, host, port })
    }
}

/// A request that was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a request has these independent switches"
)]
pub struct Upgrade {
    /// The answer.
    pub response: Vec<u8>,
    /// Whether messages are compressed in both directions.
    pub compression: bool,
    /// Whether the peer masks its frames.
    pub masked: bool,
    /// Whether the peer is a browser.
    pub browser: bool,
    /// Whether it is Safari, which takes no compressed message in pieces.
    pub safari: bool,
    /// Whether it wants to be a leaf node.
    pub leaf: bool,
    /// The client behind a proxy.
    pub forwarded_for: Option<IpAddr>,
    /// Credentials.
    pub cookies: Cookies,
}

/// A request that was not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status with its name.
    pub status: &'static str,
    /// Why, for the log.
    pub reason: String,
}

impl Refusal {
    const BAD: &'static str = "400 Bad Request";
    const FORBIDDEN: &'static str = "403 Forbidden";
    const NOT_FOUND: &'static str = "404 Not Found";
    const METHOD: &'static str = "405 Method Not Allowed";

    fn new(status: &'static str, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        Self { status, reason }
    }

    /// Returns the answer.
    #[must_use]
    pub fn response(&self) -> Vec<u8> {
        let status = self.status;
        let (_, name) = status.split_once(' ').unwrap_or_default();
        let len = name.len() + 1;
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\n\
             Sec-Websocket-Version: 13\r\nX-Content-Type-Options: nosniff\r\n\
             Connection: close\r\nContent-Length: {len}\r\n\r\n{name}\n"
        )
        .into_bytes()
    }
}

/// Answers a request whose head is `head`, the empty line at its end included.
///
/// # Errors
/// When it is not granted.
pub fn upgrade(head: &[u8], rules: &Rules) -> Result<Upgrade, Refusal> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(head) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) | Err(_) => {
            return Err(Refusal::new(Refusal::BAD, "not an HTTP request"));
        }
    }
    let path = request.path.unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default();
    if path.ends_with("/mqtt") {
        let reason = "mqtt websocket endpoint not enabled";
        return Err(Refusal::new(Refusal::NOT_FOUND, reason));
    }
    if request.method != Some("GET") {
        return Err(Refusal::new(Refusal::METHOD, "request method must be GET"));
    }
    let headers = Headers(request.headers);
    let key = handshake_key(headers)?;
    check_origin(headers, rules)?;
    let compression = rules.compression
        && headers
            .all("Sec-WebSocket-Extensions")
            .any(|value| value.split(',').any(offers_deflate));
    let masked = headers.first("Nats-No-Masking") != Some("true");
    let agent = headers.first("User-Agent").unwrap_or_default();
    let forwarded = headers.first("X-Forwarded-For");
    Ok(Upgrade {
        response: response(key, compression, masked, rules),
        compression,
        masked,
        browser: agent.starts_with("Mozilla/"),
        safari: agent.contains("Version/") && agent.contains("Safari/"),
        leaf: path.ends_with("/leafnode"),
        forwarded_for: forwarded.and_then(|ip| ip.parse().ok()),
        cookies: cookies(headers, &rules.cookies),
    })
}

fn handshake_key(headers: Headers<'_>) -> Result<&str, Refusal> {
    let bad = |reason: &str| Err(Refusal::new(Refusal::BAD, reason));
    if headers.first("Host").is_none_or(str::is_empty) {
        return bad("'Host' missing in request");
    }
    if !headers.has("Upgrade", "websocket") {
        return bad("invalid value for header 'Upgrade'");
    }
    if !headers.has("Connection", "Upgrade") {
        return bad("invalid value for header 'Connection'");
    }
    let Some(key) = headers.first("Sec-WebSocket-Key") else {
        return bad("key missing");
    };
    if STANDARD.decode(key).map(|key| key.len()) != Ok(KEY_LEN) {
        return bad("invalid websocket key");
    }
    if !headers.has("Sec-WebSocket-Version", "13") {
        return bad("invalid version");
    }
    Ok(key)
}

/// Turns away pages that are not from where they may be. Whoever is no browser can say anything, and
/// so may as well say nothing.
fn check_origin(headers: Headers<'_>, rules: &Rules) -> Result<(), Refusal> {
    if !rules.same_origin && rules.origins.is_empty() {
        return Ok(());
    }
    let origin = headers.first("Origin").filter(|text| !text.is_empty());
    let Some(origin) = origin.or(headers.first("Sec-WebSocket-Origin")) else {
        return Ok(());
    };
    let refused = |why: &str| {
        let reason = format!("origin not allowed: {why}");
        Err(Refusal::new(Refusal::FORBIDDEN, reason))
    };
    let origin = match Origin::parse(origin) {
        Ok(origin) => origin,
        Err(error) => return refused(&error.to_string()),
    };
    if rules.same_origin {
        let scheme = if rules.secure {
            Scheme::Https
        } else {
            Scheme::Http
        };
        let own = Origin::of(scheme, headers.first("Host").unwrap_or_default());
        if own.as_ref() != Ok(&origin) {
            return refused("not same origin");
        }
    }
    if !rules.origins.is_empty() && !rules.origins.contains(&origin) {
        return refused("not in the allowed list");
    }
    Ok(())
}

fn offers_deflate(extension: &str) -> bool {
    let name = extension.split(';').next().unwrap_or_default();
    name.trim().eq_ignore_ascii_case("permessage-deflate")
}

fn response(key: &str, compression: bool, masked: bool, rules: &Rules) -> Vec<u8> {
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update(GUID);
    let accept = STANDARD.encode(hash.finalize());
    let mut response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n"
    );
    if compression {
        response.push_str(
            "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; \
             client_no_context_takeover\r\n",
        );
    }
    if !masked {
        response.push_str("Nats-No-Masking: true\r\n");
    }
    for (name, value) in &rules.headers {
        response.push_str(&format!("{name}: {value}\r\n"));
    }
    response.push_str("\r\n");
    response.into_bytes()
}

fn cookies(headers: Headers<'_>, names: &CookieNames) -> Cookies {
    let mut cookies = Cookies::default();
    let pairs = headers.all("Cookie").flat_map(|value| value.split(';'));
    for (name, value) in pairs.filter_map(|pair| pair.trim().split_once('=')) {
        let value = value.trim_matches('"');
        let slot = match name {
            "" => continue,
            _ if name == names.jwt => &mut cookies.jwt,
            _ if name == names.user => &mut cookies.user,
            _ if name == names.pass => &mut cookies.pass,
            _ if name == names.token => &mut cookies.token,
            _ => continue,
        };
        *slot = String::from(value);
    }
    cookies
}

/// A request's headers.
#[derive(Clone, Copy)]
struct Headers<'a>(&'a [httparse::Header<'a>]);

impl<'a> Headers<'a> {
    /// Returns the values under a name, as far as they are text.
    fn all(self, name: &str) -> impl Iterator<Item = &'a str> {
        let named = self
            .0
            .iter()
            .filter(move |h| h.name.eq_ignore_ascii_case(name));
        named.filter_map(|h| core::str::from_utf8(h.value).ok())
    }

    fn first(self, name: &str) -> Option<&'a str> {
        self.all(name).next().map(str::trim)
    }

    /// Says whether one of the values, which are lists, names `word`.
    fn has(self, name: &str, word: &str) -> bool {
        let mut words = self.all(name).flat_map(|value| value.split(','));
        words.any(|value| value.trim().eq_ignore_ascii_case(word))
    }
}
