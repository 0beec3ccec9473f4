//! The accounts: which of them may use JetStream, within which limits, and their streams by name.
//!
//! *Invariant:* an account that the configuration does not name keeps its streams; they cannot be
//! reached until the account is back.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;

use protocol::id::{AccountId, StreamId};
use protocol::js::info::{AccountLimits, ApiStats};

/// An account.
#[derive(Debug)]
pub struct Account {
    /// Its name.
    pub name: Box<str>,
    /// What it may use; nothing if JetStream is off for it.
    pub limits: Option<AccountLimits>,
    /// Its streams.
    pub streams: BTreeMap<Box<str>, StreamId>,
    /// How often it used the API.
    pub api: ApiStats,
}

/// All accounts.
#[derive(Debug, Default)]
pub struct Accounts {
    by_id: BTreeMap<AccountId, Account>,
    by_name: BTreeMap<Box<str>, AccountId>,
    /// How many names came from the log without being configured.
    unknown: u32,
}

impl Accounts {
    /// Names an account, or changes its limits. Returns the id under which the log had named it before
    /// the configuration did: its streams belong to `id` from now on.
    pub fn configure(
        &mut self,
        id: AccountId,
        name: &str,
        limits: Option<AccountLimits>,
    ) -> Option<AccountId> {
        if let Some(account) = self.by_id.get_mut(&id) {
            account.limits = limits;
            return None;
        }
        let before = self.by_name.insert(Box::from(name), id);
        let known = before.and_then(|before| self.by_id.remove(&before));
        let mut account = known.unwrap_or_else(|| Account {
            name: Box::from(name),
            limits,
            streams: BTreeMap::new(),
            api: ApiStats::default(),
        });
        account.limits = limits;
        self.by_id.insert(id, account);
        before
    }

    /// Returns the account called `name`; one that nobody can use if it is not configured.
    pub fn by_name(&mut self, name: &str) -> AccountId {
        if let Some(id) = self.by_name.get(name) {
            return *id;
        }
        let id = AccountId(u32::MAX - self.unknown);
        self.unknown += 1;
        self.configure(id, name, None);
        id
    }

    /// Returns an account.
    #[must_use]
    pub fn get(&self, id: AccountId) -> Option<&Account> {
        self.by_id.get(&id)
    }

    /// Returns an account.
    pub fn get_mut(&mut self, id: AccountId) -> Option<&mut Account> {
        self.by_id.get_mut(&id)
    }

    /// Returns the stream of an account by its name.
    #[must_use]
    pub fn stream(&self, id: AccountId, name: &str) -> Option<StreamId> {
        self.get(id)?.streams.get(name).copied()
    }

    /// Returns all accounts in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (AccountId, &Account)> {
        self.by_id.iter().map(|(id, account)| (*id, account))
    }
}
