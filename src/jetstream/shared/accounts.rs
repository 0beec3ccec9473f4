//! The accounts: which of them may use JetStream, within which limits, and their streams by name.
//!
//! *Invariant:* an account that the configuration does not name keeps its streams; they cannot be
//! reached until the account is back.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;

use protocol::id::{AccountId, StreamId};
use protocol::js::enums::Storage;
use protocol::js::info::{AccountLimits, ApiStats};
use routing::sublist::Trie;

use crate::stream::StreamCore;

/// An account.
#[derive(Debug)]
pub struct Account {
    /// Its name.
    pub name: Box<str>,
    /// What it may use; nothing if JetStream is off for it.
    pub limits: Option<AccountLimits>,
    /// Its streams.
    pub streams: BTreeMap<Box<str>, StreamId>,
    /// What they listen to, so that a new one is not held against each of them.
    subjects: Trie<StreamId>,
    /// The bytes that they are promised on disk, and in memory.
    promised: [i128; 2],
    /// How often it used the API.
    pub api: ApiStats,
}

impl Account {
    /// Returns an account without streams.
    fn new(name: &str, limits: Option<AccountLimits>) -> Self {
        Self {
            name: Box::from(name),
            limits,
            streams: BTreeMap::new(),
            subjects: Trie::new(0),
            promised: [0; 2],
            api: ApiStats::default(),
        }
    }

    /// Takes in a stream.
    pub fn add(&mut self, core: &StreamCore) {
        let config = core.config();
        self.streams.insert(Box::from(core.name()), core.id());
        for subject in &config.subjects {
            self.subjects.insert(subject.as_bytes(), None, core.id());
        }
        *self.promised_mut(config.storage) += i128::from(config.max_bytes.max(0));
    }

    /// Lets a stream go, if it is there: with the configuration that it was taken in with.
    pub fn remove(&mut self, core: &StreamCore) {
        if self.streams.get(core.name()) != Some(&core.id()) {
            return;
        }
        let config = core.config();
        self.streams.remove(core.name());
        for subject in &config.subjects {
            self.subjects.remove(subject.as_bytes(), None, core.id());
        }
        *self.promised_mut(config.storage) -= i128::from(config.max_bytes.max(0));
    }

    /// Returns the bytes that streams are promised.
    #[must_use]
    pub(crate) fn promised(&self, storage: Storage) -> i128 {
        match storage {
            Storage::File => self.promised[0],
            Storage::Memory => self.promised[1],
        }
    }

    fn promised_mut(&mut self, storage: Storage) -> &mut i128 {
        match storage {
            Storage::File => &mut self.promised[0],
            Storage::Memory => &mut self.promised[1],
        }
    }

    /// Returns whether a stream other than `but` listens to what one of the subjects means, too.
    #[must_use]
    pub fn overlaps(&self, subjects: &[String], but: Option<StreamId>) -> bool {
        let mut found = false;
        for subject in subjects {
            self.subjects.overlapping(subject.as_bytes(), |streams| {
                found |= streams.all().any(|id| Some(id) != but);
            });
        }
        found
    }
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
        let mut account = known.unwrap_or_else(|| Account::new(name, limits));
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
