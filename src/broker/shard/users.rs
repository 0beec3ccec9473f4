//! Users that were made, changed or removed through Memphis' management interface.

use alloc::collections::BTreeSet;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;

use memphis::book::UserKind;
use protocol::id::{AccountId, ConnId};

use super::Shard;
use crate::Rules;
use crate::auth::{Refusal, User};
use crate::conn::Conn;

impl Shard {
    /// Lets users log in that were made through the management interface.
    pub(crate) fn take_users(&mut self) {
        let Some(streams) = &self.streams else {
            return;
        };
        let changed = core::mem::take(&mut self.router.users_changed);
        for &account in changed.keys() {
            let name = self.router.accounts.name(account);
            let rows = streams.stations.machine.book().tenant(name);
            let users = rows.into_iter().flat_map(|rows| &rows.users);
            // Managers do not connect as clients.
            let clients = users.filter(|(_, user)| user.kind == UserKind::Application);
            let clients = clients.map(|(name, user)| (name.as_str(), user));
            self.auth.set_made(account, clients);
        }
        for (account, names) in changed {
            self.end_users(account, &names);
        }
    }

    /// Ends the connections of users whose password is another one now, or who are gone.
    fn end_users(&mut self, account: AccountId, names: &BTreeSet<String>) {
        if names.is_empty() {
            return;
        }
        let is_named =
            |user: &Option<Rc<User>>| user.as_ref().is_some_and(|user| names.contains(&user.name));
        let is_theirs = |conn: &&Conn| {
            let is_inside = conn.account == account && is_named(&conn.user);
            // The password may just be being checked, against what it was.
            let login = conn.login.as_ref();
            let is_coming = login.is_some_and(|l| l.account == account && is_named(&l.user));
            conn.rules == Rules::Memphis && (is_inside || is_coming)
        };
        let theirs = self.router.conns.iter().filter(is_theirs);
        let theirs: Vec<ConnId> = theirs.map(|conn| conn.id).collect();
        for id in theirs {
            let said = self.router.conns.get_mut(id).and_then(|c| c.said.take());
            let said = said.map(|said| *said).unwrap_or_default();
            self.turn_away(id, &said, Refusal::Credentials);
        }
    }
}
