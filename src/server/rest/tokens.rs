//! Signed tokens: who somebody is, until when.
//!
//! *Invariant:* a token is taken for nothing but what it was made for: access and refresh have keys of
//! their own, and say what they are, in case both keys are set to the same text.

use core::fmt::Write as _;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use protocol::time::Wall;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio_rustls::rustls::crypto::ring;

/// How many bytes a key has that is drawn.
const KEY_LEN: usize = 32;
const NS_PER_SECOND: u64 = 1_000_000_000;

/// What a token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Purpose {
    /// To ask for things.
    Access,
    /// To get another token.
    Refresh,
}

/// A token's content beside what it says of itself.
#[derive(Serialize, Deserialize)]
struct Token<T> {
    exp: u64,
    purpose: Purpose,
    #[serde(flatten)]
    claims: T,
}

/// Signs and checks the tokens of one purpose.
pub(super) struct Signer {
    purpose: Purpose,
    sign: EncodingKey,
    check: DecodingKey,
}

impl Signer {
    /// Returns a signer; without a secret it draws a key, which nobody ever sees.
    pub(super) fn new(purpose: Purpose, secret: Option<&str>) -> Self {
        let drawn = random::<KEY_LEN>();
        let key = secret.map_or(&drawn[..], str::as_bytes);
        Self {
            purpose,
            sign: EncodingKey::from_secret(key),
            check: DecodingKey::from_secret(key),
        }
    }

    /// Signs a token that holds for a number of minutes.
    pub(super) fn sign<T: Serialize>(&self, claims: T, minutes: u32, now: Wall) -> String {
        let token = Token {
            exp: now.0 / NS_PER_SECOND + u64::from(minutes) * 60,
            purpose: self.purpose,
            claims,
        };
        jsonwebtoken::encode(&Header::default(), &token, &self.sign)
            .expect("claims are representable in JSON, and a secret can sign")
    }

    /// Returns what a token says, if it is one of ours and still holds.
    pub(super) fn check<T: DeserializeOwned>(&self, token: &str, now: Wall) -> Option<T> {
        let mut validation = Validation::new(Algorithm::HS256);
        // Against the driver's clock, below.
        validation.validate_exp = false;
        let token = jsonwebtoken::decode::<Token<T>>(token, &self.check, &validation);
        let token = token.ok()?.claims;
        let holds = token.purpose == self.purpose && now.0 / NS_PER_SECOND < token.exp;
        holds.then_some(token.claims)
    }
}

/// Draws bytes that nobody can guess.
///
/// # Panics
/// When the system has no randomness: then nothing here can be safe.
pub(super) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let source = ring::default_provider().secure_random;
    source
        .fill(&mut bytes)
        .expect("the system has randomness for keys");
    bytes
}

/// Writes bytes as text.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing into memory does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Who {
        username: String,
    }

    fn who() -> Who {
        Who {
            username: "root".to_owned(),
        }
    }

    const NOW: Wall = Wall(1_000 * NS_PER_SECOND);

    #[test]
    fn a_token_says_what_it_was_made_with_until_its_time_is_over() {
        let signer = Signer::new(Purpose::Access, None);
        let token = signer.sign(who(), 1, NOW);
        assert_eq!(signer.check(&token, NOW), Some(who()));
        let late = Wall(NOW.0 + 59 * NS_PER_SECOND);
        assert_eq!(signer.check(&token, late), Some(who()));
        let over = Wall(NOW.0 + 60 * NS_PER_SECOND);
        assert_eq!(signer.check::<Who>(&token, over), None);
    }

    #[test]
    fn a_token_of_another_purpose_or_key_is_none_even_with_the_same_secret() {
        let access = Signer::new(Purpose::Access, Some("same"));
        let refresh = Signer::new(Purpose::Refresh, Some("same"));
        let other = Signer::new(Purpose::Access, Some("other"));
        let token = refresh.sign(who(), 1, NOW);
        assert_eq!(access.check::<Who>(&token, NOW), None);
        assert_eq!(refresh.check(&token, NOW), Some(who()));
        let token = access.sign(who(), 1, NOW);
        assert_eq!(other.check::<Who>(&token, NOW), None);
        let again = Signer::new(Purpose::Access, Some("same"));
        assert_eq!(again.check(&token, NOW), Some(who()));
    }

    #[test]
    fn a_token_without_a_signature_or_with_another_algorithm_is_none() {
        let signer = Signer::new(Purpose::Access, Some("s"));
        let token = signer.sign(who(), 1, NOW);
        let mut parts = token.split('.');
        let (_, body) = (parts.next(), parts.next().expect("three parts"));
        // {"alg":"none"}
        let bare = format!("eyJhbGciOiJub25lIn0.{body}.");
        let hs512 = jsonwebtoken::encode(
            &Header::new(Algorithm::HS512),
            &Token {
                exp: u64::MAX,
                purpose: Purpose::Access,
                claims: who(),
            },
            &EncodingKey::from_secret(b"s"),
        )
        .expect("it can be signed");
        for wrong in [bare.as_str(), &hs512, "", "a.b.c", body] {
            assert_eq!(signer.check::<Who>(wrong, NOW), None, "{wrong}");
        }
    }
}
