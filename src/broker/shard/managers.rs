//! Who may manage: root, and the managers that were made through the management interface.
//!
//! *Invariant:* passwords of managers are hashed, and checking one takes long on purpose: what is
//! returned says against which hash, and whoever asks does it elsewhere.

use alloc::string::String;

use memphis::book::{UserKind, seal_of};

use super::Shard;
use crate::auth::{Verdict, web_password};

/// The user that is always there.
const ROOT: &str = "root";

/// Somebody who may manage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manager {
    /// The name of the account.
    pub account: String,
    /// The number of the account, as Memphis' users know it.
    pub account_id: u32,
    /// The user, without the account.
    pub user: String,
    /// What kind of user it is.
    pub kind: UserKind,
    /// What it is called.
    pub full_name: String,
    /// Its picture.
    pub avatar_id: i64,
    /// When it was made, in nanoseconds since 1970; 0 if it always was there.
    pub created: u64,
    /// Its number.
    pub id: u32,
    /// Another number once its password is another one; 0 for passwords of the configuration.
    pub seal: u64,
    /// What pages that watch the account log in with.
    pub web_password: String,
}

/// Whether a password is a manager's.
#[derive(Clone, PartialEq, Eq)]
pub enum Proof {
    /// It is.
    Fits,
    /// It is if it fits this hash.
    Hash(String),
    /// It is not.
    Wrong,
}

impl core::fmt::Debug for Proof {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // Hashes stay out of logs.
        f.write_str(match self {
            Self::Fits => "Fits",
            Self::Hash(_) => "Hash",
            Self::Wrong => "Wrong",
        })
    }
}

impl Shard {
    /// Returns the manager of a name, which may be `user$ACCOUNT_ID`, and what a password says.
    #[must_use]
    pub fn manager(&self, name: &str, password: &str) -> Option<(Manager, Proof)> {
        let name = name.to_ascii_lowercase();
        let (account_id, account, user) = self.auth.memphis_account(&name)?;
        let mut manager = Manager {
            account: self.router.accounts.name(account).into(),
            account_id,
            user: user.into(),
            kind: UserKind::Root,
            avatar_id: 1,
            web_password: web_password(&self.options.secret, account_id),
            ..Manager::default()
        };
        if let Some(streams) = &self.streams {
            let book = streams.stations.machine.book();
            manager.id = book.user_id(&manager.account, user);
        }
        if user == ROOT {
            let proof = match self.auth.check_root(account_id, password)? {
                Verdict::Accepted { .. } => Proof::Fits,
                Verdict::Unclear { hash, .. } => Proof::Hash(hash),
                Verdict::Refused(_) => Proof::Wrong,
            };
            return Some((manager, proof));
        }
        let machine = &self.streams.as_ref()?.stations.machine;
        let row = machine.book().tenant(&manager.account)?.users.get(user)?;
        if row.kind == UserKind::Application {
            return None;
        }
        manager.kind = row.kind;
        manager.avatar_id = row.avatar_id;
        manager.created = row.created;
        manager.seal = seal_of(&row.secret);
        let full_name = row.about.get("full_name");
        manager.full_name = full_name.cloned().unwrap_or_default();
        Some((manager, Proof::Hash(row.secret.clone())))
    }
}
