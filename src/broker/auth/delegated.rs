//! Users about whom a service decides: which logins those are, and whom its answers make of them.
//!
//! *Invariant:* nobody is asked about who may ask questions themselves: the service's own users.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};

use config::options::{AuthCallout, ConnectionType, PermissionList, Permissions};
use identity::claims::{self, Standard};
use identity::{KeyKind, PublicKey};
use protocol::connect::Connect;
use protocol::id::AccountId;
use protocol::time::Wall;

use super::operator::{expiry_of, holds, is_kind_allowed};
use super::{Auth, seconds};
use crate::accounts::Accounts;
use crate::auth::user::{User, UserLimits};
use crate::callout::{Decider, SUBJECT, raw_user};
use crate::effects::Rules;

/// The service that the configuration names.
#[derive(Debug)]
pub(super) struct Delegate {
    pub(super) account: AccountId,
    issuer: String,
    xkey: Option<PublicKey>,
    /// Users about whom it does not decide.
    users: BTreeSet<String>,
    /// The accounts whose users it decides about; all when empty.
    accounts: BTreeSet<AccountId>,
}

impl Delegate {
    pub(super) fn new(callout: &AuthCallout, accounts: &mut Accounts, seed: u64) -> Self {
        Self {
            account: accounts.intern(&callout.account, seed),
            issuer: callout.issuer.clone(),
            xkey: callout.xkey.as_deref().and_then(curve),
            users: callout.users.iter().cloned().collect(),
            accounts: callout
                .accounts
                .iter()
                .map(|name| accounts.intern(name, seed))
                .collect(),
        }
    }
}

impl Auth {
    /// Whether there can be a login about which a service decides.
    pub(crate) fn may_ask(&self) -> bool {
        self.signers.is_some() || self.delegate.is_some()
    }

    /// Returns who decides about a login; none if this server does. `found` is the account of the user
    /// that the client has shown to be.
    pub(crate) fn decider(
        &self,
        rules: Rules,
        said: &Connect,
        found: Option<AccountId>,
    ) -> Option<Decider> {
        if rules == Rules::Memphis && self.memphis.is_some() {
            return None;
        }
        if let Some(signers) = &self.signers {
            // Whom the account itself does not let ask is not asked about.
            found?;
            let (key, account, external) = signers.external(&said.jwt)?;
            return Some(Decider {
                account,
                issuer: key,
                xkey: curve(&external.xkey),
                is_operator: true,
            });
        }
        let delegate = self.delegate.as_ref()?;
        let elsewhere = found.filter(|account| *account != self.global);
        let delegated = elsewhere.is_none_or(|account| {
            delegate.accounts.is_empty() || delegate.accounts.contains(&account)
        });
        if !delegated || delegate.users.contains(raw_user(said)) {
            return None;
        }
        Some(Decider {
            account: delegate.account,
            issuer: delegate.issuer.clone(),
            xkey: delegate.xkey,
            is_operator: false,
        })
    }

    /// Returns the user that the service vouches for in an account.
    ///
    /// # Errors
    /// Why it is none.
    pub(crate) fn vouched_by_service(
        &self,
        placed: AccountId,
        standard: &Standard,
        claims: &claims::User,
        at: (ConnectionType, Wall),
    ) -> Result<User, String> {
        vouched(standard, &claims.limits, placed, (at, self.seed))
            .map(|user| self.barred(user, placed))?
            .ok_or_else(|| "the permissions are not valid".to_string())
    }

    /// Returns the user that an account's service vouches for.
    ///
    /// # Errors
    /// Why it is none.
    pub(crate) fn vouched_by_account(
        &self,
        decider: &Decider,
        standard: &Standard,
        claims: &claims::User,
        at: (ConnectionType, Wall),
    ) -> Result<User, String> {
        let Some(signers) = &self.signers else {
            return Err("no operator key found".to_string());
        };
        let target = match claims.issuer_account.as_str() {
            "" => &standard.iss,
            account => account,
        };
        if *target != decider.issuer && !signers.may_place(&decider.issuer, target) {
            let (issuer, account) = (&standard.iss, &decider.issuer);
            return Err(format!(
                "account {issuer:?} not permitted as valid account option for auth callout for account {account:?}"
            ));
        }
        let (placed, limits) = signers.placed(target, standard, claims).ok_or_else(|| {
            let issuer = &standard.iss;
            format!("user JWT issuer {issuer:?} is not known")
        })?;
        vouched(standard, &limits, placed, (at, self.seed))
            .map(|user| match placed == decider.account {
                true => barred(user),
                false => Some(user),
            })?
            .ok_or_else(|| "the permissions are not valid".to_string())
    }

    /// Says whether a key signs for an account.
    pub(crate) fn is_signer(&self, account: &str, key: &str) -> bool {
        let signers = self.signers.as_ref();
        signers.is_some_and(|signers| signers.is_signer(account, key))
    }

    /// Says whether a user that a service has vouched for may stay in its account.
    pub(crate) fn still_delegates(&self, account: &str) -> bool {
        match &self.signers {
            Some(signers) => signers.knows_account(account),
            None => self.delegate.is_some(),
        }
    }

    fn barred(&self, user: User, placed: AccountId) -> Option<User> {
        let asks = self.delegate.as_ref().map(|delegate| delegate.account);
        match asks == Some(placed) {
            true => barred(user),
            false => Some(user),
        }
    }
}

/// Returns permissions without that of asking as if one were the server.
pub(super) fn without_questions(permissions: Option<&Permissions>) -> Permissions {
    let mut permissions = permissions.cloned().unwrap_or_default();
    let publish = permissions
        .publish
        .get_or_insert_with(PermissionList::default);
    publish.deny.push(SUBJECT.to_string());
    permissions
}

fn barred(user: User) -> Option<User> {
    let permissions = without_questions(user.said.as_ref());
    let again = User::checked(&user.name, user.account, Some(&permissions), 0)?;
    Some(User {
        limits: user.limits,
        expiry: user.expiry,
        is_delegated: user.is_delegated,
        ..again
    })
}

fn vouched(
    standard: &Standard,
    limits: &claims::UserLimits,
    account: AccountId,
    at: ((ConnectionType, Wall), u64),
) -> Result<User, String> {
    let ((kind, now), seed) = at;
    if !holds(standard, seconds(now)) {
        return Err("the user's claims do not hold now".to_string());
    }
    let window_end = super::operator::allowed_until(limits, now);
    let Some(window_end) = window_end else {
        return Err("authorized user outside of valid connect times".to_string());
    };
    if !is_kind_allowed(limits, kind) {
        return Err("authorized user using invalid connection type".to_string());
    }
    let name = match standard.name.as_str() {
        "" => &standard.sub,
        name => name,
    };
    let permissions = config::claimed_permissions(&limits.permissions);
    let user = User::checked(name, account, permissions.as_ref(), seed);
    let user = user.ok_or_else(|| "the permissions are not valid".to_string())?;
    Ok(User {
        limits: UserLimits {
            payload_max: u32::try_from(limits.payload).ok(),
            subscriptions_max: u32::try_from(limits.subs).ok(),
        },
        expiry: expiry_of(standard, window_end),
        is_delegated: true,
        ..user
    })
}

fn curve(text: &str) -> Option<PublicKey> {
    PublicKey::parse_as(KeyKind::Curve, text)
}
