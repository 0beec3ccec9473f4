//! What is to be imported, from the command line.

use std::path::PathBuf;

use tokio::net::TcpStream;

use super::{ImportError, Link};
use crate::client::{Client, Login};
use crate::rest::percent_decoded;

const USAGE: &str = "\
usage: beale import nats --from nats://[user:password@]host:port --to nats://[user:password@]host:port
                         [--stream NAME]... [--spool DIR] [--no-compare]

Copies streams with their messages' numbers and times, and durable consumers with their ack floors. Run it
again to go on after it was stopped. Stop publishers first: what comes later is not imported.
";

/// Where archives lie while they are made.
const SPOOL: &str = "./beale-import";
const PORT: u16 = 4222;

/// The command's arguments.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) from: Address,
    pub(super) to: Address,
    /// The streams; all without any.
    streams: Vec<String>,
    pub(super) spool: PathBuf,
    pub(super) compare: bool,
}

/// A server, and how to get in.
#[derive(Clone, Default)]
pub(super) struct Address {
    host: String,
    port: u16,
    login: Login,
}

impl core::fmt::Debug for Address {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // Passwords stay out of logs.
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Wanted {
    /// Reads the words behind `import`.
    pub(super) fn parse(words: &[String]) -> Result<Self, String> {
        let usage = || USAGE.to_owned();
        let mut words = words.iter().map(String::as_str);
        if words.next() != Some("nats") {
            return Err(usage());
        }
        let (mut from, mut to) = (None, None);
        let mut wanted = Self {
            from: Address::default(),
            to: Address::default(),
            streams: Vec::new(),
            spool: PathBuf::from(SPOOL),
            compare: true,
        };
        while let Some(word) = words.next() {
            match word {
                "--from" => from = Some(Address::parse(words.next().ok_or_else(usage)?)?),
                "--to" => to = Some(Address::parse(words.next().ok_or_else(usage)?)?),
                "--stream" => wanted
                    .streams
                    .push(words.next().ok_or_else(usage)?.to_owned()),
                "--spool" => wanted.spool = PathBuf::from(words.next().ok_or_else(usage)?),
                "--no-compare" => wanted.compare = false,
                _ => return Err(usage()),
            }
        }
        wanted.from = from.ok_or_else(usage)?;
        wanted.to = to.ok_or_else(usage)?;
        Ok(wanted)
    }

    /// Says whether a stream is to be imported.
    pub(super) fn wants(&self, name: &str) -> bool {
        self.streams.is_empty() || self.streams.iter().any(|wanted| wanted == name)
    }
}

impl Address {
    fn parse(url: &str) -> Result<Self, String> {
        let bad = || format!("{url}: an address is nats://[user:password@]host:port");
        let rest = match url.split_once("://") {
            Some(("nats", rest)) => rest,
            Some(("tls", _)) => {
                return Err("encrypted connections cannot be imported from".to_owned());
            }
            Some(_) => return Err(bad()),
            None => url,
        };
        let (who, at) = match rest.rsplit_once('@') {
            Some((who, at)) => (Some(who), at),
            None => (None, rest),
        };
        let (host, port) = match at.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_| bad())?),
            None => (at, PORT),
        };
        if host.is_empty() {
            return Err(bad());
        }
        let mut login = Login {
            name: "beale import".to_owned(),
            ..Login::default()
        };
        match who.map(|who| who.split_once(':').ok_or(who)) {
            Some(Ok((user, password))) => {
                login.user = percent_decoded(user);
                login.password = percent_decoded(password);
            }
            Some(Err(token)) => login.token = percent_decoded(token),
            None => {}
        }
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            login,
        })
    }

    pub(super) async fn connect(&self) -> Result<Link, ImportError> {
        let failed = |error| ImportError::Connection(format!("{self:?}"), error);
        let stream = TcpStream::connect((self.host.as_str(), self.port)).await;
        let stream = stream.map_err(|error| failed(error.into()))?;
        stream
            .set_nodelay(true)
            .map_err(|error| failed(error.into()))?;
        // One client per connection and server: nobody else has this inbox.
        let inbox = crate::rest::drawn_name();
        Client::connect(stream, &self.login, &inbox)
            .await
            .map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Wanted, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        Wanted::parse(&words)
    }

    #[test]
    fn servers_are_addressed_with_who_logs_in() {
        let wanted = parse("nats --from nats://a%40b:p%2Bw@old --to tok@[::1]:4333 --stream S");
        let wanted = wanted.expect("it is whole");
        let Address { host, port, login } = wanted.from.clone();
        assert_eq!((host.as_str(), port), ("old", 4222));
        assert_eq!(
            (login.user.as_str(), login.password.as_str()),
            ("a@b", "p+w")
        );
        assert_eq!(format!("{:?}", wanted.to), "::1:4333");
        assert_eq!(wanted.to.login.token, "tok");
        assert!(wanted.wants("S") && !wanted.wants("T") && wanted.compare);
    }

    #[test]
    fn what_is_missing_or_unknown_is_answered_with_how_it_is_used() {
        for line in [
            "",
            "kafka",
            "nats",
            "nats --from a",
            "nats --from a --to b --what",
        ] {
            assert_eq!(parse(line).unwrap_err(), USAGE, "{line}");
        }
        assert!(parse("nats --from http://a --to b").is_err());
    }
}
