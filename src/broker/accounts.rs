//! The accounts: each a namespace of subjects with its own subscriptions.
//!
//! *Invariant:* accounts are never removed, so that an [`AccountId`] stays good for the life of the
//! process.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use config::Options;
use config::options::{AccountLimits, Mapping, Trace};
use protocol::id::AccountId;
use routing::mapping::{Mappings, Share};
use routing::sublist::Sublist;

use crate::router::Target;
use crate::stats::Flow;

/// The account of users that name none.
pub(crate) const GLOBAL: &str = "$G";
/// The account of system requests and events, unless another is configured.
pub(crate) const SYSTEM: &str = "$SYS";

#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) subs: Sublist<Target>,
    /// How subjects of published messages change before they are routed.
    pub(crate) mappings: Mappings,
    pub(crate) limits: AccountLimits,
    /// Where reports of sampled messages go.
    pub(crate) trace: Option<Trace>,
    /// Whether it may use streams.
    pub(crate) jetstream: bool,
    /// Clients connected now.
    pub(crate) connections: u32,
    /// What clients published that have gone; those that are here count for themselves.
    pub(crate) received: Flow,
    /// What was sent to clients that have gone.
    pub(crate) sent: Flow,
}

#[derive(Debug)]
pub(crate) struct Accounts {
    list: Vec<Account>,
    by_name: BTreeMap<String, AccountId>,
    pub(crate) global: AccountId,
    pub(crate) system: Option<AccountId>,
}

impl Accounts {
    pub(crate) fn new(options: &Options, seed: u64) -> Self {
        let mut accounts = Self {
            list: Vec::new(),
            by_name: BTreeMap::new(),
            global: AccountId(0),
            system: None,
        };
        accounts.global = accounts.intern(GLOBAL, seed);
        accounts.configure(options, seed);
        if !options.no_system_account {
            let name = options.system_account.as_deref().unwrap_or(SYSTEM);
            accounts.system = Some(accounts.intern(name, seed));
        }
        accounts
    }

    /// Makes the accounts what another configuration says. One that it does not name any more stays,
    /// without users.
    pub(crate) fn reload(&mut self, options: &Options, seed: u64) {
        for account in &mut self.list {
            account.limits = AccountLimits::default();
            account.mappings = Mappings::default();
            account.jetstream = false;
            account.trace = None;
        }
        self.configure(options, seed);
    }

    fn configure(&mut self, options: &Options, seed: u64) {
        // nats-server lets the global account use streams where there is no other but the system's.
        let system = options.system_account.as_deref();
        let mut named = options.accounts.iter().map(|account| account.name.as_str());
        let is_alone = named.all(|name| name == GLOBAL || Some(name) == system);
        if let Some(global) = self.get_mut(self.global) {
            global.jetstream = options.jetstream.enabled && is_alone;
            global.mappings = mappings(&options.mappings);
        }
        for account in &options.accounts {
            let id = self.intern(&account.name, seed);
            if let Some(entry) = self.get_mut(id) {
                entry.limits = account.limits;
                entry.trace.clone_from(&account.trace);
                entry.mappings = mappings(&account.mappings);
                entry.jetstream = options.jetstream.enabled && account.jetstream.is_some();
            }
        }
        for tenant in options.memphis.iter().flat_map(|m| &m.tenants) {
            let id = self.intern(&tenant.name, seed);
            if let Some(entry) = self.get_mut(id) {
                entry.jetstream = options.jetstream.enabled;
            }
        }
        let Some(memphis) = &options.memphis else {
            return;
        };
        for account in &mut self.list {
            let limits = memphis.limits_of(&account.name).map(|l| l.connections);
            // What the account's own block says counts where the tenant's says nothing.
            if let Some(limits) = limits.filter(|limits| *limits != AccountLimits::default()) {
                account.limits = limits;
            }
        }
    }

    /// Returns the account of that name, which is made if there is none.
    pub(crate) fn intern(&mut self, name: &str, seed: u64) -> AccountId {
        if let Some(id) = self.by_name.get(name) {
            return *id;
        }
        let id = AccountId(u32::try_from(self.list.len()).expect("fewer than 2^32 accounts"));
        self.list.push(Account {
            name: String::from(name),
            subs: Sublist::new(seed ^ u64::from(id.0)),
            mappings: Mappings::default(),
            limits: AccountLimits::default(),
            trace: None,
            jetstream: false,
            connections: 0,
            received: Flow::default(),
            sent: Flow::default(),
        });
        self.by_name.insert(String::from(name), id);
        id
    }

    /// Returns the account of that name.
    pub(crate) fn find(&self, name: &str) -> Option<AccountId> {
        self.by_name.get(name).copied()
    }

    #[inline]
    pub(crate) fn get(&self, id: AccountId) -> Option<&Account> {
        self.list.get(id.0 as usize)
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: AccountId) -> Option<&mut Account> {
        self.list.get_mut(id.0 as usize)
    }

    /// Returns an account's name.
    pub(crate) fn name(&self, id: AccountId) -> &str {
        self.get(id).map_or("", |account| &account.name)
    }

    /// Iterates in the order in which they were made.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (AccountId, &Account)> {
        self.list
            .iter()
            .zip(0..)
            .map(|(account, id)| (AccountId(id), account))
    }
}

/// Returns the mappings of a configuration. Shares of a cluster hold for that cluster only, and this
/// server is in none; a mapping that cannot work is left out.
fn mappings(configured: &[Mapping]) -> Mappings {
    let mut mappings = Mappings::default();
    for mapping in configured {
        let everywhere = mapping.destinations.iter().filter(|d| d.cluster.is_none());
        let shares: Vec<_> = everywhere
            .map(|destination| Share {
                destination: &destination.subject,
                percent: destination.weight,
            })
            .collect();
        let added = mappings.add(&mapping.source, &shares);
        debug_assert!(added.is_ok(), "a configuration has been checked");
    }
    mappings
}
