//! Operator mode: who signs accounts, and what is known of those.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;

use identity::claims;

/// Operators, and the accounts that they have signed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Operators {
    /// The keys whose signature makes an account one of ours; with each whether accounts that it has
    /// signed must sign their users with signing keys.
    pub trusted: BTreeMap<String, bool>,
    /// The accounts by their keys.
    pub accounts: BTreeMap<String, SignedAccount>,
    /// The accounts that users may be of; all when empty.
    pub pinned: BTreeSet<String>,
    /// The token of clients that show none.
    pub sentinel: Option<String>,
}

/// An account whose claims were signed by somebody who is trusted.
#[derive(Clone, Debug, PartialEq)]
pub struct SignedAccount {
    /// Its name for people.
    pub name: String,
    /// Who signed it.
    pub issuer: String,
    /// Until when that holds, in seconds since 1970; 0 is for ever.
    pub expires: i64,
    /// The claims.
    pub claims: Box<claims::Account>,
}
