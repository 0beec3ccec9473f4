//! Curve keys: what servers and the services that decide about users encrypt their talk with.
//!
//! *Invariant:* what is opened was sealed by the owner of the key that it is said to be from.

use alloc::vec::Vec;
use core::fmt;

use crypto_box::aead::Aead as _;
use crypto_box::{Nonce, PublicKey as Point, SalsaBox, SecretKey};

use crate::nkey::{KeyKind, PublicKey};

/// What sealed messages begin with: the version of their form.
const VERSION: &[u8] = b"xkv1";
/// How long a number is that must not be used twice.
pub const NONCE_LEN: usize = 24;

/// A curve key pair. It does not show its secret half.
pub struct CurvePair(SecretKey);

impl fmt::Debug for CurvePair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CurvePair({})", self.public())
    }
}

impl CurvePair {
    /// Returns the key pair that grows from `seed`.
    #[must_use]
    pub fn from_entropy(seed: [u8; 32]) -> Self {
        Self(SecretKey::from_bytes(seed))
    }

    /// Returns the public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey {
            kind: KeyKind::Curve,
            bytes: self.0.public_key().to_bytes(),
        }
    }

    /// Encrypts a message for `to`. The nonce must never have been used between the two before.
    #[must_use]
    pub fn seal(&self, to: &PublicKey, nonce: [u8; NONCE_LEN], message: &[u8]) -> Option<Vec<u8>> {
        let sealed = self.with(to).encrypt(&Nonce::from(nonce), message).ok()?;
        Some([VERSION, &nonce, &sealed].concat())
    }

    /// Decrypts a message of `from`; none if it is not one.
    #[must_use]
    pub fn open(&self, from: &PublicKey, sealed: &[u8]) -> Option<Vec<u8>> {
        let rest = sealed.strip_prefix(VERSION)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        self.with(from).decrypt(&Nonce::from(*nonce), sealed).ok()
    }

    fn with(&self, other: &PublicKey) -> SalsaBox {
        SalsaBox::new(&Point::from_bytes(other.bytes), &self.0)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    #[test]
    fn only_the_two_who_share_a_box_open_it() {
        let (a, b) = (
            CurvePair::from_entropy([1; 32]),
            CurvePair::from_entropy([2; 32]),
        );
        let other = CurvePair::from_entropy([3; 32]);
        let sealed = a.seal(&b.public(), [7; NONCE_LEN], b"hello").unwrap();
        assert_eq!(b.open(&a.public(), &sealed).as_deref(), Some(&b"hello"[..]));
        assert_eq!(other.open(&a.public(), &sealed), None);
        assert_eq!(b.open(&other.public(), &sealed), None);
        assert_eq!(b.open(&a.public(), &sealed[1..]), None);
        let mut changed = sealed;
        *changed.last_mut().unwrap() ^= 1;
        assert_eq!(b.open(&a.public(), &changed), None);
    }

    #[test]
    fn a_box_of_nkeys_is_opened() {
        // Made with github.com/nats-io/nkeys: the seeds are 32 bytes of 1 and of 2.
        let (a, b) = (
            CurvePair::from_entropy([1; 32]),
            CurvePair::from_entropy([2; 32]),
        );
        let sealed = "eGt2MYMmyG6uIPfA2kjKztZS4/B1WNhwnE9cR8CURR8lIquH/+vY/OGTm9i1OVoEXw==";
        let sealed = STANDARD.decode(sealed).unwrap();
        assert_eq!(b.open(&a.public(), &sealed).as_deref(), Some(&b"hello"[..]));
    }
}
