//! Where a server is, how it is reached, and who logs in: from the command line.

use core::fmt;
use std::path::Path;

use identity::undecorated;

use crate::client::Login;
use crate::reason;
use crate::rest::percent_decoded;

/// A server, and how to get in.
#[derive(Clone, Default)]
pub(super) struct Address {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) login: Login,
    pub(super) security: Security,
    pub(super) files: Files,
}

/// When a connection is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Security {
    /// If the server wants it.
    #[default]
    AsAsked,
    /// In any case.
    Always,
    /// Before the server says anything.
    First,
}

/// Files about certificates.
#[derive(Clone, Debug, Default)]
pub(super) struct Files {
    /// Who may vouch for the server; without it the system's authorities.
    pub(super) ca: Option<String>,
    /// What the server may want to see.
    pub(super) cert: Option<String>,
    pub(super) key: Option<String>,
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Passwords stay out of logs.
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// The options of one server, as they come.
#[derive(Debug, Default)]
pub(super) struct Side {
    url: Option<String>,
    user: Option<String>,
    password_file: Option<String>,
    creds: Option<String>,
    nkey: Option<String>,
    is_encrypted_first: bool,
    files: Files,
}

impl Side {
    /// Takes an option without the server's name (`-creds` of `--from-creds`), whose value is the next
    /// word; false if there is no such option.
    pub(super) fn take<'a>(
        &mut self,
        option: &str,
        words: &mut impl Iterator<Item = &'a str>,
    ) -> bool {
        let place = match option {
            "" => &mut self.url,
            "-user" => &mut self.user,
            "-password-file" => &mut self.password_file,
            "-creds" => &mut self.creds,
            "-nkey" => &mut self.nkey,
            "-ca" => &mut self.files.ca,
            "-cert" => &mut self.files.cert,
            "-key" => &mut self.files.key,
            "-tls-first" => {
                self.is_encrypted_first = true;
                return true;
            }
            _ => return false,
        };
        *place = words.next().map(str::to_owned);
        place.is_some()
    }

    /// Returns the server; nothing if it was not named.
    ///
    /// # Errors
    /// What cannot be read.
    pub(super) fn address(self, kind: &Kind) -> Result<Option<Address>, String> {
        let Some(url) = &self.url else {
            return Ok(None);
        };
        let mut address = Address::parse(url, kind)?;
        let login = &mut address.login;
        match self.user {
            // Who comes with Memphis' token says in the connection's name who it is.
            Some(user) if !login.token.is_empty() => {
                login.name = format!("{}::{user}", crate::rest::drawn_name());
            }
            Some(user) => login.user = user,
            None => {}
        }
        if let Some(path) = &self.password_file {
            read(path)?.trim_end().clone_into(&mut login.password);
        }
        if let Some(path) = &self.creds {
            let text = read(path)?;
            undecorated(&text).clone_into(&mut login.jwt);
            let seed = text.find("USER NKEY SEED").and_then(|at| text.get(at..));
            let seed = seed.and_then(|text| text.lines().nth(1));
            let seed = seed.ok_or_else(|| format!("{path}: there is no seed"))?;
            seed.trim().clone_into(&mut login.seed);
        }
        if let Some(path) = &self.nkey {
            read(path)?.trim().clone_into(&mut login.seed);
        }
        if self.is_encrypted_first {
            address.security = Security::First;
        }
        address.files = self.files;
        Ok(Some(address))
    }
}

fn read(path: &str) -> Result<String, String> {
    std::fs::read_to_string(Path::new(path)).map_err(|error| format!("{path}: {}", reason(&error)))
}

/// What kind of address is read.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) plain: &'static str,
    pub(super) encrypted: &'static str,
    pub(super) port: u16,
}

impl Kind {
    pub(super) const NATS: Self = Self {
        plain: "nats",
        encrypted: "tls",
        port: 4222,
    };
    pub(super) const MEMPHIS: Self = Self {
        port: 6666,
        ..Self::NATS
    };
    pub(super) const HTTP: Self = Self {
        plain: "http",
        encrypted: "https",
        port: 9000,
    };
}

impl Address {
    fn parse(url: &str, kind: &Kind) -> Result<Self, String> {
        let bad = || {
            let plain = kind.plain;
            // The address itself may hold a password.
            format!("an address is {plain}://[user:password@]host[:port]")
        };
        let (security, rest) = match url.split_once("://") {
            Some((scheme, rest)) if scheme == kind.plain => (Security::AsAsked, rest),
            Some((scheme, rest)) if scheme == kind.encrypted => (Security::Always, rest),
            Some(_) => return Err(bad()),
            None => (Security::AsAsked, url),
        };
        let rest = rest.trim_end_matches('/');
        let (who, at) = match rest.rsplit_once('@') {
            Some((who, at)) => (Some(who), at),
            None => (None, rest),
        };
        let (host, port) = match at.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().map_err(|_| bad())?),
            None => (at, kind.port),
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
            security,
            files: Files::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> Address {
        Address::parse(url, &Kind::NATS).expect("it is one")
    }

    #[test]
    fn servers_are_addressed_with_who_logs_in() {
        let Address {
            host, port, login, ..
        } = address("nats://a%40b:p%2Bw@old");
        assert_eq!((host.as_str(), port), ("old", 4222));
        assert_eq!(
            (login.user.as_str(), login.password.as_str()),
            ("a@b", "p+w")
        );
        let other = address("tok@[::1]:4333");
        assert_eq!(format!("{other:?}"), "::1:4333");
        assert_eq!(other.login.token, "tok");
        assert_eq!(address("tls://old").security, Security::Always);
        assert_eq!(
            address("nats://old:1/").port,
            1,
            "a slash at the end is no part of it"
        );
    }

    #[test]
    fn what_is_no_address_is_refused_without_showing_it() {
        for url in [
            "http://u:secret@a",
            "nats://u:secret@a:port",
            "nats://u:secret@",
        ] {
            let said = Address::parse(url, &Kind::NATS).expect_err(url);
            assert!(!said.contains("secret"), "{said}");
        }
    }

    #[test]
    fn credentials_come_from_their_files() {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let creds = "-----BEGIN NATS USER JWT-----\nJWT\n------END NATS USER JWT------\n\n\
            -----BEGIN USER NKEY SEED-----\nSEED\n------END USER NKEY SEED------\n";
        std::fs::write(path("creds"), creds).expect("it is written");
        std::fs::write(path("password"), "p w\n").expect("it is written");
        let words = ["nats://host", &path("creds"), "u", &path("password")].map(str::to_owned);
        let mut words = words.iter().map(String::as_str);
        let mut side = Side::default();
        for option in ["", "-creds", "-user", "-password-file"] {
            assert!(side.take(option, &mut words), "{option}");
        }
        assert!(!side.take("-what", &mut words) && !side.take("-ca", &mut words));
        let address = side.address(&Kind::NATS).expect("all can be read");
        let login = address.expect("it was named").login;
        assert_eq!((login.jwt.as_str(), login.seed.as_str()), ("JWT", "SEED"));
        assert_eq!((login.user.as_str(), login.password.as_str()), ("u", "p w"));
    }
}
