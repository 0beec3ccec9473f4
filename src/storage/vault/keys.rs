//! The file that holds a store's key, sealed under the one that an operator configures.
//!
//! A line that names the format, and then:
//!
//! ```text
//! 16   the salt that the operator's key is derived with (Argon2id)
//! u8   the cipher that the store's key is sealed with: 1 ChaCha20-Poly1305
//! 12   its nonce
//! 32   the store's key, encrypted
//! 16   the authentication tag
//! u64  checksum of everything before
//! ```
//!
//! *Invariant:* damage is told from a wrong key. Without this file nothing of the store can be read: two of
//! them lie in each directory, one is written after the other, and either opens the store.

use alloc::vec::Vec;

use argon2::{Algorithm, Argon2, Params, Version};
use chacha20poly1305::ChaCha20Poly1305;
use chacha20poly1305::aead::{AeadInPlace, KeyInit};
use xxhash_rust::xxh3::xxh3_64;

const FIRST: &[u8] = b"beale store key, format 1\n";
const SALT: usize = 16;
const NONCE: usize = 12;
const KEY: usize = 32;
const TAG: usize = 16;
const BODY: usize = SALT + 1 + NONCE + KEY + TAG;
/// ChaCha20-Poly1305: which it is matters to nobody.
const CIPHER: u8 = 1;

/// How many random bytes sealing a key takes.
pub const SEED_LEN: usize = SALT + NONCE;

/// What an operator's key costs to derive: as OWASP advises for passwords, for it may be one.
const MEMORY_KIB: u32 = 19 << 10;
const PASSES: u32 = 2;

/// A store's key as it lies in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyFile;

/// Why a file gives no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// The file does not hold what was written.
    Damaged,
    /// None of the configured keys opens it.
    WrongKey,
}

/// A store's key, and whether the first of the configured keys opened it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct OpenedKey {
    /// The store's key.
    pub key: [u8; KEY],
    /// Whether it is sealed under the present key, not under the one before.
    pub is_current: bool,
}

impl core::fmt::Debug for OpenedKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let current = self.is_current;
        f.debug_struct("OpenedKey")
            .field("is_current", &current)
            .finish_non_exhaustive()
    }
}

impl KeyFile {
    /// Returns a file's contents: the store's key, sealed under the configured one. The seed is random
    /// and used once.
    #[must_use]
    pub fn seal(store_key: &[u8; KEY], configured: &[u8], seed: &[u8; SEED_LEN]) -> Vec<u8> {
        let (salt, nonce) = seed.split_at(SALT);
        let mut text = *store_key;
        let mut out = FIRST.to_vec();
        out.extend_from_slice(salt);
        out.push(CIPHER);
        out.extend_from_slice(nonce);
        let engine = derive(configured, salt);
        let tag = engine.and_then(|engine| {
            engine
                .encrypt_in_place_detached(nonce.into(), FIRST, &mut text)
                .ok()
        });
        let tag = tag.expect("the parameters are constants that fit");
        out.extend_from_slice(&text);
        out.extend_from_slice(&tag);
        let sum = xxh3_64(&out);
        out.extend_from_slice(&sum.to_le_bytes());
        out
    }

    /// Opens a file's contents with the present key or with the one before.
    ///
    /// # Errors
    /// If it is damaged, or neither opens it.
    pub fn open(
        bytes: &[u8],
        configured: &[u8],
        before: Option<&[u8]>,
    ) -> Result<OpenedKey, KeyError> {
        let (rest, sum) = bytes.split_last_chunk().ok_or(KeyError::Damaged)?;
        if xxh3_64(rest) != u64::from_le_bytes(*sum) {
            return Err(KeyError::Damaged);
        }
        let body = rest.strip_prefix(FIRST).ok_or(KeyError::Damaged)?;
        let body = body.first_chunk::<BODY>().ok_or(KeyError::Damaged)?;
        let keys = [(Some(configured), true), (before, false)];
        let mut keys = keys.into_iter();
        let opened = keys.find_map(|(key, is_current)| {
            let key = unseal(body, key?)?;
            Some(OpenedKey { key, is_current })
        });
        opened.ok_or(KeyError::WrongKey)
    }
}

fn unseal(body: &[u8; BODY], configured: &[u8]) -> Option<[u8; KEY]> {
    let (salt, rest) = body.split_at(SALT);
    let (_, rest) = rest.split_first()?;
    let (nonce, rest) = rest.split_at(NONCE);
    let (text, tag) = rest.split_first_chunk::<KEY>()?;
    let mut text = *text;
    let engine = derive(configured, salt)?;
    let opened = engine.decrypt_in_place_detached(nonce.into(), FIRST, &mut text, tag.into());
    opened.ok().map(|()| text)
}

fn derive(configured: &[u8], salt: &[u8]) -> Option<ChaCha20Poly1305> {
    let params = Params::new(MEMORY_KIB, PASSES, 1, Some(KEY)).ok()?;
    let mut key = [0; KEY];
    let kdf = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    kdf.hash_password_into(configured, salt, &mut key).ok()?;
    Some(ChaCha20Poly1305::new(&key.into()))
}
