//! Keys with a kind: 56 digits of base 32 that begin with the kind's letter and end in a checksum.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use crate::base32;

/// The length of a key.
const KEY_LEN: usize = 32;
/// The first byte of a seed, whose upper bits these are.
const SEED: u8 = 18 << 3;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyKind {
    /// Signs accounts.
    Operator,
    /// Signs users.
    Account,
    /// Logs in.
    User,
    /// Is a server.
    Server,
    /// Is a cluster.
    Cluster,
    /// Encrypts.
    Curve,
}

impl KeyKind {
    const ALL: [Self; 6] = [
        Self::Operator,
        Self::Account,
        Self::User,
        Self::Server,
        Self::Cluster,
        Self::Curve,
    ];

    fn prefix(self) -> u8 {
        match self {
            Self::Operator => 14 << 3,
            Self::Account => 0,
            Self::User => 20 << 3,
            Self::Server => 13 << 3,
            Self::Cluster => 2 << 3,
            Self::Curve => 23 << 3,
        }
    }

    fn of(prefix: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.prefix() == prefix)
    }
}

/// Why a text is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is not base 32 of the right length.
    #[error("nkeys: invalid encoding")]
    Encoding,
    /// Its checksum does not fit.
    #[error("nkeys: invalid checksum")]
    Checksum,
    /// It is of no kind that is known.
    #[error("nkeys: invalid prefix byte")]
    Prefix,
}

/// A public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey {
    pub(crate) kind: KeyKind,
    pub(crate) bytes: [u8; KEY_LEN],
}

impl PublicKey {
    /// Reads a key.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let bytes = base32::decode(text).ok_or(KeyError::Encoding)?;
        let (body, sum) = bytes.split_last_chunk().ok_or(KeyError::Encoding)?;
        let (prefix, key) = body.split_first().ok_or(KeyError::Encoding)?;
        let bytes = key.try_into().map_err(|_| KeyError::Encoding)?;
        if u16::from_le_bytes(*sum) != checksum(body) {
            return Err(KeyError::Checksum);
        }
        let kind = KeyKind::of(*prefix).ok_or(KeyError::Prefix)?;
        Ok(Self { kind, bytes })
    }

    /// Reads a key of one kind; none if it is another one or none.
    #[must_use]
    pub fn parse_as(kind: KeyKind, text: &str) -> Option<Self> {
        Self::parse(text).ok().filter(|key| key.kind == kind)
    }

    /// Returns what the key is for.
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Says whether the owner of the key has signed `message`.
    #[must_use]
    pub fn has_signed(&self, message: &[u8], signature: &[u8]) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(&self.bytes) else {
            return false;
        };
        let Ok(signature) = Signature::from_slice(signature) else {
            return false;
        };
        key.verify_strict(message, &signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::with_capacity(1 + KEY_LEN + 2);
        bytes.push(self.kind.prefix());
        bytes.extend_from_slice(&self.bytes);
        bytes.extend_from_slice(&checksum(&bytes).to_le_bytes());
        f.write_str(&base32::encode(&bytes))
    }
}

/// A key pair. It does not show its secret half.
pub struct KeyPair {
    kind: KeyKind,
    key: SigningKey,
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPair({})", self.public())
    }
}

impl KeyPair {
    /// Returns the key pair that grows from `seed`.
    #[must_use]
    pub fn from_entropy(kind: KeyKind, seed: [u8; KEY_LEN]) -> Self {
        let key = SigningKey::from_bytes(&seed);
        Self { kind, key }
    }

    /// Reads a seed, `S...`.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn from_seed(text: &str) -> Result<Self, KeyError> {
        let bytes = base32::decode(text).ok_or(KeyError::Encoding)?;
        let (body, sum) = bytes.split_last_chunk().ok_or(KeyError::Encoding)?;
        if u16::from_le_bytes(*sum) != checksum(body) {
            return Err(KeyError::Checksum);
        }
        let [first, second, seed @ ..] = body else {
            return Err(KeyError::Encoding);
        };
        // The kind's five bits lie across both bytes.
        if first & 0xf8 != SEED {
            return Err(KeyError::Prefix);
        }
        let kind = KeyKind::of((first & 7) << 5 | (second & 0xf8) >> 3);
        let seed = seed.try_into().map_err(|_| KeyError::Encoding)?;
        Ok(Self::from_entropy(kind.ok_or(KeyError::Prefix)?, seed))
    }

    /// Returns the public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey {
            kind: self.kind,
            bytes: self.key.verifying_key().to_bytes(),
        }
    }

    /// Signs a message.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }

    /// Signs a message, and writes the signature as CONNECT carries it.
    #[must_use]
    pub fn sign_text(&self, message: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(self.sign(message))
    }
}

/// Reads a signature as CONNECT carries it, in either alphabet.
#[must_use]
pub fn decode_signature(text: &str) -> Option<Vec<u8>> {
    let url_safe = URL_SAFE_NO_PAD.decode(text).ok();
    url_safe.or_else(|| STANDARD.decode(text).ok())
}

/// Computes CRC-16 (XMODEM).
fn checksum(bytes: &[u8]) -> u16 {
    const POLYNOMIAL: u16 = 0x1021;
    let step = |sum: u16, byte: &u8| {
        let start = sum ^ u16::from(*byte) << 8;
        (0..8).fold(start, |sum, _| match sum & 0x8000 {
            0 => sum << 1,
            _ => sum << 1 ^ POLYNOMIAL,
        })
    };
    bytes.iter().fold(0, step)
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    /// The example of the nkeys documentation.
    const SEED_TEXT: &str = "SUAMLK2ZNL35WSMW37E7UD4VZ7ELPKW7DHC3BWBSD2GCZ7IUQQXZIORRBU";
    const PUBLIC_TEXT: &str = "UCK5N7N66OBOINFXAYC2ACJQYFSOD4VYNU6APEJTAVFZB2SVHLKGEW7L";

    #[test]
    fn a_pair_has_a_name_and_its_signature_fits_no_other_message_or_key() {
        let pair = KeyPair::from_entropy(KeyKind::User, [7; 32]);
        let name = pair.public().to_string();
        assert!(name.len() == 56 && name.starts_with('U'));
        let public = PublicKey::parse(&name).unwrap();
        let signature = pair.sign(b"nonce");
        assert!(public.has_signed(b"nonce", &signature));
        assert!(!public.has_signed(b"other", &signature));
        assert!(!public.has_signed(b"nonce", &signature[..63]));
        let other = KeyPair::from_entropy(KeyKind::User, [8; 32]).public();
        assert!(!other.has_signed(b"nonce", &signature));
        assert!(decode_signature(&pair.sign_text(b"nonce")) == Some(signature.to_vec()));
    }

    #[test]
    fn seeds_are_read_with_their_kind() {
        let pair = KeyPair::from_seed(SEED_TEXT).unwrap();
        assert_eq!(pair.public().kind(), KeyKind::User);
        assert_eq!(pair.public().to_string(), PUBLIC_TEXT);
        assert!(KeyPair::from_seed(PUBLIC_TEXT).is_err());
    }

    #[test]
    fn a_text_with_a_mistake_is_no_key() {
        let name = KeyPair::from_entropy(KeyKind::Account, [1; 32])
            .public()
            .to_string();
        let mut swapped = name.clone();
        let digit = if swapped.ends_with('A') { "B" } else { "A" };
        swapped.replace_range(
            20..21,
            if &swapped[20..21] == digit {
                "C"
            } else {
                digit
            },
        );
        assert_eq!(PublicKey::parse(&swapped), Err(KeyError::Checksum));
        assert_eq!(PublicKey::parse(&name[..55]), Err(KeyError::Encoding));
        assert_eq!(PublicKey::parse(""), Err(KeyError::Encoding));
        assert_eq!(PublicKey::parse_as(KeyKind::User, &name), None);
    }
}
