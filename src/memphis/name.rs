//! Names: what is allowed, and how the name a user types maps to the streams behind it.

use alloc::format;
use alloc::string::String;

use serde::{Deserialize, Serialize};

/// What is named; the error texts begin with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A station.
    Station,
    /// A producer.
    Producer,
    /// A consumer or a consumer group.
    Consumer,
    /// A schema.
    Schema,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Station => "Station",
            Self::Producer => "Producer",
            Self::Consumer => "Consumer",
            Self::Schema => "Schema",
        }
    }
}

/// Why a name is refused. The texts are those of Memphis, whose SDKs show them to their users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No name was given.
    #[error("{} name can not be empty", .0.as_str())]
    Empty(Kind),
    /// The name has more than [`NAME_BYTES_MAX`] bytes.
    #[error("{} should be under 128 characters", .0.as_str())]
    TooLong(Kind),
    /// The name has a character outside `a-z 0-9 _ . -`.
    #[error("Only alphanumeric and the '_', '-', '.' characters are allowed in {}", .0.as_str())]
    Character(Kind),
    /// The name begins or ends with a punctuation character.
    #[error("{} name can not start or end with non alphanumeric character", .0.as_str())]
    Edge(Kind),
}

/// The longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 128;

/// A checked name in lower case, as users see it; dots allowed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Name(String);

impl Name {
    /// Lower-cases and checks a name.
    ///
    /// # Errors
    /// The first rule that the name breaks, in Memphis' order.
    pub fn new(kind: Kind, typed: &str) -> Result<Self, NameError> {
        let name = typed.to_lowercase();
        if name.is_empty() {
            return Err(NameError::Empty(kind));
        }
        if name.len() > NAME_BYTES_MAX {
            return Err(NameError::TooLong(kind));
        }
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_.-".contains(&b);
        if !name.bytes().all(allowed) {
            return Err(NameError::Character(kind));
        }
        let punctuation = ['.', '-', '_'];
        if name.starts_with(punctuation) || name.ends_with(punctuation) {
            return Err(NameError::Edge(kind));
        }
        Ok(Self(name))
    }

    /// Returns the name as users see it.
    #[must_use]
    pub fn external(&self) -> &str {
        &self.0
    }

    /// Returns the name as streams and subjects carry it: dots become `#`, because a dot separates
    /// subject tokens.
    #[must_use]
    pub fn internal(&self) -> String {
        self.0.replace('.', "#")
    }

    /// Returns the stream of partition `number`, which counts from 1.
    #[must_use]
    pub(crate) fn partition_stream(&self, number: u32) -> String {
        format!("{}${number}", self.internal())
    }
}

/// Returns the station's external name and the partition that a stream belongs to; partition 0 is a
/// stream made by a NATS client, which is a station whole.
#[must_use]
pub fn station_of_stream(stream: &str) -> (String, u32) {
    let (name, partition) = match stream.rsplit_once('$') {
        Some((name, number)) if !name.is_empty() => match number.parse::<u32>() {
            Ok(number) if number > 0 && !starts_with_zero_or_plus(stream, name.len()) => {
                (name, number)
            }
            Ok(_) | Err(_) => (stream, 0),
        },
        Some(_) | None => (stream, 0),
    };
    (name.to_lowercase().replace('#', "."), partition)
}

/// `x$01` and `x$+1` parse as 1 but are no partition's name.
fn starts_with_zero_or_plus(stream: &str, name_len: usize) -> bool {
    stream
        .as_bytes()
        .get(name_len + 1)
        .is_some_and(|b| matches!(b, b'0' | b'+'))
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn dots_become_hashes_in_stream_names() {
        let name = Name::new(Kind::Station, "Orders.EU").unwrap();
        assert_eq!(name.external(), "orders.eu");
        assert_eq!(name.partition_stream(2), "orders#eu$2");
    }

    #[test]
    fn refused_names_are_refused_in_memphis_words() {
        let text = |typed: &str| Name::new(Kind::Station, typed).unwrap_err().to_string();
        assert_eq!(text(""), "Station name can not be empty");
        assert_eq!(
            text(&"x".repeat(129)),
            "Station should be under 128 characters"
        );
        assert_eq!(
            text("a b"),
            "Only alphanumeric and the '_', '-', '.' characters are allowed in Station"
        );
        assert_eq!(text("a#b"), text("a b"));
        assert_eq!(
            text("a-"),
            "Station name can not start or end with non alphanumeric character"
        );
    }

    #[test]
    fn streams_lead_back_to_their_station() {
        assert_eq!(station_of_stream("orders#eu$2"), ("orders.eu".into(), 2));
        assert_eq!(station_of_stream("Test"), ("test".into(), 0));
        assert_eq!(station_of_stream("a$0"), ("a$0".into(), 0));
        assert_eq!(station_of_stream("a$01"), ("a$01".into(), 0));
        assert_eq!(station_of_stream("$1"), ("$1".into(), 0));
    }
}
