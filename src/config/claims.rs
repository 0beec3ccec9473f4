//! Accounts that operators have signed, one by one: what changes while the server runs.
//!
//! *Invariant:* an account is taken only if a key that is trusted has signed it.

use alloc::boxed::Box;
use alloc::string::{String, ToString};

use identity::{Body, TokenError, decode};

use crate::check::translated;
use crate::options::{Options, SignedAccount};
use alloc::collections::BTreeMap;

/// Why a token is no account's, or not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimsError {
    /// It is no token.
    #[error("{0}")]
    Token(TokenError),
    /// It is about something else.
    #[error("not account claim")]
    NotAccount,
    /// Nobody who is trusted has signed it.
    #[error("not signed by a trusted operator")]
    Untrusted,
    /// The operator's own key has signed it, which only its signing keys may.
    #[error("operator requires issuer to be a signing key")]
    SigningKey,
    /// There are no operators.
    #[error("no operator key found")]
    NoOperator,
    /// There are as many accounts as may be kept.
    #[error("jwt store is full")]
    Full,
}

/// Reads an account's token; returns its key, too.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn signed(
    token: &str,
    trusted: &BTreeMap<String, bool>,
) -> Result<(String, SignedAccount), ClaimsError> {
    let claims = decode(token).map_err(ClaimsError::Token)?;
    let Body::Account(body) = claims.body else {
        return Err(ClaimsError::NotAccount);
    };
    if !trusted.contains_key(&claims.standard.iss) {
        return Err(ClaimsError::Untrusted);
    }
    let account = SignedAccount {
        name: claims.standard.name,
        issuer: claims.standard.iss,
        issued: claims.standard.iat,
        token: token.to_string(),
        expires: claims.standard.exp,
        claims: body,
    };
    Ok((claims.standard.sub, account))
}

/// Returns the options with an account as its token says it is, and the account's key. `now` is in seconds
/// since 1970.
///
/// # Errors
/// What is wrong with the token.
pub fn replaced(
    options: &Options,
    token: &str,
    now: i64,
) -> Result<(String, Box<Options>), ClaimsError> {
    let mut options = Box::new(options.clone());
    let operators = options.operators.as_mut().ok_or(ClaimsError::NoOperator)?;
    let issuer = decode(token).map_err(ClaimsError::Token)?.standard.iss;
    if operators.strict.contains(&issuer) {
        return Err(ClaimsError::SigningKey);
    }
    let (key, account) = signed(token, &operators.trusted)?;
    if let crate::options::Resolver::Directory(directory) = &operators.resolver
        && let Some(max) = directory.accounts_max
        && operators.accounts.len() >= max
        && !operators.accounts.contains_key(&key)
    {
        return Err(ClaimsError::Full);
    }
    operators.accounts.insert(key.clone(), account);
    options.accounts = translated(&operators.accounts, now);
    Ok((key, options))
}

/// Returns the options without some accounts.
#[must_use]
pub fn without(options: &Options, keys: &[String], now: i64) -> Box<Options> {
    let mut options = Box::new(options.clone());
    if let Some(operators) = &mut options.operators {
        operators.accounts.retain(|key, _| !keys.contains(key));
        options.accounts = translated(&operators.accounts, now);
    }
    options
}
