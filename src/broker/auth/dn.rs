//! Distinguished names, for users that are known by their certificate's subject.

use alloc::string::String;
use alloc::vec::Vec;

/// A distinguished name: its parts, most significant first or last, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dn(Vec<(String, String)>);

impl Dn {
    pub(crate) fn new(rdns: &[(String, String)]) -> Self {
        let parts = rdns.iter();
        Self(
            parts
                .map(|(kind, value)| (kind.to_ascii_uppercase(), value.clone()))
                .collect(),
        )
    }

    /// Reads a name such as `CN=bob,O=Acme`; none if the text is not one.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = Vec::new();
        let mut chars = text.chars();
        loop {
            let mut kind = String::new();
            loop {
                match chars.next()? {
                    '=' => break,
                    ',' | '+' => return None,
                    c => kind.push(c),
                }
            }
            let kind = kind.trim().to_ascii_uppercase();
            if kind.is_empty() {
                return None;
            }
            let mut value = String::new();
            let mut end = true;
            while let Some(c) = chars.next() {
                match c {
                    '\\' => value.push(escaped(&mut chars)?),
                    ',' | '+' => {
                        end = false;
                        break;
                    }
                    c => value.push(c),
                }
            }
            parts.push((kind, String::from(value.trim())));
            if end {
                return Some(Self(parts));
            }
        }
    }

    /// Says whether both name the same in the same order, which may be that of a certificate or the
    /// reverse one that people write.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.0.iter().eq(&other.0) || self.0.iter().rev().eq(&other.0)
    }

    /// Says whether both have the same parts.
    pub(crate) fn has_same_parts(&self, other: &Self) -> bool {
        let sorted = |dn: &Self| {
            let mut parts = dn.0.clone();
            parts.sort_unstable();
            parts
        };
        self.0.len() == other.0.len() && sorted(self) == sorted(other)
    }
}

/// Reads what follows a backslash: a character, or two hexadecimal digits.
fn escaped(chars: &mut core::str::Chars<'_>) -> Option<char> {
    let first = chars.next()?;
    let Some(high) = first.to_digit(16) else {
        return Some(first);
    };
    let low = chars.next()?.to_digit(16)?;
    char::from_u32(high * 16 + low)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cert() -> Dn {
        let part = |kind: &str, value: &str| (String::from(kind), String::from(value));
        Dn::new(&[part("O", "Acme, Inc"), part("OU", "x"), part("CN", "bob")])
    }

    #[test]
    fn a_subject_is_the_same_in_both_orders_and_with_escapes() {
        for text in ["CN=bob,OU=x,O=Acme\\, Inc", "o=Acme\\2c Inc, ou=x , cn=bob"] {
            assert!(Dn::parse(text).unwrap().is(&cert()), "{text}");
        }
        let shuffled = Dn::parse("OU=x,CN=bob,O=Acme\\, Inc").unwrap();
        assert!(!shuffled.is(&cert()) && shuffled.has_same_parts(&cert()));
    }

    #[test]
    fn other_subjects_and_other_texts_are_not_it() {
        for text in [
            "CN=bob,OU=x",
            "CN=bob,OU=x,O=acme\\, inc",
            "CN=bob,OU=x,O=Acme\\, Inc,C=DE",
        ] {
            assert!(!Dn::parse(text).unwrap().has_same_parts(&cert()), "{text}");
        }
        for text in ["", "bob", "bob@acme.io", "=x", "CN", "CN=a,", "CN=a\\"] {
            assert_eq!(Dn::parse(text), None, "{text:?}");
        }
    }
}
