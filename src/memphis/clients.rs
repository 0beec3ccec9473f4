//! Which SDK connections are there, by the id that the SDK puts into its connection's name.
//!
//! *Invariant:* nothing here survives a restart: whoever comes back with its id is active again, whoever
//! does not is away from the moment of the restart.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use protocol::id::AccountId;
use protocol::time::Instant;

/// The connections of SDKs.
#[derive(Debug, Default)]
pub struct Clients {
    /// How many connections have the id: SDKs open one to try their login and close it again.
    active: BTreeMap<(AccountId, String), u32>,
    /// Since when an id that rows name has been away. Bounded by the rows.
    away: BTreeMap<(AccountId, String), Instant>,
}

/// Returns the id in a connection's name; nothing if it is not an SDK's (`<id>::<user>`).
#[must_use]
pub fn connection_id(name: &str) -> Option<&str> {
    let (id, user) = name.split_once("::")?;
    (!id.is_empty() && !user.contains("::")).then_some(id)
}

impl Clients {
    /// Says whether a connection with this id is there.
    #[must_use]
    pub fn is_active(&self, account: AccountId, connection: &str) -> bool {
        self.active.contains_key(&(account, connection.into()))
    }

    pub(crate) fn connected(&mut self, account: AccountId, name: &str) {
        if let Some(id) = connection_id(name) {
            *self.active.entry((account, id.into())).or_default() += 1;
        }
    }

    pub(crate) fn disconnected(&mut self, account: AccountId, name: &str) {
        let Some(id) = connection_id(name) else {
            return;
        };
        let key = (account, id.into());
        if let Some(count) = self.active.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                self.active.remove(&key);
            }
        }
    }

    /// Returns which of an account's connections, those that rows name, have been away for `patience`.
    pub(crate) fn sweep(
        &mut self,
        account: AccountId,
        named: &[&str],
        patience: Duration,
        now: Instant,
    ) -> Vec<String> {
        let is_named = |id: &String| named.binary_search(&id.as_str()).is_ok();
        self.away
            .retain(|(of, id), _| *of != account || is_named(id));
        let mut gone = Vec::new();
        for id in named {
            let key = (account, String::from(*id));
            if self.active.contains_key(&key) {
                self.away.remove(&key);
            } else if now.since(*self.away.entry(key).or_insert(now)) >= patience {
                gone.push((*id).into());
            }
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNT: AccountId = AccountId(0);

    #[test]
    fn only_sdks_have_an_id_in_their_name() {
        assert_eq!(connection_id("1-2::root"), Some("1-2"));
        assert_eq!(connection_id("NATS CLI"), None);
        assert_eq!(connection_id("a::b::c"), None);
    }

    #[test]
    fn an_id_is_active_until_its_last_connection_ends() {
        let mut clients = Clients::default();
        clients.connected(ACCOUNT, "u::root");
        clients.connected(ACCOUNT, "u::root");
        clients.disconnected(ACCOUNT, "u::root");
        assert!(clients.is_active(ACCOUNT, "u"));
        clients.disconnected(ACCOUNT, "u::root");
        assert!(!clients.is_active(ACCOUNT, "u"));
    }

    #[test]
    fn who_comes_back_in_time_is_not_forgotten() {
        let (mut clients, hour) = (Clients::default(), Duration::from_secs(3600));
        let at = |hours| Instant(0) + hour * hours;
        assert!(clients.sweep(ACCOUNT, &["a", "b"], hour, at(0)).is_empty());
        clients.connected(ACCOUNT, "b::root");
        assert_eq!(clients.sweep(ACCOUNT, &["a", "b"], hour, at(1)), ["a"]);
        clients.disconnected(ACCOUNT, "b::root");
        assert_eq!(clients.sweep(ACCOUNT, &["b"], hour, at(1)), [""; 0]);
        assert_eq!(clients.sweep(ACCOUNT, &["b"], hour, at(2)), ["b"]);
    }
}
