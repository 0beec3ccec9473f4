//! Judging what a client shows: by a signature, a certificate, a name and a password, or a token, in the
//! order in which nats-server asks for them.

use alloc::rc::Rc;
use alloc::string::String;

use config::options::ConnectionType;
use identity::{PublicKey, decode_signature};

use super::dn::Dn;
use super::shown::{Credentials, Refusal, Verdict};
use super::user::User;
use super::{Auth, Door, Entry, KeyEntry};
use crate::effects::Rules;
use crate::tls::PeerCert;

impl Auth {
    /// Judges what a client showed.
    pub(crate) fn check(
        &self,
        rules: Rules,
        kind: ConnectionType,
        shown: &Credentials<'_>,
    ) -> Verdict {
        if shown.legacy_account {
            return Verdict::Refused(Refusal::Credentials);
        }
        if let (Rules::Memphis, Some(tenants)) = (rules, &self.memphis) {
            return tenants.check(shown);
        }
        let (door, overrides) = match (kind, &self.websocket) {
            (ConnectionType::WebSocket, Some(door)) => (door, self.websocket_overrides),
            _ => (&self.main, false),
        };
        if !self.configured && !overrides {
            return self.anybody();
        }
        if let Some(signers) = &self.signers {
            return signers.check(kind, shown);
        }
        if let Some(verdict) = self.check_key(door, kind, shown) {
            return verdict;
        }
        if door.by_cert && !self.users.is_empty() {
            return match shown.cert.and_then(|cert| self.certified(cert, kind)) {
                Some(entry) => Self::judge(entry, shown),
                None => Verdict::Refused(Refusal::Credentials),
            };
        }
        let anonymous = shown.user.is_empty() && shown.token.is_empty();
        let no_auth_user = door.no_auth_user.as_ref();
        if let Some(entry) = no_auth_user.and_then(|name| self.users.get(name))
            && anonymous
            && entry.allows(kind)
        {
            return Self::accept(&entry.user);
        }
        if anonymous && self.system_only && !overrides {
            return self.anybody();
        }
        if let Some(entry) = self.users.get(shown.user) {
            return match entry.allows(kind) {
                true => Self::judge(entry, shown),
                false => Verdict::Refused(Refusal::Credentials),
            };
        }
        if self.proxy_required && !shown.proxied {
            return Verdict::Refused(Refusal::ProxyRequired);
        }
        match (&door.token, &door.single) {
            (Some(token), _) => token.judge(shown.token, self.global, None),
            (None, Some((name, secret))) if name == shown.user => {
                secret.judge(shown.pass, self.global, None)
            }
            (None, _) => Verdict::Refused(Refusal::Credentials),
        }
    }

    /// Judges a client that shows a key, or becomes one that is known by its key; none if it has to be
    /// judged otherwise.
    fn check_key(
        &self,
        door: &Door,
        kind: ConnectionType,
        shown: &Credentials<'_>,
    ) -> Option<Verdict> {
        if self.nkeys.is_empty() {
            return None;
        }
        let find = |name: &str| self.nkeys.get_key_value(&PublicKey::parse(name).ok()?);
        let allowed = |entry: &KeyEntry| entry.types.is_empty() || entry.types.contains(&kind);
        if !shown.nkey.is_empty() {
            let Some((key, entry)) = find(shown.nkey).filter(|(_, entry)| allowed(entry)) else {
                return Some(Verdict::Refused(Refusal::Credentials));
            };
            if entry.proxy_required && !shown.proxied {
                return Some(Verdict::Refused(Refusal::ProxyRequired));
            }
            return Some(match has_signed(key, shown) {
                true => Self::accept(&entry.user),
                false => Verdict::Refused(Refusal::Credentials),
            });
        }
        let nothing = [shown.user, shown.pass, shown.token];
        let no_auth_user = door.no_auth_user.as_ref();
        let no_auth_user = no_auth_user.filter(|_| nothing.iter().all(|part| part.is_empty()));
        let (_, entry) = find(no_auth_user?)?;
        allowed(entry).then(|| Self::accept(&entry.user))
    }

    fn anybody(&self) -> Verdict {
        Verdict::Accepted {
            account: self.global,
            user: None,
        }
    }

    /// Returns the user that a certificate is for: by one of its names, else by its subject.
    fn certified(&self, cert: &PeerCert, kind: ConnectionType) -> Option<&Entry> {
        let allowed = |entry: &&Entry| entry.allows(kind);
        let named = |name: &String| self.users.get(name).filter(allowed);
        if let Some(entry) = cert.names.iter().find_map(named) {
            return Some(entry);
        }
        let subject = cert.dn();
        let users = || {
            let users = self.users.iter().filter(|(_, entry)| allowed(entry));
            users.filter_map(|(name, entry)| Some((Dn::parse(name)?, entry)))
        };
        let exact = users().find(|(name, _)| name.is(&subject));
        let found = exact.or_else(|| users().find(|(name, _)| name.has_same_parts(&subject)));
        let entry = found.map(|(_, entry)| entry);
        entry.or_else(|| named(&cert.subject))
    }

    fn judge(entry: &Entry, shown: &Credentials<'_>) -> Verdict {
        if entry.proxy_required && !shown.proxied {
            return Verdict::Refused(Refusal::ProxyRequired);
        }
        let user = Some(Rc::clone(&entry.user));
        entry.secret.judge(shown.pass, entry.user.account, user)
    }

    fn accept(user: &Rc<User>) -> Verdict {
        Verdict::Accepted {
            account: user.account,
            user: Some(Rc::clone(user)),
        }
    }
}

/// Says whether the owner of `key` has signed what this client was given to sign.
pub(super) fn has_signed(key: &PublicKey, shown: &Credentials<'_>) -> bool {
    let signature = decode_signature(shown.sig);
    // Without a nonce there is nothing that only this connection could have been asked to sign.
    !shown.nonce.is_empty()
        && signature.is_some_and(|signature| key.has_signed(shown.nonce.as_bytes(), &signature))
}
