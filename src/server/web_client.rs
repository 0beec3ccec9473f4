//! Asks web servers: for the tokens of accounts, to pass on what has happened, and to keep something.
//!
//! *Invariant:* an answer is bounded in size, and comes within a time or not at all, whatever the other side
//! does; it blocks its thread so long.

use core::time::Duration;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use config::options::WebAccounts;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::reason;

/// How long a token may take: as long as nats-server waits.
const TOKEN_MAX: Duration = Duration::from_millis(1900);
/// How long it may take to pass on a message.
const POST_MAX: Duration = Duration::from_secs(10);
/// How long it may take to put something somewhere.
const PUT_MAX: Duration = Duration::from_secs(30);
/// How long an answer may be.
const BYTES_MAX: u64 = 1 << 20;
/// Where systems keep the authorities that everybody believes.
const AUTHORITIES: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
];

/// Asks for the token of `key`.
///
/// # Errors
/// Why there is none, in nats-server's words.
pub(crate) fn fetch(server: &WebAccounts, key: &str) -> Result<String, String> {
    let url = format!("{}{key}", server.url);
    let failed = |why: String| format!("could not fetch <{:?}>: {why}", redacted(&url));
    let place = Place::of(&url).map_err(failed)?;
    let login = place.login.map(|login| STANDARD.encode(login));
    let login = login.map(|login| format!("Authorization: Basic {login}\r\n"));
    // An answer of this version ends where the connection does, and comes in one piece.
    let request = format!(
        "GET {} HTTP/1.0\r\nHost: {}\r\nUser-Agent: beale\r\nAccept: */*\r\n{}\r\n",
        place.path,
        place.authority,
        login.unwrap_or_default()
    );
    let answer = ask(&place, server, request.as_bytes(), TOKEN_MAX);
    body(&answer.map_err(|error| failed(told(&error)))?).map_err(failed)
}

/// Sends JSON in the name of whom a token stands for, and returns the answer.
///
/// # Errors
/// Why there is none.
pub(crate) fn post(url: &str, token: &str, json: &str) -> Result<String, String> {
    let place = Place::of(url)?;
    let path = if place.path.is_empty() {
        "/"
    } else {
        place.path
    };
    let (authority, length) = (place.authority, json.len());
    let request = format!(
        "POST {path} HTTP/1.0\r\nHost: {authority}\r\nUser-Agent: beale\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: {length}\r\n\r\n{json}"
    );
    let trusted = WebAccounts::default();
    let answer = ask(&place, &trusted, request.as_bytes(), POST_MAX);
    body(&answer.map_err(|error| told(&error))?)
}

/// Puts something at a URL, with header lines beside those that every request has.
///
/// # Errors
/// Why it is not there, or perhaps not.
pub(crate) fn put(url: &str, lines: &[(&str, &str)], content: &[u8]) -> Result<(), String> {
    let place = Place::of(url)?;
    let (path, authority, length) = (place.path, place.authority, content.len());
    let lines: String = lines
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let head = format!(
        "PUT {path} HTTP/1.0\r\nHost: {authority}\r\nUser-Agent: beale\r\n{lines}Content-Length: {length}\r\n\r\n"
    );
    let request = [head.as_bytes(), content].concat();
    let trusted = WebAccounts::default();
    let answer = ask(&place, &trusted, &request, PUT_MAX);
    body(&answer.map_err(|error| told(&error))?).map(drop)
}

/// What a URL names.
#[derive(Debug, PartialEq, Eq)]
struct Place<'a> {
    is_encrypted: bool,
    /// `user:password`.
    login: Option<&'a str>,
    /// With its port, if it names one.
    authority: &'a str,
    host: &'a str,
    port: u16,
    path: &'a str,
}

impl<'a> Place<'a> {
    fn of(url: &'a str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once(':').unwrap_or(("", url));
        let (is_encrypted, default) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (false, 80),
            "https" => (true, 443),
            other => return Err(format!("unsupported protocol scheme {other:?}")),
        };
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (place, path) = rest.split_at(end);
        let (login, authority) = match place.rsplit_once('@') {
            Some((login, authority)) => (Some(login), authority),
            None => (None, place),
        };
        let is_bare = authority.ends_with(']') || !authority.contains(':');
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !is_bare => (host, port.parse().map_err(|_| "invalid port")?),
            Some(_) | None => (authority, default),
        };
        if host.is_empty() || url.contains(|c: char| c.is_ascii_control() || c == ' ') {
            return Err("invalid URL".to_owned());
        }
        let host = host.trim_matches(['[', ']']);
        Ok(Self {
            is_encrypted,
            login,
            authority,
            host,
            port,
            path,
        })
    }
}

/// A stream whose every read and write ends by a time.
struct Timely {
    stream: TcpStream,
    until: std::time::Instant,
}

impl Timely {
    fn left(&self) -> io::Result<Duration> {
        let left = self.until.checked_duration_since(std::time::Instant::now());
        let left = left.filter(|left| !left.is_zero());
        left.ok_or_else(|| io::ErrorKind::TimedOut.into())
    }
}

impl Read for Timely {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read(buf)
    }
}

impl Write for Timely {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// Returns the whole answer.
fn ask(
    place: &Place<'_>,
    server: &WebAccounts,
    request: &[u8],
    patience: Duration,
) -> io::Result<Vec<u8>> {
    let until = std::time::Instant::now() + patience;
    let mut failure = io::Error::from(io::ErrorKind::NotFound);
    for address in (place.host, place.port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(stream) => {
                let stream = Timely { stream, until };
                return match place.is_encrypted {
                    true => converse(request, encrypted(place, server, stream)?),
                    false => converse(request, stream),
                };
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn converse(request: &[u8], mut stream: impl Read + Write) -> io::Result<Vec<u8>> {
    stream.write_all(request)?;
    stream.flush()?;
    let mut answer = Vec::new();
    match stream.take(BYTES_MAX).read_to_end(&mut answer) {
        // Servers are known to end TLS without a word; the length tells whether all is there.
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => Err(error),
        Ok(_) | Err(_) => Ok(answer),
    }
}

fn encrypted(
    place: &Place<'_>,
    server: &WebAccounts,
    stream: Timely,
) -> io::Result<StreamOwned<ClientConnection, Timely>> {
    let mut roots = RootCertStore::empty();
    let known = AUTHORITIES
        .into_iter()
        .find(|path| std::fs::exists(path).unwrap_or(false));
    let path = server.ca_file.as_deref().or(known).unwrap_or_default();
    for cert in CertificateDer::pem_slice_iter(&std::fs::read(path)?) {
        // A system's list may hold what nobody can use any more.
        let _ = roots.add(cert.map_err(io::Error::other)?);
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots);
    let config = match &server.own {
        None => builder.with_no_client_auth(),
        Some(files) => {
            let chain = std::fs::read(&files.cert)?;
            let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain).collect();
            let key = PrivateKeyDer::from_pem_slice(&std::fs::read(&files.key)?);
            let chain = chain.map_err(io::Error::other)?;
            let key = key.map_err(io::Error::other)?;
            let built = builder.with_client_auth_cert(chain, key);
            built.map_err(io::Error::other)?
        }
    };
    let name = ServerName::try_from(place.host.to_owned()).map_err(io::Error::other)?;
    let session = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    Ok(StreamOwned::new(session, stream))
}

/// Returns what is behind the head of an answer that says it is one.
fn body(answer: &[u8]) -> Result<String, String> {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let (head, rest) = answer.split_at(end.ok_or("malformed HTTP response")?);
    let head = String::from_utf8_lossy(head);
    let body = rest.get(4..).unwrap_or_default();
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split_once(' '));
    let (_, status) = status.ok_or("malformed HTTP response")?;
    if !status.starts_with("200") {
        return Err(status.to_owned());
    }
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("transfer-encoding") && !value.eq_ignore_ascii_case("identity")
        {
            return Err(format!("unsupported transfer encoding {value:?}"));
        }
        let is_length = name.eq_ignore_ascii_case("content-length");
        if is_length && value.parse() != Ok(body.len()) {
            return Err("unexpected EOF".to_owned());
        }
    }
    String::from_utf8(body.to_vec()).map_err(|_| "the answer is no text".to_owned())
}

fn told(error: &io::Error) -> String {
    if matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    ) {
        return "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
            .to_owned();
    }
    reason(error)
}

/// Returns a URL without its password.
fn redacted(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("//") else {
        return url.to_owned();
    };
    let end = rest.find('/').unwrap_or(rest.len());
    let (place, path) = rest.split_at(end);
    match place.rsplit_once('@') {
        Some((login, authority)) => {
            let user = login.split_once(':').map_or(login, |(user, _)| user);
            format!("{scheme}//{user}:xxxxx@{authority}{path}")
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Serves one answer, and returns what was asked.
    fn served(answer: &'static [u8], key: &str) -> (Result<String, String>, String) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let other_side = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).expect("a request");
                asked.extend(byte);
            }
            stream.write_all(answer).expect("written");
            String::from_utf8(asked).expect("text")
        });
        let server = WebAccounts {
            url: format!("http://u:p@127.0.0.1:{port}/jwt/"),
            ..WebAccounts::default()
        };
        let token = fetch(&server, key);
        (token, other_side.join().expect("no panic"))
    }

    #[test]
    fn a_token_is_what_stands_behind_the_head() {
        let (token, asked) = served(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\neyJ", "AB");
        assert_eq!(token.as_deref(), Ok("eyJ"));
        assert!(
            asked.starts_with("GET /jwt/AB HTTP/1.0\r\nHost: 127.0.0.1:"),
            "{asked}"
        );
        assert!(asked.contains("Authorization: Basic dTpw\r\n"), "{asked}");
    }

    #[test]
    fn whatever_else_comes_is_none_and_no_password_is_told() {
        for (answer, why) in [
            (
                b"HTTP/1.1 404 Not Found\r\n\r\n".as_slice(),
                "404 Not Found",
            ),
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\neyJ",
                "unexpected EOF",
            ),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
                "encoding",
            ),
            (b"SSH-2.0\r\n", "malformed"),
            (b"", "malformed"),
        ] {
            let error = served(answer, "AB").0.expect_err("no token");
            assert!(
                error.starts_with("could not fetch <\"http://u:xxxxx@127.0.0.1:"),
                "{error}"
            );
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn urls_are_taken_apart() {
        let place = Place::of("https://[::1]:8080/a?b=").expect("one");
        assert_eq!((place.host, place.port, place.path), ("::1", 8080, "/a?b="));
        let place = Place::of("http://h/").expect("one");
        assert_eq!(
            (place.host, place.port, place.is_encrypted),
            ("h", 80, false)
        );
        for url in ["/", "ftp://h/", "http:///x", "http://h/a b", "http://h:x/"] {
            Place::of(url).expect_err(url);
        }
    }
}
