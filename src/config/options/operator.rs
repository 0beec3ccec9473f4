//! Operator mode: who signs accounts, and what is known of those.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use identity::claims;

use super::CertFiles;

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
    /// The operators' own keys that sign no accounts, since their signing keys do.
    pub strict: BTreeSet<String>,
    /// Where accounts are known from beside the file.
    pub resolver: Resolver,
    /// The operators' own tokens.
    pub tokens: Vec<String>,
}

/// Where accounts are known from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Resolver {
    /// From the file alone. What changes is forgotten at the end of the process.
    #[default]
    Memory,
    /// From a directory with a file for each account.
    Directory(Directory),
    /// From a web server, which is asked when somebody of theirs comes.
    Web(WebAccounts),
}

/// A web server that has accounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WebAccounts {
    /// What an account's key is put behind; it ends in a slash.
    pub url: String,
    /// The authorities that its certificate is checked against; the system's when not set.
    pub ca_file: Option<String>,
    /// The certificate that is shown to it.
    pub own: Option<CertFiles>,
}

/// A directory of accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// The path.
    pub path: String,
    /// Whether only accounts that are there already are kept up to date.
    pub is_cache: bool,
    /// What becomes of an account that is deleted.
    pub deletion: Deletion,
    /// How many accounts are kept; all when not set.
    pub accounts_max: Option<usize>,
}

/// What becomes of an account that is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deletion {
    /// It may not be deleted.
    Refused,
    /// Its file is renamed.
    Renames,
    /// Its file is removed.
    Removes,
}

/// An account whose claims were signed by somebody who is trusted.
#[derive(Clone, Debug, PartialEq)]
pub struct SignedAccount {
    /// Its name for people.
    pub name: String,
    /// Who signed it.
    pub issuer: String,
    /// When it was signed, in seconds since 1970.
    pub issued: i64,
    /// The token.
    pub token: String,
    /// Until when that holds, in seconds since 1970; 0 is for ever.
    pub expires: i64,
    /// The claims.
    pub claims: Box<claims::Account>,
}
