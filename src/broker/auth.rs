//! Who may connect: users, tokens, and the Memphis forms of both.
//!
//! *Invariant:* a secret is compared in a time that does not depend on where it differs.

pub(crate) mod dn;
mod memphis;
mod secret;
mod user;

use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use alloc::string::String;

use config::Options;
use config::options::ConnectionType;
use protocol::connect::Connect;
use protocol::id::AccountId;

use crate::accounts::Accounts;
use crate::auth::dn::Dn;
use crate::auth::memphis::Tenants;
use crate::auth::secret::Secret;
pub(crate) use crate::auth::user::User;
use crate::effects::Rules;
use crate::tls::PeerCert;

/// What a client showed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Credentials<'a> {
    pub(crate) user: &'a str,
    pub(crate) pass: &'a str,
    pub(crate) token: &'a str,
    /// The connection's name, which tells Memphis users apart.
    pub(crate) name: &'a str,
    /// Its certificate, if it showed one.
    pub(crate) cert: Option<&'a PeerCert>,
    /// Whether it named an account in the way of servers before 2.0.
    pub(crate) legacy_account: bool,
}

impl<'a> Credentials<'a> {
    pub(crate) fn new(said: &'a Connect, name: &'a str, cert: Option<&'a PeerCert>) -> Self {
        Self {
            user: &said.user,
            pass: &said.pass,
            token: &said.auth_token,
            name,
            cert,
            legacy_account: !said.account.is_empty() || said.new_account,
        }
    }
}

/// What is made of it.
#[derive(Clone, Debug)]
pub(crate) enum Verdict {
    /// It may.
    Accepted {
        account: AccountId,
        /// Its user, where there are users.
        user: Option<Rc<User>>,
    },
    /// It may if its password fits this hash, which takes long to find out.
    Unclear {
        hash: String,
        account: AccountId,
        user: Option<Rc<User>>,
    },
    /// It may not.
    Refused,
}

#[derive(Debug)]
struct Entry {
    secret: Secret,
    user: Rc<User>,
}

/// Everyone who may connect.
#[derive(Debug)]
pub(crate) struct Auth {
    users: BTreeMap<String, Entry>,
    token: Option<Secret>,
    no_auth_user: Option<Rc<User>>,
    /// Whether users are known by their certificates.
    by_cert: bool,
    /// All users are the system account's: everybody else needs no credentials.
    system_only: bool,
    memphis: Option<Tenants>,
    /// Whether anybody is configured at all, even in a way that nobody can log in.
    configured: bool,
    system: Option<AccountId>,
    global: AccountId,
}

impl Auth {
    pub(crate) fn new(options: &Options, accounts: &mut Accounts, seed: u64) -> Self {
        let mut auth = Self {
            users: BTreeMap::new(),
            token: options.auth.token.as_deref().map(Secret::new),
            no_auth_user: None,
            by_cert: options.tls.as_ref().is_some_and(|tls| tls.verify_and_map),
            system_only: true,
            memphis: None,
            configured: options.auth.token.is_some(),
            system: accounts.system,
            global: accounts.global,
        };
        let defaults = options.auth.default_permissions.as_ref();
        for user in &options.auth.users {
            auth.insert(user, accounts.global, defaults, seed);
        }
        if let Some(name) = &options.auth.user {
            let single = config::options::User {
                name: name.clone(),
                password: options.auth.password.clone(),
                ..Default::default()
            };
            auth.insert(&single, accounts.global, defaults, seed);
        }
        for account in &options.accounts {
            let id = accounts.intern(&account.name, seed);
            let defaults = account.default_permissions.as_ref();
            for user in &account.users {
                auth.insert(user, id, defaults, seed);
            }
        }
        let no_auth = options.no_auth_user.as_ref();
        auth.no_auth_user = no_auth
            .and_then(|name| auth.users.get(name))
            .map(|entry| Rc::clone(&entry.user));
        auth.system_only &= !auth.users.is_empty();
        auth.memphis = options
            .memphis
            .as_ref()
            .map(|memphis| Tenants::new(memphis, accounts, seed));
        auth
    }

    /// Returns the users that Memphis clients may name, in lower case, with their accounts.
    pub(crate) fn memphis_users(&self) -> impl Iterator<Item = (AccountId, &str)> {
        self.memphis.iter().flat_map(Tenants::users)
    }

    /// Says whether a client must log in before anything else.
    pub(crate) fn is_required(&self, rules: Rules) -> bool {
        match (rules, &self.memphis) {
            (Rules::Memphis, Some(_)) => true,
            (Rules::Nats, _) | (Rules::Memphis, None) => {
                self.configured && self.no_auth_user.is_none()
            }
        }
    }

    /// Says whether there is a user of that name.
    pub(crate) fn knows(&self, rules: Rules, name: &str) -> bool {
        match (rules, &self.memphis) {
            // Its users hold for the life of the process.
            (Rules::Memphis, Some(_)) => true,
            (Rules::Nats, _) | (Rules::Memphis, None) => self.users.contains_key(name),
        }
    }

    /// Judges what a client showed.
    pub(crate) fn check(&self, rules: Rules, shown: &Credentials<'_>) -> Verdict {
        if shown.legacy_account {
            return Verdict::Refused;
        }
        if let (Rules::Memphis, Some(tenants)) = (rules, &self.memphis) {
            return tenants.check(shown);
        }
        if !self.configured {
            return Verdict::Accepted {
                account: self.global,
                user: None,
            };
        }
        if self.by_cert && !self.users.is_empty() {
            return match shown.cert.and_then(|cert| self.certified(cert)) {
                Some(entry) => Self::judge(entry, shown),
                None => Verdict::Refused,
            };
        }
        let anonymous = shown.user.is_empty() && shown.token.is_empty();
        if anonymous && let Some(user) = &self.no_auth_user {
            return Self::accept(user);
        }
        if anonymous && self.system_only {
            return Verdict::Accepted {
                account: self.global,
                user: None,
            };
        }
        if let Some(entry) = self.users.get(shown.user) {
            return Self::judge(entry, shown);
        }
        match &self.token {
            Some(token) => token.judge(shown.token, self.global, None),
            None => Verdict::Refused,
        }
    }

    /// Returns the user that a certificate is for: by one of its names, else by its subject.
    fn certified(&self, cert: &PeerCert) -> Option<&Entry> {
        let mut names = cert.names.iter();
        if let Some(entry) = names.find_map(|name| self.users.get(name)) {
            return Some(entry);
        }
        let subject = cert.dn();
        let users = || {
            let users = self.users.iter();
            users.filter_map(|(name, entry)| Some((Dn::parse(name)?, entry)))
        };
        let exact = users().find(|(name, _)| name.is(&subject));
        let found = exact.or_else(|| users().find(|(name, _)| name.has_same_parts(&subject)));
        let entry = found.map(|(_, entry)| entry);
        entry.or_else(|| self.users.get(&cert.subject))
    }

    fn judge(entry: &Entry, shown: &Credentials<'_>) -> Verdict {
        let user = Some(Rc::clone(&entry.user));
        entry.secret.judge(shown.pass, entry.user.account, user)
    }

    fn insert(
        &mut self,
        user: &config::options::User,
        account: AccountId,
        defaults: Option<&config::options::Permissions>,
        seed: u64,
    ) {
        self.configured = true;
        self.system_only &= Some(account) == self.system;
        // Without a name it is a user of another kind (nkey), not one that anybody is who shows none.
        // A name alone is enough for `no_auth_user`, and for who shows it without a password.
        if user.name.is_empty() || user.nkey.is_some() {
            return;
        }
        let password = user.password.as_deref().unwrap_or_default();
        let types = &user.allowed_connection_types;
        if !types.is_empty() && !types.contains(&ConnectionType::Standard) {
            return;
        }
        let permissions = user.permissions.as_ref().or(defaults);
        let entry = Entry {
            secret: Secret::new(password),
            user: Rc::new(User::new(&user.name, account, permissions, seed)),
        };
        self.users.insert(user.name.clone(), entry);
    }

    fn accept(user: &Rc<User>) -> Verdict {
        Verdict::Accepted {
            account: user.account,
            user: Some(Rc::clone(user)),
        }
    }
}
