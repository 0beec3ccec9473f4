//! `CONNECT`: what a client says about itself.
//!
//! *Invariant:* reads what Go's decoder reads: keys in any case, the last of several wins, null
//! leaves the default, unknown keys are ignored, a wrong type is an error.

use alloc::string::String;
use core::fmt;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

/// The options of a `CONNECT`.
#[derive(Clone, PartialEq, Eq)]
pub struct Connect {
    /// Whether every operation is answered with `+OK`.
    pub verbose: bool,
    /// Whether publish subjects are checked.
    pub pedantic: bool,
    /// Whether the client's own messages reach its own subscriptions.
    pub echo: bool,
    /// Whether the client wants TLS.
    pub tls_required: bool,
    /// A public user key.
    pub nkey: String,
    /// A user's JWT.
    pub jwt: String,
    /// The signature of the nonce.
    pub sig: String,
    /// A token.
    pub auth_token: String,
    /// A user's name.
    pub user: String,
    /// The user's password.
    pub pass: String,
    /// The client's name, for people.
    pub name: String,
    /// The language of the client's library.
    pub lang: String,
    /// The version of the client's library.
    pub version: String,
    /// 0, or 1 if the client takes INFO at any time.
    pub protocol: i64,
    /// Of old servers; no longer allowed.
    pub account: String,
    /// Of old servers; no longer allowed.
    pub new_account: bool,
    /// Whether the client reads headers.
    pub headers: bool,
    /// Whether the client wants to be told that nobody listens.
    pub no_responders: bool,
    /// A proxy's signature of the nonce.
    pub proxy_sig: String,
    /// The account that a leaf node binds to.
    pub remote_account: String,
}

/// Why a `CONNECT` cannot be read; the connection is closed without a word.
#[derive(Debug, thiserror::Error)]
#[error("the CONNECT options are not valid: {0}")]
pub struct ConnectError(serde_json::Error);

impl Default for Connect {
    /// Returns what `CONNECT {}` means.
    fn default() -> Self {
        Self {
            verbose: true,
            pedantic: true,
            echo: true,
            tls_required: false,
            nkey: String::new(),
            jwt: String::new(),
            sig: String::new(),
            auth_token: String::new(),
            user: String::new(),
            pass: String::new(),
            name: String::new(),
            lang: String::new(),
            version: String::new(),
            protocol: 0,
            account: String::new(),
            new_account: false,
            headers: false,
            no_responders: false,
            proxy_sig: String::new(),
            remote_account: String::new(),
        }
    }
}

impl fmt::Debug for Connect {
    /// Leaves out what proves who the client is: it has no place in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("user", &self.user)
            .field("name", &self.name)
            .field("lang", &self.lang)
            .field("version", &self.version)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}

impl Connect {
    /// Returns whether the client shows anything that tells who it is.
    #[must_use]
    pub fn shows_anything(&self) -> bool {
        let shown = [
            &self.user,
            &self.pass,
            &self.auth_token,
            &self.nkey,
            &self.jwt,
        ];
        shown.iter().any(|text| !text.is_empty())
    }

    /// Returns the password, or the token of a client without one.
    #[must_use]
    pub fn shown_secret(&self) -> String {
        match self.pass.is_empty() {
            true => self.auth_token.clone(),
            false => self.pass.clone(),
        }
    }

    /// Reads the options from the JSON of a connection's first `CONNECT`. Bytes that are no UTF-8 are
    /// replaced.
    ///
    /// # Errors
    /// When it is not JSON, not an object, or a field has the wrong type.
    pub fn parse(json: &[u8]) -> Result<Self, ConnectError> {
        Self::default().and_then_said(json)
    }

    /// Reads the JSON of a further `CONNECT`: what it leaves out stays as it was said before.
    ///
    /// # Errors
    /// When it is not JSON, not an object, or a field has the wrong type.
    pub fn and_then_said(self, json: &[u8]) -> Result<Self, ConnectError> {
        let text = String::from_utf8_lossy(json);
        let mut reader = serde_json::Deserializer::from_str(&text);
        let said = OverWhatWasSaid(self)
            .deserialize(&mut reader)
            .map_err(ConnectError)?;
        reader.end().map_err(ConnectError)?;
        Ok(said)
    }
}

/// The options that a `CONNECT` changes.
struct OverWhatWasSaid(Connect);

impl<'de> DeserializeSeed<'de> for OverWhatWasSaid {
    type Value = Connect;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Connect, D::Error> {
        from.deserialize_option(self)
    }
}

impl<'de> Visitor<'de> for OverWhatWasSaid {
    type Value = Connect;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_none<E>(self) -> Result<Connect, E> {
        Ok(self.0)
    }

    fn visit_some<D: Deserializer<'de>>(self, from: D) -> Result<Connect, D::Error> {
        from.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Connect, A::Error> {
        let Self(mut options) = self;
        while let Some(mut key) = map.next_key::<String>()? {
            key.make_ascii_lowercase();
            let into = match field(&mut options, &key) {
                Some(into) => into,
                None => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            map.next_value_seed(into)?;
        }
        Ok(options)
    }
}

/// Where a value goes.
enum Field<'o> {
    Flag(&'o mut bool),
    Text(&'o mut String),
    Number(&'o mut i64),
    /// Permissions of routes and leaf nodes, which clients have no use for: an object.
    Object,
}

fn field<'o>(options: &'o mut Connect, key: &str) -> Option<Field<'o>> {
    Some(match key {
        "verbose" => Field::Flag(&mut options.verbose),
        "pedantic" => Field::Flag(&mut options.pedantic),
        "echo" => Field::Flag(&mut options.echo),
        "tls_required" => Field::Flag(&mut options.tls_required),
        "nkey" => Field::Text(&mut options.nkey),
        "jwt" => Field::Text(&mut options.jwt),
        "sig" => Field::Text(&mut options.sig),
        "auth_token" => Field::Text(&mut options.auth_token),
        "user" => Field::Text(&mut options.user),
        "pass" => Field::Text(&mut options.pass),
        "name" => Field::Text(&mut options.name),
        "lang" => Field::Text(&mut options.lang),
        "version" => Field::Text(&mut options.version),
        "protocol" => Field::Number(&mut options.protocol),
        "account" => Field::Text(&mut options.account),
        "new_account" => Field::Flag(&mut options.new_account),
        "headers" => Field::Flag(&mut options.headers),
        "no_responders" => Field::Flag(&mut options.no_responders),
        "proxy_sig" => Field::Text(&mut options.proxy_sig),
        "remote_account" => Field::Text(&mut options.remote_account),
        "import" | "export" => Field::Object,
        _ => return None,
    })
}

impl<'de> DeserializeSeed<'de> for Field<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        match self {
            Self::Flag(into) => store(into, from),
            Self::Text(into) => store(into, from),
            Self::Number(into) => store(into, from),
            Self::Object => store(&mut AnyObject, from),
        }
    }
}

fn store<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    into: &mut T,
    from: D,
) -> Result<(), D::Error> {
    if let Some(value) = Option::deserialize(from)? {
        *into = value;
    }
    Ok(())
}

struct AnyObject;

impl<'de> Deserialize<'de> for AnyObject {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Self)
    }
}

impl<'de> Visitor<'de> for AnyObject {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_and_null_fields_keep_their_defaults() {
        for json in ["{}", "null", r#"{"verbose":null,"user":null,"zz":[1]}"#] {
            let options = Connect::parse(json.as_bytes()).unwrap();
            assert_eq!(options, Connect::default(), "{json}");
            assert!(options.verbose && options.pedantic && options.echo);
        }
    }

    #[test]
    fn fields_are_read_in_any_case_and_the_last_one_wins() {
        let json = br#"{"Verbose":false,"USER":"u","echo":false,"echo":true,"protocol":1,"import":{"a":1}}"#;
        let options = Connect::parse(json).unwrap();
        assert!(!options.verbose && options.echo);
        assert_eq!((options.user.as_str(), options.protocol), ("u", 1));
    }

    #[test]
    fn a_further_connect_changes_what_it_names() {
        let first = Connect::parse(br#"{"verbose":false,"user":"u","headers":true}"#).unwrap();
        let both = first.clone().and_then_said(br#"{"user":"v"}"#).unwrap();
        assert!(!both.verbose && both.headers);
        assert_eq!(both.user, "v");
        assert_eq!(first.clone().and_then_said(b"null").unwrap(), first);
    }

    #[test]
    fn bytes_that_are_no_text_are_replaced() {
        let options = Connect::parse(b"{\"name\":\"a\xff\"}").unwrap();
        assert_eq!(options.name, "a\u{fffd}");
    }

    #[test]
    fn wrong_types_and_broken_json_are_errors() {
        for json in [
            "",
            "[]",
            "{bad}",
            "{} x",
            r#"{"verbose":1}"#,
            r#"{"user":true}"#,
            r#"{"protocol":1.5}"#,
            r#"{"import":3}"#,
        ] {
            assert!(Connect::parse(json.as_bytes()).is_err(), "{json}");
        }
    }
}
