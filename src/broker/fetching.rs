//! Accounts that a web server has: each is asked for when somebody of its users comes, who waits
//! for the answer.
//!
//! *Invariant:* an account is taken only if a key that is trusted has signed it, and only under its
//! own name. Each is asked for once at a time, and how many are is bounded; who waits is not read
//! from meanwhile.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use config::options::{Resolver, WebAccounts};
use protocol::connect::Connect;
use protocol::id::ConnId;

use crate::auth::seconds;
use crate::conn::Login;
use crate::effects::{Level, LogLine, WorkOp};
use crate::limits::FETCHES_MAX;
use crate::shard::Shard;

/// Who waits for which account.
#[derive(Debug, Default)]
pub(crate) struct Fetching(BTreeMap<String, Vec<ConnId>>);

impl Shard {
    /// Returns the account that has to be known before a client can be judged, if one is missing.
    pub(crate) fn account_to_fetch(&self, said: &Connect) -> Option<String> {
        self.web_accounts()?;
        let key = self.auth.missing_account(&said.jwt, self.router.now.wall)?;
        let asked = self.fetching.0.len();
        (asked < FETCHES_MAX || self.fetching.0.contains_key(&key)).then_some(key)
    }

    /// Has a client wait until its account is known, or known not to be.
    pub(crate) fn fetch_first(&mut self, id: ConnId, key: String, said: Connect) {
        let Some(conn) = self.router.conns.get_mut(id) else {
            return;
        };
        // One allocation per login with an account that is not known.
        conn.login = Some(Box::new(Login {
            said,
            account: self.router.accounts.global,
            user: None,
            again: false,
        }));
        self.router.fx.gate.push((id, true));
        self.fetch(key, Some(id));
    }

    /// Goes on when the web server has answered, or did not in time.
    pub(crate) fn on_account_fetched(&mut self, key: &str, token: Result<String, String>) {
        let waiting = self.fetching.0.remove(key).unwrap_or_default();
        if let Err(why) = token.and_then(|token| self.take_account(key, token.trim())) {
            let text = format!("Account {key} could not be fetched: {why}");
            let level = Level::Error;
            self.router.fx.log.push(LogLine::new(level, text));
        }
        for id in waiting {
            let conn = self.router.conns.get_mut(id);
            let Some(login) = conn.and_then(|conn| conn.login.take()) else {
                continue;
            };
            self.router.fx.gate.push((id, false));
            self.log_in(id, login.said);
            self.arm(id);
        }
    }

    fn take_account(&mut self, key: &str, token: &str) -> Result<(), String> {
        let now = seconds(self.router.now.wall);
        let taken = config::replaced(&self.options.config, token, now);
        let (named, fresh) = taken.map_err(|error| error.to_string())?;
        if named != key {
            return Err(String::from("the answer is about another account"));
        }
        self.reload(*fresh);
        // What it imports is of use once the exporters are known, too.
        let account = self.options.config.signed_account(key);
        let imports = account.map(|account| account.claims.imports.as_slice());
        let exporters = imports
            .unwrap_or_default()
            .iter()
            .map(|import| &import.account);
        let missing = exporters.filter(|key| self.options.config.signed_account(key).is_none());
        let missing: Vec<String> = missing.cloned().collect();
        for key in missing {
            if self.fetching.0.len() < FETCHES_MAX {
                self.fetch(key, None);
            }
        }
        Ok(())
    }

    fn fetch(&mut self, key: String, waiter: Option<ConnId>) {
        let Some(server) = self.web_accounts().cloned() else {
            return;
        };
        if let Some(waiting) = self.fetching.0.get_mut(&key) {
            waiting.extend(waiter);
            return;
        }
        self.fetching.0.insert(key.clone(), Vec::from_iter(waiter));
        let op = WorkOp::FetchAccount { server, key };
        self.router.fx.work.push(op);
    }

    fn web_accounts(&self) -> Option<&WebAccounts> {
        match &self.options.config.operators.as_ref()?.resolver {
            Resolver::Web(server) => Some(server),
            Resolver::Memory | Resolver::Directory(_) => None,
        }
    }
}
