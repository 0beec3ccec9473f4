//! A user, and what it may do.

use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use config::options;
use protocol::id::AccountId;
use protocol::time::Wall;
use routing::permissions::{PermissionSpec, Permissions, ResponseSpec, SubjectSpec};

use crate::stations::Fence;

/// Somebody who may connect.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) account: AccountId,
    /// Its rules; none when it may do everything in its account.
    pub(crate) permissions: Option<Rc<Permissions>>,
    /// The same as they are configured, for who asks.
    pub(crate) said: Option<options::Permissions>,
    /// Its own limits, within those of its account.
    pub(crate) limits: UserLimits,
    /// What it may name of stations; none when all of them.
    pub(crate) fence: Option<Fence>,
    /// When it has to go.
    pub(crate) expiry: Option<Expiry>,
    /// Whether a service has vouched for it.
    pub(crate) is_delegated: bool,
    /// What was signed about it, if something was.
    pub(crate) signed: Option<Claimed>,
}

/// What is told of a token besides what it allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claimed {
    /// The user's name for people.
    pub(crate) name: String,
    /// Who signed it.
    pub(crate) issuer: String,
    pub(crate) tags: Vec<String>,
}

/// The limits of one user.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct UserLimits {
    /// Bytes of one message.
    pub(crate) payload_max: Option<u32>,
    /// Subscriptions.
    pub(crate) subscriptions_max: Option<u32>,
}

/// What ends a user's time, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// What was signed about it.
    User(Wall),
    /// What was signed about its account.
    Account(Wall),
}

impl Expiry {
    pub(crate) fn at(self) -> Wall {
        match self {
            Self::User(at) | Self::Account(at) => at,
        }
    }
}

impl User {
    pub(crate) fn new(
        name: &str,
        account: AccountId,
        permissions: Option<&options::Permissions>,
        seed: u64,
    ) -> Self {
        Self::checked(name, account, permissions, seed).expect("the configuration was checked")
    }

    /// Returns a user with permissions that nobody has looked at; none if they are none.
    pub(crate) fn checked(
        name: &str,
        account: AccountId,
        permissions: Option<&options::Permissions>,
        seed: u64,
    ) -> Option<Self> {
        let rules = match permissions {
            Some(own) => Some(Rc::new(Permissions::new(&spec(own), seed).ok()?)),
            None => None,
        };
        Some(Self {
            name: String::from(name),
            account,
            said: permissions.cloned(),
            permissions: rules,
            limits: UserLimits::default(),
            fence: None,
            expiry: None,
            is_delegated: false,
            signed: None,
        })
    }
}

fn spec(own: &options::Permissions) -> PermissionSpec {
    PermissionSpec {
        publish: subjects(own.publish.as_ref()),
        subscribe: subjects(own.subscribe.as_ref()),
        responses: own.responses.map(|limits| ResponseSpec {
            answers_max: limits.msgs_max,
            expires: limits.expires,
        }),
    }
}

fn subjects(list: Option<&options::PermissionList>) -> SubjectSpec {
    let bytes = |subjects: &Vec<String>| subjects.iter().map(|s| s.as_bytes().to_vec()).collect();
    let Some(list) = list else {
        return SubjectSpec::default();
    };
    SubjectSpec {
        allow: list.allow.as_ref().map(bytes),
        deny: bytes(&list.deny),
    }
}
