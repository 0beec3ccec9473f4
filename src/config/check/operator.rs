//! Operator mode: `operator`, `trusted_keys`, `resolver` and what goes with them.
//!
//! *Invariant:* an account comes out of here only if a key that is trusted has signed it, so that
//! from there on it is an account like those of a file.

use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use identity::{Body, KeyKind, PublicKey, decode, undecorated};

use super::reader::{Reader, set};
use crate::Surroundings;
use crate::claims::signed;
use crate::options::{CertFiles, Operators, Options, Resolver, SignedAccount, WebAccounts};
use crate::value::{Node, Pos, Value};

mod resolver;
mod translate;

pub(crate) use translate::accounts as translated;
pub use translate::permissions;

/// What a token begins with: a brace in base 64.
const TOKEN_START: &str = "eyJ";

/// The keys of operator mode while the file is read.
#[derive(Default)]
pub(super) struct Draft {
    operators: Vec<Signed>,
    trusted: Vec<String>,
    resolver: Option<Resolver>,
    /// Where the file says where accounts are known from, rightly or not.
    resolves: Option<Pos>,
    /// Whether an operator says that instead.
    resolves_by_operator: bool,
    /// Whom a resolver on the web is believed by, and what it is shown.
    resolver_tls: Option<(Option<String>, Option<CertFiles>)>,
    preload: Vec<(String, String)>,
    pinned: BTreeSet<String>,
    sentinel: Option<String>,
}

/// An operator's claims.
struct Signed {
    token: String,
    key: String,
    claims: identity::claims::Operator,
}

impl Draft {
    /// Reads a key of the file; tells whether it is one of these.
    pub(super) fn read(
        &mut self,
        read: &mut Reader,
        key: &str,
        node: &Node,
        around: &mut dyn Surroundings,
    ) -> bool {
        match key {
            "operator" | "operators" | "root" | "roots" | "root_operator" | "root_operators" => {
                for text in read.texts(node, "operators") {
                    self.operator(read, node, &text, around);
                }
            }
            "trusted" | "trusted_keys" => {
                let at = match &node.value {
                    Value::List(items) => items.last().map_or(&node.at, |last| &last.at),
                    _ => &node.at,
                };
                for text in read.texts(node, "trusted") {
                    match PublicKey::parse_as(KeyKind::Operator, &text) {
                        Some(_) => self.trusted.push(text),
                        None => read.error(
                            at,
                            format!(
                                "trust key {text:?} required to be a valid public operator nkey"
                            ),
                        ),
                    }
                }
            }
            "resolver" | "account_resolver" | "accounts_resolver" => {
                self.resolver = resolver::resolver(read, node);
                self.resolves = Some(node.at.clone());
            }
            "resolver_tls" => self.resolver_tls = resolver::tls(read, node),
            "resolver_preload" => self.preload(read, node),
            "resolver_pinned_accounts" => self
                .pinned
                .extend(read.texts(node, "resolver_pinned_accounts")),
            "default_sentinel" => set(&mut self.sentinel, read.name(node)),
            _ => return false,
        }
        true
    }

    fn operator(
        &mut self,
        read: &mut Reader,
        node: &Node,
        text: &str,
        around: &mut dyn Surroundings,
    ) {
        let contents = match around.read(text) {
            Ok(contents) => contents,
            // It may be the token itself.
            Err(_) if text.starts_with(TOKEN_START) => text.to_owned(),
            Err(reason) => {
                let told = format!("error parsing operator JWT: open {text}: {reason}");
                return read.error(&node.at, told);
            }
        };
        let token = undecorated(&contents);
        let signed = match decode(token) {
            Ok(signed) => signed,
            Err(error) => {
                return read.error(&node.at, format!("error parsing operator JWT: {error}"));
            }
        };
        match signed.body {
            Body::Operator(claims) => self.operators.push(Signed {
                token: token.to_owned(),
                key: signed.standard.sub,
                claims: *claims,
            }),
            Body::Account(_) | Body::User(_) | Body::Activation(_) | Body::Other(..) => {
                read.error(&node.at, "error parsing operator JWT: not operator claim");
            }
        }
    }

    fn preload(&mut self, read: &mut Reader, node: &Node) {
        let Value::Map(map) = &node.value else {
            let reason = "preload should be a map of account_public_key:account_jwt";
            return read.error(&node.at, reason);
        };
        for (name, node) in map.iter() {
            let Value::Text(token) = &node.value else {
                read.error(&node.at, "preload map value should be a string JWT");
                continue;
            };
            if decode(undecorated(token)).is_err() {
                read.error(&node.at, "invalid account JWT");
            } else if PublicKey::parse_as(KeyKind::Account, name).is_none() {
                read.error(
                    &node.at,
                    format!("preload account key {name:?} is not a valid public account nkey"),
                );
            } else {
                self.preload.push((name.to_owned(), token.clone()));
            }
        }
    }

    /// Puts what was read into the options, when all of the file has been read.
    pub(super) fn finish(
        mut self,
        read: &mut Reader,
        options: &mut Options,
        around: &mut dyn Surroundings,
    ) -> Result<(), OperatorError> {
        if self.operators.is_empty() && self.trusted.is_empty() {
            return match self.sentinel {
                Some(_) => Err(OperatorError::SentinelAlone),
                None => Ok(()),
            };
        }
        self.take_operators_resolver();
        self.fits(options)?;
        let mut operators = Operators {
            trusted: self.trusted.into_iter().map(|key| (key, false)).collect(),
            pinned: self.pinned,
            sentinel: self.sentinel,
            resolver: self.resolver.unwrap_or_default(),
            ..Operators::default()
        };
        if let Resolver::Web(web) = &mut operators.resolver {
            if !self.preload.is_empty() {
                return Err(OperatorError::NotWriteable);
            }
            if let Some((ca_file, own)) = self.resolver_tls {
                (web.ca_file, web.own) = (ca_file, own);
            }
        }
        for Signed { token, key, claims } in self.operators {
            operators.tokens.push(token);
            let strict = claims.strict_signing_key_usage;
            if options.system_account.is_none() && !claims.system_account.is_empty() {
                options.system_account = Some(claims.system_account);
            }
            if strict {
                operators.strict.insert(key);
            } else {
                operators.trusted.insert(key, strict);
            }
            let keys = claims.signing_keys.into_iter().map(|key| (key, strict));
            operators.trusted.extend(keys);
        }
        if let Some(key) = operators.trusted.keys().find(|key| !is_operator(key)) {
            return Err(OperatorError::TrustedKey(key.clone()));
        }
        operators.accounts = accounts(&self.preload, &operators.trusted)?;
        if let (Resolver::Directory(directory), Some(at)) = (&operators.resolver, &self.resolves) {
            match around.tokens(&directory.path) {
                Ok(tokens) => kept((read, at), &tokens, &mut operators),
                Err(reason) => {
                    return Err(OperatorError::Directory(directory.path.clone(), reason));
                }
            }
        }
        if !operators.pinned.is_empty() {
            operators.pinned.extend(options.system_account.clone());
        }
        options.accounts = translate::accounts(&operators.accounts, around.seconds());
        // What has gone wrong before is told first.
        if read.errors.is_empty() {
            options.operators = Some(operators);
        }
        Ok(())
    }

    /// An operator may say where its accounts are known from, if the file does not.
    fn take_operators_resolver(&mut self) {
        let Some(first) = self.operators.first() else {
            return;
        };
        let url = &first.claims.account_server_url;
        if self.resolves.is_none() && url.starts_with("http") {
            let url = resolver::based(&format!("{}/accounts", url.trim_end_matches('/')));
            self.resolver = Some(Resolver::Web(WebAccounts {
                url,
                ..WebAccounts::default()
            }));
            self.resolves_by_operator = true;
        }
    }

    fn fits(&self, options: &Options) -> Result<(), OperatorError> {
        if self.resolves.is_none() && !self.resolves_by_operator {
            return Err(OperatorError::NoResolver);
        }
        if !options.accounts.is_empty() {
            return Err(OperatorError::Accounts);
        }
        if !options.auth.users.is_empty() {
            return Err(OperatorError::Users);
        }
        if options.auth.callout.is_some() {
            return Err(OperatorError::Callout);
        }
        if !self.operators.is_empty() && !self.trusted.is_empty() {
            return Err(OperatorError::TwoKinds);
        }
        let named = self.operators.iter().map(|o| &o.claims.system_account);
        let mut named = named.filter(|account| !account.is_empty()).peekable();
        if let Some(system) = &options.system_account
            && named.peek().is_some()
            && !named.any(|account| account == system)
        {
            return Err(OperatorError::SystemAccount);
        }
        let Some(sentinel) = &self.sentinel else {
            return Ok(());
        };
        match decode(sentinel).map(|claims| claims.body) {
            Ok(Body::User(user)) if user.limits.bearer_token => Ok(()),
            // A signing key's template may make it one.
            Ok(Body::User(user)) if !user.issuer_account.is_empty() => Ok(()),
            Ok(Body::User(_)) => Err(OperatorError::SentinelSigns),
            Ok(_) | Err(_) => Err(OperatorError::Sentinel),
        }
    }
}

/// Settings of operator mode that do not go together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OperatorError {
    /// Nobody knows accounts.
    #[error("operators require an account resolver to be configured")]
    NoResolver,
    /// Accounts in the file.
    #[error("operators do not allow Accounts to be configured directly")]
    Accounts,
    /// Users in the file.
    #[error("operators do not allow users to be configured directly")]
    Users,
    /// A callout in the file.
    #[error("operators do not allow authorization callouts to be configured directly")]
    Callout,
    /// Operators and bare keys.
    #[error("conflicting options for 'TrustedKeys' and 'TrustedOperators'")]
    TwoKinds,
    /// Accounts for a resolver that takes none.
    #[error("resolver preloads only available for writeable resolver types MEM/DIR/CACHE_DIR")]
    NotWriteable,
    /// Two system accounts.
    #[error("system_account in config and operator JWT must be identical")]
    SystemAccount,
    /// A signing key is no operator's key.
    #[error("trusted Keys {0:?} are required to be a valid public operator nkey")]
    TrustedKey(String),
    /// A sentinel without operators.
    #[error("default sentinel requires operators and accounts")]
    SentinelAlone,
    /// A sentinel that is no user's token.
    #[error("default sentinel JWT not valid")]
    Sentinel,
    /// A sentinel that would have to sign.
    #[error("default sentinel must be a bearer token")]
    SentinelSigns,
    /// A directory that cannot be read.
    #[error("open {0}: {1}")]
    Directory(String, String),
    /// An account of the file is none, or nobody's who is trusted.
    #[error("preload account error for {0:?}: {1}")]
    Preload(String, String),
}

fn is_operator(key: &str) -> bool {
    PublicKey::parse_as(KeyKind::Operator, key).is_some()
}

/// Takes the accounts of a directory, unless the file has a later token. One that is nobody's who is
/// trusted counts as if it were not there.
fn kept(told: (&mut Reader, &Pos), tokens: &[String], operators: &mut Operators) {
    let (read, at) = told;
    for token in tokens {
        match signed(token, &operators.trusted) {
            Ok((key, account)) => {
                let known = operators.accounts.get(&key);
                if known.is_none_or(|known| known.issued < account.issued) {
                    operators.accounts.insert(key, account);
                }
            }
            Err(reason) => {
                let text = format!("An account of the resolver's directory is left out: {reason}");
                read.warning(at, text);
            }
        }
    }
}

fn accounts(
    preload: &[(String, String)],
    trusted: &BTreeMap<String, bool>,
) -> Result<BTreeMap<String, SignedAccount>, OperatorError> {
    let mut accounts = BTreeMap::new();
    for (key, token) in preload {
        let wrong = |reason: String| OperatorError::Preload(key.clone(), reason);
        let (named, account) = signed(token, trusted).map_err(|error| wrong(error.to_string()))?;
        if named != *key {
            return Err(wrong("the claims are another account's".to_owned()));
        }
        accounts.insert(key.clone(), account);
    }
    Ok(accounts)
}
