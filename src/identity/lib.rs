//! Who somebody is by a key of their own: nkeys, what they sign, and the claims that operators and
//! accounts sign about accounts and users (JWTs).
//!
//! *Invariant:* claims come out of this crate only if their signature fits the key that they name as
//! their issuer. Whether that key is one to trust, and whether the claims hold now, is for the caller.

#![no_std]

extern crate alloc;

mod base32;
pub mod claims;
mod nkey;
mod token;
pub mod xkey;

pub use nkey::{KeyError, KeyKind, KeyPair, PublicKey, decode_signature};
pub use token::{Body, Claims, TokenError, decode, encode, text, undecorated};
