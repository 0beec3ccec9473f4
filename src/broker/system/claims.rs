//! Accounts that operators sign: requests to change, list and forget them.
//!
//! *Invariant:* a change is in force, and answered, only when it is durable, where there is a directory to
//! keep it in. Changes take effect in the order in which they were asked for.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use config::options::{Deletion, Directory, Operators, Resolver};
use identity::{Body, KeyKind, PublicKey, decode};
use monitor::stats::Process;
use monitor::system::claims::{changed, listed};
use protocol::encoding::Encoding;
use sha2::{Digest as _, Sha256};

use super::Request;
use crate::auth::seconds;
use crate::effects::{FileChange, Level, LogLine, WorkOp};
use crate::shard::Shard;

/// What accounts are changed by, whoever keeps them.
const UPDATES: [&str; 2] = [
    "$SYS.REQ.ACCOUNT.*.CLAIMS.UPDATE",
    "$SYS.ACCOUNT.*.CLAIMS.UPDATE",
];
/// What a directory is asked for.
const OF_DIRECTORY: [&str; 3] = [
    "$SYS.REQ.CLAIMS.UPDATE",
    "$SYS.REQ.CLAIMS.LIST",
    "$SYS.REQ.CLAIMS.DELETE",
];
/// What a directory is asked for that has all accounts.
const OF_FULL_DIRECTORY: [&str; 2] = ["$SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP", "$SYS.REQ.CLAIMS.PACK"];
/// The account of an answer about a token that names none.
const NO_ACCOUNT: &str = "n/a";

/// Returns the subjects of these requests.
pub(super) fn subjects(operators: &Operators) -> Vec<&'static str> {
    let mut subjects = Vec::from(UPDATES);
    if let Resolver::Directory(directory) = &operators.resolver {
        subjects.extend(OF_DIRECTORY);
        if !directory.is_cache {
            subjects.extend(OF_FULL_DIRECTORY);
        }
    }
    subjects
}

/// What is being written.
#[derive(Debug)]
enum Change {
    Kept { key: String, token: String },
    Deleted { keys: Vec<String> },
}

/// Changes that wait for the disk, in order.
#[derive(Debug, Default)]
pub(crate) struct Changes(VecDeque<(Change, Box<[u8]>)>);

impl Shard {
    /// Answers a request about accounts.
    pub(super) fn claims(&mut self, what: &[&str], request: &Request) {
        match what {
            ["REQ", "CLAIMS", "UPDATE"] => self.update_claims(None, request),
            ["REQ", "ACCOUNT", key, "CLAIMS", "UPDATE"] | ["ACCOUNT", key, "CLAIMS", "UPDATE"] => {
                self.update_claims(Some(key), request);
            }
            ["REQ", "CLAIMS", "LIST"] => {
                let keys = self.operators().map(|operators| &operators.accounts);
                let keys = keys.map(|accounts| accounts.keys().cloned().collect::<Vec<String>>());
                let seq = self.herald.next_seq();
                let view = self.monitoring(self.router.now, Process::default());
                let body = listed(&view, &keys.unwrap_or_default(), seq);
                self.reply(&request.reply, body, Encoding::Plain);
            }
            ["REQ", "ACCOUNT", key, "CLAIMS", "LOOKUP"] => {
                let account = self.operators().and_then(|o| o.accounts.get(*key));
                let token = account.map(|account| account.token.clone().into_bytes());
                self.reply(&request.reply, token.unwrap_or_default(), Encoding::Plain);
            }
            ["REQ", "CLAIMS", "PACK"] => self.pack(request),
            ["REQ", "CLAIMS", "DELETE"] => self.delete_claims(request),
            _ => {}
        }
    }

    fn operators(&self) -> Option<&Operators> {
        self.options.config.operators.as_ref()
    }

    fn directory(&self) -> Option<Directory> {
        match &self.operators()?.resolver {
            Resolver::Directory(directory) => Some(directory.clone()),
            Resolver::Memory | Resolver::Web(_) => None,
        }
    }

    /// Takes an account's new token; `named` is the account that the request is about, if it says so.
    fn update_claims(&mut self, named: Option<&str>, request: &Request) {
        let directory = self.directory();
        let is_cache = directory
            .as_ref()
            .is_some_and(|directory| directory.is_cache);
        let cache = if is_cache { " cache" } else { "" };
        let failed = format!("jwt update{cache} resulted in error");
        let token = String::from_utf8_lossy(&request.payload).trim().to_string();
        if token.is_empty() && directory.is_none() {
            let account = named.unwrap_or(NO_ACCOUNT);
            return self.told(
                request,
                account,
                "jwt update error",
                Err("request body is empty"),
            );
        }
        let now = seconds(self.router.now.wall);
        let (key, fresh) = match config::replaced(&self.options.config, &token, now) {
            Ok(fresh) => fresh,
            Err(error) => {
                let unnamed = directory.is_some() && !is_cache;
                let account = named.filter(|_| !unnamed).unwrap_or(NO_ACCOUNT);
                return self.told(request, account, &failed, Err(&error.to_string()));
            }
        };
        if named.is_some_and(|named| named != key) {
            let account = named.unwrap_or(NO_ACCOUNT);
            let error = Err("subject does not match jwt content");
            return self.told(request, account, &failed, error);
        }
        let known = self
            .operators()
            .is_some_and(|o| o.accounts.contains_key(&key));
        if !known && (is_cache || directory.is_none()) {
            return self.told(request, &key, &format!("jwt update{cache} skipped"), Ok(()));
        }
        let Some(directory) = directory else {
            self.reload(*fresh);
            return self.told(request, &key, "jwt updated", Ok(()));
        };
        self.router.fx.work.push(WorkOp::ChangeFiles {
            directory: directory.path,
            change: FileChange::Keep {
                key: key.clone(),
                token: token.clone(),
            },
        });
        let change = Change::Kept { key, token };
        self.herald
            .changes
            .0
            .push_back((change, request.reply.clone()));
    }

    /// Forgets accounts, if their operator says so.
    fn delete_claims(&mut self, request: &Request) {
        let token = String::from_utf8_lossy(&request.payload);
        let signer = decode(token.trim()).map(|claims| claims.standard.sub);
        let signer = signer.unwrap_or_default();
        match self.to_delete(token.trim()) {
            Ok((directory, keys)) => {
                self.router.fx.work.push(WorkOp::ChangeFiles {
                    directory: directory.path,
                    change: FileChange::Delete {
                        keys: keys.clone(),
                        rename: directory.deletion == Deletion::Renames,
                    },
                });
                let change = Change::Deleted { keys };
                self.herald
                    .changes
                    .0
                    .push_back((change, request.reply.clone()));
            }
            Err(reason) => {
                let what = format!("delete accounts request by {signer} failed");
                self.told(request, "", &what, Err(&reason));
            }
        }
    }

    /// Returns the accounts that a request is allowed to delete.
    fn to_delete(&self, token: &str) -> Result<(Directory, Vec<String>), String> {
        let claims = decode(token).map_err(|error| error.to_string())?;
        let (Some(operators), Some(directory)) = (self.operators(), self.directory()) else {
            return Err(String::from("no operator key found"));
        };
        let standard = claims.standard;
        if directory.deletion == Deletion::Refused {
            return Err(String::from("delete must be enabled in server config"));
        }
        if standard.sub != standard.iss {
            return Err(String::from("not self signed"));
        }
        if !operators.trusted.contains_key(&standard.iss) {
            return Err(String::from("not trusted"));
        }
        let malformed = || String::from("malformed request");
        let Body::Other(_, inside) = &claims.body else {
            return Err(malformed());
        };
        let keys = monitor::system::claims::accounts(inside).ok_or_else(malformed)?;
        let is_key = |key: &String| PublicKey::parse_as(KeyKind::Account, key).is_some();
        if !keys.iter().all(is_key) {
            return Err(malformed());
        }
        let system = self.router.accounts.system;
        let system = system.map(|id| self.router.accounts.name(id));
        if keys.iter().any(|key| Some(key.as_str()) == system) {
            return Err(String::from("not allowed to delete system account"));
        }
        Ok((directory, keys))
    }

    /// Goes on with a change that is durable now, or has failed.
    pub(crate) fn on_files_changed(&mut self, outcome: Result<(), String>) {
        let Some((change, reply)) = self.herald.changes.0.pop_front() else {
            return;
        };
        let now = seconds(self.router.now.wall);
        let is_cache = self.directory().is_some_and(|directory| directory.is_cache);
        let (account, what) = match (&change, &outcome) {
            (Change::Kept { key, token }, Ok(())) => {
                // Others may have changed what is in force meanwhile, this one's rights not.
                if let Ok((_, fresh)) = config::replaced(&self.options.config, token, now) {
                    self.reload(*fresh);
                }
                let cache = if is_cache { " cache" } else { "" };
                (key.as_str(), format!("jwt updated{cache}"))
            }
            (Change::Kept { key, .. }, Err(_)) => {
                (key.as_str(), String::from("jwt update resulted in error"))
            }
            (Change::Deleted { keys }, Ok(())) => {
                let fresh = config::without(&self.options.config, keys, now);
                self.reload(*fresh);
                ("", format!("deleted {} accounts", keys.len()))
            }
            (Change::Deleted { keys }, Err(_)) => {
                ("", format!("deleted 0 accounts, failed for {}", keys.len()))
            }
        };
        let outcome = match &outcome {
            Ok(()) => Ok(()),
            Err(why) => Err(why.as_str()),
        };
        self.tell(&reply, account, &what, outcome);
    }

    fn told(&mut self, request: &Request, account: &str, what: &str, outcome: Result<(), &str>) {
        self.tell(&request.reply, account, what, outcome);
    }

    fn tell(&mut self, reply: &[u8], account: &str, what: &str, outcome: Result<(), &str>) {
        let (level, text) = match (outcome, account) {
            (Ok(()), "") => (Level::Debug, String::from(what)),
            (Ok(()), account) => (Level::Debug, format!("{what} - {account}")),
            (Err(why), "") => (Level::Error, format!("{what} - {why}")),
            (Err(why), account) => (Level::Error, format!("{what} - {account} - {why}")),
        };
        if level != Level::Debug || self.options.config.logging.debug {
            self.router.fx.log.push(LogLine::new(level, text));
        }
        let seq = self.herald.next_seq();
        let view = self.monitoring(self.router.now, Process::default());
        let body = changed(&view, account, what, outcome, seq);
        self.reply(reply, body, Encoding::Plain);
    }

    /// Sends all accounts, one by one and then nothing, to whoever has others.
    fn pack(&mut self, request: &Request) {
        let Some(operators) = self.operators() else {
            return;
        };
        let mut hash = [0_u8; 32];
        let mut parts = Vec::new();
        for (key, account) in &operators.accounts {
            let digest: [u8; 32] = Sha256::digest(account.token.as_bytes()).into();
            for (sum, byte) in hash.iter_mut().zip(digest) {
                *sum ^= byte;
            }
            parts.push(format!("{key}|{}", account.token).into_bytes());
        }
        if *request.payload == hash {
            parts.clear();
        }
        for part in parts {
            self.reply(&request.reply, part, Encoding::Plain);
        }
        self.reply(&request.reply, Vec::new(), Encoding::Plain);
    }
}
