//! Users that accounts have signed, in operator mode.
//!
//! *Invariant:* nobody gets in whose token does not hold now, or whose account does not; and nobody
//! with a token of somebody else, unless that one says that whoever bears it may.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::rc::Rc;
use alloc::string::String;
use core::net::IpAddr;

use config::options::{CONNECTION_TYPES, ConnectionType, Operators, Permissions, SignedAccount};
use identity::claims::{self, Standard};
use identity::{Body, KeyKind, PublicKey, decode};
use protocol::id::AccountId;
use protocol::time::Wall;

use crate::accounts::Accounts;
use crate::auth::delegated::without_questions;
use crate::auth::judging::has_signed;
use crate::auth::shown::{Credentials, Refusal, Verdict};
use crate::auth::user::{Claimed, Expiry, User, UserLimits};

mod template;
mod times;

pub(super) use times::allowed_until;

/// Everybody, in a list of revocations.
const EVERYBODY: &str = "*";
/// Seconds in nanoseconds.
const SECOND_NS: u64 = 1_000_000_000;

/// Who signs accounts, and the accounts.
#[derive(Debug)]
pub(crate) struct Signers {
    accounts: BTreeMap<String, Signed>,
    pinned: BTreeSet<String>,
    sentinel: Option<String>,
    seed: u64,
}

#[derive(Debug)]
struct Signed {
    id: AccountId,
    account: SignedAccount,
    /// Whether its own key signs no users.
    strict: bool,
    default_permissions: Option<Permissions>,
}

/// What may befall a token that was good once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The account does not stand by it any more.
    Revoked,
    /// The account's own time is over, or it is not known any more.
    AccountGone,
}

impl Signers {
    pub(crate) fn new(operators: &Operators, accounts: &mut Accounts, seed: u64) -> Self {
        let signed = operators.accounts.iter().map(|(key, account)| {
            let strict = operators.trusted.get(&account.issuer);
            let entry = Signed {
                id: accounts.intern(key, seed),
                strict: strict.copied().unwrap_or_default(),
                default_permissions: config::claimed_permissions(
                    &account.claims.default_permissions,
                ),
                account: account.clone(),
            };
            (key.clone(), entry)
        });
        Self {
            accounts: signed.collect(),
            pinned: operators.pinned.clone(),
            sentinel: operators.sentinel.clone(),
            seed,
        }
    }

    /// Returns the account of a token that is good as far as one can tell without the account, which is not
    /// known or whose time is over.
    pub(crate) fn missing_account(&self, token: &str, now: Wall) -> Option<String> {
        let token = decode(token).ok()?;
        let Body::User(claims) = token.body else {
            return None;
        };
        let now = seconds(now);
        let key = match claims.issuer_account.as_str() {
            "" => token.standard.iss.clone(),
            _ => claims.issuer_account,
        };
        let pinned = self.pinned.is_empty() || self.pinned.contains(&key);
        // What is put into a request must be a key.
        let named = PublicKey::parse_as(KeyKind::Account, &key).is_some();
        let known = self.accounts.get(&key).map(|signed| signed.account.expires);
        let good = known.is_some_and(|expires| expires == 0 || now <= expires);
        (holds(&token.standard, now) && pinned && named && !good).then_some(key)
    }

    /// Returns what has befallen a token that was good once.
    pub(crate) fn standing(&self, token: &str, now: Wall) -> Option<Standing> {
        let token = decode(token).ok()?;
        let Body::User(claims) = &token.body else {
            return None;
        };
        let account_key = match claims.issuer_account.as_str() {
            "" => &token.standard.iss,
            account => account,
        };
        let Some(signed) = self.accounts.get(account_key) else {
            return Some(Standing::AccountGone);
        };
        let account = &signed.account;
        if account.expires != 0 && seconds(now) > account.expires {
            return Some(Standing::AccountGone);
        }
        is_revoked(account, &token.standard).then_some(Standing::Revoked)
    }

    /// Returns the account of a token whose users a service decides about, unless this is one of the
    /// service's own.
    pub(super) fn external(
        &self,
        token: &str,
    ) -> Option<(String, AccountId, &claims::ExternalAuthorization)> {
        let token = decode(token).ok();
        let token = token.or_else(|| decode(self.sentinel.as_deref()?).ok())?;
        let Body::User(claims) = token.body else {
            return None;
        };
        let key = match claims.issuer_account.as_str() {
            "" => token.standard.iss.clone(),
            _ => claims.issuer_account,
        };
        let signed = self.accounts.get(&key)?;
        let external = &signed.account.claims.authorization;
        let users = &external.auth_users;
        let asked = !users.is_empty() && !users.contains(&token.standard.sub);
        asked.then_some((key, signed.id, external))
    }

    /// Says whether the service of `account` may put users in `target`.
    pub(super) fn may_place(&self, account: &str, target: &str) -> bool {
        let signed = self.accounts.get(account);
        signed.is_some_and(|signed| {
            let allowed = &signed.account.claims.authorization.allowed_accounts;
            allowed
                .iter()
                .any(|name| name == EVERYBODY || name == target)
        })
    }

    /// Returns the account of a user whom a service vouches for, and what the user may do there.
    pub(super) fn placed(
        &self,
        target: &str,
        standard: &Standard,
        claims: &claims::User,
    ) -> Option<(AccountId, claims::UserLimits)> {
        let signed = self.accounts.get(target)?;
        let limits = signed.limits_of(target, standard, claims)?;
        Some((signed.id, limits))
    }

    /// Says whether a key signs for an account.
    pub(super) fn is_signer(&self, account: &str, key: &str) -> bool {
        let signed = self.accounts.get(account);
        account == key
            || signed.is_some_and(|signed| {
                let keys = &signed.account.claims.signing_keys;
                keys.iter().any(|known| known.key == key)
            })
    }

    /// Says whether there is an account of that key.
    pub(super) fn knows_account(&self, account: &str) -> bool {
        self.accounts.contains_key(account)
    }

    /// Judges a client.
    pub(crate) fn check(&self, kind: ConnectionType, shown: &Credentials<'_>) -> Verdict {
        let Some((standard, claims)) = self.shown_claims(shown) else {
            return Verdict::Refused(Refusal::Credentials);
        };
        if claims.limits.proxy_required && !shown.proxied {
            return Verdict::Refused(Refusal::ProxyRequired);
        }
        match self.user(kind, shown, standard, claims) {
            Some(user) => Verdict::Accepted {
                account: user.account,
                user: Some(Rc::new(user)),
            },
            None => Verdict::Refused(Refusal::Credentials),
        }
    }

    /// Returns what the token of a client says of its user, or that of those who show none.
    fn shown_claims(&self, shown: &Credentials<'_>) -> Option<(Standard, Box<claims::User>)> {
        let token = decode(shown.jwt).ok();
        let token = token.or_else(|| decode(self.sentinel.as_deref()?).ok())?;
        match token.body {
            Body::User(claims) => Some((token.standard, claims)),
            Body::Operator(_) | Body::Account(_) | Body::Activation(_) | Body::Other(..) => None,
        }
    }

    /// Returns the user that a client is; none if it is none.
    fn user(
        &self,
        kind: ConnectionType,
        shown: &Credentials<'_>,
        standard: Standard,
        claims: Box<claims::User>,
    ) -> Option<User> {
        let now = seconds(shown.now);
        if !holds(&standard, now) {
            return None;
        }
        let account_key = match claims.issuer_account.as_str() {
            "" => &standard.iss,
            account => account,
        };
        if !self.pinned.is_empty() && !self.pinned.contains(account_key) {
            return None;
        }
        let signed = self.accounts.get(account_key)?;
        let account = &signed.account;
        if account.expires != 0 && now > account.expires {
            return None;
        }
        let limits = signed.limits_of(account_key, &standard, &claims)?;
        if limits.bearer_token {
            if account.claims.limits.disallow_bearer {
                return None;
            }
        } else {
            let key = PublicKey::parse_as(KeyKind::User, &standard.sub)?;
            has_signed(&key, shown).then_some(())?;
        }
        if is_revoked(account, &standard) || limits.proxy_required && !shown.proxied {
            return None;
        }
        if !is_kind_allowed(&limits, kind) || !is_source_allowed(&limits, shown.ip) {
            return None;
        }
        let window_end = allowed_until(&limits, shown.now)?;
        let permissions = config::claimed_permissions(&limits.permissions);
        let mut permissions = permissions.or_else(|| signed.default_permissions.clone());
        if !account.claims.authorization.auth_users.is_empty() {
            permissions = Some(without_questions(permissions.as_ref()));
        }
        let user = User::checked(&standard.sub, signed.id, permissions.as_ref(), self.seed)?;
        Some(User {
            limits: UserLimits {
                payload_max: u32::try_from(limits.payload).ok(),
                subscriptions_max: u32::try_from(limits.subs).ok(),
            },
            expiry: expiry(&standard, account, window_end),
            signed: Some(Claimed {
                name: standard.name.clone(),
                issuer: standard.iss.clone(),
                tags: claims.tags,
            }),
            ..user
        })
    }
}

impl Signed {
    /// Returns what a user may do by its own claims, or by the key that has signed them; none if that
    /// is none of the account's.
    fn limits_of(
        &self,
        account_key: &str,
        standard: &Standard,
        claims: &claims::User,
    ) -> Option<claims::UserLimits> {
        if standard.iss == account_key {
            let keys = &self.account.claims.signing_keys;
            return (!self.strict || keys.iter().any(|key| key.key == account_key))
                .then(|| claims.limits.clone());
        }
        let keys = &self.account.claims.signing_keys;
        let key = keys.iter().find(|key| key.key == standard.iss)?;
        match &key.template {
            None => Some(claims.limits.clone()),
            // Its users have no say in what they may do.
            Some(_) if claims.limits != claims::UserLimits::default() => None,
            Some(template) => template::fill(template, standard, claims, &self.account),
        }
    }
}

/// Returns the time as claims tell it.
pub(crate) fn seconds(now: Wall) -> i64 {
    i64::try_from(now.0 / SECOND_NS).unwrap_or(i64::MAX)
}

/// Says whether an account does not stand by a user's token any more.
fn is_revoked(account: &SignedAccount, standard: &Standard) -> bool {
    let revoked = |who: &str| {
        let at = account.claims.revocations.get(who);
        at.is_some_and(|at| *at >= standard.iat)
    };
    revoked(&standard.sub) || revoked(EVERYBODY)
}

pub(super) fn holds(standard: &Standard, now: i64) -> bool {
    (standard.exp <= 0 || now <= standard.exp) && standard.nbf <= now
}

pub(super) fn is_kind_allowed(limits: &claims::UserLimits, kind: ConnectionType) -> bool {
    let named = &limits.allowed_connection_types;
    // Names that are not known do not open the door to all.
    named.is_empty()
        || named.iter().any(|name| {
            let known = CONNECTION_TYPES
                .iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(name));
            known.is_some_and(|(_, allowed)| *allowed == kind)
        })
}

fn is_source_allowed(limits: &claims::UserLimits, ip: IpAddr) -> bool {
    limits.src.is_empty()
        || limits
            .src
            .iter()
            .any(|network| contains(network, ip) == Some(true))
}

/// Says whether a network such as `10.0.0.0/8` contains an address; none if it is no network.
fn contains(network: &str, ip: IpAddr) -> Option<bool> {
    let (address, bits) = network.split_once('/')?;
    let bits: u32 = bits.parse().ok()?;
    let (network, ip, len) = match (address.parse().ok()?, ip.to_canonical()) {
        (IpAddr::V4(network), IpAddr::V4(ip)) => {
            (u128::from(network.to_bits()), u128::from(ip.to_bits()), 32)
        }
        (IpAddr::V6(network), IpAddr::V6(ip)) => (network.to_bits(), ip.to_bits(), 128),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return Some(false),
    };
    let host_bits = u32::checked_sub(len, bits)?;
    let differing = (network ^ ip).checked_shr(host_bits);
    Some(differing.unwrap_or(0) == 0)
}

/// Returns when a user has to go that a service has vouched for.
pub(super) fn expiry_of(standard: &Standard, window_end: Option<Wall>) -> Option<Expiry> {
    let ends = u64::try_from(standard.exp)
        .ok()
        .filter(|seconds| *seconds > 0);
    let token = ends.map(|seconds| Wall(seconds.saturating_mul(SECOND_NS)));
    token.into_iter().chain(window_end).min().map(Expiry::User)
}

/// Returns when a user has to go, whichever ends first: its token, its account's, or its time of day.
fn expiry(
    standard: &Standard,
    account: &SignedAccount,
    window_end: Option<Wall>,
) -> Option<Expiry> {
    let at = |seconds: i64| {
        let seconds = u64::try_from(seconds).ok().filter(|s| *s > 0)?;
        Some(Wall(seconds.saturating_mul(SECOND_NS)))
    };
    let user = at(standard.exp).into_iter().chain(window_end).min();
    let account = at(account.expires);
    match (user, account) {
        (Some(user), Some(account)) if account < user => Some(Expiry::Account(account)),
        (None, Some(account)) => Some(Expiry::Account(account)),
        (Some(user), _) => Some(Expiry::User(user)),
        (None, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_contains_the_addresses_that_begin_like_it() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        for (network, address, expected) in [
            ("10.0.0.0/8", "10.255.0.1", Some(true)),
            ("10.0.0.0/8", "11.0.0.1", Some(false)),
            ("0.0.0.0/0", "1.2.3.4", Some(true)),
            ("1.2.3.4/32", "1.2.3.4", Some(true)),
            ("1.2.3.4/32", "::ffff:1.2.3.4", Some(true)),
            ("fd00::/8", "fd12::1", Some(true)),
            ("::/0", "1.2.3.4", Some(false)),
            ("1.2.3.4/33", "1.2.3.4", None),
            ("1.2.3.4", "1.2.3.4", None),
        ] {
            assert_eq!(
                contains(network, ip(address)),
                expected,
                "{network} {address}"
            );
        }
    }
}
