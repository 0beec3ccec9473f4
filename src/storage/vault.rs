//! Encryption of what users have stored: each record that holds any of it is sealed for itself, by
//! authenticated encryption under the store's key.
//!
//! The body of a sealed record is the encrypted contents and then 32 bytes:
//!
//!     u8   the cipher: 1 ChaCha20-Poly1305, 2 AES-256-GCM
//!     9    which life of a process sealed it: drawn at random by each
//!     u48  its number in that life
//!     16   the authentication tag
//!
//! *Invariants:* one key never encrypts two texts with one nonce. The key is derived from the store's and
//! the life, the nonce is the number, and a life counts what it seals: where a record comes to lie, and
//! whether something lay there before, is of no importance. A seal covers the record's place, so that
//! it opens nowhere else. In memory records are never sealed: they keep the room for it, and lie as long
//! there as on the disk.

mod keys;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use aes_gcm::Aes256Gcm;
use bytes::{Bytes, BytesMut};
use chacha20poly1305::ChaCha20Poly1305;
use chacha20poly1305::aead::{AeadInPlace, KeyInit};
use hkdf::Hkdf;
use protocol::id::LogPos;
use sha2::Sha256;

use crate::record::{self, EpochNo, Form, HEAD, Kind, Record, SEAL, Site};
pub use keys::{KeyError, KeyFile, OpenedKey, SEED_LEN};

/// How records are encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cipher {
    /// ChaCha20-Poly1305.
    #[default]
    ChaCha20Poly1305,
    /// AES-256-GCM.
    Aes256Gcm,
}

impl Cipher {
    const fn code(self) -> u8 {
        match self {
            Self::ChaCha20Poly1305 => 1,
            Self::Aes256Gcm => 2,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::ChaCha20Poly1305),
            2 => Some(Self::Aes256Gcm),
            _ => None,
        }
    }
}

impl fmt::Display for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ChaCha20Poly1305 => "ChaCha20-Poly1305",
            Self::Aes256Gcm => "AES-GCM",
        })
    }
}

/// How many random bytes tell a life of a process from all others.
pub const LIFE_LEN: usize = 9;
/// The length of what a record says of its life and its number in it.
const NAME: usize = SEAL - TAG;
const TAG: usize = 16;

/// What a store is encrypted with, in one life of a process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct StoreKey {
    key: [u8; 32],
    cipher: Cipher,
    life: [u8; LIFE_LEN],
}

impl StoreKey {
    /// Returns a store's key for a life, which is drawn at random: two lives with the same one would
    /// break the encryption of both.
    #[must_use]
    pub const fn new(key: [u8; 32], cipher: Cipher, life: [u8; LIFE_LEN]) -> Self {
        Self { key, cipher, life }
    }

    /// Returns how records are encrypted from now on; those that lie there may be otherwise.
    #[must_use]
    pub const fn cipher(&self) -> Cipher {
        self.cipher
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cipher = self.cipher;
        f.debug_struct("StoreKey")
            .field("cipher", &cipher)
            .finish_non_exhaustive()
    }
}

/// A cipher with a key; boxed since its schedule is long.
enum Engine {
    ChaCha(Box<ChaCha20Poly1305>),
    Aes(Box<Aes256Gcm>),
}

impl Engine {
    fn new(cipher: Cipher, key: &[u8; 32]) -> Self {
        match cipher {
            Cipher::ChaCha20Poly1305 => Self::ChaCha(Box::new(ChaCha20Poly1305::new(key.into()))),
            Cipher::Aes256Gcm => Self::Aes(Box::new(Aes256Gcm::new(key.into()))),
        }
    }

    fn encrypt(&self, nonce: [u8; 12], label: &[u8], text: &mut [u8]) -> Option<[u8; TAG]> {
        let tag = match self {
            Self::ChaCha(key) => key.encrypt_in_place_detached(&nonce.into(), label, text),
            Self::Aes(key) => key.encrypt_in_place_detached(&nonce.into(), label, text),
        };
        tag.ok().map(Into::into)
    }

    fn decrypt(&self, nonce: [u8; 12], label: &[u8], text: &mut [u8], tag: [u8; TAG]) -> bool {
        let (nonce, tag) = (&nonce.into(), &tag.into());
        let opened = match self {
            Self::ChaCha(key) => key.decrypt_in_place_detached(nonce, label, text, tag),
            Self::Aes(key) => key.decrypt_in_place_detached(nonce, label, text, tag),
        };
        opened.is_ok()
    }
}

/// What a sealed record says of how it was sealed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Life {
    cipher: Cipher,
    id: [u8; LIFE_LEN],
}

/// Seals and opens records; without a key it does neither.
pub(crate) struct Vault {
    key: Option<StoreKey>,
    /// How many records this life has sealed.
    sealed: u64,
    own: Option<Engine>,
    /// The keys of lives whose records have been opened.
    engines: BTreeMap<Life, Engine>,
    /// Whether a sealed record has been met that no key is there for.
    pub(crate) is_missed: bool,
    /// How many records have been met that hold something of users and are not sealed, though there is a
    /// key.
    pub(crate) in_clear: u64,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, sealed) = (&self.key, self.sealed);
        f.debug_struct("Vault")
            .field("key", key)
            .field("sealed", &sealed)
            .finish_non_exhaustive()
    }
}

impl Vault {
    /// How many lives' keys are kept.
    const ENGINES_MAX: usize = 64;
    /// How many records a life may seal: as many as their number has room for.
    const SEALED_MAX: u64 = 1 << 48;

    pub(crate) fn new(key: Option<StoreKey>) -> Self {
        Self {
            key,
            sealed: 0,
            own: key.map(|key| key.engine(key.cipher, &key.life)),
            engines: BTreeMap::new(),
            is_missed: false,
            in_clear: 0,
        }
    }

    /// Returns how records are written that hold something of users.
    pub(crate) fn form(&self) -> Form {
        match self.key {
            Some(_) => Form::Sealed,
            None => Form::Clear,
        }
    }

    /// Seals a record that is whole but for its head. Its body, `len` bytes, ends in the room for the
    /// seal.
    ///
    /// # Panics
    /// Without a key, and when the numbers of this life have been used up, which takes centuries.
    pub(crate) fn seal(&mut self, record: &mut [u8], len: u32, site: Site, kind: Kind) {
        let (Some(key), Some(engine)) = (&self.key, &self.own) else {
            unreachable!("only stores with a key have sealed forms");
        };
        assert!(self.sealed < Self::SEALED_MAX, "a nonce is used once");
        let [number @ .., _, _] = self.sealed.to_le_bytes();
        self.sealed += 1;
        let mut nonce = [0; 12];
        if let Some(low) = nonce.first_chunk_mut() {
            *low = number;
        }
        let tagged = (kind, Form::Sealed);
        let body = record.get_mut(HEAD..HEAD + len as usize);
        if let Some((text, seal)) = body.and_then(<[u8]>::split_last_chunk_mut::<SEAL>) {
            let label = record::label(len, site, tagged);
            let tag = engine.encrypt(nonce, &label, text);
            let tag = tag.expect("a record is far shorter than a cipher's limit");
            *seal = encode_seal(key.cipher, key.life, number, tag);
        }
        record::seal_in(record, len, site, tagged);
    }

    /// Returns rows of records as they are to lie in the log at `start`, and as they were built in
    /// `epoch`: a copy if some are to be sealed.
    pub(crate) fn seal_rows(&mut self, rows: &Bytes, start: LogPos, epoch: EpochNo) -> Bytes {
        if self.form() == Form::Clear {
            return rows.clone();
        }
        let mut out = BytesMut::from(rows.as_ref());
        let mut at = 0;
        while let Some(peeked) = out.get(at..).and_then(record::peek) {
            let record = out.get_mut(at..at + peeked.total).unwrap_or_default();
            if peeked.form == Form::Sealed {
                let site = Site::log(start.0 + at as u64, epoch);
                let len = u32::try_from(peeked.len + SEAL).unwrap_or(u32::MAX);
                self.seal(record, len, site, peeked.kind);
            }
            at += peeked.total;
        }
        out.freeze()
    }

    /// Returns the contents of a verified record of `block` that was read at `site`: a part of the block if
    /// they are in the clear, none if they were not sealed there under this key.
    pub(crate) fn contents(
        &mut self,
        block: &Bytes,
        record: &Record<'_>,
        site: Site,
    ) -> Option<Bytes> {
        match record.form {
            Form::Clear => {
                self.note_clear(record);
                Some(block.slice_ref(record.body))
            }
            Form::Sealed => self.open(record, site).map(Bytes::from),
        }
    }

    /// Returns whether a verified record that was read at `site` can be read.
    pub(crate) fn can_read(&mut self, record: &Record<'_>, site: Site) -> bool {
        match record.form {
            Form::Clear => {
                self.note_clear(record);
                true
            }
            Form::Sealed => self.open(record, site).is_some(),
        }
    }

    fn note_clear(&mut self, record: &Record<'_>) {
        let is_of_users = matches!(record.kind, Kind::Entry | Kind::Packed | Kind::Part);
        self.in_clear += u64::from(is_of_users && self.key.is_some());
    }

    /// Returns the contents of a sealed record that was read at `site`; none if it was not sealed there
    /// under this key.
    pub(crate) fn open(&mut self, record: &Record<'_>, site: Site) -> Option<Vec<u8>> {
        let (text, _) = record.body.split_last_chunk::<SEAL>()?;
        let mut text = text.to_vec();
        self.unlock(record, site, &mut text).then_some(text)
    }

    /// Opens a verified record where it lies, so that it is as it was in memory before it was sealed.
    pub(crate) fn open_in_place(
        &mut self,
        bytes: &mut [u8],
        record: &Record<'_>,
        site: Site,
    ) -> bool {
        let end = HEAD + record.body.len();
        let Some((text, seal)) = bytes
            .get_mut(HEAD..end)
            .and_then(<[u8]>::split_last_chunk_mut::<SEAL>)
        else {
            return false;
        };
        if !self.unlock(record, site, text) {
            return false;
        }
        *seal = [0; SEAL];
        let Ok(len) = u32::try_from(record.body.len()) else {
            return false;
        };
        let site = site.in_epoch(record.epoch);
        record::seal_in(bytes, len, site, (record.kind, Form::Sealed));
        true
    }

    fn unlock(&mut self, record: &Record<'_>, site: Site, text: &mut [u8]) -> bool {
        let Some(key) = self.key else {
            self.is_missed = true;
            return false;
        };
        let Some((_, seal)) = record.body.split_last_chunk::<SEAL>() else {
            return false;
        };
        let Some((life, number, tag)) = decode_seal(seal) else {
            return false;
        };
        let Ok(len) = u32::try_from(record.body.len()) else {
            return false;
        };
        let site = site.in_epoch(record.epoch);
        let label = record::label(len, site, (record.kind, Form::Sealed));
        let mut nonce = [0; 12];
        if let Some(low) = nonce.first_chunk_mut() {
            *low = number;
        }
        if self.engines.len() >= Self::ENGINES_MAX && !self.engines.contains_key(&life) {
            self.engines.clear();
        }
        let engine = self.engines.entry(life);
        let engine = engine.or_insert_with(|| key.engine(life.cipher, &life.id));
        engine.decrypt(nonce, &label, text, tag)
    }
}

impl StoreKey {
    fn engine(&self, cipher: Cipher, life: &[u8; LIFE_LEN]) -> Engine {
        let mut key = [0; 32];
        let kdf = Hkdf::<Sha256>::new(Some(life), &self.key);
        kdf.expand_multi_info(&[b"beale records ", &[cipher.code()]], &mut key)
            .expect("as long as the hash");
        Engine::new(cipher, &key)
    }
}

fn encode_seal(
    cipher: Cipher,
    life: [u8; LIFE_LEN],
    number: [u8; 6],
    tag: [u8; TAG],
) -> [u8; SEAL] {
    let mut seal = [0; SEAL];
    let parts = [&[cipher.code()][..], &life, &number, &tag];
    for (to, from) in seal.iter_mut().zip(parts.into_iter().flatten()) {
        *to = *from;
    }
    seal
}

fn decode_seal(seal: &[u8; SEAL]) -> Option<(Life, [u8; 6], [u8; TAG])> {
    let (name, tag) = seal.split_first_chunk::<NAME>()?;
    let (code, name) = name.split_first()?;
    let (id, number) = name.split_first_chunk::<LIFE_LEN>()?;
    let cipher = Cipher::from_code(*code)?;
    let life = Life { cipher, id: *id };
    Some((life, *number.first_chunk()?, *tag.first_chunk()?))
}

#[cfg(test)]
mod tests;
