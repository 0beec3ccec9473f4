//! The part of a URL behind `?`, with the errors of Go's parsers, which users see.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

/// Why a request is not answered with a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// A switch is neither true nor false.
    #[error(
        "Error decoding boolean for '{key}': strconv.ParseBool: parsing {value:?}: invalid syntax"
    )]
    Boolean {
        /// The parameter.
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// A number is none.
    #[error("Error decoding int for '{key}': strconv.Atoi: parsing {value:?}: invalid syntax")]
    Int {
        /// The parameter.
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// A connection's number is none.
    #[error(
        "Error decoding uint64 for '{key}': strconv.ParseUint: parsing {value:?}: invalid syntax"
    )]
    Uint {
        /// The parameter.
        key: &'static str,
        /// Its value.
        value: String,
    },
    /// There is no such state of connections.
    #[error("Error decoding state for {0}")]
    State(String),
    /// There is no such order.
    #[error("invalid sorting option: {0}")]
    Sort(String),
    /// The order makes no sense for open connections.
    #[error("sort by {0} only valid on closed connections")]
    SortOfClosed(&'static str),
    /// The subject to test cannot be published to.
    #[error("invalid test subject, must be valid publish subject: {0}")]
    TestSubject(String),
    /// A subject is asked for without an account.
    #[error("filter by subject only valid with account filtering")]
    SubjectWithoutAccount,
    /// There is no such account.
    #[error("Account {0} does not exist")]
    NoAccount(String),
    /// The streams of an account are asked for that is not there.
    #[error("account {0:?} not found")]
    NoAccountWithStreams(String),
    /// The streams of an account are asked for that may have none.
    #[error("account {0:?} not jetstream enabled")]
    JetStreamOffFor(String),
    /// Streams are asked for where there are none.
    #[error("jetstream not enabled")]
    JetStreamOff,
}

/// Parameters, decoded.
#[derive(Clone, Debug, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Takes `a=1&b=2` apart.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let decoded = pairs.map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        });
        Self(decoded.collect())
    }

    /// Returns a parameter's text, empty when it is not there.
    #[must_use]
    pub fn text(&self, key: &str) -> &str {
        let found = self.0.iter().find(|(k, _)| k == key);
        found.map_or("", |(_, value)| value)
    }

    /// Returns a switch, off when it is not there.
    ///
    /// # Errors
    /// When it is neither true nor false.
    pub fn boolean(&self, key: &'static str) -> Result<bool, Problem> {
        match self.text(key) {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            value => Err(Problem::Boolean {
                key,
                value: value.to_owned(),
            }),
        }
    }

    /// Returns whether subscriptions are to be shown, and whether in detail.
    ///
    /// # Errors
    /// When it is neither `detail` nor a truth.
    pub fn subscriptions(&self) -> Result<(bool, bool), Problem> {
        let detail = self.text("subs").eq_ignore_ascii_case("detail");
        Ok((detail || self.boolean("subs")?, detail))
    }

    /// Returns a number, 0 when it is not there; negative ones count as 0.
    ///
    /// # Errors
    /// When it is no number.
    pub fn int(&self, key: &'static str) -> Result<usize, Problem> {
        let text = self.text(key);
        if text.is_empty() {
            return Ok(0);
        }
        let number: Result<i64, _> = text.parse();
        let number = number.map_err(|_| Problem::Int {
            key,
            value: text.to_owned(),
        })?;
        Ok(usize::try_from(number).unwrap_or(0))
    }

    /// Returns an unsigned number, 0 when it is not there.
    ///
    /// # Errors
    /// When it is no number.
    pub(crate) fn uint(&self, key: &'static str) -> Result<u64, Problem> {
        let text = self.text(key);
        if text.is_empty() {
            return Ok(0);
        }
        text.parse().map_err(|_| Problem::Uint {
            key,
            value: text.to_owned(),
        })
    }
}

/// Replaces `+` and `%41`; what is no escape stays as it is.
fn decode(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let digits = after.get(..2).and_then(|d| core::str::from_utf8(d).ok());
                match digits.and_then(|d| u8::from_str_radix(d, 16).ok()) {
                    Some(code) => {
                        out.push(code);
                        rest = after.get(2..).unwrap_or_default();
                    }
                    None => out.push(b'%'),
                }
            }
            _ => out.push(*byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let query = Query::parse("acc=%24G&a+b=c%3e&x&bad=%zz");
        assert_eq!(query.text("acc"), "$G");
        assert_eq!(query.text("a b"), "c>");
        assert_eq!(query.text("x"), "");
        assert_eq!(query.text("bad"), "%zz");
        assert_eq!(query.text("missing"), "");
    }

    #[test]
    fn what_cannot_be_decoded_is_told_in_gos_words() {
        let query = Query::parse("limit=x&subs=x&cid=x");
        let texts = [
            query.int("limit").map(|_| ()).unwrap_err().to_string(),
            query.boolean("subs").map(|_| ()).unwrap_err().to_string(),
            query.uint("cid").map(|_| ()).unwrap_err().to_string(),
        ];
        assert_eq!(
            texts,
            [
                "Error decoding int for 'limit': strconv.Atoi: parsing \"x\": invalid syntax",
                "Error decoding boolean for 'subs': strconv.ParseBool: parsing \"x\": invalid syntax",
                "Error decoding uint64 for 'cid': strconv.ParseUint: parsing \"x\": invalid syntax",
            ]
        );
    }
}
