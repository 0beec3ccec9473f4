//! Who a client is, as advisories, events and the services of other accounts are told.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use protocol::id::{AccountId, ConnId};
use protocol::js::advisory::ClientInfo;
use protocol::js::json::{self, Strictness};
use protocol::text::duration::Nanos;

use crate::router::Router;
use crate::snapshot::signed;

impl Router {
    /// Describes a client; none if it has gone.
    pub(crate) fn who(&self, client: ConnId) -> Option<ClientInfo> {
        let conn = self.conns.get(client)?;
        let user = conn.user.as_ref();
        let claimed = user.and_then(|user| user.signed.as_ref());
        let signed = signed(conn).unwrap_or_default();
        Some(ClientInfo {
            start: Some(conn.start.wall),
            host: format!("{}", conn.peer.ip()),
            id: conn.cid,
            account: String::from(self.accounts.name(conn.account)),
            user: user.map_or_else(String::new, |user| user.name.clone()),
            name: conn.wishes.name.clone(),
            lang: conn.wishes.lang.clone(),
            version: conn.wishes.version.clone(),
            rtt: Nanos::from(conn.pulse.rtt),
            server: self.server_name.clone(),
            jwt: signed.jwt,
            issuer_key: signed.issuer_key,
            name_tag: claimed.map_or_else(String::new, |claimed| claimed.name.clone()),
            tags: signed.tags,
            kind: String::from("Client"),
            client_type: String::from("nats"),
            ..ClientInfo::default()
        })
    }

    /// Returns what an account is told of who asks for its service: all if the other account shares
    /// that, else the account and how far away the client is.
    pub(crate) fn who_asks(
        &self,
        account: AccountId,
        client: Option<ConnId>,
        share: bool,
        system: bool,
    ) -> Vec<u8> {
        let known = client.and_then(|client| self.who(client));
        let who = match known {
            Some(known) if share => known,
            known => ClientInfo {
                account: self.accounts.name(account).to_string(),
                rtt: known.map_or_else(Nanos::default, |known| known.rtt),
                server: if system {
                    self.server_name.clone()
                } else {
                    String::new()
                },
                ..ClientInfo::default()
            },
        };
        json::to_vec(&who)
    }

    /// Returns what an account is told of who asks through `account`, which was told `said`.
    pub(crate) fn who_asked_before(&self, said: &[u8], account: AccountId, share: bool) -> Vec<u8> {
        let Ok(mut who) = json::decode::<ClientInfo>(said, Strictness::Lax) else {
            return said.to_vec();
        };
        who.service = self.accounts.name(account).to_string();
        if share {
            who.server.clone_from(&self.server_name);
        }
        json::to_vec(&who)
    }
}
